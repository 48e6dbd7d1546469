//! `strip-prefix` and `rewrite`: edits of what the origin is asked for.
//!
//! They act on the normal form that routes have matched (H1R-11), once, and their result is brought
//! to the normal form again: an edit cannot lead to a path that no rule has seen the like of.

use std::fmt;

use doorman_http::template::Template;
use doorman_http::{RequestHead, TargetError, path, target};
use regex_automata::Input;
use regex_automata::meta::Regex;
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::util::syntax;

use crate::{Context, ExpandError, Facts, expand_url};

/// Memory that one compiled expression may take, bytes; see the like bound on routes.
const REGEX_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Depth of an expression's groups.
const REGEX_NEST_MAX: u32 = 64;
/// Groups that a template can name.
const GROUPS_MAX: usize = 9;

/// Why an edit of a request failed. The request must not go on: the origin would be asked for
/// something that nobody meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathFault {
    /// The replacement could not be filled in.
    Expand(ExpandError),
    /// The result cannot be asked for.
    Target(TargetError),
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expand(error) => error.fmt(f),
            Self::Target(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PathFault {}

/// Why a rewrite cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RewriteError {
    /// The expression's syntax or size.
    Regex(String),
    /// A prefix that no path can begin with.
    Prefix(TargetError),
}

impl fmt::Display for RewriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Regex(reason) => f.write_str(reason),
            Self::Prefix(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RewriteError {}

/// `strip-prefix`: takes whole segments off the start of the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StripPrefix {
    /// Normal form, without a final slash; never empty.
    prefix: Box<[u8]>,
}

impl StripPrefix {
    /// A prefix such as `/app`; a final slash counts for nothing.
    ///
    /// # Errors
    /// It is no path, or it is the root, of which nothing could be stripped.
    pub fn new(prefix: &str) -> Result<Self, RewriteError> {
        let mut normal = normal(prefix).map_err(RewriteError::Prefix)?;
        normal.pop_if(|last| *last == b'/');
        if normal.is_empty() {
            return Err(RewriteError::Prefix(TargetError::Form));
        }
        Ok(Self { prefix: normal.into() })
    }

    /// The prefix in normal form, without a final slash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.prefix
    }

    /// Takes the prefix off; a path that does not have it stays. `/app` and `/app/` become `/`.
    ///
    /// # Errors
    /// None is known: what is left of a normal path is one.
    pub fn apply(&self, head: &mut RequestHead) -> Result<(), PathFault> {
        let rest = match head.path().strip_prefix(&*self.prefix) {
            Some([]) => b"/".to_vec(),
            Some(rest @ [b'/', ..]) => rest.to_vec(),
            _ => return Ok(()),
        };
        head.rewrite_path(&rest).map_err(PathFault::Target)
    }
}

/// Part of a request that a rewrite works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RewritePart {
    /// The path. A `?` in the result begins a new query; without one the query stays.
    Path,
    /// The query, without its `?`; an absent one is empty. An empty result removes it.
    Query,
    /// The host that the origin is asked for: see [`Rewrite::host`].
    Host,
}

/// `rewrite FROM TO`. The first match is replaced, once.
#[derive(Clone, Debug)]
pub struct Rewrite {
    part: RewritePart,
    from: From,
    to: Template,
}

#[derive(Clone, Debug)]
enum From {
    Regex(Box<Regex>),
    Prefix(Box<[u8]>),
}

impl Rewrite {
    /// Replaces what an expression finds; `{1}` to `{9}` in `to` are its groups.
    ///
    /// # Errors
    /// The expression's syntax, or its size.
    pub fn regex(part: RewritePart, from: &str, to: Template) -> Result<Self, RewriteError> {
        let config = Regex::config()
            .nfa_size_limit(Some(REGEX_BYTES_MAX))
            .onepass_size_limit(Some(REGEX_BYTES_MAX))
            .hybrid_cache_capacity(REGEX_BYTES_MAX)
            .utf8_empty(false);
        let regex = Regex::builder()
            .configure(config)
            .syntax(syntax::Config::new().utf8(false).nest_limit(REGEX_NEST_MAX))
            .build(from)
            .map_err(|error| {
                let syntax = error.syntax_error().map(ToString::to_string);
                RewriteError::Regex(syntax.unwrap_or_else(|| error.to_string()))
            })?;
        Ok(Self { part, from: From::Regex(Box::new(regex)), to })
    }

