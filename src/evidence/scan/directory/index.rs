//! What every file is about, without its findings: small, since there may be hundreds of thousands.
//!
//! A digest is kept as eight bytes of a keyed hash, a path once, and what many reports share by number. So a digest may be
//! found that is not there, once in some 10^13 look-ups: the report itself is asked again before it counts.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::ffi::OsStr;
use std::hash::{BuildHasher, Hash};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;

use super::walk::Stamp;
use crate::fact::report::{Defect, Format, Outline, Report, Scanner, ScannerKind, Unusable};
use crate::image::{Digest, Platform};

/// Digests of one report: a scanner lists every repository that it knows an image by, some ten.
const DIGESTS: usize = 64;
/// Different scanners, and different platforms; of each there are some ten.
const KINDS: usize = 1_024;
/// Unusable reports of which the reason is kept word by word; of others only its kind.
const DETAILS: usize = 10_000;
/// Bytes of a scanner's name that tell it from others.
const NAME: usize = 128;
/// The end of a chain.
const NONE: u32 = u32::MAX;

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

/// Who scanned, as far as reports are told apart by it: the kind, else the name in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct By {
    pub(super) kind: Option<ScannerKind>,
    pub(super) name: Arc<str>,
}

/// One file.
#[derive(Debug)]
pub(super) struct Slot {
    path: Box<[u8]>,
    /// A hash of its [`Stamp`].
    fingerprint: u64,
    /// Nanoseconds; before everything else where it is not dated.
    pub(super) scanned_at: i64,
    /// The first of its links, which stand side by side.
    links: u32,
    /// The next file of the same hash of its path.
    next: u32,
    version: u32,
    by: u16,
    platform: u16,
    pub(super) root: u16,
    count: u8,
    /// Whether its first digest is that of the configuration.
    has_config: bool,
    /// It was written to so shortly before it was read that its times may not show a change since.
    recent: bool,
    link: bool,
    pub(super) state: State,
    pub(super) format: Option<Format>,
}

/// A digest of a file.
#[derive(Debug, Clone, Copy)]
struct Link {
    /// In halves, so that it takes no more room than it needs.
    key: [u32; 2],
    file: u32,
    /// The next of the same half of a hash.
    next: u32,
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

/// Values that many files share, by number.
#[derive(Debug)]
struct Shared<T> {
    numbers: HashMap<Arc<T>, u16>,
    values: Vec<Arc<T>>,
}

impl<T: Hash + Eq> Shared<T> {
    fn new() -> Self {
        Self { numbers: HashMap::new(), values: Vec::new() }
    }

    /// None: there are too many.
    fn number(&mut self, value: T) -> Option<u16> {
        if let Some(number) = self.numbers.get(&value) {
            return Some(*number);
        }
        let number = u16::try_from(self.values.len()).ok().filter(|_| self.values.len() < KINDS)?;
        let value = Arc::new(value);
        self.values.push(Arc::clone(&value));
        self.numbers.insert(value, number);
        Some(number)
    }

    fn get(&self, number: u16) -> Option<&T> {
        self.values.get(usize::from(number)).map(AsRef::as_ref)
    }
}

#[derive(Debug)]
pub(super) struct Index {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    links: Vec<Link>,
    /// Places of so many links side by side.
    free_links: HashMap<u8, Vec<u32>>,
    by_path: HashMap<u32, u32>,
    by_digest: HashMap<u32, u32>,
    by: Shared<By>,
    platforms: Shared<Option<Platform>>,
    details: HashMap<u32, Arc<Unusable>>,
    rewriting: HashMap<u32, Rewriting>,
    hashing: RandomState,
    versions: u32,
    counts: HashMap<State, usize>,
    linked: usize,
    with_config: usize,
    no_one: By,
}

/// The place of a number in a list; none is there for one that is too large for this machine.
fn at(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(NONE)
}

/// The half of a hash that the tables are keyed by.
fn half(hash: u64) -> u32 {
    halves(hash)[0]
}

fn halves(hash: u64) -> [u32; 2] {
    let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or_default();
    [half(hash), half(hash >> 32)]
}

fn whole([low, high]: [u32; 2]) -> u64 {
    u64::from(high) << 32 | u64::from(low)
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
            slots: Vec::new(),
            free: Vec::new(),
            links: Vec::new(),
            free_links: HashMap::new(),
            by_path: HashMap::new(),
            by_digest: HashMap::new(),
            by: Shared::new(),
            platforms: Shared::new(),
            details: HashMap::new(),
            rewriting: HashMap::new(),
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
        self.slots.get(at(file)).and_then(Option::as_ref)
    }

    /// Its path below its root.
    pub(super) fn path(slot: &Slot) -> &Path {
        Path::new(OsStr::from_bytes(&slot.path))
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
        let mut file = *self.by_path.get(&self.hash_of_path(root, path))?;
        while let Some(slot) = self.get(file) {
            if slot.root == root && *slot.path == *path {
                return Some(file);
            }
            file = slot.next;
        }
        None
    }

    fn hash_of_path(&self, root: u16, path: &[u8]) -> u32 {
        half(self.hashing.hash_one((root, path)))
    }

