//! Numbers of pods that may be given as a part of the fleet.

use serde_json::Value;
use sluice_core::Pods;

/// Which way a fraction of a pod goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To the larger number.
    Up,
    /// To the smaller number.
    Down,
}

/// `5` is five pods; `"5%"`, and also `"5"`, is five in a hundred of `fleet`. Argo reads every
/// string as a percentage, and users rely on it. `None` for what is neither.
pub fn pods(value: &Value, fleet: Pods, rounding: Rounding) -> Option<Pods> {
    if let Some(number) = value.as_u64() {
        return u32::try_from(number).ok().map(Pods);
    }
    let percent: u64 = value.as_str()?.trim_end_matches('%').parse().ok()?;
    let exact = percent.checked_mul(u64::from(fleet.0))?;
    let pods = match rounding {
        Rounding::Up => exact.div_ceil(100),
        Rounding::Down => exact / 100,
    };
    u32::try_from(pods).ok().map(Pods)
}

/// Surge and unavailability for a fleet: 25 % each unless given, never both nothing.
pub fn surge_and_unavailable(
    surge: Option<&Value>,
    unavailable: Option<&Value>,
    fleet: Pods,
) -> (Pods, Pods) {
    let quarter = Value::from("25");
    let surge = pods(surge.unwrap_or(&quarter), fleet, Rounding::Up).unwrap_or_default();
    let down = pods(unavailable.unwrap_or(&quarter), fleet, Rounding::Down).unwrap_or_default();
    let down = if surge == Pods::ZERO && down == Pods::ZERO { Pods(1) } else { down };
    (surge, down.min(fleet))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn strings_are_percentages_and_integers_are_pods() {
        let table = [
            (json!(5), 10, Rounding::Up, Some(5)),
            (json!("25%"), 10, Rounding::Up, Some(3)),
            (json!("25%"), 10, Rounding::Down, Some(2)),
            (json!("25"), 10, Rounding::Down, Some(2)),
            (json!("x"), 10, Rounding::Up, None),
            (json!(-1), 10, Rounding::Up, None),
        ];
        for (value, fleet, rounding, expected) in table {
            assert_eq!(pods(&value, Pods(fleet), rounding), expected.map(Pods), "{value}");
        }
    }

    #[test]
    fn surge_and_unavailability_are_never_both_nothing() {
        assert_eq!(surge_and_unavailable(None, None, Pods(10)), (Pods(3), Pods(2)));
        assert_eq!(surge_and_unavailable(None, None, Pods(1)), (Pods(1), Pods(0)));
        let none = json!(0);
        assert_eq!(surge_and_unavailable(Some(&none), None, Pods(1)), (Pods(0), Pods(1)));
        assert_eq!(surge_and_unavailable(Some(&none), None, Pods(0)), (Pods(0), Pods(0)));
    }
}
