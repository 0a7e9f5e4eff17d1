//! Exact answers. Verdicts come from plans, as no test can make a `Permit` either.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::decision::decide;
use crate::decision::verdict::{DeniedImage, Reason};
use crate::fact::Facts;
use crate::image::Digest;
use crate::policy::plan::{Plan, Standing};
use crate::policy::{Controllers, Mode, PolicyName};
use crate::request::{ContainerKind, ContainerPath, NoImages, Operation, PullSecrets, Request, Role, Subject};

const UID: &str = "f3f36f4d-bc03-47a5-8347-bd0ef68c77d0";

/// An admitting verdict with nothing else in it.
fn admitting() -> Verdict {
    let request = Request {
        api_version: String::new(),
        object_uid: String::new(),
        placement: crate::request::Placement::default(),
        uid: UID.to_owned(),
        operation: Operation::Delete,
        kind: "Pod".to_owned(),
        namespace: "shop".to_owned(),
        name: "web".to_owned(),
        dry_run: false,
        role: Role::Pod,
        pull: PullSecrets::default(),
        subject: Subject::Nothing(NoImages::Operation),
    };
    let plan = Plan {
        nodes: crate::policy::plan::Nodes::Any(crate::request::Placement::default()),
        for_report: false,
        request: &request,
        standing: Standing::Nothing(NoImages::Operation),
        judgements: Vec::new(),
        unknown: Vec::new(),
        wants: Vec::new(),
        dry_run: false,
        controllers: Controllers::Warn,
        namespace_unknown: None,
        namespace: None,
        enforces_everywhere: false,
    };
    decide(&plan, &Facts::default(), Timestamp::UNIX_EPOCH)
}

fn refusing(denials: Vec<Denial>) -> Verdict {
    Verdict { answer: Answer::Deny(denials), ..admitting() }
}

fn warning_of(warnings: Vec<Denial>) -> Verdict {
    Verdict { warnings, ..admitting() }
}

fn image(container: usize, kind: ContainerKind, name: &str, written: &str) -> DeniedImage {
    let path = ContainerPath { pod_spec: "spec".into(), kind, index: container };
    let title = format!("{}[{name}]", kind.field());
    DeniedImage { container, path, title, written: written.into(), digest: None }
}

fn denial(subject: Option<DeniedImage>, policy: Option<&str>, reason: Reason, message: &str) -> Denial {
    let policy = policy.map(PolicyName::from);
    Denial { mode: Mode::Enforce, softened: false, policy, rule: None, subject, reason, message: message.to_owned() }
}

fn web() -> Denial {
    let subject = image(0, ContainerKind::Regular, "web", "nginx:latest");
    denial(Some(subject), Some("acme"), Reason::TagMutable, "\"latest\" can change under you; pin a digest")
}

fn migrate() -> Denial {
    let subject = image(1, ContainerKind::Init, "migrate", "ghcr.io/acme/db:v1.4.2");
    denial(Some(subject), Some("acme"), Reason::DigestMissing, "the name has no digest; pin one as name@sha256:...")
}

fn numbered(container: usize) -> Denial {
    let name = format!("c{container}");
    let subject = image(container, ContainerKind::Regular, &name, &format!("nginx:{container}"));
    Denial { subject: Some(subject), ..web() }
}

fn sent(verdict: &Verdict) -> Value {
    serde_json::from_slice(&encode(UID, verdict).body).unwrap()
}

#[test]
fn an_admission_is_the_uid_allowed_and_its_basis() {
    let expected = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": UID, "allowed": true, "auditAnnotations": {"basis": "NothingDemanded"}}
    });
    assert_eq!(sent(&admitting()), expected);
}

#[test]
fn a_refusal_is_a_status_403_with_the_message_and_what_was_denied() {
    let expected = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {
            "uid": UID,
            "allowed": false,
            "status": {
                "status": "Failure",
                "message": "nginx:latest: tag-mutable, \"latest\" can change under you, pin a digest (policy acme)\n  \
                            containers[web] nginx:latest\n    \
                            tag-mutable: \"latest\" can change under you; pin a digest",
                "reason": "Forbidden",
                "code": 403
            },
            "auditAnnotations": {"denied": "tag-mutable nginx:latest (acme, enforce)"}
        }
    });
    assert_eq!(sent(&refusing(vec![web()])), expected);
}

#[test]
fn only_a_refusal_whose_every_cause_may_pass_asks_to_be_tried_again() {
    let outage = || Denial { reason: Reason::RegistryUnavailable, ..web() };
    for reason in Reason::ALL {
        let alone = sent(&refusing(vec![Denial { reason, ..web() }]));
        let (code, status, details) = if reason.retriable() {
            (503, "ServiceUnavailable", json!({"retryAfterSeconds": 1}))
        } else {
            (403, "Forbidden", Value::Null)
        };
        let told = &alone["response"]["status"];
        assert_eq!((&told["code"], &told["reason"], &told["details"]), (&json!(code), &json!(status), &details));
        let among_others = sent(&refusing(vec![Denial { reason, ..web() }, outage()]));
        assert_eq!(among_others["response"]["status"]["code"], code, "{reason:?} and an outage");
    }
}

