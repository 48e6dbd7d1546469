//! Stored answers in coded forms: each is made once, for whoever asks, and nobody gets one that it
//! cannot read (CIN-12, CIN-13).

use std::io::Read;
use std::thread;

use doorman_testkit::h2::H2;
use doorman_testkit::origin::{Script, Seen};
use doorman_testkit::raw::Raw;
use flate2::read::GzDecoder;

use crate::rig::{Ask, Begun, FRONTS, Front, Got, House, Setup, bare, fresh, said, tls};

/// A page that shrinks, the more the harder one tries, and says which it is.
fn page(n: usize) -> String {
    let word = |at: u64| ["door", "man", "page", "cache", "coded", "kept", "form"][noise(at, 7)];
    let line = |at: u64| {
        let words: Vec<_> = (0..9).map(|place| word(9 * at + place)).collect();
        format!("<p>{} of page {n}: {}</p>\n", noise(at, 900), words.join(" "))
    };
    (0..400).map(line).collect()
}

/// Numbers in no order, below `below`.
fn noise(n: u64, below: u64) -> usize {
    let mixed = (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 32;
    usize::try_from(mixed % below).expect("a small number")
}

const HTML: &str = "Content-Type: text/html\r\nETag: \"v0\"\r\nAccept-Ranges: bytes\r\n";

fn html(n: usize, _: &Seen) -> Script {
    fresh(HTML, page(n))
}

const SITE: &str = "@CACHE; compress br gzip zstd; proxy web";

fn house(site: &str, answer: impl Fn(usize, &Seen) -> Script + Send + Sync + 'static) -> House {
    House::start(&Setup { site, secure: true, ..Setup::default() }, answer)
}

fn taking(target: &str, codings: &str) -> Ask {
    Ask::get(target).with("Accept-Encoding", codings)
}

/// What is in an answer, by the coding that its head says.
#[track_caller]
fn decoded(got: &Got) -> String {
    let coded = got.body.as_slice();
    let mut text = Vec::new();
    match got.field("content-encoding") {
        None => text = got.body.clone(),
        Some("gzip") => {
            GzDecoder::new(coded).read_to_end(&mut text).expect("gzip");
        }
        Some("br") => {
            brotli::Decompressor::new(coded, 4_096).read_to_end(&mut text).expect("brotli");
        }
        Some("zstd") => {
            text.reserve(1 << 20);
            zstd_safe::decompress(&mut text, coded).expect("zstd");
        }
        Some(other) => panic!("no such coding: {other}"),
    }
    String::from_utf8(text).expect("a page")
}

/// A whole answer in this coding (none if it is empty), with this content.
#[track_caller]
fn check(got: &Got, coding: &str, content: &str) {
    assert_eq!((got.status, got.whole), (200, true), "{got:?}");
    assert_eq!(got.field("content-encoding").unwrap_or_default(), coding, "{got:?}");
    assert!(decoded(got) == content, "{got:?}");
}

/// Bodies that were coded so.
fn coded(house: &House, coding: &str, direction: &str) -> u64 {
    let labels = format!("coding=\"{coding}\",direction=\"{direction}\"");
    house.metric(&format!("doorman_coding_bodies_total{{{labels}}}"))
}

#[test]
fn a_thousand_requests_are_one_compression() {
    let house = house(SITE, |n, _| {
        let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Type: text/css\r\n";
        let page = page(n);
        Script::new().hold().send(format!("{head}Content-Length: {}\r\n\r\n{page}", page.len()))
    });
    let port = house.secure.port();
    let ask = taking("/a", "br").host(&format!("localhost:{port}"));
    let content = page(0);
    thread::scope(|scope| {
        for thread in 0..10 {
            let (house, ask, content) = (&house, &ask, &content);
            scope.spawn(move || {
                if thread % 2 == 0 {
                    let mut raw = Raw::connect_tls(house.secure, &tls()).expect("a connection");
                    for _ in 0..100 {
                        check(&house.on(&mut raw, ask), "br", content);
                    }
                } else {
                    let mut h2 = H2::connect_tls(house.secure, &tls()).expect("a connection");
                    for _ in 0..100 {
                        let got = h2.request(ask.request(port)).expect("an answer");
                        let whole = got.is_complete();
                        check(
                            &Got::of_map(got.status, &got.fields, got.body, whole),
                            "br",
                            content,
                        );
                    }
                }
            });
        }
        house.wait_for_line(9);
        house.origin().release();
    });
    assert_eq!(house.asked("/a"), 1);
    house.until("it is made smaller", || coded(&house, "br", "improve") == 1);
    let before = house.ask(Front::H1, &ask);
    check(&before, "br", &content);
    assert_eq!([coded(&house, "br", "keep"), coded(&house, "br", "improve")], [1, 1]);
    assert_eq!([coded(&house, "br", "code"), coded(&house, "gzip", "keep")], [0, 0]);
}

#[test]
fn what_is_kept_is_made_smaller_from_its_second_hit_on() {
    let house = house(SITE, html);
    let ask = taking("/a", "br");
    let first = house.ask(Front::Plain, &ask);
    check(&first, "br", &page(0));
    let second = house.ask(Front::Plain, &ask);
    assert_eq!(second.field("content-length"), Some(&*second.body.len().to_string()), "{second:?}");
    house.until("it is made smaller", || {
        check(&house.ask(Front::Plain, &ask), "br", &page(0));
        coded(&house, "br", "improve") == 1
    });
    house.until("it is served", || {
        let got = house.ask(Front::Plain, &ask);
        check(&got, "br", &page(0));
        got.body.len() < second.body.len()
    });
    for _ in 0..5 {
        check(&house.ask(Front::Plain, &ask), "br", &page(0));
    }
    assert_eq!([coded(&house, "br", "keep"), coded(&house, "br", "improve")], [1, 1]);
    assert_eq!(house.asked("/a"), 1);
}

#[test]
fn cin_13_everybody_gets_what_it_reads() {
    let house = house(SITE, html);
    let rows = [
        ("br, gzip", "br"),
        ("gzip", "gzip"),
        ("gzip, zstd;q=0.5", "gzip"),
        ("zstd", "zstd"),
        ("deflate", ""),
        ("identity", ""),
        ("br;q=0", ""),
        ("gzip;q=0.5, identity", ""),
        ("identity;q=0, gzip", "gzip"),
        ("*", "br"),
    ];
    for front in FRONTS {
        let target = format!("/{front:?}");
        // First by one who takes nothing, then each of them twice: at first it is made.
        check(&house.ask(front, &Ask::get(&target)), "", &page(0));
        for _ in 0..2 {
            for (codings, coding) in rows {
                let got = house.ask(front, &taking(&target, codings));
                check(&got, coding, &page(0));
                assert_eq!(got.field("vary"), Some("Accept-Encoding"), "{codings} {got:?}");
            }
        }
        assert_eq!(house.asked(&target), 1, "{front:?}");
    }
    assert_eq!(["br", "gzip", "zstd"].map(|coding| coded(&house, coding, "keep")), [4; 3]);
}

#[test]
fn cin_12_tags_are_weak_where_bytes_differ_and_conditions_hold_for_each_form() {
    let house = house(SITE, html);
    let plain = house.get("/a");
    assert_eq!(
        (plain.field("etag"), plain.field("accept-ranges")),
        (Some("\"v0\""), Some("bytes"))
    );
    for _ in 0..3 {
        let got = house.ask(Front::Plain, &taking("/a", "br"));
        check(&got, "br", &page(0));
        assert_eq!((got.field("etag"), got.field("accept-ranges")), (Some("W/\"v0\""), None));
        for (codings, tag) in [("br", "W/\"v0\""), ("br", "\"v0\""), ("", "W/\"v0\""), ("", "*")] {
            let ask = taking("/a", codings).with("If-None-Match", tag);
            let got = house.ask(Front::Plain, &ask);
            assert_eq!((got.status, got.field("vary")), (304, Some("Accept-Encoding")), "{got:?}");
            let tags = [Some("\"v0\""), Some("W/\"v0\"")];
            assert!(tags.contains(&got.field("etag")), "{got:?}");
        }
        let got = house.ask(Front::Plain, &taking("/a", "br").with("If-None-Match", "\"v1\""));
        check(&got, "br", &page(0));
    }
    let with = taking("/a", "br").with("If-None-Match", "W/\"v0\"");
    assert_eq!(house.ask(Front::Plain, &with).field("etag"), Some("W/\"v0\""));
    assert_eq!(house.asked("/a"), 1);
}

#[test]
fn head_is_told_what_get_would_be_and_has_nothing_made() {
    let house = house(SITE, html);
    let head =
        |codings| house.ask(Front::Plain, &Ask::new("HEAD", "/a").with("Accept-Encoding", codings));
    check(&house.get("/a"), "", &page(0));
    let early = head("br");
    assert_eq!(
        (early.field("content-encoding"), early.field("etag")),
        (Some("br"), Some("W/\"v0\""))
    );
    assert_eq!((early.field("content-length"), coded(&house, "br", "keep")), (None, 0));
    for _ in 0..2 {
        let get = house.ask(Front::Plain, &taking("/a", "br"));
        let head = head("br");
        for name in ["content-encoding", "content-length", "etag", "vary", "content-type"] {
            assert_eq!(head.field(name), get.field(name), "{name}");
        }
    }
    let length = page(0).len().to_string();
    assert_eq!(head("").field("content-length"), Some(&*length));
    assert_eq!((coded(&house, "br", "keep"), house.asked("/a")), (1, 1));
}

#[test]
fn parts_are_of_the_body_that_the_origin_sent() {
    let house = house(SITE, html);
    check(&house.ask(Front::Plain, &taking("/a", "br")), "br", &page(0));
    let part = |name: &str, value: &str| {
        let ask = taking("/a", "br").with("Range", "bytes=3-9").with(name, value);
        house.ask(Front::Plain, &ask)
    };
    for _ in 0..2 {
        for got in [part("X-None", ""), part("If-Range", "\"v0\"")] {
            assert_eq!((got.status, got.text()), (206, page(0)[3..10].to_owned()), "{got:?}");
            assert_eq!((got.field("content-encoding"), got.field("etag")), (None, Some("\"v0\"")));
        }
        let got = part("If-Range", "W/\"v0\"");
        assert_eq!((got.status, decoded(&got)), (200, page(0)));
    }
    assert_eq!(house.asked("/a"), 1);
}

/// Those who join while the origin still sends read one form, and each byte that has come.
#[test]
fn one_form_is_read_by_all_while_the_body_comes() {
    let house = house(SITE, |n, _| {
        let page = page(n);
        let (half, rest) = page.split_at(page.len() / 2);
        let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Type: text/css\r\n";
        let head = format!("{head}Content-Length: {}\r\n\r\n", page.len());
        Script::new().send(format!("{head}{half}")).hold().send(rest)
    });
    let mut begun: Vec<_> = (0..5).map(|_| house.begin(&taking("/a", "gzip"))).collect();
    for begun in &mut begun {
        // The head, and a piece of the body, before the origin goes on.
        let head = begun.wait("\r\n\r\n");
        assert!(head.to_ascii_lowercase().contains("content-encoding: gzip"), "{head}");
        begun.wait("\r\n");
    }
    house.origin().release();
    let ends: Vec<_> =
        begun.into_iter().map(|mut begun| begun.wait("\r\n0\r\n\r\n").len()).collect();
    assert!(ends.iter().all(|end| *end > 100), "{ends:?}");
    check(&house.ask(Front::Plain, &taking("/a", "gzip")), "gzip", &page(0));
    assert_eq!((house.asked("/a"), coded(&house, "gzip", "keep")), (1, 1));
}

/// CIN-01: a form of a body that was cut is cut, too, and not kept.
#[test]
fn cin_01_a_form_of_a_body_that_is_cut_is_cut() {
    let house = house(SITE, |n, seen| {
        if n > 0 {
            return html(0, seen);
        }
        let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Type: text/css\r\n";
        let sent = format!("{head}Content-Length: 99999\r\n\r\n{}", page(9));
        Script::new().send(sent).hold().close()
    });
    let begun = house.begin(&taking("/a", "br"));
    house.origin().wait_for_requests(1);
    house.origin().release();
    let Begun { mut raw } = begun;
    let whole = raw.response().is_ok_and(|reply| reply.is_complete());
    assert!(!whole, "half of a page looks like all of it");
    check(&house.ask(Front::Plain, &taking("/a", "br")), "br", &page(0));
}

/// What does not shrink is tried once.
#[test]
fn a_form_that_is_larger_is_not_kept() {
    let house = house(SITE, |_, _| {
        let letter = |n| char::from(b'!' + u8::try_from(noise(n, 90)).expect("below 90"));
        fresh("Content-Type: text/plain\r\n", (0..3_000).map(letter).collect::<String>())
    });
    let first = house.ask(Front::Plain, &taking("/a", "zstd"));
    for _ in 0..3 {
        let got = house.ask(Front::Plain, &taking("/a", "zstd"));
        assert_eq!((got.status, decoded(&got)), (200, decoded(&first)));
    }
    assert!(coded(&house, "zstd", "keep") <= 1);
    assert_eq!(house.asked("/a"), 1);
}

/// A form lives as long as its body: a 304 keeps it, another body has none.
#[test]
fn forms_stay_with_their_body() {
    let house = house(SITE, |n, seen| {
        let is_same = seen.field("if-none-match") == Some("\"v0\"") && n < 3;
        let tag = if n < 3 { "v0" } else { "v1" };
        let fields =
            format!("Cache-Control: no-cache\r\nContent-Type: text/css\r\nETag: \"{tag}\"\r\n");
        match is_same {
            true => bare("304 Not Modified", &fields),
            false => said(&fields, page(n)),
        }
    });
    for _ in 0..3 {
        check(&house.ask(Front::Plain, &taking("/a", "br")), "br", &page(0));
    }
    assert_eq!((house.asked("/a"), coded(&house, "br", "keep")), (3, 1));
    check(&house.ask(Front::Plain, &taking("/a", "br")), "br", &page(3));
    assert_eq!(coded(&house, "br", "keep"), 2);
}

#[test]
fn what_is_past_its_time_is_served_in_its_form() {
    let mut house = house(SITE, |n, _| {
        let cache = "Cache-Control: max-age=0, stale-if-error=60\r\n";
        said(&format!("{cache}Content-Type: text/css\r\n"), page(n))
    });
    check(&house.ask(Front::Plain, &taking("/a", "br")), "br", &page(0));
    house.stop_origin();
    for _ in 0..2 {
        check(&house.ask(Front::Plain, &taking("/a", "br")), "br", &page(0));
        check(&house.ask(Front::Plain, &Ask::get("/a")), "", &page(0));
    }
    let ask = taking("/a", "br").with("Cache-Control", "only-if-cached, max-stale");
    check(&house.ask(Front::Plain, &ask), "br", &page(0));
    let ask = taking("/b", "br").with("Cache-Control", "only-if-cached");
    assert_eq!(house.ask(Front::Plain, &ask).status, 504);
}

/// Rules that change hold at once, also for what is kept.
#[test]
fn rules_that_change_hold_for_what_is_kept() {
    let house = house(SITE, html);
    for _ in 0..3 {
        check(&house.ask(Front::Plain, &taking("/a", "br")), "br", &page(0));
    }
    let site = "@CACHE; compress br { types text/css }; proxy web";
    house.reload(&Setup { site, secure: true, ..Setup::default() });
    check(&house.ask(Front::Plain, &taking("/a", "br")), "", &page(0));
    assert_eq!(house.asked("/a"), 1);
    for (name, value) in [("Authorization", "Basic x"), ("Cache-Control", "no-transform")] {
        house.reload(&Setup { site: SITE, secure: true, ..Setup::default() });
        check(&house.ask(Front::Plain, &taking("/a", "br")), "br", &page(0));
        let got = house.ask(Front::Plain, &taking("/a", "br").with(name, value));
        assert_eq!(got.field("content-encoding"), None, "{name}");
    }
}

/// What the origin has coded is kept so, and decoded for who cannot read it, if that is wanted.
#[test]
fn a_body_that_the_origin_has_coded_is_decoded_for_who_cannot_read_it() {
    let coded = {
        let mut coder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        std::io::Write::write_all(&mut coder, page(0).as_bytes()).expect("memory");
        coder.finish().expect("memory")
    };
    let fields = format!("{HTML}Content-Encoding: gzip\r\n");
    let house = house("@CACHE; decompress; proxy web", move |_, _| fresh(&fields, &coded));
    for _ in 0..2 {
        check(&house.ask(Front::Plain, &taking("/a", "gzip")), "gzip", &page(0));
        check(&house.get("/a"), "", &page(0));
        check(&house.ask(Front::Plain, &taking("/a", "br")), "", &page(0));
    }
    assert_eq!(house.asked("/a"), 1);
}
