//! [`Verdict`] to bytes, and to the words that people read. The only place that writes `allowed: true`.
//!
//! Limits are those of the API server: a warning may be cut above 256 characters and further ones are dropped above
//! 4,096 in all (Kubernetes, "Admission Webhook Good Practices").

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use serde::Serialize;

use crate::decision::verdict::{Answer, Denial, ImageVerdict, Permit, Verdict};

use super::Reply;

/// What a warning should not exceed; above it the sentence is cut, the code stays.
const WARNING_CHARACTERS: usize = 256;
/// All warnings of one answer, as the API server counts them over all webhooks.
const WARNINGS_CHARACTERS: usize = 4_096;
/// A refusal is read in a terminal, and stored in events of at most 1 KiB; beyond this, images are only counted.
const MESSAGE_BYTES: usize = 4_096;
/// Audit annotations go into the audit log of every request: short.
const ANNOTATION_BYTES: usize = 1_024;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: BTreeMap<&'static str, String>,
}

/// `metav1.Status`, as far as it matters to clients.
#[derive(Serialize)]
struct Status {
    status: &'static str,
    message: String,
    reason: &'static str,
    code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    retry_after_seconds: u32,
}

/// The answer to the review with this uid.
#[must_use]
pub fn encode(uid: &str, verdict: &Verdict) -> Reply {
    let (allowed, status, refused) = match &verdict.answer {
        Answer::Admit(permit) => (admitted(*permit), None, &[][..]),
        Answer::Deny(denials) => {
            let retriable = denials.iter().all(|denial| denial.reason.retriable());
            (false, Some(status(message(denials), retriable)), &denials[..])
        }
    };
    let response = Response {
        uid,
        allowed,
        status,
        warnings: warnings(&verdict.warnings, refused),
        audit_annotations: annotations(verdict),
    };
    let review = Review { api_version: "admission.k8s.io/v1", kind: "AdmissionReview", response };
    let body = serde_json::to_vec(&review);
    Reply { body: body.expect("strings, numbers and maps with string keys always become JSON") }
}

/// Only a permit becomes `allowed: true`.
fn admitted(permit: Permit) -> bool {
    let _: Permit = permit;
    true
}

/// 403, or 503 with `retryAfterSeconds` where every cause may pass by itself: clients built on client-go then try
/// again by themselves.
fn status(message: String, retriable: bool) -> Status {
    if retriable {
        let details = Some(Details { retry_after_seconds: 1 });
        return Status { status: "Failure", message, reason: "ServiceUnavailable", code: 503, details };
    }
    Status { status: "Failure", message, reason: "Forbidden", code: 403, details: None }
}

/// What the user reads: the first line alone says image, reason and policy, since `kubectl get events` shows no more.
#[must_use]
pub fn message(denials: &[Denial]) -> String {
    let mut text = first_line(denials);
    let mut told: Vec<Option<usize>> = Vec::new();
    for denial in denials {
        let image = denial.subject.as_ref().map(|subject| subject.container);
        if told.contains(&image) {
            continue;
        }
        if text.len() > MESSAGE_BYTES {
            text.push_str("\n  ...");
            break;
        }
        told.push(image);
        paragraph(&mut text, denial, denials, image);
    }
    text
}

/// Image, reason and policy of the worst, and how many more images there are.
#[must_use]
pub fn first_line(denials: &[Denial]) -> String {
    let Some(worst) = denials.first() else { return String::new() };
    let mut line = String::new();
    if let Some(subject) = &worst.subject {
        // An image that is missing has no name; its container has.
        let name = if subject.written.is_empty() { &*subject.title } else { &*subject.written };
        let _infallible = write!(line, "{name}: ");
    }
    // The semicolon separates the causes here, so the sentence does without.
    let _infallible = write!(line, "{}, {}", worst.reason.code(), worst.message.replace(';', ","));
    let others = other_images(denials);
    if others > 0 {
        let _infallible = write!(line, "; and {others} more image{}", if others == 1 { "" } else { "s" });
    }
    if let Some(policy) = &worst.policy {
        let _infallible = write!(line, " (policy {policy})");
    }
    line
}

/// How many images besides the worst one are refused.
fn other_images(denials: &[Denial]) -> usize {
    let mut images: Vec<usize> = denials.iter().filter_map(|denial| Some(denial.subject.as_ref()?.container)).collect();
    images.sort_unstable();
    images.dedup();
    let told = usize::from(denials.first().is_some_and(|worst| worst.subject.is_some()));
    images.len().saturating_sub(told)
}

fn paragraph(text: &mut String, first: &Denial, denials: &[Denial], image: Option<usize>) {
    let indent = match &first.subject {
        None => "  ",
        Some(subject) => {
            let digest = subject.digest.as_ref().map(|digest| format!(" ({digest})")).unwrap_or_default();
            let _infallible = write!(text, "\n  {} {}{digest}", subject.title, subject.written);
            "    "
        }
    };
    let mut said: Vec<(&str, &str)> = Vec::new();
    for denial in denials.iter().filter(|its| its.subject.as_ref().map(|subject| subject.container) == image) {
        let sentence = (denial.reason.code(), denial.message.as_str());
        // Floor and enforce may say the same thing.
        if !said.contains(&sentence) {
            let _infallible = write!(text, "\n{indent}{}: {}", sentence.0, sentence.1);
            said.push(sentence);
        }
    }
}

