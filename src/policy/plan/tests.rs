use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::*;
use crate::fact::{Fault, Seen, Source, Trouble};
use crate::image::{Pattern, TagPattern};
use crate::policy::{Bindings, Inaccessible, Rule, TagDemands, Unavailable};
use crate::request::{ContainerKind, Operation};

const DIGEST: &str = "sha256:7031c1b283388d2c2e09b57badb803c05ebed362dc88d84b480cc47f72a21097";

fn regular(name: &str, written: &str) -> Container {
    Container::first(ContainerKind::Regular, name, written)
}

fn create(containers: Vec<Container>) -> Request {
    Request::about(Subject::Images { containers, old: Vec::new() })
}

fn update(old: Vec<Container>, containers: Vec<Container>) -> Request {
    let request = Request::about(Subject::Images { containers, old });
    Request { operation: Operation::Update, ..request }
}

fn controller(request: Request) -> Request {
    Request { role: Role::Controller, kind: "Deployment".to_owned(), ..request }
}

fn policy(name: &str, unmatched: Unmatched, rules: Vec<Rule>) -> Policy {
    let tolerance = Tolerance { unavailable: Unavailable::Running, inaccessible: Inaccessible::Deny };
    Policy { name: name.into(), unmatched, tolerance, rules }
}

fn rule(name: &str, images: &[&str], action: Action) -> Rule {
    let images = images.iter().map(|image| Pattern::parse(image).unwrap()).collect();
    Rule { name: name.into(), images, action }
}

fn bindings() -> Bindings {
    Bindings {
        enforce: None,
        warn: None,
        audit: None,
        floor: None,
        exempt_namespaces: BTreeSet::from(["kube-system".to_owned()]),
        controllers: Controllers::Warn,
        dry_run: false,
    }
}

/// Policies `a` to `f`, which have no rule, and these bindings.
fn policies(bindings: Bindings) -> Policies {
    let named =
        ["a", "b", "c", "d", "e", "f"].map(|name| (name.into(), Arc::new(policy(name, Unmatched::Deny, Vec::new()))));
    Policies { by_name: BTreeMap::from(named), bindings }
}

fn with(change: impl FnOnce(&mut Bindings)) -> Policies {
    let mut bindings = bindings();
    change(&mut bindings);
    policies(bindings)
}

fn labels(enforce: Option<&str>, warn: Option<&str>, audit: Option<&str>) -> Scope {
    let owned = |label: Option<&str>| label.map(str::to_owned);
    let value = Labels { enforce: owned(enforce), warn: owned(warn), audit: owned(audit) };
    Scope::of(Fact::Known(Seen { value, at: Timestamp::UNIX_EPOCH, source: Source::Current }))
}

fn unlabelled() -> Scope {
    labels(None, None, None)
}

/// Who judges the first container, and which names are unknown, as `enforce a`.
fn judged_by(policies: &Policies, scope: &Scope, request: &Request) -> (Vec<String>, Vec<String>) {
    let plan = plan(policies, scope, request);
    let judges = plan.judgements.iter().filter(|judgement| judgement.container == 0);
    (
        judges.map(|judgement| format!("{} {}", judgement.mode.label(), judgement.policy)).collect(),
        plan.unknown.iter().map(|Unknown { mode, name, .. }| format!("{} {name}", mode.label())).collect(),
    )
}

#[test]
fn a_label_replaces_the_default_of_its_mode_and_the_floor_stays() {
    let name = |name: &str| Some(PolicyName::from(name));
    let all =
        || with(|its| (its.floor, its.enforce, its.warn, its.audit) = (name("a"), name("b"), name("c"), name("d")));
    let none = || with(|_| ());
    let pod = create(vec![regular("web", "nginx")]);
    for (policies, scope, expected) in [
        (none(), unlabelled(), &[][..]),
        (none(), labels(Some("a"), None, None), &["enforce a"]),
        (none(), labels(None, Some("a"), None), &["warn a"]),
        (none(), labels(None, None, Some("a")), &["audit a"]),
        (all(), unlabelled(), &["enforce a", "enforce b", "warn c", "audit d"]),
        (all(), labels(Some("e"), None, None), &["enforce a", "enforce e", "warn c", "audit d"]),
        (all(), labels(None, Some("e"), None), &["enforce a", "enforce b", "warn e", "audit d"]),
        (all(), labels(None, None, Some("e")), &["enforce a", "enforce b", "warn c", "audit e"]),
        (all(), labels(Some("e"), Some("e"), Some("e")), &["enforce a", "enforce e", "warn e", "audit e"]),
        (all(), labels(Some("a"), None, None), &["enforce a", "warn c", "audit d"]),
    ] {
        assert_eq!(judged_by(&policies, &scope, &pod), (expected.iter().map(ToString::to_string).collect(), vec![]));
    }
}

