//! The webhook itself: whether it can be asked, whether the API server trusts it, and whether its answers are right.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::controller::Names;
use crate::controller::registration::IMAGES;
use crate::policy::document::wording::quoted;
use crate::request::printable;

use super::super::Settings;
use super::super::called::{Answer, Call, Place};
use super::super::canned::{Canned, Expected};
use super::super::line::Line;

/// Certificates of ours are renewed a month before their end; one that is not renewed by now was forgotten.
const NEAR: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Nothing is looked up for it: whoever needs longer is short of processor time, or far away.
const SLOW: Duration = Duration::from_secs(1);
/// Why the built-in policies refuse the image of [`Canned`]: who refuses it for another reason may refuse everything.
const BY_NAME: [&str; 2] = ["tag-mutable", "digest-missing"];
/// Of what the webhook says, in a message.
const TOLD: usize = 300;

/// Nobody could be asked, since nobody knows where to.
pub(in super::super) fn not_found(place: &Place, why: &str, inside: bool, names: &Names) -> Line {
    if place.connect_to.is_some() {
        return Line::wrong("webhook", format!("nobody can be asked: {why}"));
    }
    if inside {
        let words = format!(
            "it could not be asked: {why}: look at `kubectl -n {} get service,endpointslices`, and at the cluster's DNS",
            names.namespace
        );
        return Line::unknown("webhook", words);
    }
    let words = format!(
        "not asked, since the Service cannot be reached from here: run `kubectl -n {} port-forward service/{} 8443:{}` beside \
         this, and add --connect-to 127.0.0.1:8443",
        names.namespace, names.service, place.port
    );
    Line::warning("webhook", words)
}

/// What was shown, whether each caBundle vouches for it, and until when.
pub(in super::super) fn certificate(call: &Call, place: &Place, now: Timestamp) -> Vec<Line> {
    let Some(shown) = &call.shown else { return Vec::new() };
    let mut lines = Vec::new();
    for (entry, believed) in &shown.believed {
        if let Err(why) = believed {
            let words = format!(
                "the caBundle of {entry} does not vouch for what {} shows as {}: {why}; API servers cannot ask it: see \
                 certs/README.md",
                place.told(),
                place.host
            );
            lines.push(Line::wrong("certificate", words));
        }
    }
    if shown.believed.is_empty() {
        let words = "there is no caBundle, so API servers trust nobody, whatever is shown: see certs/README.md";
        lines.push(Line::wrong("certificate", words.to_owned()));
    }
    let end = match &shown.until {
        Err(why) => {
            Some(Line::wrong("certificate", format!("what is shown is no certificate that can be used: {why}")))
        }
        Ok(until) if *until <= now => Some(Line::wrong("certificate", format!("it has expired at {until}: renew it"))),
        Ok(until) if until.duration_since(now) < NEAR => {
            let words = format!(
                "it is good until {until} only, and should have been renewed by now: see /readyz and the log of the replica with \
                 the lease, or who issues it"
            );
            Some(Line::warning("certificate", words))
        }
        Ok(until) if lines.is_empty() => {
            let words =
                format!("what is shown as {} is vouched for by the caBundle, and good until {until}", place.host);
            Some(Line::ok("certificate", words))
        }
        Ok(_) => None,
    };
    lines.extend(end);
    lines
}

/// Whether the review was answered, and rightly.
pub(in super::super) fn answer(canned: &Canned, call: &Call, place: &Place, settings: &Settings) -> Option<Line> {
    let answer = match &call.answer {
        Ok(answer) => answer,
        // Said of the certificate.
        Err(_) if call.shown.as_ref().is_some_and(|shown| shown.believed.iter().any(|(_, its)| its.is_err())) => {
            return None;
        }
        Err(_) if call.shown.as_ref().is_some_and(|shown| shown.believed.is_empty()) => return None,
        // Whoever has shown no certificate was not even there to ask for ours.
        Err(why) if call.shown.is_some() && settings.known().is_some_and(|config| config.tls.client_ca.is_some()) => {
            let words = format!("not asked: by `tls.clientCA` it answers only callers with a certificate ({why})");
            return Some(Line::warning("webhook", words));
        }
        Err(why) => {
            let words = format!(
                "nobody answers at {} ({why}): look at `kubectl -n {} get pods`, their logs and /readyz",
                place.told(),
                namespace_of(&place.host)
            );
            return Some(Line::wrong("webhook", words));
        }
    };
    Some(match decoded(answer, &Canned::uid()) {
        Ok(response) => judged(canned, &response, answer.took),
        Err(why) => Line::wrong("webhook", format!("what answers at {} is not Pratique: {why}", place.told())),
    })
}

