//! Whether an answer may be coded, and if not, why.
//!
//! The reasons that lie in the answer and in the operator's rules come before what the client takes, so
//! that an answer for which only the client decides can be told apart: caches must learn that it varies
//! (see [`Reason::NotAccepted`]), and of the others they need not.

use doorman_http::coding::{AcceptEncoding, Coding};
use doorman_http::{FieldId, Fields, Length, Method, RequestHead, ResponseHead, is_token};

use crate::decode::Codings;
use crate::negotiate::choose;

/// What is done with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It is coded with this.
    Code(Coding),
    /// It goes out as it is.
    Not(Reason),
}

/// Why an answer goes out as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The method's answer is not a representation: CONNECT, TRACE.
    Method,
    /// The status has no body, or one that is not the resource's.
    Status,
    /// It is no type of those that are coded, or says none.
    Type,
    /// It is shorter than what is worth the work.
    Small,
    /// The origin or the client says that nobody may change it (RFC 9110 section 7.7, RFC 9111 section
    /// 5.2.1.6).
    NoTransform,
    /// It is coded already.
    Coded,
    /// It is a part (RFC 9110 section 14.2): parts belong to the form that they were cut from.
    Range,
    /// The client takes none of the codings that are offered, or likes none better. A client that takes one
    /// would get another form, so the answer varies by `Accept-Encoding` all the same: see
    /// [`varied_head`](crate::varied_head).
    NotAccepted,
    /// It may hold a secret beside what somebody else chose (BREACH): see [`Guard::Careful`].
    Secret,
    /// It is a stream of messages, each of which is to arrive at once: server-sent events, gRPC.
    Stream,
    /// The connection goes on as something else.
    Upgrade,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Method,
        Self::Status,
        Self::Type,
        Self::Small,
        Self::NoTransform,
        Self::Coded,
        Self::Range,
        Self::NotAccepted,
        Self::Secret,
        Self::Stream,
        Self::Upgrade,
    ];

    /// The reason's word in logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Status => "status",
            Self::Type => "type",
            Self::Small => "small",
            Self::NoTransform => "no-transform",
            Self::Coded => "coded",
            Self::Range => "range",
            Self::NotAccepted => "not-accepted",
            Self::Secret => "secret",
            Self::Stream => "stream",
            Self::Upgrade => "upgrade",
        }
    }
}

/// What is done against attacks that measure the length of coded answers (BREACH).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Answers that set a cookie, or to a request with credentials in `Authorization`, are not coded.
    Careful,
    /// Nothing here: all answers are coded.
    Off,
}

/// What the operator wants to be coded.
#[derive(Clone, Copy, Debug)]
pub struct CodeRules<'a> {
    /// Codings, in the order of preference among those that a client likes as well.
    pub offered: &'a [Coding],
    /// The least length that is coded, bytes. An answer of unknown length is.
    pub min: u64,
    /// Types that are coded.
    pub types: &'a TypeSet,
    /// What is done for secrets.
    pub guard: Guard,
}

/// What a client says that bears on the form of its answer. It is read before anybody edits the request:
/// what an origin is asked is not what its client asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Codings that it takes.
    pub accept: AcceptEncoding,
    /// Whether it wants the head alone.
    pub is_head: bool,
    has_answer: bool,
    forbids_change: bool,
    has_credentials: bool,
}

impl Asked {
    /// What a request says.
    #[must_use]
    pub fn of(request: &RequestHead) -> Self {
        Self {
            accept: AcceptEncoding::of(request),
            is_head: request.method == Method::Head,
            has_answer: !matches!(request.method, Method::Connect | Method::Trace),
            forbids_change: forbids_change(&request.fields),
            has_credentials: request.fields.has(FieldId::Authorization),
        }
    }

