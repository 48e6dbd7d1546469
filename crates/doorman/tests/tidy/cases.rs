//! Pages that say which test shows which case: every test that they name is there, and an id is in a page once.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{complains, none, root};

/// Where tests are.
const FOLDERS: [&str; 2] = ["crates", "xtask"];
/// Pages of nothing but cases.
const PAGES: [&str; 1] = ["docs/cases-guard.md"];
/// How a table of cases begins.
const HEAD: &str = "| Id |";

/// A source file: its path in pieces, as `h2`, `floods`, and the functions in it.
#[derive(Debug)]
struct Source {
    places: BTreeSet<String>,
    functions: BTreeSet<String>,
}

impl Source {
    fn read(path: &str, text: &str) -> Self {
        let named = |line: &str| {
            let line = line.trim_start();
            let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
            let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
            Some(name.split(['(', '<']).next()?.to_owned())
        };
        Self {
            places: path.split(['/', '.']).map(str::to_owned).collect(),
            functions: text.lines().filter_map(named).collect(),
        }
    }
}

/// What is wrong with the tables of one page, and with all the rest of a page that is about nothing else.
fn check(page: &str, text: &str, sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    let is_all = PAGES.iter().any(|whole| page.ends_with(whole));
    let mut is_within = false;
    for (number, line) in text.lines().enumerate() {
        is_within = line.starts_with(HEAD) || (is_within && line.starts_with('|'));
        let words = line.split('`').skip(1).step_by(2);
        for word in
            words.filter(|word| (is_within || is_all) && word.contains("::") && !word.contains(' '))
        {
            let mut places: Vec<&str> = word.split("::").collect();
            let function = places.pop().unwrap_or_default();
            let is_there = sources.iter().any(|source| {
                source.functions.contains(function)
                    && places.iter().all(|place| source.places.contains(*place))
            });
            if !is_there {
                complaints.push(format!("{page}:{}: there is no test {word}", number + 1));
            }
        }
    }
    complaints
}

/// What is wrong with the ids of one page: `RXC-01` must be there once, and so must all up to the last.
fn check_ids(page: &str, text: &str, series: &str, last: u32) -> Vec<String> {
    let count =
        |id: &str| text.lines().filter(|line| line.starts_with(&format!("| {id} |"))).count();
    (1..=last)
        .map(|number| format!("{series}-{number:02}"))
        .filter(|id| count(id) != 1)
        .map(|id| format!("{page}: {id} is there {} times", count(&id)))
        .collect()
}

fn sources(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder of the workspace") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("text");
            found.push(Source::read(&path.to_string_lossy(), &text));
        }
    }
}

#[test]
fn every_test_that_a_page_names_is_there() {
    let mut found = Vec::new();
    for folder in FOLDERS {
        sources(&root().join(folder), &mut found);
    }
    let mut complaints = Vec::new();
    let mut tables = 0;
    for entry in fs::read_dir(root().join("docs")).expect("the pages") {
        let path = entry.expect("an entry").path();
        let Ok(text) = fs::read_to_string(&path) else { continue };
        tables += text.lines().filter(|line| line.starts_with(HEAD)).count();
        complaints.extend(check(&path.display().to_string(), &text, &found));
    }
    assert!(tables > 3, "{tables} tables of cases: do they begin otherwise now?");
    none(&complaints);
}

#[test]
fn abuse_has_every_case_once() {
    let page = "docs/abuse.md";
    let text = super::read(page);
    for (series, last) in [("RXC", 26), ("RXU", 12), ("CPO", 22)] {
        none(&check_ids(page, &text, series, last));
    }
}

#[test]
fn a_test_that_is_not_there_is_noticed() {
    let text = "#[test]\nfn one() {}\nasync fn two(pair: Pair) {}\n    fn three<T>() {}\n";
    let sources = [Source::read("crates/a/tests/it/floods.rs", text)];
    let page = "`no::table`\n\n| Id | Shown by |\n|---|---|\n| A-01 | `floods::one`, `it::floods::two` |\n\
                | A-02 | `floods::four`, not `a word` |\n| A-02 | `it::three`, `drips::three` |\n\n`x::y`\n";
    complains(
        &check("page", page, &sources),
        &["page:6: there is no test floods::four", "page:7: there is no test drips::three"],
    );
    complains(
        &check_ids("page", page, "A", 3),
        &["A-02 is there 2 times", "A-03 is there 0 times"],
    );
}
