//! Reload and stop: nothing that is under way is lost, and a bad file changes nothing.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use doorman_testkit::h3::H3;
use doorman_testkit::load::{Load, Tally};
use doorman_testkit::origin::{self as scripted, answering, echo};
use doorman_testkit::sums::Pattern;
use doorman_testkit::tls::Tls;
use rustix::process::Signal;

use crate::rig::client::{H2, once};
use crate::rig::origin::reply;
use crate::rig::{
    Ask, Back, Client, Front, House, Lane, Origin, PATIENCE, Pair, Wire, all_pairs, h1_pairs,
};
use crate::upgrades::{ASK, SWITCH};

all_pairs!(opr_12_term_drains, opr_05_a_request_outlives_a_reload);
h1_pairs!(opr_07_a_websocket_survives_reloads);

/// Reloads under load: every 100 ms, as often as this.
const RELOADS: usize = 20;
const PERIOD: Duration = Duration::from_millis(100);

/// OPR-01 in small.
fn reloads_lose_nothing(front: Front) {
    let target = scripted::Origin::start(answering(echo()));
    let text = |n: usize| {
        format!(
            "upstream o {{ server {} }} @SITE {{ response-header set X-Generation {n}\nproxy o }}",
            target.address()
        )
    };
    let house = House::with(Pair { front, back: Back::H1 }, "", &text(0));
    let tls = (front == Front::H1Tls).then(|| {
        let authority = std::fs::read_to_string(house.authority()).expect("a certificate");
        Tls::new("localhost", &authority)
    });
    let load = Load {
        target: house.address,
        tls,
        host: "localhost".to_owned(),
        clients: 4,
        body_max: 20_000,
    };
    let running = load.start();
    running.wait_for(50);
    let watch = Origin::start(Back::H1, |_| Ok(()));
    for n in 1..=RELOADS {
        house.rewrite("", &text(n));
        house.signal(Signal::HUP);
        watch.pause(PERIOD);
    }
    running.wait_for(50);
    // Signals that come while another is being followed are one.
    house.wait_said("is in force", RELOADS / 4);
    let tally = running.stop();
    assert_eq!(tally.failed(), 0, "{tally:?}");
    assert!(tally.right > 100, "{tally:?}");
    assert_eq!(tally.connections, 4, "connections of what did not change are kept");
    assert_eq!(Tally::duplicates(&target), Vec::<String>::new());
    let answer = once(&house, &Ask::get("/")).expect("an answer");
    assert_eq!(answer.field("x-generation"), Some(RELOADS.to_string().as_str()));
}

#[test]
fn opr_01_reloads_lose_nothing() {
    reloads_lose_nothing(Front::H1);
}

#[test]
fn opr_01_reloads_lose_nothing_under_tls() {
    reloads_lose_nothing(Front::H1Tls);
}

/// HTTP/2: streams of connections that live through all of it, with bodies both ways.
#[test]
fn opr_01_reloads_lose_no_stream() {
    reloads_lose_no_stream(Back::H1, |upstream, _| upstream.to_owned());
}

/// The server has another name in every third text, so that its connections are given up under load
/// and new ones made: what goes over the old ones is still answered.
#[test]
fn opr_01_reloads_lose_no_stream_to_an_http_3_origin() {
    reloads_lose_no_stream(Back::H3, |upstream, n| {
        upstream.replacen("; protocol", &format!(" name s{}; protocol", n / 3), 1)
    });
}

