//! Watches: one driver for all kinds, which keeps a sink up with the API server for as long as the process lives.
//!
//! It lists in pages and watches with bookmarks; after a loss it goes on where it was, and after `410 Gone` lists anew.
//! A sink is never told less than it had: what is listed anew replaces the old in one step. A loss changes nothing that is
//! in force; it is said in `/readyz`, in the log once, and in `pratique_watch_up`.

use std::fmt;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use kube::Api;
use prometheus::{IntCounterVec, IntGaugeVec};
use serde::de::DeserializeOwned;

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

/// How one watch is, for those who ask and for the driver who tells. All clones are one.
#[derive(Clone)]
pub struct Health {
    /// As in messages and in the metric label: `imagepolicies`, `namespaces`, `nodes`, `pods`, `vulnerabilityreports`.
    resource: &'static str,
    state: Arc<ArcSwap<WatchState>>,
    metrics: Metrics,
}

#[derive(Clone)]
struct Metrics {
    up: IntGaugeVec,
    failures: IntCounterVec,
    objects: IntGaugeVec,
}

/// All watches of the process.
#[derive(Debug)]
pub struct Watches {
    metrics: Metrics,
    health: Mutex<Vec<Health>>,
}

/// What becomes of what is watched. Called from one task, in the order of the API server.
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
    pub fn new(_registry: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        todo!("watching")
    }

    /// One more watch, starting.
    pub fn enter(&self, _resource: &'static str) -> Health {
        todo!("watching")
    }

    /// How each is, in the order in which they were entered.
    #[must_use]
    pub fn states(&self) -> Vec<(&'static str, WatchState)> {
        todo!("watching")
    }
}

impl Health {
    #[must_use]
    pub fn state(&self) -> WatchState {
        WatchState::clone(&self.state.load())
    }

    /// Returns when everything was listed once, or the cluster does not have this kind.
    pub async fn listed(&self) {
        todo!("watching")
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
pub async fn follow<K>(_api: Api<K>, _presence: Presence, _health: Health, _sink: impl Sink<K>)
where
    K: kube::Resource + Clone + fmt::Debug + DeserializeOwned + Send + 'static,
    K::DynamicType: Clone + Default,
{
    todo!("watching")
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("resource", &self.resource).field("state", &self.state.load()).finish()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}
