//! How fast a response goes.

use std::num::NonZeroU64;
use std::task::{Context, Poll};

use bytes::Buf as _;
use doorman_http::{Body, BodyError, Data, Frame, Source};
use doorman_limit::{Due, Pace};
use doorman_net::{Alarm, Clock};

/// How fast a response's content goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlanThrottle {
    /// Bytes a second.
    pub(crate) rate: NonZeroU64,
    /// Bytes that go at once.
    pub(crate) after: u64,
}

/// A body that goes no faster.
pub(crate) fn throttle(plan: PlanThrottle, body: Body, clock: Clock) -> Body {
    let length = body.length();
    let pace = Pace::new(plan.rate, plan.after, clock.instant());
    let slowed = Slowed { inner: body, pace, alarm: Alarm::new(clock), clock, next: None };
    Body::pulled(Box::new(slowed), length)
}

struct Slowed {
    inner: Body,
    pace: Pace,
    alarm: Alarm,
    clock: Clock,
    /// What is at hand and may not go yet.
    next: Option<Data>,
}

impl Source for Slowed {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let data = match self.next.take() {
            Some(data) => data,
            None => match self.inner.poll_frame(cx) {
                Poll::Ready(Some(Ok(Frame::Data(data)))) => data,
                other => return other,
            },
        };
        loop {
            let length = data.len() as u64;
            match self.pace.due(length, self.clock.instant()) {
                Due::Now(bytes) => {
                    self.pace.sent(bytes);
                    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                    let (front, rest) = split(data, bytes);
                    self.next = rest;
                    return Poll::Ready(Some(Ok(Frame::Data(front))));
                }
                Due::At(at) => {
                    self.alarm.set(at);
                    if self.alarm.poll(cx).is_pending() {
                        self.next = Some(data);
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    fn poll_drive(&mut self, cx: &mut Context<'_>) {
        self.inner.poll_drive(cx);
    }
}

/// The front of some data, and the rest if there is any.
fn split(data: Data, bytes: usize) -> (Data, Option<Data>) {
    if bytes >= data.len() {
        return (data, None);
    }
    let mut rest = data;
    let front = rest.copy_to_bytes(bytes);
    (front.into(), Some(rest))
}
