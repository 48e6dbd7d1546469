//! Fills in templates.
//!
//! One pass: what a placeholder yields is copied, never read for placeholders again (H1R-12). What
//! comes out is checked for where it goes (H1L-19). A template without placeholders is borrowed.

use std::borrow::Cow;
use std::fmt;
use std::io::Write;

use doorman_http::template::{Part, Placeholder, Template};
use doorman_http::{ClientCertificate, KeyHash, RequestHead, is_field_value};

/// Longest result, bytes. Twice what a head may hold by default, so that only a template that
/// repeats a long value meets it.
pub const EXPANDED_MAX: usize = 64 * 1024;

/// What is known of a request besides its head.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// The client's address as text; empty if it has none.
    pub client_ip: &'a str,
    /// The client's port.
    pub client_port: Option<u16>,
    /// The listener's port.
    pub local_port: Option<u16>,
    /// The request's id.
    pub request_id: &'a str,
    /// The certificate that the client showed.
    pub client: Option<&'a ClientCertificate>,
    /// What the route's pattern caught: `{1}` is the first.
    pub captures: &'a [&'a [u8]],
}

/// Where placeholders take their values from.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The request, with the edits made so far.
    pub head: &'a RequestHead,
    /// The rest.
    pub facts: &'a Facts<'a>,
}

/// Why a template has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpandError {
    /// A control byte, which could end a line.
    Byte,
    /// Longer than [`EXPANDED_MAX`].
    TooLong,
}

impl fmt::Display for ExpandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte => f.write_str("a control byte would get into a head"),
            Self::TooLong => write!(f, "the result is longer than {EXPANDED_MAX} bytes"),
        }
    }
}

impl std::error::Error for ExpandError {}

/// The value of a header field: as it is, without control bytes.
///
/// # Errors
/// The result may not stand in a field, or is too long.
pub fn expand_value<'t>(
    template: &'t Template,
    context: &Context<'_>,
) -> Result<Cow<'t, [u8]>, ExpandError> {
    let value = expand_text(template, context)?;
    if is_field_value(&value) { Ok(value) } else { Err(ExpandError::Byte) }
}

/// A hash of what a template says of a request, made without making the text; `None` if the request
/// has nothing of what the template names.
#[must_use]
pub fn hash_key(template: &Template, context: &Context<'_>) -> Option<u64> {
    let mut hash = KeyHash::new(0);
    let mut any = false;
    for part in template.parts() {
        match part {
            Part::Text(text) => hash.write(text.as_bytes()),
            Part::Value(placeholder) => context.value(placeholder, |value| {
                any |= !value.is_empty();
                hash.write(value);
            }),
        }
    }
    any.then(|| hash.finish())
}

/// A text that stands in no head: as it is. Whoever writes it into HTML escapes it.
///
/// # Errors
/// [`ExpandError::TooLong`].
pub fn expand_text<'t>(
    template: &'t Template,
    context: &Context<'_>,
) -> Result<Cow<'t, [u8]>, ExpandError> {
    if let Some(text) = template.as_text() {
        return Ok(Cow::Borrowed(text.as_bytes()));
    }
    let mut out = Vec::with_capacity(64);
    for part in template.parts() {
        match part {
            Part::Text(text) => out.extend_from_slice(text.as_bytes()),
            Part::Value(placeholder) => context.value(placeholder, |v| out.extend_from_slice(v)),
        }
        if out.len() > EXPANDED_MAX {
            return Err(ExpandError::TooLong);
        }
    }
    Ok(Cow::Owned(out))
}

/// A URL or a part of one. Values that come from a URL (`{path}`, `{uri}`, `{query}`, `{host}`,
/// groups ...) keep their escapes and get escapes for what may not stand in a URL; values from
/// elsewhere (`{header.N}`, `{cookie.N}`, `{request-id}` ...) are data, and everything in them but
/// letters, digits and `-._~` is escaped. Two slashes at the start that no text of the template
/// wrote are made one: a path must not become a host (open redirect).
///
/// # Errors
/// The template's own text holds a control byte, or the result is too long.
pub fn expand_url<'t>(
    template: &'t Template,
    context: &Context<'_>,
) -> Result<Cow<'t, [u8]>, ExpandError> {
    if let Some(text) = template.as_text() {
        return match text.as_bytes() {
            text if text.iter().all(|&b| (0x21..0x7F).contains(&b)) => Ok(Cow::Borrowed(text)),
            text => written(text).map(Cow::Owned),
        };
    }
    let mut out = Vec::with_capacity(128);
    for part in template.parts() {
        match part {
            Part::Text(text) => out.extend_from_slice(&written(text.as_bytes())?),
            Part::Value(placeholder) => {
                let keep = if is_url(placeholder) { stands_in_url } else { is_unreserved };
                context.value(placeholder, |value| escape(value, keep, &mut out));
            }
        }
        if out.len() > EXPANDED_MAX {
            return Err(ExpandError::TooLong);
        }
    }
    let meant = matches!(template.parts(), [Part::Text(text), ..] if text.starts_with("//"));
    if !meant {
        let slashes = out.iter().take_while(|&&b| b == b'/').count();
        out.drain(..slashes.saturating_sub(1));
    }
    Ok(Cow::Owned(out))
}

