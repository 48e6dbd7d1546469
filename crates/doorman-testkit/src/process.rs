//! The program under test as a process, with its configuration, logs and signals.
//!
//! Everything it says is kept and shown when the test fails; its end is noticed by the end of its
//! output, so no waiting needs a clock.

use std::io::{self, BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::raw::{PATIENCE, Raw};

/// How long to park between two attempts to connect to a process that is starting; a line of its
/// log ends the park early.
const PARK: Duration = Duration::from_millis(10);
/// Attempts before a start has failed: with [`PARK`], a minute.
const ATTEMPTS_MAX: usize = 6000;

/// An address of the loopback with a port that nobody has.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, crate::port::free()))
}

/// An empty folder that is removed when it is dropped.
///
/// # Panics
/// When the system gives none.
#[must_use]
pub fn folder() -> TempDir {
    TempDir::with_prefix("doorman-test-").expect("a folder for temporary files")
}

/// A process to be started.
pub struct Program {
    command: Command,
    folder: TempDir,
}

impl Program {
    /// The program at `binary`: `env!("CARGO_BIN_EXE_doorman")` in the caller's test.
    #[must_use]
    pub fn new(binary: impl AsRef<Path>) -> Self {
        let folder = folder();
        let mut command = Command::new(binary.as_ref());
        command.current_dir(folder.path()).env("HOME", folder.path());
        Self { command, folder }
    }

    /// Writes a file into its folder, which is its working directory.
    ///
    /// # Panics
    /// When it can't be written.
    #[must_use]
    pub fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.folder.path().join(name), text).expect("a file in our own folder");
        self
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Adds arguments.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(mut self) -> io::Result<Process> {
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn()?;
        let log = Arc::new(Log::default());
        log.lines().open = 2;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        follow(stdout, &log);
        follow(stderr, &log);
        Ok(Process { child, log, folder: self.folder })
    }

    /// Starts it and waits until it listens on all these addresses.
    ///
    /// # Panics
    /// When it does not, having printed what it said.
    #[must_use]
    pub fn start_listening(self, addresses: &[SocketAddr]) -> Process {
        let mut process = self.start().expect("the program can be started");
        for address in addresses {
            process.wait_until_listening(*address);
        }
        process
    }
}

/// A process that runs. Dropping it kills it.
pub struct Process {
    child: Child,
    log: Arc<Log>,
    folder: TempDir,
}

impl Process {
    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far, on both outputs.
    #[must_use]
    pub fn said(&self) -> Vec<String> {
        self.log.lines().said.clone()
    }

    /// Waits until a line that contains `words` is said; the line.
    ///
    /// # Panics
    /// When it ends before or [`PATIENCE`] has passed.
    #[must_use]
    pub fn wait_for_words(&self, words: &str) -> String {
        let find = |lines: &Lines| lines.said.iter().find(|line| line.contains(words)).cloned();
        self.log.wait(PATIENCE, |lines| lines.open == 0 || find(lines).is_some());
        let found = find(&self.log.lines());
        found.unwrap_or_else(|| panic!("{words:?} was never said in:\n{}", self.said().join("\n")))
    }

    /// Waits until so many lines that contain `words` are said.
    ///
    /// # Panics
    /// When it ends before or [`PATIENCE`] has passed.
    pub fn wait_for_times(&self, words: &str, times: usize) {
        let count = |lines: &Lines| lines.said.iter().filter(|line| line.contains(words)).count();
        self.log.wait(PATIENCE, |lines| lines.open == 0 || count(lines) >= times);
        let found = count(&self.log.lines());
        assert!(found >= times, "{words:?} was said {found} times in:\n{}", self.said().join("\n"));
    }

    /// Waits until it accepts connections at `address`.
    ///
    /// # Panics
    /// When it ends before or a minute has passed.
    pub fn wait_until_listening(&mut self, address: SocketAddr) {
        for _ in 0..ATTEMPTS_MAX {
            if Raw::connect(address).is_ok() {
                return;
            }
            let known = self.log.lines().said.len();
            self.log.wait(PARK, |lines| lines.said.len() > known || lines.open == 0);
            if self.log.lines().open == 0 {
                break;
            }
        }
        panic!("it does not listen at {address}:\n{}", self.said().join("\n"));
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(id.ok_or(io::ErrorKind::NotFound)?, signal)?;
        Ok(())
    }

    /// Waits until it ends; how it ended.
    ///
    /// # Errors
    /// `TimedOut` after [`PATIENCE`].
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.log.wait(PATIENCE, |lines| lines.open == 0);
        if self.log.lines().open > 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.child.wait()
    }

    /// Asks it to end (TERM) and waits.
    ///
    /// # Errors
    /// `TimedOut` after [`PATIENCE`].
    pub fn stop(&mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only for a process that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the process said:\n{}", self.said().join("\n"));
        }
    }
}

#[derive(Default)]
struct Log {
    lines: Mutex<Lines>,
    news: Condvar,
}

#[derive(Default)]
struct Lines {
    said: Vec<String>,
    /// Outputs that are open.
    open: usize,
}

impl Log {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, limit: Duration, ready: impl Fn(&Lines) -> bool) {
        drop(self.news.wait_timeout_while(self.lines(), limit, |lines| !ready(lines)));
    }
}

fn follow(output: Option<impl Read + Send + 'static>, log: &Arc<Log>) {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        let lines = output.into_iter().flat_map(|output| BufReader::new(output).split(b'\n'));
        for line in lines.map_while(Result::ok) {
            log.lines().said.push(String::from_utf8_lossy(&line).into_owned());
            log.news.notify_all();
        }
        log.lines().open -= 1;
        log.news.notify_all();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        Program::new("/bin/sh")
            .file("words", "from a file")
            .arguments(&["-c", script])
            .start()
            .unwrap()
    }

    #[test]
    fn words_signals_and_ends_are_noticed() {
        let mut process =
            shell("trap 'echo bye; exit 3' TERM; cat words; echo; while :; do :; done");
        assert_eq!(process.wait_for_words("file"), "from a file");
        assert_eq!(process.stop().unwrap().code(), Some(3));
        assert_eq!(process.said().last().unwrap(), "bye");
        assert_eq!(shell("exit 0").wait().unwrap().code(), Some(0));
    }

    #[test]
    #[should_panic(expected = "never said")]
    fn a_process_that_ends_says_no_more() {
        let _ = shell("echo this").wait_for_words("that");
    }

    #[test]
    #[should_panic(expected = "does not listen")]
    fn a_process_that_ends_does_not_listen() {
        shell("exit 0").wait_until_listening(free_address());
    }
}
