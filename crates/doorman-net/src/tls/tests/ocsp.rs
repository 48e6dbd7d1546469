//! Answers of OCSP: which are believed, and what of them handshakes carry.

use std::sync::Mutex;

use doorman_testkit::ocsp::{OcspAnswer, OcspStatus, cert_id};
use doorman_testkit::tls::{Authority as Rig, Identity};
use rcgen::ExtendedKeyUsagePurpose as Usage;
use rustls::SignatureScheme;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};

use super::*;

const URL: &str = "http://responder.test/x";

fn load(identity: &Identity) -> Arc<Certificate> {
    let chain = identity.certificate_pem.as_bytes();
    let chain = PemFile { path: Path::new("chain.pem"), bytes: chain };
    let key = PemFile { path: Path::new("key.pem"), bytes: identity.key_pem.as_bytes() };
    Arc::new(Certificate::from_pem(chain, key).unwrap())
}

fn id(certificate: &Certificate) -> Vec<u8> {
    cert_id(&certificate.question().unwrap().question)
}

const PERIOD: Period = Period { since: NOW - 100, until: NOW + 100 };

fn good(certificate: &Certificate) -> OcspAnswer {
    OcspAnswer::good(id(certificate), PERIOD.since, PERIOD.until)
}

#[test]
fn what_is_believed() {
    let rig = Rig::new();
    let certificate = load(&rig.issue_answered("a.test", URL, false));
    let other = load(&rig.issue_answered("a.test", URL, false));
    let elsewhere = load(&Rig::new().issue_answered("a.test", URL, false));
    let (delegate, delegate_key) = rig.delegate(Usage::OcspSigning);
    let (wrong, wrong_key) = rig.delegate(Usage::ServerAuth);
    let (foreign, foreign_key) = Rig::new().delegate(Usage::OcspSigning);
    let check = |what: &str, answer: OcspAnswer, key: &KeyPair, expect| {
        assert_eq!(judge(&certificate, &answer.signed(key), NOW), expect, "{what}");
    };
    let plain = good(&certificate);
    let with = |der: &Vec<u8>| OcspAnswer { certificates: vec![der.clone()], ..plain.clone() };
    let at = |since: u64, until: Option<u64>| OcspAnswer {
        this_update: since,
        next_update: until,
        ..plain.clone()
    };
    let is = |status| OcspAnswer { status, ..plain.clone() };
    let is_good = Ok(Verdict::Good(PERIOD));
    let revoked = |reason| Ok(Verdict::Revoked(Revocation { at: NOW - 7, reason }));
    let late = Err(AnswerFault::Untimely(doorman_ocsp::Untimely::Late));
    check("the issuer's", plain.clone(), rig.key(), is_good);
    check("a delegate's", with(&delegate), &delegate_key, is_good);
    check(
        "a delegate's who is not there",
        plain.clone(),
        &delegate_key,
        Err(AnswerFault::Unsigned),
    );
    check("charged with else", with(&wrong), &wrong_key, Err(AnswerFault::Unsigned));
    check("by somebody else", with(&foreign), &foreign_key, Err(AnswerFault::Unsigned));
    check("another certificate", good(&other), rig.key(), Err(AnswerFault::Foreign));
    check("another authority", good(&elsewhere), rig.key(), Err(AnswerFault::Foreign));
    check("unknown", is(OcspStatus::Unknown), rig.key(), Err(AnswerFault::Unknown));
    check("revoked", is(OcspStatus::Revoked(NOW - 7, 1)), rig.key(), revoked("keyCompromise"));
    check(
        "revoked by nobody",
        is(OcspStatus::Revoked(NOW - 7, 1)),
        &foreign_key,
        Err(AnswerFault::Unsigned),
    );
    check("over", at(NOW - 9, Some(NOW)), rig.key(), late);
    check("backwards", at(NOW + 9, Some(NOW + 8)), rig.key(), late);
    let early = Err(AnswerFault::Untimely(doorman_ocsp::Untimely::Early));
    check("to come", at(NOW + 999, Some(NOW + 9999)), rig.key(), early);
    let endless = Err(AnswerFault::Untimely(doorman_ocsp::Untimely::Endless));
    check("endless", at(NOW - 9, None), rig.key(), endless);
    let old = OcspAnswer { status: OcspStatus::Revoked(NOW - 7, 0), ..at(NOW - 9, Some(NOW)) };
    check("a revocation is for good", old.clone(), rig.key(), revoked("unspecified"));
    let held = OcspAnswer { status: OcspStatus::Revoked(NOW - 7, 6), ..old };
    check("but for one on hold", held, rig.key(), late);
    let riddle = OcspAnswer { has_riddle: true, ..plain.clone() };
    check("a riddle", riddle, rig.key(), Err(AnswerFault::Malformed));
    let misnamed = OcspAnswer { name: Some(vec![0x30, 0]), ..plain };
    check("by another name", misnamed, rig.key(), Err(AnswerFault::Unsigned));
}

