//! Integrity (CIN): what is kept is whole, is one version, and says what it is.

use doorman_testkit::h3::H3;
use doorman_testkit::origin::{Script, Seen, reply};
use doorman_testkit::raw::Raw;
use doorman_testkit::sums::Pattern;
use doorman_testkit::tls::Authority;

use crate::rig::{Ask, FRONTS, Front, Got, House, Setup, bare, counted, fresh, said, tls};

const WHOLE: &str = "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789ABCDEF";

/// The first client's answer is cut; the second's must be whole, and so must what is kept.
fn whole_again(house: &House, front: Front, target: &str) {
    if let Ok(cut) = house.try_ask(front, &Ask::get(target)) {
        assert!(!cut.whole, "{front:?} {target}: {cut:?}");
    }
    for _ in 0..2 {
        house.ask(front, &Ask::get(target)).is(WHOLE);
    }
    assert_eq!(house.asked(target), 2, "{front:?} {target}");
}

/// The number behind the last slash.
fn number(seen: &Seen) -> usize {
    seen.target().rsplit('/').next().and_then(|n| n.parse().ok()).expect("a number")
}

#[test]
fn cin_01_a_cut_body_with_a_length_is_not_kept() {
    let house = House::fronted("", |n, seen| {
        let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 64\r\n\r\n";
        let length = if n == 0 { number(seen) } else { 64 };
        let script = Script::new().send(format!("{head}{}", &WHOLE[..length]));
        if n == 0 { script.close() } else { script }
    });
    for length in 0..64 {
        whole_again(&house, Front::Plain, &format!("/{length}"));
    }
    for front in FRONTS {
        whole_again(&house, front, &format!("/{front:?}/33"));
    }
}

#[test]
fn cin_02_a_body_without_its_last_chunk_is_not_kept() {
    let (first, second) = WHOLE.split_at(32);
    let all = format!("20\r\n{first}\r\n20\r\n{second}\r\n0\r\n\r\n");
    let cuts = [0, 1, 2, 3, 10, 36, 37, 38, 40, 41, 50, 73, 74, 75, 76, 77, 78];
    assert_eq!(all.len(), 81);
    let house = House::fronted("", move |n, seen| {
        let head =
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n";
        let length = if n == 0 { number(seen) } else { all.len() };
        let script = Script::new().send(format!("{head}{}", &all[..length]));
        if n == 0 { script.close() } else { script }
    });
    for cut in cuts {
        whole_again(&house, Front::Plain, &format!("/{cut}"));
    }
    for front in FRONTS {
        whole_again(&house, front, &format!("/{front:?}/76"));
    }
}

fn until_close(n: usize, _: &Seen) -> Script {
    let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n\r\n";
    let script = Script::new().send(head);
    if n == 0 { script.send(&WHOLE[..30]).reset() } else { script.send(WHOLE).close() }
}

#[test]
fn cin_03_a_body_ended_by_a_reset_is_not_kept() {
    let house = House::fronted("", until_close);
    for front in FRONTS {
        whole_again(&house, front, &format!("/{front:?}"));
    }
}

#[test]
fn cin_03_a_body_ended_without_tls_saying_so_is_not_kept() {
    let authority = Authority::new();
    let server = authority.issue(&["o.test"]).server(&["http/1.1"]);
    let setup = Setup { upstream: "tls { name o.test; ca @DATA/ca.pem }", ..Setup::default() };
    let house = House::trusting(&setup, authority.pem(), counted(until_close), server);
    for n in 0..3 {
        whole_again(&house, Front::Plain, &format!("/{n}"));
    }
}

