//! zstd (RFC 8878): frames, one behind another.

use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::{DecodeError, Done};

/// The largest window that is taken, as a power of two: 8 MiB (RFC 9659 section 3). A frame says how much
/// memory it takes to read it, so it must not be believed.
const WINDOW_MAX: u32 = 23;

/// A stream.
pub(super) struct Zstd {
    context: DCtx<'static>,
    is_between_frames: bool,
    /// Whether the last call filled its room, so that more may come without more input.
    may_hold_back: bool,
}

impl Zstd {
    pub(super) fn new() -> Self {
        let mut context = DCtx::create();
        let done = context.set_parameter(DParameter::WindowLogMax(WINDOW_MAX));
        debug_assert!(done.is_ok(), "the window is within the library's bounds");
        Self { context, is_between_frames: true, may_hold_back: false }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.is_between_frames
    }

    pub(super) fn step(&mut self, input: &[u8], room: &mut [u8]) -> Result<Done, DecodeError> {
        // The library takes it for a fault to be asked many times with nothing to do.
        if input.is_empty() && !self.may_hold_back {
            return Ok(Done { taken: 0, given: 0 });
        }
        let size = room.len();
        let mut from = InBuffer::around(input);
        let mut to = OutBuffer::around(room);
        let hint = self.context.decompress_stream(&mut to, &mut from);
        let hint = hint.map_err(|_| DecodeError::Malformed)?;
        let done = Done { taken: from.pos(), given: to.pos() };
        self.may_hold_back = done.given == size;
        if done.taken > 0 || done.given > 0 {
            self.is_between_frames = hint == 0;
        }
        Ok(done)
    }
}
