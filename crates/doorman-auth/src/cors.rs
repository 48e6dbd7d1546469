//! Which other origins' scripts may read answers (Fetch standard, section "CORS protocol").
//!
//! One decision shaped this: the policy is the house's alone. A preflight is answered here and never reaches
//! an origin, and what an origin says of CORS by itself is taken off, so that two answers cannot disagree.
//! CORS lets browsers read; it keeps nobody out. What must not be done from another site is for
//! [`csrf`](crate::csrf).

use std::fmt;
use std::time::Duration;

use doorman_http::{FieldId, Fields, Method, is_token};

use crate::origin::{self, BadOrigin};

/// Longest time that a preflight's answer may be kept: no browser keeps it longer.
pub const MAX_AGE_MAX: Duration = Duration::from_secs(86_400);
/// Most names that a preflight may ask for.
const ASKED_MAX: usize = 64;
/// Most bytes of them.
const ASKED_BYTES_MAX: usize = 4_096;

/// Fields of an answer that belong to CORS: an origin's own are taken off where a policy is.
pub const ANSWER_FIELDS: [&str; 7] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
    "access-control-allow-private-network",
];

/// One origin, or several, that may read.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Allowed {
    /// Every origin.
    Any,
    /// This one, as browsers write it; `null` too.
    Exact(Box<str>),
    /// Every name below a host, but not that host: what stands before the name, and from its dot on.
    Below { scheme: Box<str>, rest: Box<str> },
}

impl Allowed {
    fn read(text: &str) -> Result<Self, BadOrigin> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if text == "null" {
            return Ok(Self::Exact("null".into()));
        }
        let bad = || BadOrigin(text.into());
        let Some((scheme, rest)) = text.split_once("://*.") else {
            return origin::normal(text).map(Self::Exact);
        };
        let whole = origin::normal(&format!("{scheme}://{rest}")).map_err(|_| bad())?;
        let parts = origin::read(whole.as_bytes()).ok_or_else(bad)?;
        // Below an address there are no names.
        if parts.host.starts_with('[') || parts.host.parse::<std::net::Ipv4Addr>().is_ok() {
            return Err(bad());
        }
        let (scheme, host) = whole.split_once("://").ok_or_else(bad)?;
        Ok(Self::Below { scheme: format!("{scheme}://").into(), rest: format!(".{host}").into() })
    }

    fn has(&self, origin: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(own) => own.as_bytes() == origin,
            Self::Below { scheme, rest } => {
                let labels = origin
                    .strip_prefix(scheme.as_bytes())
                    .and_then(|host| host.strip_suffix(rest.as_bytes()));
                labels.is_some_and(are_labels)
            }
        }
    }
}

/// Whether these are labels of a host's name with dots between them, as a browser writes them.
fn are_labels(text: &[u8]) -> bool {
    let is_label = |label: &[u8]| {
        let plain =
            |&b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        !label.is_empty() && label.iter().all(plain)
    };
    text.split(|&byte| byte == b'.').all(is_label)
}

/// Names that are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// Whatever is asked for.
    Any,
    /// These.
    These(Vec<Box<str>>),
}

/// What an operator wants.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Origins: `https://example.com`, `https://*.example.com` (every name below it), `*`, `null`.
    pub origins: Vec<String>,
    /// Methods beyond GET, HEAD and POST, which browsers send unasked.
    pub methods: Listed,
    /// Fields of requests beyond those that browsers send unasked.
    pub headers: Listed,
    /// Fields of answers that scripts may read beyond those that they always may.
    pub expose: Vec<Box<str>>,
    /// Whether requests may come with cookies and passwords.
    pub credentials: bool,
    /// How long a preflight's answer may be kept; `None`: as long as browsers like, which is five seconds.
    pub max_age: Option<Duration>,
    /// Whether pages from the internet may ask, where this house is in a private network.
    pub private_network: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            methods: Listed::These(Vec::new()),
            headers: Listed::These(Vec::new()),
            expose: Vec::new(),
            credentials: false,
            max_age: None,
            private_network: false,
        }
    }
}

