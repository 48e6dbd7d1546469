//! Making a connection: the socket, the handshake, and why there is none.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use doorman_h3::Code;
use quinn::crypto::rustls::{HandshakeData, QuicClientConfig};
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig, IdleTimeout,
    TransportConfig, VarInt,
};

use super::STREAMS_MAX;
use super::session::{Session, begin};
use super::socket::{Rumour, Socket};
use crate::Clock;
use crate::dial::{DialError, DialTls, Pool, Server};
use crate::http3::halves::number;
use crate::http3::runtime::ThisCore;
use crate::os;
use crate::seam::Stream;

/// Receive windows, bytes: what waits here for clients that read slowly, of a stream and of all that
/// a connection takes. As over HTTP/2.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * STREAMS_MAX;
/// Bytes that a connection holds until the origin has acknowledged them: enough for 160 Mbit/s at
/// 100 ms, and the most that an origin can make us hold by acknowledging nothing.
const SEND_WINDOW: u64 = 2 * 1024 * 1024;
/// Unidirectional streams that an origin may have open: three that HTTP/3 needs, and room for kinds
/// that we do not know, which are closed at once.
const ORIGIN_STREAMS_MAX: u32 = 8;
/// A connection is asked for a sign of life when nothing was said on it for so long. Below what any
/// server known to us waits before it forgets a connection.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// An origin that gave none for so long is gone. Many losses in a row are not as long.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// QUIC version 1 (RFC 9000).
const VERSION: u32 = 1;

/// Connects to a server, by the first of its addresses that answers.
pub(in crate::dial) async fn open<S: Stream>(
    server: &Server,
    pool: Rc<Pool<S>>,
    clock: Clock,
) -> Result<Rc<Session>, DialError> {
    let tls = server.tls.as_ref().ok_or(DialError::Protocol("HTTP/3 is spoken under TLS only"))?;
    let refused = |error: io::Error| DialError::of_connect(&error);
    let source = server.manner.source;
    let config = config(tls)?;
    let mut last = DialError::Connect(io::ErrorKind::NotFound);
    for address in os::find(source, &server.address).await.map_err(refused)? {
        let rumour: Arc<Rumour> = Arc::default();
        let io = os::datagrams_with(source, address);
        let socket = io.and_then(|io| Socket::new(io, Arc::clone(&rumour)));
        let shaken = match socket {
            Ok(socket) => shake(socket, address, config.clone(), tls, &rumour, clock).await,
            Err(error) => Err(refused(error)),
        };
        match shaken {
            Ok(connection) => {
                let section_max = server.limits.head_bytes;
                return begin(connection, rumour, section_max, pool, clock).await.map_err(why);
            }
            Err(error @ DialError::Connect(_)) => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

async fn shake(
    socket: Socket,
    address: SocketAddr,
    config: ClientConfig,
    tls: &DialTls,
    rumour: &Rumour,
    clock: Clock,
) -> Result<Connection, DialError> {
    let ours = |_| DialError::Connect(io::ErrorKind::Other);
    let mut endpoint_config = EndpointConfig::default();
    endpoint_config.supported_versions(vec![VERSION]);
    let runtime = Arc::new(ThisCore { clock });
    let endpoint =
        Endpoint::new_with_abstract_socket(endpoint_config, None, Arc::new(socket), runtime)
            .map_err(|error| DialError::Connect(error.kind()))?;
    let connecting = endpoint.connect_with(config, address, &tls.name.to_str()).map_err(
        |error| match error {
            quinn::ConnectError::InvalidServerName(_) => {
                DialError::Tls("the server's name is none that TLS knows".to_owned())
            }
            error => ours(error),
        },
    )?;
    let connection = tokio::select! {
        biased;
        shaken = connecting => shaken.map_err(why)?,
        kind = rumour.heard() => return Err(DialError::Connect(kind)),
    };
    let data = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    if data.and_then(|data| data.protocol).as_deref() != Some(b"h3") {
        connection.close(number(Code::NoError), b"");
        return Err(DialError::Protocol("the TLS handshake did not settle on HTTP/3"));
    }
    Ok(connection)
}

fn config(tls: &DialTls) -> Result<ClientConfig, DialError> {
    let crypto = QuicClientConfig::try_from(Arc::clone(&tls.config))
        .map_err(|error| DialError::Tls(error.to_string()))?;
    let mut transport = TransportConfig::default();
    transport
        // An origin opens no streams for requests (RFC 9114 section 6.1).
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(ORIGIN_STREAMS_MAX))
        .max_idle_timeout(IdleTimeout::try_from(SILENCE_MAX).ok())
        .keep_alive_interval(Some(KEEP_ALIVE))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(SEND_WINDOW)
        // Datagrams (RFC 9221) are not offered.
        .datagram_receive_buffer_size(None);
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// Why a handshake failed, in the words that TLS over TCP has for it.
fn why(error: ConnectionError) -> DialError {
    match error {
        ConnectionError::VersionMismatch => {
            DialError::Protocol("the server speaks no version of QUIC that we do")
        }
        ConnectionError::TransportError(error) => match alert(error.code.into()) {
            Some(_) => DialError::Tls(error.reason),
            None => DialError::Protocol("the server's QUIC handshake is against the rules"),
        },
        ConnectionError::ConnectionClosed(close) => match alert(close.error_code.into()) {
            Some(alert) => DialError::Tls(rustls::Error::AlertReceived(alert.into()).to_string()),
            // The server is too busy, or does not want us (RFC 9000 section 20.1).
            None if close.error_code == quinn::TransportErrorCode::CONNECTION_REFUSED => {
                DialError::Connect(io::ErrorKind::ConnectionRefused)
            }
            None => DialError::Connect(io::ErrorKind::ConnectionAborted),
        },
        ConnectionError::ApplicationClosed(_) => {
            DialError::Connect(io::ErrorKind::ConnectionAborted)
        }
        ConnectionError::Reset => DialError::Connect(io::ErrorKind::ConnectionReset),
        ConnectionError::TimedOut => DialError::ConnectTimeout,
        ConnectionError::LocallyClosed | ConnectionError::CidsExhausted => {
            DialError::Connect(io::ErrorKind::Other)
        }
    }
}

/// The alert of TLS that an error code of QUIC carries (RFC 9001 section 4.8).
fn alert(code: u64) -> Option<u8> {
    u8::try_from(code.checked_sub(0x100)?).ok()
}
