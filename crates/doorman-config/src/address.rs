//! Addresses of sites and servers, hosts, and paths of routes.

use std::net::IpAddr;

use crate::item::Text;
use crate::values::{Value, port_of, unix};
use crate::{
    Diagnostic, HostPattern, PathPattern, Scheme, Segment, ServerAddress, ServerHost, SourceMap,
    Spanned,
};

/// The address of a site as written; scheme and port may be open.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) scheme: Option<Scheme>,
    pub(crate) host: HostPattern,
    pub(crate) port: Option<u16>,
}

fn wrong(code: &'static str, text: &Text, expected: &str) -> Diagnostic {
    Diagnostic::error(code, text.span, format!("`{}` is not {expected}", text.shown()))
}

/// `[http://|https://]HOST[:PORT]` or `:PORT`.
pub(crate) fn site(text: &Text) -> Value<Written> {
    let (scheme, rest) = scheme_of(&text.text);
    if rest.contains('/') {
        let error = wrong("E0305", text, "the address of a site");
        return Err(error.help("a site has no path: paths belong to its routes"));
    }
    let (host, port) = split_port(rest).ok_or_else(|| {
        wrong("E0305", text, "the address of a site").help("a port is a number from 1 to 65535")
    })?;
    let host = match host {
        "" if port.is_some() => HostPattern::Any,
        host => self::host(host)
            .map_err(|reason| wrong("E0305", text, "the address of a site").help(reason))?,
    };
    Ok(Spanned::new(Written { scheme, host, port }, text.span))
}

/// A host of a condition.
pub(crate) fn host_pattern(text: &Text) -> Value<HostPattern> {
    match host(&text.text) {
        Ok(host) => Ok(Spanned::new(host, text.span)),
        Err(reason) => Err(wrong("E0305", text, "a host").help(reason)),
    }
}

/// `[http://|https://]HOST:PORT`, a port, `unix:PATH`.
pub(crate) fn server(text: &Text, sources: &SourceMap) -> Value<ServerAddress> {
    let word = text.text.as_str();
    if let Some(path) = word.strip_prefix("unix:") {
        let path = unix(text, path, sources)?.value;
        let host = ServerHost::Unix(path);
        return Ok(Spanned::new(ServerAddress { scheme: Scheme::Http, host }, text.span));
    }
    if let Some(port) = port_of(word) {
        let host = ServerHost::Ip { ip: IpAddr::from([127, 0, 0, 1]), port };
        return Ok(Spanned::new(ServerAddress { scheme: Scheme::Http, host }, text.span));
    }
    let (written, rest) = scheme_of(word);
    let error = || wrong("E0305", text, "the address of a server");
    let forms = "write 10.0.0.1:3000, https://api.internal:8443, 3000 for a port of this machine, or unix:/path";
    let rest = rest.strip_suffix('/').filter(|_| written.is_some()).unwrap_or(rest);
    if rest.contains('/') {
        return Err(error()
            .help("a server has no path: use `rewrite` or `strip-prefix` to change the path"));
    }
    let (host, port) = split_port(rest).ok_or_else(|| error().help(forms))?;
    let scheme = written.unwrap_or(Scheme::Http);
    let port = match (port, written) {
        (Some(port), _) => port,
        (None, Some(Scheme::Http)) => 80,
        (None, Some(Scheme::Https)) => 443,
        (None, None) => return Err(error().help("its port is missing").help(forms)),
    };
    let host = match self::host(host) {
        Ok(HostPattern::Ip(ip)) => ServerHost::Ip { ip, port },
        Ok(HostPattern::Name(name)) => ServerHost::Name { name, port },
        Ok(HostPattern::Any | HostPattern::Wildcard(_)) => {
            return Err(error().help("a server is one host"));
        }
        Err(reason) => return Err(error().help(reason).help(forms)),
    };
    Ok(Spanned::new(ServerAddress { scheme, host }, text.span))
}

fn scheme_of(text: &str) -> (Option<Scheme>, &str) {
    if let Some(rest) = text.strip_prefix("http://") {
        (Some(Scheme::Http), rest)
    } else if let Some(rest) = text.strip_prefix("https://") {
        (Some(Scheme::Https), rest)
    } else {
        (None, text)
    }
}

