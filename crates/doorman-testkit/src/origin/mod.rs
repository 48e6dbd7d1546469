//! Origins that do exactly what a script says, and remember every byte.
//!
//! One engine plays the scripts on any network of the seam: [`serve`] runs it in the simulation,
//! [`Origin`] on a thread of its own with sockets of the system.

mod ledger;
mod script;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;
use std::thread::JoinHandle;

use doorman_net::os::{BACKLOG, Bound, ListenAddress};
use doorman_net::seam::{Listener, Stream};
use rustls::ServerConfig;
use tokio::sync::oneshot;

pub use ledger::{KEPT_MAX, Ledger, Seen};
pub use script::{Answer, Script, Step, big, chunked, echo, fixed, mirror, reply, until_close};

use crate::raw::blocking_runtime;
use crate::reply::{BodyReader, Ending, Head, values};
use crate::sums::Pattern;
use crate::wire::{Lane, Wire};

/// What an origin does on the connection of that number, from zero.
pub type Plan = Arc<dyn Fn(usize) -> Script + Send + Sync>;

/// Answers every request on every connection.
#[must_use]
pub fn answering(answer: Answer) -> Plan {
    Arc::new(move |_| Script::new().then(Step::Serve(Arc::clone(&answer))))
}

/// Plays these scripts on the connections in order; the last one on all that come after.
#[must_use]
pub fn playing(scripts: Vec<Script>) -> Plan {
    Arc::new(move |connection| {
        scripts.get(connection).or(scripts.last()).cloned().unwrap_or_default()
    })
}

/// An origin on a thread of its own. It stops when it is dropped: its port refuses, and its
/// connections are closed.
pub struct Origin {
    address: SocketAddr,
    ledger: Arc<Ledger>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Origin {
    /// On a free port of the loopback.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn start(plan: Plan) -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::start_at(free, plan, None).expect("a free port of the loopback")
    }

