//! The review of an ImagePolicy that somebody is about to write: to the words of its linter, and back.
//!
//! Nothing here decides about an image. Whatever is not an ImagePolicy is refused, so that a webhook configuration which
//! sends Pods here by mistake lets none in. What leaves the spec as it is passes, however wrong it is: a finalizer must be
//! removable, and a status must say that it is wrong.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::request::printable;

use super::field::{Fields, Text};
use super::{Malformed, Reply, decode};

/// What a warning should not exceed (Kubernetes, "Admission Webhook Good Practices").
const WARNING_CHARACTERS: usize = 256;
/// All warnings of one answer.
const WARNINGS_CHARACTERS: usize = 4_096;
/// A refusal is read in a terminal; beyond this, mistakes are only counted.
const MESSAGE_BYTES: usize = 4_096;
/// Of one mistake in it.
const LINE_BYTES: usize = 512;
/// Of what was sent instead of an ImagePolicy.
const TOLD_BYTES: usize = 100;

const GROUP: &str = "pratique.dev";
const KIND: &str = "ImagePolicy";

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
pub struct PolicyReview {
    pub uid: String,
    pub question: Question,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether this object, as JSON, is a policy without mistakes.
    Lint(String),
    /// The spec is as it was, or there is no object any more.
    Unchanged,
    /// It cannot be told what is asked, or it is about something else; why.
    Unanswerable(String),
}

/// What the linter says, a line for each mistake.
pub type Opinion = Result<Warnings, Mistakes>;

/// It is valid, and worth these words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Warnings(pub Vec<String>);

/// It is not valid; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub Vec<String>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow)]
    api_version: Text<'a>,
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    request: Fields<Asked<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked<'a> {
    #[serde(borrow)]
    kind: Fields<GroupKind<'a>>,
    #[serde(borrow)]
    operation: Text<'a>,
    #[serde(borrow, default)]
    object: Option<&'a RawValue>,
    #[serde(borrow, default)]
    old_object: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct GroupKind<'a> {
    #[serde(borrow)]
    group: Text<'a>,
    #[serde(borrow)]
    kind: Text<'a>,
}

/// Decodes one body. [`Malformed`] only where there is no uid to answer to.
pub fn decode(body: &[u8]) -> Result<PolicyReview, Malformed> {
    let uid = decode::uid(body);
    let uid = uid.ok_or_else(|| Malformed("the body is no AdmissionReview that could be answered".to_owned()))?;
    let question = match serde_json::from_slice::<Fields<Envelope<'_>>>(body) {
        Ok(Fields(envelope)) => question(&envelope),
        Err(error) => Question::Unanswerable(printable(&format!("the review is malformed: {error}"), LINE_BYTES)),
    };
    Ok(PolicyReview { uid, question })
}

fn question(Envelope { api_version, kind, request: Fields(asked) }: &Envelope<'_>) -> Question {
    if (&*api_version.0, &*kind.0) != ("admission.k8s.io/v1", "AdmissionReview") {
        let found = printable(&format!("{} {}", api_version.0, kind.0), TOLD_BYTES);
        let words = format!("the review is {found:?}, and only admission.k8s.io/v1 AdmissionReview is understood");
        return Question::Unanswerable(words);
    }
    let Fields(about) = &asked.kind;
    if (&*about.group.0, &*about.kind.0) != (GROUP, KIND) {
        let found = printable(&format!("{} {}", about.group.0, about.kind.0), TOLD_BYTES);
        let words = format!(
            "ImagePolicies alone are judged here, and this is {found:?}: the webhook configuration must send it to \
             /validate"
        );
        return Question::Unanswerable(words);
    }
    match (&*asked.operation.0, asked.object, asked.old_object) {
        ("DELETE" | "CONNECT", _, _) => Question::Unchanged,
        ("UPDATE", Some(object), Some(old)) if same_spec(object, old) => Question::Unchanged,
        (_, Some(object), _) => Question::Lint(object.get().to_owned()),
        (_, None, _) => Question::Unanswerable("the review has no object".to_owned()),
    }
}

/// Whether both can be read, and say the same.
fn same_spec(object: &RawValue, old: &RawValue) -> bool {
    // Whatever else stands in it was written by somebody, who is to hear of a slip.
    let written = |raw: &RawValue| {
        let mut fields: serde_json::Map<String, Value> = serde_json::from_str(raw.get()).ok()?;
        fields.retain(|key, _| key != "metadata" && key != "status");
        Some(fields)
    };
    written(object).is_some_and(|new| written(old) == Some(new))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Serialize)]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// `metav1.Status`, as far as it matters to clients. Without details, since kubectl would then show them alone.
#[derive(Serialize)]
struct Status {
    status: &'static str,
    message: String,
    reason: &'static str,
    code: u16,
}

/// The answer to the review with this uid.
#[must_use]
pub fn encode(uid: &str, opinion: &Opinion) -> Reply {
    let (status, warnings) = match opinion {
        Ok(Warnings(lines)) => (None, warnings(lines)),
        Err(Mistakes(lines)) => {
            let status = Status { status: "Failure", message: message(lines), reason: "Invalid", code: 422 };
            (Some(status), Vec::new())
        }
    };
    let response = Response { uid, allowed: opinion.is_ok(), status, warnings };
    let review = Review { api_version: "admission.k8s.io/v1", kind: "AdmissionReview", response };
    let body = serde_json::to_vec(&review);
    Reply { body: body.expect("strings, numbers and lists always become JSON") }
}

/// The first line alone says what is wrong first and how much more there is; then all of them.
fn message(lines: &[String]) -> String {
    let Some(first) = lines.first() else { return "it has mistakes".to_owned() };
    let mut message = printable(first, LINE_BYTES);
    let others = lines.len() - 1;
    if others == 0 {
        return message;
    }
    let _infallible = write!(message, "; and {others} more");
    for (told, line) in lines.iter().enumerate() {
        if message.len() > MESSAGE_BYTES {
            let _infallible = write!(message, "\n  ... and {} more", lines.len() - told);
            break;
        }
        let _infallible = write!(message, "\n  {}", printable(line, LINE_BYTES));
    }
    message
}

fn warnings(lines: &[String]) -> Vec<String> {
    let (mut warnings, mut used) = (Vec::new(), 0);
    for (told, line) in lines.iter().enumerate() {
        let line = cut(printable(line, LINE_BYTES));
        used += line.chars().count();
        // Room for the line that counts the rest.
        if used > WARNINGS_CHARACTERS - 64 {
            warnings.push(format!("pratique: and {} more", lines.len() - told));
            break;
        }
        warnings.push(line);
    }
    warnings
}

fn cut(line: String) -> String {
    if line.chars().count() <= WARNING_CHARACTERS {
        return line;
    }
    let kept: String = line.chars().take(WARNING_CHARACTERS - 3).collect();
    format!("{kept}...")
}

#[cfg(test)]
mod tests;
