//! What a value must have for a rule's first condition to match.
//!
//! A gate may only say no on proof: of patterns the proof is in their facts, of the other operators it
//! is stated here. What is not known here has no gate and is always run.

use crate::operator::ByteSet;
use crate::regex::Facts;
use crate::rule::{Link, Operator, Pattern, Template};

/// What is certain of every value that matches.
#[derive(Clone, Debug, Default)]
pub(super) struct Needs {
    pub(super) length_min: usize,
    pub(super) length_max: Option<usize>,
    /// In lower case, one of these is in it.
    pub(super) literals: Option<Vec<Vec<u8>>>,
    /// It has a byte of each.
    pub(super) classes: Vec<ByteSet>,
}

impl Needs {
    /// What a link's matches need; `None` if it has no gate.
    pub(super) fn of(link: &Link) -> Option<Self> {
        if link.negated {
            return None;
        }
        let class = |class| Self { length_min: 1, classes: vec![class], ..Self::default() };
        Some(match &link.operator {
            Operator::Rx(Pattern::Fixed(regex)) => Self::facts(regex.facts()),
            Operator::Pm(phrases) => Self::one_of(phrases.0.phrases()),
            Operator::Contains(text)
            | Operator::StrMatch(text)
            | Operator::BeginsWith(text)
            | Operator::EndsWith(text) => Self::text(text)?,
            Operator::Streq(text) => {
                let length_max = text.constant().map(<[u8]>::len);
                Self { length_max, ..Self::text(text)? }
            }
            Operator::ValidateByteRange(range) => class(range.complement()),
            Operator::ValidateUrlEncoding => class(ByteSet::of(b"%")),
            Operator::ValidateUtf8Encoding => class(ByteSet::range(0x80, 0xff)),
            // They say no to what is empty, and have a gate of their own for the rest.
            Operator::DetectSqli | Operator::DetectXss => Self { length_min: 1, ..Self::default() },
            _ => return None,
        })
    }

    fn facts(facts: &Facts) -> Self {
        let literals = facts.literals.as_ref();
        Self {
            length_min: facts.length_min,
            length_max: facts.length_max,
            literals: literals.map(|all| all.iter().map(|l| l.as_bytes().to_vec()).collect()),
            classes: facts.classes.clone(),
        }
    }

    fn one_of(phrases: &[Vec<u8>]) -> Self {
        if phrases.iter().any(Vec::is_empty) {
            return Self::default();
        }
        let literals = phrases.iter().map(|phrase| phrase.to_ascii_lowercase()).collect();
        Self { length_min: 1, literals: Some(literals), ..Self::default() }
    }

    fn text(text: &Template) -> Option<Self> {
        let text = text.constant()?;
        if text.is_empty() {
            return Some(Self::default());
        }
        let literals = Some(vec![text.to_ascii_lowercase()]);
        Some(Self { length_min: text.len(), literals, ..Self::default() })
    }

    /// Whether a value of this length and with these bytes may match, for all that is known but the
    /// literals.
    pub(super) fn allow(&self, length: usize, present: &ByteSet) -> bool {
        length >= self.length_min
            && self.length_max.is_none_or(|max| length <= max)
            && self.classes.iter().all(|class| class.intersects(present))
    }
}
