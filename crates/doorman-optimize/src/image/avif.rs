//! AVIF, which is only written.

use ravif::{BitDepth, Encoder, Img, RGB8, RGBA8};

use super::profile::Colours;
use super::raster::Layout;
use super::{Picture, Quality, Refusal};

/// Of 1 (slowest) to 10. Slower ones save bytes, and one core has to write a megapixel in a second or
/// two.
const SPEED: u8 = 9;

pub(super) fn encode(picture: &Picture, quality: Quality) -> Result<Vec<u8>, Refusal> {
    // What writes it can say sRGB and nothing else.
    if picture.colours != Colours::Srgb {
        return Err(Refusal::Profile);
    }
    let quality = f32::from(quality.value());
    // One thread: those that would help belong to nobody here.
    let encoder = Encoder::new()
        .with_quality(quality)
        .with_alpha_quality(quality)
        .with_speed(SPEED)
        .with_bit_depth(BitDepth::Eight)
        .with_num_threads(Some(1));
    let (width, height) = (picture.raster.size.width as usize, picture.raster.size.height as usize);
    let data = &picture.raster.data;
    let encoded = match picture.raster.layout {
        Layout::Rgba => {
            let pixel = |pixel: &[u8]| RGBA8::new(pixel[0], pixel[1], pixel[2], pixel[3]);
            let pixels: Vec<_> = data.chunks_exact(4).map(pixel).collect();
            encoder.encode_rgba(Img::new(&pixels, width, height))
        }
        Layout::Rgb => {
            let pixel = |pixel: &[u8]| RGB8::new(pixel[0], pixel[1], pixel[2]);
            let pixels: Vec<_> = data.chunks_exact(3).map(pixel).collect();
            encoder.encode_rgb(Img::new(&pixels, width, height))
        }
        Layout::Grey => {
            let pixels: Vec<_> = data.iter().map(|&grey| RGB8::new(grey, grey, grey)).collect();
            encoder.encode_rgb(Img::new(&pixels, width, height))
        }
    };
    encoded.map(|encoded| encoded.avif_file).map_err(|_| Refusal::Unsupported)
}
