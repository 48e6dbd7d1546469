//! What is known of an exchange when it is over: the one source of its log line and its metrics.
//!
//! The record rides on the response's body, so it is closed exactly once, when the last byte was
//! handed to the client or the client is gone. Its box is used again.

#![expect(clippy::vec_box, reason = "the box is what travels: taking one out must move a word")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use doorman_balance::Lease;
use doorman_http::coding::Coding;
use doorman_http::desync::Anomaly;
use doorman_http::{BodyError, Conn, Instant, Now, RequestHead, Watch};
use doorman_net::dial::DialError;

use crate::again::Again;
use crate::form::Tally;
use crate::gate::PlanBan;
use crate::guard::Guard;
use crate::house::Books;
use crate::inspection::{Event, FINDINGS_MAX, Inspected, Inspection, TEXT_MAX, Told, WafAction};
use crate::metrics::{CacheCounters, RouteCounters};
use crate::stop::Fault;

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
    /// The site has other rules for certificates of clients than the connection was made under.
    Misdirected,
    /// The route is for clients that showed a certificate.
    NoClientCertificate,
    /// The request came in early data, which its site does not take.
    TooEarly,
    /// The path names no script of a FastCGI application.
    NoScript,
    /// No server was available.
    NoServer,
    /// The upstream's breaker was open.
    BreakerOpen,
    /// The upstream had as many requests at once as its breaker lets through.
    BreakerFull,
    /// Every server was full, and so was the queue for them.
    QueueFull,
    /// It waited in the queue for too long.
    QueueTimeout,
    /// No server was there, and no more requests could wait for one.
    ParkFull,
    /// It waited too long for a server to be there.
    ParkTimeout,
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
    /// A rule refused the request, or its answer.
    WafBlock,
    /// Rules could not be run to their end, and what is not inspected is not to pass.
    WafError,
    /// The client is kept out for some time.
    Banned,
    /// It may not come.
    Denied,
    /// It was above a limit.
    Limited,
    /// Its client had too many connections.
    TooManyConnections,
    /// Too many requests were under way.
    Crowded,
    /// There was more to do than could be done.
    Overloaded,
    /// Its client was asked for some work first.
    Challenged,
    /// A browser sent it for a page of another site.
    CrossSite,
    /// Nobody knew who asked.
    Unauthorized,
    /// Who says who may pass could not be asked, or said what means nothing.
    AuthUnavailable,
    /// Its client was sent to sign in, came back from there, or signed out.
    SignIn,
    /// The drain deadline passed.
    Drained,
}

