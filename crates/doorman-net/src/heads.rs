//! Heads and output buffers that are used again and again, per thread.

#![expect(clippy::vec_box, reason = "the box is what travels: taking one out must move a word")]

use std::cell::RefCell;

use doorman_http::{FieldId, RequestHead, ResponseHead};

/// What a thread keeps of each; more are freed. A head is below 2 KiB as a rule.
const KEPT: usize = 1024;
/// Output buffers kept per thread, and the largest capacity worth keeping, bytes.
const OUTS_KEPT: usize = 64;
const OUT_KEPT_MAX: usize = 64 * 1024;
/// A head whose buffer grew beyond this is freed, so that one huge head does not pin memory.
const HEAD_KEPT_MAX: usize = 16 * 1024;

thread_local! {
    static REQUESTS: RefCell<Vec<Box<RequestHead>>> = const { RefCell::new(Vec::new()) };
    static RESPONSES: RefCell<Vec<Box<ResponseHead>>> = const { RefCell::new(Vec::new()) };
    static OUTS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty request head.
#[must_use]
pub fn request() -> Box<RequestHead> {
    REQUESTS.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Takes a request head back.
pub fn reuse_request(mut head: Box<RequestHead>) {
    REQUESTS.with_borrow_mut(|kept| {
        if kept.len() < KEPT && head.fields.size() <= HEAD_KEPT_MAX {
            head.clear();
            kept.push(head);
        }
    });
}

/// An empty response head with status 200.
#[must_use]
pub fn response() -> Box<ResponseHead> {
    RESPONSES.with_borrow_mut(Vec::pop).unwrap_or_else(|| Box::new(ResponseHead::new(200)))
}

/// Takes a response head back.
pub fn reuse_response(mut head: Box<ResponseHead>) {
    RESPONSES.with_borrow_mut(|kept| {
        if kept.len() < KEPT && head.fields.size() <= HEAD_KEPT_MAX {
            head.clear();
            kept.push(head);
        }
    });
}

/// Says in a response that the port speaks HTTP/3 as well, unless it says something of the kind
/// already. Clients remember it (RFC 7838 section 3), so a connection says it once.
pub(crate) fn announce(head: &mut ResponseHead, alt_svc: &str) {
    if head.status != 101 && !head.fields.has(FieldId::AltSvc) {
        head.fields.push_id(FieldId::AltSvc, alt_svc.as_bytes());
    }
}

/// Bytes on their way to a socket. The buffer is lent by the thread and goes back once all of it
/// is written.
#[derive(Debug, Default)]
pub(crate) struct Out {
    bytes: Vec<u8>,
    written: usize,
}

impl Out {
    /// The buffer to append to.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes =
                OUTS.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(16 * 1024));
        }
        &mut self.bytes
    }

    /// What is still to be written.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.written == self.bytes.len()
    }

    /// Counts `n` bytes as written.
    pub(crate) fn advance(&mut self, n: usize) {
        self.written += n;
        if self.is_empty() {
            self.reuse();
        }
    }

    pub(crate) fn reuse(&mut self) {
        self.written = 0;
        let mut bytes = std::mem::take(&mut self.bytes);
        if bytes.capacity() == 0 || bytes.capacity() > OUT_KEPT_MAX {
            return;
        }
        bytes.clear();
        OUTS.with_borrow_mut(|kept| {
            if kept.len() < OUTS_KEPT {
                kept.push(bytes);
            }
        });
    }
}