fn reloads_lose_no_stream(back: Back, change: impl Fn(&str, usize) -> String) {
    let origin = Origin::serving(back, |seen| reply("200 OK", "", &seen.content.kept));
    let upstream = origin.upstream("o");
    let text = |n: usize| {
        let upstream = change(&upstream, n);
        format!("{upstream} @SITE {{ response-header set X-Generation {n}\nproxy o }}")
    };
    let house = House::with(Pair { front: Front::H2, back }, "", &text(0));
    let (asked, ended) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for client in 0..3u64 {
            let (house, asked, ended) = (&house, &asked, &ended);
            scope.spawn(move || {
                // One connection: losing it fails the next request.
                let mut h2 = H2::connect(house);
                while !ended.load(Ordering::Relaxed) {
                    let bodies =
                        [0, 1, 2, 3].map(|n| Pattern { seed: client }.bytes(n * 7_000 + 1));
                    let asks = bodies.each_ref().map(|body| Ask::post("/", body.clone()));
                    for (reply, body) in h2.exchange_all(&asks).into_iter().zip(&bodies) {
                        let reply = reply.expect("an answer");
                        assert_eq!((reply.status, reply.body()), (200, body.as_slice()));
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        for n in 1..=RELOADS {
            house.rewrite("", &text(n));
            house.signal(Signal::HUP);
            origin.pause(PERIOD);
        }
        // Signals that come while another is being followed are one.
        house.wait_said("is in force", RELOADS / 4);
        ended.store(true, Ordering::Relaxed);
    });
    assert!(asked.load(Ordering::Relaxed) > 100, "{asked:?}");
    let answer = once(&house, &Ask::get("/")).expect("an answer");
    assert_eq!(answer.field("x-generation"), Some(RELOADS.to_string().as_str()));
}

fn opr_05_a_request_outlives_a_reload(pair: Pair) {
    let origin = Origin::start(pair.back, |talk| {
        while let Some(seen) = talk.request()? {
            if seen.target() == "/slow" {
                talk.hold();
            }
            talk.send(reply("200 OK", "", b"the old way"))?;
        }
        Ok(())
    });
    let text = format!("{} @SITE {{ proxy o }}", origin.upstream("o"));
    let house = House::with(pair, "", &text);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| once(&house, &Ask::get("/slow")).expect("an answer").text());
        origin.wait("request", |book| !book.seen.is_empty());
        house.rewrite("", "@SITE { respond 200 new }");
        house.signal(Signal::HUP);
        house.wait_said("is in force", 1);
        let mut client = Client::connect(&house);
        while client.ask(&Ask::get("/")).text() != "new" {}
        origin.release();
        assert_eq!(slow.join().expect("no panic"), "the old way");
    });
}

fn opr_07_a_websocket_survives_reloads(pair: Pair) {
    let origin = Origin::start(pair.back, |talk| {
        if talk.head()?.is_none() {
            return Ok(());
        }
        talk.send(SWITCH)?;
        while let Ok(byte) = talk.wire.exactly(1) {
            talk.send(byte)?;
        }
        Ok(())
    });
    let text = format!("{} @SITE {{ proxy o }}", origin.upstream("o"));
    let house = House::with(pair, "", &text);
    let mut client = Wire::connect(&house);
    assert_eq!(client.ask(ASK).status, 101);
    for n in 1..=3 {
        house.rewrite(
            "",
            &text.replace("proxy o", &format!("response-header set X-N {n}\nproxy o")),
        );
        house.signal(Signal::HUP);
        house.wait_said("is in force", n);
        client.send("ping").unwrap();
        assert_eq!(client.exactly(4).unwrap(), b"ping");
    }
    // Even its upstream may leave the configuration.
    house.rewrite("", "@SITE { respond 200 gone }");
    house.signal(Signal::HUP);
    house.wait_said("is in force", 4);
    client.send("pong").unwrap();
    assert_eq!(client.exactly(4).unwrap(), b"pong");
    assert_eq!(origin.book().received.len(), 1);
}

/// OPR-03, OPR-04.
#[test]
fn opr_03_a_bad_file_changes_nothing() {
    let house = House::with(Pair::PLAIN, "", "@SITE { respond 200 good }");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("a bound socket").port();
    let bad = [
        "@SITE { respond 200 bad".to_owned(),
        "@SITE { respnd 200 bad }".to_owned(),
        "@SITE { proxy nowhere }".to_owned(),
        "@SITE { route ~ ( { respond 200 }\nrespond 200 bad }".to_owned(),
        "site https://x.test:@PORT { tls cert no.pem key no.key\nrespond 200 bad }".to_owned(),
        "@SITE { error-page 404 no-such-file.html\nrespond 200 bad }".to_owned(),
        "upstream o { server https://127.0.0.1:1; tls ca no.pem name x } @SITE { proxy o }"
            .to_owned(),
        "@SITE { respond 200 bad }\n@SITE { respond 200 twice }".to_owned(),
        "@SITE { route * { respond 200 bad }\nroute /x { respond 200 never } }".to_owned(),
        format!("@SITE {{ respond 200 bad }} site http://*:{port} {{ respond 200 bad }}"),
        String::new(),
    ];
    let mut client = Wire::connect(&house);
    for (n, text) in bad.iter().enumerate() {
        house.rewrite("", text);
        house.signal(Signal::HUP);
        let empty = text.is_empty();
        if empty {
            break;
        }
        house.wait_said("was not reloaded", n + 1);
        assert_eq!(client.ask(Ask::get("/").bytes()).text(), "good", "{text}");
        assert_eq!(once(&house, &Ask::get("/")).expect("an answer").text(), "good", "{text}");
    }
    house.rewrite("", "@SITE { respond 200 better }");
    house.signal(Signal::HUP);
    let begun = Instant::now();
    while client.ask(Ask::get("/").bytes()).text() != "better" {
        assert!(begun.elapsed() < PATIENCE, "the better file is not in force");
    }
}

