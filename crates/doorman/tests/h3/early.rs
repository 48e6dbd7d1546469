//! Requests that come before the handshake has ended (0-RTT): which go on, what the origin is told, and what becomes of
//! copies of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use doorman_testkit::h3::datagrams::Datagrams;
use doorman_testkit::h3::early::{Held, Returning, Taken};
use doorman_testkit::h3::{H3, may_be_early};
use doorman_testkit::origin::{Answer, Origin, Seen, answering, reply};
use http::{HeaderMap, Method, Request};

use crate::rig::{House, configuration, house_with_site, house_with_site_before, reload};

const SAFE: &str = "  tls internal { early-data safe }";

fn safe_house() -> House {
    house_with_site("workers 1", SAFE)
}

/// A client that comes back, and does not hear from the server until it is let.
fn comes_back(house: &House) -> (Held, H3, Taken) {
    comes_back_as(house, |_| {})
}

fn comes_back_as(house: &House, change: impl FnOnce(&mut Returning)) -> (Held, H3, Taken) {
    let mut returning = Returning::after_a_visit(house.address, &House::tls()).expect("a visit");
    change(&mut returning);
    comes_back_again(house, &returning)
}

fn comes_back_again(house: &House, returning: &Returning) -> (Held, H3, Taken) {
    let held = Held::start(house.address).expect("a network");
    let (client, taken) = returning.back(held.address()).expect("sockets").expect("a ticket");
    (held, client, taken)
}

fn request(house: &House, method: Method, path: &str) -> Request<()> {
    Request::builder().method(method).uri(house.uri(path)).body(()).expect("a request")
}

fn seen(house: &House, target: &str) -> Seen {
    let requests = house.origin.ledger().requests();
    requests.into_iter().find(|seen| seen.target() == target).expect("it arrived")
}

#[test]
fn safe_requests_go_on_and_others_wait_h3q_30() {
    let house = safe_house();
    let (held, mut client, taken) = comes_back(&house);
    // These come first, and the origin must hear of none of them before the handshake has ended.
    let mut post = client.open(request(&house, Method::POST, "/echo")).expect("sent");
    client.send(&mut post, "content").expect("sent");
    client.finish(&mut post).expect("sent");
    let mut with_content = client.open(request(&house, Method::GET, "/content")).expect("sent");
    client.send(&mut with_content, "content").expect("sent");
    client.finish(&mut with_content).expect("sent");
    let mut delete = client.open(request(&house, Method::DELETE, "/delete")).expect("sent");
    client.finish(&mut delete).expect("sent");
    for (number, method) in [Method::GET, Method::HEAD, Method::OPTIONS].into_iter().enumerate() {
        let mut safe = client.open(request(&house, method.clone(), "/safe")).expect("sent");
        client.finish(&mut safe).expect("sent");
        house.origin.ledger().wait_for_requests(number + 1);
        let requests = house.origin.ledger().requests();
        assert_eq!(requests[number].method(), method.as_str());
        assert_eq!(requests[number].all("early-data"), ["1"]);
    }
    held.release();
    assert!(taken.wait().expect("an end of the handshake"), "early data was taken");
    for begun in [&mut post, &mut with_content, &mut delete] {
        assert_eq!(client.status(begun).expect("an answer"), 200);
    }
    for target in ["/echo", "/content", "/delete"] {
        assert_eq!(seen(&house, target).field("early-data"), None, "{target}");
    }
    // The connection goes on like any other.
    assert_eq!(client.get(&house.uri("/later")).expect("an answer").status, 200);
    assert_eq!(seen(&house, "/later").field("early-data"), None);
    let _ = house.process.wait_for_words("\"early\":true");
    assert_eq!(house.metric("doorman_http_early_requests_total{"), 3);
}

#[test]
fn a_copy_of_what_was_sent_early_is_not_taken_h3q_30() {
    let house = safe_house();
    let (held, mut client, taken) = comes_back(&house);
    let mut begun = client.begin(&house.uri("/once")).expect("sent");
    house.origin.ledger().wait_for_requests(1);
    let first = held.sent();
    held.release();
    assert!(taken.wait().expect("an end of the handshake"));
    assert_eq!(client.status(&mut begun).expect("an answer"), 200);
    client.close().expect("an end");
    // Somebody who saw it sends it again. As long as the connection is known, it belongs to that one; then a handshake
    // begins, and what comes with it has to be for nothing.
    let replay = Datagrams::to(house.address).expect("a socket");
    let begun = (0..200).any(|_| {
        first.iter().for_each(|datagram| replay.send(datagram).expect("a socket"));
        replay.receive(Duration::from_millis(100)).expect("a socket").is_some()
    });
    assert!(begun, "the copy is answered");
    house.still_serves();
    let requests = house.origin.ledger().requests();
    assert_eq!(requests.iter().filter(|seen| seen.target() == "/once").count(), 1);
}

