//! Two small origins for the demo: HTTP/1.1 servers on free loopback ports, in a thread of their
//! own. They speak to our own proxy alone, so they read just what it sends.

use std::fmt::Write as _;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use doorman_net::os::{Bound, ListenAddress, OsListener, OsStream};
use doorman_net::seam::Listener as _;
use doorman_net::{Alarm, Clock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use super::echo;

/// Bytes of a head that an origin reads; the proxy sends less.
const HEAD_MAX: usize = 64 * 1024;
/// Connections at once to both origins: the pools of all cores of a large machine fit.
const CONNECTIONS_MAX: usize = 1024;
/// Connections that the kernel holds before they are accepted.
const BACKLOG: i32 = 128;
/// How long `/slow` takes: longer than the demo's route allows.
const SLOW: Duration = Duration::from_secs(3);
/// Lines of `/stream` and the time between two.
const STREAM: (u32, Duration) = (10, Duration::from_millis(300));
/// How long accepting rests after the system refused it.
const REST: Duration = Duration::from_millis(100);

/// Both origins. They end with the process.
pub struct Origins {
    /// Where they listen, in the order of their names.
    pub addresses: [SocketAddr; 2],
}

impl Origins {
    /// Starts them.
    ///
    /// # Errors
    /// No port or no thread is left.
    pub fn start(names: [&'static str; 2]) -> io::Result<Self> {
        let mut bound = Vec::new();
        let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); 2];
        for (name, address) in names.into_iter().zip(&mut addresses) {
            let socket = Bound::listen(&ListenAddress::Inet(*address), BACKLOG)?;
            if let ListenAddress::Inet(inet) = socket.local_address()? {
                *address = inet;
            }
            bound.push((name, socket));
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default());
        // A runtime of this kind stays on its thread, so whether one can be made is found out here.
        drop(runtime?);
        std::thread::Builder::new().name("demo-origins".to_owned()).spawn(move || serve(bound))?;
        Ok(Self { addresses })
    }
}

fn serve(bound: Vec<(&'static str, Bound)>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default());
    let Ok(runtime) = runtime else {
        tracing::error!("the demo's origins have no runtime");
        return;
    };
    runtime.block_on(async {
        let room = Rc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut doors = Vec::new();
        for (name, socket) in bound {
            match socket.into_listener() {
                Ok(listener) => {
                    let accepting = accept(name, listener, Rc::clone(&room));
                    doors.push(tokio::task::spawn_local(accepting));
                }
                Err(error) => tracing::error!("the demo's origin {name} cannot listen: {error}"),
            }
        }
        for door in doors {
            let _ = door.await;
        }
    });
}

async fn accept(name: &'static str, mut listener: OsListener, room: Rc<Semaphore>) {
    let clock = Clock::system();
    loop {
        match poll_fn(|cx| listener.poll_accept(cx)).await {
            Ok((stream, ..)) => {
                let room = Rc::clone(&room);
                tokio::task::spawn_local(async move {
                    // Without room the connection is closed, as a full server does.
                    if let Ok(_place) = room.try_acquire() {
                        // The proxy closed, or sent what an origin of the demo cannot read.
                        let _ = connection(name, stream, clock).await;
                    }
                });
            }
            Err(_) => pause(clock, REST).await,
        }
    }
}

async fn pause(clock: Clock, time: Duration) {
    let mut alarm = Alarm::new(clock);
    alarm.set(clock.instant() + time);
    alarm.wait().await;
}

/// A request as far as an origin looks at it.
struct Asked {
    line: String,
    fields: String,
    body: u64,
    chunked: bool,
}

impl Asked {
    /// The value of a field.
    fn field(&self, name: &str) -> Option<&str> {
        let lines = self.fields.lines().filter_map(|line| line.split_once(':'));
        let mut values = lines.filter(|(other, _)| other.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.trim())
    }

    fn path(&self) -> &str {
        let target = self.line.split(' ').nth(1).unwrap_or("/");
        target.split('?').next().unwrap_or("/")
    }
}

async fn connection(name: &str, mut stream: OsStream, clock: Clock) -> io::Result<()> {
    let mut waiting = Vec::new();
    while let Some(asked) = read_head(&mut stream, &mut waiting).await? {
        let key = asked.field("Sec-WebSocket-Key").filter(|_| asked.path() == "/echo");
        if let Some(key) = key.filter(|_| asked.field("Upgrade").is_some()) {
            return echo::serve(name, key.as_bytes(), &mut stream, waiting).await;
        }
        // What ends in chunks is read no further: the answer closes the connection.
        let last = asked.chunked;
        if !last {
            skip(&mut stream, &mut waiting, asked.body).await?;
        }
        answer(name, &mut stream, &asked, clock).await?;
        if last {
            return Ok(());
        }
    }
    Ok(())
}

/// The next head, or `None` at the end.
async fn read_head(stream: &mut OsStream, waiting: &mut Vec<u8>) -> io::Result<Option<Asked>> {
    loop {
        if let Some(end) = waiting.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&waiting[..end]).into_owned();
            waiting.drain(..end + 4);
            let (line, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
            let value = |name: &str| {
                let named = fields.lines().filter_map(|field| field.split_once(':'));
                let mut named = named.filter(|(other, _)| other.eq_ignore_ascii_case(name));
                named.next().map(|(_, value)| value.trim().to_owned())
            };
            let body = value("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
            let chunked = value("transfer-encoding").is_some();
            let (line, fields) = (line.to_owned(), fields.to_owned());
            return Ok(Some(Asked { line, fields, body, chunked }));
        }
        if waiting.len() > HEAD_MAX || stream.read_buf(waiting).await? == 0 {
            return Ok(None);
        }
    }
}

async fn skip(stream: &mut OsStream, waiting: &mut Vec<u8>, mut body: u64) -> io::Result<()> {
    loop {
        let here = usize::try_from(body).unwrap_or(usize::MAX).min(waiting.len());
        waiting.drain(..here);
        body -= here as u64;
        if body == 0 {
            return Ok(());
        }
        if stream.read_buf(waiting).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn answer(name: &str, stream: &mut OsStream, asked: &Asked, clock: Clock) -> io::Result<()> {
    if asked.path() == "/stream" {
        return stream_lines(name, stream, clock).await;
    }
    if asked.path() == "/slow" {
        pause(clock, SLOW).await;
    }
    let mut body = format!("I am {name}. I was asked:\n\n{}\n", asked.line);
    for field in asked.fields.lines() {
        let _ = writeln!(body, "{field}");
    }
    let mut kind = "text/plain";
    if asked.path() == "/echo" {
        (kind, body) = ("text/html", echo::PAGE.to_owned());
    }
    let close = if asked.chunked { "Connection: close\r\n" } else { "" };
    let content = if asked.line.starts_with("HEAD ") { "" } else { body.as_str() };
    let text = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nX-Origin: {name}\r\n{close}Content-Length: {}\r\n\r\n{content}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await
}

async fn stream_lines(name: &str, stream: &mut OsStream, clock: Clock) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Origin: {name}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let (lines, rest) = STREAM;
    for number in 1..=lines {
        let line = format!("line {number} of {lines} from {name}\n");
        stream.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes()).await?;
        pause(clock, rest).await;
    }
    stream.write_all(b"0\r\n\r\n").await
}
