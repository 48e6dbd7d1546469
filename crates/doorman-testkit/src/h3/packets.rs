//! A QUIC client that writes its packets frame by frame, for what no library would send: one path, no
//! losses to repair, and nothing acknowledged but what a test acknowledges.

mod frames;
mod keys;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::quic::{ClientConnection, KeyChange, Version};

pub use frames::{Got, ack, close, crypto, stream};
use keys::{Level, Sealed};

use super::frames::varint;
use crate::tls::Tls;

/// Length of the ids that we choose.
const ID_BYTES: usize = 8;
/// The smallest datagram that a client's Initial packet may come in (RFC 9000 section 14.1), and the
/// largest that any path takes.
const DATAGRAM: usize = 1200;
/// Content of a CRYPTO frame that fits a datagram together with all that surrounds it.
const CRYPTO_PIECE: usize = 1000;
/// How long a handshake may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection.
pub struct Packets {
    socket: UdpSocket,
    tls: ClientConnection,
    our_id: Vec<u8>,
    peer_id: Vec<u8>,
    spaces: BTreeMap<Level, Space>,
    /// The keys behind those of the last level: key updates (RFC 9001 section 6).
    next: Option<rustls::quic::Secrets>,
    phase: bool,
    /// Where the handshake's next messages go.
    writes: Level,
    ids: BTreeMap<u64, Vec<u8>>,
}

/// A packet number space (RFC 9000 section 12.3).
struct Space {
    sealed: Sealed,
    next: u64,
    received: BTreeSet<u64>,
    crypto_sent: u64,
    crypto_read: u64,
    crypto: BTreeMap<u64, Vec<u8>>,
}

impl Space {
    fn new(keys: rustls::quic::Keys) -> Self {
        Self {
            sealed: Sealed::new(keys),
            next: 0,
            received: BTreeSet::new(),
            crypto_sent: 0,
            crypto_read: 0,
            crypto: BTreeMap::new(),
        }
    }

    /// Handshake bytes that follow what was read.
    fn take_crypto(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some((&offset, _)) = self.crypto.first_key_value()
            && offset <= self.crypto_read
        {
            let bytes = self.crypto.remove(&offset).unwrap_or_default();
            let known = usize::try_from(self.crypto_read - offset).unwrap_or(usize::MAX);
            let fresh = bytes.get(known..).unwrap_or_default();
            self.crypto_read += fresh.len() as u64;
            out.extend_from_slice(fresh);
        }
        out
    }
}

