//! Who is on the other side of a client connection, and what is known of it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use crate::Scheme;

/// Protocol version of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
    /// HTTP/3
    Http3,
}

impl Version {
    /// The name that logs and `{protocol}` show.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
            Self::Http3 => "HTTP/3",
        }
    }
}

impl Version {
    /// The wire that brings this version under this scheme.
    #[must_use]
    pub const fn wire(self, scheme: Scheme) -> Wire {
        match (scheme, self) {
            (_, Self::Http3) => Wire::H3,
            (Scheme::Https, Self::Http2) => Wire::H2,
            (Scheme::Https, _) => Wire::H1Tls,
            (Scheme::Http, Self::Http2) => Wire::H2c,
            (Scheme::Http, _) => Wire::H1,
        }
    }
}

/// Which wire a connection came by: a label, for logs and metrics only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    /// HTTP/1 over plain TCP or a Unix socket.
    H1,
    /// HTTP/1 over TLS.
    H1Tls,
    /// HTTP/2 over TLS.
    H2,
    /// HTTP/2 without TLS.
    H2c,
    /// HTTP/3.
    H3,
}

/// All wires, for those who count by them.
pub const WIRES: [Wire; 5] = [Wire::H1, Wire::H1Tls, Wire::H2, Wire::H2c, Wire::H3];

impl Wire {
    /// Its place in [`WIRES`].
    #[must_use]
    pub const fn place(self) -> usize {
        self as usize
    }

    /// The label in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::H1 => "h1",
            Self::H1Tls => "h1+tls",
            Self::H2 => "h2",
            Self::H2c => "h2c",
            Self::H3 => "h3",
        }
    }
}

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// An internet address.
    Inet(SocketAddr),
    /// A Unix socket, whose clients have no address.
    Unix,
}

impl Peer {
    /// The address without its port; `None` on a Unix socket. An IPv4 address that came mapped
    /// into IPv6 is given as IPv4, so that one range in a configuration matches both.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Inet(address) => Some(address.ip().to_canonical()),
            Self::Unix => None,
        }
    }
}

/// What a finished TLS handshake settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The server name the client asked for, lower case.
    pub server_name: Option<Box<str>>,
    /// Whether the session was resumed from a ticket.
    pub resumed: bool,
    /// The rules for client certificates under which it was made; `None`: no certificate was asked
    /// for. They follow a reload once the certificate was checked against the new ones.
    pub client_rules: Cell<Option<ClientRules>>,
    /// The certificate that the client showed, and that was found good under these rules.
    pub client: Option<Rc<ClientCertificate>>,
}

/// Which rules for client certificates: whose they are, and what they say. Two sites with equal rules
/// differ in `site` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientRules {
    /// A digest of the site's name.
    pub site: u64,
    /// A digest of everything that decides whether a certificate is good.
    pub settings: u64,
}

/// A certificate that a client proved to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificates as they were shown, DER, the client's own first. Never empty.
    pub chain: Box<[Box<[u8]>]>,
    /// The subject's distinguished name (RFC 4514), printable ASCII only.
    pub subject: Box<str>,
    /// The issuer's, likewise.
    pub issuer: Box<str>,
    /// The serial number, lower-case hexadecimal.
    pub serial: Box<str>,
    /// SHA-256 over the certificate, lower-case hexadecimal.
    pub fingerprint: Box<str>,
}

/// What is known of a client connection; every request on it shares this value.
#[derive(Clone, Debug)]
pub struct Conn {
    /// The other side.
    pub peer: Peer,
    /// Our side.
    pub local: Peer,
    /// The wire, as a label.
    pub wire: Wire,
    /// Facts of the handshake, if there was one.
    pub tls: Option<TlsFacts>,
    /// Id of the listener that accepted the connection. It stays the same over reloads, since a
    /// connection outlives the plan it came under.
    pub listener: usize,
    /// What is held for it until it closes.
    pub held: Holding,
}

/// What is held for a connection until it closes: places that it takes up, each by the number of who counts them and
/// the number of whom they are counted for. Copies are of one thing.
#[derive(Clone, Default)]
pub struct Holding(Rc<RefCell<Held>>);

/// Things that are held, by their numbers.
type Held = Vec<((u64, u64), Box<dyn Any>)>;

impl Holding {
    /// Whether this is held already.
    #[must_use]
    pub fn has(&self, id: (u64, u64)) -> bool {
        self.0.borrow().iter().any(|(known, _)| *known == id)
    }

    /// Holds something until the connection closes.
    pub fn keep(&self, id: (u64, u64), what: Box<dyn Any>) {
        self.0.borrow_mut().push((id, what));
    }

    /// Lets go of all of it: the connection is closed, whoever still speaks of it.
    pub fn let_go(&self) {
        self.0.take();
    }
}

impl fmt::Debug for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Holding({})", self.0.borrow().len())
    }
}

impl Conn {
    /// Stands for a client where there is none: for connections that we make of our own accord.
    #[must_use]
    pub fn nobody() -> Self {
        let held = Holding::default();
        Self { peer: Peer::Unix, local: Peer::Unix, wire: Wire::H1, tls: None, listener: 0, held }
    }
}

/// An address as text, without allocating.
#[derive(Clone, Copy, Debug)]
pub struct IpText {
    text: [u8; IP_TEXT_MAX],
    len: usize,
}

/// The decimal digits of each octet, from the left, and how many they are.
const OCTETS: [[u8; 4]; 256] = {
    let mut table = [[0; 4]; 256];
    let mut octet = 0u8;
    loop {
        let (hundreds, tens, ones) =
            (b'0' + octet / 100, b'0' + octet / 10 % 10, b'0' + octet % 10);
        table[octet as usize] = match octet {
            0..10 => [ones, 0, 0, 1],
            10..100 => [tens, ones, 0, 2],
            100.. => [hundreds, tens, ones, 3],
        };
        if octet == u8::MAX {
            break table;
        }
        octet += 1;
    }
};

/// Bytes of the longest form that an address has: IPv6 with an IPv4 tail.
const IP_TEXT_MAX: usize = 45;

impl IpText {
    /// The text of `ip`. IPv4 is written from a table: it is on the way of nearly every request, and
    /// the formatting machinery costs forty times as much.
    #[must_use]
    pub fn new(ip: IpAddr) -> Self {
        let mut text = [0; IP_TEXT_MAX];
        let len = match ip {
            IpAddr::V4(v4) => {
                let mut at = 0;
                for octet in v4.octets() {
                    let [a, b, c, len] = OCTETS[octet as usize];
                    text[at..at + 4].copy_from_slice(&[a, b, c, b'.']);
                    at += len as usize;
                    text[at] = b'.';
                    at += 1;
                }
                at - 1
            }
            IpAddr::V6(v6) => {
                let mut room = &mut text[..];
                // The longest form fits, so this cannot fail.
                let _ = write!(room, "{v6}");
                IP_TEXT_MAX - room.len()
            }
        };
        Self { text, len }
    }

    /// The text's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..self.len]
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Addresses are written in ASCII only.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_the_standard_library_writes_them() {
        for text in [
            "0.0.0.0",
            "1.20.255.100",
            "10.9.99.101",
            "::",
            "::1",
            "2001:db8::8:800:200c:417a",
            "::ffff:1.2.3.4",
        ] {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(IpText::new(ip).as_str(), ip.to_string());
        }
    }
}
