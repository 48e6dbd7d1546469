//! Certificates that come and change while everything runs, and the proofs that a name is ours.
//!
//! Whoever obtains certificates puts them into a [`CertificateSlot`]; tables of all plans share the slots, so a new
//! certificate is in force for the next handshake without a reload, and a reload takes nothing away. A handshake reads
//! one pointer and takes no lock.
//!
//! [`Proofs`] hold what a certificate authority asks for while an order is under way: answers to HTTP-01 (RFC 8555
//! section 8.3) and certificates for TLS-ALPN-01 (RFC 8737). While none is under way they cost one read of a counter.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{ServerConfig, SignatureScheme};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::sync::Notify;

use super::certificate::Certificate;
use super::demand::OnDemand;
use super::name::{CertificateName, Folded};

/// The protocol under which TLS-ALPN-01 asks (RFC 8737 section 6.2).
pub(crate) const ACME_TLS: &[u8] = b"acme-tls/1";

/// All certificates that come and go by themselves, and the proofs under way.
#[derive(Debug, Default)]
pub struct Keyring {
    slots: Mutex<HashMap<CertificateName, Arc<CertificateSlot>>>,
    proofs: Arc<Proofs>,
    on_demand: Arc<OnDemand>,
    arrivals: Notify,
    revocations: Notify,
}

impl Keyring {
    /// Told of when a certificate has come. One who is late hears of it all the same, once.
    #[must_use]
    pub const fn arrivals(&self) -> &Notify {
        &self.arrivals
    }

    /// Told of when an authority has revoked a certificate. One who is late hears of it all the same, once.
    #[must_use]
    pub const fn revocations(&self) -> &Notify {
        &self.revocations
    }

    /// The certificates of names that nobody wrote down.
    #[must_use]
    pub const fn on_demand(&self) -> &Arc<OnDemand> {
        &self.on_demand
    }

    /// The slot of a name: the same for whoever asks.
    #[must_use]
    pub fn slot(&self, name: &CertificateName) -> Arc<CertificateSlot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(name.clone()).or_default())
    }

    /// Lets go of the slots that nobody else holds and no name of `wanted` needs.
    pub fn keep(&self, wanted: impl Fn(&CertificateName) -> bool) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|name, slot| wanted(name) || Arc::strong_count(slot) > 1);
    }

    /// The proofs under way.
    #[must_use]
    pub const fn proofs(&self) -> &Arc<Proofs> {
        &self.proofs
    }
}

/// The certificate of one name, which may change at any time.
#[derive(Default)]
pub struct CertificateSlot {
    held: ArcSwap<Option<Arc<Certificate>>>,
}

impl CertificateSlot {
    /// The certificate from now on.
    pub fn put(&self, certificate: Arc<Certificate>) {
        self.held.store(Arc::new(Some(certificate)));
    }

    /// The certificate, if there is one yet.
    #[must_use]
    pub fn certificate(&self) -> Option<Arc<Certificate>> {
        (**self.held.load()).clone()
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_filled(&self) -> bool {
        self.held.load().is_some()
    }

    pub(super) fn stapled(&self, now: impl FnOnce() -> Option<u64>) -> Option<Arc<CertifiedKey>> {
        self.held.load().as_ref().as_ref().map(|held| held.stapled(now))
    }
}

impl fmt::Debug for CertificateSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CertificateSlot").field(&self.certificate()).finish()
    }
}

/// What shows a certificate authority that a name is ours.
#[derive(Default)]
pub struct Proofs {
    /// How many are under way: all that is read while there are none.
    count: AtomicUsize,
    /// Key authorizations by name and token.
    http: ArcSwap<HashMap<Asked, Arc<str>>>,
    /// Configurations by name.
    tls: ArcSwap<HashMap<Box<str>, Arc<ServerConfig>>>,
}

/// What HTTP-01 asks about.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Asked {
    name: Box<str>,
    token: Box<str>,
}

/// Where answers to HTTP-01 stand (RFC 8555 section 8.3).
pub const HTTP_PROOF_PATH: &str = "/.well-known/acme-challenge/";

