//! Answers before the request is whole, clients that leave, and clients that read slowly.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::rig::client::once;
use crate::rig::origin::reply;
use crate::rig::wire::{Content, Framing};
use crate::rig::{Ask, Client, Front, House, Origin, Pair, Wire, h1_back_pairs, h1_pairs, pairs};

h1_back_pairs!(h1p_06_expect_answered_without_reading);
pairs!(
    interim_responses_pass_and_are_capped,
    upb_17_a_client_that_leaves_ends_the_work,
    upb_19_a_slow_client_holds_the_origin_back,
);
h1_pairs!(
    expect_is_honoured,
    h1p_08_a_client_that_does_not_wait,
    upb_15_early_refusal_is_read,
    upb_17_leaving_within_an_upload,
    upb_17_leaving_while_nobody_reads,
    upb_18_half_closed_client_gets_its_answer,
);

fn expect_is_honoured(pair: Pair) {
    let origin = Origin::serving(pair.back, |seen| reply("200 OK", "", &seen.content.kept));
    let house = House::before(pair, &origin, "");
    let mut client = Wire::connect(&house);
    for _ in 0..3 {
        client
            .send("POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            .unwrap();
        let interim = client.head().unwrap().expect("a head");
        assert_eq!(interim.line, "HTTP/1.1 100 Continue");
        client.send("hello").unwrap();
        let reply = client.reply("POST").unwrap();
        assert_eq!((reply.text().as_str(), reply.interim.len()), ("hello", 0));
    }
}

fn h1p_08_a_client_that_does_not_wait(pair: Pair) {
    let origin = Origin::serving(pair.back, |seen| reply("200 OK", "", &seen.content.kept));
    let house = House::before(pair, &origin, "");
    let mut client = Wire::connect(&house);
    for body in ["hello", ""] {
        let ask = Ask::post("/", body).field("Expect", "100-continue");
        client.send(ask.bytes()).unwrap();
        assert_eq!(client.reply("POST").unwrap().text(), body);
    }
    // The next request finds a connection at its boundary.
    assert_eq!(client.ask(Ask::get("/").bytes()).status, 200);
}

fn h1p_06_expect_answered_without_reading(pair: Pair) {
    let origin = Origin::start(pair.back, |talk| {
        while let Some(head) = talk.head()? {
            if head.field("expect").is_some() {
                talk.send(reply("417 Expectation Failed", "", b"no"))?;
            } else {
                talk.send(reply("200 OK", "", b"yes"))?;
            }
        }
        Ok(())
    });
    let house = House::before(pair, &origin, "");
    match pair.front {
        Front::H2 | Front::H2c | Front::H3 => {
            let ask = Ask::post("/", "hello").field("expect", "100-continue");
            assert_eq!(once(&house, &ask).expect("an answer").status, 417);
        }
        Front::H1 | Front::H1Tls => {
            let mut client = Wire::connect(&house);
            let head = "POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
            let reply = client.ask(head);
            assert_eq!((reply.status, reply.interim.len()), (417, 0));
            assert_eq!(reply.field("connection"), Some("close"), "what comes next is in doubt");
        }
    }
    assert_eq!(once(&house, &Ask::get("/")).expect("an answer").text(), "yes");
    assert_eq!(
        origin.book().received.len(),
        2,
        "a connection with half a request is not used again"
    );
}

/// UPB-12, H1P-10.
fn interim_responses_pass_and_are_capped(pair: Pair) {
    let origin = Origin::start(pair.back, |talk| {
        while let Some(seen) = talk.request()? {
            let count: usize = seen.target()[1..].parse().unwrap_or(0);
            for n in 0..count {
                let link = format!("Link: </{n}.css>; rel=preload\r\nConnection: keep-alive\r\n");
                talk.send(format!("HTTP/1.1 103 Early Hints\r\n{link}\r\n"))?;
            }
            talk.send(reply("200 OK", "", b"done"))?;
        }
        Ok(())
    });
    let house = House::before(pair, &origin, "");
    let mut client = Client::connect(&house);
    let answer = client.ask(&Ask::get("/3"));
    assert_eq!(answer.text(), "done");
    let links: Vec<_> =
        answer.interim.iter().map(|(status, head)| (*status, head.field("link"))).collect();
    let expected = ["</0.css>; rel=preload", "</1.css>; rel=preload", "</2.css>; rel=preload"];
    assert_eq!(links, expected.map(|link| (103, Some(link))));
    for (_, head) in &answer.interim {
        assert_eq!(head.field("connection"), None, "a field of one hop");
    }
    assert_eq!(once(&house, &Ask::get("/1000")).expect("an answer").status, 502);
    assert_eq!(client.ask(&Ask::get("/1")).text(), "done");
}

/// A client that writes first and reads later still reads why it was refused.
fn upb_15_early_refusal_is_read(pair: Pair) {
    let origin = Origin::serving(pair.back, |_| reply("200 OK", "", b"fits"));
    let house = House::before(pair, &origin, "body max 1KiB");
    for ask in [
        Ask::post("/", vec![b'x'; 200_000]),
        Ask::new("POST", "/").chunked(vec![vec![b'x'; 20_000]; 10]),
        // More than all buffers on the way hold.
        Ask::post("/", vec![b'x'; 24 << 20]),
        Ask::new("POST", "/").chunked(vec![vec![b'x'; 1 << 20]; 24]),
    ] {
        let reply = once(&house, &ask).expect("an answer");
        assert_eq!(reply.status, 413);
    }
    assert_eq!(once(&house, &Ask::post("/", vec![b'x'; 1024])).expect("an answer").text(), "fits");
}

/// How soon an origin must learn that its client has left.
const SOON: Duration = Duration::from_secs(1);

/// Time for the machine, on top of what the proxy may take.
const SLACK: Duration = Duration::from_secs(2);

fn upb_17_a_client_that_leaves_ends_the_work(pair: Pair) {
    let origin = Origin::start(pair.back, |talk| {
        let Some(head) = talk.head()? else { return Ok(()) };
        if head.line.contains("/download") {
            talk.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nbegun")?;
        }
        if head.line.contains("/flood") {
            talk.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")?;
            loop {
                talk.send(vec![b'x'; 65536])?;
            }
        }
        // Ends when the proxy does.
        talk.wire
            .more()
            .and_then(|more| if more { Err(io::ErrorKind::InvalidData.into()) } else { Ok(()) })
    });
    let house = House::before(pair, &origin, "");
    for (n, path) in ["/waits", "/download", "/flood"].into_iter().enumerate() {
        let leave: Box<dyn FnOnce()> = match Client::connect(&house) {
            Client::H1(mut wire) => {
                wire.send(Ask::get(path).bytes()).unwrap();
                if path != "/waits" {
                    wire.head().unwrap().expect("a head");
                }
                Box::new(move || wire.reset())
            }
            Client::H2(mut h2) => {
                let answer = h2.begin(&Ask::get(path));
                if path == "/waits" {
                    h2.run(tokio::task::yield_now());
                    origin.wait("request", |book| book.seen.len() > n);
                    Box::new(move || drop((answer, h2)))
                } else {
                    let answer = h2.run(answer).expect("a head");
                    Box::new(move || drop((answer, h2)))
                }
            }
            Client::H3(mut h3) => {
                let mut begun = h3.begin(&house.uri(path)).expect("a connection");
                if path != "/waits" {
                    h3.status(&mut begun).expect("a head");
                }
                Box::new(move || {
                    h3.close().expect("a peer that hears of it");
                    drop(begun);
                })
            }
        };
        origin.wait("request", |book| book.seen.len() > n);
        let begun = Instant::now();
        leave();
        origin.wait("end of the connection", |book| book.open == 0);
        assert!(begun.elapsed() < SOON + SLACK, "{path}: {:?}", begun.elapsed());
    }
    house.logged(&["/waits", "client"]);
}

/// The client leaves while the proxy waits for the rest of its body.
fn upb_17_leaving_within_an_upload(pair: Pair) {
    let origin = Origin::start(pair.back, |talk| {
        talk.head()?;
        loop {
            // Read until the end; the ledger sees it.
            if !talk.wire.more()? {
                return Ok(());
            }
        }
    });
    let house = House::before(pair, &origin, "");
    let mut wire = Wire::connect(&house);
    wire.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf").unwrap();
    origin.wait("request", |book| book.seen.len() == 1);
    let begun = Instant::now();
    wire.reset();
    origin.wait("end of the connection", |book| book.open == 0);
    assert!(begun.elapsed() < SOON + SLACK, "{:?}", begun.elapsed());
}

/// The origin does not read, so the proxy does not read either: it must still see a client leave.
fn upb_17_leaving_while_nobody_reads(pair: Pair) {
    let origin = Origin::start(pair.back, |talk| {
        talk.head()?;
        talk.hold();
        Ok(())
    });
    let house = House::before(pair, &origin, "");
    let mut wire = Wire::connect(&house);
    wire.send_until_stuck(&Ask::post("/stuck", vec![b'x'; 64 << 20]).bytes());
    let begun = Instant::now();
    wire.reset();
    house.logged(&["/stuck", "client"]);
    assert!(begun.elapsed() < SOON + SLACK, "{:?}", begun.elapsed());
    origin.release();
}

fn upb_18_half_closed_client_gets_its_answer(pair: Pair) {
    let origin = Origin::start(pair.back, |talk| {
        while talk.request()?.is_some() {
            talk.hold();
            talk.send(reply("200 OK", "", b"still here"))?;
        }
        Ok(())
    });
    let house = House::before(pair, &origin, "");
    let mut client = Wire::connect(&house);
    client.send(Ask::post("/", "whole").bytes()).unwrap();
    client.finish();
    origin.wait("request", |book| book.seen.len() == 1);
    origin.release();
    assert_eq!(client.reply("POST").expect("an answer").text(), "still here");
}

/// What a slow client's download may cost in memory: an eighth of it at most. Buffers that a busy machine fills for
/// the first time meanwhile are in this too, 3 MiB for each socket of QUIC; a download of 1 GiB costs no more.
const GROWTH_MAX: u64 = 32 << 20;
/// What the kernel's buffers of both connections may hold besides.
const AHEAD_MAX: u64 = 64 << 20;
const LARGE: u64 = 256 << 20;
/// Bytes that are read within the rig's patience.
const PART: u64 = 16 << 20;

fn upb_19_a_slow_client_holds_the_origin_back(pair: Pair) {
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let origin = Origin::start(pair.back, move |talk| {
        while let Some(seen) = talk.request()? {
            let length: u64 = seen.target()[1..].parse().unwrap_or(0);
            talk.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"))?;
            let piece = vec![b'x'; 1 << 20];
            for _ in (0..length).step_by(piece.len()) {
                talk.send(&piece)?;
                counter.fetch_add(piece.len() as u64, Ordering::SeqCst);
            }
        }
        Ok(())
    });
    let house = House::before(pair, &origin, "");
    assert_eq!(once(&house, &Ask::get("/1048576")).expect("an answer").status, 200);
    let before = house.resident();
    let mut client = Client::connect(&house);
    let mut over_h3 = None;
    let begun = match &mut client {
        Client::H3(h3) => {
            let mut begun = h3.begin(&house.uri(&format!("/{LARGE}"))).expect("a connection");
            h3.status(&mut begun).expect("a head");
            over_h3 = Some(begun);
            None
        }
        Client::H1(wire) => {
            wire.send(Ask::get(&format!("/{LARGE}")).bytes()).unwrap();
            wire.head().unwrap().expect("a head");
            None
        }
        Client::H2(h2) => {
            let answer = h2.begin(&Ask::get(&format!("/{LARGE}")));
            Some(h2.run(answer).expect("a head").into_body())
        }
    };
    let ahead = settled(&origin, &sent);
    assert!(ahead < AHEAD_MAX, "{ahead} bytes were taken from the origin");
    let grown = house.resident().saturating_sub(before);
    assert!(grown < GROWTH_MAX, "{grown} bytes more");
    let read = match (&mut client, begun) {
        (Client::H1(wire), _) => {
            let mut content = Content::default();
            wire.body(Framing::Length(LARGE), &mut content).expect("the whole body");
            content.length()
        }
        (Client::H2(h2), Some(mut body)) => {
            let (mut read, mut more) = (0, true);
            // Each part has the rig's patience.
            while more {
                let part = h2.run(async {
                    let mut part = 0;
                    while part < PART {
                        let Some(data) = body.data().await else { break };
                        let data = data.expect("the whole body");
                        let _ = body.flow_control().release_capacity(data.len());
                        part += data.len() as u64;
                    }
                    part
                });
                read += part;
                more = part >= PART;
            }
            read
        }
        (Client::H3(h3), _) => h3.rest(over_h3.expect("it was begun")).expect("the whole body"),
        (Client::H2(_), None) => 0,
    };
    assert_eq!(read, LARGE);
    let grown = house.resident().saturating_sub(before);
    assert!(grown < GROWTH_MAX, "{grown} bytes more at the end");
}

/// Waits until the origin has not been able to send for a while, and says how much it has sent.
fn settled(origin: &Origin, sent: &AtomicU64) -> u64 {
    loop {
        let before = sent.load(Ordering::SeqCst);
        origin.pause(Duration::from_millis(500));
        if sent.load(Ordering::SeqCst) == before {
            return before;
        }
    }
}
