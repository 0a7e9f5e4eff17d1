//! One rule, one image, and each state of what is known about it.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::super::decide;
use super::super::verdict::Basis;
use super::super::verdict::{Answer, Denial, Outcome, Verdict};
use super::*;
use crate::fact::{Admitted, Content, Facts, Fault, Guard, Record, Recorded, Resolved, Scope, Seen, Source, Trouble};
use crate::image::Pattern;
use crate::policy::plan::plan;
use crate::policy::{
    Action, Bindings, Controllers, Inaccessible, Policies, Policy, Rule, TagDemands, Tolerance, Unavailable, Unmatched,
};
use crate::request::{Container, ContainerKind, Request, Subject};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn digest(letter: char) -> Digest {
    Digest::parse(&format!("sha256:{}", letter.to_string().repeat(64))).unwrap()
}

fn seen<T>(value: T) -> Seen<T> {
    Seen { value, at: NOW, source: Source::Current }
}

fn resolved(letter: char) -> Fact<Resolved> {
    Fact::Known(seen(Resolved { digest: digest(letter), content: Content::Image { config: None } }))
}

fn by_the_strict(letter: char) -> Recorded {
    Recorded { digest: digest(letter), guard: Guard::Refuses }
}

fn on_record(letter: char) -> Fact<Recorded> {
    Fact::Known(seen(by_the_strict(letter)))
}

fn trouble<T>(fault: Fault) -> Fact<T> {
    Fact::Unavailable(Trouble::new(fault, "ghcr.io answered as the test says"))
}

/// Never seen before, and its registry says what it is.
fn new_image() -> ImageFacts {
    ImageFacts {
        resolved: resolved('a'),
        recorded: Fact::Absent(NOW),
        admitted: Fact::Absent(NOW),
        examined: Vec::new(),
        scanned: None,
    }
}

fn admitted() -> Fact<Admitted> {
    Fact::Known(seen(Admitted { first: NOW, judged: None, platforms: Arc::default(), softened: Arc::default() }))
}

fn policy(name: &str, repointed: Repointed, tolerance: Tolerance) -> Policy {
    let tags = TagDemands { deny: Vec::new(), allow: Vec::new(), require_digest: false, repointed };
    let action = Action::Require(Arc::new(Demands { tags: Some(tags), ..Demands::default() }));
    let rules = vec![Rule { name: "all".into(), images: vec![Pattern::parse("**").unwrap()], action }];
    Policy { name: name.into(), unmatched: Unmatched::Deny, tolerance, rules }
}

fn by(policies: impl IntoIterator<Item = Policy>, bindings: Bindings, image: &str, facts: ImageFacts) -> Verdict {
    let by_name = policies.into_iter().map(|policy| (policy.name.clone(), Arc::new(policy))).collect();
    let containers = vec![Container::first(ContainerKind::Regular, "web", image)];
    let request = Request::about(Subject::Images { containers, old: Vec::new() });
    let policies = Policies { by_name, bindings };
    let plan = plan(&policies, &Scope::of(Fact::Absent(NOW)), &request);
    decide(&plan, &Facts { images: vec![facts] }, NOW)
}

/// One policy that asks for nothing but the record of the tag.
#[derive(Clone, Copy)]
struct Case {
    mode: Mode,
    repointed: Repointed,
    tolerance: Tolerance,
}

impl Case {
    const STRICT: Self = Self {
        mode: Mode::Enforce,
        repointed: Repointed::Deny,
        tolerance: Tolerance { unavailable: Unavailable::Deny, inaccessible: Inaccessible::Deny },
    };

    fn decide(self, image: &str, facts: ImageFacts) -> Verdict {
        let Self { mode, repointed, tolerance } = self;
        let policy = policy("acme", repointed, tolerance);
        let bound = |its: Mode| (its == mode).then(|| "acme".into());
        let bindings = Bindings {
            enforce: bound(Mode::Enforce),
            warn: bound(Mode::Warn),
            audit: bound(Mode::Audit),
            floor: None,
            exempt_namespaces: BTreeSet::new(),
            controllers: Controllers::Warn,
            dry_run: false,
        };
        by([policy], bindings, image, facts)
    }

    fn on(self, facts: ImageFacts) -> Verdict {
        self.decide("ghcr.io/acme/web:v1", facts)
    }
}

fn basis(verdict: &Verdict) -> Option<Basis> {
    match &verdict.answer {
        Answer::Admit(permit) => Some(permit.basis()),
        Answer::Deny(_) => None,
    }
}

