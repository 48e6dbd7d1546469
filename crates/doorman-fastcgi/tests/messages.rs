//! Scripts, meta-variables and heads of responses, case by case.

use std::collections::BTreeMap;

use doorman_fastcgi::{
    Asked, Progress, ReplyFault, ReplyLimits, Script, ScriptFault, find_script, read_pairs,
    read_reply, write_variables,
};
use doorman_http::{FieldId, RequestHead, ResponseHead, Scheme, Version};
use proptest::prelude::*;

#[test]
fn paths_and_their_scripts() {
    let php = (Some(".php"), Some("index.php"));
    let whole = (None, None);
    type Expected = Result<(&'static str, &'static str), ScriptFault>;
    type Words = (Option<&'static str>, Option<&'static str>);
    let rows: &[(Words, &str, Expected)] = &[
        (php, "/", Ok(("/index.php", ""))),
        (php, "/a.php", Ok(("/a.php", ""))),
        (php, "/a.php/", Ok(("/a.php", "/"))),
        (php, "/a.php/b", Ok(("/a.php", "/b"))),
        (php, "/a.php/b.php/c", Ok(("/a.php", "/b.php/c"))),
        (php, "/a.phpx/b.php", Ok(("/a.phpx/b.php", ""))),
        (php, "/a.php.bak", Err(ScriptFault::Missing)),
        (php, "/dir/", Ok(("/dir/index.php", ""))),
        (php, "/dir", Err(ScriptFault::Missing)),
        (php, "/.php", Ok(("/.php", ""))),
        (php, "/a%20b.php/c%20d", Ok(("/a b.php", "/c d"))),
        (php, "/a.php/b%2Fc", Ok(("/a.php", "/b%2Fc"))),
        (php, "/a.php/b%252Fc", Ok(("/a.php", "/b%2Fc"))),
        (php, "/a%252Fb.php", Ok(("/a%2Fb.php", ""))),
        (php, "/a%2Fb.php", Err(ScriptFault::Path)),
        (php, "/x.jpg%2Fy.php", Err(ScriptFault::Path)),
        (php, "/a.php%2Fb", Err(ScriptFault::Missing)),
        (php, "/a%00.php", Err(ScriptFault::Path)),
        (php, "/a%0a.php", Err(ScriptFault::Path)),
        (php, "/a%7f.php", Err(ScriptFault::Path)),
        (php, "/%2e%2e/a.php", Err(ScriptFault::Path)),
        (php, "/../a.php", Err(ScriptFault::Path)),
        (php, "/a.php/../b", Err(ScriptFault::Path)),
        (php, "/a%2", Err(ScriptFault::Path)),
        (php, "/a%zz.php", Err(ScriptFault::Path)),
        (php, "*", Err(ScriptFault::Missing)),
        (php, "", Err(ScriptFault::Missing)),
        (whole, "/any/thing", Ok(("/any/thing", ""))),
        (whole, "/any/", Err(ScriptFault::Missing)),
        ((None, Some("main")), "/any/", Ok(("/any/main", ""))),
        ((Some(".php"), None), "/", Err(ScriptFault::Missing)),
    ];
    for ((split, index), path, expected) in rows {
        let expected = expected.map(|(name, info)| Script { name: name.into(), info: info.into() });
        assert_eq!(find_script(path.as_bytes(), *split, *index), expected, "{path}");
    }
}

fn head(lines: &[(&str, &str)], target: &str) -> RequestHead {
    let mut head = RequestHead::default();
    head.fields.push(b"Host", b"a.test:8080");
    for (name, value) in lines {
        head.fields.push(name.as_bytes(), value.as_bytes());
    }
    head.set_target(target.as_bytes()).expect("a target");
    head
}

