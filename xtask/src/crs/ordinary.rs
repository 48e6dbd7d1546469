//! Requests of everyday traffic, which must pass where attacks must not. A suite that only looks for matches
//! cannot see a rule set that refuses everybody; this does.
//!
//! A file holds requests, each behind a line `### name`, as they would be typed: lines end with LF, and a
//! body follows an empty line. On its way out a head gets CRLF and, with a body, its `Content-Length`; so do
//! the lines of a multipart body. The LF before the next name is not part of a body.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use doorman_waf::{Engine, Worker};

use super::message;
use super::process;
use crate::failure::{During, Failure};

/// One request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// The file's name and its own.
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// Reads every file of `directory` (`*.http`), in the order of their names.
///
/// # Errors
/// What cannot be read, and a file without a request.
pub(crate) fn read(directory: &Path) -> Result<Vec<Request>, Failure> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).during(format!("reading {}", directory.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "http") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut requests = Vec::new();
    for path in &paths {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(path).during(format!("reading {}", path.display()))?;
        let found = file(&stem, &text);
        if found.is_empty() {
            return Err(Failure::new(format!("no request in {}", path.display())));
        }
        requests.extend(found);
    }
    if requests.is_empty() {
        return Err(Failure::new(format!("no requests (*.http) in {}", directory.display())));
    }
    Ok(requests)
}

fn file(stem: &str, text: &str) -> Vec<Request> {
    let text = format!("\n{text}");
    let parts = text.split("\n### ").skip(1).filter_map(|part| part.split_once('\n'));
    let named = |(name, text): (&str, &str)| Request {
        name: format!("{stem}: {}", name.trim()),
        bytes: bytes(text),
    };
    parts.map(named).collect()
}

fn bytes(text: &str) -> Vec<u8> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end_matches('\n'), ""));
    let body = body.strip_suffix('\n').unwrap_or(body);
    let is_multipart = head.to_ascii_lowercase().contains("\ncontent-type: multipart/");
    let body = if is_multipart { body.replace('\n', "\r\n") } else { body.to_owned() };
    let mut request = String::new();
    for line in head.lines() {
        request.push_str(line);
        request.push_str("\r\n");
    }
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    request.push_str(&body);
    request.into_bytes()
}

/// Why each request that does not pass does not, in their order.
pub(crate) fn run(engine: &Arc<Engine>, requests: &[Request], jobs: usize) -> Vec<Option<String>> {
    let worker = || Worker::new(engine);
    process::spread(requests, jobs, worker, |worker, request| stopped(engine, worker, request))
}

fn stopped(engine: &Arc<Engine>, worker: &mut Worker, request: &Request) -> Option<String> {
    if let Err(refused) = message::judge(&request.bytes) {
        return Some(format!("the parser refuses it: {}", refused.reason));
    }
    let report = process::exchange(engine, worker, &request.bytes, "ordinary").report;
    if let Some(fault) = report.faults.first() {
        return Some(format!("the engine gives up: {}", fault.kind.word()));
    }
    let refusal = report.refused?;
    let scored = report.matches.iter().filter(|found| found.score > 0);
    let told = scored.map(|found| {
        format!("{} {} {}", found.rule.id, found.variable, String::from_utf8_lossy(&found.value))
    });
    let told: Vec<String> = told.collect();
    Some(format!("{} by rule {}: {}", refusal.status, refusal.rule, told.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let requests = file("f", text);
        let shown: Vec<(&str, String)> = requests
            .iter()
            .map(|request| {
                (request.name.as_str(), String::from_utf8_lossy(&request.bytes).into_owned())
            })
            .collect();
        let expected: Vec<(&str, String)> =
            expected.iter().map(|(name, bytes)| (*name, (*bytes).to_owned())).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn requests_are_written_as_they_would_be_typed() {
        check(
            "A comment.\n\n### one\nGET / HTTP/1.1\nHost: h\n\n### two\nPOST / HTTP/1.1\nHost: h\n\na=b\nc\n",
            &[
                ("f: one", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
                ("f: two", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\na=b\nc"),
            ],
        );
        check(
            "### m\nPOST / HTTP/1.1\nContent-Type: multipart/form-data; boundary=b\n\n--b\n\n--b--\n\n",
            &[(
                "f: m",
                "POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\n\
                 Content-Length: 14\r\n\r\n--b\r\n\r\n--b--\r\n",
            )],
        );
        check("nothing", &[]);
    }
}
