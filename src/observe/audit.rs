//! The one structured line per decision.

use std::fmt::Write as _;
use std::time::Duration;

use crate::decision::verdict::{Answer, Denial, ImageVerdict, Verdict};
use crate::policy::plan::Plan;
use crate::request::{Request, Subject, printable};

/// A line of the log stays one that a person can read, and that collectors take whole (16 KiB in containerd).
const FIELD_BYTES: usize = 4_096;
/// Names of Kubernetes have 253 characters at most; longer ones come from no API server.
const NAME_BYTES: usize = 300;

pub(super) fn log(plan: &Plan<'_>, verdict: &Verdict, elapsed: Duration) {
    let request = plan.request;
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    let (basis, refused) = match &verdict.answer {
        Answer::Admit(permit) => (permit.basis().label(), String::new()),
        Answer::Deny(denials) => ("", denial_list(denials)),
    };
    tracing::info!(
        target: "pratique::decision",
        uid = request.uid,
        verdict = verdict.outcome().label(),
        basis,
        operation = request.operation.label(),
        kind = cut(&request.kind),
        namespace = cut(&request.namespace),
        name = cut(&request.name),
        images = image_list(request, &verdict.images),
        refused,
        warned = denial_list(&verdict.warnings),
        audited = denial_list(&verdict.audit),
        pending = verdict.pending,
        dry_run = request.dry_run || plan.dry_run,
        namespace_unknown = plan.namespace_unknown.is_some(),
        micros,
        "decided"
    );
}

pub(super) fn log_finished(plan: &Plan<'_>, verdict: &Verdict) {
    tracing::info!(
        target: "pratique::decision",
        uid = plan.request.uid,
        namespace = cut(&plan.request.namespace),
        name = cut(&plan.request.name),
        images = image_list(plan.request, &verdict.images),
        warned = denial_list(&verdict.warnings),
        audited = denial_list(&verdict.audit),
        "finished after the reply"
    );
}

fn cut(name: &str) -> &str {
    name.get(..name.floor_char_boundary(NAME_BYTES)).unwrap_or(name)
}

/// `containers[web]=nginx:latest(policy/rule)`, where a policy judged it.
fn image_list(request: &Request, images: &[ImageVerdict]) -> String {
    let Subject::Images { containers, .. } = &request.subject else { return String::new() };
    let mut list = String::new();
    for (container, image) in containers.iter().zip(images) {
        if list.len() > FIELD_BYTES {
            list.push_str(" ...");
            break;
        }
        let separator = if list.is_empty() { "" } else { " " };
        let (list_name, name, written) = (container.path.kind.field(), cut(&container.name), cut(&container.written));
        let _infallible = write!(list, "{separator}{list_name}[{name}]={written}");
        if let Some(digest) = image.digest.as_ref().filter(|_| image.resolved) {
            let _infallible = write!(list, "@{digest}");
        }
        if let Some(policy) = &image.policy {
            let rule = image.rule.as_ref().map_or("-", |rule| rule.as_str());
            let _infallible = write!(list, "({policy}/{rule})");
        }
        for found in image.signatures.iter().filter(|found| found.accepted) {
            let word = if found.predicate_type.is_some() { "attested" } else { "signed" };
            let authority = found.authority.as_deref().unwrap_or_default();
            let subject = cut(found.subject.as_deref().unwrap_or_default());
            let _infallible = write!(list, "[{word} by {authority}");
            let _infallible = match &found.key {
                Some(key) => write!(list, " {key}]"),
                None => write!(list, " {subject}]"),
            };
        }
        for report in &image.reports {
            let scanner = cut(report.scanner.as_deref().unwrap_or("scan"));
            let _infallible = write!(list, "[{} {}", printable(scanner, NAME_BYTES), report.state.label());
            if let Some(at) = report.scanned_at {
                let _infallible = write!(list, " of {at}");
            }
            list.push(']');
        }
        if let Some(since) = image.admitted_since {
            let _infallible = write!(list, "[since {since}]");
        }
    }
    list
}

fn denial_list(denials: &[Denial]) -> String {
    let mut list = String::new();
    for denial in denials {
        if list.len() > FIELD_BYTES {
            list.push_str("; ...");
            break;
        }
        let separator = if list.is_empty() { "" } else { "; " };
        let subject = denial.subject.as_ref().map(|subject| format!("{} {} ", subject.title, subject.written));
        let policy = denial.policy.as_ref().map_or("-", |policy| policy.as_str());
        let mode = denial.mode.label();
        let (subject, code) = (subject.unwrap_or_default(), denial.reason.code());
        let _infallible = write!(list, "{separator}{subject}{code} ({mode} {policy}): {}", denial.message);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::verdict::{Basis, Reason};
    use crate::policy::Mode;
    use crate::request::{Container, ContainerKind};

    fn request(containers: Vec<(&str, &str)>) -> Request {
        let container = |(name, written)| Container::first(ContainerKind::Regular, name, written);
        let containers = containers.into_iter().map(container).collect();
        Request::about(Subject::Images { containers, old: Vec::new() })
    }

    fn judged(container: usize) -> ImageVerdict {
        let (policy, rule) = (Some("acme".into()), Some("all".into()));
        let path = Container::first(ContainerKind::Regular, "web", "nginx").path;
        let basis = Some(Basis::EveryDemandMet);
        ImageVerdict {
            container,
            path,
            policy,
            rule,
            basis,
            digest: None,
            resolved: true,
            admitted_since: None,
            signatures: Vec::new(),
            reports: Vec::new(),
        }
    }

    #[test]
    fn an_image_stands_with_its_container_policy_and_rule() {
        let request = request(vec![("web", "nginx:1"), ("side", "envoy:1")]);
        let unjudged = ImageVerdict { policy: None, rule: None, ..judged(1) };
        let list = image_list(&request, &[judged(0), unjudged]);
        assert_eq!(list, "containers[web]=nginx:1(acme/all) containers[side]=envoy:1");
    }

    #[test]
    fn a_line_is_bounded_whatever_the_names_are() {
        for name in ["x", "\u{1f980}"] {
            let long = name.repeat(1 << 20);
            assert!(cut(&long).len() <= NAME_BYTES);
            let request = request(vec![(&long, &long); 64]);
            let images: Vec<_> = (0..64).map(judged).collect();
            let list = image_list(&request, &images);
            assert!(list.len() < FIELD_BYTES + 1_024, "{}", list.len());
            assert!(list.ends_with(" ..."));
        }
        assert_eq!(cut("web"), "web");
    }

    #[test]
    fn a_list_of_denials_is_bounded_too() {
        let message = "m".repeat(400);
        let denial = Denial {
            mode: Mode::Enforce,
            softened: false,
            policy: Some("acme".into()),
            rule: None,
            subject: None,
            reason: Reason::PolicyUnknown,
            message,
        };
        let list = denial_list(&vec![denial; 512]);
        assert!(list.starts_with("policy-unknown (enforce acme): mmm"), "{list}");
        assert!(list.len() < FIELD_BYTES + 1_024 && list.ends_with("; ..."), "{}", list.len());
    }
}
