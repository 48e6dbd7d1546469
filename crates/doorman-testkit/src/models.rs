//! Requests as origins of different opinions would read them from the same bytes.
//!
//! One in, one out: whatever a client sends, every origin must find in the proxy's bytes exactly
//! the requests that the proxy accepted. Each model is a real server's habit; where two of them
//! find different requests in the same bytes, a request can be smuggled.

use std::ops::Range;

/// An origin's habit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// `Transfer-Encoding` wins over `Content-Length`, as RFC 9112 section 6.3 says.
    ChunkedFirst,
    /// `Content-Length` wins.
    LengthFirst,
    /// Of several lengths the last counts; chunked wins.
    LastLength,
    /// Bare LF ends lines, blanks may stand before the colon, folded lines are joined, any value
    /// that contains `chunked` means it.
    Lenient,
    /// Bodies are not expected: what follows a head is the next request.
    IgnoreBody,
}

impl Model {
    /// Those that agree on every well-formed message.
    pub const FRAMING: [Self; 4] =
        [Self::ChunkedFirst, Self::LengthFirst, Self::LastLength, Self::Lenient];
    /// All; `IgnoreBody` disagrees on every request with a body.
    pub const ALL: [Self; 5] =
        [Self::ChunkedFirst, Self::LengthFirst, Self::LastLength, Self::Lenient, Self::IgnoreBody];
}

/// A request that a model found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The first line, as it stands.
    pub line: String,
    /// Where the body, with its chunk lines, stands.
    pub body: Range<usize>,
    /// Whether head and body are whole.
    pub complete: bool,
}

/// The requests that `model` finds in what an origin received on one connection.
#[must_use]
pub fn requests(bytes: &[u8], model: Model) -> Vec<Parsed> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        while matches!(bytes.get(at), Some(b'\r' | b'\n')) {
            at += 1;
        }
        if at == bytes.len() {
            return found;
        }
        let parsed = request(bytes, at, model);
        let goes_on = parsed.complete;
        at = parsed.body.end;
        found.push(parsed);
        if !goes_on {
            return found;
        }
    }
}

/// Checks that every model finds the `accepted` first lines, in order, and nothing else.
///
/// # Errors
/// The first model that disagrees, and what it found.
pub fn check(bytes: &[u8], accepted: &[&str], models: &[Model]) -> Result<(), String> {
    for model in models {
        let found = requests(bytes, *model);
        let lines: Vec<&str> = found.iter().map(|parsed| parsed.line.as_str()).collect();
        if lines != accepted {
            return Err(format!("{model:?} finds {lines:?}, accepted were {accepted:?}"));
        }
    }
    Ok(())
}

/// Whether any model finds a request whose first line contains `canary`.
#[must_use]
pub fn has_canary(bytes: &[u8], canary: &str) -> bool {
    Model::ALL
        .iter()
        .any(|model| requests(bytes, *model).iter().any(|parsed| parsed.line.contains(canary)))
}

fn request(bytes: &[u8], start: usize, model: Model) -> Parsed {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut at = start;
    let complete = loop {
        let Some((line, next)) = line(bytes, at, model) else { break false };
        at = next;
        if line.is_empty() {
            break true;
        }
        let folded = matches!(line.first(), Some(b' ' | b'\t')) && model == Model::Lenient;
        match lines.last_mut() {
            Some(last) if folded => last.extend_from_slice(line),
            _ => lines.push(line.to_vec()),
        }
    };
    let first = lines.first().map_or(&bytes[start..], Vec::as_slice);
    let line = String::from_utf8_lossy(first).into_owned();
    if !complete {
        return Parsed { line, body: bytes.len()..bytes.len(), complete };
    }
    let end = match framing(&lines, model) {
        Framing::None => Some(at),
        Framing::Length(length) => usize::try_from(length)
            .ok()
            .and_then(|length| at.checked_add(length))
            .filter(|end| *end <= bytes.len()),
        Framing::Chunked => chunked_end(bytes, at, model),
    };
    Parsed { line, body: at..end.unwrap_or(bytes.len()), complete: end.is_some() }
}

enum Framing {
    None,
    Length(u64),
    Chunked,
}

