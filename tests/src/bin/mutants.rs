//! Whether the swarm bites: the core is broken in one place after the other, and each time the
//! checkers have to find it.
//!
//! `mutants [--seeds N] [NAME]…` copies the sources to a folder of its own, and builds and runs
//! them there. The exit code is 1 when a mutation is not found, or does not fit the sources any
//! more.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// One place that is broken.
struct Mutant {
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    blue_green: bool,
}

const fn canary(
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
) -> Mutant {
    Mutant { name, file, from, to, blue_green: false }
}

const fn blue_green(
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
) -> Mutant {
    Mutant { name, file, from, to, blue_green: true }
}

const EVIDENCE: &str = "host/core/src/evidence.rs";
const ACTIVE: &str = "host/core/src/evidence/blue_green.rs";
const PLUGINS: &str = "host/core/src/decide/plugins.rs";
const SWITCH: &str = "host/core/src/decide/blue_green.rs";

const MUTANTS: &[Mutant] = &[
    canary(
        "one pod is enough for any share of the canary",
        EVIDENCE,
        "self.rollout.enough().of(share.of(self.rollout.replicas))",
        "Pods(1).min(share.of(self.rollout.replicas))",
    ),
    canary(
        "pods go while traffic may still come",
        EVIDENCE,
        "if to < self.most_pods(&revision.hash) {",
        "if to > revision.wanted {",
    ),
    canary(
        "pods go before an older routing has drained",
        EVIDENCE,
        "            if self.now < until {\n                return Err(Waiting::Draining { hash: revision.hash.clone(), until });",
        "            if until < self.now && until > self.now {\n                return Err(Waiting::Draining { hash: revision.hash.clone(), until });",
    ),
    canary(
        "what was asked before is forgotten",
        "host/core/src/traffic.rs",
        "            self.live.push(to);",
        "            self.live = vec![to];",
    ),
    canary(
        "a Service is turned to whoever has a pod",
        EVIDENCE,
        "let needs = Pods(1).max(taken_over).max(if selects.is_some() { routed } else { Pods(1) });",
        "let needs = Pods(1).max(taken_over.min(Pods(1))).max(routed.min(Pods(1)));",
    ),
    canary(
        "a share is rounded down",
        "host/core/src/quantity.rs",
        "Pods(u32::try_from(exact.div_ceil(u64::from(self.whole.get()))).unwrap_or(fleet.0))",
        "Pods(u32::try_from(exact / u64::from(self.whole.get())).unwrap_or(fleet.0))",
    ),
    canary(
        "orders that are wrong together stay together",
        "host/core/src/plan.rs",
        "        self.untangle(seen);\n",
        "        let _ = Self::untangle;\n",
    ),
    canary(
        "nobody wakes for what ends by itself",
        "host/core/src/decide.rs",
        "        self.wake = Wake::sooner(self.wake, wake);\n        self.waiting.push(waiting);",
        "        let _ = wake;\n        self.waiting.push(waiting);",
    ),
    canary(
        "a step is passed before its component is done",
        PLUGINS,
        ".is_some_and(|call| call.progress == Progress::Successful)",
        ".is_some_and(|call| call.executions > 0)",
    ),
    canary(
        "what was done first is undone first",
        PLUGINS,
        "    let next = calls\n        .iter()\n        .rev()\n",
        "    let next = calls\n        .iter()\n",
    ),
    canary(
        "an experiment is left alone when nobody waits for it any more",
        "host/core/src/decide/experiments.rs",
        "!experiment.terminating && !is_current(&experiment.name)",
        "!experiment.terminating && is_current(&experiment.name)",
    ),
    canary(
        "a router that is named no more is forgotten",
        "host/wire/src/rollout/routers.rs",
        "            if !goes_on {\n",
        "            if goes_on {\n",
    ),
    canary(
        "a router is left before it gave the canary's share back",
        "host/core/src/evidence/leave.rs",
        "if !split.share.is_none() || !split.routes.is_empty() || !split.additional.is_empty() {",
        "if split.share.is_none() && !split.share.is_none() {",
    ),
    canary(
        "an experiment is told to end while its pods get requests",
        "host/core/src/evidence/experiment.rs",
        "        if extras.any(is_live) {",
        "        if !extras.any(is_live) && extras.next().is_some() {",
    ),
    canary(
        "pods of an experiment get their share before they are there",
        "host/core/src/evidence/experiment.rs",
        "        extra.available >= needs",
        "        extra.wanted >= needs.min(extra.wanted)",
    ),
    canary(
        "the pods of an experiment that is over go while they get requests",
        "host/core/src/experiment/evidence.rs",
        "if let Some(service) = template.service.clone().filter(|_| template.routed) {",
        "if let Some(service) = template.service.clone().filter(|_| self.terminate && !self.terminate) {",
    ),
    canary(
        "the Service of an experiment stays",
        "host/core/src/experiment/plan.rs",
        "self.close.push(closed);",
        "drop(closed);",
    ),
    canary(
        "an experiment that runs loses all pods but one",
        "host/core/src/experiment/evidence.rs",
        "(set.wanted > template.replicas).then_some(Spare { index, set, to: template.replicas })",
        "(set.wanted > Pods(1)).then_some(Spare { index, set, to: Pods(1) })",
    ),
    canary(
        "the pods of an experiment that is over stay",
        "host/core/src/experiment/plan.rs",
        "self.shrink.push(spare);",
        "drop(spare);",
    ),
    blue_green(
        "users are sent where one pod is",
        ACTIVE,
        "Side::Stable => self.way_back(hash).unwrap_or(self.rollout.replicas),",
        "Side::Stable => self.way_back(hash).unwrap_or(Pods(1)),",
    ),
    blue_green(
        "the analysis before the switch does not matter",
        SWITCH,
        "let proved = !strategy.pre_analysis || succeeded(&draft.memory.pre_run);",
        "let proved = true;",
    ),
    blue_green(
        "the analysis after the switch does not matter",
        SWITCH,
        "let proved = trusted || !strategy.post_analysis || succeeded(&draft.memory.post_run);",
        "let proved = true;",
    ),
    blue_green(
        "nobody has to promote",
        SWITCH,
        "        Promotion::ByUser => false,\n    };",
        "        Promotion::ByUser => true,\n    };",
    ),
];

