//! Why a response is not stored, in a word for logs and in a sentence for people.

use std::fmt;

/// Why a response is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotStored {
    /// The request's method is not GET.
    Method,
    /// The status is none that is stored, or none that is stored unasked.
    Status(u16),
    /// The response says `must-understand`, and the meaning of its status is not known.
    NotUnderstood(u16),
    /// 206: a part is never stored as the whole.
    Partial,
    /// The response says `no-store`.
    NoStore,
    /// The response says `private`.
    Private,
    /// The request has `Authorization`, and the response does not say that it may be shared.
    Authorization,
    /// The response has `Set-Cookie`.
    SetCookie,
    /// `Vary: *`
    VaryStar,
    /// The request says `no-store`.
    RequestNoStore,
    /// The request has cookies, and the response does not say that it may be shared.
    Cookie,
    /// Nothing says how long it is fresh, and it has no validator.
    NoFreshness,
    /// It has expired already, or must always be validated, and it has no validator.
    NoValidator,
    /// The body is larger than what is stored.
    TooLarge,
    /// The body did not come whole.
    Incomplete,
    /// The body is in a content coding that the client did not accept.
    Coding,
    /// It has too few uses yet (`min-uses`).
    TooFewUses,
    /// A rule of the route says that this request goes past the cache.
    Bypass,
    /// The store has no room for it, or its disk fails.
    NoRoom,
}

impl NotStored {
    /// The word for logs, metrics and `Cache-Status`: lower case with hyphens.
    #[must_use]
    pub const fn word(self) -> &'static str {
        Self::WORDS[self.index()]
    }

    /// Every word, in an order that stays: for tables that count by reason.
    pub const WORDS: &'static [&'static str] = &[
        "method",
        "status",
        "not-understood",
        "partial",
        "no-store",
        "private",
        "authorization",
        "set-cookie",
        "vary-star",
        "request-no-store",
        "cookie",
        "no-freshness",
        "no-validator",
        "too-large",
        "incomplete",
        "coding",
        "too-few-uses",
        "bypass",
        "no-room",
    ];

    /// The place of the reason's word in [`NotStored::WORDS`].
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Method => 0,
            Self::Status(_) => 1,
            Self::NotUnderstood(_) => 2,
            Self::Partial => 3,
            Self::NoStore => 4,
            Self::Private => 5,
            Self::Authorization => 6,
            Self::SetCookie => 7,
            Self::VaryStar => 8,
            Self::RequestNoStore => 9,
            Self::Cookie => 10,
            Self::NoFreshness => 11,
            Self::NoValidator => 12,
            Self::TooLarge => 13,
            Self::Incomplete => 14,
            Self::Coding => 15,
            Self::TooFewUses => 16,
            Self::Bypass => 17,
            Self::NoRoom => 18,
        }
    }

    /// What it is, and what would change it, for people.
    #[must_use]
    pub const fn text(self) -> Text {
        Text(self)
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Method => "The request's method is not GET; only answers to GET are stored.",
            Self::Status(..200 | 304 | 600..) => "is never stored.",
            Self::Status(400..) => {
                "is not stored unasked; a `ttl` that names the status would allow it."
            }
            Self::Status(_) => {
                "is stored only if the response states its freshness or a `ttl` names the status."
            }
            Self::NotUnderstood(_) => {
                "is not known, and the response says must-understand; only its origin can change that."
            }
            Self::Partial => {
                "A 206 is a part; the whole is stored when it is asked for without Range."
            }
            Self::NoStore => "The response says no-store; only its origin can change that.",
            Self::Private => "The response says private; only its origin can change that.",
            Self::Authorization => {
                "The request has Authorization, and the response says neither public nor s-maxage \
                 nor must-revalidate; its origin would have to say one of them."
            }
            Self::SetCookie => {
                "Set-Cookie present and no rule allows it; `set-cookie strip` would store the \
                 response without it."
            }
            Self::VaryStar => {
                "Vary: * says that no later request is alike; only its origin can change that."
            }
            Self::RequestNoStore => {
                "The request says no-store; `client-control off` would not honour that."
            }
            Self::Cookie => {
                "The request has Cookie, and the response says neither public nor s-maxage nor has \
                 it a targeted field; its origin would have to, or `cookies ignore` would take \
                 cookies off."
            }
            Self::NoFreshness => {
                "Neither the response nor a rule says how long it is fresh, and it has no \
                 validator; Cache-Control: max-age, ETag or a `ttl` would change it."
            }
            Self::NoValidator => {
                "It has expired already or must always be validated, and it has no validator; \
                 its origin would have to send ETag or Last-Modified."
            }
            Self::TooLarge => "The body is larger than `max-object`.",
            Self::Incomplete => "The body did not come whole; what is cut is never stored.",
            Self::Coding => "The content coding is none that the client accepts.",
            Self::TooFewUses => "It has not been asked for as often as `min-uses` says.",
            Self::Bypass => "A rule of the route says that this request goes past the cache.",
            Self::NoRoom => "The store had no room for it or could not write it.",
        }
    }
}

/// A reason as a sentence; see [`NotStored::text`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text(NotStored);

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let NotStored::Status(status) | NotStored::NotUnderstood(status) = self.0 {
            write!(f, "Status {status} ")?;
        }
        f.write_str(self.0.sentence())
    }
}
