//! Every frame and what is wrong with it. The ids are those of the project's list of attacks.

use doorman_h2::{Code, RequestFault};

use crate::support::*;

/// What must come of frames behind the greeting and a held GET on stream 1 and a POST on stream 3.
enum Want {
    /// Nothing is wrong.
    Fine,
    /// The connection ends with this code.
    Fault(Code),
    /// Stream 3 is reset with this code, and the connection goes on.
    Reset(Code),
}

fn check(id: &str, bytes: &[Vec<u8>], want: &Want) {
    let mut connection = greeted();
    let opened = feed(&mut connection, &[get(1), post(3, &[])].concat(), usize::MAX);
    assert_eq!((opened.requests.len(), opened.fault), (2, None), "{id}");
    drain(&mut connection);
    let seen = feed(&mut connection, &bytes.concat(), usize::MAX);
    let code = seen.fault.map(|fault| fault.code);
    let resets: Vec<_> = drain(&mut connection)
        .into_iter()
        .filter(|(kind, ..)| *kind == RST_STREAM)
        .map(|(_, _, stream, payload)| (stream, payload[3]))
        .collect();
    match want {
        Want::Fine => assert_eq!((code, resets), (None, vec![]), "{id}"),
        Want::Fault(wanted) => assert_eq!(code, Some(*wanted), "{id}: {:?}", seen.fault),
        Want::Reset(wanted) => {
            assert_eq!(code, None, "{id}: {:?}", seen.fault);
            assert_eq!(resets, [(3, wanted.number().to_be_bytes()[3])], "{id}");
            let goes_on = feed(&mut connection, &get(99), usize::MAX);
            assert_eq!((goes_on.requests.len(), goes_on.fault), (1, None), "{id}: the next one");
        }
    }
}

fn table(rows: &[(&str, Vec<Vec<u8>>, Want)]) {
    for (id, bytes, want) in rows {
        check(id, bytes, want);
    }
}

const PROTOCOL: Want = Want::Fault(Code::ProtocolError);
const SIZE: Want = Want::Fault(Code::FrameSizeError);
const FLOW: Want = Want::Fault(Code::FlowControlError);
const LATE: Want = Want::Fault(Code::StreamClosed);
const MALFORMED: Want = Want::Reset(Code::ProtocolError);
const MAX: u32 = 0x7FFF_FFFF;

#[test]
fn data_frames() {
    let length = |n: usize| frame(DATA, 0, 3, &vec![0; n]);
    // Three full frames on each stream of several.
    let many = |frames: u32| -> Vec<Vec<u8>> {
        let open = (0..6).map(|n| post(2 * n + 5, &[]));
        open.chain((0..frames).map(|n| frame(DATA, 0, n / 3 * 2 + 5, &[0; 16_384]))).collect()
    };
    table(&[
        ("DATA", vec![length(16_384)], Want::Fine),
        ("DATA without anything", vec![length(0)], Want::Fine),
        ("H2D-31 too long", vec![length(16_385)], SIZE),
        ("H2D-39 on 0", vec![frame(DATA, 0, 0, b"x")], PROTOCOL),
        ("H2D-39 idle", vec![frame(DATA, 0, 9, b"x")], PROTOCOL),
        ("H2D-39 even", vec![frame(DATA, 0, 2, b"x")], PROTOCOL),
        ("H2D-05 half-closed", vec![frame(DATA, 0, 1, b"x")], LATE),
        ("H2D-05 behind END_STREAM", vec![frame(DATA, 1, 3, b""), frame(DATA, 0, 3, b"x")], LATE),
        ("H2D-39 behind its reset", vec![reset(3), frame(DATA, 0, 3, b"x")], LATE),
        ("padding", vec![frame(DATA, PADDED, 3, &[2, 1, 0, 0])], Want::Fine),
        ("padding alone", vec![frame(DATA, PADDED, 3, &[2, 0, 0])], Want::Fine),
        ("H2D-24 more padding than frame", vec![frame(DATA, PADDED, 3, &[3, 0, 0])], PROTOCOL),
        ("no padding in padded", vec![frame(DATA, PADDED, 3, &[])], PROTOCOL),
        ("the stream's window", vec![length(16_384); 4], Want::Reset(Code::FlowControlError)),
        ("the connection's window", many(17), FLOW),
        ("just the connection's window", many(16), Want::Fine),
    ]);
}

