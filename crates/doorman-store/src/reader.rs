//! Reading a stored body or another form of it: whole or a range, while it comes or after.

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use doorman_http::{BodyError, Data, Frame, Source};

use crate::body::{Long, SmallBody};
use crate::disk::{Disk, Large, Reading, Tried};
use crate::fill::{Cut, FillReader};
use crate::object::Object;
use crate::sibling::Sibling;

/// A reader of an object's body, or of a sibling. Bytes are shared, never copied; the object lives as long as the
/// reader or what it handed out.
pub struct ObjectReader {
    from: From,
    at: u64,
    end: u64,
}

enum From {
    Small(Arc<Object>),
    Long(Arc<Long>),
    Filling(FillReader),
    Sibling(Arc<Sibling>),
    Disk { disk: Arc<Disk>, large: Large, reading: Option<Reading<Bytes>> },
}

impl fmt::Debug for ObjectReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectReader")
            .field("at", &self.at)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl ObjectReader {
    pub(crate) fn new(object: &Arc<Object>, range: Range<u64>) -> Option<Self> {
        let from = match object.long() {
            None => From::Small(Arc::clone(object)),
            Some(long) => match &**long {
                Long::Pieces(_) => From::Long(Arc::clone(long)),
                Long::Filling { fill, .. } => From::Filling(fill.join(range.start)?),
                Long::Disk { disk, large } => {
                    let (disk, large) = (Arc::clone(disk), large.clone());
                    From::Disk { disk, large, reading: None }
                }
                Long::Elsewhere(_) => return None,
            },
        };
        Some(Self { from, at: range.start, end: range.end })
    }

    pub(crate) const fn of_sibling(sibling: Arc<Sibling>, range: Range<u64>) -> Self {
        Self { from: From::Sibling(sibling), at: range.start, end: range.end }
    }

    pub(crate) const fn of_filling(reader: FillReader, range: Range<u64>) -> Self {
        Self { from: From::Filling(reader), at: range.start, end: range.end }
    }

    /// The next bytes, never empty; `None` at the end of the range or of the body, whatever comes
    /// first. After `None` or [`Cut`] there is nothing more. May be called on any thread; the last
    /// waker that was given is woken.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        let most = self.end.saturating_sub(self.at);
        if most == 0 {
            return Poll::Ready(None);
        }
        let mut piece = match &mut self.from {
            From::Small(object) => {
                let small = Bytes::from_owner(SmallBody(Arc::clone(object)));
                let at = usize::try_from(self.at).unwrap_or(usize::MAX).min(small.len());
                Some(small.slice(at..)).filter(|rest| !rest.is_empty())
            }
            From::Long(long) => match &**long {
                Long::Pieces(pieces) => pieces.piece(self.at),
                _ => None,
            },
            From::Sibling(sibling) => sibling.piece(self.at),
            From::Filling(reader) => match ready!(reader.poll_next(cx, most)) {
                Some(Ok(piece)) => Some(piece),
                Some(Err(cut)) => {
                    self.end = self.at;
                    return Poll::Ready(Some(Err(cut)));
                }
                None => None,
            },
            From::Disk { disk, large, reading } => {
                match ready!(poll_part(disk, large, reading, self.at, cx)) {
                    Ok(piece) => Some(piece).filter(|piece| !piece.is_empty()),
                    Err(cut) => {
                        self.end = self.at;
                        return Poll::Ready(Some(Err(cut)));
                    }
                }
            }
        };
        let Some(piece) = &mut piece else {
            self.end = self.at;
            return Poll::Ready(None);
        };
        piece.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        self.at += piece.len() as u64;
        Poll::Ready(Some(Ok(std::mem::take(piece))))
    }
}

/// The next part of a body on disk; empty at its end.
fn poll_part(
    disk: &Disk,
    large: &Large,
    reading: &mut Option<Reading<Bytes>>,
    at: u64,
    cx: &mut Context<'_>,
) -> Poll<Result<Bytes, Cut>> {
    if reading.is_none() {
        match disk.try_part(large, at) {
            Tried::Ready(piece) => return Poll::Ready(Ok(piece)),
            Tried::Damaged => return Poll::Ready(Err(Cut)),
            Tried::WouldBlock => {}
        }
    }
    let waited = reading.get_or_insert_with(|| disk.part(large, at));
    let piece = ready!(Pin::new(waited).poll(cx));
    *reading = None;
    // Damaged, or too many read: what was sent cannot be taken back, so it is cut.
    Poll::Ready(piece.map_err(|_| Cut))
}

impl Source for ObjectReader {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        self.poll_next(cx).map(|next| {
            next.map(|piece| match piece {
                Ok(piece) => Ok(Frame::Data(Data::Shared(piece))),
                // Whoever filled it lost its origin, or broke off: for a reader it is the same.
                Err(Cut) => Err(BodyError::UpstreamClosed),
            })
        })
    }
}
