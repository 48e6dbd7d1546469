//! The life of a relayed connection, and of a client that sends datagrams: who may come, where it
//! goes, and the record of it.
//!
//! It is no request, so it does not walk the corridor; it shares the servers, the balancer, the bounds
//! on clients and the books with those that do.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use doorman_balance::{Lease, Outcome, PickRequest, ServerId, ServerState, Tried};
use doorman_http::{Instant, Now, Peer};
use doorman_net::Net;
use doorman_net::dial::{DialError, ProxyVersion};
use doorman_net::serve::{
    Caller, Carrier, Course, Datagrams, Hello, HelloError, Relayed, RelayedEnd,
};

use crate::again::Again;
use crate::crowd::Entry;
use crate::house::{CorePlan, CoreUpstream, Proxy};
use crate::metrics::RelayCounters;
use crate::plan::{PlanRelay, PlanUpstream};
use crate::record::ServerPlace;
use crate::stage::key;

/// Servers that one connection may be offered to.
const TRIES_MAX: u32 = 3;

/// How a relayed connection ended: a closed set of words, the same in log, metrics and docs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RelayEnd {
    /// Both sides have finished; of datagrams: the relay was taken away.
    Ok,
    /// The client's connection broke.
    ClientClosed,
    /// The server's connection broke.
    UpstreamClosed,
    /// Nothing moved for too long.
    Idle,
    /// The client's address is not to come here.
    Denied,
    /// It was over a bound on connections.
    Limit,
    /// The first message of TLS was malformed or did not come.
    BadHello,
    /// Nothing answers to the name that it asked for.
    NoName,
    /// No server was available.
    NoServer,
    /// No server could be connected to.
    UpstreamConnect,
    /// The drain deadline passed.
    Drained,
}

impl RelayEnd {
    /// Every word, in the order of the docs.
    pub const ALL: [Self; 11] = [
        Self::Ok,
        Self::ClientClosed,
        Self::UpstreamClosed,
        Self::Idle,
        Self::Denied,
        Self::Limit,
        Self::BadHello,
        Self::NoName,
        Self::NoServer,
        Self::UpstreamConnect,
        Self::Drained,
    ];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ClientClosed => "client-closed",
            Self::UpstreamClosed => "upstream-closed",
            Self::Idle => "idle",
            Self::Denied => "denied",
            Self::Limit => "limit",
            Self::BadHello => "bad-hello",
            Self::NoName => "no-name",
            Self::NoServer => "no-server",
            Self::UpstreamConnect => "upstream-connect",
            Self::Drained => "drained",
        }
    }

    /// Its place among the counters: that in [`RelayEnd::ALL`].
    pub(crate) const fn place(self) -> usize {
        self as usize
    }
}

impl From<RelayedEnd> for RelayEnd {
    fn from(end: RelayedEnd) -> Self {
        match end {
            RelayedEnd::Finished => Self::Ok,
            RelayedEnd::Client => Self::ClientClosed,
            RelayedEnd::Server => Self::UpstreamClosed,
            RelayedEnd::Idle => Self::Idle,
            RelayedEnd::Draining => Self::Drained,
        }
    }
}

/// A relay by name.
pub struct RelayPlace {
    /// Its name in logs and metrics: its address.
    pub relay: Box<str>,
    pub(crate) counters: Arc<RelayCounters>,
}

/// What is known of a relayed connection when it is over.
pub struct RelayRecord {
    /// The relay.
    pub place: Rc<RelayPlace>,
    /// Who came.
    pub client: Peer,
    /// When.
    pub started: Now,
    /// When a server was connected.
    pub connected: Option<Instant>,
    /// When it was over.
    pub ended: Instant,
    /// The host that TLS asked for.
    pub server_name: Option<Box<str>>,
    /// The server.
    pub server: Option<Rc<ServerPlace>>,
    /// Tries at servers.
    pub attempts: u32,
    /// Bytes from the client that the server took.
    pub bytes_in: u64,
    /// Bytes from the server that the client took.
    pub bytes_out: u64,
    /// How it ended.
    pub end: RelayEnd,
    /// Words for a human about what went wrong.
    pub detail: Option<String>,
}

/// A connection's place in a relay; dropping it counts it out.
struct Admitted {
    open: Arc<AtomicU64>,
    counters: Arc<RelayCounters>,
    _entry: Entry,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.counters.open.subtract(1);
    }
}

/// What is needed of a plan to relay one connection. The plan itself is let go of: a connection may
/// last for days.
struct Way {
    announce: Option<ProxyVersion>,
    connect: Duration,
    idle: Duration,
}

impl Way {
    fn of(relay: &PlanRelay, upstream: &PlanUpstream) -> Self {
        Self {
            announce: relay.announces(upstream),
            connect: relay.connect_within(upstream),
            idle: relay.idle,
        }
    }
}

