//! Properties: cuts change nothing, what is written reads back as the same, nothing panics, and
//! whatever is accepted here means the same to an independent parser.

use std::fmt::Write as _;

use doorman_h1::{
    Asked, AskedMethod, CHUNK_END, Decoder, Framing, Limits, Progress, Reply, RequestLine,
    read_request, read_response, write_chunk_head, write_last_chunk, write_request_head,
    write_response_head,
};
use doorman_http::{Fields, Length, RequestHead, ResponseHead, Version};
use proptest::prelude::*;

/// What a reader of a client connection sees, one line each.
fn events(pieces: &[&[u8]]) -> Vec<String> {
    let limits = Limits::default();
    let mut events = Vec::new();
    let mut buffer: Vec<u8> = Vec::new();
    let mut body: Option<(Decoder, Vec<u8>)> = None;
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            if let Some((decoder, content)) = &mut body {
                let step = match decoder.decode(&mut buffer) {
                    Ok(step) => step,
                    Err(fault) => {
                        events.push(format!("fault {}", fault.reason));
                        return events;
                    }
                };
                content.extend_from_slice(&buffer[step.content.clone()]);
                buffer.drain(..step.consumed);
                if decoder.is_done() {
                    let trailers = decoder.take_trailers();
                    events.push(format!("body {content:?} {:?}", trailers.as_ref().map(list)));
                    body = None;
                } else if step.consumed == 0 || buffer.is_empty() {
                    break;
                }
                continue;
            }
            let mut head = RequestHead::default();
            match read_request(&buffer, &limits, &mut head) {
                Err(refusal) => {
                    events.push(format!("refused {} {}", refusal.status, refusal.reason));
                    return events;
                }
                Ok(Progress::Partial) => break,
                Ok(Progress::Done { consumed, framing }) => {
                    events.push(format!("{} {framing:?}", describe(&head)));
                    buffer.drain(..consumed);
                    body = Some((Decoder::new(framing.body, &limits), Vec::new()));
                }
            }
        }
    }
    events
}

fn list(fields: &Fields) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    fields.iter().map(|(_, name, value)| (text(name), text(value))).collect()
}

fn describe(head: &RequestHead) -> String {
    let text = String::from_utf8_lossy;
    format!(
        "{} {} {} {:?} {:?} {:?} {:?} {:?} {:?}",
        head.method,
        text(head.authority()),
        text(head.host()),
        text(head.path()),
        head.query().map(text),
        list(&head.fields),
        head.upgrade,
        head.expects_continue,
        head.takes_trailers,
    )
}

const STREAM: &str = "GET /a?b=c HTTP/1.1\r\nHost: A.example\r\nConnection: upgrade, X-Hop\r\nX-Hop: 1\r\n\
    Upgrade: foo\r\nTE: trailers\r\n\r\n\
    \r\nPOST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello\
    POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
    5;x=\"y\"\r\nhello\r\n00a\r\n0123456789\r\n0\r\nX-Sum: 1\r\nHost: evil\r\n\r\n\
    OPTIONS * HTTP/1.0\r\nHost: a\r\n\r\n\
    GET /%7ea/../b HTTP/1.1\r\nHost: a:80\r\nX_Forwarded_For: 1\r\n\r\n";

/// Ends that are refused, each behind the good stream.
const ENDS: [&str; 8] = [
    "",
    "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    "BAD\x01 / HTTP/1.1\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloo\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX : 1\r\n\r\n",
    "GET / HTTP/2.0\r\n\r\nx",
    "\r\n\r\n\r\n\r\n\r\n\r\n",
];

