//! What is remembered, bounded in bytes: records of admissions, and looked-up facts by key with single-flight.
//!
//! Verified facts are kept, never verdicts. A definitive "there is none" lives 60 s at most, a fault is never kept
//! . A look-up is a task of its own: an API server that hangs up drops its review, and what was being looked up
//! for it must still arrive. Those who wait take the value from the flight, not from the cache, so that a value that
//! was evicted at once, or may not be kept, still reaches them.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use moka::sync::Cache;
use prometheus::{IntCounterVec, Opts, Registry};
use tokio::sync::watch;

use crate::fact::{Admitted, Fact, Fault, Trouble, Seen, Source};
use crate::image::Digest;

use super::budget::Budget;

/// How long "there is none" is believed: a signature or a report may be pushed at any moment.
const NEGATIVE: SignedDuration = SignedDuration::from_secs(60);
/// Share of the memory for records; the rest is for facts.
const RECORDS_SHARE: u64 = 4;
/// What an entry costs beside its key and value: moka's own books, measured at about this.
const OVERHEAD: u32 = 160;

/// The memory of the process.
#[derive(Debug)]
pub struct Store {
    admitted: Cache<(Box<str>, Digest), Admitted>,
    lookups: IntCounterVec,
}

impl Store {
    pub fn new(budget: &Budget, registry: &Registry) -> Result<Self, prometheus::Error> {
        let help = "Look-ups in the memory of the process, by kind and by whether it knew";
        let lookups = IntCounterVec::new(Opts::new("pratique_cache_lookups_total", help), &["kind", "outcome"])?;
        registry.register(Box::new(lookups.clone()))?;
        let admitted = Cache::builder()
            .max_capacity(budget.memory / RECORDS_SHARE)
            .weigher(|(namespace, digest): &(Box<str>, Digest), _| weight(namespace.len() + digest.as_str().len()))
            .time_to_idle(budget.records)
            .build();
        Ok(Self { admitted, lookups })
    }

    /// Since when this namespace has had this digest.
    pub fn admitted(&self, namespace: &str, digest: &Digest, now: Timestamp) -> Fact<Admitted> {
        let known = self.admitted.get(&(namespace.into(), digest.clone()));
        self.count("admitted", known.is_some());
        match known {
            Some(value) => Fact::Known(Seen { value, at: now, source: Source::Current }),
            None => Fact::Absent(now),
        }
    }

    /// The first admission stays the one that is remembered.
    pub fn record_admitted(&self, namespace: &str, digest: &Digest, now: Timestamp) {
        let key = (namespace.into(), digest.clone());
        self.admitted.entry(key).or_insert(Admitted { first: now });
    }

    fn count(&self, kind: &str, hit: bool) {
        self.lookups.with_label_values(&[kind, if hit { "hit" } else { "miss" }]).inc();
    }
}

fn weight(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX).saturating_add(OVERHEAD)
}

/// Facts of one kind by key, each looked up once at a time.
pub struct FactCache<K, T> {
    kept: Cache<K, Fact<T>>,
    flights: Arc<Flights<K, T>>,
    /// How long a known fact is answered without asking again.
    fresh: SignedDuration,
}

type Flights<K, T> = Mutex<HashMap<K, watch::Receiver<Option<Fact<T>>>>>;

impl<K, T> FactCache<K, T>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// Holding `bytes` at most, as `weigh` counts them without the overhead of an entry.
    pub fn new(bytes: u64, fresh: Duration, weigh: impl Fn(&K, &Fact<T>) -> usize + Send + Sync + 'static) -> Self {
        let kept = Cache::builder().max_capacity(bytes).weigher(move |key, fact| weight(weigh(key, fact))).build();
        let fresh = SignedDuration::try_from(fresh).unwrap_or(SignedDuration::MAX);
        Self { kept, flights: Arc::default(), fresh }
    }

    /// What is at hand and still believed at `now`.
    pub fn at_hand(&self, key: &K, now: Timestamp) -> Option<Fact<T>> {
        let fact = self.kept.get(key)?;
        let (at, life) = match &fact {
            Fact::Known(seen) => (seen.at, self.fresh),
            Fact::Absent(at) => (*at, NEGATIVE),
            Fact::Unavailable(_) | Fact::Pending => return None,
        };
        let age = now.duration_since(at);
        (age < life).then_some(fact)
    }

    /// The fact at hand, or what a look-up comes to: the one that is under way, or else `look_up`, as its own task.
    pub async fn get<F>(&self, key: K, now: Timestamp, look_up: impl FnOnce() -> F) -> Fact<T>
    where
        F: Future<Output = Fact<T>> + Send + 'static,
    {
        if let Some(fact) = self.at_hand(&key, now) {
            return fact;
        }
        let mut flight = self.join(key, look_up);
        let landed = flight.wait_for(Option::is_some).await;
        match landed.as_deref() {
            Ok(Some(fact)) => fact.clone(),
            // The look-up ended without a word, which only a panic does.
            Ok(None) | Err(_) => Fact::Unavailable(Trouble::new(Fault::Broken, "a fault inside Pratique, see its log")),
        }
    }

    fn join<F>(&self, key: K, look_up: impl FnOnce() -> F) -> watch::Receiver<Option<Fact<T>>>
    where
        F: Future<Output = Fact<T>> + Send + 'static,
    {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&key) {
            return flight.clone();
        }
        let (sender, receiver) = watch::channel(None);
        flights.insert(key.clone(), receiver.clone());
        drop(flights);
        let landing = Landing { flights: Arc::clone(&self.flights), key };
        let (kept, work) = (self.kept.clone(), look_up());
        tokio::spawn(async move {
            let fact = work.await;
            match &fact {
                Fact::Known(_) | Fact::Absent(_) => kept.insert(landing.key.clone(), fact.clone()),
                Fact::Unavailable(_) | Fact::Pending => {}
            }
            // Kept before the flight is over, so that nobody comes in between and flies again.
            drop(landing);
            sender.send_replace(Some(fact));
        });
        receiver
    }
}

/// Takes the flight off the board, also when the look-up panics.
struct Landing<K: Hash + Eq, T> {
    flights: Arc<Flights<K, T>>,
    key: K,
}

impl<K: Hash + Eq, T> Drop for Landing<K, T> {
    fn drop(&mut self) {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests;
