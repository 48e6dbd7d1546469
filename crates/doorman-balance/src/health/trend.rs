//! Answers to a verdict: so many failures in a row take a server out, so many passes in a row bring it
//! back. In between nothing changes, so that a server whose checks flap is not passed to and fro.
//!
//! ```text
//!             first pass                fall failures in a row
//! Unknown ------------------> Up ----------------------------------> Down
//!    |                         ^                                      ^ |
//!    |                         +----- rise passes in a row -----------|-+
//!    +-------------------------- first failure -----------------------+
//! ```
//!
//! The first answer decides alone: what a server counted as until then was a guess.

use super::check::Pace;

/// What a check has found of one server so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trend {
    standing: Standing,
    /// Answers in a row that speak against the standing.
    against: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Unknown,
    Up,
    Down,
}

/// A change of the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the server is to be told of it"]
pub enum Turn {
    /// None.
    None,
    /// It is up from now on.
    Up,
    /// It is down from now on.
    Down,
}

impl Trend {
    /// Takes note of an answer.
    pub fn note(&mut self, passed: bool, pace: &Pace) -> Turn {
        let (needed, next, turn) = match (self.standing, passed) {
            (Standing::Up, true) | (Standing::Down, false) => {
                self.against = 0;
                return Turn::None;
            }
            (Standing::Unknown, true) => (1, Standing::Up, Turn::Up),
            (Standing::Unknown, false) => (1, Standing::Down, Turn::Down),
            (Standing::Up, false) => (pace.fall, Standing::Down, Turn::Down),
            (Standing::Down, true) => (pace.rise, Standing::Up, Turn::Up),
        };
        self.against = self.against.saturating_add(1);
        if self.against < needed {
            return Turn::None;
        }
        *self = Self { standing: next, against: 0 };
        turn
    }

    /// Whether it is up; `None` before the first answer.
    #[must_use]
    pub const fn is_up(&self) -> Option<bool> {
        match self.standing {
            Standing::Unknown => None,
            Standing::Up => Some(true),
            Standing::Down => Some(false),
        }
    }

    /// Whether it is up and the last answer said so too.
    #[must_use]
    pub const fn is_steady(&self) -> bool {
        matches!(self.standing, Standing::Up) && self.against == 0
    }

    /// Answers in a row that speak against the verdict.
    #[must_use]
    pub const fn against(&self) -> u32 {
        self.against
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Initial;
    use super::*;
    use std::time::Duration;

    fn pace(fall: u32, rise: u32) -> Pace {
        Pace {
            every: Duration::from_secs(5),
            while_healthy: None,
            timeout: Duration::from_secs(2),
            fall,
            rise,
            initial: Initial::Up,
        }
    }

    /// Answers as `+` and `-`; the verdict behind each as `u`, `d`, or `?`.
    fn check(fall: u32, rise: u32, answers: &str, expect: &str) {
        let mut trend = Trend::default();
        let found: String = answers
            .chars()
            .map(|answer| {
                let _ = trend.note(answer == '+', &pace(fall, rise));
                match trend.is_up() {
                    None => '?',
                    Some(true) => 'u',
                    Some(false) => 'd',
                }
            })
            .collect();
        assert_eq!(found, expect, "fall {fall} rise {rise}: {answers}");
    }

    #[test]
    fn rise_and_fall() {
        check(3, 2, "++---++-", "uuuudduu");
        check(1, 1, "+-+-", "udud");
        check(3, 2, "-+-++", "ddddu");
        check(3, 2, "-++", "ddu");
        check(2, 3, "+-+-+--", "uuuuuud");
    }

    /// UPC-18: a server whose checks pass and fail in turn stays what it was.
    #[test]
    fn upc_18_flapping_checks_change_nothing() {
        let mut trend = Trend::default();
        assert_eq!(trend.note(true, &pace(2, 2)), Turn::Up);
        for n in 0..1000 {
            assert_eq!(trend.note(n % 2 == 1, &pace(2, 2)), Turn::None);
        }
        assert_eq!(trend.is_up(), Some(true));
    }

    proptest! {
        #[test]
        fn a_turn_needs_a_row(
            answers in prop::collection::vec(any::<bool>(), 1..200),
            fall in 1u32..6,
            rise in 1u32..6,
        ) {
            let pace = pace(fall, rise);
            let mut trend = Trend::default();
            for (at, &answer) in answers.iter().enumerate() {
                let needed = match (trend.is_up(), answer) {
                    (None, _) => 1,
                    (_, true) => rise as usize,
                    (_, false) => fall as usize,
                };
                let turn = trend.note(answer, &pace);
                let row = answers[..=at].iter().rev().take_while(|&&a| a == answer).count();
                if turn != Turn::None {
                    prop_assert_eq!(turn == Turn::Up, answer);
                    prop_assert!(row >= needed);
                } else if trend.is_up() != Some(answer) {
                    prop_assert!(row < needed);
                }
            }
        }
    }
}