/// `HOST[:PORT]`; an IPv6 address with a port stands in brackets.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return Some((text, None));
    }
    let after_host = match text.strip_prefix('[') {
        Some(inner) => inner.find(']')? + 2,
        None => text.rfind(':').unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at_checked(after_host)?;
    match rest.strip_prefix(':') {
        Some(port) => Some((host, Some(port_of(port)?))),
        None if rest.is_empty() => Some((host, None)),
        None => None,
    }
}

/// A name, `*.name`, `*` or an IP address. The error is a hint.
fn host(text: &str) -> Result<HostPattern, String> {
    if text == "*" {
        return Ok(HostPattern::Any);
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Ok(ip) = bare.unwrap_or(text).parse::<IpAddr>() {
        return Ok(HostPattern::Ip(ip));
    }
    let (name, wild) = match text.strip_prefix("*.") {
        Some(name) => (name, true),
        None => (text, false),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if !name.is_ascii() {
        return Err("a name with other letters than a to z is written in its xn-- form".to_owned());
    }
    if name.contains('*') {
        return Err("`*` stands only in front, as in *.example.com".to_owned());
    }
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or("");
    let number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    if name.len() > 253 || number || !name.split('.').all(label) {
        return Err("a host is a DNS name, *.NAME, an IP address or *".to_owned());
    }
    let name = name.to_ascii_lowercase();
    Ok(if wild { HostPattern::Wildcard(name) } else { HostPattern::Name(name) })
}

/// `/exact`, `/prefix/*`, `/a/*/b`, `*`.
pub(crate) fn path(text: &Text) -> Value<PathPattern> {
    let word = text.text.as_str();
    if word == "*" {
        return Ok(Spanned::new(PathPattern::Any, text.span));
    }
    let error = || wrong("E0311", text, "a path");
    let Some(inner) = word.strip_prefix('/') else {
        let error = error();
        return Err(if word.starts_with('~') {
            error.help("a space stands between ~ and its regex")
        } else {
            error.help("a path is /exact, /prefix/*, /a/*/b, * or ~ REGEX")
        });
    };
    if word.contains(['?', '#']) {
        return Err(error().help("the query is not part of it: use `when query NAME VALUE`"));
    }
    if word.chars().any(|c| c.is_control() || c == ' ' || c == '{' || c == '}') {
        return Err(error()
            .help("a path is written as it stands in a request; there are no placeholders in it"));
    }
    let mut segments: Vec<&str> = inner.split('/').collect();
    if segments.iter().any(|segment| matches!(*segment, "." | "..")) {
        return Err(error()
            .help("no request ever has `.` or `..` as a segment: paths are put in order first"));
    }
    if doorman_http::path::normalise(word.as_bytes(), &mut Vec::new()).is_err() {
        return Err(error().help("a `%` begins two hexadecimal digits: %20"));
    }
    // The last segment is empty in `/a/`; elsewhere an empty one is merged away in every request.
    let inner_count = segments.len().saturating_sub(1);
    if segments.iter().take(inner_count).any(|segment| segment.is_empty()) {
        return Err(error().help("no request ever has an empty segment: `//` is read as `/`"));
    }
    if segments.iter().any(|segment| segment.contains('*') && *segment != "*") {
        return Err(error().help("`*` stands for a whole segment; for parts of one use `~ REGEX`"));
    }
    let open = segments.last() == Some(&"*");
    if open {
        segments.pop();
    }
    let pattern = if segments.contains(&"*") {
        let segment = |text: &str| match text {
            "*" => Segment::Any,
            text => Segment::Text(text.to_owned()),
        };
        PathPattern::Wildcard { segments: segments.into_iter().map(segment).collect(), open }
    } else if open {
        PathPattern::Prefix(segments.iter().map(|segment| format!("/{segment}")).collect())
    } else {
        PathPattern::Exact(word.to_owned())
    };
    Ok(Spanned::new(pattern, text.span))
}