/// Rules and limits go by addresses: who has a ticket must not come from any address that it likes.
#[test]
fn who_has_not_proved_its_address_waits_h3q_31() {
    let house = safe_house();
    let (held, mut client, taken) = comes_back_as(&house, Returning::forget_tokens);
    let mut begun = client.begin(&house.uri("/unproved")).expect("sent");
    // Another client is served meanwhile, so that the program has had its time.
    house.still_serves();
    assert_eq!(house.origin.ledger().requests().len(), 1, "that of the other client");
    held.release();
    assert!(taken.wait().expect("an end of the handshake"), "it need not be sent again");
    assert_eq!(client.status(&mut begun).expect("an answer"), 200);
    assert_eq!(seen(&house, "/unproved").field("early-data"), None);
}

/// RFC 8470 section 5.2: who will not take a request early says so, and the client asks again.
#[test]
fn too_early_of_the_origin_reaches_the_client_h3q_32() {
    let answer: Answer = Arc::new(|seen| match seen.field("early-data") {
        Some("1") => reply("425 Too Early", "", b""),
        _ => reply("200 OK", "", b"now"),
    });
    let house = house_with_site_before("workers 1", SAFE, Origin::start(answering(answer)));
    let (held, mut client, taken) = comes_back(&house);
    let mut begun = client.begin(&house.uri("/")).expect("sent");
    house.origin.ledger().wait_for_requests(1);
    held.release();
    assert_eq!(client.status(&mut begun).expect("an answer"), 425);
    assert!(taken.wait().expect("an end of the handshake"));
    assert_eq!(client.get(&house.uri("/")).expect("an answer").text(), "now");
    // What somebody in front of us says is as true here.
    let said = Request::get(house.uri("/")).header("early-data", "1").body(Bytes::new());
    assert_eq!(client.request(said.expect("a request")).expect("an answer").status, 425);
    assert_eq!(house.origin.ledger().requests().len(), 3, "nothing is asked twice");
}

/// A connection is made for one site, and may ask for any.
#[test]
fn a_site_that_takes_no_early_data_gets_none() {
    let house = house_with_site_before(
        "workers 1",
        "  tls internal { early-data safe }\n  respond 204\n}\n\
         site https://127.0.0.1:PORT {\n  tls internal",
        Origin::start(answering(crate::rig::by_path())),
    );
    let (held, mut client, _taken) = comes_back(&house);
    let uri = format!("https://{}/other", house.address);
    let mut other = client.open(Request::get(uri.clone()).body(()).expect("a request")).unwrap();
    client.finish(&mut other).expect("sent");
    // Its log line is there before the handshake has ended.
    let _ = house.process.wait_for_words("\"end\":\"too-early\"");
    held.release();
    assert_eq!(client.status(&mut other).expect("an answer"), 425);
    let again =
        client.requests(vec![(Request::get(uri).body(Bytes::new()).unwrap(), None::<HeaderMap>)]);
    let again = again.expect("answers").pop().expect("one").expect("an answer");
    assert_eq!(again.status, 200);
    assert_eq!(house.origin.ledger().requests().len(), 1);
}

#[test]
fn only_a_site_that_asks_for_it_gives_tickets_for_early_data() {
    for (site, expect) in [
        (SAFE, true),
        ("  tls internal", false),
        ("  tls internal { early-data off }", false),
        ("  tls internal { off early-data safe }", false),
    ] {
        let house = house_with_site("workers 1", site);
        assert_eq!(may_be_early(house.address, &House::tls()).expect("visits"), expect, "{site}");
        let told = std::process::Command::new(env!("CARGO_BIN_EXE_doorman"))
            .args(["explain", &house.uri("/"), "-c", "doorman.conf"])
            .current_dir(house.process.folder())
            .output()
            .expect("the program can be started");
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        assert_eq!(told.contains("ahead of the handshake"), expect, "{told}");
        house.still_serves();
    }
}

/// What a client sends early goes by what it was told before: where that is true no longer, it is not taken.
#[test]
fn a_reload_that_changes_what_clients_were_told_turns_early_data_away() {
    let (global, streams) = ("workers 1", "workers 1; limits { h3-streams 99 }");
    for (global, site, expect) in [
        (global, "  tls internal { early-data safe }\n  response-header set X-New 1", true),
        (global, "  tls internal", false),
        (streams, SAFE, false),
    ] {
        let house = safe_house();
        let (held, mut client, taken) = {
            let returning = Returning::after_a_visit(house.address, &House::tls());
            reload(&house, &configuration(house.address, global, site, &house.origin));
            comes_back_again(&house, &returning.expect("a visit"))
        };
        let _begun = client.begin(&house.uri("/"));
        held.release();
        assert_eq!(taken.wait().expect("an end of the handshake"), expect, "{global} {site}");
        let fresh = house.h3().get(&house.uri("/fresh")).expect("an answer");
        assert_eq!(fresh.status, 200);
    }
}

#[test]
fn the_ticket_of_another_site_brings_no_early_data() {
    let site = format!("{SAFE}\n  respond 204\n}}\nsite https://b.localhost:PORT {{\n{SAFE}");
    let house = house_with_site("workers 1", &site);
    for (name, expect) in [("localhost", true), ("b.localhost", false)] {
        let (held, _client, taken) = comes_back_as(&house, |returning| returning.rename(name));
        held.release();
        assert_eq!(taken.wait().expect("an end of the handshake"), expect, "{name}");
    }
}
