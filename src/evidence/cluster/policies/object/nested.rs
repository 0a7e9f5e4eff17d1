//! JSON of whatever depth. An API server takes objects that are nested more deeply than our reader of JSON goes, and one such
//! policy must not keep all others from being read.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Levels that are kept: more than any field of ours has, so that what is below them is below a mistake. With the list
/// around the objects it stays under the 128 levels of `serde_json`.
pub(super) const DEPTH: Nested = Nested(100);

/// A value, so many levels deep; what is deeper is `null`.
#[derive(Clone, Copy)]
pub(super) struct Nested(usize);

impl<'de> DeserializeSeed<'de> for Nested {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.0 == 0 {
            // Passed over without recursion.
            return deserializer.deserialize_ignored_any(IgnoredAny).map(|IgnoredAny| Value::Null);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
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
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self(self.0 - 1))? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            map.insert(key, entries.next_value_seed(Self(self.0 - 1))?);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Value {
        DEPTH.deserialize(&mut serde_json::Deserializer::from_str(text)).unwrap()
    }

    #[test]
    fn what_is_not_too_deep_is_what_it_says() {
        let text = r#"{"a": [1, -2, 0.5, "x", true, null, {"b": {}}], "c": []}"#;
        assert_eq!(read(text), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn what_is_too_deep_is_nothing_and_no_error_for_what_stands_beside_it() {
        let deep = format!("{{\"deep\": {}1{}, \"beside\": 2}}", "[".repeat(5_000), "]".repeat(5_000));
        let value = read(&deep);
        assert_eq!(value["beside"], 2);
        let levels = std::iter::successors(Some(&value["deep"]), |inner| inner.get(0)).count();
        assert_eq!(levels, 100);
    }
}
