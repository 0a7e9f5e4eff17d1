//! The answer: a pure function of plan, facts and time. The only room that can make a [`verdict::Permit`].
//!
//! A demand that cannot be told from the facts is refused or tolerated in the words of the policy, never overlooked.

use jiff::Timestamp;

use crate::fact::{Admitted, Fact, Facts, Record};
use crate::image::Digest;
use crate::policy::plan::{Judgement, Plan, Ruling, Standing};
use crate::policy::{Action, Controllers, Mode, PolicyName, RuleName, Unmatched};
use crate::request::{Container, Flaw, Role, printable};

use verdict::{Answer, Basis, Denial, DeniedImage, ImageVerdict, Permit, Reason, Verdict};

mod tag;
pub mod verdict;

/// Decides one review. `now` is read once per review, so that time-dependent demands agree with each other.
pub fn decide(plan: &Plan<'_>, facts: &Facts, _now: Timestamp) -> Verdict {
    match plan.standing {
        Standing::Exempt => passed(Basis::Exempt),
        Standing::Nothing(_) | Standing::IgnoredController => passed(Basis::NothingDemanded),
        Standing::Unchanged => passed(Basis::Unchanged),
        Standing::Unreadable(flaw) => unreadable(plan, flaw),
        Standing::Judged(containers) => judged(plan, containers, facts),
    }
}

/// The answer where judging itself failed: a panic denies, and under `--dry-run` says what it would have done.
pub fn failed(dry_run: bool) -> Verdict {
    let message = "a fault inside Pratique, see its log; nothing was judged".to_owned();
    settle(vec![whole_object(Mode::Enforce, None, Reason::InternalError, message)], dry_run)
}

fn passed(basis: Basis) -> Verdict {
    Verdict {
        answer: Answer::Admit(Permit::new(basis)),
        warnings: Vec::new(),
        audit: Vec::new(),
        images: Vec::new(),
        unfinished: false,
        records: Vec::new(),
    }
}

/// What could not be read is refused, whatever the policies: a review that we do not understand may bring any image.
/// A controller whose pod spec is not where it should be is early feedback like all of them.
fn unreadable(plan: &Plan<'_>, flaw: &Flaw) -> Verdict {
    let reason = match flaw {
        Flaw::NoPodSpec { .. } => Reason::PodSpecMissing,
        Flaw::Syntax(_)
        | Flaw::Version(_)
        | Flaw::Operation(_)
        | Flaw::Depth { .. }
        | Flaw::Count { .. }
        | Flaw::Contradiction(_) => Reason::ReviewUnreadable,
    };
    let softened = reason == Reason::PodSpecMissing
        && plan.request.role == Role::Controller
        && plan.controllers == Controllers::Warn;
    let mode = if softened { Mode::Warn } else { Mode::Enforce };
    settle(vec![whole_object(mode, None, reason, printable(&flaw.to_string(), 400))], plan.dry_run)
}

/// The verdict on an object of which only denials are known.
fn settle(denials: Vec<Denial>, dry_run: bool) -> Verdict {
    let mut verdict = passed(Basis::UndeterminedButTolerated);
    sort_into(&mut verdict, denials, dry_run);
    verdict
}

fn whole_object(mode: Mode, policy: Option<PolicyName>, reason: Reason, message: String) -> Denial {
    Denial { mode, policy, rule: None, subject: None, reason, message }
}

