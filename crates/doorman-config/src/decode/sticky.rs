//! The `sticky` block of an upstream.

use std::time::Duration;

use super::Decoder;
use crate::item::{Item, Text};
use crate::values;
use crate::{
    CookieLife, CookieSecure, Diagnostic, SameSite, SessionPlace, Setting, Spanned, Sticky,
    StickyBy, WhenDown,
};

/// The longest life of a cookie of ours. A server that a client was on a month ago is nothing to
/// keep it for.
const TTL_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a learned session may be remembered after its last request.
const EXPIRE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

impl Decoder<'_> {
    pub(super) fn sticky(&mut self, block: &Item) -> Option<Sticky> {
        let by = self.sticky_by(block);
        let mut sticky = Sticky {
            by: by.clone().unwrap_or(StickyBy::Cookie(String::new())),
            ttl: Setting::default_of(CookieLife::For(Duration::from_secs(24 * 3600))),
            path: Setting::default_of("/".to_owned()),
            domain: None,
            secure: Setting::default_of(CookieSecure::Auto),
            http_only: Setting::default_of(true),
            same_site: Setting::default_of(SameSite::Lax),
            separator: Setting::default_of(".".to_owned()),
            lookup: None,
            expire: Setting::default_of(Duration::from_secs(600)),
            entries: Setting::default_of(100_000),
            when_down: Setting::default_of(WhenDown::Choose),
            when_full: Setting::default_of(WhenDown::Choose),
            span: block.span,
        };
        for item in &block.children {
            match item.directive.name {
                "ttl" => self.set(item, &mut sticky.ttl, life),
                "path" => self.set(item, &mut sticky.path, path),
                "domain" => self.fill(item, &mut sticky.domain, domain),
                "secure" => self.set(item, &mut sticky.secure, |text| {
                    use CookieSecure::{Auto, Off, On};
                    values::choice(text, &[("auto", Auto), ("on", On), ("off", Off)], &[])
                }),
                "http-only" => self.set(item, &mut sticky.http_only, |text| {
                    values::choice(text, &[("on", true), ("off", false)], &[])
                }),
                "same-site" => self.set(item, &mut sticky.same_site, same_site),
                "separator" => self.set(item, &mut sticky.separator, separator),
                "lookup" => self.lookup(item, &mut sticky.lookup),
                "expire" => self.set(item, &mut sticky.expire, expire),
                "entries" => self
                    .set(item, &mut sticky.entries, |text| values::number(text, 100, 16_777_216)),
                "when-down" => self.set(item, &mut sticky.when_down, when_down),
                "when-full" => self.set(item, &mut sticky.when_full, when_down),
                _ => {}
            }
        }
        self.check_words(block, &by?);
        self.check_cookie(&sticky);
        (!block.is_off()).then_some(sticky)
    }

    fn sticky_by(&mut self, block: &Item) -> Option<StickyBy> {
        let kinds = [("cookie", 0), ("app-cookie", 1), ("query", 2), ("header", 3), ("learn", 4)];
        let kind = self.ok(values::choice(block.value(0)?, &kinds, &[]))?.value;
        let name = block.value(1)?;
        let extra = block.value(2).filter(|_| kind != 4);
        if let Some(extra) = extra {
            let message = format!("`{}` stands behind the name", extra.shown());
            self.say(Diagnostic::error("E0204", extra.span, message));
            return None;
        }
        Some(match kind {
            0 => StickyBy::Cookie(self.ok(cookie_name(name))?.value),
            1 => StickyBy::AppCookie(self.ok(cookie_name(name))?.value),
            2 => StickyBy::Query(self.ok(parameter(name))?.value),
            3 => StickyBy::Header(self.ok(values::field(name))?.value),
            _ => {
                let Some(what) = block.value(2) else {
                    let error =
                        Diagnostic::error("E0204", block.span, "`sticky learn` misses a name");
                    self.say(error.help(
                        "it is written `sticky learn cookie NAME` or `sticky learn header NAME`",
                    ));
                    return None;
                };
                StickyBy::Learn(self.session_place(name, what, &["cookie", "header"])?)
            }
        })
    }

    fn session_place(&mut self, place: &Text, name: &Text, words: &[&str]) -> Option<SessionPlace> {
        let all = [("cookie", 0), ("header", 1), ("query", 2)];
        let here = &all[..words.len()];
        Some(match self.ok(values::choice(place, here, &[]))?.value {
            0 => SessionPlace::Cookie(self.ok(cookie_name(name))?.value),
            1 => SessionPlace::Header(self.ok(values::field(name))?.value),
            _ => SessionPlace::Query(self.ok(parameter(name))?.value),
        })
    }

    fn lookup(&mut self, item: &Item, slot: &mut Option<Spanned<SessionPlace>>) {
        let (Some(place), Some(name)) = (item.value(0), item.value(1)) else { return };
        let place = self.session_place(place, name, &["cookie", "header", "query"]);
        if let Some(place) = place.filter(|_| !item.is_off()) {
            *slot = Some(Spanned::new(place, item.span));
        }
    }

    /// Words that say something about another way to know a client.
    fn check_words(&mut self, block: &Item, by: &StickyBy) {
        let (kind, words): (_, &[&str]) = match by {
            StickyBy::Cookie(_) => {
                ("cookie", &["ttl", "path", "domain", "secure", "http-only", "same-site"])
            }
            StickyBy::AppCookie(_) => ("app-cookie", &["separator"]),
            StickyBy::Query(_) => ("query", &["separator"]),
            StickyBy::Header(_) => ("header", &["separator"]),
            StickyBy::Learn(_) => ("learn", &["lookup", "expire", "entries"]),
        };
        for item in &block.children {
            let name = item.directive.name;
            if !words.contains(&name) && !matches!(name, "when-down" | "when-full") {
                let message = format!("`{name}` says nothing about `sticky {kind}`");
                self.say(Diagnostic::error("E0229", item.span, message).help("remove the line"));
            }
        }
    }

    /// What browsers refuse without a word (RFC 6265bis sections 4.1.3 and 5.7).
    fn check_cookie(&mut self, sticky: &Sticky) {
        let StickyBy::Cookie(name) = &sticky.by else { return };
        let off = sticky.secure.value == CookieSecure::Off;
        let secure = sticky.secure.span.unwrap_or(sticky.span);
        if off && sticky.same_site.value == SameSite::None {
            let message = "browsers drop a cookie with `same-site none` that is not Secure";
            self.say(Diagnostic::error("E0229", secure, message).help("write `secure on`"));
        }
        let lower = name.to_ascii_lowercase();
        let host = lower.starts_with("__host-");
        if off && (host || lower.starts_with("__secure-")) {
            let message = format!("browsers drop a cookie `{name}` that is not Secure");
            self.say(Diagnostic::error("E0229", secure, message).help("write `secure on`"));
        }
        if host && (sticky.path.value != "/" || sticky.domain.is_some()) {
            let place = sticky.domain.as_ref().map(|domain| domain.span).or(sticky.path.span);
            let message =
                format!("browsers drop a cookie `{name}` with a domain or another path than /");
            self.say(Diagnostic::error("E0229", place.unwrap_or(sticky.span), message));
        }
    }
}

