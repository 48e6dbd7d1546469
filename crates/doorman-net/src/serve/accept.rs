//! Accepting connections, and the TLS handshake that tells which wire they speak.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use doorman_http::{Chunk, ClientCertificate, ClientRules, Conn, Holding, Peer, TlsFacts, Wire};
use doorman_preface::Claim;
use rustls::HandshakeKind;
use rustls::server::{Accepted, Acceptor};
use rustls_pki_types::CertificateDer;
use tokio::io::AsyncWriteExt;

use super::early::Shaking;
use super::{Caller, Carrier, Doorway, Handler, Lost, SharedDoorway, Trade, h1, h2, preface};
use crate::Clock;
use crate::alarm::Alarm;
use crate::core::{Cleartext, Core, ServeSettings, Ticket};
use crate::link::{Link, poll_discard};
use crate::seam::{Glimpse, Listener, Stream};
use crate::tls::{
    Below, Configs, ServerTls, SiteClients, TlsStream, UNRECOGNIZED_NAME_ALERT, Unfinished,
    client_certificate,
};
use crate::within;

/// How long accepting pauses when the system has no file descriptor or memory left, so that the
/// loop does not spin while connections that could free some are served.
const PAUSE: Duration = Duration::from_millis(50);

/// How long we read on, and how much, after the alert that ended a handshake: closing with bytes unread resets the
/// connection, and the reset takes the alert with it. A client of TLS 1.3 has sent its request along with the
/// certificate that was refused; one that sends more has stopped listening.
const FAREWELL: Duration = Duration::from_secs(1);
const FAREWELL_BYTES_MAX: usize = 64 * 1024;

/// Opens and closes an accept loop from outside.
pub type Gate = Rc<tokio::sync::Notify>;

/// Accepts connections until `gate` is notified; each is served by a task of its own on this
/// core. What waits in the socket's queue when the gate closes is still accepted.
pub async fn accept<S: Stream, L: Listener<S>, H: Handler + Carrier<S>>(
    core: Rc<Core>,
    mut listener: L,
    doorway: SharedDoorway,
    handler: Rc<H>,
    gate: Gate,
) {
    let mut alarm = Alarm::new(core.clock);
    let mut closed = std::pin::pin!(gate.notified());
    loop {
        let accepted = poll_fn(|cx| {
            if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                return Poll::Ready(Some(accepted));
            }
            closed.as_mut().poll(cx).map(|()| None)
        })
        .await;
        match accepted {
            None => return,
            Some(Ok((stream, peer, local))) => {
                let doorway = doorway.borrow().clone();
                let is_scarce = listener.is_scarce();
                if is_scarce && !core.make_room() {
                    drop(stream);
                    handler.lost(&fresh(peer, local, &doorway), Lost::Exhausted);
                    alarm.set(core.clock.instant() + PAUSE);
                    poll_fn(|cx| alarm.poll(cx)).await;
                    continue;
                }
                let task =
                    connection(Rc::clone(&core), stream, peer, local, doorway, Rc::clone(&handler));
                tokio::task::spawn_local(task);
                if is_scarce {
                    // Those that are to go have their turn before the next is accepted.
                    tokio::task::yield_now().await;
                }
            }
            Some(Err(error)) if is_of_the_peer(&error) => {}
            Some(Err(_)) => {
                let _ = core.make_room();
                alarm.set(core.clock.instant() + PAUSE);
                poll_fn(|cx| alarm.poll(cx)).await;
            }
        }
    }
}

/// Errors of accept(2) that concern one connection that is gone already.
fn is_of_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// What is known of a connection that has just come.
fn fresh(peer: Peer, local: Peer, doorway: &Doorway) -> Conn {
    Conn {
        peer,
        local,
        wire: Wire::H1,
        tls: None,
        listener: doorway.listener,
        held: Holding::default(),
    }
}

