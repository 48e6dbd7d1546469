//! What answers get on their way to browsers: early hints, how long they last, what they are, and
//! where the time went.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::rig::client::{Reply, once};
use crate::rig::origin::reply;
use crate::rig::{Ask, Client, Front, House, Origin, Pair, Seen, over};

over!(
    pages_are_hinted_from_their_second_answer_on,
    what_is_one_users_is_hinted_to_nobody_else,
    only_who_waits_is_hinted,
    hints_of_an_origin_pass_behind_ours,
    assets_are_said_not_to_change,
    browsers_do_not_guess_what_answers_are,
    clients_are_told_where_the_time_went
    => [h1: H1 H1, tls: H1Tls H1, h2: H2 H1, h2c: H2c H1, h3: H3 H1, h2_h2: H2 H2, h3_h3: H3 H3]
);
over!(hints_come_while_the_origin_works => [h2: H2 H1, h2c: H2c H1]);

const CSS: &str = "</a.css>; rel=preload; as=style";
const FONT: &str = "<https://fonts.test>; rel=\"preconnect\"; crossorigin";

fn page(fields: &str) -> Vec<u8> {
    reply("200 OK", &format!("Content-Type: text/html; charset=utf-8\r\n{fields}"), b"page")
}

fn navigate(path: &str) -> Ask {
    Ask::get(path).field("sec-fetch-mode", "navigate")
}

/// The `Link` fields of each 103.
fn hints(reply: &Reply) -> Vec<Vec<&str>> {
    let early = reply.interim.iter().filter(|(status, _)| *status == 103);
    early.map(|(_, head)| head.all("link")).collect()
}

/// What a front is told: over HTTP/1.1 nothing.
#[track_caller]
fn check_hints(pair: Pair, reply: &Reply, expect: &[&str]) {
    assert_eq!((reply.status, reply.text().as_str()), (200, "page"));
    let is_old = matches!(pair.front, Front::H1 | Front::H1Tls);
    let none = is_old || expect.is_empty();
    let expect = if none { Vec::new() } else { vec![expect.to_vec()] };
    assert_eq!(hints(reply), expect);
}

fn pages_are_hinted_from_their_second_answer_on(pair: Pair) {
    // Given pages that link, and one that stops to.
    let times = AtomicUsize::new(0);
    let origin = Origin::serving(pair.back, move |seen: &Seen| match seen.target() {
        "/stops" if times.fetch_add(1, Ordering::SeqCst) > 1 => page(""),
        "/text" => {
            reply("200 OK", &format!("Content-Type: text/plain\r\nLink: {CSS}\r\n"), b"page")
        }
        "/gone" => {
            reply("404 Not Found", &format!("Content-Type: text/html\r\nLink: {CSS}\r\n"), b"")
        }
        _ => page(&format!("Link: {CSS}, </next>; rel=next\r\nLink: {FONT}\r\n")),
    });
    let house = House::before(pair, &origin, "early-hints");
    let mut client = Client::connect(&house);
    // When one is opened for the first time, nothing is known of it.
    let first = client.ask(&navigate("/a?b=c"));
    check_hints(pair, &first, &[]);
    // From then on, what it links is told ahead, and the answer is as it was.
    for _ in 0..2 {
        let again = client.ask(&navigate("/a?b=c"));
        check_hints(pair, &again, &[CSS, FONT]);
        assert_eq!(again.head.all("link"), first.head.all("link"));
    }
    // Another query is another page; what is not a page teaches nothing.
    check_hints(pair, &client.ask(&navigate("/a")), &[]);
    for _ in 0..2 {
        check_hints(pair, &client.ask(&navigate("/text")), &[]);
        assert_eq!(hints(&client.ask(&navigate("/gone"))), Vec::<Vec<&str>>::new());
    }
    // What an answer has no more is forgotten.
    for expect in [&[][..], &[CSS, FONT], &[CSS, FONT], &[]] {
        check_hints(pair, &client.ask(&navigate("/stops")), expect);
    }
    if !matches!(pair.front, Front::H1 | Front::H1Tls) {
        house.logged(&["\"path\":\"/a\"", "\"early_hints\":2"]);
    }
}

