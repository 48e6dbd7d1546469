//! Where the body of a stored response is: beside its key if it is small, in pieces, still coming, or
//! on disk.

use std::sync::Arc;

use bytes::Bytes;

use crate::disk::{Disk, Large};
use crate::fill::Fill;
use crate::object::Object;

/// What a piece costs beside its bytes: its place in the list, and what `Bytes` shares it by.
const PIECE_OVERHEAD: u64 = 64;

/// Where the body is.
pub(crate) enum Body<'a> {
    Small(&'a [u8]),
    Long(Arc<Long>),
}

pub(crate) enum Long {
    Pieces(Pieces),
    Filling {
        fill: Arc<Fill>,
        declared: Option<u64>,
    },
    /// On disk, to be read by parts.
    Disk {
        disk: Arc<Disk>,
        large: Large,
    },
    /// On disk: the object is what the index keeps of it.
    Elsewhere(u64),
}

/// A whole body in pieces, each with its offset.
pub(crate) struct Pieces {
    pieces: Box<[(u64, Bytes)]>,
    len: u64,
}

impl Pieces {
    pub(crate) fn new(pieces: Vec<Bytes>) -> Self {
        let mut len = 0u64;
        let place = |piece: Bytes| {
            let at = len;
            len += piece.len() as u64;
            (at, piece)
        };
        let pieces = pieces.into_iter().map(place).collect();
        Self { pieces, len }
    }

    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    /// Bytes that they hold, with what pieces cost beside theirs.
    pub(crate) const fn size(&self) -> u64 {
        self.len + self.pieces.len() as u64 * PIECE_OVERHEAD
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.pieces.iter().map(|(_, piece)| piece)
    }

    /// The bytes at `at`, to the end of their piece.
    pub(crate) fn piece(&self, at: u64) -> Option<Bytes> {
        let next = self.pieces.partition_point(|(start, _)| *start <= at);
        let (start, piece) = self.pieces.get(next.checked_sub(1)?)?;
        let skip = usize::try_from(at - start).ok()?;
        (skip < piece.len()).then(|| piece.slice(skip..))
    }
}

/// A small body that lives as long as whoever reads it.
pub(crate) struct SmallBody(pub(crate) Arc<Object>);

impl AsRef<[u8]> for SmallBody {
    fn as_ref(&self) -> &[u8] {
        self.0.small()
    }
}
