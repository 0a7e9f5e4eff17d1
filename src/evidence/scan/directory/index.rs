//! What every file is about, without its findings: small, since there may be hundreds of thousands.
//!
//! A digest is kept as eight bytes of a keyed hash, a path once, and what many reports share by number. So a digest may be
//! found that is not there, once in some 10^13 look-ups: the report itself is asked again before it counts.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;

use self::links::Links;
use self::number::{NONE, half};
use self::shared::Shared;
pub(super) use self::slots::Slot;
use self::slots::Slots;
use super::walk::Stamp;
use crate::fact::report::{Defect, Outline, Report, Scanner, ScannerKind, Unusable};
use crate::image::{Digest, Platform};

mod links;
mod number;
mod shared;
mod slots;

/// Digests of one report: a scanner lists every repository that it knows an image by, some ten.
const DIGESTS: usize = 64;
/// Unusable reports of which the reason is kept word by word; of others only its kind.
const DETAILS: usize = 10_000;
/// Bytes of a scanner's name that tell it from others.
const NAME: usize = 128;

/// A file, and a state of it: what was read of it is good as long as both are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Version {
    pub(super) file: u32,
    pub(super) version: u32,
}

/// What a file is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum State {
    Usable,
    Unusable(Defect),
    /// New, half-written, and not old enough to have failed. Nothing is known of it.
    Unsettled,
}

/// A file that is being rewritten, or that is new and half-written.
#[derive(Debug, Clone)]
pub(super) struct Rewriting {
    /// What it said before, where that was in memory.
    pub(super) report: Option<Arc<Report>>,
    pub(super) unusable: Arc<Unusable>,
    /// When it was written to last.
    pub(super) since: SystemTime,
}

impl Rewriting {
    fn weight(&self) -> usize {
        self.report.as_ref().map_or(0, |report| report.weight())
    }
}

/// Who scanned, as far as reports are told apart by it: the kind, else the name in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct By {
    pub(super) kind: Option<ScannerKind>,
    pub(super) name: Arc<str>,
}

/// What a file is about, in hashes.
#[derive(Debug)]
pub(super) struct Essentials<'a> {
    pub(super) manifests: Vec<u64>,
    pub(super) config: Option<u64>,
    pub(super) platform: Option<&'a Platform>,
    pub(super) by: &'a By,
}

/// What is kept of a file that was read.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) root: u16,
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
    pub(super) recent: bool,
    pub(super) link: bool,
}

#[derive(Debug)]
pub(super) struct Index {
    slots: Slots,
    links: Links,
    by: Shared<By>,
    platforms: Shared<Option<Platform>>,
    details: HashMap<u32, Arc<Unusable>>,
    rewriting: HashMap<u32, Rewriting>,
    /// Bytes of the reports that are kept in it.
    pinned: usize,
    hashing: RandomState,
    versions: u32,
    counts: HashMap<State, usize>,
    linked: usize,
    with_config: usize,
    no_one: By,
}

/// Nanoseconds, as the order of reports needs them: what cannot be written so is before, or after, everything else.
pub(super) fn moment(at: Option<Timestamp>) -> i64 {
    let Some(at) = at else { return i64::MIN };
    let end = if at < Timestamp::UNIX_EPOCH { i64::MIN + 1 } else { i64::MAX };
    i64::try_from(at.as_nanosecond()).unwrap_or(end)
}

impl Index {
    pub(super) fn new() -> Self {
        Self {
            slots: Slots::default(),
            links: Links::default(),
            by: Shared::new(),
            platforms: Shared::new(),
            details: HashMap::new(),
            rewriting: HashMap::new(),
            pinned: 0,
            hashing: RandomState::new(),
            versions: 0,
            counts: HashMap::new(),
            linked: 0,
            with_config: 0,
            no_one: By { kind: None, name: Arc::default() },
        }
    }

    /// Of a digest.
    pub(super) fn key(&self, digest: &Digest) -> u64 {
        self.hashing.hash_one(digest.as_str())
    }

    pub(super) fn get(&self, file: u32) -> Option<&Slot> {
        self.slots.get(file)
    }

    /// Its path below its root.
    pub(super) fn path(slot: &Slot) -> &Path {
        slot.path()
    }

    pub(super) fn version(file: u32, slot: &Slot) -> Version {
        Version { file, version: slot.version }
    }

    /// Whether it was of this stamp when it was read.
    pub(super) fn is_as(&self, slot: &Slot, stamp: &Stamp) -> bool {
        slot.fingerprint == self.hashing.hash_one(stamp)
    }

