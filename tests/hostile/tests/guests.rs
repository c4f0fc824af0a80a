//! Components that compute, allocate, recurse, lie and trap. Each is stopped by a fault that says
//! why, and its neighbour does not notice.
#![expect(clippy::unwrap_used, reason = "helpers of tests may")]

use std::fmt::Write as _;
use std::sync::Arc;

use sluice_hostile::{Record, assert_calm, attacker, attacker_with, fixture, host, measure};
use sluice_port::{Components, Fault, Measured, MetricCall, Routing, StepCall};
use sluice_wasm::{ComponentHost, Origin};

/// What becomes of a component that does this.
async fn fault_of(bytes: Vec<u8>) -> Fault {
    let host = host(Arc::new(Record::default())).await;
    host.install("attacker", bytes, Origin::Bundled).await.unwrap();
    let fault = measure(&host, "attacker").await.unwrap_err();
    assert_calm(&host).await;
    fault
}

#[tokio::test]
async fn every_way_to_take_too_much_is_stopped_by_its_limit() {
    let forever = "(loop $on (br $on))";
    let four_gib = "(drop (memory.grow (i32.const 65534)))
        (if (i32.lt_u (memory.size) (i32.const 65534)) (then unreachable))";
    let recursion = "(drop (call $act (local.get $what)))";
    let touch_all = "(loop $on (drop (memory.grow (i32.const 1)))
        (i32.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4)) (i32.const 1))
        (br $on))";
    let flood = "(loop $on (call $fetch) (br $on))";
    let table = "(table $t 1 funcref)";
    let grow_table = "(if (i32.eq (table.grow $t (ref.null func) (i32.const 100000000))
        (i32.const -1)) (then unreachable)) (return (call $number (f64.const 1)))";
    let mut seen = String::new();
    for (name, bytes) in [
        ("loops", attacker(forever)),
        ("asks for 4 GiB at once", attacker(four_gib)),
        ("touches one page after the other", attacker(touch_all)),
        ("recurses", attacker(recursion)),
        ("sends requests for ever", attacker(flood)),
        ("grows a table", attacker_with(table, grow_table)),
    ] {
        let fault = fault_of(bytes).await;
        let text = fault.to_string();
        let line = text.lines().next().unwrap_or_default();
        writeln!(seen, "{name}: {}: {line}", fault.kind()).unwrap();
    }
    compare("taking.txt", &seen);
}

#[tokio::test]
async fn every_lie_in_an_answer_is_found() {
    // The result is at 1024, its payload at 1032 and 1040; see the fixture.
    let text = |at: &str, length: &str| {
        format!(
            "(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store (i32.const 1036) {at}) \
             (i32.store (i32.const 1040) {length}) (return (i32.const 1024))"
        )
    };
    let json = |at: u32, length: u32| {
        format!(
            "(i32.store8 (i32.const 1032) (i32.const 2)) (i32.store (i32.const 1040) \
             (i32.const {at})) (i32.store (i32.const 1044) (i32.const {length})) \
             (return (i32.const 1024))"
        )
    };
    let number = |number: &str| format!("(return (call $number (f64.const {number})))");
    let mut seen = String::new();
    for (name, acts) in [
        ("a result outside of its memory", "(return (i32.const -16))".to_owned()),
        ("a result that is not aligned", "(return (i32.const 1025))".to_owned()),
        (
            "a case that there is not",
            "(i32.store8 (i32.const 1024) (i32.const 200)) (return (i32.const 1024))".to_owned(),
        ),
        ("a text outside of its memory", text("(i32.const 64)", "(i32.const -1)")),
        (
            "a text that is no text",
            format!(
                "(i32.store (i32.const 2000) (i32.const -1)) {}",
                text("(i32.const 2000)", "(i32.const 4)")
            ),
        ),
        (
            "a document of a megabyte",
            format!(
                "(drop (memory.grow (i32.const 32))) (memory.fill (i32.const 4096) (i32.const 97) (i32.const 1048576)) (i32.store8 (i32.const 4096) (i32.const 34)) (i32.store8 (i32.const 1052671) (i32.const 34)) {}",
                json(4096, 1 << 20)
            ),
        ),
        ("a document of nothing", json(4096, 0)),
        ("a number that is none", number("nan")),
        ("a number without an end", number("inf")),
    ] {
        let host = host(Arc::new(Record::default())).await;
        host.install("attacker", attacker(&acts), Origin::Bundled).await.unwrap();
        let outcome = match measure(&host, "attacker").await {
            Ok(Measured::Value(value)) => format!("measured {} bytes", value.len()),
            Ok(measured) => format!("measured {measured:?}"),
            Err(fault) => {
                let text = fault.to_string();
                let line: String =
                    text.lines().next().unwrap_or_default().chars().take(160).collect();
                format!("{}: {line}", fault.kind())
            }
        };
        assert_calm(&host).await;
        writeln!(seen, "{name}: {outcome}").unwrap();
    }
    compare("lies.txt", &seen);
}

