//! The admin API and the metrics page: a thread and a runtime of their own, so that whatever they
//! do never takes time from a request.
//!
//! Sockets are bound before a configuration comes into force and served after, as those of sites
//! are; a configuration whose admin or metrics address cannot be bound is refused.

mod api;
pub(crate) mod cache;
pub(crate) mod certs;
mod client;
pub(crate) mod diff;
mod guard;
pub(crate) mod limits;
pub(crate) mod purge;
mod serve;
mod socket;
pub(crate) mod status;
pub(crate) mod upstreams;
pub(crate) mod waf;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use doorman_config::{Config, Global, SocketAddress};
use doorman_net::os::ListenAddress;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::engine::{BindError, Engine, Refused, data_folder, is_service};

pub(crate) use client::{Client, ClientError, user_name};
use guard::Guard;
use socket::Socket;

/// Where the API and the metrics are served now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Doors {
    /// The API.
    pub admin: Option<SocketAddress>,
    /// The metrics.
    pub metrics: Option<SocketAddress>,
}

/// What becomes of one door.
enum Move {
    Keep,
    To(Socket),
    Close,
}

/// A change that is ready: all that can fail has been done.
pub(crate) struct Change {
    doors: Doors,
    admin: Move,
    metrics: Move,
    guard: Guard,
}

impl Change {
    /// Binds what a configuration wants and the present doors do not have.
    ///
    /// The socket that nobody wrote down is a convenience: if it cannot be had, because another
    /// doorman of the same user has it, that is a warning.
    ///
    /// # Errors
    /// A socket that cannot be bound, or a token that cannot be read.
    pub(crate) fn prepare(config: &Config, now: &Doors) -> Result<Self, Refused> {
        let guard = Guard::of(config.global.admin.as_ref().map(|admin| &admin.value))
            .map_err(Refused::System)?;
        let written = config.global.admin.as_ref().map(|admin| admin.value.address.clone());
        let is_default = written.is_none();
        let wanted = written.unwrap_or_else(|| SocketAddress::Unix(default_socket(&config.global)));
        let mut doors = Doors {
            admin: Some(wanted.clone()),
            metrics: config.global.metrics.as_ref().map(|metrics| metrics.value.clone()),
        };
        let admin = match step(now.admin.as_ref(), Some(&wanted)) {
            Err(error) if is_default => {
                tracing::warn!(
                    "no admin API on {wanted}: {}; `doorman status` and `doorman reload` will not \
                     reach this process; give it a socket of its own by `global {{ admin unix:PATH }}`",
                    error.error
                );
                doors.admin = None;
                if now.admin.is_some() { Move::Close } else { Move::Keep }
            }
            other => other.map_err(|error| Refused::Bind(vec![error]))?,
        };
        let metrics = step(now.metrics.as_ref(), doors.metrics.as_ref())
            .map_err(|error| Refused::Bind(vec![error]))?;
        Ok(Self { doors, admin, metrics, guard })
    }
}

fn step(now: Option<&SocketAddress>, wanted: Option<&SocketAddress>) -> Result<Move, BindError> {
    match (now, wanted) {
        (now, wanted) if now == wanted => Ok(Move::Keep),
        (_, None) => Ok(Move::Close),
        (_, Some(address)) => Socket::bind(address)
            .map(Move::To)
            .map_err(|error| BindError { address: listen_address(address), error }),
    }
}

fn listen_address(address: &SocketAddress) -> ListenAddress {
    match address {
        SocketAddress::Any(port) => {
            ListenAddress::Inet((std::net::Ipv6Addr::UNSPECIFIED, *port).into())
        }
        SocketAddress::Ip(address) => ListenAddress::Inet(*address),
        SocketAddress::Unix(path) => ListenAddress::Unix(path.clone()),
    }
}

/// The socket of a proxy whose configuration names none.
#[must_use]
pub(crate) fn default_socket(global: &Global) -> PathBuf {
    if is_service(global) {
        return PathBuf::from("/run/doorman/admin.sock");
    }
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(folder) if Path::new(&folder).is_absolute() => {
            PathBuf::from(folder).join("doorman.sock")
        }
        _ => data_folder(global).join("doorman.sock"),
    }
}

enum Command {
    Follow(Change),
    End,
}

/// The engine's end of the admin thread.
pub(crate) struct Handle {
    doors: Mutex<Doors>,
    thread: Mutex<Option<(UnboundedSender<Command>, JoinHandle<()>)>>,
}

impl Handle {
    /// A handle without a thread.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self { doors: Mutex::default(), thread: Mutex::default() }
    }

    /// Starts the thread with its first doors.
    pub(crate) fn start(&self, engine: &Arc<Engine>, first: Change) {
        let (commands, inbox) = unbounded_channel();
        *lock(&self.doors) = first.doors.clone();
        let _ = commands.send(Command::Follow(first));
        let engine = Arc::clone(engine);
        let body = move || {
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => {
                    runtime.block_on(serve::run(engine, inbox));
                    // A reload that hangs in a slow file system does not hold up the end.
                    runtime.shutdown_timeout(Duration::ZERO);
                }
                Err(error) => tracing::error!("the admin API cannot start: {error}"),
            }
        };
        match std::thread::Builder::new().name("admin".to_owned()).spawn(body) {
            Ok(thread) => *lock(&self.thread) = Some((commands, thread)),
            Err(error) => tracing::error!("the admin API cannot start: {error}"),
        }
    }

    /// Where it serves now.
    #[must_use]
    pub(crate) fn doors(&self) -> Doors {
        lock(&self.doors).clone()
    }

    /// Takes a change into force.
    pub(crate) fn follow(&self, change: Change) {
        *lock(&self.doors) = change.doors.clone();
        if let Some((commands, _)) = &*lock(&self.thread) {
            let _ = commands.send(Command::Follow(change));
        }
    }

    /// Closes the doors and ends the thread.
    pub(crate) fn end(&self) {
        let taken = lock(&self.thread).take();
        if let Some((commands, thread)) = taken {
            let _ = commands.send(Command::End);
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
