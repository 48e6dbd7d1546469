//! Calls of gRPC whose server breaks off when messages have gone out already.

use doorman_testkit::h2::{Frame, flag, kind};
use doorman_testkit::raw::Raw;

use crate::calls::{Caller, message};
use crate::grpc::{House, OPTIONS, call, client};
use crate::origin::{FrameOrigin, Talk, head};

const CANCEL: u32 = 8;
const INTERNAL_ERROR: u32 = 2;

/// What a server does behind the head and the first message of its answer.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// Its connection ends.
    Close,
    /// It resets the stream.
    Reset,
    /// It says nothing more.
    Stall,
    /// It begins a message, and its connection ends.
    CloseWithin,
}

fn house(then: Then) -> (FrameOrigin, House) {
    let origin = FrameOrigin::start(&[], move |talk: &mut Talk| {
        loop {
            let (stream, _) = talk.request()?;
            talk.over(stream);
            let data = |bytes: Vec<u8>| Frame::new(kind::DATA, 0, stream, bytes);
            let begun = head(stream, 0, "200", &[("content-type", "application/grpc")]);
            talk.send(&[begun, data(message(b"one"))])?;
            match then {
                Then::Close => return Ok(()),
                Then::CloseWithin => return talk.send(&[data(vec![0, 0, 0, 0, 9, 1, 2])]),
                Then::Reset => {
                    let code = CANCEL.to_be_bytes();
                    talk.send(&[Frame::new(kind::RST_STREAM, 0, stream, code)])?;
                }
                Then::Stall => {}
            }
        }
    });
    let route = if matches!(then, Then::Stall) { "timeout idle 400ms" } else { OPTIONS };
    let house = House::before(&format!("server {}; protocol h2c", origin.address), route);
    (origin, house)
}

#[test]
fn a_client_of_others_is_told_why() {
    if crate::peers::python().is_none() {
        return;
    }
    for (then, code, words) in [
        (Then::Close, "UNAVAILABLE", "the server broke off"),
        (Then::Reset, "UNAVAILABLE", "the server broke off"),
        (Then::Stall, "DEADLINE_EXCEEDED", "the server took too long"),
    ] {
        let (_origin, house) = house(then);
        for place in [&[house.plain_place()][..], &[house.secure_place(), house.root()]] {
            let root = place.get(1).map(String::as_str);
            let arguments = [&[&*place[0], "breaks", code][..], &Vec::from_iter(root)].concat();
            let (well, said) = client(&arguments);
            assert!(well && said.contains("[b'one']") && said.contains(words), "{then:?}: {said}");
        }
        // The log is not told that all was well.
        let end = if code == "UNAVAILABLE" { "upstream-closed" } else { "upstream-timeout" };
        let line = house.process.wait_for_words("/test.Calls/Down");
        assert!(line.contains(end) && line.contains("\"status\":200"), "{line}");
    }
}

#[test]
fn over_http_3_it_is_told_the_same() {
    for (then, code) in [(Then::Close, "14"), (Then::Reset, "14"), (Then::Stall, "4")] {
        let (_origin, house) = house(then);
        let mut caller = Caller::new(&house);
        let mut call = caller.call("Down", &[]);
        caller.finish(&mut call);
        assert!(!caller.head(&mut call).contains_key("grpc-status"));
        assert_eq!(caller.hear(&mut call).unwrap().unwrap(), b"one", "{then:?}");
        assert_eq!(caller.hear(&mut call).unwrap(), None, "{then:?}");
        let trailers = caller.trailers(&mut call);
        assert_eq!(trailers["grpc-status"], code, "{then:?}");
        assert!(trailers["grpc-message"].to_str().unwrap().contains("request "), "{trailers:?}");
    }
}

/// Trailers follow whole messages only: what is cut within one is reset.
#[test]
fn a_message_that_is_cut_looks_cut() {
    let (_origin, house) = house(Then::CloseWithin);
    let mut client = Raw::connect(house.plain).expect("a connection");
    client.call(async |wire| wire.greet(&[]).await).expect("the greeting");
    let frame = call(1, flag::END_STREAM, &house.plain_place(), &[]);
    let last = client
        .call(async |wire| {
            wire.send_frames(&[frame]).await?;
            let over = |frame: &Frame| {
                frame.stream == 1
                    && (frame.kind == kind::RST_STREAM || frame.flags & flag::END_STREAM != 0)
            };
            let mut frames = wire.frames_until(over).await?;
            Ok(frames.pop().expect("a frame"))
        })
        .expect("an end");
    assert_eq!((last.kind, last.code()), (kind::RST_STREAM, Some(INTERNAL_ERROR)));
    let mut caller = Caller::new(&house);
    let mut call = caller.call("Down", &[]);
    caller.finish(&mut call);
    let error = caller.broke(&mut call);
    assert!(error.contains("H3_INTERNAL_ERROR"), "{error}");
}
