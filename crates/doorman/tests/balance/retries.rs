//! What is tried again, how often, and what never is.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::rig::{Farm, House, Reply};

fn two(lines: &str) -> (Farm, House) {
    let farm = Farm::of(&["a", "b"]);
    let house = House::before(&farm, lines);
    (farm, house)
}

fn asked(farm: &Farm) -> usize {
    farm["a"].asked() + farm["b"].asked()
}

#[track_caller]
fn send(house: &House, method: &str, fields: &str, body: &str) -> Reply {
    let length = body.len();
    let head = format!(
        "{method} / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{fields}\r\n{body}"
    );
    house.send(&head).reply()
}

/// UPC-01: nobody is there: so many tries, then 502.
#[test]
fn upc_01_refused_everywhere_is_502_after_so_many_tries() {
    let (farm, house) = two("retry 3 on 503");
    farm["a"].kill();
    farm["b"].kill();
    assert_eq!(house.get("/").status, 502);
    let line = house.process.wait_for_words("\"status\":502");
    assert!(
        line.contains("\"attempts\":4,\"retries\":[\"connect\",\"connect\",\"connect\"]"),
        "{line}"
    );
}

#[test]
fn with_retries_off_one_server_is_asked() {
    let (farm, house) = two("retry off");
    farm["a"].kill();
    farm["b"].kill();
    assert_eq!(house.get("/").status, 502);
    let line = house.process.wait_for_words("\"status\":502");
    assert!(line.contains("\"attempts\":1}"), "{line}");
}

#[test]
fn a_status_is_tried_at_the_next_server_and_the_last_answer_is_given() {
    let (farm, house) = two("retry 1 on 503");
    farm["a"].answer(503);
    for _ in 0..4 {
        let reply = house.get("/");
        assert_eq!((reply.status, reply.server.as_str()), (200, "b"));
    }
    // Both fail: each was asked once, and the client gets what the second one said.
    farm["b"].answer(503);
    let before = asked(&farm);
    let reply = house.get("/");
    assert_eq!((reply.status, asked(&farm)), (503, before + 2));
    assert!(["a", "b"].contains(&reply.server.as_str()), "{reply:?}");
    // One that is not listed is an answer like any other.
    farm["b"].answer(500);
    farm["a"].answer(500);
    let before = asked(&farm);
    assert_eq!((house.get("/").status, asked(&farm)), (500, before + 1));
}

/// The last answer there was is better than none.
#[test]
fn an_answer_is_given_though_a_later_try_found_nobody() {
    let (farm, house) = two("retry 1 on 503");
    farm["a"].answer(503);
    farm["b"].kill();
    let reply = house.until("the one that answers is first", |reply| reply.server == "a");
    assert_eq!(reply.status, 503);
}

/// The only server is asked again; of two, the next one is.
#[test]
fn the_only_server_is_asked_again() {
    let farm = Farm::of(&["a"]);
    let house = House::before(&farm, "retry 2 on 503");
    farm["a"].answer(503);
    assert_eq!(house.get("/").status, 503);
    assert_eq!(farm["a"].asked(), 3);
}

/// UPC-05, UPC-06: what is not idempotent is sent once, whatever fails, unless the operator says
/// otherwise.
#[test]
fn upc_06_unsafe_methods_are_sent_once() {
    let (farm, house) = two("retry 2 on 503");
    farm["a"].answer(503);
    farm["b"].answer(503);
    for method in ["POST", "PATCH"] {
        let before = asked(&farm);
        assert_eq!(send(&house, method, "", "pay").status, 503);
        assert_eq!(asked(&farm), before + 1, "{method}");
    }
    let before = asked(&farm);
    assert_eq!(send(&house, "PUT", "", "same").status, 503);
    assert_eq!(asked(&farm), before + 3, "PUT is idempotent");
    let (farm, house) = two("retry 2 on 503 unsafe");
    farm["a"].answer(503);
    farm["b"].answer(503);
    assert_eq!(send(&house, "POST", "", "pay").status, 503);
    assert_eq!(asked(&farm), 3);
}

/// An origin that is told what to do with each connection's requests, and keeps their bodies.
struct Odd {
    address: SocketAddr,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// What an odd origin does with a request.
#[derive(Clone, Copy)]
enum Deed {
    /// Closes with a reset, before it has read anything.
    ResetAtOnce,
    /// Reads the request and resets.
    ResetBehind,
    /// Reads and answers.
    Answer(u16),
    /// Begins an answer, and resets within its body.
    Cut,
}

impl Odd {
    fn start(deeds: &'static [Deed]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let at = Arc::new(AtomicUsize::new(0));
        let kept = Arc::clone(&bodies);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (at, kept) = (Arc::clone(&at), Arc::clone(&kept));
                thread::spawn(move || serve(&stream, deeds, &at, &kept));
            }
        });
        Self { address, bodies }
    }

    fn bodies(&self) -> Vec<Vec<u8>> {
        self.bodies.lock().expect("no panic while it is held").clone()
    }
}

