//! What would become of a request, and why: the corridor walked without asking anybody.
//!
//! It calls the very functions that a request meets (the table of routes, the edits, the answers)
//! with a request that nobody sent, so that an explanation cannot say something else than the
//! proxy does. Places in the configuration are given as indices; whoever shows them knows the file.

mod cache;
mod form;
mod guard;
mod waf;

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use doorman_fastcgi::Script;
use doorman_http::{
    Body, Conn, FieldId, Fields, Frame, Method, Peer, Request, RequestHead, Response, Scheme,
    TlsFacts, Upgrade, Version, is_field_value, is_token,
};
use doorman_net::dial::ProxyVersion;
use doorman_net::os::ListenAddress;
use doorman_net::tls::Served;
use doorman_net::{Cleartext, Clock};
use doorman_route::{Found, Query, Tried};
use doorman_transform::Context as Facts;

use crate::exchange::Exchange;
use crate::plan::{Plan, PlanCgi, PlanEnding, PlanRoute};
use crate::stage::{answer, deliver, edit, inspect, share, stick};
use crate::stop::{Fault, Stop};
use crate::{Books, CoreCounters, NoJournal};

pub use cache::{Cache, CacheWay, Decision, Kept};
pub use form::{Codes, Decodes, Optimizes};
pub use guard::Guarded;
pub use waf::Waf;

/// Port that the client of an explained request calls from: the first that systems give out.
const CLIENT_PORT: u16 = 49_152;

/// A request that nobody sent.
#[derive(Clone, Debug)]
pub struct Question {
    /// Its method.
    pub method: Method,
    /// Whether it comes by TLS.
    pub scheme: Scheme,
    /// Host as the client writes it, with its port where that is not the scheme's own.
    pub authority: String,
    /// Where it comes to.
    pub door: Door,
    /// Path and query.
    pub target: String,
    /// Header fields; a `Host` among them counts instead of the authority.
    pub fields: Vec<(String, String)>,
    /// What its body says; only rules of inspection look at it.
    pub body: Vec<u8>,
    /// Address of the client; one that comes by a Unix socket has none.
    pub from: IpAddr,
    /// Its protocol; `None`: the newest that the listener offers.
    pub version: Option<Version>,
}

/// Where a request comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// A port.
    Port(u16),
    /// A Unix socket.
    Unix(PathBuf),
}

/// What would become of it.
#[derive(Debug)]
pub struct Explanation {
    /// Index of the listener in the plan that takes it.
    pub listener: Option<usize>,
    /// The certificate that the handshake gets.
    pub certificate: Option<Served>,
    /// The protocol it is taken to come by.
    pub version: Version,
    /// Who asks, with what trusted proxies say taken in.
    pub client: Option<IpAddr>,
    /// Index of the site in the plan; those behind the sites of the configuration send clients
    /// over to HTTPS.
    pub site: Option<usize>,
    /// Every route of the site, and why it lost.
    pub tried: Vec<Tried>,
    /// Index of the route that won.
    pub route: Option<usize>,
    /// Whether a certificate authority would be answered here, if it were proving the name now.
    pub is_proof: bool,
    /// What its route's gates say, in their order.
    pub guards: Vec<Guarded>,
    /// By which rules it is inspected, and what they say; `None`: by none.
    pub waf: Option<Waf>,
    /// What becomes of the request.
    pub outcome: Outcome,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing listens there with its scheme.
    NoListener,
    /// The handshake is refused: no certificate fits the name.
    NoCertificate,
    /// It is refused as malformed; why.
    Malformed(String),
    /// No site takes the host; 404.
    NoSite,
    /// No route of the site takes it; 404.
    NoRoute,
    /// The house answers itself.
    Answer(Answer),
    /// It is passed on.
    Forward(Box<Forward>),
    /// The configuration makes something of it that cannot be sent; status and why.
    Fault(u16, String),
}

/// An answer that the house gives itself.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its fields.
    pub fields: Vec<Line>,
    /// Its content.
    pub body: Vec<u8>,
}

/// A field: name and value.
pub type Line = (String, String);

