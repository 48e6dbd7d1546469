//! Processes under measurement: started on a given core, watched through /proc, ended with their whole
//! group. A core is set on this thread for the moment of the start, because children inherit it; that
//! needs neither unsafe code between fork and exec nor another program.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::Read,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    process::{Pid, Signal, kill_process_group},
    thread::{CpuSet, sched_setaffinity},
};

use crate::{
    failure::{During, Failure},
    guard::Guard,
};

/// How long a process may take to end politely before it is killed.
const FAREWELL: Duration = Duration::from_secs(2);
/// How often a condition on another process is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// A core of the machine, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Core(pub(crate) usize);

impl Core {
    /// The proxy under measurement has this one for itself.
    pub(crate) const PROXY: Self = Self(0);
    /// Origin, load generator and the benchmark itself share this one.
    pub(crate) const LOAD: Self = Self(1);

    /// Moves the calling thread, and the children it starts from now on, to this core.
    pub(crate) fn enter(self) -> Result<(), Failure> {
        let mut set = CpuSet::new();
        set.set(self.0);
        sched_setaffinity(None, &set)
            .during(format!("moving to core {} (the benchmark needs two)", self.0))
    }
}

/// A child process in a group of its own; dropping it ends the group.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
    guard: Guard,
}

impl Running {
    /// Starts `command` on `core`; what it prints as errors goes to a log file in the guard's folder.
    pub(crate) fn start(command: &mut Command, core: Core, guard: &Guard) -> Result<Self, Failure> {
        let program = command.get_program().to_string_lossy().into_owned();
        let stem = Path::new(&program).file_name().unwrap_or_default().to_string_lossy();
        let log = guard.directory().join(format!("{stem}.stderr"));
        let errors = File::create(&log).during(format!("making {}", log.display()))?;
        command.stderr(errors).process_group(0);
        core.enter()?;
        let child = command.spawn().during(format!("starting {program}"));
        Core::LOAD.enter()?;
        let child = child?;
        guard.adopt(child.id());
        Ok(Self { child, log, guard: guard.clone() })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// The last lines of the error log, for a message.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }

    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    pub(crate) fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Waits for the process to end by itself, at most `limit`, and returns what it printed.
    pub(crate) fn finish(mut self, limit: Duration) -> Result<String, Failure> {
        let mut stdout = self.take_stdout().ok_or_else(|| Failure::new("no output to read"))?;
        let reader = thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).map(|_| text)
        });
        if !wait_until(limit, || self.has_ended()) {
            return Err(Failure::new(format!("still running after {limit:?}")));
        }
        let status = self.child.wait()?;
        let text = reader.join().map_err(|_| Failure::new("the output's reader died"))??;
        if !status.success() {
            return Err(Failure::new(format!("{status}\n{}", self.last_words())));
        }
        Ok(text)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, signal);
        }
    }

    /// Waits up to `limit` for the end that a signal or a closed input asked for.
    pub(crate) fn wait(&mut self, limit: Duration) -> bool {
        wait_until(limit, || self.has_ended())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.signal(Signal::TERM);
            if !self.wait(FAREWELL / 10) {
                // A second request to end means "now" to a proxy that drains on the first.
                self.signal(Signal::TERM);
            }
            if !self.wait(FAREWELL) {
                self.signal(Signal::KILL);
            }
        }
        let _ = self.child.wait();
        self.guard.release(self.child.id());
    }
}

/// A command for one of this program's own parts.
pub(crate) fn own_part(words: &[&str]) -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped());
    Ok(command)
}

/// Looks again and again until the condition holds; false when `limit` passed first.
pub(crate) fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if start.elapsed() >= limit {
            return false;
        }
        thread::sleep(GLANCE);
    }
}

/// CPU time spent, in clock ticks of the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ticks {
    pub(crate) user: u64,
    pub(crate) system: u64,
}

impl Ticks {
    pub(crate) fn total(self) -> u64 {
        self.user + self.system
    }

    #[must_use]
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { user: self.user + other.user, system: self.system + other.system }
    }

    #[must_use]
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }
}

