//! Calls of steps: what they answer, and what is not believed.
#![expect(clippy::unwrap_used, reason = "helpers of tests may")]

mod fixture;

use std::sync::Arc;
use std::time::Duration;

use fixture::{Gate, deed, provider, step};
use sluice_port::{Components, Fault, StepAnswer, StepCall, StepOutcome};
use sluice_wasm::{ComponentHost, Grants, HostConfig, Kind, Limits, Origin, Terms};

/// Two hundred milliseconds of computing, so that a step which never ends is soon stopped.
async fn host_with_step(gate: &Arc<Gate>) -> ComponentHost {
    let limits = Limits { cpu: Duration::from_millis(200), ..Limits::of(Kind::Step) };
    let config = HostConfig { step_limits: Some(limits), ..HostConfig::new(gate.clone()) };
    let host = ComponentHost::new(config).unwrap();
    let terms = Terms { grants: Some(Grants::any_server()), ..Terms::default() };
    host.install_on("approval", step(), Origin::Bundled, terms).await.unwrap();
    host
}

fn call(what: u32, state: Option<&str>) -> StepCall {
    StepCall {
        config: "{}".to_owned(),
        index: what,
        state: state.map(str::to_owned),
        ..StepCall::default()
    }
}

async fn run(host: &ComponentHost, what: u32) -> Result<StepOutcome, Fault> {
    host.run_step("approval", &call(what, None)).await.map(|answer| answer.outcome)
}

#[tokio::test]
async fn a_step_is_found_by_its_interface_and_answers() {
    let host = host_with_step(&Gate::with(0)).await;
    let info = &host.installed()[0];
    assert_eq!((info.name.as_str(), info.kind), ("approval", Kind::Step));
    assert_eq!(info.interface, "sluice:step/step@0.1.0");
    assert_eq!(run(&host, deed::DONE).await, Ok(StepOutcome::Done));
    assert_eq!(run(&host, deed::FAIL).await, Ok(StepOutcome::Failed("no thanks".to_owned())));
    let calls = host.installed()[0].totals.calls.clone();
    assert_eq!(calls.into_iter().collect::<Vec<_>>(), [("ok", 2)]);
}

#[tokio::test]
async fn a_state_goes_out_and_comes_back() {
    let host = host_with_step(&Gate::with(0)).await;
    for (given, back) in [(None, "[1]"), (Some(r#"{"id": 7}"#), r#"{"id": 7}"#)] {
        let answer = host.run_step("approval", &call(deed::AGAIN, given)).await;
        let outcome = StepOutcome::Again(1_000);
        let wanted = StepAnswer { outcome, state: Some(back.to_owned()), message: None };
        assert_eq!(answer, Ok(wanted));
    }
}

#[tokio::test]
async fn stopping_and_undoing_are_two_calls() {
    let host = host_with_step(&Gate::with(0)).await;
    let call = call(deed::DONE, Some("[1]"));
    assert_eq!(host.terminate_step("approval", &call).await, Ok(()));
    let refused = Err(Fault::InvalidConfig("no thanks".to_owned()));
    assert_eq!(host.abort_step("approval", &call).await, refused);
}

#[tokio::test]
async fn a_check_has_no_network() {
    let gate = Gate::with(1);
    let host = host_with_step(&gate).await;
    let refused = Err(Fault::InvalidConfig("no thanks".to_owned()));
    assert_eq!(host.validate_step("approval", "{}").await, refused);
    assert_eq!(gate.seen(), 0);
}

#[tokio::test]
async fn a_step_may_send_thirty_two_requests_and_is_stopped_in_the_end() {
    let gate = Gate::with(1000);
    let host = host_with_step(&gate).await;
    assert_eq!(run(&host, deed::FLOOD).await, Err(Fault::CpuExceeded { limit_ms: 200 }));
    assert_eq!(gate.seen(), 32);
}

#[tokio::test]
async fn a_step_that_misbehaves_is_left_alone() {
    let host = host_with_step(&Gate::with(0)).await;
    let garbled = run(&host, deed::GARBLE).await;
    assert!(matches!(garbled, Err(Fault::Malformed(_))), "{garbled:?}");
    for _ in 0..2 {
        let trapped = run(&host, deed::TRAP).await;
        assert!(matches!(trapped, Err(Fault::Trapped { .. })), "{trapped:?}");
    }
    let suspended = run(&host, deed::DONE).await;
    assert!(matches!(suspended, Err(Fault::Suspended { .. })), "{suspended:?}");
}

#[tokio::test]
async fn a_name_belongs_to_its_kind() {
    let host = host_with_step(&Gate::with(0)).await;
    host.install("rate", provider(1.0), Origin::Bundled).await.unwrap();
    let missing = host.run_step("rate", &call(deed::DONE, None)).await.unwrap_err();
    assert_eq!(missing.to_string(), "no step named 'rate' is installed; installed: approval");
}
