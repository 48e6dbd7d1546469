//! What comes out: near to what went in, of the right size, the right way up, in the same colours.

use doorman_optimize::image::{Format, Probe, Quality, Refusal, Want, optimize};

use super::pictures::{
    self, Pixels, Primaries, Scans, badge, exif, gif, graphic, grey, icc, jpeg, photo, png,
    png_info, png_with, quarters, webp_animated, webp_lossless, webp_lossy, with_chunk,
    with_segment,
};
use super::{BOUNDS, decode, made, psnr, want, wide};

/// Of every source every format that it can become.
#[test]
fn what_is_made_looks_like_the_original() {
    let (photo, graphic, badge) = (photo(240, 160), graphic(240, 160), badge(160, 160));
    let grey = grey(&photo);
    let exact = f64::INFINITY;
    let sources = [
        ("a photograph", jpeg(&photo, 95, Scans::Baseline), 30.0),
        ("a progressive one", jpeg(&photo, 95, Scans::Progressive), 30.0),
        ("a grey one", jpeg(&grey, 95, Scans::Baseline), 30.0),
        ("a photograph as PNG", png(&photo), 30.0),
        ("a grey one as PNG", png(&grey), 30.0),
        ("a graphic", png(&graphic), 24.0),
        ("a badge", png(&badge), 30.0),
        ("a lossy WebP", webp_lossy(&photo, 95.0), 30.0),
        ("a lossy badge", webp_lossy(&badge, 98.0), 30.0),
    ];
    for (name, bytes, least) in &sources {
        let probe = Probe::of(bytes).expect(name);
        for format in [Format::Jpeg, Format::Png, Format::WebP, Format::Avif] {
            let result = made(bytes, &want(format));
            let expected = match (probe.format, format) {
                (Format::Jpeg, Format::Png) => Err(Refusal::Unsupported),
                (_, Format::Jpeg) if probe.has_alpha => Err(Refusal::Unsupported),
                (Format::WebP, Format::Png | Format::Jpeg) => continue,
                // Letters are nothing for those.
                (_, Format::Jpeg | Format::Avif) if *name == "a graphic" => continue,
                (Format::Png, Format::Png) => Ok(exact),
                _ => Ok(*least),
            };
            match (result, expected) {
                (Ok(_), Ok(_)) if format == Format::Avif => {}
                (Ok(made), Ok(least)) => {
                    let near = psnr(&decode(&made.bytes), &decode(bytes));
                    assert!(near >= least, "{name} as {format:?}: {near:.1} dB");
                }
                (result, expected) => {
                    assert_eq!(result.map(|_| ()), expected.map(|_| ()), "{name} as {format:?}");
                }
            }
        }
    }
}

/// Every kind of pixels that PNG has comes out bit by bit as it was.
#[test]
fn png_is_packed_without_loss() {
    use png::BitDepth::{Eight, Four, One, Sixteen, Two};
    use png::ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};
    let mut dice = pictures::Dice(7);
    for (colour, depths) in [
        (Grayscale, &[One, Two, Four, Eight, Sixteen][..]),
        (Indexed, &[One, Two, Four, Eight]),
        (Rgb, &[Eight, Sixteen]),
        (GrayscaleAlpha, &[Eight, Sixteen]),
        (Rgba, &[Eight, Sixteen]),
    ] {
        for &depth in depths {
            for transparent in [false, true] {
                let mut info = png_info((61, 40), colour, depth);
                if transparent {
                    info.trns = match colour {
                        Grayscale => Some(vec![0, 1].into()),
                        Rgb => Some(vec![0, 1, 0, 2, 0, 3].into()),
                        Indexed => Some(vec![0, 127].into()),
                        _ => continue,
                    };
                }
                let row = (61 * colour.samples() * depth as usize).div_ceil(8);
                let data: Vec<u8> = (0..row * 40)
                    .map(|at| {
                        if at % 7 == 0 {
                            dice.byte() % 3
                        } else {
                            u8::try_from(at / row / 8).expect("few rows")
                        }
                    })
                    .collect();
                let name = format!("{colour:?} {depth:?} {transparent}");
                let source = with_chunk(&png_with(info, &data), b"tEXt", &[b'x'; 3000]);
                let made = made(&source, &want(Format::Png))
                    .unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
                assert!(psnr(&decode(&made.bytes), &decode(&source)).is_infinite(), "{name}");
            }
        }
    }
}

