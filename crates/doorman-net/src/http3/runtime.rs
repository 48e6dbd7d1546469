//! What the QUIC library needs of the core it runs on: the time, timers, and tasks.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TimeSource};
use tokio::time::Sleep;

use crate::Clock;

/// The core that this is made on.
#[derive(Debug)]
pub(crate) struct ThisCore {
    pub(crate) clock: Clock,
}

impl Runtime for ThisCore {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        let sleep = Box::pin(tokio::time::sleep_until(at.into()));
        Box::pin(Timer { sleep, armed: at, deadline: at })
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        tokio::task::spawn_local(future);
    }

    fn wrap_udp_socket(&self, _: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "sockets come through the seam"))
    }

    fn now(&self) -> Instant {
        self.clock.std_instant()
    }
}

impl TimeSource for ThisCore {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.clock.now().unix_nanos)
    }
}

/// A timer that stays armed for the earliest deadline it had: a connection moves its deadline with
/// every packet, nearly always further away.
#[derive(Debug)]
struct Timer {
    sleep: Pin<Box<Sleep>>,
    armed: Instant,
    deadline: Instant,
}

impl Timer {
    fn arm(&mut self) {
        self.armed = self.deadline;
        self.sleep.as_mut().reset(self.armed.into());
    }
}

impl AsyncTimer for Timer {
    fn reset(self: Pin<&mut Self>, at: Instant) {
        let this = self.get_mut();
        this.deadline = at;
        if at < this.armed || this.sleep.is_elapsed() {
            this.arm();
        }
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            ready!(Future::poll(this.sleep.as_mut(), cx));
            if this.armed >= this.deadline {
                return Poll::Ready(());
            }
            this.arm();
        }
    }
}