    /// Replaces text at the start of the path, byte by byte as nginx does: with and without final
    /// slashes on both sides is the operator's choice.
    ///
    /// # Errors
    /// `from` is no path.
    pub fn prefix(from: &str, to: Template) -> Result<Self, RewriteError> {
        let prefix = normal(from).map_err(RewriteError::Prefix)?;
        Ok(Self { part: RewritePart::Path, from: From::Prefix(prefix.into()), to })
    }

    /// Which part it works on.
    #[must_use]
    pub const fn part(&self) -> RewritePart {
        self.part
    }

    /// Rewrites path or query of a request; says whether it matched. On the host it does nothing.
    ///
    /// # Errors
    /// The result cannot be asked for; the request has not changed.
    pub fn apply(&self, head: &mut RequestHead, facts: &Facts<'_>) -> Result<bool, PathFault> {
        let subject = match self.part {
            RewritePart::Path => head.path(),
            RewritePart::Query => head.query().unwrap_or_default(),
            RewritePart::Host => return Ok(false),
        };
        let Some(result) = self.replace(subject, &Context { head, facts })? else {
            return Ok(false);
        };
        if self.part == RewritePart::Query {
            let query = (!result.is_empty()).then_some(&*result);
            head.rewrite_query(query).map_err(PathFault::Target)?;
            return Ok(true);
        }
        let mark = result.iter().position(|&b| b == b'?');
        let (path, query) =
            mark.map_or((&*result, None), |i| (&result[..i], Some(&result[i + 1..])));
        if query.is_some_and(|query| query.contains(&b'#')) {
            return Err(PathFault::Target(TargetError::Fragment));
        }
        head.rewrite_path(path).map_err(PathFault::Target)?;
        if let Some(query) = query {
            let query = (!query.is_empty()).then_some(query);
            head.rewrite_query(query).map_err(PathFault::Target)?;
        }
        Ok(true)
    }

    /// The host that the origin is asked for instead of `host`, if this rewrites hosts and matches.
    ///
    /// # Errors
    /// The result is no host.
    pub fn host(&self, host: &[u8], context: &Context<'_>) -> Result<Option<Vec<u8>>, PathFault> {
        if self.part != RewritePart::Host {
            return Ok(None);
        }
        let result = self.replace(host, context)?;
        if let Some(host) = &result {
            target::authority(host).map_err(PathFault::Target)?;
        }
        Ok(result)
    }

    fn replace(&self, text: &[u8], context: &Context<'_>) -> Result<Option<Vec<u8>>, PathFault> {
        let mut slots = [None::<NonMaxUsize>; 2 * (GROUPS_MAX + 1)];
        let mut groups = [&b""[..]; GROUPS_MAX];
        let (start, end) = match &self.from {
            From::Prefix(prefix) => match text.starts_with(prefix) {
                true => (0, prefix.len()),
                false => return Ok(None),
            },
            From::Regex(regex) => {
                regex.search_slots(&Input::new(text), &mut slots);
                for (group, pair) in groups.iter_mut().zip(slots[2..].chunks_exact(2)) {
                    if let [Some(start), Some(end)] = pair {
                        *group = text.get(start.get()..end.get()).unwrap_or_default();
                    }
                }
                let (Some(start), Some(end)) = (slots[0], slots[1]) else { return Ok(None) };
                (start.get(), end.get())
            }
        };
        let captures = match self.from {
            From::Regex(_) => &groups[..],
            From::Prefix(_) => context.facts.captures,
        };
        let facts = Facts { captures, ..*context.facts };
        let to = expand_url(&self.to, &Context { head: context.head, facts: &facts })
            .map_err(PathFault::Expand)?;
        let (before, after) =
            (text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default());
        Ok(Some([before, &*to, after].concat()))
    }
}

/// A path as an operator writes it, in normal form.
fn normal(text: &str) -> Result<Vec<u8>, TargetError> {
    if !text.starts_with('/') {
        return Err(TargetError::Form);
    }
    let mut encoded = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'?' | b'#' | 0 => return Err(TargetError::Byte),
            0x21..=0x7E => encoded.push(byte),
            _ => encoded.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    let mut normal = Vec::with_capacity(encoded.len());
    path::normalise(&encoded, &mut normal)?;
    Ok(normal)
}

#[cfg(test)]
mod tests;
