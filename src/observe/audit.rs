//! The one structured line per decision.

use std::fmt::Write as _;
use std::time::Duration;

use crate::decision::verdict::{Answer, Denial, ImageVerdict, Verdict};
use crate::policy::plan::Plan;
use crate::request::{Request, Subject};

/// A line of the log stays one that a person can read, and that collectors take whole (16 KiB in containerd).
const FIELD_BYTES: usize = 4_096;

pub(super) fn log(plan: &Plan<'_>, verdict: &Verdict, elapsed: Duration) {
    let request = plan.request;
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    let (outcome, basis, refused) = match &verdict.answer {
        Answer::Admit(permit) => ("admitted", permit.basis().label(), String::new()),
        Answer::Deny(denials) => ("refused", "", denial_list(denials)),
    };
    tracing::info!(
        target: "pratique::decision",
        uid = request.uid,
        verdict = outcome,
        basis,
        operation = request.operation.label(),
        kind = request.kind,
        namespace = request.namespace,
        name = request.name,
        images = image_list(request, &verdict.images),
        refused,
        warned = denial_list(&verdict.warnings),
        audited = denial_list(&verdict.audit),
        pending = verdict.unfinished,
        dry_run = request.dry_run || plan.dry_run,
        namespace_unknown = plan.namespace_unknown,
        micros,
        "decided"
    );
}

pub(super) fn log_finished(plan: &Plan<'_>, verdict: &Verdict) {
    tracing::info!(
        target: "pratique::decision",
        uid = plan.request.uid,
        namespace = plan.request.namespace,
        name = plan.request.name,
        warned = denial_list(&verdict.warnings),
        audited = denial_list(&verdict.audit),
        "finished after the reply"
    );
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
        let written: String = container.written.chars().take(300).collect();
        let _infallible = write!(list, "{separator}{}={written}", container.title());
        if let Some(policy) = &image.policy {
            let rule = image.rule.as_ref().map_or("-", |rule| rule.as_str());
            let _infallible = write!(list, "({policy}/{rule})");
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