fn variables(asked: &Asked<'_>, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut out = Vec::new();
    write_variables(&mut out, asked, more);
    let pairs = read_pairs(&out).expect("pairs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let map: BTreeMap<_, _> = pairs.iter().map(|(name, value)| (text(name), text(value))).collect();
    assert_eq!(map.len(), pairs.len(), "no name twice: {map:?}");
    map
}

#[test]
fn what_is_not_known_is_not_told() {
    let head = head(&[], "/x.php");
    let script = Script { name: b"/x.php".to_vec(), info: Vec::new() };
    let asked = Asked {
        head: &head,
        host: b"",
        script: &script,
        root: "",
        client: None,
        client_port: None,
        server: None,
        content_length: None,
    };
    let told = variables(&asked, &[]);
    for name in [
        "CONTENT_LENGTH",
        "CONTENT_TYPE",
        "DOCUMENT_ROOT",
        "HTTPS",
        "HTTP_HOST",
        "PATH_INFO",
        "PATH_TRANSLATED",
        "REMOTE_PORT",
        "SCRIPT_FILENAME",
    ] {
        assert_eq!(told.get(name), None, "{name}");
    }
    // RFC 3875 wants these in any case.
    for name in ["QUERY_STRING", "REMOTE_ADDR"] {
        assert_eq!(told.get(name).map(String::as_str), Some(""), "{name}");
    }
}

#[test]
fn what_is_written_in_the_configuration_wins() {
    let mut head = head(&[("X-A", "1")], "/x.php");
    head.scheme = Scheme::Https;
    head.version = Version::Http2;
    let script = Script { name: b"/x.php".to_vec(), info: Vec::new() };
    let asked = Asked {
        head: &head,
        host: b"a.test:8080",
        script: &script,
        root: "/srv",
        client: Some([192, 0, 2, 1].into()),
        client_port: Some(5),
        server: Some(([192, 0, 2, 9], 8080).into()),
        content_length: Some(0),
    };
    let more = [("HTTPS", "off"), ("HTTP_X_A", "2"), ("SCRIPT_FILENAME", "/other"), ("OWN", "x")];
    let told = variables(&asked, &more);
    let rows = [
        ("HTTPS", "off"),
        ("HTTP_X_A", "2"),
        ("SCRIPT_FILENAME", "/other"),
        ("OWN", "x"),
        ("SERVER_PROTOCOL", "HTTP/2.0"),
        ("SERVER_NAME", "a.test"),
        ("SERVER_PORT", "8080"),
        ("SERVER_ADDR", "192.0.2.9"),
        ("REMOTE_ADDR", "192.0.2.1"),
        ("REMOTE_PORT", "5"),
        ("CONTENT_LENGTH", "0"),
        ("HTTP_HOST", "a.test:8080"),
    ];
    for (name, value) in rows {
        assert_eq!(told.get(name).map(String::as_str), Some(value), "{name}");
    }
}

/// An application that routes by `REQUEST_URI` sees the path that rules saw.
#[test]
fn the_uri_is_in_its_normal_form() {
    for (target, uri) in [
        ("/a/../b?x=/../y", "/b?x=/../y"),
        ("/%61//b", "/a/b"),
        ("/a%2fb", "/a%2Fb"),
        ("/a?", "/a?"),
    ] {
        let mut head = head(&[], target);
        head.rewrite_path(b"/rewritten.php").expect("a path");
        let script = Script { name: b"/rewritten.php".to_vec(), info: Vec::new() };
        let asked = Asked {
            head: &head,
            host: b"",
            script: &script,
            root: "",
            client: None,
            client_port: None,
            server: None,
            content_length: None,
        };
        let told = variables(&asked, &[]);
        assert_eq!(told["REQUEST_URI"], uri);
        assert_eq!(told["SCRIPT_NAME"], "/rewritten.php");
    }
}

const LIMITS: ReplyLimits = ReplyLimits { bytes: 256, fields: 5 };

type Read = Result<(u16, Option<u64>, usize), ReplyFault>;

fn read(input: &[u8]) -> (Option<Read>, ResponseHead) {
    let mut head = ResponseHead::new(200);
    let read = match read_reply(input, LIMITS, &mut head) {
        Ok(Progress::Partial) => None,
        Ok(Progress::Done { consumed, length }) => Some(Ok((head.status, length, consumed))),
        Err(fault) => Some(Err(fault)),
    };
    (read, head)
}

#[test]
fn heads_of_responses() {
    let rows: &[(&str, u16, Option<u64>)] = &[
        ("Content-Type: a/b\r\n\r\n", 200, None),
        ("Content-Type: a/b\n\n", 200, None),
        ("Content-Type: a/b\r\n\n", 200, None),
        ("CONTENT-TYPE:a/b\r\n\r\n", 200, None),
        ("Status: 404 Not Found\r\n\r\n", 404, None),
        ("status:599\n\n", 599, None),
        ("Location: /x\r\n\r\n", 302, None),
        ("Location: /x\r\nStatus: 201 Created\r\n\r\n", 201, None),
        ("Content-Type: a/b\r\nContent-Length: 0012\r\n\r\n", 200, Some(12)),
        ("Content-Type: \r\n\r\n", 200, None),
    ];
    for (text, status, length) in rows {
        let followed = [text.as_bytes(), b"\r\nmore"].concat();
        assert_eq!(read(&followed).0, Some(Ok((*status, *length, text.len()))), "{text:?}");
        for cut in 0..text.len() {
            assert_eq!(read(&text.as_bytes()[..cut]).0, None, "cut at {cut}: {text:?}");
        }
    }
}

#[test]
fn heads_that_are_refused() {
    let rows: &[&str] = &[
        "\r\n",
        "\n",
        "X: y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\n",
        "Content-Type: a/b\r\n folded\r\n\r\n",
        "Content-Type: a/b\r\n: nameless\r\n\r\n",
        "Content-Type : a/b\r\n\r\n",
        "Content-Type: a/b\r\nX: \x01\r\n\r\n",
        "Content-Type: a/b\r\nX: a\rb\r\n\r\n",
        "Status: 20\r\n\r\n",
        "Status: 2000\r\n\r\n",
        "Status: 100\r\n\r\n",
        "Status: 101\r\n\r\n",
        "Status: +20\r\n\r\n",
        "Status: \r\n\r\n",
        "Status: 200\r\nStatus: 200\r\n\r\n",
        "Location: /\r\nLocation: /\r\n\r\n",
        "Status: 200\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "Status: 200\r\nContent-Length: 1, 1\r\n\r\n",
        "Status: 200\r\nContent-Length: -1\r\n\r\n",
        "Status: 200\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "Status: 200\r\nTransfer-Encoding: identity\r\n\r\n",
        "Status: 200\r\nA: 1\r\nA: 2\r\nA: 3\r\nA: 4\r\nA: 5\r\n\r\n",
    ];
    for text in rows {
        assert!(matches!(read(text.as_bytes()).0, Some(Err(_))), "{text:?}");
    }
    let long = format!("Status: 200\r\nA: {}\r\n\r\n", "x".repeat(300));
    assert!(matches!(read(long.as_bytes()).0, Some(Err(_))));
    assert_eq!(read(&long.as_bytes()[..255]).0, None);
}

#[test]
fn fields_of_a_connection_and_of_framing_stay_behind() {
    let text =
        b"Content-Type: a/b\nConnection: close\nUpgrade: x\nSet-Cookie: a\nContent-Length: 3\n\n";
    let (_, head) = read(text);
    let names: Vec<_> = head.fields.iter().map(|(id, ..)| id).collect();
    assert_eq!(names, [FieldId::ContentType, FieldId::SetCookie]);
}

proptest! {
    #[test]
    fn a_prefix_never_decides_otherwise(
        text in "(Status: [0-9]{2,4}|Content-Type: a|Content-Length: [0-9]{1,3}|X: .{0,9}|[ -~]{0,12})(\r?\n(Location: /|X: y|))?(\r?\n){0,2}.{0,300}",
        cut in any::<proptest::sample::Index>(),
    ) {
        let bytes = text.as_bytes();
        let (whole, early) = (read(bytes).0, read(&bytes[..cut.index(bytes.len() + 1)]).0);
        prop_assert!(early.is_none() || early == whole, "{:?} {:?}", early, whole);
    }

    #[test]
    fn no_script_lies_outside_of_the_root(path in "/([a-z.%/]|%2[eEfF]|%00|%5c|\\.php){0,40}") {
        if let Ok(script) = find_script(path.as_bytes(), Some(".php"), Some("index.php")) {
            prop_assert!(script.name.starts_with(b"/") && script.name.ends_with(b".php"));
            let climbs = |part: &[u8]| part.split(|b| *b == b'/').any(|s| s == b".." || s == b".");
            prop_assert!(!climbs(&script.name) && !climbs(&script.info));
            prop_assert!(!script.name.contains(&0) && !script.info.contains(&0));
            prop_assert!(script.info.is_empty() || script.info.starts_with(b"/"));
        }
    }
}
