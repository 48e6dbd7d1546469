//! Attackers who speak HTTP/3.

use std::{
    io,
    net::{Ipv4Addr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use quinn::{
    ClientConfig, Endpoint, EndpointConfig, TokioRuntime, VarInt, crypto::rustls::QuicClientConfig,
};

use super::field::Field;
use crate::h3load::answer;

/// `H3_REQUEST_CANCELLED` (RFC 9114 section 8.1).
const CANCELLED: VarInt = VarInt::from_u32(0x10c);
/// Streams that are opened and reset in one go.
const BATCH: u64 = 20;
/// From one batch to the next: 800 streams a second and connection.
const PAUSE: Duration = Duration::from_millis(25);

/// Requests whose answers nobody waits for.
pub(super) async fn resets(field: &Field) -> io::Result<()> {
    let mut tls = rustls::ClientConfig::clone(&field.tls);
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let config = QuicClientConfig::try_from(tls).map_err(io::Error::other)?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let endpoint = Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime))?;
    let connecting = endpoint
        .connect_with(ClientConfig::new(Arc::new(config)), field.doors.tls, "localhost")
        .map_err(io::Error::other)?;
    let connection = connecting.await?;
    let mut control = connection.open_uni().await?;
    control.write_all(answer::SETTINGS).await?;
    let request = answer::get(field.doors.tls.port(), 10_000);
    loop {
        for _ in 0..BATCH {
            let (mut sending, mut receiving) = connection.open_bi().await?;
            sending.write_all(&request).await?;
            // Both may have ended already, which is the end that was asked for.
            _ = sending.reset(CANCELLED);
            _ = receiving.stop(CANCELLED);
        }
        field.did(BATCH);
        tokio::time::sleep(PAUSE).await;
        if let Some(reason) = connection.close_reason() {
            return Err(io::Error::other(reason));
        }
    }
}
