//! What an attacker, or an unlucky hour, finds between the stories of the others.

use std::sync::Arc;

use doorman_testkit::origin::{Origin, Script, Seen, answering};

use crate::rig::{Ask, Front, House, Setup, bare, fresh, said};

/// The part of `body` that a request asks for, if it asks for one range.
fn part(seen: &Seen, fields: &str, body: &[u8]) -> Option<Vec<u8>> {
    let (first, last) = seen.field("range")?.strip_prefix("bytes=")?.split_once('-')?;
    let first: usize = first.parse().ok()?;
    let last = last.parse().unwrap_or(usize::MAX).min(body.len() - 1);
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\n{fields}Content-Range: bytes {first}-{last}/{}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len(),
        last + 1 - first
    );
    Some([head.as_bytes(), &body[first..=last]].concat())
}

/// What the origin is asked for slices is not the client's own wish: where there are no slices to be
/// had it gets what it asked for.
#[test]
fn what_cannot_be_sliced_is_answered_whole() {
    for fields in ["Cache-Control: private\r\nETag: \"a\"\r\n", "Cache-Control: max-age=60\r\n"] {
        let house = House::caching("slice 64KiB", move |_, seen| {
            let body = vec![b'a'; 200_000];
            match part(seen, fields, &body) {
                Some(part) => Script::new().send(part),
                None => said(fields, body),
            }
        });
        let got = house.get("/a");
        assert_eq!((got.status, got.body.len(), got.whole), (200, 200_000, true), "{fields}");
        let some = house.get_with("/a", &[("range", "bytes=5-9")]);
        assert_eq!((some.status, some.body.len()), (206, 5), "{fields}");
    }
}

/// Nor is what it was asked to validate what is stored.
#[test]
fn nobody_is_told_that_he_has_what_another_has() {
    // The first to validate gets a 304 for something else, and the right to fetch goes to the second,
    // whose answer is for nobody else.
    let house = House::caching("", |n, seen| match (n, seen.field("if-none-match")) {
        (0, _) => said("Cache-Control: max-age=60\r\nAge: 60\r\nETag: \"a\"\r\n", "old"),
        (1, Some(_)) => {
            Script::new().hold().send("HTTP/1.1 304 Not Modified\r\nETag: \"b\"\r\n\r\n")
        }
        (_, Some(_)) => bare("304 Not Modified", "ETag: \"b\"\r\n"),
        (_, None) => said("Cache-Control: private\r\nETag: \"b\"\r\n", "new"),
    });
    house.get("/a").is("old");
    let first = house.begin(&Ask::get("/a"));
    house.origin().wait_for_requests(2);
    let second = house.begin(&Ask::get("/a"));
    let_others_wait(&house);
    house.origin().release();
    first.got().is("new");
    second.got().is("new");
}

/// The head of a page of one client's own is not put on what others are given.
#[test]
fn cde_06_what_head_says_to_one_client_is_for_that_client() {
    for field in ["cookie", "authorization"] {
        let house = House::caching("", move |_, seen| {
            let whose = seen.field(field).map(|who| format!("X-User: {who}\r\n"));
            let whose = whose.unwrap_or_default();
            if seen.method() == "HEAD" {
                return bare("200 OK", &format!("ETag: \"a\"\r\nContent-Length: 4\r\n{whose}"));
            }
            fresh(&format!("ETag: \"a\"\r\n{whose}"), "page")
        });
        house.get("/a").is("page");
        let own = house.ask(Front::Plain, &Ask::new("HEAD", "/a").with(field, "alice"));
        assert_eq!(own.field("x-user"), Some("alice"), "{field}");
        let others = house.get("/a");
        others.is("page");
        assert_eq!(others.field("x-user"), None, "{field}");
        assert_eq!(house.asked("/a"), 2, "{field}: what is stored has not changed");
    }
}