async fn connection<S: Stream, H: Handler + Carrier<S>>(
    core: Rc<Core>,
    stream: S,
    peer: Peer,
    local: Peer,
    doorway: Doorway,
    handler: Rc<H>,
) {
    let ticket = core.enter();
    if doorway.trade == Trade::Relay {
        let caller = Caller::new(stream, (peer, local), doorway.listener, core, ticket);
        return Box::pin(handler.carry(caller)).await;
    }
    let mut conn = fresh(peer, local, &doorway);
    // Held until this task ends, in whatever way.
    let (mut place, stream) = match &doorway.announcers {
        Some(announces) if announces(&peer) => {
            let announced = announced(&core, stream, &mut conn, &doorway, &*handler);
            match Box::pin(announced).await {
                Ok(announced) => announced,
                Err(why) => return handler.lost(&conn, why),
            }
        }
        _ => match handler.admit(&conn) {
            Some(place) => (place, stream),
            None => return handler.lost(&conn, Lost::Limit),
        },
    };
    let Some(tls) = &doorway.tls else {
        return plain(core, ticket, stream, conn, &mut place, doorway.settings, handler).await;
    };
    let mut alarm = Alarm::new(core.clock);
    alarm.set(core.clock.instant() + doorway.settings.handshake_timeout);
    let shaken = within(&mut alarm, Box::pin(handshake(tls, stream, core.clock))).await;
    let mut stream = match shaken {
        Some(Ok(Some((stream, facts)))) => {
            conn.tls = Some(facts);
            stream
        }
        Some(Ok(None)) => return,
        Some(Err((why, stream))) => {
            handler.lost(&conn, why);
            let Some(stream) = stream else { return };
            return Box::pin(farewell(stream, core.clock)).await;
        }
        None => return handler.lost(&conn, Lost::HandshakeTimeout),
    };
    let is_h2 = stream.session().alpn_protocol() == Some(b"h2");
    conn.wire = if is_h2 { Wire::H2 } else { Wire::H1Tls };
    handler.settled(&conn, &mut place);
    let conn = Rc::new(conn);
    let shaking = stream.is_early().then(|| watch(&mut stream, alarm, &conn, &handler));
    let link = Link::Tls(stream);
    if is_h2 {
        let shared = h2::Shared { core, conn, settings: doorway.settings, shaking };
        Box::pin(h2::serve(shared, ticket, link, None, handler)).await;
    } else {
        h1::serve(core, ticket, conn, link, None, doorway.settings, handler).await;
    }
}

/// Has the rest of a handshake watched that early data came ahead of.
fn watch<S: Stream, H: Handler>(
    stream: &mut TlsStream<S>,
    alarm: Alarm,
    conn: &Rc<Conn>,
    handler: &Rc<H>,
) -> Rc<Shaking> {
    let shaking: Rc<Shaking> = Rc::default();
    let (conn, handler, ended) = (Rc::clone(conn), Rc::clone(handler), Rc::clone(&shaking));
    let hear = move |how| match how {
        Ok(()) => ended.end(),
        Err(Unfinished::Late) => handler.lost(&conn, Lost::HandshakeTimeout),
        Err(Unfinished::Failed) => handler.lost(&conn, Lost::Handshake),
    };
    stream.watch(alarm, Box::new(hear));
    shaking
}

/// A connection without TLS.
async fn plain<S: Stream, H: Handler>(
    core: Rc<Core>,
    ticket: Ticket,
    stream: S,
    mut conn: Conn,
    place: &mut H::Place,
    settings: Rc<ServeSettings>,
    handler: Rc<H>,
) {
    let mut link = Link::Plain(stream);
    let (is_h2, input) = match settings.cleartext {
        Cleartext::H1 => (false, None),
        Cleartext::H2 => (true, None),
        Cleartext::Either => match look(&core, &ticket, &mut link, &settings).await {
            Some((is_h2, input)) => (is_h2, Some(input)),
            None => return,
        },
    };
    if is_h2 {
        conn.wire = Wire::H2c;
    }
    handler.settled(&conn, place);
    if is_h2 {
        let conn = Rc::new(conn);
        let shared = h2::Shared { core, conn, settings, shaking: None };
        Box::pin(h2::serve(shared, ticket, link, input, handler)).await;
    } else {
        h1::serve(core, ticket, Rc::new(conn), link, input, settings, handler).await;
    }
}

