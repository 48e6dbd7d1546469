//! Upgrades: a tunnel begins with a 101 that was asked for, and not a byte before.

use crate::rig::origin::{is_end, reply};
use crate::rig::{House, Origin, Pair, Wire, h1_pairs};

h1_pairs!(
    a_websocket_carries_both_ways,
    either_end_may_finish_first,
    h1p_11_another_answer_keeps_http,
    h1p_11_continue_opens_no_tunnel,
    h1p_13_h2c_is_never_passed_on,
    h1p_16_unasked_101_is_502,
);

pub(crate) const ASK: &str = "GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
pub(crate) const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Switches and sends everything back, in upper case.
fn shouter(pair: Pair) -> Origin {
    Origin::start(pair.back, |talk| {
        if talk.head()?.is_none() {
            return Ok(());
        }
        talk.send(SWITCH)?;
        loop {
            match talk.wire.exactly(1) {
                Ok(byte) => talk.send(byte.to_ascii_uppercase())?,
                Err(error) if is_end(&error) => return talk.send("<end>"),
                Err(error) => return Err(error),
            }
        }
    })
}

fn a_websocket_carries_both_ways(pair: Pair) {
    let origin = shouter(pair);
    let house = House::before(pair, &origin, "");
    let mut client = Wire::connect(&house);
    // What is sent ahead of the 101 belongs to the tunnel.
    client.send(format!("{ASK}early")).unwrap();
    let reply = client.reply("GET").unwrap();
    assert_eq!((reply.status, reply.field("upgrade")), (101, Some("websocket")));
    assert_eq!(reply.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(client.exactly(5).unwrap(), b"EARLY");
    for n in 0..50 {
        let word = format!("message {n};");
        client.send(&word).unwrap();
        assert_eq!(client.exactly(word.len()).unwrap(), word.to_ascii_uppercase().as_bytes());
    }
    let head = &origin.seen()[0].head;
    assert_eq!(head.field("upgrade"), Some("websocket"));
    assert_eq!(head.field("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    drop(client);
    origin.wait("end of the tunnel", |book| book.open == 0);
    house.logged(&["/live", "\"status\":101"]);
}

fn either_end_may_finish_first(pair: Pair) {
    let origin = shouter(pair);
    let house = House::before(pair, &origin, "");
    let mut client = Wire::connect(&house);
    assert_eq!(client.ask(ASK).status, 101);
    client.send("last").unwrap();
    client.finish();
    let (rest, _) = client.rest();
    assert_eq!(rest, b"LAST<end>", "the origin's answer to our end arrives");

    let origin = Origin::start(pair.back, |talk| {
        talk.head()?;
        talk.send(format!("{SWITCH}goodbye"))
    });
    let house = House::before(pair, &origin, "");
    let mut client = Wire::connect(&house);
    assert_eq!(client.ask(ASK).status, 101);
    let (rest, end) = client.rest();
    assert_eq!(rest, b"goodbye");
    end.expect("an orderly end");
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
            talk.wire.wait_at_most(std::time::Duration::from_millis(300));
            let _ = talk.wire.more();
            talk.wire.wait_at_most(crate::rig::PATIENCE);
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
