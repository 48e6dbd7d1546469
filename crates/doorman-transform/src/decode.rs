//! Content codings as they are read: coded bytes of whoever in, contents out.
//!
//! A coded body is the classic way to make a reader work: some KiB that become some GiB. So the bounds are
//! asked inside of the loop, after each step of at most [`STEP`] bytes, and not when all is done; a caller
//! says how much it can take, and gets no more; and a library that takes nothing and gives nothing is not
//! asked a third time.

use std::fmt;

use doorman_http::coding::Coding;
use doorman_http::{FieldId, Fields};

use self::brotli::Brotli;
use self::gzip::Gzip;
use self::zstd::Zstd;

mod brotli;
mod gzip;
mod zstd;

/// Codings on top of each other that are taken off. Two are seen where an application compresses and a
/// server in front of it does, too; more are nobody's but an attacker's.
pub const CODINGS_MAX: usize = 2;

/// Contents for which the ratio is not asked, bytes: a short text of one letter shrinks a thousandfold, and
/// harms nobody.
pub const RATIO_FLOOR: u64 = 1024 * 1024;

/// Bytes that a library writes in one step, at most.
const STEP: usize = 16 * 1024;

/// How much contents a body may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of contents for one coded byte, past [`RATIO_FLOOR`].
    pub ratio: u32,
    /// Bytes of contents altogether.
    pub max: u64,
}

impl Default for Bounds {
    /// What the largest texts of the web need, several times over: 64 MiB, and 100 times the length.
    fn default() -> Self {
        Self { ratio: 100, max: 64 << 20 }
    }
}

impl Bounds {
    /// What may have come out for this many coded bytes.
    fn room(&self, taken: u64) -> u64 {
        let by_ratio = taken.saturating_mul(u64::from(self.ratio)).max(RATIO_FLOOR);
        by_ratio.min(self.max)
    }
}

/// Why a body cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// It is not what its coding says.
    Malformed,
    /// It ended before its end.
    Cut,
    /// Something follows its end.
    Trailing,
    /// It becomes more contents for its length than [`Bounds::ratio`] allows.
    Ratio,
    /// It becomes more contents than [`Bounds::max`] allows.
    TooLong,
    /// The library made no progress, though it had bytes to read and room to write (CIN-15).
    Stuck,
}

impl DecodeError {
    /// The error's word in logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Cut => "cut",
            Self::Trailing => "trailing",
            Self::Ratio => "ratio",
            Self::TooLong => "too-long",
            Self::Stuck => "stuck",
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the body is not in the coding that it says",
            Self::Cut => "the coded body ends before its end",
            Self::Trailing => "something follows the end of the coded body",
            Self::Ratio => "the body becomes too many times longer",
            Self::TooLong => "the body becomes too long",
            Self::Stuck => "the body cannot be read on",
        })
    }
}

impl std::error::Error for DecodeError {}

/// The codings of a body, in the order in which they were applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codings {
    /// It has none.
    None,
    /// One.
    One(Coding),
    /// The second was applied to what the first made.
    Two(Coding, Coding),
    /// There is one that is not known here, or there are more than [`CODINGS_MAX`].
    Other,
}

impl Codings {
    /// What `Content-Encoding` says, in all its lines. `identity` is none (RFC 9110 section 8.4.1).
    #[must_use]
    pub fn of(fields: &Fields) -> Self {
        let lines = fields.all(FieldId::ContentEncoding);
        let tokens = lines.flat_map(|line| line.split(|&b| b == b',')).map(<[u8]>::trim_ascii);
        let mut codings = Self::None;
        for token in tokens {
            if token.is_empty() || token.eq_ignore_ascii_case(b"identity") {
                continue;
            }
            codings = match (codings, Coding::parse(token)) {
                (Self::None, Some(coding)) => Self::One(coding),
                (Self::One(first), Some(second)) => Self::Two(first, second),
                _ => return Self::Other,
            };
        }
        codings
    }
}

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Step {
    /// How much of it was taken in.
    pub taken: usize,
    /// Why no more was done.
    pub wants: Wants,
}

