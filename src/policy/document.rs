//! Documents as operators write them: a tree that knows its lines.
//!
//! Everything that people write (policies, settings, the Kubernetes objects of `--manifests` and `check -f`) comes
//! through here, as does what a cluster holds. Promises: a tree says nothing that its text does not; a key that stands
//! twice, a tag of YAML's that we do not know and a number that is none are refused; hostile YAML costs bounded time
//! and memory. [`reader`] reads a tree against a schema and collects every mistake.
//!
//! Nothing here prints the texts of a tree: Secrets come this way too.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number};
use serde_saphyr::{MessageFormatter, Options, Spanned, UserMessageFormatter};

pub mod reader;
pub mod scalar;
pub mod wording;

/// A text longer than this is not read: the API server keeps no object above 1.5 MiB, and a dump of a whole
/// namespace, reports included, fits.
const MOST_BYTES: usize = 16 << 20;
/// The deepest Kubernetes objects (the schemas inside of a CRD) stay below 60.
const MOST_DEPTH: usize = 100;
/// The parser needs up to 50 kB of stack for a level in a debug build (measured), more than the 2 MiB of an ordinary
/// thread have for [`MOST_DEPTH`]; this is three times what it can need. Only what is touched becomes memory.
const STACK: usize = 16 << 20;
/// Parser events of one text; every node costs one or two, and a node less than 150 bytes.
const MOST_EVENTS: usize = 1_000_000;
/// Anchors save typing in a policy; nobody types more than this, and what they expand to is bounded as well.
const MOST_ALIASES: usize = 1_000;
/// Events that aliases may add to the text's own: a tenth, so that a "billion laughs" stops early.
const MOST_REPLAYED: usize = 100_000;

/// One value of a document.
#[derive(Clone, PartialEq)]
pub struct Node {
    /// Counted from 1; `None` where the document came as JSON from a cluster, which has no lines.
    pub line: Option<u64>,
    pub value: Value,
}

/// What a [`Node`] holds.
#[derive(Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// In the order of the document; no key twice.
    Map(Vec<Entry>),
}

/// One field of a map.
#[derive(Clone, PartialEq)]
pub struct Entry {
    pub key: String,
    /// The line of the key.
    pub line: Option<u64>,
    pub node: Node,
}

/// Something wrong in a document, said so that its author can mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file, or the name of the object in the cluster; may be empty until the caller says it.
    pub source: String,
    pub line: Option<u64>,
    /// `spec.rules[0].tags.deny[1]`; empty for the document as a whole.
    pub path: String,
    pub message: String,
}

impl Mistake {
    /// The same, said of this file or object.
    #[must_use]
    pub fn in_source(self, source: &str) -> Self {
        Self { source: source.to_owned(), ..self }
    }
}

/// `file:line: path: message`, without the parts that are not known.
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.source.as_str(), self.line) {
            ("", None) => {}
            ("", Some(line)) => write!(f, "line {line}: ")?,
            (source, None) => write!(f, "{source}: ")?,
            (source, Some(line)) => write!(f, "{source}:{line}: ")?,
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Reads YAML (and with it JSON) of any number of documents; empty ones are left out.
///
/// A text that is no YAML has one mistake: nothing after it can be trusted.
pub fn parse_documents(text: &str) -> Result<Vec<Node>, Mistake> {
    if text.len() > MOST_BYTES {
        return Err(unreadable(format!("has {} bytes, and at most {MOST_BYTES} are read: split it", text.len())));
    }
    std::thread::scope(|scope| {
        let parser = std::thread::Builder::new().name("yaml".to_owned()).stack_size(STACK);
        match parser.spawn_scoped(scope, || parse(text)).map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(documents)) => documents,
            Ok(Err(_)) => Err(unreadable("the parser failed".to_owned())),
            Err(error) => Err(unreadable(format!("no thread to read it on: {error}"))),
        }
    })
}

fn unreadable(message: String) -> Mistake {
    Mistake { source: String::new(), line: None, path: String::new(), message }
}

fn parse(text: &str) -> Result<Vec<Node>, Mistake> {
    serde_saphyr::from_multiple_with_options(text, options()).map_err(|error| {
        let error = error.without_snippet();
        let what = UserMessageFormatter.format_message(error);
        Mistake {
            line: error.location().and_then(line),
            ..unreadable(format!("is no valid YAML: {}", wording::printable(&what)))
        }
    })
}

/// Kubernetes reads `yes` and `on` as text only since YAML 1.2; so do we, and a switch says `true`.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MOST_DEPTH,
            max_events: MOST_EVENTS,
            max_nodes: MOST_EVENTS,
            max_aliases: MOST_ALIASES,
            max_anchors: MOST_ALIASES,
            max_total_scalar_bytes: MOST_BYTES,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MOST_REPLAYED,
        },
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

impl Node {
    /// The field of a map; `None` where there is no such field, or no map.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&Self> {
        self.entries()?.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// The fields of a map, in their order.
    #[must_use]
    pub fn entries(&self) -> Option<&[Entry]> {
        if let Value::Map(entries) = &self.value { Some(entries) } else { None }
    }

    /// The items of a list.
    #[must_use]
    pub fn items(&self) -> Option<&[Self]> {
        if let Value::List(items) = &self.value { Some(items) } else { None }
    }

    #[must_use]
    pub fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        if let Value::Bool(value) = self.value { Some(value) } else { None }
    }

    #[must_use]
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// What a cluster's API server says. Keys that stand twice were lost before this.
    #[must_use]
    pub fn from_json(json: &serde_json::Value) -> Self {
        let value = match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(*value),
            serde_json::Value::Number(number) => Value::Number(number.clone()),
            serde_json::Value::String(text) => Value::Text(text.clone()),
            serde_json::Value::Array(items) => Value::List(items.iter().map(Self::from_json).collect()),
            serde_json::Value::Object(fields) => Value::Map(fields.iter().map(Entry::from_json).collect()),
        };
        Self { line: None, value }
    }

    /// The same without its lines, for readers of JSON.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => serde_json::Value::Bool(*value),
            Value::Number(number) => serde_json::Value::Number(number.clone()),
            Value::Text(text) => serde_json::Value::String(text.clone()),
            Value::List(items) => serde_json::Value::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => {
                let fields = entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json()));
                serde_json::Value::Object(fields.collect::<Map<_, _>>())
            }
        }
    }
}

impl Entry {
    fn from_json((key, json): (&String, &serde_json::Value)) -> Self {
        Self { key: key.clone(), line: None, node: Node::from_json(json) }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// The shape alone: what stands in a tree may be a Secret.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(_) => f.write_str("bool"),
            Self::Number(_) => f.write_str("number"),
            Self::Text(text) => write!(f, "text of {} bytes", text.len()),
            Self::List(items) => f.debug_list().entries(items).finish(),
            Self::Map(entries) => f.debug_map().entries(entries.iter().map(|entry| (&entry.key, &entry.node))).finish(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { line: line(spanned.referenced), value: spanned.value })
    }
}

fn line(location: serde_saphyr::Location) -> Option<u64> {
    Some(location.line()).filter(|line| *line > 0)
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is none: quote it"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    /// The parser refuses a key that stands twice; `1` and `"1"`, which it takes for two, are one to us.
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        let mut seen = BTreeSet::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            if !seen.insert(key.value.clone()) {
                return Err(de::Error::custom(format_args!("the key {:?} stands twice", key.value)));
            }
            entries.push(Entry { line: line(key.referenced), key: key.value, node: access.next_value()? });
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests;
