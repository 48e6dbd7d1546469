//! Steady load that accounts for every request: for reloads, drains and restarts under fire.
//!
//! Every request has an id and a body of its own, and the origin must be one that echoes
//! ([`crate::origin::echo`]): a response that belongs to another request cannot pass for the
//! right one. The number of requests under way is constant.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::origin::Ledger;
use crate::raw::{PATIENCE, Raw};
use crate::reply::{Ending, Reply};
use crate::sums::{Dice, Pattern};
use crate::tls::Tls;

/// The field that carries a request's id.
pub const ID: &str = "X-Load-Id";
/// Messages of failures that are kept.
const MESSAGES_MAX: usize = 20;

/// What to do.
#[derive(Clone)]
pub struct Load {
    /// Where to.
    pub target: SocketAddr,
    /// Under TLS, if so.
    pub tls: Option<Tls>,
    /// The host to ask for.
    pub host: String,
    /// Requests under way at any time, each on a connection of its own.
    pub clients: usize,
    /// The longest body, in bytes. Every other request is a POST with one.
    pub body_max: usize,
}

/// How a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// There was no connection.
    Connect,
    /// The connection was reset before the response.
    Reset,
    /// A connection that had served before was closed without any byte of a response: the race
    /// between a close and a request that is inherent in HTTP/1.1 (RFC 9112 section 9.5).
    Stale,
    /// Another status than 200.
    Status(u16),
    /// The response was cut.
    Truncated,
    /// The response is not that of this request.
    Wrong,
    /// There was no response in time, or none that can be read.
    NoResponse,
}

/// What became of the requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many were answered rightly.
    pub right: u64,
    /// How many failed, and how.
    pub failures: BTreeMap<Failure, u64>,
    /// The first failures in words.
    pub messages: Vec<String>,
    /// How many connections were made.
    pub connections: u64,
}

impl Tally {
    /// How many failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Ids of POST requests that an origin has read more than once.
    #[must_use]
    pub fn duplicates(ledger: &Ledger) -> Vec<String> {
        let counts = ledger.counts(ID).into_iter();
        counts
            .filter(|((method, _), count)| method == "POST" && *count > 1)
            .map(|((_, id), _)| id)
            .collect()
    }
}

/// Load that goes on until it is stopped.
pub struct Running {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    tally: Tally,
    stopped: bool,
}

impl Load {
    /// Starts it.
    #[must_use]
    pub fn start(&self) -> Running {
        let shared = Arc::new(Shared::default());
        let clients = 0..self.clients;
        let threads = clients
            .map(|client| {
                let (load, shared) = (self.clone(), Arc::clone(&shared));
                std::thread::spawn(move || load.run(client, &shared))
            })
            .collect();
        Running { shared, threads }
    }

    fn run(&self, client: usize, shared: &Shared) {
        let mut dice = Dice::new(client as u64);
        let mut connection = None;
        let mut number = 0u64;
        while !shared.state().stopped {
            number += 1;
            let body = if number.is_multiple_of(2) { dice.length(self.body_max) } else { 0 };
            let body = Pattern { seed: dice.roll() }.bytes(body);
            let id = format!("{client}-{number}");
            let outcome = self.exchange(&id, &body, &mut connection, shared);
            let mut state = shared.state();
            match outcome {
                Ok(()) => state.tally.right += 1,
                Err((failure, message)) => {
                    *state.tally.failures.entry(failure).or_default() += 1;
                    if state.tally.messages.len() < MESSAGES_MAX {
                        state.tally.messages.push(format!("{id}: {message}"));
                    }
                }
            }
            drop(state);
            shared.news.notify_all();
        }
    }

