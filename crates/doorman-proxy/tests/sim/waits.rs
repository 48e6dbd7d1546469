//! Requests that wait for a server, under misfortunes: servers of one place each that are slow, die and
//! come back, and clients that go away at any moment, so that a request is dropped at every one of its
//! waits. In every seed: who stays gets an answer of a known kind; and when all is over the lines are
//! empty, no place is taken and no pass is out (RXU-07).

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use doorman_net::{Address, Net};
use doorman_testkit::sim::{Faults, Sim, SimStream, simulate};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::message::draw;
use crate::{STORY_MAX, address, proxy};

/// Seeds of a run.
const SEEDS: u64 = 300;
const CLIENTS: u64 = 12;
/// Requests of one client, each on a connection of its own.
const REQUESTS: u64 = 5;

const CONFIG: &str = "
upstream o {
    server 10.0.0.1:80 max-connections 1
    server 10.0.0.2:80 max-connections 1
    queue 6 timeout 3s
    park 4s requests 5
    retry 2 on reset 503 budget 50% try-timeout 2s
    breaker errors 90% min 10 within 10s open 1s trials 2 in-flight 11
}
site http://*:80 { route * { proxy o } }
";

#[test]
fn nobody_is_left_waiting_rxu_07() {
    let seeds =
        std::env::var("SIM_SEEDS").map_or(SEEDS, |n| n.parse().expect("SIM_SEEDS is a number"));
    for seed in 0..seeds {
        let guard = Named(seed);
        if let Err(stuck) = simulate(seed, Faults::of(&[]), STORY_MAX, move |sim| story(sim, seed))
        {
            panic!("{stuck:?}");
        }
        std::mem::forget(guard);
    }
}

/// Names the seed when its story panics.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        eprintln!("the story of waits with seed {} failed", self.0);
    }
}

async fn story(sim: Sim, seed: u64) {
    let over = Rc::new(Cell::new(false));
    let origins: Vec<_> = ["10.0.0.1:80", "10.0.0.2:80"]
        .into_iter()
        .zip(1..)
        .map(|(at, number)| {
            tokio::task::spawn_local(origin(sim.clone(), at, seed * 7 + number, Rc::clone(&over)))
        })
        .collect();
    let (core, plan) = proxy(&sim, CONFIG);
    let clients = (0..CLIENTS)
        .map(|n| tokio::task::spawn_local(client(sim.clone(), seed, n)))
        .collect::<Vec<_>>();
    for client in clients {
        if let Err(error) = client.await {
            std::panic::resume_unwind(error.into_panic());
        }
    }
    over.set(true);
    core.drain();
    core.emptied().await;
    let upstream = &plan.upstreams[0];
    let books = upstream.resilience().expect("it is configured");
    assert_eq!((books.queue.len(), books.queue.bytes()), (0, 0), "seed {seed}: the queue");
    assert_eq!((books.park.len(), books.park.bytes()), (0, 0), "seed {seed}: the park");
    assert_eq!(books.breaker.in_flight(), 0, "seed {seed}: passes");
    for server in &upstream.servers {
        assert_eq!(server.state.in_flight(), 0, "seed {seed}: places at {}", server.name);
    }
    for origin in origins {
        origin.abort();
    }
}

/// An origin that is there for a while and gone for a while.
async fn origin(sim: Sim, at: &'static str, seed: u64, over: Rc<Cell<bool>>) {
    let mut spell = 0;
    while !over.get() {
        let mut listener = sim.listen(address(at)).expect("the address is free");
        let until = Duration::from_millis(500 + draw(seed, spell * 2, 9_000));
        let serving = async {
            let mut count = 0;
            while let Ok((stream, ..)) = listener.accept().await {
                count += 1;
                let kind = draw(seed, spell * 1_000 + count, 1_000);
                tokio::task::spawn_local(serve(sim.clone(), stream, kind));
            }
        };
        tokio::select! {
            () = serving => {}
            () = sim.wait(until) => {}
        }
        drop(listener);
        sim.wait(Duration::from_millis(draw(seed, spell * 2 + 1, 4_000))).await;
        spell += 1;
    }
}

async fn serve(sim: Sim, mut stream: SimStream, kind: u64) {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    for turn in 0.. {
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(n) => head.extend_from_slice(&buffer[..n]),
            }
        }
        head.clear();
        let kind = (kind + turn * 37) % 10;
        sim.wait(Duration::from_millis([1, 5, 20, 100, 400, 900][(kind % 6) as usize])).await;
        let status = if kind == 9 { 503 } else { 200 };
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok");
        if kind == 8 || stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn client(sim: Sim, seed: u64, number: u64) {
    let net = sim.net_from("198.51.100.7".parse().expect("an address"));
    for request in 0..REQUESTS {
        let at = |place: u64, below: u64| draw(seed, (number * 100 + request) * 10 + place, below);
        sim.wait(Duration::from_millis(at(1, 3_000))).await;
        let Ok(mut stream) = net.connect(&Address::Inet(address("192.0.2.1:80"))).await else {
            panic!("the proxy refused a connection");
        };
        let method = if at(2, 3) == 0 { "POST" } else { "GET" };
        let head = format!(
            "{method} / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("an open connection");
        let answer = read(&mut stream);
        // Every third one goes away, at any moment of its life.
        if at(3, 3) == 0 {
            tokio::select! {
                _ = answer => {}
                () = sim.wait(Duration::from_millis(at(4, 5_000))) => {}
            }
            continue;
        }
        let text = tokio::time::timeout(Duration::from_secs(120), answer)
            .await
            .unwrap_or_else(|_| panic!("client {number} waits for ever"));
        let status = text.split(' ').nth(1).unwrap_or("none").to_owned();
        assert!(
            matches!(status.as_str(), "200" | "502" | "503" | "504"),
            "client {number}: {text:?}"
        );
    }
}

async fn read(stream: &mut SimStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}
