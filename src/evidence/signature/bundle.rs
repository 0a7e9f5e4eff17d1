//! Sigstore bundles, v0.1 to v0.3, with message signatures and DSSE envelopes.
//!
//! By [the bundle specification](https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto).
//! Counts are bounded before anything is verified, and of two contents or two kinds of material none is chosen: such a
//! bundle is refused. Nothing in here is verified yet.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sigstore_types::bundle::VerificationMaterialContent;
use sigstore_types::{
    Bundle, DerCertificate, KindVersion, MediaType, PublicKeyIdentifier, Rfc3161Timestamp, SignatureContent,
    TimestampVerificationData, TransparencyLogEntry, VerificationMaterial, X509Certificate,
};

use crate::fact::attached::{Flaw, FlawKind, Layout};
use crate::request::printable;

use super::examine::flaw::flaw;
use super::{certificate, der, json};

#[cfg(test)]
mod tests;

/// Log entries of one signature: one is usual, a few where several logs are used, and each costs two verifications.
const ENTRIES: usize = 32;
/// RFC 3161 timestamps of one signature; each costs a chain of certificates.
const TIMESTAMPS: usize = 32;
/// Certificates of one signature: a leaf, and no long way up.
pub(super) const CERTIFICATES: usize = 10;
/// Bytes of the kind of a log entry in a message.
const KIND: usize = 40;

/// A signature with everything that may prove who made it, in one form wherever it was kept.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    pub bundle: Bundle,
    /// It has an entry of a log that cannot be verified here, and that is not in the bundle: why not.
    pub unverifiable: Option<Flaw>,
    /// Keys are tried although a certificate stands beside it, as `cosign verify --key` does with the old layouts.
    pub keys_too: bool,
}

impl Sealed {
    /// The certificate that it carries, of whatever worth.
    pub(super) fn certificate(&self) -> Option<&[u8]> {
        self.bundle.signing_certificate().map(DerCertificate::as_bytes)
    }

    /// Whether its certificates and timestamps cost no more than their bytes to read.
    pub(super) fn is_modest(&self) -> bool {
        let material = &self.bundle.verification_material;
        let certificates = if let VerificationMaterialContent::X509CertificateChain { certificates } = &material.content
        {
            certificates.as_slice()
        } else {
            &[]
        };
        let mut certificates = certificates.iter().map(|its| its.raw_bytes.as_bytes()).chain(self.certificate());
        let timestamps = &material.timestamp_verification_data.rfc3161_timestamps;
        certificates.all(der::is_modest) && timestamps.iter().all(|its| der::is_modest(its.signed_timestamp.as_bytes()))
    }

    /// Whether it says that it was made with a certificate.
    pub(super) fn has_certificate_material(&self) -> bool {
        !matches!(self.bundle.verification_material.content, VerificationMaterialContent::PublicKey(_))
    }

    /// Whether keys may have made it.
    pub(super) fn is_for_keys(&self) -> bool {
        self.keys_too || !self.has_certificate_material()
    }

    /// As it would be had a key made it, whose log entry must then name the key.
    pub(super) fn as_if_by_key(&self) -> Bundle {
        let mut bundle = self.bundle.clone();
        bundle.verification_material.content = by_key();
        bundle
    }
}

fn by_key() -> VerificationMaterialContent {
    // Nobody reads the hint.
    VerificationMaterialContent::PublicKey(PublicKeyIdentifier::new(""))
}

/// Reads a bundle, and its version.
pub(super) fn read(json: &[u8]) -> Result<(Layout, Sealed), (Option<Layout>, Flaw)> {
    let malformed = |words| flaw(FlawKind::Malformed, words);
    let mut value = json::read(json).map_err(|words| (None, json::unread(words)))?;
    let media_type = value.get("mediaType").and_then(Value::as_str).and_then(|its| its.parse().ok());
    let layout = match media_type {
        Some(MediaType::Bundle0_1) => Layout::Bundle01,
        Some(MediaType::Bundle0_2) => Layout::Bundle02,
        Some(MediaType::Bundle0_3) => Layout::Bundle03,
        Some(_) | None => return Err((None, malformed("it is no Sigstore bundle of version 0.1, 0.2 or 0.3"))),
    };
    let sealed = bounded(&value)
        .and_then(|()| unambiguous(&value))
        .and_then(|()| {
            let unverifiable = take_unverifiable(&mut value);
            let unreadable = unreadable(&value);
            let bundle = serde_json::from_value(value).map_err(|_| unreadable)?;
            rootless(Sealed { bundle, unverifiable, keys_too: false })
        })
        .map_err(|flaw| (Some(layout), flaw))?;
    Ok((layout, sealed))
}

/// What is wrong with a bundle that cannot be read.
fn unreadable(bundle: &Value) -> Flaw {
    let signatures = ["/messageSignature/signature", "/dsseEnvelope/signatures/0/sig"];
    let signature = signatures.iter().find_map(|pointer| bundle.pointer(pointer)).and_then(Value::as_str);
    let words = match signature.map(|signature| STANDARD.decode(signature)) {
        None => "its bundle has no signature",
        Some(Err(_)) => "its signature is no base64",
        Some(Ok(_)) => "its bundle cannot be read",
    };
    flaw(FlawKind::Malformed, words)
}

