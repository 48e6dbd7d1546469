//! Targets: `ARGS|!ARGS:password|&REQUEST_HEADERS:Host|REQUEST_COOKIES:/^id_/|XML:/*`.

use std::borrow::Cow;

use super::lexer::{Fault, quote_end, unescape};
use super::names::{self, Kind, Known};
use super::shared::Shared;
use super::told::excerpt;
use crate::rule::{Selector, Target, Use, Variable};

/// Targets of one link.
const TARGETS_MAX: usize = 512;

/// Reads a list of targets with `|` or `,` between them.
///
/// # Errors
/// The first that is none, with its place in the text.
pub(super) fn parse(text: &[u8], shared: &mut Shared<'_>) -> Result<Vec<Target>, Fault> {
    let mut targets = Vec::new();
    let mut at = 0;
    loop {
        at = skip_space(text, at);
        let (meant, start) = match text.get(at) {
            Some(b'!') => (Use::Exclude, at + 1),
            Some(b'&') => (Use::Count, at + 1),
            _ => (Use::Include, at),
        };
        let (target, end) = one(meant, text, start, shared)?;
        targets.push(target);
        if targets.len() > TARGETS_MAX {
            return Err(Fault::new(at, format!("more than {TARGETS_MAX} targets")));
        }
        at = skip_space(text, end);
        match text.get(at) {
            None => return Ok(targets),
            Some(b'|' | b',') => at += 1,
            Some(_) => {
                let near = excerpt(text, at);
                return Err(Fault::new(at, format!("| expected between targets, near {near}")));
            }
        }
    }
}

fn skip_space(text: &[u8], at: usize) -> usize {
    at + text[at..].iter().take_while(|b| b.is_ascii_whitespace()).count()
}

/// Reads one target, and tells where it ends.
fn one(
    meant: Use,
    text: &[u8],
    start: usize,
    shared: &mut Shared<'_>,
) -> Result<(Target, usize), Fault> {
    let is_name = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'_';
    let end = start + text[start..].iter().take_while(is_name).count();
    if end == start {
        let near = excerpt(text, start);
        return Err(Fault::new(start, format!("a variable expected, near {near}")));
    }
    let name = String::from_utf8_lossy(&text[start..end]);
    let known = names::variable(&name).map_err(|text| Fault::new(start, text))?;
    let (variable, selector, end) = if text.get(end) == Some(&b':') {
        selected(known, text, end + 1, shared)?
    } else if known.kind == Kind::Xml {
        return Err(Fault::new(start, "XML without what of it: XML:/* or XML://@*"));
    } else {
        (known.variable, Selector::All, end)
    };
    Ok((Target { meant, variable, selector }, end))
}

/// Reads what follows the colon.
fn selected(
    known: Known,
    text: &[u8],
    start: usize,
    shared: &mut Shared<'_>,
) -> Result<(Variable, Selector, usize), Fault> {
    let rest = &text[start..];
    let plain = rest.iter().take_while(|b| !matches!(b, b'|' | b',')).count();
    match known.kind {
        Kind::Single => {
            let text = format!("{} is one value, it has no members", known.name);
            return Err(Fault::new(start, text));
        }
        Kind::Xml => {
            let variable = match rest[..plain].trim_ascii() {
                b"/*" => Variable::XmlTexts,
                b"//@*" => Variable::XmlAttributes,
                path => {
                    let path = excerpt(path, 0);
                    let text = format!(
                        "the path {path} is not supported; only XML:/* (texts) and XML://@* (attributes) are"
                    );
                    return Err(Fault::new(start, text));
                }
            };
            return Ok((variable, Selector::All, start + plain));
        }
        Kind::Many => {}
    }
    let (key, len): (Cow<'_, [u8]>, usize) = match rest.first() {
        Some(b'\'') => {
            let len = quote_end(&rest[1..], b'\'')
                .ok_or_else(|| Fault::new(start, "a quote that does not end"))?;
            (unescape(&rest[1..=len], b"'"), len + 2)
        }
        Some(b'/') => {
            let len = pattern_end(rest)
                .ok_or_else(|| Fault::new(start, "a pattern without the / at its end"))?;
            (Cow::Borrowed(&rest[..len]), len)
        }
        _ => (Cow::Borrowed(rest[..plain].trim_ascii_end()), plain),
    };
    let selector = selector(&key, shared).map_err(|text| Fault::new(start, text))?;
    Ok((known.variable, selector, start + len))
}

/// How long a pattern between slashes is: to the first slash that ends a target.
fn pattern_end(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' => at += 2,
            b'/' if matches!(text.get(at + 1), None | Some(b'|' | b',' | b' ' | b'\t')) => {
                return Some(at + 1);
            }
            _ => at += 1,
        }
    }
    None
}

fn selector(key: &[u8], shared: &mut Shared<'_>) -> Result<Selector, String> {
    match key {
        [] => Err("a colon without the name of a member".to_owned()),
        [b'/', pattern @ .., b'/'] => shared.regex_any_case(pattern).map(Selector::Regex),
        key => Ok(Selector::Key(key.to_ascii_lowercase())),
    }
}
