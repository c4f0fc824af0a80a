//! Times as users write them: sums and differences of `now()`, `date("2026-11-22T10:00:00Z")`,
//! `duration("5m")` and seconds since the Unix epoch.

/// A point in time, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    /// In seconds, as the API of Prometheus takes it.
    pub fn seconds(self) -> String {
        seconds(self.0)
    }
}

/// Milliseconds as a decimal number of seconds.
pub fn seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    let ms = ms.unsigned_abs();
    format!("{sign}{}.{:03}", ms / 1000, ms % 1000)
}

#[derive(Clone, Copy)]
enum Term {
    Moment(i64),
    Span(i64),
}

/// Evaluates an expression that is a time.
///
/// # Errors
/// If it is none, in words that name the part at fault.
pub fn moment(text: &str, now_ms: i64) -> Result<Moment, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("it must be set, as with now() - duration(\"5m\")".to_owned());
    }
    let mut sum = term(&mut rest, now_ms)?;
    loop {
        rest = rest.trim_start();
        let Some(operator) = rest.chars().next() else { break };
        rest = &rest[operator.len_utf8()..];
        let other = match operator {
            '+' | '-' => term(&mut rest, now_ms)?,
            other => return Err(format!("expected + or - instead of `{other}{rest}`")),
        };
        sum = combine(sum, operator, other)?;
    }
    match sum {
        Term::Moment(ms) => Ok(Moment(ms)),
        Term::Span(_) => Err(format!("`{text}` is a duration and not a time")),
    }
}

fn combine(left: Term, operator: char, right: Term) -> Result<Term, String> {
    let sum = |a: i64, b: i64| match operator {
        '+' => a.checked_add(b),
        _ => a.checked_sub(b),
    };
    let result = match (left, right) {
        (Term::Moment(a), Term::Span(b)) => sum(a, b).map(Term::Moment),
        (Term::Span(a), Term::Span(b)) => sum(a, b).map(Term::Span),
        (Term::Moment(a), Term::Moment(b)) if operator == '-' => sum(a, b).map(Term::Span),
        (Term::Span(a), Term::Moment(b)) if operator == '+' => sum(a, b).map(Term::Moment),
        _ => return Err(format!("a time cannot be the right side of this {operator}")),
    };
    result.ok_or_else(|| "it is too far away".to_owned())
}

/// One operand; `rest` is left at what follows it.
fn term(rest: &mut &str, now_ms: i64) -> Result<Term, String> {
    let text = rest.trim_start();
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        *rest = &text[end..];
        return decimal(&text[..end], 1000).map(Term::Moment);
    }
    let call = text.split_once('(').and_then(|(name, after)| {
        let (argument, after) = after.split_once(')')?;
        Some((name.trim(), argument.trim(), after))
    });
    let Some((name, argument, after)) = call else {
        return Err(format!(
            "expected now(), duration(\"5m\"), date(\"2026-11-22T10:00:00Z\") or seconds instead \
             of `{text}`"
        ));
    };
    *rest = after;
    match name {
        "now" if argument.is_empty() => Ok(Term::Moment(now_ms)),
        "now" => Err(format!("now() takes no argument such as `{argument}`")),
        "duration" => duration(quoted(argument)?).map(Term::Span),
        "date" => date(quoted(argument)?).map(Term::Moment),
        other => Err(format!("unknown function `{other}`; there are now, duration and date")),
    }
}

fn quoted(text: &str) -> Result<&str, String> {
    let inner = ['"', '\'', '`'].into_iter().find_map(|quote| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.contains(quote)).then_some(inner)
    });
    inner.ok_or_else(|| format!("`{text}` should be in quotes"))
}

/// A duration such as `1h30m` or `500ms`, in milliseconds.
///
/// # Errors
/// If it is none.
pub fn duration(text: &str) -> Result<i64, String> {
    // Longer units come first, since `m` would match the beginning of `ms`.
    const UNITS: [(&str, i64); 7] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("ms", 1_000_000),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
    ];
    let wrong = || format!("`{text}` is no duration; it should be like 30s, 5m or 1h30m");
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut nanos: i64 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, after) = rest.split_at(end);
        let (unit, scale) =
            UNITS.into_iter().find(|(unit, _)| after.starts_with(unit)).ok_or_else(wrong)?;
        let part = decimal(number, scale).map_err(|_| wrong())?;
        nanos = nanos.checked_add(part).ok_or_else(wrong)?;
        rest = &after[unit.len()..];
    }
    Ok(sign * (nanos / 1_000_000))
}

/// A decimal number times a scale, without what is behind the point of the product.
fn decimal(text: &str, scale: i64) -> Result<i64, String> {
    let wrong = || format!("`{text}` is no number");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return Err(wrong());
    }
    let mut sum = match whole {
        "" => 0,
        whole => whole.parse::<i64>().ok().and_then(|n| n.checked_mul(scale)).ok_or_else(wrong)?,
    };
    let mut place = scale;
    for digit in fraction.bytes() {
        place /= 10;
        sum = sum.checked_add(place * i64::from(digit - b'0')).ok_or_else(wrong)?;
    }
    Ok(sum)
}

/// A date as in RFC 3339, or a day of UTC alone, in milliseconds since the epoch.
fn date(text: &str) -> Result<i64, String> {
    parse_date(text).ok_or_else(|| {
        format!("`{text}` is no date; it should be like 2026-11-22T10:00:00Z or 2026-11-22")
    })
}

