//! Field sections of responses (RFC 9114 section 4.3.2) to heads. Where the RFC calls a response
//! malformed it is refused here, so that no client ever gets it.

use doorman_http::{FieldId, ResponseHead, Version};

use crate::Limits;
use crate::code::Fault;
use crate::qpack::{self, Trouble};
use crate::request::{check, digits, undecoded};

/// Why a field section is no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseFault {
    /// It cannot be decoded, which ends the connection (RFC 9204 section 2.2).
    Connection(Fault),
    /// It is malformed: a stream error of type [`crate::Code::MessageError`] (RFC 9114 section 4.1.2), or
    /// beyond what is read of a response.
    Malformed(&'static str),
}

use ResponseFault::Malformed;

/// Reads a response's head, an interim one's too, into an empty one and gives the length that it
/// declares.
///
/// # Errors
/// Why it is no response.
pub fn read_response(
    section: &[u8],
    limits: &Limits,
    head: &mut ResponseHead,
) -> Result<Option<u64>, ResponseFault> {
    head.version = Version::Http3;
    let (mut status, mut length, mut lines) = (None, None, 0usize);
    let end = qpack::decode(section, limits.section_bytes, |name, value| {
        if name.first() == Some(&b':') {
            if lines > 0 {
                return Err(Malformed("pseudo-header field behind a field"));
            }
            if name != b":status" {
                return Err(Malformed("unknown pseudo-header field"));
            }
            if status.replace(read_status(value)?).is_some() {
                return Err(Malformed("pseudo-header field given twice"));
            }
            return Ok(());
        }
        lines += 1;
        if lines > limits.fields {
            return Err(Malformed("too many header fields"));
        }
        field(name, value, &mut length, head)
    });
    match end {
        Ok(()) => {}
        Err(Trouble::Broken(reason)) => return Err(ResponseFault::Connection(undecoded(reason))),
        Err(Trouble::TooLarge) => return Err(Malformed("header section is too large")),
        Err(Trouble::Refused(fault)) => return Err(fault),
    }
    head.status = status.ok_or(Malformed("no :status"))?;
    Ok(length)
}

/// Three digits, and a class that there is (RFC 9110 section 15).
fn read_status(value: &[u8]) -> Result<u16, ResponseFault> {
    let &[hundreds @ b'1'..=b'5', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] = value else {
        return Err(Malformed("status is not from 100 to 599"));
    };
    let digit = |byte: u8| u16::from(byte - b'0');
    Ok(digit(hundreds) * 100 + digit(tens) * 10 + digit(ones))
}

fn field(
    name: &[u8],
    value: &[u8],
    length: &mut Option<u64>,
    head: &mut ResponseHead,
) -> Result<(), ResponseFault> {
    check(name, value).map_err(Malformed)?;
    match FieldId::of(name) {
        FieldId::ContentLength => {
            let n = digits(value).ok_or(Malformed("Content-Length is not a number"))?;
            if length.replace(n).is_some_and(|other| other != n) {
                return Err(Malformed("more than one Content-Length"));
            }
        }
        FieldId::Connection
        | FieldId::KeepAlive
        | FieldId::ProxyConnection
        | FieldId::TransferEncoding
        | FieldId::Upgrade => return Err(Malformed("connection-specific field in HTTP/3")),
        _ => {
            head.fields.push(name, value);
        }
    }
    Ok(())
}