/// A token (RFC 6265 section 4.1.1).
pub(super) fn cookie_name(text: &Text) -> values::Value<String> {
    const NAME_BYTES_MAX: usize = 64;
    let name = &text.text;
    if doorman_http::is_token(name.as_bytes()) && !name.is_empty() && name.len() <= NAME_BYTES_MAX {
        return Ok(Spanned::new(name.clone(), text.span));
    }
    let message = format!("`{}` is not the name of a cookie", text.shown());
    Err(Diagnostic::error("E0310", text.span, message)
        .help("a name has letters, digits and signs such as `-` and `_`, at most 64"))
}

/// The name of a parameter of the query, as it is written there.
pub(super) fn parameter(text: &Text) -> values::Value<String> {
    let fits = |byte: u8| (0x21..0x7F).contains(&byte) && !matches!(byte, b'&' | b'=' | b'#');
    if !text.text.is_empty() && text.text.len() <= 64 && text.text.bytes().all(fits) {
        return Ok(Spanned::new(text.text.clone(), text.span));
    }
    let message = format!("`{}` is not the name of a parameter", text.shown());
    Err(Diagnostic::error("E0310", text.span, message))
}

fn separator(text: &Text) -> values::Value<String> {
    let sign = text.text.bytes().all(|byte| byte.is_ascii_punctuation() && byte != b';');
    if text.text.len() == 1 && sign {
        return Ok(Spanned::new(text.text.clone(), text.span));
    }
    let message = format!("`{}` is not one sign", text.shown());
    Err(Diagnostic::error("E0310", text.span, message).help("write one such as . or !"))
}

fn expire(text: &Text) -> values::Value<Duration> {
    let time = values::duration(text)?;
    if (Duration::from_secs(1)..=EXPIRE_MAX).contains(&time.value) {
        return Ok(time);
    }
    let message = format!("`{}` is not within 1s to 7d", text.shown());
    Err(Diagnostic::error("E0304", text.span, message))
}

fn life(text: &Text) -> values::Value<CookieLife> {
    if text.text == "session" {
        return Ok(Spanned::new(CookieLife::Session, text.span));
    }
    let time = values::duration(text)?;
    if (Duration::from_secs(1)..=TTL_MAX).contains(&time.value) {
        return Ok(time.map(CookieLife::For));
    }
    let message = format!("`{}` is not within 1s to 30d", text.shown());
    Err(Diagnostic::error("E0304", text.span, message))
}

/// What may stand in an attribute of a cookie (RFC 6265 section 4.1.1).
fn path(text: &Text) -> values::Value<String> {
    let fits = |byte: u8| (0x21..0x7F).contains(&byte) && byte != b';';
    if text.text.starts_with('/') && text.text.bytes().all(fits) {
        return Ok(Spanned::new(text.text.clone(), text.span));
    }
    let message = format!("`{}` is not a path of a cookie", text.shown());
    Err(Diagnostic::error("E0311", text.span, message).help("it begins with /, such as /app/"))
}

fn domain(text: &Text) -> values::Value<String> {
    match crate::address::host_pattern(text)?.value {
        crate::HostPattern::Name(name) => Ok(Spanned::new(name, text.span)),
        _ => {
            let message = format!("`{}` is not a domain of cookies", text.shown());
            Err(Diagnostic::error("E0305", text.span, message).help("write a name: example.com"))
        }
    }
}

fn same_site(text: &Text) -> values::Value<SameSite> {
    let words = [
        ("lax", SameSite::Lax),
        ("strict", SameSite::Strict),
        ("none", SameSite::None),
        ("off", SameSite::Unsaid),
    ];
    values::choice(text, &words, &[])
}

fn when_down(text: &Text) -> values::Value<WhenDown> {
    let words = [("choose", WhenDown::Choose), ("refuse", WhenDown::Refuse)];
    values::choice(text, &words, &[])
}
