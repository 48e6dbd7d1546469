//! An HTTP/2 origin that falls silent, in virtual time: one that is dead is found out long before
//! its answer would be overdue, and one that only takes its time is left alone.

use std::rc::Rc;
use std::time::Duration;

use doorman_http::{Body, Conn, RequestHead};
use doorman_net::dial::{
    Asking, DialError, DialManner, DialTimeouts, Dialler, Need, Pool, PoolLimits, Protocol, Server,
};
use doorman_net::{Address, Limits};
use doorman_testkit::h2::{Frame, PREFACE, flag, hpack, kind};
use doorman_testkit::sim::{Faults, Sim, SimNet, SimStream, simulate};
use doorman_testkit::wire::Wire;

const ORIGIN: &str = "10.0.0.2:80";

/// What an origin does with PING.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pulse {
    Alive,
    Dead,
}

/// Answers the first request at once, and each later one after `pause`. Once it is dead it says
/// nothing at all.
async fn serve(sim: Sim, mut wire: Wire<SimStream>, pulse: Pulse, pause: Duration, pings: Counter) {
    if wire.take_exactly(PREFACE.len()).await.is_err() {
        return;
    }
    let _ = wire.send_frames(&[Frame::settings(&[])]).await;
    let mut answered = 0;
    while let Ok(frame) = wire.frame().await {
        let is_dead = pulse == Pulse::Dead && answered > 0;
        let ends = frame.kind == kind::HEADERS && frame.flags & flag::END_STREAM != 0;
        if frame.kind == kind::PING && frame.flags & flag::ACK == 0 {
            pings.set(pings.get() + 1);
            if !is_dead {
                let ack = Frame::new(kind::PING, flag::ACK, 0, frame.payload.clone());
                let _ = wire.send_frames(&[ack]).await;
            }
        }
        if ends && !is_dead {
            if answered > 0 {
                // Frames that come meanwhile are read later: a pause below that of a dead one.
                sim.wait(pause).await;
            }
            answered += 1;
            let head = hpack::literals(&[(b":status", b"200")]);
            let flags = flag::END_HEADERS | flag::END_STREAM;
            let _ = wire.send_frames(&[Frame::new(kind::HEADERS, flags, frame.stream, head)]).await;
        }
    }
}

type Counter = Rc<std::cell::Cell<u32>>;

async fn ask(dialler: &Dialler<SimNet>, sim: &Sim) -> Result<u16, DialError> {
    let mut head = RequestHead::default();
    head.fields.push(b"host", b"a");
    head.set_target(b"/").expect("a target");
    let timeouts = DialTimeouts { response: Duration::from_secs(3600), ..DialTimeouts::default() };
    let lane = match dialler.pooled(sim.clock().instant(), Need::Request) {
        Some(lane) => lane,
        None => dialler.connect(&timeouts, Need::Request, &Conn::nobody()).await?,
    };
    let asking = Asking {
        head: &head,
        host: b"a",
        secure: false,
        interim: None,
        limits: &Limits::default(),
        timeouts,
    };
    lane.ask(asking, &mut Some(Body::empty())).await.map(|answer| answer.head.status)
}

/// Asks twice with `quiet` in between; what came of the second, how long it took, and how many PINGs
/// the origin saw.
fn second(pulse: Pulse, quiet: u64, pause: u64) -> (Result<u16, DialError>, u64, u32) {
    let run = simulate(7, Faults::NONE, Duration::from_secs(7200), |sim| async move {
        let mut listener = sim.listen(ORIGIN.parse().expect("an address")).expect("a listener");
        let pings = Counter::default();
        let (kept, world) = (Rc::clone(&pings), sim.clone());
        tokio::task::spawn_local(async move {
            while let Ok((stream, ..)) = listener.accept().await {
                let (pings, sim) = (Rc::clone(&kept), world.clone());
                let pause = Duration::from_secs(pause);
                tokio::task::spawn_local(serve(sim, Wire::new(stream), pulse, pause, pings));
            }
        });
        let server = Server {
            address: Address::Inet(ORIGIN.parse().expect("an address")),
            tls: None,
            tls_single: None,
            protocol: Protocol::H2,
            manner: DialManner::default(),
            limits: Limits::default(),
        };
        let limits =
            PoolLimits { idle_timeout: Duration::from_secs(3600), ..PoolLimits::default() };
        let dialler = Dialler::new(sim.net(), sim.clock(), server, Pool::new(limits));
        assert_eq!(ask(&dialler, &sim).await.expect("an answer"), 200);
        sim.wait(Duration::from_secs(quiet)).await;
        let begun = sim.clock().instant();
        let outcome = ask(&dialler, &sim).await;
        let took = sim.clock().instant().since(begun).as_secs();
        (outcome, took, pings.get())
    });
    run.expect("a run").value
}

#[test]
fn a_dead_connection_is_found_out_with_the_next_request() {
    let (outcome, took, pings) = second(Pulse::Dead, 20, 0);
    assert!(matches!(outcome, Err(DialError::Closed { reused: true })), "{outcome:?}");
    assert!((9..=12).contains(&took) && pings == 1, "{took} s, {pings} pings");
}

#[test]
fn a_connection_that_dies_under_a_request_is_found_out_later() {
    let (outcome, took, pings) = second(Pulse::Dead, 1, 0);
    assert!(matches!(outcome, Err(DialError::Closed { reused: true })), "{outcome:?}");
    assert!((38..=45).contains(&took) && pings == 1, "{took} s, {pings} pings");
}

#[test]
fn an_origin_that_answers_soon_is_asked_nothing_but_after_silence() {
    for (quiet, pings) in [(1, 0), (20, 1)] {
        let (outcome, took, asked) = second(Pulse::Alive, quiet, 5);
        assert!(matches!(outcome, Ok(200)), "{outcome:?}");
        assert!(took <= 6 && asked == pings, "{took} s, {asked} pings after {quiet} s");
    }
}
