//! An ImagePolicy as the API server sends it, with everything that somebody wrote into it: the CRD preserves fields that
//! it does not know, so that a slip is told and not dropped.

use std::borrow::Cow;
use std::fmt;

use k8s_openapi::ClusterResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::{DeserializeSeed as _, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::policy::file::{API_VERSION, KIND};

mod nested;

/// Group and version of [`API_VERSION`].
const GROUP: &str = "pratique.dev";
const VERSION: &str = "v1alpha1";

/// One object.
#[derive(Clone)]
pub(super) struct ImagePolicy {
    metadata: ObjectMeta,
    /// All of it but the status.
    pub(super) document: Document,
    pub(super) status: Option<Value>,
}

/// What of an object is written by people: of its metadata the name alone, since everything else in there is checked by
/// the API server and means nothing to us.
#[derive(Clone, PartialEq)]
pub(super) struct Document(pub(super) Value);

impl Document {
    /// With the status, which says nothing of what the policy is.
    pub(super) fn of(mut object: Value) -> (Self, Option<Value>) {
        let Some(fields) = object.as_object_mut() else { return (Self(object), None) };
        let status = fields.remove("status");
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|key, _| key == "name");
        }
        (Self(object), status)
    }
}

impl<'de> Deserialize<'de> for ImagePolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = nested::DEPTH.deserialize(deserializer)?;
        let Some(fields) = object.as_object_mut() else { return Err(D::Error::custom("an object is no map")) };
        // Of every writer each field that is theirs: longer than the policy itself.
        let metadata = fields.get_mut("metadata").map(|metadata| {
            metadata.as_object_mut().map(|its| its.remove("managedFields"));
            metadata.clone()
        });
        let metadata = metadata.unwrap_or_else(|| json!({}));
        let metadata = ObjectMeta::deserialize(metadata).map_err(D::Error::custom)?;
        // Items of a list need not repeat what they are.
        fields.entry("apiVersion").or_insert_with(|| API_VERSION.into());
        fields.entry("kind").or_insert_with(|| KIND.into());
        let (document, status) = Document::of(object);
        Ok(Self { metadata, document, status })
    }
}

impl kube::Resource for ImagePolicy {
    type DynamicType = ();
    type Scope = ClusterResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "imagepolicies".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// What it is called; what stands in it may be anything.
impl fmt::Debug for ImagePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImagePolicy").field("name", &self.metadata.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_and_version_are_those_that_a_policy_writes() {
        assert_eq!(format!("{GROUP}/{VERSION}"), API_VERSION);
        assert_eq!(<ImagePolicy as kube::Resource>::url_path(&(), None), "/apis/pratique.dev/v1alpha1/imagepolicies");
    }

    #[test]
    fn unknown_fields_stay_and_metadata_is_its_name() {
        let object = json!({
            "metadata": {"name": "acme", "uid": "u", "generation": 3, "resourceVersion": "7", "labels": {"a": "b"},
                "managedFields": [{"manager": "kubectl"}], "fromTomorrow": true},
            "spec": {"rulse": []}, "speck": 1, "status": {"conditions": []}
        });
        let read: ImagePolicy = serde_json::from_value(object).unwrap();
        assert_eq!(read.metadata.generation, Some(3));
        assert_eq!(read.metadata.managed_fields, None);
        assert_eq!(read.status, Some(json!({"conditions": []})));
        let document = json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "acme"},
            "spec": {"rulse": []}, "speck": 1});
        assert_eq!(read.document.0, document);
    }
}
