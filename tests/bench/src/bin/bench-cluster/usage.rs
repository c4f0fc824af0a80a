//! What a process uses, as Linux counts it.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// How often a second Linux counts the use of processors, which it has promised to programs.
const TICKS: f64 = 100.0;

/// What a process uses, in bytes and in time on processors since its start.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Resident.
    pub rss: u64,
    /// Resident, with what is shared divided among those who share it.
    pub pss: u64,
    /// Resident and not mapped from files.
    pub anonymous: u64,
    /// On processors.
    pub cpu: Duration,
}

impl Usage {
    /// Of the process `id`.
    ///
    /// # Errors
    /// When it has ended.
    pub fn of(id: u32) -> Result<Self> {
        let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
        let bytes = |field: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(field));
            let kib = line.and_then(|line| line.trim().strip_suffix("kB"));
            let kib: Option<u64> = kib.and_then(|kib| kib.trim().parse().ok());
            kib.map(|kib| kib * 1024).with_context(|| format!("no {field} in smaps_rollup"))
        };
        let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
        // The second field is the program's name, which may hold spaces and ends with ')'.
        let fields = stat.rsplit_once(')').context("no name in stat")?.1;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |index: usize| -> Result<f64> {
            Ok(fields.get(index).context("no times in stat")?.parse::<f64>()?)
        };
        let cpu = Duration::from_secs_f64((ticks(11)? + ticks(12)?) / TICKS);
        Ok(Self { rss: bytes("Rss:")?, pss: bytes("Pss:")?, anonymous: bytes("Anonymous:")?, cpu })
    }

    /// `RSS / PSS / anonymous` in megabytes.
    pub fn memory(&self) -> String {
        let mb = |bytes: u64| bytes as f64 / 1e6;
        format!("{:.1} / {:.1} / {:.1} MB", mb(self.rss), mb(self.pss), mb(self.anonymous))
    }
}
