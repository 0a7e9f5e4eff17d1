//! What nodes are: their platforms, as `status.nodeInfo` and the labels `kubernetes.io/os` and `kubernetes.io/arch` say.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rpds::HashTrieMapSync;

use crate::image::Platform;

use super::connection::Connection;
use super::watching::Health;

/// The platforms of the nodes at each moment; with what the settings add.
#[derive(Debug)]
pub struct Nodes {
    /// Of the settings: always among them.
    added: Arc<[Platform]>,
    known: ArcSwap<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_name: HashTrieMapSync<Arc<str>, Platform>,
    /// Each once, those of the settings first.
    platforms: Arc<[Platform]>,
}

impl Nodes {
    /// Without any node: what the settings say.
    #[must_use]
    pub fn new(added: Arc<[Platform]>) -> Self {
        let known = Known { by_name: HashTrieMapSync::default(), platforms: Arc::clone(&added) };
        Self { added, known: ArcSwap::from_pointee(known) }
    }

    /// Every platform of a node; empty where nobody knows.
    #[must_use]
    pub fn platforms(&self) -> Arc<[Platform]> {
        Arc::clone(&self.known.load().platforms)
    }

    /// What this node is. One that is not known is what all the others are, where they are all alike.
    #[must_use]
    pub fn platform(&self, _node: &str) -> Option<Platform> {
        let _ = &self.added;
        todo!("nodes")
    }
}

/// Keeps them up with the cluster, until the process ends.
pub async fn follow(_connection: Connection, _health: Health, _nodes: Arc<Nodes>) {
    todo!("nodes")
}
