//! Prometheus' text format.

use std::fmt::Write as _;

/// Names and values.
pub(super) type Labels<'a> = [(&'a str, &'a str)];

/// What a histogram has counted.
pub(super) struct Histogram<'a> {
    /// Upper bounds of the buckets.
    pub bounds: &'a [f64],
    /// How many values were at most as large as each bound.
    pub buckets: &'a [u64],
    /// How many values there were.
    pub count: u64,
    /// All values together.
    pub total: f64,
}

/// A page in the making.
#[derive(Default)]
pub(super) struct Page(pub(super) String);

/// Writing to a `String` cannot fail, so the results are of no interest.
impl Page {
    /// Begin a metric.
    pub(super) fn head(&mut self, metric: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {metric} {help}\n# TYPE {metric} {kind}");
    }

    /// A metric of one sample.
    pub(super) fn single(
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

    /// A sample of the metric that was begun last.
    pub(super) fn sample(&mut self, metric: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(metric);
        for (index, (name, text)) in labels.iter().enumerate() {
            let start = if index == 0 { '{' } else { ',' };
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{start}{name}=\"{text}\"");
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{end} {value}");
    }

    /// The samples of one histogram.
    pub(super) fn histogram(&mut self, metric: &str, labels: &Labels<'_>, seen: &Histogram<'_>) {
        let bucket = format!("{metric}_bucket");
        let bounds = seen.bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        let counts = seen.buckets.iter().chain([&seen.count]);
        for (bound, count) in bounds.zip(counts) {
            let labels: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            self.sample(&bucket, &labels, float(*count));
        }
        self.sample(&format!("{metric}_sum"), labels, seen.total);
        self.sample(&format!("{metric}_count"), labels, float(seen.count));
    }
}

/// Counts beyond 2^53 lose their last digits, as every number in this format does.
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

/// 1 for yes, 0 for no.
pub(super) fn flag(set: bool) -> f64 {
    f64::from(u8::from(set))
}
