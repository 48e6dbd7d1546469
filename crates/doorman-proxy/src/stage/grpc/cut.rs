//! A response of gRPC that breaks off.
//!
//! The status of a call stands in the trailers of its response, also when it is an error and some
//! messages have gone out already ("Responses" in gRPC's specification over HTTP/2): so a response
//! that its server does not end is ended here, with trailers that say why. A reset would tell a
//! client INTERNAL where it is UNAVAILABLE or DEADLINE_EXCEEDED.
//!
//! Trailers follow whole messages. A response that is cut within a message, or that has declared a
//! length, cannot be ended so, and is reset like any other: a cut must look like one.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll};

use doorman_http::{Body, BodyError, Fields, Frame, Length, Source};

use crate::stop::GrpcCode;

/// Ends a response that breaks off by trailers, and gives what will tell the record why: the wire sees
/// an end in order. `None`: it cannot break off any more, or could not be ended so. `id` is the
/// request's, for the one who reads the log.
pub(super) fn told(body: &mut Body, id: [u8; 36]) -> Option<Rc<Cell<Option<BodyError>>>> {
    if body.is_finished() || body.length() != Length::Unknown {
        return None;
    }
    let told: Rc<Cell<Option<BodyError>>> = Rc::default();
    let inner = std::mem::replace(body, Body::empty());
    let ending =
        Ending { inner, messages: Messages::default(), told: Rc::clone(&told), id, is_over: false };
    *body = Body::pulled(Box::new(ending), Length::Unknown);
    Some(told)
}

struct Ending {
    inner: Body,
    messages: Messages,
    told: Rc<Cell<Option<BodyError>>>,
    id: [u8; 36],
    is_over: bool,
}

impl Source for Ending {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let polled = self.inner.poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(Frame::Data(data)))) => self.messages.pass(data.as_slice()),
            Poll::Ready(Some(Err(error))) if self.messages.is_between() => {
                if let Some(code) = GrpcCode::of_cut(*error) {
                    self.is_over = true;
                    self.told.set(Some(*error));
                    return Poll::Ready(Some(Ok(Frame::Trailers(trailers(code, &self.id)))));
                }
            }
            _ => {}
        }
        polled
    }

    fn poll_drive(&mut self, cx: &mut Context<'_>) {
        self.inner.poll_drive(cx);
    }
}

fn trailers(code: GrpcCode, id: &[u8]) -> Fields {
    let mut fields = Fields::new();
    fields.push(b"grpc-status", code.number());
    // Neither the words nor an id have a byte that gRPC would have escaped.
    let message = [code.words_of_cut().as_bytes(), b"; request ", id].concat();
    fields.push(b"grpc-message", &message);
    fields
}

/// Bytes ahead of a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Where in its messages a response is.
#[derive(Debug, Default)]
struct Messages {
    prefix: [u8; PREFIX],
    /// Bytes of the prefix that have come.
    seen: usize,
    /// Bytes of the message that are still to come.
    left: u32,
}

impl Messages {
    fn pass(&mut self, mut bytes: &[u8]) {
        while let Some(first) = bytes.first() {
            if self.left > 0 {
                let n = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= u32::try_from(n).unwrap_or(self.left);
                bytes = &bytes[n..];
                continue;
            }
            self.prefix[self.seen] = *first;
            self.seen += 1;
            bytes = &bytes[1..];
            if self.seen == PREFIX {
                let [_, a, b, c, d] = self.prefix;
                (self.left, self.seen) = (u32::from_be_bytes([a, b, c, d]), 0);
            }
        }
    }

    /// Whether no message has begun that has not ended.
    const fn is_between(&self) -> bool {
        self.seen == 0 && self.left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_end_where_their_prefixes_say() {
        let message = |n: u8| [&[0, 0, 0, 0, n][..], &vec![0xFF; usize::from(n)]].concat();
        let bytes = [message(3), message(0), message(7)].concat();
        let ends = [0, 8, 13, 25];
        for cut in 0..=bytes.len() {
            let (first, second) = bytes.split_at(cut);
            let mut messages = Messages::default();
            messages.pass(first);
            assert_eq!(messages.is_between(), ends.contains(&cut), "{cut}");
            messages.pass(second);
            assert!(messages.is_between(), "{cut}");
        }
        let mut endless = Messages::default();
        endless.pass(&[1, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3]);
        assert_eq!(endless.left, u32::MAX - 3);
    }
}