#[test]
fn headers_frames() {
    let headers = |flags, stream, payload: &[u8]| frame(HEADERS, flags, stream, payload);
    let good = block(&GET);
    let whole = END_HEADERS | END_STREAM;
    let trailers = block(&[("sum", "1")]);
    let priority = |on: u32| [&on.to_be_bytes()[..], &[7], &good].concat();
    table(&[
        ("HEADERS", vec![headers(whole, 5, &good)], Want::Fine),
        ("H2D-39 on 0", vec![headers(whole, 0, &good)], PROTOCOL),
        ("H2D-34 even", vec![headers(whole, 6, &good)], PROTOCOL),
        ("H2D-34 passed over", vec![get(9), get(7)], LATE),
        ("H2D-34 again", vec![headers(whole, 1, &good)], LATE),
        ("H2D-34 the last number", vec![get(MAX), get(MAX)], LATE),
        ("priority", vec![headers(whole | 0x20, 5, &priority(3))], Want::Fine),
        ("priority is cut", vec![headers(whole | 0x20, 5, &[0, 0, 0, 0])], SIZE),
        (
            "padding",
            vec![headers(whole | PADDED, 5, &[&[1], &good[..], &[0]].concat())],
            Want::Fine,
        ),
        ("more padding than frame", vec![headers(whole | PADDED, 5, &[9, 0x82])], PROTOCOL),
        ("trailers", vec![headers(whole, 3, &trailers)], Want::Fine),
        ("H2D-38 trailers without END_STREAM", vec![headers(END_HEADERS, 3, &trailers)], MALFORMED),
        ("pseudo-field in trailers", vec![headers(whole, 3, &good)], MALFORMED),
        ("upper case in trailers", vec![headers(whole, 3, &block(&[("Sum", "1")]))], MALFORMED),
        ("behind trailers", vec![headers(whole, 3, &trailers), frame(DATA, 0, 3, b"x")], LATE),
        ("another frame within", vec![headers(1, 5, &good), frame(PING, 0, 0, &[0; 8])], PROTOCOL),
        (
            "another stream's rest",
            vec![headers(1, 5, &good), frame(CONTINUATION, 4, 7, &[])],
            PROTOCOL,
        ),
        (
            "rest",
            vec![headers(1, 5, &good[..9]), frame(CONTINUATION, 4, 5, &good[9..])],
            Want::Fine,
        ),
        ("H2D-39 rest of nothing", vec![frame(CONTINUATION, 4, 5, &good)], PROTOCOL),
        (
            "H2D-10 rests without end",
            vec![headers(1, 5, &good), frame(CONTINUATION, 0, 5, &[]).repeat(9)],
            Want::Fault(Code::EnhanceYourCalm),
        ),
        ("PUSH_PROMISE", vec![frame(PUSH_PROMISE, 4, 3, &[0, 0, 0, 2, 0x82])], PROTOCOL),
    ]);
}

#[test]
fn hpack_faults_end_the_connection() {
    let check = |id: &str, block: &[u8], code: Code| {
        let bytes = frame(HEADERS, END_HEADERS | END_STREAM, 5, block);
        check(id, &[bytes], &Want::Fault(code));
    };
    const BROKEN: Code = Code::CompressionError;
    check("H2D-15 index 0", &[0x80], BROKEN);
    check("H2D-15 no such index", &[0xbe], BROKEN);
    check("H2D-15 name of no such index", &[0x7f, 0x00, 0], BROKEN);
    check("H2D-16 endless integer", &[0xff; 40], BROKEN);
    check("H2D-16 integer ends", &[0xff], BROKEN);
    check("H2D-18 table larger than allowed", &[0x3f, 0xe2, 0x1f], BROKEN);
    check("H2D-18 behind a field", &[0x82, 0x20], BROKEN);
    check("H2D-18 three times", &[0x20, 0x20, 0x20], BROKEN);
    check("H2D-19 EOS", &[0, 1, b'x', 0x84, 0xff, 0xff, 0xff, 0xff], BROKEN);
    check("H2D-19 long padding", &[0, 1, b'x', 0x82, 0x1f, 0xff], BROKEN);
    check("H2D-19 padding of zeros", &[0, 1, b'x', 0x81, 0x18], BROKEN);
    check("a string ends", &[0, 5, b'x'], BROKEN);
    check("a field ends", &[0, 1, b'x'], BROKEN);
    let mut bomb = vec![0x40, 1, b'x', 0x7f, 0x81, 0x1e];
    bomb.resize(bomb.len() + 3968, b'a');
    bomb.resize(bomb.len() + 100, 0xbe);
    check("H2D-14 bomb", &bomb, Code::EnhanceYourCalm);
    check("H2D-14 bomb of empty fields", &[0x82; 16_000], Code::EnhanceYourCalm);
}

