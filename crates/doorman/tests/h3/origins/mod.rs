//! HTTP/3 to origins: what an origin says frame by frame, and what becomes of requests.

mod lives;
mod real;
mod sharing;
mod strict;
mod trouble;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use doorman_testkit::h3::origin::{Asked, QuicOrigin, Setup, Visit, Whole};
use doorman_testkit::process::{Process, Program, free_address};
use doorman_testkit::raw::Raw;
use doorman_testkit::tls::Authority;

/// The longest that anything waits, far above any timeout of a test.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program in front of HTTP/3 origins, which are called origin.test.
pub(crate) struct House {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl House {
    /// In front of these servers, with more lines of the `upstream` block.
    pub(crate) fn before(authority: &Authority, servers: &[SocketAddr], more: &str) -> Self {
        let address = free_address();
        let process = Program::new(env!("CARGO_BIN_EXE_doorman"))
            .file("doorman.conf", text(address, servers, more))
            .file("ca.pem", authority.pem())
            .arguments(&["run", "-c", "doorman.conf"])
            .start_listening(&[address]);
        Self { process, address }
    }

    /// One exchange over HTTP/1.1 on a connection of its own: everything that came back.
    pub(crate) fn ask(&self, request: &str) -> String {
        let mut client = Raw::connect(self.address).expect("a connection");
        client.send(request).expect("a connection");
        let (answer, _) = client.take_all().expect("an answer in time");
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(crate) fn get(&self) -> String {
        self.ask("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    }

    pub(crate) fn post(&self, body: &str) -> String {
        self.ask(&format!(
            "POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// Waits for a line of the log with all of these words.
    pub(crate) fn logged(&self, words: &str) -> String {
        self.process.wait_for_words(words)
    }
}

/// A configuration that proxies to these servers.
pub(crate) fn text(address: SocketAddr, servers: &[SocketAddr], more: &str) -> String {
    let servers: String =
        servers.iter().map(|server| format!("  server https://{server}\n")).collect();
    format!(
        "doorman 1\nglobal {{\n  data data\n  workers 1\n  bind 127.0.0.1\n  admin unix:admin.sock\n  \
         log access json stdout\n}}\n\
         upstream o {{\n{servers}  protocol h3\n  tls ca ca.pem name origin.test\n{more}\n}}\n\
         site http://*:{} {{\n  proxy o\n}}\n",
        address.port()
    )
}

pub(crate) fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or("none")
}

/// What an origin has seen.
#[derive(Clone, Default)]
pub(crate) struct Book(Arc<Mutex<Vec<(usize, Whole)>>>);

impl Book {
    pub(crate) fn write(&self, visit: usize, whole: Whole) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((visit, whole));
    }

    /// The requests, with the connections they came by.
    pub(crate) fn seen(&self) -> Vec<(usize, Whole)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many connections brought requests.
    pub(crate) fn connections(&self) -> usize {
        let mut visits: Vec<_> = self.seen().into_iter().map(|(visit, _)| visit).collect();
        visits.sort_unstable();
        visits.dedup();
        visits.len()
    }
}

/// Answers every request of a connection with its own content.
pub(crate) async fn echo(visit: Visit, book: Book) {
    while let Some(mut asked) = visit.asked().await {
        let (book, index) = (book.clone(), visit.index);
        tokio::task::spawn_local(async move {
            let Ok(whole) = asked.whole().await else { return };
            let length = whole.content.len().to_string();
            let fields = [(":status", "200"), ("content-length", &*length)];
            let content = whole.content.clone();
            book.write(index, whole);
            let _ = asked.reply.answer(&fields, &content).await;
            asked.reply.stopped().await;
        });
    }
}

/// An origin that echoes, by this authority.
pub(crate) fn echoing(authority: &Authority) -> (QuicOrigin, Book) {
    let book = Book::default();
    let kept = book.clone();
    let origin = QuicOrigin::start(setup(authority), move |visit| echo(visit, kept.clone()));
    (origin, book)
}

pub(crate) fn setup(authority: &Authority) -> Setup {
    Setup::new(authority.issue(&["origin.test"]).server(&["h3"]))
}

/// An origin that plays `script` for every request: what it sends is said on the request's stream.
pub(crate) fn answering<F>(
    authority: &Authority,
    script: impl Fn(Asked, usize) -> F + Clone + Send + 'static,
) -> QuicOrigin
where
    F: Future<Output = io::Result<()>> + 'static,
{
    QuicOrigin::start(setup(authority), move |visit| {
        let script = script.clone();
        async move {
            while let Some(asked) = visit.asked().await {
                tokio::task::spawn_local(script(asked, visit.index));
            }
        }
    })
}

/// What the origin of a test has noted, for the test to wait for.
pub(crate) struct Notes<T>(Sender<T>, Receiver<T>);

impl<T> Notes<T> {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = channel();
        Self(sender, receiver)
    }

    pub(crate) fn pen(&self) -> Sender<T> {
        self.0.clone()
    }

    #[track_caller]
    pub(crate) fn next(&self) -> T {
        self.1.recv_timeout(PATIENCE).expect("a note in time")
    }
}
