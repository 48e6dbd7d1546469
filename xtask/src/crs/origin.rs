//! The origin of a run over sockets: what [`super::reflect`] answers, over HTTP/1.1 on loopback. A thread a
//! connection, because a test run holds few of them.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use doorman_h1::{Decoder, Limits, Progress, read_request};
use doorman_http::{FieldId, RequestHead};

use super::reflect::{self, Answer};
use crate::failure::{During, Failure};

/// Bytes of one request; the longest of the suite has some 70,000.
const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long a connection may say nothing.
const IDLE: Duration = Duration::from_secs(30);

/// Listens on a free port of loopback until the process ends.
///
/// # Errors
/// No port could be had.
pub(crate) fn start() -> Result<SocketAddr, Failure> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).during("listening for the origin")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            thread::spawn(move || serve(connection));
        }
    });
    Ok(address)
}

/// Answers request after request; a connection that breaks is the peer's affair.
fn serve(mut connection: TcpStream) {
    _ = connection.set_read_timeout(Some(IDLE));
    _ = connection.set_nodelay(true);
    let mut received = Vec::new();
    while let Ok(true) = exchange(&mut connection, &mut received) {}
}

/// Whether the connection goes on.
fn exchange(connection: &mut TcpStream, received: &mut Vec<u8>) -> io::Result<bool> {
    let limits = Limits::default();
    let mut head = RequestHead::default();
    let (consumed, framing) = loop {
        head.clear();
        match read_request(received, &limits, &mut head) {
            Ok(Progress::Done { consumed, framing }) => break (consumed, framing),
            Ok(Progress::Partial) => {}
            Err(_) => return Ok(false),
        }
        if !more(connection, received)? {
            return Ok(false);
        }
    };
    received.drain(..consumed);
    if head.expects_continue {
        connection.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let mut body = Vec::new();
    let mut decoder = Decoder::new(framing.body, &limits);
    while !decoder.is_done() {
        if received.is_empty() && !more(connection, received)? {
            return Ok(false);
        }
        let Ok(step) = decoder.decode(received) else { return Ok(false) };
        body.extend_from_slice(&received[step.content]);
        received.drain(..step.consumed);
        if body.len() > REQUEST_BYTES_MAX {
            return Ok(false);
        }
    }
    let method = head.method.as_str().as_bytes();
    let answer = reflect::answer(method, head.path(), &body);
    let id = head.fields.first(FieldId::XRequestId).unwrap_or_default();
    connection.write_all(&written(&answer, method, id))?;
    Ok(framing.keep_alive)
}

fn more(connection: &mut TcpStream, received: &mut Vec<u8>) -> io::Result<bool> {
    let mut piece = [0; 16 * 1024];
    let length = connection.read(&mut piece)?;
    received.extend_from_slice(&piece[..length]);
    Ok(length > 0)
}

/// The answer's bytes. The id that a proxy gave the request goes back, so that who asked can know it.
fn written(answer: &Answer, method: &[u8], id: &[u8]) -> Vec<u8> {
    let has_no_body = matches!(answer.status, 100..=199 | 204 | 304);
    let mut bytes = format!("HTTP/1.1 {} Reflected\r\n", answer.status).into_bytes();
    for (name, value) in &answer.fields {
        let framing = ["content-length", "transfer-encoding", "connection"];
        if !framing.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
    }
    if !has_no_body {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", answer.body.len()).as_bytes());
    }
    if !id.is_empty() {
        bytes.extend_from_slice(&[b"X-Request-Id: ", id, b"\r\n"].concat());
    }
    bytes.extend_from_slice(b"\r\n");
    if !has_no_body && method != b"HEAD" {
        bytes.extend_from_slice(&answer.body);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::h1;
    use super::*;

    #[track_caller]
    fn check(origin: SocketAddr, request: &str, status: u16) {
        let answer = h1::send(origin, request.as_bytes()).expect("an answer");
        assert_eq!(answer.status, Some(status), "{request}: {answer:?}");
    }

    #[test]
    fn it_answers_over_a_socket() {
        let origin = start().expect("an origin");
        check(origin, "GET /get HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 200);
        check(
            origin,
            "POST /reflect HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 15\r\n\r\n{\"status\": 418}",
            418,
        );
        check(
            origin,
            "POST /reflect HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
             f\r\n{\"status\": 404}\r\n0\r\n\r\n",
            404,
        );
        let marked = b"GET /get HTTP/1.1\r\nHost: h\r\nX-Request-Id: 7\r\n\r\n";
        let answer = h1::send(origin, marked).expect("an answer");
        assert_eq!(answer.request_id.as_deref(), Some("7"));
        let nothing = h1::send(origin, b"nothing\r\n\r\n").expect("an end");
        assert_eq!(nothing.status, None);
    }
}