fn framing(lines: &[Vec<u8>], model: Model) -> Framing {
    let values = |name: &str| -> Vec<String> {
        let fields = lines.iter().skip(1).filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (mut this, value) = (&line[..colon], &line[colon + 1..]);
            if model == Model::Lenient {
                this = this.trim_ascii();
            }
            this.eq_ignore_ascii_case(name.as_bytes()).then(|| value.trim_ascii())
        });
        fields.map(|value| String::from_utf8_lossy(value).to_ascii_lowercase()).collect()
    };
    let chunked = values("transfer-encoding").iter().any(|value| match model {
        Model::Lenient => value.contains("chunked"),
        _ => value.rsplit(',').next().is_some_and(|last| last.trim() == "chunked"),
    });
    let lengths = values("content-length");
    let length = match model {
        Model::LastLength => lengths.last(),
        _ => lengths.first(),
    };
    let length = length.and_then(|length| length.parse().ok());
    match (model, chunked, length) {
        (Model::IgnoreBody, ..) | (_, false, None) => Framing::None,
        (Model::LengthFirst, _, Some(length)) | (_, false, Some(length)) => Framing::Length(length),
        (_, true, _) => Framing::Chunked,
    }
}

/// The line at `at` without its end, and where the next one begins.
fn line(bytes: &[u8], at: usize, model: Model) -> Option<(&[u8], usize)> {
    let rest = bytes.get(at..)?;
    let end: &[u8] = if model == Model::Lenient { b"\n" } else { b"\r\n" };
    let place = rest.windows(end.len()).position(|window| window == end)?;
    let line = &rest[..place];
    Some((line.strip_suffix(b"\r").unwrap_or(line), at + place + end.len()))
}

fn chunked_end(bytes: &[u8], mut at: usize, model: Model) -> Option<usize> {
    loop {
        let (size, next) = line(bytes, at, model)?;
        let digits = size.split(|byte| matches!(byte, b';' | b' ')).next()?;
        let size = usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        at = next;
        if size == 0 {
            break;
        }
        let (end, next) = line(bytes, at.checked_add(size)?, model)?;
        if !end.is_empty() {
            return None;
        }
        at = next;
    }
    loop {
        let (trailer, next) = line(bytes, at, model)?;
        at = next;
        if trailer.is_empty() {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn finds(bytes: &str, model: Model, lines: &[&str]) {
        let found = requests(bytes.as_bytes(), model);
        let found: Vec<&str> = found.iter().map(|parsed| parsed.line.as_str()).collect();
        assert_eq!(found, lines, "{model:?}");
    }

    #[test]
    fn models_agree_on_well_formed_messages() {
        let bytes = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n\
            POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 24\r\n\r\nGET /canary HTTP/1.1\r\n\r\n\
            PUT /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n";
        let accepted = ["GET /a HTTP/1.1", "POST /b HTTP/1.1", "PUT /c HTTP/1.1"];
        check(bytes.as_bytes(), &accepted, &Model::FRAMING).unwrap();
        assert!(check(bytes.as_bytes(), &accepted, &Model::ALL).is_err());
        assert!(check(bytes.as_bytes(), &accepted[..2], &Model::FRAMING).is_err());
        assert!(has_canary(bytes.as_bytes(), "/canary"), "an origin that ignores bodies sees it");
        assert!(!has_canary(bytes.as_bytes(), "/other"));
    }

    #[test]
    fn models_differ_where_framing_is_in_doubt() {
        let both = "POST / HTTP/1.1\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n\
            0\r\n\r\nG";
        finds(both, Model::ChunkedFirst, &["POST / HTTP/1.1", "G"]);
        finds(both, Model::LengthFirst, &["POST / HTTP/1.1"]);
        let twice = "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 0\r\n\r\nG";
        finds(twice, Model::ChunkedFirst, &["POST / HTTP/1.1"]);
        finds(twice, Model::LastLength, &["POST / HTTP/1.1", "G"]);
        let folded = "POST / HTTP/1.1\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\nG";
        finds(folded, Model::Lenient, &["POST / HTTP/1.1", "G"]);
        finds(folded, Model::LengthFirst, &["POST / HTTP/1.1", "0", "G"]);
        let blank = "POST / HTTP/1.1\r\nContent-Length : 1\r\n\r\nG";
        finds(blank, Model::Lenient, &["POST / HTTP/1.1"]);
        finds(blank, Model::ChunkedFirst, &["POST / HTTP/1.1", "G"]);
    }

    #[test]
    fn what_is_cut_is_not_complete() {
        let whole = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        for end in 1..whole.len() {
            let found = requests(&whole.as_bytes()[..end], Model::ChunkedFirst);
            assert_eq!(found.len(), 1, "{end}");
            assert!(!found[0].complete, "{end}");
        }
        assert!(requests(whole.as_bytes(), Model::ChunkedFirst)[0].complete);
    }
}