/// A listener that was taken away may come back at once, also while the cores are busy and have not closed it yet.
#[test]
fn a_listener_goes_and_comes_back() {
    let spare = doorman_testkit::port::free();
    let target = scripted::Origin::start(answering(echo()));
    let one = format!("@SITE {{ proxy {} }}", target.address());
    let two = format!("{one} site http://*:{spare} {{ respond 200 spare }}");
    let house = House::with(Pair::PLAIN, "", &one);
    let running = Load {
        target: house.address,
        tls: None,
        host: "localhost".to_owned(),
        clients: 8,
        body_max: 2_000,
    }
    .start();
    running.wait_for(50);
    for n in 1..=40 {
        house.rewrite("", if n % 2 == 1 { &two } else { &one });
        house.signal(Signal::HUP);
        house.wait_said("is in force", n);
    }
    let tally = running.stop();
    assert_eq!((tally.failed(), house.times_said("was not reloaded")), (0, 0), "{tally:?}");
}

fn ended_well(h3: H3) {
    let end = h3.wait_for_end().expect("an end");
    assert!(end.contains("H3_NO_ERROR"), "{end}");
}

fn opr_12_term_drains(pair: Pair) {
    let origin = Origin::start(pair.back, |talk| {
        while let Some(seen) = talk.request()? {
            if seen.target() == "/slow" {
                talk.hold();
            }
            talk.send(reply("200 OK", "", b"to the end"))?;
        }
        Ok(())
    });
    let house = House::before(pair, &origin, "");
    let mut idle = Client::connect(&house);
    assert_eq!(idle.ask(&Ask::get("/")).status, 200);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| {
            let mut client = Client::connect(&house);
            let answer = client.exchange(&Ask::get("/slow"));
            (client, answer)
        });
        origin.wait("request", |book| book.seen.len() == 2);
        house.signal(Signal::TERM);
        // A connection with nothing under way is closed at once, in order.
        match idle {
            Client::H1(mut wire) => {
                let (rest, end) = wire.rest();
                assert_eq!(rest, b"");
                end.expect("an orderly end");
            }
            Client::H2(h2) => h2.closed().expect("GOAWAY without an error"),
            Client::H3(h3) => ended_well(*h3),
        }
        while TcpStream::connect(house.address).is_ok() {
            origin.pause(Duration::from_millis(5));
        }
        origin.release();
        let (client, answer) = slow.join().expect("no panic");
        let answer = answer.expect("a whole answer");
        assert_eq!(answer.text(), "to the end");
        match client {
            Client::H1(_) => assert_eq!(answer.field("connection"), Some("close")),
            Client::H2(h2) => h2.closed().expect("GOAWAY without an error"),
            Client::H3(h3) => ended_well(*h3),
        }
    });
    assert!(house.ended_within(Duration::from_secs(10)).success());
}

#[test]
fn opr_14_a_second_term_ends_now() {
    let origin = Origin::start(Back::H1, |talk| {
        talk.request()?;
        talk.wire.more().map(drop)
    });
    let house = House::before(Pair::PLAIN, &origin, "");
    let mut client = Wire::connect(&house);
    client.send(Ask::get("/hangs").bytes()).unwrap();
    origin.wait("request", |book| book.seen.len() == 1);
    house.signal(Signal::TERM);
    while TcpStream::connect(house.address).is_ok() {
        origin.pause(Duration::from_millis(5));
    }
    house.signal(Signal::HUP);
    house.signal(Signal::TERM);
    house.ended_within(Duration::from_secs(5));
    assert!(client.reply("GET").is_err(), "an answer that was never whole");
}

#[test]
fn drain_has_a_deadline() {
    let origin = Origin::start(Back::H1, |talk| {
        talk.request()?;
        talk.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")?;
        talk.wire.more().map(drop)
    });
    let text = format!("{} @SITE {{ proxy o }}", origin.upstream("o"));
    let house = House::with(Pair::PLAIN, "drain 500ms", &text);
    let mut client = Wire::connect(&house);
    client.send(Ask::get("/hangs").bytes()).unwrap();
    client.head().unwrap().expect("a head");
    house.signal(Signal::TERM);
    assert!(house.ended_within(Duration::from_secs(8)).success());
    assert!(client.exactly(10).is_err(), "a cut body must look cut");
}

