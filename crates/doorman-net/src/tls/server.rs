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

use super::client_auth::SiteClients;
use super::demand::OnDemand;
use super::keyring::Proofs;
use super::name::{CertificateName, Folded};
use super::policy::TlsPolicy;
use super::table::Certificates;
use super::ticket::{REALM_BYTES, TicketKeys};

/// How many TLS 1.3 tickets follow a full or resumed handshake. One: each costs about 3 % of a handshake's CPU and 174
/// bytes on the wire, each resumption brings the next, and clients that open many connections at once speak HTTP/2 or
/// ask for more.
const TICKETS: usize = 1;

/// How many tickets a client gets when it asks (RFC 9149). A browser opens up to six HTTP/1.1 connections at once; four
/// keep the answer in one segment.
const TICKETS_ASKED_MAX: usize = 4;

/// The most early data of a connection over TCP, bytes: what clients are told, and what is held for a request that has
/// to wait for the handshake. Heads of a few requests fit; what clients send so at once is about this much.
const EARLY_BYTES_MAX: u32 = 16 * 1024;

/// The fatal alert `unrecognized_name` (RFC 6066 section 3) as a plaintext record, to be written to the socket when
/// [`ServerTls::choose`] refuses.
pub const UNRECOGNIZED_NAME_ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// The oldest version of TLS that is spoken. Nothing older than 1.2 exists here (RFC 8996).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
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
    /// The application protocols, best first, for instance `h3`, `h2` and `http/1.1`. `h3` goes by QUIC alone, all
    /// others by TCP alone. Over TCP none is negotiated without any; with some, and always over QUIC, a client that
    /// offers only others is refused with `no_application_protocol` (RFC 7301 section 3.2, RFC 9001 section 8.1).
    pub alpn: Vec<Vec<u8>>,
    /// Suites and groups. Its oldest version counts where it is the younger one.
    pub policy: TlsPolicy,
    /// The rules for certificates of clients; `None`: none is asked for.
    pub clients: Option<SiteClients>,
    /// Early data; `None`: none is taken. Clients that are asked for certificates send none either way.
    pub early_data: Option<EarlyData>,
    /// The most bytes of plaintext in a record; `None` for the 16 KiB of the protocol.
    pub record_bytes_max: Option<usize>,
    /// The time.
    pub clock: Arc<dyn TimeProvider>,
}

/// Early data is taken, from clients that come back to what they know.
///
/// Over QUIC it is sent before anything is heard from us, and goes by what the client remembers of an earlier
/// connection: that must still hold (RFC 9001 section 4.6.3, RFC 9114 section 7.2.4.2). So sessions do not pass from
/// one value to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarlyData {
    /// Requests at once.
    pub streams: u32,
    /// Bytes of a header section.
    pub head_bytes: usize,
}

/// What one site of a listener negotiates.
#[derive(Clone, Debug)]
pub struct SiteTlsOptions {
    /// See [`ServerTlsOptions::minimum`].
    pub minimum: MinimumVersion,
    /// See [`ServerTlsOptions::alpn`].
    pub alpn: Vec<Vec<u8>>,
    /// See [`ServerTlsOptions::policy`].
    pub policy: TlsPolicy,
    /// See [`ServerTlsOptions::clients`].
    pub clients: Option<SiteClients>,
    /// See [`ServerTlsOptions::early_data`].
    pub early_data: Option<EarlyData>,
}

/// A listener's TLS. Cloning copies the tables of its sites; share it in an `Arc`.
#[derive(Clone, Debug)]
pub struct ServerTls {
    configs: Configs,
    certificates: Arc<Certificates>,
    options: ServerTlsOptions,
    tickets: Arc<TicketKeys>,
    proofs: Option<Arc<Proofs>>,
    exact: HashMap<Box<str>, Configs>,
    wildcard: HashMap<Box<str>, Configs>,
    /// For clients that send no name, which are those that ask for an address.
    nameless: Option<Configs>,
}

/// The application protocol that goes by QUIC.
const H3: &[u8] = b"h3";

