//! An OpenID provider that does what a story wants: a good one, until it is told how to lie or to fail.
//!
//! It has no pages. A story is the browser and the user in front of it: [`Rules::sign_in`] takes the URL that a
//! browser was sent to and gives back the target by which it returns.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

use crate::origin::{Ledger, Origin, Script, Seen, answering, reply};
use crate::process::free_address;

/// How it differs from a good provider, and what it grants.
#[derive(Clone, Debug)]
pub struct Will {
    /// The status of what it says of itself.
    pub document_status: u16,
    /// How it calls itself in that; `None`: as it is.
    pub document_issuer: Option<String>,
    /// Whether it says that its answers say who they are from (RFC 9207), and so has to.
    pub says_issuer: bool,
    /// The status of its token endpoint; other than 200 it answers with [`Will::token_error`].
    pub token_status: u16,
    /// The error that goes with another status.
    pub token_error: String,
    /// Whether its token endpoint says nothing until its ledger is released.
    pub is_slow: bool,
    /// Seconds that tokens last.
    pub lasts: u64,
    /// Whether it gives refresh tokens.
    pub refreshes: bool,
    /// Claims of its ID tokens, as JSON, in place of those that are right; an empty text leaves one out.
    pub claims: Vec<(&'static str, String)>,
    /// The header of its ID tokens; `None`: a right one.
    pub header: Option<String>,
    /// Whether ID tokens are signed by a key that it does not publish.
    pub is_forged: bool,
}

impl Default for Will {
    fn default() -> Self {
        Self {
            document_status: 200,
            document_issuer: None,
            says_issuer: false,
            token_status: 200,
            token_error: "invalid_grant".to_owned(),
            is_slow: false,
            lasts: 3600,
            refreshes: false,
            claims: Vec::new(),
            header: None,
            is_forged: false,
        }
    }
}

/// A provider on a socket.
pub struct OpenId {
    address: SocketAddr,
    origin: Option<Origin>,
    rules: Arc<Rules>,
}

/// What a provider says to whom: it needs no socket.
pub struct Rules {
    issuer: String,
    state: Mutex<State>,
}

struct State {
    will: Will,
    key: Ed25519KeyPair,
    key_id: u32,
    /// Codes that were given out and not changed yet: who, nonce, challenge and where they are for.
    codes: HashMap<String, Grant>,
    /// Refresh tokens that are good.
    refresh: HashMap<String, Grant>,
    given: u32,
    /// Forms that its token endpoint got.
    forms: Vec<String>,
}

#[derive(Clone)]
struct Grant {
    user: String,
    client: String,
    nonce: String,
    challenge: String,
    redirect: String,
}

impl OpenId {
    /// One on a free port of the loopback.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn start() -> Self {
        let address = free_address();
        let rules = Arc::new(Rules::new(&format!("http://{address}")));
        let mut provider = Self { address, origin: None, rules };
        provider.go_on();
        provider
    }

    /// Serves again after [`OpenId::stop`].
    ///
    /// # Panics
    /// When its port was taken meanwhile.
    pub fn go_on(&mut self) {
        let rules = Arc::clone(&self.rules);
        let plan = answering(Arc::new(move |seen| rules.script(seen)));
        self.origin =
            Some(Origin::start_at(self.address, plan, None).expect("the port that was free"));
    }

    /// Goes down: its port refuses.
    pub fn stop(&mut self) {
        self.origin = None;
    }

    /// What it has received since it last went up.
    ///
    /// # Panics
    /// It is down.
    #[must_use]
    pub fn ledger(&self) -> Arc<Ledger> {
        self.origin.as_ref().expect("it is up").ledger()
    }
}

impl Deref for OpenId {
    type Target = Rules;

    fn deref(&self) -> &Rules {
        &self.rules
    }
}

impl Rules {
    /// Those of a good provider that calls itself so.
    ///
    /// # Panics
    /// When there is no key.
    #[must_use]
    pub fn new(issuer: &str) -> Self {
        let state = State {
            will: Will::default(),
            key: Ed25519KeyPair::generate().expect("a key"),
            key_id: 1,
            codes: HashMap::new(),
            refresh: HashMap::new(),
            given: 0,
            forms: Vec::new(),
        };
        Self { issuer: issuer.to_owned(), state: Mutex::new(state) }
    }

    /// How it calls itself.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Changes what it wants.
    pub fn will(&self, change: impl FnOnce(&mut Will)) {
        change(&mut self.hold().will);
    }

    /// Signs with another key from now on, under another name.
    ///
    /// # Panics
    /// When there is no key.
    pub fn rotate(&self) {
        let mut state = self.hold();
        state.key = Ed25519KeyPair::generate().expect("a key");
        state.key_id += 1;
    }

    /// Ends all sessions: no refresh token is good any more.
    pub fn end_sessions(&self) {
        self.hold().refresh.clear();
    }

    /// Forms that its token endpoint got.
    #[must_use]
    pub fn forms(&self) -> Vec<String> {
        self.hold().forms.clone()
    }

    /// A user signs in at the URL that his browser was sent to. The target by which the browser returns.
    ///
    /// # Panics
    /// The URL is not as OpenID Connect Core 1.0 section 3.1.2.1 and RFC 7636 want it.
    #[track_caller]
    #[must_use]
    pub fn sign_in(&self, location: &str, user: &str) -> String {
        let front = format!("{}/authorize?", self.issuer);
        let query = location.strip_prefix(&front).unwrap_or_else(|| panic!("{location}"));
        let one = |name: &str| parameter(query, name).unwrap_or_else(|| panic!("{name}: {query}"));
        assert_eq!(
            (one("response_type"), one("code_challenge_method")),
            ("code".into(), "S256".into())
        );
        assert!(one("scope").split(' ').any(|scope| scope == "openid"), "{query}");
        let redirect = one("redirect_uri");
        let path = redirect.splitn(4, '/').nth(3).unwrap_or_default().to_owned();
        let grant = Grant {
            user: user.to_owned(),
            client: one("client_id"),
            nonce: one("nonce"),
            challenge: one("code_challenge"),
            redirect,
        };
        let mut state = self.hold();
        state.given += 1;
        let code = format!("code-{}", state.given);
        state.codes.insert(code.clone(), grant);
        format!("/{path}?code={code}&state={}", one("state"))
    }

