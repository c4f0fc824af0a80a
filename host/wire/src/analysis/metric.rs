//! The metrics of a run: validated, and their providers found.

use std::time::Duration;

use regex::Regex;
use serde_json::Value;
use sluice_core::analysis::{CONSECUTIVE_ERROR_LIMIT, KEPT_MEASUREMENTS, MetricSpec};

use crate::clock::parse_duration;
use crate::field::Field;

/// Providers that are members of `provider`, in the order in which they win if several are set.
const PROVIDERS: &[&str] = &[
    "prometheus",
    "job",
    "kayenta",
    "web",
    "datadog",
    "wavefront",
    "newRelic",
    "cloudWatch",
    "graphite",
    "influxdb",
    "skywalking",
];

/// An interval of nothing would keep the provider busy without a break.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// Why metrics cannot be measured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetricError {
    /// There are none.
    #[error("no metrics specified")]
    None,
    /// Two have the same name.
    #[error("metrics[{0}]: duplicate name '{1}'")]
    Duplicate(usize, String),
    /// One is wrong.
    #[error("metrics[{0}]: {1}")]
    Wrong(usize, String),
    /// A rule is for no metric.
    #[error("{0}[{1}]: Rule didn't match any metric name(s)")]
    IdleRule(&'static str, usize),
}

/// Validate the metrics of a run, arguments substituted, with its dry-run and retention rules.
/// Names in rules are regular expressions that need to match only a part.
///
/// # Errors
/// The first thing that is wrong.
pub fn parse(
    metrics: &[Value],
    dry_run: &Field<'_>,
    retention: &Field<'_>,
) -> Result<Vec<MetricSpec>, MetricError> {
    if metrics.is_empty() {
        return Err(MetricError::None);
    }
    let mut specs: Vec<MetricSpec> = Vec::new();
    for (index, metric) in metrics.iter().enumerate() {
        let metric = Field::root(metric);
        let name = metric.get("name").str().unwrap_or_default();
        if specs.iter().any(|spec| spec.name == name) {
            return Err(MetricError::Duplicate(index, name.to_owned()));
        }
        specs.push(parse_one(&metric).map_err(|why| MetricError::Wrong(index, why))?);
    }
    rules("dryRun", dry_run, &mut specs, |spec, _| spec.dry_run = true)?;
    rules("measurementRetention", retention, &mut specs, |spec, rule| {
        let limit = rule.get("limit").u32().filter(|limit| *limit > 0);
        if let Some(limit) = limit {
            spec.kept = limit as usize;
        }
    })?;
    Ok(specs)
}

