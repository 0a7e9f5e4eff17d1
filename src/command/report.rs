//! What `check` prints: the JSON of the contract, the same for people, and SARIF for code-scanning pages.

use crate::decision::verdict::{Answer, Denial, ImageVerdict, Outcome, Verdict};
use crate::request::{Container, Request, Subject};

pub(super) use json::as_json;
pub(super) use sarif::as_sarif;
pub(super) use text::as_text;

pub(super) mod findings;
mod json;
mod sarif;
mod text;

/// Names come from whoever wrote the manifest, and a log of CI is read by others.
const TITLE_BYTES: usize = 400;

/// One object with what became of it.
pub(super) struct Judged {
    pub(super) source: String,
    pub(super) kind: String,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) request: Request,
    pub(super) verdict: Verdict,
    /// Where it stands in its source, where that was looked for.
    pub(super) lines: Lines,
}

/// Lines of a source, counted from 1; none where nobody looked, or they cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Lines {
    /// Where the object begins.
    pub(super) object: Option<u64>,
    /// Of each image, in the order of the containers.
    pub(super) images: Vec<Option<u64>>,
}

/// The outcome over all objects; what could not be read is at least undetermined.
pub(super) fn overall(judged: &[Judged], unreadable: bool) -> Outcome {
    let floor = if unreadable { Outcome::Undetermined } else { Outcome::Admitted };
    judged.iter().map(|object| object.verdict.outcome()).max().unwrap_or(floor).max(floor)
}

/// The containers with what became of each; nothing became of those of an object that was not judged image by image.
fn images(judged: &Judged) -> Vec<(&Container, Option<&ImageVerdict>)> {
    let Subject::Images { containers, .. } = &judged.request.subject else { return Vec::new() };
    containers.iter().enumerate().map(|(index, container)| (container, judged.verdict.images.get(index))).collect()
}

fn image_word(judged: &Judged, image: Option<&ImageVerdict>) -> Outcome {
    match image {
        Some(ImageVerdict { basis: Some(_), .. }) => Outcome::Admitted,
        // Refused itself, or with its whole object.
        Some(ImageVerdict { basis: None, .. }) | None => judged.verdict.outcome(),
    }
}

/// Everything that is held against one container, or (none) against the whole object, in all modes.
fn denials(verdict: &Verdict, container: Option<usize>) -> Vec<&Denial> {
    let refused: &[Denial] = match &verdict.answer {
        Answer::Deny(denials) => denials,
        Answer::Admit(_) => &[],
    };
    let all = refused.iter().chain(&verdict.warnings).chain(&verdict.audit);
    all.filter(|denial| denial.subject.as_ref().map(|subject| subject.container) == container).collect()
}

#[cfg(test)]
mod tests;
