//! Images as they stand on the web, computed: photographs, graphics, what cameras and editors write
//! around them.

use std::borrow::Cow;

use jpeg_encoder::{ColorType, SamplingFactor};

/// Pixels without gaps.
#[derive(Clone, Debug)]
pub(crate) struct Pixels {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Bytes of a pixel: 1, 3 or 4.
    pub(crate) bytes: usize,
    pub(crate) data: Vec<u8>,
}

impl Pixels {
    fn of(width: u32, height: u32, bytes: usize, at: impl Fn(u32, u32) -> [u8; 4]) -> Self {
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let data = places.flat_map(|(x, y)| at(x, y).into_iter().take(bytes)).collect();
        Self { width, height, bytes, data }
    }

    pub(crate) fn at(&self, x: u32, y: u32) -> &[u8] {
        let place = self.bytes * (y * self.width + x) as usize;
        &self.data[place..place + self.bytes]
    }

    /// Of three or four bytes, whatever they were.
    pub(crate) fn widened(&self, bytes: usize) -> Self {
        Self::of(self.width, self.height, bytes, |x, y| match *self.at(x, y) {
            [grey] => [grey, grey, grey, 255],
            [red, green, blue] => [red, green, blue, 255],
            [red, green, blue, alpha] => [red, green, blue, alpha],
            _ => unreachable!("pixels have one, three or four bytes"),
        })
    }
}

/// A number that looks like chance, by place.
fn noise(x: u32, y: u32) -> u32 {
    let mut seed = x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77);
    seed ^= seed >> 15;
    seed = seed.wrapping_mul(0x2C1B_3C6D);
    seed ^ seed >> 13
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
fn byte(value: f64) -> u8 {
    value.clamp(0.0, 255.0) as u8
}

/// Soft shapes, a horizon, and the grain of a sensor.
pub(crate) fn photo(width: u32, height: u32) -> Pixels {
    Pixels::of(width, height, 3, |x, y| {
        let (u, v) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
        let grain = f64::from(noise(x, y) % 9) - 4.0;
        let hills = 0.55 + 0.08 * (9.0 * u).sin() + 0.03 * (31.0 * u + 2.0).sin();
        let texture = 18.0 * (90.0 * u + 40.0 * v).sin() * (70.0 * v - 25.0 * u).cos();
        let (red, green, blue) = if v < hills {
            (110.0 + 90.0 * v, 150.0 + 60.0 * v, 215.0 - 30.0 * v)
        } else {
            (70.0 + 60.0 * u + texture, 105.0 + 50.0 * (v - hills) + texture, 50.0 + 0.5 * texture)
        };
        [byte(red + grain), byte(green + grain), byte(blue + grain), 255]
    })
}

/// Flat boxes, lines and marks like letters in a few colours, as on a chart.
pub(crate) fn graphic(width: u32, height: u32) -> Pixels {
    const COLOURS: [[u8; 3]; 6] = [
        [255, 255, 255],
        [32, 33, 36],
        [66, 133, 244],
        [219, 68, 55],
        [244, 180, 0],
        [15, 157, 88],
    ];
    Pixels::of(width, height, 3, |x, y| {
        let (column, row) = (x / 40, y / 24);
        let is_letter =
            row % 2 == 1 && (x / 2 + y / 3) % 5 < 2 && !noise(x / 8, y / 12).is_multiple_of(3);
        let is_bar = row % 6 == 2 && column > 1 && noise(row, 7) % 20 > column;
        let colour = if is_letter {
            1
        } else if is_bar {
            2 + row as usize % 4
        } else {
            0
        };
        let [red, green, blue] = COLOURS[colour];
        [red, green, blue, 255]
    })
}

/// A round badge with soft edges and a gradient, transparent around it.
pub(crate) fn badge(width: u32, height: u32) -> Pixels {
    Pixels::of(width, height, 4, |x, y| {
        let (u, v) =
            (f64::from(x) / f64::from(width) - 0.5, f64::from(y) / f64::from(height) - 0.5);
        let alpha = 255.0 * ((0.45 - (u * u + v * v).sqrt()) * 40.0).clamp(0.0, 1.0);
        if alpha < 1.0 {
            return [0, 0, 0, 0];
        }
        [byte(200.0 + 100.0 * v), byte(90.0 + 120.0 * u), byte(120.0 - 80.0 * v), byte(alpha)]
    })
}

