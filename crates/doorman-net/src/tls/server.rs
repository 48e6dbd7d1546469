//! What a listener negotiates: one immutable value, made at start and at each reload.
//!
//! The configuration inside is shared by all cores. Only tickets of an equal realm (a listener's name and every setting
//! that a resumed session would otherwise slip past) are opened, so that a reload keeps sessions, while a stricter
//! listener never takes one of a laxer.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::ServerConfig;
use rustls::server::{ClientHello, NoServerSessionStorage};
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};

use super::name::{CertificateName, Folded};
use super::table::Certificates;
use super::ticket::{REALM_BYTES, TicketKeys};

/// How many TLS 1.3 tickets follow a full or resumed handshake. One: each costs about 3 % of a handshake's CPU and 174
/// bytes on the wire, each resumption brings the next, and clients that open many connections at once speak HTTP/2 or
/// ask for more.
const TICKETS: usize = 1;

/// How many tickets a client gets when it asks (RFC 9149). A browser opens up to six HTTP/1.1 connections at once; four
/// keep the answer in one segment.
const TICKETS_ASKED_MAX: usize = 4;

/// The fatal alert `unrecognized_name` (RFC 6066 section 3) as a plaintext record, to be written to the socket when
/// [`ServerTls::choose`] refuses.
pub const UNRECOGNIZED_NAME_ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// The oldest version of TLS that is spoken. Nothing older than 1.2 exists here (RFC 8996).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MinimumVersion {
    /// TLS 1.2 and 1.3.
    #[default]
    Tls12,
    /// TLS 1.3 only.
    Tls13,
}

impl MinimumVersion {
    pub(super) fn versions(self) -> &'static [&'static rustls::SupportedProtocolVersion] {
        static FROM_TLS12: [&rustls::SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        static FROM_TLS13: [&rustls::SupportedProtocolVersion; 1] = [&TLS13];
        match self {
            Self::Tls12 => &FROM_TLS12,
            Self::Tls13 => &FROM_TLS13,
        }
    }
}

/// What a listener negotiates.
#[derive(Clone, Debug)]
pub struct ServerTlsOptions {
    /// What the listener is called, for instance its address. Sessions do not pass from one name to another.
    pub realm: String,
    /// The oldest version.
    pub minimum: MinimumVersion,
    /// The application protocols, best first, for instance `h2` and `http/1.1`. Without any, none is negotiated. With
    /// some, a client that offers only others is refused with `no_application_protocol` (RFC 7301 section 3.2).
    pub alpn: Vec<Vec<u8>>,
    /// The most bytes of plaintext in a record; `None` for the 16 KiB of the protocol.
    pub record_bytes_max: Option<usize>,
    /// The time.
    pub clock: Arc<dyn TimeProvider>,
}

/// A listener's TLS. Cloning copies the tables of its sites; share it in an `Arc`.
#[derive(Clone, Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
    options: ServerTlsOptions,
    tickets: Arc<TicketKeys>,
    exact: HashMap<Box<str>, Arc<ServerConfig>>,
    wildcard: HashMap<Box<str>, Arc<ServerConfig>>,
}

impl ServerTls {
    /// Makes a listener's TLS from its options, its certificates, and the process's ticket keys.
    ///
    /// # Errors
    ///
    /// When an option is out of the protocol's range.
    pub fn new(
        options: ServerTlsOptions,
        certificates: Arc<Certificates>,
        tickets: &Arc<TicketKeys>,
    ) -> Result<Self, ServerTlsError> {
        let config = configure(&options, &certificates, tickets)?;
        let tickets = Arc::clone(tickets);
        let (exact, wildcard) = (HashMap::new(), HashMap::new());
        Ok(Self { config, certificates, options, tickets, exact, wildcard })
    }

    /// Gives the names of one site an oldest version and protocols of their own. [`Self::choose`] finds them, exact
    /// names before wildcards. Where sites of a listener differ, add all of them, or a wildcard's settings will rule
    /// the names below it. Clients that send no name (all that ask for an address) get the listener's own.
    ///
    /// # Errors
    ///
    /// When a protocol name is out of the protocol's range.
    pub fn with_site(
        mut self,
        names: &[CertificateName],
        minimum: MinimumVersion,
        alpn: Vec<Vec<u8>>,
    ) -> Result<Self, ServerTlsError> {
        let options = ServerTlsOptions { minimum, alpn, ..self.options.clone() };
        let config = configure(&options, &self.certificates, &self.tickets)?;
        for name in names {
            match name {
                CertificateName::Exact(host) => {
                    self.exact.insert(host.clone(), Arc::clone(&config))
                }
                CertificateName::Wildcard(rest) => {
                    self.wildcard.insert(rest.clone(), Arc::clone(&config))
                }
                CertificateName::Address(_) => None,
            };
        }
        Ok(self)
    }

