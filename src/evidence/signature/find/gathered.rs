//! What a search has so far, within its ceilings: what is admitted is counted before it is fetched.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use crate::fact::attached::{Flaw, FlawKind, Layout};
use crate::fact::{Fault, Trouble};
use crate::image::Digest;

use super::layer::{Content, Form, Layer, Layers, flaw};
use super::{Ceilings, Found, Item, Material, UNIT};

/// What became of a blob. Trouble is told elsewhere.
#[derive(Debug)]
pub(super) enum Arrived {
    Whole(Arc<[u8]>),
    /// It has more bytes than its manifest says.
    Larger,
    Missing,
}

#[derive(Debug)]
enum Entry {
    Layer(Layer),
    Flawed(Layout, Flaw),
}

#[derive(Debug)]
pub(super) struct Gathered<'a> {
    ceilings: &'a Ceilings,
    /// In the order of the places, and of the layers there.
    entries: Vec<Entry>,
    /// Layers that count, by manifest and position: the same manifest may be listed in several places.
    counted: HashSet<(Digest, usize)>,
    /// What is being fetched, or was; nothing while it is on its way.
    contents: HashMap<Content, Option<Arrived>>,
    tried: usize,
    flawed: usize,
    bytes: usize,
    /// Bytes of annotations that came and may not be admitted yet.
    held: usize,
    unread: Option<Trouble>,
    untried: usize,
    room: Vec<OwnedSemaphorePermit>,
}

impl<'a> Gathered<'a> {
    pub(super) fn new(ceilings: &'a Ceilings) -> Self {
        Self {
            ceilings,
            entries: Vec::new(),
            counted: HashSet::new(),
            contents: HashMap::new(),
            tried: 0,
            flawed: 0,
            bytes: 0,
            held: 0,
            unread: None,
            untried: 0,
            room: Vec::new(),
        }
    }

    /// The gravest is kept, of equals the first.
    pub(super) fn trouble(&mut self, trouble: Trouble) {
        if self.unread.as_ref().is_none_or(|known| gravity(trouble.fault) > gravity(known.fault)) {
            self.unread = Some(trouble);
        }
    }

    /// So many more are there and not looked at.
    pub(super) fn leave(&mut self, more: usize) {
        self.untried = self.untried.saturating_add(more);
    }

    /// Of a manifest that has just come, no more than could be admitted at best: it waits with all others for its turn.
    pub(super) fn hold(&mut self, layers: Layers) -> Layers {
        let Layers { manifest, layers, flaw } = layers;
        let (mut kept, mut left) = (Vec::new(), 0);
        let length = layers.iter().map(|layer| layer.annotations.length()).sum();
        if !self.take_room(length) {
            return Layers { manifest, layers: kept, flaw };
        }
        for layer in layers {
            let length = layer.annotations.length();
            let fits = self.held.saturating_add(length) <= self.ceilings.all_bytes;
            if fits && kept.len() < self.ceilings.signatures {
                self.held += length;
                kept.push(layer);
            } else {
                left += 1;
            }
        }
        self.leave(left);
        Layers { manifest, layers: kept, flaw }
    }

    /// Counts what a manifest holds; the contents that are to be fetched for it.
    pub(super) fn admit(&mut self, layers: Layers) -> Vec<Content> {
        let Layers { manifest, layers, flaw } = layers;
        if let Some((layout, flaw)) = flaw {
            self.reject(layout, flaw);
        }
        layers.into_iter().filter_map(|layer| self.admit_layer(&manifest, layer)).collect()
    }

    fn admit_layer(&mut self, manifest: &Digest, layer: Layer) -> Option<Content> {
        if !self.counted.insert((manifest.clone(), layer.position)) {
            return None;
        }
        if layer.weight() > self.ceilings.bytes {
            self.reject(layer.layout, flaw(FlawKind::BeyondBounds, "it has more bytes than are read of one signature"));
            return None;
        }
        let content = layer.content.clone();
        let fresh = !self.contents.contains_key(&content);
        // Fetched once, and read and hashed for each that signs it.
        let more = layer.annotations.length() + content.size;
        let bytes = self.bytes.saturating_add(more);
        if self.tried == self.ceilings.signatures || bytes > self.ceilings.all_bytes {
            self.leave(1);
            return None;
        }
        self.tried += 1;
        self.bytes = bytes;
        self.entries.push(Entry::Layer(layer));
        fresh.then(|| {
            self.contents.insert(content.clone(), None);
            content
        })
    }

    /// What needs no fetching takes no place from what does, and has as many of its own.
    fn reject(&mut self, layout: Layout, flaw: Flaw) {
        if self.flawed == self.ceilings.signatures {
            return self.leave(1);
        }
        self.flawed += 1;
        self.entries.push(Entry::Flawed(layout, flaw));
    }

    pub(super) fn arrived(&mut self, content: Content, arrived: Arrived) {
        let bytes = match &arrived {
            Arrived::Whole(bytes) => bytes.len(),
            Arrived::Larger | Arrived::Missing => 0,
        };
        if self.take_room(bytes) {
            self.contents.insert(content, Some(arrived));
        }
    }

    /// Whether there is memory for so many bytes more. Nobody waits for it: who holds some may be slow.
    fn take_room(&mut self, bytes: usize) -> bool {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        match Arc::clone(&self.ceilings.together).try_acquire_many_owned(units) {
            Ok(room) => self.room.push(room),
            Err(_full) => {
                let words = "what is attached to images that are being looked at takes all the memory for it";
                self.trouble(Trouble::new(Fault::Outage, words));
                return false;
            }
        }
        true
    }

    /// All that came. What did not is in `unread`.
    pub(super) fn found(self) -> Found {
        let Self { entries, contents, unread, untried, room, .. } = self;
        let items = entries.into_iter().filter_map(|entry| match entry {
            Entry::Flawed(layout, flaw) => Some(Item { layout, material: Material::Flawed(flaw) }),
            Entry::Layer(layer) => {
                let arrived = contents.get(&layer.content)?.as_ref()?;
                Some(Item { layout: layer.layout, material: material(layer, arrived) })
            }
        });
        Found { items: items.collect(), unread, untried, room }
    }
}

fn material(layer: Layer, arrived: &Arrived) -> Material {
    let Layer { form, content, annotations, .. } = layer;
    let flawed = |kind, words| Material::Flawed(flaw(kind, words));
    match arrived {
        Arrived::Missing => flawed(FlawKind::Missing, "its manifest names a blob that the registry does not have"),
        Arrived::Larger => flawed(FlawKind::BeyondBounds, "it has more bytes than its manifest says"),
        Arrived::Whole(bytes) if bytes.len() != content.size => {
            flawed(FlawKind::Malformed, "it has fewer bytes than its manifest says")
        }
        Arrived::Whole(bytes) => {
            let bytes = Arc::clone(bytes);
            match form {
                Form::Simple => Material::Simple { payload: bytes, annotations },
                Form::Envelope => Material::Envelope { envelope: bytes, annotations },
                Form::Bundle => Material::Bundle(bytes),
            }
        }
    }
}

/// What may pass by itself comes first: what could not be read may be the signature that is missing, so "try again" is
/// the right answer while it can help. Then what shows that somebody lies, before what is out of order.
fn gravity(fault: Fault) -> u8 {
    match fault {
        Fault::Outage => 5,
        Fault::Deadline => 4,
        Fault::Mismatch => 3,
        Fault::Forbidden => 2,
        Fault::Broken => 1,
        Fault::Refused => 0,
    }
}