impl End {
    /// Every word, in the order of the docs.
    pub const ALL: [Self; 37] = [
        Self::Ok,
        Self::ClientClosed,
        Self::ClientTimeout,
        Self::ClientMalformed,
        Self::BodyTooLarge,
        Self::NoSite,
        Self::NoRoute,
        Self::Misdirected,
        Self::NoClientCertificate,
        Self::TooEarly,
        Self::NoScript,
        Self::NoServer,
        Self::BreakerOpen,
        Self::BreakerFull,
        Self::QueueFull,
        Self::QueueTimeout,
        Self::ParkFull,
        Self::ParkTimeout,
        Self::UpstreamConnect,
        Self::UpstreamTimeout,
        Self::UpstreamClosed,
        Self::UpstreamMalformed,
        Self::BadEdit,
        Self::WafBlock,
        Self::WafError,
        Self::Banned,
        Self::Denied,
        Self::Limited,
        Self::TooManyConnections,
        Self::Crowded,
        Self::Overloaded,
        Self::Challenged,
        Self::CrossSite,
        Self::Unauthorized,
        Self::AuthUnavailable,
        Self::SignIn,
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
            Self::Misdirected => "misdirected",
            Self::NoClientCertificate => "no-client-certificate",
            Self::TooEarly => "too-early",
            Self::NoScript => "no-script",
            Self::NoServer => "no-server",
            Self::BreakerOpen => "breaker-open",
            Self::BreakerFull => "breaker-full",
            Self::QueueFull => "queue-full",
            Self::QueueTimeout => "queue-timeout",
            Self::ParkFull => "park-full",
            Self::ParkTimeout => "park-timeout",
            Self::UpstreamConnect => "upstream-connect",
            Self::UpstreamTimeout => "upstream-timeout",
            Self::UpstreamClosed => "upstream-closed",
            Self::UpstreamMalformed => "upstream-malformed",
            Self::BadEdit => "bad-edit",
            Self::WafBlock => "waf-block",
            Self::WafError => "waf-error",
            Self::Banned => "banned",
            Self::Denied => "denied",
            Self::Limited => "limited",
            Self::TooManyConnections => "too-many-connections",
            Self::Crowded => "crowded",
            Self::Overloaded => "overloaded",
            Self::Challenged => "challenged",
            Self::CrossSite => "cross-site",
            Self::Unauthorized => "unauthorized",
            Self::AuthUnavailable => "auth-unavailable",
            Self::SignIn => "sign-in",
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
    /// Content bytes received.
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
    /// What became of the client's tie to a server, where its upstream keeps clients on theirs.
    pub sticky: Option<Sticky>,
    /// What the cache had to do with it; `None`: nothing.
    pub cached: Option<Cached>,
    /// Why, where there is more to say; a closed set of words.
    pub cache_reason: Option<&'static str>,
    /// How its answer was coded on the way; `None`: not at all.
    pub coded: Option<Rc<Tally>>,
    /// The coding of the form of a stored answer that it was given; `None`: none.
    pub kept_coding: Option<Coding>,
    /// What it took to take a coding off on the way; `None`: none was.
    pub decoded: Option<Rc<Tally>>,
    /// Why its answer was not coded, where its route codes answers; a closed set of words.
    pub code_reason: Option<&'static str>,
    /// What its answer was made smaller as; `None`: it went as it was.
    pub optimized: Option<&'static str>,
    /// Why it was not, where its route makes answers like it smaller; a closed set of words.
    pub optimize_reason: Option<&'static str>,
    /// Links that the client was told of in early hints.
    pub hinted: u8,
    /// Why further tries were made, in order.
    pub again: Vec<Again>,
    /// How long it waited for a server.
    pub waited_micros: u64,
    /// What rules made of it, once it is over; `None`: none looked at it.
    pub inspected: Option<Box<Inspected>>,
    pub(crate) inspection: Option<Box<Inspection>>,
    received: Option<Rc<Cell<u64>>>,
    pub(crate) lease: Option<Lease>,
    pub(crate) guard: Option<Guard>,
    /// Places among the requests under way, given back when it is over.
    pub(crate) places: Vec<doorman_limit::Place>,
    /// How two readers could understand the request in different ways; `None`: in none.
    pub anomaly: Option<Anomaly>,
    /// Who asked, where its route wants to know.
    pub user: Option<Box<str>>,
    /// Whether its credentials were not good.
    pub(crate) auth_failed: bool,
    /// Whether its proof of work was not good.
    pub(crate) proof_failed: bool,
    /// Why the origin's response was cut, where the client was told so by trailers.
    pub(crate) told: Option<Rc<Cell<Option<BodyError>>>>,
    pub(crate) books: Rc<Books>,
}

/// What became of a client's tie to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sticky {
    /// It had none, or none that is good, and has one now.
    New,
    /// Its server took the request.
    Hit,
    /// Another server took it, which is its server from now on.
    Moved,
    /// Its server could not take it, and nobody else was to.
    Refused,
}

impl Sticky {
    /// Every word, in the order of the docs.
    pub const ALL: [Self; 4] = [Self::New, Self::Hit, Self::Moved, Self::Refused];

    /// The word, the same in log, metrics and docs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Hit => "hit",
            Self::Moved => "moved",
            Self::Refused => "refused",
        }
    }
}

/// What the cache had to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cached {
    /// It was answered from the store, with what is fresh.
    Hit,
    /// It was answered from the store, with what is past its time.
    Stale,
    /// It was answered from the store, after the origin had said that it still holds.
    Revalidated,
    /// It waited for the fetch of another request, and got what that one fetched.
    Collapsed,
    /// The origin was asked, and what it said could be stored.
    Miss,
    /// The origin was asked, and what it said could not be stored.
    Refused,
    /// The store was not asked.
    Bypass,
    /// The client wanted what is stored alone, and nothing is (RFC 9111 section 5.2.1.7).
    Absent,
}

