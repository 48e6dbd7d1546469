//! The UDP socket of one connection: many datagrams a system call both ways (GSO, GRO), and what the
//! system hears of the server.

use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::Notify;

/// What the system heard of a server: that nobody takes datagrams at its address (ICMP, RFC 1122
/// section 4.1.3.3).
#[derive(Debug, Default)]
pub(super) struct Rumour {
    kind: OnceLock<io::ErrorKind>,
    news: Notify,
}

impl Rumour {
    /// Waits until something was heard since this was asked last; what it was at first.
    pub(super) async fn heard(&self) -> io::ErrorKind {
        self.news.notified().await;
        self.kind.get().copied().unwrap_or(io::ErrorKind::Other)
    }

    fn tell(&self, kind: io::ErrorKind) {
        let _ = self.kind.set(kind);
        self.news.notify_one();
    }
}

#[derive(Debug)]
pub(super) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    rumour: Arc<Rumour>,
}

impl Socket {
    pub(super) fn new(io: UdpSocket, rumour: Arc<Rumour>) -> io::Result<Self> {
        let state = UdpSocketState::new((&io).into())?;
        Ok(Self { io, state, rumour })
    }

    /// Takes an error for what it says of the server, if it is one that says something.
    fn hear(&self, error: &io::Error) -> bool {
        let kind = error.kind();
        let is_of_server = matches!(
            kind,
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
        );
        if is_of_server {
            self.rumour.tell(kind);
        }
        is_of_server
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable { socket: self, wait: None })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let send = || {
            self.io.try_io(Interest::WRITABLE, || self.state.try_send((&self.io).into(), transmit))
        };
        let sent = send();
        match sent {
            // The system tells of earlier datagrams in place of sending this one.
            Err(error) if self.hear(&error) => match send() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
                _ => Ok(()),
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            // Lost, like any other datagram may be: a probe for larger ones, or the system is short
            // of something.
            _ => Ok(()),
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.io.poll_recv_ready(cx))?;
            let received = self
                .io
                .try_io(Interest::READABLE, || self.state.recv((&self.io).into(), buffers, meta));
            match received {
                Ok(n) => return Poll::Ready(Ok(n)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock || self.hear(&error) => {}
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
        self.io.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

type Wait = Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>;

/// Waits until the socket takes more.
struct Writable {
    socket: Arc<Socket>,
    wait: Option<Wait>,
}

impl std::fmt::Debug for Writable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writable").finish_non_exhaustive()
    }
}

impl UdpPoller for Writable {
    fn poll_writable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let wait = this.wait.get_or_insert_with(|| {
            let socket = Arc::clone(&this.socket);
            Box::pin(async move { socket.io.writable().await })
        });
        let ready = ready!(wait.as_mut().poll(cx));
        this.wait = None;
        Poll::Ready(ready)
    }
}
