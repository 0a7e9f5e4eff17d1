//! What the registry holds.

use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest as hash};
use bytes::Bytes;
use serde_json::{Value, json};

use super::image::OCI_MANIFEST;

/// `sha256:` and the hash of the bytes.
#[must_use]
pub fn digest(bytes: impl AsRef<[u8]>) -> String {
    let hash = hash(&SHA256, bytes.as_ref());
    format!("sha256:{}", hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// A manifest or index, as it was put.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) media_type: String,
    pub(super) bytes: Bytes,
}

/// All repositories.
#[derive(Debug, Default)]
pub(super) struct Store(HashMap<String, Repository>);

#[derive(Debug, Default)]
pub(super) struct Repository {
    manifests: HashMap<String, Manifest>,
    tags: HashMap<String, String>,
    blobs: HashMap<String, Bytes>,
    /// Descriptors, by subject.
    referrers: HashMap<String, Vec<Value>>,
}

impl Store {
    fn at(&mut self, repository: &str) -> &mut Repository {
        self.0.entry(repository.to_owned()).or_default()
    }

    pub(super) fn repository(&self, name: &str) -> Option<&Repository> {
        self.0.get(name)
    }

    pub(super) fn put_blob(&mut self, repository: &str, bytes: Bytes) -> String {
        let digest = digest(&bytes);
        self.at(repository).blobs.insert(digest.clone(), bytes);
        digest
    }

    pub(super) fn put_manifest(&mut self, repository: &str, media_type: &str, bytes: Bytes) -> String {
        let digest = digest(&bytes);
        let at = self.at(repository);
        let size = bytes.len();
        // Not everything that is put has to be JSON.
        let content: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let known = at.manifests.insert(digest.clone(), Manifest { media_type: media_type.to_owned(), bytes });
        if let (Some(subject), None) = (content["subject"]["digest"].as_str(), known) {
            let mut descriptor = json!({"mediaType": media_type, "digest": digest, "size": size});
            let artifact_type = [&content["artifactType"], &content["config"]["mediaType"]];
            if let Some(artifact_type) = artifact_type.into_iter().find(|value| value.is_string()) {
                descriptor["artifactType"] = artifact_type.clone();
            }
            if content["annotations"].is_object() {
                descriptor["annotations"] = content["annotations"].clone();
            }
            at.referrers.entry(subject.to_owned()).or_default().push(descriptor);
        }
        digest
    }

    pub(super) fn point(&mut self, repository: &str, tag: &str, digest: &str) {
        let at = self.at(repository);
        assert!(at.manifests.contains_key(digest), "{repository} has no manifest {digest} for {tag}");
        at.tags.insert(tag.to_owned(), digest.to_owned());
    }

    pub(super) fn remove(&mut self, repository: &str, reference: &str) {
        let at = self.at(repository);
        at.tags.remove(reference);
        at.manifests.remove(reference);
        at.blobs.remove(reference);
        for referrers in at.referrers.values_mut() {
            referrers.retain(|descriptor| descriptor["digest"] != reference);
        }
    }

    /// The descriptor of a manifest; one that is not there is said to be an empty image.
    pub(super) fn descriptor(&self, repository: &str, digest: &str) -> Value {
        let manifest = self.repository(repository).and_then(|repository| repository.manifests.get(digest));
        let (media_type, size) =
            manifest.map_or((OCI_MANIFEST, 0), |manifest| (manifest.media_type.as_str(), manifest.bytes.len()));
        json!({"mediaType": media_type, "digest": digest, "size": size})
    }
}

impl Repository {
    /// By tag or digest.
    pub(super) fn manifest(&self, reference: &str) -> Option<&Manifest> {
        let digest = self.tags.get(reference).map_or(reference, String::as_str);
        self.manifests.get(digest)
    }

    pub(super) fn blob(&self, digest: &str) -> Option<&Bytes> {
        self.blobs.get(digest)
    }

    /// In the order in which they were put.
    pub(super) fn referrers(&self, subject: &str) -> &[Value] {
        self.referrers.get(subject).map_or(&[], Vec::as_slice)
    }

    /// Subjects that have any.
    pub(super) fn subjects(&self) -> impl Iterator<Item = &String> {
        self.referrers.keys()
    }
}
