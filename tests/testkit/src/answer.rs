//! An answer, read as strictly as an API server reads it, and told as kubectl tells it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

/// The name under which API servers know the webhook, as in the shipped manifests.
const WEBHOOK: &str = "images.pratique.dev";

/// What the webhook said about one review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub allowed: bool,
    /// `status.code`, where it was refused.
    pub code: Option<u64>,
    /// `status.message`; empty where it was not refused.
    pub message: String,
    /// `status.reason`: Kubernetes' word, not ours.
    pub reason: String,
    pub warnings: Vec<String>,
    pub annotations: BTreeMap<String, String>,
    /// `status.details.retryAfterSeconds`.
    pub retry_after: Option<u64>,
    /// `pod/web`, and what kubectl says was done to it.
    subject: (String, &'static str),
}

impl Answer {
    /// Reads the answer to `review`; panics where an API server would reject it.
    #[must_use]
    pub fn read(review: &Value, body: &[u8]) -> Self {
        let shown = String::from_utf8_lossy(body);
        let answer: Value = serde_json::from_slice(body).unwrap_or_else(|error| panic!("no JSON ({error}): {shown}"));
        assert_eq!(answer["apiVersion"], "admission.k8s.io/v1", "{shown}");
        assert_eq!(answer["kind"], "AdmissionReview", "{shown}");
        let response = &answer["response"];
        assert_eq!(
            response["uid"], review["request"]["uid"],
            "expected response.uid to be that of the request: {shown}"
        );
        assert_eq!(response.get("patch"), None, "a validating webhook must not patch: {shown}");
        let status = &response["status"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let read = Self {
            allowed: response["allowed"].as_bool().unwrap_or_else(|| panic!("allowed must be a boolean: {shown}")),
            code: status["code"].as_u64(),
            message: text(&status["message"]),
            reason: text(&status["reason"]),
            warnings: response["warnings"].as_array().into_iter().flatten().map(text).collect(),
            annotations: response["auditAnnotations"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(key, value)| (key.clone(), text(value)))
                .collect(),
            retry_after: status["details"]["retryAfterSeconds"].as_u64(),
            subject: subject(&review["request"]),
        };
        read.check_limits(&shown);
        read
    }

    /// What holds for every answer, whatever was asked.
    fn check_limits(&self, shown: &str) {
        if self.allowed {
            assert_eq!((self.code, self.message.as_str()), (None, ""), "an admission with a status: {shown}");
        } else {
            assert!(!self.message.is_empty(), "a refusal without a reason: {shown}");
            let expected = if self.retry_after.is_some() { 503 } else { 403 };
            assert_eq!(self.code, Some(expected), "{shown}");
        }
        let lengths: Vec<usize> = self.warnings.iter().map(|warning| warning.chars().count()).collect();
        assert!(lengths.iter().all(|length| *length <= 256), "a warning longer than 256 characters: {shown}");
        assert!(lengths.iter().sum::<usize>() <= 4_096, "warnings of more than 4,096 characters: {shown}");
        for text in self.warnings.iter().chain(self.annotations.values()) {
            assert!(!text.chars().any(char::is_control), "control characters in a line: {text:?}");
        }
        let unprintable = |character: char| character.is_control() && character != '\n';
        assert!(!self.message.chars().any(unprintable), "control characters in the message: {:?}", self.message);
        for (key, value) in &self.annotations {
            let fits =
                key.len() <= 63 && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            assert!(fits, "an annotation key that the API server drops: {key:?}");
            assert!(value.len() <= 1_024, "an annotation of {} bytes: {key}", value.len());
        }
    }

    /// The line that `kubectl get events` shows of a refusal.
    #[must_use]
    pub fn first_line(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }

    /// What kubectl would print.
    #[must_use]
    pub fn as_kubectl(&self) -> String {
        let mut shown = String::new();
        for warning in &self.warnings {
            let _infallible = writeln!(shown, "Warning: {warning}");
        }
        let (subject, done) = &self.subject;
        let _infallible = if self.allowed {
            write!(shown, "{subject} {done}")
        } else {
            let reason = if self.reason.is_empty() { String::new() } else { format!(" ({})", self.reason) };
            let message = &self.message;
            write!(shown, "Error from server{reason}: admission webhook \"{WEBHOOK}\" denied the request: {message}")
        };
        shown
    }
}

/// `deployment.apps/web` and `created`, as kubectl names object and deed.
fn subject(request: &Value) -> (String, &'static str) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, group) = (text(&request["kind"]["kind"]).to_lowercase(), text(&request["kind"]["group"]));
    let separator = if group.is_empty() { "" } else { "." };
    let done = match request["operation"].as_str() {
        Some("UPDATE") => "configured",
        Some("DELETE") => "deleted",
        Some(_) | None => "created",
    };
    let dry_run = request["dryRun"] == true;
    let done = match (dry_run, done) {
        (true, "created") => "created (server dry run)",
        (_, done) => done,
    };
    (format!("{kind}{separator}{group}/{}", text(&request["name"])), done)
}