fn serve(stream: &TcpStream, deeds: &'static [Deed], at: &AtomicUsize, kept: &Mutex<Vec<Vec<u8>>>) {
    let reset = || {
        let socket = socket2::SockRef::from(stream);
        let _ = socket.set_linger(Some(std::time::Duration::ZERO));
    };
    let mut reader = BufReader::new(stream);
    loop {
        let deed = deeds[at.load(Ordering::SeqCst).min(deeds.len() - 1)];
        if let Deed::ResetAtOnce = deed {
            at.fetch_add(1, Ordering::SeqCst);
            return reset();
        }
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        at.fetch_add(1, Ordering::SeqCst);
        let length = head.to_ascii_lowercase();
        let length = length.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.and_then(|n| n.trim().parse().ok()).unwrap_or(0)];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        kept.lock().expect("no panic while it is held").push(body);
        let mut writer = stream;
        let answer = match deed {
            Deed::ResetAtOnce | Deed::ResetBehind => return reset(),
            Deed::Answer(status) => format!("HTTP/1.1 {status} X\r\nContent-Length: 4\r\n\r\nodd!"),
            Deed::Cut => "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_owned(),
        };
        let _ = writer.write_all(answer.as_bytes());
        if let Deed::Cut = deed {
            return reset();
        }
    }
}

fn before(odd: &Odd, lines: &str) -> House {
    let text = format!("upstream o {{ server {}; {lines} }}\n@SITE {{ proxy o }}", odd.address);
    House::with("workers 1", &text)
}

/// UPC-03: a reset right behind the connection.
#[test]
fn upc_03_a_reset_at_once_is_tried_again() {
    let odd = Odd::start(&[Deed::ResetAtOnce, Deed::ResetAtOnce, Deed::Answer(200)]);
    let house = before(&odd, "retry 2 on reset");
    assert_eq!(house.get("/").status, 200);
    let line = house.process.wait_for_words("\"status\":200");
    // A reset may be so quick that there was no connection at all.
    assert!(line.contains("\"attempts\":3,\"retries\":[\""), "{line}");
}

/// UPC-07: a byte of the answer went on: the client sees the cut, and nobody is asked again.
#[test]
fn upc_07_nothing_is_tried_again_behind_a_byte_of_an_answer() {
    let odd = Odd::start(&[Deed::Cut, Deed::Answer(200)]);
    let house = before(&odd, "retry 2 on reset timeout malformed 500-599");
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(house.address).expect("a house that is open");
    stream.write_all(request.as_bytes()).expect("an open connection");
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    assert!(!text.contains("odd!"), "{text}");
    assert_eq!(odd.bodies().len(), 1);
}

/// RXU-05: a body is told again as it was while it is kept, and not at all beyond that (UPC-08).
#[test]
fn rxu_05_a_body_is_told_again_up_to_its_bound() {
    let odd = Odd::start(&[Deed::ResetBehind, Deed::Answer(200)]);
    let house = before(&odd, "retry 2 on reset keep 1KiB");
    let body = "b".repeat(1024);
    assert_eq!(send(&house, "PUT", "", &body).status, 200);
    assert_eq!(odd.bodies(), [body.as_bytes(), body.as_bytes()]);
    let odd = Odd::start(&[Deed::ResetBehind, Deed::Answer(200)]);
    let house = before(&odd, "retry 2 on reset keep 1KiB");
    let body = "b".repeat(1025);
    assert_eq!(send(&house, "PUT", "", &body).status, 502);
    assert_eq!(odd.bodies().len(), 1);
}

/// UPC-10: a server that says that the connection is not for this request is asked once more, on another
/// connection; a 425 goes to the client, who asks again when its handshake is over.
#[test]
fn upc_10_misdirected_is_asked_once_on_another_connection() {
    let odd = Odd::start(&[Deed::Answer(200), Deed::Answer(421), Deed::Answer(200)]);
    let house = before(&odd, "");
    assert_eq!(house.get("/").status, 200);
    assert_eq!(send(&house, "POST", "", "").status, 200);
    assert_eq!(odd.bodies().len(), 3);
    let odd = Odd::start(&[Deed::Answer(200), Deed::Answer(421)]);
    let house = before(&odd, "");
    assert_eq!(house.get("/").status, 200);
    assert_eq!(house.get("/").status, 421);
    assert_eq!(odd.bodies().len(), 3, "once, and no more");
    let odd = Odd::start(&[Deed::Answer(425), Deed::Answer(200)]);
    assert_eq!(before(&odd, "").get("/").status, 425);
}

/// RXU-04: every request fails, and each may be tried three times more: what is tried again is a fifth.
#[test]
fn rxu_04_a_storm_of_retries_is_held_to_its_budget() {
    let (farm, house) = two("retry 3 on 503 budget 20%");
    farm["a"].answer(503);
    farm["b"].answer(503);
    for _ in 0..500 {
        assert_eq!(house.get("/").status, 503);
    }
    let again = asked(&farm) - 500;
    // A fifth, and the floor of each of the windows of ten seconds that the loop may have taken.
    assert!((100..=250).contains(&again), "{again} of 500 were sent again");
}
