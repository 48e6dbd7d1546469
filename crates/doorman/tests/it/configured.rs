//! What a configuration says is what happens: routes, edits, limits, upstreams, end to end.

use std::collections::BTreeMap;
use std::os::unix::net::{UnixListener, UnixStream};

use crate::rig::client::once;
use crate::rig::origin::reply;
use crate::rig::{
    Ask, Back, Client, Front, House, Lane, Origin, Pair, Wire, all_pairs, h1_pairs, pairs,
};

pairs!(heads_are_edited);
all_pairs!(
    routes_are_found,
    who_asked_is_told,
    locations_and_cookies_fit_the_site,
    bodies_have_a_bound,
    buffering_changes_nothing
);
h1_pairs!(hop_by_hop_fields_stay);

/// Says what it was asked for.
fn teller(back: Back) -> Origin {
    Origin::serving(back, |seen| {
        let told = String::from_utf8_lossy(&seen.head.raw).into_owned();
        reply("200 OK", "", told.as_bytes())
    })
}

fn routes_are_found(pair: Pair) {
    let origin = teller(pair.back);
    let house = House::before(
        pair,
        &origin,
        "route /exact { respond 200 exact }
         route /prefix/* when not query secret yes { respond 200 prefix }
         route /a/*/b { respond 200 wild }
         route ~ ^/v[0-9]+/x$ { respond 200 regex }
         route POST /method { respond 200 post }
         route /when when header X-Kind special { respond 200 header }
         route /when when query k v { respond 200 query }
         route /when when cookie c d { respond 200 cookie }
         route /when when client 10.0.0.0/8 { respond 200 far }
         route /when when client 127.0.0.0/8 { respond 200 near }
         route /moved/* { redirect https://new.test{uri} 308 }
         route /gone { respond 410 \"gone: {path}\" }
         route /teapot { respond 204 }",
    );
    let mut client = Client::connect(&house);
    let rows = [
        ("/exact", "exact"),
        ("/exact?q", "exact"),
        ("/prefix/", "prefix"),
        ("/prefix/x/y", "prefix"),
        ("/a/1/b", "wild"),
        ("/v12/x", "regex"),
        ("/when?k=v", "query"),
        ("/when", "near"),
    ];
    for (path, expected) in rows {
        assert_eq!(client.ask(&Ask::get(path)).text(), expected, "{path}");
    }
    assert_eq!(client.ask(&Ask::post("/method", "x")).text(), "post");
    let special = Ask::get("/when").field("x-kind", "special");
    assert_eq!(client.ask(&special).text(), "header");
    assert_eq!(client.ask(&Ask::get("/when").field("cookie", "a=b; c=d")).text(), "cookie");
    let moved = client.ask(&Ask::get("/moved/x?y=z"));
    assert_eq!(
        (moved.status, moved.field("location")),
        (308, Some("https://new.test/moved/x?y=z"))
    );
    let gone = client.ask(&Ask::get("/gone"));
    assert_eq!((gone.status, gone.text().as_str()), (410, "gone: /gone"));
    let empty = client.ask(&Ask::get("/teapot"));
    assert_eq!((empty.status, empty.field("content-length")), (204, None));
    assert!(origin.seen().is_empty());
    for path in ["/exactly", "/method", "/v/x", "/a/b", "/prefix/x?secret=yes"] {
        let told = client.ask(&Ask::get(path)).text();
        assert!(told.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{path}: {told}");
    }
}

fn heads_are_edited(pair: Pair) {
    let origin = teller(pair.back);
    let house = House::before(
        pair,
        &origin,
        "request-header set X-Set \"{method} {path}\"
         request-header add X-Add two
         request-header remove X-Secret
         response-header set X-Out \"{header.x-in}\"
         response-header remove X-Gone
         route /app/* { strip-prefix /app
                        proxy o }
         route /old/* { rewrite ^/old/(.*)$ /new/{1}
                        proxy o }
         route /named { host inner.test
                        proxy o }",
    );
    let mut client = Client::connect(&house);
    let ask =
        Ask::get("/app/x?q=1").field("x-add", "one").field("x-secret", "s").field("x-in", "hi");
    let answer = client.ask(&ask);
    let told = answer.text();
    assert!(told.starts_with("GET /x?q=1 HTTP/1.1\r\n"), "{told}");
    assert_eq!(answer.field("x-out"), Some("hi"));
    let head = &origin.seen()[0].head;
    assert_eq!(head.all("x-add"), ["one", "two"]);
    assert_eq!(head.all("x-secret"), [""; 0]);
    assert!(head.field("x-set").expect("the field").starts_with("GET /"), "{told}");
    assert!(client.ask(&Ask::get("/old/a/b")).text().starts_with("GET /new/a/b HTTP/1.1\r\n"));
    let told = client.ask(&Ask::get("/named")).text().to_ascii_lowercase();
    assert!(told.contains("host: inner.test\r\n"), "{told}");
}

fn who_asked_is_told(pair: Pair) {
    let origin = teller(pair.back);
    let house = House::before(
        pair,
        &origin,
        "route /both { forwarded both\nproxy o }\nroute /off { forwarded off\nproxy o }",
    );
    let mut client = Client::connect(&house);
    // A stranger's word about who asked is not believed.
    let forged = |path| {
        Ask::get(path)
            .field("x-forwarded-for", "6.6.6.6")
            .field("x-forwarded-proto", "gopher")
            .field("x-forwarded-host", "evil.test")
            .field("forwarded", "for=6.6.6.6")
    };
    assert_eq!(client.ask(&forged("/")).status, 200);
    let head = origin.seen()[0].head.clone();
    let scheme = pair.front.scheme();
    assert_eq!(head.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(head.all("x-forwarded-proto"), [scheme]);
    assert_eq!(head.all("x-forwarded-host"), ["localhost"]);
    assert!(!head.all("forwarded").iter().any(|value| value.contains("6.6.6.6")));
    assert_eq!(client.ask(&forged("/both")).status, 200);
    let head = origin.seen()[1].head.clone();
    let told = head.field("forwarded").expect("the field");
    assert!(told.contains("for=127.0.0.1") && told.contains(&format!("proto={scheme}")), "{told}");
}

fn locations_and_cookies_fit_the_site(pair: Pair) {
    let scheme = pair.back.scheme();
    let origin = Origin::serving(pair.back, move |seen| {
        let host = seen.field("host").unwrap_or_default();
        let fields = format!(
            "Location: {scheme}://{host}/there\r\nSet-Cookie: a=b; Domain=inner.test; Path=/; HttpOnly\r\n"
        );
        reply("302 Found", &fields, b"")
    });
    let house = House::before(
        pair,
        &origin,
        "host upstream
         rewrite-cookie domain inner.test outer.test
         rewrite-cookie path / /app/
         strip-prefix /app",
    );
    let answer = once(&house, &Ask::get("/app/x")).expect("an answer");
    let public = pair.front.scheme();
    assert_eq!(answer.field("location"), Some(format!("{public}://localhost/app/there").as_str()));
    assert_eq!(answer.field("set-cookie"), Some("a=b; Domain=outer.test; Path=/app/; HttpOnly"));
}

fn bodies_have_a_bound(pair: Pair) {
    let origin = Origin::serving(pair.back, |_| reply("200 OK", "", b"taken"));
    let house = House::before(pair, &origin, "body max 10KiB");
    let mut client = Client::connect(&house);
    assert_eq!(client.ask(&Ask::post("/", vec![b'x'; 10_240])).status, 200);
    assert_eq!(once(&house, &Ask::post("/", vec![b'x'; 10_241])).expect("an answer").status, 413);
    let chunked = |n: usize| Ask::new("POST", "/").chunked(vec![vec![b'x'; 1024]; n]);
    assert_eq!(client.ask(&chunked(10)).status, 200);
    assert_eq!(once(&house, &chunked(11)).expect("an answer").status, 413);
    assert_eq!(client.ask(&Ask::post("/", "small")).status, 200);
    assert_eq!(origin.seen().len(), 3, "no whole request that is too large");
}

fn buffering_changes_nothing(pair: Pair) {
    let origin = Origin::serving(pair.back, |seen| {
        let sum = seen.content.sum.value().to_string();
        reply("200 OK", &format!("X-Sum: {sum}\r\n"), &seen.content.kept)
    });
    let house = House::before(pair, &origin, "buffer request 8KiB response 8KiB");
    let mut client = Client::connect(&house);
    for length in [0, 1, 8191, 8192, 8193, 100_000] {
        let body = doorman_testkit::sums::Pattern { seed: 5 }.bytes(length);
        for ask in [Ask::post("/", body.clone()), Ask::new("POST", "/").chunked(vec![body.clone()])]
        {
            // A chunk of no bytes would be the last one.
            let ask = if length == 0 { Ask::post("/", "") } else { ask };
            let answer = client.ask(&ask);
            assert_eq!(answer.content.sum.value(), crate::rig::client::sum(&body), "{length}");
        }
    }
    // What fits is known in length before the origin is asked.
    let small = origin.seen().iter().filter(|seen| seen.content.length() <= 8192).count();
    let counted =
        origin.seen().iter().filter(|seen| seen.field("content-length").is_some()).count();
    assert!(counted >= small, "{counted} of {small}");
}

fn hop_by_hop_fields_stay(pair: Pair) {
    let origin = Origin::serving(pair.back, |_| {
        reply(
            "200 OK",
            "Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nX-End: 1\r\n",
            b"",
        )
    });
    let house = House::before(pair, &origin, "");
    let mut client = Wire::connect(&house);
    let answer = client.ask(
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: X-One, keep-alive\r\nX-One: 1\r\nKeep-Alive: 5\r\n\
         Proxy-Connection: keep-alive\r\nTE: gzip\r\nX-End: 1\r\n\r\n",
    );
    assert_eq!((answer.field("x-hop"), answer.field("keep-alive")), (None, None));
    assert_eq!(answer.field("x-end"), Some("1"));
    let head = &origin.seen()[0].head;
    for name in ["x-one", "keep-alive", "proxy-connection", "te"] {
        assert_eq!(head.field(name), None, "{name}");
    }
    assert_eq!(head.field("x-end"), Some("1"));
}

#[test]
fn several_sites_share_a_port() {
    let text = "site http://a.test:@PORT { respond 200 a }
                site http://*.b.test:@PORT { respond 200 b }
                site http://*:@PORT { respond 200 any }";
    let house = House::with(Pair::PLAIN, "", text);
    for (host, expected) in [("a.test", "a"), ("A.test", "a"), ("x.b.test", "b"), ("c.test", "any")]
    {
        let answer = once(&house, &Ask::get("/").host(host)).expect("an answer");
        assert_eq!(answer.text(), expected, "{host}");
    }
}

#[test]
fn error_pages_stand_in_for_errors() {
    let origin =
        Origin::serving(Back::H1, |_| reply("503 Service Unavailable", "", b"origin's own"));
    let options = "error-page 503 respond 500 \"sorry {request-id}\"\nerror-page 404 respond \"not here\"\n\
                   route /dead { proxy dead }";
    let dead = crate::rig::house::free_port();
    let text = format!(
        "{}upstream dead {{ server 127.0.0.1:{dead} }} @SITE {{ error-page 502 respond \"dead\"\n{options}\nproxy o }}",
        origin.upstream("o")
    );
    let house = House::with(Pair::PLAIN, "", &text);
    let answer = once(&house, &Ask::get("/")).expect("an answer");
    assert_eq!(answer.status, 500);
    assert!(answer.text().starts_with("sorry "), "{}", answer.text());
    let answer = once(&house, &Ask::get("/dead")).expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (502, "dead"));
}

#[test]
fn requests_are_split_by_share() {
    let (one, other) = (teller(Back::H1), teller(Back::H1));
    let text = format!(
        "{}{} @SITE {{ proxy one 80% other 20% }}",
        one.upstream("one"),
        other.upstream("other")
    );
    let house = House::with(Pair::PLAIN, "", &text);
    let mut client = Client::connect(&house);
    for _ in 0..200 {
        assert_eq!(client.ask(&Ask::get("/")).status, 200);
    }
    assert_eq!((one.seen().len(), other.seen().len()), (160, 40));
}

#[test]
fn servers_take_turns() {
    let origins = [teller(Back::H1), teller(Back::H1), teller(Back::H1)];
    let servers: Vec<String> = origins.iter().map(Origin::servers).collect();
    let weighted = format!("{}; {}; {} weight 2", servers[0], servers[1], servers[2]);
    let house =
        House::with(Pair::PLAIN, "", &format!("upstream o {{ {weighted} }} @SITE {{ proxy o }}"));
    let mut client = Client::connect(&house);
    for _ in 0..100 {
        assert_eq!(client.ask(&Ask::get("/")).status, 200);
    }
    let counts: BTreeMap<usize, usize> =
        origins.iter().enumerate().map(|(n, origin)| (n, origin.seen().len())).collect();
    assert_eq!(counts, BTreeMap::from([(0, 25), (1, 25), (2, 50)]));
}

/// The server that is asked least now is asked next, whichever's turn it would be.
#[test]
fn least_requests_spares_the_busy() {
    let serve = || {
        Origin::start(Back::H1, |talk| {
            while let Some(seen) = talk.request()? {
                if seen.target() == "/slow" {
                    talk.hold();
                }
                talk.send(reply("200 OK", "", b"done"))?;
            }
            Ok(())
        })
    };
    let origins = [serve(), serve()];
    let servers = origins.each_ref().map(Origin::servers).join("\n");
    let text = format!("upstream o {{ balance least-requests\n{servers}\n}} @SITE {{ proxy o }}");
    let house = House::with(Pair::PLAIN, "", &text);
    let asked = || origins.each_ref().map(|origin| origin.seen().len());
    let wait = |done: &dyn Fn() -> bool| {
        let begun = std::time::Instant::now();
        while !done() {
            assert!(begun.elapsed() < crate::rig::PATIENCE, "asked {:?}", asked());
            origins[0].pause(std::time::Duration::from_millis(5));
        }
    };
    std::thread::scope(|scope| {
        // Two for each: a request whose answer was read may count as under way for a moment more, and
        // must not make the idle one the equal of the busy one.
        let slow: Vec<_> = (1..=4)
            .map(|n| {
                let slow = scope.spawn(|| once(&house, &Ask::get("/slow")).expect("an answer"));
                wait(&|| asked().iter().sum::<usize>() == n);
                slow
            })
            .collect();
        assert_eq!(asked(), [2, 2], "the load is even");
        origins[1].release();
        wait(&|| slow.iter().filter(|slow| slow.is_finished()).count() == 2);
        // Some by one connection, some by others, so that every core is asked.
        let mut client = Client::connect(&house);
        for _ in 0..10 {
            assert_eq!(client.ask(&Ask::get("/")).text(), "done");
            assert_eq!(once(&house, &Ask::get("/")).expect("an answer").text(), "done");
        }
        assert_eq!(asked(), [2, 22], "the busy one is spared");
        origins[0].release();
        for slow in slow {
            assert_eq!(slow.join().expect("no panic").text(), "done");
        }
        // Both are idle again, and both are asked.
        for _ in 0..10 {
            assert_eq!(once(&house, &Ask::get("/")).expect("an answer").text(), "done");
        }
        assert!(asked()[0] > 2, "its load is over");
    });
}

/// An origin on a Unix socket, for ever.
fn unix_origin(path: &std::path::Path) {
    let listener = UnixListener::bind(path).expect("our own folder");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // Each core keeps connections of its own.
            std::thread::spawn(move || {
                let mut wire = Wire::new(Lane::Unix(stream));
                while let Ok(Some(_)) = wire.head() {
                    let _ = wire.send(reply("200 OK", "", b"local"));
                }
            });
        }
    });
}

#[test]
fn unix_sockets_at_both_ends() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (front, back) = (folder.path().join("front.sock"), folder.path().join("back.sock"));
    unix_origin(&back);
    let text = format!(
        "listen unix:{}\nupstream o {{ server unix:{} }} @SITE {{ proxy o }}",
        front.display(),
        back.display()
    );
    let house = House::with(Pair::PLAIN, "", &text);
    for _ in 0..3 {
        let stream = UnixStream::connect(&front).expect("a socket that is open");
        let mut client = Wire::new(Lane::Unix(stream));
        assert_eq!(client.ask(Ask::get("/").bytes()).text(), "local");
        assert_eq!(client.ask(Ask::get("/").bytes()).text(), "local");
    }
    assert_eq!(once(&house, &Ask::get("/")).expect("an answer").text(), "local");
}

#[test]
fn a_unix_socket_under_tls() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (front, back) = (folder.path().join("front.sock"), folder.path().join("back.sock"));
    unix_origin(&back);
    let text = format!(
        "listen unix:{} {{ tls }}\nupstream o {{ server unix:{} }} @SITE {{ proxy o }}",
        front.display(),
        back.display()
    );
    let house = House::with(Pair { front: Front::H1Tls, back: Back::H1 }, "", &text);
    for _ in 0..3 {
        let mut client = Wire::connect_unix_tls(&house, &front);
        for _ in 0..2 {
            assert_eq!(client.ask(Ask::get("/").bytes()).text(), "local");
        }
        client.finish();
        assert_eq!(client.rest().0, b"");
    }
    // Plain HTTP is no handshake.
    let mut client = Wire::new(Lane::Unix(UnixStream::connect(&front).expect("an open socket")));
    client.send(Ask::get("/").bytes()).unwrap();
    assert!(client.reply("GET").is_err());
    assert_eq!(once(&house, &Ask::get("/")).expect("an answer").text(), "local");
}

/// A local client that goes away ends the work that is done for it, as a distant one does (UPB-17).
#[test]
fn a_unix_client_that_leaves_ends_the_work() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let front = folder.path().join("front.sock");
    let origin = Origin::start(Back::H1, |talk| {
        talk.request()?;
        talk.wire.more().map(drop)
    });
    let text =
        format!("listen unix:{}\n{} @SITE {{ proxy o }}", front.display(), origin.upstream("o"));
    let house = House::with(Pair::PLAIN, "", &text);
    let mut client = Wire::new(Lane::Unix(UnixStream::connect(&front).expect("an open socket")));
    client.send(Ask::get("/waits").bytes()).unwrap();
    origin.wait("request", |book| book.seen.len() == 1);
    drop(client);
    origin.wait("end of the connection", |book| book.open == 0);
    house.logged(&["/waits", "client"]);
}
