//! What the layers of one manifest are: their own media type says it, inside of bytes that were hashed.

use std::collections::BTreeMap;

use crate::fact::attached::{Flaw, FlawKind, Layout};
use crate::image::Digest;

use super::super::super::registry::{Descriptor, ImageManifest};
use super::Annotations;

const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
const BUNDLE_01: &str = "application/vnd.dev.sigstore.bundle+json;version=0.1";
const BUNDLE_02: &str = "application/vnd.dev.sigstore.bundle+json;version=0.2";
const BUNDLE_03: [&str; 2] =
    ["application/vnd.dev.sigstore.bundle+json;version=0.3", "application/vnd.dev.sigstore.bundle.v0.3+json"];
/// What lists say of signatures begins with one of these.
const HINTS: [&str; 3] =
    ["application/vnd.dev.sigstore.", "application/vnd.dev.cosign.", "application/vnd.dsse.envelope."];

/// Where a manifest was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    SignatureTag,
    AttestationTag,
    Referrer,
}

impl Place {
    fn layout(self) -> Layout {
        match self {
            Self::SignatureTag => Layout::SignatureTag,
            Self::AttestationTag => Layout::AttestationTag,
            Self::Referrer => Layout::Unknown,
        }
    }
}

/// How a layer is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Simple,
    Envelope,
    Bundle,
}

/// A blob, and how many bytes its manifest says that it has: who says less must not spoil it for who says the truth.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Content {
    pub(super) digest: Digest,
    pub(super) size: usize,
}

/// A layer that may be a signature.
#[derive(Debug)]
pub(super) struct Layer {
    /// Within the manifest.
    pub(super) position: usize,
    pub(super) layout: Layout,
    pub(super) form: Form,
    pub(super) content: Content,
    pub(super) annotations: Annotations,
}

/// What is of interest in one manifest.
#[derive(Debug)]
pub(super) struct Layers {
    pub(super) manifest: Digest,
    pub(super) layers: Vec<Layer>,
    /// Something is there in the place of signatures and is none.
    pub(super) flaw: Option<(Layout, Flaw)>,
}

impl Layers {
    pub(super) fn none(manifest: Digest) -> Self {
        Self { manifest, layers: Vec::new(), flaw: None }
    }

    /// A tag of Cosign holds what its name says and nothing else.
    pub(super) fn of(manifest: Digest, image: ImageManifest, place: Place) -> Self {
        let layers = image.layers.into_iter().enumerate();
        let layers = layers.filter_map(|(position, descriptor)| {
            let (form, layout) = kind_of(&descriptor.media_type, place)?;
            let Descriptor { digest, size, annotations, .. } = descriptor;
            // Beyond what can be addressed is beyond every ceiling.
            let content = Content { digest, size: usize::try_from(size).unwrap_or(usize::MAX) };
            Some(Layer { position, layout, form, content, annotations: annotations_of(annotations) })
        });
        Self { layers: layers.collect(), ..Self::none(manifest) }
    }

    pub(super) fn missing(manifest: Digest) -> Self {
        let flaw = flaw(FlawKind::Missing, "the registry lists its manifest and does not have it");
        Self { flaw: Some((Layout::Unknown, flaw)), ..Self::none(manifest) }
    }

    pub(super) fn malformed(manifest: Digest, place: Place) -> Self {
        let words = match place {
            Place::SignatureTag => "the tag .sig of the digest holds no signatures of Cosign",
            Place::AttestationTag => "the tag .att of the digest holds no attestations of Cosign",
            Place::Referrer => "the manifest holds no signatures",
        };
        Self { flaw: Some((place.layout(), flaw(FlawKind::Malformed, words))), ..Self::none(manifest) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.layers.is_empty() && self.flaw.is_none()
    }
}

impl Layer {
    /// Bytes that it takes with its content.
    pub(super) fn weight(&self) -> usize {
        self.content.size.saturating_add(self.annotations.length())
    }
}

impl Annotations {
    pub(super) fn length(&self) -> usize {
        let Self { signature, certificate, chain, log, timestamp } = self;
        [signature, certificate, chain, log, timestamp].into_iter().flatten().map(String::len).sum()
    }
}

pub(super) fn flaw(kind: FlawKind, words: &str) -> Flaw {
    Flaw { kind, words: words.into(), claimed: None }
}

/// Whether a list says that this is a signature.
pub(super) fn is_hinted(descriptor: &Descriptor) -> bool {
    let artifact_type = descriptor.artifact_type.as_deref().unwrap_or_default();
    HINTS.into_iter().any(|hint| artifact_type.starts_with(hint))
}

fn kind_of(media_type: &str, place: Place) -> Option<(Form, Layout)> {
    match (place, media_type) {
        (Place::SignatureTag, SIMPLE) => Some((Form::Simple, Layout::SignatureTag)),
        (Place::AttestationTag, ENVELOPE) => Some((Form::Envelope, Layout::AttestationTag)),
        (Place::SignatureTag | Place::AttestationTag, _) => None,
        (Place::Referrer, SIMPLE) => Some((Form::Simple, Layout::SimpleReferrer)),
        (Place::Referrer, ENVELOPE) => Some((Form::Envelope, Layout::EnvelopeReferrer)),
        (Place::Referrer, BUNDLE_01) => Some((Form::Bundle, Layout::Bundle01)),
        (Place::Referrer, BUNDLE_02) => Some((Form::Bundle, Layout::Bundle02)),
        (Place::Referrer, other) => BUNDLE_03.contains(&other).then_some((Form::Bundle, Layout::Bundle03)),
    }
}

fn annotations_of(annotations: BTreeMap<String, String>) -> Annotations {
    let mut annotations = annotations;
    Annotations {
        signature: annotations.remove("dev.cosignproject.cosign/signature"),
        certificate: annotations.remove("dev.sigstore.cosign/certificate"),
        chain: annotations.remove("dev.sigstore.cosign/chain"),
        log: annotations.remove("dev.sigstore.cosign/bundle"),
        timestamp: annotations.remove("dev.sigstore.cosign/rfc3161timestamp"),
    }
}
