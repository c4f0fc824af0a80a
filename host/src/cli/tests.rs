//! The command line as it is typed.

use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

use super::{
    Cli, Command, Get, GetWhat, List, ListWhat, Retry, RetryWhat, SetWhat, Terminate,
    TerminateWhat, get,
};

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

#[track_caller]
fn command(line: &str) -> Command {
    parse(line).unwrap_or_else(|error| panic!("{line}: {error}")).command
}

#[test]
fn the_command_tree_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn the_cluster_is_named_before_or_after_the_command() {
    for line in [
        "sluice -n market --context east promote shop",
        "sluice promote shop --context=east -n market",
        "sluice promote --namespace market shop --context east",
    ] {
        let cli = parse(line).expect("a correct line");
        assert_eq!(cli.cluster.namespace.as_deref(), Some("market"), "{line}");
        assert_eq!(cli.cluster.context.as_deref(), Some("east"), "{line}");
    }
}

#[test]
fn a_rollout_has_the_names_that_kubectl_gives_it() {
    for kind in ["rollout", "rollouts", "ro"] {
        let line = format!("sluice get {kind} shop -w -o json --no-color");
        let Command::Get(Get { what: GetWhat::Rollout(args) }) = command(&line) else {
            panic!("{line} is another command");
        };
        assert_eq!((args.name.as_str(), args.watch, args.no_color), ("shop", true, true));
        assert_eq!(args.output, get::Output::Json);
        let listed = command(&format!("sluice list {kind} -A"));
        let Command::List(List { what: ListWhat::Rollouts(args) }) = listed else {
            panic!("list {kind} is another command");
        };
        assert!(args.all_namespaces);
        let retried = command(&format!("sluice retry {kind} shop"));
        let Command::Retry(Retry { what: RetryWhat::Rollout(args) }) = retried else {
            panic!("retry {kind} is another command");
        };
        assert_eq!(args.name, "shop");
    }
}

#[test]
fn a_status_is_followed_unless_told_otherwise() {
    let table = [
        ("sluice status shop", true, 0),
        ("sluice status shop -w", true, 0),
        ("sluice status --watch shop --timeout 5m", true, 300),
        ("sluice status shop --watch=false", false, 0),
        ("sluice status shop -w=false -t 90s", false, 90),
    ];
    for (line, watch, seconds) in table {
        let Command::Status(args) = command(line) else { panic!("{line} is another command") };
        assert_eq!(args.name, "shop", "{line}");
        assert_eq!(args.watch, watch, "{line}");
        assert_eq!(args.timeout, Duration::from_secs(seconds), "{line}");
    }
}

#[test]
fn a_restart_is_at_once_or_later() {
    for (line, seconds) in [("sluice restart shop", 0), ("sluice restart shop --in 1h", 3_600)] {
        let Command::Restart(args) = command(line) else { panic!("{line} is another command") };
        assert_eq!(args.wait, Duration::from_secs(seconds), "{line}");
    }
}

#[test]
fn several_images_are_set_at_once() {
    let Command::Set(set) = command("sluice set image shop web=shop:2 log=log:2") else {
        panic!("another command");
    };
    let SetWhat::Image(args) = set.what;
    assert_eq!((args.name.as_str(), args.changes.len()), ("shop", 2));
    assert!(parse("sluice set image shop").is_err());
}

#[test]
fn runs_and_experiments_have_short_names() {
    for kind in ["analysisrun", "analysisruns", "ar"] {
        let line = format!("sluice terminate {kind} shop-1");
        let Command::Terminate(Terminate { what: TerminateWhat::AnalysisRun(args) }) =
            command(&line)
        else {
            panic!("{line} is another command");
        };
        assert_eq!(args.name, "shop-1");
    }
    for kind in ["experiments", "experiment", "exp"] {
        let line = format!("sluice list {kind} -A --watch --timestamps --name e1");
        let Command::List(List { what: ListWhat::Experiments(args) }) = command(&line) else {
            panic!("{line} is another command");
        };
        assert!(args.watch && args.timestamps && args.all_namespaces);
    }
    assert!(parse("sluice list rollouts --timestamps").is_err(), "lines are stamped in a watch");
}

#[test]
fn wrong_usage_ends_with_code_two() {
    for line in ["sluice", "sluice promote", "sluice get shop", "sluice status shop -t soon"] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
    let help = parse("sluice --help").expect_err("help is printed instead");
    assert_eq!((help.kind(), help.exit_code()), (ErrorKind::DisplayHelp, 0));
}
