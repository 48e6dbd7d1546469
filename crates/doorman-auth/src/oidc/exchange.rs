//! Codes and refresh tokens changed for tokens (RFC 6749 sections 4.1.3 and 6), and what the answers say.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::digest;
use serde_json::{Map, Value};

use super::Settings;
use super::discovery::{ClientAuthentication, Provider};
use super::text::{basic, parameter};
use crate::jwt::{Good, is_for};
use crate::outcome::Refusal;
use crate::{base64url, json};

/// Longest answer of a token endpoint that is read, in bytes.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// `Content-Type` of a [`TokenRequest`].
pub const FORM: &str = "application/x-www-form-urlencoded";

/// A POST to the token endpoint, which the shell makes: with `Content-Type` [`FORM`] and `Accept: application/json`,
/// following no redirect.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// Where.
    pub url: Box<str>,
    /// The value of `Authorization`, if there is one.
    pub authorization: Option<String>,
    /// The form.
    pub body: String,
}

impl fmt::Debug for TokenRequest {
    /// Without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRequest").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What came back: the status and at most [`ANSWER_BYTES_MAX`] bytes; no answer is a status of 0.
#[derive(Clone, Copy, Debug)]
pub struct TokenAnswer<'a> {
    /// The status.
    pub status: u16,
    /// The content.
    pub body: &'a [u8],
}

impl TokenRequest {
    /// With these members of the form, and what shows who asks.
    pub(super) fn new(settings: &Settings, provider: &Provider, form: &[(&str, &str)]) -> Self {
        let mut body = String::new();
        for (name, value) in form {
            let first = if body.is_empty() { "" } else { "&" };
            parameter(&mut body, first, name, value);
        }
        let id = &settings.client_id;
        let mut authorization = None;
        match (&settings.client_secret, provider.client_authentication) {
            (Some(secret), ClientAuthentication::Basic) => authorization = Some(basic(id, secret)),
            (Some(secret), ClientAuthentication::Post) => {
                parameter(&mut body, "&", "client_id", id);
                parameter(&mut body, "&", "client_secret", secret);
            }
            (None, _) => parameter(&mut body, "&", "client_id", id),
        }
        Self { url: provider.token_endpoint.clone(), authorization, body }
    }
}

/// What a good answer holds.
pub(super) struct Tokens {
    pub(super) access: String,
    pub(super) id: Option<String>,
    pub(super) refresh: Option<String>,
    /// Seconds.
    pub(super) lasts: Option<u64>,
}

/// Why an answer holds none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoTokens {
    /// The provider says no: its word for it.
    Denied(Box<str>),
    /// It cannot be asked now.
    Unavailable,
    /// What it says means nothing.
    Meaningless,
}

impl NoTokens {
    pub(super) fn refusal(&self) -> Refusal {
        match self {
            Self::Denied(_) => Refusal::SignInFailed,
            Self::Unavailable => Refusal::Unavailable,
            Self::Meaningless => Refusal::BadAnswer,
        }
    }
}

impl TokenAnswer<'_> {
    pub(super) fn read(self) -> Result<Tokens, NoTokens> {
        let members = || {
            let is_bounded = self.body.len() <= ANSWER_BYTES_MAX;
            is_bounded.then(|| json::object(self.body).ok()).flatten()
        };
        match self.status {
            200 => {}
            // A client that is refused (401) is the operator's mistake, and no reason to end a session.
            400 => {
                let error = members().and_then(|members| json::text(&members, "error").map(said));
                return Err(error.map_or(NoTokens::Meaningless, NoTokens::Denied));
            }
            _ => return Err(NoTokens::Unavailable),
        }
        let members = members().ok_or(NoTokens::Meaningless)?;
        let text = |name: &str| json::text(&members, name).map(str::to_owned);
        let is_bearer = json::text(&members, "token_type")
            .is_some_and(|kind| kind.eq_ignore_ascii_case("Bearer"));
        let access = text("access_token").filter(|_| is_bearer).ok_or(NoTokens::Meaningless)?;
        // Some write a number as a text.
        let lasts = members.get("expires_in").and_then(|lasts| match lasts {
            Value::String(digits) => digits.parse().ok(),
            number => number.as_u64(),
        });
        Ok(Tokens { access, id: text("id_token"), refresh: text("refresh_token"), lasts })
    }
}

/// An error code of a provider as a log may hold it.
pub(super) fn said(error: &str) -> Box<str> {
    error.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect()
}

/// What OpenID Connect Core 1.0 section 3.1.3.7 asks of an ID token beyond signature, issuer, audience and times.
pub(super) fn check_id_token(
    good: &Good,
    client_id: &str,
    nonce: Option<&str>,
    access: &str,
) -> Result<(), Refusal> {
    let claims = &good.claims;
    if crate::jwt::date(claims, "iat")?.is_none() || json::text(claims, "sub").is_none() {
        return Err(Refusal::BadAnswer);
    }
    check_party(claims, client_id)?;
    if nonce.is_some_and(|nonce| json::text(claims, "nonce") != Some(nonce)) {
        return Err(Refusal::BadState);
    }
    match claims.get("at_hash") {
        None => Ok(()),
        Some(Value::String(hash)) if *hash == half_hash(good, access) => Ok(()),
        Some(_) => Err(Refusal::BadAnswer),
    }
}

/// Who it was issued to: us, whoever else may hear of it.
fn check_party(claims: &Map<String, Value>, client_id: &str) -> Result<(), Refusal> {
    if !is_for(claims.get("aud"), client_id) {
        return Err(Refusal::BadAudience);
    }
    let is_for_others = matches!(claims.get("aud"), Some(Value::Array(list)) if list.len() > 1);
    match claims.get("azp") {
        Some(Value::String(party)) if party == client_id => Ok(()),
        None if !is_for_others => Ok(()),
        _ => Err(Refusal::BadAudience),
    }
}

/// The left half of the hash of an access token (section 3.1.3.6).
fn half_hash(good: &Good, access: &str) -> String {
    let hash = digest(good.algorithm.digest(), access.as_bytes());
    let hash = hash.as_ref();
    base64url::text(&hash[..hash.len() / 2])
}

/// Whether two secrets are the same, in a time that says nothing of where they differ.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}
