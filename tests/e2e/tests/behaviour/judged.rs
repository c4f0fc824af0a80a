//! Releases under the judgement of analysis runs.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sluice_e2e::{Answers, Kind, Namespace, Rollout, eventually, manifest};

use crate::scene::{LIMIT, begin, until_said};

/// `judge`, which finds values below one good and values above two bad.
fn judge(answers: &Answers, more: &str) -> String {
    let more = format!("failureCondition: result[0] > 2\n    {more}");
    manifest::judge(answers.url(), "up", "result[0] < 1", &more)
}

/// `web` with two pods and a template of its analysis, once it is healthy.
async fn judged(test: &str, template: &str, canary: &str) -> Result<Namespace> {
    let namespace = begin(test).await?;
    namespace.apply(template).await?;
    namespace.apply(&manifest::rollout(2, canary, "")).await?;
    Rollout::new(&namespace, "web").until_stable(LIMIT).await?;
    Ok(namespace)
}

/// Awaits that the newest run of `web` is in `phase`, and returns it.
async fn until_run(web: &Rollout<'_>, phase: &str) -> Result<Value> {
    eventually(&format!("a run that is {phase}"), LIMIT, async || {
        let run = web.analysis_runs().await?.pop().context("there is no run")?;
        ensure!(run["status"]["phase"] == phase, "{}", run["status"]);
        Ok(run)
    })
    .await
}

const BACKGROUND: &str = "analysis: {startingStep: 1, templates: [{templateName: judge}]}, \
     steps: [{setWeight: 50}, {pause: {}}]";

