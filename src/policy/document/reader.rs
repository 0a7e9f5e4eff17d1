//! Reads a tree against a schema, and never stops at the first mistake.
//!
//! A schema is a struct written with `schema!`; its fields are [`Field`]s, so that what is absent and what could not
//! be read stay apart: the latter already has its mistake, and nobody may take it for an empty value.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::wording::{excerpt, expected, nearest, quoted};
use super::{Entry, Mistake, Node, Value};

/// Where in a document something stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    pub path: String,
    pub line: Option<u64>,
}

impl Place {
    /// The document as a whole.
    #[must_use]
    pub fn root(node: &Node) -> Self {
        Self { path: String::new(), line: node.line }
    }

    fn entry(&self, entry: &Entry) -> Self {
        Self { path: self.path_of(&entry.key), line: entry.line }
    }

    fn item(&self, index: usize, node: &Node) -> Self {
        Self { path: format!("{}[{index}]", self.path), line: node.line.or(self.line) }
    }

    /// The path of a field: `spec.rules`, or `labels["app.example/x"]` where the key is no plain word.
    fn path_of(&self, key: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if key.is_empty() || !key.chars().all(plain) {
            return format!("{}[\"{}\"]", self.path, excerpt(key));
        }
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed<T> {
    pub value: T,
    pub place: Place,
}

/// A text of a document: never empty, never only white space.
pub type Text = Placed<String>;

/// What became of a field.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Field<T> {
    /// Not written.
    Absent,
    /// Required and missing, or written and not readable: it has its mistake.
    Unusable,
    Given(T),
}

impl<T> Field<T> {
    #[must_use]
    pub fn given(&self) -> Option<&T> {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Unusable => None,
        }
    }

    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The value, or `default` where nothing is written. What is unusable yields `default` too, which nobody sees:
    /// its mistake refuses the document.
    pub fn or(self, default: T) -> T {
        match self {
            Self::Given(value) => value,
            Self::Absent | Self::Unusable => default,
        }
    }
}

/// The mistakes of one document so far.
#[derive(Debug, Default)]
pub struct Mistakes {
    source: String,
    found: Vec<Mistake>,
}

impl Mistakes {
    #[must_use]
    pub fn of(source: &str) -> Self {
        Self { source: source.to_owned(), found: Vec::new() }
    }

    pub fn add(&mut self, place: &Place, message: impl Into<String>) {
        let Place { path, line } = place.clone();
        self.found.push(Mistake { source: self.source.clone(), line, path, message: message.into() });
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether something below this place is wrong: what is missing here may be what was misspelt there.
    #[must_use]
    pub fn has_below(&self, place: &Place) -> bool {
        let below =
            |mistake: &Mistake| mistake.path.strip_prefix(&place.path).is_some_and(|rest| rest.starts_with('.'));
        self.found.iter().any(below)
    }

    /// Whether an item of the list at this place could not be read, and was left out.
    #[must_use]
    pub fn has_lost_items(&self, list: &str) -> bool {
        let item = |rest: &str| rest.starts_with('[') && rest.ends_with(']') && !rest.contains('.');
        self.found.iter().any(|mistake| mistake.path.strip_prefix(list).is_some_and(item))
    }

    /// From the top of the document to its end.
    #[must_use]
    pub fn in_order(mut self) -> Vec<Mistake> {
        self.found.sort_by_key(|mistake| mistake.line);
        self.found
    }
}

/// A value that can be read from a document.
pub trait Read: Sized {
    /// `None` only after a mistake was added.
    fn read(node: &Node, place: &Place, mistakes: &mut Mistakes) -> Option<Self>;
}

/// The fields of one map while they are read.
pub struct Fields<'a> {
    entries: &'a [Entry],
    place: &'a Place,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// `None`, and a mistake, where there is no map.
    pub fn open(node: &'a Node, place: &'a Place, mistakes: &mut Mistakes) -> Option<Self> {
        let Some(entries) = node.entries() else {
            mistakes.add(place, expected("a map of fields", node));
            return None;
        };
        Some(Self { entries, place, known: Vec::new() })
    }

