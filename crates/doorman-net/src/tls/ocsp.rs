//! What an authority says about a certificate over OCSP (RFC 6960), and what of it handshakes carry (RFC 6066 section
//! 8).
//!
//! The one decision that shaped it: an answer is a fact of a certificate, kept in the certificate itself. Whoever
//! serves it, under whatever name and in whatever plan, staples the same answer. A handshake compares the end of the
//! answer with the clock, so that an answer whose time is over is never sent, whatever became of whoever renews it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use aws_lc_rs::digest;
use doorman_ocsp::{
    Answer, Hash, Period, PublicKey, Reply, Responder, Signed, Single, Status, Untimely,
};
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::X509Certificate;

use super::certificate::{Certificate, parse};

/// The longest URL of a responder that is asked, in bytes.
const URL_BYTES_MAX: usize = 2048;
/// The feature `status_request` (RFC 7633 section 4.2.3.1).
const STATUS_REQUEST: u16 = 5;

/// What an authority says about a certificate, as far as it was asked.
#[derive(Debug, Default)]
pub struct Standing {
    staple: ArcSwapOption<Staple>,
    is_revoked: AtomicBool,
}

#[derive(Debug)]
struct Staple {
    certified: Arc<CertifiedKey>,
    until: u64,
}

impl Standing {
    /// Whether the authority has revoked it.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.is_revoked.load(Ordering::Acquire)
    }

    pub(super) fn stapled(&self, now: impl FnOnce() -> Option<u64>) -> Option<Arc<CertifiedKey>> {
        let staple = self.staple.load();
        let staple = staple.as_ref()?;
        (now()? < staple.until).then(|| Arc::clone(&staple.certified))
    }
}

/// What to ask, and whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The responder's URL.
    pub responder: String,
    /// The question, DER.
    pub question: Vec<u8>,
}

/// What an answer that counts says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not revoked.
    Good(Period),
    /// It is revoked.
    Revoked(Revocation),
}

/// A revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Since when, unix seconds.
    pub at: u64,
    /// Why, in the standard's word (RFC 5280 section 5.3.1).
    pub reason: &'static str,
}

/// Why what came is no answer to go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFault {
    /// The chain does not hold the issuer, so nothing can be checked.
    NoIssuer,
    /// It is no answer of OCSP.
    Malformed,
    /// The responder's word why it does not answer.
    Refused(&'static str),
    /// It is about another certificate.
    Foreign,
    /// Neither the issuer nor somebody that it has charged with it has signed it.
    Unsigned,
    /// It does not count now.
    Untimely(Untimely),
    /// The responder does not know the certificate.
    Unknown,
}

impl fmt::Display for AnswerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoIssuer => f.write_str("the issuer is not in the chain"),
            Self::Malformed => f.write_str("what came is no answer of OCSP"),
            Self::Refused(word) => write!(f, "the responder does not answer: {word}"),
            Self::Foreign => f.write_str("the answer is about another certificate"),
            Self::Unsigned => {
                f.write_str("the answer is not signed by the issuer or its responder")
            }
            Self::Untimely(Untimely::Early) => f.write_str("the answer is from the future"),
            Self::Untimely(Untimely::Late) => f.write_str("the answer's time is over"),
            Self::Untimely(Untimely::Endless) => f.write_str("the answer has no end (nextUpdate)"),
            Self::Unknown => f.write_str("the responder does not know the certificate"),
        }
    }
}

impl std::error::Error for AnswerFault {}

