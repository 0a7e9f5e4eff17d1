//! How much of us one host may have, and how much of it we take: requests at once, bytes in flight, and when it is
//! left alone. Host names come from requests, so what is kept for each is bounded as well.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::client::Limits;

pub(super) use breaker::Shed;
use breaker::{Breaker, Pass};
pub(super) use metrics::{Metrics, Outcome};

mod breaker;
mod metrics;
pub(super) mod quiet;

/// Hosts of which something is remembered: ten times what has a label, each a few hundred bytes.
const AUTHORITIES: u64 = 1_000;
/// A host that was not asked for so long is like a new one.
const FORGOTTEN: Duration = Duration::from_secs(3600);

/// What all hosts share.
#[derive(Debug)]
pub(super) struct Capacity {
    authorities: Cache<Box<str>, Arc<Authority>>,
    concurrency: usize,
    /// Bytes in flight from all hosts.
    bytes: Arc<AtomicUsize>,
}

/// One host, with its port.
#[derive(Debug)]
pub(super) struct Authority {
    permits: Arc<Semaphore>,
    breaker: Mutex<Breaker>,
    bytes: AtomicUsize,
}

/// The right to send one request. Dropped without a word, it leaves no trace.
#[derive(Debug)]
pub(super) struct Admission {
    authority: Arc<Authority>,
    pass: Option<Pass>,
    _permit: OwnedSemaphorePermit,
}

/// What a settled request says of its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// It answered; what does not matter.
    Well,
    Outage,
    /// It asks not to be asked for so long.
    Quiet(Duration),
    /// The request says nothing about it.
    Unknown,
}

/// A change that an operator should see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    LeftAlone(Duration),
    WellAgain,
}

impl Capacity {
    pub(super) fn new(concurrency: u32) -> Self {
        Self {
            // The one asked last is kept whatever else is asked for: a host that was not would have no bounds.
            authorities: Cache::builder()
                .max_capacity(AUTHORITIES)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_idle(FORGOTTEN)
                .build(),
            concurrency: usize::try_from(concurrency).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS),
            bytes: Arc::default(),
        }
    }

    pub(super) fn authority(&self, name: &str) -> Arc<Authority> {
        if let Some(known) = self.authorities.get(name) {
            return known;
        }
        self.authorities.get_with(name.into(), || {
            Arc::new(Authority {
                permits: Arc::new(Semaphore::new(self.concurrency)),
                breaker: Mutex::default(),
                bytes: AtomicUsize::new(0),
            })
        })
    }

    /// Nothing yet; grows with the body.
    pub(super) fn hold(&self, authority: &Arc<Authority>) -> Held {
        Held { authority: Arc::clone(authority), all: Arc::clone(&self.bytes), bytes: 0 }
    }
}

impl Authority {
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In the order of arrival, as soon as there is a place; at once where the host is left alone.
    pub(super) async fn enter(self: &Arc<Self>, until: Instant) -> Result<Admission, Shed> {
        self.breaker().peek(Instant::now())?;
        // It is never closed; if it were, there would be no place.
        let Ok(Ok(permit)) = timeout_at(until, Arc::clone(&self.permits).acquire_owned()).await else {
            return Err(Shed::Crowded);
        };
        let pass = self.breaker().admit(Instant::now())?;
        Ok(Admission { authority: Arc::clone(self), pass: Some(pass), _permit: permit })
    }
}

impl Admission {
    pub(super) fn settle(mut self, health: Health) -> Option<Change> {
        let (pass, now) = (self.pass.take()?, Instant::now());
        let mut breaker = self.authority.breaker();
        match health {
            Health::Well => breaker.answered().then_some(Change::WellAgain),
            Health::Outage => breaker.failed(pass, now).map(Change::LeftAlone),
            Health::Quiet(rest) => {
                breaker.quiet(now + rest);
                breaker.answered().then_some(Change::WellAgain)
            }
            Health::Unknown => {
                breaker.abandoned(pass);
                None
            }
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.authority.breaker().abandoned(pass);
        }
    }
}

/// Bytes of an answer that is being read or judged; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    authority: Arc<Authority>,
    all: Arc<AtomicUsize>,
    bytes: usize,
}

