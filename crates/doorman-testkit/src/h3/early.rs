//! A client that comes back, and sends requests with its first packets (0-RTT, RFC 9001 section 4.6); and a network
//! that keeps the server's answers from it, so that a test says when its handshake ends.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint, NoneTokenStore, ZeroRttAccepted};
use rustls::NamedGroup;
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
    Tls13ClientSessionValue,
};
use rustls::pki_types::ServerName;

use super::client::H3;
use super::drive::Drive;
use super::{Line, arrive};
use crate::tls::Tls;

/// A client that was there before, and knows what it was told.
pub struct Returning {
    config: ClientConfig,
    name: String,
}

impl Returning {
    /// Visits a server for the first time.
    ///
    /// # Errors
    /// What the system, TLS or the peer says.
    pub fn after_a_visit(address: SocketAddr, tls: &Tls) -> io::Result<Self> {
        let drive = Drive::start();
        drive.wait(async {
            let mut tls_config = (*tls.clone().offering(&["h3"]).client()).clone();
            tls_config.enable_early_data = true;
            tls_config.resumption = Resumption::store(any_name_store());
            let crypto = QuicClientConfig::try_from(tls_config).map_err(io::Error::other)?;
            let config = ClientConfig::new(Arc::new(crypto));
            let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())?;
            let connecting = endpoint.connect_with(config.clone(), address, &tls.name);
            arrive(connecting.map_err(io::Error::other)?).await?;
            endpoint.wait_idle().await;
            Ok(Self { config, name: tls.name.clone() })
        })
    }

    /// Asks for another name from now on, with the tickets of the first.
    pub fn rename(&mut self, name: &str) {
        name.clone_into(&mut self.name);
    }

    /// Forgets how to prove its address.
    pub fn forget_tokens(&mut self) {
        self.config.token_store(Arc::new(NoneTokenStore));
    }

    /// Comes back once; `None` if it has nothing to send early data with.
    ///
    /// # Errors
    /// What the system, TLS or the peer says.
    pub fn back(&self, address: SocketAddr) -> io::Result<Option<(H3, Taken)>> {
        let drive = Drive::start();
        let line = drive.wait(async {
            let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())?;
            let connecting = endpoint.connect_with(self.config.clone(), address, &self.name);
            let early = connecting.map_err(io::Error::other)?.into_0rtt();
            Ok(early.ok().map(|(connection, taken)| (Line { endpoint, connection }, taken)))
        })?;
        let Some((line, taken)) = line else { return Ok(None) };
        Ok(Some((H3::over(line, drive)?, Taken(taken))))
    }
}

/// A store of tickets that are shown to whatever server.
pub(crate) fn any_name_store() -> Arc<dyn ClientSessionStore> {
    Arc::new(AnyName(ClientSessionMemoryCache::new(8)))
}

/// Tickets that are shown to whatever server.
#[derive(Debug)]
struct AnyName(ClientSessionMemoryCache);

fn any_name() -> ServerName<'static> {
    ServerName::IpAddress(Ipv4Addr::LOCALHOST.into())
}

impl ClientSessionStore for AnyName {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(any_name(), group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(&any_name())
    }

    // TLS 1.2 has no early data.
    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(any_name(), value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(&any_name())
    }
}

/// Whether the server took the early data.
pub struct Taken(ZeroRttAccepted);

impl Taken {
    /// Waits for the end of the handshake.
    ///
    /// # Errors
    /// It did not come.
    pub fn wait(self) -> io::Result<bool> {
        Drive::start().wait(async { Ok(self.0.await) })
    }
}

/// A network for one client, that passes on what it sends and holds what it is sent.
pub struct Held {
    address: SocketAddr,
    open: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Held {
    /// A network to `server`.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(server: SocketAddr) -> io::Result<Self> {
        let near = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
        let far = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
        far.connect(server)?;
        for socket in [&near, &far] {
            socket.set_read_timeout(Some(Duration::from_millis(10)))?;
        }
        let (open, stop) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let sent: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let client = Arc::new(std::sync::OnceLock::new());
        let address = near.local_addr()?;
        let up = {
            let (near, far, client) = (Arc::clone(&near), Arc::clone(&far), Arc::clone(&client));
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            std::thread::spawn(move || {
                let mut buffer = vec![0; 64 * 1024];
                while !stop.load(Ordering::Relaxed) {
                    let Ok((n, from)) = near.recv_from(&mut buffer) else { continue };
                    let _ = client.set(from);
                    let datagram = &buffer[..n];
                    sent.lock().unwrap_or_else(PoisonError::into_inner).push(datagram.to_vec());
                    let _ = far.send(datagram);
                }
            })
        };
        let down = {
            let (open, stop) = (Arc::clone(&open), Arc::clone(&stop));
            std::thread::spawn(move || {
                let (mut buffer, mut held) = (vec![0; 64 * 1024], Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    if let Ok(n) = far.recv(&mut buffer) {
                        held.push(buffer[..n].to_vec());
                    }
                    let Some(client) = client.get().filter(|_| open.load(Ordering::Relaxed)) else {
                        continue;
                    };
                    for datagram in held.drain(..) {
                        let _ = near.send_to(&datagram, client);
                    }
                }
            })
        };
        Ok(Self { address, open, stop, sent, threads: vec![up, down] })
    }

    /// Where the client finds the server.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets the client have what it is sent, now and from now on.
    pub fn release(&self) {
        self.open.store(true, Ordering::Relaxed);
    }

    /// What the client has sent so far.
    #[must_use]
    pub fn sent(&self) -> Vec<Vec<u8>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
