//! The client side of the benchmark's own parts: one request, plain or over TLS. The TLS client trusts
//! any certificate, because it measures servers and proves nothing to anybody, and it offers X25519 only,
//! the one group that all contenders have, so that every server does the same arithmetic.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use rustls::{
    CipherSuite, ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind,
    ProtocolVersion, SignatureScheme, StreamOwned,
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

/// A kind of handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shake {
    pub(crate) version: Version,
    pub(crate) beginning: Beginning,
    /// What the server signs with; the client takes both.
    pub(crate) key: KeyKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Tls12,
    Tls13,
}

/// Whether a handshake goes by an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    Full,
    Resumed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Ecdsa,
    Rsa,
}

impl Shake {
    /// In full, with a certificate of ECDSA.
    pub(crate) const TLS13: Self =
        Self { version: Version::Tls13, beginning: Beginning::Full, key: KeyKind::Ecdsa };
    pub(crate) const TLS12: Self = Self { version: Version::Tls12, ..Self::TLS13 };

    pub(crate) const fn rsa(self) -> Self {
        Self { key: KeyKind::Rsa, ..self }
    }

    pub(crate) const fn resumed(self) -> Self {
        Self { beginning: Beginning::Resumed, ..self }
    }

    /// For the generator's command line.
    pub(crate) fn words(self) -> [&'static str; 2] {
        let version = match self.version {
            Version::Tls12 => "1.2",
            Version::Tls13 => "1.3",
        };
        let beginning = match self.beginning {
            Beginning::Full => "full",
            Beginning::Resumed => "resumed",
        };
        [version, beginning]
    }

    /// The inverse of `words`; everything but "1.2" and "resumed" is what is usual.
    pub(crate) fn from_words(version: &str, beginning: &str) -> Self {
        let shake = if version == "1.2" { Self::TLS12 } else { Self::TLS13 };
        if beginning == "resumed" { shake.resumed() } else { shake }
    }
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body_bytes: u64,
}

/// Opens TCP connections and, over them, TLS sessions of one kind.
#[derive(Clone)]
pub(crate) struct Dialer {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    shake: Shake,
}

impl Dialer {
    /// In full, by TLS 1.3.
    pub(crate) fn new(port: u16) -> Result<Self, Failure> {
        Self::of(port, Shake::TLS13)
    }

    pub(crate) fn of(port: u16, shake: Shake) -> Result<Self, Failure> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(Self { address, tls: Arc::new(config_for(shake)?), shake })
    }

    /// For a first session, which those of this dialer then resume.
    pub(crate) fn first(&self) -> Self {
        Self { shake: Shake { beginning: Beginning::Full, ..self.shake }, ..self.clone() }
    }

    pub(crate) fn plain(&self) -> Result<TcpStream, Failure> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// A connection with its handshake done; one of another kind or by another protocol is a failure.
    pub(crate) fn tls(&self) -> Result<StreamOwned<ClientConnection, TcpStream>, Failure> {
        let name = ServerName::try_from("localhost")?;
        let session = ClientConnection::new(Arc::clone(&self.tls), name)?;
        let mut stream = StreamOwned::new(session, self.plain()?);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).during("shaking hands")?;
        }
        let beginning = match stream.conn.handshake_kind() {
            Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest) => Beginning::Full,
            _ => Beginning::Resumed,
        };
        let version = match self.shake.version {
            Version::Tls12 => ProtocolVersion::TLSv1_2,
            Version::Tls13 => ProtocolVersion::TLSv1_3,
        };
        let spoken = stream.conn.protocol_version();
        if beginning != self.shake.beginning || spoken != Some(version) {
            let wanted = self.shake;
            let what = format!("a handshake was {beginning:?} by {spoken:?} instead of {wanted:?}");
            return Err(Failure::new(what));
        }
        Ok(stream)
    }
}

/// TLS 1.3 as all clients here speak it, over TCP and over QUIC.
pub(crate) fn tls_config() -> Result<ClientConfig, Failure> {
    config_for(Shake::TLS13)
}

fn config_for(shake: Shake) -> Result<ClientConfig, Failure> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    if shake.version == Version::Tls12 {
        // There the curve of an ECDSA certificate has to be among the groups (RFC 8422 section 5.1.1). All
        // servers here choose X25519.
        provider.kx_groups.push(aws_lc_rs::kx_group::SECP256R1);
    }
    // As browsers do. Who goes by the client's order, or by its own, then takes the same one.
    let first = [
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ];
    provider.cipher_suites.sort_by_key(|suite| !first.contains(&suite.suite()));
    let version = match shake.version {
        Version::Tls12 => &rustls::version::TLS12,
        Version::Tls13 => &rustls::version::TLS13,
    };
    let mut tls = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    tls.resumption = match shake.beginning {
        Beginning::Full => Resumption::disabled(),
        Beginning::Resumed => Resumption::in_memory_sessions(1),
    };
    Ok(tls)
}

/// Sends a request and reads its whole response.
pub(crate) fn ask(stream: &mut (impl Read + Write), request: &[u8]) -> Result<Answer, Failure> {
    stream.write_all(request).during("sending a request")?;
    stream.flush()?;
    read_answer(stream)
}

/// The request of a measurement that is made here: the connection is kept.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
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
        vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::RSA_PSS_SHA256]
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
