//! Sending an intent to the API server.

use kube::api::{Patch, PatchParams};

use super::intent::Intent;
use crate::client::{Cluster, Error, is_not_found, rollouts};

/// Send the halves of an intent: the status first, so that a rollout whose pause is lifted
/// finds its status already changed.
///
/// Older definitions have no status subresource; there the server answers "not found" to
/// the first half, and both go to the object itself in one patch.
///
/// # Errors
/// [`Error::NotFound`] when there is no such rollout, or whatever the server refused with.
pub async fn send(cluster: &Cluster, name: &str, intent: &Intent) -> Result<(), Error> {
    let api = cluster.api(&rollouts());
    if let Some(patch) = intent.status_patch() {
        match api.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
            Ok(_) => {}
            Err(error) if is_not_found(&error) => {
                return cluster.merge(&rollouts(), name, &intent.whole_patch()).await;
            }
            Err(error) => {
                let doing = format!("change the status of rollout \"{name}\"");
                return Err(cluster.explain(&doing, error));
            }
        }
    }
    match intent.spec_patch() {
        Some(patch) => cluster.merge(&rollouts(), name, &patch).await,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};

    use http::{Request, Response, StatusCode};
    use kube::Client;
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::super::intent;
    use super::send;
    use crate::client::{Cluster, Error};

    const ROLLOUTS: &str = "/apis/argoproj.io/v1alpha1/namespaces/market/rollouts";

    /// What the server was asked: method, path and body.
    type Asked = Arc<Mutex<Vec<(String, String, Value)>>>;

    /// A server that answers each path as `answer` says and keeps what it was asked.
    fn server(answer: fn(&str) -> (StatusCode, String)) -> (Cluster, Asked) {
        let asked = Asked::default();
        let record = Arc::clone(&asked);
        let service = tower::service_fn(move |request: Request<Body>| {
            let record = Arc::clone(&record);
            async move {
                let (parts, body) = request.into_parts();
                let bytes = body.collect_bytes().await.expect("a body in memory");
                let body = serde_json::from_slice(&bytes).unwrap_or_default();
                let path = parts.uri.path().to_owned();
                let (status, text) = answer(&path);
                record.lock().unwrap().push((parts.method.to_string(), path, body));
                let response = Response::builder().status(status);
                let body = Body::from(text.into_bytes());
                Ok::<_, Infallible>(response.body(body).expect("a response"))
            }
        });
        (Cluster::over(Client::new(service, "market"), "market"), asked)
    }

    fn asked(record: &Asked) -> Vec<(String, String, Value)> {
        record.lock().unwrap().clone()
    }

    fn shop() -> Value {
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Rollout",
            "metadata": {"name": "shop", "namespace": "market"},
        })
    }

    fn accepted() -> (StatusCode, String) {
        (StatusCode::OK, shop().to_string())
    }

    /// The answer for an object that is not there.
    fn missing() -> (StatusCode, String) {
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure",
            "message": "not found", "reason": "NotFound", "code": 404,
        });
        (StatusCode::NOT_FOUND, body.to_string())
    }

    #[tokio::test]
    async fn the_status_is_sent_before_the_spec() {
        let (cluster, record) = server(|_| accepted());
        let rollout = json!({
            "spec": {"paused": true},
            "status": {"pauseConditions": [{"reason": "CanaryPauseStep"}]},
        });
        send(&cluster, "shop", &intent::promote(&rollout)).await.expect("both are accepted");
        let patch = "PATCH".to_owned();
        assert_eq!(
            asked(&record),
            [
                (
                    patch.clone(),
                    format!("{ROLLOUTS}/shop/status"),
                    json!({"status": {"pauseConditions": null}})
                ),
                (patch, format!("{ROLLOUTS}/shop"), json!({"spec": {"paused": false}})),
            ]
        );
    }

    #[tokio::test]
    async fn without_a_status_subresource_the_object_takes_both() {
        let (cluster, record) = server(|path| match path.ends_with("/status") {
            true => missing(),
            false => accepted(),
        });
        send(&cluster, "shop", &intent::abort()).await.expect("the object accepts it");
        let (method, path, body) = asked(&record).pop().expect("a request");
        assert_eq!((method.as_str(), path), ("PATCH", format!("{ROLLOUTS}/shop")));
        assert_eq!(body, json!({"status": {"abort": true}}));
    }

    #[tokio::test]
    async fn a_wrong_name_is_answered_with_the_right_one() {
        let (cluster, _) = server(|path| match path.ends_with("/rollouts") {
            true => (
                StatusCode::OK,
                json!({
                    "apiVersion": "argoproj.io/v1alpha1", "kind": "RolloutList",
                    "metadata": {}, "items": [shop()],
                })
                .to_string(),
            ),
            false => missing(),
        });
        let error = send(&cluster, "shpo", &intent::abort()).await.expect_err("no such rollout");
        assert_eq!(
            error.to_string(),
            "rollout \"shpo\" not found in namespace \"market\": did you mean \"shop\"?"
        );
    }

    #[tokio::test]
    async fn a_cluster_without_the_definitions_says_how_to_install_them() {
        // For an unknown kind the server's answer is no JSON at all.
        let (cluster, _) = server(|_| (StatusCode::NOT_FOUND, "404 page not found\n".to_owned()));
        let error = send(&cluster, "shop", &intent::retry()).await.expect_err("no such kind");
        assert!(matches!(&error, Error::UnknownKind { .. }), "{error}");
        assert!(error.to_string().contains("sluice crds | kubectl apply --server-side -f -"));
    }

    #[tokio::test]
    async fn a_missing_permission_is_told_in_the_servers_words() {
        let (cluster, record) = server(|_| {
            let message = "User \"eve\" cannot patch resource \"rollouts/status\"";
            let body = json!({
                "kind": "Status", "apiVersion": "v1", "status": "Failure",
                "message": message, "reason": "Forbidden", "code": 403,
            });
            (StatusCode::FORBIDDEN, body.to_string())
        });
        let error = send(&cluster, "shop", &intent::abort()).await.expect_err("not allowed");
        assert_eq!(
            error.to_string(),
            "not allowed to change the status of rollout \"shop\": \
             User \"eve\" cannot patch resource \"rollouts/status\""
        );
        assert_eq!(asked(&record).len(), 1, "nothing more is tried");
    }
}