#[test]
fn frames_of_control() {
    let of = |kind, stream, length: usize| frame(kind, 0, stream, &vec![0; length]);
    let selfish = |stream: u32| [&stream.to_be_bytes()[..], &[7]].concat();
    table(&[
        ("PING", vec![of(PING, 0, 8)], Want::Fine),
        ("PING of a stream", vec![of(PING, 1, 8)], PROTOCOL),
        ("H2D-39 PING length", vec![of(PING, 0, 7)], SIZE),
        ("SETTINGS", vec![settings(&[(1, 0), (3, 1), (99, 1)])], Want::Fine),
        ("SETTINGS of a stream", vec![of(SETTINGS, 1, 0)], PROTOCOL),
        ("H2D-39 SETTINGS length", vec![of(SETTINGS, 0, 5)], SIZE),
        ("SETTINGS with ACK and more", vec![frame(SETTINGS, ACK, 0, &[0; 6])], SIZE),
        ("SETTINGS_ENABLE_PUSH", vec![settings(&[(2, 2)])], PROTOCOL),
        ("SETTINGS_INITIAL_WINDOW_SIZE", vec![settings(&[(4, MAX + 1)])], FLOW),
        ("windows grow over", vec![window(3, 1), settings(&[(4, MAX)])], FLOW),
        ("SETTINGS_MAX_FRAME_SIZE", vec![settings(&[(5, 16_383)])], PROTOCOL),
        ("PRIORITY", vec![of(PRIORITY, 3, 5)], Want::Fine),
        ("PRIORITY of an idle stream", vec![of(PRIORITY, 77, 5)], Want::Fine),
        ("H2D-30 PRIORITY length", vec![of(PRIORITY, 3, 4)], SIZE),
        ("PRIORITY on 0", vec![of(PRIORITY, 0, 5)], PROTOCOL),
        ("H2D-04 on itself", vec![frame(PRIORITY, 0, 3, &selfish(3))], MALFORMED),
        ("H2D-04 idle, on itself", vec![frame(PRIORITY, 0, 77, &selfish(77))], PROTOCOL),
        ("H2D-04 closed", vec![reset(3), frame(PRIORITY, 0, 3, &selfish(3))], Want::Fine),
        ("RST_STREAM", vec![reset(3)], Want::Fine),
        ("RST_STREAM again", vec![reset(3), reset(3)], Want::Fine),
        ("H2D-39 RST_STREAM idle", vec![reset(9)], PROTOCOL),
        ("RST_STREAM on 0", vec![reset(0)], PROTOCOL),
        ("RST_STREAM length", vec![of(RST_STREAM, 3, 5)], SIZE),
        ("WINDOW_UPDATE", vec![window(0, 1), window(3, 1)], Want::Fine),
        ("WINDOW_UPDATE of a closed stream", vec![reset(3), window(3, 1)], Want::Fine),
        ("H2D-02 of nothing", vec![window(3, 0)], PROTOCOL),
        ("H2D-02 of nothing on 0", vec![window(0, 0)], PROTOCOL),
        ("H2D-03 too much", vec![window(3, MAX)], Want::Reset(Code::FlowControlError)),
        ("H2D-39 too much on 0", vec![window(0, MAX)], FLOW),
        ("WINDOW_UPDATE idle", vec![window(9, 1)], PROTOCOL),
        ("WINDOW_UPDATE length", vec![of(WINDOW_UPDATE, 3, 3)], SIZE),
        ("GOAWAY", vec![of(GOAWAY, 0, 8), get(5)], Want::Fine),
        ("GOAWAY of a stream", vec![of(GOAWAY, 1, 8)], PROTOCOL),
        ("GOAWAY length", vec![of(GOAWAY, 0, 7)], SIZE),
        ("H2D-41 unknown", vec![of(0x42, 7, 100)], Want::Fine),
        ("H2D-44 ORIGIN", vec![of(0xc, 0, 3)], Want::Fine),
    ]);
}

