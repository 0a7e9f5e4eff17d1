//! Which Pods have which images, so that it is found by namespace and digest, and by name.
//!
//! Pods of one namespace that were given the same images are one crew: what Pods have in common is kept once. An index is
//! persistent: a clone costs nothing, and a change after it O(log n).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use rpds::{HashTrieMapSync, RedBlackTreeMapSync, RedBlackTreeSetSync};

use crate::image::{Digest, Platform, Reference};

use super::super::nodes::Nodes;
use super::record::{Image, Record, Uid};
use super::{Pulled, Running};

/// Which crew.
type Number = u64;
/// Crews that have something in common; few.
type Numbers = Arc<[Number]>;

/// What reviews ask.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    crews: HashTrieMapSync<Number, Crew>,
    namespaces: HashTrieMapSync<Arc<str>, Namespace>,
    /// By name of an image, the namespaces of which Pods name it so, with the creation of the oldest of them.
    named: HashTrieMapSync<Arc<Reference>, RedBlackTreeSetSync<(i64, Arc<str>)>>,
}

#[derive(Debug, Clone, Default)]
struct Namespace {
    by_digest: HashTrieMapSync<Arc<Digest>, Numbers>,
    by_address: HashTrieMapSync<Arc<Reference>, Numbers>,
}

/// Pods of one namespace with the same images.
#[derive(Debug, Clone)]
struct Crew {
    images: Arc<[Image]>,
    /// By age; with their nodes.
    pods: RedBlackTreeMapSync<(i64, Uid), Arc<str>>,
}

impl Crew {
    fn oldest(&self) -> Option<&(i64, Uid)> {
        self.pods.first().map(|(oldest, _)| oldest)
    }
}

impl Index {
    pub(super) fn running(&self, namespace: &str, digest: &Digest, nodes: &Nodes) -> Option<Running> {
        let numbers = self.namespaces.get(namespace)?.by_digest.get(digest)?;
        let crews = || numbers.iter().filter_map(|number| self.crews.get(number));
        let (first, _) = crews().filter_map(Crew::oldest).min()?;
        // Where every platform of the cluster is among them, no other can be.
        let all = nodes.platforms().len();
        let mut platforms: Vec<Platform> = Vec::new();
        for node in crews().flat_map(|crew| crew.pods.values()).filter(|node| !node.is_empty()) {
            if platforms.len() >= all.max(1) {
                break;
            }
            if let Some(platform) = nodes.platform(node)
                && !platforms.contains(&platform)
            {
                platforms.push(platform);
            }
        }
        Some(Running { first: time(*first), platforms })
    }

    pub(super) fn pulled_in(&self, namespace: &str, address: &Reference) -> Option<Pulled> {
        let (name, of_namespace) = self.namespaces.get_key_value(namespace)?;
        let crews = of_namespace.by_address.get(address)?.iter().filter_map(|number| self.crews.get(number));
        let (oldest, crew) =
            crews.filter_map(|crew| crew.oldest().map(|oldest| (oldest, crew))).min_by_key(|it| it.0)?;
        let named = |image: &&Image| image.address.as_deref() == Some(address);
        let image = crew.images.iter().find(named)?;
        Some(Pulled { namespace: Arc::clone(name), digest: Digest::clone(&image.digest), at: time(oldest.0) })
    }

    pub(super) fn pulled(&self, address: &Reference, counts: impl Fn(&str) -> bool) -> Option<Pulled> {
        let namespaces = self.named.get(address)?;
        let (_, namespace) = namespaces.iter().find(|(_, namespace)| counts(namespace))?;
        self.pulled_in(namespace, address)
    }

    /// When the oldest Pod of a namespace was created that names an image so.
    fn oldest(&self, namespace: &str, address: &Reference) -> Option<i64> {
        let numbers = self.namespaces.get(namespace)?.by_address.get(address)?;
        let crews = numbers.iter().filter_map(|number| self.crews.get(number));
        crews.filter_map(Crew::oldest).map(|(created, _)| *created).min()
    }

    /// Changes something of a namespace, and then the order in which namespaces are found by these names.
    fn change(&mut self, namespace: &Arc<str>, images: &[Image], change: impl FnOnce(&mut Self)) {
        let addresses: HashSet<&Arc<Reference>> = images.iter().filter_map(|image| image.address.as_ref()).collect();
        let before: Vec<_> = addresses.iter().map(|address| self.oldest(namespace, address)).collect();
        change(self);
        for (address, before) in addresses.into_iter().zip(before) {
            let after = self.oldest(namespace, address);
            if before == after {
                continue;
            }
            let mut there = self.named.get(address).cloned().unwrap_or_default();
            if let Some(before) = before {
                there.remove_mut(&(before, Arc::clone(namespace)));
            }
            if let Some(after) = after {
                there.insert_mut((after, Arc::clone(namespace)));
            }
            if there.is_empty() {
                self.named.remove_mut(address);
            } else {
                self.named.insert_mut(Arc::clone(address), there);
            }
        }
    }