    /// Status and content of its answer to a form for a target, or to nothing.
    #[must_use]
    pub fn answer(&self, target: &str, form: &str) -> (u16, String) {
        match target {
            "/.well-known/openid-configuration" => self.document(),
            "/jwks" => (200, self.hold().jwks()),
            "/token" => self.token(form),
            _ => (404, "{}".to_owned()),
        }
    }

    fn script(&self, seen: &Seen) -> Script {
        let (status, text) = self.answer(seen.target(), &String::from_utf8_lossy(&seen.body));
        let kind = "Content-Type: application/json\r\n";
        let answer = reply(format_args!("{status} Said"), kind, text.as_bytes());
        let is_slow = seen.target() == "/token" && self.hold().will.is_slow;
        if is_slow { Script::new().hold().and(answer) } else { answer }
    }

    fn document(&self) -> (u16, String) {
        let will = self.hold().will.clone();
        let (here, says) = (&self.issuer, will.says_issuer);
        let issuer = will.document_issuer.as_ref().unwrap_or(here);
        let text = format!(
            r#"{{"issuer":"{issuer}","authorization_endpoint":"{here}/authorize","token_endpoint":"{here}/token",
            "jwks_uri":"{here}/jwks","end_session_endpoint":"{here}/end","code_challenge_methods_supported":["S256"],
            "authorization_response_iss_parameter_supported":{says}}}"#
        );
        (will.document_status, text)
    }

    fn token(&self, form: &str) -> (u16, String) {
        let mut state = self.hold();
        state.forms.push(form.to_owned());
        let Will { token_status, token_error, .. } = state.will.clone();
        if token_status != 200 {
            return (token_status, format!(r#"{{"error":"{token_error}"}}"#));
        }
        match state.change(form) {
            Some(grant) => (200, state.tokens(&self.issuer, &grant)),
            None => (400, r#"{"error":"invalid_grant"}"#.to_owned()),
        }
    }

    fn hold(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What a form has a right to. A code and a refresh token are good once.
    fn change(&mut self, form: &str) -> Option<Grant> {
        if let Some(token) = parameter(form, "refresh_token") {
            return self.refresh.remove(&token);
        }
        let grant = self.codes.remove(&parameter(form, "code")?)?;
        let verifier = parameter(form, "code_verifier")?;
        let is_it = text(digest(&SHA256, verifier.as_bytes()).as_ref()) == grant.challenge;
        (is_it && parameter(form, "redirect_uri")? == grant.redirect).then_some(grant)
    }

    fn tokens(&mut self, issuer: &str, grant: &Grant) -> String {
        let mut refresh = String::new();
        if self.will.refreshes {
            self.given += 1;
            let token = format!("refresh-{}", self.given);
            refresh = format!(r#","refresh_token":"{token}""#);
            self.refresh.insert(token, grant.clone());
        }
        let (id, lasts) = (self.id_token(issuer, grant), self.will.lasts);
        format!(
            r#"{{"token_type":"Bearer","access_token":"access","expires_in":{lasts},"id_token":"{id}"{refresh}}}"#
        )
    }

    fn id_token(&self, issuer: &str, grant: &Grant) -> String {
        let Grant { user, client, nonce, .. } = grant;
        let quoted = |text: &str| format!("\"{text}\"");
        let mut claims = vec![
            ("iss", quoted(issuer)),
            ("aud", quoted(client)),
            ("sub", quoted(user)),
            ("nonce", quoted(nonce)),
            ("email", quoted(&format!("{user}@example.test"))),
            ("iat", "1700000000".to_owned()),
            ("exp", "4102444800".to_owned()),
        ];
        for (name, value) in &self.will.claims {
            claims.retain(|(known, _)| known != name);
            claims.push((name, value.clone()));
        }
        claims.retain(|(_, value)| !value.is_empty());
        let members: Vec<_> =
            claims.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let own = format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, self.key_id);
        let header = self.will.header.as_ref().unwrap_or(&own);
        let claims = format!("{{{}}}", members.join(","));
        let signed = format!("{}.{}", text(header.as_bytes()), text(claims.as_bytes()));
        let signature = if self.will.is_forged {
            let other = Ed25519KeyPair::generate().expect("a key");
            text(other.sign(signed.as_bytes()).as_ref())
        } else if header.contains("none") {
            String::new()
        } else {
            text(self.key.sign(signed.as_bytes()).as_ref())
        };
        format!("{signed}.{signature}")
    }

    fn jwks(&self) -> String {
        let x = text(self.key.public_key().as_ref());
        let kid = self.key_id;
        format!(
            r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"{kid}","x":"{x}"}}]}}"#
        )
    }
}

/// The value of a parameter of a query or a form, unescaped.
#[must_use]
pub fn parameter(text: &str, name: &str) -> Option<String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.filter(|(found, _)| *found == name).map(|(_, value)| value).next()?;
    let (mut bytes, mut rest) = (Vec::new(), value.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Base64 for URLs, without padding (RFC 4648 section 5).
fn text(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..=group.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    text
}