    pub fn optional<T: Read>(&mut self, key: &'static str, mistakes: &mut Mistakes) -> Field<T> {
        self.known.push(key);
        let Some(entry) = self.entries.iter().find(|entry| entry.key == key) else {
            return Field::Absent;
        };
        T::read(&entry.node, &self.place.entry(entry), mistakes).map_or(Field::Unusable, Field::Given)
    }

    pub fn required<T: Read>(&mut self, key: &'static str, mistakes: &mut Mistakes) -> Field<T> {
        match self.optional(key, mistakes) {
            Field::Absent => {
                let place = Place { path: self.place.path_of(key), line: self.place.line };
                mistakes.add(&place, "is missing");
                Field::Unusable
            }
            Field::Unusable => Field::Unusable,
            Field::Given(value) => Field::Given(value),
        }
    }

    /// What nobody asked for is a mistake.
    pub fn close(self, mistakes: &mut Mistakes) {
        for entry in self.entries.iter().filter(|entry| !self.known.contains(&entry.key.as_str())) {
            let advice = match nearest(&entry.key, &self.known) {
                Some(key) => format!("unknown field; did you mean `{key}`?"),
                None => format!("unknown field; known here: {}", self.known.join(", ")),
            };
            mistakes.add(&self.place.entry(entry), advice);
        }
    }
}

