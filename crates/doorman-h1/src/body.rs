//! Message content, decoded where it lies.
//!
//! Content is never copied out of the caller's buffer. Where a buffer holds several chunks, their
//! data is moved together over the chunk lines between them as long as the pieces are small, so
//! that a thousand tiny chunks become one write; a chunk that stands alone is not moved at all.
//!
//! ```text
//! Size -> (Extension) -> SizeFeed -> Data -> DataReturn -> DataFeed -> Size
//!                            `-> (size 0) Trailer -> Done
//! ```

use std::ops::Range;

use doorman_http::Fields;

use crate::lines::{Bounds, is_tchar};
use crate::trailer::Section;
use crate::{Framing, Limits, Refusal};

/// A chunk's data is moved next to the data before it up to this many bytes; a larger piece waits
/// for the next step, where it stays in place: past some KiB another write costs less than a move.
const MOVE_MAX: usize = 8 * 1024;

/// Digits of a chunk size, zeros in front included: 16 fill 64 bits.
const DIGITS_MAX: u8 = 16;

/// Content bytes that pay for one byte of chunk overhead.
const CONTENT_PER_OVERHEAD: u64 = 8;

/// How a body broke its framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyFault {
    /// What was wrong, one sentence for the log.
    pub reason: &'static str,
}

impl From<Refusal> for BodyFault {
    fn from(refusal: Refusal) -> Self {
        Self { reason: refusal.reason }
    }
}

const SIZE: BodyFault = BodyFault { reason: "chunk size is not a hexadecimal number" };
const SIZE_RANGE: BodyFault = BodyFault { reason: "chunk size is too large" };
const LINE_END: BodyFault = BodyFault { reason: "chunk line does not end with CR LF" };
const EXTENSION: BodyFault = BodyFault { reason: "chunk extension is malformed" };
const OVERHEAD: BodyFault = BodyFault { reason: "body holds more chunk framing than content" };
const DATA_END: BodyFault = BodyFault { reason: "chunk data is not followed by CR LF" };
const CUT: BodyFault = BodyFault { reason: "connection closed before the body was whole" };

/// What one call of [`Decoder::decode`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Step {
    /// Where in the input the content lies now; may be empty.
    pub content: Range<usize>,
    /// Bytes of the input that are dealt with: content and framing. Bytes behind them belong to
    /// the next message if the body is done; if it is not, they are for the next call.
    pub consumed: usize,
}

/// Where in a chunked body the decoder stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Done,
    Sized(u64),
    UntilClose,
    Tunnel,
    /// Reading a chunk size, of which so many digits came.
    Size {
        value: u64,
        digits: u8,
    },
    Extension {
        size: u64,
        part: Part,
    },
    SizeFeed {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataReturn,
    DataFeed,
    Trailer,
}

/// Where in a chunk extension (RFC 9112 section 7.1.1) the decoder stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    NameStart,
    Name,
    ValueStart,
    Value,
    Quoted,
    Escaped,
    QuoteEnd,
}

/// Takes a body apart: one value per message, made from its framing.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    content: u64,
    overhead: u64,
    overhead_free: u64,
    trailer_bounds: Bounds,
    trailer: Option<Box<Section>>,
}

impl Decoder {
    /// A decoder for a body with that framing.
    #[must_use]
    pub fn new(framing: Framing, limits: &Limits) -> Self {
        let state = match framing {
            Framing::Empty | Framing::Known(0) => State::Done,
            Framing::Known(n) => State::Sized(n),
            Framing::Chunked => State::Size { value: 0, digits: 0 },
            Framing::UntilClose => State::UntilClose,
            Framing::Tunnel => State::Tunnel,
        };
        Self {
            state,
            content: 0,
            overhead: 0,
            overhead_free: limits.chunk_overhead as u64,
            trailer_bounds: Bounds { bytes: limits.trailer_bytes, fields: limits.trailer_fields },
            trailer: None,
        }
    }

