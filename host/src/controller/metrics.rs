//! `/metrics` in Prometheus' text format: Argo Rollouts' names for what it has names for, and
//! `sluice_` for the rest.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sluice_engine::Kind;
use sluice_kube::health::{BUCKETS, RolloutInfo, Snapshot, Turns};
use sluice_wasm::PluginInfo;

/// Every phase of a rollout.
const ROLLOUT_PHASES: [&str; 4] = ["Healthy", "Progressing", "Paused", "Degraded"];

/// A metric with its help and how it is read.
type OfRollouts = (&'static str, &'static str, fn(&RolloutInfo) -> u64);
/// A metric with its type, its help and how it is read.
type OfPlugins = (&'static str, &'static str, &'static str, fn(&PluginInfo) -> f64);

/// All metrics as of now.
pub fn text(seen: &Snapshot, components: &[PluginInfo]) -> String {
    let mut page = Page::default();
    rollouts(&mut page, seen);
    runs(&mut page, seen);
    turns(&mut page, seen, Kind::Rollout, "rollout");
    turns(&mut page, seen, Kind::AnalysisRun, "analysis_run");
    controller(&mut page, seen);
    plugins(&mut page, components);
    process(&mut page);
    page.0
}

fn rollouts(page: &mut Page, seen: &Snapshot) {
    page.head("rollout_info", "gauge", "The rollouts.");
    for ((namespace, name), info) in &seen.rollouts {
        let labels = [
            ("namespace", namespace.as_str()),
            ("name", name),
            ("strategy", info.strategy),
            ("traffic_router", &info.traffic_router),
            ("phase", &info.phase),
        ];
        page.sample("rollout_info", &labels, 1.0);
    }
    page.head("rollout_phase", "gauge", "The phase of each rollout. Use rollout_info.");
    for ((namespace, name), info) in &seen.rollouts {
        for phase in ROLLOUT_PHASES {
            let labels = [
                ("namespace", namespace.as_str()),
                ("name", name),
                ("strategy", info.strategy),
                ("phase", phase),
            ];
            page.sample("rollout_phase", &labels, f64::from(u8::from(info.phase == phase)));
        }
    }
    let counts: [OfRollouts; 4] = [
        ("rollout_info_replicas_available", "Available pods.", |info| info.available),
        ("rollout_info_replicas_unavailable", "Other pods.", |info| info.unavailable),
        ("rollout_info_replicas_desired", "Wanted pods.", |info| info.desired),
        ("rollout_info_replicas_updated", "Pods of the newest template.", |info| info.updated),
    ];
    for (metric, help, count) in counts {
        page.head(metric, "gauge", help);
        for ((namespace, name), info) in &seen.rollouts {
            let labels = [("namespace", namespace.as_str()), ("name", name)];
            page.sample(metric, &labels, float(count(info)));
        }
    }
    page.head("rollout_events_total", "counter", "Events.");
    for ((namespace, name, severity, reason), count) in &seen.events {
        let labels = [
            ("namespace", namespace.as_str()),
            ("name", name),
            ("type", severity),
            ("reason", reason),
        ];
        page.sample("rollout_events_total", &labels, float(*count));
    }
}

fn runs(page: &mut Page, seen: &Snapshot) {
    page.head("analysis_run_info", "gauge", "The analysis runs.");
    for ((namespace, name), info) in &seen.runs {
        let labels = [("namespace", namespace.as_str()), ("name", name), ("phase", &info.phase)];
        page.sample("analysis_run_info", &labels, 1.0);
    }
    page.head("analysis_run_metric_phase", "gauge", "The metrics of each analysis run.");
    for ((namespace, name), info) in &seen.runs {
        for (metric, phase) in &info.metrics {
            let labels = [
                ("namespace", namespace.as_str()),
                ("name", name),
                ("metric", metric),
                ("phase", phase),
            ];
            page.sample("analysis_run_metric_phase", &labels, 1.0);
        }
    }
}

fn turns(page: &mut Page, seen: &Snapshot, kind: Kind, prefix: &str) {
    let of_kind = || seen.turns.iter().filter(move |(key, _)| key.kind == kind);
    let metric = format!("{prefix}_reconcile");
    page.head(&metric, "histogram", "Seconds that turns took.");
    for (key, turns) in of_kind() {
        page.histogram(&metric, &[("namespace", &key.namespace), ("name", &key.name)], turns);
    }
    let metric = format!("{prefix}_reconcile_error");
    page.head(&metric, "counter", "Turns that failed and are repeated.");
    for (key, turns) in of_kind() {
        let labels = [("namespace", key.namespace.as_str()), ("name", &key.name)];
        page.sample(&metric, &labels, float(turns.failed));
    }
}

fn controller(page: &mut Page, seen: &Snapshot) {
    let metric = "controller_clientset_k8s_request_total";
    page.head(metric, "counter", "Requests to the API server; status code 0 is no answer.");
    // Several requests of the client are one verb to Argo.
    let mut calls: BTreeMap<(&str, &str, u16), u64> = BTreeMap::new();
    for ((verb, resource, code), count) in &seen.calls {
        *calls.entry((argo_verb(verb), resource, *code)).or_default() += count;
    }
    for ((verb, resource, code), count) in calls {
        let code = code.to_string();
        let labels = [("kind", resource), ("verb", verb), ("status_code", &code)];
        page.sample(metric, &labels, float(count));
    }
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("goarch", std::env::consts::ARCH)];
    page.single("argo_rollouts_controller_info", "gauge", "The controller.", &labels, 1.0);
    let own: [(&str, &str, &str, f64); 4] = [
        ("sluice_leading", "gauge", "Whether this process leads.", flag(seen.leading)),
        ("sluice_backlog", "gauge", "Keys that wait for a turn.", float(seen.backlog as u64)),
        ("sluice_turns_in_flight", "gauge", "Turns in flight.", float(seen.running as u64)),
        (
            "sluice_record_conflicts_total",
            "counter",
            "Decisions that were void because somebody else wrote first.",
            float(seen.conflicts),
        ),
    ];
    for (metric, kind, help, value) in own {
        page.single(metric, kind, help, &[], value);
    }
}

