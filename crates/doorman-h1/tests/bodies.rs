//! Chunked bodies, case by case, and the decoder's promises.

use doorman_h1::{CHUNK_END, Decoder, Framing, Limits, write_chunk_head, write_last_chunk};
use doorman_http::Fields;

/// What a body came to: content, trailer names, bytes left for the next message.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Whole { content: Vec<u8>, trailers: Vec<String>, rest: usize },
    Cut,
    Fault(&'static str),
}

/// Decodes `input`, given in pieces of `piece` bytes.
fn decode(framing: Framing, input: &[u8], piece: usize) -> End {
    let mut decoder = Decoder::new(framing, &Limits::default());
    let mut content = Vec::new();
    let mut used = 0;
    for part in input.chunks(piece) {
        let mut part = part.to_vec();
        let mut at = 0;
        while at < part.len() && !decoder.is_done() {
            match decoder.decode(&mut part[at..]) {
                Err(fault) => return End::Fault(fault.reason),
                Ok(step) => {
                    assert!(step.consumed > 0 && step.content.end <= step.consumed);
                    content.extend_from_slice(&part[at..][step.content]);
                    at += step.consumed;
                    used += step.consumed;
                }
            }
        }
    }
    if decoder.end_of_input().is_err() {
        return End::Cut;
    }
    let trailers = decoder.take_trailers().map_or(Vec::new(), |fields| {
        fields.iter().map(|(_, name, _)| String::from_utf8_lossy(name).into_owned()).collect()
    });
    End::Whole { content, trailers, rest: input.len() - used }
}

#[track_caller]
fn check(id: &str, input: impl AsRef<[u8]>, expect: impl Fn(&End) -> bool) {
    let input = input.as_ref();
    let whole = decode(Framing::Chunked, input, input.len().max(1));
    let shown = String::from_utf8_lossy(&input[..input.len().min(120)]);
    assert!(expect(&whole), "{id}: {whole:?} for {shown:?}");
    for piece in [1, 2, 3, 7] {
        assert_eq!(decode(Framing::Chunked, input, piece), whole, "{id} by {piece}: {shown:?}");
    }
}

#[track_caller]
fn refuse(id: &str, input: impl AsRef<[u8]>) {
    check(id, input, |end| matches!(end, End::Fault(_)));
}

#[track_caller]
fn cut(id: &str, input: impl AsRef<[u8]>) {
    check(id, input, |end| *end == End::Cut);
}

#[track_caller]
fn take(id: &str, input: impl AsRef<[u8]>, expect: &str, left: usize) {
    check(
        id,
        input,
        |end| matches!(end, End::Whole { content, rest, .. } if content == expect.as_bytes() && *rest == left),
    );
}

#[test]
fn sizes() {
    for size in [
        "0x5", "+5", "-1", "5_0", " 5", "5 ", "5\t", "", "5h", "g", "\u{ff15}", "5,5", "5 ;a",
        "\0", "0 ",
    ] {
        refuse("H1C-01 H1C-03", format!("{size}\r\nhello\r\n0\r\n\r\n"));
    }
    for size in [
        "8000000000000000",
        "ffffffffffffffff",
        "10000000000000005",
        &"f".repeat(17),
        &"1".repeat(32),
    ] {
        refuse("H1C-02", format!("{size}\r\nhello\r\n0\r\n\r\n"));
    }
    refuse("H1C-02", format!("{}5\r\nhello\r\n0\r\n\r\n", "0".repeat(16)));
    take("H1C-02", format!("{}5\r\nhello\r\n0\r\n\r\n", "0".repeat(15)), "hello", 0);
    cut("H1C-02", "7fffffffffffffff\r\nhello");
    take("H1C-14", "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", 0);
}

#[test]
fn line_ends() {
    for first in 0..=255u8 {
        for second in [b'\n', b'\r', b'x', b'0'] {
            if (first, second) == (b'\r', b'\n') {
                continue;
            }
            refuse("H1C-04 H1C-09", [b"5\r\nhello", &[first, second][..], b"0\r\n\r\n"].concat());
        }
        for byte in [first] {
            if byte != b'\n' {
                refuse("H1C-04", [b"5\r\nhello\r", &[byte][..], b"0\r\n\r\n"].concat());
            }
        }
    }
    refuse("H1C-05", "5\nhello\r\n0\r\n\r\n");
    refuse("H1C-05", "0\n\r\n");
    refuse("H1C-06", "5\rhello\r\n0\r\n\r\n");
    refuse("H1C-06", "5\r\rhello\r\n0\r\n\r\n");
    refuse("H1C-07", "5;a\nhello\r\n0\r\n\r\n");
    refuse("H1C-07", "5;\nhello\r\n0\r\n\r\n");
    refuse("H1C-07", "5;a=b\nxx\r\nhello\r\n0\r\n\r\n");
    refuse("H1C-07", "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n");
    refuse("H1C-07", "5;a\rx\r\nhello\r\n0\r\n\r\n");
    refuse("H1C-08", "5\r\nhello!!\r\n0\r\n\r\n");
    refuse("H1C-09", "5\r\nhello\n0\r\n\r\n");
}

