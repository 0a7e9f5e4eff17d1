//! JSON as the formats read it: bounded, strict about what is known, and silent about what stands in it.
//!
//! As `serde_json` has it, save in four things: an object is an object only (derived structures would take a list for one),
//! a field stands once, a list is never held, and an error names a place and no text.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{BYTES, Fields};
use crate::fact::report::{Defect, Unusable};

/// Fields of one object that is not read as a whole. Real ones have ten; they are kept in a tree.
const FIELDS: usize = 256;

/// The fields of what all of the bytes are: one object.
pub(super) fn outermost(bytes: &[u8]) -> Result<Fields<'_>, Unusable> {
    if bytes.len() > BYTES {
        let words = format!("it is larger than the {} MiB that are read of a report", BYTES >> 20);
        return Err(Unusable::new(Defect::BeyondBounds, words));
    }
    let text = str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error))?;
    // Windows writes one in front of UTF-8.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let begins = text.bytes().find(|byte| !byte.is_ascii_whitespace());
    let is_no_report = |what: &str| {
        let words =
            format!("it is {what}, and a report is an object: have the scanner write it anew with its JSON format");
        Unusable::new(Defect::NotAReport, words)
    };
    match begins {
        None => {
            let words = "it is empty, as a scan that failed leaves it: see what the scanner said, and scan again";
            Err(Unusable::new(Defect::Empty, words))
        }
        Some(b'[') => Err(is_no_report("a list (Trivy wrote one before version 0.20)")),
        Some(b'"') => Err(is_no_report("a string")),
        Some(b'-' | b'0'..=b'9') => Err(is_no_report("a number")),
        Some(b'{') => fields(text, None),
        Some(_) => {
            let words = "it is not JSON: have the scanner write its own (trivy --format json, grype -o json)";
            Err(Unusable::new(Defect::Malformed, words))
        }
    }
}

/// The fields of a field that must be an object; null is one without fields.
pub(super) fn fields_of<'a>(raw: &'a RawValue, field: &'static str) -> Result<Fields<'a>, Unusable> {
    if raw.get() == "null" {
        return Ok(Fields::new());
    }
    fields(raw.get(), Some(field))
}

/// Reads a field as what it must be.
pub(super) fn parse<'a, T: Deserialize<'a>>(raw: &'a RawValue, field: &'static str) -> Result<T, Unusable> {
    serde_json::from_str(raw.get()).map_err(|error| unreadable(&error, Some(field)))
}

/// Reads one of the fields as what it must be; one that is not there as nothing.
pub(super) fn field<'a, T: Deserialize<'a> + Default>(fields: &Fields<'a>, name: &'static str) -> Result<T, Unusable> {
    fields.get(name).map_or_else(|| Ok(T::default()), |raw| parse(raw, name))
}

/// Takes the objects of a list one by one, none of them held longer; null is a list without any. The first that is not
/// taken ends it.
pub(super) fn each<'a, T: Deserialize<'a>>(
    raw: &'a RawValue,
    field: &'static str,
    mut take: impl FnMut(T) -> Result<(), Unusable>,
) -> Result<(), Unusable> {
    elements(raw, field, |Entry(entry)| take(entry))
}

/// Takes the texts of a list one by one; null is a list without any.
pub(super) fn each_text(raw: &RawValue, field: &'static str, mut take: impl FnMut(&str)) -> Result<(), Unusable> {
    elements(raw, field, |Text(text)| {
        take(&text);
        Ok(())
    })
}

fn elements<'a, T: Deserialize<'a>>(
    raw: &'a RawValue,
    field: &'static str,
    take: impl FnMut(T) -> Result<(), Unusable>,
) -> Result<(), Unusable> {
    let mut refused = None;
    let mut reader = serde_json::Deserializer::from_str(raw.get());
    let read = reader.deserialize_any(Elements { take, refused: &mut refused, of: PhantomData });
    match (refused, read) {
        (Some(refusal), _) => Err(refusal),
        (None, Err(error)) => Err(unreadable(&error, Some(field))),
        (None, Ok(())) => Ok(()),
    }
}

fn fields<'a>(text: &'a str, field: Option<&'static str>) -> Result<Fields<'a>, Unusable> {
    let mut too_many = false;
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = reader.deserialize_map(FieldsVisitor { too_many: &mut too_many });
    let read = read.and_then(|fields| reader.end().map(|()| fields));
    read.map_err(|error| match too_many {
        true => Unusable::new(Defect::BeyondBounds, format!("an object of it has more than {FIELDS} fields")),
        // To serde_json a number without an end is a mistake, and to us it may be the end of what was written so far.
        false if error.is_syntax() && field.is_none() && ends_in_number(text, &error) => truncated(),
        false => unreadable(&error, field),
    })
}

