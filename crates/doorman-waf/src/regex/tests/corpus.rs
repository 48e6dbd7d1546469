//! All patterns of rule sets in directories that `DOORMAN_CRS` names, parted by `:`.

use std::collections::BTreeSet;
use std::path::Path;

use super::properties::samples;
use super::*;

const DIRECTORIES: &str = "DOORMAN_CRS";
/// Bytes that the patterns of one set may hold.
const MEMORY_MAX: usize = 12 << 20;
/// Patterns of one set that may need the backtracking engine.
const BACKTRACKING_MAX: usize = 3;

#[test]
fn rule_sets_compile() {
    let Ok(directories) = std::env::var(DIRECTORIES) else {
        eprintln!("SKIPPED: {DIRECTORIES} names no directory of rules; no set has been compiled");
        return;
    };
    for directory in directories.split(':') {
        let patterns = patterns(Path::new(directory));
        assert!(patterns.len() > 100, "{directory} has {} patterns", patterns.len());
        let regexes: Vec<_> = patterns.iter().map(|pattern| compile(pattern)).collect();
        let backtracking: Vec<_> = regexes.iter().filter(|regex| regex.backtracks()).collect();
        let memory: usize = regexes.iter().map(Regex::memory).sum();
        let tried: Vec<_> = regexes.iter().map(try_samples).collect();
        let caches: usize = tried.iter().map(|(_, memory)| memory).sum();
        let unmatched = tried.iter().filter(|(matches, _)| *matches == 0).count();
        println!(
            "{directory}: {} patterns hold {} KiB, used caches {} KiB, {} backtrack: {backtracking:?}",
            regexes.len(),
            memory >> 10,
            caches >> 10,
            backtracking.len(),
        );
        assert!(memory <= MEMORY_MAX && caches <= MEMORY_MAX);
        // What a sample is made of knows nothing of looking around.
        assert!(unmatched < regexes.len() / 10, "{unmatched} patterns match none of their samples");
        assert!(backtracking.len() <= BACKTRACKING_MAX);
    }
}

/// Asks for texts that are like what it matches. Tells how many it matches and what its cache holds.
fn try_samples(regex: &Regex) -> (usize, usize) {
    let tree = parse::parse(regex.pattern()).unwrap();
    let mut cache = regex.cache();
    let mut matches = 0;
    for round in 0..40_u8 {
        let seed: Vec<u8> =
            (1..=23).map(|i: u8| i.wrapping_mul(round).wrapping_add(i / 3)).collect();
        for text in samples(&tree, &seed) {
            let is_match = regex.is_match(&mut cache, &text) == Ok(true);
            matches += usize::from(is_match);
            assert!(
                !is_match || regex.facts().allow(&text),
                "{regex:?} on {}",
                text.escape_ascii()
            );
        }
    }
    (matches, cache.memory())
}

/// What stands behind `@rx` in the files of a directory, roughly read.
fn patterns(directory: &Path) -> BTreeSet<Vec<u8>> {
    let mut patterns = BTreeSet::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "conf") {
            collect(&std::fs::read(path).unwrap(), &mut patterns);
        }
    }
    patterns
}

fn collect(text: &[u8], patterns: &mut BTreeSet<Vec<u8>>) {
    let lines =
        text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii_start().starts_with(b"#"));
    let joined = lines.fold(Vec::new(), |mut joined, line| {
        match line.strip_suffix(b"\\") {
            Some(line) => joined.extend_from_slice(line),
            None => {
                joined.extend_from_slice(line);
                joined.push(b'\n');
            }
        }
        joined
    });
    let mut rest = &joined[..];
    while let Some(start) = memchr::memmem::find(rest, b"@rx ") {
        let quoted = rest[..start].ends_with(b"\"") || rest[..start].ends_with(b"\"!");
        rest = &rest[start + 4..];
        if !quoted {
            continue;
        }
        let mut pattern = Vec::new();
        let mut bytes = rest.iter();
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' => break,
                b'\\' => match bytes.next() {
                    Some(b'"') => pattern.push(b'"'),
                    other => {
                        pattern.push(b'\\');
                        pattern.extend(other);
                    }
                },
                byte => pattern.push(*byte),
            }
        }
        // A pattern with a macro is made when it is asked for.
        if !memchr::memmem::find(&pattern, b"%{").is_some_and(|_| pattern.ends_with(b"}")) {
            patterns.insert(pattern);
        }
    }
}
