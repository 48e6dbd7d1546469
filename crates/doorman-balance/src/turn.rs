//! Whose turn it is.
//!
//! Servers of one weight follow each other. A few dozens of several weights take smooth
//! turns: each choice adds every candidate's weight to its credit, takes the one with the most credit,
//! and takes the sum of the weights off it. Over a sum of weights each is chosen exactly as often as its
//! weight says, and never in a burst: 5, 1, 1 gives a a b a c a a. More than that take steps of the
//! golden section through the sum of the weights, which visits every stretch of it as evenly as steps
//! can, at the price of one binary search.

use std::cell::{Cell, RefCell};

use crate::dice::below;

/// Candidates that take smooth turns: their credits are looked through at each choice.
pub(crate) const SMOOTH_MAX: usize = 64;
/// Turns that a new core goes on before its first, so that cores do not go in step.
const AHEAD_MAX: u64 = 1 << 10;

/// Smooth turns, by index. Bounded: each credit stays within the sum of all weights.
#[derive(Debug)]
pub(crate) struct Smooth {
    credits: Box<[Cell<i64>]>,
}

impl Smooth {
    pub(crate) fn new(count: usize) -> Self {
        Self { credits: (0..count).map(|_| Cell::new(0)).collect() }
    }

    /// The next of `candidates`, which are indices with their weights; `None` if there is none.
    pub(crate) fn next(&self, candidates: impl Iterator<Item = (usize, u32)>) -> Option<usize> {
        let mut total = 0;
        let mut best: Option<(usize, i64)> = None;
        for (index, weight) in candidates {
            let weight = i64::from(weight);
            total += weight;
            let credit = self.credits[index].get() + weight;
            self.credits[index].set(credit);
            if best.is_none_or(|(_, most)| credit > most) {
                best = Some((index, credit));
            }
        }
        let (index, credit) = best?;
        self.credits[index].set(credit - total);
        Some(index)
    }
}

/// The turns of one core, over views that come and go.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Where the next pass begins; `None` before the first.
    cursor: Cell<Option<u64>>,
    lanes: RefCell<Lanes>,
}

/// The candidates of one view.
#[derive(Debug, Default)]
struct Lanes {
    even: bool,
    /// By place among the candidates: member, weight, credit.
    members: Vec<u32>,
    weights: Vec<i64>,
    credits: Vec<i64>,
    total: i64,
    /// Sums of the weights, of many candidates.
    sums: Vec<u64>,
}

impl Turn {
    pub(crate) fn new() -> Self {
        Self { cursor: Cell::new(None), lanes: RefCell::default() }
    }

    /// Other candidates from now on, each a member and its weight. Those that stay keep their credit.
    pub(crate) fn follow(&self, candidates: impl ExactSizeIterator<Item = (u32, u32)> + Clone) {
        let mut lanes = self.lanes.borrow_mut();
        let first = candidates.clone().next().map_or(0, |(_, weight)| weight);
        let even = candidates.clone().all(|(_, weight)| weight == first);
        let many = candidates.len() > SMOOTH_MAX;
        let mut next = Lanes { even, ..Lanes::default() };
        if !even && !many {
            let credit = |member: u32| {
                let at = lanes.members.iter().position(|&known| known == member);
                at.map_or(0, |at| lanes.credits[at])
            };
            next.credits = candidates.clone().map(|(member, _)| credit(member)).collect();
            next.weights = candidates.clone().map(|(_, weight)| i64::from(weight)).collect();
            next.members = candidates.clone().map(|(member, _)| member).collect();
            next.total = next.weights.iter().sum();
            // Credits of those that are gone would be owed to nobody.
            let owed: i64 = next.credits.iter().sum();
            if let Some(first) = next.credits.first_mut() {
                *first -= owed;
            }
        } else if !even {
            let mut sum = 0;
            next.sums = candidates
                .map(|(_, weight)| {
                    sum += u64::from(weight);
                    sum
                })
                .collect();
        }
        *lanes = next;
    }

    /// Begins at a place that dice name, if nothing has begun yet.
    fn begin(&self, lanes: &mut Lanes, dice: u64, count: usize) -> u64 {
        let cursor = match self.cursor.get() {
            Some(cursor) => cursor,
            None if !lanes.credits.is_empty() => {
                // Dice of nothing begin at the beginning.
                for _ in 0..(dice % AHEAD_MAX) {
                    lanes.smooth();
                }
                0
            }
            None if lanes.even => below(dice, count) as u64,
            None => dice,
        };
        self.cursor.set(Some(cursor));
        cursor
    }

    /// The place of the next among `count` candidates.
    pub(crate) fn next(&self, dice: u64, count: usize) -> usize {
        let mut lanes = self.lanes.borrow_mut();
        let cursor = self.begin(&mut lanes, dice, count);
        if !lanes.credits.is_empty() {
            return lanes.smooth();
        }
        self.cursor.set(Some(cursor.wrapping_add(1)));
        match lanes.sums.last() {
            None => remainder(cursor, count),
            Some(&total) => {
                let step = cursor.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let at = (u128::from(step) * u128::from(total)) >> 64;
                lanes.sums.partition_point(|&sum| u128::from(sum) <= at).min(count - 1)
            }
        }
    }

    /// Where to begin a pass over `count` candidates among which equals are to take turns.
    pub(crate) fn start(&self, dice: u64, count: usize) -> usize {
        let cursor = self.cursor.get().unwrap_or_else(|| below(dice, count) as u64);
        self.cursor.set(Some(cursor));
        remainder(cursor, count)
    }

    /// The next pass begins behind this place.
    pub(crate) fn passed(&self, at: usize) {
        self.cursor.set(Some(at as u64 + 1));
    }
}

impl Lanes {
    fn smooth(&mut self) -> usize {
        let mut best = (0, i64::MIN);
        for (at, (credit, weight)) in self.credits.iter_mut().zip(&self.weights).enumerate() {
            *credit += weight;
            if *credit > best.1 {
                best = (at, *credit);
            }
        }
        self.credits[best.0] -= self.total;
        best.0
    }
}

fn remainder(cursor: u64, count: usize) -> usize {
    usize::try_from(cursor % (count as u64).max(1)).unwrap_or(0)
}
