//! What was found attached to an image, one by one, for the report of `check` and for the log.

use std::sync::Arc;

use jiff::Timestamp;

use crate::fact::attached::{Claim, Proof, Signature, Signer};
use crate::fact::{Examined, Fact};
use crate::image::{Digest, Reference};
use crate::policy::Demands;
use crate::policy::trust::Authority;
use crate::request::printable;

use super::signature::{Near, accepting, tell};
use super::verdict::SignatureVerdict;
use super::{attestation, verdict};

/// Everything that was looked at, and whether it counts for one of the demands. What does not is left out where nobody
/// reads of it: most reviews are of images that have been seen a thousand times.
pub(super) fn listing(
    demands: &Demands,
    for_report: bool,
    own: Option<&Digest>,
    reference: &Reference,
    examined: &Examined,
    now: Timestamp,
) -> Vec<SignatureVerdict> {
    let mut list = Vec::new();
    let platforms = examined.platforms.iter().flatten().map(|(manifest, fact)| (Some(&manifest.digest), fact));
    for (digest, fact) in examined.own.iter().map(|fact| (own, fact)).chain(platforms) {
        let (Some(digest), Fact::Known(seen)) = (digest, fact) else { continue };
        for signature in &seen.value.signatures {
            if for_report || counts(demands, signature, reference, now) {
                list.push(of(demands, digest, reference, signature, now));
            }
        }
    }
    list
}

fn counts(demands: &Demands, signature: &Signature, reference: &Reference, now: Timestamp) -> bool {
    demands.signatures.as_ref().is_some_and(|demand| demand.counts(signature, reference, now))
        || demands.attestations.iter().any(|demand| demand.counts(signature, now))
}

fn of(
    demands: &Demands,
    digest: &Digest,
    reference: &Reference,
    signature: &Signature,
    now: Timestamp,
) -> SignatureVerdict {
    let (accepted, authority, why) = judge(demands, reference, signature, now);
    let proof = proof_for(signature, authority, now);
    let claimed = signature.flaw.as_ref().and_then(|flaw| flaw.claimed.clone());
    let (issuer, subject, key) = match proof.map(|proof| &proof.signer) {
        Some(Signer::Identity(identity)) => {
            (Some(printable(&identity.issuer, 300)), Some(printable(&identity.subject, 300)), None)
        }
        Some(Signer::Key(fingerprint)) => (None, None, Some(*fingerprint)),
        // Unproved, and only said because it does not count.
        None => match claimed {
            Some((issuer, subject)) => (Some(printable(&issuer, 300)), Some(printable(&subject, 300)), None),
            None => (None, None, None),
        },
    };
    verdict::SignatureVerdict {
        digest: digest.clone(),
        layout: signature.layout.label(),
        predicate_type: predicate_type(&signature.claim),
        authority: authority.map(|authority| Arc::clone(&authority.name)),
        issuer,
        subject,
        key,
        made: proof.and_then(|proof| proof.made),
        accepted,
        why,
    }
}

/// Whether it counts, for whom, and why not.
fn judge<'d>(
    demands: &'d Demands,
    reference: &Reference,
    signature: &Signature,
    now: Timestamp,
) -> (bool, Option<&'d Authority>, Option<String>) {
    let mut first = None;
    if let Some(demand) = demands.attestations.iter().find(|demand| demand.counts(signature, now)) {
        let authority = accepting(demand.authorities.iter().map(AsRef::as_ref), signature, now);
        return (true, authority, None);
    }
    if let Some(demand) = &demands.signatures {
        let told = tell(demand, signature, reference, now);
        if told.near == Near::Counts {
            return (true, told.authority, None);
        }
        first = Some((told.authority, told.words));
    }
    for demand in &demands.attestations {
        let authority = accepting(demand.authorities.iter().map(AsRef::as_ref), signature, now);
        match attestation::tell(demand, signature, now) {
            // Nothing that this demand is about.
            None => {}
            Some((_, words)) => {
                let statement = matches!(signature.claim, Claim::Statement { .. });
                if first.is_none() || statement {
                    first = Some((authority, words));
                }
            }
        }
    }
    let (authority, why) = first.unwrap_or((None, "nothing that is demanded".to_owned()));
    (false, authority, Some(why))
}

fn proof_for<'s>(signature: &'s Signature, authority: Option<&Authority>, now: Timestamp) -> Option<&'s Proof> {
    let accepted = |proof: &&Proof| authority.is_some_and(|authority| authority.accepts(proof, now).is_ok());
    signature.proofs.iter().find(accepted).or_else(|| signature.proofs.first())
}

fn predicate_type(claim: &Claim) -> Option<String> {
    match claim {
        Claim::Statement { predicate_type, .. } | Claim::Elsewhere { predicate_type: Some(predicate_type), .. } => {
            Some(printable(predicate_type, 300))
        }
        Claim::Image { .. } | Claim::Elsewhere { predicate_type: None, .. } | Claim::Unreadable(_) => None,
    }
}