impl Packets {
    /// A client that has said nothing yet.
    ///
    /// # Errors
    /// The system or the library refuses.
    pub fn silent(address: SocketAddr, tls: &Tls) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(address)?;
        let port = socket.local_addr()?.port();
        // Chance is not needed: nobody guesses here. Connections differ by their ports.
        let our_id = [&[7; ID_BYTES - 2][..], &port.to_be_bytes()].concat();
        let peer_id = [&[9; ID_BYTES - 2][..], &port.to_be_bytes()].concat();
        let config = tls.clone().offering(&["h3"]).client();
        let suite = keys::initial_suite(&config)?;
        let name = ServerName::try_from(tls.name.clone()).map_err(io::Error::other)?;
        let parameters = parameters(&our_id);
        let tls = ClientConnection::new(config, Version::V1, name, parameters)
            .map_err(io::Error::other)?;
        let initial = suite.keys(&peer_id, rustls::Side::Client, Version::V1);
        let spaces = BTreeMap::from([(Level::Initial, Space::new(initial))]);
        let writes = Level::Initial;
        let (next, phase, ids) = (None, false, BTreeMap::new());
        Ok(Self { socket, tls, our_id, peer_id, spaces, next, phase, writes, ids })
    }

    /// Shakes hands.
    ///
    /// # Errors
    /// It did not come to its end.
    #[expect(
        clippy::disallowed_methods,
        reason = "a client outside of the proxy has its own clock"
    )]
    pub fn connect(address: SocketAddr, tls: &Tls) -> io::Result<Self> {
        let mut client = Self::silent(address, tls)?;
        client.speak()?;
        let end = Instant::now() + PATIENCE;
        while client.tls.is_handshaking() || !client.spaces.contains_key(&Level::Data) {
            if Instant::now() > end {
                return Err(io::ErrorKind::TimedOut.into());
            }
            client.receive(Duration::from_millis(100))?;
            client.listen()?;
            for level in [Level::Initial, Level::Handshake] {
                client.acknowledge(level)?;
            }
            client.speak()?;
        }
        Ok(client)
    }

    /// What the handshake would say first.
    ///
    /// # Errors
    /// The library refuses.
    pub fn hello(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let change = self.tls.write_hs(&mut out);
        debug_assert!(change.is_none(), "keys come later");
        out
    }

    /// Sends a first packet with these frames.
    ///
    /// # Errors
    /// What the system says.
    pub fn send_initial(&mut self, frames: &[u8]) -> io::Result<()> {
        self.send_at(Level::Initial, frames)
    }

    /// Sends a packet with these frames. Its number.
    ///
    /// # Errors
    /// What the system says.
    pub fn send(&mut self, frames: &[u8]) -> io::Result<u64> {
        let number = self.spaces.get(&Level::Data).map_or(0, |space| space.next);
        self.send_at(Level::Data, frames)?;
        Ok(number)
    }

    /// Sends packets that hold as many of these frames as fit; they are taken as they are.
    ///
    /// # Errors
    /// What the system says.
    pub fn send_all(&mut self, frames: impl IntoIterator<Item = Vec<u8>>) -> io::Result<()> {
        // What surrounds the frames of a short packet takes less than 50 bytes.
        const ROOM: usize = DATAGRAM - 50;
        let mut packet = Vec::new();
        for frame in frames {
            if packet.len() + frame.len() > ROOM {
                self.send(&std::mem::take(&mut packet))?;
            }
            packet.extend(frame);
        }
        if packet.is_empty() { Ok(()) } else { self.send(&packet).map(drop) }
    }

    /// Goes on with the next keys (RFC 9001 section 6.1).
    ///
    /// # Errors
    /// There are none yet.
    pub fn update_keys(&mut self) -> io::Result<()> {
        let next = self.next.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let space = self.spaces.get_mut(&Level::Data).ok_or(io::ErrorKind::NotConnected)?;
        space.sealed.update(next.next_packet_keys());
        self.phase = !self.phase;
        Ok(())
    }

    /// Ids that the peer gave out (NEW_CONNECTION_ID) since this was asked last, with their numbers.
    pub fn take_ids(&mut self) -> BTreeMap<u64, Vec<u8>> {
        std::mem::take(&mut self.ids)
    }

    /// Sends to another of the peer's ids from now on.
    pub fn send_to(&mut self, id: Vec<u8>) {
        self.peer_id = id;
    }

    /// Packet numbers of the peer's that have come.
    #[must_use]
    pub fn received(&self) -> Vec<u64> {
        let space = self.spaces.get(&Level::Data);
        space.map(|space| space.received.iter().copied().collect()).unwrap_or_default()
    }

    /// Acknowledges what has come.
    ///
    /// # Errors
    /// What the system says.
    pub fn acknowledge_all(&mut self) -> io::Result<()> {
        self.acknowledge(Level::Data)
    }

    /// The frames of the next datagram that comes within `patience`; `None`: none came.
    ///
    /// # Errors
    /// What the system says.
    pub fn receive(&mut self, patience: Duration) -> io::Result<Option<Vec<Got>>> {
        self.socket.set_read_timeout(Some(patience))?;
        let mut datagram = vec![0; 64 * 1024];
        match self.socket.recv(&mut datagram) {
            Ok(n) => datagram.truncate(n),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
        let mut got = Vec::new();
        let mut rest = &mut datagram[..];
        while !rest.is_empty() {
            let Some((level, length, source)) = keys::outline(rest, self.our_id.len()) else {
                break;
            };
            let (packet, others) = rest.split_at_mut(length);
            rest = others;
            let Some(space) = self.spaces.get_mut(&level) else { continue };
            let largest = space.received.last().copied();
            let Some((number, payload)) = space.sealed.open(packet, level, largest) else {
                continue;
            };
            if let Some(source) = source {
                self.peer_id = source;
            }
            space.received.insert(number);
            for frame in frames::read(&payload) {
                match frame {
                    Got::Crypto(offset, bytes) => drop(space.crypto.insert(offset, bytes)),
                    Got::NewId(number, id) => drop(self.ids.insert(number, id)),
                    frame => got.push(frame),
                }
            }
        }
        Ok(Some(got))
    }

    /// Hands what has come of the handshake to the library.
    fn listen(&mut self) -> io::Result<()> {
        for level in [Level::Initial, Level::Handshake, Level::Data] {
            let Some(space) = self.spaces.get_mut(&level) else { continue };
            let bytes = space.take_crypto();
            if !bytes.is_empty() {
                self.tls.read_hs(&bytes).map_err(io::Error::other)?;
            }
            // Keys of the next level come with what is written.
            self.speak()?;
        }
        Ok(())
    }

    /// Sends what the handshake has to say.
    fn speak(&mut self) -> io::Result<()> {
        loop {
            let mut out = Vec::new();
            let change = self.tls.write_hs(&mut out);
            let level = self.writes;
            for piece in out.chunks(CRYPTO_PIECE) {
                let Some(space) = self.spaces.get_mut(&level) else { break };
                let frame = crypto(space.crypto_sent, piece);
                space.crypto_sent += piece.len() as u64;
                self.send_at(level, &frame)?;
            }
            match change {
                Some(KeyChange::Handshake { keys }) => {
                    self.spaces.insert(Level::Handshake, Space::new(keys));
                    self.writes = Level::Handshake;
                }
                Some(KeyChange::OneRtt { keys, next }) => {
                    self.spaces.insert(Level::Data, Space::new(keys));
                    self.next = Some(next);
                    self.writes = Level::Data;
                }
                None if out.is_empty() => return Ok(()),
                None => {}
            }
        }
    }

    fn acknowledge(&mut self, level: Level) -> io::Result<()> {
        let Some(space) = self.spaces.get(&level) else { return Ok(()) };
        let numbers: Vec<u64> = space.received.iter().copied().collect();
        if numbers.is_empty() { Ok(()) } else { self.send_at(level, &ack(&numbers)) }
    }

    fn send_at(&mut self, level: Level, frames: &[u8]) -> io::Result<()> {
        let Some(space) = self.spaces.get_mut(&level) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let number = space.next;
        space.next += 1;
        let mut payload = frames.to_vec();
        let head = |length| keys::head(level, &self.peer_id, &self.our_id, length, self.phase);
        if level == Level::Initial {
            let around = head(0).len() + keys::NUMBER_BYTES + keys::TAG_BYTES;
            payload.resize(payload.len().max(DATAGRAM - around), 0);
        }
        let head = head(payload.len());
        let packet = space.sealed.seal(head, number, payload)?;
        self.socket.send(&packet).map(drop)
    }
}

/// Transport parameters (RFC 9000 section 18.2): windows that are never in the way, and our id.
fn parameters(our_id: &[u8]) -> Vec<u8> {
    let number = |id: u64, value: u64| {
        let value = varint(value);
        [varint(id), varint(value.len() as u64), value].concat()
    };
    let windows = [4, 5, 6, 7].into_iter().flat_map(|id| number(id, 1 << 28));
    let streams = [8, 9].into_iter().flat_map(|id| number(id, 100));
    let own = [varint(0x0F), varint(our_id.len() as u64), our_id.to_vec()].concat();
    windows.chain(streams).chain(number(1, 60_000)).chain(number(0x0E, 8)).chain(own).collect()
}
