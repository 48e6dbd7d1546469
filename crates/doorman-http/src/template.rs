//! Text with placeholders that are filled in when a request comes: `{host}`, `{header.N}` ...
//!
//! A template is parsed once, when a configuration is loaded, and expanded in a single pass:
//! what a placeholder yields is never read for placeholders again.

use std::fmt;

/// Something of a request that a template may name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Placeholder {
    /// `{host}`: lower case, without port.
    Host,
    /// `{port}`: of the listener.
    Port,
    /// `{authority}`: host and port as the client wrote them.
    Authority,
    /// `{scheme}`
    Scheme,
    /// `{method}`
    Method,
    /// `{path}`: in normal form.
    Path,
    /// `{query}`: without question mark, empty if there is none.
    Query,
    /// `{uri}`: path, and query with its question mark.
    Uri,
    /// `{protocol}`
    Protocol,
    /// `{client-ip}`
    ClientIp,
    /// `{client-port}`
    ClientPort,
    /// `{request-id}`
    RequestId,
    /// `{client-cert-subject}`: of the certificate that the client showed; empty if it showed none.
    ClientCertSubject,
    /// `{client-cert-issuer}`
    ClientCertIssuer,
    /// `{client-cert-serial}`
    ClientCertSerial,
    /// `{client-cert-fingerprint}`: SHA-256.
    ClientCertFingerprint,
    /// `{header.NAME}`: first value, empty if absent.
    Header(Box<str>),
    /// `{cookie.NAME}`
    Cookie(Box<str>),
    /// `{query.NAME}`
    QueryParameter(Box<str>),
    /// `{1}` to `{9}`: a group of the rewrite's or the route's expression.
    Group(u8),
}

/// Every placeholder's name, in the order in which help shows them.
pub const NAMES: &[&str] = &[
    "host",
    "port",
    "authority",
    "scheme",
    "method",
    "path",
    "query",
    "uri",
    "protocol",
    "client-ip",
    "client-port",
    "request-id",
    "client-cert-subject",
    "client-cert-issuer",
    "client-cert-serial",
    "client-cert-fingerprint",
    "header.NAME",
    "cookie.NAME",
    "query.NAME",
    "1",
];

impl Placeholder {
    /// Whether it tells who the client proved to be.
    #[must_use]
    pub const fn is_client_cert(&self) -> bool {
        matches!(
            self,
            Self::ClientCertSubject
                | Self::ClientCertIssuer
                | Self::ClientCertSerial
                | Self::ClientCertFingerprint
        )
    }

    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "host" => Self::Host,
            "port" => Self::Port,
            "authority" => Self::Authority,
            "scheme" => Self::Scheme,
            "method" => Self::Method,
            "path" => Self::Path,
            "query" => Self::Query,
            "uri" => Self::Uri,
            "protocol" => Self::Protocol,
            "client-ip" => Self::ClientIp,
            "client-port" => Self::ClientPort,
            "request-id" => Self::RequestId,
            "client-cert-subject" => Self::ClientCertSubject,
            "client-cert-issuer" => Self::ClientCertIssuer,
            "client-cert-serial" => Self::ClientCertSerial,
            "client-cert-fingerprint" => Self::ClientCertFingerprint,
            _ => {
                if let [digit @ b'1'..=b'9'] = name.as_bytes() {
                    return Some(Self::Group(digit - b'0'));
                }
                let (kind, rest) = name.split_once('.')?;
                if !crate::is_token(rest.as_bytes()) {
                    return None;
                }
                match kind {
                    "header" => Self::Header(rest.to_ascii_lowercase().into()),
                    "cookie" => Self::Cookie(rest.into()),
                    "query" => Self::QueryParameter(rest.into()),
                    _ => return None,
                }
            }
        })
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("{host}"),
            Self::Port => f.write_str("{port}"),
            Self::Authority => f.write_str("{authority}"),
            Self::Scheme => f.write_str("{scheme}"),
            Self::Method => f.write_str("{method}"),
            Self::Path => f.write_str("{path}"),
            Self::Query => f.write_str("{query}"),
            Self::Uri => f.write_str("{uri}"),
            Self::Protocol => f.write_str("{protocol}"),
            Self::ClientIp => f.write_str("{client-ip}"),
            Self::ClientPort => f.write_str("{client-port}"),
            Self::RequestId => f.write_str("{request-id}"),
            Self::ClientCertSubject => f.write_str("{client-cert-subject}"),
            Self::ClientCertIssuer => f.write_str("{client-cert-issuer}"),
            Self::ClientCertSerial => f.write_str("{client-cert-serial}"),
            Self::ClientCertFingerprint => f.write_str("{client-cert-fingerprint}"),
            Self::Header(name) => write!(f, "{{header.{name}}}"),
            Self::Cookie(name) => write!(f, "{{cookie.{name}}}"),
            Self::QueryParameter(name) => write!(f, "{{query.{name}}}"),
            Self::Group(n) => write!(f, "{{{n}}}"),
        }
    }
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Text as it stands.
    Text(Box<str>),
    /// Filled in from the request.
    Value(Placeholder),
}

/// Text with placeholders.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Template {
    parts: Vec<Part>,
}

/// A placeholder that does not exist, or a brace that does not close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// Byte offset of the opening brace.
    pub offset: usize,
    /// What stands between the braces; `None` when no brace closes it.
    pub name: Option<String>,
}

impl Template {
    /// Reads a template. `{{` and `}}` stand for a brace.
    ///
    /// # Errors
    /// The first placeholder that is unknown or does not close.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let offset = text.len() - rest.len() + at;
            plain.push_str(&rest[..at]);
            let brace = &rest[at..];
            if brace.starts_with("{{") || brace.starts_with("}}") {
                plain.push_str(&brace[..1]);
                rest = &brace[2..];
            } else if let Some(open) = brace.strip_prefix('{') {
                let close = open.find('}').ok_or(TemplateError { offset, name: None })?;
                let placeholder = Placeholder::parse(&open[..close]).ok_or_else(|| {
                    TemplateError { offset, name: Some(open[..close].to_owned()) }
                })?;
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain).into()));
                }
                parts.push(Part::Value(placeholder));
                rest = &open[close + 1..];
            } else {
                return Err(TemplateError { offset, name: None });
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        Ok(Self { parts })
    }

    /// The pieces, in order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The text, if no placeholder is in it.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Part::Value(placeholder) => write!(f, "{placeholder}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        for text in
            ["", "plain", "https://{host}{uri}", "{header.x-a}{cookie.s}{query.q}{1}", "{{x}}"]
        {
            assert_eq!(Template::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Template::parse("a{{b}}").unwrap().as_text(), Some("a{b}"));
        assert_eq!(Template::parse("{host}").unwrap().as_text(), None);
        for (text, offset, name) in [
            ("a{hots}", 1, Some("hots")),
            ("{host", 0, None),
            ("a}", 1, None),
            ("{header.}", 0, Some("header.")),
            ("{header.a b}", 0, Some("header.a b")),
            ("{0}", 0, Some("0")),
        ] {
            let name = name.map(str::to_owned);
            assert_eq!(Template::parse(text), Err(TemplateError { offset, name }), "{text}");
        }
    }
}