#[test]
fn a_name_without_a_policy_is_unknown_in_its_mode_and_never_nothing() {
    let pod = create(vec![regular("web", "nginx")]);
    let defaults = with(|its| (its.enforce, its.warn) = (Some("b".into()), Some("c".into())));
    let judges = |scope: Scope| judged_by(&defaults, &scope, &pod);
    let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(judges(labels(Some("gone"), None, None)), (texts(&["warn c"]), texts(&["enforce gone"])));
    assert_eq!(judges(labels(None, Some("gone"), None)), (texts(&["enforce b"]), texts(&["warn gone"])));
    assert_eq!(judges(labels(None, None, Some("gone"))), (texts(&["enforce b", "warn c"]), texts(&["audit gone"])));
    assert_eq!(judges(labels(Some(""), None, None)), (texts(&["warn c"]), texts(&["enforce "])));
    assert_eq!(judges(labels(Some("A"), None, None)), (texts(&["warn c"]), texts(&["enforce A"])));
    let lost = with(|its| (its.floor, its.audit) = (Some("gone".into()), Some("away".into())));
    let found = judged_by(&lost, &unlabelled(), &pod);
    assert_eq!(found, (vec![], texts(&["enforce gone", "audit away"])));
    let softened = judged_by(&lost, &unlabelled(), &controller(create(vec![regular("web", "nginx")])));
    assert_eq!(softened, (vec![], texts(&["warn gone", "audit away"])));
}

#[test]
fn a_namespace_that_cannot_be_told_is_refused_beside_what_defaults_and_floor_say() {
    let policies = with(|its| (its.floor, its.enforce) = (Some("a".into()), Some("b".into())));
    let pod = create(vec![regular("web", "nginx")]);
    for (labels, unknown) in [
        (Fact::Absent(Timestamp::UNIX_EPOCH), false),
        (Fact::Unavailable(Trouble::new(Fault::Outage, "out")), true),
        (Fact::Unavailable(Trouble::new(Fault::Deadline, "out")), true),
        (Fact::Unavailable(Trouble::new(Fault::Refused, "out")), true),
        (Fact::Unavailable(Trouble::new(Fault::Broken, "out")), true),
        (Fact::Pending, true),
    ] {
        let scope = Scope::of(labels);
        assert_eq!(judged_by(&policies, &scope, &pod).0, ["enforce a", "enforce b"]);
        let mode = |request: &Request| plan(&policies, &scope, request).undetermined_mode();
        assert_eq!(mode(&pod), unknown.then_some(Mode::Enforce));
        assert_eq!(mode(&controller(create(vec![regular("web", "nginx")]))), unknown.then_some(Mode::Warn));
    }
    assert_eq!(plan(&policies, &unlabelled(), &pod).undetermined_mode(), None);
}

#[test]
fn a_controller_is_warned_judged_or_ignored_as_the_setting_says() {
    let judges = |controllers, request: &Request| {
        let name = |name: &str| Some(PolicyName::from(name));
        let policies = with(|its| {
            its.controllers = controllers;
            (its.floor, its.enforce, its.warn, its.audit) = (name("a"), name("b"), name("b"), name("d"));
        });
        judged_by(&policies, &unlabelled(), request).0
    };
    let deployment = controller(create(vec![regular("web", "nginx")]));
    assert_eq!(judges(Controllers::Warn, &deployment), ["warn a", "warn b", "audit d"]);
    assert_eq!(judges(Controllers::Enforce, &deployment), ["enforce a", "enforce b", "warn b", "audit d"]);
    assert_eq!(judges(Controllers::Ignore, &deployment), [""; 0]);
    let pod = create(vec![regular("web", "nginx")]);
    for controllers in [Controllers::Warn, Controllers::Enforce, Controllers::Ignore] {
        assert_eq!(judges(controllers, &pod), ["enforce a", "enforce b", "warn b", "audit d"]);
    }
}

