//! Accepting connections, and the TLS handshake that tells which wire they speak.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use doorman_http::{Conn, Peer, TlsFacts, Wire};
use rustls::HandshakeKind;
use tokio::io::AsyncWriteExt;
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use super::{Doorway, Handler, Lost, SharedDoorway, h1, h2};
use crate::alarm::Alarm;
use crate::core::Core;
use crate::link::Link;
use crate::seam::{Listener, Stream};
use crate::tls::{ServerTls, UNRECOGNIZED_NAME_ALERT};
use crate::within;

/// How long accepting pauses when the system has no file descriptor or memory left, so that the
/// loop does not spin while connections that could free some are served.
const PAUSE: Duration = Duration::from_millis(50);

/// Opens and closes an accept loop from outside.
pub type Gate = Rc<tokio::sync::Notify>;

/// Accepts connections until `gate` is notified; each is served by a task of its own on this
/// core. What waits in the socket's queue when the gate closes is still accepted.
pub async fn accept<S: Stream, L: Listener<S>, H: Handler>(
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
                let task =
                    connection(Rc::clone(&core), stream, peer, local, doorway, Rc::clone(&handler));
                tokio::task::spawn_local(task);
            }
            Some(Err(error)) if is_of_the_peer(&error) => {}
            Some(Err(_)) => {
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

async fn connection<S: Stream, H: Handler>(
    core: Rc<Core>,
    stream: S,
    peer: Peer,
    local: Peer,
    doorway: Doorway,
    handler: Rc<H>,
) {
    let ticket = core.enter();
    let mut conn = Conn { peer, local, wire: Wire::H1, tls: None, listener: doorway.listener };
    // Held until this task ends, in whatever way.
    let Some(_place) = handler.admit(&conn) else { return handler.lost(&conn, Lost::Limit) };
    let Some(tls) = &doorway.tls else {
        let conn = Rc::new(conn);
        h1::serve(core, ticket, conn, Link::Plain(stream), doorway.settings, handler).await;
        return;
    };
    let shaken = {
        let mut alarm = Alarm::new(core.clock);
        alarm.set(core.clock.instant() + doorway.settings.handshake_timeout);
        within(&mut alarm, Box::pin(handshake(tls, stream))).await
    };
    let stream = match shaken {
        Some(Ok(stream)) => stream,
        Some(Err(())) => return handler.lost(&conn, Lost::Handshake),
        None => return handler.lost(&conn, Lost::HandshakeTimeout),
    };
    conn.tls = Some(facts(&stream));
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    conn.wire = if is_h2 { Wire::H2 } else { Wire::H1Tls };
    let conn = Rc::new(conn);
    let link = Link::Server(stream);
    if is_h2 {
        Box::pin(h2::serve(core, ticket, conn, link, doorway.settings, handler)).await;
    } else {
        h1::serve(core, ticket, conn, link, doorway.settings, handler).await;
    }
}

/// Reads the client's first message, chooses by its server name, and finishes the handshake.
async fn handshake<S: Stream>(tls: &Arc<ServerTls>, stream: S) -> Result<Box<TlsStream<S>>, ()> {
    let mut acceptor = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
    let start = match (&mut acceptor).await {
        Ok(start) => start,
        Err(_) => return Err(()),
    };
    let chosen = tls.choose(&start.client_hello());
    let Ok(config) = chosen else {
        let mut stream = start.io;
        let _ = stream.write_all(&UNRECOGNIZED_NAME_ALERT).await;
        let _ = stream.shutdown().await;
        return Err(());
    };
    start.into_stream(config).await.map(Box::new).map_err(|_| ())
}

fn facts<S>(stream: &TlsStream<S>) -> TlsFacts {
    let session = stream.get_ref().1;
    let version = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLSv1.3",
    };
    TlsFacts {
        version,
        server_name: session.server_name().map(|name| name.to_ascii_lowercase().into()),
        resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
    }
}
