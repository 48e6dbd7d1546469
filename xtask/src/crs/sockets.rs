//! Tests run over sockets: the program itself, in front of the origin that the suite assumes, with rules in
//! the setup of the suite. What rules did is read from its log of rules when all is sent and the program has
//! ended, so nothing hangs on when a line is written, and requests go side by side: each is known by the id
//! that the program gives it and the origin sends back.
//!
//! The same bytes go to the house's parser here, so a request that one refuses and the other takes is a
//! difference too. Over HTTP/2 and HTTP/3 it is what [`translate`](super::translate) makes of them.

use std::collections::HashMap;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::client::{Client, Exchanged, Sent};
use super::h1::Answered;
use super::judge::{self, Outcome, Seen};
use super::message::Refused;
use super::options::Wire;
use super::origin;
use super::process;
use super::request;
use super::rules::Setup;
use super::suite::{Stage, Test};
use crate::failure::{During, Failure};
use crate::process::wait_until;

/// How long the program may take to read its rules, and to end: a debug build reads them slowly.
const PATIENCE: Duration = Duration::from_secs(120);

/// What each test came to, in their order, over `wire`. `jobs` threads share the work.
///
/// # Errors
/// The program could not be run.
pub(crate) fn run(
    program: &Path,
    rules: &Path,
    tests: &[&Test],
    jobs: usize,
    wire: Wire,
) -> Result<Vec<Outcome>, Failure> {
    let server = Server::start(program, rules, wire)?;
    let client = || Client::new(wire);
    let sent = process::spread(tests, jobs, client, |client, test| send(&server, client, test));
    let told = server.end()?;
    let judged = tests.iter().zip(sent).map(|(test, sent)| Ok(outcome(test, &sent?, &told)));
    judged.collect()
}

/// Sends the stages of a test, one after the other.
fn send(
    server: &Server,
    client: &Result<Client, Failure>,
    test: &Test,
) -> Result<Vec<Exchanged>, Failure> {
    let client = client.as_ref().map_err(|failure| Failure::new(failure.to_string()))?;
    let of_stage = |stage: &Stage| client.send(server.address, &request::bytes(&stage.input));
    test.stages.iter().map(of_stage).collect()
}

/// The first stage that does not pass decides.
fn outcome(test: &Test, sent: &[Exchanged], told: &Told) -> Outcome {
    for ((stage, sent), number) in test.stages.iter().zip(sent).zip(1_u32..) {
        let outcome = match sent {
            Err(told) => Outcome::Inexpressible(told.clone()),
            Ok(sent) => match odd(sent) {
                Some(told) => Outcome::Failed(told),
                None => judge::stage(&stage.expected, &told.seen(sent)),
            },
        };
        match outcome {
            Outcome::Passed => {}
            Outcome::Failed(told) if test.stages.len() > 1 => {
                return Outcome::Failed(format!("stage {number}: {told}"));
            }
            other => return other,
        }
    }
    Outcome::Passed
}

/// What the program made of a request where the parser, asked in this process, says otherwise.
fn odd(sent: &Sent) -> Option<String> {
    let Sent { refused, answered: Answered { status, request_id, is_reset } } = sent;
    match (refused, status) {
        // It waits for the rest, longer than is waited for an answer here.
        (Some(Refused { status: 408, .. }), None | Some(408)) => None,
        (Some(Refused { is_reset: true, .. }), None) if *is_reset => None,
        (Some(refused), Some(status)) if refused.status == *status && !refused.is_reset => None,
        (Some(refused), status) => {
            let Refused { status: wanted, reason, is_reset: resets } = refused;
            let wanted = if *resets { "a reset".to_owned() } else { wanted.to_string() };
            let came = if *is_reset { "a reset".to_owned() } else { format!("{status:?}") };
            Some(format!("the parser refuses it with {wanted} ({reason}), and {came} came back"))
        }
        (None, None) if *is_reset => Some("the stream was reset".to_owned()),
        (None, None) => Some("nothing came back".to_owned()),
        (None, Some(status)) if request_id.is_none() => {
            Some(format!("status {status}, and no origin has seen it"))
        }
        (None, Some(_)) => None,
    }
}

/// The log of rules: what it says of each request.
struct Told(HashMap<String, Vec<Value>>);

impl Told {
    fn read(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).during(format!("reading {}", path.display()))?;
        let mut told: HashMap<String, Vec<Value>> = HashMap::new();
        for line in text.lines() {
            let value: Value = serde_json::from_str(line).during(format!("reading {line}"))?;
            let id = value["request_id"].as_str().unwrap_or_default().to_owned();
            told.entry(id).or_default().push(value);
        }
        Ok(Self(told))
    }

    fn seen(&self, sent: &Sent) -> Seen {
        let id = sent.answered.request_id.as_deref().unwrap_or_default();
        let lines = self.0.get(id).map(Vec::as_slice).unwrap_or_default();
        let rule = |line: &Value| line["rule"].as_u64().and_then(|id| u32::try_from(id).ok());
        Seen {
            refused: sent.refused,
            status: sent.answered.status.unwrap_or_default(),
            ids: lines.iter().filter_map(rule).collect(),
            lines: lines.iter().map(line).collect(),
            faults: Vec::new(),
        }
    }
}

