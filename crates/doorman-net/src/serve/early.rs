//! Requests in early data (0-RTT, RFC 8446 section 2.3), which come before the handshake has ended.
//!
//! Anybody who has seen them can send them again. So they go on at once only if handling them twice does no harm,
//! and are marked (RFC 8470); all others wait until the client has proved that it is there.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use doorman_http::{Method, RequestHead};
use tokio::sync::Notify;

/// A handshake that is under way while requests are read.
#[derive(Default)]
pub(super) struct Shaking {
    is_over: Cell<bool>,
    ended: Notify,
}

impl Shaking {
    pub(super) fn is_over(&self) -> bool {
        self.is_over.get()
    }

    /// The client has proved that it is there.
    pub(super) fn end(&self) {
        self.is_over.set(true);
        self.ended.notify_waiters();
    }

    /// Ready once it has ended well. Where it fails, the connection ends, and who waits with it.
    pub(super) async fn over(&self) {
        let mut ended = pin!(self.ended.notified());
        poll_fn(|cx| if self.is_over.get() { Poll::Ready(()) } else { ended.as_mut().poll(cx) })
            .await;
    }
}

/// What of a request's content is known with its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// There is none.
    None,
    /// There is some, or may be.
    Some,
}

/// Whether a request may go on before the handshake has ended: its method is safe (RFC 9110 section 9.2.1), it has no
/// content, and it opens no tunnel. TRACE and what we do not know are none of these.
pub(super) fn may_be_early(head: &RequestHead, content: Content) -> bool {
    matches!(head.method, Method::Get | Method::Head | Method::Options)
        && content == Content::None
        && !head.insists
        && head.upgrade.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_safe_requests_without_content_go_on_early() {
        let check = |method: Method, content, change: fn(&mut RequestHead), expect| {
            let mut head = RequestHead::default();
            head.method = method;
            change(&mut head);
            assert_eq!(may_be_early(&head, content), expect, "{head:?} {content:?}");
        };
        let same = |_: &mut RequestHead| {};
        for method in [Method::Get, Method::Head, Method::Options] {
            check(method.clone(), Content::None, same, true);
            check(method.clone(), Content::Some, same, false);
            check(method, Content::None, |head| head.insists = true, false);
        }
        for method in [Method::Post, Method::Put, Method::Delete, Method::Connect, Method::Trace] {
            check(method, Content::None, same, false);
        }
    }
}
