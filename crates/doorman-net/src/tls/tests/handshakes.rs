//! Which certificate a handshake gets, and what it negotiates.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::server::Acceptor;
use rustls::{
    AlertDescription, DigitallySignedStruct, NamedGroup, ProtocolVersion, SignatureScheme,
};

use super::*;

/// A first message with this exact host name, whatever is wrong with it.
fn hello_with_raw_name(clock: &Arc<TestClock>, raw: &str) -> Acceptor {
    let placeholder = "x".repeat(raw.len() - 4) + ".zzz";
    let mut client = Pair::new(
        &client(clock),
        &placeholder,
        server(&table(vec![], vec![], clock), clock).config(),
    )
    .client;
    let mut wire = Vec::new();
    client.write_tls(&mut wire).unwrap();
    let at = wire.windows(raw.len()).position(|window| window == placeholder.as_bytes()).unwrap();
    wire[at..at + raw.len()].copy_from_slice(raw.as_bytes());
    let mut acceptor = Acceptor::default();
    let mut bytes = wire.as_slice();
    while !bytes.is_empty() {
        acceptor.read_tls(&mut bytes).unwrap();
    }
    acceptor
}

#[test]
fn the_table_finds_names_in_order() {
    let clock = clock();
    let (exact, wildcard, other, default) = (
        certificate(&["www.example.com"]),
        certificate(&["*.example.com", "example.com"]),
        certificate(&["other.example", "192.0.2.7"]),
        certificate(&["default.example"]),
    );
    let sources = || vec![loaded(&wildcard), loaded(&exact), loaded(&other)];
    let with = table(sources(), vec![Arc::clone(&default)], &clock);
    let without = table(sources(), vec![], &clock);
    let bare = table(vec![loaded(&exact)], vec![], &clock);
    let bare_default = table(vec![loaded(&exact)], vec![Arc::clone(&default)], &clock);

    let check = |table: &Certificates, name: Option<&str>, expect: Option<&Arc<Certificate>>| {
        let found = table.choose(name, &[SignatureScheme::ECDSA_NISTP256_SHA256]);
        let expect = expect.map(|certificate| certificate.certified().cert[0].clone());
        assert_eq!(found.map(|found| found.cert[0].clone()), expect, "{name:?}");
        assert_eq!(table.answers(name), expect.is_some(), "{name:?}");
        assert_eq!(table.describe(name).is_some(), expect.is_some(), "{name:?}");
    };
    let cases = [
        ("www.example.com", Some(&exact)),
        ("WWW.Example.COM", Some(&exact)),
        ("www.example.com.", Some(&exact)),
        ("WWW.EXAMPLE.COM.", Some(&exact)),
        ("example.com", Some(&wildcard)),
        ("shop.example.com", Some(&wildcard)),
        ("SHOP.example.com.", Some(&wildcard)),
        ("under_score.example.com", Some(&wildcard)),
        ("*.example.com", None),
        ("a.shop.example.com", None),
        ("a.www.example.com", None),
        (".example.com", None),
        ("www.example.com..", None),
        ("example.com.evil", None),
        ("evilexample.com", None),
        ("com", None),
        ("", None),
        (".", None),
        ("other.example", Some(&other)),
        ("a.other.example", None),
        ("default.example", None),
        ("192.0.2.7", None),
        ("www.exam\u{e9}le.com", None),
        ("www example.com", None),
        ("www.example.com\0", None),
        ("-www.example.com", None),
    ];
    for (name, expect) in cases {
        check(&without, Some(name), expect);
        check(&with, Some(name), Some(expect.unwrap_or(&default)));
    }
    let long = format!("{}.example.com", "a".repeat(64));
    check(&without, Some(&long), None);
    let fits = format!("{}.example.com", "a".repeat(63));
    check(&without, Some(&fits), Some(&wildcard));
    let endless = "a.".repeat(500);
    check(&without, Some(&endless), None);
    // No name: the certificate for addresses, then the default, never the first of the list.
    check(&without, None, Some(&other));
    check(&with, None, Some(&other));
    check(&bare, None, None);
    check(&bare_default, None, Some(&default));
}

