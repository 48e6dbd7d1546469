//! To the clients: accept, handshake, and the wires.
//!
//! A wire knows one thing about the house, the [`Handler`]. Each wire does the same steps: read a
//! head, make a [`Request`], call the handler, write the head, pull frames until the end.

mod accept;
mod datagrams;
mod early;
mod h1;
mod h2;
mod h3;
mod ledger;
mod pace;
mod preface;
mod relay;
mod tunnel;

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use doorman_http::desync::{Anomaly, Desync, Verdict};
use doorman_http::{Conn, Method, Request, RequestHead, Response};

pub use accept::{Gate, accept};
pub use datagrams::{Course, Datagrams, relay_datagrams};
pub use doorman_preface::Hello;
pub use h3::{Lane, Lanes, Quic, QuicCounts, QuicError, accept_datagrams};
pub use preface::Announcers;
pub use relay::{Caller, Carrier, HelloError, Relayed, RelayedEnd};

use crate::core::ServeSettings;
use crate::tls::ServerTls;

/// Why a wire refuses a message before it is a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The status it is answered with.
    pub status: u16,
    /// The reason, for the log.
    pub reason: &'static str,
    /// How two readers could understand it in different ways; `None`: that is not why.
    pub anomaly: Option<Anomaly>,
}

impl Refused {
    /// Refused for its size, or for what is not offered.
    const fn plain(status: u16, reason: &'static str) -> Self {
        Self { status, reason, anomaly: None }
    }

    /// What codecs of HTTP/2 and HTTP/3 refuse with 400 is malformed.
    const fn of(status: u16, reason: &'static str) -> Self {
        let anomaly = if status == 400 { Some(Anomaly::Malformed) } else { None };
        Self { status, reason, anomaly }
    }
}

/// Lets a request pass with what is odd about it, or refuses it. One that may be read in two ways goes alone.
fn weigh(desync: Desync, head: &mut RequestHead) -> Result<(), Refused> {
    let Some(anomaly) = head.anomaly else { return Ok(()) };
    match desync.judge(anomaly) {
        Verdict::Pass => Ok(()),
        Verdict::Alone => {
            head.alone = true;
            Ok(())
        }
        Verdict::Refuse => {
            Err(Refused { status: 400, reason: anomaly.reason(), anomaly: Some(anomaly) })
        }
    }
}

/// Notes what is odd about a request of HTTP/2 or HTTP/3 that will be one of HTTP/1.1 to an origin. `length` is the
/// length that it declares.
fn note_odds(head: &mut RequestHead, length: Option<u64>, content: early::Content) {
    if matches!(head.method, Method::Get | Method::Head) && !head.insists {
        match (length, content) {
            (Some(0), _) => head.note(Anomaly::ZeroLength),
            (Some(_), _) | (None, early::Content::Some) => head.note(Anomaly::UndefinedBody),
            (None, early::Content::None) => {}
        }
    }
    if !head.fields.bytes().is_ascii() {
        head.note(Anomaly::NonAscii);
    }
}

/// Why a connection ended before it brought a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The TLS handshake failed.
    Handshake,
    /// The client showed no certificate where one is required, or one that is not good.
    ClientCertificate,
    /// The TLS handshake took too long.
    HandshakeTimeout,
    /// It was over a connection limit.
    Limit,
    /// No descriptor was left for it, and no connection rested that could have gone.
    Exhausted,
    /// HTTP/2 or HTTP/3 went wrong as a whole: a protocol error, or a flood.
    Protocol,
    /// The header of the PROXY protocol was missing, malformed or too slow.
    Preface,
}

/// The house, as a wire sees it.
pub trait Handler: 'static {
    /// What a connection holds while it lasts; dropping it counts the connection out.
    type Place;

    /// Answers a request. It cannot fail: whatever happens inside, there is a response to write.
    fn handle(&self, conn: &Rc<Conn>, request: Request) -> impl Future<Output = Response>;

    /// Answers a message that is no request, and records it. `head` is as far as it was read.
    fn refuse(&self, conn: &Rc<Conn>, head: Box<RequestHead>, refused: Refused) -> Response;

    /// Gives a connection that came its place, or turns it away (a connection limit).
    fn admit(&self, conn: &Conn) -> Option<Self::Place>;

    /// Hears which wire a connection speaks, once its handshake or its first bytes have told.
    fn settled(&self, conn: &Conn, place: &mut Self::Place);

    /// A uniformly random number.
    fn dice(&self) -> u64;

    /// Hears who the client of a connection is that was let in as nobody's, because a balancer in
    /// front was still to say it. The place is kept, or given up for a bound on clients.
    fn announced(&self, conn: &Conn, place: Self::Place) -> Option<Self::Place>;

    /// Hears of a connection that was lost before it brought a request.
    fn lost(&self, conn: &Conn, why: Lost);
}

/// What a listener's connections get; swapped when the configuration changes.
#[derive(Clone)]
pub struct Doorway {
    /// The listener's id, which stays the same over reloads.
    pub listener: usize,
    /// Timeouts and bounds.
    pub settings: Rc<ServeSettings>,
    /// TLS, if the listener speaks it.
    pub tls: Option<Arc<ServerTls>>,
    /// Whose connections begin with a header of the PROXY protocol; `None`: nobody's.
    pub announcers: Option<Announcers>,
    /// What becomes of its connections.
    pub trade: Trade,
}

/// What a listener's connections are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trade {
    /// They bring requests.
    Http,
    /// Their bytes are passed on as they are.
    Relay,
}

/// A doorway that can be swapped under an accept loop.
pub type SharedDoorway = Rc<RefCell<Doorway>>;
