//! Bytes of a report -> [`Report`], whichever tool wrote them: recognised by what they say, never by a file's name.
//!
//! Promises: what is something else, or cut off, or larger than is read, or names nothing that was scanned is
//! [`Unusable`] with its reason, and never a report without findings. Nothing that a report says is repeated in an error.
//! To add a format: one file here, and one arm in [`read`].

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::fact::report::{Report, Unusable};

mod grype;
mod harbor;
mod operator;
mod predicate;
mod trivy;

/// Bytes of one report, unpacked. The worst real ones have ten million.
pub const BYTES: usize = 32 << 20;

/// The fields of the outermost object, each once, not read so far.
type Fields<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Reads one report: all of `bytes`, JSON. Pure.
pub fn read(_bytes: &[u8]) -> Result<Report, Unusable> {
    todo!()
}

/// Reads what a signed in-toto statement of this predicate type carries; none where that is no type that carries scan
/// reports. `payload`: all of the statement.
pub fn read_attested(_predicate_type: &str, _payload: &[u8]) -> Option<Result<Report, Unusable>> {
    todo!()
}
