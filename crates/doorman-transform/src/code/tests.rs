use proptest::prelude::*;

use super::*;
use crate::{Bounds, Decoder, Wants};

/// Bounds that no test of coders meets.
const WIDE: Bounds = Bounds { ratio: u32::MAX, max: u64::MAX };

/// All that comes out of coded bytes that are put in by and by; the stream may go on.
fn decode(decoder: &mut Decoder, mut coded: &[u8], out: &mut Vec<u8>) {
    loop {
        let step = decoder.push(coded, out, 64 * 1024).expect("what we have coded ourselves");
        coded = &coded[step.taken..];
        if step.wants == Wants::Input {
            return;
        }
    }
}

fn decoded(coding: Coding, coded: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new(coding, WIDE);
    let mut out = Vec::new();
    decode(&mut decoder, coded, &mut out);
    decoder.finish().expect("a whole stream");
    out
}

fn coded(coding: Coding, level: u8, hint: Option<u64>, contents: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let level = Level::of(coding, level).expect("a level of the coding");
    let mut coder = Coders::new().take(coding, level, hint);
    coder.push(contents, &mut out);
    coder.finish(&mut out);
    out
}

/// Text that shrinks like text does.
fn text(size: usize) -> Vec<u8> {
    (0u32..)
        .flat_map(|n| format!("line {n} of {}, ", n * n % 1009).into_bytes())
        .take(size)
        .collect()
}

/// Bytes that do not shrink.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..size).map(|_| next()).collect()
}

#[test]
fn every_level_gives_back_what_it_got() {
    for coding in Coding::ALL {
        for level in Level::range(coding) {
            for contents in [vec![], b"x".to_vec(), text(3_000), text(70_000), noise(20_000)] {
                for hint in [None, Some(contents.len() as u64), Some(1), Some(u64::MAX)] {
                    let coded = coded(coding, level, hint, &contents);
                    assert!(
                        decoded(coding, &coded) == contents,
                        "{coding:?} {level} {hint:?} {}",
                        contents.len()
                    );
                }
            }
        }
    }
}

#[test]
fn a_text_becomes_shorter_and_noise_hardly_longer() {
    for coding in Coding::ALL {
        for level in [Level::passing(coding), Level::kept(coding)] {
            let text = text(100_000);
            let small = coded(coding, level.number(), None, &text).len();
            assert!(small < text.len() / 3, "{coding:?} {small}");
            let noise = noise(100_000);
            let large = coded(coding, level.number(), None, &noise).len();
            assert!(large < noise.len() + 200, "{coding:?} {large}");
        }
    }
}

#[test]
fn windows_stay_within_what_clients_must_take() {
    // RFC 9659 section 3: 8 MiB. A frame of a stream whose length is not known says its window in its
    // sixth byte (RFC 8878 section 3.1.1.1.2).
    for level in Level::range(Coding::Zstd) {
        let coded = coded(Coding::Zstd, level, None, &text(1_000));
        let window = coded[5];
        let (exponent, mantissa) = (u32::from(window >> 3), u64::from(window & 7));
        let base = 1u64 << (10 + exponent);
        assert!(base + base / 8 * mantissa <= 8 << 20, "{level}");
    }
}

#[test]
fn what_is_flushed_is_counted_and_not_flushed_again() {
    for coding in Coding::ALL {
        let coders = Coders::new();
        let mut coder = coders.take(coding, Level::passing(coding), None);
        let mut out = Vec::new();
        assert!(coder.is_flushed());
        coder.flush(&mut out);
        coder.push(b"", &mut out);
        assert!(out.is_empty(), "{coding:?}");
        coder.push(b"some contents", &mut out);
        assert!(!coder.is_flushed());
        coder.flush(&mut out);
        assert!(coder.is_flushed());
        let once = out.len();
        coder.flush(&mut out);
        assert_eq!(out.len(), once, "{coding:?}");
        assert_eq!((coder.bytes_in(), coder.bytes_out()), (13, once as u64));
        coder.finish(&mut out);
        assert_eq!(coder.bytes_out(), out.len() as u64);
        let whole = out.len();
        coder.push(b"more", &mut out);
        coder.flush(&mut out);
        coder.finish(&mut out);
        assert_eq!(out.len(), whole, "{coding:?}: a finished stream stays as it is");
        assert_eq!(decoded(coding, &out), b"some contents");
    }
}

#[test]
fn memory_goes_back_and_is_bounded() {
    for coding in Coding::ALL {
        let coders = Coders::new();
        let level = Level::passing(coding);
        let mut out = Vec::new();
        let mut many: Vec<_> = (0..40).map(|_| coders.take(coding, level, Some(50_000))).collect();
        for coder in &mut many {
            coder.push(&text(50_000), &mut out);
        }
        assert_eq!(coders.idle_bytes(), (0, 0));
        // Some are finished, some are given up midway.
        for coder in many.iter_mut().take(20) {
            coder.finish(&mut out);
        }
        drop(many);
        let (count, bytes) = coders.idle_bytes();
        assert!(count <= IDLE_MAX && bytes <= IDLE_BYTES_MAX, "{coding:?} {count} {bytes}");
        assert_eq!(count > 0 && bytes > 0, coding != Coding::Brotli, "{coding:?}");
        // What was given up midway leaves nothing in the next stream.
        let mut again = Vec::new();
        let mut coder = coders.take(coding, level, None);
        assert_eq!(coders.idle_bytes().0, count.saturating_sub(1));
        coder.push(b"next", &mut again);
        coder.finish(&mut again);
        assert_eq!(decoded(coding, &again), b"next");
    }
}

