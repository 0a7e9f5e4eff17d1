//! What `check` prints: the JSON of the contract, and the same for people.

use std::fmt::Write as _;

use serde::Serialize;

use crate::decision::verdict::{Answer, Denial, ImageVerdict, Outcome, SignatureVerdict, Verdict};
use crate::image::{Digest, Reference};
use crate::policy::{PolicyName, RuleName};
use crate::request::{Container, Request, Subject, printable};

/// Names come from whoever wrote the manifest, and a log of CI is read by others.
const TITLE_BYTES: usize = 400;

/// SGR codes that terminals know since ever: green, yellow, red.
fn colour(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Admitted => "32",
        Outcome::Undetermined => "33",
        Outcome::Refused => "31",
    }
}

/// One object with what became of it.
pub(super) struct Judged {
    pub(super) source: String,
    pub(super) kind: String,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) request: Request,
    pub(super) verdict: Verdict,
}

/// The outcome over all objects; what could not be read is at least undetermined.
pub(super) fn overall(judged: &[Judged], unreadable: bool) -> Outcome {
    let floor = if unreadable { Outcome::Undetermined } else { Outcome::Admitted };
    judged.iter().map(|object| object.verdict.outcome()).max().unwrap_or(floor).max(floor)
}

/// The JSON of the contract, in its order.
#[derive(Serialize)]
struct Answered<'a> {
    verdict: &'static str,
    objects: Vec<AnsweredObject<'a>>,
}

#[derive(Serialize)]
struct AnsweredObject<'a> {
    source: &'a str,
    kind: &'a str,
    namespace: Option<&'a str>,
    name: &'a str,
    verdict: &'static str,
    images: Vec<AnsweredImage<'a>>,
    /// What is held against the whole object: nothing, but where it is undetermined or its policy unknown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    denials: Vec<AnsweredDenial<'a>>,
}

#[derive(Serialize)]
struct AnsweredImage<'a> {
    path: String,
    container: Option<&'a str>,
    image: &'a str,
    registry: Option<&'a str>,
    repository: Option<&'a str>,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
    verdict: &'static str,
    basis: Option<&'static str>,
    policy: Option<&'a str>,
    rule: Option<&'a str>,
    denials: Vec<AnsweredDenial<'a>>,
    /// What was found attached to it, where signatures or attestations are demanded.
    signatures: Vec<AnsweredSignature<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AnsweredSignature<'a> {
    digest: &'a str,
    layout: &'static str,
    predicate_type: Option<&'a str>,
    authority: Option<&'a str>,
    issuer: Option<&'a str>,
    subject: Option<&'a str>,
    key: Option<String>,
    /// RFC 3339.
    integrated_time: Option<String>,
    accepted: bool,
    why: Option<&'a str>,
}

#[derive(Serialize)]
struct AnsweredDenial<'a> {
    mode: &'static str,
    policy: Option<&'a str>,
    check: &'static str,
    reason: &'static str,
    message: &'a str,
    retriable: bool,
}

pub(super) fn as_json(judged: &[Judged], unreadable: bool) -> String {
    let objects = judged.iter().map(object).collect();
    let answered = Answered { verdict: overall(judged, unreadable).label(), objects };
    let text = serde_json::to_string_pretty(&answered);
    text.expect("strings and lists always become JSON") + "\n"
}

fn object(judged: &Judged) -> AnsweredObject<'_> {
    AnsweredObject {
        source: &judged.source,
        kind: &judged.kind,
        namespace: judged.namespace.as_deref(),
        name: &judged.name,
        verdict: judged.verdict.outcome().label(),
        images: images(judged).into_iter().map(|(container, verdict)| image(judged, container, verdict)).collect(),
        denials: denials(&judged.verdict, None).into_iter().map(denial).collect(),
    }
}

fn image<'a>(judged: &'a Judged, container: &'a Container, verdict: Option<&'a ImageVerdict>) -> AnsweredImage<'a> {
    let reference = container.reference.as_ref().ok();
    let bare = judged.kind == "Image";
    let denials = verdict.map_or_else(Vec::new, |image| denials(&judged.verdict, Some(image.container)));
    AnsweredImage {
        path: if bare { "image".to_owned() } else { container.path.to_string() },
        container: (!bare).then_some(&container.name),
        image: &container.written,
        registry: reference.map(Reference::registry),
        repository: reference.map(Reference::repository),
        tag: reference.and_then(Reference::tag),
        digest: verdict
            .and_then(|image| image.digest.as_ref())
            .or_else(|| reference.and_then(Reference::digest))
            .map(Digest::as_str),
        verdict: image_word(judged, verdict).label(),
        basis: basis(judged, verdict),
        policy: verdict.and_then(|image| image.policy.as_ref()).map(PolicyName::as_str),
        rule: verdict.and_then(|image| image.rule.as_ref()).map(RuleName::as_str),
        denials: denials.into_iter().map(denial).collect(),
        signatures: verdict.map_or_else(Vec::new, |image| image.signatures.iter().map(signature).collect()),
    }
}

