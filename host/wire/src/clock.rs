//! Times and durations as the API writes them.

use std::time::Duration;

use jiff::tz::TimeZone;
use sluice_core::Timestamp;

/// RFC 3339 in UTC with whole seconds, as `metav1.Time`.
pub fn format_time(at: Timestamp) -> String {
    let seconds = i64::try_from(at.0 / 1000).unwrap_or(i64::MAX);
    let Ok(stamp) = jiff::Timestamp::from_second(seconds) else { return String::new() };
    stamp.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The next whole second. Only whole seconds are written, so what is to last begins or ends with
/// the next one, and is never shorter than it was to be.
pub fn next_second(at: Timestamp) -> Timestamp {
    Timestamp(at.0.div_ceil(1000).saturating_mul(1000))
}

/// Any RFC 3339 time since 1970; `None` for what is none.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let stamp: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(stamp.as_millisecond()).ok().map(Timestamp)
}

/// A Go duration such as `1h30m`, `90s`, `1.5m` or `250ms`; `None` for what is none or negative.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanos = 0f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..unit_end] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        nanos += number * unit;
        rest = &rest[unit_end..];
    }
    (nanos <= u64::MAX as f64).then(|| Duration::from_nanos(nanos as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        let table = [
            ("30s", Some(30_000)),
            ("1h30m", Some(5_400_000)),
            ("1.5m", Some(90_000)),
            ("250ms", Some(250)),
            ("0", Some(0)),
            ("10", None),
            ("", None),
            ("5 m", None),
            ("1d", None),
            ("-5s", None),
        ];
        for (text, millis) in table {
            assert_eq!(parse_duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn times_round_trip_in_whole_seconds() {
        let at = Timestamp(1_700_000_000_000);
        assert_eq!(format_time(at), "2023-11-14T22:13:20Z");
        assert_eq!(parse_time("2023-11-14T22:13:20Z"), Some(at));
        assert_eq!(parse_time("2023-11-14T23:13:20.250+01:00"), Some(Timestamp(at.0 + 250)));
        assert_eq!(parse_time("yesterday"), None);
    }
}