fn denials(verdict: &Verdict) -> &[Denial] {
    match &verdict.answer {
        Answer::Admit(_) => &[],
        Answer::Deny(denials) => denials,
    }
}

fn reasons(denials: &[Denial]) -> Vec<Reason> {
    denials.iter().map(|denial| denial.reason).collect()
}

#[test]
fn a_tag_that_was_never_seen_is_admitted_and_recorded_and_one_that_still_names_the_same_is_no_news() {
    let verdict = Case::STRICT.on(new_image());
    assert_eq!(basis(&verdict), Some(Basis::EveryDemandMet));
    let address = Reference::parse("ghcr.io/acme/web:v1").unwrap();
    let of_namespace = Record::Admitted { namespace: "shop".to_owned(), digest: digest('a'), judged: None };
    assert_eq!(verdict.records, [of_namespace.clone(), Record::Tag { address, recorded: by_the_strict('a') }]);
    assert_eq!(verdict.images[0].digest, Some(digest('a')));
    let recorded = on_record('a');
    let laxer = Recorded { guard: Guard::Warns, ..by_the_strict('a') };
    let verdict = Case::STRICT.on(ImageFacts { recorded: Fact::Known(seen(laxer)), ..new_image() });
    assert_eq!(verdict.records.len(), 2, "from now on a stricter one guards it");
    let verdict = Case::STRICT.on(ImageFacts { recorded: recorded.clone(), ..new_image() });
    assert_eq!((basis(&verdict), verdict.records), (Some(Basis::EveryDemandMet), vec![of_namespace]));
    let verdict = Case::STRICT.on(ImageFacts { recorded, admitted: admitted(), ..new_image() });
    assert_eq!((basis(&verdict), verdict.records), (Some(Basis::EveryDemandMet), vec![]));
}

#[test]
fn of_several_that_enforce_the_strictest_guards_the_record() {
    for (floor, enforce, guard) in [
        (Repointed::Allow, Repointed::Deny, Guard::Refuses),
        (Repointed::Deny, Repointed::Allow, Guard::Refuses),
        (Repointed::Allow, Repointed::Warn, Guard::Warns),
        (Repointed::Allow, Repointed::Allow, Guard::Nothing),
    ] {
        let Case { tolerance, .. } = Case::STRICT;
        let policies = [policy("floor", floor, tolerance), policy("acme", enforce, tolerance)];
        let bindings = Bindings {
            enforce: Some("acme".into()),
            warn: None,
            audit: None,
            floor: Some("floor".into()),
            exempt_namespaces: BTreeSet::new(),
            controllers: Controllers::Warn,
            dry_run: false,
        };
        let verdict = by(policies, bindings, "ghcr.io/acme/web:v1", new_image());
        let Record::Tag { recorded, .. } = &verdict.records[1] else { panic!("{:?}", verdict.records) };
        assert_eq!(recorded.guard, guard);
    }
}

#[test]
fn a_tag_that_was_moved_is_refused_with_both_digests_and_nothing_is_recorded() {
    let verdict = Case::STRICT.on(ImageFacts { recorded: on_record('b'), ..new_image() });
    let [denial] = denials(&verdict) else { panic!("{verdict:?}") };
    assert_eq!(denial.reason, Reason::TagRepointed);
    assert_eq!(
        denial.message,
        "\"v1\" was sha256:bbbbbbbbbbbb when it was last admitted and is sha256:aaaaaaaaaaaa now; \
         pin the digest that you mean"
    );
    assert_eq!(denial.subject.as_ref().unwrap().digest, Some(digest('a')), "the one to pin");
    assert!(verdict.records.is_empty());
    assert!(!denial.reason.retriable());
}

#[test]
fn where_a_move_only_warns_it_is_admitted_softened_and_the_new_digest_is_the_one_on_record() {
    let moved = || ImageFacts { recorded: on_record('b'), ..new_image() };
    let verdict = Case { repointed: Repointed::Warn, ..Case::STRICT }.on(moved());
    assert_eq!(basis(&verdict), Some(Basis::SoftenedToWarning));
    assert_eq!(reasons(&verdict.warnings), [Reason::TagRepointed]);
    assert!(matches!(&verdict.records[1], Record::Tag { recorded, .. } if recorded.digest == digest('a')));
    let verdict = Case { repointed: Repointed::Allow, ..Case::STRICT }.on(moved());
    assert_eq!((basis(&verdict), verdict.warnings.len()), (Some(Basis::EveryDemandMet), 0));
    let verdict = Case { mode: Mode::Warn, ..Case::STRICT }.on(moved());
    assert_eq!(
        (basis(&verdict), reasons(&verdict.warnings)),
        (Some(Basis::SoftenedToWarning), vec![Reason::TagRepointed])
    );
    assert!(!verdict.records.iter().any(|record| matches!(record, Record::Tag { .. })), "only who enforces records");
    let verdict = Case { mode: Mode::Audit, ..Case::STRICT }.on(moved());
    assert_eq!((verdict.warnings.len(), reasons(&verdict.audit)), (0, vec![Reason::TagRepointed]));
}

