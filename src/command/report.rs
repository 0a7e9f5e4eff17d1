//! What `check` prints: the JSON of the contract, and the same for people.

use serde_json::{Value, json};

use crate::decision::verdict::{Answer, Denial, ImageVerdict, Verdict};
use crate::request::{Container, Subject};

use super::check::{self, Judged};

/// One of the three outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Word {
    Admitted,
    Undetermined,
    Refused,
}

impl Word {
    fn label(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Undetermined => "undetermined",
            Self::Refused => "refused",
        }
    }

    /// SGR codes that terminals know since ever: green, yellow, red.
    fn colour(self) -> &'static str {
        match self {
            Self::Admitted => "32",
            Self::Undetermined => "33",
            Self::Refused => "31",
        }
    }
}

/// The outcome over all objects; what could not be read is at least undetermined.
pub(super) fn overall(judged: &[Judged], unreadable: bool) -> Word {
    let floor = if unreadable { Word::Undetermined } else { Word::Admitted };
    judged.iter().map(|object| check::word(&object.verdict)).max().unwrap_or(floor).max(floor)
}

#[expect(clippy::print_stdout, reason = "the command's result")]
pub(super) fn print_json(judged: &[Judged], unreadable: bool) {
    let objects: Vec<Value> = judged.iter().map(object_json).collect();
    println!("{:#}", json!({"verdict": overall(judged, unreadable).label(), "objects": objects}));
}

fn object_json(judged: &Judged) -> Value {
    let images: Vec<Value> = images(judged).into_iter().map(|(container, image)| image_json(judged, container, image)).collect();
    let whole: Vec<Value> = denials(&judged.verdict, None).into_iter().map(denial_json).collect();
    let mut object = json!({
        "source": judged.source, "kind": judged.kind, "namespace": judged.namespace, "name": judged.name,
        "verdict": check::word(&judged.verdict).label(), "images": images,
    });
    if !whole.is_empty() {
        object["denials"] = Value::Array(whole);
    }
    object
}

fn image_json(judged: &Judged, container: &Container, image: Option<&ImageVerdict>) -> Value {
    let reference = container.reference.as_ref().ok();
    let bare = judged.kind == "Image";
    let denials = image.map_or_else(Vec::new, |image| denials(&judged.verdict, Some(image.container)));
    json!({
        "path": if bare { "image".to_owned() } else { container.path.to_string() },
        "container": if bare { Value::Null } else { json!(container.name) },
        "image": container.written,
        "registry": reference.map(crate::image::Reference::registry),
        "repository": reference.map(crate::image::Reference::repository),
        "tag": reference.and_then(crate::image::Reference::tag),
        "digest": reference.and_then(crate::image::Reference::digest).map(ToString::to_string),
        "verdict": image_word(judged, image).label(),
        "basis": basis(judged, image),
        "policy": image.and_then(|image| image.policy.as_ref()).map(|policy| policy.as_str()),
        "rule": image.and_then(|image| image.rule.as_ref()).map(|rule| rule.as_str()),
        "denials": denials.into_iter().map(denial_json).collect::<Vec<_>>(),
    })
}

fn denial_json(denial: &Denial) -> Value {
    json!({
        "mode": denial.mode.label(), "policy": denial.policy.as_ref().map(|policy| policy.as_str()),
        "check": denial.reason.check(), "reason": denial.reason.code(), "message": denial.message,
        "retriable": denial.reason.retriable(),
    })
}

/// The containers with what became of each; nothing became of those of an object that was not judged image by image.
fn images(judged: &Judged) -> Vec<(&Container, Option<&ImageVerdict>)> {
    let Subject::Images { containers, .. } = &judged.request.subject else { return Vec::new() };
    containers.iter().enumerate().map(|(index, container)| (container, judged.verdict.images.get(index))).collect()
}

fn image_word(judged: &Judged, image: Option<&ImageVerdict>) -> Word {
    match image {
        Some(ImageVerdict { basis: Some(_), .. }) => Word::Admitted,
        // Refused itself, or with its whole object.
        Some(ImageVerdict { basis: None, .. }) | None => check::word(&judged.verdict),
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

/// For a person: objects with something to say first to last, then the sum.
#[expect(clippy::print_stdout, reason = "the command's result")]
pub(super) fn print_text(judged: &[Judged], terminal: bool) {
    let paint = |word: Word| if terminal { format!("\x1b[{}m{}\x1b[0m", word.colour(), word.label()) } else { word.label().to_owned() };
    for object in judged {
        let namespace = object.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        let title = if object.kind == "Image" { object.name.clone() } else { format!("{} {namespace}{}", object.kind, object.name) };
        println!("{}: {title}: {}", object.source, paint(check::word(&object.verdict)));
        print_denials("  ", &denials(&object.verdict, None));
        for (container, image) in images(object) {
            let title = if object.kind == "Image" { "image".to_owned() } else { container.title() };
            println!("  {title} {:?}: {}", container.written, paint(image_word(object, image)));
            print_denials("    ", &image.map_or_else(Vec::new, |image| denials(&object.verdict, Some(image.container))));
        }
    }
    print_sum(judged);
}

#[expect(clippy::print_stdout, reason = "the command's result")]
fn print_denials(indent: &str, denials: &[&Denial]) {
    for denial in denials {
        let policy = denial.policy.as_ref().map_or("no policy", |policy| policy.as_str());
        println!("{indent}{}: {} ({} {policy})", denial.reason.code(), denial.message, denial.mode.label());
    }
}

#[expect(clippy::print_stdout, reason = "the command's result")]
fn print_sum(judged: &[Judged]) {
    let words: Vec<Word> = judged.iter().flat_map(|object| images(object).into_iter().map(|(_, image)| image_word(object, image))).collect();
    let count = |word: Word| words.iter().filter(|its| **its == word).count();
    let (refused, undetermined) = (count(Word::Refused), count(Word::Undetermined));
    println!(
        "{} images in {} objects: {} admitted, {refused} refused, {undetermined} undetermined",
        words.len(),
        judged.len(),
        count(Word::Admitted)
    );
}
