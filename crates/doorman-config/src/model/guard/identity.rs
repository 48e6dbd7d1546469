//! Who somebody is. The words are alternatives: a request that satisfies one of them passes.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::{ServerAddress, Setting, Span, Spanned};

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// `http://` or `https://`, a host, and perhaps a port, a path and a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    /// As written.
    pub written: String,
    /// Whom to ask; the port of the scheme where none was written.
    pub address: ServerAddress,
    /// Path and query; `/` where none was written.
    pub target: String,
}

/// A list of users or keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialList {
    /// The lines of this file.
    File(PathBuf),
    /// These lines, which `${...}` loaded.
    Lines(Secret),
}

/// A `basic-auth` block. It has at least one list or user.
#[derive(Clone, Debug)]
pub struct BasicAuth {
    /// Lists of `NAME:HASH` lines.
    pub lists: Vec<Spanned<CredentialList>>,
    /// Users, with the hashes of their passwords as crypt(3) writes them. No name comes twice.
    pub users: Vec<Spanned<(String, Secret)>>,
    /// What browsers show; printable ASCII without quotes.
    pub realm: Setting<String>,
    /// The field, in lower case, that tells the upstream the name; `None`: none does.
    pub forward: Setting<Option<String>>,
    /// The line.
    pub span: Span,
}

/// Where a key or a token is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialPlace {
    /// In a field, in lower case.
    Header {
        /// Its name.
        name: String,
        /// The word in front of it, such as `Bearer`.
        scheme: Option<String>,
    },
    /// In a parameter of the query.
    Query(String),
    /// In a cookie.
    Cookie(String),
}

/// An `api-key` block. It has at least one list or key.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Where keys are looked for, best first, at least one; `X-Api-Key`.
    pub places: Vec<CredentialPlace>,
    /// Lists of `NAME:sha256:HEX` lines.
    pub lists: Vec<Spanned<CredentialList>>,
    /// Names, and the SHA-256 of their keys. No name comes twice.
    pub keys: Vec<Spanned<(String, [u8; 32])>>,
    /// The field, in lower case, that tells the upstream the name; `None`: none does.
    pub forward: Setting<Option<String>>,
    /// The line.
    pub span: Span,
}

/// What tokens are checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwtKeys {
    /// Public keys (RFC 7517) that are fetched, over TLS or from this machine.
    Url(HttpUrl),
    /// Public keys of a file, JWKS (RFC 7517) or PEM.
    File(PathBuf),
    /// A secret that both sides have, of at least 32 bytes.
    Secret(Secret),
}

/// An algorithm of a token (RFC 7518 section 3.1, RFC 8037). There is no `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the RFC's")]
pub enum JwtAlgorithm {
    Es256,
    Es384,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    EdDsa,
    Hs256,
}

impl JwtAlgorithm {
    /// All of them; those of public keys first.
    pub const ALL: [JwtAlgorithm; 10] = [
        Self::Es256,
        Self::Es384,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::EdDsa,
        Self::Hs256,
    ];

    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
        }
    }

    /// Whether both sides have the same secret.
    #[must_use]
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256)
    }
}

/// A claim that must have one of some values; a list of it, one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRule {
    /// Its name.
    pub claim: String,
    /// The values, at least one.
    pub values: Vec<String>,
}

/// A claim that the upstream is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimForward {
    /// Its name.
    pub claim: String,
    /// The field, in lower case.
    pub field: String,
}

/// A `jwt` block.
#[derive(Clone, Debug)]
pub struct Jwt {
    /// What tokens are checked with.
    pub keys: Spanned<JwtKeys>,
    /// Who must have issued them; `None`: anybody who has the key.
    pub issuer: Option<Spanned<String>>,
    /// For whom they must be, one of these; empty: for anybody.
    pub audiences: Vec<Spanned<String>>,
    /// How they may be signed, at least one, all of the kind that the keys are of.
    pub algorithms: Setting<Vec<JwtAlgorithm>>,
    /// Where they are looked for, in order, at least one; `Authorization: Bearer`.
    pub places: Vec<CredentialPlace>,
    /// What they must say; all of these.
    pub claims: Vec<Spanned<ClaimRule>>,
    /// What the upstream is told.
    pub forward: Vec<Spanned<ClaimForward>>,
    /// How far clocks may differ; 30 s.
    pub leeway: Setting<Duration>,
    /// How often keys of a URL are fetched; 1 h.
    pub refresh: Setting<Duration>,
    /// Whose certificates are believed where keys are fetched; `None`: the authorities of the web.
    pub ca: Option<Spanned<PathBuf>>,
    /// Whether the upstream does not see the token.
    pub strip: Setting<bool>,
    /// The line.
    pub span: Span,
}
