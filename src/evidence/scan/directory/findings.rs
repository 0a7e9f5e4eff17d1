//! Whole reports in memory, as many as there is room for, and the reading of those that are not: each once, however many
//! ask.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use moka::sync::Cache;
use tokio::sync::watch;

use super::index::Version;
use crate::fact::report::Report;

/// What an entry costs beside the report: moka's own books, measured at about this.
const OVERHEAD: usize = 160;

/// What became of reading a report for its findings.
#[derive(Debug, Clone)]
pub(super) enum Loaded {
    Report(Arc<Report>),
    /// The file is not what it was: the index has been told, and is to be asked again.
    Changed,
    /// The system cannot read it now; a clause.
    Trouble(Arc<str>),
}

type Flights = Mutex<HashMap<Version, watch::Receiver<Option<Loaded>>>>;

#[derive(Debug)]
pub(super) struct Findings {
    kept: Cache<Version, Arc<Report>>,
    flights: Arc<Flights>,
}

/// Ends with the look-up, also with one that panics.
struct Landing {
    flights: Arc<Flights>,
    version: Version,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.version);
    }
}

pub(super) fn weight(bytes: usize) -> u32 {
    u32::try_from(bytes.saturating_add(OVERHEAD)).unwrap_or(u32::MAX)
}

impl Findings {
    pub(super) fn new(bytes: u64) -> Self {
        let weigher = |_: &Version, report: &Arc<Report>| weight(report.weight());
        Self { kept: Cache::builder().max_capacity(bytes).weigher(weigher).build(), flights: Arc::default() }
    }

    pub(super) fn get(&self, version: Version) -> Option<Arc<Report>> {
        self.kept.get(&version)
    }

    pub(super) fn keep(&self, version: Version, report: Arc<Report>) {
        self.kept.insert(version, report);
    }

    pub(super) fn forget(&self, version: Version) {
        self.kept.invalidate(&version);
    }

    /// What `load` comes to, or the same that is under way. None: it ended without a word, which only a panic does.
    pub(super) async fn load<F>(&self, version: Version, load: impl FnOnce() -> F) -> Option<Loaded>
    where
        F: Future<Output = Loaded> + Send + 'static,
    {
        let mut flight = self.join(version, load);
        flight.wait_for(Option::is_some).await.ok().and_then(|loaded| loaded.clone())
    }

    fn join<F>(&self, version: Version, load: impl FnOnce() -> F) -> watch::Receiver<Option<Loaded>>
    where
        F: Future<Output = Loaded> + Send + 'static,
    {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&version) {
            return flight.clone();
        }
        let (sender, receiver) = watch::channel(None);
        flights.insert(version, receiver.clone());
        drop(flights);
        let landing = Landing { flights: Arc::clone(&self.flights), version };
        let kept = self.kept.clone();
        let work = load();
        // A task of its own: who asked may hang up, and others wait for the same.
        tokio::spawn(async move {
            let loaded = work.await;
            if let Loaded::Report(report) = &loaded {
                kept.insert(version, Arc::clone(report));
            }
            drop(landing);
            sender.send_replace(Some(loaded));
        });
        receiver
    }
}

#[cfg(test)]
impl Findings {
    /// What does not fit is gone at once.
    pub(super) fn run_pending(&self) {
        self.kept.run_pending_tasks();
    }
}
