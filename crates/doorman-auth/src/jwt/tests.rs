use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use doorman_http::{Instant, Now, RequestHead};
use serde_json::{Value, json};

use super::*;
use crate::base64url::text;
use crate::signer::{Signer, set_of};

const SECONDS: u64 = 1_800_000_000;

fn at(seconds: u64) -> Now {
    Now { instant: Instant(1), unix_nanos: seconds * 1_000_000_000 }
}

fn keys(set: KeySet) -> Keys {
    Keys::fixed(Arc::new(set), 1)
}

fn read(set: &str) -> KeySet {
    KeySet::read(set.as_bytes(), Algorithms::PUBLIC).expect("a set of keys")
}

fn verifier(rules: Rules) -> Verifier {
    Verifier { algorithms: Algorithms::PUBLIC, rules }
}

fn claims() -> Value {
    json!({"sub": "ann", "exp": SECONDS + 600})
}

fn cache() -> Cache {
    Cache::new(64, [1, 2])
}

/// What is said of a token, in a word.
fn word(verdict: &Outcome) -> String {
    match verdict {
        Outcome::Pass(identity) => format!("pass {}", identity.user),
        Outcome::Refuse(refusal) => refusal.word().to_owned(),
        Outcome::Ask(KeysWanted) => "ask".to_owned(),
        Outcome::Work(_) => "work".to_owned(),
    }
}

fn say(verifier: &Verifier, token: &str, keys: &Keys, seconds: u64) -> String {
    word(&verifier.check(token.as_bytes(), Some(keys), &mut cache(), at(seconds)))
}

/// Tokens and keys of the standards. Two are about nobody and the third has no claims: what is refused of them is that,
/// behind the signature, and the signature once a bit of it is another one.
#[test]
fn tokens_of_the_standards() {
    let joe = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let p256 = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
    let rsa = r#"{"keys":[{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}]}"#;
    let ed = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let secret = base64url_bytes(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    );
    for (source, set, header, claims, signature, expect) in [
        (
            "RFC 7515 A.3",
            read(p256),
            "eyJhbGciOiJFUzI1NiJ9",
            joe,
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
            "not-allowed",
        ),
        (
            "RFC 7515 A.2",
            read(rsa),
            "eyJhbGciOiJSUzI1NiJ9",
            joe,
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
            "not-allowed",
        ),
        (
            "RFC 7515 A.1",
            KeySet::secret(&secret).expect("a secret"),
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
            joe,
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            "not-allowed",
        ),
        (
            "RFC 8037 A.4",
            read(ed),
            "eyJhbGciOiJFZERTQSJ9",
            "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
            "malformed-credentials",
        ),
    ] {
        let verifier = Verifier {
            algorithms: Algorithms::PUBLIC.with(Algorithm::Hs256),
            rules: Rules::default(),
        };
        let keys = keys(set);
        let token = format!("{header}.{claims}.{signature}");
        assert_eq!(say(&verifier, &token, &keys, 1_300_819_379), expect, "{source}");
        let other = format!("{header}.{claims}.A{}", &signature[1..]);
        assert_eq!(say(&verifier, &other, &keys, 1_300_819_379), "bad-signature", "{source}");
    }
}

fn base64url_bytes(digits: &str) -> Vec<u8> {
    crate::base64url::read(digits.as_bytes()).expect("base64url")
}