    /// Whether nothing in the request forbids that an answer is coded, whatever the answer is.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.has_answer && !self.forbids_change && !self.has_credentials
    }

    /// Whether the client can read these codings. Who says nothing of codings reads none, as tools that
    /// send no field do.
    #[must_use]
    pub fn reads(&self, codings: Codings) -> bool {
        let takes = |coding| !self.accept.is_absent() && self.accept.q(coding) > 0;
        match codings {
            Codings::None => true,
            Codings::One(coding) => takes(coding),
            Codings::Two(first, second) => takes(first) && takes(second),
            Codings::Other => false,
        }
    }

    /// Whether neither side forbids that an answer is given another form.
    #[must_use]
    pub fn may_change(&self, response: &ResponseHead) -> bool {
        let is_part = response.status == 206 || response.fields.has(FieldId::ContentRange);
        !self.forbids_change && !is_part && !forbids_change(&response.fields)
    }
}

/// Says what is done with an answer. `length` is that of its body; an answer to HEAD goes by the length
/// that it declares, since it has the head that GET would get (RFC 9110 section 9.3.2).
pub fn eligible(
    asked: &Asked,
    response: &ResponseHead,
    length: Length,
    rules: &CodeRules<'_>,
) -> Verdict {
    if is_coded(&response.fields) {
        // What kind of answer it is comes first.
        let reason = state(asked, response).unwrap_or(Reason::Coded);
        return Verdict::Not(reason);
    }
    eligible_anew(asked, response, length, rules)
}

/// The same for an answer of which the coding will be taken off.
pub fn eligible_anew(
    asked: &Asked,
    response: &ResponseHead,
    length: Length,
    rules: &CodeRules<'_>,
) -> Verdict {
    let refused = state(asked, response).or_else(|| refusal(asked, response, length, rules));
    if let Some(reason) = refused {
        return Verdict::Not(reason);
    }
    match choose(&asked.accept, rules.offered) {
        Some(coding) => Verdict::Code(coding),
        None => Verdict::Not(Reason::NotAccepted),
    }
}

/// What is known from the request alone: the coding that an answer gets if it is one that is coded, or why
/// none will be.
pub fn promised(asked: &Asked, rules: &CodeRules<'_>) -> Verdict {
    if !asked.has_answer {
        return Verdict::Not(Reason::Method);
    }
    if asked.forbids_change {
        return Verdict::Not(Reason::NoTransform);
    }
    if asked.has_credentials && rules.guard == Guard::Careful {
        return Verdict::Not(Reason::Secret);
    }
    choose(&asked.accept, rules.offered).map_or(Verdict::Not(Reason::NotAccepted), Verdict::Code)
}

/// The reason that lies in what kind of answer it is.
fn state(asked: &Asked, response: &ResponseHead) -> Option<Reason> {
    if response.status == 101 || response.upgrade.is_some() {
        return Some(Reason::Upgrade);
    }
    if !asked.has_answer {
        return Some(Reason::Method);
    }
    if response.status == 206 || response.fields.has(FieldId::ContentRange) {
        return Some(Reason::Range);
    }
    // 205 has nothing to show, and 226 is a difference to something else (RFC 3229 section 10.4.1).
    (response.is_bodiless() || matches!(response.status, 205 | 226)).then_some(Reason::Status)
}

/// The reason that lies in anything else but what codings the client takes.
fn refusal(
    asked: &Asked,
    response: &ResponseHead,
    length: Length,
    rules: &CodeRules<'_>,
) -> Option<Reason> {
    let fields = &response.fields;
    let essence = essence(fields);
    if essence.is_some_and(is_stream) {
        return Some(Reason::Stream);
    }
    if !essence.is_some_and(|essence| rules.types.has(essence)) {
        return Some(Reason::Type);
    }
    let length = match (asked.is_head, response.declared_length) {
        (true, Some(declared)) => Length::Known(declared),
        (true, None) => Length::Unknown,
        _ => length,
    };
    match length {
        Length::Absent => return Some(Reason::Small),
        Length::Known(length) if length < rules.min.max(1) => return Some(Reason::Small),
        Length::Known(_) | Length::Unknown => {}
    }
    if asked.forbids_change || forbids_change(fields) {
        return Some(Reason::NoTransform);
    }
    let is_secret = fields.has(FieldId::SetCookie) || asked.has_credentials;
    (rules.guard == Guard::Careful && is_secret).then_some(Reason::Secret)
}

