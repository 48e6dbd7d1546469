//! `when`: what besides path and method a request must look like.

use std::borrow::Cow;

use doorman_http::{FieldId, Method, Version, is_token};

use crate::value::Matcher;
use crate::{AddressSet, Fault, HostPattern, Miss, Query, Reason, ValueMatch};

/// How deep `not` may be nested; nobody needs two.
const NOT_DEPTH_MAX: u32 = 8;

/// One thing that must hold for a route to match.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Some field of this name, in any case, matches. Each field line is a value.
    Header(Box<str>, ValueMatch),
    /// Some query parameter of this name matches. Names and values are compared decoded
    /// (`%XX`, and `+` as a space), so that an escape does not walk around a condition.
    Query(Box<str>, ValueMatch),
    /// Some cookie of this name matches.
    Cookie(Box<str>, ValueMatch),
    /// The method is one of these.
    Method(Vec<Method>),
    /// The client's address is in the set. A client without an address is in none.
    Client(AddressSet),
    /// The host matches.
    Host(HostPattern),
    /// The request came in one of these versions.
    Version(Vec<Version>),
    /// The condition does not hold.
    Not(Box<Self>),
}

/// A condition that is ready to run.
#[derive(Debug)]
pub struct Check(Kind);

#[derive(Debug)]
enum Kind {
    Header { id: FieldId, name: Box<str>, value: Matcher },
    Query { name: Box<str>, value: Matcher },
    Cookie { name: Box<str>, value: Matcher },
    Method(Methods),
    Client(AddressSet),
    Host(HostPattern),
    Version(Box<[Version]>),
    Not(Box<Self>),
}

impl Check {
    /// Makes a condition ready.
    ///
    /// # Errors
    /// An expression that does not compile, a name that no field has, `not` too deep.
    pub fn new(condition: &Condition) -> Result<Self, Fault> {
        Kind::nested(condition, 0).map(Self)
    }

    /// Whether the request is like that.
    #[must_use]
    pub fn holds(&self, query: &Query<'_>) -> bool {
        self.0.holds(query)
    }

    /// Why the condition, which does not hold, does not.
    pub(crate) fn reason(&self, query: &Query<'_>) -> Reason {
        self.0.reason(query)
    }

    /// What the condition looks at, in the operator's words.
    #[must_use]
    pub fn subject(&self) -> Box<str> {
        self.0.subject()
    }
}

impl Kind {
    fn nested(condition: &Condition, depth: u32) -> Result<Self, Fault> {
        let matcher = |value| Matcher::new(value).map_err(Fault::Regex);
        Ok(match condition {
            Condition::Header(name, value) => {
                if !is_token(name.as_bytes()) {
                    return Err(Fault::FieldName(name.clone()));
                }
                let id = FieldId::of(name.as_bytes());
                Self::Header { id, name: name.clone(), value: matcher(value)? }
            }
            Condition::Query(name, value) => {
                Self::Query { name: name.clone(), value: matcher(value)? }
            }
            Condition::Cookie(name, value) => {
                Self::Cookie { name: name.clone(), value: matcher(value)? }
            }
            Condition::Method(methods) => Self::Method(Methods::new(methods)),
            Condition::Client(set) => Self::Client(set.clone()),
            Condition::Host(host) => Self::Host(host.normal()),
            Condition::Version(versions) => Self::Version(versions.as_slice().into()),
            Condition::Not(inner) => {
                if depth == NOT_DEPTH_MAX {
                    return Err(Fault::NotDepth);
                }
                Self::Not(Box::new(Self::nested(inner, depth + 1)?))
            }
        })
    }

    fn holds(&self, query: &Query<'_>) -> bool {
        match self {
            Self::Header { id: FieldId::Other, name, value } => {
                query.head.fields.all_named(name.as_bytes()).any(|v| value.matches(v))
            }
            Self::Header { id, value, .. } => query.head.fields.all(*id).any(|v| value.matches(v)),
            Self::Query { name, value } => parameters(query, name).any(|v| value.matches(&v)),
            Self::Cookie { name, value } => cookies(query, name).any(|v| value.matches(v)),
            Self::Method(methods) => methods.take(&query.head.method),
            Self::Client(set) => query.client.is_some_and(|ip| set.contains(ip)),
            Self::Host(host) => host.matches(query.head.host()),
            Self::Version(versions) => versions.contains(&query.head.version),
            Self::Not(inner) => !inner.holds(query),
        }
    }