    /// A crew that has come, or gone.
    fn enrol(&mut self, namespace: &Arc<str>, images: &[Image], change: impl Fn(&[Number]) -> Vec<Number>) {
        let mut of_namespace = self.namespaces.get(namespace).cloned().unwrap_or_default();
        for image in images {
            put(&mut of_namespace.by_digest, &image.digest, &change);
            if let Some(address) = &image.address {
                put(&mut of_namespace.by_address, address, &change);
            }
        }
        if of_namespace.by_digest.is_empty() {
            self.namespaces.remove_mut(namespace);
        } else {
            self.namespaces.insert_mut(Arc::clone(namespace), of_namespace);
        }
    }
}

fn put<K: Eq + std::hash::Hash>(
    map: &mut HashTrieMapSync<Arc<K>, Numbers>,
    key: &Arc<K>,
    change: impl Fn(&[Number]) -> Vec<Number>,
) {
    let before = map.get(key).map_or(&[][..], |numbers| numbers);
    let after = change(before);
    if after.is_empty() {
        map.remove_mut(key);
    } else {
        map.insert_mut(Arc::clone(key), after.into());
    }
}

fn time(seconds: i64) -> Timestamp {
    // What was read as a timestamp is one.
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

/// The index, and what it takes to change it.
#[derive(Debug, Default)]
pub(super) struct Book {
    index: Index,
    pods: HashMap<Uid, Entry>,
    crews: HashMap<(Arc<str>, Arc<[Image]>), Number>,
    /// Images of crews, each list kept once for all namespaces; with how many crews have it.
    images: HashMap<Arc<[Image]>, usize>,
    last: Number,
}

/// Where a Pod is found.
#[derive(Debug, Clone)]
struct Entry {
    created: i64,
    /// None: it has run nothing yet.
    at: Option<(Arc<str>, Number)>,
}

impl Book {
    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// How many Pods, those that have run nothing among them.
    pub(super) fn len(&self) -> usize {
        self.pods.len()
    }

    /// Instead of what was known of this Pod. True: the index is another than it was.
    pub(super) fn insert(&mut self, record: Record) -> bool {
        if self.knows(&record) {
            return false;
        }
        let removed = self.remove(&record.uid);
        let Record { uid, created, namespace, node, images } = record;
        if images.is_empty() {
            self.pods.insert(uid, Entry { created, at: None });
            return removed;
        }
        let (number, images) = self.crew(&namespace, images);
        let key = (created, uid);
        self.index.change(&namespace, &images, |index| {
            let known = index.crews.get(&number).cloned();
            let newly = known.is_none();
            let mut crew =
                known.unwrap_or_else(|| Crew { images: Arc::clone(&images), pods: RedBlackTreeMapSync::default() });
            crew.pods.insert_mut(key, node);
            index.crews.insert_mut(number, crew);
            if newly {
                let with =
                    |there: &[Number]| there.iter().copied().filter(|it| *it != number).chain([number]).collect();
                index.enrol(&namespace, &images, with);
            }
        });
        self.pods.insert(uid, Entry { created, at: Some((namespace, number)) });
        true
    }

    /// True: it was there, and the index is another than it was.
    pub(super) fn remove(&mut self, uid: &Uid) -> bool {
        let Some(Entry { created, at }) = self.pods.remove(uid) else { return false };
        let Some((namespace, number)) = at else { return false };
        let Some(mut crew) = self.index.crews.get(&number).cloned() else { return false };
        let images = Arc::clone(&crew.images);
        self.index.change(&namespace, &images, |index| {
            crew.pods.remove_mut(&(created, *uid));
            if crew.pods.is_empty() {
                index.crews.remove_mut(&number);
                let without = |there: &[Number]| there.iter().copied().filter(|it| *it != number).collect();
                index.enrol(&namespace, &images, without);
            } else {
                index.crews.insert_mut(number, crew);
            }
        });
        if self.index.crews.get(&number).is_none() {
            self.crews.remove(&(namespace, Arc::clone(&images)));
            if let Some(crews) = self.images.get_mut(&images) {
                *crews -= 1;
                if *crews == 0 {
                    self.images.remove(&images);
                }
            }
        }
        true
    }

    /// Nothing is kept, of whatever kind.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        let Index { crews, namespaces, named } = &self.index;
        let nothing_in_index = crews.is_empty() && namespaces.is_empty() && named.is_empty();
        nothing_in_index && self.pods.is_empty() && self.crews.is_empty() && self.images.is_empty()
    }

    /// Whether it says what is known of this Pod already: most of what changes of Pods is nothing that we keep.
    fn knows(&self, record: &Record) -> bool {
        let Some(Entry { created, at }) = self.pods.get(&record.uid) else { return false };
        match at {
            None => record.images.is_empty(),
            Some((namespace, number)) => self.index.crews.get(number).is_some_and(|crew| {
                *namespace == record.namespace
                    && *created == record.created
                    && *crew.images == *record.images
                    && crew.pods.get(&(*created, record.uid)) == Some(&record.node)
            }),
        }
    }

    fn crew(&mut self, namespace: &Arc<str>, images: Vec<Image>) -> (Number, Arc<[Image]>) {
        let images: Arc<[Image]> = match self.images.get_key_value(images.as_slice()) {
            Some((there, _)) => Arc::clone(there),
            None => images.into(),
        };
        let key = (Arc::clone(namespace), Arc::clone(&images));
        if let Some(number) = self.crews.get(&key) {
            return (*number, images);
        }
        self.last += 1;
        self.crews.insert(key, self.last);
        *self.images.entry(Arc::clone(&images)).or_default() += 1;
        (self.last, images)
    }
}
