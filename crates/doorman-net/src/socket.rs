//! Reading and writing tokio's sockets by system calls of our own.
//!
//! The C library's `recv` and `send` are cancellation points: in a process with threads they wrap each
//! call in two more functions, which nobody here has a use for. Measured: 3 % of a small request.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, recv};
use tokio::io::{Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A stream socket that tokio watches.
pub(crate) trait Socket: AsFd {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Calls `io` if the socket is ready, and takes the readiness back when `io` would block.
    fn attempt(&self, interest: Interest, io: impl FnOnce() -> io::Result<()>) -> io::Result<()>;

    #[inline]
    fn poll_receive(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = buffer.initialize_unfilled();
        loop {
            ready!(self.poll_readable(cx))?;
            let mut count = None;
            let done = self.attempt(Interest::READABLE, || {
                let (_, n) = recv(self.as_fd(), &mut *room, RecvFlags::empty())?;
                count = Some(n);
                drained(n, room.len())
            });
            match (count, done) {
                (Some(n), _) => {
                    buffer.advance(n);
                    return Poll::Ready(Ok(()));
                }
                (None, Err(error)) if error.kind() != io::ErrorKind::WouldBlock => {
                    return Poll::Ready(Err(error));
                }
                (None, _) => {}
            }
        }
    }

    #[inline]
    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        len: usize,
        send: impl Fn(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_writable(cx))?;
            let mut count = None;
            let done = self.attempt(Interest::WRITABLE, || {
                let n = send(self.as_fd())?;
                count = Some(n);
                drained(n, len)
            });
            match (count, done) {
                (Some(n), _) => return Poll::Ready(Ok(n)),
                (None, Err(error)) if error.kind() != io::ErrorKind::WouldBlock => {
                    return Poll::Ready(Err(error));
                }
                (None, _) => {}
            }
        }
    }
}

/// Less than was asked for means that the socket has no more to give or to take: the readiness is
/// taken back at once, which spares the call that would find it out (epoll(7), on edges).
fn drained(moved: usize, asked: usize) -> io::Result<()> {
    if moved > 0 && moved < asked { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
}

macro_rules! socket {
    ($stream:ty) => {
        impl Socket for $stream {
            #[inline]
            fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_read_ready(cx)
            }

            #[inline]
            fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_write_ready(cx)
            }

            #[inline]
            fn attempt(
                &self,
                interest: Interest,
                io: impl FnOnce() -> io::Result<()>,
            ) -> io::Result<()> {
                self.try_io(interest, io)
            }
        }
    };
}

socket!(TcpStream);
socket!(UnixStream);