#[test]
fn every_cut_gives_the_same_events() {
    for end in ENDS {
        let stream = format!("{STREAM}{end}");
        let bytes = stream.as_bytes();
        let whole = events(&[bytes]);
        assert!(whole.len() >= 10, "{whole:#?}");
        for cut in 0..=bytes.len() {
            let (left, right) = bytes.split_at(cut);
            assert_eq!(events(&[left, right]), whole, "cut at {cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(events(&single), whole);
    }
}

#[test]
fn every_cut_of_a_response_is_partial_and_the_rest_completes_it() {
    let input = b"HTTP/1.1 200 Fine\r\nContent-Length: 5\r\nX: y\r\nConnection: close\r\n\r\n";
    let asked = Asked { method: AskedMethod::Other, upgrade: None };
    let mut head = ResponseHead::new(200);
    for cut in 0..input.len() {
        let progress = read_response(&input[..cut], &Limits::default(), &asked, &mut head);
        assert_eq!(progress, Ok(Progress::Partial), "{cut}");
    }
    assert!(read_response(input, &Limits::default(), &asked, &mut head).is_ok());
}

fn name() -> impl Strategy<Value = String> {
    "X-[A-Za-z0-9!#$%&'*+.^`|~-]{1,12}"
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let inner = prop::collection::vec(
        prop_oneof![8 => 0x21..0x7Fu8, 1 => Just(b' '), 1 => Just(b'\t'), 1 => 0x80..=0xFFu8],
        0..40,
    );
    inner.prop_map(|bytes| bytes.trim_ascii().to_vec())
}

fn fields() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    prop::collection::vec((name(), value()), 0..12)
}

fn lengths() -> impl Strategy<Value = Length> {
    prop_oneof![
        Just(Length::Absent),
        (0..=i64::MAX as u64).prop_map(Length::Known),
        Just(Length::Unknown)
    ]
}

/// What a request's framing is read back as.
fn framing_of(length: Length) -> Framing {
    match length {
        Length::Absent => Framing::Empty,
        Length::Known(n) => Framing::Known(n),
        Length::Unknown => Framing::Chunked,
    }
}

proptest! {
    #[test]
    fn many_cuts_give_the_same_events(
        end in 0..ENDS.len(),
        cuts in prop::collection::vec(0..1000usize, 0..20),
    ) {
        let stream = format!("{STREAM}{}", ENDS[end]);
        let bytes = stream.as_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c % (bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
        prop_assert_eq!(events(&pieces), events(&[bytes]));
    }

    #[test]
    fn a_request_reads_back_as_written(
        method in prop_oneof![Just("GET"), Just("POST"), Just("DELETE"), Just("PROPFIND")],
        path in "/[a-z0-9._-]{0,8}(/[a-z0-9]{1,8}){0,3}",
        query in prop::option::of("[a-z0-9=&%/?]{0,16}"),
        host in "[a-z]{1,8}(\\.[a-z]{1,8}){0,2}(:[1-9][0-9]{0,3})?",
        fields in fields(),
        length in lengths(),
        takes_trailers: bool,
    ) {
        let mut head = RequestHead::default();
        head.method = doorman_http::Method::from_bytes(method.as_bytes()).unwrap();
        head.takes_trailers = takes_trailers;
        for (name, value) in &fields {
            prop_assert!(head.fields.append(name.as_bytes(), value));
        }
        head.set_authority(host.as_bytes()).unwrap();
        let mut target = path.clone();
        if let Some(query) = &query {
            write!(target, "?{query}").unwrap();
        }
        // Paths with dot segments are brought into their normal form here already.
        head.set_path_and_query(target.as_bytes()).unwrap();
        let mut out = Vec::new();
        write_request_head(&mut out, &head, &RequestLine { host: host.as_bytes() }, length);
        let mut back = RequestHead::default();
        let progress = read_request(&out, &Limits::default(), &mut back).unwrap();
        let Progress::Done { consumed, framing } = progress else { panic!("partial") };
        prop_assert_eq!(consumed, out.len());
        prop_assert_eq!(framing.body, framing_of(length));
        // Host is a field of what was read, and a value of what was written.
        prop_assert_eq!(back.fields.remove(b"host"), 1);
        prop_assert_eq!(describe(&back), describe(&head));
        let raw: Vec<_> = back.fields.iter().map(|(_, _, v)| v.to_vec()).collect();
        prop_assert_eq!(raw, fields.into_iter().map(|(_, v)| v).collect::<Vec<_>>());
    }

    #[test]
    fn a_response_reads_back_as_written(
        status in 200..=599u16,
        fields in fields(),
        length in lengths(),
        keep_alive: bool,
        old: bool,
        head_request: bool,
    ) {
        let mut head = ResponseHead::new(status);
        for (name, value) in &fields {
            prop_assert!(head.fields.append(name.as_bytes(), value));
        }
        let client = if old { Version::Http10 } else { Version::Http11 };
        let mut out = Vec::new();
        let reply = Reply { client, head_request, keep_alive };
        let coding = write_response_head(&mut out, &head, &reply, length);
        let method = if head_request { AskedMethod::Head } else { AskedMethod::Other };
        let mut back = ResponseHead::new(200);
        let progress =
            read_response(&out, &Limits::default(), &Asked { method, upgrade: None }, &mut back);
        let Ok(Progress::Done { consumed, framing }) = progress else { panic!("{progress:?}") };
        prop_assert_eq!(consumed, out.len());
        prop_assert_eq!(back.status, status);
        prop_assert_eq!(list(&back.fields), list(&head.fields));
        use doorman_h1::Coding;
        let expect = match (coding, length) {
            (Coding::Chunked, _) => Framing::Chunked,
            (Coding::Sized, Length::Known(n)) => Framing::Known(n),
            (Coding::UntilClose, _) => Framing::UntilClose,
            (Coding::None, _) if head_request || head.is_bodiless() => Framing::Empty,
            _ => Framing::Known(0),
        };
        prop_assert_eq!(framing.body, expect);
        prop_assert_eq!(framing.keep_alive, keep_alive && coding != Coding::UntilClose);
    }

    #[test]
    fn a_body_reads_back_as_written(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..12),
        fields in fields(),
        piece in 1..400usize,
    ) {
        let mut wire = Vec::new();
        for chunk in &chunks {
            write_chunk_head(&mut wire, chunk.len());
            if !chunk.is_empty() {
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(CHUNK_END);
            }
        }
        let mut trailers = Fields::new();
        for (name, value) in &fields {
            trailers.push(name.as_bytes(), value);
        }
        write_last_chunk(&mut wire, Some(&trailers));
        wire.extend_from_slice(b"next");
        let limits = Limits::default();
        let mut decoder = Decoder::new(Framing::Chunked, &limits);
        let (mut content, mut at) = (Vec::new(), 0);
        while !decoder.is_done() {
            let end = wire.len().min(at + piece);
            let mut part = wire[at..end].to_vec();
            let step = decoder.decode(&mut part).unwrap();
            prop_assert!(step.consumed > 0);
            content.extend_from_slice(&part[step.content]);
            at += step.consumed;
        }
        prop_assert_eq!(content, chunks.concat());
        prop_assert_eq!(&wire[at..], b"next");
        let back = decoder.take_trailers().map_or(Vec::new(), |fields| list(&fields));
        prop_assert_eq!(back, list(&trailers));
    }

    #[test]
    fn nothing_panics_on_random_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        judge(&mut bytes);
    }

    #[test]
    fn nothing_panics_on_damaged_messages(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 0..8),
    ) {
        let mut bytes = STREAM.as_bytes().to_vec();
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        judge(&mut bytes);
        let _ = events(&[&bytes]);
    }
}