/// There is no namespace where the answer is sure.
pub(in super::super) fn nothing_to_refuse() -> Line {
    let words = "no namespace is judged by a built-in policy, so no refusal was tried";
    Line::ok("refusal", words.to_owned())
}

fn namespace_of(host: &str) -> &str {
    host.split('.').nth(1).unwrap_or_default()
}

#[derive(Deserialize)]
struct Review {
    response: Response,
}

#[derive(Deserialize)]
struct Response {
    uid: String,
    allowed: bool,
    status: Option<Status>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Status {
    message: Option<String>,
}

fn decoded(answer: &Answer, uid: &str) -> Result<Response, String> {
    if answer.status != 200 {
        let said = printable(String::from_utf8_lossy(&answer.body).trim(), TOLD);
        return Err(format!("it answers {} ({said})", answer.status));
    }
    // serde would quote it.
    let review: Review = serde_json::from_slice(&answer.body).map_err(|_| "the answer is no review".to_owned())?;
    if review.response.uid == uid { Ok(review.response) } else { Err("it answers another review".to_owned()) }
}

fn judged(canned: &Canned, response: &Response, took: Duration) -> Line {
    let namespace = quoted(&canned.namespace);
    let said = response.status.as_ref().and_then(|status| status.message.as_deref());
    let by_name = said.is_some_and(|said| BY_NAME.iter().any(|reason| said.contains(reason)));
    let said = printable(said.unwrap_or_default().lines().next().unwrap_or_default(), TOLD);
    let milliseconds = took.as_millis();
    match (&canned.expected, response.allowed) {
        (Expected::Answer, true) if took > SLOW => {
            let words =
                format!("it answers after {milliseconds} ms, though nothing had to be looked up: see its CPU and log");
            Line::warning("webhook", words)
        }
        (Expected::Answer, true) => Line::ok("webhook", format!("it answers in {milliseconds} ms")),
        (Expected::Answer, false) => {
            let words = format!(
                "it answers, and would refuse a Pod in our own namespace {namespace}: {said}: add it to `exemptNamespaces`, or a \
                 replica may have to wait for another to let it start"
            );
            Line::warning("webhook", words)
        }
        (Expected::Refusal(policy), false) if !by_name => {
            let words = format!(
                "in {namespace}, which enforces {policy}, an image tagged latest is refused, and for another reason than its \
                 name: {said}: see the logs of the replicas"
            );
            Line::wrong("refusal", words)
        }
        (Expected::Refusal(policy), false) => {
            Line::ok("refusal", format!("in {namespace}, which enforces {policy}, an image tagged latest is refused"))
        }
        (Expected::Refusal(policy), true) => {
            let words = format!(
                "in {namespace}, which enforces {policy}, an image tagged latest is let in: see the settings (`dryRun`, \
                 `exemptNamespaces`) of what answers for {IMAGES}"
            );
            Line::wrong("refusal", words)
        }
        (Expected::Warning(policy), true) if !response.warnings.is_empty() => Line::ok(
            "refusal",
            format!("in {namespace}, which is warned by {policy}, an image tagged latest is warned of"),
        ),
        (Expected::Warning(policy), true) => {
            let words = format!(
                "in {namespace}, which is warned by {policy}, nobody is warned of an image tagged latest: see the settings of \
                 what answers"
            );
            Line::wrong("refusal", words)
        }
        // By a policy that somebody wrote, beside the one that warns.
        (Expected::Warning(_), false) => {
            Line::ok("refusal", format!("in {namespace} an image tagged latest is refused"))
        }
    }
}
