//! One run of one contender: start it fresh, see that it answers rightly, warm it up, then read what it
//! spent while the load ran. A fresh process for each run keeps one unlucky memory layout from colouring
//! all rounds of a contender.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    bench::{
        contender::{ACCESS_LOG, Contender, Ground, program},
        load::Seen,
        scenario::{Load, Scenario, Way},
        waf::Begun,
    },
    failure::{During, Failure},
    process::{
        Core, Running, Ticks, busy_ticks, own_part, resident_kib, spent_by_tree, wait_until,
    },
    wire::{self, Answer, Dialer, Wire},
};

/// How long a proxy may take to listen.
const START: Duration = Duration::from_secs(10);
/// Time for opening all idle connections.
const OPENING: Duration = Duration::from_secs(180);
/// Rest after the last idle connection's request, in which a proxy may give memory back.
pub(super) const SETTLE: Duration = Duration::from_secs(2);
/// Descriptors that a contender opens beside its clients': listeners, logs, a few upstream connections.
const SPARE_FILES: u64 = 500;
/// How far a log may trail behind the requests.
const LOG_LAG: Duration = Duration::from_secs(3);
/// A row with more failures than this is worth nothing.
const ERROR_SHARE_MAX: f64 = 0.001;

/// What one run showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reading {
    Load(Sample),
    Idle(Held),
    Begun(Begun),
}

/// Cost under load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) requests: u64,
    /// CPU microseconds per request.
    pub(crate) user_us: f64,
    pub(crate) system_us: f64,
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) resident_kib: u64,
    /// Length of the coded body, where there is one.
    pub(crate) coded_bytes: Option<u64>,
    pub(crate) errors: u64,
    /// Share of the proxy's core that the proxy used, in percent.
    pub(crate) core_percent: f64,
    /// CPU used by anybody else meanwhile, in percent of one core.
    pub(crate) noise_percent: f64,
}

/// Cost of silence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Held {
    pub(crate) kib_per_connection: f64,
    pub(crate) before_kib: u64,
    pub(crate) after_kib: u64,
}

impl Reading {
    /// The figure that contenders are compared by: microseconds per request, KiB per connection,
    /// or milliseconds.
    pub(crate) fn cost(&self) -> f64 {
        match self {
            Self::Load(sample) => sample.user_us + sample.system_us,
            Self::Idle(held) => held.kib_per_connection,
            Self::Begun(begun) => begun.ready_ms,
        }
    }
}

impl Ground {
    /// Runs one contender through one scenario once.
    pub(crate) fn measure(
        &self,
        who: Contender,
        scenario: &Scenario,
        seconds: u64,
    ) -> Result<Reading, Failure> {
        if who == Contender::Plain {
            return self.measure(Contender::Doorman, &self.as_plain(scenario)?, seconds);
        }
        let files = u64::from(scenario.connections) + SPARE_FILES;
        if self.open_files < files {
            return Err(Failure::new(format!("it needs {files} open files: ulimit -n {files}")));
        }
        if scenario.load == Load::Start {
            return self.begin(who, scenario).map(Reading::Begun);
        }
        let mut proxy = self.start(who, scenario)?;
        self.await_right_answer(&mut proxy, scenario)?;
        self.fill_cache(scenario)?;
        if scenario.load == Load::Idle {
            return self.hold(&mut proxy, scenario).map(Reading::Idle);
        }
        let warm = self.load(scenario, 1)?;
        let asked = self.asked()?;
        let clock = Clock::read(&proxy)?;
        let (seen, coded_bytes) = self.watched_load(scenario, seconds)?;
        let sample = Clock::read(&proxy)?.sample_since(&clock, &proxy, seen);
        let sample = Sample { coded_bytes, ..sample };
        if proxy.has_ended() {
            return Err(Failure::new(format!("it ended under load: {}", proxy.last_words())));
        }
        #[expect(clippy::cast_precision_loss, reason = "request counts are far below 2^52")]
        let share = sample.errors as f64 / (sample.requests + sample.errors).max(1) as f64;
        if share > ERROR_SHARE_MAX || sample.requests == 0 {
            let (errors, requests) = (sample.errors, sample.requests);
            return Err(Failure::new(format!("{errors} errors beside {requests} requests")));
        }
        let missed = self.asked()? - asked;
        if missed > 0 && scenario.is_cached() {
            return Err(Failure::new(format!("the origin was asked {missed} times: no hits")));
        }
        if who.is_doorman() {
            self.check_its_duties(scenario, warm.requests + sample.requests)?;
        }
        Ok(Reading::Load(sample))
    }

