//! A stage's request as bytes, made as the suite's own runners make it: what the test says goes out
//! unchanged, however wrong it is as HTTP, because that is what is tested. Only `Complete::Missing` adds
//! what every client would.

use super::suite::{Complete, Input, Parts};

const FORM: &str = "application/x-www-form-urlencoded";

/// The bytes to send.
pub(crate) fn bytes(input: &Input) -> Vec<u8> {
    match input {
        Input::Exact(bytes) => bytes.clone(),
        Input::Parts(parts) => made(parts),
    }
}

fn made(parts: &Parts) -> Vec<u8> {
    let mut fields = parts.fields.clone();
    let mut data = parts.data.clone();
    let completes = parts.complete != Complete::Nothing;
    if completes && !data.is_empty() {
        if value(&fields, "content-type").is_none() {
            fields.push(("Content-Type".to_owned(), FORM.to_owned()));
        }
        if values(&fields, "content-type").any(|kind| kind.eq_ignore_ascii_case(FORM)) {
            data = form(data);
        }
    }
    // Files of tests have LF lines, and a multipart body must not.
    let is_multipart = |kind: &str| kind.to_ascii_lowercase().contains("multipart/form-data;");
    if values(&fields, "content-type").any(is_multipart) {
        data = with_returns(&data);
    }
    if completes {
        add_standard_fields(&mut fields, parts, data.len());
    }

    let mut bytes = format!("{} {} {}\r\n", parts.method, parts.target, parts.version).into_bytes();
    for (name, value) in &fields {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&data);
    bytes
}

fn values<'a>(fields: &'a [(String, String)], name: &str) -> impl Iterator<Item = &'a str> {
    let named = fields.iter().filter(move |(is, _)| is.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.as_str())
}

fn value<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    values(fields, name).next()
}

fn add_standard_fields(fields: &mut Vec<(String, String)>, parts: &Parts, length: usize) {
    let method = &parts.method;
    if value(fields, "connection").is_none() {
        fields.push(("Connection".to_owned(), "close".to_owned()));
    }
    let has_body_by_method = parts.complete == Complete::Missing
        && (method.starts_with("POST")
            || method.contains("PUT")
            || method.contains("PATCH")
            || method.ends_with("DELETE"));
    if value(fields, "content-length").is_none() && (length > 0 || has_body_by_method) {
        fields.push(("Content-Length".to_owned(), length.to_string()));
    }
}

/// Every LF becomes CRLF; a CRLF stays one, because tests of 3.3 write both.
fn with_returns(data: &[u8]) -> Vec<u8> {
    let mut lines: Vec<u8> = Vec::with_capacity(data.len() + 64);
    for &byte in data {
        if byte == b'\n' && lines.last() != Some(&b'\r') {
            lines.push(b'\r');
        }
        lines.push(byte);
    }
    lines
}

/// Names and values coded, unless they look as if they were: unless decoding would change anything.
fn form(data: Vec<u8>) -> Vec<u8> {
    if is_coded(&data) {
        return data;
    }
    let mut coded = Vec::with_capacity(data.len() * 2);
    for (number, pair) in data.split(|&byte| byte == b'&').enumerate() {
        if number > 0 {
            coded.push(b'&');
        }
        match memchr::memchr(b'=', pair) {
            Some(equals) => {
                escape(&pair[..equals], &mut coded);
                coded.push(b'=');
                escape(&pair[equals + 1..], &mut coded);
            }
            None => escape(pair, &mut coded),
        }
    }
    // The runner reads tokens until nothing is left, so an ampersand at the end has no token behind it.
    if data.ends_with(b"&") {
        coded.pop();
    }
    coded
}

/// A percent sign that is no escape makes decoding fail, which counts as coded: it goes out as it is.
fn is_coded(data: &[u8]) -> bool {
    data.iter().any(|&byte| byte == b'+' || byte == b'%')
}

fn escape(text: &[u8], into: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => into.push(byte),
            b' ' => into.push(b'+'),
            _ => into.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(fields: &[(&str, &str)], data: &str) -> Parts {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Parts {
            method: "GET".to_owned(),
            target: "/a".to_owned(),
            version: "HTTP/1.1".to_owned(),
            fields: fields.iter().map(owned).collect(),
            data: data.as_bytes().to_vec(),
            complete: Complete::Missing,
        }
    }

    #[track_caller]
    fn check(parts: Parts, expected: &str) {
        assert_eq!(String::from_utf8_lossy(&bytes(&Input::Parts(parts))), expected);
    }

    #[test]
    fn exact_bytes_stay() {
        assert_eq!(bytes(&Input::Exact(b"\xff \r".to_vec())), b"\xff \r");
    }

    #[test]
    fn what_a_client_sends_is_added() {
        check(parts(&[], ""), "GET /a HTTP/1.1\r\nConnection: close\r\n\r\n");
        check(
            parts(&[("connection", "x"), ("Host", "h")], "a=b"),
            "GET /a HTTP/1.1\r\nconnection: x\r\nHost: h\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=b",
        );
        check(
            Parts { method: "POST".to_owned(), ..parts(&[], "") },
            "POST /a HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        );
        let older = Complete::MissingOfContent;
        check(
            Parts { method: "POST".to_owned(), complete: older, ..parts(&[], "") },
            "POST /a HTTP/1.1\r\nConnection: close\r\n\r\n",
        );
        check(
            parts(&[("Content-Length", "99"), ("Content-Type", "text/xml")], "<a b='+'/>"),
            "GET /a HTTP/1.1\r\nContent-Length: 99\r\nContent-Type: text/xml\r\nConnection: close\r\n\r\n<a b='+'/>",
        );
    }

    #[test]
    fn nothing_is_added_to_what_is_complete() {
        let exact = |data| Parts { complete: Complete::Nothing, ..parts(&[], data) };
        check(exact(""), "GET /a HTTP/1.1\r\n\r\n");
        check(exact("a=<b>"), "GET /a HTTP/1.1\r\n\r\na=<b>");
    }

    #[test]
    fn the_request_line_is_as_wrong_as_it_was_written() {
        let wrong = Parts {
            method: "   GET".to_owned(),
            target: "/a b".to_owned(),
            version: String::new(),
            complete: Complete::Nothing,
            ..parts(&[], "")
        };
        check(wrong, "   GET /a b \r\n\r\n");
    }

    #[test]
    fn forms_are_coded_once() {
        let body = |data: &str| {
            let bytes = bytes(&Input::Parts(parts(&[], data)));
            let text = String::from_utf8(bytes).expect("text");
            text.split_once("\r\n\r\n").expect("a head").1.to_owned()
        };
        for (data, expected) in [
            ("a=b c", "a=b+c"),
            ("a=b&c d=<e>=f", "a=b&c+d=%3Ce%3E%3Df"),
            ("<a>", "%3Ca%3E"),
            ("a=b+c <d>", "a=b+c <d>"),
            ("a=%20 <d>", "a=%20 <d>"),
            ("a=1%", "a=1%"),
            ("a=b&", "a=b"),
            ("a&&b", "a&&b"),
            ("q=\u{e9}\n", "q=%C3%A9%0A"),
        ] {
            assert_eq!(body(data), expected, "{data}");
        }
    }

    #[test]
    fn lines_of_multipart_bodies_end_as_they_must() {
        let multipart = [("Content-Type", "multipart/form-data; boundary=b")];
        check(
            Parts { complete: Complete::Nothing, ..parts(&multipart, "--b\nx: y\r\n\n--b--") },
            "GET /a HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\nx: y\r\n\r\n--b--",
        );
    }
}
