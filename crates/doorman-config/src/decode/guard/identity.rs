//! `basic-auth` and `api-key`, and what all words about identity share.

use std::time::Duration;

use super::Decoder;
use crate::decode::options::FRAMING;
use crate::decode::sticky::{cookie_name, parameter};
use crate::item::{Form, Item, Text};
use crate::values::{self, Value};
use crate::{
    ApiKey, BasicAuth, CredentialList, CredentialPlace, Diagnostic, HttpUrl, Secret, Setting,
    Spanned, address,
};

/// Users and keys that stand in the configuration itself. More of them belong into a file.
const LISTED_MAX: usize = 1_000;

/// Places in which one key is looked for.
const PLACES_MAX: usize = 8;

/// Bytes of a URL that is asked.
const URL_BYTES_MAX: usize = 2048;

impl Decoder<'_> {
    #[expect(clippy::option_option, reason = "`basic-auth off` is such a line too")]
    pub(super) fn basic_auth(&mut self, block: &Item) -> Option<Option<BasicAuth>> {
        if self.says_off(block, "basic-auth file FILE") {
            return Some(None);
        }
        let mut auth = BasicAuth {
            lists: Vec::new(),
            users: Vec::new(),
            realm: Setting::default_of("restricted".to_owned()),
            forward: Setting::default_of(Some("x-auth-user".to_owned())),
            span: block.span,
        };
        let before = self.diagnostics.count();
        for item in &block.children {
            match item.directive.name {
                "file" => self.lists(item, &mut auth.lists),
                "user" => {
                    if let Some(user) = self.user(item).filter(|_| !item.is_off()) {
                        self.add_named(&mut auth.users, user, "user");
                    }
                }
                "realm" => self.set(item, &mut auth.realm, realm),
                _ => self.forward_name(item, &mut auth.forward),
            }
        }
        let is_empty = auth.lists.is_empty() && auth.users.is_empty();
        self.check_anybody(block, before, is_empty, "basic-auth file FILE");
        Some(Some(auth))
    }

    #[expect(clippy::option_option, reason = "`api-key off` is such a line too")]
    pub(super) fn api_key(&mut self, block: &Item) -> Option<Option<ApiKey>> {
        if self.says_off(block, "api-key file FILE") {
            return Some(None);
        }
        let mut auth = ApiKey {
            places: Vec::new(),
            lists: Vec::new(),
            keys: Vec::new(),
            forward: Setting::default_of(Some("x-auth-user".to_owned())),
            span: block.span,
        };
        let before = self.diagnostics.count();
        for item in &block.children {
            match item.directive.name {
                "file" => self.lists(item, &mut auth.lists),
                "key" => {
                    if let Some(key) = self.key_hash(item).filter(|_| !item.is_off()) {
                        self.add_named(&mut auth.keys, key, "key");
                    }
                }
                "header" | "query" => {
                    let place = self.credential_place(item);
                    auth.places.extend(place.filter(|_| !item.is_off()));
                }
                _ => self.forward_name(item, &mut auth.forward),
            }
        }
        if auth.places.is_empty() {
            let name = "x-api-key".to_owned();
            auth.places.push(CredentialPlace::Header { name, scheme: None });
        }
        self.check_places(block, auth.places.len());
        let is_empty = auth.lists.is_empty() && auth.keys.is_empty();
        self.check_anybody(block, before, is_empty, "api-key file FILE");
        Some(Some(auth))
    }

    /// The name of a field that doorman may write or remove.
    pub(super) fn identity_field(&mut self, text: &Text) -> Option<Spanned<String>> {
        let field = self.ok(values::field(text))?;
        if FRAMING.contains(&field.value.as_str()) || field.value == "host" {
            let message = format!("`{}` cannot be edited", field.value);
            let error = Diagnostic::error("E0222", text.span, message);
            self.say(error.help("doorman makes this field itself: name another one"));
            return None;
        }
        Some(field)
    }

    fn forward_name(&mut self, item: &Item, slot: &mut Setting<Option<String>>) {
        let Some(text) = item.value(0) else { return };
        let name = match text.word() {
            Some("off") => Some(None),
            _ => self.identity_field(text).map(|field| Some(field.value)),
        };
        if let Some(name) = name.filter(|_| !item.is_off()) {
            *slot = Setting::written(name, text.span);
        }
    }

    /// Files of lines, or the lines themselves where `${...}` has loaded such.
    fn lists(&mut self, item: &Item, lists: &mut Vec<Spanned<CredentialList>>) {
        for text in &item.values {
            let is_loaded = matches!(text.form, Form::Loaded(_));
            let list = if is_loaded && text.text.lines().any(|line| line.contains(':')) {
                Some(Spanned::new(CredentialList::Lines(Secret(text.text.clone())), text.span))
            } else {
                let file = self.ok(values::file(text, self.sources));
                file.map(|file| file.map(CredentialList::File))
            };
            lists.extend(list.filter(|_| !item.is_off()));
        }
    }

    fn user(&mut self, item: &Item) -> Option<Spanned<(String, Secret)>> {
        let (name, hash) = (self.ok(user_name(item.value(0)?)), self.password_hash(item.value(1)?));
        Some(Spanned::new((name?.value, hash?), item.span))
    }

    /// A hash as crypt(3) writes it. What is none may be a password, so it is not shown.
    fn password_hash(&mut self, text: &Text) -> Option<Secret> {
        let mut parts = text.text.split('$');
        let is_hash = parts.next() == Some("")
            && parts.next().is_some_and(|id| !id.is_empty())
            && parts.clone().count() >= 2
            && parts.all(|part| !part.is_empty())
            && text.text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_hash {
            return Some(Secret(text.text.clone()));
        }
        let message = "this is not the hash of a password";
        let error = Diagnostic::error("E0253", text.span, message);
        self.say(error.help(
            "write the hash, which begins with $argon2id$, $2y$ or $6$; a password itself never stands in a file",
        ));
        None
    }

    fn key_hash(&mut self, item: &Item) -> Option<Spanned<(String, [u8; 32])>> {
        let name = self.ok(user_name(item.value(0)?));
        let text = item.value(1)?;
        let hash = text.text.strip_prefix("sha256:").and_then(bytes_of_hex);
        if hash.is_none() {
            let message = "this is not the hash of a key";
            let error = Diagnostic::error("E0253", text.span, message);
            self.say(error.help(
                "write sha256: and 64 hexadecimal digits, as `printf %s KEY | sha256sum` shows them; a key itself never stands in a file",
            ));
        }
        Some(Spanned::new((name?.value, hash?), item.span))
    }

    /// `header NAME [SCHEME]`, `query NAME`, `cookie NAME`.
    pub(super) fn credential_place(&mut self, item: &Item) -> Option<CredentialPlace> {
        let text = item.value(0)?;
        Some(match item.directive.name {
            "query" => CredentialPlace::Query(self.ok(parameter(text))?.value),
            "cookie" => CredentialPlace::Cookie(self.ok(cookie_name(text))?.value),
            _ => {
                let name = self.identity_field(text)?.value;
                let scheme = match item.value(1) {
                    Some(scheme) => Some(self.ok(token(scheme))?.value),
                    None => None,
                };
                CredentialPlace::Header { name, scheme }
            }
        })
    }

    pub(super) fn check_places(&mut self, block: &Item, count: usize) {
        if count > PLACES_MAX {
            let message = format!("more than {PLACES_MAX} places to look in");
            self.say(Diagnostic::error("E0110", block.span, message));
        }
    }

    /// Adds a name that no other line has.
    fn add_named<T>(
        &mut self,
        all: &mut Vec<Spanned<(String, T)>>,
        one: Spanned<(String, T)>,
        what: &str,
    ) {
        if let Some(first) = all.iter().find(|other| other.value.0 == one.value.0) {
            let message = format!("a second {what} `{}`", one.value.0);
            let error = Diagnostic::error("E0208", one.span, message);
            return self.say(error.also(first.span, "the first").help("keep one of them"));
        }
        if all.len() == LISTED_MAX {
            let message = format!("more than {LISTED_MAX} of `{what}` in one block");
            let error = Diagnostic::error("E0110", one.span, message);
            return self.say(error.help("put them into a file and write `file` with its name"));
        }
        all.push(one);
    }

    fn check_anybody(&mut self, block: &Item, before: usize, is_empty: bool, written: &str) {
        let is_sound = !block.damaged && self.diagnostics.count() == before;
        if is_empty && is_sound && !block.is_off() {
            let name = block.directive.name;
            let message = format!("`{name}` knows nobody, so nobody could come in");
            let error = Diagnostic::error("E0253", block.span, message);
            self.say(error.help(format!("it is written `{written}`")));
        }
    }

    pub(super) fn url(&mut self, text: &Text) -> Option<Spanned<HttpUrl>> {
        self.ok(url(text, self.sources))
    }
}

