//! Where versions, analyses and the experiment stand.

use super::words::{REQUIRED_COMPLETED, deleted, taken, too_late};
use super::{
    Analysis, Door, Draft, Fact, GRACE, Order, RunStatus, Template, TemplatePhase, TemplateStatus,
    Waiting,
};
use crate::observed::RunPhase;

/// Every version by its pods. Once all of them are available, time counts.
pub(super) fn templates(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    let ends = seen.terminate || time_is_up(draft);
    let mut all = Vec::new();
    for template in &seen.templates {
        let before = seen.status.template(&template.name);
        if let Some(over) = before.filter(|before| before.phase.is_over()) {
            all.push(over.clone());
            continue;
        }
        let since = before.map_or(seen.now, |before| before.since);
        let late = before.is_some_and(|before| before.phase == TemplatePhase::Progressing)
            && seen.now >= since.after(seen.progress_deadline);
        let (phase, message) = stands(draft, template, ends, late);
        let advanced = before
            .is_none_or(|before| before.phase != phase || template.available() > before.available);
        let since = if advanced { seen.now } else { since };
        let (name, available) = (template.name.clone(), template.available());
        all.push(TemplateStatus { name, phase, message, since, available });
    }
    draft.status.templates = all;
    changed_templates(draft);
    let running = |one: &TemplateStatus| one.phase == TemplatePhase::Running;
    if draft.status.templates.iter().all(running) {
        draft.status.available_at.get_or_insert(seen.now);
    }
}

fn stands(
    draft: &Draft<'_>,
    template: &Template,
    ends: bool,
    late: bool,
) -> (TemplatePhase, String) {
    let seen = draft.seen;
    if let Some(why) = template.refused.clone().filter(|_| !seen.terminate) {
        return (TemplatePhase::Error, why);
    }
    if template.is_available() {
        let phase = if ends { TemplatePhase::Successful } else { TemplatePhase::Running };
        return (phase, String::new());
    }
    if seen.terminate {
        return (TemplatePhase::Successful, String::new());
    }
    if late {
        return (TemplatePhase::Failed, too_late(&template.name, seen.progress_deadline));
    }
    let blocked = template.service.as_deref().filter(|_| template.door == Door::Theirs);
    let message = template.trouble.clone().or_else(|| blocked.map(taken)).unwrap_or_default();
    (TemplatePhase::Progressing, message)
}

fn changed_templates(draft: &mut Draft<'_>) {
    for now in &draft.status.templates {
        let from = draft.seen.status.template(&now.name).map(|before| before.phase);
        if from != Some(now.phase) {
            let (template, message) = (now.name.clone(), now.message.clone());
            draft.facts.push(Fact::TemplateChanged { template, from, to: now.phase, message });
        }
    }
}

/// Whether it has lasted as long as it is to, and as its required analyses need: those would
/// measure pods that are gone.
fn time_is_up(draft: &Draft<'_>) -> bool {
    let seen = draft.seen;
    let Some((since, duration)) = seen.status.available_at.zip(seen.duration) else { return false };
    let required = seen.analyses.iter().filter(|analysis| analysis.required);
    let measured = |analysis: &Analysis| match &analysis.run {
        Some(run) => run.phase.is_over(),
        None => seen.status.run(&analysis.name).is_some_and(|run| run.phase.is_over()),
    };
    seen.now >= since.after(duration) && required.into_iter().all(measured)
}

/// Follow the runs, and begin those that are due.
pub(super) fn analyses(draft: &mut Draft<'_>) {
    mirror_runs(draft);
    let seen = draft.seen;
    let available = draft.status.available_at.is_some();
    for (index, analysis) in seen.analyses.iter().enumerate() {
        let before = draft.status.run(&analysis.name).cloned();
        let begun = before.as_ref().is_some_and(|before| before.phase != RunPhase::Pending);
        if begun || analysis.run.is_some() || seen.terminate {
            continue;
        }
        if let Some(why) = &analysis.fault {
            let settled = seen.created.after(GRACE);
            if seen.now < settled {
                draft.wake(settled, "what the analysis needs is looked for again");
                let (name, why) = (analysis.name.clone(), why.clone());
                draft.wait(Waiting::Analysis { name, why });
            } else {
                note_run(draft, analysis, RunPhase::Error, why.clone());
            }
        } else if available {
            note_run(draft, analysis, RunPhase::Pending, String::new());
            draft.plan.add(Order::StartRun { analysis: index });
        }
    }
}

/// Forget the runs that were to be made and were not.
pub(super) fn forget_unmade(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    draft.status.runs.retain(|noted| {
        let made = |one: &Analysis| one.name == noted.name && one.run.is_some();
        noted.phase != RunPhase::Pending || seen.analyses.iter().any(made)
    });
}

