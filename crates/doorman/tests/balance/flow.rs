//! Steady load that is held to a rate, and origins that are processes of their own: killed and stopped
//! as an operator's are.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use doorman_testkit::process::{Process, Program, free_address};
use rustix::process::Signal;

use crate::rig::PATIENCE;

/// Clients of a flow, each with one request under way.
pub(crate) const CLIENTS: usize = 20;
/// Requests a second that the flow is held to; a machine that cannot do as many does fewer.
const RATE: u64 = 2_000;

/// An origin in a process of its own.
pub(crate) struct Beast {
    pub(crate) address: SocketAddr,
    process: Process,
}

impl Beast {
    pub(crate) fn start() -> Self {
        Self::at(free_address())
    }

    fn at(address: SocketAddr) -> Self {
        let text = format!(
            "global {{\ndata data\nadmin unix:admin.sock\nlog access off\nworkers 1\n}}\nsite http://*:{} {{ respond 200 well }}\n",
            address.port()
        );
        let process = Program::new(env!("CARGO_BIN_EXE_doorman"))
            .file("doorman.conf", text)
            .arguments(&["run", "-c", "doorman.conf"])
            .start_listening(&[address]);
        Self { address, process }
    }

    pub(crate) fn kill(&mut self) {
        self.process.signal(Signal::KILL).expect("our own child");
        self.process.wait().expect("it ends");
    }

    /// As a service manager restarts it: TERM, and started again when it has ended.
    pub(crate) fn restart(&mut self) {
        self.process.stop().expect("it ends");
        *self = Self::at(self.address);
    }

    pub(crate) fn revive(&mut self) {
        *self = Self::at(self.address);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal).expect("our own child");
    }
}

/// The `server` lines for all of them.
pub(crate) fn servers(beasts: &[Beast]) -> String {
    beasts.iter().map(|beast| format!("server {}\n", beast.address)).collect()
}

#[derive(Default)]
struct Tally {
    counts: Mutex<BTreeMap<String, u64>>,
    news: Condvar,
}

/// Requests that go on until it is stopped.
pub(crate) struct Flow {
    tally: Arc<Tally>,
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Flow {
    pub(crate) fn start(target: SocketAddr, method: &'static str) -> Self {
        let (tally, over) = (Arc::new(Tally::default()), Arc::new(AtomicBool::new(false)));
        let turns = Arc::new(AtomicU64::new(0));
        let begun = Instant::now();
        let clients = (0..CLIENTS).map(|_| {
            let (tally, over, turns) = (Arc::clone(&tally), Arc::clone(&over), Arc::clone(&turns));
            thread::spawn(move || {
                let mut stream = None;
                while !over.load(Ordering::Relaxed) {
                    let turn = turns.fetch_add(1, Ordering::Relaxed);
                    let due = begun + Duration::from_micros(turn * 1_000_000 / RATE);
                    while let Some(left) = due.checked_duration_since(Instant::now()) {
                        thread::park_timeout(left);
                    }
                    let outcome = ask(target, method, &mut stream);
                    let mut counts = tally.counts.lock().unwrap_or_else(PoisonError::into_inner);
                    *counts.entry(outcome).or_default() += 1;
                    drop(counts);
                    tally.news.notify_all();
                }
            })
        });
        let clients = clients.collect();
        Self { tally, over, clients }
    }

    /// Waits until so many more have been answered, well or badly.
    #[track_caller]
    pub(crate) fn wait(&self, more: u64) {
        let count = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
        let counts = self.tally.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let goal = count(&counts) + more;
        let waited =
            self.tally.news.wait_timeout_while(counts, 2 * PATIENCE, |counts| count(counts) < goal);
        let (counts, limit) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!limit.timed_out(), "the flow has dried up: {counts:?}");
    }

    /// Ends it; what did not go well, by what it was, and how many went well.
    pub(crate) fn stop(self) -> (BTreeMap<String, u64>, u64) {
        self.over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("a client does not panic");
        }
        let mut counts =
            std::mem::take(&mut *self.tally.counts.lock().unwrap_or_else(PoisonError::into_inner));
        let well = counts.remove("200").unwrap_or_default();
        (counts, well)
    }
}

fn ask(target: SocketAddr, method: &str, kept: &mut Option<TcpStream>) -> String {
    let mut stream = match kept.take().map_or_else(|| TcpStream::connect(target), Ok) {
        Ok(stream) => stream,
        Err(error) => return format!("connect: {}", error.kind()),
    };
    let _ = stream.set_nodelay(true);
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let request = format!("{method} / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    if let Err(error) = stream.write_all(request.as_bytes()) {
        return format!("write: {}", error.kind());
    }
    let mut bytes = Vec::new();
    let mut buffer = [0; 2048];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return "closed".to_owned(),
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
            Err(error) => return format!("read: {}", error.kind()),
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().ok())?
        });
        if body.len() >= length.unwrap_or(0) {
            let status = head.split(' ').nth(1).unwrap_or("none").to_owned();
            if !head.to_ascii_lowercase().contains("connection: close") {
                *kept = Some(stream);
            }
            return status;
        }
    }
}
