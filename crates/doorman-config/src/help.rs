//! Texts made from the table: help for a word, the reference page, the words for completions.

use std::fmt::Write as _;

use doorman_http::template::NAMES;

use crate::table::{self, Directive, LATER, Within};

/// Help for a directive, in every block that has it; for one that comes later, what it will do. `None` if the word is
/// nothing of ours.
#[must_use]
pub fn help_directive(name: &str) -> Option<String> {
    let mut text = String::new();
    for directive in table::directives().filter(|directive| directive.name == name) {
        one(directive, &mut text);
    }
    for later in LATER.iter().filter(|later| later.name == name) {
        let places: Vec<String> = later.within.iter().map(|within| within.phrase()).collect();
        push(
            &mut text,
            format_args!("{name} ({}) comes with a later version.\n", places.join(", ")),
        );
        push(&mut text, format_args!("    It will {}.\n\n", later.what));
    }
    (!text.is_empty()).then(|| text.trim_end().to_owned() + "\n")
}

fn one(directive: &Directive, text: &mut String) {
    let places: Vec<String> = directive.within.iter().map(|within| within.phrase()).collect();
    push(text, format_args!("{} ({})\n", usage(directive), places.join(", ")));
    push(text, format_args!("    {}\n", directive.help));
    for argument in directive.arguments {
        if let table::Kind::Any(what) = argument.kind {
            push(text, format_args!("    {}: {what}\n", argument.name));
        }
    }
    if !directive.default.is_empty() {
        push(text, format_args!("    Default: {}\n", directive.default));
    }
    push(text, format_args!("    Example: {}\n", directive.example));
    if let Some(block) = directive.block {
        text.push_str("    Inside, or folded into the line:\n");
        for inner in table::allowed(block) {
            push(text, format_args!("        {}  {}\n", inner.syntax(), inner.help));
        }
    }
    push(text, format_args!("    Since {}\n\n", directive.since));
}

/// The line of a directive, with its block if it has one.
fn usage(directive: &Directive) -> String {
    let syntax = directive.syntax();
    if directive.block.is_some() { format!("{syntax} {{ ... }}") } else { syntax }
}

/// The reference page, in Markdown: a table for each block, then placeholders and what is still to come.
#[must_use]
pub fn reference_markdown() -> String {
    let mut page = String::from(
        "# Directives\n\nThis page is generated from the table of directives; `doorman help DIRECTIVE` shows the same.\n",
    );
    for within in Within::ALL {
        let title = match within {
            Within::Top => "Top level".to_owned(),
            Within::SiteTls => "`tls` in `site`".to_owned(),
            Within::UpstreamTls => "`tls` in `upstream`".to_owned(),
            Within::WafExclude => "`exclude` in `waf`".to_owned(),
            Within::WafBody => "`body` in `waf`".to_owned(),
            other => format!("`{}`", other.word()),
        };
        push(&mut page, format_args!("\n## {title}\n\n"));
        page.push_str("| Directive | Default | What it does | Example |\n|---|---|---|---|\n");
        for directive in table::allowed(*within) {
            let cells = [
                format!("`{}`", cell(&usage(directive))),
                cell(directive.default),
                cell(directive.help),
                format!("`{}`", cell(directive.example)),
            ];
            push(&mut page, format_args!("| {} |\n", cells.join(" | ")));
        }
    }
    page.push_str("\n## Placeholders\n\nFilled in when a request comes:");
    for name in NAMES {
        push(&mut page, format_args!(" `{{{name}}}`"));
    }
    page.push_str("\n\n## Still to come\n\n");
    for later in LATER {
        let places: Vec<String> = later.within.iter().map(|within| within.phrase()).collect();
        push(
            &mut page,
            format_args!("- `{}` ({}) will {}\n", later.name, places.join(", "), later.what),
        );
    }
    page
}

/// Text for a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// All names of directives, sorted, each once: the words for `doorman help` completions.
#[must_use]
pub fn completion_words() -> Vec<&'static str> {
    let mut words: Vec<&str> = table::directives().map(|directive| directive.name).collect();
    words.sort_unstable();
    words.dedup();
    words
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail.
    let _ = text.write_fmt(arguments);
}