/// All who read while it comes see that it is cut, and nobody who comes later.
#[test]
fn cin_01_a_cut_is_seen_by_all_who_read() {
    let house = House::caching("lock 30s", |n, seen| {
        let framing = if seen.target() == "/chunks" {
            "Transfer-Encoding: chunked\r\n\r\n40\r\n"
        } else {
            "Content-Length: 64\r\n\r\n"
        };
        let head = format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n{framing}");
        match n {
            0 => Script::new().send(head + &WHOLE[..20]).hold().send(&WHOLE[20..40]).close(),
            _ => fresh("", WHOLE),
        }
    });
    for target in ["/chunks", "/counted"] {
        house.origin().hold_again();
        let mut begun = house.at_once(&vec![Ask::get(target); 12]);
        for begun in &mut begun {
            let _ = begun.wait("\r\n\r\n");
        }
        house.origin().release();
        for mut begun in begun {
            let (rest, _) = begun.raw.take_all().expect("an end");
            let text = String::from_utf8_lossy(&rest).into_owned();
            assert!(text.contains(&WHOLE[..20]) && !text.contains(WHOLE), "{target}: {text}");
            assert!(!text.ends_with("\r\n0\r\n\r\n"), "{target}: {text}");
        }
        house.get(target).is(WHOLE);
        house.get(target).is(WHOLE);
        assert_eq!(house.asked(target), 2, "{target}");
    }
}

/// So many bytes, in two parts with a gate between them.
fn in_two(length: u64) -> Script {
    let body = Pattern { seed: length }.bytes(usize::try_from(length).expect("small"));
    let (first, second) = body.split_at(body.len() / 2);
    let head = format!(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: \"a\"\r\nContent-Length: {length}\r\n\r\n"
    );
    Script::new().send(head).send(first).hold().send(second)
}

#[test]
fn cin_04_a_client_that_leaves_leaves_a_whole_page_or_none() {
    for length in [1_000, 300_000, 3_000_000] {
        let house = House::caching("", move |_, _| in_two(length));
        let mut first = house.begin(&Ask::get("/a"));
        let _ = first.wait("\r\n\r\n");
        first.raw.take_exactly(100).expect("the beginning");
        first.raw.reset();
        house.origin().release();
        let second = house.get("/a");
        assert!(second.whole && second.body.len() as u64 == length, "{length}");
        assert_eq!(Pattern { seed: length }.differs(0, &second.body), None);
        let third = house.get("/a");
        assert_eq!(third.body, second.body);
        assert!(house.asked("/a") <= 2, "{length}");
    }
}

#[test]
fn cin_05_a_part_is_never_kept_as_the_whole() {
    let house = House::caching("ttl 1h", |n, seen| {
        let part = |range: &str, body: &str| {
            let fields =
                format!("Cache-Control: max-age=60\r\nETag: \"a\"\r\nContent-Range: {range}\r\n");
            reply("206 Partial Content", &fields, body.as_bytes())
        };
        match (n, seen.target()) {
            (0, "/unasked") => part("bytes 0-9/64", &WHOLE[..10]),
            (0, "/short") => part("bytes 0-9/64", &WHOLE[..9]),
            (0, "/beyond") => part("bytes 60-69/64", &WHOLE[..10]),
            (0, "/unknown") => part("lines 0-9/64", &WHOLE[..10]),
            (0, "/none") => reply("206 Partial Content", "Cache-Control: max-age=60\r\n", b"01"),
            _ => said("Cache-Control: max-age=60\r\nETag: \"a\"\r\n", WHOLE),
        }
    });
    for target in ["/unasked", "/short", "/beyond", "/unknown", "/none"] {
        let _ = house.try_ask(Front::Plain, &Ask::get(target));
        house.get(target).is(WHOLE);
        house.get(target).is(WHOLE);
        assert_eq!(house.asked(target), 2, "{target}");
    }
    // By a range first: whoever asks for all gets all.
    for target in ["/a", "/unasked?b"] {
        let part = house.get_with(target, &[("range", "bytes=4-7")]);
        assert!(
            matches!((part.status, part.text().as_str()), (206, "4567") | (200, WHOLE)),
            "{part:?}"
        );
        house.get(target).is(WHOLE);
    }
}

