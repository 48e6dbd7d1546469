//! The head of an application's response (RFC 3875 section 6).
//!
//! Where the RFC is loose this reader is strict, since what it lets pass goes to clients: lines end
//! with LF or CR LF and are not folded, names are tokens, framing is one decimal `Content-Length` or
//! none. A redirect to a path of our own (section 6.2.2) is passed on as a redirect: to answer it
//! ourselves would send a request past its route.

use doorman_http::{FieldId, ResponseHead, is_field_value, is_token};

/// Bounds of a head.
#[derive(Clone, Copy, Debug)]
pub struct ReplyLimits {
    /// Bytes, its empty line included.
    pub bytes: usize,
    /// Fields.
    pub fields: usize,
}

/// How far a head was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It goes on: call again with the same bytes and more behind them.
    Partial,
    /// It is whole.
    Done {
        /// Bytes that it took; content follows.
        consumed: usize,
        /// Bytes of content, if the application says.
        length: Option<u64>,
    },
}

/// Why a head cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyFault(
    /// In words, for the log.
    pub &'static str,
);

/// Reads the head at the front of `input` into `head`, which is empty. `head` is of use only once
/// the head is whole.
///
/// # Errors
/// Why it cannot be used: 502 for the client.
pub fn read_reply(
    input: &[u8],
    limits: ReplyLimits,
    head: &mut ResponseHead,
) -> Result<Progress, ReplyFault> {
    let within = &input[..input.len().min(limits.bytes)];
    let Some(end) = end_of_head(within) else {
        let full = within.len() == limits.bytes;
        return if full {
            Err(ReplyFault("head of the response is too large"))
        } else {
            Ok(Progress::Partial)
        };
    };
    let mut found = Found::default();
    let lines = within[..end].split(|&byte| byte == b'\n');
    for line in lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)) {
        if line.is_empty() {
            // The empty line, and what `split` finds behind the last line end.
            continue;
        }
        found.fields += 1;
        if found.fields > limits.fields {
            return Err(ReplyFault("head of the response has too many fields"));
        }
        take(line, &mut found, head)?;
    }
    // Section 6.2: a response has at least one of them.
    if !(found.content_type || found.location || found.status.is_some()) {
        return Err(ReplyFault("response without Content-Type, Location and Status"));
    }
    head.status = found.status.unwrap_or(if found.location { 302 } else { 200 });
    Ok(Progress::Done { consumed: end, length: found.length })
}

/// Where the head ends: behind its empty line.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let mut line_start = 0;
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        if matches!(&bytes[line_start..at], b"" | b"\r") {
            return Some(at + 1);
        }
        line_start = at + 1;
    }
    None
}

#[derive(Default)]
struct Found {
    fields: usize,
    status: Option<u16>,
    location: bool,
    content_type: bool,
    length: Option<u64>,
}

fn take(line: &[u8], found: &mut Found, head: &mut ResponseHead) -> Result<(), ReplyFault> {
    let colon = line.iter().position(|&byte| byte == b':');
    let colon = colon.ok_or(ReplyFault("line of the response without a colon"))?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    if !is_token(name) {
        return Err(ReplyFault("field of the response with a malformed name"));
    }
    if !is_field_value(value) {
        return Err(ReplyFault("field of the response with a control byte"));
    }
    if name.eq_ignore_ascii_case(b"status") {
        let status = status(value).ok_or(ReplyFault("malformed Status"))?;
        return match found.status.replace(status) {
            None => Ok(()),
            Some(_) => Err(ReplyFault("two Status fields")),
        };
    }
    let id = FieldId::of(name);
    match id {
        FieldId::ContentLength => {
            let length = length(value).ok_or(ReplyFault("malformed Content-Length"))?;
            return match found.length.replace(length) {
                None => Ok(()),
                Some(_) => Err(ReplyFault("two Content-Length fields")),
            };
        }
        // The records frame the content: whoever frames it once more means something else by it.
        FieldId::TransferEncoding => {
            return Err(ReplyFault("Transfer-Encoding in a FastCGI response"));
        }
        FieldId::Location if found.location => return Err(ReplyFault("two Location fields")),
        FieldId::Location => found.location = true,
        FieldId::ContentType => found.content_type = true,
        // A connection's own fields say nothing where there is none to the client.
        other if other.is_hop_by_hop() => return Ok(()),
        _ => {}
    }
    head.fields.push(name, value);
    Ok(())
}

/// `404` or `404 Not Found`; final statuses only.
fn status(value: &[u8]) -> Option<u16> {
    let digits = value.get(..3)?;
    let alone = matches!(value.get(3), None | Some(b' '));
    let number = digits.iter().all(u8::is_ascii_digit).then_some(digits)?;
    let number: u16 = std::str::from_utf8(number).ok()?.parse().ok()?;
    (alone && (200..=599).contains(&number)).then_some(number)
}

fn length(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(value).ok()?.parse().ok()).flatten()
}
