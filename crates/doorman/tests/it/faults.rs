//! Origins that fail or lie: the client gets a whole answer or an error, never a shortened answer
//! that looks whole, and a request that is unsafe to repeat is never repeated.

use std::io;
use std::time::{Duration, Instant};

use crate::rig::client::once;
use crate::rig::house::free_port;
use crate::rig::origin::reply;
use crate::rig::{
    Ask, Back, Client, Failure, House, Lane, Origin, Pair, Talk, Wire, all_pairs, h1_back_pairs,
};

all_pairs!(
    upc_04_stale_get_is_asked_again,
    upc_05_stale_post_is_not_repeated,
    upc_06_post_that_died_is_not_repeated,
    upb_02_cut_in_head,
    upb_03_cut_in_counted_body,
    upb_04_cut_in_chunked_body
);
h1_back_pairs!(
    upc_01_refused_is_502,
    h1p_18_bytes_on_an_idle_connection_reach_nobody,
    h1p_19_surplus_bytes_end_the_connection,
    upb_05_body_until_close,
    upb_07_garbage_is_502,
    upb_10_bodiless_answers_with_bodies,
);

fn upc_01_refused_is_502(pair: Pair) {
    let port = free_port();
    let text = format!("upstream o {{ server 127.0.0.1:{port} }} @SITE {{ proxy o }}");
    let house = House::with(pair, "", &text);
    let mut client = Client::connect(&house);
    for _ in 0..2 {
        let reply = client.ask(&Ask::get("/"));
        assert_eq!(reply.status, 502);
        let id = reply.field("x-request-id").expect("an id").to_owned();
        assert!(reply.text().contains(&id), "{}", reply.text());
        house.logged(&[&id, "\"status\":502", "upstream"]);
    }
}

/// Serves one request, then closes once the next request has begun to arrive.
fn dies_with_the_second(talk: &mut Talk) -> io::Result<()> {
    if talk.request()?.is_some() {
        talk.send(reply("200 OK", "", b"first"))?;
    }
    // The request is in our socket when we close: what the proxy sees is a reset or an end.
    if talk.index == 0 {
        talk.head()?;
        return Ok(());
    }
    while talk.request()?.is_some() {
        talk.send(reply("200 OK", "", b"fresh"))?;
    }
    Ok(())
}

fn upc_04_stale_get_is_asked_again(pair: Pair) {
    let origin = Origin::start(pair.back, dies_with_the_second);
    let house = House::before(pair, &origin, "");
    let mut client = Client::connect(&house);
    assert_eq!(client.ask(&Ask::get("/1")).text(), "first");
    let again = client.ask(&Ask::get("/2"));
    assert_eq!((again.status, again.text().as_str()), (200, "first"));
    assert_eq!(origin.seen().iter().filter(|seen| seen.target() == "/2").count(), 2);
    assert_eq!(origin.book().received.len(), 2, "one fresh connection");
}

fn upc_05_stale_post_is_not_repeated(pair: Pair) {
    let origin = Origin::start(pair.back, dies_with_the_second);
    let house = House::before(pair, &origin, "");
    let mut client = Client::connect(&house);
    assert_eq!(client.ask(&Ask::get("/1")).text(), "first");
    assert_eq!(client.ask(&Ask::post("/2", "pay")).status, 502);
    assert_eq!(origin.seen().iter().filter(|seen| seen.target() == "/2").count(), 1);
    assert_eq!(client.ask(&Ask::post("/3", "pay")).status, 200);
}

fn upc_06_post_that_died_is_not_repeated(pair: Pair) {
    let origin = Origin::start(pair.back, |talk| talk.request().map(drop));
    let house = House::before(pair, &origin, "");
    for ask in [Ask::post("/", "pay"), Ask::post("/", ""), Ask::get("/")] {
        assert_eq!(once(&house, &ask).expect("an answer").status, 502);
    }
    assert_eq!(origin.seen().len(), 3, "each was sent once");
}

fn h1p_18_bytes_on_an_idle_connection_reach_nobody(pair: Pair) {
    let origin = Origin::start(pair.back, |talk| {
        while talk.request()?.is_some() {
            talk.send(reply("200 OK", "", b"mine"))?;
            // Nobody asked for this one.
            talk.send(reply("200 OK", "", b"poison"))?;
            talk.mark();
        }
        Ok(())
    });
    let house = House::before(pair, &origin, "");
    let mut client = Client::connect(&house);
    for n in 0..100 {
        assert_eq!(client.ask(&Ask::get("/")).text(), "mine", "exchange {n}");
        // What comes after the next request was sent could be its answer, for all that can be told.
        origin.wait("unasked answer", |book| book.marks > n);
    }
}

