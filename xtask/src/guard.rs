//! Cleans up after a benchmark however it ends. The guard is a process of its own that holds the reading
//! end of a pipe: an interrupt, a kill or a crash closes the writing end, and no signal handler, which
//! would need unsafe code and could be forgotten on one path, has to run.

use std::{
    collections::HashSet,
    fmt::Display,
    fs,
    io::{BufRead, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use rustix::process::{Pid, Signal, kill_process_group, setpriority_process};

use crate::failure::{During, Failure};

/// The niceness that goes before all others.
const HIGHEST: i32 = -20;
/// The weight of this session, on kernels that weigh sessions.
const SESSION_WEIGHT: &str = "/proc/self/autogroup";

/// The benchmark's end: a folder that goes away with it, and the process groups that end with it.
#[derive(Clone)]
pub(crate) struct Guard(Arc<Watched>);

struct Watched {
    directory: PathBuf,
    process: Mutex<Child>,
    pipe: Mutex<Option<ChildStdin>>,
}

impl Guard {
    /// Makes a temporary folder and the process that outlives this one by a moment.
    pub(crate) fn start() -> Result<Self, Failure> {
        let name = format!("doorman-bench-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).during(format!("making {}", directory.display()))?;
        let mut process = Command::new(std::env::current_exe()?)
            .arg("guard")
            .arg(&directory)
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .during("starting the guard")?;
        let pipe = process.stdin.take();
        Ok(Self(Arc::new(Watched {
            directory,
            process: Mutex::new(process),
            pipe: Mutex::new(pipe),
        })))
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.0.directory
    }

    /// From here on the process group `id` ends with the benchmark.
    pub(crate) fn adopt(&self, id: u32) {
        self.tell('+', id);
    }

    /// The process group was ended and waited for; its number may soon be another's.
    pub(crate) fn release(&self, id: u32) {
        self.tell('-', id);
    }

    /// Gives the processes of this session the highest weight, until the benchmark ends. Where the kernel
    /// weighs whole sessions against each other, niceness alone would count only within this one.
    pub(crate) fn come_first(&self) -> Result<(), Failure> {
        setpriority_process(None, HIGHEST).during("asking for priority")?;
        let Ok(group) = fs::read_to_string(SESSION_WEIGHT) else { return Ok(()) };
        let earlier = group.trim_end().rsplit(' ').next().unwrap_or("0");
        self.tell('=', earlier);
        fs::write(SESSION_WEIGHT, HIGHEST.to_string()).during("asking for priority")
    }

    fn tell(&self, mark: char, word: impl Display) {
        let mut pipe = self.0.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipe) = pipe.as_mut() {
            // A guard that is gone can't be told; what the benchmark stops itself it still stops.
            let _ = writeln!(pipe, "{mark}{word}");
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.pipe.get_mut().unwrap_or_else(PoisonError::into_inner).take());
        let _ = self.process.get_mut().unwrap_or_else(PoisonError::into_inner).wait();
    }
}

/// What the guard has to set right.
#[derive(Default)]
struct Charge {
    groups: HashSet<Pid>,
    session_weight: Option<String>,
}

/// The guard's own life: take notes until the pipe closes, then end the groups, give the session its
/// weight back and remove the folder.
pub(crate) fn watch(directory: &Path) {
    let mut charge = Charge::default();
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        charge.note(&line);
    }
    for group in charge.groups {
        let _ = kill_process_group(group, Signal::KILL);
    }
    if let Some(weight) = charge.session_weight {
        let _ = fs::write(SESSION_WEIGHT, weight);
    }
    let _ = fs::remove_dir_all(directory);
}

impl Charge {
    fn note(&mut self, line: &str) {
        let Some((mark, word)) = line.split_at_checked(1) else { return };
        if mark == "=" {
            self.session_weight = Some(word.into());
            return;
        }
        let Some(group) = word.parse().ok().and_then(Pid::from_raw) else { return };
        match mark {
            "+" => self.groups.insert(group),
            _ => self.groups.remove(&group),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_what_was_not_released() {
        let mut charge = Charge::default();
        for line in ["+12", "+13", "-12", "", "x", "+0", "=5", "+99999999999", "-77"] {
            charge.note(line);
        }
        let left: Vec<i32> =
            charge.groups.iter().map(|group| group.as_raw_nonzero().get()).collect();
        assert_eq!((left, charge.session_weight), (vec![13], Some("5".into())));
    }
}
