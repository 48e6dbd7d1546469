//! An origin behind doorman while it is attacked: a path that ends in a number answers so many bytes, an upgrade to
//! WebSocket opens a tunnel into which nothing is said, what begins with `/nothing` is not there, and any body is read
//! to its end.

use std::{convert::Infallible, io};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::talk::{self, Head};
use crate::{failure::Failure, listen};

/// What belongs to the key that all attackers send (RFC 6455 section 1.3).
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// Bytes that are written of a body at once.
const PIECE: &[u8] = &[b'x'; 16 * 1024];

/// Serves until killed. Prints the port that the kernel chose. `niceness` is 19 for the origin that attackers are
/// answered by: what they have it do must not be felt by who is answered by another.
pub(crate) fn serve(niceness: i32) -> Result<Infallible, Failure> {
    if niceness > 0 {
        rustix::process::setpriority_process(None, niceness)?;
    }
    let listener = listen::loopback(0)?;
    println!("{}", listener.local_addr()?.port());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, accept(listener))
}

async fn accept(listener: std::net::TcpListener) -> Result<Infallible, Failure> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        // Out of descriptors is no end: others will close.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        tokio::task::spawn_local(async move { _ = answer_all(stream).await });
    }
}

async fn answer_all(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    while let Some(head) = talk::head(&mut stream).await? {
        if head.field("upgrade").is_some() {
            return tunnel(stream).await;
        }
        talk::skip(&mut stream, head.length().saturating_sub(head.body.len() as u64)).await?;
        let (status, length) = verdict(&head);
        let line = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n");
        let first = usize::try_from(length).unwrap_or(usize::MAX).min(PIECE.len());
        stream.write_all(&[line.as_bytes(), &PIECE[..first]].concat()).await?;
        let mut left = length - first as u64;
        while left > 0 {
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE.len());
            stream.write_all(&PIECE[..count]).await?;
            left -= count as u64;
        }
    }
    Ok(())
}

/// Status and length of the answer to a request.
fn verdict(head: &Head) -> (&'static str, u64) {
    let path = head.word(1);
    if path.starts_with("/nothing") {
        return ("404 Not Found", 9);
    }
    let length = path.rsplit('/').next().and_then(|length| length.parse().ok());
    ("200 OK", length.unwrap_or(2))
}

async fn tunnel(mut stream: TcpStream) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let mut piece = [0; 1024];
    while stream.read(&mut piece).await? > 0 {}
    Ok(())
}
