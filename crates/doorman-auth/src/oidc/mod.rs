//! Sign-in with an OpenID provider: the relying party of OpenID Connect Core 1.0, by codes alone (RFC 6749 section 4.1)
//! with PKCE (RFC 7636), as RFC 9700 advises.
//!
//! ```text
//!   visit --- session ---------------------------------> Pass
//!     |  \--- its tokens are over --> Renew -> renewal -> [token endpoint] -> renewed -> Pass
//!     | nobody
//!     v
//!   SignIn -> sign_in -> [browser at the provider] -> Callback -> callback -> [token endpoint] -> complete -> Pass
//! ```
//!
//! One decision shaped it: the house keeps nothing. What is under way and who is signed in is kept by the browser,
//! sealed, so every core and every machine with the same keys knows every session, and a restart forgets none. The
//! price: a session cannot be taken back from outside before it is over, which is why it is short and renewed.
//!
//! Nothing here asks anybody: requests to the provider are handed out, and what comes back is handed in.

mod cookie;
mod discovery;
mod exchange;
mod login;
mod seal;
mod session;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use cookie::{COOKIE_NAME_BYTES_MAX, PART_BYTES_MAX, PARTS_MAX};
use cookie::{Cookie, is_name};
pub use discovery::{
    ClientAuthentication, DISCOVERY_BYTES_MAX, DiscoveryError, Provider, discovery_url,
};
use doorman_http::{FieldId, Method, Now, RequestHead, Scheme};
pub use exchange::{ANSWER_BYTES_MAX, FORM, TokenAnswer, TokenRequest};
use exchange::{NoTokens, Tokens, check_id_token, is_same, said};
use login::{Chance, Login, STATE_MAX, slot};
pub use login::{LOGIN_CHANCE_BYTES, LOGIN_SECONDS, LOGINS_MAX};
use seal::SEAL_BYTES;
pub use seal::{SEAL_CHANCE_BYTES, SEAL_KEY_BYTES, SEAL_KEYS_MAX, SealKeys, SealKeysError};
use session::{Life, Renewal};
pub use session::{REFRESH_TOKEN_BYTES_MAX, RENEW_EVERY_SECONDS, RENEW_GRACE_SECONDS, Session};
use text::{challenge, is_own_path, parameter, parameters};

use crate::base64url;
use crate::jwt::{Algorithms, Bad, Keys, KeysWanted, Rules, Verifier};
use crate::outcome::{Refusal, Via};

/// Longest session, in seconds: 30 days.
pub const SESSION_SECONDS_MAX: u64 = 30 * 24 * 3600;

/// Bytes of a seal whose digits, and the number of parts, fill all parts of a cookie.
const SEALED_BYTES_MAX: usize = (PARTS_MAX * PART_BYTES_MAX - 1) / 4 * 3;

/// Longest code that is taken from an answer, in characters.
const CODE_MAX: usize = 4096;

/// What is done with a request of nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unauthenticated {
    /// Browsers that want a page are sent to sign in, everything else is refused.
    Redirect,
    /// It goes on without an identity.
    Allow,
    /// It is refused.
    Deny,
}

/// How sign-in is set up.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The provider's name for itself.
    pub issuer: Box<str>,
    /// Our name at the provider.
    pub client_id: Box<str>,
    /// Our secret there; `None`: we are a public client.
    pub client_secret: Option<Box<str>>,
    /// What is asked for; `openid` is added if it is missing.
    pub scopes: Vec<Box<str>>,
    /// How long somebody stays signed in, at most [`SESSION_SECONDS_MAX`].
    pub session: Duration,
    /// The name of the cookie, without prefix.
    pub cookie: Box<str>,
    /// The path that providers send browsers back to.
    pub callback: Box<str>,
    /// The path that signs out.
    pub logout: Box<str>,
    /// What is done with a request of nobody.
    pub unauthenticated: Unauthenticated,
    /// Whether sessions are renewed when their tokens are over.
    pub refresh: bool,
    /// What ID tokens may be signed with. HS256 is never taken here: its secret would be that of all who know ours.
    pub algorithms: Algorithms,
    /// Which claims are kept (see [`Rules::keep`]).
    pub keep: Vec<Box<str>>,
    /// How far the provider's clock may be from ours.
    pub leeway: Duration,
}

