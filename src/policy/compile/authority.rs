//! `spec.authorities`: whom a policy trusts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use regex::{Regex, RegexBuilder};

use super::super::document::reader::{Field, Place, Placed, Text};
use super::super::document::scalar::is_dns_name;
use super::super::document::wording::quoted;
use super::super::file::{self, Key, Log, SecretKey};
use super::super::trust::{Authority, Keyless, Matcher, RootName, TrustedKey, Whom, anchored};
use super::{Findings, KeyAt, Origin, ReadKey, check_label, exactly_one, pattern, written};
use crate::fact::attached::PublicKey;
use crate::image::Glob;

/// The root of an authority that names none; compiled into the program.
const PUBLIC_ROOT: &str = "public";

/// The compiled program of an identity's expression stays far below; a counted repetition that would not is refused.
const MOST_EXPRESSION_BYTES: usize = 1 << 20;
/// The shortest public key in use, Ed25519, is 44 bytes, 60 characters of base64.
const LEAST_KEY_CHARACTERS: usize = 60;

/// What authorities are compiled with.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) origin: Origin,
    pub(super) read_key: &'a ReadKey<'a>,
}

/// `None` only after a mistake.
pub(super) fn compile(
    authority: &Placed<file::Authority>,
    sources: Sources<'_>,
    findings: &mut Findings,
) -> Option<Authority> {
    let Placed { value: authority, place } = authority;
    let file::Authority { name, keyless, keys, trust, log } = authority;
    if let Field::Given(name) = name {
        check_label(name, "an authority's name", &mut findings.mistakes);
    }
    let fields = [("keyless", !keyless.is_absent()), ("keys", !keys.is_absent())];
    exactly_one(place, &fields, &mut findings.mistakes);
    let keyless = keyless.given().map(|keyless| compile_keyless(keyless, findings));
    let keys = keys.given().map(|keys| {
        let keys: Vec<Option<TrustedKey>> = keys.0.iter().map(|key| compile_key(key, sources, findings)).collect();
        keys.into_iter().collect::<Option<Vec<_>>>()
    });
    let (whom, log_by_default) = match (keyless, keys) {
        (Some(keyless), None) => (Whom::Keyless(keyless?), Log::Required),
        (None, Some(keys)) => (Whom::Keys(keys.filter(|keys| !keys.is_empty())?), Log::Optional),
        (Some(_), Some(_)) | (None, None) => return None,
    };
    let log = match log {
        Field::Absent => log_by_default,
        Field::Given(log) => *log,
        Field::Unusable => return None,
    };
    let root = match trust {
        Field::Absent => PUBLIC_ROOT,
        Field::Given(name) => name.value.as_str(),
        Field::Unusable => return None,
    };
    let root = RootName::from(root);
    let at = trust.given().map_or(place, |name| &name.place);
    findings.roots.push((RootName::clone(&root), at.clone()));
    let log_required = match log {
        Log::Required => true,
        Log::Optional => false,
    };
    Some(Authority { name: name.given()?.value.as_str().into(), root, log_required, whom })
}

/// Issuer and subject are both mandatory: either alone lets strangers in.
fn compile_keyless(keyless: &Placed<file::Keyless>, findings: &mut Findings) -> Option<Keyless> {
    let Placed { value: keyless, place } = keyless;
    let file::Keyless { issuer, issuer_expression, subject, subject_expression, extensions } = keyless;
    let fields = [("issuer", !issuer.is_absent()), ("issuerRegExp", !issuer_expression.is_absent())];
    exactly_one(place, &fields, &mut findings.mistakes);
    let fields = [("subject", !subject.is_absent()), ("subjectRegExp", !subject_expression.is_absent())];
    exactly_one(place, &fields, &mut findings.mistakes);
    let issuer = matcher(issuer, issuer_expression, findings);
    let subject = matcher(subject, subject_expression, findings);
    let extensions = match extensions {
        Field::Absent => BTreeMap::new(),
        Field::Given(extensions) => named_extensions(&extensions.0)?,
        Field::Unusable => return None,
    };
    Some(Keyless { issuer: issuer?, subject: subject?, extensions })
}

/// Each that is written, by its name; both are looked at, so that the mistakes of both are told.
fn matcher(glob: &Field<Text>, expression: &Field<Text>, findings: &mut Findings) -> Option<Matcher> {
    let glob = glob.given().map(|text| {
        warn_of_anyone(text, &["**"], findings);
        pattern(text, Glob::parse, &mut findings.mistakes).map(Matcher::Glob)
    });
    let expression = expression.given().map(|text| {
        warn_of_anyone(text, &[".*", ".+", "^.*$", "^.+$"], findings);
        compile_expression(text, findings).map(Matcher::Expression)
    });
    match (glob, expression) {
        (Some(only), None) | (None, Some(only)) => only,
        (Some(_), Some(_)) | (None, None) => None,
    }
}

/// By Fulcio's names, as [`file::Extensions`] has them.
fn named_extensions(extensions: &file::Extensions) -> Option<BTreeMap<&'static str, String>> {
    let mut named = BTreeMap::new();
    for (name, field) in extensions.by_name() {
        match field {
            Field::Absent => {}
            Field::Given(text) => drop(named.insert(name, text.value.clone())),
            Field::Unusable => return None,
        }
    }
    Some(named)
}

fn warn_of_anyone(text: &Text, everything: &[&str], findings: &mut Findings) {
    if everything.contains(&text.value.as_str()) {
        findings.warnings.add(&text.place, "matches everybody: name whom you trust");
    }
}

