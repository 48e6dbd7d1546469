//! Origins and clients against each other: on sockets, under TLS, and in the simulation.

use std::rc::Rc;
use std::time::Duration;

use doorman_net::{Address, Net};

use super::*;
use crate::raw::{Raw, fetch, fetch_tls};
use crate::reply::{Asked, Framing};
use crate::sim::{Faults, simulate};
use crate::sums::Sum;
use crate::tls::{Authority, Tls};
use crate::wire::End;

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// The reply of an origin that plays `script` after it has read a request.
fn check(script: Script, framing: Framing, body: &str, ending: Ending) {
    let mut all = Script::new().read_request();
    all.steps.extend(script.steps);
    let origin = Origin::start(playing(vec![all]));
    let reply = Raw::connect(origin.address()).unwrap().exchange(GET).unwrap();
    assert_eq!((reply.framing, reply.text().as_str(), reply.ending), (framing, body, ending));
    assert_eq!(origin.received(0), GET.as_bytes());
    assert_eq!(origin.requests()[0].line, "GET / HTTP/1.1");
}

#[test]
fn endings_are_told_apart() {
    let ok = "HTTP/1.1 200 OK\r\n";
    let counted = Script::new().send(format!("{ok}Content-Length: 5\r\n\r\nhello"));
    check(counted, Framing::Length(5), "hello", Ending::Complete);
    let short = format!("{ok}Content-Length: 5\r\n\r\nhel");
    let cut = Script::new().send(&short).close();
    check(cut, Framing::Length(5), "hel", Ending::Cut(End::Finished));
    let reset = Script::new().send(&short).reset();
    check(reset, Framing::Length(5), "hel", Ending::Cut(End::Reset));
    let chunks = format!("{ok}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    let whole = Script::new().send(format!("{chunks}0\r\n\r\n"));
    check(whole, Framing::Chunked, "abc", Ending::Complete);
    let cut = Script::new().send(&chunks).close();
    check(cut, Framing::Chunked, "abc", Ending::Cut(End::Finished));
    let bad = Script::new().send(format!("{chunks}zz\r\n"));
    check(bad, Framing::Chunked, "abc", Ending::Malformed);
    let until = Script::new().send(format!("{ok}\r\nall of it")).close();
    check(until, Framing::UntilClose, "all of it", Ending::Complete);
    let reset = Script::new().send(format!("{ok}\r\nall of")).reset();
    check(reset, Framing::UntilClose, "all of", Ending::Cut(End::Reset));
}

#[test]
fn interim_and_bodiless_responses_are_read() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let script = Script::new()
        .read_request()
        .send(format!("{early}HTTP/1.1 204 No Content\r\n\r\n"))
        .read_request()
        .send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    let origin = Origin::start(playing(vec![script]));
    let mut client = Raw::connect(origin.address()).unwrap();
    let reply = client.exchange(GET).unwrap();
    assert_eq!((reply.status, reply.interim.len()), (204, 1));
    assert_eq!(reply.interim[0].field("link"), Some("</a>"));
    client.send(GET.replace("GET", "HEAD")).unwrap();
    let reply = client.response_to(Asked::Head).unwrap();
    assert_eq!((reply.framing, reply.field("Content-Length")), (Framing::None, Some("9")));
}

#[test]
fn requests_are_counted_and_echoed() {
    let origin = Origin::start(answering(echo()));
    let mut client = Raw::connect(origin.address()).unwrap();
    let head = "POST /p HTTP/1.1\r\nX-Id: 7\r\nTransfer-Encoding: chunked\r\n\r\n";
    let request = format!("{head}3\r\nabc\r\n4;x\r\ndefg\r\n0\r\nT: 1\r\n\r\n");
    for _ in 0..2 {
        let reply = client.exchange(&request).unwrap();
        assert_eq!(reply.text(), format!("{head}abcdefg"));
        let sum = format!("{:016x}", Sum::of(b"abcdefg"));
        assert_eq!(reply.field("x-body-sum"), Some(sum.as_str()));
    }
    assert_eq!(origin.counts("x-id"), [(("POST".into(), "7".into()), 2)].into());
    assert_eq!((origin.connections(), origin.requests()[1].index), (1, 1));
    assert_eq!(origin.requests()[0].trailers, [("T".into(), b"1".to_vec())]);
    drop(client);
    origin.wait_for_open(0);
}

