use proptest::prelude::*;

use super::*;
use crate::{Coders, Level};

const WIDE: Bounds = Bounds { ratio: u32::MAX, max: u64::MAX };

fn coded(coding: Coding, contents: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut coder = Coders::new().take(coding, Level::passing(coding), None);
    coder.push(contents, &mut out);
    coder.finish(&mut out);
    out
}

fn text(size: usize) -> Vec<u8> {
    (0u32..).flat_map(|n| format!("{n} bottles, ").into_bytes()).take(size).collect()
}

/// What a whole body becomes, put in by pieces of `cut` and taken out by pieces of `most` bytes.
fn run(mut decoder: Decoder, body: &[u8], cut: usize, most: usize) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::new();
    for mut piece in body.chunks(cut) {
        loop {
            let before = out.len();
            let step = decoder.push(piece, &mut out, most)?;
            assert!(out.len() - before <= most, "more than was asked for");
            piece = &piece[step.taken..];
            match step.wants {
                Wants::Input => {
                    assert!(piece.is_empty(), "input was left, and no room was wanted");
                    break;
                }
                Wants::Room => assert_eq!(out.len() - before, most, "room was left"),
            }
        }
    }
    decoder.finish()?;
    assert_eq!((decoder.bytes_in(), decoder.bytes_out()), (body.len() as u64, out.len() as u64));
    Ok(out)
}

fn decode(coding: Coding, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    run(Decoder::new(coding, WIDE), body, usize::MAX, 100_000)
}

#[test]
fn pieces_of_any_size_give_the_same() {
    let contents = text(60_000);
    for coding in Coding::ALL {
        let body = coded(coding, &contents);
        for (cut, most) in [(1, 1), (1, 100_000), (7, 13), (1_000, 16 * 1024), (100_000, 1)] {
            let got = run(Decoder::new(coding, WIDE), &body, cut, most);
            assert!(got.as_deref() == Ok(&contents[..]), "{coding:?} {cut} {most}");
        }
    }
}

#[test]
fn members_and_frames_follow_each_other_but_nothing_else_does() {
    let (one, two) = (text(5_000), b"two".to_vec());
    for coding in Coding::ALL {
        let (first, second) = (coded(coding, &one), coded(coding, &two));
        let both = decode(coding, &[&first[..], &second, &coded(coding, b"")].concat());
        match coding {
            // A stream of Brotli has one end (RFC 7932 section 9.2).
            Coding::Brotli => assert_eq!(both, Err(DecodeError::Trailing)),
            _ => assert!(both.as_deref() == Ok(&[&one[..], &two].concat()), "{coding:?}"),
        }
        for garbage in [&b"\0"[..], b"x", b"\0\0\0\0\0\0\0\0\0\0\0\0", b"\r\n", b"\x1f\x8b"] {
            let got = decode(coding, &[&first[..], garbage].concat());
            let is_begun = coding == Coding::Gzip && garbage.starts_with(b"\x1f");
            match coding {
                _ if is_begun => assert_eq!(got, Err(DecodeError::Cut)),
                // Fewer bytes than begin a frame could be the begin of one.
                Coding::Zstd => assert!(
                    matches!(got, Err(DecodeError::Malformed | DecodeError::Cut)),
                    "{garbage:?} {got:?}"
                ),
                _ => assert_eq!(got, Err(DecodeError::Trailing), "{coding:?} {garbage:?}"),
            }
        }
    }
}

#[test]
fn a_body_of_no_bytes_has_no_contents() {
    for coding in Coding::ALL {
        assert_eq!(decode(coding, b""), Ok(Vec::new()));
        assert_eq!(decode(coding, &coded(coding, b"")), Ok(Vec::new()));
    }
}

#[test]
fn a_body_that_is_cut_anywhere_is_not_whole() {
    let contents = text(3_000);
    for coding in Coding::ALL {
        let body = coded(coding, &contents);
        for end in 1..body.len() {
            let got = decode(coding, &body[..end]).map(|out| out.len());
            assert_eq!(got, Err(DecodeError::Cut), "{coding:?} {end} of {}", body.len());
        }
    }
}

