//! What answers are made smaller that show the same.
//!
//! Defaults and qualities are worked out here for each format and each preset, so that who makes an image looks at one
//! place only.

use crate::{Setting, Span, Spanned};

/// `optimize` lines. For each kind of content the nearest one holds; `optimize off` ends all before it.
#[derive(Clone, Debug, Default)]
pub struct Optimize {
    /// `optimize images`; `None`: images stay as they are. Answers of servers are kept where it stands.
    pub images: Option<Box<OptimizeImages>>,
    /// Kinds of texts, each once. Where one but HTML stands, answers of servers are kept.
    pub texts: Vec<Spanned<OptimizeText>>,
}

/// A kind of texts that is made smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptimizeText {
    /// Which.
    pub kind: TextKind,
    /// `max-size`: bytes of the largest one that is read; 8 MiB. HTML is worked on as it passes, whatever its size.
    pub max_size: u64,
}

/// Kinds of texts that can be made smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextKind {
    /// `html`.
    Html,
    /// `css`: style sheets.
    Css,
    /// `js`: scripts and modules.
    Js,
    /// `json`: JSON, and whatever is built on it.
    Json,
    /// `svg`: vector images.
    Svg,
}

impl TextKind {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            TextKind::Html => "html",
            TextKind::Css => "css",
            TextKind::Js => "js",
            TextKind::Json => "json",
            TextKind::Svg => "svg",
        }
    }
}

/// `optimize images { ... }`.
#[derive(Clone, Debug)]
pub struct OptimizeImages {
    /// `formats`: what images are made, the best first, each once, at least one; AVIF, WebP, JPEG, PNG.
    pub formats: Setting<Vec<ImageFormat>>,
    /// `quality`.
    pub quality: ImageQuality,
    /// `resize`: the parameter of the query by which clients ask for a width or a preset; letters, digits, `-`, `_`,
    /// `.` and `~`. Then there is a width or a preset.
    pub resize: Option<Spanned<String>>,
    /// `widths`: pixels, ascending, each once, 32 at most. Then there is `resize` or `hints`.
    pub widths: Vec<Spanned<u32>>,
    /// `preset` blocks, by different names, 32 at most. Then there is `resize`.
    pub presets: Vec<Spanned<ImagePreset>>,
    /// `max-pixels`: pixels of the largest original that is read; 40 million.
    pub max_pixels: Setting<u64>,
    /// `max-size`: bytes of the largest original that is read; 20 MiB.
    pub max_size: Setting<u64>,
    /// `hints`: whether browsers are asked how wide they show an image; they are not. Then there is a width.
    pub hints: Setting<bool>,
    /// The line.
    pub span: Span,
}

/// A format that images are made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageFormat {
    /// AVIF.
    Avif,
    /// WebP (RFC 9649).
    WebP,
    /// JPEG, made of JPEG only.
    Jpeg,
    /// PNG, made of PNG only and without loss.
    Png,
}

impl ImageFormat {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            ImageFormat::Avif => "avif",
            ImageFormat::WebP => "webp",
            ImageFormat::Jpeg => "jpeg",
            ImageFormat::Png => "png",
        }
    }
}

/// How good images are, 1 to 100, on the scale of each format that loses something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageQuality {
    /// AVIF; 60, which looks like 80 of the others.
    pub avif: u8,
    /// WebP; 80.
    pub webp: u8,
    /// JPEG; 80.
    pub jpeg: u8,
}

/// `preset NAME { ... }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePreset {
    /// Its name, which is no number.
    pub name: String,
    /// No wider than so many pixels.
    pub width: Option<u32>,
    /// No higher than so many pixels.
    pub height: Option<u32>,
    /// As good as that; what the preset leaves out is that of its `optimize images`.
    pub quality: ImageQuality,
}
