//! A Pod, of which only what is kept is ever read.

use k8s_openapi::NamespaceResourceScope;
use kube::api::ObjectMeta;
use serde::Deserialize;

use super::super::watching::trimmed::{core_resource, metadata};

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Pod {
    #[serde(deserialize_with = "metadata")]
    pub(super) metadata: ObjectMeta,
    #[serde(default)]
    pub(super) spec: Option<Spec>,
    #[serde(default)]
    pub(super) status: Option<Status>,
}

core_resource!(Pod, NamespaceResourceScope, "Pod", "pods", metadata: false);

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Spec {
    pub(super) node_name: Option<String>,
    pub(super) init_containers: Option<Vec<Container>>,
    pub(super) containers: Option<Vec<Container>>,
    pub(super) ephemeral_containers: Option<Vec<Container>>,
    pub(super) volumes: Option<Vec<Volume>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Volume {
    pub(super) name: String,
    pub(super) image: Option<ImageVolume>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ImageVolume {
    pub(super) reference: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Status {
    pub(super) init_container_statuses: Option<Vec<ContainerStatus>>,
    pub(super) container_statuses: Option<Vec<ContainerStatus>>,
    pub(super) ephemeral_container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ContainerStatus {
    pub(super) name: String,
    /// What the runtime calls the image: as written, by another of its names, or by its ID.
    pub(super) image: Option<String>,
    #[serde(rename = "imageID")]
    pub(super) image_id: Option<String>,
    pub(super) volume_mounts: Option<Vec<VolumeMount>>,
}

/// Since Kubernetes 1.35, behind the feature gate `ImageVolumeWithDigest`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct VolumeMount {
    pub(super) name: String,
    pub(super) volume_status: Option<VolumeStatus>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct VolumeStatus {
    pub(super) image: Option<ImageVolumeStatus>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ImageVolumeStatus {
    pub(super) image_ref: Option<String>,
}
