//! A card as text: header lines, then a tree of objects.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::card::{Card, Experiment, Image, Pod, ReplicaSet, Revision, Run};
use crate::experiment::ExperimentCard;
use crate::mark::Mark;
use crate::{Style, human_age};

/// Width of the labels in the header.
const LABEL: usize = 17;

/// The card as text, ending in a line break: header lines, then the tree of revisions.
///
/// Without colour the text is the same on every machine, so scripts may read it, though
/// the card's JSON is the better thing to read.
pub fn render_tree(card: &Card, style: Style) -> String {
    let mut text = header(card, style);
    text.push('\n');
    text.push_str(&table(&root(card), style));
    text
}

/// The tree of an experiment alone.
pub(crate) fn of_experiment(card: &ExperimentCard, style: Style) -> String {
    let ExperimentCard { row, message, replica_sets, analysis_runs } = card.clone();
    let experiment = Experiment {
        name: row.name,
        status: row.status,
        message,
        replica_sets,
        analysis_runs,
        created_at: row.created_at,
    };
    table(&experiment_node(&experiment, row.seen_at), style)
}

/// A fixed-width label in front of a value.
pub(crate) fn line(label: &str, value: &str) -> String {
    format!("{}\n", format!("{label:<LABEL$}{value}").trim_end())
}

fn table(root: &Node, style: Style) -> String {
    let mut rows = vec![Row {
        name: "NAME".to_owned(),
        kind: "KIND",
        status: Cell::plain("STATUS"),
        age: "AGE".to_owned(),
        info: "INFO".to_owned(),
    }];
    flatten(root, "", "", style, &mut rows);
    let mut text = String::new();
    write_table(&mut text, &rows);
    text
}

fn header(card: &Card, style: Style) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| text.push_str(&self::line(label, value));
    let number = |value: Option<i64>| value.map(|value| value.to_string());
    line("Name:", &card.name);
    line("Namespace:", &card.namespace);
    line("Status:", &format!("{} {}", Mark::of_status(&card.phase).paint(style), card.phase));
    if !card.message.is_empty() {
        line("Message:", &card.message);
    }
    if let Some(waits) = &card.waits {
        line("Waits for:", &waits.line(card.seen_at));
        line("  Ends by:", &waits.ends_by);
    }
    line("Strategy:", &card.strategy);
    if let Some(step) = card.step {
        line("  Step:", &format!("{}/{}", step.completed, step.total));
    }
    if let Some(weight) = number(card.set_weight) {
        line("  SetWeight:", &weight);
    }
    if let Some(weight) = number(card.actual_weight) {
        line("  ActualWeight:", &weight);
    }
    for (place, image) in card.images.iter().enumerate() {
        line(if place == 0 { "Images:" } else { "" }, &image_text(image));
    }
    line("Replicas:", "");
    line("  Desired:", &card.replicas.desired.to_string());
    line("  Current:", &card.replicas.current.to_string());
    line("  Updated:", &card.replicas.updated.to_string());
    line("  Ready:", &card.replicas.ready.to_string());
    line("  Available:", &card.replicas.available.to_string());
    text
}

fn image_text(image: &Image) -> String {
    let roles = image.roles.iter().map(|role| role.word().to_owned());
    let experiments = image.experiments.iter().map(|name| format!("Σ:{name}"));
    let used_for: Vec<String> = roles.chain(experiments).collect();
    if used_for.is_empty() {
        image.image.clone()
    } else {
        format!("{} ({})", image.image, used_for.join(", "))
    }
}

/// An object in the tree.
struct Node {
    name: String,
    kind: &'static str,
    status: Option<(Mark, String)>,
    age: String,
    info: String,
    children: Vec<Node>,
}

fn root(card: &Card) -> Node {
    let now = card.seen_at;
    Node {
        name: format!("⟳ {}", card.name),
        kind: "Rollout",
        status: Some((Mark::of_status(&card.phase), card.phase.clone())),
        age: age(card.created_at, now),
        info: String::new(),
        children: card.revisions.iter().map(|revision| revision_node(revision, now)).collect(),
    }
}

fn revision_node(revision: &Revision, now: Timestamp) -> Node {
    let sets = revision.replica_sets.iter().map(|set| replica_set_node(set, now));
    let experiments = revision.experiments.iter().map(|one| experiment_node(one, now));
    let runs = revision.analysis_runs.iter().map(|run| run_node(run, now));
    Node {
        name: format!("# revision:{}", revision.number),
        kind: "",
        status: None,
        age: String::new(),
        info: String::new(),
        children: sets.chain(experiments).chain(runs).collect(),
    }
}