impl<N: Net> Carrier<N::Stream> for Proxy<N> {
    async fn carry(&self, caller: Caller<N::Stream>) {
        let plan = self.plan();
        let found = plan.plan.relays.iter().position(|relay| relay.id == caller.listener);
        let Some(at) = found else { return caller.refuse() };
        let mut record = self.relay_record(&plan, at, caller.peer);
        record.end = self.relay(plan, at, caller, &mut record).await;
        self.finish_relay(record);
    }
}

impl<N: Net> Proxy<N> {
    async fn relay(
        &self,
        plan: Rc<CorePlan<N>>,
        at: usize,
        mut caller: Caller<N::Stream>,
        record: &mut RelayRecord,
    ) -> RelayEnd {
        let relay = &plan.plan.relays[at];
        let _admitted = match admit(&plan, relay, &record.place, caller.peer) {
            Ok(admitted) => admitted,
            Err(end) => {
                caller.refuse();
                return end;
            }
        };
        let upstream = match choose(relay, &mut caller, record).await {
            Ok(upstream) => upstream,
            Err(end) => {
                caller.refuse();
                return end;
            }
        };
        let way = Way::of(relay, &plan.plan.upstreams[upstream]);
        let connecting = self.connect_relay(&plan, upstream, &way, &caller, record);
        let connected = caller.attend(Box::pin(connecting)).await;
        // Kept until the connection ends: it is what the server works on.
        let (server, lease) = match connected {
            Some(Ok(connected)) => connected,
            Some(Err(end)) => {
                caller.refuse();
                return end;
            }
            None => {
                caller.refuse();
                return RelayEnd::Drained;
            }
        };
        let leash = &plan.upstreams[upstream].servers[lease.server().index()].leash;
        let mut hold = leash.holding();
        drop(plan);
        let relayed = caller.relay(server, way.idle, |cx| hold.poll(cx)).await;
        let Relayed { bytes_in, bytes_out, end } = relayed;
        (record.bytes_in, record.bytes_out) = (bytes_in, bytes_out);
        lease.moved(bytes_in.saturating_add(bytes_out));
        end.into()
    }

    /// Connects to the servers of an upstream until one is there.
    async fn connect_relay(
        &self,
        plan: &CorePlan<N>,
        upstream: usize,
        way: &Way,
        caller: &Caller<N::Stream>,
        record: &mut RelayRecord,
    ) -> Result<(N::Stream, Lease), RelayEnd> {
        let group = &plan.upstreams[upstream];
        let conn = caller.conn();
        let mut tried = Tried::none();
        let mut end = RelayEnd::NoServer;
        let mut failed: Option<&Rc<ServerPlace>> = None;
        let key = key::of_connection(&plan.plan.upstreams[upstream], &conn.peer);
        while record.attempts < TRIES_MAX {
            let Some(lease) = self.pick(group, key, &tried) else { break };
            if let Some(place) = failed.take() {
                place.counters.retries[Again::Connect.place()].add(1);
            }
            let id = lease.server();
            tried.add(id);
            let server = &group.servers[id.index()];
            record.attempts += 1;
            record.server = Some(Rc::clone(&server.place));
            match server.dialler.connect_bare(way.connect, way.announce, &conn).await {
                Ok(stream) => {
                    let now = self.core.clock.instant();
                    group.balancer.report(id, Outcome::Reached, now);
                    record.connected = Some(now);
                    record.detail = None;
                    return Ok((stream, lease));
                }
                Err(error @ DialError::Exhausted) => {
                    record.detail = Some(error.to_string());
                    self.make_room();
                    self.books.counters().overload().unsent.add(1);
                    return Err(RelayEnd::UpstreamConnect);
                }
                Err(error) => {
                    record.detail = Some(error.to_string());
                    end = RelayEnd::UpstreamConnect;
                    failed = Some(&server.place);
                    self.unreached(group, id);
                }
            }
        }
        Err(end)
    }

    fn unreached(&self, group: &CoreUpstream<N>, id: ServerId) {
        group.servers[id.index()].place.counters.failures.add(1);
        group.balancer.report(id, Outcome::Refused, self.core.clock.instant());
    }

    fn pick(&self, group: &CoreUpstream<N>, key: Option<u64>, tried: &Tried) -> Option<Lease> {
        let now = self.core.clock.recent();
        group.balancer.pick(&PickRequest { tried, bound: None, key, dice: self.net.dice(), now })
    }

    fn relay_record(&self, plan: &CorePlan<N>, at: usize, client: Peer) -> RelayRecord {
        let started = self.core.clock.now();
        RelayRecord {
            place: Rc::clone(&plan.relays[at]),
            client,
            started,
            connected: None,
            ended: started.instant,
            server_name: None,
            server: None,
            attempts: 0,
            bytes_in: 0,
            bytes_out: 0,
            end: RelayEnd::Ok,
            detail: None,
        }
    }

