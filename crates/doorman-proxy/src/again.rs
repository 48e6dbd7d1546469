//! Why a request was sent again.

/// Why a request was sent again: a closed set of words in logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// A pooled connection was closed already.
    Stale,
    /// The server refused it before it processed it.
    Refused,
    /// There was no connection.
    Connect,
    /// No answer in time.
    Timeout,
    /// The server closed or reset before an answer.
    Reset,
    /// The answer was malformed.
    Malformed,
    /// The server said that the connection is not for this request (RFC 9110 section 15.5.20).
    Misdirected,
    /// The answer had this status.
    Status(u16),
}

impl Again {
    /// How many words there are.
    pub const COUNT: usize = 8;
    /// The words, in the order of [`Again::place`].
    pub const WORDS: [&'static str; Self::COUNT] =
        ["stale", "refused", "connect", "timeout", "reset", "malformed", "misdirected", "status"];

    /// Which word.
    #[must_use]
    pub const fn place(self) -> usize {
        match self {
            Self::Stale => 0,
            Self::Refused => 1,
            Self::Connect => 2,
            Self::Timeout => 3,
            Self::Reset => 4,
            Self::Malformed => 5,
            Self::Misdirected => 6,
            Self::Status(_) => 7,
        }
    }
}
