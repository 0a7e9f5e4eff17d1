//! Parts of a finding that formats have in common.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::about::too_much;
use super::json::Text;
use crate::fact::report::{Defect, Finding, FindingsBuilder, Score, Unusable};

/// Bytes of joined texts that are kept. More than any finding may have of them: what is longer is cut, or refused, where
/// findings are packed.
const JOINED: usize = 8_192;

/// Adds a finding. One that names neither a vulnerability nor a package is none, and nothing can be made of its report.
pub(super) fn push(findings: &mut FindingsBuilder, finding: Finding<'_>) -> Result<(), Unusable> {
    if finding.id.is_empty() && finding.package.is_empty() {
        let words = "one of its findings names neither a vulnerability nor a package: have the scanner write it anew";
        return Err(Unusable::new(Defect::Malformed, words));
    }
    findings.push(finding).map_err(too_much)
}

/// A CVSS score; none where it is none between 0 and 10.
pub(super) fn score(score: f64) -> Option<Score> {
    if !(0.0..=10.0).contains(&score) {
        return None;
    }
    (0..=100).rev().find(|tenths| f64::from(*tenths) <= score * 10.0 + 0.5).map(Score)
}

/// Adds one more text to a list of them; what is too long to be kept is still too long afterwards.
pub(super) fn join(joined: &mut String, separator: &str, text: &str) {
    if text.is_empty() || joined.len() > JOINED {
        return;
    }
    if !joined.is_empty() {
        joined.push_str(separator);
    }
    joined.push_str(text.get(..text.floor_char_boundary(JOINED + 1)).unwrap_or(text));
}

/// Texts of a list, with a comma between them; null is none.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Joined(pub(super) String);

impl<'de> Deserialize<'de> for Joined {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JoinedVisitor)
    }
}

struct JoinedVisitor;

impl<'de> Visitor<'de> for JoinedVisitor {
    type Value = Joined;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of strings")
    }

    fn visit_unit<E: Error>(self) -> Result<Joined, E> {
        Ok(Joined::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Joined, A::Error> {
        let mut joined = String::new();
        while let Some(Text(text)) = list.next_element()? {
            join(&mut joined, ", ", &text);
        }
        Ok(Joined(joined))
    }
}