    /// Whether the body's last byte was seen. A body until close, and a tunnel, are done only at
    /// [`Decoder::end_of_input`].
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Content bytes still to come, if that is known.
    #[must_use]
    pub const fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Done => Some(0),
            State::Sized(left) => Some(left),
            _ => None,
        }
    }

    /// The trailer fields that may be passed on, once the body is done; gives them once.
    pub fn take_trailers(&mut self) -> Option<Fields> {
        if !self.is_done() {
            return None;
        }
        self.trailer.take()?.fields
    }

    /// The peer has closed.
    ///
    /// # Errors
    /// The body was not whole: what came of it must never look complete to its reader.
    pub fn end_of_input(&mut self) -> Result<(), BodyFault> {
        match self.state {
            State::Done | State::UntilClose | State::Tunnel => {
                self.state = State::Done;
                Ok(())
            }
            _ => Err(CUT),
        }
    }

    /// Takes the next bytes of the body. All of `input` is consumed, unless the body ends within
    /// it, or a large chunk begins behind other content; then the rest is for the next call.
    ///
    /// # Errors
    /// How the body broke its framing. Content of earlier steps stands; this step's is lost.
    pub fn decode(&mut self, input: &mut [u8]) -> Result<Step, BodyFault> {
        match self.state {
            State::Done => Ok(Step { content: 0..0, consumed: 0 }),
            State::UntilClose | State::Tunnel => {
                Ok(Step { content: 0..input.len(), consumed: input.len() })
            }
            State::Sized(left) => {
                let taken = shorter(input.len(), left);
                let left = left - taken as u64;
                self.state = if left == 0 { State::Done } else { State::Sized(left) };
                Ok(Step { content: 0..taken, consumed: taken })
            }
            _ => self.chunks(input),
        }
    }

    fn chunks(&mut self, input: &mut [u8]) -> Result<Step, BodyFault> {
        let mut content = 0..0;
        let mut at = 0;
        while at < input.len() {
            match self.state {
                State::Done => break,
                State::Data { left } => {
                    let piece = at..at + shorter(input.len() - at, left);
                    if !gather(input, &mut content, piece.clone()) {
                        break;
                    }
                    self.took_data(left, piece.len() as u64);
                    at = piece.end;
                }
                State::Trailer => at += self.trailer(&input[at..])?,
                State::DataReturn if input[at..].starts_with(b"\r\n") => {
                    self.state = State::Size { value: 0, digits: 0 };
                    at += 2;
                }
                State::Size { digits: 0, .. }
                    if let Some((size, used)) = plain_size(&input[at..]) =>
                {
                    self.state =
                        if size == 0 { State::Trailer } else { State::Data { left: size } };
                    at += used;
                }
                _ => {
                    self.framing_byte(input[at])?;
                    at += 1;
                }
            }
        }
        Ok(Step { content, consumed: at })
    }

    fn took_data(&mut self, left: u64, taken: u64) {
        self.content = self.content.saturating_add(taken);
        let left = left - taken;
        self.state = if left == 0 { State::DataReturn } else { State::Data { left } };
    }

    fn framing_byte(&mut self, byte: u8) -> Result<(), BodyFault> {
        self.state = match self.state {
            State::Size { value, digits } => self.size_byte(value, digits, byte)?,
            State::Extension { size, part } => {
                self.charge()?;
                extension_byte(size, part, byte)?
            }
            State::SizeFeed { size } => match (byte, size) {
                (b'\n', 0) => State::Trailer,
                (b'\n', left) => State::Data { left },
                _ => return Err(LINE_END),
            },
            State::DataReturn if byte == b'\r' => State::DataFeed,
            State::DataFeed if byte == b'\n' => State::Size { value: 0, digits: 0 },
            State::DataReturn | State::DataFeed => return Err(DATA_END),
            other => other,
        };
        Ok(())
    }

    /// RFC 9112 section 7.1: hexadecimal digits only, no sign, prefix, space or separator.
    fn size_byte(&mut self, value: u64, digits: u8, byte: u8) -> Result<State, BodyFault> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'\r' if digits > 0 => return Ok(State::SizeFeed { size: value }),
            b';' if digits > 0 => {
                self.charge()?;
                return Ok(State::Extension { size: value, part: Part::NameStart });
            }
            _ => return Err(SIZE),
        };
        // The top bit stays free, so that no sum of sizes can overflow.
        if digits == DIGITS_MAX || value >> 59 != 0 {
            return Err(SIZE_RANGE);
        }
        if digits > 0 && value == 0 {
            self.charge()?;
        }
        Ok(State::Size { value: value << 4 | u64::from(digit), digits: digits + 1 })
    }

    /// One more byte of framing that a plain chunk would not have.
    fn charge(&mut self) -> Result<(), BodyFault> {
        self.overhead += 1;
        let earned = self.content / CONTENT_PER_OVERHEAD;
        if self.overhead > self.overhead_free.saturating_add(earned) {
            Err(OVERHEAD)
        } else {
            Ok(())
        }
    }

    fn trailer(&mut self, input: &[u8]) -> Result<usize, BodyFault> {
        // Nearly every chunked body ends here.
        if self.trailer.is_none() && input.starts_with(b"\r\n") {
            self.state = State::Done;
            return Ok(2);
        }
        let section = self.trailer.get_or_insert_default();
        let (used, whole) = section.take(input, self.trailer_bounds)?;
        if whole {
            self.state = State::Done;
        }
        Ok(used)
    }
}