#[test]
fn a_bit_that_is_flipped_never_passes_unseen_where_there_is_a_checksum() {
    let contents = text(2_000);
    for coding in Coding::ALL {
        let body = coded(coding, &contents);
        let mut unseen = 0;
        for bit in 0..body.len() * 8 {
            let mut bad = body.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            unseen += usize::from(decode(coding, &bad).is_ok_and(|got| got != contents));
        }
        // gzip has one; Brotli has none, and zstd none that we write.
        assert!(coding != Coding::Gzip || unseen == 0, "{unseen}");
    }
}

#[test]
fn cin_14_bombs_are_bounded_in_the_loop() {
    // 16 MiB of one letter, which each coding shrinks about a thousandfold.
    let size = 16 << 20;
    for coding in Coding::ALL {
        let mut body = Vec::new();
        let level = Level::of(coding, 9).unwrap();
        let mut coder = Coders::new().take(coding, level, Some(size));
        for _ in 0..16 {
            coder.push(&[b'a'; 1 << 20], &mut body);
        }
        coder.finish(&mut body);
        assert!(size / 900 > body.len() as u64, "{coding:?}: a bomb of {}", body.len());
        let check = |bounds: Bounds, expect: DecodeError, most: u64| {
            let mut decoder = Decoder::new(coding, bounds);
            let mut out = Vec::new();
            // All at once, and with all the room that is wanted.
            let got = decoder.push(&body, &mut out, usize::MAX);
            assert_eq!(got, Err(expect), "{coding:?}");
            let most = most + STEP as u64;
            assert!(decoder.bytes_out() <= most, "{coding:?} {}", decoder.bytes_out());
            assert!(out.capacity() as u64 <= 4 * most, "{coding:?} {}", out.capacity());
        };
        let ratio = 100 * body.len() as u64;
        check(Bounds { ratio: 100, max: u64::MAX }, DecodeError::Ratio, ratio.max(RATIO_FLOOR));
        check(Bounds { ratio: u32::MAX, max: 5_000_000 }, DecodeError::TooLong, 5_000_000);
        check(Bounds { ratio: 1, max: 1_000 }, DecodeError::TooLong, 1_000);
        let whole = run(Decoder::new(coding, WIDE), &body, usize::MAX, usize::MAX);
        assert_eq!(whole.map(|out| out.len() as u64), Ok(size));
    }
}

#[test]
fn cin_14_a_short_text_of_one_letter_is_no_bomb() {
    let contents = vec![b'a'; 500_000];
    for coding in Coding::ALL {
        let bounds = Bounds { ratio: 10, max: 1 << 20 };
        let body = coded(coding, &contents);
        assert!(run(Decoder::new(coding, bounds), &body, 100, 100) == Ok(contents.clone()));
        let exact = Bounds { ratio: 10, max: 500_000 };
        assert!(run(Decoder::new(coding, exact), &body, 100, 100) == Ok(contents.clone()));
        let less = Bounds { ratio: 10, max: 499_999 };
        let got = run(Decoder::new(coding, less), &body, 100, 100);
        assert_eq!(got, Err(DecodeError::TooLong), "{coding:?}");
    }
}

#[test]
fn cin_14_bombs_within_bombs_are_measured_from_outside() {
    let letters = vec![b'a'; 4 << 20];
    for inner in Coding::ALL {
        for outer in Coding::ALL {
            let body = coded(outer, &coded(inner, &letters));
            let bounds = Bounds { ratio: 100, max: u64::MAX };
            let decoder = Decoder::of(Codings::Two(inner, outer), bounds).unwrap();
            let got = run(decoder, &body, 1_000, 100_000);
            assert_eq!(got, Err(DecodeError::Ratio), "{inner:?} {outer:?}");
        }
    }
    // What the first stage makes counts, too: this is padding that the second one skips.
    let mut padded = Vec::new();
    for _ in 0..100 {
        padded.extend_from_slice(&0x184D_2A50_u32.to_le_bytes());
        padded.extend_from_slice(&100_000_u32.to_le_bytes());
        padded.resize(padded.len() + 100_000, 0);
    }
    padded.extend_from_slice(&coded(Coding::Zstd, b"x"));
    let body = coded(Coding::Brotli, &padded);
    let bounds = Bounds { ratio: 100, max: u64::MAX };
    let decoder = Decoder::of(Codings::Two(Coding::Zstd, Coding::Brotli), bounds).unwrap();
    assert_eq!(run(decoder, &body, 1_000, 100_000), Err(DecodeError::Ratio));
}

