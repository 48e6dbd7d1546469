//! Who is signed in at an OpenID provider.

use std::collections::BTreeMap;
use std::thread;

use doorman_testkit::openid::{OpenId, Will};
use doorman_testkit::origin::{Script, Seen};

use crate::rig::{FRONTS, Front, Got, House, said};

/// Says what the origin was told of who asks, and its cookies.
pub(crate) fn told(seen: &Seen) -> Script {
    let all = |name: &str| seen.all(name).join("|");
    said("", format!("{} {} [{}]", all("x-email"), all("x_email"), all("cookie")))
}

/// The lines of a site whose users sign in there.
fn site(provider: &OpenId, more: &str) -> String {
    let issuer = provider.issuer();
    format!("oidc {issuer} {{ client-id shop; client-secret hush; forward email X-Email; {more} }}")
}

/// A browser: it keeps cookies and says what it wants with what it asks for.
pub(crate) struct Browser<'h> {
    house: &'h House,
    front: Front,
    jar: BTreeMap<String, String>,
}

impl<'h> Browser<'h> {
    pub(crate) fn new(house: &'h House, front: Front) -> Self {
        Self { house, front, jar: BTreeMap::new() }
    }

    /// Opens a page.
    pub(crate) fn open(&mut self, target: &str) -> Got {
        self.get(target, &[("sec-fetch-mode", "navigate"), ("sec-fetch-site", "same-origin")])
    }