/// `http://HOST[:PORT][/PATH]`.
fn url(text: &Text, sources: &crate::SourceMap) -> Value<HttpUrl> {
    let written = text.text.as_str();
    let wrong = || {
        let message = format!("`{}` is not a URL that can be asked", text.shown());
        let error = Diagnostic::error("E0317", text.span, message);
        error.help("such as https://id.example.com/path; it begins with http:// or https://")
    };
    let sign = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'@' | b'"' | b'\\');
    let rest = written.strip_prefix("http://").or_else(|| written.strip_prefix("https://"));
    let rest = rest.ok_or_else(wrong)?;
    if written.len() > URL_BYTES_MAX || !written.bytes().all(sign) {
        return Err(wrong());
    }
    let authority = rest.find(['/', '?']).unwrap_or(rest.len());
    let (front, target) = written.split_at(written.len() - rest.len() + authority);
    let front = Text { text: front.to_owned(), span: text.span, form: text.form.clone() };
    let address = address::server(&front, sources).map_err(|_| wrong())?.value;
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    Ok(Spanned::new(HttpUrl { written: written.to_owned(), address, target }, text.span))
}

/// The name of a user: what fits in front of a colon, and into a field.
fn user_name(text: &Text) -> Value<String> {
    let is_good = (1..=128).contains(&text.text.len())
        && !text.text.contains(':')
        && !text.text.chars().any(char::is_control);
    if is_good {
        return Ok(Spanned::new(text.text.clone(), text.span));
    }
    let message = format!("`{}` is not the name of a user", text.shown());
    Err(Diagnostic::error("E0253", text.span, message)
        .help("a name has no colon and at most 128 bytes (RFC 7617 section 2)"))
}

