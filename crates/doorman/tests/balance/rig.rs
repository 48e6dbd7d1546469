//! Origins that can be killed, stopped, slowed down and revived on their address, the program in front of
//! them, and clients of it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Index;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use doorman_testkit::process::{Process, Program, free_address};

/// The longest that anything waits: far above any timeout of a story, so a hang fails and says where.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How an origin is at the moment.
#[derive(Debug, Default)]
struct Mood {
    /// 0: 200.
    status: u16,
    delay: Duration,
    stopped: bool,
    /// Nobody listens.
    dead: bool,
    /// Requests read.
    asked: usize,
    /// The heads of the last ones.
    heads: Vec<String>,
    connections: Vec<TcpStream>,
    /// How many connections were made.
    connected: usize,
}

/// Heads that are kept of each origin.
const HEADS_MAX: usize = 1_000;

#[derive(Debug, Default)]
struct Shared {
    mood: Mutex<Mood>,
    news: Condvar,
}

impl Shared {
    fn mood(&self) -> MutexGuard<'_, Mood> {
        self.mood.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, act: impl FnOnce(&mut Mood) -> T) -> T {
        let output = act(&mut self.mood());
        self.news.notify_all();
        output
    }

    #[track_caller]
    fn wait(&self, what: &str, ready: impl Fn(&Mood) -> bool) -> MutexGuard<'_, Mood> {
        let waited = self.news.wait_timeout_while(self.mood(), PATIENCE, |mood| !ready(mood));
        let (mood, limit) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!limit.timed_out(), "{what} did not happen");
        mood
    }
}

/// An origin over HTTP/1.1. It answers each request with its name as the content.
pub(crate) struct Origin {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Origin {
    pub(crate) fn start(name: &str) -> Self {
        Self::on(name, SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port")
    }

    /// One at an address, if that is free.
    pub(crate) fn on(name: &str, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr().expect("a bound socket");
        let origin = Self { name: name.to_owned(), address, shared: Arc::default() };
        origin.listen(listener);
        Ok(origin)
    }

    fn listen(&self, listener: TcpListener) {
        let (shared, name) = (Arc::clone(&self.shared), self.name.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.mood().dead {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let Ok(kept) = stream.try_clone() else { continue };
                shared.change(|mood| {
                    mood.connected += 1;
                    mood.connections.push(kept);
                });
                let (shared, name) = (Arc::clone(&shared), name.clone());
                thread::spawn(move || {
                    let _ = serve(&shared, &name, &stream);
                    let peer = stream.peer_addr().ok();
                    let _ = stream.shutdown(Shutdown::Both);
                    shared.change(|mood| mood.connections.retain(|c| c.peer_addr().ok() != peer));
                });
            }
        });
    }

    /// As if its process were killed: connections break, and nobody listens.
    pub(crate) fn kill(&self) {
        let connections = self.shared.change(|mood| {
            mood.dead = true;
            std::mem::take(&mut mood.connections)
        });
        // Wakes the thread that accepts, which then lets go of the port.
        let _ = TcpStream::connect(self.address);
        for connection in connections {
            let _ = connection.shutdown(Shutdown::Both);
        }
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_ok() {
            assert!(begun.elapsed() < PATIENCE, "{} does not die", self.name);
            thread::yield_now();
        }
    }

    /// Listens again where it did before.
    pub(crate) fn revive(&self) {
        let begun = Instant::now();
        let listener = loop {
            match TcpListener::bind(self.address) {
                Ok(listener) => break listener,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{}: {error}", self.name),
            }
            thread::yield_now();
        };
        self.shared.change(|mood| mood.dead = false);
        self.listen(listener);
    }

    /// As if its process were stopped: it accepts and reads, and answers nothing until it goes on.
    pub(crate) fn stop(&self) {
        self.shared.change(|mood| mood.stopped = true);
    }

    pub(crate) fn go_on(&self) {
        self.shared.change(|mood| mood.stopped = false);
    }

    /// Every answer takes so long from now on.
    pub(crate) fn slow_down(&self, delay: Duration) {
        self.shared.change(|mood| mood.delay = delay);
    }

    /// Answers with this status from now on.
    pub(crate) fn answer(&self, status: u16) {
        self.shared.change(|mood| mood.status = status);
    }

    /// Requests that it has read.
    pub(crate) fn asked(&self) -> usize {
        self.shared.mood().asked
    }

    /// The paths of the last requests, in the order in which they came.
    pub(crate) fn paths(&self) -> Vec<String> {
        let path = |head: &String| head.split(' ').nth(1).unwrap_or_default().to_owned();
        self.shared.mood().heads.iter().map(path).collect()
    }