/// What a decoder needs to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// All that was put in has been taken and has come out, as far as it can.
    Input,
    /// There may be more to come out: push the rest of the input again, or nothing, with new room.
    Room,
}

/// One coded stream on its way into its contents.
pub struct Decoder {
    /// What takes the last coding off, that gets the body's bytes.
    first: Stage,
    /// What takes the coding below it off, and what lies between the two.
    second: Option<Box<(Stage, Between)>>,
    bounds: Bounds,
    taken: u64,
}

/// Bytes that the first stage has given and the second has not taken.
#[derive(Default)]
struct Between {
    bytes: Vec<u8>,
    at: usize,
}

/// One coding that is taken off.
struct Stage {
    engine: Engine,
    given: u64,
    /// Whether it was given anything: a body of no bytes has no contents, in every coding.
    has_begun: bool,
}

enum Engine {
    Gzip(Box<Gzip>),
    Brotli(Box<Brotli>),
    Zstd(Zstd),
}

/// What one call of a library did.
struct Done {
    taken: usize,
    given: usize,
}

impl Decoder {
    /// A decoder for a body with one coding.
    #[must_use]
    pub fn new(coding: Coding, bounds: Bounds) -> Self {
        Self { first: Stage::new(coding), second: None, bounds, taken: 0 }
    }

    /// A decoder for a body with these codings; `None` if there is nothing that it could take off.
    #[must_use]
    pub fn of(codings: Codings, bounds: Bounds) -> Option<Self> {
        match codings {
            Codings::None | Codings::Other => None,
            Codings::One(coding) => Some(Self::new(coding, bounds)),
            Codings::Two(inner, outer) => {
                let second = Box::new((Stage::new(inner), Between::default()));
                Some(Self { second: Some(second), ..Self::new(outer, bounds) })
            }
        }
    }

    /// Coded bytes taken so far.
    #[must_use]
    pub const fn bytes_in(&self) -> u64 {
        self.taken
    }

    /// Contents given so far, bytes.
    #[must_use]
    pub fn bytes_out(&self) -> u64 {
        self.second.as_ref().map_or(self.first.given, |second| second.0.given)
    }

    /// Takes coded bytes in and appends contents to `out`, `most` bytes of them at most.
    ///
    /// # Errors
    /// What is wrong with the body; then nothing that came out of it is worth anything any more.
    pub fn push(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        most: usize,
    ) -> Result<Step, DecodeError> {
        let end = out.len().saturating_add(most);
        let mut taken = 0;
        loop {
            let rest = input.get(taken..).unwrap_or_default();
            let room = end - out.len();
            if room == 0 {
                return Ok(Step { taken, wants: Wants::Room });
            }
            let (now, is_drained) = match &mut self.second {
                None => {
                    let step = room.min(STEP);
                    let done = self.first.step(rest, out, step)?;
                    (done.taken, done.given < step)
                }
                Some(second) => {
                    let (stage, between) = &mut **second;
                    between.pass(&mut self.first, rest, stage, out, room)?
                }
            };
            taken += now;
            self.taken += now as u64;
            self.check()?;
            if is_drained && taken == input.len() {
                return Ok(Step { taken, wants: Wants::Input });
            }
        }
    }

    /// Says that the body has ended.
    ///
    /// # Errors
    /// [`DecodeError::Cut`] if it has not come to its end.
    pub fn finish(&mut self) -> Result<(), DecodeError> {
        let is_whole = self.first.is_whole()
            && self
                .second
                .as_ref()
                .is_none_or(|second| second.0.is_whole() && second.1.at == second.1.bytes.len());
        if is_whole { Ok(()) } else { Err(DecodeError::Cut) }
    }

