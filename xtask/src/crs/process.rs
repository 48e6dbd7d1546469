//! Tests run in this process: each request is taken apart, told to a transaction, answered by the origin's
//! function, and the answer told as well. No server runs, so thousands take seconds.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use doorman_http::Now;
use doorman_waf::{Engine, Facts, Match, Report, Transaction, Verdict, Worker};

use super::judge::{self, Outcome, Seen};
use super::message::{self, Message};
use super::reflect;
use super::request;
use super::suite::Test;

/// What each test came to, in their order. `jobs` threads share the work.
pub(crate) fn run(engine: &Arc<Engine>, tests: &[&Test], jobs: usize) -> Vec<Outcome> {
    let worker = || Worker::new(engine);
    spread(tests, jobs, worker, |worker, test| outcome(engine, worker, test))
}

/// Does something with each of `items`, on `jobs` threads with a worker each; results in their order.
pub(crate) fn spread<I: Sync, O: Send, W>(
    items: &[I],
    jobs: usize,
    worker: impl Fn() -> W + Sync,
    each: impl Fn(&mut W, &I) -> O + Sync,
) -> Vec<O> {
    let next = AtomicUsize::new(0);
    let job = || {
        let mut worker = worker();
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return done };
            done.push((index, each(&mut worker, item)));
        }
    };
    let mut done: Vec<(usize, O)> = thread::scope(|scope| {
        let jobs: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(job)).collect();
        let ended = jobs.into_iter().map(|job| job.join().expect("a job ends without a panic"));
        ended.flatten().collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

/// The first stage that does not pass decides.
fn outcome(engine: &Arc<Engine>, worker: &mut Worker, test: &Test) -> Outcome {
    for (stage, number) in test.stages.iter().zip(1_u32..) {
        let bytes = request::bytes(&stage.input);
        let seen = seen(&exchange(engine, worker, &bytes, &test.id));
        let seen = Seen { refused: message::judge(&bytes).err(), ..seen };
        match judge::stage(&stage.expected, &seen) {
            Outcome::Passed => {}
            Outcome::Failed(told) if test.stages.len() > 1 => {
                return Outcome::Failed(format!("stage {number}: {told}"));
            }
            other => return other,
        }
    }
    Outcome::Passed
}

/// What rules made of a request and its answer.
pub(crate) struct Exchange {
    /// The status that the client would see.
    pub(crate) status: u16,
    pub(crate) report: Report,
}

/// Walks one request and its answer through the rules.
pub(crate) fn exchange(
    engine: &Arc<Engine>,
    worker: &mut Worker,
    bytes: &[u8],
    unique_id: &str,
) -> Exchange {
    let mut transaction =
        Transaction::new(Arc::clone(engine), facts(Ipv4Addr::LOCALHOST, unique_id));
    let status = status(walk(&mut transaction, worker, &Message::read(bytes)));
    Exchange { status, report: transaction.finish(worker) }
}

/// What rules have set in TX: names and values.
pub(crate) type Set = Vec<(Vec<u8>, Vec<u8>)>;

/// The same for a request that was taken apart, with all that rules have set in TX.
pub(crate) fn exchange_of(
    engine: &Arc<Engine>,
    worker: &mut Worker,
    message: &Message,
    client: Ipv4Addr,
) -> (Exchange, Set) {
    let mut transaction = Transaction::new(Arc::clone(engine), facts(client, "request"));
    let status = status(walk(&mut transaction, worker, message));
    let report = transaction.finish(worker);
    let set = transaction.tx_all().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    (Exchange { status, report }, set)
}

fn status(walked: Result<u16, Verdict>) -> u16 {
    match walked {
        Ok(status) => status,
        Err(Verdict::Refuse(refusal)) => refusal.status,
        Err(Verdict::Pass) => 200,
    }
}

fn facts(client: Ipv4Addr, unique_id: &str) -> Facts {
    Facts {
        client: SocketAddr::from((client, 54_321)),
        server: SocketAddr::from((Ipv4Addr::LOCALHOST, 80)),
        now: Now { unix_nanos: 1_800_000_000_000_000_000, ..Now::default() },
        unique_id: unique_id.to_owned(),
    }
}

/// All phases but the last; the error is the verdict that ended it.
fn walk(
    transaction: &mut Transaction,
    worker: &mut Worker,
    message: &Message,
) -> Result<u16, Verdict> {
    transaction.request_line(&message.method, &message.target, &message.protocol);
    for (name, value) in &message.fields {
        transaction.request_field(name, value);
    }
    passed(transaction.request_head(worker))?;
    transaction.request_body(&message.body)?;
    passed(transaction.request_end(worker))?;

    let answer = reflect::answer(&message.method, &message.target, &message.body);
    transaction.response_line(answer.status, b"HTTP/1.1");
    for (name, value) in &answer.fields {
        transaction.response_field(name.as_bytes(), value.as_bytes());
    }
    let length = answer.body.len().to_string();
    transaction.response_field(b"Content-Length", length.as_bytes());
    passed(transaction.response_head(worker))?;
    transaction.response_body(&answer.body)?;
    passed(transaction.response_end(worker))?;
    Ok(answer.status)
}

fn passed(verdict: Verdict) -> Result<(), Verdict> {
    if verdict == Verdict::Pass { Ok(()) } else { Err(verdict) }
}

fn seen(exchange: &Exchange) -> Seen {
    let Exchange { status, report } = exchange;
    let told = || report.matches.iter().filter(|found| found.rule.log);
    Seen {
        refused: None,
        status: *status,
        ids: told().map(|found| found.rule.id).collect(),
        lines: told().map(line).collect(),
        faults: report.faults.iter().map(|fault| fault.kind.word().to_owned()).collect(),
    }
}

/// A match as a line of a log, with the marks that patterns of tests look for.
fn line(found: &Match) -> String {
    let text = format!(
        "[id \"{}\"] [msg \"{}\"] [data \"{}\"] at {}",
        found.rule.id, found.msg, found.data, found.variable
    );
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\0'..='\x1f' | '\x7f' => _ = write!(line, "\\x{:02x}", u32::from(character)),
            _ => line.push(character),
        }
    }
    line
}
