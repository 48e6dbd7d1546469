//! One core's UDP socket: many datagrams a system call both ways (GSO, GRO), and what other cores
//! passed on.

use std::future::poll_fn;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};

use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::batch::{self, Gathered};
use super::steer::Lane;

#[derive(Debug)]
pub(super) struct Socket {
    wire: Wire,
    lane: Lane,
    /// The last read left the socket empty.
    is_drained: AtomicBool,
    // The library asks for sockets that threads can share. Nobody else is ever at this one.
    outbox: Mutex<Outbox>,
}

#[derive(Debug)]
struct Wire {
    io: UdpSocket,
    state: UdpSocketState,
}

#[derive(Debug, Default)]
struct Outbox {
    gathered: Gathered,
    /// The task that sends what was gathered; there while it waits for something to do.
    sender: Option<Waker>,
    /// The socket took no more; the sender waits until it does.
    is_full: bool,
    /// Connections that wait for that.
    waiting: Vec<Waker>,
}

impl batch::Send for Wire {
    fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.io.try_io(Interest::WRITABLE, || self.state.send((&self.io).into(), transmit))
    }
}

impl Socket {
    /// Takes a socket into use, and starts the task on this core that sends for it.
    pub(super) fn start(io: UdpSocket, lane: Lane) -> io::Result<Arc<Self>> {
        let state = UdpSocketState::new((&io).into())?;
        let wire = Wire { io, state };
        let (is_drained, outbox) = (AtomicBool::new(false), Mutex::default());
        let socket = Arc::new(Self { wire, lane, is_drained, outbox });
        tokio::task::spawn_local(send(Arc::downgrade(&socket)));
        Ok(socket)
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what was gathered once a turn of all tasks has added nothing to it.
    fn poll_send(&self, cx: &mut Context<'_>) {
        let mut outbox = self.outbox();
        loop {
            if outbox.is_full {
                if self.wire.io.poll_send_ready(cx).is_pending() {
                    return;
                }
                outbox.is_full = false;
                outbox.waiting.drain(..).for_each(Waker::wake);
            }
            if outbox.gathered.has_grown() {
                cx.waker().wake_by_ref();
                return;
            }
            match outbox.gathered.send_all(&self.wire) {
                Ok(()) => {
                    outbox.sender = Some(cx.waker().clone());
                    return;
                }
                Err(_) => outbox.is_full = true,
            }
        }
    }
}

/// Sends for a socket until it is gone.
async fn send(socket: Weak<Socket>) {
    poll_fn(|cx| match socket.upgrade() {
        Some(socket) => {
            socket.poll_send(cx);
            Poll::Pending
        }
        None => Poll::Ready(()),
    })
    .await;
}

impl Drop for Socket {
    fn drop(&mut self) {
        let Self { wire, outbox, .. } = self;
        let outbox = outbox.get_mut().unwrap_or_else(PoisonError::into_inner);
        // The ends of connections. What the system can't take now nobody sends again.
        let _ = outbox.gathered.send_all(wire);
        outbox.sender.take().into_iter().for_each(Waker::wake);
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable { socket: self })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let mut outbox = self.outbox();
        let outbox = &mut *outbox;
        let segments_max = self.wire.state.max_gso_segments();
        let taken = outbox.gathered.take(transmit, segments_max, &self.wire);
        outbox.is_full |= taken.is_err();
        if outbox.is_full || !outbox.gathered.is_empty() {
            outbox.sender.take().into_iter().for_each(Waker::wake);
        }
        taken
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let passed = self.lane.take(cx, buffers, meta);
        if passed > 0 {
            return Poll::Ready(Ok(passed));
        }
        loop {
            ready!(self.wire.io.poll_recv_ready(cx))?;
            // A socket that gave less than was asked for has no more. What comes from now on is a new
            // event, so it need not be asked again.
            let is_drained = self.is_drained.swap(false, Ordering::Relaxed);
            let received = self.wire.io.try_io(Interest::READABLE, || {
                if is_drained {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                self.wire.state.recv((&self.wire.io).into(), buffers, meta)
            });
            match received {
                Ok(n) => {
                    self.is_drained.store(n < buffers.len(), Ordering::Relaxed);
                    self.lane.sort(buffers, meta, n);
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => {
                    // The system is short of something. The library would give the socket up for
                    // it; the next turn tries again, and others get theirs first.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.wire.io.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.wire.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.wire.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.wire.state.may_fragment()
    }
}

/// Lets a connection wait until the socket takes more.
struct Writable {
    socket: Arc<Socket>,
}

impl std::fmt::Debug for Writable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writable").finish_non_exhaustive()
    }
}

impl UdpPoller for Writable {
    fn poll_writable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut outbox = self.socket.outbox();
        if !outbox.is_full {
            return Poll::Ready(Ok(()));
        }
        if !outbox.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            outbox.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}
