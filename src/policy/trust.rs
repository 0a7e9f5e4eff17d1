//! Whom a policy trusts, what it demands of signatures and attestations, and whether what was verified meets it. Pure.
//!
//! Here because two rooms ask it and neither may name the other: `evidence`, to know when it has looked far enough, and
//! `decision`, to answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use regex::Regex;

use crate::fact::attached::PublicKey;
use crate::image::{Glob, Reference};
use crate::request::printable;

mod accept;
mod attestation;
pub(super) mod matching;
mod signature;
#[cfg(test)]
mod tests;

pub use attestation::Objection;

/// The name of a trusted root in the settings; `public` is built in.
pub type RootName = Arc<str>;

/// `spec.authorities[]`, compiled.
#[derive(Debug)]
pub struct Authority {
    pub name: Arc<str>,
    pub root: RootName,
    /// Whether a transparency log must prove the signature.
    pub log_required: bool,
    pub whom: Whom,
}

/// Whom an authority is.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a handful of them, made once and never moved")]
pub enum Whom {
    /// Never empty.
    Keys(Vec<TrustedKey>),
    Keyless(Keyless),
}

/// A key, and when its signatures count: made at `not_before` or later, and before `not_after`.
#[derive(Debug)]
pub struct TrustedKey {
    pub key: PublicKey,
    pub not_before: Option<Timestamp>,
    pub not_after: Option<Timestamp>,
}

/// Identities in certificates.
#[derive(Debug)]
pub struct Keyless {
    pub issuer: Matcher,
    pub subject: Matcher,
    /// By Fulcio's names, exact.
    pub extensions: BTreeMap<&'static str, String>,
}

/// A text as a whole.
#[derive(Debug)]
pub enum Matcher {
    Glob(Glob),
    /// Anchored at both ends.
    Expression(Regex),
}

/// `signatures` of a rule.
#[derive(Debug)]
pub struct SignatureDemand {
    /// Never empty.
    pub authorities: Vec<Arc<Authority>>,
    /// Distinct signers, matched one to one with authorities; at least 1, at most as many as authorities.
    pub threshold: usize,
    pub signed: Signed,
    /// The docker-reference in the payload must name the image's repository.
    pub identity_required: bool,
    pub annotations: BTreeMap<String, String>,
}

/// What of a multi-platform image must be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    Index,
    Platforms,
    Either,
}

/// One of `attestations` of a rule.
#[derive(Debug)]
pub struct AttestationDemand {
    pub predicate_type: Arc<str>,
    /// Never empty; one of them must have signed it.
    pub authorities: Vec<Arc<Authority>>,
    pub conditions: Vec<Condition>,
}

/// One of `where`.
#[derive(Debug)]
pub struct Condition {
    pub path: Arc<str>,
    pub test: Test,
}

#[derive(Debug)]
pub enum Test {
    Equals(String),
    /// Anchored at both ends.
    Matches(Regex),
    OneOf(Vec<String>),
}

/// What has to be looked for and verified so that a rule can be judged: everything that a fact about signatures depends
/// on, beside the digest. Whom it may be is not part of it: an identity pattern can change without anything being fetched.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Examination {
    /// Image signatures are asked for.
    pub signatures: bool,
    /// Where they are kept, if not beside the image.
    pub repository: Option<Reference>,
    /// Each key, with the root whose log may prove its signatures.
    pub keys: BTreeSet<(PublicKey, RootName)>,
    /// Roots that vouch for certificates.
    pub roots: BTreeSet<RootName>,
    /// Scan reports are asked for, whatever predicate carries them.
    pub reports: bool,
    /// The predicate types that are asked for, and the paths of each.
    pub predicates: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
}

/// Why a signature that somebody made for certain does not count for an authority.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mismatch {
    /// Another kind of signer, another key, or another root.
    OtherSigner,
    /// The certificate names somebody else: expected, as the policy writes it, and found.
    Issuer {
        expected: String,
        found: String,
    },
    Subject {
        expected: String,
        found: String,
    },
    Extension {
        name: &'static str,
        expected: String,
        found: Option<String>,
    },
    /// Made outside of the key's `notBefore` and `notAfter`.
    OutsideKeyPeriod {
        made: Option<Timestamp>,
    },
    /// The log is required and proves nothing: why.
    NotLogged(Arc<str>),
}

/// How much of a text that a signer chose, or that a policy has, is repeated in one clause: warnings have 256 bytes.
const SHOWN_BYTES: usize = 120;

/// Such a text in a clause: short, on one line, and not to be taken for our own words.
fn shown(text: &str) -> String {
    format!("\"{}\"", printable(text, SHOWN_BYTES).replace('"', "'"))
}

/// The frame that makes an expression match whole texts only.
const ANCHORS: (&str, &str) = (r"\A(?:", r")\z");

/// What must be compiled so that an expression matches whole texts only.
pub(super) fn anchored(expression: &str) -> String {
    let (before, after) = ANCHORS;
    format!("{before}{expression}{after}")
}

/// An anchored expression as the policy writes it.
fn written(expression: &Regex) -> &str {
    let (before, after) = ANCHORS;
    let whole = expression.as_str();
    whole.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).unwrap_or(whole)
}
