//! Streams of HTTP/3: no panic, and every cut gives the same pieces and the same end.
#![no_main]

use bytes::Bytes;
use doorman_h3::{ControlReader, DecoderReader, EncoderReader, Fault, MessageReader, Piece};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((cut, stream)) = input.split_first() else { return };
    let cut = usize::from(*cut).max(1);
    assert_eq!(message(stream, cut), message(stream, stream.len().max(1)));
    assert_eq!(control(stream, cut), control(stream, stream.len().max(1)));
    let (mut encoder, mut decoder) = (EncoderReader::default(), DecoderReader::default());
    let _ = (encoder.read(stream), decoder.read(stream));
});

/// Sections and the content that came between them, and how it ended.
fn message(stream: &[u8], cut: usize) -> (Vec<Vec<u8>>, Result<bool, Fault>) {
    let mut reader = MessageReader::new(1024);
    let mut pieces = vec![Vec::new()];
    for part in stream.chunks(cut) {
        let mut part = Bytes::copy_from_slice(part);
        loop {
            match reader.read(&mut part) {
                Ok(None) => break,
                Ok(Some(Piece::Content(content))) => {
                    assert!(!content.is_empty());
                    pieces.last_mut().unwrap().extend_from_slice(&content);
                }
                Ok(Some(Piece::Section(section))) => {
                    assert!(section.len() <= 1024);
                    pieces.extend([section.to_vec(), Vec::new()]);
                }
                Ok(Some(Piece::TooLarge)) => pieces.extend([b"too large".to_vec(), Vec::new()]),
                Err(fault) => return (pieces, Err(fault)),
            }
        }
        assert!(part.is_empty());
    }
    let end = reader.end();
    (pieces, end)
}

fn control(stream: &[u8], cut: usize) -> (usize, Option<Fault>) {
    let mut reader = ControlReader::default();
    let mut frames = 0;
    for mut part in stream.chunks(cut) {
        loop {
            match reader.read(&mut part) {
                Ok(None) => break,
                Ok(Some(_)) => frames += 1,
                Err(fault) => return (frames, Some(fault)),
            }
        }
    }
    (frames, None)
}