#[test]
fn extensions() {
    for extension in
        [";a", ";a=b", ";a=\"b\"", ";a=\"\\\"\t;\r\"", ";a;b=c;d=\"e\"", ";a=\"\u{e9}\""]
    {
        if extension.contains('\r') {
            refuse("H1C-11", format!("5{extension}\r\nhello\r\n0\r\n\r\n"));
        } else {
            take("H1C-10", format!("5{extension}\r\nhello\r\n0{extension}\r\n\r\n"), "hello", 0);
        }
    }
    for extension in [
        ";",
        ";;a",
        ";a;",
        ";=b",
        ";a=",
        ";a b",
        ";a =b",
        "; a",
        ";a= b",
        ";a=\"b",
        ";a=\"b\"c",
        ";a\0",
        ";a=\x01",
        ";a=\"\0\"",
        ";a=\"\\\0\"",
        ";a=\x7f",
        ";\u{e9}",
        ";a=b=c",
        ";a,b",
    ] {
        refuse("H1C-11", format!("5{extension}\r\nhello\r\n0\r\n\r\n"));
    }
    take("H1C-12", format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(4094)), "hello", 0);
    refuse("H1C-12", format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(4095)));
    refuse("H1C-12", format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(65_536)));
    refuse("H1C-12", format!("1;{}\r\nx\r\n", "a".repeat(100)).repeat(100));
    refuse("H1C-12", "0001\r\nx\r\n".repeat(2_000));
    // Signed chunks of a long upload carry some 85 bytes each.
    let signed = format!("4000;chunk-signature={}\r\n{}\r\n", "f".repeat(64), "x".repeat(0x4000))
        .repeat(200);
    take("H1C-12", format!("{signed}0\r\n\r\n"), &"x".repeat(0x4000 * 200), 0);
    take("H1C-13", format!("{}0\r\n\r\n", "1\r\nx\r\n".repeat(20_000)), &"x".repeat(20_000), 0);
}

#[test]
fn endings() {
    for size in ["0", "000000", "0;ext", "0;a=b"] {
        take("H1C-19", format!("5\r\nhello\r\n{size}\r\n\r\n"), "hello", 0);
    }
    take("H1C-20", "1\r\na\r\n0\r\n\r\n1\r\nb\r\n0\r\n\r\n", "a", 11);
    take("H1C-20", "0\r\n\r\nGET / HTTP/1.1\r\n", "", 16);
    let whole = b"5;a=b\r\nhello\r\n3\r\nyou\r\n0\r\nX-Sum: 1\r\n\r\n";
    for end in 0..whole.len() {
        cut("H1C-18 UPB-04", &whole[..end]);
    }
    for end in 0..5 {
        assert_eq!(decode(Framing::Known(5), &b"hello"[..end], 9), End::Cut, "UPB-03");
    }
    let until_close = End::Whole { content: b"hello".to_vec(), trailers: vec![], rest: 0 };
    assert_eq!(decode(Framing::UntilClose, b"hello", 2), until_close, "UPB-05");
    assert_eq!(decode(Framing::Tunnel, b"hello", 2), until_close);
    let sized = End::Whole { content: b"hello".to_vec(), trailers: vec![], rest: 4 };
    assert_eq!(decode(Framing::Known(5), b"helloGET ", 9), sized, "H1F-34");
    let empty = End::Whole { content: vec![], trailers: vec![], rest: 4 };
    assert_eq!(decode(Framing::Empty, b"GET ", 9), empty);
    assert_eq!(decode(Framing::Known(0), b"GET ", 9), empty);
}

