//! The answer: a pure function of plan, facts and time. The only room that can make a [`verdict::Permit`].
//!
//! A demand that cannot be told from the facts is refused or tolerated in the words of the policy, never overlooked.

use jiff::Timestamp;

use crate::fact::{Admitted, Fact, Facts, Trouble};
use crate::image::Digest;
use crate::policy::plan::{Judgement, Plan, Ruling, Standing, Unknown, Wait};
use crate::policy::{Action, Controllers, Demands, Mode, PolicyName, RuleName, Unmatched};
use crate::request::{Container, Flaw, Role, printable};

use closer::{scanned, signed};
use verdict::{Answer, Basis, Denial, DeniedImage, Permit, Reason, Verdict};

mod attached;
mod attestation;
mod closer;
mod digest;
mod doubt;
mod images;
mod listing;
mod record;
mod scan;
mod signature;
mod tag;
pub mod verdict;

/// Decides one review. `now` is read once per review, so that time-dependent demands agree with each other.
pub fn decide(plan: &Plan<'_>, facts: &Facts, now: Timestamp) -> Verdict {
    match plan.standing {
        Standing::Exempt => passed(Basis::Exempt),
        Standing::Nothing(_) | Standing::IgnoredController => passed(Basis::NothingDemanded),
        Standing::Unchanged => passed(Basis::Unchanged),
        Standing::Unreadable(flaw) => unreadable(plan, flaw),
        Standing::Judged(containers) => judged(plan, containers, facts, now),
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
        pending: false,
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
    Denial { mode, softened: false, policy, rule: None, subject: None, reason, message }
}

fn judged(plan: &Plan<'_>, containers: &[Container], facts: &Facts, now: Timestamp) -> Verdict {
    let mut outcomes: Vec<Outcome<'_>> =
        plan.judgements.iter().map(|judgement| judge(plan, judgement, containers, facts, now)).collect();
    refuse_unasked(plan, &mut outcomes, containers, facts);
    let mut verdict = passed(Basis::EveryDemandMet);
    verdict.images = images::image_verdicts(plan, containers, &outcomes, facts, now);
    let weakest = verdict.images.iter().filter_map(|image| image.basis).max();
    verdict.answer = Answer::Admit(Permit::new(weakest.unwrap_or(Basis::NothingDemanded)));
    verdict.pending = outcomes.iter().any(|outcome| outcome.pending);
    let asked = plan.wants.iter().map(|want| want.resolve > Wait::AtHand);
    let looked_up = facts.images.iter().map(|image| !matches!(image.resolved, Fact::Pending));
    verdict.unfinished = asked.zip(looked_up).any(|(asked, looked_up)| asked && !looked_up) || plan.leaves_open(facts);
    let unknown = plan.namespace_unknown.iter().map(unknown_namespace).chain(plan.unknown.iter().map(unknown_policy));
    let softened = record::softened(&outcomes, facts);
    let denials = unknown.chain(outcomes.into_iter().flat_map(|outcome| outcome.denials)).collect();
    sort_into(&mut verdict, denials, plan.dry_run);
    if matches!(verdict.answer, Answer::Admit(_)) && !plan.dry_run && !plan.request.dry_run {
        verdict.records = record::records(plan, containers, &verdict.images, softened, facts);
    }
    verdict
}

/// Nobody is asked about an image that is refused for its name alone. If it turned out not to be refused, an enforced
/// demand would have been overlooked.
fn refuse_unasked(plan: &Plan<'_>, outcomes: &mut [Outcome<'_>], containers: &[Container], facts: &Facts) {
    let refused = |outcome: &Outcome<'_>| outcome.denials.iter().any(|denial| denial.mode == Mode::Enforce);
    let unknown = plan.undetermined_mode() == Some(Mode::Enforce);
    for index in 0..containers.len() {
        let of_image = |outcome: &&mut Outcome<'_>| outcome.judgement.container == index;
        if unknown || outcomes.iter().any(|outcome| outcome.judgement.container == index && refused(outcome)) {
            continue;
        }
        for outcome in outcomes.iter_mut().filter(of_image).filter(|outcome| outcome.unasked) {
            let Some(container) = containers.get(index) else { continue };
            let message = "the image was judged without having been looked up".to_owned();
            let finding = Finding { gravest: Mode::Enforce, reason: Reason::InternalError, message };
            let rule = rule_name(&outcome.judgement.ruling);
            outcome.denials.push(denial(outcome.judgement, container, rule, finding, facts));
        }
    }
}

