//! Clients: raw HTTP/1.1 over plain and TLS connections, HTTP/2 and HTTP/3, behind one way to ask.

use std::future::poll_fn;
use std::io;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use doorman_testkit::h3::H3;
use doorman_testkit::sums::Sum;
use doorman_testkit::tls::Tls;
use h2::client::SendRequest;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tokio::runtime::Runtime;

use super::wire::{Content, Framing, Head, bad, framing};
use super::{Front, House, Lane, PATIENCE, Wire};

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) host: String,
    pub(crate) fields: Vec<(String, String)>,
    /// The body in pieces: chunks, or DATA frames.
    pub(crate) pieces: Vec<Vec<u8>>,
    pub(crate) framing: Sending,
    pub(crate) trailers: Vec<(String, String)>,
}

/// How a request's body is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    Nothing,
    Counted,
    Chunked,
}

impl Ask {
    pub(crate) fn new(method: &'static str, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            host: "localhost".to_owned(),
            fields: Vec::new(),
            pieces: Vec::new(),
            framing: Sending::Nothing,
            trailers: Vec::new(),
        }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { pieces: vec![body.into()], framing: Sending::Counted, ..Self::new("POST", path) }
    }

    pub(crate) fn chunked(mut self, pieces: Vec<Vec<u8>>) -> Self {
        self.pieces = pieces;
        self.framing = Sending::Chunked;
        self
    }

    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    fn length(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum()
    }

    /// The request as HTTP/1.1 sends it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.path, self.host);
        for (name, value) in &self.fields {
            out += &format!("{name}: {value}\r\n");
        }
        match self.framing {
            Sending::Nothing => out += "\r\n",
            Sending::Counted => out += &format!("Content-Length: {}\r\n\r\n", self.length()),
            Sending::Chunked => out += "Transfer-Encoding: chunked\r\n\r\n",
        }
        let mut out = out.into_bytes();
        for piece in &self.pieces {
            if self.framing == Sending::Chunked {
                out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            }
            out.extend_from_slice(piece);
            if self.framing == Sending::Chunked {
                out.extend_from_slice(b"\r\n");
            }
        }
        if self.framing == Sending::Chunked {
            out.extend_from_slice(b"0\r\n");
            for (name, value) in &self.trailers {
                out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
            }
            out.extend_from_slice(b"\r\n");
        }
        out
    }
}

/// A whole response.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: Head,
    /// The statuses of the 1xx before it.
    pub(crate) interim: Vec<(u16, Head)>,
    pub(crate) content: Content,
}

impl Reply {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.content.kept
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.body()).into_owned()
    }
}

/// Why there is no whole response.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Not even a head.
    NoResponse(String),
    /// The head came, and the body's end did not.
    Cut(u16, String),
}

/// A client's connection.
pub(crate) enum Client {
    H1(Box<Wire>),
    H2(Box<H2>),
    H3(Box<H3>),
}

impl Client {
    /// Connects as the house's front wants it.
    pub(crate) fn connect(house: &House) -> Self {
        match house.front {
            Front::H1 | Front::H1Tls => Self::H1(Box::new(Wire::connect(house))),
            Front::H2 | Front::H2c => Self::H2(Box::new(H2::connect(house))),
            Front::H3 => Self::H3(Box::new(connect_h3(house))),
        }
    }

    /// Goes on as the house's front wants it, on a connection that something was sent on already.
    pub(crate) fn over(house: &House, stream: TcpStream) -> Self {
        match house.front {
            Front::H1 | Front::H1Tls => Self::H1(Box::new(Wire::over(house, stream))),
            Front::H2 | Front::H2c => Self::H2(Box::new(H2::over(house, stream))),
            Front::H3 => panic!("HTTP/3 goes over no stream"),
        }
    }

    /// Asks and reads the whole answer.
    pub(crate) fn exchange(&mut self, ask: &Ask) -> Result<Reply, Failure> {
        match self {
            Self::H1(wire) => {
                let sent = wire.send(ask.bytes());
                wire.reply(ask.method).map_err(|failure| match (failure, sent) {
                    (Failure::NoResponse(why), Err(error)) => {
                        Failure::NoResponse(format!("{why}; sending: {error}"))
                    }
                    (failure, _) => failure,
                })
            }
            Self::H2(h2) => h2.exchange(ask),
            Self::H3(h3) => exchange_h3(h3, ask),
        }
    }

