//! Who is connected, and who has to leave when there is no more room.
//!
//! Every connection has a [`Seat`], which knows what the connection is doing. Above the limit the newcomer takes the seat
//! of the connection that has been quiet for longest, one that never had a review answered before one that had: so idle
//! strangers cannot keep an API server out. A connection whose review is being judged never gives way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The seats of one listener.
#[derive(Debug)]
pub(super) struct Capacity {
    limit: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    seats: HashMap<u64, Arc<Seat>>,
}

impl Capacity {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, taken: Mutex::default() })
    }

    /// A seat for a newcomer; none when every connection is having a review judged.
    pub(super) fn seat(self: &Arc<Self>) -> Option<Place> {
        let mut taken = lock(&self.taken);
        if taken.seats.len() >= self.limit {
            let idlest = idlest(&taken.seats)?;
            if let Some(seat) = taken.seats.remove(&idlest) {
                seat.leave.notify_one();
            }
        }
        let id = taken.next;
        taken.next += 1;
        let seat = Arc::new(Seat::new());
        taken.seats.insert(id, Arc::clone(&seat));
        Some(Place { id, seat, capacity: Arc::clone(self) })
    }

    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        lock(&self.taken).seats.len()
    }
}

fn idlest(seats: &HashMap<u64, Arc<Seat>>) -> Option<u64> {
    let standings = seats.iter().map(|(id, seat)| (id, *seat.standing()));
    let (id, _) = standings
        .filter(|(_, standing)| standing.judging == 0)
        .min_by_key(|(_, standing)| (standing.proven, standing.quiet_since))?;
    Some(*id)
}

/// A taken seat, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    id: u64,
    pub(super) seat: Arc<Seat>,
    capacity: Arc<Capacity>,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.capacity.taken).seats.remove(&self.id);
    }
}

/// What one connection is doing.
#[derive(Debug)]
pub(super) struct Seat {
    standing: Mutex<Standing>,
    leave: Notify,
}

#[derive(Debug, Clone, Copy)]
struct Standing {
    /// Requests whose head is here and whose answer is not.
    open: usize,
    /// Those of them whose body is here too.
    judging: usize,
    /// A request has been seen.
    asked: bool,
    /// A review has been answered.
    proven: bool,
    /// When the connection was made, or the last request answered.
    quiet_since: Instant,
    /// When the first byte of a head came that is not complete.
    head_since: Option<Instant>,
}

/// Which limit a connection is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    Head,
    Idle,
}

impl Seat {
    fn new() -> Self {
        let standing = Standing {
            open: 0,
            judging: 0,
            asked: false,
            proven: false,
            quiet_since: Instant::now(),
            head_since: None,
        };
        Self { standing: Mutex::new(standing), leave: Notify::new() }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        lock(&self.standing)
    }

    /// Returns when the seat was given to somebody else.
    pub(super) async fn evicted(&self) {
        self.leave.notified().await;
    }

    pub(super) fn asked(&self) -> bool {
        self.standing().asked
    }

    /// Bytes of an HTTP/1 request came in.
    pub(super) fn bytes_came(&self) {
        let mut standing = self.standing();
        if standing.open == 0 {
            standing.head_since.get_or_insert_with(Instant::now);
        }
    }

    /// When the connection has to be looked at again, and why. A request in hand has its own deadline, not ours.
    pub(super) fn due(&self, idle_time: Duration, head_time: Duration) -> (Instant, Overdue) {
        let standing = *self.standing();
        if standing.open > 0 {
            return (Instant::now() + idle_time, Overdue::Idle);
        }
        let idle = (standing.quiet_since + idle_time, Overdue::Idle);
        match standing.head_since.map(|since| since + head_time) {
            Some(head) if head < idle.0 => (head, Overdue::Head),
            Some(_) | None => idle,
        }
    }

    /// The head of a request is here.
    pub(super) fn request(self: &Arc<Self>) -> Open {
        let mut standing = self.standing();
        standing.open += 1;
        standing.asked = true;
        standing.head_since = None;
        drop(standing);
        Open(Arc::clone(self))
    }

    /// The body is here too.
    pub(super) fn judging(self: &Arc<Self>) -> Judging {
        self.standing().judging += 1;
        Judging(Arc::clone(self))
    }
}

/// A request in hand.
#[derive(Debug)]
pub(super) struct Open(Arc<Seat>);

impl Drop for Open {
    fn drop(&mut self) {
        let mut standing = self.0.standing();
        standing.open -= 1;
        standing.quiet_since = Instant::now();
    }
}

/// A review that is being judged.
#[derive(Debug)]
pub(super) struct Judging(Arc<Seat>);

impl Judging {
    /// The review got its answer.
    pub(super) fn answered(self) {
        self.0.standing().proven = true;
    }
}

impl Drop for Judging {
    fn drop(&mut self) {
        self.0.standing().judging -= 1;
    }
}

/// A panic while one of these locks is held would leave a count off by one at worst, never a wrong answer.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    /// So that no two instants are the same.
    fn pause() {
        std::thread::sleep(Duration::from_millis(1));
    }

    async fn left(place: &Place) -> bool {
        timeout(Duration::ZERO, place.seat.evicted()).await.is_ok()
    }

    #[tokio::test]
    async fn above_the_limit_the_quietest_stranger_gives_way_first() {
        let capacity = Capacity::new(3);
        let known = capacity.seat().unwrap();
        known.seat.judging().answered();
        pause();
        let stranger = capacity.seat().unwrap();
        pause();
        let later_stranger = capacity.seat().unwrap();

        let newcomer = capacity.seat().unwrap();
        assert!(left(&stranger).await);
        assert!(!left(&later_stranger).await && !left(&known).await && !left(&newcomer).await);

        let _second = capacity.seat().unwrap();
        assert!(left(&later_stranger).await);
        assert_eq!(capacity.taken(), 3);
    }

    #[tokio::test]
    async fn one_that_is_being_judged_never_gives_way() {
        let capacity = Capacity::new(1);
        let place = capacity.seat().unwrap();
        let judging = place.seat.judging();
        assert!(capacity.seat().is_none());
        judging.answered();
        assert!(capacity.seat().is_some());
        assert!(left(&place).await);
    }

    #[tokio::test]
    async fn a_place_that_is_dropped_is_free_again() {
        let capacity = Capacity::new(1);
        drop(capacity.seat().unwrap());
        assert_eq!(capacity.taken(), 0);
    }

    #[tokio::test]
    async fn a_head_that_began_has_less_time_than_a_quiet_connection() {
        let (idle, head) = (Duration::from_secs(120), Duration::from_secs(10));
        let due = |place: &Place| place.seat.due(idle, head);
        let capacity = Capacity::new(1);
        let place = capacity.seat().unwrap();
        let made = place.seat.standing().quiet_since;
        assert_eq!(due(&place), (made + idle, Overdue::Idle));

        pause();
        place.seat.bytes_came();
        let (first, overdue) = due(&place);
        assert_eq!(overdue, Overdue::Head);
        assert!(first > made + head && first < made + idle);
        pause();
        place.seat.bytes_came();
        assert_eq!(due(&place), (first, Overdue::Head), "the first byte counts, not the last");

        let open = place.seat.request();
        place.seat.bytes_came();
        assert!(due(&place).0 > made + idle, "a request in hand");
        drop(open);
        assert_eq!(due(&place), (place.seat.standing().quiet_since + idle, Overdue::Idle));
        assert!(due(&place).0 > made + idle);
    }
}
