//! Frames, streams and field sections against the rules end the connection, with the code that says
//! which rule.

use doorman_testkit::h3::frames::{self, frame, kind, prefixed, section, varint};
use doorman_testkit::h3::{Ended, RawH3};

use crate::rig::{House, code, house};

/// A connection that `act` does something to is closed with this code.
fn closes(house: &House, id: &str, code: u64, act: impl Fn(&RawH3)) {
    let client = house.raw();
    act(&client);
    assert_eq!(client.closed().expect(id), Ended::Closed(code), "{id}");
}

/// A request stream that begins so, and ends. It is not dropped: that would tell us to stop.
fn request(bytes: Vec<u8>) -> impl Fn(&RawH3) {
    move |client| std::mem::forget(client.request(&bytes).expect("a stream"))
}

/// A control stream that goes on like this behind SETTINGS.
fn control(bytes: Vec<u8>) -> impl Fn(&House) -> RawH3 {
    move |house| {
        let client = house.silent();
        let stream = client.unidirectional(&[frames::control(&[]), bytes.clone()].concat());
        std::mem::forget(stream.expect("a stream"));
        client
    }
}

fn setting(id: u64, value: u64) -> Vec<u8> {
    [varint(id), varint(value)].concat()
}

#[test]
fn the_control_stream_keeps_its_rules_h3q_25_27() {
    let house = house();
    let check = |id: &str, code: u64, more: Vec<u8>| {
        let client = control(more)(&house);
        assert_eq!(client.closed().expect(id), Ended::Closed(code), "{id}");
    };
    let id = |kind: u64, value: u64| frame(kind, &varint(value));
    check("second SETTINGS", code::FRAME_UNEXPECTED, frame(kind::SETTINGS, &[]));
    check("DATA", code::FRAME_UNEXPECTED, frame(kind::DATA, b"x"));
    check("HEADERS", code::FRAME_UNEXPECTED, frames::headers(&[(":method", "GET")]));
    check("PUSH_PROMISE", code::FRAME_UNEXPECTED, frame(5, &[0]));
    for reserved in [2, 6, 8, 9] {
        check("frame of HTTP/2", code::FRAME_UNEXPECTED, frame(reserved, &[0; 4]));
    }
    check("CANCEL_PUSH", code::ID_ERROR, id(kind::CANCEL_PUSH, 1));
    let lower = [id(kind::MAX_PUSH_ID, 8), id(kind::MAX_PUSH_ID, 4)].concat();
    check("MAX_PUSH_ID goes down", code::ID_ERROR, lower);
    check("GOAWAY goes up", code::ID_ERROR, [id(kind::GOAWAY, 4), id(kind::GOAWAY, 8)].concat());
    check("GOAWAY too long", code::FRAME_ERROR, frame(kind::GOAWAY, &[0; 9]));
    check("GOAWAY with more behind", code::FRAME_ERROR, frame(kind::GOAWAY, &[0, 0]));
    check("empty MAX_PUSH_ID", code::FRAME_ERROR, frame(kind::MAX_PUSH_ID, &[]));
    house.still_serves();
}

#[test]
fn settings_are_checked_h3q_25() {
    let house = house();
    let check = |id: &str, code: u64, payload: Vec<u8>| {
        let client = house.silent();
        let stream = client.unidirectional(&frames::control(&payload)).expect("a stream");
        assert_eq!(client.closed().expect(id), Ended::Closed(code), "{id}");
        drop(stream);
    };
    for of_http2 in [0, 2, 3, 4, 5] {
        check("setting of HTTP/2", code::SETTINGS_ERROR, setting(of_http2, 1));
    }
    check("twice", code::SETTINGS_ERROR, [setting(6, 9), setting(6, 9)].concat());
    check("neither 0 nor 1", code::SETTINGS_ERROR, setting(8, 2));
    check("cut", code::FRAME_ERROR, varint(6));
    check("too many", code::EXCESSIVE_LOAD, (0x100..0x500).flat_map(|id| setting(id, 1)).collect());
    house.still_serves();
}

