//! Reads the containers out of an object, borrowing from its JSON, and nothing else of it.
//!
//! A key that we read and that stands twice is an error: two readers must not see two things. Keys that we do not
//! read are skipped without looking.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::image::{InvalidReference, Reference};
use crate::request::{Container, ContainerKind, ContainerPath, Flaw, Placement, PullSecrets};

use super::field::{Fields, Text, once};
use super::placement::{Affinity, NodeSelector, placement};
use super::shape::Any;
use super::workload::PodSpecPath;

/// More containers than this in one pod are no pod: it bounds the work of a review, and an object of etcd's 1.5 MiB
/// with real containers stays below it.
pub(super) const CONTAINERS: usize = 512;
/// Pull secrets beyond these are not looked at: real pods name one or two, and each may be tried on each registry. With
/// fewer credentials less can be had, never more.
const PULL_SECRETS: usize = 64;
/// The longest name of a Secret; a longer one can be nobody's, nor can an empty one.
const NAME_BYTES: usize = 253;

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
    uid: Option<Text<'a>>,
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
    #[serde(borrow, default)]
    image_pull_secrets: Option<PullNames<'a>>,
    #[serde(borrow, default)]
    service_account_name: Option<Text<'a>>,
    /// Its deprecated alias, which the API server keeps the same.
    #[serde(borrow, default)]
    service_account: Option<Text<'a>>,
    #[serde(borrow, default)]
    node_selector: Option<Any<NodeSelector<'a>>>,
    #[serde(borrow, default)]
    affinity: Option<Any<Affinity<'a>>>,
}

/// The names in `imagePullSecrets`, as many as are looked at.
#[derive(Debug)]
struct PullNames<'a>(Vec<Text<'a>>);

#[derive(Debug, Deserialize)]
struct PullName<'a> {
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for PullNames<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PullNamesVisitor;
        impl<'de> Visitor<'de> for PullNamesVisitor {
            type Value = PullNames<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut names = Vec::new();
                while names.len() < PULL_SECRETS {
                    let Some(Fields(PullName { name })) = items.next_element()? else { return Ok(PullNames(names)) };
                    names.extend(name.filter(|name| (1..=NAME_BYTES).contains(&name.0.len())));
                }
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(PullNames(names))
            }
        }
        deserializer.deserialize_seq(PullNamesVisitor)
    }
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
        ObjectSeed::at(path).deserialize(deserializer)
    }

    /// `metadata.uid`, else empty.
    pub(super) fn uid(&self) -> String {
        self.metadata.uid.as_ref().map_or_else(String::new, |text| text.0.clone().into_owned())
    }

    /// `metadata.name`, else `generateName`, else empty.
    pub(super) fn name(&self) -> String {
        let said = |text: &&Text<'_>| !text.0.is_empty();
        let (name, generate_name) = (self.metadata.name.as_ref(), self.metadata.generate_name.as_ref());
        name.filter(said).or(generate_name).map_or_else(String::new, |text| text.0.clone().into_owned())
    }

    /// Whose credentials the kubelet would use for its images.
    pub(super) fn pull(&self) -> PullSecrets {
        let Some(Fields(pod_spec)) = &self.pod_spec else { return PullSecrets::default() };
        let owned = |text: &Text<'_>| text.0.clone().into_owned();
        let PodSpec { service_account_name, service_account, image_pull_secrets, .. } = pod_spec;
        let accounts = [service_account_name, service_account].into_iter().flatten();
        PullSecrets {
            named: image_pull_secrets.iter().flat_map(|PullNames(names)| names).map(owned).collect(),
            service_account: accounts.filter(|name| !name.0.is_empty()).map(owned).next().unwrap_or_default(),
        }
    }

    /// Which nodes the pod may run on, by their platform.
    pub(super) fn placement(&self) -> Placement {
        let Some(Fields(pod_spec)) = &self.pod_spec else { return Placement::default() };
        placement(pod_spec.node_selector.as_ref(), pod_spec.affinity.as_ref())
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
        let Self { init_containers, containers, ephemeral_containers, volumes, .. } = self;
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
pub(super) struct ObjectSeed<'p> {
    fields: &'p [Box<str>],
}

impl<'p> ObjectSeed<'p> {
    /// No path: the identity alone.
    pub(super) fn at(path: Option<&'p PodSpecPath>) -> Self {
        Self { fields: path.map_or(&[], PodSpecPath::fields) }
    }
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

#[cfg(test)]
mod tests;
