//! The client side of the benchmark's own parts: one request, plain or over TLS 1.3. The TLS client trusts
//! any certificate, because it measures servers and proves nothing to anybody, and it offers X25519 only,
//! the one group that all contenders have, so that every server does the same arithmetic.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, ProtocolVersion,
    SignatureScheme, StreamOwned,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::failure::{During, Failure};

/// A server that says nothing for this long has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest response head accepted.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How a client reaches a contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Plain,
    Tls,
}

impl Wire {
    /// The inverse of `word`; everything but "tls" is plain.
    pub(crate) fn from_word(word: &str) -> Self {
        if word == "tls" { Self::Tls } else { Self::Plain }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tls => "tls",
        }
    }
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body_bytes: u64,
}

/// Opens TCP connections and, over them, TLS sessions that are never resumed.
#[derive(Clone)]
pub(crate) struct Dialer {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
}

impl Dialer {
    pub(crate) fn new(port: u16) -> Result<Self, Failure> {
        let mut provider = aws_lc_rs::default_provider();
        provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
        let mut tls = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate))
            .with_no_client_auth();
        tls.resumption = Resumption::disabled();
        Ok(Self { address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), tls: Arc::new(tls) })
    }

    pub(crate) fn plain(&self) -> Result<TcpStream, Failure> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// A connection with its handshake done; a resumed session or an older protocol is a failure.
    pub(crate) fn tls(&self) -> Result<StreamOwned<ClientConnection, TcpStream>, Failure> {
        let name = ServerName::try_from("localhost")?;
        let session = ClientConnection::new(Arc::clone(&self.tls), name)?;
        let mut stream = StreamOwned::new(session, self.plain()?);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).during("shaking hands")?;
        }
        let full = matches!(
            stream.conn.handshake_kind(),
            Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest)
        );
        if !full || stream.conn.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
            return Err(Failure::new("the handshake was not a full one of TLS 1.3"));
        }
        Ok(stream)
    }
}

/// Sends a request and reads its whole response.
pub(crate) fn ask(stream: &mut (impl Read + Write), request: &[u8]) -> Result<Answer, Failure> {
    stream.write_all(request).during("sending a request")?;
    stream.flush()?;
    read_answer(stream)
}

/// The request of a measurement that is made here: a small body, the connection kept.
pub(crate) fn get(bytes: u64) -> Vec<u8> {
    format!("GET /b/{bytes} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

fn read_answer(stream: &mut impl Read) -> Result<Answer, Failure> {
    let mut buffer = [0; HEAD_BYTES_MAX];
    let mut filled = 0;
    let head_end = loop {
        let count = stream.read(&mut buffer[filled..]).during("reading a response")?;
        if count == 0 {
            return Err(Failure::new("the connection ended before a response's head did"));
        }
        filled += count;
        if let Some(end) = buffer[..filled].windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let (status, length) = read_head(&buffer[..head_end])
        .ok_or_else(|| Failure::new("the response has no status or no content-length"))?;
    let mut body_bytes = (filled - head_end) as u64;
    while body_bytes < length {
        let count = stream.read(&mut buffer).during("reading a body")?;
        if count == 0 {
            return Err(Failure::new(format!("the body ended at {body_bytes} of {length} bytes")));
        }
        body_bytes += count as u64;
    }
    Ok(Answer { status, body_bytes })
}

fn read_head(head: &[u8]) -> Option<(u16, u64)> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    })?;
    Some((status, length))
}

/// Takes every certificate and every signature of it.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(response: &str, wanted: Option<(u16, u64)>) {
        let read = read_answer(&mut response.as_bytes()).ok();
        assert_eq!(read.map(|answer| (answer.status, answer.body_bytes)), wanted, "{response:?}");
    }

    #[test]
    fn counts_a_body_to_its_end() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", Some((200, 3)));
        check("HTTP/1.1 404 Not Found\r\na: b\r\ncontent-length:0\r\n\r\n", Some((404, 0)));
        check("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", None);
        check("HTTP/1.1 200 OK\r\n\r\nabc", None);
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", None);
        check("", None);
    }
}
