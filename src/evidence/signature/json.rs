//! JSON that nobody can read in two ways: a field that stands twice is refused, wherever it stands, since parsers differ
//! in which of the two they take. Nesting ends where `serde_json` ends it, at 128 levels.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Value};

/// Reads all of the bytes; the error is a clause about them.
pub(super) fn read(bytes: &[u8]) -> Result<Value, &'static str> {
    match serde_json::from_slice::<Unambiguous>(bytes) {
        Ok(Unambiguous(value)) => Ok(value),
        // The visitor below takes every type, so what it objects to is a second field of a name.
        Err(error) if error.classify() == Category::Data => Err("a field stands twice in its JSON"),
        Err(_) => Err("it is no JSON, or nested too deeply"),
    }
}

struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Whole).map(Self)
    }
}

struct Whole;

impl<'de> Visitor<'de> for Whole {
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
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unambiguous(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, Unambiguous(value))) = fields.next_entry::<String, Unambiguous>()? {
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
