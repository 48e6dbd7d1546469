//! Handshakes that are begun and not ended: each holds a bounded amount of memory, however many names there are and
//! whatever the client sent.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use doorman_testkit::tls::Authority;
use rustls::ClientConnection;

use crate::rig::{House, client};

const SITES: &str = "site https://one.test:@PORT { tls cert ec.pem key ec.key; respond 200 hello }";

/// Connections that stop at once. Our own descriptors and the program's are enough for them.
const CONNECTIONS: usize = 2_000;

/// The longest first message that is read (rustls; RFC 8446 section 4 allows 16 MiB), with the headers of its records.
const HELLO_BYTES_MAX: usize = 65_535;
/// The longest record (RFC 8446 section 5.1).
const RECORD_BYTES_MAX: usize = 16_384;

/// What one may hold before its first message is whole, KiB: that message twice, since a buffer that grows doubles, and
/// what a connection costs by itself.
const HELLO_KIB_MAX: usize = 2 * 64 + 8;
/// What one may hold when the server has answered and waits for the client, KiB.
const ANSWERED_KIB_MAX: usize = 40;

fn house() -> House {
    let server = Authority::new().issue(&["one.test"]);
    let files = [("ec.pem", &*server.certificate_pem), ("ec.key", &*server.key_pem)];
    House::start_with(Authority::new(), &files, SITES)
}

/// Lets so many connections do the same and stay, and says how much memory each of them holds, KiB.
fn held(house: &House, begin: impl Fn(&mut TcpStream)) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let spare = limit.current.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
    let connections = CONNECTIONS.min(spare.saturating_sub(200));
    assert!(connections >= 500, "too few open files are allowed");
    let before = house.resident();
    let streams: Vec<TcpStream> = (0..connections)
        .map(|_| {
            let mut stream = TcpStream::connect(house.address).expect("it listens");
            begin(&mut stream);
            stream
        })
        .collect();
    // What came before these has been read: each core takes what is ready in its order.
    for _ in 0..20 {
        assert_eq!(
            house.h1(&client("one.test", None), "one.test", "/", "").expect("TLS").status,
            200
        );
    }
    let each = house.resident().saturating_sub(before) / connections;
    println!("{each} KiB for each of {connections}");
    drop(streams);
    each
}

/// A first message of that length in the largest records, without its end.
fn hello(claimed: usize, sent: usize) -> Vec<u8> {
    let length = u32::try_from(claimed).expect("three bytes").to_be_bytes();
    let mut message = vec![1, length[1], length[2], length[3]];
    message.resize(sent, 0);
    let record = |part: &[u8]| {
        let length = u16::try_from(part.len()).expect("a record").to_be_bytes();
        [&[22, 3, 1][..], &length, part].concat()
    };
    message.chunks(RECORD_BYTES_MAX).flat_map(record).collect()
}

#[test]
fn a_first_message_without_an_end_holds_no_more_than_itself() {
    let house = house();
    // All that fits, but for a byte.
    let most = HELLO_BYTES_MAX - 4 * 5 - 1;
    let bytes = hello(most, most - 1);
    let each = held(&house, |stream| stream.write_all(&bytes).expect("it reads"));
    assert!((48..=HELLO_KIB_MAX).contains(&each), "{each} KiB");
}

#[test]
fn a_first_message_that_is_longer_is_not_waited_for() {
    let house = house();
    let begun = Instant::now();
    let mut stream = TcpStream::connect(house.address).expect("it listens");
    // It says so in its first four bytes, and that is enough.
    stream.write_all(&hello(HELLO_BYTES_MAX + 1, 100)).expect("it reads");
    stream.read_to_end(&mut Vec::new()).expect("an orderly end");
    // Otherwise the handshake's deadline ends it, after ten seconds.
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[test]
fn a_handshake_that_waits_for_its_client_holds_little() {
    let house = house();
    let tls = client("one.test", None).client();
    let each = held(&house, |stream| {
        let name = "one.test".try_into().expect("a name");
        let mut session = ClientConnection::new(Arc::clone(&tls), name).expect("a session");
        session.write_tls(stream).expect("it reads");
        // The server's first message has come, and with it all that it says before it waits.
        stream.read_exact(&mut [0; 64]).expect("an answer");
    });
    assert!(each <= ANSWERED_KIB_MAX, "{each} KiB");
}
