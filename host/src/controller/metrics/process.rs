//! What Linux tells of this process, by the names that Prometheus' own clients use.

use std::fs;

use super::page::{Page, float};

/// What the kernel counts processor time in; it is the same on every machine that Linux runs on
/// since user space was promised so.
const TICKS_PER_SECOND: f64 = 100.0;

/// All that can be read; nothing where there is no such file.
pub(super) fn process(page: &mut Page) {
    let values = [
        (
            "process_resident_memory_bytes",
            "gauge",
            "Memory in use.",
            status("VmRSS:").map(|kibibytes| kibibytes * 1024.0),
        ),
        (
            "process_virtual_memory_bytes",
            "gauge",
            "Memory that is mapped.",
            status("VmSize:").map(|kibibytes| kibibytes * 1024.0),
        ),
        ("process_cpu_seconds_total", "counter", "Processor time.", processor_seconds()),
        ("process_start_time_seconds", "gauge", "Start of the process.", started()),
        ("process_threads", "gauge", "Threads.", status("Threads:")),
        ("process_open_fds", "gauge", "Open files.", open_files()),
        ("process_max_fds", "gauge", "Open files allowed.", allowed_files()),
    ];
    for (metric, kind, help, value) in values {
        if let Some(value) = value {
            page.single(metric, kind, help, &[], value);
        }
    }
}

/// The number behind a label, without its unit.
fn status(label: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(label))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The fields behind the name, which may itself have blanks in it; the first is the state.
fn stat() -> Option<Vec<f64>> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    Some(fields.split_whitespace().map(|field| field.parse().unwrap_or_default()).collect())
}

fn processor_seconds() -> Option<f64> {
    let fields = stat()?;
    Some((fields.get(11)? + fields.get(12)?) / TICKS_PER_SECOND)
}

fn started() -> Option<f64> {
    let machine = fs::read_to_string("/proc/stat").ok()?;
    let booted = machine.lines().find_map(|line| line.strip_prefix("btime "))?;
    let booted: f64 = booted.trim().parse().ok()?;
    Some(booted + stat()?.get(19)? / TICKS_PER_SECOND)
}

fn open_files() -> Option<f64> {
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    // The folder itself is open while it is read.
    Some(float(count.saturating_sub(1) as u64))
}

fn allowed_files() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_told_of() {
        let seen = [status("VmRSS:"), processor_seconds(), open_files(), allowed_files()];
        assert!(seen.iter().all(Option::is_some), "{seen:?}");
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        let started = started().unwrap();
        assert!(started <= now + 1.0 && now - started < 3_600.0, "{started} and {now}");
    }
}
