//! The demands that look closer than at a name: what is known for each of them is laid before its check.

use jiff::Timestamp;

use crate::fact::{ImageFacts, Resolved, Seen};
use crate::image::Reference;
use crate::policy::Demands;
use crate::policy::plan::{Judgement, Want};

use super::attached::Case;
use super::verdict::Reason;
use super::{Finding, Found, attestation, scan, signature};

/// The demands on signatures and attestations.
pub(super) fn signed(
    judgement: &Judgement,
    demands: &Demands,
    reference: &Reference,
    want: &Want<'_>,
    facts: &ImageFacts,
    resolved: &Seen<Resolved>,
    now: Timestamp,
) -> Found {
    if demands.signatures.is_none() && demands.attestations.is_empty() {
        return Found::met();
    }
    let looked_at = judgement.examine.and_then(|index| Some((want.examine.get(index)?, facts.examined.get(index)?)));
    let Some((examine, examined)) = looked_at else { return ungathered("signatures") };
    let case = Case { judgement, reference, facts, resolved, examined, asked: examine.wait };
    let signed = demands.signatures.as_ref().map_or_else(Found::met, |demand| signature::check(case, demand, now));
    let attested = demands.attestations.iter().map(|demand| attestation::check(case, demand, now));
    attested.fold(signed, Found::and)
}

/// The demand on scans with what is known for it; none where there is no such demand.
pub(super) fn scanned<'a>(
    judgement: &'a Judgement,
    demands: &'a Demands,
    reference: &'a Reference,
    want: &Want<'_>,
    facts: &'a ImageFacts,
    resolved: &'a Seen<Resolved>,
    now: Timestamp,
) -> Result<Option<scan::Case<'a>>, Found> {
    let Some(demand) = demands.scan.as_ref().filter(|_| judgement.scans) else { return Ok(None) };
    let (Some(scan), Some(scanned)) = (want.scan, &facts.scanned) else { return Err(ungathered("scans")) };
    let examined = judgement.examine.and_then(|index| facts.examined.get(index));
    let asked = scan.wait;
    Ok(Some(scan::Case { judgement, demand, reference, facts, resolved, scanned, examined, asked, now }))
}

fn ungathered(what: &str) -> Found {
    Found::one(Finding::plain((Reason::InternalError, format!("nothing was gathered about its {what}"))))
}