    /// [`Self::is_as`], to be asked elsewhere.
    pub(super) fn expects(&self, slot: &Slot) -> impl Fn(&Stamp) -> bool + Send + 'static {
        let (hashing, fingerprint) = (self.hashing.clone(), slot.fingerprint);
        move |stamp| hashing.hash_one(stamp) == fingerprint
    }

    /// Whether what was read of it is what it is now.
    pub(super) fn is_unchanged(&self, slot: &Slot, stamp: &Stamp) -> bool {
        self.is_as(slot, stamp) && !slot.recent && slot.state != State::Unusable(Defect::Unreadable)
    }

    pub(super) fn find(&self, root: u16, path: &Path) -> Option<u32> {
        let path = path.as_os_str().as_bytes();
        self.slots.find(self.hash_of_path(root, path), root, path)
    }

    fn hash_of_path(&self, root: u16, path: &[u8]) -> u32 {
        half(self.hashing.hash_one((root, path)))
    }

    /// All that may name one of these digests, in no order.
    pub(super) fn naming(&self, keys: &[u64]) -> Vec<u32> {
        self.links.naming(keys)
    }

    pub(super) fn essentials(&self, slot: &Slot) -> Essentials<'_> {
        let mut keys = self.links.keys(slot.links, slot.count);
        let config = if slot.has_config { keys.next() } else { None };
        Essentials {
            manifests: keys.collect(),
            config,
            platform: self.platforms.get(slot.platform).and_then(Option::as_ref),
            by: self.by.get(slot.by).unwrap_or(&self.no_one),
        }
    }

    /// Why a file cannot be used.
    pub(super) fn unusable(&self, file: u32, defect: Defect) -> Unusable {
        let generic = || Unusable::new(defect, format!("it cannot be used: {defect}"));
        self.details.get(&file).map_or_else(generic, |unusable| Unusable::clone(unusable))
    }

    pub(super) fn rewriting(&self, file: u32) -> Option<&Rewriting> {
        self.rewriting.get(&file)
    }

    /// Bytes of the reports that are kept because their files are being rewritten.
    pub(super) fn pinned(&self) -> usize {
        self.pinned
    }

    pub(super) fn all_rewriting(&self) -> impl Iterator<Item = (u32, &Rewriting)> {
        self.rewriting.iter().map(|(file, rewriting)| (*file, rewriting))
    }

    /// All files of a root.
    pub(super) fn of_root(&self, root: u16) -> impl Iterator<Item = (u32, &Slot)> {
        self.slots.all().filter(move |(_, slot)| slot.root == root)
    }

    /// One more than the highest number of a file.
    pub(super) fn end(&self) -> usize {
        self.slots.end()
    }

    pub(super) fn count(&self, state: State) -> usize {
        self.counts.get(&state).copied().unwrap_or_default()
    }

    pub(super) fn files(&self) -> usize {
        self.slots.files()
    }

    /// Whether any file is a link.
    pub(super) fn has_links(&self) -> bool {
        self.linked > 0
    }

    /// Whether any report names a configuration.
    pub(super) fn has_configs(&self) -> bool {
        self.with_config > 0
    }

    /// Puts what was read of a file in the place of what was known of it.
    pub(super) fn put(&mut self, entry: Entry, read: &Result<Report, Unusable>) -> Version {
        let outline = match read {
            Ok(report) => Some(&report.outline),
            Err(unusable) => unusable.outline.as_deref(),
        };
        let beyond = |words: &str| Unusable::new(Defect::BeyondBounds, words);
        let numbered = outline.map(|outline| self.numbers(outline)).transpose();
        let (numbers, unusable) = match (numbered, read) {
            (Ok(numbers), Ok(_)) => (numbers, None),
            (Ok(numbers), Err(unusable)) => (numbers, Some(unusable.clone())),
            (Err(words), _) => (None, Some(beyond(words))),
        };
        let state = unusable.as_ref().map_or(State::Usable, |unusable| State::Unusable(unusable.defect));
        let file = self.place(entry, state, numbers, outline);
        if let Some(unusable) = unusable.filter(|_| self.details.len() < DETAILS) {
            self.details.insert(file, Arc::new(without_texts(unusable)));
        }
        Version { file, version: self.versions }
    }

    /// A file that is half-written: what it said before stays in force, if it said anything.
    pub(super) fn put_unsettled(&mut self, entry: Entry, rewriting: Rewriting) {
        let fingerprint = self.hashing.hash_one(entry.stamp);
        let known = self.find(entry.root, &entry.path);
        let file = match known.and_then(|file| self.slots.get_mut(file).map(|slot| (file, slot))) {
            Some((file, slot)) if slot.state == State::Usable => {
                slot.fingerprint = fingerprint;
                slot.recent = entry.recent;
                file
            }
            Some(_) | None => self.place(entry, State::Unsettled, None, None),
        };
        self.pinned += rewriting.weight();
        let before = self.rewriting.insert(file, rewriting);
        self.pinned -= before.map_or(0, |before| before.weight());
    }

    /// Numbers of the scanner and platform, and the digests.
    fn numbers(&mut self, outline: &Outline) -> Result<(u16, u16, Vec<u64>), &'static str> {
        let Scanner { kind, name, .. } = &outline.scanner;
        let name = match kind {
            Some(kind) => kind.label().into(),
            None => name.chars().take(NAME).collect::<String>().to_lowercase().into(),
        };
        let by = self.by.number(By { kind: *kind, name }).ok_or("there are reports of too many different scanners")?;
        let platform = self.platforms.number(outline.subject.platform.clone());
        let platform = platform.ok_or("there are reports of too many different platforms")?;
        let subject = &outline.subject;
        let config = subject.config.iter().filter(|config| !subject.manifests.contains(config));
        let mut keys: Vec<u64> = Vec::new();
        for digest in config.chain(&subject.manifests) {
            let key = self.key(digest);
            if !keys.contains(&key) {
                keys.push(key);
            }
            if keys.len() > DIGESTS {
                return Err("it names more digests than are looked at");
            }
        }
        Ok((by, platform, keys))
    }

    fn place(
        &mut self,
        entry: Entry,
        state: State,
        numbers: Option<(u16, u16, Vec<u64>)>,
        outline: Option<&Outline>,
    ) -> u32 {
        let known = self.find(entry.root, &entry.path);
        let path = entry.path.into_os_string().into_vec();
        let hash = self.hash_of_path(entry.root, &path);
        let (file, next) = match known {
            Some(file) => (file, self.clear(file).map_or(NONE, |slot| slot.next)),
            None => self.slots.begin(hash),
        };
        self.versions = self.versions.wrapping_add(1);
        let has_config = numbers.is_some()
            && outline.is_some_and(|Outline { subject, .. }| {
                subject.config.as_ref().is_some_and(|config| !subject.manifests.contains(config))
            });
        let (by, platform, keys) = numbers.unwrap_or((u16::MAX, u16::MAX, Vec::new()));
        let (links, count) = self.links.add(file, &keys);
        *self.counts.entry(state).or_default() += 1;
        self.linked += usize::from(entry.link);
        self.with_config += usize::from(has_config);
        let slot = Slot {
            path: path.into(),
            fingerprint: self.hashing.hash_one(entry.stamp),
            scanned_at: moment(outline.and_then(|outline| outline.scanned_at)),
            links,
            next,
            version: self.versions,
            by,
            platform,
            root: entry.root,
            count,
            has_config,
            recent: entry.recent,
            link: entry.link,
            state,
            format: outline.map(|outline| outline.format),
        };
        self.slots.put(file, slot);
        file
    }

    /// A file that is not there any more.
    pub(super) fn remove(&mut self, file: u32) {
        let Some(slot) = self.clear(file) else { return };
        let hash = self.hash_of_path(slot.root, &slot.path);
        self.slots.close(file, hash, slot.next);
    }

    /// Takes out all that hangs on a file, but for its place among the paths.
    fn clear(&mut self, file: u32) -> Option<Slot> {
        let slot = self.slots.take(file)?;
        self.links.remove(slot.links, slot.count);
        self.details.remove(&file);
        self.pinned -= self.rewriting.remove(&file).map_or(0, |before| before.weight());
        if let Some(count) = self.counts.get_mut(&slot.state) {
            *count -= 1;
        }
        self.linked -= usize::from(slot.link);
        self.with_config -= usize::from(slot.has_config);
        Some(slot)
    }
}

/// What a report calls the image is for people, and may be long.
fn without_texts(unusable: Unusable) -> Unusable {
    let Unusable { defect, words, outline } = unusable;
    let outline = outline.map(|mut outline| {
        outline.subject.names = Vec::new();
        outline.notes = Vec::new();
        outline
    });
    Unusable { defect, words, outline }
}
