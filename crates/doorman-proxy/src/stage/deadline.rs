//! The deadline of a whole exchange: what is left of it when the response's head is there holds for
//! the body.

use std::task::{Context, Poll};

use doorman_http::{Body, BodyError, Frame, Instant, Source};
use doorman_net::{Alarm, Clock};

/// A body that is cut at `at` if it has not ended before. A body that is at hand is left alone.
pub(crate) fn bound(body: Body, clock: Clock, at: Instant) -> Body {
    if body.is_finished() {
        return body;
    }
    let mut alarm = Alarm::new(clock);
    alarm.set(at);
    let length = body.length();
    Body::pulled(Box::new(Bounded { inner: body, alarm }), length)
}

struct Bounded {
    inner: Body,
    alarm: Alarm,
}

impl Source for Bounded {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        // Looked at first: an origin that always has a little more must not put it off.
        if self.alarm.poll(cx).is_ready() {
            return Poll::Ready(Some(Err(BodyError::UpstreamTimeout)));
        }
        self.inner.poll_frame(cx)
    }

    fn poll_drive(&mut self, cx: &mut Context<'_>) {
        self.inner.poll_drive(cx);
    }
}
