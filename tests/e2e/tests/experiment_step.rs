//! Steps that run an experiment. The tests play the controller of Experiments: they give each the
//! phase in which it ends.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sluice_e2e::{Controller, Kind, Namespace, Rollout, eventually, manifest};

const LIMIT: Duration = Duration::from_secs(60);
const STEPS: &str = "steps: [{experiment: {duration: 5m, templates: [\
    {name: base, specRef: stable}, {name: new, specRef: canary}]}}, {pause: {}}]";

/// A controller, and an update of `web` at its experiment, which is the answer.
async fn at_the_experiment(namespace: &Namespace) -> Result<(Controller, Value)> {
    let controller = Controller::start(namespace, &[]).await?;
    namespace.apply(&manifest::rollout(2, STEPS, "")).await?;
    let web = Rollout::new(namespace, "web");
    web.until_phase("Healthy", LIMIT).await?;
    web.set_image("example:2").await?;
    let experiment = eventually("an experiment", LIMIT, async || {
        let mut all = namespace.list(Kind::EXPERIMENT, "").await?;
        all.pop().context("there is none")
    });
    Ok((controller, experiment.await?))
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

async fn end(namespace: &Namespace, experiment: &Value, phase: &str) -> Result<()> {
    let status = json!({"status": {"phase": phase, "message": "the baseline is better"}});
    namespace.merge(Kind::EXPERIMENT, name(experiment), &status).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_goes_on_after_a_successful_experiment() -> Result<()> {
    let namespace = Namespace::new("experiment").await?;
    let (_controller, experiment) = at_the_experiment(&namespace).await?;
    let web = Rollout::new(&namespace, "web");
    let status = web.status().await?;
    assert_eq!(status["canary"]["currentExperiment"], name(&experiment));
    assert_eq!(experiment["metadata"]["ownerReferences"][0]["kind"], "Rollout");
    let templates = &experiment["spec"]["templates"];
    let image = |at: usize| &templates[at]["template"]["spec"]["containers"][0]["image"];
    assert_eq!((image(0), image(1)), (&json!("example:1"), &json!("example:2")));

    end(&namespace, &experiment, "Running").await?;
    web.until_step(0, LIMIT).await?;
    end(&namespace, &experiment, "Successful").await?;
    let status = web.until_paused_at(1, LIMIT).await?;
    assert_eq!(status["canary"].get("currentExperiment"), None);
    web.until_events(&["ExperimentCreated", "RolloutStepCompleted"], LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_experiment_takes_the_release_back() -> Result<()> {
    let namespace = Namespace::new("experiment-failed").await?;
    let (_controller, experiment) = at_the_experiment(&namespace).await?;
    let web = Rollout::new(&namespace, "web");
    end(&namespace, &experiment, "Failed").await?;
    let why = "Experiment analysis phase is error/failed: the baseline is better";
    web.until_message(why, LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_ends_the_experiment() -> Result<()> {
    let namespace = Namespace::new("experiment-abort").await?;
    let (_controller, experiment) = at_the_experiment(&namespace).await?;
    Rollout::new(&namespace, "web").abort().await?;
    eventually("the end of the experiment", LIMIT, async || {
        let object = namespace.get(Kind::EXPERIMENT, name(&experiment)).await?;
        anyhow::ensure!(object["spec"]["terminate"] == true, "{}", object["spec"]);
        Ok(())
    })
    .await
}