fn h1p_19_surplus_bytes_end_the_connection(pair: Pair) {
    let origin = Origin::start(pair.back, |talk| {
        while talk.request()?.is_some() {
            let surplus = reply("200 OK", "", b"poison");
            talk.send([reply("200 OK", "", b"mine"), surplus].concat())?;
        }
        Ok(())
    });
    let house = House::before(pair, &origin, "");
    let mut client = Client::connect(&house);
    for _ in 0..20 {
        assert_eq!(client.ask(&Ask::get("/")).text(), "mine");
    }
    assert_eq!(origin.book().received.len(), 20, "none was used again");
}

/// How an origin ends a response early.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Finish,
    Bare,
    Reset,
}

/// For each number of bytes: an origin that sends so many of `whole` and ends; the client must see
/// `whole_body`, or a failure, or a status of ours.
fn cut_everywhere(pair: Pair, whole: &'static [u8], places: std::ops::Range<usize>, cut: Cut) {
    let at = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let place = std::sync::Arc::clone(&at);
    let origin = Origin::start_ending(pair.back, move |mut talk| {
        if !matches!(talk.request(), Ok(Some(_))) {
            return;
        }
        let n = place.load(std::sync::atomic::Ordering::SeqCst);
        let _ = talk.send(&whole[..n]);
        match cut {
            Cut::Finish => talk.wire.finish(),
            Cut::Bare => talk.wire.cut(),
            Cut::Reset => talk.wire.reset(),
        }
    });
    let house = House::before(pair, &origin, "");
    let head = whole.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    for n in places {
        at.store(n, std::sync::atomic::Ordering::SeqCst);
        match once(&house, &Ask::get("/")) {
            // A QUIC connection that is closed takes along what was not read yet, as a reset does.
            Ok(reply) => {
                let may_be_lost = pair.back == Back::H3 && !matches!(cut, Cut::Finish);
                let described = || format!("cut at {n} by {cut:?}: {reply:?}");
                assert!(reply.status == 502 && (n < head || may_be_lost), "{}", described());
            }
            Err(Failure::Cut(status, _)) => assert!(n >= head && status == 200, "cut at {n}"),
            // A reset takes what was not read with it: the head may never be seen.
            Err(Failure::NoResponse(_)) => assert!(n >= head, "cut at {n} by {cut:?}"),
        }
    }
}

const COUNTED: &[u8] = b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 10\r\n\r\n0123456789";
const CHUNKED: &[u8] =
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\n123\r\n0\r\nX-T: v\r\n\r\n";

fn upb_02_cut_in_head(pair: Pair) {
    let head = COUNTED.len() - 10;
    cut_everywhere(pair, COUNTED, 0..head, Cut::Finish);
    cut_everywhere(pair, COUNTED, 0..head, Cut::Reset);
}

fn upb_03_cut_in_counted_body(pair: Pair) {
    let head = COUNTED.len() - 10;
    for cut in [Cut::Finish, Cut::Bare, Cut::Reset] {
        cut_everywhere(pair, COUNTED, head..COUNTED.len() - 1, cut);
    }
}

fn upb_04_cut_in_chunked_body(pair: Pair) {
    let head = CHUNKED.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    for cut in [Cut::Finish, Cut::Bare, Cut::Reset] {
        cut_everywhere(pair, CHUNKED, head..CHUNKED.len() - 1, cut);
    }
}

fn upb_05_body_until_close(pair: Pair) {
    let close = |cut: Cut| {
        Origin::start_ending(pair.back, move |mut talk| {
            let _ = talk.request();
            let _ = talk.send("HTTP/1.1 200 OK\r\n\r\nas long as it takes");
            match cut {
                Cut::Finish => talk.wire.finish(),
                Cut::Bare => talk.wire.cut(),
                Cut::Reset => talk.wire.reset(),
            }
        })
    };
    let origin = close(Cut::Finish);
    let house = House::before(pair, &origin, "");
    assert_eq!(once(&house, &Ask::get("/")).expect("whole").text(), "as long as it takes");
    // A plain FIN is the end; under TLS it is a cut, as a reset is everywhere (RFC 9112 9.8).
    let mut cuts = vec![Cut::Reset];
    if pair.back == Back::H1Tls {
        cuts.push(Cut::Bare);
    }
    for cut in cuts {
        let origin = close(cut);
        let house = House::before(pair, &origin, "");
        match once(&house, &Ask::get("/")) {
            Err(_) => {}
            Ok(reply) => assert_eq!(reply.status, 502, "{cut:?}: {reply:?}"),
        }
    }
}

fn upb_07_garbage_is_502(pair: Pair) {
    let garbage: [&[u8]; 22] = [
        b"\r\n\r\n",
        b"garbage\r\n\r\n",
        b"HTTP/0.9 200 OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 600 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX y: z\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"<html>ninety-nine bottles</html>\n\n",
    ];
    let origin = Origin::start(pair.back, move |talk| {
        if let Some(seen) = talk.request()? {
            let n: usize = seen.target()[1..].parse().unwrap_or(0);
            talk.send(garbage[n])?;
        }
        Ok(())
    });
    let house = House::before(pair, &origin, "");
    let mut client = Client::connect(&house);
    for (n, bytes) in garbage.iter().enumerate() {
        let reply = client.ask(&Ask::get(&format!("/{n}")));
        assert_eq!(reply.status, 502, "{:?}", String::from_utf8_lossy(bytes));
    }
}

