//! What a gate of this crate says: let pass, refuse, or work first.
//!
//! One decision shaped these words: a reason is a closed word, and everything about it (status, what the
//! log calls it, what the client is told) is settled here, so that two gates cannot answer the same
//! mistake in two ways. What a client is told never says which half of its credentials was wrong.

use std::fmt;
use std::sync::Arc;

use crate::basic::Job;
use crate::jwt::KeysWanted;

/// How somebody proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// A name and a password (RFC 7617).
    Basic,
    /// An API key.
    Key,
    /// A signed token (RFC 7519).
    Jwt,
    /// A session that an OpenID provider vouched for.
    Oidc,
    /// Another server was asked.
    Forward,
}

impl Via {
    /// The word in logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Key => "api-key",
            Self::Jwt => "jwt",
            Self::Oidc => "oidc",
            Self::Forward => "forward-auth",
        }
    }
}

/// Something that is said of somebody, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The claim's name, as its issuer wrote it.
    pub name: Box<str>,
    /// Its value as text. A list is its members with a comma between them.
    pub value: Box<str>,
}

/// Who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user's name. Never empty, and without control characters, so that it may become a field's value.
    pub user: Box<str>,
    /// How it was proved.
    pub via: Via,
    /// What else is known. Bounded by whoever made them.
    pub claims: Box<[Claim]>,
}

impl Identity {
    /// Somebody of whom no more than the name is known. `None` if the name is empty, or holds a control
    /// character and so cannot be told to an origin in a field.
    #[must_use]
    pub fn named(user: &str, via: Via) -> Option<Self> {
        let valid = !user.is_empty() && !user.chars().any(char::is_control);
        valid.then(|| Self { user: user.into(), via, claims: Box::default() })
    }

    /// The first claim of that name.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&str> {
        self.claims.iter().find(|claim| &*claim.name == name).map(|claim| &*claim.value)
    }
}

/// Why a request is refused. A new reason does not compile until its status, its word and its error code
/// are settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// There are no credentials, or none of the scheme that is asked for.
    NoCredentials,
    /// They are not those of anybody known: the name or the secret is wrong.
    BadCredentials,
    /// They cannot be read.
    MalformedCredentials,
    /// They are there twice: nobody knows which of them an origin would believe.
    DuplicateCredentials,
    /// They are longer than any that is known.
    CredentialsTooLong,
    /// Their time is over.
    Expired,
    /// Their time has not come.
    NotYetValid,
    /// A token is signed with a key that nobody knows.
    UnknownKey,
    /// A token's signature is not by its key.
    BadSignature,
    /// A token is signed in a way that is not allowed.
    BadAlgorithm,
    /// A token is by somebody who is not believed.
    BadIssuer,
    /// A token is for somebody else.
    BadAudience,
    /// They are good, and do not reach this far: a claim is missing, or has another value.
    NotAllowed,
    /// An answer of a sign-in is not to a question that we asked this client.
    BadState,
    /// The sign-in was broken off, or its server said no.
    SignInFailed,
    /// A browser sends this for another site (its `Sec-Fetch-Site` says so).
    CrossSite,
    /// A browser sends this from another origin (its `Origin` says so).
    CrossOrigin,
    /// More passwords are being checked than there is room for.
    Busy,
    /// Keys or servers that have to be asked cannot be reached.
    Unavailable,
    /// A server that was asked gave an answer that means nothing.
    BadAnswer,
}