#[test]
fn handshakes_get_the_certificate_of_their_name() {
    let clock = clock();
    let (exact, wildcard) = (certificate(&["www.example.com"]), certificate(&["*.example.com"]));
    let address = certificate(&["192.0.2.7", "2001:db8::7"]);
    let sources = vec![loaded(&exact), loaded(&wildcard), loaded(&address)];
    let tls = server(&table(sources, vec![], &clock), &clock);
    for client in [client(&clock), client_tls12(&clock)] {
        let check = |host: &str, expect: &Arc<Certificate>| {
            let pair = handshake(&client, host, tls.config()).unwrap();
            assert_eq!(pair.shown(), &expect.certified().cert[0], "{host}");
        };
        check("www.example.com", &exact);
        check("WWW.EXAMPLE.com", &exact);
        check("www.example.com.", &exact);
        check("a.example.com", &wildcard);
        check("192.0.2.7", &address);
        check("2001:db8::7", &address);
        let failed = handshake(&client, "a.b.example.com", tls.config()).err().unwrap();
        // rustls knows no better alert; `choose` is there for the right one.
        let alert = Error::AlertReceived(AlertDescription::AccessDenied);
        assert_eq!(failed.client, Some(alert));
        assert!(failed.server.is_some());
    }
}

#[test]
fn first_messages_with_odd_names_are_judged() {
    let clock = clock();
    let site = certificate(&["www.example.com"]);
    let tls = server(&table(vec![loaded(&site)], vec![], &clock), &clock);
    let with_default =
        server(&table(vec![loaded(&site)], vec![certificate(&["d.example"])], &clock), &clock);
    let check = |raw: &str, named: bool, default: bool| {
        let accepted = hello_with_raw_name(&clock, raw).accept().unwrap().unwrap();
        assert_eq!(tls.choose(&accepted.client_hello()).is_ok(), named, "{raw}");
        assert_eq!(with_default.choose(&accepted.client_hello()).is_ok(), default, "{raw}");
    };
    check("www.example.com", true, true);
    check("wWw.eXample.com", true, true);
    check("www.example.com.", true, true);
    check("abc.example.com", false, true);
    // An address as a server name counts as no name at all.
    check("192.0.2.77", false, true);
    for raw in ["www..example.com", "www exampl.com", "*.example.com"] {
        assert!(hello_with_raw_name(&clock, raw).accept().is_err(), "{raw}");
    }
}

/// A handshake by way of `choose`. `None` when it refuses the name.
fn chosen(
    client: &Arc<ClientConfig>,
    host: &str,
    tls: &ServerTls,
) -> Option<Result<Pair, Box<Failed>>> {
    let mut pair = Pair::new(client, host, tls.config());
    let mut wire = Vec::new();
    pair.client.write_tls(&mut wire).unwrap();
    let (mut acceptor, mut bytes) = (Acceptor::default(), wire.as_slice());
    while !bytes.is_empty() {
        acceptor.read_tls(&mut bytes).unwrap();
    }
    let accepted = acceptor.accept().unwrap().unwrap();
    let config = tls.choose(&accepted.client_hello()).ok()?;
    match accepted.into_connection(config) {
        Ok(server) => Some(Pair { client: pair.client, server }.pump()),
        Err((error, _)) => Some(Err(Box::new(Failed { client: None, server: Some(error) }))),
    }
}