#[test]
fn what_cannot_be_told_is_refused_for_its_own_reason_and_only_an_outage_is_worth_trying_again() {
    for (fault, reason, retriable, undetermined) in [
        (Fault::Outage, Reason::RegistryUnavailable, true, true),
        (Fault::Deadline, Reason::RegistryUnavailable, true, true),
        (Fault::Refused, Reason::ImageInaccessible, false, true),
        (Fault::Forbidden, Reason::RegistryForbidden, false, true),
        (Fault::Mismatch, Reason::DigestMismatch, false, false),
        (Fault::Broken, Reason::RegistryBroken, false, true),
    ] {
        let verdict = Case::STRICT.on(ImageFacts { resolved: trouble(fault), ..new_image() });
        let [denial] = denials(&verdict) else { panic!("{verdict:?}") };
        assert_eq!((denial.reason, denial.reason.retriable()), (reason, retriable));
        assert!(denial.message.starts_with("ghcr.io answered as the test says"), "{}", denial.message);
        assert_eq!(verdict.outcome() == Outcome::Undetermined, undetermined, "{fault:?}");
        assert!(verdict.records.is_empty());
    }
    let absent = Case::STRICT.on(ImageFacts { resolved: Fact::Absent(NOW), ..new_image() });
    let message = "ghcr.io answered 404, it has no tag \"v1\" in acme/web; correct the name, or push it";
    assert_eq!(denials(&absent)[0].message, message);
    assert_eq!((denials(&absent)[0].reason, absent.outcome()), (Reason::ImageNotFound, Outcome::Refused));
}

#[test]
fn the_policy_may_tolerate_an_outage_and_a_refusal_and_never_what_is_wrong() {
    let with = |unavailable, inaccessible| Case { tolerance: Tolerance { unavailable, inaccessible }, ..Case::STRICT };
    let lenient = with(Unavailable::Admit, Inaccessible::Admit);
    for (fault, tolerated) in [
        (Fault::Outage, true),
        (Fault::Deadline, true),
        (Fault::Refused, true),
        (Fault::Forbidden, false),
        (Fault::Mismatch, false),
        (Fault::Broken, false),
    ] {
        let verdict = lenient.on(ImageFacts { resolved: trouble(fault), ..new_image() });
        let expected = tolerated.then_some(Basis::UndeterminedButTolerated);
        assert_eq!(basis(&verdict), expected, "{fault:?}");
        assert_eq!(verdict.audit.len(), usize::from(tolerated), "what is tolerated is on record");
    }
    let outage = || ImageFacts { resolved: trouble(Fault::Outage), ..new_image() };
    let refused = || ImageFacts { resolved: trouble(Fault::Refused), ..new_image() };
    assert_eq!(basis(&with(Unavailable::Admit, Inaccessible::Deny).on(refused())), None);
    assert_eq!(basis(&with(Unavailable::Deny, Inaccessible::Admit).on(outage())), None);
    // Not there is an answer, and no doubt.
    assert_eq!(basis(&lenient.on(ImageFacts { resolved: Fact::Absent(NOW), ..new_image() })), None);
    let running = with(Unavailable::Running, Inaccessible::Deny);
    assert_eq!(basis(&running.on(outage())), None);
    for unknown in [Fact::Pending, trouble(Fault::Outage)] {
        assert_eq!(basis(&running.on(ImageFacts { admitted: unknown, ..outage() })), None);
    }
    let was_here = running.on(ImageFacts { admitted: admitted(), ..outage() });
    assert_eq!(basis(&was_here), Some(Basis::UndeterminedButTolerated));
    assert_eq!(basis(&running.on(ImageFacts { admitted: admitted(), ..refused() })), None);
}