/// What a client of HTTP/2 begins with (RFC 9113 section 3.4). No request of HTTP/1.1 does: `PRI`
/// is set aside for it.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads until a connection can only be the one or the other. `None`: it ended, or said nothing for
/// too long. One that stops within the preface is left to HTTP/1.1, which gives it its time for a
/// head and then refuses it.
async fn look<S: Stream>(
    core: &Core,
    ticket: &Ticket,
    link: &mut Link<S>,
    settings: &ServeSettings,
) -> Option<(bool, Chunk)> {
    let mut alarm = Alarm::new(core.clock);
    let mut input = None;
    poll_fn(|cx| {
        ticket.register(cx.waker());
        loop {
            let Some(input) = &mut input else {
                // A client that says nothing holds no buffer.
                if core.is_draining() {
                    return Poll::Ready(None);
                }
                match link.poll_glimpse(cx) {
                    Poll::Ready(Glimpse::Bytes) => input = Some(Chunk::small()),
                    Poll::Ready(Glimpse::Finished | Glimpse::Reset) => return Poll::Ready(None),
                    Poll::Pending => {
                        if ticket.rest() {
                            return Poll::Ready(None);
                        }
                        alarm.set_if_clear(settings.keep_alive);
                        return alarm.poll(cx).map(|()| None);
                    }
                }
                // From the first byte on the rest has an absolute deadline.
                ticket.work();
                alarm.clear();
                continue;
            };
            let seen = input.len().min(PREFACE.len());
            if input.filled()[..seen] != PREFACE[..seen] {
                return Poll::Ready(Some(false));
            }
            if seen == PREFACE.len() {
                return Poll::Ready(Some(true));
            }
            match link.poll_read_chunk(cx, input) {
                Poll::Ready(Ok(n)) if n > 0 => {}
                Poll::Ready(_) => return Poll::Ready(Some(false)),
                Poll::Pending => {
                    alarm.set_if_clear(settings.head_timeout);
                    return alarm.poll(cx).map(|()| Some(false));
                }
            }
        }
    })
    .await
    .and_then(|is_h2| Some((is_h2, input?)))
}

/// Reads who the client is, and gives it its place. Until that is known the connection counts as
/// nobody's: as the balancer's, a bound on the connections of one client would turn everybody away.
async fn announced<S: Stream, H: Handler>(
    core: &Core,
    mut stream: S,
    conn: &mut Conn,
    doorway: &Doorway,
    handler: &H,
) -> Result<(H::Place, S), Lost> {
    let unknown = Conn { peer: Peer::Unix, ..conn.clone() };
    let place = handler.admit(&unknown).ok_or(Lost::Limit)?;
    let mut alarm = Alarm::new(core.clock);
    alarm.set(core.clock.instant() + doorway.settings.head_timeout);
    let claim = within(&mut alarm, Box::pin(preface::take(&mut stream))).await;
    let claim = claim.and_then(Result::ok).ok_or(Lost::Preface)?;
    if let Claim::Client { client, server } = claim {
        (conn.peer, conn.local) = (Peer::Inet(client), Peer::Inet(server));
    }
    let place = handler.announced(conn, place).ok_or(Lost::Limit)?;
    Ok((place, stream))
}

