//! Signatures made with a key. The key is tried here; whether the log has it is left to the verifier, which cannot make
//! a signature good that was not.

use jiff::Timestamp;
use sigstore_crypto::SigningScheme;
use sigstore_types::{Artifact, Bundle, DerPublicKey, MediaType, SignatureContent};
use sigstore_verify::PublicKeyVerificationPolicy;

use crate::fact::attached::{Flaw, FlawKind, Logged, Proof, PublicKey, Signer};
use crate::policy::trust::{Examination, RootName};

use super::super::bundle::Sealed;
use super::super::key::{self, Over};
use super::super::trust::{Root, Roots};
use super::envelope::Content;
use super::flaw::{flaw, meaning};
use super::keyless::{NO_ENTRY, earliest, every_entry_is_proved};

/// One proof for each key that made it and each root that is asked of its log.
pub(super) fn proofs(
    sealed: &Sealed,
    content: &Content<'_>,
    examination: &Examination,
    roots: &Roots,
) -> (Vec<Proof>, Option<Flaw>) {
    let signature = match &sealed.bundle.content {
        SignatureContent::MessageSignature(message) => &message.signature,
        SignatureContent::DsseEnvelope(envelope) => &envelope.signature.sig,
        _ => {
            return (
                Vec::new(),
                Some(flaw(FlawKind::Unsupported, "its bundle is of a kind that cannot be verified here")),
            );
        }
    };
    let over = content.over();
    let (mut proofs, mut tried) = (Vec::new(), None);
    for (key, root) in &examination.keys {
        let scheme = match tried {
            Some((last, scheme)) if last == key => scheme,
            _ => key::verify(&key.spki, &over, signature),
        };
        tried = Some((key, scheme));
        if let Some(scheme) = scheme {
            let (logged, made) = logged(sealed, content, scheme, key, root, roots);
            proofs.push(Proof { signer: Signer::Key(key.fingerprint), root: root.clone(), logged, made });
        }
    }
    let flaw = proofs.is_empty().then(|| nobody(&over, examination));
    (proofs, flaw)
}

fn nobody(over: &Over<'_>, examination: &Examination) -> Flaw {
    if examination.keys.is_empty() {
        return flaw(FlawKind::OtherKey, "it was made with a key, and certificates alone are trusted");
    }
    let bytes_only = |(key, _): &(PublicKey, RootName)| !key::works_on_digests(&key.spki);
    if matches!(over, Over::Digest(_)) && examination.keys.iter().all(bytes_only) {
        let words =
            "an Ed25519 key signs bytes, and of an image only the digest is known; sign it with a current cosign";
        return flaw(FlawKind::Unsupported, words);
    }
    flaw(FlawKind::OtherKey, "no key that is trusted made it")
}

/// Whether a log of the root has it, and since when it is proved to exist.
fn logged(
    sealed: &Sealed,
    content: &Content<'_>,
    scheme: SigningScheme,
    key: &PublicKey,
    name: &RootName,
    roots: &Roots,
) -> (Logged, Option<Timestamp>) {
    let unproved = |words: &str| Logged::Unproved(words.into());
    let Some(root) = roots.by_name.get(name) else {
        return (unproved(&format!("there is no trusted root \"{name}\" to verify its log entry with")), None);
    };
    let entries = &sealed.bundle.verification_material.tlog_entries;
    let unlogged = match &sealed.unverifiable {
        Some(unverifiable) => Some(unverifiable.words.clone()),
        None => entries.is_empty().then(|| NO_ENTRY.into()),
    };
    let Some((bundle, artifact)) = content.for_key(&sealed.as_if_by_key(), scheme) else {
        let words = "its log entry is one of a kind of key whose entries cannot be verified here";
        return (Logged::Unproved(unlogged.unwrap_or_else(|| words.into())), None);
    };
    let entry = match unlogged {
        Some(words) => Err(words),
        None => every_entry_is_proved(&bundle)
            .and_then(|()| times(root, &bundle, artifact.clone(), key, true).map_err(|error| meaning(&error, name)))
            .map_err(|flaw| flaw.words),
    };
    match entry {
        Ok(made) => (Logged::Proved, made),
        Err(words) => {
            // A timestamp proves the time without the log. One that does not verify proves none: then the signature
            // counts as made now, and its key must be good now.
            let mut alone = bundle;
            alone.verification_material.tlog_entries.clear();
            alone.media_type = MediaType::Bundle0_2;
            (Logged::Unproved(words), times(root, &alone, artifact, key, false).unwrap_or_default())
        }
    }
}

fn times(
    root: &Root,
    bundle: &Bundle,
    artifact: Artifact<'_>,
    key: &PublicKey,
    logged: bool,
) -> sigstore_verify::Result<Option<Timestamp>> {
    let policy = PublicKeyVerificationPolicy::new(DerPublicKey::from_bytes(&key.spki));
    let policy = if logged { policy } else { policy.skip_tlog_unsafe() };
    root.verifier.verify(artifact, bundle, &policy).map(|result| earliest(&result))
}
