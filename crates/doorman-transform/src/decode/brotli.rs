//! Brotli (RFC 7932). A stream has one end.

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};

use super::{DecodeError, Done};

/// A stream.
pub(super) struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    has_ended: bool,
}

impl Brotli {
    /// A strict reader takes no windows larger than the RFC's 16 MiB: those are an extension, with which
    /// a few bytes ask for memory of a GiB.
    pub(super) fn new() -> Self {
        let alloc = StandardAlloc::default;
        Self { state: BrotliState::new_strict(alloc(), alloc(), alloc()), has_ended: false }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.has_ended
    }

    pub(super) fn step(&mut self, input: &[u8], room: &mut [u8]) -> Result<Done, DecodeError> {
        if self.has_ended {
            return match input {
                [] => Ok(Done { taken: 0, given: 0 }),
                _ => Err(DecodeError::Trailing),
            };
        }
        let (mut left, mut taken) = (input.len(), 0);
        let (mut room_left, mut given) = (room.len(), 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut taken,
            input,
            &mut room_left,
            &mut given,
            room,
            &mut 0,
            &mut self.state,
        );
        match result {
            BrotliResult::ResultFailure => return Err(DecodeError::Malformed),
            BrotliResult::ResultSuccess => self.has_ended = true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
        }
        Ok(Done { taken, given })
    }
}