fn replica_set_node(set: &ReplicaSet, now: Timestamp) -> Node {
    let mut info: Vec<String> = set.roles.iter().map(|role| role.word().to_owned()).collect();
    if let Some(deadline) = set.scale_down_at {
        let left = seconds_between(now, deadline);
        info.push(match left {
            1.. => format!("delay:{}", human_age(left)),
            _ => "delay:passed".to_owned(),
        });
    }
    Node {
        name: format!("⧉ {}", set.name),
        kind: "ReplicaSet",
        status: Some((Mark::of_status(&set.status), set.status.clone())),
        age: age(set.created_at, now),
        info: info.join(","),
        children: set.pods.iter().map(|pod| pod_node(pod, now)).collect(),
    }
}

fn pod_node(pod: &Pod, now: Timestamp) -> Node {
    let is_ready = pod.containers > 0 && pod.ready == pod.containers;
    let mut info = format!("ready:{}/{}", pod.ready, pod.containers);
    if pod.restarts > 0 {
        let _ = write!(info, ",restarts:{}", pod.restarts);
    }
    Node {
        name: format!("□ {}", pod.name),
        kind: "Pod",
        status: Some((Mark::of_pod(&pod.status, is_ready), pod.status.clone())),
        age: age(pod.created_at, now),
        info,
        children: Vec::new(),
    }
}

fn experiment_node(experiment: &Experiment, now: Timestamp) -> Node {
    let sets = experiment.replica_sets.iter().map(|set| replica_set_node(set, now));
    let runs = experiment.analysis_runs.iter().map(|run| run_node(run, now));
    Node {
        name: format!("Σ {}", experiment.name),
        kind: "Experiment",
        status: Some((Mark::of_status(&experiment.status), experiment.status.clone())),
        age: age(experiment.created_at, now),
        info: String::new(),
        children: sets.chain(runs).collect(),
    }
}

fn run_node(run: &Run, now: Timestamp) -> Node {
    let counts = [
        (Mark::Good, run.counts.successful),
        (Mark::Bad, run.counts.failed),
        (Mark::Unknown, run.counts.inconclusive),
        (Mark::Warning, run.counts.error),
    ];
    let info = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(mark, count)| format!("{} {count}", mark.glyph()))
        .collect::<Vec<_>>()
        .join(",");
    let jobs = run.jobs.iter().map(|job| Node {
        name: format!("⊞ {}", job.name),
        kind: "Job",
        status: Some((Mark::of_status(&job.status), job.status.clone())),
        age: age(job.created_at, now),
        info: String::new(),
        children: Vec::new(),
    });
    Node {
        name: format!("α {}", run.name),
        kind: "AnalysisRun",
        status: Some((Mark::of_status(&run.status), run.status.clone())),
        age: age(run.created_at, now),
        info,
        children: jobs.collect(),
    }
}

fn age(created: Option<Timestamp>, now: Timestamp) -> String {
    created.map(|created| human_age(seconds_between(created, now))).unwrap_or_default()
}

fn seconds_between(from: Timestamp, to: Timestamp) -> i64 {
    to.as_second().saturating_sub(from.as_second())
}

/// A line of the table.
struct Row {
    name: String,
    kind: &'static str,
    status: Cell,
    age: String,
    info: String,
}

/// A text with its width on the screen, which escape sequences do not add to.
struct Cell {
    text: String,
    width: usize,
}

impl Cell {
    fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), width: width(text) }
    }
}

/// Columns that a text takes; every letter used here takes one.
fn width(text: &str) -> usize {
    text.chars().count()
}

/// One row for a node and those below it. `lead` stands before the node, `below` before what
/// hangs on it.
fn flatten(node: &Node, lead: &str, below: &str, style: Style, rows: &mut Vec<Row>) {
    let status = match &node.status {
        Some((mark, word)) => {
            Cell { text: format!("{} {word}", mark.paint(style)), width: 2 + width(word) }
        }
        None => Cell::plain(""),
    };
    rows.push(Row {
        name: format!("{lead}{}", node.name),
        kind: node.kind,
        status,
        age: node.age.clone(),
        info: node.info.clone(),
    });
    for (place, child) in node.children.iter().enumerate() {
        let is_last = place + 1 == node.children.len();
        let (branch, bar) = if is_last { ("└──", "   ") } else { ("├──", "│  ") };
        flatten(child, &format!("{below}{branch}"), &format!("{below}{bar}"), style, rows);
    }
}

fn write_table(text: &mut String, rows: &[Row]) {
    let widest = |measure: &dyn Fn(&Row) -> usize| rows.iter().map(measure).max().unwrap_or(0);
    let name = widest(&|row| width(&row.name));
    let kind = widest(&|row| row.kind.len());
    let status = widest(&|row| row.status.width);
    let ages = widest(&|row| row.age.len());
    for row in rows {
        let gap = " ".repeat(status - row.status.width);
        let line = format!(
            "{:<name$}  {:<kind$}  {}{gap}  {:<ages$}  {}",
            row.name, row.kind, row.status.text, row.age, row.info
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
}
