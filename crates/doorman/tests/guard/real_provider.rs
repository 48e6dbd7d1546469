//! Signing in at a provider that others wrote.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use doorman_testkit::node::Node;
use doorman_testkit::port;
use doorman_testkit::raw::Raw;
use doorman_testkit::reply::Reply;

use crate::rig::{Front, House};
use crate::sign_in::{Browser, text, told};

/// A browser's side towards the provider: it keeps its cookies and does what its pages want.
struct Visit {
    address: SocketAddr,
    jar: BTreeMap<String, String>,
}

impl Visit {
    fn ask(&mut self, method: &str, target: &str, form: &str) -> Reply {
        let cookies: Vec<_> =
            self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\nCookie: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            self.address.port(),
            cookies.join("; "),
            form.len()
        );
        let mut raw = Raw::connect(self.address).expect("the provider is there");
        let reply = raw.exchange(request).expect("an answer");
        for (name, line) in &reply.fields {
            let line = String::from_utf8_lossy(line);
            if name.eq_ignore_ascii_case("set-cookie")
                && let Some((name, rest)) = line.split_once('=')
            {
                let value = rest.split(';').next().unwrap_or_default();
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
        reply
    }

    /// Signs in from where it was sent to, through all that is asked; the target at the house in the end.
    fn sign_in(&mut self, location: &str, user: &str) -> String {
        let here = format!("http://localhost:{}", self.address.port());
        let mut place = location.to_owned();
        // A name and a password, then whether that may be told.
        let login = format!("prompt=login&login={user}&password=any");
        let mut forms = [login.as_str(), "prompt=consent"].into_iter();
        for _ in 0..12 {
            let target = match place.strip_prefix(&here) {
                Some(target) => target.to_owned(),
                None if place.starts_with('/') => place.clone(),
                None => {
                    let path = place.splitn(4, '/').nth(3).unwrap_or_default();
                    return format!("/{path}");
                }
            };
            let form = target.starts_with("/interaction/").then(|| forms.next().expect("a form"));
            let method = if form.is_some() { "POST" } else { "GET" };
            let reply = self.ask(method, &target, form.unwrap_or_default());
            let next = reply.text_of("location");
            assert!((300..400).contains(&reply.status), "{target}: {reply:?}");
            place = next.expect("a place to go on to");
        }
        panic!("the provider asks for more and more: {place}");
    }
}

/// The value of a field.
trait TextOf {
    fn text_of(&self, name: &str) -> Option<String>;
}

impl TextOf for Reply {
    fn text_of(&self, name: &str) -> Option<String> {
        let mut fields = self.fields.iter();
        let found = fields.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }
}

#[test]
fn users_sign_in_and_out_at_a_certified_provider() {
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers");
    let Some(node) = Node::find(env!("CARGO_TARGET_TMPDIR"), scripts) else { return };
    let house = House::before("", told);
    let port = port::free().to_string();
    let callback = |scheme: &str, port: u16| format!("{scheme}://localhost:{port}/oauth2/callback");
    let callbacks = [callback("http", house.plain.port()), callback("https", house.secure.port())];
    let _provider = node.serve("oidc_provider.mjs", &[&port, &callbacks[0], &callbacks[1]]);
    house.configure(&format!(
        "oidc http://localhost:{port} {{ client-id shop; client-secret 'h+u s:h%20&='; scope openid email offline_access\n\
         forward email X-Email }}"
    ));
    house.reload(" is in force");
    let address = SocketAddr::from(([127, 0, 0, 1], port.parse().expect("a port")));
    for (front, user) in [(Front::Plain, "ann"), (Front::H2, "bob"), (Front::H3, "zoe")] {
        let mut browser = Browser::new(&house, front);
        let mut visit = Visit { address, jar: BTreeMap::new() };
        let sent = browser.open("/page?x=1");
        assert_eq!(sent.status, 303, "{front:?}: {sent:?}");
        let back = visit.sign_in(sent.field("location").expect("a place"), user);
        let got = browser.open(&back);
        assert_eq!((got.status, got.field("location")), (303, Some("/page?x=1")), "{got:?}");
        assert_eq!(text(&browser.open("/page?x=1")), format!("{user}@example.test  []"));
        // A second sign-in finds the user signed in at the provider.
        let mut again = Browser::new(&house, front);
        let sent = again.open("/");
        let back = visit.sign_in(sent.field("location").expect("a place"), user);
        assert_eq!(again.open(&back).status, 303, "{front:?}");
        // Out of here, and on to the provider, which has a page for it.
        let out = browser.open("/oauth2/logout");
        let location = out.field("location").expect("a place").to_owned();
        let target = location.splitn(4, '/').nth(3).expect("a target").to_owned();
        assert_eq!(visit.ask("GET", &format!("/{target}"), "").status, 200, "{location}");
        assert_eq!(browser.get("/", &[]).status, 401);
    }
    // What was given out for one is good once, at the provider too.
    assert_eq!(house.asked(), 3);
}
