//! Signed tokens, sets of keys, what providers say of themselves, and the cookies and answers of a sign-in: no panic;
//! nothing passes that is not signed; what passes can be told in a field.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64ct::{Base64UrlUnpadded, Encoding};
use doorman_auth::Outcome;
use doorman_auth::jwt::{
    Algorithm, Algorithms, Cache, KEYS_MAX, KeySet, Keys, LEEWAY, Rules, VALUES_BYTES_MAX, Verifier,
};
use doorman_auth::oidc::{Client, Provider, SealKeys, Settings, Unauthenticated, Visit};
use doorman_http::{Instant, Now, RequestHead, Scheme, is_field_value};
use libfuzzer_sys::fuzz_target;

const SECRET: [u8; 32] = *b"a secret that everybody may know";
const NOW: Now = Now { instant: Instant(1), unix_nanos: 1_800_000_000_000_000_000 };

fn text(bytes: &[u8]) -> String {
    let mut digits = vec![0; Base64UrlUnpadded::encoded_len(bytes)];
    Base64UrlUnpadded::encode(bytes, &mut digits).expect("room").to_owned()
}

fn verifier() -> Verifier {
    let rules = Rules {
        keep: ["email", "a.b", "c"].map(Box::from).into(),
        leeway: LEEWAY,
        ..Rules::default()
    };
    Verifier { algorithms: Algorithms::PUBLIC.with(Algorithm::Hs256), rules }
}

/// A token of that header and those claims, with a good signature.
fn signed(header: &[u8], claims: &[u8]) -> String {
    let signed = format!("{}.{}", text(header), text(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &SECRET), signed.as_bytes());
    format!("{signed}.{}", text(tag.as_ref()))
}

fn token(input: &[u8]) {
    let keys = Keys::fixed(Arc::new(KeySet::secret(&SECRET).expect("a secret")), 1);
    let mut cache = Cache::new(4, [1, 2]);
    let verifier = verifier();
    let raw = verifier.check(input, Some(&keys), &mut cache, NOW);
    assert!(!matches!(raw, Outcome::Pass(_)), "nobody signed it");
    let _ = verifier.check(signed(input, b"{}").as_bytes(), Some(&keys), &mut cache, NOW);
    let token = signed(br#"{"alg":"HS256"}"#, input);
    if let Outcome::Pass(identity) = verifier.check(token.as_bytes(), Some(&keys), &mut cache, NOW)
    {
        assert!(!identity.user.is_empty() && is_field_value(identity.user.as_bytes()));
        let values = identity.claims.iter().map(|claim| &*claim.value);
        assert!(
            values.clone().all(|value| is_field_value(value.as_bytes()) && value.trim() == value)
        );
        assert!(values.map(str::len).sum::<usize>() <= VALUES_BYTES_MAX);
        let again = verifier.check(token.as_bytes(), Some(&keys), &mut cache, NOW);
        assert!(matches!(again, Outcome::Pass(again) if Arc::ptr_eq(&again, &identity)));
    }
}

fn client() -> Client {
    let settings = Settings {
        issuer: "https://id.test".into(),
        client_id: "app".into(),
        client_secret: None,
        scopes: Vec::new(),
        session: Duration::from_secs(3600),
        cookie: "s".into(),
        callback: "/callback".into(),
        logout: "/logout".into(),
        unauthenticated: Unauthenticated::Redirect,
        refresh: true,
        algorithms: Algorithms::PUBLIC,
        keep: Vec::new(),
        leeway: LEEWAY,
    };
    Client::new(settings, SealKeys::new(&[[1; 32]]).expect("a key")).expect("settings")
}

fn sign_in(input: &[u8]) {
    let client = client();
    let mut head = RequestHead::default();
    head.scheme = Scheme::Https;
    head.fields.push(b"Cookie", &[b"__Host-s=1", input].concat());
    head.fields.push(b"Cookie", &[b"__Host-s-login-0=1", input].concat());
    let visit = client.visit(&head, NOW);
    assert!(!matches!(visit, Visit::Pass(_) | Visit::Renew(_)), "nobody sealed it");
    let _ = client.sign_out(None, &head);
    let document = br#"{"issuer":"https://id.test","authorization_endpoint":"https://id.test/a",
        "token_endpoint":"https://id.test/t","jwks_uri":"https://id.test/k"}"#;
    let provider = Provider::read(document, "https://id.test").expect("a document");
    if head.set_path_and_query(&[b"/callback?", input].concat()).is_ok() {
        assert!(client.callback(&provider, &head, NOW).is_err());
    }
}

fuzz_target!(|input: &[u8]| {
    token(input);
    if let Ok(set) = KeySet::read(input, Algorithms::PUBLIC) {
        assert!(!set.is_empty() && set.len() + set.skipped() <= KEYS_MAX);
    }
    if let Ok(provider) = Provider::read(input, "https://id.test") {
        assert!(provider.token_endpoint.starts_with("https://"));
    }
    sign_in(input);
});
