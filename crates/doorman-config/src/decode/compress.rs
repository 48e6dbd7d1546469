//! `compress` and `decompress` of a policy, a site or a route.

use doorman_http::coding::Coding;

use super::Decoder;
use crate::item::{Item, Text};
use crate::values::{self, Value};
use crate::{Breach, CodingLevels, Compress, Decompress, Diagnostic, Setting, Span, Spanned};

/// Codings by their names, in the order that holds without a word: the best for its price first.
const CODINGS: [(&str, Coding); 3] = [
    (Coding::Zstd.token(), Coding::Zstd),
    (Coding::Brotli.token(), Coding::Brotli),
    (Coding::Gzip.token(), Coding::Gzip),
];

/// What is coded without a `types` line: what is text by another name, and formats that nobody has made small yet.
const TYPES: &[&str] = &[
    "text/*",
    "*/*+json",
    "*/*+xml",
    "application/json",
    "application/javascript",
    "application/x-javascript",
    "application/xml",
    "application/x-ndjson",
    "application/wasm",
    "application/vnd.ms-fontobject",
    "application/x-font-ttf",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/vnd.microsoft.icon",
    "image/x-icon",
];

/// Types of one block: each is looked at for every answer.
const TYPES_MAX: usize = 64;

/// The longest body that may be too small. What is larger is worth its time in any case.
const MIN_BYTES_MAX: u64 = 1 << 30;

/// Without a word: below this a head and a packet weigh more than what is saved.
const MIN_BYTES: u64 = 512;

/// Most that an answer is padded by. More would be worse than no coding for the small answers that need it.
const PAD_BYTES_MAX: u64 = 4 << 10;

/// Bounds of how many times longer a body may become. No coding makes text a hundred thousand times shorter.
const RATIO: (u64, u64) = (2, 100_000);

/// Bounds of what a body may become: below, pages would be cut off.
const DECODED_BYTES: (u64, u64) = (64 << 10, 1 << 40);

/// Types whose answers go piece by piece to one who waits for each, and are never coded.
const STREAMS: &[&str] = &["text/event-stream", "application/grpc"];

/// The highest level for answers as they pass: a core codes what a client may have next in some hundredths
/// of a second at most, and others wait for it (RXC-22).
const fn passing_max(coding: Coding) -> u8 {
    match coding {
        Coding::Gzip => 9,
        Coding::Brotli => 7,
        Coding::Zstd => 12,
    }
}

/// A level with its coding, where it stands.
type Level = Spanned<(Coding, u8)>;