/// Slices that another client has asked for meanwhile may be those of a newer version.
#[test]
fn cin_10_slices_that_others_fetch_are_of_the_same_whole() {
    const SLICE: usize = 16 << 20;
    let setup = Setup {
        store: "memory 256MiB; max-object 64MiB",
        cache: "lock 30s; slice 16MiB; purge from 127.0.0.0/8",
        ..Setup::default()
    };
    let house = House::start(&setup, |n, seen| {
        if seen.target() != "/a" {
            return bare("404 Not Found", "Content-Length: 0\r\n");
        }
        // The first to ask gets a slice of what is replaced then.
        let version = if n == 0 { b'a' } else { b'b' };
        let fields = format!("Cache-Control: max-age=60\r\nETag: \"{version}\"\r\n");
        let part = part(seen, &fields, &vec![version; SLICE + 1_000]).expect("a range");
        if n == 2 { Script::new().hold().send(part) } else { Script::new().send(part) }
    });
    // Who does not read what there is asks for no more.
    let mut behind = house.begin(&Ask::get("/a").with("connection", "close"));
    let _ = behind.wait("\r\n\r\n");
    assert_eq!(house.ask(Front::Plain, &Ask::new("PURGE", "/a")).status, 200);
    std::thread::scope(|scope| {
        let ahead = scope.spawn(|| house.get("/a"));
        house.origin().wait_for_requests(3);
        let first = behind.raw.take_exactly(SLICE).expect("the first slice");
        assert!(first.iter().all(|byte| *byte == b'a'));
        let_others_wait(&house);
        house.origin().release();
        let ahead = ahead.join().expect("a story that goes on");
        assert!(ahead.whole && ahead.body.iter().all(|byte| *byte == b'b'));
    });
    let (last, _) = behind.raw.take_all().expect("an end");
    assert_eq!(last.len(), 0, "the last slice is not to be had any more");
}

/// A client that is in a hurry is in a hurry by itself.
#[test]
fn a_deadline_of_one_client_cuts_no_answer_of_another() {
    let house = House::fronted("lock 30s", |_, _| {
        let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 8\r\n\r\nhalf";
        Script::new().send(head).hold().send("half")
    });
    let hurried = Ask::get("/a").all(&[
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-timeout", "300m"),
    ]);
    std::thread::scope(|scope| {
        let hurried = scope.spawn(|| house.try_ask(Front::H2, &hurried));
        house.origin().wait_for_requests(1);
        let other = scope.spawn(|| house.ask(Front::H2, &Ask::get("/a")));
        let _ = hurried.join().expect("a story that goes on");
        house.origin().release();
        other.join().expect("a story that goes on").is("halfhalf");
    });
    house.ask(Front::H2, &Ask::get("/a")).is("halfhalf");
}

/// A page about ranges or conditions is the answer to one request, not to a URL.
#[test]
fn cpo_15_nobody_is_told_of_ranges_or_conditions_of_others() {
    let house = House::caching("ttl 1m 200 404 412 416", |n, seen| {
        let asks = seen.field("range").is_some() || seen.field("if-none-match").is_some();
        match (n, asks) {
            (_, true) => said_as("416 Range Not Satisfiable", "no such range"),
            (0, false) => said("Cache-Control: private\r\n", "own"),
            (_, false) => said("", "page"),
        }
    });
    // An answer for one client alone lets the wishes of the next go along to the origin.
    house.get("/a").is("own");
    let _ = house.get_with("/a", &[("range", "bytes=1000-"), ("if-none-match", "\"a\"")]);
    house.get("/a").is("page");
}

fn said_as(status: &str, body: &str) -> Script {
    doorman_testkit::origin::reply(status, "", body.as_bytes())
}

/// What makes one client's answer its own says nothing of those of others, who still wait for each
/// other.
#[test]
fn rxu_clients_with_answers_of_their_own_keep_nobody_from_waiting() {
    for field in ["cookie", "authorization", "x-bad"] {
        let house = House::caching("lock 30s", |n, seen| match n {
            0 if seen.field("x-bad").is_some() => said_as("400 Bad Request", "bad"),
            0 => said("Cache-Control: max-age=60\r\n", "own"),
            _ => Script::new().hold().send(
                "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\npage",
            ),
        });
        let _ = house.get_with("/a", &[(field, "a=1")]);
        let begun = house.at_once(&vec![Ask::get("/a"); 10]);
        let_others_wait(&house);
        house.origin().release();
        for got in begun {
            got.got().is("page");
        }
        assert_eq!(house.asked("/a"), 2, "{field}");
    }
}

