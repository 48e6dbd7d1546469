//! Contents, trailers and interim responses: whole, or visibly not.

use bytes::Bytes;
use doorman_testkit::h3::Ended;
use doorman_testkit::h3::frames::{self, frame, kind};
use doorman_testkit::origin::{Origin, Script, Step, playing};
use doorman_testkit::sums::Pattern;
use http::{HeaderMap, HeaderValue, Request};

use crate::rig::{code, house, house_with};

#[test]
fn responses_keep_their_shape_dgr_24() {
    let house = house();
    let mut client = house.h3();
    let mut get = |path: &str| client.get(&house.uri(path)).expect(path);
    let (empty, none, same) = (get("/empty"), get("/204"), get("/304"));
    assert_eq!((empty.status, empty.text().as_str(), empty.error), (200, "", None));
    assert_eq!((none.status, none.text().as_str(), none.error), (204, "", None));
    assert_eq!((same.status, same.text().as_str(), same.error), (304, "", None));
    let hints = get("/hints");
    assert_eq!((hints.interim.as_slice(), hints.text().as_str()), (&[103][..], "ok"));
    assert_eq!(hints.field("content-length"), Some("2"));
    let trailers = get("/trailers");
    assert_eq!(trailers.text(), "hello");
    assert_eq!(trailers.trailers.unwrap()["sum"], "5");
    let head = Request::head(house.uri("/head")).body(Bytes::new()).unwrap();
    let head = client.request(head).unwrap();
    assert_eq!((head.status, head.text().as_str(), head.error.as_deref()), (200, "", None));
    assert_eq!(head.field("content-length"), Some("77"));
    assert_eq!(head.field("alt-svc"), None, "who speaks HTTP/3 need not be told");
}

#[test]
fn a_cut_response_looks_cut() {
    let house = house();
    let client = house.raw();
    for path in ["/cut", "/cut-chunked"] {
        // A reset overtakes what was sent before it, so the head may not be seen.
        let (_, ended) = client.outcome(&house.get(path)).unwrap();
        assert_eq!(ended, Ended::Reset(code::INTERNAL_ERROR), "{path}");
    }
}

#[test]
fn requests_against_their_length_are_never_whole_at_the_origin_dgr_01_to_06() {
    let house = house();
    let data = |bytes: &[u8]| frame(kind::DATA, bytes);
    let check = |length: &str, more: &[Vec<u8>]| {
        let mut bytes = house.post("/echo", &[("content-length", length)]);
        bytes.extend(more.concat());
        let outcome = house.raw().outcome(&bytes).unwrap();
        assert_eq!(outcome.1, Ended::Reset(code::MESSAGE_ERROR), "{length}: {more:?}");
    };
    check("5", &[data(b"abcd")]);
    check("5", &[]);
    check("5", &[data(b"abc"), data(b"def")]);
    check("5", &[data(b"abcde"), data(b"f")]);
    check("0", &[data(b"a")]);
    let trailers = frames::headers(&[("a", "b")]);
    check("5", &[data(b"abcd"), trailers]);
    check("5", &[data(b"abcde"), frames::headers(&[(":path", "/")])]);
    check("5", &[data(b"abcde"), frames::headers(&[("Upper", "x")])]);
    let whole = house.origin.requests();
    assert!(whole.iter().all(|seen| seen.target() != "/echo"), "{whole:?}");
    let bytes =
        [house.post("/echo", &[("content-length", "5")]), data(b"ab"), data(b""), data(b"cde")];
    assert_eq!(house.raw().outcome(&bytes.concat()).unwrap(), (Some(200), Ended::Whole));
    assert_eq!(house.origin.requests().last().unwrap().body, b"abcde");
}

#[test]
fn requests_of_every_shape_arrive_whole() {
    let house = house();
    let seen = |bytes: Vec<u8>| {
        assert_eq!(house.raw().outcome(&bytes).unwrap(), (Some(200), Ended::Whole));
        house.origin.requests().last().unwrap().clone()
    };
    let plain = seen(house.get("/"));
    assert_eq!((plain.field("transfer-encoding"), plain.field("content-length")), (None, None));
    let bare = seen(house.post("/echo", &[]));
    assert_eq!(bare.body, b"");
    let known = seen(house.post("/echo", &[("content-length", "0")]));
    assert_eq!(known.field("content-length"), Some("0"));
    let content: Vec<u8> = Pattern { seed: 5 }.bytes(70_000);
    let pieces: Vec<u8> = content.chunks(999).flat_map(|piece| frame(kind::DATA, piece)).collect();
    let unknown = [house.post("/echo", &[]), pieces].concat();
    assert_eq!(seen(unknown).body, content);
    let trailers = frames::headers(&[("sum", "5"), ("content-length", "9")]);
    let head = house.post("/echo", &[("te", "trailers")]);
    let whole = seen([head, frame(kind::DATA, b"hello"), trailers].concat());
    assert_eq!(whole.body, b"hello");
    let received = String::from_utf8_lossy(&house.origin.received(0)).to_lowercase();
    assert!(received.contains("\r\nsum: 5\r\n"), "{received}");
}

