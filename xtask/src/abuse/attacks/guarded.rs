//! Attackers who ask a little too much of what stands before the origin: limits, passwords, rules.

use std::{fmt::Write as _, io, time::Duration};

use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::field::Field;
use crate::abuse::talk;

/// Requests with keys of their own that go out together.
const TOGETHER: u32 = 20;
/// How deep the JSON is nested, and how long it is.
const DEPTH: usize = 5000;
const JSON_BYTES: usize = 100_000;

async fn ask(field: &Field, stream: &mut TcpStream, request: &str) -> io::Result<()> {
    let answer = talk::ask(stream, request.as_bytes()).await?;
    field.answered(answer.status);
    if answer.is_kept { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

pub(super) async fn not_found(field: &Field, number: u32) -> io::Result<()> {
    let mut stream = field.plain(number).await?;
    for turn in 0_u32.. {
        let path = format!("/nothing/{number}/{turn}");
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        ask(field, &mut stream, &request).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

pub(super) async fn keys(field: &Field, number: u32) -> io::Result<()> {
    let mut stream = field.plain(number).await?;
    for turn in 0_u32.. {
        let mut requests = String::new();
        for index in 0..TOGETHER {
            _ = write!(
                requests,
                "GET /keyed HTTP/1.1\r\nHost: localhost\r\nX-Key: {number}-{turn}-{index}\r\n\r\n"
            );
        }
        stream.write_all(requests.as_bytes()).await?;
        // An answer that came together with another is read with it.
        for _ in 0..TOGETHER {
            field.answered(one(&mut stream).await?);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// The status of the next of several answers without content.
async fn one(stream: &mut TcpStream) -> io::Result<u16> {
    use tokio::io::AsyncReadExt;

    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).await?;
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::Error::other("an answer without a status"))
}

pub(super) async fn passwords(field: &Field, number: u32) -> io::Result<()> {
    let mut stream = field.plain(number).await?;
    for turn in 0_u32.. {
        let guess =
            base64(format!("admin:{:04}-{:07}", number % 10_000, turn % 10_000_000).as_bytes());
        let request = format!(
            "GET /private HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {guess}\r\n\r\n"
        );
        ask(field, &mut stream, &request).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Of whole groups of three bytes, which need no padding (RFC 4648 section 4).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks_exact(3).map(|three| {
        let bits = three.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(LETTERS[bits >> shift & 63]))
    });
    groups.flatten().collect()
}

pub(super) async fn json(field: &Field, number: u32) -> io::Result<()> {
    let mut stream = field.plain(number).await?;
    let shallow = "{\"name\":\"<value>\",\"list\":[1,2,3]},";
    let flat = shallow.repeat((JSON_BYTES - 2 * DEPTH) / shallow.len());
    let body = format!("{}{flat}0{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    let request = format!(
        "POST /inspected HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    loop {
        ask(field, &mut stream, &request).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_base64() {
        assert_eq!(base64(b"admin:0001-0000002"), "YWRtaW46MDAwMS0wMDAwMDAy");
    }
}
