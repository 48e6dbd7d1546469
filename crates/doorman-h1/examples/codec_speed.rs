//! How long the codec takes for the heads and bodies of a usual exchange.
//!
//! `cargo run --release -p doorman-h1 --example codec_speed [PART OF A NAME]`

#![expect(clippy::disallowed_methods, reason = "a benchmark reads a clock")]
#![expect(clippy::unwrap_used, reason = "an example may stop at a mistake in itself")]

use std::hint::black_box;
use std::time::Instant;

use doorman_h1::{
    Asked, AskedMethod, Decoder, Framing, Limits, Reply, RequestLine, read_request, read_response,
    write_request_head, write_response_head,
};
use doorman_http::{Length, RequestHead, ResponseHead, Version};

const REQUEST: &[u8] = b"GET /assets/app/main.css?v=1 HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/css,*/*;q=0.1\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Connection: keep-alive\r\n\
    Referer: https://www.example.com/\r\n\
    Cookie: session=0123456789abcdef; theme=dark\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Server: nginx/1.22.1\r\n\
    Date: Mon, 23 Nov 2026 08:00:00 GMT\r\n\
    Content-Type: text/css\r\n\
    Content-Length: 1024\r\n\
    Last-Modified: Mon, 16 Nov 2026 08:00:00 GMT\r\n\
    Connection: keep-alive\r\n\
    ETag: \"6553f0a0-400\"\r\n\
    Accept-Ranges: bytes\r\n\r\n";

fn time(name: &str, per_round: usize, mut round: impl FnMut()) {
    const ROUNDS: u32 = 400_000;
    if std::env::args().nth(1).is_some_and(|wanted| !name.contains(&wanted)) {
        return;
    }
    for _ in 0..ROUNDS / 10 {
        round();
    }
    let start = Instant::now();
    for _ in 0..ROUNDS {
        round();
    }
    let each = start.elapsed().as_nanos() / u128::from(ROUNDS);
    println!("{name:<34} {each:>6} ns  ({per_round} bytes)");
}

fn main() {
    let limits = Limits::default();
    let mut request = RequestHead::default();
    time("read_request, 8 fields", REQUEST.len(), || {
        request.clear();
        let progress = read_request(black_box(REQUEST), &limits, &mut request);
        black_box(progress.unwrap());
    });
    let mut fields = [httparse::EMPTY_HEADER; 100];
    time("  httparse alone, same bytes", REQUEST.len(), || {
        let mut parsed = httparse::Request::new(&mut fields);
        black_box(parsed.parse(black_box(REQUEST)).unwrap());
    });
    let mut out = Vec::new();
    time("write_request_head", REQUEST.len(), || {
        out.clear();
        let line = RequestLine { host: request.authority() };
        write_request_head(&mut out, black_box(&request), &line, Length::Absent);
        black_box(&out);
    });
    let mut response = ResponseHead::new(200);
    let asked = Asked { method: AskedMethod::Other, upgrade: None };
    time("read_response, 8 fields", RESPONSE.len(), || {
        response.clear();
        let progress = read_response(black_box(RESPONSE), &limits, &asked, &mut response);
        black_box(progress.unwrap());
    });
    let reply = Reply { client: Version::Http11, head_request: false, keep_alive: true };
    time("write_response_head", RESPONSE.len(), || {
        out.clear();
        let length = Length::Known(1024);
        let _ = black_box(write_response_head(&mut out, black_box(&response), &reply, length));
    });
    let chunked = [b"400\r\n", &[b'x'; 1024][..], b"\r\n0\r\n\r\n"].concat();
    let mut buffer = chunked.clone();
    time("decode, one chunk of 1 KiB", chunked.len(), || {
        let mut decoder = Decoder::new(Framing::Chunked, &limits);
        let _ = black_box(decoder.decode(black_box(&mut buffer)).unwrap());
    });
    let small = [b"10\r\n0123456789abcdef\r\n".repeat(64), b"0\r\n\r\n".to_vec()].concat();
    time("decode, 64 chunks of 16 bytes", small.len(), || {
        buffer.clear();
        buffer.extend_from_slice(&small);
        let mut decoder = Decoder::new(Framing::Chunked, &limits);
        let _ = black_box(decoder.decode(black_box(&mut buffer)).unwrap());
    });
}
