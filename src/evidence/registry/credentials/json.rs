//! JSON that holds secrets: values with their lines, and mistakes that quote nothing.
//!
//! The JSON reader's own sentences repeat what they stumbled over, so only category, line and column of them are said.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One value of a text.
#[derive(Clone, Copy)]
pub(super) struct Json<'a> {
    whole: &'a str,
    raw: &'a str,
}

/// What is wrong, and on which line.
pub(super) struct Flaw {
    pub(super) line: u64,
    pub(super) words: String,
}

impl<'a> Json<'a> {
    pub(super) fn parse(whole: &'a str) -> Result<Self, Flaw> {
        match serde_json::from_str::<&RawValue>(whole) {
            Ok(raw) => Ok(Self { whole, raw: raw.get() }),
            Err(error) => {
                let line = u64::try_from(error.line()).unwrap_or(u64::MAX);
                Err(Flaw { line, words: format!("is no valid JSON: {}", scrubbed(&error)) })
            }
        }
    }

    /// Counted from 1; on the way of a mistake alone, since it counts from the top.
    pub(super) fn line(&self) -> u64 {
        let offset = self.raw.as_ptr().addr().saturating_sub(self.whole.as_ptr().addr());
        let before = self.whole.get(..offset).unwrap_or_default();
        u64::try_from(before.matches('\n').count()).unwrap_or(u64::MAX).saturating_add(1)
    }

    pub(super) fn is_null(&self) -> bool {
        self.raw == "null"
    }

    /// The fields of an object, in their order: no key twice, at most so many.
    pub(super) fn fields(&self, most: usize) -> Result<Vec<(String, Self)>, Flaw> {
        let wrong = |json: &Self, words: String| Flaw { line: json.line(), words };
        if !self.raw.starts_with('{') {
            return Err(wrong(self, "must be an object".to_owned()));
        }
        let mut deserializer = serde_json::Deserializer::from_str(self.raw);
        let read = deserializer.deserialize_map(FieldsVisitor { most });
        let read = read.map_err(|error| wrong(self, format!("cannot be read: {}", scrubbed(&error))))?;
        if read.len() > most {
            return Err(wrong(self, format!("has more than {most} entries, and no more are read")));
        }
        let fields: Vec<(String, Self)> =
            read.into_iter().map(|(key, raw)| (key, Self { whole: self.whole, raw: raw.get() })).collect();
        let mut seen = std::collections::BTreeSet::new();
        match fields.iter().position(|(key, _)| !seen.insert(key)) {
            None => Ok(fields),
            Some(index) => {
                let words = format!("has the key of its entry {} twice", index + 1);
                Err(Flaw { line: fields.get(index).map_or(0, |(_, json)| json.line()), words })
            }
        }
    }

    /// A text; empty for null, as in Go.
    pub(super) fn text(&self) -> Result<String, Flaw> {
        if self.is_null() {
            return Ok(String::new());
        }
        serde_json::from_str(self.raw).map_err(|_quotes| Flaw { line: self.line(), words: "must be text".to_owned() })
    }
}

/// Category and place, without a word of the text.
fn scrubbed(error: &serde_json::Error) -> String {
    let category = match error.classify() {
        serde_json::error::Category::Io => "unreadable",
        serde_json::error::Category::Syntax => "a mistake in its syntax",
        serde_json::error::Category::Data => "a value that is not expected",
        serde_json::error::Category::Eof => "it ends too early",
    };
    format!("{category} (line {}, column {})", error.line(), error.column())
}

struct FieldsVisitor {
    most: usize,
}

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    /// One more than is read tells that there are more.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value::<&RawValue>()?;
            if fields.len() <= self.most {
                fields.push((key, value));
            }
        }
        Ok(fields)
    }
}
