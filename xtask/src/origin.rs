//! A small HTTP/1.1 origin for the benchmark: `GET /b/N` answers N bytes, `GET /c/N/ANY` answers N bytes that
//! a cache may keep for a day, `GET /b/N/KIND` and `GET /c/N/KIND` the same as a text of that kind, `GET
//! /asked` answers how many of all there were, and a request with a body how many bytes of it arrived. It is
//! one thread over edge-triggered epoll, because it shares its core with the load generator: what it spends
//! is throughput that no contender can show.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::AsRawFd,
    process::Command,
    rc::Rc,
};

use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, CreateFlags, EventData, EventFlags},
};

use crate::{
    failure::{During, Failure},
    listen,
    text::Kind,
};

/// Read buffer, one for all connections: large enough that an upload's bytes arrive in few reads.
const READ_BYTES: usize = 256 * 1024;
/// A head that does not end within this is no request of this benchmark.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Body bytes kept beside each cached head; longer bodies are written out of the same filler again.
const FILLER_BYTES: usize = 1024 * 1024;
/// A longer text is no page.
const TEXT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Distinct bodies kept ready; a benchmark uses a handful.
const RESPONSES_MAX: usize = 32;
/// Events taken from the kernel at a time.
const EVENTS_PER_WAIT: usize = 512;
/// The listener's mark among the events; connections use their file descriptor, which is never this large.
const LISTENER: u64 = u64::MAX;

/// When an answer was made that must be stale, and what the filler is.
const LONG_AGO: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const PLAIN: &str = "text/plain";

/// Serves until killed. Prints the port it listens on, which port 0 leaves to the kernel.
pub(crate) fn serve(port: u16) -> Result<Infallible, Failure> {
    let listener = listen::loopback(port)?;
    println!("{}", listener.local_addr()?.port());
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&poll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut library = Library::new(&now()?);
    let mut scratch = vec![0; READ_BYTES];
    let mut events = Vec::with_capacity(EVENTS_PER_WAIT);
    loop {
        events.clear();
        match epoll::wait(&poll, spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let mark = event.data.u64();
            if mark == LISTENER {
                accept(&listener, &poll, &mut connections);
                continue;
            }
            let Some(slot) = usize::try_from(mark).ok().and_then(|fd| connections.get_mut(fd))
            else {
                continue;
            };
            let Some(connection) = slot else { continue };
            let flags = event.flags;
            if connection.turn(&mut scratch, &mut library, flags) == Next::Close {
                *slot = None;
            }
        }
    }
}

/// The time of day as HTTP words it (RFC 9110 section 5.6.7), from a program that knows the calendar.
fn now() -> Result<String, Failure> {
    let mut command = Command::new("date");
    command.env("LC_ALL", "C").args(["--utc", "+%a, %d %b %Y %H:%M:%S GMT"]);
    let output = command.output().during("asking for the time of day")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().into())
}

