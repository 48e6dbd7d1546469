//! The choice of one server of the first rank, for the methods that look at no key.

use doorman_http::Instant;

use super::Balancer;
use crate::dice;
use crate::load;
use crate::view::{Choice, View};
use crate::{Method, ServerId, ServerState, Tried};

/// Servers that are all looked at for the one with the least to do. Of more than that, a sample is: the
/// best of so many is as good as the best of all but for what cannot be told from chance, and costs the
/// same with ten thousand servers.
const SCAN_MAX: usize = 64;
/// The sample. It has somebody from the less busy third but once in twenty-five times.
const SAMPLE: u32 = 8;

impl Balancer {
    /// A place in the view's first rank that may be asked, at the so-manieth go; whoever asks may still find
    /// it full.
    pub(super) fn choose(
        &self,
        view: &View,
        passed: &Tried,
        dice: u64,
        turn: usize,
        now: Instant,
    ) -> Option<usize> {
        let count = view.first.len();
        if count == 0 {
            return None;
        }
        match self.method {
            Method::RoundRobin if turn == 0 => Some(self.turn.next(dice, count)),
            // Whoever's turn it was cannot take it; its neighbour must not get all of its part.
            Method::RoundRobin => Some(dice::below(dice, count)),
            Method::LeastRequests => self.least(view, passed, dice, load::requests),
            Method::LeastConnections => self.least(view, passed, dice, load::connections),
            Method::LeastBytes => {
                // Answers of one server stand for those of all.
                let mean = load::mean_bytes(&view.first[dice::below(dice, count)].state);
                self.least(view, passed, dice, |state| load::bytes(state, mean))
            }
            Method::LeastTime => self.least(view, passed, dice, |state| load::seconds(state, now)),
            Method::P2c => two(view, passed, dice, load::requests),
            Method::PeakEwma => two(view, passed, dice, |state| load::seconds(state, now)),
            Method::Random | Method::Hash | Method::Maglev => Some(view.draw.pick(dice)),
        }
    }

    /// The one with the least load for its weight, over all of a few or a sample of many; in turn among
    /// equals.
    fn least(
        &self,
        view: &View,
        passed: &Tried,
        dice: u64,
        load: impl Fn(&ServerState) -> f64,
    ) -> Option<usize> {
        let count = view.first.len();
        if count > SCAN_MAX {
            return sampled(view, passed, dice, load);
        }
        // Whoever is looked at first goes first among equals: in turn, or by weight.
        let even = view.draw.is_even();
        let start = if even { self.turn.start(dice, count) } else { view.draw.pick(dice) };
        let (before, behind) = view.first.split_at(start.min(count));
        let mut least = (None, f64::INFINITY);
        look(behind, start, passed, &load, &mut least);
        if least.1 > 0.0 {
            look(before, 0, passed, &load, &mut least);
        }
        if let (true, Some(at)) = (even, least.0) {
            self.turn.passed(at);
        }
        least.0
    }
}

/// Looks for somebody with less to do than the least so far, until there is one with nothing to do.
#[inline]
fn look(
    choices: &[Choice],
    first: usize,
    passed: &Tried,
    load: &impl Fn(&ServerState) -> f64,
    least: &mut (Option<usize>, f64),
) {
    for (at, choice) in choices.iter().enumerate() {
        let load = load(&choice.state) * choice.share;
        if load < least.1 && may(choice, passed) {
            *least = (Some(first + at), load);
            if load <= 0.0 {
                return;
            }
        }
    }
}

fn may(choice: &Choice, passed: &Tried) -> bool {
    !choice.is_full() && !passed.has(ServerId(choice.member))
}

fn sampled(
    view: &View,
    passed: &Tried,
    dice: u64,
    load: impl Fn(&ServerState) -> f64,
) -> Option<usize> {
    let mut dice = dice;
    let mut least = (None, f64::INFINITY);
    for _ in 0..SAMPLE {
        let at = view.draw.pick(dice);
        let choice = &view.first[at];
        let load = load(&choice.state) * choice.share;
        if load < least.1 && may(choice, passed) {
            least = (Some(at), load);
            if load <= 0.0 {
                break;
            }
        }
        dice = dice::next(dice);
    }
    least.0
}

/// The less busy of two that dice name.
fn two(
    view: &View,
    passed: &Tried,
    dice: u64,
    load: impl Fn(&ServerState) -> f64,
) -> Option<usize> {
    let one = view.draw.pick(dice);
    let mut other = view.draw.pick(dice::next(dice));
    if other == one {
        other = (one + 1) % view.first.len();
    }
    let weigh = |at: usize| {
        let choice = &view.first[at];
        if may(choice, passed) { load(&choice.state) * choice.share } else { f64::INFINITY }
    };
    let (first, second) = (weigh(one), weigh(other));
    let chosen = if second < first { (other, second) } else { (one, first) };
    chosen.1.is_finite().then_some(chosen.0)
}