#[test]
fn a_uid_is_echoed_whatever_characters_it_has() {
    for uid in ["\"}", "a\nb", "\u{1f980}", "\\u0000"] {
        let reply: Value = serde_json::from_slice(&encode(uid, &admitting()).body).unwrap();
        assert_eq!(reply["response"]["uid"], uid);
    }
}

#[test]
fn the_worst_image_and_its_reason_stand_in_the_first_line_and_every_image_below() {
    let mut tagged = migrate();
    tagged.subject.as_mut().unwrap().digest = Some(Digest::parse(&format!("sha256:{}", "ab".repeat(32))).unwrap());
    let text = message(&[web(), tagged.clone(), Denial { reason: Reason::TagNotAllowed, ..tagged }]);
    let expected = format!(
        "nginx:latest: tag-mutable, \"latest\" can change under you, pin a digest; and 1 more image (policy acme)\n  \
         containers[web] nginx:latest\n    \
         tag-mutable: \"latest\" can change under you; pin a digest\n  \
         initContainers[migrate] ghcr.io/acme/db:v1.4.2 (sha256:{})\n    \
         digest-missing: the name has no digest; pin one as name@sha256:...\n    \
         tag-not-allowed: the name has no digest; pin one as name@sha256:...",
        "ab".repeat(32)
    );
    assert_eq!(text, expected);
}

#[test]
fn images_are_counted_once_each_and_in_the_plural_where_they_are_more() {
    let first_line = |denials: &[Denial]| message(denials).lines().next().unwrap().to_owned();
    let told = "nginx:latest: tag-mutable, \"latest\" can change under you, pin a digest";
    assert_eq!(first_line(&[web(), web()]), format!("{told} (policy acme)"));
    assert_eq!(first_line(&[web(), migrate(), migrate()]), format!("{told}; and 1 more image (policy acme)"));
    let three = [web(), migrate(), numbered(2)];
    assert_eq!(first_line(&three), format!("{told}; and 2 more images (policy acme)"));
}

#[test]
fn a_refusal_of_the_whole_object_names_no_image() {
    let unknown = denial(None, None, Reason::PolicyUnknown, "policy \"acme\" does not exist; add it");
    assert_eq!(
        message(std::slice::from_ref(&unknown)),
        "policy-unknown, policy \"acme\" does not exist, add it\n  policy-unknown: policy \"acme\" does not exist; add it"
    );
    assert_eq!(
        message(&[unknown, web()]),
        "policy-unknown, policy \"acme\" does not exist, add it; and 1 more image\n  \
         policy-unknown: policy \"acme\" does not exist; add it\n  \
         containers[web] nginx:latest\n    \
         tag-mutable: \"latest\" can change under you; pin a digest"
    );
}

#[test]
fn what_floor_and_enforce_both_say_is_said_once() {
    let floor = Denial { policy: Some("floor".into()), ..web() };
    assert_eq!(message(&[floor, web()]).matches("tag-mutable:").count(), 1);
}

#[test]
fn a_message_is_bounded_however_many_images_are_refused() {
    let denials: Vec<_> = (0..512).map(numbered).collect();
    let text = message(&denials);
    assert!(text.len() < MESSAGE_BYTES + 1_024, "{} bytes", text.len());
    assert!(text.starts_with("nginx:0: tag-mutable, "), "{text}");
    assert!(text.lines().next().unwrap().contains("; and 511 more images "), "{text}");
    assert!(text.ends_with("\n  ..."), "{text}");
}

