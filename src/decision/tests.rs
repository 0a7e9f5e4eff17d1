//! Verdicts on real plans of policies built here; no fact of this build changes a refusal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::fact::{Fault, ImageFacts, Labels, Record, Scope, Seen, Source, Trouble};
use crate::image::{Pattern, Reference, TagPattern};
use crate::policy::plan::plan;
use crate::policy::{
    Bindings, Demands, Inaccessible, Policies, Policy, Repointed, Rule, TagDemands, Tolerance, Unavailable,
};
use crate::request::{ContainerKind, NoImages, Request, Subject};

const DIGEST: &str = "sha256:7031c1b283388d2c2e09b57badb803c05ebed362dc88d84b480cc47f72a21097";

fn web(written: &str) -> Container {
    Container::first(ContainerKind::Regular, "web", written)
}

/// A new pod with these images, in containers `c0`, `c1`, ...
fn pod(images: &[&str]) -> Request {
    let named = |(index, image): (usize, &&str)| Container::first(ContainerKind::Regular, &format!("c{index}"), image);
    let containers = images.iter().enumerate().map(named).collect();
    Request::about(Subject::Images { containers, old: Vec::new() })
}

fn controller(request: Request) -> Request {
    Request { role: Role::Controller, kind: "Deployment".to_owned(), ..request }
}

fn tags(deny: &[&str], allow: &[&str], require_digest: bool) -> Action {
    let patterns = |texts: &[&str]| texts.iter().map(|text| TagPattern::parse(text).unwrap()).collect();
    let repointed = Repointed::Warn;
    let tags = TagDemands { deny: patterns(deny), allow: patterns(allow), require_digest, repointed };
    Action::Require(Arc::new(Demands { tags: Some(tags), ..Demands::default() }))
}

fn rule(name: &str, image: &str, action: Action) -> Rule {
    Rule { name: name.into(), images: vec![Pattern::parse(image).unwrap()], action }
}

fn policy(name: &str, unmatched: Unmatched, rules: Vec<Rule>) -> Arc<Policy> {
    let tolerance = Tolerance { unavailable: Unavailable::Running, inaccessible: Inaccessible::Deny };
    Arc::new(Policy { name: name.into(), unmatched, tolerance, rules })
}

/// `lax` denies `latest`, `strict` wants a digest, `open` asks nothing, `words` speaks for the operator.
fn policies(change: impl FnOnce(&mut Bindings)) -> Policies {
    let all = [
        policy("lax", Unmatched::Deny, vec![rule("all", "**", tags(&["latest"], &[], false))]),
        policy("strict", Unmatched::Deny, vec![rule("pinned", "**", tags(&[], &[], true))]),
        policy("allowed", Unmatched::Deny, vec![rule("all", "**", tags(&[], &["v1", "v2", "v3", "v4"], false))]),
        policy("open", Unmatched::Allow, vec![rule("ours", "ghcr.io/acme/**", Action::Admit)]),
        policy("words", Unmatched::Deny, vec![rule("no", "**", Action::Refuse("ask \u{1b}[31mplatform@acme".into()))]),
        policy("none", Unmatched::Deny, Vec::new()),
    ];
    let mut bindings = Bindings {
        enforce: None,
        warn: None,
        audit: None,
        floor: None,
        exempt_namespaces: BTreeSet::from(["kube-system".to_owned()]),
        controllers: Controllers::Warn,
        dry_run: false,
    };
    change(&mut bindings);
    Policies { by_name: all.into_iter().map(|policy| (policy.name.clone(), policy)).collect(), bindings }
}

fn enforcing(name: &str) -> Policies {
    policies(|its| its.enforce = Some(name.into()))
}

fn unlabelled() -> Scope {
    Scope::of(Fact::Absent(Timestamp::UNIX_EPOCH))
}

fn labelled(labels: Labels) -> Scope {
    Scope::of(Fact::Known(Seen { value: labels, at: Timestamp::UNIX_EPOCH, source: Source::Current }))
}

/// Of an image that was never seen, and that its registry does not have.
fn nothing_known() -> ImageFacts {
    let never = Timestamp::UNIX_EPOCH;
    ImageFacts {
        resolved: Fact::Absent(never),
        recorded: Fact::Absent(never),
        admitted: Fact::Absent(never),
        examined: Vec::new(),
        scanned: None,
    }
}

fn verdict(policies: &Policies, request: &Request) -> Verdict {
    verdict_in(policies, &unlabelled(), request)
}

fn verdict_in(policies: &Policies, scope: &Scope, request: &Request) -> Verdict {
    let plan = plan(policies, scope, request);
    let facts = plan.wants.iter().map(|_| nothing_known());
    decide(&plan, &Facts { images: facts.collect() }, Timestamp::UNIX_EPOCH)
}