/// What a peer says that is trusted goes to the origin, which answers by it.
#[test]
fn cpo_06_schemes_that_a_trusted_peer_tells_are_not_mixed() {
    let setup =
        Setup { cache: "stale 1h", global: "trusted-proxies 127.0.0.0/8", ..Setup::default() };
    let house = House::start(&setup, |_, seen| {
        let control = "Cache-Control: max-age=60\r\nAge: 60\r\nX-Frame-Options: DENY\r\n";
        said(control, seen.field("x-forwarded-proto").unwrap_or("none"))
    });
    for n in 0..10 {
        for scheme in ["https", "http"] {
            house.get_with("/a", &[("x-forwarded-proto", scheme)]).is(scheme);
        }
        house.until("asked anew", || house.asked("/a") > n);
    }
    let host = |host| house.get_with("/host", &[("x-forwarded-host", host)]);
    assert_eq!((host("a").status, host("b").status), (200, 200));
    assert_eq!(house.requests("/host").len(), 2);
}

/// A form that the client cannot read is not for it, however bad the hour is.
#[test]
fn cin_13_who_waited_in_vain_gets_nothing_that_it_cannot_read() {
    let house = House::caching("lock 30s; stale-if-error 1h", |n, _| match n {
        0 => said("Cache-Control: max-age=60\r\nAge: 60\r\nContent-Encoding: gzip\r\n", "coded"),
        1 => Script::new().hold().send("HTTP/1.1 503 Not Now\r\nContent-Length: 0\r\n\r\n"),
        _ => said_as("200 OK", "plain"),
    });
    let coded = Ask::get("/a").with("accept-encoding", "gzip");
    house.ask(Front::Plain, &coded).is("coded");
    let first = house.begin(&coded);
    house.origin().wait_for_requests(2);
    let second = house.begin(&Ask::get("/a").with("accept-encoding", "identity"));
    let_others_wait(&house);
    house.origin().release();
    first.got().is("coded");
    second.got().is("plain");
}

/// Who stands in for an origin does not speak in its name, not even of what is stored.
#[test]
fn a_stand_in_says_nothing_of_what_another_has_given() {
    let other = Origin::start(answering(Arc::new(|seen: &Seen| {
        let fields = "Cache-Control: max-age=60\r\nETag: \"a\"\r\nX-From: other\r\n";
        match (seen.method(), seen.field("if-none-match")) {
            ("HEAD", _) => bare("200 OK", fields),
            (_, Some(_)) => bare("304 Not Modified", fields),
            _ => said(fields, "other"),
        }
    })));
    let setup = Setup {
        upstream: &format!("}}\nupstream other {{\nserver {}", other.address()),
        site: "@CACHE; proxy web 50% other 50% { sticky-share \"{header.x-id}\" }",
        ..Setup::default()
    };
    let mut house = House::start(&setup, |_, _| {
        said("Cache-Control: max-age=60\r\nAge: 60\r\nETag: \"a\"\r\n", "page")
    });
    let ids: Vec<String> = (0..64).map(|id: u32| id.to_string()).collect();
    let id = ids.iter().find(|id| {
        let _ = house.get_with(&format!("/{id}"), &[("x-id", id)]);
        house.asked(&format!("/{id}")) == 1
    });
    let id = id.expect("half of them belong here");
    let ask = |method: &str| Ask::new(method, "/a").with("x-id", id);
    house.ask(Front::Plain, &ask("GET")).is("page");
    house.stop_origin();
    assert_eq!(house.ask(Front::Plain, &ask("HEAD")).status, 200);
    house.ask(Front::Plain, &ask("GET")).is("other");
    house.start_origin();
    let again = house.ask(Front::Plain, &ask("GET"));
    again.is("page");
    assert_eq!(again.field("x-from"), None);
}

