//! What a cluster holds: policies, namespaces, pull secrets, scan reports, nodes and Pods.
//!
//! Either it is read from files that stand for it ([`manifests`]), or from an API server ([`connection`]): by watches that
//! keep up with it ([`watching`] and the rooms beside it), and by single reads of Secrets, which are never listed. Reviews
//! see snapshots and wait for no API server; a namespace that no watch has brought yet is the one exception, within bounds.
//! What was known stays in force while a watch is lost, and that it is lost is said.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::policy::document::{Mistake, Node};

use super::scan::objects::Objects;
use super::scope::Namespaces;

use pods::Pods;
use pull_secrets::PullSecrets;

pub use manifests::{Manifests, files, fingerprint, fingerprint_of, read, read_bounded, read_text};

pub mod connection;
pub mod manifests;
pub mod namespaces;
pub mod nodes;
pub mod pods;
pub mod policies;
pub mod pull_secrets;
pub mod reports;
pub mod secrets;
pub mod watching;

/// What is known of a cluster beside its policies: of manifests all of one moment, of a live one each part as far as its
/// watch is.
#[derive(Debug, Default)]
pub struct Cluster {
    pub namespaces: Arc<Namespaces>,
    pub pull_secrets: PullSecrets,
    /// `VulnerabilityReport` objects of the namespaces that are trusted for them.
    pub scan_objects: Arc<ArcSwap<Objects>>,
    pub pods: Arc<Pods>,
    /// Namespaces where nothing is judged: their Pods are no record for others.
    pub exempt: Arc<BTreeSet<String>>,
}

/// Where our own namespace is told, by the downward API.
pub(crate) const NAMESPACE_VARIABLE: &str = "POD_NAMESPACE";
/// Where the manifests that we ship put us.
pub(crate) const NAMESPACE: &str = "pratique-system";

/// In a cluster the namespace of our own pod.
#[must_use]
pub fn own_namespace() -> String {
    std::env::var(NAMESPACE_VARIABLE).ok().filter(|name| !name.is_empty()).unwrap_or_else(|| NAMESPACE.to_owned())
}

fn told(node: &Node, source: &str, path: &str, message: String) -> Mistake {
    Mistake { source: source.to_owned(), line: node.line, path: path.to_owned(), message }
}
