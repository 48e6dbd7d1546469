//! Updates of a zone (RFC 2136), signed with a shared key (RFC 8945), over TCP.
//!
//! Written here rather than taken from a library: only one kind of message is ever made, of each answer only the code
//! and the signature are read, and a whole DNS stack would be a hundred times that.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use aws_lc_rs::hmac;
use doorman_net::{Clock, within_deadline};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::wire::{self, NAME_BYTES_MAX};

/// How long one update may take.
const ANSWER: Duration = Duration::from_secs(10);
/// Seconds that both clocks may differ (RFC 8945 section 10 recommends these).
const FUDGE: u16 = 300;
/// Seconds for which resolvers may keep the record: it is gone in a minute or two.
const TTL: u32 = 60;
/// Zones that are tried for one name, from the longest on.
const ZONES_MAX: usize = 10;

/// A server that takes updates, and the key that it takes them with.
#[derive(Clone, PartialEq, Eq)]
pub struct UpdateServer {
    /// Where it is.
    pub address: SocketAddr,
    /// The key's name.
    pub key_name: String,
    /// The key's algorithm.
    pub algorithm: KeyAlgorithm,
    /// The key.
    pub secret: Vec<u8>,
}

impl std::fmt::Debug for UpdateServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpdateServer")
            .field("address", &self.address)
            .field("key_name", &self.key_name)
            .finish_non_exhaustive()
    }
}

/// The algorithm of a shared key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// HMAC with SHA-256.
    HmacSha256,
    /// HMAC with SHA-512.
    HmacSha512,
}

impl KeyAlgorithm {
    const fn name(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha512 => "hmac-sha512",
        }
    }

    const fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::HmacSha256 => hmac::HMAC_SHA256,
            Self::HmacSha512 => hmac::HMAC_SHA512,
        }
    }
}

/// What is done with a TXT record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Add,
    Remove,
}

/// Adds or removes a TXT record, in whichever zone of the server holds its name.
pub(super) async fn update(
    server: &UpdateServer,
    clock: Clock,
    id: u16,
    change: Change,
    name: &str,
    value: &str,
) -> Result<(), String> {
    let mut zone = Some(name);
    let mut last = None;
    // A server refuses what is not in one of its zones (RFC 2136 section 3.1), so the right one is found by asking.
    for _ in 0..ZONES_MAX {
        zone = zone.and_then(|zone| zone.split_once('.')).map(|(_, parent)| parent);
        let Some(zone) = zone else { break };
        let now = clock.now().unix_seconds();
        let (message, tag) = message(server, id, now, zone, change, name, value)?;
        let asked = within_deadline(clock, ANSWER, exchange(server.address, &message)).await;
        let at = server.address;
        let reply = asked
            .ok_or_else(|| format!("the DNS server {at} has not answered in time"))?
            .map_err(|error| format!("the DNS server {at} cannot be asked: {error}"))?;
        let read = wire::read(&reply).filter(|read| read.id == id);
        let read = read.ok_or_else(|| format!("what the DNS server {at} answers is no answer"))?;
        match read.code {
            // A refusal needs no signature: whoever forges one could as well send nothing.
            0 if is_signed(server, &reply, &read, &tag, clock.now().unix_seconds()) => {
                return Ok(());
            }
            0 => return Err(format!("the answer of the DNS server {at} is not signed by the key")),
            code => {
                let told =
                    format!("the DNS server {at} refuses the update of {zone}: {}", word(code));
                // Whatever is said about the zone nearest to the name tells most, but the key's faults tell all.
                if !matches!(code, REFUSED | NOTAUTH | NOTZONE) {
                    return Err(told);
                }
                last.get_or_insert(told);
            }
        }
    }
    Err(last.unwrap_or_else(|| format!("{name} is in no zone")))
}

const REFUSED: u8 = 5;
const NOTAUTH: u8 = 9;
const NOTZONE: u8 = 10;

