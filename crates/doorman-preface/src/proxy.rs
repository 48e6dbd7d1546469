//! The PROXY protocol, versions 1 and 2, read and written.
//!
//! One decision shaped it: a header is whole and right, or the connection is worth nothing. Its
//! sender is a balancer that the operator named, so what is malformed is no header that needs
//! lenience but one that somebody else wrote. Section numbers are those of the protocol's
//! specification ("The PROXY protocol, versions 1 & 2").

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use doorman_http::Peer;

use crate::checksum::crc32c;

/// Bytes of the longest line of version 1, its line end included (section 2.1).
const V1_BYTES_MAX: usize = 107;
/// Bytes ahead of what version 2 counts in its length: signature, command, family, length.
const V2_FIXED: usize = 16;
/// Bytes that version 2 may count in its length. Section 2.2 asks for room for 520; a header with the
/// subject of a client certificate takes more. What balancers send stays far below 4 KiB.
const V2_LENGTH_MAX: usize = 4096 - V2_FIXED;
/// Bytes of the longest header that is read.
pub const HEADER_BYTES_MAX: usize = V2_FIXED + V2_LENGTH_MAX;

const V1_SIGNATURE: &[u8] = b"PROXY ";
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The TLV with the checksum of the whole header (section 2.2.3).
const TLV_CRC32C: u8 = 0x03;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

impl ProxyVersion {
    /// The word for it in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }
}

/// What the sender of a header says about the connection behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing that we could use: its own probe (`LOCAL`), a client it cannot name (`UNKNOWN`), or one
    /// that came by no TCP. The socket's addresses hold.
    Socket,
    /// A client, and the address that it connected to.
    Client {
        /// The client's end.
        client: SocketAddr,
        /// The end that it connected to.
        server: SocketAddr,
    },
}

/// How far a header was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// It goes on: all bytes so far are its own.
    Partial,
    /// It is whole.
    Whole {
        /// Bytes that it took; the connection's protocol follows.
        consumed: usize,
        /// What it says.
        claim: Claim,
    },
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFault {
    /// They begin with neither signature.
    Signature,
    /// Version 1: no line end within the bound.
    LineLength,
    /// Version 1: a line end without its carriage return, or a byte that is no text.
    LineEnd,
    /// Version 1: not the words that the protocol knows, each behind one space.
    Words,
    /// An address that is none, or of another family than was announced.
    Address,
    /// A port outside of 0 to 65535, or with leading zeros.
    Port,
    /// Version 2: a version, command, family or transport that does not exist.
    Kind,
    /// Version 2: a length beyond the bound, or too short for the addresses.
    Length,
    /// Version 2: a TLV that goes beyond the header's end.
    Tlv,
    /// Version 2: the checksum is another one, or there are two.
    Checksum,
}

impl fmt::Display for HeaderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signature => "not a PROXY protocol header",
            Self::LineLength => "PROXY line without an end",
            Self::LineEnd => "PROXY line that is no line of text",
            Self::Words => "PROXY line with unknown words",
            Self::Address => "PROXY header with a malformed address",
            Self::Port => "PROXY header with a malformed port",
            Self::Kind => "PROXY header of an unknown kind",
            Self::Length => "PROXY header of a wrong length",
            Self::Tlv => "PROXY header with a cut TLV",
            Self::Checksum => "PROXY header with a wrong checksum",
        })
    }
}

impl std::error::Error for HeaderFault {}

/// Reads the header at the front of `input`.
///
/// # Errors
/// What is wrong with it; more bytes would not change that.
pub fn read_header(input: &[u8]) -> Result<Header, HeaderFault> {
    let begins = |signature: &[u8]| {
        let n = input.len().min(signature.len());
        input[..n] == signature[..n]
    };
    if begins(V2_SIGNATURE) {
        read_v2(input)
    } else if begins(V1_SIGNATURE) {
        read_v1(input)
    } else {
        Err(HeaderFault::Signature)
    }
}