#[tokio::test(flavor = "multi_thread")]
async fn an_analysis_in_the_background_aborts_a_release_that_turns_bad() -> Result<()> {
    let answers = Answers::start("0").await?;
    let namespace = judged("background", &judge(&answers, "interval: 1s"), BACKGROUND).await?;
    let web = Rollout::new(&namespace, "web");
    assert_eq!(web.analysis_runs().await?.len(), 0, "the first deployment is not judged");
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    let run = until_run(&web, "Running").await?;
    assert_eq!(run["metadata"]["labels"]["rollout-type"], "Background");
    answers.say("3");
    let status = until_said(&web, &["RolloutAborted", "Background analysis", "error-rate"]).await?;
    assert_eq!(status["phase"], "Degraded");
    web.until_pods(&[("1", 2), ("2", 0)], LIMIT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analysis_in_the_background_ends_well_with_its_release() -> Result<()> {
    let answers = Answers::start("0").await?;
    let namespace = judged("background-good", &judge(&answers, "interval: 1s"), BACKGROUND).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    web.until_paused_at(1, LIMIT).await?;
    until_run(&web, "Running").await?;
    web.resume().await?;
    web.until_stable(LIMIT).await?;
    let run = until_run(&web, "Successful").await?;
    assert_eq!(run["spec"]["terminate"], true);
    Ok(())
}

const STEP: &str = "steps: [{setWeight: 50}, {analysis: {templates: [{templateName: judge}]}}, \
     {pause: {}}]";

/// `web` in a release that its judge cannot decide on.
async fn undecided(test: &str, answers: &Answers) -> Result<Namespace> {
    let namespace = judged(test, &judge(answers, ""), STEP).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    let status = web.until_message("InconclusiveAnalysisRun", LIMIT).await?;
    ensure!(status["phase"] == "Paused" && status["currentStepIndex"] == 1, "{status}");
    Ok(namespace)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inconclusive_analysis_waits_for_a_user_who_may_ask_again() -> Result<()> {
    let answers = Answers::start("1.5").await?;
    let namespace = undecided("inconclusive", &answers).await?;
    let web = Rollout::new(&namespace, "web");
    answers.say("0");
    web.resume().await?;
    web.until_paused_at(2, LIMIT).await?;
    let phases: Vec<_> = web
        .analysis_runs()
        .await?
        .iter()
        .map(|run| run["status"]["phase"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(phases, ["Inconclusive", "Successful"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn promote_goes_on_past_an_inconclusive_analysis() -> Result<()> {
    let answers = Answers::start("1.5").await?;
    let namespace = undecided("past", &answers).await?;
    let web = Rollout::new(&namespace, "web");
    let next = json!({"pauseConditions": null, "controllerPause": false, "currentStepIndex": 2});
    web.merge_status(next).await?;
    // The client's own write leaves the message of the pause before until the controller's.
    let status = web.until_message("CanaryPauseStep", LIMIT).await?;
    assert_eq!(status["currentStepIndex"], 2);
    assert_eq!(web.analysis_runs().await?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_is_told_and_changes_nothing() -> Result<()> {
    let answers = Answers::start("3").await?;
    let step = STEP.replace("{templates", "{dryRun: [{metricName: error.*}], templates");
    let namespace = judged("dry-run", &judge(&answers, ""), &step).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    web.until_paused_at(2, LIMIT).await?;
    let run = until_run(&web, "Successful").await?;
    let metric = &run["status"]["metricResults"][0];
    assert_eq!((&metric["dryRun"], &metric["phase"]), (&json!(true), &json!("Failed")));
    assert_eq!(run["status"]["dryRunSummary"]["failed"], 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_come_from_the_rollout_and_its_revisions() -> Result<()> {
    let answers = Answers::start("0").await?;
    let template = judge(&answers, "").replace(
        "spec:\n",
        "spec:\n  args: [{name: new}, {name: old}, {name: size}, {name: team}, \
         {name: word, value: default}, {name: said}]\n",
    );
    let args = "args: [{name: new, valueFrom: {podTemplateHashValue: Latest}}, \
         {name: old, valueFrom: {podTemplateHashValue: Stable}}, \
         {name: size, valueFrom: {fieldRef: {fieldPath: spec.replicas}}}, \
         {name: team, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['team']\"}}}, \
         {name: said, value: here}], templates";
    let namespace = begin("arguments").await?;
    namespace.apply(&template).await?;
    let rollout = manifest::rollout(2, &STEP.replace("templates", args), "");
    let rollout = rollout.replace("{name: web}", "{name: web, labels: {team: shop}}");
    namespace.apply(&rollout).await?;
    let web = Rollout::new(&namespace, "web");
    web.until_stable(LIMIT).await?;
    web.set_image("example:2").await?;
    web.until_paused_at(2, LIMIT).await?;
    let run = until_run(&web, "Successful").await?;
    let revisions = web.revisions().await?;
    let value = |name: &str| {
        let args = run["spec"]["args"].as_array().cloned().unwrap_or_default();
        let arg = args.into_iter().find(|arg| arg["name"] == name);
        arg.and_then(|arg| arg["value"].as_str().map(str::to_owned)).unwrap_or_default()
    };
    let values = ["old", "new", "size", "team", "word", "said"].map(value);
    let expected = [&*revisions[0].hash, &*revisions[1].hash, "2", "shop", "default", "here"];
    assert_eq!(values, expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_its_user_ends_lets_the_release_go_on() -> Result<()> {
    let answers = Answers::start("0").await?;
    let template = judge(&answers, "count: 100\n    interval: 1s");
    let namespace = judged("terminate", &template, STEP).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    let run = until_run(&web, "Running").await?;
    let name = run["metadata"]["name"].as_str().context("no name")?;
    let end = json!({"spec": {"terminate": true}});
    namespace.merge(Kind::ANALYSIS_RUN, name, &end).await?;
    web.until_paused_at(2, LIMIT).await?;
    let run = until_run(&web, "Successful").await?;
    assert_eq!(run["status"]["message"], "Run Terminated");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_errors_in_a_row_abort_a_release() -> Result<()> {
    let nobody = manifest::judge("http://127.0.0.1:1", "up", "true", "consecutiveErrorLimit: 0");
    let namespace = judged("errors", &nobody, STEP).await?;
    let web = Rollout::new(&namespace, "web");
    web.set_image("example:2").await?;
    until_said(&web, &["RolloutAborted", "error-rate", "consecutiveErrors (1)"]).await?;
    until_run(&web, "Error").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_runs_are_kept() -> Result<()> {
    let answers = Answers::start("0").await?;
    let namespace = begin("kept-runs").await?;
    namespace.apply(&judge(&answers, "")).await?;
    let canary = "steps: [{analysis: {templates: [{templateName: judge}]}}]";
    let limit = "analysis: {successfulRunHistoryLimit: 1, unsuccessfulRunHistoryLimit: 1}";
    namespace.apply(&manifest::with_spec(&manifest::rollout(1, canary, ""), limit)).await?;
    let web = Rollout::new(&namespace, "web");
    web.until_stable(LIMIT).await?;
    for image in ["example:2", "example:3", "example:4"] {
        web.release(image, LIMIT).await?;
    }
    let newest = web.revisions().await?.pop().context("no revision")?.hash;
    eventually("the older runs to be deleted", LIMIT, async || {
        let runs = web.analysis_runs().await?;
        let hashes: Vec<_> = runs
            .iter()
            .map(|run| run["metadata"]["labels"]["rollouts-pod-template-hash"].clone())
            .collect();
        ensure!(hashes.len() <= 2 && hashes.contains(&json!(newest)), "{hashes:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_of_the_cluster_judges_in_any_namespace() -> Result<()> {
    let answers = Answers::start("0").await?;
    let namespace = begin("cluster-template").await?;
    let name = namespace.name().to_owned();
    let template = judge(&answers, "")
        .replace("kind: AnalysisTemplate", "kind: ClusterAnalysisTemplate")
        .replace("{name: judge}", &format!("{{name: {name}}}"));
    namespace.apply(&template).await?;
    let step = format!("{{templateName: {name}, clusterScope: true}}");
    let canary = STEP.replace("{templateName: judge}", &step);
    namespace.apply(&manifest::rollout(2, &canary, "")).await?;
    let web = Rollout::new(&namespace, "web");
    web.until_stable(LIMIT).await?;
    web.set_image("example:2").await?;
    web.until_paused_at(2, LIMIT).await?;
    until_run(&web, "Successful").await?;
    namespace.delete(Kind::CLUSTER_ANALYSIS_TEMPLATE, &name).await
}
