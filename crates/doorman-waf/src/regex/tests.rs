//! What patterns mean, by tables; that the engines agree and facts are true, by properties; and that
//! the Core Rule Set compiles.

use super::*;

mod corpus;
mod faults;
mod properties;
mod spellings;

/// Steps that no search of these tests takes, but those that show the limit.
const STEPS_MAX: u32 = 1_000_000;

fn compile(pattern: &[u8]) -> Regex {
    match Regex::new(pattern, STEPS_MAX) {
        Ok(regex) => regex,
        Err(error) => panic!("{}: {error}", pattern.escape_ascii()),
    }
}

/// The groups of the first match as text, and `None` without one.
fn found(regex: &Regex, hay: &[u8]) -> Option<Vec<Option<Vec<u8>>>> {
    let mut cache = regex.cache();
    let groups = regex.groups(&mut cache, hay).unwrap();
    assert_eq!(
        regex.is_match(&mut cache, hay).unwrap(),
        groups.is_some(),
        "{regex:?} on {}",
        hay.escape_ascii()
    );
    groups.map(|groups| groups.map(|group| group.map(|range| hay[range].to_vec())).to_vec())
}
