//! Folders of reports, indexed by digest and followed: inotify, and a look around now and then for what it misses.
//!
//! The index keeps what a report is about, and no findings: those are read again from the file when they are asked for and
//! are not in memory. What is being rewritten stays what it was until the new one is whole. Files are read on threads of
//! their own, two at a time, large ones alone. A folder that cannot be looked at is doubt: what is not known may be there.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use jiff::Timestamp;
use prometheus::IntGaugeVec;
use tokio::sync::{Semaphore, watch};

use self::findings::Findings;
use self::index::Index;
use self::recall::{Recall, Selection};
use crate::evidence::store::Lookups;
use crate::fact::report::{Origin, Reports, ScannedManifest};
use crate::fact::{Fact, Fault, Trouble};
use crate::request::printable;

mod choose;
mod file;
mod findings;
mod follow;
mod index;
pub mod list;
mod look;
mod recall;
mod record;
#[cfg(test)]
mod tests;
mod walk;

/// Files that are read at the same time.
const READERS: usize = 2;
/// Bytes of a path that people are shown.
const SHOWN: usize = 512;

/// Reports below some folders.
#[derive(Debug)]
pub struct Directories {
    roots: Box<[PathBuf]>,
    index: RwLock<Index>,
    /// Goes up with every change of the index, and of what is doubted.
    generation: AtomicU64,
    changes: watch::Sender<()>,
    /// Whether everything was looked at once.
    complete: watch::Sender<bool>,
    is_complete: AtomicBool,
    /// Why something may be there that the index does not have.
    doubt: RwLock<Option<Trouble>>,
    trouble: Mutex<Told>,
    findings: Findings,
    recall: Recall,
    readers: Arc<Semaphore>,
    /// One at a time changes the index, from looking at a file to writing down what was seen.
    looking: tokio::sync::Mutex<()>,
    seen: AtomicUsize,
    read: AtomicUsize,
    gauge: IntGaugeVec,
    lookups: Lookups,
    /// For work that outlives who asked for it.
    own: Weak<Self>,
}

/// What an operator should look at.
#[derive(Debug, Default)]
struct Told {
    folders: Option<String>,
    files: Option<String>,
    watch: Option<String>,
}

/// How far the index is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Everything was looked at once, and stays so: what the index does not have was not there, but for what `trouble`
    /// tells; of that, what is asked is unavailable and never absent.
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
        paths: Vec<PathBuf>,
        bytes: u64,
        lookups: Lookups,
        metrics: &prometheus::Registry,
    ) -> Result<Arc<Self>, prometheus::Error> {
        let gauge = super::reports_gauge(metrics, Origin::Directory)?;
        let empty = paths.is_empty();
        let directories = |own: &Weak<Self>| Self {
            roots: paths.into(),
            index: RwLock::new(Index::new()),
            generation: AtomicU64::new(0),
            changes: watch::Sender::new(()),
            complete: watch::Sender::new(empty),
            is_complete: AtomicBool::new(empty),
            doubt: RwLock::default(),
            trouble: Mutex::default(),
            findings: Findings::new(bytes / 2),
            recall: Recall::new(bytes / 2),
            readers: Arc::new(Semaphore::new(READERS)),
            looking: tokio::sync::Mutex::default(),
            seen: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
            gauge,
            lookups,
            own: Weak::clone(own),
        };
        let directories = Arc::new_cyclic(directories);
        directories.show();
        Ok(directories)
    }

    /// Whether there is any folder at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// Fills the index, once. Nobody looks again: what is half-written now has failed.
    pub async fn fill(self: Arc<Self>) {
        self.look_around(true).await;
    }

    /// Fills the index, and follows what changes until the process ends.
    pub async fn follow(self: Arc<Self>) {
        if self.is_empty() {
            return std::future::pending().await;
        }
        follow::follow(self).await;
    }

    #[must_use]
    pub fn progress(&self) -> Progress {
        let Told { folders, files, watch } = &*self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let told: Vec<&str> = [folders, files, watch].into_iter().flatten().map(String::as_str).collect();
        Progress {
            complete: self.is_complete.load(Ordering::Acquire),
            read: self.read.load(Ordering::Relaxed),
            seen: self.seen.load(Ordering::Relaxed),
            trouble: (!told.is_empty()).then(|| told.join("; ")),
        }
    }

    /// What there is about a manifest, without waiting and without reading a file; none where either is needed.
    #[must_use]
    pub fn at_hand(&self, manifest: &ScannedManifest) -> Option<Fact<Arc<Reports>>> {
        let now = Timestamp::now();
        if self.is_empty() {
            return Some(Fact::Absent(now));
        }
        if !self.is_complete.load(Ordering::Acquire) {
            return None;
        }
        match self.select(manifest, &[], now) {
            Selection::Ready(fact) => {
                self.lookups.count(true);
                Some(fact)
            }
            Selection::Read(_) | Selection::Wait(_) => None,
        }
    }

    /// What there is about a manifest: waits until the index is complete, and reads the files that it takes. Absent where
    /// nothing speaks of it.
    pub async fn about(&self, manifest: &ScannedManifest) -> Fact<Arc<Reports>> {
        let now = Timestamp::now();
        if self.is_empty() {
            return Fact::Absent(now);
        }
        if self.complete.subscribe().wait_for(|complete| *complete).await.is_err() {
            return Fact::Pending;
        }
        self.recalled(manifest).await
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the index; whoever waits for a change looks again.
    fn change<T>(&self, change: impl FnOnce(&mut Index) -> T) -> T {
        let mut index: RwLockWriteGuard<'_, Index> = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut index);
        // Before anybody can read what was changed.
        self.generation.fetch_add(1, Ordering::Release);
        drop(index);
        self.changes.send_replace(());
        changed
    }

    fn doubts(&self, doubt: Option<Trouble>) {
        let mut doubted = self.doubt.write().unwrap_or_else(PoisonError::into_inner);
        if *doubted != doubt {
            *doubted = doubt;
            drop(doubted);
            self.changes.send_replace(());
        }
    }

    fn tell(&self, tell: impl FnOnce(&mut Told)) {
        tell(&mut self.trouble.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether everything could be looked at.
    fn is_undoubted(&self) -> bool {
        self.doubt.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn root(&self, root: u16) -> &Path {
        self.roots.get(usize::from(root)).map_or(Path::new(""), PathBuf::as_path)
    }

    /// Where a file is, for people.
    fn place(&self, root: u16, path: &Path) -> Arc<str> {
        shown(&joined(self.root(root), path)).into()
    }
}

/// A root that is a file has no path below it.
fn joined(root: &Path, path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() { root.to_owned() } else { root.join(path) }
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy(), SHOWN)
}

fn outage(words: impl Into<Arc<str>>) -> Trouble {
    Trouble::new(Fault::Outage, words)
}
