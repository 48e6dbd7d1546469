//! The `acme` blocks of `global`, and what sites with automatic certificates ask of them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Decoder;
use crate::item::{Item, Text};
use crate::values::{self, Value};
use crate::{
    Acme, AcmeChallenge, AcmeDns, AcmeDnsKey, AcmeDnsWay, CertificateKey, Diagnostic,
    ExternalAccount, HostPattern, Scheme, Setting, SiteAddress, Span, Spanned,
};

/// Bytes of a URL of a directory.
const URL_BYTES_MAX: usize = 2048;
/// Bytes of an account's id or key, encoded. Authorities give out less than a hundred.
const EAB_BYTES_MAX: usize = 1024;

impl Decoder<'_> {
    pub(super) fn acme(&mut self, block: &Item) -> Option<Acme> {
        let mut ca = None;
        let mut profile = None;
        let mut eab = None;
        let mut dns = None;
        let mut key = Setting::default_of(CertificateKey::P256);
        let mut challenges = Setting::default_of(vec![AcmeChallenge::Http, AcmeChallenge::TlsAlpn]);
        let sources = self.sources;
        for item in &block.children {
            match item.directive.name {
                "ca" => self.fill(item, &mut ca, |text| values::file(text, sources)),
                "profile" => self.fill(item, &mut profile, values::name),
                "key" => self.set(item, &mut key, certificate_key),
                "challenge" => {
                    if let Some(found) = self.challenges(item).filter(|_| !item.is_off()) {
                        challenges = Setting::written(found, item.span);
                    }
                }
                "dns" => {
                    let found = self.dns(item).filter(|_| !item.is_off());
                    dns = found.map(|found| Spanned::new(found, item.span)).or(dns);
                }
                "eab" => {
                    let found = self.external_account(item).filter(|_| !item.is_off());
                    eab = found.map(|found| Spanned::new(found, item.span)).or(eab);
                }
                _ => {}
            }
        }
        let written = challenges.span.filter(|_| challenges.value.contains(&AcmeChallenge::Dns));
        if let (Some(span), None, false) = (written, &dns, block.damaged) {
            let error = Diagnostic::error(
                "E0317",
                span,
                "`challenge dns` needs to know how records are changed",
            );
            self.say(error.help("add `dns exec FILE` or `dns rfc2136 SERVER key NAME SECRET`"));
        }
        let directory = self.ok(directory(block.value(0)?))?;
        let span = block.span;
        Some(Acme { directory, ca, challenges, dns, profile, eab, key, span })
    }

    fn challenges(&mut self, item: &Item) -> Option<Vec<AcmeChallenge>> {
        let known = [
            ("http", AcmeChallenge::Http),
            ("tls-alpn", AcmeChallenge::TlsAlpn),
            ("dns", AcmeChallenge::Dns),
        ];
        let mut found = Vec::new();
        for text in &item.values {
            let challenge = self.ok(values::choice(text, &known, &[]))?.value;
            if found.contains(&challenge) {
                let message = format!("`{}` stands here twice", text.shown());
                self.say(Diagnostic::error("E0208", text.span, message));
                return None;
            }
            found.push(challenge);
        }
        Some(found)
    }

    fn dns(&mut self, item: &Item) -> Option<AcmeDns> {
        let mut key = None;
        let mut wait = Setting::default_of(Duration::ZERO);
        let before = self.diagnostics.count();
        for child in &item.children {
            match child.directive.name {
                "key" => key = self.dns_key(child).filter(|_| !child.is_off()).or(key),
                "wait" => self.set(child, &mut wait, values::duration),
                _ => {}
            }
        }
        let ways = [("exec", false), ("rfc2136", true)];
        let is_update = self.ok(values::choice(item.value(0)?, &ways, &[]))?.value;
        let target = item.value(1)?;
        let way = match (is_update, key) {
            (false, None) => AcmeDnsWay::Exec(self.ok(values::file(target, self.sources))?.value),
            (true, Some(key)) => AcmeDnsWay::Update(self.ok(dns_server(target))?.value, key),
            (false, Some(_)) => {
                let message = "`key` belongs to `dns rfc2136`";
                self.say(Diagnostic::error("E0317", item.span, message));
                return None;
            }
            (true, None) => {
                if !item.damaged && self.diagnostics.count() == before {
                    let message = "updates of DNS are signed, so they need a key";
                    let error = Diagnostic::error("E0317", item.span, message);
                    self.say(error.help("it is written `dns rfc2136 SERVER key NAME SECRET`"));
                }
                return None;
            }
        };
        Some(AcmeDns { way, wait })
    }

    fn dns_key(&mut self, item: &Item) -> Option<AcmeDnsKey> {
        let (name, secret) = (item.value(0)?, item.value(1)?);
        let algorithms = [("hmac-sha256", false), ("hmac-sha512", true)];
        let is_sha512 = match item.value(2) {
            Some(text) => self.ok(values::choice(text, &algorithms, &[]))?.value,
            None => false,
        };
        let name = self.ok(values::name(name))?.value;
        let decoded = Some(&secret.text).filter(|text| text.len() <= EAB_BYTES_MAX);
        match decoded.and_then(|text| base64url(text)).filter(|secret| !secret.is_empty()) {
            Some(secret) => Some(AcmeDnsKey { name, secret, is_sha512 }),
            None => {
                let message = "this is not the secret of a key: it is written in base64";
                self.say(Diagnostic::error("E0317", secret.span, message));
                None
            }
        }
    }

    fn external_account(&mut self, item: &Item) -> Option<ExternalAccount> {
        let (id, key) = (item.value(0)?, item.value(1)?);
        let printable = |text: &Text| {
            let bytes = text.text.bytes();
            !text.text.is_empty()
                && text.text.len() <= EAB_BYTES_MAX
                && bytes.into_iter().all(|byte| byte.is_ascii_graphic())
        };
        let decoded = Some(&key.text).filter(|text| text.len() <= EAB_BYTES_MAX);
        match decoded.and_then(|text| base64url(text)).filter(|key| !key.is_empty()) {
            Some(key) if printable(id) => Some(ExternalAccount { id: id.text.clone(), key }),
            found => {
                let span = if found.is_some() { id.span } else { key.span };
                let message = "this is not an account's id and key for `eab`";
                let error = Diagnostic::error("E0317", span, message);
                self.say(error.help("the authority gives both out; the key is in base64url"));
                None
            }
        }
    }

    /// Whether all addresses of a site that is to have automatic certificates can have them.
    pub(super) fn check_automatic(
        &mut self,
        addresses: &[Spanned<SiteAddress>],
        written: bool,
        on_demand: bool,
    ) {
        let https = addresses.iter().filter(|address| address.value.scheme == Scheme::Https);
        for address in https {
            let host = &address.value.host;
            if !written && host.is_internal() {
                continue;
            }
            let what = match host {
                HostPattern::Name(_) => continue,
                HostPattern::Wildcard(_) | HostPattern::Any if on_demand => continue,
                HostPattern::Wildcard(_) if self.has_dns => continue,
                HostPattern::Wildcard(_) => {
                    let message =
                        "a wildcard has an automatic certificate only where DNS can be changed";
                    let error = Diagnostic::error("E0217", address.span, message);
                    self.say(error.help("add `dns exec FILE` or `dns rfc2136 SERVER key NAME SECRET` to `acme`, or write `tls cert FILE key FILE`"));
                    continue;
                }
                HostPattern::Ip(_) if self.certifies_addresses => continue,
                HostPattern::Ip(_) => {
                    let message = "no authority here certifies IP addresses";
                    let error = Diagnostic::error("E0217", address.span, message);
                    self.say(error.help("Let's Encrypt does with `acme https://acme-v02.api.letsencrypt.org/directory { profile shortlived }` and a challenge other than dns; or write `tls internal` or `tls cert FILE key FILE`"));
                    continue;
                }
                HostPattern::Any => "every host at once",
            };
            self.say(no_certificate(address.span, what));
        }
    }
}