/// The word for a standing, so that tests can compare.
fn stands(policies: &Policies, request: &Request) -> &'static str {
    match plan(policies, &unlabelled(), request).standing {
        Standing::Exempt => "exempt",
        Standing::Nothing(_) => "nothing",
        Standing::IgnoredController => "ignored",
        Standing::Unchanged => "unchanged",
        Standing::Unreadable(_) => "unreadable",
        Standing::Judged(_) => "judged",
    }
}

#[test]
fn an_exempt_namespace_is_exempt_before_anything_else() {
    let no_pod_spec = || Flaw::NoPodSpec { path: "spec".into() };
    let subjects: [fn() -> Subject; 4] = [
        || Subject::Images { containers: vec![regular("web", "nginx")], old: Vec::new() },
        || Subject::Images { containers: vec![regular("web", "nginx")], old: vec![regular("web", "nginx")] },
        || Subject::Nothing(NoImages::Kind),
        || Subject::Unreadable(Flaw::Depth { limit: 96 }),
    ];
    let policies = with(|its| (its.floor, its.enforce) = (Some("a".into()), Some("gone".into())));
    for subject in subjects {
        let exempt = Request { namespace: "kube-system".to_owned(), ..Request::about(subject()) };
        assert_eq!(stands(&policies, &exempt), "exempt");
        let plan = plan(&policies, &unlabelled(), &exempt);
        assert!(plan.judgements.is_empty() && plan.unknown.is_empty() && plan.wants.is_empty());
        for namespace in ["kube-system2", "Kube-System", "kube", ""] {
            let other = Request { namespace: namespace.to_owned(), ..Request::about(subject()) };
            assert_ne!(stands(&policies, &other), "exempt", "{namespace}");
        }
    }
    let pod = Request::about(Subject::Unreadable(no_pod_spec()));
    assert_eq!(stands(&policies, &pod), "unreadable");
    assert_eq!(stands(&policies, &controller(pod)), "unreadable");
}

#[test]
fn ignored_controllers_are_passed_over_unless_the_review_itself_is_unreadable() {
    let policies = with(|its| its.controllers = Controllers::Ignore);
    let subject = |subject| stands(&policies, &controller(Request::about(subject)));
    assert_eq!(subject(Subject::Images { containers: vec![regular("web", "nginx")], old: Vec::new() }), "ignored");
    assert_eq!(subject(Subject::Unreadable(Flaw::NoPodSpec { path: "spec".into() })), "ignored");
    assert_eq!(subject(Subject::Unreadable(Flaw::Syntax("x".to_owned()))), "unreadable");
    assert_eq!(subject(Subject::Unreadable(Flaw::Contradiction("x".to_owned()))), "unreadable");
    assert_eq!(subject(Subject::Nothing(NoImages::Operation)), "nothing");
    let pod = Request::about(Subject::Unreadable(Flaw::NoPodSpec { path: "spec".into() }));
    assert_eq!(stands(&policies, &pod), "unreadable");
}

