//! TLS 1.3 in QUIC (RFC 9001), with the settings of the site that the client asks for.
//!
//! The library takes one configuration for all connections. Ours depends on the server name, as it
//! does over TCP, so a session waits for the client's first message, asks the listener's
//! [`ServerTls`] and only then begins.

use std::any::Any;
use std::io::Cursor;
use std::sync::Arc;

use quinn::crypto::{
    ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, ServerConfig, Session,
    UnsupportedVersion,
};
use quinn::{ConnectionId, Side, TransportErrorCode, crypto::rustls::QuicServerConfig};
use quinn_proto::TransportError;
use quinn_proto::transport_parameters::TransportParameters;
use rustls::HandshakeKind;
use rustls::quic::{Connection, KeyChange, Secrets, ServerConnection, Suite, Version};
use rustls::server::Acceptor;
use rustls_pki_types::CertificateDer;

use crate::tls::{ServerTls, SiteClients, UNRECOGNIZED_NAME_ALERT, provider};

/// Alerts that we raise by ourselves (RFC 8446 section 6).
const DECODE_ERROR: u8 = 50;
const INTERNAL_ERROR: u8 = 80;
const NO_APPLICATION_PROTOCOL: u8 = 120;
/// The most that a TLS record holds (RFC 8446 section 5.1).
const RECORD_MAX: usize = 16 * 1024;

/// What a finished handshake settled.
pub(super) struct Settled {
    pub(super) server_name: Option<Box<str>>,
    pub(super) resumed: bool,
    /// Whether early data is read.
    pub(super) is_early: bool,
    /// What the client showed.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// The rules that it was checked by.
    pub(super) clients: Option<SiteClients>,
}

/// Begins the sessions of a listener.
pub(super) struct Listener {
    tls: Arc<ServerTls>,
    /// For what comes before any session: keys of first packets, and Retry.
    base: QuicServerConfig,
    suite: Suite,
}

impl Listener {
    /// `None` if the cryptography lacks the suite that QUIC begins with.
    pub(super) fn new(tls: &Arc<ServerTls>) -> Option<Self> {
        let config = Arc::clone(tls.config());
        // Of all suites, not of the listener's policy: first packets have this one whatever is negotiated
        // (RFC 9001 section 5.2).
        let suite = provider().cipher_suites.iter().find_map(|suite| {
            let is_initial = suite.suite() == rustls::CipherSuite::TLS13_AES_128_GCM_SHA256;
            suite.tls13().filter(|_| is_initial)?.quic_suite()
        })?;
        let base = QuicServerConfig::with_initial(config, suite).ok()?;
        Some(Self { tls: Arc::clone(tls), base, suite })
    }
}

impl ServerConfig for Listener {
    fn initial_keys(&self, version: u32, id: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        self.base.initial_keys(version, id)
    }

    fn retry_tag(&self, version: u32, id: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.base.retry_tag(version, id, packet)
    }

    fn start_session(
        self: Arc<Self>,
        _: u32,
        parameters: &TransportParameters,
    ) -> Box<dyn Session> {
        let mut encoded = Vec::new();
        parameters.write(&mut encoded);
        Box::new(Handshake {
            tls: Arc::clone(&self.tls),
            suite: self.suite,
            state: State::Waiting(Waiting {
                acceptor: Acceptor::default(),
                hello: Vec::new(),
                parameters: encoded,
            }),
            next: None,
            was_told: false,
        })
    }
}

struct Handshake {
    tls: Arc<ServerTls>,
    suite: Suite,
    state: State,
    next: Option<Secrets>,
    /// Whether the library knows that the server name is there.
    was_told: bool,
}

enum State {
    /// For the client's first message.
    Waiting(Waiting),
    Begun(Begun),
}

/// A session, and the rules for certificates of clients that it began under.
struct Begun {
    session: Connection,
    clients: Option<SiteClients>,
}

struct Waiting {
    acceptor: Acceptor,
    /// What was read so far; the library bounds it (its buffer for CRYPTO frames).
    hello: Vec<u8>,
    parameters: Vec<u8>,
}