/// Addresses are what a trusted proxy says.
fn from(ask: Ask, client: &str) -> Ask {
    ask.field("x-forwarded-for", client)
}

fn what_is_one_users_is_hinted_to_nobody_else(pair: Pair) {
    let origin = Origin::serving(pair.back, |seen| {
        let user = seen.field("x-forwarded-for").unwrap_or_default().replace('.', "-");
        let own = format!("</{user}.png>; rel=preload; as=image");
        let fields = match seen.target() {
            "/cookie" => "Set-Cookie: a=b\r\n",
            "/private" => "Cache-Control: private\r\n",
            "/no-store" => "Cache-Control: no-store\r\n",
            "/vary" => "Vary: Accept-Encoding, Cookie\r\n",
            _ => "Cache-Control: max-age=60\r\n",
        };
        page(&format!("{fields}Link: {CSS}, {own}\r\n"))
    });
    let text = format!("{} @SITE {{ early-hints; proxy o }}", origin.upstream("o"));
    let house = House::with(pair, "trusted-proxies 127.0.0.0/8", &text);
    let mut client = Client::connect(&house);
    let paths = ["/cookie", "/private", "/no-store", "/vary", "/asked-with", "/named"];
    for path in paths {
        let open = |client: &str| {
            let ask = from(navigate(path), client);
            match path {
                "/asked-with" => ask.field("cookie", "session=1"),
                "/named" => ask.field("authorization", "Basic YTpi"),
                _ => ask,
            }
        };
        // However often one client opens it, nobody is told.
        for _ in 0..3 {
            check_hints(pair, &client.ask(&open("192.0.2.1")), &[]);
        }
        check_hints(pair, &client.ask(&from(navigate(path), "192.0.2.2")), &[]);
    }
    // Given a second client, what both were given is told, and nothing else.
    for path in ["/cookie", "/private", "/no-store", "/vary"] {
        check_hints(pair, &client.ask(&from(navigate(path), "192.0.2.3")), &[CSS]);
    }
}

fn only_who_waits_is_hinted(pair: Pair) {
    let origin = Origin::serving(pair.back, |seen| match seen.target() {
        "/kept" => page(&format!("Cache-Control: max-age=60\r\nLink: {CSS}\r\n")),
        _ => page(&format!("Cache-Control: no-cache\r\nETag: \"a\"\r\nLink: {CSS}\r\n")),
    });
    let text = format!(
        "store main {{ memory 16MiB }}\n{} @SITE {{
            route /off {{ early-hints off; proxy o }}
            early-hints; cache main; proxy o
        }}",
        origin.upstream("o")
    );
    let house = House::with(pair, "", &text);
    let mut client = Client::connect(&house);
    // What is at hand is not announced, what the origin must be asked about is.
    let _ = client.ask(&navigate("/kept"));
    check_hints(pair, &client.ask(&navigate("/kept")), &[]);
    let _ = client.ask(&navigate("/checked"));
    check_hints(pair, &client.ask(&navigate("/checked")), &[CSS]);
    // Who does not say that it opens a page may not know what a 103 is.
    check_hints(pair, &client.ask(&Ask::get("/checked")), &[]);
    check_hints(pair, &client.ask(&Ask::get("/checked").field("sec-fetch-mode", "cors")), &[]);
    let post = Ask::post("/checked", "x").field("sec-fetch-mode", "navigate");
    assert_eq!(hints(&client.ask(&post)), Vec::<Vec<&str>>::new());
    for _ in 0..2 {
        check_hints(pair, &client.ask(&navigate("/off")), &[]);
    }
}