#[test]
fn an_update_that_keeps_every_image_byte_for_byte_is_unchanged() {
    let (init, ephemeral, volume) = (ContainerKind::Init, ContainerKind::Ephemeral, ContainerKind::ImageVolume);
    let web = || regular("web", "nginx:1");
    let side = || regular("side", "envoy:1");
    let table: [(&str, Vec<Container>, Vec<Container>, &str); 17] = [
        ("the same", vec![web(), side()], vec![web(), side()], "unchanged"),
        ("one less", vec![web(), side()], vec![side()], "unchanged"),
        ("another order", vec![web(), side()], vec![side(), web()], "unchanged"),
        ("one more", vec![web()], vec![web(), side()], "judged"),
        ("another image", vec![web()], vec![regular("web", "nginx:2")], "judged"),
        ("the same image in other words", vec![web()], vec![regular("web", "docker.io/library/nginx:1")], "judged"),
        ("other letters", vec![web()], vec![regular("web", "nginx:1 ")], "judged"),
        ("a digest more", vec![web()], vec![regular("web", &format!("nginx:1@{DIGEST}"))], "judged"),
        ("another name", vec![web()], vec![regular("api", "nginx:1")], "judged"),
        (
            "two that change places",
            vec![web(), side()],
            vec![regular("web", "envoy:1"), regular("side", "nginx:1")],
            "judged",
        ),
        ("moved from init", vec![Container::first(init, "web", "nginx:1")], vec![web()], "judged"),
        ("moved to init", vec![web()], vec![Container::first(init, "web", "nginx:1")], "judged"),
        ("moved to ephemeral", vec![web()], vec![web(), Container::first(ephemeral, "web", "nginx:1")], "judged"),
        ("moved to a volume", vec![web()], vec![web(), Container::first(volume, "web", "nginx:1")], "judged"),
        ("a name twice now", vec![web()], vec![web(), web()], "judged"),
        ("a name twice before", vec![web(), web()], vec![web()], "judged"),
        ("nothing before", vec![], vec![web()], "judged"),
    ];
    let policies = with(|its| its.enforce = Some("a".into()));
    for (what, old, new, expected) in table {
        let request = update(old, new);
        assert_eq!(stands(&policies, &request), expected, "{what}");
        let plan = plan(&policies, &unlabelled(), &request);
        assert_eq!(plan.judgements.is_empty(), expected == "unchanged", "{what}");
        assert!(plan.wants.is_empty() || expected == "judged", "{what}");
    }
}

#[test]
fn an_invalid_image_that_was_there_before_is_unchanged_too() {
    let policies = with(|its| its.enforce = Some("a".into()));
    for written in ["", "NGINX", "a b"] {
        assert_eq!(
            stands(&policies, &update(vec![regular("web", written)], vec![regular("web", written)])),
            "unchanged"
        );
    }
}

#[test]
fn of_a_changed_object_only_what_changed_is_judged() {
    let policies = with(|its| its.enforce = Some("a".into()));
    let old = vec![regular("web", "nginx:1"), regular("side", "envoy:1")];
    let new = vec![regular("web", "nginx:1"), regular("side", "envoy:2"), regular("more", "nginx:1")];
    let request = update(old, new);
    let plan = plan(&policies, &unlabelled(), &request);
    assert_eq!(plan.judgements.iter().map(|its| its.container).collect::<Vec<_>>(), [1, 2]);
}

fn ruling(policy: Policy, image: &str) -> String {
    let mut policies = with(|its| its.enforce = Some("p".into()));
    policies.by_name.insert("p".into(), Arc::new(policy));
    let request = create(vec![regular("web", image)]);
    let plan = plan(&policies, &unlabelled(), &request);
    let [judgement] = &*plan.judgements else { panic!("{plan:?}") };
    match &judgement.ruling {
        Ruling::InvalidReference => "invalid".to_owned(),
        Ruling::Unmatched(Unmatched::Deny) => "deny".to_owned(),
        Ruling::Unmatched(Unmatched::Allow) => "allow".to_owned(),
        Ruling::Rule { name, action: _ } => name.to_string(),
    }
}

#[test]
fn the_first_rule_with_a_pattern_that_matches_decides_and_else_unmatched() {
    for (unmatched, otherwise) in [(Unmatched::Deny, "deny"), (Unmatched::Allow, "allow")] {
        let policy = || {
            let rules = vec![
                rule("tools", &["ghcr.io/acme/tools/**"], Action::Refuse("old".into())),
                rule("acme", &["ghcr.io/acme/**", "quay.io/acme/**"], Action::Admit),
                rule("late", &["ghcr.io/acme/shop", "nginx"], Action::Refuse("never reached".into())),
            ];
            policy("p", unmatched, rules)
        };
        assert_eq!(ruling(policy(), "ghcr.io/acme/tools/a:1"), "tools");
        assert_eq!(ruling(policy(), "ghcr.io/acme/shop:1"), "acme");
        assert_eq!(ruling(policy(), "quay.io/acme/shop:1"), "acme");
        assert_eq!(ruling(policy(), "nginx"), "late");
        assert_eq!(ruling(policy(), "ghcr.io/acme2/shop"), otherwise);
        assert_eq!(ruling(policy(), "evil.io/ghcr.io/acme/shop"), otherwise);
    }
}

