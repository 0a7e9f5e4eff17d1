//! The review on the wire, borrowed: `admission.k8s.io/v1`, as far as we read it.
//!
//! A key that we read and that stands twice is an error, on every level; keys that we do not read are skipped.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::field::{Fields, Nullable, Text, once};
use super::object::{Object, ObjectSeed};
use super::workload::{Workload, Workloads};

/// The review itself.
pub(super) struct Envelope<'a> {
    pub(super) api_version: Option<Text<'a>>,
    pub(super) kind: Option<Text<'a>>,
    pub(super) request: Option<Wire<'a>>,
}

/// `AdmissionRequest`, as far as we read it. `requestKind` and `userInfo` are not: what a user is called clears nothing.
pub(super) struct Wire<'a> {
    pub(super) uid: Text<'a>,
    pub(super) kind: Option<Fields<GroupVersionKind<'a>>>,
    pub(super) resource: Option<Fields<GroupVersionResource<'a>>>,
    pub(super) sub_resource: Option<Text<'a>>,
    pub(super) name: Option<Text<'a>>,
    pub(super) namespace: Option<Text<'a>>,
    pub(super) operation: Option<Text<'a>>,
    pub(super) object: Option<Sent<'a>>,
    pub(super) old_object: Option<Sent<'a>>,
    pub(super) dry_run: Option<bool>,
}

/// `object` or `oldObject`.
#[expect(clippy::large_enum_variant, reason = "two of them per review, on the stack")]
pub(super) enum Sent<'a> {
    /// Read on the way, since `kind` stood before it, as API servers write it.
    Read(Object<'a>),
    /// Passed over on the way, to be read when `kind` is known, or to tell a flaw in it from one around it.
    Raw(&'a RawValue),
}

#[derive(Deserialize)]
pub(super) struct GroupVersionKind<'a> {
    #[serde(borrow, default)]
    pub(super) group: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) version: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) kind: Text<'a>,
}

#[derive(Deserialize)]
pub(super) struct GroupVersionResource<'a> {
    #[serde(borrow, default)]
    pub(super) group: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) resource: Text<'a>,
}

/// The least that must be there to answer at all.
#[derive(Deserialize)]
pub(super) struct Addressed<'a> {
    #[serde(borrow)]
    pub(super) request: Fields<Addressee<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Addressee<'a> {
    #[serde(borrow)]
    pub(super) uid: Text<'a>,
}

/// Reads the review. In one pass, objects are read where they stand; a flaw in one is then a flaw of the whole.
pub(super) fn envelope<'a>(
    text: &'a str,
    workloads: &Workloads,
    one_pass: bool,
) -> Result<Envelope<'a>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let envelope = EnvelopeSeed(WireSeed { workloads, one_pass }).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(envelope)
}

struct EnvelopeSeed<'w>(WireSeed<'w>);

impl<'de> DeserializeSeed<'de> for EnvelopeSeed<'_> {
    type Value = Envelope<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EnvelopeSeed<'_> {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an AdmissionReview")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut api_version, mut kind, mut request) = (None, None, None);
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "apiVersion" => once(&mut api_version, &key, map.next_value()?)?,
                "kind" => once(&mut kind, &key, map.next_value()?)?,
                "request" => once(&mut request, &key, map.next_value_seed(Nullable(&self.0))?)?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Envelope { api_version: api_version.flatten(), kind: kind.flatten(), request: request.flatten() })
    }
}

struct WireSeed<'w> {
    workloads: &'w Workloads,
    /// Objects are read where they stand; a flaw in one is then one of the whole review.
    one_pass: bool,
}

impl<'de> DeserializeSeed<'de> for &WireSeed<'_> {
    type Value = Wire<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &WireSeed<'_> {
    type Value = Wire<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an AdmissionRequest")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut uid, mut kind, mut resource, mut sub_resource, mut name) = (None, None, None, None, None);
        let (mut namespace, mut operation, mut object, mut old_object, mut dry_run) = (None, None, None, None, None);
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "uid" => once(&mut uid, &key, map.next_value()?)?,
                "kind" => once(&mut kind, &key, map.next_value()?)?,
                "resource" => once(&mut resource, &key, map.next_value()?)?,
                "subResource" => once(&mut sub_resource, &key, map.next_value()?)?,
                "name" => once(&mut name, &key, map.next_value()?)?,
                "namespace" => once(&mut namespace, &key, map.next_value()?)?,
                "operation" => once(&mut operation, &key, map.next_value()?)?,
                "object" => once(&mut object, &key, self.sent(kind.as_ref(), &mut map)?)?,
                "oldObject" => once(&mut old_object, &key, self.sent(kind.as_ref(), &mut map)?)?,
                "dryRun" => once(&mut dry_run, &key, map.next_value()?)?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Wire {
            uid: uid.ok_or_else(|| A::Error::missing_field("uid"))?,
            kind: kind.flatten(),
            resource: resource.flatten(),
            sub_resource: sub_resource.flatten(),
            name: name.flatten(),
            namespace: namespace.flatten(),
            operation: operation.flatten(),
            object: object.flatten(),
            old_object: old_object.flatten(),
            dry_run: dry_run.flatten(),
        })
    }
}

impl WireSeed<'_> {
    fn sent<'de, A: MapAccess<'de>>(
        &self,
        kind: Option<&Option<Fields<GroupVersionKind<'de>>>>,
        map: &mut A,
    ) -> Result<Option<Sent<'de>>, A::Error> {
        match kind {
            Some(Some(Fields(kind))) if self.one_pass => {
                let workload = self.workloads.find(kind.group(), &kind.kind.0);
                let seed = Nullable(ObjectSeed::at(workload.map(|known| &known.pod_spec)));
                Ok(map.next_value_seed(seed)?.map(Sent::Read))
            }
            Some(_) | None => Ok(map.next_value::<Option<&RawValue>>()?.map(Sent::Raw)),
        }
    }
}

impl GroupVersionKind<'_> {
    pub(super) fn group(&self) -> &str {
        self.group.as_ref().map_or("", |text| &text.0)
    }
}

impl GroupVersionResource<'_> {
    pub(super) fn group(&self) -> &str {
        self.group.as_ref().map_or("", |text| &text.0)
    }
}

/// An object that was passed over on the way; without a workload its identity alone.
pub(super) fn read<'a>(raw: &'a RawValue, workload: Option<&Workload>) -> Result<Object<'a>, serde_json::Error> {
    Object::read(&mut serde_json::Deserializer::from_str(raw.get()), workload.map(|known| &known.pod_spec))
}
