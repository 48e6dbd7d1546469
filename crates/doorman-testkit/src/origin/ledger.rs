//! What an origin has received, for the test to read and to wait for.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::raw::PATIENCE;
use crate::reply::{Ending, values};
use crate::sums::Sum;

/// Bytes kept of each connection and of each body; of the rest only length and checksum.
pub const KEPT_MAX: usize = 4 << 20;

/// A request as it was received.
#[derive(Clone, Debug)]
pub struct Seen {
    /// On which connection, from zero.
    pub connection: usize,
    /// The how-manieth on that connection, from zero.
    pub index: usize,
    /// The head, byte for byte.
    pub head: Vec<u8>,
    /// The first line.
    pub line: String,
    /// Fields in order.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The body's beginning, up to [`KEPT_MAX`] bytes.
    pub body: Vec<u8>,
    /// The body's length.
    pub body_length: u64,
    /// The body's checksum ([`Sum`]).
    pub body_sum: u64,
    /// The trailers of a chunked body.
    pub trailers: Vec<(String, Vec<u8>)>,
    /// How it ended.
    pub ending: Ending,
}

impl Seen {
    /// The method.
    #[must_use]
    pub fn method(&self) -> &str {
        self.line.split(' ').next().unwrap_or_default()
    }

    /// The target.
    #[must_use]
    pub fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    /// The value of the first field with that name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// The values of all fields with that name.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        values(&self.fields, name)
    }
}

/// What an origin has received.
#[derive(Default)]
pub struct Ledger {
    book: Mutex<Book>,
    news: Condvar,
    news_async: Notify,
}

#[derive(Default)]
struct Book {
    connections: Vec<Received>,
    requests: Vec<Seen>,
    open: usize,
    released: bool,
}

#[derive(Default)]
struct Received {
    bytes: Vec<u8>,
    sum: Sum,
}

impl Ledger {
    /// How many connections were accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.book().connections.len()
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.book().open
    }

    /// What arrived on a connection, up to [`KEPT_MAX`] bytes.
    #[must_use]
    pub fn received(&self, connection: usize) -> Vec<u8> {
        self.book().connections.get(connection).map(|kept| kept.bytes.clone()).unwrap_or_default()
    }

    /// How many bytes arrived on a connection.
    #[must_use]
    pub fn received_length(&self, connection: usize) -> u64 {
        self.book().connections.get(connection).map_or(0, |kept| kept.sum.length())
    }

    /// The requests that were read, over all connections, in the order they were read.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.book().requests.clone()
    }

    /// How often each pair of method and value of the field `name` was read: more than once means
    /// that a request was repeated.
    #[must_use]
    pub fn counts(&self, name: &str) -> HashMap<(String, String), usize> {
        let mut counts = HashMap::new();
        for seen in &self.book().requests {
            if let Some(id) = seen.field(name) {
                *counts.entry((seen.method().to_owned(), id.to_owned())).or_default() += 1;
            }
        }
        counts
    }

    /// Lets those go on that hold, now and from now on.
    pub fn release(&self) {
        self.change(|book| book.released = true);
    }

    /// Lets those that come from now on hold again.
    pub fn hold_again(&self) {
        self.change(|book| book.released = false);
    }

    /// Waits, blocking, until that many requests were read.
    ///
    /// # Panics
    /// After [`PATIENCE`].
    pub fn wait_for_requests(&self, count: usize) {
        self.wait("requests", |book| book.requests.len() >= count);
    }

    /// Waits, blocking, until that many connections were accepted.
    ///
    /// # Panics
    /// After [`PATIENCE`].
    pub fn wait_for_connections(&self, count: usize) {
        self.wait("connections", |book| book.connections.len() >= count);
    }

    /// Waits, blocking, until only that many connections are open.
    ///
    /// # Panics
    /// After [`PATIENCE`].
    pub fn wait_for_open(&self, count: usize) {
        self.wait("open connections", |book| book.open <= count);
    }

    /// Waits, blocking, until that many bytes have arrived on a connection.
    ///
    /// # Panics
    /// After [`PATIENCE`].
    pub fn wait_for_bytes(&self, connection: usize, count: u64) {
        self.wait("bytes", |book| {
            book.connections.get(connection).is_some_and(|kept| kept.sum.length() >= count)
        });
    }

    /// Waits, without blocking, until that many requests were read.
    pub async fn requests_reach(&self, count: usize) {
        self.until(|book| book.requests.len() >= count).await;
    }

    pub(super) async fn released(&self) {
        self.until(|book| book.released).await;
    }

    pub(super) fn opened(&self) -> usize {
        self.change(|book| {
            book.open += 1;
            book.connections.push(Received::default());
            book.connections.len() - 1
        })
    }

    pub(super) fn closed(&self) {
        self.change(|book| book.open -= 1);
    }

    pub(super) fn arrived(&self, connection: usize, bytes: &[u8]) {
        self.change(|book| {
            let kept = &mut book.connections[connection];
            kept.sum.add(bytes);
            let room = KEPT_MAX - kept.bytes.len().min(KEPT_MAX);
            kept.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        });
    }

    pub(super) fn read(&self, seen: Seen) {
        self.change(|book| book.requests.push(seen));
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, act: impl FnOnce(&mut Book) -> T) -> T {
        let output = act(&mut self.book());
        self.news.notify_all();
        self.news_async.notify_waiters();
        output
    }

    fn wait(&self, what: &str, ready: impl Fn(&Book) -> bool) {
        let waited = self.news.wait_timeout_while(self.book(), PATIENCE, |book| !ready(book));
        let (book, limit) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(
            !limit.timed_out(),
            "waited for {what} in vain: {} connections, {} open, requests {:?}",
            book.connections.len(),
            book.open,
            book.requests.iter().map(|seen| &seen.line).collect::<Vec<_>>()
        );
    }

    async fn until(&self, ready: impl Fn(&Book) -> bool) {
        loop {
            let mut news = std::pin::pin!(self.news_async.notified());
            news.as_mut().enable();
            if ready(&self.book()) {
                return;
            }
            news.await;
        }
    }
}
