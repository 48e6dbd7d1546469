//! A small FastCGI responder for the benchmark: it keeps connections, reads each request to its end and
//! answers all of them alike. One thread over edge-triggered epoll, for the reason that the origin has.

use std::{
    collections::HashMap,
    convert::Infallible,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    os::fd::AsRawFd,
};

use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, CreateFlags, EventData, EventFlags},
};

use crate::{failure::Failure, listen};

/// Record types of FastCGI 1.0, section 8.
const BEGIN_REQUEST: u8 = 1;
const END_REQUEST: u8 = 3;
const STDIN: u8 = 5;
const STDOUT: u8 = 6;
/// Bytes of a record's header, and the most content that a record holds.
const HEADER_BYTES: usize = 8;
const CONTENT_BYTES_MAX: usize = 65_535;
const READ_BYTES: usize = 64 * 1024;
const EVENTS_PER_WAIT: usize = 512;
/// The listener's mark among the events; connections use their file descriptor, which is never this large.
const LISTENER: u64 = u64::MAX;

/// Serves until killed. Prints the port it listens on, which port 0 leaves to the kernel.
pub(crate) fn serve(port: u16, bytes: usize) -> Result<Infallible, Failure> {
    let reply = reply(bytes)?;
    let listener = listen::loopback(port)?;
    println!("{}", listener.local_addr()?.port());
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&poll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut connections: HashMap<u64, Connection> = HashMap::new();
    let mut events = Vec::with_capacity(EVENTS_PER_WAIT);
    loop {
        events.clear();
        match epoll::wait(&poll, spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let mark = event.data.u64();
            if mark != LISTENER {
                let is_over = connections
                    .get_mut(&mark)
                    .is_some_and(|connection| connection.turn(&reply).is_none());
                if is_over {
                    connections.remove(&mark);
                }
                continue;
            }
            while let Ok((stream, _)) = listener.accept() {
                let mark = u64::try_from(stream.as_raw_fd())?;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
                epoll::add(&poll, &stream, EventData::new_u64(mark), flags)?;
                connections.insert(mark, Connection::new(stream));
            }
        }
    }
}

/// The records of a whole answer, for request 1: who keeps connections and does not mix requests on
/// them uses no other number.
fn reply(bytes: usize) -> Result<Vec<u8>, Failure> {
    let mut content = format!(
        "Status: 200 OK\r\nContent-Type: text/plain\r\nLast-Modified: Sun, 06 Nov 1994 08:00:00 GMT\r\n\
         ETag: \"5d8c72a5\"\r\nCache-Control: max-age=60\r\nContent-Length: {bytes}\r\n\r\n"
    )
    .into_bytes();
    content.resize(content.len() + bytes, b'x');
    let mut records = Vec::new();
    for piece in content.chunks(CONTENT_BYTES_MAX) {
        record(&mut records, STDOUT, piece)?;
    }
    record(&mut records, STDOUT, &[])?;
    record(&mut records, END_REQUEST, &[0; 8])?;
    Ok(records)
}

fn record(records: &mut Vec<u8>, kind: u8, content: &[u8]) -> Result<(), Failure> {
    let [high, low] = u16::try_from(content.len())?.to_be_bytes();
    records.extend([1, kind, 0, 1, high, low, 0, 0]);
    records.extend(content);
    Ok(())
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    sent: usize,
    /// Whether the request that is read wants the connection kept.
    keeps: bool,
    ends: bool,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        let (input, output) = (Vec::new(), Vec::new());
        Self { stream, input, output, sent: 0, keeps: true, ends: false }
    }

    /// Reads and answers until the socket has no more to give or take; `None` at the connection's end.
    fn turn(&mut self, reply: &[u8]) -> Option<()> {
        let mut scratch = [0; READ_BYTES];
        loop {
            let is_blocked = self.flush()?;
            if self.ends && !is_blocked {
                return None;
            }
            if is_blocked {
                return Some(());
            }
            match self.stream.read(&mut scratch) {
                Ok(0) => return None,
                Ok(count) => {
                    self.input.extend_from_slice(&scratch[..count]);
                    self.take(reply);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }

    /// Whether the socket would not take all.
    fn flush(&mut self) -> Option<bool> {
        while self.sent < self.output.len() {
            match self.stream.write(&self.output[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        self.output.clear();
        self.sent = 0;
        Some(false)
    }

    /// Answers each request whose input has ended.
    fn take(&mut self, reply: &[u8]) {
        let mut at = 0;
        while let Some((kind, content, length)) = read_record(&self.input[at..]) {
            match kind {
                // A role in two bytes, then flags, of which the last bit keeps the connection.
                BEGIN_REQUEST => self.keeps = content.get(2).is_some_and(|flags| flags & 1 == 1),
                STDIN if content.is_empty() => {
                    self.output.extend_from_slice(reply);
                    self.ends |= !self.keeps;
                }
                _ => {}
            }
            at += length;
        }
        self.input.drain(..at);
    }
}

/// Type and content of the first record, and the length of all of it, once it is whole.
fn read_record(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (header, rest) = bytes.split_at_checked(HEADER_BYTES)?;
    let content = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let padding = usize::from(header[6]);
    (rest.len() >= content + padding)
        .then(|| (header[1], &rest[..content], HEADER_BYTES + content + padding))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_records_that_it_reads() {
        let records = reply(100_000).unwrap();
        let (mut at, mut kinds, mut content) = (0, Vec::new(), 0);
        while let Some((kind, piece, length)) = read_record(&records[at..]) {
            kinds.push(kind);
            content += piece.len();
            at += length;
        }
        assert_eq!((at, kinds), (records.len(), vec![STDOUT, STDOUT, STDOUT, END_REQUEST]));
        let head = records.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() - 4;
        assert_eq!(content, head + 100_000 + 8);
    }

    #[test]
    fn waits_for_a_whole_record() {
        let padded = [1, STDIN, 0, 1, 0, 2, 3, 0, 7, 7, 0, 0, 0];
        assert_eq!(read_record(&padded), Some((STDIN, &[7, 7][..], 13)));
        for length in 0..padded.len() {
            assert_eq!(read_record(&padded[..length]), None);
        }
    }
}