fn accept(
    listener: &TcpListener,
    poll: &impl std::os::fd::AsFd,
    connections: &mut Vec<Option<Connection>>,
) {
    // Any error ends the turn: either the queue is empty, or the next event tries again.
    while let Ok((stream, _)) = listener.accept() {
        if stream.set_nonblocking(true).is_err() || stream.set_nodelay(true).is_err() {
            continue;
        }
        let Ok(fd) = usize::try_from(stream.as_raw_fd()) else { continue };
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        if epoll::add(poll, &stream, EventData::new_u64(fd as u64), flags).is_err() {
            continue;
        }
        if connections.len() <= fd {
            connections.resize_with(fd + 1, || None);
        }
        connections[fd] = Some(Connection::new(stream));
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    Keep,
    Close,
}

struct Connection {
    stream: TcpStream,
    inbox: Inbox,
    replies: VecDeque<Reply>,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self { stream, inbox: Inbox::default(), replies: VecDeque::new() }
    }

    /// Reads and answers until the socket has nothing more to give or to take.
    fn turn(&mut self, scratch: &mut [u8], library: &mut Library, flags: EventFlags) -> Next {
        let hangs_up = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        loop {
            match self.flush(library) {
                Flush::Done => {}
                Flush::Blocked => return Next::Keep,
                Flush::Broken => return Next::Close,
            }
            let count = match self.stream.read(scratch) {
                Ok(0) => return Next::Close,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Next::Keep,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Next::Close,
            };
            if self.inbox.take(&scratch[..count], library, &mut self.replies).is_err() {
                return Next::Close;
            }
            // A short read emptied the socket, and what comes later is a new edge; a hang-up is none.
            if count < scratch.len() && !hangs_up {
                return match self.flush(library) {
                    Flush::Done | Flush::Blocked => Next::Keep,
                    Flush::Broken => Next::Close,
                };
            }
        }
    }

    fn flush(&mut self, library: &Library) -> Flush {
        while let Some(reply) = self.replies.front_mut() {
            let Some(bytes) = reply.rest(&library.filler) else {
                self.replies.pop_front();
                continue;
            };
            match self.stream.write(bytes) {
                Ok(count) => reply.advance(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Flush::Blocked,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Flush::Broken,
            }
        }
        Flush::Done
    }
}

enum Flush {
    Done,
    Blocked,
    Broken,
}

/// A response on its way out: its start, cached with its head, then filler until the length is reached.
struct Reply {
    start: Rc<[u8]>,
    start_sent: usize,
    filler_left: u64,
}

impl Reply {
    fn rest<'a>(&'a self, filler: &'a [u8]) -> Option<&'a [u8]> {
        if self.start_sent < self.start.len() {
            return Some(&self.start[self.start_sent..]);
        }
        let left = usize::try_from(self.filler_left).unwrap_or(usize::MAX).min(filler.len());
        (left > 0).then(|| &filler[..left])
    }

    fn advance(&mut self, count: usize) {
        if self.start_sent < self.start.len() {
            self.start_sent += count;
        } else {
            self.filler_left = self.filler_left.saturating_sub(count as u64);
        }
    }
}

/// Responses made once and sent many times.
struct Library {
    filler: Box<[u8]>,
    bodies: HashMap<Wanted, Rc<[u8]>>,
    /// When this began, for answers that must be fresh.
    date: Box<str>,
    /// Bodies handed out so far, for whoever must know that a cache asked for none.
    asked: u64,
}

/// What a GET asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Wanted {
    length: u64,
    keeping: Keeping,
    /// Of the text; the filler has none.
    kind: Option<Kind>,
}

/// How long a cache may keep an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Keeping {
    /// It was stale when it was made.
    None,
    Day,
}

impl Library {
    fn new(date: &str) -> Self {
        let filler = vec![b'x'; FILLER_BYTES].into();
        Self { filler, bodies: HashMap::new(), date: date.into(), asked: 0 }
    }

    fn body_of(&mut self, wanted: Wanted) -> Reply {
        self.asked += 1;
        let Wanted { length, keeping, kind } = wanted;
        let ready = usize::try_from(length).unwrap_or(usize::MAX);
        let ready = if kind.is_some() { ready } else { ready.min(FILLER_BYTES) };
        let filler_left = length - ready as u64;
        if let Some(start) = self.bodies.get(&wanted) {
            return Reply { start: Rc::clone(start), start_sent: 0, filler_left };
        }
        let media_type = kind.map_or(PLAIN, Kind::media_type);
        let mut start = match keeping {
            Keeping::None => head_of("200 OK", (LONG_AGO, "max-age=60"), media_type, length),
            Keeping::Day => head_of("200 OK", (&self.date, "max-age=86400"), media_type, length),
        };
        match kind {
            Some(kind) => start.extend(kind.text(ready)),
            None => start.extend_from_slice(&self.filler[..ready]),
        }
        let start: Rc<[u8]> = start.into();
        if self.bodies.len() < RESPONSES_MAX {
            self.bodies.insert(wanted, Rc::clone(&start));
        }
        Reply { start, start_sent: 0, filler_left }
    }
}

/// The head of a response as an ordinary web server words it, so that a proxy has fields to carry.
fn head(status: &str, length: u64) -> Vec<u8> {
    head_of(status, (LONG_AGO, "max-age=60"), PLAIN, length)
}

fn head_of(status: &str, (date, keeping): (&str, &str), media_type: &str, length: u64) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nServer: origin\r\nDate: {date}\r\n\
         Content-Type: {media_type}\r\nLast-Modified: Sun, 06 Nov 1994 08:00:00 GMT\r\n\
         ETag: \"5d8c72a5\"\r\nCache-Control: {keeping}\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes()
}

