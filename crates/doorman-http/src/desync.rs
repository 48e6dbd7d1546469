//! What of a request two readers could understand in different ways, and what becomes of it.
//!
//! A request that a proxy and an origin read differently is how one client's bytes become another's request. Classes
//! and modes are those that AWS uses for its balancers. Codecs here refuse more than the mode asks for: what is severe,
//! and most of what is ambiguous, is no request in any mode. Modes decide about the rest.

/// How dangerous something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Not quite as the RFC has it, and read alike by everybody.
    Acceptable,
    /// Some readers may take it for something else.
    Ambiguous,
    /// There is no telling where the request ends, or what it is.
    Severe,
}

impl Class {
    /// The word in logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Acceptable => "acceptable",
            Self::Ambiguous => "ambiguous",
            Self::Severe => "severe",
        }
    }
}

/// What is odd about a request: a closed set of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Anomaly {
    /// An empty line ahead of the request (RFC 9112 section 2.2).
    EmptyLine,
    /// `Content-Length: 0` of a GET or HEAD.
    ZeroLength,
    /// A byte beyond ASCII in a field (RFC 9110 section 5.5).
    NonAscii,
    /// A name that some readers take for that of a known field: `X_Forwarded_For`. It is not passed on.
    ImitatedField,
    /// A name that some readers take for `Content-Length` or `Transfer-Encoding`. It is not passed on.
    ImitatedFraming,
    /// Content of a GET or HEAD, for which nobody has said what it means (RFC 9110 section 9.3.1).
    UndefinedBody,
    /// A target in absolute form that names another host than `Host` (RFC 9112 section 3.2.2).
    TwoHosts,
    /// `Content-Length` beside `Transfer-Encoding`.
    LengthAndCoding,
    /// More empty lines ahead of the request than one.
    EmptyLines,
    /// A field line without a name, or without a colon.
    NamelessField,
    /// `Content-Length` that is no number, or there more than once.
    BadLength,
    /// `Transfer-Encoding` that is not chunked, once and last.
    BadCoding,
    /// A control byte, or one that no name may hold.
    ControlByte,
    /// A line that ends without a carriage return.
    BareLineFeed,
    /// A field that goes on in the next line.
    FoldedLine,
    /// White space in a field's name or before its colon.
    SpaceInName,
    /// `Connection` that names what it must not.
    BadConnection,
    /// A method that is none.
    BadMethod,
    /// A target that is none.
    BadTarget,
    /// `Host` that is missing, or there more than once.
    BadHost,
    /// A version that is none, or none that is spoken here.
    BadVersion,
    /// A request line that is not method, target and version.
    BadRequestLine,
    /// Chunks or trailers that are malformed.
    BadBody,
    /// A request of HTTP/2 or HTTP/3 that is malformed.
    Malformed,
}

impl Anomaly {
    /// All of them, in the order of the docs.
    pub const ALL: [Self; 24] = [
        Self::EmptyLine,
        Self::ZeroLength,
        Self::NonAscii,
        Self::ImitatedField,
        Self::ImitatedFraming,
        Self::UndefinedBody,
        Self::TwoHosts,
        Self::LengthAndCoding,
        Self::EmptyLines,
        Self::NamelessField,
        Self::BadLength,
        Self::BadCoding,
        Self::ControlByte,
        Self::BareLineFeed,
        Self::FoldedLine,
        Self::SpaceInName,
        Self::BadConnection,
        Self::BadMethod,
        Self::BadTarget,
        Self::BadHost,
        Self::BadVersion,
        Self::BadRequestLine,
        Self::BadBody,
        Self::Malformed,
    ];

