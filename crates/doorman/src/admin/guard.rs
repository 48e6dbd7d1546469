//! Who may call the admin API.
//!
//! On a Unix socket the file's rights decide. On TCP anything on the machine can connect, and any
//! web page can make its reader's browser try: so the host must be an address or `localhost` (a
//! name could be bound again to this address), a call from another site is refused, and what
//! changes something needs the token.

use std::net::IpAddr;
use std::path::Path;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use doorman_config::{Admin, SocketAddress};

/// Shorter tokens can be guessed.
const TOKEN_MIN: usize = 16;
/// Longer ones are no tokens, but a wrong file.
const TOKEN_MAX: u64 = 4096;

/// The rules of the door in force.
#[derive(Clone)]
pub(super) struct Guard {
    door: Door,
    token: Option<Vec<u8>>,
    read_only: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    /// A Unix socket.
    File,
    /// TCP that only this machine reaches.
    Loopback,
    /// TCP.
    Network,
}

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The host is a name that could belong to anybody.
    Host,
    /// A page of another site made the browser call.
    CrossSite,
    /// The token is missing or wrong.
    Token,
    /// There is no token that could be brought.
    NoToken,
    /// Nothing can be changed through this API.
    ReadOnly,
}

impl Refusal {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::CrossSite | Self::NoToken | Self::ReadOnly => StatusCode::FORBIDDEN,
        }
    }

    pub(super) const fn message(self) -> &'static str {
        match self {
            Self::Host => "call the admin API by its IP address or as localhost",
            Self::CrossSite => "the admin API is not called from web pages of other sites",
            Self::Token => "this needs the token: `Authorization: Bearer TOKEN`",
            Self::NoToken => {
                "over TCP this needs a token: add `token-file FILE` to `admin`, or use a Unix socket"
            }
            Self::ReadOnly => "the admin API is read-only",
        }
    }
}

impl Guard {
    /// The rules of a configuration; reads the token.
    pub(super) fn of(admin: Option<&Admin>) -> Result<Self, String> {
        let Some(admin) = admin else {
            return Ok(Self { door: Door::File, token: None, read_only: false });
        };
        let door = match &admin.address {
            SocketAddress::Unix(_) => Door::File,
            SocketAddress::Ip(address) if address.ip().is_loopback() => Door::Loopback,
            SocketAddress::Ip(_) | SocketAddress::Any(_) => Door::Network,
        };
        let token = admin.token_file.as_ref().map(|file| read_token(&file.value)).transpose()?;
        Ok(Self { door, token, read_only: admin.read_only })
    }

    /// Whether a call may be made.
    pub(super) fn check(&self, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
        if self.door != Door::File && !headers.get(header::HOST).is_none_or(is_safe_host) {
            return Err(Refusal::Host);
        }
        if is_cross_site(headers) {
            return Err(Refusal::CrossSite);
        }
        let changes = !matches!(*method, Method::GET | Method::HEAD);
        if changes && self.read_only {
            return Err(Refusal::ReadOnly);
        }
        match &self.token {
            Some(token) if changes || self.door == Door::Network => {
                if brings(headers, token) {
                    Ok(())
                } else {
                    Err(Refusal::Token)
                }
            }
            None if changes && self.door != Door::File => Err(Refusal::NoToken),
            _ => Ok(()),
        }
    }
}

impl Guard {
    /// Whether a call may be made that shows the configuration, in which there may be secrets: over TCP it needs the
    /// token as a change does.
    pub(super) fn check_shown(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        self.check(&Method::GET, headers)?;
        match &self.token {
            _ if self.door == Door::File => Ok(()),
            Some(token) if brings(headers, token) => Ok(()),
            Some(_) => Err(Refusal::Token),
            None => Err(Refusal::NoToken),
        }
    }
}

/// Reads a token; white space around it does not count.
pub(super) fn read_token(path: &Path) -> Result<Vec<u8>, String> {
    let fail = |why: &str| format!("admin token file {}: {why}", path.display());
    let facts = std::fs::metadata(path).map_err(|error| fail(&error.to_string()))?;
    if !facts.is_file() || facts.len() > TOKEN_MAX {
        return Err(fail("not a file that holds a token"));
    }
    let bytes = std::fs::read(path).map_err(|error| fail(&error.to_string()))?;
    let token = bytes.trim_ascii();
    if token.len() < TOKEN_MIN || !token.iter().all(u8::is_ascii_graphic) {
        return Err(fail("a token has at least 16 characters, without white space"));
    }
    Ok(token.to_vec())
}

fn is_safe_host(host: &HeaderValue) -> bool {
    let Ok(host) = host.to_str() else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

/// Browsers mark what a page makes them send; other clients send neither field.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site.is_some_and(|site| site != b"same-origin" && site != b"none") {
        return true;
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
    let own = origin.as_bytes().strip_prefix(b"http://");
    own.is_none() || own != host
}

