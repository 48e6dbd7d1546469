//! Where words go: data to stdout, messages to stderr, colour only where somebody looks.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use doorman_config::render::{self, Colour};
use doorman_config::{Diagnostic, SourceMap};

use super::exit;

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Both streams, and whether each takes colour.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    out: Colour,
    err: Colour,
}

impl Screen {
    /// What the flag and the environment say.
    pub fn new(when: When) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let colour = |is_terminal: bool| {
            let wanted = match when {
                When::Always => true,
                When::Never => false,
                When::Auto if set("NO_COLOR") => false,
                When::Auto => is_terminal || set("CLICOLOR_FORCE"),
            };
            if wanted { Colour::Always } else { Colour::Never }
        };
        Self {
            out: colour(std::io::stdout().is_terminal()),
            err: colour(std::io::stderr().is_terminal()),
        }
    }

    /// Colour of stdout.
    pub const fn out(&self) -> Colour {
        self.out
    }

    /// Text that stands out on stdout.
    pub fn strong(&self, text: &str) -> String {
        match self.out {
            Colour::Always => format!("\x1b[1m{text}\x1b[0m"),
            Colour::Never => text.to_owned(),
        }
    }

    /// Text that stands back on stdout.
    pub fn faint(&self, text: &str) -> String {
        match self.out {
            Colour::Always => format!("\x1b[2m{text}\x1b[0m"),
            Colour::Never => text.to_owned(),
        }
    }

    /// Shows diagnostics as messages.
    pub fn tell(&self, diagnostics: &[Diagnostic], sources: &SourceMap) {
        if !diagnostics.is_empty() {
            eprint!("{}", render::annotated(diagnostics, sources, self.err));
        }
    }
}

/// Writes data. A reader that has seen enough (`doorman ... | head`) is no failure.
pub fn data(text: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => failed(&format!("cannot write: {error}")),
    }
}

/// One JSON value as data.
pub fn json(value: &serde_json::Value) -> ExitCode {
    data(&format!("{value:#}\n"))
}

/// Says why a command failed.
pub fn failed(why: &str) -> ExitCode {
    eprintln!("error: {why}");
    ExitCode::from(exit::FAILED)
}

/// Says what is wrong with the command line.
pub fn usage(why: &str) -> ExitCode {
    eprintln!("error: {why}");
    ExitCode::from(exit::USAGE)
}
