//! Frames of QUIC that no library sends: floods of what has to be answered, acknowledgements of what
//! was never sent, contents in crumbs and out of order. Each ends with the code that says which rule
//! was broken, or is taken within a bound.

use std::time::Duration;

use doorman_testkit::h3::frames::{frame, frames as read_frames, kind, status, varint};
use doorman_testkit::h3::packets::{Got, Packets, ack, crypto, stream};
use doorman_testkit::sums::{Dice, Pattern};

use crate::rig::{House, house};

/// How long an answer may take. It is waited for in full only when it is missing.
const PATIENCE: Duration = Duration::from_secs(20);
/// A program that has not answered by then has dropped the packet, as it may.
const PAUSE: Duration = Duration::from_millis(100);

/// Codes of QUIC (RFC 9000 section 20.1, RFC 9001 section 6.2).
const INTERNAL_ERROR: u64 = 0x1;
const FRAME_ENCODING_ERROR: u64 = 0x7;
const CONNECTION_ID_LIMIT_ERROR: u64 = 0x9;
const PROTOCOL_VIOLATION: u64 = 0xA;
const CRYPTO_BUFFER_EXCEEDED: u64 = 0xD;
const KEY_UPDATE_ERROR: u64 = 0xE;

fn connect(house: &House) -> Packets {
    let mut client = Packets::connect(house.address, &House::tls()).expect("a connection");
    let control = stream(2, 0, &doorman_testkit::h3::frames::control(&[]), false);
    client.send(&control).expect("a socket");
    client
}

/// How the program ended the connection.
fn closed(client: &mut Packets, id: &str) -> Got {
    loop {
        let got = client.receive(PATIENCE).expect("a socket");
        let got = got.unwrap_or_else(|| panic!("{id}: the connection is not closed"));
        let end =
            got.into_iter().find(|got| matches!(got, Got::Closed(_) | Got::ClosedByApplication(_)));
        if let Some(end) = end {
            return end;
        }
    }
}

/// How a connection ended, in what came while packets were sent or behind that.
fn end_of(got: Vec<Got>, client: &mut Packets, id: &str) -> Got {
    let end = got.into_iter().find(|got| matches!(got, Got::Closed(_)));
    end.unwrap_or_else(|| closed(client, id))
}

/// Sends packets, a few at a time so that none is lost, and gives what came meanwhile. It ends early
/// when the connection does.
fn send_paced(client: &mut Packets, packets: impl IntoIterator<Item = Vec<u8>>) -> Vec<Got> {
    const AT_ONCE: u64 = 8;
    let mut packets = packets.into_iter().peekable();
    let mut all = Vec::new();
    while let Some(packet) = packets.next() {
        let number = client.send(&packet).expect("a socket");
        if !number.is_multiple_of(AT_ONCE) && packets.peek().is_some() {
            continue;
        }
        while let Some(got) = client.receive(PAUSE).expect("a socket") {
            let is_over = got.iter().any(|got| matches!(got, Got::Closed(_)));
            let is_heard = got.iter().any(|got| matches!(got, Got::Ack(last) if *last >= number));
            all.extend(got);
            if is_over {
                return all;
            }
            if is_heard {
                break;
            }
        }
    }
    all
}

/// Reads a response to its end, and acknowledges it; the bytes of its stream.
fn response(client: &mut Packets, id: u64) -> Vec<u8> {
    let (mut bytes, mut end) = (Vec::new(), None);
    while end.is_none_or(|end| (bytes.len() as u64) < end) {
        let got = client.receive(PATIENCE).expect("a socket").expect("more of the response");
        for got in got {
            let Got::Stream(of, offset, piece, ends) = got else {
                assert!(!matches!(got, Got::Closed(_) | Got::ClosedByApplication(_)), "{got:?}");
                continue;
            };
            if of != id {
                continue;
            }
            let at = usize::try_from(offset).expect("short");
            let last = offset + piece.len() as u64;
            bytes.resize(bytes.len().max(at + piece.len()), 0);
            bytes[at..at + piece.len()].copy_from_slice(&piece);
            end = end.or(ends.then_some(last));
        }
        client.acknowledge_all().expect("a socket");
    }
    bytes
}

fn answered(client: &mut Packets, house: &House, id: u64) {
    client.send(&stream(id, 0, &house.get("/"), true)).expect("a socket");
    let frames = read_frames(&response(client, id));
    assert_eq!(status(&frames[0].1), Some(200));
}