fn argo_verb(verb: &str) -> &'static str {
    match verb {
        "list" => "List",
        "watch" => "Watch",
        "get" | "get_opt" | "get_subresource" => "Get",
        "create" | "create_subresource" => "Create",
        "replace" | "replace_subresource" => "Update",
        "patch" | "patch_subresource" => "Patch",
        "delete" => "Delete",
        _ => "Unknown",
    }
}

fn plugins(page: &mut Page, components: &[PluginInfo]) {
    page.head("sluice_component_info", "gauge", "The installed components.");
    for info in components {
        let origin = info.origin.to_string();
        let labels = [
            ("component", info.name.as_str()),
            ("kind", info.kind.name()),
            ("digest", &info.digest),
            ("interface", &info.interface),
            ("origin", &origin),
        ];
        page.sample("sluice_component_info", &labels, 1.0);
    }
    page.head("sluice_component_calls_total", "counter", "Calls of components by result.");
    for info in components {
        for (result, count) in &info.totals.calls {
            let labels =
                [("component", info.name.as_str()), ("kind", info.kind.name()), ("result", result)];
            page.sample("sluice_component_calls_total", &labels, float(*count));
        }
    }
    let values: [OfPlugins; 5] = [
        ("sluice_component_call_seconds_total", "counter", "Seconds of all calls.", |info| {
            info.totals.wall.as_secs_f64()
        }),
        ("sluice_component_cpu_seconds_total", "counter", "Seconds computed.", |info| {
            info.totals.cpu.as_secs_f64()
        }),
        ("sluice_component_memory_peak_bytes", "gauge", "The most memory of a call.", |info| {
            float(info.totals.memory_peak as u64)
        }),
        ("sluice_component_denied_total", "counter", "Requests that were denied.", |info| {
            float(info.totals.denied)
        }),
        ("sluice_component_suspended", "gauge", "Whether it is not called.", |info| {
            flag(info.suspended)
        }),
    ];
    for (metric, kind, help, value) in values {
        page.head(metric, kind, help);
        for info in components {
            let labels = [("component", info.name.as_str()), ("kind", info.kind.name())];
            page.sample(metric, &labels, value(info));
        }
    }
}

