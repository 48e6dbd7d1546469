//! Attackers who begin handshakes.

use std::{io, sync::Arc};

use rustls::{ClientConnection, pki_types::ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::field::{DRIP, Field, wait};

fn name() -> io::Result<ServerName<'static>> {
    ServerName::try_from("localhost").map_err(io::Error::other)
}

/// The first message of a handshake.
fn first_message(field: &Field) -> io::Result<Vec<u8>> {
    let mut session =
        ClientConnection::new(Arc::clone(&field.tls), name()?).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    session.write_tls(&mut bytes)?;
    Ok(bytes)
}

/// Half of it comes at once, the rest byte by byte.
pub(super) async fn half_hello(field: &Field, number: u32) -> io::Result<()> {
    let mut stream = field.secure(number).await?;
    let hello = first_message(field)?;
    let (half, rest) = hello.split_at(hello.len() / 2);
    stream.write_all(half).await?;
    for byte in rest {
        wait(&mut stream, DRIP).await?;
        stream.write_all(&[*byte]).await?;
        field.did(1);
    }
    Ok(())
}

pub(super) async fn hello(field: &Field, number: u32) -> io::Result<()> {
    let mut stream = field.secure(number).await?;
    stream.write_all(&first_message(field)?).await?;
    stream.read_exact(&mut [0; 64]).await?;
    field.did(1);
    Ok(())
}

pub(super) async fn handshake(field: &Field, number: u32) -> io::Result<()> {
    let stream = field.secure(number).await?;
    let connector = TlsConnector::from(Arc::clone(&field.tls));
    Box::pin(connector.connect(name()?, stream)).await?;
    field.did(1);
    Ok(())
}
