//! Codings as a client undoes them and as an origin applies them, with the libraries alone, and
//! streams that are small and become huge.

use std::io::{Read, Write};

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState, CompressorWriter};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::{DeflateEncoder, GzEncoder};
use zstd_safe::{CCtx, DCtx, InBuffer, OutBuffer};

/// The codings that doorman knows, by the names that HTTP has for them.
pub(crate) const CODINGS: [&str; 3] = ["gzip", "br", "zstd"];

/// What these bytes are once the coding is undone: the whole of it, or why it is not whole.
pub(crate) fn decode(coding: &str, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (body, whole) = begin(coding, bytes);
    if whole { Ok(body) } else { Err(format!("{coding} is cut after {} bytes", body.len())) }
}

/// What can be read of a body of which these bytes have come.
pub(crate) fn prefix(coding: &str, bytes: &[u8]) -> Vec<u8> {
    begin(coding, bytes).0
}

/// What comes out, and whether that is all of it.
fn begin(coding: &str, bytes: &[u8]) -> (Vec<u8>, bool) {
    match coding {
        "gzip" => {
            let mut body = Vec::new();
            let end = MultiGzDecoder::new(bytes).read_to_end(&mut body);
            (body, end.is_ok())
        }
        "br" => brotli_of(bytes),
        "zstd" => zstd_of(bytes),
        "identity" => (bytes.to_vec(), true),
        _ => panic!("no coding: {coding}"),
    }
}

fn brotli_of(mut input: &[u8]) -> (Vec<u8>, bool) {
    let alloc = StandardAlloc::default;
    let mut state = BrotliState::new(alloc(), alloc(), alloc());
    let mut body = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        let (mut taken, mut given, mut total) = (0, 0, 0);
        let (mut more, mut room) = (input.len(), piece.len());
        let result = BrotliDecompressStream(
            &mut more, &mut taken, input, &mut room, &mut given, &mut piece, &mut total, &mut state,
        );
        body.extend_from_slice(&piece[..given]);
        input = &input[taken..];
        match result {
            BrotliResult::NeedsMoreOutput => {}
            BrotliResult::ResultSuccess => return (body, input.is_empty()),
            // What is left to give may not fit in what there was room for.
            BrotliResult::NeedsMoreInput if given == piece.len() => {}
            BrotliResult::NeedsMoreInput | BrotliResult::ResultFailure => return (body, false),
        }
    }
}

fn zstd_of(bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut context = DCtx::create();
    let mut input = InBuffer::around(bytes);
    let mut body = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        let mut output = OutBuffer::around(&mut piece[..]);
        let Ok(hint) = context.decompress_stream(&mut output, &mut input) else {
            return (body, false);
        };
        let given = output.as_slice().len();
        body.extend_from_slice(output.as_slice());
        // A hint of 0 says that a frame is over; another one may follow (RFC 8878 section 3.1).
        if input.pos() == bytes.len() && given < 64 * 1024 {
            return (body, hint == 0);
        }
    }
}

/// A body as an origin codes it.
pub(crate) fn encode(coding: &str, body: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => {
            let mut coder = GzEncoder::new(Vec::new(), Compression::new(6));
            coder.write_all(body).and_then(|()| coder.finish()).expect("memory")
        }
        "br" => {
            let mut coder = CompressorWriter::new(Vec::new(), 4096, 4, 22);
            coder.write_all(body).expect("memory");
            coder.into_inner()
        }
        "zstd" => {
            let mut coded = Vec::with_capacity(zstd_safe::compress_bound(body.len()));
            CCtx::create().compress(&mut coded, body, 3).expect("room");
            coded
        }
        _ => panic!("no coding: {coding}"),
    }
}

/// A body of about 10 GiB of nothing, coded in 10 MiB or less: made of one piece again and again, so
/// that it costs nothing to make.
pub(crate) fn bomb(coding: &str) -> Vec<u8> {
    const TOTAL: usize = 10 << 30;
    const PIECE: usize = 8 << 20;
    /// An empty last block of brotli, behind one that was flushed.
    const LAST_BYTES: usize = 1;
    match coding {
        "gzip" => {
            let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
            let mut coder = DeflateEncoder::new(Vec::new(), Compression::new(6));
            coder.write_all(&vec![0; PIECE]).and_then(|()| coder.flush()).expect("memory");
            let piece = coder.get_ref();
            [&head[..], &piece.repeat(TOTAL / PIECE)].concat()
        }
        "br" => {
            // The second piece is what repeats: the first one begins the stream.
            let nothing = vec![0; PIECE];
            let (one, more) = flushed("br", &nothing, &nothing);
            let more = &more[..more.len() - LAST_BYTES];
            [&one[..], &more.repeat(TOTAL / PIECE - 1)].concat()
        }
        "zstd" => {
            // A frame with a window of 8 MiB, then blocks of one byte 128 Ki times (RFC 8878 sections
            // 3.1.1.1 and 3.1.1.2).
            let head = [0x28, 0xb5, 0x2f, 0xfd, 0, 13 << 3];
            let block = ((128_u32 << 10) << 3) | (1 << 1);
            let block = [&block.to_le_bytes()[..3], &[0]].concat();
            [&head[..], &block.repeat(TOTAL / (128 << 10))].concat()
        }
        _ => panic!("no coding: {coding}"),
    }
}

/// Two pieces of one body, coded so that the first one can be read before the second one has come.
pub(crate) fn flushed(coding: &str, one: &[u8], two: &[u8]) -> (Vec<u8>, Vec<u8>) {
    if coding != "br" {
        // Streams in a row are one body (RFC 1952 section 2.2, RFC 8878 section 3.1).
        return (encode(coding, one), encode(coding, two));
    }
    let mut coder = CompressorWriter::new(Vec::new(), 4096, 1, 22);
    coder.write_all(one).and_then(|()| coder.flush()).expect("memory");
    let first = coder.get_ref().clone();
    coder.write_all(two).and_then(|()| coder.flush()).expect("memory");
    let mut all = coder.into_inner();
    let second = all.split_off(first.len());
    (first, second)
}

#[test]
fn what_is_coded_here_is_decoded_here() {
    for coding in CODINGS {
        for length in [0, 1, 1_000, 300_000] {
            let body = crate::rig::text(7, length);
            let coded = encode(coding, &body);
            assert_eq!(decode(coding, &coded).as_ref(), Ok(&body), "{coding} {length}");
            if length > 1_000 {
                let half = prefix(coding, &coded[..coded.len() / 2]);
                assert!(!half.is_empty() && body.starts_with(&half), "{coding}");
                assert!(decode(coding, &coded[..coded.len() / 2]).is_err(), "{coding}");
            }
        }
    }
}

#[test]
fn a_bomb_is_one() {
    for coding in CODINGS {
        let bomb = bomb(coding);
        assert!(bomb.len() <= 11 << 20, "{coding}: {}", bomb.len());
        // A thousandth of it, which says enough about the rest.
        let begin = prefix(coding, &bomb[..bomb.len() / 500]);
        let expected = (10 << 30) / 600;
        assert!(begin.len() >= expected, "{coding}: {} of {expected}", begin.len());
        assert!(begin.iter().all(|byte| *byte == 0), "{coding}");
    }
}
