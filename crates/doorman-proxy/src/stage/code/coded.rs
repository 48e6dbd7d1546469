//! A body that is coded while it is pulled.
//!
//! What shaped it: nothing is coded that nobody can take, a core works on one body for a bounded time
//! before others have their turn, and a stream that pauses is flushed, so that what its origin has sent
//! does not wait inside of a coder. A flush costs some of what coding saves; so the pause must last a
//! moment, since every body pauses between two packets.

use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use doorman_http::{Body, BodyError, Data, Frame, Length, Source};
use doorman_net::{Alarm, Clock};
use doorman_transform::Coder;

use crate::form::Tally;

/// Bytes that are coded before other work of the core has its turn: about a millisecond at the levels
/// that are meant for answers as they pass.
pub(super) const TURN: usize = 64 * 1024;
/// Bytes that came out of a coder before they are sent on although more could be had at once.
pub(super) const PIECE: usize = 16 * 1024;
/// How long an origin may pause before what it has sent is flushed out of the coder. Packets of one
/// answer come closer together; people and programs that wait for an event do not notice it.
pub(super) const PAUSE: Duration = Duration::from_millis(10);
/// Bodies up to this size, bytes, that are there as a whole are coded at once, and their length is
/// known then.
const AT_ONCE_MAX: u64 = TURN as u64;

/// Codes a body. One that is small and at hand is coded at once.
pub(super) fn coded(body: Body, coder: Coder, clock: Clock, tally: Rc<Tally>) -> Body {
    let is_small = matches!(body.length(), Length::Known(bytes) if bytes <= AT_ONCE_MAX);
    let mut coded = Coded {
        inner: body,
        coder,
        clock,
        alarm: Alarm::new(clock),
        rest: None,
        out: Vec::new(),
        end: None,
        tally,
    };
    if is_small {
        // Nobody needs to be woken: who takes the body asks again.
        let mut cx = Context::from_waker(Waker::noop());
        while coded.end.is_none() && coded.pull(&mut cx, TURN).is_some() {}
        if let Some(End::Whole(None)) = coded.end {
            return Body::whole(Bytes::from(std::mem::take(&mut coded.out)));
        }
    }
    Body::pulled(Box::new(coded), Length::Unknown)
}

struct Coded {
    inner: Body,
    coder: Coder,
    clock: Clock,
    alarm: Alarm,
    /// What was pulled and is not coded yet.
    rest: Option<(Data, usize)>,
    /// What came out and is not sent yet.
    out: Vec<u8>,
    end: Option<End>,
    tally: Rc<Tally>,
}

/// How the body has ended, as far as it was pulled.
enum End {
    /// Whole; with what is still to be said behind the last byte.
    Whole(Option<Frame>),
    Cut(BodyError),
}

impl Coded {
    /// Pulls and codes at most `most` bytes. `None`: nothing is there to be pulled.
    fn pull(&mut self, cx: &mut Context<'_>, most: usize) -> Option<usize> {
        let (data, at) = match self.rest.take() {
            Some(rest) => rest,
            None => match self.inner.poll_frame(cx) {
                Poll::Pending => return None,
                Poll::Ready(Some(Ok(Frame::Data(data)))) => (data, 0),
                Poll::Ready(Some(Ok(trailers))) => {
                    self.finish(Some(trailers));
                    return Some(0);
                }
                Poll::Ready(Some(Err(error))) => {
                    self.end = Some(End::Cut(error));
                    return Some(0);
                }
                Poll::Ready(None) => {
                    self.finish(None);
                    return Some(0);
                }
            },
        };
        self.alarm.clear();
        let all = data.as_slice().get(at..).unwrap_or_default();
        let piece = all.get(..most).unwrap_or(all);
        let count = piece.len();
        self.timed(count, |coder, out| coder.push(piece, out));
        if count < all.len() {
            self.rest = Some((data, at + count));
        }
        Some(count)
    }

    fn finish(&mut self, trailers: Option<Frame>) {
        self.timed(0, Coder::finish);
        self.end = Some(End::Whole(trailers));
    }

    fn flush(&mut self) {
        self.timed(0, Coder::flush);
    }

    fn timed(&mut self, bytes_in: usize, work: impl FnOnce(&mut Coder, &mut Vec<u8>)) {
        let (began, before) = (self.clock.instant(), self.out.len());
        work(&mut self.coder, &mut self.out);
        let nanos = self.clock.instant().0.saturating_sub(began.0);
        self.tally.add(bytes_in, self.out.len() - before, nanos);
    }

    fn emit(&mut self) -> Poll<Option<Result<Frame, BodyError>>> {
        let out = Bytes::from(std::mem::take(&mut self.out));
        Poll::Ready(Some(Ok(Frame::Data(out.into()))))
    }
}

impl Source for Coded {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let mut left = TURN;
        loop {
            match &mut self.end {
                // What came before a cut is of use to who reads it, and the cut is seen behind it.
                Some(_) if !self.out.is_empty() => return self.emit(),
                Some(End::Cut(error)) => return Poll::Ready(Some(Err(*error))),
                Some(End::Whole(trailers)) => return Poll::Ready(trailers.take().map(Ok)),
                None if self.out.len() >= PIECE => return self.emit(),
                None if left == 0 => {
                    if !self.out.is_empty() {
                        return self.emit();
                    }
                    // Others have their turn; nothing will wake this but itself.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                None => {}
            }
            match self.pull(cx, left) {
                Some(count) => left -= count.min(left),
                None if !self.out.is_empty() => return self.emit(),
                None if !self.coder.is_flushed() => {
                    self.alarm.set_if_clear(PAUSE);
                    if self.alarm.poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    self.flush();
                }
                None => return Poll::Pending,
            }
        }
    }

    fn poll_drive(&mut self, cx: &mut Context<'_>) {
        self.inner.poll_drive(cx);
    }
}
