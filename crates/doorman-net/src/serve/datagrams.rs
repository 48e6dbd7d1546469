//! Datagrams that are passed on as they are.
//!
//! A client is an address and port. Each has a session: a socket of its own towards one server, so
//! that the server's answers find their way back and no two clients are mixed up. A session ends
//! when nothing has come either way for a while, since datagrams have no end of their own. Unlike
//! streams they are not behind the seam: this is the operating system's sockets.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker, ready};
use std::time::Duration;

use doorman_http::{Chunk, Instant};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::Notify;

use super::{Gate, Relayed, RelayedEnd};
use crate::alarm::Alarm;
use crate::core::{Core, Ticket};
use crate::seam::Address;
use crate::within_deadline;

/// Datagrams of one client that wait while its session connects: a burst of a query and its repeats.
const WAITING_MAX: usize = 8;
/// Datagrams that one turn takes from a socket before others have theirs.
const TURN_MAX: usize = 64;

/// The house, as it takes clients that send datagrams.
pub trait Datagrams: 'static {
    /// What is kept of a client while its session lasts.
    type Session: 'static;

    /// Takes a client that was not known; `None`: its datagram is dropped.
    fn open(&self, listener: usize, client: SocketAddr) -> Option<(Self::Session, Course)>;

    /// Hears that a session is over, and what went wrong with its server, if that was it.
    fn close(&self, session: Self::Session, relayed: Relayed, error: Option<io::ErrorKind>);
}

/// Where the datagrams of a session go.
#[derive(Clone, Debug)]
pub struct Course {
    /// The server.
    pub address: Address,
    /// The address of ours that they come from; `None`: the system's choice.
    pub source: Option<IpAddr>,
    /// How long looking its name up may take.
    pub connect: Duration,
    /// How long nothing may come.
    pub idle: Duration,
}

