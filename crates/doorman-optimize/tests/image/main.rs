//! Images, from bytes to bytes: what comes out looks like what went in, and what is hostile costs
//! little.

mod hostile;
mod made;
mod memory;
mod pictures;

use doorman_optimize::image::{Bounds, Format, Made, Quality, Refusal, Want, optimize, sniff};
use pictures::Pixels;

const BOUNDS: Bounds = Bounds { max_pixels: 40_000_000, max_bytes: 20 << 20, max_memory: 1 << 30 };

fn want(format: Format) -> Want {
    Want { format, max_width: None, max_height: None, quality: Quality::new(75) }
}

fn wide(format: Format, width: u32) -> Want {
    Want { max_width: Some(width), ..want(format) }
}

/// Made, and what it says of itself is so.
fn made(bytes: &[u8], want: &Want) -> Result<Made, Refusal> {
    let made = optimize(bytes, want, &BOUNDS)?;
    assert!(made.bytes.len() < bytes.len(), "{want:?}: not smaller");
    assert_eq!(made.format, want.format);
    match want.format {
        Format::Avif => {
            assert_eq!(made.bytes.get(4..12), Some(&b"ftypavif"[..]));
            let size = [made.width.to_be_bytes(), made.height.to_be_bytes()].concat();
            let at = made.bytes.windows(4).position(|at| at == b"ispe").expect("a box of the size");
            assert_eq!(made.bytes.get(at + 8..at + 16), Some(&size[..]));
        }
        _ => {
            let pixels = decode(&made.bytes);
            assert_eq!((pixels.width, pixels.height), (made.width, made.height), "{want:?}");
        }
    }
    Ok(made)
}

/// The pixels of an image, by decoders that have nothing to do with the code under test but the
/// libraries that they come from.
fn decode(bytes: &[u8]) -> Pixels {
    match sniff(bytes) {
        Some(Format::Jpeg) => {
            use zune_jpeg::zune_core::{bytestream::ZCursor, colorspace::ColorSpace};
            let mut decoder = zune_jpeg::JpegDecoder::new(ZCursor::new(bytes));
            let data = decoder.decode().expect("a JPEG");
            let (width, height) = decoder.dimensions().expect("a size");
            let bytes = if decoder.output_colorspace() == Some(ColorSpace::Luma) { 1 } else { 3 };
            let side = |side: usize| u32::try_from(side).expect("a side of an image");
            Pixels { width: side(width), height: side(height), bytes, data }
        }
        Some(Format::Png) => decode_png(bytes),
        Some(Format::WebP) => {
            let mut decoder =
                image_webp::WebPDecoder::new(std::io::Cursor::new(bytes)).expect("a WebP");
            let mut data = vec![0; decoder.output_buffer_size().expect("a size")];
            decoder.read_image(&mut data).expect("pixels");
            let (width, height) = decoder.dimensions();
            Pixels { width, height, bytes: if decoder.has_alpha() { 4 } else { 3 }, data }
        }
        other => panic!("{other:?} is not decoded here"),
    }
}

fn decode_png(bytes: &[u8]) -> Pixels {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    let mut reader = decoder.read_info().expect("a PNG");
    let mut data = vec![0; reader.output_buffer_size().expect("a size")];
    let frame = reader.next_frame(&mut data).expect("pixels");
    let (width, height) = (frame.width, frame.height);
    let (data, bytes) = match frame.color_type {
        png::ColorType::Grayscale => (data, 1),
        png::ColorType::GrayscaleAlpha => {
            (data.chunks_exact(2).flat_map(|p| [p[0], p[0], p[0], p[1]]).collect(), 4)
        }
        png::ColorType::Rgb => (data, 3),
        _ => (data, 4),
    };
    Pixels { width, height, bytes, data }
}

/// How near two images are, in decibels; what is transparent in both is the same.
fn psnr(one: &Pixels, other: &Pixels) -> f64 {
    assert_eq!((one.width, one.height), (other.width, other.height));
    let (one, other) = (one.widened(4), other.widened(4));
    let weighed = |pixel: &[u8]| {
        let alpha = f64::from(pixel[3]) / 255.0;
        [pixel[0], pixel[1], pixel[2]].map(|colour| f64::from(colour) * alpha)
    };
    let mut sum = 0.0;
    for (one, other) in one.data.chunks_exact(4).zip(other.data.chunks_exact(4)) {
        let (colours, others) = (weighed(one), weighed(other));
        sum += colours.iter().zip(others).map(|(one, other)| (one - other).powi(2)).sum::<f64>();
        sum += (f64::from(one[3]) - f64::from(other[3])).powi(2);
    }
    let mean = sum / f64::from(u32::try_from(one.data.len()).expect("a small image"));
    if mean == 0.0 { f64::INFINITY } else { 10.0 * (255.0_f64.powi(2) / mean).log10() }
}
