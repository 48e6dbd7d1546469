//! Waiting for a server: in the queue, parked, and what a breaker turns away.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use doorman_testkit::process::free_address;

use crate::rig::{Farm, House, PATIENCE};

/// The program before a farm of `a`, with its page of metrics.
fn with_metrics(options: &str, lines: &str) -> (Farm, House, std::net::SocketAddr) {
    let farm = Farm::of(&["a"]);
    let servers = farm.servers(|_| options.to_owned());
    let metrics = free_address();
    let global = format!("workers 1\nmetrics {metrics}");
    let text = format!("upstream o {{\n{servers}\n{lines}\n}}\n@SITE {{ proxy o }}");
    (farm, House::with(&global, &text), metrics)
}

/// The page comes to have this line.
#[track_caller]
fn shows(metrics: std::net::SocketAddr, line: &str) {
    let begun = Instant::now();
    loop {
        let mut stream = TcpStream::connect(metrics).expect("the page of metrics");
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("an open connection");
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("a page");
        if page.lines().any(|shown| shown == line) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{line}\n{page}");
    }
}

fn waiting(line: &str, count: u32) -> String {
    format!("doorman_upstream_waiting{{upstream=\"o\",line=\"{line}\"}} {count}")
}

/// RXU-07: one at a time; the others wait in their order, no more than may, and nobody is left in the
/// books.
#[test]
fn rxu_07_a_queue_is_bounded_and_keeps_its_order() {
    let (farm, house, metrics) = with_metrics("max-connections 1", "queue 2 timeout 60s");
    farm["a"].stop();
    let first = house.begin("/first");
    farm["a"].wait_asked(1);
    let second = house.begin("/second");
    shows(metrics, &waiting("queue", 1));
    let third = house.begin("/third");
    shows(metrics, &waiting("queue", 2));
    let refused = house.get("/fourth");
    assert_eq!((refused.status, refused.field("retry-after")), (503, Some("1")));
    let line = house.process.wait_for_words("/fourth");
    assert!(line.contains("\"end\":\"queue-full\""), "{line}");
    assert_eq!(farm["a"].asked(), 1);
    farm["a"].go_on();
    for asked in [first, second, third] {
        assert_eq!(asked.reply().status, 200);
    }
    let paths = farm["a"].paths();
    assert_eq!(paths, ["/first", "/second", "/third"]);
    let line = house.process.wait_for_words("/third");
    assert!(line.contains("\"waited_us\":"), "{line}");
    shows(metrics, &waiting("queue", 0));
    shows(metrics, "doorman_upstream_refused_total{upstream=\"o\",reason=\"queue-full\"} 1");
    shows(metrics, "doorman_upstream_inflight{upstream=\"o\",server=\"a\"} 0");
}

#[test]
fn who_waits_too_long_is_told_so() {
    let (farm, house, metrics) = with_metrics("max-connections 1", "queue 5 timeout 200ms");
    farm["a"].stop();
    let first = house.begin("/first");
    farm["a"].wait_asked(1);
    let late = house.get("/late");
    assert_eq!((late.status, late.field("retry-after")), (503, Some("1")));
    let line = house.process.wait_for_words("/late");
    assert!(line.contains("\"end\":\"queue-timeout\""), "{line}");
    farm["a"].go_on();
    assert_eq!(first.reply().status, 200);
    assert_eq!(farm["a"].asked(), 1);
    shows(metrics, &waiting("queue", 0));
}

