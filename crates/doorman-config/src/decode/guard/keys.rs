//! What bounds count by: `per` and its parts.

use super::Decoder;
use crate::decode::sticky::cookie_name;
use crate::item::{Item, Text};
use crate::suggest::nearest;
use crate::values::{self, Value};
use crate::{ClientPrefixes, Diagnostic, LimitKey, Span, Spanned};

/// Parts of one key. Each is looked up for every request.
const PARTS_MAX: usize = 4;

/// Their words.
const WORDS: [&str; 8] = ["client-ip", "header", "cookie", "path", "host", "user", "claim", "all"];

impl Decoder<'_> {
    /// `per KEY...`.
    pub(super) fn keys(&mut self, item: &Item) -> Option<Vec<Spanned<LimitKey>>> {
        let mut keys: Vec<Spanned<LimitKey>> = Vec::new();
        let mut rest = item.values.as_slice();
        while let [word, after @ ..] = rest {
            let (key, used) = self.key(word, after)?;
            if let Some(first) = keys.iter().find(|first| same_part(&first.value, &key.value)) {
                let message = format!("`{}` stands here twice", word.shown());
                let error = Diagnostic::error("E0208", key.span, message);
                self.say(error.also(first.span, "the first"));
                return None;
            }
            keys.push(key);
            rest = after.get(used..).unwrap_or_default();
        }
        if let [_, second, ..] = keys.as_slice()
            && let Some(all) = keys.iter().find(|key| key.value == LimitKey::All)
        {
            let error = Diagnostic::error("E0252", all.span, "`all` counts all requests together");
            let error = error.also(second.span, "this tells them apart");
            self.say(error.help("leave `all` out, or write nothing beside it"));
            return None;
        }
        if keys.len() > PARTS_MAX {
            let message = format!("a key of more than {PARTS_MAX} parts");
            self.say(Diagnostic::error("E0110", item.span, message));
            return None;
        }
        Some(keys)
    }

    /// One part, and how many words behind the first belong to it.
    fn key(&mut self, word: &Text, after: &[Text]) -> Option<(Spanned<LimitKey>, usize)> {
        let named = match word.text.as_str() {
            "client-ip" => {
                let prefixes: Vec<&Text> =
                    after.iter().take_while(|text| text.text.starts_with('/')).collect();
                let key = LimitKey::ClientIp(self.prefixes(&prefixes)?);
                return Some((Spanned::new(key, word.span), prefixes.len()));
            }
            "path" => return Some((Spanned::new(LimitKey::Path, word.span), 0)),
            "host" => return Some((Spanned::new(LimitKey::Host, word.span), 0)),
            "user" => return Some((Spanned::new(LimitKey::User, word.span), 0)),
            "all" => return Some((Spanned::new(LimitKey::All, word.span), 0)),
            named @ ("header" | "cookie" | "claim") => named,
            _ => {
                self.say(unknown(word));
                return None;
            }
        };
        let Some(name) = after.first() else {
            let message = format!("`{named}` misses its name");
            let error = Diagnostic::error("E0204", word.span, message);
            self.say(error.help(format!("it is written `per {named} NAME`")));
            return None;
        };
        let key = match named {
            "header" => LimitKey::Header(self.ok(values::field(name))?.value),
            "cookie" => LimitKey::Cookie(self.ok(cookie_name(name))?.value),
            _ => LimitKey::Claim(self.ok(claim_name(name))?.value),
        };
        Some((Spanned::new(key, word.span.to(name.span)), 1))
    }

    /// `client-ip [/P4 [/P6]]`, where nothing else may stand.
    pub(super) fn client(&mut self, item: &Item) -> Option<Spanned<ClientPrefixes>> {
        let word = item.value(0)?;
        self.ok(values::choice(word, &[("client-ip", ())], &[]))?;
        let prefixes: Vec<&Text> = item.values.iter().skip(1).collect();
        Some(Spanned::new(self.prefixes(&prefixes)?, item.span))
    }

    fn prefixes(&mut self, written: &[&Text]) -> Option<ClientPrefixes> {
        let mut prefixes = ClientPrefixes::DEFAULT;
        if let Some(v4) = written.first() {
            prefixes.v4 = self.ok(prefix(v4, 32, "an IPv4 address"))?.value;
        }
        if let Some(v6) = written.get(1) {
            prefixes.v6 = self.ok(prefix(v6, 128, "an IPv6 address"))?.value;
        }
        if let Some(extra) = written.get(2) {
            let message = "`client-ip` takes no third prefix";
            let error = Diagnostic::error("E0204", extra.span, message);
            self.say(error.help("it is written `client-ip /24 /56`: of IPv4, then of IPv6"));
            return None;
        }
        Some(prefixes)
    }
}

/// Whether two parts tell apart by the same thing.
fn same_part(a: &LimitKey, b: &LimitKey) -> bool {
    matches!((a, b), (LimitKey::ClientIp(_), LimitKey::ClientIp(_))) || a == b
}

fn unknown(word: &Text) -> Diagnostic {
    let message = format!("`{}` is nothing to count by", word.shown());
    let error = Diagnostic::error("E0307", word.span, message);
    let meant = match word.text.as_str() {
        "ip" | "address" | "client" | "remote-addr" => Some("client-ip"),
        other => nearest(other, WORDS),
    };
    match meant {
        Some(meant) => error.help(format!("did you mean `{meant}`?")),
        None => error.help(
            "count by client-ip, header NAME, cookie NAME, path, host, user, claim NAME or all",
        ),
    }
}

/// `/24`.
fn prefix(text: &Text, most: u8, of: &str) -> Value<u8> {
    let digits = text.text.strip_prefix('/').filter(|digits| values::is_number(digits));
    let bits = digits.and_then(|digits| digits.parse::<u8>().ok());
    match bits.filter(|bits| (1..=most).contains(bits)) {
        Some(bits) => Ok(Spanned::new(bits, text.span)),
        None => {
            let message = format!("`{}` is no prefix of {of}", text.shown());
            Err(Diagnostic::error("E0304", text.span, message).help(
                "it is written `client-ip /24 /56`: of IPv4 up to /32, then of IPv6 up to /128",
            ))
        }
    }
}

/// The name of a claim: what JSON may have, as far as it is fit for a line.
pub(super) fn claim_name(text: &Text) -> Value<String> {
    let is_good = !text.text.is_empty()
        && text.text.len() <= 128
        && !text.text.chars().any(|c| c.is_control() || c.is_whitespace());
    if is_good {
        return Ok(Spanned::new(text.text.clone(), text.span));
    }
    let message = format!("`{}` is not the name of a claim", text.shown());
    Err(Diagnostic::error("E0310", text.span, message)
        .help("a name is one word, such as sub, email or https://example.com/roles"))
}

/// The places of parts that only a client who signed in has.
pub(super) fn of_users(keys: &[Spanned<LimitKey>]) -> impl Iterator<Item = Span> {
    keys.iter().filter(|key| key.value == LimitKey::User).map(|key| key.span)
}

/// The places of parts that only a client with a token has.
pub(super) fn of_claims(keys: &[Spanned<LimitKey>]) -> impl Iterator<Item = Span> {
    keys.iter().filter(|key| matches!(key.value, LimitKey::Claim(_))).map(|key| key.span)
}
