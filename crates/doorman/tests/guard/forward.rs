//! Another server is asked whether a request may pass.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use doorman_testkit::origin::{Origin, Script, Seen, answering, playing, reply};
use doorman_testkit::port;
use doorman_testkit::raw::{self, Raw};

use crate::rig::{FRONTS, Front, House, said};

/// A server that decides by a cookie: `ann` may come in, `bob` is known and may not, all others have to sign in.
fn decider() -> Origin {
    Origin::start(answering(Arc::new(|seen: &Seen| match seen.field("cookie") {
        Some("who=ann") => reply("200 OK", "Remote-User: ann\r\nX-Internal: 1\r\n", b"welcome"),
        Some("who=bob") => reply("403 Forbidden", "Content-Type: text/plain\r\n", b"not you"),
        Some(status) if status.starts_with("status=") => {
            reply(status.trim_start_matches("status="), "", b"")
        }
        _ => reply(
            "302 Found",
            "Location: https://login.test/\r\nSet-Cookie: state=1\r\nX-Internal: 1\r\n\
             Cache-Control: public, max-age=600\r\n",
            b"sign in",
        ),
    })))
}

/// Says what the origin was told of who asks.
fn told(seen: &Seen) -> Script {
    let all = ["remote-user", "remote_user", "x-internal", "x-doorman-asks"];
    said("", all.map(|name| seen.all(name).join("|")).join(","))
}

fn house(decider: &Origin, words: &str) -> House {
    let site = format!(
        "forward-auth http://{}/verify?app=shop response-header Remote-User {words}",
        decider.address()
    );
    House::before(&site, told)
}

/// Waits until so many questions of the plain site have ended so.
#[track_caller]
fn await_asked(house: &House, result: &str, count: u32) {
    let site = format!("http://*:{}", house.plain.port());
    let labels = format!("site=\"{site}\",route=\"*\",result=\"{result}\"");
    await_count(house, &format!("doorman_forward_auth_total{{{labels}}}"), count);
}

/// Waits until a series has counted so far: an answer may be there before it is counted.
#[track_caller]
pub(crate) fn await_count(house: &House, series: &str, count: u32) {
    let end = Instant::now() + raw::PATIENCE;
    loop {
        let counted = house.metric(series);
        if (counted - f64::from(count)).abs() < 0.5 {
            return;
        }
        assert!(Instant::now() < end, "{series} is {counted}, not {count}");
        thread::yield_now();
    }
}

#[test]
fn a_server_lets_in_and_says_who_it_is_and_clients_cannot() {
    let decider = decider();
    let house = house(&decider, "user Remote-User");
    for front in FRONTS {
        let fields = [("cookie", "who=ann"), ("remote-user", "root"), ("remote_user", "root")];
        let got = house.ask(front, "POST", "/a%62?c=d", &fields, b"a body");
        assert_eq!((got.status, got.body.as_slice()), (200, &b"ann,,,"[..]), "{front:?}");
        let asked = decider.ledger().requests().pop().expect("a question");
        assert_eq!((asked.method(), asked.target()), ("GET", "/verify?app=shop"), "{front:?}");
        // The body stays here, and what the client says of who it is goes nowhere.
        assert_eq!((asked.body_length, asked.field("content-length")), (0, None), "{front:?}");
        assert!(asked.all("remote-user").is_empty() && asked.all("remote_user").is_empty());
        assert_eq!(asked.field("x-forwarded-method"), Some("POST"));
        assert_eq!(asked.field("x-forwarded-uri"), Some("/ab?c=d"));
        assert_eq!(asked.field("x-forwarded-for"), Some("127.0.0.1"));
        let scheme = if front == Front::Plain { "http" } else { "https" };
        assert_eq!(asked.field("x-forwarded-proto"), Some(scheme), "{front:?}");
        let host = asked.field("x-forwarded-host").expect("a host");
        assert!(host.starts_with("localhost:"), "{host}");
        assert_eq!(asked.field("host"), Some(&*decider.address().to_string()));
    }
    // Questions go by one connection of each core, as requests do.
    assert!(decider.ledger().connections() <= 2);
    let line = house.line("/a%62");
    assert!(line.contains("\"user\":\"ann\"") && line.contains("\"end\":\"ok\""), "{line}");
    await_asked(&house, "passed", 1);
}

