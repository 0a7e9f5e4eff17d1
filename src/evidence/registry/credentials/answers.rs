//! What programs answered: asked once at a time, kept for as long as they may be, failures for a moment.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// A broken program is not run once per review: what it came to is repeated for so long. Short, since whoever mends it
/// waits for this too.
const FAILURE_REST: Duration = Duration::from_secs(5);
/// A registry that refuses each answer must not have the program run each time: an answer is dropped once in so long.
const REFUSAL_REST: Duration = Duration::from_secs(30);
/// Answers and failures of one program, and runs of it under way. A cluster pulls from fewer repositories.
const MOST: usize = 1024;

/// What a program answered.
#[derive(Debug)]
pub(super) struct Answer<K, V> {
    pub(super) value: V,
    /// What it is an answer for: others with this key may have it.
    pub(super) key: K,
    /// Nothing: it is for those who asked alone.
    pub(super) keep: Duration,
}

type Outcome<K, V> = Result<(K, V), Arc<str>>;
type Flight<K, V> = watch::Receiver<Option<Outcome<K, V>>>;

/// Answers by key.
pub(super) struct Answers<K, V> {
    shelf: Arc<Mutex<Shelf<K, V>>>,
}

struct Shelf<K, V> {
    kept: HashMap<K, Kept<V>>,
    failed: HashMap<K, (Arc<str>, Instant)>,
    running: HashMap<K, Flight<K, V>>,
    /// When an answer was last dropped because of a refusal.
    dropped: HashMap<K, Instant>,
}

struct Kept<V> {
    value: V,
    until: Instant,
}

impl<K, V> Answers<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) fn new() -> Self {
        let shelf =
            Shelf { kept: HashMap::new(), failed: HashMap::new(), running: HashMap::new(), dropped: HashMap::new() };
        Self { shelf: Arc::new(Mutex::new(shelf)) }
    }

    /// The answer kept under the first of these keys that has one, else that of a run, of which there is one at a time
    /// for `flight`. The answer of another's run is taken where it is for one of our keys; else ours is next.
    ///
    /// The run is a task of its own: whoever stops waiting does not stop it.
    pub(super) async fn obtain<F>(&self, keys: &[K], flight: &K, run: impl Fn() -> F) -> Result<V, Arc<str>>
    where
        F: Future<Output = Result<Answer<K, V>, String>> + Send + 'static,
    {
        loop {
            let look = lock(&self.shelf).look(keys, flight, Instant::now());
            let (mut running, ours) = match look {
                Look::Kept(value) => return Ok(value),
                Look::Failed(why) => return Err(why),
                Look::Running(running) => (running, false),
                Look::Full => return Err("is being asked for too many names at once".into()),
                Look::Nothing(outcome) => (self.launch(flight.clone(), outcome, run()), true),
            };
            let landed = running.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
            match landed {
                Some(Ok((key, value))) if ours || keys.contains(&key) => return Ok(value),
                Some(Ok(_)) => {}
                Some(Err(why)) => return Err(why),
                None => return Err("was interrupted".into()),
            }
        }
    }

    fn launch<F>(&self, key: K, outcome: watch::Sender<Option<Outcome<K, V>>>, run: F) -> Flight<K, V>
    where
        F: Future<Output = Result<Answer<K, V>, String>> + Send + 'static,
    {
        let flight = outcome.subscribe();
        let landing = Landing { shelf: Arc::clone(&self.shelf), key, outcome };
        tokio::spawn(async move { landing.finish(run.await) });
        flight
    }

    /// Drops what is kept for these keys. True where there was something, and it was not dropped a moment ago too.
    pub(super) fn refused(&self, keys: &[K]) -> bool {
        lock(&self.shelf).refuse(keys, Instant::now())
    }
}

/// What there is for somebody who asks.
enum Look<K, V> {
    Kept(V),
    Failed(Arc<str>),
    Running(Flight<K, V>),
    /// The run is the caller's to make.
    Nothing(watch::Sender<Option<Outcome<K, V>>>),
    Full,
}

impl<K: Clone + Eq + Hash, V: Clone> Shelf<K, V> {
    fn look(&mut self, keys: &[K], flight: &K, now: Instant) -> Look<K, V> {
        let kept = keys.iter().filter_map(|key| self.kept.get(key)).find(|kept| now < kept.until);
        if let Some(kept) = kept {
            return Look::Kept(kept.value.clone());
        }
        if let Some((why, _)) = self.failed.get(flight).filter(|(_, until)| now < *until) {
            return Look::Failed(Arc::clone(why));
        }
        if let Some(running) = self.running.get(flight) {
            return Look::Running(running.clone());
        }
        if self.running.len() >= MOST {
            return Look::Full;
        }
        let (outcome, running) = watch::channel(None);
        self.running.insert(flight.clone(), running);
        Look::Nothing(outcome)
    }

    fn refuse(&mut self, keys: &[K], now: Instant) -> bool {
        self.dropped.retain(|_, at| now.duration_since(*at) < REFUSAL_REST);
        let Some(key) = keys.iter().find(|key| self.kept.contains_key(key)) else { return false };
        if self.dropped.contains_key(key) || self.dropped.len() >= MOST {
            return false;
        }
        self.dropped.insert(key.clone(), now);
        self.kept.remove(key).is_some()
    }

    fn keep(&mut self, key: K, value: V, until: Instant, now: Instant) {
        self.kept.retain(|_, kept| now < kept.until);
        if self.kept.len() >= MOST && !self.kept.contains_key(&key) {
            // The one that would go first anyway.
            let first = self.kept.iter().min_by_key(|(_, kept)| kept.until).map(|(key, _)| key.clone());
            first.and_then(|first| self.kept.remove(&first));
        }
        self.kept.insert(key, Kept { value, until });
    }

    fn fail(&mut self, key: K, why: Arc<str>, now: Instant) {
        self.failed.retain(|_, (_, until)| now < *until);
        if self.failed.len() < MOST {
            self.failed.insert(key, (why, now + FAILURE_REST));
        }
    }
}

/// A run that will end, one way or the other.
struct Landing<K: Clone + Eq + Hash, V: Clone> {
    shelf: Arc<Mutex<Shelf<K, V>>>,
    key: K,
    outcome: watch::Sender<Option<Outcome<K, V>>>,
}

impl<K: Clone + Eq + Hash, V: Clone> Landing<K, V> {
    fn finish(self, outcome: Result<Answer<K, V>, String>) {
        let now = Instant::now();
        let outcome: Outcome<K, V> = match outcome {
            Ok(Answer { value, key, keep }) => {
                if let Some(until) = now.checked_add(keep).filter(|_| !keep.is_zero()) {
                    lock(&self.shelf).keep(key.clone(), value.clone(), until, now);
                }
                Ok((key, value))
            }
            Err(why) => {
                let why: Arc<str> = why.into();
                lock(&self.shelf).fail(self.key.clone(), Arc::clone(&why), now);
                Err(why)
            }
        };
        // Kept first, and only then no longer running: nobody comes between and runs it again.
        self.outcome.send_replace(Some(outcome));
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Drop for Landing<K, V> {
    fn drop(&mut self) {
        lock(&self.shelf).running.remove(&self.key);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nothing of what is kept.
impl<K, V> fmt::Debug for Answers<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}