/// What one set of options means to rustls.
#[derive(Clone, Debug)]
pub(crate) struct Configs {
    /// For TLS over TCP.
    pub(crate) tcp: Arc<ServerConfig>,
    /// For QUIC, if HTTP/3 is offered.
    pub(crate) quic: Option<Arc<ServerConfig>>,
    /// The rules for certificates of clients that both have.
    pub(crate) clients: Option<SiteClients>,
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
        let configs = configure(&options, &certificates, tickets)?;
        let tickets = Arc::clone(tickets);
        let (exact, wildcard) = (HashMap::new(), HashMap::new());
        let proofs = None;
        let nameless = None;
        Ok(Self { configs, certificates, options, tickets, proofs, exact, wildcard, nameless })
    }

    /// Answers whoever asks for a proof that a name is ours by TLS-ALPN-01 (RFC 8737).
    #[must_use]
    pub fn with_proofs(mut self, proofs: Arc<Proofs>) -> Self {
        self.proofs = Some(proofs);
        self
    }

    /// Gives the names of one site settings of their own. [`Self::choose`] finds them, exact names before wildcards and
    /// of these the longest, as requests find their sites. Where sites of a listener differ, add all of them, or a
    /// wildcard's settings will rule the names below it. Clients that send no name get those of the first address that
    /// was added, else the listener's own.
    ///
    /// # Errors
    ///
    /// When a protocol name is out of the protocol's range.
    pub fn with_site(
        mut self,
        names: &[CertificateName],
        site: SiteTlsOptions,
    ) -> Result<Self, ServerTlsError> {
        let SiteTlsOptions { minimum, alpn, policy, clients, early_data } = site;
        let options = self.options.clone();
        let options = ServerTlsOptions { minimum, alpn, policy, clients, early_data, ..options };
        let configs = configure(&options, &self.certificates, &self.tickets)?;
        for name in names {
            match name {
                CertificateName::Exact(host) => {
                    self.exact.insert(host.clone(), configs.clone());
                }
                CertificateName::Wildcard(rest) => {
                    self.wildcard.insert(rest.clone(), configs.clone());
                }
                CertificateName::Address(_) => {
                    self.nameless.get_or_insert_with(|| configs.clone());
                }
            }
        }
        Ok(self)
    }

    /// What rustls needs for a connection with the listener's own settings. Used alone, it passes over
    /// [`Self::with_site`], and a name that no certificate answers is refused with `access_denied`, which is all that
    /// rustls knows; for both ask [`Self::choose`] first.
    #[must_use]
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.configs.tcp
    }

    /// Whether any site takes early data.
    pub(crate) fn takes_early_data(&self) -> bool {
        let sites = self.exact.values().chain(self.wildcard.values()).chain(&self.nameless);
        let mut quic = sites.chain([&self.configs]).filter_map(|configs| configs.quic.as_ref());
        quic.any(|config| config.max_early_data_size > 0)
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
        match self.proof(hello) {
            Some(proof) => proof,
            None => self.configs(hello).map(|configs| Arc::clone(&configs.tcp)),
        }
    }

    /// What shows an authority that a name is ours, for a client that asks for nothing else (RFC 8737).
    pub(crate) fn proof(
        &self,
        hello: &ClientHello<'_>,
    ) -> Option<Result<Arc<ServerConfig>, UnrecognizedName>> {
        let proof = self.proofs.as_ref()?.tls_answer(hello)?;
        Some(proof.ok_or(UnrecognizedName))
    }

    /// Whoever could get a certificate for this name, which has none yet.
    pub(crate) fn demanded(&self, hello: &ClientHello<'_>) -> Option<(Arc<OnDemand>, Box<str>)> {
        self.certificates.demanded(hello.server_name())
    }

    /// All that holds for a connection with this first message.
    ///
    /// # Errors
    ///
    /// When no certificate answers the name.
    pub(crate) fn configs(&self, hello: &ClientHello<'_>) -> Result<&Configs, UnrecognizedName> {
        let name = hello.server_name();
        if !self.certificates.answers(name) {
            return Err(UnrecognizedName);
        }
        Ok(self.site(name).unwrap_or(&self.configs))
    }

    #[cfg(test)]
    pub(super) const fn quic_config(&self) -> Option<&Arc<ServerConfig>> {
        self.configs.quic.as_ref()
    }

    #[cfg(test)]
    pub(super) fn rules_for(&self, name: Option<&str>) -> Option<&SiteClients> {
        self.site(name).unwrap_or(&self.configs).clients.as_ref()
    }

    fn site(&self, name: Option<&str>) -> Option<&Configs> {
        let Some(name) = name else { return self.nameless.as_ref() };
        if self.exact.is_empty() && self.wildcard.is_empty() {
            return None;
        }
        let folded = Folded::new(name).ok()?;
        let name = folded.as_str();
        if let Some(configs) = self.exact.get(name) {
            return Some(configs);
        }
        // At most 127 labels, RFC 1035 section 2.3.4; none are looked at where no site has a wildcard.
        let mut rest = (!self.wildcard.is_empty()).then_some(name)?;
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(configs) = self.wildcard.get(parent) {
                return Some(configs);
            }
            rest = parent;
        }
        None
    }
}

