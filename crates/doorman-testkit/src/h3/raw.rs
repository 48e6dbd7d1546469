//! An HTTP/3 client that writes whatever a test wants on QUIC streams.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use quinn::{ConnectionError, ReadError, RecvStream, SendStream, TokenStore, VarInt, WriteError};

use super::drive::Drive;
use super::{Line, frames};
use crate::tls::Tls;

/// How something ended for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// In order.
    Whole,
    /// The stream was reset with this code, or its sender told to stop.
    Reset(u64),
    /// The connection was closed with this code of HTTP/3.
    Closed(u64),
    /// The connection was closed with this code of QUIC.
    Transport(u64),
    /// The connection was lost.
    Lost(String),
}

impl Ended {
    pub(super) fn of(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::ApplicationClosed(close) => {
                Self::Closed(close.error_code.into_inner())
            }
            ConnectionError::ConnectionClosed(close) => Self::Transport(close.error_code.into()),
            other => Self::Lost(other.to_string()),
        }
    }
}

/// Gives out one token, whoever is asked.
struct OneToken(Mutex<Option<Vec<u8>>>);

impl TokenStore for OneToken {
    fn insert(&self, _: &str, _: Bytes) {}

    fn take(&self, _: &str) -> Option<Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().map(Bytes::from)
    }
}

/// A connection on which only what a test writes is said.
pub struct RawH3 {
    line: Line,
    drive: Drive,
}

/// A request stream. Its halves end only when a test ends them.
pub struct RawStream {
    send: SendStream,
    recv: RecvStream,
}

impl RawH3 {
    /// Connects and says nothing.
    ///
    /// # Errors
    /// What the system, TLS or the peer says.
    pub fn silent(address: SocketAddr, tls: &Tls) -> io::Result<Self> {
        let drive = Drive::start();
        let line = drive.wait(Line::open(address, tls))?;
        Ok(Self { line, drive })
    }

    /// Connects with a token that the server has never given out, and says nothing.
    ///
    /// # Errors
    /// As [`RawH3::silent`].
    pub fn with_token(address: SocketAddr, tls: &Tls, token: Vec<u8>) -> io::Result<Self> {
        let drive = Drive::start();
        let line = drive.wait(Line::open_with(address, tls, |config| {
            config.token_store(Arc::new(OneToken(Mutex::new(Some(token)))));
        }))?;
        Ok(Self { line, drive })
    }

    /// Connects and opens a control stream with empty SETTINGS.
    ///
    /// # Errors
    /// As [`RawH3::silent`].
    pub fn connect(address: SocketAddr, tls: &Tls) -> io::Result<Self> {
        let client = Self::silent(address, tls)?;
        let control = client.unidirectional(&frames::control(&[]))?;
        // It must stay open for as long as the connection.
        std::mem::forget(control);
        Ok(client)
    }

