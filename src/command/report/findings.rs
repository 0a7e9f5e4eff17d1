//! Findings and times as people read them, and as the JSON of `check` and `scans` has them.

use jiff::Timestamp;
use serde::Serialize;

use crate::fact::report::{Counts, Severity};

/// How many findings there are, as JSON.
#[derive(Debug, Serialize)]
pub(in crate::command) struct Findings {
    total: u32,
    critical: OfSeverity,
    high: OfSeverity,
    medium: OfSeverity,
    low: OfSeverity,
    negligible: OfSeverity,
    unknown: OfSeverity,
}

#[derive(Debug, Serialize)]
struct OfSeverity {
    total: u32,
    fixable: u32,
}

impl Findings {
    pub(in crate::command) fn of(counts: &Counts) -> Self {
        let of = |severity| {
            let count = counts.of(severity);
            OfSeverity { total: count.total, fixable: count.fixable }
        };
        Self {
            total: counts.total(),
            critical: of(Some(Severity::Critical)),
            high: of(Some(Severity::High)),
            medium: of(Some(Severity::Medium)),
            low: of(Some(Severity::Low)),
            negligible: of(Some(Severity::Negligible)),
            unknown: of(None),
        }
    }
}

/// `2 critical (2 with a fix), 6 high (6), 1 unknown`: the worst first, and none that there is none of.
pub(in crate::command) fn in_words(counts: &Counts) -> String {
    let severities = Severity::ALL.map(|severity| (severity.label(), counts.of(Some(severity))));
    let mut words = Vec::new();
    let mut explained = false;
    for (label, count) in severities.into_iter().chain([("unknown", counts.of(None))]) {
        let fix = match count.fixable {
            0 => String::new(),
            fixable if explained => format!(" ({fixable})"),
            fixable => format!(" ({fixable} with a fix)"),
        };
        explained |= count.fixable > 0;
        if count.total > 0 {
            words.push(format!("{} {label}{fix}", count.total));
        }
    }
    if words.is_empty() { "no findings".to_owned() } else { words.join(", ") }
}

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// `12 min`, `5 h`, `3 d`: in one unit, as much as a person wants to know; hours until the second day is full.
pub(in crate::command) fn age(at: Timestamp, now: Timestamp) -> String {
    // Clocks differ: what is dated a little ahead is of now.
    match now.as_second().saturating_sub(at.as_second()).max(0) {
        seconds if seconds < HOUR => format!("{} min", seconds / MINUTE),
        seconds if seconds < 2 * DAY => format!("{} h", seconds / HOUR),
        seconds => format!("{} d", seconds / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told_worst_first_and_what_is_in_brackets_is_said_once() {
        let mut counts = Counts::default();
        (counts.critical.total, counts.low.total, counts.low.fixable) = (2, 1, 1);
        (counts.high.total, counts.high.fixable) = (6, 5);
        assert_eq!(in_words(&counts), "2 critical, 6 high (5 with a fix), 1 low (1)");
        let mut unknown = Counts::default();
        unknown.unknown.total = 3;
        assert_eq!(in_words(&unknown), "3 unknown");
        assert_eq!(in_words(&Counts::default()), "no findings");
    }

    #[test]
    fn an_age_has_one_unit() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        for (at, expected) in [
            ("2026-11-20T12:04:00Z", "0 min"),
            ("2026-11-20T11:00:01Z", "59 min"),
            ("2026-11-20T11:00:00Z", "1 h"),
            ("2026-11-18T12:00:01Z", "47 h"),
            ("2026-11-18T12:00:00Z", "2 d"),
            ("2025-11-20T12:00:00Z", "365 d"),
        ] {
            assert_eq!(age(at.parse().unwrap(), now), expected, "{at}");
        }
    }
}
