//! How bad something is, by a word, a number or a CVSS vector.
//!
//! Of a vector the base metrics alone count, all of which must be there: those of time and surroundings make it milder
//! in somebody's opinion. A base score is a severity by the
//! [ranges of CVSS v3](https://www.first.org/cvss/v3.1/specification-document#Qualitative-Severity-Rating-Scale),
//! whichever version it is of: version 2 has no critical.

use cvss::{v2, v3, v4};
use serde_json::value::RawValue;

use super::super::finding::score;
use super::super::json::Text;
use crate::fact::report::{Score, Severity};

/// Bytes of a vector; one of version 4 with every metric has two hundred.
const VECTOR: usize = 512;
/// The metrics of version 4 that are about the vulnerability itself.
const BASE: [&str; 11] = ["AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA"];

/// What a rating comes to; nothing where it is not known what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Rated {
    pub(super) severity: Option<Severity>,
    pub(super) score: Option<Score>,
}

/// Of a text or a number.
pub(super) fn rated(raw: &RawValue) -> Rated {
    if let Ok(number) = serde_json::from_str::<f64>(raw.get()) {
        return of_score(number);
    }
    let Ok(Text(text)) = serde_json::from_str::<Text<'_>>(raw.get()) else { return Rated::default() };
    let text = text.trim();
    if let Some(severity) = Severity::parse(text) {
        return Rated { severity: Some(severity), score: None };
    }
    text.parse().ok().or_else(|| base_score(text)).map(of_score).unwrap_or_default()
}

fn of_score(number: f64) -> Rated {
    let score = score(number);
    let severity = score.map(|Score(tenths)| match tenths {
        0 => Severity::Negligible,
        1..=39 => Severity::Low,
        40..=69 => Severity::Medium,
        70..=89 => Severity::High,
        90.. => Severity::Critical,
    });
    Rated { severity, score }
}

/// The base score of a vector; none where it is none, or lacks a base metric.
fn base_score(vector: &str) -> Option<f64> {
    if vector.len() > VECTOR {
        return None;
    }
    if vector.starts_with("CVSS:3.") {
        let vector: v3::Vector = vector.parse().ok()?;
        let v3::Vector { av, ac, pr, ui, s, c, i, a, .. } = vector;
        // The library takes what is missing for nought, and the whole for harmless.
        return av.and(ac).and(pr).and(ui).and(s).and(c).and(i).and(a).map(|_| vector.base_score().value());
    }
    if vector.starts_with("CVSS:4.0/") {
        let base = |part: &&str| part.split_once(':').is_some_and(|(name, _)| name == "CVSS" || BASE.contains(&name));
        let _whole: v4::Vector = vector.parse().ok()?;
        let base: Vec<&str> = vector.split('/').filter(base).collect();
        return Some(base.join("/").parse::<v4::Vector>().ok()?.score().value());
    }
    // Version 2 has no prefix; some write it in parentheses.
    let bare = vector.strip_prefix("CVSS:2.0/").unwrap_or(vector);
    let bare = bare.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(bare);
    Some(bare.parse::<v2::Vector>().ok()?.score().value())
}
