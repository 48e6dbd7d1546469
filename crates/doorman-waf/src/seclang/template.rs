//! Macros: `%{VARIABLE}`, `%{COLLECTION.key}`, `%{rule.field}`.

use memchr::memmem;

use super::names::{self, Kind};
use super::told::{self, excerpt};
use crate::rule::{Part, RuleField, Template};

const RULE_FIELDS: [(&str, RuleField); 5] = [
    ("id", RuleField::Id),
    ("msg", RuleField::Msg),
    ("severity", RuleField::Severity),
    ("logdata", RuleField::Logdata),
    ("rev", RuleField::Rev),
];

/// Reads a text in which each `%{` begins a macro.
///
/// # Errors
/// A macro that does not end, or names what is not there.
pub(super) fn parse(text: &[u8]) -> Result<Template, String> {
    scan(text, Err)
}

/// Reads a pattern, in which `%{` may also be a percent sign so many times.
pub(super) fn parse_pattern(text: &[u8]) -> Template {
    scan(text, |_| Ok(())).unwrap_or_else(|_| Template::text(text))
}

fn scan(
    text: &[u8],
    mut on_fault: impl FnMut(String) -> Result<(), String>,
) -> Result<Template, String> {
    let mut parts = Vec::new();
    let mut literal = Vec::new();
    let mut at = 0;
    while let Some(found) = memmem::find(&text[at..], b"%{") {
        let open = at + found;
        literal.extend_from_slice(&text[at..open]);
        let after = &text[open + 2..];
        let read = memchr::memchr(b'}', after)
            .ok_or_else(|| format!("a macro without its }}, near {}", excerpt(text, open)))
            .and_then(|len| Ok((part(&after[..len])?, open + 2 + len + 1)));
        match read {
            Ok((part, end)) => {
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(part);
                at = end;
            }
            Err(fault) => {
                on_fault(fault)?;
                literal.extend_from_slice(b"%{");
                at = open + 2;
            }
        }
    }
    literal.extend_from_slice(&text[at..]);
    if !literal.is_empty() {
        parts.push(Part::Text(literal));
    }
    Ok(Template { parts })
}

fn part(inside: &[u8]) -> Result<Part, String> {
    let (name, key) = match inside.iter().position(|&b| b == b'.' || b == b':') {
        Some(dot) => (&inside[..dot], Some(&inside[dot + 1..])),
        None => (inside, None),
    };
    let name = String::from_utf8_lossy(name);
    if name.eq_ignore_ascii_case("rule") {
        let field = String::from_utf8_lossy(key.unwrap_or_default()).to_ascii_lowercase();
        let known = RULE_FIELDS.iter().find(|(word, _)| *word == field);
        return match known {
            Some(&(_, field)) => Ok(Part::Rule(field)),
            None => {
                Err(told::unknown("field of a rule", &field, RULE_FIELDS.map(|(word, _)| word)))
            }
        };
    }
    let found = names::variable(&name)?;
    match (found.kind, key) {
        (Kind::Xml, _) => Err("XML cannot be told in a macro".to_owned()),
        (Kind::Single, Some(_)) => Err(format!("{} is one value, it has no members", found.name)),
        (_, Some(b"")) => Err(format!("{}. without the name of a member", found.name)),
        (_, key) => {
            Ok(Part::Value { variable: found.variable, key: key.map(<[u8]>::to_ascii_lowercase) })
        }
    }
}
