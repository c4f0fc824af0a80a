//! A metric provider, asked for a measurement.

use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::{Value, json};
use sluice_author::live::{Live, now};
use sluice_core::analysis::{Outcome, Verdict};
use sluice_port::{Components as _, Measured, MetricCall};
use sluice_wire::analysis::arguments::{ArgumentError, SecretRef, fill, used};
use sluice_wire::analysis::condition::judge;
use sluice_wire::analysis::measure::{Ready, prepare, required_secrets};
use sluice_wire::analysis::metric::provider;
use sluice_wire::analysis::template::Template;
use sluice_wire::field::Field;

use super::super::super::output::print;
use super::super::super::templates::{is_file, of_cluster, of_file};
use super::given::Given;
use super::lines::Lines;
use super::{Args, Reach, Subject, Tape, listen, network, read, show, wait};
use crate::client::Cluster;

/// Measure as often as is wanted. Answers whether all measurements came.
pub async fn run(args: &Args, subject: &Subject, mut reach: Reach) -> anyhow::Result<bool> {
    let mut given = Given::read(args, subject)?;
    let (run, metric) = analysis(args, subject, &mut reach).await?;
    let ready = ready(&run, &metric, &mut given, &mut reach).await?;
    let live = subject.start(&ready.provider, &given, network(&args.egress_allow)?).await?;
    let mut text = show::subject(subject);
    if ready.provider != subject.name {
        text.push_str(&format!("called as  {}, as the metric names it\n", ready.provider));
    }
    let config = serde_json::from_str(&ready.call.config).unwrap_or_default();
    text.push_str(&show::block("config", &config, &given.hidden));
    print(&text)?;
    let mut tape = Tape::new(args, &given);
    let lines = listen();
    let mut all = true;
    for index in 0..args.times {
        if index > 0 && !wait(args.every).await {
            break;
        }
        let call = MetricCall { index, ..ready.call.clone() };
        let scene = Scene { live: &live, ready: &ready, given: &given, lines: &lines };
        all &= scene.measure(&call, args.wait, &mut tape).await?;
    }
    tape.write(args, subject).await?;
    Ok(all)
}

/// What all calls have in common.
struct Scene<'a> {
    live: &'a Live,
    ready: &'a Ready,
    given: &'a Given,
    lines: &'a Lines,
}

impl Scene<'_> {
    /// One measurement to its end, or until there is no more time for it.
    async fn measure(
        &self,
        call: &MetricCall,
        most: Duration,
        tape: &mut Tape,
    ) -> anyhow::Result<bool> {
        let hidden = &self.given.hidden;
        let began = Instant::now();
        let mut token: Option<String> = None;
        loop {
            let name = self.live.name();
            let heard = self
                .live
                .call(now(), async |host| match &token {
                    None => host.measure(name, call).await,
                    Some(token) => host.resume(name, call, token).await,
                })
                .await;
            let what = if token.is_some() { "resume" } else { "run" };
            let title = format!("{what} of measurement {} at {}", call.index + 1, heard.at);
            let mut text = show::call(&title, &heard, &self.lines.take(), hidden);
            match &heard.answer {
                Err(fault) => text.push_str(&show::fault(fault, hidden)),
                Ok(measured) => {
                    text.push_str(&show::measurement(measured, hidden));
                    text.push_str(&judged(&measured.outcome, self.ready));
                }
            }
            text.push_str(&show::line("took", &super::super::millis(heard.took)));
            print(&text)?;
            tape.add(|recording| recording.metric(call, token.as_deref(), &heard));
            let Ok(measured) = heard.answer else { return Ok(false) };
            let Measured::Running { token: next, resume_after_ms } = measured.outcome else {
                return Ok(true);
            };
            let pause = Duration::from_millis(u64::from(resume_after_ms));
            if began.elapsed() + pause > most || !wait(pause).await {
                self.stop(call, &next).await?;
                return Ok(true);
            }
            token = Some(next);
        }
    }

    /// Nobody goes on with it, so it is stopped, as the controller would.
    async fn stop(&self, call: &MetricCall, token: &str) -> anyhow::Result<()> {
        let (name, hidden) = (self.live.name(), &self.given.hidden);
        let stop =
            async |host: &sluice_wasm::ComponentHost| host.terminate(name, call, token).await;
        let heard = self.live.call(now(), stop).await;
        let title = "terminate, since there is no more time: --wait gives it more";
        let mut text = show::call(title, &heard, &self.lines.take(), hidden);
        match &heard.answer {
            Ok(()) => text.push_str(&show::line("ok", "it is stopped")),
            Err(fault) => text.push_str(&show::fault(fault, hidden)),
        }
        Ok(print(&text)?)
    }
}

