//! The suite's requests, which are bytes of HTTP/1.1, as clients of HTTP/2 and HTTP/3 would send them. What
//! such a client says in another way is translated: `Host` is `:authority`, names are in lower case, and
//! fields about the connection that say nothing else stay away. What it could not say at all is told, and
//! nothing is sent then: a request that lost what its test is about would pass, or fail, for nothing.
//!
//! Bytes that are wrong are no such thing: fields hold any bytes over these wires, and the parser judges.

use super::message::{self, Message};
use super::options::Wire;

/// Name and value.
pub(crate) type Field = (Vec<u8>, Vec<u8>);

/// A request, as yet without frames.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// Pseudo-header fields ahead of all others.
    pub(crate) fields: Vec<Field>,
    pub(crate) content: Vec<u8>,
}

#[cfg(test)]
impl Request {
    /// A POST with these fields behind those that every request has.
    pub(crate) fn post(fields: &[(&str, &str)], content: &[u8]) -> Self {
        let pseudo =
            [(":method", "POST"), (":scheme", "https"), (":authority", "h"), (":path", "/")];
        let all = pseudo.iter().chain(fields);
        let owned =
            |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        Self { fields: all.map(owned).collect(), content: content.to_vec() }
    }
}

/// What `wire` makes of a request.
///
/// # Errors
/// What it cannot say.
pub(crate) fn translate(bytes: &[u8], wire: Wire) -> Result<Request, String> {
    let message = Message::read(bytes);
    let mut rest = bytes;
    line_of(&message, whole_line(&mut rest)?)?;
    version(&message.protocol, wire)?;
    whole_lines(rest)?;
    transfer(&message, bytes)?;
    let mut fields = pseudo(&message);
    let is_connect = message.method == b"CONNECT";
    let mut has_authority = false;
    for (name, value) in &message.fields {
        let name = name.to_ascii_lowercase();
        match name.as_slice() {
            b"host" if is_connect => {}
            b"host" if !has_authority => {
                has_authority = true;
                fields.insert(2, (b":authority".to_vec(), value.clone()));
            }
            b"transfer-encoding" => {}
            _ if is_dropped(&name, value)? => {}
            _ => fields.push((name, value.clone())),
        }
    }
    Ok(Request { fields, content: message.body })
}

/// The request line must be three parts with a space between each: there is no other place for more.
fn line_of(message: &Message, line: &[u8]) -> Result<(), String> {
    let Message { method, target, protocol, .. } = message;
    let parts = [method.as_slice(), target, protocol];
    if parts.iter().any(|part| part.is_empty()) || parts.join(&b' ') != line {
        return Err("there is no request line that could be wrong".to_owned());
    }
    if target.starts_with(b"http://") || target.starts_with(b"https://") {
        return Err("an absolute target has its parts in fields of their own".to_owned());
    }
    Ok(())
}

/// The suite writes 1.0 and 1.1 as what clients spoke at the time. Any other version is what a test is about.
fn version(protocol: &[u8], wire: Wire) -> Result<(), String> {
    let own: [&[u8]; 2] = match wire {
        Wire::H3 => [b"HTTP/3", b"HTTP/3.0"],
        _ => [b"HTTP/2", b"HTTP/2.0"],
    };
    let common: [&[u8]; 2] = [b"HTTP/1.0", b"HTTP/1.1"];
    if own.contains(&protocol) || common.contains(&protocol) {
        return Ok(());
    }
    Err(format!("a request does not say its version, {}", protocol.escape_ascii()))
}

/// Takes a line off a head.
fn whole_line<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let all = *rest;
    let line = message::line(rest);
    if all[..all.len() - rest.len()].ends_with(b"\r\n") {
        return Ok(line);
    }
    Err("a head has no lines that could end in another way".to_owned())
}

/// Fields have no lines, and there is an end of them.
fn whole_lines(mut rest: &[u8]) -> Result<(), String> {
    loop {
        let line = whole_line(&mut rest)?;
        if line.is_empty() {
            return Ok(());
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return Err("a field has no lines that could be folded".to_owned());
        }
        if !line.contains(&b':') {
            return Err("a field has a name and a value".to_owned());
        }
    }
}

/// Chunks are framing, and so are frames: the content of a sound request is all that goes on.
fn transfer(message: &Message, bytes: &[u8]) -> Result<(), String> {
    let Some(coding) = message.field("transfer-encoding") else { return Ok(()) };
    let is_sound = coding.eq_ignore_ascii_case(b"chunked")
        && message.field("content-length").is_none()
        && message::judge(bytes).is_ok()
        && bytes.ends_with(b"0\r\n\r\n");
    if is_sound {
        return Ok(());
    }
    Err("no coding of the transfer, and nothing that contradicts it".to_owned())
}

/// All but the authority, which is a field as yet.
fn pseudo(message: &Message) -> Vec<Field> {
    let field = |name: &[u8], value: &[u8]| (name.to_vec(), value.to_vec());
    let method = field(b":method", &message.method);
    if message.method == b"CONNECT" {
        vec![method, field(b":authority", &message.target)]
    } else {
        vec![method, field(b":scheme", b"https"), field(b":path", &message.target)]
    }
}

