//! `Retry-After` as registries write it: seconds, an HTTP date (RFC 9110, 10.2.3), or a Go duration (GHCR: `35.852µs`).

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderValue;

use super::super::go_duration;

/// Nobody is asked again sooner: `0` and microseconds are what overloaded registries say.
pub(in super::super) const SHORTEST: Duration = Duration::from_secs(1);
/// Nobody is left alone for longer: a registry that says a year must not be gone for a year.
pub(in super::super) const LONGEST: Duration = Duration::from_secs(60);

/// Longer is no duration that anybody writes.
const TEXT: usize = 64;

/// How long to be quiet, within our bounds; without a word, or with one that is not understood, the shortest.
pub(in super::super) fn asked_for(header: Option<&HeaderValue>, now: SystemTime) -> Duration {
    let text = header.and_then(|value| std::str::from_utf8(value.as_bytes()).ok()).filter(|text| text.len() <= TEXT);
    text.and_then(|text| read(text.trim(), now)).unwrap_or(SHORTEST).clamp(SHORTEST, LONGEST)
}

fn read(text: &str, now: SystemTime) -> Option<Duration> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().map_or(LONGEST, Duration::from_secs));
    }
    match httpdate::parse_http_date(text) {
        Ok(date) => Some(date.duration_since(now).unwrap_or_default()),
        Err(_) => go_duration::parse(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Duration {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        asked_for(Some(&HeaderValue::from_bytes(text.as_bytes()).unwrap()), now)
    }

    #[test]
    fn each_way_of_writing_is_read() {
        for (text, seconds) in [
            ("7", 7.0),
            (" 7 ", 7.0),
            ("Sun, 06 Nov 1994 08:49:47 GMT", 10.0),
            ("1.5s", 1.5),
            ("0m2.5s", 2.5),
            ("2500ms", 2.5),
            ("1s500ms", 1.5),
        ] {
            assert_eq!(asked(text), Duration::from_secs_f64(seconds), "{text}");
        }
    }

    #[test]
    fn absurdly_little_and_nonsense_become_a_second() {
        for text in [
            "0",
            "35.852µs",
            "35.852us",
            "12ns",
            "Sun, 06 Nov 1994 08:49:30 GMT",
            "soon",
            "",
            "-5",
            "5x",
            "..s",
            "1.2.3s",
            "9999999999999h",
        ] {
            assert_eq!(asked(text), SHORTEST, "{text}");
        }
        assert_eq!(asked_for(None, SystemTime::now()), SHORTEST);
    }

    #[test]
    fn absurdly_much_becomes_a_minute() {
        for text in ["31536000", "99999999999999999999999999", "8760h", "Sat, 06 Nov 2094 08:49:37 GMT"] {
            assert_eq!(asked(text), LONGEST, "{text}");
        }
    }
}
