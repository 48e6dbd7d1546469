//! What is to be told of a transaction: matches, refusals, faults, and what of it is hidden.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::live::{At, Matched};
use super::outcome::{EXCERPT_MAX, Fault, Match, Refusal};
use crate::body::Pair;
use crate::rule::{Effect, Rule, Selector, Target};

/// Names and values of matches that are hidden; more are not remembered, and their matches are told
/// without any value.
const REDACTED_MAX: usize = 256;
/// Faults that are told.
const FAULTS_MAX: usize = 64;
/// What stands for what is hidden.
const MASK: u8 = b'*';

/// The record of a transaction so far.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) matches: Vec<Match>,
    pub(crate) refused: Option<Refusal>,
    pub(crate) would_refuse: Option<Refusal>,
    pub(crate) faults: Vec<Fault>,
    /// Whether a match was worth an audit record.
    pub(crate) audit: bool,
    /// The number of the gravest severity, 255 where nothing matched.
    pub(crate) highest_severity: u8,
    redactions: Vec<(Arc<Rule>, usize, usize)>,
    known: BTreeSet<(u32, usize, usize)>,
    matched: Vec<Pair>,
    redact_all: bool,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            matches: Vec::new(),
            refused: None,
            would_refuse: None,
            faults: Vec::new(),
            audit: false,
            highest_severity: u8::MAX,
            redactions: Vec::new(),
            known: BTreeSet::new(),
            matched: Vec::new(),
            redact_all: false,
        }
    }
}

impl Journal {
    /// Writes down what went wrong; each thing once for each rule and phase.
    pub(crate) fn fault(&mut self, fault: Fault) {
        if self.faults.len() < FAULTS_MAX && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Hides the values of a target: the effect of this number of the link says which.
    pub(crate) fn redact(&mut self, at: At<'_>, effect: usize) {
        if self.known.insert((at.rule.id, at.link, effect)) {
            self.redactions.push((Arc::clone(at.rule), at.link, effect));
        }
    }

    /// Hides what matched.
    pub(crate) fn redact_matched(&mut self, matched: &Matched) {
        let pair = Pair { name: matched.name.clone(), value: matched.value.clone() };
        if self.matched.len() >= REDACTED_MAX {
            self.redact_all = true;
        } else if !self.matched.contains(&pair) {
            self.matched.push(pair);
        }
    }

    /// The targets whose values are hidden.
    pub(crate) fn redacted(&self) -> impl Iterator<Item = &Target> {
        self.redactions.iter().filter_map(|(rule, link, effect)| {
            match &rule.links[*link].effects[*effect] {
                Effect::Redact(target) => Some(target),
                _ => None,
            }
        })
    }

    /// The matches as they may be told. `secrets` are the values of the targets that are hidden.
    pub(crate) fn told(&self, secrets: &[Vec<u8>]) -> Vec<Match> {
        let mut matches = self.matches.clone();
        for found in &mut matches {
            let hidden = self.redact_all || self.hides(&found.variable);
            if hidden {
                found.value.fill(MASK);
                found.raw.fill(MASK);
                found.data = masked(&found.data);
            }
            for secret in secrets.iter().chain(self.matched.iter().map(|pair| &pair.value)) {
                mask(&mut found.value, secret);
                mask(&mut found.raw, secret);
                mask_text(&mut found.data, secret);
                mask_text(&mut found.msg, secret);
            }
        }
        matches
    }

    /// Whether a match of this name, such as `ARGS:password`, is hidden.
    fn hides(&self, name: &str) -> bool {
        let (variable, key) = name.split_once(':').unwrap_or((name, ""));
        let by_target = self.redacted().any(|target| {
            target.variable.word() == variable
                && match &target.selector {
                    Selector::All => true,
                    Selector::Key(lower) => key.as_bytes().eq_ignore_ascii_case(lower),
                    // Which names a pattern means is told by the values it hides.
                    Selector::Regex(_) => false,
                }
        });
        by_target || self.matched.iter().any(|pair| pair.name == name.as_bytes())
    }
}

/// As many stars as it has characters.
fn masked(text: &str) -> String {
    text.chars().map(|_| char::from(MASK)).collect()
}

/// Puts stars over each occurrence of a secret, and over the start of one that an excerpt cuts off.
fn mask(bytes: &mut [u8], secret: &[u8]) {
    /// Shorter pieces are everywhere by chance, and say nothing.
    const START_MIN: usize = 3;
    if secret.is_empty() {
        return;
    }
    let finder = memchr::memmem::Finder::new(secret);
    let mut from = 0;
    while let Some(at) = finder.find(&bytes[from..]) {
        bytes[from + at..from + at + secret.len()].fill(MASK);
        from += at + secret.len();
    }
    let longest = secret.len().saturating_sub(1).min(bytes.len()).min(EXCERPT_MAX);
    let start = (START_MIN..=longest).rev().find(|length| bytes.ends_with(&secret[..*length]));
    if let Some(start) = start {
        let from = bytes.len() - start;
        bytes[from..].fill(MASK);
    }
}

fn mask_text(text: &mut String, secret: &[u8]) {
    let mut bytes = std::mem::take(text).into_bytes();
    mask(&mut bytes, secret);
    *text = String::from_utf8_lossy(&bytes).into_owned();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_covered_wherever_they_stand() {
        let check = |text: &str, secret: &str, masked: &str| {
            let mut bytes = text.as_bytes().to_vec();
            mask(&mut bytes, secret.as_bytes());
            assert_eq!(String::from_utf8_lossy(&bytes), masked);
        };
        check("a hunter2 b hunter2", "hunter2", "a ******* b *******");
        check("cut hunt", "hunter2", "cut ****");
        check("cut hu", "hunter2", "cut hu");
        check("none", "", "none");
        check("aaaa", "aa", "****");
    }
}
