//! One release in virtual time: a manifest, a scenario, and real components.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use sluice_core::analysis::Outcome;
use sluice_core::called::{Answer, Operation, Reply};
use sluice_core::{Timestamp, Waiting};
use sluice_engine::Kind as KeyKind;
use sluice_port::Components;
use sluice_wire::clock::parse_duration;
use sluice_wire::rollout::Severity;
use sluice_wire::rollout::called::Request;

use crate::START;
use crate::check::Checker;
use crate::cluster::{Behaviours, Cluster};
use crate::plane::Plane;
use crate::scenario::{Act, Command, MetricsServer, Scenario};
use crate::scripted::Scripted;
use crate::shell::{Note, lock, user_patch};
use crate::timeline::{Kind, Row, Timeline};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long the first deployment may take.
const FIRST: Duration = Duration::from_secs(3600);

/// How a simulated release ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcomes {
    /// The scenario's name.
    pub scenario: String,
    /// What happened.
    pub timeline: Timeline,
    /// The last phase.
    pub phase: String,
    /// The last message.
    pub message: String,
    /// The image of the stable version.
    pub stable_image: String,
    /// Milliseconds from the first act to the end.
    pub took_ms: u64,
    /// Invariants of traffic that were broken.
    pub violations: Vec<String>,
    /// Expectations that were not met; empty is good.
    pub unmet: Vec<String>,
}

impl Outcomes {
    /// Whether everything was as expected and no invariant was broken.
    pub fn is_fine(&self) -> bool {
        self.violations.is_empty() && self.unmet.is_empty()
    }
}

/// Why a release cannot be simulated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CannotSimulate {
    /// The manifests hold no Rollout, or several.
    Rollouts(usize),
    /// The Rollout is refused; the complaints.
    Refused(String),
    /// The first deployment does not become healthy; what it waits for.
    FirstDeployment(String),
    /// An object of the manifests has no name or no kind.
    Unnamed(String),
}

impl std::fmt::Display for CannotSimulate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rollouts(0) => write!(f, "no Rollout in these files"),
            Self::Rollouts(count) => {
                write!(f, "{count} Rollouts in these files; simulate one at a time")
            }
            Self::Refused(why) => write!(f, "{why}"),
            Self::FirstDeployment(why) => {
                write!(f, "the first deployment does not become healthy: {why}")
            }
            Self::Unnamed(object) => {
                write!(f, "an object without kind or metadata.name: {object:.80}")
            }
        }
    }
}

impl std::error::Error for CannotSimulate {}

struct Release<'s> {
    scenario: &'s Scenario,
    cluster: Cluster,
    server: Arc<MetricsServer>,
    checker: Checker,
    timeline: Timeline,
    violations: Vec<String>,
    namespace: String,
    name: String,
    begin: Option<Timestamp>,
    /// What it was last said to wait for.
    said: Option<String>,
}

/// Simulate: `objects` are the manifests, `components` measure and route, and what they send goes
/// to `server`.
pub async fn simulate(
    objects: Vec<Value>,
    scenario: &Scenario,
    components: Arc<dyn Components>,
    server: Arc<MetricsServer>,
) -> Result<Outcomes, CannotSimulate> {
    let mut release = Release::new(objects, scenario, components, server)?;
    release.first_deployment().await?;
    release.begin = Some(release.cluster.now);
    for act in &scenario.acts {
        let after = act.after.as_deref().and_then(parse_duration).unwrap_or_default();
        let until = release.cluster.now.after(after);
        release.run_until(until, false).await;
        release.act(act).await;
    }
    let within = scenario.expect.within.as_deref().and_then(parse_duration).unwrap_or(DAY);
    let until = release.cluster.now.after(within);
    release.run_until(until, true).await;
    Ok(release.finish())
}

