//! The maker's side of a sibling: it is read while it is made, as a body is while it comes.
//!
//! ```text
//! make    -> Making -> push .. finish          kept, and served from then on
//!                           -> finish_unkept   its readers get all of it, and nobody else
//!                           -> refuse          its readers are cut; nobody tries again
//!                           -> (dropped)       its readers are cut; the next one may try, unless
//!                                              this one panicked
//! improve -> Making -> push .. finish          takes the place of what it is better than
//! ```
//!
//! A better one has no readers while it is made: there is something to be read already.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::fill::{Fill, NARROW, Room, WINDOW, lock};
use crate::object::Object;
use crate::sibling::{Form, Kin, PANICKED, Shared, Sibling, TOO_LARGE};
use crate::store::Store;

/// Objects that are followed to the one that is in the index: a purge or two, and as many refreshes,
/// between a look and the making of what it found.
const STEPS_MAX: usize = 8;

/// The right, and the duty, to make a sibling.
#[must_use]
pub struct Making {
    store: Arc<Store>,
    siblings: Shared,
    sibling: Arc<Sibling>,
    /// What is to be replaced, where this is to be better than what is there.
    than: Option<Arc<Sibling>>,
    fill: Arc<Fill>,
    is_window: bool,
    is_over: bool,
}

impl fmt::Debug for Making {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Making").field("better", &self.than.is_some()).finish_non_exhaustive()
    }
}

impl Store {
    /// The right to make a form of a stored body: the first who asks has it, and all others find it
    /// coming. `None` also if the object is not in memory, has left the index, or has too many forms.
    pub fn make(self: &Arc<Self>, object: &Arc<Object>, form: Form) -> Option<Making> {
        let siblings = self.siblings(object)?;
        let making = Making::new(self, siblings, None);
        if making.siblings.claim(form, &making.sibling, self.family()) {
            Some(making)
        } else {
            making.over();
            None
        }
    }

    /// The right to make a better one of a form that is here whole; nobody sees it before it is
    /// finished. `None` while another does, and once one has been made or refused.
    pub fn improve(self: &Arc<Self>, object: &Arc<Object>, form: Form) -> Option<Making> {
        let siblings = self.siblings(object)?;
        let Some(Kin::Here(sibling)) = siblings.find(form) else { return None };
        let is_claimed = sibling.length().is_some() && sibling.close();
        is_claimed.then(|| Making::new(self, siblings, Some(sibling)))
    }

    /// Where the siblings of an object are, or of the one that took its place.
    fn siblings(&self, object: &Arc<Object>) -> Option<Shared> {
        let mut object = Arc::clone(object);
        for _ in 0..STEPS_MAX {
            if let Some(siblings) = object.kinship().shared() {
                return Some(siblings);
            }
            let shard = lock(self.shard(self.seed().hash(object.key())));
            let siblings = shard.has(&object).then(|| object.kinship().begin(self.family()));
            drop(shard);
            if siblings.is_some() {
                return siblings;
            }
            object = object.kinship().heir()?;
        }
        None
    }
}

impl Making {
    fn new(store: &Arc<Store>, siblings: Shared, than: Option<Arc<Sibling>>) -> Self {
        let fill = Arc::new(Fill::new(store.held()));
        let sibling = Arc::new(Sibling::coming(&fill));
        let store = Arc::clone(store);
        Self { store, siblings, sibling, than, fill, is_window: false, is_over: false }
    }

    /// It, to be read while it is made.
    #[must_use]
    pub const fn sibling(&self) -> &Arc<Sibling> {
        &self.sibling
    }

    /// Bytes that were made so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.fill.len()
    }

    /// Whether nothing was made so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether [`Making::push`] may be called; see [`crate::Filling::poll_room`]. It is pending only
    /// where there was no room to keep it.
    pub fn poll_room(&self, cx: &Context<'_>) -> Poll<Room> {
        self.fill.poll_room(cx)
    }

    /// More of it: it is copied, once. What finds no room goes on being read by those who read it.
    pub fn push(&mut self, data: &[u8]) {
        let more = data.len() as u64;
        if !self.is_window {
            if self.fill.len().saturating_add(more) > self.store.max_object() {
                self.let_go(Some(Kin::Refused(TOO_LARGE)), WINDOW);
            } else if !self.store.make_room(more) {
                self.let_go(None, NARROW);
            }
        }
        self.fill.push(data);
    }

    /// Nobody may join any more.
    fn let_go(&mut self, instead: Option<Kin>, ahead: u64) {
        self.is_window = true;
        if self.than.is_some() {
            // What is there stays for good: to try again at every hit would cost more than it saves.
            self.is_over = true;
        }
        self.put(instead);
        self.fill.open_window(ahead);
    }

    /// Puts something in the place of what is made, where others see it.
    fn put(&mut self, instead: Option<Kin>) {
        if self.is_over {
            return;
        }
        self.is_over = true;
        let family = self.store.family();
        match (&self.than, instead) {
            (None, instead) => drop(self.siblings.replace(&self.sibling, instead, family)),
            (Some(than), Some(better @ Kin::Here(_))) => {
                self.siblings.replace(than, Some(better), family);
            }
            // What is there stays, and is good enough.
            (Some(_), Some(Kin::Refused(_))) => {}
            (Some(than), None) => than.reopen(),
        }
    }

    /// All of it has been made: it is kept, if there was room for it. `note` is for those who serve it.
    pub fn finish(mut self, note: u32) -> Option<Arc<Sibling>> {
        let made = (!self.is_window).then(|| {
            let pieces = self.fill.take_over();
            let is_final = self.than.is_some();
            Arc::new(Sibling::of(pieces, note, is_final, self.store.family()))
        });
        self.put(made.clone().map(Kin::Here));
        self.fill.finish();
        self.store.make_room(0);
        made
    }

    /// All of it has been made, and it is not worth keeping. Its readers get the rest; from now on the
    /// form is refused.
    pub fn finish_unkept(mut self, reason: u8) {
        self.put(Some(Kin::Refused(reason)));
        self.fill.finish();
    }

    /// It cannot be made, now or later.
    pub fn refuse(mut self, reason: u8) {
        self.put(Some(Kin::Refused(reason)));
        self.fill.cut();
    }

    /// Ends what was never seen.
    fn over(mut self) {
        self.is_over = true;
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        // What made its maker panic would do so again. Out of the list first: whoever finds nothing
        // makes it anew.
        self.put(std::thread::panicking().then_some(Kin::Refused(PANICKED)));
        self.fill.cut();
    }
}
