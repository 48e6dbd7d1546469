//! What a provider says of itself (OpenID Connect Discovery 1.0, RFC 8414).

use std::fmt;

use serde_json::Value;

use super::text::{Local, is_askable};
use crate::json;

/// Longest document that is read, in bytes; those of known providers have 2 to 10 KiB.
pub const DISCOVERY_BYTES_MAX: usize = 256 * 1024;

/// Where a provider is asked, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Who it is, as it stands in its tokens.
    pub issuer: Box<str>,
    /// Where browsers are sent to sign in.
    pub authorization_endpoint: Box<str>,
    /// Where codes and refresh tokens are changed for tokens, by us.
    pub token_endpoint: Box<str>,
    /// Where its keys are fetched.
    pub jwks_uri: Box<str>,
    /// Where browsers are sent to sign out (OpenID Connect RP-Initiated Logout 1.0), if it has that.
    pub end_session_endpoint: Option<Box<str>>,
    /// Whether its answers say who they are from (RFC 9207); those that then don't are refused.
    pub says_issuer: bool,
    /// How a client with a secret shows it.
    pub client_authentication: ClientAuthentication,
}

/// How a client with a secret shows it (RFC 6749 section 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// In `Authorization`, `client_secret_basic`: what every provider takes, where nothing else is said.
    Basic,
    /// In the form, `client_secret_post`.
    Post,
}

/// Why a document is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiscoveryError {
    /// It is longer than [`DISCOVERY_BYTES_MAX`].
    TooLong,
    /// It is no JSON object, or has a name twice.
    Json,
    /// `issuer` is not, byte by byte, the one that was asked: what it says here, shortened.
    Issuer(Box<str>),
    /// This member is missing, or is no URL over TLS.
    Url(&'static str),
    /// It does not take codes with `S256` (RFC 7636 section 4.3), without which a code that was stolen is a sign-in.
    NoChallenge,
}

impl fmt::Display for DiscoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => {
                write!(f, "the discovery document is longer than {DISCOVERY_BYTES_MAX} bytes")
            }
            Self::Json => {
                f.write_str("the discovery document is no JSON object, or has a name twice")
            }
            Self::Issuer(found) => write!(
                f,
                "the discovery document is of issuer {found:?}: write exactly that behind `oidc`, if it is the one"
            ),
            Self::Url(name) => {
                write!(f, "`{name}` of the discovery document is missing, or is no https:// URL")
            }
            Self::NoChallenge => f.write_str(
                "the provider does not take code_challenge_method S256, which is required",
            ),
        }
    }
}

impl std::error::Error for DiscoveryError {}

/// Where the document of an issuer is (OpenID Connect Discovery 1.0 section 4). `None`: the issuer is no URL over TLS,
/// nor one on this machine.
#[must_use]
pub fn discovery_url(issuer: &str) -> Option<String> {
    let is_issuer = is_askable(issuer, Local::Allowed) && !issuer.contains('?');
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    is_issuer.then(|| format!("{base}/.well-known/openid-configuration"))
}

