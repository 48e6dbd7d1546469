//! Chunked bodies: no panic, content inside of what was consumed, the same result however the bytes
//! are cut, and a body written from what was read reads back as the same. The first byte says where
//! to cut.
#![no_main]

use doorman_h1::{CHUNK_END, Decoder, Framing, Limits, write_chunk_head, write_last_chunk};
use doorman_http::Fields;
use libfuzzer_sys::fuzz_target;

/// Content, trailers, bytes used; the trailers are there once the body is done.
type Read = (Vec<u8>, Option<Option<Vec<(Vec<u8>, Vec<u8>)>>>, usize);

fn read(wire: &[u8], piece: usize) -> Result<Read, &'static str> {
    let mut decoder = Decoder::new(Framing::Chunked, &Limits::default());
    let (mut content, mut used) = (Vec::new(), 0);
    'pieces: for part in wire.chunks(piece.max(1)) {
        let mut part = part.to_vec();
        let mut at = 0;
        while at < part.len() {
            let step = decoder.decode(&mut part[at..]).map_err(|fault| fault.reason)?;
            assert!(step.consumed <= part.len() - at && step.content.end <= step.consumed);
            assert!(step.consumed > 0 || decoder.is_done());
            content.extend_from_slice(&part[at..][step.content]);
            at += step.consumed;
            used += step.consumed;
            if decoder.is_done() {
                break 'pieces;
            }
        }
    }
    let done = decoder.is_done();
    assert_eq!(decoder.end_of_input().is_ok(), done);
    let list = |fields: Fields| fields.iter().map(|(_, n, v)| (n.to_vec(), v.to_vec())).collect();
    Ok((content, done.then(|| decoder.take_trailers().map(list)), used))
}

fuzz_target!(|input: &[u8]| {
    let Some((&piece, wire)) = input.split_first() else { return };
    let whole = read(wire, wire.len());
    assert_eq!(read(wire, usize::from(piece)), whole);
    let Ok((content, Some(trailers), _)) = whole else { return };

    let mut sent = Vec::new();
    for chunk in content.chunks(usize::from(piece) + 1) {
        write_chunk_head(&mut sent, chunk.len());
        sent.extend_from_slice(chunk);
        sent.extend_from_slice(CHUNK_END);
    }
    let mut fields = Fields::new();
    for (name, value) in trailers.iter().flatten() {
        assert!(fields.append(name, value));
    }
    write_last_chunk(&mut sent, Some(&fields));
    let len = sent.len();
    assert_eq!(read(&sent, len), Ok((content, Some(trailers), len)));
});
