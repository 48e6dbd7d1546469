//! Where the name of a proof leads. An operator who keeps his zone away from this machine lets `_acme-challenge` of a
//! name be an alias (CNAME) of a name in a zone that is made for proofs: authorities follow it (RFC 8555 section 8.4),
//! so the record belongs there.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use doorman_net::{Clock, within_deadline};

use super::update::{exchange, put, put_name};
use super::wire;

/// Aliases of aliases that are followed.
const HOPS_MAX: usize = 8;
/// How long one server may take.
const ANSWER: Duration = Duration::from_secs(5);
/// Resolvers of the system that are asked; a C library asks as many.
const RESOLVERS_MAX: usize = 3;
const RESOLVERS: &str = "/etc/resolv.conf";
const CNAME: u16 = 5;
/// RFC 1035 section 4.1.1: there is no such name.
const NXDOMAIN: u8 = 3;

/// The name that a name is an alias of in the end; itself, if it is none. The server of updates is asked first, then
/// the resolvers of the system, since the alias may stand in a zone of somebody else.
pub(super) async fn follow(server: SocketAddr, clock: Clock, name: &str) -> String {
    let mut name = name.to_ascii_lowercase();
    let text = std::fs::read_to_string(RESOLVERS).unwrap_or_default();
    for _ in 0..HOPS_MAX {
        let mut next = None;
        for (at, asked) in std::iter::once(server).chain(resolvers(&text)).enumerate() {
            let whole = ask(asked, clock, &name).await;
            // Of the server of updates only its own zones count: what it says of others is hearsay or a refusal.
            if let Some((found, _)) = whole.filter(|(_, own)| *own || at > 0) {
                next = found;
                break;
            }
        }
        match next {
            Some(next) => name = next,
            None => break,
        }
    }
    name
}

/// What a name is an alias of, if it is one, and whether the server is one of its zone. `None`: nothing is known.
async fn ask(server: SocketAddr, clock: Clock, name: &str) -> Option<(Option<String>, bool)> {
    let mut id = [0; 2];
    let _ = aws_lc_rs::rand::fill(&mut id);
    let id = u16::from_be_bytes(id);
    let question = question(id, name)?;
    let reply = within_deadline(clock, ANSWER, exchange(server, &question)).await?;
    let reply = reply.inspect_err(|error| tracing::debug!("{server}: {error}")).ok()?;
    alias(&reply, id, name)
}

fn question(id: u16, name: &str) -> Option<Vec<u8>> {
    const RECURSION_DESIRED: u16 = 0x0100;
    const IN: u16 = 1;
    let mut bytes = Vec::new();
    put(&mut bytes, &[id, RECURSION_DESIRED, 1, 0, 0, 0]);
    put_name(&mut bytes, name).ok()?;
    put(&mut bytes, &[CNAME, IN]);
    Some(bytes)
}

fn alias(message: &[u8], id: u16, name: &str) -> Option<(Option<String>, bool)> {
    let reply = wire::read(message).filter(|reply| reply.id == id)?;
    if !matches!(reply.code, 0 | NXDOMAIN) {
        return None;
    }
    let mut records = reply.answers.iter();
    let record = records.find(|record| record.kind == CNAME && record.name == name);
    let target = match record {
        Some(record) => Some(wire::name(message, record.data_start)?.0),
        None => None,
    };
    Some((target, reply.is_authoritative))
}

/// The servers in the text of `resolv.conf`.
fn resolvers(text: &str) -> impl Iterator<Item = SocketAddr> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = (words.next() == Some("nameserver")).then(|| words.next())??;
        // One that works on one link only cannot be written as an address.
        address.parse::<IpAddr>().ok()
    });
    lines.take(RESOLVERS_MAX).map(|address| SocketAddr::new(address, 53))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resolvers_of_the_system() {
        let text = "# nameserver 9.9.9.9\nsearch a.test\nnameserver 192.0.2.1\n nameserver\t2001:db8::1 \n\
                    nameserver fe80::1%eth0\nnameserver\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n";
        let found: Vec<_> = resolvers(text).map(|address| address.to_string()).collect();
        assert_eq!(found, ["192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.2:53"]);
        assert_eq!(resolvers("").count(), 0);
    }

    #[test]
    fn what_is_made_of_an_answer() {
        let reply = |flags: u16, target: &[u8]| {
            let mut bytes = Vec::new();
            put(&mut bytes, &[7, 0x8000 | flags, 1, u16::from(!target.is_empty()), 0, 0]);
            put_name(&mut bytes, "a.test").unwrap();
            put(&mut bytes, &[CNAME, 1]);
            if !target.is_empty() {
                put(&mut bytes, &[0xC00C, CNAME, 1, 0, 60, u16::try_from(target.len()).unwrap()]);
                bytes.extend_from_slice(target);
            }
            bytes
        };
        let check = |message: &[u8], expect: Option<(Option<&str>, bool)>| {
            let found = alias(message, 7, "a.test");
            let expect = expect.map(|(name, own)| (name.map(str::to_owned), own));
            assert_eq!(found, expect, "{message:02x?}");
        };
        check(&reply(0x0400, b"\x01b\x04Test\x00"), Some((Some("b.test"), true)));
        check(&reply(0, b"\x01b\xC0\x0E"), Some((Some("b.test"), false)));
        check(&reply(0x0400, b""), Some((None, true)));
        check(&reply(0x0403, b""), Some((None, true)));
        // SERVFAIL and REFUSED say nothing, nor does a target that is no name.
        check(&reply(2, b""), None);
        check(&reply(5, b""), None);
        check(&reply(0, b"\x01"), None);
        assert_eq!(alias(&reply(0, b""), 8, "a.test"), None, "to another question");
        assert_eq!(alias(&reply(0, b"\x01b\x00"), 7, "c.test"), Some((None, false)));
    }
}
