//! Accepting QUIC connections on one core's socket: who may come, who has to prove its address first,
//! and the handshake.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use doorman_http::{Conn, Holding, Peer, TlsFacts, Wire};
use quinn::{
    Connecting, Connection, ConnectionError, Endpoint, EndpointConfig, IdleTimeout, Incoming,
    ServerConfig, TransportConfig, TransportErrorCode, ValidationTokenConfig, VarInt,
    ZeroRttAccepted,
};
use tokio::net::UdpSocket;

use super::crypto::{Listener, Settled};
use super::runtime::ThisCore;
use super::socket::Socket;
use super::steer::{Ids, Lane, Quic};
use super::tokens;
use crate::Clock;
use crate::alarm::Alarm;
use crate::core::{Core, ServeSettings, Ticket};
use crate::serve::accept::asked;
use crate::serve::early::Shaking;
use crate::serve::{Gate, Handler, Lost, SharedDoorway};
use crate::tls::ServerTls;
use crate::within;

/// QUIC version 1 (RFC 9000). Drafts are gone from the field.
const VERSION: u32 = 1;
/// Receive windows, bytes: what a client may send ahead of an origin that reads slowly, per stream
/// and per connection. As over HTTP/2.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Bytes that a connection holds until the client has acknowledged them: enough for 160 Mbit/s at
/// 100 ms, and the most that a client can make us hold by acknowledging nothing.
const SEND_WINDOW: u64 = 2 * 1024 * 1024;
/// Unidirectional streams that a client may have open: three that HTTP/3 needs, and room for kinds
/// that we do not know, which are closed at once.
const CLIENT_STREAMS_MAX: u32 = 8;
/// Handshakes under way on a core from which on a client must prove its address first (Retry, RFC
/// 9000 section 8.1.2). That costs it a round trip, and spoofed addresses get no further.
const RETRY_FROM: usize = 64;
/// Handshakes under way on a core; beyond, nobody is let in. One costs about 20 KiB.
const HANDSHAKES_MAX: usize = 1024;
/// Datagrams of a connection that is not accepted yet: it is accepted in the same turn or never.
const EARLY_BYTES_MAX: u64 = 64 * 1024;
const EARLY_BYTES_TOTAL: u64 = 1024 * 1024;
/// Tokens for the next connection: each resumption brings the next, as with tickets of TLS.
const TOKENS: u32 = 1;
/// A client that is silent for this much longer than an idle connection may last is gone.
const SILENCE_MORE: Duration = Duration::from_secs(5);

/// What the connections of one socket share.
pub(super) struct Door {
    /// Notified when the address is no longer listened on: connections end after their requests.
    pub(super) closing: tokio::sync::Notify,
    pub(super) is_closed: Cell<bool>,
    /// Notified when they have had their time for that: they end now.
    pub(super) over: tokio::sync::Notify,
    pub(super) is_over: Cell<bool>,
    handshakes: Cell<usize>,
}