#[test]
fn sites_have_settings_of_their_own() {
    let clock = clock();
    let all = certificate(&["a.example", "*.b.example", "x.b.example", "d.example"]);
    let tickets = TicketKeys::new(clock.clone()).unwrap();
    let table = table(vec![loaded(&all)], vec![], &clock);
    let list = |name: &str| vec![name.as_bytes().to_vec()];
    let names = |texts: &[&str]| texts.iter().map(|text| name(text)).collect::<Vec<_>>();
    let tls = ServerTls::new(options("a", &clock), table, &tickets)
        .and_then(|tls| {
            tls.with_site(&names(&["a.example"]), site(MinimumVersion::Tls13, list("http/1.1")))
        })
        .and_then(|tls| {
            tls.with_site(&names(&["*.b.example"]), site(MinimumVersion::Tls13, list("h2")))
        })
        .and_then(|tls| {
            tls.with_site(&names(&["x.b.example"]), site(MinimumVersion::Tls12, list("h2")))
        })
        .unwrap();
    let newest = {
        let mut client = (*client(&clock)).clone();
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(client)
    };
    let old = client_tls12(&clock);
    let check = |host: &str, protocol: &str, takes_tls12: bool| {
        let pair = chosen(&newest, host, &tls).unwrap().unwrap();
        assert_eq!(pair.client.alpn_protocol(), Some(protocol.as_bytes()), "{host}");
        assert_eq!(chosen(&old, host, &tls).unwrap().is_ok(), takes_tls12, "{host}");
    };
    check("a.example", "http/1.1", false);
    check("A.EXAMPLE", "http/1.1", false);
    check("y.b.example", "h2", false);
    check("x.b.example", "h2", true);
    check("d.example", "h2", true);
    assert!(chosen(&newest, "nobody.example", &tls).is_none());
    assert_eq!(
        tls.with_site(&[], site(MinimumVersion::Tls12, vec![vec![]])).err(),
        Some(ServerTlsError::Alpn(0))
    );
}

#[test]
fn the_refusal_is_the_alert_that_clients_understand() {
    let clock = clock();
    let tls = server(&table(vec![], vec![], &clock), &clock);
    let mut pair = Pair::new(&client(&clock), "nobody.example", tls.config());
    let mut wire = Vec::new();
    pair.client.write_tls(&mut wire).unwrap();
    let mut bytes = UNRECOGNIZED_NAME_ALERT.as_slice();
    pair.client.read_tls(&mut bytes).unwrap();
    let error = pair.client.process_new_packets().unwrap_err();
    assert_eq!(error, Error::AlertReceived(AlertDescription::UnrecognisedName));
}

/// Takes anything, and says that it can verify these schemes.
#[derive(Debug)]
struct Only(&'static [SignatureScheme]);

impl ServerCertVerifier for Only {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.to_vec()
    }
}

#[test]
fn ecdsa_is_preferred_and_rsa_is_for_clients_without_it() {
    use SignatureScheme as S;
    let clock = clock();
    let names = ["www.example.com"];
    let (ecdsa, rsa) = (certificate(&names), certificate_with(&names, &RSA_KEY));
    assert_eq!((ecdsa.facts().key, rsa.facts().key), (KeyKind::Ecdsa, KeyKind::Rsa));
    let client = |schemes, version| {
        let config = ClientConfig::builder_with_details(provider(), clock.clone())
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Only(schemes)))
            .with_no_client_auth();
        Arc::new(config)
    };
    for order in [[&rsa, &ecdsa], [&ecdsa, &rsa]] {
        let sources = order.into_iter().map(loaded).collect();
        let tls = server(&table(sources, vec![], &clock), &clock);
        let check = |schemes, expect: Option<&Arc<Certificate>>| {
            for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
                let pair = handshake(&client(schemes, version), names[0], tls.config());
                let shown = pair.as_ref().ok().map(|pair| pair.shown());
                let expect = expect.map(|certificate| &certificate.certified().cert[0]);
                assert_eq!(shown, expect, "{schemes:?} {version:?}");
            }
        };
        check(&[S::ECDSA_NISTP256_SHA256, S::RSA_PSS_SHA256], Some(&ecdsa));
        check(&[S::RSA_PSS_SHA256, S::ECDSA_NISTP256_SHA256], Some(&ecdsa));
        check(&[S::RSA_PSS_SHA512, S::RSA_PKCS1_SHA256], Some(&rsa));
        check(&[S::ECDSA_NISTP384_SHA384, S::RSA_PSS_SHA256], Some(&rsa));
        check(&[S::ED25519], None);
    }
}