#[test]
fn two_codings_are_taken_off() {
    let contents = text(100_000);
    for inner in Coding::ALL {
        for outer in Coding::ALL {
            let body = coded(outer, &coded(inner, &contents));
            let decoder = || Decoder::of(Codings::Two(inner, outer), WIDE).unwrap();
            for (cut, most) in [(usize::MAX, usize::MAX), (1, 100), (1_000, 1), (10, 100_000)] {
                let got = run(decoder(), &body, cut, most);
                assert!(got.as_deref() == Ok(&contents[..]), "{inner:?} {outer:?} {cut} {most}");
            }
            let cut = run(decoder(), &body[..body.len() - 1], usize::MAX, usize::MAX);
            assert_eq!(cut, Err(DecodeError::Cut), "{inner:?} {outer:?}");
            let short = coded(inner, &contents);
            let body = coded(outer, &short[..short.len() - 1]);
            let cut = run(decoder(), &body, usize::MAX, usize::MAX);
            assert_eq!(cut, Err(DecodeError::Cut), "{inner:?} {outer:?}");
        }
    }
    assert!(Decoder::of(Codings::None, WIDE).is_none());
    assert!(Decoder::of(Codings::Other, WIDE).is_none());
}

#[test]
fn content_encoding_is_read() {
    use Coding::{Brotli, Gzip, Zstd};
    for (lines, expect) in [
        (&[][..], Codings::None),
        (&[""], Codings::None),
        (&["identity"], Codings::None),
        (&["gzip"], Codings::One(Gzip)),
        (&["X-GZip"], Codings::One(Gzip)),
        (&[" br "], Codings::One(Brotli)),
        (&["identity, zstd,"], Codings::One(Zstd)),
        (&["gzip, br"], Codings::Two(Gzip, Brotli)),
        (&["gzip", "br"], Codings::Two(Gzip, Brotli)),
        (&["gzip, gzip"], Codings::Two(Gzip, Gzip)),
        (&["gzip, br, zstd"], Codings::Other),
        (&["deflate"], Codings::Other),
        (&["gzip, foo"], Codings::Other),
        (&["foo, gzip"], Codings::Other),
        (&["gzip;q=1"], Codings::Other),
    ] {
        let mut fields = Fields::new();
        for line in lines {
            fields.push(b"Content-Encoding", line.as_bytes());
        }
        assert_eq!(Codings::of(&fields), expect, "{lines:?}");
    }
}

/// A member of gzip with these flags and what stands behind the head's ten bytes.
fn member(flags: u8, parts: &[u8]) -> Vec<u8> {
    let plain = coded(Coding::Gzip, b"contents");
    let mut member = plain[..10].to_vec();
    member[3] = flags;
    member.extend_from_slice(parts);
    member.extend_from_slice(&plain[10..]);
    member
}

#[test]
fn heads_of_gzip() {
    for (flags, parts, is_right) in [
        (0, &b""[..], true),
        (1, b"", true),
        (2, b"\x12\x34", true),
        (4, b"\0\0", true),
        (4, b"\x03\0abc", true),
        (8, b"name\0", true),
        (8, b"\0", true),
        (16, b"comment\0", true),
        (31, b"\x01\0xname\0comment\0\x12\x34", true),
        (32, b"", false),
        (64, b"", false),
        (128, b"", false),
        (8, b"no end", false),
        (4, b"\xff\xff", false),
    ] {
        let got = decode(Coding::Gzip, &member(flags, parts));
        assert_eq!(got.is_ok(), is_right, "{flags} {parts:?} {got:?}");
        assert!(!is_right || got.as_deref() == Ok(b"contents"));
    }
    let mut bad = member(0, b"");
    bad[2] = 7;
    assert_eq!(decode(Coding::Gzip, &bad), Err(DecodeError::Malformed));
    // A long name is skipped without memory.
    let name = [vec![b'n'; 1 << 20], vec![0]].concat();
    assert_eq!(decode(Coding::Gzip, &member(8, &name)).as_deref(), Ok(&b"contents"[..]));
    // Checksum and length.
    for at in 1..=8 {
        let mut bad = member(0, b"");
        let place = bad.len() - at;
        bad[place] ^= 1;
        assert_eq!(decode(Coding::Gzip, &bad), Err(DecodeError::Malformed), "{at}");
    }
}