impl Decoder<'_> {
    /// The line; `Some(None)`: nothing is to be coded.
    #[expect(clippy::option_option, reason = "`compress off` is a compress line too")]
    pub(super) fn compress(&mut self, block: &Item) -> Option<Option<Compress>> {
        if let Some(off) = block.values.iter().find(|text| text.word() == Some("off")) {
            let extra = block.values.iter().find(|text| text.span != off.span);
            let extra = extra.map(|text| text.span);
            self.check_alone(block, extra, "compress CODING... { ... }");
            return Some(None);
        }
        let codings = self.codings(block);
        let mut levels: [Vec<Level>; 2] = Default::default();
        let mut compress = Compress {
            codings: Vec::new(),
            min: Setting::default_of(MIN_BYTES),
            types: Setting::default_of(TYPES.iter().map(|name| (*name).to_owned()).collect()),
            breach: Setting::default_of(Breach::Careful),
            recode: Setting::default_of(false),
            span: block.span,
        };
        for item in &block.children {
            match item.directive.name {
                "level" => {
                    self.level(item, codings.as_deref(), &mut levels[0], Some(passing_max));
                }
                "kept-level" => self.level(item, codings.as_deref(), &mut levels[1], None),
                "min" => self.set(item, &mut compress.min, |text| {
                    values::size_within(text, 0, MIN_BYTES_MAX)
                        .map_err(|error| error.help("write a size up to 1GiB"))
                }),
                "types" => self.types(item, &mut compress.types),
                "breach" => {
                    if let Some(breach) = self.breach(item).filter(|_| !item.is_off()) {
                        compress.breach = Setting::written(breach, item.span);
                    }
                }
                _ => self.set(item, &mut compress.recode, |text| {
                    values::choice(text, &[("pass", false), ("recode", true)], &[])
                }),
            }
        }
        compress.codings = self.with_levels(codings?, &levels);
        Some(Some(compress))
    }

    /// `decompress`, `decompress off`.
    #[expect(clippy::option_option, reason = "`decompress off` is a decompress line too")]
    pub(super) fn decompress(&mut self, block: &Item) -> Option<Option<Decompress>> {
        if let Some(text) = block.value(0) {
            let off = values::choice(text, &[("off", ())], &[]);
            self.ok(
                off.map_err(|error| error.help("write `decompress` alone, or `decompress off`"))
            )?;
            self.check_alone(block, None, "decompress { ... }");
            return Some(None);
        }
        let mut decompress = Decompress {
            ratio: Setting::default_of(Decompress::RATIO),
            max: Setting::default_of(Decompress::BYTES_MAX),
            span: block.span,
        };
        for item in &block.children {
            match item.directive.name {
                "ratio" => self.set(item, &mut decompress.ratio, |text| {
                    values::number(text, RATIO.0, RATIO.1)
                }),
                _ => self.set(item, &mut decompress.max, |text| {
                    values::size_within(text, DECODED_BYTES.0, DECODED_BYTES.1)
                        .map_err(|error| error.help("write a size from 64KiB to 1TiB"))
                }),
            }
        }
        Some(Some(decompress))
    }

    /// Says so if something stands beside `off`, which says it all.
    pub(super) fn check_alone(&mut self, block: &Item, extra: Option<Span>, written: &str) {
        let extra = extra.or_else(|| block.children.first().map(|child| child.span));
        if let Some(extra) = extra {
            let name = block.directive.name;
            let message = format!("`{name} off` takes no words");
            let error = Diagnostic::error("E0204", extra, message);
            self.say(error.help(format!("write `{written}`, or `{name} off` alone")));
        }
    }

    /// The codings of a line in their order, each once.
    fn codings(&mut self, block: &Item) -> Option<Vec<Spanned<Coding>>> {
        if block.values.is_empty() {
            return Some(
                CODINGS.iter().map(|(_, coding)| Spanned::new(*coding, block.span)).collect(),
            );
        }
        let mut codings: Vec<Spanned<Coding>> = Vec::new();
        let mut lost = false;
        for text in &block.values {
            let Some(coding) = self.ok(coding(text)) else {
                lost = true;
                continue;
            };
            match codings.iter().find(|first| first.value == coding.value) {
                None => codings.push(coding),
                Some(first) => self.twice(text, text.span, first.span),
            }
        }
        (!lost).then_some(codings)
    }

    /// `level CODING N`, `kept-level CODING N`. Without the codings of the line, which were wrong, any may have one.
    fn level(
        &mut self,
        item: &Item,
        codings: Option<&[Spanned<Coding>]>,
        levels: &mut Vec<Level>,
        ceiling: Option<fn(Coding) -> u8>,
    ) {
        let (Some(name), Some(number)) = (item.value(0), item.value(1)) else { return };
        let Some(coding) = self.ok(coding(name)) else { return };
        let coding = coding.value;
        let (least, most) = bounds(coding);
        let (most, why) = match ceiling.map(|ceiling| ceiling(coding)).filter(|max| *max < most) {
            Some(max) => (max, format!(" here, and to {most} as `kept-level`")),
            None => (most, String::new()),
        };
        let help = format!("`{}` has levels from {least} to {most}{why}", name.shown());
        let number = values::number::<u8>(number, u64::from(least), u64::from(most));
        let Some(number) = self.ok(number.map_err(|error| error.help(help))) else { return };
        if item.is_off() {
            return;
        }
        if let Some(first) = levels.iter().find(|first| first.value.0 == coding) {
            return self.twice(name, item.span, first.span);
        }
        if codings.is_some_and(|codings| codings.iter().all(|known| known.value != coding)) {
            let message =
                format!("a level for `{}`, which this `compress` does not offer", name.shown());
            let error = Diagnostic::error("E0245", item.span, message);
            return self.say(error.help("remove the line, or name the coding behind `compress`"));
        }
        levels.push(Spanned::new((coding, number.value), item.span));
    }

    /// Reports a value that stands in one list twice.
    pub(super) fn twice(&mut self, text: &Text, again: Span, first: Span) {
        let message = format!("`{}` stands here twice", text.shown());
        self.say(Diagnostic::error("E0208", again, message).also(first, "the first"));
    }

    /// Each coding with its levels. Coding once more for something larger would be work for nothing.
    fn with_levels(
        &mut self,
        codings: Vec<Spanned<Coding>>,
        [first, kept]: &[Vec<Level>; 2],
    ) -> Vec<Spanned<CodingLevels>> {
        let of = |levels: &[Level], coding| {
            levels
                .iter()
                .find(|level| level.value.0 == coding)
                .map(|level| (level.value.1, level.span))
        };
        let mut all = Vec::new();
        for Spanned { value: coding, span } in codings {
            let ((first_default, kept_default), written) = (defaults(coding), of(kept, coding));
            let (first, first_span) = of(first, coding)
                .map_or((first_default, None), |(level, span)| (level, Some(span)));
            let kept = written.map_or(kept_default, |(level, _)| level);
            if let Some((_, span)) = written.filter(|_| kept < first) {
                let message = "what is kept would be larger than what was sent first";
                let error = Diagnostic::error("E0245", span, message);
                let error = first_span
                    .iter()
                    .fold(error, |error, at| error.also(*at, "the level of what is sent first"));
                self.say(error.help(format!(
                    "write {first} or more; with {first} what is kept is not coded a second time"
                )));
            }
            all.push(Spanned::new(CodingLevels { coding, first, kept }, span));
        }
        all
    }

    fn types(&mut self, item: &Item, slot: &mut Setting<Vec<String>>) {
        let mut types: Vec<Spanned<String>> = Vec::new();
        for text in &item.values {
            let Some(pattern) = self.ok(pattern(text)) else { continue };
            match types.iter().find(|first| first.value == pattern.value) {
                None => types.push(pattern),
                Some(first) => self.twice(text, text.span, first.span),
            }
        }
        if types.len() > TYPES_MAX {
            let message = format!("more than {TYPES_MAX} types in one `compress`");
            let error = Diagnostic::error("E0110", item.span, message);
            return self
                .say(error.help("write `text/*` or `*/*+json` for all that belong together"));
        }
        if !item.is_off() {
            let types = types.into_iter().map(|pattern| pattern.value).collect();
            *slot = Setting::written(types, item.span);
        }
    }

    /// `breach careful`, `breach off`, `breach pad SIZE`.
    fn breach(&mut self, item: &Item) -> Option<Breach> {
        let ways = [("careful", Some(Breach::Careful)), ("off", Some(Breach::Off)), ("pad", None)];
        let word = item.value(0)?;
        let way = self.ok(values::choice(word, &ways, &[]))?.value;
        match (way, item.value(1)) {
            (Some(breach), None) => Some(breach),
            (Some(_), Some(size)) => {
                let message = format!("`breach {}` takes no size", word.shown());
                let error = Diagnostic::error("E0204", size.span, message);
                self.say(error.help("write `breach pad SIZE`, or remove the size"));
                None
            }
            (None, Some(size)) => {
                let size = values::size_within(size, 1, PAD_BYTES_MAX)
                    .map_err(|error| error.help("write a size from 1B to 4KiB"));
                u32::try_from(self.ok(size)?.value).ok().map(Breach::Pad)
            }
            (None, None) => {
                let error = Diagnostic::error("E0204", item.span, "`breach pad` misses its size");
                self.say(error.help("write `breach pad 64B`"));
                None
            }
        }
    }
}