/// Reads the bytes in every role. A request that is accepted must mean the same to httparse, and
/// what would be sent for it must read back as the same request.
fn judge(bytes: &mut [u8]) {
    let limits = Limits::default();
    let mut head = RequestHead::default();
    if let Ok(Progress::Done { consumed, framing }) = read_request(bytes, &limits, &mut head) {
        assert!(consumed <= bytes.len());
        let mut table = [httparse::EMPTY_HEADER; 128];
        let mut other = httparse::Request::new(&mut table);
        assert_eq!(other.parse(bytes), Ok(httparse::Status::Complete(consumed)));
        assert_eq!(other.method, Some(head.method.as_str()));
        let theirs: Vec<_> =
            other.headers.iter().map(|h| (h.name.as_bytes().to_vec(), h.value.to_vec())).collect();
        let ours: Vec<_> =
            head.fields.received().map(|(_, n, v)| (n.to_vec(), v.to_vec())).collect();
        assert_eq!(ours, theirs);

        let mut out = Vec::new();
        let host = if head.authority().is_empty() { b"none" } else { head.authority() };
        write_request_head(&mut out, &head, &RequestLine { host }, framing.body.length());
        let mut back = RequestHead::default();
        let again = read_request(&out, &limits, &mut back);
        let Ok(Progress::Done { consumed, framing: again }) = again else {
            panic!("{again:?} for {}", String::from_utf8_lossy(&out))
        };
        assert_eq!((consumed, again.body), (out.len(), framing.body));
        assert_eq!(
            (&back.method, back.path(), back.query()),
            (&head.method, head.path(), head.query())
        );
    }
    for asked in [AskedMethod::Other, AskedMethod::Head, AskedMethod::Connect] {
        let mut head = ResponseHead::new(200);
        let _ = read_response(bytes, &limits, &Asked { method: asked, upgrade: None }, &mut head);
    }
    let mut decoder = Decoder::new(Framing::Chunked, &limits);
    if let Ok(step) = decoder.decode(bytes) {
        assert!(step.consumed <= bytes.len() && step.content.end <= step.consumed);
    }
}