impl Waiting {
    /// Reads on in the first message; gives the connection that it chose once it is whole.
    fn read(&mut self, bytes: &[u8], tls: &ServerTls) -> Result<Option<Begun>, TransportError> {
        self.hello.extend_from_slice(bytes);
        for part in bytes.chunks(RECORD_MAX) {
            // QUIC carries messages bare; the acceptor reads them from records.
            let [.., high, low] = part.len().to_be_bytes();
            let mut record = vec![22, 3, 3, high, low];
            record.extend_from_slice(part);
            let mut input = Cursor::new(record);
            self.acceptor.read_tls(&mut input).map_err(|_| alert(INTERNAL_ERROR, "record"))?;
        }
        let accepted = match self.acceptor.accept() {
            Ok(None) => return Ok(None),
            Ok(Some(accepted)) => accepted,
            Err((error, _)) => return Err(alert(DECODE_ERROR, &error.to_string())),
        };
        let configs = tls
            .configs(&accepted.client_hello())
            .map_err(|error| alert(UNRECOGNIZED_NAME_ALERT[6], &error.to_string()))?;
        let offered = configs.quic.clone();
        let config =
            offered.ok_or_else(|| alert(NO_APPLICATION_PROTOCOL, "HTTP/3 is not offered here"))?;
        let parameters = std::mem::take(&mut self.parameters);
        let mut begun = ServerConnection::new(config, Version::V1, parameters)
            .map(Connection::Server)
            .map_err(|error| alert(INTERNAL_ERROR, &error.to_string()))?;
        read(&mut begun, &std::mem::take(&mut self.hello))?;
        Ok(Some(Begun { session: begun, clients: configs.clients.clone() }))
    }
}

fn alert(description: u8, reason: &str) -> TransportError {
    let code = TransportErrorCode::crypto(description);
    TransportError { code, frame: None, reason: reason.to_owned() }
}

fn read(session: &mut Connection, bytes: &[u8]) -> Result<(), TransportError> {
    session.read_hs(bytes).map_err(|error| match session.alert() {
        Some(description) => alert(description.into(), &error.to_string()),
        None => TransportError {
            code: TransportErrorCode::PROTOCOL_VIOLATION,
            frame: None,
            reason: error.to_string(),
        },
    })
}

impl Handshake {
    const fn begun(&self) -> Option<&Connection> {
        match &self.state {
            State::Waiting(_) => None,
            State::Begun(begun) => Some(&begun.session),
        }
    }
}

impl Session for Handshake {
    fn initial_keys(&self, id: &ConnectionId, side: Side) -> Keys {
        keys(self.suite.keys(id, side.into(), Version::V1))
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        let State::Begun(Begun { session, clients }) = &self.state else { return None };
        let server_name = match session {
            Connection::Server(server) => server.server_name(),
            Connection::Client(_) => None,
        };
        Some(Box::new(Settled {
            server_name: server_name.map(|name| name.to_ascii_lowercase().into()),
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
            is_early: session.zero_rtt_keys().is_some(),
            chain: session.peer_certificates().unwrap_or_default().to_vec(),
            clients: clients.clone(),
        }))
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        None
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        let keys = self.begun()?.zero_rtt_keys()?;
        Some((Box::new(keys.header), Box::new(keys.packet)))
    }

    fn early_data_accepted(&self) -> Option<bool> {
        None
    }

    fn is_handshaking(&self) -> bool {
        self.begun().is_none_or(|session| session.is_handshaking())
    }

    fn read_handshake(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        match &mut self.state {
            State::Begun(begun) => read(&mut begun.session, bytes)?,
            State::Waiting(waiting) => match waiting.read(bytes, &self.tls)? {
                Some(begun) => self.state = State::Begun(begun),
                None => return Ok(false),
            },
        }
        Ok(!std::mem::replace(&mut self.was_told, true))
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        let encoded = self.begun().and_then(|session| session.quic_transport_parameters());
        let Some(encoded) = encoded else { return Ok(None) };
        let parameters = TransportParameters::read(Side::Server, &mut Cursor::new(encoded))?;
        Ok(Some(parameters))
    }

    fn write_handshake(&mut self, out: &mut Vec<u8>) -> Option<Keys> {
        let State::Begun(Begun { session, .. }) = &mut self.state else { return None };
        match session.write_hs(out)? {
            KeyChange::Handshake { keys: new } => Some(keys(new)),
            KeyChange::OneRtt { keys: new, next } => {
                self.next = Some(next);
                Some(keys(new))
            }
        }
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        let new = self.next.as_mut()?.next_packet_keys();
        Some(KeyPair { local: Box::new(new.local), remote: Box::new(new.remote) })
    }

    fn is_valid_retry(&self, _: &ConnectionId, _: &[u8], _: &[u8]) -> bool {
        // Only clients receive Retry.
        false
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        let session = self.begun().ok_or(ExportKeyingMaterialError)?;
        session
            .export_keying_material(output, label, Some(context))
            .map(|_| ())
            .map_err(|_| ExportKeyingMaterialError)
    }
}

fn keys(keys: rustls::quic::Keys) -> Keys {
    Keys {
        header: KeyPair {
            local: Box::new(keys.local.header),
            remote: Box::new(keys.remote.header),
        },
        packet: KeyPair {
            local: Box::new(keys.local.packet),
            remote: Box::new(keys.remote.packet),
        },
    }
}
