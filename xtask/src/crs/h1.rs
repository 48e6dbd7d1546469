//! Requests sent over a socket byte by byte as they are, which no HTTP client would do for what the suite
//! sends. Of the answer only the head is of interest: what rules did is in the server's log.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::failure::{During, Failure};

/// How long an answer may take before there is taken to be none: a server waits for the rest of a request
/// that says it is longer than it is.
pub(crate) const WAIT: Duration = Duration::from_secs(10);

/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answered {
    /// `None` if it was nothing that begins like an answer.
    pub(crate) status: Option<u16>,
    /// `X-Request-Id`, by which the request can be told in a log.
    pub(crate) request_id: Option<String>,
    /// The stream was reset as that of a malformed request, over wires that have streams.
    pub(crate) is_reset: bool,
}

/// Sends `bytes` on a connection of its own, and reads until it ends, or has given its final head: one
/// that may stay open is not waited for.
///
/// # Errors
/// There is no server at the address.
pub(crate) fn send(server: SocketAddr, bytes: &[u8]) -> Result<Answered, Failure> {
    let during = || format!("connecting to {server}");
    let mut connection = TcpStream::connect_timeout(&server, WAIT).during(during())?;
    connection.set_read_timeout(Some(WAIT))?;
    connection.set_write_timeout(Some(WAIT))?;
    // A server that refuses early need not read all; its answer is what counts.
    _ = connection.write_all(bytes);
    let mut received = Vec::new();
    let mut piece = [0; 16 * 1024];
    while received.len() < ANSWER_BYTES_MAX && answered(&received).is_none() {
        match connection.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => received.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    _ = connection.shutdown(Shutdown::Both);
    Ok(answered(&received).unwrap_or(Answered { status: status(&received), ..Answered::default() }))
}

/// The first final answer, once its head is there.
fn answered(received: &[u8]) -> Option<Answered> {
    let rest = last(received)?;
    let head = &rest[..memchr::memmem::find(rest, b"\r\n\r\n")?];
    let is_id =
        |line: &&str| line.get(..13).is_some_and(|name| name.eq_ignore_ascii_case("x-request-id:"));
    let head = String::from_utf8_lossy(head);
    let id = head.split("\r\n").find(is_id).map(|line| line[13..].trim().to_owned());
    Some(Answered { status: status(rest), request_id: id, ..Answered::default() })
}

/// The status of the first final answer.
fn status(received: &[u8]) -> Option<u16> {
    code(last(received)?)
}

/// What there is from the first final answer on.
fn last(mut received: &[u8]) -> Option<&[u8]> {
    while code(received)? < 200 {
        let end = memchr::memmem::find(received, b"\r\n\r\n")?;
        received = &received[end + 4..];
    }
    Some(received)
}

fn code(received: &[u8]) -> Option<u16> {
    let digits = received.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read() {
        for (received, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\n", Some(200)),
            ("HTTP/1.0 404 \r\n", Some(404)),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\n\r\n", Some(403)),
            ("HTTP/1.1 100 Continue\r\n", None),
            ("<html>", None),
            ("", None),
        ] {
            assert_eq!(status(received.as_bytes()), expected, "{received}");
        }
    }

    #[test]
    fn the_id_is_read_once_the_head_is_there() {
        let text =
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nx-request-ID: 7a\r\nB: c\r\n\r\nbody";
        let expected = Answered {
            status: Some(200),
            request_id: Some("7a".to_owned()),
            ..Answered::default()
        };
        assert_eq!(answered(text.as_bytes()), Some(expected));
        assert_eq!(answered(b"HTTP/1.1 200 OK\r\nX-Request-Id: 7a\r\n"), None);
        assert_eq!(answered(b"x\r\n\r\n"), None);
    }
}