/// Accepts connections until `gate` is notified; each is served by a task of its own on this core.
/// Then connections that are open end after their requests, within the time of a drain, and the socket
/// closes with the last: until then nobody else can have its port.
///
/// # Errors
/// The socket cannot be used for QUIC, or the listener has no TLS.
pub async fn accept_datagrams<H: Handler>(
    core: Rc<Core>,
    socket: UdpSocket,
    lane: Lane,
    doorway: SharedDoorway,
    handler: Rc<H>,
    gate: Gate,
) -> io::Result<()> {
    let mut configured = Configured::new(&doorway, &lane, core.clock)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no TLS for HTTP/3"))?;
    let port = socket.local_addr()?.port();
    let endpoint = Endpoint::new_with_abstract_socket(
        endpoint_config(&lane),
        Some((*configured.server).clone()),
        Socket::start(socket, lane.clone())?,
        Arc::new(ThisCore { clock: core.clock }),
    )?;
    let door = Rc::new(Door {
        closing: tokio::sync::Notify::new(),
        is_closed: Cell::new(false),
        over: tokio::sync::Notify::new(),
        is_over: Cell::new(false),
        handshakes: Cell::new(0),
    });
    loop {
        let incoming = tokio::select! {
            biased;
            () = gate.notified() => break,
            incoming = endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { break };
        if let Some(incoming) = screen(&door, &lane.lanes.quic, incoming) {
            configured.follow(&doorway, &lane, core.clock);
            let arrival = Arrival {
                core: Rc::clone(&core),
                ticket: core.enter(),
                door: Rc::clone(&door),
                settings: Rc::clone(&configured.settings),
                handler: Rc::clone(&handler),
                server: Arc::clone(&configured.server),
                listener: doorway.borrow().listener,
            };
            arrival.welcome(incoming, port);
        }
    }
    door.is_closed.set(true);
    door.closing.notify_waiters();
    endpoint.set_server_config(None);
    let mut alarm = Alarm::new(core.clock);
    alarm.set(core.clock.instant() + doorway.borrow().settings.drain);
    if within(&mut alarm, Box::pin(endpoint.wait_idle())).await.is_none() {
        door.is_over.set(true);
        door.over.notify_waiters();
    }
    Ok(())
}

/// Lets a connection in, or sends it away: to prove its address, or for good.
fn screen(door: &Door, quic: &Quic, incoming: Incoming) -> Option<Incoming> {
    let handshakes = door.handshakes.get();
    let is_validated = incoming.remote_address_validated();
    if handshakes >= HANDSHAKES_MAX {
        quic.turned_away.fetch_add(1, Ordering::Relaxed);
        // An answer to an address that nobody proved could be what somebody else is flooded with.
        if is_validated {
            incoming.refuse();
        } else {
            incoming.ignore();
        }
        return None;
    }
    if handshakes >= RETRY_FROM && !is_validated {
        quic.sent_back.fetch_add(1, Ordering::Relaxed);
        // It cannot fail: who is not validated may be sent back.
        let _ = incoming.retry();
        return None;
    }
    Some(incoming)
}

/// A connection that was let in.
struct Arrival<H> {
    core: Rc<Core>,
    ticket: Ticket,
    door: Rc<Door>,
    settings: Rc<ServeSettings>,
    handler: Rc<H>,
    server: Arc<ServerConfig>,
    listener: usize,
}

impl<H: Handler> Arrival<H> {
    fn welcome(self, incoming: Incoming, port: u16) {
        let peer = Peer::Inet(canonical(incoming.remote_address()));
        let local = incoming.local_ip().map(|ip| SocketAddr::new(ip.to_canonical(), port));
        let conn = Conn {
            peer,
            // The kernel always says; an address of our own is only ever shown.
            local: local.map_or(peer, Peer::Inet),
            wire: Wire::H3,
            tls: None,
            listener: self.listener,
            held: Holding::default(),
        };
        let Some(place) = self.handler.admit(&conn) else {
            incoming.refuse();
            return self.handler.lost(&conn, Lost::Limit);
        };
        let is_proved = incoming.remote_address_validated();
        match incoming.accept_with(Arc::clone(&self.server)) {
            Ok(connecting) => {
                tokio::task::spawn_local(self.serve(connecting, is_proved, conn, place));
            }
            Err(_) => self.handler.lost(&conn, Lost::Handshake),
        }
    }

    async fn serve(
        self,
        connecting: Connecting,
        is_proved: bool,
        mut conn: Conn,
        mut place: H::Place,
    ) {
        let Self { core, ticket, door, settings, handler, .. } = self;
        let counted = Handshake::new(&door);
        let mut alarm = Alarm::new(core.clock);
        alarm.set(core.clock.instant() + settings.handshake_timeout);
        let shaken = within(&mut alarm, Box::pin(shake(connecting, is_proved))).await;
        let (connection, rest) = match shaken {
            Some(Ok(shaken)) => shaken,
            Some(Err(error)) => return handler.lost(&conn, why(&error)),
            None => return handler.lost(&conn, Lost::HandshakeTimeout),
        };
        let Some(facts) = facts(&connection, core.clock) else {
            connection.close(BAD_CERTIFICATE.into(), b"");
            return handler.lost(&conn, Lost::ClientCertificate);
        };
        conn.tls = Some(facts);
        handler.settled(&conn, &mut place);
        let conn = Rc::new(conn);
        let shaking = rest.map(|rest| {
            let shaking: Rc<Shaking> = Rc::default();
            let finish = Finish {
                counted,
                alarm,
                handler: Rc::clone(&handler),
                conn: Rc::clone(&conn),
                shaking: Rc::clone(&shaking),
            };
            tokio::task::spawn_local(finish.wait(connection.clone(), rest));
            shaking
        });
        super::serve(core, ticket, door, conn, connection, shaking, settings, handler).await;
    }
}

/// Goes through the handshake; with a client that sends early data only until its requests can be read. Rules, limits
/// and logs go by the client's address, so that it must have been proved: by a token, or by the handshake.
async fn shake(
    mut connecting: Connecting,
    is_proved: bool,
) -> Result<(Connection, Option<ZeroRttAccepted>), ConnectionError> {
    if !is_proved {
        return Ok((connecting.await?, None));
    }
    let settled = connecting.handshake_data().await?.downcast::<Settled>();
    if !settled.is_ok_and(|settled| settled.is_early) {
        return Ok((connecting.await?, None));
    }
    match connecting.into_0rtt() {
        Ok((connection, rest)) => Ok((connection, Some(rest))),
        Err(connecting) => Ok((connecting.await?, None)),
    }
}

/// The rest of a handshake whose client sent requests with its first message. A task of its own: the
/// connection is served meanwhile.
struct Finish<H> {
    /// It is under way, and takes its place, until then.
    counted: Handshake,
    alarm: Alarm,
    handler: Rc<H>,
    conn: Rc<Conn>,
    shaking: Rc<Shaking>,
}

impl<H: Handler> Finish<H> {
    async fn wait(mut self, connection: Connection, rest: ZeroRttAccepted) {
        let ended = within(&mut self.alarm, Box::pin(rest)).await;
        drop(self.counted);
        if ended.is_none() {
            connection.close(HANDSHAKE_TIMEOUT.into(), b"");
            return self.handler.lost(&self.conn, Lost::HandshakeTimeout);
        }
        // The library tells the end, not which one: a connection that is lost has a reason.
        match connection.close_reason() {
            None => self.shaking.end(),
            Some(error) => self.handler.lost(&self.conn, why(&error)),
        }
    }
}

/// An IPv4 address that came mapped into IPv6 is an IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Counts a handshake while it is under way.
struct Handshake(Rc<Door>);

impl Handshake {
    fn new(door: &Rc<Door>) -> Self {
        door.handshakes.set(door.handshakes.get() + 1);
        Self(Rc::clone(door))
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.handshakes.set(self.0.handshakes.get().saturating_sub(1));
    }
}

/// What the handshake settled; `None` if the client's certificate is good no more.
fn facts(connection: &Connection, clock: Clock) -> Option<TlsFacts> {
    let settled = connection.handshake_data()?.downcast::<Settled>().ok()?;
    let Settled { server_name, resumed, chain, clients, .. } = *settled;
    let (client_rules, client) = asked(clients.as_ref(), &chain, resumed, clock)?;
    let client_rules = Cell::new(client_rules);
    Some(TlsFacts { version: "TLSv1.3", server_name, resumed, client_rules, client })
}

/// Alerts that tell a client what is wrong with its certificate (RFC 8446 section 6.2): from
/// `bad_certificate` to `unknown_ca`, `decrypt_error` (a signature that its issuer did not make), and
/// `certificate_required`.
const CERTIFICATE_ALERTS: [u8; 8] = [42, 43, 44, 45, 46, 48, 51, 116];

/// H3_REQUEST_REJECTED (RFC 9114 section 8.1): no request was looked at, another connection may serve.
const BAD_CERTIFICATE: u16 = 0x010b;

/// H3_NO_ERROR (RFC 9114 section 8.1): the client went away within its handshake, and hears nothing.
const HANDSHAKE_TIMEOUT: u16 = 0x0100;

/// Whether it was the client's certificate that a handshake failed for.
fn why(error: &ConnectionError) -> Lost {
    let is_alert =
        |code| CERTIFICATE_ALERTS.iter().any(|alert| TransportErrorCode::crypto(*alert) == code);
    match error {
        ConnectionError::TransportError(error) if is_alert(error.code) => Lost::ClientCertificate,
        _ => Lost::Handshake,
    }
}

/// What new connections get, made anew when the configuration changes.
struct Configured {
    settings: Rc<ServeSettings>,
    tls: Arc<ServerTls>,
    server: Arc<ServerConfig>,
}

impl Configured {
    fn new(doorway: &RefCell<super::Doorway>, lane: &Lane, clock: Clock) -> Option<Self> {
        let doorway = doorway.borrow();
        let tls = Arc::clone(doorway.tls.as_ref()?);
        let listener = Listener::new(&tls)?;
        let mut server =
            ServerConfig::new(Arc::new(listener), Arc::clone(&lane.lanes.quic.tokens) as Arc<_>);
        server
            .transport_config(Arc::new(transport(&doorway.settings)))
            .max_incoming(HANDSHAKES_MAX)
            .incoming_buffer_size(EARLY_BYTES_MAX)
            .incoming_buffer_size_total(EARLY_BYTES_TOTAL)
            .time_source(Arc::new(ThisCore { clock }));
        if tls.takes_early_data() {
            let mut tokens = ValidationTokenConfig::default();
            let used = Arc::clone(&lane.lanes.quic.used_tokens);
            tokens.lifetime(tokens::LIFETIME).log(used).sent(TOKENS);
            server.validation_token_config(tokens);
        }
        let settings = Rc::clone(&doorway.settings);
        Some(Self { settings, tls, server: Arc::new(server) })
    }

    fn follow(&mut self, doorway: &RefCell<super::Doorway>, lane: &Lane, clock: Clock) {
        let is_same = {
            let doorway = doorway.borrow();
            Rc::ptr_eq(&doorway.settings, &self.settings)
                && doorway.tls.as_ref().is_some_and(|tls| Arc::ptr_eq(tls, &self.tls))
        };
        if !is_same && let Some(fresh) = Self::new(doorway, lane, clock) {
            *self = fresh;
        }
    }
}

fn endpoint_config(lane: &Lane) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::clone(&lane.lanes.quic.reset) as Arc<_>);
    let lane = lane.clone();
    config
        .cid_generator(move || Box::new(Ids { lane: lane.clone() }))
        .supported_versions(vec![VERSION]);
    config
}

fn transport(settings: &ServeSettings) -> TransportConfig {
    let mut config = TransportConfig::default();
    let silence = settings.keep_alive.max(settings.body_idle).max(settings.write_idle);
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(settings.h3_streams))
        .max_concurrent_uni_streams(VarInt::from_u32(CLIENT_STREAMS_MAX))
        .max_idle_timeout(IdleTimeout::try_from(silence + SILENCE_MORE).ok())
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(SEND_WINDOW)
        // Datagrams (RFC 9221) are not offered.
        .datagram_receive_buffer_size(None);
    config
}
