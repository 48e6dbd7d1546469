//! An HTTP/3 server that says what a script says: over QUIC from `quinn`, with frames by hand.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, EndpointConfig, RecvStream, SendStream, TokioRuntime, VarInt};
use rustls::ServerConfig;
use tokio::sync::oneshot;

use super::frames::{self, kind};
use super::raw::Ended;
use super::sections::{self, frame_head};

/// How a server is set up.
#[derive(Clone)]
pub struct Setup {
    /// Its certificate and protocols.
    pub tls: Arc<ServerConfig>,
    /// Requests at once on a connection (MAX_STREAMS).
    pub streams: u32,
    /// What a client may send ahead on a stream, bytes.
    pub window: u32,
    /// The payload of its SETTINGS.
    pub settings: Vec<u8>,
    /// Versions of QUIC that it speaks.
    pub versions: Vec<u32>,
    /// How long a connection may be silent.
    pub silence: Duration,
}

impl Setup {
    /// A server that takes 100 requests at once.
    #[must_use]
    pub fn new(tls: Arc<ServerConfig>) -> Self {
        Self {
            tls,
            streams: 100,
            window: 1 << 20,
            settings: Vec::new(),
            versions: vec![1],
            silence: Duration::from_secs(30),
        }
    }
}

/// A server. When it is dropped it is gone without a word, as after a crash.
pub struct QuicOrigin {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl QuicOrigin {
    /// Plays `script` for every connection, at a free port of the loopback.
    ///
    /// # Panics
    /// When the system gives no socket.
    pub fn start<F: Future<Output = ()> + 'static>(
        setup: Setup,
        script: impl Fn(Visit) -> F + Send + 'static,
    ) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), setup, script)
    }

    /// As [`QuicOrigin::start`], at this address.
    ///
    /// # Panics
    /// When the system does not give it.
    pub fn start_at<F: Future<Output = ()> + 'static>(
        address: SocketAddr,
        setup: Setup,
        script: impl Fn(Visit) -> F + Send + 'static,
    ) -> Self {
        let socket = UdpSocket::bind(address).expect("an address that is free");
        let address = socket.local_addr().expect("a bound socket");
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("the system gives a test an epoll descriptor");
            let tasks = tokio::task::LocalSet::new();
            tasks.block_on(&runtime, async move {
                tokio::select! {
                    _ = stopped => {}
                    () = listen(socket, setup, script) => {}
                }
            });
        });
        Self { address, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for QuicOrigin {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn listen<F: Future<Output = ()> + 'static>(
    socket: UdpSocket,
    setup: Setup,
    script: impl Fn(Visit) -> F + 'static,
) {
    let crypto = QuicServerConfig::try_from(Arc::clone(&setup.tls)).expect("TLS 1.3");
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let mut transport = quinn::TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(setup.streams))
        .stream_receive_window(VarInt::from_u32(setup.window))
        .max_idle_timeout(setup.silence.try_into().ok());
    config.transport_config(Arc::new(transport));
    let mut endpoint = EndpointConfig::default();
    endpoint.supported_versions(setup.versions);
    let endpoint =
        Endpoint::new(endpoint, Some(config), socket, Arc::new(TokioRuntime)).expect("a socket");
    let script = Rc::new(script);
    let mut index = 0;
    while let Some(incoming) = endpoint.accept().await {
        let (script, settings) = (Rc::clone(&script), setup.settings.clone());
        let number = index;
        index += 1;
        tokio::task::spawn_local(async move {
            let Ok(connection) = incoming.await else { return };
            let Ok(mut control) = connection.open_uni().await else { return };
            if control.write_all(&frames::control(&settings)).await.is_err() {
                return;
            }
            script(Visit { connection, control, index: number }).await;
        });
    }
}

/// A connection, as a script sees it.
pub struct Visit {
    connection: Connection,
    control: SendStream,
    /// The how-manieth of the server, from zero.
    pub index: usize,
}

impl Visit {
    /// The next request's stream; `None` when the connection is over.
    pub async fn asked(&self) -> Option<Asked> {
        let (send, recv) = self.connection.accept_bi().await.ok()?;
        let id = VarInt::from(send.id()).into_inner();
        Some(Asked { id, reply: Reply { send }, reading: Reading::new(recv) })
    }

    /// The next unidirectional stream's first `n` bytes; the stream stays open.
    ///
    /// # Errors
    /// There was none.
    pub async fn told(&self, n: usize) -> io::Result<Vec<u8>> {
        let mut stream = self.connection.accept_uni().await.map_err(io::Error::other)?;
        let mut bytes = vec![0; n];
        stream.read_exact(&mut bytes).await.map_err(io::Error::other)?;
        std::mem::forget(stream);
        Ok(bytes)
    }