#[test]
fn whatever_is_changed_in_an_answer_it_is_refused() {
    let rig = Rig::new();
    let certificate = load(&rig.issue_answered("a.test", URL, false));
    let whole = good(&certificate).signed(rig.key());
    for at in 0..whole.len() {
        assert!(judge(&certificate, &whole[..at], NOW).is_err(), "cut at {at}");
        let mut changed = whole.clone();
        changed[at] ^= 1;
        assert!(judge(&certificate, &changed, NOW).is_err(), "changed at {at}");
    }
    let longer = [whole, vec![0]].concat();
    assert_eq!(judge(&certificate, &longer, NOW), Err(AnswerFault::Malformed));
    for (refusal, word) in [(1, "malformedRequest"), (3, "tryLater"), (6, "unauthorized")] {
        let refused = judge(&certificate, &[0x30, 3, 10, 1, refusal], NOW);
        assert_eq!(refused, Err(AnswerFault::Refused(word)));
    }
}

#[test]
fn what_a_certificate_says_of_it() {
    let rig = Rig::new();
    let certificate = load(&rig.issue_answered("a.test", URL, true));
    assert_eq!(certificate.facts().responder.as_deref(), Some(URL));
    assert!(certificate.facts().must_staple);
    assert_eq!(certificate.warnings(&[], NOW), []);
    let silent = super::certificate(&["a.test"]);
    assert_eq!((&silent.facts().responder, silent.facts().must_staple), (&None, false));
    assert_eq!(silent.question(), None);
    // Without the issuer there is nothing to check an answer by.
    let mut alone = rig.issue_answered("a.test", URL, true);
    let end = "-----END CERTIFICATE-----\n";
    let length = alone.certificate_pem.find(end).unwrap() + end.len();
    alone.certificate_pem.truncate(length);
    let alone = load(&alone);
    assert_eq!(alone.question(), None);
    assert_eq!(alone.warnings(&[], NOW), [CertificateWarning::CannotStaple]);
    for url in ["https://responder.test", "ldap://responder.test", "http://a b", "http://\u{e9}"] {
        let other = load(&rig.issue_answered("a.test", url, false));
        assert_eq!(other.facts().responder, None, "{url}");
    }
}

/// Notes what was stapled.
#[derive(Debug)]
struct Noting(Mutex<Vec<u8>>);

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        stapled: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.0.lock().unwrap() = stapled.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

#[test]
fn an_answer_is_carried_while_it_counts() {
    let clock = clock();
    let rig = Rig::new();
    let certificate = load(&rig.issue_answered("a.test", URL, false));
    let keyring = Keyring::default();
    let kept = load(&rig.issue_answered("b.test", URL, false));
    keyring.slot(&name("b.test")).put(Arc::clone(&kept));
    let slot =
        CertificateSource::Kept { slot: keyring.slot(&name("b.test")), name: name("b.test") };
    let table = table(vec![loaded(&certificate), slot], Vec::new(), &clock);
    let server = server(&table, &clock);
    for versions in [&[&rustls::version::TLS12], &[&rustls::version::TLS13]] {
        clock.set(NOW);
        let noting = Arc::new(Noting(Mutex::default()));
        let mut config = ClientConfig::builder_with_details(provider(), clock.clone())
            .with_protocol_versions(versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(noting.clone())
            .with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        let config = Arc::new(config);
        let carried = |host: &str| {
            handshake(&config, host, server.config()).unwrap();
            std::mem::take(&mut *noting.0.lock().unwrap())
        };
        for (host, certificate) in [("a.test", &certificate), ("b.test", &kept)] {
            clock.set(NOW);
            assert!(carried(host).is_empty(), "{host}");
            let answer = good(certificate).signed(rig.key());
            certificate.staple(answer.clone(), PERIOD);
            assert_eq!(carried(host), answer, "{host}");
            clock.set(PERIOD.until - 1);
            assert_eq!(carried(host), answer, "{host}");
            // Nobody has taken it away: its time is over.
            clock.set(PERIOD.until);
            assert!(carried(host).is_empty(), "{host}");
            clock.set(NOW);
            certificate.revoke();
            assert!(certificate.standing().is_revoked());
            assert!(carried(host).is_empty(), "{host}");
        }
    }
}
