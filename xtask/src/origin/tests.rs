//! The origin's reading of requests, cut at every byte.

use super::*;

fn answers(stream: &[u8], cut: usize) -> Result<Vec<u64>, Unknown> {
    let (mut inbox, mut library, mut replies) = (Inbox::default(), Library::new(), VecDeque::new());
    inbox.take(&stream[..cut], &mut library, &mut replies)?;
    inbox.take(&stream[cut..], &mut library, &mut replies)?;
    Ok(replies.iter().map(|reply| reply.start.len() as u64 + reply.filler_left).collect())
}

fn check(stream: &str, bodies: &[u64]) {
    let wanted: Vec<u64> =
        bodies.iter().map(|&length| head("200 OK", length).len() as u64 + length).collect();
    for cut in 0..=stream.len() {
        assert_eq!(
            answers(stream.as_bytes(), cut).as_ref(),
            Ok(&wanted),
            "{stream:?} cut at {cut}"
        );
    }
}

#[test]
fn answers_the_length_that_the_path_names() {
    check("GET /b/0 HTTP/1.1\r\nHost: a\r\n\r\n", &[0]);
    check("GET /b/1024 HTTP/1.1\r\nHost: a\r\n\r\n", &[1024]);
    check("GET /b/3000000 HTTP/1.1\r\nHost: a\r\n\r\n", &[3_000_000]);
    check("GET /b/1 HTTP/1.1\r\n\r\nGET /b/2 HTTP/1.1\r\n\r\n", &[1, 2]);
}

#[test]
fn reads_a_body_before_it_answers() {
    check("POST /b/0 HTTP/1.1\r\ncontent-length: 4\r\n\r\nabcd", &[2]);
    check("PUT /x HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET /b/7 HTTP/1.1\r\n\r\n", &[2, 7]);
    check("POST /x HTTP/1.1\r\nCONTENT-LENGTH: 11\r\n\r\n\r\n\r\nhello w", &[3]);
}

#[test]
fn refuses_what_it_does_not_know() {
    for stream in ["POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "\r\n\r\n"] {
        assert_eq!(answers(stream.as_bytes(), 0), Err(Unknown), "{stream:?}");
    }
    assert_eq!(answers(&vec![b'a'; HEAD_BYTES_MAX + 1], 0), Err(Unknown));
}
