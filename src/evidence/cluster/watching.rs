//! Watches: one driver for all kinds, which keeps a sink up with the API server for as long as the process lives.
//!
//! It lists in pages and watches with bookmarks; after a loss it goes on where it was, and after `410 Gone` lists anew.
//! A sink is never told less than it had: what is listed anew replaces the old in one step. A loss changes nothing that is
//! in force; it is said in `/readyz`, in the log once, and in `pratique_watch_up`.
//!
//! The protocol is that of
//! [efficient detection of changes](https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use kube::Api;
use prometheus::{IntCounterVec, IntGaugeVec, Opts};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use driver::Driver;

mod driver;
#[cfg(test)]
pub(in crate::evidence) mod tests;
pub(super) mod trimmed;
pub(in crate::evidence) mod wording;

/// How a watch is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchState {
    /// Not everything was listed yet; why not, where something is in the way.
    Starting(Option<String>),
    /// Kept up with.
    Current,
    /// What was known last is in force.
    Lost { since: Timestamp, why: String },
    /// The cluster does not have this kind (yet).
    Absent,
}

impl WatchState {
    /// Whether what is known is what the cluster has.
    fn is_up(&self) -> bool {
        match self {
            Self::Current | Self::Absent => true,
            Self::Starting(_) | Self::Lost { .. } => false,
        }
    }
}

/// How one watch is, for those who ask and for the driver who tells. All clones are one.
#[derive(Clone)]
pub struct Health {
    /// As in messages and in the metric label: `imagepolicies`, `namespaces`, `nodes`, `pods`, `vulnerabilityreports`.
    resource: &'static str,
    state: Arc<watch::Sender<WatchState>>,
    /// How many objects this watch has in force.
    objects: Arc<AtomicI64>,
    metrics: Metrics,
}

#[derive(Clone)]
struct Metrics {
    up: IntGaugeVec,
    failures: IntCounterVec,
    objects: IntGaugeVec,
    /// One resource may be watched in several namespaces: it is up when all of its watches are.
    tallies: Arc<Mutex<BTreeMap<&'static str, Tally>>>,
}

/// The watches of one resource.
#[derive(Debug, Default)]
struct Tally {
    entered: usize,
    up: usize,
}

/// All watches of the process.
#[derive(Debug)]
pub struct Watches {
    metrics: Metrics,
    health: Mutex<Vec<Health>>,
}

/// What becomes of what is watched. Called from one task, in the order of the API server.
#[expect(clippy::len_without_is_empty, reason = "the metric asks how many, and nobody asks whether there is any")]
pub trait Sink<K>: Send {
    /// Everything is listed anew; what was known stays in force until [`Sink::complete`].
    fn restart(&mut self);
    /// An object among those that are listed.
    fn list(&mut self, object: K);
    /// All were listed: they, and no others, are in force from now on.
    fn complete(&mut self);
    /// An object is new or was changed.
    fn apply(&mut self, object: K);
    fn delete(&mut self, object: K);
    /// How many objects are in force, for the metric.
    fn len(&self) -> usize;
}

impl Watches {
    /// Registers `pratique_watch_up{resource}`, `pratique_watch_failures_total{resource}` and
    /// `pratique_watched_objects{resource}`.
    pub fn new(registry: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        let labels = &["resource"];
        let up = Opts::new("pratique_watch_up", "1 while a resource is kept up with, or the cluster does not have it");
        let failures = Opts::new("pratique_watch_failures_total", "Attempts to list or watch a resource that failed");
        let objects = Opts::new("pratique_watched_objects", "Objects of a resource that are in force");
        let up = IntGaugeVec::new(up, labels)?;
        let failures = IntCounterVec::new(failures, labels)?;
        let objects = IntGaugeVec::new(objects, labels)?;
        registry.register(Box::new(up.clone()))?;
        registry.register(Box::new(failures.clone()))?;
        registry.register(Box::new(objects.clone()))?;
        let metrics = Metrics { up, failures, objects, tallies: Arc::default() };
        Ok(Self { metrics, health: Mutex::default() })
    }

