//! One experiment: its pods, Services and analysis runs go in; what to make, what to end, what to
//! record and what is true of it by now come out.
//!
//! Like the rollout's, this decision is total and pure. Nothing is remembered but the status, and
//! everything that is made has a name that follows from it, so that a crash between any two
//! writes costs nothing: what was made already is found, and what was not is ordered again.
//!
//! Pods live as long as the experiment is not over. Then they stay for a delay, and go once no
//! routing may lead to them; their Services go after them.

use std::time::Duration;

use crate::observed::RunPhase;
use crate::quantity::Pods;
use crate::time::{Timestamp, Wake};

mod assess;
mod evidence;
mod plan;
#[cfg(test)]
mod tests;
mod words;

pub use evidence::{Closed, Spare};
pub use plan::Order;
pub use words::Waiting;

/// How long after its creation an experiment may miss what its analyses need. Whoever makes both
/// at once makes one after the other, and watches tell of them in any order.
pub const GRACE: Duration = Duration::from_secs(5);

/// How soon a routing that leads to the pods of an experiment that is over is looked at again: no
/// watch tells what a router was asked for and has not done.
pub const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// How a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplatePhase {
    /// Its pods are on their way.
    Progressing,
    /// All of its pods are available, and can be reached if they are to be.
    Running,
    /// Over: the experiment needs it no more.
    Successful,
    /// Over: its pods did not come in time.
    Failed,
    /// Over: its pods or its Service cannot be made.
    Error,
}

impl TemplatePhase {
    /// Whether nothing will change any more.
    pub fn is_over(self) -> bool {
        match self {
            Self::Progressing | Self::Running => false,
            Self::Successful | Self::Failed | Self::Error => true,
        }
    }
}

/// The ReplicaSet of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// How many pods it is to have.
    pub wanted: Pods,
    /// How many it has.
    pub current: Pods,
    /// How many of them are available.
    pub available: Pods,
    /// When it is to lose them.
    pub deadline: Option<Timestamp>,
}

/// The Service of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// There is none of its name.
    Absent,
    /// It is there, and the experiment's.
    Ours,
    /// Somebody else has the name.
    Theirs,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Unique in the experiment.
    pub name: String,
    /// How many pods it is to have.
    pub replicas: Pods,
    /// Its ReplicaSet.
    pub set: Option<Set>,
    /// The name of the Service through which its pods are to be reached, if they are.
    pub service: Option<String>,
    /// What has that name.
    pub door: Door,
    /// Whether a routing of the owner may lead to that Service.
    pub routed: bool,
    /// Why the API server will not have its ReplicaSet or its Service.
    pub refused: Option<String>,
    /// What stands in the way of its pods for now.
    pub trouble: Option<String>,
}

impl Template {
    /// Whether all is there that its specification asks for.
    fn is_available(&self) -> bool {
        let reachable = self.service.is_none() || self.door == Door::Ours;
        let enough = |set: &Set| set.available >= self.replicas && set.wanted >= self.replicas;
        reachable && self.set.as_ref().is_some_and(enough)
    }

    fn available(&self) -> Pods {
        self.set.as_ref().map_or(Pods::ZERO, |set| set.available)
    }
}

/// An analysis run of the experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Where it stands.
    pub phase: RunPhase,
    /// Why.
    pub message: String,
    /// Whether it was told to end.
    pub terminating: bool,
}

/// What is measured meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Analysis {
    /// Unique in the experiment.
    pub name: String,
    /// Whether the experiment waits for its end, and ends with it.
    pub required: bool,
    /// The name that its run has, or is to have.
    pub run_name: String,
    /// The run of that name, if it exists.
    pub run: Option<Run>,
    /// Why no run can be made of it as things stand.
    pub fault: Option<String>,
}

/// What is recorded of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateStatus {
    /// The version.
    pub name: String,
    /// How it stands. Once over, it stays.
    pub phase: TemplatePhase,
    /// Why.
    pub message: String,
    /// When it last made progress.
    pub since: Timestamp,
    /// How many of its pods were available then.
    pub available: Pods,
}

/// What is recorded of an analysis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunStatus {
    /// The analysis.
    pub name: String,
    /// Its run.
    pub run: String,
    /// Where that stands. Once over, it stays.
    pub phase: RunPhase,
    /// Why.
    pub message: String,
}

