//! Two queues of entries in one slab: an entry is taken out of the middle in a few steps, and moves
//! from queue to queue without being copied.

/// Where an entry is, while it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot(u32);

impl Slot {
    /// No slot that is ever given.
    pub const NONE: Self = Self(END);

    /// As a number, to be kept in an atomic one.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The slot with this number. A wrong one does no harm: whoever names a slot says who is in it.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }
}

/// Which of the queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    Small,
    Main,
}

/// No slot: the end of a queue.
const END: u32 = u32::MAX;
/// Nodes of a page. The slab grows by pages, so that no million nodes are ever moved at once, and none
/// are paid for that are not there.
const PAGE: usize = 1 << PAGE_BITS;
const PAGE_BITS: u32 = 10;
/// The bit of a node's size that says that it is in the main queue.
const MAIN: u64 = 1 << 63;

#[derive(Debug)]
struct Node<E> {
    /// `None` if the slot is free; `older` is then the next free one.
    entry: Option<E>,
    /// Bytes, and the queue in the highest bit.
    size: u64,
    newer: u32,
    older: u32,
}

#[derive(Debug)]
struct Ends {
    newest: u32,
    oldest: u32,
    bytes: u64,
    len: usize,
}

impl Ends {
    const EMPTY: Self = Self { newest: END, oldest: END, bytes: 0, len: 0 };
}

/// The two queues.
#[derive(Debug)]
pub(super) struct Lists<E> {
    pages: Vec<Vec<Node<E>>>,
    free: u32,
    small: Ends,
    main: Ends,
}

impl<E> Lists<E> {
    pub(super) const fn new() -> Self {
        Self { pages: Vec::new(), free: END, small: Ends::EMPTY, main: Ends::EMPTY }
    }

    pub(super) const fn bytes(&self, queue: Queue) -> u64 {
        self.ends(queue).bytes
    }

    pub(super) const fn len(&self, queue: Queue) -> usize {
        self.ends(queue).len
    }

    /// The entry that is the longest in the queue.
    pub(super) fn oldest(&self, queue: Queue) -> Option<(Slot, &E)> {
        let slot = self.ends(queue).oldest;
        self.entry(Slot(slot)).map(|entry| (Slot(slot), entry))
    }

    pub(super) fn entry(&self, slot: Slot) -> Option<&E> {
        self.node(slot.0)?.entry.as_ref()
    }

    /// Puts an entry in as the newest; `None` if all slots are taken.
    pub(super) fn push(&mut self, queue: Queue, entry: E, bytes: u64) -> Option<Slot> {
        let node = Node { entry: Some(entry), size: bytes.min(MAIN - 1), newer: END, older: END };
        let slot = self.free;
        let slot = if let Some(free) = self.node_mut(slot) {
            let next = free.older;
            *free = node;
            self.free = next;
            slot
        } else {
            self.push_node(node)?
        };
        self.link_newest(queue, slot);
        Some(Slot(slot))
    }

    /// Takes an entry out.
    pub(super) fn take(&mut self, slot: Slot) -> Option<E> {
        self.entry(slot)?;
        self.unlink(slot.0);
        let free = self.free;
        let node = self.node_mut(slot.0)?;
        node.older = free;
        let entry = node.entry.take();
        self.free = slot.0;
        entry
    }

    /// Makes an entry the newest of a queue, its own or the other.
    pub(super) fn make_newest(&mut self, queue: Queue, slot: Slot) {
        if self.entry(slot).is_some() {
            self.unlink(slot.0);
            self.link_newest(queue, slot.0);
        }
    }

    /// Makes an entry the oldest of a queue.
    pub(super) fn make_oldest(&mut self, queue: Queue, slot: Slot) {
        if self.entry(slot).is_some() {
            self.unlink(slot.0);
            let next = self.ends(queue).oldest;
            self.link(queue, slot.0, next, END);
        }
    }

