//! What the operator may have meant.

use crate::table::{self, FOREIGN, Within};
use crate::{Diagnostic, Span};

/// Longer words are not compared: no name of ours is a third as long.
const COMPARED_BYTES_MAX: usize = 64;

/// The word of `words` that is nearest to `written`, if it is near enough to be meant.
pub(crate) fn nearest<'w>(
    written: &str,
    words: impl IntoIterator<Item = &'w str>,
) -> Option<&'w str> {
    if written.len() > COMPARED_BYTES_MAX {
        return None;
    }
    let written = written.to_lowercase().replace('_', "-");
    words
        .into_iter()
        .filter(|word| word.len() <= COMPARED_BYTES_MAX)
        .map(|word| (distance(&written, &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance <= (word.len().max(written.len()) / 3).max(1))
        // Of two-letter words everything is a neighbour.
        .filter(|(distance, word)| *distance == 0 || word.len() > 2)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Edits (insert, remove, replace, swap neighbours) between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// The diagnostic for a word that a block doesn't take.
pub(crate) fn unknown(word: &str, within: Within, span: Span) -> Diagnostic {
    if let Some(later) = table::later(word, within) {
        return comes_later(word, later.what, span);
    }
    let shown = crate::lexer::printable(word);
    let known_in: Vec<String> = table::directives()
        .filter(|directive| directive.name == word)
        .flat_map(|directive| directive.within)
        .map(|within| within.phrase())
        .collect();
    if !known_in.is_empty() {
        let places = known_in.join(", ");
        return Diagnostic::error(
            "E0202",
            span,
            format!("`{shown}` does not belong {}", within.phrase()),
        )
        .help(format!("this word exists, but {places}, not {}", within.phrase()));
    }
    let folded = word.to_lowercase().replace('-', "_");
    let error = || {
        Diagnostic::error("E0201", span, format!("unknown directive `{shown}` {}", within.phrase()))
    };
    let words = || table::allowed(within).map(|directive| directive.name);
    if let Some(exact) = words().find(|name| name.replace('-', "_") == folded) {
        return error().help(format!("did you mean `{exact}`?"));
    }
    if let Some((_, ours)) = FOREIGN.iter().find(|(theirs, _)| *theirs == folded) {
        return error().help(format!("`{shown}` is spelled `{ours}` here"));
    }
    if let Some(later) = table::LATER.iter().find(|later| later.name == word) {
        return comes_later(word, later.what, span)
            .note(format!("it will not stand {}, though", within.phrase()));
    }
    match nearest(word, words()) {
        Some(near) => error().help(format!("did you mean `{near}`?")),
        None => {
            let mut names: Vec<&str> = words().collect();
            names.sort_unstable();
            names.dedup();
            if names.is_empty() {
                return error();
            }
            error().help(format!("{} may stand: {}", within.phrase(), names.join(", ")))
        }
    }
}

/// The diagnostic for a word that is settled but not there yet.
pub(crate) fn comes_later(word: &str, what: &str, span: Span) -> Diagnostic {
    Diagnostic::error("E0203", span, format!("`{word}` comes with a later version of doorman"))
        .note(format!("it will {what}"))
}