/// Worst first, each within its length, all within theirs; what does not fit is counted in the last. What a policy refuses
/// it does not warn of as well: nobody wants to read the same twice.
fn warnings(denials: &[Denial], refused: &[Denial]) -> Vec<String> {
    let (mut warnings, mut used, mut untold) = (Vec::new(), 0, 0_usize);
    let mut seen: HashSet<String> = refused.iter().map(warning).collect();
    for warning in denials.iter().map(warning) {
        if !seen.insert(warning.clone()) {
            continue;
        }
        used += warning.chars().count();
        // Room for the line that counts the rest.
        if used > WARNINGS_CHARACTERS - 64 {
            untold += 1;
        } else {
            warnings.push(warning);
        }
    }
    if untold > 0 {
        warnings.push(format!("pratique: and {untold} more"));
    }
    warnings
}

/// Title and image are cut so far that code and policy always fit whole, and some words between them.
fn warning(denial: &Denial) -> String {
    let code = denial.reason.code();
    let policy = denial.policy.as_ref().map(|policy| format!(" (policy {policy})")).unwrap_or_default();
    let subject = denial
        .subject
        .as_ref()
        .map_or_else(String::new, |subject| format!("{} {}: ", cut(&subject.title, 56), cut(&subject.written, 72)));
    let head = format!("{subject}{code}: ");
    let room = WARNING_CHARACTERS.saturating_sub(head.chars().count() + policy.chars().count());
    format!("{head}{}{policy}", cut(&denial.message, room))
}

fn cut(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    let kept: String = text.chars().take(characters.saturating_sub(3)).collect();
    format!("{kept}...")
}

/// Short stable keys; the API server puts the webhook's name in front of them.
fn annotations(verdict: &Verdict) -> BTreeMap<&'static str, String> {
    let mut annotations = BTreeMap::new();
    match &verdict.answer {
        Answer::Admit(permit) => {
            annotations.insert("basis", permit.basis().label().to_owned());
        }
        Answer::Deny(denials) => {
            annotations.insert("denied", summary(denials));
        }
    }
    if !verdict.warnings.is_empty() {
        annotations.insert("warned", summary(&verdict.warnings));
    }
    if !verdict.audit.is_empty() {
        annotations.insert("audited", summary(&verdict.audit));
    }
    let digests = digests(&verdict.images);
    if !digests.is_empty() {
        annotations.insert("digests", digests);
    }
    let reports = reports(&verdict.images);
    if !reports.is_empty() {
        annotations.insert("reports", reports);
    }
    if verdict.pending {
        annotations.insert("pending", "true".to_owned());
    }
    annotations
}

/// What there was of scan reports, the gravest state of each image: `spec.containers[0].image=stale`.
fn reports(images: &[ImageVerdict]) -> String {
    let state = |image: &ImageVerdict| {
        let worst = image.reports.iter().map(|report| report.state).max()?;
        Some(format!("{}={}", image.path, worst.label()))
    };
    let mut list = String::new();
    for one in images.iter().filter_map(state) {
        if list.len() + one.len() > ANNOTATION_BYTES {
            list.push_str(" ...");
            break;
        }
        let separator = if list.is_empty() { "" } else { " " };
        let _infallible = write!(list, "{separator}{one}");
    }
    list
}

/// What the names stood for that have no digest written: `spec.containers[0].image=sha256:...`.
fn digests(images: &[ImageVerdict]) -> String {
    let mut text = String::new();
    for image in images.iter().filter(|image| image.resolved) {
        let Some(digest) = &image.digest else { continue };
        let separator = if text.is_empty() { "" } else { " " };
        let entry = format!("{separator}{}={digest}", image.path);
        if text.len() + entry.len() > ANNOTATION_BYTES - 8 {
            text.push_str(" ...");
            break;
        }
        text.push_str(&entry);
    }
    text
}

/// Code, image, policy and mode of each; of what is about the whole object the sentence, as it alone says what.
fn summary(denials: &[Denial]) -> String {
    let mut text = String::new();
    for denial in denials {
        let separator = if text.is_empty() { "" } else { "; " };
        let about = match &denial.subject {
            Some(subject) => format!(" {}", subject.written),
            None => format!(": {}", denial.message),
        };
        let policy = denial.policy.as_ref().map(|policy| format!("{policy}, ")).unwrap_or_default();
        let entry = format!("{separator}{}{about} ({policy}{})", denial.reason.code(), denial.mode.label());
        if text.len() + entry.len() > ANNOTATION_BYTES - 8 {
            text.push_str("; ...");
            break;
        }
        text.push_str(&entry);
    }
    text
}

#[cfg(test)]
mod tests;
