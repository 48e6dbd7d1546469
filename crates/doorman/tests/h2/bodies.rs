//! Bodies, both ways: what is not whole never looks whole.

use bytes::Bytes;
use doorman_testkit::h2::{Frame, flag, hpack, kind};
use doorman_testkit::origin::{Origin, Script, Step, playing};
use doorman_testkit::reply::Ending;
use doorman_testkit::sums::{Pattern, Sum};
use http::Request;

use crate::rig::{Over, code, data, house, house_with};

/// Trailers of a request.
fn trailers(stream: u32, flags: u8, fields: &[(&[u8], &[u8])]) -> Frame {
    Frame::new(kind::HEADERS, flags | flag::END_HEADERS, stream, hpack::literals(fields))
}

#[test]
fn requests_against_their_length_are_never_whole_at_the_origin_dgr_01_to_04() {
    let end = flag::END_STREAM;
    let sum: &[(&[u8], &[u8])] = &[(b"sum", b"1")];
    // Declared length, frames behind the head.
    let table: &[(&str, &str, Vec<Frame>)] = &[
        ("DGR-01 more", "3", vec![data(1, end, b"hello")]),
        ("DGR-01 more, later", "5", vec![data(1, 0, b"hello"), data(1, end, b"x")]),
        (
            "DGR-01 more, much later",
            "5",
            vec![data(1, 0, b"hel"), data(1, 0, b"lo"), data(1, 0, b"x")],
        ),
        ("DGR-01 more than nothing", "0", vec![data(1, 0, b""), data(1, end, b"x")]),
        ("DGR-02 less", "9", vec![data(1, end, b"hello")]),
        ("DGR-02 less, empty end", "9", vec![data(1, 0, b"hello"), data(1, end, b"")]),
        ("DGR-03 head ends it", "9", vec![]),
        ("DGR-04 trailers end it", "9", vec![data(1, 0, b"hello"), trailers(1, end, sum)]),
        ("H2D-38 trailers do not end it", "5", vec![data(1, 0, b"hello"), trailers(1, 0, sum)]),
        ("DGR-25 reset", "9", vec![data(1, 0, b"hello"), Frame::reset(1, 8)]),
        ("DGR-25 reset when all is there", "5", vec![data(1, 0, b"hello"), Frame::reset(1, 8)]),
        ("H2D-05 DATA behind the end", "5", vec![data(1, end, b"hello"), data(1, 0, b"x")]),
    ];
    for (id, length, frames) in table {
        let house = house();
        let mut client = house.client();
        let mut head = client.post(1, "/echo", &[("content-length", length)]);
        if frames.is_empty() {
            head.flags |= end;
        }
        client.send(&[head]);
        for frame in frames {
            client.send(std::slice::from_ref(frame));
        }
        let after_end = id.starts_with("H2D-05");
        if !id.starts_with("DGR-25") {
            let over = client.outcome(1).over;
            let is_error = matches!(
                over,
                Over::Reset(code::PROTOCOL_ERROR | code::STREAM_CLOSED)
                    | Over::Away(code::PROTOCOL_ERROR | code::STREAM_CLOSED)
            );
            assert!(is_error || (after_end && over == Over::Whole), "{id}: {over:?}");
        }
        house.still_serves();
        house.origin.wait_for_open(1);
        for seen in house.origin.requests().iter().filter(|seen| seen.method() == "POST") {
            assert!(after_end || seen.ending != Ending::Complete, "{id}: {:?}", seen.ending);
        }
    }
}

#[test]
fn requests_of_every_shape_arrive_whole() {
    let end = flag::END_STREAM;
    let padded =
        Frame::new(kind::DATA, flag::PADDED | end, 1, [&[4], &b"hello"[..], &[0; 4]].concat());
    let sum: &[(&[u8], &[u8])] = &[(b"sum", b"1"), (b"content-length", b"7")];
    let table: &[(&str, &[(&str, &str)], Vec<Frame>, u64)] = &[
        ("counted", &[("content-length", "5")], vec![data(1, end, b"hello")], 5),
        ("end apart", &[("content-length", "5")], vec![data(1, 0, b"hello"), data(1, end, b"")], 5),
        ("nothing", &[("content-length", "0")], vec![data(1, end, b"")], 0),
        ("not counted", &[], vec![data(1, 0, b"hel"), data(1, end, b"lo")], 5),
        ("H2D-24 padded", &[("content-length", "5")], vec![padded], 5),
        ("trailers", &[], vec![data(1, 0, b"hello"), trailers(1, end, sum)], 5),
        (
            "counted, trailers",
            &[("content-length", "5")],
            vec![data(1, 0, b"hello"), trailers(1, end, sum)],
            5,
        ),
        (
            "expect",
            &[("expect", "100-continue"), ("content-length", "5")],
            vec![data(1, end, b"hello")],
            5,
        ),
    ];
    for (id, fields, frames, length) in table {
        let house = house();
        let mut client = house.client();
        let head = client.post(1, "/echo", fields);
        client.send(&[head]);
        client.send(frames);
        let outcome = client.outcome(1);
        assert_eq!((outcome.status, outcome.over), (Some(200), Over::Whole), "{id}");
        let seen = &house.origin.requests()[0];
        assert_eq!((seen.body_length, seen.ending), (*length, Ending::Complete), "{id}");
        let chunked = !fields.iter().any(|(name, _)| *name == "content-length");
        if chunked && id.contains("trailers") {
            assert_eq!(seen.trailers.len(), 1, "{id}: framing is no trailer");
        }
    }
}

