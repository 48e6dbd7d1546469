//! A stream gives the same pieces and the same end however it is cut.

use bytes::Bytes;
use doorman_h3::{Code, Fault, MessageReader, Piece};
use proptest::prelude::*;

const SECTION_MAX: usize = 64;

/// What a stream brought: sections by their bytes, content joined.
fn read(stream: &[u8], cut: usize) -> (Vec<Vec<u8>>, Result<bool, Code>) {
    let mut reader = MessageReader::new(SECTION_MAX);
    let mut pieces: Vec<Vec<u8>> = vec![Vec::new()];
    for part in stream.chunks(cut) {
        let mut part = Bytes::copy_from_slice(part);
        loop {
            match reader.read(&mut part) {
                Ok(None) => break,
                Ok(Some(Piece::Content(content))) => {
                    pieces.last_mut().expect("it begins with one").extend_from_slice(&content);
                }
                Ok(Some(Piece::Section(section))) => {
                    pieces.extend([section.to_vec(), Vec::new()]);
                }
                Ok(Some(Piece::TooLarge)) => pieces.extend([b"too large".to_vec(), Vec::new()]),
                Err(Fault { code, .. }) => return (pieces, Err(code)),
            }
        }
    }
    let end = reader.end().map_err(|fault| fault.code);
    (pieces, end)
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let [.., high, low] = payload.len().to_be_bytes();
    [&[kind, high | 0x40, low][..], payload].concat()
}

fn check(frames: &[Vec<u8>], pieces: &[&[u8]], end: Result<bool, Code>) {
    let stream = frames.concat();
    for cut in 1..=stream.len().max(1) {
        let found = read(&stream, cut);
        let expected: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
        assert_eq!(found, (expected, end), "cut at {cut}");
    }
}

#[test]
fn a_request_is_a_section_content_and_perhaps_trailers() {
    let (head, body) = (frame(1, b"head"), frame(0, b"content"));
    check(&[], &[b""], Ok(false));
    check(std::slice::from_ref(&head), &[b"", b"head", b""], Ok(true));
    check(&[head.clone(), body.clone()], &[b"", b"head", b"content"], Ok(true));
    let whole = [head.clone(), body.clone(), frame(0, b""), body, frame(1, b"trailers")];
    check(&whole, &[b"", b"head", b"contentcontent", b"trailers", b""], Ok(true));
    check(&[frame(0x21, b"unknown"), head], &[b"", b"head", b""], Ok(true));
    check(&[frame(1, b"")], &[b"", b"", b""], Ok(true));
}

#[test]
fn what_is_too_large_is_read_past() {
    let large = frame(1, &[7; SECTION_MAX + 1]);
    check(&[large.clone(), frame(0, b"x")], &[b"", b"too large", b"x"], Ok(true));
    check(&[frame(1, b"head"), large], &[b"", b"head", b"", b"too large", b""], Ok(true));
}

#[test]
fn an_end_within_a_frame_is_an_error() {
    let whole = [frame(1, b"head"), frame(0, b"content"), frame(0x21, b"unknown")].concat();
    let ends = [0, 7, 17, 27];
    for at in 0..=whole.len() {
        let end = read(&whole[..at], 3).1;
        if ends.contains(&at) {
            assert_eq!(end, Ok(at > 0), "{at}");
        } else {
            assert_eq!(end, Err(Code::FrameError), "{at}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_give_the_same_however_they_are_cut(
        stream in proptest::collection::vec(any::<u8>(), 0..200), cut in 1usize..20
    ) {
        prop_assert_eq!(read(&stream, cut), read(&stream, stream.len().max(1)));
    }
}
