//! Requests sent over a socket byte by byte as they are, which no HTTP client would do for what the suite
//! sends. Of the answer only the status is of interest: what rules did is in the server's log.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::failure::{During, Failure};

/// How long an answer may take before there is taken to be none: a server waits for the rest of a request
/// that says it is longer than it is.
const WAIT: Duration = Duration::from_secs(10);

/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    /// `None` if it was nothing that begins like an answer.
    pub(crate) status: Option<u16>,
}

/// Sends `bytes` on a connection of its own, and reads until it ends.
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
    while received.len() < ANSWER_BYTES_MAX {
        match connection.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => received.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    _ = connection.shutdown(Shutdown::Both);
    Ok(Answered { status: status(&received) })
}

/// The status of the first final answer.
fn status(mut received: &[u8]) -> Option<u16> {
    loop {
        let digits = received.strip_prefix(b"HTTP/1.")?.get(2..5)?;
        let status: u16 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        if status >= 200 {
            return Some(status);
        }
        let end = memchr::memmem::find(received, b"\r\n\r\n")?;
        received = &received[end + 4..];
    }
}

/// `bytes` with one more field in the head, by which the request can be told in a log. Bytes that are no
/// request with a line and fields stay as they are.
pub(crate) fn marked(bytes: &[u8], name: &str, value: &str) -> Vec<u8> {
    let Some(end) = memchr::memchr(b'\n', bytes) else { return bytes.to_vec() };
    let field = format!("{name}: {value}\r\n");
    [&bytes[..=end], field.as_bytes(), &bytes[end + 1..]].concat()
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
    fn requests_are_marked() {
        let marked =
            |bytes: &str| String::from_utf8(marked(bytes.as_bytes(), "X-Id", "7")).expect("text");
        assert_eq!(
            marked("GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
            "GET / HTTP/1.1\r\nX-Id: 7\r\nHost: h\r\n\r\n"
        );
        assert_eq!(marked("GET"), "GET");
    }
}