#[test]
fn every_algorithm_verifies_its_own_and_no_other() {
    let signers: Vec<(Algorithm, Signer)> =
        Algorithm::ALL.into_iter().map(|algorithm| (algorithm, Signer::new(algorithm))).collect();
    for (algorithm, signer) in &signers {
        let set = match signer {
            Signer::Secret(secret) => KeySet::secret(secret).expect("a secret"),
            _ => read(&set_of(&[("k", signer)])),
        };
        let keys = keys(set);
        let all = Algorithms::PUBLIC.with(Algorithm::Hs256);
        let verifier = |algorithms| Verifier { algorithms, rules: Rules::default() };
        let token = signer.issue(*algorithm, Some("k"), &claims());
        assert_eq!(say(&verifier(all), &token, &keys, SECONDS), "pass ann", "{algorithm:?}");
        let only = Algorithms::NONE.with(*algorithm);
        assert_eq!(say(&verifier(only), &token, &keys, SECONDS), "pass ann", "{algorithm:?}");
        let others =
            all.iter().filter(|one| one != algorithm).fold(Algorithms::NONE, Algorithms::with);
        assert_eq!(
            say(&verifier(others), &token, &keys, SECONDS),
            "bad-algorithm",
            "{algorithm:?}"
        );

        // The header says another algorithm than was signed with: of another kind of key it finds none.
        for other in Algorithm::ALL.into_iter().filter(|other| other != algorithm) {
            let header = json!({"alg": other.as_str(), "kid": "k"}).to_string();
            let token = signer.token(*algorithm, &header, claims().to_string().as_bytes());
            let said = say(&verifier(all), &token, &keys, SECONDS);
            let is_kin = algorithm.rsa().is_some() && other.rsa().is_some();
            assert_eq!(
                said,
                if is_kin { "bad-signature" } else { "ask" },
                "{algorithm:?} as {other:?}"
            );
        }
    }
}

/// The public key of an issuer as a secret, in the forms that libraries were fooled with.
#[test]
fn a_public_key_is_no_secret() {
    let signer = Signer::new(Algorithm::Rs256);
    let keys = keys(read(&set_of(&[("k", &signer)])));
    let verifier =
        Verifier { algorithms: Algorithms::PUBLIC.with(Algorithm::Hs256), rules: Rules::default() };
    let n = signer.key()["n"].as_str().expect("a number").to_owned();
    for secret in
        [n.clone().into_bytes(), base64url_bytes(&n), set_of(&[("k", &signer)]).into_bytes()]
    {
        let token = Signer::Secret(secret).issue(Algorithm::Hs256, Some("k"), &claims());
        assert_eq!(say(&verifier, &token, &keys, SECONDS), "ask");
    }
}

