//! Keys of tokens that are fetched from their issuer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use doorman_testkit::origin::{Origin, Script, Seen, answering, playing, reply};
use doorman_testkit::tls::Authority;

use crate::rig::{FRONTS, House, said};

fn base64url(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        for at in 0..=three.len() {
            text.push(char::from(SIGNS[(bits >> (18 - 6 * at) & 63) as usize]));
        }
    }
    text
}

/// A key of an issuer.
struct Key {
    name: String,
    pair: Ed25519KeyPair,
}

impl Key {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), pair: Ed25519KeyPair::generate().expect("chance") }
    }

    fn public(&self) -> String {
        let x = base64url(self.pair.public_key().as_ref());
        format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"{}","x":"{x}"}}"#, self.name)
    }

    /// A token for somebody, until 2100.
    fn token(&self, user: &str) -> String {
        let head = format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, self.name);
        let claims =
            format!(r#"{{"iss":"https://id.test","aud":"shop","sub":"{user}","exp":4102444800}}"#);
        let signed = format!("{}.{}", base64url(head.as_bytes()), base64url(claims.as_bytes()));
        let signature = base64url(self.pair.sign(signed.as_bytes()).as_ref());
        format!("{signed}.{signature}")
    }
}

fn set<'k>(keys: impl IntoIterator<Item = &'k Key>) -> String {
    let keys: Vec<_> = keys.into_iter().map(Key::public).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// An issuer whose answer the story changes.
struct Issuer {
    origin: Origin,
    says: Arc<Mutex<(String, String)>>,
}

impl Issuer {
    fn start(status: &str, body: String) -> Self {
        let says = Arc::new(Mutex::new((status.to_owned(), body)));
        let told = Arc::clone(&says);
        let origin = Origin::start(answering(Arc::new(move |_| {
            let (status, body) = told.lock().expect("no panic").clone();
            reply(status, "Content-Type: application/json\r\n", body.as_bytes())
        })));
        Self { origin, says }
    }

    fn says(&self, status: &str, body: String) {
        *self.says.lock().expect("no panic") = (status.to_owned(), body);
    }

    fn site(&self) -> String {
        site(&format!("http://{}/keys?tenant=1", self.origin.address()))
    }
}

fn site(url: &str) -> String {
    format!("jwt jwks {url} issuer https://id.test audience shop forward sub X-User")
}

fn told(seen: &Seen) -> Script {
    said("", seen.all("x-user").join("|"))
}

fn ask(house: &House, token: &str) -> (u16, String) {
    let bearer = format!("Bearer {token}");
    let got = house.get("/", &[("authorization", &bearer), ("x-user", "root")]);
    (got.status, String::from_utf8_lossy(&got.body).into_owned())
}

/// Asks until the answer has this status.
#[track_caller]
fn await_status(house: &House, token: &str, status: u16) {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let (found, _) = ask(house, token);
        if found == status {
            return;
        }
        assert!(Instant::now() < end, "still {found}");
        std::thread::yield_now();
    }
}

#[test]
fn keys_of_an_issuer_let_in_by_every_wire_and_are_fetched_once_for_all() {
    let (key, other) = (Key::new("a"), Key::new("a"));
    let issuer = Issuer::start("200 OK", set([&key]));
    let house = House::before(&issuer.site(), told);
    for front in FRONTS {
        let bearer = format!("Bearer {}", key.token("ada"));
        let got =
            house.ask(front, "GET", "/", &[("authorization", &bearer), ("x-user", "root")], b"");
        assert_eq!((got.status, got.body.as_slice()), (200, &b"ada"[..]), "{front:?}");
        let bearer = format!("Bearer {}", other.token("eve"));
        assert_eq!(house.ask(front, "GET", "/", &[("authorization", &bearer)], b"").status, 401);
    }
    // Nobody has this key: as the set is new, nobody is asked for it.
    assert_eq!(ask(&house, &Key::new("b").token("eve")).0, 401);
    house.configure(&format!("{}\nlimit 1000/s", issuer.site()));
    house.reload(" is in force");
    assert_eq!(ask(&house, &key.token("bob")), (200, "bob".to_owned()));
    let asked = issuer.origin.requests();
    assert_eq!(asked.len(), 1, "both sites, all cores and both plans have one set");
    assert_eq!((asked[0].method(), asked[0].target()), ("GET", "/keys?tenant=1"));
    assert!(asked[0].field("accept").is_some_and(|kinds| kinds.contains("jwk-set+json")));
    let url = format!("{{url=\"http://{}/keys\"", issuer.origin.address());
    assert_eq!(house.metric(&format!("doorman_jwks_standing{url},standing=\"fresh\"")), 1.0);
    assert_eq!(house.metric(&format!("doorman_jwks_keys{url}")), 1.0);
    assert_eq!(house.metric(&format!("doorman_jwks_fetches_total{url}")), 1.0);
}