/// Whether an authority issues for IP addresses (RFC 8738), as far as can be known without asking it. Let's Encrypt
/// does so for its short-lived profile alone. An address is in no zone, so DNS proves nothing about it.
pub(super) fn certifies_addresses(acme: &Acme) -> bool {
    let is_usual = acme.directory.value.contains(".letsencrypt.org/");
    let is_short = acme.profile.as_ref().is_some_and(|profile| profile.value == "shortlived");
    let challenges = &acme.challenges.value;
    (!is_usual || is_short) && challenges.iter().any(|challenge| *challenge != AcmeChallenge::Dns)
}

fn no_certificate(span: Span, what: &str) -> Diagnostic {
    Diagnostic::error("E0217", span, format!("there is no automatic certificate for {what}"))
        .help("name the hosts, or write `tls internal` or `tls cert FILE key FILE`")
}

fn certificate_key(text: &Text) -> Value<CertificateKey> {
    let keys = [
        ("p256", CertificateKey::P256),
        ("p384", CertificateKey::P384),
        ("rsa2048", CertificateKey::Rsa2048),
        ("rsa4096", CertificateKey::Rsa4096),
    ];
    values::choice(text, &keys, &[])
}

/// `IP` or `IP:PORT`.
fn dns_server(text: &Text) -> Value<SocketAddr> {
    const PORT: u16 = 53;
    let word = text.text.as_str();
    let bare = || word.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, PORT));
    let address = word.parse::<SocketAddr>().ok().filter(|at| at.port() > 0).or_else(bare);
    address.map(|address| Spanned::new(address, text.span)).ok_or_else(|| {
        let message = format!("`{}` is not the address of a DNS server", text.shown());
        Diagnostic::error("E0317", text.span, message).help("such as 10.0.0.2 or 10.0.0.2:5353")
    })
}

