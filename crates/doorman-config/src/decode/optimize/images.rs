//! The words of `optimize images`.

use super::super::Decoder;
use super::ORIGINAL_BYTES;
use crate::item::{Item, Text};
use crate::values::{self, Value};
use crate::{
    Diagnostic, ImageFormat, ImagePreset, ImageQuality, OptimizeImages, Setting, Span, Spanned,
};

/// Widths of one block, and presets of one block: each may be made of every image, in every format.
const LISTED_MAX: usize = 32;

/// The widest image there can be: WebP counts pixels in 14 bits (RFC 9649 section 2.6).
const PIXELS_MAX: u64 = 16_383;

/// Bounds of the pixels of an original: below are icons; above, one would fill the memory of large machines.
const ORIGINAL_PIXELS: (u64, u64) = (10_000, 1_000_000_000);

/// Without a word: the photographs of most cameras.
const ORIGINAL_PIXELS_DEFAULT: u64 = 40_000_000;

/// Without a word: the files of most cameras.
const ORIGINAL_BYTES_DEFAULT: u64 = 20 << 20;

/// Bytes of the name of a parameter.
const PARAMETER_BYTES_MAX: usize = 64;

/// Forms of one answer that a store keeps beside it.
const FORMS_MAX: usize = 32;

const FORMATS: [(&str, ImageFormat); 4] = [
    (ImageFormat::Avif.word(), ImageFormat::Avif),
    (ImageFormat::WebP.word(), ImageFormat::WebP),
    (ImageFormat::Jpeg.word(), ImageFormat::Jpeg),
    (ImageFormat::Png.word(), ImageFormat::Png),
];

/// A quality that was written: for one format, or for those without a line of their own.
type Written = Spanned<(Option<ImageFormat>, u8)>;

