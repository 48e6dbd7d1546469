//! From a path to a [`Config`]: reads files through a [`Source`], follows `include`, fills in `${...}`, checks every
//! statement against the table and hands the result to the decoder.

use crate::decode;
use crate::faults::Faults;
use crate::fold;
use crate::item::{Form, Item, Switch, Text};
use crate::lexer::printable;
use crate::parse::{self, STATEMENTS_MAX};
use crate::suggest;
use crate::table::{self, Repeat, Within};
use crate::tree::{LoadKind, Part, Statement, Style, Tree, Value};
use crate::{Config, Diagnostic, FILE_BYTES_MAX, FileId, Source, SourceMap, Span};

/// Depth of `include`. A main file, a folder of sites and their snippets need three.
pub const INCLUDE_DEPTH_MAX: usize = 8;

/// Files of one configuration: ten thousand would be a site each for a large hoster.
pub const FILES_MAX: usize = 10_000;

/// Bytes of one value that is loaded from elsewhere: keys and tokens are far smaller.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// Diagnostics of one run. More would not be read.
pub const DIAGNOSTICS_MAX: usize = 200;

/// What came of a load.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration; `None` if there was any error.
    pub config: Option<Config>,
    /// Everything there is to say, by file and line.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts, for showing diagnostics and for saying where a setting was written.
    pub sources: SourceMap,
}

/// Loads a configuration. A path that ends in `.json` is read as the JSON twin; its diagnostics then show the text
/// that the JSON stands for.
#[must_use]
pub fn load(source: &dyn Source, path: &str) -> Loaded {
    let mut loader = Loader {
        source,
        sources: SourceMap::new(),
        diagnostics: Faults::default(),
        open: Vec::new(),
        statements: 0,
    };
    let items = match source.read(path) {
        Ok(text) => loader.file(path, text, Within::Top),
        Err(reason) => {
            let file = loader.sources.add(path, "");
            let span = Span { file, start: 0, end: 0 };
            loader.diagnostics.push(Diagnostic::error(
                "E0114",
                span,
                format!("cannot read {}: {}", printable(path), printable(&reason)),
            ));
            Vec::new()
        }
    };
    let Loader { sources, mut diagnostics, .. } = loader;
    let config = decode::config(&items, &sources, &mut diagnostics);
    finish(config, diagnostics.into_kept(), sources)
}

fn finish(config: Config, mut diagnostics: Vec<Diagnostic>, sources: SourceMap) -> Loaded {
    diagnostics.sort_by_key(|diagnostic| (diagnostic.primary.span, diagnostic.code));
    diagnostics.dedup();
    let failed = diagnostics.iter().any(Diagnostic::is_error);
    if diagnostics.len() > DIAGNOSTICS_MAX {
        diagnostics.sort_by_key(|diagnostic| diagnostic.severity);
        diagnostics.truncate(DIAGNOSTICS_MAX);
    }
    Loaded { config: (!failed).then_some(config), diagnostics, sources }
}

struct Loader<'s> {
    source: &'s dyn Source,
    sources: SourceMap,
    diagnostics: Faults,
    /// Files that are being read, the main file first.
    open: Vec<String>,
    statements: usize,
}