/// How a request is passed on.
#[derive(Debug)]
pub struct Forward {
    /// Path and query as they came, and as the origin is asked for them.
    pub before: String,
    /// See `before`.
    pub after: String,
    /// Fields that are added. `X-Request-Id` is another for every request.
    pub added: Vec<Line>,
    /// Fields that are taken away.
    pub removed: Vec<Line>,
    /// Fields that the response gets.
    pub response: Vec<Line>,
    /// Bytes that its body may have.
    pub body_max: Option<u64>,
    /// Bytes of request and response that are collected first.
    pub buffers: (Option<usize>, Option<usize>),
    /// Where it goes: one of these, by their shares.
    pub ways: Vec<Way>,
    /// Where clients stay on their side of the split: which of the ways this one goes, and why.
    pub side: Option<Side>,
    /// The upstream that copies go to, as an index in the plan, and how many of 10,000 are copied.
    pub mirror: Option<(usize, u32)>,
    /// What the cache has to do with it, where the route has one.
    pub cache: Option<Cache>,
    /// How its answer would be coded, where the route codes answers.
    pub codes: Option<Codes>,
    /// What is decoded for clients that cannot read it, where the route does that.
    pub decodes: Option<Decodes>,
    /// What would be made of a stored answer, where the route makes something.
    pub optimizes: Option<Optimizes>,
    /// What its answer gets on its way to a browser, each by its word in configurations.
    pub delivery: Vec<(&'static str, String)>,
}

/// Which way of a split a client goes.
#[derive(Debug)]
pub struct Side {
    /// Its place among the ways; `None`: it is not known beforehand.
    pub way: Option<usize>,
    /// Why.
    pub why: String,
}

/// An upstream that a request may go to.
#[derive(Debug)]
pub struct Way {
    /// Index of the upstream in the plan.
    pub upstream: usize,
    /// How many of 10,000 requests.
    pub share: u32,
    /// How long each step may take.
    pub times: Times,
    /// The `Host` that each of its servers is sent, in the plan's order.
    pub hosts: Vec<String>,
    /// What ties the request to a server, where the upstream keeps clients on theirs.
    pub sticky: Option<String>,
    /// The script that a FastCGI application is asked for, or why there is none.
    pub script: Option<String>,
    /// The version of the PROXY protocol that its connections begin with.
    pub proxy_protocol: Option<&'static str>,
    /// The address of ours that its connections come from.
    pub source: Option<IpAddr>,
}

/// How long each step of asking an origin may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Look-up, connect and TLS.
    pub connect: Duration,
    /// From the request sent to the head of the response.
    pub head: Duration,
    /// Between two reads of the response's body.
    pub idle: Duration,
    /// The whole exchange.
    pub whole: Option<Duration>,
}

impl Plan {
    /// What would become of a request, and why.
    #[must_use]
    pub fn explain(&self, question: &Question, clock: Clock) -> Explanation {
        let mut told = Explanation {
            listener: None,
            certificate: None,
            version: question.version.unwrap_or(Version::Http11),
            client: Some(question.from),
            site: None,
            tried: Vec::new(),
            route: None,
            is_proof: false,
            guards: Vec::new(),
            waf: None,
            outcome: Outcome::NoListener,
        };
        let mut head = match question.head() {
            Ok(head) => head,
            Err(why) => {
                told.outcome = Outcome::Malformed(why);
                return told;
            }
        };
        let Some(listener) = self.listener_for(question, head.host()) else { return told };
        told.listener = Some(listener);
        let name = server_name(&question.authority);
        if let Some(tls) = &self.listeners[listener].tls {
            told.certificate = tls.certificates().describe(name);
            if told.certificate.is_none() {
                told.outcome = Outcome::NoCertificate;
                return told;
            }
            let offers_h2 = tls.config().alpn_protocols.iter().any(|name| name == b"h2");
            if question.version.is_none() && offers_h2 && head.upgrade.is_none() {
                told.version = Version::Http2;
            }
        }
        let is_plain = self.listeners[listener].tls.is_none();
        told.is_proof = is_plain
            && self.has_automatic()
            && head.path().starts_with(doorman_net::tls::HTTP_PROOF_PATH.as_bytes());
        let cleartext = self.listeners[listener].settings.cleartext;
        if question.version.is_none() && is_plain && cleartext == Cleartext::H2 {
            told.version = Version::Http2;
        }
        head.version = told.version;
        let books = Books::new(clock, Arc::new(CoreCounters::default()), Rc::new(NoJournal));
        let conn = self.conn(listener, question, told.version, name);
        let body = match question.body.as_slice() {
            [] => Body::empty(),
            body => Body::whole(body.to_vec().into()),
        };
        let request = Request { head, body, interim: None };
        let mut exchange = Exchange::new(&conn, request, &books, clock.now());
        told.walk(self, &mut exchange, &question.body, clock);
        told
    }