/// What each condition says by itself, and what both say together.
pub fn judged(measured: &Measured, ready: &Ready) -> String {
    if matches!(measured, Measured::Running { .. }) {
        return String::new();
    }
    let mut text = String::new();
    let (mut success, mut failure) = (None, None);
    for (name, condition) in ready.conditions() {
        let alone = judge(measured, Some(condition), None);
        let verdict = match alone.verdict {
            Verdict::Error => alone.message,
            Verdict::Successful => "holds".to_owned(),
            Verdict::Failed | Verdict::Inconclusive => "does not hold".to_owned(),
        };
        text.push_str(&show::line(name, &format!("{condition}   {verdict}")));
        match name {
            "successCondition" => success = Some(condition),
            _ => failure = Some(condition),
        }
    }
    let both = judge(measured, success, failure);
    let none = if success.or(failure).is_none() { ", as there is no condition" } else { "" };
    text.push_str(&show::line("judged", &format!("{}{none}", verdict(both.verdict))));
    text
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Successful => "Successful",
        Verdict::Failed => "Failed",
        Verdict::Inconclusive => "Inconclusive",
        Verdict::Error => "Error",
    }
}

/// An analysis run as the controller would have it, and the metric of it that is measured.
async fn analysis(
    args: &Args,
    subject: &Subject,
    reach: &mut Reach,
) -> anyhow::Result<(Value, String)> {
    let namespace = reach.namespace().await;
    let run = |metrics: Value, args: Value| {
        json!({
            "kind": "AnalysisRun",
            "metadata": {"name": "plugin-run", "namespace": namespace.clone()},
            "spec": {"metrics": metrics, "args": args},
        })
    };
    if args.template.is_none() && args.cluster_template.is_none() {
        let config = args.config.as_deref().map(read).transpose()?.unwrap_or_else(|| json!({}));
        let name = args.metric.clone().unwrap_or_else(|| subject.name.clone());
        let metric = json!({
            "name": name,
            "provider": {"plugin": {&subject.name: config}},
            "successCondition": args.success_condition,
            "failureCondition": args.failure_condition,
        });
        return Ok((run(json!([metric]), json!([])), name));
    }
    let template = template(args, reach).await?;
    let metric = chosen(&template, subject, args.metric.as_deref())?;
    let name = metric["name"].as_str().unwrap_or_default().to_owned();
    let needed: Vec<Value> = used(&template.args, metric).into_iter().cloned().collect();
    let given = args.args.iter().map(|arg| json!({"name": arg.name, "value": arg.value}));
    // A secret of the cluster can be given here as well.
    let secrets = args.secrets.iter().map(|arg| {
        let reference = json!({"secretKeyRef": {"name": GIVEN, "key": arg.name}});
        json!({"name": arg.name, "valueFrom": reference})
    });
    let given: Vec<_> = given.chain(secrets).collect();
    let filled = fill(&needed, &given).map_err(|error| match error {
        ArgumentError::Unresolved(name) => {
            anyhow!("the template has an argument without a value: give it by --arg {name}=VALUE")
        }
        other => other.into(),
    })?;
    Ok((run(json!([metric]), json!(filled)), name))
}

