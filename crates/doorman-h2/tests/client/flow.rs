//! Windows, room and leave-taking, as a client sees them.

use doorman_h2::{CONNECTION_MAX, Code, Connection, End, Event, STREAM_MAX};
use doorman_http::ResponseHead;

use crate::support::*;

/// Adds what the frames give to the windows of the connection and of stream 1, and answers PINGs.
fn credit(connection: &mut Connection, left: &mut [u32; 2]) {
    let said = drain(connection);
    for (kind, _, id, payload) in said {
        match kind {
            WINDOW_UPDATE => {
                left[usize::from(id == 1)] +=
                    u32::from_be_bytes(payload.try_into().expect("four bytes"));
            }
            PING => {
                let fault = feed(connection, &frame(PING, ACK, 0, &payload), usize::MAX).fault;
                assert_eq!(fault, None);
                credit(connection, left);
            }
            _ => {}
        }
    }
}

#[test]
fn an_upload_widens_its_windows_round_trip_by_round_trip() {
    let mut connection = greeted();
    let stream = feed(&mut connection, &post(1, &[]), usize::MAX).streams[0];
    let (mut left, mut most) = ([256 * 1024, 65_535], [0, 0]);
    for _ in 0..400 {
        // The client sends all that it may.
        while left[0].min(left[1]) > 0 {
            let n = left[0].min(left[1]).min(16_384);
            left = left.map(|left| left - n);
            let data = frame(DATA, 0, 1, &vec![0; n as usize]);
            assert_eq!(feed(&mut connection, &data, usize::MAX).fault, None);
        }
        content(&mut connection, stream);
        credit(&mut connection, &mut left);
        most = [most[0].max(left[0]), most[1].max(left[1])];
    }
    assert_eq!(most[1], STREAM_MAX);
    assert!((STREAM_MAX..=CONNECTION_MAX).contains(&most[0]), "{most:?}");
}

/// Windows of one connection widen for its later streams too.
#[test]
fn a_second_upload_widens_its_own_window() {
    let mut connection = greeted();
    for id in [1, 3, 5] {
        let stream = feed(&mut connection, &post(id, &[]), usize::MAX).streams[0];
        let (mut updates, mut pings) = (0, Vec::new());
        for n in 0..4000 {
            let data = frame(DATA, 0, id, &[0; 8192]);
            assert_eq!(feed(&mut connection, &data, usize::MAX).fault, None);
            content(&mut connection, stream);
            for (kind, _, to, payload) in drain(&mut connection) {
                if kind == PING {
                    pings.push((n, payload));
                } else if kind == WINDOW_UPDATE && to == id {
                    updates += 1;
                }
            }
            // Two megabytes fit into a round trip.
            if let Some((_, ping)) = pings.pop_if(|ping| n - ping.0 > 270) {
                feed(&mut connection, &frame(PING, ACK, 0, &ping), usize::MAX);
            }
        }
        // Half of 64 KiB at a time they would be a thousand.
        assert!(updates < 200, "{id}: {updates}");
        assert_eq!(feed(&mut connection, &frame(DATA, 1, id, &[]), usize::MAX).fault, None);
        connection.head(stream, &ResponseHead::new(200), None, End::Here);
        connection.release(stream);
    }
}

#[test]
fn nothing_widens_for_content_that_nobody_takes() {
    let mut connection = greeted();
    feed(&mut connection, &post(1, &[]), usize::MAX);
    for _ in 0..3 {
        feed(&mut connection, &frame(DATA, 0, 1, &[0; 16_384]), usize::MAX);
    }
    assert!(drain(&mut connection).is_empty());
}

#[test]
fn content_that_is_ignored_goes_back_to_the_connection_alone() {
    let mut connection = greeted();
    let mut back = 0;
    for n in 0..40 {
        let id = 2 * n + 1;
        let stream = feed(&mut connection, &post(id, &[]), usize::MAX).streams[0];
        let data = frame(DATA, 0, id, &[0; 16_000]);
        assert_eq!(feed(&mut connection, &data, usize::MAX).fault, None);
        connection.ignore(stream);
        assert_eq!(feed(&mut connection, &data, usize::MAX).fault, None);
        for (kind, _, id, payload) in drain(&mut connection) {
            assert_eq!((kind, id), (WINDOW_UPDATE, 0));
            back += u32::from_be_bytes(payload.try_into().expect("four bytes"));
        }
    }
    assert!(back > 40 * 32_000 - 128 * 1024, "{back}");
}

