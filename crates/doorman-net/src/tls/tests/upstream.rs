//! What an upstream must show, and that nothing is made from roots that did not load.

use rustls::server::WebPkiClientVerifier;
use rustls::{AlertDescription, CertificateError, ProtocolVersion};

use super::*;

fn origin(clock: &Arc<TestClock>, certificate: &Arc<Certificate>) -> ServerTls {
    server(&table(vec![], vec![Arc::clone(certificate)], clock), clock)
}

fn dial(tls: &ClientTls, host: &str, server: &ServerTls) -> Result<Pair, Box<Failed>> {
    let pair = Pair {
        client: ClientConnection::new(Arc::clone(tls.config()), tls.server_name(host).unwrap())
            .unwrap(),
        server: ServerConnection::new(Arc::clone(server.config())).unwrap(),
    };
    pair.pump()
}

#[test]
fn upstreams_are_verified_unless_told_otherwise() {
    let clock = clock();
    let sound = certificate(&["api.internal", "192.0.2.9"]);
    let expired = {
        let chain = leaf_pem(&["api.internal"], &ECDSA_KEY, NOW - 20 * DAY..NOW - DAY);
        let key = ECDSA_KEY.serialize_pem();
        let chain = PemFile { path: Path::new("c"), bytes: chain.as_bytes() };
        let key = PemFile { path: Path::new("k"), bytes: key.as_bytes() };
        Arc::new(Certificate::from_pem(chain, key).unwrap())
    };
    let check = |change: fn(&mut ClientTlsOptions), host: &str, shown, good: bool| {
        let mut options = client_options(&clock);
        change(&mut options);
        let result = dial(&ClientTls::new(options).unwrap(), host, &origin(&clock, shown));
        assert_eq!(result.is_ok(), good, "{host}");
        if let Err(failed) = result {
            assert!(matches!(failed.client, Some(Error::InvalidCertificate(_))), "{failed:?}");
        }
    };
    let off: fn(&mut ClientTlsOptions) = |options| options.verify = Verify::Off;
    let public: fn(&mut ClientTlsOptions) = |options| options.roots = Roots::Public;
    let named: fn(&mut ClientTlsOptions) = |options| options.name = Some("api.internal".into());
    let misnamed: fn(&mut ClientTlsOptions) = |options| options.name = Some("x.internal".into());
    check(|_| {}, "api.internal", &sound, true);
    check(|_| {}, "192.0.2.9", &sound, true);
    check(|_| {}, "192.0.2.10", &sound, false);
    check(|_| {}, "other.internal", &sound, false);
    check(|_| {}, "api.internal", &expired, false);
    check(public, "api.internal", &sound, false);
    check(named, "10.0.0.1", &sound, true);
    check(misnamed, "api.internal", &sound, false);
    check(off, "other.internal", &expired, true);
    check(off, "10.0.0.1", &sound, true);
}

#[test]
fn the_verifier_names_the_reason() {
    let clock = clock();
    let tls = ClientTls::new(client_options(&clock)).unwrap();
    let shown = origin(&clock, &certificate(&["api.internal"]));
    let failed = dial(&tls, "other.internal", &shown).err().unwrap();
    assert!(
        matches!(
            failed.client,
            Some(Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. }))
        ),
        "{failed:?}"
    );
}

#[test]
fn roots_that_do_not_load_make_no_client() {
    let clock = clock();
    let check = |bytes: &[u8], fits: fn(&LoadReason) -> bool| {
        let mut options = client_options(&clock);
        options.roots = Roots::Pem { path: "internal-ca.pem".into(), bytes: bytes.to_vec() };
        // Even with verification off: the operator named a file.
        for verify in [Verify::On, Verify::Off] {
            options.verify = verify;
            match ClientTls::new(options.clone()).unwrap_err() {
                ClientTlsError::Roots(error) => {
                    assert_eq!(error.file, Path::new("internal-ca.pem"));
                    assert!(fits(&error.reason), "{error}");
                }
                other => panic!("{other}"),
            }
        }
    };
    check(b"", |reason| *reason == LoadReason::NoCertificate);
    check(&[0x30, 0x82], |reason| *reason == LoadReason::NotPem);
    check(ECDSA_KEY.serialize_pem().as_bytes(), |reason| *reason == LoadReason::NoCertificate);
    let half = &AUTHORITY.pem.as_bytes()[..200];
    check(half, |reason| matches!(reason, LoadReason::BadPem(_)));
    let bad = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let mixed = format!("{}{bad}", AUTHORITY.pem);
    check(mixed.as_bytes(), |reason| matches!(reason, LoadReason::BadCertificate { index: 1, .. }));
    let folder = Folder::new();
    let missing = Roots::load(&folder.0.join("none.pem")).unwrap_err();
    assert_eq!(missing.reason, LoadReason::Missing);
    std::fs::write(folder.0.join("ca.pem"), &AUTHORITY.pem).unwrap();
    let mut options = client_options(&clock);
    options.roots = Roots::load(&folder.0.join("ca.pem")).unwrap();
    assert!(ClientTls::new(options).is_ok());
}