fn parse_date(text: &str) -> Option<i64> {
    let (day, time) = match text.get(10..) {
        None | Some("") => (text, None),
        Some(time) => (text.get(..10)?, Some(time)),
    };
    let midnight = days(day)? * 86_400_000;
    match time {
        None => Some(midnight),
        Some(time) => Some(midnight + time_of_day(time)?),
    }
}

/// Days since the epoch of a date such as `2026-11-22`, by the Gregorian calendar.
fn days(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let (year, month, day) =
        (number(text.get(..4)?)?, number(text.get(5..7)?)?, number(text.get(8..)?)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let at = usize::try_from(month).ok()?.checked_sub(1)?;
    if !(1..=*lengths.get(at)?).contains(&day) || year == 0 {
        return None;
    }
    let before = year - 1;
    let leap_days = before / 4 - before / 100 + before / 400;
    let this_year: i64 = lengths[..at].iter().sum::<i64>() + day - 1;
    // The epoch is day 719162 since the first of January of the year 1.
    Some(before * 365 + leap_days + this_year - 719_162)
}

/// Milliseconds since midnight of UTC of a time such as `T10:00:00.5+01:00`.
fn time_of_day(text: &str) -> Option<i64> {
    let text = text.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = (text.get(..8)?, text.get(8..)?);
    if clock.get(2..3)? != ":" || clock.get(5..6)? != ":" {
        return None;
    }
    let (hour, minute, second) =
        (number(clock.get(..2)?)?, number(clock.get(3..5)?)?, number(clock.get(6..)?)?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let end = rest.find(['Z', 'z', '+', '-'])?;
    let (fraction, zone) = rest.split_at(end);
    let ms = match fraction {
        "" => 0,
        fraction => {
            let digits = fraction.strip_prefix('.').filter(|digits| !digits.is_empty())?;
            decimal(&format!("0.{digits}"), 1000).ok()?
        }
    };
    Some(((hour * 60 + minute - offset(zone)?) * 60 + second) * 1000 + ms)
}

/// Minutes that a zone such as `+01:00` is ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, text) = zone.split_at_checked(1)?;
    let (hours, minutes) = text.split_once(':').filter(|(h, m)| h.len() == 2 && m.len() == 2)?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let ahead = (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)?;
    Some(if sign == "-" { -ahead } else { ahead })
}

fn number(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_000_000_500;

    #[test]
    fn times_are_sums_of_what_users_know() {
        for (text, expected) in [
            ("now()", NOW),
            (" now() - duration(\"5m\") ", NOW - 300_000),
            ("now()-duration('1h30m')", NOW - 5_400_000),
            ("duration(\"1m\") + now()", NOW + 60_000),
            ("now() - duration(\"1h\") + duration(\"-500ms\")", NOW - 3_600_500),
            ("date(\"1970-01-01\")", 0),
            ("date(\"1970-01-02T00:00:01Z\")", 86_401_000),
            ("date(\"2026-11-22T10:00:00.250+01:30\")", 1_795_336_200_250),
            ("date(\"2000-02-29T23:59:59-00:30\")", 951_870_599_000),
            ("1795000000", 1_795_000_000_000),
            ("1795000000.25 - duration(\"1s\")", 1_794_999_999_250),
        ] {
            assert_eq!(moment(text, NOW), Ok(Moment(expected)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_named() {
        for (text, expected) in [
            ("", "it must be set, as with now() - duration(\"5m\")"),
            ("duration(\"5m\")", "`duration(\"5m\")` is a duration and not a time"),
            ("now() - now()", "`now() - now()` is a duration and not a time"),
            ("now() + now()", "a time cannot be the right side of this +"),
            ("now() - duration(5m)", "`5m` should be in quotes"),
            ("now() - duration(\"5x\")", "`5x` is no duration; it should be like 30s, 5m or 1h30m"),
            ("now() * 2", "expected + or - instead of `* 2`"),
            ("today()", "unknown function `today`; there are now, duration and date"),
            (
                "date(\"2026-02-29\")",
                "`2026-02-29` is no date; it should be like 2026-11-22T10:00:00Z or 2026-11-22",
            ),
            (
                "yesterday",
                "expected now(), duration(\"5m\"), date(\"2026-11-22T10:00:00Z\") or seconds \
                 instead of `yesterday`",
            ),
        ] {
            assert_eq!(moment(text, NOW), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn odd_texts_are_refused_and_never_panic() {
        for text in [
            "date(\"é026-11-22\")",
            "date(\"2026-11-22é\")",
            "date(\"2026-11-22T10:00\")",
            "date(\"2026-11-22T25:00:00Z\")",
            "date(\"0000-01-01\")",
            "duration(\"99999999999h\")",
            "9223372036854775807",
            "1.2.3",
            "now(",
            "now() -",
            "now() é",
            "-1",
        ] {
            assert!(moment(text, NOW).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_those_of_go() {
        for (text, expected) in
            [("0", 0), ("1.5h", 5_400_000), ("2m0.5s", 120_500), ("-3s", -3_000), ("900us", 0)]
        {
            assert_eq!(duration(text), Ok(expected), "{text}");
        }
        for text in ["", "5", "m", "1d", ".", "1..5s", "5 m"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn milliseconds_are_sent_as_seconds() {
        assert_eq!(seconds(1_795_000_000_050), "1795000000.050");
        assert_eq!(seconds(-1_500), "-1.500");
    }
}
