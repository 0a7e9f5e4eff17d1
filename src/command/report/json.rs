//! `check -o json`: the JSON of the contract, in the order of the input.

use serde::Serialize;

use crate::decision::verdict::{Answer, Denial, ImageVerdict, ReportVerdict, SignatureVerdict};
use crate::fact::report::Origin;
use crate::image::{Digest, Reference};
use crate::policy::{PolicyName, RuleName};
use crate::request::Container;

use super::findings::Findings;
use super::{Judged, denials, image_word, images, overall};

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
    /// The reports that it was judged by, or that there is none, where scans are demanded.
    reports: Vec<AnsweredReport<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AnsweredReport<'a> {
    digest: &'a str,
    platform: Option<&'a str>,
    state: &'static str,
    origin: Option<&'static str>,
    place: Option<&'a str>,
    scanner: Option<&'a str>,
    scanner_version: Option<&'a str>,
    /// RFC 3339.
    scanned_at: Option<String>,
    findings: Option<Findings>,
    waived: u32,
    why: Option<&'a str>,
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

pub(in crate::command) fn as_json(judged: &[Judged], unreadable: bool) -> String {
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
        reports: verdict.map_or_else(Vec::new, |image| image.reports.iter().map(report).collect()),
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

fn report(found: &ReportVerdict) -> AnsweredReport<'_> {
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
        why,
    } = found;
    AnsweredReport {
        digest: digest.as_str(),
        platform: platform.as_deref(),
        state: state.label(),
        origin: origin.map(Origin::label),
        place: place.as_deref(),
        scanner: scanner.as_deref(),
        scanner_version: scanner_version.as_deref(),
        scanned_at: scanned_at.map(|at| at.to_string()),
        findings: counts.as_ref().map(Findings::of),
        waived: *waived,
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
