//! `doorman completions`: words for shells.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Arguments, screen};

const EXAMPLES: &str = "\
Examples:
  doorman completions bash > /etc/bash_completion.d/doorman
  doorman completions zsh > ~/.zfunc/_doorman
";

/// Print the completions for a shell
#[derive(Args)]
#[command(before_help = EXAMPLES)]
pub struct Completions {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub fn run(self) -> ExitCode {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "doorman", &mut text);
        screen::data(&String::from_utf8_lossy(&text))
    }
}
