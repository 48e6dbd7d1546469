//! Runs the load generators and reads what they print. A format that is not understood is a failure, never
//! a zero: a benchmark that guesses is worse than none.

use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    bench::{
        contender::{Ground, program},
        scenario::{Load, STREAMS_PER_CONNECTION, Scenario},
    },
    failure::{During, Failure},
    handshakes::percentile,
    process::{Core, Running, own_part},
    wire::{Shake, Wire},
};

/// What a generator saw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) requests: u64,
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) errors: u64,
}

/// Time that a generator may take beyond the load itself, to start and to sum up.
const SLACK: Duration = Duration::from_secs(20);

impl Ground {
    /// Puts the scenario's load on the contender that runs, for some seconds.
    pub(crate) fn load(&self, scenario: &Scenario, seconds: u64) -> Result<Seen, Failure> {
        match scenario.load {
            Load::Get | Load::Post => self.wrk(scenario, seconds),
            Load::Streams => self.h2load(scenario, seconds),
            Load::Handshakes(shake) => self.handshakes(scenario, shake, seconds),
            Load::Http3 { streams } => self.h3load(scenario, streams, seconds),
            Load::Idle | Load::Start => {
                Err(Failure::new("idle connections and starts are no load"))
            }
        }
    }

    fn wrk(&self, scenario: &Scenario, seconds: u64) -> Result<Seen, Failure> {
        let mut command = Command::new(program("wrk"));
        command.args(["--threads", "1", "--latency"]);
        command.args(["--connections", &scenario.connections.to_string()]);
        command.args(["--duration", &format!("{seconds}s")]);
        if let Some(coded) = scenario.coded() {
            command.args(["--header", &format!("Accept-Encoding: {}", coded.coding.token())]);
        }
        if scenario.objects() > 1 {
            command.args(["--script", &self.tour(scenario)?]);
        }
        if let Some(watch) = scenario.watch() {
            command.args(["--script", &self.visit_script(watch.visit)?]);
        } else if scenario.load == Load::Post {
            let script = self.path("post.lua");
            let text = format!(
                "wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", {})\n",
                scenario.body_bytes
            );
            fs::write(&script, text).during("writing the upload's script")?;
            command.args(["--script", &script]);
        }
        command.arg(self.url(scenario));
        let text = self.generate(command, seconds)?;
        read_wrk(&text).ok_or_else(|| Failure::new(format!("wrk printed:\n{text}")))
    }

    fn h2load(&self, scenario: &Scenario, seconds: u64) -> Result<Seen, Failure> {
        let log = self.path("log/h2load.log");
        let _ = fs::remove_file(&log);
        let mut command = Command::new(program("h2load"));
        command.args(["--threads=1", &format!("--duration={seconds}")]);
        command.arg(format!("--clients={}", scenario.connections));
        command.arg(format!("--max-concurrent-streams={STREAMS_PER_CONNECTION}"));
        command.arg(format!("--log-file={log}"));
        command.arg(self.url(scenario));
        let text = self.generate(command, seconds)?;
        let log = fs::read_to_string(&log).during("reading h2load's log")?;
        read_h2load(&text, &log).ok_or_else(|| Failure::new(format!("h2load printed:\n{text}")))
    }

    fn handshakes(&self, scenario: &Scenario, shake: Shake, seconds: u64) -> Result<Seen, Failure> {
        let (port, connections) = (self.ports.tls.to_string(), scenario.connections.to_string());
        let mut command = own_part(&["handshakes", &port, &seconds.to_string(), &connections])?;
        command.args(shake.words());
        let text = self.generate(command, seconds)?;
        read_handshakes(&text).ok_or_else(|| Failure::new(format!("the generator printed {text}")))
    }

    /// Each stream asks at least once, also in a load of no seconds.
    pub(crate) fn h3load(
        &self,
        scenario: &Scenario,
        streams: u32,
        seconds: u64,
    ) -> Result<Seen, Failure> {
        let connections = if seconds == 0 { 1 } else { scenario.connections };
        let port = u64::from(self.ports.tls);
        let numbers = [port, seconds, connections.into(), streams.into(), scenario.body_bytes];
        let words = numbers.map(|number| number.to_string());
        let mut command = own_part(&["h3load"])?;
        command.args(words);
        let text = self.generate(command, seconds)?;
        read_handshakes(&text).ok_or_else(|| Failure::new(format!("the generator printed {text}")))
    }

    pub(crate) fn url(&self, scenario: &Scenario) -> String {
        let path = scenario.path(0);
        match scenario.wire {
            Wire::Plain => format!("http://127.0.0.1:{}{path}", self.ports.plain),
            Wire::Tls => format!("https://localhost:{}{path}", self.ports.tls),
        }
    }

    pub(crate) fn generate(&self, mut command: Command, seconds: u64) -> Result<String, Failure> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let running = Running::start(&mut command, Core::LOAD, &self.guard)?;
        running.finish(Duration::from_secs(seconds) + SLACK).during("the load generator")
    }
}

