//! Which paths a route takes.
//!
//! Patterns are brought to the same normal form as paths, so `/caf%c3%a9/*` and `/café/*` are one
//! pattern, and what is matched is what the origin is asked for.

use doorman_http::{TargetError, path};
use regex_automata::meta::Regex;
use regex_automata::util::primitives::NonMaxUsize;

use crate::value::compile;
use crate::{CAPTURES_MAX, Captures, Fault};

/// Which paths a route takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// All, and the target `*` of OPTIONS.
    Any,
    /// This path alone.
    Exact(Box<str>),
    /// Everything below a path. The final slash decides about the path itself: `/x/` takes `/x/`
    /// and what is below, `/x` takes `/x` too, so that a guard cannot be walked around by leaving
    /// out the slash. `/xy` is taken by neither.
    Prefix(Box<str>),
    /// `/a/*/b`: each [`Segment::Any`] is exactly one segment that is not empty.
    Wildcard {
        /// The segments, without slashes.
        segments: Vec<Segment>,
        /// Whether any rest may follow, as in `/a/*/b/*`; `/a/x/b` itself is then taken too.
        open: bool,
    },
    /// An expression that is searched in the path; anchors are the operator's.
    Regex(Box<str>),
}

/// One segment of a wildcard path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Exactly this.
    Text(Box<str>),
    /// Any one segment that is not empty.
    Any,
}

/// Whether what a pattern catches is wanted by a template of the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Capture {
    /// It is kept for `{1}` to `{9}`.
    #[default]
    Keep,
    /// Nobody asks for it, so nothing is copied.
    Skip,
}

/// A pattern that is ready to run, in normal form.
#[derive(Debug)]
pub(crate) enum Path {
    Any,
    Exact(Box<[u8]>),
    /// Ends with a slash; `whole` says whether the path without that slash is taken too.
    Below {
        literal: Box<[u8]>,
        whole: bool,
    },
    /// `lead` is the text that every match begins with; it ends with a slash.
    Wildcard {
        lead: Box<[u8]>,
        segments: Box<[Piece]>,
        open: bool,
    },
    Regex(Box<Regex>),
}

#[derive(Debug)]
pub(crate) enum Piece {
    Text(Box<[u8]>),
    Any,
}

impl Path {
    pub(crate) fn new(pattern: &PathPattern) -> Result<Self, Fault> {
        Ok(match pattern {
            PathPattern::Any => Self::Any,
            PathPattern::Exact(text) => Self::Exact(literal(text)?.into()),
            PathPattern::Prefix(text) => Self::below(text)?,
            PathPattern::Wildcard { segments, open } => Self::wildcard(segments, *open)?,
            PathPattern::Regex(regex) => {
                Self::Regex(Box::new(compile(regex).map_err(Fault::Regex)?))
            }
        })
    }

    fn below(text: &str) -> Result<Self, Fault> {
        let mut literal = literal(if text.is_empty() { "/" } else { text })?;
        let whole = !literal.ends_with(b"/");
        if whole {
            literal.push(b'/');
        }
        Ok(Self::Below { literal: literal.into(), whole })
    }

    fn wildcard(segments: &[Segment], open: bool) -> Result<Self, Fault> {
        let mut pieces = Vec::with_capacity(segments.len());
        let mut lead = vec![b'/'];
        let mut leading = true;
        for (n, segment) in segments.iter().enumerate() {
            match segment {
                Segment::Any => {
                    leading = false;
                    pieces.push(Piece::Any);
                }
                Segment::Text(text) => {
                    let normal = literal(&format!("/{text}"))?;
                    let bare = &normal[1..];
                    // `/a/*/` ends with an empty segment; elsewhere no path ever has one.
                    let ends = text.is_empty() && !open && n + 1 == segments.len();
                    if (bare.is_empty() && !ends) || bare.contains(&b'/') {
                        return Err(Fault::Path(TargetError::DotSegment));
                    }
                    if leading {
                        lead.extend_from_slice(bare);
                        lead.push(b'/');
                    }
                    pieces.push(Piece::Text(bare.into()));
                }
            }
        }
        if !leading {
            return Ok(Self::Wildcard { lead: lead.into(), segments: pieces.into(), open });
        }
        // Nothing but text: the plain forms say the same and are faster.
        if open {
            return Ok(Self::Below { literal: lead.into(), whole: !pieces.is_empty() });
        }
        lead.pop_if(|_| !pieces.is_empty());
        Ok(Self::Exact(lead.into()))
    }