impl fmt::Debug for Settings {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// Why settings cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsError {
    /// The issuer is no https:// URL.
    Issuer,
    /// The client's id is empty, or longer than 255 characters.
    ClientId,
    /// The name cannot be a cookie's.
    Cookie,
    /// A path does not begin with `/`, or both are the same.
    Path,
    /// A session is shorter than a minute or longer than [`SESSION_SECONDS_MAX`].
    Session,
    /// A scope is empty or holds a character that a scope cannot (RFC 6749 section 3.3).
    Scope,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issuer => {
                f.write_str("the issuer is no https:// URL (http:// is for 127.0.0.1 alone)")
            }
            Self::ClientId => f.write_str("the client-id is empty or longer than 255 characters"),
            Self::Cookie => write!(
                f,
                "this cannot be the name of a cookie: up to {COOKIE_NAME_BYTES_MAX} letters, digits, - and _, not __ ahead"
            ),
            Self::Path => f.write_str("callback and logout are two paths that begin with /"),
            Self::Session => f.write_str("a session lasts from 1 minute to 30 days"),
            Self::Scope => {
                f.write_str("a scope is a word of printable ASCII without quotes and backslashes")
            }
        }
    }
}

impl std::error::Error for SettingsError {}

/// What a request is to this gate.
#[derive(Debug)]
#[must_use]
pub enum Visit {
    /// Somebody who is signed in.
    Pass(Session),
    /// Somebody whose session shall be renewed: [`Client::renewal`]. One at a time for each session is enough, and
    /// all others pass meanwhile unless it is late ([`Session::is_late`]).
    Renew(Session),
    /// Nobody, who may go on so.
    Anonymous,
    /// Nobody, who shall sign in: [`Client::sign_in`].
    SignIn,
    /// The browser comes back from the provider: [`Client::callback`].
    Callback,
    /// Somebody signs out: [`Client::sign_out`].
    SignOut,
    /// It goes no further.
    Refuse(Refusal),
}

/// An answer with which a browser is sent elsewhere: 303, with `Cache-Control: no-store`.
#[derive(Clone, PartialEq, Eq)]
pub struct Redirect {
    /// The value of `Location`.
    pub location: String,
    /// Values of `Set-Cookie`, one line each.
    pub cookies: Vec<String>,
}

impl fmt::Debug for Redirect {
    /// Without what the cookies hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redirect").field("cookies", &self.cookies.len()).finish_non_exhaustive()
    }
}

/// A sign-in whose code is being changed.
pub struct Pending(Login);

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}

/// Why somebody is not signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The reason.
    pub refusal: Refusal,
    /// The provider's word for it, if it has one: letters, digits and `_`, at most 64.
    pub said: Option<Box<str>>,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, said: None }
    }
}

impl From<NoTokens> for Failure {
    fn from(none: NoTokens) -> Self {
        let refusal = none.refusal();
        let said = if let NoTokens::Denied(said) = none { Some(said) } else { None };
        Self { refusal, said }
    }
}

/// What came of a code.
#[derive(Debug)]
#[must_use]
pub enum Completion {
    /// They are signed in, and are sent where they wanted to go.
    SignedIn(Session, Redirect),
    /// The ID token names a key that nobody knows: fetch keys if that may be, and call again with the same answer.
    Ask(KeysWanted, Pending),
    /// They are not signed in.
    Fail(Failure),
}

/// What came of a renewal.
#[derive(Debug)]
#[must_use]
pub enum Renewed {
    /// The session goes on; these values of `Set-Cookie` go with whatever is answered.
    Session(Session, Vec<String>),
    /// The provider cannot be asked, and the session is late: it is kept, and nobody passes with it now.
    Later,
    /// It is over: the browser is nobody from now on.
    Over,
}

/// The relying party of one gate.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    seals: SealKeys,
    verifier: Verifier,
}