#[test]
fn cin_10_slices_of_two_versions_are_never_one_body() {
    let version = |n: u8| vec![b'a' + n; 300_000];
    let house = House::caching("slice 64KiB", move |n, seen| {
        let body = version(u8::from(n >= 2));
        let fields = format!("Cache-Control: max-age=60\r\nETag: \"v{}\"\r\n", u8::from(n >= 2));
        let range = seen.field("range").and_then(|range| range.strip_prefix("bytes="));
        let range = range.and_then(|range| range.split_once('-'));
        let Some((first, last)) = range else { return said(&fields, body) };
        let first: usize = first.parse().expect("a number");
        let last = last.parse().unwrap_or(usize::MAX).min(body.len() - 1);
        let fields = format!("{fields}Content-Range: bytes {first}-{last}/{}\r\n", body.len());
        reply("206 Partial Content", &fields, &body[first..=last])
    });
    for _ in 0..3 {
        let got = house.get("/a");
        let one = got.body.first().copied().unwrap_or_default();
        assert!(got.body.iter().all(|byte| *byte == one), "two versions in one body");
        assert!(!got.whole || got.body.len() == 300_000, "{}", got.body.len());
    }
    let last = house.get("/a");
    assert!(last.whole && last.body.len() == 300_000, "{} {}", last.status, last.body.len());
}

#[test]
fn cin_11_a_304_for_another_version_changes_nothing() {
    let house = House::fronted("", |n, seen| match n {
        0 => said("Cache-Control: max-age=60\r\nAge: 60\r\nETag: \"a\"\r\nX-V: old\r\n", "old"),
        _ if seen.field("if-none-match").is_some() => {
            bare("304 Not Modified", "Cache-Control: max-age=60\r\nETag: \"b\"\r\nX-V: evil\r\n")
        }
        _ => said("Cache-Control: max-age=60\r\nETag: \"b\"\r\nX-V: new\r\n", "new"),
    });
    for front in FRONTS {
        let target = format!("/{front:?}");
        house.ask(front, &Ask::get(&target)).is("old");
        for _ in 0..2 {
            let got = house.ask(front, &Ask::get(&target));
            got.is("new");
            assert_eq!(got.field("x-v"), Some("new"));
        }
        assert_eq!(house.asked(&target), 3, "the old page, a 304 in vain, and the new page");
    }
}

#[test]
fn cin_16_fields_of_one_connection_are_not_kept() {
    let house = House::fronted("", |_, _| {
        fresh(
            "Connection: x-hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
             Proxy-Authenticate: Basic\r\nProxy-Connection: close\r\nTE: gzip\r\nX-End: 1\r\n\
             Upgrade: h2c\r\n",
            "good",
        )
    });
    for front in FRONTS {
        for _ in 0..2 {
            let got = house.ask(front, &Ask::get(&format!("/{front:?}")));
            got.is("good");
            for name in
                ["x-hop", "keep-alive", "proxy-authenticate", "proxy-connection", "te", "upgrade"]
            {
                assert_eq!(got.field(name), None, "{front:?} {name}");
            }
            assert_eq!(got.field("x-end"), Some("1"));
        }
        assert_eq!(house.asked(&format!("/{front:?}")), 1);
    }
}

#[test]
fn cin_17_no_age_is_too_long_too_large_or_negative() {
    // Fields, and whether the response is fresh by them.
    let rows: &[(&str, bool)] = &[
        ("Age: 0\r\n", true),
        ("Age: 30\r\n", true),
        ("Age: 60\r\n", false),
        ("Age: 2147483647\r\n", false),
        ("Age: 2147483648\r\n", false),
        ("Age: 4294967297\r\n", false),
        ("Age: 18446744073709551617\r\n", false),
        ("Age: 99999999999999999999999999999999999999999999\r\n", false),
        ("Date: Mon, 01 Jan 2001 00:00:00 GMT\r\n", false),
        ("Date: Fri, 01 Jan 2100 00:00:00 GMT\r\n", true),
    ];
    let house = House::caching("", move |n, seen| {
        let (fields, _) = rows[number(seen)];
        said(&format!("Cache-Control: max-age=60\r\nETag: \"{n}\"\r\n{fields}"), n.to_string())
    });
    for (at, (fields, is_fresh)) in rows.iter().enumerate() {
        let target = format!("/{at}");
        house.get(&target).is("0");
        let second = house.get(&target);
        assert_eq!(second.text() == "0", *is_fresh, "{fields:?}");
        assert!(second.age().is_none_or(|age| age <= 1 << 31), "{fields:?}: {second:?}");
    }
    // What is no age, and lifetimes beyond all measure.
    let odd = [
        "Age: -1\r\n",
        "Age: abc\r\n",
        "Age: 1.5\r\n",
        "Age: 0, 0\r\n",
        "Age: 1\r\nAge: 2\r\n",
        "Age:\r\n",
        "Cache-Control: s-maxage=99999999999999999999999\r\n",
        "Cache-Control: s-maxage=2147483649\r\n",
        "Cache-Control: s-maxage=-5\r\n",
        "Cache-Control: s-maxage=1.5\r\n",
        "Date: yesterday\r\n",
    ];
    let house = House::caching("", move |_, seen| {
        said(&format!("Cache-Control: max-age=60\r\nETag: \"a\"\r\n{}", odd[number(seen)]), "good")
    });
    for (at, fields) in odd.iter().enumerate() {
        for _ in 0..3 {
            let got = house.get(&format!("/{at}"));
            got.is("good");
            // It may be told as it came; none is made up.
            let age = got.field("age").and_then(|age| age.parse::<u64>().ok());
            assert!(age.is_none_or(|age| age <= 1 << 31), "{fields:?}: {got:?}");
        }
    }
    let huge = house.requests("/6").len();
    assert_eq!(huge, 1, "a lifetime beyond all measure is the longest there is");
}