fn upb_10_bodiless_answers_with_bodies(pair: Pair) {
    let smuggled = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    let origin = Origin::start(pair.back, move |talk| {
        while let Some(seen) = talk.request()? {
            match seen.target() {
                "/head" => {
                    talk.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 47\r\n\r\n{smuggled}"))?
                }
                "/204" => talk.send(format!("HTTP/1.1 204 No Content\r\n\r\n{smuggled}"))?,
                "/304" => talk.send(format!("HTTP/1.1 304 Not Modified\r\n\r\n{smuggled}"))?,
                _ => talk.send(reply("200 OK", "", b"clean"))?,
            }
        }
        Ok(())
    });
    let house = House::before(pair, &origin, "");
    let mut client = Client::connect(&house);
    for path in ["/head", "/204", "/304"] {
        let method = if path == "/head" { "HEAD" } else { "GET" };
        let reply = client.ask(&Ask::new(method, path));
        assert!(reply.status < 400 && reply.content.length() == 0, "{path}: {reply:?}");
        assert_eq!(client.ask(&Ask::get("/next")).text(), "clean", "after {path}");
    }
    assert_eq!(origin.book().received.len(), 4, "connections: one for each lie, one more");
}

/// UPC-02: a listener whose queue is full answers no SYN, as a black hole does.
#[test]
fn upc_02_black_hole_is_504() {
    let hole = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    hole.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    hole.listen(0).unwrap();
    let address = hole.local_addr().unwrap().as_socket().unwrap();
    let full: Vec<_> = (0..4)
        .map(|_| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
            let socket = socket.unwrap();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address.into());
            socket
        })
        .collect();
    let text =
        format!("upstream o {{ server {address} }} @SITE {{ timeout connect 300ms\nproxy o }}");
    let house = House::with(Pair::PLAIN, "", &text);
    let begun = Instant::now();
    let reply = once(&house, &Ask::get("/")).expect("an answer");
    assert_eq!(reply.status, 504);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(full);
}

/// Round robin with one server dead: nobody notices.
#[test]
fn a_dead_server_costs_no_request() {
    let alive = Origin::serving(Back::H1, |_| reply("200 OK", "", b"alive"));
    let dead = free_port();
    let text = format!(
        "upstream o {{ {}; server 127.0.0.1:{dead} }} @SITE {{ proxy o }}",
        alive.servers()
    );
    let house = House::with(Pair::PLAIN, "", &text);
    let mut client = Client::connect(&house);
    for n in 0..100 {
        assert_eq!(client.ask(&Ask::post("/", "once")).status, 200, "request {n}");
    }
    assert_eq!(alive.seen().len(), 100);
}

/// What a dead server does to the metrics: it is down for a while, and a request that went elsewhere
/// was sent again; where there is no elsewhere, none was.
#[test]
fn metrics_tell_of_dead_servers() {
    let origin = Origin::serving(Back::H1, |_| reply("200 OK", "", b"alive"));
    let (dead, lonely) = (free_port(), free_port());
    let metrics = free_port();
    let text = format!(
        "upstream two {{ server 127.0.0.1:{dead} name dead\n{} name alive }}
         upstream one {{ server 127.0.0.1:{lonely} name lonely }}
         @SITE {{ route /one {{ proxy one }}\nproxy two }}",
        origin.servers()
    );
    let house = House::with(Pair::PLAIN, &format!("metrics 127.0.0.1:{metrics}"), &text);
    // Servers take turns, so the dead one is asked by the second request at the latest.
    let mut client = Client::connect(&house);
    for _ in 0..2 {
        assert_eq!(client.ask(&Ask::get("/")).text(), "alive");
    }
    assert_eq!(client.ask(&Ask::get("/one")).status, 502);
    let stream = std::net::TcpStream::connect(("127.0.0.1", metrics)).expect("a listener");
    let page = Wire::new(Lane::Plain(stream)).ask(Ask::get("/metrics").bytes()).text();
    for line in [
        "doorman_upstream_server_up{upstream=\"two\",server=\"dead\"} 0",
        "doorman_upstream_server_up{upstream=\"two\",server=\"alive\"} 1",
        "doorman_upstream_server_up{upstream=\"one\",server=\"lonely\"} 0",
        "doorman_upstream_retries_total{upstream=\"two\",reason=\"connect\"} 1",
        "doorman_upstream_retries_total{upstream=\"one\",reason=\"connect\"} 0",
        "doorman_upstream_requests_total{upstream=\"one\",server=\"lonely\",code=\"_none\"} 1",
    ] {
        assert!(page.lines().any(|other| other == line), "{line}:\n{page}");
    }
}