    /// The listener that a request comes to. Several addresses may share a port; the one that
    /// knows the host is meant.
    fn listener_for(&self, question: &Question, host: &[u8]) -> Option<usize> {
        let fits = |index: &usize| {
            let listener = &self.listeners[*index];
            let by_udp = question.version == Some(Version::Http3);
            let meant = |address: &ListenAddress| match (address, &question.door) {
                (ListenAddress::Inet(inet), Door::Port(port)) => inet.port() == *port && !by_udp,
                (ListenAddress::Udp(inet), Door::Port(port)) => inet.port() == *port && by_udp,
                (ListenAddress::Unix(path), Door::Unix(asked)) => path == asked && !by_udp,
                _ => false,
            };
            listener.tls.is_some() == (question.scheme == Scheme::Https)
                && listener.addresses.iter().any(meant)
        };
        let mut candidates = (0..self.listeners.len()).filter(fits);
        let first = candidates.clone().next();
        candidates.find(|index| self.table.site(*index, host).is_some()).or(first)
    }

    fn conn(
        &self,
        listener: usize,
        question: &Question,
        version: Version,
        name: Option<&str>,
    ) -> Rc<Conn> {
        let inet = self.listeners[listener].addresses.iter().find_map(|address| match address {
            ListenAddress::Inet(inet) | ListenAddress::Udp(inet) => Some(*inet),
            ListenAddress::Unix(_) => None,
        });
        let (peer, local) = match question.door {
            Door::Unix(_) => (Peer::Unix, Peer::Unix),
            Door::Port(port) => (
                Peer::Inet(SocketAddr::new(question.from, CLIENT_PORT)),
                Peer::Inet(inet.unwrap_or(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port))),
            ),
        };
        let secure = question.scheme == Scheme::Https;
        Rc::new(Conn {
            peer,
            local,
            wire: version.wire(question.scheme),
            tls: secure.then(|| TlsFacts {
                version: "TLSv1.3",
                server_name: name.map(|name| name.to_ascii_lowercase().into()),
                resumed: false,
                client_rules: Cell::new(None),
                client: None,
            }),
            listener: self.listeners[listener].id,
            held: doorman_http::Holding::default(),
        })
    }
}

/// Fields that are about a connection or about framing: a reader takes them in before any rule
/// sees a request, so they have no place in a question.
const NOT_FIELDS: [&str; 8] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
];

/// Whether a field is about a connection or about framing, which a question has no place for.
#[must_use]
pub fn is_about_connection(name: &str) -> bool {
    NOT_FIELDS.iter().any(|other| name.eq_ignore_ascii_case(other))
}

impl Question {
    /// The head that a wire would have read.
    fn head(&self) -> Result<Box<RequestHead>, String> {
        let mut head = Box::new(RequestHead::default());
        head.method = self.method.clone();
        head.scheme = self.scheme;
        if !self.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.fields.push_id(FieldId::Host, self.authority.as_bytes());
        }
        for (name, value) in &self.fields {
            if !is_token(name.as_bytes()) || !is_field_value(value.as_bytes()) {
                return Err(format!("`{name}: {value}` is not a header field"));
            }
            if is_about_connection(name) {
                return Err(format!("`{name}` is about the connection, which is not asked about"));
            }
            let id = head.fields.push(name.as_bytes(), value.as_bytes());
            if id == FieldId::Upgrade {
                let websocket = value.eq_ignore_ascii_case("websocket");
                head.upgrade = Some(if websocket { Upgrade::WebSocket } else { Upgrade::Other });
                head.fields.hide(FieldId::Upgrade);
            }
        }
        head.set_target(self.target.as_bytes())
            .map_err(|error| format!("the URL or the host is not valid: {error:?}"))?;
        Ok(head)
    }
}

