//! How long the program waits for a client, and what it does then.

use doorman_testkit::h3::Ended;
use doorman_testkit::h3::frames::{frame, kind};
use doorman_testkit::origin::{Origin, answering};

use crate::rig::{House, by_path, code, house, house_with};

fn impatient(timeout: &str) -> House {
    let global = format!("workers 1; timeouts {{ {timeout} 300ms }}");
    house_with(&global, Origin::start(answering(by_path())))
}

#[test]
fn a_head_has_to_come() {
    let house = impatient("head");
    let client = house.raw();
    let get = house.get("/");
    let incomplete = Ended::Reset(code::REQUEST_INCOMPLETE);
    for begun in [&get[..0], &get[..1], &get[..get.len() - 1]] {
        let mut stream = client.stream(begun).unwrap();
        if begun.is_empty() {
            // A stream without a byte is not even announced: its end is.
            client.finish(&mut stream);
        }
        assert_eq!(client.read(&mut stream).unwrap().1, incomplete, "{} bytes", begun.len());
    }
    assert_eq!(client.outcome(&get).unwrap(), (Some(200), Ended::Whole), "others go on");
    // A GET whose end does not come is taken for one with content, and goes to the origin.
    let before = house.origin.received_length(0);
    let mut open = client.stream(&get).unwrap();
    house.origin.wait_for_bytes(0, before + 1);
    client.finish(&mut open);
    assert_eq!(client.read(&mut open).unwrap().1, Ended::Whole);
}

#[test]
fn content_has_to_come() {
    let house = impatient("body-idle");
    let client = house.raw();
    let bytes = [house.post("/echo", &[("content-length", "9")]), frame(kind::DATA, b"abc")];
    let mut stream = client.stream(&bytes.concat()).unwrap();
    let (_, ended) = client.read(&mut stream).unwrap();
    assert_eq!(ended, Ended::Whole);
    let line = house.process.wait_for_words("/echo");
    assert!(line.contains("\"status\":408") && line.contains("client-timeout"), "{line}");
    house.origin.wait_for_open(0);
}

#[test]
fn a_response_that_nobody_takes_is_given_up() {
    let house = impatient("write-idle");
    let client = house.raw();
    let mut stream = client.request(&house.get("/big/50000000")).unwrap();
    let _ = client.read_some(&mut stream, 1000).unwrap();
    let line = house.process.wait_for_words("/big/");
    assert!(line.contains("client-timeout"), "{line}");
    let (_, ended) = client.read(&mut stream).unwrap();
    assert_eq!(ended, Ended::Reset(code::REQUEST_CANCELLED));
    house.origin.wait_for_open(0);
}

#[test]
fn a_stream_that_ends_before_it_begins_is_reset() {
    let house = house();
    let client = house.raw();
    let mut stream = client.request(&[]).unwrap();
    assert_eq!(client.read(&mut stream).unwrap().1, Ended::Reset(code::REQUEST_INCOMPLETE));
    let unknown = frame(0x21, b"nothing else");
    let mut stream = client.request(&unknown).unwrap();
    assert_eq!(client.read(&mut stream).unwrap().1, Ended::Reset(code::REQUEST_INCOMPLETE));
}