fn unknown_policy(Unknown { mode, softened, name }: &Unknown) -> Denial {
    let name = printable(name, 63);
    let message =
        format!("policy \"{name}\" is named for {} here and does not exist; add it or correct the name", mode.label());
    Denial { softened: *softened, ..whole_object(*mode, None, Reason::PolicyUnknown, message) }
}

fn unknown_namespace((mode, trouble): &(Mode, Trouble)) -> Denial {
    let message = format!("who judges in this namespace is not known, {}", printable(&trouble.words, doubt::MESSAGE));
    // It is held against a controller in this mode only where that is a milder one than its Pods meet.
    Denial { softened: *mode != Mode::Enforce, ..whole_object(*mode, None, Reason::NamespaceUnknown, message) }
}

/// What one judgement came to.
struct Outcome<'p> {
    judgement: &'p Judgement,
    /// Meaningful where there is no denial in the judgement's own mode.
    basis: Basis,
    denials: Vec<Denial>,
    pending: bool,
    unasked: bool,
    held: Option<bool>,
    missed: bool,
}

impl Outcome<'_> {
    /// A denial in a milder mode than the judgement's is told, and refuses nothing.
    fn met(&self) -> bool {
        self.denials.iter().all(|denial| denial.mode > self.judgement.mode)
    }
}

/// What a check has against an image.
struct Finding {
    /// It is told in this mode at the most severe, however strictly the policy is meant.
    gravest: Mode,
    reason: Reason,
    message: String,
}

impl Finding {
    fn plain((reason, message): (Reason, String)) -> Self {
        Self { gravest: Mode::Enforce, reason, message }
    }
}

/// What the checks of one rule found.
struct Found {
    /// Where nothing refuses.
    basis: Basis,
    findings: Vec<Finding>,
    /// Something that a milder demand depends on is still being looked up.
    pending: bool,
    /// Something that a demand depends on was not looked up, since the image is refused anyway.
    unasked: bool,
    /// Scans are held against what the namespace has, and were softened; or (`false`) no longer are.
    held: Option<bool>,
    /// A report was missing for the first time.
    missed: bool,
}

impl Found {
    fn on(basis: Basis) -> Self {
        Self { basis, findings: Vec::new(), pending: false, unasked: false, held: None, missed: false }
    }

    fn met() -> Self {
        Self::on(Basis::EveryDemandMet)
    }

    fn unasked() -> Self {
        Self { unasked: true, ..Self::met() }
    }

    fn one(finding: Finding) -> Self {
        Self { findings: vec![finding], ..Self::met() }
    }

    /// Both: the weaker basis, and everything that either found.
    fn and(mut self, other: Self) -> Self {
        self.findings.extend(other.findings);
        Self {
            basis: self.basis.max(other.basis),
            findings: self.findings,
            pending: self.pending || other.pending,
            unasked: self.unasked || other.unasked,
            held: self.held.max(other.held),
            missed: self.missed || other.missed,
        }
    }
}