    /// Whether `path` is taken, with nothing known about it.
    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(text) => **text == *path,
            Self::Below { literal, whole } => {
                path.starts_with(literal)
                    || (*whole && literal.strip_suffix(b"/") == Some(path) && !path.is_empty())
            }
            Self::Wildcard { lead: _, segments, open } => {
                let mut caught = Caught::default();
                walk(segments, *open, path, &mut caught)
            }
            Self::Regex(regex) => regex.is_match(path),
        }
    }

    /// Whether `path` is taken, if the index led here: text has been compared by then.
    pub(crate) fn matches_rest(&self, path: &[u8]) -> bool {
        match self {
            Self::Any | Self::Exact(_) | Self::Below { .. } => true,
            Self::Wildcard { .. } | Self::Regex(_) => self.matches(path),
        }
    }

    /// What the pattern catches of a path that it takes.
    pub(crate) fn captures(&self, path: &[u8]) -> Captures {
        match self {
            Self::Any | Self::Exact(_) | Self::Below { .. } => Captures::default(),
            Self::Wildcard { lead: _, segments, open } => {
                let mut caught = Caught::default();
                walk(segments, *open, path, &mut caught);
                Captures::copy(caught.parts[..caught.count].iter().copied())
            }
            Self::Regex(regex) => groups(regex, path),
        }
    }
}

fn groups(regex: &Regex, path: &[u8]) -> Captures {
    let count = regex.captures_len().saturating_sub(1).min(CAPTURES_MAX);
    if count == 0 {
        return Captures::default();
    }
    let mut slots = [None::<NonMaxUsize>; 2 * (CAPTURES_MAX + 1)];
    regex.search_slots(&regex_automata::Input::new(path), &mut slots);
    Captures::copy((1..=count).map(|group| match (slots[2 * group], slots[2 * group + 1]) {
        (Some(start), Some(end)) => path.get(start.get()..end.get()).unwrap_or_default(),
        _ => &[],
    }))
}

#[derive(Default)]
struct Caught<'a> {
    parts: [&'a [u8]; CAPTURES_MAX],
    count: usize,
}

impl<'a> Caught<'a> {
    fn add(&mut self, part: &'a [u8]) {
        if let Some(place) = self.parts.get_mut(self.count) {
            *place = part;
            self.count += 1;
        }
    }
}

fn walk<'a>(segments: &[Piece], open: bool, path: &'a [u8], caught: &mut Caught<'a>) -> bool {
    let mut rest = path;
    for piece in segments {
        let Some(after) = rest.strip_prefix(b"/") else { return false };
        let len = after.iter().position(|&b| b == b'/').unwrap_or(after.len());
        let (segment, next) = after.split_at(len);
        match piece {
            Piece::Text(text) if **text != *segment => return false,
            Piece::Text(_) => {}
            Piece::Any if segment.is_empty() => return false,
            Piece::Any => caught.add(segment),
        }
        rest = next;
    }
    if !open {
        return rest.is_empty();
    }
    caught.add(rest.strip_prefix(b"/").unwrap_or(rest));
    true
}

