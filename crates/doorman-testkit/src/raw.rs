//! A byte-exact client for threads: [`Wire`] with calls that block.
//!
//! No call waits longer than [`PATIENCE`], so a test that hangs fails and says where.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use doorman_net::os::{Os, OsStream};
use doorman_net::{Address, Net};
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

use crate::reply::{Asked, Reply};
use crate::tls::Tls;
use crate::wire::{End, Lane, Wire};

/// The longest that a blocking call of the rig waits: far above any timeout that a test sets.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A client's connection.
pub struct Raw {
    wire: Option<Wire<OsStream>>,
    runtime: LocalRuntime,
}

impl Raw {
    /// Connects.
    ///
    /// # Errors
    /// What the system says.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::connect_to(&Address::Inet(address), None)
    }

    /// Connects and shakes hands.
    ///
    /// # Errors
    /// What the system or TLS says.
    pub fn connect_tls(address: SocketAddr, tls: &Tls) -> io::Result<Self> {
        Self::connect_to(&Address::Inet(address), Some(tls))
    }

    /// Connects to any address, Unix paths too.
    ///
    /// # Errors
    /// What the system or TLS says.
    pub fn connect_to(address: &Address, tls: Option<&Tls>) -> io::Result<Self> {
        let runtime = blocking_runtime();
        let wire = wait(&runtime, async { Ok(Wire::on(dial(address, tls).await?)) })?;
        Ok(Self { wire: Some(wire), runtime })
    }

    /// Everything that [`Wire`] can do, for one blocking call:
    /// `raw.call(async |wire| wire.take_exactly(3).await.map(<[u8]>::to_vec))`.
    ///
    /// # Errors
    /// What `act` says; `TimedOut` after [`PATIENCE`].
    pub fn call<T>(
        &mut self,
        act: impl AsyncFnOnce(&mut Wire<OsStream>) -> io::Result<T>,
    ) -> io::Result<T> {
        let wire = self.wire.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        wait(&self.runtime, act(wire))
    }

    /// Sends exactly these bytes.
    ///
    /// # Errors
    /// What the system says.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.call(async |wire| wire.send(bytes.as_ref()).await)
    }

    /// Sends these bytes while keeping what arrives meanwhile.
    ///
    /// # Errors
    /// What the system says about the writing.
    pub fn send_while_reading(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.call(async |wire| wire.send_while_reading(bytes.as_ref()).await)
    }

    /// Ends our direction.
    ///
    /// # Errors
    /// What the system says.
    pub fn finish(&mut self) -> io::Result<()> {
        self.call(Wire::finish)
    }

    /// Closes by a reset.
    pub fn reset(mut self) {
        let _inside = self.runtime.enter();
        if let Some(wire) = self.wire.take() {
            wire.reset();
        }
    }

    /// Takes exactly `n` bytes.
    ///
    /// # Errors
    /// `UnexpectedEof` when the peer ends before.
    pub fn take_exactly(&mut self, n: usize) -> io::Result<Vec<u8>> {
        self.call(async |wire| wire.take_exactly(n).await.map(<[u8]>::to_vec))
    }

    /// Takes everything up to and with `needle`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the peer ends before.
    pub fn take_until(&mut self, needle: &[u8]) -> io::Result<Vec<u8>> {
        self.call(async |wire| wire.take_until(needle).await.map(<[u8]>::to_vec))
    }

    /// Takes everything until the peer ends; says how it did.
    ///
    /// # Errors
    /// `TimedOut` when it does not.
    pub fn take_all(&mut self) -> io::Result<(Vec<u8>, End)> {
        self.call(async |wire| {
            let end = wire.read_to_end().await;
            let rest = wire.waiting().len();
            Ok((wire.take(rest).to_vec(), end))
        })
    }

    /// Reads one response to a request that was neither HEAD nor CONNECT.
    ///
    /// # Errors
    /// See [`Wire::response`].
    pub fn response(&mut self) -> io::Result<Reply> {
        self.response_to(Asked::Other)
    }

    /// Reads one response.
    ///
    /// # Errors
    /// See [`Wire::response`].
    pub fn response_to(&mut self, asked: Asked) -> io::Result<Reply> {
        self.call(async |wire| wire.response(asked).await)
    }

    /// Sends a request and reads its response, keeping what arrives while it is sent. A failure to
    /// send counts only if there is no response: an origin may answer early and close.
    ///
    /// # Errors
    /// See [`Wire::response`].
    pub fn exchange(&mut self, request: impl AsRef<[u8]>) -> io::Result<Reply> {
        let sent = self.send_while_reading(request);
        self.response().map_err(|error| sent.err().unwrap_or(error))
    }

    /// Everything received since the beginning.
    #[must_use]
    pub fn received(&self) -> &[u8] {
        self.wire.as_ref().map_or(&[], Wire::received)
    }

    /// Forgets what was taken, so that a long life needs no memory.
    pub fn forget(&mut self) {
        if let Some(wire) = &mut self.wire {
            wire.forget();
        }
    }

    /// The protocol that TLS agreed on.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.wire.as_ref()?.alpn()
    }

    /// The certificate that the peer showed, in DER.
    #[must_use]
    pub fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.wire.as_ref()?.peer_certificates().first().map(|der| der.to_vec())
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A socket is taken off its runtime, which must therefore be entered.
        let _inside = self.runtime.enter();
        self.wire = None;
    }
}

/// One GET on a connection of its own.
///
/// # Errors
/// What the system says, or see [`Wire::response`].
pub fn fetch(address: SocketAddr, host: &str, path: &str) -> io::Result<Reply> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    Raw::connect(address)?.exchange(request)
}

/// One GET over TLS on a connection of its own.
///
/// # Errors
/// What the system or TLS says, or see [`Wire::response`].
pub fn fetch_tls(address: SocketAddr, tls: &Tls, path: &str) -> io::Result<Reply> {
    let host = &tls.name;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    Raw::connect_tls(address, tls)?.exchange(request)
}

pub(crate) async fn dial(address: &Address, tls: Option<&Tls>) -> io::Result<Lane<OsStream>> {
    let stream = Os::new(0).connect(address).await?;
    match tls {
        None => Ok(Lane::Plain(stream)),
        Some(tls) => Lane::client(stream, tls).await,
    }
}

pub(crate) fn blocking_runtime() -> LocalRuntime {
    Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .expect("the system gives a test an epoll descriptor")
}

pub(crate) fn wait<T>(
    runtime: &LocalRuntime,
    act: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    runtime.block_on(async {
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the peer kept the rig waiting");
        tokio::time::timeout(PATIENCE, act).await.map_err(late)?
    })
}
