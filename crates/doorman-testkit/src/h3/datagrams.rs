//! Single datagrams of QUIC, for what no library would send.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::ClientConfig;
use quinn::crypto::rustls::QuicClientConfig;
use quinn_proto::{Endpoint, EndpointConfig};

use crate::tls::Tls;

/// The first flight of a client that was never heard of: its datagrams, none of which is ever
/// followed by another.
///
/// # Errors
/// The library refuses the name.
#[expect(clippy::disallowed_methods, reason = "the library keeps time by this clock")]
pub fn first_flight(address: SocketAddr, tls: &Tls) -> io::Result<Vec<Vec<u8>>> {
    let tls = tls.clone().offering(&["h3"]);
    let crypto = QuicClientConfig::try_from(tls.client()).map_err(io::Error::other)?;
    let config = ClientConfig::new(Arc::new(crypto));
    let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, true, None);
    let now = Instant::now();
    let (_, mut connection) =
        endpoint.connect(now, config, address, &tls.name).map_err(io::Error::other)?;
    let mut datagrams = Vec::new();
    let mut buffer = Vec::new();
    while let Some(transmit) = connection.poll_transmit(now, 1, &mut buffer) {
        datagrams.push(buffer[..transmit.size].to_vec());
        buffer.clear();
    }
    Ok(datagrams)
}

/// The source connection id of a packet with a long header (RFC 9000 section 17.2).
#[must_use]
pub fn source_id(datagram: &[u8]) -> Option<&[u8]> {
    let (_, rest) = ids(datagram)?;
    let length = usize::from(*rest.first()?);
    rest.get(1..1 + length)
}

/// The destination connection id of a packet with a long header.
#[must_use]
pub fn destination_id(datagram: &[u8]) -> Option<&[u8]> {
    ids(datagram).map(|(id, _)| id)
}

fn ids(datagram: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::from(*datagram.get(5)?);
    datagram.get(6..)?.split_at_checked(length)
}

/// Whether a datagram is a Retry packet (RFC 9000 section 17.2.5).
#[must_use]
pub fn is_retry(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| first & 0xF0 == 0xF0)
}

/// A socket that sends datagrams as they are.
pub struct Datagrams {
    socket: UdpSocket,
}

impl Datagrams {
    /// Talks to `address` and to nobody else.
    ///
    /// # Errors
    /// What the system says.
    pub fn to(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(address)?;
        Ok(Self { socket })
    }

    /// Sends one.
    ///
    /// # Errors
    /// What the system says.
    pub fn send(&self, datagram: &[u8]) -> io::Result<()> {
        self.socket.send(datagram).map(drop)
    }

    /// The next one that comes within `patience`.
    ///
    /// # Errors
    /// What the system says.
    pub fn receive(&self, patience: Duration) -> io::Result<Option<Vec<u8>>> {
        self.socket.set_read_timeout(Some(patience))?;
        let mut buffer = vec![0; 64 * 1024];
        match self.socket.recv(&mut buffer) {
            Ok(n) => Ok(Some(buffer[..n].to_vec())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}
