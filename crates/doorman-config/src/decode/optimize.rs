//! `optimize` of a policy, a site or a route.

mod images;

use super::Decoder;
use super::options::Line;
use crate::item::Item;
use crate::values;
use crate::{
    Diagnostic, Ending, Optimize, OptimizeImages, OptimizeText, RouteOptions, Span, Spanned,
    TextKind,
};

/// A word of an `optimize` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Images,
    Text(TextKind),
    Off,
}

const KINDS: [(&str, Kind); 7] = [
    ("images", Kind::Images),
    (TextKind::Html.word(), Kind::Text(TextKind::Html)),
    (TextKind::Css.word(), Kind::Text(TextKind::Css)),
    (TextKind::Js.word(), Kind::Text(TextKind::Js)),
    (TextKind::Json.word(), Kind::Text(TextKind::Json)),
    (TextKind::Svg.word(), Kind::Text(TextKind::Svg)),
    ("off", Kind::Off),
];

/// Bounds of an original: below, there is nothing to save; above, one would fill the memory of small machines.
const ORIGINAL_BYTES: (u64, u64) = (1 << 10, 256 << 20);

/// The largest text without a word: larger ones are data and not pages.
const TEXT_BYTES: u64 = 8 << 20;

/// What one `optimize` line says.
#[derive(Clone, Debug)]
pub(super) enum OptimizeLine {
    Off,
    Kinds { images: Option<Box<OptimizeImages>>, texts: Vec<Spanned<OptimizeText>> },
}

/// Puts a line over those before it.
pub(super) fn apply(optimize: &mut Optimize, line: OptimizeLine) {
    let OptimizeLine::Kinds { images, texts } = line else {
        *optimize = Optimize::default();
        return;
    };
    optimize.images = images.or(optimize.images.take());
    for text in texts {
        optimize.texts.retain(|before| before.value.kind != text.value.kind);
        optimize.texts.push(text);
    }
}

impl Decoder<'_> {
    pub(super) fn optimize(&mut self, block: &Item) -> Option<OptimizeLine> {
        let mut kinds: Vec<Spanned<Kind>> = Vec::new();
        let mut lost = false;
        for text in &block.values {
            let Some(kind) = self.ok(values::choice(text, &KINDS, &[])) else {
                lost = true;
                continue;
            };
            match kinds.iter().find(|first| first.value == kind.value) {
                None => kinds.push(kind),
                Some(first) => self.twice(text, kind.span, first.span),
            }
        }
        if let Some(off) = kinds.iter().find(|kind| kind.value == Kind::Off) {
            let extra = kinds.iter().find(|kind| kind.span != off.span).map(|kind| kind.span);
            self.check_alone(block, extra, "optimize KIND... { ... }");
            return Some(OptimizeLine::Off);
        }
        let max_size = self.text_size(block);
        let images = kinds.iter().find(|kind| kind.value == Kind::Images);
        let images = match images {
            Some(_) => Some(Box::new(self.images(block))),
            None => {
                if !lost {
                    self.check_texts(block, &kinds);
                }
                None
            }
        };
        let texts = kinds.iter().filter_map(|kind| match kind.value {
            Kind::Text(text) => {
                Some(Spanned::new(OptimizeText { kind: text, max_size }, kind.span))
            }
            Kind::Images | Kind::Off => None,
        });
        let texts = texts.collect();
        (!lost).then_some(OptimizeLine::Kinds { images, texts })
    }

    /// `max-size` for the texts of a line. What is wrong with it is said once, also where it is for images too.
    fn text_size(&mut self, block: &Item) -> u64 {
        let item = block.children.iter().find(|item| item.directive.name == "max-size");
        let mut size = None;
        if let Some(item) = item {
            self.fill(item, &mut size, |text| {
                values::size_within(text, ORIGINAL_BYTES.0, ORIGINAL_BYTES.1)
                    .map_err(|error| error.help("write a size from 1KiB to 256MiB"))
            });
        }
        size.map_or(TEXT_BYTES, |size| size.value)
    }

    /// What is said of texts alone.
    fn check_texts(&mut self, block: &Item, kinds: &[Spanned<Kind>]) {
        for item in &block.children {
            let name = item.directive.name;
            if name != "max-size" {
                let message = format!("`{name}` is about images, and this line is about texts");
                let error = Diagnostic::error("E0246", item.span, message);
                self.say(error.help("put it into a line `optimize images { ... }`"));
            } else if kinds.iter().all(|kind| kind.value == Kind::Text(TextKind::Html)) {
                let message = "HTML is worked on as it passes, whatever its size";
                self.say(Diagnostic::error("E0246", item.span, message).help("remove the line"));
            }
        }
    }

    /// Says so if two lines of one block are about one kind, or if a line would be undone where it stands.
    pub(super) fn check_optimize_lines(&mut self, items: &[Item]) {
        let mut seen: Vec<(&str, Span)> = Vec::new();
        for item in items.iter().filter(|item| item.directive.name == "optimize" && !item.is_off())
        {
            let before = seen.len();
            for text in &item.values {
                let (here, earlier) = (text.text.as_str(), seen.get(..before).unwrap_or_default());
                if here == "off" && !earlier.is_empty() {
                    let message = "`optimize off` ends what stands above it in the same block";
                    let error = Diagnostic::error("E0246", item.span, message);
                    let error = earlier
                        .iter()
                        .take(1)
                        .fold(error, |error, (_, at)| error.also(*at, "this"));
                    self.say(
                        error
                            .help("remove one of the two, or put `off` in front of the line above"),
                    );
                } else if let Some((_, first)) = earlier.iter().find(|(word, _)| *word == here) {
                    self.twice(text, text.span, *first);
                }
                seen.push((here, text.span));
            }
        }
    }

    /// Says so if a route keeps nothing, and so has no place for what would be made of its answers. A `cache off` is
    /// meant: where it stands, nothing is made.
    pub(super) fn check_optimized(
        &mut self,
        options: &RouteOptions,
        ending: &Ending,
        lines: &[&[Line]],
    ) {
        let said = lines.iter().copied().flatten().any(|line| matches!(line, Line::Cache(_)));
        if options.cache.is_some() || said || !matches!(ending, Ending::Proxy(_)) {
            return;
        }
        let images = options.optimize.images.iter().map(|images| ("images", images.span));
        let texts = options.optimize.texts.iter();
        let texts = texts.filter(|text| text.value.kind != TextKind::Html);
        let texts = texts.map(|text| (text.value.kind.word(), text.span));
        for (word, span) in images.chain(texts) {
            let message = format!("`optimize {word}` without a `cache` that keeps what is made");
            let error = Diagnostic::error("E0246", span, message);
            self.unkept.push(error.help(
                "write `cache STORE` in the same route or site, or `optimize off` in routes without one",
            ));
        }
    }

    /// Reports what [`Decoder::check_optimized`] found, once each, if nothing else may be the reason for it.
    pub(super) fn check_unkept(&mut self) {
        let unkept = std::mem::take(&mut self.unkept);
        if !self.diagnostics.any_error() {
            self.diagnostics.extend(unkept);
        }
    }
}
