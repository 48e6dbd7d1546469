//! A doorman whose threads are looked at.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use doorman_testkit::process::{Process, Program, free_address};
use doorman_testkit::raw::Raw;
use doorman_testkit::reply::{Asked, Reply};
use rustix::process::Signal;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_doorman");

/// A user that no system gives files to. It need not be in any list: it is written by number.
pub(crate) const NOBODY: u32 = 65_534;

/// The words that let a process that root starts go on as nobody.
pub(crate) const AS_NOBODY: &str = "user 65534 group 65534";

/// Whether stories that begin as root can be told. They are in every run of the project's own checks.
pub(crate) fn is_root() -> bool {
    let is = rustix::process::geteuid().is_root();
    if !is {
        eprintln!("not told: this story begins as root");
    }
    is
}

/// A port below 1024 that nobody has.
pub(crate) fn privileged_address() -> SocketAddr {
    let free = (601..1024).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    free.into_iter().find(|address| TcpListener::bind(address).is_ok()).unwrap()
}

/// A proxy that runs, in a folder that everybody may look into.
pub(crate) struct House {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

/// A folder with a configuration that has these lines in `global` and in its site.
pub(crate) struct Stage {
    program: Program,
    folder: PathBuf,
    address: SocketAddr,
}

impl Stage {
    pub(crate) fn new(global: &str, site: &str) -> Self {
        Self::at(free_address(), global, site)
    }

    pub(crate) fn at(address: SocketAddr, global: &str, site: &str) -> Self {
        let program = Program::new(BINARY);
        let folder = program.folder().to_owned();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let stage = Self { program, folder, address };
        stage.write(global, site);
        stage
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn write(&self, global: &str, site: &str) {
        write(&self.folder, self.address, global, site);
    }

    /// Writes another configuration.
    pub(crate) fn rewrite(&self, global: &str, site: &str) {
        self.write(global, site);
    }

    /// Starts it and waits until it is ready.
    pub(crate) fn start(self) -> House {
        let process = self.program.arguments(&["run"]).start().unwrap();
        let _ = process.wait_for_words("doorman is ready");
        House { process, address: self.address }
    }

    /// What it says when it does not start.
    pub(crate) fn refused(self) -> String {
        let mut process = self.program.arguments(&["run"]).start().unwrap();
        let status = process.wait().unwrap();
        let said = process.said().join("\n");
        assert_eq!(status.code(), Some(1), "{said}");
        said
    }
}

fn write(folder: &Path, address: SocketAddr, global: &str, site: &str) {
    let own = format!("admin unix:{}/run/admin.sock\n", folder.display());
    let admin = if global.contains("admin ") { "" } else { own.as_str() };
    let text = format!(
        "doorman 1\nglobal {{\n{admin}data {}/data\nworkers 2\n{global}\n}}\nsite http://{address} {{\n{site}\n}}\n",
        folder.display()
    );
    let path = folder.join("doorman.conf");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
}

impl House {
    /// Writes another configuration.
    pub(crate) fn write(&self, global: &str, site: &str) {
        write(self.process.folder(), self.address, global, site);
    }

    /// Reads its configuration again, and waits for these words so many times in all.
    pub(crate) fn reload(&self, words: &str, times: usize) {
        self.process.signal(Signal::HUP).unwrap();
        self.process.wait_for_times(words, times);
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        get(self.address, path)
    }

    /// A command that is given to it.
    pub(crate) fn command(&self, words: &[&str]) -> Output {
        let folder = self.process.folder();
        Command::new(BINARY).current_dir(folder).args(words).output().unwrap()
    }

    /// What a command says on standard output.
    pub(crate) fn says(&self, words: &[&str]) -> String {
        let output = self.command(words);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What the kernel tells of each thread.
    pub(crate) fn threads(&self) -> Vec<Thread> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let texts = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("status")));
        texts.filter_map(|text| text.ok().map(|text| Thread::of(&text))).collect()
    }

    /// Has the same said of each thread.
    pub(crate) fn every_thread(&self, name: &str, expect: &str) {
        let threads = self.threads();
        assert!(threads.len() > 3, "there are some: {threads:?}");
        for thread in threads {
            assert_eq!(thread.get(name), expect, "{name} of {}", thread.get("Name"));
        }
    }
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Reply {
    let mut raw = Raw::connect(address).unwrap();
    raw.send(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n")).unwrap();
    raw.response_to(Asked::Other).unwrap()
}

/// A thread's status: names and values.
#[derive(Debug)]
pub(crate) struct Thread(BTreeMap<String, String>);

impl Thread {
    fn of(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        let line = |(name, value): (&str, &str)| {
            let words: Vec<&str> = value.split_whitespace().collect();
            (name.to_owned(), words.join(" "))
        };
        Self(lines.map(line).collect())
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// No capability.
pub(crate) const NONE: &str = "0000000000000000";
/// That to bind ports below 1024.
pub(crate) const PORTS: &str = "0000000000000400";