#[test]
fn few_colours_become_a_palette_and_stay_what_they_are() {
    let graphic = graphic(300, 200);
    let source = png(&graphic);
    let packed = made(&source, &want(Format::Png)).expect("smaller");
    assert_eq!(packed.bytes.get(25), Some(&3), "a palette");
    assert_eq!(decode(&packed.bytes).widened(3).data, graphic.data);
    let lossless = made(&source, &want(Format::WebP)).expect("smaller");
    assert_eq!(decode(&lossless.bytes).widened(3).data, graphic.data);
    let from_gif = made(&gif(&[&graphic]), &want(Format::WebP)).expect("smaller");
    let quantized =
        graphic.data.chunks_exact(3).flat_map(|p| [p[0] & 0xe0, p[1] & 0xe0, p[2] & 0xc0]);
    assert_eq!(decode(&from_gif.bytes).widened(3).data, quantized.collect::<Vec<_>>());
}

/// Where the quarters of an image are after it has been turned as its Exif says.
#[test]
fn a_photograph_is_turned_upright() {
    let source = jpeg(&quarters(96, 64), 97, Scans::Baseline);
    let (red, green, blue, white) = ('r', 'g', 'b', 'w');
    for (number, corners) in [
        (1, [red, green, blue, white]),
        (2, [green, red, white, blue]),
        (3, [white, blue, green, red]),
        (4, [blue, white, red, green]),
        (5, [red, blue, green, white]),
        (6, [blue, red, white, green]),
        (7, [white, green, blue, red]),
        (8, [green, white, red, blue]),
        // None that there is.
        (9, [red, green, blue, white]),
    ] {
        let turned = with_segment(&source, 0xe1, &exif(number));
        for format in [Format::Jpeg, Format::WebP] {
            let made = made(&turned, &want(format)).expect("smaller");
            let expected = if (5..=8).contains(&number) { (64, 96) } else { (96, 64) };
            assert_eq!((made.width, made.height), expected, "{number}");
            let pixels = decode(&made.bytes);
            let (right, low) = (made.width * 3 / 4, made.height * 3 / 4);
            let places = [(10, 10), (right, 10), (10, low), (right, low)];
            assert_eq!(places.map(|(x, y)| colour(pixels.at(x, y))), corners, "{number}");
            let probe = Probe::of(&made.bytes).expect("an image");
            assert!(probe.orientation.is_upright(), "{number}: turned twice");
        }
        // The width that is asked for is the one that is seen.
        let made = made(&turned, &wide(Format::WebP, 32)).expect("smaller");
        let expected = if (5..=8).contains(&number) { (32, 48) } else { (32, 21) };
        assert_eq!((made.width, made.height), expected, "{number}");
    }
}

