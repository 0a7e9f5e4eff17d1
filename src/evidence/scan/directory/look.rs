//! Looking: at everything below the folders, or at a few files, and writing down in the index what was seen.
//!
//! Files that are as they were are not read again. What was moved is found at its new place before it is given up at its
//! old one.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use futures_util::future::join_all;

use super::choose::SETTLES;
use super::index::{Index, State, Version};
use super::record::Changed;
use super::walk::{self, Doubts, FILES, Named, Seen, Stamp};
use super::{Directories, READERS, joined, outage, shown};
use crate::fact::report::Defect;

/// Files that one reader takes at a time: a question that needs a file waits for no more than these.
const BATCH: usize = 16;
/// What is counted.
const DEFECTS: [Defect; 10] = [
    Defect::Empty,
    Defect::Truncated,
    Defect::Malformed,
    Defect::NotAReport,
    Defect::NothingScanned,
    Defect::BeyondBounds,
    Defect::Future,
    Defect::PlatformUnknown,
    Defect::OtherImage,
    Defect::Unreadable,
];

/// What is to be done after looking.
#[derive(Debug, Default)]
struct Work {
    changed: Vec<Changed>,
    gone: Vec<u32>,
    /// Half-written files that nobody looks at again, or that had their time.
    settle: bool,
}

/// Which files were met.
#[derive(Debug, Default)]
struct Met(Vec<bool>);

impl Met {
    fn add(&mut self, file: u32) {
        let place = usize::try_from(file).unwrap_or(usize::MAX);
        if let Some(met) = self.0.get_mut(place) {
            *met = true;
        }
    }

    fn has(&self, file: u32) -> bool {
        // One that came later was met by whoever put it there.
        usize::try_from(file).ok().and_then(|place| self.0.get(place)).copied().unwrap_or(true)
    }
}

impl Directories {
    /// Looks at everything. `settle`: nobody will look again.
    pub(super) async fn look_around(self: &Arc<Self>, settle: bool) {
        let _alone = self.looking.lock().await;
        let own = Arc::clone(self);
        let looked = tokio::task::spawn_blocking(move || own.look_at_roots(settle)).await;
        let Ok(work) = looked else {
            self.doubts(Some(outage(
                "a fault inside Pratique while it looked at the folders of scan reports, see its log",
            )));
            return;
        };
        self.work(work).await;
        let files = self.index().files();
        self.seen.store(files, Ordering::Relaxed);
        self.read.store(files, Ordering::Relaxed);
        self.is_complete.store(true, Ordering::Release);
        self.complete.send_replace(true);
    }

    /// Looks at a few files; whether something else than files of reports was there, and all must be looked at. `only`:
    /// only while that is still what is known.
    pub(super) async fn look_at(self: &Arc<Self>, paths: Vec<(u16, PathBuf)>, only: Option<Version>) -> bool {
        let _alone = self.looking.lock().await;
        let is_known = |version: &Version| {
            let index = self.index();
            index.get(version.file).is_some_and(|slot| Index::version(version.file, slot) == *version)
        };
        // Somebody else was told of the same, and looked.
        if only.is_some_and(|version| !is_known(&version)) {
            return false;
        }
        let (own, forced) = (Arc::clone(self), only.is_some());
        let looked = tokio::task::spawn_blocking(move || own.look_at_names(paths, forced)).await;
        let Ok((work, all)) = looked else { return true };
        self.work(work).await;
        all
    }

    /// Half-written files that had their time are read once more, and are then what they are. When the next has had it.
    pub(super) async fn settle(self: &Arc<Self>) -> Option<SystemTime> {
        let _alone = self.looking.lock().await;
        let now = SystemTime::now();
        let due: Vec<Changed> = {
            let index = self.index();
            let waiting = index.all_rewriting().filter(|(_, its)| its.report.is_none() && its.since + SETTLES <= now);
            let slots = waiting.filter_map(|(file, _)| index.get(file));
            slots.map(|slot| Changed::new(slot.root, self.seen(slot.root, Index::path(slot)))).collect()
        };
        if !due.is_empty() {
            self.work(Work { changed: due, gone: Vec::new(), settle: false }).await;
        }
        let index = self.index();
        let waiting = index.all_rewriting().filter(|(_, its)| its.report.is_none());
        waiting.map(|(_, its)| its.since + SETTLES).min()
    }

    /// How many reports there are of each kind.
    pub(super) fn show(&self) {
        let index = self.index();
        let set = |label, state| {
            let count = i64::try_from(index.count(state)).unwrap_or(i64::MAX);
            self.gauge.with_label_values(&[label]).set(count);
        };
        set("usable", State::Usable);
        for defect in DEFECTS {
            set(defect.label(), State::Unusable(defect));
        }
    }

    fn seen(&self, root: u16, path: &Path) -> Seen {
        let full = joined(self.root(root), path);
        let link = fs::symlink_metadata(&full).is_ok_and(|metadata| metadata.is_symlink());
        Seen { path: path.to_owned(), stamp: Stamp::at(&full), link }
    }