/// Matches whole texts alone. The expression is complete in itself, so that it cannot close the group that anchors it,
/// and small.
pub(super) fn compile_expression(expression: &Text, findings: &mut Findings) -> Option<Regex> {
    let build = |text: &str| RegexBuilder::new(text).size_limit(MOST_EXPRESSION_BYTES).build();
    match build(&expression.value).and_then(|_complete| build(&anchored(&expression.value))) {
        Ok(whole) => Some(whole),
        Err(error) => {
            let why = if let regex::Error::CompiledTooBig(_) = error {
                "it is too large when compiled".to_owned()
            } else {
                // The crate's text is a drawing over several lines; its last one is the reason.
                error.to_string().lines().last().unwrap_or_default().replace("error: ", "")
            };
            let message = format!("{} is no regular expression: {why}", quoted(&expression.value));
            findings.mistakes.add(&expression.place, message);
            None
        }
    }
}

fn compile_key(key: &Placed<Key>, sources: Sources<'_>, findings: &mut Findings) -> Option<TrustedKey> {
    let Placed { value: key, place } = key;
    let Key { pem, secret_ref, file, not_before, not_after } = key;
    let fields = [("pem", !pem.is_absent()), ("secretRef", !secret_ref.is_absent()), ("file", !file.is_absent())];
    exactly_one(place, &fields, &mut findings.mistakes);
    let read = [
        pem.given().map(|pem| read_inline(pem, sources, findings)),
        secret_ref.given().map(|secret| read_secret(secret, sources, findings)),
        file.given().map(|file| read_file(file, sources, findings)),
    ];
    if let (Some(from), Some(to)) = (not_before.given(), not_after.given())
        && *from >= to.value
    {
        findings.mistakes.add(&to.place, format!("must be later than notBefore, {from}"));
    }
    let not_before = written(not_before, |date| start_of(*date, place, findings)).ok();
    let not_after = written(not_after, |date| start_of(date.value, &date.place, findings)).ok();
    let key = read.into_iter().flatten().next().flatten()?;
    Some(TrustedKey { key, not_before: not_before?, not_after: not_after? })
}

/// The first moment after a day, UTC. `None` after a mistake.
pub(super) fn day_after(date: Date, place: &Place, findings: &mut Findings) -> Option<Timestamp> {
    let Ok(next) = date.tomorrow() else {
        findings.mistakes.add(place, format!("the day {date} is beyond all times that can be compared"));
        return None;
    };
    start_of(next, place, findings)
}

/// A day begins at midnight, UTC. `None` after a mistake.
fn start_of(date: Date, place: &Place, findings: &mut Findings) -> Option<Timestamp> {
    let start = Offset::UTC.to_timestamp(date.at(0, 0, 0, 0));
    if start.is_err() {
        findings.mistakes.add(place, format!("the day {date} is beyond all times that can be compared"));
    }
    start.ok()
}

fn read_inline(pem: &Text, sources: Sources<'_>, findings: &mut Findings) -> Option<PublicKey> {
    if let Some(why) = not_a_public_key(&pem.value) {
        findings.mistakes.add(&pem.place, why);
        return None;
    }
    let read = (sources.read_key)(KeyAt::Pem(&pem.value));
    read.map_err(|why| findings.mistakes.add(&pem.place, format!("is no public key: {why}"))).ok()
}

fn read_file(file: &Text, sources: Sources<'_>, findings: &mut Findings) -> Option<PublicKey> {
    match sources.origin {
        Origin::Cluster => {
            let message = "only policies of --manifests have files beside them; use pem or secretRef";
            findings.mistakes.add(&file.place, message);
            None
        }
        Origin::File => {
            let read = (sources.read_key)(KeyAt::File(&file.value));
            read.map_err(|why| findings.mistakes.add(&file.place, format!("gives no public key: {why}"))).ok()
        }
    }
}

/// Why this is no public key in PEM, by its frame; never quotes it.
fn not_a_public_key(pem: &str) -> Option<&'static str> {
    if pem.contains("PRIVATE KEY") {
        return Some("is a private key: replace that key pair, and write only the public key here");
    }
    let body = pem.trim().strip_prefix("-----BEGIN PUBLIC KEY-----");
    let Some(body) = body.and_then(|body| body.strip_suffix("-----END PUBLIC KEY-----")) else {
        return Some("is no public key: expected one block from BEGIN PUBLIC KEY to END PUBLIC KEY");
    };
    let text: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let digits = text.trim_end_matches('=');
    let is_base64 = digits.chars().all(|c| c.is_ascii_alphanumeric() || c == '+' || c == '/');
    let padded = text.len().is_multiple_of(4) && text.len() - digits.len() <= 2;
    // Every key starts as a DER sequence does.
    let complete = text.len() >= LEAST_KEY_CHARACTERS && text.starts_with('M');
    (!(is_base64 && padded && complete)).then_some("is no public key: what stands between BEGIN and END is damaged")
}

fn read_secret(secret: &SecretKey, sources: Sources<'_>, findings: &mut Findings) -> Option<PublicKey> {
    let SecretKey { name, key } = secret;
    let name = name.given().filter(|name| {
        let valid = is_dns_name(&name.value);
        if !valid {
            findings.mistakes.add(&name.place, format!("{} is no name of a Secret", quoted(&name.value)));
        }
        valid
    });
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let key = key.given().filter(|key| {
        let valid = key.value.chars().all(allowed);
        if !valid {
            findings.mistakes.add(&key.place, format!("{} is no key of a Secret", quoted(&key.value)));
        }
        valid
    });
    let (name, key) = (name?, key?);
    let read = (sources.read_key)(KeyAt::Secret { name: &name.value, key: &key.value });
    read.map_err(|why| findings.mistakes.add(&name.place, format!("gives no public key: {why}"))).ok()
}