    /// How dangerous it is.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::EmptyLine | Self::ZeroLength | Self::NonAscii | Self::ImitatedField => {
                Class::Acceptable
            }
            Self::ImitatedFraming
            | Self::UndefinedBody
            | Self::TwoHosts
            | Self::LengthAndCoding
            | Self::EmptyLines
            | Self::NamelessField => Class::Ambiguous,
            Self::BadLength
            | Self::BadCoding
            | Self::ControlByte
            | Self::BareLineFeed
            | Self::FoldedLine
            | Self::SpaceInName
            | Self::BadConnection
            | Self::BadMethod
            | Self::BadTarget
            | Self::BadHost
            | Self::BadVersion
            | Self::BadRequestLine
            | Self::BadBody
            | Self::Malformed => Class::Severe,
        }
    }

    /// The word in logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::EmptyLine => "empty-line",
            Self::ZeroLength => "zero-length",
            Self::NonAscii => "non-ascii",
            Self::ImitatedField => "imitated-field",
            Self::ImitatedFraming => "imitated-framing",
            Self::UndefinedBody => "undefined-body",
            Self::TwoHosts => "two-hosts",
            Self::LengthAndCoding => "length-and-coding",
            Self::EmptyLines => "empty-lines",
            Self::NamelessField => "nameless-field",
            Self::BadLength => "bad-length",
            Self::BadCoding => "bad-coding",
            Self::ControlByte => "control-byte",
            Self::BareLineFeed => "bare-line-feed",
            Self::FoldedLine => "folded-line",
            Self::SpaceInName => "space-in-name",
            Self::BadConnection => "bad-connection",
            Self::BadMethod => "bad-method",
            Self::BadTarget => "bad-target",
            Self::BadHost => "bad-host",
            Self::BadVersion => "bad-version",
            Self::BadRequestLine => "bad-request-line",
            Self::BadBody => "bad-body",
            Self::Malformed => "malformed",
        }
    }

    /// What was wrong, for the log, where a mode refuses it that a codec lets pass.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::EmptyLine | Self::EmptyLines => "empty line ahead of the request",
            Self::ZeroLength => "Content-Length of a request that has no content",
            Self::NonAscii => "byte beyond ASCII in a field",
            Self::ImitatedField => "field whose name imitates another's",
            Self::ImitatedFraming => "field whose name imitates that of a framing field",
            Self::UndefinedBody => "content of a GET or HEAD",
            Self::TwoHosts => "target names another host than Host",
            _ => "request is malformed",
        }
    }

    /// The worse of two.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        if other.class() > self.class() { other } else { self }
    }
}

/// What is done about requests that two readers could understand in different ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Desync {
    /// What is no severe fault passes, and is logged.
    Monitor,
    /// What is ambiguous passes, and both its connections end with it: nothing can be hidden behind it.
    #[default]
    Defensive,
    /// What is not exactly as the RFC has it is refused.
    Strict,
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Pass,
    /// It passes, and nothing follows it on the connections that it came and went by.
    Alone,
    /// It is refused.
    Refuse,
}

impl Desync {
    /// The word in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Monitor => "monitor",
            Self::Defensive => "defensive",
            Self::Strict => "strict",
        }
    }

    /// What becomes of a request in which this is odd.
    #[must_use]
    pub const fn judge(self, anomaly: Anomaly) -> Verdict {
        match (anomaly.class(), self) {
            (Class::Severe, _) | (_, Self::Strict) => Verdict::Refuse,
            (Class::Ambiguous, Self::Defensive) => Verdict::Alone,
            (Class::Ambiguous | Class::Acceptable, Self::Monitor)
            | (Class::Acceptable, Self::Defensive) => Verdict::Pass,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_apart_and_severe_ones_never_pass() {
        let words: std::collections::HashSet<_> = Anomaly::ALL.map(Anomaly::word).into();
        assert_eq!(words.len(), Anomaly::ALL.len());
        for (at, anomaly) in Anomaly::ALL.into_iter().enumerate() {
            assert_eq!(anomaly as usize, at, "{anomaly:?} has its own counter");
            let expect = match anomaly.class() {
                Class::Acceptable => [Verdict::Pass, Verdict::Pass, Verdict::Refuse],
                Class::Ambiguous => [Verdict::Pass, Verdict::Alone, Verdict::Refuse],
                Class::Severe => [Verdict::Refuse; 3],
            };
            let modes = [Desync::Monitor, Desync::Defensive, Desync::Strict];
            assert_eq!(modes.map(|mode| mode.judge(anomaly)), expect, "{anomaly:?}");
        }
    }

    #[test]
    fn the_worse_is_kept() {
        let (odd, bad) = (Anomaly::NonAscii, Anomaly::UndefinedBody);
        assert_eq!([odd.worse(bad), bad.worse(odd)], [bad, bad]);
        assert_eq!(odd.worse(Anomaly::ZeroLength), odd);
    }
}
