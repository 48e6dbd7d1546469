//! `rewrite-location`: what an origin says of itself in `Location`, `Content-Location` and
//! `Refresh` is made to name the public site.

use doorman_http::template::Template;
use doorman_http::{FieldId, Fields, Scheme, target};

use crate::{Context, StripPrefix, expand_url};

/// Whether URLs that name the origin are mapped to the public site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Auto {
    /// They are.
    #[default]
    On,
    /// They are not.
    Off,
}

/// A start of a URL and what stands there instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocationRule {
    /// Start of the value, byte by byte.
    pub from: Box<str>,
    /// Its replacement.
    pub to: Template,
}

/// Rules, of which the first that fits wins, and what happens if none does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocationRewrite {
    /// The rules in order.
    pub rules: Vec<LocationRule>,
    /// What happens if none fits.
    pub auto: Auto,
}

/// How a request was sent on, and how the client knows the site.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Scheme towards the origin.
    pub upstream_scheme: Scheme,
    /// The origin's own host and port.
    pub upstream_authority: &'a [u8],
    /// The `Host` that the origin was sent.
    pub sent_host: &'a [u8],
    /// Scheme that the client used.
    pub public_scheme: Scheme,
    /// Host and port as the client wrote them; empty if it named none.
    pub public_authority: &'a [u8],
    /// The prefix that was taken off the path.
    pub stripped: Option<&'a StripPrefix>,
}

impl LocationRewrite {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.rules.is_empty() && self.auto == Auto::Off
    }

    /// Edits a response's fields.
    pub fn apply(&self, fields: &mut Fields, origin: &Origin<'_>, context: &Context<'_>) {
        if self.is_off() {
            return;
        }
        for id in [FieldId::Location, FieldId::ContentLocation] {
            fields.rewrite(id, |value| self.url(value, origin, context));
        }
        fields.rewrite(FieldId::Refresh, |value| {
            let range = refresh_url(value)?;
            let url = self.url(&value[range.clone()], origin, context)?;
            Some([&value[..range.start], &url, &value[range.end..]].concat())
        });
    }

    /// The new URL; `None` if it stays as it is.
    fn url(&self, url: &[u8], origin: &Origin<'_>, context: &Context<'_>) -> Option<Vec<u8>> {
        for rule in &self.rules {
            if let Some(rest) = url.strip_prefix(rule.from.as_bytes()) {
                let to = expand_url(&rule.to, context).ok()?;
                return Some([&*to, rest].concat());
            }
        }
        match self.auto {
            Auto::On => origin.map(url).filter(|mapped| mapped != url),
            Auto::Off => None,
        }
    }
}

impl Origin<'_> {
    /// Whether an authority is the host that was sent with the port that the origin listens on: what
    /// nginx writes when it completes a folder's URL.
    fn is_own(&self, authority: &[u8]) -> bool {
        let port = |text: &[u8]| target::authority(text).ok().map(|checked| checked.port);
        let (Some(host), Some(sent)) = (host_of(authority), host_of(self.sent_host)) else {
            return false;
        };
        host.eq_ignore_ascii_case(sent) && port(authority) == port(self.upstream_authority)
    }

    fn map(&self, url: &[u8]) -> Option<Vec<u8>> {
        let (scheme, rest) = match url {
            [b'/', b'/', rest @ ..] => (None, rest),
            [b'/', ..] => return self.stripped.map(|_| self.with_prefix(url)),
            _ => {
                let colon = url.iter().position(|&b| b == b':')?;
                (Some(Scheme::from_bytes(&url[..colon])?), url[colon..].strip_prefix(b"://")?)
            }
        };
        let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let written = scheme.unwrap_or(self.upstream_scheme);
        let names = |other: &[u8]| same_authority(authority, other, written);
        if !names(self.upstream_authority) && !names(self.sent_host) && !self.is_own(authority) {
            return None;
        }
        // The origin means the scheme that it is spoken to with. Another one is on purpose: mapping
        // a redirect to https back to http would make a loop of it.
        if written != self.upstream_scheme {
            return None;
        }
        let upgrade = written == Scheme::Https && self.public_scheme == Scheme::Http;
        if upgrade && host_of(authority)?.eq_ignore_ascii_case(host_of(self.public_authority)?) {
            return None;
        }
        let mut mapped = Vec::with_capacity(url.len() + 32);
        if !self.public_authority.is_empty() {
            if scheme.is_some() {
                mapped.extend_from_slice(self.public_scheme.as_str().as_bytes());
                mapped.push(b':');
            }
            mapped.extend_from_slice(b"//");
            mapped.extend_from_slice(self.public_authority);
        }
        match self.stripped {
            Some(_) => mapped.extend_from_slice(&self.with_prefix(path)),
            None => mapped.extend_from_slice(path),
        }
        if mapped.is_empty() {
            mapped.push(b'/');
        }
        Some(mapped)
    }

    /// The path with the stripped prefix put back, unless the origin has written it itself.
    fn with_prefix(&self, path: &[u8]) -> Vec<u8> {
        let prefix = self.stripped.map(StripPrefix::as_bytes).unwrap_or_default();
        let below = path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.first().is_none_or(|b| matches!(b, b'/' | b'?' | b'#')));
        if below {
            return path.to_vec();
        }
        let slash = if path.starts_with(b"/") { &b""[..] } else { b"/" };
        [prefix, slash, path].concat()
    }
}

fn host_of(authority: &[u8]) -> Option<&[u8]> {
    let checked = target::authority(authority).ok()?;
    Some(&authority[..checked.host_len])
}

/// Whether two authorities are one, with the scheme's port where none is written.
fn same_authority(a: &[u8], b: &[u8], scheme: Scheme) -> bool {
    let (Ok(left), Ok(right)) = (target::authority(a), target::authority(b)) else { return false };
    let port = |port: Option<u16>| port.unwrap_or(scheme.default_port());
    a[..left.host_len].eq_ignore_ascii_case(&b[..right.host_len])
        && port(left.port) == port(right.port)
}

/// Where the URL of `Refresh: 5; url=...` lies, without quotes.
fn refresh_url(value: &[u8]) -> Option<std::ops::Range<usize>> {
    let separator = value.iter().position(|b| matches!(b, b';' | b','))?;
    let mut start = separator + 1 + blanks(&value[separator + 1..]);
    if !value.get(start..start + 3)?.eq_ignore_ascii_case(b"url") {
        return None;
    }
    start += 3;
    start += blanks(&value[start..]);
    if value.get(start) != Some(&b'=') {
        return None;
    }
    start += 1;
    start += blanks(&value[start..]);
    let quote = value.get(start).copied().filter(|b| matches!(b, b'"' | b'\''));
    start += usize::from(quote.is_some());
    let rest = &value[start..];
    let end = match quote {
        Some(quote) => rest.iter().position(|&b| b == quote).unwrap_or(rest.len()),
        None => rest.trim_ascii_end().len(),
    };
    Some(start..start + end)
}

fn blanks(text: &[u8]) -> usize {
    text.iter().take_while(|b| matches!(b, b' ' | b'\t')).count()
}

#[cfg(test)]
mod tests;
