//! Which answers are coded, and in which coding: by what the client takes, what the answer is, and
//! what the operator wants.

use doorman_testkit::origin::{Script, Seen};

use crate::decode::{CODINGS, encode};
use crate::rig::{FRONTS, Front, House, chunk, chunks, page, said, text};

const LENGTH: usize = 9_000;

#[test]
fn the_client_gets_what_it_likes_best() {
    let content = text(1, LENGTH);
    let sent = content.clone();
    let house = House::with("compress zstd br gzip", move |_| page("", &sent));
    for (accept, coding) in [
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip;q=1, br;q=0.5", "gzip"),
        ("gzip;q=0.5, br;q=0.8, zstd;q=0.1", "br"),
        ("*", "zstd"),
        ("*;q=0.5, gzip", "gzip"),
        ("zstd;q=0, *", "br"),
        ("gzip;q=0", "identity"),
        ("identity", "identity"),
        ("identity, gzip", "gzip"),
        ("identity;q=1, gzip;q=0.5", "identity"),
        ("identity;q=0", "identity"),
        ("identity;q=0, gzip;q=0.1", "gzip"),
        ("deflate, compress, dcb", "identity"),
        ("", "identity"),
        ("gzip;q=nonsense, br", "br"),
        (",,gzip,,", "gzip"),
    ] {
        for front in FRONTS {
            let got = house.ask(front, "GET", "/", &[("accept-encoding", accept)]);
            assert_eq!(got.coding(), coding, "{front:?} {accept:?}");
            got.is(coding, &content);
            assert!(got.all("vary").to_lowercase().contains("accept-encoding"), "{accept:?}");
        }
    }
    house.get("/", &[]).is("identity", &content);
    let two = [("accept-encoding", "gzip;q=0.5"), ("accept-encoding", "br")];
    house.get("/", &two).is("br", &content);
}

#[test]
fn cde_12_no_accept_encoding_breaks_the_coding() {
    let content = text(1, LENGTH);
    let sent = content.clone();
    let house = House::with("compress", move |_| page("", &sent));
    let long = "gzip;q=0.1,".repeat(1_000);
    let values = [
        ";",
        ";q",
        "gzip;q",
        "gzip;q=",
        "gzip;q=9",
        "gzip;q=-1",
        "gzip;q=0.0000",
        "*;q=0",
        "gzip;;q=1",
        "gzip;q=1;q=0",
        "\"gzip\"",
        "gzip=\"",
        "q=1",
        "gzip q=1",
        "br,,,,gzip,",
        "gzip;level=9",
        &long,
    ];
    for front in FRONTS {
        for value in values {
            let got = house.ask(front, "GET", "/", &[("accept-encoding", value)]);
            assert!(got.content() == content, "{front:?} {value:?}: {:?}", got.fields);
        }
    }
    let many = vec![("accept-encoding", "gzip"); 50];
    house.get("/", &many).is("gzip", &content);
}

/// Whether an answer is coded, and the reason that the log has if it is not.
#[track_caller]
fn check(site: &str, asked: &[(&str, &str)], answer: Script, reason: Option<&str>) {
    let house = House::with(site, move |_| answer.clone());
    let mut fields = asked.to_vec();
    if !asked.iter().any(|(name, _)| *name == "accept-encoding") {
        fields.push(("accept-encoding", "gzip"));
    }
    let got = house.get("/a", &fields);
    assert!(got.whole, "{got:?}");
    let line = house.line("/a");
    match reason {
        None => {
            assert_eq!(got.coding(), "gzip", "{:?}", got.fields);
            got.content();
            assert!(line.contains("\"coding\":\"gzip\""), "{line}");
        }
        Some(reason) => {
            let own = ["gzip", "identity"].contains(&got.coding()) && reason != "coded";
            assert!(!own || got.field("content-encoding").is_none(), "{:?}", got.fields);
            let words = format!("\"code_reason\":\"{reason}\"");
            assert!(line.contains(&words), "{reason}: {line}");
        }
    }
}

#[test]
fn answers_are_coded_by_their_kind() {
    let content = text(1, LENGTH);
    for (kind, is_coded) in [
        ("text/html", true),
        ("text/html; charset=utf-8", true),
        ("TEXT/CSS", true),
        ("application/json", true),
        ("application/ld+json", true),
        ("image/svg+xml", true),
        ("application/javascript", true),
        ("application/wasm", true),
        ("image/png", false),
        ("video/mp4", false),
        ("application/octet-stream", false),
        ("font/woff2", false),
    ] {
        let answer = said(&format!("Content-Type: {kind}\r\n"), &content);
        check("compress", &[], answer, if is_coded { None } else { Some("type") });
    }
    check("compress", &[], said("", &content), Some("type"));
}

