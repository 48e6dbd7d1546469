//! What hostile connections can make the program hold.

use doorman_testkit::h2::{Frame, flag, hpack, kind};

use crate::rig::{Client, House, INITIAL_WINDOW, house};

/// Hostile connections, and streams on each.
const CONNECTIONS: usize = 10;
const STREAMS: u32 = 100;

/// Memory by which the program grows per connection, KiB, when `act` is done on many; at most
/// `bound_kib`.
fn check(id: &str, bound_kib: usize, settings: &[(u16, u32)], act: impl Fn(&House, &mut Client)) {
    let house = house();
    house.still_serves();
    let before = house.resident();
    let clients: Vec<Client> = (0..CONNECTIONS)
        .map(|_| {
            let mut client = house.greeted(settings);
            act(&house, &mut client);
            client
        })
        .collect();
    house.still_serves();
    let grown = house.resident().saturating_sub(before) / CONNECTIONS;
    println!("{id}: {grown} KiB per connection");
    assert!(grown <= bound_kib, "{id}: {grown} KiB per connection");
    drop(clients);
}

/// Waits until all heads of responses are there.
fn heads(client: &mut Client) {
    let mut heads = 0;
    while heads < STREAMS {
        heads += u32::from(client.frame().expect("a frame").kind == kind::HEADERS);
    }
}

fn ids() -> impl Iterator<Item = u32> {
    (0..STREAMS).map(|i| 2 * i + 1)
}

#[test]
fn heads_that_a_table_multiplies_h2d_11() {
    // One entry of four thousand bytes, and seven references to it in every head: all streams ask
    // for something large that they do not let come.
    check("references", 12 * 1024, &[(INITIAL_WINDOW, 0)], |house, client| {
        let authority = house.authority();
        let mut entry = vec![0x40, 1, b'x'];
        hpack::integer(3900, 7, 0, &mut entry);
        entry.resize(entry.len() + 3900, b'a');
        let request = hpack::literals(&[
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":authority", authority.as_bytes()),
            (b":path", b"/big/10000000"),
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
        heads(client);
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
        heads(client);
    });
}