#[test]
fn trailers() {
    let trailers =
        |lines: &str| match decode(Framing::Chunked, format!("0\r\n{lines}\r\n").as_bytes(), 3) {
            End::Whole { trailers, rest: 0, .. } => trailers,
            other => panic!("{other:?} for {lines:?}"),
        };
    for name in [
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "Authorization",
        "Content-Type",
        "Set-Cookie",
        "Cookie",
        "Content-Encoding",
        "Content-Range",
        "Content-Foo",
        "Trailer",
        "TE",
        "Connection",
        "Upgrade",
        "Cache-Control",
        "Expect",
        "Max-Forwards",
        "Pragma",
        "Range",
        "If-Match",
        "If-None-Match",
        "WWW-Authenticate",
        "Proxy-Authorization",
        "Age",
        "Expires",
        "Date",
        "Location",
        "Retry-After",
        "Vary",
        "Warning",
        "X-Forwarded-For",
        "X-Real-IP",
        "Forwarded",
        "Content_Length",
        "X_Forwarded_For",
        "Keep-Alive",
    ] {
        let kept = trailers(&format!("X-Before: 1\r\n{name}: 1\r\nX-After: 2\r\n"));
        assert_eq!(kept, ["X-Before", "X-After"], "H1C-15 {name}");
    }
    let kept = trailers(
        "grpc-status: 0\r\ngrpc-message: \r\nETag: \"x\"\r\nContent-Digest: y\r\nServer-Timing: z\r\n",
    );
    assert_eq!(
        kept,
        ["grpc-status", "grpc-message", "ETag", "Content-Digest", "Server-Timing"],
        "UPB-21"
    );
    assert_eq!(trailers("").len(), 0);

    let section = |lines: &str| format!("0\r\n{lines}\r\n");
    assert_eq!(trailers(&"X: 1\r\n".repeat(32)).len(), 32);
    refuse("H1C-16", section(&"X: 1\r\n".repeat(33)));
    refuse("H1C-16", section(&format!("X: {}\r\n", "v".repeat(8 * 1024))));
    refuse("H1C-16", format!("0\r\n{}", "v".repeat(9 * 1024)));
    for lines in [
        "X: 1\n",
        "X: 1\r\n Y: 2\r\n",
        " X: 1\r\n",
        "X : 1\r\n",
        "X\r\n",
        ": 1\r\n",
        "X: a\rb\r\n",
        "X: a\0b\r\n",
        "X Y: 1\r\n",
    ] {
        refuse("H1C-17", section(lines));
    }
    refuse("H1C-17", "0\r\nX: 1\r\n\n");
    refuse("H1C-17", "0\r\n\n");
    refuse("H1C-17", "0\r\nGET / HTTP/1.1\r\n\r\n");
}

#[test]
fn content_stays_where_it_lies() {
    let mut decoder = Decoder::new(Framing::Chunked, &Limits::default());
    let mut input = b"5\r\nhello\r\n".to_vec();
    let step = decoder.decode(&mut input).unwrap();
    assert_eq!((step.content, step.consumed), (3..8, 10));
    assert_eq!(input, b"5\r\nhello\r\n");

    let mut input = b"5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\nGET".to_vec();
    let step = decoder.decode(&mut input).unwrap();
    assert_eq!(&input[step.content], b"helloyou");
    assert_eq!(&input[step.consumed..], b"GET");
    assert!(decoder.is_done());

    // A large chunk behind other content is not moved: it is the next step.
    let mut input = [b"1\r\na\r\n10000\r\n", &[b'x'; 0x10000][..]].concat();
    let mut decoder = Decoder::new(Framing::Chunked, &Limits::default());
    let first = decoder.decode(&mut input).unwrap();
    assert_eq!((first.content, first.consumed), (3..4, 13));
    let second = decoder.decode(&mut input[13..]).unwrap();
    assert_eq!((second.content, second.consumed), (0..0x10000, 0x10000));

    let mut decoder = Decoder::new(Framing::Known(10), &Limits::default());
    assert_eq!(decoder.remaining(), Some(10));
    let _ = decoder.decode(&mut [0; 4]).unwrap();
    assert_eq!(decoder.remaining(), Some(6));
}

#[test]
fn chunk_heads() {
    for len in [
        1,
        9,
        10,
        15,
        16,
        255,
        256,
        0xFFFF,
        0x1_0000,
        0xFFFF_FFFF,
        0x1_0000_0000,
        0x1_0000_0005,
        usize::MAX,
    ] {
        let mut out = Vec::new();
        write_chunk_head(&mut out, len);
        assert_eq!(out, format!("{len:x}\r\n").into_bytes(), "H1C-14");
    }
    let mut out = Vec::new();
    write_chunk_head(&mut out, 0);
    assert!(out.is_empty());
    write_last_chunk(&mut out, None);
    assert_eq!(out, b"0\r\n\r\n");
    let mut fields = Fields::new();
    fields.push(b"X-Sum", b"1");
    out.clear();
    write_last_chunk(&mut out, Some(&fields));
    assert_eq!(out, b"0\r\nX-Sum: 1\r\n\r\n");
    assert_eq!(CHUNK_END, b"\r\n");
}