impl Refusal {
    /// All of them, for those who count by them.
    pub const ALL: [Self; 20] = [
        Self::NoCredentials,
        Self::BadCredentials,
        Self::MalformedCredentials,
        Self::DuplicateCredentials,
        Self::CredentialsTooLong,
        Self::Expired,
        Self::NotYetValid,
        Self::UnknownKey,
        Self::BadSignature,
        Self::BadAlgorithm,
        Self::BadIssuer,
        Self::BadAudience,
        Self::NotAllowed,
        Self::BadState,
        Self::SignInFailed,
        Self::CrossSite,
        Self::CrossOrigin,
        Self::Busy,
        Self::Unavailable,
        Self::BadAnswer,
    ];

    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::NoCredentials
            | Self::BadCredentials
            | Self::MalformedCredentials
            | Self::CredentialsTooLong
            | Self::Expired
            | Self::NotYetValid
            | Self::UnknownKey
            | Self::BadSignature
            | Self::BadAlgorithm
            | Self::BadIssuer
            | Self::BadAudience => 401,
            Self::DuplicateCredentials | Self::BadState => 400,
            Self::NotAllowed | Self::SignInFailed | Self::CrossSite | Self::CrossOrigin => 403,
            Self::Busy | Self::Unavailable => 503,
            Self::BadAnswer => 502,
        }
    }

    /// The word in logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoCredentials => "no-credentials",
            Self::BadCredentials => "bad-credentials",
            Self::MalformedCredentials => "malformed-credentials",
            Self::DuplicateCredentials => "duplicate-credentials",
            Self::CredentialsTooLong => "credentials-too-long",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::UnknownKey => "unknown-key",
            Self::BadSignature => "bad-signature",
            Self::BadAlgorithm => "bad-algorithm",
            Self::BadIssuer => "bad-issuer",
            Self::BadAudience => "bad-audience",
            Self::NotAllowed => "not-allowed",
            Self::BadState => "bad-state",
            Self::SignInFailed => "sign-in-failed",
            Self::CrossSite => "cross-site",
            Self::CrossOrigin => "cross-origin",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::BadAnswer => "bad-answer",
        }
    }

    /// Whether somebody showed credentials that do not hold: what a ban counts. A client without any has
    /// only not been asked yet.
    #[must_use]
    pub const fn is_auth_failure(self) -> bool {
        match self {
            Self::BadCredentials
            | Self::MalformedCredentials
            | Self::DuplicateCredentials
            | Self::CredentialsTooLong
            | Self::UnknownKey
            | Self::BadSignature
            | Self::BadAlgorithm
            | Self::BadIssuer
            | Self::BadAudience
            | Self::BadState => true,
            Self::NoCredentials
            | Self::Expired
            | Self::NotYetValid
            | Self::NotAllowed
            | Self::SignInFailed
            | Self::CrossSite
            | Self::CrossOrigin
            | Self::Busy
            | Self::Unavailable
            | Self::BadAnswer => false,
        }
    }

    /// The error code of a Bearer challenge (RFC 6750 section 3.1); `None`: the client showed no token, and
    /// is told nothing but that it needs one.
    #[must_use]
    pub const fn bearer_error(self) -> Option<&'static str> {
        match self {
            Self::BadCredentials
            | Self::MalformedCredentials
            | Self::CredentialsTooLong
            | Self::Expired
            | Self::NotYetValid
            | Self::UnknownKey
            | Self::BadSignature
            | Self::BadAlgorithm
            | Self::BadIssuer
            | Self::BadAudience => Some("invalid_token"),
            Self::DuplicateCredentials => Some("invalid_request"),
            Self::NotAllowed => Some("insufficient_scope"),
            Self::NoCredentials
            | Self::BadState
            | Self::SignInFailed
            | Self::CrossSite
            | Self::CrossOrigin
            | Self::Busy
            | Self::Unavailable
            | Self::BadAnswer => None,
        }
    }

    /// The value of `WWW-Authenticate` in the answer, for the scheme that the gate asks for. Every 401 has
    /// one (RFC 9110 section 15.5.2); a 403 and a 400 have one where the scheme gives them an error code.
    #[must_use]
    pub fn challenge(self, challenge: &Challenge) -> Option<String> {
        let error = match challenge.scheme {
            Scheme::Bearer => self.bearer_error(),
            Scheme::Basic | Scheme::ApiKey | Scheme::Cookie => None,
        };
        match error {
            Some(error) => Some(format!("{}, error=\"{error}\"", challenge.value)),
            None => (self.status() == 401).then(|| challenge.value.to_string()),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// An authentication scheme (RFC 9110 section 11.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// RFC 7617.
    Basic,
    /// RFC 6750.
    Bearer,
    /// Not registered: a 401 has to name a scheme, and keys in fields of their own have none.
    ApiKey,
    /// Not registered either: a session in a cookie.
    Cookie,
}

/// What a client that is refused is asked for; made once, with the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    scheme: Scheme,
    value: Box<str>,
}

/// Longest realm, bytes: it stands in every answer that refuses.
pub const REALM_MAX: usize = 128;

/// Why a text cannot be a realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RealmError {
    /// Longer than [`REALM_MAX`].
    TooLong,
    /// Holds a byte that is not printable ASCII. Others have no agreed meaning there (RFC 7617 section 3).
    Byte,
}

impl fmt::Display for RealmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the realm is longer than {REALM_MAX} bytes; shorten it"),
            Self::Byte => f.write_str(
                "the realm holds a character that is not printable ASCII; write it with letters from A to Z",
            ),
        }
    }
}

impl std::error::Error for RealmError {}

