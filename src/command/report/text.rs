//! `check` for a person: each object with its images, what is held against them and what they were judged by.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::decision::verdict::{Denial, ImageVerdict, Outcome, ReportVerdict};
use crate::image::Digest;
use crate::request::{Container, printable};

use super::findings::{age, in_words};
use super::{Judged, TITLE_BYTES, denials, image_word, images};

/// The name of a scanner, a version, a platform: real ones have twenty.
const WORD_BYTES: usize = 60;

/// SGR codes that terminals know since ever: green, yellow, red.
fn colour(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Admitted => "32",
        Outcome::Undetermined => "33",
        Outcome::Refused => "31",
    }
}

/// For a person: each object with its images and what is held against them, then the sum.
pub(in crate::command) fn as_text(judged: &[Judged], terminal: bool, now: Timestamp) -> String {
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
                tell_reports(&mut text, image, &held, now);
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

/// By which reports it was judged, or what there was instead.
fn tell_reports(text: &mut String, image: &ImageVerdict, held: &[&Denial], now: Timestamp) {
    for report in &image.reports {
        let _infallible = write!(text, "    report: {}", report_in_words(report, image, now));
        // What is held against the image says why.
        let why = report.why.as_ref().filter(|_| !held.iter().any(|denial| denial.reason.check() == "scan"));
        let _infallible = match why {
            Some(why) => writeln!(text, "; {}", printable(why, TITLE_BYTES)),
            None => writeln!(text),
        };
    }
}

/// `fresh, trivy 0.76.0 of 2026-11-20 (2 h), directory scans/web.json: 2 critical (2 with a fix)`. Versions and places are
/// the words of whoever wrote the report, or named its file.
fn report_in_words(report: &ReportVerdict, image: &ImageVerdict, now: Timestamp) -> String {
    let ReportVerdict {
        digest,
        platform,
        state,
        origin,
        place,
        scanner,
        scanner_version,
        scanned_at,
        counts,
        waived,
        why: _,
    } = report;
    let fit = |word: &str| printable(word, WORD_BYTES);
    let mut words = state.label().to_owned();
    let mut scan: Vec<String> = scanner.iter().map(|name| fit(name)).collect();
    scan.extend(scanner_version.as_deref().map(fit));
    // Only of what was scanned is a time missing.
    let dated = scanned_at.map(|at| format!("of {} ({})", at.strftime("%Y-%m-%d"), age(at, now)));
    scan.extend(dated.or_else(|| counts.is_some().then(|| "undated".to_owned())));
    if !scan.is_empty() {
        let _infallible = write!(words, ", {}", scan.join(" "));
    }
    if let Some(origin) = origin {
        let place = place.as_deref().map(|place| format!(" {}", printable(place, TITLE_BYTES))).unwrap_or_default();
        let _infallible = write!(words, ", {}{place}", origin.label());
    }
    // Of an index each platform has its own.
    if platform.is_some() || image.digest.as_ref() != Some(digest) {
        let platform = platform.as_deref().map(|platform| format!("{} ", fit(platform))).unwrap_or_default();
        let _infallible = write!(words, ", about {platform}{digest}");
    }
    if let Some(counts) = counts {
        let _infallible = write!(words, ": {}", in_words(counts));
        if *waived > 0 {
            let _infallible = write!(words, ", {waived} of them waived");
        }
    }
    words
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
