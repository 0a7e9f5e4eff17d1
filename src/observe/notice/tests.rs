use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::*;
use crate::decision::decide;
use crate::fact::{Content, Fact, Facts, Fault, ImageFacts, Labels, Resolved, Scope, Seen, Source, Trouble};
use crate::image::Digest;
use crate::policy::plan::plan;
use crate::policy::{Bindings, Controllers, Policies, compile};
use crate::request::{Container, ContainerKind, Request, Subject};

/// `baseline` denies `latest`; nothing is enforced where no label says so.
fn policies(change: impl FnOnce(&mut Bindings)) -> Policies {
    let mut bindings = Bindings {
        enforce: None,
        warn: None,
        audit: None,
        floor: None,
        exempt_namespaces: BTreeSet::new(),
        controllers: Controllers::Warn,
        dry_run: false,
    };
    change(&mut bindings);
    let by_name = compile::built_in().into_iter().map(|policy| (policy.name.clone(), Arc::new(policy))).collect();
    Policies { by_name, bindings }
}

/// The creation of the Deployment `shop/web`.
fn deployment(image: &str) -> Request {
    let containers = vec![Container::first(ContainerKind::Regular, "web", image)];
    Request {
        kind: "Deployment".to_owned(),
        api_version: "apps/v1".to_owned(),
        object_uid: "7a".to_owned(),
        role: Role::Controller,
        ..Request::about(Subject::Images { containers, old: Vec::new() })
    }
}

/// What the board holds after this, of an image that its registry has.
fn told(bindings: impl FnOnce(&mut Bindings), labels: Labels, request: &Request) -> Option<Notice> {
    let digest = Digest::parse(&format!("sha256:{}", "a".repeat(64))).unwrap();
    let value = Resolved { digest, content: Content::Image { config: None } };
    let there = Fact::Known(Seen { value, at: Timestamp::UNIX_EPOCH, source: Source::Current });
    told_where(&there, bindings, labels, request)
}

fn told_where(
    resolved: &Fact<Resolved>,
    bindings: impl FnOnce(&mut Bindings),
    labels: Labels,
    request: &Request,
) -> Option<Notice> {
    let at = Timestamp::UNIX_EPOCH;
    // No report is kept anywhere, and `baseline` wants none.
    let labels = Fact::Known(Seen { value: labels, at, source: Source::Current });
    let scope = Scope { scans: false, ..Scope::of(labels) };
    let policies = policies(bindings);
    let plan = plan(&policies, &scope, request);
    let nothing = |_| ImageFacts {
        resolved: resolved.clone(),
        recorded: Fact::Absent(at),
        admitted: Fact::Absent(at),
        examined: Vec::new(),
        scanned: None,
    };
    let facts = Facts { images: plan.wants.iter().map(nothing).collect() };
    let (board, mut notices) = noticeboard();
    board.put(&plan, &decide(&plan, &facts, at));
    assert_eq!(notices.missed(), 0);
    notices.notices.try_recv().ok()
}

fn enforcing(bindings: &mut Bindings) {
    bindings.enforce = Some("baseline".into());
}

fn labelled(enforce: Option<&str>, warn: Option<&str>) -> Labels {
    Labels { enforce: enforce.map(ToOwned::to_owned), warn: warn.map(ToOwned::to_owned), audit: None }
}

#[test]
fn a_controller_whose_pods_would_be_refused_is_told_in_the_words_of_the_refusal() {
    let notice = told(enforcing, Labels::default(), &deployment("nginx:latest")).unwrap();
    let message = notice.message.clone();
    assert!(message.starts_with("nginx:latest: tag-mutable, ") && message.ends_with(" (policy baseline)"), "{message}");
    let expected = Notice {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: "shop".to_owned(),
        name: "web".to_owned(),
        uid: "7a".to_owned(),
        reason: "tag-mutable",
        message,
    };
    assert_eq!(notice, expected);
    let refused = |bindings: &mut Bindings| {
        enforcing(bindings);
        bindings.controllers = Controllers::Enforce;
    };
    assert_eq!(told(refused, Labels::default(), &deployment("nginx:latest")), Some(expected.clone()));
    let floor = |bindings: &mut Bindings| bindings.floor = Some("baseline".into());
    assert_eq!(told(floor, Labels::default(), &deployment("nginx:latest")), Some(expected.clone()));
    // That it warns too takes nothing away from it.
    let both = labelled(Some("baseline"), Some("baseline"));
    assert_eq!(told(|_| {}, both, &deployment("nginx:latest")), Some(expected));
}

