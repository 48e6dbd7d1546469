//! Ten thousand certificates: each name gets its own, and a handshake takes what it takes with one.

use super::*;

const MANY: usize = 10_000;

/// The table keeps one value for each certificate, however many names it has, and finds every one of them.
#[test]
fn ten_thousand_names_each_find_their_own() {
    let clock = clock();
    let pool: Vec<_> = (0..50).map(|_| certificate(&["x.example"])).collect();
    let one = |n: usize| CertificateSource::Loaded {
        certificate: Arc::clone(&pool[n % pool.len()]),
        names: vec![name(&format!("shop-{n}.customers.example"))],
    };
    let table = table((0..MANY).map(one).collect(), vec![], &clock);
    let schemes = [rustls::SignatureScheme::ECDSA_NISTP256_SHA256];
    for n in 0..MANY {
        let found = table.choose(Some(&format!("SHOP-{n}.customers.example")), &schemes).unwrap();
        assert!(Arc::ptr_eq(&found, pool[n % pool.len()].certified()), "{n}");
    }
    assert!(table.choose(Some("shop-10000.customers.example"), &schemes).is_none());
    assert_eq!(Arc::strong_count(&pool[0]), 1 + MANY / pool.len());
}
