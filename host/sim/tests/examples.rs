//! The scenarios of the examples, with the real decisions and a provider that asks the scenario's
//! metrics server as Prometheus is asked. Routers have no part in them.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use sluice_port::http::{Egress, HttpRequest};
use sluice_port::{
    Answer, Change, Components, Fault, Measured, Measurement, MetricCall, ObjectQuery, Routing,
    Verification,
};
use sluice_sim::cluster::at_once;
use sluice_sim::plane::Plane;
use sluice_sim::release::{Outcomes, simulate};
use sluice_sim::scenario::{MetricsServer, Scenario};

/// A provider for Prometheus that knows instant queries and nothing else.
struct Provider {
    server: Arc<MetricsServer>,
    plane: Plane,
}

impl Provider {
    async fn query(&self, config: &str) -> Result<Measurement, Fault> {
        let config: Value = serde_json::from_str(config).unwrap();
        let encode = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        };
        let query: String = config["query"].as_str().unwrap().bytes().map(encode).collect();
        let body = Some(format!("query={query}").into_bytes());
        let request = HttpRequest { body, ..HttpRequest::default() };
        let answer = self.server.send("prometheus", request).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        let series = answer["data"]["result"].as_array().unwrap();
        let number = |one: &Value| one["value"][1].as_str().unwrap().parse().unwrap();
        let outcome = Measured::Numbers(series.iter().map(number).collect());
        Ok(Measurement { outcome, message: None, metadata: Vec::new() })
    }
}

impl Components for Provider {
    fn measure<'a>(&'a self, _: &'a str, call: &'a MetricCall) -> Answer<'a, Measurement> {
        Box::pin(self.query(&call.config))
    }

    fn resume<'a>(
        &'a self,
        provider: &'a str,
        call: &'a MetricCall,
        token: &'a str,
    ) -> Answer<'a, Measurement> {
        self.plane.resume(provider, call, token)
    }

    fn terminate<'a>(
        &'a self,
        provider: &'a str,
        call: &'a MetricCall,
        token: &'a str,
    ) -> Answer<'a, ()> {
        self.plane.terminate(provider, call, token)
    }

    fn validate_metric<'a>(&'a self, provider: &'a str, config: &'a str) -> Answer<'a, ()> {
        self.plane.validate_metric(provider, config)
    }

    fn capabilities(&self, router: &str) -> Result<Vec<String>, Fault> {
        self.plane.capabilities(router)
    }

    fn validate_router<'a>(&'a self, router: &'a str, config: &'a str) -> Answer<'a, ()> {
        self.plane.validate_router(router, config)
    }

    fn references<'a>(
        &'a self,
        router: &'a str,
        wanted: &'a Routing,
        objects: &'a [String],
    ) -> Answer<'a, Vec<ObjectQuery>> {
        self.plane.references(router, wanted, objects)
    }

    fn route<'a>(
        &'a self,
        router: &'a str,
        wanted: &'a Routing,
        objects: &'a [String],
    ) -> Answer<'a, Vec<Change>> {
        self.plane.route(router, wanted, objects)
    }

    fn verify<'a>(
        &'a self,
        router: &'a str,
        wanted: &'a Routing,
        objects: &'a [String],
    ) -> Answer<'a, Verification> {
        self.plane.verify(router, wanted, objects)
    }

    fn release<'a>(
        &'a self,
        router: &'a str,
        wanted: &'a Routing,
        objects: &'a [String],
    ) -> Answer<'a, Vec<Change>> {
        self.plane.release(router, wanted, objects)
    }
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

fn play(folder: &str, scenario: &str, change: impl Fn(&mut Vec<Value>)) -> Outcomes {
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    let manifests = read(example(folder).join("rollout.yaml"));
    let mut objects: Vec<Value> = serde_saphyr::from_multiple(&manifests).unwrap();
    change(&mut objects);
    let scenario = read(example(folder).join("scenarios").join(format!("{scenario}.yaml")));
    let scenario: Scenario = serde_saphyr::from_str(&scenario).unwrap();
    assert_eq!(scenario.check(), []);
    let server = MetricsServer::new(&scenario);
    let components = Arc::new(Provider { server: server.clone(), plane: Plane::default() });
    at_once(simulate(objects, &scenario, components, server)).unwrap()
}

/// The places of the rows with these words.
fn places(outcomes: &Outcomes, words: &str) -> Vec<usize> {
    let rows = outcomes.timeline.rows.iter().enumerate();
    rows.filter(|(_, row)| row.text.contains(words)).map(|(place, _)| place).collect()
}

#[test]
fn every_blue_green_scenario_ends_as_it_expects() {
    for scenario in ["good", "bad", "bad-with-users", "regret"] {
        let outcomes = play("02-blue-green", scenario, |_| ());
        let rows = outcomes.timeline.render(false);
        assert!(outcomes.is_fine(), "{:?} {:?}\n{rows}", outcomes.unmet, outcomes.violations);
    }
}

#[test]
fn users_are_moved_between_the_two_analyses() {
    let outcomes = play("02-blue-green", "bad-with-users", |_| ());
    let moves = places(&outcomes, "for service 'shop' from");
    let (good, bad) = (places(&outcomes, "[0.003], good"), places(&outcomes, "[0.12], bad"));
    let story = [good[0], moves[0], bad[0], moves[1]];
    assert!(story.is_sorted(), "{story:?}\n{}", outcomes.timeline.render(false));
    assert_eq!(moves.len(), 2, "{}", outcomes.timeline.render(false));
}

#[test]
fn a_scenario_that_expects_too_much_is_told_so() {
    let outcomes = play("02-blue-green", "regret", |objects| {
        // Without a delay there is nothing to go back to quickly.
        objects[0]["spec"]["strategy"]["blueGreen"]["scaleDownDelaySeconds"] = 5.into();
    });
    assert!(!outcomes.unmet.is_empty(), "{}", outcomes.timeline.render(false));
}