/// A line of the log with the marks that patterns of tests look for.
fn line(value: &Value) -> String {
    let text = |name: &str| value[name].as_str().unwrap_or_default().escape_debug().to_string();
    format!(
        "[id \"{}\"] [msg \"{}\"] [data \"{}\"] at {}",
        value["rule"],
        text("msg"),
        text("data"),
        text("variable")
    )
}

/// The program, in a folder of its own that goes with it.
struct Server {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
}

impl Server {
    fn start(program: &Path, rules: &Path, wire: Wire) -> Result<Self, Failure> {
        let program = fs::canonicalize(program).during(format!("finding {}", program.display()))?;
        let folder = std::env::temp_dir().join(format!("doorman-crs-{}", std::process::id()));
        let set = folder.join("set");
        fs::create_dir_all(&set).during(format!("making {}", set.display()))?;
        fs::write(set.join("crs-setup.conf"), Setup::Suite.text())?;
        std::os::unix::fs::symlink(fs::canonicalize(rules)?, set.join("rules"))?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        fs::write(folder.join("doorman.conf"), configuration(origin::start()?, port, wire))?;
        let child = Command::new(program)
            .args(["run", "-c", "doorman.conf"])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("said"))?)
            .spawn()
            .during("starting the program")?;
        let mut server = Self { child, folder, address };
        let is_ready = wait_until(PATIENCE, || {
            server.said().contains("doorman is ready") || server.has_ended()
        });
        if is_ready && !server.has_ended() { Ok(server) } else { Err(Failure::new(server.said())) }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.join("said")).unwrap_or_default()
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Lets it write all it knows, and reads that.
    fn end(mut self) -> Result<Told, Failure> {
        if self.has_ended() {
            return Err(Failure::new(format!("it ended by itself:\n{}", self.said())));
        }
        self.signal(Signal::TERM);
        if !wait_until(PATIENCE, || self.has_ended()) {
            return Err(Failure::new("it does not end"));
        }
        Told::read(&self.folder.join("waf.log"))
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            _ = kill_process(id, signal);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.has_ended() {
            _ = self.child.kill();
            _ = self.child.wait();
        }
        _ = fs::remove_dir_all(&self.folder);
    }
}

/// What the program is to do: the suite's setup behind its own way of reading bodies.
fn configuration(origin: SocketAddr, port: u16, wire: Wire) -> String {
    let (scheme, tls) = match wire {
        Wire::H2 | Wire::H3 => ("https", "tls internal\n"),
        Wire::None | Wire::H1 => ("http", ""),
    };
    format!(
        "doorman 1\n\
         global {{ data data; bind 127.0.0.1; admin unix:admin.sock; workers 2; drain 3s\n\
         log access json access.log; log waf json waf.log }}\n\
         upstream web {{ server {origin} }}\n\
         site {scheme}://*:{port} {{\n{tls}\
         waf ./set level 4 mode detect {{\nbody max 12MiB\nresponse on\n}}\n\
         proxy web\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(refused: Option<u16>, status: Option<u16>, request_id: Option<&str>) -> Sent {
        let refused = refused.map(|status| Refused { status, reason: "why", is_reset: false });
        let request_id = request_id.map(str::to_owned);
        Sent { refused, answered: Answered { status, request_id, is_reset: false } }
    }

    /// What is to be reset, and whether it is.
    fn reset(refused: Option<u16>, is_reset: bool, status: Option<u16>) -> Sent {
        let mut sent = sent(refused, status, None);
        sent.refused = sent.refused.map(|refused| Refused { is_reset: true, ..refused });
        sent.answered.is_reset = is_reset;
        sent
    }

    #[track_caller]
    fn check(sent: &Sent, expected: Option<&str>) {
        assert_eq!(odd(sent).as_deref(), expected);
    }

    #[test]
    fn what_two_say_of_a_request_is_compared() {
        check(&sent(None, Some(200), Some("a")), None);
        check(&sent(Some(400), Some(400), None), None);
        check(&sent(Some(408), None, None), None);
        check(
            &sent(Some(400), Some(200), Some("a")),
            Some("the parser refuses it with 400 (why), and Some(200) came back"),
        );
        check(&sent(None, Some(400), None), Some("status 400, and no origin has seen it"));
        check(&sent(None, None, None), Some("nothing came back"));
        check(&reset(Some(400), true, None), None);
        check(
            &reset(Some(400), false, Some(400)),
            Some("the parser refuses it with a reset (why), and Some(400) came back"),
        );
        check(
            &reset(Some(400), false, None),
            Some("the parser refuses it with a reset (why), and None came back"),
        );
        check(&reset(None, true, None), Some("the stream was reset"));
    }

    #[test]
    fn lines_of_the_log_are_those_of_their_requests() {
        let value = serde_json::json!({
            "request_id": "a", "rule": 920_100, "msg": "m", "data": "d\n", "variable": "ARGS:q",
        });
        let told = Told(HashMap::from([("a".to_owned(), vec![value])]));
        let seen = told.seen(&sent(None, Some(200), Some("a")));
        assert_eq!(seen.lines, ["[id \"920100\"] [msg \"m\"] [data \"d\\n\"] at ARGS:q"]);
        assert!(seen.ids.contains(&920_100));
        assert!(told.seen(&sent(None, Some(200), Some("b"))).ids.is_empty());
    }
}
