//! What the origin behind the rules answers. The suite tests rules on responses by asking for them: a POST
//! to `/reflect` says in JSON which status, fields and body it wants. All else is answered with an empty
//! 200. It is a function, so that one origin serves the run in process and the one over sockets.

use serde_json::Value;

use super::base64;

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Without framing.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn plain(status: u16, text: &str) -> Self {
        Self { status, fields: Vec::new(), body: text.as_bytes().to_vec() }.typed()
    }

    /// A body without a type gets the one that it looks like, as the suite's own origin gives it.
    fn typed(mut self) -> Self {
        let has_type =
            self.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if !has_type && !self.body.is_empty() {
            self.fields.push(("Content-Type".to_owned(), looks_like(&self.body).to_owned()));
        }
        self
    }
}

/// The answer to a request.
pub(crate) fn answer(method: &[u8], target: &[u8], body: &[u8]) -> Answer {
    let path = target.split(|&byte| byte == b'?').next().unwrap_or_default();
    let reflects = path == b"/reflect" || path.starts_with(b"/reflect/");
    if method != b"POST" || !reflects {
        return Answer { status: 200, fields: Vec::new(), body: Vec::new() };
    }
    match serde_json::from_slice(body) {
        Ok(wanted) => reflected(&wanted),
        Err(_) => Answer::plain(400, "The body is no JSON"),
    }
}

fn reflected(wanted: &Value) -> Answer {
    let status = wanted["status"].as_u64().unwrap_or(200);
    let Some(status) = u16::try_from(status).ok().filter(|status| (100..600).contains(status))
    else {
        return Answer::plain(400, "There is no such status");
    };
    let fields = wanted["headers"].as_object().into_iter().flatten();
    let fields = fields.map(|(name, value)| (name.clone(), field(value)));
    let body = match (wanted["body"].as_str(), wanted["encodedBody"].as_str()) {
        (Some(body), _) if !body.is_empty() => body.as_bytes().to_vec(),
        (_, Some(coded)) => match base64::decode(coded.as_bytes()) {
            Some(body) => body,
            None => return Answer::plain(400, "The body is no base64"),
        },
        _ => Vec::new(),
    };
    Answer { status, fields: fields.collect(), body }.typed()
}

fn field(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Starts of bodies, without the white space before them and without case, and what they make them. A tag
/// ends with `>` or a space.
const TAGS: &[&[u8]] = &[
    b"<!doctype html",
    b"<html",
    b"<head",
    b"<script",
    b"<iframe",
    b"<h1",
    b"<div",
    b"<font",
    b"<table",
    b"<a",
    b"<style",
    b"<title",
    b"<b",
    b"<body",
    b"<br",
    b"<p",
    b"<!--",
];

fn looks_like(body: &[u8]) -> &'static str {
    let start = body[..body.len().min(512)].trim_ascii_start().to_ascii_lowercase();
    let is_tag = |tag: &&[u8]| {
        start.strip_prefix(*tag).is_some_and(|rest| matches!(rest.first(), Some(b'>' | b' ')))
    };
    if TAGS.iter().any(is_tag) || start.starts_with(b"<!--") {
        return "text/html; charset=utf-8";
    }
    if start.starts_with(b"<?xml") {
        return "text/xml; charset=utf-8";
    }
    if start.starts_with(b"%pdf-") {
        return "application/pdf";
    }
    let is_binary = |byte: &u8| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    if start.iter().any(is_binary) {
        return "application/octet-stream";
    }
    "text/plain; charset=utf-8"
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer in one line.
    #[track_caller]
    fn check(method: &str, target: &str, body: &str, expected: &str) {
        let answer = answer(method.as_bytes(), target.as_bytes(), body.as_bytes());
        let body_shown = String::from_utf8_lossy(&answer.body);
        let shown = format!("{} {:?} {body_shown:?}", answer.status, answer.fields);
        assert_eq!(shown, expected, "{method} {target} {body}");
    }

    #[test]
    fn what_is_asked_for_is_answered() {
        check("GET", "/get?a=b", "", "200 [] \"\"");
        check("GET", "/reflect", "{}", "200 [] \"\"");
        check("POST", "/reflected", "{\"status\": 500}", "200 [] \"\"");
        check("POST", "/reflect", "{}", "200 [] \"\"");
        check(
            "POST",
            "/reflect?x",
            r#"{"status": 404, "headers": {"Content-Type": "text/html", "X": "y"}, "body": "b"}"#,
            r#"404 [("Content-Type", "text/html"), ("X", "y")] "b""#,
        );
        let plain = r#"[("Content-Type", "text/plain; charset=utf-8")]"#;
        check("POST", "/reflect", r#"{"encodedBody": "Zm9v"}"#, &format!("200 {plain} \"foo\""));
        check("POST", "/reflect", "{", &format!("400 {plain} \"The body is no JSON\""));
        check(
            "POST",
            "/reflect",
            r#"{"status": 99}"#,
            &format!("400 {plain} \"There is no such status\""),
        );
        check(
            "POST",
            "/reflect",
            r#"{"encodedBody": "*"}"#,
            &format!("400 {plain} \"The body is no base64\""),
        );
    }

    #[test]
    fn bodies_are_typed_by_their_looks() {
        for (body, expected) in [
            ("  <!DOCTYPE html>", "text/html; charset=utf-8"),
            ("<b>x", "text/html; charset=utf-8"),
            ("<bad", "text/plain; charset=utf-8"),
            ("<?xml version", "text/xml; charset=utf-8"),
            ("\u{1}", "application/octet-stream"),
            ("%PDF-1", "application/pdf"),
        ] {
            assert_eq!(looks_like(body.as_bytes()), expected, "{body}");
        }
    }
}
