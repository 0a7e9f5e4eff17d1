//! Durations as Go writes them ([time.ParseDuration](https://pkg.go.dev/time#ParseDuration)): in `hosts.toml`, in the
//! answers of credential providers, and in what some registries put into `Retry-After`.

use std::time::Duration;

/// A duration as Go writes it, and not negative: `12h0m0s`, `1.5h`, `300ms`, `0`.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let length = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(length);
        let nanoseconds = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        sum = sum.checked_add(scaled(number, nanoseconds)?)?;
        rest = next;
    }
    (!text.is_empty()).then_some(sum)
}

/// `1.5` of a unit of so many nanoseconds; at most what Go's own durations hold, 290 years.
fn scaled(number: &str, nanoseconds: u64) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? }.checked_mul(nanoseconds)?;
    // A tenth, a hundredth, ... of the unit for each digit; what is less than a nanosecond does not count.
    let mut part = 0;
    let mut unit = nanoseconds;
    for digit in fraction.chars() {
        unit /= 10;
        part += unit * u64::from(digit.to_digit(10)?);
    }
    whole.checked_add(part).filter(|sum| i64::try_from(*sum).is_ok()).map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        let nanoseconds = |text: &str| parse(text).map(|duration| duration.as_nanos());
        for (text, seconds) in
            [("12h0m0s", 43_200), ("0", 0), ("0s", 0), ("1h30m", 5_400), ("1.5h", 5_400), ("90s", 90), ("+2s", 2)]
        {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for (text, wanted) in [
            ("300ms", 300_000_000),
            ("1us", 1_000),
            ("1µs", 1_000),
            ("5ns", 5),
            (".5s", 500_000_000),
            ("0.3s", 300_000_000),
            ("1.s", 1_000_000_000),
        ] {
            assert_eq!(nanoseconds(text), Some(wanted), "{text}");
        }
        for text in [
            "",
            "12",
            "h",
            "-1s",
            "+-1s",
            "1d",
            "1 h",
            ".s",
            "1..5s",
            "9999999h",
            "1h ",
            "1e3s",
            "99999999999999999999h",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
