//! Heads that are no requests, and what becomes of those that are.

use doorman_testkit::h2::{Frame, flag, hpack, kind};

use crate::rig::{House, Over, code, house};

type Field<'a> = (&'a [u8], &'a [u8]);

/// What must become of a head.
#[derive(Clone, Copy, Debug)]
enum Want {
    /// This status.
    Status(u16),
    /// RST_STREAM, or GOAWAY with an error.
    Error,
    /// 400 or an error: the crate and we share the rules.
    Refused,
}

fn check(house: &House, id: &str, fields: &[Field<'_>], want: Want) {
    let before = house.origin.requests().len();
    let mut client = house.client();
    client.send(&[Frame::headers(1, flag::END_STREAM, fields)]);
    let outcome = client.outcome(1);
    match want {
        Want::Status(status) => assert_eq!(outcome.status, Some(status), "{id}: {outcome:?}"),
        Want::Refused if outcome.status == Some(400) => {}
        Want::Error | Want::Refused => assert!(
            matches!(outcome.over, Over::Reset(code) | Over::Away(code) if code != code::NO_ERROR),
            "{id}: {outcome:?}"
        ),
    }
    let reached = house.origin.requests().len() - before;
    assert_eq!(reached, usize::from(matches!(want, Want::Status(200))), "{id}: at the origin");
}

/// A GET with pseudo-fields replaced and fields added.
fn head<'a>(authority: &'a str, change: &[Field<'a>]) -> Vec<Field<'a>> {
    let mut fields: Vec<Field<'a>> = vec![
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", authority.as_bytes()),
        (b":path", b"/"),
    ];
    for (name, value) in change {
        match fields.iter_mut().find(|(known, _)| known == name && name.starts_with(b":")) {
            Some(field) => field.1 = value,
            None => fields.push((name, value)),
        }
    }
    fields
}

#[test]
fn malformed_heads_are_refused_and_never_reach_the_origin() {
    let house = house();
    let authority = house.authority();
    let table: &[(&str, Field<'_>, Want)] = &[
        ("a good one", (b"x-a", b"b"), Want::Status(200)),
        ("DGR-07", (b"transfer-encoding", b"chunked"), Want::Error),
        ("DGR-08", (b"connection", b"close"), Want::Error),
        ("DGR-08", (b"keep-alive", b"timeout=5"), Want::Error),
        ("DGR-08", (b"proxy-connection", b"close"), Want::Error),
        ("DGR-08", (b"upgrade", b"websocket"), Want::Error),
        ("DGR-08", (b"te", b"gzip"), Want::Error),
        ("DGR-08", (b"te", b"trailers"), Want::Status(200)),
        ("DGR-08", (b"http2-settings", b"AAMAAABk"), Want::Status(400)),
        ("DGR-11", (b"x-a", b" b"), Want::Status(400)),
        ("DGR-11", (b"x-a", b"b "), Want::Status(400)),
        ("DGR-11", (b"x-a", b"\tb"), Want::Status(400)),
        ("DGR-11", (b"x-a", b"b\t"), Want::Status(400)),
        ("DGR-12", (b":path", b""), Want::Refused),
        ("DGR-12", (b":path", b"a"), Want::Refused),
        ("DGR-12", (b":path", b"https://other/"), Want::Refused),
        ("DGR-12", (b":path", b"*"), Want::Refused),
        ("DGR-12", (b":path", b"/a b"), Want::Refused),
        ("DGR-12", (b":path", b"/a\r\nx: y"), Want::Refused),
        ("DGR-12", (b":path", b"/a\tb"), Want::Refused),
        ("DGR-12", (b":path", b"/\x7f"), Want::Refused),
        ("DGR-12", (b":path", b"/\xc3\xa4"), Want::Refused),
        ("DGR-13", (b":method", b"GET /admin HTTP/1.1"), Want::Refused),
        ("DGR-13", (b":method", b"G T"), Want::Refused),
        ("DGR-13", (b":method", b""), Want::Refused),
        ("DGR-13", (b":method", b"GET\r\n"), Want::Refused),
        ("DGR-14", (b":scheme", b"http"), Want::Refused),
        ("DGR-14", (b":scheme", b"ftp"), Want::Refused),
        ("DGR-14", (b":scheme", b"https://localhost/x"), Want::Refused),
        ("DGR-14", (b":scheme", b""), Want::Refused),
        ("DGR-15", (b":authority", b"user@localhost"), Want::Refused),
        ("DGR-15", (b":authority", b"localhost,other"), Want::Refused),
        ("DGR-15", (b":authority", b"localhost/x"), Want::Refused),
        ("DGR-15", (b":authority", b"local host"), Want::Refused),
        ("DGR-15", (b":authority", b"localhost:x"), Want::Refused),
        ("DGR-15", (b":authority", b""), Want::Refused),
        ("DGR-16", (b"host", b"other"), Want::Status(400)),
        ("DGR-17", (b":unknown", b"x"), Want::Error),
        ("DGR-18", (b":status", b"200"), Want::Error),
        ("DGR-19", (b"", b"x"), Want::Error),
        ("DGR-21", (b":protocol", b"websocket"), Want::Error),
        ("CL", (b"content-length", b"+0"), Want::Error),
        ("CL", (b"content-length", b"0, 0"), Want::Error),
        ("CL", (b"content-length", b"-1"), Want::Error),
        ("CL", (b"content-length", b"99999999999999999999"), Want::Error),
        ("expect", (b"expect", b"200-ok"), Want::Status(417)),
        ("TRACE", (b":method", b"TRACE"), Want::Status(405)),
    ];
    for (id, change, want) in table {
        let id = format!("{id} {:?}", String::from_utf8_lossy(change.0));
        check(&house, &id, &head(&authority, &[*change]), *want);
    }
    house.still_serves();
}

#[test]
fn pseudo_fields_are_there_once_and_first() {
    let house = house();
    let authority = house.authority();
    let authority = authority.as_bytes();
    let (method, scheme, path): (Field<'_>, Field<'_>, Field<'_>) =
        ((b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/"));
    let (place, host): (Field<'_>, Field<'_>) = ((b":authority", authority), (b"host", authority));
    let plain: Field<'_> = (b"x-a", b"b");
    let connect: Field<'_> = (b":method", b"CONNECT");
    let table: &[(&str, &[Field<'_>], Want)] = &[
        ("host alone", &[method, scheme, path, host], Want::Status(200)),
        ("host as well", &[method, scheme, place, path, host], Want::Status(200)),
        ("DGR-16 two hosts", &[method, scheme, path, host, host], Want::Status(400)),
        ("DGR-17 no authority", &[method, scheme, path], Want::Status(400)),
        ("DGR-17 no method", &[scheme, place, path], Want::Error),
        ("DGR-17 no scheme", &[method, place, path], Want::Error),
        ("DGR-17 no path", &[method, scheme, place], Want::Error),
        ("DGR-17 twice", &[method, scheme, place, path, path], Want::Error),
        ("DGR-17 two methods", &[method, method, scheme, place, path], Want::Error),
        ("DGR-17 late", &[method, scheme, place, plain, path], Want::Error),
        ("DGR-17 nothing", &[], Want::Error),
        ("DGR-21 CONNECT", &[connect, place], Want::Status(501)),
        ("DGR-21 with path", &[connect, scheme, place, path], Want::Error),
        (
            "DGR-21 DGR-22 extended",
            &[connect, (b":protocol", b"websocket"), scheme, place, path],
            Want::Status(400),
        ),
        (
            "CL twice",
            &[method, scheme, place, path, (b"content-length", b"0"), (b"content-length", b"0")],
            Want::Status(400),
        ),
        (
            "CL against",
            &[method, scheme, place, path, (b"content-length", b"0"), (b"content-length", b"1")],
            Want::Error,
        ),
    ];
    for (id, fields, want) in table {
        check(&house, id, fields, *want);
    }
    house.still_serves();
}

/// A byte in a field, at the front, in the middle and at the end: what may stand there goes through
/// as it is, and what may not is refused.
fn sweep(good: impl Fn(u8, usize) -> bool, field: impl Fn(&[u8]) -> (Vec<u8>, Vec<u8>)) {
    let house = house();
    let authority = house.authority();
    let (mut client, mut stream) = (house.client(), 1);
    for byte in 0..=255 {
        for (place, text) in
            [[byte, b'm', b'z'], [b'a', byte, b'z'], [b'a', b'm', byte]].iter().enumerate()
        {
            let (name, value) = field(text);
            let before = house.origin.requests().len();
            let fields = head(&authority, &[(&name, &value)]);
            client.send(&[Frame::headers(stream, flag::END_STREAM, &fields)]);
            let outcome = client.outcome(stream);
            stream += 2;
            // Faults of streams add up, and some are faults of the connection.
            if stream > 100 || matches!(outcome.over, Over::Away(_) | Over::Cut) {
                (client, stream) = (house.client(), 1);
            }
            let seen = house.origin.requests();
            let id = format!("{byte:#04x} at {place}: {outcome:?}");
            if good(byte, place) {
                assert_eq!(outcome.status, Some(200), "{id}");
                let seen = seen.last().expect("it reached the origin");
                let same = |(n, v): &&(String, Vec<u8>)| n.as_bytes() == name && *v == value;
                assert!(seen.fields.iter().any(|field| same(&field)), "{id} at the origin");
            } else {
                assert_ne!(outcome.status, Some(200), "{id}");
                assert_eq!(seen.len(), before, "{id} at the origin");
            }
        }
    }
}

#[test]
fn bytes_in_values_dgr_09() {
    let inner = |byte| matches!(byte, b'\t' | b' ');
    sweep(
        |byte, place| (inner(byte) && place == 1) || !(inner(byte) || byte < 0x20 || byte == 0x7f),
        |text| (b"x-swept".to_vec(), text.to_vec()),
    );
}

#[test]
fn bytes_in_names_dgr_10() {
    let token = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
    };
    sweep(|byte, _| token(byte), |text| ([b"x", text].concat(), b"v".to_vec()));
}

#[test]
fn large_heads_are_refused_dgr_20_h2d_11_to_14() {
    let house = house();
    let authority = house.authority();
    let long = vec![b'a'; 9000];
    // Each field of 9,000 bytes is one reference to what the first one put into the table.
    let many = |name: &'static [u8], n: usize| -> Vec<Field<'static>> { vec![(name, b"v"); n] };
    let table: Vec<(&str, Vec<Field<'_>>, u16)> = vec![
        ("DGR-20 a long value", head(&authority, &[(b"x", &long)]), 200),
        ("DGR-20 four of them", [head(&authority, &[]), vec![(b"x", &long); 4]].concat(), 431),
        ("H2D-11 fields", [head(&authority, &[]), many(b"x", 500)].concat(), 431),
        ("H2D-12 crumbs", [head(&authority, &[]), many(b"cookie", 500)].concat(), 431),
        ("H2D-13 hosts", [head(&authority, &[]), many(b"host", 500)].concat(), 431),
        ("H2D-11 more fields", [head(&authority, &[]), many(b"x", 1200)].concat(), 431),
    ];
    for (id, fields, status) in table {
        let mut client = house.client();
        let block = hpack::literals(&fields);
        let mut frames: Vec<Frame> =
            block.chunks(16_384).map(|piece| Frame::new(kind::CONTINUATION, 0, 1, piece)).collect();
        frames[0].kind = kind::HEADERS;
        frames[0].flags = flag::END_STREAM;
        frames.last_mut().expect("a frame").flags |= flag::END_HEADERS;
        client.send(&frames);
        assert_eq!(client.outcome(1).status, Some(status), "{id}");
        let get = client.get(3, "/");
        client.send(&[get]);
        assert_eq!(client.outcome(3).status, Some(200), "{id}: the next one");
    }
    assert_eq!(
        house.origin.requests().iter().filter(|seen| seen.field("host").is_some()).count(),
        7
    );
}

#[test]
fn hpack_bombs_end_the_connection_h2d_14_to_19() {
    let house = house();
    let value = vec![b'a'; 4000];
    // A literal with incremental indexing (RFC 7541 section 6.2.1), then references to it.
    let mut entry = vec![0x40, 1, b'x'];
    hpack::integer(value.len(), 7, 0, &mut entry);
    entry.extend_from_slice(&value);
    let table: &[(&str, Vec<u8>, &[u32])] = &[
        ("H2D-14 bomb", [entry, vec![0xbe; 16_000]].concat(), &[code::ENHANCE_YOUR_CALM]),
        ("H2D-15 index 0", vec![0x80], &[code::PROTOCOL_ERROR, code::COMPRESSION_ERROR]),
        (
            "H2D-15 no such index",
            hpack::indexed(500),
            &[code::PROTOCOL_ERROR, code::COMPRESSION_ERROR],
        ),
        (
            "H2D-16 endless integer",
            vec![0xff; 40],
            &[code::PROTOCOL_ERROR, code::COMPRESSION_ERROR],
        ),
        (
            "H2D-18 table size",
            vec![0x3f, 0xe1, 0xff, 0x03],
            &[code::PROTOCOL_ERROR, code::COMPRESSION_ERROR],
        ),
        (
            "H2D-18 in the middle",
            vec![0x82, 0x20],
            &[code::PROTOCOL_ERROR, code::COMPRESSION_ERROR],
        ),
        (
            "H2D-19 EOS",
            vec![0, 1, b'x', 0x84, 0xff, 0xff, 0xff, 0xff],
            &[code::PROTOCOL_ERROR, code::COMPRESSION_ERROR],
        ),
        (
            "H2D-19 long padding",
            vec![0, 1, b'x', 0x82, 0x1f, 0xff],
            &[code::PROTOCOL_ERROR, code::COMPRESSION_ERROR],
        ),
    ];
    for (id, block, codes) in table {
        let mut client = house.client();
        let frames: Vec<Frame> = block
            .chunks(16_384)
            .enumerate()
            .map(|(i, piece)| {
                let (kind, flags) =
                    if i == 0 { (kind::HEADERS, 1) } else { (kind::CONTINUATION, 0) };
                let last = if (i + 1) * 16_384 >= block.len() { flag::END_HEADERS } else { 0 };
                Frame::new(kind, flags | last, 1, piece)
            })
            .collect();
        client.send(&frames);
        let farewell = client.farewell();
        assert!(farewell.is_some_and(|code| codes.contains(&code)), "{id}: {farewell:?}");
    }
    assert!(house.origin.requests().is_empty());
    house.still_serves();
}

#[test]
fn cookie_crumbs_are_joined_once_dgr_23() {
    let house = house();
    let authority = house.authority();
    let fields = head(&authority, &[(b"cookie", b"a=1")]);
    let fields = [fields, vec![(b"cookie", b"b=2"), (b"x", b"y"), (b"cookie", b"c=3")]].concat();
    let mut client = house.client();
    client.send(&[Frame::headers(1, flag::END_STREAM, &fields)]);
    assert_eq!(client.outcome(1).status, Some(200));
    let seen = house.origin.requests();
    assert_eq!(seen[0].all("cookie"), ["a=1; b=2; c=3"]);
    assert_eq!(seen[0].all("host").len(), 1);
}

/// References to one long field, again and again: what compression makes of few bytes is paid for
/// by the connection, and a client that has no more to pay is told so. It may go on with short heads.
#[test]
fn what_compression_multiplies_has_to_be_paid_h2d_11() {
    let house = house();
    let authority = house.authority();
    let mut entry = vec![0x40, 1, b'x'];
    hpack::integer(3900, 7, 0, &mut entry);
    entry.resize(entry.len() + 3900, b'a');
    let request = hpack::literals(&head(&authority, &[]));
    let flags = flag::END_STREAM | flag::END_HEADERS;
    let mut client = house.client();
    let mut status = [0, 0];
    for n in 0..100 {
        let first = if n == 0 { entry.clone() } else { vec![0xbe] };
        let block = [request.clone(), first, vec![0xbe; 6]].concat();
        let stream = 2 * n + 1;
        client.send(&[Frame::new(kind::HEADERS, flags, stream, block)]);
        match client.outcome(stream).status {
            Some(200) => status[0] += 1,
            Some(431) => status[1] += 1,
            other => panic!("{other:?}"),
        }
    }
    // 27 KB each; ten times what was sent, 4 KiB each and 1 MiB beyond are free.
    assert!((40..=70).contains(&status[0]) && status[1] >= 30, "{status:?}");
    let get = client.get(201, "/");
    client.send(&[get]);
    assert_eq!(client.outcome(201).status, Some(200));
    let longest = house.origin.requests().len();
    assert_eq!(longest, status[0] + 1, "what was refused did not reach the origin");
}
