//! `jwt` and `oidc`.

use std::time::Duration;

use super::Decoder;
use super::identity::time_within;
use super::keys::claim_name;
use crate::decode::sticky::cookie_name;
use crate::item::{Form, Item, Text};
use crate::values::{self, Value};
use crate::{
    ClaimForward, ClaimRule, CredentialPlace, Diagnostic, HttpUrl, Jwt, JwtAlgorithm, JwtKeys,
    Oidc, Scheme, Secret, ServerHost, Setting, Spanned, Unauthenticated,
};

/// Bytes of a secret: those of the hash that HS256 makes (RFC 7518 section 3.2).
const SECRET_BYTES_MIN: usize = 32;

/// Claims that are looked at or told in one route.
const CLAIMS_MAX: usize = 64;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Decoder<'_> {
    #[expect(clippy::option_option, reason = "`jwt off` is such a line too")]
    pub(super) fn jwt(&mut self, block: &Item) -> Option<Option<Jwt>> {
        if self.says_off(block, "jwt jwks URL") {
            return Some(None);
        }
        let before = self.diagnostics.errors();
        let (mut jwks, mut secret) = (None, None);
        let mut algorithms = None;
        // What is switched off as a whole is checked as if it were not.
        let counts = |item: &Item| block.is_off() || !item.is_off();
        let nothing = JwtKeys::Secret(Secret(String::new()));
        let mut jwt = Jwt {
            keys: Spanned::new(nothing, block.span),
            issuer: None,
            audiences: Vec::new(),
            algorithms: Setting::default_of(Vec::new()),
            places: Vec::new(),
            claims: Vec::new(),
            forward: Vec::new(),
            leeway: Setting::default_of(Duration::from_secs(30)),
            refresh: Setting::default_of(Duration::from_secs(3600)),
            strip: Setting::default_of(false),
            span: block.span,
        };
        for item in &block.children {
            match item.directive.name {
                "jwks" => jwks = self.jwks(item).filter(|_| counts(item)).or(jwks),
                "secret" => secret = self.jwt_secret(item).filter(|_| counts(item)).or(secret),
                "algorithms" => {
                    let found = self.algorithms(item).filter(|_| counts(item));
                    algorithms = found.map(|all| Spanned::new(all, item.span)).or(algorithms);
                }
                _ => self.jwt_word(item, &mut jwt),
            }
        }
        if jwt.places.is_empty() {
            let (name, scheme) = ("authorization".to_owned(), Some("Bearer".to_owned()));
            jwt.places.push(CredentialPlace::Header { name, scheme });
        }
        self.check_places(block, jwt.places.len());
        self.check_claims(block, jwt.claims.len() + jwt.forward.len());
        if self.diagnostics.errors() > before || block.damaged {
            return None;
        }
        jwt.keys = self.jwt_keys(block, jwks, secret, algorithms.as_ref())?;
        jwt.algorithms = match algorithms {
            Some(algorithms) => algorithms.into(),
            None => Setting::default_of(usual(&jwt.keys.value)),
        };
        if !block.is_off() {
            self.check_bound(block, &jwt);
        }
        Some(Some(jwt))
    }

    fn jwt_word(&mut self, item: &Item, jwt: &mut Jwt) {
        match item.directive.name {
            "issuer" => self.fill(item, &mut jwt.issuer, one_line),
            "audience" => {
                for text in &item.values {
                    let audience = self.ok(one_line(text));
                    jwt.audiences.extend(audience.filter(|_| !item.is_off()));
                }
            }
            "header" | "cookie" => {
                let place = self.credential_place(item).map(with_scheme);
                jwt.places.extend(place.filter(|_| !item.is_off()));
            }
            "claim" => {
                let rule = self.claim_rule(item);
                jwt.claims.extend(rule.filter(|_| !item.is_off()));
            }
            "forward" => {
                let forward = self.claim_forward(item);
                jwt.forward.extend(forward.filter(|_| !item.is_off()));
            }
            "leeway" => self.set(item, &mut jwt.leeway, |text| {
                time_within(text, Duration::ZERO, 5 * MINUTE, "0s to 5m")
            }),
            "refresh" => self
                .set(item, &mut jwt.refresh, |text| time_within(text, MINUTE, 7 * DAY, "1m to 7d")),
            _ => self.set(item, &mut jwt.strip, super::switch),
        }
    }

    fn jwks(&mut self, item: &Item) -> Option<Spanned<JwtKeys>> {
        let text = item.value(0)?;
        if !text.text.contains("://") {
            return Some(self.ok(values::file(text, self.sources))?.map(JwtKeys::File));
        }
        let url = self.url(text)?;
        if url.value.address.scheme == Scheme::Http && !is_local(&url.value) {
            let message = "keys are fetched without TLS";
            let warning = Diagnostic::warning("W0322", text.span, message);
            self.say(warning.help(
                "write an https:// URL: who is on the way could send keys of their own and sign in as anybody",
            ));
        }
        Some(url.map(JwtKeys::Url))
    }

    fn jwt_secret(&mut self, item: &Item) -> Option<Spanned<JwtKeys>> {
        let text = item.value(0)?;
        self.check_literal(text, "jwt");
        if text.text.len() < SECRET_BYTES_MIN {
            let message = format!("a secret of fewer than {SECRET_BYTES_MIN} bytes can be guessed");
            let error = Diagnostic::error("E0253", text.span, message);
            self.say(error.help("make one with `openssl rand -base64 48` (RFC 7518 section 3.2)"));
            return None;
        }
        Some(Spanned::new(JwtKeys::Secret(Secret(text.text.clone())), text.span))
    }

    /// Says so if a secret stands in the file itself.
    fn check_literal(&mut self, text: &Text, name: &str) {
        if matches!(text.form, Form::Loaded(_)) {
            return;
        }
        let message =
            "a secret stands in the configuration, where everybody reads it who may read that";
        let warning = Diagnostic::warning("W0321", text.span, message);
        self.say(warning.help(format!(
            "load it: ${{secret:{name}}} for a secret of the service, or ${{file:PATH}}"
        )));
    }

    fn algorithms(&mut self, item: &Item) -> Option<Vec<JwtAlgorithm>> {
        let words = JwtAlgorithm::ALL.map(|algorithm| (algorithm.word(), algorithm));
        let mut all: Vec<JwtAlgorithm> = Vec::new();
        for text in &item.values {
            if text.text.eq_ignore_ascii_case("none") {
                let message = "with `none`, everybody could write tokens";
                let error = Diagnostic::error("E0253", text.span, message);
                self.say(
                    error.help("name the algorithms that your provider signs with, such as ES256"),
                );
                return None;
            }
            let algorithm = self.ok(values::choice(text, &words, &[]))?;
            if all.contains(&algorithm.value) {
                let message = format!("`{}` stands here twice", text.shown());
                self.say(Diagnostic::error("E0208", text.span, message));
                return None;
            }
            all.push(algorithm.value);
        }
        Some(all)
    }

    /// What tokens are checked with. A public key must never be taken for a secret, so the algorithms are of one kind.
    fn jwt_keys(
        &mut self,
        block: &Item,
        jwks: Option<Spanned<JwtKeys>>,
        secret: Option<Spanned<JwtKeys>>,
        algorithms: Option<&Spanned<Vec<JwtAlgorithm>>>,
    ) -> Option<Spanned<JwtKeys>> {
        let wanted = |is_symmetric: bool| {
            let all = algorithms
                .filter(|all| all.value.iter().any(|one| one.is_symmetric() == is_symmetric));
            all.map(|all| all.span)
        };
        let fault = match (&jwks, &secret) {
            (Some(jwks), Some(secret)) => {
                let message = "`jwks` and `secret` in one `jwt`";
                Diagnostic::error("E0253", secret.span, message)
                    .also(jwks.span, "the other")
                    .help("keep one: who has the public keys could sign with them as a secret")
            }
            (None, None) => match wanted(true) {
                Some(span) => {
                    Diagnostic::error("E0253", span, "HS256, HS384 and HS512 need a secret")
                        .help("write `secret ${secret:NAME}` with them")
                }
                None => {
                    Diagnostic::error("E0253", block.span, "`jwt` has no keys to check tokens with")
                        .help("write `jwt jwks URL`, or `jwt secret ${secret:NAME}`")
                }
            },
            (Some(jwks), None) => {
                let Some(span) = wanted(true) else { return Some(jwks.clone()) };
                Diagnostic::error(
                    "E0253",
                    span,
                    "HS256, HS384 and HS512 are of a secret, not of public keys",
                )
                .also(jwks.span, "the keys")
                .help("take them out, or write `secret` instead of `jwks`")
            }
            (None, Some(secret)) => {
                let Some(span) = wanted(false) else { return Some(secret.clone()) };
                Diagnostic::error("E0253", span, "only HS256, HS384 and HS512 are of a secret")
                    .also(secret.span, "the secret")
                    .help("take the others out, or write `jwks` instead of `secret`")
            }
        };
        self.say(fault);
        None
    }

    /// A token that is for everybody, or by everybody, lets in who has one for something else.
    fn check_bound(&mut self, block: &Item, jwt: &Jwt) {
        let missing = match (&jwt.issuer, jwt.audiences.is_empty()) {
            (None, true) => "neither `issuer` nor `audience` is",
            (None, false) => "`issuer` is not",
            (Some(_), true) => "`audience` is not",
            (Some(_), false) => return,
        };
        let message = format!("tokens for other services pass here, too: {missing} said");
        let warning = Diagnostic::warning("W0323", block.span, message);
        self.say(warning.help(
            "write `issuer` with what `iss` is in your tokens and `audience` with what `aud` is (RFC 8725 section 3)",
        ));
    }

    fn check_claims(&mut self, block: &Item, count: usize) {
        if count > CLAIMS_MAX {
            let message = format!("more than {CLAIMS_MAX} claims in one block");
            self.say(Diagnostic::error("E0110", block.span, message));
        }
    }

    fn claim_rule(&mut self, item: &Item) -> Option<Spanned<ClaimRule>> {
        let claim = self.ok(claim_name(item.value(0)?))?.value;
        let values = item.values.iter().skip(1).map(|text| text.text.clone()).collect();
        Some(Spanned::new(ClaimRule { claim, values }, item.span))
    }

    fn claim_forward(&mut self, item: &Item) -> Option<Spanned<ClaimForward>> {
        let claim = self.ok(claim_name(item.value(0)?));
        let field = self.identity_field(item.value(1)?);
        Some(Spanned::new(ClaimForward { claim: claim?.value, field: field?.value }, item.span))
    }

    #[expect(clippy::option_option, reason = "`oidc off` is such a line too")]
    pub(super) fn oidc(&mut self, block: &Item) -> Option<Option<Oidc>> {
        if self.says_off(block, "oidc ISSUER client-id ID") {
            return Some(None);
        }
        let issuer = self.issuer(block.value(0)?);
        let mut client_id = None;
        let mut oidc = Oidc {
            issuer: issuer?,
            client_id: Spanned::new(String::new(), block.span),
            client_secret: None,
            scopes: Setting::default_of(["openid", "profile", "email"].map(str::to_owned).to_vec()),
            session: Setting::default_of(Duration::from_secs(8 * 3600)),
            cookie: Setting::default_of("dm_session".to_owned()),
            callback: Setting::default_of("/oauth2/callback".to_owned()),
            logout: Setting::default_of("/oauth2/logout".to_owned()),
            unauthenticated: Setting::default_of(Unauthenticated::Redirect),
            forward: Vec::new(),
            refresh: Setting::default_of(true),
            span: block.span,
        };
        for item in &block.children {
            match item.directive.name {
                "client-id" => self.fill(item, &mut client_id, one_line),
                "client-secret" => self.client_secret(item, &mut oidc.client_secret),
                _ => self.oidc_word(item, &mut oidc),
            }
        }
        self.check_claims(block, oidc.forward.len());
        self.check_own_paths(&oidc);
        let has_word = block.children.iter().any(|item| item.directive.name == "client-id");
        if client_id.is_none() && !has_word && !block.damaged {
            let error =
                Diagnostic::error("E0253", block.span, "`oidc` does not say as which client");
            self.say(error.help("write `client-id` with the id that the provider gave out"));
        }
        oidc.client_id = client_id?;
        Some(Some(oidc))
    }

    /// The provider signs users in, so it is asked over TLS alone; on this machine there is nobody on the way.
    fn issuer(&mut self, text: &Text) -> Option<Spanned<HttpUrl>> {
        let url = self.url(text)?;
        if url.value.address.scheme == Scheme::Http && !is_local(&url.value) {
            let message = "an OpenID provider is asked over TLS";
            let error = Diagnostic::error("E0253", text.span, message);
            self.say(error.help("write its https:// URL (OpenID Connect Discovery section 7.2)"));
            return None;
        }
        if url.value.target.contains('?') {
            let message = "an issuer has no query";
            self.say(Diagnostic::error("E0253", text.span, message).help("take it away"));
            return None;
        }
        Some(url)
    }

    fn client_secret(&mut self, item: &Item, slot: &mut Option<Spanned<Secret>>) {
        if let Some(text) = item.value(0) {
            self.check_literal(text, "oidc");
        }
        self.fill(item, slot, |text| one_line(text).map(|secret| secret.map(Secret)));
    }

    fn oidc_word(&mut self, item: &Item, oidc: &mut Oidc) {
        match item.directive.name {
            "scope" => self.scopes(item, oidc),
            "session" => self.set(item, &mut oidc.session, |text| {
                time_within(text, MINUTE, 30 * DAY, "1m to 30d")
            }),
            "cookie" => self.set(item, &mut oidc.cookie, cookie_name),
            "callback" => self.set(item, &mut oidc.callback, own_path),
            "logout" => self.set(item, &mut oidc.logout, own_path),
            "unauthenticated" => self.set(item, &mut oidc.unauthenticated, |text| {
                use Unauthenticated::{Allow, Deny, Redirect};
                let ways = [("redirect", Redirect), ("allow", Allow), ("deny", Deny)];
                values::choice(text, &ways, &[])
            }),
            "refresh" => self.set(item, &mut oidc.refresh, super::switch),
            _ => {
                let forward = self.claim_forward(item);
                oidc.forward.extend(forward.filter(|_| !item.is_off()));
            }
        }
    }

    fn scopes(&mut self, item: &Item, oidc: &mut Oidc) {
        let mut scopes = vec!["openid".to_owned()];
        for text in &item.values {
            let Some(scope) = self.ok(scope(text)) else { continue };
            if !scopes.contains(&scope.value) {
                scopes.push(scope.value);
            }
        }
        if !item.is_off() {
            oidc.scopes = Setting::written(scopes, item.span);
        }
    }

    fn check_own_paths(&mut self, oidc: &Oidc) {
        let Some(span) = oidc.logout.span.or(oidc.callback.span) else { return };
        if oidc.callback.value == oidc.logout.value {
            let message = "`callback` and `logout` are one path";
            self.say(Diagnostic::error("E0253", span, message).help("give each its own"));
        }
    }
}