/// Section 2.1.
fn read_v1(input: &[u8]) -> Result<Header, HeaderFault> {
    let within = &input[..input.len().min(V1_BYTES_MAX)];
    let Some(feed) = within.iter().position(|&byte| byte == b'\n') else {
        let full = within.len() == V1_BYTES_MAX;
        return if full { Err(HeaderFault::LineLength) } else { Ok(Header::Partial) };
    };
    let line = within[..feed].strip_suffix(b"\r").ok_or(HeaderFault::LineEnd)?;
    let text = std::str::from_utf8(line).map_err(|_| HeaderFault::LineEnd)?;
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(HeaderFault::LineEnd);
    }
    let mut words = text.split(' ').skip(1);
    let family = words.next().unwrap_or_default();
    let consumed = feed + 1;
    if family == "UNKNOWN" {
        // Whatever follows on the line says nothing.
        return Ok(Header::Whole { consumed, claim: Claim::Socket });
    }
    let mut next = || words.next().filter(|word| !word.is_empty()).ok_or(HeaderFault::Words);
    let texts = [next()?, next()?, next()?, next()?];
    if words.next().is_some() {
        return Err(HeaderFault::Words);
    }
    let [client, server] = match family {
        "TCP4" => [texts[0], texts[1]].map(|text| text.parse::<Ipv4Addr>().map(IpAddr::V4)),
        "TCP6" => [texts[0], texts[1]].map(|text| text.parse::<Ipv6Addr>().map(IpAddr::V6)),
        _ => return Err(HeaderFault::Words),
    }
    .map(|address| address.map_err(|_| HeaderFault::Address));
    let claim = Claim::Client {
        client: SocketAddr::new(client?, port(texts[2])?),
        server: SocketAddr::new(server?, port(texts[3])?),
    };
    Ok(Header::Whole { consumed, claim })
}

/// Decimal, without leading zeros.
fn port(text: &str) -> Result<u16, HeaderFault> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = plain && (text == "0" || !text.starts_with('0'));
    if !canonical {
        return Err(HeaderFault::Port);
    }
    text.parse().map_err(|_| HeaderFault::Port)
}

/// Section 2.2.
fn read_v2(input: &[u8]) -> Result<Header, HeaderFault> {
    let Some((fixed, rest)) = input.split_first_chunk::<V2_FIXED>() else {
        return Ok(Header::Partial);
    };
    let [.., command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    // The high half is the version, the low one the command: LOCAL or PROXY.
    if !matches!(command, 0x20 | 0x21) {
        return Err(HeaderFault::Kind);
    }
    if length > V2_LENGTH_MAX {
        return Err(HeaderFault::Length);
    }
    let Some(counted) = rest.get(..length) else { return Ok(Header::Partial) };
    let consumed = V2_FIXED + length;
    let whole = |claim| Ok(Header::Whole { consumed, claim });
    if command == 0x20 {
        // Whatever else a LOCAL header holds is to be skipped.
        return whole(Claim::Socket);
    }
    let (addresses, transport) = (family >> 4, family & 0x0F);
    if transport > 2 {
        return Err(HeaderFault::Kind);
    }
    let size = match addresses {
        // Of an unspecified family nothing is known, not even how long its addresses are.
        0 => return whole(Claim::Socket),
        1 => 12,
        2 => 36,
        3 => 216,
        _ => return Err(HeaderFault::Kind),
    };
    let (block, tlvs) = counted.split_at_checked(size).ok_or(HeaderFault::Length)?;
    check_tlvs(&input[..consumed], tlvs)?;
    let stream = transport == 1;
    whole(match addresses {
        1 if stream => inet_v4(block)?,
        2 if stream => inet_v6(block)?,
        _ => Claim::Socket,
    })
}

fn inet_v4(block: &[u8]) -> Result<Claim, HeaderFault> {
    let block: &[u8; 12] = block.try_into().map_err(|_| HeaderFault::Length)?;
    let [a, b, c, d, e, f, g, h, ports @ ..] = *block;
    let [client, server] = ports_of(ports);
    Ok(Claim::Client {
        client: SocketAddr::from(([a, b, c, d], client)),
        server: SocketAddr::from(([e, f, g, h], server)),
    })
}

fn inet_v6(block: &[u8]) -> Result<Claim, HeaderFault> {
    let ip = |range: std::ops::Range<usize>| {
        let bytes = block.get(range).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        bytes.map(Ipv6Addr::from).ok_or(HeaderFault::Length)
    };
    let ports = block.get(32..36).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    let [client, server] = ports_of(ports.ok_or(HeaderFault::Length)?);
    Ok(Claim::Client {
        client: SocketAddr::from((ip(0..16)?, client)),
        server: SocketAddr::from((ip(16..32)?, server)),
    })
}

const fn ports_of([a, b, c, d]: [u8; 4]) -> [u16; 2] {
    [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
}

/// Walks over the TLVs (section 2.2.1). They are of no use to us but for the checksum, which is
/// verified where there is one.
fn check_tlvs(header: &[u8], mut tlvs: &[u8]) -> Result<(), HeaderFault> {
    let mut summed = false;
    while !tlvs.is_empty() {
        let (&[kind, high, low], rest) = tlvs.split_first_chunk().ok_or(HeaderFault::Tlv)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, rest) = rest.split_at_checked(length).ok_or(HeaderFault::Tlv)?;
        if kind == TLV_CRC32C {
            let written: [u8; 4] = value.try_into().map_err(|_| HeaderFault::Checksum)?;
            let from = header.len() - rest.len() - written.len();
            // It is the sum of the header with zeros in its own place.
            let sum = crc32c([&header[..from], &[0; 4], rest]);
            if summed || sum != u32::from_be_bytes(written) {
                return Err(HeaderFault::Checksum);
            }
            summed = true;
        }
        tlvs = rest;
    }
    Ok(())
}

/// What a header announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP, or a Unix stream.
    Stream,
    /// UDP. Version 1 has no word for it.
    Datagram,
}

