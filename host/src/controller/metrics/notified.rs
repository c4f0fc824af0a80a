//! What was told to people: Argo's names, and beside its labels the notifier.

use sluice_kube::health::{Snapshot, Told};

use super::page::{Page, float};
use super::took;

/// Tries of notifiers.
pub fn notified(page: &mut Page, seen: &Snapshot) {
    page.head("notification_send", "histogram", "Seconds that notifications took to send.");
    for ((namespace, name), tries) in &seen.telling {
        let labels = [("namespace", namespace.as_str()), ("name", name)];
        page.histogram("notification_send", &labels, &took(tries));
    }
    type Count = fn(&(u64, u64)) -> u64;
    let metrics: [(&str, &str, Count); 2] = [
        ("notification_send_success", "Notifications that were delivered.", |counts| counts.0),
        ("notification_send_error", "Tries that are repeated.", |counts| counts.1),
    ];
    for (metric, help, count) in metrics {
        page.head(metric, "counter", help);
        for (Told { rollout, notifier, severity, reason }, counts) in &seen.told {
            let labels = [
                ("namespace", rollout.0.as_str()),
                ("name", &rollout.1),
                ("type", severity),
                ("reason", reason),
                ("notifier", notifier),
            ];
            page.sample(metric, &labels, float(count(counts)));
        }
    }
}