/// Why settings make no policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyError {
    /// There is no origin.
    NoOrigin,
    /// An origin is none.
    Origin(BadOrigin),
    /// `*` together with credentials: every page of the world could act as whoever reads it.
    AnyWithCredentials,
    /// `null` together with credentials: every page can have that origin, in a sandboxed frame.
    NullWithCredentials,
    /// A method or a field's name is no token.
    Token(Box<str>),
    /// The time is longer than [`MAX_AGE_MAX`].
    MaxAge,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoOrigin => f.write_str("no origin is named; name one, as https://example.com"),
            Self::Origin(why) => why.fmt(f),
            Self::AnyWithCredentials => f.write_str(
                "`*` and credentials together would let every page act as its reader; list the origins",
            ),
            Self::NullWithCredentials => f.write_str(
                "`null` and credentials together would let every page act as its reader; take `null` out",
            ),
            Self::Token(word) => write!(f, "{word:?} is no name of a method or a field; mend it"),
            Self::MaxAge => write!(
                f,
                "no browser keeps a preflight's answer so long; write {} seconds or less",
                MAX_AGE_MAX.as_secs()
            ),
        }
    }
}

impl std::error::Error for PolicyError {}

/// A policy that runs.
#[derive(Clone, Debug)]
pub struct Policy {
    origins: Vec<Allowed>,
    methods: Option<Vec<Box<str>>>,
    headers: Option<Vec<Box<str>>>,
    expose: Option<Box<str>>,
    credentials: bool,
    max_age: Option<Box<str>>,
    private_network: bool,
}

/// A field to add: its name in lower case, and its value.
pub type Line = (&'static str, Box<str>);

/// What a policy says of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Answer the request here, with this status, these fields and no body.
    Answer(u16, Vec<Line>),
    /// Let it pass. Of its answer [`ANSWER_FIELDS`] are taken off, and these are added. `Vary` joins what is
    /// there.
    Pass(Vec<Line>),
}

impl Policy {
    /// A policy of these settings.
    ///
    /// # Errors
    /// Names the first that is wrong.
    pub fn new(settings: &Settings) -> Result<Self, PolicyError> {
        if settings.origins.is_empty() {
            return Err(PolicyError::NoOrigin);
        }
        let origins: Result<Vec<_>, _> =
            settings.origins.iter().map(|text| Allowed::read(text)).collect();
        let origins = origins.map_err(PolicyError::Origin)?;
        if settings.credentials && origins.contains(&Allowed::Any) {
            return Err(PolicyError::AnyWithCredentials);
        }
        if settings.credentials && origins.contains(&Allowed::Exact("null".into())) {
            return Err(PolicyError::NullWithCredentials);
        }
        if settings.max_age.is_some_and(|age| age > MAX_AGE_MAX) {
            return Err(PolicyError::MaxAge);
        }
        let methods = tokens(&settings.methods)?;
        let headers = tokens(&settings.headers)?;
        tokens(&Listed::These(settings.expose.clone()))?;
        let expose = (!settings.expose.is_empty()).then(|| settings.expose.join(", ").into());
        let max_age = settings.max_age.map(|age| age.as_secs().to_string().into());
        let Settings { credentials, private_network, .. } = *settings;
        Ok(Self { origins, methods, headers, expose, credentials, max_age, private_network })
    }

    /// What is to be done with a request. Never refuses one that is no preflight: what a page may not read,
    /// its browser keeps from it.
    pub fn check(&self, method: &Method, fields: &Fields) -> Verdict {
        let origin = fields.sole(FieldId::Origin);
        let asked = sole_named(fields, "access-control-request-method");
        if *method == Method::Options && fields.has(FieldId::Origin) && asked != Found::None {
            return self.preflight(origin, asked, fields);
        }
        let mut lines = vec![("vary", Box::from("Origin"))];
        if let Some(origin) = origin.and_then(|origin| self.allowed(origin)) {
            self.grant(&origin, &mut lines);
            if let Some(expose) = &self.expose {
                lines.push(("access-control-expose-headers", expose.clone()));
            }
        }
        Verdict::Pass(lines)
    }

