//! HTTP/2 in front of an origin whose script speaks HTTP/1.1, so that every story can be told over
//! every pair. It is written on the `h2` crate alone and shares nothing with the proxy.
//!
//! One connection of HTTP/2 uses connections to the script one after the other, as long as one is
//! free. A script that ends before a response begins ends the connection; one that ends within a
//! response resets the stream.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use doorman_testkit::websocket::KEY;
use h2::ext::Protocol;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use rustls::ServerConfig;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::wire::bad;

/// Puts HTTP/2 in front of the origin at `script`; where it listens.
pub(crate) fn before(script: SocketAddr, tls: Option<Arc<ServerConfig>>) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("a bound socket");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let tasks = tokio::task::LocalSet::new();
        tasks.block_on(&runtime.expect("a runtime"), async move {
            let listener = TcpListener::from_std(listener).expect("a socket");
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let tls = tls.clone();
                tokio::task::spawn_local(async move {
                    match tls {
                        None => serve(stream, script).await,
                        Some(config) => {
                            let acceptor = tokio_rustls::TlsAcceptor::from(config);
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, script).await;
                            }
                        }
                    }
                });
            }
        });
    });
    address
}

/// Connections to the script that are free.
pub(super) type Idle = Rc<RefCell<Vec<Script>>>;

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, script: SocketAddr) {
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(1 << 20).initial_connection_window_size(1 << 22);
    builder.enable_connect_protocol();
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    let (idle, broken) = (Idle::default(), Rc::new(Notify::new()));
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept() => accepted,
            () = broken.notified() => return,
        };
        let Some(Ok((request, mut respond))) = accepted else { return };
        let (idle, broken) = (Rc::clone(&idle), Rc::clone(&broken));
        tokio::task::spawn_local(async move {
            if exchange(request, &mut respond, script, &idle).await.is_err() {
                broken.notify_one();
                // Without it the stream would be reset before the connection ends.
                std::future::pending::<()>().await;
            }
        });
    }
}

/// One exchange. An error: the script ended before a response began.
async fn exchange(
    request: Request<RecvStream>,
    respond: &mut SendResponse<Bytes>,
    script: SocketAddr,
    idle: &Idle,
) -> io::Result<()> {
    let free = idle.borrow_mut().pop();
    let lane = match free {
        Some(lane) => lane,
        None => Script::connect(script).await?,
    };
    let Script { mut reader, mut writer, input } = lane;
    let (parts, body) = request.into_parts();
    if parts.extensions.get::<Protocol>().is_some_and(|protocol| protocol.as_str() == "websocket") {
        return tunnel(&parts, body, respond, reader, writer).await;
    }
    let mut input = Input { bytes: input, at: 0 };
    let head_request = parts.method == http::Method::HEAD;
    let head = head_of(&parts, body.is_end_stream());
    let counted = parts.headers.contains_key("content-length");
    let upload = tokio::task::spawn_local(async move {
        writer.write_all(&head).await?;
        send_body(body, counted, &mut writer).await?;
        io::Result::Ok(writer)
    });
    let download = answer(&mut reader, &mut input, respond, head_request);
    let (ended, reusable) = download.await;
    let writer = if reusable && upload.is_finished() {
        upload.await.ok()
    } else {
        upload.abort();
        None
    };
    if let Some(Ok(writer)) = writer {
        let input = input.bytes.split_off(input.at);
        idle.borrow_mut().push(Script { reader, writer, input });
    }
    ended
}

/// A connection to the script.
pub(super) struct Script {
    pub(super) reader: OwnedReadHalf,
    pub(super) writer: OwnedWriteHalf,
    pub(super) input: Vec<u8>,
}

impl Script {
    pub(super) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        Ok(Self { reader, writer, input: Vec::new() })
    }
}

