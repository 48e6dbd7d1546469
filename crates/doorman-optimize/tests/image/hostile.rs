//! Images that are broken, or made to cost more than they look like.

use std::sync::LazyLock;

use doorman_optimize::image::{Format, Probe, Refusal, optimize};
use proptest::prelude::*;

use super::pictures::{
    Dice, Pixels, Primaries, Scans, badge, exif, gif, graphic, icc, jpeg, photo, png, png_info,
    png_with, webp_lossless, webp_lossy, with_chunk, with_segment,
};
use super::{BOUNDS, want, wide};

/// One of each kind, small, with what else may stand in them.
static KINDS: LazyLock<Vec<(&'static str, Vec<u8>)>> = LazyLock::new(|| {
    let (photo, graphic, badge) = (photo(48, 40), graphic(48, 40), badge(40, 40));
    let profile = icc(Primaries::DisplayP3);
    let baseline = jpeg(&photo, 85, Scans::Baseline);
    let described = with_segment(&baseline, 0xe1, &exif(6));
    let described =
        with_segment(&described, 0xe2, &[&b"ICC_PROFILE\0\x01\x01"[..], &profile].concat());
    let mut indexed = png_info((48, 40), png::ColorType::Indexed, png::BitDepth::Four);
    indexed.trns = Some(vec![0, 9, 200].into());
    indexed.icc_profile = Some(profile.into());
    vec![
        ("baseline", described),
        ("progressive", jpeg(&photo, 85, Scans::Progressive)),
        ("png", png(&badge)),
        ("palette", png_with(indexed, &[0x12; 24 * 40])),
        ("gif", gif(&[&graphic])),
        ("webp", webp_lossy(&photo, 80.0)),
        ("webp with alpha", webp_lossy(&badge, 80.0)),
        ("lossless webp", webp_lossless(&graphic)),
    ]
});

#[test]
fn what_is_cut_is_left_alone() {
    for (name, bytes) in KINDS.iter() {
        for end in (0..64).map(|part| bytes.len() * part / 70) {
            for format in [Format::WebP, Format::Png] {
                let result = optimize(&bytes[..end], &want(format), &BOUNDS);
                assert!(result.is_err(), "{name} cut at {end} of {}", bytes.len());
            }
        }
    }
}

#[test]
fn a_wrong_sum_is_noticed() {
    let mut bytes = png(&badge(40, 40));
    let at = bytes.len() - 20;
    bytes[at] ^= 1;
    assert_eq!(optimize(&bytes, &want(Format::Png), &BOUNDS), Err(Refusal::Corrupt));
}

fn refused(name: &str, bytes: &[u8], expected: Refusal) {
    for format in [Format::WebP, Format::Png, Format::Jpeg] {
        let result = optimize(bytes, &wide(format, 20), &BOUNDS);
        let is_pointless = format == Format::Png
            && Probe::of(bytes).is_ok_and(|probe| probe.format == Format::Jpeg);
        if !is_pointless || result != Err(Refusal::Unsupported) {
            assert_eq!(result.map(|_| ()), Err(expected), "{name} as {format:?}");
        }
    }
}

fn patched(bytes: &[u8], at: usize, with: &[u8]) -> Vec<u8> {
    [&bytes[..at], with, &bytes[at + with.len()..]].concat()
}

fn frame_of(jpeg: &[u8]) -> usize {
    jpeg.windows(2).position(|at| at == [0xff, 0xc0] || at == [0xff, 0xc2]).expect("a frame")
}

#[test]
fn sizes_that_are_a_lie_cost_nothing() {
    let baseline = jpeg(&photo(48, 40), 85, Scans::Baseline);
    let flat = webp_lossless(&graphic(48, 40));
    let png = png(&graphic(48, 40));
    let many = Refusal::TooManyPixels;
    for (name, bytes, expected) in [
        ("jpeg", patched(&baseline, frame_of(&baseline) + 5, &[0xff; 4]), many),
        (
            "jpeg of no rows",
            patched(&baseline, frame_of(&baseline) + 5, &[0, 0]),
            Refusal::Unsupported,
        ),
        ("png", patched(&png, 16, &[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]), many),
        ("png of 100 megapixels", patched(&png, 16, &[0, 0, 0x27, 0x10, 0, 0, 0x27, 0x10]), many),
        ("png as large as can be", patched(&png, 16, &[0xff; 8]), many),
        ("png of no columns", patched(&png, 16, &[0; 4]), Refusal::Corrupt),
        ("gif", patched(&gif(&[&graphic(48, 40)]), 6, &[0xff; 4]), many),
        ("gif of no rows", patched(&gif(&[&graphic(48, 40)]), 8, &[0; 2]), Refusal::Unsupported),
        ("webp", patched(&flat, 21, &[0xff, 0xff, 0xff, 0x0f]), many),
        ("webp canvas", canvas(&flat, [0xff; 6]), many),
        ("webp frame larger than its canvas", canvas(&flat, [0; 6]), Refusal::Corrupt),
    ] {
        refused(name, &bytes, expected);
    }
}

