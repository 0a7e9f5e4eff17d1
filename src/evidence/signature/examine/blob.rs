//! One bundle and one signer, as clients of Sigstore verify files: for the Sigstore project's conformance suite, which
//! tests the same code that images are admitted by.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_lc_rs::digest as hash;

use crate::fact::attached::{Claim, Logged, Proof, PublicKey, Signer};
use crate::image::Digest;
use crate::policy::trust::Examination;

use super::super::bundle;
use super::super::trust::{Root, Roots};
use super::{About, sealed};

/// What was signed.
#[derive(Debug, Clone, Copy)]
pub enum Artifact<'a> {
    Bytes(&'a [u8]),
    Digest(&'a Digest),
}

/// Who must have signed.
#[derive(Debug, Clone, Copy)]
pub enum Signatory<'a> {
    Key(&'a PublicKey),
    /// Exactly these.
    Identity {
        issuer: &'a str,
        subject: &'a str,
    },
}

/// Whether a bundle proves that somebody signed an artifact and that a transparency log has it; if not, a clause.
pub fn verify_bundle(json: &[u8], artifact: Artifact<'_>, by: Signatory<'_>, root: Arc<Root>) -> Result<(), String> {
    const ROOT: &str = "given";
    let (_, read) = bundle::read(json).map_err(|(_, flaw)| flaw.words.to_string())?;
    let about = match artifact {
        Artifact::Bytes(bytes) => About { bytes: Some(bytes), digests: digests(bytes) },
        Artifact::Digest(digest) => About { bytes: None, digests: vec![digest.clone()] },
    };
    let mut examination = Examination::default();
    match by {
        Signatory::Key(key) => examination.keys = BTreeSet::from([(key.clone(), ROOT.into())]),
        Signatory::Identity { .. } => examination.roots = BTreeSet::from([ROOT.into()]),
    }
    let roots = Roots { by_name: BTreeMap::from([(ROOT.into(), root)]), generation: 0 };
    let (claim, proofs, flaw) = sealed(&read, &about, &examination, &roots);
    if let Some(flaw) = flaw {
        return Err(flaw.words.to_string());
    }
    match claim {
        Claim::Image { .. } | Claim::Statement { .. } => {}
        Claim::Elsewhere { names, .. } => return Err(format!("it is of another artifact, {names}")),
        Claim::Unreadable(words) => return Err(words.to_string()),
    }
    let ours = |proof: &&Proof| match (&proof.signer, by) {
        (Signer::Key(fingerprint), Signatory::Key(key)) => *fingerprint == key.fingerprint,
        (Signer::Identity(its), Signatory::Identity { issuer, subject }) => {
            its.issuer == issuer && its.subject == subject
        }
        (Signer::Key(_), Signatory::Identity { .. }) | (Signer::Identity(_), Signatory::Key(_)) => false,
    };
    match proofs.iter().find(ours).map(|proof| &proof.logged) {
        Some(Logged::Proved) => Ok(()),
        Some(Logged::Unproved(words)) => Err(words.to_string()),
        None => Err("it was made by somebody else".to_owned()),
    }
}

/// By the algorithms that statements use.
fn digests(bytes: &[u8]) -> Vec<Digest> {
    let hex = |algorithm| -> String {
        hash::digest(algorithm, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    };
    [("sha256", &hash::SHA256), ("sha384", &hash::SHA384), ("sha512", &hash::SHA512)]
        .into_iter()
        .filter_map(|(name, algorithm)| Digest::parse(&format!("{name}:{}", hex(algorithm))).ok())
        .collect()
}
