//! Runs drawn from a seed: a random fleet, random steps, random faults, and a user who does the
//! wrong thing at the worst moment. Safety is judged at every instant; then the world heals, and
//! the run must end where it is to end, or wait with a reason.

pub mod blue_green;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sluice_core::phase::Phase;
use sluice_core::{Order, Timestamp, Waiting};
use sluice_port::Measured;

use crate::START;
use crate::check::{Checker, Violation};
use crate::cluster::{Behaviours, Cluster, at_once};
use crate::experiments::Player;
use crate::fleet::Behaviour;
use crate::plane::{Manner, Plane};
use crate::rng::Rng;
use crate::shell::{Note, lock};
use crate::step::Stepper;

mod draw;

const NAMESPACE: &str = "swarm";
const NAME: &str = "web";
/// How long faults last.
const TROUBLED: Duration = Duration::from_secs(400);
/// How long a healed world may take to come to rest.
const HEALED: Duration = Duration::from_secs(3 * 3600);

/// What one seed draws.
#[derive(Clone, Debug)]
pub struct Plan {
    seed: u64,
    rollout: Value,
    /// What there is beside the rollout.
    around: Vec<Value>,
    /// A version whose ReplicaSet's name somebody else has.
    squatter: Option<u32>,
    manner: Manner,
    lag: Duration,
    write_failures: u64,
    crash_after: Option<u64>,
    ready_after: Duration,
    bad_version: bool,
    acts: Vec<(Duration, Act)>,
    stepper: Stepper,
    /// How experiments go; `None` if they run.
    player: Option<Player>,
}

/// What a user, or the world, does.
#[derive(Clone, Debug, PartialEq)]
enum Act {
    Update(u32),
    Abort,
    Retry,
    Resume,
    PromoteFull,
    Scale(u32),
    Pause(bool),
    Flap,
    Crash(u64),
    /// What is measured from now on.
    Measure(f64),
    /// Every pod is to be replaced.
    Restart,
    /// Other routers, or none.
    Reroute(Value),
    /// From now on so many pods must stay available when one is evicted.
    Budget(u32),
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Whether it was a blue-green release.
    pub blue_green: bool,
    /// Rules that were broken.
    pub violations: Vec<Violation>,
    /// Why it did not come to rest, if it did not.
    pub stuck: Option<String>,
    /// One line for each thing that happened.
    pub transcript: String,
    /// Instants that were judged.
    pub instants: u64,
    /// From the start to the last instant.
    pub virtual_time: Duration,
    /// Whether the last phase was one of those in which a rollout may stay.
    pub ended: String,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_fine(&self) -> bool {
        self.violations.is_empty() && self.stuck.is_none()
    }
}

/// Draw a plan.
pub fn plan(seed: u64) -> Plan {
    let mut rng = Rng::new(seed);
    let routed = rng.percent(60);
    let services = rng.percent(60);
    let replicas = rng.between(1, 13);
    let canary = draw::canary(&mut rng, replicas, routed, services);
    let quiet = rng.percent(25);
    let delays = (0..5).map(|_| Duration::from_millis(rng.between(0, 4_000))).collect();
    let tells = rng.percent(50);
    let mut rollout = rollout(replicas, canary, 1);
    let squatter = draw_identity(&mut rollout, seed);
    let stepper = draw::plugins(&mut rollout, seed, quiet);
    let player = draw::experiments(&mut rollout, seed);
    let mut plan = Plan {
        seed,
        rollout,
        stepper,
        player,
        squatter,
        around: if services { vec![service("stable"), service("canary")] } else { vec![] },
        manner: Manner {
            // Always less than the drain delay, which is all that a data plane promises which
            // cannot tell.
            delays,
            tells,
            fails_every: if quiet || rng.percent(50) { 0 } else { rng.between(2, 6) },
        },
        lag: if quiet { Duration::ZERO } else { Duration::from_millis(rng.between(0, 1_500)) },
        write_failures: if quiet { 0 } else { rng.between(0, 15) },
        crash_after: if quiet { None } else { Some(rng.between(1, 60)) },
        ready_after: Duration::from_millis(rng.between(200, 20_000)),
        bad_version: rng.percent(20),
        acts: acts(&mut rng, replicas),
    };
    draw::restarts(&mut plan.acts, seed, replicas);
    draw::lender(&mut plan);
    draw::routers(&mut plan);
    plan
}

impl Plan {
    /// Whether a Deployment lends the template.
    fn borrows(&self) -> bool {
        self.rollout.pointer("/spec/workloadRef").is_some()
    }
}

