//! The network itself: it loses nothing that it should keep, wakes whoever waits, reports ends as
//! Linux does, and repeats.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use doorman_net::seam::{Glimpse, Stream};
use doorman_net::{Address, Net};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::spawn_local;

use super::*;
use crate::sums::{Dice, Pattern};

const HOUR: Duration = Duration::from_secs(3600);

fn place() -> SocketAddr {
    "10.0.0.1:80".parse().unwrap()
}

/// Both ends of a new connection.
async fn pair(sim: &Sim) -> (SimStream, SimStream) {
    let mut listener = sim.listen(place()).unwrap();
    let address = Address::Inet(place());
    let net = sim.net();
    let (caller, callee) = tokio::join!(net.connect(&address), listener.accept());
    (caller.unwrap(), callee.unwrap().0)
}

async fn glimpse(stream: &mut SimStream) -> Glimpse {
    poll_fn(|cx| stream.poll_glimpse(cx)).await
}

/// Three clients send a body to an echo and compare what comes back; says how each ended.
async fn echo_story(sim: Sim) -> Vec<Result<usize, ErrorKind>> {
    let mut listener = sim.listen(place()).unwrap();
    spawn_local(async move {
        while let Ok((stream, ..)) = listener.accept().await {
            spawn_local(async move {
                let (mut read, mut write) = tokio::io::split(stream);
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
        }
    });
    let mut dice = Dice::new(sim.seed() ^ 1);
    let ends = Rc::new(RefCell::new(vec![None; 3]));
    let clients: Vec<_> = (0..3)
        .map(|client: usize| {
            let (net, ends, length) = (sim.net(), Rc::clone(&ends), dice.length(300_000));
            spawn_local(async move {
                let end = echo_client(&net, client as u64, length).await;
                ends.borrow_mut()[client] = Some(end);
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    ends.take().into_iter().map(Option::unwrap).collect()
}

async fn echo_client(net: &SimNet, seed: u64, length: usize) -> Result<usize, ErrorKind> {
    let stream = net.connect(&Address::Inet(place())).await.map_err(|error| error.kind())?;
    let (mut read, mut write) = tokio::io::split(stream);
    let body = Pattern { seed }.bytes(length);
    let writer = spawn_local(async move {
        write.write_all(&body).await?;
        write.shutdown().await?;
        // Held until both are done, as a program that waits for its answer does.
        Ok::<_, io::Error>(write)
    });
    let mut back = Vec::new();
    let end = read.read_to_end(&mut back).await;
    assert_eq!(Pattern { seed }.differs(0, &back), None, "bytes were changed");
    writer.abort();
    end.map_err(|error| error.kind())?;
    Ok(back.len())
}

#[test]
fn gentle_faults_lose_nothing_and_no_wakeup() {
    for seed in 0..500 {
        let faults = Faults::swarm_of(seed, &Fault::GENTLE);
        let run = simulate(seed, faults, HOUR, echo_story).unwrap();
        let mut dice = Dice::new(seed ^ 1);
        let sent: Vec<_> = (0..3).map(|_| Ok(dice.length(300_000))).collect();
        assert_eq!(run.value, sent, "seed {seed}");
    }
}

#[test]
fn every_seed_ends_and_repeats() {
    let (mut hashes, mut faults_seen, mut failures) = (Vec::new(), 0, 0);
    for seed in 0..300 {
        let run = simulate(seed, Faults::swarm(seed), HOUR, echo_story).unwrap();
        failures += run.value.iter().filter(|end| end.is_err()).count();
        faults_seen += usize::from(Faults::swarm(seed) != Faults::NONE);
        if seed % 10 == 0 {
            let again = simulate(seed, Faults::swarm(seed), HOUR, echo_story).unwrap();
            assert_eq!(run, again, "seed {seed}");
        }
        hashes.push(run.trace_hash);
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 300, "each seed has a course of its own");
    assert!(faults_seen > 250 && failures > 50, "{faults_seen} {failures}");
}

#[test]
fn a_story_that_waits_for_nothing_is_stuck() {
    let run = simulate(1, Faults::NONE, HOUR, |sim| async move {
        let (mut caller, _callee) = pair(&sim).await;
        caller.read_u8().await
    });
    assert!(format!("{:?}", run.unwrap_err()).contains("Accept"));
}

/// Runs a story on a perfect network.
fn check<F: Future<Output = ()>>(story: impl FnOnce(Sim) -> F) {
    simulate(1, Faults::NONE, HOUR, story).unwrap();
}

#[test]
fn a_peek_takes_nothing() {
    check(|sim| async move {
        let (mut caller, mut callee) = pair(&sim).await;
        caller.write_all(b"ab").await.unwrap();
        assert_eq!(glimpse(&mut callee).await, Glimpse::Bytes);
        assert_eq!(glimpse(&mut callee).await, Glimpse::Bytes);
        assert_eq!(callee.read_u8().await.unwrap(), b'a');
        caller.shutdown().await.unwrap();
        assert_eq!(glimpse(&mut callee).await, Glimpse::Bytes);
        assert_eq!(callee.read_u8().await.unwrap(), b'b');
        assert_eq!(glimpse(&mut callee).await, Glimpse::Finished);
        callee.write_all(b"c").await.unwrap();
        assert_eq!(caller.read_u8().await.unwrap(), b'c', "half-closed is not closed");
    });
}

#[test]
fn a_peek_waits_and_is_woken() {
    check(|sim| async move {
        let (mut caller, mut callee) = pair(&sim).await;
        let peek = spawn_local(async move { glimpse(&mut callee).await });
        sim.wait(Duration::from_secs(1)).await;
        caller.reset_on_close();
        drop(caller);
        assert_eq!(peek.await.unwrap(), Glimpse::Reset);
    });
}

#[test]
fn a_reset_is_reported_once_and_after_the_bytes() {
    check(|sim| async move {
        let (mut caller, mut callee) = pair(&sim).await;
        caller.write_all(b"x").await.unwrap();
        caller.reset_on_close();
        drop(caller);
        assert_eq!(callee.read_u8().await.unwrap(), b'x');
        assert_eq!(callee.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(callee.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(callee.write(b"y").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn closing_with_unread_bytes_is_a_reset() {
    check(|sim| async move {
        let (mut caller, callee) = pair(&sim).await;
        caller.write_all(b"never read").await.unwrap();
        drop(callee);
        assert_eq!(caller.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn bytes_for_a_closed_end_bring_a_reset() {
    check(|sim| async move {
        let (mut caller, mut callee) = pair(&sim).await;
        callee.write_all(b"bye").await.unwrap();
        drop(callee);
        caller.write_all(b"too late").await.unwrap();
        let mut bytes = [0; 8];
        assert_eq!(caller.read(&mut bytes).await.unwrap(), 3, "what had arrived stays readable");
        // Linux: the peer had ended before it reset.
        assert_eq!(caller.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(caller.read(&mut bytes).await.unwrap(), 0);
    });
}

#[test]
fn a_full_window_stops_the_writer_until_the_reader_reads() {
    check(|sim| async move {
        let (mut caller, mut callee) = pair(&sim).await;
        let bytes = vec![7; WINDOW_MAX + 1];
        assert_eq!(caller.write(&bytes).await.unwrap(), WINDOW_MAX);
        let writer = spawn_local(async move { caller.write(b"more").await });
        sim.wait(Duration::from_secs(9)).await;
        assert!(!writer.is_finished());
        callee.read_u8().await.unwrap();
        assert_eq!(writer.await.unwrap().unwrap(), 1, "as much as was read");
    });
}

#[test]
fn planned_troubles_strike_at_their_byte() {
    let troubled = |kind| {
        async move |sim: Sim| {
            sim.plan(place(), vec![Trouble { sender: Side::Callee, after: 5, kind }]);
            let (mut caller, mut callee) = pair(&sim).await;
            let _ = callee.write_all(b"hello, world").await;
            let mut back = Vec::new();
            let end =
                tokio::time::timeout(Duration::from_secs(30), caller.read_to_end(&mut back)).await;
            (back, end.ok().map(|end| end.map_err(|error| error.kind())), callee.write(b"x").await)
        }
    };
    check(|sim| async move {
        let (back, end, write) = troubled(TroubleKind::Reset)(sim).await;
        assert_eq!((&back[..], end), (&b"hello"[..], Some(Err(ErrorKind::ConnectionReset))));
        assert!(write.is_err());
    });
    check(|sim| async move {
        let (back, end, write) = troubled(TroubleKind::Cut)(sim).await;
        assert_eq!((&back[..], end), (&b"hello"[..], Some(Ok(5))));
        assert!(write.is_err());
    });
    check(|sim| async move {
        let stall = TroubleKind::Stall(Duration::from_secs(40));
        let (back, end, _) = troubled(stall)(sim).await;
        assert_eq!((&back[..], end), (&b"hello"[..], None));
    });
}

#[test]
fn dialling_fails_as_it_should() {
    check(|sim| async move {
        let dial = async |to: Address| sim.net().connect(&to).await.map(drop).unwrap_err().kind();
        assert_eq!(dial(Address::Inet(place())).await, ErrorKind::ConnectionRefused);
        assert_eq!(dial(Address::Name("a.test".into(), 80)).await, ErrorKind::NotFound);
        let listener = sim.listen(place()).unwrap();
        assert_eq!(sim.listen(place()).map(drop).unwrap_err().kind(), ErrorKind::AddrInUse);
        sim.name("a.test", 80, place());
        let mut early = sim.net().connect(&Address::Name("a.test".into(), 80)).await.unwrap();
        drop(listener);
        let read = early.read(&mut [0]).await;
        assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset, "never accepted");
        assert_eq!(dial(Address::Inet(place())).await, ErrorKind::ConnectionRefused);
    });
}

#[test]
fn dice_of_the_application_repeat_and_stay_apart() {
    check(|sim| async move {
        let (one, other) = (sim.net(), sim.net());
        let rolls: Vec<u64> = (0..4).map(|_| one.dice()).collect();
        assert_eq!(rolls, (0..4).map(|_| other.dice()).collect::<Vec<_>>());
        assert_ne!(rolls[0], rolls[1]);
    });
}