impl Challenge {
    /// A challenge of this scheme for this realm, as a quoted string (RFC 9110 section 5.6.4).
    ///
    /// # Errors
    /// The realm cannot be one.
    pub fn new(scheme: Scheme, realm: &str) -> Result<Self, RealmError> {
        if realm.len() > REALM_MAX {
            return Err(RealmError::TooLong);
        }
        if !realm.bytes().all(|byte| (0x20..0x7F).contains(&byte)) {
            return Err(RealmError::Byte);
        }
        let realm = realm.replace('\\', "\\\\").replace('"', "\\\"");
        let value = match scheme {
            // Without the charset, old clients send Latin-1 (RFC 7617 section 2.1).
            Scheme::Basic => format!("Basic realm=\"{realm}\", charset=\"UTF-8\""),
            Scheme::Bearer => format!("Bearer realm=\"{realm}\""),
            Scheme::ApiKey => format!("ApiKey realm=\"{realm}\""),
            Scheme::Cookie => format!("Cookie realm=\"{realm}\""),
        };
        Ok(Self { scheme, value: value.into() })
    }
}

/// What a gate says of a request.
#[derive(Debug)]
#[must_use]
pub enum Outcome {
    /// Somebody known; shared, since most are known from an earlier request.
    Pass(Arc<Identity>),
    /// Nobody, for this reason.
    Refuse(Refusal),
    /// A password has to be hashed first, which takes long: run it where no request waits for it, and bring
    /// what it gives back to the gate's `finish`.
    Work(Job),
    /// A token names a key that isn't in its issuer's set, and the issuer may have a new one: fetch it if that
    /// may be now, and ask the gate again; else it is [`Refusal::UnknownKey`].
    Ask(KeysWanted),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_401_has_a_challenge_and_words_are_unlike() {
        for scheme in [Scheme::Basic, Scheme::Bearer, Scheme::ApiKey, Scheme::Cookie] {
            let challenge = Challenge::new(scheme, "r").unwrap();
            for refusal in Refusal::ALL {
                let has_one = refusal.challenge(&challenge).is_some();
                let wants_one = refusal.status() == 401
                    || scheme == Scheme::Bearer && refusal.bearer_error().is_some();
                assert_eq!(has_one, wants_one, "{refusal} of {scheme:?}");
            }
        }
        let words: std::collections::HashSet<_> = Refusal::ALL.map(Refusal::word).into();
        assert_eq!(words.len(), Refusal::ALL.len());
    }

    #[test]
    fn challenges() {
        for (scheme, realm, refusal, expect) in [
            // RFC 7617 sections 2 and 2.1.
            (
                Scheme::Basic,
                "WallyWorld",
                Refusal::NoCredentials,
                "Basic realm=\"WallyWorld\", charset=\"UTF-8\"",
            ),
            (
                Scheme::Basic,
                "a\"b\\c",
                Refusal::BadCredentials,
                "Basic realm=\"a\\\"b\\\\c\", charset=\"UTF-8\"",
            ),
            // RFC 6750 section 3: no error code for who showed nothing.
            (Scheme::Bearer, "example", Refusal::NoCredentials, "Bearer realm=\"example\""),
            (
                Scheme::Bearer,
                "example",
                Refusal::Expired,
                "Bearer realm=\"example\", error=\"invalid_token\"",
            ),
            (
                Scheme::Bearer,
                "",
                Refusal::NotAllowed,
                "Bearer realm=\"\", error=\"insufficient_scope\"",
            ),
            (
                Scheme::Bearer,
                "",
                Refusal::DuplicateCredentials,
                "Bearer realm=\"\", error=\"invalid_request\"",
            ),
            (Scheme::ApiKey, "x", Refusal::BadCredentials, "ApiKey realm=\"x\""),
        ] {
            let challenge = Challenge::new(scheme, realm).unwrap();
            let value = refusal.challenge(&challenge);
            assert_eq!(value.as_deref(), Some(expect));
            assert!(doorman_http::is_field_value(expect.as_bytes()));
        }
        let basic = Challenge::new(Scheme::Basic, "x").unwrap();
        assert_eq!(Refusal::NotAllowed.challenge(&basic), None);
        assert_eq!(Refusal::CrossSite.challenge(&basic), None);
    }

    #[test]
    fn realms_that_cannot_be() {
        for (realm, expect) in [
            ("a\r\nb", RealmError::Byte),
            ("tab\t", RealmError::Byte),
            ("Büro", RealmError::Byte),
            (&"x".repeat(REALM_MAX + 1), RealmError::TooLong),
        ] {
            assert_eq!(Challenge::new(Scheme::Basic, realm), Err(expect), "{realm:?}");
        }
        assert!(Challenge::new(Scheme::Basic, &"x".repeat(REALM_MAX)).is_ok());
    }

    #[test]
    fn names_that_cannot_be() {
        for bad in ["", "a\nb", "a\0", "a\u{7F}", "a\u{85}"] {
            assert_eq!(Identity::named(bad, Via::Basic), None, "{bad:?}");
        }
        assert!(Identity::named("Zoë", Via::Basic).is_some());
    }
}
