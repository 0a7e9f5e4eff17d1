//! YAML 1.2 to trees, from the events of serde-saphyr's parser.
//!
//! Built without recursion: that crate's own deserializer needs up to 50 kB of stack for a level in a debug build
//! (measured), and 40 levels are the end of an ordinary thread. Scalars are read by YAML's core schema, as text
//! whatever it leaves open; anchors, aliases and merge keys work as kubectl's, within a budget.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Number;
use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, Tag};

use crate::request::printable;

use super::wording::quoted;
use super::{Entry, Mistake, Node, Value};

/// A text longer than this is not read: the API server keeps no object above 1.5 MiB, and a dump of a whole
/// namespace, reports included, fits.
pub(super) const MOST_BYTES: usize = 16 << 20;
/// The deepest Kubernetes objects (the schemas inside of a CRD) stay below 60. Readers of a tree may recurse.
pub(super) const MOST_DEPTH: usize = 100;
/// Values of one text: as many as a text of [`MOST_BYTES`] has that is more than punctuation, in some 100 MB.
const MOST_NODES: usize = 1_000_000;
/// What anchors, aliases and merge keys may copy, in bytes: they save typing, and nobody types half of this. A
/// "billion laughs" stops here.
const MOST_COPIED: usize = 8 << 20;
/// What a node takes beside its text, for [`MOST_COPIED`].
const NODE_BYTES: usize = 64;

pub(super) fn parse(text: &str) -> Result<Vec<Node>, Mistake> {
    if text.len() > MOST_BYTES {
        let message = format!("has {} bytes, and at most {MOST_BYTES} are read: split it", text.len());
        return Err(Mistake { source: String::new(), line: None, path: String::new(), message });
    }
    let options = granit_parser::options! {
        flow_nesting_limit: MOST_DEPTH,
        block_nesting_limit: MOST_DEPTH,
    };
    let mut builder = Builder::default();
    for step in Parser::new_from_str_with_options(text, options) {
        let (event, span) = step.map_err(|error| broken(line(error.marker().line()), &error.info()))?;
        let line = line(span.start.line());
        builder.take(event, line).map_err(|why| broken(line, &why))?;
    }
    Ok(builder.documents)
}

fn broken(line: Option<u64>, why: &str) -> Mistake {
    let message = format!("is no valid YAML: {}", printable(why, usize::MAX));
    Mistake { source: String::new(), line, path: String::new(), message }
}

fn line(line: usize) -> Option<u64> {
    u64::try_from(line).ok().filter(|line| *line > 0)
}

/// A tree half built.
#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    /// The collections around the next value, the outermost first.
    open: Vec<Open>,
    /// What was named with `&`, of this document.
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    copied: usize,
}

/// A collection that has not ended.
struct Open {
    line: Option<u64>,
    /// 0 where it has no anchor.
    anchor: usize,
    kind: Kind,
}

enum Kind {
    List(Vec<Node>),
    Map(Fields),
}

#[derive(Default)]
struct Fields {
    entries: Vec<Entry>,
    keys: BTreeSet<String>,
    /// The key whose value comes next.
    key: Option<Key>,
    /// The values of `<<`: maps, and lists of maps.
    merged: Vec<Node>,
}