/// Its left upper quarter red, the right one green, the left lower one blue, the right one white.
pub(crate) fn quarters(width: u32, height: u32) -> Pixels {
    Pixels::of(width, height, 3, |x, y| match (x < width / 2, y < height / 2) {
        (true, true) => [230, 20, 20, 255],
        (false, true) => [20, 200, 20, 255],
        (true, false) => [20, 20, 230, 255],
        (false, false) => [250, 250, 250, 255],
    })
}

pub(crate) fn grey(of: &Pixels) -> Pixels {
    Pixels::of(of.width, of.height, 1, |x, y| [of.at(x, y)[1]; 4])
}

/// How a JPEG is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scans {
    Baseline,
    Progressive,
}

pub(crate) fn jpeg(of: &Pixels, quality: u8, scans: Scans) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut out, quality);
    encoder.set_progressive(matches!(scans, Scans::Progressive));
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    let kind = if of.bytes == 1 { ColorType::Luma } else { ColorType::Rgb };
    let side = |side: u32| u16::try_from(side).expect("a side of an image");
    encoder.encode(&of.data, side(of.width), side(of.height), kind).expect("pixels");
    out
}

/// As an editor writes it that is in a hurry.
pub(crate) fn png(of: &Pixels) -> Vec<u8> {
    let mut info = png::Info::with_size(of.width, of.height);
    info.bit_depth = png::BitDepth::Eight;
    info.color_type = match of.bytes {
        1 => png::ColorType::Grayscale,
        3 => png::ColorType::Rgb,
        _ => png::ColorType::Rgba,
    };
    png_with(info, &of.data)
}

pub(crate) fn png_with(info: png::Info<'_>, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::with_info(&mut out, info).expect("a header");
    encoder.set_deflate_compression(png::DeflateCompression::Level(1));
    encoder.set_filter(png::Filter::NoFilter);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(data).expect("pixels");
    writer.finish().expect("an end");
    out
}

pub(crate) fn png_info(
    of: (u32, u32),
    color_type: png::ColorType,
    bit_depth: png::BitDepth,
) -> png::Info<'static> {
    let mut info = png::Info::with_size(of.0, of.1);
    (info.color_type, info.bit_depth) = (color_type, bit_depth);
    if color_type == png::ColorType::Indexed {
        let colours = 1_usize << (bit_depth as u8).min(8);
        let palette: Vec<u8> =
            (0..colours * 3).map(|at| u8::try_from(at * 37 % 256).expect("a byte")).collect();
        info.palette = Some(Cow::Owned(palette));
    }
    info
}

/// Frames of one GIF, each covering the whole of it.
pub(crate) fn gif(frames: &[&Pixels]) -> Vec<u8> {
    let mut out = Vec::new();
    let side = |side: u32| u16::try_from(side).expect("a side of an image");
    let (width, height) = (side(frames[0].width), side(frames[0].height));
    let mut colours: Vec<[u8; 3]> = Vec::new();
    let mut number = |pixel: &[u8]| {
        let colour = [pixel[0] & 0xe0, pixel[1] & 0xe0, pixel[2] & 0xc0];
        let known = colours.iter().position(|&one| one == colour);
        let at = known.unwrap_or_else(|| {
            colours.push(colour);
            colours.len() - 1
        });
        u8::try_from(at).expect("few colours")
    };
    let numbers: Vec<Vec<u8>> = frames
        .iter()
        .map(|frame| frame.data.chunks_exact(frame.bytes).map(&mut number).collect())
        .collect();
    let palette = colours.concat();
    let mut encoder = gif::Encoder::new(&mut out, width, height, &palette).expect("a header");
    for numbers in numbers {
        let frame =
            gif::Frame { width, height, buffer: Cow::Owned(numbers), ..gif::Frame::default() };
        encoder.write_frame(&frame).expect("a frame");
    }
    drop(encoder);
    out
}

pub(crate) fn webp_lossless(of: &Pixels) -> Vec<u8> {
    let mut out = Vec::new();
    let kind = match of.bytes {
        1 => image_webp::ColorType::L8,
        3 => image_webp::ColorType::Rgb8,
        _ => image_webp::ColorType::Rgba8,
    };
    let encoder = image_webp::WebPEncoder::new(&mut out);
    encoder.encode(&of.data, of.width, of.height, kind).expect("pixels");
    out
}

pub(crate) fn webp_lossy(of: &Pixels, quality: f32) -> Vec<u8> {
    let layout = if of.bytes == 4 { webp::PixelLayout::Rgba } else { webp::PixelLayout::Rgb };
    webp::Encoder::new(&of.data, layout, of.width, of.height).encode(quality).to_vec()
}