#[test]
fn long_bodies_go_both_ways() {
    let length = 6_000_000;
    let origin = Origin::start(answering(big(3, length)));
    let body = Pattern { seed: 4 }.bytes(5_000_000);
    let head = format!("PUT / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut client = Raw::connect(origin.address()).unwrap();
    let reply = client.exchange([head.as_bytes(), &body].concat()).unwrap();
    assert_eq!((reply.body.len() as u64, reply.ending), (length, Ending::Complete));
    assert_eq!(Pattern { seed: 3 }.differs(0, &reply.body), None);
    let seen = &origin.requests()[0];
    assert_eq!((seen.body_length, seen.body_sum), (5_000_000, Sum::of(&body)));
    assert_eq!(seen.body.len(), KEPT_MAX);
}

#[test]
fn a_client_that_waits_for_100_gets_it() {
    let origin = Origin::start(answering(mirror()));
    let mut client = Raw::connect(origin.address()).unwrap();
    client.send("PUT / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n").unwrap();
    assert_eq!(client.take_until(b"\r\n\r\n").unwrap(), b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(client.exchange("ok").unwrap().text(), "ok");
}

#[test]
fn an_origin_holds_until_it_is_released_and_refuses_when_it_is_gone() {
    let script = Script::new().read_request().hold().send("HTTP/1.1 200 OK\r\n\r\nlate").close();
    let origin = Origin::start(playing(vec![script]));
    let mut client = Raw::connect(origin.address()).unwrap();
    client.send(GET).unwrap();
    origin.wait_for_requests(1);
    assert_eq!(client.received(), b"");
    origin.release();
    assert_eq!(client.response().unwrap().text(), "late");
    let address = origin.address();
    drop(origin);
    assert_eq!(fetch(address, "x", "/").unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    let again = Origin::start_at(address, answering(fixed("back")), None).unwrap();
    assert_eq!(fetch(address, "x", "/").unwrap().text(), "back");
    assert_eq!(again.connections(), 1);
}

#[test]
fn tls_is_spoken_and_checked() {
    let authority = Authority::new();
    let server = authority.issue(&["origin.test"]).server(&["h2", "http/1.1"]);
    let origin = Origin::start_tls(answering(fixed("secret")), server);
    let tls = Tls::new("origin.test", authority.pem());
    assert_eq!(fetch_tls(origin.address(), &tls, "/").unwrap().text(), "secret");
    let client = Raw::connect_tls(origin.address(), &tls).unwrap();
    assert_eq!(client.alpn(), Some(&b"http/1.1"[..]));
    assert!(client.peer_certificate().is_some());
    let other = Tls::new("other.test", authority.pem());
    assert!(fetch_tls(origin.address(), &other, "/").is_err(), "the name is checked");
    let stranger = Tls::new("origin.test", Authority::new().pem());
    assert!(fetch_tls(origin.address(), &stranger, "/").is_err(), "the authority is checked");
    let trusting = Tls::unverified("other.test");
    assert_eq!(fetch_tls(origin.address(), &trusting, "/").unwrap().text(), "secret");
}

#[test]
fn a_tls_end_without_goodbye_is_no_end() {
    let authority = Authority::new();
    let server = authority.issue(&["origin.test"]).server(&[]);
    let script = Script::new().read_request().send("HTTP/1.1 200 OK\r\n\r\npart").reset();
    let origin = Origin::start_tls(playing(vec![script]), server);
    let tls = Tls::new("origin.test", authority.pem());
    let reply = Raw::connect_tls(origin.address(), &tls).unwrap().exchange(GET).unwrap();
    assert_eq!((reply.text().as_str(), reply.ending), ("part", Ending::Cut(End::Reset)));
}

#[test]
fn the_same_scripts_play_in_the_simulation() {
    let address: SocketAddr = "10.0.0.9:80".parse().unwrap();
    let (mut complete, mut cut) = (0, 0);
    for seed in 0..200 {
        let hour = Duration::from_secs(3600);
        let run = simulate(seed, Faults::swarm(seed), hour, |sim| async move {
            let ledger = Arc::new(Ledger::default());
            let listener = sim.listen(address).unwrap();
            let plan = answering(big(seed, 100_000));
            tokio::task::spawn_local(serve(listener, plan, None, Arc::clone(&ledger)));
            let net = Rc::new(sim.net());
            let stream = net.connect(&Address::Inet(address)).await?;
            let mut wire = Wire::new(stream);
            wire.send(GET.as_bytes()).await?;
            let reply = wire.response(Asked::Other).await?;
            assert_eq!(Pattern { seed }.differs(0, &reply.body), None);
            assert_eq!(reply.is_complete(), reply.body.len() == 100_000);
            assert_eq!(ledger.requests().len(), 1);
            io::Result::Ok(reply.is_complete())
        });
        match run.unwrap().value {
            Ok(true) => complete += 1,
            _ => cut += 1,
        }
    }
    assert!(complete > 100 && cut > 10, "{complete} complete, {cut} cut");
}