#[test]
fn refusals_are_shown_to_their_client_and_kept_by_nobody() {
    let decider = decider();
    let house = house(&decider, "");
    for front in FRONTS {
        let got = house.ask(front, "GET", "/shut", &[], b"");
        assert_eq!((got.status, got.body.as_slice()), (302, &b"sign in"[..]), "{front:?}");
        assert_eq!(got.field("location"), Some("https://login.test/"), "{front:?}");
        assert_eq!(got.field("set-cookie"), Some("state=1"), "{front:?}");
        assert_eq!(got.field("cache-control"), Some("no-store"), "{front:?}");
        assert_eq!(got.field("x-internal"), None, "{front:?}");
        let got = house.ask(front, "GET", "/", &[("cookie", "who=bob")], b"");
        assert_eq!((got.status, got.body.as_slice()), (403, &b"not you"[..]), "{front:?}");
        assert_eq!(got.field("content-type"), Some("text/plain"), "{front:?}");
    }
    assert_eq!(house.asked(), 0);
    let line = house.line("/shut");
    let words = ["\"end\":\"unauthorized\"", "/verify?app=shop answered 302", "\"status\":302"];
    assert!(words.iter().all(|word| line.contains(word)), "{line}");
    let got = house.ask(Front::Plain, "HEAD", "/", &[("cookie", "who=bob")], b"");
    assert_eq!((got.status, got.body.len()), (403, 0));
    // A client of gRPC reads no pages.
    let call = [("content-type", "application/grpc"), ("te", "trailers"), ("cookie", "who=bob")];
    let got = house.ask(Front::H2, "POST", "/call", &call, b"");
    assert_eq!((got.status, got.field("grpc-status")), (200, Some("16")));
}

#[test]
fn a_client_cannot_pass_one_path_off_as_another() {
    let decider = decider();
    let house = house(&decider, "");
    let lies = [
        ("x-forwarded-uri", "/public"),
        ("x_forwarded_uri", "/public"),
        ("x-forwarded-method", "OPTIONS"),
        ("x-forwarded-prefix", "/public"),
        ("x-original-url", "http://localhost/public"),
        ("x-original-method", "OPTIONS"),
        ("x-rewrite-url", "/public"),
        ("forwarded", "for=10.0.0.1;host=public.test"),
        ("x-real-ip", "10.0.0.1"),
        ("cookie", "who=ann"),
    ];
    assert_eq!(house.get("/secret", &lies).status, 200);
    let asked = decider.ledger().requests().pop().expect("a question");
    assert_eq!(asked.all("x-forwarded-uri"), ["/secret"]);
    assert_eq!(asked.all("x-forwarded-method"), ["GET"]);
    assert_eq!(asked.all("x-forwarded-for"), ["127.0.0.1"]);
    for (name, _) in
        lies.iter().skip(1).filter(|(name, _)| !["x-forwarded-method", "cookie"].contains(name))
    {
        assert!(asked.all(name).is_empty(), "{name}");
    }
}

#[test]
fn what_means_nothing_is_no_permission() {
    let decider = decider();
    let house = house(&decider, "");
    let answers = [
        ("500 Oh", 503),
        ("503 Later", 503),
        ("429 Slow down", 503),
        ("400 Bad", 502),
        ("404 Not here", 502),
        ("300 Choose", 502),
        ("304 Same", 502),
        ("302 Somewhere", 502),
    ];
    for (answer, expect) in answers {
        let cookie = format!("status={answer}");
        let got = house.get("/odd", &[("cookie", &cookie)]);
        assert_eq!(got.status, expect, "{answer}");
    }
    assert_eq!(house.asked(), 0);
    let line = house.line("/odd");
    assert!(
        line.contains("\"end\":\"auth-unavailable\"") && line.contains("it answered 500"),
        "{line}"
    );
    await_asked(&house, "failed", 8);
    assert_eq!(house.get("/", &[("cookie", "who=ann")]).status, 200);
}