#[track_caller]
fn denials(verdict: &Verdict) -> &[Denial] {
    match &verdict.answer {
        Answer::Deny(denials) => denials,
        Answer::Admit(permit) => panic!("admitted: {permit:?}"),
    }
}

#[track_caller]
fn basis_of(verdict: &Verdict) -> Basis {
    match &verdict.answer {
        Answer::Admit(permit) => permit.basis(),
        Answer::Deny(denials) => panic!("refused: {denials:?}"),
    }
}

fn reasons(denials: &[Denial]) -> Vec<Reason> {
    denials.iter().map(|denial| denial.reason).collect()
}

/// Reason and message of the only denial.
#[track_caller]
fn only(verdict: &Verdict) -> (Reason, &str) {
    match denials(verdict) {
        [denial] => (denial.reason, &denial.message),
        several => panic!("{several:?}"),
    }
}

#[test]
fn every_reason_says_what_is_wrong_and_what_to_do() {
    let on = |policy: &str, image: &str| verdict(&enforcing(policy), &pod(&[image]));
    let flawed = |flaw| verdict(&enforcing("lax"), &Request::about(Subject::Unreadable(flaw)));
    let table = [
        (failed(false), Reason::InternalError, "a fault inside Pratique, see its log; nothing was judged"),
        (flawed(Flaw::Depth { limit: 96 }), Reason::ReviewUnreadable, "the review is nested more than 96 levels deep"),
        (
            flawed(Flaw::NoPodSpec { path: "spec".into() }),
            Reason::PodSpecMissing,
            "no pod spec with containers at spec, where this kind must have one",
        ),
        (
            on("gone", "nginx:1"),
            Reason::PolicyUnknown,
            "policy \"gone\" is named for enforce here and does not exist; add it or correct the name",
        ),
        (on("words", "nginx:1"), Reason::RefusedByRule, "ask \\u{1b}[31mplatform@acme"),
        (on("lax", ""), Reason::ImageInvalid, "the image is empty: name one, such as registry.example/repository:tag"),
        (on("none", "nginx:1"), Reason::ImageUnmatched, "no rule of policy none matches this image"),
        (on("lax", "nginx:latest"), Reason::TagMutable, "\"latest\" can change under you; pin a digest"),
        (on("lax", "nginx"), Reason::TagMutable, "no tag means \"latest\", which can change under you; pin a digest"),
        (
            on("allowed", "nginx:v5"),
            Reason::TagNotAllowed,
            "\"v5\" is not among the allowed tags (v1, v2, v3, ...); use one or pin a digest",
        ),
        (
            on("allowed", "nginx"),
            Reason::TagNotAllowed,
            "no tag means \"latest\", which is not among the allowed tags (v1, v2, v3, ...); use one or pin a digest",
        ),
        (on("strict", "nginx:1"), Reason::DigestMissing, "the name has no digest; pin one as name@sha256:..."),
    ];
    for (verdict, reason, message) in &table {
        assert_eq!(only(verdict), (*reason, *message));
        assert!(verdict.records.is_empty() && !verdict.unfinished);
    }
    let told: BTreeSet<_> = table.iter().map(|(_, reason, _)| *reason).collect();
    let looked_up = ["registry", "signature", "attestation", "scan"];
    let of_names: Vec<_> = Reason::ALL.into_iter().filter(|reason| !looked_up.contains(&reason.check())).collect();
    let elsewhere = [Reason::DigestMismatch, Reason::TagRepointed, Reason::NamespaceUnknown];
    assert_eq!(told.len() + elsewhere.len(), of_names.len(), "each is told above, or where what it is about is tested");
}