fn judge<'p>(
    plan: &Plan<'_>,
    judgement: &'p Judgement,
    containers: &[Container],
    facts: &Facts,
    now: Timestamp,
) -> Outcome<'p> {
    let Judgement {
        mode: _,
        softened: _,
        policy: _,
        container,
        want: _,
        examine: _,
        ruling,
        refusals: _,
        scans: _,
        tolerance: _,
    } = judgement;
    let Some(container) = containers.get(*container) else {
        let message = "a container is missing from its own review".to_owned();
        let denial = whole_object(judgement.mode, Some(judgement.policy.clone()), Reason::InternalError, message);
        let basis = Basis::NothingDemanded;
        let (held, missed) = (None, false);
        return Outcome { judgement, basis, denials: vec![denial], pending: false, unasked: false, held, missed };
    };
    let nothing = || Found::on(Basis::NothingDemanded);
    let refused = |reason, message| Found::one(Finding::plain((reason, message)));
    let (rule, found) = match ruling {
        Ruling::InvalidReference => (None, refused(Reason::ImageInvalid, invalid(container))),
        Ruling::Unmatched(Unmatched::Allow) => (None, nothing()),
        Ruling::Unmatched(Unmatched::Deny) => {
            let message = format!("no rule of policy {} matches this image", judgement.policy);
            (None, refused(Reason::ImageUnmatched, message))
        }
        Ruling::Rule { name, action } => (
            Some(name),
            match action {
                Action::Admit => nothing(),
                Action::Refuse(why) => refused(Reason::RefusedByRule, printable(why, 400)),
                Action::Require(demands) => require(plan, judgement, demands, container, facts, now),
            },
        ),
    };
    let Found { basis, findings, pending, unasked, held, missed } = found;
    let told = |finding| denial(judgement, container, rule.cloned(), finding, facts);
    Outcome { judgement, basis, denials: findings.into_iter().map(told).collect(), pending, unasked, held, missed }
}

/// Every demand of a rule on one image.
fn require(
    plan: &Plan<'_>,
    judgement: &Judgement,
    demands: &Demands,
    container: &Container,
    facts: &Facts,
    now: Timestamp,
) -> Found {
    let Ok(reference) = &container.reference else {
        // A container without a reference never comes before a rule; if it did, it must not pass.
        return Found::one(Finding::plain((Reason::ImageInvalid, invalid(container))));
    };
    if !judgement.refusals.is_empty() {
        let names = tag::words(&judgement.refusals, demands, reference);
        return Found { findings: names.into_iter().map(Finding::plain).collect(), ..Found::met() };
    }
    let known = judgement.want.and_then(|want| Some((plan.wants.get(want)?, facts.images.get(want)?)));
    let Some((want, facts)) = known else {
        let message = "nothing was gathered about the image".to_owned();
        return Found::one(Finding::plain((Reason::InternalError, message)));
    };
    let tag = digest::check(judgement, demands, reference, facts, want.resolve);
    if !judgement.looks_closer(demands) {
        return Found::met().and(tag);
    }
    let resolved = match doubt::resolved(judgement, reference, facts, want.resolve, Mode::Enforce) {
        Ok(resolved) => resolved,
        // Says whatever the tag's check says.
        Err(found) => return found,
    };
    let attached = signed(judgement, demands, reference, want, facts, resolved, now);
    let scanned = scanned(judgement, demands, reference, want, facts, resolved, now);
    let scanned = scanned.map_or_else(|missing| missing, |case| case.map_or_else(Found::met, scan::check));
    Found::met().and(tag).and(attached).and(scanned)
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
    finding: Finding,
    facts: &Facts,
) -> Denial {
    let Finding { gravest, reason, message } = finding;
    Denial {
        mode: judgement.mode.max(gravest),
        softened: judgement.softened && gravest == Mode::Enforce,
        policy: Some(judgement.policy.clone()),
        rule,
        subject: Some(DeniedImage {
            container: judgement.container,
            path: container.path.clone(),
            title: printable(&container.title(), 120),
            written: printable(&container.written, 300).into(),
            digest: digest_of(container, judgement.want, facts),
        }),
        reason,
        message,
    }
}

/// The digest as written, else what the name is known to stand for.
fn digest_of(container: &Container, want: Option<usize>, facts: &Facts) -> Option<Digest> {
    let written = container.reference.as_ref().ok()?.digest();
    written.cloned().or_else(|| match &facts.images.get(want?)?.resolved {
        Fact::Known(seen) => Some(seen.value.digest.clone()),
        Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending => None,
    })
}

fn rule_name(ruling: &Ruling) -> Option<RuleName> {
    match ruling {
        Ruling::Rule { name, action: _ } => Some(name.clone()),
        Ruling::InvalidReference | Ruling::Unmatched(_) => None,
    }
}

fn admitted(facts: &Facts, want: Option<usize>) -> Option<Admitted> {
    match &facts.images.get(want?)?.admitted {
        Fact::Known(seen) => Some(seen.value.clone()),
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

#[cfg(test)]
mod tests;