/// Nor are those who wait behind one let go all at once.
#[test]
fn rxu_behind_an_answer_of_its_own_one_of_the_others_leads() {
    let house = House::caching("lock 30s", |_, seen| {
        let fields = "Cache-Control: max-age=60\r\nContent-Length: 4\r\n";
        let page = if seen.field("cookie").is_some() { "mine" } else { "page" };
        Script::new().hold().send(format!("HTTP/1.1 200 OK\r\n{fields}\r\n{page}"))
    });
    let own = house.begin(&Ask::get("/a").with("cookie", "a=1"));
    house.origin().wait_for_requests(1);
    let begun = house.at_once(&vec![Ask::get("/a"); 10]);
    let_others_wait(&house);
    house.origin().release();
    own.got().is("mine");
    for got in begun {
        got.got().is("page");
    }
    assert_eq!(house.asked("/a"), 2);
}

/// What is not in the key is taken off before operators make something of the request, and what they
/// make of it stays.
#[test]
fn cpo_08_edits_see_what_is_keyed_and_stay_what_they_are() {
    let setup = Setup {
        cache: "only-query page",
        site: "@CACHE; rewrite ^/item/(.*)$ /item?id={1}&{query}; proxy web\n\
               request-header set X-Query {query}; request-header set X-Original-URL {path}",
        ..Setup::default()
    };
    let house = House::start(&setup, |_, seen| {
        let seen = (seen.target(), seen.field("x-query"), seen.field("x-original-url"));
        fresh("", format!("{seen:?}"))
    });
    let ask = |detour| house.get_with("/item/5?page=1&evil=2", &[("x-original-url", detour)]);
    for detour in ["/evil", "/item"] {
        ask(detour).is("(\"/item?id=5&page=1\", Some(\"id=5&page=1\"), Some(\"/item\"))");
    }
    house.get("/item/5?page=1").is(&ask("/evil").text());
    assert_eq!(house.origin().requests().len(), 1);
}

/// Cookies that are part of the key are not among those that are ignored.
#[test]
fn cookies_that_are_keyed_reach_the_origin() {
    let house = House::caching("cookies ignore; key cookie lang; key cookie unit", |_, seen| {
        fresh("", format!("{:?}", seen.all("cookie")))
    });
    let ask = |cookie| house.get_with("/a", &[("cookie", cookie)]);
    for (n, cookie, expect) in [
        (1, "id=1; lang=de", "[\"lang=de\"]"),
        (1, "lang=de; lang=fr; id=2", "[\"lang=de\"]"),
        (2, "lang=fr; id=1", "[\"lang=fr\"]"),
        (3, "unit=m; id=1; lang=de", "[\"lang=de; unit=m\"]"),
        (4, "id=3", "[]"),
    ] {
        ask(cookie).is(expect);
        assert_eq!(house.asked("/a"), n, "{cookie}");
    }
}

/// An origin that fails once has no other version.
#[test]
fn cin_10_slices_outlive_a_failure() {
    let house = House::caching("slice 64KiB", |n, seen| match n {
        1 => said_as("503 Not Now", "no"),
        _ => {
            let fields = "Cache-Control: max-age=60\r\nETag: \"a\"\r\n";
            Script::new().send(part(seen, fields, &[b'a'; 100_000]).expect("a range"))
        }
    });
    let cut = house.get("/a");
    assert_eq!((cut.whole, cut.body.len()), (false, 65_536));
    let got = house.get("/a");
    assert_eq!((got.whole, got.body.len()), (true, 100_000));
    assert_eq!(house.asked("/a"), 3, "the first slice is still there");
}

/// Requests that were begun before this reach the store before it returns.
fn let_others_wait(house: &House) {
    for n in 0..5 {
        let _ = house.begin(&Ask::get(&format!("/{n}")));
        house.until("another page", || house.asked(&format!("/{n}")) == 1);
    }
}