/// UPB-17: a client that goes away leaves the queue at once, and the next one gets its turn.
#[test]
fn upb_17_a_client_that_goes_away_leaves_the_queue() {
    let (farm, house, metrics) = with_metrics("max-connections 1", "queue 5 timeout 60s");
    farm["a"].stop();
    let first = house.begin("/first");
    farm["a"].wait_asked(1);
    let mut gone = TcpStream::connect(house.address).expect("a house that is open");
    gone.write_all(b"GET /gone HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("an open connection");
    shows(metrics, &waiting("queue", 1));
    let third = house.begin("/third");
    shows(metrics, &waiting("queue", 2));
    // A client that has only finished sending may still want its answer: one that is gone resets.
    let socket = socket2::SockRef::from(&gone);
    socket.set_linger(Some(Duration::ZERO)).expect("an open connection");
    drop(gone);
    shows(metrics, &waiting("queue", 1));
    farm["a"].go_on();
    assert_eq!((first.reply().status, third.reply().status), (200, 200));
    assert_eq!(farm["a"].paths(), ["/first", "/third"]);
}

/// No server is there: a request waits until one is back, whatever its method, and is sent once.
#[test]
fn parked_requests_go_through_when_a_server_is_back() {
    let (farm, house, metrics) = with_metrics("", "park 60s");
    farm["a"].kill();
    let get = house.begin("/get");
    shows(metrics, &waiting("park", 1));
    let post = house.send(
        "POST /post HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 3\r\n\r\npay",
    );
    shows(metrics, &waiting("park", 2));
    farm["a"].revive();
    assert_eq!((get.reply().status, post.reply().status), (200, 200));
    let mut paths = farm["a"].paths();
    paths.sort();
    assert_eq!(paths, ["/get", "/post"]);
    shows(metrics, &waiting("park", 0));
}

#[test]
fn parking_is_bounded_in_number_and_time() {
    let (farm, house, metrics) = with_metrics("", "park 2s requests 1");
    farm["a"].kill();
    let parked = house.begin("/parked");
    shows(metrics, &waiting("park", 1));
    let full = house.get("/full");
    assert_eq!((full.status, full.field("retry-after")), (503, Some("5")));
    assert_eq!(parked.reply().status, 503);
    let full = house.process.wait_for_words("/full");
    assert!(full.contains("\"end\":\"park-full\""), "{full}");
    let late = house.process.wait_for_words("/parked");
    assert!(late.contains("\"end\":\"park-timeout\""), "{late}");
    shows(metrics, &waiting("park", 0));
}

/// Bytes of bodies that were collected before count; a body that is still with its client does not.
#[test]
fn parking_is_bounded_in_bytes() {
    let farm = Farm::of(&["a"]);
    let servers = farm.servers(|_| String::new());
    let text = format!(
        "upstream o {{\n{servers}\npark 60s bytes 10B\n}}\n@SITE {{ buffer request 1KiB; proxy o }}"
    );
    let house = House::with("workers 1", &text);
    farm["a"].kill();
    let post = |body: &str| {
        let length = body.len();
        house.send(&format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    };
    assert_eq!(post("eleven byte").reply().status, 503);
    let small = post("ten bytes!");
    farm["a"].revive();
    assert_eq!(small.reply().status, 200);
}

/// A drain ends parking in time for the answer.
#[test]
fn a_drain_ends_parking_with_an_answer() {
    let farm = Farm::of(&["a"]);
    let servers = farm.servers(|_| String::new());
    let text = format!("upstream o {{\n{servers}\npark 60s\n}}\n@SITE {{ proxy o }}");
    let metrics = free_address();
    let house = House::with(&format!("workers 1\ndrain 4s\nmetrics {metrics}"), &text);
    farm["a"].kill();
    let parked: Vec<_> = (0..3).map(|n| house.begin(&format!("/{n}"))).collect();
    shows(metrics, &waiting("park", 3));
    house.process.signal(rustix::process::Signal::TERM).expect("our own child");
    for asked in parked {
        assert_eq!(asked.reply().status, 503);
    }
}

/// RXU-08: it opens, turns requests away, lets so many through as trials, and closes.
#[test]
fn rxu_08_a_breaker_opens_tries_and_closes() {
    let lines = "breaker { errors 50%; min 10; within 60s; open 1s; trials 2 }";
    let (farm, house, metrics) = with_metrics("", lines);
    farm["a"].answer(500);
    for _ in 0..10 {
        assert_eq!(house.get("/").status, 500);
    }
    let refused = house.get("/refused");
    assert_eq!(refused.status, 503);
    let wait: u32 = refused.field("retry-after").and_then(|n| n.parse().ok()).expect("a number");
    assert!((1..=2).contains(&wait), "{wait}");
    let line = house.process.wait_for_words("/refused");
    assert!(line.contains("\"end\":\"breaker-open\""), "{line}");
    assert_eq!(farm["a"].asked(), 10);
    house.process.wait_for_times("breaker of o opened: 10 of 10 tries failed", 1);
    shows(metrics, "doorman_upstream_breaker_opened_total{upstream=\"o\"} 1");
    // A trial that fails opens it again; it is the only one that was let through.
    house.until("a trial is let through", |reply| reply.status == 500);
    house.process.wait_for_times("opened again", 1);
    assert_eq!((farm["a"].asked(), house.get("/").status), (11, 503));
    farm["a"].answer(200);
    house.until("it closes", |reply| reply.status == 200);
    assert_eq!(house.get("/").status, 200);
    house.process.wait_for_times("breaker of o closed", 1);
    shows(metrics, "doorman_upstream_breaker_state{upstream=\"o\"} 0");
}

/// Half-open, requests beyond the trials are turned away while these are under way.
#[test]
fn rxu_08_trials_are_bounded() {
    let lines = "breaker { errors 50%; min 2; within 60s; open 200ms; trials 1 }";
    let (farm, house, _) = with_metrics("", lines);
    farm["a"].answer(500);
    assert_eq!((house.get("/").status, house.get("/").status), (500, 500));
    farm["a"].answer(200);
    farm["a"].stop();
    let mut trial = None;
    let begun = Instant::now();
    while farm["a"].asked() == 2 {
        assert!(begun.elapsed() < PATIENCE, "no trial was let through");
        // Either it is refused at once, or it is the trial, which hangs.
        let asked = house.begin("/");
        if let Some(reply) = asked.reply_within(Duration::from_millis(100)) {
            assert_eq!(reply.status, 503);
        } else {
            trial = Some(asked);
        }
    }
    for _ in 0..20 {
        assert_eq!(house.get("/").status, 503);
    }
    assert_eq!(farm["a"].asked(), 3);
    farm["a"].go_on();
    assert_eq!(trial.expect("the trial").reply().status, 200);
    assert_eq!(house.get("/").status, 200);
}

#[test]
fn a_breaker_bounds_the_requests_at_once() {
    let (farm, house, metrics) = with_metrics("", "breaker errors off in-flight 1");
    farm["a"].stop();
    let first = house.begin("/first");
    farm["a"].wait_asked(1);
    let full = house.get("/full");
    assert_eq!((full.status, full.field("retry-after")), (503, Some("1")));
    farm["a"].go_on();
    assert_eq!(first.reply().status, 200);
    shows(metrics, "doorman_upstream_refused_total{upstream=\"o\",reason=\"breaker-full\"} 1");
    house.until("there is room again", |reply| reply.status == 200);
}