#[test]
fn nothing_is_told_of_what_refuses_no_pod() {
    let latest = deployment("nginx:latest");
    assert_eq!(told(enforcing, Labels::default(), &deployment("nginx:1.27")), None, "admitted");
    assert_eq!(told(|_| {}, labelled(None, Some("baseline")), &latest), None, "a warning for Pods too");
    let audit = Labels { audit: Some("baseline".to_owned()), ..Labels::default() };
    assert_eq!(told(|_| {}, audit, &latest), None, "audit");
    let pod = Request { role: Role::Pod, ..deployment("nginx:latest") };
    assert_eq!(told(enforcing, Labels::default(), &pod), None, "a Pod");
}

#[test]
fn nothing_is_told_of_a_dry_run_nor_of_an_object_without_a_name() {
    let latest = deployment("nginx:latest");
    let dry_run = Request { dry_run: true, ..deployment("nginx:latest") };
    assert_eq!(told(enforcing, Labels::default(), &dry_run), None, "a dry run");
    let nameless = Request { name: String::new(), ..deployment("nginx:latest") };
    assert_eq!(told(enforcing, Labels::default(), &nameless), None, "no name");
    let off = |bindings: &mut Bindings| {
        enforcing(bindings);
        bindings.dry_run = true;
    };
    assert_eq!(told(off, Labels::default(), &latest), None, "the program's own dry run");
}

#[test]
fn what_may_pass_by_itself_is_not_told_and_what_will_not_is() {
    let restricted = || labelled(Some("restricted"), None);
    let pinned = deployment(&format!("nginx@sha256:{}", "a".repeat(64)));
    let outage = Fact::Unavailable(Trouble::new(Fault::Outage, "docker.io answered 503 Service Unavailable"));
    assert_eq!(told_where(&outage, |_| {}, restricted(), &pinned), None);
    let absent = Fact::Absent(Timestamp::UNIX_EPOCH);
    let notice = told_where(&absent, |_| {}, restricted(), &pinned).unwrap();
    assert_eq!(notice.reason, "image-not-found");
}

#[test]
fn of_a_warning_that_refuses_pods_and_one_that_does_not_the_first_alone_is_told() {
    // What it warns of is graver, and refuses nothing.
    let notice = told(|_| {}, labelled(Some("baseline"), Some("missing")), &deployment("nginx:latest")).unwrap();
    assert!(notice.reason == "tag-mutable" && notice.message.ends_with(" (policy baseline)"), "{}", notice.message);
    let unknown = told(|_| {}, labelled(Some("nowhere"), Some("missing")), &deployment("nginx:1.27")).unwrap();
    assert_eq!(unknown.reason, "policy-unknown");
    assert!(unknown.message.contains("\"nowhere\" is named for"), "{}", unknown.message);
}

#[test]
fn a_message_fits_into_an_event_and_a_board_that_is_full_counts_what_it_drops() {
    let long = format!("registry.example/{}:latest", "a".repeat(2_000));
    let notice = told(enforcing, Labels::default(), &deployment(&long)).unwrap();
    assert!(notice.message.len() <= 1_024, "{}", notice.message.len());

    let (board, notices) = noticeboard();
    let (policies, request) = (policies(enforcing), deployment("nginx:latest"));
    let plan = plan(&policies, &Scope::of(Fact::Absent(Timestamp::UNIX_EPOCH)), &request);
    let unasked = |_| ImageFacts {
        resolved: Fact::Pending,
        recorded: Fact::Pending,
        admitted: Fact::Pending,
        examined: Vec::new(),
        scanned: None,
    };
    let facts = Facts { images: plan.wants.iter().map(unasked).collect() };
    let verdict = decide(&plan, &facts, Timestamp::UNIX_EPOCH);
    for _ in 0..WAITING + 3 {
        board.put(&plan, &verdict);
    }
    assert_eq!((notices.missed(), notices.missed()), (3, 0));
}
