//! Random blue-green releases.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Act, NAMESPACE, Plan, acts, draw, rollout, service};
use crate::plane::Manner;
use crate::rng::Rng;
use crate::step::Stepper;

const TEMPLATE: &str = "rate";
/// What is good, what is bad, and what is neither.
const RATES: [f64; 5] = [1.0, 1.0, 0.0, 0.5, f64::NAN];

/// Draw a plan.
pub fn plan(seed: u64) -> Plan {
    let mut rng = Rng::new(seed ^ 0xb1ce_9ee4);
    let replicas = rng.between(1, 13);
    let strategy = strategy(&mut rng, replicas);
    let mut around = vec![service("live"), template(&mut rng)];
    if strategy.get("previewService").is_some() {
        around.push(service("next"));
    }
    let mut object = rollout(replicas, json!({}), 1);
    object["spec"]["strategy"] = json!({"blueGreen": strategy});
    if rng.percent(25) {
        object["spec"]["progressDeadlineSeconds"] = rng.between(30, 200).into();
        object["spec"]["progressDeadlineAbort"] = rng.percent(50).into();
    }
    if rng.percent(20) {
        object["spec"]["revisionHistoryLimit"] = rng.between(3, 5).into();
    }
    let quiet = rng.percent(25);
    let mut plan = Plan {
        seed,
        rollout: object,
        around,
        squatter: None,
        manner: Manner::default(),
        lag: if quiet { Duration::ZERO } else { Duration::from_millis(rng.between(0, 1_500)) },
        write_failures: if quiet { 0 } else { rng.between(0, 15) },
        crash_after: if quiet { None } else { Some(rng.between(1, 60)) },
        ready_after: Duration::from_millis(rng.between(200, 20_000)),
        bad_version: rng.percent(20),
        acts: all_acts(&mut rng, replicas),
        stepper: Stepper::default(),
        player: None,
    };
    draw::restarts(&mut plan.acts, seed, replicas);
    draw::lender(&mut plan);
    plan
}

fn strategy(rng: &mut Rng, replicas: u64) -> Value {
    let mut strategy = json!({"activeService": "live"});
    let mut draw = |rng: &mut Rng, percent, name: &str, least, most| {
        if rng.percent(percent) {
            strategy[name] = rng.between(least, most).into();
        }
    };
    draw(rng, 40, "previewReplicaCount", 0, replicas + 1);
    draw(rng, 35, "autoPromotionSeconds", 0, 90);
    draw(rng, 50, "scaleDownDelaySeconds", 0, 60);
    draw(rng, 30, "scaleDownDelayRevisionLimit", 0, 3);
    draw(rng, 50, "abortScaleDownDelaySeconds", 0, 40);
    draw(rng, 50, "maxUnavailable", 0, 3);
    if rng.percent(50) {
        strategy["autoPromotionEnabled"] = rng.percent(30).into();
    }
    if rng.percent(80) {
        strategy["previewService"] = "next".into();
    }
    for name in ["prePromotionAnalysis", "postPromotionAnalysis"] {
        if rng.percent(40) {
            strategy[name] = json!({"templates": [{"templateName": TEMPLATE}]});
        }
    }
    strategy
}

fn template(rng: &mut Rng) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": TEMPLATE, "namespace": NAMESPACE},
        "spec": {"metrics": [{
            "name": "rate", "interval": "5s", "count": rng.between(1, 4),
            "successCondition": "result > 0.9", "failureCondition": "result < 0.1",
            "provider": {"prometheus": {"address": "http://metrics", "query": "rate"}},
        }]},
    })
}

/// What users do, and what is measured meanwhile: mostly good.
fn all_acts(rng: &mut Rng, replicas: u64) -> Vec<(Duration, Act)> {
    let mut acts = acts(rng, replicas);
    acts.push((Duration::ZERO, Act::Measure(1.0)));
    for _ in 0..rng.between(0, 3) {
        let at = Duration::from_millis(rng.between(50_000, 380_000));
        let rate = rng.pick(&RATES).copied().unwrap_or(1.0);
        acts.push((at, Act::Measure(rate)));
    }
    acts.sort_by_key(|(at, _)| *at);
    acts
}
