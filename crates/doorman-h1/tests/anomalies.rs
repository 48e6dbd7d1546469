//! What is odd about requests: of those that are read, and of those that are refused.

use doorman_h1::{Limits, Progress, read_request};
use doorman_http::RequestHead;
use doorman_http::desync::{Anomaly, Class};

fn of(text: &[u8]) -> Result<Option<Anomaly>, Option<Anomaly>> {
    let mut head = RequestHead::default();
    match read_request(text, &Limits::default(), &mut head) {
        Ok(Progress::Done { .. }) => Ok(head.anomaly),
        Ok(Progress::Partial) => panic!("a whole request: {}", text.escape_ascii()),
        Err(refusal) => Err(refusal.anomaly()),
    }
}

#[test]
fn what_is_read_is_told_with_what_is_odd_about_it() {
    use Anomaly::{
        EmptyLine, ImitatedField, ImitatedFraming, NonAscii, TwoHosts, UndefinedBody, ZeroLength,
    };
    for (text, expect) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", None),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", None),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        ("DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", None),
        ("GET http://a/ HTTP/1.1\r\nHost: A\r\n\r\n", None),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", None),
        ("GET / HTTP/1.1\r\nHost: a\r\nX_Own: 1\r\n\r\n", None),
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Some(EmptyLine)),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", Some(ZeroLength)),
        ("HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", Some(ZeroLength)),
        ("GET / HTTP/1.1\r\nHost: a\r\nX-Name: caf\u{e9}\r\n\r\n", Some(NonAscii)),
        ("GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 1\r\n\r\n", Some(ImitatedField)),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent_Length: 1\r\n\r\n", Some(ImitatedFraming)),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer.Encoding: chunked\r\n\r\n", Some(ImitatedFraming)),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", Some(UndefinedBody)),
        ("HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", Some(UndefinedBody)),
        ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", Some(TwoHosts)),
        ("GET http://a:8080/ HTTP/1.1\r\nHost: a\r\n\r\n", Some(TwoHosts)),
        // The worst of several.
        (
            "\r\nGET / HTTP/1.1\r\nHost: a\r\nUser_Agent: 1\r\ncontent_length: 1\r\n\r\n",
            Some(ImitatedFraming),
        ),
        (
            "\r\nGET / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\nX: \u{e9}\r\n\r\n",
            Some(UndefinedBody),
        ),
    ] {
        assert_eq!(of(text.as_bytes()), Ok(expect), "{text:?}");
        assert!(expect.is_none_or(|anomaly| anomaly.class() < Class::Severe), "{text:?}");
    }
}

#[test]
fn what_is_refused_is_told_by_its_kind() {
    use Anomaly::{
        BadCoding, BadConnection, BadHost, BadLength, BadMethod, BadRequestLine, BadTarget,
        BadVersion, BareLineFeed, ControlByte, EmptyLines, FoldedLine, LengthAndCoding,
        NamelessField, SpaceInName,
    };
    let field = |line: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n");
    let line = |line: &str| format!("{line}\r\nHost: a\r\n\r\n");
    for (text, expect) in [
        (field("Content-Length: 1\r\nTransfer-Encoding: chunked"), Some(LengthAndCoding)),
        (field("Content-Length: 1\r\nContent-Length: 1"), Some(BadLength)),
        (field("Content-Length: +1"), Some(BadLength)),
        (field("Content-Length: 99999999999999999999"), Some(BadLength)),
        (field("Transfer-Encoding: xchunked"), Some(BadCoding)),
        (field("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), Some(BadCoding)),
        (field("Transfer-Encoding: chunked, chunked"), Some(BadCoding)),
        (field("Transfer-Encoding : chunked"), Some(SpaceInName)),
        (field(" folded"), Some(FoldedLine)),
        (field("no colon"), Some(SpaceInName)),
        (field("nocolon"), Some(NamelessField)),
        (field(": nameless"), Some(NamelessField)),
        (field("X: a\0b"), Some(ControlByte)),
        (field("X: a\rb"), Some(ControlByte)),
        (field("X\u{7f}: a"), Some(ControlByte)),
        (field("X: a\nY: b"), Some(BareLineFeed)),
        (field("Connection: content-length"), Some(BadConnection)),
        (field("Host: a"), Some(BadHost)),
        (line("G(T / HTTP/1.1"), Some(BadMethod)),
        (line("GET /a b HTTP/1.1"), Some(BadRequestLine)),
        (line("GET /"), Some(BadRequestLine)),
        (line("GET / HTTP/2.0"), Some(BadVersion)),
        (line("GET / HTTP/x"), Some(BadVersion)),
        (line("GET a HTTP/1.1"), Some(BadTarget)),
        (line("GET /%zz HTTP/1.1"), Some(BadTarget)),
        (format!("{}{}", "\r\n".repeat(9), line("GET / HTTP/1.1")), Some(EmptyLines)),
        // What is only too large, or not offered, is read alike by everybody.
        (line(&format!("GET /{} HTTP/1.1", "a".repeat(9000))), None),
        (line("TRACE / HTTP/1.1"), None),
        (field("Expect: wonders"), None),
    ] {
        assert_eq!(of(text.as_bytes()), Err(expect), "{text:?}");
    }
}