/// What concerns revisions as such. Drawn by numbers of its own, so that what a seed draws
/// besides stays what it was.
fn draw_identity(rollout: &mut Value, seed: u64) -> Option<u32> {
    let mut rng = Rng::new(seed ^ 0x1de4_7171);
    if rng.percent(40) {
        rollout["spec"]["rollbackWindow"] = json!({"revisions": rng.between(1, 3)});
    }
    let strategy = &mut rollout["spec"]["strategy"]["canary"];
    if rng.percent(30) {
        strategy["canaryMetadata"] =
            json!({"labels": {"role": "canary"}, "annotations": {"c": "1"}});
    }
    if rng.percent(30) {
        strategy["stableMetadata"] = json!({"labels": {"role": "stable"}});
    }
    match rng.between(0, 9) {
        0..=1 => {
            strategy["antiAffinity"] =
                json!({"requiredDuringSchedulingIgnoredDuringExecution": {}});
        }
        2 => {
            let weight = rng.between(1, 100);
            strategy["antiAffinity"] =
                json!({"preferredDuringSchedulingIgnoredDuringExecution": {"weight": weight}});
        }
        _ => {}
    }
    rng.percent(10).then(|| u32::try_from(rng.between(1, 3)).unwrap_or(1))
}

fn acts(rng: &mut Rng, replicas: u64) -> Vec<(Duration, Act)> {
    let mut acts = vec![(Duration::from_secs(60), Act::Update(2))];
    for _ in 0..rng.between(0, 7) {
        let at = Duration::from_millis(rng.between(1_000, 380_000));
        let version = u32::try_from(rng.between(1, 4)).unwrap_or(1);
        let size = u32::try_from(rng.between(1, replicas + 4)).unwrap_or(1);
        let act = match rng.between(0, 11) {
            0..=1 => Act::Update(version),
            2 => Act::Abort,
            3 => Act::Retry,
            4..=5 => Act::Resume,
            6 => Act::PromoteFull,
            7 => Act::Scale(size),
            8 => Act::Pause(rng.percent(50)),
            9 => Act::Crash(rng.between(0, 12)),
            _ => Act::Flap,
        };
        acts.push((at, act));
    }
    acts.sort_by_key(|(at, _)| *at);
    acts
}

fn rollout(replicas: u64, canary: Value, version: u32) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": NAME}},
            "strategy": {"canary": canary},
            "template": template(version),
        },
    })
}

fn template(version: u32) -> Value {
    json!({
        "metadata": {"labels": {"app": NAME}},
        "spec": {"containers": [{"name": "c", "image": format!("web:{version}"),
            "ports": [{"containerPort": 80}]}]},
    })
}

/// A ReplicaSet of somebody else that has the name which a version's is to get. It has no label
/// of a revision, so that the controller only finds it by running into it.
fn squatter(version: u32) -> Value {
    let hash = sluice_wire::rollout::hash::template_hash(&template(version), None);
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": format!("{NAME}-{hash}"), "namespace": NAMESPACE},
        "spec": {"replicas": 0, "template": template(version)},
    })
}

fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": {"app": NAME}},
    })
}

/// Run a plan to its end.
pub fn run(plan: &Plan) -> Report {
    at_once(Run::new(plan).go())
}

struct Run<'p> {
    plan: &'p Plan,
    cluster: Cluster,
    checker: Checker,
    report: Report,
}

impl<'p> Run<'p> {
    fn new(plan: &'p Plan) -> Self {
        let (ready_after, bad) = (plan.ready_after, plan.bad_version);
        let behaviours: Behaviours = Arc::new(move |set: &Value| {
            let image = set.pointer("/spec/template/spec/containers/0/image");
            let broken = bad && image.and_then(Value::as_str) == Some("web:2");
            Behaviour { ready_after, never_ready: broken, ..Behaviour::default() }
        });
        let plane = Plane::new(plan.manner.clone());
        plane.set_stepper("", plan.stepper.clone());
        let mut cluster = Cluster::new(START, plane, behaviours, plan.seed);
        if let Some(player) = &plan.player {
            cluster.play_experiments(player.clone());
        }
        cluster.shell.faults.write_failures = plan.write_failures;
        cluster.shell.faults.crash_after = plan.crash_after;
        {
            let mut world = lock(&cluster.world);
            for kind in
                ["Rollout", "ReplicaSet", "Service", "AnalysisRun", "Deployment", "Experiment"]
            {
                world.set_lag(kind, plan.lag);
            }
            let mut objects = vec![plan.rollout.clone()];
            objects.extend(plan.around.iter().cloned());
            objects.extend(plan.squatter.map(squatter));
            for object in objects {
                // The world is empty, so nothing stands in the way.
                let _ = world.create(object);
            }
        }
        let staleness = plan.lag + Duration::from_millis(200);
        // The data plane takes everything up within the drain delay, told or not.
        let checker = Checker::new(NAMESPACE, NAME, staleness);
        let report = Report {
            seed: plan.seed,
            blue_green: plan.rollout.pointer("/spec/strategy/blueGreen").is_some(),
            violations: Vec::new(),
            stuck: None,
            transcript: String::new(),
            instants: 0,
            virtual_time: Duration::ZERO,
            ended: String::new(),
        };
        Self { plan, cluster, checker, report }
    }