fn hints_of_an_origin_pass_behind_ours(pair: Pair) {
    let origin = Origin::start(pair.back, |talk| {
        while talk.request()?.is_some() {
            talk.send("HTTP/1.1 103 Early Hints\r\nLink: </own>; rel=preload\r\n\r\n")?;
            talk.send(page(&format!("Link: {CSS}\r\n")))?;
        }
        Ok(())
    });
    let house = House::before(pair, &origin, "early-hints");
    let mut client = Client::connect(&house);
    let own = "</own>; rel=preload";
    assert_eq!(hints(&client.ask(&navigate("/"))), [[own]]);
    let again = client.ask(&navigate("/"));
    if matches!(pair.front, Front::H1 | Front::H1Tls) {
        assert_eq!(hints(&again), [[own]]);
    } else {
        assert_eq!(hints(&again), [[CSS], [own]]);
    }
}

fn hints_come_while_the_origin_works(pair: Pair) {
    // Given an origin that works on its second answer until the story lets it go.
    let origin = Origin::start(pair.back, |talk| {
        while let Some(seen) = talk.request()? {
            if seen.field("x-slow").is_some() {
                talk.hold();
            }
            talk.send(page(&format!("Link: {CSS}\r\n")))?;
        }
        Ok(())
    });
    let house = House::before(pair, &origin, "early-hints");
    let Client::H2(mut client) = Client::connect(&house) else { panic!("HTTP/2") };
    let _ = client.exchange(&navigate("/")).unwrap();
    // When the page is opened again.
    let mut answer = client.begin(&navigate("/").field("x-slow", "1"));
    // Then the hints are there before the origin has answered.
    let hints = client.run(poll_fn(|cx| answer.poll_informational(cx)));
    let hints = hints.expect("hints").expect("a 103");
    assert_eq!((hints.status().as_u16(), &hints.headers()["link"].to_str().unwrap()), (103, &CSS));
    origin.release();
    assert_eq!(client.run(answer).expect("an answer").status().as_u16(), 200);
}

const IMMUTABLE: &str = "public, max-age=31536000, immutable";

fn assets_are_said_not_to_change(pair: Pair) {
    let origin = Origin::serving(pair.back, |seen| {
        let answer = |fields: &str| reply("200 OK", fields, b"a");
        match seen.target() {
            "/plain" => answer(""),
            "/other" => answer(
                "Cache-Control: no-cache\r\nCache-Control: max-age=5\r\nExpires: 0\r\nPragma: no-cache\r\n",
            ),
            "/private" => answer("Cache-Control: max-age=5, private\r\n"),
            "/no-store" => answer("Cache-Control: No-Store\r\n"),
            "/cookie" => answer("Cache-Control: max-age=5\r\nSet-Cookie: a=b\r\n"),
            "/shared" => answer("Cache-Control: public, max-age=5\r\n"),
            "/part" => reply("206 Partial Content", "Content-Range: bytes 0-0/2\r\n", b"a"),
            "/same" => b"HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=5\r\n\r\n".to_vec(),
            "/silent" => b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n".to_vec(),
            "/moved" => reply("302 Found", "Location: /a\r\n", b""),
            _ => reply("404 Not Found", "Cache-Control: max-age=5\r\n", b"a"),
        }
    });
    let text = format!(
        "{} @SITE {{
            immutable 365d
            route /shown {{ response-header set Cache-Control max-age=1; proxy o }}
            route /off {{ immutable off; proxy o }}
            route /text {{ respond 200 hello }}
            proxy o
        }}",
        origin.upstream("o")
    );
    let house = House::with(pair, "", &text);
    let mut client = Client::connect(&house);
    let mut check = |ask: Ask, expect: Option<&str>| {
        let got = client.ask(&ask);
        let controls = got.head.all("cache-control");
        assert_eq!(controls, expect.into_iter().collect::<Vec<_>>(), "{} {}", ask.method, ask.path);
        got
    };
    check(Ask::get("/plain"), Some(IMMUTABLE));
    let other = check(Ask::get("/other"), Some(IMMUTABLE));
    assert_eq!((other.field("expires"), other.field("pragma")), (None, None));
    check(Ask::get("/text"), Some(IMMUTABLE));
    check(Ask::get("/part"), Some(IMMUTABLE));
    check(Ask::get("/same"), Some(IMMUTABLE));
    check(Ask::get("/silent"), None);
    check(Ask::get("/private"), Some("max-age=5, private"));
    check(Ask::get("/no-store"), Some("No-Store"));
    check(Ask::get("/cookie"), Some("max-age=5"));
    check(Ask::get("/plain").field("authorization", "Basic YTpi"), None);
    check(Ask::get("/shared").field("authorization", "Basic YTpi"), Some(IMMUTABLE));
    check(Ask::post("/plain", "x"), None);
    check(Ask::get("/moved"), None);
    check(Ask::get("/missing"), Some("max-age=5"));
    check(Ask::get("/off"), Some("max-age=5"));
    check(Ask::get("/shown"), Some("max-age=1"));
}