/// What a client puts into its TLS hello: the host, but never an address (RFC 6066 section 3).
fn server_name(authority: &str) -> Option<&str> {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    let is_address = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
    (!is_address && !host.is_empty()).then_some(host)
}

impl Explanation {
    /// The life of a request, in the order of the corridor.
    fn walk(&mut self, plan: &Plan, exchange: &mut Exchange, body: &[u8], clock: Clock) {
        let before = Snapshot::of(&exchange.head);
        exchange.identify(&plan.trusted, || 0);
        self.client = exchange.client();
        let query = Query {
            listener: exchange.conn().listener,
            head: &exchange.head,
            client: exchange.client(),
        };
        self.tried = plan.table.explain(&query);
        let (site, index) = match plan.find(&query) {
            Found::Route(site, route, captures) => {
                exchange.captures = captures;
                (site.0, route.0)
            }
            Found::NoRoute(site) => {
                self.site = Some(site.0);
                self.outcome = Outcome::NoRoute;
                return;
            }
            Found::NoSite => {
                self.outcome = Outcome::NoSite;
                return;
            }
        };
        (self.site, self.route) = (Some(site), Some(index));
        let route = &plan.sites[site].routes[index];
        self.guards.extend(guard::overload(plan, route));
        if let Some(guard) = &route.guard {
            self.guards.extend(guard::guards(guard, exchange));
        }
        // Told beside the outcome, not instead of it: people ask what would become of it otherwise.
        self.waf = route.waf.as_ref().map(|rules| waf::waf(rules, exchange, body, clock));
        self.outcome = match &route.ending {
            PlanEnding::Redirect(to, status) => {
                stopped(answer::redirect(route, exchange, to, *status))
            }
            PlanEnding::Respond(status, text) => {
                stopped(answer::respond(route, exchange, *status, text.as_ref()))
            }
            PlanEnding::Proxy(targets) => match forward(plan, route, targets, exchange, &before) {
                Ok(forward) => Outcome::Forward(Box::new(forward)),
                Err(fault) => faulty(&fault),
            },
        };
    }
}

/// What of a head is compared.
struct Snapshot {
    target: String,
    fields: Vec<Line>,
}

