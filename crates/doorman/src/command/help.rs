//! `doorman help`: texts about topics, directives, commands and the codes of diagnostics.

mod topics;

use std::fmt::Write;
use std::process::ExitCode;

use clap::{Args, CommandFactory};

use super::{Arguments, screen};

const EXAMPLES: &str = "\
Examples:
  doorman help                what there is help for
  doorman help rewrite        a directive
  doorman help E0207          a code that `check` has shown
  doorman help explain        a command
";

/// Columns of the page about the commands, which must not depend on anybody's terminal.
const PAGE_COLUMNS: usize = 100;

/// Explain a topic, a directive, a command or the code of a diagnostic
#[derive(Args)]
#[command(before_help = EXAMPLES)]
pub struct Help {
    /// Topic, directive, command or code; `directives` and `commands` are whole reference pages
    #[arg(value_name = "TOPIC|DIRECTIVE|COMMAND|CODE")]
    about: Option<String>,
}

impl Help {
    pub fn run(self) -> ExitCode {
        let Some(word) = self.about else { return screen::data(&contents()) };
        match find(&word) {
            Some(text) => screen::data(&text),
            None => {
                let near = nearest(&word);
                let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                screen::usage(&format!(
                    "there is no help for `{word}`{hint}\n  help: `doorman help` lists everything"
                ))
            }
        }
    }
}

/// Texts by the first of these that knows the word; a word that is both a directive and a command
/// gets both.
fn find(word: &str) -> Option<String> {
    match word {
        "directives" => return Some(doorman_config::reference_markdown()),
        "commands" => return Some(commands_markdown()),
        _ => {}
    }
    if let Some(text) = doorman_config::explain_code(word).or_else(|| topics::code(word)) {
        return Some(text);
    }
    if let Some(topic) = topics::TOPICS.iter().find(|topic| topic.name == word) {
        return Some(format!("{}\n\n{}", topic.title, topic.text));
    }
    let directive = doorman_config::help_directive(word);
    let mut root = Arguments::command();
    root.build();
    let command = root.find_subcommand_mut(word).map(|command| command.render_long_help());
    match (directive, command) {
        (None, None) => None,
        (Some(text), None) => Some(text),
        (None, Some(help)) => Some(help.to_string()),
        (Some(text), Some(help)) => {
            Some(format!("{text}\nThere is also a command of this name:\n\n{help}"))
        }
    }
}

fn contents() -> String {
    let mut text = String::from("doorman help WORD, where WORD is one of these.\n\nTopics:\n");
    for topic in topics::TOPICS {
        let _ = writeln!(text, "  {:<14} {}", topic.name, topic.title);
    }
    text.push_str("  directives     The reference of all directives, as Markdown\n");
    text.push_str("  commands       The reference of all commands, as Markdown\n\nCommands:\n");
    for command in Arguments::command().get_subcommands() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, "  {:<14} {about}", command.get_name());
    }
    text.push_str("\nDirectives:\n");
    let mut line = String::from(" ");
    for word in doorman_config::completion_words() {
        if line.len() + 1 + word.len() > 80 {
            let _ = writeln!(text, "{line}");
            line = String::from(" ");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(text, "{line}\n\nCodes: as `check` shows them, such as E0207.");
    text
}

/// The page about all commands, made from their definitions.
pub fn commands_markdown() -> String {
    let mut root = Arguments::command().term_width(PAGE_COLUMNS);
    root.build();
    let mut page = String::from(
        "# Commands\n\nThis page is generated from the definitions of the commands; `doorman help COMMAND` shows the same.\n",
    );
    let _ = write!(page, "\n## doorman\n\n```text\n{}```\n", trimmed(&mut root));
    let mut commands: Vec<clap::Command> = root.get_subcommands().cloned().collect();
    for command in &mut commands {
        let title = command.get_bin_name().unwrap_or_default().to_owned();
        let _ = write!(page, "\n## {title}\n\n```text\n{}```\n", trimmed(command));
        let mut inner: Vec<clap::Command> = command.get_subcommands().cloned().collect();
        for command in &mut inner {
            let title = command.get_bin_name().unwrap_or_default().to_owned();
            let _ = write!(page, "\n### {title}\n\n```text\n{}```\n", trimmed(command));
        }
    }
    page
}

/// A command's help without spaces at the ends of lines.
fn trimmed(command: &mut clap::Command) -> String {
    let help = command.render_long_help().to_string();
    help.trim().lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// The word that was perhaps meant: at most two letters away.
fn nearest(word: &str) -> Option<String> {
    let commands = Arguments::command();
    let names = topics::TOPICS
        .iter()
        .map(|topic| topic.name.to_owned())
        .chain(doorman_config::completion_words().into_iter().map(str::to_owned))
        .chain(commands.get_subcommands().map(|command| command.get_name().to_owned()));
    names
        .map(|name| (distance(word, &name), name))
        .filter(|(distance, name)| *distance <= 2 && *distance < name.len())
        .min()
        .map(|(_, name)| name)
}

/// Letters to insert, remove or change (Levenshtein). A word of a command line is short.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expect) in [
            ("", "", 0),
            ("route", "route", 0),
            ("roote", "route", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), expect, "{a} {b}");
            assert_eq!(distance(b, a), expect, "{b} {a}");
        }
    }

    #[test]
    fn every_topic_and_code_is_found() {
        for topic in topics::TOPICS {
            assert!(find(topic.name).is_some_and(|text| text.contains(topic.title)));
        }
        for known in doorman_config::explanations() {
            assert!(find(known.code).is_some(), "{}", known.code);
        }
        assert!(find("E0603").is_some());
        assert!(find("e0603").is_some());
        assert!(find("nothing-of-ours").is_none());
    }
}
