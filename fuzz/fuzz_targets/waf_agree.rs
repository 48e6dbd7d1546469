//! A transaction, told to the plan and to the reference: what matched, what was written, what became of it and what
//! is told of it are the same. The first byte says by which rules: the starter's, those of `waf/own.conf`, or such
//! as the bytes behind the next put together. That one says how it is told.
#![no_main]

mod waf;
#[path = "waf/pieces.rs"]
mod pieces;

use std::cell::RefCell;
use std::sync::Arc;

use doorman_waf::assemble::{Base, Level, Wanted, assemble};
use doorman_waf::rule::{Place, RuleSet};
use doorman_waf::seclang::{Source, load};
use doorman_waf::{Engine, Worker};
use libfuzzer_sys::fuzz_target;

use waf::{Pace, Shelf, Story, agree, engines, workers};

/// Engines both ways, and a worker for each.
type Both = ([Arc<Engine>; 2], [Worker; 2]);

fn starter(level: u8) -> Both {
    let place = Place { file: "fuzz.conf".into(), line: 1 };
    let mut wanted = Wanted::new(place, Base::Starter);
    wanted.level = Level::new(level);
    wanted.early_blocking = level == 2;
    wanted.response_body_max = Some(4096);
    let set = assemble(&wanted, &Shelf(&[])).expect("the starter's rules load");
    let engines = engines(&set);
    let workers = workers(&engines);
    (engines, workers)
}

fn read(text: &[u8]) -> Option<RuleSet> {
    load(&[Source { name: "fuzz.conf".into(), text: text.to_vec() }], &Shelf(&[])).ok()
}

fuzz_target!(|input: &[u8]| {
    thread_local! {
        static STARTER: RefCell<[Both; 2]> = RefCell::new([starter(1), starter(2)]);
        static OWN: RuleSet = read(include_bytes!("waf/own.conf")).expect("the rules of this target load");
    }
    let [first, pace, rest @ ..] = input else { return };
    let pace = Pace(*pace);
    let set = match first % 8 {
        level @ 0..=1 => {
            let told = Story::both(rest);
            return STARTER.with_borrow_mut(|both| {
                let (engines, workers) = &mut both[usize::from(level)];
                agree(engines, workers, &told, pace);
            });
        }
        2..=3 => return OWN.with(|set| twice(set, rest, pace)),
        _ => rest,
    };
    let Some((&length, rest)) = set.split_first() else { return };
    let (said, rest) = rest.split_at(usize::from(length).min(rest.len()));
    let text = pieces::rules(said);
    if let Some(set) = read(text.as_bytes()) {
        twice(&set, rest, pace);
    }
});

/// The same transaction twice, since the first may leave something behind for the second.
fn twice(set: &RuleSet, story: &[u8], pace: Pace) {
    let engines = engines(set);
    let mut workers = workers(&engines);
    let story = Story::both(story);
    agree(&engines, &mut workers, &story, pace);
    agree(&engines, &mut workers, &story, pace);
}
