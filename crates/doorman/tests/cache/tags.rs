//! Entity tags that are made of what is kept: for those who have it already, and never for origins.

use crate::rig::{Ask, FRONTS, Front, House, Setup, bare, fresh, said};

/// The first half of SHA-256 of `abc`.
const ABC: &str = "\"ba7816bf8f01cfea414140de5dae2223\"";

fn asking(target: &str, tag: &str) -> Ask {
    Ask::get(target).with("If-None-Match", tag)
}

#[test]
fn what_is_kept_without_a_validator_gets_a_tag_of_its_content() {
    let large = vec![b'x'; 100_000];
    let house = House::fronted("", move |_, seen| match seen.target() {
        "/large" => fresh("", &large),
        _ => fresh("", "abc"),
    });
    for front in FRONTS {
        // The first answer goes out while it comes, without a tag; what is asked for by TLS is another.
        house.ask(front, &Ask::get("/a")).is("abc");
        let got = house.ask(front, &Ask::get("/a"));
        got.is("abc");
        assert_eq!(got.field("etag"), Some(ABC), "{front:?}");
        // When a client has it already.
        for tag in [
            ABC,
            "W/\"ba7816bf8f01cfea414140de5dae2223\"",
            "\"b\", \"ba7816bf8f01cfea414140de5dae2223\"",
            "*",
        ] {
            let got = house.ask(front, &asking("/a", tag));
            assert_eq!((got.status, got.body.len()), (304, 0), "{front:?} {tag}");
            assert_eq!(got.field("etag"), Some(ABC), "{front:?}");
        }
        house.ask(front, &asking("/a", "\"b\"")).is("abc");
        let head = house.ask(front, &Ask::new("HEAD", "/a"));
        assert_eq!((head.status, head.field("etag")), (200, Some(ABC)), "{front:?}");
        let part =
            house.ask(front, &Ask::get("/a").with("Range", "bytes=1-1").with("If-Range", ABC));
        assert_eq!((part.status, part.text().as_str()), (206, "b"), "{front:?}");
        let whole = Ask::get("/a").with("Range", "bytes=1-1").with("If-Range", "\"b\"");
        house.ask(front, &whole).is("abc");
    }
    assert_eq!(house.asked("/a"), 2);
    assert_eq!(house.get("/large").body.len(), 100_000);
    let tag = house.get("/large").field("etag").expect("a tag").to_owned();
    assert_eq!(house.ask(Front::Plain, &asking("/large", &tag)).status, 304);
}

#[test]
fn what_has_a_validator_or_is_not_whole_gets_no_other() {
    let house = House::caching("ttl 1m 404", |_, seen| match seen.target() {
        "/tagged" => fresh("ETag: W/\"a\"\r\n", "abc"),
        "/broken" => fresh("ETag: a\r\n", "abc"),
        "/dated" => fresh("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "abc"),
        "/missing" => doorman_testkit::origin::reply("404 Not Found", "", b"abc"),
        _ => said("Cache-Control: private\r\n", "abc"),
    });
    for (target, expect) in [
        ("/tagged", Some("W/\"a\"")),
        ("/broken", Some("a")),
        ("/dated", None),
        ("/missing", None),
        ("/own", None),
    ] {
        for _ in 0..2 {
            assert_eq!(house.get(target).field("etag"), expect, "{target}");
        }
    }
    let off = House::caching("etag off", |_, _| fresh("", "abc"));
    for _ in 0..2 {
        assert_eq!(off.get("/a").field("etag"), None);
    }
    assert_eq!(off.asked("/a"), 1);
}

#[test]
fn origins_are_never_asked_about_it_and_the_same_content_keeps_it() {
    // Given something that is past its time at once, and changes after some fetches.
    let house = House::caching("stale 1m", |n, seen| {
        let body = if n < 6 { "abc" } else { "abcd" };
        match seen.field("if-none-match").or(seen.field("if-modified-since")) {
            Some(_) => bare("304 Not Modified", ""),
            None => said("Cache-Control: max-age=0\r\n", body),
        }
    });
    house.get("/a").is("abc");
    // When it is fetched anew beside those who get it, it has the tag that it had.
    house.until("two refreshes", || {
        let conditional = house.ask(Front::Plain, &asking("/a", ABC));
        assert_eq!((conditional.status, conditional.field("etag")), (304, Some(ABC)));
        let stale = house.get("/a");
        assert_eq!((stale.text().as_str(), stale.field("etag")), ("abc", Some(ABC)));
        house.asked("/a") > 2
    });
    // When its content is another, so is its tag.
    house.until("what has changed", || house.get("/a").text() == "abcd");
    let changed = house.ask(Front::Plain, &asking("/a", ABC));
    assert_eq!((changed.status, changed.text().as_str()), (200, "abcd"));
    assert!(changed.field("etag").is_some_and(|tag| tag != ABC), "{changed:?}");
    let asked = house.requests("/a");
    assert!(asked.iter().all(|seen| seen.field("if-none-match").is_none()), "{asked:?}");
}

#[test]
fn tags_outlive_the_process() {
    let setup = Setup { store: "memory 32MiB; disk 64MiB @DISK", ..Setup::default() };
    let mut house = House::start(&setup, |_, _| fresh("", "abc"));
    house.get("/a").is("abc");
    assert_eq!(house.get("/a").field("etag"), Some(ABC));
    house.restart(&setup);
    let got = house.ask(Front::Plain, &asking("/a", ABC));
    assert_eq!((got.status, got.field("etag"), house.asked("/a")), (304, Some(ABC), 1));
}