    /// Under TLS, on a free port of the loopback.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn start_tls(plan: Plan, tls: Arc<ServerConfig>) -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::start_at(free, plan, Some(tls)).expect("a free port of the loopback")
    }

    /// At this address, for example that of an origin that was stopped.
    ///
    /// # Errors
    /// What the system says.
    pub fn start_at(
        address: SocketAddr,
        plan: Plan,
        tls: Option<Arc<ServerConfig>>,
    ) -> io::Result<Self> {
        let bound = Bound::listen(&ListenAddress::Inet(address), BACKLOG)?;
        let ListenAddress::Inet(address) = bound.local_address()? else {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        };
        let ledger = Arc::new(Ledger::default());
        let (stop, stopped) = oneshot::channel();
        let kept = Arc::clone(&ledger);
        let thread = std::thread::spawn(move || {
            blocking_runtime().block_on(async {
                let listener = bound.into_listener().expect("a socket that is bound");
                tokio::select! {
                    () = serve(listener, plan, tls, kept) => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { address, ledger, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has received; it outlives the origin.
    #[must_use]
    pub fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.ledger)
    }
}

impl Deref for Origin {
    type Target = Ledger;

    fn deref(&self) -> &Ledger {
        &self.ledger
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the origin has already been printed.
            let _ = thread.join();
        }
    }
}

/// Plays `plan` on every connection that arrives at `listener`, for ever; inside a `LocalRuntime`.
pub async fn serve<S: Stream, L: Listener<S>>(
    mut listener: L,
    plan: Plan,
    tls: Option<Arc<ServerConfig>>,
    ledger: Arc<Ledger>,
) {
    loop {
        // An error of accept concerns a connection that is gone.
        let Ok((stream, ..)) = poll_fn(|cx| listener.poll_accept(cx)).await else { continue };
        let visit = Visit::new(Arc::clone(&ledger));
        let script = plan(visit.connection);
        let tls = tls.clone();
        tokio::task::spawn_local(async move {
            let lane = match tls {
                None => Lane::Plain(stream),
                Some(config) => match Lane::server(stream, config).await {
                    Ok(lane) => lane,
                    Err(_) => return,
                },
            };
            let mut wire = Wire::on(lane);
            let (ledger, connection) = (Arc::clone(&visit.ledger), visit.connection);
            wire.tap(move |bytes| ledger.arrived(connection, bytes));
            play(wire, script, visit).await;
        });
    }
}

/// A connection's entry in the ledger.
struct Visit {
    ledger: Arc<Ledger>,
    connection: usize,
    requests: usize,
}

impl Visit {
    fn new(ledger: Arc<Ledger>) -> Self {
        let connection = ledger.opened();
        Self { ledger, connection, requests: 0 }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.ledger.closed();
    }
}

async fn play<S: Stream>(mut wire: Wire<S>, script: Script, mut visit: Visit) {
    let mut serving = None;
    let mut steps = script.steps.into_iter();
    loop {
        let Some(step) = steps.next() else {
            let Some(answer) = &serving else { break };
            let Ok(seen) = read_request(&mut wire, &mut visit).await else { break };
            let answer: &Answer = answer;
            steps = answer(&seen).steps.into_iter();
            continue;
        };
        let done = match step {
            Step::Close => break,
            Step::Reset => {
                wire.reset();
                return;
            }
            Step::Serve(answer) => {
                serving = Some(answer);
                Ok(())
            }
            Step::Hold => {
                visit.ledger.released().await;
                Ok(())
            }
            step => act(&mut wire, step, &mut visit).await,
        };
        if done.is_err() {
            break;
        }
    }
    // TLS says goodbye; a plain stream's close is its FIN.
    let _ = wire.finish().await;
}

async fn act<S: Stream>(wire: &mut Wire<S>, step: Step, visit: &mut Visit) -> io::Result<()> {
    match step {
        Step::ReadHead => {
            let head = wire.take_head().await?;
            note(head, BodyReader::default(), Ending::Complete, visit).map(drop)
        }
        Step::ReadRequest => read_request(wire, visit).await.map(drop),
        Step::ReadBytes(count) => wire.take_exactly(count).await.map(drop),
        Step::ReadUntil(needle) => wire.take_until(&needle).await.map(drop),
        Step::ReadEnd => {
            while wire.more().await {
                let rest = wire.waiting().len();
                wire.take(rest);
                wire.forget();
            }
            Ok(())
        }
        Step::Send(bytes) => wire.send(&bytes).await,
        Step::SendPattern(pattern, length) => send_pattern(wire, pattern, length).await,
        Step::Finish => wire.finish().await,
        Step::Reset | Step::Hold | Step::Serve(_) | Step::Close => {
            unreachable!("the player itself does these")
        }
    }
}

/// How much of a pattern is made at once.
const PATTERN_PIECE: u64 = 64 * 1024;

async fn send_pattern<S: Stream>(
    wire: &mut Wire<S>,
    pattern: Pattern,
    length: u64,
) -> io::Result<()> {
    let mut piece = Vec::new();
    let mut at = 0;
    while at < length {
        let n = (length - at).min(PATTERN_PIECE);
        piece.resize(usize::try_from(n).unwrap_or(0), 0);
        pattern.fill(at, &mut piece);
        wire.send(&piece).await?;
        at += n;
    }
    Ok(())
}

async fn read_request<S: Stream>(wire: &mut Wire<S>, visit: &mut Visit) -> io::Result<Seen> {
    let head = wire.take_head().await?;
    let Head { fields, .. } = Head::split(&head)?;
    if values(&fields, "expect").iter().any(|value| value.eq_ignore_ascii_case("100-continue")) {
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let chunked = values(&fields, "transfer-encoding")
        .last()
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    let length = values(&fields, "content-length").first().and_then(|length| length.parse().ok());
    let mut body = BodyReader { keep: Some(KEPT_MAX), ..BodyReader::default() };
    let ending = if chunked {
        wire.chunked(&mut body).await
    } else {
        wire.counted(length.unwrap_or(0), &mut body).await
    };
    wire.forget();
    let seen = note(head, body, ending, visit)?;
    match seen.ending {
        Ending::Complete => Ok(seen),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn note(head: Vec<u8>, body: BodyReader, ending: Ending, visit: &mut Visit) -> io::Result<Seen> {
    let Head { line, fields } = Head::split(&head)?;
    let seen = Seen {
        connection: visit.connection,
        index: visit.requests,
        head,
        line,
        fields,
        body: body.bytes,
        body_length: body.sum.length(),
        body_sum: body.sum.value(),
        trailers: body.trailers,
        ending,
    };
    visit.requests += 1;
    visit.ledger.read(seen.clone());
    Ok(seen)
}