    /// An origin that may read, as the answer names it.
    fn allowed(&self, origin: &[u8]) -> Option<Box<str>> {
        let found = self.origins.iter().find(|allowed| allowed.has(origin))?;
        match found {
            Allowed::Any => Some("*".into()),
            Allowed::Exact(_) | Allowed::Below { .. } => {
                std::str::from_utf8(origin).ok().map(Into::into)
            }
        }
    }

    fn grant(&self, origin: &str, lines: &mut Vec<Line>) {
        lines.push(("access-control-allow-origin", origin.into()));
        if self.credentials {
            lines.push(("access-control-allow-credentials", "true".into()));
        }
    }

    fn preflight(&self, origin: Option<&[u8]>, asked: Found<'_>, fields: &Fields) -> Verdict {
        let vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, \
                    Access-Control-Request-Private-Network";
        let mut lines: Vec<Line> = vec![("vary", vary.into())];
        let origin = origin.and_then(|origin| self.allowed(origin));
        let (Some(origin), Found::One(method)) = (origin, asked) else {
            return Verdict::Answer(403, lines);
        };
        self.grant(&origin, &mut lines);
        // What is not allowed is not named; the browser tells its page which it was.
        if let Some(methods) = methods_answer(self.methods.as_deref(), method) {
            lines.push(("access-control-allow-methods", methods));
        }
        if let Some(headers) = headers_answer(self.headers.as_deref(), fields) {
            lines.push(("access-control-allow-headers", headers));
        }
        if let Some(age) = &self.max_age {
            lines.push(("access-control-max-age", age.clone()));
        }
        let private = sole_named(fields, "access-control-request-private-network");
        if self.private_network && private == Found::One(b"true") {
            lines.push(("access-control-allow-private-network", "true".into()));
        }
        Verdict::Answer(204, lines)
    }
}

/// `None`: any.
fn tokens(listed: &Listed) -> Result<Option<Vec<Box<str>>>, PolicyError> {
    match listed {
        Listed::Any => Ok(None),
        Listed::These(words) => {
            match words.iter().find(|word| !is_token(word.as_bytes()) || &***word == "*") {
                Some(bad) => Err(PolicyError::Token(bad.clone())),
                None => Ok(Some(words.clone())),
            }
        }
    }
}

/// How often a field is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found<'a> {
    None,
    One(&'a [u8]),
    Several,
}

fn sole_named<'a>(fields: &'a Fields, name: &'a str) -> Found<'a> {
    let mut values = fields.all_named(name.as_bytes());
    match (values.next(), values.next()) {
        (None, _) => Found::None,
        (Some(only), None) => Found::One(only),
        (Some(_), Some(_)) => Found::Several,
    }
}

/// Methods that are allowed. Where any is, the one that is asked for: `*` means nothing to a request with
/// credentials.
fn methods_answer(methods: Option<&[Box<str>]>, asked: &[u8]) -> Option<Box<str>> {
    match methods {
        Some([]) => None,
        Some(methods) => Some(methods.join(", ").into()),
        None if is_token(asked) => std::str::from_utf8(asked).ok().map(Into::into),
        None => None,
    }
}

/// Names of fields that are allowed. Where any is, those that are asked for: `*` does not cover
/// `Authorization`, and means nothing to a request with credentials.
fn headers_answer(headers: Option<&[Box<str>]>, fields: &Fields) -> Option<Box<str>> {
    match headers {
        Some([]) => None,
        Some(headers) => Some(headers.join(", ").into()),
        None => {
            let Found::One(asked) = sole_named(fields, "access-control-request-headers") else {
                return None;
            };
            let names: Vec<&[u8]> =
                asked.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).collect();
            let is_bounded = asked.len() <= ASKED_BYTES_MAX && names.len() <= ASKED_MAX;
            let valid = is_bounded && names.iter().all(|name| is_token(name));
            valid.then(|| String::from_utf8_lossy(&names.join(&b", "[..])).into_owned().into())
        }
    }
}

#[cfg(test)]
mod tests;