    /// doorman's figures count only with the log and the metrics that they are said to include.
    fn check_its_duties(&self, scenario: &Scenario, requests: u64) -> Result<(), Failure> {
        if Dialer::new(self.ports.metrics)?.plain().is_err() {
            return Err(Failure::new("its metrics do not listen"));
        }
        // A relay writes a line for each connection, of the load before the measurement and of it.
        let requests = match scenario.way {
            Way::Relay => 2 * u64::from(scenario.connections),
            _ => requests,
        };
        let mut lines = 0;
        let complete = wait_until(LOG_LAG, || {
            lines = count_lines(&self.path(ACCESS_LOG)).unwrap_or(0);
            lines >= requests
        });
        if !complete {
            return Err(Failure::new(format!("its log has {lines} lines for {requests} requests")));
        }
        Ok(())
    }

    /// Asks until the contender listens; then its answer must be right over the scenario's own protocol.
    pub(crate) fn await_right_answer(
        &self,
        proxy: &mut Running,
        scenario: &Scenario,
    ) -> Result<(), Failure> {
        let dialer = Dialer::new(self.ports.of(scenario.wire))?;
        let mut ended = false;
        let listens = wait_until(START, || {
            ended = proxy.has_ended();
            ended || dialer.plain().is_ok()
        });
        if ended || !listens {
            let state = if ended { "it ended before it listened" } else { "it does not listen" };
            return Err(Failure::new(format!("{state}\n{}", proxy.last_words())));
        }
        if let Some(coded) = scenario.coded() {
            self.coded_answer(scenario, coded).during("checking its answer")?;
            return Ok(());
        }
        if let Some(watch) = scenario.watch() {
            return self.check_watch(scenario, watch);
        }
        if let Some(gate) = scenario.gate() {
            return self.check_gate(scenario, gate);
        }
        match scenario.load {
            Load::Streams => return self.check_over_h2(scenario),
            Load::Http3 { .. } => return self.check_over_h3(scenario),
            _ => {}
        }
        let (request, wanted) = match scenario.load {
            Load::Post => upload(scenario.body_bytes),
            _ => (wire::get(&scenario.path(0)), scenario.body_bytes),
        };
        let answer = match scenario.wire {
            Wire::Plain => wire::ask(&mut dialer.plain()?, &request),
            Wire::Tls => wire::ask(&mut dialer.tls()?, &request),
        }
        .during("checking its answer")?;
        let right = Answer { status: 200, body_bytes: wanted };
        if answer != right {
            return Err(Failure::new(format!("it answers {answer:?} and not {right:?}")));
        }
        Ok(())
    }

    fn check_over_h2(&self, scenario: &Scenario) -> Result<(), Failure> {
        let mut command = Command::new(program("h2load"));
        command.args(["--requests=1", "--clients=1"]).arg(self.url(scenario));
        let text = self.generate(command, 1)?;
        let data = format!(" ({}) data", scenario.body_bytes);
        for wanted in ["Application protocol: h2", "TLS Protocol: TLSv1.3", "1 succeeded", &data] {
            if !text.contains(wanted) {
                return Err(Failure::new(format!("no {wanted:?} in what h2load printed:\n{text}")));
            }
        }
        Ok(())
    }

    fn check_over_h3(&self, scenario: &Scenario) -> Result<(), Failure> {
        let seen = self.h3load(scenario, 1, 0)?;
        if (seen.requests, seen.errors) != (1, 0) {
            return Err(Failure::new(format!("it answers over HTTP/3 with {seen:?}")));
        }
        Ok(())
    }