impl Decoder<'_> {
    pub(super) fn images(&mut self, block: &Item) -> OptimizeImages {
        let before = self.diagnostics.count();
        let unsaid = ImageQuality { avif: 60, webp: 80, jpeg: 80 };
        let mut images = OptimizeImages {
            formats: Setting::default_of(FORMATS.iter().map(|(_, format)| *format).collect()),
            quality: self.qualities(&block.children, unsaid),
            resize: None,
            widths: Vec::new(),
            presets: Vec::new(),
            max_pixels: Setting::default_of(ORIGINAL_PIXELS_DEFAULT),
            max_size: Setting::default_of(ORIGINAL_BYTES_DEFAULT),
            hints: Setting::default_of(false),
            span: block.span,
        };
        for item in &block.children {
            match item.directive.name {
                "formats" => self.formats(item, &mut images.formats),
                "resize" => self.fill(item, &mut images.resize, parameter),
                "widths" => self.widths(item, &mut images.widths),
                "preset" => self.preset(item, &mut images),
                "max-pixels" => self.set(item, &mut images.max_pixels, |text| {
                    values::number(text, ORIGINAL_PIXELS.0, ORIGINAL_PIXELS.1)
                }),
                // A wrong one was reported by who read it for the texts of the line.
                "max-size" if !item.is_off() => {
                    let size = item.value(0).and_then(|text| {
                        values::size_within(text, ORIGINAL_BYTES.0, ORIGINAL_BYTES.1).ok()
                    });
                    images.max_size = size.map_or(images.max_size, Setting::from);
                }
                "hints" => self.set(item, &mut images.hints, |text| {
                    values::choice(text, &[("on", true), ("off", false)], &[])
                }),
                _ => {}
            }
        }
        // What seems to be missing may only be wrong.
        if !block.damaged && self.diagnostics.count() == before {
            self.check_sizes(&images);
        }
        images
    }

    fn formats(&mut self, item: &Item, slot: &mut Setting<Vec<ImageFormat>>) {
        let mut formats: Vec<Spanned<ImageFormat>> = Vec::new();
        for text in &item.values {
            let Some(format) = self.ok(format(text, "formats avif webp jpeg png")) else { return };
            match formats.iter().find(|first| first.value == format.value) {
                None => formats.push(format),
                Some(first) => self.twice(text, text.span, first.span),
            }
        }
        if !item.is_off() {
            let formats = formats.into_iter().map(|format| format.value).collect();
            *slot = Setting::written(formats, item.span);
        }
    }

    /// `quality N`, `quality FORMAT N`: what the lines of a block come to over what holds without them.
    fn qualities(&mut self, items: &[Item], unsaid: ImageQuality) -> ImageQuality {
        let mut written: Vec<Written> = Vec::new();
        for item in items.iter().filter(|item| item.directive.name == "quality") {
            let Some(quality) = self.quality(item).filter(|_| !item.is_off()) else { continue };
            let mut before = written.iter();
            match (before.find(|first| first.value.0 == quality.value.0), item.value(0)) {
                (Some(first), Some(text)) => {
                    let message = match quality.value.0 {
                        Some(_) => format!("a second quality of `{}`", text.shown()),
                        None => "a second quality of all formats".to_owned(),
                    };
                    let error = Diagnostic::error("E0208", item.span, message);
                    self.say(error.also(first.span, "the first"));
                }
                _ => written.push(quality),
            }
        }
        let of = |format, unsaid| {
            let own = written.iter().find(|quality| quality.value.0 == Some(format));
            let all = written.iter().find(|quality| quality.value.0.is_none());
            own.or(all).map_or(unsaid, |quality| quality.value.1)
        };
        ImageQuality {
            avif: of(ImageFormat::Avif, unsaid.avif),
            webp: of(ImageFormat::WebP, unsaid.webp),
            jpeg: of(ImageFormat::Jpeg, unsaid.jpeg),
        }
    }

    fn quality(&mut self, item: &Item) -> Option<Written> {
        let first = item.value(0)?;
        let number = |text: &Text| {
            values::number::<u8>(text, 1, 100).map_err(|error| {
                error.help("write `quality 80`, or `quality avif 60` for one format")
            })
        };
        let Some(second) = item.value(1) else {
            if FORMATS.iter().any(|(word, _)| *word == first.text) {
                let message = format!("`quality {}` misses its number", first.shown());
                let error = Diagnostic::error("E0204", item.span, message);
                self.say(error.help(format!("write `quality {} 60`", first.shown())));
                return None;
            }
            let quality = self.ok(number(first))?;
            return Some(Spanned::new((None, quality.value), item.span));
        };
        let format = self.ok(format(first, "quality avif 60"));
        let quality = self.ok(number(second));
        let format = format?.value;
        if format == ImageFormat::Png {
            let error =
                Diagnostic::error("E0246", item.span, "PNG loses nothing, so it has no quality");
            self.say(error.help("remove the line"));
            return None;
        }
        Some(Spanned::new((Some(format), quality?.value), item.span))
    }

    fn widths(&mut self, item: &Item, widths: &mut Vec<Spanned<u32>>) {
        let mut all: Vec<Spanned<u32>> = Vec::new();
        for text in &item.values {
            let Some(width) = self.ok(values::number::<u32>(text, 1, PIXELS_MAX)) else { return };
            match all.last() {
                Some(before) if before.value == width.value => {
                    self.twice(text, text.span, before.span);
                }
                Some(before) if before.value > width.value => {
                    let message = format!("{} stands behind {}", width.value, before.value);
                    let error = Diagnostic::error("E0246", width.span, message);
                    let mut sorted: Vec<u64> = Vec::new();
                    sorted.extend(
                        item.values.iter().filter_map(|text| text.text.parse::<u64>().ok()),
                    );
                    sorted.sort_unstable();
                    sorted.dedup();
                    let sorted: Vec<String> = sorted.iter().map(u64::to_string).collect();
                    let help = format!("widths are ascending: write `widths {}`", sorted.join(" "));
                    return self.say(error.also(before.span, "this is wider").help(help));
                }
                _ => all.push(width),
            }
        }
        if all.len() > LISTED_MAX {
            let message = format!("more than {LISTED_MAX} widths");
            let error = Diagnostic::error("E0110", item.span, message);
            return self.say(
                error.help(
                    "each is made of every image that is asked for: a dozen serve all screens",
                ),
            );
        }
        if !item.is_off() {
            *widths = all;
        }
    }

    /// `preset NAME { ... }`.
    fn preset(&mut self, block: &Item, images: &mut OptimizeImages) {
        let Some(text) = block.value(0) else { return };
        let name = self.ok(values::name(text));
        let quality = self.qualities(&block.children, images.quality);
        let (mut width, mut height) = (None, None);
        for item in &block.children {
            let slot = match item.directive.name {
                "width" => &mut width,
                "height" => &mut height,
                _ => continue,
            };
            self.fill(item, slot, |text| values::number(text, 1, PIXELS_MAX));
        }
        if block.children.is_empty() && !block.damaged {
            let message = format!("preset `{}` says nothing", text.shown());
            let error = Diagnostic::error("E0246", block.span, message);
            self.say(error.help(format!("write `preset {} {{ width 160 }}`", text.shown())));
        }
        let Some(name) = name.filter(|_| !block.is_off()) else { return };
        let mut before = images.presets.iter();
        if let Some(first) = before.find(|first| first.value.name == name.value) {
            let message = format!("a second preset `{}`", name.value);
            let error = Diagnostic::error("E0208", name.span, message);
            return self.say(error.also(first.span, "the first"));
        }
        if images.presets.len() == LISTED_MAX {
            let message = format!("more than {LISTED_MAX} presets");
            return self.say(Diagnostic::error("E0110", block.span, message));
        }
        let width = width.map(|width: Spanned<u32>| width.value);
        let height = height.map(|height: Spanned<u32>| height.value);
        let preset = ImagePreset { name: name.value, width, height, quality };
        images.presets.push(Spanned::new(preset, name.span));
    }

    /// Sizes that nobody can ask for, and ways of asking for none.
    fn check_sizes(&mut self, images: &OptimizeImages) {
        let hints = images.hints.span.filter(|_| images.hints.value);
        let unsaid = |at: Span, message: &str, help: &str| {
            Diagnostic::error("E0246", at, message.to_owned()).help(help)
        };
        let mut faults = Vec::new();
        if let Some(resize) = &images.resize
            && images.widths.is_empty()
            && images.presets.is_empty()
        {
            let help = "write the widths that may be asked for: `widths 320 640 1280`";
            faults.push(unsaid(resize.span, "`resize` without sizes to choose from", help));
        }
        if let (None, Some(preset)) = (&images.resize, images.presets.first()) {
            let help = "write `resize w`, and clients ask for it by `?w=NAME`";
            faults.push(unsaid(preset.span, "a preset that nobody can ask for", help));
        }
        if let (None, None, Some(width)) = (&images.resize, hints, images.widths.first()) {
            let help = "write `resize w` for `?w=320`, or `hints on`";
            faults.push(unsaid(width.span, "widths that nobody can ask for", help));
        }
        if let Some(hints) = hints.filter(|_| images.widths.is_empty()) {
            let help = "write the widths that there are: `widths 320 640 1280`";
            faults.push(unsaid(hints, "`hints` without widths to choose from", help));
        }
        let forms = forms(images);
        if forms > FORMS_MAX {
            let message =
                format!("up to {forms} forms of one image, of which {FORMS_MAX} are kept");
            let fault = Diagnostic::warning("W0310", images.span, message);
            faults.push(fault.help("write fewer widths, presets or formats"));
        }
        for fault in faults {
            self.say(fault);
        }
    }
}