#[test]
fn no_rule_matches_what_is_no_reference() {
    for (unmatched, action) in [(Unmatched::Allow, Action::Admit), (Unmatched::Deny, Action::Refuse("x".into()))] {
        assert_eq!(ruling(policy("p", unmatched, vec![rule("all", &["**"], action)]), "NGINX"), "invalid");
    }
    assert_eq!(ruling(policy("p", Unmatched::Allow, Vec::new()), ""), "invalid");
}

/// Demands of a rule for everything: nothing but what is asked about the record of a tag.
fn comparing(repointed: Repointed) -> Action {
    let tags = TagDemands { deny: Vec::new(), allow: Vec::new(), require_digest: false, repointed };
    Action::Require(Arc::new(Demands { tags: Some(tags), ..Demands::default() }))
}

/// The waits of the only want, where a policy with this action judges in this mode.
fn waits(mode: Mode, action: Action, request: &Request) -> Option<(Wait, Wait)> {
    let name = Some(PolicyName::from("p"));
    let mut policies = with(|its| {
        its.controllers = Controllers::Enforce;
        match mode {
            Mode::Enforce => its.enforce = name,
            Mode::Warn => its.warn = name,
            Mode::Audit => its.audit = name,
        }
    });
    let policy = policy("p", Unmatched::Deny, vec![rule("all", &["**"], action)]);
    policies.by_name.insert("p".into(), Arc::new(policy));
    let plan = plan(&policies, &unlabelled(), request);
    plan.wants.first().map(|want| (want.resolve, want.compare))
}

#[test]
fn an_answer_waits_for_a_digest_only_as_long_as_a_demand_depends_on_it() {
    use Wait::{Afterwards, AtHand, Briefly, UntilDeadline};
    let tagged = create(vec![regular("web", "nginx:1")]);
    let waits = |mode, repointed, request: &Request| waits(mode, comparing(repointed), request).unwrap();
    for (mode, repointed, expected) in [
        (Mode::Enforce, Repointed::Deny, (UntilDeadline, AtHand)),
        (Mode::Enforce, Repointed::Warn, (Afterwards, Briefly)),
        (Mode::Enforce, Repointed::Allow, (Afterwards, AtHand)),
        (Mode::Warn, Repointed::Deny, (Briefly, AtHand)),
        (Mode::Warn, Repointed::Warn, (Afterwards, Briefly)),
        (Mode::Audit, Repointed::Deny, (Afterwards, AtHand)),
        (Mode::Audit, Repointed::Warn, (Afterwards, Afterwards)),
    ] {
        assert_eq!(waits(mode, repointed, &tagged), expected, "{mode:?} {repointed:?}");
        let pinned = create(vec![regular("web", &format!("nginx:1@{DIGEST}"))]);
        assert_eq!(waits(mode, repointed, &pinned), (Afterwards, AtHand), "a digest makes the tag irrelevant");
    }
    let deployment = controller(create(vec![regular("web", "nginx:1")]));
    assert_eq!(waits(Mode::Enforce, Repointed::Deny, &deployment), (Briefly, AtHand));
}

#[test]
fn nobody_is_asked_about_what_needs_no_look_up() {
    let latest = || create(vec![regular("web", "nginx:latest")]);
    let refused = || Action::Require(Arc::new(tags(&["latest"], &[], false)));
    for (action, expected) in [
        (Action::Admit, Some((Wait::AtHand, Wait::AtHand))),
        (Action::Refuse("no".into()), Some((Wait::AtHand, Wait::AtHand))),
        (refused(), Some((Wait::AtHand, Wait::AtHand))),
    ] {
        assert_eq!(waits(Mode::Enforce, action, &latest()), expected);
    }
    assert_eq!(waits(Mode::Enforce, comparing(Repointed::Deny), &create(vec![regular("web", "NGINX")])), None);
    // The floor refuses it for its name; what the other policy wants to know would change nothing.
    let mut policies = with(|its| (its.floor, its.enforce) = (Some("floor".into()), Some("p".into())));
    for (name, action) in [("floor", refused()), ("p", comparing(Repointed::Deny))] {
        let policy = policy(name, Unmatched::Deny, vec![rule("all", &["**"], action)]);
        policies.by_name.insert(name.into(), Arc::new(policy));
    }
    let pod = latest();
    assert_eq!(plan(&policies, &unlabelled(), &pod).wants[0].resolve, Wait::AtHand);
    let unknown = with(|its| its.enforce = Some("gone".into()));
    let pod = create(vec![regular("web", "nginx:1")]);
    assert_eq!(plan(&unknown, &unlabelled(), &pod).wants[0].resolve, Wait::AtHand);
}