fn head_of(parts: &http::request::Parts, ends: bool) -> Vec<u8> {
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut head = format!("{} {target} HTTP/1.1\r\n", parts.method).into_bytes();
    if let Some(authority) = parts.uri.authority() {
        head.extend_from_slice(format!("host: {authority}\r\n").as_bytes());
    }
    for (name, value) in &parts.headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    if !ends && !parts.headers.contains_key("content-length") {
        head.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

async fn send_body(
    mut body: RecvStream,
    counted: bool,
    writer: &mut OwnedWriteHalf,
) -> io::Result<()> {
    if body.is_end_stream() {
        return Ok(());
    }
    while let Some(data) = body.data().await {
        let data = data.map_err(io::Error::other)?;
        if !counted && !data.is_empty() {
            writer.write_all(format!("{:x}\r\n", data.len()).as_bytes()).await?;
        }
        writer.write_all(&data).await?;
        if !counted && !data.is_empty() {
            writer.write_all(b"\r\n").await?;
        }
        let _ = body.flow_control().release_capacity(data.len());
    }
    let trailers = body.trailers().await.map_err(io::Error::other)?;
    if !counted {
        writer.write_all(b"0\r\n").await?;
        for (name, value) in trailers.iter().flatten() {
            let line = [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat();
            writer.write_all(&line).await?;
        }
        writer.write_all(b"\r\n").await?;
    }
    Ok(())
}

/// How much is read at once.
const READ_MAX: usize = 64 * 1024;

/// What was read of the script.
pub(super) struct Input {
    pub(super) bytes: Vec<u8>,
    pub(super) at: usize,
}

impl Input {
    /// Reads more; an error at the end.
    async fn more(&mut self, reader: &mut OwnedReadHalf) -> io::Result<()> {
        if self.at > 0 {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        self.bytes.reserve(READ_MAX);
        if reader.read_buf(&mut self.bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    pub(super) async fn until(
        &mut self,
        needle: &[u8],
        reader: &mut OwnedReadHalf,
    ) -> io::Result<Vec<u8>> {
        loop {
            let waiting = &self.bytes[self.at..];
            if let Some(place) = waiting.windows(needle.len()).position(|w| w == needle) {
                let taken = waiting[..place].to_vec();
                self.at += place + needle.len();
                return Ok(taken);
            }
            self.more(reader).await?;
        }
    }

    /// At least one byte and at most `n`.
    pub(super) async fn some(&mut self, n: u64, reader: &mut OwnedReadHalf) -> io::Result<Bytes> {
        while self.bytes.len() == self.at {
            self.more(reader).await?;
        }
        let n = usize::try_from(n).unwrap_or(usize::MAX).min(self.bytes.len() - self.at);
        let taken = Bytes::copy_from_slice(&self.bytes[self.at..self.at + n]);
        self.at += n;
        Ok(taken)
    }
}

/// Passes the answer on. The error of an answer that never began, and whether the script's
/// connection is at its boundary.
async fn answer(
    reader: &mut OwnedReadHalf,
    input: &mut Input,
    respond: &mut SendResponse<Bytes>,
    head_request: bool,
) -> (io::Result<()>, bool) {
    let response = loop {
        let head = tokio::select! {
            head = head(reader, input) => head,
            _ = std::future::poll_fn(|cx| respond.poll_reset(cx)) => return (Ok(()), false),
        };
        match head {
            Err(error) => return (Err(error), false),
            Ok(head) if head.status() == StatusCode::CONTINUE => {}
            Ok(head) if head.status().is_informational() => {
                let _ = respond.send_informational(head);
            }
            Ok(head) => break head,
        }
    };
    let chunked = response.headers().get("transfer-encoding").is_some();
    let length = response.headers().get("content-length");
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let mut response = response;
    for name in ["connection", "transfer-encoding", "keep-alive", "trailer"] {
        response.headers_mut().remove(name);
    }
    let bodiless = head_request
        || matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || length == Some(0);
    let Ok(mut stream) = respond.send_response(response, bodiless) else { return (Ok(()), false) };
    if bodiless {
        return (Ok(()), true);
    }
    let passed = pass(reader, input, &mut stream, chunked, length).await;
    if passed.is_err() {
        // What was sent has to leave before the reset, which would take it along.
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        stream.send_reset(Reason::INTERNAL_ERROR);
    }
    (Ok(()), passed.is_ok())
}

/// An extended CONNECT as the upgrade that the script knows, and its switch as the 200 that opens the
/// stream (RFC 8441 section 5). An answer that is no switch goes on as it is.
async fn tunnel(
    parts: &http::request::Parts,
    mut body: RecvStream,
    respond: &mut SendResponse<Bytes>,
    mut reader: OwnedReadHalf,
    mut writer: OwnedWriteHalf,
) -> io::Result<()> {
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut asked = format!(
        "GET {target} HTTP/1.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: {KEY}\r\n"
    );
    for (name, value) in &parts.headers {
        asked += &format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes()));
    }
    writer.write_all(format!("{asked}\r\n").as_bytes()).await?;
    let mut input = Input { bytes: Vec::new(), at: 0 };
    let mut response = head(&mut reader, &mut input).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let length = response.headers().get("content-length");
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let stream = respond.send_response(response, length == Some(0));
        let mut stream = stream.map_err(io::Error::other)?;
        let _ = pass(&mut reader, &mut input, &mut stream, false, length).await;
        return Ok(());
    }
    *response.status_mut() = StatusCode::OK;
    for name in ["connection", "upgrade", "sec-websocket-accept"] {
        response.headers_mut().remove(name);
    }
    let mut stream = respond.send_response(response, false).map_err(io::Error::other)?;
    let up = async {
        while let Some(data) = body.data().await {
            let data = data.map_err(io::Error::other)?;
            writer.write_all(&data).await?;
            let _ = body.flow_control().release_capacity(data.len());
        }
        writer.shutdown().await
    };
    let down = async {
        loop {
            match input.some(u64::MAX, &mut reader).await {
                Ok(piece) => send(&mut stream, piece, false).await?,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(error),
            }
        }
        stream.send_data(Bytes::new(), true).map_err(io::Error::other)
    };
    if tokio::try_join!(up, down).is_err() {
        stream.send_reset(Reason::CANCEL);
        let _ = SockRef::from(writer.as_ref()).set_linger(Some(Duration::ZERO));
        // Dropping it would end it in order first.
        writer.forget();
    }
    Ok(())
}

pub(super) async fn head(
    reader: &mut OwnedReadHalf,
    input: &mut Input,
) -> io::Result<Response<()>> {
    let text = input.until(b"\r\n\r\n", reader).await?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.get(9..12)?.parse::<u16>().ok());
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    let mut response = Response::new(());
    *response.status_mut() = status.ok_or_else(|| bad(&text))?;
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| bad(line))?;
        append(response.headers_mut(), name, value.trim())?;
    }
    if response.status().is_informational() {
        response.headers_mut().remove("connection");
    }
    Ok(response)
}

