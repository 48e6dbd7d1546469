//! Third-party crates: licences, bans, duplicates and sources, by the rules in deny.toml.
//!
//! This is what `cargo deny check bans licenses sources` decides, from what cargo itself says it
//! builds, so that it runs wherever the tests run.

use std::collections::{BTreeMap, BTreeSet};

use super::{cargo, complains, none, read};

/// A crate that is built.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Built {
    name: String,
    version: String,
    licence: String,
}

/// Crates in the lines of `cargo tree --prefix none --format "{p}|{l}"`.
fn built(tree: &str) -> BTreeSet<Built> {
    let crates = tree.lines().filter_map(|line| {
        let (package, licence) = line.split_once('|')?;
        let mut words = package.split_whitespace();
        let (name, version) = (words.next()?, words.next()?);
        Some(Built {
            name: name.to_owned(),
            version: version.trim_start_matches('v').to_owned(),
            // A package that was listed before is marked so.
            licence: licence.trim_end_matches("(*)").trim().to_owned(),
        })
    });
    crates.collect()
}

/// An entry of a list in deny.toml: a string, or the value of `crate` in a table.
fn list(page: &str, section: &str, key: &str) -> Vec<String> {
    let start = format!("{key} = [");
    let mut lines = page.lines().skip_while(|line| line.trim() != format!("[{section}]")).skip(1);
    let Some(first) = lines
        .by_ref()
        .take_while(|line| !line.starts_with('['))
        .find(|line| line.starts_with(&start))
    else {
        return Vec::new();
    };
    let one_line = first.trim_end().ends_with(']');
    let rest = if one_line { Vec::new() } else { lines.take_while(|line| *line != "]").collect() };
    std::iter::once(&first[start.len()..]).chain(rest).filter_map(entry).collect()
}

/// The first quoted text of a line that isn't a comment.
fn entry(line: &str) -> Option<String> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    line.split('"').nth(1).map(str::to_owned)
}

/// Whether an SPDX expression can be satisfied by the allowed licences. `/` is an old way to write
/// OR.
fn may_use(expression: &str, allowed: &[String]) -> Result<bool, String> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Spdx { words: &words, allowed };
    let verdict = reader.any()?;
    if reader.words.is_empty() { Ok(verdict) } else { Err(format!("{expression:?} is not SPDX")) }
}

struct Spdx<'a> {
    words: &'a [&'a str],
    allowed: &'a [String],
}

impl<'a> Spdx<'a> {
    fn any(&mut self) -> Result<bool, String> {
        let mut verdict = self.all()?;
        while self.take("OR") {
            verdict |= self.all()?;
        }
        Ok(verdict)
    }

    fn all(&mut self) -> Result<bool, String> {
        let mut verdict = self.one()?;
        while self.take("AND") {
            verdict &= self.one()?;
        }
        Ok(verdict)
    }

    fn one(&mut self) -> Result<bool, String> {
        if self.take("(") {
            let verdict = self.any()?;
            return if self.take(")") { Ok(verdict) } else { Err("a ( is not closed".to_owned()) };
        }
        let mut licence = self.word()?.to_owned();
        if self.take("WITH") {
            licence = format!("{licence} WITH {}", self.word()?);
        }
        Ok(self.allowed.contains(&licence))
    }

    fn word(&mut self) -> Result<&'a str, String> {
        let (first, rest) = self.words.split_first().ok_or("a licence is missing")?;
        self.words = rest;
        if matches!(*first, "(" | ")" | "AND" | "OR" | "WITH") {
            return Err(format!("{first} stands where a licence should"));
        }
        Ok(first)
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.words.first() == Some(&word);
        if found {
            self.words = &self.words[1..];
        }
        found
    }
}

fn licences(built: &BTreeSet<Built>, allowed: &[String]) -> Vec<String> {
    let complain = |found: &Built| match may_use(&found.licence, allowed) {
        Ok(true) => None,
        Ok(false) => Some(format!("{} is under {:?}", found.name, found.licence)),
        Err(why) => Some(format!("{}: {why}", found.name)),
    };
    built.iter().filter_map(complain).collect()
}

fn bans(built: &BTreeSet<Built>, banned: &[String]) -> Vec<String> {
    let is_banned = |found: &&Built| banned.contains(&found.name);
    built.iter().filter(is_banned).map(|found| format!("{} is banned", found.name)).collect()
}

/// `skip` holds `name` or `name:^version`.
fn duplicates(built: &BTreeSet<Built>, skip: &[String]) -> Vec<String> {
    let is_skipped = |found: &Built| {
        skip.iter().any(|entry| match entry.split_once(":^") {
            None => *entry == found.name,
            Some((name, version)) => {
                let rest = found.version.strip_prefix(version);
                name == found.name
                    && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }
        })
    };
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for found in built.iter().filter(|found| !is_skipped(found)) {
        versions.entry(&found.name).or_default().push(&found.version);
    }
    let several = versions.iter().filter(|(_, versions)| versions.len() > 1);
    several
        .map(|(name, versions)| format!("{name} is built {versions:?}: use one, or argue a skip"))
        .collect()
}