#[test]
fn trailers_and_content_by_a_client_by_the_book() {
    let house = house();
    let mut trailers = HeaderMap::new();
    trailers.insert("sum", HeaderValue::from_static("5"));
    let request = Request::post(house.uri("/echo")).body(Bytes::from("hello")).unwrap();
    let replies = house.h3().requests(vec![(request, Some(trailers))]).unwrap();
    let reply = replies[0].as_ref().unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(reply.field("x-body-length"), Some("5"));
}

#[test]
fn many_streams_at_once() {
    let house = house();
    let requests = (0..300)
        .map(|n| {
            let body =
                Bytes::from(Pattern { seed: n }.bytes(2_000 + 11 * usize::try_from(n).unwrap()));
            (Request::post(house.uri("/echo")).body(body).unwrap(), None)
        })
        .collect();
    for reply in house.h3().requests(requests).unwrap() {
        let reply = reply.unwrap();
        assert_eq!((reply.status, reply.error.as_deref()), (200, None));
    }
    assert_eq!(house.origin.requests().len(), 300);
}

#[test]
fn an_expectation_is_met_when_the_origin_reads() {
    let house = house();
    let client = house.raw();
    let head = house.post("/echo", &[("content-length", "5"), ("expect", "100-continue")]);
    let mut stream = client.stream(&head).unwrap();
    let interim = client.read_some(&mut stream, 7).unwrap();
    let [(_, section)] = frames::frames(&interim).try_into().expect("one frame");
    assert_eq!(frames::status(&section), Some(100));
    client.write(&mut stream, &frame(kind::DATA, b"hello")).unwrap();
    client.finish(&mut stream);
    let (answer, ended) = client.read(&mut stream).unwrap();
    assert_eq!(ended, Ended::Whole);
    assert_eq!(frames::status(&frames::frames(&answer)[0].1), Some(200));
}

#[test]
fn what_an_origin_does_not_take_waits_at_the_client() {
    let script = Script::new().read_head().hold().then(Step::ReadEnd);
    let house = house_with("workers 1", Origin::start(playing(vec![script])));
    let client = house.raw();
    let mut stream = client.stream(&house.post("/", &[])).unwrap();
    let before = house.resident();
    // What the windows and the buffers of the sockets hold, and no more.
    let piece = frame(kind::DATA, &[7; 64 * 1024]);
    let taken = client.write_while_taken(&mut stream, &piece).unwrap();
    assert!(taken < 16 * 1024 * 1024, "{taken} bytes were taken");
    let grown = house.resident().saturating_sub(before);
    assert!(grown < 8 * 1024, "grew by {grown} KiB");
    house.origin.release();
    let rest = [&piece[taken % piece.len()..], &piece.repeat(16)].concat();
    let more = client.write(&mut stream, &rest).unwrap();
    assert_eq!(more, Ended::Whole, "it goes on when the origin does");
}

#[test]
fn what_a_client_does_not_take_waits_at_the_origin() {
    const LENGTH: u64 = 64 * 1024 * 1024;
    let house = house();
    let client = house.raw();
    let before = house.resident();
    let mut stream = client.request(&house.get(&format!("/big/{LENGTH}"))).unwrap();
    let begun = client.read_some(&mut stream, 64 * 1024).unwrap();
    let other = client.outcome(&house.get("/")).unwrap();
    assert_eq!(other, (Some(200), Ended::Whole), "others go on");
    let grown = house.resident().saturating_sub(before);
    assert!(grown < 12 * 1024, "grew by {grown} KiB");
    let (rest, ended) = client.read(&mut stream).unwrap();
    assert_eq!(ended, Ended::Whole);
    let bytes = [begun, rest].concat();
    let frames = frames::frames(&bytes);
    assert_eq!(frames.len(), 2, "content of a known length is one frame");
    assert_eq!(frames[1].1.len() as u64, LENGTH);
    assert_eq!(Pattern { seed: 7 }.differs(0, &frames[1].1), None);
}
