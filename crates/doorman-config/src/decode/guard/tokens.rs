//! `jwt`.

use std::time::Duration;

use super::Decoder;
use super::identity::time_within;
use super::keys::claim_name;
use crate::item::{Form, Item, Text};
use crate::table::ALGORITHMS_LATER;
use crate::values::{self, Value};
use crate::{
    ClaimForward, ClaimRule, CredentialPlace, Diagnostic, HttpUrl, Jwt, JwtAlgorithm, JwtKeys,
    Scheme, Secret, ServerHost, Setting, Spanned,
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
            ca: None,
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
            self.check_fetched(&jwt)?;
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
            "ca" => {
                let sources = self.sources;
                self.fill(item, &mut jwt.ca, |text| values::file(text, sources));
            }
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
            let error = Diagnostic::error("E0253", text.span, "keys are fetched over TLS");
            self.say(error.help(
                "write an https:// URL: who is on the way could send keys of his own and sign in as anybody",
            ));
            return None;
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
    pub(super) fn check_literal(&mut self, text: &Text, name: &str) {
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
            let algorithm = self.ok(values::choice(text, &words, ALGORITHMS_LATER))?;
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
                Some(span) => Diagnostic::error("E0253", span, "HS256 needs a secret")
                    .help("write `secret ${secret:NAME}` with it"),
                None => {
                    Diagnostic::error("E0253", block.span, "`jwt` has no keys to check tokens with")
                        .help("write `jwt jwks URL`, or `jwt secret ${secret:NAME}`")
                }
            },
            (Some(jwks), None) => {
                let Some(span) = wanted(true) else { return Some(jwks.clone()) };
                Diagnostic::error("E0253", span, "HS256 is of a secret, not of public keys")
                    .also(jwks.span, "the keys")
                    .help("take it out, or write `secret` instead of `jwks`")
            }
            (None, Some(secret)) => {
                let Some(span) = wanted(false) else { return Some(secret.clone()) };
                Diagnostic::error("E0253", span, "only HS256 is of a secret")
                    .also(secret.span, "the secret")
                    .help("take the others out, or write `jwks` instead of `secret`")
            }
        };
        self.say(fault);
        None
    }

    /// What says how keys are fetched stands with keys that are.
    fn check_fetched(&mut self, jwt: &Jwt) -> Option<()> {
        if matches!(jwt.keys.value, JwtKeys::Url(_)) {
            return Some(());
        }
        let (refresh, ca) = (jwt.refresh.span, jwt.ca.as_ref().map(|ca| ca.span));
        let Some((span, word)) =
            refresh.map(|span| (span, "refresh")).or(ca.map(|span| (span, "ca")))
        else {
            return Some(());
        };
        let message = format!("`{word}` is for keys that are fetched");
        let error = Diagnostic::error("E0253", span, message).also(jwt.keys.span, "these are not");
        self.say(error.help("take it out; a file that changes is read again by itself"));
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

    pub(super) fn check_claims(&mut self, block: &Item, count: usize) {
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

    pub(super) fn claim_forward(&mut self, item: &Item) -> Option<Spanned<ClaimForward>> {
        let claim = self.ok(claim_name(item.value(0)?));
        let field = self.identity_field(item.value(1)?);
        Some(Spanned::new(ClaimForward { claim: claim?.value, field: field?.value }, item.span))
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
pub(super) fn one_line(text: &Text) -> Value<String> {
    let is_good = (1..=2048).contains(&text.text.len()) && !text.text.chars().any(char::is_control);
    if is_good {
        return Ok(Spanned::new(text.text.clone(), text.span));
    }
    let message = format!("`{}` is not one line of text", text.shown());
    Err(Diagnostic::error("E0310", text.span, message).help("write 1 to 2048 bytes"))
}