fn configure(
    options: &ServerTlsOptions,
    certificates: &Arc<Certificates>,
    tickets: &Arc<TicketKeys>,
) -> Result<Configs, ServerTlsError> {
    check(options)?;
    let minimum = options.minimum.max(options.policy.minimum());
    // A certificate is asked for in the handshake, which early data comes ahead of.
    let early_data = options.early_data.filter(|_| options.clients.is_none());
    let options = &ServerTlsOptions { minimum, early_data, ..options.clone() };
    let (quic, tcp): (Vec<_>, Vec<_>) = options.alpn.iter().cloned().partition(|name| name == H3);
    let quic = if quic.is_empty() {
        None
    } else {
        // QUIC is TLS 1.3 in its own records. Its tickets have a realm of their own, as its protocol is another.
        let minimum = MinimumVersion::Tls13;
        let options =
            ServerTlsOptions { minimum, alpn: quic, record_bytes_max: None, ..options.clone() };
        Some(build(&options, Over::Quic, certificates, tickets)?)
    };
    // Where only HTTP/3 is offered, whoever offers something else over TCP is refused.
    let tcp = if tcp.is_empty() { options.alpn.clone() } else { tcp };
    let options = ServerTlsOptions { alpn: tcp, ..options.clone() };
    let clients = options.clients.clone();
    Ok(Configs { tcp: build(&options, Over::Tcp, certificates, tickets)?, quic, clients })
}

/// What carries TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Tcp,
    Quic,
}

fn build(
    options: &ServerTlsOptions,
    over: Over,
    certificates: &Arc<Certificates>,
    tickets: &Arc<TicketKeys>,
) -> Result<Arc<ServerConfig>, ServerTlsError> {
    let resolver: Arc<Certificates> = Arc::clone(certificates);
    let clock = Arc::clone(&options.clock);
    let builder = ServerConfig::builder_with_details(options.policy.provider(), clock)
        .with_protocol_versions(options.minimum.versions())
        .map_err(|error| ServerTlsError::Provider(error.to_string()))?;
    let builder = match &options.clients {
        Some(clients) => builder.with_client_cert_verifier(clients.auth.verifier()),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(resolver);
    config.alpn_protocols.clone_from(&options.alpn);
    config.max_fragment_size = options.record_bytes_max;
    config.send_tls13_tickets = TICKETS;
    config.max_tls13_tickets = TICKETS_ASKED_MAX;
    // Every suite is sound; a client without AES instructions lists ChaCha20 first and is right to.
    config.ignore_client_order = false;
    if options.early_data.is_some() {
        config.max_early_data_size = match over {
            Over::Tcp => EARLY_BYTES_MAX,
            // The one value that QUIC has (RFC 9001 section 4.6.1); how much comes is bounded by its windows.
            Over::Quic => u32::MAX,
        };
        // An answer to early data leaves without waiting for the rest of the handshake (RFC 8446 section 2.3). Nothing
        // else is written ahead of it.
        config.send_half_rtt_data = over == Over::Tcp;
        config.session_storage = tickets.sessions(realm(options, over));
    } else {
        // Early data can be replayed (RFC 8446 section 8).
        config.max_early_data_size = 0;
        config.send_half_rtt_data = false;
        // Tickets hold the state, so no core locks a shared table.
        config.ticketer = tickets.realm(realm(options, over));
        config.session_storage = Arc::new(NoServerSessionStorage {});
    }
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
fn realm(options: &ServerTlsOptions, over: Over) -> [u8; REALM_BYTES] {
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
    field(options.policy.label().as_bytes());
    match &options.clients {
        None => field(b"no client authentication"),
        Some(clients) => {
            field(&clients.rules.site.to_be_bytes());
            field(clients.auth.digest());
        }
    }
    if let Some(EarlyData { streams, head_bytes }) = options.early_data {
        field(b"early data");
        // HTTP/1.1 has nothing to remember, and HTTP/2 begins with what every server takes (RFC 9113 section 6.5.2).
        if over == Over::Quic {
            field(&streams.to_be_bytes());
            field(&(head_bytes as u64).to_be_bytes());
        }
    }
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
