//! Large bodies by slices: each is fetched and stored by itself, and a body is put together of them.
//!
//! The first slice stands for the whole: its head says how long that is, and its freshness and its
//! validator are those of the whole. The others must have the same strong validator (RFC 9111 section
//! 3.4), however old they are; one that has another ends the body, and takes all slices of the URL out.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use doorman_cache::range::{self, ContentRange, Ranges};
use doorman_cache::{
    Admission, NotStored, PackedHead, Precondition, Vary, admit, evaluate, not_modified,
    storable_head,
};
use doorman_http::{
    Body, BodyError, FieldId, Frame, Length, Method, Now, RequestHead, ResponseHead, Source,
};
use doorman_net::dial::Answer;
use doorman_net::heads;
use doorman_store::{How, Object, ObjectReader, Parts, Purge};

use super::slot::{Slot, tags, unpacked};
use super::tell::{self, Told};
use super::{Sought, fill, serve};
use crate::exchange::Exchange;
use crate::record::Cached;

/// The first slice, and what it says of the whole.
pub(crate) struct Anchor {
    pub(crate) object: Arc<Object>,
    /// Head of a 200 with the whole.
    head: ResponseHead,
    length: u64,
}

impl Anchor {
    /// `None` if the object is no slice.
    pub(crate) fn of(object: &Arc<Object>) -> Option<Self> {
        let mut head = unpacked(object);
        let length = ContentRange::of(&head)?.length?;
        head.status = 200;
        head.set_reason(0..0);
        head.fields.remove_id(FieldId::ContentRange);
        Some(Self { object: Arc::clone(object), head, length })
    }

    /// Whether another slice is one of the same whole.
    pub(crate) fn holds(&self, slice: &Object) -> bool {
        let slice = unpacked(slice);
        range::combines(&self.head, self.length, &slice, None).is_ok()
    }

    /// Answers a client: with a body that [`Pieces`] put together, or with none.
    pub(crate) fn answer(
        &self,
        sought: &Sought<'_>,
        exchange: &mut Exchange,
        was_here: bool,
        pieces: impl FnOnce(Range<u64>) -> Box<dyn Source>,
    ) -> Answer {
        let told = &told(was_here);
        let client = sought.client(&exchange.head);
        let mut head = heads::response();
        head.clone_from(&Box::new(self.head.clone()));
        let whole = 0..self.length;
        let (mut head, body) = match client.map_or(Precondition::Pass, |c| evaluate(c, &head)) {
            Precondition::NotModified => (Box::new(not_modified(&head)), Body::empty()),
            Precondition::Failed => {
                head = heads::response();
                head.status = 412;
                (head, Body::whole(bytes::Bytes::new()))
            }
            Precondition::Pass => {
                let ranges = client.map_or(Ranges::Whole, |c| range::of(c, &head, self.length));
                match ranges {
                    Ranges::Unsatisfiable => {
                        let head = Box::new(range::unsatisfiable(self.length));
                        (head, Body::whole(bytes::Bytes::new()))
                    }
                    Ranges::One(ref one) => {
                        let one = one.clone();
                        let length = Length::Known(one.end - one.start);
                        range::make_partial(&mut head, &ranges, self.length, b"");
                        (head, Body::pulled(pieces(one), length))
                    }
                    // Many ranges of something large: the whole is an answer, too.
                    Ranges::Whole | Ranges::Several(_) => {
                        (head, Body::pulled(pieces(whole), Length::Known(self.length)))
                    }
                }
            }
        };
        let (meta, now) = (self.object.meta(), exchange.started());
        serve::push_age(&mut head, meta.age(now));
        tell::status(sought, &mut head, told.handled(), Some(meta.ttl(now)), told.detail());
        told.note(exchange.record());
        Answer { head, body }
    }
}

/// What an origin said when it was asked for a slice.
pub(crate) enum Sliced {
    /// The slice, which is stored.
    Object(Arc<Object>),
    /// Something else.
    Answer(Answer),
}

/// Asks for a slice alone.
pub(crate) fn ask_for(index: u64, size: u64, head: &mut RequestHead) {
    let start = index.saturating_mul(size);
    let value = format!("bytes={start}-{}", start.saturating_add(size - 1));
    head.fields.remove_id(FieldId::Range);
    head.fields.push_id(FieldId::Range, value.as_bytes());
}

/// Stores a slice that an origin has answered with, if it is the one that was asked for. Anything else
/// comes back as it is, with the right to fetch given up.
pub(crate) fn take(
    slot: Slot,
    sought: &Sought<'_>,
    (index, size): (u64, u64),
    answer: Answer,
    exchange: &mut Exchange,
    now: Now,
) -> Sliced {
    match admission(&slot, sought, (index, size), &answer, exchange, now) {
        Ok((parts, length)) => store(slot, sought, parts, length, answer, exchange, now),
        Err(why) => {
            slot.give_up(why, now);
            Sliced::Answer(answer)
        }
    }
}

struct Slice {
    selector: Vec<u8>,
    head: PackedHead,
    meta: doorman_cache::Meta,
}

