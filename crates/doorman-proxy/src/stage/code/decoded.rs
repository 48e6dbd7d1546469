//! A body of which a coding is taken off while it is pulled.
//!
//! What shaped it: a few bytes may say millions. So what comes out in one turn is bounded, nothing is
//! pulled while something is left to be sent, and a body that goes over its bounds is cut, which its
//! reader sees: half of it must never look like all of it.

use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use doorman_http::{Body, BodyError, Data, Frame, Length, Source};
use doorman_net::Clock;
use doorman_transform::{Decoder, Wants};

use crate::form::Tally;

/// Bytes that come out at once at most.
const PIECE: usize = 64 * 1024;

/// Takes a coding off a body.
pub(super) fn decoded(body: Body, decoder: Decoder, clock: Clock, tally: Rc<Tally>) -> Body {
    let decoded = Decoded { inner: body, decoder, clock, rest: None, end: None, tally };
    Body::pulled(Box::new(decoded), Length::Unknown)
}

struct Decoded {
    inner: Body,
    decoder: Decoder,
    clock: Clock,
    /// What was pulled, and how much of it is taken in already.
    rest: Option<(Data, usize)>,
    /// What is said behind the last byte, once there is no more to pull.
    end: Option<Option<Frame>>,
    tally: Rc<Tally>,
}

impl Decoded {
    /// Takes in what was pulled, as far as there is room for what comes of it.
    fn step(&mut self, data: Data, at: usize) -> Result<Vec<u8>, BodyError> {
        let mut out = Vec::new();
        let began = self.clock.instant();
        let input = data.as_slice().get(at..).unwrap_or_default();
        let step = self.decoder.push(input, &mut out, PIECE);
        let nanos = self.clock.instant().0.saturating_sub(began.0);
        let step = step.map_err(|error| BodyError::UpstreamMalformed(error.word()))?;
        self.tally.add(step.taken, out.len(), nanos);
        let at = at + step.taken;
        if step.wants == Wants::Room {
            self.rest = Some((data, at));
        }
        Ok(out)
    }
}

impl Source for Decoded {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        loop {
            if let Some((data, at)) = self.rest.take() {
                match self.step(data, at) {
                    Ok(out) if out.is_empty() => {}
                    Ok(out) => {
                        return Poll::Ready(Some(Ok(Frame::Data(Bytes::from(out).into()))));
                    }
                    Err(error) => return Poll::Ready(Some(Err(error))),
                }
                continue;
            }
            if let Some(trailers) = &mut self.end {
                return Poll::Ready(trailers.take().map(Ok));
            }
            let trailers = match self.inner.poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(Frame::Data(data)))) => {
                    self.rest = Some((data, 0));
                    continue;
                }
                Poll::Ready(Some(Ok(trailers))) => Some(trailers),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => None,
            };
            if let Err(error) = self.decoder.finish() {
                return Poll::Ready(Some(Err(BodyError::UpstreamMalformed(error.word()))));
            }
            self.end = Some(trailers);
        }
    }

    fn poll_drive(&mut self, cx: &mut Context<'_>) {
        self.inner.poll_drive(cx);
    }
}
