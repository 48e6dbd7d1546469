//! Brotli (RFC 7932).

use brotli::enc::StandardAlloc;
use brotli::enc::encode::{
    BrotliEncoderOperation as Operation, BrotliEncoderParameter as Parameter,
    BrotliEncoderStateStruct,
};

use super::Level;

/// The window of a short stream and of a long one, as powers of two; 16 MiB is the format's largest,
/// but a quarter of it already holds all of almost every text.
const WINDOW_MIN: u32 = 16;
const WINDOW_MAX: u32 = 22;
/// The largest window at levels for answers as they pass: memory is taken for each at once, as long as its
/// client takes to read it, and what is gained by a larger one is little.
const WINDOW_PASSING: u32 = 19;
/// From this level on a coder works in the background.
const KEPT: u8 = 9;

/// A stream.
pub(super) struct Brotli {
    encoder: BrotliEncoderStateStruct<StandardAlloc>,
}

impl Brotli {
    pub(super) fn new(level: Level, size_hint: Option<u64>) -> Self {
        let mut encoder = BrotliEncoderStateStruct::new(StandardAlloc::default());
        let mut set = |parameter, value| {
            let is_set = encoder.set_parameter(parameter, value);
            debug_assert!(is_set, "parameters are set before the stream begins");
        };
        set(Parameter::BROTLI_PARAM_QUALITY, u32::from(level.number()));
        set(Parameter::BROTLI_PARAM_LGWIN, window(level, size_hint));
        let hint = size_hint.map_or(0, |hint| u32::try_from(hint).unwrap_or(u32::MAX));
        set(Parameter::BROTLI_PARAM_SIZE_HINT, hint);
        Self { encoder }
    }

    pub(super) fn begin(&mut self, padding: Option<usize>, out: &mut Vec<u8>) {
        if let Some(n) = padding {
            // Of one byte the library says that it is none, and then readers take it for something else.
            let n = if n == 1 { 2 } else { n };
            self.run(Operation::BROTLI_OPERATION_EMIT_METADATA, &vec![0; n], out);
        }
    }

    pub(super) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        self.run(Operation::BROTLI_OPERATION_PROCESS, input, out);
    }

    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        self.run(Operation::BROTLI_OPERATION_FLUSH, &[], out);
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.run(Operation::BROTLI_OPERATION_FINISH, &[], out);
    }

    /// Lets the library work until it has taken all of the input and has nothing to give. Output is taken
    /// from where the library has it, without a buffer between.
    fn run(&mut self, operation: Operation, input: &[u8], out: &mut Vec<u8>) {
        let (mut left, mut at) = (input.len(), 0);
        loop {
            let done = self.encoder.compress_stream(
                operation,
                &mut left,
                input,
                &mut at,
                &mut 0,
                &mut [],
                &mut 0,
                &mut None,
                &mut |_, _, _, _| {},
            );
            debug_assert!(done, "operations come in an order that the library allows");
            let mut size = 0;
            // What it gives may go on behind what is meant.
            let ready = self.encoder.take_output(&mut size);
            out.extend_from_slice(ready.get(..size).unwrap_or_default());
            if !done || (left == 0 && size == 0) {
                return;
            }
        }
    }
}

/// A window that holds the whole stream, if that is not too much memory.
fn window(level: Level, size_hint: Option<u64>) -> u32 {
    let most = if level.number() < KEPT { WINDOW_PASSING } else { WINDOW_MAX };
    // The format keeps 16 bytes of a window for itself.
    let whole = |size: u64| u64::BITS - size.saturating_add(15).leading_zeros();
    size_hint.map_or(most, whole).clamp(WINDOW_MIN, most)
}