fn brings(headers: &HeaderMap, token: &[u8]) -> bool {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return false };
    let Some((scheme, brought)) = value.as_bytes().split_at_checked(7) else { return false };
    scheme.eq_ignore_ascii_case(b"bearer ") && is_equal(brought, token)
}

/// Takes the same time wherever the two differ; the length of a token is no secret.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(one, other).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123";

    fn check(door: Door, token: bool, read_only: bool, call: &str) -> Result<(), Refusal> {
        let guard = Guard { door, token: token.then(|| TOKEN.as_bytes().to_vec()), read_only };
        let (method, fields) = call.split_once(' ').unwrap_or((call, ""));
        let mut headers = HeaderMap::new();
        for field in fields.split(" | ").filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once('=').unwrap();
            let name = header::HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.insert(name, value.parse().unwrap());
        }
        guard.check(&method.parse().unwrap(), &headers)
    }

    #[test]
    fn who_may_call() {
        use Door::{File, Loopback, Network};
        use Refusal::{CrossSite, Host, NoToken, ReadOnly, Token};
        let with = |call: &str| format!("{call} | authorization=Bearer {TOKEN}");
        let good = with("POST host=127.0.0.1:9901");
        let lower = format!("POST host=localhost | authorization=bearer {TOKEN}");
        let short = format!("POST host=localhost | authorization=Bearer {}", &TOKEN[1..]);
        let long = format!("POST host=localhost | authorization=Bearer {TOKEN}x");
        let basic = format!("POST host=localhost | authorization=Basic {TOKEN}");
        for (door, token, read_only, call, expect) in [
            (File, false, false, "GET", Ok(())),
            (File, false, false, "POST", Ok(())),
            (File, false, false, "POST host=anything.example", Ok(())),
            (File, false, true, "POST", Err(ReadOnly)),
            (File, false, true, "GET", Ok(())),
            (File, true, false, "POST host=x", Err(Token)),
            (File, true, false, "GET host=x", Ok(())),
            (File, false, false, "POST origin=http://evil.example", Err(CrossSite)),
            (Loopback, false, false, "GET host=127.0.0.1:9901", Ok(())),
            (Loopback, false, false, "GET host=localhost:9901", Ok(())),
            (Loopback, false, false, "GET host=[::1]:9901", Ok(())),
            (Loopback, false, false, "GET host=evil.example", Err(Host)),
            (Loopback, false, false, "GET host=127.0.0.1.evil.example:9901", Err(Host)),
            (Loopback, false, false, "GET host=localhost.evil.example", Err(Host)),
            (Loopback, false, false, "POST host=localhost", Err(NoToken)),
            (Loopback, true, false, &good, Ok(())),
            (Loopback, true, false, &lower, Ok(())),
            (Loopback, true, false, &short, Err(Token)),
            (Loopback, true, false, &long, Err(Token)),
            (Loopback, true, false, &basic, Err(Token)),
            (Loopback, true, false, "POST host=localhost | authorization=Bearer", Err(Token)),
            (Loopback, true, false, "POST host=localhost", Err(Token)),
            (Loopback, true, true, &good, Err(ReadOnly)),
            (Loopback, true, false, "GET host=localhost", Ok(())),
            (Network, true, false, "GET host=192.0.2.1", Err(Token)),
            (Network, true, false, &with("GET host=192.0.2.1"), Ok(())),
            (
                Loopback,
                true,
                false,
                &with("POST host=localhost | sec-fetch-site=cross-site"),
                Err(CrossSite),
            ),
            (
                Loopback,
                true,
                false,
                &with("POST host=localhost | sec-fetch-site=same-site"),
                Err(CrossSite),
            ),
            (
                Loopback,
                true,
                false,
                &with("POST host=localhost | sec-fetch-site=same-origin"),
                Ok(()),
            ),
            (Loopback, true, false, &with("POST host=localhost | origin=http://localhost"), Ok(())),
            (Loopback, true, false, &with("POST host=localhost | origin=null"), Err(CrossSite)),
            (
                Loopback,
                true,
                false,
                &with("POST host=localhost | origin=http://localhost:1"),
                Err(CrossSite),
            ),
        ] {
            assert_eq!(check(door, token, read_only, call), expect, "{call}");
        }
    }

    #[test]
    fn tokens_are_read_whole_or_refused() {
        let path = std::env::temp_dir().join(format!("doorman-token-{}", std::process::id()));
        for (text, fits) in [
            ("0123456789abcdef", true),
            ("  0123456789abcdef\n", true),
            ("short", false),
            ("", false),
            ("0123456789 abcdef", false),
            ("0123456789abcde\u{e9}f", false),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read_token(&path).is_ok(), fits, "{text:?}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(read_token(&path).is_err());
        assert!(read_token(Path::new("/dev/zero")).is_err());
    }
}
