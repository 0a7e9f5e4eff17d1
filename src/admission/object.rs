//! Reads the containers out of an object, borrowing from its JSON, and nothing else of it.
//!
//! A key that we read and that stands twice is an error: two readers must not see two things. Keys that we do not
//! read are skipped without looking.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::image::{InvalidReference, Reference};
use crate::request::{Container, ContainerKind, ContainerPath, Flaw};

use super::workload::PodSpecPath;

/// More containers than this in one pod are no pod: it bounds the work of a review, and an object of etcd's 1.5 MiB
/// with real containers stays below it.
pub(super) const CONTAINERS: usize = 512;

/// Text that is borrowed where the JSON has no escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
            fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// A struct out of a JSON object alone: serde would also take a list, for the fields in their order.
#[derive(Debug, Default)]
pub(super) struct Fields<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Fields<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for FieldsVisitor<T> {
            type Value = Fields<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Fields)
            }
        }
        deserializer.deserialize_map(FieldsVisitor(PhantomData))
    }
}

/// What is read of an object.
#[derive(Debug)]
pub(super) struct Object<'a> {
    pub(super) api_version: Option<Text<'a>>,
    pub(super) kind: Option<Text<'a>>,
    pub(super) metadata: Metadata<'a>,
    pod_spec: Option<Fields<PodSpec<'a>>>,
}

/// `apps` of `apps/v1`; empty for Kubernetes' core.
pub(super) fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Metadata<'a> {
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default, rename = "generateName")]
    generate_name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) namespace: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec<'a> {
    #[serde(borrow, default)]
    init_containers: Option<Entries<NamedImage<'a>>>,
    #[serde(borrow, default)]
    containers: Option<Entries<NamedImage<'a>>>,
    #[serde(borrow, default)]
    ephemeral_containers: Option<Entries<NamedImage<'a>>>,
    #[serde(borrow, default)]
    volumes: Option<Entries<Volume<'a>>>,
}

#[derive(Debug, Deserialize)]
struct NamedImage<'a> {
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    image: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Volume<'a> {
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    image: Option<Fields<ImageSource<'a>>>,
}

#[derive(Debug, Deserialize)]
struct ImageSource<'a> {
    #[serde(borrow, default)]
    reference: Option<Text<'a>>,
}

/// The entries of a list that name an image, each with its index. As many as are judged and one more: a body of `{}`
/// would cost sixteen times its size, so what follows is only counted.
#[derive(Debug)]
struct Entries<T> {
    kept: Vec<(usize, T)>,
    found: usize,
    length: usize,
}

trait Entry {
    fn names_an_image(&self) -> bool;
}

impl Entry for NamedImage<'_> {
    /// A container without an image is still one, and not valid.
    fn names_an_image(&self) -> bool {
        true
    }
}

impl Entry for Volume<'_> {
    fn names_an_image(&self) -> bool {
        self.image.is_some()
    }
}

impl<'de, T: Entry + Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor<T>(PhantomData<T>);
        impl<'de, T: Entry + Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
            type Value = Entries<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut entries = Entries { kept: Vec::new(), found: 0, length: 0 };
                while entries.kept.len() <= CONTAINERS {
                    let Some(Fields(entry)) = items.next_element::<Fields<T>>()? else { return Ok(entries) };
                    if entry.names_an_image() {
                        entries.kept.push((entries.length, entry));
                        entries.found += 1;
                    }
                    entries.length += 1;
                }
                while items.next_element::<IgnoredAny>()?.is_some() {
                    entries.found += 1;
                    entries.length += 1;
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_seq(EntriesVisitor(PhantomData))
    }
}

impl<'a> Object<'a> {
    /// Reads an object whose pod spec, if it has one, stands at `path`; no path: its name and kind alone.
    pub(super) fn read<D: Deserializer<'a>>(deserializer: D, path: Option<&PodSpecPath>) -> Result<Self, D::Error> {
        ObjectSeed { fields: path.map_or(&[], PodSpecPath::fields) }.deserialize(deserializer)
    }

    /// `metadata.name`, else `generateName`, else empty.
    pub(super) fn name(&self) -> String {
        let said = |text: &&Text<'_>| !text.0.is_empty();
        let (name, generate_name) = (self.metadata.name.as_ref(), self.metadata.generate_name.as_ref());
        name.filter(said).or(generate_name).map_or_else(String::new, |text| text.0.clone().into_owned())
    }

    /// The containers in the order init, regular, ephemeral, image volumes.
    pub(super) fn containers(&self, path: &PodSpecPath) -> Result<Vec<Container>, Flaw> {
        let missing = || Flaw::NoPodSpec { path: Arc::clone(path.text()) };
        let Fields(pod_spec) = self.pod_spec.as_ref().ok_or_else(missing)?;
        let found = pod_spec.found();
        if found > CONTAINERS {
            return Err(Flaw::Count { found, limit: CONTAINERS });
        }
        // A pod must have a regular container, so a spec without one is not the pod spec we were told of.
        if pod_spec.containers.as_ref().is_none_or(|list| list.length == 0) {
            return Err(missing());
        }
        Ok(pod_spec.uses().into_iter().map(|usage| usage.container(path)).collect())
    }
}