#[test]
fn answers_that_must_stay_as_they_are_do() {
    let content = text(1, LENGTH);
    let with = |fields: &str| page(fields, &content);
    check("compress", &[], page("", text(1, 511)), Some("small"));
    check("compress { min 10KB }", &[], with(""), Some("small"));
    check("compress { min 0B }", &[], page("", text(1, 90)), None);
    check("compress", &[], with("Cache-Control: public, no-transform\r\n"), Some("no-transform"));
    check("compress", &[("accept-encoding", "deflate")], with(""), Some("not-accepted"));
    check("compress { types text/html }", &[], with(""), Some("type"));
    let events = said("Content-Type: text/event-stream\r\n", &content);
    check("compress", &[], events, Some("stream"));
    let calls = said("Content-Type: application/grpc+proto\r\n", &content);
    check("compress { types */* }", &[], calls, Some("stream"));
    let part = Script::new().send(format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-599/9000\r\n\
         Content-Length: 600\r\n\r\n{}",
        String::from_utf8_lossy(&content[..600])
    ));
    check("compress", &[("range", "bytes=0-599")], part, Some("range"));
}

#[test]
fn an_error_page_is_coded_too() {
    let content = text(1, LENGTH);
    let sent = content.clone();
    let house = House::with("compress", move |_| {
        doorman_testkit::origin::reply("404 Not Found", "Content-Type: text/html\r\n", &sent)
    });
    let got = house.taking("/", "br");
    assert_eq!((got.status, got.coding()), (404, "br"));
    assert!(got.content() == content);
}

/// An origin that codes as `/CODING` says.
fn coded(seen: &Seen) -> Script {
    let coding = seen.target().trim_start_matches('/');
    let fields =
        format!("Content-Encoding: {coding}\r\nVary: Accept-Encoding\r\nETag: \"{coding}\"\r\n");
    page(&fields, encode(coding, &text(1, LENGTH)))
}

#[test]
fn what_the_origin_has_coded_is_passed() {
    let house = House::with("compress", coded);
    for coding in CODINGS {
        for front in FRONTS {
            let all = [("accept-encoding", "gzip, br, zstd")];
            let got = house.ask(front, "GET", &format!("/{coding}"), &all);
            got.is(coding, &text(1, LENGTH));
            assert_eq!(got.field("etag"), Some(&*format!("\"{coding}\"")), "nothing was changed");
        }
    }
}

#[test]
fn what_the_origin_has_coded_is_coded_anew_where_that_is_wanted() {
    let house = House::with("compress zstd br gzip { coded recode }", coded);
    for origin in CODINGS {
        for taken in CODINGS {
            for front in [Front::Plain, Front::H2] {
                let fields = [("accept-encoding", taken)];
                let got = house.ask(front, "GET", &format!("/{origin}"), &fields);
                got.is(taken, &text(1, LENGTH));
                let vary = got.all("vary").to_lowercase();
                assert_eq!(vary.matches("accept-encoding").count(), 1, "{vary}");
                let tag = got.field("etag").unwrap_or_default();
                assert_eq!(tag.starts_with("W/"), origin != taken, "{origin} {taken}: {tag}");
            }
        }
    }
}

#[test]
fn what_a_client_cannot_read_is_decoded_for_it() {
    let house = House::with("decompress", coded);
    for coding in CODINGS {
        for front in FRONTS {
            let target = format!("/{coding}");
            let got = house.ask(front, "GET", &target, &[]);
            got.is("identity", &text(1, LENGTH));
            assert_eq!(got.field("etag"), Some(&*format!("W/\"{coding}\"")));
            assert!(got.field("content-length").is_none_or(|length| length == "9000"));
            let fields = [("accept-encoding", coding)];
            let got = house.ask(front, "GET", &target, &fields);
            got.is(coding, &text(1, LENGTH));
            assert_eq!(got.field("etag"), Some(&*format!("\"{coding}\"")), "it was passed");
        }
    }
}

#[test]
fn a_body_that_breaks_off_in_its_coding_is_not_a_whole_one() {
    let house = House::with("decompress", |seen| {
        let coding = seen.target().trim_start_matches('/');
        let bytes = encode(coding, &text(1, 90_000));
        let fields = format!("Content-Encoding: {coding}\r\n");
        chunks(&fields).send(chunk(&bytes[..bytes.len() / 2])).send(crate::rig::LAST)
    });
    for coding in CODINGS {
        for front in FRONTS {
            let got = house.try_ask(front, "GET", &format!("/{coding}"), &[]);
            let told = got.as_ref().map(|got| (got.status, got.whole));
            assert!(!matches!(told, Ok((200, true))), "{front:?} {coding}: {told:?}");
        }
    }
}
