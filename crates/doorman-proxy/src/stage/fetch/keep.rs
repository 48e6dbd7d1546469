//! A request's body that may have to be told again.
//!
//! What is pulled of it is kept beside it, up to a bound, while the request may still be sent to
//! another server. Past the bound nothing is kept and the request goes to whoever has it (UPC-08).
//! Bodies that came whole, or were collected before, are shared and not copied.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use doorman_http::{Body, BodyError, Data, Fields, Frame, Length, Source};

/// A body, and what has been told of it.
pub(crate) struct Keeper {
    shared: Rc<RefCell<Shared>>,
    length: Length,
}

struct Shared {
    rest: Body,
    kept: Vec<Bytes>,
    bytes: usize,
    max: usize,
    end: Option<End>,
    /// Whether what was told can be told again.
    whole: bool,
}

/// How a body ended.
enum End {
    Clean(Option<Fields>),
    Cut(BodyError),
}

impl Keeper {
    /// Keeps at most `max` bytes of `body`.
    pub(crate) fn new(body: Body, max: usize) -> Self {
        let length = body.length();
        let shared = Shared { rest: body, kept: Vec::new(), bytes: 0, max, end: None, whole: true };
        Self { shared: Rc::new(RefCell::new(shared)), length }
    }

    /// The body from its beginning; `None` if that is not known any more.
    pub(crate) fn tell(&self) -> Option<Body> {
        let told = Told { shared: Rc::clone(&self.shared), at: 0 };
        let whole = self.shared.borrow().whole;
        whole.then(|| Body::pulled(Box::new(told), self.length))
    }
}

/// Nobody will ask for the beginning any more: what is told from now on is not kept.
impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.borrow_mut().max = 0;
    }
}

/// A body that is told.
struct Told {
    shared: Rc<RefCell<Shared>>,
    at: usize,
}

impl Source for Told {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let shared = &mut *self.shared.borrow_mut();
        if let Some(bytes) = shared.kept.get(self.at) {
            self.at += 1;
            return Poll::Ready(Some(Ok(Frame::Data(bytes.clone().into()))));
        }
        if !shared.whole && self.at == 0 {
            // Somebody else has told what cannot be told again.
            return Poll::Ready(Some(Err(BodyError::ClientClosed)));
        }
        match &mut shared.end {
            Some(End::Clean(trailers)) => {
                return Poll::Ready(trailers.take().map(|fields| Ok(Frame::Trailers(fields))));
            }
            Some(End::Cut(error)) => return Poll::Ready(Some(Err(*error))),
            None => {}
        }
        let frame = std::task::ready!(shared.rest.poll_frame(cx));
        match &frame {
            Some(Ok(Frame::Data(data))) => {
                shared.keep(data);
                self.at = shared.kept.len().max(1);
            }
            // Trailers are told once: a request that has some is not told again behind them.
            Some(Ok(Frame::Trailers(_))) => {
                shared.end = Some(End::Clean(None));
                shared.forget();
            }
            None => shared.end = Some(End::Clean(None)),
            Some(Err(error)) => shared.end = Some(End::Cut(*error)),
        }
        Poll::Ready(frame)
    }

    fn poll_drive(&mut self, cx: &mut Context<'_>) {
        self.shared.borrow_mut().rest.poll_drive(cx);
    }
}

impl Shared {
    fn keep(&mut self, data: &Data) {
        if !self.whole || self.bytes + data.len() > self.max {
            return self.forget();
        }
        self.bytes += data.len();
        self.kept.push(match data {
            Data::Shared(bytes) => bytes.clone(),
            Data::Lent(chunk) => Bytes::copy_from_slice(chunk.filled()),
        });
    }

    fn forget(&mut self) {
        self.whole = false;
        self.kept = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::Waker;

    use super::*;

    struct Script(VecDeque<Result<Frame, BodyError>>);

    impl Source for Script {
        fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
            Poll::Ready(self.0.pop_front())
        }
    }

    fn script(frames: impl IntoIterator<Item = Result<Frame, BodyError>>) -> Body {
        Body::pulled(Box::new(Script(frames.into_iter().collect())), Length::Unknown)
    }

    fn data(text: &'static str) -> Result<Frame, BodyError> {
        Ok(Frame::Data(Bytes::from_static(text.as_bytes()).into()))
    }

    /// What so many pulls yield; `None` where the body ended with an error.
    fn pull(body: &mut Body, frames: usize) -> Option<String> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut text = String::new();
        for _ in 0..frames {
            match body.poll_frame(&mut cx) {
                Poll::Ready(Some(Ok(Frame::Data(data)))) => {
                    text.push_str(std::str::from_utf8(data.as_slice()).unwrap());
                }
                Poll::Ready(Some(Ok(Frame::Trailers(_)))) => text.push('!'),
                Poll::Ready(Some(Err(_))) => return None,
                Poll::Ready(None) => {
                    text.push('.');
                    break;
                }
                Poll::Pending => panic!("a script is ready"),
            }
        }
        Some(text)
    }

    #[test]
    fn a_body_is_told_again_from_its_beginning_and_goes_on() {
        let keeper = Keeper::new(script([data("one "), data("two "), data("three")]), 100);
        let mut first = keeper.tell().unwrap();
        assert_eq!(pull(&mut first, 2).unwrap(), "one two ");
        drop(first);
        let mut second = keeper.tell().unwrap();
        assert_eq!(pull(&mut second, 9).unwrap(), "one two three.");
        drop(second);
        assert_eq!(pull(&mut keeper.tell().unwrap(), 9).unwrap(), "one two three.");
    }

    /// UPC-08, RXU-05: a body that has been told from beyond what is kept is told by nobody again.
    #[test]
    fn a_body_past_the_bound_is_not_told_again_upc_08() {
        let keeper = Keeper::new(script([data("four"), data("five!"), data("rest")]), 8);
        let mut first = keeper.tell().unwrap();
        assert_eq!(pull(&mut first, 1).unwrap(), "four");
        let mut other = keeper.tell().unwrap();
        assert_eq!(pull(&mut first, 1).unwrap(), "five!");
        assert!(keeper.tell().is_none());
        assert_eq!(pull(&mut other, 1), None, "nor by who was told to before");
        assert_eq!(pull(&mut first, 9).unwrap(), "rest.", "the one who tells it goes on");
        assert!(keeper.shared.borrow().kept.is_empty());
    }

    #[test]
    fn nothing_is_kept_once_nobody_will_ask() {
        let keeper = Keeper::new(script([data("one "), data("two "), data("three")]), 100);
        let shared = Rc::clone(&keeper.shared);
        let mut first = keeper.tell().unwrap();
        assert_eq!(pull(&mut first, 1).unwrap(), "one ");
        drop(keeper);
        assert_eq!(pull(&mut first, 9).unwrap(), "two three.");
        assert!(shared.borrow().kept.is_empty());
    }

    #[test]
    fn a_body_that_was_cut_is_cut_again_and_trailers_end_it() {
        let keeper = Keeper::new(script([data("one"), Err(BodyError::ClientTimeout)]), 100);
        assert_eq!(pull(&mut keeper.tell().unwrap(), 9), None);
        assert_eq!(pull(&mut keeper.tell().unwrap(), 9), None);
        let trailers = Ok(Frame::Trailers(Fields::default()));
        let keeper = Keeper::new(script([data("one"), trailers]), 100);
        assert_eq!(pull(&mut keeper.tell().unwrap(), 9).unwrap(), "one!.");
        assert!(keeper.tell().is_none());
    }
}