/// The size of a chunk whose line is all there and holds nothing else, which is how nearly every
/// chunk begins; whatever is not as simple is left to the states.
fn plain_size(input: &[u8]) -> Option<(u64, usize)> {
    // Eight digits cannot overflow; a larger chunk is rare enough.
    const DIGITS: usize = 8;
    let mut size = 0;
    for (at, &byte) in input.iter().take(DIGITS + 1).enumerate() {
        if byte == b'\r' {
            let is_plain = at > 0 && input.get(at + 1) == Some(&b'\n');
            let has_zeros = at > 1 && input[0] == b'0';
            return (is_plain && !has_zeros).then_some((size, at + 2));
        }
        size = size << 4 | u64::from(char::from(byte).to_digit(16)?);
    }
    None
}

/// Extensions are read only to be sure where they end; none is passed on. Whitespace around their
/// parts, which RFC 9112 calls bad, is refused: it is where readers differ.
fn extension_byte(size: u64, part: Part, byte: u8) -> Result<State, BodyFault> {
    let is_token = is_tchar(byte);
    let is_text = byte == b'\t' || (byte >= 0x20 && byte != 0x7F);
    let part = match (part, byte) {
        (Part::Name | Part::Value | Part::QuoteEnd, b'\r') => return Ok(State::SizeFeed { size }),
        (Part::Name | Part::Value | Part::QuoteEnd, b';') => Part::NameStart,
        (Part::NameStart | Part::Name, _) if is_token => Part::Name,
        (Part::Name, b'=') => Part::ValueStart,
        (Part::ValueStart, b'"') => Part::Quoted,
        (Part::ValueStart | Part::Value, _) if is_token => Part::Value,
        (Part::Quoted, b'"') => Part::QuoteEnd,
        (Part::Quoted, b'\\') => Part::Escaped,
        (Part::Quoted | Part::Escaped, _) if is_text => Part::Quoted,
        _ => return Err(EXTENSION),
    };
    Ok(State::Extension { size, part })
}

/// Puts `piece` behind `content`; says no if that would move too much.
fn gather(input: &mut [u8], content: &mut Range<usize>, piece: Range<usize>) -> bool {
    if content.start == content.end {
        *content = piece;
        return true;
    }
    if piece.start != content.end {
        if piece.len() > MOVE_MAX {
            return false;
        }
        input.copy_within(piece.clone(), content.end);
    }
    content.end += piece.len();
    true
}

fn shorter(len: usize, left: u64) -> usize {
    usize::try_from(left).map_or(len, |left| left.min(len))
}