#[test]
fn each_image_is_wanted_once_with_the_longer_wait_and_patience_asks_nobody_more() {
    let mut policies = with(|its| (its.enforce, its.audit) = (Some("p".into()), Some("q".into())));
    for (name, repointed) in [("p", Repointed::Deny), ("q", Repointed::Warn)] {
        let rules = vec![rule("old", &["quay.io/**"], Action::Admit), rule("all", &["**"], comparing(repointed))];
        policies.by_name.insert(name.into(), Arc::new(policy(name, Unmatched::Deny, rules)));
    }
    let images = ["nginx:1", "docker.io/library/nginx:1", "envoy:1", "quay.io/old:1", "NGINX"];
    let request = create(images.iter().enumerate().map(|(index, image)| regular(&index.to_string(), image)).collect());
    let plan = plan(&policies, &unlabelled(), &request);
    let wants: Vec<_> = plan.wants.iter().map(|want| (want.reference.to_string(), want.resolve)).collect();
    let expected = [
        ("docker.io/library/nginx:1".to_owned(), Wait::UntilDeadline),
        ("docker.io/library/envoy:1".to_owned(), Wait::UntilDeadline),
        ("quay.io/old:1".to_owned(), Wait::AtHand),
    ];
    assert_eq!(wants, expected);
    let of = |index| plan.judgements.iter().filter(move |its| its.container == index).map(|its| its.want);
    let found: Vec<Vec<_>> = (0..5).map(|index| of(index).collect()).collect();
    assert_eq!(found, [Some(0), Some(0), Some(1), Some(2), None].map(|want| vec![want, want]));
    let patient: Vec<_> = plan.patiently().wants.iter().map(|want| want.resolve).collect();
    assert_eq!(patient, [Wait::UntilDeadline, Wait::UntilDeadline, Wait::AtHand]);
}

#[test]
fn a_report_waits_for_what_a_demand_depends_on_in_any_mode_and_only_briefly_for_the_rest() {
    let tagged = create(vec![regular("web", "nginx:1")]);
    let wait = |mode, action, request: &Request| {
        let name = Some(PolicyName::from("p"));
        let mut policies = with(|its| match mode {
            Mode::Enforce => its.enforce = name,
            Mode::Warn => its.warn = name,
            Mode::Audit => its.audit = name,
        });
        let policy = policy("p", Unmatched::Deny, vec![rule("all", &["**"], action)]);
        policies.by_name.insert("p".into(), Arc::new(policy));
        plan(&policies, &unlabelled(), request).for_a_report().wants[0].resolve
    };
    for mode in [Mode::Enforce, Mode::Warn, Mode::Audit] {
        assert_eq!(wait(mode, comparing(Repointed::Deny), &tagged), Wait::UntilDeadline, "{mode:?}");
        assert_eq!(wait(mode, comparing(Repointed::Warn), &tagged), Wait::Briefly, "{mode:?}");
        assert_eq!(wait(mode, comparing(Repointed::Allow), &tagged), Wait::Briefly, "{mode:?}");
        let pinned = create(vec![regular("web", &format!("nginx:1@{DIGEST}"))]);
        assert_eq!(wait(mode, comparing(Repointed::Deny), &pinned), Wait::Briefly, "{mode:?}");
        assert_eq!(wait(mode, Action::Admit, &tagged), Wait::AtHand, "{mode:?}");
    }
}

#[test]
fn judgements_come_container_by_container_from_enforce_to_audit() {
    let policies = with(|its| {
        (its.floor, its.enforce, its.warn, its.audit) =
            (Some("d".into()), Some("c".into()), Some("b".into()), Some("a".into()));
    });
    let request = create(vec![regular("web", "nginx"), regular("side", "envoy")]);
    let plan = plan(&policies, &unlabelled(), &request);
    let order: Vec<_> = plan.judgements.iter().map(|its| (its.container, its.mode, its.policy.as_str())).collect();
    let expected = [
        (0, Mode::Enforce, "d"),
        (0, Mode::Enforce, "c"),
        (0, Mode::Warn, "b"),
        (0, Mode::Audit, "a"),
        (1, Mode::Enforce, "d"),
        (1, Mode::Enforce, "c"),
        (1, Mode::Warn, "b"),
        (1, Mode::Audit, "a"),
    ];
    assert_eq!(order, expected);
}