fn challenge(n: u64) -> Vec<u8> {
    [&[0x1A][..], &n.to_be_bytes()].concat()
}

#[test]
fn path_challenges_without_end_h3q_07() {
    let house = house();
    let mut client = connect(&house);
    let got = send_paced(&mut client, [challenge(1)]);
    assert!(got.contains(&Got::PathResponse(1_u64.to_be_bytes().to_vec())), "{got:?}");
    let before = house.resident();
    // Answers to what comes in one packet are bounded, or a client that acknowledges nothing would
    // have us keep one for each.
    const PACKETS: u64 = 1000;
    const EACH: u64 = 120;
    let packet = |n: u64| (0..EACH).flat_map(|m| challenge(n * EACH + m)).collect::<Vec<_>>();
    let got = send_paced(&mut client, (0..PACKETS).map(packet));
    let answers = got.iter().filter(|got| matches!(got, Got::PathResponse(_))).count() as u64;
    assert!(answers <= 20 * PACKETS, "{answers} answers");
    let grown = house.resident().saturating_sub(before);
    assert!(grown < 4 * 1024, "grew by {grown} KiB");
    // What it takes is sent once it says what it has.
    client.acknowledge_all().unwrap();
    answered(&mut client, &house, 0);
    house.still_serves();
}

/// NEW_CONNECTION_ID.
fn new_id(number: u64, retire: u64) -> Vec<u8> {
    let id = [&[3; 4][..], &u32::try_from(number).expect("small").to_be_bytes()].concat();
    [varint(0x18), varint(number), varint(retire), vec![8], id, vec![5; 16]].concat()
}

/// RETIRE_CONNECTION_ID.
fn retire(number: u64) -> Vec<u8> {
    [varint(0x19), varint(number)].concat()
}

#[test]
fn ids_that_come_and_go_h3q_08() {
    let house = house();
    let check = |id: &str, code: u64, packets: Vec<Vec<u8>>| {
        let mut client = connect(&house);
        let got = send_paced(&mut client, packets);
        assert_eq!(end_of(got, &mut client, id), Got::Closed(code), "{id}");
    };
    let limit = CONNECTION_ID_LIMIT_ERROR;
    check("more than are kept", limit, vec![(1..30).flat_map(|n| new_id(n, 0)).collect()]);
    check("retires what was never new", FRAME_ENCODING_ERROR, vec![new_id(1, 2)]);
    check("retirement of what was never given", PROTOCOL_VIOLATION, vec![retire(1000)]);
    // Each retires the one before, which we have to say. Nothing of what we say is acknowledged, so
    // that there is a bound on what is said, and on what waits for it.
    let mut client = connect(&house);
    let before = house.resident();
    let replaced = |n: u64| (0..30).flat_map(|m| new_id(30 * n + m, 30 * n + m)).collect();
    let got = send_paced(&mut client, (1..1000).map(replaced));
    assert_eq!(end_of(got, &mut client, "replaced without end"), Got::Closed(limit));
    let grown = house.resident().saturating_sub(before);
    assert!(grown < 4 * 1024, "grew by {grown} KiB");
    house.still_serves();
}

/// A client that gives up every id that it gets, the one in use first.
#[test]
fn ids_that_are_given_back_without_end_h3q_08() {
    const IDS: u64 = 500;
    let house = house();
    let mut client = connect(&house);
    let before = house.resident();
    let (mut current, mut given_back) = (0, 0);
    while given_back < IDS {
        let mut ids = client.take_ids();
        // What is sent again may have gone already.
        ids.retain(|number, _| *number > current);
        let Some((newest, id)) = ids.pop_last() else {
            let got = client.receive(PATIENCE).unwrap().unwrap_or_else(|| {
                panic!("no id in place of those that went; {given_back} did, {current}")
            });
            assert!(!got.iter().any(|got| matches!(got, Got::Closed(_))), "{got:?}");
            client.acknowledge_all().unwrap();
            continue;
        };
        // The newest carries on.
        client.send_to(id);
        let gone: Vec<u64> = ids.into_keys().chain([current]).collect();
        client.send(&gone.iter().flat_map(|number| retire(*number)).collect::<Vec<_>>()).unwrap();
        given_back += gone.len() as u64;
        current = newest;
    }
    let grown = house.resident().saturating_sub(before);
    assert!(grown < 2 * 1024, "grew by {grown} KiB");
    answered(&mut client, &house, 0);
    house.still_serves();
}

