//! Small pieces of a body that are at hand together leave in one DATA frame.
//!
//! A peer counts small frames, since each costs it more than its bytes, and ends the connection of
//! whoever sends too many. Towards an origin that connection is shared: one client with a body in
//! single bytes would end it for all.

use std::task::Poll;

use bytes::Bytes;
use doorman_http::{BodyError, Data, Frame};

/// What a frame of gathered pieces holds at most: what every peer takes (RFC 9113 section 4.2).
const GATHERED_MAX: usize = 16 * 1024;
/// A piece beyond this leaves as it is: copying it would cost more than a frame of its own.
const SMALL: usize = 4 * 1024;

/// What follows a piece, where it had to be looked at.
pub(crate) type Following = Option<Option<Result<Frame, BodyError>>>;

/// Adds to `first` what `next` has at hand. What was pulled and does not fit is given back.
pub(crate) fn gather(
    first: Data,
    mut next: impl FnMut() -> Poll<Option<Result<Frame, BodyError>>>,
) -> (Data, Following) {
    if first.len() > SMALL {
        return (first, None);
    }
    let mut data = first;
    let mut joined: Vec<u8> = Vec::new();
    let following = loop {
        match next() {
            Poll::Ready(Some(Ok(Frame::Data(more))))
                if data.len() + joined.len() + more.len() <= GATHERED_MAX =>
            {
                if joined.is_empty() {
                    joined.reserve(GATHERED_MAX);
                    joined.extend_from_slice(data.as_slice());
                    data = Data::Shared(Bytes::new());
                }
                joined.extend_from_slice(more.as_slice());
            }
            Poll::Ready(other) => break Some(other),
            Poll::Pending => break None,
        }
    };
    let data = if joined.is_empty() { data } else { Data::Shared(joined.into()) };
    (data, following)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(pieces: &[usize], ends: bool) -> (usize, String) {
        let mut pieces = pieces.iter().map(|n| Data::Shared(vec![b'x'; *n].into()));
        let first = pieces.next().unwrap();
        let (data, following) = gather(first, || match pieces.next() {
            Some(data) => Poll::Ready(Some(Ok(Frame::Data(data)))),
            None if ends => Poll::Ready(None),
            None => Poll::Pending,
        });
        let following = match following {
            None => "unknown".to_owned(),
            Some(None) => "end".to_owned(),
            Some(Some(Ok(Frame::Data(data)))) => data.len().to_string(),
            Some(Some(_)) => "other".to_owned(),
        };
        (data.len(), following)
    }

    #[test]
    fn only_small_pieces_are_gathered_and_none_is_lost() {
        let check = |pieces: &[usize], ends, expected: (usize, &str)| {
            let (length, following) = gathered(pieces, ends);
            assert_eq!((length, &*following), expected, "{pieces:?}");
        };
        check(&[10], true, (10, "end"));
        check(&[10], false, (10, "unknown"));
        check(&[1, 2, 3], true, (6, "end"));
        check(&[1, 2, 3], false, (6, "unknown"));
        check(&[5000, 1], true, (5000, "unknown"));
        check(&[4000, 16_000], true, (4000, "16000"));
        check(&[4000, 4000, 4000, 4384, 1], true, (16_384, "1"));
    }
}