fn text(status: &str, body: &str) -> Reply {
    let mut start = head(status, body.len() as u64);
    start.extend_from_slice(body.as_bytes());
    Reply { start: start.into(), start_sent: 0, filler_left: 0 }
}

/// Where a connection stands in the request it receives.
#[derive(Default)]
struct Inbox {
    /// The beginning of a head that was cut by the end of a read; nearly always empty.
    partial: Vec<u8>,
    body: Option<Upload>,
}

struct Upload {
    length: u64,
    left: u64,
}

/// The bytes are no request that this origin knows; the connection is of no more use.
#[derive(Debug, PartialEq, Eq)]
struct Unknown;

impl Inbox {
    fn take(
        &mut self,
        bytes: &[u8],
        library: &mut Library,
        replies: &mut VecDeque<Reply>,
    ) -> Result<(), Unknown> {
        if self.partial.is_empty() {
            return self.take_whole(bytes, library, replies);
        }
        let mut joined = std::mem::take(&mut self.partial);
        joined.extend_from_slice(bytes);
        self.take_whole(&joined, library, replies)
    }

    fn take_whole(
        &mut self,
        mut bytes: &[u8],
        library: &mut Library,
        replies: &mut VecDeque<Reply>,
    ) -> Result<(), Unknown> {
        loop {
            if let Some(upload) = &mut self.body {
                let here = upload.left.min(bytes.len() as u64);
                upload.left -= here;
                bytes = &bytes[usize::try_from(here).map_err(|_| Unknown)?..];
                if upload.left > 0 {
                    return Ok(());
                }
                replies.push_back(text("200 OK", &format!("{}\n", upload.length)));
                self.body = None;
            }
            if bytes.is_empty() {
                return Ok(());
            }
            let Some(end) = end_of_head(bytes) else {
                self.partial = bytes.to_vec();
                return if bytes.len() > HEAD_BYTES_MAX { Err(Unknown) } else { Ok(()) };
            };
            match read_head(&bytes[..end])? {
                Request::Get(wanted) => replies.push_back(library.body_of(wanted)),
                Request::Asked => {
                    replies.push_back(text("200 OK", &format!("{}\n", library.asked)));
                }
                Request::Missing => replies.push_back(text("404 Not Found", "no such page\n")),
                Request::Upload(length) => self.body = Some(Upload { length, left: length }),
            }
            bytes = &bytes[end..];
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Request {
    Get(Wanted),
    Asked,
    Upload(u64),
    Missing,
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(found) = bytes[from..].iter().position(|&byte| byte == b'\r') {
        let at = from + found;
        if bytes[at..].starts_with(b"\r\n\r\n") {
            return Some(at + 4);
        }
        from = at + 1;
    }
    None
}

fn read_head(head: &[u8]) -> Result<Request, Unknown> {
    let head = std::str::from_utf8(head).map_err(|_| Unknown)?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next().ok_or(Unknown)?.split(' ');
    let (method, path) = (words.next().ok_or(Unknown)?, words.next().ok_or(Unknown)?);
    if method == "GET" {
        return Ok(read_path(path).unwrap_or(Request::Missing));
    }
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            return value.trim().parse().map(Request::Upload).map_err(|_| Unknown);
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(Unknown);
        }
    }
    Ok(Request::Upload(0))
}

fn read_path(path: &str) -> Option<Request> {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    if path == "/asked" {
        return Some(Request::Asked);
    }
    let (length, keeping, kind) = if let Some(rest) = path.strip_prefix("/b/") {
        match rest.split_once('/') {
            Some((length, kind)) => (length, Keeping::None, Some(Kind::named(kind)?)),
            None => (rest, Keeping::None, None),
        }
    } else {
        let (length, name) = path.strip_prefix("/c/")?.split_once('/')?;
        (length, Keeping::Day, Kind::named(name))
    };
    let length = length.parse().ok()?;
    let is_too_long = kind.is_some() && length > TEXT_BYTES_MAX;
    (!is_too_long).then_some(Request::Get(Wanted { length, keeping, kind }))
}

#[cfg(test)]
mod tests;
