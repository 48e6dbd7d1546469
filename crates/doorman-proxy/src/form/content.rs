//! Which form of an answer's content: its number in the store, and its words.

use std::sync::atomic::{AtomicU64, Ordering};

use doorman_http::coding::Coding;
use doorman_optimize::image::{self, Format, Quality, Want};
use doorman_optimize::text::{self, Kind};
use doorman_store::{Form, PANICKED, TOO_LARGE};

/// What is made of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A text without what nobody reads.
    Text(Kind),
    /// An image in a format and a size.
    Image { format: Format, shape: Shape },
}

/// What an image is made to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Pixels in a row at most.
    pub(crate) width: Option<u32>,
    /// Rows at most.
    pub(crate) height: Option<u32>,
    pub(crate) quality: Qualities,
}

/// How good images are, 1 to 100, on the scale of each format that loses something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Qualities {
    pub(crate) avif: u8,
    pub(crate) webp: u8,
    pub(crate) jpeg: u8,
}

impl Shape {
    /// How good it is to be in a format.
    pub(crate) fn quality(&self, format: Format) -> Quality {
        Quality::new(match format {
            Format::Avif => self.quality.avif,
            Format::WebP => self.quality.webp,
            Format::Jpeg => self.quality.jpeg,
            // These lose nothing.
            Format::Png | Format::Gif => 100,
        })
    }
}

/// The form of a body that is coded, and nothing else.
pub(crate) const fn coded(coding: Coding) -> Form {
    Form(coding as u128 + 1)
}

/// The coding of a form, if it is coded.
fn coding_of(form: Form) -> Option<Coding> {
    Coding::ALL.into_iter().find(|coding| form.0 & 0xFF == coded(*coding).0)
}

/// Kinds of what is made, in the order of the docs.
pub const KINDS: [&str; 10] =
    ["html", "css", "js", "json", "svg", "jpeg", "png", "gif", "webp", "avif"];

impl Content {
    /// Its place in [`KINDS`].
    pub(crate) const fn place(self) -> usize {
        match self {
            Self::Text(kind) => kind as usize,
            Self::Image { format, .. } => 5 + format as usize,
        }
    }

    /// Its word, the same in log, metrics and docs.
    pub(crate) const fn word(self) -> &'static str {
        KINDS[self.place()]
    }

    /// Its number. Everything by which it differs is in it, so what was made by other rules is another
    /// form. The lowest byte is a coding's; 48 bits at the top are left for the hash of a dictionary (RFC
    /// 9842).
    pub(crate) fn form(self) -> Form {
        let place = self.place() as u128 + 1;
        let of_image = match self {
            Self::Text(_) => 0,
            Self::Image { format, shape } => {
                let pixels = |size: Option<u32>| u128::from(size.unwrap_or(0) & 0xFF_FFFF);
                let quality = u128::from(shape.quality(format).value());
                quality << 48 | pixels(shape.width) << 24 | pixels(shape.height)
            }
        };
        // Eight bits of quality and 48 of pixels, above a kind and a coding.
        Form(of_image << 16 | place << 8)
    }

    /// The word for why it could not be made.
    pub(crate) fn refusal(self, reason: u8) -> &'static str {
        let at = usize::from(reason);
        match self {
            _ if reason == TOO_LARGE => "too-large",
            _ if reason == PANICKED => "panicked",
            Self::Text(_) => text::Refusal::ALL.get(at).map_or("refused", |why| why.word()),
            Self::Image { .. } => image::Refusal::ALL.get(at).map_or("refused", |why| why.word()),
        }
    }

    /// What is wanted of an image.
    pub(crate) fn want(format: Format, shape: Shape) -> Want {
        Want {
            format,
            max_width: shape.width,
            max_height: shape.height,
            quality: shape.quality(format),
        }
    }
}