/// How many forms of one image may be asked for: each size, and the one it has, in each format that is new to it and in
/// its own.
fn forms(images: &OptimizeImages) -> usize {
    let is_new = |format: &&ImageFormat| matches!(format, ImageFormat::Avif | ImageFormat::WebP);
    let formats = &images.formats.value;
    let new = formats.iter().filter(is_new).count();
    let own = usize::from(new < formats.len());
    (images.widths.len() + images.presets.len() + 1) * (new + own)
}

fn format(text: &Text, written: &str) -> Value<ImageFormat> {
    if text.text == "jpg" {
        let message = "`jpg` is not one of avif, webp, jpeg, png";
        return Err(Diagnostic::error("E0307", text.span, message).help("did you mean `jpeg`?"));
    }
    values::choice(text, &FORMATS, &[]).map_err(|error| error.help(format!("write `{written}`")))
}

/// The name of a parameter that stands in queries as it is (RFC 3986 section 2.3).
fn parameter(text: &Text) -> Value<String> {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let name = &text.text;
    if (1..=PARAMETER_BYTES_MAX).contains(&name.len()) && name.bytes().all(unreserved) {
        return Ok(Spanned::new(name.clone(), text.span));
    }
    let message = format!("`{}` is not the name of a parameter", text.shown());
    let error = Diagnostic::error("E0310", text.span, message);
    Err(error.help("write letters, digits, `-`, `_`, `.` or `~`, such as `resize w` for `?w=320`"))
}
