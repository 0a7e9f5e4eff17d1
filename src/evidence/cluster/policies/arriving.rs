//! What the watch brings, put where it is taken from when there is time: a watch must not wait for a compiler.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use kube::ResourceExt as _;
use tokio::sync::Notify;

use super::super::watching::Sink;
use super::object::ImagePolicy;

/// What happened to the policies of the cluster.
#[derive(Debug)]
pub(super) enum Change {
    /// These, and no others, are there.
    All(Vec<ImagePolicy>),
    Is(ImagePolicy),
    Gone(ImagePolicy),
}

/// Changes in their order. It holds what was written within the time that compiling the last ones took.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    changes: Mutex<Vec<Change>>,
    news: Notify,
}

/// Puts what is watched into an inbox.
#[derive(Debug)]
pub(super) struct Arriving {
    inbox: Arc<Inbox>,
    listing: Vec<ImagePolicy>,
    names: BTreeSet<String>,
}

impl Inbox {
    /// Returns when there is something to take.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    pub(super) fn take(&self) -> Vec<Change> {
        std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, change: Change) {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push(change);
        self.news.notify_one();
    }
}

impl Arriving {
    pub(super) fn new(inbox: Arc<Inbox>) -> Self {
        Self { inbox, listing: Vec::new(), names: BTreeSet::new() }
    }
}

impl Sink<ImagePolicy> for Arriving {
    fn restart(&mut self) {
        self.listing.clear();
    }

    fn list(&mut self, object: ImagePolicy) {
        self.listing.push(object);
    }

    fn complete(&mut self) {
        let all = std::mem::take(&mut self.listing);
        self.names = all.iter().map(|its| its.name_any()).collect();
        self.inbox.put(Change::All(all));
    }

    fn apply(&mut self, object: ImagePolicy) {
        self.names.insert(object.name_any());
        self.inbox.put(Change::Is(object));
    }

    fn delete(&mut self, object: ImagePolicy) {
        self.names.remove(&object.name_any());
        self.inbox.put(Change::Gone(object));
    }

    fn len(&self) -> usize {
        self.names.len()
    }
}
