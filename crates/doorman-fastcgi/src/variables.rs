//! The meta-variables of a request: those of RFC 3875 section 4.1, and those that applications have
//! come to expect from web servers.
//!
//! A field of the request becomes a variable only if no other field could become the same one: CGI
//! cannot tell `-` from `_`, so a name with anything but letters, digits and hyphens is left out, and
//! so is `Proxy`, which would set the proxy of the application's own requests (CVE-2016-5385).

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use doorman_http::{FieldId, IpText, RequestHead, Scheme, Version, path};

use crate::Script;
use crate::pairs::write_pair;

/// What is asked of an application.
pub struct Asked<'a> {
    /// Method, target and fields, edits included.
    pub head: &'a RequestHead,
    /// What `Host` says.
    pub host: &'a [u8],
    /// The script that the path names.
    pub script: &'a Script,
    /// The folder of the scripts as the application sees it, without a slash at its end; empty if it
    /// is not known.
    pub root: &'a str,
    /// Who asks.
    pub client: Option<IpAddr>,
    /// The port that the client asks from, where that is known.
    pub client_port: Option<u16>,
    /// Our end of the client's connection.
    pub server: Option<SocketAddr>,
    /// Bytes of the request's body, if there is one.
    pub content_length: Option<u64>,
}

/// Appends the variables as name-value pairs, and `more` behind them; a name in `more` takes the
/// place of one of ours.
pub fn write_variables<N: AsRef<str>, V: AsRef<[u8]>>(
    out: &mut Vec<u8>,
    asked: &Asked<'_>,
    more: &[(N, V)],
) {
    let mut writer = Writer { out, more };
    writer.server(asked);
    writer.script(asked);
    writer.request(asked);
    writer.fields(asked);
    for (name, value) in more {
        write_pair(writer.out, name.as_ref().as_bytes(), value.as_ref());
    }
}

struct Writer<'a, N, V> {
    out: &'a mut Vec<u8>,
    more: &'a [(N, V)],
}

impl<N: AsRef<str>, V> Writer<'_, N, V> {
    fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        if !self.more.iter().any(|(other, _)| other.as_ref() == name) {
            write_pair(self.out, name.as_bytes(), value.as_ref());
        }
    }

    fn server(&mut self, asked: &Asked<'_>) {
        self.add("GATEWAY_INTERFACE", "CGI/1.1");
        self.add("SERVER_SOFTWARE", "doorman");
        self.add("SERVER_PROTOCOL", protocol(asked.head.version));
        let address = asked.server.map(|server| IpText::new(server.ip().to_canonical()));
        let address = address.as_ref().map_or("", IpText::as_str);
        match asked.head.host() {
            b"" => self.add("SERVER_NAME", address),
            host => self.add("SERVER_NAME", host),
        }
        let mut digits = String::new();
        if let Some(server) = asked.server {
            let _ = write!(digits, "{}", server.port());
        }
        self.add("SERVER_ADDR", address);
        self.add("SERVER_PORT", &digits);
        self.add("REQUEST_SCHEME", asked.head.scheme.as_str());
        if asked.head.scheme == Scheme::Https {
            self.add("HTTPS", "on");
        }
    }

    fn script(&mut self, asked: &Asked<'_>) {
        let Script { name, info } = asked.script;
        self.add("SCRIPT_NAME", name);
        self.add("DOCUMENT_URI", [&name[..], info].concat());
        if !info.is_empty() {
            self.add("PATH_INFO", info);
        }
        if !asked.root.is_empty() {
            let root = asked.root.as_bytes();
            self.add("DOCUMENT_ROOT", root);
            self.add("SCRIPT_FILENAME", [root, name].concat());
            if !info.is_empty() {
                self.add("PATH_TRANSLATED", [root, info].concat());
            }
        }
        // PHP's command line interpreter takes a request without it for an attack.
        self.add("REDIRECT_STATUS", "200");
    }

    fn request(&mut self, asked: &Asked<'_>) {
        let head = asked.head;
        self.add("REQUEST_METHOD", head.method.as_str());
        self.add("QUERY_STRING", head.query().unwrap_or_default());
        self.add("REQUEST_URI", request_uri(head));
        let client = asked.client.map(IpText::new);
        self.add("REMOTE_ADDR", client.as_ref().map_or("", IpText::as_str));
        if let Some(port) = asked.client_port {
            self.add("REMOTE_PORT", port.to_string());
        }
        if let Some(length) = asked.content_length {
            self.add("CONTENT_LENGTH", length.to_string());
        }
        if let Some(kind) = head.fields.first(FieldId::ContentType) {
            self.add("CONTENT_TYPE", kind);
        }
    }

    fn fields(&mut self, asked: &Asked<'_>) {
        let fields = &asked.head.fields;
        let mut variable = String::new();
        let mut value = Vec::new();
        if !asked.host.is_empty() {
            self.add("HTTP_HOST", asked.host);
        }
        for (at, (id, name, first)) in fields.iter().enumerate() {
            let own = matches!(id, FieldId::Host | FieldId::ContentType | FieldId::Expect);
            let plain = name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
            if own || id.is_hop_by_hop() || !plain || name.eq_ignore_ascii_case(b"proxy") {
                continue;
            }
            let same = |other: &[u8]| other.eq_ignore_ascii_case(name);
            if fields.iter().take(at).any(|(_, other, _)| same(other)) {
                continue;
            }
            variable.clear();
            variable.push_str("HTTP_");
            variable.extend(name.iter().map(|&byte| match byte {
                b'-' => '_',
                byte => char::from(byte.to_ascii_uppercase()),
            }));
            value.clear();
            value.extend_from_slice(first);
            // One variable has room for one value (RFC 3875 section 4.1.18).
            let separator: &[u8] = if id == FieldId::Cookie { b"; " } else { b", " };
            for (_, _, next) in fields.iter().skip(at + 1).filter(|(_, other, _)| same(other)) {
                value.extend_from_slice(separator);
                value.extend_from_slice(next);
            }
            self.add(&variable, &value);
        }
    }
}

/// With the minor version that RFC 3875 section 4.1.16 asks for.
const fn protocol(version: Version) -> &'static str {
    match version {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
        Version::Http2 => "HTTP/2.0",
        Version::Http3 => "HTTP/3.0",
    }
}

/// What the client asked for, without our edits but in the normal form: an application that chooses
/// by it must not see another path than the rules that let the request pass.
fn request_uri(head: &RequestHead) -> Vec<u8> {
    let mut uri = Vec::with_capacity(head.received_path().len());
    if path::normalise(head.received_path(), &mut uri).is_err() {
        uri.clear();
        uri.extend_from_slice(head.path());
    }
    if let Some(query) = head.received_query() {
        uri.push(b'?');
        uri.extend_from_slice(query);
    }
    uri
}