/// RFC 1035 section 4.1.1, RFC 2136 section 2.2.
const fn word(code: u8) -> &'static str {
    match code {
        1 => "the message is malformed (FORMERR)",
        2 => "it failed (SERVFAIL)",
        3 => "no such name (NXDOMAIN)",
        4 => "it takes no updates (NOTIMP)",
        REFUSED => "it may not be changed (REFUSED)",
        6 => "the name exists (YXDOMAIN)",
        7 => "the record exists (YXRRSET)",
        8 => "no such record (NXRRSET)",
        NOTAUTH => "not its zone, or not its key (NOTAUTH)",
        NOTZONE => "the name is in another zone (NOTZONE)",
        _ => "for a reason that has no name",
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a server of the operator's own, asked from the thread that keeps certificates: no request waits for it"
)]
pub(super) async fn exchange(address: SocketAddr, message: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    // RFC 1035 section 4.2.2: the length goes ahead.
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let framed = [&length.to_be_bytes(), message].concat();
    stream.write_all(&framed).await?;
    // At most 64 KiB, as the length says.
    let length = stream.read_u16().await?;
    let mut reply = vec![0; usize::from(length)];
    stream.read_exact(&mut reply).await?;
    Ok(reply)
}

/// The update, and the tag of its signature.
fn message(
    server: &UpdateServer,
    id: u16,
    now: u64,
    zone: &str,
    change: Change,
    name: &str,
    value: &str,
) -> Result<(Vec<u8>, hmac::Tag), String> {
    const UPDATE: u16 = 5 << 11;
    const TXT: u16 = 16;
    const SOA: u16 = 6;
    const IN: u16 = 1;
    const NONE: u16 = 254;
    let mut bytes = Vec::new();
    // One zone, no prerequisite, one change, nothing else.
    for field in [id, UPDATE, 1, 0, 1, 0] {
        bytes.extend_from_slice(&field.to_be_bytes());
    }
    put_name(&mut bytes, zone)?;
    put(&mut bytes, &[SOA, IN]);
    put_name(&mut bytes, name)?;
    let (class, ttl) = match change {
        Change::Add => (IN, TTL),
        // RFC 2136 section 2.5.4: this one record of the set.
        Change::Remove => (NONE, 0),
    };
    put(&mut bytes, &[TXT, class]);
    bytes.extend_from_slice(&ttl.to_be_bytes());
    let length = u8::try_from(value.len()).map_err(|error| error.to_string())?;
    put(&mut bytes, &[u16::from(length) + 1]);
    bytes.push(length);
    bytes.extend_from_slice(value.as_bytes());
    let tag = sign(&mut bytes, server, id, now)?;
    Ok((bytes, tag))
}

/// Appends the signature (RFC 8945 section 4).
fn sign(
    bytes: &mut Vec<u8>,
    server: &UpdateServer,
    id: u16,
    now: u64,
) -> Result<hmac::Tag, String> {
    let key_name = server.key_name.to_ascii_lowercase();
    let algorithm = server.algorithm;
    let time = &now.to_be_bytes()[2..];
    let mut signed = bytes.clone();
    put_name(&mut signed, &key_name)?;
    put(&mut signed, &[ANY, 0, 0]);
    put_name(&mut signed, algorithm.name())?;
    signed.extend_from_slice(time);
    put(&mut signed, &[FUDGE, 0, 0]);
    let key = hmac::Key::new(algorithm.hmac(), &server.secret);
    let tag = hmac::sign(&key, &signed);
    let mut data = Vec::new();
    put_name(&mut data, algorithm.name())?;
    data.extend_from_slice(time);
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).map_err(|error| error.to_string());
    put(&mut data, &[FUDGE, length(tag.as_ref())?]);
    data.extend_from_slice(tag.as_ref());
    put(&mut data, &[id, 0, 0]);
    put_name(bytes, &key_name)?;
    put(bytes, &[TSIG, ANY, 0, 0, length(&data)?]);
    bytes.extend_from_slice(&data);
    // One more record in the additional section.
    bytes[11] = 1;
    Ok(tag)
}

/// Whether an answer to what was signed with `tag` is signed by the same key (RFC 8945 sections 4.3 and 5.3).
fn is_signed(
    server: &UpdateServer,
    message: &[u8],
    reply: &wire::Reply<'_>,
    tag: &hmac::Tag,
    now: u64,
) -> bool {
    signature(server, message, reply, tag, now).unwrap_or(false)
}

