//! The demand that an image is signed: who is missing, what is there instead, and why that does not count.

use jiff::Timestamp;

use crate::fact::attached::{Claim, FlawKind, Signature};
use crate::image::Reference;
use crate::policy::trust::{Authority, Mismatch, SignatureDemand, Signed};
use crate::request::printable;

use super::Found;
use super::attached::{Case, Subject, for_platform, found, names};
use super::doubt::MESSAGE;
use super::verdict::Reason;

pub(super) fn check(case: Case<'_>, demand: &SignatureDemand, now: Timestamp) -> Found {
    let image = case.reference;
    case.check(
        demand.signed,
        |attached| demand.met_by(attached, image, now),
        |lacking| explain(&case, demand, lacking, now),
    )
}

/// How near something comes to being the signature that is missing, the farthest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Near {
    /// An attestation, which is no signature of an image whoever made it.
    NoSignature,
    /// Nobody made it for certain.
    Invalid,
    /// Made by somebody else.
    Untrusted,
    /// Made by one who is trusted, and of something else.
    Mismatch,
    /// It counts.
    Counts,
}

/// Why a signature does not count: a clause that follows the name of its layout.
pub(super) struct Told<'a> {
    pub(super) near: Near,
    pub(super) words: String,
    /// The authority that accepts its signer.
    pub(super) authority: Option<&'a Authority>,
}

/// What a signature comes to for a demand.
pub(super) fn tell<'a>(
    demand: &'a SignatureDemand,
    signature: &Signature,
    image: &Reference,
    now: Timestamp,
) -> Told<'a> {
    let authority = accepting(demand.authorities.iter().map(AsRef::as_ref), signature, now);
    let told = |near, words| Told { near, words, authority };
    match (demand.objection(signature, image), &signature.flaw) {
        (objection, _) if matches!(signature.claim, Claim::Statement { .. }) => {
            told(Near::NoSignature, objection.unwrap_or_default())
        }
        (_, Some(flaw)) => told(flawed(flaw.kind), flaw_words(signature)),
        (Some(objection), None) if authority.is_some() => told(Near::Mismatch, objection),
        (None, None) if authority.is_some() => told(Near::Counts, String::new()),
        (_, None) => told(Near::Untrusted, stranger(demand.authorities.iter().map(AsRef::as_ref), signature, now)),
    }
}

/// The authority that accepts one of its signers.
pub(super) fn accepting<'a>(
    mut authorities: impl Iterator<Item = &'a Authority>,
    signature: &Signature,
    now: Timestamp,
) -> Option<&'a Authority> {
    authorities.find(|authority| signature.proofs.iter().any(|proof| authority.accepts(proof, now).is_ok()))
}

fn flawed(kind: FlawKind) -> Near {
    match kind {
        FlawKind::OtherKey => Near::Untrusted,
        FlawKind::SignatureInvalid
        | FlawKind::CertificateUntrusted
        | FlawKind::CertificateExpired
        | FlawKind::NotLogged
        | FlawKind::TimeUnproved
        | FlawKind::Malformed
        | FlawKind::Unsupported
        | FlawKind::BeyondBounds
        | FlawKind::Missing => Near::Invalid,
    }
}

/// What is wrong with it, and whom it claims to be from.
pub(super) fn flaw_words(signature: &Signature) -> String {
    let Some(flaw) = &signature.flaw else { return String::new() };
    let claimed = flaw.claimed.as_ref().map(|(issuer, subject)| {
        format!(" (its certificate names {} of {})", printable(subject, 200), printable(issuer, 100))
    });
    format!("{}{}", flaw.words, claimed.unwrap_or_default())
}

/// Why its signer is nobody of these: what the nearest of them says.
pub(super) fn stranger<'a>(
    authorities: impl Iterator<Item = &'a Authority>,
    signature: &Signature,
    now: Timestamp,
) -> String {
    let refusals = authorities
        .flat_map(|authority| signature.proofs.iter().filter_map(move |proof| authority.accepts(proof, now).err()));
    refusals.max().as_ref().map_or_else(|| "made by nobody for certain".to_owned(), Mismatch::words)
}

fn explain(case: &Case<'_>, demand: &SignatureDemand, lacking: &[Subject<'_>], now: Timestamp) -> (Reason, String) {
    let mut told: Vec<(Near, String)> = Vec::new();
    let mut missing: Vec<&str> = demand.authorities.iter().map(|authority| &*authority.name).collect();
    for signature in lacking.iter().flat_map(|subject| subject.signatures()) {
        let its = tell(demand, signature, case.reference, now);
        if its.near == Near::Counts {
            let accepts = |authority: &&str| its.authority.is_some_and(|its| &*its.name == *authority);
            missing.retain(|authority| !accepts(authority) || demand.threshold == 1);
        } else {
            told.push((its.near, format!("{}: {}", signature.layout.label(), its.words)));
        }
    }
    told.sort_by_key(|(near, _)| std::cmp::Reverse(*near));
    let reason = match told.first().map(|(near, _)| near) {
        None | Some(Near::NoSignature | Near::Counts) => Reason::Unsigned,
        Some(Near::Invalid) => Reason::SignatureInvalid,
        Some(Near::Untrusted) => Reason::SignatureUntrusted,
        Some(Near::Mismatch) => Reason::SignatureMismatch,
    };
    let words: Vec<String> = told.into_iter().map(|(_, words)| words).collect();
    let (who, place) = (who(demand, &missing), place(case, demand.signed, lacking));
    let message = format!("{who}{place}{}{}", case.looked_in(), found(&words));
    (reason, printable(&message, MESSAGE))
}

fn who(demand: &SignatureDemand, missing: &[&str]) -> String {
    if demand.threshold == 1 {
        return format!("no signature by {}", names(missing.iter().copied(), "or"));
    }
    let missing =
        if missing.is_empty() { String::new() } else { format!("; none by {}", names(missing.iter().copied(), "or")) };
    format!("fewer than {} signers that the policy trusts{missing}", demand.threshold)
}

/// Where it is missing.
fn place(case: &Case<'_>, signed: Signed, lacking: &[Subject<'_>]) -> String {
    let platform = lacking.iter().find(|subject| subject.platform.is_some());
    let on_index = lacking.iter().any(|subject| subject.platform.is_none());
    let no_platform = case.examined.platforms.as_ref().is_some_and(Vec::is_empty);
    match (signed, platform) {
        (Signed::Platforms | Signed::Either, Some(platform)) if on_index => {
            format!(" on its index, nor{}", for_platform(*platform))
        }
        (Signed::Platforms | Signed::Either, Some(platform)) => for_platform(*platform),
        (Signed::Platforms, None) if no_platform => ": its index has no manifest that the pod could run".to_owned(),
        (Signed::Index, _) | (Signed::Platforms | Signed::Either, None) => String::new(),
    }
}

#[cfg(test)]
mod tests;
