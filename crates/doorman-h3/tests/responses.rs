//! Requests as they are written and responses as they are judged. Ids are those of the list of
//! attacks in docs/http3.md.

use bytes::Bytes;
use doorman_h3::{
    Code, Control, ControlReader, Fault, Limits, MessageReader, Piece, ResponseFault, Sender,
    read_request, read_response, write_data_head, write_interim, write_request, write_response,
    write_trailers,
};
use doorman_http::{Fields, Method, RequestHead, ResponseHead};
use proptest::prelude::*;

const LIMITS: Limits = Limits { section_bytes: 2048, fields: 10 };

/// A field section of literals.
fn section(lines: &[(&str, &str)]) -> Vec<u8> {
    let mut out = vec![0, 0];
    for (name, value) in lines {
        for (text, bits, pattern) in [(name, 3u32, 0x20u8), (value, 7, 0)] {
            let max = (1usize << bits) - 1;
            if text.len() < max {
                out.push(pattern | u8::try_from(text.len()).expect("below the prefix"));
            } else {
                out.push(pattern | u8::try_from(max).expect("a prefix"));
                let mut rest = text.len() - max;
                while rest > 127 {
                    out.push(u8::try_from(rest % 128).expect("seven bits") | 0x80);
                    rest /= 128;
                }
                out.push(u8::try_from(rest).expect("seven bits"));
            }
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

fn judge(lines: &[(&str, &str)]) -> Result<(u16, Option<u64>, usize), ResponseFault> {
    let mut head = ResponseHead::new(200);
    let length = read_response(&section(lines), &LIMITS, &mut head)?;
    Ok((head.status, length, head.fields.len()))
}

#[track_caller]
fn refused(lines: &[(&str, &str)], why: &'static str) {
    assert_eq!(judge(lines), Err(ResponseFault::Malformed(why)), "{lines:?}");
}

#[test]
fn responses_that_are_well_formed() {
    assert_eq!(judge(&[(":status", "200")]), Ok((200, None, 0)));
    assert_eq!(judge(&[(":status", "103"), ("link", "</a>")]), Ok((103, None, 1)));
    assert_eq!(judge(&[(":status", "599"), ("content-length", "17")]), Ok((599, Some(17), 0)));
    let same = [(":status", "200"), ("content-length", "1"), ("content-length", "1")];
    assert_eq!(judge(&same), Ok((200, Some(1), 0)));
    assert_eq!(judge(&[(":status", "200"), ("empty", "")]), Ok((200, None, 1)));
}

#[test]
fn the_status_is_there_once_and_first_dgr_17_upb_07() {
    refused(&[], "no :status");
    refused(&[("a", "b")], "no :status");
    refused(&[(":status", "200"), (":status", "200")], "pseudo-header field given twice");
    refused(&[("a", "b"), (":status", "200")], "pseudo-header field behind a field");
    refused(&[(":status", "200"), (":path", "/")], "unknown pseudo-header field");
    for bad in ["", "20", "2000", "099", "600", "+20", "2 0", " 200", "abc", "20\u{661}"] {
        refused(&[(":status", bad)], "status is not from 100 to 599");
    }
}

#[test]
fn fields_that_are_none_dgr_07_to_11_19_27() {
    let refused = |name: &str, value: &str, why| refused(&[(":status", "200"), (name, value)], why);
    for name in ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"] {
        refused(name, "x", "connection-specific field in HTTP/3");
    }
    for name in ["", "a b", "a:b", "a\r\nb", "a\0", "\u{e9}"] {
        refused(name, "x", "field name is not a token");
    }
    refused("X-Upper", "x", "field name in upper case");
    for value in [" x", "x ", "\tx", "x\t"] {
        refused("a", value, "field value begins or ends with white space");
    }
    for value in ["x\ry", "x\ny", "x\0y", "x\r\nSet-Cookie: y"] {
        refused("a", value, "byte not allowed in a field value");
    }
    for value in ["", "+1", "-1", "1,1", "0x1", "99999999999999999999"] {
        refused("content-length", value, "Content-Length is not a number");
    }
    let lines = [(":status", "200"), ("content-length", "1"), ("content-length", "2")];
    assert_eq!(judge(&lines), Err(ResponseFault::Malformed("more than one Content-Length")));
}

#[test]
fn responses_have_bounds_h3q_20_upb_23() {
    let many: Vec<_> = std::iter::once((":status", "200")).chain([("a", "b"); 11]).collect();
    refused(&many, "too many header fields");
    assert!(judge(&many[..11]).is_ok());
    let long = "v".repeat(2048);
    refused(&[(":status", "200"), ("a", &long)], "header section is too large");
}

#[test]
fn sections_without_sense_end_the_connection_h3q_19() {
    let broken = |section: &[u8]| {
        let read = read_response(section, &LIMITS, &mut ResponseHead::new(200));
        let Err(ResponseFault::Connection(fault)) = read else { panic!("{read:?}") };
        assert_eq!(fault.code, Code::QpackDecompressionFailed);
    };
    // No prefix; a dynamic table is needed; an entry of one; one that is not there; a string cut.
    let cases: [&[u8]; 6] =
        [b"", b"\x01\0", b"\0\0\x80", b"\0\0\xFF\x7F", b"\0\0\x23ab", b"\0\0\x51\xFF\xFF\xFF\xFF"];
    for case in cases {
        broken(case);
    }
}

/// The lines of the HEADERS frame that a request makes, read back by the server's role.
fn sent(head: &RequestHead, length: Option<u64>) -> (RequestHead, Option<u64>) {
    let mut out = Vec::new();
    write_request(head, b"origin.test:81", length, &mut out);
    let mut input = Bytes::from(out);
    let piece = MessageReader::new(usize::MAX).read(&mut input);
    let Ok(Some(Piece::Section(section))) = piece else { panic!("{piece:?}") };
    assert!(input.is_empty());
    let mut read = RequestHead::default();
    let length = read_request(&section, &LIMITS, &mut read).expect("a request");
    (read, length)
}

fn asking(method: Method) -> RequestHead {
    let mut head = RequestHead::default();
    head.method = method;
    head
}

#[test]
fn a_request_keeps_what_belongs_to_it_and_nothing_of_the_hop() {
    let mut head = asking(Method::Post);
    for (name, value) in [
        ("Host", "a"),
        ("Connection", "x"),
        ("TE", "gzip"),
        ("Transfer-Encoding", "chunked"),
        ("Upgrade", "websocket"),
        ("HTTP2-Settings", "x"),
        ("X-A", "b"),
        ("Cookie", "c=d; e=f"),
        ("User-Agent", "g"),
    ] {
        head.fields.push(name.as_bytes(), value.as_bytes());
    }
    head.set_target(b"/a%20b?c=\"<d>|{e}`").expect("a target");
    head.takes_trailers = true;
    let (read, length) = sent(&head, Some(3));
    assert_eq!((read.method.as_str(), read.authority()), ("POST", &b"origin.test:81"[..]));
    assert_eq!(read.received_path(), b"/a%20b");
    assert_eq!(read.query(), Some(&b"c=%22%3Cd%3E%7C%7Be%7D%60"[..]));
    assert_eq!((length, read.takes_trailers, read.expects_continue), (Some(3), true, false));
    let fields: Vec<_> = read.fields.iter().map(|(_, name, value)| (name, value)).collect();
    let expected: [(&[u8], &[u8]); 3] =
        [(b"x-a", b"b"), (b"user-agent", b"g"), (b"cookie", b"c=d; e=f")];
    assert_eq!(fields, expected);
}

#[test]
fn every_method_and_both_forms_of_target() {
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"] {
        let method = Method::from_bytes(method.as_bytes()).expect("a token");
        let mut head = asking(method.clone());
        head.fields.push(b"host", b"a");
        head.set_target(b"/").expect("a target");
        head.expects_continue = true;
        let (read, length) = sent(&head, None);
        assert_eq!((&read.method, read.path(), length), (&method, &b"/"[..], None));
        assert!(read.expects_continue);
    }
    let mut head = asking(Method::Options);
    head.fields.push(b"host", b"a");
    head.set_target(b"*").expect("a target");
    assert!(sent(&head, None).0.is_asterisk());
}

/// What a stream of a server brought, read as a client reads it.
#[derive(Debug, Default, PartialEq)]
struct Told {
    interim: Vec<u16>,
    status: Option<u16>,
    content: Vec<u8>,
    has_trailers: bool,
    is_too_large: bool,
}

fn follow(stream: &[u8], cut: usize) -> (Told, Result<bool, Code>) {
    let mut reader = MessageReader::of(Sender::Server, LIMITS.section_bytes);
    let mut told = Told::default();
    for part in stream.chunks(cut) {
        let mut part = Bytes::copy_from_slice(part);
        loop {
            match reader.read(&mut part) {
                Ok(None) => break,
                Ok(Some(Piece::Content(content))) => told.content.extend_from_slice(&content),
                Ok(Some(Piece::TooLarge)) => told.is_too_large = true,
                Ok(Some(Piece::Section(_))) if told.status.is_some() => told.has_trailers = true,
                Ok(Some(Piece::Section(section))) => {
                    let mut head = ResponseHead::new(200);
                    match read_response(&section, &LIMITS, &mut head) {
                        Ok(_) if head.status < 200 => {
                            told.interim.push(head.status);
                            reader.was_interim();
                        }
                        Ok(_) => told.status = Some(head.status),
                        Err(_) => return (told, Err(Code::MessageError)),
                    }
                }
                Err(Fault { code, .. }) => return (told, Err(code)),
            }
        }
    }
    (told, reader.end().map_err(|fault| fault.code))
}

fn written(statuses: &[u16], content: &[u8], trailers: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for status in statuses {
        let head = ResponseHead::new(*status);
        if *status < 200 {
            write_interim(&head, &mut out)
        } else {
            write_response(&head, None, &mut out)
        }
    }
    if !content.is_empty() {
        write_data_head(content.len() as u64, &mut out);
        out.extend_from_slice(content);
    }
    if trailers {
        let mut fields = Fields::new();
        fields.push(b"sum", b"1");
        write_trailers(&fields, &mut out);
    }
    out
}

#[test]
fn interim_responses_stand_ahead_of_the_final_one_upb_12() {
    let stream = written(&[100, 103, 200], b"content", true);
    for cut in 1..=stream.len() {
        let (told, end) = follow(&stream, cut);
        assert_eq!((&told.interim[..], told.status, end), (&[100, 103][..], Some(200), Ok(true)));
        assert_eq!((&told.content[..], told.has_trailers), (&b"content"[..], true));
    }
    // Ended without a final response; content behind an interim one; one head after the other.
    assert_eq!(follow(&written(&[103], b"", false), 1).1, Ok(false));
    assert_eq!(follow(&written(&[103], b"content", false), 1).1, Err(Code::FrameUnexpected));
    let twice = [written(&[200], b"", true), written(&[], b"", true)].concat();
    assert_eq!(follow(&twice, 1).1, Err(Code::FrameUnexpected));
}

#[test]
fn frames_that_have_no_place_in_a_response_h3q_26_27() {
    let head = written(&[200], b"", false);
    for (kind, code) in [
        (0x2, Code::FrameUnexpected),
        (0x3, Code::FrameUnexpected),
        (0x4, Code::FrameUnexpected),
        (0x5, Code::IdError),
        (0x7, Code::FrameUnexpected),
        (0xD, Code::FrameUnexpected),
    ] {
        for stream in [[&[kind, 1, 0], &head[..]].concat(), [&head[..], &[kind, 1, 0]].concat()] {
            assert_eq!(follow(&stream, 1).1, Err(code), "{kind}");
        }
    }
    assert_eq!(follow(&[&head[..], &[0x21, 2, 0, 0]].concat(), 1).1, Ok(true));
    assert_eq!(follow(&[&head[..], &[0, 3, 0]].concat(), 1).1, Err(Code::FrameError));
}

/// What the control stream of a server brought.
fn control(frames: &[u8]) -> (Vec<Control>, Option<u64>, Result<(), Code>) {
    let mut reader = ControlReader::of(Sender::Server);
    let (mut input, mut found) = (frames, Vec::new());
    loop {
        match reader.read(&mut input) {
            Ok(Some(control)) => found.push(control),
            Ok(None) => return (found, reader.goaway(), Ok(())),
            Err(fault) => return (found, reader.goaway(), Err(fault.code)),
        }
    }
}

#[test]
fn the_control_stream_of_a_server_h3q_25_27() {
    let check = |frames: &[u8], goaway, end| {
        let (_, id, outcome) = control(frames);
        assert_eq!((id, outcome), (goaway, end), "{frames:?}");
    };
    check(&[4, 0], None, Ok(()));
    check(&[7, 1, 0], None, Err(Code::MissingSettings));
    check(&[4, 0, 4, 0], None, Err(Code::FrameUnexpected));
    check(&[4, 0, 7, 1, 8], Some(8), Ok(()));
    check(&[4, 0, 7, 1, 8, 7, 1, 4], Some(4), Ok(()));
    check(&[4, 0, 7, 1, 8, 7, 1, 12], Some(8), Err(Code::IdError));
    for id in [1, 2, 3, 9] {
        check(&[4, 0, 7, 1, id], None, Err(Code::IdError));
    }
    check(&[4, 0, 7, 2, 0, 0], None, Err(Code::FrameError));
    check(&[4, 0, 0xD, 1, 0], None, Err(Code::FrameUnexpected));
    check(&[4, 0, 3, 1, 0], None, Err(Code::IdError));
    check(&[4, 2, 2, 0], None, Err(Code::SettingsError));
    check(&[4, 4, 6, 1, 6, 1], None, Err(Code::SettingsError));
    check(&[4, 1, 6], None, Err(Code::FrameError));
    assert_eq!(control(&[4, 3, 6, 0x44, 0]).0, [Control::Settings]);
}

proptest! {
    #[test]
    fn a_response_is_the_same_however_it_is_cut(
        interim in proptest::collection::vec(prop_oneof![Just(100u16), Just(103)], 0..3),
        content in proptest::collection::vec(any::<u8>(), 0..100),
        trailers: bool, cut in 1usize..40
    ) {
        let statuses: Vec<u16> = interim.iter().copied().chain([200]).collect();
        let stream = written(&statuses, &content, trailers);
        let (told, end) = follow(&stream, cut);
        prop_assert_eq!(end, Ok(true));
        prop_assert_eq!(told.interim, interim);
        prop_assert_eq!((told.content, told.has_trailers), (content, trailers));
    }

    #[test]
    fn any_bytes_of_a_server_give_the_same_however_they_are_cut(
        stream in proptest::collection::vec(any::<u8>(), 0..200), cut in 1usize..20
    ) {
        prop_assert_eq!(follow(&stream, cut), follow(&stream, stream.len().max(1)));
    }

    #[test]
    fn a_head_that_is_read_can_be_sent_on(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let mut head = ResponseHead::new(200);
        if read_response(&bytes, &LIMITS, &mut head).is_ok() {
            prop_assert!((100..600).contains(&head.status));
            for (_, name, value) in head.fields.iter() {
                prop_assert!(!name.is_empty() && !name.contains(&b':'));
                prop_assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
            }
        }
    }
}