fn admission(
    slot: &Slot,
    sought: &Sought<'_>,
    (index, size): (u64, u64),
    answer: &Answer,
    exchange: &Exchange,
    now: Now,
) -> Result<(Slice, u64), NotStored> {
    let length = match answer.body.length() {
        Length::Known(length) => Some(length),
        Length::Absent | Length::Unknown => None,
    };
    let part = range::storable(&answer.head, length).map_err(|_| NotStored::Partial)?;
    let start = index.saturating_mul(size);
    let end = part.length.unwrap_or(0).min(start.saturating_add(size));
    if part.range != (start..end) {
        return Err(NotStored::Partial);
    }
    let rules = &sought.cache.rules;
    let mut whole = ResponseHead::clone(&answer.head);
    whole.status = 200;
    whole.fields.remove_id(FieldId::ContentRange);
    let asked = &sought.asked;
    let meta = match admit(&Method::Get, asked, &whole, rules, slot.requested(), now) {
        Admission::Store(meta) => meta,
        Admission::Refuse(why) => return Err(why),
    };
    let vary = Vary::of(&answer.head).map_err(|_| NotStored::VaryStar)?;
    let vary = vary.without(&sought.cache.vary_ignore);
    let head = PackedHead::pack(&storable_head(&answer.head, rules, now));
    let head = head.ok_or(NotStored::TooLarge)?;
    let selector = sought.chooser(&exchange.head).selector(&vary);
    Ok((Slice { selector, head, meta }, end - start))
}

fn store(
    slot: Slot,
    sought: &Sought<'_>,
    slice: Slice,
    length: u64,
    answer: Answer,
    exchange: &mut Exchange,
    now: Now,
) -> Sliced {
    let Slice { selector, head, meta } = slice;
    let tags = tags(&sought.cache.tags, &answer.head);
    let parts = Parts { selector: &selector, tags: &tags, head, meta };
    match slot.into_lead().fill(parts, Some(length), length, now) {
        Ok(filling) => {
            let object = Arc::clone(filling.object());
            let held = fill::Held::of(exchange.record());
            fill::start(filling, answer.body, held);
            Sliced::Object(object)
        }
        Err(_) => Sliced::Answer(answer),
    }
}

/// All slices of a URL go: the origin has another version by now.
pub(crate) fn forget(sought: &Sought<'_>) {
    sought.cache.store.purge(&Purge::Url(&sought.key), How::Hard);
}

/// What the client is told of an answer by slices: whether the first was here already.
fn told(was_here: bool) -> Told {
    if was_here {
        Told::hit(Cached::Hit, Some("slices"))
    } else {
        Told::forwarded(Cached::Miss, doorman_cache::Forward::UriMiss, Some(206))
    }
}

/// A slice on its way.
pub(crate) type Fetched = Pin<Box<dyn Future<Output = Result<Arc<Object>, BodyError>>>>;

/// A body that is put together of slices, each asked for when the one before has been read.
pub(crate) struct Pieces<F> {
    fetch: F,
    size: u64,
    at: u64,
    end: u64,
    reader: Option<ObjectReader>,
    pending: Option<Fetched>,
}

impl<F: Fn(u64) -> Fetched> Pieces<F> {
    /// The bytes of `range`, by slices of `size` bytes.
    pub(crate) fn new(fetch: F, size: u64, range: Range<u64>) -> Self {
        let Range { start: at, end } = range;
        Self { fetch, size, at, end, reader: None, pending: None }
    }

    /// The part of a slice that is wanted.
    fn open(&self, slice: &Arc<Object>) -> Option<ObjectReader> {
        let start = self.at / self.size * self.size;
        slice.read(self.at - start..self.end.saturating_sub(start).min(self.size))
    }
}

impl<F: Fn(u64) -> Fetched> Source for Pieces<F> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        loop {
            if let Some(reader) = &mut self.reader {
                match ready!(reader.poll_frame(cx)) {
                    Some(Ok(Frame::Data(data))) => {
                        self.at += data.len() as u64;
                        return Poll::Ready(Some(Ok(Frame::Data(data))));
                    }
                    Some(other) => return Poll::Ready(Some(other)),
                    None => self.reader = None,
                }
                // A slice that is shorter than it says would be asked for again and again.
                if self.at < self.end && !self.at.is_multiple_of(self.size) {
                    return Poll::Ready(Some(Err(BodyError::UpstreamClosed)));
                }
            }
            if self.at >= self.end {
                return Poll::Ready(None);
            }
            let (fetch, index) = (&self.fetch, self.at / self.size);
            let pending = self.pending.get_or_insert_with(|| fetch(index));
            let fetched = ready!(pending.as_mut().poll(cx));
            self.pending = None;
            let slice = match fetched {
                Ok(slice) => slice,
                Err(error) => return Poll::Ready(Some(Err(error))),
            };
            self.reader = self.open(&slice);
            if self.reader.is_none() {
                return Poll::Ready(Some(Err(BodyError::UpstreamClosed)));
            }
        }
    }
}
