//! Which connections to an origin are used again: only those whose last exchange is over for both
//! sides (invariant I5), and none that has become somebody's own.

use crate::rig::client::once;
use crate::rig::origin::reply;
use crate::rig::{Ask, Client, House, Origin, Pair, Talk, Wire, h1_pairs, pairs};

pairs!(upb_14_an_early_answer_ends_the_upload, h1p_20_a_connection_of_a_user_is_nobody_elses);
h1_pairs!(
    h1f_27_an_answer_without_reading_ends_the_connection,
    h1f_33_a_short_body_ends_the_connection,
);

/// More than the sockets on the way hold.
const LONG: usize = 24 << 20;

/// What an origin does behind its early answer.
#[derive(Clone, Copy, Debug)]
enum Then {
    Reads,
    Stops,
    Closes,
}

/// H1P-17: the answer comes before the body is over, and the next request is not harmed by it.
fn upb_14_an_early_answer_ends_the_upload(pair: Pair) {
    let asks = [
        Ask::post("/long", vec![b'x'; LONG]),
        Ask::new("POST", "/chunks").chunked(vec![vec![b'x'; LONG / 8]; 8]),
    ];
    for (then, ask) in [Then::Reads, Then::Stops, Then::Closes]
        .into_iter()
        .flat_map(|t| asks.each_ref().map(|a| (t, a)))
    {
        let origin = Origin::start(pair.back, move |talk| {
            while let Some(head) = talk.head()? {
                if !head.line.starts_with("POST") {
                    talk.send(reply("200 OK", "", b"next"))?;
                    continue;
                }
                talk.send(reply("200 OK", "", b"early"))?;
                match then {
                    // For a while: the whole body read would make the connection fit for another
                    // request, which nobody here answers.
                    Then::Reads => (0..32).try_for_each(|_| talk.wire.more().map(drop))?,
                    Then::Stops => talk.hold(),
                    Then::Closes => {}
                }
                return Ok(());
            }
            Ok(())
        });
        let house = House::before(pair, &origin, "");
        assert_eq!(early(&house, ask).as_deref(), Some("early"), "{then:?} {}", ask.path);
        // Enough to come by every core: the connection with half a body answers nobody.
        for _ in 0..6 {
            let next = once(&house, &Ask::get("/")).expect("an answer");
            assert_eq!(next.text(), "next", "{then:?} {}", ask.path);
        }
        origin.release();
    }
}

/// Sends as much as is taken, and reads the answer.
fn early(house: &House, ask: &Ask) -> Option<String> {
    match Client::connect(house) {
        Client::H1(mut wire) => {
            wire.send_until_stuck(&ask.bytes());
            wire.reply("POST").ok().map(|reply| reply.text())
        }
        Client::H2(mut h2) => h2.exchange(ask).ok().map(|reply| reply.text()),
        mut h3 @ Client::H3(_) => h3.exchange(ask).ok().map(|reply| reply.text()),
    }
}

/// H1F-29: an origin that answers without reading the body would take it for the next request.
fn h1f_27_an_answer_without_reading_ends_the_connection(pair: Pair) {
    let origin = Origin::start(pair.back, |talk: &mut Talk| {
        // It knows no bodies: whatever comes is a head.
        while let Some(head) = talk.head()? {
            talk.send(reply("200 OK", "", head.line.as_bytes()))?;
        }
        Ok(())
    });
    let hidden = "GET /canary HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let length = hidden.len();
    for (head, body) in [
        (format!("POST / HTTP/1.1\r\nContent-Length: {length}"), hidden.to_owned()),
        (
            "OPTIONS / HTTP/1.1\r\nTransfer-Encoding: chunked".to_owned(),
            format!("{length:x}\r\n{hidden}\r\n0\r\n\r\n"),
        ),
    ] {
        let house = House::before(pair, &origin, "");
        let before = origin.book().received.len();
        let mut client = Wire::connect(&house);
        // The answer is there before the body is.
        client.send(format!("{head}\r\nHost: localhost\r\n\r\n")).unwrap();
        assert_eq!(client.reply("POST").expect("an answer").status, 200);
        let _ = client.send(body);
        let next = once(&house, &Ask::get("/next")).expect("an answer");
        assert_eq!(next.text(), "GET /next HTTP/1.1");
        assert_eq!(origin.book().received.len(), before + 2, "{head}");
    }
    let lines: Vec<_> = origin.seen().iter().map(|seen| seen.head.line.clone()).collect();
    assert!(!lines.iter().any(|line| line.contains("canary")), "{lines:?}");
}

/// The client ends in the middle of its body: the origin must not wait for the rest, nor take the
/// next request for it.
fn h1f_33_a_short_body_ends_the_connection(pair: Pair) {
    for body in ["Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\na\r\nhalf"] {
        let origin = Origin::serving(pair.back, |_| reply("200 OK", "", b"whole"));
        let house = House::before(pair, &origin, "");
        let mut client = Wire::connect(&house);
        client.send(format!("POST / HTTP/1.1\r\nHost: localhost\r\n{body}")).unwrap();
        origin.wait("connection", |book| book.received.len() == 1);
        client.finish();
        if let Ok(reply) = client.reply("POST") {
            assert_eq!(reply.status, 400, "{body:?}");
        }
        origin.wait("end of the connection", |book| book.open == 0);
        assert_eq!(once(&house, &Ask::get("/")).expect("an answer").text(), "whole");
        assert_eq!(origin.book().received.len(), 2, "{body:?}");
        assert_eq!(origin.seen().len(), 1, "half a request is none");
    }
}

/// NTLM and Negotiate make a connection the user's who has proved himself on it.
fn h1p_20_a_connection_of_a_user_is_nobody_elses(pair: Pair) {
    let origin = Origin::start(pair.back, |talk| {
        let mut user = String::from("nobody");
        while let Some(seen) = talk.request()? {
            if let Some(proof) = seen.field("authorization") {
                user = proof.to_owned();
            }
            talk.send(reply("200 OK", "", user.as_bytes()))?;
        }
        Ok(())
    });
    let house = House::before(pair, &origin, "");
    for proof in ["NTLM TlRMTVNTUAAB", "Negotiate YII", "negotiate", "nTLM x"] {
        for method in ["GET", "POST"] {
            let ask = Ask::new(method, "/").field("Authorization", proof);
            assert_eq!(once(&house, &ask).expect("an answer").text(), proof);
            assert_eq!(
                once(&house, &Ask::get("/")).expect("an answer").text(),
                "nobody",
                "{proof}"
            );
        }
    }
    // Other schemes prove each request by itself: their connections are used again.
    let before = origin.book().received.len();
    let mut client = Client::connect(&house);
    for _ in 0..3 {
        client.ask(&Ask::get("/").field("Authorization", "Basic eDp5"));
    }
    assert!(origin.book().received.len() <= before + 1);
}
