//! `oidc`.

use std::collections::HashSet;
use std::time::Duration;

use super::Decoder;
use super::identity::time_within;
use super::tokens::one_line;
use crate::decode::sticky::cookie_name;
use crate::item::{Item, Text};
use crate::values::{self, Value};
use crate::{Diagnostic, Oidc, Secret, Setting, Site, Span, Spanned, Unauthenticated};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Longest name of an issuer, in bytes: that of a URL that is asked.
const ISSUER_BYTES_MAX: usize = 2000;

impl Decoder<'_> {
    #[expect(clippy::option_option, reason = "`oidc off` is such a line too")]
    pub(super) fn oidc(&mut self, block: &Item) -> Option<Option<Oidc>> {
        if self.says_off(block, "oidc ISSUER client-id ID") {
            return Some(None);
        }
        let issuer = self.ok(issuer(block.value(0)?));
        let before = self.diagnostics.errors();
        let mut client_id = None;
        let mut oidc = Oidc {
            issuer: issuer?,
            client_id: Spanned::new(String::new(), block.span),
            client_secret: None,
            ca: None,
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
                "client-id" => self.fill(item, &mut client_id, client),
                "client-secret" => self.client_secret(item, &mut oidc.client_secret),
                _ => self.oidc_word(item, &mut oidc),
            }
        }
        self.check_claims(block, oidc.forward.len());
        self.check_own_paths(&oidc);
        if self.diagnostics.errors() > before || block.damaged {
            return None;
        }
        // One that is switched off with its block is there, too.
        let has_word = block.children.iter().any(|item| item.directive.name == "client-id");
        if !has_word {
            let error =
                Diagnostic::error("E0253", block.span, "`oidc` does not say as which client");
            self.say(error.help("write `client-id` with the id that the provider gave out"));
        }
        oidc.client_id = client_id?;
        Some(Some(oidc))
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
            "ca" => {
                let sources = self.sources;
                self.fill(item, &mut oidc.ca, |text| values::file(text, sources));
            }
            "session" => self.set(item, &mut oidc.session, |text| {
                time_within(text, MINUTE, 30 * DAY, "1m to 30d")
            }),
            "cookie" => self.set(item, &mut oidc.cookie, session_cookie),
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

    /// Blocks of one site that would take each other's users: their paths and cookies are the whole site's.
    pub(super) fn check_sign_ins(&mut self, site: &Site) {
        let mut known: Vec<&Oidc> = Vec::new();
        let mut said = HashSet::<Span>::new();
        for oidc in site.routes.iter().filter_map(|route| route.options.guard.oidc.as_deref()) {
            if known.iter().any(|other| other.span == oidc.span) {
                continue;
            }
            let shared = known.iter().find_map(|other| Some((*other, shares(oidc, other)?)));
            known.push(oidc);
            let Some((other, what)) = shared.filter(|_| said.insert(oidc.span)) else { continue };
            let message = format!("two `oidc` blocks of one site have the same {what}");
            let error = Diagnostic::error("E0253", oidc.span, message);
            self.say(error.also(other.span, "the other").help(
                "write it once in the site or a policy, or give each its own `callback`, `logout` and `cookie`; only `unauthenticated` may differ otherwise",
            ));
        }
    }
}

/// What two blocks have in common that they must not. Those that differ in what becomes of nobody alone have the same
/// sessions.
fn shares(one: &Oidc, other: &Oidc) -> Option<&'static str> {
    if is_same(one, other) {
        return None;
    }
    let paths = [&other.callback.value, &other.logout.value];
    if paths.contains(&&one.callback.value) {
        return Some("`callback`");
    }
    if paths.contains(&&one.logout.value) {
        return Some("`logout`");
    }
    (one.cookie.value == other.cookie.value).then_some("`cookie`")
}

fn is_same(one: &Oidc, other: &Oidc) -> bool {
    let text = |oidc: &Oidc| {
        let secret = oidc.client_secret.as_ref().map(|secret| secret.value.clone());
        let forward: Vec<_> = oidc.forward.iter().map(|told| told.value.clone()).collect();
        let ca = oidc.ca.as_ref().map(|ca| ca.value.clone());
        (oidc.issuer.value.clone(), oidc.client_id.value.clone(), secret, ca, forward)
    };
    text(one) == text(other)
        && one.scopes.value == other.scopes.value
        && one.session.value == other.session.value
        && one.cookie.value == other.cookie.value
        && one.callback.value == other.callback.value
        && one.logout.value == other.logout.value
        && one.refresh.value == other.refresh.value
}

/// The provider signs users in, so it is asked over TLS alone; on this machine there is nobody on the way.
fn issuer(text: &Text) -> Value<String> {
    let written = text.text.as_str();
    let wrong = |message: String, help: &'static str| {
        Err(Diagnostic::error("E0253", text.span, message).help(help))
    };
    let sign = |byte: u8| byte.is_ascii_graphic() && !b"#@\"\\<>".contains(&byte);
    let rest = written.strip_prefix("https://").or_else(|| written.strip_prefix("http://"));
    let host = rest.map(|rest| rest.split('/').next().unwrap_or_default());
    let is_good = written.len() <= ISSUER_BYTES_MAX && written.bytes().all(sign);
    let Some(host) = host.filter(|host| is_good && !host.is_empty() && !host.starts_with(':'))
    else {
        return wrong(
            format!("`{}` is not the URL of an OpenID provider", text.shown()),
            "write it as the provider calls itself, such as https://id.example.com",
        );
    };
    if written.contains('?') {
        return wrong("an issuer has no query".to_owned(), "take it away");
    }
    let name = host.rsplit_once(':').filter(|(_, port)| !port.contains(']'));
    let name = name.map_or(host, |(name, _)| name);
    let is_local = matches!(name, "127.0.0.1" | "localhost" | "[::1]");
    if written.starts_with("http:") && !is_local {
        return wrong(
            "an OpenID provider is asked over TLS".to_owned(),
            "write its https:// URL (OpenID Connect Discovery section 7.2)",
        );
    }
    Ok(Spanned::new(written.to_owned(), text.span))
}

/// An id of a client.
fn client(text: &Text) -> Value<String> {
    let id = one_line(text)?;
    if id.value.len() <= 255 {
        return Ok(id);
    }
    let message = "an id of a client has 1 to 255 bytes";
    Err(Diagnostic::error("E0310", text.span, message))
}

/// Prefixes of cookies say how they were set (RFC 6265bis section 4.1.3): doorman writes its own.
fn session_cookie(text: &Text) -> Value<String> {
    let name = cookie_name(text)?;
    if !name.value.starts_with("__") {
        return Ok(name);
    }
    let message = format!("`{}` begins with the prefix of a cookie", text.shown());
    Err(Diagnostic::error("E0310", text.span, message)
        .help("leave it out: under TLS the cookie gets __Host- by itself"))
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
    let is_plain = |path: &str| {
        path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'%')
    };
    match path.value {
        crate::PathPattern::Exact(path) if is_plain(&path) => Ok(Spanned::new(path, text.span)),
        _ => {
            let message = format!("`{}` is not one path", text.shown());
            Err(Diagnostic::error("E0311", text.span, message)
                .help("write one such as /oauth2/callback"))
        }
    }
}