/// Everything that is recorded of an experiment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Where it stands; `None` before the first decision.
    pub phase: Option<RunPhase>,
    /// Why.
    pub message: String,
    /// When all pods were available for the first time.
    pub available_at: Option<Timestamp>,
    /// Of each version.
    pub templates: Vec<TemplateStatus>,
    /// Of each analysis that was begun, or could not be.
    pub runs: Vec<RunStatus>,
}

impl Status {
    /// Whether it has come to its end.
    pub fn is_over(&self) -> bool {
        self.phase.is_some_and(RunPhase::is_over)
    }

    /// What is recorded of the version with this name.
    pub fn template(&self, name: &str) -> Option<&TemplateStatus> {
        self.templates.iter().find(|template| template.name == name)
    }

    /// What is recorded of the analysis with this name.
    pub fn run(&self, name: &str) -> Option<&RunStatus> {
        self.runs.iter().find(|run| run.name == name)
    }
}

/// Everything one decision may look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The one clock reading.
    pub now: Timestamp,
    /// When the experiment was created.
    pub created: Timestamp,
    /// Why its specification cannot be followed.
    pub invalid: Option<String>,
    /// Whether somebody asked it to end.
    pub terminate: bool,
    /// How long it goes on once all pods are available; `None` is until somebody or a required
    /// analysis ends it.
    pub duration: Option<Duration>,
    /// After how long without progress a version fails.
    pub progress_deadline: Duration,
    /// How long its pods outlive it.
    pub scale_down_delay: Duration,
    /// From when on no request follows an older routing of the owner.
    pub drained: Timestamp,
    /// The versions, in the order of the specification.
    pub templates: Vec<Template>,
    /// The analyses, in the order of the specification.
    pub analyses: Vec<Analysis>,
    /// What was recorded by the last decision.
    pub status: Status,
}

/// What just became true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A version stands otherwise.
    TemplateChanged {
        /// Its name.
        template: String,
        /// How it stood; `None` if it is new.
        from: Option<TemplatePhase>,
        /// How it stands.
        to: TemplatePhase,
        /// Why.
        message: String,
    },
    /// A run stands otherwise.
    RunChanged {
        /// Its name, or that of its analysis if it was never made.
        run: String,
        /// Where it stood; `None` if it is new.
        from: Option<RunPhase>,
        /// Where it stands.
        to: RunPhase,
        /// Why.
        message: String,
    },
    /// The experiment stands otherwise.
    Changed {
        /// Where it stood; `None` if it is new.
        from: Option<RunPhase>,
        /// Where it stands.
        to: RunPhase,
        /// Why.
        message: String,
    },
}

/// What follows from one observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What to do, once `status` is recorded.
    pub orders: Vec<Order>,
    /// What to record.
    pub status: Status,
    /// What it waits for; `None` only when it is over and nothing of it is left.
    pub waiting: Option<Waiting>,
    /// When to look again though nothing may have changed.
    pub wake: Option<Wake>,
    /// What just became true.
    pub facts: Vec<Fact>,
}

struct Draft<'o> {
    seen: &'o Observed,
    status: Status,
    plan: plan::Plan<'o>,
    waiting: Option<Waiting>,
    wake: Option<Wake>,
    facts: Vec<Fact>,
}

impl Draft<'_> {
    /// The first reason is told: those that follow as a rule follow from it.
    fn wait(&mut self, waiting: Waiting) {
        self.waiting.get_or_insert(waiting);
    }

    fn wake(&mut self, at: Timestamp, because: &'static str) {
        if at > self.seen.now {
            self.wake = Wake::sooner(self.wake, Some(Wake { at, because }));
        }
    }

    fn become_phase(&mut self, to: RunPhase, message: String) {
        let from = self.status.phase;
        if from != Some(to) {
            self.facts.push(Fact::Changed { from, to, message: message.clone() });
        }
        self.status.phase = Some(to);
        self.status.message = message;
    }
}

