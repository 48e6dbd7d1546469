//! How an origin learns who asked: `X-Forwarded-*` and `Forwarded` (RFC 7239).
//!
//! What a client says of itself is worth nothing, so from a peer that is not trusted every such
//! field is taken away before ours are written, also under names that origins fold into the same
//! variable. A trusted peer's list is continued.

use std::net::IpAddr;

use doorman_http::target::authority;
use doorman_http::{FieldId, Fields, IpText, Peer, RequestHead, Scheme, is_token};

/// Hops that are looked at to find the client. Real chains have a handful; without a bound a head
/// full of trusted addresses would cost a look-up each.
pub const HOPS_MAX: usize = 64;

/// Which fields are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ForwardedMode {
    /// `X-Forwarded-For`, `-Proto`, `-Host`; `Forwarded` is removed.
    #[default]
    XForwarded,
    /// `Forwarded`; the `X-Forwarded-` fields that say the same are removed.
    Rfc7239,
    /// Both.
    Both,
    /// None. A trusted peer's fields pass as they came; anybody else's are removed all the same.
    Off,
}

/// Whether what a peer says of others is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It is one of the operator's own proxies.
    Trusted,
    /// It is anybody.
    Untrusted,
}

/// Whether a peer is believed: one in the trusted ranges, or one behind a Unix socket, which only
/// a process of this machine that the operator let in can reach.
pub fn trust(peer: &Peer, trusted: impl Fn(IpAddr) -> bool) -> Trust {
    match peer.ip() {
        Some(ip) if !trusted(ip) => Trust::Untrusted,
        _ => Trust::Trusted,
    }
}

/// The client's address: the peer's or, as far as it and each hop before it are trusted, the first
/// address of `X-Forwarded-For`, read from the right, that is not. What cannot be read ends the
/// walk at the last trusted hop. `None` for a Unix socket whose peer names nobody.
///
/// `Forwarded` is not looked at: a proxy that writes only one of the two passes the client's own
/// word on in the other.
pub fn client_ip(fields: &Fields, peer: &Peer, trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let mut client = peer.ip();
    if trust(peer, &trusted) == Trust::Untrusted || !fields.has(FieldId::XForwardedFor) {
        return client;
    }
    let lines: Vec<&[u8]> = fields.all(FieldId::XForwardedFor).collect();
    let hops = lines.iter().rev().flat_map(|line| line.rsplit(|&b| b == b','));
    // Empty elements of a list count for nothing (RFC 9110 section 5.6.1).
    let hops = hops.map(<[u8]>::trim_ascii).filter(|hop| !hop.is_empty());
    for hop in hops.take(HOPS_MAX) {
        let Some(ip) = address(hop) else { break };
        client = Some(ip);
        if !trusted(ip) {
            break;
        }
    }
    client
}

/// An element of `X-Forwarded-For`: an address, with a port as some proxies add it.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?;
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(ip.to_canonical());
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (ip, port) = rest.split_once(']')?;
        let port = port.is_empty() || port.strip_prefix(':')?.parse::<u16>().is_ok();
        return ip
            .parse()
            .ok()
            .filter(|ip: &IpAddr| port && ip.is_ipv6())
            .map(|ip| ip.to_canonical());
    }
    text.parse::<std::net::SocketAddrV4>().ok().map(|v4| IpAddr::V4(*v4.ip()))
}

/// Writes the forwarding fields of a request before it goes to the origin.
pub fn forward(mode: ForwardedMode, head: &mut RequestHead, peer: &Peer, trust: Trust) {
    let received = match (trust, mode) {
        (Trust::Trusted, ForwardedMode::Off) => return,
        (Trust::Trusted, _) => Received::take(head),
        (Trust::Untrusted, _) => {
            strip(&mut head.fields);
            Received::default()
        }
    };
    match mode {
        ForwardedMode::Off => {}
        ForwardedMode::XForwarded => write_x_forwarded(head, peer, &received),
        ForwardedMode::Rfc7239 => write_forwarded(head, peer, &received),
        ForwardedMode::Both => {
            write_forwarded(head, peer, &received);
            write_x_forwarded(head, peer, &received);
        }
    }
}

/// What a trusted peer said, taken out of the fields.
#[derive(Default)]
struct Received {
    addresses: Vec<u8>,
    forwarded: Vec<u8>,
    scheme: Option<Vec<u8>>,
    host: Option<Vec<u8>>,
    port: Option<Vec<u8>>,
}

impl Received {
    fn take(head: &mut RequestHead) -> Self {
        let fields = &mut head.fields;
        let digits = |value: &[u8]| !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let received = Self {
            addresses: joined(fields, FieldId::XForwardedFor),
            forwarded: joined(fields, FieldId::Forwarded),
            scheme: only(fields, FieldId::XForwardedProto, is_token),
            host: only(fields, FieldId::XForwardedHost, |value| authority(value).is_ok()),
            port: only(fields, FieldId::XForwardedPort, digits),
        };
        for id in [
            FieldId::XForwardedFor,
            FieldId::Forwarded,
            FieldId::XForwardedProto,
            FieldId::XForwardedHost,
            FieldId::XForwardedPort,
        ] {
            fields.remove_id(id);
        }
        received
    }
}