/// Take over what the runs say of themselves, until they are over.
pub(super) fn mirror_runs(draft: &mut Draft<'_>) {
    for analysis in &draft.seen.analyses {
        let before = draft.status.run(&analysis.name).cloned();
        if before.as_ref().is_some_and(|before| before.phase.is_over()) {
            continue;
        }
        match (&analysis.run, before) {
            (Some(run), _) => note_run(draft, analysis, run.phase, run.message.clone()),
            (None, Some(before)) if before.phase == RunPhase::Running => {
                note_run(draft, analysis, RunPhase::Error, deleted(&before.run));
            }
            (None, Some(_) | None) => {}
        }
    }
}

fn note_run(draft: &mut Draft<'_>, analysis: &Analysis, phase: RunPhase, message: String) {
    let (name, run) = (analysis.name.clone(), analysis.run_name.clone());
    let from = draft.status.run(&name).map(|before| before.phase);
    if from != Some(phase) {
        let message = message.clone();
        draft.facts.push(Fact::RunChanged { run: run.clone(), from, to: phase, message });
    }
    let noted = RunStatus { name, run, phase, message };
    match draft.status.runs.iter_mut().find(|one| one.name == noted.name) {
        Some(there) => *there = noted,
        None => draft.status.runs.push(noted),
    }
}

/// Where the experiment stands, by its versions first and then by its analyses.
pub(super) fn phase(draft: &mut Draft<'_>) {
    let ended = ended(draft);
    if let Some((phase, message)) = ended {
        draft.become_phase(phase, message);
        // Nothing that is still open decides anything any more.
        for one in draft.status.templates.iter_mut().filter(|one| !one.phase.is_over()) {
            let (from, to) = (Some(one.phase), TemplatePhase::Successful);
            let (template, message) = (one.name.clone(), String::new());
            draft.facts.retain(|fact| !is_about(fact, &template));
            let from = draft.seen.status.template(&template).map_or(from, |old| Some(old.phase));
            draft.facts.push(Fact::TemplateChanged { template, from, to, message });
            (one.phase, one.message, one.since) = (to, String::new(), draft.seen.now);
        }
        return;
    }
    let progressing = |one: &&TemplateStatus| one.phase == TemplatePhase::Progressing;
    let behind = draft.status.templates.iter().find(progressing).cloned();
    match behind {
        Some(behind) => {
            draft.become_phase(RunPhase::Pending, behind.message.clone());
            draft.wait(Waiting::Template { name: behind.name, why: behind.message });
        }
        None => {
            draft.become_phase(RunPhase::Running, String::new());
            // One that was told to end waits for its runs, which are told as well.
            if !draft.seen.terminate {
                let waiting = goes_on_for(draft);
                draft.wait(waiting);
            }
        }
    }
}

fn is_about(fact: &Fact, name: &str) -> bool {
    match fact {
        Fact::TemplateChanged { template, .. } => template == name,
        Fact::RunChanged { .. } | Fact::Changed { .. } => false,
    }
}

/// How the experiment ends, if it does.
fn ended(draft: &Draft<'_>) -> Option<(RunPhase, String)> {
    let status = &draft.status;
    let with = |phase: TemplatePhase| status.templates.iter().find(|one| one.phase == phase);
    if let Some(one) = with(TemplatePhase::Error) {
        return Some((RunPhase::Error, one.message.clone()));
    }
    if let Some(one) = with(TemplatePhase::Failed) {
        return Some((RunPhase::Failed, one.message.clone()));
    }
    for bad in [RunPhase::Failed, RunPhase::Error, RunPhase::Inconclusive] {
        if let Some(run) = status.runs.iter().find(|run| run.phase == bad) {
            return Some((bad, run.message.clone()));
        }
    }
    let required: Vec<_> =
        draft.seen.analyses.iter().filter(|analysis| analysis.required).collect();
    if status.templates.iter().all(|one| one.phase == TemplatePhase::Successful) {
        // A run that was told to end has the last word, if it was to be waited for.
        let open =
            |analysis: &&Analysis| analysis.run.as_ref().is_some_and(|run| !run.phase.is_over());
        return (!required.iter().any(open)).then(|| (RunPhase::Successful, String::new()));
    }
    let done = |analysis: &&Analysis| {
        status.run(&analysis.name).is_some_and(|run| run.phase == RunPhase::Successful)
    };
    let all = !required.is_empty() && required.iter().all(done);
    all.then(|| (RunPhase::Successful, REQUIRED_COMPLETED.to_owned()))
}

/// What an experiment with all of its pods waits for.
fn goes_on_for(draft: &Draft<'_>) -> Waiting {
    let seen = draft.seen;
    let until = draft.status.available_at.zip(seen.duration);
    let until = until.map(|(since, duration)| since.after(duration));
    let required = seen.analyses.iter().find(|analysis| {
        let over = draft.status.run(&analysis.name).is_some_and(|run| run.phase.is_over());
        analysis.required && !over
    });
    match (until, required) {
        (Some(until), _) if seen.now < until => Waiting::Duration(until),
        (_, Some(analysis)) => Waiting::Run(analysis.run_name.clone()),
        (Some(until), None) => Waiting::Duration(until),
        (None, None) => Waiting::Somebody,
    }
}