fn main() -> ExitCode {
    let mut seeds = "1500".to_owned();
    let mut wanted = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seeds" => seeds = args.next().unwrap_or(seeds),
            _ => wanted.push(arg),
        }
    }
    match hunt(&seeds, &wanted) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(missed) => {
            println!("{missed} not found");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn hunt(seeds: &str, wanted: &[String]) -> Result<usize, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let nest = target.join("mutants");
    let copy = nest.join("sources");
    copy_sources(root, &copy)?;
    let mut missed = 0;
    for mutant in MUTANTS {
        if !wanted.is_empty() && !wanted.iter().any(|name| mutant.name.contains(name.as_str())) {
            continue;
        }
        let said = judge(mutant, seeds, &copy, &nest.join("target"))?;
        missed += usize::from(said.is_none());
        println!("{:<9} {}", if said.is_some() { "found" } else { "NOT FOUND" }, mutant.name);
        println!("          {}", said.unwrap_or_default());
    }
    Ok(missed)
}

/// What the swarm says of a mutant; `None` if it finds nothing wrong.
fn judge(
    mutant: &Mutant,
    seeds: &str,
    copy: &Path,
    target: &Path,
) -> Result<Option<String>, String> {
    let file = copy.join(mutant.file);
    let whole = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", mutant.file))?;
    if whole.matches(mutant.from).count() != 1 {
        return Err(format!("{}: the place is not in {} once", mutant.name, mutant.file));
    }
    let write = |text: &str| std::fs::write(&file, text).map_err(|error| error.to_string());
    write(&whole.replace(mutant.from, mutant.to))?;
    let mut run = Command::new(env!("CARGO"));
    run.args(["run", "--quiet", "--locked", "-p", "sluice-tests", "--bin", "swarm", "--"]);
    run.args(["--count", seeds]);
    if mutant.blue_green {
        run.arg("--blue-green");
    }
    run.current_dir(copy).env("CARGO_TARGET_DIR", target).stderr(Stdio::inherit());
    let output = run.output().map_err(|error| format!("cargo: {error}"));
    write(&whole)?;
    let output = output?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    // A mutant that does not compile says nothing of seeds, and proves nothing.
    if !last.contains(" seeds, ") {
        return Err(format!("{}: the mutant was not judged: {last}", mutant.name));
    }
    Ok((!output.status.success()).then(|| last.to_owned()))
}

/// Everything that cargo needs, without what was built.
fn copy_sources(from: &Path, to: &Path) -> Result<(), String> {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).map_err(|error| error.to_string())?;
    let files = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(from)
        .output()
        .map_err(|error| format!("git: {error}"))?;
    for name in files.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = String::from_utf8_lossy(name);
        let (source, copy) = (from.join(&*name), to.join(&*name));
        if let Some(folder) = copy.parent() {
            std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        }
        if source.is_file() {
            std::fs::copy(&source, &copy).map_err(|error| format!("{name}: {error}"))?;
        }
    }
    Ok(())
}