#[test]
fn headers() {
    let signer = Signer::new(Algorithm::Es256);
    let other = Signer::new(Algorithm::Es256);
    let keys = keys(read(&set_of(&[("one", &signer), ("two", &other)])));
    let deep = format!(r#"{{"alg":"ES256","x":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    let long = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(KEY_ID_BYTES_MAX + 1));
    let own_key = format!(r#"{{"alg":"ES256","kid":"two","jwk":{}}}"#, signer.key());
    for (header, expect) in [
        (r#"{"alg":"ES256","kid":"one"}"#, "pass ann"),
        (r#"{"alg":"ES256"}"#, "pass ann"),
        (r#"{"alg":"ES256","kid":"one","typ":"at+jwt","cty":"x","x":[1]}"#, "pass ann"),
        (
            r#"{"alg":"ES256","kid":"one","jku":"https://evil.test/keys","x5u":"https://evil.test"}"#,
            "pass ann",
        ),
        // A key that the token brings is not believed.
        (&own_key, "bad-signature"),
        (r#"{"alg":"ES256","kid":"two"}"#, "bad-signature"),
        (r#"{"alg":"ES256","kid":"three"}"#, "ask"),
        (r#"{"alg":"ES256","kid":"../../etc/passwd"}"#, "ask"),
        (r#"{"alg":"ES256","kid":"one' OR 1=1"}"#, "ask"),
        (r#"{"alg":"ES256","kid":1}"#, "malformed-credentials"),
        (r#"{"alg":"ES256","kid":null}"#, "malformed-credentials"),
        (&long, "malformed-credentials"),
        (r#"{"alg":"none"}"#, "bad-algorithm"),
        (r#"{"alg":"NONE"}"#, "bad-algorithm"),
        (r#"{"alg":""}"#, "bad-algorithm"),
        (r#"{"alg":"es256"}"#, "bad-algorithm"),
        (r#"{"alg":"HS256"}"#, "bad-algorithm"),
        (r#"{"alg":["ES256"]}"#, "malformed-credentials"),
        (r#"{"kid":"one"}"#, "malformed-credentials"),
        (r#"{"alg":"none","alg":"ES256"}"#, "malformed-credentials"),
        (r#"{"alg":"ES256","crit":["exp"],"exp":1}"#, "malformed-credentials"),
        (r#"{"alg":"ES256","crit":[]}"#, "malformed-credentials"),
        (r#"{"alg":"ES256","crit":["b64"],"b64":false}"#, "malformed-credentials"),
        (&deep, "malformed-credentials"),
        ("", "malformed-credentials"),
        ("{}", "malformed-credentials"),
        ("[]", "malformed-credentials"),
        ("{\"alg\":\"ES256\"", "malformed-credentials"),
    ] {
        let token = signer.token(Algorithm::Es256, header, claims().to_string().as_bytes());
        assert_eq!(say(&verifier(Rules::default()), &token, &keys, SECONDS), expect, "{header}");
    }
}

#[test]
fn signatures_that_are_none() {
    for algorithm in
        [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Ps256]
    {
        let signer = Signer::new(algorithm);
        let keys = keys(read(&set_of(&[("k", &signer)])));
        let good = signer.issue(algorithm, Some("k"), &claims());
        let (signed, signature) = good.rsplit_once('.').expect("a signature");
        let bytes = base64url_bytes(signature);
        let half = bytes.len() / 2;
        let mut cases = vec![
            ("empty", Vec::new()),
            ("zeros", vec![0; bytes.len()]),
            ("ones", vec![0xFF; bytes.len()]),
            ("r is 0", [vec![0; half], bytes[half..].to_vec()].concat()),
            ("s is 0", [bytes[..half].to_vec(), vec![0; half]].concat()),
            ("r for s", [&bytes[half..], &bytes[..half]].concat()),
            ("short", bytes[1..].to_vec()),
            ("long", [&bytes[..], &[0]].concat()),
            (
                "DER",
                [&[0x30, 0x44, 2, 0x20], &bytes[..half.min(32)], &[2, 0x20], &bytes[half..]]
                    .concat(),
            ),
        ];
        for bit in (0..bytes.len() * 8).step_by(37) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            cases.push(("flipped", flipped));
        }
        let verifier = verifier(Rules::default());
        assert_eq!(say(&verifier, &good, &keys, SECONDS), "pass ann");
        for (name, signature) in cases {
            let token = format!("{signed}.{}", text(&signature));
            let said = say(&verifier, &token, &keys, SECONDS);
            assert_eq!(said, "bad-signature", "{name} of {algorithm:?}");
        }
    }
}

#[test]
fn forms_that_are_none() {
    let signer = Signer::new(Algorithm::EdDsa);
    let keys = keys(read(&set_of(&[("k", &signer)])));
    let good = signer.issue(Algorithm::EdDsa, Some("k"), &claims());
    let (signed, signature) = good.rsplit_once('.').expect("a signature");
    let unsigned =
        format!("{}.{}.", text(br#"{"alg":"none"}"#), text(claims().to_string().as_bytes()));
    let huge = signer.issue(
        Algorithm::EdDsa,
        Some("k"),
        &json!({"sub": "ann", "exp": SECONDS + 9, "x": "x".repeat(TOKEN_BYTES_MAX)}),
    );
    // Two bits of the last digit are left over: another digit would say the same bytes.
    let mut loose = good.clone();
    let last = loose.pop().expect("a digit");
    loose.push(if last == 'A' { 'B' } else { char::from(last as u8 + 1) });
    for (token, expect) in [
        (good.as_str(), "pass ann"),
        (&unsigned, "bad-algorithm"),
        (&huge, "credentials-too-long"),
        ("", "malformed-credentials"),
        (".", "malformed-credentials"),
        ("..", "malformed-credentials"),
        ("...", "malformed-credentials"),
        (&format!("{good}="), "malformed-credentials"),
        (&format!("{good}."), "malformed-credentials"),
        (&format!("{good}.a"), "malformed-credentials"),
        (&format!("{good} "), "malformed-credentials"),
        (&format!(" {good}"), "malformed-credentials"),
        (&format!("{signed}==.{signature}"), "bad-signature"),
        (&good[..good.len() - 1], "malformed-credentials"),
        (&good[1..], "malformed-credentials"),
        (signed, "malformed-credentials"),
        // Encrypted tokens have five parts.
        (&format!("{good}.a.b"), "malformed-credentials"),
        (&loose, "malformed-credentials"),
    ] {
        let said = say(&verifier(Rules::default()), token, &keys, SECONDS);
        assert_eq!(said, expect, "{}", &token[..token.len().min(80)]);
    }
}

#[test]
fn claims_are_checked() {
    let signer = Signer::new(Algorithm::EdDsa);
    let keys = keys(read(&set_of(&[("k", &signer)])));
    let rules = Rules {
        issuer: Some("https://id.test".into()),
        audiences: vec!["api".into(), "web".into()],
        required: vec![
            Required { claim: "scope".into(), values: vec!["read".into(), "write".into()] },
            Required { claim: "realm.roles".into(), values: vec!["admin".into()] },
        ],
        keep: Vec::new(),
        leeway: Duration::from_secs(30),
    };
    let verifier = verifier(rules);
    let good = json!({
        "iss": "https://id.test", "aud": "api", "sub": "ann", "exp": SECONDS + 600, "scope": "openid read",
        "realm": {"roles": ["user", "admin"]},
    });
    let check = |changes: Value, expect: &str| {
        let mut claims = good.clone();
        for (name, value) in changes.as_object().expect("changes") {
            claims[name] = value.clone();
        }
        let token = signer.issue(Algorithm::EdDsa, None, &claims);
        assert_eq!(say(&verifier, &token, &keys, SECONDS), expect, "{changes}");
    };
    check(json!({}), "pass ann");
    for (changes, expect) in [
        (json!({"iss": "https://id.test/"}), "bad-issuer"),
        (json!({"iss": "https://ID.test"}), "bad-issuer"),
        (json!({"iss": null}), "malformed-credentials"),
        (json!({"iss": ["https://id.test"]}), "malformed-credentials"),
        (json!({"aud": "web"}), "pass ann"),
        (json!({"aud": ["x", "web"]}), "pass ann"),
        (json!({"aud": ["x"]}), "bad-audience"),
        (json!({"aud": []}), "bad-audience"),
        (json!({"aud": "api web"}), "bad-audience"),
        (json!({"aud": {"api": 1}}), "bad-audience"),
        (json!({"exp": SECONDS - 29}), "pass ann"),
        (json!({"exp": SECONDS - 30}), "expired"),
        (json!({"exp": SECONDS as f64 + 0.5}), "pass ann"),
        (json!({"exp": 1e300}), "pass ann"),
        (json!({"exp": u64::MAX}), "pass ann"),
        (json!({"exp": 0}), "expired"),
        (json!({"exp": -1}), "expired"),
        (json!({"exp": -1e300}), "expired"),
        (json!({"exp": null}), "malformed-credentials"),
        (json!({"exp": (SECONDS + 600).to_string()}), "malformed-credentials"),
        (json!({"nbf": SECONDS + 30}), "pass ann"),
        (json!({"nbf": SECONDS + 31}), "not-yet-valid"),
        (json!({"nbf": "soon"}), "malformed-credentials"),
        (json!({"iat": SECONDS + 31}), "not-yet-valid"),
        (json!({"iat": SECONDS}), "pass ann"),
        (json!({"scope": "write"}), "pass ann"),
        (json!({"scope": ["x", "write"]}), "pass ann"),
        (json!({"scope": "readwrite reads"}), "not-allowed"),
        (json!({"scope": ""}), "not-allowed"),
        (json!({"scope": null}), "not-allowed"),
        (json!({"scope": {"read": true}}), "not-allowed"),
        (json!({"realm": {"roles": "admin"}}), "pass ann"),
        (json!({"realm": {"roles": ["Admin"]}}), "not-allowed"),
        (json!({"realm": {}}), "not-allowed"),
        (json!({"realm": {}, "realm.roles": "admin"}), "pass ann"),
        (json!({"sub": "ann\r\nX-Admin: 1"}), "malformed-credentials"),
        (json!({"sub": " ann"}), "malformed-credentials"),
        (json!({"sub": ""}), "malformed-credentials"),
        (json!({"sub": {"name": "ann"}}), "malformed-credentials"),
        (json!({"sub": 7}), "pass 7"),
    ] {
        check(changes, expect);
    }
    for (claims, expect) in [
        (&b"{\"sub\":\"ann\",\"exp\":9999999999,\"exp\":1}"[..], "malformed-credentials"),
        (b"{\"sub\":\"ann\",\"sub\":\"bob\",\"exp\":9999999999}", "malformed-credentials"),
        (b"{\"sub\":\"\xFF\",\"exp\":9999999999}", "malformed-credentials"),
        (b"{\"sub\":\"ann\"}", "malformed-credentials"),
        (b"{\"exp\":9999999999}", "not-allowed"),
        (b"{\"azp\":\"app\",\"exp\":9999999999}", "pass app"),
        (b"{\"client_id\":\"c\",\"azp\":\"app\",\"exp\":9999999999}", "pass c"),
        (b"[]", "malformed-credentials"),
        (b"", "malformed-credentials"),
    ] {
        let token = signer.token(Algorithm::EdDsa, r#"{"alg":"EdDSA"}"#, claims);
        let plain = Verifier { algorithms: Algorithms::PUBLIC, rules: Rules::default() };
        assert_eq!(say(&plain, &token, &keys, SECONDS), expect, "{}", claims.escape_ascii());
    }
}

#[test]
fn required_values() {
    for (value, wanted, expect) in [
        (json!(true), "true", true),
        (json!(true), "false", false),
        (json!(3), "3", true),
        (json!([3, "x"]), "3", true),
        (json!("a b"), "a b", true),
        (json!("a  b"), "", false),
        (json!([["a"]]), "a", false),
        (json!(null), "null", false),
    ] {
        let rules = Rules {
            required: vec![Required { claim: "c".into(), values: vec![wanted.into()] }],
            ..Rules::default()
        };
        let claims = json!({"sub": "a", "exp": 10, "c": value});
        let said = rules.check(claims.as_object().expect("claims"), Via::Jwt, 1);
        assert_eq!(said.is_ok(), expect, "{value} {wanted:?}");
    }
    for (value, expect) in [
        (json!("x"), true),
        (json!(0), true),
        (json!(true), true),
        (json!(false), false),
        (json!(""), false),
        (json!([]), false),
        (json!(null), false),
    ] {
        let rules = Rules {
            required: vec![Required { claim: "c".into(), values: vec![] }],
            ..Rules::default()
        };
        let claims = json!({"sub": "a", "exp": 10, "c": value});
        let said = rules.check(claims.as_object().expect("claims"), Via::Jwt, 1);
        assert_eq!(said.is_ok(), expect, "{value}");
    }
}

#[test]
fn claims_that_are_kept_can_be_told() {
    let check = |value: Value, expect: Option<&str>| {
        let rules = Rules { keep: vec!["c".into()], ..Rules::default() };
        let claims = json!({"c": value});
        let kept = rules.kept(claims.as_object().expect("claims"));
        assert_eq!(kept.first().map(|claim| &*claim.value), expect, "{claims}");
    };
    check(json!("Zoë"), Some("Zoë"));
    check(json!(["a", "b", 3, true]), Some("a,b,3,true"));
    check(json!(42), Some("42"));
    for value in [
        json!("a\nb"),
        json!("a\0"),
        json!("\u{7F}"),
        json!("\u{85}"),
        json!(" admin"),
        json!("admin\u{A0}"),
        json!(""),
        json!(["a,admin"]),
        json!(["a", ""]),
        json!(["a", ["b"]]),
        json!(["a", "\r\n"]),
        json!([]),
        json!(null),
        json!({"a": 1}),
        json!("x".repeat(VALUE_BYTES_MAX + 1)),
        json!(vec!["x"; VALUE_BYTES_MAX]),
    ] {
        check(value, None);
    }
    // Names that a claim has with dots in them, and those of paths.
    let rules = Rules {
        keep: vec!["https://x.test/roles".into(), "a.b".into(), "none".into()],
        ..Rules::default()
    };
    let claims = json!({"https://x.test/roles": "r", "a": {"b": "deep"}});
    let kept = rules.kept(claims.as_object().expect("claims"));
    let values: Vec<&str> = kept.iter().map(|claim| &*claim.value).collect();
    assert_eq!(values, ["r", "deep"]);
    // All values together are bounded.
    let names: Vec<Box<str>> = (0..40).map(|n| format!("c{n}").into()).collect();
    let claims: Map<String, Value> =
        names.iter().map(|name| (name.to_string(), json!("x".repeat(1000)))).collect();
    let kept = Rules { keep: names, ..Rules::default() }.kept(&claims);
    assert!(kept.iter().map(|claim| claim.value.len()).sum::<usize>() <= VALUES_BYTES_MAX);
    assert_eq!(kept.len(), 8);
}

#[test]
fn keys_of_a_set() {
    let ec = Signer::new(Algorithm::Es256).key();
    let ed = Signer::new(Algorithm::EdDsa).key();
    let rsa = Signer::new(Algorithm::Rs256).key();
    let with = |key: &Value, changes: Value| {
        let mut key = key.clone();
        for (name, value) in changes.as_object().expect("changes") {
            key[name] = value.clone();
        }
        key
    };
    let is_usable = |key: &Value| {
        let set = json!({"keys": [key, ed]}).to_string();
        let set = read(&set);
        assert_eq!(set.len() + set.skipped(), 2);
        set.len() == 2
    };
    for (key, changes, expect) in [
        (&ec, json!({}), true),
        (&ed, json!({}), true),
        (&rsa, json!({}), true),
        (&ec, json!({"use": "sig", "alg": "ES256", "key_ops": ["verify"], "x": ec["x"]}), true),
        (&rsa, json!({"alg": "PS512"}), true),
        (&ed, json!({"alg": "Ed25519"}), true),
        (&ec, json!({"use": "enc"}), false),
        (&ec, json!({"use": 1}), false),
        (&ec, json!({"key_ops": ["sign"]}), false),
        (&ec, json!({"key_ops": "verify"}), false),
        (&ec, json!({"key_ops": []}), false),
        (&ec, json!({"alg": "ES384"}), false),
        (&ec, json!({"alg": "RS256"}), false),
        (&rsa, json!({"alg": "RSA-OAEP"}), false),
        (&rsa, json!({"alg": "HS256"}), false),
        (&rsa, json!({"alg": 1}), false),
        (&ec, json!({"crv": "P-384"}), false),
        (&ec, json!({"crv": "secp256k1"}), false),
        (&ec, json!({"kty": "RSA"}), false),
        (&ec, json!({"kty": "oct", "k": "AAAA"}), false),
        (&ec, json!({"y": ec["x"]}), false),
        (&ec, json!({"x": "AAAA"}), false),
        (&ec, json!({"x": format!("{}=", ec["x"].as_str().expect("x"))}), false),
        (&ec, json!({"x": 1}), false),
        (&ec, json!({"kid": 1}), false),
        (&ec, json!({"kid": "k".repeat(KEY_ID_BYTES_MAX + 1)}), false),
        (&ed, json!({"crv": "Ed448"}), false),
        (&ed, json!({"crv": "X25519"}), false),
        (&ed, json!({"x": "AAAA"}), false),
        (&rsa, json!({"n": "AQAB"}), false),
        (&rsa, json!({"n": text(&[0xFF; 1025])}), false),
        (&rsa, json!({"n": text(&[0; 256])}), false),
        (&rsa, json!({"e": ""}), false),
        (&rsa, json!({"e": "AA"}), false),
        (&rsa, json!({"e": "AQ"}), false),
        (&rsa, json!({"e": "Ag"}), false),
        (&rsa, json!({"e": text(&[1; 5])}), false),
        // Some writers put the zero of a signed number ahead.
        (&rsa, json!({"e": text(&[0, 1, 0, 1])}), true),
    ] {
        assert_eq!(is_usable(&with(key, changes.clone())), expect, "{} {changes}", key["kty"]);
    }
    assert!(!is_usable(&json!("key")));
    assert!(!is_usable(&json!({})));
}

#[test]
fn texts_that_are_no_set() {
    let one = set_of(&[("k", &Signer::new(Algorithm::EdDsa))]);
    let twice = one.replacen(r#""kty""#, r#""kty":"OKP","kty""#, 1);
    let long = format!("{one}{}", " ".repeat(JWKS_BYTES_MAX));
    for (text, expect) in [
        ("", KeySetError::Json),
        ("[]", KeySetError::Json),
        ("<html>", KeySetError::Json),
        ("{}", KeySetError::NoList),
        (r#"{"keys":{}}"#, KeySetError::NoList),
        (r#"{"keys":[]}"#, KeySetError::NoneUsable(0)),
        (r#"{"keys":[{"kty":"oct","k":"AAAA"},1]}"#, KeySetError::NoneUsable(2)),
        (&twice, KeySetError::Json),
        (&long, KeySetError::TooLong),
        (&format!(r#"{{"keys":[{}1]}}"#, "1,".repeat(KEYS_MAX)), KeySetError::TooMany),
    ] {
        let said = KeySet::read(text.as_bytes(), Algorithms::PUBLIC).err();
        assert_eq!(said, Some(expect), "{}", &text[..text.len().min(60)]);
    }
    assert_eq!(KeySet::secret(&[1; 31]).err(), Some(KeySetError::Secret(31)));
    assert_eq!(KeySet::secret(&[1; 5000]).err(), Some(KeySetError::Secret(5000)));
    let none = KeySet::read(one.as_bytes(), Algorithms::NONE.with(Algorithm::Es256));
    assert_eq!(none.err(), Some(KeySetError::NoneUsable(1)));
}

#[test]
fn ten_thousand_keys() {
    let signer = Signer::new(Algorithm::Es256);
    let mut list = String::new();
    for n in 0..KEYS_MAX {
        let mut key = signer.key();
        key["kid"] = format!("key-{n}").into();
        write!(list, "{}{key}", if n == 0 { "" } else { "," }).expect("text");
    }
    let keys = keys(read(&format!(r#"{{"keys":[{list}]}}"#)));
    assert_eq!(keys.set.len(), KEYS_MAX);
    let verifier = verifier(Rules::default());
    for (id, expect) in [(Some("key-9999"), "pass ann"), (Some("key-10000"), "ask"), (None, "ask")]
    {
        let token = signer.issue(Algorithm::Es256, id, &claims());
        assert_eq!(say(&verifier, &token, &keys, SECONDS), expect, "{id:?}");
    }
}

#[test]
fn keys_without_a_name_or_with_the_same() {
    let (one, two) = (Signer::new(Algorithm::Es256), Signer::new(Algorithm::Es256));
    let check = |set: &str, id: Option<&str>, expect: &str| {
        let token = two.issue(Algorithm::Es256, id, &claims());
        assert_eq!(
            say(&verifier(Rules::default()), &token, &keys(read(set)), SECONDS),
            expect,
            "{set} {id:?}"
        );
    };
    let same = set_of(&[("k", &one), ("k", &two)]);
    check(&same, Some("k"), "pass ann");
    check(&same, None, "pass ann");
    let nameless = set_of(&[("a", &one), ("", &two)]);
    check(&nameless, Some("b"), "pass ann");
    check(&nameless, Some("a"), "bad-signature");
    // More than a few are not tried.
    let many = set_of(&[("k", &one), ("k", &one), ("k", &one), ("k", &one), ("k", &two)]);
    check(&many, Some("k"), "bad-signature");
    check(&many, None, "ask");
}

#[test]
fn good_tokens_are_remembered() {
    let signer = Signer::new(Algorithm::EdDsa);
    let mut keys = keys(read(&set_of(&[("k", &signer)])));
    let token = signer.issue(Algorithm::EdDsa, Some("k"), &claims());
    let verifier = verifier(Rules::default());
    let mut cache = cache();
    let mut check = |keys: &Keys, token: &str, seconds: u64| match verifier.check(
        token.as_bytes(),
        Some(keys),
        &mut cache,
        at(seconds),
    ) {
        Outcome::Pass(identity) => Ok(identity),
        other => Err(word(&other)),
    };
    let first = check(&keys, &token, SECONDS).expect("a good token");
    let second = check(&keys, &token, SECONDS).expect("a good token");
    assert!(Arc::ptr_eq(&first, &second), "the second one is the first");
    // What is remembered ends when the token does.
    assert!(check(&keys, &token, SECONDS + 599).is_ok());
    assert_eq!(check(&keys, &token, SECONDS + 600).err().as_deref(), Some("expired"));
    // Nearly the same is not the same.
    let flipped = token.replacen('e', "f", 1);
    assert!(check(&keys, &flipped, SECONDS).is_err());
    // Other keys forget it.
    let other = Signer::new(Algorithm::EdDsa);
    keys = Keys::fixed(Arc::new(read(&set_of(&[("k", &other)]))), 2);
    assert_eq!(check(&keys, &token, SECONDS).err().as_deref(), Some("bad-signature"));
    // Keys that are too old, or not there.
    keys.until = Instant(1);
    assert_eq!(check(&keys, &token, SECONDS).err().as_deref(), Some("unavailable"));
    let none = verifier.check(token.as_bytes(), None, &mut Cache::new(4, [0, 0]), at(SECONDS));
    assert_eq!(word(&none), "unavailable");
}

#[test]
fn a_cache_is_bounded_and_makes_room() {
    let identity = Arc::new(Identity::named("ann", Via::Jwt).expect("a name"));
    let mut cache = Cache::new(8, [3, 4]);
    for n in 0..1000_u32 {
        let token = n.to_string();
        let hash = cache.look(token.as_bytes(), 1, 10).expect_err("a new token");
        cache.remember(hash, if n % 2 == 0 { 5 } else { 20 }, Arc::clone(&identity), 10);
        if n % 2 == 1 {
            assert!(cache.look(token.as_bytes(), 1, 10).is_ok(), "{n}");
        }
    }
    assert_eq!(format!("{cache:?}"), "Cache { tokens: 8, .. }");
    let kept = (0..1000_u32).filter(|n| cache.look(n.to_string().as_bytes(), 1, 10).is_ok());
    assert!(kept.count() >= 6, "what is over makes room first");
    assert!(cache.look(b"999", 2, 10).is_err(), "other keys");
    assert_eq!(format!("{cache:?}"), "Cache { tokens: 0, .. }");
}

#[test]
fn where_tokens_stand() {
    let check = |place: &Place, fields: &[(&str, &str)], expect: Result<&str, Refusal>| {
        let mut head = RequestHead::default();
        for (name, value) in fields {
            head.fields.push(name.as_bytes(), value.as_bytes());
        }
        assert_eq!(place.token(&head), expect.map(str::as_bytes), "{fields:?}");
    };
    let bearer = Place::bearer();
    check(&bearer, &[], Err(Refusal::NoCredentials));
    check(&bearer, &[("Authorization", "Bearer a.b.c")], Ok("a.b.c"));
    check(&bearer, &[("authorization", "bearer   a.b.c ")], Ok("a.b.c"));
    check(&bearer, &[("Authorization", "Bearer")], Err(Refusal::NoCredentials));
    check(&bearer, &[("Authorization", "Bearera.b.c")], Err(Refusal::NoCredentials));
    check(&bearer, &[("Authorization", "Basic a.b.c")], Err(Refusal::NoCredentials));
    let twice = [("Authorization", "Bearer a"), ("Authorization", "Bearer b")];
    check(&bearer, &twice, Err(Refusal::DuplicateCredentials));
    let field = Place::Field { name: b"X-Token"[..].into(), scheme: None };
    check(&field, &[("x-token", "a.b.c")], Ok("a.b.c"));
    check(&field, &[("X-Token", "")], Err(Refusal::NoCredentials));
    let cookie = Place::Cookie(b"t"[..].into());
    check(&cookie, &[("Cookie", "a=1; t=a.b.c")], Ok("a.b.c"));
    check(&cookie, &[("Cookie", "tt=1; T=2")], Err(Refusal::NoCredentials));
    check(&cookie, &[("Cookie", "t=1; t=2")], Err(Refusal::DuplicateCredentials));
    check(&cookie, &[("Cookie", "t=1"), ("Cookie", "t=2")], Err(Refusal::DuplicateCredentials));
}
