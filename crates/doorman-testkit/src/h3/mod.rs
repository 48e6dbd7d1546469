//! HTTP/3 clients: one by the book, over the `h3` crate, and one that writes frames by hand. Both
//! over QUIC from `quinn`, with calls that block. And a server that a script plays.

mod client;
pub mod datagrams;
mod drive;
pub mod early;
pub mod frames;
pub mod garbled;
pub mod lossy;
pub mod origin;
pub mod packets;
mod raw;
mod sections;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connecting, Connection, Endpoint};

pub use client::{H3, H3Begun, H3Reply};
pub use raw::{Ended, RawH3, RawStream};

use crate::tls::Tls;

/// Whether a client that comes back may send requests with its first packets (0-RTT, RFC 9001
/// section 4.6.1).
///
/// # Errors
/// What the system, TLS or the peer says.
pub fn may_be_early(address: SocketAddr, tls: &Tls) -> io::Result<bool> {
    let drive = drive::Drive::start();
    drive.wait(async {
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())?;
        let mut tls_config = (*tls.clone().offering(&["h3"]).client()).clone();
        tls_config.enable_early_data = true;
        let crypto = QuicClientConfig::try_from(tls_config).map_err(io::Error::other)?;
        let config = ClientConfig::new(Arc::new(crypto));
        let connect = || {
            let connecting = endpoint.connect_with(config.clone(), address, &tls.name);
            connecting.map_err(io::Error::other)
        };
        arrive(connect()?).await?;
        Ok(connect()?.into_0rtt().is_ok())
    })
}

/// Visits a server until there is a ticket to come back with.
async fn arrive(connecting: Connecting) -> io::Result<()> {
    let connection = connecting.await.map_err(io::Error::other)?;
    // Tickets come ahead of the first stream that the peer opens.
    let mut stream = connection.accept_uni().await.map_err(io::Error::other)?;
    stream.read_exact(&mut [0]).await.map_err(io::Error::other)?;
    connection.close(0x100_u32.into(), b"");
    Ok(())
}

/// A client's end of QUIC.
pub(crate) struct Line {
    pub(crate) endpoint: Endpoint,
    pub(crate) connection: Connection,
}

impl Line {
    pub(crate) async fn open(address: SocketAddr, tls: &Tls) -> io::Result<Self> {
        Self::open_with(address, tls, |_| {}).await
    }

    pub(crate) async fn open_with(
        address: SocketAddr,
        tls: &Tls,
        change: impl FnOnce(&mut ClientConfig),
    ) -> io::Result<Self> {
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())?;
        let tls = tls.clone().offering(&["h3"]);
        let crypto = QuicClientConfig::try_from(tls.client()).map_err(io::Error::other)?;
        let mut config = ClientConfig::new(Arc::new(crypto));
        change(&mut config);
        let connecting =
            endpoint.connect_with(config, address, &tls.name).map_err(io::Error::other)?;
        let connection = connecting.await.map_err(io::Error::other)?;
        Ok(Self { endpoint, connection })
    }

    /// Goes on from another port, as after a change of networks.
    pub(crate) fn rebind(&self) -> io::Result<()> {
        self.endpoint.rebind(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?)
    }
}
