//! What is remembered, bounded in bytes: records of admissions, and looked-up facts by key with single-flight.
//!
//! Verified facts are kept, never verdicts. A definitive "there is none" lives 60 s at most, a fault is never kept
//! . A fact that is no longer fresh is still answered, and asked again meanwhile; while its source is out it is
//! answered as last known, for so long as the operator allows. A look-up is a task of its own: an API server that hangs
//! up drops its review, and what was being looked up for it must still arrive. Those who wait take the value from the
//! flight, not from the cache, so that a value that was evicted at once, or may not be kept, still reaches them.
//! A value with a gap, of which a part could not be had, is such a one: it is used by those who wait and kept by nobody.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use moka::sync::Cache;
use prometheus::{IntCounter, IntCounterVec};
use tokio::sync::watch;

use crate::fact::{Fact, Fault, Seen, Source, Trouble};

pub use records::Store;

mod records;

/// Look-ups of one kind under way. Each is a task of its own that outlives its review, some kilobytes for up to twenty
/// seconds, and the names come from whoever may create a Pod: beyond it nothing new is looked up until others have ended.
const FLIGHTS: usize = 4_096;
/// What an entry costs beside its key and value: moka's own books, measured at about this.
const OVERHEAD: u32 = 160;

/// Counters of the look-ups of one kind.
#[derive(Debug, Clone)]
pub struct Lookups {
    hits: IntCounter,
    misses: IntCounter,
}

impl Lookups {
    fn of(counters: &IntCounterVec, kind: &str) -> Self {
        let counter = |outcome| counters.with_label_values(&[kind, outcome]);
        Self { hits: counter("hit"), misses: counter("miss") }
    }

    /// Of look-ups that no metric shows.
    pub(super) fn unseen() -> Self {
        let counter = || prometheus::core::GenericCounter::new("unseen", "counted for nobody").expect("a valid name");
        Self { hits: counter(), misses: counter() }
    }

    pub(super) fn count(&self, hit: bool) {
        if hit { self.hits.inc() } else { self.misses.inc() }
    }
}

fn weight(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX).saturating_add(OVERHEAD)
}

/// How long facts of one kind are used.
#[derive(Debug, Clone, Copy)]
pub struct Life {
    /// So long a known fact is answered without asking again; an older one is answered while it is asked again.
    pub fresh: Duration,
    /// So long after it was seen a known fact is answered at all: while its source is out, or while it is asked.
    pub last_known_good: Duration,
    /// So long "there is none" is believed.
    pub negative: Duration,
}

/// Facts of one kind by key, each looked up once at a time.
pub struct FactCache<K, T> {
    shared: Arc<Shared<K, T>>,
    life: Box<dyn Fn(&K) -> Life + Send + Sync>,
    lookups: Lookups,
}

struct Shared<K, T> {
    kept: Cache<K, Entry<T>>,
    flights: Flights<K, T>,
    gap: fn(&T) -> Option<Fault>,
}

type Flights<K, T> = Mutex<HashMap<K, watch::Receiver<Option<Fact<T>>>>>;

/// What is kept of a key.
#[derive(Debug, Clone)]
enum Entry<T> {
    Known {
        value: T,
        at: Timestamp,
        /// Why asking again failed, if it did.
        out: Option<Fault>,
    },
    Absent(Timestamp),
}

/// What is at hand.
struct AtHand<T> {
    fact: Fact<T>,
    /// Old enough to be asked again.
    stale: bool,
}

