//! What a signature is over, in the forms in which it can be verified.

use std::borrow::Cow;

use sigstore_crypto::{SigningScheme, sha256, sha384, sha512};
use sigstore_types::{
    Artifact, ArtifactDigest, Bundle, DigestBytes, DsseEnvelope, HashAlgorithm, MessageDigest, MessageSignature,
    SignatureBytes, SignatureContent,
};

use crate::fact::attached::{Flaw, FlawKind};
use crate::image::Digest;

use super::super::key::Over;
use super::super::statement;
use super::flaw::flaw;

/// What is signed.
#[derive(Debug)]
pub(super) enum Content<'a> {
    /// Bytes, or those of a digest.
    Message(Over<'a>),
    /// A statement. `named`: a digest that it is about, with which it can be verified whomever it is about; none where
    /// it cannot be read.
    Envelope { envelope: &'a DsseEnvelope, encoded: Vec<u8>, named: Option<Digest> },
}

impl<'a> Content<'a> {
    pub(super) fn of_envelope(envelope: &'a DsseEnvelope, named: Option<Digest>) -> Self {
        Self::Envelope { envelope, encoded: envelope.pae(), named }
    }

    /// The bytes that the key signed.
    pub(super) fn over(&self) -> Over<'_> {
        match self {
            Self::Message(Over::Bytes(bytes)) => Over::Bytes(bytes),
            Self::Message(Over::Digest(digest)) => Over::Digest(digest.clone()),
            Self::Envelope { encoded, .. } => Over::Bytes(encoded),
        }
    }

    /// As the verifier takes it for a certificate.
    pub(super) fn for_certificate<'b>(&'b self, bundle: &'b Bundle) -> Result<(Cow<'b, Bundle>, Artifact<'b>), Flaw> {
        match self {
            Self::Message(over) => Ok((Cow::Borrowed(bundle), artifact(over))),
            Self::Envelope { named: Some(named), .. } => {
                let named = statement::artifact(named).ok_or_else(unnamed)?;
                Ok((Cow::Borrowed(bundle), Artifact::from_digest(named)))
            }
            // The verifier reads the statement before the signature. As a message it is verified all the same, unless
            // the log has an entry for an envelope.
            Self::Envelope { envelope, encoded, named: None } => {
                let signature = MessageSignature::new(envelope.signature.sig.clone());
                Ok((Cow::Owned(with(bundle, signature)), Artifact::from_blob(encoded)))
            }
        }
    }

    /// As the verifier takes it for a key that signed in this scheme. None: it knows no way.
    pub(super) fn for_key<'b>(&'b self, bundle: &Bundle, scheme: SigningScheme) -> Option<(Bundle, Artifact<'b>)> {
        let usual = scheme.key_algorithm().default_signing_scheme() == scheme;
        match self {
            Self::Envelope { named: Some(named), .. } if usual => {
                Some((bundle.clone(), Artifact::from_digest(statement::artifact(named)?)))
            }
            Self::Envelope { envelope, encoded, .. } => {
                let message = message(&envelope.signature.sig, &Over::Bytes(encoded), scheme)?;
                Some((with(bundle, message), Artifact::from_blob(encoded)))
            }
            Self::Message(over) => {
                let SignatureContent::MessageSignature(its) = &bundle.content else { return None };
                Some((with(bundle, message(&its.signature, over, scheme)?), artifact(over)))
            }
        }
    }
}

fn unnamed() -> Flaw {
    flaw(FlawKind::Malformed, "its statement names no digest that it can be verified with")
}

fn artifact<'a>(over: &'a Over<'_>) -> Artifact<'a> {
    match over {
        Over::Bytes(bytes) => Artifact::from_blob(bytes),
        Over::Digest(digest) => Artifact::from_digest(digest.clone()),
    }
}

fn with(bundle: &Bundle, message: MessageSignature) -> Bundle {
    let content = SignatureContent::MessageSignature(message);
    Bundle::new(bundle.media_type(), bundle.verification_material.clone(), content)
}

/// A message whose digest tells the verifier the scheme; it derives one from the kind of key and the hash.
fn message(signature: &SignatureBytes, over: &Over<'_>, scheme: SigningScheme) -> Option<MessageSignature> {
    let message = MessageSignature::new(signature.clone());
    let Some(algorithm) = scheme.hash_algorithm() else { return Some(message) };
    if scheme.key_algorithm().resolve_signing_scheme(algorithm).ok()? != scheme {
        return None;
    }
    let digest = match over {
        Over::Bytes(bytes) => hashed(algorithm, bytes)?,
        Over::Digest(digest) => digest.value().clone(),
    };
    Some(message.with_message_digest(MessageDigest::new(algorithm, digest)))
}

/// What bytes hash to.
pub(in super::super) fn hashed(algorithm: HashAlgorithm, bytes: &[u8]) -> Option<DigestBytes> {
    match algorithm {
        HashAlgorithm::Sha2256 => Some(sha256(bytes).into()),
        HashAlgorithm::Sha2384 => Some(sha384(bytes).into()),
        HashAlgorithm::Sha2512 => Some(sha512(bytes).into()),
        _ => None,
    }
}

/// The digest that a message signature names.
pub(super) fn named(signature: &MessageSignature) -> Result<Option<ArtifactDigest>, Flaw> {
    let Some(its) = &signature.message_digest else { return Ok(None) };
    let malformed = |_| flaw(FlawKind::Malformed, "the digest in its bundle has not the length of its kind");
    ArtifactDigest::new(its.algorithm, its.digest.clone()).map(Some).map_err(malformed)
}