    fn look_at_roots(&self, settle: bool) -> Work {
        let mut work = Work { settle, ..Work::default() };
        let (mut told, mut incomplete, mut left) = (Vec::new(), false, FILES);
        for root in 0..u16::try_from(self.roots.len()).unwrap_or(u16::MAX) {
            let doubts = self.look_at_root(root, &mut left, &mut work);
            incomplete |= doubts.incomplete;
            told.extend(doubts.words.map(|words| format!("{}: {words}", shown(self.root(root)))));
        }
        work.changed.sort_by_key(|changed| Reverse(changed.modified));
        let words = (!told.is_empty()).then(|| told.join("; "));
        let doubt = words
            .as_ref()
            .filter(|_| incomplete)
            .map(|words| outage(format!("not all scan reports can be looked at ({words})")));
        self.tell(|its| its.folders = words);
        self.doubts(doubt);
        work
    }

    fn look_at_root(&self, root: u16, left: &mut usize, work: &mut Work) -> Doubts {
        let given = self.root(root);
        let mut doubts = Doubts::default();
        let canonical = fs::canonicalize(given).and_then(|path| fs::metadata(&path).map(|metadata| (path, metadata)));
        let (canonical, metadata) = match canonical {
            Ok(found) => found,
            Err(error) => {
                // What was below it stays known: a volume that is away for a moment takes no report with it.
                doubts.incomplete = true;
                doubts.words = Some(walk::unreadable(&error));
                return doubts;
            }
        };
        let mut met = Met(vec![false; self.index().end()]);
        let most = *left;
        let mut take = |seen: Seen| {
            *left = left.saturating_sub(1);
            self.seen.fetch_add(usize::from(!self.is_complete.load(Ordering::Relaxed)), Ordering::Relaxed);
            let index = self.index();
            let known = index.find(root, &seen.path).and_then(|file| index.get(file).map(|slot| (file, slot)));
            if let Some((file, slot)) = known {
                met.add(file);
                if index.is_unchanged(slot, &seen.stamp) {
                    return;
                }
            }
            drop(index);
            work.changed.push(Changed::new(root, seen));
        };
        if metadata.is_dir() {
            doubts = walk::walk(&canonical, most, &mut take);
        } else {
            take(self.seen(root, Path::new("")));
        }
        let doubted: HashSet<&Path> = doubts.folders.iter().map(PathBuf::as_path).collect();
        let is_doubted = |path: &Path| path.ancestors().any(|folder| doubted.contains(folder));
        let index = self.index();
        let gone = index.of_root(root).filter(|(file, slot)| !met.has(*file) && !is_doubted(Index::path(slot)));
        work.gone.extend(gone.map(|(file, _)| file));
        doubts
    }

    fn look_at_names(&self, paths: Vec<(u16, PathBuf)>, forced: bool) -> (Work, bool) {
        let (mut work, mut all) = (Work::default(), false);
        for (root, path) in paths {
            let full = joined(self.root(root), &path);
            let known = self.index().find(root, &path);
            let Ok(metadata) = fs::symlink_metadata(&full) else {
                // That a root itself is away is looked at with everything.
                all |= fs::metadata(self.root(root)).is_err();
                work.gone.extend(known.filter(|_| !all));
                continue;
            };
            let seen = match walk::look(self.root(root), path.clone(), &metadata) {
                _ if path.as_os_str().is_empty() => self.seen(root, &path),
                Named::Report(seen) => seen,
                Named::Folder | Named::Other => {
                    all = true;
                    continue;
                }
            };
            let index = self.index();
            let slot = known.and_then(|file| index.get(file));
            let unchanged = slot.is_some_and(|slot| index.is_unchanged(slot, &seen.stamp));
            let no_room = slot.is_none() && index.files() >= FILES;
            drop(index);
            if no_room {
                all = true;
            } else if forced || !unchanged {
                work.changed.push(Changed::new(root, seen));
            }
        }
        (work, all)
    }

    /// Reads what has changed, newest first, and then forgets what is gone.
    async fn work(self: &Arc<Self>, work: Work) {
        let Work { changed, gone, settle } = work;
        let queue = Arc::new(Mutex::new(changed.into_iter()));
        let reader = || async {
            loop {
                let Ok(permit) = Arc::clone(&self.readers).acquire_owned().await else { return };
                let batch: Vec<_> = queue.lock().unwrap_or_else(PoisonError::into_inner).by_ref().take(BATCH).collect();
                if batch.is_empty() {
                    return;
                }
                let own = Arc::clone(self);
                let read = tokio::task::spawn_blocking(move || {
                    let _permit = permit;
                    for changed in batch {
                        own.read_one(changed, settle);
                        own.read.fetch_add(1, Ordering::Relaxed);
                    }
                    own.show();
                });
                if read.await.is_err() {
                    self.tell(|told| {
                        told.files = Some("a fault inside Pratique while it read files, see its log".to_owned());
                    });
                }
            }
        };
        join_all((0..READERS).map(|_| reader())).await;
        if !gone.is_empty() {
            let versions: Vec<_> = {
                let index = self.index();
                gone.iter().filter_map(|file| index.get(*file).map(|slot| Index::version(*file, slot))).collect()
            };
            for some in gone.chunks(BATCH) {
                self.change(|index| some.iter().for_each(|file| index.remove(*file)));
            }
            for version in versions {
                self.findings.forget(version);
            }
        }
        self.show();
    }
}
