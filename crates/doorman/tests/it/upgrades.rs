//! Upgrades: a tunnel begins with a 101 that was asked for, and not a byte before.

use std::net::TcpStream;
use std::time::Duration;

use doorman_testkit::websocket::accept;

use crate::rig::origin::{is_end, reply};
use crate::rig::wire::Head;
use crate::rig::{Back, Flow, House, Origin, PATIENCE, Pair, Wire, h1_pairs, tunnel_pairs};

tunnel_pairs!(
    a_tunnel_carries_both_ways,
    a_tunnel_carries_megabytes,
    either_end_may_finish_first,
    a_break_stays_a_break,
    an_idle_tunnel_is_given_up,
    a_drain_lets_tunnels_finish,
    another_answer_is_passed_on,
);
h1_pairs!(
    what_is_sent_ahead_belongs_to_the_tunnel,
    h1p_11_another_answer_keeps_http,
    h1p_11_continue_opens_no_tunnel,
    h1p_13_h2c_is_never_passed_on,
    h1p_15_a_101_that_does_not_fit_is_502,
    h1p_16_unasked_101_is_502,
);

pub(crate) const ASK: &str = "GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
pub(crate) const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// The switch that a request for a WebSocket asks for.
fn switch(head: &Head) -> String {
    let key = head.field("sec-websocket-key").expect("a key");
    assert_eq!(key.len(), 24, "sixteen bytes");
    SWITCH.replace("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", &accept(key))
}

/// Switches and sends everything back, in upper case. It marks a connection that broke.
fn shouter(back: Back) -> Origin {
    Origin::start(back, |talk| {
        let Some(head) = talk.head()? else { return Ok(()) };
        talk.send(switch(&head))?;
        loop {
            match talk.wire.some() {
                Ok(bytes) if bytes.is_empty() => return talk.send("<end>"),
                Ok(bytes) => talk.send(bytes.to_ascii_uppercase())?,
                Err(error) => {
                    if is_end(&error) {
                        talk.mark();
                    }
                    return Err(error);
                }
            }
        }
    })
}

/// An open tunnel to a shouter, in which something has moved.
fn open(house: &House) -> Flow {
    let mut tunnel = Flow::websocket(house, "/live?x=1").expect("a tunnel");
    tunnel.send("begin");
    assert_eq!(tunnel.exactly(5), b"BEGIN");
    tunnel
}

fn a_tunnel_carries_both_ways(pair: Pair) {
    let origin = shouter(pair.back);
    let house = House::before(pair, &origin, "");
    let mut tunnel = open(&house);
    let mut sent = "begin".len();
    for n in 0..50 {
        let word = format!("message {n};");
        tunnel.send(&word);
        assert_eq!(tunnel.exactly(word.len()), word.to_ascii_uppercase().as_bytes());
        sent += word.len();
    }
    let head = &origin.seen()[0].head;
    assert_eq!(head.line, "GET /live?x=1 HTTP/1.1");
    assert_eq!(head.field("upgrade"), Some("websocket"));
    assert_eq!(head.field("sec-websocket-version"), Some("13"));
    let kept = tunnel.cut();
    origin.wait("end of the tunnel", |book| book.open == 0);
    let count = format!("\"bytes_in\":{sent},\"bytes_out\":{sent}");
    house.logged(&["\"/live\"", "\"status\":101", &count]);
    drop(kept);
}

/// More than any window or buffer holds.
fn a_tunnel_carries_megabytes(pair: Pair) {
    const PIECE: usize = 128 * 1024;
    let origin = shouter(pair.back);
    let house = House::before(pair, &origin, "");
    let mut tunnel = open(&house);
    let piece: Vec<u8> = (b'a'..=b'z').cycle().take(PIECE).collect();
    for n in 0..32 {
        tunnel.send(&piece);
        let came = tunnel.exactly(PIECE);
        assert!(came == piece.to_ascii_uppercase(), "piece {n}");
    }
}