#[test]
fn responses_wait_for_windows_and_go_on_h2d_28() {
    let mut connection = greeted();
    let hello = [settings(&[(4, 10)]), get(1)].concat();
    let stream = feed(&mut connection, &hello, usize::MAX).streams[0];
    connection.head(stream, &ResponseHead::new(200), Some(30), End::Open);
    assert_eq!(connection.data(stream, &[1; 30]), 10);
    assert_eq!(connection.data(stream, &[1; 20]), 0);
    // Ten below nothing, and back.
    feed(&mut connection, &[settings(&[(4, 0)]), window(1, 5)].concat(), usize::MAX);
    let mut called = Vec::new();
    connection.unblocked(|stream| called.push(stream.id()));
    assert!(called.is_empty());
    feed(&mut connection, &settings(&[(4, 12)]), usize::MAX);
    connection.unblocked(|stream| called.push(stream.id()));
    assert_eq!(called, [1]);
    assert_eq!(connection.data(stream, &[1; 20]), 7);
}

/// What a WINDOW_UPDATE costs does not grow with the streams that are open.
#[test]
fn only_windows_that_were_shut_call_streams_h2d_26() {
    let mut connection = greeted();
    let hello = [settings(&[(4, 70_000)]), get(1), get(3)].concat();
    let streams = feed(&mut connection, &hello, usize::MAX).streams;
    let events = |connection: &mut Connection, bytes: Vec<u8>| {
        let mut input = &bytes[..];
        connection.read(&mut input, NOW).expect("no fault").map(|event| match event {
            Event::News(stream) => stream.id(),
            Event::Room => 0,
            Event::Request(_) | Event::Gone(_) => panic!("neither is new"),
        })
    };
    for stream in &streams {
        connection.head(*stream, &ResponseHead::new(200), None, End::Open);
    }
    assert_eq!(events(&mut connection, window(0, 10)), None, "it was open");
    assert_eq!(events(&mut connection, window(1, 10)), None, "nobody waits");
    assert_eq!(connection.data(streams[0], &[0; 65_545]), 65_545);
    assert_eq!(connection.data(streams[1], &[0; 10]), 0);
    assert_eq!(events(&mut connection, window(0, 100_000)), Some(0));
    let mut called = Vec::new();
    connection.unblocked(|stream| called.push(stream.id()));
    assert_eq!(called, [3]);
    assert_eq!(connection.data(streams[0], &[0; 10_000]), 70_010 - 65_545);
    assert_eq!(connection.data(streams[0], &[0; 10_000]), 0);
    assert_eq!(events(&mut connection, window(1, 10)), Some(1), "its own window was shut");
    assert_eq!(connection.data(streams[0], &[0; 10_000]), 10);
}

#[test]
fn an_early_answer_lets_the_client_stop_and_late_content_is_no_fault() {
    let mut connection = greeted();
    let stream =
        feed(&mut connection, &post(1, &[("content-length", "99999")]), usize::MAX).streams[0];
    connection.head(stream, &ResponseHead::new(403), Some(0), End::Here);
    connection.release(stream);
    let resets: Vec<_> = drain(&mut connection).into_iter().filter(|f| f.0 == RST_STREAM).collect();
    assert_eq!(resets, [(RST_STREAM, 0, 1, vec![0; 4])]);
    let late =
        [frame(DATA, 0, 1, &[0; 9000]), frame(HEADERS, 5, 1, &block(&[("a", "b")]))].concat();
    assert_eq!(feed(&mut connection, &late, 100).fault, None);
}

#[test]
fn leaving_names_what_was_taken() {
    let mut connection = greeted();
    feed(&mut connection, &get(1), usize::MAX);
    connection.leave();
    let said = drain(&mut connection);
    assert_eq!((said[0].0, &said[0].3[..4]), (GOAWAY, &[0x7f, 0xff, 0xff, 0xff][..]));
    let ping = said[1].3.clone();
    // One that was on its way is taken.
    assert_eq!(feed(&mut connection, &get(3), usize::MAX).requests.len(), 1);
    assert!(!connection.has_left());
    feed(&mut connection, &frame(PING, ACK, 0, &ping), usize::MAX);
    let said = drain(&mut connection);
    assert_eq!((said[0].0, &said[0].3[..4]), (GOAWAY, &[0, 0, 0, 3][..]));
    assert!(connection.has_left());
    let seen = feed(&mut connection, &get(5), usize::MAX);
    assert_eq!((seen.requests.len(), seen.fault), (0, None), "left out, and no fault");
    connection.leave_now(Code::EnhanceYourCalm);
    assert_eq!(drain(&mut connection)[0].3, [0, 0, 0, 3, 0, 0, 0, 11]);
}
