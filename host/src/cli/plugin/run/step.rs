//! A step, done.

use std::time::{Duration, Instant};

use anyhow::bail;
use serde_json::Value;
use sluice_author::live::now;
use sluice_port::{Components as _, StepCall, StepOutcome};
use sluice_wire::field::Field;

use super::super::super::output::print;
use super::super::millis;
use super::given::Given;
use super::{Args, Reach, Subject, Tape, listen, network, read, show, wait};

/// Do the step to its end, as often as is wanted. Answers whether it answered every time.
pub async fn run(args: &Args, subject: &Subject, mut reach: Reach) -> anyhow::Result<bool> {
    let given = Given::read(args, subject)?;
    let (name, call) = call(args, subject, &mut reach).await?;
    let live = subject.start(&name, &given, network(&args.egress_allow)?).await?;
    let config = serde_json::from_str(&call.config).unwrap_or_default();
    print(&format!("{}{}", show::subject(subject), show::block("config", &config, &given.hidden)))?;
    super::say("steps act: what it is told to do, it does now, on the real servers");
    let mut tape = Tape::new(args, &given);
    let lines = listen();
    for time in 0..args.times {
        if time > 0 && !wait(args.every).await {
            break;
        }
        let began = Instant::now();
        let mut call = call.clone();
        loop {
            let heard = live.call(now(), async |host| host.run_step(&name, &call).await).await;
            let title = format!("run at {}", heard.at);
            let mut text = show::call(&title, &heard, &lines.take(), &given.hidden);
            text.push_str(&match &heard.answer {
                Ok(answer) => show::step(answer, &given.hidden),
                Err(fault) => show::fault(fault, &given.hidden),
            });
            text.push_str(&show::line("took", &millis(heard.took)));
            print(&text)?;
            tape.add(|recording| recording.step(&call, &heard));
            let Ok(answer) = heard.answer else {
                tape.write(args, subject).await?;
                return Ok(false);
            };
            let StepOutcome::Again(after) = answer.outcome else { break };
            call.state = answer.state;
            let pause = Duration::from_millis(u64::from(after));
            if began.elapsed() + pause > args.wait || !wait(pause).await {
                super::say("left as it is, since there is no more time: --wait gives it more");
                break;
            }
        }
    }
    tape.write(args, subject).await?;
    Ok(true)
}

/// The name of the component and its call: with a file of its configuration, or as a Rollout has
/// it.
async fn call(
    args: &Args,
    subject: &Subject,
    reach: &mut Reach,
) -> anyhow::Result<(String, StepCall)> {
    let Some(rollout) = &args.rollout else {
        let config = args.config.as_deref().map(read).transpose()?.unwrap_or(Value::Null);
        let call = StepCall {
            namespace: reach.namespace().await,
            rollout: "plugin-run".to_owned(),
            rollout_uid: "00000000-0000-4000-8000-000000000000".to_owned(),
            revision: "1".to_owned(),
            index: 0,
            config: config.to_string(),
            state: None,
        };
        return Ok((subject.name.clone(), call));
    };
    let object = reach.cluster().await?.rollout(rollout).await?;
    let (name, index, config) = find(&object, &subject.name, args.step)?;
    let text = |path: &str| Field::root(&object).at(path).str().unwrap_or_default().to_owned();
    let revision = object["metadata"]["annotations"]["rollout.argoproj.io/revision"].as_str();
    let call = StepCall {
        namespace: text("metadata.namespace"),
        rollout: text("metadata.name"),
        rollout_uid: text("metadata.uid"),
        revision: revision.unwrap_or("1").to_owned(),
        index,
        config: config.to_string(),
        state: None,
    };
    Ok((name, call))
}

/// The step of a Rollout that the component does: its component's name, its index, and what it is
/// told.
pub fn find(
    rollout: &Value,
    component: &str,
    wanted: Option<u32>,
) -> anyhow::Result<(String, u32, Value)> {
    let steps = Field::root(rollout).at("spec.strategy.canary.steps").items();
    let plugins: Vec<_> = (0..)
        .zip(&steps)
        .filter_map(|(index, step)| {
            let plugin = step.get("plugin");
            let config = plugin.get("config").value().cloned().unwrap_or(Value::Null);
            Some((plugin.get("name").str()?.to_owned(), index, config))
        })
        .collect();
    let fits = |(name, index, _): &&(String, u32, Value)| match wanted {
        Some(wanted) => *index == wanted,
        None => name == component || name.rsplit('/').next() == Some(component),
    };
    if let Some(found) = plugins.iter().find(fits) {
        return Ok(found.clone());
    }
    let there: Vec<_> =
        plugins.iter().map(|(name, index, _)| format!("{index} ({name})")).collect();
    let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
    match wanted {
        Some(index) => bail!("step {index} is no plugin step; there are: {there}"),
        None => bail!("no step of the Rollout names {component}; --step takes one of: {there}"),
    }
}