pub(super) fn append(map: &mut HeaderMap, name: &str, value: &str) -> io::Result<()> {
    let name = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes());
    let value = HeaderValue::from_bytes(value.as_bytes());
    map.append(name.map_err(|_| bad("name"))?, value.map_err(|_| bad("value"))?);
    Ok(())
}

async fn pass(
    reader: &mut OwnedReadHalf,
    input: &mut Input,
    stream: &mut h2::SendStream<Bytes>,
    chunked: bool,
    length: Option<u64>,
) -> io::Result<()> {
    if !chunked {
        let mut left = length.ok_or_else(|| bad("a body until the end"))?;
        while left > 0 {
            let piece = unless_reset(stream, input.some(left, reader)).await?;
            left -= piece.len() as u64;
            send(stream, piece, left == 0).await?;
        }
        return Ok(());
    }
    loop {
        let line = unless_reset(stream, input.until(b"\r\n", reader)).await?;
        let size = u64::from_str_radix(&String::from_utf8_lossy(&line), 16);
        let mut left = size.map_err(|_| bad("a chunk's size"))?;
        if left == 0 {
            break;
        }
        while left > 0 {
            let piece = unless_reset(stream, input.some(left, reader)).await?;
            left -= piece.len() as u64;
            send(stream, piece, false).await?;
        }
        unless_reset(stream, input.until(b"\r\n", reader)).await?;
    }
    let mut trailers = HeaderMap::new();
    loop {
        let line = unless_reset(stream, input.until(b"\r\n", reader)).await?;
        if line.is_empty() {
            break;
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        let (name, value) = line.split_once(':').ok_or_else(|| bad(&line))?;
        append(&mut trailers, name, value.trim())?;
    }
    if trailers.is_empty() {
        return stream.send_data(Bytes::new(), true).map_err(io::Error::other);
    }
    stream.send_trailers(trailers).map_err(io::Error::other)
}

/// What `read` yields, unless the stream is reset meanwhile.
async fn unless_reset<T>(
    stream: &mut h2::SendStream<Bytes>,
    read: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    tokio::select! {
        read = read => read,
        _ = std::future::poll_fn(|cx| stream.poll_reset(cx)) => {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
}

async fn send(stream: &mut h2::SendStream<Bytes>, mut piece: Bytes, ends: bool) -> io::Result<()> {
    while !piece.is_empty() {
        stream.reserve_capacity(piece.len());
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let room = room.ok_or(io::ErrorKind::BrokenPipe)?.map_err(io::Error::other)?;
        let part = piece.split_to(room.min(piece.len()));
        let last = ends && piece.is_empty();
        stream.send_data(part, last).map_err(io::Error::other)?;
    }
    Ok(())
}
