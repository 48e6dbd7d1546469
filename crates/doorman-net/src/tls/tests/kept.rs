//! Certificates that come and change while a table stands, and proofs over TLS.

use rustls::server::Acceptor;
use rustls::{AlertDescription, SignatureScheme};

use super::*;

fn kept(keyring: &Keyring, host: &str) -> CertificateSource {
    CertificateSource::Kept { slot: keyring.slot(&name(host)), name: name(host) }
}

#[test]
fn a_certificate_that_comes_is_served_from_then_on() {
    let clock = clock();
    let keyring = Keyring::default();
    let (default, loaded_one) = (certificate(&["d.example"]), certificate(&["both.example"]));
    let sources = vec![
        kept(&keyring, "a.example"),
        kept(&keyring, "*.example"),
        kept(&keyring, "both.example"),
        loaded(&loaded_one),
    ];
    let table = table(sources, vec![Arc::clone(&default)], &clock);
    let check = |host: &str, expect: Option<&Arc<Certificate>>| {
        let found = table.choose(Some(host), &[SignatureScheme::ECDSA_NISTP256_SHA256]);
        assert_eq!(table.answers(Some(host)), expect.is_some(), "{host}");
        match (found, expect) {
            (Some(found), Some(expect)) => {
                assert!(Arc::ptr_eq(&found, expect.certified()), "{host}")
            }
            (found, expect) => assert_eq!(found.is_some(), expect.is_some(), "{host}"),
        }
    };
    // A name that was written down is never answered by the default.
    check("a.example", None);
    check("x.example", None);
    check("elsewhere.test", Some(&default));
    // Files go before what is to come.
    check("both.example", Some(&loaded_one));
    let told = table.describe(Some("a.example")).unwrap();
    assert!(told.certificates.is_empty() && told.local.is_empty());
    assert_eq!(table.kept_expiries().count(), 0);
    // The wildcard's comes first and answers for both.
    let wide = certificate(&["*.example"]);
    keyring.slot(&name("*.example")).put(Arc::clone(&wide));
    check("a.example", Some(&wide));
    check("x.example", Some(&wide));
    let own = certificate(&["a.example"]);
    keyring.slot(&name("a.example")).put(Arc::clone(&own));
    check("A.example.", Some(&own));
    check("x.example", Some(&wide));
    // A new one takes the old one's place.
    let newer = certificate(&["a.example"]);
    keyring.slot(&name("a.example")).put(Arc::clone(&newer));
    check("a.example", Some(&newer));
    let mut expiries: Vec<_> = table.kept_expiries().collect();
    expiries.sort_unstable();
    assert_eq!(expiries, [("*.example", NOW + 80 * DAY), ("a.example", NOW + 80 * DAY)]);
}

fn offering(clock: &Arc<TestClock>, alpn: &[&[u8]]) -> Arc<ClientConfig> {
    let mut options = client_options(clock);
    options.alpn = alpn.iter().map(|name| name.to_vec()).collect();
    options.verify = Verify::Off;
    Arc::clone(ClientTls::new(options).unwrap().config())
}

/// What the server chooses for a client's first message.
fn chosen(
    tls: &ServerTls,
    clock: &Arc<TestClock>,
    host: &str,
    alpn: &[&[u8]],
) -> Result<Arc<ServerConfig>, UnrecognizedName> {
    let mut client = Pair::new(&offering(clock, alpn), host, tls.config()).client;
    let mut wire = Vec::new();
    client.write_tls(&mut wire).unwrap();
    let mut acceptor = Acceptor::default();
    let mut bytes = wire.as_slice();
    while !bytes.is_empty() {
        acceptor.read_tls(&mut bytes).unwrap();
    }
    tls.choose(&acceptor.accept().unwrap().unwrap().client_hello())
}

/// RFC 8737 section 3.
#[test]
fn a_proof_answers_whoever_asks_for_nothing_else() {
    let clock = clock();
    let keyring = Keyring::default();
    let site = certificate(&["a.example"]);
    let tls = server(&table(vec![loaded(&site)], vec![], &clock), &clock)
        .with_proofs(Arc::clone(keyring.proofs()));
    let acme: &[&[u8]] = &[ACME_TLS];
    let usual = |found: Result<Arc<ServerConfig>, UnrecognizedName>| {
        found.is_ok_and(|found| Arc::ptr_eq(&found, tls.config()))
    };
    // Without a proof under way the protocol is one that nobody speaks.
    let found = chosen(&tls, &clock, "a.example", acme).unwrap();
    let failed = handshake(&offering(&clock, acme), "a.example", &found).err().unwrap();
    let alert = Error::AlertReceived(AlertDescription::NoApplicationProtocol);
    assert_eq!(failed.client, Some(alert));
    let proof = keyring.proofs().answer_tls("a.example", &[7; 32], clock.clone()).unwrap();
    let found = chosen(&tls, &clock, "A.example", acme).unwrap();
    assert_eq!(found.alpn_protocols, [ACME_TLS]);
    // A usual client gets as far as the critical extension, which means nothing to it. The stories show the rest.
    let failed = handshake(&offering(&clock, acme), "a.example", &found).err().unwrap();
    let reason = format!("{:?}", failed.client);
    assert!(reason.contains("UnsupportedCriticalExtension"), "{reason}");
    // Neither other clients nor other names see anything of it.
    assert!(usual(chosen(&tls, &clock, "a.example", &[b"h2"])));
    assert!(usual(chosen(&tls, &clock, "a.example", &[b"h2", ACME_TLS])));
    assert!(usual(chosen(&tls, &clock, "a.example", &[])));
    assert!(chosen(&tls, &clock, "b.example", acme).is_err());
    drop(proof);
    assert!(usual(chosen(&tls, &clock, "a.example", acme)));
}
