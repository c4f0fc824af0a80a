//! Several cards as a table, a line each.

use crate::card::Card;

/// A table of rollouts, a line each under a header, ending in a line break.
///
/// `with_namespace` adds the namespace as the first column. A value that a rollout does not
/// have is a dash.
pub fn render_list(cards: &[Card], with_namespace: bool) -> String {
    let titles = [
        "NAMESPACE",
        "NAME",
        "STRATEGY",
        "STATUS",
        "STEP",
        "SET-WEIGHT",
        "READY",
        "DESIRED",
        "UP-TO-DATE",
        "AVAILABLE",
    ];
    let mut table = vec![titles.map(str::to_owned)];
    table.extend(cards.iter().map(row));
    render_table(&table, usize::from(!with_namespace))
}

/// Rows of cells as lines, each column as wide as its widest cell; the first `skipped` columns are
/// left out.
pub fn render_table<const COLUMNS: usize>(table: &[[String; COLUMNS]], skipped: usize) -> String {
    let widths: Vec<usize> = (0..COLUMNS)
        .map(|column| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in table {
        let cells = row.iter().zip(&widths).skip(skipped);
        let line: Vec<String> = cells.map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn row(card: &Card) -> [String; 10] {
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let replicas = card.replicas;
    [
        card.namespace.clone(),
        card.name.clone(),
        or_dash(Some(card.strategy.clone()).filter(|strategy| !strategy.is_empty())),
        card.phase.clone(),
        or_dash(card.step.map(|step| format!("{}/{}", step.completed, step.total))),
        or_dash(card.set_weight.map(|weight| weight.to_string())),
        format!("{}/{}", replicas.ready, replicas.desired),
        replicas.desired.to_string(),
        replicas.updated.to_string(),
        replicas.available.to_string(),
    ]
}