impl Client {
    /// A client with these settings and keys.
    ///
    /// # Errors
    /// A setting cannot be; the first one.
    pub fn new(mut settings: Settings, seals: SealKeys) -> Result<Self, SettingsError> {
        if discovery_url(&settings.issuer).is_none() {
            return Err(SettingsError::Issuer);
        }
        if !(1..=255).contains(&settings.client_id.len()) {
            return Err(SettingsError::ClientId);
        }
        if !is_name(&settings.cookie) {
            return Err(SettingsError::Cookie);
        }
        let paths = [&settings.callback, &settings.logout];
        if !paths.iter().all(|path| is_own_path(path)) || paths[0] == paths[1] {
            return Err(SettingsError::Path);
        }
        if !(60..=SESSION_SECONDS_MAX).contains(&settings.session.as_secs()) {
            return Err(SettingsError::Session);
        }
        let is_scope = |scope: &str| {
            let is_good = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
            !scope.is_empty() && scope.bytes().all(is_good)
        };
        if !settings.scopes.iter().all(|scope| is_scope(scope)) {
            return Err(SettingsError::Scope);
        }
        if !settings.scopes.iter().any(|scope| **scope == *"openid") {
            settings.scopes.insert(0, "openid".into());
        }
        let public = settings.algorithms.iter().filter(|one| Algorithms::PUBLIC.has(*one));
        let verifier = Verifier {
            algorithms: public.fold(Algorithms::NONE, Algorithms::with),
            rules: Rules {
                issuer: Some(settings.issuer.clone()),
                audiences: vec![settings.client_id.clone()],
                required: Vec::new(),
                keep: settings.keep.clone(),
                leeway: settings.leeway,
            },
        };
        Ok(Self { settings, seals, verifier })
    }

    /// What a request is.
    pub fn visit(&self, head: &RequestHead, now: Now) -> Visit {
        if head.path() == self.settings.callback.as_bytes() {
            let is_get = head.method == Method::Get;
            return if is_get { Visit::Callback } else { Visit::Refuse(Refusal::BadState) };
        }
        if head.path() == self.settings.logout.as_bytes() {
            // A page of another site could sign visitors out with a link that nobody sees.
            let is_foreign = head.fields.first_named(b"sec-fetch-site") == Some(b"cross-site");
            return if is_foreign { Visit::Refuse(Refusal::CrossSite) } else { Visit::SignOut };
        }
        if let Some(session) = self.session(head) {
            match session.life(now.unix_seconds()) {
                Life::Good => return Visit::Pass(session),
                Life::Due | Life::Late => return Visit::Renew(session),
                Life::Over => {}
            }
        }
        self.nobody(head)
    }

    /// What a request of nobody is: [`Visit::Anonymous`], [`Visit::SignIn`] or [`Visit::Refuse`].
    pub fn nobody(&self, head: &RequestHead) -> Visit {
        match self.settings.unauthenticated {
            Unauthenticated::Allow => Visit::Anonymous,
            Unauthenticated::Redirect if wants_page(head) => Visit::SignIn,
            Unauthenticated::Redirect | Unauthenticated::Deny => {
                Visit::Refuse(Refusal::NoCredentials)
            }
        }
    }

    /// Sends a browser to sign in (OpenID Connect Core 1.0 section 3.1.2.1). `chance` is random and used once.
    ///
    /// # Errors
    /// The request names no host to come back to.
    pub fn sign_in(
        &self,
        provider: &Provider,
        head: &RequestHead,
        chance: &[u8; LOGIN_CHANCE_BYTES],
        now: Now,
    ) -> Result<Redirect, Refusal> {
        let chance = Chance::of(chance);
        let login = Login {
            state: base64url::text(chance.state),
            nonce: base64url::text(chance.nonce),
            verifier: base64url::text(chance.verifier),
            path: wanted_path(head),
            redirect: self.redirect_uri(head).ok_or(Refusal::BadState)?,
            begun: now.unix_seconds(),
        };
        let cookie = self.login_cookie(&login.state, head.scheme);
        let purpose = self.purpose("login");
        let sealed = self.seals.seal(&purpose, &login.to_bytes(), &chance.seal);
        let text = base64url::text(&sealed.ok_or(Refusal::BadState)?);
        let cookies = cookie.set(&text, LOGIN_SECONDS, &head.fields).ok_or(Refusal::BadState)?;
        Ok(Redirect { location: self.question(provider, &login), cookies })
    }