#[test]
fn versions_begin_at_the_minimum() {
    let clock = clock();
    let table = table(vec![loaded(&certificate(&["a.example"]))], vec![], &clock);
    let tickets = TicketKeys::new(clock.clone()).unwrap();
    let check = |minimum, client: &Arc<ClientConfig>, expect: Option<ProtocolVersion>| {
        let options = ServerTlsOptions { minimum, ..options("a", &clock) };
        let tls = ServerTls::new(options, Arc::clone(&table), &tickets).unwrap();
        match handshake(client, "a.example", tls.config()) {
            Ok(pair) => assert_eq!(pair.client.protocol_version(), expect),
            Err(failed) => {
                assert_eq!(expect, None);
                let alert = Error::AlertReceived(AlertDescription::ProtocolVersion);
                assert_eq!(failed.client, Some(alert));
            }
        }
    };
    let (newest, old) = (client(&clock), client_tls12(&clock));
    check(MinimumVersion::Tls12, &newest, Some(ProtocolVersion::TLSv1_3));
    check(MinimumVersion::Tls12, &old, Some(ProtocolVersion::TLSv1_2));
    check(MinimumVersion::Tls13, &newest, Some(ProtocolVersion::TLSv1_3));
    check(MinimumVersion::Tls13, &old, None);
}

#[test]
fn application_protocols_follow_our_order_and_must_overlap() {
    let clock = clock();
    let table = table(vec![loaded(&certificate(&["a.example"]))], vec![], &clock);
    let tickets = TicketKeys::new(clock.clone()).unwrap();
    let list = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect();
    let check = |ours: &[&str], theirs: &[&str], expect: Result<Option<&str>, ()>| {
        let options = ServerTlsOptions { alpn: list(ours), ..options("a", &clock) };
        let tls = ServerTls::new(options, Arc::clone(&table), &tickets).unwrap();
        for client in [client(&clock), client_tls12(&clock)] {
            let mut client = (*client).clone();
            client.alpn_protocols = list(theirs);
            match handshake(&Arc::new(client), "a.example", tls.config()) {
                Ok(pair) => {
                    let chosen = expect.unwrap().map(str::as_bytes);
                    assert_eq!(pair.server.alpn_protocol(), chosen);
                    assert_eq!(pair.client.alpn_protocol(), chosen);
                }
                Err(failed) => {
                    assert!(expect.is_err(), "{ours:?} {theirs:?} {failed:?}");
                    let alert = Error::AlertReceived(AlertDescription::NoApplicationProtocol);
                    assert_eq!(failed.client, Some(alert));
                }
            }
        }
    };
    check(&["h2", "http/1.1"], &["http/1.1", "h2"], Ok(Some("h2")));
    check(&["h2", "http/1.1"], &["http/1.1"], Ok(Some("http/1.1")));
    check(&["http/1.1"], &["h2", "http/1.1"], Ok(Some("http/1.1")));
    check(&["h2", "http/1.1"], &[], Ok(None));
    check(&["h2", "http/1.1"], &["ftp", "smtp"], Err(()));
    check(&["h2"], &["http/1.1"], Err(()));
    check(&["h2"], &["h2x"], Err(()));
    check(&["h2"], &["H2"], Err(()));
    // A listener without a list negotiates nothing (RFC 7301 section 3.1 leaves that to the server).
    check(&[], &["h2"], Ok(None));
}