fn browsers_do_not_guess_what_answers_are(pair: Pair) {
    let origin = Origin::serving(pair.back, |seen| match seen.target() {
        "/typed" => {
            reply("200 OK", "Content-Type: text/css\r\nX-Content-Type-Options: any\r\n", b"a")
        }
        "/failed" => reply("500 Internal Server Error", "", b"a"),
        "/empty" => reply("200 OK", "", b""),
        "/none" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        "/same" => b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n".to_vec(),
        _ if seen.method() == "HEAD" => b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n".to_vec(),
        _ => reply("200 OK", "", b"a"),
    });
    let text = format!(
        "{} @SITE {{
            sniff-guard
            route /text {{ respond 200 hello }}
            route /off {{ sniff-guard off; proxy o }}
            proxy o
        }}",
        origin.upstream("o")
    );
    let house = House::with(pair, "", &text);
    let mut client = Client::connect(&house);
    let mut check = |ask: Ask, kind: Option<&str>, guard: &[&str]| {
        let got = client.ask(&ask);
        assert_eq!(got.field("content-type"), kind, "{} {}", ask.method, ask.path);
        assert_eq!(got.head.all("x-content-type-options"), guard, "{} {}", ask.method, ask.path);
    };
    let unknown = Some("application/octet-stream");
    check(Ask::get("/untyped"), unknown, &["nosniff"]);
    check(Ask::new("HEAD", "/untyped"), unknown, &["nosniff"]);
    check(Ask::get("/failed"), unknown, &["nosniff"]);
    check(Ask::get("/typed"), Some("text/css"), &["nosniff"]);
    check(Ask::get("/text"), Some("text/plain; charset=utf-8"), &["nosniff"]);
    check(Ask::get("/empty"), None, &["nosniff"]);
    check(Ask::get("/none"), None, &["nosniff"]);
    check(Ask::get("/same"), None, &["nosniff"]);
    check(Ask::get("/off"), None, &[]);
}

fn clients_are_told_where_the_time_went(pair: Pair) {
    let origin = Origin::serving(pair.back, |_| {
        reply("200 OK", "Cache-Control: max-age=60\r\nServer-Timing: db;dur=5\r\n", b"a")
    });
    let text = format!(
        "store main {{ memory 16MiB }}\n{} @SITE {{
            server-timing
            route /off {{ server-timing off; proxy o }}
            route /kept {{ cache main; proxy o }}
            proxy o
        }}",
        origin.upstream("o")
    );
    let house = House::with(pair, "", &text);
    let ask = |path: &str| once(&house, &Ask::get(path)).expect("an answer");
    let timed = |path: &str| {
        let got = ask(path);
        let lines = got.head.all("server-timing");
        assert_eq!((lines.len(), lines[0]), (2, "db;dur=5"), "the server's own stands before ours");
        // Numbers are milliseconds.
        let metrics = lines[1].split(", ").map(|metric| match metric.split_once(";dur=") {
            Some((name, millis)) => {
                assert!((0.0..30_000.0).contains(&millis.parse::<f64>().unwrap()), "{metric}");
                name.to_owned()
            }
            None => metric.to_owned(),
        });
        metrics.collect::<Vec<_>>()
    };
    assert_eq!(timed("/"), ["origin", "doorman"]);
    assert_eq!(timed("/kept"), ["cache;desc=miss", "origin", "doorman"]);
    assert_eq!(timed("/kept"), ["cache;desc=hit", "doorman"]);
    assert_eq!(ask("/off").head.all("server-timing"), ["db;dur=5"]);
}
