//! Requests over HTTP/3 (RFC 9114), on a connection each. QUIC is the `quinn` crate's; frames and field
//! sections are written by hand, because no client would send what the suite sends.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use doorman_h3::{
    Code, Limits, MessageReader, Piece, RequestFault, Sender, read_request, read_response,
    write_client_preface, write_data_head,
};
use doorman_http::{FieldId, RequestHead, ResponseHead, integer};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, ReadError, RecvStream, VarInt};
use tokio::runtime::{Builder, Runtime};

use super::h1::{Answered, WAIT};
use super::message::{self, Refused};
use super::translate::{Field, Request};
use crate::failure::{During, Failure};
use crate::wire;

/// How long closed connections may linger at the end.
const LEAVE: Duration = Duration::from_secs(1);

/// Type of a HEADERS frame (section 7.2.2).
const HEADERS: u8 = 1;

/// A socket, and what drives it while somebody waits.
pub(crate) struct Client {
    endpoint: Endpoint,
    runtime: Runtime,
}

impl Client {
    /// # Errors
    /// What the system says.
    pub(crate) fn new() -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut tls = wire::tls_config()?;
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
        let entered = runtime.enter();
        let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())
            .during("opening a socket for QUIC")?;
        drop(entered);
        endpoint.set_default_client_config(config);
        Ok(Self { endpoint, runtime })
    }

    /// Sends a request, and reads until the answer's head is there, or the stream has ended.
    ///
    /// # Errors
    /// There is no server at the address, or none that speaks HTTP/3.
    pub(crate) fn send(&self, server: SocketAddr, request: &Request) -> Result<Answered, Failure> {
        self.runtime.block_on(async {
            let connecting = self.endpoint.connect(server, "localhost")?;
            let connection = tokio::time::timeout(WAIT, connecting).await;
            let connection = connection.during("connecting")?.during("connecting")?;
            let answered = tokio::time::timeout(WAIT, exchange(&connection, request)).await;
            connection.close(VarInt::from_u32(Code::NoError.number()), b"");
            // A connection that ended, or an answer that does not come: what came until then counts.
            Ok(answered.ok().and_then(Result::ok).unwrap_or_default())
        })
    }
}

impl Drop for Client {
    /// Lets the last connection say that it is closed: a server that ends waits for those that are not.
    fn drop(&mut self) {
        let idle = self.endpoint.wait_idle();
        _ = self.runtime.block_on(async { tokio::time::timeout(LEAVE, idle).await });
    }
}

async fn exchange(connection: &Connection, request: &Request) -> Result<Answered, Failure> {
    let mut control = connection.open_uni().await?;
    let mut preface = Vec::new();
    write_client_preface(limits().section_bytes, &mut preface);
    control.write_all(&preface).await?;
    let (mut sending, mut receiving) = connection.open_bi().await?;
    let message = message(request);
    let send = async {
        // A server that refuses early need not take all; its answer is what counts.
        if sending.write_all(&message).await.is_ok() {
            _ = sending.finish();
        }
        std::future::pending().await
    };
    tokio::select! {
        answered = receive(&mut receiving) => answered,
        never = send => never,
    }
}

async fn receive(stream: &mut RecvStream) -> Result<Answered, Failure> {
    let limits = limits();
    let mut reader = MessageReader::of(Sender::Server, limits.section_bytes);
    loop {
        let mut bytes = match stream.read_chunk(usize::MAX, true).await {
            Ok(Some(chunk)) => chunk.bytes,
            Ok(None) => return Ok(Answered::default()),
            Err(ReadError::Reset(code)) => {
                let is_reset = code == VarInt::from_u32(Code::MessageError.number());
                return Ok(Answered { is_reset, ..Answered::default() });
            }
            Err(error) => return Err(error.into()),
        };
        while let Some(piece) =
            reader.read(&mut bytes).map_err(|fault| Failure::new(fault.reason))?
        {
            let Piece::Section(section) = piece else { continue };
            let mut head = ResponseHead::new(200);
            read_response(&section, &limits, &mut head)
                .map_err(|fault| Failure::new(format!("{fault:?}")))?;
            if head.status >= 200 {
                let id = head.fields.first(FieldId::XRequestId);
                let request_id = id.map(|id| String::from_utf8_lossy(id).into_owned());
                let status = Some(head.status);
                return Ok(Answered { status, request_id, ..Answered::default() });
            }
        }
    }
}

