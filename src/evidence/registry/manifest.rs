//! Manifests: hashed by ourselves, and read so that nobody can read them differently.
//!
//! [OCI image specification 1.1](https://github.com/opencontainers/image-spec), manifest and index, and the two Docker
//! forms that they came from. Refused: Docker's schema 1, an index and an image in one (CVE-2021-41190), a `mediaType`
//! that contradicts the `Content-Type`. An index within an index is kept as an entry and not followed.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use aws_lc_rs::digest as hash;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::fact::{Content, PlatformManifest};
use crate::image::{Algorithm, Digest, Platform};

use shape::{Found, Shape, Walk};

mod shape;
#[cfg(test)]
mod tests;

pub(super) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Configurations that name the layers: whoever unpacks them compares. Artifacts have others, which say nothing of what
/// lies beside them, and which all may share.
const IMAGE_CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
/// Schema 1, signed and unsigned.
const LEGACY: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];
/// What says nothing about a body.
const GENERIC: [&str; 5] = ["", "application/json", "application/octet-stream", "binary/octet-stream", "text/plain"];

/// Everything that we read, the newest first.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// Characters of a platform's parts: `linux`, `s390x`, and no essay.
const PLATFORM: usize = 64;

/// A manifest whose bytes have this digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub digest: Digest,
    pub document: Document,
}

/// What the bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    Image(ImageManifest),
    Index(Index),
}

/// An image, or an artifact in the form of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageManifest {
    pub artifact_type: Option<String>,
    pub config: Descriptor,
    pub layers: Vec<Descriptor>,
    pub subject: Option<Descriptor>,
    pub annotations: BTreeMap<String, String>,
}

/// A list of manifests; an entry may itself be an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    pub artifact_type: Option<String>,
    pub manifests: Vec<Descriptor>,
    pub subject: Option<Descriptor>,
    pub annotations: BTreeMap<String, String>,
}

/// What something else is said to be; only its digest can be relied on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    pub media_type: String,
    pub digest: Digest,
    pub size: u64,
    pub artifact_type: Option<String>,
    pub annotations: BTreeMap<String, String>,
    pub platform: Option<Platform>,
}