    fn hold(&self, proxy: &mut Running, scenario: &Scenario) -> Result<Held, Failure> {
        let port = self.ports.of(scenario.wire).to_string();
        let count = scenario.connections.to_string();
        let before_kib = resident_kib(proxy.id());
        let mut command = own_part(&["idle", &port, &count, scenario.wire.word()])?;
        command.stdin(Stdio::piped());
        let mut opener = Running::start(&mut command, Core::LOAD, &self.guard)?;
        let stdout = opener.take_stdout().ok_or_else(|| Failure::new("no output to read"))?;
        let (said, lines) = std::sync::mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = said.send(line);
            }
        });
        let held = lines.recv_timeout(OPENING);
        if held.as_deref() != Ok("held") {
            let words = opener.last_words();
            return Err(Failure::new(format!("the idle connections were not opened: {words}")));
        }
        thread::sleep(SETTLE);
        let after_kib = resident_kib(proxy.id());
        drop(opener.take_stdin());
        let open = lines.recv_timeout(START).unwrap_or_default();
        if open != count {
            return Err(Failure::new(format!("{open:?} of {count} connections stayed open")));
        }
        #[expect(clippy::cast_precision_loss, reason = "memory in KiB is far below 2^52")]
        let grown = after_kib.saturating_sub(before_kib) as f64;
        let kib_per_connection = grown / f64::from(scenario.connections);
        Ok(Held { kib_per_connection, before_kib, after_kib })
    }
}

fn count_lines(path: &str) -> std::io::Result<u64> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut lines = 0;
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(lines);
        }
        lines += bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let count = bytes.len();
        reader.consume(count);
    }
}

fn upload(bytes: u64) -> (Vec<u8>, u64) {
    let head = format!("POST /b/0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: {bytes}\r\n\r\n");
    let mut request = head.into_bytes();
    let body = usize::try_from(bytes).unwrap_or_default();
    request.resize(request.len() + body, b'x');
    // The origin answers the number of bytes that arrived, and a line feed.
    (request, bytes.to_string().len() as u64 + 1)
}

/// All meters at one moment.
struct Clock {
    at: Instant,
    proxy: Ticks,
    ours: Ticks,
    busy: u64,
}

impl Clock {
    fn read(proxy: &Running) -> Result<Self, Failure> {
        let stat = fs::read_to_string("/proc/stat").during("reading /proc/stat")?;
        let busy = busy_ticks(&stat).ok_or_else(|| Failure::new("unknown form of /proc/stat"))?;
        Ok(Self {
            at: Instant::now(),
            proxy: spent_by_tree(proxy.id()),
            ours: spent_by_tree(std::process::id()),
            busy,
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "ticks and counts are far below 2^52")]
    fn sample_since(&self, earlier: &Self, proxy: &Running, seen: Seen) -> Sample {
        let tick_us = 1e6 / rustix::param::clock_ticks_per_second() as f64;
        let elapsed_us = self.at.duration_since(earlier.at).as_secs_f64() * 1e6;
        let spent = self.proxy.since(earlier.proxy);
        let ours = self.ours.since(earlier.ours).total();
        let foreign = (self.busy - earlier.busy).saturating_sub(ours);
        let per_request = |ticks: u64| ticks as f64 * tick_us / seen.requests.max(1) as f64;
        let percent = |ticks: u64| ticks as f64 * tick_us / elapsed_us * 100.0;
        Sample {
            requests: seen.requests,
            user_us: per_request(spent.user),
            system_us: per_request(spent.system),
            per_second: seen.per_second,
            p50_us: seen.p50_us,
            p99_us: seen.p99_us,
            resident_kib: resident_kib(proxy.id()),
            coded_bytes: None,
            errors: seen.errors,
            core_percent: percent(spent.total()),
            noise_percent: percent(foreign),
        }
    }
}
