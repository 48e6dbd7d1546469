//! The literal interpreter: every rule of a phase, in the order of the files, on every value of its
//! targets.
//!
//! It leaves nothing out and remembers nothing from one rule to the next, so that what it says can be
//! read off the rules. Whatever runs faster is measured against it.

use crate::transaction::{Flow, Run, Step, Stop, skipped};

/// Runs a phase.
pub(crate) fn phase(run: &mut Run<'_>, steps: &[Step]) -> Result<(), Stop> {
    let mut index = 0;
    while let Some(step) = steps.get(index) {
        if run.is_off() {
            return Ok(());
        }
        run.item = step.item;
        index = match run.rule(&step.rule)? {
            Flow::Next => index + 1,
            Flow::Skip(skip) => skipped(steps, |step| step.item, index, skip),
            Flow::End => return Ok(()),
        };
    }
    Ok(())
}