fn judged(plan: &Plan<'_>, containers: &[Container], facts: &Facts) -> Verdict {
    let outcomes: Vec<Outcome<'_>> = plan.judgements.iter().map(|judgement| judge(judgement, containers)).collect();
    let mut verdict = passed(Basis::EveryDemandMet);
    verdict.images = image_verdicts(plan, containers, &outcomes, facts);
    let weakest = verdict.images.iter().filter_map(|image| image.basis).max();
    verdict.answer = Answer::Admit(Permit::new(weakest.unwrap_or(Basis::NothingDemanded)));
    verdict.unfinished = facts.images.iter().any(|image| matches!(image.admitted, Fact::Pending));
    let unknown = plan.unknown.iter().map(unknown_policy);
    let denials = unknown.chain(outcomes.into_iter().flat_map(|outcome| outcome.denials)).collect();
    sort_into(&mut verdict, denials, plan.dry_run);
    if matches!(verdict.answer, Answer::Admit(_)) && !plan.dry_run && !plan.request.dry_run {
        verdict.records = records(plan, containers, &verdict.images);
    }
    verdict
}

fn unknown_policy((mode, name): &(Mode, String)) -> Denial {
    let name = printable(name, 63);
    let message =
        format!("policy \"{name}\" is named for {} here and does not exist; add it or correct the name", mode.label());
    whole_object(*mode, None, Reason::PolicyUnknown, message)
}

/// What one judgement came to.
struct Outcome<'p> {
    judgement: &'p Judgement,
    /// Meaningful where there is no denial.
    basis: Basis,
    denials: Vec<Denial>,
}

fn judge<'p>(judgement: &'p Judgement, containers: &[Container]) -> Outcome<'p> {
    let Judgement { mode: _, policy: _, container, want: _, ruling } = judgement;
    let Some(container) = containers.get(*container) else {
        let message = "a container is missing from its own review".to_owned();
        let denial = whole_object(judgement.mode, Some(judgement.policy.clone()), Reason::InternalError, message);
        return Outcome { judgement, basis: Basis::NothingDemanded, denials: vec![denial] };
    };
    let (basis, rule, refusals) = match ruling {
        Ruling::InvalidReference => (Basis::NothingDemanded, None, vec![(Reason::ImageInvalid, invalid(container))]),
        Ruling::Unmatched(Unmatched::Allow) => (Basis::NothingDemanded, None, Vec::new()),
        Ruling::Unmatched(Unmatched::Deny) => {
            let message = format!("no rule of policy {} matches this image", judgement.policy);
            (Basis::NothingDemanded, None, vec![(Reason::ImageUnmatched, message)])
        }
        Ruling::Rule { name, action } => {
            let (basis, refusals) = act(action, container);
            (basis, Some(name), refusals)
        }
    };
    let denials = refusals
        .into_iter()
        .map(|(reason, message)| denial(judgement, container, rule.cloned(), reason, message))
        .collect();
    Outcome { judgement, basis, denials }
}

fn act(action: &Action, container: &Container) -> (Basis, Vec<(Reason, String)>) {
    match action {
        Action::Admit => (Basis::NothingDemanded, Vec::new()),
        Action::Refuse(why) => (Basis::NothingDemanded, vec![(Reason::RefusedByRule, printable(why, 400))]),
        Action::Require(demands) => (Basis::EveryDemandMet, tag::check(demands, container)),
    }
}

fn invalid(container: &Container) -> String {
    match &container.reference {
        Err(error) => printable(&error.to_string(), 400),
        Ok(_) => "the image is no valid reference".to_owned(),
    }
}

fn denial(
    judgement: &Judgement,
    container: &Container,
    rule: Option<RuleName>,
    reason: Reason,
    message: String,
) -> Denial {
    Denial {
        mode: judgement.mode,
        policy: Some(judgement.policy.clone()),
        rule,
        subject: Some(DeniedImage {
            container: judgement.container,
            path: container.path.clone(),
            title: printable(&container.title(), 120),
            written: printable(&container.written, 300).into(),
            digest: None,
        }),
        reason,
        message,
    }
}

