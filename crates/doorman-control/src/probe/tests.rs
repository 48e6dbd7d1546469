//! Checks on a network in memory: what answers count as, and who is asked when.

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use doorman_balance::health::{
    Check, CheckKind, Expect, FieldExpect, Initial, Pace, Pattern, StatusSpan,
};
use doorman_balance::{Group, Probe, ServerState, Settings};
use doorman_net::Address;
use doorman_net::dial::{DialManner, Protocol, ProxyVersion};
use doorman_testkit::sim::{Faults, Sim, SimStream, simulate};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::ask::{Found, ask};
use super::{Target, Ward, Way, run};

const AT: &str = "10.0.0.1:80";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nready\n";
const BUSY: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
/// Virtual time that a story may take.
const STORY_MAX: Duration = Duration::from_secs(3600);

fn address() -> SocketAddr {
    AT.parse().unwrap()
}

fn way() -> Way {
    Way {
        address: Address::Inet(address()),
        authority: "10.0.0.1".into(),
        tls: None,
        tls_single: None,
        protocol: Protocol::H1,
        manner: DialManner::default(),
    }
}

fn pace() -> Pace {
    Pace {
        every: Duration::from_secs(5),
        while_healthy: None,
        timeout: Duration::from_secs(2),
        fall: 3,
        rise: 2,
        initial: Initial::Up,
    }
}

fn http(method: &str, expect: Expect) -> Check {
    let fields = vec![("x-check".into(), "yes".into())];
    let (method, path) = (method.into(), "/ready?full=1".into());
    let kind = CheckKind::Http { method, path, host: None, fields, expect };
    Check { kind, pace: pace(), port: None }
}

fn get() -> Check {
    http("GET", Expect::default())
}

/// Plays a story without misfortunes.
fn story<F: Future<Output = ()>>(tell: impl FnOnce(Sim) -> F) {
    simulate(1, Faults::of(&[]), STORY_MAX, tell).unwrap();
}

/// What an origin does behind the request's head.
#[derive(Clone)]
enum Act {
    /// Sends this and leaves the connection open.
    Send(Vec<u8>),
    /// Sends this and closes.
    Close(Vec<u8>),
    /// Sends the first, and then the second again and again.
    Forever(Vec<u8>, Vec<u8>),
    /// Sends the first, and then the second again and again, a byte a second.
    Trickle(Vec<u8>, Vec<u8>),
}

fn send(text: impl AsRef<[u8]>) -> Act {
    Act::Send(text.as_ref().to_vec())
}

