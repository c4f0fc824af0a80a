//! AnalysisTemplates and AnalysisRuns: their metrics, judged with stand-ins for arguments that
//! nobody has given a value yet.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::analysis::arguments::{ArgumentError, PLACEHOLDER, Values, used};
use crate::analysis::condition;
use crate::analysis::metric::{self, MetricError};
use crate::analysis::template::{Template, TemplateError, unite_references, unite_specs};
use crate::field::Field;
use crate::lint::around::{Around, warn_of_absent};
use crate::lint::{Page, Part, Unfit};
use crate::objects::TemplateName;

/// Fields of a metric that its complaints are about, and the word for them in the complaint.
const FIELDS: &[(&str, &str)] = &[
    ("consecutiveSuccessLimit", "consecutiveSuccessLimit"),
    ("consecutiveErrorLimit", "consecutiveErrorLimit"),
    ("inconclusiveLimit", "inconclusiveLimit"),
    ("failureLimit", "failureLimit"),
    ("initialDelay", "startDelay"),
    ("interval", "interval"),
    ("count", "count"),
    ("provider", "provider"),
];

/// What helps against complaints about metrics, by a part of their words.
const FIXES: &[(&str, &str)] = &[
    ("invalid duration", "write a number and a unit, such as 30s or 5m"),
    ("interval must be specified", "add an interval, such as 30s"),
    ("is no whole number", "write a whole number"),
    ("count must be >=", "raise count, or lower the limit"),
    ("no provider specified", "add one, such as prometheus"),
    ("multiple providers specified", "make it several metrics, one for each"),
];

/// Judge an AnalysisTemplate or a ClusterAnalysisTemplate.
pub(super) fn check(page: &mut Page<'_>, around: &Around<'_>, cluster: bool) {
    let root = page.root();
    let spec = root.get("spec");
    warn_of_absent(page, around, &spec.get("templates"));
    let own = root.at("metadata.name").name().unwrap_or_default();
    let own = TemplateName { cluster, name: own.to_owned() };
    let list = json!([{"templateName": own.name, "clusterScope": cluster}]);
    let (namespace, object) = (page.namespace(), &page.document.object);
    let find = |name: &TemplateName| {
        if *name == own { Some(object) } else { around.template(&namespace, name) }
    };
    let united = match unite_references(&Field::root(&list), find) {
        Ok(united) => Some(united),
        Err(TemplateError::NotFound(_)) => None,
        Err(error) => {
            not_united(page, &spec, &error);
            None
        }
    };
    // What another template brings along may be all that this one misses.
    let is_whole = united.is_some() && !around.is_joined(&own);
    let united = united.or_else(|| unite_specs([("", &spec)]).ok()).unwrap_or_default();
    let metrics = Metrics { arguments: stand_ins(&united.args), is_whole };
    metrics.check(page, around, &spec, &united);
}

/// Judge an AnalysisRun. Nobody is going to give its arguments a value.
pub(super) fn check_run(page: &mut Page<'_>, around: &Around<'_>) {
    let root = page.root();
    let spec = root.get("spec");
    for arg in spec.get("args").items() {
        let has_value = arg.get("value").is_set() || arg.at("valueFrom.secretKeyRef").is_set();
        if !has_value && let Some(name) = arg.get("name").name() {
            let problem = format!("argument {name:?} has no value");
            page.error(arg.path(), problem, Some("give it a value or a valueFrom.secretKeyRef"));
        }
    }
    match unite_specs([("", &spec)]) {
        Ok(united) => {
            let metrics = Metrics { arguments: stand_ins(&united.args), is_whole: true };
            metrics.check(page, around, &spec, &united);
        }
        Err(error) => not_united(page, &spec, &error),
    }
}

/// Arguments of which each has a value, and the names of those whose value is made up.
struct StandIns {
    args: Vec<Value>,
    made_up: BTreeSet<String>,
}

fn stand_ins(args: &[Value]) -> StandIns {
    let mut stand_ins = StandIns { args: Vec::new(), made_up: BTreeSet::new() };
    for arg in args {
        let arg = Field::root(arg);
        let name = arg.get("name").str().unwrap_or_default();
        let value = arg.get("value").value().cloned().unwrap_or_else(|| {
            stand_ins.made_up.insert(name.to_owned());
            PLACEHOLDER.into()
        });
        stand_ins.args.push(json!({"name": name, "value": value}));
    }
    stand_ins
}