    /// Takes the browser's answer from the provider: what to send to the token endpoint.
    ///
    /// # Errors
    /// It is no answer to a question that this browser was asked within [`LOGIN_SECONDS`] (`BadState`), not of this
    /// provider (RFC 9207), or the provider says no.
    pub fn callback(
        &self,
        provider: &Provider,
        head: &RequestHead,
        now: Now,
    ) -> Result<(TokenRequest, Pending), Failure> {
        let pairs = parameters(head.query().unwrap_or_default()).ok_or(Refusal::BadState)?;
        let one = |name: &str| {
            let mut values = pairs.iter().filter(|(found, _)| found == name);
            match (values.next(), values.next()) {
                (Some((_, value)), None) => Ok(Some(value.as_str())),
                (None, _) => Ok(None),
                // Two readers could take different ones (RFC 6749 section 3.1).
                (Some(_), Some(_)) => Err(Refusal::BadState),
            }
        };
        let state = one("state")?.filter(|state| state.len() <= STATE_MAX);
        let login = self.login(state.ok_or(Refusal::BadState)?, head, now)?;
        match one("iss")? {
            Some(issuer) if issuer != &*provider.issuer => return Err(Refusal::BadIssuer.into()),
            None if provider.says_issuer => return Err(Refusal::BadIssuer.into()),
            _ => {}
        }
        if let Some(error) = one("error")? {
            return Err(NoTokens::Denied(said(error)).into());
        }
        let is_code = |code: &&str| !code.is_empty() && code.len() <= CODE_MAX;
        let code = one("code")?.filter(is_code).ok_or(Refusal::BadState)?;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", login.redirect.as_str()),
            ("code_verifier", login.verifier.as_str()),
        ];
        let request = TokenRequest::new(&self.settings, provider, &form);
        Ok((request, Pending(login)))
    }

    /// Takes the token endpoint's answer to a code. `head` is that of the callback.
    pub fn complete(
        &self,
        pending: Pending,
        answer: TokenAnswer<'_>,
        keys: Option<&Keys>,
        head: &RequestHead,
        chance: &[u8; SEAL_CHANCE_BYTES],
        now: Now,
    ) -> Completion {
        let tokens = match answer.read() {
            Ok(tokens) => tokens,
            Err(none) => return Completion::Fail(none.into()),
        };
        let login = &pending.0;
        let session = match self.begin(&tokens, Some(&login.nonce), keys, now) {
            Ok(session) => session,
            Err(Bad::Unknown) => return Completion::Ask(KeysWanted, pending),
            Err(Bad::Refused(refusal)) => return Completion::Fail(refusal.into()),
        };
        let Some((session, mut cookies)) = self.keep(session, head, chance, now) else {
            return Completion::Fail(Refusal::BadAnswer.into());
        };
        cookies.extend(self.login_cookie(&login.state, head.scheme).clear(&head.fields));
        Completion::SignedIn(session, Redirect { location: login.path.clone(), cookies })
    }

    /// What to send to the token endpoint to renew a session; `None`: it cannot be renewed.
    #[must_use]
    pub fn renewal(&self, provider: &Provider, session: &Session) -> Option<TokenRequest> {
        let token = &session.renewal.as_ref()?.token;
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        Some(TokenRequest::new(&self.settings, provider, &form))
    }

    /// Takes the token endpoint's answer to a renewal (OpenID Connect Core 1.0 section 12.2). A provider that says no
    /// ends the session; one that cannot be asked, or whose new keys are not here yet, does not, but after
    /// [`RENEW_GRACE_SECONDS`] nobody passes with it.
    pub fn renewed(
        &self,
        session: &Session,
        answer: TokenAnswer<'_>,
        keys: Option<&Keys>,
        head: &RequestHead,
        chance: &[u8; SEAL_CHANCE_BYTES],
        now: Now,
    ) -> Renewed {
        let next = match answer.read() {
            Ok(tokens) => match self.go_on(session, &tokens, keys, now) {
                Ok(next) => next,
                Err(Bad::Unknown | Bad::Refused(Refusal::Unavailable)) => postponed(session, now),
                Err(Bad::Refused(_)) => return Renewed::Over,
            },
            Err(NoTokens::Denied(_)) => return Renewed::Over,
            Err(NoTokens::Unavailable | NoTokens::Meaningless) => postponed(session, now),
        };
        match next.life(now.unix_seconds()) {
            Life::Over => return Renewed::Over,
            Life::Late => return Renewed::Later,
            Life::Good | Life::Due => {}
        }
        self.keep(next, head, chance, now)
            .map_or(Renewed::Over, |(session, cookies)| Renewed::Session(session, cookies))
    }

    /// Signs out: here, and at the provider if it has an address for that (OpenID Connect RP-Initiated Logout 1.0).
    pub fn sign_out(&self, provider: Option<&Provider>, head: &RequestHead) -> Redirect {
        let mut cookies = self.session_cookie(head.scheme).clear(&head.fields);
        for slot in 0..LOGINS_MAX {
            cookies.extend(self.slot_cookie(slot, head.scheme).clear(&head.fields));
        }
        let endpoint = provider.and_then(|provider| provider.end_session_endpoint.as_deref());
        let location = endpoint.map_or_else(
            || "/".to_owned(),
            |endpoint| {
                let mut location = endpoint.to_owned();
                parameter(
                    &mut location,
                    first_mark(endpoint),
                    "client_id",
                    &self.settings.client_id,
                );
                location
            },
        );
        Redirect { location, cookies }
    }

    /// Values of `Set-Cookie` that take a session back, for one that is over.
    #[must_use]
    pub fn forget(&self, head: &RequestHead) -> Vec<String> {
        self.session_cookie(head.scheme).clear(&head.fields)
    }

    /// Whether a path is ours: that of the callback or the one that signs out. No origin hears of them.
    #[must_use]
    pub fn is_own_path(&self, path: &[u8]) -> bool {
        self.own_paths().iter().any(|own| own.as_bytes() == path)
    }

    /// The two paths that are ours.
    #[must_use]
    pub const fn own_paths(&self) -> [&str; 2] {
        [&*self.settings.callback, &*self.settings.logout]
    }

    /// How it is set up.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether a cookie of this name is ours, and no origin's business.
    #[must_use]
    pub fn is_own_cookie(&self, name: &[u8], scheme: Scheme) -> bool {
        self.session_cookie(scheme).is_part(name)
            || (0..LOGINS_MAX).any(|slot| self.slot_cookie(slot, scheme).is_part(name))
    }

    fn session(&self, head: &RequestHead) -> Option<Session> {
        let text = self.session_cookie(head.scheme).read(&head.fields)?;
        let sealed = base64url::read(text.as_bytes())?;
        Session::from_bytes(&self.seals.open(&self.purpose("session"), &sealed)?)
    }

    /// Makes a session of good tokens.
    fn begin(
        &self,
        tokens: &Tokens,
        nonce: Option<&str>,
        keys: Option<&Keys>,
        now: Now,
    ) -> Result<Session, Bad> {
        let id = tokens.id.as_deref().ok_or(Refusal::BadAnswer)?;
        let keys = keys.filter(|keys| now.instant < keys.until).ok_or(Refusal::Unavailable)?;
        let seconds = now.unix_seconds();
        let good = self.verifier.verify(id.as_bytes(), &keys.set, Via::Oidc, seconds)?;
        check_id_token(&good, &self.settings.client_id, nonce, &tokens.access)?;
        Ok(Session {
            identity: Arc::new(good.identity),
            expires: seconds.saturating_add(self.settings.session.as_secs()),
            renewal: self.renewal_of(tokens, None, seconds),
        })
    }

    /// Goes on with a session by new tokens. An ID token need not be among them; if one is, it is about the same one.
    fn go_on(
        &self,
        session: &Session,
        tokens: &Tokens,
        keys: Option<&Keys>,
        now: Now,
    ) -> Result<Session, Bad> {
        let identity = match tokens.id {
            None => Arc::clone(&session.identity),
            Some(_) => {
                let new = self.begin(tokens, None, keys, now)?.identity;
                if new.user != session.identity.user {
                    return Err(Refusal::BadAnswer.into());
                }
                new
            }
        };
        let old = session.renewal.as_ref().map(|renewal| &*renewal.token);
        // The end of a session is not moved: after it they sign in again.
        let renewal = self.renewal_of(tokens, old, now.unix_seconds());
        Ok(Session { identity, expires: session.expires, renewal })
    }

    fn renewal_of(&self, tokens: &Tokens, old: Option<&str>, seconds: u64) -> Option<Renewal> {
        let token = tokens.refresh.as_deref().or(old)?;
        let is_kept =
            self.settings.refresh && !token.is_empty() && token.len() <= REFRESH_TOKEN_BYTES_MAX;
        let lasts = tokens.lasts.unwrap_or(3600).clamp(60, SESSION_SECONDS_MAX);
        let due = seconds.saturating_add(lasts);
        let until = due.saturating_add(RENEW_GRACE_SECONDS);
        is_kept.then(|| Renewal { due, until, token: token.into() })
    }

    /// Seals a session. One that is too long for its cookies goes on without what would renew it; one that still is
    /// (claims and name of 11 KiB) is none.
    fn keep(
        &self,
        mut session: Session,
        head: &RequestHead,
        chance: &[u8; SEAL_CHANCE_BYTES],
        now: Now,
    ) -> Option<(Session, Vec<String>)> {
        let mut plain = session.to_bytes();
        if plain.len() + SEAL_BYTES > SEALED_BYTES_MAX {
            session.renewal = None;
            plain = session.to_bytes();
        }
        let seconds = session.expires.saturating_sub(now.unix_seconds());
        let sealed = self.seals.seal(&self.purpose("session"), &plain, chance)?;
        let cookie = self.session_cookie(head.scheme);
        let lines = cookie.set(&base64url::text(&sealed), seconds, &head.fields)?;
        Some((session, lines))
    }

    fn login(&self, state: &str, head: &RequestHead, now: Now) -> Result<Login, Refusal> {
        let open = || {
            let text = self.login_cookie(state, head.scheme).read(&head.fields)?;
            let sealed = base64url::read(text.as_bytes())?;
            Login::from_bytes(&self.seals.open(&self.purpose("login"), &sealed)?)
        };
        let is_it =
            |login: &Login| is_same(&login.state, state) && !login.is_over(now.unix_seconds());
        open().filter(is_it).ok_or(Refusal::BadState)
    }

    /// The URL of the authorization request.
    fn question(&self, provider: &Provider, login: &Login) -> String {
        let endpoint = &provider.authorization_endpoint;
        let mut url = endpoint.to_string();
        parameter(&mut url, first_mark(endpoint), "response_type", "code");
        for (name, value) in [
            ("client_id", &*self.settings.client_id),
            ("redirect_uri", &login.redirect),
            ("scope", &self.settings.scopes.join(" ")),
            ("state", &login.state),
            ("nonce", &login.nonce),
            ("code_challenge", &challenge(&login.verifier)),
            ("code_challenge_method", "S256"),
        ] {
            parameter(&mut url, "&", name, value);
        }
        url
    }

    /// Where the provider sends the browser back to; it takes no other than those that are registered there.
    fn redirect_uri(&self, head: &RequestHead) -> Option<String> {
        let authority = std::str::from_utf8(head.authority()).ok()?;
        let is_named = !authority.is_empty() && authority.len() <= 512;
        is_named
            .then(|| format!("{}://{authority}{}", head.scheme.as_str(), self.settings.callback))
    }

    fn session_cookie(&self, scheme: Scheme) -> Cookie {
        Cookie::new(&self.settings.cookie, scheme)
    }

    fn login_cookie(&self, state: &str, scheme: Scheme) -> Cookie {
        self.slot_cookie(slot(state), scheme)
    }

    fn slot_cookie(&self, slot: u8, scheme: Scheme) -> Cookie {
        Cookie::new(&format!("{}-login-{slot}", self.settings.cookie), scheme)
    }

    /// What a seal is bound to, so that a session of one client is none of another with the same keys.
    fn purpose(&self, word: &str) -> Vec<u8> {
        let Settings { issuer, client_id, cookie, .. } = &self.settings;
        [word, issuer, client_id, cookie].join("\n").into_bytes()
    }
}

