//! A byte relay that parses nothing: accept, connect, pump both ways. What it costs is what the kernel
//! charges for two TCP connections, the floor that no proxy on sockets gets below.

use std::{
    convert::Infallible,
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd,
};

use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, CreateFlags, EventData, EventFlags},
};

use crate::{failure::Failure, listen};

/// Copy buffer, one for all connections: the size at which large bodies are cheapest to relay.
const COPY_BYTES: usize = 256 * 1024;
/// Events taken from the kernel at a time.
const EVENTS_PER_WAIT: usize = 512;
/// The listener's mark among the events; a pair's marks are its slot times two, plus the side.
const LISTENER: u64 = u64::MAX;

/// Relays 127.0.0.1:`listen` to 127.0.0.1:`target` until killed.
pub(crate) fn serve(listen: u16, target: u16) -> Result<Infallible, Failure> {
    let listener = listen::loopback(listen)?;
    let target = SocketAddr::from((Ipv4Addr::LOCALHOST, target));
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&poll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut pairs = Pairs::default();
    let mut scratch = vec![0; COPY_BYTES];
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
                accept(&listener, target, &poll, &mut pairs);
                continue;
            }
            let Ok(mark) = usize::try_from(mark) else { continue };
            pairs.turn(mark, event.flags, &mut scratch);
        }
    }
}

fn accept(listener: &TcpListener, target: SocketAddr, poll: &impl AsFd, pairs: &mut Pairs) {
    while let Ok((client, _)) = listener.accept() {
        // A blocking connect, which loopback answers at once.
        let Ok(server) = TcpStream::connect(target) else { continue };
        let slot = pairs.insert(Pair { ends: [End::new(client), End::new(server)] });
        if pairs.watch(slot, poll).is_err() {
            pairs.remove(slot);
        }
    }
}

#[derive(Default)]
struct Pairs {
    slots: Vec<Option<Pair>>,
    free: Vec<usize>,
}

impl Pairs {
    fn insert(&mut self, pair: Pair) -> usize {
        if let Some(slot) = self.free.pop() {
            self.slots[slot] = Some(pair);
            return slot;
        }
        self.slots.push(Some(pair));
        self.slots.len() - 1
    }

    fn remove(&mut self, slot: usize) {
        self.slots[slot] = None;
        self.free.push(slot);
    }

    fn watch(&self, slot: usize, poll: &impl AsFd) -> Result<(), Failure> {
        let Some(pair) = &self.slots[slot] else { return Ok(()) };
        for (side, end) in pair.ends.iter().enumerate() {
            end.stream.set_nonblocking(true)?;
            end.stream.set_nodelay(true)?;
            let mark = EventData::new_u64((slot * 2 + side) as u64);
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            epoll::add(poll, &end.stream, mark, flags)?;
        }
        Ok(())
    }

    fn turn(&mut self, mark: usize, flags: EventFlags, scratch: &mut [u8]) {
        let (slot, side) = (mark / 2, mark % 2);
        let Some(Some(pair)) = self.slots.get_mut(slot) else { return };
        if pair.turn(side, flags, scratch) == Next::Close {
            self.remove(slot);
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    Keep,
    Close,
}

struct Pair {
    ends: [End; 2],
}

struct End {
    stream: TcpStream,
    /// Bytes that came from the other side and that this side would not take yet.
    held: Vec<u8>,
    held_sent: usize,
    /// This side will send no more.
    ended: bool,
    /// The other side's end was passed on to this one.
    shut: bool,
}

impl End {
    fn new(stream: TcpStream) -> Self {
        Self { stream, held: Vec::new(), held_sent: 0, ended: false, shut: false }
    }
}

impl Pair {
    fn turn(&mut self, side: usize, flags: EventFlags, scratch: &mut [u8]) -> Next {
        let hangs_up = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        if self.pump(side, scratch, hangs_up).is_err() {
            return Next::Close;
        }
        // Writable again matters only to who waits for it. What the other side has in its receive
        // buffer made its edge long ago, so it must be read to the last byte.
        if !self.ends[side].held.is_empty() && self.pump(1 - side, scratch, true).is_err() {
            return Next::Close;
        }
        if self.ends.iter().all(|end| end.shut) { Next::Close } else { Next::Keep }
    }

    /// Copies from one side to the other until one of them has no more; `to_the_end` reads on after a
    /// short read, until the socket itself says that it is empty.
    fn pump(&mut self, from: usize, scratch: &mut [u8], to_the_end: bool) -> std::io::Result<()> {
        let [first, second] = &mut self.ends;
        let (source, sink) = if from == 0 { (first, second) } else { (second, first) };
        loop {
            if sink.drain()? == Drain::Blocked {
                return Ok(());
            }
            if source.ended {
                if !sink.shut {
                    sink.shut = true;
                    // The peer may be gone already, which is an end as well.
                    let _ = sink.stream.shutdown(Shutdown::Write);
                }
                return Ok(());
            }
            let count = match source.stream.read(scratch) {
                Ok(0) => {
                    source.ended = true;
                    continue;
                }
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            sink.send(&scratch[..count])?;
            if count < scratch.len() && !to_the_end && sink.held.is_empty() {
                return Ok(());
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Drain {
    Empty,
    Blocked,
}

impl End {
    fn drain(&mut self) -> std::io::Result<Drain> {
        while self.held_sent < self.held.len() {
            match self.stream.write(&self.held[self.held_sent..]) {
                Ok(count) => self.held_sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Drain::Blocked),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.held.clear();
        self.held_sent = 0;
        Ok(Drain::Empty)
    }

    /// Sends what the socket takes at once and holds the rest, at most one copy buffer.
    fn send(&mut self, mut bytes: &[u8]) -> std::io::Result<()> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.held.extend_from_slice(bytes);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
