//! `spec.authorities`: whom a policy trusts.

use regex::RegexBuilder;

use super::super::document::reader::{Field, Placed, Text};
use super::super::document::scalar::is_dns_name;
use super::super::document::wording::quoted;
use super::super::file::{Authority, Key, Keyless, SecretKey};
use super::{Findings, Origin, check_label, exactly_one, pattern};
use crate::image::Glob;

/// The compiled program of an identity's expression stays far below; a counted repetition that would not is refused.
const MOST_EXPRESSION_BYTES: usize = 1 << 20;
/// The shortest public key in use, Ed25519, is 44 bytes, 60 characters of base64.
const LEAST_KEY_CHARACTERS: usize = 60;

pub(super) fn check(authority: &Placed<Authority>, origin: Origin, findings: &mut Findings) {
    let Placed { value: authority, place } = authority;
    let Authority { name, keyless, keys, trust: _, log: _ } = authority;
    if let Field::Given(name) = name {
        check_label(name, "an authority's name", &mut findings.mistakes);
    }
    let fields = [("keyless", !keyless.is_absent()), ("keys", !keys.is_absent())];
    exactly_one(place, &fields, &mut findings.mistakes);
    if let Field::Given(keyless) = keyless {
        check_keyless(keyless, findings);
    }
    for key in keys.given().into_iter().flat_map(|keys| &keys.0) {
        check_key(key, origin, findings);
    }
}

/// Issuer and subject are both mandatory: either alone lets strangers in.
fn check_keyless(keyless: &Placed<Keyless>, findings: &mut Findings) {
    let Placed { value: keyless, place } = keyless;
    let Keyless { issuer, issuer_expression, subject, subject_expression, extensions: _ } = keyless;
    let fields = [("issuer", !issuer.is_absent()), ("issuerRegExp", !issuer_expression.is_absent())];
    exactly_one(place, &fields, &mut findings.mistakes);
    let fields = [("subject", !subject.is_absent()), ("subjectRegExp", !subject_expression.is_absent())];
    exactly_one(place, &fields, &mut findings.mistakes);
    for glob in [issuer, subject].into_iter().filter_map(Field::given) {
        pattern(glob, Glob::parse, &mut findings.mistakes);
        warn_of_anyone(glob, &["**"], findings);
    }
    for expression in [issuer_expression, subject_expression].into_iter().filter_map(Field::given) {
        check_expression(expression, findings);
        warn_of_anyone(expression, &[".*", ".+", "^.*$", "^.+$"], findings);
    }
}

fn warn_of_anyone(text: &Text, everything: &[&str], findings: &mut Findings) {
    if everything.contains(&text.value.as_str()) {
        findings.warnings.add(&text.place, "matches everybody: name whom you trust");
    }
}

/// The expression is complete in itself, so that it cannot close the group that anchors it, and small.
pub(super) fn check_expression(expression: &Text, findings: &mut Findings) {
    let whole = format!(r"\A(?:{})\z", expression.value);
    for text in [expression.value.as_str(), &whole] {
        if let Err(error) = RegexBuilder::new(text).size_limit(MOST_EXPRESSION_BYTES).build() {
            let why = if let regex::Error::CompiledTooBig(_) = error {
                "it is too large when compiled".to_owned()
            } else {
                // The crate's text is a drawing over several lines; its last one is the reason.
                error.to_string().lines().last().unwrap_or_default().replace("error: ", "")
            };
            let message = format!("{} is no regular expression: {why}", quoted(&expression.value));
            findings.mistakes.add(&expression.place, message);
            return;
        }
    }
}

fn check_key(key: &Placed<Key>, origin: Origin, findings: &mut Findings) {
    let Placed { value: key, place } = key;
    let Key { pem, secret_ref, file, not_before, not_after } = key;
    let fields = [("pem", !pem.is_absent()), ("secretRef", !secret_ref.is_absent()), ("file", !file.is_absent())];
    exactly_one(place, &fields, &mut findings.mistakes);
    if let Some((pem, why)) = pem.given().and_then(|pem| Some((pem, not_a_public_key(&pem.value)?))) {
        findings.mistakes.add(&pem.place, why);
    }
    if let Field::Given(secret) = secret_ref {
        check_secret(secret, findings);
    }
    if let (Field::Given(file), Origin::Cluster) = (file, origin) {
        findings.mistakes.add(&file.place, "only policies of --manifests have files beside them; use pem or secretRef");
    }
    if let (Some(from), Some(to)) = (not_before.given(), not_after.given())
        && *from >= to.value
    {
        findings.mistakes.add(&to.place, format!("must be later than notBefore, {from}"));
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

fn check_secret(secret: &SecretKey, findings: &mut Findings) {
    if let Some(name) = secret.name.given().filter(|name| !is_dns_name(&name.value)) {
        findings.mistakes.add(&name.place, format!("{} is no name of a Secret", quoted(&name.value)));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(key) = secret.key.given().filter(|key| !key.value.chars().all(allowed)) {
        findings.mistakes.add(&key.place, format!("{} is no key of a Secret", quoted(&key.value)));
    }
}
