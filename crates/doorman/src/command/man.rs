//! `doorman man`: manual pages, made from the definitions of the commands.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory};

use super::{Arguments, screen};

const EXAMPLES: &str = "\
Examples:
  doorman man | man -l -
  doorman man explain | man -l -
  doorman man --to /usr/local/share/man/man1
";

/// Print a manual page, or write all of them
#[derive(Args)]
#[command(before_help = EXAMPLES)]
pub struct Man {
    /// The command that the page is about; none: doorman itself
    command: Option<String>,
    /// Write the pages of all commands into this folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    to: Option<PathBuf>,
}

impl Man {
    pub fn run(self) -> ExitCode {
        let mut root = Arguments::command();
        root.build();
        if let Some(folder) = &self.to {
            return match write_all(&root, folder) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    screen::failed(&format!("cannot write to {}: {error}", folder.display()))
                }
            };
        }
        let chosen = match &self.command {
            None => Some(&root),
            Some(name) => root.find_subcommand(name),
        };
        match chosen {
            Some(command) => screen::data(&page(command)),
            None => screen::usage("there is no such command; `doorman --help` lists them"),
        }
    }
}

fn page(command: &clap::Command) -> String {
    let mut text = Vec::new();
    // Writing to memory cannot fail.
    let _ = clap_mangen::Man::new(command.clone()).render(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn write_all(root: &clap::Command, folder: &Path) -> std::io::Result<()> {
    std::fs::write(folder.join("doorman.1"), page(root))?;
    for command in root.get_subcommands() {
        // Built commands carry their full name for display: `doorman-check`.
        let name = command.get_display_name().unwrap_or(command.get_name());
        std::fs::write(folder.join(format!("{name}.1")), page(command))?;
    }
    Ok(())
}
