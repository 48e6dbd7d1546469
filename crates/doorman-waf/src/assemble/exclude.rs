//! Exclusions, as SecLang.
//!
//! Each is a source of its own that begins with as many empty lines as stand ahead of it in the
//! configuration, so that whatever is told of it names the line that the operator wrote.

use std::fmt::Write;

use crate::rule::{IdRange, Notice, Place};
use crate::seclang::Source;

use super::quote;
use super::wanted::{Excluded, Exclusion, Name, Path, Rules};

/// Ids of exclusions with a condition: this and the next ones.
pub(super) const FIRST_ID: u32 = 201_000;

/// Lines of a configuration that are counted; what stands further down is said to stand here.
const LINE_MAX: u32 = 100_000;

/// What one exclusion becomes.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Ahead of all that it changes.
    pub(super) ahead: Option<Source>,
    /// Behind all that it changes.
    pub(super) behind: Option<Source>,
}

/// Writes one, with this id if it needs a rule.
///
/// # Errors
/// A name, pattern, path, method or tag that means nothing.
pub(super) fn write(exclusion: &Exclusion, id: u32) -> Result<Written, Notice> {
    let notice = |text| Notice { place: exclusion.place.clone(), id: None, text };
    let targets = targets(exclusion.target.as_ref()).map_err(notice)?;
    let rules = Selected::new(&exclusion.rules).map_err(notice)?;
    let links = conditions(exclusion).map_err(notice)?;
    Ok(if links.is_empty() {
        let text = rules.updates(&targets);
        Written { behind: Some(source(&exclusion.place, &text)), ahead: None }
    } else {
        let text = chained(&links, id, &rules.controls(&targets));
        Written { ahead: Some(source(&exclusion.place, &text)), behind: None }
    })
}

/// A text that is told to stand at this place.
pub(super) fn source(place: &Place, text: &str) -> Source {
    let above = place.line.clamp(1, LINE_MAX) - 1;
    let mut padded = "\n".repeat(above as usize);
    padded.push_str(text);
    Source { name: place.file.clone(), text: padded.into_bytes() }
}

/// The rules that are meant, as text of directives.
struct Selected {
    by: &'static str,
    which: String,
}

impl Selected {
    fn new(rules: &Rules) -> Result<Self, String> {
        Ok(match rules {
            Rules::Ids(ranges) if ranges.is_empty() => return Err("no rules are named".to_owned()),
            Rules::Ids(ranges) => {
                let ids: Vec<_> = ranges.iter().map(ids).collect();
                Self { by: "ById", which: ids.join(",") }
            }
            Rules::Tag(tag) => Self { by: "ByTag", which: checked_tag(tag)?.to_owned() },
        })
    }

    fn updates(&self, targets: &[String]) -> String {
        let Self { by, which } = self;
        if targets.is_empty() {
            return format!("SecRuleRemove{by} \"{which}\"\n");
        }
        let targets: Vec<_> = targets.iter().map(|target| format!("!{target}")).collect();
        format!("SecRuleUpdateTarget{by} \"{which}\" \"{}\"\n", targets.join("|"))
    }

    fn controls(&self, targets: &[String]) -> String {
        let Self { by, which } = self;
        if targets.is_empty() {
            return format!("ctl:'ruleRemove{by}={which}'");
        }
        format!("ctl:'ruleRemoveTarget{by}={which};{}'", targets.join("|"))
    }
}

fn ids(&IdRange { first, last }: &IdRange) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

/// Tags are words: that no other byte gets through is all the quoting they need.
fn checked_tag(tag: &str) -> Result<&str, String> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/');
    if tag.is_empty() || tag.len() > quote::NAME_MAX || !tag.bytes().all(word) {
        return Err(format!(
            "{tag:?} is no tag: letters, digits, `_`, `-`, `.` and `/`, as in attack-xss"
        ));
    }
    Ok(tag)
}

