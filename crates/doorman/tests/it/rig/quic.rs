//! HTTP/3 in front of an origin whose script speaks HTTP/1.1, as [`super::bridge`] is for HTTP/2. It is
//! written on QUIC and frames by hand, and shares nothing with the proxy.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use doorman_testkit::h3::frames::{self, kind, varint};
use doorman_testkit::h3::origin::{Asked, Piece, QuicOrigin, Reading, Reply, Setup, Visit};
use rustls::ServerConfig;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;

use super::bridge::{Idle, Input, Script, head};
use super::wire::bad;

/// How long the end of a request is waited for behind its head: it comes with it, if it has no body.
const END_WAIT: Duration = Duration::from_millis(20);
const INTERNAL_ERROR: u32 = 0x102;

/// Puts HTTP/3 in front of the origin at `script`; where it is.
pub(crate) fn before(script: SocketAddr, tls: Arc<ServerConfig>) -> QuicOrigin {
    QuicOrigin::start(Setup::new(tls), move |visit| serve(visit, script))
}

async fn serve(visit: Visit, script: SocketAddr) {
    let visit = Rc::new(visit);
    let (idle, broken) = (Idle::default(), Rc::new(Notify::new()));
    loop {
        let asked = tokio::select! {
            asked = visit.asked() => asked,
            () = broken.notified() => return visit.close(INTERNAL_ERROR),
        };
        let Some(asked) = asked else { return };
        let (visit, idle, broken) = (Rc::clone(&visit), Rc::clone(&idle), Rc::clone(&broken));
        tokio::task::spawn_local(async move {
            if exchange(&visit, asked, script, &idle).await.is_err() {
                broken.notify_one();
                // Without it the stream would be cut before the connection ends.
                std::future::pending::<()>().await;
            }
        });
    }
}

/// One exchange. An error: the script ended before a response began.
async fn exchange(visit: &Visit, asked: Asked, script: SocketAddr, idle: &Idle) -> io::Result<()> {
    let Asked { mut reply, mut reading, .. } = asked;
    let Ok(Some(Piece::Fields(fields))) = reading.piece().await else { return Ok(()) };
    let free = idle.borrow_mut().pop();
    let Script { mut reader, mut writer, input } = match free {
        Some(lane) => lane,
        None => Script::connect(script).await?,
    };
    let mut input = Input { bytes: input, at: 0 };
    let field = |name: &str| fields.iter().find(|(other, _)| other == name);
    let head_request = field(":method").is_some_and(|(_, method)| method == "HEAD");
    let counted = field("content-length").is_some();
    let first = tokio::time::timeout(END_WAIT, reading.piece()).await;
    let has_body = !matches!(first, Ok(Ok(None)));
    let head = head_of(&fields, has_body && !counted);
    let first = first.ok();
    let upload = tokio::task::spawn_local(async move {
        writer.write_all(&head).await?;
        if has_body {
            send_body(first, &mut reading, counted, &mut writer).await?;
        }
        io::Result::Ok(writer)
    });
    let gone = reply.stopped();
    tokio::pin!(gone);
    let answered = tokio::select! {
        answered = answer(&mut reader, &mut input, &mut reply, head_request) => Some(answered),
        _ = &mut gone => None,
    };
    let reusable = matches!(answered, Some(Ok(())));
    let mut ended = Ok(());
    match answered {
        None => {}
        Some(Ok(())) => {
            reply.finish();
            // Until the client has all of it the stream must not be dropped.
            tokio::task::spawn_local(async move {
                reply.stopped().await;
                drop(reply);
            });
        }
        Some(Err(Broken::Head(error))) => ended = Err(error),
        Some(Err(Broken::Body)) => {
            visit.settle().await;
            reply.reset(INTERNAL_ERROR);
        }
    }
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

fn head_of(fields: &[(String, String)], chunked: bool) -> Vec<u8> {
    let pseudo = |name: &str| {
        fields.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value.as_str())
    };
    let mut head = format!("{} {} HTTP/1.1\r\n", pseudo(":method"), pseudo(":path"));
    head += &format!("host: {}\r\n", pseudo(":authority"));
    for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with(':')) {
        head += &format!("{name}: {value}\r\n");
    }
    if chunked {
        head += "transfer-encoding: chunked\r\n";
    }
    head += "\r\n";
    head.into_bytes()
}