#[test]
fn what_a_client_begins_with() {
    let check = |id: &str, bytes: &[u8], code: Option<Code>| {
        for cut in [1, 5, usize::MAX] {
            let mut connection = server(LIMITS);
            let seen = feed(&mut connection, bytes, cut);
            assert_eq!(seen.fault.map(|fault| fault.code), code, "{id}");
            let hello = drain(&mut connection);
            assert_eq!((hello[0].0, hello[1].0), (SETTINGS, WINDOW_UPDATE), "{id}");
        }
    };
    let with = |frame: &[u8]| [PREFACE, frame].concat();
    check("as it should", &with(&settings(&[])), None);
    check("nothing yet", b"PRI * HT", None);
    check("HTTP/1.1", b"GET / HTTP/1.1\r\n\r\n", Some(Code::ProtocolError));
    check("PING first", &with(&frame(PING, 0, 0, &[0; 8])), Some(Code::ProtocolError));
    check("ACK first", &with(&frame(SETTINGS, ACK, 0, &[])), Some(Code::ProtocolError));
    check("HEADERS first", &with(&get(1)), Some(Code::ProtocolError));
}

#[test]
fn floods_end_the_connection_and_streams_in_error_too() {
    let calm = |id: &str, round: &dyn Fn(u32) -> Vec<u8>, at_least: u32| {
        let mut connection = greeted();
        for n in 0..3000 {
            let fault = feed(&mut connection, &round(n), usize::MAX).fault;
            connection.wrote(0);
            if let Some(fault) = fault {
                assert_eq!(fault.code, Code::EnhanceYourCalm, "{id}: {fault:?}");
                assert!(n >= at_least, "{id}: after {n}");
                return;
            }
        }
        panic!("{id}: borne");
    };
    calm("H2D-20", &|_| settings(&[]), 300);
    calm("H2D-21", &|_| frame(PING, 0, 0, &[0; 8]), 300);
    calm("H2D-29", &|_| frame(PRIORITY, 0, 5, &[0; 5]), 300);
    calm("H2D-41", &|_| frame(0x20, 0, 5, &[]), 300);
    calm("H2D-26", &|_| window(0, 1), 1000);
    let id = |n: u32| 2 * n + 1;
    calm("H2D-01", &|n| [get(id(n)), reset(id(n))].concat(), 300);
    calm("H2D-03", &|n| [get(id(n)), window(id(n), MAX)].concat(), 100);
    calm(
        "H2D-06",
        &|n| [post(id(n), &[("content-length", "1")]), frame(DATA, 0, id(n), b"ab")].concat(),
        100,
    );
    calm("H2D-08", &|n| get(id(n)), 100);
}

#[test]
fn requests_against_their_length_dgr_01_to_04() {
    let check = |id: &str, length: &str, frames: &[Vec<u8>], kept: bool| {
        let mut connection = greeted();
        let seen = feed(&mut connection, &post(1, &[("content-length", length)]), usize::MAX);
        let stream = seen.streams[0];
        let fault = feed(&mut connection, &frames.concat(), usize::MAX).fault;
        assert_eq!(fault, None, "{id}");
        let (_, end) = content(&mut connection, stream);
        assert_eq!(end.starts_with("end") || end.ends_with("trailers"), kept, "{id}: {end}");
        assert_eq!(connection.is_cut(stream), !kept, "{id}");
    };
    let data = |flags, text: &[u8]| frame(DATA, flags, 1, text);
    let sum = || frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&[("sum", "1")]));
    check("whole", "5", &[data(1, b"hello")], true);
    check("whole, end apart", "5", &[data(0, b"hello"), data(1, b"")], true);
    check("whole, trailers", "5", &[data(0, b"hello"), sum()], true);
    check("padding is no content", "1", &[frame(DATA, PADDED | 1, 1, &[1, b'x', 0])], true);
    check("DGR-01 more", "3", &[data(1, b"hello")], false);
    check("DGR-01 more, later", "5", &[data(0, b"hello"), data(1, b"x")], false);
    check("DGR-02 less", "9", &[data(1, b"hello")], false);
    check("DGR-04 trailers end it", "9", &[data(0, b"hello"), sum()], false);
    let mut connection = greeted();
    let head = block(&[&POST[..], &[("content-length", "9")]].concat());
    let head = frame(HEADERS, END_STREAM | END_HEADERS, 1, &head);
    let seen = feed(&mut connection, &head, usize::MAX);
    assert!(matches!(seen.requests[0].2, Err(RequestFault::Malformed(_))), "DGR-03 head ends it");
}
