//! Objects of which only what is kept is ever read: the rest is passed over while it streams in.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::ObjectMeta;
use serde::{Deserialize, Deserializer};

/// What is kept of every object's metadata.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    creation_timestamp: Option<Time>,
    generation: Option<i64>,
}

/// For `deserialize_with`.
pub(in crate::evidence::cluster) fn metadata<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<ObjectMeta, D::Error> {
    let Kept { name, namespace, uid, resource_version, creation_timestamp, generation } =
        Kept::deserialize(deserializer)?;
    Ok(ObjectMeta { name, namespace, uid, resource_version, creation_timestamp, generation, ..ObjectMeta::default() })
}

/// What says of one of our types which kind of the core group it is.
macro_rules! core_resource {
    ($type:ty, $scope:ty, $kind:literal, $plural:literal, metadata: $metadata:literal) => {
        impl kube::Resource for $type {
            type DynamicType = ();
            type Scope = $scope;

            fn kind((): &()) -> std::borrow::Cow<'_, str> {
                $kind.into()
            }

            fn group((): &()) -> std::borrow::Cow<'_, str> {
                "".into()
            }

            fn version((): &()) -> std::borrow::Cow<'_, str> {
                "v1".into()
            }

            fn plural((): &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }

            fn metadata_api() -> bool {
                $metadata
            }

            fn meta(&self) -> &kube::api::ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut kube::api::ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

pub(in crate::evidence::cluster) use core_resource;
