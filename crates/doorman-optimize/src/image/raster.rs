//! Pixels: made smaller, turned upright.
//!
//! Scaling is done on the numbers as they are stored, not on light: it is what browsers do when they
//! scale the original themselves, so a picture looks the same whoever made it smaller, and it takes
//! half the memory. Transparent pixels weigh nothing in it: colours are multiplied by their alpha
//! first.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::orientation::Orientation;
use super::refusal::Refusal;

/// What a pixel consists of, a byte each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Grey,
    Rgb,
    Rgba,
}

impl Layout {
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }
}

/// Width and height; neither is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Size {
    pub(super) fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    pub(super) fn turned(self, orientation: Orientation) -> Self {
        if orientation.is_sideways() {
            Self { width: self.height, height: self.width }
        } else {
            self
        }
    }

    /// The largest of the same shape within these bounds, which is never larger than this one.
    pub(super) fn within(self, max_width: Option<u32>, max_height: Option<u32>) -> Self {
        let mut size = self;
        if let Some(width) = max_width.map(|width| width.max(1)).filter(|&width| width < size.width)
        {
            size = Self { width, height: scaled(self.height, width, self.width) };
        }
        match max_height.map(|height| height.max(1)).filter(|&height| height < size.height) {
            Some(height) => Self { width: scaled(self.width, height, self.height), height },
            None => size,
        }
    }
}

/// `side * part / whole`, rounded, at least one.
fn scaled(side: u32, part: u32, whole: u32) -> u32 {
    let (side, part, whole) = (u64::from(side), u64::from(part), u64::from(whole));
    let rounded = (side * part + whole / 2) / whole.max(1);
    u32::try_from(rounded).unwrap_or(u32::MAX).max(1)
}

/// An image, row by row without gaps.
#[derive(Clone, Debug)]
pub(super) struct Raster {
    pub(super) size: Size,
    pub(super) layout: Layout,
    pub(super) data: Vec<u8>,
}

impl Raster {
    /// `None` if there are not as many bytes as the size says.
    pub(super) fn new(size: Size, layout: Layout, data: Vec<u8>) -> Option<Self> {
        let is_whole = data.len() as u64 == size.pixels() * layout.bytes() as u64;
        is_whole.then_some(Self { size, layout, data })
    }

    pub(super) fn is_opaque(&self) -> bool {
        self.layout != Layout::Rgba || self.data.chunks_exact(4).all(|pixel| pixel[3] == u8::MAX)
    }

    /// Leaves out an alpha that says nothing.
    pub(super) fn without_alpha(self) -> Self {
        if self.layout != Layout::Rgba || !self.is_opaque() {
            return self;
        }
        let data = self.data.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]);
        Self { size: self.size, layout: Layout::Rgb, data: data.collect() }
    }

    /// Scaled to a size that is smaller in at least one direction.
    pub(super) fn resized(self, size: Size) -> Result<Self, Refusal> {
        if size == self.size {
            return Ok(self);
        }
        let kind = match self.layout {
            Layout::Grey => PixelType::U8,
            Layout::Rgb => PixelType::U8x3,
            Layout::Rgba => PixelType::U8x4,
        };
        let from = ImageRef::new(self.size.width, self.size.height, &self.data, kind)
            .map_err(|_| Refusal::Unsupported)?;
        let mut to = Image::new(size.width, size.height, kind);
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(fast_image_resize::FilterType::Lanczos3));
        Resizer::new().resize(&from, &mut to, &options).map_err(|_| Refusal::Unsupported)?;
        Self::new(size, self.layout, to.into_vec()).ok_or(Refusal::Unsupported)
    }

    /// As it is to be seen.
    pub(super) fn turned(self, orientation: Orientation) -> Self {
        if orientation.is_upright() {
            return self;
        }
        match self.layout {
            Layout::Grey => self.turned_pixels::<1>(orientation),
            Layout::Rgb => self.turned_pixels::<3>(orientation),
            Layout::Rgba => self.turned_pixels::<4>(orientation),
        }
    }

    fn turned_pixels<const BYTES: usize>(self, orientation: Orientation) -> Self {
        let (pixels, _) = self.data.as_chunks::<BYTES>();
        let (width, height) = (self.size.width as usize, self.size.height as usize);
        let size = self.size.turned(orientation);
        let mut data = Vec::with_capacity(self.data.len());
        for y in 0..size.height as usize {
            for x in 0..size.width as usize {
                let (column, row) = match orientation.turns {
                    0 => (x, y),
                    1 => (y, height - 1 - x),
                    2 => (width - 1 - x, height - 1 - y),
                    _ => (width - 1 - y, x),
                };
                let column = if orientation.mirrored { width - 1 - column } else { column };
                data.extend_from_slice(&pixels[row * width + column]);
            }
        }
        Self { size, layout: self.layout, data }
    }
}
