//! Bytes of a report -> [`Report`], whichever tool wrote them: recognised by what they say, never by a file's name.
//!
//! Promises: what is something else, or cut off, or larger than is read, or names nothing that was scanned is
//! [`Unusable`] with its reason, and never a report without findings. Nothing that a report says is repeated in an error.
//! One pass finds the fields of the outermost object, further ones read those that are asked for: entries of a list are
//! taken one by one and never held together.
//! To add a format: one file here, and one arm in [`read`].

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::fact::report::{Defect, Report, Unusable};

mod about;
mod finding;
mod grype;
mod harbor;
mod json;
mod kind;
mod operator;
mod predicate;
#[cfg(test)]
mod tests;
mod trivy;

use kind::Kind;

/// Bytes of one report, unpacked. The worst real ones have ten million.
pub const BYTES: usize = 32 << 20;

/// The fields of an object, each once, not read so far.
type Fields<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Reads one report: all of `bytes`, JSON. Pure.
pub fn read(bytes: &[u8]) -> Result<Report, Unusable> {
    let fields = json::outermost(bytes)?;
    match Kind::of(&fields) {
        Kind::Trivy => trivy::read(&fields),
        Kind::Grype => grype::read(&fields),
        Kind::Operator => operator::read(&fields),
        Kind::Harbor => harbor::read(&fields),
        Kind::Predicate => predicate::read(&fields),
        Kind::Other(words) => Err(Unusable::new(Defect::NotAReport, format!("it is {words}"))),
    }
}

/// Reads a report that something else carries. What wraps a report does not wrap another wrapping: that would go on for
/// as long as somebody likes.
fn read_carried(raw: &RawValue) -> Result<Report, Unusable> {
    let fields = json::outermost(raw.get().as_bytes())?;
    match Kind::of(&fields) {
        Kind::Trivy => trivy::read(&fields),
        Kind::Grype => grype::read(&fields),
        Kind::Harbor => harbor::read(&fields),
        Kind::Operator | Kind::Predicate => {
            let words =
                "what it carries is an attestation or an object of Kubernetes again, and not a scanner's report";
            Err(Unusable::new(Defect::NotAReport, words))
        }
        Kind::Other(words) => {
            Err(Unusable::new(Defect::NotAReport, format!("what it carries is no report: it is {words}")))
        }
    }
}

/// Reads what a signed in-toto statement of this predicate type carries; none where that is no type that carries scan
/// reports. `payload`: all of the statement.
pub fn read_attested(predicate_type: &str, payload: &[u8]) -> Option<Result<Report, Unusable>> {
    predicate::read_attested(predicate_type, payload)
}