fn denial(denial: &Denial) -> AnsweredDenial<'_> {
    AnsweredDenial {
        mode: denial.mode.label(),
        policy: denial.policy.as_ref().map(PolicyName::as_str),
        check: denial.reason.check(),
        reason: denial.reason.code(),
        message: &denial.message,
        retriable: denial.reason.retriable(),
    }
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

fn signature(found: &SignatureVerdict) -> AnsweredSignature<'_> {
    let SignatureVerdict { digest, layout, predicate_type, authority, issuer, subject, key, made, accepted, why } =
        found;
    AnsweredSignature {
        digest: digest.as_str(),
        layout,
        predicate_type: predicate_type.as_deref(),
        authority: authority.as_deref(),
        issuer: issuer.as_deref(),
        subject: subject.as_deref(),
        key: key.map(|key| key.to_string()),
        integrated_time: made.map(|made| made.to_string()),
        accepted: *accepted,
        why: why.as_deref(),
    }
}

fn basis(judged: &Judged, image: Option<&ImageVerdict>) -> Option<&'static str> {
    match (&judged.verdict.answer, image) {
        (_, Some(image)) => image.basis.map(crate::decision::verdict::Basis::label),
        (Answer::Admit(permit), None) => Some(permit.basis().label()),
        (Answer::Deny(_), None) => None,
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

/// For a person: each object with its images and what is held against them, then the sum.
pub(super) fn as_text(judged: &[Judged], terminal: bool) -> String {
    let paint = |word: Outcome| {
        let (colour, label) = (colour(word), word.label());
        if terminal { format!("\x1b[{colour}m{label}\x1b[0m") } else { label.to_owned() }
    };
    let mut text = String::new();
    for object in judged {
        let verdict = paint(object.verdict.outcome());
        let (source, title) = (printable(&object.source, TITLE_BYTES), printable(&title(object), TITLE_BYTES));
        let _infallible = writeln!(text, "{source}: {title}: {verdict}");
        tell(&mut text, "  ", &denials(&object.verdict, None));
        for (container, image) in images(object) {
            let title = if object.kind == "Image" { "image".to_owned() } else { container.title() };
            let (title, written) = (printable(&title, TITLE_BYTES), printable(&container.written, TITLE_BYTES));
            let verdict = paint(image_word(object, image));
            let digest = found(container, image).map(|digest| format!(", {digest}")).unwrap_or_default();
            let _infallible = writeln!(text, "  {title} {written}: {verdict}{digest}");
            let held = image.map_or_else(Vec::new, |image| denials(&object.verdict, Some(image.container)));
            tell(&mut text, "    ", &held);
            if let Some(image) = image {
                tell_signers(&mut text, image);
            }
        }
    }
    text + &sum(judged)
}

/// What a name without digest stands for, where it was found out.
fn found<'a>(container: &Container, image: Option<&'a ImageVerdict>) -> Option<&'a Digest> {
    let pinned = container.reference.as_ref().is_ok_and(|reference| reference.digest().is_some());
    image.and_then(|image| image.digest.as_ref()).filter(|_| !pinned)
}

fn title(object: &Judged) -> String {
    if object.kind == "Image" {
        return object.name.clone();
    }
    let namespace = object.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    format!("{} {namespace}{}", object.kind, object.name)
}

fn tell(text: &mut String, indent: &str, denials: &[&Denial]) {
    for denial in denials {
        let policy = denial.policy.as_ref().map(|policy| format!(" {policy}")).unwrap_or_default();
        let (code, mode) = (denial.reason.code(), denial.mode.label());
        let _infallible = writeln!(text, "{indent}{code}: {} ({mode}{policy})", denial.message);
    }
}

/// Who signed and attested, as far as it counts.
fn tell_signers(text: &mut String, image: &ImageVerdict) {
    for found in image.signatures.iter().filter(|found| found.accepted) {
        let word = if found.predicate_type.is_some() { "attested" } else { "signed" };
        let what = found.predicate_type.as_ref().map(|its| format!(" {its}")).unwrap_or_default();
        let authority = found.authority.as_deref().unwrap_or_default();
        let who = match (&found.subject, &found.key) {
            (Some(subject), _) => format!(" ({subject})"),
            (None, Some(key)) => format!(" ({key})"),
            (None, None) => String::new(),
        };
        let made = found.made.map(|made| format!(" at {}", made.strftime("%Y-%m-%dT%H:%M:%SZ"))).unwrap_or_default();
        let _infallible = writeln!(text, "    {word}{what} by {authority}{who}{made}, {}", found.layout);
    }
}

fn sum(judged: &[Judged]) -> String {
    let words = judged.iter().flat_map(|object| images(object).into_iter().map(|(_, image)| image_word(object, image)));
    let words: Vec<Outcome> = words.collect();
    let images = |word: Outcome| words.iter().filter(|its| **its == word).count();
    let objects = |wanted: Outcome| judged.iter().filter(|object| object.verdict.outcome() == wanted).count();
    format!(
        "{} images in {} objects: {} admitted, {} refused; {} objects undetermined\n",
        words.len(),
        judged.len(),
        images(Outcome::Admitted),
        images(Outcome::Refused),
        objects(Outcome::Undetermined)
    )
}