/// All of a request stream.
fn message(request: &Request) -> Vec<u8> {
    let section = section(&request.fields);
    let mut bytes = vec![HEADERS];
    varint(section.len(), &mut bytes);
    bytes.extend_from_slice(&section);
    if !request.content.is_empty() {
        write_data_head(request.content.len() as u64, &mut bytes);
        bytes.extend_from_slice(&request.content);
    }
    bytes
}

/// A length in four bytes, which a QUIC integer may have though fewer would do (RFC 9000 section 16).
fn varint(length: usize, into: &mut Vec<u8>) {
    let length = u32::try_from(length).unwrap_or(u32::MAX).min((1 << 30) - 1);
    into.extend_from_slice(&(length | 2 << 30).to_be_bytes());
}

/// Literals with literal names, and no table (RFC 9204 section 4.5.6).
fn section(fields: &[Field]) -> Vec<u8> {
    let mut section = vec![0, 0];
    for (name, value) in fields {
        integer::write(name.len() as u64, 3, 0x20, &mut section);
        section.extend_from_slice(name);
        integer::write(value.len() as u64, 7, 0, &mut section);
        section.extend_from_slice(value);
    }
    section
}

fn limits() -> Limits {
    let limits = doorman_h1::Limits::default();
    Limits { section_bytes: limits.head_bytes, fields: limits.fields }
}

/// Whether the house's own parser takes what [`Client::send`] sends. Of the content the codec knows nothing
/// but its length; a server compares it with the declared one.
pub(crate) fn judge(request: &Request) -> Result<(), Refused> {
    let mut head = RequestHead::default();
    let malformed = |reason| Refused { status: 400, reason, is_reset: true };
    let length = read_request(&section(&request.fields), &limits(), &mut head);
    let length = length.map_err(|fault| match fault {
        RequestFault::Connection(fault) => malformed(fault.reason),
        RequestFault::Malformed(reason) => malformed(reason),
        RequestFault::Refused(status, reason) => Refused { status, reason, is_reset: false },
    })?;
    match length {
        Some(length) if length != request.content.len() as u64 => Err(malformed(message::CUT)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_judged(request: &Request, expected: Option<(u16, &str, bool)>) {
        let told = judge(request).err();
        assert_eq!(told.map(|told| (told.status, told.reason, told.is_reset)), expected);
    }

    #[test]
    fn the_house_judges() {
        check_judged(&Request::post(&[], b""), None);
        check_judged(&Request::post(&[("a-name-of-some-length", "b")], b"abc"), None);
        check_judged(&Request::post(&[("content-length", "3")], b"abc"), None);
        check_judged(
            &Request::post(&[("content-length", "4")], b"abc"),
            Some((400, message::CUT, true)),
        );
        check_judged(
            &Request::post(&[("connection", "close")], b""),
            Some((400, "connection-specific field in HTTP/3", true)),
        );
        check_judged(
            &Request::post(&[("expect", "a")], b""),
            Some((417, "Expect other than 100-continue", false)),
        );
    }

    #[test]
    fn the_house_reads_what_is_written() {
        let request = Request::post(&[("a", &"v".repeat(20_000))], &[b'c'; 100_000]);
        let mut bytes = message(&request).into();
        let mut reader = MessageReader::new(limits().section_bytes);
        let (mut sections, mut content) = (Vec::new(), 0);
        while let Some(piece) = reader.read(&mut bytes).expect("frames") {
            match piece {
                Piece::Section(read) => sections.push(read.to_vec()),
                Piece::Content(piece) => content += piece.len(),
                Piece::TooLarge => panic!("a section too large"),
            }
        }
        assert_eq!(sections, [section(&request.fields)]);
        assert_eq!(content, request.content.len());
    }
}
