//! Bodies in the codings that are decoded; the first byte says which, and where to cut. No panic, whatever the
//! bytes; every cut gives the same contents and the same end; no more comes out than was asked for, and than the
//! bounds allow. What can be coded from the same bytes is what comes back.
#![no_main]

use doorman_http::coding::Coding;
use doorman_transform::{Bounds, Coders, Codings, DecodeError, Decoder, Level, RATIO_FLOOR, Wants};
use libfuzzer_sys::fuzz_target;

const BOUNDS: Bounds = Bounds { ratio: 50, max: 2 * 1024 * 1024 };

fn decode(codings: Codings, body: &[u8], cut: usize, most: usize) -> Result<Vec<u8>, DecodeError> {
    let mut decoder = Decoder::of(codings, BOUNDS).expect("codings that are known");
    let mut out = Vec::new();
    for mut piece in body.chunks(cut) {
        loop {
            let before = out.len();
            let step = decoder.push(piece, &mut out, most)?;
            assert!(out.len() - before <= most);
            assert!(out.len() as u64 <= BOUNDS.max.min(RATIO_FLOOR.max(50 * body.len() as u64)));
            piece = &piece[step.taken..];
            if step.wants == Wants::Input {
                assert!(piece.is_empty());
                break;
            }
        }
    }
    decoder.finish()?;
    assert_eq!(decoder.bytes_in(), body.len() as u64);
    Ok(out)
}

fuzz_target!(|input: &[u8]| {
    let Some((&first, body)) = input.split_first() else { return };
    let coding = Coding::ALL[usize::from(first) % 3];
    let other = Coding::ALL[usize::from(first / 3) % 3];
    let codings = match first / 9 % 2 {
        0 => Codings::One(coding),
        _ => Codings::Two(other, coding),
    };
    let cut = 1 + usize::from(first) % 23;
    let whole = decode(codings, body, usize::MAX, usize::MAX);
    let pieces = decode(codings, body, cut, 1 + cut * 40);
    // Which bound is met first, and whether the fault that follows is seen before it, is a matter of where the
    // cuts are; whether the body passes is not.
    assert_eq!(whole.as_ref().ok(), pieces.as_ref().ok(), "{codings:?} {cut}");

    let level = *Level::range(coding).start() + first % 6;
    let level = Level::of(coding, level).expect("a level that every coding has");
    let mut coder = Coders::new().take(coding, level, (first > 128).then_some(body.len() as u64));
    let mut coded = Vec::new();
    if first % 5 == 0 {
        coder.pad(usize::from(first));
    }
    for (n, piece) in body.chunks(cut * 10).enumerate() {
        coder.push(piece, &mut coded);
        if n % 3 == 2 {
            coder.flush(&mut coded);
        }
    }
    coder.finish(&mut coded);
    let back = decode(Codings::One(coding), &coded, cut, 4096);
    assert_eq!(back.as_deref(), Ok(body), "{coding:?}");
});
