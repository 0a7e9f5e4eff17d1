//! The shape of a manifest before it is read: which keys stand there, and that no two readers can see two things.
//!
//! Go's JSON, which nodes read with, takes `Layers` for `layers` and the last of two. Here a key that we read must stand
//! once and as the specification spells it. What we do not read is skipped without looking.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Descriptors in one list. Real images have up to 127 layers, real indexes some dozens of platforms.
pub(super) const DESCRIPTORS: usize = 1_000;
/// Annotations of one object: build tools write a dozen.
pub(super) const ANNOTATIONS: usize = 256;
/// Annotations of a whole document: in memory each takes ten to twenty times what it takes on the wire.
pub(super) const ANNOTATIONS_IN_ALL: usize = 10_000;

/// What a walk finds.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What is wrong, in our own words: a clause that follows the host.
    pub(super) flaw: Cell<Option<&'static str>>,
    annotations: Cell<usize>,
}

/// Which of the keys that tell an index from an image stand there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each key stands there or not, whatever the others do")]
pub(super) struct Shape {
    pub(super) manifests: bool,
    pub(super) config: bool,
    pub(super) layers: bool,
    /// Of Docker's schema 1.
    pub(super) legacy: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Document,
    Descriptor,
    Platform,
    Annotations,
}

/// What stands behind a key.
enum Below {
    Nothing,
    One(Level),
    List(Level),
}

impl Level {
    /// The keys that are read.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Document => &[
                "schemaVersion",
                "mediaType",
                "artifactType",
                "config",
                "layers",
                "manifests",
                "subject",
                "annotations",
                "fsLayers",
            ],
            Self::Descriptor => &["mediaType", "digest", "size", "artifactType", "platform", "annotations"],
            Self::Platform => &["os", "architecture", "variant"],
            Self::Annotations => &[],
        }
    }

    fn below(self, key: &str) -> Below {
        match (self, key) {
            (Self::Document, "config" | "subject") => Below::One(Self::Descriptor),
            (Self::Document, "layers" | "manifests") => Below::List(Self::Descriptor),
            (Self::Descriptor, "platform") => Below::One(Self::Platform),
            (Self::Document | Self::Descriptor, "annotations") => Below::One(Self::Annotations),
            (Self::Document | Self::Descriptor | Self::Platform | Self::Annotations, _) => Below::Nothing,
        }
    }
}

/// Walks a document.
pub(super) struct Walk<'f> {
    found: &'f Found,
    level: Level,
    list: bool,
}

impl<'f> Walk<'f> {
    pub(super) fn document(found: &'f Found) -> Self {
        Self { found, level: Level::Document, list: false }
    }

    fn refuse<E: Error>(&self, flaw: &'static str) -> E {
        self.found.flaw.set(Some(flaw));
        E::custom(flaw)
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Shape;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Shape, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object, or a list of them")
    }

    /// Null is as if it were not there.
    fn visit_unit<E: Error>(self) -> Result<Shape, E> {
        Ok(Shape::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
        if !self.list {
            return Err(self.refuse("has a list where an object belongs"));
        }
        let mut count = 0;
        while list.next_element_seed(Walk { found: self.found, level: self.level, list: false })?.is_some() {
            count += 1;
            if count > DESCRIPTORS {
                return Err(self.refuse("lists more than 1000 descriptors"));
            }
        }
        Ok(Shape::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        if self.list {
            return Err(self.refuse("has an object where a list belongs"));
        }
        if self.level == Level::Annotations {
            // Their keys are the reader's own business: counted here, and that none stands twice is seen there.
            let mut count = 0;
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                count += 1;
                if count > ANNOTATIONS {
                    return Err(self.refuse("has more than 256 annotations"));
                }
            }
            let all = self.found.annotations.get() + count;
            self.found.annotations.set(all);
            if all > ANNOTATIONS_IN_ALL {
                return Err(self.refuse("has more than 10000 annotations in all"));
            }
            return Ok(Shape::default());
        }
        let keys = self.level.keys();
        let mut seen = 0_u32;
        while let Some(key) = map.next_key::<String>()? {
            let Some(index) = keys.iter().position(|known| folded(&key) == known.to_ascii_lowercase()) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if keys[index] != key {
                return Err(
                    self.refuse("has a key in other capitals than the specification, which nodes read all the same")
                );
            }
            if seen & (1 << index) != 0 {
                return Err(self.refuse("has a key twice, of which nodes read another"));
            }
            seen |= 1 << index;
            match self.level.below(&key) {
                Below::Nothing => drop(map.next_value::<IgnoredAny>()?),
                Below::One(level) => drop(map.next_value_seed(Walk { found: self.found, level, list: false })?),
                Below::List(level) => drop(map.next_value_seed(Walk { found: self.found, level, list: true })?),
            }
        }
        let has = |key: &str| keys.iter().position(|known| *known == key).is_some_and(|at| seen & (1 << at) != 0);
        Ok(Shape { manifests: has("manifests"), config: has("config"), layers: has("layers"), legacy: has("fsLayers") })
    }
}

/// As Go folds: two letters beyond ASCII fold to `k` and `s`.
fn folded(key: &str) -> String {
    key.chars()
        .map(|character| match character {
            '\u{212a}' => 'k',
            '\u{17f}' => 's',
            other => other.to_ascii_lowercase(),
        })
        .collect()
}