#[test]
fn a_reused_coder_writes_what_a_new_one_would() {
    let (one, other) = (text(30_000), text(90_000));
    for coding in Coding::ALL {
        let coders = Coders::new();
        let level = Level::passing(coding);
        let code = |contents: &[u8]| {
            let mut coder = coders.take(coding, level, Some(contents.len() as u64));
            let mut out = Vec::new();
            coder.push(contents, &mut out);
            coder.finish(&mut out);
            out
        };
        let fresh = code(&one);
        let _ = code(&other);
        assert!(code(&one) == fresh, "{coding:?}");
    }
}

#[test]
fn levels_that_a_coding_lacks_are_refused_or_become_the_nearest() {
    assert_eq!(Level::of(Coding::Gzip, 0), None);
    assert_eq!(Level::of(Coding::Gzip, 10), None);
    assert_eq!(Level::of(Coding::Brotli, 12), None);
    assert_eq!(Level::of(Coding::Zstd, 20), None);
    let brotli = Level::of(Coding::Brotli, 11).unwrap();
    let mut coder = Coders::new().take(Coding::Gzip, brotli, None);
    let mut out = Vec::new();
    coder.push(b"x", &mut out);
    coder.finish(&mut out);
    assert_eq!(decoded(Coding::Gzip, &out), b"x");
}

#[test]
fn coders_may_be_used_by_any_thread() {
    fn check<T: Send>() {}
    check::<Coders>();
    check::<Coder>();
}

#[test]
fn padding_makes_a_stream_longer_by_as_much_as_is_asked() {
    let contents = text(5_000);
    for coding in Coding::ALL {
        let padded = |n: Option<usize>, flush: bool| {
            let mut coder = Coders::new().take(coding, Level::passing(coding), None);
            if let Some(n) = n {
                coder.pad(n);
            }
            let mut out = Vec::new();
            coder.push(&contents, &mut out);
            if flush {
                coder.flush(&mut out);
            }
            // Too late.
            coder.pad(77);
            coder.finish(&mut out);
            assert_eq!(coder.bytes_out(), out.len() as u64);
            assert!(decoded(coding, &out) == contents, "{coding:?} {n:?}");
            out.len()
        };
        let plain = padded(None, false);
        let none = padded(Some(0), false);
        assert!((plain..plain + 15).contains(&none), "{coding:?} {plain} {none}");
        for n in [1, 2, 3, 7, 100, 255, 256, 257, 4_000, PAD_MAX] {
            // A longer number may take a byte more, and a flush some more.
            for (flush, most) in [(false, 4), (true, 20)] {
                let more = padded(Some(n), flush) - none;
                assert!((n..n + most).contains(&more), "{coding:?} {n} {more}");
            }
        }
        assert_eq!(padded(Some(PAD_MAX), false), padded(Some(usize::MAX), false));
    }
}

/// What is done to a coder in one step.
#[derive(Clone, Debug)]
enum Act {
    Push(Vec<u8>),
    Flush,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let letters = prop::collection::vec(prop::sample::select(b"abcd <>/".to_vec()), 0..3_000);
    let bytes = prop::collection::vec(any::<u8>(), 0..2_000);
    let act = prop_oneof![
        4 => letters.prop_map(Act::Push),
        2 => bytes.prop_map(Act::Push),
        1 => (any::<u8>(), 0..150_000usize).prop_map(|(byte, n)| Act::Push(vec![byte; n])),
        3 => Just(Act::Flush),
    ];
    prop::collection::vec(act, 0..20)
}

fn level(coding: Coding, seed: u8) -> Level {
    // The slowest levels are left to the table: here is asked for many streams.
    let range = Level::range(coding);
    let most = (*range.end()).min(9);
    Level::of(coding, range.start() + seed % (most - range.start() + 1)).expect("in the range")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is put in, in whatever pieces, is what comes out; and after a flush all of it does.
    #[test]
    fn round_trips(
        acts in acts(),
        seed: u8,
        hint in prop::option::of(0..2_000_000u64),
        padding in prop::option::of(0..3_000usize),
        cut in 1..5_000usize,
        times in 1..3usize,
    ) {
        for coding in Coding::ALL {
            let coders = Coders::new();
            for _ in 0..times {
                let mut coder = coders.take(coding, level(coding, seed), hint);
                if let Some(n) = padding {
                    coder.pad(n);
                }
                let mut decoder = Decoder::new(coding, WIDE);
                let (mut put_in, mut got) = (Vec::new(), Vec::new());
                let mut out = Vec::new();
                let mut read = |out: &mut Vec<u8>, got: &mut Vec<u8>| {
                    for piece in out.chunks(cut) {
                        decode(&mut decoder, piece, got);
                    }
                    out.clear();
                };
                for act in &acts {
                    match act {
                        Act::Push(bytes) => {
                            put_in.extend_from_slice(bytes);
                            coder.push(bytes, &mut out);
                        }
                        Act::Flush => {
                            coder.flush(&mut out);
                            read(&mut out, &mut got);
                            prop_assert_eq!(got.len(), put_in.len(), "{:?}", coding);
                        }
                    }
                }
                coder.finish(&mut out);
                read(&mut out, &mut got);
                prop_assert!(got == put_in, "{:?}", coding);
                prop_assert_eq!(decoder.finish(), Ok(()));
                prop_assert_eq!(coder.bytes_in(), put_in.len() as u64);
            }
        }
    }
}
