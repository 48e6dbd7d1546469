//! The literal interpreter: every rule of a phase, in the order of the files, on every value of its
//! targets.
//!
//! It leaves nothing out and remembers nothing from one rule to the next, so that what it says can be
//! read off the rules. Whatever runs faster is measured against it.

use crate::rule::Skip;
use crate::transaction::{Flow, Run, Step, Stop};

/// Runs a phase.
pub(crate) fn phase(run: &mut Run<'_>, steps: &[Step]) -> Result<(), Stop> {
    let mut index = 0;
    while let Some(step) = steps.get(index) {
        if run.is_off() {
            return Ok(());
        }
        index = match run.rule(&step.rule)? {
            Flow::Next => index + 1,
            Flow::Skip(skip) => skipped(steps, index, skip),
            Flow::End => return Ok(()),
        };
    }
    Ok(())
}

/// Where a phase goes on after a skip at this index: always further on.
fn skipped(steps: &[Step], index: usize, skip: &Skip) -> usize {
    match skip {
        Skip::Rules(count) => index.saturating_add(1).saturating_add(*count as usize),
        Skip::After { item, .. } => steps.partition_point(|step| step.item < *item).max(index + 1),
    }
}
