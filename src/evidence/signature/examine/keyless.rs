//! Signatures made with a certificate: who holds it, and whether log and time hold.

use std::sync::Arc;

use jiff::Timestamp;
use sigstore_types::{Artifact, Bundle, MediaType};
use sigstore_verify::{CertificateError, Error, VerificationPolicy, VerificationResult};

use crate::fact::attached::{Flaw, FlawKind, Logged, Proof, Signer};
use crate::policy::trust::{Examination, RootName};

use super::super::bundle::Sealed;
use super::super::certificate;
use super::super::trust::{Root, Roots};
use super::envelope::Content;
use super::flaw::{flaw, furthest, meaning};

/// One proof for each root that verifies it; the flaw is that of the root that came furthest.
pub(super) fn proofs(
    sealed: &Sealed,
    content: &Content<'_>,
    examination: &Examination,
    roots: &Roots,
) -> (Vec<Proof>, Option<Flaw>) {
    let Some(certificate) = sealed.certificate() else {
        return (Vec::new(), Some(flaw(FlawKind::Malformed, "its bundle has no certificate where one belongs")));
    };
    let (mut proofs, mut flaws) = (Vec::new(), Vec::new());
    for name in &examination.roots {
        match with_root(sealed, certificate, content, name, roots) {
            Ok(proof) => proofs.push(proof),
            Err(flaw) => flaws.push(flaw),
        }
    }
    let claimed = certificate::claimed(certificate);
    let none = || flaw(FlawKind::OtherKey, "it was made with a certificate, and keys alone are trusted");
    let flaw = proofs.is_empty().then(|| Flaw { claimed, ..furthest(flaws).unwrap_or_else(none) });
    (proofs, flaw)
}

fn with_root(
    sealed: &Sealed,
    certificate: &[u8],
    content: &Content<'_>,
    name: &RootName,
    roots: &Roots,
) -> Result<Proof, Flaw> {
    let missing = || {
        flaw(
            FlawKind::CertificateUntrusted,
            &format!("there is no trusted root \"{name}\" to verify its certificate with"),
        )
    };
    let root = roots.by_name.get(name).ok_or_else(missing)?;
    // Without its entry it would be verified as if it had none.
    if let Some(unverifiable) = &sealed.unverifiable {
        return Err(unverifiable.clone());
    }
    every_entry_is_proved(&sealed.bundle)?;
    let (bundle, artifact) = content.for_certificate(&sealed.bundle)?;
    let logged = !bundle.verification_material.tlog_entries.is_empty();
    let result = verify(root, &bundle, artifact.clone(), logged).map_err(|error| {
        expired(&error, root, &bundle, artifact, certificate).unwrap_or_else(|| meaning(&error, name))
    })?;
    // The verifier was asked for both; a release of it that forgets is not to be believed.
    if !result.certificate_verified() || result.tlog_verified() != logged {
        return Err(flaw(FlawKind::CertificateUntrusted, "its certificate cannot be verified"));
    }
    let made = earliest(&result).ok_or_else(|| flaw(FlawKind::TimeUnproved, "nothing proves when it was made"))?;
    let identity = certificate::identity(certificate)?;
    let logged = if logged { Logged::Proved } else { Logged::Unproved(NO_ENTRY.into()) };
    Ok(Proof { signer: Signer::Identity(Arc::new(identity)), root: name.clone(), logged, made: Some(made) })
}

/// Why a signature is not logged that has no entry.
pub(super) const NO_ENTRY: &str = "it has no entry of a transparency log";

/// An entry that neither a promise nor a proof stands for is any text; the verifier would look no further at it.
pub(super) fn every_entry_is_proved(bundle: &Bundle) -> Result<(), Flaw> {
    let entries = &bundle.verification_material.tlog_entries;
    if entries.iter().all(|entry| entry.inclusion_promise.is_some() || entry.inclusion_proof.is_some()) {
        return Ok(());
    }
    Err(flaw(FlawKind::NotLogged, "its log entry has neither a promise (SET) of the log nor an inclusion proof"))
}

pub(super) fn earliest(result: &VerificationResult) -> Option<Timestamp> {
    result.verified_timestamps().iter().min().copied()
}

fn verify(
    root: &Root,
    bundle: &Bundle,
    artifact: Artifact<'_>,
    logged: bool,
) -> sigstore_verify::Result<VerificationResult> {
    // Who it is and whether that counts is for the policy; without a log, an RFC 3161 timestamp must hold.
    let policy = VerificationPolicy::any_identity();
    let policy = if root.has_certificate_logs { policy } else { policy.skip_sct() };
    let policy = if logged { policy } else { policy.skip_tlog_unsafe() };
    root.verifier.verify(artifact, bundle, &policy)
}

/// The verifier calls a certificate that had expired one with an invalid chain. So that people learn of it, its times
/// are looked at once more, with a verification of which nothing else is used: it refuses, it never accepts.
fn expired(error: &Error, root: &Root, bundle: &Bundle, artifact: Artifact<'_>, certificate: &[u8]) -> Option<Flaw> {
    let Error::Certificate(
        CertificateError::ChainInvalid(_) | CertificateError::Expired { .. } | CertificateError::NotYetValid { .. },
    ) = error
    else {
        return None;
    };
    let (from, until) = certificate::validity(certificate)?;
    // Promises were verified before the chain, so these times are proved.
    let entries = bundle.verification_material.tlog_entries.iter();
    let promised = entries.filter(|entry| entry.inclusion_promise.is_some()).filter_map(|entry| entry.integrated_time);
    let policy = VerificationPolicy::any_identity().skip_certificate_chain().skip_tlog_unsafe();
    // Its log is not asked, so its log entries are nothing that may be read.
    let mut alone = bundle.clone();
    alone.verification_material.tlog_entries.clear();
    alone.media_type = MediaType::Bundle0_2;
    let stamped = root.verifier.verify(artifact, &alone, &policy);
    let stamped = stamped.as_ref().map_or(&[][..], VerificationResult::verified_timestamps);
    let made = promised.chain(stamped.iter().copied()).find(|time| !(from..=until).contains(time))?;
    let words = format!("its certificate was valid from {from} until {until}, and it was made at {made}");
    Some(flaw(FlawKind::CertificateExpired, &words))
}
