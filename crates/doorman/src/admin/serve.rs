//! Serving the admin API and the metrics, with bounds: a few connections at a time, none of them
//! for long.

use std::io;
use std::net::TcpListener as StdTcpListener;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use doorman_net::{Alarm, Clock};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::api::{self, Shared};
use super::client::user_name;
use super::socket::{Socket, SocketFile};
use super::{Change, Command, Move, lock};
use crate::engine::Engine;
use crate::metrics::Exporter;

/// Connections at once on each door. A scraper and a person need two; an open metrics port must
/// not be a way to use up descriptors.
const CONNECTIONS_MAX: usize = 64;
/// A connection is closed when it is this old, whatever it does: it bounds clients that trickle.
const LIFE: Duration = Duration::from_secs(120);
/// Pause after a failed accept: descriptors are short, others need the time.
const PAUSE: Duration = Duration::from_millis(100);
/// How long answers under way may take when the process ends.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Follows commands until the end.
pub(super) async fn run(engine: Arc<Engine>, mut inbox: UnboundedReceiver<Command>) {
    let clock = engine.ground().clock;
    let exporter = Arc::new(Mutex::new(Exporter::default()));
    let shared = Arc::new(Shared::new(Arc::clone(&engine), exporter));
    let (mut admin, mut metrics) = (None, None);
    while let Some(Command::Follow(change)) = inbox.recv().await {
        let Change { admin: to_admin, metrics: to_metrics, guard, .. } = change;
        *lock(&shared.guard) = Some(guard);
        step(&mut admin, to_admin, clock, || api::admin(&shared));
        step(&mut metrics, to_metrics, clock, || api::metrics(&shared));
    }
    let mut alarm = Alarm::new(clock);
    alarm.set(clock.instant() + LAST_WORDS);
    for door in [admin, metrics].into_iter().flatten() {
        door.close.notify_one();
        tokio::select! {
            _ = door.task => {}
            () = alarm.wait() => return,
        }
    }
}

struct Door {
    close: Arc<Notify>,
    task: tokio::task::JoinHandle<()>,
    _file: Option<SocketFile>,
}

fn step(door: &mut Option<Door>, next: Move, clock: Clock, router: impl FnOnce() -> Router) {
    let socket = match next {
        Move::Keep => return,
        Move::Close => None,
        Move::To(socket) => Some(socket),
    };
    // Answers under way on the old door are finished: one may be the answer to this very change.
    if let Some(old) = door.take() {
        old.close.notify_one();
    }
    *door = socket.and_then(|socket| match open(socket, clock, router()) {
        Ok(door) => Some(door),
        Err(error) => {
            tracing::error!("cannot serve the admin API: {error}");
            None
        }
    });
}

fn open(socket: Socket, clock: Clock, router: Router) -> io::Result<Door> {
    let close = Arc::new(Notify::new());
    let closed = Arc::clone(&close);
    let listener = Bounded {
        inner: if socket.file.is_some() {
            Inner::Unix(UnixListener::from_std(StdUnixListener::from(socket.descriptor))?)
        } else {
            Inner::Tcp(TcpListener::from_std(StdTcpListener::from(socket.descriptor))?)
        },
        places: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        clock,
    };
    let task = tokio::spawn(async move {
        let router = router.into_make_service_with_connect_info::<Caller>();
        let served = axum::serve(listener, router)
            .with_graceful_shutdown(async move { closed.notified().await });
        if let Err(error) = served.await {
            tracing::error!("the admin API stopped: {error}");
        }
    });
    Ok(Door { close, task, _file: socket.file })
}

/// Who calls, as far as the system knows.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The user behind a Unix socket; the address behind TCP.
    pub(super) who: String,
}

impl Connected<IncomingStream<'_, Bounded>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Bounded>) -> Self {
        stream.remote_addr().clone()
    }
}

enum Inner {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A listener that waits while too many connections are open.
struct Bounded {
    inner: Inner,
    places: Arc<Semaphore>,
    clock: Clock,
}

impl Listener for Bounded {
    type Io = Held;
    type Addr = Caller;

    async fn accept(&mut self) -> (Held, Caller) {
        loop {
            // The semaphore is never closed, so there is always a place in the end.
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
                std::future::pending().await
            };
            let accepted = match &self.inner {
                Inner::Tcp(listener) => listener
                    .accept()
                    .await
                    .map(|(stream, peer)| (Lane::Tcp(stream), peer.ip().to_string())),
                Inner::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                    let user = stream.peer_cred().map(|peer| user_name(peer.uid()));
                    (Lane::Unix(stream), user.unwrap_or_else(|_| "an unknown user".to_owned()))
                }),
            };
            let mut alarm = Alarm::new(self.clock);
            match accepted {
                Ok((lane, who)) => {
                    alarm.set(self.clock.instant() + LIFE);
                    return (Held { lane, alarm, _place: place }, Caller { who });
                }
                Err(_) => {
                    alarm.set(self.clock.instant() + PAUSE);
                    alarm.wait().await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Caller> {
        Ok(Caller { who: "doorman".to_owned() })
    }
}

enum Lane {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection with its place among the few, and its deadline.
struct Held {
    lane: Lane,
    alarm: Alarm,
    _place: OwnedSemaphorePermit,
}

impl Held {
    fn poll_alive(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.alarm.poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Held {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_alive(cx)?;
        match &mut self.lane {
            Lane::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Lane::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Held {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_alive(cx)?;
        match &mut self.lane {
            Lane::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Lane::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.lane {
            Lane::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Lane::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