fn signature(
    server: &UpdateServer,
    message: &[u8],
    reply: &wire::Reply<'_>,
    tag: &hmac::Tag,
    now: u64,
) -> Option<bool> {
    let key_name = server.key_name.to_ascii_lowercase();
    let record = reply.last.as_ref().filter(|last| last.kind == TSIG && last.name == key_name)?;
    let (algorithm, after) = wire::name(message, record.data_start)?;
    let data = record.data.get(after.checked_sub(record.data_start)?..)?;
    // Time, fudge, length of the tag; then the tag; then original id, error, length of what else there is.
    let (head, rest) = data.split_at_checked(10)?;
    let [a, b, c, d, e, f, fudge_high, fudge_low, high, low] = *head else { return None };
    let (found, tail) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
    let [id_high, id_low, ref error @ .., 0, 0] = *tail else { return None };
    let signed_at = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    let fudge = u64::from(u16::from_be_bytes([fudge_high, fudge_low]));
    if algorithm != server.algorithm.name() || error != [0, 0] || now.abs_diff(signed_at) > fudge {
        return None;
    }
    let asked = tag.as_ref();
    let mut signed = Vec::new();
    put(&mut signed, &[u16::try_from(asked.len()).ok()?]);
    signed.extend_from_slice(asked);
    // The message as it was before it was signed: with the id of whoever signed it and without the signature.
    signed.extend_from_slice(&[id_high, id_low]);
    signed.extend_from_slice(message.get(2..10)?);
    let additional = u16::from_be_bytes([*message.get(10)?, *message.get(11)?]).checked_sub(1)?;
    put(&mut signed, &[additional]);
    signed.extend_from_slice(message.get(12..record.start)?);
    put_name(&mut signed, &key_name).ok()?;
    put(&mut signed, &[ANY, 0, 0]);
    put_name(&mut signed, &algorithm).ok()?;
    signed.extend_from_slice(&head[..8]);
    put(&mut signed, &[0, 0]);
    let key = hmac::Key::new(server.algorithm.hmac(), &server.secret);
    // A tag that was cut short does not verify.
    Some(hmac::verify(&key, &signed, found).is_ok())
}

const TSIG: u16 = 250;
const ANY: u16 = 255;

pub(super) fn put(bytes: &mut Vec<u8>, fields: &[u16]) {
    for field in fields {
        bytes.extend_from_slice(&field.to_be_bytes());
    }
}

