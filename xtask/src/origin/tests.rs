//! The origin's reading of requests, cut at every byte.

use super::*;

const NOW: &str = "Fri, 27 Nov 2026 03:00:00 GMT";

fn answers(stream: &[u8], cut: usize) -> Result<Vec<u64>, Unknown> {
    let (mut inbox, mut library, mut replies) =
        (Inbox::default(), Library::new(NOW), VecDeque::new());
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
    check("GET /b/1024?a=1&b=/c/2 HTTP/1.1\r\nHost: a\r\n\r\n", &[1024]);
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

#[test]
fn counts_what_it_was_asked_for_and_says_what_may_be_kept() {
    let (mut inbox, mut library) = (Inbox::default(), Library::new(NOW));
    let mut said = |path: &str| {
        let mut replies = VecDeque::new();
        let request = format!("GET {path} HTTP/1.1\r\n\r\n");
        inbox.take(request.as_bytes(), &mut library, &mut replies).unwrap();
        String::from_utf8(replies[0].start.to_vec()).unwrap()
    };
    for (path, parts) in [
        ("/asked", ["200 OK", "\r\n\r\n0\n"]),
        ("/c/3/17", ["Date: Fri, 27 Nov 2026 03:00:00 GMT\r\n", "max-age=86400\r\n"]),
        ("/c/3/18", ["Content-Length: 3\r\n", "\r\n\r\nxxx"]),
        ("/b/3", ["Date: Sun, 06 Nov 1994", "max-age=60\r\n"]),
        ("/c/3", ["404 Not Found", "no such page"]),
        ("/c/x/1", ["404 Not Found", "no such page"]),
        ("/b/40/html", ["Content-Type: text/html\r\n", "\r\n\r\n<!doctype html>"]),
        ("/c/40/json", ["Content-Type: application/json\r\n", "max-age=86400\r\n"]),
        ("/b/40/png", ["404 Not Found", "no such page"]),
        ("/b/99999999/js", ["404 Not Found", "no such page"]),
        ("/asked", ["200 OK", "\r\n\r\n5\n"]),
    ] {
        let answer = said(path);
        assert!(parts.iter().all(|part| answer.contains(part)), "{path}: {answer}");
    }
}