    /// What rustls needs for a connection with the listener's own settings. Used alone, it passes over
    /// [`Self::with_site`], and a name that no certificate answers is refused with `access_denied`, which is all that
    /// rustls knows; for both ask [`Self::choose`] first.
    #[must_use]
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// The certificates by name.
    #[must_use]
    pub fn certificates(&self) -> &Arc<Certificates> {
        &self.certificates
    }

    /// What to go on with after a client's first message, as `rustls::server::Acceptor` gives it.
    ///
    /// # Errors
    ///
    /// When no certificate answers the name: write [`UNRECOGNIZED_NAME_ALERT`] and close.
    pub fn choose(&self, hello: &ClientHello<'_>) -> Result<Arc<ServerConfig>, UnrecognizedName> {
        let name = hello.server_name();
        if !self.certificates.answers(name) {
            return Err(UnrecognizedName);
        }
        Ok(Arc::clone(self.site(name).unwrap_or(&self.config)))
    }

    fn site(&self, name: Option<&str>) -> Option<&Arc<ServerConfig>> {
        if self.exact.is_empty() && self.wildcard.is_empty() {
            return None;
        }
        let folded = Folded::new(name?).ok()?;
        let name = folded.as_str();
        let (_, parent) = name.split_once('.').unwrap_or_default();
        self.exact.get(name).or_else(|| self.wildcard.get(parent))
    }
}

fn configure(
    options: &ServerTlsOptions,
    certificates: &Arc<Certificates>,
    tickets: &Arc<TicketKeys>,
) -> Result<Arc<ServerConfig>, ServerTlsError> {
    check(options)?;
    let resolver: Arc<Certificates> = Arc::clone(certificates);
    let clock = Arc::clone(&options.clock);
    let mut config = ServerConfig::builder_with_details(super::provider(), clock)
        .with_protocol_versions(options.minimum.versions())
        .map_err(|error| ServerTlsError::Provider(error.to_string()))?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols.clone_from(&options.alpn);
    config.max_fragment_size = options.record_bytes_max;
    config.ticketer = tickets.realm(realm(options));
    config.send_tls13_tickets = TICKETS;
    config.max_tls13_tickets = TICKETS_ASKED_MAX;
    // Tickets hold the state, so no core locks a shared table.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // Every suite is sound; a client without AES instructions lists ChaCha20 first and is right to.
    config.ignore_client_order = false;
    // Early data can be replayed (RFC 8446 section 8).
    config.max_early_data_size = 0;
    config.send_half_rtt_data = false;
    Ok(Arc::new(config))
}

fn check(options: &ServerTlsOptions) -> Result<(), ServerTlsError> {
    // The range of rustls: 32 bytes to the 16 KiB of RFC 8446 section 5.1, and a record's header of 5 bytes.
    const RECORD_BYTES: std::ops::RangeInclusive<usize> = 32..=16_384;
    if let Some(bytes) = options.record_bytes_max
        && !RECORD_BYTES.contains(&bytes)
    {
        return Err(ServerTlsError::RecordBytes(bytes));
    }
    // RFC 7301 section 3.1: 1 to 255 bytes each.
    match options.alpn.iter().find(|name| name.is_empty() || name.len() > 255) {
        Some(name) => Err(ServerTlsError::Alpn(name.len())),
        None => Ok(()),
    }
}

/// A digest of all that must be equal for a session to pass from one value to another.
fn realm(options: &ServerTlsOptions) -> [u8; REALM_BYTES] {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut field = |bytes: &[u8]| {
        // Lengths keep the fields apart.
        context.update(&(bytes.len() as u64).to_be_bytes());
        context.update(bytes);
    };
    field(b"doorman server tickets 1");
    field(options.realm.as_bytes());
    field(match options.minimum {
        MinimumVersion::Tls12 => b"1.2",
        MinimumVersion::Tls13 => b"1.3",
    });
    field(b"no client authentication");
    for protocol in &options.alpn {
        field(protocol);
    }
    let mut identity = [0; REALM_BYTES];
    identity.copy_from_slice(context.finish().as_ref());
    identity
}

/// No certificate answers the name that the client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnrecognizedName;

impl fmt::Display for UnrecognizedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no certificate answers the server name")
    }
}

impl std::error::Error for UnrecognizedName {}

/// Why a listener's TLS cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerTlsError {
    /// A record size that the protocol does not have, in bytes.
    RecordBytes(usize),
    /// A protocol name of a length that the protocol does not have, in bytes.
    Alpn(usize),
    /// The cryptography provider has no suite for the versions.
    Provider(String),
}

impl fmt::Display for ServerTlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RecordBytes(bytes) => {
                write!(f, "a record holds 32 to 16384 bytes, not {bytes}")
            }
            Self::Alpn(bytes) => {
                write!(f, "a protocol name for ALPN has 1 to 255 bytes, not {bytes}")
            }
            Self::Provider(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for ServerTlsError {}