#[test]
fn cin_18_a_hit_has_one_end() {
    let house = House::caching("", |_, _| {
        Script::new()
            .send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n")
            .send("4\r\ngood\r\n")
            .hold()
            .send("0\r\n\r\n")
    });
    let next = format!("GET /a HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", house.plain.port());
    let last = next.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    // One that reads while the page is being made, and others behind it on the same connection.
    let mut raw = house.connect();
    raw.send(format!("{next}{next}{last}")).expect("an open connection");
    house.origin().wait_for_requests(1);
    house.origin().release();
    let (all, _) = raw.take_all().expect("all answers");
    let text = String::from_utf8_lossy(&all).into_owned();
    assert_eq!(text.matches("HTTP/1.1 200 ").count(), 3, "{text}");
    assert_eq!(text.matches("good").count(), 3, "{text}");
    let answers: Vec<&str> = text.split("HTTP/1.1 200 ").skip(1).collect();
    for answer in answers {
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let counted = head.to_lowercase().contains("content-length: 4");
        let expected = if counted { "good" } else { "4\r\ngood\r\n0\r\n\r\n" };
        assert_eq!(body, expected, "{text}");
    }
    assert_eq!(house.asked("/a"), 1);
}

/// What a 304 says of the content is not believed: there is none with it (RFC 9111 section 3.2).
#[test]
fn cin_11_a_304_changes_nothing_about_the_content() {
    let house = House::fronted("", |n, seen| match seen.field("if-none-match") {
        Some(_) => bare(
            "304 Not Modified",
            "Cache-Control: max-age=60\r\nETag: \"a\"\r\nX-V: new\r\nContent-Encoding: gzip\r\n\
             Content-Type: evil/evil\r\nContent-Range: bytes 0-1/2\r\nContent-Length: 2\r\n\
             Connection: x-hop\r\nX-Hop: 1\r\n",
        ),
        None => said(
            "Cache-Control: max-age=60\r\nAge: 60\r\nETag: \"a\"\r\nX-V: old\r\nContent-Type: a/b\r\n",
            format!("page {n}"),
        ),
    });
    for front in FRONTS {
        let target = format!("/{front:?}");
        for n in 0..4 {
            let got = house.ask(front, &Ask::get(&target));
            got.is("page 0");
            assert_eq!(got.field("content-length"), Some("6"), "{front:?}");
            assert_eq!(got.field("x-v"), Some(if n == 0 { "old" } else { "new" }), "{front:?}");
            for name in ["content-encoding", "content-range", "x-hop"] {
                assert_eq!(got.field(name), None, "{front:?} {n} {name}");
            }
        }
    }
}

/// A cookie that comes with a 304 is for whom the origin was asked, and for nobody behind.
#[test]
fn cde_05_a_cookie_of_a_304_is_not_kept() {
    let house = House::fronted("", |n, seen| match seen.field("if-none-match") {
        Some(_) => bare(
            "304 Not Modified",
            "Cache-Control: max-age=60\r\nETag: \"a\"\r\nSet-Cookie: evil=1\r\n",
        ),
        None => {
            let age = if n == 0 { "Age: 60\r\n" } else { "" };
            said(&format!("Cache-Control: max-age=60\r\nETag: \"a\"\r\n{age}"), "page")
        }
    });
    for front in FRONTS {
        let target = format!("/{front:?}");
        for n in 0..5 {
            let got = house.ask(front, &Ask::get(&target));
            got.is("page");
            assert!(n == 1 || got.field("set-cookie").is_none(), "{front:?} {n}");
        }
        assert!(house.asked(&target) <= 3, "{front:?}");
    }
}