impl Proofs {
    /// Answers HTTP-01 for a name or an address until the result is dropped.
    pub fn answer_http(self: &Arc<Self>, name: &str, token: &str, answer: &str) -> Proof {
        let key = Asked { name: name.to_ascii_lowercase().into(), token: token.into() };
        self.http.rcu(|held| {
            let mut held = HashMap::clone(held);
            held.insert(key.clone(), answer.into());
            held
        });
        self.count.fetch_add(1, Ordering::Release);
        Proof { proofs: Arc::clone(self), kind: ProofKind::Http(key) }
    }

    /// Answers TLS-ALPN-01 for a name or an address until the result is dropped. `digest` is the SHA-256 of the key
    /// authorization.
    ///
    /// # Errors
    ///
    /// When the certificate of the proof cannot be made.
    pub fn answer_tls(
        self: &Arc<Self>,
        name: &str,
        digest: &[u8],
        clock: Arc<dyn TimeProvider>,
    ) -> Result<Proof, String> {
        let config = proof_config(name, digest, clock)?;
        let name: Box<str> = match name.parse::<IpAddr>() {
            Ok(address) => reverse(address).into(),
            Err(_) => name.to_ascii_lowercase().into(),
        };
        self.tls.rcu(|held| {
            let mut held = HashMap::clone(held);
            held.insert(name.clone(), Arc::clone(&config));
            held
        });
        self.count.fetch_add(1, Ordering::Release);
        Ok(Proof { proofs: Arc::clone(self), kind: ProofKind::Tls(name, config) })
    }

    /// Whether any proof is under way.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    /// What is to be said to a request for this path under this host (without a port), if anything.
    #[must_use]
    pub fn http_answer(&self, host: &[u8], path: &[u8]) -> Option<Arc<str>> {
        if !self.is_any() {
            return None;
        }
        let token = path.strip_prefix(HTTP_PROOF_PATH.as_bytes())?;
        let token = str::from_utf8(token).ok()?;
        let host = str::from_utf8(host).ok()?;
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let name: Box<str> = match bare.parse::<IpAddr>() {
            // However it is written, it is one address.
            Ok(address) => address.to_string().into(),
            Err(_) => Folded::new(host).ok()?.as_str().into(),
        };
        let asked = Asked { name, token: token.into() };
        self.http.load().get(&asked).cloned()
    }

    /// What to go on with when a client asks for nothing but a proof. RFC 8737 section 3: its only protocol is
    /// `acme-tls/1`. The inner `None`: no proof of this name is under way.
    pub(super) fn tls_answer(&self, hello: &ClientHello<'_>) -> Option<Option<Arc<ServerConfig>>> {
        if !self.is_any() {
            return None;
        }
        let mut offered = hello.alpn()?;
        if offered.next() != Some(ACME_TLS) || offered.next().is_some() {
            return None;
        }
        let name = hello.server_name().and_then(|name| Folded::new(name).ok());
        Some(name.and_then(|name| self.tls.load().get(name.as_str()).cloned()))
    }

    fn remove(&self, kind: &ProofKind) {
        match kind {
            ProofKind::Http(key) => {
                self.http.rcu(|held| {
                    let mut held = HashMap::clone(held);
                    held.remove(key);
                    held
                });
            }
            ProofKind::Tls(name, own) => {
                self.tls.rcu(|held| {
                    let mut held = HashMap::clone(held);
                    // Another order of the same name may have put its own in place.
                    if held.get(name).is_some_and(|config| Arc::ptr_eq(config, own)) {
                        held.remove(name);
                    }
                    held
                });
            }
        }
        self.count.fetch_sub(1, Ordering::Release);
    }
}

impl fmt::Debug for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proofs")
            .field("count", &self.count.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

/// A proof under way; dropped, it is taken back.
#[derive(Debug)]
#[must_use = "a proof is taken back when it is dropped"]
pub struct Proof {
    proofs: Arc<Proofs>,
    kind: ProofKind,
}

enum ProofKind {
    Http(Asked),
    Tls(Box<str>, Arc<ServerConfig>),
}

impl fmt::Debug for ProofKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(asked) => f.debug_tuple("Http").field(&asked.name).finish(),
            Self::Tls(name, _) => f.debug_tuple("Tls").field(name).finish(),
        }
    }
}

impl Drop for Proof {
    fn drop(&mut self) {
        self.proofs.remove(&self.kind);
    }
}

/// One certificate for whoever asks.
#[derive(Debug)]
struct Only(Arc<CertifiedKey>);

impl ResolvesServerCert for Only {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes: &[SignatureScheme] = hello.signature_schemes();
        self.0.key.choose_scheme(schemes).is_some().then(|| Arc::clone(&self.0))
    }
}

