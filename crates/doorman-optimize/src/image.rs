//! Images made smaller: in another format, with fewer pixels, packed better.
//!
//! One decision shaped this module: what an image would cost is known before anything is decoded.
//! Its first bytes are read by readers of our own, which allocate nothing; sizes, scans and the
//! memory that decoder and encoder would need are held against bounds, and only then the decoder
//! sees it. The colours that are seen never change: what cannot be said in the other format (a
//! profile in AVIF, a gain map) is not made. Metadata goes; the one thing in it that is seen, the
//! orientation, is applied to the pixels of a JPEG.
//!
//! ```text
//! choose (Accept) -> Want
//! bytes -> Probe -> bounds -> decode -> scale -> turn -> encode -> Made, or a Refusal
//! ```

mod accept;
mod avif;
mod cost;
mod gif;
mod jpeg;
mod numbers;
mod orientation;
mod png;
mod profile;
mod raster;
mod refusal;
mod webp;
mod width;

pub use accept::choose;
pub use orientation::Orientation;
pub use refusal::Refusal;
pub use width::{Asked, Hints, Widths, asked};

use profile::Colours;
use raster::{Raster, Size};

/// A format of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// JPEG (ITU-T T.81).
    Jpeg,
    /// PNG.
    Png,
    /// GIF, which is only read.
    Gif,
    /// WebP (RFC 9649).
    WebP,
    /// AVIF, which is only written.
    Avif,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Jpeg, Self::Png, Self::Gif, Self::WebP, Self::Avif];

    /// Its word in configuration, logs and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::WebP => "webp",
            Self::Avif => "avif",
        }
    }

    /// Its media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::WebP => "image/webp",
            Self::Avif => "image/avif",
        }
    }
}

/// The format that bytes begin like, of those that are read.
#[must_use]
pub fn sniff(bytes: &[u8]) -> Option<Format> {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Some(Format::Jpeg),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Format::WebP),
        _ if bytes.starts_with(b"\x89PNG\r\n\x1a\n") => Some(Format::Png),
        _ if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") => Some(Format::Gif),
        _ => None,
    }
}

/// What an image says of itself ahead of its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What it is, told by its bytes and not by its `Content-Type`.
    pub format: Format,
    /// Pixels in a row as it is stored.
    pub width: u32,
    /// Rows as it is stored.
    pub height: u32,
    /// Whether there is more than one frame.
    pub animated: bool,
    /// Whether pixels may be transparent.
    pub has_alpha: bool,
    /// How it is to be turned before it is shown.
    pub orientation: Orientation,
}

impl Probe {
    /// Reads what stands ahead of the pixels, and nothing else.
    ///
    /// # Errors
    ///
    /// If it is no image that is read, or is cut ahead of its pixels.
    pub fn of(bytes: &[u8]) -> Result<Self, Refusal> {
        match sniff(bytes).ok_or(Refusal::Unsupported)? {
            Format::Jpeg => jpeg::probe(bytes),
            Format::Png => png::probe(bytes),
            Format::Gif => gif::probe(bytes),
            Format::WebP => webp::probe(bytes),
            Format::Avif => Err(Refusal::Unsupported),
        }
    }

    fn size(&self) -> Size {
        Size { width: self.width, height: self.height }
    }
}

/// How good a lossy image is to be, 1 to 100, on the scale of its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Quality(u8);

impl Quality {
    /// The nearest one that there is.
    #[must_use]
    pub fn new(quality: u8) -> Self {
        Self(quality.clamp(1, 100))
    }

    /// As a number.
    #[must_use]
    pub fn value(self) -> u8 {
        self.0
    }
}

/// What an image is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Want {
    /// In this format.
    pub format: Format,
    /// No wider than this as it is shown; the shape is kept, and nothing is made larger.
    pub max_width: Option<u32>,
    /// No higher than this as it is shown.
    pub max_height: Option<u32>,
    /// For formats that lose something.
    pub quality: Quality,
}

