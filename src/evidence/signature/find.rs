//! What is attached to a digest, fetched: tags, referrers and the referrers' fallback tag, all side by side.

use std::sync::Arc;

use crate::fact::Trouble;
use crate::fact::attached::{Flaw, Layout};
use crate::image::{Digest, Reference};

use super::super::registry::Registries;
use super::super::registry::credentials::Asker;

/// How much of what is attached to one digest is tried.
#[derive(Debug, Clone)]
pub struct Ceilings {
    /// Signatures and attestations in all.
    pub signatures: usize,
    /// Bytes of one payload, envelope or bundle.
    pub bytes: usize,
    /// Bytes of all of one digest together.
    pub all_bytes: usize,
}

impl Default for Ceilings {
    fn default() -> Self {
        Self { signatures: 50, bytes: 4 << 20, all_bytes: 16 << 20 }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    pub items: Vec<Item>,
    /// Something that could not be read, the gravest.
    pub unread: Option<Trouble>,
    /// Found beyond the ceilings, and not fetched.
    pub untried: usize,
}

/// One thing that may be a signature.
#[derive(Debug)]
pub struct Item {
    pub layout: Layout,
    pub material: Material,
}

/// Its bytes, hashed by their descriptor.
#[derive(Debug)]
pub enum Material {
    /// A simple-signing payload; what signs it stands in the layer's annotations.
    Simple { payload: Arc<[u8]>, annotations: Annotations },
    /// A DSSE envelope; certificate and log stand in the layer's annotations.
    Envelope { envelope: Arc<[u8]>, annotations: Annotations },
    /// A Sigstore bundle, JSON.
    Bundle(Arc<[u8]>),
    /// It is there and of no use.
    Flawed(Flaw),
}

/// Annotations of a layer as Cosign writes them; each as written, bounded by the manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations {
    /// `dev.cosignproject.cosign/signature`: base64.
    pub signature: Option<String>,
    /// `dev.sigstore.cosign/certificate`: PEM.
    pub certificate: Option<String>,
    /// `dev.sigstore.cosign/chain`: PEM, several.
    pub chain: Option<String>,
    /// `dev.sigstore.cosign/bundle`: JSON with `SignedEntryTimestamp` and `Payload`.
    pub log: Option<String>,
    /// `dev.sigstore.cosign/rfc3161timestamp`: JSON with `SignedRFC3161Timestamp`.
    pub timestamp: Option<String>,
}

/// What is asked for: the layouts of image signatures, of attestations, or both. Referrers are looked at for either.
#[derive(Debug, Clone, Copy)]
pub struct Kinds {
    pub signatures: bool,
    pub attestations: bool,
}

/// Everything that is attached to the digest in this repository.
pub async fn find(
    _registries: &Registries,
    _repository: &Reference,
    _digest: &Digest,
    _kinds: Kinds,
    _ceilings: &Ceilings,
    _asker: &Asker,
) -> Found {
    todo!()
}