#[test]
fn streams_that_are_needed_stay_open_and_are_there_once_h3q_25_27_28() {
    let house = house();
    let uni = |client: &RawH3, bytes: &[u8]| client.unidirectional(bytes).expect("a stream");
    let first = |id: &str, code: u64, bytes: Vec<u8>| {
        let client = house.silent();
        std::mem::forget(uni(&client, &bytes));
        assert_eq!(client.closed().expect(id), Ended::Closed(code), "{id}");
    };
    let goaway = [varint(0), frame(kind::GOAWAY, &[0])].concat();
    first("no SETTINGS", code::MISSING_SETTINGS, goaway);
    first("unknown frame first", code::MISSING_SETTINGS, [varint(0), frame(0x21, &[])].concat());
    closes(&house, "second control stream", code::STREAM_CREATION_ERROR, |client| {
        std::mem::forget(uni(client, &frames::control(&[])));
    });
    closes(&house, "second decoder stream", code::STREAM_CREATION_ERROR, |client| {
        std::mem::forget([uni(client, &varint(3)), uni(client, &varint(3))]);
    });
    closes(&house, "push stream", code::STREAM_CREATION_ERROR, |client| {
        std::mem::forget(uni(client, &[varint(1), varint(0)].concat()));
    });
    // Dropped, so ended.
    let closed = code::CLOSED_CRITICAL_STREAM;
    closes(&house, "encoder stream ends", closed, |client| drop(uni(client, &varint(2))));
    closes(&house, "encoder stream is reset", closed, |client| {
        let mut stream = uni(client, &varint(2));
        // Its type has been read when a request behind it is answered.
        assert_eq!(client.outcome(&house.get("/")).unwrap().0, Some(200));
        client.reset(&mut stream, 0x10c);
    });
    let client = house.silent();
    drop(uni(&client, &frames::control(&[])));
    assert_eq!(client.closed().unwrap(), Ended::Closed(closed), "control stream ends");
    house.still_serves();
}

#[test]
fn request_streams_keep_their_rules_h3q_12_26() {
    let house = house();
    let check = |id: &str, code: u64, bytes: Vec<u8>| closes(&house, id, code, request(bytes));
    let get = house.get("/");
    let trailers = frames::headers(&[("a", "b")]);
    let and = |more: &[Vec<u8>]| [vec![get.clone()], more.to_vec()].concat().concat();
    let unexpected = code::FRAME_UNEXPECTED;
    check("DATA first", unexpected, frame(kind::DATA, b"x"));
    let behind = [trailers.clone(), trailers.clone()];
    check("HEADERS behind trailers", unexpected, and(&behind));
    check("DATA behind trailers", unexpected, and(&[trailers, frame(kind::DATA, b"x")]));
    for wrong in [2, 3, 4, 5, 6, 7, 8, 9, 0xD] {
        check("frame of elsewhere, first", unexpected, frame(wrong, &[0]));
        check("frame of elsewhere, later", unexpected, and(&[frame(wrong, &[0])]));
    }
    let cut = get[..get.len() - 1].to_vec();
    check("HEADERS cut", code::FRAME_ERROR, cut);
    check("DATA cut", code::FRAME_ERROR, and(&[vec![0, 5, b'x']]));
    check("type cut", code::FRAME_ERROR, and(&[vec![0xC0, 0, 0]]));
    check("unknown frame cut", code::FRAME_ERROR, and(&[vec![0x21, 9, 1]]));
    house.still_serves();
}

