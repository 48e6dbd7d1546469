//! A pattern (its length first) and what it is searched in. No panic, whatever the pattern; the engine that tries
//! alternatives and the linear one find the same; facts are true of all that matches; a search that may take fewer
//! steps finds the same or gives up; caches stay within their bound.
#![no_main]

use doorman_waf::regex::{Groups, OverBudget, Regex};
use libfuzzer_sys::fuzz_target;

const STEPS_MAX: u32 = 100_000;
/// Bytes of a cache, with twice what the pattern holds.
const CACHE_MAX: usize = 1 << 20;

/// Groups lie in the input, and within the whole.
fn check(groups: &Groups, hay: &[u8]) {
    let whole = groups[0].clone().expect("a match has a place");
    assert!(whole.start <= whole.end && whole.end <= hay.len());
    for group in groups.iter().flatten() {
        // A look-ahead may capture behind the end of the match, a look-behind before it.
        assert!(group.start <= group.end && group.end <= hay.len());
    }
}

fn search(regex: &Regex, hay: &[u8]) -> Result<Option<Groups>, OverBudget> {
    let mut cache = regex.cache();
    let is_match = regex.is_match(&mut cache, hay);
    let groups = regex.groups(&mut cache, hay);
    match (&is_match, &groups) {
        (Ok(is_match), Ok(groups)) => assert_eq!(*is_match, groups.is_some()),
        // To ask whether it matches takes the same steps.
        _ => assert!(regex.backtracks(), "the linear engine has no bound on steps"),
    }
    assert!(cache.memory() <= CACHE_MAX + 2 * regex.memory(), "{} bytes", cache.memory());
    if let Ok(Some(groups)) = &groups {
        check(groups, hay);
        assert!(regex.facts().allow(hay), "what matches is allowed by the facts");
    }
    groups
}

fuzz_target!(|input: &[u8]| {
    let Some((&length, rest)) = input.split_first() else { return };
    let (pattern, hay) = rest.split_at(usize::from(length).min(rest.len()));
    let regex = match Regex::new(pattern, STEPS_MAX) {
        Ok(regex) => regex,
        Err(error) => return assert!(error.at <= pattern.len() && !error.text.is_empty()),
    };
    let found = search(&regex, hay);
    let tried = regex.tried(hay).expect("it was read before");
    if let (Ok(found), Ok(groups)) = (&found, &tried.groups) {
        assert_eq!(found.is_some(), groups.is_some());
        if tried.is_exact || regex.backtracks() {
            assert_eq!(found, groups);
        }
    }
    let few = Regex::new(pattern, 200).expect("how many steps it may take is nothing to the parser");
    if let Ok(sooner) = search(&few, hay) {
        assert_eq!(Ok(sooner), found);
    }
});