fn colour(pixel: &[u8]) -> char {
    match [pixel[0] > 128, pixel[1] > 128, pixel[2] > 128] {
        [true, false, false] => 'r',
        [false, true, false] => 'g',
        [false, false, true] => 'b',
        [true, true, true] => 'w',
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_others_may_or_may_not_turn_is_left_alone() {
    let mut block = exif(6);
    block.drain(..6);
    let source = with_chunk(&png(&photo(64, 64)), b"eXIf", &block);
    assert_eq!(made(&source, &want(Format::WebP)), Err(Refusal::Unsupported));
    block[19] = 1;
    let upright = with_chunk(&png(&photo(64, 64)), b"eXIf", &block);
    made(&upright, &want(Format::WebP)).expect("smaller");
}

#[test]
fn sizes_keep_their_shape_and_never_grow() {
    let source = png(&photo(200, 100));
    for (max_width, max_height, expected) in [
        (None, None, (200, 100)),
        (Some(100), None, (100, 50)),
        (None, Some(20), (40, 20)),
        (Some(100), Some(20), (40, 20)),
        (Some(10), Some(20), (10, 5)),
        (Some(1), None, (1, 1)),
        (Some(0), None, (1, 1)),
        (Some(199), None, (199, 100)),
        (Some(200), None, (200, 100)),
        (Some(4000), Some(4000), (200, 100)),
    ] {
        for format in [Format::WebP, Format::Png, Format::Jpeg, Format::Avif] {
            let want = Want { max_width, max_height, ..want(format) };
            let made = made(&source, &want).expect("smaller");
            assert_eq!((made.width, made.height), expected, "{want:?}");
        }
    }
}

/// What is scaled looks like what it was scaled from, for every kind of pixels.
#[test]
fn what_is_scaled_is_near() {
    for (name, of) in [
        ("colours", photo(256, 256)),
        ("greys", grey(&photo(256, 256))),
        ("transparent", badge(256, 256)),
    ] {
        let made = made(&png(&of), &wide(Format::Png, 64)).expect("smaller");
        let scaled = decode(&made.bytes).widened(4);
        let original = of.widened(4);
        let mean = Pixels {
            width: 64,
            height: 64,
            bytes: 4,
            data: (0..64 * 64 * 4).map(|at| mean_of_16(&original, at)).collect(),
        };
        let near = psnr(&scaled, &mean);
        assert!(near > 30.0, "{name}: {near:.1} dB");
    }
}

/// The mean of four by four pixels, colours weighed by alpha.
fn mean_of_16(of: &Pixels, at: usize) -> u8 {
    let (pixel, channel) = (at / 4, at % 4);
    let place = |pixel: usize| u32::try_from(pixel * 4).expect("a place");
    let (left, top) = (place(pixel % 64), place(pixel / 64));
    let all = (0..16).map(|at| of.at(left + at % 4, top + at / 4));
    let alphas: u32 = all.clone().map(|pixel| u32::from(pixel[3])).sum();
    let value = if channel == 3 {
        alphas / 16
    } else {
        let weighed = all.map(|pixel| u32::from(pixel[channel]) * u32::from(pixel[3]));
        weighed.sum::<u32>() / alphas.max(1)
    };
    u8::try_from(value).expect("a mean of bytes")
}

/// Transparent pixels have a colour too, and it must not bleed into what is seen.
#[test]
fn what_is_transparent_does_not_bleed() {
    let mut pixels = quarters(64, 64).widened(4);
    for (at, pixel) in pixels.data.chunks_exact_mut(4).enumerate() {
        let is_left = at % 64 < 33;
        pixel.copy_from_slice(if is_left { &[255, 0, 0, 0] } else { &[0, 0, 255, 255] });
    }
    let made = made(&png(&pixels), &wide(Format::Png, 16)).expect("smaller");
    let scaled = decode(&made.bytes);
    for pixel in scaled.data.chunks_exact(4) {
        assert!(pixel[3] < 8 || pixel[0] < 8, "red shows: {pixel:?}");
    }
}

#[test]
fn colours_stay_what_they_are() {
    let (photo, wide) = (photo(120, 80), icc(Primaries::DisplayP3));
    let in_jpeg = |profile: &[u8]| {
        let segment = [&b"ICC_PROFILE\0\x01\x01"[..], profile].concat();
        with_segment(&jpeg(&photo, 96, Scans::Baseline), 0xe2, &segment)
    };
    let in_png = |profile: &[u8]| {
        let mut info = png_info((120, 80), png::ColorType::Rgb, png::BitDepth::Eight);
        info.icc_profile = Some(profile.to_vec().into());
        png_with(info, &photo.data)
    };
    for source in [in_jpeg(&wide), in_png(&wide)] {
        assert_eq!(made(&source, &want(Format::Avif)), Err(Refusal::Profile));
        for format in [Format::Jpeg, Format::Png, Format::WebP] {
            if Probe::of(&source).expect("an image").format == Format::Jpeg && format == Format::Png
            {
                continue;
            }
            let made = made(&source, &want(format)).expect("smaller");
            assert_eq!(profile_of(&made.bytes), Some(wide.clone()), "{format:?}");
        }
    }
    let srgb = icc(Primaries::Srgb);
    for source in [in_jpeg(&srgb), in_png(&srgb)] {
        for format in [Format::WebP, Format::Avif] {
            let made = made(&source, &want(format)).expect("smaller");
            if format == Format::WebP {
                assert_eq!(profile_of(&made.bytes), None);
            }
        }
    }
    // A profile of colours says nothing of greys.
    let grey = with_segment(
        &jpeg(&grey(&photo), 96, Scans::Baseline),
        0xe2,
        &[&b"ICC_PROFILE\0\x01\x01"[..], &wide].concat(),
    );
    assert_eq!(made(&grey, &want(Format::WebP)), Err(Refusal::Profile));
}

/// With transparency WebP says more in its first chunk, to which the profile has to be added.
#[test]
fn a_transparent_image_keeps_its_profile() {
    let badge = badge(96, 96);
    let mut info = png_info((96, 96), png::ColorType::Rgba, png::BitDepth::Eight);
    let wide = icc(Primaries::DisplayP3);
    info.icc_profile = Some(wide.clone().into());
    for quality in [1, 100] {
        let want = Want { quality: Quality::new(quality), ..want(Format::WebP) };
        let made = made(&png_with(info.clone(), &badge.data), &want).expect("smaller");
        assert_eq!(profile_of(&made.bytes), Some(wide.clone()));
        assert!(psnr(&decode(&made.bytes), &badge) > 24.0);
    }
}

fn profile_of(bytes: &[u8]) -> Option<Vec<u8>> {
    match Probe::of(bytes).expect("an image").format {
        Format::Jpeg => {
            let mut decoder =
                zune_jpeg::JpegDecoder::new(zune_jpeg::zune_core::bytestream::ZCursor::new(bytes));
            decoder.decode_headers().expect("a JPEG");
            decoder.icc_profile()
        }
        Format::Png => {
            let reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().expect("a PNG");
            reader.info().icc_profile.as_ref().map(|profile| profile.to_vec())
        }
        _ => {
            let mut decoder =
                image_webp::WebPDecoder::new(std::io::Cursor::new(bytes)).expect("a WebP");
            decoder.icc_profile().expect("readable")
        }
    }
}

#[test]
fn other_descriptions_of_colours_are_left_alone() {
    let source = png(&photo(64, 64));
    let srgb = [31_270_u32, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000];
    let chromaticities = |of: [u32; 8]| of.iter().flat_map(|x| x.to_be_bytes()).collect::<Vec<_>>();
    let mut other = srgb;
    other[2] = 68_000;
    for (name, data, fits) in [
        (b"gAMA", 45_455_u32.to_be_bytes().to_vec(), true),
        (b"gAMA", 100_000_u32.to_be_bytes().to_vec(), false),
        (b"cHRM", chromaticities(srgb), true),
        (b"cHRM", chromaticities(other), false),
        (b"cICP", vec![1, 13, 0, 1], true),
        (b"cICP", vec![9, 16, 0, 1], false),
        (b"sRGB", vec![0], true),
    ] {
        let result = made(&with_chunk(&source, name, &data), &want(Format::WebP)).map(|_| ());
        assert_eq!(result, if fits { Ok(()) } else { Err(Refusal::Profile) }, "{data:?}");
    }
    let photo = jpeg(&photo(64, 64), 96, Scans::Baseline);
    for (marker, data) in [
        (0xe1, &b"http://ns.adobe.com/xap/1.0/\0<x hdrgm:Version='1.0'/>"[..]),
        (0xe2, b"urn:iso:std:iso:ts:21496:-1\0"),
    ] {
        let source = with_segment(&photo, marker, data);
        assert_eq!(made(&source, &want(Format::Jpeg)), Err(Refusal::Profile));
    }
}

#[test]
fn metadata_goes() {
    let mut block = exif(1);
    block.extend_from_slice(b"52.5200N 13.4050E");
    let source = with_segment(&jpeg(&photo(64, 64), 96, Scans::Baseline), 0xe1, &block);
    for format in [Format::Jpeg, Format::WebP, Format::Avif] {
        let made = made(&source, &want(format)).expect("smaller");
        assert!(!made.bytes.windows(8).any(|at| at == b"52.5200N"), "{format:?}");
    }
    let source = with_chunk(&png(&photo(64, 64)), b"tEXt", b"Comment\x0052.5200N");
    let made = made(&source, &want(Format::Png)).expect("smaller");
    assert!(!made.bytes.windows(8).any(|at| at == b"52.5200N"));
}

#[test]
fn what_moves_is_left_alone() {
    let (one, other) = (graphic(64, 64), quarters(64, 64));
    let still = png(&one);
    for (name, source) in [
        ("GIF", gif(&[&one, &other])),
        ("PNG", with_chunk(&still, b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0])),
        ("WebP", webp_animated(&one)),
    ] {
        assert!(Probe::of(&source).expect(name).animated, "{name}");
        assert_eq!(made(&source, &want(Format::WebP)), Err(Refusal::Animated), "{name}");
    }
    assert!(!Probe::of(&gif(&[&one])).expect("a GIF").animated);
}

#[test]
fn what_would_not_be_smaller_is_left_alone() {
    let source = jpeg(&photo(160, 120), 60, Scans::Progressive);
    for format in [Format::Jpeg, Format::WebP] {
        let want = Want { quality: Quality::new(100), ..want(format) };
        assert_eq!(made(&source, &want).map(|_| ()), Err(Refusal::NotSmaller));
    }
    let packed = made(&png(&graphic(160, 120)), &want(Format::Png)).expect("smaller").bytes;
    assert_eq!(made(&packed, &want(Format::Png)), Err(Refusal::NotSmaller));
}

#[test]
fn what_is_not_read_is_left_alone() {
    let mut cmyk = Vec::new();
    jpeg_encoder::Encoder::new(&mut cmyk, 90)
        .encode(&[90; 64 * 64 * 4], 64, 64, jpeg_encoder::ColorType::Cmyk)
        .expect("pixels");
    let photo = jpeg(&photo(64, 64), 90, Scans::Baseline);
    let frame = photo.windows(2).position(|at| at == [0xff, 0xc0]).expect("a frame");
    let changed = |at: usize, byte: u8| {
        let mut bytes = photo.clone();
        bytes[frame + at] = byte;
        bytes
    };
    for (name, source) in [
        ("CMYK", cmyk),
        ("twelve bits", changed(4, 12)),
        ("arithmetic", changed(1, 0xc9)),
        ("lossless", changed(1, 0xc3)),
        ("RGB", with_segment(&photo, 0xee, b"Adobe\0\x64\0\0\0\0\0")),
        ("text", b"<svg/>".to_vec()),
        ("nothing", Vec::new()),
    ] {
        assert_eq!(made(&source, &want(Format::WebP)), Err(Refusal::Unsupported), "{name}");
    }
    assert_eq!(made(&png(&graphic(64, 64)), &want(Format::Gif)), Err(Refusal::Unsupported));
}

#[test]
fn a_pixel_is_an_image_too() {
    let padding = [b'x'; 4000];
    for (width, height) in [(1, 1), (1, 9), (9, 1), (3, 17)] {
        let photo = photo(width, height);
        let sources = [
            with_segment(&jpeg(&photo, 90, Scans::Baseline), 0xfe, &padding),
            with_chunk(&png(&photo), b"tEXt", &padding),
        ];
        for source in sources {
            for format in [Format::WebP, Format::Avif, Format::Jpeg] {
                let made = made(&source, &want(format)).expect("smaller");
                assert_eq!((made.width, made.height), (width, height));
            }
        }
    }
}

#[test]
fn bounds_are_held_before_anything_is_decoded() {
    let source = webp_lossless(&photo(100, 100));
    let bounded = |change: fn(&mut doorman_optimize::image::Bounds)| {
        let mut bounds = BOUNDS;
        change(&mut bounds);
        optimize(&source, &wide(Format::WebP, 50), &bounds).map(|_| ())
    };
    assert_eq!(bounded(|_| {}), Ok(()));
    assert_eq!(bounded(|bounds| bounds.max_pixels = 9_999), Err(Refusal::TooManyPixels));
    assert_eq!(bounded(|bounds| bounds.max_bytes = 100), Err(Refusal::TooLarge));
    assert_eq!(bounded(|bounds| bounds.max_memory = 1 << 20), Err(Refusal::TooCostly));
}
