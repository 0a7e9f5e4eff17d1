//! Folders of reports, indexed by digest and followed: inotify, and a look around now and then for what it misses.
//!
//! The index keeps what a report is about, and no findings: those are read again from the file when they are asked for and
//! are not in memory. What is being rewritten stays what it was until the new one is whole.

use std::path::PathBuf;
use std::sync::Arc;

use crate::evidence::store::Lookups;
use crate::fact::Fact;
use crate::fact::report::{Reports, ScannedManifest};

/// Reports below some folders.
#[derive(Debug)]
pub struct Directories {}

/// How far the index is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// It is complete: what it does not have was not there.
    pub complete: bool,
    pub read: usize,
    /// Files that were seen so far.
    pub seen: usize,
    /// What an operator should look at: a folder that cannot be read, a watch that had to become a poll.
    pub trouble: Option<String>,
}

impl Directories {
    /// Of these folders (or single files), with an empty index, and so many bytes for findings in memory.
    pub fn new(
        _paths: Vec<PathBuf>,
        _bytes: u64,
        _lookups: Lookups,
        _metrics: &prometheus::Registry,
    ) -> Result<Arc<Self>, prometheus::Error> {
        todo!()
    }

    /// Whether there is any folder at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        todo!()
    }

    /// Fills the index, once.
    pub async fn fill(self: Arc<Self>) {
        todo!()
    }

    /// Fills the index, and follows what changes until the process ends.
    pub async fn follow(self: Arc<Self>) {
        todo!()
    }

    #[must_use]
    pub fn progress(&self) -> Progress {
        todo!()
    }

    /// What there is about a manifest, without waiting and without reading a file; none where either is needed.
    #[must_use]
    pub fn at_hand(&self, _manifest: &ScannedManifest) -> Option<Fact<Arc<Reports>>> {
        todo!()
    }

    /// What there is about a manifest: waits until the index is complete, and reads the files that it takes. Absent where
    /// nothing speaks of it.
    pub async fn about(&self, _manifest: &ScannedManifest) -> Fact<Arc<Reports>> {
        todo!()
    }
}