/// A WebP with a first chunk that says how large it is.
fn canvas(webp: &[u8], sides: [u8; 6]) -> Vec<u8> {
    let chunks = [&b"WEBPVP8X\x0a\0\0\0\0\0\0\0"[..], &sides, &webp[12..]].concat();
    let length = u32::try_from(chunks.len()).expect("short").to_le_bytes();
    [&b"RIFF"[..], &length, &chunks].concat()
}

#[test]
fn work_that_is_repeated_is_bounded() {
    let progressive = jpeg(&photo(48, 40), 85, Scans::Progressive);
    let last = progressive.windows(2).rposition(|at| at == [0xff, 0xda]).expect("a scan");
    let end = progressive.len() - 2;
    let scans = |times: usize| {
        let repeated = progressive[last..end].repeat(times);
        [&progressive[..end], &repeated, &progressive[end..]].concat()
    };
    let costly = Refusal::TooCostly;
    let comment = with_segment(&progressive, 0xfe, b"x");
    let comments = [&comment[..2], &comment[2..7].repeat(1000), &comment[7..]].concat();
    let still = gif(&[&graphic(48, 40)]);
    let (head, blocks) = still.split_at(13 + (3 << ((still[10] & 7) + 1)));
    let extensions = [head, &b"\x21\xfe\0".repeat(5000), blocks].concat();
    let flat = webp_lossless(&graphic(48, 40));
    for (name, bytes, expected) in [
        ("scans", scans(1000), costly),
        ("segments", comments, costly),
        ("blocks", extensions, costly),
        ("chunks of a webp", [&flat[..], &b"JUNK\0\0\0\0".repeat(100)].concat(), costly),
        ("an endless chunk", [&flat[..], b"JUNK\xff\xff\xff\xffxx"].concat(), Refusal::Corrupt),
        ("two frames", [&flat[..], &flat[12..]].concat(), Refusal::Corrupt),
    ] {
        if name == "an endless chunk" {
            // Decoders differ: what is behind the pixels is not looked at.
            let _ = optimize(&bytes, &want(Format::WebP), &BOUNDS);
            continue;
        }
        refused(name, &bytes, expected);
    }
    // As many scans as some encoders write are read.
    let _ = optimize(&scans(15), &want(Format::WebP), &BOUNDS);
    let png = png(&graphic(48, 40));
    let mut chunks = png.clone();
    let one = with_chunk(&png, b"tEXt", b"x");
    let chunk = &one[33..33 + 13];
    chunks.splice(33..33, chunk.repeat(2000));
    refused("chunks of a png", &chunks, costly);
}

#[test]
fn restarts_at_every_step_are_no_panic() {
    let baseline = jpeg(&photo(48, 40), 85, Scans::Baseline);
    let scan = baseline.windows(2).position(|at| at == [0xff, 0xda]).expect("a scan");
    for interval in [[0, 1], [0, 0], [0xff, 0xff]] {
        let mut bytes = with_segment(&baseline, 0xdd, &interval);
        for (number, marker) in (0xd0..=0xd7).cycle().enumerate().take(2000) {
            let at = scan + 6 + 14 + number % (bytes.len() - scan - 30);
            bytes.splice(at..at, [0xff, marker]);
        }
        let _ = optimize(&bytes, &want(Format::WebP), &BOUNDS);
    }
}

/// Zeros in zlib, a thousandth of their size.
pub(super) fn bomb(bytes: u32) -> Vec<u8> {
    let rows = bytes / 60_000;
    let zeros = Pixels {
        width: 60_000 - 1,
        height: rows,
        bytes: 1,
        data: vec![0; (60_000 - 1) * rows as usize],
    };
    let png = png(&zeros);
    let mut stream = Vec::new();
    let mut at = 8;
    while at < png.len() {
        let length = u32::from_be_bytes(png[at..at + 4].try_into().expect("four")) as usize;
        if &png[at + 4..at + 8] == b"IDAT" {
            stream.extend_from_slice(&png[at + 8..at + 8 + length]);
        }
        at += length + 12;
    }
    stream
}

