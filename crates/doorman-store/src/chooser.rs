//! A request as the store sees it: what tells which of a URL's variants it may get.

use std::cell::RefCell;

use doorman_cache::{Chosen, Vary, VaryNames, selector, vary_of};
use doorman_http::{FieldId, FieldSet, RequestHead};

const PERSONAL: FieldSet = FieldSet::of(&[FieldId::Authorization, FieldId::Cookie]);

/// What chooses among the variants of a URL.
#[derive(Clone, Copy, Debug)]
pub struct Chooser<'a> {
    /// Who answers for the response (site, route and upstream), as a number.
    pub place: u64,
    /// What the operator chose to tell responses apart by.
    pub chosen: &'a Chosen,
    /// The request.
    pub request: &'a RequestHead,
}

thread_local! {
    /// Where selectors of requests are written, so that looking allocates nothing.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Chooser<'_> {
    /// The selector of a response to this request that names these fields in its `Vary`.
    #[must_use]
    pub fn selector(&self, vary: &Vary) -> Vec<u8> {
        self.selector_for(vary.names())
    }

    pub(crate) fn selector_for(&self, names: VaryNames<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        selector(self.place, self.chosen, names, self.request, &mut bytes);
        bytes
    }

    /// Whether the request has what makes origins answer it alone: `Cookie` or `Authorization`.
    #[must_use]
    pub fn is_personal(&self) -> bool {
        self.request.fields.has_any(PERSONAL)
    }

    /// Whether the response with this selector was made for requests such as this.
    #[must_use]
    pub fn matches(&self, stored: &[u8]) -> bool {
        self.first_of(std::iter::once(stored)).is_some()
    }

    /// Which of these selectors is the first that matches.
    pub(crate) fn first_of<'s>(&self, stored: impl Iterator<Item = &'s [u8]>) -> Option<usize> {
        SCRATCH.with_borrow_mut(|scratch| {
            // Variants of a URL nearly always name the same fields: the request's selector is
            // written once for all of them in a row.
            let mut written = None;
            for (index, stored) in stored.enumerate() {
                let names = vary_of(stored);
                if written != Some(names) {
                    scratch.clear();
                    selector(self.place, self.chosen, names, self.request, scratch);
                    written = Some(names);
                }
                if scratch == stored {
                    return Some(index);
                }
            }
            None
        })
    }
}
