//! Attackers who hold a connection and give or take as little as they can.

use std::{io, time::Duration};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::field::{DRIP, Field, wait};
use crate::abuse::talk;

/// Longer than any attack.
const FOR_EVER: Duration = Duration::from_secs(86_400);
/// Bytes of a response that is larger than what sockets hold whose peer does not read.
const LARGE: u64 = 10_000_000;

pub(super) async fn head(field: &Field, number: u32) -> io::Result<()> {
    let mut stream = field.plain(number).await?;
    stream.write_all(b"GET /b/1 HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await?;
    loop {
        wait(&mut stream, DRIP).await?;
        stream.write_all(b"a").await?;
        field.did(1);
    }
}

pub(super) async fn body(field: &Field, number: u32) -> io::Result<()> {
    let mut stream = field.plain(number).await?;
    let head = "POST /b/1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    loop {
        wait(&mut stream, DRIP).await?;
        stream.write_all(b"a").await?;
        field.did(1);
    }
}

pub(super) async fn reader(field: &Field, number: u32) -> io::Result<()> {
    let mut stream = field.narrow(number).await?;
    let request = format!("GET /b/{LARGE} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut byte = [0];
    loop {
        tokio::time::sleep(DRIP).await;
        stream.read_exact(&mut byte).await?;
        field.did(1);
    }
}

/// Not slow at all: the other side of the same coin.
pub(super) async fn bulk(field: &Field, number: u32) -> io::Result<()> {
    let mut stream = field.plain(number).await?;
    let request = format!("GET /b/{LARGE} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    loop {
        field.answered(talk::ask(&mut stream, request.as_bytes()).await?.status);
    }
}

pub(super) async fn silence(field: &Field, number: u32) -> io::Result<()> {
    let mut stream = field.plain(number).await?;
    wait(&mut stream, FOR_EVER).await
}

pub(super) async fn idle(field: &Field, number: u32) -> io::Result<()> {
    let mut stream = field.plain(number).await?;
    let request = b"GET /b/100 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    field.answered(talk::ask(&mut stream, request).await?.status);
    wait(&mut stream, FOR_EVER).await
}

pub(super) async fn websocket(field: &Field, number: u32) -> io::Result<()> {
    let mut stream = field.plain(number).await?;
    let request = "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
                   Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let answer = talk::ask(&mut stream, request.as_bytes()).await?;
    field.answered(answer.status);
    if answer.status != 101 {
        return Err(io::Error::other("no tunnel"));
    }
    wait(&mut stream, FOR_EVER).await
}