/// Relays the datagrams of a socket until `gate` is notified. If that is a drain, those who have a
/// session go on until the drain ends; else their sessions end now.
pub async fn relay_datagrams<D: Datagrams>(
    core: Rc<Core>,
    socket: UdpSocket,
    listener: usize,
    house: Rc<D>,
    gate: Gate,
) {
    let table =
        Rc::new(Table { socket, sessions: RefCell::default(), emptied: RefCell::default() });
    let mut closed = pin!(gate.notified());
    let mut is_closed = false;
    poll_fn(|cx| {
        if !is_closed && closed.as_mut().poll(cx).is_ready() {
            is_closed = true;
            if !core.is_draining() {
                table.end_all();
            }
        }
        if is_closed {
            *table.emptied.borrow_mut() = Some(cx.waker().clone());
            if table.sessions.borrow().is_empty() {
                return Poll::Ready(());
            }
        }
        for _ in 0..TURN_MAX {
            // An error of this socket is one of a client that is gone; it has no place here.
            let _ = ready!(table.socket.poll_recv_ready(cx));
            let mut chunk = Chunk::large();
            let Ok((n, client)) = table.socket.try_recv_from(chunk.room()) else { continue };
            chunk.fill(n);
            let known = table.sessions.borrow().get(&client).cloned();
            let session = match known {
                Some(session) => session,
                None if is_closed => continue,
                None => match begin(&core, &table, listener, client, &house) {
                    Some(session) => session,
                    None => continue,
                },
            };
            session.send(chunk.filled(), core.clock.instant());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The sessions of one socket.
struct Table {
    socket: UdpSocket,
    sessions: RefCell<HashMap<SocketAddr, Rc<Session>>>,
    /// Who wants to know that there is none left.
    emptied: RefCell<Option<Waker>>,
}

impl Table {
    fn end_all(&self) {
        for session in self.sessions.borrow().values() {
            session.ending.notify_one();
        }
    }

    fn remove(&self, client: &SocketAddr) {
        let mut sessions = self.sessions.borrow_mut();
        sessions.remove(client);
        if sessions.is_empty()
            && let Some(waker) = self.emptied.borrow_mut().take()
        {
            waker.wake();
        }
    }
}

/// One client's way to its server.
struct Session {
    server: RefCell<Option<Rc<UdpSocket>>>,
    waiting: RefCell<Vec<Box<[u8]>>>,
    last: Cell<Instant>,
    bytes_in: Cell<u64>,
    ending: Notify,
}

impl Session {
    /// Sends a datagram on. One that the socket has no room for is lost, as on any network.
    fn send(&self, datagram: &[u8], now: Instant) {
        self.last.set(now);
        match &*self.server.borrow() {
            Some(server) => {
                if let Ok(n) = server.try_send(datagram) {
                    self.bytes_in.set(self.bytes_in.get() + n as u64);
                }
            }
            None => {
                let mut waiting = self.waiting.borrow_mut();
                if waiting.len() < WAITING_MAX {
                    waiting.push(datagram.into());
                }
            }
        }
    }

    /// The server is there: what waited goes first.
    fn connected(&self, server: &Rc<UdpSocket>, now: Instant) {
        let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        *self.server.borrow_mut() = Some(Rc::clone(server));
        for datagram in waiting {
            self.send(&datagram, now);
        }
    }
}

fn begin<D: Datagrams>(
    core: &Rc<Core>,
    table: &Rc<Table>,
    listener: usize,
    client: SocketAddr,
    house: &Rc<D>,
) -> Option<Rc<Session>> {
    let (place, course) = house.open(listener, client)?;
    let session = Rc::new(Session {
        server: RefCell::default(),
        waiting: RefCell::default(),
        last: Cell::new(core.clock.instant()),
        bytes_in: Cell::new(0),
        ending: Notify::new(),
    });
    table.sessions.borrow_mut().insert(client, Rc::clone(&session));
    let (core, table, house) = (Rc::clone(core), Rc::clone(table), Rc::clone(house));
    let own = Rc::clone(&session);
    tokio::task::spawn_local(async move {
        let ticket = core.enter();
        let mut bytes_out = 0;
        let (end, error) =
            match run(&core, &ticket, &table, client, &own, &course, &mut bytes_out).await {
                Ok(end) => (end, None),
                Err(error) => (RelayedEnd::Server, Some(error.kind())),
            };
        table.remove(&client);
        let relayed = Relayed { bytes_in: own.bytes_in.get(), bytes_out, end };
        house.close(place, relayed, error);
    });
    Some(session)
}

/// Lives as long as the session does.
async fn run(
    core: &Core,
    ticket: &Ticket,
    table: &Table,
    client: SocketAddr,
    session: &Session,
    course: &Course,
    bytes_out: &mut u64,
) -> io::Result<RelayedEnd> {
    let connecting = within_deadline(core.clock, course.connect, connect(course));
    let server = tokio::select! {
        biased;
        () = closing(core, ticket) => return Ok(RelayedEnd::Draining),
        () = session.ending.notified() => return Ok(RelayedEnd::Finished),
        connected = connecting => match connected {
            Some(server) => Rc::new(server?),
            None => return Err(io::ErrorKind::TimedOut.into()),
        },
    };
    server.writable().await?;
    session.connected(&server, core.clock.instant());
    let mut alarm = Alarm::new(core.clock);
    alarm.set(session.last.get() + course.idle);
    loop {
        tokio::select! {
            biased;
            () = closing(core, ticket) => return Ok(RelayedEnd::Draining),
            () = session.ending.notified() => return Ok(RelayedEnd::Finished),
            ready = server.ready(Interest::READABLE | Interest::ERROR) => {
                if ready?.is_error() {
                    refused(&server)?;
                }
                *bytes_out += answer(table, client, session, &server, core).await?;
            }
            () = alarm.wait() => {
                let end = session.last.get() + course.idle;
                if core.clock.instant() >= end {
                    return Ok(RelayedEnd::Idle);
                }
                alarm.set(end);
            }
        }
    }
}

/// What the network has told of the server: that nobody listens there, as a rule. It is no datagram, so
/// reading would not show it.
fn refused(server: &UdpSocket) -> io::Result<()> {
    if let Some(error) = server.take_error()? {
        return Err(error);
    }
    let forget = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
    let _ = server.try_io(Interest::ERROR, forget);
    Ok(())
}

/// Passes on what the server has sent, up to a bound; says how many bytes that was.
async fn answer(
    table: &Table,
    client: SocketAddr,
    session: &Session,
    server: &UdpSocket,
    core: &Core,
) -> io::Result<u64> {
    let mut bytes = 0;
    for _ in 0..TURN_MAX {
        let mut chunk = Chunk::large();
        match server.try_recv(chunk.room()) {
            Ok(n) => chunk.fill(n),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
        session.last.set(core.clock.instant());
        // A client that cannot be reached is no reason to lose the server.
        if let Ok(n) = table.socket.send_to(chunk.filled(), client).await {
            bytes += n as u64;
        }
    }
    Ok(bytes)
}

/// Ready when the proxy's drain is over.
async fn closing(core: &Core, ticket: &Ticket) {
    poll_fn(|cx| {
        ticket.register(cx.waker());
        if core.is_closing() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// A socket that takes datagrams of this server only.
async fn connect(course: &Course) -> io::Result<UdpSocket> {
    let server = match &course.address {
        Address::Inet(address) => *address,
        Address::Name(name, port) => {
            let mut found = tokio::net::lookup_host((&**name, *port)).await?;
            let fits = |address: &SocketAddr| {
                course.source.is_none_or(|source| source.is_ipv4() == address.is_ipv4())
            };
            let missing = || io::Error::new(io::ErrorKind::NotFound, "name has no address");
            found.find(fits).ok_or_else(missing)?
        }
        Address::Unix(_) => return Err(io::ErrorKind::Unsupported.into()),
    };
    let any = match server {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind(SocketAddr::new(course.source.unwrap_or(any), 0)).await?;
    socket.connect(server).await?;
    Ok(socket)
}