#[test]
fn bombs_beside_the_pixels_do_not_go_off() {
    let png = png(&photo(48, 40));
    let bomb = bomb(64 << 20);
    let text = with_chunk(&png, b"zTXt", &[&b"Comment\0\0"[..], &bomb].concat());
    optimize(&text, &want(Format::Png), &BOUNDS).expect("texts are not read");
    let profile = with_chunk(&png, b"iCCP", &[&b"profile\0\0"[..], &bomb].concat());
    for format in [Format::Png, Format::WebP] {
        let result = optimize(&profile, &want(format), &BOUNDS).map(|_| ());
        assert!(matches!(result, Err(Refusal::Corrupt | Refusal::TooCostly)), "{result:?}");
    }
}

#[test]
fn a_frame_beside_its_canvas_is_left_alone() {
    let still = gif(&[&graphic(48, 40)]);
    let at = still.iter().rposition(|&b| b == 0x2c).expect("a frame");
    let frame =
        (13..at + 1).find(|&at| still[at..].starts_with(&[0x2c, 0, 0, 0, 0, 48, 0])).expect("it");
    for (at, with) in [(frame + 1, [200, 0]), (frame + 3, [0xff, 0xff]), (frame + 5, [0xff, 0xff])]
    {
        let bytes = patched(&still, at, &with);
        assert_eq!(optimize(&bytes, &want(Format::WebP), &BOUNDS), Err(Refusal::Corrupt));
    }
}

/// One of the kinds with some of its bytes changed, left out or doubled.
fn mutated(seed: u64) -> (&'static str, Vec<u8>) {
    let mut dice = Dice(seed);
    let (name, bytes) = &KINDS[dice.below(KINDS.len())];
    let mut bytes = bytes.clone();
    for _ in 0..1 + dice.below(6) {
        let at = dice.below(bytes.len());
        match dice.below(8) {
            0 => bytes.truncate(at.max(1)),
            1 => drop(bytes.drain(at..(at + 1 + dice.below(16)).min(bytes.len()))),
            2 => {
                let end = (at + 1 + dice.below(64)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            3 => bytes[at] = 0xff,
            // The first bytes say the most.
            4 | 5 => {
                let at = at % 64.min(bytes.len());
                bytes[at] = dice.byte();
            }
            _ => bytes[at] ^= 1 << dice.below(8),
        }
        if bytes.is_empty() {
            break;
        }
    }
    (name, bytes)
}

/// The sums of the chunks of a PNG made right again, so that what is behind them is reached.
fn summed(bytes: Vec<u8>) -> Vec<u8> {
    let mut out = bytes.get(..8).unwrap_or_default().to_vec();
    let mut at = 8;
    while let Some(head) = bytes.get(at..at + 8) {
        let length = u32::from_be_bytes(head[..4].try_into().expect("four")) as usize;
        let Some(data) = bytes.get(at + 8..at + 8 + length) else { break };
        let name = head[4..].try_into().expect("four");
        let chunk = with_chunk(&[0; 33], &name, data);
        out.extend_from_slice(&chunk[33..]);
        at += length + 12;
    }
    out
}

proptest! {
    #[test]
    fn mutations_are_no_panic(seed in any::<u64>(), format in 0..4_usize, repair in any::<bool>()) {
        let (_, bytes) = mutated(seed);
        let bytes = if repair && bytes.starts_with(b"\x89PNG") { summed(bytes) } else { bytes };
        let format = [Format::WebP, Format::Png, Format::Jpeg, Format::Avif][format];
        let mut bounds = BOUNDS;
        // What has been mutated may be large: decoding it is what is tested, in a short time.
        bounds.max_pixels = 200_000;
        let want = if format == Format::Avif { wide(format, 16) } else { want(format) };
        if let Ok(made) = optimize(&bytes, &want, &bounds) {
            prop_assert!(made.bytes.len() < bytes.len());
        }
    }

    #[test]
    fn anything_is_probed(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0..5_usize) {
        let heads: [&[u8]; 5] =
            [b"", b"\xff\xd8\xff", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBPVP8X"];
        bytes.splice(0..0, heads[kind].iter().copied());
        let _ = Probe::of(&bytes);
    }
}
