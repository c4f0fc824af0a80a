//! Whole files: manifests and scenarios.

use sluice_sim::scenario::{Experiments, Scenario, StepPlugin};
use sluice_wire::lint::{lint, read};

use crate::Verdict;
use crate::hold;

/// A file is either read or refused with a place within it; and every finding has a place, too.
pub(super) fn linted(text: &str) -> Verdict {
    let lines = u64::try_from(text.split('\n').count()).unwrap_or(u64::MAX);
    let findings = match read("a.yaml", text) {
        Ok(documents) => lint(&documents, &|_, _, _| Ok(())).findings,
        Err(finding) => vec![*finding],
    };
    for finding in findings {
        hold(!finding.problem.is_empty(), || format!("nothing is said: {finding:?}"))?;
        let placed = finding.line.is_none_or(|line| (1..=lines + 1).contains(&line));
        hold(placed, || format!("{lines} lines, and found: {finding}"))?;
        let shown = finding.to_string();
        hold(shown.starts_with("a.yaml"), || format!("no file is named: {shown}"))?;
    }
    Ok(())
}

/// What has no mistake can be played; every mistake has a path.
pub(super) fn scenario(text: &str) -> Verdict {
    let Ok(scenario) = serde_saphyr::from_str::<Scenario>(text) else { return Ok(()) };
    let bad = scenario.check();
    for one in &bad {
        let named = !one.path.is_empty() && !one.message.is_empty();
        hold(named, || format!("no field is named: {one:?}"))?;
    }
    let steppers: Vec<_> = scenario.steps.iter().map(StepPlugin::stepper).collect();
    drop((scenario.experiments.as_ref().map(Experiments::player), steppers));
    for image in ["", "web", "registry.example/shop:1.0"] {
        scenario.behaviour(image);
        let rate = scenario.error_rate(image);
        hold(!bad.is_empty() || (0.0..=1.0).contains(&rate), || format!("error rate {rate}"))?;
    }
    Ok(())
}
