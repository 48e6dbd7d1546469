//! The command line.

mod reload;
mod run;
mod status;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit codes; the same for every command.
pub mod exit {
    /// Something failed.
    pub const FAILED: u8 = 1;
    /// The command was not understood.
    pub const USAGE: u8 = 2;
    /// The configuration is faulty.
    pub const CONFIG: u8 = 3;
    /// No proxy answers.
    pub const UNREACHABLE: u8 = 4;
    /// The proxy answers, but not to us.
    pub const NOT_PERMITTED: u8 = 5;
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
    /// Let the running proxy read its configuration again
    Reload(reload::Reload),
    /// Show how the running proxy is doing
    Status(status::Status),
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run(run) => run.run(),
        Command::Reload(reload) => reload.run(),
        Command::Status(status) => status.run(),
    }
}
