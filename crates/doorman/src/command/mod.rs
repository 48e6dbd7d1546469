//! The command line.

mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit codes; the same for every command.
pub mod exit {
    /// Something failed.
    pub const FAILED: u8 = 1;
    /// The configuration is faulty.
    pub const CONFIG: u8 = 3;
}

#[derive(Parser)]
#[command(name = "doorman", version, about = "A reverse proxy that explains itself")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run in the foreground
    Run(run::Run),
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run(run) => run.run(),
    }
}
