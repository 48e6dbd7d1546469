//! URLs as people type them at a terminal.

use doorman_http::{Scheme, target};

/// A URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// `https` where none is written.
    pub scheme: Scheme,
    /// Host and port as written.
    pub authority: String,
    /// The written port, or the scheme's own.
    pub port: u16,
    /// Path and query; `/` where none is written.
    pub target: String,
}

impl Url {
    /// Takes a URL apart. A fragment never leaves a client, so it is cut off.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = match text.split_once("://") {
            None => (Scheme::Https, text),
            Some((scheme, rest)) => match Scheme::from_bytes(scheme.as_bytes()) {
                Some(scheme) => (scheme, rest),
                None => return Err(format!("`{scheme}` is neither http nor https")),
            },
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let known = target::authority(authority.as_bytes())
            .map_err(|error| format!("`{authority}` is not a host: {error}"))?;
        if authority.is_empty() {
            return Err(format!("`{text}` names no host"));
        }
        let rooted = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            scheme,
            authority: authority.to_owned(),
            port: known.port.unwrap_or(scheme.default_port()),
            target: format!("{rooted}{path}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let check = |text: &str, expect: &str| {
            let shown = match Url::parse(text) {
                Ok(url) => {
                    format!("{} {} {} {}", url.scheme.as_str(), url.authority, url.port, url.target)
                }
                Err(_) => "refused".to_owned(),
            };
            assert_eq!(shown, expect, "{text}");
        };
        check("https://a.example/", "https a.example 443 /");
        check("http://a.example:8080/x?y=1#z", "http a.example:8080 8080 /x?y=1");
        check("a.example?y", "https a.example 443 /?y");
        check("http://[::1]:80/", "http [::1]:80 80 /");
        check("HTTP://a.example", "http a.example 80 /");
        check("ftp://a.example/", "refused");
        check("http:///x", "refused");
        check("http://a b/", "refused");
        check("http://user@a/", "refused");
    }
}