impl StandIns {
    fn values(&self, args: &[Value]) -> Values {
        // All have values, so there is nothing that could fail.
        Values::of(args, |_| Ok(PLACEHOLDER.to_owned())).unwrap_or_default()
    }

    /// Values for conditions: a number is right in most places where an argument stands in one.
    fn in_conditions(&self) -> Values {
        let mut args = self.args.clone();
        for arg in &mut args {
            if arg["name"].as_str().is_some_and(|name| self.made_up.contains(name)) {
                arg["value"] = "1".into();
            }
        }
        self.values(&args)
    }

    /// Whether a made-up value would be put into this.
    fn is_made_up(&self, value: &Value) -> bool {
        let used = used(&self.args, value);
        used.iter().any(|arg| arg["name"].as_str().is_some_and(|name| self.made_up.contains(name)))
    }
}

struct Metrics {
    arguments: StandIns,
    /// Whether all is there that a run would have.
    is_whole: bool,
}

impl Metrics {
    fn check(&self, page: &mut Page<'_>, around: &Around<'_>, spec: &Field<'_>, united: &Template) {
        let values = self.arguments.values(&self.arguments.args);
        let mut all_parsed = true;
        for metric in spec.get("metrics").items() {
            all_parsed &= self.metric(page, around, &metric, &values).is_some();
        }
        if !all_parsed || !self.is_whole {
            return;
        }
        let forms: Vec<_> =
            united.metrics.iter().map(|metric| self.form(metric, &values)).collect();
        let (dry_run, retention) =
            (Value::from(united.dry_run.clone()), Value::from(united.retention.clone()));
        match metric::parse(&forms, &Field::root(&dry_run), &Field::root(&retention)) {
            Err(MetricError::None) => {
                let problem = "there is nothing to measure";
                page.error("spec.metrics", problem, Some("add a metric"));
            }
            Err(MetricError::IdleRule(list, index)) => {
                let path = format!("spec.{list}[{index}].metricName");
                page.error(&path, "no metric has a name that matches", None);
            }
            // Each metric was judged above, and names were compared when they were united.
            Err(MetricError::Wrong(..) | MetricError::Duplicate(..)) | Ok(_) => {}
        }
    }

    /// Judge one metric; `None` if it has errors.
    fn metric(
        &self,
        page: &mut Page<'_>,
        around: &Around<'_>,
        metric: &Field<'_>,
        values: &Values,
    ) -> Option<()> {
        let value = metric.value()?;
        let substituted = match values.substitute(value) {
            Ok(substituted) => substituted,
            Err(ArgumentError::UnknownTag(tag)) => {
                if self.is_whole {
                    unknown_tag(page, metric, &tag);
                }
                return None;
            }
            Err(error) => {
                page.error(metric.path(), error.to_string(), None);
                return None;
            }
        };
        let form = self.form(value, values);
        let nothing = Field::root(&Value::Null);
        let mut passes = Some(());
        if let Err(MetricError::Wrong(_, why)) = metric::parse(&[form], &nothing, &nothing) {
            let fix = FIXES.iter().find(|(part, _)| why.contains(part)).map(|(_, fix)| *fix);
            page.error(&path_of(metric, &why), why, fix);
            passes = None;
        }
        if !self.conditions(page, metric) {
            passes = None;
        }
        if let Ok((name, config)) = metric::provider(&Field::root(&substituted)) {
            self.provider(page, around, metric, name, config);
        }
        passes
    }

    /// The metric as a run would have it, as far as that is known: what stands or falls with
    /// a made-up value is left out.
    fn form(&self, metric: &Value, values: &Values) -> Value {
        let mut fields = metric.as_object().cloned().unwrap_or_else(Map::new);
        for (name, _) in FIELDS.iter().filter(|(name, _)| *name != "provider") {
            let Some(field) = fields.get(*name) else { continue };
            if self.arguments.is_made_up(field) {
                if *name == "interval" {
                    fields.insert((*name).to_owned(), "1m".into());
                } else {
                    fields.remove(*name);
                }
            }
        }
        let form = Value::Object(fields);
        values.substitute(&form).unwrap_or(form)
    }