#[test]
fn the_list_of_reasons_is_complete_and_from_the_worst_on() {
    assert!(Reason::ALL.is_sorted());
    let codes: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(codes.len(), Reason::ALL.len());
    for reason in Reason::ALL {
        assert!(reason.code().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{reason:?}");
        assert!(!reason.meaning().is_empty() && !reason.check().is_empty());
        let passes = [Reason::NamespaceUnknown, Reason::RegistryUnavailable, Reason::ReportPending].contains(&reason);
        assert_eq!(reason.retriable(), passes, "only what is out, or not read yet, passes by itself");
    }
}

#[test]
fn every_flaw_is_refused_with_its_text() {
    let syntax = "x\n\u{202e}y".to_owned();
    for (flaw, message) in [
        (Flaw::Syntax(syntax), "the review is malformed: x\\n\\u{202e}y"),
        (
            Flaw::Version("v1beta1 X".to_owned()),
            "the review is \"v1beta1 X\", and only admission.k8s.io/v1 AdmissionReview is understood",
        ),
        (Flaw::Operation("PATCH".to_owned()), "operation \"PATCH\" is unknown"),
        (Flaw::Count { found: 600, limit: 512 }, "600 containers, and at most 512 are judged"),
        (Flaw::Contradiction("kind A as resource b".to_owned()), "the review contradicts itself: kind A as resource b"),
    ] {
        for role in [Role::Pod, Role::Controller] {
            let review = Request { role, ..Request::about(Subject::Unreadable(flaw.clone())) };
            // Whatever the policies: not one is bound here.
            let verdict = verdict(&policies(|_| ()), &review);
            assert_eq!(only(&verdict), (Reason::ReviewUnreadable, message));
        }
    }
}

#[test]
fn a_controller_without_a_pod_spec_is_warned_of_unless_controllers_are_enforced() {
    let flaw = || Flaw::NoPodSpec { path: "spec.template.spec".into() };
    let review = controller(Request::about(Subject::Unreadable(flaw())));
    let warned = verdict(&policies(|_| ()), &review);
    assert_eq!(basis_of(&warned), Basis::UndeterminedButTolerated);
    assert_eq!(reasons(&warned.warnings), [Reason::PodSpecMissing]);
    let refused = verdict(&policies(|its| its.controllers = Controllers::Enforce), &review);
    assert_eq!(reasons(denials(&refused)), [Reason::PodSpecMissing]);
    let ignored = verdict(&policies(|its| its.controllers = Controllers::Ignore), &review);
    assert_eq!((basis_of(&ignored), ignored.warnings.len()), (Basis::NothingDemanded, 0));
}

#[test]
fn a_denial_names_container_path_policy_and_rule() {
    let images = vec![web("nginx:1"), Container::first(ContainerKind::ImageVolume, "model", "nginx:latest")];
    let verdict = verdict(&enforcing("lax"), &Request::about(Subject::Images { containers: images, old: Vec::new() }));
    let [denial] = denials(&verdict) else { panic!() };
    let subject = denial.subject.as_ref().unwrap();
    assert_eq!((denial.mode, denial.policy.as_ref().map(PolicyName::as_str)), (Mode::Enforce, Some("lax")));
    assert_eq!(denial.rule.as_ref().map(RuleName::as_str), Some("all"));
    assert_eq!((subject.container, &*subject.title, &*subject.written), (1, "volumes[model]", "nginx:latest"));
    assert_eq!(subject.path.to_string(), "spec.volumes[0].image.reference");
    assert_eq!(subject.digest, None);
}

#[test]
fn denials_are_told_worst_first_and_then_in_the_order_of_the_containers() {
    let strict_and_lax = policies(|its| (its.floor, its.enforce) = (Some("strict".into()), Some("lax".into())));
    let verdict = verdict(&strict_and_lax, &pod(&["a:1", "b:latest", "NO", "c"]));
    let told: Vec<_> = denials(&verdict)
        .iter()
        .map(|denial| (denial.reason.code(), denial.subject.as_ref().unwrap().container))
        .collect();
    let expected = [
        ("image-invalid", 2),
        ("image-invalid", 2),
        ("tag-mutable", 1),
        ("tag-mutable", 3),
        ("digest-missing", 0),
        ("digest-missing", 1),
        ("digest-missing", 3),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_policy_that_does_not_exist_comes_before_every_image_and_admits_none() {
    let policies = policies(|its| (its.floor, its.enforce) = (Some("lax".into()), Some("gone".into())));
    let both = verdict(&policies, &pod(&["nginx:latest"]));
    assert_eq!(reasons(denials(&both)), [Reason::PolicyUnknown, Reason::TagMutable]);
    let met = verdict(&policies, &pod(&["nginx:1"]));
    assert_eq!(reasons(denials(&met)), [Reason::PolicyUnknown]);
    assert_eq!(met.images[0].basis, None);
}

#[test]
fn a_mode_refuses_warns_or_records_and_only_enforce_takes_the_permit() {
    let pod = pod(&["nginx:latest"]);
    let warned = verdict(&policies(|its| its.warn = Some("lax".into())), &pod);
    assert_eq!((reasons(&warned.warnings), warned.audit.len()), (vec![Reason::TagMutable], 0));
    assert_eq!(basis_of(&warned), Basis::SoftenedToWarning);
    let audited = verdict(&policies(|its| its.audit = Some("lax".into())), &pod);
    assert_eq!((reasons(&audited.audit), audited.warnings.len()), (vec![Reason::TagMutable], 0));
    assert_eq!(basis_of(&audited), Basis::NothingDemanded);
    let all = policies(|its| {
        (its.enforce, its.warn, its.audit) = (Some("lax".into()), Some("strict".into()), Some("none".into()));
    });
    let refused = verdict(&all, &pod);
    assert_eq!(reasons(denials(&refused)), [Reason::TagMutable]);
    assert_eq!(reasons(&refused.warnings), [Reason::DigestMissing]);
    assert_eq!(reasons(&refused.audit), [Reason::ImageUnmatched]);
}

#[test]
fn a_policy_unknown_to_warn_or_audit_refuses_nothing() {
    let pod = pod(&["nginx:latest"]);
    let warned = verdict(&policies(|its| its.warn = Some("gone".into())), &pod);
    assert_eq!((reasons(&warned.warnings), basis_of(&warned)), (vec![Reason::PolicyUnknown], Basis::SoftenedToWarning));
    let audited = verdict(&policies(|its| its.audit = Some("gone".into())), &pod);
    assert_eq!((reasons(&audited.audit), basis_of(&audited)), (vec![Reason::PolicyUnknown], Basis::NothingDemanded));
}

#[test]
fn a_namespace_that_nobody_knows_refuses_whatever_its_policies_and_may_be_tried_again() {
    let out = Scope::of(Fact::Unavailable(Trouble::new(Fault::Outage, "the API server is away")));
    let lenient = policies(|_| ());
    let refused = verdict_in(&lenient, &out, &pod(&["nginx"]));
    assert_eq!(
        only(&refused),
        (Reason::NamespaceUnknown, "who judges in this namespace is not known, the API server is away")
    );
    assert!(Reason::NamespaceUnknown.retriable() && refused.records.is_empty());
    let softened = verdict_in(&lenient, &out, &controller(pod(&["nginx"])));
    assert_eq!(
        (reasons(&softened.warnings), basis_of(&softened)),
        (vec![Reason::NamespaceUnknown], Basis::SoftenedToWarning)
    );
    let strict = policies(|its| its.controllers = Controllers::Enforce);
    assert_eq!(only(&verdict_in(&strict, &out, &controller(pod(&["nginx"])))).0, Reason::NamespaceUnknown);
    let dry = verdict_in(&policies(|its| its.dry_run = true), &out, &pod(&["nginx"]));
    assert_eq!((reasons(&dry.audit), basis_of(&dry)), (vec![Reason::NamespaceUnknown], Basis::DryRun));
    let exempt = Request { namespace: "kube-system".to_owned(), ..pod(&["nginx"]) };
    assert_eq!(basis_of(&verdict_in(&lenient, &out, &exempt)), Basis::Exempt);
    let unchanged = Request::about(Subject::Images { containers: vec![web("nginx")], old: vec![web("nginx")] });
    assert_eq!(basis_of(&verdict_in(&lenient, &out, &unchanged)), Basis::Unchanged);
}

#[test]
fn what_nobody_looks_at_passes_with_its_basis() {
    let nothing = || Request::about(Subject::Nothing(NoImages::Operation));
    assert_eq!(basis_of(&verdict(&enforcing("strict"), &nothing())), Basis::NothingDemanded);
    let exempt = Request { namespace: "kube-system".to_owned(), ..pod(&["nginx"]) };
    assert_eq!(basis_of(&verdict(&enforcing("gone"), &exempt)), Basis::Exempt);
    let unchanged = Request::about(Subject::Images { containers: vec![web("nginx")], old: vec![web("nginx")] });
    assert_eq!(basis_of(&verdict(&enforcing("gone"), &unchanged)), Basis::Unchanged);
    let ignored = policies(|its| (its.controllers, its.floor) = (Controllers::Ignore, Some("none".into())));
    assert_eq!(basis_of(&verdict(&ignored, &controller(pod(&["nginx"])))), Basis::NothingDemanded);
}

#[test]
fn without_any_policy_nothing_is_demanded() {
    let verdict = verdict(&policies(|_| ()), &pod(&["nginx"]));
    assert_eq!(basis_of(&verdict), Basis::NothingDemanded);
    let each: Vec<_> = verdict.images.iter().map(|image| image.basis).collect();
    assert_eq!(each, [Some(Basis::NothingDemanded)]);
}

#[test]
fn of_several_images_the_weakest_basis_is_reported() {
    let basis = |policies: &Policies, request: &Request| basis_of(&verdict(policies, request));
    assert_eq!(basis(&enforcing("lax"), &pod(&["a:1", "b:1"])), Basis::EveryDemandMet);
    assert_eq!(basis(&enforcing("open"), &pod(&["ghcr.io/acme/a", "b"])), Basis::NothingDemanded);
    let mixed = || policies(|its| (its.floor, its.enforce) = (Some("lax".into()), Some("open".into())));
    assert_eq!(basis(&mixed(), &pod(&["a:1"])), Basis::NothingDemanded);
    let old = vec![web("nginx")];
    let containers = vec![web("nginx"), Container::first(ContainerKind::Regular, "side", "envoy:1")];
    let partly = Request::about(Subject::Images { containers, old });
    let verdict = verdict(&enforcing("lax"), &partly);
    assert_eq!(basis_of(&verdict), Basis::Unchanged);
    let each: Vec<_> = verdict.images.iter().map(|image| image.basis).collect();
    assert_eq!(each, [Some(Basis::Unchanged), Some(Basis::EveryDemandMet)]);
    let warned = policies(|its| its.warn = Some("lax".into()));
    assert_eq!(basis(&warned, &pod(&["a:1", "b"])), Basis::SoftenedToWarning);
    assert_eq!(basis(&warned, &controller(pod(&["a:1"]))), Basis::EveryDemandMet);
}

#[test]
fn the_policy_and_rule_of_an_image_are_those_of_the_strongest_mode_and_of_the_one_that_refuses() {
    let all = policies(|its| {
        (its.floor, its.enforce) = (Some("lax".into()), Some("strict".into()));
        (its.warn, its.audit) = (Some("none".into()), Some("words".into()));
    });
    let verdict = verdict(&all, &pod(&["nginx:latest", "nginx:1", &format!("nginx@{DIGEST}")]));
    let told: Vec<_> = verdict
        .images
        .iter()
        .map(|its| (its.policy.as_ref().unwrap().as_str(), its.rule.as_ref().unwrap().as_str(), its.basis))
        .collect();
    let expected = [("lax", "all", None), ("strict", "pinned", None), ("lax", "all", Some(Basis::EveryDemandMet))];
    assert_eq!(told, expected);
}

#[test]
fn dry_run_admits_everything_and_records_what_would_have_been() {
    let dry = |change: fn(&mut Bindings)| {
        policies(|its| {
            change(its);
            its.dry_run = true;
        })
    };
    let lax = dry(|its| (its.enforce, its.audit) = (Some("lax".into()), Some("strict".into())));
    let refused = verdict(&lax, &pod(&["nginx:latest", &format!("nginx@{DIGEST}")]));
    assert_eq!(basis_of(&refused), Basis::DryRun);
    assert_eq!(reasons(&refused.audit), [Reason::TagMutable, Reason::DigestMissing]);
    assert_eq!(refused.audit.iter().map(|denial| denial.mode).collect::<Vec<_>>(), [Mode::Enforce, Mode::Audit]);
    let each: Vec<_> = refused.images.iter().map(|image| image.basis).collect();
    assert_eq!(each, [Some(Basis::DryRun), Some(Basis::EveryDemandMet)]);
    assert!(refused.records.is_empty());
    let unknown = verdict(&dry(|its| its.enforce = Some("gone".into())), &pod(&["nginx"]));
    assert_eq!((basis_of(&unknown), reasons(&unknown.audit)), (Basis::DryRun, vec![Reason::PolicyUnknown]));
    let flaw = verdict(&dry(|_| ()), &Request::about(Subject::Unreadable(Flaw::Depth { limit: 96 })));
    assert_eq!((basis_of(&flaw), reasons(&flaw.audit)), (Basis::DryRun, vec![Reason::ReviewUnreadable]));
    let fault = failed(true);
    assert_eq!((basis_of(&fault), reasons(&fault.audit)), (Basis::DryRun, vec![Reason::InternalError]));
    let met = verdict(&lax, &pod(&["nginx:1"]));
    assert_eq!(basis_of(&met), Basis::EveryDemandMet);
}

fn pinned() -> String {
    format!("nginx@{DIGEST}")
}

fn recorded(verdict: &Verdict) -> usize {
    verdict.records.len()
}

#[test]
fn what_was_admitted_is_remembered_by_namespace_and_digest() {
    let verdict = verdict(&enforcing("strict"), &pod(&[&pinned(), &pinned()]));
    let record =
        Record::Admitted { namespace: "shop".to_owned(), digest: Digest::parse(DIGEST).unwrap(), judged: None };
    assert_eq!(verdict.records, [record.clone(), record]);
}

#[test]
fn only_an_admitted_pod_that_is_no_dry_run_leaves_records() {
    let strict = enforcing("strict");
    assert_eq!(recorded(&verdict(&strict, &pod(&[&pinned()]))), 1);
    assert_eq!(recorded(&verdict(&strict, &Request { dry_run: true, ..pod(&[&pinned()]) })), 0);
    let dry = policies(|its| (its.enforce, its.dry_run) = (Some("strict".into()), true));
    assert_eq!(recorded(&verdict(&dry, &pod(&[&pinned()]))), 0);
    assert_eq!(recorded(&verdict(&strict, &controller(pod(&[&pinned()])))), 0);
    assert_eq!(recorded(&verdict(&strict, &pod(&[&pinned(), "nginx:1"]))), 0);
    assert_eq!(recorded(&verdict(&enforcing("gone"), &pod(&[&pinned()]))), 0);
    assert_eq!(recorded(&verdict(&enforcing("lax"), &pod(&["nginx:1"]))), 0);
    let exempt = Request { namespace: "kube-system".to_owned(), ..pod(&[&pinned()]) };
    assert_eq!(recorded(&verdict(&strict, &exempt)), 0);
}

#[test]
fn what_is_still_looked_up_leaves_the_review_unfinished_and_an_admission_has_its_time() {
    let (policies, pod) = (enforcing("strict"), pod(&[&pinned()]));
    let plan = plan(&policies, &unlabelled(), &pod);
    let decided = |facts| decide(&plan, &Facts { images: vec![facts] }, Timestamp::UNIX_EPOCH);
    let resolved = |resolved| decided(ImageFacts { resolved, ..nothing_known() });
    assert!(resolved(Fact::Pending).unfinished);
    assert!(!resolved(Fact::Pending).pending, "no demand depends on it");
    assert!(!resolved(Fact::Unavailable(Trouble::new(Fault::Outage, "out"))).unfinished);
    let admitted = |admitted| decided(ImageFacts { admitted, ..nothing_known() }).images[0].admitted_since;
    let first = Timestamp::from_second(77).unwrap();
    let seen = Seen {
        value: Admitted {
            first,
            judged: None,
            platforms: std::sync::Arc::default(),
            softened: std::sync::Arc::default(),
        },
        at: first,
        source: Source::Current,
    };
    assert_eq!(admitted(Fact::Known(seen)), Some(first));
    assert_eq!(admitted(Fact::Absent(first)), None);
}

#[test]
fn what_is_missing_from_facts_or_request_is_never_an_admission() {
    let (policies, refused, pinned) = (enforcing("lax"), pod(&["nginx"]), pod(&[&pinned()]));
    let refusal = plan(&policies, &unlabelled(), &refused);
    denials(&decide(&refusal, &Facts::default(), Timestamp::UNIX_EPOCH));
    let mut lost = plan(&policies, &unlabelled(), &pinned);
    lost.standing = Standing::Judged(&[]);
    let verdict = decide(&lost, &Facts::default(), Timestamp::UNIX_EPOCH);
    assert_eq!(only(&verdict), (Reason::InternalError, "a container is missing from its own review"));
}

#[test]
fn foreign_text_is_fit_to_print() {
    for (text, shown) in [
        ("nginx:1 \u{e9} \u{1f980} \\ \"", "nginx:1 \u{e9} \u{1f980} \\ \""),
        ("a\nb\r\tc\0", "a\\nb\\r\\tc\\u{0}"),
        ("\u{1b}[31m\u{7f}\u{9b}", "\\u{1b}[31m\\u{7f}\\u{9b}"),
        ("\u{202e}nginx\u{2066}\u{200f}\u{61c}", "\\u{202e}nginx\\u{2066}\\u{200f}\\u{61c}"),
        ("a\u{2028}b\u{2029}c", "a\\u{2028}b\\u{2029}c"),
        ("ng\u{200b}inx\u{feff}\u{2060}", "ng\\u{200b}inx\\u{feff}\\u{2060}"),
    ] {
        assert_eq!(printable(text, 100), shown);
    }
}

#[test]
fn foreign_text_is_bounded() {
    assert_eq!(printable("12345", 5), "12345");
    assert_eq!(printable("123456", 5), "12345...");
    for letter in ["x", "\n", "\u{1f980}", "\u{10ffff}", "\u{202e}"] {
        let shown = printable(&letter.repeat(10_000), 400);
        assert!(shown.len() <= 400 + 10 + 3, "{}", shown.len());
        assert!(shown.ends_with("..."));
    }
    let verdict = verdict(&enforcing("lax"), &pod(&[&"x\n".repeat(5_000)]));
    let subject = denials(&verdict)[0].subject.as_ref().unwrap();
    assert!(subject.written.len() < 320 && !subject.written.contains('\n'), "{}", subject.written);
    let name = labelled(Labels { enforce: Some("\u{1b}".repeat(200)), ..Labels::default() });
    let unknown = verdict_in(&policies(|_| ()), &name, &pod(&["nginx"]));
    assert!(only(&unknown).1.len() < 200 && !only(&unknown).1.contains('\u{1b}'));
}

#[test]
fn the_same_question_has_the_same_answer_every_time() {
    let all = policies(|its| {
        (its.floor, its.enforce) = (Some("lax".into()), Some("strict".into()));
        (its.warn, its.audit) = (Some("gone".into()), Some("words".into()));
    });
    let pod = pod(&["a", "b:latest", "NO", &pinned(), "c:1"]);
    let told = |_| format!("{:?}", verdict(&all, &pod));
    let first = told(0);
    assert!((1..1_000).map(told).all(|next| next == first));
}

const IMAGES: [&str; 9] = [
    "nginx",
    "nginx:latest",
    "nginx:v1",
    "ghcr.io/acme/shop:v1",
    "ghcr.io/acme/shop",
    "ghcr.io/other/x:dev-1",
    "nginx@sha256:7031c1b283388d2c2e09b57badb803c05ebed362dc88d84b480cc47f72a21097",
    "",
    "NO",
];

fn any_action() -> impl Strategy<Value = Action> {
    let list = || prop::collection::vec(prop::sample::select(vec!["latest", "v*", "dev-*", "*"]), 0..3);
    prop_oneof![
        Just(Action::Admit),
        Just(Action::Refuse("no".into())),
        (list(), list(), any::<bool>()).prop_map(|(deny, allow, digest)| tags(&deny, &allow, digest)),
    ]
}

fn any_policy(name: &'static str) -> impl Strategy<Value = Arc<Policy>> {
    let images = prop::sample::select(vec!["**", "nginx", "ghcr.io/**", "ghcr.io/acme/**"]);
    let rules = prop::collection::vec((images, any_action()), 0..4);
    let unmatched = prop_oneof![Just(Unmatched::Deny), Just(Unmatched::Allow)];
    (unmatched, rules).prop_map(move |(unmatched, rules)| {
        let named = |(index, (images, action)): (usize, _)| rule(&format!("r{index}"), images, action);
        policy(name, unmatched, rules.into_iter().enumerate().map(named).collect())
    })
}

fn any_name() -> impl Strategy<Value = Option<&'static str>> {
    prop::option::of(prop::sample::select(vec!["p", "q", "r"]))
}

/// Policies `p`, `q` and `r` of any content, bound in any way.
fn any_policies() -> impl Strategy<Value = Policies> {
    let bound = (any_name(), any_name(), any_name(), any_name());
    (any_policy("p"), any_policy("q"), any_policy("r"), bound).prop_map(|(p, q, r, bound)| {
        let mut all = policies(|its| {
            let name = |name: Option<&str>| name.map(PolicyName::from);
            (its.floor, its.enforce, its.warn, its.audit) =
                (name(bound.0), name(bound.1), name(bound.2), name(bound.3));
        });
        all.by_name = BTreeMap::from([p, q, r].map(|policy| (policy.name.clone(), policy)));
        all
    })
}

fn any_images() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(IMAGES.to_vec()), 1..5)
}