#[test]
fn windows_that_ask_for_too_much_memory_are_refused() {
    // A frame of zstd with a window of 2^n bytes and one empty block, the last.
    let frame = |n: u8| {
        let mut frame = 0xFD2F_B528_u32.to_le_bytes().to_vec();
        frame.extend_from_slice(&[0, (n - 10) << 3, 1, 0, 0]);
        frame
    };
    assert_eq!(decode(Coding::Zstd, &frame(20)), Ok(Vec::new()));
    assert_eq!(decode(Coding::Zstd, &frame(23)), Ok(Vec::new()));
    for n in 24..=41 {
        assert_eq!(decode(Coding::Zstd, &frame(n)), Err(DecodeError::Malformed), "{n}");
    }
    // The begin of a large-window stream of Brotli: an extension that is not the RFC's.
    assert_eq!(decode(Coding::Brotli, b"\x11\x1e\x03"), Err(DecodeError::Malformed));
    // A frame that needs a dictionary.
    let dictionary = [&0xFD2F_B528_u32.to_le_bytes()[..], &[1, 0x58, 7, 1, 0, 0]].concat();
    assert_eq!(decode(Coding::Zstd, &dictionary), Err(DecodeError::Malformed));
}

#[test]
fn cin_15_tiny_parts_without_contents_are_read_in_one_pass() {
    let check = |coding, part: &[u8], end: &[u8]| {
        let body = [part.repeat(20_000), end.to_vec()].concat();
        assert_eq!(decode(coding, &body), Ok(Vec::new()), "{coding:?}");
    };
    check(Coding::Gzip, &coded(Coding::Gzip, b""), b"");
    check(Coding::Zstd, &coded(Coding::Zstd, b""), b"");
    // Empty skippable frames.
    check(Coding::Zstd, b"\x50\x2a\x4d\x18\0\0\0\0", b"");
    // A window of 16 bits, empty blocks of metadata (not last, no length, a reserved zero, no bytes to
    // skip), the last block.
    let metadata = b"\x06";
    let got = decode(Coding::Brotli, &[&b"\x0c"[..], &metadata.repeat(20_000), b"\x03"].concat());
    assert_eq!(got, Ok(Vec::new()));
}

proptest! {
    #[test]
    fn cin_15_no_garbage_panics_or_hangs(
        body in prop::collection::vec(any::<u8>(), 0..400),
        begins in 0..4usize,
        cut in 1..50usize,
        most in 1..300usize,
    ) {
        let bounds = Bounds { ratio: 100, max: 4 << 20 };
        let begin = [&b""[..], b"\x1f\x8b\x08\0\0\0\0\0\0\xff", b"\x28\xb5\x2f\xfd", b"\x0b"][begins];
        let body = [begin, &body].concat();
        for coding in Coding::ALL {
            let _ = run(Decoder::new(coding, bounds), &body, cut, most);
            let two = Decoder::of(Codings::Two(coding, Coding::Gzip), bounds).unwrap();
            let _ = run(two, &body, cut, most);
        }
    }

    #[test]
    fn cin_15_no_damage_panics_or_hangs(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in 1..500usize,
    ) {
        let contents = text(4_000);
        let bounds = Bounds { ratio: 100, max: 4 << 20 };
        for coding in Coding::ALL {
            let mut body = coded(coding, &contents);
            for (at, byte) in &damage {
                let at = at.index(body.len());
                body[at] = *byte;
            }
            let _ = run(Decoder::new(coding, bounds), &body, cut, 1_000);
        }
    }
}
