//! Durations as Go writes them: `3s`, `1m30s`, `1.5s`, `500ms` ([time.ParseDuration](https://pkg.go.dev/time)).

use std::time::Duration;

/// A text that is longer than any sensible one.
const MOST_LETTERS: usize = 32;
const UNITS: [(&str, f64); 8] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("\u{b5}s", 1e-6),
    ("\u{3bc}s", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
];

/// None where it is no duration, or a negative one.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() || rest.len() > MOST_LETTERS {
        return None;
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(after.len());
        let (unit, following) = after.split_at(letters);
        let (_, scale) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        seconds += number.parse::<f64>().ok()? * scale;
        rest = following;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let cases = [
            ("3s", 3000),
            ("1m30s", 90_000),
            ("1.5s", 1500),
            (".5s", 500),
            ("500ms", 500),
            ("1h", 3_600_000),
            ("0", 0),
            ("0s", 0),
            ("+2s", 2000),
            ("2000us", 2),
            ("2000\u{b5}s", 2),
        ];
        for (text, milliseconds) in cases {
            assert_eq!(parse(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_in_go_is_none_here() {
        for text in ["", "3", "s", "-3s", "3 s", "3x", "1s1", ".s", "1.2.3s", "inf", "1e3s", "nans", "3S"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&format!("{}s", "9".repeat(31))), None);
    }
}
