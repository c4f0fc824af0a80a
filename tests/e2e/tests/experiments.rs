//! Experiments, those of steps and those that stand alone.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sluice_e2e::{
    Answers, Controller, Event, Kind, Namespace, Rollout, eventually, manifest, sluice,
};

const LIMIT: Duration = Duration::from_secs(60);
const HASH: &str = "rollouts-pod-template-hash";

/// A step with two versions, which goes on for `duration`; `more` is what else it holds.
fn step(duration: &str, more: &str) -> String {
    format!(
        "steps: [{{experiment: {{duration: {duration}, scaleDownDelaySeconds: 1, {more} \
         templates: [{{name: base, specRef: stable, metadata: {{labels: {{role: base}}}}}}, \
         {{name: new, specRef: canary, replicas: 2}}]}}}}, {{pause: {{}}}}]"
    )
}

/// A controller, and an update of `web` at its experiment, which is the answer; `around` is applied
/// before.
async fn at_the_experiment(
    namespace: &Namespace,
    around: &str,
    steps: &str,
) -> Result<(Controller, Value)> {
    let controller = Controller::start(namespace, &[]).await?;
    namespace.apply(around).await?;
    namespace.apply(&manifest::rollout(2, steps, "")).await?;
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

async fn until_experiment(namespace: &Namespace, name: &str, phase: &str) -> Result<Value> {
    eventually(&format!("experiment {name} to be {phase}"), LIMIT, async || {
        let object = namespace.get(Kind::EXPERIMENT, name).await?;
        ensure!(object["status"]["phase"] == phase, "{}", object["status"]);
        Ok(object)
    })
    .await
}

/// The ReplicaSets that an experiment controls, sorted by name, with the pods that they have and
/// are to have.
async fn sets(namespace: &Namespace, experiment: &str) -> Result<Vec<(String, u64, u64)>> {
    let mut sets = Vec::new();
    for set in namespace.list(Kind::REPLICA_SET, "").await? {
        let owner = &set["metadata"]["ownerReferences"][0];
        if owner["kind"] == "Experiment" && owner["name"] == experiment {
            let told = set["spec"]["replicas"].as_u64().unwrap_or(1);
            let has = set["status"]["replicas"].as_u64().unwrap_or(0);
            sets.push((name(&set).to_owned(), told, has));
        }
    }
    sets.sort();
    Ok(sets)
}

async fn until_no_pods(namespace: &Namespace, experiment: &str) -> Result<()> {
    eventually("the pods of the experiment to be gone", LIMIT, async || {
        let sets = sets(namespace, experiment).await?;
        ensure!(sets.iter().all(|(_, told, has)| (*told, *has) == (0, 0)), "{sets:?}");
        Ok(())
    })
    .await
}

async fn until_events(namespace: &Namespace, name: &str, reasons: &[&str]) -> Result<()> {
    eventually("events of the experiment", LIMIT, async || {
        let events = namespace.events(Kind::EXPERIMENT, name).await?;
        Event::in_order(&events, reasons)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_runs_for_its_duration_and_its_release_goes_on() -> Result<()> {
    let namespace = Namespace::new("experiment").await?;
    let (controller, experiment) = at_the_experiment(&namespace, "", &step("3s", "")).await?;
    let web = Rollout::new(&namespace, "web");
    let status = web.status().await?;
    assert_eq!(status["canary"]["currentExperiment"], name(&experiment));
    assert_eq!(experiment["metadata"]["ownerReferences"][0]["kind"], "Rollout");
    let templates = &experiment["spec"]["templates"];
    let image = |at: usize| &templates[at]["template"]["spec"]["containers"][0]["image"];
    assert_eq!((image(0), image(1)), (&json!("example:1"), &json!("example:2")));

    let name = name(&experiment);
    let running = until_experiment(&namespace, name, "Running").await?;
    assert!(running["status"]["availableAt"].is_string());
    let (base, new) = (format!("{name}-base"), format!("{name}-new"));
    assert_eq!(sets(&namespace, name).await?, [(base.clone(), 1, 1), (new, 2, 2)]);
    let set = namespace.get(Kind::REPLICA_SET, &base).await?;
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    assert_eq!((&labels["app"], &labels["role"]), (&json!("web"), &json!("base")));
    let hashes: Vec<_> = running["status"]["templateStatuses"]
        .as_array()
        .context("no statuses")?
        .iter()
        .map(|one| one["podTemplateHash"].clone())
        .collect();
    assert_eq!(labels[HASH], hashes[0]);
    let release = [&status["stableRS"], &status["currentPodHash"]];
    assert!(!release.contains(&&hashes[0]) && !release.contains(&&hashes[1]));

    web.until_paused_at(1, LIMIT).await?;
    until_experiment(&namespace, name, "Successful").await?;
    let status = web.status().await?;
    assert_eq!(status["canary"].get("currentExperiment"), None);
    until_no_pods(&namespace, name).await?;
    web.until_events(&["ExperimentCreated", "RolloutStepCompleted"], LIMIT).await?;
    let reasons = ["NewReplicaSetCreated", "ExperimentSuccessful", "ScalingReplicaSet"];
    until_events(&namespace, name, &reasons).await?;
    let metrics = controller.http("/metrics").await?;
    let labels =
        format!(r#"{{namespace="{}",name="{name}",phase="Successful"}} 1"#, namespace.name());
    for metric in ["experiment_info", "experiment_phase"] {
        let line = format!("{metric}{labels}");
        assert!(metrics.contains(&line), "no {line}");
    }
    Ok(())
}

const CHECK: &str = "analyses: [{name: check, templateName: judge, \
     args: [{name: hash, value: \"{{templates.new.podTemplateHash}}\"}]}],";

/// `judge`, which is told of a revision and takes values above two for bad.
fn judge(answers: &Answers) -> String {
    let more = "failureCondition: result[0] > 2\n    interval: 1s\n  args: [{name: hash}]";
    manifest::judge(answers.url(), "up{hash=\"{{args.hash}}\"}", "result[0] < 1", more)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analysis_that_fails_ends_the_experiment_and_takes_the_release_back() -> Result<()> {
    let namespace = Namespace::new("experiment-failed").await?;
    let answers = Answers::start("0").await?;
    let (_controller, experiment) =
        at_the_experiment(&namespace, &judge(&answers), &step("10m", CHECK)).await?;
    let web = Rollout::new(&namespace, "web");
    let name = name(&experiment);
    let run = eventually("a run that measures", LIMIT, async || {
        let run = namespace.get(Kind::ANALYSIS_RUN, &format!("{name}-check")).await?;
        ensure!(run["status"]["phase"] == "Running", "{}", run["status"]);
        Ok(run)
    });
    let run = run.await?;
    let owner = &run["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["kind"], &owner["name"]), (&json!("Experiment"), &json!(name)));
    let seen = until_experiment(&namespace, name, "Running").await?;
    let hash = &seen["status"]["templateStatuses"][1]["podTemplateHash"];
    assert_eq!(&run["spec"]["args"][0]["value"], hash);
    answers.say("3");
    let failed = until_experiment(&namespace, name, "Failed").await?;
    let why = failed["status"]["message"].as_str().unwrap_or_default();
    assert!(why.starts_with("Metric \"error-rate\" assessed Failed"), "{why}");
    assert_eq!(failed["status"]["analysisRuns"][0]["phase"], "Failed");
    let why = format!("Experiment analysis phase is error/failed: {why}");
    web.until_message(&why, LIMIT).await?;
    web.until_events(&["AnalysisRunFailed"], LIMIT).await?;
    until_no_pods(&namespace, name).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_ends_the_experiment_and_its_runs() -> Result<()> {
    let namespace = Namespace::new("experiment-abort").await?;
    let answers = Answers::start("0").await?;
    let (_controller, experiment) =
        at_the_experiment(&namespace, &judge(&answers), &step("10m", CHECK)).await?;
    let name = name(&experiment);
    until_experiment(&namespace, name, "Running").await?;
    Rollout::new(&namespace, "web").abort().await?;
    let ended = until_experiment(&namespace, name, "Successful").await?;
    assert_eq!(ended["spec"]["terminate"], true);
    eventually("the run to end", LIMIT, async || {
        let run = namespace.get(Kind::ANALYSIS_RUN, &format!("{name}-check")).await?;
        ensure!(run["spec"]["terminate"] == true && run["status"]["phase"] == "Successful");
        Ok(())
    })
    .await?;
    until_no_pods(&namespace, name).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_controller_makes_nothing_twice() -> Result<()> {
    let namespace = Namespace::new("experiment-killed").await?;
    let answers = Answers::start("0").await?;
    let steps = step("10s", CHECK);
    let (mut controller, experiment) =
        at_the_experiment(&namespace, &judge(&answers), &steps).await?;
    let name = name(&experiment);
    // Whatever it has made by then, and again while it measures.
    for _ in 0..3 {
        controller.kill()?;
        controller.restart()?;
        controller.until_ready().await?;
    }
    until_experiment(&namespace, name, "Running").await?;
    controller.kill()?;
    controller.restart()?;
    Rollout::new(&namespace, "web").until_paused_at(1, LIMIT).await?;
    let made: Vec<_> = sets(&namespace, name).await?.into_iter().map(|(set, ..)| set).collect();
    assert_eq!(made, [format!("{name}-base"), format!("{name}-new")]);
    let runs = namespace.list(Kind::ANALYSIS_RUN, "").await?;
    let runs: Vec<_> = runs.iter().map(self::name).collect();
    assert_eq!(runs, [format!("{name}-check")]);
    until_no_pods(&namespace, name).await
}

/// An experiment that nobody owns, with a Service in front of one version.
fn standalone(more: &str, annotations: &str) -> String {
    let pods = |side: &str, annotations: &str| {
        format!(
            r#"    selector: {{matchLabels: {{app: probe, side: {side}}}}}
    template:
      metadata: {{labels: {{app: probe, side: {side}}}, annotations: {{{annotations}}}}}
      spec: {{containers: [{{name: main, image: "example:1", ports: [{{name: http, containerPort: 8080}}]}}]}}
"#
        )
    };
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Experiment\nmetadata: {{name: probe}}\nspec:\n  \
         scaleDownDelaySeconds: 1\n{more}  templates:\n  - name: one\n{}  - name: two\n    \
         service: {{}}\n{}",
        pods("one", ""),
        pods("two", annotations)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_stands_alone_goes_on_until_somebody_ends_it() -> Result<()> {
    let namespace = Namespace::new("experiment-alone").await?;
    let _controller = Controller::start(&namespace, &[]).await?;
    namespace.apply(&standalone("", "")).await?;
    let running = until_experiment(&namespace, "probe", "Running").await?;
    let status = &running["status"]["templateStatuses"][1];
    assert_eq!(status["serviceName"], "probe-two");
    let service = namespace.get(Kind::SERVICE, "probe-two").await?;
    assert_eq!(service["spec"]["selector"][HASH], status["podTemplateHash"]);
    assert_eq!(service["spec"]["ports"][0]["port"], 8080);
    // What somebody else takes away comes back.
    namespace.merge(Kind::REPLICA_SET, "probe-two", &json!({"spec": {"replicas": 0}})).await?;
    eventually("the pods to come back", LIMIT, async || {
        let sets = sets(&namespace, "probe").await?;
        ensure!(sets.iter().all(|(_, told, has)| (*told, *has) == (1, 1)), "{sets:?}");
        Ok(())
    })
    .await?;
    // The ReplicaSet controller may report the old pod once more before it reports its end, so the
    // Experiment may be Running for a moment, then Pending, then Running for good.
    eventually("what is shown to be Running", LIMIT, async || {
        let (well, shown) = sluice(&namespace, &["get", "experiment", "probe"]).await?;
        ensure!(well && shown.contains("Status:          ◌ Running"), "{shown}");
        for part in ["Σ probe", "├──⧉ probe-one ", "└──⧉ probe-two ", "ready:1/1"]
        {
            ensure!(shown.contains(part), "no {part} in\n{shown}");
        }
        Ok(())
    })
    .await?;
    let (well, said) = sluice(&namespace, &["terminate", "experiment", "probe"]).await?;
    ensure!(well && said == "experiment 'probe' terminated\n", "{said}");
    until_experiment(&namespace, "probe", "Successful").await?;
    until_no_pods(&namespace, "probe").await?;
    eventually("the Service to be gone", LIMIT, async || {
        ensure!(namespace.find(Kind::SERVICE, "probe-two").await?.is_none());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_never_come_and_pods_that_cannot_be_are_told() -> Result<()> {
    let namespace = Namespace::new("experiment-late").await?;
    let _controller = Controller::start(&namespace, &[]).await?;
    let late = "  progressDeadlineSeconds: 2\n";
    namespace.apply(&standalone(late, "sluice.test/ready: never")).await?;
    let failed = until_experiment(&namespace, "probe", "Failed").await?;
    let why = "Template 'two' exceeded its progressDeadlineSeconds (2)";
    assert_eq!(failed["status"]["message"], why);
    until_no_pods(&namespace, "probe").await?;
    // A name that a Service cannot have, beside an experiment that has nothing wrong.
    let other = standalone("", "").replace("name: probe", "name: other");
    let bad = other.replace("service: {}", "service: {name: No_Service}");
    namespace.apply(&bad.replace("name: other", "name: bad")).await?;
    namespace.apply(&other).await?;
    until_experiment(&namespace, "other", "Running").await?;
    let error = until_experiment(&namespace, "bad", "Error").await?;
    let why = error["status"]["message"].as_str().unwrap_or_default();
    assert!(
        why.starts_with("Template 'two' cannot be made: ") && why.contains("No_Service"),
        "{why}"
    );
    let empty = other.replace("name: other", "name: empty").replace("- name: two", "- name: one");
    namespace.apply(&empty).await?;
    let status = eventually("the complaint", LIMIT, async || {
        let status = namespace.get(Kind::EXPERIMENT, "empty").await?["status"].take();
        ensure!(status["conditions"][0]["type"] == "InvalidSpec", "{status}");
        Ok(status)
    });
    let why = "The Experiment \"empty\" is invalid: \
               spec.templates[1].name: Duplicate value: \"one\"";
    assert_eq!(status.await?["message"], why);
    Ok(())
}
