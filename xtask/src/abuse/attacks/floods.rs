//! Attackers who come and go, and those who ask for more than they take.

use std::{io, time::Duration};

use rustix::net::sockopt;
use tokio::io::AsyncWriteExt;

use super::field::{Field, wait};
use crate::abuse::talk;

/// Requests that are sent at once.
const PIPELINED: usize = 1000;
/// Fields of a head, as many as there may be beside Host.
const FIELDS: usize = 90;

pub(super) async fn knock(field: &Field, number: u32) -> io::Result<()> {
    let stream = field.plain(number).await?;
    // Without a reset the port would be busy for a minute.
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
    field.did(1);
    Ok(())
}

/// Half of them leave ahead of the answer, half within it.
pub(super) async fn reset(field: &Field, number: u32) -> io::Result<()> {
    let mut stream = field.plain(number).await?;
    stream.write_all(b"GET /b/100000 HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    if number.is_multiple_of(2) {
        stream.readable().await?;
    }
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
    field.did(1);
    Ok(())
}

/// One in two is over the bound of 32 KiB, the other has many fields whose names share a beginning.
pub(super) async fn huge_head(field: &Field, number: u32) -> io::Result<()> {
    let mut stream = field.plain(number).await?;
    let length = if number.is_multiple_of(2) { 600 } else { 200 };
    let value = "v".repeat(length);
    let mut head = "GET /b/1 HTTP/1.1\r\nHost: localhost\r\n".to_owned();
    for index in 0..FIELDS {
        head += &format!("X-Field-{index}: {value}\r\n");
    }
    head += "\r\n";
    let answer = talk::ask(&mut stream, head.as_bytes()).await;
    field.answered(answer?.status);
    Ok(())
}

pub(super) async fn pipeline(field: &Field, number: u32) -> io::Result<()> {
    let mut stream = field.narrow(number).await?;
    let requests = "GET /b/10000 HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(PIPELINED);
    let sent = stream.write_all(requests.as_bytes());
    // It goes no further than doorman reads, which is not far.
    _ = tokio::time::timeout(Duration::from_secs(2), sent).await;
    field.did(1);
    tokio::time::sleep(Duration::from_secs(3)).await;
    wait(&mut stream, Duration::from_millis(100)).await
}