#[test]
fn unknown_frames_and_long_integers_mean_nothing_h3q_12_26() {
    let house = house();
    let long_type = [vec![0xFF; 8], vec![0x40, 2], vec![1, 2]].concat();
    // HEADERS whose type and length take more bytes than they need.
    let section = section(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", &house.authority()),
        (":path", "/"),
    ]);
    let [.., a, b] = section.len().to_be_bytes();
    let head = [&[0x40, 1, 0x80, 0, a, b][..], &section].concat();
    let bytes = [frame(0x21, b"grease"), long_type.clone(), head, long_type].concat();
    let client = house.raw();
    assert_eq!(client.outcome(&bytes).unwrap(), (Some(200), Ended::Whole));
    // The same a byte at a time.
    let mut stream = client.stream(&[]).unwrap();
    for byte in &bytes {
        assert_eq!(client.write(&mut stream, &[*byte]).unwrap(), Ended::Whole);
    }
    client.finish(&mut stream);
    let (answer, ended) = client.read(&mut stream).unwrap();
    assert_eq!(ended, Ended::Whole);
    assert_eq!(frames::frames(&answer).len(), 2);
}

#[test]
fn field_sections_without_sense_end_the_connection_h3q_18_19() {
    let house = house();
    let check = |id: &str, section: &[u8]| {
        let bytes = frame(kind::HEADERS, section);
        closes(&house, id, code::QPACK_DECOMPRESSION_FAILED, request(bytes));
    };
    check("empty", &[]);
    check("needs a table", &[2, 0, 0xD1]);
    check("negative base", &[0, 0x81, 0xD1]);
    check("dynamic entry", &[0, 0, 0x80]);
    check("dynamic name", &[0, 0, 0x40, 1, b'x']);
    check("entry behind the base", &[0, 0, 0x10]);
    check("name behind the base", &[0, 0, 0x00, 1, b'x']);
    check("static entry that is none", &[&[0, 0][..], &prefixed(99, 6, 0xC0)].concat());
    check("integer without end", &[&[0, 0][..], &[0xFF; 20]].concat());
    check("huge integer", &[&[0, 0, 0x27][..], &[0xFF; 9], &[0x01]].concat());
    check("string cut", &[&[0, 0][..], &prefixed(7, 3, 0x20), b"abc"].concat());
    check("huge string", &[0, 0, 0x27, 0xFF, 0xFF, 0xFF, 0x7F, b'a']);
    check("Huffman padding of zeros", &[0, 0, 0x51, 0x81, 0x00]);
    check("Huffman padding too long", &[0, 0, 0x51, 0x82, 0x07, 0xFF]);
    check("Huffman code of the end", &[0, 0, 0x51, 0x84, 0xFF, 0xFF, 0xFF, 0xFF]);
    house.still_serves();
}

#[test]
fn instructions_for_a_table_that_is_not_there_h3q_18_21() {
    let house = house();
    let check = |id: &str, code: u64, stream: u64, bytes: &[u8]| {
        closes(&house, id, code, |client| {
            let bytes = [varint(stream), bytes.to_vec()].concat();
            std::mem::forget(client.unidirectional(&bytes).expect("a stream"));
        });
    };
    let encoder = code::QPACK_ENCODER_STREAM_ERROR;
    check("capacity above ours", encoder, 2, &[0x3F, 0x01]);
    check("insert with a name", encoder, 2, &[0x41, b'a', 1, b'b']);
    check("insert with a static name", encoder, 2, &[0xC0, 1, b'b']);
    check("duplicate", encoder, 2, &[0x00]);
    let decoder = code::QPACK_DECODER_STREAM_ERROR;
    check("acknowledgement", decoder, 3, &[0x80]);
    check("increment", decoder, 3, &[0x01]);
    check("increment of zero", decoder, 3, &[0x00]);
    check(
        "stream id without end",
        decoder,
        3,
        &[0x7F; 1].iter().chain(&[0xFF; 12]).copied().collect::<Vec<_>>(),
    );
    // What is allowed: the capacity that there is, and giving up on a stream.
    let client = house.raw();
    std::mem::forget(client.unidirectional(&[2, 0x20, 0x20]).unwrap());
    std::mem::forget(client.unidirectional(&[3, 0x44, 0x7F, 0x80, 0x01]).unwrap());
    assert_eq!(client.outcome(&house.get("/")).unwrap(), (Some(200), Ended::Whole));
    house.still_serves();
}