struct Key {
    text: String,
    line: Option<u64>,
    merge: bool,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, line: Option<u64>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag.as_deref(), line),
            Event::SequenceStart(_, anchor, tag) => {
                refuse_tag(tag.as_deref(), "seq")?;
                self.open(Open { line, anchor, kind: Kind::List(Vec::new()) })
            }
            Event::MappingStart(_, anchor, tag) => {
                refuse_tag(tag.as_deref(), "map")?;
                self.open(Open { line, anchor, kind: Kind::Map(Fields::default()) })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.alias(anchor, line),
            Event::DocumentEnd => {
                self.anchors.clear();
                Ok(())
            }
            Event::StreamStart | Event::StreamEnd | Event::DocumentStart(..) | Event::Comment(..) => Ok(()),
            Event::Anchor(..) | Event::UnresolvedAlias(_) => Err("an alias without its anchor".to_owned()),
            _ => Err("something that this reader does not know".to_owned()),
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        line: Option<u64>,
    ) -> Result<(), String> {
        let value = resolve(text, style, tag)?;
        self.count()?;
        if let Some(fields) = self.awaits_key() {
            let merge = style == ScalarStyle::Plain && tag.is_none() && text == "<<";
            fields.begin(Key { text: text.to_owned(), line, merge })?;
            return self.name(anchor, &Node { line, value: Value::Text(text.to_owned()) });
        }
        let node = Node { line, value };
        self.name(anchor, &node)?;
        self.place(node)
    }

    fn open(&mut self, open: Open) -> Result<(), String> {
        self.count()?;
        if self.awaits_key().is_some() {
            return Err("a key that is no text".to_owned());
        }
        if self.open.len() >= MOST_DEPTH {
            return Err(format!("nested more than {MOST_DEPTH} levels deep"));
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let Some(Open { line, anchor, kind }) = self.open.pop() else {
            return Err("the end of what never began".to_owned());
        };
        let value = match kind {
            Kind::List(items) => Value::List(items),
            Kind::Map(fields) => Value::Map(self.merge(fields)?),
        };
        let node = Node { line, value };
        self.name(anchor, &node)?;
        self.place(node)
    }

    /// A copy of what the anchor names, on the line where it is used.
    fn alias(&mut self, anchor: usize, line: Option<u64>) -> Result<(), String> {
        let Some(named) = self.anchors.get(&anchor) else {
            return Err("an alias inside of what it stands for".to_owned());
        };
        if self.open.len() + depth(named) > MOST_DEPTH {
            return Err(format!("nested more than {MOST_DEPTH} levels deep"));
        }
        let bytes = weight(named);
        self.pay(bytes)?;
        let Some(named) = self.anchors.get(&anchor) else { return Ok(()) };
        let node = Node { line, ..named.clone() };
        if let Some(fields) = self.awaits_key() {
            let Value::Text(text) = node.value else { return Err("a key that is no text".to_owned()) };
            return fields.begin(Key { text, line, merge: false });
        }
        self.place(node)
    }

    /// Remembers what has an anchor.
    fn name(&mut self, anchor: usize, node: &Node) -> Result<(), String> {
        if anchor != 0 {
            self.pay(weight(node))?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(())
    }

    /// Puts a finished value where it belongs. A document that says nothing is none.
    fn place(&mut self, node: Node) -> Result<(), String> {
        match self.open.last_mut().map(|open| &mut open.kind) {
            None if node.is_null() => Ok(()),
            None => {
                self.documents.push(node);
                Ok(())
            }
            Some(Kind::List(items)) => {
                items.push(node);
                Ok(())
            }
            Some(Kind::Map(fields)) => fields.insert(node),
        }
    }

    /// The map whose next value is a key.
    fn awaits_key(&mut self) -> Option<&mut Fields> {
        match self.open.last_mut().map(|open| &mut open.kind) {
            Some(Kind::Map(fields)) if fields.key.is_none() => Some(fields),
            Some(Kind::Map(_) | Kind::List(_)) | None => None,
        }
    }

    /// What `<<` brings, unless the map has it itself; of several the first wins.
    fn merge(&mut self, fields: Fields) -> Result<Vec<Entry>, String> {
        let Fields { mut entries, mut keys, key: _, merged } = fields;
        let maps = merged.iter().flat_map(|node| node.items().unwrap_or(std::slice::from_ref(node)));
        for entry in maps.filter_map(Node::entries).flatten() {
            if keys.insert(entry.key.clone()) {
                self.pay(weight(&entry.node) + entry.key.len())?;
                entries.push(entry.clone());
            }
        }
        Ok(entries)
    }

    fn count(&mut self) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > MOST_NODES { Err(format!("has more than {MOST_NODES} values")) } else { Ok(()) }
    }

    fn pay(&mut self, bytes: usize) -> Result<(), String> {
        self.copied = self.copied.saturating_add(bytes);
        let most = MOST_COPIED;
        if self.copied > most { Err(format!("its aliases copy more than {most} bytes")) } else { Ok(()) }
    }
}