    fn node(&self, slot: u32) -> Option<&Node<E>> {
        self.pages.get((slot >> PAGE_BITS) as usize)?.get(slot as usize % PAGE)
    }

    fn node_mut(&mut self, slot: u32) -> Option<&mut Node<E>> {
        self.pages.get_mut((slot >> PAGE_BITS) as usize)?.get_mut(slot as usize % PAGE)
    }

    /// Appends a node to the slab; `None` if all slots are taken.
    fn push_node(&mut self, node: Node<E>) -> Option<u32> {
        if self.pages.last().is_none_or(|page| page.len() == PAGE) {
            self.pages.push(Vec::with_capacity(PAGE));
        }
        let full = (self.pages.len() - 1) * PAGE;
        let page = self.pages.last_mut()?;
        let slot = u32::try_from(full + page.len()).ok().filter(|&slot| slot != END)?;
        page.push(node);
        Some(slot)
    }

    const fn ends(&self, queue: Queue) -> &Ends {
        match queue {
            Queue::Small => &self.small,
            Queue::Main => &self.main,
        }
    }

    const fn ends_mut(&mut self, queue: Queue) -> &mut Ends {
        match queue {
            Queue::Small => &mut self.small,
            Queue::Main => &mut self.main,
        }
    }

    fn link_newest(&mut self, queue: Queue, slot: u32) {
        let next = self.ends(queue).newest;
        self.link(queue, slot, END, next);
    }

    /// Puts a node that is in no queue between two neighbours, or one and an end.
    fn link(&mut self, queue: Queue, slot: u32, newer: u32, older: u32) {
        let Some(node) = self.node_mut(slot) else { return };
        let bytes = node.size & !MAIN;
        node.size = if queue == Queue::Main { bytes | MAIN } else { bytes };
        (node.newer, node.older) = (newer, older);
        self.set_older(queue, newer, slot);
        self.set_newer(queue, older, slot);
        let ends = self.ends_mut(queue);
        ends.bytes = ends.bytes.saturating_add(bytes);
        ends.len += 1;
    }

    fn unlink(&mut self, slot: u32) {
        let Some(&Node { size, newer, older, .. }) = self.node(slot) else { return };
        let queue = if size & MAIN == 0 { Queue::Small } else { Queue::Main };
        self.set_older(queue, newer, older);
        self.set_newer(queue, older, newer);
        let ends = self.ends_mut(queue);
        ends.bytes = ends.bytes.saturating_sub(size & !MAIN);
        ends.len = ends.len.saturating_sub(1);
    }

    /// Says who is behind `slot`; at an end, who is the newest.
    fn set_older(&mut self, queue: Queue, slot: u32, older: u32) {
        match self.node_mut(slot) {
            Some(node) => node.older = older,
            None => self.ends_mut(queue).newest = older,
        }
    }

    /// Says who is in front of `slot`; at an end, who is the oldest.
    fn set_newer(&mut self, queue: Queue, slot: u32, newer: u32) {
        match self.node_mut(slot) {
            Some(node) => node.newer = newer,
            None => self.ends_mut(queue).oldest = newer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_costs_sixteen_bytes_beside_itself() {
        assert_eq!(size_of::<Node<std::sync::Arc<u8>>>(), 24);
        let mut lists = Lists::new();
        let slots: Vec<_> =
            (0..5_000).filter_map(|n| lists.push(Queue::Main, Box::new(n), 1)).collect();
        let room: usize = lists.pages.iter().map(Vec::capacity).sum();
        assert!((5_000..5_000 + PAGE).contains(&room));
        slots.into_iter().for_each(|slot| drop(lists.take(slot)));
        for n in 0..5_000 {
            lists.push(Queue::Small, Box::new(n), 1).unwrap();
        }
        assert_eq!(
            lists.pages.iter().map(Vec::capacity).sum::<usize>(),
            room,
            "slots are used again"
        );
        assert_eq!((lists.len(Queue::Main), lists.len(Queue::Small)), (0, 5_000));
    }
}