impl Loader<'_> {
    fn file(&mut self, path: &str, text: String, within: Within) -> Vec<Item> {
        if text.len() > FILE_BYTES_MAX {
            let file = self.sources.add(path, "");
            let span = Span { file, start: 0, end: 0 };
            let message = format!("{} is larger than {FILE_BYTES_MAX} bytes", printable(path));
            self.diagnostics.push(Diagnostic::error("E0110", span, message));
            return Vec::new();
        }
        let text = if path.ends_with(".json") { self.twin(path, &text) } else { text };
        let file = self.sources.add(path, text);
        let (tree, diagnostics) = parse::parse(&self.sources, file);
        self.diagnostics.extend(diagnostics);
        self.open.push(path.to_owned());
        let items = self.items(&tree, within);
        self.open.pop();
        items
    }

    /// The text that a JSON twin stands for.
    fn twin(&mut self, path: &str, json: &str) -> String {
        match crate::json::text_from_json(json) {
            Ok(text) => text,
            Err(reason) => {
                let file = self.sources.add(path, json);
                let span = Span { file, start: 0, end: 0 };
                let message = format!("this is not the JSON form of a configuration: {reason}");
                self.diagnostics.push(Diagnostic::error("E0115", span, message));
                String::new()
            }
        }
    }

    /// The known statements of a block. Single ones that stand twice are reported.
    fn items(&mut self, tree: &Tree, within: Within) -> Vec<Item> {
        let mut items: Vec<Item> = Vec::new();
        for statement in tree.statements() {
            self.statements += 1;
            if self.statements > STATEMENTS_MAX {
                let message = format!("more than {STATEMENTS_MAX} statements in all files");
                self.diagnostics.push(Diagnostic::error("E0110", statement.span, message));
                break;
            }
            let Some(item) = self.item(statement, within) else { continue };
            if item.directive.name == "include" {
                items.extend(self.include(&item, within));
            } else {
                items.push(item);
            }
        }
        self.check_repeats(&items);
        items
    }

    fn check_repeats(&mut self, items: &[Item]) {
        let mut seen: Vec<&Item> = Vec::new();
        for item in items {
            if item.directive.repeat == Repeat::Often || item.is_off() {
                continue;
            }
            match seen.iter().find(|first| first.directive.name == item.directive.name) {
                None => seen.push(item),
                Some(first) => {
                    let name = item.directive.name;
                    self.diagnostics.push(
                        Diagnostic::error(
                            "E0205",
                            item.name,
                            format!("`{name}` stands twice in this block"),
                        )
                        .here("again")
                        .also(first.name, "first")
                        .help(format!("keep one; `off {name} ...` keeps a line without using it")),
                    );
                }
            }
        }
    }

    fn item(&mut self, statement: &Statement, within: Within) -> Option<Item> {
        let Some(directive) = table::find(&statement.name.text, within) else {
            let name = &statement.name;
            let fault = if self.diagnostics.is_full() {
                Diagnostic::error("E0201", name.span, "unknown directive")
            } else {
                suggest::unknown(&name.text, within, name.span)
            };
            self.diagnostics.push(fault);
            return None;
        };
        let reported = self.diagnostics.count();
        let folder = folder_of(self.sources.path(statement.span.file)).to_owned();
        let statement = fold::unfold(statement, within);
        let values = statement.values.iter().map(|value| self.text(value, &folder)).collect();
        let mut children = Vec::new();
        match (&statement.block, directive.block) {
            (Some(block), Some(inner)) => children = self.items(&block.tree, inner),
            (Some(_), None) => {
                let message = format!("`{}` takes no block", directive.name);
                self.diagnostics.push(
                    Diagnostic::error("E0206", statement.span, message)
                        .help(format!("it is written `{}`", directive.syntax())),
                );
            }
            (None, _) => {}
        }
        let mut item = Item {
            directive,
            switch: Switch::On,
            name: statement.name.span,
            values,
            children,
            span: statement.span,
            damaged: false,
        };
        item.damaged = self.diagnostics.count() > reported;
        if statement.off.is_some() {
            item.switch_off();
        }
        self.counted(item)
    }

    /// The item, if the number of its values is right.
    fn counted(&mut self, item: Item) -> Option<Item> {
        let directive = item.directive;
        let written = format!("it is written `{}`", directive.syntax());
        if item.values.len() < directive.values_min() {
            let message = format!("`{}` misses a value", directive.name);
            self.diagnostics.push(Diagnostic::error("E0204", item.span, message).help(written));
            return None;
        }
        let extra = directive.values_max().and_then(|most| item.values.get(most));
        let Some(extra) = extra else { return Some(item) };
        let message = match directive.values_max() {
            Some(0) => format!("`{}` takes no value", directive.name),
            _ => format!("`{}` takes no further value", directive.name),
        };
        let mut error = Diagnostic::error("E0204", extra.span, message);
        let words = directive.block.into_iter().flat_map(table::allowed).map(|inner| inner.name);
        if let Some(near) = extra.word().and_then(|word| suggest::nearest(word, words)) {
            error = error.help(format!("did you mean `{near}`?"));
        }
        self.diagnostics.push(error.help(written));
        None
    }

    /// The text of a value with everything loaded.
    fn text(&mut self, value: &Value, folder: &str) -> Text {
        let mut text = String::new();
        let mut form = match value.style {
            Style::Bare => Form::Bare,
            Style::Quoted | Style::Raw | Style::Heredoc => Form::Quoted,
        };
        for part in &value.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Load(kind, name) => {
                    form = Form::Loaded(value.spelling.clone());
                    match self.loaded(*kind, name, folder) {
                        Ok(loaded) => text.push_str(&loaded),
                        Err(reason) => {
                            let message = format!(
                                "${{{}:{}}}: {}",
                                kind.word(),
                                printable(name),
                                printable(&reason)
                            );
                            self.diagnostics.push(Diagnostic::error("E0113", value.span, message));
                        }
                    }
                }
            }
        }
        Text { text, span: value.span, form }
    }

    fn loaded(&mut self, kind: LoadKind, name: &str, folder: &str) -> Result<String, String> {
        let text = match kind {
            LoadKind::Env => {
                self.source.env(name).ok_or_else(|| "the variable is not set".to_owned())?
            }
            LoadKind::File => self.source.read(&join(folder, name))?,
            LoadKind::Secret => self.source.secret(name)?,
        };
        if text.len() > VALUE_BYTES_MAX {
            return Err(format!("more than {VALUE_BYTES_MAX} bytes"));
        }
        Ok(match kind {
            LoadKind::Env => text,
            // Files end in a newline because editors put one there.
            LoadKind::File | LoadKind::Secret => text.trim_end_matches(['\r', '\n']).to_owned(),
        })
    }

    fn include(&mut self, item: &Item, within: Within) -> Vec<Item> {
        let folder = folder_of(self.sources.path(item.span.file)).to_owned();
        let mut items = Vec::new();
        if item.is_off() {
            return items;
        }
        for pattern in &item.values {
            let fault = |reason: String| {
                let message = format!("cannot include {}: {reason}", pattern.shown());
                Diagnostic::error("E0114", pattern.span, message)
            };
            let paths = match self.source.glob(&join(&folder, &pattern.text)) {
                Ok(paths) => paths,
                Err(reason) => {
                    self.diagnostics.push(fault(printable(&reason)));
                    continue;
                }
            };
            if paths.is_empty() && !pattern.text.contains(['*', '?']) {
                self.diagnostics.push(fault("no such file".to_owned()));
            }
            for path in paths {
                match self.included(&path, within) {
                    Ok(more) => items.extend(more),
                    Err(reason) => self.diagnostics.push(fault(reason)),
                }
            }
        }
        items
    }

    fn included(&mut self, path: &str, within: Within) -> Result<Vec<Item>, String> {
        if self.open.iter().any(|open| open == path) {
            return Err(format!("{} includes itself", printable(path)));
        }
        if self.open.len() >= INCLUDE_DEPTH_MAX {
            return Err(format!("files include each other more than {INCLUDE_DEPTH_MAX} deep"));
        }
        if self.sources.len() >= FILES_MAX {
            return Err(format!("more than {FILES_MAX} files"));
        }
        let text = self
            .source
            .read(path)
            .map_err(|reason| format!("{}: {}", printable(path), printable(&reason)))?;
        Ok(self.file(path, text, within))
    }
}

/// The folder of a path, without the slash at its end; empty for a path without one.
pub(crate) fn folder_of(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) => "/",
        Some(at) => &path[..at],
        None => "",
    }
}

/// A path as seen from a folder.
pub(crate) fn join(folder: &str, path: &str) -> String {
    if path.starts_with('/') || folder.is_empty() {
        path.to_owned()
    } else if folder.ends_with('/') {
        format!("{folder}{path}")
    } else {
        format!("{folder}/{path}")
    }
}

/// The main file of a load.
pub(crate) const MAIN: FileId = FileId(0);