/// The hash of these bytes.
pub(super) fn hashed(bytes: &[u8], algorithm: Algorithm) -> Digest {
    let function = match algorithm {
        Algorithm::Sha256 => &hash::SHA256,
        Algorithm::Sha384 => &hash::SHA384,
        Algorithm::Sha512 => &hash::SHA512,
    };
    let hex: String = hash::digest(function, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Digest::parse(&format!("{algorithm}:{hex}")).expect("a hash in lower-case hex of its own length")
}

/// Reads the bytes; the error is a clause that follows the host, without any of their text.
pub(super) fn read(bytes: &[u8], content_type: &str) -> Result<Document, String> {
    if content_type == "text/html" {
        return Err("answered with text/html instead of a manifest; is this a registry?".to_owned());
    }
    let shape = shape_of(bytes)?;
    let Fields(raw) = serde_json::from_slice::<Fields<Raw>>(bytes).map_err(|error| said(&error))?;
    let media_type = media_type(&raw, content_type)?;
    if shape.legacy || LEGACY.contains(&media_type) || raw.schema_version == Some(1) {
        return Err(
            "sent a manifest of Docker's schema 1, which containerd does not run any more: push the image again"
                .to_owned(),
        );
    }
    if raw.schema_version != Some(2) {
        return Err("sent a manifest whose schemaVersion is not 2".to_owned());
    }
    if shape.manifests && (shape.config || shape.layers) {
        return Err("sent a manifest that is an index and an image at once".to_owned());
    }
    match media_type {
        OCI_INDEX | DOCKER_LIST => index(raw, shape).map(Document::Index),
        OCI_MANIFEST | DOCKER_MANIFEST => image(raw).map(Document::Image),
        "" if shape.manifests => index(raw, shape).map(Document::Index),
        "" => image(raw).map(Document::Image),
        _ => Err("sent a manifest of a type that is neither an image nor an index".to_owned()),
    }
}

fn shape_of(bytes: &[u8]) -> Result<Shape, String> {
    let found = Found::default();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let walked = Walk::document(&found).deserialize(&mut deserializer);
    walked.and_then(|shape| deserializer.end().map(|()| shape)).map_err(|error| match found.flaw.get() {
        Some(flaw) => format!("sent a manifest that {flaw}"),
        None => said(&error),
    })
}

/// Where the flaw is; serde's own words repeat the text.
fn said(error: &serde_json::Error) -> String {
    let what = if error.is_data() { "is not of the form that the OCI image specification has" } else { "is no JSON" };
    format!("sent a manifest that {what} (line {}, column {})", error.line(), error.column())
}

/// The one type that both the body and the answer agree to; empty where neither says one.
fn media_type<'a>(raw: &'a Raw, content_type: &'a str) -> Result<&'a str, String> {
    let generic = GENERIC.contains(&content_type);
    match raw.media_type.as_deref() {
        Some(own) if !generic && own != content_type => {
            Err("sent a manifest whose mediaType is not its Content-Type".to_owned())
        }
        Some(own) => Ok(own),
        None if generic => Ok(""),
        None => Ok(content_type),
    }
}

fn index(raw: Raw, shape: Shape) -> Result<Index, String> {
    if !shape.manifests {
        return Err("sent an index without manifests".to_owned());
    }
    let Raw { artifact_type, manifests, subject, annotations, .. } = raw;
    Ok(Index {
        artifact_type,
        manifests: descriptors(manifests)?,
        subject: subject.map(descriptor).transpose()?,
        annotations: annotations.unwrap_or_default().0,
    })
}

fn image(raw: Raw) -> Result<ImageManifest, String> {
    let Raw { artifact_type, config, layers, subject, annotations, manifests, .. } = raw;
    if manifests.is_some() {
        return Err("sent an image manifest that lists manifests".to_owned());
    }
    let config = config.ok_or("sent an image manifest without config")?;
    Ok(ImageManifest {
        artifact_type,
        config: descriptor(config)?,
        layers: descriptors(layers)?,
        subject: subject.map(descriptor).transpose()?,
        annotations: annotations.unwrap_or_default().0,
    })
}

fn descriptors(raw: Option<Vec<Fields<RawDescriptor>>>) -> Result<Vec<Descriptor>, String> {
    raw.unwrap_or_default().into_iter().map(descriptor).collect()
}

fn descriptor(Fields(raw): Fields<RawDescriptor>) -> Result<Descriptor, String> {
    let digest = Digest::parse(&raw.digest).map_err(|_| "sent a manifest with a descriptor whose digest is none")?;
    Ok(Descriptor {
        media_type: raw.media_type.unwrap_or_default(),
        digest,
        size: raw.size,
        artifact_type: raw.artifact_type,
        annotations: raw.annotations.unwrap_or_default().0,
        platform: raw.platform.map(platform).transpose()?,
    })
}

fn platform(Fields(raw): Fields<RawPlatform>) -> Result<Platform, String> {
    let RawPlatform { os, architecture, variant } = raw;
    let variant = variant.filter(|variant| !variant.is_empty());
    let sound = |part: &str| part.len() <= PLATFORM && part.bytes().all(|byte| byte.is_ascii_graphic());
    if [Some(&os), Some(&architecture), variant.as_ref()].into_iter().flatten().all(|part| sound(part)) {
        return Ok(Platform { os, architecture, variant });
    }
    Err("sent an index with a platform that is none".to_owned())
}

impl Document {
    /// What a decision needs of it.
    pub(super) fn content(&self) -> Content {
        match self {
            Self::Image(image) => {
                let ImageManifest { config, .. } = image;
                let identifies = IMAGE_CONFIGS.contains(&config.media_type.as_str());
                Content::Image { config: identifies.then(|| config.digest.clone()) }
            }
            Self::Index(index) => Content::Index(
                index
                    .manifests
                    .iter()
                    .map(|entry| PlatformManifest { platform: entry.platform.clone(), digest: entry.digest.clone() })
                    .collect::<Arc<[_]>>(),
            ),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Fields<RawDescriptor>>,
    layers: Option<Vec<Fields<RawDescriptor>>>,
    manifests: Option<Vec<Fields<RawDescriptor>>>,
    subject: Option<Fields<RawDescriptor>>,
    annotations: Option<Annotations>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    media_type: Option<String>,
    digest: String,
    size: u64,
    artifact_type: Option<String>,
    platform: Option<Fields<RawPlatform>>,
    annotations: Option<Annotations>,
}

#[derive(Deserialize)]
struct RawPlatform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// A struct out of a JSON object alone: serde would also take a list, for the fields in their order.
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
            fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
                Err(A::Error::custom("a list is no object"))
            }
        }
        deserializer.deserialize_map(FieldsVisitor(PhantomData))
    }
}

/// Texts by name, none of them twice.
#[derive(Default)]
struct Annotations(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnnotationsVisitor;
        impl<'de> Visitor<'de> for AnnotationsVisitor {
            type Value = Annotations;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotations, A::Error> {
                let mut found = BTreeMap::new();
                while let Some((key, value)) = map.next_entry()? {
                    if found.insert(key, value).is_some() {
                        return Err(A::Error::custom("an annotation stands twice"));
                    }
                }
                Ok(Annotations(found))
            }
        }
        deserializer.deserialize_map(AnnotationsVisitor)
    }
}