#[test]
fn the_plan_says_whether_every_refusal_is_only_for_the_record() {
    let request = create(vec![regular("web", "nginx")]);
    for dry_run in [true, false] {
        let policies = with(|its| its.dry_run = dry_run);
        assert_eq!(plan(&policies, &unlabelled(), &request).dry_run, dry_run);
    }
}

fn tags(deny: &[&str], allow: &[&str], require_digest: bool) -> Demands {
    let patterns = |texts: &[&str]| texts.iter().map(|text| TagPattern::parse(text).unwrap()).collect();
    let repointed = Repointed::Warn;
    Demands {
        tags: Some(TagDemands { deny: patterns(deny), allow: patterns(allow), require_digest, repointed }),
        ..Demands::default()
    }
}

/// Denied, allowed, whether a digest must be there, the image, and what the demands have against it.
type Row<'t> = (&'t [&'t str], &'t [&'t str], bool, &'t str, &'t [StaticRefusal]);

#[test]
fn tags_are_refused_as_the_demands_say_and_a_digest_makes_them_irrelevant() {
    use StaticRefusal::{NoDigest, TagDenied, TagNotAllowed};
    let (written, missing) = (false, true);
    let table: [Row<'_>; 18] = [
        (&["latest"], &[], false, "nginx:latest", &[TagDenied { missing: written }]),
        (&["latest"], &[], false, "nginx", &[TagDenied { missing }]),
        (&["latest"], &[], false, "nginx:1.27", &[]),
        (&["latest"], &[], false, "nginx:Latest", &[]),
        (&["latest"], &[], false, "nginx:latest-alpine", &[]),
        (&["main", "dev-*"], &[], false, "nginx:dev-7", &[TagDenied { missing: written }]),
        (&["main", "dev-*"], &[], false, "nginx", &[]),
        (&["*"], &[], false, "nginx", &[TagDenied { missing }]),
        (&[], &["v*.*.*"], false, "nginx:v1.2.3", &[]),
        (&[], &["v*.*.*"], false, "nginx:v1.2", &[TagNotAllowed { missing: written }]),
        (&[], &["v*.*.*"], false, "nginx", &[TagNotAllowed { missing }]),
        (&[], &["latest"], false, "nginx", &[]),
        (&["v1.*"], &["v*"], false, "nginx:v1.2", &[TagDenied { missing: written }]),
        (&["v1.*"], &["v*"], false, "nginx:v2.1", &[]),
        (&[], &[], true, "nginx:1.27", &[NoDigest]),
        (&["latest"], &["v*"], true, "nginx", &[TagDenied { missing }, NoDigest]),
        (&[], &["v*"], true, "nginx:1", &[TagNotAllowed { missing: written }, NoDigest]),
        (&[], &[], false, "nginx", &[]),
    ];
    for (deny, allow, require_digest, image, expected) in table {
        let demands = tags(deny, allow, require_digest);
        let refusals = |image: &str| demands.refuses_statically(&Reference::parse(image).unwrap());
        assert_eq!(refusals(image), expected, "{image} under {demands:?}");
        assert_eq!(refusals(&format!("{image}@{DIGEST}")), [], "{image} with a digest under {demands:?}");
    }
}

#[test]
fn without_tag_demands_no_name_is_refused() {
    let demands = Demands::default();
    assert_eq!(demands.refuses_statically(&Reference::parse("nginx").unwrap()), []);
}

#[test]
fn as_many_containers_as_a_review_may_have_are_planned_at_once() {
    let many = |tag: &str| (0..512).map(|index| regular(&format!("c{index}"), &format!("nginx:{tag}"))).collect();
    let policies = with(|its| its.enforce = Some("a".into()));
    assert_eq!(stands(&policies, &update(many("1"), many("1"))), "unchanged");
    let request = update(many("1"), many("2"));
    assert_eq!(plan(&policies, &unlabelled(), &request).judgements.len(), 512);
}
