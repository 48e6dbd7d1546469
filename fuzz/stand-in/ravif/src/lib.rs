//! What `doorman-optimize` asks of the writer of AVIF, without one: the real one comes with some sixty packages to
//! build, and reads nothing that comes from a network. What it is handed is looked at, and what it answers is an eighth
//! of that.
#![forbid(unsafe_code)]

/// Bits of a channel.
#[derive(Clone, Copy, Debug)]
pub enum BitDepth {
    /// As many as came.
    Eight,
}

/// A pixel.
#[derive(Clone, Copy, Debug)]
pub struct RGB8([u8; 3]);

impl RGB8 {
    /// Of three channels.
    #[must_use]
    pub const fn new(red: u8, green: u8, blue: u8) -> Self {
        Self([red, green, blue])
    }
}

/// A pixel, and how much it hides.
#[derive(Clone, Copy, Debug)]
pub struct RGBA8([u8; 4]);

impl RGBA8 {
    /// Of four channels.
    #[must_use]
    pub const fn new(red: u8, green: u8, blue: u8, alpha: u8) -> Self {
        Self([red, green, blue, alpha])
    }
}

/// Pixels, by line.
#[derive(Clone, Copy, Debug)]
pub struct Img<T> {
    pixels: T,
    size: (usize, usize),
}

impl<T> Img<T> {
    /// Of this width and height.
    #[must_use]
    pub const fn new(pixels: T, width: usize, height: usize) -> Self {
        Self { pixels, size: (width, height) }
    }
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Its bytes.
    pub avif_file: Vec<u8>,
}

/// An image without a pixel.
#[derive(Clone, Copy, Debug)]
pub struct Error;

/// How it is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Encoder;

impl Encoder {
    /// As it comes.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }

    /// 1 to 100, as the real one insists.
    #[must_use]
    pub fn with_quality(self, quality: f32) -> Self {
        assert!((1.0..=100.0).contains(&quality), "{quality}");
        self
    }

    /// The same.
    #[must_use]
    pub fn with_alpha_quality(self, quality: f32) -> Self {
        self.with_quality(quality)
    }

    /// 1 to 10, as the real one insists.
    #[must_use]
    pub fn with_speed(self, speed: u8) -> Self {
        assert!((1..=10).contains(&speed), "{speed}");
        self
    }

    /// Of whatever depth.
    #[must_use]
    pub const fn with_bit_depth(self, _: BitDepth) -> Self {
        self
    }

    /// By however many.
    #[must_use]
    pub const fn with_num_threads(self, _: Option<usize>) -> Self {
        self
    }

    /// An eighth of what came.
    ///
    /// # Errors
    /// There is no pixel.
    pub fn encode_rgb(&self, image: Img<&[RGB8]>) -> Result<Encoded, Error> {
        written(image.size, image.pixels.iter().map(|pixel| pixel.0[0]))
    }

    /// The same.
    ///
    /// # Errors
    /// There is no pixel.
    pub fn encode_rgba(&self, image: Img<&[RGBA8]>) -> Result<Encoded, Error> {
        written(image.size, image.pixels.iter().map(|pixel| pixel.0[3]))
    }
}

fn written((width, height): (usize, usize), pixels: impl ExactSizeIterator<Item = u8>) -> Result<Encoded, Error> {
    assert_eq!(pixels.len(), width * height, "a picture has as many pixels as its size says");
    if pixels.len() == 0 { Err(Error) } else { Ok(Encoded { avif_file: pixels.step_by(8).collect() }) }
}
