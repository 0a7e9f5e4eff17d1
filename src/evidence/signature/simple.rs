//! Simple signing and bare DSSE envelopes, with certificate and log in annotations, as Cosign v1 and v2 wrote them.
//!
//! By [Cosign's signature specification](https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md). Both are
//! turned into what a bundle v0.1 would have been, so that there is one verifier. Annotations are the author's, and
//! signed by nobody: what they hold counts only as far as it verifies.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};
use sigstore_types::{
    CanonicalizedBody, DerCertificate, DsseEnvelope, InclusionPromise, LogId, LogIndex, LogKeyId, MessageSignature,
    Rfc3161Timestamp, SignatureBytes, SignatureContent, SignedTimestamp, TimestampToken, TransparencyLogEntry,
};

use crate::fact::attached::{Claim, Flaw, FlawKind};
use crate::image::Digest;

use super::bundle::{self, Sealed};
use super::examine::flaw::flaw;
use super::find::Annotations;
use super::key::pem;
use super::{certificate, json, statement};

#[cfg(test)]
mod tests;

/// `critical.type`.
const TYPE: &str = "cosign container image signature";

/// What the payload of simple signing says.
pub(super) fn claim(payload: &[u8], digest: &Digest) -> Claim {
    read(payload, digest).unwrap_or_else(|words| Claim::Unreadable(words.into()))
}

fn read(payload: &[u8], digest: &Digest) -> Result<Claim, &'static str> {
    let payload = json::read(payload)?;
    let text = |pointer: &str| payload.pointer(pointer).and_then(Value::as_str);
    if text("/critical/type") != Some(TYPE) {
        return Err("its payload is not of the type \"cosign container image signature\"");
    }
    let named = text("/critical/image/docker-manifest-digest").ok_or("its payload names no digest")?;
    if named != digest.as_str() {
        return Ok(Claim::Elsewhere { predicate_type: None, names: statement::shortened_text(named) });
    }
    let reference = match payload.pointer("/critical/identity/docker-reference") {
        None | Some(Value::Null) => None,
        Some(Value::String(reference)) => Some(Arc::from(reference.as_str())),
        Some(_) => return Err("the docker-reference in its payload is no text"),
    };
    let annotations = match payload.get("optional") {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(Value::Object(annotations)) => statement::texts(annotations),
        Some(_) => return Err("the annotations in its payload are no object"),
    };
    Ok(Claim::Image { reference, annotations })
}

/// What signs a payload, from its layer's annotations.
pub(super) fn simple(annotations: &Annotations) -> Result<Sealed, Flaw> {
    let signature = annotations.signature.as_deref().filter(|signature| !signature.is_empty());
    let signature = signature.ok_or_else(|| flaw(FlawKind::Malformed, "its layer has no signature annotation"))?;
    let signature =
        STANDARD.decode(signature.trim()).map_err(|_| flaw(FlawKind::Malformed, "its signature is no base64"))?;
    seal(SignatureContent::MessageSignature(MessageSignature::new(SignatureBytes::new(signature))), annotations)
}

/// What signs an envelope: itself, with certificate and log from its layer's annotations.
pub(super) fn envelope(json: &[u8], annotations: &Annotations) -> Result<Sealed, Flaw> {
    let value = json::read(json).map_err(|words| flaw(FlawKind::Malformed, words))?;
    bundle::one_signature(&value)?;
    let envelope: DsseEnvelope =
        serde_json::from_value(value).map_err(|_| flaw(FlawKind::Malformed, "it is no DSSE envelope"))?;
    seal(SignatureContent::DsseEnvelope(envelope), annotations)
}

fn seal(content: SignatureContent, annotations: &Annotations) -> Result<Sealed, Flaw> {
    let certificates = certificates(annotations)?;
    let timestamp = annotations.timestamp.as_deref().map(timestamp).transpose()?;
    let entry = annotations.log.as_deref().map(entry).transpose();
    Ok(bundle::seal(content, certificates, entry, timestamp))
}

/// The certificate, and the intermediate ones below the root that came with it.
fn certificates(annotations: &Annotations) -> Result<Vec<DerCertificate>, Flaw> {
    let Some(leaf) = &annotations.certificate else { return Ok(Vec::new()) };
    let read = |text: &str| {
        let blocks = pem::blocks(text, bundle::CERTIFICATES)?;
        blocks.iter().all(|block| block.label == "CERTIFICATE").then_some(blocks)
    };
    let unreadable = || flaw(FlawKind::CertificateUntrusted, "its certificate cannot be read");
    let leaf = read(leaf).filter(|blocks| blocks.len() == 1).ok_or_else(unreadable)?;
    let chain = read(annotations.chain.as_deref().unwrap_or_default()).ok_or_else(unreadable)?;
    let above = chain.into_iter().filter(|block| !certificate::is_root(&block.der));
    Ok(leaf.into_iter().chain(above).map(|block| DerCertificate::new(block.der)).collect())
}

fn timestamp(annotation: &str) -> Result<Rfc3161Timestamp, Flaw> {
    let broken = || flaw(FlawKind::TimeUnproved, "its RFC 3161 timestamp cannot be read");
    let value = json::read(annotation.as_bytes()).map_err(|_| broken())?;
    let token = value.get("SignedRFC3161Timestamp").and_then(Value::as_str).ok_or_else(broken)?;
    Ok(Rfc3161Timestamp::new(TimestampToken::new(STANDARD.decode(token).map_err(|_| broken())?)))
}

/// The entry of a log, by the promise that it gave (SET).
fn entry(annotation: &str) -> Result<TransparencyLogEntry, Flaw> {
    let broken = || flaw(FlawKind::NotLogged, "its log entry cannot be read");
    let value = json::read(annotation.as_bytes()).map_err(|_| broken())?;
    let payload = value.get("Payload").and_then(Value::as_object).ok_or_else(broken)?;
    let promise = value.get("SignedEntryTimestamp").and_then(Value::as_str).ok_or_else(broken)?;
    let body = payload.get("body").and_then(Value::as_str).ok_or_else(broken)?;
    let body = STANDARD.decode(body).map_err(|_| broken())?;
    let kind = json::read(&body).ok().and_then(|body| Some((string(&body, "kind")?, string(&body, "apiVersion")?)));
    let (kind, version) = kind.ok_or_else(broken)?;
    let kind = bundle::kind(&kind, &version)?;
    let (index, log, time) = position(payload).ok_or_else(broken)?;
    let promise = SignedTimestamp::new(STANDARD.decode(promise).map_err(|_| broken())?);
    Ok(TransparencyLogEntry::new(index, log, kind, CanonicalizedBody::new(body))
        .with_integrated_time(time)
        .with_inclusion_promise(InclusionPromise::new(promise)))
}

fn string(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}

fn position(payload: &Map<String, Value>) -> Option<(LogIndex, LogId, Timestamp)> {
    let index = LogIndex::try_from(payload.get("logIndex")?.as_i64()?).ok()?;
    let log = sigstore_types::DigestBytes::from_hex(payload.get("logID")?.as_str()?).ok()?;
    let time = Timestamp::from_second(payload.get("integratedTime")?.as_i64()?).ok()?;
    Some((index, LogId::new(LogKeyId::new(log.into_bytes())), time))
}
