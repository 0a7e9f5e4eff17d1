//! JSON that nobody can read in two ways: a field that stands twice is refused, wherever it stands, since parsers differ
//! in which of the two they take. Nesting ends where `serde_json` ends it, at 128 levels.
//!
//! A value of seven bytes takes hundreds in memory, so what is kept of a document is bounded, and what nobody asks for
//! is read past: four mebibytes of `{"":0}` would take half a gibibyte.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::hash::BuildHasher;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Value};

use crate::fact::attached::{Flaw, FlawKind};

use super::examine::flaw;

/// What is kept of one document may take so much beside its texts: 4096 subjects of a statement take seven mebibytes.
const MEMORY: usize = 8 << 20;
/// A value with what its list has in reserve.
const VALUE: usize = 64;
/// A node of the tree that an object is, and how many fields it has room for at least.
const NODE: usize = 640;
const NODE_FIELDS: usize = 5;

const TOO_MUCH: &str = "its JSON has more parts than are read";

/// Reads all of the bytes; the error is a clause about them.
pub(super) fn read(bytes: &[u8]) -> Result<Value, &'static str> {
    parse(bytes, Kept::Whole)
}

/// Reads all of the bytes, and keeps these parts alone.
pub(super) fn read_parts(bytes: &[u8], parts: &Parts) -> Result<Value, &'static str> {
    parse(bytes, Kept::Parts(parts))
}

/// What is wrong with a signature that cannot be read for this reason.
pub(super) fn unread(words: &'static str) -> Flaw {
    flaw::flaw(if words == TOO_MUCH { FlawKind::BeyondBounds } else { FlawKind::Malformed }, words)
}

/// Parts of a document: by the name of a field, or by the number of an item.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// With everything in it. Else a list or an object is kept as an empty list if nothing in it is asked for.
    pub(super) whole: bool,
    pub(super) under: BTreeMap<String, Self>,
}

impl Parts {
    /// With what a path leads to.
    pub(super) fn add<'p>(&mut self, path: impl Iterator<Item = &'p str>) -> &mut Self {
        path.fold(self, |part, name| part.under.entry(name.to_owned()).or_default())
    }
}

/// `0`, `17`: as JSON writes a number, and in no other way.
pub(super) fn index(name: &str) -> Option<usize> {
    let plain = name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    if plain { name.parse().ok() } else { None }
}

fn parse(bytes: &[u8], kept: Kept<'_>) -> Result<Value, &'static str> {
    let (left, hasher) = (Cell::new(Some(MEMORY)), RandomState::new());
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let part = Part { kept, left: &left, hasher: &hasher };
    let read = part.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    match read {
        Ok(value) => Ok(value),
        Err(_) if left.get().is_none() => Err(TOO_MUCH),
        // The visitor below takes every type, so what else it objects to is a second field of a name.
        Err(error) if error.classify() == Category::Data => Err("a field stands twice in its JSON"),
        Err(_) => Err("it is no JSON, or nested too deeply"),
    }
}

/// What is kept of a value.
#[derive(Clone, Copy)]
enum Kept<'p> {
    Whole,
    Parts(&'p Parts),
    Nothing,
}

impl<'p> Kept<'p> {
    fn under(self, name: &str) -> Self {
        match self {
            Self::Whole | Self::Nothing => self,
            Self::Parts(parts) => parts.under.get(name).map_or(Self::Nothing, Self::of),
        }
    }

    fn of(parts: &'p Parts) -> Self {
        if parts.whole { Self::Whole } else { Self::Parts(parts) }
    }

    /// How many items of a list matter.
    fn items(self) -> usize {
        match self {
            Self::Whole => usize::MAX,
            Self::Parts(parts) => {
                parts.under.keys().filter_map(|name| index(name)).max().map_or(0, |last| last.saturating_add(1))
            }
            Self::Nothing => 0,
        }
    }

    fn item(self, at: usize) -> Self {
        if matches!(self, Self::Parts(_)) { self.under(&at.to_string()) } else { self }
    }

    fn is_nothing(self) -> bool {
        matches!(self, Self::Nothing)
    }
}

/// Reads one value.
#[derive(Clone, Copy)]
struct Part<'p> {
    kept: Kept<'p>,
    /// Of the memory; none when it was too little.
    left: &'p Cell<Option<usize>>,
    hasher: &'p RandomState,
}

impl<'p> Part<'p> {
    fn of(self, kept: Kept<'p>) -> Self {
        Self { kept, ..self }
    }

    fn take<E: Error>(self, bytes: usize) -> Result<(), E> {
        self.left.set(self.left.get().and_then(|left| left.checked_sub(bytes)));
        if self.left.get().is_none() { Err(E::custom(TOO_MUCH)) } else { Ok(()) }
    }

