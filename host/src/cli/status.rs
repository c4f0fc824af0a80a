//! `sluice status`: follow a rollout until it rests.

use std::process::ExitCode;
use std::time::Duration;

use clap::ArgAction;
use futures::StreamExt as _;
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::Value;
use sluice_view::{Phase, phase};

use super::output::print;
use crate::client::{Cluster, ClusterArgs, json, rollouts};

/// Arguments of the command.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  sluice status shop --timeout 10m\n  sluice status shop --watch=false\n\nThe exit code is 1 when the rollout is degraded or the time is over."
)]
pub struct Args {
    /// Which to follow: the name of a rollout.
    #[arg(value_name = "ROLLOUT")]
    pub name: String,
    /// Follow it; otherwise its status is printed once.
    #[arg(
        short,
        long,
        action = ArgAction::Set,
        default_value_t = true,
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        value_name = "BOOL"
    )]
    pub watch: bool,
    /// How long to follow it, as in 90s, 5m or 1h30m; 0 is for ever.
    #[arg(short, long, default_value = "0", value_parser = duration, value_name = "DURATION")]
    pub timeout: Duration,
}

/// A duration in the words of the command line.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let parsed: jiff::SignedDuration =
        text.parse().map_err(|_| "expected a duration such as 90s, 5m or 1h30m".to_owned())?;
    Duration::try_from(parsed).map_err(|_| "a duration cannot be negative".to_owned())
}

/// Print the status, once or on each change. The code is 1 when the rollout is degraded.
pub async fn run(args: Args, cluster: &ClusterArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(cluster).await?;
    let rollout = cluster.rollout(&args.name).await?;
    let last = if !args.watch {
        let seen = phase(&rollout);
        print(&format!("{}\n", seen.line()))?;
        seen
    } else if args.timeout.is_zero() {
        follow(&cluster, &args.name, &rollout).await?
    } else {
        tokio::time::timeout(args.timeout, follow(&cluster, &args.name, &rollout))
            .await
            .map_err(|_| anyhow::anyhow!("Rollout status watch exceeded timeout"))??
    };
    if last.is_degraded() {
        anyhow::bail!("The rollout is in a degraded state with message: {}", last.message);
    }
    Ok(ExitCode::SUCCESS)
}

/// Print each change until the rollout is healthy or degraded.
///
/// A watch that breaks is taken up again, so the only ends are a final phase and the rollout's
/// deletion.
async fn follow(cluster: &Cluster, name: &str, rollout: &Value) -> anyhow::Result<Phase> {
    let mut seen = phase(rollout);
    print(&format!("{}\n", seen.line()))?;
    let changes = watcher::watch_object(cluster.api(&rollouts()), name).default_backoff();
    let mut changes = std::pin::pin!(changes);
    while !seen.is_final() {
        match changes.next().await {
            Some(Ok(Some(object))) => {
                let next = phase(&json(&object)?);
                if next != seen {
                    print(&format!("{}\n", next.line()))?;
                    seen = next;
                }
            }
            Some(Ok(None)) => anyhow::bail!("rollout \"{name}\" was deleted"),
            Some(Err(error)) => {
                let doing = format!("watch rollout \"{name}\"");
                match cluster.explain_watch(&doing, error) {
                    (error, true) => return Err(error.into()),
                    (error, false) => eprintln!("{error}; trying again"),
                }
            }
            None => anyhow::bail!("the watch of rollout \"{name}\" has ended"),
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::duration;

    #[test]
    fn timeouts_are_durations_in_words_or_zero() {
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5_400)));
        assert!(duration("-5s").is_err());
        assert!(duration("soon").is_err());
    }
}