fn rules(
    list: &'static str,
    rules: &Field<'_>,
    specs: &mut [MetricSpec],
    apply: impl Fn(&mut MetricSpec, &Field<'_>),
) -> Result<(), MetricError> {
    for (index, rule) in rules.items().iter().enumerate() {
        // What is no expression matches nothing.
        let pattern = Regex::new(rule.get("metricName").str().unwrap_or_default()).ok();
        let matches = |spec: &MetricSpec| pattern.as_ref().is_some_and(|p| p.is_match(&spec.name));
        let mut matched = specs.iter_mut().filter(|spec| matches(spec)).peekable();
        if matched.peek().is_none() {
            return Err(MetricError::IdleRule(list, index));
        }
        matched.for_each(|spec| apply(spec, rule));
    }
    Ok(())
}

/// Whether a dry-run rule is about the metric of this name. What is no expression matches nothing.
pub fn is_dry_run(rules: &Field<'_>, name: &str) -> bool {
    let mut patterns = rules
        .items()
        .into_iter()
        .filter_map(|rule| Regex::new(rule.get("metricName").str().unwrap_or_default()).ok());
    patterns.any(|pattern| pattern.is_match(name))
}

fn parse_one(metric: &Field<'_>) -> Result<MetricSpec, String> {
    let successes = number(metric, "consecutiveSuccessLimit")?.unwrap_or(0);
    let failures = number(metric, "failureLimit")?.unwrap_or(0);
    let inconclusive = number(metric, "inconclusiveLimit")?.unwrap_or(0);
    let errors = number(metric, "consecutiveErrorLimit")?;
    let errors = errors.unwrap_or(i64::from(CONSECUTIVE_ERROR_LIMIT));
    let count = number(metric, "count")?.unwrap_or(0);
    let consecutive_success_limit = at_least_zero("consecutiveSuccessLimit", successes)?;
    if failures < -1 {
        return Err("failureLimit must be >= -1".to_owned());
    }
    if failures == -1 && successes == 0 {
        return Err("failureLimit and consecutiveSuccessLimit cannot both be disabled".to_owned());
    }
    if count > 0 {
        if count < failures.max(0) + successes {
            return Err(match (failures, successes) {
                (_, 0) => "count must be >= failureLimit",
                (-1, _) => "count must be >= consecutiveSuccessLimit",
                _ => "count must be >= failureLimit + consecutiveSuccessLimit",
            }
            .to_owned());
        }
        if count < inconclusive {
            return Err("count must be >= inconclusiveLimit".to_owned());
        }
    }
    let interval = metric.get("interval").name();
    if count > 1 && interval.is_none() {
        return Err("interval must be specified when count > 1".to_owned());
    }
    let interval = duration("interval", interval)?.map(|interval| interval.max(SHORTEST_INTERVAL));
    let initial_delay = duration("startDelay", metric.get("initialDelay").name())?;
    let inconclusive_limit = at_least_zero("inconclusiveLimit", inconclusive)?;
    let consecutive_error_limit = at_least_zero("consecutiveErrorLimit", errors)?;
    provider(metric)?;
    Ok(MetricSpec {
        name: metric.get("name").str().unwrap_or_default().to_owned(),
        interval,
        initial_delay,
        count: u32::try_from(count).ok(),
        failure_limit: u32::try_from(failures).ok(),
        inconclusive_limit,
        consecutive_error_limit,
        consecutive_success_limit,
        dry_run: false,
        kept: KEPT_MEASUREMENTS,
    })
}

/// A whole number, or a text that is one.
fn number(metric: &Field<'_>, name: &str) -> Result<Option<i64>, String> {
    match metric.get(name).value() {
        None => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(value) => {
            let number = match value {
                Value::String(text) => text.trim().parse().ok(),
                other => other.as_i64(),
            };
            let number = number.filter(|number| i32::try_from(*number).is_ok());
            number.map(Some).ok_or_else(|| format!("{name} is no whole number: {value}"))
        }
    }
}

fn at_least_zero(name: &str, number: i64) -> Result<u32, String> {
    u32::try_from(number).map_err(|_| format!("{name} must be >= 0"))
}

fn duration(name: &str, text: Option<&str>) -> Result<Option<Duration>, String> {
    let Some(text) = text else { return Ok(None) };
    match parse_duration(text) {
        Some(duration) => Ok(Some(duration)),
        None => Err(format!("invalid {name} string: time: invalid duration {text:?}")),
    }
}

/// The name of a metric's provider, and its part of the metric.
///
/// # Errors
/// There is none, or there are several.
pub fn provider<'v>(metric: &Field<'v>) -> Result<(&'v str, &'v Value), String> {
    let provider = metric.get("provider");
    let members = provider.value().and_then(Value::as_object);
    let member = |name: &&str| {
        let (name, config) = members?.get_key_value(*name)?;
        (!config.is_null()).then_some((name.as_str(), config))
    };
    let mut found: Vec<_> = PROVIDERS.iter().filter_map(member).collect();
    let plugins = provider.get("plugin").value().and_then(Value::as_object);
    found.extend(plugins.into_iter().flatten().map(|(name, config)| (name.as_str(), config)));
    match found[..] {
        [one] => Ok(one),
        [] => Err("no provider specified".to_owned()),
        _ => Err("multiple providers specified".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with(fields: Value) -> Value {
        let mut metric = json!({"name": "m", "provider": {"prometheus": {"query": "up"}}});
        for (name, field) in fields.as_object().unwrap() {
            metric[name] = field.clone();
        }
        metric
    }

    fn parsed(metrics: &[Value], rules: Value) -> Result<Vec<MetricSpec>, String> {
        let rules = Field::root(&rules);
        parse(metrics, &rules.get("dryRun"), &rules.get("measurementRetention"))
            .map_err(|error| error.to_string())
    }

    fn one(fields: Value) -> Result<MetricSpec, String> {
        parsed(&[with(fields)], json!({})).map(|mut specs| specs.remove(0))
    }

    #[test]
    fn the_defaults() {
        let expected = MetricSpec { name: "m".to_owned(), count: Some(0), ..MetricSpec::default() };
        let spec = one(json!({})).unwrap();
        assert_eq!((spec.target(), spec), (Some(1), expected));
    }

    #[test]
    fn numbers_may_be_texts_as_arguments_leave_them() {
        let spec = one(json!({
            "count": "5", "interval": "1m30s", "initialDelay": "2s", "failureLimit": "2",
            "inconclusiveLimit": 1, "consecutiveErrorLimit": "0", "consecutiveSuccessLimit": 3,
        }))
        .unwrap();
        let expected = MetricSpec {
            name: "m".to_owned(),
            interval: Some(Duration::from_secs(90)),
            initial_delay: Some(Duration::from_secs(2)),
            count: Some(5),
            failure_limit: Some(2),
            inconclusive_limit: 1,
            consecutive_error_limit: 0,
            consecutive_success_limit: 3,
            ..MetricSpec::default()
        };
        assert_eq!(spec, expected);
    }

    #[test]
    fn what_is_refused_and_how() {
        let table = [
            (json!({"consecutiveSuccessLimit": -1}), "consecutiveSuccessLimit must be >= 0"),
            (json!({"failureLimit": -2}), "failureLimit must be >= -1"),
            (
                json!({"failureLimit": -1}),
                "failureLimit and consecutiveSuccessLimit cannot both be disabled",
            ),
            (json!({"inconclusiveLimit": -1}), "inconclusiveLimit must be >= 0"),
            (json!({"consecutiveErrorLimit": -1}), "consecutiveErrorLimit must be >= 0"),
            (json!({"count": 1, "failureLimit": 2}), "count must be >= failureLimit"),
            (
                json!({"count": 1, "failureLimit": -1, "consecutiveSuccessLimit": 2}),
                "count must be >= consecutiveSuccessLimit",
            ),
            (
                json!({"count": 3, "failureLimit": 2, "consecutiveSuccessLimit": 2}),
                "count must be >= failureLimit + consecutiveSuccessLimit",
            ),
            (json!({"count": 1, "inconclusiveLimit": 2}), "count must be >= inconclusiveLimit"),
            (json!({"count": 2}), "interval must be specified when count > 1"),
            (
                json!({"interval": "5 apples"}),
                "invalid interval string: time: invalid duration \"5 apples\"",
            ),
            (
                json!({"initialDelay": "soon"}),
                "invalid startDelay string: time: invalid duration \"soon\"",
            ),
            (json!({"count": "many"}), "count is no whole number: \"many\""),
            (json!({"provider": {}}), "no provider specified"),
            (json!({"provider": {"web": {}, "job": {}}}), "multiple providers specified"),
            (json!({"provider": {"plugin": {"a": {}, "b": {}}}}), "multiple providers specified"),
        ];
        for (fields, why) in table {
            assert_eq!(one(fields.clone()), Err(format!("metrics[0]: {why}")), "{fields}");
        }
        assert_eq!(parsed(&[], json!({})), Err("no metrics specified".to_owned()));
        let twice = [with(json!({})), with(json!({}))];
        assert_eq!(parsed(&twice, json!({})), Err("metrics[1]: duplicate name 'm'".to_owned()));
    }

    #[test]
    fn a_failure_limit_of_minus_one_switches_it_off() {
        let spec = one(json!({"failureLimit": -1, "consecutiveSuccessLimit": 2})).unwrap();
        assert_eq!((spec.failure_limit, spec.consecutive_success_limit), (None, 2));
    }

    #[test]
    fn rules_match_any_part_of_a_name_and_at_least_one() {
        let metrics = [with(json!({"name": "error-rate"})), with(json!({"name": "latency"}))];
        let rules = json!({
            "dryRun": [{"metricName": "rate"}],
            "measurementRetention": [{"metricName": "^l.*y$", "limit": 25}, {"metricName": ".*rate", "limit": 0}],
        });
        let specs = parsed(&metrics, rules).unwrap();
        let found: Vec<_> = specs.iter().map(|spec| (spec.dry_run, spec.kept)).collect();
        assert_eq!(found, [(true, 10), (false, 25)]);
        for (list, rule) in [("dryRun", "x"), ("measurementRetention", "(")] {
            let rules = json!({list: [{"metricName": "latency"}, {"metricName": rule}]});
            let why = format!("{list}[1]: Rule didn't match any metric name(s)");
            assert_eq!(parsed(&metrics, rules), Err(why));
        }
    }

    #[test]
    fn a_provider_is_a_member_or_the_only_plugin() {
        let web = json!({"provider": {"web": {"url": "u"}, "job": null}});
        assert_eq!(provider(&Field::root(&web)), Ok(("web", &json!({"url": "u"}))));
        let plugin = json!({"provider": {"plugin": {"acme/load": {"rps": 5}}}});
        assert_eq!(provider(&Field::root(&plugin)), Ok(("acme/load", &json!({"rps": 5}))));
    }
}
