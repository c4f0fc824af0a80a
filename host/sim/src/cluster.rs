//! The loop of a simulated cluster: time jumps to whatever happens next.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sluice_core::Timestamp;
use sluice_port::Components;

use crate::dataplane;
use crate::experiments::Player;
use crate::fleet::{Behaviour, Fleet};
use crate::plane::{Live, Plane};
use crate::shell::{Note, SharedWorld, Shell, lock};
use crate::world::World;

/// Tells how the pods of a ReplicaSet behave.
pub type Behaviours = Arc<dyn Fn(&Value) -> Behaviour + Send + Sync>;

/// A cluster with one controller.
pub struct Cluster {
    /// The objects.
    pub world: SharedWorld,
    /// The pods.
    pub fleet: Fleet,
    /// The data plane and metrics server, where they are scripted.
    pub plane: Arc<Plane>,
    /// The controller.
    pub shell: Shell,
    /// Who runs experiments in place of the controller.
    pub player: Option<Player>,
    /// The time.
    pub now: Timestamp,
    behaviours: Behaviours,
    /// Whether what is live is read from the objects that routers write, and not asked of the
    /// scripted data plane.
    routes_in_objects: bool,
}

impl Cluster {
    /// A cluster that begins at `start`, with a scripted data plane.
    pub fn new(start: Timestamp, plane: Plane, behaviours: Behaviours, seed: u64) -> Self {
        let plane = Arc::new(plane);
        let components: Arc<dyn Components> = plane.clone();
        Self::with_components(start, plane, components, behaviours, seed)
    }

    /// A cluster whose metrics and traffic go through `components`.
    pub fn with_components(
        start: Timestamp,
        plane: Arc<Plane>,
        components: Arc<dyn Components>,
        behaviours: Behaviours,
        seed: u64,
    ) -> Self {
        let world = SharedWorld::new(std::sync::Mutex::new(World::default()));
        lock(&world).set_now(start);
        plane.set_now(start);
        let mut shell = Shell::new(world.clone(), components, seed);
        shell.set_now(start);
        let mut fleet = Fleet::default();
        fleet.reaction = Duration::from_millis(100);
        Self {
            world,
            fleet,
            plane,
            shell,
            player: None,
            now: start,
            behaviours,
            routes_in_objects: false,
        }
    }

    /// The components are real: where requests go is what their objects say.
    pub fn read_routes_from_objects(&mut self) {
        self.routes_in_objects = true;
    }

    /// Where requests to this rollout go now, by router; nowhere while nothing routes them.
    pub fn live(&self, namespace: &str, name: &str) -> Vec<Live> {
        if !self.routes_in_objects {
            return self.plane.live(self.now);
        }
        let world = lock(&self.world);
        let Some(rollout) = world.get("Rollout", namespace, name).cloned() else {
            return Vec::new();
        };
        dataplane::live(&world, namespace, &rollout)
    }

    /// What is live now or will be, since it was asked for.
    pub fn live_and_pending(&self, namespace: &str, name: &str) -> Vec<Live> {
        if self.routes_in_objects {
            self.live(namespace, name)
        } else {
            self.plane.live_and_pending(self.now)
        }
    }

    /// Experiments go as `player` says, and the controller leaves them alone.
    pub fn play_experiments(&mut self, player: Player) {
        self.shell.runs_experiments = false;
        self.player = Some(player);
    }

    /// When something happens next.
    pub fn next_at(&self) -> Option<Timestamp> {
        let fleet = self.fleet.next_at(self.now);
        let plane = self.plane.next_at(self.now);
        let shell = self.shell.next_at().map(|at| at.max(self.now));
        let player = self.player.as_ref();
        let player = player.and_then(|player| player.next_at(&lock(&self.world), self.now));
        [fleet, plane, shell, player].into_iter().flatten().min()
    }

    /// Go to `now` and let everything happen that is due then.
    pub async fn advance(&mut self, now: Timestamp) -> Vec<Note> {
        self.now = self.now.max(now);
        lock(&self.world).set_now(self.now);
        self.plane.set_now(self.now);
        self.shell.set_now(self.now);
        self.step_fleet();
        self.shell.step().await;
        self.step_fleet();
        std::mem::take(&mut self.shell.notes)
    }

    fn step_fleet(&mut self) {
        let behaviours = self.behaviours.clone();
        let mut world = lock(&self.world);
        self.fleet.step(&mut world, self.now, |set| behaviours(set));
        if let Some(player) = &self.player {
            player.step(&mut world, self.now);
        }
    }
}

/// Run a future that never waits for anything outside: everything scripted answers at once.
pub fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::thread::yield_now();
    }
}