#[test]
fn responses_keep_their_shape_dgr_24() {
    let house = house();
    let table: &[(&str, &str, Option<u16>, &[u8], Over)] = &[
        ("GET", "/", Some(200), b"hello", Over::Whole),
        ("GET", "/204", Some(204), b"", Over::Whole),
        ("GET", "/304", Some(304), b"", Over::Whole),
        ("GET", "/empty", Some(200), b"", Over::Whole),
        ("GET", "/trailers", Some(200), b"hello", Over::Whole),
        ("GET", "/hints", Some(200), b"ok", Over::Whole),
        ("HEAD", "/head", Some(200), b"", Over::Whole),
        ("GET", "/cut", Some(200), b"hello", Over::Reset(2)),
        ("GET", "/cut-chunked", Some(200), b"hello", Over::Reset(2)),
        ("GET", "/cut-reset", Some(200), b"hello", Over::Reset(2)),
        ("GET", "/bad-chunk", Some(200), b"hello", Over::Reset(2)),
    ];
    let mut client = house.client();
    let mut stream = 1;
    for (method, path, status, body, over) in table {
        let mut head = client.get(stream, path);
        if *method == "HEAD" {
            let authority = house.authority();
            let fields: [(&[u8], &[u8]); 4] = [
                (b":method", b"HEAD"),
                (b":scheme", b"https"),
                (b":authority", authority.as_bytes()),
                (b":path", path.as_bytes()),
            ];
            head = Frame::headers(stream, flag::END_STREAM, &fields);
        }
        client.send(&[head]);
        let outcome = client.outcome(stream);
        let got = (outcome.status, outcome.over);
        // What is cut at once may be a 502, or a reset without a head.
        let early = *over != Over::Whole
            && (outcome.status == Some(502) || (outcome.status.is_none() && outcome.over == *over));
        assert!(early || got == (*status, *over), "{path}: {outcome:?}");
        assert!(early || body.starts_with(&outcome.body), "{path}: {outcome:?}");
        assert!(*over != Over::Whole || outcome.body == *body, "{path}: {outcome:?}");
        assert_eq!(outcome.trailers, *path == "/trailers", "{path}");
        assert_eq!(outcome.interim.contains(&103), *path == "/hints", "{path}");
        stream += 2;
    }
}

#[test]
fn an_early_answer_reaches_a_client_that_still_sends() {
    let script = Script::new()
        .read_head()
        .send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        .then(Step::ReadEnd);
    let house = house_with("", Origin::start(playing(vec![script])));
    let mut client = house.client();
    let head = client.post(1, "/", &[("content-length", "1000000")]);
    client.send(&[head, data(1, 0, &[0; 16_384])]);
    let outcome = client.outcome(1);
    assert_eq!((outcome.status, outcome.over), (Some(403), Over::Whole));
    assert_eq!(outcome.body, b"no");
    let reset = client
        .raw
        .call(async |wire| wire.frames_until(|frame| frame.kind == kind::RST_STREAM).await)
        .expect("the stream is closed in order");
    assert_eq!(reset.last().and_then(Frame::code), Some(code::NO_ERROR));
}

#[test]
fn a_client_that_gives_up_frees_the_origin() {
    let house = house();
    for path in ["/wait", "/begin-and-wait", "/big/1000000000"] {
        let mut client = house.client();
        let get = client.get(1, path);
        client.send(&[get]);
        house.origin.wait_for_requests(1);
        if path != "/wait" {
            while client.frame().expect("a frame").kind != kind::DATA {}
        }
        client.send(&[Frame::reset(1, 8)]);
        house.origin.wait_for_open(0);
    }
}

#[test]
fn large_bodies_both_ways() {
    const LENGTH: usize = 64 << 20;
    let house = house();
    let mut client = house.h2();
    let uri = |path: &str| format!("https://{}{path}", house.authority());
    let reply = client.get(&uri(&format!("/big/{LENGTH}"))).expect("a response");
    assert!(reply.is_complete(), "{:?}", reply.error);
    let pattern = Pattern { seed: 7 };
    assert_eq!((reply.body.len(), pattern.differs(0, &reply.body)), (LENGTH, None));
    let sum = Sum::of(&reply.body);
    let request = Request::post(uri("/echo")).body(Bytes::from(reply.body)).expect("a request");
    let reply = client.request(request).expect("a response");
    assert_eq!(reply.field("x-body-length"), Some(LENGTH.to_string().as_str()));
    assert_eq!(reply.field("x-body-sum"), Some(format!("{sum:016x}").as_str()));
}

#[test]
fn a_hundred_streams_at_once() {
    let house = house();
    let mut client = house.h2();
    let length = |i: usize| 1000 * i + 1;
    let requests = (0..100)
        .map(|i| {
            let uri = format!("https://{}/big/{}", house.authority(), length(i));
            Request::get(uri).body(Bytes::new()).expect("a request")
        })
        .collect();
    for (i, reply) in client.requests(requests).expect("in time").into_iter().enumerate() {
        let reply = reply.expect("a response");
        assert!(reply.is_complete(), "{i}: {:?}", reply.error);
        assert_eq!(reply.body, Pattern { seed: 7 }.bytes(length(i)), "{i}");
    }
}
