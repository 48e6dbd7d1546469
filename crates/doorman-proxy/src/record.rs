//! What is known of an exchange when it is over: the one source of its log line and its metrics.
//!
//! The record rides on the response's body, so it is closed exactly once, when the last byte was
//! handed to the client or the client is gone. Its box is used again.

#![expect(clippy::vec_box, reason = "the box is what travels: taking one out must move a word")]

use std::cell::RefCell;
use std::rc::Rc;

use doorman_balance::Lease;
use doorman_http::{BodyError, Conn, Instant, Now, RequestHead, Watch};

use crate::house::Books;
use crate::metrics::RouteCounters;

/// How an exchange ended: a closed set of words, the same in log, metrics and docs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The response was delivered whole.
    Ok,
    /// The client closed or reset before it had the response.
    ClientClosed,
    /// The client did not read, or did not send, in time.
    ClientTimeout,
    /// The client's message was malformed.
    ClientMalformed,
    /// The client's body was larger than allowed.
    BodyTooLarge,
    /// No site has this host.
    NoSite,
    /// No route took the request.
    NoRoute,
    /// No server was available.
    NoServer,
    /// The origin could not be connected to.
    UpstreamConnect,
    /// The origin was too slow.
    UpstreamTimeout,
    /// The origin closed before its message was whole.
    UpstreamClosed,
    /// The origin's message was malformed.
    UpstreamMalformed,
    /// The configuration made a request that cannot be sent.
    BadEdit,
    /// The drain deadline passed.
    Drained,
}

impl End {
    /// Every word, in the order of the docs.
    pub const ALL: [Self; 14] = [
        Self::Ok,
        Self::ClientClosed,
        Self::ClientTimeout,
        Self::ClientMalformed,
        Self::BodyTooLarge,
        Self::NoSite,
        Self::NoRoute,
        Self::NoServer,
        Self::UpstreamConnect,
        Self::UpstreamTimeout,
        Self::UpstreamClosed,
        Self::UpstreamMalformed,
        Self::BadEdit,
        Self::Drained,
    ];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ClientClosed => "client-closed",
            Self::ClientTimeout => "client-timeout",
            Self::ClientMalformed => "client-malformed",
            Self::BodyTooLarge => "body-too-large",
            Self::NoSite => "no-site",
            Self::NoRoute => "no-route",
            Self::NoServer => "no-server",
            Self::UpstreamConnect => "upstream-connect",
            Self::UpstreamTimeout => "upstream-timeout",
            Self::UpstreamClosed => "upstream-closed",
            Self::UpstreamMalformed => "upstream-malformed",
            Self::BadEdit => "bad-edit",
            Self::Drained => "drained",
        }
    }

    pub(crate) const fn of_body(error: BodyError) -> Self {
        match error {
            BodyError::ClientClosed => Self::ClientClosed,
            BodyError::ClientMalformed(_) => Self::ClientMalformed,
            BodyError::ClientTimeout => Self::ClientTimeout,
            BodyError::TooLarge => Self::BodyTooLarge,
            BodyError::UpstreamClosed => Self::UpstreamClosed,
            BodyError::UpstreamMalformed(_) => Self::UpstreamMalformed,
            BodyError::UpstreamTimeout => Self::UpstreamTimeout,
            BodyError::Draining => Self::Drained,
        }
    }
}

/// Everything the log and the metrics may want of one exchange.
pub struct Record {
    /// The client's connection.
    pub conn: Rc<Conn>,
    /// The request, edits included; what the client sent is still in it.
    pub head: Option<Box<RequestHead>>,
    /// UUIDv7.
    pub request_id: [u8; 36],
    /// Who asked: the peer, or whom a trusted proxy named.
    pub client: Option<std::net::IpAddr>,
    /// When the head had been read.
    pub started: Now,
    /// When a server was chosen and a connection to it was ready.
    pub connected: Option<Instant>,
    /// When the response's head was there.
    pub answered: Option<Instant>,
    /// When it was over.
    pub ended: Instant,
    /// Status sent.
    pub status: u16,
    /// Content bytes received and sent.
    pub bytes_in: u64,
    /// Content bytes sent.
    pub bytes_out: u64,
    /// How it ended.
    pub end: End,
    /// Words for a human about a fault.
    pub detail: Option<String>,
    /// Names of the site and the route, `None` when none was found.
    pub place: Option<Rc<Place>>,
    /// Name of the upstream and the server that answered.
    pub server: Option<Rc<ServerPlace>>,
    /// Tries at servers.
    pub attempts: u32,
    pub(crate) lease: Option<Lease>,
    pub(crate) books: Rc<Books>,
}

/// A site and a route by name.
pub struct Place {
    /// The site's name.
    pub site: Box<str>,
    /// The route's name.
    pub route: Box<str>,
    pub(crate) counters: std::sync::Arc<RouteCounters>,
}

/// A server by name.
pub struct ServerPlace {
    /// The upstream's name.
    pub upstream: Box<str>,
    /// The server's name.
    pub server: Box<str>,
    pub(crate) counters: std::sync::Arc<crate::metrics::ServerCounters>,
}

thread_local! {
    static KEPT: RefCell<Vec<Box<Record>>> = const { RefCell::new(Vec::new()) };
}

/// Records that a thread keeps for reuse.
const KEPT_MAX: usize = 1024;

impl Record {
    pub(crate) fn open(conn: Rc<Conn>, books: Rc<Books>, started: Now) -> Box<Self> {
        let fresh = Self {
            conn,
            head: None,
            request_id: [b'0'; 36],
            client: None,
            started,
            connected: None,
            answered: None,
            ended: started.instant,
            status: 0,
            bytes_in: 0,
            bytes_out: 0,
            end: End::Ok,
            detail: None,
            place: None,
            server: None,
            attempts: 0,
            lease: None,
            books,
        };
        match KEPT.with_borrow_mut(Vec::pop) {
            Some(mut record) => {
                *record = fresh;
                record
            }
            None => Box::new(fresh),
        }
    }

    /// The request id as text.
    #[must_use]
    pub fn id(&self) -> &str {
        std::str::from_utf8(&self.request_id).unwrap_or_default()
    }

    /// Writes the log line and the metrics.
    pub(crate) fn finish(mut self: Box<Self>) {
        self.ended = self.books.clock.instant();
        self.lease = None;
        let books = Rc::clone(&self.books);
        books.close(&self);
        if let Some(head) = self.head.take() {
            doorman_net::heads::reuse_request(head);
        }
        self.place = None;
        self.server = None;
        KEPT.with_borrow_mut(|kept| {
            if kept.len() < KEPT_MAX {
                kept.push(self);
            }
        });
    }
}

impl Watch for Record {
    fn data(&mut self, n: usize) {
        self.bytes_out += n as u64;
    }

    fn close(mut self: Box<Self>, end: Result<(), BodyError>) {
        if let Err(error) = end
            && self.end == End::Ok
        {
            self.end = End::of_body(error);
        }
        self.finish();
    }
}