/// Which bound there is no room under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    Registry,
    All,
}

impl Held {
    /// Before so many bytes more are allocated.
    pub(super) fn grow(&mut self, by: usize, limits: &Limits) -> Result<(), Full> {
        if !reserve(&self.authority.bytes, by, limits.registry_bytes) {
            return Err(Full::Registry);
        }
        if !reserve(&self.all, by, limits.all_bytes) {
            self.authority.bytes.fetch_sub(by, Ordering::AcqRel);
            return Err(Full::All);
        }
        self.bytes += by;
        Ok(())
    }
}

fn reserve(counter: &AtomicUsize, by: usize, most: usize) -> bool {
    let more = |now: usize| now.checked_add(by).filter(|sum| *sum <= most);
    counter.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
}

impl Drop for Held {
    fn drop(&mut self) {
        self.authority.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        self.all.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[tokio::test]
    async fn no_more_than_the_configured_number_are_at_a_host_at_once() {
        let capacity = Capacity::new(2);
        let authority = capacity.authority("a.example");
        let first = authority.enter(soon()).await.unwrap();
        let _second = authority.enter(soon()).await.unwrap();
        assert_eq!(authority.enter(Instant::now()).await.unwrap_err(), Shed::Crowded);
        assert!(capacity.authority("b.example").enter(Instant::now()).await.is_ok());
        drop(first);
        assert!(authority.enter(soon()).await.is_ok());
    }

    #[test]
    fn a_host_has_its_bounds_however_many_others_are_asked_often() {
        let capacity = Capacity::new(2);
        for _ in 0..3 {
            for number in 0..AUTHORITIES {
                capacity.authority(&format!("{number}.evil.example"));
            }
        }
        capacity.authorities.run_pending_tasks();
        let first = capacity.authority("a.example");
        capacity.authorities.run_pending_tasks();
        assert!(Arc::ptr_eq(&first, &capacity.authority("a.example")));
        assert!(capacity.authorities.entry_count() <= AUTHORITIES);
    }

    #[tokio::test]
    async fn a_probe_that_is_given_up_makes_room_for_the_next() {
        let authority = Capacity::new(8).authority("a.example");
        for _ in 0..5 {
            authority.enter(soon()).await.unwrap().settle(Health::Outage);
        }
        assert!(matches!(authority.enter(soon()).await, Err(Shed::Open(_))));
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let probe = authority.enter(soon()).await.unwrap();
        assert_eq!(authority.enter(soon()).await.unwrap_err(), Shed::Probed);
        drop(probe);
        let probe = authority.enter(soon()).await.unwrap();
        assert_eq!(probe.settle(Health::Well), Some(Change::WellAgain));
    }

    #[tokio::test]
    async fn quiet_is_for_everybody_else_too() {
        let authority = Capacity::new(8).authority("a.example");
        authority.enter(soon()).await.unwrap().settle(Health::Quiet(Duration::from_secs(60)));
        assert!(matches!(authority.enter(soon()).await, Err(Shed::Quiet(_))));
    }

    #[test]
    fn bytes_are_bounded_for_one_registry_and_for_all_and_come_back() {
        let limits = Limits { registry_bytes: 10, all_bytes: 15, ..Limits::default() };
        let capacity = Capacity::new(1);
        let mut first = capacity.hold(&capacity.authority("a.example"));
        let mut second = capacity.hold(&capacity.authority("a.example"));
        let mut other = capacity.hold(&capacity.authority("b.example"));
        assert_eq!(first.grow(8, &limits), Ok(()));
        assert_eq!(second.grow(3, &limits), Err(Full::Registry));
        assert_eq!(other.grow(8, &limits), Err(Full::All));
        assert_eq!(other.grow(7, &limits), Ok(()));
        drop(first);
        assert_eq!(second.grow(8, &limits), Ok(()));
        drop((second, other));
        assert_eq!(capacity.bytes.load(Ordering::Acquire), 0);
        assert_eq!(capacity.authority("a.example").bytes.load(Ordering::Acquire), 0);
    }
}