/// A name without compression, which signatures do not allow.
pub(super) fn put_name(bytes: &mut Vec<u8>, name: &str) -> Result<(), String> {
    let start = bytes.len();
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length));
        bytes.push(length.ok_or_else(|| format!("`{name}` is no name of DNS"))?);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    if bytes.len() - start > NAME_BYTES_MAX {
        return Err(format!("`{name}` is too long for DNS"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> UpdateServer {
        UpdateServer {
            address: SocketAddr::from(([127, 0, 0, 1], 53)),
            key_name: "Update.Key".to_owned(),
            algorithm: KeyAlgorithm::HmacSha256,
            secret: b"secret".to_vec(),
        }
    }

    #[test]
    fn an_update_is_written_as_the_standard_says() {
        let make = |change| {
            message(&server(), 0x1234, 0x0102_0304, "b.c", change, "a.b.c", "v").unwrap().0
        };
        let added = make(Change::Add);
        let expect: &[u8] = &[
            0x12, 0x34, 0x28, 0, 0, 1, 0, 0, 0, 1, 0, 1, // header
            1, b'b', 1, b'c', 0, 0, 6, 0, 1, // zone
            1, b'a', 1, b'b', 1, b'c', 0, 0, 16, 0, 1, 0, 0, 0, 60, 0, 2, 1, b'v', // record
        ];
        assert_eq!(&added[..expect.len()], expect);
        let signature = &added[expect.len()..];
        assert_eq!(&signature[..12], b"\x06update\x03key\x00");
        assert_eq!(&signature[12..20], &[0, 250, 0, 255, 0, 0, 0, 0]);
        assert_eq!(
            usize::from(signature[20]) << 8 | usize::from(signature[21]),
            signature.len() - 22
        );
        let removed = make(Change::Remove);
        assert_eq!(&removed[30..36], &[0, 254, 0, 0, 0, 0]);
        assert_ne!(added[added.len() - 40..], removed[removed.len() - 40..], "signed anew");
    }

    /// An answer as a server would sign it, with the tag of the question in front (RFC 8945 section 5.3).
    fn answer(server: &UpdateServer, asked: &hmac::Tag, now: u64) -> Vec<u8> {
        let plain = [0x12, 0x34, 0xA8, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut signed = [&[0, 32], asked.as_ref(), &plain].concat();
        let mut variables = Vec::new();
        put_name(&mut variables, "update.key").unwrap();
        put(&mut variables, &[ANY, 0, 0]);
        put_name(&mut variables, "hmac-sha256").unwrap();
        variables.extend_from_slice(&now.to_be_bytes()[2..]);
        put(&mut variables, &[FUDGE, 0, 0]);
        signed.extend(variables);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &server.secret), &signed);
        let mut data = Vec::new();
        put_name(&mut data, "HMAC-SHA256").unwrap();
        data.extend_from_slice(&now.to_be_bytes()[2..]);
        put(&mut data, &[FUDGE, 32]);
        data.extend_from_slice(tag.as_ref());
        put(&mut data, &[0x1234, 0, 0]);
        let mut bytes = plain.to_vec();
        bytes[11] = 1;
        put_name(&mut bytes, "Update.key").unwrap();
        put(&mut bytes, &[TSIG, ANY, 0, 0, u16::try_from(data.len()).unwrap()]);
        bytes.extend(data);
        bytes
    }

    #[test]
    fn an_answer_must_be_signed_by_the_key() {
        let server = server();
        let now = 1_800_000_000;
        let sent = message(&server, 0x1234, now, "b.c", Change::Add, "a.b.c", "v").unwrap();
        let (_, tag) = sent;
        let check = |bytes: &[u8], server: &UpdateServer, tag: &hmac::Tag, now: u64| {
            let reply = wire::read(bytes);
            reply.is_some_and(|reply| is_signed(server, bytes, &reply, tag, now))
        };
        let signed = answer(&server, &tag, now);
        assert!(check(&signed, &server, &tag, now));
        assert!(check(&signed, &server, &tag, now + 300));
        assert!(!check(&signed, &server, &tag, now + 301), "it is old");
        let other = UpdateServer { secret: b"other".to_vec(), ..server.clone() };
        assert!(!check(&answer(&other, &tag, now), &server, &tag, now), "another key");
        let renamed = UpdateServer { key_name: "other.key".to_owned(), ..server.clone() };
        assert!(!check(&signed, &renamed, &tag, now), "a key of another name");
        let longer = UpdateServer { algorithm: KeyAlgorithm::HmacSha512, ..server.clone() };
        assert!(!check(&signed, &longer, &tag, now), "another algorithm");
        let (_, stray) =
            message(&server, 0x1234, now, "b.c", Change::Remove, "a.b.c", "v").unwrap();
        assert!(!check(&signed, &server, &stray, now), "the answer to something else");
        assert!(!check(&signed[..12], &server, &tag, now), "cut off");
        let mut bare = signed[..12].to_vec();
        bare[11] = 0;
        assert!(!check(&bare, &server, &tag, now), "not signed at all");
        for at in (0..signed.len()).filter(|at| !(0..2).contains(at)) {
            let mut changed = signed.clone();
            changed[at] ^= 1;
            // Names are compared without their case, and the TTL is no part of what is signed.
            let is_signed = check(&changed, &server, &tag, now);
            let ttl = 12 + 12 + 4..12 + 12 + 8;
            let class = 12 + 12 + 2..12 + 12 + 4;
            assert!(!is_signed || ttl.contains(&at) || class.contains(&at), "changed at {at}");
        }
    }

    #[test]
    fn names_that_dns_cannot_write() {
        let long = format!("{}.test", "a".repeat(64));
        let longer = vec!["abcdefgh"; 30].join(".");
        for name in ["", "a..b", ".a", long.as_str(), longer.as_str()] {
            assert!(put_name(&mut Vec::new(), name).is_err(), "{name}");
        }
        assert!(put_name(&mut Vec::new(), "a.b.").is_ok());
    }
}