/// What Linux tells of this process; nothing elsewhere.
fn process(page: &mut Page) {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return };
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
    if let Some(kibibytes) = kibibytes {
        let kibibytes: u64 = kibibytes;
        let bytes = float(kibibytes.saturating_mul(1024));
        page.single("process_resident_memory_bytes", "gauge", "Memory in use.", &[], bytes);
    }
}

/// Counts beyond 2^53 lose their last digits, as every number in this format does.
fn float(count: u64) -> f64 {
    count as f64
}

fn flag(set: bool) -> f64 {
    f64::from(u8::from(set))
}

#[derive(Default)]
struct Page(String);

/// Writing to a `String` cannot fail, so the results are of no interest.
impl Page {
    fn head(&mut self, metric: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {metric} {help}\n# TYPE {metric} {kind}");
    }

    fn single(
        &mut self,
        metric: &str,
        kind: &str,
        help: &str,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        self.head(metric, kind, help);
        self.sample(metric, labels, value);
    }

    fn sample(&mut self, metric: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(metric);
        for (index, (name, text)) in labels.iter().enumerate() {
            let start = if index == 0 { '{' } else { ',' };
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{start}{name}=\"{text}\"");
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{end} {value}");
    }

    fn histogram(&mut self, metric: &str, labels: &[(&str, &str)], turns: &Turns) {
        let bucket = format!("{metric}_bucket");
        let bounds = BUCKETS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        let counts = turns.buckets.iter().chain([&turns.count]);
        for (bound, count) in bounds.zip(counts) {
            let labels: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            self.sample(&bucket, &labels, float(*count));
        }
        self.sample(&format!("{metric}_sum"), labels, turns.total.as_secs_f64());
        self.sample(&format!("{metric}_count"), labels, float(turns.count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_prometheus_text() {
        let mut seen = Snapshot { leading: true, ..Snapshot::default() };
        let info = RolloutInfo {
            strategy: "canary",
            traffic_router: "nginx".into(),
            phase: "Paused".into(),
            desired: 5,
            ..RolloutInfo::default()
        };
        seen.rollouts.insert(("shop".into(), "web".into()), info);
        seen.events.insert(("shop".into(), "web".into(), "Normal", "a \"b\"".into()), 2);
        let page = text(&seen, &[]);
        for line in [
            "rollout_info{namespace=\"shop\",name=\"web\",strategy=\"canary\",\
             traffic_router=\"nginx\",phase=\"Paused\"} 1",
            "rollout_phase{namespace=\"shop\",name=\"web\",strategy=\"canary\",phase=\"Healthy\"} 0",
            "rollout_info_replicas_desired{namespace=\"shop\",name=\"web\"} 5",
            "rollout_events_total{namespace=\"shop\",name=\"web\",type=\"Normal\",\
             reason=\"a \\\"b\\\"\"} 2",
            "sluice_leading 1",
        ] {
            assert!(page.lines().any(|there| there == line), "no {line} in\n{page}");
        }
    }

    #[test]
    fn a_histogram_counts_up_to_all() {
        let mut page = Page::default();
        let mut turns = Turns { count: 3, ..Turns::default() };
        turns.buckets = [1, 2, 2, 2, 2];
        page.histogram("t", &[], &turns);
        assert!(page.0.starts_with("t_bucket{le=\"0.01\"} 1\nt_bucket{le=\"0.15\"} 2\n"));
        assert!(page.0.contains("t_bucket{le=\"+Inf\"} 3\n"));
    }
}