impl Certificate {
    /// What to ask about it, if it names a responder and its issuer is known.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        let responder = self.facts().responder.clone()?;
        let issuer = self.issuer()?;
        let (leaf, issuer) = (parse(self.certified().cert.first()?).ok()?, parse(issuer).ok()?);
        let name = hash(Hash::Sha1, issuer.subject().as_raw())?;
        let key = hash(Hash::Sha1, key_of(&issuer)?.key)?;
        let (name, key) = (name.as_ref().try_into().ok()?, key.as_ref().try_into().ok()?);
        Some(Question { responder, question: doorman_ocsp::question(name, key, leaf.raw_serial()) })
    }

    /// Staples this answer, which must have been judged good, until its time is over.
    pub fn staple(&self, answer: Vec<u8>, period: Period) {
        let mut certified = CertifiedKey::clone(self.certified());
        certified.ocsp = Some(answer);
        let (certified, until) = (Arc::new(certified), period.until);
        self.standing().is_revoked.store(false, Ordering::Release);
        self.standing().staple.store(Some(Arc::new(Staple { certified, until })));
    }

    /// It is revoked: nothing is stapled from now on.
    pub fn revoke(&self) {
        self.standing().is_revoked.store(true, Ordering::Release);
        self.standing().staple.store(None);
    }
}

/// What the bytes that came say about the certificate at `now`, in unix seconds.
///
/// # Errors
///
/// Why they are nothing to go by.
pub fn judge(certificate: &Certificate, bytes: &[u8], now: u64) -> Result<Verdict, AnswerFault> {
    let issuer = certificate.issuer().ok_or(AnswerFault::NoIssuer)?;
    let leaf = certificate.certified().cert.first().ok_or(AnswerFault::NoIssuer)?;
    let issuer = parse(issuer).map_err(|_| AnswerFault::NoIssuer)?;
    let leaf = parse(leaf).map_err(|_| AnswerFault::NoIssuer)?;
    let reply = doorman_ocsp::read_reply(bytes).map_err(|_| AnswerFault::Malformed)?;
    let answer = match reply {
        Reply::Answer(answer) => answer,
        Reply::Refused(word) => return Err(AnswerFault::Refused(word)),
    };
    let single = answer.singles.iter().find(|single| names(single, &issuer, &leaf));
    let single = single.ok_or(AnswerFault::Foreign)?;
    if !is_signed(&answer, &issuer, now) {
        return Err(AnswerFault::Unsigned);
    }
    let period = Period::at(single.this_update, single.next_update, now);
    match single.status {
        Status::Good => period.map(Verdict::Good).map_err(AnswerFault::Untimely),
        Status::Unknown => Err(AnswerFault::Unknown),
        Status::Revoked { at, reason } => match period {
            // A revocation is for good, but for one that holds it back for a while (RFC 5280 section 5.3.1).
            Err(Untimely::Early) => Err(AnswerFault::Untimely(Untimely::Early)),
            Err(fault) if reason == Some(6) => Err(AnswerFault::Untimely(fault)),
            _ => Ok(Verdict::Revoked(Revocation { at, reason: reason_word(reason) })),
        },
    }
}

/// RFC 5280 section 5.3.1.
const fn reason_word(reason: Option<u8>) -> &'static str {
    match reason {
        Some(1) => "keyCompromise",
        Some(2) => "cACompromise",
        Some(3) => "affiliationChanged",
        Some(4) => "superseded",
        Some(5) => "cessationOfOperation",
        Some(6) => "certificateHold",
        Some(9) => "privilegeWithdrawn",
        Some(10) => "aACompromise",
        _ => "unspecified",
    }
}

/// Whether this part of an answer is about the leaf.
fn names(single: &Single<'_>, issuer: &X509Certificate<'_>, leaf: &X509Certificate<'_>) -> bool {
    let fits = |bytes: &[u8], expect: &[u8]| {
        hash(single.hash, bytes).is_some_and(|digest| digest.as_ref() == expect)
    };
    single.serial == leaf.raw_serial()
        && fits(issuer.subject().as_raw(), single.name_hash)
        && key_of(issuer).is_some_and(|key| fits(key.key, single.key_hash))
}