/// Writes the header for a connection of `client` to `server`. Ends without an address, as on a Unix
/// socket, are written as what the receiver must take for "unknown".
pub fn write_header(
    out: &mut Vec<u8>,
    version: ProxyVersion,
    transport: Transport,
    client: Peer,
    server: Peer,
) {
    let known = match (client, server) {
        (Peer::Inet(client), Peer::Inet(server)) => Some(alike(client, server)),
        _ => None,
    };
    match version {
        ProxyVersion::V1 => match known.filter(|_| transport == Transport::Stream) {
            None => out.extend_from_slice(b"PROXY UNKNOWN\r\n"),
            Some((client, server)) => {
                let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
                let (from, to) = (client.ip(), server.ip());
                let line =
                    format!("PROXY {family} {from} {to} {} {}\r\n", client.port(), server.port());
                out.extend_from_slice(line.as_bytes());
            }
        },
        ProxyVersion::V2 => {
            out.extend_from_slice(V2_SIGNATURE);
            out.push(0x21);
            let transport = if transport == Transport::Stream { 1 } else { 2 };
            match known {
                None => out.extend_from_slice(&[0, 0, 0]),
                Some((client, server)) => write_addresses(out, transport, client, server),
            }
        }
    }
}

fn write_addresses(out: &mut Vec<u8>, transport: u8, client: SocketAddr, server: SocketAddr) {
    let (family, length) = if client.is_ipv4() { (0x10, 12) } else { (0x20, 36) };
    out.extend_from_slice(&[family | transport, 0, length]);
    for address in [client, server] {
        match address.ip() {
            IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
        }
    }
    out.extend_from_slice(&client.port().to_be_bytes());
    out.extend_from_slice(&server.port().to_be_bytes());
}

/// Both addresses in one family: a header has only one. IPv4 that came mapped into IPv6 is IPv4; if
/// then only one is IPv6, the other is mapped.
fn alike(client: SocketAddr, server: SocketAddr) -> (SocketAddr, SocketAddr) {
    let plain = |at: SocketAddr| SocketAddr::new(at.ip().to_canonical(), at.port());
    let (client, server) = (plain(client), plain(server));
    let mapped = |at: SocketAddr| match at.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), at.port()),
        IpAddr::V6(_) => at,
    };
    if client.is_ipv4() == server.is_ipv4() {
        (client, server)
    } else {
        (mapped(client), mapped(server))
    }
}
