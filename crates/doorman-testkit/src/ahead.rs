//! A client over TCP that comes back, and sends requests ahead of its handshake (0-RTT, RFC 8446 section 2.3).
//!
//! It goes through the handshake step by step: it can read what the server says and keep its own Finished back, so that
//! a test says when the handshake ends, or that it never does.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use crate::h3::early::any_name_store;
use crate::tls::Tls;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client that was there before, and has a ticket.
pub struct Returning {
    config: Arc<ClientConfig>,
    name: String,
}

impl Returning {
    /// Visits a server for the first time.
    ///
    /// # Errors
    /// What the system, TLS or the peer says.
    pub fn after_a_visit(address: SocketAddr, tls: &Tls) -> io::Result<Self> {
        let mut config = (*tls.client()).clone();
        config.enable_early_data = true;
        config.resumption = Resumption::store(any_name_store());
        let returning = Self { config: Arc::new(config), name: tls.name.clone() };
        let mut visit = returning.back(address)?;
        visit.finish()?;
        while visit.session.tls13_tickets_received() == 0 {
            visit.receive()?;
        }
        Ok(returning)
    }

    /// Asks for another name from now on, with the tickets of the first.
    pub fn rename(&mut self, name: &str) {
        name.clone_into(&mut self.name);
    }

    /// Comes back; what it sends early leaves with its first message.
    ///
    /// # Errors
    /// What the system says; a name that is none is `InvalidInput`.
    #[expect(clippy::disallowed_methods, reason = "clients of tests stand outside the proxy")]
    pub fn back(&self, address: SocketAddr) -> io::Result<Ahead> {
        let name = ServerName::try_from(self.name.clone())
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        let session =
            ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)?;
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Ahead { socket, session, sent: Vec::new() })
    }
}

/// A connection of such a client.
pub struct Ahead {
    socket: TcpStream,
    session: ClientConnection,
    sent: Vec<u8>,
}

impl Ahead {
    /// Whether it has a ticket that early data may be sent with.
    pub fn may_be_early(&mut self) -> bool {
        self.session.early_data().is_some()
    }

    /// Sends early data: whatever stands in a client's way, it waits for nothing.
    ///
    /// # Errors
    /// What the system says; `InvalidInput` where none may be sent, or not so much.
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let mut early = self.session.early_data().ok_or(ErrorKind::InvalidInput)?;
        if early.write(bytes.as_ref())? < bytes.as_ref().len() {
            return Err(ErrorKind::InvalidInput.into());
        }
        self.send()
    }

    /// Sends bytes that are no TLS of ours.
    ///
    /// # Errors
    /// What the system says.
    pub fn send_bare(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// Sends what TLS has to say, the end of our handshake included.
    fn send(&mut self) -> io::Result<()> {
        let mut records = Vec::new();
        while self.session.wants_write() {
            self.session.write_tls(&mut records)?;
        }
        self.socket.write_all(&records)?;
        self.sent.extend_from_slice(&records);
        Ok(())
    }

    /// Every byte that was sent through TLS.
    #[must_use]
    pub fn sent(&self) -> &[u8] {
        &self.sent
    }

    /// Goes through the rest of the handshake; whether the early data was taken.
    ///
    /// # Errors
    /// What the system, TLS or the peer says.
    pub fn finish(&mut self) -> io::Result<bool> {
        self.send()?;
        while self.session.is_handshaking() {
            self.receive()?;
        }
        self.send()?;
        Ok(self.session.is_early_data_accepted())
    }

    /// Sends more, once the handshake is over.
    ///
    /// # Errors
    /// What the system says.
    pub fn tell(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.session.writer().write_all(bytes.as_ref())?;
        self.send()
    }

    /// Reads once, and keeps back whatever TLS would say to it. `false`: the peer has closed.
    ///
    /// # Errors
    /// What the system, TLS or the peer says.
    pub fn receive(&mut self) -> io::Result<bool> {
        let n = self.session.read_tls(&mut self.socket)?;
        self.session
            .process_new_packets()
            .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        Ok(n > 0)
    }

    /// Reads up to and with these bytes.
    ///
    /// # Errors
    /// What the system, TLS or the peer says; its end is `UnexpectedEof`.
    pub fn read_until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        let mut read = Vec::new();
        while !read.ends_with(end) {
            let mut byte = [0];
            match self.session.reader().read(&mut byte) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => read.push(byte[0]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.receive()?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    /// Reads this many bytes.
    ///
    /// # Errors
    /// What the system, TLS or the peer says; its end is `UnexpectedEof`.
    pub fn read_exactly(&mut self, n: usize) -> io::Result<Vec<u8>> {
        let mut read = vec![0; n];
        let mut filled = 0;
        while filled < n {
            match self.session.reader().read(&mut read[filled..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => filled += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.receive()?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    /// A response with a declared length, or without content: its head and content as text.
    ///
    /// # Errors
    /// As [`Self::read_until`].
    pub fn response(&mut self) -> io::Result<String> {
        let head = String::from_utf8_lossy(&self.read_until(b"\r\n\r\n")?).into_owned();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse().ok())?
        });
        let body = self.read_exactly(length.unwrap_or(0))?;
        Ok(head + &String::from_utf8_lossy(&body))
    }

    /// Reads until the peer is gone, and keeps its Finished back all the while.
    ///
    /// # Errors
    /// It stays for longer than anybody should wait.
    pub fn wait_for_end(&mut self) -> io::Result<()> {
        let mut scratch = [0; 4096];
        loop {
            match self.socket.read(&mut scratch) {
                Ok(n) if n > 0 => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return Err(error);
                }
                _ => return Ok(()),
            }
        }
    }
}
