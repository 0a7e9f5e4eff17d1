//! One file: it is read, and what it is is written down in the index.
//!
//! A file that was whole and is now empty or cut off is being rewritten: what it said stays in force, where that is in
//! memory. What the system could not read, or what is away with its whole folder, stays known as it was.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::choose::SETTLES;
use super::file::{self, Outcome};
use super::index::{Entry, Index, Rewriting, State, Version};
use super::walk::{Seen, Stamp};
use super::{Directories, joined};
use crate::fact::report::{Defect, Report, Unusable};

/// Times of files are as coarse as this on some file systems: what was written since need not show.
const COARSE: Duration = Duration::from_secs(2);
/// Bytes of reports that are kept because their files are being rewritten.
const PINNED: usize = 8 << 20;

/// A file to be read, and no more of it than that takes: at first these are all files.
#[derive(Debug)]
pub(super) struct Changed {
    pub(super) path: Box<Path>,
    pub(super) modified: SystemTime,
    pub(super) root: u16,
    pub(super) link: bool,
}

impl Changed {
    pub(super) fn new(root: u16, Seen { path, stamp, link }: Seen) -> Self {
        Self { path: path.into_boxed_path(), modified: stamp.modified(), root, link }
    }
}

impl Directories {
    /// Reads a file, and writes down what it is.
    pub(super) fn read_one(&self, changed: Changed, settle: bool) {
        let Changed { path, modified: _, root, link } = changed;
        let full = joined(self.root(root), &path);
        let below = !path.as_os_str().is_empty();
        let entry = |path: Box<Path>, stamp: Stamp| {
            let recent = SystemTime::now().duration_since(stamp.modified()).is_ok_and(|age| age < COARSE);
            Entry { root, path: path.into(), stamp, recent, link }
        };
        match file::read_of(self.root(root), below, &full) {
            Outcome::Gone if fs::symlink_metadata(&full).is_ok() => {
                let words = "it is a link that leads nowhere";
                self.put(entry(path, Stamp::at(&full)), Err(Unusable::new(Defect::Unreadable, words)));
            }
            // If its whole root is away, what it said stays known.
            Outcome::Gone if fs::metadata(self.root(root)).is_err() => {}
            Outcome::Gone => {
                let known = self.index().find(root, &path);
                if let Some(file) = known {
                    self.change(|index| index.remove(file));
                }
            }
            Outcome::Changed { stamp } => {
                let words = "it was written to while it was read";
                // So that it is read again whatever its times say.
                let entry = Entry { recent: true, ..entry(path, stamp) };
                self.put_unsettled(entry, Unusable::new(Defect::Truncated, words), settle);
            }
            Outcome::Trouble(kind) => {
                let is_known = {
                    let index = self.index();
                    let file = index.find(root, &path);
                    file.and_then(|file| index.get(file)).is_some_and(|slot| slot.state == State::Usable)
                };
                // What it said stays known, and it is read again with the next look.
                if !is_known {
                    let unusable = Unusable::new(Defect::Unreadable, format!("it cannot be read: {kind}"));
                    self.put(entry(path, Stamp::at(&full)), Err(unusable));
                }
            }
            Outcome::Read { stamp, report } => match *report {
                Err(unusable) if matches!(unusable.defect, Defect::Empty | Defect::Truncated) => {
                    self.put_unsettled(entry(path, stamp), unusable, settle);
                }
                other => self.put(entry(path, stamp), other),
            },
        }
    }

    fn put(&self, entry: Entry, read: Result<Report, Unusable>) {
        let before = self.version(&entry);
        let version = self.change(|index| index.put(entry, &read));
        if let Some(before) = before {
            self.findings.forget(before);
        }
        if let Ok(report) = read {
            self.findings.keep(version, Arc::new(report));
        }
    }

    /// A file that is half-written, or only half a file.
    fn put_unsettled(&self, entry: Entry, unusable: Unusable, settle: bool) {
        let now = SystemTime::now();
        let since = entry.stamp.written().min(now);
        let young = !settle && since + SETTLES > now;
        let usable = {
            let index = self.index();
            let known = index.find(entry.root, &entry.path).and_then(|file| index.get(file).map(|slot| (file, slot)));
            known.filter(|(_, slot)| slot.state == State::Usable).map(|(file, slot)| Index::version(file, slot))
        };
        let report = usable.and_then(|version| self.pin(version));
        if young || report.is_some() {
            let rewriting = Rewriting { report, unusable: Arc::new(unusable), since };
            self.change(|index| index.put_unsettled(entry, rewriting));
        } else {
            self.put(entry, Err(unusable));
        }
    }

    /// What a file said that is being rewritten, if that is in memory, and there is room to keep it.
    fn pin(&self, version: Version) -> Option<Arc<Report>> {
        let weight = {
            let index = self.index();
            if let Some(rewriting) = index.rewriting(version.file) {
                // What was not in memory then is not now: there is no file of it any more.
                return rewriting.report.clone();
            }
            index.pinned()
        };
        // Beyond it nothing is looked for either: all files may be rewritten at once.
        if weight >= PINNED {
            return None;
        }
        let report = self.findings.get(version).or_else(|| self.recall.report(version))?;
        (weight + report.weight() <= PINNED).then_some(report)
    }

    fn version(&self, entry: &Entry) -> Option<Version> {
        let index = self.index();
        let file = index.find(entry.root, &entry.path)?;
        index.get(file).map(|slot| Index::version(file, slot))
    }
}
