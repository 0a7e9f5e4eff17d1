//! Images as builders push them: an index or one manifest, a config and a layer for each platform.

use bytes::Bytes;
use serde_json::{Value, json};

use super::store::digest;

pub(super) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// An image to push; the same description is always the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Image {
    platforms: Vec<String>,
    index: bool,
    label: String,
    docker: bool,
    attested: bool,
}

/// Its parts, as media type and bytes.
pub(super) struct Built {
    pub(super) blobs: Vec<Bytes>,
    pub(super) children: Vec<(String, Bytes)>,
    pub(super) top: (String, Bytes),
}

impl Image {
    /// One manifest, of linux/amd64.
    pub fn single() -> Self {
        Self::platform("linux/amd64")
    }

    /// One manifest, of this platform.
    pub fn platform(platform: &str) -> Self {
        let platforms = vec![platform.to_owned()];
        Self { platforms, index: false, label: String::new(), docker: false, attested: false }
    }

    /// An index of these, each `os/architecture` with `/variant` where there is one.
    pub fn platforms(platforms: &[&str]) -> Self {
        let platforms = platforms.iter().map(|platform| (*platform).to_owned()).collect();
        Self { platforms, index: true, label: String::new(), docker: false, attested: false }
    }

    /// Another label, other bytes.
    pub fn label(self, text: &str) -> Self {
        Self { label: text.to_owned(), ..self }
    }

    /// Media types of docker.
    pub fn docker(self) -> Self {
        Self { docker: true, ..self }
    }

    /// Media types of OCI, as is the default.
    pub fn oci(self) -> Self {
        Self { docker: false, ..self }
    }

    /// For each platform an attestation manifest of platform `unknown/unknown`, as buildkit puts beside it in the index.
    pub fn attested(self) -> Self {
        assert!(self.index, "attestations are entries of an index");
        Self { attested: true, ..self }
    }

    /// The digest under which it is pushed.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(&self.build().top.1)
    }

    /// The media type of that manifest or index.
    #[must_use]
    pub fn media_type(&self) -> String {
        self.build().top.0
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.build().top.1.to_vec()
    }

    /// Platform and digest of each manifest in the index, in its order; empty without an index.
    #[must_use]
    pub fn children(&self) -> Vec<(String, String)> {
        let children = self.build().children.into_iter().map(|(_, bytes)| digest(&bytes));
        let unknown = std::iter::repeat_n("unknown/unknown", if self.attested { self.platforms.len() } else { 0 });
        let platforms = self.platforms.iter().map(String::as_str).chain(unknown);
        platforms.map(str::to_owned).zip(children).collect()
    }

    /// The digest of the configuration: what scanners call the image ID. Panics for an index, which has several.
    #[must_use]
    pub fn config_digest(&self) -> String {
        assert!(!self.index, "an index has a configuration for each platform: config_digest_of");
        self.config_digest_of(&self.platforms[0])
    }

    /// The same of one platform, in an index or not.
    #[must_use]
    pub fn config_digest_of(&self, platform: &str) -> String {
        assert!(self.platforms.iter().any(|its| its == platform), "it is not for {platform}");
        let manifest: Value = serde_json::from_slice(&self.manifest(platform, &mut Vec::new())).expect("our own JSON");
        manifest["config"]["digest"].as_str().expect("every manifest names a configuration").to_owned()
    }

    pub(super) fn build(&self) -> Built {
        let mut blobs = Vec::new();
        let mut children = Vec::new();
        let mut entries = Vec::new();
        for platform in &self.platforms {
            let manifest = self.manifest(platform, &mut blobs);
            entries.push(self.entry(&manifest, &platform_of(platform)));
            children.push((self.manifest_type().to_owned(), manifest));
        }
        if !self.index {
            let top = children.pop().expect("an image that is no index has one platform");
            return Built { blobs, children, top };
        }
        if self.attested {
            for subject in entries.clone() {
                let manifest = self.attestation(&subject, &mut blobs);
                let mut entry = self.entry(&manifest, &json!({"architecture": "unknown", "os": "unknown"}));
                entry["annotations"] = json!({
                    "vnd.docker.reference.digest": subject["digest"],
                    "vnd.docker.reference.type": "attestation-manifest",
                });
                entries.push(entry);
                children.push((self.manifest_type().to_owned(), manifest));
            }
        }
        let media_type = if self.docker { DOCKER_LIST } else { OCI_INDEX };
        let mut index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": entries});
        if !self.docker && !self.label.is_empty() {
            index["annotations"] = json!({"label": self.label});
        }
        Built { blobs, children, top: (media_type.to_owned(), Bytes::from(index.to_string())) }
    }

    fn manifest_type(&self) -> &'static str {
        if self.docker { DOCKER_MANIFEST } else { OCI_MANIFEST }
    }

    fn entry(&self, manifest: &[u8], platform: &Value) -> Value {
        let media_type = self.manifest_type();
        json!({"mediaType": media_type, "digest": digest(manifest), "size": manifest.len(), "platform": platform})
    }

    /// Its layer is no archive: nobody unpacks it.
    fn manifest(&self, platform: &str, blobs: &mut Vec<Bytes>) -> Bytes {
        let (config_type, layer_type) = if self.docker {
            ("application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip")
        } else {
            ("application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip")
        };
        let layer = Bytes::from(format!("layer of {platform} {}", self.label));
        let mut config = platform_of(platform);
        config["config"] = json!({"Labels": {"label": self.label}});
        config["rootfs"] = json!({"type": "layers", "diff_ids": [digest(&layer)]});
        let config = Bytes::from(config.to_string());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": self.manifest_type(),
            "config": {"mediaType": config_type, "digest": digest(&config), "size": config.len()},
            "layers": [{"mediaType": layer_type, "digest": digest(&layer), "size": layer.len()}],
        });
        blobs.extend([config, layer]);
        Bytes::from(manifest.to_string())
    }

    fn attestation(&self, subject: &Value, blobs: &mut Vec<Bytes>) -> Bytes {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v0.1",
            "predicateType": "https://slsa.dev/provenance/v0.2",
            "subject": [{"name": "image", "digest": subject["digest"]}],
            "predicate": {},
        });
        let statement = Bytes::from(statement.to_string());
        let config = Bytes::from_static(br#"{"architecture":"unknown","os":"unknown"}"#);
        let config_type = "application/vnd.oci.image.config.v1+json";
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": self.manifest_type(),
            "config": {"mediaType": config_type, "digest": digest(&config), "size": config.len()},
            "layers": [{
                "mediaType": "application/vnd.in-toto+json",
                "digest": digest(&statement),
                "size": statement.len(),
                "annotations": {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"},
            }],
        });
        blobs.extend([config, statement]);
        Bytes::from(manifest.to_string())
    }
}

/// `linux/arm64/v8` as a platform object.
fn platform_of(text: &str) -> Value {
    let mut parts = text.split('/');
    let (os, architecture) = (parts.next(), parts.next().expect("a platform is os/architecture"));
    let mut platform = json!({"architecture": architecture, "os": os});
    if let Some(variant) = parts.next() {
        platform["variant"] = variant.into();
    }
    platform
}
