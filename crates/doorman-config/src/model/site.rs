//! Sites: the names a request may ask for, their certificates and their routes.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use super::{Protocol, Route};
use crate::{Setting, Span, Spanned};

/// A `site` block.
#[derive(Clone, Debug)]
pub struct Site {
    /// The first address as written: the site's name in logs, metrics and `explain`.
    pub name: String,
    /// All its addresses, at least one.
    pub addresses: Vec<Spanned<SiteAddress>>,
    /// Certificates; `None` if every address is plain HTTP.
    pub tls: Option<SiteTls>,
    /// Routes in file order; an ending written in the site itself is a last route for every path. May be empty.
    pub routes: Vec<Route>,
    /// The head of the block.
    pub span: Span,
}

/// `[http://|https://]HOST[:PORT]` or `:PORT`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SiteAddress {
    /// As written.
    pub written: String,
    /// Plain or TLS.
    pub scheme: Scheme,
    /// Which hosts.
    pub host: HostPattern,
    /// TCP port.
    pub port: u16,
    /// Port on which plain requests for this host are redirected here: the HTTP port for an HTTPS address on the
    /// HTTPS port, unless some site takes the host there itself.
    pub redirect_from: Option<u16>,
}

/// Plain HTTP or HTTPS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http://`.
    Http,
    /// `https://`.
    Https,
}

/// Which `Host` an address takes. The more exact pattern wins over all sites of a port, whatever their order:
/// exact, then the longest wildcard, then any.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// Every host.
    Any,
    /// One name, in lower case, without a final dot.
    Name(String),
    /// `*.example.com`: every name below this suffix (`example.com`), at any depth, in lower case.
    Wildcard(String),
    /// An IP address as host.
    Ip(IpAddr),
}

impl HostPattern {
    /// Whether the local CA is right for it by default: names and addresses that no public authority would certify.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        let under = |name: &str| {
            name == "localhost"
                || name == "internal"
                || name.ends_with(".localhost")
                || name.ends_with(".internal")
        };
        match self {
            HostPattern::Ip(_) => true,
            HostPattern::Name(name) | HostPattern::Wildcard(name) => under(name),
            HostPattern::Any => false,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Any => f.write_str("*"),
            HostPattern::Name(name) => f.write_str(name),
            HostPattern::Wildcard(suffix) => write!(f, "*.{suffix}"),
            HostPattern::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            HostPattern::Ip(ip) => write!(f, "{ip}"),
        }
    }
}

/// TLS of a site's HTTPS addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteTls {
    /// Where certificates come from.
    pub source: Setting<TlsSource>,
    /// How TLS is spoken.
    pub options: TlsOptions,
}

/// Where a site's certificates come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsSource {
    /// Got from a certificate authority by ACME, one for each name. Where nobody wrote it, names that no public
    /// authority would certify are left to the local CA.
    Auto,
    /// Made on demand by the local CA.
    Internal,
    /// Read from files, at least one pair; several for several names or key types.
    Files(Vec<Spanned<CertificateFiles>>),
}

/// A certificate chain and its key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// Chain, leaf first.
    pub certificate: Spanned<PathBuf>,
    /// Private key.
    pub key: Spanned<PathBuf>,
}

/// How TLS is spoken on a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// Least version; 1.2.
    pub min: Setting<TlsVersion>,
    /// Protocols offered by ALPN; `None`: all that the listener may speak.
    pub alpn: Option<Spanned<Vec<Protocol>>>,
    /// Suites and groups.
    pub policy: Setting<TlsPolicy>,
    /// Requests that come before the handshake has ended; off.
    pub early_data: Setting<EarlyData>,
    /// Answers of the certificates' authorities in handshakes; on.
    pub ocsp: Setting<Ocsp>,
    /// Certificates of clients; `None`: none is asked for.
    pub client_auth: Option<Spanned<ClientAuth>>,
    /// Where to ask whether a name that a client brings may have a certificate; `None`: only names that are written
    /// down have one.
    pub on_demand: Option<Spanned<String>>,
}

/// What is taken of requests that come before the handshake has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarlyData {
    /// None.
    Off,
    /// Those that may be handled twice.
    Safe,
}

/// Whether handshakes carry what a certificate's authority says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ocsp {
    /// They do, where it names somebody to ask.
    On,
    /// Nobody is asked.
    Off,
}

/// What handshakes may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPolicy {
    /// `intermediate`, `modern`, or the operator's.
    pub name: String,
    /// Least version.
    pub min: TlsVersion,
    /// Cipher suites by their names at IANA; empty: all.
    pub suites: Vec<&'static str>,
    /// Groups by theirs, best first; empty: the usual ones.
    pub groups: Vec<&'static str>,
}

impl TlsPolicy {
    /// TLS 1.2 and 1.3.
    #[must_use]
    pub fn intermediate() -> TlsPolicy {
        let (suites, groups) = (Vec::new(), Vec::new());
        TlsPolicy { name: "intermediate".to_owned(), min: TlsVersion::V1_2, suites, groups }
    }

    /// TLS 1.3.
    #[must_use]
    pub fn modern() -> TlsPolicy {
        let name = "modern".to_owned();
        TlsPolicy { name, min: TlsVersion::V1_3, ..TlsPolicy::intermediate() }
    }
}

/// `client-auth MODE ca F crl F`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAuth {
    /// Whether every client needs one.
    pub mode: ClientAuthMode,
    /// Authorities.
    pub ca: Spanned<PathBuf>,
    /// Revocation lists.
    pub crl: Option<Spanned<PathBuf>>,
}

/// Whether every client needs a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthMode {
    /// Yes.
    Require,
    /// No, but one that is shown must be good.
    Optional,
}

/// Version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    V1_2,
    /// TLS 1.3.
    V1_3,
}