#[test]
fn acknowledgements_of_what_was_never_sent_h3q_09() {
    let house = house();
    let mut client = connect(&house);
    client.send(&ack(&[1_000_000])).unwrap();
    assert_eq!(closed(&mut client, "far ahead"), Got::Closed(PROTOCOL_VIOLATION));
    // A client that takes all for received, to be sent more and faster: some numbers are left out
    // on purpose, and it cannot know which.
    let mut client = connect(&house);
    const LENGTH: usize = 3_000_000;
    client.send(&stream(0, 0, &house.get(&format!("/big/{LENGTH}")), true)).unwrap();
    let mut came = 0;
    let is_over = (0..4000).any(|_| {
        let known = client.received().len();
        let Some(got) = client.receive(PAUSE).unwrap() else {
            client.send(&[1]).unwrap();
            return false;
        };
        for frame in &got {
            came += if let Got::Stream(0, _, bytes, _) = frame { bytes.len() } else { 0 };
        }
        // It says so. Where that was lost among all the rest, we are unknown after a moment: what comes
        // then (a stateless reset) looks like a packet that cannot be opened.
        let is_unknown = came > 0 && client.received().len() == known;
        if is_unknown || got.contains(&Got::Closed(PROTOCOL_VIOLATION)) {
            return true;
        }
        if let Some(largest) = client.received().last().copied() {
            client.send(&ack(&(0..=largest).collect::<Vec<_>>())).unwrap();
        }
        false
    });
    assert!(is_over && came < LENGTH, "{is_over}, {came} bytes");
    house.still_serves();
}

/// Single bytes with a gap before each.
fn islands(id: u64, count: u64) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(move |n| stream(id, 2 * n + 1, b"x", false))
}

/// Packets of as many frames as fit.
fn packed(frames: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    const ROOM: usize = 1100;
    let mut packets: Vec<Vec<u8>> = vec![Vec::new()];
    for frame in frames {
        if packets.last().is_some_and(|packet| packet.len() + frame.len() > ROOM) {
            packets.push(Vec::new());
        }
        packets.last_mut().expect("there is one").extend(frame);
    }
    packets
}

#[test]
fn contents_in_crumbs_with_gaps_h3q_10() {
    let house = house();
    // Too many for one stream: it is not worth the connection.
    let mut client = connect(&house);
    let got = send_paced(&mut client, packed(islands(0, 100_000)));
    assert_eq!(end_of(got, &mut client, "too many crumbs"), Got::Closed(INTERNAL_ERROR));
    // As many streams as there may be, each with as many crumbs as it may have.
    let mut client = connect(&house);
    let before = house.resident();
    let frames = (0..100).flat_map(|n| islands(4 * n, 1000));
    let got = send_paced(&mut client, packed(frames));
    assert!(!got.iter().any(|got| matches!(got, Got::Closed(_))), "{:?}", got.last());
    // Thirty-two times the connection's window.
    let grown = house.resident().saturating_sub(before);
    println!("crumbs: grew by {grown} KiB");
    assert!(grown < 32 * 1024, "grew by {grown} KiB");
    house.still_serves();
}

#[test]
fn handshakes_in_crumbs_h3q_11() {
    let house = house();
    let far = |at: u64| crypto(at, b"x");
    let first = |frames: &[u8]| {
        let mut client = Packets::silent(house.address, &House::tls()).expect("a socket");
        client.send_initial(frames).expect("a socket");
        client
    };
    for at in [16 * 1024, 1 << 20, 1 << 40, (1 << 62) - 2] {
        let end = closed(&mut first(&far(at)), "far ahead");
        let codes = [CRYPTO_BUFFER_EXCEEDED, FRAME_ENCODING_ERROR];
        assert!(codes.map(Got::Closed).contains(&end), "{at}: {end:?}");
    }
    // A whole first message but for its first byte, and crumbs up to the bound.
    let before = house.resident();
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = Packets::silent(house.address, &House::tls()).expect("a socket");
        let hello = client.hello();
        client.send_initial(&crypto(1, &hello[1..1000])).expect("a socket");
        for packet in packed((600..8000).map(|n| far(2 * n))) {
            client.send_initial(&packet).expect("a socket");
        }
        // It is not answered but for acknowledgements, or given up.
        let _ = client.receive(PAUSE);
        clients.push(client);
    }
    let grown = house.resident().saturating_sub(before);
    println!("handshakes in crumbs: grew by {grown} KiB");
    assert!(grown < 20 * 640, "grew by {grown} KiB");
    let mut client = connect(&house);
    client.send(&far(1 << 20)).unwrap();
    assert_eq!(closed(&mut client, "behind"), Got::Closed(CRYPTO_BUFFER_EXCEEDED));
    house.still_serves();
}

