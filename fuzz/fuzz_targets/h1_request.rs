//! Request heads: no panic, nothing consumed that is not there, a refusal stays a refusal when more
//! bytes come, and what would be sent to an origin is the same request with the same framing.
#![no_main]

use doorman_h1::{
    Limits, Progress, Refusal, RequestFraming, RequestLine, read_request, write_request_head,
};
use doorman_http::RequestHead;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let limits = Limits::default();
    let mut head = RequestHead::default();
    let outcome = read_request(input, &limits, &mut head);
    cut(input, &outcome);
    let Ok(Progress::Done { consumed, framing }) = outcome else { return };
    assert!(consumed <= input.len());

    let mut sent = Vec::new();
    let host: &[u8] = if head.authority().is_empty() { b"none" } else { head.authority() };
    write_request_head(&mut sent, &head, &RequestLine { host }, framing.body.length());
    // The writer adds what is made anew: a few lines more than were read.
    let roomy =
        Limits { fields: 110, head_bytes: 40 * 1024, request_line: 9 * 1024, ..Limits::default() };
    let mut back = RequestHead::default();
    let Ok(Progress::Done { consumed, framing: again }) = read_request(&sent, &roomy, &mut back)
    else {
        panic!("what would be sent is refused: {}", String::from_utf8_lossy(&sent));
    };
    assert_eq!(consumed, sent.len());
    assert_eq!(again.body, framing.body);
    assert!(again.keep_alive);
    assert_eq!(back.method, head.method);
    assert_eq!(back.path(), head.path());
    assert_eq!(back.query(), head.query());
    assert_eq!(back.upgrade, head.upgrade);
    assert_eq!(back.expects_continue, head.expects_continue);
    assert_eq!(back.takes_trailers, head.takes_trailers);
    assert!(head.host().is_empty() || back.host() == head.host());
    back.fields.remove(b"host");
    head.fields.remove(b"host");
    let kept = |head: &RequestHead| -> Vec<(Vec<u8>, Vec<u8>)> {
        head.fields.iter().map(|(_, n, v)| (n.to_vec(), v.to_vec())).collect()
    };
    assert_eq!(kept(&back), kept(&head));
});

/// A prefix is partial, or ends as the whole does.
fn cut(input: &[u8], whole: &Result<Progress<RequestFraming>, Refusal>) {
    let at = input.first().map_or(0, |&byte| usize::from(byte) * 7 % input.len());
    let mut head = RequestHead::default();
    let early = read_request(&input[..at], &Limits::default(), &mut head);
    if early != Ok(Progress::Partial) {
        assert_eq!(&early, whole);
    }
}
