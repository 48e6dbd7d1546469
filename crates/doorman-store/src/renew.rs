//! Stored responses of which something new is known: validations and answers to HEAD (RFC 9111
//! sections 4.3.4 and 4.3.5). The body stays, the head is another, so the object is another.

use std::sync::Arc;

use doorman_cache::{Meta, PackedHead};

use crate::fill::lock;
use crate::leads::tell;
use crate::line::{Lead, Told, Undone};
use crate::object::Object;
use crate::shard::Shard;
use crate::store::Store;

impl Store {
    /// A validation's answer has come: `fresh` takes the place of `object`, whose body it shares,
    /// and those in line get it.
    pub(crate) fn replace(
        &self,
        lead: &mut Lead,
        object: &Arc<Object>,
        fresh: &Arc<Object>,
    ) -> bool {
        let mut shard = lock(self.shard(lead.key.hash));
        lead.is_over = true;
        let fetch = shard.end_fetch(lead);
        let by_key = fetch.as_ref().map_or(Undone::Hard, |fetch| fetch.undone);
        let undone = by_key.max(self.purges.undone(fresh, lead.began));
        if undone == Undone::Soft {
            fresh.make_stale();
        }
        let is_kept = undone != Undone::Hard && self.renew(&mut shard, object, fresh);
        let beside = shard.lines_beside(lead);
        drop(shard);
        self.forget([object]);
        if is_kept {
            if fresh.is_in_memory() {
                self.settle(fresh);
            }
            self.notes.freshened();
        }
        for line in fetch.map(|fetch| fetch.line).into_iter().chain(beside) {
            tell(line, || Told::Published(Arc::clone(fresh), lead.began));
        }
        is_kept
    }

    /// An answer to HEAD has said something new of a stored response (RFC 9111 section 4.3.5): the
    /// object with that head takes its place, if it is still there.
    pub fn update_head(
        &self,
        object: &Arc<Object>,
        head: PackedHead,
        meta: Meta,
    ) -> Option<Arc<Object>> {
        if object.is_filling() {
            return None;
        }
        let updated = Arc::new(object.with_head(head, meta)?);
        let mut shard = lock(self.shard(self.seed().hash(object.key())));
        if object.is_purged() {
            updated.make_stale();
        }
        let is_kept = self.renew(&mut shard, object, &updated);
        drop(shard);
        self.forget([object]);
        is_kept.then(|| {
            if updated.is_in_memory() {
                self.settle(&updated);
            }
            self.notes.freshened();
            updated
        })
    }

    /// Puts an object with a new head into the index in the place of the old one, or of what is left
    /// of that, and on disk.
    fn renew(&self, shard: &mut Shard, old: &Arc<Object>, new: &Arc<Object>) -> bool {
        let before = old;
        let old = match shard.same(old) {
            Some(left) if Arc::ptr_eq(&left, old) || left.is_stub() => left,
            _ => return false,
        };
        let kept = if new.is_in_memory() {
            before.kinship().hand_on(new);
            Arc::clone(new)
        } else {
            // A body that is read from disk by parts stays there, behind the head that was written
            // with it; what is new is how fresh it is.
            let Some(kept) = old.with_head(old.head().clone(), new.meta()) else { return false };
            Arc::new(kept)
        };
        if new.is_purged() {
            kept.make_stale();
        }
        self.take_out(shard, &old);
        let at = self.unplace(shard, &old);
        self.put_in(shard, &kept);
        if kept.is_stub() {
            self.replace_at(shard, &kept, at);
        } else {
            self.offer(shard, &kept, at.is_some());
        }
        true
    }
}