fn directory(text: &Text) -> Value<String> {
    let word = &text.text;
    let host = word.strip_prefix("https://").map(|rest| rest.split(['/', '?']).next());
    let sound = word.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'@');
    let has_host = host.flatten().is_some_and(|host| !host.is_empty() && !host.starts_with(':'));
    if sound && has_host && word.len() <= URL_BYTES_MAX {
        return Ok(Spanned::new(word.clone(), text.span));
    }
    let message = format!("`{}` is not the URL of an ACME directory", text.shown());
    Err(Diagnostic::error("E0317", text.span, message)
        .help("such as https://acme-v02.api.letsencrypt.org/directory; it begins with https://"))
}

/// A URL that is asked whether a name may have a certificate.
pub(super) fn ask_url(text: &Text) -> Value<String> {
    let word = &text.text;
    let rest = word.strip_prefix("http://").or_else(|| word.strip_prefix("https://"));
    let host = rest.and_then(|rest| rest.split(['/', '?']).next());
    let sound = word.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'@');
    let has_host = host.is_some_and(|host| !host.is_empty() && !host.starts_with(':'));
    if sound && has_host && word.len() <= URL_BYTES_MAX {
        return Ok(Spanned::new(word.clone(), text.span));
    }
    let message = format!("`{}` is not a URL that can be asked", text.shown());
    Err(Diagnostic::error("E0317", text.span, message)
        .help("such as http://127.0.0.1:9000/may-have"))
}

/// An address for mail, as far as a certificate authority will look at it.
pub(super) fn email(text: &Text) -> Value<String> {
    /// RFC 5321 section 4.5.3.1.3.
    const EMAIL_BYTES_MAX: usize = 254;
    let word = &text.text;
    let parts = word.split_once('@').filter(|(user, host)| {
        let plain = |part: &str| {
            let bytes = part.bytes();
            !part.is_empty() && bytes.into_iter().all(|b| b.is_ascii_graphic() && b != b',')
        };
        plain(user) && plain(host) && !host.contains('@') && !user.contains(['?', '%'])
    });
    if parts.is_some() && word.len() <= EMAIL_BYTES_MAX {
        return Ok(Spanned::new(word.clone(), text.span));
    }
    Err(Diagnostic::error("E0318", text.span, format!("`{}` is no e-mail address", text.shown()))
        .help("it is written ops@example.com"))
}

/// Base64 for URLs without padding (RFC 4648 section 5); padding is passed over.
fn base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut held, mut bits) = (0_u32, 0_u32);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xFF).ok()?);
        }
    }
    // What is left over of a whole text are fewer than six bits, all zero.
    (bits < 6 && held & ((1 << bits) - 1) == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64() {
        let check = |text: &str, expect: Option<&[u8]>| {
            assert_eq!(base64url(text).as_deref(), expect, "{text}");
        };
        check("", Some(b""));
        check("Zg", Some(b"f"));
        check("Zg==", Some(b"f"));
        check("Zm8", Some(b"fo"));
        check("Zm9v", Some(b"foo"));
        check("Zm9vYg", Some(b"foob"));
        check("-_8", Some(&[0xfb, 0xff]));
        check("+/8", Some(&[0xfb, 0xff]));
        check("Z", None);
        check("Zh", None);
        check("Z g", None);
    }
}
