//! What connections can make the program hold.

use doorman_testkit::h3::frames::{frame, kind};
use doorman_testkit::h3::{RawH3, RawStream};

use crate::rig::{House, house};

/// Memory by which the program grows per connection, KiB, when `act` is done on so many; at most
/// `bound_kib`.
fn check(
    id: &str,
    connections: usize,
    bound_kib: usize,
    act: impl Fn(&House, &RawH3) -> Vec<RawStream>,
) {
    let house = house();
    house.still_serves();
    let before = house.resident();
    let clients: Vec<_> = (0..connections)
        .map(|_| {
            let client = house.raw();
            let streams = act(&house, &client);
            (client, streams)
        })
        .collect();
    house.still_serves();
    let grown = house.resident().saturating_sub(before) / connections;
    println!("{id}: {grown} KiB per connection");
    assert!(grown <= bound_kib, "{id}: {grown} KiB per connection");
    drop(clients);
}

#[test]
fn idle_connections() {
    check("idle", 100, 96, |house, client| {
        assert_eq!(client.outcome(&house.get("/")).unwrap().0, Some(200));
        Vec::new()
    });
}

#[test]
fn responses_that_stand_still() {
    // A hundred streams of each: what waits for acknowledgement, for a window, and the origins'. It is 4.1 MiB, and up
    // to 4.5 on a machine that is busy with other tests.
    check("responses", 10, 5 * 1024, |house, client| {
        let mut streams: Vec<_> =
            (0..100).map(|_| client.request(&house.get("/big/600000")).unwrap()).collect();
        // The client reads heads and then no more: its windows close.
        for stream in &mut streams[..8] {
            client.read_some(stream, 100).unwrap();
        }
        streams
    });
}

#[test]
fn requests_that_stand_still() {
    check("requests", 10, 3 * 1024, |house, client| {
        let begun = [house.post("/wait", &[]), frame(kind::DATA, &[7; 4000])].concat();
        let half = &begun[..begun.len() - 1];
        (0..100).map(|_| client.stream(half).unwrap()).collect()
    });
}