/// What an image may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Pixels of the original.
    pub max_pixels: u64,
    /// Bytes of the original.
    pub max_bytes: usize,
    /// Bytes that are held at once while it is worked on, beside the original.
    pub max_memory: u64,
}

/// An image that is smaller than its original.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The file.
    pub bytes: Vec<u8>,
    /// What it is.
    pub format: Format,
    /// As it is shown.
    pub width: u32,
    /// As it is shown.
    pub height: u32,
}

/// The most memory that [`optimize`] would hold at once beside the original, in bytes.
///
/// # Errors
///
/// If it is no image that is read, or is cut ahead of its pixels.
pub fn memory(bytes: &[u8], want: &Want) -> Result<u64, Refusal> {
    let probe = Probe::of(bytes)?;
    let shown = probe.size().turned(probe.orientation);
    let size = shown.within(want.max_width, want.max_height);
    Ok(cost::memory(bytes, &probe, want.format, size))
}

/// Makes what is wanted of an image, which has fewer bytes than the image.
///
/// # Errors
///
/// If the original is to be served.
pub fn optimize(bytes: &[u8], want: &Want, bounds: &Bounds) -> Result<Made, Refusal> {
    if bytes.len() > bounds.max_bytes {
        return Err(Refusal::TooLarge);
    }
    let probe = Probe::of(bytes)?;
    if probe.animated {
        return Err(Refusal::Animated);
    }
    if probe.size().pixels() > bounds.max_pixels {
        return Err(Refusal::TooManyPixels);
    }
    // Browsers do not agree on whether these are turned, so either way would change what somebody
    // sees.
    if probe.format != Format::Jpeg && !probe.orientation.is_upright() {
        return Err(Refusal::Unsupported);
    }
    let shown = probe.size().turned(probe.orientation);
    let size = shown.within(want.max_width, want.max_height);
    if cost::memory(bytes, &probe, want.format, size) > bounds.max_memory {
        return Err(Refusal::TooCostly);
    }
    let out = if probe.format == Format::Png && want.format == Format::Png && size == shown {
        png::pack(bytes)?
    } else {
        Picture::decode(bytes, &probe, want.format)?.shown(size, probe.orientation)?.encode(want)?
    };
    if out.len() >= bytes.len() {
        return Err(Refusal::NotSmaller);
    }
    Ok(Made { bytes: out, format: want.format, width: size.width, height: size.height })
}

/// A decoded image and what has to be known of where it came from.
#[derive(Debug)]
struct Picture {
    raster: Raster,
    colours: Colours,
    /// Whether nothing was lost so far, so that it may be worth not to lose anything now.
    is_exact: bool,
    /// Whether its colours are coarser than its brightness already.
    is_subsampled: bool,
}

impl Picture {
    fn decode(bytes: &[u8], probe: &Probe, wanted: Format) -> Result<Self, Refusal> {
        // What lost something before does not get smaller by losing nothing more.
        let is_pointless = wanted == Format::Png && probe.format == Format::Jpeg;
        if wanted == Format::Gif || is_pointless {
            return Err(Refusal::Unsupported);
        }
        match probe.format {
            Format::Jpeg => jpeg::decode(bytes),
            Format::Png => png::decode(bytes),
            Format::Gif => gif::decode(bytes, probe),
            Format::WebP => webp::decode(bytes, probe),
            Format::Avif => Err(Refusal::Unsupported),
        }
    }

    /// Scaled before it is turned, because there is less to turn then.
    fn shown(self, size: Size, orientation: Orientation) -> Result<Self, Refusal> {
        let raster = self.raster.resized(size.turned(orientation))?.turned(orientation);
        Ok(Self { raster, ..self })
    }

    fn encode(&self, want: &Want) -> Result<Vec<u8>, Refusal> {
        match want.format {
            Format::Jpeg => jpeg::encode(self, want.quality),
            Format::Png => png::encode(self),
            Format::WebP => webp::encode(self, want.quality),
            Format::Avif => avif::encode(self, want.quality),
            Format::Gif => Err(Refusal::Unsupported),
        }
    }
}