fn either_end_may_finish_first(pair: Pair) {
    let origin = shouter(pair.back);
    let house = House::before(pair, &origin, "");
    let mut tunnel = open(&house);
    tunnel.send("last");
    tunnel.finish();
    let (rest, end) = tunnel.rest();
    assert_eq!(rest, b"LAST<end>", "the origin's answer to our end arrives");
    end.expect("an orderly end");

    let origin = Origin::start(pair.back, |talk| {
        let Some(head) = talk.head()? else { return Ok(()) };
        talk.send(switch(&head) + "goodbye")
    });
    let house = House::before(pair, &origin, "");
    let mut tunnel = Flow::websocket(&house, "/live").expect("a tunnel");
    let (rest, end) = tunnel.rest();
    assert_eq!(rest, b"goodbye");
    end.expect("an orderly end");
}

/// Neither side takes the other's break for an end.
fn a_break_stays_a_break(pair: Pair) {
    let origin = shouter(pair.back);
    let house = House::before(pair, &origin, "");
    let kept = open(&house).cut();
    origin.wait("break", |book| book.marks == 1 && book.open == 0);
    drop(kept);

    let origin = Origin::start_ending(pair.back, |mut talk| {
        let Ok(Some(head)) = talk.head() else { return };
        talk.send(switch(&head) + "half").expect("a connection");
        talk.wait_for_step(1);
        talk.wire.reset();
    });
    let house = House::before(pair, &origin, "");
    let mut tunnel = Flow::websocket(&house, "/live").expect("a tunnel");
    assert_eq!(tunnel.exactly(4), b"half");
    origin.allow();
    let (rest, end) = tunnel.rest();
    assert_eq!(rest, b"");
    assert!(end.is_err(), "a break looked like an end");
    house.logged(&["\"/live\"", "\"end\":\"upstream-closed\""]);
}

fn an_idle_tunnel_is_given_up(pair: Pair) {
    let origin = shouter(pair.back);
    let text = format!("{} @SITE {{ proxy o }}", origin.upstream("o"));
    // The body's patience is not the tunnel's.
    let global = "timeouts { tunnel-idle 1s; body-idle 100ms }";
    let house = House::with(pair, global, &text);
    let mut tunnel = open(&house);
    let (rest, _) = tunnel.rest();
    assert_eq!(rest, b"");
    house.logged(&["\"/live\"", "\"end\":\"upstream-timeout\""]);
    origin.wait("end of the tunnel", |book| book.open == 0);
}

fn a_drain_lets_tunnels_finish(pair: Pair) {
    let origin = shouter(pair.back);
    let house = House::before(pair, &origin, "");
    let mut tunnel = open(&house);
    house.signal(rustix::process::Signal::TERM);
    while TcpStream::connect(house.address).is_ok() {
        origin.pause(Duration::from_millis(5));
    }
    tunnel.send("still here");
    assert_eq!(tunnel.exactly(10), b"STILL HERE");
    tunnel.finish();
    let (rest, end) = tunnel.rest();
    assert_eq!(rest, b"<end>");
    end.expect("an orderly end");
    assert!(house.ended_within(PATIENCE).success());
}

fn another_answer_is_passed_on(pair: Pair) {
    let origin = Origin::serving(pair.back, |_| reply("403 Forbidden", "", b"no"));
    let house = House::before(pair, &origin, "");
    assert_eq!(Flow::websocket(&house, "/live").err(), Some(403));
    house.logged(&["\"/live\"", "\"status\":403"]);
}

