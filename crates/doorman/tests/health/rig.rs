//! Origins whose health a story decides, and a proxy before them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use doorman_testkit::origin::{self, Origin, Script};
use doorman_testkit::process::{Process, Program, free_address};
use doorman_testkit::raw;
use serde_json::Value;

/// The path of checks.
pub(crate) const CHECKED: &str = "/ready";

/// An origin that answers checks and requests with statuses that can be changed at any time.
pub(crate) struct Server {
    pub(crate) origin: Origin,
    mood: Arc<Mood>,
}

struct Mood {
    checks: AtomicU16,
    requests: AtomicU16,
    checked: AtomicUsize,
    /// Checks get no answer while this holds.
    silent: AtomicBool,
    delay_ms: AtomicU64,
}

impl Server {
    pub(crate) fn start(name: &'static str) -> Self {
        let mood = Arc::new(Mood {
            checks: AtomicU16::new(200),
            requests: AtomicU16::new(200),
            checked: AtomicUsize::new(0),
            silent: AtomicBool::new(false),
            delay_ms: AtomicU64::new(0),
        });
        let own = Arc::clone(&mood);
        let origin = Origin::start(origin::answering(Arc::new(move |seen| {
            if seen.target() != CHECKED {
                let delay = Duration::from_millis(own.delay_ms.load(Ordering::SeqCst));
                // Nobody sends: a server that works on it.
                let _ = channel::<()>().1.recv_timeout(delay);
                return answer(&own.requests, name);
            }
            own.checked.fetch_add(1, Ordering::SeqCst);
            if own.silent.load(Ordering::SeqCst) {
                return Script::new().hold();
            }
            answer(&own.checks, name)
        })));
        Self { origin, mood }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.origin.address()
    }

    /// What checks are answered with from now on.
    pub(crate) fn answer_checks(&self, status: u16) {
        self.mood.checks.store(status, Ordering::SeqCst);
    }

    /// What requests are answered with from now on.
    pub(crate) fn answer_requests(&self, status: u16) {
        self.mood.requests.store(status, Ordering::SeqCst);
    }

    /// Checks that it has answered.
    pub(crate) fn checked(&self) -> usize {
        self.mood.checked.load(Ordering::SeqCst)
    }

    /// Checks get no answer from now on, until it is let go.
    pub(crate) fn be_silent(&self) {
        self.mood.silent.store(true, Ordering::SeqCst);
    }

    pub(crate) fn speak(&self) {
        self.mood.silent.store(false, Ordering::SeqCst);
    }

    /// How long requests take from now on.
    pub(crate) fn take(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).expect("a short time");
        self.mood.delay_ms.store(millis, Ordering::SeqCst);
    }

    /// Waits until it has answered so many more checks.
    pub(crate) fn wait_for_checks(&self, more: usize) {
        let before = self.checked();
        while self.checked() < before + more {
            std::thread::yield_now();
        }
    }
}

fn answer(status: &AtomicU16, name: &str) -> Script {
    origin::reply(format!("{} Word", status.load(Ordering::SeqCst)), "", name.as_bytes())
}

/// A proxy, its site, and its admin socket.
pub(crate) struct House {
    pub(crate) process: Process,
    site: SocketAddr,
    metrics: SocketAddr,
}

impl House {
    /// Before upstream `app`, whose block is this.
    pub(crate) fn before(upstream: &str) -> Self {
        Self::with(&format!("upstream app {{\n{upstream}\n}}"), "proxy app")
    }

    /// With these upstreams and these lines in the site.
    pub(crate) fn with(upstreams: &str, site: &str) -> Self {
        let (address, metrics) = (free_address(), free_address());
        let text = text(address, metrics, upstreams, site);
        let process = Program::new(env!("CARGO_BIN_EXE_doorman"))
            .file("doorman.conf", text)
            .arguments(&["run"])
            .start_listening(&[address, metrics]);
        Self { process, site: address, metrics }
    }

    /// Reads another configuration in.
    pub(crate) fn reload(&self, upstream: &str) {
        let upstreams = format!("upstream app {{\n{upstream}\n}}");
        let text = text(self.site, self.metrics, &upstreams, "proxy app");
        std::fs::write(self.process.folder().join("doorman.conf"), text).expect("our own folder");
        let before = self.times("is in force");
        self.process.signal(rustix::process::Signal::HUP).expect("it runs");
        self.process.wait_for_times("is in force", before + 1);
    }

    /// Lines so far that contain these words.
    pub(crate) fn times(&self, words: &str) -> usize {
        self.process.said().iter().filter(|line| line.contains(words)).count()
    }

    /// A request of its own connection; its status and its content.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let reply = raw::fetch(self.site, "app.test", path).expect("an answer");
        (reply.status, String::from_utf8_lossy(&reply.body).into_owned())
    }

    /// Who answers this many requests: how often each content came, and each status other than 200.
    pub(crate) fn answers(&self, count: usize) -> BTreeMap<String, usize> {
        let mut answers = BTreeMap::new();
        for _ in 0..count {
            let (status, body) = self.get("/");
            let key = if status == 200 { body } else { status.to_string() };
            *answers.entry(key).or_default() += 1;
        }
        answers
    }

    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        let reply = raw::fetch(self.metrics, "metrics", "/metrics").expect("a page");
        let page = String::from_utf8_lossy(&reply.body).into_owned();
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map(|value| value.parse().expect("a number"))
    }

    /// Who answers this many requests.
    pub(crate) fn who(&self, count: usize) -> Vec<String> {
        self.answers(count).into_keys().collect()
    }

    /// Where the site is.
    pub(crate) fn url(&self) -> String {
        format!("http://app.test:{}/", self.site.port())
    }

    /// What a command of the program prints.
    pub(crate) fn tell(&self, arguments: &[&str]) -> String {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_doorman"))
            .current_dir(self.process.folder())
            .args(arguments)
            .output()
            .expect("it can be run");
        String::from_utf8(output.stdout).expect("text")
    }

    /// What `doorman status --json` says of a server.
    pub(crate) fn status(&self, server: SocketAddr) -> Value {
        let told = self.tell(&["status", "--json", "--admin", "unix:admin.sock"]);
        let status: Value = serde_json::from_str(&told).expect("JSON");
        let name = server.to_string();
        let servers = status["upstreams"][0]["servers"].as_array().expect("servers").clone();
        servers.into_iter().find(|server| server["name"] == name.as_str()).expect("that server")
    }
}

fn text(site: SocketAddr, metrics: SocketAddr, upstreams: &str, lines: &str) -> String {
    format!(
        "global {{ admin unix:admin.sock; metrics {metrics}; log access off; log error info stderr }}\n\
         {upstreams}\nsite http://app.test:{} {{ {lines} }}\nlisten {site}\n",
        site.port()
    )
}