/// A URL's text as the operator wrote it: spaces and letters beyond ASCII are escaped.
fn written(text: &[u8]) -> Result<Vec<u8>, ExpandError> {
    if !is_field_value(text) {
        return Err(ExpandError::Byte);
    }
    let mut out = Vec::with_capacity(text.len());
    escape(text, |byte| (0x21..0x7F).contains(&byte), &mut out);
    Ok(out)
}

fn escape(value: &[u8], keep: impl Fn(u8) -> bool, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in value {
        if keep(byte) {
            out.push(byte);
        } else {
            out.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

const fn is_url(placeholder: &Placeholder) -> bool {
    match placeholder {
        Placeholder::Host
        | Placeholder::Port
        | Placeholder::Authority
        | Placeholder::Scheme
        | Placeholder::Path
        | Placeholder::Query
        | Placeholder::Uri
        | Placeholder::QueryParameter(_)
        | Placeholder::Group(_) => true,
        Placeholder::Method
        | Placeholder::Protocol
        | Placeholder::ClientIp
        | Placeholder::ClientPort
        | Placeholder::RequestId
        | Placeholder::ClientCertSubject
        | Placeholder::ClientCertIssuer
        | Placeholder::ClientCertSerial
        | Placeholder::ClientCertFingerprint
        | Placeholder::Header(_)
        | Placeholder::Cookie(_) => false,
    }
}

/// RFC 3986 section 2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986 section 2: unreserved, reserved but `#`, and the sign of an escape.
const fn stands_in_url(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b':' | b'/'
                | b'?'
                | b'['
                | b']'
                | b'@'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b'%'
        )
}

impl Context<'_> {
    /// Hands the value of a placeholder, piece by piece, to `take`; nothing if there is none.
    fn value(&self, placeholder: &Placeholder, mut take: impl FnMut(&[u8])) {
        let Self { head, facts } = self;
        match placeholder {
            Placeholder::Host => take(head.host()),
            Placeholder::Port => number(facts.local_port, take),
            Placeholder::Authority => take(head.authority()),
            Placeholder::Scheme => take(head.scheme.as_str().as_bytes()),
            Placeholder::Method => take(head.method.as_str().as_bytes()),
            Placeholder::Path => take(head.path()),
            Placeholder::Query => take(head.query().unwrap_or_default()),
            Placeholder::Uri => {
                take(head.path());
                if let Some(query) = head.query() {
                    take(b"?");
                    take(query);
                }
            }
            Placeholder::Protocol => take(head.version.as_str().as_bytes()),
            Placeholder::ClientIp => take(facts.client_ip.as_bytes()),
            Placeholder::ClientPort => number(facts.client_port, take),
            Placeholder::RequestId => take(facts.request_id.as_bytes()),
            Placeholder::ClientCertSubject => take(of_client(facts, |client| &client.subject)),
            Placeholder::ClientCertIssuer => take(of_client(facts, |client| &client.issuer)),
            Placeholder::ClientCertSerial => take(of_client(facts, |client| &client.serial)),
            Placeholder::ClientCertFingerprint => {
                take(of_client(facts, |client| &client.fingerprint));
            }
            Placeholder::Header(name) => {
                take(head.fields.all_named(name.as_bytes()).next().unwrap_or_default());
            }
            Placeholder::Cookie(name) => take(head.cookie(name.as_bytes()).unwrap_or_default()),
            Placeholder::QueryParameter(name) => {
                take(head.query_parameter(name.as_bytes()).unwrap_or_default());
            }
            Placeholder::Group(n) => {
                let index = usize::from(*n).wrapping_sub(1);
                take(facts.captures.get(index).copied().unwrap_or_default());
            }
        }
    }
}

fn of_client<'a>(facts: &Facts<'a>, part: fn(&ClientCertificate) -> &str) -> &'a [u8] {
    facts.client.map_or(b"", |client| part(client).as_bytes())
}

fn number(number: Option<u16>, mut take: impl FnMut(&[u8])) {
    let Some(number) = number else { return };
    let mut digits = [0; 5];
    let mut room = &mut digits[..];
    // Five digits hold every port.
    let _ = write!(room, "{number}");
    let left = room.len();
    take(&digits[..5 - left]);
}

#[cfg(test)]
mod tests;