/// The targets that are taken away. A parameter is excluded wherever rules may meet it: by itself, by
/// where it came from, and by its name, which may be what a rule stumbles over (`filter[id]`).
fn targets(excluded: Option<&Excluded>) -> Result<Vec<String>, String> {
    let (collections, name): (&[&str], _) = match excluded {
        None => return Ok(Vec::new()),
        Some(Excluded::Argument(name)) => (
            &["ARGS", "ARGS_GET", "ARGS_POST", "ARGS_NAMES", "ARGS_GET_NAMES", "ARGS_POST_NAMES"],
            name,
        ),
        Some(Excluded::Header(name)) => (&["REQUEST_HEADERS", "REQUEST_HEADERS_NAMES"], name),
        Some(Excluded::Cookie(name)) => (&["REQUEST_COOKIES", "REQUEST_COOKIES_NAMES"], name),
    };
    let member = match name {
        Name::All => return Ok(collections.iter().map(|&all| all.to_owned()).collect()),
        Name::Exact(text) | Name::Regex(text) if text.len() > quote::NAME_MAX => {
            return Err(format!("a name of {} bytes; at most {}", text.len(), quote::NAME_MAX));
        }
        Name::Exact(name) => quote::member(name),
        Name::Regex(pattern) => {
            quote::members(pattern).map_err(|error| format!("the pattern {pattern:?}: {error}"))?
        }
    };
    Ok(collections.iter().map(|collection| format!("{collection}:{member}")).collect())
}

/// A link of a chain: what stands ahead of its actions, and its transformations.
struct Condition {
    asks: String,
    transformations: &'static str,
}

fn conditions(exclusion: &Exclusion) -> Result<Vec<Condition>, String> {
    let mut links = Vec::new();
    if let Some(pattern) = exclusion.path.as_ref().map(path).transpose()?.flatten() {
        links.push(Condition {
            asks: format!("REQUEST_FILENAME \"@rx {pattern}\""),
            // Otherwise `/blog/../admin` would have the exclusions of `/blog/*`.
            transformations: "t:none,t:normalizePathWin",
        });
        // Some servers take `..;` for `..`, which is not resolved above.
        links.push(Condition {
            asks: "REQUEST_FILENAME \"!@contains ..;\"".to_owned(),
            transformations: "t:none",
        });
    }
    if !exclusion.methods.is_empty() {
        let mut words = Vec::new();
        for method in &exclusion.methods {
            words.push(quote::literal(checked_method(method)?));
        }
        links.push(Condition {
            asks: format!("REQUEST_METHOD \"@rx ^(?:{})$\"", words.join("|")),
            transformations: "t:none",
        });
    }
    Ok(links)
}

/// A pattern for a path; `None` for all paths.
fn path(path: &Path) -> Result<Option<String>, String> {
    let (Path::Exact(text) | Path::Below(text)) = path;
    if text.len() > quote::NAME_MAX {
        return Err(format!("a path of {} bytes; at most {}", text.len(), quote::NAME_MAX));
    }
    let text = quote::literal(text);
    Ok(match path {
        Path::Exact(_) => Some(format!("^{text}$")),
        Path::Below(above) if above.is_empty() => None,
        Path::Below(_) => Some(format!("^{text}(?:/|$)")),
    })
}

/// Methods are words of letters in all that is in use, so other bytes are a slip.
pub(super) fn checked_method(method: &str) -> Result<&str, String> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if method.is_empty() || method.len() > 64 || !method.bytes().all(word) {
        return Err(format!("{method:?} is no method"));
    }
    Ok(method)
}

fn chained(links: &[Condition], id: u32, controls: &str) -> String {
    let mut text = String::new();
    for (at, Condition { asks, transformations }) in links.iter().enumerate() {
        let head = if at == 0 { format!("id:{id},phase:1,pass,nolog,") } else { String::new() };
        let tail = if at + 1 == links.len() { controls } else { "chain" };
        let _ = writeln!(text, "SecRule {asks} \"{head}{transformations},{tail}\"");
    }
    text
}
