//! What is attached to a digest, in every place where clients put it: Cosign's tags, referrers, their fallback tag.
//!
//! [`Registry::attach_layers`] takes [`Layer`]s to a [`Place`], as Cosign 3.1.3 writes it there; the repository may be
//! another than the image's own. What a registry without a referrers API answers is in [`Behaviour::no_referrers`].
//!
//! ```text
//! let payload = Layer::new(SIMPLE_SIGNING, bytes).annotated("dev.cosignproject.cosign/signature", base64);
//! registry.attach_layers("team/app", &digest, Place::SignatureTag, &[payload]);
//! registry.attach_layers("team/app", &digest, Place::Referrer, &[Layer::new(BUNDLE_V0_3, json)]);
//! ```

use serde_json::{Value, json};

use super::image::{OCI_INDEX, OCI_MANIFEST};
use super::{Behaviour, Registry};

/// The payload of `cosign sign`.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// A bare DSSE envelope, of `cosign attest`.
pub const DSSE_ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
/// A Sigstore bundle as Cosign 3 writes it.
pub const BUNDLE_V0_3: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const COSIGN_SIGNATURE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";

/// A layer to attach.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Layer {
    media_type: String,
    bytes: Vec<u8>,
    annotations: Vec<(String, String)>,
}

impl Layer {
    pub fn new(media_type: &str, bytes: impl AsRef<[u8]>) -> Self {
        Self { media_type: media_type.to_owned(), bytes: bytes.as_ref().to_vec(), annotations: Vec::new() }
    }

    /// With one more annotation on its descriptor.
    pub fn annotated(mut self, key: &str, value: &str) -> Self {
        self.annotations.push((key.to_owned(), value.to_owned()));
        self
    }
}

/// Where layers are attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the manifest of the tag `sha256-HEX.sig`, behind the layers that are there.
    SignatureTag,
    /// In the manifest of the tag `sha256-HEX.att`, behind the layers that are there.
    AttestationTag,
    /// In a manifest of their own with a `subject`; the registry lists it, by its API or (without one) by the tag.
    Referrer,
    /// The same, and the client lists it in the index of the tag `sha256-HEX`, behind what is listed there.
    FallbackTag,
    /// The same as GHCR has it: whatever it is, the list says that it is empty.
    UntypedFallbackTag,
}

impl Registry {
    /// Attaches layers to a digest, all in one manifest; returns the digest of that manifest. Called again for a tag of
    /// Cosign it adds to the layers, as `cosign sign` does; called again for the others it makes one more manifest.
    pub fn attach_layers(&self, repository: &str, subject: &str, place: Place, layers: &[Layer]) -> String {
        let tag = subject.replace(':', "-");
        let descriptors: Vec<Value> = layers.iter().map(|layer| self.put_layer(repository, layer)).collect();
        match place {
            Place::SignatureTag => self.extend_tag(repository, &format!("{tag}.sig"), descriptors),
            Place::AttestationTag => self.extend_tag(repository, &format!("{tag}.att"), descriptors),
            Place::Referrer => self.refer(repository, subject, &descriptors).0,
            Place::FallbackTag => {
                let (digest, descriptor) = self.refer(repository, subject, &descriptors);
                self.list(repository, &tag, descriptor);
                digest
            }
            Place::UntypedFallbackTag => {
                let (digest, mut descriptor) = self.refer(repository, subject, &descriptors);
                descriptor["artifactType"] = EMPTY.into();
                self.list(repository, &tag, descriptor);
                digest
            }
        }
    }

    fn put_layer(&self, repository: &str, layer: &Layer) -> Value {
        let Layer { media_type, bytes, annotations } = layer;
        let digest = self.put_blob(repository, bytes);
        let mut descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        for (key, value) in annotations {
            descriptor["annotations"][key] = value.as_str().into();
        }
        descriptor
    }

    /// The manifest of a tag, with these layers as well.
    fn extend_tag(&self, repository: &str, tag: &str, descriptors: Vec<Value>) -> String {
        let mut layers = self.list_of(repository, tag, "layers");
        layers.extend(descriptors);
        let config = json!({"architecture": "", "os": "", "rootfs": {"type": "layers", "diff_ids": []}}).to_string();
        let digest = self.put_blob(repository, &config);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest, "size": config.len()},
            "layers": layers,
        });
        self.put_manifest(repository, Some(tag), OCI_MANIFEST, manifest.to_string())
    }

    /// A manifest that refers to the subject: its digest, and its descriptor in a list.
    fn refer(&self, repository: &str, subject: &str, descriptors: &[Value]) -> (String, Value) {
        let first = descriptors.first().map_or(EMPTY, |layer| layer["mediaType"].as_str().unwrap_or(EMPTY));
        let (artifact_type, config) =
            if first == SIMPLE_SIGNING { (COSIGN_SIGNATURE, COSIGN_SIGNATURE) } else { (first, EMPTY) };
        let empty = self.put_blob(repository, b"{}");
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": {"mediaType": config, "digest": empty, "size": 2},
            "subject": self.state.store().descriptor(repository, subject),
            "layers": descriptors,
        })
        .to_string();
        let digest = self.put_manifest(repository, None, OCI_MANIFEST, &manifest);
        let size = manifest.len();
        let descriptor =
            json!({"mediaType": OCI_MANIFEST, "digest": digest, "size": size, "artifactType": artifact_type});
        (digest, descriptor)
    }

    /// One more entry in the index of a tag.
    fn list(&self, repository: &str, tag: &str, descriptor: Value) {
        let mut manifests = self.list_of(repository, tag, "manifests");
        manifests.push(descriptor);
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests});
        self.put_manifest(repository, Some(tag), OCI_INDEX, index.to_string());
    }

    /// What the manifest of a tag has under this name; nothing where there is none.
    fn list_of(&self, repository: &str, tag: &str, name: &str) -> Vec<Value> {
        let store = self.state.store();
        let manifest = store.repository(repository).and_then(|repository| repository.manifest(tag));
        let Some(manifest) = manifest else { return Vec::new() };
        let content: Value = serde_json::from_slice(&manifest.bytes).expect("a manifest that was put here");
        content[name].as_array().cloned().expect("the tag is one of those that are written here")
    }
}

impl Behaviour {
    /// What registries without a referrers API answer, for [`Route::Referrers`](super::Route::Referrers): 404, 303 to a
    /// page for people, and an empty list. All that they know is under the tag.
    #[must_use]
    pub fn no_referrers() -> [Self; 3] {
        let list = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).to_string();
        let headers = vec![("Content-Type".to_owned(), OCI_INDEX.to_owned())];
        [
            Self::status(404),
            Self::Redirect { status: 303, to: "https://registry.invalid/about".to_owned() },
            Self::Status { code: 200, headers, body: list.into_bytes() },
        ]
    }
}