/// One image of a pod spec, still borrowed.
struct ImageUse<'a> {
    kind: ContainerKind,
    index: usize,
    name: Option<&'a Text<'a>>,
    image: Option<&'a Text<'a>>,
}

impl PodSpec<'_> {
    fn found(&self) -> usize {
        let Self { init_containers, containers, ephemeral_containers, volumes } = self;
        let lists = [init_containers, containers, ephemeral_containers];
        let images: usize = lists.into_iter().flatten().map(|list| list.found).sum();
        images + volumes.as_ref().map_or(0, |list| list.found)
    }

    fn uses(&self) -> Vec<ImageUse<'_>> {
        let lists = [
            (ContainerKind::Init, &self.init_containers),
            (ContainerKind::Regular, &self.containers),
            (ContainerKind::Ephemeral, &self.ephemeral_containers),
        ];
        let mut uses = Vec::new();
        for (kind, list) in lists {
            for (index, entry) in list.iter().flat_map(|list| &list.kept) {
                uses.push(ImageUse { kind, index: *index, name: entry.name.as_ref(), image: entry.image.as_ref() });
            }
        }
        for (index, volume) in self.volumes.iter().flat_map(|list| &list.kept) {
            let image = volume.image.as_ref().and_then(|Fields(source)| source.reference.as_ref());
            uses.push(ImageUse { kind: ContainerKind::ImageVolume, index: *index, name: volume.name.as_ref(), image });
        }
        uses
    }
}

impl ImageUse<'_> {
    fn container(self, path: &PodSpecPath) -> Container {
        let written = self.image.map_or("", |text| &text.0);
        Container {
            path: ContainerPath { pod_spec: Arc::clone(path.text()), kind: self.kind, index: self.index },
            name: self.name.map_or_else(String::new, |text| text.0.clone().into_owned()),
            reference: if written.is_empty() { Err(InvalidReference::Empty) } else { Reference::parse(written) },
            written: written.to_owned(),
        }
    }
}

/// The whole object: its identity, and the way down to the pod spec.
struct ObjectSeed<'p> {
    fields: &'p [Box<str>],
}

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_> {
    type Value = Object<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_> {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Kubernetes object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut api_version, mut kind, mut metadata, mut pod_spec) = (None, None, None, None);
        while let Some(Text(key)) = map.next_key()? {
            match (&*key, self.fields.split_first()) {
                ("apiVersion", _) => once(&mut api_version, &key, map.next_value()?)?,
                ("kind", _) => once(&mut kind, &key, map.next_value()?)?,
                ("metadata", _) => once(&mut metadata, &key, map.next_value::<Option<Fields<_>>>()?)?,
                (key, Some((first, rest))) if **first == *key => {
                    once(&mut pod_spec, key, map.next_value_seed(Descent { fields: rest })?)?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Object {
            api_version: api_version.flatten(),
            kind: kind.flatten(),
            metadata: metadata.flatten().unwrap_or_default().0,
            pod_spec: pod_spec.flatten(),
        })
    }
}

/// The rest of the way to the pod spec; none where a field on it is missing or null.
struct Descent<'p> {
    fields: &'p [Box<str>],
}

impl<'de> DeserializeSeed<'de> for Descent<'_> {
    type Value = Option<Fields<PodSpec<'de>>>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.fields.is_empty() {
            return Option::deserialize(deserializer);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Descent<'_> {
    type Value = Option<Fields<PodSpec<'de>>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object on the way to the pod spec")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some((first, rest)) = self.fields.split_first() else {
            return Err(A::Error::custom("the path of the pod spec ended too early"));
        };
        let mut found = None;
        while let Some(Text(key)) = map.next_key()? {
            if *key == **first {
                once(&mut found, &key, map.next_value_seed(Descent { fields: rest })?)?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found.flatten())
    }
}