    /// CIN-14. Each stage is measured by the bytes that came from outside: what one makes of them the
    /// next must not multiply.
    fn check(&self) -> Result<(), DecodeError> {
        let given = self.second.as_ref().map_or(0, |second| second.0.given).max(self.first.given);
        if given <= self.bounds.room(self.taken) {
            return Ok(());
        }
        Err(if given > self.bounds.max { DecodeError::TooLong } else { DecodeError::Ratio })
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("bounds", &self.bounds)
            .field("bytes_in", &self.taken)
            .field("bytes_out", &self.bytes_out())
            .finish_non_exhaustive()
    }
}

impl Between {
    /// Lets one of the stages work, the second if it has something to read; how much was taken from
    /// outside, and whether both have given all they can.
    fn pass(
        &mut self,
        first: &mut Stage,
        input: &[u8],
        second: &mut Stage,
        out: &mut Vec<u8>,
        room: usize,
    ) -> Result<(usize, bool), DecodeError> {
        let mut taken = 0;
        let mut is_first_drained = false;
        if self.at == self.bytes.len() {
            self.bytes.clear();
            self.at = 0;
            let done = first.step(input, &mut self.bytes, STEP)?;
            taken = done.taken;
            is_first_drained = done.given < STEP;
        }
        let step = room.min(STEP);
        let done = second.step(self.bytes.get(self.at..).unwrap_or_default(), out, step)?;
        self.at += done.taken;
        let is_second_drained = done.given < step && self.at == self.bytes.len();
        Ok((taken, is_first_drained && is_second_drained))
    }
}

impl Stage {
    fn new(coding: Coding) -> Self {
        let engine = match coding {
            Coding::Gzip => Engine::Gzip(Box::new(Gzip::new())),
            Coding::Brotli => Engine::Brotli(Box::new(Brotli::new())),
            Coding::Zstd => Engine::Zstd(Zstd::new()),
        };
        Self { engine, given: 0, has_begun: false }
    }

    /// One call of the library. It may leave some of the input only where it has filled the room.
    fn step(&mut self, input: &[u8], out: &mut Vec<u8>, room: usize) -> Result<Done, DecodeError> {
        if input.is_empty() && !self.has_begun {
            return Ok(Done { taken: 0, given: 0 });
        }
        self.has_begun = true;
        let start = out.len();
        out.resize(start + room, 0);
        let done = self.fill(input, out.get_mut(start..).unwrap_or_default());
        let given = done.as_ref().map_or(0, |done| done.given);
        out.truncate(start + given);
        self.given += given as u64;
        done
    }

    /// Calls the library until there is nothing left of the input or of the room.
    fn fill(&mut self, input: &[u8], room: &mut [u8]) -> Result<Done, DecodeError> {
        let mut all = Done { taken: 0, given: 0 };
        loop {
            let rest = input.get(all.taken..).unwrap_or_default();
            let left = room.get_mut(all.given..).unwrap_or_default();
            let done = match &mut self.engine {
                Engine::Gzip(gzip) => gzip.step(rest, left),
                Engine::Brotli(brotli) => brotli.step(rest, left),
                Engine::Zstd(zstd) => zstd.step(rest, left),
            }?;
            let (had_input, had_room) = (!rest.is_empty(), !left.is_empty());
            all.taken += done.taken;
            all.given += done.given;
            if done.taken == 0 && done.given == 0 {
                // CIN-15.
                return if had_input && had_room { Err(DecodeError::Stuck) } else { Ok(all) };
            }
            if all.given == room.len() {
                return Ok(all);
            }
        }
    }

    fn is_whole(&self) -> bool {
        !self.has_begun
            || match &self.engine {
                Engine::Gzip(gzip) => gzip.is_whole(),
                Engine::Brotli(brotli) => brotli.is_whole(),
                Engine::Zstd(zstd) => zstd.is_whole(),
            }
    }
}

#[cfg(test)]
mod tests;