/// What stands in quotes in `WWW-Authenticate` as it is.
fn realm(text: &Text) -> Value<String> {
    let sign = |byte: u8| (b' '..=b'~').contains(&byte) && !matches!(byte, b'"' | b'\\');
    if (1..=128).contains(&text.text.len()) && text.text.bytes().all(sign) {
        return Ok(Spanned::new(text.text.clone(), text.span));
    }
    let message = format!("`{}` is not a realm", text.shown());
    Err(Diagnostic::error("E0310", text.span, message)
        .help("a realm is printable ASCII without quotes, at most 128 bytes"))
}

fn token(text: &Text) -> Value<String> {
    if doorman_http::is_token(text.text.as_bytes()) && text.text.len() <= 64 {
        return Ok(Spanned::new(text.text.clone(), text.span));
    }
    let message = format!("`{}` is not a scheme", text.shown());
    Err(Diagnostic::error("E0310", text.span, message).help("such as Bearer"))
}

/// A time within bounds, both included, which messages call `bounds`.
pub(super) fn time_within(
    text: &Text,
    least: Duration,
    most: Duration,
    bounds: &str,
) -> Value<Duration> {
    let time = values::duration_or_zero(text)?;
    if (least..=most).contains(&time.value) {
        return Ok(time);
    }
    let message = format!("`{}` is not within {bounds}", text.shown());
    Err(Diagnostic::error("E0304", text.span, message))
}

fn bytes_of_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    for (byte, at) in bytes.iter_mut().zip((0..text.len()).step_by(2)).filter(|_| is_hex) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    is_hex.then_some(bytes)
}
