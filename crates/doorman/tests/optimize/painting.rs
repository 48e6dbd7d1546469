//! Images as cameras and programs make them, painted by arithmetic alone: the same on every machine.

use std::io::Cursor;

use doorman_testkit::sums::Dice;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

/// A photo: clouds of many sizes, noise as of a sensor, nothing sharp; as JPEG of high quality, with a
/// comment as cameras leave it.
pub(crate) fn photo(width: u32, height: u32) -> Vec<u8> {
    let planes: Vec<Plane> = (0..3).map(Plane::new).collect();
    let mut grain = Dice::new(5);
    let image = RgbImage::from_fn(width, height, |x, y| {
        let noise = grain.below(9) as f32 - 4.0;
        Rgb([0, 1, 2].map(|n| {
            let light = planes[n].at(x, y) + planes[0].at(x, y);
            byte(light * 100.0 + 30.0 * n as f32 + noise)
        }))
    });
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 92).encode_image(&image).expect("memory");
    // A COM segment behind the first marker (ITU T.81 section B.2.4.5).
    let comment = "painted by arithmetic ".repeat(40);
    let length = u16::try_from(comment.len() + 2).expect("a short comment").to_be_bytes();
    let segment = [&[0xff, 0xfe], &length[..], comment.as_bytes()].concat();
    bytes.splice(2..2, segment);
    bytes
}

/// A chart: plain areas, sharp edges, few colours.
pub(crate) fn chart(width: u32, height: u32) -> Vec<u8> {
    let colours = [[51, 102, 153], [204, 102, 51], [102, 153, 51], [153, 51, 102]];
    let image = RgbImage::from_fn(width, height, |x, y| {
        let bar = x / 40;
        let top = (bar * bar * 31) % (height - 60) + 30;
        if x < 3 || y + 3 > height {
            Rgb([0, 0, 0])
        } else if y > top && x % 40 > 6 {
            Rgb(colours[bar as usize % 4])
        } else if y % 40 == 0 {
            Rgb([221, 221, 221])
        } else {
            Rgb([255, 255, 255])
        }
    });
    png(DynamicImage::ImageRgb8(image))
}

/// A logo: rings with smooth edges on nothing.
pub(crate) fn logo(size: u32) -> Vec<u8> {
    let middle = size as f32 / 2.0;
    let image = RgbaImage::from_fn(size, size, |x, y| {
        let (dx, dy) = (x as f32 + 0.5 - middle, y as f32 + 0.5 - middle);
        let ring = dx.hypot(dy) / middle * 4.0;
        let edge = (ring.fract() - 0.5).abs();
        let alpha = if ring > 4.0 { 0.0 } else { byte_f((edge - 0.1) * 1500.0) };
        Rgba([byte(40.0 + ring * 50.0), 90, byte(220.0 - ring * 40.0), byte(alpha)])
    });
    png(DynamicImage::ImageRgba8(image))
}

fn png(image: DynamicImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    image.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).expect("memory");
    bytes
}

/// Smooth noise, of which each octave is half as high and half as wide as the one before.
struct Plane {
    seed: u64,
}

impl Plane {
    fn new(seed: u64) -> Self {
        Self { seed: seed + 1 }
    }

    /// From 0 to 1.
    fn at(&self, x: u32, y: u32) -> f32 {
        let octaves = [(128, 0.5), (64, 0.25), (32, 0.125), (16, 0.0625), (8, 0.03125)];
        octaves.into_iter().map(|(cell, height)| self.octave(x, y, cell) * height).sum()
    }

    fn octave(&self, x: u32, y: u32, cell: u32) -> f32 {
        let (column, row) = (x / cell, y / cell);
        let ease = |t: f32| t * t * (3.0 - 2.0 * t);
        let (right, down) =
            (ease((x % cell) as f32 / cell as f32), ease((y % cell) as f32 / cell as f32));
        let mix = |a: f32, b: f32, t: f32| a + (b - a) * t;
        let over = mix(self.corner(column, row, cell), self.corner(column + 1, row, cell), right);
        let under =
            mix(self.corner(column, row + 1, cell), self.corner(column + 1, row + 1, cell), right);
        mix(over, under, down)
    }

    fn corner(&self, column: u32, row: u32, cell: u32) -> f32 {
        let place = u64::from(column) << 40 | u64::from(row) << 20 | u64::from(cell);
        Dice::new(place ^ self.seed << 60).below(1000) as f32 / 1000.0
    }
}

fn byte_f(value: f32) -> f32 {
    value.clamp(0.0, 255.0)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is clamped to what a byte holds"
)]
fn byte(value: f32) -> u8 {
    byte_f(value) as u8
}