    pub(crate) fn get(&mut self, target: &str, fields: &[(&str, &str)]) -> Got {
        let cookies: Vec<_> =
            self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut fields = fields.to_vec();
        if !cookies.is_empty() {
            fields.push(("cookie", &cookies));
        }
        let got = self.house.ask(self.front, "GET", target, &fields, b"");
        for (_, line) in got.fields.iter().filter(|(name, _)| name == "set-cookie") {
            let (pair, attributes) = line.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a value");
            assert!(attributes.contains("HttpOnly; SameSite=Lax"), "{line}");
            if attributes.contains("Max-Age=0;") {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
        got
    }

    /// Opens a page and signs in where it is sent to; what comes of the return.
    fn sign_in(&mut self, provider: &OpenId, target: &str, user: &str) -> Got {
        let back = self.way_back(provider, target, user);
        self.open(&back)
    }

    /// The target by which it returns from the provider.
    fn way_back(&mut self, provider: &OpenId, target: &str, user: &str) -> String {
        let got = self.open(target);
        assert_eq!(got.status, 303, "{got:?}");
        assert_eq!(got.field("cache-control"), Some("no-store"));
        provider.sign_in(got.field("location").expect("a place"), user)
    }

    fn has_session(&self) -> bool {
        self.jar.keys().any(|name| name.ends_with("dm_session"))
    }
}

pub(crate) fn text(got: &Got) -> String {
    String::from_utf8_lossy(&got.body).into_owned()
}

#[test]
fn users_sign_in_by_every_wire_and_origins_hear_of_them_from_us_alone() {
    let provider = OpenId::start();
    let house = House::before(&site(&provider, ""), told);
    for front in FRONTS {
        let mut browser = Browser::new(&house, front);
        // Programs get an answer that they understand, and no page.
        let got = browser.get("/api", &[("accept", "application/json")]);
        assert_eq!(got.status, 401, "{front:?}");
        assert_eq!(got.field("www-authenticate"), Some("Cookie realm=\"sign-in\""));
        let got = browser.sign_in(&provider, "/page?a=1", "ann");
        assert_eq!((got.status, got.field("location")), (303, Some("/page?a=1")), "{front:?}");
        assert!(browser.has_session(), "{front:?}");
        let is_secure = front != Front::Plain;
        assert_eq!(browser.jar.contains_key("__Host-dm_session"), is_secure, "{front:?}");
        browser.jar.insert("theirs".to_owned(), "1".to_owned());
        let fields = [("x-email", "root@evil.test"), ("x_email", "root@evil.test")];
        let got = browser.get("/page", &fields);
        assert_eq!(got.status, 200, "{front:?}");
        assert_eq!(text(&got), "ann@example.test  [theirs=1]", "{front:?}");
        assert_eq!(got.field("cache-control"), Some("private"), "{front:?}");
    }
    assert_eq!(house.asked(), FRONTS.len());
    let line = house.process.wait_for_words("\"status\":200");
    assert!(line.contains("\"user\":\"ann\""), "{line}");
    let line = house.process.wait_for_words("\"path\":\"/oauth2/callback\"");
    assert!(line.contains("\"end\":\"sign-in\"") && line.contains("\"user\":\"ann\""), "{line}");
    let sent = format!("doorman_oidc_sign_ins_total{{issuer=\"{}\",outcome=", provider.issuer());
    assert_eq!(house.metric(&format!("{sent}\"sent\"}}")), 4.0);
    assert_eq!(house.metric(&format!("{sent}\"signed-in\"}}")), 4.0);
}

#[test]
fn sessions_outlive_reloads_and_the_provider_and_end_where_somebody_signs_out() {
    let mut provider = OpenId::start();
    let house = House::before(&site(&provider, ""), told);
    let mut browser = Browser::new(&house, Front::H2);
    assert_eq!(browser.sign_in(&provider, "/", "ann").status, 303);
    house.reload(" is in force");
    assert_eq!(browser.get("/", &[]).status, 200);
    provider.stop();
    assert_eq!(browser.get("/", &[]).status, 200);

    // A page of another site signs nobody out.
    let got = browser.get("/oauth2/logout", &[("sec-fetch-site", "cross-site")]);
    assert_eq!(got.status, 403);
    assert!(browser.has_session());
    let got = browser.open("/oauth2/logout");
    let end = format!("{}/end?client_id=shop", provider.issuer());
    assert_eq!((got.status, got.field("location")), (303, Some(&*end)));
    assert!(!browser.has_session());
    assert_eq!(browser.get("/", &[]).status, 401);
}

#[test]
fn paths_of_ours_are_the_whole_sites_whatever_its_routes_say() {
    let provider = OpenId::start();
    let routes = format!(
        "route /oauth2/* {{ proxy web }}\n\
         route /open {{ proxy web }}\nroute /closed/* {{ {}\nproxy web }}",
        site(&provider, "")
    );
    let house = House::before(&routes, told);
    let mut browser = Browser::new(&house, Front::Plain);
    assert_eq!(browser.open("/open").status, 200);
    assert_eq!(browser.sign_in(&provider, "/closed/a", "ann").status, 303);
    assert_eq!(text(&browser.open("/closed/a")), "ann@example.test  []");
    // Where nobody asks, nobody is told of.
    assert!(text(&browser.open("/open")).starts_with("  [dm_session="));
    assert_eq!(browser.open("/oauth2/logout").status, 303);
    assert_eq!(house.ask(Front::Plain, "POST", "/oauth2/callback", &[], b"").status, 400);
    assert_eq!(house.asked(), 3);
}

/// What a provider may do that is no sign-in, and what its user is then told.
#[test]
fn providers_that_lie_sign_nobody_in() {
    type Lie = fn(&mut Will);
    fn claim(will: &mut Will, name: &'static str, value: &str) {
        will.claims.push((name, value.to_owned()));
    }
    let lies: [(&str, Lie, u16, &str); 12] = [
        ("/nonce", |will| claim(will, "nonce", "\"other\""), 400, "bad-state"),
        ("/no-nonce", |will| claim(will, "nonce", ""), 400, "bad-state"),
        ("/no-user", |will| claim(will, "sub", ""), 403, "not-allowed"),
        ("/access", |will| claim(will, "at_hash", "\"other\""), 502, "bad-answer"),
        ("/issuer", |will| claim(will, "iss", "\"https://evil.test\""), 401, "bad-issuer"),
        ("/audience", |will| claim(will, "aud", "\"other\""), 401, "bad-audience"),
        ("/expired", |will| claim(will, "exp", "1000000000"), 401, "expired"),
        ("/none", |will| will.header = Some("{\"alg\":\"none\"}".into()), 401, "bad-algorithm"),
        ("/secret", |will| will.header = Some("{\"alg\":\"HS256\"}".into()), 401, "bad-algorithm"),
        ("/forged", |will| will.is_forged = true, 401, "bad-signature"),
        (
            "/refused",
            |will| will.token_status = 400,
            403,
            "sign-in-failed: the provider says invalid_grant",
        ),
        (
            "/unknown",
            |will| will.token_status = 401,
            503,
            "unavailable: the provider does not know this client",
        ),
    ];
    let provider = OpenId::start();
    let house = House::before(&site(&provider, ""), told);
    for (path, lie, status, words) in lies {
        let mut browser = Browser::new(&house, Front::H1);
        let back = browser.way_back(&provider, path, "ann");
        provider.will(lie);
        let got = browser.open(&back);
        assert_eq!(got.status, status, "{path}: {got:?}");
        assert!(!browser.has_session(), "{path}");
        assert_eq!(browser.get(path, &[]).status, 401);
        let line = house.process.wait_for_words(&format!("\"detail\":\"{words}"));
        assert!(line.contains("\"end\":\"unauthorized\""), "{line}");
        provider.will(|will| *will = Will::default());
    }
    assert_eq!(house.asked(), 0);
}

#[test]
fn answers_that_were_asked_for_by_others_sign_nobody_in() {
    let provider = OpenId::start();
    let house = House::before(&site(&provider, ""), told);
    let mut ann = Browser::new(&house, Front::H2);
    let mut eve = Browser::new(&house, Front::H2);
    let back = eve.way_back(&provider, "/", "eve");
    // Somebody is lured to sign in as another.
    assert_eq!(ann.open(&back).status, 400);
    assert!(!ann.has_session());
    for wrong in ["/oauth2/callback", "/oauth2/callback?state=x", "/oauth2/callback?code=c&state="]
    {
        assert_eq!(eve.open(wrong).status, 400, "{wrong}");
    }
    assert_eq!(eve.open(&format!("{back}&state=x")).status, 400);
    assert_eq!(eve.open(&format!("{back}&iss=https%3A%2F%2Fevil.test")).status, 401);
    assert!(provider.forms().is_empty(), "nobody asked for tokens");
    assert_eq!(eve.open(&back).status, 303);
    // A code is good once, and so is what a browser keeps for it.
    assert_eq!(eve.open(&back).status, 400);
    assert_eq!(provider.forms().len(), 1);
    assert_eq!(house.asked(), 0);
}

#[test]
fn a_provider_that_is_down_keeps_out_only_those_who_want_to_sign_in() {
    let mut provider = OpenId::start();
    provider.stop();
    let house = House::before(&site(&provider, ""), told);
    let mut browser = Browser::new(&house, Front::H2);
    assert_eq!(browser.open("/").status, 503);
    let line = house.process.wait_for_words("nobody can sign in there");
    assert!(line.contains(provider.issuer()), "{line}");
    // Programs do not wait for what does not concern them.
    assert_eq!(browser.get("/", &[]).status, 401);
    assert_eq!(house.asked(), 0);
    provider.go_on();
    let got = loop {
        let got = browser.open("/");
        if got.status != 503 {
            break got;
        }
        thread::yield_now();
    };
    let back = provider.sign_in(got.field("location").expect("a place"), "ann");
    assert_eq!(browser.open(&back).status, 303);
    assert_eq!(browser.open("/").status, 200);
    let said = house.process.said();
    let times = |words: &str| said.iter().filter(|line| line.contains(words)).count();
    assert_eq!(times("nobody can sign in there"), 1, "{said:?}");
    assert_eq!(times("users can sign in at"), 1, "{said:?}");
}

#[test]
fn a_provider_that_calls_itself_otherwise_is_none() {
    let provider = OpenId::start();
    provider.will(|will| will.document_issuer = Some("https://evil.test".to_owned()));
    let house = House::before(&site(&provider, ""), told);
    assert_eq!(Browser::new(&house, Front::Plain).open("/").status, 503);
    let line = house.process.wait_for_words("the discovery document is of issuer");
    assert!(line.contains("https://evil.test"), "{line}");
}

#[test]
fn whoever_waits_for_a_slow_provider_waits_alone() {
    let provider = OpenId::start();
    let house = House::before(&site(&provider, ""), told);
    let mut ann = Browser::new(&house, Front::H2);
    assert_eq!(ann.sign_in(&provider, "/", "ann").status, 303);
    provider.will(|will| will.is_slow = true);
    let mut bob = Browser::new(&house, Front::H2);
    let back = bob.way_back(&provider, "/", "bob");
    thread::scope(|scope| {
        let waits = scope.spawn(move || {
            let got = bob.open(&back);
            (got.status, bob.has_session())
        });
        while provider.forms().len() < 2 {
            thread::yield_now();
        }
        assert_eq!(ann.open("/").status, 200);
        provider.ledger().release();
        assert_eq!(waits.join().expect("a browser"), (303, true));
    });
}

#[test]
fn keys_that_a_provider_changes_are_fetched_when_they_are_shown() {
    let provider = OpenId::start();
    let house = House::before(&site(&provider, ""), told);
    let mut browser = Browser::new(&house, Front::Plain);
    assert_eq!(browser.sign_in(&provider, "/", "ann").status, 303);
    let fetches = || {
        let all = provider.ledger().requests();
        all.iter().filter(|seen| seen.target() == "/jwks").count()
    };
    assert_eq!(fetches(), 1);
    provider.rotate();
    let mut browser = Browser::new(&house, Front::Plain);
    // The keys are new: it is not believed that there are others already.
    assert_eq!(browser.sign_in(&provider, "/", "bob").status, 401);
    assert_eq!(fetches(), 1);
}

#[test]
fn where_nobody_may_come_too_nobody_is_sent_away_and_nothing_is_mixed_up() {
    let provider = OpenId::start();
    let lines = |way| site(&provider, &format!("unauthenticated {way}"));
    let site = format!(
        "store s {{ memory 8MiB }}\n---\nroute /login {{ {}\nproxy web }}\nroute * {{ cache s ttl 1h\n{}\nproxy web }}",
        lines("redirect"),
        lines("allow")
    );
    let house = House::before(&site, |seen| {
        said("Cache-Control: max-age=600\r\n", format!("<{}>", seen.all("x-email").join("|")))
    });
    let mut browser = Browser::new(&house, Front::H1);
    let fields = [("x-email", "root@evil.test")];
    assert_eq!(text(&browser.get("/", &fields)), "<>");
    assert_eq!(text(&browser.get("/", &fields)), "<>");
    assert_eq!(house.asked(), 1);
    // One who is known is told what is for him, and nobody else is.
    assert_eq!(browser.sign_in(&provider, "/login", "ann").status, 303);
    for _ in 0..2 {
        assert_eq!(text(&browser.open("/")), "<ann@example.test>");
    }
    assert_eq!(house.asked(), 3);
    let mut other = Browser::new(&house, Front::H1);
    assert_eq!((text(&other.open("/")), house.asked()), ("<>".to_owned(), 3));
}

#[test]
fn a_token_lets_in_where_users_sign_in_too() {
    /// SHA-256 of `key-of-the-shop`.
    const KEY: &str = "d0ddc66349f3b4f5e52d479167db0408480e105b7813f91ffc99be06f9c63ffb";
    let provider = OpenId::start();
    let lines = format!("{}\napi-key key shop sha256:{KEY}", site(&provider, ""));
    let house = House::before(&lines, told);
    let mut browser = Browser::new(&house, Front::H2);
    assert_eq!(browser.get("/", &[("x-api-key", "key-of-the-shop")]).status, 200);
    // Who shows something that does not hold is told so.
    let fields = [("x-api-key", "another"), ("sec-fetch-mode", "navigate")];
    assert_eq!(browser.get("/", &fields).status, 401);
    assert_eq!(browser.sign_in(&provider, "/", "ann").status, 303);
    assert_eq!(browser.open("/").status, 200);
}

/// Behind a proxy that ends TLS, a browser's cookie and its way back are those of TLS.
#[test]
fn a_proxy_in_front_that_ends_tls_is_believed_if_it_is_trusted() {
    let provider = OpenId::start();
    let house = House::before(&site(&provider, ""), told);
    let fields = [("sec-fetch-mode", "navigate"), ("x-forwarded-proto", "https")];
    let location = |got: Got| got.field("location").expect("a place").to_owned();
    assert!(location(house.get("/", &fields)).contains("redirect_uri=http%3A%2F%2F"));
    house.configure(&format!("trusted-proxies 127.0.0.1\n===\n{}", site(&provider, "")));
    house.reload(" is in force");
    let got = house.get("/", &fields);
    assert!(
        got.field("set-cookie").is_some_and(|line| line.starts_with("__Host-dm_session-login-"))
    );
    assert!(location(got).contains("redirect_uri=https%3A%2F%2F"));
}
