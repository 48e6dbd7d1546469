//! Pages that say which test shows what: each test that they name must be there.

use std::collections::BTreeSet;

use super::sources::files;
use super::{complains, none, read};

/// Pages whose tables name tests by a path: suite or crate, modules, function.
const PAGES: [&str; 1] = ["docs/cases-guard.md"];

/// What stands between backticks and looks like the path of a test.
fn named(page: &str) -> impl Iterator<Item = &str> {
    let parts = page.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    parts.filter(|part| part.contains("::") && !part.contains(' '))
}

/// Paths whose function is in none of the files that its first part could mean.
fn missing(page: &str, sources: &[(String, String)]) -> Vec<String> {
    let known: BTreeSet<(&str, &str)> = sources
        .iter()
        .flat_map(|(path, text)| functions(text).map(move |name| (path.as_str(), name)))
        .collect();
    let is_there = |test: &str| {
        let (first, name) = (test.split("::").next()?, test.rsplit("::").next()?);
        // A suite of stories, or a crate.
        let (suite, member) =
            (format!("crates/doorman/tests/{first}/"), format!("crates/{first}/"));
        let is_home = |path: &str| path.starts_with(&suite) || path.starts_with(&member);
        known.iter().any(|(path, known)| *known == name && is_home(path)).then_some(())
    };
    let gone = named(page).filter(|test| is_there(test).is_none());
    gone.map(|test| format!("there is no test {test}")).collect()
}

/// Names of the functions of a file.
fn functions(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix("fn "));
    lines.filter_map(|rest| rest.split(['(', '<']).next())
}

#[test]
fn every_test_that_a_page_names_is_there() {
    let sources = files("crates", &["rs"]);
    for page in PAGES {
        let text = read(page);
        assert!(named(&text).count() > 20, "{page} names tests");
        none(&missing(&text, &sources));
    }
}

#[test]
fn a_test_that_is_gone_is_noticed() {
    let sources = [
        ("crates/doorman/tests/it/one.rs".to_owned(), "#[test]\nfn a_story() {}".to_owned()),
        ("crates/doorman-x/src/two.rs".to_owned(), "    fn a_unit(pair: Pair) {}".to_owned()),
    ];
    let page = "| A-1 | `it::one::a_story`, `doorman-x::two::a_unit`, `limits` |";
    none(&missing(page, &sources));
    let page = "| A-1 | `it::one::a_unit`, `doorman-x::two::another` |";
    complains(&missing(page, &sources), &["it::one::a_unit", "doorman-x::two::another"]);
}
