//! Origins that break the rules: what their stream or connection ends with, and that no client ever
//! gets what they said. Ids are those of docs/http3.md.

use std::future::Future;
use std::rc::Rc;

use doorman_testkit::h3::Ended;
use doorman_testkit::h3::frames::{control, frame, headers, kind, section, varint};
use doorman_testkit::h3::origin::{QuicOrigin, Visit};
use doorman_testkit::tls::Authority;

use super::{House, Notes, answering, setup, status};
use crate::rig::code;

/// What a client must see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sees {
    /// A status of ours, for this reason.
    Status(&'static str, &'static str),
    /// A response that is cut.
    Cut,
    /// A whole response.
    Whole,
}

/// A case: its name, what the origin says, what the client sees, what the stream is stopped with.
type Row = (&'static str, Vec<u8>, (Sees, Option<u64>));

const OK: (&str, &str) = (":status", "200");

/// For each row an origin that says these bytes on the request's stream and ends it: what the client
/// sees, and what the origin's stream is stopped with.
#[test]
fn responses_are_judged_dgr_01_to_19_27_28_upb_07_09_10_23() {
    let malformed = |why| (Sees::Status("502", why), Some(code::MESSAGE_ERROR));
    let data = |n: usize| frame(kind::DATA, &vec![b'x'; n]);
    let head = |fields: &[(&str, &str)]| headers(fields);
    let long = "v".repeat(70_000);
    let many: Vec<_> = [OK].into_iter().chain([("a", "b"); 250]).collect();
    let rows: Vec<Row> = vec![
        ("whole", [head(&[OK, ("content-length", "3")]), data(3)].concat(), (Sees::Whole, None)),
        ("no status", head(&[("a", "b")]), malformed("no :status")),
        ("status late", head(&[("a", "b"), OK]), malformed("pseudo-header field behind a field")),
        ("status twice", head(&[OK, OK]), malformed("pseudo-header field given twice")),
        ("status", head(&[(":status", "600")]), malformed("status is not from 100 to 599")),
        ("path", head(&[OK, (":path", "/")]), malformed("unknown pseudo-header field")),
        ("101", head(&[(":status", "101")]), malformed("101 in HTTP/3")),
        ("TE", head(&[OK, ("transfer-encoding", "chunked")]), malformed("connection-specific")),
        ("upper", head(&[OK, ("X-A", "b")]), malformed("field name in upper case")),
        ("no name", head(&[OK, ("", "b")]), malformed("field name is not a token")),
        ("split", head(&[OK, ("a", "b\r\nset-cookie: c")]), malformed("byte not allowed")),
        ("NUL", head(&[OK, ("a", "b\0")]), malformed("byte not allowed")),
        ("space", head(&[OK, ("a", " b")]), malformed("begins or ends with white space")),
        ("length", head(&[OK, ("content-length", "+3")]), malformed("is not a number")),
        (
            "lengths",
            head(&[OK, ("content-length", "3"), ("content-length", "4")]),
            malformed("more than one Content-Length"),
        ),
        ("fields", head(&many), malformed("too many header fields")),
        ("large", head(&[OK, ("a", &long)]), malformed("header section is too large")),
        ("shorter", [head(&[OK, ("content-length", "5")]), data(3)].concat(), (Sees::Cut, None)),
        (
            "longer",
            [head(&[OK, ("content-length", "2")]), data(3)].concat(),
            (Sees::Cut, Some(code::MESSAGE_ERROR)),
        ),
        (
            "longer in pieces",
            [head(&[OK, ("content-length", "3")]), data(3), data(1)].concat(),
            (Sees::Cut, Some(code::MESSAGE_ERROR)),
        ),
        (
            "none declared",
            [head(&[OK, ("content-length", "0")]), data(1)].concat(),
            malformed("content where there can be none"),
        ),
        (
            "no content",
            [head(&[(":status", "204")]), data(1)].concat(),
            malformed("content where there can be none"),
        ),
        (
            "trailers",
            [head(&[OK]), data(3), head(&[OK])].concat(),
            (Sees::Cut, Some(code::MESSAGE_ERROR)),
        ),
        ("interim alone", head(&[(":status", "103")]), (Sees::Status("502", "closed"), None)),
        (
            "interim without end",
            (0..20).flat_map(|_| head(&[(":status", "103")])).collect(),
            malformed("too many interim responses"),
        ),
    ];
    for (name, bytes, (sees, stop)) in rows {
        let authority = Authority::new();
        let notes = Notes::new();
        let pen = notes.pen();
        let origin = answering(&authority, move |mut asked, _| {
            let (bytes, pen) = (bytes.clone(), pen.clone());
            async move {
                asked.whole().await?;
                let stopped = asked.reply.stopped();
                let _ = asked.reply.send(&bytes).await;
                asked.reply.finish();
                let _ = pen.send(stopped.await);
                Ok(())
            }
        });
        let house = House::before(&authority, &[origin.address()], "");
        let answer = house.get();
        match sees {
            Sees::Whole => assert!(status(&answer) == "200" && answer.ends_with("xxx"), "{name}"),
            Sees::Status(expected, why) => {
                let last = answer.rfind("HTTP/1.1 ").and_then(|at| answer.get(at..));
                assert_eq!(last.map(status), Some(expected), "{name}: {answer}");
                house.logged(why);
            }
            Sees::Cut => {
                assert!(!answer.contains("\r\n0\r\n\r\n"), "{name}: {answer}");
                house.logged("upstream-malformed");
            }
        }
        let stopped = notes.next();
        if stop.is_some() {
            // All of it may have been read before it was judged.
            assert!(stopped.is_none() || stopped == stop, "{name}: {stopped:?}");
        }
    }
}

/// An origin that plays `script` on a connection once a request has come; the code that doorman
/// closes it with, and what the client got.
fn ends<F>(script: impl Fn(Rc<Visit>) -> F + Clone + Send + 'static) -> (Ended, String)
where
    F: Future<Output = ()> + 'static,
{
    let authority = Authority::new();
    let notes = Notes::new();
    let pen = notes.pen();
    let origin = QuicOrigin::start(setup(&authority), move |visit| {
        let (pen, script) = (pen.clone(), script.clone());
        async move {
            let visit = Rc::new(visit);
            let Some(asked) = visit.asked().await else { return };
            script(Rc::clone(&visit)).await;
            let _ = pen.send(visit.over().await);
            drop(asked);
        }
    });
    let house = House::before(&authority, &[origin.address()], "");
    let answer = house.get();
    (notes.next(), answer)
}

#[test]
fn connections_end_by_the_rules_they_break_h3q_21_25_26_27() {
    let stream = |begin: Vec<u8>| {
        ends(move |visit| {
            let begin = begin.clone();
            async move {
                let _ = visit.open(&begin).await;
            }
        })
    };
    let rows = [
        ("a second control stream", control(&[]), code::STREAM_CREATION_ERROR),
        ("a push", varint(1), code::ID_ERROR),
        ("an encoder that inserts", [&varint(2)[..], &[0xFF; 4]].concat(), {
            code::QPACK_ENCODER_STREAM_ERROR
        }),
        ("a decoder that acknowledges", [&varint(3)[..], &[0x80]].concat(), {
            code::QPACK_DECODER_STREAM_ERROR
        }),
    ];
    for (name, begin, expected) in rows {
        let (ended, answer) = stream(begin);
        assert_eq!(ended, Ended::Closed(expected), "{name}");
        assert_eq!(status(&answer), "502", "{name}: {answer}");
    }
}

#[test]
fn control_streams_keep_their_rules_h3q_25_27() {
    let rows = [
        ("settings twice", frame(kind::SETTINGS, &[]), code::FRAME_UNEXPECTED),
        ("GOAWAY of no stream", frame(kind::GOAWAY, &varint(3)), code::ID_ERROR),
        ("MAX_PUSH_ID", frame(kind::MAX_PUSH_ID, &varint(3)), code::FRAME_UNEXPECTED),
        ("CANCEL_PUSH", frame(kind::CANCEL_PUSH, &varint(3)), code::ID_ERROR),
        ("DATA", frame(kind::DATA, b"x"), code::FRAME_UNEXPECTED),
        (
            "GOAWAY that takes back",
            [frame(kind::GOAWAY, &varint(4)), frame(kind::GOAWAY, &varint(8))].concat(),
            code::ID_ERROR,
        ),
    ];
    for (name, bytes, expected) in rows {
        let authority = Authority::new();
        let notes = Notes::new();
        let pen = notes.pen();
        let origin = QuicOrigin::start(setup(&authority), move |mut visit| {
            let (pen, bytes) = (pen.clone(), bytes.clone());
            async move {
                let Some(asked) = visit.asked().await else { return };
                let _ = visit.say(&bytes).await;
                let _ = pen.send(visit.over().await);
                drop(asked);
            }
        });
        let house = House::before(&authority, &[origin.address()], "");
        assert_eq!(status(&house.get()), "502", "{name}");
        assert_eq!(notes.next(), Ended::Closed(expected), "{name}");
    }
    let authority = Authority::new();
    let notes = Notes::new();
    let pen = notes.pen();
    let origin = QuicOrigin::start(setup(&authority), move |mut visit| {
        let pen = pen.clone();
        async move {
            let Some(asked) = visit.asked().await else { return };
            visit.end_control();
            let _ = pen.send(visit.over().await);
            drop(asked);
        }
    });
    let house = House::before(&authority, &[origin.address()], "");
    assert_eq!(status(&house.get()), "502");
    assert_eq!(notes.next(), Ended::Closed(code::CLOSED_CRITICAL_STREAM));
}

#[test]
fn request_streams_keep_their_rules_h3q_19_26() {
    let ok = headers(&[OK]);
    let rows = [
        ("DATA first", frame(kind::DATA, b"x"), code::FRAME_UNEXPECTED),
        ("SETTINGS", frame(kind::SETTINGS, &[]), code::FRAME_UNEXPECTED),
        ("a push", frame(0x5, &[0, 0, 0]), code::ID_ERROR),
        ("HTTP/2", frame(0x6, &[0; 8]), code::FRAME_UNEXPECTED),
        ("a dynamic table", frame(kind::HEADERS, &[1, 0, 0x80]), {
            code::QPACK_DECOMPRESSION_FAILED
        }),
        ("a cut frame", [&varint(kind::HEADERS)[..], &[40], &section(&[OK])].concat(), {
            code::FRAME_ERROR
        }),
        (
            "a head behind trailers",
            [&ok[..], &headers(&[("a", "b")]), &ok].concat(),
            code::FRAME_UNEXPECTED,
        ),
    ];
    for (name, bytes, expected) in rows {
        let authority = Authority::new();
        let notes = Notes::new();
        let pen = notes.pen();
        let origin = QuicOrigin::start(setup(&authority), move |visit| {
            let (pen, bytes) = (pen.clone(), bytes.clone());
            async move {
                let Some(mut asked) = visit.asked().await else { return };
                let _ = asked.reply.send(&bytes).await;
                asked.reply.finish();
                let _ = pen.send(visit.over().await);
            }
        });
        let house = House::before(&authority, &[origin.address()], "");
        let answer = house.get();
        assert!(status(&answer) == "502" || !answer.ends_with("0\r\n\r\n"), "{name}: {answer}");
        assert_eq!(notes.next(), Ended::Closed(expected), "{name}");
    }
}

/// Frames that bring nothing cost their sender nothing, so they have a budget (RFC 9114 section 10.5).
#[test]
fn frames_without_meaning_have_an_end_h3q_28() {
    let (ended, answer) = {
        let authority = Authority::new();
        let notes = Notes::new();
        let pen = notes.pen();
        let origin = QuicOrigin::start(setup(&authority), move |visit| {
            let pen = pen.clone();
            async move {
                let Some(mut asked) = visit.asked().await else { return };
                let nothing: Vec<u8> = (0..2000).flat_map(|_| frame(0x21, &[])).collect();
                let _ = asked.reply.send(&nothing).await;
                let _ = pen.send(visit.over().await);
            }
        });
        let house = House::before(&authority, &[origin.address()], "");
        let answer = house.get();
        (notes.next(), answer)
    };
    assert_eq!((ended, status(&answer)), (Ended::Closed(code::EXCESSIVE_LOAD), "502"));
}
