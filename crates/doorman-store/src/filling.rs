//! The writer's side of a response that comes in: it is read while it comes, and stored once it is
//! whole and not before.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use doorman_cache::NotStored;
use doorman_http::{FieldId, Now};

use crate::body::{Body, Long, Pieces};
use crate::fill::{Fill, NARROW, Room, WINDOW};
use crate::leads::{Before, Published};
use crate::line::Lead;
use crate::object::{Object, Parts, SMALL_MAX};
use crate::tag::BodyTag;

/// How long nobody waits for a response that proved too large while it came.
const TOO_LARGE: Duration = Duration::from_secs(60);

/// Why a response that came whole is not in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotKept {
    /// The body ended before its declared length, or went past it. Readers were told.
    Cut,
    /// It is larger than what may be stored.
    TooLarge,
    /// Memory has no room for it beside others that come in.
    NoRoom,
    /// It was purged while it came.
    Purged,
    /// Another response for the same requests was stored while it came.
    Superseded,
}

/// A response that comes in. Dropped before [`Filling::finish`], it is cut: readers get
/// [`crate::Cut`], and nothing is stored.
#[must_use]
pub struct Filling {
    lead: Lead,
    object: Arc<Object>,
    /// What it took the place of.
    before: Option<Before>,
    fill: Arc<Fill>,
    declared: Option<u64>,
    max_object: u64,
    began: Now,
    kept: Result<(), NotKept>,
    is_window: bool,
    /// The entity tag that it gets; `None`: it has what it has.
    tag: Option<BodyTag>,
}

impl fmt::Debug for Filling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filling").field("lead", &self.lead).finish_non_exhaustive()
    }
}

impl Lead {
    /// The head has come, and the response is to be stored: `declared` is its length if the head
    /// says it, `max_object` the most bytes that its body may have. From now on it is found and read
    /// while it comes; the line is dissolved.
    ///
    /// # Errors
    /// Why it is not to be stored after all. All in line go on by themselves, as after
    /// [`Lead::refuse`].
    pub fn fill(
        mut self,
        parts: Parts<'_>,
        declared: Option<u64>,
        max_object: u64,
        now: Now,
    ) -> Result<Filling, NotKept> {
        let max_object = max_object.min(self.store.max_object());
        if declared.is_some_and(|length| length > max_object) {
            self.refuse(NotStored::TooLarge, TOO_LARGE, now);
            return Err(NotKept::TooLarge);
        }
        let fill = Arc::new(Fill::new(self.store.held()));
        let long = Arc::new(Long::Filling { fill: Arc::clone(&fill), declared });
        let hash = self.key.table_hash();
        let Some(object) = Object::new(&self.key.bytes, hash, parts, Body::Long(long)) else {
            self.refuse(NotStored::TooLarge, TOO_LARGE, now);
            return Err(NotKept::TooLarge);
        };
        let object = Arc::new(object);
        let store = Arc::clone(&self.store);
        let mut before = None;
        let kept = match store.publish(&mut self, &object) {
            Published::Found(was_there) => {
                before = was_there;
                Ok(())
            }
            Published::Hidden => Err(NotKept::Purged),
            Published::Superseded(by) => {
                self.answer(&by);
                return Err(NotKept::Superseded);
            }
        };
        Ok(Filling {
            lead: self,
            object,
            before,
            fill,
            declared,
            max_object,
            began: now,
            kept,
            is_window: false,
            tag: None,
        })
    }
}

impl Filling {
    /// The response, to be read while it comes.
    #[must_use]
    pub const fn object(&self) -> &Arc<Object> {
        &self.object
    }

    /// Whether it is to be stored, as things are.
    ///
    /// # Errors
    /// Why it is not.
    pub const fn is_kept(&self) -> Result<(), NotKept> {
        self.kept
    }

    /// Once it is whole it gets an entity tag made of its content: for a response that came without a
    /// validator. To be said before any of the body comes.
    pub fn tag_by_content(&mut self) {
        self.tag = Some(BodyTag::new());
    }

    /// Whether [`Filling::push`] may be called: at once while the response is to be stored; after
    /// that when its slowest reader is less than 1 MiB behind, or 64 KiB where memory is full.
    pub fn poll_room(&self, cx: &Context<'_>) -> Poll<Room> {
        self.fill.poll_room(cx)
    }

    /// More of the body: it is copied, once. A body that becomes too large to be stored goes on
    /// being read by those who read it.
    pub fn push(&mut self, data: &[u8]) {
        let more = data.len() as u64;
        if !self.is_window {
            if self.fill.len().saturating_add(more) > self.max_object {
                self.let_go(NotKept::TooLarge, NotStored::TooLarge);
            } else if !self.lead.store.make_room(more) {
                self.let_go(NotKept::NoRoom, NotStored::NoRoom);
            }
        }
        if let Some(tag) = &mut self.tag {
            tag.take(data);
        }
        self.fill.push(data);
    }

    /// Nobody may join any more, and the key is free for others.
    fn let_go(&mut self, why: NotKept, refusal: NotStored) {
        self.is_window = true;
        self.tag = None;
        self.fill.open_window(if why == NotKept::NoRoom { NARROW } else { WINDOW });
        if self.kept.is_err() {
            return;
        }
        self.kept = Err(why);
        let until = self.began.instant + TOO_LARGE;
        let store = Arc::clone(&self.lead.store);
        store.refuse_key(&self.lead.key, refusal, self.began);
        store.withdraw(&mut self.lead, &self.object, None, Some(until));
    }

    /// The body has ended as its framing says it should. It is stored, if it is as long as declared.
    ///
    /// # Errors
    /// Why it is not stored. Readers get the rest all the same, unless it is [`NotKept::Cut`].
    pub fn finish(mut self) -> Result<Arc<Object>, NotKept> {
        let len = self.fill.len();
        if self.declared.is_some_and(|declared| declared != len) {
            // Dropping cuts it.
            return Err(NotKept::Cut);
        }
        let sealed = self.kept.and_then(|()| self.seal(len));
        self.kept = sealed.as_ref().map(|_| ()).map_err(|why| *why);
        if sealed.is_err() {
            let store = Arc::clone(&self.lead.store);
            store.withdraw(&mut self.lead, &self.object, None, None);
        }
        self.fill.finish();
        sealed
    }

    fn seal(&mut self, len: u64) -> Result<Arc<Object>, NotKept> {
        let pieces = self.fill.take_over();
        let head = self.object.head();
        let tagged = self.tag.take().and_then(|tag| head.with_field(FieldId::Etag, &tag.finish()));
        let head = tagged.unwrap_or_else(|| head.clone());
        let sealed = if len <= SMALL_MAX as u64 {
            let small: Vec<u8> = pieces.concat();
            self.object.with_parts(head, Body::Small(&small))
        } else {
            let long = Arc::new(Long::Pieces(Pieces::new(pieces)));
            self.object.with_parts(head, Body::Long(long))
        };
        let sealed = Arc::new(sealed.ok_or(NotKept::TooLarge)?);
        let store = Arc::clone(&self.lead.store);
        store.seal(&mut self.lead, &self.object, &sealed, self.before.take())?;
        Ok(sealed)
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        // Out of the index first: whoever finds nothing fetches, whoever finds a body that is cut
        // would have to be told. After an orderly end this does nothing.
        if !self.lead.is_over {
            let store = Arc::clone(&self.lead.store);
            store.withdraw(&mut self.lead, &self.object, self.before.take(), None);
            store.notes.aborted();
        }
        self.fill.cut();
    }
}