#[test]
fn the_key_exchange_is_post_quantum() {
    let clock = clock();
    let tls = server(&table(vec![loaded(&certificate(&["a.example"]))], vec![], &clock), &clock);
    let pair = handshake(&client(&clock), "a.example", tls.config()).unwrap();
    let group = pair.server.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
    assert_eq!(tls.config().max_early_data_size, 0);
    assert!(!tls.config().send_half_rtt_data);
}

#[test]
fn options_out_of_range_are_errors() {
    let clock = clock();
    let table = table(vec![], vec![], &clock);
    let tickets = TicketKeys::new(clock.clone()).unwrap();
    let check = |change: fn(&mut ServerTlsOptions), expect: Option<ServerTlsError>| {
        let mut options = options("a", &clock);
        change(&mut options);
        let made = ServerTls::new(options, Arc::clone(&table), &tickets);
        assert_eq!(made.err(), expect);
    };
    check(|options| options.record_bytes_max = Some(31), Some(ServerTlsError::RecordBytes(31)));
    check(
        |options| options.record_bytes_max = Some(16_385),
        Some(ServerTlsError::RecordBytes(16_385)),
    );
    check(|options| options.record_bytes_max = Some(16_384), None);
    check(|options| options.record_bytes_max = Some(1_400), None);
    check(|options| options.alpn = vec![vec![]], Some(ServerTlsError::Alpn(0)));
    check(|options| options.alpn = vec![vec![b'a'; 256]], Some(ServerTlsError::Alpn(256)));
}

#[test]
fn ten_thousand_names_are_found() {
    let clock = clock();
    let shared = certificate(&["shared.example"]);
    let own = certificate(&["own.example"]);
    let source = |certificate: &Arc<Certificate>, host: String| CertificateSource::Loaded {
        certificate: Arc::clone(certificate),
        names: vec![name(&host)],
    };
    let mut sources: Vec<_> =
        (0..10_000).map(|n| source(&shared, format!("site-{n}.example.com"))).collect();
    sources.extend((0..10_000).map(|n| source(&own, format!("*.zone-{n}.example.net"))));
    let table = table(sources, vec![], &clock);
    let scheme = [SignatureScheme::ECDSA_NISTP256_SHA256];
    for n in 0..10_000 {
        let check = |host: String, expect: Option<&Arc<Certificate>>| {
            let found = table.choose(Some(&host), &scheme);
            assert_eq!(found.is_some(), expect.is_some(), "{host}");
            if let (Some(found), Some(expect)) = (found, expect) {
                assert!(Arc::ptr_eq(&found, expect.certified()), "{host}");
            }
        };
        check(format!("site-{n}.example.com"), Some(&shared));
        check(format!("Deep.Zone-{n}.example.net."), Some(&own));
        check(format!("site-{n}.example.net"), None);
        check(format!("a.deep.zone-{n}.example.net"), None);
    }
    assert_eq!(table.expiries().count(), 20_000);
}

#[test]
fn description_and_expiries_name_what_is_served() {
    let clock = clock();
    let names = ["www.example.com", "*.example.com"];
    let (ecdsa, rsa) = (certificate(&names), certificate_with(&names, &RSA_KEY));
    let late = {
        let chain = leaf_pem(&["www.example.com"], &ECDSA_KEY, NOW..NOW + 5 * DAY);
        let key = ECDSA_KEY.serialize_pem();
        let chain = PemFile { path: Path::new("c"), bytes: chain.as_bytes() };
        let key = PemFile { path: Path::new("k"), bytes: key.as_bytes() };
        Arc::new(Certificate::from_pem(chain, key).unwrap())
    };
    let sources = vec![loaded(&rsa), loaded(&ecdsa), loaded(&late)];
    let table = table(sources, vec![certificate(&["d.example"])], &clock);
    let check = |host: Option<&str>, by: ServedBy, kinds: &[KeyKind]| {
        let served = table.describe(host).unwrap();
        assert_eq!(served.by, by, "{host:?}");
        let found: Vec<_> = served.certificates.iter().map(|held| held.facts().key).collect();
        assert_eq!(found, kinds, "{host:?}");
    };
    check(Some("WWW.example.com."), ServedBy::Exact, &[KeyKind::Ecdsa, KeyKind::Rsa]);
    check(Some("x.example.com"), ServedBy::Wildcard, &[KeyKind::Ecdsa, KeyKind::Rsa]);
    check(Some("x.y.example.com"), ServedBy::Default, &[KeyKind::Ecdsa]);
    check(Some("no such name"), ServedBy::Default, &[KeyKind::Ecdsa]);
    check(None, ServedBy::Default, &[KeyKind::Ecdsa]);
    let expiries: Vec<_> = table.expiries().collect();
    let expect = [
        ("*.example.com", NOW + 80 * DAY),
        ("d.example", NOW + 80 * DAY),
        ("www.example.com", NOW + 5 * DAY),
    ];
    assert_eq!(expiries, expect);
}