fn any_labels() -> impl Strategy<Value = Labels> {
    let owned = |name: Option<&str>| name.map(str::to_owned);
    (any_name(), any_name(), any_name()).prop_map(move |(enforce, warn, audit)| Labels {
        enforce: owned(enforce),
        warn: owned(warn),
        audit: owned(audit),
    })
}

fn refused(verdict: &Verdict) -> bool {
    matches!(verdict.answer, Answer::Deny(_))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_policy_that_is_taken_away_never_lets_in_what_was_refused(
        policies in any_policies(), labels in any_labels(), images in any_images(),
        name in prop::sample::select(vec!["p", "q", "r"]),
    ) {
        let (scope, pod) = (labelled(labels), pod(&images));
        let before = verdict_in(&policies, &scope, &pod);
        let mut policies = policies;
        policies.by_name.remove(name);
        prop_assert!(!refused(&before) || refused(&verdict_in(&policies, &scope, &pod)));
    }

    #[test]
    fn what_the_floor_refuses_no_label_and_no_doubt_about_them_lets_in(
        policies in any_policies(), labels in any_labels(), images in any_images(),
    ) {
        let mut floor_alone = policies;
        let bindings = floor_alone.bindings.clone();
        (floor_alone.bindings.enforce, floor_alone.bindings.warn, floor_alone.bindings.audit) = (None, None, None);
        let pod = pod(&images);
        let by_floor = refused(&verdict(&floor_alone, &pod));
        let all = Policies { bindings, ..floor_alone };
        for scope in [
            labelled(labels),
            unlabelled(),
            Scope::of(Fact::Pending),
            Scope::of(Fact::Unavailable(Trouble::new(Fault::Outage, "out"))),
        ] {
            prop_assert!(!by_floor || refused(&verdict_in(&all, &scope, &pod)));
        }
    }

    #[test]
    fn doubt_about_the_labels_admits_nobody_and_a_namespace_of_no_manifest_has_none(
        policies in any_policies(),
        images in any_images(),
    ) {
        let pod = pod(&images);
        let none = verdict_in(&policies, &labelled(Labels::default()), &pod);
        let absent = verdict_in(&policies, &Scope::of(Fact::Absent(Timestamp::UNIX_EPOCH)), &pod);
        prop_assert_eq!(format!("{absent:?}"), format!("{none:?}"));
        for labels in [Fact::Pending, Fact::Unavailable(Trouble::new(Fault::Refused, "no"))] {
            let doubted = verdict_in(&policies, &Scope::of(labels), &pod);
            let told = doubted.audit.iter().any(|denial| denial.reason == Reason::NamespaceUnknown);
            prop_assert_eq!(matches!(doubted.answer, Answer::Admit(_)), policies.bindings.dry_run && told);
        }
    }

    #[test]
    fn an_image_that_becomes_unreadable_is_refused_wherever_anything_is_enforced(
        policies in any_policies(), images in any_images(), at: prop::sample::Index,
    ) {
        let mut images = images;
        let at = at.index(images.len());
        images[at] = "";
        let enforced = policies.bindings.enforce.is_some() || policies.bindings.floor.is_some();
        prop_assert_eq!(refused(&verdict(&policies, &pod(&images))) || !enforced, true);
    }

    #[test]
    fn a_pod_is_refused_exactly_if_one_of_its_images_is(policies in any_policies(), images in any_images()) {
        let alone = images.iter().any(|image| refused(&verdict(&policies, &pod(&[image]))));
        prop_assert_eq!(refused(&verdict(&policies, &pod(&images))), alone);
    }

    #[test]
    fn without_the_old_object_nothing_more_is_let_in(
        policies in any_policies(), old in any_images(), new in any_images(),
    ) {
        let Subject::Images { containers: old, .. } = pod(&old).subject else { unreachable!() };
        let Subject::Images { containers, .. } = pod(&new).subject else { unreachable!() };
        let update = Request::about(Subject::Images { containers, old });
        prop_assert!(!refused(&verdict(&policies, &update)) || refused(&verdict(&policies, &pod(&new))));
    }

    #[test]
    fn without_rules_an_unmatched_image_is_refused_where_unmatched_is_denied(
        policies in any_policies(), image in prop::sample::select(IMAGES.to_vec()), gone: prop::sample::Index,
    ) {
        let mut policies = policies;
        policies.bindings.enforce = Some("p".into());
        let before = policies.by_name["p"].clone();
        let matching = |policy: &Policy| {
            let reference = Reference::parse(image).ok();
            let matches = |rule: &&Rule| reference.as_ref().is_some_and(|its| rule.images.iter().any(|pattern| pattern.matches(its)));
            policy.rules.iter().filter(matches).count()
        };
        let mut rules: Vec<Rule> = before.rules.iter().map(|its| Rule { name: its.name.clone(), images: its.images.clone(), action: its.action.clone() }).collect();
        if !rules.is_empty() {
            rules.remove(gone.index(rules.len()));
        }
        let after = policy("p", Unmatched::Deny, rules);
        let unmatched = matching(&after) == 0;
        policies.by_name.insert("p".into(), after);
        prop_assert!(!unmatched || refused(&verdict(&policies, &pod(&[image]))));
    }

    #[test]
    fn dry_run_changes_the_answer_and_nothing_of_what_is_said(policies in any_policies(), images in any_images()) {
        let pod = pod(&images);
        let live = verdict(&policies, &pod);
        let mut policies = policies;
        policies.bindings.dry_run = true;
        let dry = verdict(&policies, &pod);
        prop_assert!(!refused(&dry));
        let said = |verdict: &Verdict| {
            let denied = if let Answer::Deny(denials) = &verdict.answer { &denials[..] } else { &[] };
            let all = denied.iter().chain(&verdict.warnings).chain(&verdict.audit);
            let mut all: Vec<_> = all.map(|denial| format!("{denial:?}")).collect();
            all.sort();
            all
        };
        prop_assert_eq!(said(&live), said(&dry));
        prop_assert_eq!(refused(&live), matches!(&dry.answer, Answer::Admit(permit) if permit.basis() == Basis::DryRun));
    }
}
