//! One word for the state of a pod, found the way `kubectl get pods` finds it.

use serde_json::Value;

use crate::lens::Lens;

/// The status word of a pod: its phase, or the reason that explains it better.
pub(crate) fn status(pod: &Value) -> String {
    if pod.at(&["metadata", "deletionTimestamp"]).is_some() {
        let is_lost = pod.text(&["status", "reason"]) == Some("NodeLost");
        return if is_lost { "Unknown" } else { "Terminating" }.to_owned();
    }
    if let Some(word) = initializing(pod) {
        return word;
    }
    let phase = pod.text(&["status", "reason"]).or(pod.text(&["status", "phase"]));
    let containers = pod.items(&["status", "containerStatuses"]);
    match containers.iter().find_map(container_reason) {
        // One container has ended as it should while another goes on serving.
        Some(reason) if reason == "Completed" && containers.iter().any(is_serving) => {
            if is_ready(pod) { "Running" } else { "NotReady" }.to_owned()
        }
        Some(reason) => reason,
        None => phase.unwrap_or("Unknown").to_owned(),
    }
}

/// Ready containers and all containers.
pub(crate) fn readiness(pod: &Value) -> (usize, usize) {
    let statuses = pod.items(&["status", "containerStatuses"]);
    let ready = statuses.iter().filter(|status| status.flag(&["ready"])).count();
    (ready, pod.items(&["spec", "containers"]).len().max(statuses.len()))
}

/// How often the containers were restarted, together.
pub(crate) fn restarts(pod: &Value) -> i64 {
    let statuses = pod.items(&["status", "containerStatuses"]);
    statuses.iter().filter_map(|status| status.int(&["restartCount"])).sum()
}

/// Whether the pod takes traffic.
fn is_ready(pod: &Value) -> bool {
    pod.items(&["status", "conditions"]).iter().any(|condition| {
        condition.text(&["type"]) == Some("Ready") && condition.text(&["status"]) == Some("True")
    })
}

fn is_serving(status: &Value) -> bool {
    status.flag(&["ready"]) && status.at(&["state", "running"]).is_some()
}

/// The `Init:` word of the first init container that is not done, if there is one.
fn initializing(pod: &Value) -> Option<String> {
    let statuses = pod.items(&["status", "initContainerStatuses"]);
    let specs = pod.items(&["spec", "initContainers"]);
    let is_sidecar = |name: Option<&str>| {
        specs.iter().any(|spec| {
            spec.text(&["name"]) == name && spec.text(&["restartPolicy"]) == Some("Always")
        })
    };
    let (place, status) = statuses.iter().enumerate().find(|(_, status)| {
        let has_ended_well = status.int(&["state", "terminated", "exitCode"]) == Some(0);
        let is_up = is_sidecar(status.text(&["name"])) && status.flag(&["started"]);
        !has_ended_well && !is_up
    })?;
    let reason = container_reason(status).filter(|reason| reason != "PodInitializing");
    Some(match reason {
        Some(reason) => format!("Init:{reason}"),
        None => format!("Init:{place}/{}", specs.len().max(statuses.len())),
    })
}

/// Why a container does not run, if it does not.
fn container_reason(status: &Value) -> Option<String> {
    if let Some(reason) = status.text(&["state", "waiting", "reason"]) {
        return Some(reason.to_owned());
    }
    let ended = status.at(&["state", "terminated"])?;
    let reason = ended.text(&["reason"]).map(str::to_owned);
    let signal = ended.int(&["signal"]).filter(|signal| *signal != 0);
    reason
        .or_else(|| signal.map(|signal| format!("Signal:{signal}")))
        .or_else(|| ended.int(&["exitCode"]).map(|code| format!("ExitCode:{code}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{readiness, status};

    #[test]
    fn a_running_pod_is_running() {
        let pod = json!({
            "spec": {"containers": [{"name": "web"}]},
            "status": {
                "phase": "Running",
                "containerStatuses": [{"ready": true, "state": {"running": {}}}],
            },
        });
        assert_eq!(status(&pod), "Running");
        assert_eq!(readiness(&pod), (1, 1));
    }

    #[test]
    fn the_reason_of_a_container_says_more_than_the_phase() {
        let pod = json!({"status": {
            "phase": "Running",
            "containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}],
        }});
        assert_eq!(status(&pod), "CrashLoopBackOff");
    }

    #[test]
    fn an_exit_without_a_reason_shows_its_code() {
        let pod = json!({"status": {
            "phase": "Failed",
            "containerStatuses": [{"state": {"terminated": {"exitCode": 3}}}],
        }});
        assert_eq!(status(&pod), "ExitCode:3");
    }

    #[test]
    fn init_containers_are_counted_until_they_are_done() {
        let mut pod = json!({
            "spec": {"initContainers": [{"name": "a"}, {"name": "b"}]},
            "status": {
                "phase": "Pending",
                "initContainerStatuses": [
                    {"name": "a", "state": {"terminated": {"exitCode": 0}}},
                    {"name": "b", "state": {"running": {}}},
                ],
            },
        });
        assert_eq!(status(&pod), "Init:1/2");
        pod["spec"]["initContainers"][1]["restartPolicy"] = json!("Always");
        pod["status"]["initContainerStatuses"][1]["started"] = json!(true);
        assert_eq!(status(&pod), "Pending");
    }

    #[test]
    fn a_pod_being_deleted_is_terminating() {
        let pod = json!({
            "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"},
            "status": {"phase": "Running"},
        });
        assert_eq!(status(&pod), "Terminating");
    }

    #[test]
    fn a_pod_without_a_status_is_unknown() {
        assert_eq!(status(&json!({})), "Unknown");
    }
}