/// The server name by which TLS-ALPN-01 asks for an address, which has none of its own (RFC 8738 section 6).
fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let octets = address.octets();
            let nibbles = octets.iter().rev().flat_map(|byte| [byte & 0x0F, byte >> 4]);
            let labels: Vec<String> = nibbles.map(|nibble| format!("{nibble:x}.")).collect();
            labels.concat() + "ip6.arpa"
        }
    }
}

/// RFC 8737 section 3: a self-signed certificate for the one name, with the digest in a critical extension.
fn proof_config(
    name: &str,
    digest: &[u8],
    clock: Arc<dyn TimeProvider>,
) -> Result<Arc<ServerConfig>, String> {
    let failed = |error: rcgen::Error| error.to_string();
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(failed)?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key).map_err(failed)?;
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let chain = vec![certificate.der().clone()];
    let private = super::provider().key_provider.load_private_key(private);
    // Not checked as others are: the critical extension means nothing to anybody but the authority.
    let certified = CertifiedKey::new(chain, private.map_err(|error| error.to_string())?);
    let mut config = ServerConfig::builder_with_details(super::provider(), clock)
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Only(Arc::new(certified))));
    config.alpn_protocols = vec![ACME_TLS.to_vec()];
    // Nothing is said behind the handshake, so there is nothing to resume.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_over_http_come_and_go() {
        let proofs = Arc::new(Proofs::default());
        let ask = |host: &str, path: &str| {
            proofs.http_answer(host.as_bytes(), path.as_bytes()).map(|text| text.to_string())
        };
        assert_eq!(ask("a.test", "/.well-known/acme-challenge/tok"), None);
        let first = proofs.answer_http("A.test", "tok", "tok.thumb");
        let second = proofs.answer_http("b.test", "tok", "other");
        for (host, path, expect) in [
            ("a.test", "/.well-known/acme-challenge/tok", Some("tok.thumb")),
            ("A.TEST.", "/.well-known/acme-challenge/tok", Some("tok.thumb")),
            ("b.test", "/.well-known/acme-challenge/tok", Some("other")),
            ("c.test", "/.well-known/acme-challenge/tok", None),
            ("a.test", "/.well-known/acme-challenge/other", None),
            ("a.test", "/.well-known/acme-challenge/", None),
            ("a.test", "/tok", None),
            ("", "/.well-known/acme-challenge/tok", None),
        ] {
            assert_eq!(ask(host, path).as_deref(), expect, "{host} {path}");
        }
        drop(first);
        assert_eq!(ask("a.test", "/.well-known/acme-challenge/tok"), None);
        assert!(proofs.is_any());
        drop(second);
        assert!(!proofs.is_any());
    }

    #[test]
    fn proofs_of_addresses() {
        let proofs = Arc::new(Proofs::default());
        let _v4 = proofs.answer_http("192.0.2.1", "tok", "four");
        let _v6 = proofs.answer_http("2001:db8::1", "tok", "six");
        for (host, expect) in [
            ("192.0.2.1", Some("four")),
            ("[2001:db8::1]", Some("six")),
            ("[2001:DB8:0::1]", Some("six")),
            ("192.0.2.2", None),
            ("[192.0.2", None),
        ] {
            let path = b"/.well-known/acme-challenge/tok";
            assert_eq!(proofs.http_answer(host.as_bytes(), path).as_deref(), expect, "{host}");
        }
        assert_eq!(reverse("192.0.2.1".parse().unwrap()), "1.2.0.192.in-addr.arpa");
        let v6 = reverse("2001:db8::567:89ab".parse().unwrap());
        let expect = "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        assert_eq!(v6, expect);
    }

    #[test]
    fn a_slot_is_the_same_for_all_and_kept_while_wanted() {
        let keyring = Keyring::default();
        let name = CertificateName::parse("a.test").unwrap();
        let slot = keyring.slot(&name);
        assert!(Arc::ptr_eq(&slot, &keyring.slot(&name)));
        assert!(!slot.is_filled());
        keyring.keep(|_| false);
        assert!(Arc::ptr_eq(&slot, &keyring.slot(&name)), "somebody holds it");
        let old = Arc::downgrade(&slot);
        drop(slot);
        keyring.keep(|_| false);
        assert!(old.upgrade().is_none());
    }
}
