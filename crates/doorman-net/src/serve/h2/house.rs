//! What the streams of a connection share with its task.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use doorman_h2::{Connection, Content, End, Stream};
use doorman_http::{Conn, Interim, ResponseHead};

use super::crew::Ready;
use crate::Clock;
use crate::core::ServeSettings;
use crate::serve::early::Shaking;
use crate::serve::ledger::Ledger;

pub(super) struct House {
    pub(super) clock: Clock,
    pub(super) conn: Rc<Conn>,
    /// A handshake that was under way when requests came.
    pub(super) shaking: Option<Rc<Shaking>>,
    pub(super) settings: Rc<ServeSettings>,
    pub(super) ledger: Rc<Ledger>,
    pub(super) connection: RefCell<Connection>,
    ready: Arc<Ready>,
    /// Who waits for content, by slot.
    readers: RefCell<Vec<Option<Waker>>>,
    /// Whether the connection's task is at it: then it writes what is said by itself.
    is_in_turn: Cell<bool>,
}

impl House {
    pub(super) fn new(
        clock: Clock,
        (conn, shaking): (Rc<Conn>, Option<Rc<Shaking>>),
        settings: Rc<ServeSettings>,
        connection: Connection,
        ready: Arc<Ready>,
    ) -> Rc<Self> {
        Rc::new(Self {
            clock,
            conn,
            shaking,
            settings,
            ledger: Rc::default(),
            connection: RefCell::new(connection),
            ready,
            readers: RefCell::default(),
            is_in_turn: Cell::new(false),
        })
    }

    pub(super) fn set_in_turn(&self, is: bool) {
        self.is_in_turn.set(is);
    }

    /// Does something with the connection, from wherever: what it has to say then is written.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Connection) -> T) -> T {
        let mut connection = self.connection.borrow_mut();
        let value = act(&mut connection);
        if !self.is_in_turn.get() && !connection.output().is_empty() {
            self.ready.wake_task();
        }
        value
    }

    /// Takes the next of a request's content; who asks is woken when there is more.
    pub(super) fn content(&self, stream: Stream, waker: &Waker) -> Content {
        let now = self.clock.recent();
        let content = self.with(|connection| connection.content(stream, now));
        if matches!(content, Content::Nothing) {
            let mut readers = self.readers.borrow_mut();
            if readers.len() <= stream.slot() {
                readers.resize(stream.slot() + 1, None);
            }
            if let Some(reader) = readers.get_mut(stream.slot())
                && reader.as_ref().is_none_or(|known| !known.will_wake(waker))
            {
                *reader = Some(waker.clone());
            }
        }
        content
    }

    /// Wakes who waits for content of a stream.
    pub(super) fn call_reader(&self, stream: Stream) {
        let reader = self.readers.borrow_mut().get_mut(stream.slot()).and_then(Option::take);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

/// A stream, and the way back to its client.
pub(super) struct Talk {
    pub(super) house: Rc<House>,
    pub(super) stream: Stream,
    has_answered: Cell<bool>,
}

impl Talk {
    pub(super) const fn new(house: Rc<House>, stream: Stream) -> Self {
        Self { house, stream, has_answered: Cell::new(false) }
    }

    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Connection, Stream) -> T) -> T {
        self.house.with(|connection| act(connection, self.stream))
    }

    pub(super) fn is_cut(&self) -> bool {
        self.house.connection.borrow_mut().is_cut(self.stream)
    }

    /// Sends the final head.
    pub(super) fn answer(&self, head: &ResponseHead, length: Option<u64>, end: End) {
        self.has_answered.set(true);
        self.with(|connection, stream| connection.head(stream, head, length, end));
    }
}

impl Interim for Talk {
    fn send(&self, head: &ResponseHead) {
        // 101 has no meaning in HTTP/2 (RFC 9113 section 8.6).
        if head.status != 101 && !self.has_answered.get() {
            self.with(|connection, stream| connection.head(stream, head, None, End::Open));
        }
    }

    fn takes_hints(&self) -> bool {
        true
    }
}