/// Per container: refused by the enforcing policies, or on what basis not.
fn image_verdicts(
    plan: &Plan<'_>,
    containers: &[Container],
    outcomes: &[Outcome<'_>],
    facts: &Facts,
) -> Vec<ImageVerdict> {
    let mut rest = outcomes;
    let verdict = |container: usize| {
        let count = rest.iter().take_while(|outcome| outcome.judgement.container == container).count();
        let (of_image, later) = rest.split_at(count);
        rest = later;
        image_verdict(plan, container, of_image, facts)
    };
    (0..containers.len()).map(verdict).collect()
}

/// The strongest mode that judges an image speaks for it, and its weakest judgement counts. A policy that does not
/// exist judges too, and is never met.
fn image_verdict(plan: &Plan<'_>, container: usize, outcomes: &[Outcome<'_>], facts: &Facts) -> ImageVerdict {
    let unknown = plan.unknown.iter().map(|(mode, _)| *mode).min();
    let mode = outcomes.iter().map(|outcome| outcome.judgement.mode).chain(unknown).min();
    let speaking = || outcomes.iter().filter(|outcome| Some(outcome.judgement.mode) == mode);
    let telling = speaking().find(|outcome| !outcome.denials.is_empty()).or_else(|| speaking().next());
    let met = unknown != mode && telling.is_some_and(|outcome| outcome.denials.is_empty());
    let basis = match mode {
        None if plan.judgements.is_empty() => Some(Basis::NothingDemanded),
        // Others are judged, so somebody judges here: this one was there before.
        None => Some(Basis::Unchanged),
        Some(_) if met => speaking().map(|outcome| outcome.basis).max(),
        Some(Mode::Enforce) => plan.dry_run.then_some(Basis::DryRun),
        Some(Mode::Warn) => Some(Basis::SoftenedToWarning),
        Some(Mode::Audit) => Some(Basis::NothingDemanded),
    };
    ImageVerdict {
        container,
        policy: telling.map(|outcome| outcome.judgement.policy.clone()),
        rule: telling.and_then(|outcome| rule_name(&outcome.judgement.ruling)),
        basis,
        admitted_since: telling.and_then(|outcome| admitted(facts, outcome.judgement.want)).map(|its| its.first),
    }
}

fn rule_name(ruling: &Ruling) -> Option<RuleName> {
    match ruling {
        Ruling::Rule { name, action: _ } => Some(name.clone()),
        Ruling::InvalidReference | Ruling::Unmatched(_) => None,
    }
}

fn admitted(facts: &Facts, want: Option<usize>) -> Option<Admitted> {
    match &facts.images.get(want?)?.admitted {
        Fact::Known(seen) => Some(seen.value),
        Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending => None,
    }
}

/// Puts each denial where its mode says, worst first. One that enforces takes the permit away.
fn sort_into(verdict: &mut Verdict, mut denials: Vec<Denial>, dry_run: bool) {
    denials.sort_by_key(|denial| (denial.reason, denial.subject.as_ref().map(|subject| subject.container)));
    let mut refused = Vec::new();
    for denial in denials {
        match denial.mode {
            Mode::Enforce if dry_run => {
                verdict.audit.push(denial);
                verdict.answer = Answer::Admit(Permit::new(Basis::DryRun));
            }
            Mode::Enforce => refused.push(denial),
            Mode::Warn => verdict.warnings.push(denial),
            Mode::Audit => verdict.audit.push(denial),
        }
    }
    if !refused.is_empty() {
        verdict.answer = Answer::Deny(refused);
    }
}

/// What the namespace now has: the digests of its images that were let in.
fn records(plan: &Plan<'_>, containers: &[Container], images: &[ImageVerdict]) -> Vec<Record> {
    if plan.request.role == Role::Controller {
        // A controller runs nothing itself; its pods are recorded when they come.
        return Vec::new();
    }
    let digest = |image: &ImageVerdict| -> Option<Digest> {
        image.basis?;
        containers.get(image.container)?.reference.as_ref().ok()?.digest().cloned()
    };
    let namespace = &plan.request.namespace;
    images.iter().filter_map(digest).map(|digest| Record::Admitted { namespace: namespace.clone(), digest }).collect()
}

#[cfg(test)]
mod tests;
