//! Targets: `ARGS|!ARGS:password|&REQUEST_HEADERS:Host|REQUEST_COOKIES:/^id_/|XML:/*`.

use std::borrow::Cow;

use super::lexer::{quote_end, unescape};
use super::names::{self, Kind, Known};
use super::shared::Shared;
use super::told::excerpt;
use crate::rule::{Selector, Target, Use, Variable};

/// Targets of one link.
const TARGETS_MAX: usize = 512;

/// Reads a list of targets with `|` or `,` between them.
///
/// # Errors
/// All that are none.
pub(super) fn parse(text: &[u8], shared: &mut Shared<'_>) -> Result<Vec<Target>, Vec<String>> {
    let mut targets = Vec::new();
    let mut faults = Vec::new();
    let mut at = 0;
    loop {
        let end = match next(text, at, shared) {
            Ok((target, end)) => {
                targets.push(target);
                end
            }
            Err(fault) => {
                faults.push(fault);
                at + text[at..].iter().take_while(|b| !matches!(b, b'|' | b',')).count()
            }
        };
        if targets.len() + faults.len() > TARGETS_MAX {
            faults.push(format!("more than {TARGETS_MAX} targets"));
            return Err(faults);
        }
        if end >= text.len() {
            return if faults.is_empty() { Ok(targets) } else { Err(faults) };
        }
        at = end + 1;
    }
}

/// Reads the target that begins here, and tells where its separator, or the end, is.
fn next(text: &[u8], at: usize, shared: &mut Shared<'_>) -> Result<(Target, usize), String> {
    let at = skip_space(text, at);
    let (meant, start) = match text.get(at) {
        Some(b'!') => (Use::Exclude, at + 1),
        Some(b'&') => (Use::Count, at + 1),
        _ => (Use::Include, at),
    };
    let (target, end) = one(meant, text, start, shared)?;
    let end = skip_space(text, end);
    match text.get(end) {
        None | Some(b'|' | b',') => Ok((target, end)),
        Some(_) => Err(format!("| expected between targets, near {}", excerpt(text, end))),
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
) -> Result<(Target, usize), String> {
    let is_name = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'_';
    let end = start + text[start..].iter().take_while(is_name).count();
    if end == start {
        let near = excerpt(text, start);
        return Err(format!("a variable expected, near {near}"));
    }
    let name = String::from_utf8_lossy(&text[start..end]);
    let known = names::variable(&name)?;
    let (variable, selector, end) = if text.get(end) == Some(&b':') {
        selected(known, text, end + 1, shared)?
    } else if known.kind == Kind::Xml {
        return Err("XML without what of it: XML:/* or XML://@*".to_owned());
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
) -> Result<(Variable, Selector, usize), String> {
    let rest = &text[start..];
    let plain = rest.iter().take_while(|b| !matches!(b, b'|' | b',')).count();
    match known.kind {
        Kind::Single => {
            return Err(format!("{} is one value, it has no members", known.name));
        }
        Kind::Xml => {
            let variable = match rest[..plain].trim_ascii() {
                b"/*" => Variable::XmlTexts,
                b"//@*" => Variable::XmlAttributes,
                path => {
                    let path = excerpt(path, 0);
                    return Err(format!(
                        "the path {path} is not supported; only XML:/* (texts) and XML://@* (attributes) are"
                    ));
                }
            };
            return Ok((variable, Selector::All, start + plain));
        }
        Kind::Many => {}
    }
    let (key, len): (Cow<'_, [u8]>, usize) = match rest.first() {
        Some(b'\'') => {
            let len = quote_end(&rest[1..], b'\'').ok_or("a quote that does not end")?;
            (unescape(&rest[1..=len], b"'"), len + 2)
        }
        Some(b'/') => {
            let len = pattern_end(rest).ok_or("a pattern without the / at its end")?;
            (Cow::Borrowed(&rest[..len]), len)
        }
        _ => (Cow::Borrowed(rest[..plain].trim_ascii_end()), plain),
    };
    let selector = selector(&key, shared)?;
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
