//! A client can stop in every phase of a connection, and each of them ends by itself: what a client says drop by
//! drop moves no deadline, and one phase does not take off the deadline of the next.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::rig::origin::reply;
use crate::rig::{Ask, Back, Front, House, Origin, PATIENCE, Pair, Wire};

/// Every deadline of these stories.
const SHORT: &str =
    "timeouts { tls-handshake 400ms; head 400ms; keep-alive 400ms; write-idle 400ms }";
/// Far above those, and far below what holds where nothing is written.
const SLACK: Duration = Duration::from_secs(8);
/// From one drop to the next.
const DRIP: Duration = Duration::from_millis(50);

/// More than all sockets between an origin and a client hold that does not read.
const LARGE: usize = 20_000_000;

fn house(front: Front, body: usize) -> (Origin, House) {
    let content = vec![b'x'; body];
    let origin = Origin::serving(Back::H1, move |_| reply("200 OK", "", &content));
    let text = format!("{} @SITE {{ proxy o }}", origin.upstream("o"));
    let house = House::with(Pair { front, back: Back::H1 }, SHORT, &text);
    (origin, house)
}

/// Sends the first bytes at once and the others one by one, and says whether the house has closed in time.
fn is_ended(stream: &mut TcpStream, first: &[u8], drops: &[u8]) -> bool {
    let begun = Instant::now();
    // It may have closed already, which is what is looked for.
    let _ = stream.write_all(first);
    let mut drops = drops.iter();
    let mut piece = [0; 1024];
    while begun.elapsed() < SLACK {
        stream.set_read_timeout(Some(DRIP)).unwrap();
        match stream.read(&mut piece) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return true,
        }
        if let Some(drop) = drops.next() {
            let _ = stream.write_all(&[*drop]);
        }
    }
    false
}

#[test]
fn rxc_04_rxc_06_a_connection_ends_in_whatever_phase_its_client_stops() {
    // The beginning of a first message whose record claims 512 bytes (RFC 8446 sections 4 and 5.1).
    let hello: &[u8] = &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
    let drops = [0; 400];
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for (front, first, drops) in [
        (Front::H1, &b""[..], &b""[..]),
        (Front::H1Tls, b"", b""),
        (Front::H1Tls, hello, b""),
        (Front::H1Tls, hello, &drops),
        (Front::H1, b"G", &drops),
        (Front::H1, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", &b"a".repeat(400)),
        (Front::H2c, b"", b""),
        (Front::H2c, &preface[..8], b""),
        (Front::H2c, &preface[..4], &preface[4..20]),
    ] {
        let (origin, house) = house(front, 0);
        let mut stream = TcpStream::connect(house.address).expect("a house that is open");
        assert!(is_ended(&mut stream, first, drops), "{front:?} {}", first.escape_ascii());
        assert!(origin.seen().is_empty(), "{front:?} {}", first.escape_ascii());
    }
}

/// A head that has begun is a few bytes; to wait for its rest must not cost a whole buffer.
#[test]
fn rxc_01_a_head_that_has_begun_holds_little() {
    /// Connections that stop at once, and what each of them may hold: what an idle one does, and its bytes.
    const CONNECTIONS: u64 = 1000;
    const KIB_MAX: u64 = 12;
    let origin = Origin::serving(Back::H1, |_| reply("200 OK", "", b"fine"));
    let house = House::before(Pair::PLAIN, &origin, "");
    let served = || assert_eq!(Wire::connect(&house).ask(Ask::get("/").bytes()).text(), "fine");
    served();
    let before = house.resident();
    let streams: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|_| {
            let mut stream = TcpStream::connect(house.address).expect("a house that is open");
            stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").unwrap();
            stream
        })
        .collect();
    // What came before these has been read: each core takes what is ready in its order.
    for _ in 0..20 {
        served();
    }
    let each = house.resident().saturating_sub(before) / 1024 / CONNECTIONS;
    println!("{each} KiB for each");
    assert!(each <= KIB_MAX, "{each} KiB for each");
    drop(streams);
}

#[test]
fn rxc_05_a_handshake_that_ended_leaves_the_next_deadline_in_place() {
    let (_origin, house) = house(Front::H1Tls, 0);
    for begun in [&b""[..], b"GET / HTTP/1.1\r\n"] {
        let mut client = Wire::connect(&house);
        client.send(begun).unwrap();
        client.wait_at_most(PATIENCE);
        let before = Instant::now();
        let _ = client.rest();
        assert!(before.elapsed() < SLACK, "{}", begun.escape_ascii());
    }
}

#[test]
fn rxc_03_a_response_that_nobody_takes_is_given_up() {
    for front in [Front::H1, Front::H1Tls] {
        let (origin, house) = house(front, LARGE);
        let mut client = Wire::connect(&house);
        client.send(Ask::get("/").bytes()).unwrap();
        house.logged(&["client-timeout"]);
        origin.wait("end of the connection", |book| book.open == 0);
        drop(client);
    }
}
