//! Documents as operators write them: a tree that knows its lines.
//!
//! Everything that people write (policies, settings, the Kubernetes objects of `--manifests` and `check -f`) comes
//! through here, as does what a cluster holds. Promises: a tree says nothing that its text does not; a key that stands
//! twice, a tag of YAML's that we do not know and a number that is none are refused; hostile YAML costs bounded time
//! and memory. [`reader`] reads a tree against a schema and collects every mistake.
//!
//! Nothing here prints the texts of a tree: Secrets come this way too.

use std::fmt;

use serde_json::{Map, Number};

pub mod reader;
pub mod scalar;
pub mod wording;
mod yaml;

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
    /// About a source as a whole.
    #[must_use]
    pub fn about(source: impl fmt::Display, message: impl Into<String>) -> Self {
        Self { source: source.to_string(), line: None, path: String::new(), message: message.into() }
    }

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
    yaml::parse(text)
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

#[cfg(test)]
mod tests;