#[test]
fn names_are_checked_at_load() {
    let clock = clock();
    let tls = ClientTls::new(client_options(&clock)).unwrap();
    let check = |host: &str, good: bool| {
        assert_eq!(tls.server_name(host).is_ok(), good, "{host:?}");
        let mut options = client_options(&clock);
        options.name = Some(host.to_owned());
        assert_eq!(ClientTls::new(options).is_ok(), good, "{host:?}");
    };
    check("api.internal", true);
    check("[::1]", true);
    check("::1", true);
    check("10.0.0.1", true);
    check("", false);
    check("a b", false);
    check("*.internal", false);
    check("unix:/run/app.sock", false);
}

#[test]
fn sessions_resume_within_one_client_only() {
    let clock = clock();
    let server = origin(&clock, &certificate(&["api.internal"]));
    let first = ClientTls::new(client_options(&clock)).unwrap();
    let second = ClientTls::new(client_options(&clock)).unwrap();
    assert!(!dial(&first, "api.internal", &server).unwrap().resumed());
    assert!(dial(&first, "api.internal", &server).unwrap().resumed());
    assert!(!dial(&second, "api.internal", &server).unwrap().resumed());
}

/// A server that speaks these versions and asks for a certificate of the test root.
fn asking(versions: &[&'static rustls::SupportedProtocolVersion]) -> Arc<ServerConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(AUTHORITY.pem.as_bytes()).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let shown = certificate(&["api.internal"]);
    let resolver = rustls::sign::SingleCertAndKey::from(Arc::clone(shown.certified()));
    let config = ServerConfig::builder_with_details(provider(), clock())
        .with_protocol_versions(versions)
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_cert_resolver(Arc::new(resolver));
    Arc::new(config)
}

#[test]
fn an_identity_is_shown_to_who_asks() {
    let clock = clock();
    let check = |identity: Option<Arc<Certificate>>, good: bool| {
        let tls = ClientTls::new(ClientTlsOptions { identity, ..client_options(&clock) }).unwrap();
        for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
            let result = handshake(tls.config(), "api.internal", &asking(&[version]));
            assert_eq!(result.is_ok(), good, "{version:?}");
        }
    };
    check(Some(certificate(&["doorman.internal"])), true);
    check(None, false);
}

#[test]
fn upstreams_below_the_minimum_are_refused() {
    let clock = clock();
    let identity = Some(certificate(&["doorman.internal"]));
    let old = asking(&[&rustls::version::TLS12]);
    let dial = |minimum| {
        let identity = identity.clone();
        let options = ClientTlsOptions { minimum, identity, ..client_options(&clock) };
        handshake(ClientTls::new(options).unwrap().config(), "api.internal", &old)
    };
    let spoken = dial(MinimumVersion::Tls12).unwrap().client.protocol_version();
    assert_eq!(spoken, Some(ProtocolVersion::TLSv1_2));
    let failed = dial(MinimumVersion::Tls13).err().unwrap();
    assert_eq!(failed.client, Some(Error::AlertReceived(AlertDescription::ProtocolVersion)));
}

#[test]
fn defaults_offer_http_1_1_and_no_early_data() {
    let clock = clock();
    let options = ClientTlsOptions::new(clock.clone());
    assert_eq!((options.verify, options.minimum), (Verify::On, MinimumVersion::Tls12));
    let tls = ClientTls::new(options).unwrap();
    assert_eq!(tls.config().alpn_protocols, [b"http/1.1".to_vec()]);
    assert!(!tls.config().enable_early_data);
}
