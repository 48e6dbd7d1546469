//! What `doorman diff` shows: the files on disk against what runs, and what operators have changed over it. The names
//! of the fields are a public contract.

use std::collections::BTreeMap;

use doorman_config::render::{self, Colour};
use doorman_config::{FileId, SourceMap};
use doorman_control::overrides::Override;
use serde::{Deserialize, Serialize};

use crate::engine::{Engine, NOBODY, Origin, Refused, read};

/// Products of lines that are compared one by one; of longer files all that lies between the first and the last
/// difference counts as one. A table of this size is made in some tens of milliseconds.
const CELLS_MAX: usize = 4_000_000;

/// The difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Diff {
    /// Files that differ.
    pub files: Vec<FileDiff>,
    /// Why the files on disk would be refused, as text; empty if they would not.
    pub refused: String,
    /// What operators have changed on servers.
    pub overrides: Vec<Override>,
    /// When this was told, unix seconds.
    pub now: u64,
}

/// A file that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileDiff {
    /// Its path.
    pub path: String,
    /// `changed`, `added` or `removed`.
    pub kind: String,
    /// Its lines that differ.
    pub lines: Vec<LineDiff>,
}

/// A line that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LineDiff {
    /// `-` for what runs, `+` for what is on disk.
    pub sign: char,
    /// Its number in its text, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
}

/// How the files on disk differ from what runs.
#[must_use]
pub(crate) fn of(engine: &Engine) -> Diff {
    let (_, runs) = engine.in_force();
    let mut diff = Diff {
        overrides: engine.overrides().report().0,
        now: engine.times().1.unix_seconds(),
        ..Diff::default()
    };
    // What a command made is in no file.
    if let Origin::Text(..) = engine.origin() {
        return diff;
    }
    let on_disk = match read(engine.origin(), NOBODY) {
        Ok((_, _, sources)) => sources,
        Err(Refused::Config(diagnostics, sources)) => {
            diff.refused = render::annotated(&diagnostics, &sources, Colour::Never);
            sources
        }
        Err(_) => return diff,
    };
    diff.files = files(&texts(&runs), &texts(&on_disk));
    diff
}

fn texts(sources: &SourceMap) -> BTreeMap<&str, &str> {
    let ids = (0..sources.len()).map(|index| FileId(u32::try_from(index).unwrap_or(u32::MAX)));
    ids.map(|id| (sources.path(id), sources.text(id))).collect()
}

fn files(before: &BTreeMap<&str, &str>, after: &BTreeMap<&str, &str>) -> Vec<FileDiff> {
    let mut paths: Vec<&str> = before.keys().chain(after.keys()).copied().collect();
    paths.sort_unstable();
    paths.dedup();
    let mut all = Vec::new();
    for path in paths {
        let (kind, old, new) = match (before.get(path), after.get(path)) {
            (Some(old), Some(new)) if old == new => continue,
            (Some(old), Some(new)) => ("changed", *old, *new),
            (Some(old), None) => ("removed", *old, ""),
            (None, Some(new)) => ("added", "", *new),
            (None, None) => continue,
        };
        let lines = lines(old, new);
        all.push(FileDiff { path: path.to_owned(), kind: kind.to_owned(), lines });
    }
    all
}

/// The lines that differ, in the order of the texts: those that went before those that came.
fn lines(before: &str, after: &str) -> Vec<LineDiff> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b);
    let tail = tail.count();
    let (old, new) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let went = |at: usize| LineDiff { sign: '-', line: head + at + 1, text: old[at].to_owned() };
    let came = |at: usize| LineDiff { sign: '+', line: head + at + 1, text: new[at].to_owned() };
    if old.len().saturating_mul(new.len()) > CELLS_MAX {
        return (0..old.len()).map(went).chain((0..new.len()).map(came)).collect();
    }
    // Lengths of the longest common rest from each pair of places on.
    let width = new.len() + 1;
    let mut common = vec![0_u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i * width + j] = if old[i] == new[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut all) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j >= new.len()
            || (i < old.len() && common[(i + 1) * width + j] >= common[i * width + j + 1])
        {
            all.push(went(i));
            i += 1;
        } else {
            all.push(came(j));
            j += 1;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(before: &str, after: &str) -> String {
        let lines = lines(&before.replace(' ', "\n"), &after.replace(' ', "\n"));
        let words: Vec<_> =
            lines.iter().map(|one| format!("{}{}{}", one.sign, one.line, one.text)).collect();
        words.join(" ")
    }

    #[test]
    fn lines_that_differ() {
        let check = |before: &str, after: &str, expect: &str| {
            assert_eq!(shown(before, after), expect, "{before} / {after}");
        };
        check("a b c", "a b c", "");
        check("a b c", "a x c", "-2b +2x");
        check("a b c", "a c", "-2b");
        check("a c", "a b c", "+2b");
        check("", "a", "+1a");
        check("a b c d", "b d e", "-1a -3c +3e");
        check("x x x", "x x", "-3x");
        check("a b", "b a", "-1a +2a");
        let long = |word: &str| (0..2500).map(|at| format!("{word}{at} ")).collect::<String>();
        assert_eq!(shown(&long("a"), &long("b")).split(' ').count(), 5000);
    }

    #[test]
    fn files_that_came_and_went() {
        let before = BTreeMap::from([("a", "1"), ("b", "1"), ("c", "1")]);
        let after = BTreeMap::from([("a", "1"), ("b", "2"), ("d", "1")]);
        let all = files(&before, &after);
        let kinds: Vec<_> = all.iter().map(|one| (&*one.path, &*one.kind)).collect();
        assert_eq!(kinds, [("b", "changed"), ("c", "removed"), ("d", "added")]);
    }
}