/// Stands for a Secret whose values were given at the command line. No Secret has such a name.
const GIVEN: &str = "--secret";

/// The metric that was named, or the one that this component measures.
fn chosen<'t>(
    template: &'t Template,
    subject: &Subject,
    named: Option<&str>,
) -> anyhow::Result<&'t Value> {
    let name = |metric: &Value| metric["name"].as_str().unwrap_or_default().to_owned();
    let all: Vec<_> = template.metrics.iter().map(name).collect();
    if let Some(named) = named {
        let found = template.metrics.iter().find(|metric| name(metric) == named);
        return found.with_context(|| {
            format!("the template has no metric {named:?}; there are: {}", all.join(", "))
        });
    }
    let measures = |metric: &&Value| {
        let found = provider(&Field::root(metric));
        found.is_ok_and(|(name, _)| {
            name == subject.name || name.rsplit('/').next() == Some(&subject.name)
        })
    };
    let ours: Vec<_> = template.metrics.iter().filter(measures).collect();
    match ours.as_slice() {
        [one] => Ok(one),
        [] => bail!(
            "no metric of the template is measured by {}; name one with --metric: {}",
            subject.name,
            all.join(", ")
        ),
        several => {
            let names: Vec<_> = several.iter().map(|metric| name(metric)).collect();
            bail!(
                "{} measures several metrics; name one with --metric: {}",
                subject.name,
                names.join(", ")
            )
        }
    }
}

async fn template(args: &Args, reach: &mut Reach) -> anyhow::Result<Template> {
    match (&args.template, &args.cluster_template) {
        (Some(file), _) if is_file(file) => of_file(file.as_ref()),
        (Some(name), _) => of_cluster(name, false, &reach.cluster().await?).await,
        (None, name) => {
            let name = name.as_deref().unwrap_or_default();
            of_cluster(name, true, &reach.cluster().await?).await
        }
    }
}

/// The call, with the values of the Secrets that it needs, which are hidden from now on.
async fn ready(
    run: &Value,
    metric: &str,
    given: &mut Given,
    reach: &mut Reach,
) -> anyhow::Result<Ready> {
    let mut values: Vec<(SecretRef, String)> = Vec::new();
    for wanted in required_secrets(run, metric) {
        let value = match wanted.name.as_str() {
            GIVEN => {
                let bytes = given.private.secrets.get(&wanted.key).cloned().unwrap_or_default();
                String::from_utf8(bytes).context("a secret of an argument has to be text")?
            }
            _ => {
                let value = secret(&wanted, &reach.cluster().await?).await?;
                given.hidden.hide(&format!("{}-{}", wanted.name, wanted.key), &value);
                value
            }
        };
        values.push((wanted, value));
    }
    let value = |wanted: &SecretRef| {
        let found = values.iter().find(|(secret, _)| secret == wanted);
        found.map(|(_, value)| value.clone()).ok_or_else(|| "not read".to_owned())
    };
    prepare(run, metric, 0, value).map_err(|outcome| match outcome {
        Outcome::Unresolvable(why) => anyhow!(why),
        Outcome::Judged { message, .. } | Outcome::Running { message, .. } => anyhow!(message),
    })
}

async fn secret(wanted: &SecretRef, cluster: &Cluster) -> anyhow::Result<String> {
    let SecretRef { name, key } = wanted;
    let api: Api<Secret> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let found = api.get(name).await;
    let found =
        found.map_err(|error| cluster.explain(&format!("read the Secret {name}"), error))?;
    let value = found.data.unwrap_or_default().remove(key);
    let value = value.with_context(|| format!("the Secret {name} has no key {key:?}"))?;
    String::from_utf8(value.0)
        .with_context(|| format!("key {key:?} of the Secret {name} is no text"))
}
