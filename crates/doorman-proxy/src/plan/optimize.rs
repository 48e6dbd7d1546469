//! What a route makes smaller that shows the same, ready to run.

use std::sync::Arc;

use doorman_config::{ImageFormat, ImageQuality, Optimize, OptimizeImages, TextKind};
use doorman_net::Clock;
use doorman_optimize::image::{self, Format, Widths};
use doorman_optimize::text::{self, Kind};

use super::Ground;
use crate::form::{Made, Qualities, Shape};
use crate::workshop::Workshop;

/// Bytes of memory that the work on one image may take, beside its own: what 40 million pixels need, as
/// many as are allowed where nothing is said, once in and once out.
const IMAGE_MEMORY_MAX: u64 = 512 << 20;

/// Which smaller forms of stored answers are made, and where.
pub(crate) struct PlanForms {
    pub(crate) rules: PlanOptimize,
    pub(crate) workshop: Arc<Workshop>,
    pub(crate) made: Arc<Made>,
    pub(crate) clock: Clock,
}

impl PlanForms {
    /// `None` if there is nothing to make.
    pub(super) fn compile(written: &Optimize, ground: &Ground) -> Option<Box<Self>> {
        let (workshop, made) = (Arc::clone(&ground.workshop), Arc::clone(&ground.made));
        let rules = PlanOptimize::compile(written)?;
        Some(Box::new(Self { rules, workshop, made, clock: ground.clock }))
    }
}

/// What is made smaller.
pub(crate) struct PlanOptimize {
    pub(crate) images: Option<Box<PlanImages>>,
    /// Bounds on each kind of text; `None`: it stays as it is.
    texts: [Option<text::Bounds>; TEXTS],
}

/// Kinds of text.
const TEXTS: usize = 5;

/// How images are made.
pub(crate) struct PlanImages {
    /// Formats, the best first.
    pub(crate) offered: Box<[Format]>,
    quality: Qualities,
    /// The parameter of the query by which clients ask for a size.
    pub(crate) resize: Option<Box<[u8]>>,
    pub(crate) widths: Widths,
    names: Box<[Box<[u8]>]>,
    presets: Box<[Shape]>,
    pub(crate) bounds: image::Bounds,
    /// Whether browsers are asked how wide they show images.
    pub(crate) hints: bool,
}

impl PlanOptimize {
    /// `None` if nothing is to be done.
    pub(super) fn compile(written: &Optimize) -> Option<Self> {
        let mut texts = [None; TEXTS];
        for one in &written.texts {
            let size = usize::try_from(one.value.max_size).unwrap_or(usize::MAX);
            texts[kind(one.value.kind) as usize] =
                Some(text::Bounds { size, ..text::Bounds::default() });
        }
        let images = written.images.as_deref().map(|images| Box::new(PlanImages::compile(images)));
        let is_any = images.is_some() || texts.iter().any(Option::is_some);
        is_any.then_some(Self { images, texts })
    }

    /// The bounds on a kind of text, if it is made smaller.
    pub(crate) fn text(&self, kind: Kind) -> Option<text::Bounds> {
        self.texts[kind as usize]
    }
}

/// Whether pages are made smaller.
pub(super) fn makes_pages(written: &Optimize) -> bool {
    written.texts.iter().any(|one| one.value.kind == TextKind::Html)
}

const fn kind(kind: TextKind) -> Kind {
    match kind {
        TextKind::Html => Kind::Html,
        TextKind::Css => Kind::Css,
        TextKind::Js => Kind::Js,
        TextKind::Json => Kind::Json,
        TextKind::Svg => Kind::Svg,
    }
}

const fn qualities(written: ImageQuality) -> Qualities {
    Qualities { avif: written.avif, webp: written.webp, jpeg: written.jpeg }
}

impl PlanImages {
    fn compile(written: &OptimizeImages) -> Self {
        let format = |format: &ImageFormat| match format {
            ImageFormat::Avif => Format::Avif,
            ImageFormat::WebP => Format::WebP,
            ImageFormat::Jpeg => Format::Jpeg,
            ImageFormat::Png => Format::Png,
        };
        let presets = || written.presets.iter().map(|preset| &preset.value);
        Self {
            offered: written.formats.value.iter().map(format).collect(),
            quality: qualities(written.quality),
            resize: written.resize.as_ref().map(|name| name.value.as_bytes().into()),
            widths: Widths::new(written.widths.iter().map(|width| width.value).collect()),
            names: presets().map(|preset| preset.name.as_bytes().into()).collect(),
            presets: presets()
                .map(|preset| Shape {
                    width: preset.width,
                    height: preset.height,
                    quality: qualities(preset.quality),
                })
                .collect(),
            bounds: image::Bounds {
                max_pixels: written.max_pixels.value,
                max_bytes: usize::try_from(written.max_size.value).unwrap_or(usize::MAX),
                max_memory: IMAGE_MEMORY_MAX,
            },
            hints: written.hints.value,
        }
    }

    /// What an image is made to fit that is no wider than this.
    pub(crate) const fn within(&self, width: Option<u32>) -> Shape {
        Shape { width, height: None, quality: self.quality }
    }

    /// What the value of the query's parameter asks for.
    pub(crate) fn asked(&self, value: &[u8]) -> Option<Shape> {
        match image::asked(value, &self.widths, &self.names)? {
            image::Asked::Width(width) => Some(self.within(Some(width))),
            image::Asked::Preset(at) => self.presets.get(at).copied(),
        }
    }
}