#[test]
fn what_was_last_known_admits_with_that_basis_and_leaves_no_record_of_the_tag() {
    let value = Resolved { digest: digest('a'), content: Content::Image { config: None } };
    let last = Seen { value, at: NOW, source: Source::LastKnown(Fault::Outage) };
    let verdict = Case::STRICT.on(ImageFacts { resolved: Fact::Known(last), ..new_image() });
    assert_eq!(basis(&verdict), Some(Basis::LastKnownGood));
    assert!(!verdict.records.iter().any(|record| matches!(record, Record::Tag { .. })));
}

#[test]
fn what_was_seen_a_while_ago_is_as_good_to_judge_by_and_no_news() {
    let value = Resolved { digest: digest('a'), content: Content::Image { config: None } };
    let stale = || Fact::Known(Seen { value: value.clone(), at: NOW, source: Source::Stale });
    let verdict = Case::STRICT.on(ImageFacts { resolved: stale(), ..new_image() });
    assert_eq!(basis(&verdict), Some(Basis::EveryDemandMet));
    assert!(!verdict.records.iter().any(|record| matches!(record, Record::Tag { .. })));
    let moved = Case::STRICT.on(ImageFacts { resolved: stale(), recorded: on_record('b'), ..new_image() });
    assert_eq!(reasons(denials(&moved)), [Reason::TagRepointed]);
}

#[test]
fn what_is_late_is_refused_where_it_is_enforced_and_pending_elsewhere() {
    let late = || ImageFacts { resolved: Fact::Pending, ..new_image() };
    let verdict = Case::STRICT.on(late());
    assert_eq!(reasons(denials(&verdict)), [Reason::RegistryUnavailable]);
    assert_eq!(denials(&verdict)[0].message, "ghcr.io has not answered in time; try again");
    for mode in [Mode::Warn, Mode::Audit] {
        let verdict = Case { mode, ..Case::STRICT }.on(late());
        assert!(basis(&verdict).is_some() && verdict.pending && verdict.unfinished);
        assert!(verdict.warnings.is_empty() && verdict.audit.is_empty());
    }
    let warns = Case { repointed: Repointed::Warn, ..Case::STRICT };
    let verdict = warns.on(ImageFacts { recorded: on_record('b'), ..late() });
    assert!(basis(&verdict).is_some() && verdict.pending);
    let verdict = warns.on(late());
    assert!(basis(&verdict).is_some() && !verdict.pending && verdict.unfinished, "only the record waits for it");
}

#[test]
fn a_demand_that_only_warns_leaves_its_doubt_to_the_record() {
    let warns = Case { repointed: Repointed::Warn, ..Case::STRICT };
    let recorded = || on_record('b');
    for fault in [Fault::Outage, Fault::Refused, Fault::Mismatch] {
        let facts = ImageFacts {
            resolved: trouble(fault),
            recorded: recorded(),
            admitted: Fact::Absent(NOW),
            examined: Vec::new(),
            scanned: None,
        };
        let verdict = warns.on(facts);
        assert_eq!(basis(&verdict), Some(Basis::UndeterminedButTolerated));
        assert_eq!((verdict.warnings.len(), verdict.audit.len()), (0, 1));
        let verdict = warns.on(ImageFacts { resolved: trouble(fault), ..new_image() });
        assert_eq!((basis(&verdict), verdict.audit.len()), (Some(Basis::EveryDemandMet), 0), "nothing to compare with");
    }
}

#[test]
fn a_record_that_cannot_be_read_is_doubt_and_never_a_match() {
    for recorded in [trouble(Fault::Outage), Fact::Pending] {
        let verdict = Case::STRICT.on(ImageFacts { recorded, ..new_image() });
        assert_eq!(reasons(denials(&verdict)), [Reason::RegistryUnavailable]);
    }
}

#[test]
fn a_digest_makes_the_tag_irrelevant_whatever_its_registry_says() {
    let image = format!("ghcr.io/acme/web:v1@{}", digest('c'));
    for resolved in [trouble(Fault::Mismatch), Fact::Absent(NOW), resolved('a'), Fact::Pending] {
        let verdict = Case::STRICT.decide(&image, ImageFacts { resolved, ..new_image() });
        assert_eq!(basis(&verdict), Some(Basis::EveryDemandMet));
        assert_eq!(verdict.images[0].digest, Some(digest('c')), "as written");
    }
}

#[test]
fn no_tag_is_told_as_latest() {
    let verdict = Case::STRICT.decide("ghcr.io/acme/web", ImageFacts { resolved: Fact::Absent(NOW), ..new_image() });
    assert!(denials(&verdict)[0].message.contains("no tag \"latest\" in acme/web"), "{verdict:?}");
}
