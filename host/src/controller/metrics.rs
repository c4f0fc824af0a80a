//! `/metrics` in Prometheus' text format: Argo Rollouts' names for what it has names for, and
//! `sluice_` for the rest.

use std::collections::BTreeMap;

use sluice_engine::Kind;
use sluice_kube::health::{BUCKETS, Durations, LONG_BUCKETS, RolloutInfo, Snapshot, Spread, Turns};
use sluice_wasm::PluginInfo;

mod notified;
mod page;
mod process;

use page::{Histogram, Page, flag, float};

/// Every phase of a rollout.
const ROLLOUT_PHASES: [&str; 4] = ["Healthy", "Progressing", "Paused", "Degraded"];

/// Every phase of an analysis run.
const RUN_PHASES: [&str; 6] =
    ["Pending", "Running", "Successful", "Failed", "Error", "Inconclusive"];

/// A metric with its help and how it is read.
type OfDurations = (&'static str, &'static str, fn(&Durations) -> &Spread);
/// A metric with its help and how it is read.
type OfRollouts = (&'static str, &'static str, fn(&RolloutInfo) -> u64);
/// A metric with its type, its help and how it is read.
type OfPlugins = (&'static str, &'static str, &'static str, fn(&PluginInfo) -> f64);

/// All metrics as of now.
pub fn text(seen: &Snapshot, components: &[PluginInfo]) -> String {
    let mut page = Page::default();
    everything(&mut page, seen, components);
    process::process(&mut page);
    page.0
}

/// What does not depend on the machine.
fn everything(page: &mut Page, seen: &Snapshot, components: &[PluginInfo]) {
    rollouts(page, seen);
    durations(page, seen);
    runs(page, seen);
    experiments(page, seen);
    templates(page, seen);
    turns(page, seen, Kind::Rollout, "rollout");
    turns(page, seen, Kind::AnalysisRun, "analysis_run");
    turns(page, seen, Kind::Experiment, "experiment");
    notified::notified(page, seen);
    controller(page, seen);
    plugins(page, components);
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

/// How long updates took. Argo has the same three histograms.
fn durations(page: &mut Page, seen: &Snapshot) {
    let bounds = LONG_BUCKETS.map(float);
    let metrics: [OfDurations; 3] = [
        ("rollout_duration_seconds", "How long updates took.", |took| &took.whole),
        (
            "rollout_progression_duration_seconds",
            "How long updates took, without waiting for people.",
            |took| &took.progression,
        ),
        ("rollout_manual_pause_duration_seconds", "How long updates waited for people.", |took| {
            &took.manual_pause
        }),
    ];
    for (metric, help, part) in metrics {
        page.head(metric, "histogram", help);
        for (((namespace, name), how), took) in &seen.durations {
            let labels = [("namespace", namespace.as_str()), ("name", name), ("status", how)];
            let Spread { count, total, buckets } = part(took);
            let histogram =
                Histogram { bounds: &bounds, buckets, count: *count, total: float(*total) };
            page.histogram(metric, &labels, &histogram);
        }
    }
}

fn runs(page: &mut Page, seen: &Snapshot) {
    // A run that nobody has looked at is pending.
    let or_pending = |phase: &str| if phase.is_empty() { "Pending" } else { phase }.to_owned();
    page.head("analysis_run_info", "gauge", "The analysis runs.");
    for ((namespace, name), info) in &seen.runs {
        let phase = or_pending(&info.phase);
        let labels = [("namespace", namespace.as_str()), ("name", name), ("phase", &phase)];
        page.sample("analysis_run_info", &labels, 1.0);
    }
    let metric = "analysis_run_phase";
    page.head(metric, "gauge", "The phase of each analysis run. Use analysis_run_info.");
    for ((namespace, name), info) in &seen.runs {
        let now = or_pending(&info.phase);
        for phase in RUN_PHASES {
            let labels = [("namespace", namespace.as_str()), ("name", name), ("phase", phase)];
            page.sample(metric, &labels, flag(now == phase));
        }
    }
    let metric = "analysis_run_metric_type";
    page.head(metric, "gauge", "What measures each metric of each analysis run.");
    for ((namespace, run), info) in &seen.runs {
        for (name, found) in &info.metrics {
            let labels = [
                ("namespace", namespace.as_str()),
                ("name", run),
                ("metric", name),
                ("type", found.kind),
            ];
            page.sample(metric, &labels, 1.0);
        }
    }
    let metric = "analysis_run_metric_phase";
    page.head(metric, "gauge", "The phase of each metric of each analysis run.");
    for ((namespace, run), info) in &seen.runs {
        for (name, found) in &info.metrics {
            for phase in RUN_PHASES {
                let labels = [
                    ("namespace", namespace.as_str()),
                    ("name", run),
                    ("metric", name),
                    ("type", found.kind),
                    ("dry_run", if found.dry_run { "true" } else { "false" }),
                    ("phase", phase),
                ];
                page.sample(metric, &labels, flag(found.phase == phase));
            }
        }
    }
}

fn experiments(page: &mut Page, seen: &Snapshot) {
    // One that nobody has looked at is pending.
    let or_pending = |phase: &str| if phase.is_empty() { "Pending" } else { phase }.to_owned();
    page.head("experiment_info", "gauge", "The experiments.");
    for ((namespace, name), phase) in &seen.experiments {
        let phase = or_pending(phase);
        let labels = [("namespace", namespace.as_str()), ("name", name), ("phase", &phase)];
        page.sample("experiment_info", &labels, 1.0);
    }
    let metric = "experiment_phase";
    page.head(metric, "gauge", "The phase of each experiment. Use experiment_info.");
    for ((namespace, name), phase) in &seen.experiments {
        let now = or_pending(phase);
        for phase in RUN_PHASES {
            let labels = [("namespace", namespace.as_str()), ("name", name), ("phase", phase)];
            page.sample(metric, &labels, flag(now == phase));
        }
    }
}

/// The templates; those of the cluster have an empty namespace, as with Argo.
fn templates(page: &mut Page, seen: &Snapshot) {
    page.head("analysis_template_info", "gauge", "The analysis templates.");
    for (namespace, name) in seen.templates.keys() {
        let labels = [("namespace", namespace.as_str()), ("name", name)];
        page.sample("analysis_template_info", &labels, 1.0);
    }
    let metric = "analysis_template_metric_info";
    page.head(metric, "gauge", "What measures each metric of each analysis template.");
    for ((namespace, template), metrics) in &seen.templates {
        for (name, kind) in metrics {
            let labels = [
                ("namespace", namespace.as_str()),
                ("name", template),
                ("type", kind),
                ("metric", name),
            ];
            page.sample(metric, &labels, 1.0);
        }
    }
}

fn turns(page: &mut Page, seen: &Snapshot, kind: Kind, prefix: &str) {
    let of_kind = || seen.turns.iter().filter(move |(key, _)| key.kind == kind);
    let metric = format!("{prefix}_reconcile");
    page.head(&metric, "histogram", "Seconds that turns took.");
    for (key, turns) in of_kind() {
        let labels = [("namespace", key.namespace.as_str()), ("name", &key.name)];
        page.histogram(&metric, &labels, &took(turns));
    }
    let metric = format!("{prefix}_reconcile_error");
    page.head(&metric, "counter", "Turns that failed and are repeated.");
    for (key, turns) in of_kind() {
        let labels = [("namespace", key.namespace.as_str()), ("name", &key.name)];
        page.sample(&metric, &labels, float(turns.failed));
    }
}

fn took(turns: &Turns) -> Histogram<'_> {
    Histogram {
        bounds: &BUCKETS,
        buckets: &turns.buckets,
        count: turns.count,
        total: turns.total.as_secs_f64(),
    }
}

fn controller(page: &mut Page, seen: &Snapshot) {
    let metric = "controller_clientset_k8s_request_total";
    page.head(metric, "counter", "Requests to the API server; status code 0 is no answer.");
    // Several requests of the client are one verb to Argo.
    let mut calls: BTreeMap<_, u64> = BTreeMap::new();
    for ((verb, about, code), count) in &seen.calls {
        *calls.entry((about, argo_verb(verb), *code)).or_default() += count;
    }
    for ((about, verb, code), count) in calls {
        let code = code.to_string();
        let or_none = |text: &str| if text.is_empty() { "N/A" } else { text }.to_owned();
        let (namespace, name) = (or_none(&about.namespace), or_none(&about.name));
        let labels = [
            ("kind", about.resource.as_str()),
            ("namespace", &namespace),
            ("name", &name),
            ("verb", verb),
            ("status_code", &code),
        ];
        page.sample(metric, &labels, float(count));
    }
    let version = ("version", env!("CARGO_PKG_VERSION"));
    let labels = [version, ("goarch", goarch())];
    page.single("argo_rollouts_controller_info", "gauge", "The controller.", &labels, 1.0);
    page.single("build_info", "gauge", "What was built.", &labels, 1.0);
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

/// This machine's architecture as Go calls it, which is what dashboards know.
fn goarch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
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
    let values: [OfPlugins; 10] = [
        ("sluice_component_generation", "gauge", "Higher is installed later.", |info| {
            float(info.generation)
        }),
        ("sluice_component_older", "gauge", "Earlier ones that runs still end with.", |info| {
            float(info.older as u64)
        }),
        ("sluice_component_load_seconds", "gauge", "Seconds of compiling or loading.", |info| {
            info.load_time.as_secs_f64()
        }),
        ("sluice_component_faults_total", "counter", "Calls in which it misbehaved.", |info| {
            float(info.totals.faults())
        }),
        ("sluice_component_requests_total", "counter", "HTTP requests that it tried.", |info| {
            float(info.totals.http_calls)
        }),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::time::Duration;

    use sluice_engine::Key;
    use sluice_kube::client::About;
    use sluice_kube::health::{MetricInfo, RunInfo, Told};

    use super::*;

    fn fleet() -> Snapshot {
        let id = |name: &str| ("shop".to_owned(), name.to_owned());
        let mut seen = Snapshot { leading: true, backlog: 2, running: 1, ..Snapshot::default() };
        let info = RolloutInfo {
            strategy: "canary",
            traffic_router: "nginx".into(),
            phase: "Paused".into(),
            desired: 5,
            available: 4,
            unavailable: 1,
            updated: 2,
            ended: None,
        };
        seen.rollouts.insert(id("web"), info);
        seen.events.insert(("shop".into(), "web".into(), "Normal", "a \"b\"".into()), 2);
        let spread = |total: u64, buckets| Spread { count: 1, total, buckets };
        let durations = Durations {
            whole: spread(600, [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1]),
            progression: spread(60, [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
            manual_pause: spread(540, [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1]),
        };
        seen.durations.insert((id("web"), "Promoted".into()), durations);
        let metric = |kind, phase: &str, dry_run| MetricInfo { kind, phase: phase.into(), dry_run };
        let metrics = BTreeMap::from([
            ("rate".to_owned(), metric("Prometheus", "Running", false)),
            ("smoke".to_owned(), metric("Job", "Pending", true)),
        ]);
        seen.runs.insert(id("web-1"), RunInfo { phase: "Running".into(), metrics });
        seen.experiments.insert(id("web-2-0"), "Running".into());
        seen.experiments.insert(id("web-2-1"), String::new());
        let metrics = BTreeMap::from([("rate".to_owned(), "Prometheus")]);
        seen.templates.insert(id("rates"), metrics);
        seen.templates.insert((String::new(), "shared".into()), BTreeMap::new());
        let key = Key { kind: Kind::Rollout, namespace: "shop".into(), name: "web".into() };
        let total = Duration::from_millis(170);
        let turns = Turns { count: 3, failed: 1, total, buckets: [1, 3, 3, 3, 3] };
        seen.turns.insert(key, turns.clone());
        seen.telling.insert(id("web"), turns);
        let told = Told {
            rollout: id("web"),
            notifier: "chat".into(),
            severity: "Warning",
            reason: "RolloutAborted".into(),
        };
        seen.told.insert(told, (1, 2));
        let about = |resource: &str, name: &str| About {
            resource: resource.into(),
            namespace: "shop".into(),
            name: name.into(),
        };
        seen.calls.insert(("patch_subresource", about("rollouts", "web"), 200), 4);
        seen.calls.insert(("patch", about("rollouts", "web"), 200), 1);
        seen.calls.insert(("create", about("events", ""), 201), 6);
        seen
    }

    /// What a scrape says of a small fleet. `UPDATE=1` writes what it says now.
    #[test]
    fn a_page_is_prometheus_text() {
        let mut page = Page::default();
        everything(&mut page, &fleet(), &[]);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/controller/metrics/fleet.txt");
        let seen = page.0.replace(env!("CARGO_PKG_VERSION"), "VERSION").replace(goarch(), "ARCH");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &seen).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(seen == expected, "the page is now\n{seen}");
    }

    #[test]
    fn every_series_is_there_once_and_belongs_to_its_head() {
        let page = text(&fleet(), &[]);
        let mut head = "";
        let mut series = BTreeSet::new();
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                head = rest.split(' ').next().unwrap();
            } else if !line.starts_with('#') {
                let (name, _) = line.rsplit_once(' ').unwrap();
                assert!(series.insert(name), "{name} is there twice");
                assert!(name.starts_with(head), "{name} is below {head}");
            }
        }
    }
}