#[test]
fn frames_that_cannot_be_read_h3q_12_29() {
    let house = house();
    let check = |id: &str, code: u64, frames: &[u8]| {
        let mut client = connect(&house);
        client.send(frames).unwrap();
        assert_eq!(closed(&mut client, id), Got::Closed(code), "{id}");
    };
    check("type cut", FRAME_ENCODING_ERROR, &[0xC0]);
    check("unknown type", FRAME_ENCODING_ERROR, &varint(0x4242));
    check("unknown type in eight bytes", FRAME_ENCODING_ERROR, &[0xC0, 0, 0, 0, 0, 0, 0, 0x42]);
    check("STREAM cut", FRAME_ENCODING_ERROR, &[0x0F, 0, 0, 9, 1]);
    check(
        "huge STREAM",
        FRAME_ENCODING_ERROR,
        &[0x0F, 0, 0, 0xFF, 255, 255, 255, 255, 255, 255, 255],
    );
    check("ACK below zero", FRAME_ENCODING_ERROR, &[2, 3, 0, 0, 9]);
    check(
        "ACK with more ranges than there are",
        FRAME_ENCODING_ERROR,
        &[2, 3, 0, 0xBF, 255, 255, 255, 0],
    );
    // Datagrams were not offered.
    check("DATAGRAM", PROTOCOL_VIOLATION, &[0x31, 1, 0]);
    house.still_serves();
    // None of it is worth a line of the error log: or clients could fill it.
    let said = house.process.said();
    assert!(!said.iter().any(|line| line.contains(" WARN ")), "{said:?}");
}

/// Pieces of a request in any order, some twice, some overlapping: the origin gets each byte once
/// and where it belongs.
#[test]
fn requests_in_any_order_arrive_as_they_are_h3q_22() {
    const SEEDS: u64 = 40;
    let house = house();
    for seed in 0..SEEDS {
        let mut dice = Dice::new(seed);
        let content = Pattern { seed }.bytes(2000 + dice.length(20_000));
        let head = house.post("/echo", &[]);
        let bytes = [head, frame(kind::DATA, &content)].concat();
        let mut pieces = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let end = (at + 1 + dice.length(700)).min(bytes.len());
            let from = at.saturating_sub(dice.length(40));
            let to = (end + dice.length(40)).min(bytes.len());
            pieces.push((from, to));
            if dice.one_in(5) {
                pieces.push((at, end));
            }
            at = end;
        }
        for last in (1..pieces.len()).rev() {
            pieces.swap(last, usize::try_from(dice.below(last as u64 + 1)).unwrap());
        }
        let mut client = connect(&house);
        let frames = pieces
            .into_iter()
            .map(|(from, to)| stream(0, from as u64, &bytes[from..to], to == bytes.len()));
        client.send_all(frames).unwrap();
        let answer = read_frames(&response(&mut client, 0));
        assert_eq!(status(&answer[0].1), Some(200), "seed {seed}");
        let seen = house.origin.requests().pop().expect("it has come");
        assert!(seen.body == content, "seed {seed}");
    }
}

#[test]
fn keys_that_change_too_often_h3q_36() {
    let house = house();
    let mut client = connect(&house);
    for id in 0..3 {
        answered(&mut client, &house, 4 * id);
        client.update_keys().unwrap();
    }
    answered(&mut client, &house, 12);
    // Once more before the last change has been seen to have arrived.
    let mut client = connect(&house);
    for _ in 0..3 {
        client.update_keys().unwrap();
        client.send(&[1]).unwrap();
    }
    client.send(&[1]).unwrap();
    assert_eq!(closed(&mut client, "flood"), Got::Closed(KEY_UPDATE_ERROR));
    house.still_serves();
}
