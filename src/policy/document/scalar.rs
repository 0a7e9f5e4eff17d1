//! Texts with a grammar of their own: durations, sizes, dates, names of Kubernetes objects.

use std::time::Duration;

use jiff::civil::Date;

use super::reader::{Mistakes, Place, Read};
use super::wording::expected;
use super::{Node, Value};

/// A hundred years: more is a typing mistake, and every clock still counts it.
const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);

/// `90s`, `10m`, `72h`, `7d`, or several of them, the greater first: `1d12h`. More than nothing, at most a hundred
/// years.
impl Read for Duration {
    fn read(node: &Node, place: &Place, mistakes: &mut Mistakes) -> Option<Self> {
        let read = node.text().and_then(duration);
        if read.is_none() {
            mistakes.add(place, expected("a duration above 0 such as 90s, 10m, 72h or 7d", node));
        }
        read
    }
}

fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut sum: u64 = 0;
    let mut limit = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = rest.split_at(digits);
        let seconds = match unit.chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        if seconds >= limit {
            return None;
        }
        limit = seconds;
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(seconds)?)?;
        rest = unit.get(1..)?;
    }
    Some(Duration::from_secs(sum)).filter(|sum| !sum.is_zero() && *sum <= LONGEST)
}

/// A day: `2027-01-31`.
impl Read for Date {
    fn read(node: &Node, place: &Place, mistakes: &mut Mistakes) -> Option<Self> {
        let read = node.text().filter(|text| text.len() == 10).and_then(|text| text.parse().ok());
        if read.is_none() {
            mistakes.add(place, expected("a date such as 2027-01-31", node));
        }
        read
    }
}

/// Bytes: `64Mi`, `1Gi`, `500M`, or a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl Read for Size {
    fn read(node: &Node, place: &Place, mistakes: &mut Mistakes) -> Option<Self> {
        let read = match &node.value {
            Value::Number(number) => number.as_u64(),
            Value::Text(text) => size(text),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
        };
        if read.is_none() {
            mistakes.add(place, expected("a size in bytes such as 64Mi or 1Gi", node));
        }
        read.map(Self)
    }
}

/// Kubernetes' suffixes.
const UNITS: [(&str, u64); 8] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("", 1),
];

fn size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// A DNS label: what Kubernetes lets a namespace be called, and a label's value hold.
#[must_use]
pub fn is_dns_label(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.len() <= 63 && edge(text.chars().next()) && edge(text.chars().last()) && text.chars().all(inner)
}

/// What [`is_dns_label`] asks, for messages.
pub const DNS_LABEL: &str = "at most 63 lower-case letters, digits and `-`, with a letter or digit at both ends";

/// DNS labels with dots between them: what most objects and API groups may be called.
#[must_use]
pub fn is_dns_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units_and_the_greater_first() {
        let cases = [
            ("90s", 90),
            ("10m", 600),
            ("72h", 259_200),
            ("7d", 604_800),
            ("1d12h", 129_600),
            ("36500d", 3_153_600_000),
        ];
        for (text, seconds) in cases {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        let wrong = [
            "",
            "0s",
            "72",
            "h",
            "1.5h",
            "-1h",
            "+1h",
            "7 d",
            "7D",
            "1h1d",
            "1h1h",
            "1w",
            "36501d",
            "99999999999999999999d",
            "1é",
            "7d ",
        ];
        for text in wrong {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_have_the_suffixes_of_kubernetes() {
        for (text, bytes) in [("64Mi", 64 << 20), ("1Gi", 1 << 30), ("500M", 500_000_000), ("12", 12), ("0", 0)] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in ["", "Mi", "64 Mi", "64mi", "-1", "1.5Gi", "64MiB", "99999999999Ti"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn names_are_those_that_kubernetes_accepts() {
        for name in ["a", "a-b", "0a9", &"x".repeat(63)] {
            assert!(is_dns_label(name), "{name}");
        }
        for name in ["", "-a", "a-", "A", "a.b", "a_b", "é", &"x".repeat(64)] {
            assert!(!is_dns_label(name), "{name}");
        }
        assert!(is_dns_name("argoproj.io"));
        assert!(!is_dns_name("argoproj..io"));
    }
}