/// Sources in Cargo.lock; only the allowed registries may be there.
fn sources(lock: &str, registries: &[String]) -> Vec<String> {
    let written = lock.lines().filter_map(|line| line.strip_prefix("source = "));
    let foreign: BTreeSet<&str> = written
        .map(|source| source.trim_matches('"'))
        .filter(|source| {
            source.strip_prefix("registry+").is_none_or(|url| !registries.contains(&url.to_owned()))
        })
        .collect();
    foreign.into_iter().map(|source| format!("{source} is no source we know")).collect()
}

/// Crates of a part of the workspace; `edges` are those of `cargo tree`.
fn tree(of: &[&str], edges: &str) -> BTreeSet<Built> {
    let mut arguments = vec!["tree", "--prefix", "none", "--format", "{p}|{l}", "--edges", edges];
    arguments.extend(of);
    let built = built(&cargo(&arguments));
    assert!(built.len() > 20, "the tree was not read: {built:?}");
    built
}

#[test]
fn licences_are_allowed() {
    let allowed = list(&read("deny.toml"), "licenses", "allow");
    none(&licences(&tree(&["--workspace"], "normal,build,dev"), &allowed));
}

#[test]
fn nothing_banned_is_shipped() {
    let banned = list(&read("deny.toml"), "bans", "deny");
    assert!(banned.contains(&"ring".to_owned()), "{banned:?}");
    none(&bans(&tree(&["--package", "doorman"], "normal,build"), &banned));
}

#[test]
fn no_crate_is_built_twice() {
    let skip = list(&read("deny.toml"), "bans", "skip");
    none(&duplicates(&tree(&["--workspace"], "normal,build,dev"), &skip));
}

#[test]
fn every_crate_comes_from_the_registry() {
    let registries = list(&read("deny.toml"), "sources", "allow-registry");
    none(&sources(&read("Cargo.lock"), &registries));
}

#[test]
fn deny_toml_is_read() {
    let page = "[licenses]\nallow = [\n    \"MIT\",\n    # \"GPL-3.0\",\n    \"ISC\",\n]\n\
                [bans]\nallow = []\ndeny = [\n    { crate = \"ring\", reason = \"\" },\n]\n\
                [sources]\nallow-registry = [\"https://one\"]\n";
    assert_eq!(list(page, "licenses", "allow"), ["MIT", "ISC"]);
    assert_eq!(list(page, "bans", "deny"), ["ring"]);
    assert_eq!(list(page, "bans", "allow"), [""; 0]);
    assert_eq!(list(page, "sources", "allow-registry"), ["https://one"]);
    assert_eq!(list(page, "licenses", "deny"), [""; 0]);
}

#[test]
fn licence_expressions_are_decided() {
    let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
    for (expression, expect) in [
        ("MIT", Some(true)),
        ("GPL-3.0", Some(false)),
        ("GPL-3.0 OR MIT", Some(true)),
        ("GPL-3.0/MIT", Some(true)),
        ("GPL-3.0 / MIT", Some(true)),
        ("GPL-3.0 AND MIT", Some(false)),
        ("GPL-3.0 AND MIT OR ISC", Some(true)),
        ("GPL-3.0 AND (MIT OR ISC)", Some(false)),
        ("(GPL-3.0 OR MIT) AND (ISC)", Some(true)),
        ("Apache-2.0", Some(false)),
        ("Apache-2.0 WITH LLVM-exception", Some(true)),
        ("Apache-2.0 WITH other AND MIT", Some(false)),
        ("", None),
        ("MIT OR", None),
        ("(MIT", None),
        ("MIT)", None),
        ("MIT ISC", None),
        ("AND", None),
    ] {
        assert_eq!(may_use(expression, &allowed).ok(), expect, "{expression}");
    }
}

#[test]
fn bad_dependencies_are_noticed() {
    let found = built(
        "doorman v0.1.0 (a folder)|MIT OR Apache-2.0\nring v0.17.14|ISC (*)\nsyn v1.0.9|MIT\n\
         syn v2.0.1 (proc-macro)|MIT\nsyn v2.0.1|MIT (*)\nsyn v3.0.0|MIT\nevil v1.0.0|GPL-3.0-only\nbare v1.0.0|",
    );
    let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    complains(&licences(&found, &owned(&["MIT", "ISC"])), &["bare", "evil is under"]);
    complains(&bans(&found, &owned(&["ring", "openssl"])), &["ring is banned"]);
    complains(&duplicates(&found, &owned(&["syn:^2"])), &["syn is built [\"1.0.9\", \"3.0.0\"]"]);
    complains(&duplicates(&found, &owned(&["syn:^2", "syn:^3"])), &[]);
    complains(&duplicates(&found, &owned(&["syn"])), &[]);
    let lock = "source = \"registry+https://one\"\nsource = \"git+https://two#1\"\nsource = \"registry+https://two\"\n";
    complains(
        &sources(lock, &owned(&["https://one"])),
        &["git+https://two", "registry+https://two"],
    );
}