/// Null counts as well: a reader that takes the first and one that takes the last would see two things.
fn once<T, E: Error>(slot: &mut Option<T>, key: &str, value: T) -> Result<(), E> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::custom(format_args!("the key `{key}` stands twice in one object"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The containers of an object whose pod spec stands at this path, as `path image`.
    fn images(json: &str, path: &str) -> Result<Vec<String>, String> {
        let path = PodSpecPath::new(path);
        let object = Object::read(&mut serde_json::Deserializer::from_str(json), Some(&path));
        let object = object.map_err(|error| error.to_string())?;
        let containers = object.containers(&path).map_err(|flaw| flaw.to_string())?;
        Ok(containers.iter().map(|container| format!("{} {}", container.path, container.written)).collect())
    }

    #[test]
    fn the_pod_spec_is_found_at_the_end_of_any_path() {
        let spec = r#"{"containers": [{"name": "web", "image": "nginx"}]}"#;
        assert_eq!(images(&format!(r#"{{"spec": {spec}}}"#), "spec").unwrap(), ["spec.containers[0].image nginx"]);
        let deep = format!(r#"{{"a": {{"x": 1, "b": {{"c": {spec}, "y": [{{}}]}}}}, "spec": {{"containers": []}}}}"#);
        assert_eq!(images(&deep, "a.b.c").unwrap(), ["a.b.c.containers[0].image nginx"]);
    }

    #[test]
    fn a_path_that_ends_early_has_no_pod_spec() {
        for json in
            ["{}", r#"{"a": null}"#, r#"{"a": {}}"#, r#"{"a": {"b": null}}"#, r#"{"A": {"b": {"containers": [{}]}}}"#]
        {
            let missing = "no pod spec with containers at a.b, where this kind must have one";
            assert_eq!(images(json, "a.b").unwrap_err(), missing, "{json}");
        }
        assert!(images(r#"{"a": {"b": {"containers": [{}]}}}"#, "a..b").is_err());
        assert!(images(r#"{"": {"containers": [{}]}}"#, "a").is_err());
    }

    #[test]
    fn what_is_no_object_on_the_way_is_an_error() {
        for json in [r#"{"a": 1}"#, r#"{"a": "b"}"#, r#"{"a": [{"b": {"containers": [{}]}}]}"#, r#"{"a": true}"#] {
            let error = images(json, "a.b").unwrap_err();
            assert!(error.contains("expected an object on the way to the pod spec"), "{json}: {error}");
        }
        for json in ["[]", "null", r#""Pod""#, r#"[{"a": {}}]"#] {
            let error = images(json, "a.b").unwrap_err();
            assert!(error.contains("expected a Kubernetes object"), "{json}: {error}");
        }
    }

    #[test]
    fn a_key_on_the_way_that_stands_twice_is_an_error_at_every_step() {
        for (json, key) in [
            (r#"{"a": null, "a": {"b": {"containers": [{}]}}}"#, "a"),
            (r#"{"a": {"b": {"containers": [{}]}}, "a": {}}"#, "a"),
            (r#"{"a": {"b": {"containers": [{}]}, "b": null}}"#, "b"),
            (r#"{"a": {"b": {"containers": [{}]}}, "\u0061": {}}"#, "a"),
        ] {
            let error = images(json, "a.b").unwrap_err();
            assert!(error.starts_with(&format!("the key `{key}` stands twice in one object")), "{json}: {error}");
        }
    }

    #[test]
    fn without_a_path_only_name_and_kind_are_read() {
        let json = r#"{"kind": "Pod", "apiVersion": "v1", "metadata": {"generateName": "web-"}, "spec": 7}"#;
        let object = Object::read(&mut serde_json::Deserializer::from_str(json), None).unwrap();
        assert_eq!(object.kind, Some(Text(Cow::Borrowed("Pod"))));
        assert_eq!(object.name(), "web-");
        object.containers(&PodSpecPath::new("spec")).unwrap_err();
    }

    #[test]
    fn the_group_is_what_stands_before_the_slash() {
        for (api_version, group) in [("v1", ""), ("apps/v1", "apps"), ("", ""), ("a.b/c/d", "a.b")] {
            assert_eq!(group_of(api_version), group);
        }
    }

    #[test]
    fn what_is_too_much_to_be_judged_is_counted_and_not_kept() {
        let many = format!("[{}]", vec!["{}"; 100_000].join(","));
        let entries: Entries<NamedImage<'_>> = serde_json::from_str(&many).unwrap();
        assert_eq!((entries.kept.len(), entries.found, entries.length), (CONTAINERS + 1, 100_000, 100_000));
        assert!(entries.kept.capacity() <= 2 * CONTAINERS + 2);
        let volumes: Entries<Volume<'_>> = serde_json::from_str(&many).unwrap();
        assert_eq!((volumes.kept.len(), volumes.found, volumes.length), (0, 0, 100_000));
    }

    #[test]
    fn text_is_borrowed_where_the_json_has_it_as_it_is() {
        let read = |json: &'static str| serde_json::from_str::<Text<'_>>(json).unwrap().0;
        assert!(matches!(read(r#""nginx""#), Cow::Borrowed("nginx")));
        assert!(matches!(read(r#""\u006eginx""#), Cow::Owned(text) if text == "nginx"));
    }
}