async fn send_body(
    first: Option<io::Result<Option<Piece>>>,
    reading: &mut Reading,
    counted: bool,
    writer: &mut OwnedWriteHalf,
) -> io::Result<()> {
    let mut next = first;
    let mut trailers = Vec::new();
    loop {
        let piece = match next.take() {
            Some(piece) => piece?,
            None => reading.piece().await?,
        };
        match piece {
            None => break,
            Some(Piece::Fields(fields)) => trailers = fields,
            Some(Piece::Data(data)) if counted => writer.write_all(&data).await?,
            Some(Piece::Data(data)) => {
                writer.write_all(format!("{:x}\r\n", data.len()).as_bytes()).await?;
                writer.write_all(&data).await?;
                writer.write_all(b"\r\n").await?;
            }
        }
    }
    if !counted {
        writer.write_all(b"0\r\n").await?;
        for (name, value) in trailers {
            writer.write_all(format!("{name}: {value}\r\n").as_bytes()).await?;
        }
        writer.write_all(b"\r\n").await?;
    }
    Ok(())
}

/// Where a script ended too early.
enum Broken {
    Head(io::Error),
    Body,
}

/// Passes the answer on.
async fn answer(
    reader: &mut OwnedReadHalf,
    input: &mut Input,
    reply: &mut Reply,
    head_request: bool,
) -> Result<(), Broken> {
    let response = loop {
        let head = head(reader, input).await.map_err(Broken::Head)?;
        let status = head.status();
        if !status.is_informational() {
            break head;
        }
        if status.as_u16() != 100 {
            say(reply, &head).await.map_err(|_| Broken::Body)?;
        }
    };
    let field = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let chunked = field("transfer-encoding").is_some();
    let length = field("content-length").and_then(|length| length.parse::<u64>().ok());
    let bodiless = head_request || matches!(response.status().as_u16(), 204 | 304);
    say(reply, &response).await.map_err(|_| Broken::Body)?;
    if bodiless {
        return Ok(());
    }
    pass(reader, input, reply, chunked, length).await.map_err(|_| Broken::Body)
}

async fn say(reply: &mut Reply, head: &http::Response<()>) -> io::Result<()> {
    let status = head.status().as_u16().to_string();
    let mut fields = vec![(":status", &*status)];
    for (name, value) in head.headers() {
        let of_hop = ["connection", "transfer-encoding", "keep-alive", "trailer"];
        if !of_hop.contains(&name.as_str()) {
            fields.push((name.as_str(), value.to_str().map_err(io::Error::other)?));
        }
    }
    reply.send(&frames::headers(&fields)).await
}

async fn pass(
    reader: &mut OwnedReadHalf,
    input: &mut Input,
    reply: &mut Reply,
    chunked: bool,
    length: Option<u64>,
) -> io::Result<()> {
    if !chunked {
        let mut left = length.ok_or_else(|| bad("a body until the end"))?;
        while left > 0 {
            let piece = input.some(left, reader).await?;
            left -= piece.len() as u64;
            data(reply, &piece).await?;
        }
        return Ok(());
    }
    loop {
        let line = input.until(b"\r\n", reader).await?;
        let size = u64::from_str_radix(&String::from_utf8_lossy(&line), 16);
        let mut left = size.map_err(|_| bad("a chunk's size"))?;
        if left == 0 {
            break;
        }
        while left > 0 {
            let piece = input.some(left, reader).await?;
            left -= piece.len() as u64;
            data(reply, &piece).await?;
        }
        input.until(b"\r\n", reader).await?;
    }
    let mut trailers = Vec::new();
    loop {
        let line = input.until(b"\r\n", reader).await?;
        if line.is_empty() {
            break;
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        let (name, value) = line.split_once(':').ok_or_else(|| bad(&line))?;
        trailers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    if trailers.is_empty() {
        return Ok(());
    }
    let trailers: Vec<_> = trailers.iter().map(|(name, value)| (&**name, &**value)).collect();
    reply.send(&frames::headers(&trailers)).await
}

async fn data(reply: &mut Reply, piece: &[u8]) -> io::Result<()> {
    let mut head = varint(kind::DATA);
    head.extend(varint(piece.len() as u64));
    reply.send(&head).await?;
    reply.send(piece).await
}
