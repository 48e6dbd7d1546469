//! Whether a request may go on: bounds that are known from its head, and its body's bound.

use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use doorman_http::{Body, BodyError, Frame, Length, Source};

use crate::exchange::Exchange;
use crate::plan::PlanRoute;
use crate::stop::{Fault, Stop};

/// Checks what can be checked before anybody is asked.
pub(crate) async fn check(route: &PlanRoute, exchange: &mut Exchange) -> Result<(), Stop> {
    if let Some(max) = route.body_max {
        bound(max, exchange)?;
    }
    if let Some(max) = route.buffer_request {
        collect(max, exchange).await?;
    }
    Ok(())
}

/// A body that says its length is refused at once (RFC 9110 section 15.5.14); another is cut when
/// it passes the bound.
fn bound(max: u64, exchange: &mut Exchange) -> Result<(), Fault> {
    match exchange.body.as_ref().map_or(Length::Absent, Body::length) {
        Length::Absent => {}
        Length::Known(n) if n <= max => {}
        Length::Known(_) => return Err(Fault::BodyTooLarge),
        Length::Unknown => {
            if let Some(inner) = exchange.body.take() {
                let bounded = Bounded { inner, left: max };
                exchange.body = Some(Body::pulled(Box::new(bounded), Length::Unknown));
            }
        }
    }
    Ok(())
}

/// A body that may hold so many bytes and no more.
struct Bounded {
    inner: Body,
    left: u64,
}

impl Source for Bounded {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let polled = self.inner.poll_frame(cx);
        if let Poll::Ready(Some(Ok(Frame::Data(data)))) = &polled {
            let n = data.len() as u64;
            if n > self.left {
                return Poll::Ready(Some(Err(BodyError::TooLarge)));
            }
            self.left -= n;
        }
        polled
    }
}

/// Collects a request's body before an origin is asked, so that a slow client holds no connection
/// to it. A body that is longer than `max` streams from there on.
async fn collect(max: usize, exchange: &mut Exchange) -> Result<(), Fault> {
    let Some(mut body) = exchange.body.take() else { return Ok(()) };
    if matches!(body.length(), Length::Absent | Length::Known(0)) {
        exchange.body = Some(body);
        return Ok(());
    }
    exchange.body = Some(gather(max, &mut body).await.map_err(Fault::Client)?.join(body));
    Ok(())
}

/// The front of a body, and the frame that did not fit or came last.
pub(crate) struct Gathered {
    front: Bytes,
    next: Option<Frame>,
    whole: bool,
}

/// Pulls frames of `body` until it ends or `max` bytes are there.
pub(crate) async fn gather(max: usize, body: &mut Body) -> Result<Gathered, BodyError> {
    let mut front = BytesMut::new();
    loop {
        match body.frame().await {
            None => return Ok(Gathered { front: front.freeze(), next: None, whole: true }),
            Some(Err(error)) => return Err(error),
            Some(Ok(Frame::Data(data))) if front.len() + data.len() <= max => {
                front.extend_from_slice(data.as_slice());
            }
            Some(Ok(frame)) => {
                return Ok(Gathered { front: front.freeze(), next: Some(frame), whole: false });
            }
        }
    }
}

impl Gathered {
    /// What was gathered, if that is all there was.
    pub(crate) fn into_whole(self) -> Option<Bytes> {
        self.whole.then_some(self.front)
    }

    /// The whole body again: what was gathered, and then what is left of it.
    pub(crate) fn join(self, rest: Body) -> Body {
        if self.whole {
            return Body::whole(self.front);
        }
        let length = rest.length();
        let source = Joined { front: Some(self.front), next: self.next, rest };
        Body::pulled(Box::new(source), length)
    }
}

struct Joined {
    front: Option<Bytes>,
    next: Option<Frame>,
    rest: Body,
}

impl Source for Joined {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if let Some(front) = self.front.take().filter(|front| !front.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::Data(front.into()))));
        }
        match self.next.take() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => self.rest.poll_frame(cx),
        }
    }

    fn poll_drive(&mut self, cx: &mut Context<'_>) {
        self.rest.poll_drive(cx);
    }
}