    /// One more watch, starting.
    pub fn enter(&self, resource: &'static str) -> Health {
        let health = Health {
            resource,
            state: Arc::new(watch::Sender::new(WatchState::Starting(None))),
            objects: Arc::default(),
            metrics: self.metrics.clone(),
        };
        self.metrics.count(resource, |tally| tally.entered += 1);
        self.metrics.failures.with_label_values(&[resource]);
        self.metrics.objects.with_label_values(&[resource]);
        self.health.lock().unwrap_or_else(PoisonError::into_inner).push(health.clone());
        health
    }

    /// How each is, in the order in which they were entered.
    #[must_use]
    pub fn states(&self) -> Vec<(&'static str, WatchState)> {
        let health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.iter().map(|health| (health.resource, health.state())).collect()
    }
}

impl Metrics {
    fn count(&self, resource: &'static str, change: impl FnOnce(&mut Tally)) {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = tallies.entry(resource).or_default();
        change(tally);
        let all_up = tally.entered == tally.up;
        self.up.with_label_values(&[resource]).set(i64::from(all_up));
    }
}

impl Health {
    #[must_use]
    pub fn state(&self) -> WatchState {
        self.state.borrow().clone()
    }

    /// Returns when everything was listed once, or the cluster does not have this kind.
    pub async fn listed(&self) {
        let is_listed = |state: &WatchState| match state {
            WatchState::Starting(_) => false,
            WatchState::Current | WatchState::Lost { .. } | WatchState::Absent => true,
        };
        let mut states = self.state.subscribe();
        // The sender is ours, so that it does not end before us.
        let _ = states.wait_for(is_listed).await;
    }

    /// The API server answers, and all that it has told is in force. True: that is news.
    fn works(&self) -> bool {
        self.becomes(WatchState::Current)
    }

    /// The cluster does not have this kind. True: that is news.
    fn is_absent(&self) -> bool {
        self.becomes(WatchState::Absent)
    }

    /// Listing or watching failed.
    fn fails(&self, why: String, now: Timestamp) {
        self.metrics.failures.with_label_values(&[self.resource]).inc();
        let state = match self.state() {
            WatchState::Starting(_) => WatchState::Starting(Some(why)),
            WatchState::Lost { since, .. } => WatchState::Lost { since, why },
            WatchState::Current | WatchState::Absent => WatchState::Lost { since: now, why },
        };
        self.becomes(state);
    }

    /// How many objects are in force.
    fn counts(&self, objects: usize) {
        let now = i64::try_from(objects).unwrap_or(i64::MAX);
        let before = self.objects.swap(now, Ordering::Relaxed);
        self.metrics.objects.with_label_values(&[self.resource]).add(now - before);
    }

    fn becomes(&self, state: WatchState) -> bool {
        let is_up = state.is_up();
        let before = self.state();
        if before == state {
            return false;
        }
        self.state.send_replace(state);
        match (before.is_up(), is_up) {
            (false, true) => self.metrics.count(self.resource, |tally| tally.up += 1),
            (true, false) => self.metrics.count(self.resource, |tally| tally.up -= 1),
            (true, true) | (false, false) => {}
        }
        true
    }
}

/// How a kind is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Every API server has it, or we installed it; that it is missing is a loss.
    Expected,
    /// Its CRD may be missing, or come later; it is looked for again.
    Optional,
}

/// Until the process ends.
pub async fn follow<K>(api: Api<K>, presence: Presence, health: Health, sink: impl Sink<K>)
where
    K: kube::Resource + Clone + fmt::Debug + DeserializeOwned + Send + 'static,
    K::DynamicType: Clone + Default,
{
    Driver::new(api, presence, health, sink).run().await;
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("resource", &self.resource).field("state", &self.state()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}