    fn scalar(self, value: impl FnOnce() -> Value) -> Value {
        if self.kept.is_nothing() { Value::Null } else { value() }
    }
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if !self.kept.is_nothing() {
            self.take(VALUE)?;
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(self.scalar(|| value.into()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let (mut list, wanted) = (Vec::new(), self.kept.items());
        for at in 0_usize.. {
            let kept = if at < wanted { self.kept.item(at) } else { Kept::Nothing };
            let Some(item) = items.next_element_seed(self.of(kept))? else { break };
            if at < wanted {
                if kept.is_nothing() {
                    self.take(VALUE)?;
                }
                list.push(item);
            }
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        // Of names that are not kept a hash is enough; two that have the same one would be refused.
        let mut others = HashSet::new();
        while let Some(name) = fields.next_key_seed(Name(self))? {
            let new = match name {
                Named::Kept(name) => {
                    if map.len().is_multiple_of(NODE_FIELDS) {
                        self.take(NODE)?;
                    }
                    let value = fields.next_value_seed(self.of(self.kept.under(&name)))?;
                    map.insert(name, value).is_none()
                }
                Named::Other(hash) => {
                    fields.next_value_seed(self.of(Kept::Nothing))?;
                    others.insert(hash)
                }
            };
            if !new {
                return Err(A::Error::custom("a field stands twice"));
            }
        }
        Ok(Value::Object(map))
    }
}

/// Reads the name of a field.
struct Name<'p>(Part<'p>);

enum Named {
    Kept(String),
    Other(u64),
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Named;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Named, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Named;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<Named, E> {
        Ok(if self.0.kept.under(name).is_nothing() {
            Named::Other(self.0.hasher.hash_one(name))
        } else {
            Named::Kept(name.to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_as_everybody_reads_it() {
        let text = r#"{"a":[1,-2,1.5,"x",true,null,{"a":{}}],"b":"\u00e9"}"#;
        assert_eq!(read(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn a_field_that_stands_twice_is_refused_at_every_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#] {
            assert_eq!(read(text.as_bytes()), Err("a field stands twice in its JSON"), "{text}");
        }
    }

    #[test]
    fn a_field_that_stands_twice_is_refused_in_what_is_not_kept_as_well() {
        let mut parts = Parts::default();
        parts.add("a.b".split('.'));
        for text in [r#"{"x":{"y":[{"z":1,"z":2}]}}"#, r#"{"x":1,"x":2}"#, r#"{"a":{"b":1},"a":{"b":1}}"#] {
            assert_eq!(read_parts(text.as_bytes(), &parts), Err("a field stands twice in its JSON"), "{text}");
        }
    }

    #[test]
    fn parts_are_kept_where_they_stand_and_nothing_else_is() {
        let mut parts = Parts::default();
        for path in ["a.b", "list.1.x", "list.1", "object", "none.at.all"] {
            parts.add(path.split('.'));
        }
        parts.add(std::iter::once("whole")).whole = true;
        let text = r#"{"a":{"b":"1","c":"2"},"list":["0",{"x":1,"y":2},{"x":3}],"object":{"k":"v"},"z":[1],
            "whole":{"k":["v",{}]}}"#;
        let kept = r#"{"a":{"b":"1"},"list":[null,{"x":1}],"object":{},"whole":{"k":["v",{}]}}"#;
        assert_eq!(read_parts(text.as_bytes(), &parts).unwrap(), serde_json::from_str::<Value>(kept).unwrap());
    }

    #[test]
    fn no_more_is_kept_than_there_is_memory_for_and_what_is_not_kept_needs_none() {
        let many = format!("{{\"many\":[{}0],\"few\":1}}", "{\"\":0},".repeat(100_000));
        assert_eq!(read(many.as_bytes()), Err(TOO_MUCH));
        let mut parts = Parts::default();
        parts.add(std::iter::once("few"));
        assert_eq!(read_parts(many.as_bytes(), &parts).unwrap(), serde_json::json!({"few": 1}));
        parts.add("many.99999".split('.'));
        assert_eq!(read_parts(many.as_bytes(), &parts).unwrap()["few"], 1);
        let names: String = (0..100_000).map(|number| format!("\"{number}\":0,")).collect();
        assert_eq!(read(format!("{{{names}\"x\":0}}").as_bytes()), Err(TOO_MUCH));
        assert_eq!(unread(TOO_MUCH).kind, FlawKind::BeyondBounds);
    }

    #[test]
    fn what_is_no_json_or_more_than_json_is_refused() {
        let deep = "[".repeat(129) + &"]".repeat(129);
        for text in ["", "{", "{} {}", "\u{feff}{}", "nope", &deep] {
            assert_eq!(read(text.as_bytes()), Err("it is no JSON, or nested too deeply"), "{text}");
        }
        assert_eq!(read(b"\"\xff\""), Err("it is no JSON, or nested too deeply"));
    }
}