#[test]
fn an_issuer_that_is_down_at_the_start_costs_503_until_it_is_up_and_others_nothing() {
    let key = Key::new("a");
    let issuer = Issuer::start("500 Oh", String::new());
    let site = format!("route /open {{ proxy web }}\nroute * {{ {}; proxy web }}", issuer.site());
    let house = House::before(&site, told);
    await_status(&house, &key.token("ada"), 503);
    let _ = house.process.wait_for_words("no keys of http");
    assert_eq!(house.get("/open", &[]).status, 200);
    assert_eq!(house.get("/", &[]).status, 401, "whoever shows nothing is asked for a token");
    let line = house.line("/");
    assert!(line.contains("\"end\":\"unauthorized\""), "{line}");
    let _ = house.process.wait_for_words("unavailable");
    // What is no set of keys is another trouble.
    issuer.says("200 OK", "<html>".to_owned());
    let _ = house.process.wait_for_words("no JSON object");
    issuer.says("200 OK", set([&key]));
    await_status(&house, &key.token("ada"), 200);
    let _ = house.process.wait_for_words("1 key of http");
    let said = house.process.said();
    let told = said.iter().filter(|line| line.contains("no keys of http"));
    assert_eq!(told.count(), 2, "one line for each kind of trouble");
}

#[test]
fn keys_stay_in_use_when_their_issuer_is_gone_and_a_reload_does_not_forget_them() {
    let key = Key::new("a");
    let issuer = Issuer::start("200 OK", set([&key]));
    let site = issuer.site();
    let house = House::before(&site, told);
    assert_eq!(ask(&house, &key.token("ada")).0, 200);
    drop(issuer);
    // Another pace is another source, and begins with the keys that are there.
    house.configure(&format!("{site} refresh 2m"));
    house.reload(" is in force");
    assert_eq!(ask(&house, &key.token("ada")).0, 200);
    assert_eq!(ask(&house, &key.token("bob")).0, 200);
    let _ = house.process.wait_for_words("cannot be asked");
    let _ = house.process.wait_for_words("those that are there stay in use");
    assert_eq!(ask(&house, &key.token("eve")).0, 200);
    assert_eq!(ask(&house, &Key::new("b").token("eve")).0, 401);
}

#[test]
fn an_issuer_that_hangs_holds_nobody_long_and_a_stop_does_not_wait_for_it() {
    let issuer = Origin::start(playing(vec![Script::new().read_head().hold()]));
    let url = format!("http://{}/", issuer.address());
    let site = format!("route /open {{ proxy web }}\nroute * {{ {}; proxy web }}", site(&url));
    let mut house = House::before(&site, told);
    issuer.wait_for_connections(1);
    let began = Instant::now();
    assert_eq!(ask(&house, &Key::new("a").token("ada")).0, 503);
    let waited = began.elapsed();
    assert!(waited >= Duration::from_secs(2) && waited < Duration::from_secs(9), "{waited:?}");
    assert_eq!(house.get("/open", &[]).status, 200);
    let _ = house.process.stop().expect("our own child");
    assert!(began.elapsed() < Duration::from_secs(9));
}

#[test]
fn sets_are_bounded() {
    let key = Key::new("a");
    let many = vec![key.public(); 10_001];
    let issuer = Issuer::start("200 OK", format!(r#"{{"keys":[{}]}}"#, many.join(",")));
    let house = House::before(&issuer.site(), told);
    let _ = house.process.wait_for_words("more than 10000 keys");
    await_status(&house, &key.token("ada"), 503);
    issuer.says("200 OK", " ".repeat(9 << 20));
    let _ = house.process.wait_for_words("longer than 8388608 bytes");
    // So many are no trouble.
    issuer.says("200 OK", format!(r#"{{"keys":[{}]}}"#, many[1..].join(",")));
    await_status(&house, &key.token("ada"), 200);
}

/// The file of authorities decides who is believed, alone.
#[test]
fn keys_come_over_tls_from_whom_the_authorities_vouch_for() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (key, asked) = (Key::new("a"), Arc::new(AtomicUsize::new(0)));
    let (answer, count) = (set([&key]), Arc::clone(&asked));
    let plan = answering(Arc::new(move |_: &Seen| {
        count.fetch_add(1, Ordering::Relaxed);
        said("", answer.clone())
    }));
    let tls = authority.issue(&["localhost"]).server(&[]);
    let issuer = Origin::start_tls(plan, tls);
    let url = format!("https://localhost:{}/keys", issuer.address().port());
    let house = House::with("route /open { proxy web }");
    house.write("ca.pem", other.pem());
    house.configure(&format!("{} ca ca.pem", site(&url)));
    house.reload(" is in force");
    let _ = house.process.wait_for_words("invalid peer certificate");
    assert_eq!(ask(&house, &key.token("ada")).0, 503);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    house.write("ca.pem", authority.pem());
    house.reload(" is in force");
    await_status(&house, &key.token("ada"), 200);
    house.write("ca.pem", "none");
    house.reload("E0616");
    assert_eq!(ask(&house, &key.token("ada")).0, 200);
}

#[test]
fn explain_says_where_keys_come_from() {
    let issuer = Issuer::start("200 OK", set([&Key::new("a")]));
    let house = House::before(&issuer.site(), told);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_doorman"))
        .args([
            "explain",
            &format!("http://localhost:{}/", house.plain.port()),
            "-c",
            "doorman.conf",
        ])
        .current_dir(house.process.folder())
        .output()
        .expect("the program can be run");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("by keys of http://127.0.0.1"), "{text}");
    assert!(text.contains("no keys have been fetched here yet"), "{text}");
    assert!(!text.contains("tenant"), "a query may hold a secret: {text}");
}
