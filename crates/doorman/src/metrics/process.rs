//! Basics of the process, by the names that every Prometheus exporter uses.

use doorman_http::Now;

use super::text::{Kind, Page};

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