impl Cached {
    /// Every word, in the order of the docs.
    pub const ALL: [Self; 8] = [
        Self::Hit,
        Self::Stale,
        Self::Revalidated,
        Self::Collapsed,
        Self::Miss,
        Self::Refused,
        Self::Bypass,
        Self::Absent,
    ];

    /// The word, the same in log, metrics and docs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Revalidated => "revalidated",
            Self::Collapsed => "collapsed",
            Self::Miss => "miss",
            Self::Refused => "refused",
            Self::Bypass => "bypass",
            Self::Absent => "absent",
        }
    }
}

/// A site and a route by name.
pub struct Place {
    /// The site's name.
    pub site: Box<str>,
    /// The route's name.
    pub route: Box<str>,
    pub(crate) counters: Arc<RouteCounters>,
    /// Counters of what rules make of its requests; `None`: none look at them.
    pub(crate) waf: Option<Arc<crate::metrics::WafCounters>>,
    /// Counters of the store that the route uses.
    pub(crate) cache: Option<Arc<CacheCounters>>,
    /// Rules that ban clients by what becomes of their requests here.
    pub(crate) bans: Arc<[PlanBan]>,
}

/// A server by name.
pub struct ServerPlace {
    /// The upstream's name.
    pub upstream: Box<str>,
    /// The server's name.
    pub server: Box<str>,
    pub(crate) counters: Arc<crate::metrics::ServerCounters>,
}

/// What is told of a request that rules could not see all of.
pub(crate) const UNSEEN: &str = "rules could not be run to their end";

thread_local! {
    static KEPT: RefCell<Vec<Box<Record>>> = const { RefCell::new(Vec::new()) };
}

/// Records that a thread keeps for reuse.
const KEPT_MAX: usize = 1024;

impl Record {
    pub(crate) fn open(conn: Rc<Conn>, books: Rc<Books>, started: Now) -> Box<Self> {
        if let Some(mut record) = KEPT.with_borrow_mut(Vec::pop) {
            record.reopen(conn, books, started);
            return record;
        }
        Box::new(Self {
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
            sticky: None,
            cached: None,
            cache_reason: None,
            coded: None,
            kept_coding: None,
            decoded: None,
            code_reason: None,
            optimized: None,
            optimize_reason: None,
            hinted: 0,
            again: Vec::new(),
            waited_micros: 0,
            inspected: None,
            inspection: None,
            received: None,
            lease: None,
            guard: None,
            places: Vec::new(),
            anomaly: None,
            user: None,
            auth_failed: false,
            proof_failed: false,
            told: None,
            books,
        })
    }

    /// Takes a used record for another exchange. What was dropped when it was finished is gone already;
    /// the request's id and the marks that every exchange sets anew are left as they are.
    fn reopen(&mut self, conn: Rc<Conn>, books: Rc<Books>, started: Now) {
        self.conn = conn;
        self.client = None;
        self.started = started;
        self.connected = None;
        self.answered = None;
        self.ended = started.instant;
        self.status = 0;
        self.bytes_in = 0;
        self.bytes_out = 0;
        self.end = End::Ok;
        self.attempts = 0;
        self.sticky = None;
        self.cached = None;
        self.cache_reason = None;
        self.code_reason = None;
        (self.optimized, self.optimize_reason) = (None, None);
        self.hinted = 0;
        self.kept_coding = None;
        self.again.clear();
        self.waited_micros = 0;
        self.anomaly = None;
        self.user = None;
        (self.auth_failed, self.proof_failed) = (false, false);
        self.books = books;
    }

    /// What counts a request's content for this record, as it is taken.
    pub(crate) fn receiving(&mut self) -> Box<dyn Watch> {
        let received = Rc::default();
        self.received = Some(Rc::clone(&received));
        Box::new(Received(received))
    }

    /// The request id as text.
    #[must_use]
    pub fn id(&self) -> &str {
        std::str::from_utf8(&self.request_id).unwrap_or_default()
    }