    fn reason(&self, query: &Query<'_>) -> Reason {
        let miss = |present| if present { Miss::Differs } else { Miss::Absent };
        match self {
            Self::Header { name, .. } => {
                let present = query.head.fields.all_named(name.as_bytes()).next().is_some();
                Reason::Header(name.clone(), miss(present))
            }
            Self::Query { name, .. } => {
                Reason::Query(name.clone(), miss(parameters(query, name).next().is_some()))
            }
            Self::Cookie { name, .. } => {
                Reason::Cookie(name.clone(), miss(cookies(query, name).next().is_some()))
            }
            Self::Method(_) => Reason::Method,
            Self::Client(_) => Reason::Client,
            Self::Host(_) => Reason::Host,
            Self::Version(_) => Reason::Version,
            Self::Not(inner) => Reason::Not(inner.subject()),
        }
    }

    /// What the condition looks at, in the operator's words.
    fn subject(&self) -> Box<str> {
        match self {
            Self::Header { name, .. } => format!("header {name}").into(),
            Self::Query { name, .. } => format!("query {name}").into(),
            Self::Cookie { name, .. } => format!("cookie {name}").into(),
            Self::Method(_) => "method".into(),
            Self::Client(_) => "client".into(),
            Self::Host(_) => "host".into(),
            Self::Version(_) => "protocol".into(),
            Self::Not(inner) => format!("not {}", inner.subject()).into(),
        }
    }
}

/// A set of methods: a bit for each registered one, text for the others.
#[derive(Debug, Default)]
pub(crate) struct Methods {
    known: u16,
    others: Box<[Box<str>]>,
}

impl Methods {
    pub(crate) fn new(methods: &[Method]) -> Self {
        let other = |method: &Method| match method {
            Method::Other(token) => Some(token.clone()),
            _ => None,
        };
        Self {
            known: methods.iter().map(bit).fold(0, |a, b| a | b),
            others: methods.iter().filter_map(other).collect(),
        }
    }

    pub(crate) fn take(&self, method: &Method) -> bool {
        match method {
            Method::Other(token) => self.others.contains(token),
            known => self.known & bit(known) != 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.known == 0 && self.others.is_empty()
    }
}

const fn bit(method: &Method) -> u16 {
    match method {
        Method::Get => 1,
        Method::Head => 1 << 1,
        Method::Post => 1 << 2,
        Method::Put => 1 << 3,
        Method::Delete => 1 << 4,
        Method::Connect => 1 << 5,
        Method::Options => 1 << 6,
        Method::Trace => 1 << 7,
        Method::Patch => 1 << 8,
        Method::Other(_) => 0,
    }
}

/// The values of all query parameters of that name, decoded.
fn parameters<'a>(query: &'a Query<'_>, name: &'a str) -> impl Iterator<Item = Cow<'a, [u8]>> {
    query.head.query().unwrap_or_default().split(|&b| b == b'&').filter_map(move |pair| {
        let equals = pair.iter().position(|&b| b == b'=');
        let (key, value) = equals.map_or((pair, &b""[..]), |i| (&pair[..i], &pair[i + 1..]));
        // An empty pair, as between `&&`, is no parameter.
        (!pair.is_empty() && *decode(key) == *name.as_bytes()).then(|| decode(value))
    })
}

/// The values of all cookies of that name (RFC 6265 section 4.2).
fn cookies<'a>(query: &'a Query<'_>, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let lines = query.head.fields.all(FieldId::Cookie);
    lines.flat_map(|line| line.split(|&b| b == b';')).filter_map(move |pair| {
        let equals = pair.iter().position(|&b| b == b'=')?;
        (pair[..equals].trim_ascii() == name.as_bytes()).then(|| pair[equals + 1..].trim_ascii())
    })
}

/// Decodes as forms do; an escape that is none stays as it is.
fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|&b| b == b'%' || b == b'+') {
        return Cow::Borrowed(text);
    }
    let digit = |at: usize| text.get(at).and_then(|&b| char::from(b).to_digit(16));
    let mut decoded = Vec::with_capacity(text.len());
    let mut i = 0;
    while i < text.len() {
        match (text[i], digit(i + 1), digit(i + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.extend(u8::try_from(high * 16 + low));
                i += 3;
            }
            (b'+', ..) => {
                decoded.push(b' ');
                i += 1;
            }
            (byte, ..) => {
                decoded.push(byte);
                i += 1;
            }
        }
    }
    Cow::Owned(decoded)
}
