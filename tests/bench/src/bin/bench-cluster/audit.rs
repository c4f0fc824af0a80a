//! What each client asked of the API server, from the server's own audit log: a controller cannot
//! miscount what somebody else writes down.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::Value;
use sluice_e2e::{Cluster, run_folder};

/// One line for each request that was answered, without bodies.
const POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules: [{level: Metadata}]
";

/// The audit log of the shared cluster, read as it grows.
pub struct Audit {
    log: PathBuf,
    read: u64,
}

/// What was asked, by kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// Gets and lists; watches are not counted.
    pub reads: u32,
    /// Everything that changes an object, except Events and Leases.
    pub writes: u32,
    /// Writes of Events.
    pub events: u32,
    /// Reads and writes of Leases.
    pub leases: u32,
    /// Writes that came too late.
    pub conflicts: u32,
}

impl Audit {
    /// Start the shared cluster with an audit log.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start() -> Result<(&'static Cluster, Self)> {
        let policy = run_folder()?.join("audit-policy.yaml");
        let log = run_folder()?.join("audit.log");
        fs::write(&policy, POLICY).context("failed to write the audit policy")?;
        let flags = [
            format!("--apiserver-arg=--audit-policy-file={}", policy.display()),
            format!("--apiserver-arg=--audit-log-path={}", log.display()),
        ];
        let cluster = Cluster::shared_with(flags.into()).await?;
        Ok((cluster, Self { log, read: 0 }))
    }

    /// Pass over what was asked so far.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn skip(&mut self) -> Result<()> {
        self.read = fs::metadata(&self.log)?.len();
        Ok(())
    }

    /// What the clients whose user agent contains `agent` asked since the last call.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn take(&mut self, agent: &str) -> Result<Asked> {
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        self.read += whole as u64;
        let mut asked = Asked::default();
        for line in text[..whole].lines() {
            asked.count(&serde_json::from_str(line)?, agent);
        }
        Ok(asked)
    }
}

impl Asked {
    fn count(&mut self, entry: &Value, agent: &str) {
        let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str).unwrap_or("");
        if !text("/userAgent").contains(agent) {
            return;
        }
        let place = match (text("/objectRef/resource"), text("/verb")) {
            (_, "watch") => return,
            ("leases", _) => &mut self.leases,
            ("events", _) => &mut self.events,
            (_, "get" | "list") => &mut self.reads,
            _ => &mut self.writes,
        };
        *place += 1;
        if entry["responseStatus"]["code"] == 409 {
            self.conflicts += 1;
        }
    }
}
