//! Floods: one budget for all of them, and the connection ends.

use doorman_testkit::h2::{Frame, flag, hpack, kind};

use crate::rig::{Client, WINDOW_MAX, code, data, house, open_headers};

/// Rounds of every flood: several times what any budget allows.
const ROUNDS: u32 = 3000;
/// Frames sent at once.
const BATCH: u32 = 100;

/// Sends `begin` and then what `round` says, and expects the connection to be closed with one of
/// these codes.
fn check(
    id: &str,
    begin: impl Fn(&Client) -> Vec<Frame>,
    round: impl Fn(&Client, u32) -> Vec<Frame>,
    codes: &[u32],
) {
    let house = house();
    let mut client = house.client();
    let begin = begin(&client);
    client.send(&begin);
    for batch in 0..ROUNDS / BATCH {
        let frames: Vec<Frame> =
            (batch * BATCH..(batch + 1) * BATCH).flat_map(|i| round(&client, i)).collect();
        client.send(&frames);
    }
    let farewell = client.farewell();
    assert!(farewell.is_some_and(|code| codes.contains(&code)), "{id}: {farewell:?}");
    // What was started is stopped.
    house.origin.wait_for_open(0);
    assert!(house.origin.requests().len() < 1000, "{id}: at the origin");
    house.still_serves();
}

fn nothing(_: &Client) -> Vec<Frame> {
    Vec::new()
}

const CALM: &[u32] = &[code::ENHANCE_YOUR_CALM];

#[test]
fn control_frames_h2d_20_to_23_29_41() {
    let held = |client: &Client| vec![client.get(1, "/wait")];
    check("H2D-21 PING", nothing, |_, _| vec![Frame::new(kind::PING, 0, 0, [0; 8])], CALM);
    check("H2D-21 PING ACK", nothing, |_, _| vec![Frame::new(kind::PING, 1, 0, [0; 8])], CALM);
    check("H2D-20 SETTINGS", nothing, |_, _| vec![Frame::settings(&[])], CALM);
    let many: Vec<(u16, u32)> = vec![(0x99, 1); 2000];
    check("H2D-22 SETTINGS of many", nothing, |_, _| vec![Frame::settings(&many)], CALM);
    let toggle = |i: u32| Frame::settings(&[(4, if i.is_multiple_of(2) { 0 } else { WINDOW_MAX })]);
    check("H2D-27 window toggling", held, |_, i| vec![toggle(i)], CALM);
    let priority = [0, 0, 0, 0, 7];
    check(
        "H2D-29 PRIORITY",
        nothing,
        |_, _| vec![Frame::new(kind::PRIORITY, 0, 5, priority)],
        CALM,
    );
    check("H2D-29 PRIORITY_UPDATE", nothing, |_, _| vec![Frame::new(0x10, 0, 0, [0; 4])], CALM);
    check(
        "H2D-41 unknown",
        nothing,
        |_, i| vec![Frame::new(0x20 + (i % 64) as u8, 0, i, [1; 9])],
        CALM,
    );
    check("H2D-44 ORIGIN", nothing, |_, _| vec![Frame::new(0xc, 0, 0, [])], CALM);
    check(
        "H2D-26 WINDOW_UPDATE",
        held,
        |_, _| vec![Frame::window(1, 0); 2],
        &[code::PROTOCOL_ERROR],
    );
    check(
        "H2D-26 tiny WINDOW_UPDATE",
        nothing,
        |_, _| vec![Frame::window(0, 1)],
        &[code::FLOW_CONTROL_ERROR],
    );
    let post = |client: &Client| vec![client.post(1, "/wait", &[])];
    check("H2D-23 empty DATA", post, |_, _| vec![data(1, 0, b"")], CALM);
}

#[test]
fn updates_that_our_bytes_do_not_explain() {
    // The begin leaves room in the stream's window, so that no update is an error by itself.
    let begin = |client: &Client| vec![Frame::settings(&[(4, 0)]), client.get(1, "/wait")];
    check("H2D-26 WINDOW_UPDATE", begin, |_, _| vec![Frame::window(1, 1)], CALM);
}

#[test]
fn resets_of_any_cause_h2d_01_to_08() {
    let stream = |i: u32| 2 * i + 1;
    let rapid =
        |client: &Client, i: u32| vec![client.get(stream(i), "/wait"), Frame::reset(stream(i), 8)];
    check("H2D-01 rapid reset", nothing, rapid, CALM);
    let overflow = |client: &Client, i: u32| {
        vec![client.get(stream(i), "/wait"), Frame::window(stream(i), WINDOW_MAX)]
    };
    check("H2D-03 window overflow", nothing, overflow, CALM);
    let selfish = |client: &Client, i: u32| {
        let id = stream(i);
        let itself = [&id.to_be_bytes()[..], &[7]].concat();
        vec![client.get(id, "/wait"), Frame::new(kind::PRIORITY, 0, id, itself)]
    };
    check("H2D-04 PRIORITY on itself", nothing, selfish, CALM);
    let beyond = |client: &Client, i: u32| {
        let id = stream(i);
        vec![client.post(id, "/", &[("content-length", "1")]), data(id, 0, b"hello")]
    };
    check("H2D-06 beyond content-length", nothing, beyond, CALM);
    let bad = |client: &Client, i: u32| {
        let mut head = client.post(stream(i), "/", &[("Upper", "x")]);
        head.flags |= flag::END_STREAM;
        vec![head]
    };
    check("H2D-32 malformed heads", nothing, bad, &[code::ENHANCE_YOUR_CALM, code::PROTOCOL_ERROR]);
    check(
        "H2D-08 refused streams",
        nothing,
        |client, i| vec![client.get(stream(i), "/wait")],
        CALM,
    );
}