    fn conditions(&self, page: &mut Page<'_>, metric: &Field<'_>) -> bool {
        let values = self.arguments.in_conditions();
        let mut all_pass = true;
        for name in ["successCondition", "failureCondition"] {
            let field = metric.get(name);
            let Some(text) = field.name().filter(|text| !text.trim().is_empty()) else { continue };
            let Ok(Value::String(text)) = values.substitute(&Value::from(text)) else { continue };
            if let Err(why) = condition::check(&text) {
                page.error(field.path(), format!("not an expression: {why}"), None);
                all_pass = false;
            }
        }
        all_pass
    }

    fn provider(
        &self,
        page: &mut Page<'_>,
        around: &Around<'_>,
        metric: &Field<'_>,
        name: &str,
        config: &Value,
    ) {
        let provider = metric.get("provider");
        let is_plugin = provider.at("plugin").get(name).is_set();
        let path = if is_plugin {
            format!("{}.plugin{}", provider.path(), member(name))
        } else {
            format!("{}{}", provider.path(), member(name))
        };
        let is_made_up = provider.value().is_some_and(|value| self.arguments.is_made_up(value));
        if is_made_up
            && matches!((around.validate)(Part::Metric, name, config), Err(Unfit::Wrong(_)))
        {
            // It may well be the made-up value that does not please.
            return;
        }
        around.ask(page, Part::Metric, name, &path, config);
    }
}

/// A field's name as a part of a path.
pub(super) fn member(name: &str) -> String {
    let is_plain =
        name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'));
    if is_plain { format!(".{name}") } else { format!("[{name:?}]") }
}

/// The field of a metric that a complaint names first.
fn path_of(metric: &Field<'_>, why: &str) -> String {
    let named = FIELDS.iter().filter_map(|(field, word)| Some((why.find(word)?, field)));
    match named.min() {
        Some((_, field)) => metric.get(field).path().to_owned(),
        None => metric.path().to_owned(),
    }
}

fn unknown_tag(page: &mut Page<'_>, metric: &Field<'_>, tag: &str) {
    let value = metric.value().unwrap_or(&Value::Null);
    let whole = format!("{{{{{tag}}}}}");
    let path = holder(value, metric.path(), &whole).unwrap_or_else(|| metric.path().to_owned());
    let fix = match tag.trim().strip_prefix("args.") {
        Some(name) => format!("declare {name:?} in spec.args"),
        None => "arguments are written {{args.NAME}}".to_owned(),
    };
    page.error(&path, format!("{whole} stands for no argument"), Some(&fix));
}

/// The path of the text that contains `tag`.
fn holder(value: &Value, path: &str, tag: &str) -> Option<String> {
    match value {
        Value::String(text) => text.contains(tag).then(|| path.to_owned()),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| holder(item, &format!("{path}[{index}]"), tag)),
        Value::Object(fields) => fields.iter().find_map(|(name, field)| {
            let path = format!("{path}{}", member(name));
            if name.contains(tag) { Some(path) } else { holder(field, &path, tag) }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn not_united(page: &mut Page<'_>, spec: &Field<'_>, error: &TemplateError) {
    let (list, key, name) = match error {
        TemplateError::DuplicateMetric(name) => ("metrics", "name", name.as_str()),
        TemplateError::DuplicateDryRun(name) => ("dryRun", "metricName", name.as_str()),
        TemplateError::DuplicateRetention(name) => {
            ("measurementRetention", "metricName", name.as_str())
        }
        TemplateError::Argument(ArgumentError::Different { name, .. }) => {
            ("args", "name", name.as_str())
        }
        TemplateError::Argument(_) | TemplateError::NotFound(_) => ("templates", "", ""),
    };
    // The last one of that name is the one too many, unless another template has it.
    let items = spec.get(list).items();
    let culprit =
        items.iter().rev().map(|item| item.get(key)).find(|item| item.str() == Some(name));
    let path = culprit
        .map_or_else(|| spec.get("templates").path().to_owned(), |item| item.path().to_owned());
    page.error(&path, error.to_string(), None);
}