    /// Asks and expects an answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, ask: &Ask) -> Reply {
        match self.exchange(ask) {
            Ok(reply) => reply,
            Err(failure) => panic!("{} {}: {failure:?}", ask.method, ask.path),
        }
    }
}

/// One exchange on a connection of its own.
pub(crate) fn once(house: &House, ask: &Ask) -> Result<Reply, Failure> {
    Client::connect(house).exchange(ask)
}

impl Wire {
    /// An HTTP/1.1 connection to the house, under TLS if its front is.
    pub(crate) fn connect(house: &House) -> Self {
        Self::over(house, TcpStream::connect(house.address).expect("a house that is open"))
    }

    fn over(house: &House, stream: TcpStream) -> Self {
        if house.front == Front::H1 {
            return Self::new(Lane::Plain(stream));
        }
        let name = ServerName::try_from("localhost").expect("a name");
        let tls =
            ClientConnection::new(trusting(house, b"http/1.1"), name).expect("a configuration");
        Self::new(Lane::Client(Box::new(StreamOwned::new(tls, stream))))
    }

    /// The same under TLS over a Unix socket of the house.
    pub(crate) fn connect_unix_tls(house: &House, path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("a socket that is open");
        let name = ServerName::try_from("localhost").expect("a name");
        let tls =
            ClientConnection::new(trusting(house, b"http/1.1"), name).expect("a configuration");
        Self::new(Lane::UnixClient(Box::new(StreamOwned::new(tls, stream))))
    }

    /// Reads one response to a request of that method, and the 1xx before it.
    pub(crate) fn reply(&mut self, method: &str) -> Result<Reply, Failure> {
        let none = |error: io::Error| Failure::NoResponse(error.to_string());
        let mut interim = Vec::new();
        loop {
            let head = self.head().map_err(none)?;
            let head = head.ok_or_else(|| Failure::NoResponse("closed".to_owned()))?;
            let status = head.line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
            let status: u16 = status
                .and_then(|status| status.parse().ok())
                .ok_or_else(|| Failure::NoResponse(format!("no status line: {:?}", head.line)))?;
            if (100..200).contains(&status) && status != 101 {
                interim.push((status, head));
                continue;
            }
            let mut reply = Reply { status, head, interim, content: Content::default() };
            if method == "HEAD" || matches!(status, 101 | 204 | 304) {
                return Ok(reply);
            }
            let framing = framing(&reply.head, Framing::UntilClose).map_err(none)?;
            return match self.body(framing, &mut reply.content) {
                Ok(()) => Ok(reply),
                Err(error) => Err(Failure::Cut(status, error.to_string())),
            };
        }
    }

    /// Sends a request's bytes and expects a whole answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Reply {
        self.send(bytes).expect("a connection");
        self.reply("GET").expect("an answer")
    }
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn trusting(house: &House, protocol: &[u8]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(house.authority()).expect("a certificate");
    roots.add(authority).expect("an authority");
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions of the provider")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(config)
}

/// An HTTP/2 connection. It moves only while somebody waits for it.
pub(crate) struct H2 {
    runtime: Runtime,
    pub(super) sender: SendRequest<Bytes>,
    scheme: &'static str,
    ended: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl H2 {
    pub(crate) fn connect(house: &House) -> Self {
        Self::over(house, TcpStream::connect(house.address).expect("a house that is open"))
    }

    fn over(house: &House, stream: TcpStream) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (sender, ended) = runtime.block_on(async {
            stream.set_nonblocking(true).expect("a socket");
            let stream = tokio::net::TcpStream::from_std(stream).expect("a socket");
            if house.front == Front::H2c {
                let (sender, connection) = h2::client::handshake(stream).await.expect("a preface");
                return (sender, tokio::spawn(connection));
            }
            let name = ServerName::try_from("localhost").expect("a name");
            let tls = tokio_rustls::TlsConnector::from(trusting(house, b"h2"));
            let tls = tls.connect(name, stream).await.expect("a handshake");
            let (sender, connection) = h2::client::handshake(tls).await.expect("a preface");
            (sender, tokio::spawn(connection))
        });
        Self { runtime, sender, scheme: house.front.scheme(), ended }
    }

    pub(crate) fn exchange(&mut self, ask: &Ask) -> Result<Reply, Failure> {
        let sender = self.sender.clone();
        self.runtime.block_on(async {
            let late = |_| Failure::NoResponse("the rig lost its patience".to_owned());
            tokio::time::timeout(PATIENCE, converse(sender, ask, self.scheme))
                .await
                .map_err(late)?
        })
    }

