//! Single words: references, durations, times, numbers of pods.

use serde_json::Value;
use sluice_core::Pods;
use sluice_wire::clock::{format_time, next_second, parse_duration, parse_time};
use sluice_wire::rollout::percent::{Rounding, pods as read_pods, surge_and_unavailable};
use url::Url;

use super::registry;
use crate::Verdict;
use crate::hold;

/// A reference is asked for at the server that it names and in the repository that it names, in
/// the clear only on this machine; and it is written as what is read as the same.
pub(super) fn reference(text: &str) -> Verdict {
    use registry::reference::Reference;
    let read = match Reference::read(text) {
        Ok(read) => read,
        Err(registry::RegistryError::Reference(named)) => {
            return hold(named == text, || format!("{named:?} is named"));
        }
    };
    let again = Reference::read(&read.to_string()).ok();
    hold(again.as_ref() == Some(&read), || format!("{read} is then read as {again:?}"))?;
    hold(!read.version().is_empty(), || "no version".to_owned())?;
    let text = read.url("blobs/x");
    // What is no URL is refused by the client, with its words.
    let Ok(url) = Url::parse(&text) else { return Ok(()) };
    let path = format!("/v2/{}/blobs/x", read.repository);
    hold(url.path() == path, || format!("{text} is asked for at {}", url.path()))?;
    let local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    hold(local || url.scheme() == "https", || format!("{text} is asked in the clear"))?;
    let token = read.token_url("https://t.test/token", Some("a b&c"), false);
    let right = Url::parse(&token).is_ok_and(|url| {
        let scope = format!("repository:{}:pull", read.repository);
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        pairs == [("scope".to_owned(), scope), ("service".to_owned(), "a b&c".to_owned())]
    });
    hold(right, || format!("asks {token}"))
}

/// Durations are summed here once more, in whole units, as far as they are whole.
pub(super) fn duration(text: &str) -> Verdict {
    let read = parse_duration(text);
    let Some(exact) = whole(text) else { return Ok(()) };
    let Some(read) = read else {
        return hold(exact > u128::from(u64::MAX), || format!("{exact} ns are refused"));
    };
    // Beyond 2^53 ns, which are 104 days, floating point rounds.
    let near = read.as_nanos().abs_diff(exact) <= exact >> 50;
    hold(near, || format!("{exact} ns are read as {read:?}"))
}

/// Nanoseconds of a sum of whole numbers with units.
fn whole(text: &str) -> Option<u128> {
    let units: [(&str, u128); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("μs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    let (mut rest, mut sum) = (text, 0_u128);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u128 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        let (_, unit) = units.iter().find(|(name, _)| *name == &rest[..letters])?;
        sum = sum.checked_add(number.checked_mul(*unit)?)?;
        rest = &rest[letters..];
    }
    Some(sum)
}

/// A time is written in whole seconds, and read as those.
pub(super) fn time(text: &str) -> Verdict {
    let Some(at) = parse_time(text) else { return Ok(()) };
    let written = format_time(at);
    let again = parse_time(&written);
    let seconds = at.0 - at.0 % 1000;
    let same = again.is_some_and(|again| again.0 == seconds);
    hold(same, || format!("{at:?} is written {written:?} and read {again:?}"))?;
    let next = next_second(at);
    hold(next >= at && next.0 - at.0 < 1000, || format!("{next:?} follows {at:?}"))
}

/// A part of the fleet is no more than its percentage, rounded as was asked, and a fleet can
/// always be replaced.
pub(super) fn pods(text: &str) -> Verdict {
    let value = serde_json::from_str(text).unwrap_or(Value::from(text));
    for fleet in [0, 1, 3, 10, u32::MAX] {
        let fleet = Pods(fleet);
        let [up, down] = [Rounding::Up, Rounding::Down].map(|way| read_pods(&value, fleet, way));
        if let (Some(up), Some(down)) = (up, down) {
            hold(up >= down && up.0 - down.0 <= 1, || format!("{up:?} and {down:?}"))?;
        }
        let (surge, unavailable) = surge_and_unavailable(Some(&value), Some(&value), fleet);
        let moves = surge > Pods::ZERO || unavailable > Pods::ZERO || fleet == Pods::ZERO;
        hold(moves, || format!("a fleet of {fleet:?} could never be replaced"))?;
        hold(unavailable <= fleet, || format!("{unavailable:?} of {fleet:?} may be missing"))?;
    }
    Ok(())
}
