//! A DNS server that says what a story wants, over UDP and TCP on one port.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::rig::PATIENCE;

pub(crate) const A: u16 = 1;
const AAAA: u16 = 28;
pub(crate) const SRV: u16 = 33;
/// Bytes that go into a datagram here; more is truncated, and asked for over TCP.
const DATAGRAM_MAX: usize = 512;

/// What is answered to one question.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// These records, with this TTL.
    Records(Vec<Record>, u32),
    /// The name is there, and has no such record.
    Nothing,
    /// This code: 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED.
    Code(u8),
    /// Nothing at all.
    Silence,
    /// Bytes that are no message.
    Rubbish,
    /// A message whose names point at themselves.
    Loop,
}

#[derive(Clone, Debug)]
pub(crate) enum Record {
    A(Ipv4Addr),
    Srv { priority: u16, weight: u16, port: u16, target: String },
    Cname(String),
}

#[derive(Default)]
struct Zone {
    answers: HashMap<(String, u16), Says>,
    asked: HashMap<(String, u16), usize>,
    over_tcp: usize,
}

#[derive(Default)]
struct Shared {
    zone: Mutex<Zone>,
    news: Condvar,
}

impl Shared {
    fn zone(&self) -> MutexGuard<'_, Zone> {
        self.zone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Dns {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Dns {
    pub(crate) fn start() -> Self {
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let address = tcp.local_addr().expect("a bound socket");
            if let Ok(udp) = UdpSocket::bind(address) {
                break (tcp, udp);
            }
        };
        let address = tcp.local_addr().expect("a bound socket");
        let shared = Arc::<Shared>::default();
        let own = Arc::clone(&shared);
        thread::spawn(move || datagrams(&own, &udp));
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                let own = Arc::clone(&own);
                thread::spawn(move || connection(&own, stream));
            }
        });
        Self { address, shared }
    }

    /// What is said about a name from now on.
    pub(crate) fn say(&self, name: &str, kind: u16, says: Says) {
        self.shared.zone().answers.insert((name.to_owned(), kind), says);
    }

    /// A name has these addresses, on the loopback.
    pub(crate) fn addresses(&self, name: &str, last: &[u8], ttl: u32) {
        let records = last.iter().map(|last| Record::A([127, 0, 0, *last].into())).collect();
        self.say(name, A, Says::Records(records, ttl));
        self.say(name, AAAA, Says::Nothing);
    }

    /// Nobody hears of this name any more, in this way.
    pub(crate) fn fails(&self, name: &str, says: &Says) {
        self.say(name, A, says.clone());
        self.say(name, AAAA, says.clone());
    }

    /// How often it was asked this.
    pub(crate) fn asked(&self, name: &str, kind: u16) -> usize {
        self.shared.zone().asked.get(&(name.to_owned(), kind)).copied().unwrap_or(0)
    }

    pub(crate) fn over_tcp(&self) -> usize {
        self.shared.zone().over_tcp
    }

    /// Waits until it is asked this so many times more.
    #[track_caller]
    pub(crate) fn wait_asked(&self, name: &str, kind: u16, more: usize) {
        let wanted = self.asked(name, kind) + more;
        let key = (name.to_owned(), kind);
        let is_early = |zone: &mut Zone| zone.asked.get(&key).copied().unwrap_or(0) < wanted;
        let waited = self.shared.news.wait_timeout_while(self.shared.zone(), PATIENCE, is_early);
        let (_zone, limit) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!limit.timed_out(), "{name} is not looked up");
    }
}

fn datagrams(shared: &Shared, socket: &UdpSocket) {
    let mut buffer = [0; 2048];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        if let Some(answer) = answer(shared, &buffer[..length], DATAGRAM_MAX) {
            let _ = socket.send_to(&answer, from);
        }
    }
}

fn connection(shared: &Shared, mut stream: TcpStream) {
    let mut length = [0; 2];
    while stream.read_exact(&mut length).is_ok() {
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut query).is_err() {
            return;
        }
        shared.zone().over_tcp += 1;
        let Some(answer) = answer(shared, &query, usize::from(u16::MAX)) else { return };
        let length = u16::try_from(answer.len()).expect("a message that fits").to_be_bytes();
        if stream.write_all(&[&length[..], &answer].concat()).is_err() {
            return;
        }
    }
}

/// The answer to a query, truncated where it is longer than `most`.
fn answer(shared: &Shared, query: &[u8], most: usize) -> Option<Vec<u8>> {
    let (name, kind, question) = question(query)?;
    let says = {
        let mut zone = shared.zone();
        *zone.asked.entry((name.clone(), kind)).or_default() += 1;
        shared.news.notify_all();
        zone.answers.get(&(name, kind)).cloned().unwrap_or(Says::Code(3))
    };
    let (code, records, ttl) = match says {
        Says::Records(records, ttl) => (0, records, ttl),
        Says::Nothing => (0, Vec::new(), 0),
        Says::Code(code) => (code, Vec::new(), 0),
        Says::Silence => return None,
        Says::Rubbish => return Some(b"\xffrubbish".to_vec()),
        Says::Loop => {
            let mut looped = header(query, 0, 1);
            looped.extend(question);
            let at = u16::try_from(looped.len()).expect("a short message");
            looped.extend((0xC000 | at).to_be_bytes());
            looped.extend([0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 127, 0, 0, 1]);
            return Some(looped);
        }
    };
    let mut message = header(query, code, u16::try_from(records.len()).expect("a count"));
    message.extend(question);
    for record in &records {
        // The name of the question again (RFC 1035 section 4.1.4).
        let (kind, data) = match record {
            Record::A(ip) => (A, ip.octets().to_vec()),
            Record::Srv { priority, weight, port, target } => {
                let mut data = Vec::new();
                for number in [priority, weight, port] {
                    data.extend(number.to_be_bytes());
                }
                data.extend(labels(target));
                (SRV, data)
            }
            Record::Cname(target) => (5, labels(target)),
        };
        message.extend([0xC0, 12]);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1]);
        message.extend(ttl.to_be_bytes());
        message.extend(u16::try_from(data.len()).expect("short data").to_be_bytes());
        message.extend(data);
    }
    if message.len() > most {
        let mut cut = header(query, code, 0);
        cut[2] |= 0x02;
        cut.extend(question);
        return Some(cut);
    }
    Some(message)
}

fn header(query: &[u8], code: u8, answers: u16) -> Vec<u8> {
    let mut header = query[..2].to_vec();
    header.extend([0x81, 0x80 | code, 0, 1]);
    header.extend(answers.to_be_bytes());
    header.extend([0; 4]);
    header
}

fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).expect("a short label"));
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// Name and type of the question, and its bytes.
fn question(query: &[u8]) -> Option<(String, u16, &[u8])> {
    let mut at = 12;
    let mut labels = Vec::new();
    while *query.get(at)? > 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(query.get(at + 1..end)?).to_ascii_lowercase());
        at = end;
    }
    let end = at + 5;
    let kind = u16::from_be_bytes(query.get(at + 1..at + 3)?.try_into().ok()?);
    Some((labels.join("."), kind, query.get(12..end)?))
}
