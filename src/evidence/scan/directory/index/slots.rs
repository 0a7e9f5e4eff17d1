//! The files by number, and by path.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::State;
use super::number::{NONE, at, number};
use crate::fact::report::Format;

/// One file.
#[derive(Debug)]
pub(in super::super) struct Slot {
    pub(super) path: Box<[u8]>,
    /// A hash of its [`Stamp`](super::Stamp).
    pub(super) fingerprint: u64,
    /// Nanoseconds; before everything else where it is not dated.
    pub(in super::super) scanned_at: i64,
    /// The first of its links, which stand side by side.
    pub(super) links: u32,
    /// The next file of the same hash of its path.
    pub(super) next: u32,
    pub(super) version: u32,
    pub(super) by: u16,
    pub(super) platform: u16,
    pub(in super::super) root: u16,
    pub(super) count: u8,
    /// Whether its first digest is that of the configuration.
    pub(super) has_config: bool,
    /// It was written to so shortly before it was read that its times may not show a change since.
    pub(super) recent: bool,
    pub(super) link: bool,
    pub(in super::super) state: State,
    pub(in super::super) format: Option<Format>,
}

impl Slot {
    /// Below its root.
    pub(super) fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.path))
    }
}

#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    /// The first of a chain, by half a hash of the path.
    first: HashMap<u32, u32>,
}

impl Slots {
    pub(super) fn get(&self, file: u32) -> Option<&Slot> {
        self.slots.get(at(file)).and_then(Option::as_ref)
    }

    pub(super) fn get_mut(&mut self, file: u32) -> Option<&mut Slot> {
        self.slots.get_mut(at(file)).and_then(Option::as_mut)
    }

    pub(super) fn find(&self, hash: u32, root: u16, path: &[u8]) -> Option<u32> {
        let mut file = *self.first.get(&hash)?;
        while let Some(slot) = self.get(file) {
            if slot.root == root && *slot.path == *path {
                return Some(file);
            }
            file = slot.next;
        }
        None
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (u32, &Slot)> {
        let numbered = self.slots.iter().enumerate();
        numbered.filter_map(|(place, slot)| slot.as_ref().map(|slot| (number(place), slot)))
    }

    /// One more than the highest number.
    pub(super) fn end(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn files(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// A number for a new file, and the next of its chain.
    pub(super) fn begin(&mut self, hash: u32) -> (u32, u32) {
        let file = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            number(self.slots.len() - 1)
        });
        (file, self.first.insert(hash, file).unwrap_or(NONE))
    }

    pub(super) fn put(&mut self, file: u32, slot: Slot) {
        if let Some(place) = self.slots.get_mut(at(file)) {
            *place = Some(slot);
        }
    }

    /// What is known of a file, which keeps its place in its chain: another is put there, or it is ended.
    pub(super) fn take(&mut self, file: u32) -> Option<Slot> {
        self.slots.get_mut(at(file))?.take()
    }

    /// Takes a file out of its chain, after it was taken.
    pub(super) fn close(&mut self, file: u32, hash: u32, next: u32) {
        let first = self.first.get(&hash).copied().unwrap_or(NONE);
        if first != file {
            let mut before = first;
            while let Some(other) = self.get_mut(before) {
                if other.next == file {
                    other.next = next;
                    break;
                }
                before = other.next;
            }
        } else if next == NONE {
            self.first.remove(&hash);
        } else {
            self.first.insert(hash, next);
        }
        self.free.push(file);
    }
}
