//! What is told to the operator: all faults of all files, in the order of the files.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::rule::{Notice, Place};

/// Faults that are told, and warnings; a file that is no SecLang at all has one for each line.
const KEPT_MAX: usize = 500;

const ENOUGH: &str = "there is more that is wrong; reading ended here";

/// Longer names have no suggestions: nobody misspells so much.
const NAME_MAX: usize = 48;

/// Where something was written, and the rule it is about.
#[derive(Clone, Debug)]
pub(super) struct At {
    pub(super) place: Place,
    pub(super) id: Option<u32>,
}

impl At {
    pub(super) fn new(file: &Arc<str>, line: u32) -> Self {
        Self { place: Place { file: Arc::clone(file), line }, id: None }
    }

    pub(super) fn with_id(&self, id: Option<u32>) -> Self {
        Self { place: self.place.clone(), id }
    }

    pub(super) fn on_line(&self, line: u32) -> Self {
        Self { place: Place { file: Arc::clone(&self.place.file), line }, id: self.id }
    }

    /// The same rule at a place of its own.
    pub(super) fn within(&self, place: &Place) -> Self {
        Self { place: place.clone(), id: self.id }
    }

    /// Texts name what was written, which may hold anything: what cannot be seen is escaped.
    fn notice(&self, text: String) -> Notice {
        let text = if text.contains(char::is_control) { escaped(&text) } else { text };
        Notice { place: self.place.clone(), id: self.id, text }
    }
}

/// Collects what is to be told.
#[derive(Debug, Default)]
pub(super) struct Told {
    errors: Vec<Notice>,
    warnings: Vec<Notice>,
    files: HashMap<Arc<str>, usize>,
    said: HashSet<String>,
}

impl Told {
    /// A file is read: what is told of it comes after what is told of those before it.
    pub(super) fn file(&mut self, name: &Arc<str>) {
        let number = self.files.len();
        self.files.entry(Arc::clone(name)).or_insert(number);
    }

    /// Whether there is so much wrong that nothing more needs to be read.
    pub(super) fn is_full(&self) -> bool {
        self.errors.len() >= KEPT_MAX
    }

    pub(super) fn error(&mut self, at: &At, text: impl Into<String>) {
        match self.errors.len() {
            0..KEPT_MAX => self.errors.push(at.notice(text.into())),
            KEPT_MAX => self.errors.push(at.notice(ENOUGH.to_owned())),
            _ => {}
        }
    }

    pub(super) fn warn(&mut self, at: &At, text: impl Into<String>) {
        if self.warnings.len() < KEPT_MAX {
            self.warnings.push(at.notice(text.into()));
        }
    }

    /// Warns of something only the first time that it is met.
    pub(super) fn warn_once(&mut self, at: &At, what: &str, text: impl Into<String>) {
        if self.said.insert(what.to_ascii_lowercase()) {
            self.warn(at, text);
        }
    }

    /// The warnings, if nothing is wrong; otherwise all that is wrong.
    pub(super) fn end(self) -> Result<Vec<Notice>, Vec<Notice>> {
        let Self { mut errors, mut warnings, files, .. } = self;
        let key = |notice: &Notice| {
            let file = files.get(&notice.place.file).copied();
            (notice.text == ENOUGH, file, notice.place.line)
        };
        errors.sort_by_key(key);
        warnings.sort_by_key(key);
        if errors.is_empty() { Ok(warnings) } else { Err(errors) }
    }
}

/// `unknown <kind> <name>`, with the name that was probably meant.
pub(super) fn unknown<'n>(
    kind: &str,
    name: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> String {
    let shown = excerpt(name.as_bytes(), 0);
    match nearest(name, names) {
        Some(meant) => format!("unknown {kind} {shown}; did you mean {meant}?"),
        None => format!("unknown {kind} {shown}"),
    }
}

fn nearest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    if name.len() > NAME_MAX {
        return None;
    }
    let wanted = name.to_ascii_lowercase();
    let allowed = 1 + wanted.len() / 4;
    names
        .into_iter()
        .map(|known| (distance(wanted.as_bytes(), known.to_ascii_lowercase().as_bytes()), known))
        .filter(|&(distance, _)| distance <= allowed)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, known)| known)
}

/// How many bytes must be put in, taken away or changed to get from one to the other.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// A quoted piece of a text from about this byte on, for messages.
pub(super) fn excerpt(text: &[u8], at: usize) -> String {
    const BEFORE: usize = 10;
    const SHOWN: usize = 40;
    let start = at.min(text.len()).saturating_sub(BEFORE);
    let end = text.len().min(start + SHOWN);
    let before = if start > 0 { "…" } else { "" };
    let after = if end < text.len() { "…" } else { "" };
    format!("`{before}{}{after}`", escaped(&String::from_utf8_lossy(&text[start..end])))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() {
            out.extend(char.escape_default());
        } else {
            out.push(char);
        }
    }
    out
}