fn site(minimum: MinimumVersion, alpn: Vec<Vec<u8>>) -> SiteTlsOptions {
    let (policy, clients, early_data) = (TlsPolicy::default(), None, None);
    SiteTlsOptions { minimum, alpn, policy, clients, early_data }
}

/// SET-01: what a policy leaves out is not negotiated, over either version.
#[test]
fn a_policy_narrows_what_is_negotiated() {
    let clock = clock();
    let table = table(vec![loaded(&certificate(&["a.example"]))], vec![], &clock);
    let server = |policy: TlsPolicy| {
        let options = ServerTlsOptions { policy, ..options("test", &clock) };
        let tickets = TicketKeys::new(clock.clone()).unwrap();
        ServerTls::new(options, Arc::clone(&table), &tickets).unwrap()
    };
    let suites = ["TLS_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"];
    let narrow = TlsPolicy::new(MinimumVersion::Tls12, &suites, &["secp384r1"]).unwrap();
    let narrow = server(narrow);
    for (client, suite) in [
        (client(&clock), rustls::CipherSuite::TLS13_AES_256_GCM_SHA384),
        (client_tls12(&clock), rustls::CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ] {
        let pair = handshake(&client, "a.example", narrow.config()).unwrap();
        assert_eq!(pair.client.negotiated_cipher_suite().unwrap().suite(), suite);
        let group = pair.server.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(group, NamedGroup::secp384r1);
    }
    let modern = server(TlsPolicy::new(MinimumVersion::Tls13, &[], &[]).unwrap());
    assert!(handshake(&client(&clock), "a.example", modern.config()).is_ok());
    assert!(handshake(&client_tls12(&clock), "a.example", modern.config()).is_err());
    // A session is a policy's own.
    let kept = client(&clock);
    let tickets = TicketKeys::new(clock.clone()).unwrap();
    let with = |policy: TlsPolicy| {
        let options = ServerTlsOptions { policy, ..options("test", &clock) };
        ServerTls::new(options, Arc::clone(&table), &tickets).unwrap()
    };
    let default = with(TlsPolicy::default());
    assert!(!handshake(&kept, "a.example", default.config()).unwrap().resumed());
    assert!(handshake(&kept, "a.example", default.config()).unwrap().resumed());
    let other = with(TlsPolicy::new(MinimumVersion::Tls12, &[], &["X25519"]).unwrap());
    assert!(!handshake(&kept, "a.example", other.config()).unwrap().resumed());
    let wrong = |suites: &[&str], groups: &[&str]| {
        TlsPolicy::new(MinimumVersion::Tls12, suites, groups).unwrap_err()
    };
    assert_eq!(wrong(&["RC4"], &[]), TlsPolicyError::Unknown("RC4".to_owned()));
    assert_eq!(wrong(&[], &["ffdhe2048"]), TlsPolicyError::Unknown("ffdhe2048".to_owned()));
    let only_old = ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"];
    assert_eq!(wrong(&only_old, &[]), TlsPolicyError::NoTls13);
}