impl<K, T> FactCache<K, T>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// Holding `bytes` at most, as `weigh` counts key and value without the overhead of an entry. `gap` says why a part
    /// of a value is missing, if one is.
    pub fn new(
        bytes: u64,
        life: impl Fn(&K) -> Life + Send + Sync + 'static,
        weigh: impl Fn(&K, Option<&T>) -> usize + Send + Sync + 'static,
        gap: fn(&T) -> Option<Fault>,
        lookups: Lookups,
    ) -> Self {
        let weigher = move |key: &K, entry: &Entry<T>| match entry {
            Entry::Known { value, .. } => weight(weigh(key, Some(value))),
            Entry::Absent(_) => weight(weigh(key, None)),
        };
        let kept = Cache::builder().max_capacity(bytes).weigher(weigher).build();
        let shared = Shared { kept, flights: Mutex::default(), gap };
        Self { shared: Arc::new(shared), life: Box::new(life), lookups }
    }

    /// What is at hand and may still be used at `now`, without asking anybody.
    pub fn at_hand(&self, key: &K, now: Timestamp) -> Option<Fact<T>> {
        self.find(key, now).map(|at_hand| at_hand.fact)
    }

    /// What is at hand and need not be asked again: most look-ups end here, and nothing was made ready for asking.
    pub fn fresh(&self, key: &K, now: Timestamp, oldest: Option<Duration>) -> Option<Fact<T>> {
        let fact = self.find(key, now).filter(|its| !its.stale)?.fact;
        if oldest.is_some_and(|oldest| is_older(&fact, now, oldest)) {
            return None;
        }
        self.lookups.count(true);
        Some(fact)
    }

    fn find(&self, key: &K, now: Timestamp) -> Option<AtHand<T>> {
        match self.shared.kept.get(key)? {
            Entry::Known { value, at, out } => {
                let (life, age) = ((self.life)(key), age(at, now));
                let stale = age >= life.fresh;
                let source = out.map_or(if stale { Source::Stale } else { Source::Current }, Source::LastKnown);
                (age < life.last_known_good).then(|| AtHand { fact: Fact::Known(Seen { value, at, source }), stale })
            }
            Entry::Absent(at) => {
                let usable = age(at, now) < (self.life)(key).negative;
                usable.then(|| AtHand { fact: Fact::Absent(at), stale: false })
            }
        }
    }

    /// The fact at hand, else what a look-up comes to: the one that is under way, or `look_up` as its own task. A fact
    /// that is no longer fresh is answered at once, and asked again meanwhile; `look_up` is told its value. One that is
    /// older than `oldest` is not answered, whatever became of asking again.
    pub async fn get<F>(
        &self,
        key: K,
        now: Timestamp,
        oldest: Option<Duration>,
        look_up: impl FnOnce(Option<T>) -> F,
    ) -> Fact<T>
    where
        F: Future<Output = Fact<T>> + Send + 'static,
    {
        let at_hand = self.find(&key, now).filter(|its| oldest.is_none_or(|oldest| !is_older(&its.fact, now, oldest)));
        self.lookups.count(at_hand.is_some());
        if let Some(AtHand { fact, stale: false }) = at_hand {
            return fact;
        }
        let known = at_hand.map(|at_hand| at_hand.fact);
        let flight = self.join(key, || look_up(known.as_ref().and_then(value).cloned()));
        if let Some(fact) = known {
            return fact;
        }
        let Some(mut flight) = flight else {
            let words = format!("more than {FLIGHTS} images are being looked up at once");
            return Fact::Unavailable(Trouble::new(Fault::Outage, words));
        };
        let landed = flight.wait_for(Option::is_some).await;
        match landed.as_deref() {
            Ok(Some(fact)) => fact.clone(),
            // The look-up ended without a word, which only a panic does.
            Ok(None) | Err(_) => Fact::Unavailable(Trouble::new(Fault::Broken, "a fault inside Pratique, see its log")),
        }
    }

    /// None: there are too many.
    fn join<F>(&self, key: K, look_up: impl FnOnce() -> F) -> Option<watch::Receiver<Option<Fact<T>>>>
    where
        F: Future<Output = Fact<T>> + Send + 'static,
    {
        let mut flights = self.shared.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&key) {
            return Some(flight.clone());
        }
        if flights.len() >= FLIGHTS {
            return None;
        }
        let (sender, receiver) = watch::channel(None);
        flights.insert(key.clone(), receiver.clone());
        drop(flights);
        let landing = Landing { shared: Arc::clone(&self.shared), key };
        let work = look_up();
        tokio::spawn(async move {
            let fact = work.await;
            landing.shared.keep(&landing.key, &fact);
            // Kept before the flight is over: who comes now finds it. (Who looked a moment ago may fly once more.)
            drop(landing);
            sender.send_replace(Some(fact));
        });
        Some(receiver)
    }
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static, T: Clone + Send + Sync + 'static> Shared<K, T> {
    /// A fault is never kept. One that may pass leaves what was known, marked; any other takes it away: the source is
    /// there, and no longer stands by what it said.
    fn keep(&self, key: &K, fact: &Fact<T>) {
        match fact {
            Fact::Known(Seen { value, at, source: _ }) => match (self.gap)(value).filter(|fault| fault.passes()) {
                Some(fault) => self.mark(key, fault),
                None => self.kept.insert(key.clone(), Entry::Known { value: value.clone(), at: *at, out: None }),
            },
            Fact::Absent(at) => self.kept.insert(key.clone(), Entry::Absent(*at)),
            Fact::Unavailable(trouble) if trouble.fault.passes() => self.mark(key, trouble.fault),
            Fact::Unavailable(_) => self.kept.invalidate(key),
            Fact::Pending => {}
        }
    }

    /// What was known stays, as what is known last.
    fn mark(&self, key: &K, fault: Fault) {
        match self.kept.get(key) {
            Some(Entry::Known { value, at, out: _ }) => {
                self.kept.insert(key.clone(), Entry::Known { value, at, out: Some(fault) });
            }
            Some(Entry::Absent(_)) | None => {}
        }
    }
}

fn is_older<T>(fact: &Fact<T>, now: Timestamp, oldest: Duration) -> bool {
    match fact {
        Fact::Known(Seen { at, .. }) | Fact::Absent(at) => age(*at, now) >= oldest,
        Fact::Unavailable(_) | Fact::Pending => false,
    }
}

fn value<T>(fact: &Fact<T>) -> Option<&T> {
    match fact {
        Fact::Known(seen) => Some(&seen.value),
        Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending => None,
    }
}

/// How old a fact is. One from the future is as old: the clock was set back, and what was seen before must not be fresh
/// until it has caught up.
fn age(at: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(at).unsigned_abs()
}

/// Takes the flight off the board, also when the look-up panics.
struct Landing<K: Hash + Eq, T> {
    shared: Arc<Shared<K, T>>,
    key: K,
}

impl<K: Hash + Eq, T> Drop for Landing<K, T> {
    fn drop(&mut self) {
        self.shared.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl<K, T> fmt::Debug for FactCache<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FactCache").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