#[tokio::test]
async fn a_text_of_megabytes_is_cut_before_anybody_keeps_it() {
    let long = "(drop (memory.grow (i32.const 512)))
        (memory.fill (i32.const 131072) (i32.const 97) (i32.const 30000000))
        (i32.store8 (i32.const 1024) (i32.const 1))
        (i32.store (i32.const 1036) (i32.const 131072))
        (i32.store (i32.const 1040) (i32.const 30000000))
        (return (i32.const 1024))";
    let fault = fault_of(attacker(long)).await;
    assert!(fault.to_string().len() < 4096, "{} bytes are kept", fault.to_string().len());
}

/// A module with a trap at the beginning of this export.
fn trapping(module: &str, export: &str) -> Option<String> {
    let at = module.find(&format!("#{export}\")"))?;
    // After the head of the function, which ends with its result.
    let head = at + module[at..].find("(result i32)")? + "(result i32)".len();
    Some(format!("{} unreachable {}", &module[..head], &module[head..]))
}

async fn installed(world: &str, module: &str) -> Result<ComponentHost, String> {
    let host = host(Arc::new(Record::default())).await;
    let bytes = fixture::component(world, module);
    let done = host.install("attacker", bytes, Origin::Bundled).await;
    done.map(|_| host).map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_provider_that_traps_at_any_export_is_contained() {
    let module = fixture::provider_module(1.0);
    for export in ["validate", "run", "resume", "terminate"] {
        let module = trapping(&module, export).unwrap();
        let host = installed("sluice:metric/metric-provider", &module).await.unwrap();
        let call = MetricCall { config: "{}".to_owned(), ..MetricCall::default() };
        let fault = match export {
            "validate" => host.validate_metric("attacker", "{}").await.unwrap_err(),
            "run" => host.measure("attacker", &call).await.unwrap_err(),
            "resume" => host.resume("attacker", &call, "{}").await.unwrap_err(),
            _ => host.terminate("attacker", &call, "{}").await.unwrap_err(),
        };
        assert!(matches!(fault, Fault::Trapped { .. }), "{export}: {fault:?}");
        assert_calm(&host).await;
    }
}

#[tokio::test]
async fn a_router_that_traps_at_any_export_is_contained() {
    let world = "sluice:traffic/traffic-router";
    let refused = installed(world, &trapping(fixture::ROUTER, "capabilities").unwrap()).await;
    let why = refused.err().unwrap();
    assert!(why.starts_with("on trial: "), "{why}");
    let shared = fixture::ROUTER.replace(
        "(func $change (param i32) (result i32)",
        "(func $change (param i32) (result i32) unreachable",
    );
    let module = |export: &str| match export {
        "route" | "release" => shared.clone(),
        export => trapping(fixture::ROUTER, export).unwrap(),
    };
    for export in ["validate", "references", "route", "release", "verify"] {
        let host = installed(world, &module(export)).await.unwrap();
        let routing = Routing::default();
        let fault = match export {
            "validate" => host.validate_router("attacker", "{}").await.unwrap_err(),
            "references" => host.references("attacker", &routing, &[]).await.unwrap_err(),
            "route" => host.route("attacker", &routing, &[]).await.unwrap_err(),
            "release" => host.release("attacker", &routing, &[]).await.unwrap_err(),
            _ => host.verify("attacker", &routing, &[]).await.unwrap_err(),
        };
        assert!(matches!(fault, Fault::Trapped { .. }), "{export}: {fault:?}");
        assert_calm(&host).await;
    }
}

#[tokio::test]
async fn a_step_that_traps_at_any_export_is_contained() {
    for export in ["validate", "run", "terminate", "abort"] {
        let module = trapping(fixture::STEP, export).unwrap();
        let host = installed("sluice:step/step-plugin", &module).await.unwrap();
        let call = StepCall { config: "{}".to_owned(), ..StepCall::default() };
        let fault = match export {
            "validate" => host.validate_step("attacker", "{}").await.unwrap_err(),
            "run" => host.run_step("attacker", &call).await.map(drop).unwrap_err(),
            "terminate" => host.terminate_step("attacker", &call).await.unwrap_err(),
            _ => host.abort_step("attacker", &call).await.unwrap_err(),
        };
        assert!(matches!(fault, Fault::Trapped { .. }), "{export}: {fault:?}");
        assert_calm(&host).await;
    }
}

#[tokio::test]
async fn one_that_attacks_while_it_is_loaded_is_not_taken() {
    // On a machine that is busy with other things the time on the clock is up first.
    let too_long = &["computed for more than", "did not answer within"][..];
    for (start, why) in [("unreachable", &["unreachable"][..]), ("(loop $on (br $on))", too_long)] {
        let told = |text: &str| why.iter().any(|why| text.contains(why));
        let module = fixture::provider_module(1.0)
            .replace("(func $fetch", &format!("(func $begin {start}) (start $begin) (func $fetch"));
        let host = installed("sluice:metric/metric-provider", &module).await;
        match host {
            Err(error) => assert!(told(&error), "{error}"),
            // What is only found out when it is called is contained then.
            Ok(host) => {
                let fault = measure(&host, "attacker").await.unwrap_err().to_string();
                assert!(told(&fault), "{fault}");
                assert_calm(&host).await;
            }
        }
    }
}

/// Compare with the text beside this file; `UPDATE=1` writes it.
fn compare(name: &str, seen: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, seen).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(seen, expected, "differs from {name}; UPDATE=1 writes it anew");
}
