//! Diagnostics as text: annotated source for people, one line each for editors and logs, JSON for machines. All three
//! show the source as written, so a secret that was loaded is never in them.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

use crate::{Diagnostic, FileId, Label, Severity, SourceMap};

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Never,
    /// ANSI colours, for a terminal.
    Always,
}

/// Width of annotated text; longer source lines are cut around what matters.
const WIDTH: usize = 120;

/// All diagnostics with the lines that they are about.
#[must_use]
pub fn annotated(diagnostics: &[Diagnostic], sources: &SourceMap, colour: Colour) -> String {
    let renderer = match colour {
        Colour::Never => Renderer::plain(),
        Colour::Always => Renderer::styled(),
    };
    let renderer = renderer.term_width(WIDTH);
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push_str(&renderer.render(&[group(diagnostic, sources)]));
        text.push_str("\n\n");
    }
    text
}

fn group<'a>(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code);
    let primary = &diagnostic.primary;
    let mut group = title.element(snippet(primary.span.file, Some(primary), diagnostic, sources));
    let mut files: Vec<FileId> = diagnostic.labels.iter().map(|label| label.span.file).collect();
    files.sort_unstable();
    files.dedup();
    for file in files.into_iter().filter(|file| *file != primary.span.file) {
        group = group.element(snippet(file, None, diagnostic, sources));
    }
    for help in &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(note.as_str()));
    }
    group
}

/// The lines of one file with all labels of the diagnostic that stand in it.
fn snippet<'a>(
    file: FileId,
    primary: Option<&'a Label>,
    diagnostic: &'a Diagnostic,
    sources: &'a SourceMap,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let text = sources.text(file);
    let place = |kind: AnnotationKind, label: &'a Label| {
        let (start, end) = (label.span.start as usize, label.span.end as usize);
        let range = if text.get(start..end).is_some() { start..end } else { 0..0 };
        let annotation = kind.span(range);
        if label.text.is_empty() { annotation } else { annotation.label(label.text.as_str()) }
    };
    let others = diagnostic.labels.iter().filter(|label| label.span.file == file);
    Snippet::source(text)
        .path(sources.path(file))
        .annotations(primary.map(|label| place(AnnotationKind::Primary, label)))
        .annotations(others.map(|label| place(AnnotationKind::Context, label)))
}

/// `file:line:col: error[E0207]: message; help`, without a line end.
#[must_use]
pub fn short(diagnostic: &Diagnostic, sources: &SourceMap) -> String {
    let mut text = format!(
        "{}: {}[{}]: {}",
        sources.place(diagnostic.primary.span),
        diagnostic.severity.word(),
        diagnostic.code,
        diagnostic.message
    );
    if let Some(more) = diagnostic.help.first().or(diagnostic.notes.first()) {
        text.push_str("; ");
        text.push_str(more);
    }
    text
}

/// One object: code, severity, message, places with lines and byte offsets, help and notes.
#[must_use]
pub fn json(diagnostic: &Diagnostic, sources: &SourceMap) -> Value {
    let label = |label: &Label| {
        let place = sources.place(label.span);
        json!({
            "file": place.path,
            "line": place.line,
            "column": place.column,
            "start": label.span.start,
            "end": label.span.end,
            "text": label.text,
        })
    };
    json!({
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "primary": label(&diagnostic.primary),
        "labels": diagnostic.labels.iter().map(label).collect::<Vec<_>>(),
        "help": diagnostic.help,
        "notes": diagnostic.notes,
    })
}