#[test]
fn a_server_that_is_down_slow_or_broken_shuts_its_own_doors_only() {
    // Accepts and says nothing; breaks off in its answer; and nobody at all.
    let silent = Origin::start(playing(vec![Script::new().read_request().hold()]));
    let broken = Origin::start(answering(Arc::new(|_: &Seen| {
        Script::new().send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab").close()
    })));
    let nobody = port::free();
    let site = format!(
        "route /silent {{ forward-auth http://{}/ timeout 200ms; proxy web }}\n\
         route /broken {{ forward-auth http://{}/; proxy web }}\n\
         route /down {{ forward-auth 127.0.0.1:{nobody}/verify; proxy web }}\n\
         route * {{ proxy web }}",
        silent.address(),
        broken.address(),
    );
    let house = House::before(&site, told);
    for (path, why) in
        [("/silent", "no answer in time"), ("/broken", "it broke off"), ("/down", "connect")]
    {
        assert_eq!(house.get(path, &[]).status, 503, "{path}");
        let line = house.line(path);
        assert!(line.contains("\"end\":\"auth-unavailable\"") && line.contains(why), "{line}");
    }
    assert_eq!(house.asked(), 0);
    assert_eq!(house.get("/open", &[]).status, 200);
}

#[test]
fn it_is_asked_besides_other_gates_and_its_user_counts_for_limits() {
    let decider = decider();
    let house = house(&decider, "user Remote-User\nlimit 2/h burst 2 per user\n");
    let ann = || house.get("/", &[("cookie", "who=ann")]).status;
    assert_eq!([ann(), ann(), ann()], [200, 200, 429]);
    house.configure(&format!(
        "api-key key shop sha256:d0ddc66349f3b4f5e52d479167db0408480e105b7813f91ffc99be06f9c63ffb\n\
         forward-auth http://{}/verify method same",
        decider.address()
    ));
    house.reload(" is in force");
    let asked = decider.ledger().requests().len();
    assert_eq!(house.get("/", &[("cookie", "who=ann")]).status, 401);
    assert_eq!(decider.ledger().requests().len(), asked);
    let key = ("x-api-key", "key-of-the-shop");
    assert_eq!(house.get("/", &[("cookie", "who=bob"), key]).status, 403);
    let got = house.ask(Front::Plain, "PUT", "/", &[("cookie", "who=ann"), key], b"x");
    assert_eq!(got.status, 200);
    assert_eq!(decider.ledger().requests().pop().expect("a question").method(), "PUT");
}

#[test]
fn what_one_may_see_is_kept_for_nobody_else() {
    let decider = decider();
    let site = format!(
        "store s {{ memory 8MiB }}\n---\ncache s ttl 1h\nforward-auth http://{}/verify",
        decider.address()
    );
    let house = House::before(&site, |_| said("Cache-Control: max-age=600\r\n", "page"));
    for _ in 0..2 {
        assert_eq!(house.get("/page", &[("cookie", "who=ann")]).status, 200);
    }
    assert_eq!(house.get("/page", &[]).status, 302);
    assert_eq!(house.asked(), 2);
}

#[test]
fn upgrades_are_asked_about_once_and_then_pass() {
    let decider = decider();
    let house = house(&decider, "");
    let fields = [
        ("cookie", "who=ann"),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let mut raw: Raw = house.connect();
    raw.send(house.head("GET", "/ws", &fields, b"")).expect("a house that listens");
    // The origin here answers it as any request: what counts is that it was asked for it.
    let _ = raw.response_to(doorman_testkit::reply::Asked::Other);
    let asked = decider.ledger().requests().pop().expect("a question");
    assert_eq!((asked.field("upgrade"), asked.field("x-forwarded-uri")), (None, Some("/ws")));
    assert_eq!(house.origin.ledger().requests()[0].field("upgrade"), Some("websocket"));
}

#[test]
fn a_server_that_asks_itself_is_told_so_at_once() {
    let house = House::with("");
    let own = house.plain;
    house.configure(&format!("forward-auth http://{own}/verify\nproxy web"));
    house.reload(" is in force");
    assert_eq!(house.get("/round", &[]).status, 503);
    let line = house.line("/verify");
    assert!(line.contains("it asks itself"), "{line}");
    assert_eq!(house.asked(), 0);
}

#[test]
fn an_upstream_of_the_configuration_is_asked_by_its_own_rules() {
    let decider = decider();
    let site = format!(
        "upstream auth {{ server {}; retry 1 on 500 }}\n---\nforward-auth auth/api/verify\nproxy web",
        decider.address()
    );
    let house = House::before(&site, told);
    assert_eq!(house.get("/", &[("cookie", "who=ann")]).status, 200);
    assert_eq!(decider.ledger().requests()[0].target(), "/api/verify");
    assert_eq!(house.get("/", &[("cookie", "status=500 Oh")]).status, 503);
    assert!(house.metric("doorman_upstream_requests_total{upstream=\"auth\"") >= 1.0);
}
