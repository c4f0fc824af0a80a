//! What a component makes of a recording.

use super::super::super::output::print;
use super::super::millis;
use super::{Args, Subject, listen, show};
use crate::components::default_cache;
use sluice_author::trial::{Trial, replay};

/// Try the cases of the file, and no others. Answers whether the component answers as recorded.
pub async fn run(args: &Args, subject: &Subject) -> anyhow::Result<bool> {
    let trial = Trial {
        component: subject.component.clone(),
        grants: Some(subject.grants.clone()),
        cases: args.replay.clone().into_iter().collect(),
        cache: default_cache(),
    };
    print(&show::subject(subject))?;
    let lines = listen();
    let verdicts = replay(&trial).await?;
    let mut text = String::new();
    for verdict in &verdicts {
        text.push_str(&format!("\n{}\n", verdict.name));
        for problem in &verdict.problems {
            text.push_str(&show::line("differs", problem));
        }
        if verdict.passed() {
            text.push_str(&show::line("ok", "it answers what was recorded"));
        }
        text.push_str(&show::line("took", &millis(verdict.took)));
    }
    for said in lines.take() {
        text.push_str(&show::line("log", &said));
    }
    print(&text)?;
    Ok(verdicts.iter().all(|verdict| verdict.passed()))
}
