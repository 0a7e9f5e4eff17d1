//! Pods as the record that all replicas share: which digests run in which namespace, and what its tags named when they
//! were pulled.
//!
//! Of a Pod are kept its namespace, its node, and of each container the image as written (`spec`) beside the `imageID` that
//! the kubelet reports (`status.*ContainerStatuses`); a container without one has not run and is no record. An `imageID`
//! without a repository (`sha256:...`) is the digest of a configuration, not of a manifest, and is passed over. Pods that
//! have ended count for as long as they exist. Who may write `pods/status` is trusted by this, as by Kubernetes.

use std::sync::Arc;

use jiff::Timestamp;

use crate::image::{Digest, Platform, Reference};

use super::connection::Connection;
use super::nodes::Nodes;
use super::watching::Health;

/// What runs where. Without a cluster it knows of nothing.
#[derive(Debug, Default)]
pub struct Pods {}

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
    pub fn running(&self, _namespace: &str, _digest: &Digest, _nodes: &Nodes) -> Option<Running> {
        None
    }

    /// Of the oldest Pod of this namespace that names the image so, what it was given. `address`: repository and tag.
    #[must_use]
    pub fn pulled_in(&self, _namespace: &str, _address: &Reference) -> Option<Pulled> {
        None
    }

    /// The same of the oldest Pod of all namespaces that `counts` lets count.
    #[must_use]
    pub fn pulled(&self, _address: &Reference, _counts: impl Fn(&str) -> bool) -> Option<Pulled> {
        None
    }
}

/// Keeps them up with the cluster, until the process ends.
pub async fn follow(_connection: Connection, _health: Health, _pods: Arc<Pods>) {
    todo!("pods")
}
