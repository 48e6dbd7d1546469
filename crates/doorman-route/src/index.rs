//! From a path to the few routes of a site that can still take it.
//!
//! Each literal that some pattern begins with has a list of all routes that a path with that
//! literal as its longest can match, in file order; the lists are made when the table is built. A
//! look-up is one pass over the path, which hashes it and looks at each slash whether the part up
//! to there is a literal. Expressions and routes for all paths are in a list of their own.

use std::collections::BTreeMap;

use crate::hash;
use crate::pattern::Path;

/// The routes that a path can match: two ascending lists of route numbers.
#[derive(Clone, Copy)]
pub(crate) struct Candidates<'a> {
    literal: &'a [u32],
    any: &'a [u32],
}

impl Iterator for Candidates<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let from_literal = match (self.literal.first(), self.any.first()) {
            (Some(a), Some(b)) => a < b,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return None,
        };
        let list = if from_literal { &mut self.literal } else { &mut self.any };
        let (first, rest) = list.split_first()?;
        *list = rest;
        Some(*first as usize)
    }
}

#[derive(Debug)]
pub(crate) struct Index {
    /// Whole paths.
    whole: Keys,
    /// Beginnings of paths, each with its final slash.
    below: Keys,
    any: Box<[u32]>,
    /// Bytes of the longest key: no byte behind it is looked at.
    longest: usize,
}

type Lists<'a> = BTreeMap<&'a [u8], Vec<u32>>;

impl Index {
    /// The index over the patterns of a site, in order. There are fewer than 2^32 of them.
    pub(crate) fn new<'a>(patterns: impl Iterator<Item = &'a Path>) -> Self {
        let (mut whole, mut below, mut any) = (Lists::new(), Lists::new(), Vec::new());
        for (path, number) in patterns.zip(0u32..) {
            match path {
                Path::Any | Path::Regex(_) => any.push(number),
                Path::Exact(text) => whole.entry(text).or_default().push(number),
                // A segment that is not empty follows the lead, so every match begins with it.
                Path::Wildcard { lead, .. } => below.entry(lead).or_default().push(number),
                Path::Below { literal, whole: itself } => {
                    below.entry(literal).or_default().push(number);
                    if *itself && let Some(bare) = literal.strip_suffix(b"/") {
                        whole.entry(bare).or_default().push(number);
                    }
                }
            }
        }
        let longest = whole.keys().chain(below.keys()).map(|key| key.len()).max().unwrap_or(0);
        let with_parents = |key: &[u8], own: &[u32]| {
            let ends = (0..key.len()).filter(|&i| key[i] == b'/');
            let parents = ends.filter_map(|end| below.get(&key[..=end]));
            let mut routes: Vec<u32> = parents.flatten().chain(own).copied().collect();
            routes.sort_unstable();
            routes.dedup();
            routes
        };
        Self {
            whole: Keys::new(whole.iter().map(|(key, own)| (*key, with_parents(key, own)))),
            below: Keys::new(below.keys().map(|key| (*key, with_parents(key, &[])))),
            any: any.into(),
            longest,
        }
    }

    pub(crate) fn find(&self, path: &[u8]) -> Candidates<'_> {
        let seen = &path[..path.len().min(self.longest)];
        let mut literal: &[u32] = &[];
        let mut hash = hash::START;
        for (i, &byte) in seen.iter().enumerate() {
            hash = hash::step(hash, byte);
            if byte == b'/'
                && let Some(routes) = self.below.find(hash, &seen[..=i])
            {
                literal = routes;
            }
        }
        if seen.len() == path.len()
            && let Some(routes) = self.whole.find(hash, path)
        {
            literal = routes;
        }
        Candidates { literal, any: &self.any }
    }
}

/// A hash table whose hashes come from outside. Slots hold the number of an entry plus one.
#[derive(Debug)]
struct Keys {
    slots: Box<[u32]>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    hash: u64,
    key: Box<[u8]>,
    routes: Box<[u32]>,
}

impl Keys {
    fn new<'a>(keys: impl Iterator<Item = (&'a [u8], Vec<u32>)>) -> Self {
        let entries: Vec<Entry> = keys
            .map(|(key, routes)| Entry {
                hash: key.iter().fold(hash::START, |hash, &byte| hash::step(hash, byte)),
                key: key.into(),
                routes: routes.into(),
            })
            .collect();
        // At most half full, so that a miss ends after a step or two.
        let mut slots =
            vec![0u32; (entries.len() * 2).next_power_of_two().max(2)].into_boxed_slice();
        for (entry, number) in entries.iter().zip(1u32..) {
            let mut at = place(entry.hash, slots.len());
            while slots[at] != 0 {
                at = (at + 1) & (slots.len() - 1);
            }
            slots[at] = number;
        }
        Self { slots, entries }
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<&[u32]> {
        let mut at = place(hash, self.slots.len());
        loop {
            let number = self.slots[at].checked_sub(1)?;
            let entry = &self.entries[number as usize];
            if entry.hash == hash && *entry.key == *key {
                return Some(&entry.routes);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }
}

/// The first slot to look at; `slots` is a power of two.
fn place(hash: u64, slots: usize) -> usize {
    // The upper half is the better mixed one.
    usize::try_from((hash ^ (hash >> 32)) & (slots as u64 - 1)).unwrap_or(0)
}
