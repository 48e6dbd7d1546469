//! Lines and words: what every directive is made of, whatever it says.
//!
//! Nothing is copied: words are slices of their line and know where in it they stand, so that a fault
//! can name the line of the file though continuations have been joined. Escapes are resolved by who
//! knows what a word is: only a backslash before the quote that would end the word is taken away,
//! because any other is a matter of patterns.

use std::borrow::Cow;

use memchr::memchr;

/// Bytes of one directive, continuations joined, and lines that it may be written on. The longest
/// pattern of common rules has 12 KiB.
pub(super) const LINE_MAX: usize = 256 * 1024;

/// A directive with its arguments, as written.
#[derive(Debug)]
pub(super) struct Line<'t> {
    text: Cow<'t, [u8]>,
    first: u32,
    /// Where in `text` each further line of the file begins.
    joints: Vec<usize>,
}

/// What is wrong, and where in the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) text: String,
}

impl Fault {
    pub(super) fn new(at: usize, text: impl Into<String>) -> Self {
        Self { at, text: text.into() }
    }
}

impl Line<'_> {
    /// The line of the file in which it begins.
    pub(super) fn first(&self) -> u32 {
        self.first
    }

    /// The line of the file that has this byte.
    pub(super) fn number_at(&self, at: usize) -> u32 {
        let further = self.joints.partition_point(|&joint| joint <= at);
        self.first.saturating_add(u32::try_from(further).unwrap_or(u32::MAX))
    }

    /// Whether there is nothing to read in it.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.text.trim_ascii_start().first(), None | Some(b'#'))
    }

    /// Whether it is past the bound, so that only the beginning of it is there.
    pub(super) fn is_too_long(&self) -> bool {
        self.text.len() > LINE_MAX || self.joints.len() > LINE_MAX
    }

    /// Its words.
    ///
    /// # Errors
    /// A quote that does not end, or ends within a word.
    pub(super) fn words(&self) -> Result<Vec<Word<'_>>, Fault> {
        let text = &*self.text;
        let mut words = Vec::new();
        let mut at = 0;
        loop {
            at += text[at..].iter().take_while(|b| b.is_ascii_whitespace()).count();
            let Some(&first) = text.get(at) else { return Ok(words) };
            let word = match first {
                b'"' | b'\'' => self.quoted(at, first)?,
                _ => {
                    let len = text[at..].iter().take_while(|b| !b.is_ascii_whitespace()).count();
                    Word { text: &text[at..at + len], at, quote: None }
                }
            };
            at = word.at + word.text.len() + usize::from(word.quote.is_some());
            words.push(word);
        }
    }

    fn quoted(&self, open: usize, quote: u8) -> Result<Word<'_>, Fault> {
        let text = &*self.text;
        let start = open + 1;
        let Some(len) = quote_end(&text[start..], quote) else {
            let hint = if text.trim_ascii_end().ends_with(b"\\") {
                "; a backslash joins lines only if nothing follows it, not even a space"
            } else {
                ""
            };
            return Err(Fault::new(open, format!("a quote that does not end{hint}")));
        };
        match text.get(start + len + 1) {
            Some(next) if !next.is_ascii_whitespace() => Err(Fault::new(
                start + len,
                format!(
                    "a quote that ends within a word, before {:?}; write \\{} for a quote that is meant",
                    char::from(*next),
                    char::from(quote)
                ),
            )),
            _ => Ok(Word { text: &text[start..start + len], at: start, quote: Some(quote) }),
        }
    }
}

/// Where the quote is that ends a text, if one does: one that no backslash precedes.
pub(super) fn quote_end(text: &[u8], quote: u8) -> Option<usize> {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' => at += 2,
            _ if byte == quote => return Some(at),
            _ => at += 1,
        }
    }
    None
}

/// An argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'l> {
    /// As written, without its quotes.
    pub(super) text: &'l [u8],
    /// Where in the line it begins.
    pub(super) at: usize,
    /// What it is enclosed in.
    pub(super) quote: Option<u8>,
}

impl<'l> Word<'l> {
    /// What it says.
    pub(super) fn value(&self) -> Cow<'l, [u8]> {
        unescape(self.text, self.quote.as_slice())
    }

    /// The same as text, for names and messages.
    pub(super) fn name(&self) -> String {
        String::from_utf8_lossy(&self.value()).into_owned()
    }
}

/// Takes backslashes away that stand before one of the quotes.
pub(super) fn unescape<'l>(text: &'l [u8], quotes: &[u8]) -> Cow<'l, [u8]> {
    if quotes.is_empty() || memchr(b'\\', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        if let Some((&next, after)) = rest.split_first() {
            if !quotes.contains(&next) {
                out.push(byte);
            }
            out.push(next);
            rest = after;
        } else {
            out.push(byte);
        }
    }
    Cow::Owned(out)
}

/// The lines of a file, comments and empty ones too.
pub(super) struct Lines<'t> {
    rest: &'t [u8],
    number: u32,
}

/// Reads a file's text. A byte order mark at its beginning is passed over.
pub(super) fn lines(text: &[u8]) -> Lines<'_> {
    Lines { rest: text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text), number: 1 }
}

impl<'t> Lines<'t> {
    /// The next line of the file, and whether the one after it belongs to it.
    fn physical(&mut self) -> (&'t [u8], bool) {
        let (line, rest) = match memchr(b'\n', self.rest) {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        self.number = self.number.saturating_add(1);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line.strip_suffix(b"\\") {
            Some(joined) => (joined, true),
            None => (line, false),
        }
    }
}

impl<'t> Iterator for Lines<'t> {
    type Item = Line<'t>;

    fn next(&mut self) -> Option<Line<'t>> {
        if self.rest.is_empty() {
            return None;
        }
        let first = self.number;
        let (line, mut more) = self.physical();
        let mut text = Cow::Borrowed(line);
        let mut joints = Vec::new();
        while more && !self.rest.is_empty() {
            let (line, again) = self.physical();
            // Past the bound the line is refused, so that nothing more of it is kept.
            if text.len() <= LINE_MAX && joints.len() <= LINE_MAX {
                joints.push(text.len());
                text.to_mut().extend_from_slice(line);
            }
            more = again;
        }
        Some(Line { text, first, joints })
    }
}
