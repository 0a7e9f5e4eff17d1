//! Which digests a file names, and which files name a digest.
//!
//! The links of one file stand side by side; those of one digest are a chain in both directions, so that a file leaves it
//! at once, however many others name the same.

use std::collections::HashMap;

use super::number::{NONE, at, half, halves, number, whole};

/// A digest of a file.
#[derive(Debug, Clone, Copy)]
struct Link {
    key: [u32; 2],
    file: u32,
    /// The next, and the one before, of the same half of a hash.
    next: u32,
    before: u32,
}

#[derive(Debug, Default)]
pub(super) struct Links {
    links: Vec<Link>,
    /// Places of so many links side by side.
    free: HashMap<u8, Vec<u32>>,
    first: HashMap<u32, u32>,
}

impl Links {
    /// All files that may name one of these digests, in order, each once.
    pub(super) fn naming(&self, keys: &[u64]) -> Vec<u32> {
        let mut found = Vec::new();
        for key in keys {
            let mut place = self.first.get(&half(*key)).copied().unwrap_or(NONE);
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

    /// So many digests of a file, the first of them at this place.
    pub(super) fn keys(&self, first: u32, count: u8) -> impl Iterator<Item = u64> {
        let links = self.links.get(at(first)..).unwrap_or_default();
        links.iter().take(usize::from(count)).map(|link| whole(link.key))
    }

    /// The place of the first, and how many there are.
    pub(super) fn add(&mut self, file: u32, keys: &[u64]) -> (u32, u8) {
        let Some(count) = u8::try_from(keys.len()).ok().filter(|count| *count > 0) else { return (NONE, 0) };
        let free = self.free.get_mut(&count).and_then(Vec::pop);
        let first = free.unwrap_or_else(|| {
            let first = number(self.links.len());
            let empty = Link { key: [0, 0], file: NONE, next: NONE, before: NONE };
            self.links.extend(keys.iter().map(|_| empty));
            first
        });
        for (key, place) in keys.iter().zip(first..) {
            let next = self.first.insert(half(*key), place).unwrap_or(NONE);
            if let Some(link) = self.links.get_mut(at(next)) {
                link.before = place;
            }
            if let Some(link) = self.links.get_mut(at(place)) {
                *link = Link { key: halves(*key), file, next, before: NONE };
            }
        }
        (first, count)
    }

    pub(super) fn remove(&mut self, first: u32, count: u8) {
        if count == 0 {
            return;
        }
        for place in (first..).take(usize::from(count)) {
            let Some(Link { key: [half, _], next, before, .. }) = self.links.get(at(place)).copied() else { return };
            if let Some(link) = self.links.get_mut(at(next)) {
                link.before = before;
            }
            if let Some(link) = self.links.get_mut(at(before)) {
                link.next = next;
            } else if next == NONE {
                self.first.remove(&half);
            } else {
                self.first.insert(half, next);
            }
        }
        self.free.entry(count).or_default().push(first);
    }
}