/// Whether a field is of no use here. One that says more than every client of HTTP/1.1 does cannot be said.
fn is_dropped(name: &[u8], value: &[u8]) -> Result<bool, String> {
    let of_course: &[&[u8]] = match name {
        b"connection" | b"proxy-connection" => &[b"close", b"keep-alive"],
        // Seconds, as the browsers wrote them that tests were recorded of.
        b"keep-alive" => &[b"300"],
        b"upgrade" | b"http2-settings" => &[],
        _ => return Ok(false),
    };
    if of_course.iter().any(|of_course| value.eq_ignore_ascii_case(of_course)) {
        return Ok(true);
    }
    let (name, value) = (name.escape_ascii(), value.escape_ascii());
    Err(format!("no field is about the connection, {name}: {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields in one line, and the content.
    #[track_caller]
    fn check(bytes: &str, expected: Result<(&str, &str), &str>) {
        check_over(Wire::H2, bytes, expected);
        check_over(Wire::H3, bytes, expected);
    }

    #[track_caller]
    fn check_over(wire: Wire, bytes: &str, expected: Result<(&str, &str), &str>) {
        let shown = translate(bytes.as_bytes(), wire).map(|request| {
            let field = |(name, value): &Field| [name.as_slice(), value].join(&b'=');
            let fields: Vec<_> = request.fields.iter().map(field).collect();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (text(&fields.join(&b'|')), text(&request.content))
        });
        let expected = expected.map(|(fields, content)| (fields.to_owned(), content.to_owned()));
        assert_eq!(shown, expected.map_err(str::to_owned), "{wire:?} {bytes:?}");
    }

    #[test]
    fn requests_are_said_in_fields() {
        check(
            "GET /a?b HTTP/1.1\r\nUser-Agent: Me\r\nHost: h\r\nConnection: Close\r\nKeep-Alive: 300\r\n\r\n",
            Ok((":method=GET|:scheme=https|:authority=h|:path=/a?b|user-agent=Me", "")),
        );
        check(
            "POST / HTTP/1.0\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcdef",
            Ok((":method=POST|:scheme=https|:authority=h|:path=/|content-length=3", "abc")),
        );
        check(
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            Ok((":method=POST|:scheme=https|:authority=h|:path=/", "abc")),
        );
        check(
            "CONNECT h:80 HTTP/1.1\r\nHost: other\r\n\r\n",
            Ok((":method=CONNECT|:authority=h:80", "")),
        );
    }

    #[test]
    fn what_is_wrong_is_said_as_it_is() {
        check(
            "|GET \\a b HTTP/1.1\r\nHost: h\r\nhost: i\r\nA B : \u{1}\r\nContent-Length: x\r\n\r\nabc",
            Ok((
                ":method=|GET|:scheme=https|:authority=h|:path=\\a b|host=i|a b =\u{1}|content-length=x",
                "",
            )),
        );
        check("GET * HTTP/1.1\r\n\r\n", Ok((":method=GET|:scheme=https|:path=*", "")));
    }

    #[test]
    fn what_cannot_be_said_is_told() {
        for line in
            ["", "GET /", "GET / ", " GET / HTTP/1.1", "GET  / HTTP/1.1", "\tGET / HTTP/1.1"]
        {
            let bytes = format!("{line}\r\nHost: h\r\n\r\n");
            check(&bytes, Err("there is no request line that could be wrong"));
        }
        check(
            "GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
            Err("an absolute target has its parts in fields of their own"),
        );
        check("GET / HTTP/0.9\r\n\r\n", Err("a request does not say its version, HTTP/0.9"));
        check(
            "GET / HTTP/1.1\r\na: b\r\n c\r\n\r\n",
            Err("a field has no lines that could be folded"),
        );
        for bytes in [
            "",
            "GET / HTTP/1.1\r\na: b\r\n",
            "GET / HTTP/1.1\n\n",
            "GET / HTTP/1.1\r\na: b\n\r\n",
            "GET / HTTP/1.1\r\n\n",
        ] {
            check(bytes, Err("a head has no lines that could end in another way"));
        }
        check("GET / HTTP/1.1\r\na\r\n\r\n", Err("a field has a name and a value"));
        check(
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: close, close\r\n\r\n",
            Err("no field is about the connection, connection: close, close"),
        );
        check(
            "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: close\r\n\r\n",
            Err("no field is about the connection, upgrade: close"),
        );
    }

    #[test]
    fn codings_of_the_transfer_must_be_sound() {
        for (fields, content) in [
            ("Transfer-Encoding: chunked\r\nContent-Length: 3", "3\r\nabc\r\n0\r\n\r\n"),
            ("Transfer-Encoding: gzip", "3\r\nabc\r\n0\r\n\r\n"),
            ("Transfer-Encoding: chunked", "3\r\nab"),
            ("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\na: b\r\n\r\n"),
        ] {
            let bytes = format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n{content}");
            check(&bytes, Err("no coding of the transfer, and nothing that contradicts it"));
        }
    }

    #[test]
    fn a_wire_has_its_own_version() {
        let said = Ok((":method=GET|:scheme=https|:path=/", ""));
        check_over(Wire::H2, "GET / HTTP/2\r\n\r\n", said);
        check_over(Wire::H3, "GET / HTTP/3.0\r\n\r\n", said);
        let other = Err("a request does not say its version, HTTP/2");
        check_over(Wire::H3, "GET / HTTP/2\r\n\r\n", other);
    }
}
