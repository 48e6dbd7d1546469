//! What came of a request's content and was not taken yet.

use std::collections::VecDeque;

use bytes::Bytes;
use doorman_http::Fields;

/// The least that is allocated for content, bytes: content in crumbs gathers in it.
const PIECE_MIN: usize = 1024;
/// What is allocated for a piece of an upload that goes on.
const PIECE: usize = 16 * 1024;

/// What taking content gives.
#[derive(Debug)]
pub enum Content {
    /// A piece; never empty.
    Data(Bytes),
    /// Trailers; the end comes next.
    Trailers(Fields),
    /// The request is whole.
    End,
    /// Nothing is there yet.
    Nothing,
    /// The stream was reset, and why the request was malformed if it was.
    Cut(Option<&'static str>),
}

/// Content of one request.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pieces: VecDeque<Vec<u8>>,
    held: usize,
    /// What is missing of a declared length.
    missing: Option<u64>,
    trailers: Option<Fields>,
    is_ended: bool,
    /// Nobody will take any of it.
    is_ignored: bool,
}

impl Inbox {
    pub(crate) fn open(&mut self, declared: Option<u64>, is_ended: bool) {
        self.missing = declared;
        self.is_ended = is_ended;
    }

    pub(crate) const fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Whether it has ended, and nothing of it is left to take.
    pub(crate) fn is_empty(&self) -> bool {
        self.is_ended && self.pieces.is_empty() && self.trailers.is_none()
    }

    pub(crate) const fn is_ignored(&self) -> bool {
        self.is_ignored
    }

    /// Forgets what is there, and what comes; how many bytes that were.
    pub(crate) fn ignore(&mut self) -> usize {
        self.is_ignored = true;
        self.trailers = None;
        self.pieces = VecDeque::new();
        std::mem::take(&mut self.held)
    }

    /// Counts content that is announced. Whether it may come (RFC 9113 section 8.1.1).
    #[must_use]
    pub(crate) const fn expect(&mut self, n: usize) -> bool {
        let Some(missing) = self.missing else { return true };
        match missing.checked_sub(n as u64) {
            Some(left) => {
                self.missing = Some(left);
                true
            }
            None => false,
        }
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.held += bytes.len();
        if let Some(last) = self.pieces.back_mut()
            && last.capacity() - last.len() >= bytes.len()
        {
            return last.extend_from_slice(bytes);
        }
        let least = if self.pieces.is_empty() { PIECE_MIN } else { PIECE };
        let mut piece = Vec::with_capacity(bytes.len().max(least));
        piece.extend_from_slice(bytes);
        self.pieces.push_back(piece);
    }

    /// The client has ended the request. Whether it kept what it declared.
    #[must_use]
    pub(crate) fn end(&mut self, trailers: Option<Fields>) -> bool {
        self.is_ended = true;
        self.trailers = trailers;
        self.missing.is_none_or(|missing| missing == 0)
    }

    /// The next of it. What fulfils the declared length stays until the end was seen: an origin that
    /// counts bytes would take the request for whole, though the client may still send more than it
    /// declared.
    pub(crate) fn take(&mut self) -> Content {
        if self.missing == Some(0) && !self.is_ended {
            return Content::Nothing;
        }
        if let Some(piece) = self.pieces.pop_front() {
            self.held = self.held.saturating_sub(piece.len());
            return Content::Data(piece.into());
        }
        match (self.is_ended, self.trailers.take()) {
            (false, _) => Content::Nothing,
            (true, Some(fields)) => Content::Trailers(fields),
            (true, None) => Content::End,
        }
    }

    /// Forgets everything; how many bytes that were.
    pub(crate) fn clear(&mut self) -> usize {
        let held = self.held;
        *self = Self::default();
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(inbox: &mut Inbox) -> String {
        match inbox.take() {
            Content::Data(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn what_fulfils_a_length_waits_for_the_end() {
        let mut inbox = Inbox::default();
        inbox.open(Some(5), false);
        assert!(inbox.expect(3));
        inbox.append(b"hel");
        assert_eq!(text(&mut inbox), "hel");
        assert!(inbox.expect(2));
        inbox.append(b"lo");
        assert_eq!(text(&mut inbox), "Nothing");
        assert!(!inbox.expect(1), "more than was declared");
        assert!(inbox.end(None));
        assert_eq!(text(&mut inbox), "lo");
        assert_eq!(text(&mut inbox), "End");
    }

    #[test]
    fn an_end_that_comes_too_early_is_seen() {
        let mut inbox = Inbox::default();
        inbox.open(Some(1), false);
        assert!(!inbox.end(None));
    }

    #[test]
    fn crumbs_share_memory_h2d_24() {
        let mut inbox = Inbox::default();
        inbox.open(None, false);
        for _ in 0..100_000 {
            inbox.append(b"x");
        }
        let memory: usize = inbox.pieces.iter().map(Vec::capacity).sum();
        assert!(inbox.pieces.len() < 10 && memory < 120_000, "{memory}");
        assert_eq!(inbox.clear(), 100_000);
    }
}
