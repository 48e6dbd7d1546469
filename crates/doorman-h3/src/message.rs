//! Frames of a request stream (RFC 9114 section 4.1).
//!
//! ```text
//! HEADERS -> DATA* -> [HEADERS] -> end
//! ```
//!
//! A server may send interim responses ahead of the final one, each a HEADERS frame of its own. Which
//! of them a section is stands in it, so whoever reads sections says so
//! ([`MessageReader::was_interim`]).
//!
//! Frames of unknown types may stand anywhere and are skipped as they come; none is held. Content is
//! handed on in the pieces that it arrived in, without a copy.

use bytes::{Buf, Bytes};

use crate::Sender;
use crate::code::{Code, Fault};
use crate::varint::FrameHead;

/// Frame types (RFC 9114 section 7.2).
pub(crate) mod kind {
    pub(crate) const DATA: u64 = 0x0;
    pub(crate) const HEADERS: u64 = 0x1;
    pub(crate) const CANCEL_PUSH: u64 = 0x3;
    pub(crate) const SETTINGS: u64 = 0x4;
    pub(crate) const PUSH_PROMISE: u64 = 0x5;
    pub(crate) const GOAWAY: u64 = 0x7;
    pub(crate) const MAX_PUSH_ID: u64 = 0xD;

    /// Frame types of HTTP/2 that HTTP/3 has reserved (section 7.2.8).
    pub(crate) const fn is_of_http2(kind: u64) -> bool {
        matches!(kind, 0x2 | 0x6 | 0x8 | 0x9)
    }
}

/// What a request stream brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// A field section: the head first, trailers behind the content.
    Section(Bytes),
    /// A field section that is longer than it may be. It is skipped.
    TooLarge,
    /// Content; never empty.
    Content(Bytes),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Head,
    Content,
    Trailers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    /// Between frames, or in a frame's head.
    Head,
    /// In a HEADERS frame, with so many bytes missing.
    Section(usize),
    /// In a DATA frame.
    Content(u64),
    /// In a frame that means nothing to us.
    Skipped(u64),
}

/// Reads the frames of a request stream.
#[derive(Debug)]
pub struct MessageReader {
    sender: Sender,
    within: Within,
    place: Place,
    head: FrameHead,
    section: Vec<u8>,
    section_max: usize,
    glitches: u32,
}

impl MessageReader {
    /// A reader of a request at a stream's beginning, which takes field sections up to that size.
    #[must_use]
    pub const fn new(section_max: usize) -> Self {
        Self::of(Sender::Client, section_max)
    }

    /// A reader at a stream's beginning, which takes field sections up to that size.
    #[must_use]
    pub const fn of(sender: Sender, section_max: usize) -> Self {
        Self {
            sender,
            within: Within::Head,
            place: Place::Head,
            head: FrameHead::new(),
            section: Vec::new(),
            section_max,
            glitches: 0,
        }
    }

    /// Takes the next piece from the front of `input`; `None` when all of it is read and more is
    /// needed.
    ///
    /// # Errors
    /// A frame that must not stand there.
    pub fn read(&mut self, input: &mut Bytes) -> Result<Option<Piece>, Fault> {
        while !input.is_empty() {
            match self.within {
                Within::Head => {
                    let (n, found) = self.head.read(input);
                    input.advance(n);
                    if let Some((kind, length)) = found
                        && let Some(piece) = self.enter(kind, length)?
                    {
                        return Ok(Some(piece));
                    }
                }
                Within::Section(missing) => {
                    if let Some(section) = self.section(missing, input) {
                        return Ok(Some(Piece::Section(section)));
                    }
                }
                Within::Content(left) => {
                    let content = input.split_to(least(left, input.len()));
                    self.within = behind(left - content.len() as u64, Within::Content);
                    return Ok(Some(Piece::Content(content)));
                }
                Within::Skipped(left) => {
                    let n = least(left, input.len());
                    input.advance(n);
                    self.within = behind(left - n as u64, Within::Skipped);
                }
            }
        }
        Ok(None)
    }

