//! The proxy: the built binary, as a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use doorman_testkit::port::free as free_port;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{Front, Origin, PATIENCE, Pair};

/// A running proxy.
pub(crate) struct House {
    pub(crate) front: Front,
    /// Where clients of this front connect to.
    pub(crate) address: SocketAddr,
    folder: TempDir,
    child: Mutex<Child>,
    log: Arc<Lines>,
    errors: Arc<Lines>,
}

/// Lines that a process writes.
#[derive(Default)]
struct Lines {
    lines: Mutex<Vec<String>>,
    news: Condvar,
}

impl Lines {
    fn follow(self: Arc<Self>, stream: impl Read + Send + 'static) {
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                self.news.notify_all();
            }
        });
    }

    fn all(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn find(&self, time: Duration, fits: impl Fn(&str) -> bool) -> Option<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let none = |lines: &mut Vec<String>| !lines.iter().any(|line| fits(line));
        let (lines, _) =
            self.news.wait_timeout_while(lines, time, none).unwrap_or_else(PoisonError::into_inner);
        lines.iter().find(|line| fits(line)).cloned()
    }
}

impl House {
    /// One site before `origin`, with `options` in it.
    pub(crate) fn before(pair: Pair, origin: &Origin, options: &str) -> Self {
        Self::with(pair, "", &format!("{} @SITE {{ {options}\nproxy o }}", origin.upstream("o")))
    }

    /// `text` with `@SITE` for the head of a site that this front's clients reach as `localhost`, and
    /// `@PORT` for its port; `global` goes into the global block.
    pub(crate) fn with(pair: Pair, global: &str, text: &str) -> Self {
        Self::running(&["run"], &[], pair, global, text)
    }

    /// As [`House::with`], with files beside its configuration (`@FOLDER`, where secrets are, too), and
    /// it watches them.
    pub(crate) fn watching(pair: Pair, files: &[(&str, &str)], text: &str) -> Self {
        let house = Self::running(&["run", "--watch"], files, pair, "", text);
        // It is open a moment before it watches.
        house.said("is ready");
        house
    }

    fn running(
        command: &[&str],
        files: &[(&str, &str)],
        pair: Pair,
        global: &str,
        text: &str,
    ) -> Self {
        let port = free_port();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("doorman.conf");
        let text = whole(pair.front, port, folder.path(), global, text);
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).expect("our own folder");
        }
        std::fs::write(&path, &text).expect("our own folder");
        let mut child = Command::new(env!("CARGO_BIN_EXE_doorman"))
            .args(command)
            .arg("-c")
            .arg(&path)
            .env("DOORMAN_SECRETS", folder.path())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the built binary");
        let (log, errors) = (Arc::new(Lines::default()), Arc::new(Lines::default()));
        Arc::clone(&log).follow(child.stdout.take().expect("a pipe"));
        Arc::clone(&errors).follow(child.stderr.take().expect("a pipe"));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let house =
            Self { front: pair.front, address, folder, child: Mutex::new(child), log, errors };
        house.wait_until_open(&text);
        house
    }

    fn wait_until_open(&self, text: &str) {
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            let gone = self.child().try_wait().expect("our own child").is_some();
            let errors = self.errors.all().join("\n");
            assert!(!gone && begun.elapsed() < PATIENCE, "the proxy is not up:\n{errors}\n{text}");
            // Wakes with the next line, and now and then.
            self.errors.find(Duration::from_millis(5), |_| false);
        }
        // What answered may have been the house finding out whether the port is free, and what comes
        // in that moment is reset. A story that sends this line elsewhere waits in vain for a moment.
        self.errors.find(Duration::from_secs(1), |line| line.contains("doorman is ready"));
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes another configuration, without telling the proxy.
    pub(crate) fn rewrite(&self, global: &str, text: &str) {
        let text = whole(self.front, self.address.port(), self.folder(), global, text);
        let path = self.folder().join("doorman.conf");
        let fresh = self.folder().join("doorman.conf.new");
        std::fs::write(&fresh, text)
            .and_then(|()| std::fs::rename(fresh, path))
            .expect("our folder");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child().id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a pid");
        kill_process(pid, signal).expect("our own child");
    }

    /// Waits for the process to end.
    #[track_caller]
    pub(crate) fn ended_within(&self, time: Duration) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child().try_wait().expect("our own child") {
                return status;
            }
            assert!(begun.elapsed() < time, "still running after {time:?}");
            self.errors.find(Duration::from_millis(5), |_| false);
        }
    }

    /// The line of the access log that has all of `words`.
    #[track_caller]
    pub(crate) fn logged(&self, words: &[&str]) -> String {
        let found = self.log.find(PATIENCE, |line| words.iter().all(|word| line.contains(word)));
        found.unwrap_or_else(|| panic!("no line with {words:?}:\n{}", self.log.all().join("\n")))
    }

    /// Lines of the access log so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.all()
    }

    /// The line on stderr that has `word`.
    #[track_caller]
    pub(crate) fn said(&self, word: &str) -> String {
        let found = self.errors.find(PATIENCE, |line| line.contains(word));
        found.unwrap_or_else(|| panic!("nobody said {word:?}:\n{}", self.errors.all().join("\n")))
    }

    /// How often stderr has said `word`.
    pub(crate) fn times_said(&self, word: &str) -> usize {
        self.errors.all().iter().filter(|line| line.contains(word)).count()
    }

    /// Waits until stderr has said `word` so many times.
    #[track_caller]
    pub(crate) fn wait_said(&self, word: &str, times: usize) {
        let begun = Instant::now();
        while self.times_said(word) < times {
            assert!(begun.elapsed() < PATIENCE, "{word:?} was not said {times} times");
            self.errors.find(Duration::from_millis(5), |_| false);
        }
    }

    /// Resident memory, bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("a process of ours");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).expect("a number");
        kib.trim().parse::<u64>().expect("a number") * 1024
    }

    /// The certificate of the local authority, once it has been made.
    pub(crate) fn authority(&self) -> PathBuf {
        let places = ["data/ca/root.pem", "data/ca/ca/root.pem"];
        let mut places = places.iter().map(|place| self.folder().join(place));
        places.find(|place| place.exists()).expect("tls internal has made its authority")
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let mut child = self.child();
        let _ = child.kill();
        let _ = child.wait();
        drop(child);
        let panicked = self.errors.all().into_iter().find(|line| line.contains("panicked"));
        if let Some(line) = panicked
            && !thread::panicking()
        {
            panic!("the proxy panicked: {line}");
        }
        if thread::panicking() {
            eprintln!("--- log\n{}", self.log.all().join("\n"));
            eprintln!("--- stderr\n{}", self.errors.all().join("\n"));
        }
    }
}

fn whole(front: Front, port: u16, folder: &Path, global: &str, text: &str) -> String {
    let (site, tls) = match front.scheme() {
        "http" => (format!("site http://*:{port}"), ""),
        _ => (format!("site https://localhost:{port}"), "tls internal\n"),
    };
    let listen = match front {
        Front::H2c => format!("listen 127.0.0.1:{port} protocols h2c\n"),
        Front::H1 | Front::H1Tls | Front::H2 | Front::H3 => String::new(),
    };
    let text =
        text.replace("@SITE {", &format!("{site} {{ {tls}")).replace("@PORT", &port.to_string());
    let folder = folder.display();
    let text = text.replace("@FOLDER", &folder.to_string());
    format!(
        "doorman 1\nglobal {{ data {folder}/data\nadmin unix:{folder}/admin.sock\nbind 127.0.0.1\nworkers 2\n\
         log access json stdout\n{global} }}\n{listen}{text}\n"
    )
}