/// Under `--watch` every file counts that a configuration is made from.
#[test]
fn a_saved_file_is_a_reload() {
    let text = "include @FOLDER/*.more
        @SITE {
            error-page 502 @FOLDER/no.html
            route /file { respond 200 \"${file:@FOLDER/word}\" }
            route /secret { respond 200 \"${secret:key}\" }
            route /no { proxy 127.0.0.1:@DEAD }
        }";
    let text = text.replace("@DEAD", &crate::rig::house::free_port().to_string());
    let files = [("no.html", "no"), ("word", "one"), ("key", "hush"), ("a.more", "")];
    let house = House::watching(Pair::PLAIN, &files, &text);
    let ask = |path: &str| once(&house, &Ask::get(path)).expect("an answer").text();
    let save = |name: &str, content: &str| {
        let fresh = house.folder().join("staged");
        std::fs::write(&fresh, content)
            .and_then(|()| std::fs::rename(fresh, house.folder().join(name)))
            .expect("our own folder");
    };
    assert_eq!([ask("/file"), ask("/secret"), ask("/no")], ["one", "hush", "no"]);
    let changes =
        [("word", "/file", "two"), ("key", "/secret", "shout"), ("no.html", "/no", "never")];
    let mut reloads = 0;
    for (name, path, content) in changes {
        save(name, content);
        reloads += 1;
        house.wait_said("is in force", reloads);
        assert_eq!(ask(path), content, "{name}");
    }
    // A page that is missing fails the reload; the page that comes back mends it.
    std::fs::remove_file(house.folder().join("no.html")).expect("our own folder");
    house.said("was not reloaded");
    assert_eq!(ask("/no"), "never");
    save("no.html", "again");
    house.wait_said("is in force", reloads + 1);
    assert_eq!(ask("/no"), "again");
    // A file that an `include` names by its pattern.
    save(
        "b.more",
        "site http://b.test:@PORT { respond 200 b }"
            .replace("@PORT", &house.address.port().to_string())
            .as_str(),
    );
    house.wait_said("is in force", reloads + 2);
    let answer = once(&house, &Ask::get("/").host("b.test")).expect("an answer");
    assert_eq!(answer.text(), "b");
}

/// A connection belongs to the listener that accepted it, wherever a reload moves that listener in
/// the file: a site for one port must never be reached through another.
#[test]
fn a_connection_stays_with_its_listener() {
    let other = crate::rig::house::free_port();
    let first = "@SITE { respond 200 \"one\" }";
    let second = format!("site http://localhost:{other} {{ respond 200 \"two\" }}");
    let house = House::with(Pair::PLAIN, "", &format!("{first}\n{second}"));
    let open = |port: u16| {
        Wire::new(Lane::Plain(TcpStream::connect(("127.0.0.1", port)).expect("a listener")))
    };
    let mut clients = [(open(house.address.port()), "one"), (open(other), "two")];
    for (client, text) in &mut clients {
        assert_eq!(client.ask(Ask::get("/").bytes()).text(), *text);
    }
    house.rewrite("", &format!("{second}\n{first}"));
    house.signal(Signal::HUP);
    house.wait_said("is in force", 1);
    for (client, text) in &mut clients {
        assert_eq!(client.ask(Ask::get("/").bytes()).text(), *text, "after the reload");
    }
    // A site that is gone answers nobody, least of all with another's words.
    house.rewrite("", first);
    house.signal(Signal::HUP);
    house.wait_said("is in force", 2);
    assert_eq!(clients[1].0.ask(Ask::get("/").bytes()).status, 404);
    assert_eq!(clients[0].0.ask(Ask::get("/").bytes()).text(), "one");
}

/// Connections are counted over all cores, and one that ends makes room.
fn crowded(limit: &str) {
    let house = House::with(Pair::PLAIN, limit, "@SITE { respond 200 \"in\" }");
    let enter = || {
        let mut client = Wire::connect(&house);
        client.send(Ask::get("/").bytes()).ok()?;
        client.reply("GET").ok().map(|reply| (client, reply.status))
    };
    // The rig's own first connection may not have been counted out yet.
    let mut inside = Vec::new();
    let begun = Instant::now();
    while inside.len() < 3 {
        assert!(begun.elapsed() < PATIENCE, "three fit in");
        inside.extend(enter());
    }
    for _ in 0..8 {
        assert!(enter().is_none(), "a fourth fits in");
    }
    drop(inside.pop());
    while inside.len() < 3 {
        assert!(begun.elapsed() < PATIENCE, "one that left makes room");
        inside.extend(enter());
    }
    assert!(enter().is_none());
}

#[test]
fn connections_are_bounded() {
    crowded("limits { connections 3 }");
}

#[test]
fn connections_of_one_client_are_bounded() {
    crowded("limits { client-connections 3 }");
}
