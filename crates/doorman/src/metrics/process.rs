//! Basics of the process, by the names that every Prometheus exporter uses.

use doorman_http::Now;

use super::text::{Kind, Page};
use crate::harden::{self, Standing};

pub(super) fn write(page: &mut Page, started: Now) {
    page.one(
        "process_start_time_seconds",
        "When the process started.",
        Kind::Gauge,
        &[],
        started.unix_seconds(),
    );
    // Without /proc there is nothing to tell.
    if let Some(bytes) = resident_bytes() {
        let help = "Memory in use.";
        page.one("process_resident_memory_bytes", help, Kind::Gauge, &[], bytes);
    }
    if let Ok(folder) = std::fs::read_dir("/proc/self/fd") {
        // Reading the folder takes a descriptor itself.
        let open = (folder.count() as u64).saturating_sub(1);
        page.one("process_open_fds", "Open descriptors.", Kind::Gauge, &[], open);
    }
    if let Some(hardened) = harden::told() {
        let help = "Whether a thing that could be given up is given up: 1, or 0 if it is not.";
        page.family("doorman_hardened", help, Kind::Gauge);
        for measure in &hardened.measures {
            let is_on = matches!(measure.standing, Standing::On | Standing::Partial);
            page.sample("", &[("measure", &measure.name)], u64::from(is_on));
        }
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    if let Some(limit) = limit {
        page.one("process_max_fds", "Descriptors that may be open.", Kind::Gauge, &[], limit);
    }
}

/// Bytes of memory that the process has now, where the system tells.
pub(crate) fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kibibytes.checked_mul(1024)
}