/// The coding of a name.
fn coding(text: &Text) -> Value<Coding> {
    let help = match text.text.to_ascii_lowercase().as_str() {
        "brotli" => "its name in HTTP is `br`",
        "x-gzip" => "it is the same as `gzip`",
        "zstandard" | "zst" => "its name in HTTP is `zstd`",
        "deflate" => "clients read different things from `deflate`, and all of them read gzip",
        "identity" => "a client that reads nothing else gets answers uncoded in any case",
        _ => return values::choice(text, &CODINGS, &[]),
    };
    let message = format!("`{}` is not one of zstd, br, gzip", text.shown());
    Err(Diagnostic::error("E0307", text.span, message).help(help))
}

/// Levels that a coding has. Those of zstd above 19 need more memory than what a client must be able to read with
/// (RFC 9659 section 3).
fn bounds(coding: Coding) -> (u8, u8) {
    match coding {
        Coding::Gzip => (1, 9),
        Coding::Brotli => (0, 11),
        Coding::Zstd => (1, 19),
    }
}

/// Levels without a word, first and kept. The first keep up with what a core can send, the others are done once.
fn defaults(coding: Coding) -> (u8, u8) {
    match coding {
        Coding::Gzip => (5, 9),
        Coding::Brotli => (4, 11),
        Coding::Zstd => (3, 19),
    }
}

/// A media type, or a pattern of such, in lower case.
fn pattern(text: &Text) -> Value<String> {
    let wrong = |help: String| {
        let message = format!("`{}` is no pattern that a media type can match", text.shown());
        Err(Diagnostic::error("E0320", text.span, message).help(help))
    };
    let written = text.text.to_ascii_lowercase();
    let forms = || "write text/html, text/*, */*+json or */*".to_owned();
    if let Some((whole, _)) = written.split_once(';') {
        let whole = whole.trim_end();
        return wrong(format!(
            "parameters are not compared: write `{}`",
            crate::lexer::printable(whole)
        ));
    }
    let Some((kind, subtype)) = written.split_once('/') else { return wrong(forms()) };
    let token = |word: &str| doorman_http::is_token(word.as_bytes()) && !word.contains('*');
    let suffix = subtype.strip_prefix("*+");
    let sound = match kind {
        "*" => subtype == "*" || suffix.is_some_and(token),
        _ if suffix.is_some_and(token) => {
            return wrong(format!("a suffix is of all types: write `*/{subtype}`"));
        }
        _ => token(kind) && (subtype == "*" || token(subtype)),
    };
    if !sound {
        return wrong(forms());
    }
    if STREAMS.iter().any(|stream| written.split('+').next() == Some(stream)) {
        let message = format!("answers of type `{written}` are never coded");
        let error = Diagnostic::error("E0245", text.span, message);
        return Err(error.help("each piece of it has to arrive at once: remove it"));
    }
    Ok(Spanned::new(written, text.span))
}

#[cfg(test)]
mod tests {
    use super::TYPES;
    use crate::table::{self, Within};

    #[test]
    fn the_table_shows_the_types_that_hold_without_a_word() {
        let types = table::find("types", Within::Compress).expect("a directive");
        assert_eq!(types.default, format!("`{}`", TYPES.join(" ")));
    }
}
