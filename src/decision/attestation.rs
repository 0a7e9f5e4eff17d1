//! The demand that something is attested of an image: the nearest thing that is there, and what it lacks.

use jiff::Timestamp;

use crate::fact::attached::{FlawKind, Signature};
use crate::policy::trust::{AttestationDemand, Authority, Objection, Signed};
use crate::request::printable;

use super::Found;
use super::attached::{Case, Subject, for_platform, found, names};
use super::doubt::MESSAGE;
use super::signature::{accepting, flaw_words, stranger};
use super::verdict::Reason;

pub(super) fn check(case: Case<'_>, demand: &AttestationDemand, now: Timestamp) -> Found {
    case.check(Signed::Either, |attached| demand.met_by(attached, now), |lacking| explain(&case, demand, lacking, now))
}

/// Why something does not count: how near it comes, and a clause. None: it is none of an attestation.
pub(super) fn tell(demand: &AttestationDemand, signature: &Signature, now: Timestamp) -> Option<(Reason, String)> {
    let authorities = || demand.authorities.iter().map(AsRef::<Authority>::as_ref);
    let trusted = accepting(authorities(), signature, now).is_some();
    let objection = demand.objection(signature);
    let words = objection.as_ref().map(Objection::words).unwrap_or_default();
    Some(match objection {
        Some(Objection::NoStatement) => return None,
        // Whoever made it, nothing that it says is of use.
        Some(Objection::Unreadable(_)) => (Reason::AttestationUnreadable, words),
        Some(Objection::OtherType(_)) => (Reason::AttestationWrongType, words),
        _ if matches!(&signature.flaw, Some(flaw) if flaw.kind == FlawKind::OtherKey) => {
            (Reason::AttestationUntrusted, flaw_words(signature))
        }
        _ if signature.flaw.is_some() => (Reason::AttestationInvalid, flaw_words(signature)),
        _ if !trusted => (Reason::AttestationUntrusted, stranger(authorities(), signature, now)),
        Some(Objection::Elsewhere(_)) => (Reason::AttestationMismatch, words),
        Some(Objection::Condition { .. }) => (Reason::AttestationCondition, words),
        None => return None,
    })
}

/// The nearest to what is demanded first.
fn nearness(reason: Reason) -> usize {
    let order = [
        Reason::AttestationCondition,
        Reason::AttestationMismatch,
        Reason::AttestationUntrusted,
        Reason::AttestationInvalid,
        Reason::AttestationUnreadable,
        Reason::AttestationWrongType,
    ];
    order.iter().position(|its| *its == reason).unwrap_or(order.len())
}

fn explain(case: &Case<'_>, demand: &AttestationDemand, lacking: &[Subject<'_>], now: Timestamp) -> (Reason, String) {
    let mut told: Vec<(Reason, String)> = Vec::new();
    for signature in lacking.iter().flat_map(|subject| subject.signatures()) {
        if let Some((reason, words)) = tell(demand, signature, now) {
            told.push((reason, format!("{}: {words}", signature.layout.label())));
        }
    }
    told.sort_by_key(|(reason, _)| nearness(*reason));
    let reason = told.first().map_or(Reason::AttestationMissing, |(reason, _)| *reason);
    let words: Vec<String> = told.into_iter().map(|(_, words)| words).collect();
    let platform = lacking.iter().find(|subject| subject.platform.is_some());
    let place = platform.map_or_else(String::new, |subject| for_platform(*subject));
    let by = names(demand.authorities.iter().map(|authority| &*authority.name), "or");
    let (kind, where_to) = (printable(&demand.predicate_type, 120), case.looked_in());
    let message = format!("no attestation {kind} by {by}{place}{where_to}{}", found(&words));
    (reason, printable(&message, MESSAGE))
}
