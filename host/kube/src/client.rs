//! A client that keeps to a rate, bounds every wait, and counts.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Request;
use kube::Client;
use kube::client::Body;
use sluice_wire::store::Watched;
use tokio::time::Instant;

use crate::health::Health;

/// How long an answer may take to begin. Watches answer at once and then go on.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// A token bucket: so many requests a second, so many at once after a rest.
#[derive(Debug)]
pub struct Pace {
    gap: Duration,
    burst: u32,
    /// When the bucket would be full if nobody asked before.
    full_at: Mutex<Instant>,
}

impl Pace {
    /// `qps` below a thousandth count as a thousandth, a `burst` of 0 as 1.
    pub fn new(qps: f64, burst: u32) -> Self {
        Self {
            gap: Duration::from_secs_f64(1.0 / qps.max(0.001)),
            burst: burst.max(1),
            full_at: Mutex::new(Instant::now()),
        }
    }

    /// Wait for a turn. Turns are given in the order in which they are asked for.
    pub async fn wait(&self) {
        let at = self.reserve();
        tokio::time::sleep_until(at).await;
    }

    /// How long somebody who asked now would wait.
    pub fn delay(&self) -> Duration {
        let full_at = *self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let credit = self.gap.saturating_mul(self.burst - 1);
        full_at.saturating_duration_since(Instant::now()).saturating_sub(credit)
    }

    fn reserve(&self) -> Instant {
        let now = Instant::now();
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let before = (*full_at).max(now);
        *full_at = before + self.gap;
        // A bucket that is full in less than `burst` gaps still holds a token.
        let credit = self.gap.saturating_mul(self.burst - 1);
        before.checked_sub(credit).unwrap_or(now).max(now)
    }
}

/// `client`, with every request paced, bounded and counted.
pub fn paced(client: Client, pace: Arc<Pace>, health: Health) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = tower::service_fn(move |request: Request<Body>| {
        let (client, pace, health) = (client.clone(), pace.clone(), health.clone());
        async move {
            if let Some(strange) = strange(request.uri().path()) {
                return Err(tower::BoxError::from(strange));
            }
            pace.wait().await;
            let verb = request.extensions().get::<&'static str>().copied();
            let verb = verb.unwrap_or("other");
            let about = About::of(request.uri().path());
            let answer = tokio::time::timeout(ANSWER_LIMIT, client.send(request)).await;
            let code = match &answer {
                Ok(Ok(response)) => response.status().as_u16(),
                Ok(Err(_)) | Err(_) => 0,
            };
            health.called(verb, about, code);
            match answer {
                Ok(answer) => answer.map_err(tower::BoxError::from),
                Err(_) => Err(tower::BoxError::from("no answer within 30 s")),
            }
        }
    });
    Client::new(service, namespace)
}

/// Why a path cannot be meant: names that somebody wrote are parts of it, and whatever stands
/// between here and the API server may take `..` for a way to another object.
fn strange(path: &str) -> Option<String> {
    let lost = path.split('/').any(|part| matches!(part, "." | ".."));
    lost.then(|| format!("no object has the path {path}; a name cannot be . or .., or hold a /"))
}

/// What a request was about. A part that the path does not have is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct About {
    /// The plural name of a kind; `discovery` and `other` are about none.
    pub resource: String,
    /// A namespace.
    pub namespace: String,
    /// The name of an object. Only kinds that are watched have it: whatever else is written, such
    /// as Events, has ever new names, and nobody would tell that the old ones are gone.
    pub name: String,
}

impl About {
    /// Read a path such as `/apis/apps/v1/namespaces/shop/replicasets/web-5d4`.
    fn of(path: &str) -> Self {
        let of = |resource: &str| Self { resource: resource.to_owned(), ..Self::default() };
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let skip = match parts.next() {
            Some("api") => 1,
            Some("apis") => 2,
            Some(_) | None => return of("other"),
        };
        let mut rest = parts.skip(skip);
        let (namespace, resource) = match rest.next() {
            Some("namespaces") => match (rest.next(), rest.next()) {
                (namespace, Some(resource)) => (namespace.unwrap_or_default(), resource),
                (_, None) => return of("namespaces"),
            },
            Some(resource) => ("", resource),
            None => return of("discovery"),
        };
        let is_watched = Watched::ALL.into_iter().any(|kind| plural(kind) == resource);
        let name = rest.next().filter(|_| is_watched).unwrap_or_default();
        Self { namespace: namespace.to_owned(), name: name.to_owned(), ..of(resource) }
    }
}

/// The plural name of a watched kind.
pub(crate) fn plural(kind: Watched) -> String {
    format!("{}s", kind.kind().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_what_a_request_is_about() {
        let table = [
            ("/api/v1/namespaces/shop/services/web", ("services", "shop", "web")),
            ("/api/v1/namespaces/shop", ("namespaces", "", "")),
            ("/api/v1/namespaces/shop/events/web.17", ("events", "shop", "")),
            ("/apis/argoproj.io/v1alpha1/rollouts", ("rollouts", "", "")),
            (
                "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/web/status",
                ("rollouts", "shop", "web"),
            ),
            ("/apis/apps/v1", ("discovery", "", "")),
            ("/version", ("other", "", "")),
        ];
        for (path, (resource, namespace, name)) in table {
            let about = About::of(path);
            let seen = (&*about.resource, &*about.namespace, &*about.name);
            assert_eq!(seen, (resource, namespace, name), "{path}");
        }
    }

    #[test]
    fn a_path_leads_to_what_it_names() {
        for good in ["/version", "/api/v1/namespaces/shop/secrets/..a", "/apis/apps/v1/", "/a.b/c"]
        {
            assert_eq!(strange(good), None, "{good}");
        }
        for bad in ["/api/v1/namespaces/shop/secrets/../x", "/api/v1/secrets/..", "/./x"] {
            assert!(strange(bad).is_some(), "{bad}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_at_once_and_the_rest_at_the_rate() {
        let pace = Pace::new(10.0, 3);
        let start = Instant::now();
        let mut waits = Vec::new();
        let mut delays = Vec::new();
        for _ in 0..6 {
            delays.push(pace.delay().as_millis());
            pace.wait().await;
            waits.push(start.elapsed().as_millis());
        }
        // The clock of the test counts whole milliseconds and may round up.
        let expected = [0, 0, 0, 100, 200, 300];
        for (wait, expected) in waits.iter().zip(expected) {
            assert!(wait.abs_diff(expected) <= 2, "{waits:?}");
        }
        for (delay, expected) in delays.iter().zip([0, 0, 0, 100, 100, 100]) {
            assert!(delay.abs_diff(expected) <= 2, "{delays:?}");
        }
    }
}
