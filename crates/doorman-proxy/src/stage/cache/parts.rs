//! Several ranges of a stored response, one behind the other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use doorman_cache::range::Multipart;
use doorman_http::{BodyError, Frame, Source};
use doorman_store::{Object, ObjectReader};

/// A body of several ranges.
pub(super) struct Parts(VecDeque<Part>);

enum Part {
    Text(Bytes),
    Range(ObjectReader),
}

impl Parts {
    /// `None` if the bytes are gone.
    pub(super) fn new(
        object: &Arc<Object>,
        ranges: &[std::ops::Range<u64>],
        multipart: &Multipart<'_>,
    ) -> Option<Self> {
        let mut parts = VecDeque::with_capacity(2 * ranges.len() + 1);
        for range in ranges {
            let mut head = Vec::new();
            multipart.part_head(range, &mut head);
            parts.push_back(Part::Text(head.into()));
            parts.push_back(Part::Range(object.read(range.clone())?));
        }
        let mut end = Vec::new();
        multipart.end(&mut end);
        parts.push_back(Part::Text(end.into()));
        Some(Self(parts))
    }
}

impl Source for Parts {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        loop {
            match self.0.front_mut() {
                None => return Poll::Ready(None),
                Some(Part::Text(text)) => {
                    let text = std::mem::take(text);
                    self.0.pop_front();
                    return Poll::Ready(Some(Ok(Frame::Data(text.into()))));
                }
                Some(Part::Range(reader)) => {
                    if let Some(frame) = ready!(reader.poll_frame(cx)) {
                        return Poll::Ready(Some(frame));
                    }
                    self.0.pop_front();
                }
            }
        }
    }
}