/// What tokens may be signed with where nothing is written.
fn usual(keys: &JwtKeys) -> Vec<JwtAlgorithm> {
    match keys {
        JwtKeys::Secret(_) => vec![JwtAlgorithm::Hs256],
        JwtKeys::Url(_) | JwtKeys::File(_) => {
            JwtAlgorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_symmetric()).collect()
        }
    }
}

/// In `Authorization` there is always a scheme (RFC 9110 section 11.4).
fn with_scheme(place: CredentialPlace) -> CredentialPlace {
    match place {
        CredentialPlace::Header { name, scheme: None } if name == "authorization" => {
            CredentialPlace::Header { name, scheme: Some("Bearer".to_owned()) }
        }
        place => place,
    }
}

/// Whether a URL is of this machine.
pub(super) fn is_local(url: &HttpUrl) -> bool {
    match &url.address.host {
        ServerHost::Ip { ip, .. } => ip.is_loopback(),
        ServerHost::Name { name, .. } => name == "localhost" || name.ends_with(".localhost"),
        ServerHost::Unix(_) => true,
    }
}

/// Text of one line.
fn one_line(text: &Text) -> Value<String> {
    let is_good = (1..=2048).contains(&text.text.len()) && !text.text.chars().any(char::is_control);
    if is_good {
        return Ok(Spanned::new(text.text.clone(), text.span));
    }
    let message = format!("`{}` is not one line of text", text.shown());
    Err(Diagnostic::error("E0310", text.span, message).help("write 1 to 2048 bytes"))
}

/// RFC 6749 section 3.3.
fn scope(text: &Text) -> Value<String> {
    let is_good = (1..=256).contains(&text.text.len())
        && text.text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
    if is_good {
        return Ok(Spanned::new(text.text.clone(), text.span));
    }
    let message = format!("`{}` is not a scope", text.shown());
    Err(Diagnostic::error("E0310", text.span, message).help("write them as words: openid email"))
}

/// A path that doorman answers itself.
fn own_path(text: &Text) -> Value<String> {
    let path = crate::address::path(text)?;
    match path.value {
        crate::PathPattern::Exact(path) => Ok(Spanned::new(path, text.span)),
        _ => {
            let message = format!("`{}` is not one path", text.shown());
            Err(Diagnostic::error("E0311", text.span, message)
                .help("write one such as /oauth2/callback"))
        }
    }
}
