//! What became of each image: by the strongest mode that judges it, and by its weakest judgement there.

use jiff::Timestamp;

use crate::fact::{Fact, Facts};
use crate::policy::Mode;
use crate::policy::plan::{Judgement, Plan};
use crate::request::Container;

use super::verdict::{Basis, ImageVerdict, ReportVerdict, SignatureVerdict};
use super::{Outcome, admitted, digest_of, listing, rule_name, scan, scanned};

/// Per container: refused by the enforcing policies, or on what basis not.
pub(super) fn image_verdicts(
    plan: &Plan<'_>,
    containers: &[Container],
    outcomes: &[Outcome<'_>],
    facts: &Facts,
    now: Timestamp,
) -> Vec<ImageVerdict> {
    let mut rest = outcomes;
    let verdict = |(index, container)| {
        let count = rest.iter().take_while(|outcome| outcome.judgement.container == index).count();
        let (of_image, later) = rest.split_at(count);
        rest = later;
        image_verdict(plan, index, container, of_image, facts, now)
    };
    containers.iter().enumerate().map(verdict).collect()
}

/// The strongest mode that judges an image speaks for it, and its weakest judgement counts. A policy that does not
/// exist judges too, and is never met.
fn image_verdict(
    plan: &Plan<'_>,
    index: usize,
    container: &Container,
    outcomes: &[Outcome<'_>],
    facts: &Facts,
    now: Timestamp,
) -> ImageVerdict {
    let unknown = plan.undetermined_mode();
    let mode = outcomes.iter().map(|outcome| outcome.judgement.mode).chain(unknown).min();
    let speaking = || outcomes.iter().filter(|outcome| Some(outcome.judgement.mode) == mode);
    let telling = speaking().find(|outcome| !outcome.met()).or_else(|| speaking().next());
    let met = unknown != mode && telling.is_some_and(Outcome::met);
    let basis = match mode {
        None if plan.judgements.is_empty() => Some(Basis::NothingDemanded),
        // Others are judged, so somebody judges here: this one was there before.
        None => Some(Basis::Unchanged),
        Some(_) if met => speaking().map(basis_of).max(),
        Some(Mode::Enforce) => plan.dry_run.then_some(Basis::DryRun),
        Some(Mode::Warn) => Some(Basis::SoftenedToWarning),
        Some(Mode::Audit) => Some(Basis::NothingDemanded),
    };
    let want = telling.and_then(|outcome| outcome.judgement.want);
    ImageVerdict {
        container: index,
        path: container.path.clone(),
        policy: telling.map(|outcome| outcome.judgement.policy.clone()),
        rule: telling.and_then(|outcome| rule_name(&outcome.judgement.ruling)),
        basis,
        digest: digest_of(container, want, facts),
        resolved: container.reference.as_ref().is_ok_and(|reference| reference.digest().is_none()),
        admitted_since: admitted(facts, want).map(|its| its.first),
        signatures: telling.map_or_else(Vec::new, |its| signatures(plan, its.judgement, container, facts, now)),
        reports: telling.map_or_else(Vec::new, |its| reports(plan, its.judgement, container, facts, now)),
    }
}

/// What was found attached to the image, by the demands of one judgement.
fn signatures(
    plan: &Plan<'_>,
    judgement: &Judgement,
    container: &Container,
    facts: &Facts,
    now: Timestamp,
) -> Vec<SignatureVerdict> {
    let found = || {
        let demands = judgement.ruling.demands()?;
        let facts = facts.images.get(judgement.want?)?;
        let reference = container.reference.as_ref().ok()?;
        let own = match &facts.resolved {
            Fact::Known(seen) => Some(&seen.value.digest),
            Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending => None,
        };
        Some(listing::listing(demands, plan.for_report, own, reference, facts.examined.get(judgement.examine?)?, now))
    };
    found().unwrap_or_default()
}

/// What scanners say of the image, by the demand of one judgement.
fn reports(
    plan: &Plan<'_>,
    judgement: &Judgement,
    container: &Container,
    facts: &Facts,
    now: Timestamp,
) -> Vec<ReportVerdict> {
    let case = || {
        let demands = judgement.ruling.demands()?;
        let (want, facts) = (plan.wants.get(judgement.want?)?, facts.images.get(judgement.want?)?);
        let reference = container.reference.as_ref().ok()?;
        let Fact::Known(resolved) = &facts.resolved else { return None };
        scanned(judgement, demands, reference, want, facts, resolved, now).ok()?
    };
    case().map(scan::listing).unwrap_or_default()
}

/// A warning of an enforcing policy makes its admission a softened one.
fn basis_of(outcome: &Outcome<'_>) -> Basis {
    let warned = outcome.denials.iter().any(|denial| denial.mode == Mode::Warn);
    if warned { outcome.basis.max(Basis::SoftenedToWarning) } else { outcome.basis }
}