impl<'s> Release<'s> {
    fn new(
        objects: Vec<Value>,
        scenario: &'s Scenario,
        components: Arc<dyn Components>,
        server: Arc<MetricsServer>,
    ) -> Result<Self, CannotSimulate> {
        let is_rollout = |object: &&Value| object.get("kind") == Some(&json!("Rollout"));
        let count = objects.iter().filter(is_rollout).count();
        let Some(rollout) = objects.iter().find(is_rollout).filter(|_| count == 1) else {
            return Err(CannotSimulate::Rollouts(count));
        };
        let text = |object: &Value, pointer: &str| {
            object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let name = text(rollout, "/metadata/name");
        let namespace = text(rollout, "/metadata/namespace");
        let namespace = if namespace.is_empty() { "default".to_owned() } else { namespace };
        let behaviours: Behaviours = {
            let scenario = scenario.clone();
            Arc::new(move |set: &Value| scenario.behaviour(&image_of(set)))
        };
        server.set(START, None, 0.0);
        let plane = Arc::new(Plane::default());
        for step in &scenario.steps {
            plane.set_stepper(&step.plugin, step.stepper());
        }
        let names = scenario.steps.iter().map(|step| step.plugin.clone()).collect();
        let components: Arc<dyn Components> =
            Arc::new(Scripted { components, plane: plane.clone(), names });
        let mut cluster = Cluster::with_components(START, plane, components, behaviours, 1);
        cluster.read_routes_from_objects();
        if let Some(experiments) = &scenario.experiments {
            cluster.play_experiments(experiments.player());
        }
        for mut object in objects {
            if text(&object, "/kind").is_empty() || text(&object, "/metadata/name").is_empty() {
                return Err(CannotSimulate::Unnamed(object.to_string()));
            }
            let cluster_wide = text(&object, "/kind").starts_with("Cluster");
            if !cluster_wide && text(&object, "/metadata/namespace").is_empty() {
                object["metadata"]["namespace"] = namespace.clone().into();
            }
            if let Some(fields) = object.as_object_mut() {
                fields.remove("status");
            }
            // Two objects of one name in the files are one object; the first counts.
            let _ = lock(&cluster.world).create(object);
        }
        let checker = Checker::new(&namespace, &name, Duration::from_millis(200));
        Ok(Self {
            scenario,
            cluster,
            server,
            checker,
            timeline: Timeline::default(),
            violations: Vec::new(),
            namespace,
            name,
            begin: None,
            said: None,
        })
    }

    async fn first_deployment(&mut self) -> Result<(), CannotSimulate> {
        let end = START.after(FIRST);
        // The controller hears of what was created before it started.
        self.instant(START.after(Duration::from_millis(1))).await;
        while self.phase() != "Healthy" {
            let turn = self.cluster.shell.peek(&self.namespace, &self.name);
            if let Some(turn) = turn.as_ref().filter(|turn| !turn.refusals.is_empty()) {
                let complaints: Vec<_> = turn.refusals.iter().map(ToString::to_string).collect();
                return Err(CannotSimulate::Refused(complaints.join("\n")));
            }
            let Some(next) = self.cluster.next_at().filter(|next| *next <= end) else {
                let waiting = turn.and_then(|turn| turn.waiting);
                let why = waiting.map_or_else(String::new, |waiting| waiting.to_string());
                return Err(CannotSimulate::FirstDeployment(why));
            };
            self.instant(next).await;
        }
        // What follows at once from being healthy belongs to the first deployment as well.
        let calm = self.cluster.now.after(Duration::from_secs(10));
        while let Some(next) = self.cluster.next_at().filter(|next| *next <= calm) {
            self.instant(next).await;
        }
        self.timeline = Timeline::default();
        Ok(())
    }

    /// Let time pass until `until`, or, if `rest`, until nothing will happen any more.
    async fn run_until(&mut self, until: Timestamp, rest: bool) {
        while let Some(next) = self.cluster.next_at().filter(|next| *next <= until) {
            self.instant(next).await;
            self.say_why_it_waits();
        }
        if !rest {
            self.instant(until).await;
            self.say_why_it_waits();
        }
    }

    async fn instant(&mut self, now: Timestamp) {
        let error_rate = self.scenario.error_rate(&self.wanted_image());
        self.server.set(now.max(self.cluster.now), self.begin, error_rate);
        let notes = self.cluster.advance(now).await;
        let bad = self.checker.look(&self.cluster, &notes);
        for note in &notes {
            self.tell(note);
        }
        for violation in bad {
            self.row(Kind::Violation, violation.what.clone());
            self.violations.push(violation.what);
        }
    }

    fn tell(&mut self, note: &Note) {
        match note {
            Note::Announced(key, event) if key.kind == KeyKind::Rollout => {
                // The name says what it was about; several events of one moment say the same.
                let quiet = ["RolloutUpdated", "NewReplicaSetCreated", "RolloutNotCompleted"];
                let repeats = event.reason.starts_with("AnalysisRun");
                if !quiet.contains(&event.reason) && !repeats {
                    let warning =
                        if event.severity == Severity::Warning { "warning: " } else { "" };
                    self.row(Kind::Act, format!("{warning}{}", event.message));
                }
            }
            // A run speaks for itself, and what begins is told when it has begun.
            Note::Announced(key, event)
                if key.kind == KeyKind::Experiment
                    && (event.reason.starts_with("AnalysisRun")
                        || ["TemplateProgressing", "ExperimentPending"]
                            .contains(&event.reason)) => {}
            Note::Announced(_, event) => self.row(Kind::Measurement, event.message.clone()),
            Note::Measured(_, finished) => {
                let words = outcome_words(&finished.outcome);
                let text = format!("metric {}: {words}", finished.metric);
                self.row(Kind::Measurement, text);
            }
            Note::Crashed => {
                self.row(Kind::User, "the controller dies and starts again".to_owned())
            }
            Note::Spins(key) => {
                self.violations.push(format!("{key} is due again and again"));
            }
            Note::Called(_, request, reply) => self.called(request, reply),
            Note::Wrote(_)
            | Note::Asked(..)
            | Note::Waits(..)
            | Note::Evicted(_)
            | Note::Released(..) => {}
        }
    }

    /// What a component made of a step; that it goes on is in what the release waits for.
    fn called(&mut self, request: &Request, reply: &Reply) {
        let words = match &reply.answer {
            Answer::Done => "done".to_owned(),
            Answer::Failed(why) => format!("failed: {why}"),
            Answer::Again(_) if request.execution == 1 => "begun".to_owned(),
            Answer::Again(_) => return,
            Answer::Fault(why) => format!("error: {why}"),
        };
        let what = match request.operation {
            Operation::Run => "",
            Operation::Terminate => "stop ",
            Operation::Abort => "undo ",
        };
        let (name, index) = (&request.component, request.call.index);
        self.row(Kind::Measurement, format!("{what}step {name} (steps[{index}]): {words}"));
    }

    fn say_why_it_waits(&mut self) {
        let Some(turn) = self.cluster.shell.peek(&self.namespace, &self.name) else { return };
        match turn.waiting {
            None => self.said = None,
            Some(Waiting::Itself) => {}
            Some(waiting) => {
                let text = waiting.to_string();
                if self.said.as_ref() == Some(&text) {
                    return;
                }
                let until = waiting.until().map(|at| {
                    let left = at.since(self.cluster.now).as_millis().div_ceil(1000);
                    format!(", for {}", words(u64::try_from(left).unwrap_or(u64::MAX)))
                });
                self.row(Kind::Wait, format!("waits for {text}{}", until.unwrap_or_default()));
                self.said = Some(text);
            }
        }
    }

    async fn act(&mut self, act: &Act) {
        let world = self.cluster.world.clone();
        let (namespace, name) = (self.namespace.clone(), self.name.clone());
        let patch = |part: Option<&str>, patch: Value| {
            user_patch(&world, &namespace, &name, part, &patch);
        };
        if let Some(image) = &act.set_image {
            self.row(Kind::User, format!("somebody releases {image}"));
            let rollout = lock(&world).get("Rollout", &namespace, &name).cloned();
            let containers =
                rollout.as_ref().and_then(|r| r.pointer("/spec/template/spec/containers"));
            let mut containers = containers.cloned().unwrap_or_default();
            containers[0]["image"] = image.clone().into();
            patch(None, json!({"spec": {"template": {"spec": {"containers": containers}}}}));
        }
        if let Some(replicas) = act.replicas {
            self.row(Kind::User, format!("somebody asks for {replicas} pods"));
            patch(None, json!({"spec": {"replicas": replicas}}));
        }
        if let Some(command) = act.command {
            if matches!(command, Command::Promote | Command::PromoteFull) {
                self.checker.promoted(command == Command::PromoteFull);
            }
            self.row(Kind::User, format!("somebody says {}", command_words(command)));
            self.command(command, &patch);
        }
        if act.restart_controller {
            self.cluster.shell.faults.crash_after = Some(0);
        }
        self.instant(self.cluster.now).await;
    }

    fn command(&self, command: Command, patch: &dyn Fn(Option<&str>, Value)) {
        match command {
            Command::Promote => {
                let status = self.field("/status/pauseConditions");
                if status.is_some_and(|pauses| !pauses.is_null()) {
                    patch(Some("status"), json!({"status": {"pauseConditions": null}}));
                } else if self.field("/spec/strategy/canary/steps").is_some() {
                    let index = self.field("/status/currentStepIndex");
                    let index = index.and_then(|index| index.as_u64()).unwrap_or(0) + 1;
                    patch(Some("status"), json!({"status": {"currentStepIndex": index}}));
                }
            }
            Command::PromoteFull => patch(Some("status"), json!({"status": {"promoteFull": true}})),
            Command::Abort => patch(Some("status"), json!({"status": {"abort": true}})),
            Command::Retry => patch(Some("status"), json!({"status": {"abort": false}})),
            Command::Pause => patch(None, json!({"spec": {"paused": true}})),
            Command::Resume => patch(None, json!({"spec": {"paused": false}})),
        }
    }

    fn finish(mut self) -> Outcomes {
        let text = |value: Option<Value>| {
            value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
        };
        let phase = self.phase();
        let message = text(self.field("/status/message"));
        let stable_image = self.stable_image();
        let expect = &self.scenario.expect;
        let mut unmet = Vec::new();
        if expect.phase.as_ref().is_some_and(|wanted| *wanted != phase) {
            let wanted = expect.phase.as_deref().unwrap_or_default();
            unmet.push(format!("the phase is {phase}, and {wanted} was expected"));
        }
        if expect.message.as_ref().is_some_and(|wanted| !message.contains(wanted)) {
            let wanted = expect.message.as_deref().unwrap_or_default();
            unmet.push(format!("the message is {message:?}, and {wanted:?} was expected in it"));
        }
        if expect.stable_image.as_ref().is_some_and(|wanted| *wanted != stable_image) {
            let wanted = expect.stable_image.as_deref().unwrap_or_default();
            unmet.push(format!("the stable version is {stable_image}, and {wanted} was expected"));
        }
        let words = if message.is_empty() { phase.clone() } else { format!("{phase}: {message}") };
        self.row(Kind::End, format!("{words} (stable: {stable_image})"));
        let last = self.timeline.rows.last().map_or(0, |row| row.at_ms);
        Outcomes {
            scenario: self.scenario.name.clone(),
            timeline: self.timeline,
            phase,
            message,
            stable_image,
            took_ms: last,
            violations: self.violations,
            unmet,
        }
    }

    fn row(&mut self, kind: Kind, text: String) {
        let begin = self.begin.unwrap_or(START);
        let (canary_pods, stable_pods) = self.pods();
        let live = self.cluster.live(&self.namespace, &self.name);
        // Several routers are asked for the same; the first tells.
        let weight = live.first().map(|live| live.canary * 100 / live.whole.max(1));
        let at_ms = u64::try_from(self.cluster.now.since(begin).as_millis()).unwrap_or(0);
        self.timeline.push(Row { at_ms, kind, text, weight, canary_pods, stable_pods });
    }

    fn field(&self, pointer: &str) -> Option<Value> {
        let world = lock(&self.cluster.world);
        world.get("Rollout", &self.namespace, &self.name)?.pointer(pointer).cloned()
    }

    fn phase(&self) -> String {
        let phase = self.field("/status/phase");
        phase.and_then(|phase| phase.as_str().map(str::to_owned)).unwrap_or_default()
    }

    fn wanted_image(&self) -> String {
        let image = self.field("/spec/template/spec/containers/0/image");
        image.and_then(|image| image.as_str().map(str::to_owned)).unwrap_or_default()
    }

    fn stable_image(&self) -> String {
        let Some(stable) = self.field("/status/stableRS") else { return String::new() };
        let world = lock(&self.cluster.world);
        let set = world.list("ReplicaSet").find(|(_, set)| {
            set.pointer("/metadata/labels/rollouts-pod-template-hash") == Some(&stable)
        });
        set.map(|(_, set)| image_of(set)).unwrap_or_default()
    }

    /// Available pods of the canary and of the stable version.
    fn pods(&self) -> (u32, u32) {
        let stable = self.field("/status/stableRS").unwrap_or_default();
        let current = self.field("/status/currentPodHash").unwrap_or_default();
        let world = lock(&self.cluster.world);
        let available = |hash: &Value| -> u32 {
            let sets = world.list("ReplicaSet");
            let ours = sets.filter(|(_, set)| {
                set.pointer("/metadata/labels/rollouts-pod-template-hash") == Some(hash)
            });
            ours.map(|(place, _)| self.cluster.fleet.available(place, self.cluster.now)).sum()
        };
        let canary = if current == stable { 0 } else { available(&current) };
        (canary, available(&stable))
    }
}

fn image_of(set: &Value) -> String {
    let image = set.pointer("/spec/template/spec/containers/0/image");
    image.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn command_words(command: Command) -> &'static str {
    match command {
        Command::Promote => "promote",
        Command::PromoteFull => "promote --full",
        Command::Abort => "abort",
        Command::Retry => "retry",
        Command::Pause => "pause",
        Command::Resume => "resume",
    }
}

fn words(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, 0) => format!("{m} min"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, 0, _) => format!("{h} h"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

fn outcome_words(outcome: &Outcome) -> String {
    use sluice_core::analysis::Verdict;
    match outcome {
        Outcome::Judged { verdict, value, message } => {
            let verdict = match verdict {
                Verdict::Successful => "good",
                Verdict::Failed => "bad",
                Verdict::Inconclusive => "inconclusive",
                Verdict::Error => "could not be measured",
            };
            match (value.is_empty(), message.is_empty()) {
                (false, true) => format!("{value}, {verdict}"),
                (true, false) => format!("{verdict}: {message}"),
                (false, false) => format!("{value}, {verdict}: {message}"),
                (true, true) => verdict.to_owned(),
            }
        }
        Outcome::Running { message, .. } => format!("still measuring {message}"),
        Outcome::Unresolvable(why) => format!("cannot be asked: {why}"),
    }
}