    /// As [`Self::exchange`], with more patience.
    pub(crate) fn exchange_within(&mut self, ask: &Ask, time: Duration) -> Result<Reply, Failure> {
        let sender = self.sender.clone();
        self.runtime.block_on(async {
            let late = |_| Failure::NoResponse("the rig lost its patience".to_owned());
            tokio::time::timeout(time, converse(sender, ask, self.scheme)).await.map_err(late)?
        })
    }

    /// Posts a body of `length` bytes that `give` makes piece by piece; the text of the answer.
    pub(crate) fn upload(
        &mut self,
        path: &str,
        length: u64,
        give: impl FnOnce(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()>,
    ) -> String {
        let ask = Ask::new("POST", path).field("content-length", &length.to_string());
        let (sender, scheme) = (self.sender.clone(), self.scheme);
        let (answer, mut stream) = self.run(async move {
            let mut sender = sender.ready().await.expect("a connection");
            sender.send_request(request(&ask, scheme), false).expect("a request")
        });
        give(&mut |piece| {
            let mut piece = Bytes::copy_from_slice(piece);
            self.run(async {
                while !piece.is_empty() {
                    stream.reserve_capacity(piece.len());
                    let room = poll_fn(|cx| stream.poll_capacity(cx)).await;
                    let room = room.expect("an open stream").expect("an open stream");
                    let part = piece.split_to(room.min(piece.len()));
                    stream.send_data(part, false).expect("an open stream");
                }
            });
            Ok(())
        })
        .expect("the whole body");
        self.run(async {
            stream.send_data(Bytes::new(), true).expect("an open stream");
            read_answer(answer, "POST").await.expect("an answer").text()
        })
    }

    /// All at once on one connection; answers in the order of the questions.
    pub(crate) fn exchange_all(&mut self, asks: &[Ask]) -> Vec<Result<Reply, Failure>> {
        let sender = self.sender.clone();
        self.runtime.block_on(async {
            let mut all: Vec<_> = asks
                .iter()
                .map(|ask| Some(Box::pin(converse(sender.clone(), ask, self.scheme))))
                .collect();
            let mut replies: Vec<_> = asks.iter().map(|_| None).collect();
            let done = poll_fn(|cx| {
                for (slot, reply) in all.iter_mut().zip(&mut replies) {
                    if let Some(future) = slot
                        && let Poll::Ready(output) = future.as_mut().poll(cx)
                    {
                        *reply = Some(output);
                        *slot = None;
                    }
                }
                if all.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
            });
            let _ = tokio::time::timeout(PATIENCE, done).await;
            let late = || Err(Failure::NoResponse("the rig lost its patience".to_owned()));
            replies.into_iter().map(|reply| reply.unwrap_or_else(late)).collect()
        })
    }

    /// Begins a request and does not wait for its answer.
    pub(crate) fn begin(&mut self, ask: &Ask) -> h2::client::ResponseFuture {
        let (sender, scheme) = (self.sender.clone(), self.scheme);
        self.runtime.block_on(async {
            let mut sender = sender.ready().await.expect("a connection");
            let (answer, _) = sender.send_request(request(ask, scheme), true).expect("a request");
            answer
        })
    }

    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let late = "the rig lost its patience";
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await.expect(late) })
    }

    /// Waits for the connection to end.
    pub(crate) fn closed(self) -> Result<(), h2::Error> {
        let Self { runtime, sender, ended, .. } = self;
        drop(sender);
        runtime.block_on(async {
            let ended = tokio::time::timeout(PATIENCE, ended).await.expect("an end");
            ended.expect("no panic")
        })
    }
}

impl House {
    /// What a client by the book asks for.
    pub(crate) fn uri(&self, path: &str) -> String {
        format!("{}://localhost{path}", self.front.scheme())
    }
}

/// What clients of HTTP/3 believe.
pub(super) fn tls(house: &House) -> Tls {
    let authority = std::fs::read_to_string(house.authority()).expect("a certificate");
    Tls::new("localhost", &authority)
}

fn connect_h3(house: &House) -> H3 {
    H3::connect(house.address, &tls(house)).expect("a handshake")
}

