//! Origins that cannot be reached, or are gone: the reason is named, and another server is asked.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use doorman_testkit::h3::origin::{QuicOrigin, Setup};
use doorman_testkit::process::{folder, free_address};
use doorman_testkit::tls::Authority;

use super::{Book, House, echo, echoing, setup, status};

/// Requests that may go elsewhere until a server that came back is asked again: a minute's worth.
const ATTEMPTS_MAX: usize = 3000;

/// An address at which nobody listens.
fn nowhere() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("a bound socket")
}

/// What is asked of a server that cannot be used: the status, and that the log says why.
fn refused(authority: &Authority, server: SocketAddr, more: &str, status: &str, why: &str) {
    let house = House::before(authority, &[server], more);
    assert_eq!(super::status(&house.get()), status, "{why}");
    house.logged(why);
}

#[test]
fn nobody_there_is_told_at_once() {
    refused(&Authority::new(), nowhere(), "", "502", "connect: connection refused");
}

#[test]
fn handshakes_that_fail_say_why() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (untrusted, _) = echoing(&stranger);
    refused(
        &authority,
        untrusted.address(),
        "",
        "502",
        "TLS handshake: invalid peer certificate: ",
    );
    let tls = authority.issue(&["other.test"]).server(&["h3"]);
    let other = QuicOrigin::start(Setup::new(tls), |visit| echo(visit, Book::default()));
    refused(&authority, other.address(), "", "502", "certificate not valid for name");
    let tls = authority.issue(&["origin.test"]).server(&["hq-interop"]);
    let wrong = QuicOrigin::start(Setup::new(tls), |visit| echo(visit, Book::default()));
    refused(&authority, wrong.address(), "", "502", "received fatal alert: NoApplicationProtocol");
    let setup = Setup { versions: vec![0x6b33_43cf], ..setup(&authority) };
    let newer = QuicOrigin::start(setup, |visit| echo(visit, Book::default()));
    refused(&authority, newer.address(), "", "502", "no version of QUIC that we do");
}

/// `check --deep` shakes hands, and `explain` says what is spoken.
#[test]
fn commands_know_of_it() {
    let authority = Authority::new();
    let (origin, book) = echoing(&authority);
    let address = free_address();
    let folder = folder();
    let text = super::text(address, &[origin.address(), nowhere()], "");
    std::fs::write(folder.path().join("doorman.conf"), text).expect("our own folder");
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).expect("our own folder");
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_doorman"))
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .expect("the program runs");
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned())
    };
    let [out, err] = run(&["check", "--deep"]);
    assert!(err.contains("connected, TLS handshake done, certificate trusted"), "{err}");
    assert!(out.contains("cannot be used: connect: connection refused"), "{out}");
    assert!(book.seen().is_empty(), "no request is sent");
    let [out, err] = run(&["explain", &format!("http://localhost:{}/x", address.port())]);
    assert!(out.contains("  over h3"), "{out}{err}");
}

/// Datagrams that nobody answers, as behind a firewall.
#[test]
fn a_black_hole_ends_with_the_time_to_connect() {
    let hole = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = hole.local_addr().expect("a bound socket");
    let authority = Authority::new();
    refused(&authority, address, "timeout connect 300ms", "504", "connect: timed out");
    // With another server there the client does not notice but for the time.
    let (origin, book) = echoing(&authority);
    let house = House::before(&authority, &[address, origin.address()], "timeout connect 300ms");
    for _ in 0..4 {
        assert_eq!(status(&house.post("x")), "200");
    }
    assert_eq!(book.seen().len(), 4);
}

/// Requests with bodies too: no byte of them had left.
#[test]
fn the_next_server_is_asked() {
    let authority = Authority::new();
    let (origin, book) = echoing(&authority);
    let house = House::before(&authority, &[nowhere(), origin.address()], "");
    for n in 0..6 {
        let body = n.to_string();
        let answer = house.post(&body);
        assert!(status(&answer) == "200" && answer.ends_with(&body), "{answer}");
    }
    assert_eq!((book.seen().len(), book.connections()), (6, 1));
}

/// An origin that dies without a word: the system tells that nobody is there, and what may be sent
/// again is. One that comes back is found.
#[test]
fn an_origin_that_is_killed_and_comes_back() {
    let authority = Authority::new();
    let (origin, _) = echoing(&authority);
    let (other, book) = echoing(&authority);
    let addresses = [origin.address(), other.address()];
    let house = House::before(&authority, &addresses, "timeout head 10s");
    // Both have a connection.
    for _ in 0..4 {
        assert_eq!(status(&house.get()), "200");
    }
    drop(origin);
    let before = book.seen().len();
    for _ in 0..4 {
        // Silence alone would take 20 s, which is longer than a response may take.
        assert_eq!(status(&house.get()), "200");
    }
    assert_eq!(book.seen().len(), before + 4);
    let back = Book::default();
    let kept = back.clone();
    let _origin = QuicOrigin::start_at(addresses[0], setup(&authority), move |visit| {
        echo(visit, kept.clone())
    });
    for _ in 0..ATTEMPTS_MAX {
        assert_eq!(status(&house.get()), "200");
        if !back.seen().is_empty() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    panic!("it is never asked again");
}

/// An origin that dies while it answers: the client sees a cut.
#[test]
fn an_origin_that_is_killed_within_a_response() {
    let authority = Authority::new();
    let origin = super::answering(&authority, |mut asked, _| async move {
        let fields = [(":status", "200"), ("content-length", "100")];
        asked.reply.send(&doorman_testkit::h3::frames::headers(&fields)).await?;
        asked.reply.send(&doorman_testkit::h3::frames::frame(0, &[b'x'; 50])).await?;
        asked.reply.stopped().await;
        Ok(())
    });
    let house = House::before(&authority, &[origin.address()], "timeout idle 2s");
    let mut client = doorman_testkit::raw::Raw::connect(house.address).expect("a connection");
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("a connection");
    let _ = client.take_until(b"xxxxx").expect("the beginning");
    drop(origin);
    let (rest, _) = client.take_all().expect("an end in time");
    assert!(rest.len() < 100, "{} bytes", rest.len());
    house.logged("upstream-");
}

/// One that gives out no streams is not dialled again and again.
#[test]
fn an_origin_without_streams_is_given_up() {
    let authority = Authority::new();
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let setup = Setup { streams: 0, ..setup(&authority) };
    let origin = QuicOrigin::start(setup, move |visit| {
        seen.fetch_add(1, Ordering::SeqCst);
        async move {
            visit.over().await;
        }
    });
    refused(&authority, origin.address(), "timeout connect 500ms", "504", "connect: timed out");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}
