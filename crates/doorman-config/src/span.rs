//! Where a value stands in the text. Every value of the model that a later stage can complain about carries one of
//! these, so that an error of the plan compiler points at a line just as an error of the parser does.
//!
//! A span is three small integers and is copied freely; the text itself lives once, in the [`SourceMap`].

use std::fmt;

/// One file that was read: the number under which the [`SourceMap`] keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// A range of bytes in one file; `end` is exclusive. Files are bounded far below 4 GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// Byte offset of the first byte.
    pub start: u32,
    /// Byte offset after the last byte.
    pub end: u32,
}

impl Span {
    /// The span from the start of `self` to the end of `other`, which must stand in the same file.
    #[must_use]
    pub fn to(self, other: Span) -> Span {
        debug_assert_eq!(self.file, other.file, "a span never crosses files");
        Span { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// A value and where it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spanned<T> {
    /// What was written.
    pub value: T,
    /// Where.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Puts a value and its place together.
    pub fn new(value: T, span: Span) -> Spanned<T> {
        Spanned { value, span }
    }

    /// Changes the value and keeps the place.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: change(self.value), span: self.span }
    }
}

/// A value that always exists: written somewhere, or the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Setting<T> {
    /// The value in force.
    pub value: T,
    /// Where it was written; `None` for the default.
    pub span: Option<Span>,
}

impl<T> Setting<T> {
    /// The default, written nowhere.
    pub fn default_of(value: T) -> Setting<T> {
        Setting { value, span: None }
    }

    /// A value that the operator wrote.
    pub fn written(value: T, span: Span) -> Setting<T> {
        Setting { value, span: Some(span) }
    }
}

impl<T> From<Spanned<T>> for Setting<T> {
    fn from(spanned: Spanned<T>) -> Setting<T> {
        Setting { value: spanned.value, span: Some(spanned.span) }
    }
}

/// One text that was read, with its name as the operator knows it.
#[derive(Clone, Debug)]
struct SourceFile {
    path: String,
    text: String,
    /// Byte offset at which each line begins; the first is 0.
    lines: Vec<u32>,
}

/// All the texts of one load. It answers where a span is and what stands there.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
    noted: Vec<String>,
}

/// A place as people count: line and column start at 1, columns count characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's path as given.
    pub path: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1, in characters.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path, self.line, self.column)
    }
}

impl SourceMap {
    /// An empty map.
    #[must_use]
    pub fn new() -> SourceMap {
        SourceMap::default()
    }

    /// Takes a text in and gives the number by which spans refer to it.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<String>) -> FileId {
        let text = text.into();
        let mut lines = vec![0];
        lines.extend(
            text.bytes()
                .enumerate()
                .filter(|(_, byte)| *byte == b'\n')
                .map(|(at, _)| offset(at.saturating_add(1))),
        );
        let id = FileId(offset(self.files.len()));
        self.files.push(SourceFile { path: path.into(), text, lines });
        id
    }

    /// The path of a file as it was given; empty if the map doesn't hold it.
    #[must_use]
    pub fn path(&self, file: FileId) -> &str {
        self.file(file).map_or("", |file| &file.path)
    }

    /// The whole text of a file; empty if the map doesn't hold it.
    #[must_use]
    pub fn text(&self, file: FileId) -> &str {
        self.file(file).map_or("", |file| &file.text)
    }

    /// What stands at a span; empty if the span doesn't fit the text.
    #[must_use]
    pub fn snippet(&self, span: Span) -> &str {
        self.text(span.file).get(span.start as usize..span.end as usize).unwrap_or("")
    }

    /// File, line and column of a span's first byte.
    #[must_use]
    pub fn place(&self, span: Span) -> Place {
        let Some(file) = self.file(span.file) else {
            return Place { path: String::new(), line: 1, column: 1 };
        };
        let line = file.lines.partition_point(|start| *start <= span.start).max(1);
        let begin = file.lines[line - 1] as usize;
        let column =
            file.text.get(begin..span.start as usize).map_or(0, |before| before.chars().count());
        Place {
            path: file.path.clone(),
            line: offset(line),
            column: offset(column.saturating_add(1)),
        }
    }

    /// Number of files.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether nothing was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Adds a file that no span refers to, and whose content counts all the same: the text of a `${file:}`, an error
    /// page, a key, or what was looked for and not found.
    pub fn note(&mut self, path: impl Into<String>) {
        self.noted.push(path.into());
    }

    /// Paths of all files that count, the main file first: what `--watch` watches. Some may come twice.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let noted = self.noted.iter().map(String::as_str);
        self.files.iter().map(|file| file.path.as_str()).chain(noted)
    }

    fn file(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(id.0 as usize)
    }
}

/// Texts are bounded to a few MiB before they come here, so nothing is ever cut.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
