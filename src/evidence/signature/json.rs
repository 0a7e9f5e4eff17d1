//! JSON that nobody can read in two ways: a field that stands twice is refused, wherever it stands, since parsers differ
//! in which of the two they take. Nesting ends where `serde_json` ends it, at 128 levels, and a tree that would take a
//! hundred times the memory of its text is not built.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Value};

/// Bytes that the tree of one text may take: an SBOM of the largest size that is read takes half of it.
const MEMORY: usize = 40 << 20;
/// What a value takes in its list or object, and what the allocator adds to each text.
const VALUE: usize = size_of::<Value>() + 16;
/// What an object takes with its first fields: a node of a B-tree has room for eleven.
const OBJECT: usize = 11 * (size_of::<String>() + size_of::<Value>()) + 24;
/// What each further field takes: nodes are half full at least, and a sixth is more than it can be.
const FIELD: usize = OBJECT / 6;
/// What a list takes with its first items; a vector has room for four, and for twice what it had when it grows.
const LIST: usize = 4 * size_of::<Value>() + 16;

/// Reads all of the bytes; the error is a clause about them.
pub(super) fn read(bytes: &[u8]) -> Result<Value, &'static str> {
    let left = Cell::new(MEMORY);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = Unambiguous(&left).deserialize(&mut deserializer);
    match read.and_then(|value| deserializer.end().map(|()| value)) {
        Ok(value) => Ok(value),
        Err(_) if left.get() == 0 => Err("its JSON has more fields and items than are read"),
        // The visitor below takes every type, so what it objects to is a second field of a name.
        Err(error) if error.classify() == Category::Data => Err("a field stands twice in its JSON"),
        Err(_) => Err("it is no JSON, or nested too deeply"),
    }
}

/// Reads a value, as long as memory is left.
#[derive(Clone, Copy)]
struct Unambiguous<'m>(&'m Cell<usize>);

impl Unambiguous<'_> {
    /// Before so many bytes are allocated.
    fn take<E: Error>(self, bytes: usize) -> Result<(), E> {
        let left = self.0.get().checked_sub(bytes).filter(|left| *left > 0);
        self.0.set(left.unwrap_or(0));
        left.map(drop).ok_or_else(|| E::custom("too much"))
    }
}

impl<'de> DeserializeSeed<'de> for Unambiguous<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unambiguous<'_> {
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

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.take(value.len() + VALUE)?;
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            self.take(if list.is_empty() { LIST } else { 2 * VALUE })?;
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            self.take(name.len() + VALUE + if map.is_empty() { OBJECT } else { FIELD })?;
            let value = fields.next_value_seed(self)?;
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a field stands twice"));
            }
        }
        Ok(Value::Object(map))
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
    fn a_tree_that_takes_far_more_memory_than_its_text_is_not_built() {
        let many = |item: &str, separator: &str, frame: [&str; 2]| {
            let items = vec![item; (4 << 20) / (item.len() + separator.len())].join(separator);
            format!("{}{items}{}", frame[0], frame[1])
        };
        for text in [
            many(r#"{"":0}"#, ",", ["[", "]"]),
            many(r#"{"":{"":{"":0}}}"#, ",", ["[", "]"]),
            many("[0]", ",", ["[", "]"]),
            many("0", ",", ["[", "]"]),
            many(r#""""#, ",", ["[", "]"]),
        ] {
            assert_eq!(read(text.as_bytes()), Err("its JSON has more fields and items than are read"));
        }
        // As large, and as SBOMs are.
        let package = r#"{"SPDXID":"SPDXRef-Package-deb-libc6-2.36-9-deb12u4","name":"libc6","versionInfo":"2.36-9+deb12u4",
            "downloadLocation":"NOASSERTION","filesAnalyzed":false,"licenseConcluded":"GPL-2.0-only AND LGPL-2.1-only",
            "externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl",
            "referenceLocator":"pkg:deb/debian/libc6@2.36-9+deb12u4?arch=amd64&distro=debian-12"}]}"#;
        let text = many(package, ",", [r#"{"packages":["#, "]}"]);
        assert!(text.len() > 4_000_000 && read(text.as_bytes()).is_ok());
    }

    #[test]
    fn a_field_that_stands_twice_is_refused_at_every_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#] {
            assert_eq!(read(text.as_bytes()), Err("a field stands twice in its JSON"), "{text}");
        }
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