    /// Hears that the section that was read last is an interim response: another head follows.
    pub const fn was_interim(&mut self) {
        self.place = Place::Head;
    }

    /// Whether the stream may end here: `Ok(false)` if it brought no request, or no final response.
    ///
    /// # Errors
    /// The end is in the middle of a frame (RFC 9114 section 7.1).
    pub fn end(&self) -> Result<bool, Fault> {
        if self.within != Within::Head || !self.head.is_empty() {
            return Err(Fault::new(Code::FrameError, "stream ends within a frame"));
        }
        Ok(self.place != Place::Head)
    }

    /// What is left of the DATA frame that the stream stands in, for who reads content past this
    /// reader.
    #[must_use]
    pub const fn content_left(&self) -> Option<u64> {
        match self.within {
            Within::Content(left) => Some(left),
            _ => None,
        }
    }

    /// Hears of `n` bytes of content that were read past this reader; no more than are left.
    pub fn took_content(&mut self, n: usize) {
        if let Within::Content(left) = self.within {
            self.within = behind(left.saturating_sub(n as u64), Within::Content);
        }
    }

    /// Frames that brought nothing since this was asked last: they cost the sender next to nothing,
    /// so somebody has to count them.
    pub const fn take_glitches(&mut self) -> u32 {
        std::mem::replace(&mut self.glitches, 0)
    }

    /// Reads a frame's type and length.
    fn enter(&mut self, kind: u64, length: u64) -> Result<Option<Piece>, Fault> {
        let unexpected = |reason| Err(Fault::new(Code::FrameUnexpected, reason));
        match (kind, self.place) {
            (kind::DATA, Place::Head) => unexpected("DATA ahead of HEADERS"),
            (kind::DATA | kind::HEADERS, Place::Trailers) => {
                unexpected("DATA or HEADERS behind trailers")
            }
            (kind::DATA, Place::Content) => {
                if length == 0 {
                    self.glitches = self.glitches.saturating_add(1);
                }
                self.within = behind(length, Within::Content);
                Ok(None)
            }
            (kind::HEADERS, place) => {
                self.place = if place == Place::Head { Place::Content } else { Place::Trailers };
                let size = usize::try_from(length).unwrap_or(usize::MAX);
                if size > self.section_max {
                    self.within = Within::Skipped(length);
                    return Ok(Some(Piece::TooLarge));
                }
                if size == 0 {
                    return Ok(Some(Piece::Section(Bytes::new())));
                }
                self.within = Within::Section(size);
                Ok(None)
            }
            (kind::PUSH_PROMISE, _) if self.sender == Sender::Server => {
                // No MAX_PUSH_ID was sent, so every id is too large (section 7.2.5).
                Err(Fault::new(Code::IdError, "a push that was never allowed"))
            }
            (
                kind::CANCEL_PUSH
                | kind::SETTINGS
                | kind::PUSH_PROMISE
                | kind::GOAWAY
                | kind::MAX_PUSH_ID,
                _,
            ) => unexpected("frame that does not belong on a request stream"),
            (kind, _) if kind::is_of_http2(kind) => unexpected("frame of HTTP/2"),
            _ => {
                self.glitches = self.glitches.saturating_add(1);
                self.within = behind(length, Within::Skipped);
                Ok(None)
            }
        }
    }

    fn section(&mut self, missing: usize, input: &mut Bytes) -> Option<Bytes> {
        let part = input.split_to(missing.min(input.len()));
        if part.len() == missing {
            self.within = Within::Head;
            if self.section.is_empty() {
                return Some(part);
            }
            self.section.extend_from_slice(&part);
            return Some(std::mem::take(&mut self.section).into());
        }
        self.within = Within::Section(missing - part.len());
        self.section.extend_from_slice(&part);
        None
    }
}

fn least(left: u64, have: usize) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(have)
}

/// Where a frame stands with so many bytes left.
fn behind(left: u64, within: fn(u64) -> Within) -> Within {
    if left == 0 { Within::Head } else { within(left) }
}
