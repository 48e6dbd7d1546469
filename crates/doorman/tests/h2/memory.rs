//! What hostile connections can make the program hold.

use doorman_testkit::h2::{Frame, flag, hpack, kind};

use crate::rig::{Client, House, INITIAL_WINDOW, WINDOW_MAX, code, house};

/// Hostile connections, idle ones, and streams on each of the first.
const HOSTILE: usize = 10;
const IDLE: usize = 200;
const STREAMS: u32 = 100;

fn check(id: &str, bound_kib: usize, settings: &[(u16, u32)], act: impl Fn(&House, &mut Client)) {
    check_many(HOSTILE, id, bound_kib, settings, act);
}

/// Memory by which the program grows per connection, KiB, when `act` is done on so many; at most
/// `bound_kib`.
fn check_many(
    connections: usize,
    id: &str,
    bound_kib: usize,
    settings: &[(u16, u32)],
    act: impl Fn(&House, &mut Client),
) {
    let house = house();
    house.still_serves();
    let before = house.resident();
    let clients: Vec<Client> = (0..connections)
        .map(|_| {
            let mut client = house.greeted(settings);
            act(&house, &mut client);
            client
        })
        .collect();
    house.still_serves();
    let grown = house.resident().saturating_sub(before) / connections;
    println!("{id}: {grown} KiB per connection");
    assert!(grown <= bound_kib, "{id}: {grown} KiB per connection");
    drop(clients);
}

/// Waits until all streams have an answer: how many have a response, one of status 431, and a
/// refusal.
fn answers(client: &mut Client) -> (u32, u32, u32) {
    let mut answers = (0, 0, 0);
    while answers.0 + answers.1 + answers.2 < STREAMS {
        let frame = client.frame().expect("a frame");
        match (frame.kind, frame.status()) {
            (kind::HEADERS, Some(431)) => answers.1 += 1,
            (kind::HEADERS, _) => answers.0 += 1,
            (kind::RST_STREAM, _) => {
                assert_eq!(frame.code(), Some(code::REFUSED_STREAM));
                answers.2 += 1;
            }
            _ => {}
        }
    }
    answers
}

fn ids() -> impl Iterator<Item = u32> {
    (0..STREAMS).map(|i| 2 * i + 1)
}

#[test]
fn responses_that_stand_still_h2d_25() {
    // A hundred streams: what each costs by itself, and one small piece of its response.
    check("zero window", 8 * 1024, &[(INITIAL_WINDOW, 0)], |_, client| {
        let gets: Vec<Frame> = ids().map(|id| client.get(id, "/big/600000")).collect();
        client.send(&gets);
        assert_eq!(answers(client), (STREAMS, 0, 0));
    });
    // The window opens a little, so that more is taken from the origins.
    check("small window", 9 * 1024, &[(INITIAL_WINDOW, 0)], |_, client| {
        let gets: Vec<Frame> = ids().map(|id| client.get(id, "/big/600000")).collect();
        client.send(&gets);
        assert_eq!(answers(client), (STREAMS, 0, 0));
        for _ in 0..4 {
            let more: Vec<Frame> = ids().map(|id| Frame::window(id, 17_000)).collect();
            client.send(&more);
        }
        let mut bytes = 0;
        while bytes < 64 * 17_000 * usize::try_from(STREAMS).expect("small") / 100 {
            let frame = client.frame().expect("a frame");
            bytes += if frame.kind == kind::DATA { frame.payload.len() } else { 0 };
        }
    });
    // The windows are as wide as can be, but the socket is not read.
    check("socket", 9 * 1024, &[(INITIAL_WINDOW, WINDOW_MAX)], |house, client| {
        let before = house.origin.requests().len();
        let gets: Vec<Frame> = ids().map(|id| client.get(id, "/big/600000")).collect();
        let bytes: Vec<u8> = gets.iter().flat_map(Frame::bytes).collect();
        client.raw.send(bytes).expect("a connection");
        house.origin.wait_for_requests(before + 100);
    });
}

#[test]
fn heads_that_a_table_multiplies_h2d_11() {
    // One entry of four thousand bytes, and seven references to it in every head: all streams ask
    // for something large that they do not let come. Of 2.7 MB of heads, 1 MiB is kept.
    check("references", 6 * 1024, &[(INITIAL_WINDOW, 0)], |house, client| {
        let authority = house.authority();
        let mut entry = vec![0x40, 1, b'x'];
        hpack::integer(3900, 7, 0, &mut entry);
        entry.resize(entry.len() + 3900, b'a');
        let request = hpack::literals(&[
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":authority", authority.as_bytes()),
            (b":path", b"/big/600000"),
        ]);
        let flags = flag::END_STREAM | flag::END_HEADERS;
        let frames: Vec<Frame> = ids()
            .map(|id| {
                let first = if id == 1 { entry.clone() } else { vec![0xbe] };
                let block = [request.clone(), first, vec![0xbe; 6]].concat();
                Frame::new(kind::HEADERS, flags, id, block)
            })
            .collect();
        client.send(&frames);
        let (taken, unpaid, refused) = answers(client);
        assert!((30..=40).contains(&taken) && unpaid + refused >= 60, "{taken} {unpaid} {refused}");
    });
    // Heads with more fields than are taken: nothing of them stays, though the answer stands still.
    check("fields", 3 * 1024, &[(INITIAL_WINDOW, 0)], |house, client| {
        let authority = house.authority();
        let request = hpack::literals(&[
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":authority", authority.as_bytes()),
            (b":path", b"/"),
        ]);
        let flags = flag::END_STREAM | flag::END_HEADERS;
        let frames: Vec<Frame> = ids()
            .map(|id| {
                let first = if id == 1 { vec![0x40, 1, b'x', 1, b'y'] } else { vec![0xbe] };
                let block = [request.clone(), first, vec![0xbe; 900]].concat();
                Frame::new(kind::HEADERS, flags, id, block)
            })
            .collect();
        client.send(&frames);
        assert_eq!(answers(client), (0, STREAMS, 0));
    });
}

#[test]
fn idle_connections_h2d_43() {
    check_many(IDLE, "idle", 120, &[], |_, client| {
        let get = client.get(1, "/");
        client.send(&[get]);
        assert_eq!(client.outcome(1).status, Some(200));
    });
}