    async fn go(mut self) -> Report {
        let mut acts = self.plan.acts.clone().into_iter().peekable();
        let heal_at = START.after(TROUBLED);
        while self.cluster.now < heal_at {
            let act_at = acts.peek().map(|(at, _)| START.after(*at));
            let next = [self.cluster.next_at(), act_at, Some(heal_at)];
            let next = next.into_iter().flatten().min().unwrap_or(heal_at);
            self.instant(next).await;
            while acts.peek().is_some_and(|(at, _)| START.after(*at) <= self.cluster.now) {
                if let Some((_, act)) = acts.next() {
                    self.act(&act);
                }
            }
            if self.report.stuck.is_some() {
                return self.report;
            }
        }
        self.heal();
        self.settle().await;
        self.report
    }

    async fn instant(&mut self, next: Timestamp) {
        let notes = self.cluster.advance(next).await;
        self.report.instants += 1;
        self.report.virtual_time = self.cluster.now.since(START);
        if self.report.instants > 50_000 {
            self.report.stuck = Some("it never comes to rest: 50,000 instants".to_owned());
        }
        self.describe(&notes);
        let bad = self.checker.look(&self.cluster, &notes);
        for violation in &bad {
            self.line(&format!("!! {}", violation.what));
        }
        self.report.violations.extend(bad);
    }

    fn heal(&mut self) {
        self.line("-- healed");
        self.cluster.shell.faults.write_failures = 0;
        self.cluster.shell.faults.crash_after = None;
        let manner = Manner { fails_every: 0, ..self.plan.manner.clone() };
        self.cluster.plane.set_manner(manner);
        self.cluster.plane.set_stepper("", self.plan.stepper.healed());
        lock(&self.cluster.world).pods.budget = None;
    }

    /// Let the run come to rest, and see whether it rests where it may.
    async fn settle(&mut self) {
        let end = self.cluster.now.after(HEALED);
        let mut rounds = 0;
        while let Some(next) = self.cluster.next_at().filter(|next| *next <= end) {
            self.instant(next).await;
            rounds += 1;
            if rounds > 50_000 {
                self.report.stuck = Some("it never comes to rest: 50,000 instants".to_owned());
            }
            if self.report.stuck.is_some() {
                return;
            }
        }
        self.report.stuck = self.at_rest();
    }

    /// Why the run may not rest where it is.
    fn at_rest(&mut self) -> Option<String> {
        let turn = self.cluster.shell.peek(NAMESPACE, NAME)?;
        // Looking at pods is for a restart that waits, and changes nothing.
        let looks = |order: &Order| *order == Order::LookAtPods;
        if turn.effects.iter().any(|(order, _)| !looks(order)) || turn.record.is_some() {
            return Some(format!("there is still something to do: {:?}", turn.effects));
        }
        if let Some(wrong) = self.checker.at_rest(&self.cluster) {
            return Some(wrong);
        }
        let world = lock(&self.cluster.world);
        let rollout = world.get("Rollout", NAMESPACE, NAME)?.clone();
        drop(world);
        let phase = rollout.pointer("/status/phase").and_then(Value::as_str).unwrap_or("");
        let message = rollout.pointer("/status/message").and_then(Value::as_str).unwrap_or("");
        self.report.ended = format!("{phase}: {message}");
        if let Some(left) = self.checker.rest(&self.cluster) {
            return Some(left);
        }
        let restarts = self.plan.acts.iter().any(|(_, act)| matches!(act, Act::Restart));
        match (&turn.phase, &turn.waiting) {
            (Some(Phase::Settled), None) if phase == "Healthy" => {
                self.checker.astray(&self.cluster)
            }
            (Some(_), Some(Waiting::Retry)) => self.checker.astray(&self.cluster),
            (
                Some(_),
                Some(
                    Waiting::User | Waiting::Promotion | Waiting::Preview(None) | Waiting::Decision,
                ),
            ) => None,
            // The only pod of a canary stays while requests may reach it.
            (
                Some(Phase::Stepping { .. } | Phase::Promoting { .. } | Phase::Aborted { .. }),
                Some(Waiting::Restart { .. }),
            ) => None,
            // One that nobody ends is waited for.
            (Some(_), Some(Waiting::Experiment(_)))
                if self.plan.player.as_ref().is_some_and(|player| player.ends.is_none()) =>
            {
                None
            }
            // The steps themselves ask for what cannot be; only the user can mend that.
            (Some(_), Some(Waiting::ScaledBelow { .. })) => None,
            // A version whose pods never come up has nothing to promise but the reason. A restart
            // asks again and again whether its pods may be evicted.
            (
                Some(_),
                Some(Waiting::Pods { .. } | Waiting::Capacity { .. } | Waiting::Service { .. }),
            ) if self.plan.bad_version && (turn.wake.is_none() || restarts) => None,
            (phase, waiting) => Some(format!(
                "it rests in {phase:?} ({}) waiting for {waiting:?}, {:?}",
                self.report.ended, turn.wake
            )),
        }
    }

