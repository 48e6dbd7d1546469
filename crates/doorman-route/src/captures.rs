//! What a route's pattern caught of a path, for `{1}` to `{9}`.
//!
//! The text is copied out: edits may change the path before a template asks for a group, and a
//! group must stay what was matched.

/// Groups that a template can name.
pub const CAPTURES_MAX: usize = 9;

/// The groups of a regular expression, or what the `*` of a wildcard path stood for. Costs nothing
/// when there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures {
    text: Box<[u8]>,
    /// Where each group ends in `text`; each begins where the one before ends.
    ends: [u32; CAPTURES_MAX],
    count: u8,
}

impl Captures {
    /// Copies the groups; those past [`CAPTURES_MAX`] are left out.
    pub(crate) fn copy<'a>(groups: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut text = Vec::new();
        let mut captures = Self::default();
        for (group, end) in groups.zip(&mut captures.ends) {
            text.extend_from_slice(group);
            // A path is far shorter than 2^32.
            *end = u32::try_from(text.len()).unwrap_or(u32::MAX);
            captures.count += 1;
        }
        captures.text = text.into_boxed_slice();
        captures
    }

    /// Group `number`, counted from 1; `None` if the pattern has no such group. A group that took
    /// no part in the match is empty.
    #[must_use]
    pub fn group(&self, number: usize) -> Option<&[u8]> {
        let index = number.checked_sub(1).filter(|&index| index < usize::from(self.count))?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text.get(start as usize..self.ends[index] as usize)
    }

    /// All groups in order, empty where there is none: what an expansion takes.
    #[must_use]
    pub fn groups(&self) -> [&[u8]; CAPTURES_MAX] {
        std::array::from_fn(|index| self.group(index + 1).unwrap_or_default())
    }

    /// How many groups there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is no group.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}