fn exchange_h3(h3: &mut H3, ask: &Ask) -> Result<Reply, Failure> {
    let none = |error: io::Error| Failure::NoResponse(error.to_string());
    let body = Bytes::from(ask.pieces.concat());
    let trailers = (!ask.trailers.is_empty()).then(|| trailers(ask));
    let asked = vec![(request(ask, "https").map(|()| body), trailers)];
    let answer = h3.requests(asked).map_err(none)?.pop().expect("one for each");
    let answer = answer.map_err(none)?;
    let status = answer.status;
    if let Some(error) = answer.error {
        return Err(Failure::Cut(status, error));
    }
    let mut content = Content::default();
    content.add(&answer.body);
    content.trailers = answer.trailers.iter().flat_map(|map| fields(map).fields).collect();
    let interim = answer.interim.iter().copied().zip(answer.interim_fields.iter().map(fields));
    Ok(Reply { status, head: fields(&answer.fields), interim: interim.collect(), content })
}

fn request(ask: &Ask, scheme: &str) -> http::Request<()> {
    let mut request = http::Request::builder()
        .method(ask.method)
        .uri(format!("{scheme}://{}{}", ask.host, ask.path));
    for (name, value) in &ask.fields {
        request = request.header(name, value);
    }
    if ask.framing == Sending::Counted {
        request = request.header("content-length", ask.length());
    }
    request.body(()).expect("a request")
}

async fn converse(sender: SendRequest<Bytes>, ask: &Ask, scheme: &str) -> Result<Reply, Failure> {
    let none = |error: h2::Error| Failure::NoResponse(error.to_string());
    let mut sender = sender.ready().await.map_err(none)?;
    let bodiless = ask.framing == Sending::Nothing;
    let (answer, mut stream) = sender.send_request(request(ask, scheme), bodiless).map_err(none)?;
    let upload = async {
        // What goes wrong here shows in the answer.
        let _ = if bodiless { Ok(()) } else { send_body(&mut stream, ask).await };
    };
    let download = read_answer(answer, ask.method);
    let (mut upload, mut download) = (pin!(upload), pin!(download));
    let mut sent = false;
    poll_fn(|cx| {
        if !sent {
            sent = upload.as_mut().poll(cx).is_ready();
        }
        download.as_mut().poll(cx)
    })
    .await
}

async fn send_body(stream: &mut h2::SendStream<Bytes>, ask: &Ask) -> Result<(), h2::Error> {
    for piece in &ask.pieces {
        let mut piece = Bytes::copy_from_slice(piece);
        while !piece.is_empty() {
            stream.reserve_capacity(piece.len());
            let Some(room) = poll_fn(|cx| stream.poll_capacity(cx)).await else { return Ok(()) };
            let part = piece.split_to(room?.min(piece.len()));
            stream.send_data(part, false)?;
        }
    }
    if ask.trailers.is_empty() {
        return stream.send_data(Bytes::new(), true);
    }
    stream.send_trailers(trailers(ask))
}

fn trailers(ask: &Ask) -> http::HeaderMap {
    let mut trailers = http::HeaderMap::new();
    for (name, value) in &ask.trailers {
        let name = http::HeaderName::try_from(name).expect("a name");
        trailers.append(name, value.parse().expect("a value"));
    }
    trailers
}

async fn read_answer(
    mut answer: h2::client::ResponseFuture,
    method: &str,
) -> Result<Reply, Failure> {
    let none = |error: h2::Error| Failure::NoResponse(error.to_string());
    let mut interim = Vec::new();
    let response = poll_fn(|cx| {
        while let Poll::Ready(Some(Ok(response))) = answer.poll_informational(cx) {
            interim.push((response.status().as_u16(), fields(response.headers())));
        }
        pin!(&mut answer).poll(cx)
    })
    .await
    .map_err(none)?;
    let status = response.status().as_u16();
    let head = fields(response.headers());
    let mut body = response.into_body();
    let mut content = Content::default();
    let cut = |error: h2::Error| Failure::Cut(status, error.to_string());
    while let Some(data) = body.data().await {
        let data = data.map_err(cut)?;
        let _ = body.flow_control().release_capacity(data.len());
        content.add(&data);
    }
    if let Some(trailers) = body.trailers().await.map_err(cut)? {
        content.trailers = fields(&trailers).fields;
    }
    let announced = head.field("content-length").and_then(|length| length.parse().ok());
    if method != "HEAD" && status != 304 && announced.is_some_and(|n: u64| n != content.length()) {
        return Err(Failure::Cut(status, bad("another length than announced").to_string()));
    }
    Ok(Reply { status, head, interim, content })
}

fn fields(map: &http::HeaderMap) -> Head {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let fields = map.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    Head { fields, ..Head::default() }
}

/// The checksum of `bytes`.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    Sum::of(bytes)
}