impl Fields {
    fn begin(&mut self, key: Key) -> Result<(), String> {
        if !self.keys.insert(key.text.clone()) {
            return Err(format!("the key {} stands here twice", quoted(&key.text)));
        }
        self.key = Some(key);
        Ok(())
    }

    fn insert(&mut self, node: Node) -> Result<(), String> {
        match self.key.take() {
            Some(Key { merge: true, .. }) => {
                let maps = node.items().unwrap_or(std::slice::from_ref(&node));
                if maps.iter().any(|map| map.entries().is_none()) {
                    return Err("`<<` merges maps, or a list of maps".to_owned());
                }
                self.merged.push(node);
            }
            Some(Key { text, line, merge: false }) => self.entries.push(Entry { key: text, line, node }),
            None => return Err("a value without a key".to_owned()),
        }
        Ok(())
    }
}

/// The levels of a tree, itself included.
fn depth(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Map(entries) => 1 + entries.iter().map(|entry| depth(&entry.node)).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => 0,
    }
}

/// What a copy costs, in bytes.
fn weight(node: &Node) -> usize {
    let inside = match &node.value {
        Value::List(items) => items.iter().map(weight).sum(),
        Value::Map(entries) => entries.iter().map(|entry| entry.key.len() + weight(&entry.node)).sum(),
        Value::Text(text) => text.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    NODE_BYTES + inside
}

/// A tag that says what is so anyway is fine.
fn refuse_tag(tag: Option<&Tag>, meant: &str) -> Result<(), String> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema_tag(meant) => Err(unknown(tag)),
        Some(_) | None => Ok(()),
    }
}

fn unknown(tag: &Tag) -> String {
    format!("the tag {} means nothing here", quoted(&tag.original()))
}

/// What a scalar says: a quoted one is text, a plain one what the core schema takes it for.
fn resolve(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    let Some(tag) = tag else {
        return if style == ScalarStyle::Plain { plain(text) } else { Ok(Value::Text(text.to_owned())) };
    };
    let value = match tag.core_suffix() {
        Some("str") => return Ok(Value::Text(text.to_owned())),
        Some("null" | "bool" | "int" | "float") => plain(text)?,
        Some(_) | None => return Err(unknown(tag)),
    };
    let fits = match &value {
        Value::Null => tag.is_yaml_core_schema_tag("null"),
        Value::Bool(_) => tag.is_yaml_core_schema_tag("bool"),
        Value::Number(number) if number.is_f64() => tag.is_yaml_core_schema_tag("float"),
        Value::Number(_) => tag.is_yaml_core_schema_tag("int") || tag.is_yaml_core_schema_tag("float"),
        Value::Text(_) | Value::List(_) | Value::Map(_) => false,
    };
    if fits { Ok(value) } else { Err(format!("{} is no {}", quoted(text), tag.original())) }
}

fn plain(text: &str) -> Result<Value, String> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text)?.map_or_else(|| Value::Text(text.to_owned()), Value::Number),
    })
}

/// `None` for what is written unlike a number.
fn number(text: &str) -> Result<Option<Number>, String> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let no_number = || format!("{} is a number that is none: quote it, or write another", quoted(text));
    if matches!(digits, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Err(no_number());
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        // A sign belongs to no such number, and the parser of Rust would take one after the prefix.
        if let Some(digits) = text.strip_prefix(prefix).filter(|digits| !digits.starts_with(['-', '+'])) {
            return Ok(u64::from_str_radix(digits, radix).ok().map(Number::from));
        }
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Ok(None);
    }
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if let Some(whole) = unsigned.parse::<i64>().ok().map(Number::from) {
        return Ok(Some(whole));
    }
    if let Some(whole) = unsigned.parse::<u64>().ok().map(Number::from) {
        return Ok(Some(whole));
    }
    match text.parse::<f64>() {
        Ok(number) => Number::from_f64(number).map(Some).ok_or_else(no_number),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
