//! The end of what stays long: a tunnel that goes to a server which is taken out of service.
//!
//! A request ends by itself, a WebSocket does not. Each tunnel holds on to the leash of its server on its core; when
//! the leash is let go, they end as if the server had closed them. What has no tunnel pays nothing for it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use doorman_http::{Body, BodyError, Frame, Source};

/// The tunnels of one core to one server.
#[derive(Debug, Default)]
pub(crate) struct Leash {
    /// How often it was let go: a tunnel ends that began before the last time.
    times: Cell<u64>,
    /// Who waits; a place that is `None` is free.
    wakers: RefCell<Vec<Option<Waker>>>,
}

impl Leash {
    /// Ends the tunnels that there are.
    pub(crate) fn let_go(&self) {
        self.times.set(self.times.get() + 1);
        for waker in self.wakers.borrow_mut().iter_mut().filter_map(Option::take) {
            waker.wake();
        }
    }

    /// The body of a tunnel that ends when the leash is let go.
    pub(crate) fn hold(self: &Rc<Self>, body: Body) -> Body {
        let length = body.length();
        Body::pulled(Box::new(Held { inner: body, hold: self.holding() }), length)
    }

    /// What is ready when the leash is let go.
    pub(crate) fn holding(self: &Rc<Self>) -> Hold {
        Hold { leash: Rc::clone(self), began: self.times.get(), place: None }
    }

    fn wait(&self, place: &mut Option<usize>, waker: &Waker) {
        let mut wakers = self.wakers.borrow_mut();
        let at = *place.get_or_insert_with(|| {
            // Tunnels are few and long-lived: to look for a free place costs less than to keep a list of them.
            let free = wakers.iter().position(Option::is_none);
            free.unwrap_or_else(|| {
                wakers.push(None);
                wakers.len() - 1
            })
        });
        match &mut wakers[at] {
            Some(known) => known.clone_from(waker),
            empty => *empty = Some(waker.clone()),
        }
    }
}

/// A hand on a leash.
pub(crate) struct Hold {
    leash: Rc<Leash>,
    began: u64,
    place: Option<usize>,
}

impl Hold {
    /// Ready when the leash was let go since.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.leash.times.get() != self.began {
            return Poll::Ready(());
        }
        self.leash.wait(&mut self.place, cx.waker());
        Poll::Pending
    }
}

struct Held {
    inner: Body,
    hold: Hold,
}

impl Source for Held {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if self.hold.poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        self.inner.poll_frame(cx)
    }

    fn poll_drive(&mut self, cx: &mut Context<'_>) {
        self.inner.poll_drive(cx);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(at) = self.place {
            self.leash.wakers.borrow_mut()[at] = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use doorman_http::Length;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Silent;

    impl Source for Silent {
        fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
            Poll::Pending
        }
    }

    #[test]
    fn tunnels_end_when_it_is_let_go_and_later_ones_do_not() {
        let leash = Rc::new(Leash::default());
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        let tunnel = || leash.hold(Body::pulled(Box::new(Silent), Length::Unknown));
        let (mut one, mut other) = (tunnel(), tunnel());
        assert!(one.poll_frame(&mut cx).is_pending() && other.poll_frame(&mut cx).is_pending());
        drop(other);
        leash.let_go();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1, "one is left to be woken");
        assert!(matches!(one.poll_frame(&mut cx), Poll::Ready(None)));
        let mut later = tunnel();
        assert!(later.poll_frame(&mut cx).is_pending());
        leash.let_go();
        assert!(matches!(later.poll_frame(&mut cx), Poll::Ready(None)));
        drop(later);
        // Places are used again.
        for _ in 0..9 {
            assert!(tunnel().poll_frame(&mut cx).is_pending());
        }
        assert_eq!(leash.wakers.borrow().len(), 2);
    }
}