/// Why it was not read, in our words: serde's repeat what stands there.
fn unreadable(error: &serde_json::Error, field: Option<&'static str>) -> Unusable {
    let (line, column) = (error.line(), error.column());
    if error.is_eof() {
        return truncated();
    }
    // The one bound that serde_json keeps for us, told apart by its text alone.
    if error.is_syntax() && error.to_string().starts_with("recursion limit exceeded") {
        return Unusable::new(Defect::BeyondBounds, "it is nested deeper than any report is");
    }
    let words = match field {
        None => format!("it is not JSON of which each field stands once: see line {line}, column {column}"),
        Some(field) => {
            format!(
                "its field {field} is not of the form that it must have: see line {line}, column {column} of that field"
            )
        }
    };
    Unusable::new(Defect::Malformed, words)
}

/// Whether the mistake is that the text ends with `4.`, `-` or `1e`.
fn ends_in_number(text: &str, error: &serde_json::Error) -> bool {
    let last = text.rsplit('\n').next().unwrap_or(text);
    error.column() >= last.len() && text.ends_with(['.', '-', '+', 'e', 'E'])
}

fn truncated() -> Unusable {
    let words = "it ends in the middle: it is being written, or was cut off; scan again if it stays so";
    Unusable::new(Defect::Truncated, words)
}

fn not_utf8(bytes: &[u8], error: std::str::Utf8Error) -> Unusable {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let words =
            "it is UTF-16, as PowerShell redirects output: have the scanner write the file itself (--output, --file)";
        return Unusable::new(Defect::Malformed, words);
    }
    match error.error_len() {
        None => Unusable::new(
            Defect::Truncated,
            "it ends in the middle of a character: it is being written, or was cut off",
        ),
        Some(_) => Unusable::new(Defect::Malformed, format!("it is not UTF-8 text: see byte {}", error.valid_up_to())),
    }
}

/// A text; null is an empty one, as Go reads it.
#[derive(Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl Text<'_> {
    /// It, unless there is nothing in it.
    pub(super) fn stated(&self) -> Option<&str> {
        Some(&*self.0).filter(|text| !text.is_empty())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor(PhantomData))
    }
}

struct TextVisitor<'a>(PhantomData<&'a str>);

impl<'de: 'a, 'a> Visitor<'de> for TextVisitor<'a> {
    type Value = Text<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'a>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'a>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<Text<'a>, E> {
        Ok(Text::default())
    }
}

/// A text or a whole number, as text: what some versions of a tool write as the one and some as the other.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Scalar<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor(PhantomData))
    }
}

struct ScalarVisitor<'a>(PhantomData<&'a str>);

impl<'de: 'a, 'a> Visitor<'de> for ScalarVisitor<'a> {
    type Value = Scalar<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a whole number")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Scalar<'a>, E> {
        Ok(Scalar(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar<'a>, E> {
        Ok(Scalar(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar<'a>, E> {
        Ok(Scalar(Cow::Owned(number.to_string())))
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar<'a>, E> {
        Ok(Scalar::default())
    }
}

/// An object, and no list of its fields in order; null is one without fields, as Go reads it.
#[derive(Debug, Default)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E: Error>(self) -> Result<Object<T>, E> {
        Ok(Object::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(Once::new(map))).map(Object)
    }
}

/// One entry of a list: an object that is there.
struct Entry<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entry<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntryVisitor(PhantomData))
    }
}

struct EntryVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for EntryVisitor<T> {
    type Value = Entry<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(Once::new(map))).map(Entry)
    }
}

/// An object that has each field once, those that nobody asks for as well, and a bounded number of them.
struct Once<'de, A> {
    map: A,
    seen: Vec<Cow<'de, str>>,
}

impl<'de, A: MapAccess<'de>> Once<'de, A> {
    fn new(map: A) -> Self {
        Self { map, seen: Vec::new() }
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Once<'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(Text(name)) = self.map.next_key()? else { return Ok(None) };
        if self.seen.contains(&name) || self.seen.len() >= FIELDS {
            return Err(A::Error::custom("a field stands twice, or there are too many"));
        }
        let key = seed.deserialize(StrDeserializer::new(&name))?;
        self.seen.push(name);
        Ok(Some(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

struct Elements<'s, T, F> {
    take: F,
    refused: &'s mut Option<Unusable>,
    of: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> Result<(), Unusable>> Visitor<'de> for Elements<'_, T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(entry) = list.next_element()? {
            if let Err(refusal) = (self.take)(entry) {
                *self.refused = Some(refusal);
                return Err(A::Error::custom("an entry was refused"));
            }
        }
        Ok(())
    }
}

struct FieldsVisitor<'s> {
    too_many: &'s mut bool,
}

impl<'de> Visitor<'de> for FieldsVisitor<'_> {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::new();
        while let Some(Text(name)) = map.next_key()? {
            if fields.len() >= FIELDS {
                *self.too_many = true;
                return Err(A::Error::custom("too many fields"));
            }
            if fields.insert(name, map.next_value()?).is_some() {
                return Err(A::Error::custom("a field stands twice"));
            }
        }
        Ok(fields)
    }
}