/// wrk's summary with `--latency`.
pub(crate) fn read_wrk(text: &str) -> Option<Seen> {
    let mut percentiles = [None, None];
    let (mut requests, mut per_second, mut errors) = (None, None, 0);
    for line in text.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words[..] {
            ["50%", value] => percentiles[0] = microseconds(value),
            ["99%", value] => percentiles[1] = microseconds(value),
            ["Requests/sec:", value] => per_second = value.parse().ok(),
            [count, "requests", "in", ..] => requests = count.parse().ok(),
            ["Non-2xx", "or", "3xx", "responses:", count] => errors += count.parse::<u64>().ok()?,
            ["Socket", "errors:", ref counts @ ..] => {
                for count in counts.iter().skip(1).step_by(2) {
                    errors += count.trim_end_matches(',').parse::<u64>().ok()?;
                }
            }
            _ => {}
        }
    }
    let [p50_us, p99_us] = percentiles;
    Some(Seen {
        requests: requests?,
        per_second: per_second?,
        p50_us: p50_us?,
        p99_us: p99_us?,
        errors,
    })
}

/// h2load's summary, and its log of each request: start, status and duration, both times in microseconds.
pub(crate) fn read_h2load(text: &str, log: &str) -> Option<Seen> {
    let mut per_second = None;
    let mut counts = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("finished in ") {
            per_second = rest.split(", ").nth(1)?.strip_suffix(" req/s")?.parse().ok();
        }
        if let Some(rest) = line.strip_prefix("requests: ") {
            counts = Some(rest.split(", "));
        }
    }
    let (mut requests, mut errors) = (None, 0);
    for count in counts? {
        let (number, word) = count.split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        match word {
            "succeeded" => requests = Some(number),
            // "errored" requests are among the failed ones.
            "failed" | "timeout" => errors += number,
            _ => {}
        }
    }
    let mut latencies = Vec::new();
    for line in log.lines() {
        latencies.push(line.split('\t').nth(2)?.parse().ok()?);
    }
    latencies.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "latencies are far below 2^52 microseconds")]
    let at = |percent| percentile(&latencies, percent) as f64;
    Some(Seen {
        requests: requests?,
        per_second: per_second?,
        p50_us: at(50),
        p99_us: at(99),
        errors,
    })
}

/// The line of `xtask handshakes` and `xtask h3load`.
pub(crate) fn read_handshakes(text: &str) -> Option<Seen> {
    let field = |name: &str| -> Option<f64> {
        let words = text.split_ascii_whitespace();
        words
            .filter_map(|word| word.split_once('='))
            .find(|(word, _)| *word == name)?
            .1
            .parse()
            .ok()
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts printed as integers"
    )]
    let count = |name: &str| field(name).map(|value| value as u64);
    let (requests, seconds) = (count("requests")?, field("seconds")?);
    Some(Seen {
        requests,
        per_second: field("requests")? / seconds.max(0.001),
        p50_us: field("p50_us")?,
        p99_us: field("p99_us")?,
        errors: count("errors")?,
    })
}

/// A duration as wrk prints it: "788.00us", "1.23ms", "2.05s", "1.10m".
fn microseconds(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let scale = match &text[digits.len()..] {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 60e6,
        "h" => 3600e6,
        _ => return None,
    };
    Some(digits.parse::<f64>().ok()? * scale)
}

#[cfg(test)]
mod tests;
