use std::sync::Arc;
use std::time::Duration;

use doorman_http::{Instant, Now, RequestHead};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::jwt::{Algorithm, KeySet, Keys};
use crate::signer::{Signer, set_of};

const SECONDS: u64 = 1_800_000_000;
const ISSUER: &str = "https://id.test";

fn at(seconds: u64) -> Now {
    Now { instant: Instant(1), unix_nanos: seconds * 1_000_000_000 }
}

fn settings() -> Settings {
    Settings {
        issuer: ISSUER.into(),
        client_id: "app".into(),
        client_secret: Some("secret".into()),
        scopes: vec!["email".into()],
        session: Duration::from_secs(8 * 3600),
        cookie: "session".into(),
        callback: "/oauth2/callback".into(),
        logout: "/oauth2/logout".into(),
        unauthenticated: Unauthenticated::Redirect,
        refresh: true,
        algorithms: Algorithms::PUBLIC,
        keep: vec!["email".into()],
        leeway: Duration::from_secs(30),
    }
}

fn seals() -> SealKeys {
    SealKeys::new(&[[5; SEAL_KEY_BYTES]]).expect("keys")
}

fn client(settings: Settings) -> Client {
    Client::new(settings, seals()).expect("settings")
}

fn provider() -> Provider {
    let document = json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://id.test/authorize?tenant=1",
        "token_endpoint": "https://id.test/token",
        "jwks_uri": "https://id.test/keys",
        "end_session_endpoint": "https://id.test/logout",
    });
    Provider::read(document.to_string().as_bytes(), ISSUER).expect("a document")
}

fn request(target: &str, fields: &[(&str, &str)]) -> RequestHead {
    let mut head = RequestHead::default();
    head.scheme = Scheme::Https;
    for (name, value) in fields {
        head.fields.push(name.as_bytes(), value.as_bytes());
    }
    head.set_authority(b"app.test:8443").expect("an authority");
    head.set_path_and_query(target.as_bytes()).expect("a target");
    head
}

/// What a browser sends back of the cookies that it was told to keep.
fn kept(lines: &[String]) -> String {
    let pairs = lines.iter().filter(|line| !line.contains("Max-Age=0"));
    pairs.filter_map(|line| line.split(';').next()).collect::<Vec<_>>().join("; ")
}

fn parameter_of(url: &str, name: &str) -> String {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let pairs = parameters(query.as_bytes()).expect("a query");
    pairs.into_iter().find(|(found, _)| found == name).map(|(_, value)| value).unwrap_or_default()
}

/// A provider, and a browser that was sent to it.
struct Story {
    signer: Signer,
    keys: Keys,
    client: Client,
    provider: Provider,
    location: String,
    cookie: String,
}

impl Story {
    fn new(settings: Settings, target: &str) -> Self {
        let signer = Signer::new(Algorithm::Es256);
        let set = KeySet::read(set_of(&[("k", &signer)]).as_bytes(), Algorithms::PUBLIC);
        let keys = Keys::fixed(Arc::new(set.expect("keys")), 1);
        let (client, provider) = (client(settings), provider());
        let head = request(target, &[("Sec-Fetch-Mode", "navigate")]);
        let Visit::SignIn = client.visit(&head, at(SECONDS)) else {
            panic!("nobody is signed in");
        };
        let sent = client.sign_in(&provider, &head, &[3; LOGIN_CHANCE_BYTES], at(SECONDS));
        let Redirect { location, cookies } = sent.expect("a redirect");
        let cookie = kept(&cookies);
        Self { signer, keys, client, provider, location, cookie }
    }

    fn state(&self) -> String {
        parameter_of(&self.location, "state")
    }

    fn callback_head(&self) -> RequestHead {
        let target = format!("/oauth2/callback?code=c0de&state={}", self.state());
        request(&target, &[("Cookie", &self.cookie)])
    }

    fn claims(&self) -> Value {
        json!({
            "iss": ISSUER, "aud": "app", "sub": "ann", "exp": SECONDS + 300, "iat": SECONDS,
            "nonce": parameter_of(&self.location, "nonce"), "email": "ann@app.test",
        })
    }