/// Roots come from those who verify; a bundle that brings one along is made by nobody who follows the specification.
fn rootless(sealed: Sealed) -> Result<Sealed, Flaw> {
    if let VerificationMaterialContent::X509CertificateChain { certificates } =
        &sealed.bundle.verification_material.content
        && certificates.iter().skip(1).any(|its| certificate::is_root(its.raw_bytes.as_bytes()))
    {
        return Err(flaw(FlawKind::Malformed, "its bundle brings a root certificate along"));
    }
    Ok(sealed)
}

fn bounded(bundle: &Value) -> Result<(), Flaw> {
    for (pointer, bound, what) in [
        ("/verificationMaterial/tlogEntries", ENTRIES, "log entries"),
        ("/verificationMaterial/timestampVerificationData/rfc3161Timestamps", TIMESTAMPS, "timestamps"),
        ("/verificationMaterial/x509CertificateChain/certificates", CERTIFICATES, "certificates"),
    ] {
        if bundle.pointer(pointer).and_then(Value::as_array).is_some_and(|list| list.len() > bound) {
            return Err(flaw(FlawKind::BeyondBounds, &format!("it has more than {bound} {what}")));
        }
    }
    Ok(())
}

fn unambiguous(bundle: &Value) -> Result<(), Flaw> {
    let present = |pointer: &&str| bundle.pointer(pointer).is_some_and(|value| !value.is_null());
    let one_of = |pointers: &[&str]| pointers.iter().filter(|pointer| present(pointer)).count() == 1;
    if !one_of(&["/messageSignature", "/dsseEnvelope"]) {
        return Err(flaw(FlawKind::Malformed, "its bundle has no signature, or two"));
    }
    let material =
        ["/certificate", "/x509CertificateChain", "/publicKey"].map(|kind| format!("/verificationMaterial{kind}"));
    if !one_of(&material.each_ref().map(String::as_str)) {
        return Err(flaw(FlawKind::Malformed, "its bundle names neither a certificate nor a key, or both"));
    }
    bundle.get("dsseEnvelope").map_or(Ok(()), one_signature)
}

/// An envelope with several signatures would say of none which certificate and which log entry is its.
pub(super) fn one_signature(envelope: &Value) -> Result<(), Flaw> {
    match envelope.get("signatures").and_then(Value::as_array) {
        Some(signatures) if signatures.len() > 1 => {
            Err(flaw(FlawKind::Unsupported, "its envelope has several signatures, and exactly one can be verified"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Removes log entries that cannot be verified, and says why: a key's signature is one without them too.
fn take_unverifiable(bundle: &mut Value) -> Option<Flaw> {
    let entries = bundle.pointer_mut("/verificationMaterial/tlogEntries")?.as_array_mut()?;
    let found = entries.iter().find_map(|entry| {
        let part = |name: &str| entry.pointer(name).and_then(Value::as_str);
        let kind =
            kind(part("/kindVersion/kind").unwrap_or_default(), part("/kindVersion/version").unwrap_or_default());
        let read = || serde_json::from_value::<TransparencyLogEntry>(entry.clone());
        kind.and_then(|_| {
            read().map_err(|_| flaw(FlawKind::NotLogged, "its log entry, or the checkpoint in it, cannot be read"))
        })
        .err()
    })?;
    entries.clear();
    Some(found)
}

/// A kind of log entry that can be verified.
pub(super) fn kind(name: &str, version: &str) -> Result<KindVersion, Flaw> {
    match (name, version) {
        ("hashedrekord", "0.0.1") => Ok(KindVersion::HashedRekordV001),
        ("hashedrekord", "0.0.2") => Ok(KindVersion::HashedRekordV002),
        ("dsse", "0.0.1") => Ok(KindVersion::DsseV001),
        ("intoto", "0.0.2") => Ok(KindVersion::IntotoV002),
        ("", _) | (_, "") => Err(flaw(FlawKind::NotLogged, "its log entry does not say of which kind it is")),
        _ => {
            let shown = printable(&format!("{name} {version}"), KIND);
            let words = format!(
                "its log entry is of the kind {shown}, which cannot be verified here; sign it again with a newer cosign"
            );
            Err(flaw(FlawKind::Unsupported, &words))
        }
    }
}

/// A bundle of what the old layouts keep apart.
pub(super) fn seal(
    content: SignatureContent,
    certificates: Vec<DerCertificate>,
    entry: Result<Option<TransparencyLogEntry>, Flaw>,
    timestamp: Option<Rfc3161Timestamp>,
) -> Sealed {
    let (entry, unverifiable) = match entry {
        Ok(entry) => (entry, None),
        Err(flaw) => (None, Some(flaw)),
    };
    let keys_too = !certificates.is_empty();
    let material = if certificates.is_empty() {
        by_key()
    } else {
        VerificationMaterialContent::X509CertificateChain {
            certificates: certificates.into_iter().map(X509Certificate::new).collect(),
        }
    };
    // The promise of a log is all that v0.1 asks for; v0.2 does without any where the log need not prove anything.
    let media_type = if entry.is_some() { MediaType::Bundle0_1 } else { MediaType::Bundle0_2 };
    let material = VerificationMaterial::new(material)
        .with_tlog_entries(entry.into_iter().collect())
        .with_timestamp_verification_data(TimestampVerificationData::new(timestamp.into_iter().collect()));
    Sealed { bundle: Bundle::new(media_type, material, content), unverifiable, keys_too }
}
