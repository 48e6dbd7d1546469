//! zstd (RFC 8878), in one frame.
//!
//! The context is used again with its memory. Windows stay within the 8 MiB that every client must take
//! (RFC 9659 section 3): no level that can be chosen has a larger one.

use zstd_safe::zstd_sys::ZSTD_EndDirective as Directive;
use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, ResetDirective};

use super::{Level, make_room};

/// What a skippable frame begins with (RFC 8878 section 3.1.2).
const SKIPPABLE: [u8; 4] = 0x184D_2A50_u32.to_le_bytes();

/// A stream.
pub(super) struct Zstd {
    context: CCtx<'static>,
}

impl Zstd {
    pub(super) fn new(level: Level, size_hint: Option<u64>) -> Self {
        let mut context = CCtx::create();
        set(&mut context, CParameter::CompressionLevel(i32::from(level.number())));
        let mut made = Self { context };
        made.hint(size_hint);
        made
    }

    /// Makes it ready for the next stream, at the same level.
    pub(super) fn reuse(&mut self, size_hint: Option<u64>) {
        let done = self.context.reset(ResetDirective::SessionOnly);
        debug_assert!(done.is_ok(), "a session can be given up at any time");
        self.hint(size_hint);
    }

    /// Memory that it holds, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.context.sizeof()
    }

    /// Lets tables and window fit what comes. It is no promise: a stream may turn out longer.
    fn hint(&mut self, size_hint: Option<u64>) {
        let hint = size_hint.map_or(0, |hint| hint.clamp(1, i32::MAX as u64));
        set(&mut self.context, CParameter::SrcSizeHint(u32::try_from(hint).unwrap_or(0)));
    }

    pub(super) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut input = InBuffer::around(input);
        while input.pos() < input.src.len() {
            self.step(&mut input, out, Directive::ZSTD_e_continue);
        }
    }

    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        while self.step(&mut InBuffer::around(&[]), out, Directive::ZSTD_e_flush) > 0 {}
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        while self.step(&mut InBuffer::around(&[]), out, Directive::ZSTD_e_end) > 0 {}
    }

    /// One call of the library; how much it has still to give, at least.
    fn step(&mut self, input: &mut InBuffer<'_>, out: &mut Vec<u8>, directive: Directive) -> usize {
        make_room(out);
        let at = out.len();
        let mut room = OutBuffer::around_pos(out, at);
        let left = self.context.compress_stream2(&mut room, input, directive);
        left.expect("the library fails only where memory for a stream cannot be had")
    }
}

/// A frame that readers skip, as long as its head and `padding` bytes.
pub(super) fn begin(padding: Option<usize>, out: &mut Vec<u8>) {
    let lengths = padding.map(|n| (n, u32::try_from(n)));
    if let Some((n, Ok(length))) = lengths {
        out.extend_from_slice(&SKIPPABLE);
        out.extend_from_slice(&length.to_le_bytes());
        out.resize(out.len() + n, 0);
    }
}

fn set(context: &mut CCtx<'static>, parameter: CParameter) {
    let done = context.set_parameter(parameter);
    debug_assert!(done.is_ok(), "parameters are within their bounds, and set between streams");
}
