//! Cookies of doorman's own: a number under a seal, and everything that browsers are told beside it.

use std::sync::Arc;
use std::time::Duration;

use doorman_balance::sticky::{SEAL_BYTES, Token};
use doorman_config::{CookieLife, CookieSecure, SameSite, Sticky};
use doorman_http::Scheme;
use doorman_net::seal::SealKey;

/// How long a cookie is believed that has no life of its own: a month, as long as any other may live.
const LIFE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// A cookie that is older than this part of its life is set anew. More often would make responses
/// longer and their caching harder, and change nothing that a client sees.
const REFRESH_PARTS: u32 = 10;

/// A cookie of ours: what it is called, how it is made and read.
pub(crate) struct PlanCookie {
    pub(crate) name: Box<str>,
    /// What its seals are for: no cookie is good for anything else.
    purpose: [Box<str>; 2],
    key: Arc<SealKey>,
    /// `; Path=/` and so on.
    attributes: Box<str>,
    secure: CookieSecure,
    life: Duration,
}

/// What a good cookie says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    pub(crate) number: u64,
    /// Whether it is young enough to be left alone.
    pub(crate) fresh: bool,
}

impl PlanCookie {
    /// The cookie of a `sticky` line of an upstream.
    pub(super) fn of_upstream(
        key: Arc<SealKey>,
        name: &str,
        upstream: &str,
        sticky: &Sticky,
    ) -> Self {
        Self {
            name: name.into(),
            purpose: ["server".into(), upstream.into()],
            key,
            attributes: attributes(sticky).into(),
            secure: sticky.secure.value,
            life: match sticky.ttl.value {
                CookieLife::For(time) => time,
                CookieLife::Session => LIFE_MAX,
            },
        }
    }

    /// The cookie of a split. Routes whose cookies have one name share it, so that a client is on
    /// the same side of all of them.
    pub(super) fn of_share(key: Arc<SealKey>, name: &str) -> Self {
        let life = LIFE_MAX.as_secs();
        Self {
            name: name.into(),
            purpose: ["share".into(), "".into()],
            key,
            attributes: format!("; Path=/; Max-Age={life}; HttpOnly; SameSite=Lax").into(),
            secure: CookieSecure::Auto,
            life: LIFE_MAX,
        }
    }

    /// The cookie beside an application's. It gets the attributes of that one, and has these where the
    /// application says nothing.
    pub(super) fn beside(key: Arc<SealKey>, name: &str, upstream: &str) -> Self {
        Self {
            name: format!("{name}_dm").into(),
            purpose: ["beside".into(), upstream.into()],
            key,
            attributes: "; Path=/; HttpOnly; SameSite=Lax".into(),
            secure: CookieSecure::Auto,
            life: LIFE_MAX,
        }
    }

    /// Reads a value that a client sent; `None`: it is none of ours, or its time is over. `now` in
    /// seconds since 1970.
    pub(crate) fn read(&self, value: &[u8], now: u64) -> Option<Number> {
        let (token, seal) = Token::read(value)?;
        if !self.key.is_seal::<SEAL_BYTES>(&self.sealed(&token.sealed()), &seal) {
            return None;
        }
        let age = token.age(now).filter(|age| *age < self.life)?;
        Some(Number { number: token.subject, fresh: age <= self.life / REFRESH_PARTS })
    }

    fn sealed<'a>(&'a self, token: &'a [u8]) -> [&'a [u8]; 4] {
        let [what, whose] = &self.purpose;
        [what.as_bytes(), whose.as_bytes(), self.name.as_bytes(), token]
    }

    /// The value of `Set-Cookie` for a number.
    pub(crate) fn set(&self, number: u64, scheme: Scheme, now: u64) -> Vec<u8> {
        let secure = match self.secure {
            CookieSecure::On => true,
            CookieSecure::Off => false,
            CookieSecure::Auto => scheme == Scheme::Https,
        };
        let secure = if secure { "; Secure" } else { "" };
        self.set_with(number, now, &[self.attributes.as_bytes(), secure.as_bytes()])
    }

    /// The same with other attributes.
    pub(crate) fn set_with(&self, number: u64, now: u64, attributes: &[&[u8]]) -> Vec<u8> {
        let token = Token { subject: number, issued: now };
        let token = token.write(&self.key.seal(&self.sealed(&token.sealed())));
        let mut value = [self.name.as_bytes(), b"=", &token].concat();
        attributes.iter().for_each(|part| value.extend_from_slice(part));
        value
    }
}

/// RFC 6265 section 4.1.1; `SameSite` of its successor's draft.
fn attributes(sticky: &Sticky) -> String {
    let mut text = format!("; Path={}", sticky.path.value);
    if let Some(domain) = &sticky.domain {
        text += "; Domain=";
        text += &domain.value;
    }
    if let CookieLife::For(time) = sticky.ttl.value {
        text += &format!("; Max-Age={}", time.as_secs());
    }
    if sticky.http_only.value {
        text += "; HttpOnly";
    }
    text += match sticky.same_site.value {
        SameSite::Lax => "; SameSite=Lax",
        SameSite::Strict => "; SameSite=Strict",
        SameSite::None => "; SameSite=None",
        SameSite::Unsaid => "",
    };
    text
}