async fn play(sim: Sim, mut stream: SimStream, act: Act) {
    match act {
        Act::Send(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
        Act::Close(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Act::Forever(first, more) => {
            let _ = stream.write_all(&first).await;
            while stream.write_all(&more).await.is_ok() {}
        }
        Act::Trickle(first, more) => {
            let _ = stream.write_all(&first).await;
            for byte in more.iter().cycle() {
                sim.wait(Duration::from_secs(1)).await;
                if stream.write_all(&[*byte]).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn head(stream: &mut SimStream) -> Vec<u8> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    head
}

/// Asks an origin that acts so; what the check comes to, how long it took, and what the origin was sent.
fn asked(check: &Check, way: &Way, act: Option<Act>) -> (Found, Duration, Vec<u8>) {
    let result = Rc::new(RefCell::new(None));
    let told = Rc::clone(&result);
    story(|sim| async move {
        let heard = Rc::new(RefCell::new(Vec::new()));
        if let Some(act) = act {
            let mut listener = sim.listen(address()).unwrap();
            let (sim, heard) = (sim.clone(), Rc::clone(&heard));
            tokio::task::spawn_local(async move {
                while let Ok((mut stream, ..)) = listener.accept().await {
                    *heard.borrow_mut() = head(&mut stream).await;
                    play(sim.clone(), stream, act.clone()).await;
                }
            });
        }
        let clock = sim.clock();
        let begun = clock.instant();
        let found = ask(&sim.net(), clock, way, check).await;
        let took = clock.instant().since(begun);
        let heard = heard.borrow().clone();
        *told.borrow_mut() = Some((found, took, heard));
    });
    result.take().unwrap()
}

fn found(check: &Check, act: Act) -> Found {
    let (found, took, _) = asked(check, &way(), Some(act));
    assert!(took <= pace().timeout, "{took:?}");
    found
}

fn ill(words: &str) -> Found {
    Found::Ill(words.to_owned())
}

#[test]
fn a_check_is_a_request_like_any_other() {
    let (found, _, sent) = asked(&get(), &way(), Some(send(OK)));
    assert_eq!(found, Found::Well);
    let sent = String::from_utf8(sent).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let expect = format!(
        "GET /ready?full=1 HTTP/1.1\r\nhost: 10.0.0.1\r\nx-check: yes\r\n\
         user-agent: doorman/{version} (health check)\r\n\r\n"
    );
    assert_eq!(sent, expect);
    let v1 = DialManner { announce: Some(ProxyVersion::V1), ..DialManner::default() };
    let (found, _, sent) = asked(&get(), &Way { manner: v1, ..way() }, Some(send(OK)));
    assert_eq!(found, Found::Well);
    assert!(sent.starts_with(b"PROXY UNKNOWN\r\nGET "));
}

#[test]
fn what_an_answer_counts_as() {
    let check = |act: Act, expect: Found| assert_eq!(found(&get(), act), expect);
    check(send(OK), Found::Well);
    check(Act::Close(b"HTTP/1.0 200 OK\r\n\r\nuntil the end".to_vec()), Found::Well);
    check(send("HTTP/1.1 204 No Content\r\n\r\n"), Found::Well);
    check(send(BUSY), ill("status 503, wanted 200-399"));
    check(send(format!("HTTP/1.1 103 Early Hints\r\n\r\n{OK}")), Found::Well);
    check(Act::Close(Vec::new()), ill("closed before a response"));
    check(Act::Close(b"HTTP/1.1 200".to_vec()), ill("closed within the response's head"));
    check(send(""), ill("not done within 2 s while waiting for an answer"));
    assert_eq!(
        found(
            &http("HEAD", Expect::default()),
            send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        ),
        Found::Well
    );
    let (down, took, _) = asked(&get(), &way(), None);
    assert_eq!(down, ill("connect: connection refused"));
    assert!(took < Duration::from_secs(1));
}

/// UPC-19: bounded, and ill.
#[test]
fn upc_19_answers_that_are_none() {
    let starts = |act: Act, words: &str| match found(&get(), act) {
        Found::Ill(why) => assert!(why.starts_with(words), "{why}, not {words}"),
        other => panic!("{other:?}, not {words}"),
    };
    let much = "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n".as_bytes().to_vec();
    let too_much = "an answer of more than 65536 bytes";
    starts(Act::Forever(much, vec![b'x'; 65536]), too_much);
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".as_bytes().to_vec();
    starts(
        Act::Forever(
            chunked.clone(),
            b"1000\r\n".iter().copied().chain([b'x'; 4096]).chain(*b"\r\n").collect(),
        ),
        too_much,
    );
    starts(
        Act::Trickle(chunked, b"1\r\nx\r\n".to_vec()),
        "not done within 2 s while reading the answer",
    );
    starts(
        Act::Trickle(Vec::new(), b"HTTP/1.1 200 OK\r\nX: y".to_vec()),
        "not done within 2 s while waiting for an answer",
    );
    starts(
        Act::Forever(Vec::new(), b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec()),
        "malformed response: too many interim",
    );
    starts(
        Act::Forever(b"HTTP/1.1 200 OK\r\n".to_vec(), b"X-Fill: 0123456789\r\n".to_vec()),
        "malformed response: ",
    );
    starts(send([0xFF; 100]), "malformed response: ");
    starts(send("SSH-2.0-OpenSSH_9.2\r\n\r\n"), "malformed response: ");
    starts(
        send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        "malformed response: ",
    );
    starts(
        Act::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort".to_vec()),
        "origin closed before its body was whole",
    );
}

#[test]
fn expectations() {
    let expect = Expect {
        statuses: vec![StatusSpan { first: 200, last: 200 }],
        fields: vec![FieldExpect {
            name: "x-role".into(),
            pattern: Some(Pattern::new("^prim").unwrap()),
        }],
        body: vec![Pattern::new("ready").unwrap()],
    };
    let check = |text: &str, expected: Found| {
        assert_eq!(found(&http("GET", expect.clone()), send(text)), expected);
    };
    let with = |role: &str, body: &str| {
        format!("HTTP/1.1 200 OK\r\nX-Role: {role}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    check(&with("primary", "ready"), Found::Well);
    check(&with("replica", "ready"), ill("field x-role does not match ~ ^prim"));
    check(&with("primary", "starting"), ill("the body does not match ~ ready"));
    check(OK, ill("no field x-role"));
}

#[test]
fn a_connection_is_enough_for_tcp() {
    let tcp = Check { kind: CheckKind::Tcp, pace: pace(), port: None };
    assert_eq!(found(&tcp, send("")), Found::Well);
    let (down, ..) = asked(&tcp, &way(), None);
    assert_eq!(down, ill("connect: connection refused"));
    let elsewhere = Check { port: Some(81), ..tcp };
    assert_eq!(asked(&elsewhere, &way(), Some(send(""))).0, ill("connect: connection refused"));
}

/// An upstream of one server, the prober, and what the server is asked.
struct Ward1 {
    orders: UnboundedSender<Vec<Ward>>,
    state: Arc<ServerState>,
    _group: Arc<Group>,
    asked: Rc<RefCell<Vec<u64>>>,
    answer: Rc<RefCell<&'static str>>,
}

impl Ward1 {
    fn start(sim: &Sim, checks: Vec<Check>) -> Self {
        let (orders, inbox) = unbounded_channel();
        let group = Group::new(Settings::default());
        let state = group.server("one");
        let mut listener = sim.listen(address()).unwrap();
        let (asked, answer) = (Rc::default(), Rc::new(RefCell::new(OK)));
        let (asks, answers, clock): (Rc<RefCell<Vec<u64>>>, _, _) =
            (Rc::clone(&asked), Rc::clone(&answer), sim.clock());
        let own = sim.clone();
        tokio::task::spawn_local(async move {
            while let Ok((mut stream, ..)) = listener.accept().await {
                asks.borrow_mut().push(clock.instant().0 / 1_000_000);
                let _ = head(&mut stream).await;
                let text = *answers.borrow();
                tokio::task::spawn_local(play(own.clone(), stream, send(text)));
            }
        });
        tokio::task::spawn_local(run(sim.net(), sim.clock(), inbox));
        let ward = Self { orders, state, _group: group, asked, answer };
        ward.follow(checks);
        ward
    }

    fn follow(&self, checks: Vec<Check>) {
        let servers =
            vec![Target { server: "one".into(), way: way(), state: Arc::clone(&self.state) }];
        let _ = self.orders.send(vec![Ward {
            upstream: "up".into(),
            checks,
            passive: None,
            outlier: None,
            servers,
        }]);
    }

    fn answers(&self, text: &'static str) {
        *self.answer.borrow_mut() = text;
    }

    fn asked(&self) -> usize {
        self.asked.borrow().len()
    }
}

#[test]
fn intervals_rise_and_fall() {
    story(|sim| async move {
        let quick = Pace { while_healthy: Some(Duration::from_secs(60)), ..pace() };
        let ward = Ward1::start(&sim, vec![Check { pace: quick, ..get() }]);
        sim.wait(Duration::from_secs(600)).await;
        assert_eq!(ward.state.probe(), Probe::Up);
        let asked = ward.asked();
        assert!((9..=12).contains(&asked), "{asked} times in ten minutes while it is well");
        ward.answers(BUSY);
        sim.wait(Duration::from_secs(66 + 2 * 6)).await;
        assert_eq!(ward.state.probe(), Probe::Down);
        let report = ward.state.health().vitals.last().unwrap();
        assert!(!report.up);
        assert_eq!(
            report.why,
            "GET /ready?full=1 failed 3 times, last: status 503, wanted 200-399"
        );
        // While it is ill it is asked at the quick pace.
        let before = ward.asked();
        sim.wait(Duration::from_secs(60)).await;
        assert!((10..=14).contains(&(ward.asked() - before)));
        ward.answers(OK);
        sim.wait(Duration::from_secs(12)).await;
        assert_eq!(ward.state.probe(), Probe::Up);
    });
}

/// A reload asks nothing anew of what stays the same, and all of what has changed.
#[test]
fn reloads() {
    story(|sim| async move {
        let ward = Ward1::start(&sim, vec![get()]);
        ward.answers(BUSY);
        sim.wait(Duration::from_secs(30)).await;
        assert_eq!(ward.state.probe(), Probe::Down);
        let asked = ward.asked();
        for _ in 0..10 {
            ward.follow(vec![get()]);
            sim.wait(Duration::from_millis(10)).await;
        }
        assert!(ward.asked() <= asked + 1);
        assert_eq!(ward.state.probe(), Probe::Down);
        assert_eq!(ward.state.health().vitals.checks()[0].up, Some(false));
        // Another check beside it: the server stays down by the first.
        let tcp = Check { kind: CheckKind::Tcp, ..get() };
        ward.follow(vec![get(), tcp.clone()]);
        sim.wait(Duration::from_secs(2)).await;
        assert_eq!(ward.state.probe(), Probe::Down);
        // The first is gone: the other decides.
        ward.follow(vec![tcp]);
        sim.wait(Duration::from_secs(2)).await;
        assert_eq!(ward.state.probe(), Probe::Up);
        // None is left: nobody asks, and nobody knows.
        let _ = ward.orders.send(Vec::new());
        sim.wait(Duration::from_secs(1)).await;
        let asked = ward.asked();
        sim.wait(Duration::from_secs(60)).await;
        assert_eq!((ward.asked(), ward.state.probe()), (asked, Probe::Unknown));
        assert!(ward.state.health().vitals.checks().is_empty());
    });
}

#[test]
fn a_server_that_is_down_until_it_was_checked() {
    story(|sim| async move {
        let careful = Check { pace: Pace { initial: Initial::Down, ..pace() }, ..get() };
        let ward = Ward1::start(&sim, vec![careful]);
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        assert_eq!(ward.state.probe(), Probe::Down);
        sim.wait(Duration::from_secs(2)).await;
        assert_eq!((ward.state.probe(), ward.asked()), (Probe::Up, 1), "one pass is enough");
    });
}

/// UPC-18: one changes its mind all the time; the verdict does not.
#[test]
fn upc_18_flapping() {
    story(|sim| async move {
        let flap = Pace { every: Duration::from_millis(100), fall: 2, ..pace() };
        let ward = Ward1::start(&sim, vec![Check { pace: flap, ..get() }]);
        sim.wait(Duration::from_secs(1)).await;
        let before = ward.state.health().vitals.changes().len();
        for turn in 0..500 {
            ward.answers(if turn % 2 == 0 { BUSY } else { OK });
            let asked = ward.asked();
            while ward.asked() == asked {
                sim.wait(Duration::from_millis(10)).await;
            }
        }
        assert_eq!(ward.state.probe(), Probe::Up);
        assert_eq!(ward.state.health().vitals.changes().len(), before);
    });
}

/// Thousands of silent servers: never more checks at once than there may be.
#[test]
fn checks_at_once_are_bounded() {
    story(|sim| async move {
        let (orders, inbox) = unbounded_channel();
        let group = Group::new(Settings::default());
        let mut listener = sim.listen(address()).unwrap();
        let open = Rc::new(RefCell::new((0usize, 0usize, 0usize)));
        let counts = Rc::clone(&open);
        tokio::task::spawn_local(async move {
            while let Ok((mut stream, ..)) = listener.accept().await {
                let counts = Rc::clone(&counts);
                tokio::task::spawn_local(async move {
                    {
                        let mut counts = counts.borrow_mut();
                        counts.0 += 1;
                        counts.1 = counts.1.max(counts.0);
                        counts.2 += 1;
                    }
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                    counts.borrow_mut().0 -= 1;
                });
            }
        });
        tokio::task::spawn_local(run(sim.net(), sim.clock(), inbox));
        let servers: Vec<Target> = (0..2000)
            .map(|n| Target {
                server: n.to_string().into(),
                way: way(),
                state: group.server(&n.to_string()),
            })
            .collect();
        let states: Vec<_> = servers.iter().map(|server| Arc::clone(&server.state)).collect();
        let ward = Ward {
            upstream: "up".into(),
            checks: vec![get()],
            passive: None,
            outlier: None,
            servers,
        };
        let _ = orders.send(vec![ward]);
        sim.wait(Duration::from_secs(20)).await;
        let (_, most, all) = *open.borrow();
        assert!(most <= super::CHECKS_AT_ONCE && most > super::CHECKS_AT_ONCE / 2, "{most}");
        assert!(all >= 2000, "{all}");
        assert!(states.iter().all(|state| state.probe() == Probe::Down), "each was asked");
    });
}