    fn finish_relay(&self, mut record: RelayRecord) {
        record.ended = self.core.clock.instant();
        self.books.close_relay(&record);
    }
}

/// Gives a client its place in a relay, or says why not.
fn admit<N: Net>(
    plan: &CorePlan<N>,
    relay: &PlanRelay,
    place: &RelayPlace,
    client: Peer,
) -> Result<Admitted, RelayEnd> {
    if !relay.lets_in(&client) {
        return Err(RelayEnd::Denied);
    }
    let entry = plan.plan.crowd.enter(client.ip(), plan.plan.crowd_limits);
    let entry = entry.ok_or(RelayEnd::Limit)?;
    let before = relay.open.fetch_add(1, Ordering::Relaxed);
    place.counters.open.add(1);
    let (open, counters) = (Arc::clone(&relay.open), Arc::clone(&place.counters));
    let admitted = Admitted { open, counters, _entry: entry };
    if before < relay.connections { Ok(admitted) } else { Err(RelayEnd::Limit) }
}

/// Where a connection goes: by the name that it asks for, if names matter here.
async fn choose<S: doorman_net::seam::Stream>(
    relay: &PlanRelay,
    caller: &mut Caller<S>,
    record: &mut RelayRecord,
) -> Result<usize, RelayEnd> {
    if relay.names.is_empty() {
        return relay.target.ok_or(RelayEnd::NoName);
    }
    match caller.hello(relay.hello).await {
        Ok(Hello::Name(name)) => {
            let found = relay.named(&name);
            record.server_name = Some(name);
            found.or(relay.target).ok_or(RelayEnd::NoName)
        }
        Ok(Hello::Nameless | Hello::NotTls | Hello::Partial) => {
            relay.target.ok_or(RelayEnd::NoName)
        }
        Err(error) => {
            let (end, why) = match error {
                HelloError::Malformed(fault) => (RelayEnd::BadHello, fault.to_string()),
                HelloError::Timeout => (RelayEnd::BadHello, "no ClientHello in time".to_owned()),
                HelloError::Closed => (RelayEnd::ClientClosed, "closed in ClientHello".to_owned()),
                HelloError::Draining => return Err(RelayEnd::Drained),
            };
            record.detail = Some(why);
            Err(end)
        }
    }
}

/// What is kept of a client that sends datagrams.
pub struct DatagramSession {
    record: RelayRecord,
    /// Told if the server turns out to be down.
    state: Arc<ServerState>,
    lease: Lease,
    _admitted: Admitted,
}

impl<N: Net> Datagrams for Proxy<N> {
    type Session = DatagramSession;

    /// What is turned away is counted and leaves no line in the log: a flood of datagrams from invented
    /// addresses must not fill a disk.
    fn open(&self, listener: usize, client: SocketAddr) -> Option<(DatagramSession, Course)> {
        let plan = self.plan();
        let at = plan.plan.relays.iter().position(|relay| relay.id == listener)?;
        let relay = &plan.plan.relays[at];
        let mut record = self.relay_record(&plan, at, Peer::Inet(client));
        let counters = Arc::clone(&record.place.counters);
        let turned_away = |end: RelayEnd| counters.ended[end.place()].add(1);
        let admitted = admit(&plan, relay, &record.place, Peer::Inet(client));
        let admitted = admitted.map_err(turned_away).ok()?;
        let upstream = relay.target?;
        let group = &plan.upstreams[upstream];
        let key = key::of_connection(&plan.plan.upstreams[upstream], &Peer::Inet(client));
        let Some(lease) = self.pick(group, key, &Tried::none()) else {
            turned_away(RelayEnd::NoServer);
            return None;
        };
        let id = lease.server();
        let written = &plan.plan.upstreams[upstream];
        let server = &written.servers[id.index()];
        record.attempts = 1;
        record.server = Some(Rc::clone(&group.servers[id.index()].place));
        let way = Way::of(relay, written);
        let course = Course {
            address: server.address.clone(),
            source: written.manner.source,
            connect: way.connect,
            idle: way.idle,
        };
        let state = Arc::clone(&server.state);
        Some((DatagramSession { record, state, lease, _admitted: admitted }, course))
    }

    fn close(&self, session: DatagramSession, relayed: Relayed, error: Option<io::ErrorKind>) {
        let DatagramSession { mut record, state, lease, .. } = session;
        (record.bytes_in, record.bytes_out) = (relayed.bytes_in, relayed.bytes_out);
        lease.moved(relayed.bytes_in.saturating_add(relayed.bytes_out));
        record.end = relayed.end.into();
        record.detail = error.map(|kind| kind.to_string());
        if error.is_some() {
            let now = self.core.clock.instant();
            state.report(Outcome::Refused, now);
            if let Some(server) = &record.server {
                server.counters.failures.add(1);
            }
            if relayed.bytes_out == 0 {
                record.end = RelayEnd::UpstreamConnect;
            }
        }
        self.finish_relay(record);
    }
}