#[test]
fn cde_07_a_304_that_says_private_ends_the_sharing() {
    for control in ["private", "no-store", "no-cache", "private, max-age=60", "max-age=0"] {
        let house = House::caching("", move |n, seen| match seen.field("if-none-match") {
            Some(_) => {
                bare("304 Not Modified", &format!("Cache-Control: {control}\r\nETag: \"a\"\r\n"))
            }
            None => {
                said("Cache-Control: max-age=60\r\nAge: 60\r\nETag: \"a\"\r\n", format!("page {n}"))
            }
        });
        for n in 1..=4 {
            let got = house.get("/a");
            assert_eq!((got.status, got.whole), (200, true), "{control}");
            assert!(house.asked("/a") >= n, "{control}");
        }
    }
}

#[test]
fn a_hit_has_every_field_that_the_origin_sent() {
    let long = "v".repeat(6_000);
    let mut fields = format!(
        "Link: </a>\r\nLink: </b>\r\nX-Dup: 1\r\nX-Long: {long}\r\nX-Empty:\r\nWarning: 299 - \"w\"\r\n\
         X-Dup: 2\r\nContent-Language: de\r\nContent-Type: text/html; charset=\"x\"\r\nx-lower: 1\r\n\
         ETag: \"a\"\r\nAlt-Svc: clear\r\nServer: o\r\nDate: Mon, 01 Jan 2035 00:00:00 GMT\r\n\
         X-Spaces: \t a \t b \t\r\nX-Colon: a:b::c\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
    );
    for n in 0..60 {
        fields += &format!("X-Many-{n}: {n}\r\n");
    }
    let house = House::fronted("", move |_, _| fresh(&fields, "page"));
    let all = |got: &Got| -> Vec<(String, String)> {
        let told = |(name, value): &(String, String)| (name.to_lowercase(), value.clone());
        let mut all: Vec<_> = got.fields.iter().map(told).collect();
        all.retain(|(name, _)| !matches!(name.as_str(), "age" | "cache-status"));
        all
    };
    for front in FRONTS {
        let target = format!("/{front:?}");
        let first = all(&house.ask(front, &Ask::get(&target)));
        assert!(first.len() > 75, "{front:?}: {}", first.len());
        for _ in 0..2 {
            let got = house.ask(front, &Ask::get(&target));
            got.is("page");
            assert_eq!(all(&got), first, "{front:?}");
        }
        assert_eq!(house.asked(&target), 1, "{front:?}");
    }
}

#[test]
fn cin_04_one_that_resets_its_stream_leaves_a_whole_page_or_none() {
    let house = House::fronted("", |_, _| in_two(400_000));
    let uri = format!("https://localhost:{}/a", house.secure.port());
    let mut h3 = H3::connect(house.secure, &tls()).expect("a handshake");
    let mut begun = h3.begin(&uri).expect("a request");
    assert_eq!(h3.status(&mut begun).expect("a head"), 200);
    assert!(h3.piece(&mut begun).expect("content").is_some());
    h3.cancel(&mut begun);
    let mut tls_client = Raw::connect_tls(house.secure, &tls()).expect("a handshake");
    let port = house.secure.port();
    tls_client.send(format!("GET /a HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n")).expect("open");
    tls_client.take_exactly(5_000).expect("the beginning");
    tls_client.reset();
    drop(h3);
    house.origin().release();
    for front in [Front::H1, Front::H2, Front::H3] {
        let got = house.ask(front, &Ask::get("/a"));
        assert!(got.whole && got.body.len() == 400_000, "{front:?}: {:?}", got.fields);
        assert_eq!(Pattern { seed: 400_000 }.differs(0, &got.body), None, "{front:?}");
    }
    assert!(house.asked("/a") <= 2);
}