/// The normal form of a path as an operator writes it. What cannot stand in a request line is
/// encoded: browsers send it so.
fn literal(text: &str) -> Result<Vec<u8>, Fault> {
    if !text.starts_with('/') {
        return Err(Fault::Path(TargetError::Form));
    }
    let mut encoded = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            0x00 => return Err(Fault::Path(TargetError::Byte)),
            b'?' | b'#' | 0x01..=0x20 | 0x7F.. => {
                encoded.extend_from_slice(format!("%{byte:02X}").as_bytes());
            }
            _ => encoded.push(byte),
        }
    }
    let mut normal = Vec::with_capacity(encoded.len());
    path::normalise(&encoded, &mut normal).map_err(Fault::Path)?;
    Ok(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wildcard(pattern: &str) -> PathPattern {
        let open = pattern.ends_with("/*");
        let body = if open { &pattern[..pattern.len() - 2] } else { pattern };
        let segment = |text: &str| match text {
            "*" => Segment::Any,
            _ => Segment::Text(text.into()),
        };
        PathPattern::Wildcard { segments: body.split('/').skip(1).map(segment).collect(), open }
    }

    fn check(pattern: &PathPattern, path: &str, expect: Option<&[&str]>) {
        let compiled = Path::new(pattern).unwrap();
        assert_eq!(compiled.matches(path.as_bytes()), expect.is_some(), "{pattern:?} {path}");
        let Some(expect) = expect else { return };
        let captures = compiled.captures(path.as_bytes());
        let groups: Vec<_> = (1..=captures.len())
            .map(|n| String::from_utf8(captures.group(n).unwrap().to_vec()).unwrap())
            .collect();
        assert_eq!(groups, expect, "{pattern:?} {path}");
    }

    #[test]
    fn prefixes() {
        for (prefix, path, taken) in [
            ("/x", "/x", true),
            ("/x", "/x/", true),
            ("/x", "/x/a/b", true),
            ("/x", "/xy", false),
            ("/x", "/", false),
            ("/x/", "/x", false),
            ("/x/", "/x/", true),
            ("/x/", "/x/a", true),
            ("/", "/", true),
            ("/", "/x", true),
            ("", "/x", true),
            ("/", "*", false),
            ("/caf\u{e9}", "/caf%C3%A9/a", true),
            ("/caf%c3%a9", "/caf%C3%A9/a", true),
            ("/%61", "/a", true),
            ("/a b", "/a%20b", true),
        ] {
            check(&PathPattern::Prefix(prefix.into()), path, taken.then_some(&[]));
        }
    }

    #[test]
    fn wildcards() {
        for (pattern, path, expect) in [
            ("/a/*/b", "/a/x/b", Some(&["x"][..])),
            ("/a/*/b", "/a/x/b/", None),
            ("/a/*/b", "/a//b", None),
            ("/a/*/b", "/a/x/y/b", None),
            ("/a/*/b", "/a/x/c", None),
            ("/a/*/b", "/a/x", None),
            ("/a/*/b/*", "/a/x/b", Some(&["x", ""])),
            ("/a/*/b/*", "/a/x/b/", Some(&["x", ""])),
            ("/a/*/b/*", "/a/x/b/c/d", Some(&["x", "c/d"])),
            ("/a/*/b/*", "/a/x/bc", None),
            ("/*/b", "/x/b", Some(&["x"])),
            ("/*/b", "*", None),
            ("/a/*/", "/a/x/", Some(&["x"])),
            ("/a/*/", "/a/x", None),
            ("/a/*/", "/a/x/y", None),
            ("/*/*", "/x", Some(&["x", ""])),
            ("/a/*", "/a/b", Some(&[])),
            ("/a/*", "/a", Some(&[])),
            (
                "/*/1/*/2/*/3/*/4/*/5/*/6/*/7/*/8/*/9/*/10",
                "/a/1/b/2/c/3/d/4/e/5/f/6/g/7/h/8/i/9/j/10",
                Some(&["a", "b", "c", "d", "e", "f", "g", "h", "i"]),
            ),
        ] {
            check(&wildcard(pattern), path, expect);
        }
        let only = PathPattern::Wildcard { segments: vec![Segment::Any], open: false };
        check(&only, "/x", Some(&["x"]));
        check(&only, "/", None);
    }

    #[test]
    fn expressions() {
        for (regex, path, expect) in [
            ("^/u/([0-9]+)$", "/u/42", Some(&["42"][..])),
            ("^/u/([0-9]+)$", "/u/4x", None),
            ("png$", "/a/b.png", Some(&[])),
            ("(a)|(b)", "/b", Some(&["", "b"])),
            ("", "/", Some(&[])),
        ] {
            check(&PathPattern::Regex(regex.into()), path, expect);
        }
    }

    #[test]
    fn faults() {
        let fault = |pattern: PathPattern| Path::new(&pattern).unwrap_err();
        assert_eq!(fault(PathPattern::Exact("a".into())), Fault::Path(TargetError::Form));
        assert_eq!(fault(PathPattern::Exact("/%".into())), Fault::Path(TargetError::Escape));
        assert_eq!(fault(wildcard("/a//*/b")), Fault::Path(TargetError::DotSegment));
        assert_eq!(fault(wildcard("/a/*/..")), Fault::Path(TargetError::DotSegment));
        for regex in [
            "(",
            r"\w{1000}{1000}",
            &"(".repeat(100),
            &format!("{}a{}", "(".repeat(99), ")".repeat(99)),
        ] {
            assert!(matches!(fault(PathPattern::Regex(regex.into())), Fault::Regex(_)), "{regex}");
        }
    }
}