/// A session that could not be renewed now: later, but not for ever.
fn postponed(session: &Session, now: Now) -> Session {
    let mut session = session.clone();
    if let Some(renewal) = &mut session.renewal {
        renewal.due = now.unix_seconds().saturating_add(RENEW_EVERY_SECONDS);
    }
    session
}

fn first_mark(url: &str) -> &'static str {
    if url.contains('?') { "&" } else { "?" }
}

/// Where somebody wanted to go; `/` if a browser could be led astray by it.
fn wanted_path(head: &RequestHead) -> String {
    let mut bytes = head.path().to_vec();
    if let Some(query) = head.query() {
        bytes.push(b'?');
        bytes.extend_from_slice(query);
    }
    String::from_utf8(bytes).ok().filter(|path| is_own_path(path)).unwrap_or_else(|| "/".to_owned())
}

/// Whether a browser wants a page for its window, which alone can be sent to sign in: scripts, images and programs
/// would get a page that they can do nothing with. `Sec-Fetch-Mode` (W3C Fetch Metadata section 2.2) says it; older
/// browsers ask for `text/html`, and scripts of old say what they are.
fn wants_page(head: &RequestHead) -> bool {
    if !matches!(head.method, Method::Get | Method::Head) || head.upgrade.is_some() {
        return false;
    }
    if let Some(mode) = head.fields.first_named(b"sec-fetch-mode") {
        return mode == b"navigate";
    }
    let is_script = head.fields.first_named(b"x-requested-with") == Some(b"XMLHttpRequest");
    let accepts_pages = head.fields.all(FieldId::Accept).any(|line| {
        line.split(|byte| *byte == b',').any(|range| {
            let kind = range.split(|byte| *byte == b';').next().unwrap_or_default();
            kind.trim_ascii().eq_ignore_ascii_case(b"text/html")
        })
    });
    accepts_pages && !is_script
}
