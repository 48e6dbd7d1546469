//! The server name in the first message of TLS (RFC 8446 section 4.1.2, RFC 6066 section 3).
//!
//! It is read to choose a server for bytes that are passed on as they are, never to answer for one.
//! So nothing is checked but what leads to the name, and that strictly: what two readers could find
//! different names in is refused.

use std::fmt;

/// Bytes of the records that hold the message. Post-quantum key shares and padding make about 2 KiB;
/// a message beyond this is an attempt to make us hold memory.
pub const HELLO_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a host name (RFC 1035 section 2.3.4).
const NAME_BYTES_MAX: usize = 253;
/// Content type of records with handshake messages.
const RECORD_HANDSHAKE: u8 = 22;
/// Bytes of a plaintext record (RFC 8446 section 5.1).
const RECORD_BYTES_MAX: usize = 1 << 14;
/// Handshake type of the message.
const CLIENT_HELLO: u8 = 1;
/// Extension type of server names, and the name type of host names.
const EXTENSION_SERVER_NAME: u16 = 0;
const NAME_HOST: u8 = 0;

/// What the front of a connection says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hello {
    /// It goes on.
    Partial,
    /// It wants this server: lower case, without a final dot.
    Name(Box<str>),
    /// It is TLS without a server name.
    Nameless,
    /// It is not TLS.
    NotTls,
}

/// Why the first message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelloFault {
    /// Larger than [`HELLO_BYTES_MAX`], or a record larger than records may be.
    TooLarge,
    /// A record of another type within the message, or one without content.
    Record,
    /// Another message than a ClientHello.
    Message,
    /// A length that does not fit what it is in.
    Length,
    /// Two server names, or two extensions with them.
    Twice,
    /// A name that is none.
    Name,
}

impl fmt::Display for HelloFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "ClientHello is too large",
            Self::Record => "ClientHello is cut by another record",
            Self::Message => "TLS does not begin with a ClientHello",
            Self::Length => "ClientHello holds a wrong length",
            Self::Twice => "ClientHello holds two server names",
            Self::Name => "ClientHello holds a malformed server name",
        })
    }
}

impl std::error::Error for HelloFault {}

/// Reads the name in the message at the front of `input`. The message may lie in several records.
///
/// # Errors
/// Why it is refused; more bytes would not change that.
pub fn read_hello(input: &[u8]) -> Result<Hello, HelloFault> {
    let is_tls = input.iter().zip([RECORD_HANDSHAKE, 3]).all(|(&byte, wanted)| byte == wanted);
    if !is_tls {
        return Ok(Hello::NotTls);
    }
    // Never more than the bound is looked at, so that a cut changes nothing.
    let input = &input[..input.len().min(HELLO_BYTES_MAX)];
    let mut message = Vec::new();
    let mut rest = input;
    while let Some((&[kind, major, _, high, low], after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        if kind != RECORD_HANDSHAKE || major != 3 || length == 0 {
            return Err(HelloFault::Record);
        }
        if length > RECORD_BYTES_MAX {
            return Err(HelloFault::TooLarge);
        }
        let here = length.min(after.len());
        message.extend_from_slice(&after[..here]);
        if let Some(body) = body_of(&message)? {
            return client_hello(body);
        }
        if here < length {
            break;
        }
        rest = &after[length..];
    }
    if input.len() == HELLO_BYTES_MAX { Err(HelloFault::TooLarge) } else { Ok(Hello::Partial) }
}

/// The message without its own head, once it is whole.
fn body_of(message: &[u8]) -> Result<Option<&[u8]>, HelloFault> {
    let Some((&kind, rest)) = message.split_first() else { return Ok(None) };
    if kind != CLIENT_HELLO {
        return Err(HelloFault::Message);
    }
    let Some((&[a, b, c], rest)) = rest.split_first_chunk() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
    if length > HELLO_BYTES_MAX {
        return Err(HelloFault::TooLarge);
    }
    Ok(rest.get(..length))
}

fn client_hello(body: &[u8]) -> Result<Hello, HelloFault> {
    let mut reader = Reader { rest: body };
    // The old version field and the random bytes.
    reader.take(2 + 32)?;
    let session_id = reader.vector::<1>()?;
    if session_id.len() > 32 {
        return Err(HelloFault::Length);
    }
    let cipher_suites = reader.vector::<2>()?;
    let compressions = reader.vector::<1>()?;
    if cipher_suites.is_empty() || cipher_suites.len() % 2 == 1 || compressions.is_empty() {
        return Err(HelloFault::Length);
    }
    if reader.rest.is_empty() {
        // Before TLS 1.3 the extensions may be missing.
        return Ok(Hello::Nameless);
    }
    let mut extensions = Reader { rest: reader.vector::<2>()? };
    if !reader.rest.is_empty() {
        return Err(HelloFault::Length);
    }
    let mut found = None;
    while !extensions.rest.is_empty() {
        let kind = extensions.number::<2>()?;
        let content = extensions.vector::<2>()?;
        if kind == usize::from(EXTENSION_SERVER_NAME) && found.replace(content).is_some() {
            return Err(HelloFault::Twice);
        }
    }
    match found {
        None => Ok(Hello::Nameless),
        Some(content) => server_name(content),
    }
}

/// RFC 6066 section 3: a list that may hold one name of each type.
fn server_name(content: &[u8]) -> Result<Hello, HelloFault> {
    let mut reader = Reader { rest: content };
    let mut list = Reader { rest: reader.vector::<2>()? };
    if !reader.rest.is_empty() || list.rest.is_empty() {
        return Err(HelloFault::Length);
    }
    let mut found = None;
    while !list.rest.is_empty() {
        let kind = list.number::<1>()?;
        let name = list.vector::<2>()?;
        if kind == usize::from(NAME_HOST) && found.replace(name).is_some() {
            return Err(HelloFault::Twice);
        }
    }
    let Some(name) = found else { return Ok(Hello::Nameless) };
    let name = name.strip_suffix(b".").unwrap_or(name);
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let labels = name.split(|&byte| byte == b'.');
    let good = name.len() <= NAME_BYTES_MAX
        && labels
            .into_iter()
            .all(|label| (1..=63).contains(&label.len()) && label.iter().copied().all(is_letter));
    match std::str::from_utf8(name) {
        Ok(text) if good => Ok(Hello::Name(text.to_ascii_lowercase().into())),
        _ => Err(HelloFault::Name),
    }
}

/// Bytes that are taken from the front.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], HelloFault> {
        let (front, rest) = self.rest.split_at_checked(n).ok_or(HelloFault::Length)?;
        self.rest = rest;
        Ok(front)
    }

    /// A number of `N` bytes, the first one highest.
    fn number<const N: usize>(&mut self) -> Result<usize, HelloFault> {
        let bytes = self.take(N)?;
        Ok(bytes.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte)))
    }

    /// What stands behind its length of `N` bytes.
    fn vector<const N: usize>(&mut self) -> Result<&'a [u8], HelloFault> {
        let n = self.number::<N>()?;
        self.take(n)
    }
}
