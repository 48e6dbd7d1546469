//! The fields of a coded answer: validators, `Vary`, ranges and digests (RFC 9110 sections 8.8.3, 12.5.5
//! and 14, RFC 9530).

use doorman_testkit::origin::{Script, Seen};

use crate::decode::CODINGS;
use crate::rig::{FRONTS, House, page, text};

const LENGTH: usize = 9_000;

/// An origin that knows the tag `"a"`, ranges and conditions, by the book.
fn by_the_book(seen: &Seen) -> Script {
    let content = text(1, LENGTH);
    let fields = "ETag: \"a\"\r\nAccept-Ranges: bytes\r\nCache-Control: max-age=60\r\n";
    let weakly = |value: &str| value.split(", ").any(|tag| tag.trim_start_matches("W/") == "\"a\"");
    if seen.field("if-none-match").is_some_and(weakly) {
        return Script::new()
            .send("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nCache-Control: max-age=60\r\n\r\n");
    }
    // A weak tag never matches in If-Range (RFC 9110 section 13.1.5).
    let whole = seen.field("if-range").is_some_and(|tag| tag != "\"a\"");
    if seen.field("range") == Some("bytes=100-1099") && !whole {
        let body = String::from_utf8_lossy(&content[100..1100]).into_owned();
        return Script::new().send(format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Type: text/plain\r\n{fields}\
             Content-Range: bytes 100-1099/{LENGTH}\r\nContent-Length: 1000\r\n\r\n{body}"
        ));
    }
    page(fields, content)
}

#[test]
fn cin_12_the_tag_of_a_coded_answer_is_weak() {
    for (tag, weak) in [("\"a\"", "W/\"a\""), ("W/\"a\"", "W/\"a\""), ("\"\"", "W/\"\"")] {
        let house =
            House::with("compress", move |_| page(&format!("ETag: {tag}\r\n"), text(1, LENGTH)));
        for front in FRONTS {
            for coding in CODINGS {
                let got = house.ask(front, "GET", "/", &[("accept-encoding", coding)]);
                got.is(coding, &text(1, LENGTH));
                assert_eq!(got.all("etag"), weak, "{front:?} {coding}");
            }
            let got = house.ask(front, "GET", "/", &[]);
            got.is("identity", &text(1, LENGTH));
            assert_eq!(got.all("etag"), tag, "{front:?}: it is the origin's, byte for byte");
        }
    }
}

#[test]
fn cin_12_each_form_is_revalidated_with_its_own_tag() {
    let house = House::with("compress", by_the_book);
    for front in FRONTS {
        for coding in CODINGS.into_iter().chain(["identity"]) {
            let got = house.ask(front, "GET", "/", &[("accept-encoding", coding)]);
            let tag = got.all("etag");
            let asked = [("accept-encoding", coding), ("if-none-match", &*tag)];
            let not = house.ask(front, "GET", "/", &asked);
            assert_eq!(not.status, 304, "{front:?} {coding}");
            // What a 304 says is what the 200 would have said (RFC 9110 section 15.4.5).
            assert_eq!(not.all("etag"), tag, "{front:?} {coding}");
            assert_eq!(not.all("vary").to_lowercase(), got.all("vary").to_lowercase());
            assert_eq!(not.field("content-encoding"), None, "{front:?} {coding}");
            let asked = [("accept-encoding", coding), ("if-none-match", "\"other\"")];
            house.ask(front, "GET", "/", &asked).is(coding, &text(1, LENGTH));
        }
    }
}

#[test]
fn vary_names_the_field_once() {
    for (vary, expected) in [
        (None, "accept-encoding"),
        (Some("Accept-Encoding"), "accept-encoding"),
        (Some("accept-encoding, Origin"), "accept-encoding, origin"),
        (Some("Origin"), "origin, accept-encoding"),
        (Some("*"), "*"),
    ] {
        let line = vary.map(|vary| format!("Vary: {vary}\r\n")).unwrap_or_default();
        let house = House::with("compress", move |_| page(&line, text(1, LENGTH)));
        // Who takes no coding gets what another one must not be given: a cache on the way has to know.
        for coding in ["gzip", "identity"] {
            let got = house.taking("/", coding);
            assert_eq!(got.all("vary").to_lowercase(), expected, "{vary:?} {coding}");
        }
    }
    // What is never coded does not vary.
    let house = House::with("compress", |_| {
        crate::rig::said("Content-Type: image/png\r\n", text(1, LENGTH))
    });
    assert_eq!(house.taking("/", "gzip").field("vary"), None);
}

#[test]
fn what_holds_for_the_bytes_of_the_origin_goes() {
    let fields = "Accept-Ranges: bytes\r\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\nDigest: sha-256=X48E9q==\r\n\
                  Content-Digest: sha-256=:X48E9q==:\r\nRepr-Digest: sha-256=:X48E9q==:\r\nX-Other: 1\r\n";
    let house = House::with("compress", move |_| page(fields, text(1, LENGTH)));
    let names = ["accept-ranges", "content-md5", "digest", "content-digest", "repr-digest"];
    for front in FRONTS {
        let got = house.ask(front, "GET", "/", &[("accept-encoding", "br")]);
        got.is("br", &text(1, LENGTH));
        for name in names {
            let value = got.field(name);
            assert!(value.is_none_or(|value| value == "none"), "{front:?} {name}: {value:?}");
        }
        assert_eq!(got.field("x-other"), Some("1"));
        let got = house.ask(front, "GET", "/", &[]);
        for name in names {
            assert!(got.field(name).is_some(), "{front:?} {name}: it still holds");
        }
    }
}

#[test]
fn a_range_is_one_of_the_bytes_of_the_origin() {
    let house = House::with("compress", by_the_book);
    for front in FRONTS {
        for tag in [None, Some("\"a\"")] {
            let mut asked = vec![("accept-encoding", "gzip"), ("range", "bytes=100-1099")];
            asked.extend(tag.map(|tag| ("if-range", tag)));
            let got = house.ask(front, "GET", "/", &asked);
            assert_eq!((got.status, got.field("content-encoding")), (206, None), "{front:?}");
            assert_eq!(got.field("content-range"), Some("bytes 100-1099/9000"), "{front:?}");
            assert_eq!(got.body, &text(1, LENGTH)[100..1100], "{front:?}");
            assert_eq!(got.all("etag"), "\"a\"", "{front:?}: of the same bytes");
        }
        // The tag of the coded form: its bytes are others, so all is sent.
        let got = house.ask(
            front,
            "GET",
            "/",
            &[("accept-encoding", "gzip"), ("range", "bytes=100-1099"), ("if-range", "W/\"a\"")],
        );
        assert_eq!(got.status, 200, "{front:?}");
        assert!(got.content() == text(1, LENGTH), "{front:?}");
    }
}
