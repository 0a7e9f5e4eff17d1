//! Pods as the record that all replicas share: which digests run in which namespace, and what its tags named when they
//! were pulled.
//!
//! Of a Pod are kept its namespace, its node, and of each container the image as written (`spec`) beside the `imageID` that
//! the kubelet reports (`status.*ContainerStatuses`); a container without one has not run and is no record. An `imageID`
//! without a repository (`sha256:...`) is the digest of a configuration, not of a manifest, and is passed over. Pods that
//! have ended count for as long as they exist. Who may write `pods/status` is trusted by this, as by Kubernetes.
//!
//! While the image of a running Pod is changed, `spec` names the new one and the `imageID` is still that of the old one.
//! Therefore what a tag named is only told by Pods that were never changed (`metadata.generation`), or whose status names
//! the image as `spec` does.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use kube::Api;

use crate::image::{Digest, Platform, Reference};

use super::connection::Connection;
use super::nodes::Nodes;
use super::watching::{self, Health, Presence, Sink};

use index::Index;
use object::Pod;
use pool::Pool;
use record::Record;

mod index;
mod object;
mod pool;
mod record;
#[cfg(test)]
mod tests;

/// What runs where. Without a cluster it knows of nothing.
#[derive(Debug, Default)]
pub struct Pods {
    index: ArcSwap<Index>,
}

/// A digest runs in a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// When the first of the Pods that run it was created.
    pub first: Timestamp,
    /// Of the nodes that they are on; none twice. A node of which nobody knows the platform adds none.
    pub platforms: Vec<Platform>,
}

/// What a tag named when it was pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    pub namespace: Arc<str>,
    pub digest: Digest,
    /// When the Pod was created.
    pub at: Timestamp,
}

impl Pods {
    /// Whether this digest runs in the namespace.
    #[must_use]
    pub fn running(&self, namespace: &str, digest: &Digest, nodes: &Nodes) -> Option<Running> {
        self.index.load().running(namespace, digest, nodes)
    }

    /// Of the oldest Pod of this namespace that names the image so, what it was given. `address`: repository and tag.
    #[must_use]
    pub fn pulled_in(&self, namespace: &str, address: &Reference) -> Option<Pulled> {
        self.index.load().pulled_in(namespace, address)
    }

    /// The same of the oldest Pod of all namespaces that `counts` lets count.
    #[must_use]
    pub fn pulled(&self, address: &Reference, counts: impl Fn(&str) -> bool) -> Option<Pulled> {
        self.index.load().pulled(address, counts)
    }
}

/// Keeps them up with the cluster, until the process ends.
pub async fn follow(connection: Connection, health: Health, pods: Arc<Pods>) {
    let api: Api<Pod> = Api::all(connection.client());
    watching::follow(api, Presence::Expected, health, Recorded::new(pods)).await;
}

/// What the watch tells, as records; after each change the new index is there for all.
struct Recorded {
    pods: Arc<Pods>,
    book: index::Book,
    /// What is listed now; in force when it is complete.
    listed: index::Book,
    pool: Pool,
}

impl Recorded {
    fn new(pods: Arc<Pods>) -> Self {
        Self { pods, book: index::Book::default(), listed: index::Book::default(), pool: Pool::default() }
    }

    fn publish(&self) {
        self.pods.index.store(Arc::new(self.book.index().clone()));
    }
}

impl Sink<Pod> for Recorded {
    fn restart(&mut self) {
        self.listed = index::Book::default();
    }

    fn list(&mut self, object: Pod) {
        if let Some(record) = Record::of(&object, &mut self.pool) {
            self.listed.insert(record);
        }
    }

    fn complete(&mut self) {
        self.book = std::mem::take(&mut self.listed);
        self.publish();
        self.pool.sweep();
    }

    fn apply(&mut self, object: Pod) {
        if let Some(record) = Record::of(&object, &mut self.pool)
            && self.book.insert(record)
        {
            self.publish();
        }
    }

    fn delete(&mut self, object: Pod) {
        if let Some(uid) = record::uid_of(&object)
            && self.book.remove(&uid)
        {
            self.publish();
        }
    }

    fn len(&self) -> usize {
        self.book.len()
    }
}