    #[track_caller]
    pub(crate) fn wait_asked(&self, times: usize) {
        drop(self.shared.wait("a request", |mood| mood.asked >= times));
    }
}

/// Serves one connection.
fn serve(shared: &Shared, name: &str, stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let mut body =
            vec![0; field(&head, "content-length").and_then(|n| n.parse().ok()).unwrap_or(0)];
        reader.read_exact(&mut body)?;
        shared.change(|mood| {
            mood.asked += 1;
            if mood.heads.len() == HEADS_MAX {
                mood.heads.remove(0);
            }
            mood.heads.push(head);
        });
        let delay = shared.mood().delay;
        if delay > Duration::ZERO {
            // Wakes only when it is time: a server that works.
            let mood = shared.mood();
            drop(shared.news.wait_timeout_while(mood, delay, |mood| !mood.dead));
        }
        let status = {
            let mood = shared.wait("going on", |mood| !mood.stopped || mood.dead);
            if mood.dead {
                return Ok(());
            }
            if mood.status == 0 { 200 } else { mood.status }
        };
        let length = name.len();
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{name}");
        let mut writer = stream;
        writer.write_all(answer.as_bytes())?;
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Several origins.
pub(crate) struct Farm(Vec<Origin>);

impl Farm {
    pub(crate) fn of(names: &[&str]) -> Self {
        Self(names.iter().map(|name| Origin::start(name)).collect())
    }

    /// The `server` lines for all of them; `options` says what goes into the block of each.
    pub(crate) fn servers(&self, options: impl Fn(&str) -> String) -> String {
        let line = |origin: &Origin| {
            let (address, name) = (origin.address, &origin.name);
            format!("server {address} {{ name {name}; {} }}\n", options(name))
        };
        self.0.iter().map(line).collect()
    }
}

impl Index<&str> for Farm {
    type Output = Origin;

    fn index(&self, name: &str) -> &Origin {
        self.0.iter().find(|origin| origin.name == name).expect("an origin of that name")
    }
}

/// An answer as a client got it.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    /// The content: the name of the server that answered.
    pub(crate) server: String,
}

impl Reply {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }
}

/// The program.
pub(crate) struct House {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl House {
    /// The program before all of a farm, with these lines in its `upstream` block. One core: so turns
    /// are exact.
    pub(crate) fn before(farm: &Farm, lines: &str) -> Self {
        let servers = farm.servers(|_| String::new());
        Self::with(
            "workers 1",
            &format!("upstream o {{\n{servers}\n{lines}\n}}\n@SITE {{ proxy o }}"),
        )
    }

    /// The program with `text`, in which `@SITE` stands for the head of a site, and `global` in its
    /// global block.
    pub(crate) fn with(global: &str, text: &str) -> Self {
        let address = free_address();
        let process = Program::new(env!("CARGO_BIN_EXE_doorman"))
            .file("doorman.conf", whole(address, global, text))
            .arguments(&["run", "-c", "doorman.conf"])
            .start_listening(&[address]);
        // What answered may have been the program finding out whether the port is free, and what comes
        // in that moment is reset.
        let _ = process.wait_for_words("doorman is ready");
        Self { process, address }
    }

    /// Another configuration from now on.
    pub(crate) fn reload(&self, global: &str, text: &str) {
        let path = self.process.folder().join("doorman.conf");
        std::fs::write(path, whole(self.address, global, text)).expect("our own folder");
        let count = self.process.said().iter().filter(|line| line.contains("is in force")).count();
        self.process.signal(rustix::process::Signal::HUP).expect("our own child");
        self.process.wait_for_times("is in force", count + 1);
    }

    /// Asks on a connection of its own.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.begin(path).reply()
    }

    /// Asks with further fields, each with its line's end.
    #[track_caller]
    pub(crate) fn get_with(&self, path: &str, fields: &str) -> Reply {
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n"
        ))
        .reply()
    }

    /// Asks, and does not wait for the answer.
    #[track_caller]
    pub(crate) fn begin(&self, path: &str) -> Asked {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
    }

    #[track_caller]
    pub(crate) fn send(&self, request: &str) -> Asked {
        let mut stream = TcpStream::connect(self.address).expect("a house that is open");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.write_all(request.as_bytes()).expect("an open connection");
        Asked(stream)
    }

    /// Asks so many times, one after another, and counts who answered.
    #[track_caller]
    pub(crate) fn shares(&self, times: usize) -> Vec<(String, usize)> {
        let mut shares = BTreeMap::new();
        for _ in 0..times {
            let reply = self.get("/");
            assert_eq!(reply.status, 200, "{reply:?}");
            *shares.entry(reply.server).or_insert(0) += 1;
        }
        shares.into_iter().collect()
    }

    /// Asks until an answer is like that.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, fits: impl Fn(&Reply) -> bool) -> Reply {
        let begun = Instant::now();
        loop {
            let reply = self.get("/");
            if fits(&reply) {
                return reply;
            }
            assert!(begun.elapsed() < PATIENCE, "{what} did not happen: {reply:?}");
        }
    }
}

impl House {
    /// Looks until something is so.
    #[track_caller]
    pub(crate) fn until_true(&self, what: &str, is: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is() {
            assert!(begun.elapsed() < PATIENCE, "not so: {what}");
            thread::yield_now();
        }
    }
}

/// A request that is under way.
pub(crate) struct Asked(TcpStream);

impl Asked {
    /// The answer, if its first byte comes within that time.
    #[track_caller]
    pub(crate) fn reply_within(&self, limit: Duration) -> Option<Reply> {
        self.0.set_read_timeout(Some(limit)).expect("a socket");
        let come = self.0.peek(&mut [0]).is_ok();
        self.0.set_read_timeout(Some(PATIENCE)).expect("a socket");
        come.then(|| Self(self.0.try_clone().expect("a socket")).reply())
    }

    #[track_caller]
    pub(crate) fn reply(mut self) -> Reply {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).expect("an answer");
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Reply { status: status.expect("a status"), head: head.to_owned(), server: body.to_owned() }
    }
}

fn whole(address: SocketAddr, global: &str, text: &str) -> String {
    let site = format!("site http://*:{}", address.port());
    let text = text.replace("@SITE", &site);
    format!(
        "doorman 1\nglobal {{\ndata data\nbind 127.0.0.1\nadmin unix:admin.sock\nlog access json stdout\n{global}\n}}\n{text}\n"
    )
}