    fn act(&mut self, act: &Act) {
        self.line(&format!(">> {act:?}"));
        if matches!(act, Act::Resume | Act::PromoteFull) {
            self.checker.promoted(*act == Act::PromoteFull);
        }
        let (part, patch) = match act {
            Act::Update(version) => {
                let patch = json!({"spec": {"template": template(*version)}});
                if self.plan.borrows() {
                    let mut world = lock(&self.cluster.world);
                    // It is there from the start, and nobody deletes it.
                    let _ = world.merge("Deployment", NAMESPACE, draw::LENDER, None, &patch);
                    return;
                }
                (None, patch)
            }
            Act::Abort => (Some("status"), json!({"status": {"abort": true}})),
            Act::Retry => (Some("status"), json!({"status": {"abort": false}})),
            Act::Resume => (Some("status"), json!({"status": {"pauseConditions": null}})),
            Act::PromoteFull => (Some("status"), json!({"status": {"promoteFull": true}})),
            Act::Scale(replicas) => (None, json!({"spec": {"replicas": replicas}})),
            Act::Pause(paused) => (None, json!({"spec": {"paused": paused}})),
            Act::Flap => {
                let world = lock(&self.cluster.world);
                let places: Vec<_> = world.list("ReplicaSet").map(|(p, _)| p.clone()).collect();
                drop(world);
                for place in places {
                    let pause = Duration::from_secs(7);
                    self.cluster.fleet.flap(&place, self.cluster.now, pause);
                }
                return;
            }
            Act::Measure(rate) => {
                self.cluster.plane.set_answer(Ok(Measured::Number(*rate)));
                return;
            }
            Act::Reroute(canary) => (None, json!({"spec": {"strategy": {"canary": canary}}})),
            Act::Restart => {
                let now = self.cluster.now;
                let at = Timestamp(now.0 - now.0 % 1000);
                self.checker.restarted(at);
                (None, json!({"spec": {"restartAt": sluice_wire::clock::format_time(at)}}))
            }
            Act::Budget(least) => {
                lock(&self.cluster.world).pods.budget = Some(*least);
                return;
            }
            Act::Crash(after) => {
                self.cluster.shell.faults.crash_after = Some(*after);
                return;
            }
        };
        crate::shell::user_patch(&self.cluster.world, NAMESPACE, NAME, part, &patch);
    }

    fn describe(&mut self, notes: &[Note]) {
        for note in notes {
            let line = match note {
                Note::Wrote(write) => {
                    format!(
                        "{:?} {} {} {}",
                        write.verb, write.target.kind, write.target.name, write.body
                    )
                }
                Note::Announced(_, event) => format!("{}: {}", event.reason, event.message),
                Note::Asked(_, split) => format!(
                    "asked for {} canary ({} | {})",
                    split.share, split.stable, split.canary
                ),
                Note::Waits(_, Some(waiting), _) => format!("waits for {waiting}"),
                Note::Waits(_, None, _) => "waits for nothing".to_owned(),
                Note::Called(_, request, reply) => format!(
                    "{:?} {} at steps[{}], call {} with {:?}: {:?}",
                    request.operation,
                    request.component,
                    request.call.index,
                    request.execution,
                    request.call.state,
                    reply.answer
                ),
                Note::Measured(key, finished) => {
                    format!("{} measured {}: {:?}", key.name, finished.metric, finished.outcome)
                }
                Note::Spins(key) => {
                    self.report.stuck = Some(format!("{key} is due again and again"));
                    "!! it is due again and again".to_owned()
                }
                Note::Released(_, router) => format!("router {router} took its routes back"),
                Note::Evicted(evicted) => format!("evicted {}", evicted.pod),
                Note::Crashed => "the controller died and started again".to_owned(),
            };
            self.line(&line);
        }
    }

    fn line(&mut self, text: &str) {
        let at = self.cluster.now.since(START).as_millis();
        let _ = writeln!(self.report.transcript, "{:>9.3} {text}", at as f64 / 1000.0);
    }
}