    /// All that may name one of these digests, in no order.
    pub(super) fn naming(&self, keys: &[u64]) -> Vec<u32> {
        let mut found = Vec::new();
        for key in keys {
            let mut place = self.by_digest.get(&half(*key)).copied().unwrap_or(NONE);
            while let Some(link) = self.links.get(at(place)) {
                if whole(link.key) == *key {
                    found.push(link.file);
                }
                place = link.next;
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    pub(super) fn essentials(&self, slot: &Slot) -> Essentials<'_> {
        let links = self.links.get(at(slot.links)..).unwrap_or_default().iter().take(usize::from(slot.count));
        let mut keys = links.map(|link| whole(link.key));
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

    pub(super) fn all_rewriting(&self) -> impl Iterator<Item = (u32, &Rewriting)> {
        self.rewriting.iter().map(|(file, rewriting)| (*file, rewriting))
    }

    /// All files of a root.
    pub(super) fn of_root(&self, root: u16) -> impl Iterator<Item = (u32, &Slot)> {
        let numbered = self.slots.iter().enumerate();
        let slots = numbered.filter_map(|(place, slot)| slot.as_ref().map(|slot| (number(place), slot)));
        slots.filter(move |(_, slot)| slot.root == root)
    }

    /// One more than the highest number of a file.
    pub(super) fn end(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn count(&self, state: State) -> usize {
        self.counts.get(&state).copied().unwrap_or_default()
    }

    pub(super) fn files(&self) -> usize {
        self.slots.len() - self.free.len()
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
    pub(super) fn put(&mut self, entry: &Entry, read: &Result<Report, Unusable>) -> Version {
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
    pub(super) fn put_unsettled(&mut self, entry: &Entry, rewriting: Rewriting) {
        let fingerprint = self.hashing.hash_one(entry.stamp);
        let known = self.find(entry.root, &entry.path);
        let file = match known.and_then(|file| self.slots.get_mut(at(file))?.as_mut().map(|slot| (file, slot))) {
            Some((file, slot)) if slot.state == State::Usable => {
                slot.fingerprint = fingerprint;
                slot.recent = entry.recent;
                file
            }
            Some(_) | None => self.place(entry, State::Unsettled, None, None),
        };
        self.rewriting.insert(file, rewriting);
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
        entry: &Entry,
        state: State,
        numbers: Option<(u16, u16, Vec<u64>)>,
        outline: Option<&Outline>,
    ) -> u32 {
        let known = self.find(entry.root, &entry.path);
        let path = entry.path.as_os_str().as_bytes();
        let hash = self.hash_of_path(entry.root, path);
        let next = match known {
            Some(file) => self.clear(file).map_or(NONE, |slot| slot.next),
            None => self.by_path.get(&hash).copied().unwrap_or(NONE),
        };
        let file = known.or_else(|| self.free.pop()).unwrap_or_else(|| {
            self.slots.push(None);
            number(self.slots.len() - 1)
        });
        if known.is_none() {
            self.by_path.insert(hash, file);
        }
        self.versions = self.versions.wrapping_add(1);
        let has_config = numbers.is_some()
            && outline.is_some_and(|Outline { subject, .. }| {
                subject.config.as_ref().is_some_and(|config| !subject.manifests.contains(config))
            });
        let (by, platform, keys) = numbers.unwrap_or((u16::MAX, u16::MAX, Vec::new()));
        let (links, count) = self.link(file, &keys);
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
        if let Some(place) = self.slots.get_mut(at(file)) {
            *place = Some(slot);
        }
        file
    }

    /// A file that is not there any more.
    pub(super) fn remove(&mut self, file: u32) {
        let Some(slot) = self.clear(file) else { return };
        let hash = self.hash_of_path(slot.root, &slot.path);
        let first = self.by_path.get(&hash).copied().unwrap_or(NONE);
        if first != file {
            let mut before = first;
            while let Some(other) = self.slots.get_mut(at(before)).and_then(Option::as_mut) {
                if other.next == file {
                    other.next = slot.next;
                    break;
                }
                before = other.next;
            }
        } else if slot.next == NONE {
            self.by_path.remove(&hash);
        } else {
            self.by_path.insert(hash, slot.next);
        }
        self.free.push(file);
    }

    /// Takes out all that hangs on a file, but for its place among the paths.
    fn clear(&mut self, file: u32) -> Option<Slot> {
        let slot = self.slots.get_mut(at(file))?.take()?;
        self.unlink(&slot);
        self.details.remove(&file);
        self.rewriting.remove(&file);
        if let Some(count) = self.counts.get_mut(&slot.state) {
            *count -= 1;
        }
        self.linked -= usize::from(slot.link);
        self.with_config -= usize::from(slot.has_config);
        Some(slot)
    }

    fn link(&mut self, file: u32, keys: &[u64]) -> (u32, u8) {
        let Some(count) = u8::try_from(keys.len()).ok().filter(|count| *count > 0) else { return (NONE, 0) };
        let free = self.free_links.get_mut(&count).and_then(Vec::pop);
        let first = free.unwrap_or_else(|| {
            let first = number(self.links.len());
            self.links.extend(keys.iter().map(|_| Link { key: [0, 0], file: NONE, next: NONE }));
            first
        });
        for (key, place) in keys.iter().zip(first..) {
            let next = self.by_digest.insert(half(*key), place).unwrap_or(NONE);
            if let Some(link) = self.links.get_mut(at(place)) {
                *link = Link { key: halves(*key), file, next };
            }
        }
        (first, count)
    }

    fn unlink(&mut self, slot: &Slot) {
        if slot.count == 0 {
            return;
        }
        for place in (slot.links..).take(usize::from(slot.count)) {
            let Some(Link { key, next, .. }) = self.links.get(at(place)).copied() else { return };
            let Some(first) = self.by_digest.get(&key[0]).copied() else { continue };
            if first != place {
                let mut before = first;
                while let Some(link) = self.links.get_mut(at(before)) {
                    if link.next == place {
                        link.next = next;
                        break;
                    }
                    before = link.next;
                }
            } else if next == NONE {
                self.by_digest.remove(&key[0]);
            } else {
                self.by_digest.insert(key[0], next);
            }
        }
        self.free_links.entry(slot.count).or_default().push(slot.links);
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