fn warned(denials: Vec<Denial>) -> Vec<String> {
    let sent = sent(&warning_of(denials));
    let warnings = sent["response"]["warnings"].as_array().cloned().unwrap_or_default();
    warnings.iter().map(|warning| warning.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_warning_says_image_reason_and_policy() {
    assert_eq!(
        warned(vec![web()]),
        ["containers[web] nginx:latest: tag-mutable: \"latest\" can change under you; pin a digest (policy acme)"]
    );
    let unknown = denial(None, None, Reason::PolicyUnknown, "policy \"acme\" does not exist; add it");
    assert_eq!(warned(vec![unknown]), ["policy-unknown: policy \"acme\" does not exist; add it"]);
    assert_eq!(warned(Vec::new()), [""; 0]);
}

#[test]
fn a_warning_never_exceeds_256_characters_and_keeps_its_code_and_policy() {
    for letter in ["x", "\u{e9}", "\u{1f980}"] {
        for (name, written, policy, message) in
            [(9, 9, 9, 400), (63, 300, 63, 1), (63, 300, 63, 400), (9, 300, 63, 120), (200, 9, 9, 200)]
        {
            let subject = image(0, ContainerKind::Ephemeral, &letter.repeat(name), &letter.repeat(written));
            let policy = "p".repeat(policy);
            let denial = denial(Some(subject), Some(&policy), Reason::ImageUnmatched, &letter.repeat(message));
            let [warning] = &*warned(vec![denial]) else { panic!() };
            let length = warning.chars().count();
            assert!(length <= WARNING_CHARACTERS, "{length}: {warning}");
            assert!(warning.contains(": image-unmatched: "), "{warning}");
            assert!(warning.ends_with(&format!(" (policy {policy})")), "{warning}");
        }
    }
}

#[test]
fn what_fits_is_not_cut() {
    let room = |length: usize| Denial { message: "m".repeat(length), ..web() };
    let [shortest] = &*warned(vec![room(0)]) else { panic!() };
    let rest = WARNING_CHARACTERS - shortest.chars().count();
    assert!(warned(vec![room(rest)])[0].contains(&"m".repeat(rest)));
    assert!(warned(vec![room(rest + 1)])[0].contains(&format!("{}...", "m".repeat(rest - 3))));
}

#[test]
fn warnings_stay_within_4096_characters_and_the_last_counts_the_rest() {
    for letter in ["m", "\u{1f980}"] {
        let long = |container| Denial { message: letter.repeat(300), ..numbered(container) };
        let warnings = warned((0..100).map(long).collect());
        let total: usize = warnings.iter().map(|warning| warning.chars().count()).sum();
        assert!(total <= WARNINGS_CHARACTERS, "{total}");
        let (last, told) = warnings.split_last().unwrap();
        assert!(told.len() >= 15, "{}", told.len());
        assert_eq!(*last, format!("pratique: and {} more", 100 - told.len()));
    }
}

#[test]
fn a_warning_that_was_given_is_neither_repeated_nor_counted() {
    assert_eq!(warned(vec![web(), web(), web()]).len(), 1);
    let long = |container| Denial { message: "m".repeat(300), ..numbered(container) };
    let twice: Vec<_> = (0..100).flat_map(|container| [long(container), long(container)]).collect();
    let warnings = warned(twice);
    let (last, told) = warnings.split_last().unwrap();
    assert_eq!(*last, format!("pratique: and {} more", 100 - told.len()));
}

#[test]
fn annotations_say_basis_warned_audited_and_pending() {
    let unknown = denial(None, None, Reason::PolicyUnknown, "policy \"gone\" does not exist");
    let verdict = Verdict {
        warnings: vec![Denial { mode: Mode::Warn, ..web() }, Denial { mode: Mode::Warn, ..migrate() }],
        audit: vec![Denial { mode: Mode::Audit, ..unknown }],
        pending: true,
        ..admitting()
    };
    let expected = json!({
        "basis": "NothingDemanded",
        "warned": "tag-mutable nginx:latest (acme, warn); digest-missing ghcr.io/acme/db:v1.4.2 (acme, warn)",
        "audited": "policy-unknown: policy \"gone\" does not exist (audit)",
        "pending": "true"
    });
    assert_eq!(sent(&verdict)["response"]["auditAnnotations"], expected);
}

#[test]
fn an_annotation_never_exceeds_1024_bytes() {
    for written in ["nginx", &*"\u{1f980}".repeat(75)] {
        let many: Vec<_> = (0..512)
            .map(|container| {
                let subject = image(container, ContainerKind::Regular, "web", written);
                Denial { subject: Some(subject), policy: Some("p".repeat(63).as_str().into()), ..web() }
            })
            .collect();
        let verdict = Verdict { warnings: many.clone(), audit: many.clone(), ..refusing(many) };
        let sent = sent(&verdict);
        for key in ["denied", "warned", "audited"] {
            let text = sent["response"]["auditAnnotations"][key].as_str().unwrap();
            assert!(text.len() <= ANNOTATION_BYTES, "{key}: {}", text.len());
            assert!(text.ends_with("; ..."), "{text}");
            assert!(text.starts_with("tag-mutable "), "{text}");
        }
    }
}

#[test]
fn only_the_answer_makes_it_allowed() {
    let everything_else = Verdict { warnings: vec![web()], audit: vec![web()], pending: true, ..admitting() };
    assert_eq!(sent(&everything_else)["response"]["allowed"], true);
    let refused = Verdict { answer: Answer::Deny(vec![web()]), ..everything_else };
    assert_eq!(sent(&refused)["response"]["allowed"], false);
}

#[test]
fn what_may_pass_by_itself_is_a_503_that_clients_try_again() {
    // No reason of this build is retriable, so the status is made from the outcome of that question.
    let again = serde_json::to_value(status("registry-unavailable".to_owned(), true)).unwrap();
    let details = json!({"retryAfterSeconds": 1});
    assert_eq!((&again["code"], &again["reason"]), (&json!(503), &json!("ServiceUnavailable")));
    assert_eq!((&again["details"], &again["message"]), (&details, &json!("registry-unavailable")));
    let never = serde_json::to_value(status("tag-mutable".to_owned(), false)).unwrap();
    assert_eq!((&never["code"], &never["reason"], never.get("details")), (&json!(403), &json!("Forbidden"), None));
}

#[test]
fn an_image_that_is_missing_is_told_by_its_container() {
    let subject = image(0, ContainerKind::Regular, "web", "");
    let text = message(&[denial(Some(subject), Some("acme"), Reason::ImageInvalid, "the image is empty")]);
    assert!(text.starts_with("containers[web]: image-invalid, the image is empty (policy acme)\n"), "{text}");
}
