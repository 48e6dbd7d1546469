//! What a signed token costs: one that is remembered, and one whose signature is verified.
//!
//! Run `cargo bench -p doorman-auth --bench token`. Each number is the median of several rounds.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant as Clock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64ct::{Base64UrlUnpadded, Encoding};
use doorman_auth::Outcome;
use doorman_auth::jwt::{Algorithms, Cache, KeySet, Keys, Rules, TOKENS_DEFAULT, Verifier};
use doorman_http::{Instant, Now};

const ROUNDS: usize = 9;
const NOW: Now = Now { instant: Instant(1), unix_nanos: 1_800_000_000_000_000_000 };

fn main() {
    let random = SystemRandom::new();
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let (x, y) = ec.public_key().as_ref()[1..].split_at(32);
    let ec_key = format!(r#"{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}}"#, text(x), text(y));
    let es256 = |length| {
        let signed = unsigned("ES256", length);
        let signature = ec.sign(&random, signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", text(signature.as_ref()))
    };
    println!("nanoseconds");
    for length in [500, 1000, 2000] {
        let token = es256(length);
        let (verifier, keys) = gate(&ec_key);
        let mut cache = Cache::new(TOKENS_DEFAULT, [1, 2]);
        pass(&verifier.check(token.as_bytes(), Some(&keys), &mut cache, NOW));
        let look = cost(1_000_000, || {
            pass(&verifier.check(black_box(token.as_bytes()), Some(&keys), &mut cache, NOW));
        });
        println!("remembered, of {:>4} bytes         {look:>9.1}", token.len());
    }
    let token = es256(1000);
    println!("ES256 verified, of {:>4} bytes     {:>9.1}", token.len(), verified(&ec_key, &token));

    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let public = rsa.public_key();
    // An RSAPublicKey of 2048 bits: the modulus stands behind 9 bytes, and ends 5 before the end.
    let n = &public.as_ref()[9..9 + 256];
    let rsa_key = format!(r#"{{"kty":"RSA","e":"AQAB","n":"{}"}}"#, text(n));
    let signed = unsigned("RS256", 1000);
    let mut signature = vec![0; rsa.public_modulus_len()];
    rsa.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).expect("a signature");
    let token = format!("{signed}.{}", text(&signature));
    println!("RS256 verified, of {:>4} bytes     {:>9.1}", token.len(), verified(&rsa_key, &token));
}

/// Header and claims that together have about so many bytes.
fn unsigned(algorithm: &str, length: usize) -> String {
    let header = text(format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#).as_bytes());
    let filler = "x".repeat((length.saturating_sub(200)) * 3 / 4);
    let claims = format!(
        r#"{{"iss":"https://id.test","aud":"api","sub":"ann","exp":1900000000,"email":"ann@app.test","x":"{filler}"}}"#
    );
    format!("{header}.{}", text(claims.as_bytes()))
}

fn gate(key: &str) -> (Verifier, Keys) {
    let set = KeySet::read(format!(r#"{{"keys":[{key}]}}"#).as_bytes(), Algorithms::PUBLIC);
    let rules = Rules {
        issuer: Some("https://id.test".into()),
        audiences: vec!["api".into()],
        keep: vec!["email".into()],
        ..Rules::default()
    };
    let verifier = Verifier { algorithms: Algorithms::PUBLIC, rules };
    (verifier, Keys::fixed(Arc::new(set.expect("a key")), 1))
}

/// Nanoseconds to verify a token that is never remembered: other keys forget it each time.
fn verified(key: &str, token: &str) -> f64 {
    let (verifier, mut keys) = gate(key);
    let mut cache = Cache::new(4, [1, 2]);
    cost(5_000, || {
        keys.generation += 1;
        pass(&verifier.check(black_box(token.as_bytes()), Some(&keys), &mut cache, NOW));
    })
}

fn pass(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Pass(_)), "{outcome:?}");
}

fn text(bytes: &[u8]) -> String {
    let mut digits = vec![0; Base64UrlUnpadded::encoded_len(bytes)];
    Base64UrlUnpadded::encode(bytes, &mut digits).expect("room").to_owned()
}

/// The median of the rounds, in nanoseconds.
fn cost(times: u32, mut work: impl FnMut()) -> f64 {
    let mut rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let begun = Clock::now();
            for _ in 0..times {
                work();
            }
            begun.elapsed().as_nanos() as f64 / f64::from(times)
        })
        .collect();
    rounds.sort_unstable_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}