/// RFC 6960 section 4.2.2.2: the issuer signs, or somebody whose certificate it has signed for that.
fn is_signed(answer: &Answer<'_>, issuer: &X509Certificate<'_>, now: u64) -> bool {
    if is(&answer.responder, issuer) && verifies(&answer.signed, issuer) {
        return true;
    }
    answer.certificates.iter().any(|bytes| {
        let der = CertificateDer::from(*bytes);
        let (Ok(delegate), Ok(own)) = (parse(&der), doorman_ocsp::read_signed(bytes)) else {
            return false;
        };
        is(&answer.responder, &delegate)
            && delegate.issuer().as_raw() == issuer.subject().as_raw()
            && may_answer(&delegate, now)
            && verifies(&own, issuer)
            && verifies(&answer.signed, &delegate)
    })
}

/// Whether a responder calls itself by the name or key of this certificate.
fn is(responder: &Responder<'_>, certificate: &X509Certificate<'_>) -> bool {
    match responder {
        Responder::Name(name) => *name == certificate.subject().as_raw(),
        Responder::Key(digest) => key_of(certificate)
            .and_then(|key| hash(Hash::Sha1, key.key))
            .is_some_and(|own| own.as_ref() == *digest),
    }
}

/// Whether a certificate is for answers, and valid.
fn may_answer(delegate: &X509Certificate<'_>, now: u64) -> bool {
    let validity = delegate.validity();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let is_valid =
        (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&now);
    let usage = delegate.extended_key_usage().ok().flatten();
    let may_sign = match delegate.key_usage() {
        Ok(None) => true,
        Ok(Some(usage)) => usage.value.digital_signature(),
        Err(_) => false,
    };
    is_valid && may_sign && usage.is_some_and(|usage| usage.value.ocsp_signing)
}

/// Whether the key of a certificate has made a signature, by an algorithm that handshakes trust too.
fn verifies(signed: &Signed<'_>, by: &X509Certificate<'_>) -> bool {
    let Some(key) = key_of(by) else { return false };
    let provider = super::provider();
    let mut known = provider.signature_verification_algorithms.all.iter();
    known.any(|known| {
        known.signature_alg_id().as_ref() == signed.algorithm
            && known.public_key_alg_id().as_ref() == key.algorithm
            && known.verify_signature(key.key, signed.message, signed.signature).is_ok()
    })
}

fn key_of<'c>(certificate: &'c X509Certificate<'_>) -> Option<PublicKey<'c>> {
    doorman_ocsp::public_key(certificate.public_key().raw).ok()
}

fn hash(kind: Hash, bytes: &[u8]) -> Option<digest::Digest> {
    let algorithm = match kind {
        // It names things here and protects nothing (RFC 6960 section 4.3).
        Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => &digest::SHA256,
        Hash::Other => return None,
    };
    Some(digest::digest(algorithm, bytes))
}

/// The first responder that a certificate names and that can be asked over HTTP.
pub(super) fn responder(leaf: &X509Certificate<'_>) -> Option<String> {
    const OCSP: &str = "1.3.6.1.5.5.7.48.1";
    let access =
        leaf.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityInfoAccess(access) => Some(access),
            _ => None,
        })?;
    let mut urls = access.accessdescs.iter().filter_map(|description| {
        let GeneralName::URI(url) = description.access_location else { return None };
        (description.access_method.to_id_string() == OCSP).then_some(url)
    });
    let is_usable = |url: &&str| {
        let scheme = url.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"));
        scheme && url.len() <= URL_BYTES_MAX && url.bytes().all(|byte| byte.is_ascii_graphic())
    };
    urls.find(is_usable).map(str::to_owned)
}

/// Whether a certificate asks for `status_request` (RFC 7633).
pub(super) fn must_staple(leaf: &X509Certificate<'_>) -> bool {
    const FEATURE: &str = "1.3.6.1.5.5.7.1.24";
    let mut extensions = leaf.extensions().iter();
    let feature = extensions.find(|extension| extension.oid.to_id_string() == FEATURE);
    let asked = feature.and_then(|extension| doorman_ocsp::features(extension.value).ok());
    asked.is_some_and(|asked| asked.contains(&STATUS_REQUEST))
}