/// Decide.
pub fn decide(seen: &Observed) -> Decision {
    let mut draft = Draft {
        seen,
        status: seen.status.clone(),
        plan: plan::Plan::default(),
        waiting: None,
        wake: None,
        facts: Vec::new(),
    };
    let was_over = seen.status.is_over();
    match &seen.invalid {
        Some(why) if !was_over => {
            let phase = seen.status.phase.unwrap_or(RunPhase::Pending);
            draft.become_phase(phase, why.clone());
            draft.wait(Waiting::Specification(why.clone()));
        }
        Some(_) | None if was_over => {
            assess::mirror_runs(&mut draft);
            assess::forget_unmade(&mut draft);
            retire(&mut draft);
        }
        Some(_) | None => {
            assess::templates(&mut draft);
            assess::analyses(&mut draft);
            assess::phase(&mut draft);
            if draft.status.is_over() {
                // What ends it is recorded before anything goes.
                draft.wait(Waiting::Itself);
            } else {
                provide(&mut draft);
                wakes(&mut draft);
            }
        }
    }
    Decision {
        orders: draft.plan.seal(),
        status: draft.status,
        waiting: draft.waiting,
        wake: draft.wake,
        facts: draft.facts,
    }
}

/// Make what is missing of an experiment that goes on.
fn provide(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    for (index, template) in seen.templates.iter().enumerate() {
        if seen.terminate {
            break;
        }
        match &template.set {
            None => draft.plan.add(Order::CreateSet { template: index, to: template.replicas }),
            Some(set) if set.wanted < template.replicas => {
                let (from, to) = (set.wanted, template.replicas);
                draft.plan.add(Order::Scale { template: index, from, to });
            }
            Some(set) => {
                // One that is tried again keeps its pods, and begins its delay anew in the end.
                if set.deadline.is_some() {
                    draft.plan.add(Order::Deadline { template: index, at: None });
                }
                if let Some(spare) = seen.surplus(index) {
                    draft.plan.shrink(spare);
                }
            }
        }
        if template.service.is_some() && template.door == Door::Absent {
            draft.plan.add(Order::CreateService { template: index });
        }
    }
    if seen.terminate {
        stop_runs(draft);
    }
}

/// Let go of what is left of an experiment that is over.
fn retire(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    stop_runs(draft);
    for (index, template) in seen.templates.iter().enumerate() {
        if let Some(set) = template.set.as_ref().filter(|set| set.wanted > Pods::ZERO) {
            let delayed = !seen.scale_down_delay.is_zero();
            if set.deadline.is_none() && delayed {
                let at = Some(seen.now.after(seen.scale_down_delay));
                draft.plan.add(Order::Deadline { template: index, at });
            }
            match seen.retired(index) {
                Ok(spare) => draft.plan.shrink(spare),
                Err(waiting) => {
                    wake_for(draft, &waiting);
                    draft.wait(waiting);
                }
            }
        }
        match seen.closed(index) {
            Ok(Some(closed)) => draft.plan.close(closed),
            Ok(None) => {}
            Err(waiting) => {
                wake_for(draft, &waiting);
                draft.wait(waiting);
            }
        }
    }
}

fn wake_for(draft: &mut Draft<'_>, waiting: &Waiting) {
    match waiting {
        Waiting::ScaleDown { until, .. } => {
            draft.wake(*until, "the pods of a finished experiment go");
        }
        Waiting::Traffic { .. } => {
            let at = draft.seen.now.after(LOOK_AGAIN);
            draft.wake(at, "the rollout's routing is looked at again");
        }
        Waiting::Itself
        | Waiting::Specification(_)
        | Waiting::Template { .. }
        | Waiting::Analysis { .. }
        | Waiting::Run(_)
        | Waiting::Duration(_)
        | Waiting::Somebody
        | Waiting::Pods { .. } => {}
    }
}

/// Tell the runs that go on to end.
fn stop_runs(draft: &mut Draft<'_>) {
    for (index, analysis) in draft.seen.analyses.iter().enumerate() {
        let open = analysis.run.as_ref().filter(|run| !run.phase.is_over());
        if let Some(run) = open {
            if !run.terminating {
                draft.plan.add(Order::StopRun { analysis: index });
            }
            draft.wait(Waiting::Run(analysis.run_name.clone()));
        }
    }
}

/// When an experiment that goes on is looked at again.
fn wakes(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    for template in draft.status.templates.clone() {
        if template.phase == TemplatePhase::Progressing {
            let at = template.since.after(seen.progress_deadline);
            draft.wake(at, "the progress deadline passes");
        }
    }
    if let (Some(since), Some(duration)) = (draft.status.available_at, seen.duration) {
        draft.wake(since.after(duration), "the experiment has lasted as long as it is to");
    }
}
