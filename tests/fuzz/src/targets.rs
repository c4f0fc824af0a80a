//! Every reader that needs no WebAssembly engine, and what must be true of it.

mod analysis;
mod answers;
mod manifests;
mod plugins;
mod registry;
mod rollouts;
mod words;

use crate::Judge::{Text, Tree};
use crate::Target;

const CANARY: &str = "examples/01-first-canary/rollout.yaml";
const BLUE_GREEN: &str = "examples/02-blue-green/rollout.yaml";

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "rollout", short: 3_000, also: &[CANARY], judge: Tree(rollouts::parsed) },
    Target { name: "world", short: 2_000, also: &[], judge: Tree(rollouts::turns) },
    Target { name: "run", short: 3_000, also: &[], judge: Tree(analysis::run) },
    Target { name: "metrics", short: 2_000, also: &[], judge: Tree(analysis::metrics) },
    Target { name: "measured", short: 1_500, also: &[], judge: Tree(answers::measured) },
    Target { name: "condition", short: 1_500, also: &[], judge: Text(analysis::condition) },
    Target {
        name: "manifest",
        short: 1_000,
        also: &[CANARY, BLUE_GREEN],
        judge: Text(manifests::linted),
    },
    Target {
        name: "scenario",
        short: 2_000,
        also: &[
            "examples/01-first-canary/scenarios/bad.yaml",
            "examples/02-blue-green/scenarios/regret.yaml",
        ],
        judge: Text(manifests::scenario),
    },
    Target { name: "plugin", short: 3_000, also: &[], judge: Tree(plugins::wish) },
    Target { name: "server", short: 3_000, also: &[], judge: Text(plugins::server) },
    Target { name: "asked", short: 2_000, also: &[], judge: Text(plugins::asked) },
    Target { name: "reference", short: 3_000, also: &[], judge: Text(words::reference) },
    Target { name: "duration", short: 3_000, also: &[], judge: Text(words::duration) },
    Target { name: "time", short: 3_000, also: &[], judge: Text(words::time) },
    Target { name: "pods", short: 3_000, also: &[], judge: Text(words::pods) },
];
