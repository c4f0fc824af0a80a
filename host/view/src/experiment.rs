//! Experiments: a table with a line for each, and one with all that belongs to it.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;

use crate::card::{Experiment, ReplicaSet, Run};
use crate::gather::{Objects, experiment};
use crate::lens::Lens;
use crate::list::render_table;
use crate::{Style, human_age};

/// What a line says of an experiment. In JSON, members are in camel case and absent members are
/// left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentRow {
    /// Name of the object.
    pub name: String,
    /// Namespace of the object.
    pub namespace: String,
    /// Its phase; `Pending` until one is reported.
    pub status: String,
    /// How long it is to run, as the specification writes it; absent when its analyses end it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Seconds left of that, once all its pods are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_seconds: Option<i64>,
    /// When it was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When this was seen; ages are counted from here.
    pub seen_at: Timestamp,
}

/// What a line says of `experiment`, as of `now`.
pub fn experiment_row(experiment: &Value, now: Timestamp) -> ExperimentRow {
    let duration = experiment.text(&["spec", "duration"]).map(str::to_owned);
    let status = experiment.text(&["status", "phase"]).unwrap_or("Pending").to_owned();
    let remaining = || {
        let whole: SignedDuration = duration.as_deref()?.parse().ok()?;
        let began = experiment.time(&["status", "availableAt"])?;
        let left = began.checked_add(whole).ok()?.as_second().saturating_sub(now.as_second());
        (status == "Running").then_some(left.max(0))
    };
    ExperimentRow {
        name: experiment.name().to_owned(),
        namespace: experiment.text(&["metadata", "namespace"]).unwrap_or_default().to_owned(),
        remaining_seconds: remaining(),
        status,
        duration,
        created_at: experiment.created(),
        seen_at: now,
    }
}

/// A table of experiments, a line each under a header, ending in a line break.
///
/// `with_namespace` adds the namespace as the first column. A value that an experiment does not
/// have is a dash.
pub fn render_experiments(rows: &[ExperimentRow], with_namespace: bool) -> String {
    let titles = ["NAMESPACE", "NAME", "STATUS", "DURATION", "REMAINING", "AGE"];
    let cells = |row: &ExperimentRow| {
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let age = |created: Timestamp| {
            human_age(row.seen_at.as_second().saturating_sub(created.as_second()))
        };
        [
            row.namespace.clone(),
            row.name.clone(),
            row.status.clone(),
            or_dash(row.duration.clone()),
            or_dash(row.remaining_seconds.map(human_age)),
            or_dash(row.created_at.map(age)),
        ]
    };
    let table: Vec<_> =
        [titles.map(str::to_owned)].into_iter().chain(rows.iter().map(cells)).collect();
    render_table(&table, usize::from(!with_namespace))
}

/// One experiment and all that belongs to it. In JSON, the members of its line are among its own.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentCard {
    /// What its line in a list says.
    #[serde(flatten)]
    pub row: ExperimentRow,
    /// Why it stands so; empty without a reason.
    pub message: String,
    /// The ReplicaSets of its templates with their pods, by name.
    pub replica_sets: Vec<ReplicaSet>,
    /// Its analysis runs, oldest first.
    pub analysis_runs: Vec<Run>,
}

/// The card of `object`, as of `now`. The lists of `around` may hold strangers; its rollout is of no
/// account.
pub fn experiment_card(object: &Value, around: &Objects<'_>, now: Timestamp) -> ExperimentCard {
    let Experiment { message, replica_sets, analysis_runs, .. } = experiment(object, around);
    ExperimentCard { row: experiment_row(object, now), message, replica_sets, analysis_runs }
}

/// The card as text, ending in a line break: header lines, then the tree of objects.
pub fn render_experiment(card: &ExperimentCard, style: Style) -> String {
    let row = &card.row;
    let mark = crate::mark::Mark::of_status(&row.status).paint(style);
    let mut lines = vec![
        ("Name:", row.name.clone()),
        ("Namespace:", row.namespace.clone()),
        ("Status:", format!("{mark} {}", row.status)),
    ];
    if !card.message.is_empty() {
        lines.push(("Message:", card.message.clone()));
    }
    lines.extend(row.duration.clone().map(|duration| ("Duration:", duration)));
    lines.extend(row.remaining_seconds.map(|left| ("Remaining:", human_age(left))));
    let lines = lines.iter().map(|(label, value)| crate::tree::line(label, value));
    format!("{}\n{}", lines.collect::<String>(), crate::tree::of_experiment(card, style))
}