impl Snapshot {
    fn of(head: &RequestHead) -> Self {
        let mut target = text(head.path());
        if let Some(query) = head.query() {
            target.push('?');
            target.push_str(&text(query));
        }
        let mut fields = lines(&head.fields);
        // Told apart: every server may be sent another one.
        fields.retain(|(name, _)| !name.eq_ignore_ascii_case("host"));
        Self { target, fields }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn lines(fields: &Fields) -> Vec<Line> {
    fields.iter().map(|(_, name, value)| (text(name), text(value))).collect()
}

/// Lines of `all` that are not in `others`, each as often as it is missing there.
fn missing(all: &[Line], others: &[Line]) -> Vec<Line> {
    let mut left: Vec<&Line> = others.iter().collect();
    let same = |a: &Line, b: &Line| a.0.eq_ignore_ascii_case(&b.0) && a.1 == b.1;
    let lacks = |line: &&Line| match left.iter().position(|other| same(line, other)) {
        Some(at) => {
            left.swap_remove(at);
            false
        }
        None => true,
    };
    all.iter().filter(lacks).cloned().collect()
}

fn forward(
    plan: &Plan,
    route: &PlanRoute,
    targets: &[(usize, u32)],
    exchange: &mut Exchange,
    before: &Snapshot,
) -> Result<Forward, Fault> {
    let side = route.share.as_ref().map(|share| {
        let (way, why) = share::tell(share, exchange);
        Side { way, why }
    });
    let sticky = |upstream: &(usize, u32)| {
        let group = &plan.upstreams[upstream.0];
        group.sticky.as_ref().map(|sticky| stick::tell(sticky, &group.servers, exchange))
    };
    let mut ties: Vec<Option<String>> = targets.iter().map(sticky).collect();
    let first = side.as_ref().and_then(|side| side.way).unwrap_or_default();
    let first = targets.get(first).map_or(0, |(upstream, _)| *upstream);
    // By what the client sent.
    let codes = route.code.as_ref().and_then(|code| form::codes(code, &exchange.head));
    let forms = route.cache.as_ref().and_then(|cache| cache.optimize.as_ref());
    let optimizes = forms.map(|forms| {
        let shape = crate::stage::optimize::shape(&forms.rules, &exchange.head);
        form::optimizes(forms, shape, &exchange.head)
    });
    let delivery = route.delivery.as_deref();
    let delivery = delivery.map_or_else(Vec::new, |delivery| deliver::tell(delivery, exchange));
    if let Some(waf) = &route.waf {
        inspect::want_plain(waf, exchange);
    }
    let seeking = route.cache.as_ref().map(|cache| cache::seek(cache, first, exchange));
    edit::request(route, exchange)?;
    let after = Snapshot::of(&exchange.head);
    let mut ways = Vec::new();
    for (tie, (upstream, share)) in ties.iter_mut().zip(targets) {
        let group = &plan.upstreams[*upstream];
        let mut hosts = Vec::new();
        for server in &group.servers {
            let host = route.edits.host(exchange, server)?;
            hosts.push(text(host.bytes(&exchange.head, server)));
        }
        let times = route.timeouts(group);
        let times = Times {
            connect: times.connect,
            head: times.response,
            idle: times.idle,
            whole: route.whole(group),
        };
        ways.push(Way {
            upstream: *upstream,
            share: *share,
            times,
            hosts,
            sticky: tie.take(),
            script: group.cgi.as_ref().map(|cgi| script(cgi, exchange)),
            proxy_protocol: group.manner.announce.map(ProxyVersion::as_str),
            source: group.manner.source,
        });
    }
    let mut response = Fields::new();
    edit::with_facts(exchange, |head, facts| {
        route.edits.response.apply_to_response(&mut response, &Facts { head, facts })
    });
    if let Some(hsts) = route.edits.hsts.as_ref().filter(|_| exchange.head.scheme == Scheme::Https)
    {
        let _ = response.set(b"strict-transport-security", hsts.as_bytes());
    }
    Ok(Forward {
        added: missing(&after.fields, &before.fields),
        removed: missing(&before.fields, &after.fields),
        before: before.target.clone(),
        after: after.target,
        response: lines(&response),
        body_max: route.body_max,
        buffers: (route.buffer_request, route.buffer_response),
        ways,
        side,
        mirror: route.mirror.as_ref().map(|mirror| (mirror.upstream, mirror.share)),
        cache: seeking.map(|seeking| seeking.tell(targets, exchange)),
        codes,
        decodes: route.code.as_ref().and_then(form::decodes),
        optimizes,
        delivery,
    })
}

/// The script that an application would be asked for.
fn script(cgi: &PlanCgi, exchange: &Exchange) -> String {
    match cgi.script(&exchange.head) {
        Ok(Script { name, info }) if info.is_empty() => format!("{}{}", cgi.root, text(&name)),
        Ok(Script { name, info }) => {
            format!("{}{}, PATH_INFO {}", cgi.root, text(&name), text(&info))
        }
        Err(fault) => format!("none: answered by {}", fault.status()),
    }
}

fn stopped(stop: Stop) -> Outcome {
    match stop {
        Stop::Answer(response) => Outcome::Answer(answered(*response)),
        Stop::Fault(fault) => faulty(&fault),
    }
}

fn faulty(fault: &Fault) -> Outcome {
    Outcome::Fault(fault.status(), fault.detail().unwrap_or_else(|| fault.end().as_str().into()))
}

fn answered(mut response: Response) -> Answer {
    let mut body = Vec::new();
    // The house's own answers are whole: their content is there at the first poll.
    let mut cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(Ok(Frame::Data(data)))) =
        pin!(response.body.frame()).as_mut().poll(&mut cx)
    {
        body.extend_from_slice(data.as_slice());
    }
    Answer { status: response.head.status, fields: lines(&response.head.fields), body }
}