    /// Ends with what went wrong with a body. Where a client's is malformed, there is no telling where it ended.
    fn cut(&mut self, error: BodyError) {
        self.end = End::of_body(error);
        if matches!(error, BodyError::ClientMalformed(_)) {
            let anomaly = self.anomaly.unwrap_or(Anomaly::BadBody);
            self.anomaly = Some(anomaly.worse(Anomaly::BadBody));
        }
    }

    /// Ends with a fault.
    pub(crate) fn fault(&mut self, fault: &Fault) {
        if let Fault::Client(error) | Fault::Upstream(DialError::Client(error)) = fault {
            self.cut(*error);
        }
        self.end = fault.end();
        self.detail = fault.detail();
    }

    /// Writes the log line and the metrics.
    pub(crate) fn finish(mut self: Box<Self>) {
        self.ended = self.books.clock.instant();
        self.bytes_in = self.received.take().map_or(0, |received| received.get());
        if let Some(lease) = self.lease.take() {
            lease.moved(self.bytes_in.saturating_add(self.bytes_out));
        }
        // Behind the lease: who is called by it finds the place free.
        self.guard = None;
        self.places.clear();
        if let Some(inspection) = self.inspection.take() {
            let (inspected, told) = inspection.finish();
            if inspected.action == WafAction::Error && self.end == End::WafBlock {
                self.end = End::WafError;
                self.detail = Some(UNSEEN.to_owned());
            }
            self.inspected = Some(Box::new(inspected));
            if told.is_any() {
                self.tell(told);
            }
        }
        let books = Rc::clone(&self.books);
        books.close(&self);
        self.inspected = None;
        if let Some(head) = self.head.take() {
            doorman_net::heads::reuse_request(head);
        }
        self.place = None;
        self.server = None;
        self.detail = None;
        (self.coded, self.decoded) = (None, None);
        KEPT.with_borrow_mut(|kept| {
            if kept.len() < KEPT_MAX {
                kept.push(self);
            }
        });
    }
}

impl Record {
    /// Keeps what rules found where people look.
    fn tell(&mut self, told: Told) {
        let Some(inspected) = &mut self.inspected else { return };
        let Told { events, mode, refusal, mut findings, faults } = told;
        let more = findings.len().saturating_sub(FINDINGS_MAX);
        // What is kept is counted by its length.
        findings.truncate(FINDINGS_MAX);
        findings.shrink_to_fit();
        let cut = |bytes: &[u8]| bytes[..bytes.len().min(TEXT_MAX)].into();
        let head = self.head.as_deref();
        let event = Arc::new(Event {
            id: self.request_id,
            unix_nanos: self.started.unix_nanos,
            client: self.client,
            place: self.place.as_ref().map(|place| (place.site.clone(), place.route.clone())),
            method: head.map_or("", |head| head.method.as_str()).into(),
            host: cut(head.map_or(&b""[..], RequestHead::authority)),
            path: cut(head.map_or(&b""[..], RequestHead::received_path)),
            status: self.status,
            action: inspected.action.as_str(),
            mode,
            refused_by: refusal.as_ref().map(|refusal| refusal.rule),
            phase: refusal.as_ref().map(|refusal| refusal.phase.number()),
            scores: inspected.scores,
            findings,
            more,
            faults,
            nanos: inspected.nanos,
        });
        events.push(Arc::clone(&event));
        inspected.event = Some(event);
    }
}

/// Counts bytes of a request's content.
struct Received(Rc<Cell<u64>>);

impl Watch for Received {
    fn data(&mut self, n: usize) {
        self.0.set(self.0.get() + n as u64);
    }

    fn close(self: Box<Self>, _end: Result<(), BodyError>) {}
}

impl Watch for Record {
    fn data(&mut self, n: usize) {
        self.bytes_out += n as u64;
    }

    fn close(mut self: Box<Self>, end: Result<(), BodyError>) {
        let told = self.told.take().and_then(|told| told.get());
        if let Err(error) = end.and(told.map_or(Ok(()), Err))
            && self.end == End::Ok
        {
            self.cut(error);
        }
        self.finish();
    }
}