    /// Opens a unidirectional stream that begins with these bytes.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn unidirectional(&self, bytes: &[u8]) -> io::Result<SendStream> {
        self.drive.wait(async {
            let mut stream = self.line.connection.open_uni().await.map_err(io::Error::other)?;
            // The peer may close because of what it read so far; the test sees that otherwise.
            let _ = stream.write_all(bytes).await;
            Ok(stream)
        })
    }

    /// Opens a request stream that begins with these bytes.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn stream(&self, bytes: &[u8]) -> io::Result<RawStream> {
        self.drive.wait(async {
            let (mut send, recv) =
                self.line.connection.open_bi().await.map_err(io::Error::other)?;
            let _ = send.write_all(bytes).await;
            Ok(RawStream { send, recv })
        })
    }

    /// Opens a request stream with these bytes and ends it; if they fit into one packet, in the same.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn request(&self, bytes: &[u8]) -> io::Result<RawStream> {
        let (connection, bytes) = (self.line.connection.clone(), bytes.to_vec());
        self.drive.at_once(async move {
            let (mut send, recv) = connection.open_bi().await.map_err(io::Error::other)?;
            let _ = send.write_all(&bytes).await;
            let _ = send.finish();
            Ok(RawStream { send, recv })
        })
    }

    /// Writes more; says why not all of it was taken.
    ///
    /// # Errors
    /// It was not taken in time.
    pub fn write(&self, stream: &mut RawStream, bytes: &[u8]) -> io::Result<Ended> {
        self.drive.wait(async {
            Ok(match stream.send.write_all(bytes).await {
                Ok(()) => Ended::Whole,
                Err(WriteError::Stopped(code)) => Ended::Reset(code.into_inner()),
                Err(WriteError::ConnectionLost(error)) => Ended::of(&error),
                Err(other) => Ended::Lost(other.to_string()),
            })
        })
    }

    /// Writes the same bytes again and again for as long as they are taken without a pause of half a
    /// second; how many were.
    ///
    /// # Errors
    /// The stream or the connection is gone.
    pub fn write_while_taken(&self, stream: &mut RawStream, bytes: &[u8]) -> io::Result<usize> {
        const PAUSE: Duration = Duration::from_millis(500);
        self.drive.wait(async {
            let mut taken = 0;
            loop {
                let next = &bytes[taken % bytes.len()..];
                match tokio::time::timeout(PAUSE, stream.send.write(next)).await {
                    Ok(Ok(n)) => taken += n,
                    Ok(Err(error)) => return Err(io::Error::other(error)),
                    Err(_) => return Ok(taken),
                }
            }
        })
    }

    /// Reads a stream to its end: what came, and how it ended.
    ///
    /// # Errors
    /// It did not end in time.
    pub fn read(&self, stream: &mut RawStream) -> io::Result<(Vec<u8>, Ended)> {
        self.drive.wait(async {
            let mut bytes = Vec::new();
            loop {
                match stream.recv.read_chunk(64 * 1024, true).await {
                    Ok(Some(chunk)) => bytes.extend_from_slice(&chunk.bytes),
                    Ok(None) => return Ok((bytes, Ended::Whole)),
                    Err(ReadError::Reset(code)) => {
                        return Ok((bytes, Ended::Reset(code.into_inner())));
                    }
                    Err(ReadError::ConnectionLost(error)) => {
                        return Ok((bytes, Ended::of(&error)));
                    }
                    Err(other) => return Ok((bytes, Ended::Lost(other.to_string()))),
                }
            }
        })
    }

    /// Reads a stream until `n` bytes have come.
    ///
    /// # Errors
    /// They did not come.
    pub fn read_some(&self, stream: &mut RawStream, n: usize) -> io::Result<Vec<u8>> {
        self.drive.wait(async {
            let mut bytes = vec![0; n];
            stream.recv.read_exact(&mut bytes).await.map_err(io::Error::other)?;
            Ok(bytes)
        })
    }

    /// Reads what comes next on a stream: some bytes, or how it ended.
    ///
    /// # Errors
    /// Nothing came in time.
    pub fn more(&self, stream: &mut RawStream) -> io::Result<Result<Bytes, Ended>> {
        self.drive.wait(async {
            Ok(match stream.recv.read_chunk(64 * 1024, true).await {
                Ok(Some(chunk)) => Ok(chunk.bytes),
                Ok(None) => Err(Ended::Whole),
                Err(ReadError::Reset(code)) => Err(Ended::Reset(code.into_inner())),
                Err(ReadError::ConnectionLost(error)) => Err(Ended::of(&error)),
                Err(other) => Err(Ended::Lost(other.to_string())),
            })
        })
    }

    /// Sends a request and gives the final status of its answer, and how the stream ended.
    ///
    /// # Errors
    /// It did not end in time.
    pub fn outcome(&self, bytes: &[u8]) -> io::Result<(Option<u16>, Ended)> {
        let mut stream = self.request(bytes)?;
        let (bytes, ended) = self.read(&mut stream)?;
        let status = frames::frames(&bytes)
            .iter()
            .filter(|(kind, _)| *kind == frames::kind::HEADERS)
            .filter_map(|(_, section)| frames::status(section))
            .find(|status| *status >= 200);
        Ok((status, ended))
    }

    /// Resets what we send on a stream, and tells the peer to stop.
    pub fn cancel(&self, stream: &mut RawStream, code: u32) {
        let _entered = self.drive.enter();
        let _ = stream.send.reset(VarInt::from_u32(code));
        let _ = stream.recv.stop(VarInt::from_u32(code));
    }

    /// Resets what we send on a stream, and goes on listening.
    pub fn reset_half(&self, stream: &mut RawStream, code: u32) {
        let _entered = self.drive.enter();
        let _ = stream.send.reset(VarInt::from_u32(code));
    }

    /// Ends what we send on a stream.
    pub fn finish(&self, stream: &mut RawStream) {
        let _entered = self.drive.enter();
        let _ = stream.send.finish();
    }

    /// Resets a unidirectional stream.
    pub fn reset(&self, stream: &mut SendStream, code: u32) {
        let _entered = self.drive.enter();
        let _ = stream.reset(VarInt::from_u32(code));
    }

    /// Waits until the peer has closed the connection; how.
    ///
    /// # Errors
    /// It did not close in time.
    pub fn closed(&self) -> io::Result<Ended> {
        self.drive.wait(async { Ok(Ended::of(&self.line.connection.closed().await)) })
    }

    /// Takes the peer's next unidirectional stream and reads its first `n` bytes.
    ///
    /// # Errors
    /// There was none, or fewer bytes.
    pub fn accept(&self, n: usize) -> io::Result<(RecvStream, Vec<u8>)> {
        self.drive.wait(async {
            let mut stream = self.line.connection.accept_uni().await.map_err(io::Error::other)?;
            let mut bytes = vec![0; n];
            stream.read_exact(&mut bytes).await.map_err(io::Error::other)?;
            Ok((stream, bytes))
        })
    }

    /// Reads the next `n` bytes of a stream of the peer's.
    ///
    /// # Errors
    /// There were fewer.
    pub fn take(&self, stream: &mut RecvStream, n: usize) -> io::Result<Vec<u8>> {
        self.drive.wait(async {
            let mut bytes = vec![0; n];
            stream.read_exact(&mut bytes).await.map_err(io::Error::other)?;
            Ok(bytes)
        })
    }

    /// Goes on from another port, as after a change of networks.
    ///
    /// # Errors
    /// What the system says.
    pub fn rebind(&self) -> io::Result<()> {
        let _entered = self.drive.enter();
        self.line.rebind()
    }
}
