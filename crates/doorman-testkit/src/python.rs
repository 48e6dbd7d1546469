//! Peers that others wrote in Python: packages of PyPI in one virtual environment, which is made once and
//! kept.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::process::free_address;

/// The packages, each of one version, so that the same commit meets the same peers. One environment has
/// all of them: it takes a quarter of a minute to make.
const PACKAGES: [&str; 7] = [
    "aioquic==1.7.2",
    "grpcio==1.85.3",
    "grpcio-health-checking==1.85.1",
    "kosoku==0.1.0",
    "mmdb_writer==0.2.7",
    "sslyze==6.3.1",
    "websockets==17.4",
];

/// An interpreter that has the packages, and the scripts that it runs.
#[derive(Clone, Debug)]
pub struct Python {
    interpreter: PathBuf,
    scripts: PathBuf,
}

impl Python {
    /// With the environment in `folder`, and scripts of another. `None` where the packages cannot be
    /// had, which fails a run of the CI.
    ///
    /// # Panics
    /// When they cannot be had and the variable `CI` is set.
    #[must_use]
    pub fn find(folder: &str, scripts: &str) -> Option<Self> {
        // Tests that ask at the same time make one environment, not one each.
        static MAKING: Mutex<()> = Mutex::new(());
        let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let (folder, scripts) = (Path::new(folder), PathBuf::from(scripts));
        let name = format!("python-{}", PACKAGES.join("-").replace(['=', '.'], "-"));
        let place = folder.join(name);
        let interpreter = place.join("bin/python");
        if !interpreter.exists()
            && let Err(why) = make(folder, &place)
        {
            assert!(std::env::var_os("CI").is_none(), "no {PACKAGES:?}: {why}");
            eprintln!("skipped, since there is no {PACKAGES:?}: {why}");
            return None;
        }
        Some(Self { interpreter, scripts })
    }

    /// What runs a script.
    #[must_use]
    pub fn command(&self, script: &str) -> Command {
        let mut command = Command::new(&self.interpreter);
        command.arg(self.scripts.join(script));
        command
    }

    /// Starts a server: a script that gets its port and these arguments, and says `ready` once it
    /// serves.
    ///
    /// # Panics
    /// It does not say so.
    pub fn serve<'a>(&self, script: &str, arguments: impl IntoIterator<Item = &'a str>) -> Server {
        let address = free_address();
        let mut child = self
            .command(script)
            .arg(address.port().to_string())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the environment has an interpreter");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it was asked for");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n", "{script}");
        Server { child, address }
    }

    /// Runs a client to its end.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn run(&self, script: &str, arguments: &[&str]) -> Output {
        let mut command = self.command(script);
        command.args(arguments).output().expect("the environment has an interpreter")
    }

    /// Runs a client that must succeed; what it said.
    ///
    /// # Panics
    /// It fails.
    #[track_caller]
    pub fn tell(&self, script: &str, arguments: &[&str]) -> String {
        let output = self.run(script, arguments);
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        let status = output.status;
        assert!(status.success(), "{script} {arguments:?}, {status}: {told}\n{errors}");
        told
    }
}

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Gives it a line to read.
    ///
    /// # Panics
    /// It reads no more.
    pub fn tell(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("it was asked for");
        writeln!(input, "{line}").and_then(|()| input.flush()).expect("it reads");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its input ends, and so does it.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Makes the environment aside and moves it to its place, so that a half made one is never used.
fn make(folder: &Path, place: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let aside = tempfile::TempDir::with_prefix_in("python-", folder).map_err(|e| e.to_string())?;
    let aside = aside.keep();
    let python = aside.join("bin/python");
    run(Command::new("python3").args(["-m", "venv"]).arg(&aside))?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(Command::new(python).args(install).args(PACKAGES))?;
    match std::fs::rename(&aside, place) {
        // Another program was faster.
        Err(_) if place.exists() => std::fs::remove_dir_all(&aside).map_err(|e| e.to_string()),
        moved => moved.map_err(|error| error.to_string()),
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))
}