/// Writes a struct that is read from a map, and how: `required` or `optional`, the name in Rust, the key as users
/// type it, the type.
macro_rules! schema {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $presence:ident $field:ident $key:literal: $type:ty,)* }) => {
        $(#[$outer])*
        #[derive(Debug)]
        pub struct $name {
            $($(#[$inner])* pub $field: $crate::policy::document::reader::Field<$type>,)*
        }

        impl $crate::policy::document::reader::Read for $name {
            fn read(
                node: &$crate::policy::document::Node,
                place: &$crate::policy::document::reader::Place,
                mistakes: &mut $crate::policy::document::reader::Mistakes,
            ) -> Option<Self> {
                let mut fields = $crate::policy::document::reader::Fields::open(node, place, mistakes)?;
                let read = Self { $($field: fields.$presence($key, mistakes),)* };
                fields.close(mistakes);
                Some(read)
            }
        }
    };
}
pub(crate) use schema;

/// The same for a struct of which others must be told too: what its comments, fields and types say is its schema in `OpenAPI`.
macro_rules! described {
    (
        $(#[doc = $outer:literal])*
        $name:ident { $($(#[doc = $inner:literal])* $presence:ident $field:ident $key:literal: $type:ty,)* }
    ) => {
        $crate::policy::document::reader::schema! {
            $(#[doc = $outer])*
            $name { $($(#[doc = $inner])* $presence $field $key: $type,)* }
        }

        impl $crate::policy::schema::Described for $name {
            fn schema() -> serde_json::Value {
                let object = $crate::policy::schema::Object::new(&[$($outer),*]);
                $(let object = object.$presence::<$type>($key, &[$($inner),*]);)*
                object.schema()
            }
        }
    };
}
pub(crate) use described;

/// How an enum is read from its words, and what the schema says of them.
macro_rules! words {
    ($type:ty { $($word:literal => $value:expr,)* }) => {
        impl $crate::policy::schema::Described for $type {
            fn schema() -> serde_json::Value {
                $crate::policy::schema::one_of(&[$($word),*])
            }
        }

        impl $crate::policy::document::reader::Read for $type {
            fn read(
                node: &$crate::policy::document::Node,
                place: &$crate::policy::document::reader::Place,
                mistakes: &mut $crate::policy::document::reader::Mistakes,
            ) -> Option<Self> {
                $crate::policy::document::reader::word(node, place, mistakes, &[$(($word, $value)),*])
            }
        }
    };
}
pub(crate) use words;

/// One of these words.
pub fn word<T: Copy>(node: &Node, place: &Place, mistakes: &mut Mistakes, words: &[(&'static str, T)]) -> Option<T> {
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let found = node.text().and_then(|text| words.iter().find(|(word, _)| *word == text));
    if found.is_none() {
        let mut message = expected(&format!("one of {}", known.join(", ")), node);
        if let Some(near) = node.text().and_then(|text| nearest(text, &known)) {
            let _ = write!(message, "; did you mean `{near}`?");
        }
        mistakes.add(place, message);
    }
    found.map(|(_, value)| *value)
}

impl<T: Read> Read for Placed<T> {
    fn read(node: &Node, place: &Place, mistakes: &mut Mistakes) -> Option<Self> {
        T::read(node, place, mistakes).map(|value| Self { value, place: place.clone() })
    }
}

impl Read for String {
    fn read(node: &Node, place: &Place, mistakes: &mut Mistakes) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text.trim().is_empty() => mistakes.add(place, "is empty"),
            Value::Text(text) => return Some(text.clone()),
            Value::Bool(_) | Value::Number(_) => mistakes.add(place, format!("{}: quote it", expected("text", node))),
            Value::Null | Value::List(_) | Value::Map(_) => mistakes.add(place, expected("text", node)),
        }
        None
    }
}

impl Read for bool {
    fn read(node: &Node, place: &Place, mistakes: &mut Mistakes) -> Option<Self> {
        let read = node.boolean();
        if read.is_none() {
            mistakes.add(place, expected("true or false", node));
        }
        read
    }
}

impl Read for u32 {
    fn read(node: &Node, place: &Place, mistakes: &mut Mistakes) -> Option<Self> {
        let read = match &node.value {
            Value::Number(number) => number.as_u64().and_then(|number| Self::try_from(number).ok()),
            Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => None,
        };
        if read.is_none() {
            mistakes.add(place, expected("a whole number from 0 to 4294967295", node));
        }
        read
    }
}

/// A list that may be empty. Items that cannot be read are left out: their mistakes refuse the document.
impl<T: Read> Read for Vec<T> {
    fn read(node: &Node, place: &Place, mistakes: &mut Mistakes) -> Option<Self> {
        let Some(items) = node.items() else {
            mistakes.add(place, expected("a list", node));
            return None;
        };
        let read = |(index, item)| T::read(item, &place.item(index, item), mistakes);
        Some(items.iter().enumerate().filter_map(read).collect())
    }
}

/// A list or map that would mean nothing if it were empty.
#[derive(Debug, Clone, PartialEq)]
pub struct NonEmpty<T>(pub T);

impl<T: Read> Read for NonEmpty<T> {
    fn read(node: &Node, place: &Place, mistakes: &mut Mistakes) -> Option<Self> {
        let empty = match &node.value {
            Value::List(items) if items.is_empty() => "list",
            Value::Map(entries) if entries.is_empty() => "map",
            Value::List(_) | Value::Map(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {
                return T::read(node, place, mistakes).map(Self);
            }
        };
        mistakes.add(place, format!("is an empty {empty}: name something, or remove the field"));
        None
    }
}

/// A map whose keys are the operator's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Table<T>(pub Vec<(Text, T)>);

impl<T: Read> Read for Table<T> {
    fn read(node: &Node, place: &Place, mistakes: &mut Mistakes) -> Option<Self> {
        let fields = Fields::open(node, place, mistakes)?;
        let read = |entry: &Entry| {
            let place = place.entry(entry);
            let value = T::read(&entry.node, &place, mistakes)?;
            Some((Text { value: entry.key.clone(), place }, value))
        };
        Some(Self(fields.entries.iter().filter_map(read).collect()))
    }
}

/// A field where `null` says "none".
impl<T: Read> Read for Option<T> {
    fn read(node: &Node, place: &Place, mistakes: &mut Mistakes) -> Option<Self> {
        if node.is_null() { Some(None) } else { T::read(node, place, mistakes).map(Some) }
    }
}

/// A field that others write and we do not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ignored;

impl Read for Ignored {
    fn read(_: &Node, _: &Place, _: &mut Mistakes) -> Option<Self> {
        Some(Self)
    }
}

/// Adds a mistake for each text that stands in the list a second time.
pub fn refuse_repeated<'t>(texts: impl IntoIterator<Item = &'t Text>, mistakes: &mut Mistakes) {
    let mut seen = BTreeSet::new();
    for text in texts {
        if !seen.insert(text.value.as_str()) {
            mistakes.add(&text.place, format!("{} stands here twice", quoted(&text.value)));
        }
    }
}

#[cfg(test)]
#[expect(unreachable_pub, reason = "a schema is public wherever it is written")]
mod tests {
    use super::super::parse_documents;
    use super::*;

    schema! {
        Outer {
            required name "name": Text,
            optional max_age "maxAge": u32,
            optional on "on": bool,
            optional list "list": NonEmpty<Vec<Inner>>,
            optional free "free": Table<bool>,
            optional none "none": Option<u32>,
        }
    }
    schema! {
        Inner {
            required mode "mode": Mode,
        }
    }
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub enum Mode {
        Deny,
        Allow,
    }
    words! { Mode { "deny" => Mode::Deny, "allow" => Mode::Allow, } }

    fn read(text: &str) -> (Option<Outer>, Vec<String>) {
        let node = parse_documents(text).unwrap().remove(0);
        let mut mistakes = Mistakes::of("");
        let outer = Outer::read(&node, &Place::root(&node), &mut mistakes);
        (outer, mistakes.in_order().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_right_document_is_read_in_full() {
        let (outer, mistakes) =
            read("{name: a, maxAge: 3, on: true, list: [{mode: deny}], free: {x: false}, none: null}");
        assert_eq!(mistakes, Vec::<String>::new());
        let outer = outer.unwrap();
        assert_eq!(outer.max_age, Field::Given(3));
        assert_eq!(outer.none, Field::Given(None));
        assert_eq!(outer.list.given().unwrap().0[0].mode, Field::Given(Mode::Deny));
        assert_eq!(outer.free.given().unwrap().0[0].0.value, "x");
    }

    #[test]
    fn every_mistake_is_told_with_its_line_and_path() {
        let text = "maxage: 3\non: yes\nmaxAge: -1\nlist:\n- mode: denny\n- {}\n- 5\n- mode: 1\n- {mode: Allow}\nfree: {\"a b\": 1}\nzzz: 1\n";
        let (_, mistakes) = read(text);
        assert_eq!(
            mistakes,
            [
                "line 1: name: is missing",
                "line 1: maxage: unknown field; did you mean `maxAge`?",
                "line 2: on: expected true or false, found the text `yes`",
                "line 3: maxAge: expected a whole number from 0 to 4294967295, found the number -1",
                "line 5: list[0].mode: expected one of deny, allow, found the text `denny`; did you mean `deny`?",
                "line 6: list[1].mode: is missing",
                "line 7: list[2]: expected a map of fields, found the number 5",
                "line 8: list[3].mode: expected one of deny, allow, found the number 1",
                "line 9: list[4].mode: expected one of deny, allow, found the text `Allow`; did you mean `allow`?",
                "line 10: free[\"a b\"]: expected true or false, found the number 1",
                "line 11: zzz: unknown field; known here: name, maxAge, on, list, free, none",
            ]
        );
    }

    #[test]
    fn what_is_not_text_says_how_to_make_it_text() {
        for (written, message) in [
            ("1.10", "expected text, found the number 1.1: quote it"),
            ("true", "expected text, found true: quote it"),
            ("", "expected text, found nothing"),
            ("[a]", "expected text, found a list"),
            ("' '", "is empty"),
        ] {
            assert_eq!(read(&format!("name: {written}\n")).1, [format!("line 1: name: {message}")]);
        }
    }

    #[test]
    fn an_unusable_field_is_neither_absent_nor_given() {
        let (outer, _) = read("{name: 5, list: []}");
        let outer = outer.unwrap();
        assert_eq!(outer.name, Field::Unusable);
        assert!(matches!(outer.list, Field::Unusable));
        assert!(outer.on.is_absent());
    }
}