impl Provider {
    /// Reads the document of that issuer.
    ///
    /// All URLs are over TLS; if the issuer is one on this machine without TLS, they may be that too.
    ///
    /// # Errors
    /// It is out of bounds, of another issuer, or names no endpoints that may be asked.
    pub fn read(text: &[u8], issuer: &str) -> Result<Self, DiscoveryError> {
        if text.len() > DISCOVERY_BYTES_MAX {
            return Err(DiscoveryError::TooLong);
        }
        let members = json::object(text).map_err(|_| DiscoveryError::Json)?;
        let found = json::text(&members, "issuer").unwrap_or_default();
        if found != issuer {
            return Err(DiscoveryError::Issuer(found.chars().take(200).collect()));
        }
        let local = if issuer.starts_with("http://") { Local::Allowed } else { Local::Refused };
        let optional = |name: &'static str| match members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(url)) if is_askable(url, local) => Ok(Some(Box::from(url.as_str()))),
            Some(_) => Err(DiscoveryError::Url(name)),
        };
        let url = |name: &'static str| optional(name)?.ok_or(DiscoveryError::Url(name));
        let list_has = |name: &str, word: &str| match members.get(name) {
            Some(Value::Array(words)) => Some(words.iter().any(|one| one == word)),
            _ => None,
        };
        // Many that take it don't say so; that is known when a code is changed.
        if list_has("code_challenge_methods_supported", "S256") == Some(false) {
            return Err(DiscoveryError::NoChallenge);
        }
        let methods = "token_endpoint_auth_methods_supported";
        let takes_post_alone = list_has(methods, "client_secret_basic") == Some(false)
            && list_has(methods, "client_secret_post") == Some(true);
        Ok(Self {
            issuer: issuer.into(),
            authorization_endpoint: url("authorization_endpoint")?,
            token_endpoint: url("token_endpoint")?,
            jwks_uri: url("jwks_uri")?,
            end_session_endpoint: optional("end_session_endpoint")?,
            says_issuer: members.get("authorization_response_iss_parameter_supported")
                == Some(&Value::Bool(true)),
            client_authentication: if takes_post_alone {
                ClientAuthentication::Post
            } else {
                ClientAuthentication::Basic
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        json!({
            "issuer": "https://id.test",
            "authorization_endpoint": "https://id.test/authorize",
            "token_endpoint": "https://id.test/token",
            "jwks_uri": "https://keys.test/jwks",
        })
    }

    fn read(changes: &Value) -> Result<Provider, DiscoveryError> {
        let mut document = document();
        for (name, value) in changes.as_object().expect("changes") {
            document[name] = value.clone();
        }
        Provider::read(document.to_string().as_bytes(), "https://id.test")
    }

    #[test]
    fn documents() {
        let plain = read(&json!({})).expect("a document");
        assert_eq!(plain.end_session_endpoint, None);
        assert!(!plain.says_issuer);
        assert_eq!(plain.client_authentication, ClientAuthentication::Basic);
        let rich = read(&json!({
            "end_session_endpoint": "https://id.test/logout",
            "authorization_response_iss_parameter_supported": true,
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            "code_challenge_methods_supported": ["plain", "S256"],
        }));
        let rich = rich.expect("a document");
        assert_eq!(rich.end_session_endpoint.as_deref(), Some("https://id.test/logout"));
        assert!(rich.says_issuer);
        assert_eq!(rich.client_authentication, ClientAuthentication::Post);
    }

    #[test]
    fn documents_that_are_none() {
        for (changes, expect) in [
            (
                json!({"issuer": "https://id.test/"}),
                DiscoveryError::Issuer("https://id.test/".into()),
            ),
            (
                json!({"issuer": "https://evil.test"}),
                DiscoveryError::Issuer("https://evil.test".into()),
            ),
            (json!({"issuer": 1}), DiscoveryError::Issuer("".into())),
            (
                json!({"token_endpoint": "http://id.test/token"}),
                DiscoveryError::Url("token_endpoint"),
            ),
            (
                json!({"token_endpoint": "http://127.0.0.1/token"}),
                DiscoveryError::Url("token_endpoint"),
            ),
            (json!({"jwks_uri": null}), DiscoveryError::Url("jwks_uri")),
            (json!({"jwks_uri": "file:///etc/passwd"}), DiscoveryError::Url("jwks_uri")),
            (
                json!({"authorization_endpoint": "javascript:x"}),
                DiscoveryError::Url("authorization_endpoint"),
            ),
            (json!({"end_session_endpoint": 3}), DiscoveryError::Url("end_session_endpoint")),
            (json!({"code_challenge_methods_supported": ["plain"]}), DiscoveryError::NoChallenge),
        ] {
            assert_eq!(read(&changes), Err(expect), "{changes}");
        }
        let check = |text: &[u8], expect| {
            assert_eq!(Provider::read(text, "https://id.test"), Err(expect));
        };
        check(b"<html>", DiscoveryError::Json);
        check(b"{\"issuer\":\"https://id.test\",\"issuer\":\"x\"}", DiscoveryError::Json);
        check(&[b' '; DISCOVERY_BYTES_MAX + 1], DiscoveryError::TooLong);
    }

    #[test]
    fn providers_on_this_machine() {
        let text = document().to_string().replace("https://id.test", "http://127.0.0.1:9000");
        let read = Provider::read(text.as_bytes(), "http://127.0.0.1:9000");
        assert!(read.is_ok_and(|provider| provider.jwks_uri.starts_with("https://")));
    }

    #[test]
    fn where_documents_are() {
        for (issuer, expect) in [
            ("https://id.test", Some("https://id.test/.well-known/openid-configuration")),
            ("https://id.test/", Some("https://id.test/.well-known/openid-configuration")),
            (
                "https://id.test/realms/a",
                Some("https://id.test/realms/a/.well-known/openid-configuration"),
            ),
            ("http://localhost:1", Some("http://localhost:1/.well-known/openid-configuration")),
            ("http://id.test", None),
            ("https://id.test?x", None),
            ("id.test", None),
        ] {
            assert_eq!(discovery_url(issuer).as_deref(), expect, "{issuer}");
        }
    }
}