fn what_is_sent_ahead_belongs_to_the_tunnel(pair: Pair) {
    let origin = shouter(pair.back);
    let house = House::before(pair, &origin, "");
    let mut client = Wire::connect(&house);
    client.send(format!("{ASK}early")).unwrap();
    let reply = client.reply("GET").unwrap();
    assert_eq!((reply.status, reply.field("upgrade")), (101, Some("websocket")));
    assert_eq!(reply.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(client.exactly(5).unwrap(), b"EARLY");
    let head = &origin.seen()[0].head;
    assert_eq!(head.field("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
}

const HIDDEN: &str = "GET /canary HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn h1p_11_another_answer_keeps_http(pair: Pair) {
    let origin = Origin::serving(pair.back, |seen| reply("200 OK", "", seen.target().as_bytes()));
    let options = "route /canary { respond 403 }";
    let house = House::before(pair, &origin, options);
    let mut client = Wire::connect(&house);
    client.send(format!("{ASK}{HIDDEN}")).unwrap();
    assert_eq!(client.reply("GET").unwrap().text(), "/live");
    // The second is a request like any other, or unread.
    if let Ok(second) = client.reply("GET") {
        assert_eq!(second.status, 403);
    }
    assert!(!canary_came(&origin));
}

/// An origin that says 100 to an upgrade has not switched: what follows the request is no tunnel's.
fn h1p_11_continue_opens_no_tunnel(pair: Pair) {
    let origin = Origin::start(pair.back, |talk| {
        while let Some(head) = talk.head()? {
            talk.send("HTTP/1.1 100 Continue\r\n\r\n")?;
            // Long enough for bytes that should not come.
            talk.wire.wait_at_most(Duration::from_millis(300));
            let _ = talk.wire.more();
            talk.wire.wait_at_most(PATIENCE);
            talk.send(reply("200 OK", "", head.line.as_bytes()))?;
        }
        Ok(())
    });
    let house = House::before(pair, &origin, "route /canary { respond 403 }");
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut client = Wire::connect(&house);
        let ask = ASK.replace("Upgrade: websocket\r\n", &format!("Upgrade: websocket\r\n{expect}"));
        client.send(format!("{ask}{HIDDEN}")).unwrap();
        assert_eq!(client.reply("GET").unwrap().status, 200);
        assert!(!canary_came(&origin), "{expect:?}");
    }
}

fn canary_came(origin: &Origin) -> bool {
    let book = origin.book();
    book.received.iter().any(|bytes| bytes.windows(7).any(|window| window == b"/canary"))
}

fn h1p_13_h2c_is_never_passed_on(pair: Pair) {
    let origin = Origin::serving(pair.back, |_| reply("200 OK", "", b"plain"));
    let house = House::before(pair, &origin, "");
    for upgrade in ["h2c", "H2C", "foo, h2c", "h2c, websocket"] {
        let mut client = Wire::connect(&house);
        let reply = client.ask(format!(
            "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {upgrade}\r\n\
             HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
        ));
        assert!(matches!(reply.status, 200 | 400), "{upgrade}: {}", reply.status);
    }
    for seen in origin.seen() {
        let raw = String::from_utf8_lossy(&seen.head.raw).to_ascii_lowercase();
        assert!(!raw.contains("h2c") && !raw.contains("http2-settings"), "{raw}");
    }
}

fn h1p_16_unasked_101_is_502(pair: Pair) {
    let origin = Origin::start(pair.back, |talk| {
        talk.head()?;
        talk.send(SWITCH)
    });
    let house = House::before(pair, &origin, "");
    let plain = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned();
    let other = ASK.replace("Upgrade: websocket", "Upgrade: chess");
    for ask in [plain, other] {
        let mut client = Wire::connect(&house);
        assert_eq!(client.ask(&ask).status, 502, "{ask}");
    }
}

/// A 101 must be the answer to what was asked: the hash of the key that was sent, or the protocol's
/// name.
fn h1p_15_a_101_that_does_not_fit_is_502(pair: Pair) {
    let origin = Origin::start(pair.back, |talk| {
        let Some(head) = talk.head()? else { return Ok(()) };
        let answer = match head.line.split(' ').nth(1) {
            // As long as the right one, and another key's.
            Some("/hash") => SWITCH.replace("s3pP", "S3pP"),
            Some("/name") => SWITCH.replace("websocket", "go"),
            _ => SWITCH.replace("websocket", "Chess"),
        };
        talk.send(answer)?;
        talk.send("moves")
    });
    let house = House::before(pair, &origin, "");
    let chess = ASK.replace("Upgrade: websocket", "Upgrade: chess");
    for ask in [
        ASK.replace("/live", "/hash"),
        ASK.replace("/live", "/name"),
        chess.replace("/live", "/name"),
        ASK.to_owned(),
    ] {
        let mut client = Wire::connect(&house);
        assert_eq!(client.ask(&ask).status, 502, "{ask}");
    }
    house.logged(&["/hash", "Sec-WebSocket-Accept"]);
    let mut client = Wire::connect(&house);
    let reply = client.ask(&chess);
    assert_eq!((reply.status, reply.field("upgrade")), (101, Some("Chess")));
    assert_eq!(client.exactly(5).unwrap(), b"moves");
}