/// All lines of a list as one (RFC 9110 section 5.3).
fn joined(fields: &Fields, id: FieldId) -> Vec<u8> {
    let mut list = Vec::new();
    for line in fields.all(id).filter(|line| !line.is_empty()) {
        if !list.is_empty() {
            list.extend_from_slice(b", ");
        }
        list.extend_from_slice(line);
    }
    list
}

/// The value of a field that may be there once, if it is.
fn only(fields: &Fields, id: FieldId, valid: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let mut lines = fields.all(id);
    let value = lines.next().filter(|value| valid(value))?;
    lines.next().is_none().then(|| value.to_vec())
}

/// Removes what clients write to look like somebody else: `Forwarded`, `X-Real-IP` and every
/// `X-Forwarded-` field, known or not, with other marks for `-` too (H1L-21).
fn strip(fields: &mut Fields) {
    // Each turn removes at least one field.
    while let Some(name) = spoofed(fields) {
        fields.remove(&name);
    }
}

fn spoofed(fields: &Fields) -> Option<Vec<u8>> {
    const FAMILY: &[u8] = b"x-forwarded-";
    let mut names = fields.iter().map(|(id, name, _)| (id, name));
    let found = names.find(|&(id, name)| match id {
        FieldId::Forwarded
        | FieldId::XForwardedFor
        | FieldId::XForwardedHost
        | FieldId::XForwardedPort
        | FieldId::XForwardedProto
        | FieldId::XRealIp => true,
        FieldId::Other => {
            name.first().is_some_and(|&first| fold(first) == b'x')
                && (name.get(..FAMILY.len()).is_some_and(|start| reads_as(start, FAMILY))
                    || reads_as(name, b"x-real-ip"))
        }
        _ => false,
    });
    found.map(|(_, name)| name.to_vec())
}

/// Whether an origin that reads marks as hyphens takes `field` for `name`.
fn reads_as(field: &[u8], name: &[u8]) -> bool {
    field.len() == name.len() && field.iter().zip(name).all(|(&a, &b)| fold(a) == b)
}

/// A byte of a name as origins that make variables of fields read it.
const fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

fn write_x_forwarded(head: &mut RequestHead, peer: &Peer, received: &Received) {
    let ip = peer.ip().map(IpText::new);
    let ip = ip.as_ref().map_or(&b""[..], IpText::as_bytes);
    if received.addresses.is_empty() {
        if !ip.is_empty() {
            head.fields.push_id(FieldId::XForwardedFor, ip);
        }
    } else {
        let mut list = received.addresses.clone();
        if !ip.is_empty() {
            list.extend_from_slice(b", ");
            list.extend_from_slice(ip);
        }
        head.fields.push_id(FieldId::XForwardedFor, &list);
    }
    let scheme = head.scheme.as_str().as_bytes();
    head.fields.push_id(FieldId::XForwardedProto, received.scheme.as_deref().unwrap_or(scheme));
    match &received.host {
        Some(host) => head.fields.push_id(FieldId::XForwardedHost, host),
        None => head.push_authority(FieldId::XForwardedHost),
    }
    if let Some(port) = &received.port {
        head.fields.push_id(FieldId::XForwardedPort, port);
    }
}

fn write_forwarded(head: &mut RequestHead, peer: &Peer, received: &Received) {
    let mut value = received.forwarded.clone();
    if value.is_empty() {
        // A trusted peer that writes only the other family: its hops are carried over (RFC 7239
        // section 7.4), so that the origin sees one whole chain.
        let hops = received.addresses.split(|&b| b == b',').map(<[u8]>::trim_ascii);
        for hop in hops.filter(|hop| !hop.is_empty()) {
            separate(&mut value);
            node(address(hop), &mut value);
        }
    }
    separate(&mut value);
    node(peer.ip(), &mut value);
    let scheme = match head.scheme {
        Scheme::Http => &b";proto=http"[..],
        Scheme::Https => b";proto=https",
    };
    value.extend_from_slice(scheme);
    if !head.authority().is_empty() {
        value.extend_from_slice(b";host=");
        quote(head.authority(), &mut value);
    }
    head.fields.push_id(FieldId::Forwarded, &value);
}

fn separate(list: &mut Vec<u8>) {
    if !list.is_empty() {
        list.extend_from_slice(b", ");
    }
}

/// RFC 7239 section 6: IPv6 in brackets and therefore quoted; who is not known is `unknown`.
fn node(ip: Option<IpAddr>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"for=");
    match ip {
        Some(ip @ IpAddr::V4(_)) => out.extend_from_slice(IpText::new(ip).as_bytes()),
        Some(ip @ IpAddr::V6(_)) => {
            out.extend_from_slice(b"\"[");
            out.extend_from_slice(IpText::new(ip).as_bytes());
            out.extend_from_slice(b"]\"");
        }
        None => out.extend_from_slice(b"unknown"),
    }
}

/// A token as it is, anything else as a quoted string (RFC 9110 section 5.6.4).
fn quote(value: &[u8], out: &mut Vec<u8>) {
    if is_token(value) {
        out.extend_from_slice(value);
        return;
    }
    out.push(b'"');
    for &byte in value {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests;
