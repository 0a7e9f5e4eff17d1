//! Kubernetes objects in YAML or JSON, for `check`: the same pod specs as in a review, read by the same code.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::image::{InvalidReference, Reference};
use crate::request::{
    Container, ContainerKind, ContainerPath, Flaw, Operation, Placement, PullSecrets, Request, Role, Subject,
};

use super::object::{Object, group_of};
use super::workload::{Workload, Workloads};

/// Objects nest about 15 levels; the YAML reader takes some stack for each, and manifests come from anybody.
const DEPTH: usize = 96;
/// `List` within `List` beyond this is nobody's manifest.
const NESTED_LISTS: usize = 4;

/// One object of a file that brings images, as a review of its creation.
#[derive(Debug)]
pub struct ManifestObject {
    pub kind: String,
    /// `metadata.namespace`, where it is written.
    pub namespace: Option<String>,
    /// `metadata.name`, else `generateName`, else empty.
    pub name: String,
    pub request: Request,
    /// Where it stands in the text: which document of those that say something, then which item of the list, and so on.
    pub place: Vec<usize>,
}

/// Reads every document of a file; kinds without images are passed over. The error says what is wrong and where.
pub fn read(text: &str, workloads: &Workloads) -> Result<Vec<ManifestObject>, String> {
    let mut objects = Vec::new();
    for (index, document) in documents(text)?.iter().filter(|document| !document.is_null()).enumerate() {
        collect(document, ANYTHING, workloads, &mut vec![index], &mut objects)?;
    }
    Ok(objects)
}

/// JSON is read as JSON: YAML readers stumble over its tabs. What only looks like it may still be YAML.
fn documents(text: &str) -> Result<Vec<Value>, String> {
    if text.trim_start().starts_with('{') {
        let stream = serde_json::Deserializer::from_str(text).into_iter::<Document>();
        match stream.map(|document| document.map(|Document(value)| value)).collect::<Result<_, _>>() {
            Ok(documents) => return Ok(documents),
            Err(error) if error.is_data() => return Err(error.to_string()),
            Err(_syntax) => {}
        }
    }
    // `no`, `on` and the like stay text, as in the YAML 1.2 that kubectl's own reader follows for strings.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: DEPTH },
        strict_booleans: true,
    };
    serde_saphyr::from_multiple_with_options::<Value>(text, options)
        .map_err(|error| error.without_snippet().to_string())
}

/// JSON in which no key stands twice, as the YAML reader holds it: the API server would refuse it too.
struct Document(Value);

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DocumentVisitor).map(Self)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Document(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if fields.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key `{key}` stands twice in one object")));
            }
            let Document(value) = map.next_value()?;
            fields.insert(key, value);
        }
        Ok(fields.into())
    }
}

/// At the top of a file every object says what it is.
const ANYTHING: Implied<'static> = Implied { kind: None, api_version: "" };

/// What the items of a typed list (`PodList`) need not say themselves.
#[derive(Clone, Copy)]
struct Implied<'a> {
    kind: Option<&'a str>,
    api_version: &'a str,
}

fn collect(
    document: &Value,
    implied: Implied<'_>,
    workloads: &Workloads,
    place: &mut Vec<usize>,
    objects: &mut Vec<ManifestObject>,
) -> Result<(), String> {
    if document.is_null() {
        return Ok(());
    }
    let text = |key: &str| document.get(key).and_then(Value::as_str);
    let Some(kind) = text("kind").or(implied.kind) else {
        return Err("a document has no `kind`, so it is no Kubernetes object".to_owned());
    };
    let api_version = text("apiVersion").unwrap_or(implied.api_version);
    if let (Some(item), Some(items)) = (kind.strip_suffix("List"), document.get("items").and_then(Value::as_array)) {
        if place.len() > NESTED_LISTS {
            return Err("lists are nested too deeply".to_owned());
        }
        let implied = Implied { kind: Some(item).filter(|item| !item.is_empty()), api_version };
        return items.iter().enumerate().try_for_each(|(index, item)| {
            place.push(index);
            collect(item, implied, workloads, place, objects)?;
            place.pop();
            Ok(())
        });
    }
    let group = group_of(api_version);
    if kind.strip_suffix("List").is_some_and(|item| item.is_empty() || workloads.find(group, item).is_some()) {
        return Err(format!("a {kind} needs a list of `items`"));
    }
    let known = workloads.find(group, kind);
    if let Some(workload) = known.or_else(|| Workloads::find_namesake(kind)) {
        // A namesake of another group is judged if it has a pod spec; only the kind itself must have one.
        let must = known.is_some() || group.is_empty();
        objects.extend(object(document, kind, workload, must, place)?);
    }
    Ok(())
}

fn object(
    document: &Value,
    kind: &str,
    workload: &Workload,
    must: bool,
    place: &[usize],
) -> Result<Option<ManifestObject>, String> {
    let object = Object::read(document, Some(&workload.pod_spec)).map_err(|error| format!("{kind}: {error}"))?;
    let subject = match object.containers(&workload.pod_spec) {
        Ok(containers) => Subject::Images { containers, old: Vec::new() },
        Err(Flaw::NoPodSpec { .. }) if !must => return Ok(None),
        Err(flaw) => Subject::Unreadable(flaw),
    };
    let (pull, placement) = (object.pull(), object.placement());
    let (name, namespace) = (object.name(), object.metadata.namespace.map(|text| text.0.into_owned()));
    Ok(Some(ManifestObject {
        kind: kind.to_owned(),
        request: Request {
            uid: String::new(),
            operation: Operation::Create,
            kind: kind.to_owned(),
            api_version: String::new(),
            object_uid: String::new(),
            namespace: namespace.clone().unwrap_or_default(),
            name: name.clone(),
            dry_run: false,
            role: workload.role,
            pull,
            placement,
            subject,
        },
        namespace,
        name,
        place: place.to_vec(),
    }))
}

/// A review of one bare image, for `check IMAGE`.
#[must_use]
pub fn bare_image(written: &str) -> Request {
    let reference = if written.is_empty() { Err(InvalidReference::Empty) } else { Reference::parse(written) };
    let path = ContainerPath { pod_spec: "".into(), kind: ContainerKind::Regular, index: 0 };
    let container = Container { path, name: String::new(), written: written.to_owned(), reference };
    Request {
        uid: String::new(),
        operation: Operation::Create,
        kind: "Image".to_owned(),
        api_version: String::new(),
        object_uid: String::new(),
        namespace: String::new(),
        name: written.to_owned(),
        dry_run: false,
        role: Role::Pod,
        pull: PullSecrets::default(),
        placement: Placement::default(),
        subject: Subject::Images { containers: vec![container], old: Vec::new() },
    }
}

#[cfg(test)]
mod tests;