/// A form in words: what it is made of, its bounds in pixels, its quality and its coding, as far as it has
/// them. `webp 320x0 q80` is a WebP no wider than 320 pixels.
#[must_use]
pub fn form_name(form: Form) -> String {
    let byte = |at: u32| (form.0 >> at & 0xFF) as usize;
    let mut words: Vec<String> = Vec::new();
    let kind = byte(8).checked_sub(1).and_then(|place| KINDS.get(place));
    words.extend(kind.map(ToString::to_string));
    let of_image = form.0 >> 16 & 0xFFFF_FFFF_FFFF;
    let (width, height) = (of_image >> 24 & 0xFF_FFFF, of_image & 0xFF_FFFF);
    if width > 0 || height > 0 {
        words.push(format!("{width}x{height}"));
    }
    let quality = form.0 >> 64 & 0xFF;
    if quality > 0 {
        words.push(format!("q{quality}"));
    }
    words.extend(coding_of(form).map(|coding| coding.token().to_owned()));
    words.join(" ")
}

/// What was made of stored answers, counted by all threads that make it.
#[derive(Debug, Default)]
pub struct Made([Counts; KINDS.len()]);

#[derive(Debug, Default)]
struct Counts {
    made: AtomicU64,
    refused: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    nanos: AtomicU64,
}

/// Figures of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MadeOf {
    /// The kind.
    pub kind: &'static str,
    /// Forms that were made.
    pub made: u64,
    /// Answers of which none could be made.
    pub refused: u64,
    /// Bytes of what forms were made of.
    pub bytes_in: u64,
    /// Bytes of the forms.
    pub bytes_out: u64,
    /// Time that the work took, whatever came of it, nanoseconds.
    pub nanos: u64,
}

impl Made {
    /// The figures by kind, in the order of [`KINDS`].
    #[must_use]
    pub fn all(&self) -> Vec<MadeOf> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let of = |(kind, counts): (&&'static str, &Counts)| MadeOf {
            kind,
            made: read(&counts.made),
            refused: read(&counts.refused),
            bytes_in: read(&counts.bytes_in),
            bytes_out: read(&counts.bytes_out),
            nanos: read(&counts.nanos),
        };
        KINDS.iter().zip(&self.0).map(of).collect()
    }

    /// Counts a try in; `sizes` are those of what it was made of and of what came of it.
    pub(crate) fn add(&self, content: Content, sizes: Option<(usize, usize)>, nanos: u64) {
        let counts = &self.0[content.place()];
        let add = |counter: &AtomicU64, n: u64| counter.fetch_add(n, Ordering::Relaxed);
        match sizes {
            None => {
                add(&counts.refused, 1);
            }
            Some((before, after)) => {
                add(&counts.made, 1);
                add(&counts.bytes_in, before as u64);
                add(&counts.bytes_out, after as u64);
            }
        }
        add(&counts.nanos, nanos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_apart_and_told() {
        let image = |format, width, height, quality| Content::Image {
            format,
            shape: Shape {
                width,
                height,
                quality: Qualities { avif: quality, webp: quality, jpeg: quality },
            },
        };
        let all = [
            (Content::Text(Kind::Html), "html"),
            (Content::Text(Kind::Svg), "svg"),
            (image(Format::WebP, None, None, 80), "webp q80"),
            (image(Format::WebP, None, None, 81), "webp q81"),
            (image(Format::WebP, Some(320), None, 80), "webp 320x0 q80"),
            (image(Format::WebP, None, Some(320), 80), "webp 0x320 q80"),
            (image(Format::Avif, Some(320), Some(200), 100), "avif 320x200 q100"),
            (image(Format::Jpeg, Some(0xFF_FFFF), None, 1), "jpeg 16777215x0 q1"),
        ];
        for (at, (content, name)) in all.iter().enumerate() {
            let form = content.form();
            assert_eq!(form_name(form), *name);
            // A coding on top of it is another form, whose name has both.
            assert_eq!(form_name(Form(form.0 | 1)), format!("{name} gzip"));
            let same = all.iter().filter(|(other, _)| other.form() == form).count();
            assert_eq!(same, 1, "{at} {name}");
        }
    }
}