/// Whether a coding was applied. `identity` is none (RFC 9110 section 8.4.1).
fn is_coded(fields: &Fields) -> bool {
    let lines = fields.all(FieldId::ContentEncoding);
    let mut codings = lines.flat_map(|line| line.split(|&b| b == b',')).map(<[u8]>::trim_ascii);
    codings.any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
}

/// The media type without its parameters.
fn essence(fields: &Fields) -> Option<&[u8]> {
    fields.sole(FieldId::ContentType)?.split(|&b| b == b';').next().map(<[u8]>::trim_ascii)
}

/// Types whose messages must not wait for each other.
fn is_stream(essence: &[u8]) -> bool {
    let starts = |with: &[u8]| {
        essence.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    essence.eq_ignore_ascii_case(b"text/event-stream") || starts(b"application/grpc")
}

/// Whether `Cache-Control` holds `no-transform`, in a request or in a response.
#[must_use]
pub fn forbids_change(fields: &Fields) -> bool {
    fields.all(FieldId::CacheControl).any(|line| {
        let mut is_quoted = false;
        let mut is_escaped = false;
        // A comma in a quoted string ends nothing.
        let mut parts = line.split(|&byte| {
            let ends = byte == b',' && !is_quoted;
            is_quoted ^= byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && is_quoted && !is_escaped;
            ends
        });
        parts.any(|directive| {
            let name = directive.split(|&b| b == b'=').next().unwrap_or_default();
            name.trim_ascii().eq_ignore_ascii_case(b"no-transform")
        })
    })
}

/// A set of media types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeSet(Box<[Pattern]>);

/// A type, lower case: `a/b`, `a/*`, `*/*+b`, `*/*`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    All,
    /// `text/`.
    Start(Box<[u8]>),
    /// `+json`.
    Suffix(Box<[u8]>),
    Exact(Box<[u8]>),
}

/// The text is no media type, and no pattern of some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeError;

impl std::fmt::Display for TypeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not a media type, and no pattern of some")
    }
}

impl std::error::Error for TypeError {}

impl TypeSet {
    /// The types of these patterns: `text/html`, `text/*`, `*/*+json`, `*/*`.
    ///
    /// # Errors
    /// One of them is none.
    pub fn new<'t>(patterns: impl IntoIterator<Item = &'t str>) -> Result<Self, TypeError> {
        patterns.into_iter().map(Pattern::of).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a type without parameters is in it, whatever its case.
    #[must_use]
    pub fn has(&self, essence: &[u8]) -> bool {
        self.0.iter().any(|pattern| pattern.fits(essence))
    }
}

impl Pattern {
    fn of(text: &str) -> Result<Self, TypeError> {
        let text = text.to_ascii_lowercase();
        let (main, sub) = text.split_once('/').ok_or(TypeError)?;
        // A star is a token's byte, but no type has one (RFC 6838 section 4.2).
        let is_name = |name: &str| is_token(name.as_bytes()) && !name.contains('*');
        let boxed = |text: &str| text.as_bytes().into();
        match (main, sub) {
            ("*", "*") => Ok(Self::All),
            ("*", sub) => match sub.strip_prefix("*+") {
                Some(suffix) if is_name(suffix) => Ok(Self::Suffix(boxed(&sub[1..]))),
                _ => Err(TypeError),
            },
            (main, "*") if is_name(main) => Ok(Self::Start(boxed(&text[..=main.len()]))),
            (main, sub) if is_name(main) && is_name(sub) => Ok(Self::Exact(boxed(&text))),
            _ => Err(TypeError),
        }
    }

    fn fits(&self, essence: &[u8]) -> bool {
        let same = |part: Option<&[u8]>, with: &[u8]| {
            part.is_some_and(|part| part.eq_ignore_ascii_case(with))
        };
        match self {
            Self::All => essence.contains(&b'/'),
            Self::Start(start) => {
                essence.len() > start.len() && same(essence.get(..start.len()), start)
            }
            Self::Suffix(suffix) => {
                let at = essence.len().checked_sub(suffix.len());
                same(at.and_then(|at| essence.get(at..)), suffix) && essence.contains(&b'/')
            }
            Self::Exact(exact) => essence.eq_ignore_ascii_case(exact),
        }
    }
}

#[cfg(test)]
mod tests;