/// Reads the client's first message, chooses by its server name, and finishes the handshake, or goes as
/// far as to early data. `None`: the handshake was all, since a certificate authority wanted a proof
/// (RFC 8737 section 3).
async fn handshake<S: Stream>(
    tls: &Arc<ServerTls>,
    mut stream: S,
    clock: Clock,
) -> Result<Option<(Box<TlsStream<S>>, TlsFacts)>, (Lost, Option<S>)> {
    let mut acceptor = Acceptor::default();
    let hello = poll_fn(|cx| poll_hello(&mut acceptor, &mut stream, cx)).await;
    let Ok(accepted) = hello else { return Err((Lost::Handshake, Some(stream))) };
    let hello = accepted.client_hello();
    let proof = tls.proof(&hello);
    if proof.is_none()
        && let Some((on_demand, name)) = tls.demanded(&hello)
    {
        // Within the handshake's own deadline.
        Box::pin(on_demand.wait(&name)).await;
    }
    let chosen = match proof {
        Some(proof) => proof.map(|config| (config, None)),
        None => tls.configs(&hello).map(|configs| (Arc::clone(&configs.tcp), Some(configs))),
    };
    let Ok((config, configs)) = chosen else {
        let _ = stream.write_all(&UNRECOGNIZED_NAME_ALERT).await;
        return Err((Lost::Handshake, Some(stream)));
    };
    let session = match accepted.into_connection(config) {
        Ok(session) => session,
        Err((_, mut alert)) => {
            poll_fn(|cx| {
                let _ = alert.write_all(&mut Below { io: &mut stream, cx });
                Poll::Ready(())
            })
            .await;
            return Err((Lost::Handshake, Some(stream)));
        }
    };
    let mut stream = Box::new(TlsStream::new(stream, session));
    if let Err(error) = stream.begin().await {
        return Err((why(&error), Some(stream.into_below())));
    }
    let Some(configs) = configs else {
        let _ = stream.shutdown().await;
        return Ok(None);
    };
    let facts = facts(&stream, configs, clock).ok_or((Lost::ClientCertificate, None))?;
    Ok(Some((stream, facts)))
}

/// Ends a connection whose handshake has failed so that the client gets the alert.
async fn farewell<S: Stream>(mut stream: S, clock: Clock) {
    let mut alarm = Alarm::new(clock);
    alarm.set(clock.instant() + FAREWELL);
    let mut left = FAREWELL_BYTES_MAX;
    poll_fn(|cx| {
        if alarm.poll(cx).is_ready() || ready!(Pin::new(&mut stream).poll_shutdown(cx)).is_err() {
            return Poll::Ready(());
        }
        loop {
            match ready!(poll_discard(&mut stream, cx)) {
                Ok(n) if n > 0 && n <= left => left -= n,
                _ => return Poll::Ready(()),
            }
        }
    })
    .await;
}

/// Ready with a client's first message.
fn poll_hello<S: Stream>(
    acceptor: &mut Acceptor,
    stream: &mut S,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Accepted>> {
    loop {
        match acceptor.read_tls(&mut Below { io: &mut *stream, cx }) {
            Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) => return Poll::Ready(Err(error)),
        }
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => return Poll::Ready(Ok(accepted)),
            Err((error, mut alert)) => {
                // A few bytes on a fresh connection: they leave at once, or the client is not there.
                let _ = alert.write_all(&mut Below { io: stream, cx });
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
        }
    }
}

/// Whether it was the client's certificate that a handshake failed for.
fn why(error: &io::Error) -> Lost {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::NoCertificatesPresented | rustls::Error::InvalidCertificate(_)) => {
            Lost::ClientCertificate
        }
        _ => Lost::Handshake,
    }
}

/// What the handshake settled; `None` if the client's certificate is good no more.
fn facts<S: Stream>(stream: &TlsStream<S>, configs: &Configs, clock: Clock) -> Option<TlsFacts> {
    let session = stream.session();
    let version = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLSv1.3",
    };
    let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
    let chain = session.peer_certificates().unwrap_or_default();
    let (client_rules, client) = asked(configs.clients.as_ref(), chain, resumed, clock)?;
    Some(TlsFacts {
        version,
        server_name: stream.server_name().map(|name| name.to_ascii_lowercase().into()),
        resumed,
        client_rules: Cell::new(client_rules),
        client,
    })
}

/// Who the client proved to be, and under which rules. `None` if what it showed cannot be used, or is
/// good no more: a session that resumes brings a certificate that was checked when it began.
pub(super) fn asked(
    clients: Option<&SiteClients>,
    chain: &[CertificateDer<'_>],
    resumed: bool,
    clock: Clock,
) -> Option<(Option<ClientRules>, Option<Rc<ClientCertificate>>)> {
    let Some(clients) = clients else { return Some((None, None)) };
    if chain.is_empty() {
        // The verifier has let a client in that showed none.
        return Some((Some(clients.rules), None));
    }
    let client = client_certificate(chain).ok()?;
    let is_good = !resumed || clients.auth.accepts(&client, clock.now().unix_seconds());
    is_good.then(|| (Some(clients.rules), Some(Rc::new(client))))
}