/// One line of /proc/PID/stat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) id: u32,
    pub(crate) parent: u32,
    /// Its own, with what it inherited from children that ended.
    pub(crate) spent: Ticks,
}

/// The name in the second field may hold spaces and parentheses, so the fields count from the last one.
pub(crate) fn read_stat(line: &str) -> Option<Stat> {
    let id = line.split(' ').next()?.parse().ok()?;
    let (_, rest) = line.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        id,
        parent: fields.get(1)?.parse().ok()?,
        spent: Ticks { user: ticks(11)? + ticks(13)?, system: ticks(12)? + ticks(14)? },
    })
}

/// The process and all that descend from it.
pub(crate) fn tree(root: u32) -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let all: HashMap<u32, Stat> = entries
        .filter_map(|entry| {
            let id: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = read_stat(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)?;
            Some((id, stat))
        })
        .collect();
    let descends = |mut id: u32| {
        // A chain of parents is never longer than the table.
        for _ in 0..all.len() {
            if id == root {
                return true;
            }
            match all.get(&id) {
                Some(stat) => id = stat.parent,
                None => return false,
            }
        }
        false
    };
    all.values().filter(|stat| descends(stat.id)).copied().collect()
}

/// CPU time of a process and all that descend from it.
pub(crate) fn spent_by_tree(root: u32) -> Ticks {
    tree(root).iter().fold(Ticks::default(), |sum, stat| sum.plus(stat.spent))
}

/// Memory of a process and all that descend from it, in KiB of resident pages.
pub(crate) fn resident_kib(root: u32) -> u64 {
    tree(root).iter().map(|stat| resident_kib_of(stat.id)).sum()
}

/// The roll-up is exact; the counters in `status` lag behind by some pages for each core.
fn resident_kib_of(id: u32) -> u64 {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(format!("/proc/{id}/{file}")).ok()?;
        kib_field(&text, name)
    };
    field("smaps_rollup", "Rss:").or_else(|| field("status", "VmRSS:")).unwrap_or(0)
}

fn kib_field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Ticks that all cores together were busy since boot, from the first line of /proc/stat.
pub(crate) fn busy_ticks(stat: &str) -> Option<u64> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?;
    let numbers: Vec<u64> =
        fields.split_ascii_whitespace().map_while(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guest time is in user already.
    let [user, nice, system, _idle, _iowait, irq, softirq, steal, ..] = numbers[..] else {
        return None;
    };
    Some(user + nice + system + irq + softirq + steal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_line_of_stat() {
        let tail = "1 1 1 0 -1 4194560 100 0 0 0 70 30 5 2 20 0 1 0 900 1000 50 184467";
        for name in ["nginx", "a b", "a) b", "((x)"] {
            let line = format!("41 ({name}) S 7 {}", &tail[2..]);
            let spent = Ticks { user: 75, system: 32 };
            assert_eq!(read_stat(&line), Some(Stat { id: 41, parent: 7, spent }), "{line}");
        }
        for line in ["", "41", "41 (x)", "41 (x) S 7 1 1"] {
            assert_eq!(read_stat(line), None, "{line}");
        }
    }

    #[test]
    fn adds_up_what_kept_the_cores_busy() {
        let stat = "cpu  10 1 20 900 50 3 4 2 6 0\ncpu0 5 0 10 450 25 1 2 1 3 0\n";
        assert_eq!(busy_ticks(stat), Some(40));
        for broken in ["", "cpu 1 2", "intr 1 2 3 4 5 6 7 8"] {
            assert_eq!(busy_ticks(broken), None, "{broken}");
        }
    }

    #[test]
    fn finds_a_memory_field() {
        let text = "Name:\tx\nVmRSS:\t    4312 kB\nRssAnon: 1 kB\n";
        assert_eq!(kib_field(text, "VmRSS:"), Some(4312));
        assert_eq!(kib_field(text, "Rss:"), None);
    }

    #[test]
    fn this_process_descends_from_its_parent() {
        let here = std::process::id();
        assert!(tree(std::os::unix::process::parent_id()).iter().any(|stat| stat.id == here));
        assert!(resident_kib(here) > 100);
    }
}