    /// One request; afterwards `connection` holds the connection if it can be used again.
    fn exchange(
        &self,
        id: &str,
        body: &[u8],
        connection: &mut Option<Raw>,
        shared: &Shared,
    ) -> Result<(), (Failure, String)> {
        let reused = connection.is_some();
        let mut client = match connection.take() {
            Some(client) => client,
            None => {
                let client = match &self.tls {
                    None => Raw::connect(self.target),
                    Some(tls) => Raw::connect_tls(self.target, tls),
                };
                shared.state().tally.connections += 1;
                client.map_err(|error| (Failure::Connect, error.to_string()))?
            }
        };
        let method = if body.is_empty() { "GET" } else { "POST" };
        let head = format!(
            "{method} /load HTTP/1.1\r\nHost: {}\r\n{ID}: {id}\r\nContent-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        let known = client.received().len();
        let reply = client.exchange([head.as_bytes(), body].concat()).map_err(|error| {
            let silent = client.received().len() == known;
            let failure = match error.kind() {
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
                    if reused && silent =>
                {
                    Failure::Stale
                }
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Failure::Reset,
                ErrorKind::UnexpectedEof => Failure::Truncated,
                _ => Failure::NoResponse,
            };
            (failure, error.to_string())
        })?;
        judge(id, body, &reply)?;
        if !reply.all("connection").iter().any(|value| value.eq_ignore_ascii_case("close")) {
            client.forget();
            *connection = Some(client);
        }
        Ok(())
    }
}

fn judge(id: &str, body: &[u8], reply: &Reply) -> Result<(), (Failure, String)> {
    if reply.status != 200 {
        return Err((Failure::Status(reply.status), reply.line.clone()));
    }
    if reply.ending != Ending::Complete {
        return Err((Failure::Truncated, format!("{:?}", reply.ending)));
    }
    let own = format!(" {id}\r\n");
    let named = reply.body.windows(own.len()).any(|window| window == own.as_bytes());
    if !named || !reply.body.ends_with(body) {
        let length = reply.body.len();
        return Err((Failure::Wrong, format!("{length} bytes that are not its own")));
    }
    Ok(())
}

impl Running {
    /// What became of the requests so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.shared.state().tally.clone()
    }

    /// Waits until so many requests more have ended, rightly or not.
    ///
    /// # Panics
    /// After [`PATIENCE`].
    pub fn wait_for(&self, more: u64) {
        let state = self.shared.state();
        let goal = state.tally.right + state.tally.failed() + more;
        let waited = self.shared.news.wait_timeout_while(state, PATIENCE, |state| {
            state.tally.right + state.tally.failed() < goal
        });
        let (state, limit) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!limit.timed_out(), "the load stands still: {:?}", state.tally);
    }

    /// Ends it once the requests under way have ended; what became of all.
    #[must_use]
    pub fn stop(mut self) -> Tally {
        self.end();
        self.tally()
    }

    fn end(&mut self) {
        self.shared.state().stopped = true;
        for thread in self.threads.drain(..) {
            // A panic of a client has already been printed.
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::{Origin, Script, answering, echo, fixed, playing};

    /// The tally of load on an origin.
    fn check(origin: &Origin) -> Tally {
        let load = Load {
            target: origin.address(),
            tls: None,
            host: "x".into(),
            clients: 4,
            body_max: 50_000,
        };
        let running = load.start();
        running.wait_for(60);
        running.stop()
    }

    #[test]
    fn a_right_origin_gets_a_clean_tally() {
        let origin = Origin::start(answering(echo()));
        let tally = check(&origin);
        assert_eq!((tally.failed(), tally.connections), (0, 4), "{tally:?}");
        assert!(tally.right >= 60);
        assert_eq!(origin.requests().len() as u64, tally.right);
        assert_eq!(Tally::duplicates(&origin), Vec::<String>::new());
    }

    #[test]
    fn each_wrong_is_named() {
        let failures = |script: Script| check(&Origin::start(playing(vec![script]))).failures;
        let only = |failures: BTreeMap<Failure, u64>| failures.into_keys().collect::<Vec<_>>();
        assert_eq!(
            only(check(&Origin::start(answering(fixed("same")))).failures),
            [Failure::Wrong]
        );
        let short = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort";
        let cut = Script::new().read_request().send(short).close();
        assert_eq!(only(failures(cut)), [Failure::Truncated]);
        let error =
            Script::new().read_request().send("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(only(failures(error)), [Failure::Status(503)]);
        let origin = Origin::start(answering(echo()));
        let mut client = Raw::connect(origin.address()).unwrap();
        for _ in 0..2 {
            let post = format!("POST / HTTP/1.1\r\n{ID}: 7\r\nContent-Length: 0\r\n\r\n");
            client.exchange(post).unwrap();
        }
        assert_eq!(Tally::duplicates(&origin), ["7"]);
    }
}