    fn answer(&self, claims: &Value) -> Value {
        json!({
            "token_type": "Bearer", "access_token": "acc", "expires_in": 600, "refresh_token": "ref1",
            "id_token": self.signer.issue(Algorithm::Es256, Some("k"), claims),
        })
    }

    fn complete(&self, status: u16, body: &str) -> Completion {
        let head = self.callback_head();
        let (_, pending) =
            self.client.callback(&self.provider, &head, at(SECONDS + 5)).expect("a code");
        let answer = TokenAnswer { status, body: body.as_bytes() };
        let chance = [7; SEAL_CHANCE_BYTES];
        self.client.complete(pending, answer, Some(&self.keys), &head, &chance, at(SECONDS + 5))
    }

    fn sign_in(&self) -> (Session, Redirect) {
        match self.complete(200, &self.answer(&self.claims()).to_string()) {
            Completion::SignedIn(session, redirect) => (session, redirect),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_sign_in_from_end_to_end() {
    let story = Story::new(settings(), "/shop?item=1&x=%20y");
    assert!(
        story
            .location
            .starts_with("https://id.test/authorize?tenant=1&response_type=code&client_id=app&")
    );
    for (name, expect) in [
        ("redirect_uri", "https://app.test:8443/oauth2/callback"),
        ("scope", "openid email"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(parameter_of(&story.location, name), expect);
    }
    assert_eq!((story.state().len(), parameter_of(&story.location, "nonce").len()), (22, 22));
    assert!(story.cookie.starts_with("__Host-session-login-"));

    let head = story.callback_head();
    assert!(matches!(story.client.visit(&head, at(SECONDS)), Visit::Callback));
    let (asked, _) =
        story.client.callback(&story.provider, &head, at(SECONDS + 5)).expect("a code");
    assert_eq!(&*asked.url, "https://id.test/token");
    assert_eq!(asked.authorization.as_deref(), Some("Basic YXBwOnNlY3JldA=="));
    let form = format!("?{}", asked.body);
    for (name, expect) in [
        ("grant_type", "authorization_code"),
        ("code", "c0de"),
        ("redirect_uri", "https://app.test:8443/oauth2/callback"),
        ("client_secret", ""),
    ] {
        assert_eq!(parameter_of(&form, name), expect);
    }
    let verifier = parameter_of(&form, "code_verifier");
    assert_eq!(challenge(&verifier), parameter_of(&story.location, "code_challenge"));
    assert!(!story.location.contains(&verifier) && !story.cookie.contains(&verifier));

    let (session, redirect) = story.sign_in();
    assert_eq!(redirect.location, "/shop?item=1&x=%20y");
    assert_eq!(
        (&*session.identity.user, session.identity.claim("email")),
        ("ann", Some("ann@app.test"))
    );
    assert!(redirect.cookies[0].starts_with("__Host-session=1"));
    assert!(
        redirect.cookies[0].ends_with("; Path=/; Max-Age=28800; Secure; HttpOnly; SameSite=Lax")
    );
    assert!(redirect.cookies[1].contains("-login-") && redirect.cookies[1].contains("Max-Age=0"));

    let cookie = kept(&redirect.cookies);
    let visit = |seconds| story.client.visit(&request("/", &[("Cookie", &cookie)]), at(seconds));
    assert!(matches!(visit(SECONDS + 6), Visit::Pass(found) if found == session));
    assert!(matches!(visit(SECONDS + 605), Visit::Renew(found) if found == session));
    let late = SECONDS + 905;
    assert!(matches!(visit(late), Visit::Renew(session) if session.is_late(at(late))));
    let over = SECONDS + 8 * 3600 + 5;
    assert!(matches!(visit(over), Visit::Refuse(Refusal::NoCredentials)));
}

#[test]
fn answers_that_were_not_asked_for() {
    let story = Story::new(settings(), "/");
    let state = story.state();
    let slot = slot(&state);
    let sealed = story.cookie.split_once('=').expect("a value").1.to_owned();
    let check = |query: &str, cookie: &str, seconds: u64, expect: Refusal| {
        let head = request(&format!("/oauth2/callback?{query}"), &[("Cookie", cookie)]);
        let found = story.client.callback(&story.provider, &head, at(seconds));
        assert_eq!(found.expect_err("a refusal").refusal, expect, "{query} {cookie}");
    };
    let good = format!("code=c&state={state}");
    let (own, now) = (story.cookie.as_str(), SECONDS + 5);
    check("", own, now, Refusal::BadState);
    check("code=c", own, now, Refusal::BadState);
    check(&format!("state={state}"), own, now, Refusal::BadState);
    check(&format!("code=&state={state}"), own, now, Refusal::BadState);
    check(&format!("code=c&state={state}x"), own, now, Refusal::BadState);
    check(&format!("code=c&state={}", "x".repeat(100)), own, now, Refusal::BadState);
    check(&format!("code=c&code=d&state={state}"), own, now, Refusal::BadState);
    check(&format!("{good}&state={state}"), own, now, Refusal::BadState);
    check(&format!("code=%zz&state={state}"), own, now, Refusal::BadState);
    check(&format!("code={}&state={state}", "c".repeat(CODE_MAX + 1)), own, now, Refusal::BadState);
    // Another browser, too late, another cookie's value.
    check(&good, "a=b", now, Refusal::BadState);
    check(&good, own, SECONDS + LOGIN_SECONDS, Refusal::BadState);
    check(&good, &format!("__Host-session-login-{slot}=1AAAA"), now, Refusal::BadState);
    check(&good, &format!("session-login-{slot}={sealed}"), now, Refusal::BadState);
    // RFC 9207.
    check(&format!("{good}&iss=https%3A%2F%2Fevil.test"), own, now, Refusal::BadIssuer);
    // The provider says no.
    let refused = request(
        &format!("/oauth2/callback?error=access_denied%0a%3Cb%3E&state={state}"),
        &[("Cookie", own)],
    );
    let failure = story.client.callback(&story.provider, &refused, at(now)).expect_err("a refusal");
    assert_eq!(
        (failure.refusal, failure.said.as_deref()),
        (Refusal::SignInFailed, Some("access_deniedb"))
    );
    let head = request("/oauth2/callback?error=x&state=y", &[("Cookie", own)]);
    let failure = story.client.callback(&story.provider, &head, at(now)).expect_err("a refusal");
    assert_eq!(failure, Failure::from(Refusal::BadState), "errors too are for who asked");

    let says = Provider { says_issuer: true, ..provider() };
    let with_issuer =
        request(&format!("/oauth2/callback?{good}&iss=https%3A%2F%2Fid.test"), &[("Cookie", own)]);
    assert!(story.client.callback(&says, &with_issuer, at(now)).is_ok());
    let found = story.client.callback(&says, &story.callback_head(), at(now));
    assert_eq!(found.expect_err("a refusal").refusal, Refusal::BadIssuer);
}

#[test]
fn tokens_that_do_not_sign_in() {
    let story = Story::new(settings(), "/");
    let check = |changes: &Value, expect: Option<Refusal>| {
        let mut claims = story.claims();
        for (name, value) in changes.as_object().expect("changes") {
            claims[name] = value.clone();
        }
        let claims: Value = claims
            .as_object()
            .expect("claims")
            .clone()
            .into_iter()
            .filter(|(_, v)| !v.is_null())
            .collect();
        let found = match story.complete(200, &story.answer(&claims).to_string()) {
            Completion::SignedIn(..) => None,
            Completion::Fail(failure) => Some(failure.refusal),
            Completion::Ask(..) => Some(Refusal::UnknownKey),
        };
        assert_eq!(found, expect, "{changes}");
    };
    // The left half of SHA-256 of "acc".
    let half = {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"acc");
        base64url::text(&hash.as_ref()[..16])
    };
    for (changes, expect) in [
        (json!({}), None),
        (json!({"at_hash": half}), None),
        (json!({"azp": "app"}), None),
        (json!({"aud": ["app"]}), None),
        (json!({"aud": ["app", "other"], "azp": "app"}), None),
        (json!({"nonce": "other"}), Some(Refusal::BadState)),
        (json!({"nonce": null}), Some(Refusal::BadState)),
        (json!({"aud": "other"}), Some(Refusal::BadAudience)),
        (json!({"aud": null}), Some(Refusal::BadAudience)),
        (json!({"aud": ["app", "other"]}), Some(Refusal::BadAudience)),
        (json!({"azp": "other"}), Some(Refusal::BadAudience)),
        (json!({"azp": 1}), Some(Refusal::BadAudience)),
        (json!({"iss": "https://evil.test"}), Some(Refusal::BadIssuer)),
        (json!({"exp": SECONDS - 60}), Some(Refusal::Expired)),
        (json!({"exp": null}), Some(Refusal::MalformedCredentials)),
        (json!({"iat": null}), Some(Refusal::BadAnswer)),
        (json!({"iat": SECONDS + 90}), Some(Refusal::NotYetValid)),
        (json!({"sub": null, "client_id": "x"}), Some(Refusal::BadAnswer)),
        (json!({"at_hash": "AAAA"}), Some(Refusal::BadAnswer)),
        (json!({"at_hash": 1}), Some(Refusal::BadAnswer)),
    ] {
        check(&changes, expect);
    }
}

#[test]
fn answers_of_the_token_endpoint() {
    let story = Story::new(settings(), "/");
    let good = story.answer(&story.claims());
    let with = |changes: Value| {
        let mut answer = good.clone();
        for (name, value) in changes.as_object().expect("changes") {
            answer[name] = value.clone();
        }
        answer.to_string()
    };
    let stranger =
        Signer::new(Algorithm::Es256).issue(Algorithm::Es256, Some("k"), &story.claims());
    let secret =
        Signer::Secret(b"secret".to_vec()).issue(Algorithm::Hs256, Some("k"), &story.claims());
    for (status, body, expect) in [
        (200, with(json!({"id_token": null})), Refusal::BadAnswer),
        (200, with(json!({"id_token": stranger})), Refusal::BadSignature),
        (200, with(json!({"id_token": secret})), Refusal::BadAlgorithm),
        (200, with(json!({"token_type": "mac"})), Refusal::BadAnswer),
        (200, with(json!({"access_token": null})), Refusal::BadAnswer),
        (200, "<html>".to_owned(), Refusal::BadAnswer),
        (200, " ".repeat(ANSWER_BYTES_MAX + 1), Refusal::BadAnswer),
        (400, r#"{"error":"invalid_grant"}"#.to_owned(), Refusal::SignInFailed),
        (400, String::new(), Refusal::BadAnswer),
        (401, r#"{"error":"invalid_client"}"#.to_owned(), Refusal::Unavailable),
        (302, String::new(), Refusal::Unavailable),
        (503, String::new(), Refusal::Unavailable),
        (0, String::new(), Refusal::Unavailable),
    ] {
        match story.complete(status, &body) {
            Completion::Fail(failure) => assert_eq!(failure.refusal, expect, "{status} {body:.60}"),
            other => panic!("{status} {body:.60}: {other:?}"),
        }
    }
    let unknown = story.signer.issue(Algorithm::Es256, Some("new"), &story.claims());
    let answer = with(json!({ "id_token": unknown }));
    assert!(matches!(story.complete(200, &answer), Completion::Ask(KeysWanted, _)));
}

#[test]
fn who_is_sent_to_sign_in() {
    let page = ("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
    let check = |unauthenticated, method, fields: &[(&str, &str)], expect: &str| {
        let client = client(Settings { unauthenticated, ..settings() });
        let mut head = request("/a", fields);
        head.method = method;
        let found = match client.visit(&head, at(SECONDS)) {
            Visit::SignIn => "sign in".to_owned(),
            Visit::Anonymous => "anonymous".to_owned(),
            Visit::Refuse(refusal) => refusal.word().to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(found, expect, "{unauthenticated:?} {fields:?}");
    };
    let redirect = Unauthenticated::Redirect;
    check(redirect, Method::Get, &[("Sec-Fetch-Mode", "navigate")], "sign in");
    check(redirect, Method::Head, &[page], "sign in");
    check(redirect, Method::Get, &[page, ("Sec-Fetch-Mode", "cors")], "no-credentials");
    check(redirect, Method::Get, &[page, ("Sec-Fetch-Mode", "websocket")], "no-credentials");
    check(redirect, Method::Get, &[page, ("X-Requested-With", "XMLHttpRequest")], "no-credentials");
    check(redirect, Method::Post, &[page, ("Sec-Fetch-Mode", "navigate")], "no-credentials");
    check(redirect, Method::Get, &[("Accept", "*/*")], "no-credentials");
    check(redirect, Method::Get, &[("Accept", "application/json")], "no-credentials");
    check(redirect, Method::Get, &[], "no-credentials");
    check(Unauthenticated::Deny, Method::Get, &[page], "no-credentials");
    check(Unauthenticated::Allow, Method::Post, &[], "anonymous");
    check(Unauthenticated::Allow, Method::Get, &[("Cookie", "__Host-session=1AAAA")], "anonymous");
}

#[test]
fn nobody_is_led_astray() {
    for (target, expect) in [
        ("/a/b?c=d", "/a/b?c=d"),
        ("/", "/"),
        ("/a?next=https://evil.test", "/a?next=https://evil.test"),
        (&format!("/{}", "a".repeat(3000)), "/"),
    ] {
        let story = Story::new(settings(), target);
        assert_eq!(story.sign_in().1.location, expect, "{target}");
    }
    for path in ["//evil.test", "/\\evil.test", "https://evil.test"] {
        let login = Login {
            state: "s".into(),
            nonce: "n".into(),
            verifier: "v".into(),
            path: path.into(),
            redirect: "r".into(),
            begun: 1,
        };
        assert!(Login::from_bytes(&login.to_bytes()).is_none(), "{path}");
    }
}

#[test]
fn sessions_are_renewed() {
    let story = Story::new(settings(), "/");
    let (session, redirect) = story.sign_in();
    let head = request("/", &[("Cookie", &kept(&redirect.cookies))]);
    let asked = story.client.renewal(&story.provider, &session).expect("a refresh token");
    assert_eq!(asked.body, "grant_type=refresh_token&refresh_token=ref1");
    let due = SECONDS + 605;
    let renew = |session: &Session, status: u16, body: &str, seconds: u64| {
        let answer = TokenAnswer { status, body: body.as_bytes() };
        story.client.renewed(
            session,
            answer,
            Some(&story.keys),
            &head,
            &[8; SEAL_CHANCE_BYTES],
            at(seconds),
        )
    };
    // New tokens without an ID token, then with one, about the same one.
    let plain =
        r#"{"token_type":"bearer","access_token":"a2","refresh_token":"ref2","expires_in":"60"}"#;
    let Renewed::Session(next, cookies) = renew(&session, 200, plain, due) else {
        panic!("renewed");
    };
    assert_eq!((next.expires, &next.identity), (session.expires, &session.identity));
    assert!(cookies[0].contains("Max-Age=28200"), "the end is not moved: {}", cookies[0]);
    let asked = story.client.renewal(&story.provider, &next).expect("a refresh token");
    assert!(asked.body.ends_with("=ref2"));
    let mut claims = story.claims();
    claims["exp"] = (due + 300).into();
    claims["email"] = "new@app.test".into();
    let renewed = renew(&session, 200, &story.answer(&claims).to_string(), due);
    assert!(
        matches!(renewed, Renewed::Session(next, _) if next.identity.claim("email") == Some("new@app.test"))
    );
    claims["sub"] = "bob".into();
    assert!(matches!(renew(&session, 200, &story.answer(&claims).to_string(), due), Renewed::Over));
    assert!(matches!(renew(&session, 400, r#"{"error":"invalid_grant"}"#, due), Renewed::Over));

    // A provider that is down: all pass for some minutes, then nobody does, and then it is there again.
    let (mut session, mut tries) = (session, 0);
    let mut now = due;
    let last = loop {
        match renew(&session, 503, "", now) {
            Renewed::Session(next, _) => {
                assert_eq!(next.life(now + 1), Life::Good, "the next try waits");
                session = next;
            }
            other => break other,
        }
        now += RENEW_EVERY_SECONDS;
        tries += 1;
    };
    assert!(matches!(last, Renewed::Later), "{last:?}");
    assert_eq!(tries, 10);
    assert!(now <= due + RENEW_GRACE_SECONDS && session.is_late(at(now)));
    assert!(
        matches!(story.client.visit(&head, at(now)), Visit::Renew(late) if late.is_late(at(now)))
    );
    let Renewed::Session(next, _) = renew(&session, 200, plain, now + 3600) else {
        panic!("renewed");
    };
    assert_eq!(next.life(now + 3601), Life::Good);
    assert!(matches!(renew(&session, 503, "", session.expires), Renewed::Over));

    let story = Story::new(Settings { refresh: false, ..settings() }, "/");
    let (session, _) = story.sign_in();
    assert_eq!(story.client.renewal(&story.provider, &session), None);
    assert_eq!(session.life(SECONDS + 8 * 3600), Life::Good);
    assert_eq!(session.life(SECONDS + 8 * 3600 + 5), Life::Over);
}

#[test]
fn signing_out() {
    let story = Story::new(settings(), "/");
    let (_, redirect) = story.sign_in();
    let cookies = format!("{}; {}; other=1", kept(&redirect.cookies), story.cookie);
    let head =
        request("/oauth2/logout", &[("Cookie", &cookies), ("Sec-Fetch-Site", "same-origin")]);
    assert!(matches!(story.client.visit(&head, at(SECONDS)), Visit::SignOut));
    let out = story.client.sign_out(Some(&story.provider), &head);
    assert_eq!(out.location, "https://id.test/logout?client_id=app");
    assert_eq!(out.cookies.len(), 2);
    assert!(out.cookies.iter().all(|line| line.contains("=; Path=/; Max-Age=0; Secure")));
    assert_eq!(story.client.sign_out(None, &head).location, "/");
    let foreign = request("/oauth2/logout", &[("Sec-Fetch-Site", "cross-site")]);
    assert!(matches!(story.client.visit(&foreign, at(SECONDS)), Visit::Refuse(Refusal::CrossSite)));
    for (name, expect) in [
        ("__Host-session", true),
        ("__Host-session-3", true),
        ("__Host-session-login-0", true),
        ("session", false),
        ("other", false),
    ] {
        assert_eq!(story.client.is_own_cookie(name.as_bytes(), Scheme::Https), expect, "{name}");
    }
}

#[test]
fn public_clients_and_forms() {
    let plain = Settings { client_secret: None, ..settings() };
    let post = Provider { client_authentication: ClientAuthentication::Post, ..provider() };
    for (settings, provider, expect) in [
        (&plain, &provider(), "a=b&client_id=app"),
        (&plain, &post, "a=b&client_id=app"),
        (&settings(), &post, "a=b&client_id=app&client_secret=secret"),
        (&settings(), &provider(), "a=b"),
    ] {
        let request = TokenRequest::new(settings, provider, &[("a", "b")]);
        assert_eq!(request.body, expect);
        assert_eq!(request.authorization.is_some(), expect == "a=b");
        assert!(!format!("{request:?} {settings:?}").contains("secret"));
    }
}

#[test]
fn settings_that_cannot_be() {
    for (settings, expect) in [
        (Settings { issuer: "http://id.test".into(), ..settings() }, SettingsError::Issuer),
        (Settings { client_id: "".into(), ..settings() }, SettingsError::ClientId),
        (Settings { cookie: "a b".into(), ..settings() }, SettingsError::Cookie),
        (Settings { callback: "x".into(), ..settings() }, SettingsError::Path),
        (Settings { callback: "/oauth2/logout".into(), ..settings() }, SettingsError::Path),
        (Settings { session: Duration::from_secs(59), ..settings() }, SettingsError::Session),
        (Settings { session: Duration::from_secs(u64::MAX), ..settings() }, SettingsError::Session),
        (Settings { scopes: vec!["a b".into()], ..settings() }, SettingsError::Scope),
    ] {
        assert_eq!(Client::new(settings, seals()).err(), Some(expect));
    }
}

#[test]
fn sessions_of_others_are_none() {
    let story = Story::new(settings(), "/");
    let (_, redirect) = story.sign_in();
    let cookie = kept(&redirect.cookies);
    let head = request("/", &[("Cookie", &cookie)]);
    assert!(story.client.session(&head).is_some());
    for other in [
        Settings { client_id: "other".into(), ..settings() },
        Settings { issuer: "https://other.test".into(), ..settings() },
    ] {
        assert!(client(other).session(&head).is_none());
    }
    let other_keys = SealKeys::new(&[[6; SEAL_KEY_BYTES]]).expect("keys");
    assert!(Client::new(settings(), other_keys).expect("settings").session(&head).is_none());
    let newer = SealKeys::new(&[[6; SEAL_KEY_BYTES], [5; SEAL_KEY_BYTES]]).expect("keys");
    assert!(Client::new(settings(), newer).expect("settings").session(&head).is_some());
    // What is kept of a sign-in under way is no session, whatever its cookie is called.
    let login = story.cookie.split_once('=').expect("a value").1;
    let head = request("/", &[("Cookie", &format!("__Host-session={login}"))]);
    assert!(story.client.session(&head).is_none());
}

#[test]
fn sessions_that_are_too_long_are_not_renewed() {
    let client = client(settings());
    let keep = |claim: usize, token: usize| {
        let mut identity = crate::Identity::named("ann", Via::Oidc).expect("a name");
        let value = "x".repeat(claim).into();
        identity.claims = vec![crate::Claim { name: "email".into(), value }].into();
        let renewal = Renewal { due: SECONDS, until: SECONDS, token: "t".repeat(token).into() };
        let session =
            Session { identity: Arc::new(identity), expires: SECONDS + 60, renewal: Some(renewal) };
        let kept = client.keep(session, &request("/", &[]), &[1; SEAL_CHANCE_BYTES], at(SECONDS));
        kept.map(|(session, lines)| (session.renewal.is_some(), lines.len()))
    };
    assert_eq!(keep(100, 100), Some((true, 1)));
    assert_eq!(keep(8000, 3000), Some((true, 4)));
    assert_eq!(keep(8000, 4000), Some((false, 3)));
    assert_eq!(keep(11_500, 100), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any bit of the cookies, and any length of what is in them.
    #[test]
    fn no_bit_of_a_session_can_be_changed(claim in "[a-z]{0,7000}", bit: prop::sample::Index) {
        let client = client(settings());
        let mut identity = crate::Identity::named("ann", Via::Oidc).expect("a name");
        identity.claims = vec![crate::Claim { name: "email".into(), value: claim.into() }].into();
        let session = Session { identity: Arc::new(identity), expires: SECONDS + 60, renewal: None };
        let empty = request("/", &[]);
        let chance = [1; SEAL_CHANCE_BYTES];
        let (session, lines) = client.keep(session, &empty, &chance, at(SECONDS)).expect("it fits");
        let pairs: Vec<String> = lines.iter().filter_map(|line| line.split(';').next()).map(str::to_owned).collect();
        let read = |pairs: &[String]| client.session(&request("/", &[("Cookie", &pairs.join("; "))]));
        prop_assert_eq!(read(&pairs), Some(session));

        let bits: usize = pairs.iter().map(|pair| pair.len() * 8).sum();
        let mut at = bit.index(bits);
        let mut changed = pairs.clone();
        for pair in &mut changed {
            let size = pair.len() * 8;
            if at < size {
                let start = pair.find('=').expect("a value") + 1;
                let mut bytes = pair.clone().into_bytes();
                bytes[(at / 8).max(start)] ^= 1 << (at % 7);
                *pair = String::from_utf8(bytes).expect("ASCII");
                break;
            }
            at -= size;
        }
        let is_clean = changed.iter().all(|pair| !pair.bytes().any(|byte| byte < 0x20 || byte == 0x7F));
        prop_assume!(is_clean && changed.iter().all(|pair| !pair.contains(';') && !pair.ends_with(' ')));
        prop_assert_eq!(read(&changed), None);
    }
}