#[test]
fn single_frames_against_the_rules_h2d_02_05_30_31_34_39() {
    let held = |client: &Client| vec![client.get(1, "/wait")];
    let table: Vec<(&str, Vec<Frame>, &[u32])> = vec![
        ("H2D-02 WINDOW_UPDATE 0", vec![Frame::window(1, 0)], &[code::PROTOCOL_ERROR]),
        (
            "H2D-04 PRIORITY length",
            vec![Frame::new(kind::PRIORITY, 0, 1, [0; 4])],
            &[code::PROTOCOL_ERROR, code::FRAME_SIZE_ERROR],
        ),
        (
            "H2D-05 DATA on half-closed",
            vec![data(1, 0, b"x")],
            &[code::PROTOCOL_ERROR, code::STREAM_CLOSED],
        ),
        ("H2D-31 large frame", vec![data(1, 0, &[0; 16_385])], &[code::FRAME_SIZE_ERROR]),
        ("H2D-39 DATA on idle", vec![data(9, 0, b"x")], &[code::PROTOCOL_ERROR]),
        ("H2D-39 RST on idle", vec![Frame::reset(9, 8)], &[code::PROTOCOL_ERROR]),
        ("H2D-39 DATA on 0", vec![data(0, 0, b"x")], &[code::PROTOCOL_ERROR]),
        (
            "H2D-39 CONTINUATION alone",
            vec![Frame::new(kind::CONTINUATION, 4, 1, [])],
            &[code::PROTOCOL_ERROR],
        ),
        (
            "H2D-39 PUSH_PROMISE",
            vec![Frame::new(kind::PUSH_PROMISE, 4, 1, [0, 0, 0, 2, 0x82])],
            &[code::PROTOCOL_ERROR],
        ),
        (
            "H2D-39 PING length",
            vec![Frame::new(kind::PING, 0, 0, [0; 7])],
            &[code::PROTOCOL_ERROR, code::FRAME_SIZE_ERROR],
        ),
        (
            "H2D-39 SETTINGS length",
            vec![Frame::new(kind::SETTINGS, 0, 0, [0; 5])],
            &[code::PROTOCOL_ERROR, code::FRAME_SIZE_ERROR],
        ),
        (
            "H2D-39 window of the connection",
            vec![Frame::window(0, WINDOW_MAX)],
            &[code::FLOW_CONTROL_ERROR],
        ),
    ];
    for (id, frames, codes) in &table {
        check(id, held, |_, i| if i == 0 { frames.clone() } else { Vec::new() }, codes);
    }
    for (id, stream) in [("H2D-34 even", 2), ("H2D-34 again", 1)] {
        let again = |client: &Client, i: u32| {
            if i == 0 { vec![client.get(stream, "/")] } else { Vec::new() }
        };
        let begin = |client: &Client| vec![client.get(1, "/"), client.get(3, "/")];
        check(id, begin, again, &[code::PROTOCOL_ERROR, code::STREAM_CLOSED]);
    }
}

#[test]
fn header_blocks_without_an_end_h2d_09_10() {
    let open = |_: &Client| vec![open_headers(1, &[(b":method", b"GET")])];
    let more = hpack::literals(&[(b"x", b"y")]);
    let codes = &[code::ENHANCE_YOUR_CALM, code::COMPRESSION_ERROR];
    let full = |_: &Client, _: u32| vec![Frame::new(kind::CONTINUATION, 0, 1, more.clone())];
    check("H2D-09", open, full, codes);
    let empty = |_: &Client, _: u32| vec![Frame::new(kind::CONTINUATION, 0, 1, [])];
    check("H2D-10", open, empty, codes);
}

#[test]
fn a_goaway_from_the_client_does_not_switch_the_budget_off_h2d_07() {
    let begin = |client: &Client| {
        vec![client.get(1, "/wait"), Frame::new(kind::GOAWAY, 0, 0, [0, 0, 0, 1, 0, 0, 0, 0])]
    };
    check("H2D-07", begin, |_, _| vec![Frame::new(kind::PING, 0, 0, [0; 8])], CALM);
}

#[test]
fn habits_of_browsers_are_no_flood() {
    let house = house();
    let mut client = house.client();
    // A page of a hundred images is left, and another is opened: several times.
    for page in 0..3 {
        let ids: Vec<u32> = (0..100).map(|i| 1 + 2 * (100 * page + i)).collect();
        let mut frames: Vec<Frame> = ids.iter().map(|id| client.get(*id, "/wait")).collect();
        frames.extend(ids.iter().map(|id| Frame::reset(*id, 8)));
        client.send(&frames);
    }
    let get = client.get(1001, "/");
    client.send(&[get]);
    assert_eq!(client.outcome(1001).status, Some(200));
    // Pings between requests cost nothing in the long run.
    for i in 0..600 {
        let id = 1003 + 2 * i;
        let get = client.get(id, "/");
        client.send(&[Frame::new(kind::PING, 0, 0, [0; 8]), get]);
        assert_eq!(client.outcome(id).status, Some(200), "round {i}");
    }
}
