//! The guards of policies, sites and routes: what each line says, how lines of several blocks come together, and what
//! is wrong once they have.

mod access;

use super::Decoder;
use super::options::Line;
use crate::item::Item;
use crate::{Access, Guard, Site};

/// What one line says, or all lines of a block that belong together.
#[derive(Clone, Debug)]
pub(super) enum GuardLine {
    Access(Access),
}

impl GuardLine {
    /// Puts a line over those before it.
    pub(super) fn apply(self, guard: &mut Guard) {
        match self {
            GuardLine::Access(access) => guard.access.push(access),
        }
    }
}

impl Decoder<'_> {
    /// Lines that are made of several statements of a block.
    pub(super) fn guard_lines(&mut self, items: &[Item]) -> Vec<Line> {
        let access = self.access(items).map(GuardLine::Access);
        access.map(|line| Line::Guard(Box::new(line))).into_iter().collect()
    }

    /// What is wrong with guards once they have come together in routes.
    pub(super) fn check_guards(&mut self, sites: &[Site]) {
        for site in sites {
            self.check_access(site);
        }
    }
}