    /// Writes on the control stream.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.control.write_all(bytes).await.map_err(io::Error::other)
    }

    /// Ends the control stream, which must not be.
    pub fn end_control(&mut self) {
        let _ = self.control.finish();
    }

    /// Opens another unidirectional stream that begins so, and leaves it open.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn open(&self, bytes: &[u8]) -> io::Result<()> {
        let mut stream = self.connection.open_uni().await.map_err(io::Error::other)?;
        stream.write_all(bytes).await.map_err(io::Error::other)?;
        std::mem::forget(stream);
        Ok(())
    }

    /// Closes the connection.
    pub fn close(&self, code: u32) {
        self.connection.close(VarInt::from_u32(code), b"");
    }

    /// Waits until the client has acknowledged something more, for a while: what was sent has arrived
    /// then, as a rule, and a cut does not overtake it.
    pub async fn settle(&self) {
        const STEPS: usize = 20;
        const STEP: Duration = Duration::from_millis(10);
        let before = self.connection.stats().frame_rx.acks;
        for _ in 0..STEPS {
            let is_over = tokio::time::timeout(STEP, self.connection.closed()).await.is_ok();
            if is_over || self.connection.stats().frame_rx.acks > before {
                return;
            }
        }
    }

    /// Waits until the connection is over; how it ended.
    pub async fn over(&self) -> Ended {
        Ended::of(&self.connection.closed().await)
    }
}

/// A request's stream.
pub struct Asked {
    /// Its number.
    pub id: u64,
    /// What is said on it.
    pub reply: Reply,
    /// What is heard on it.
    pub reading: Reading,
}

impl Asked {
    /// Reads the request's head.
    ///
    /// # Errors
    /// It did not come.
    pub async fn head(&mut self) -> io::Result<HashMap<String, String>> {
        match self.reading.piece().await? {
            Some(Piece::Fields(fields)) => Ok(fields.into_iter().collect()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Reads the whole request: head, content, trailers.
    ///
    /// # Errors
    /// It did not come to its end.
    pub async fn whole(&mut self) -> io::Result<Whole> {
        let fields = self.head().await?;
        let (mut content, mut trailers) = (Vec::new(), None);
        while let Some(piece) = self.reading.piece().await? {
            match piece {
                Piece::Data(data) => content.extend_from_slice(&data),
                Piece::Fields(fields) => trailers = Some(fields),
            }
        }
        Ok(Whole { fields, content, trailers })
    }
}

/// A request that came to its end.
#[derive(Clone, Debug, Default)]
pub struct Whole {
    /// The fields of its head; the last one of each name.
    pub fields: HashMap<String, String>,
    /// Its content.
    pub content: Vec<u8>,
    /// Its trailers.
    pub trailers: Option<Vec<(String, String)>>,
}

/// The half of a stream that a server writes.
pub struct Reply {
    send: SendStream,
}

impl Reply {
    /// Writes bytes as they are.
    ///
    /// # Errors
    /// They are not wanted any more.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.send.write_all(bytes).await.map_err(io::Error::other)
    }

    /// Answers with these fields and content, and ends the stream.
    ///
    /// # Errors
    /// It is not wanted any more.
    pub async fn answer(&mut self, fields: &[(&str, &str)], content: &[u8]) -> io::Result<()> {
        self.send(&frames::headers(fields)).await?;
        if !content.is_empty() {
            self.send(&frames::frame(kind::DATA, content)).await?;
        }
        self.finish();
        Ok(())
    }

    /// Ends the stream.
    pub fn finish(&mut self) {
        let _ = self.send.finish();
    }

    /// Cuts the stream.
    pub fn reset(&mut self, code: u32) {
        let _ = self.send.reset(VarInt::from_u32(code));
    }

    /// Waits until the client wants no more of it, with the code, or has all of it.
    pub fn stopped(&self) -> impl Future<Output = Option<u64>> + 'static {
        let stopped = self.send.stopped();
        async move { stopped.await.ok().flatten().map(VarInt::into_inner) }
    }
}

/// A piece of a request.
#[derive(Debug)]
pub enum Piece {
    /// Fields: the head's, or trailers.
    Fields(Vec<(String, String)>),
    /// Content.
    Data(Bytes),
}

/// The half of a stream that a server reads.
pub struct Reading {
    recv: RecvStream,
    input: BytesMut,
    /// What is left of a DATA frame.
    left: u64,
}

impl Reading {
    fn new(recv: RecvStream) -> Self {
        Self { recv, input: BytesMut::new(), left: 0 }
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// The client cut the stream, or it is none.
    pub async fn piece(&mut self) -> io::Result<Option<Piece>> {
        loop {
            if self.left > 0 && !self.input.is_empty() {
                let n = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.input.len());
                self.left -= n as u64;
                return Ok(Some(Piece::Data(self.input.split_to(n).freeze())));
            }
            if self.left == 0
                && let Some((frame, length, size)) = frame_head(&self.input)
            {
                if frame == kind::DATA {
                    self.input.advance(size);
                    self.left = length;
                    continue;
                }
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                if self.input.len() - size >= length {
                    self.input.advance(size);
                    let section = self.input.split_to(length);
                    let fields = sections::fields(&section).ok_or(io::ErrorKind::InvalidData)?;
                    return Ok(Some(Piece::Fields(fields)));
                }
            }
            match self.recv.read_chunk(64 * 1024, true).await {
                Ok(Some(chunk)) => self.input.extend_from_slice(&chunk.bytes),
                Ok(None) if self.input.is_empty() && self.left == 0 => return Ok(None),
                Ok(None) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }

    /// Tells the client to stop.
    pub fn stop(&mut self, code: u32) {
        let _ = self.recv.stop(VarInt::from_u32(code));
    }
}