/// A WebP with two frames, of which only the chunks matter.
pub(crate) fn webp_animated(of: &Pixels) -> Vec<u8> {
    let still = webp_lossless(of);
    let mut chunks = b"WEBPVP8X\x0a\0\0\0\x02\0\0\0".to_vec();
    let sides: Vec<u8> = [of.width, of.height]
        .iter()
        .flat_map(|side| (side - 1).to_le_bytes().into_iter().take(3))
        .collect();
    chunks.extend_from_slice(&sides);
    chunks.extend_from_slice(b"ANIM\x06\0\0\0\0\0\0\0\0\0");
    for _ in 0..2 {
        let frame = [&[0; 6][..], &sides, &[100, 0, 0, 0], &still[12..]].concat();
        chunks.extend_from_slice(b"ANMF");
        chunks.extend_from_slice(&u32::try_from(frame.len()).expect("short").to_le_bytes());
        chunks.extend_from_slice(&frame);
    }
    let length = u32::try_from(chunks.len()).expect("short").to_le_bytes();
    [&b"RIFF"[..], &length, &chunks].concat()
}

/// A chunk ahead of the pixels of a PNG, with the right sum.
pub(crate) fn with_chunk(png: &[u8], name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut chunk = u32::try_from(data.len()).expect("short").to_be_bytes().to_vec();
    let summed = [&name[..], data].concat();
    chunk.extend_from_slice(&summed);
    chunk.extend_from_slice(&crc(&summed).to_be_bytes());
    // Behind the signature and the header.
    [&png[..33], &chunk, &png[33..]].concat()
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 }
        })
    })
}

/// A segment behind the first two bytes of a JPEG.
pub(crate) fn with_segment(jpeg: &[u8], marker: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 2).expect("short").to_be_bytes();
    [&jpeg[..2], &[0xff, marker], &length, data, &jpeg[2..]].concat()
}

/// A block of Exif that tells nothing but how the camera was held.
pub(crate) fn exif(orientation: u8) -> Vec<u8> {
    let mut out = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    out.extend_from_slice(&[orientation, 0, 0, 0, 0, 0, 0]);
    out
}

/// Primaries of displays, relative to D50.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Primaries {
    Srgb,
    DisplayP3,
}

/// A profile of a display with the curve of sRGB.
pub(crate) fn icc(primaries: Primaries) -> Vec<u8> {
    let columns = match primaries {
        Primaries::Srgb => {
            [[0.4361, 0.2225, 0.0139], [0.3851, 0.7169, 0.0971], [0.1431, 0.0606, 0.7141]]
        }
        Primaries::DisplayP3 => {
            [[0.5151, 0.2412, -0.0011], [0.2920, 0.6922, 0.0419], [0.1571, 0.0666, 0.7841]]
        }
    };
    #[expect(clippy::cast_possible_truncation, reason = "numbers of a digit or two")]
    let fixed = |value: f64| ((value * 65536.0).round() as i32).to_be_bytes();
    let mut values = Vec::new();
    let mut table = Vec::new();
    let mut tag = |name: &[u8], value: Vec<u8>| {
        let at = u32::try_from(128 + 4 + 6 * 12 + values.len()).expect("short");
        let length = u32::try_from(value.len()).expect("short");
        table.extend_from_slice(&[name, &at.to_be_bytes(), &length.to_be_bytes()].concat());
        values.extend_from_slice(&value);
    };
    for (name, column) in [b"rXYZ", b"gXYZ", b"bXYZ"].iter().zip(columns) {
        let numbers: Vec<u8> = column.into_iter().flat_map(fixed).collect();
        tag(&name[..], [&b"XYZ \0\0\0\0"[..], &numbers].concat());
    }
    for name in [b"rTRC", b"gTRC", b"bTRC"] {
        let numbers = [2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.040_45];
        let numbers: Vec<u8> = numbers.into_iter().flat_map(fixed).collect();
        tag(&name[..], [&b"para\0\0\0\0\0\x03\0\0"[..], &numbers].concat());
    }
    let mut out = [0; 128];
    out[8] = 4;
    out[12..24].copy_from_slice(b"mntrRGB XYZ ");
    out[36..40].copy_from_slice(b"acsp");
    let length = u32::try_from(128 + 4 + table.len() + values.len()).expect("short");
    out[..4].copy_from_slice(&length.to_be_bytes());
    [&out[..], &6_u32.to_be_bytes(), &table, &values].concat()
}

/// Bytes by chance, the same for the same seed.
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end.max(1)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).expect("a byte")
    }
}
