//! The command line.
//!
//! Conventions, the same for every command: stdout is data and stderr is messages, commands that
//! read take `--json`, and the exit code says how it went (see [`exit`]).

mod cache;
mod called;
mod certs;
mod check;
mod completions;
mod config;
mod demo;
mod diff;
pub(crate) mod explain;
mod fmt;
mod hash;
mod help;
mod limits;
mod man;
mod proxy;
mod purge;
mod reload;
mod run;
mod screen;
mod status;
mod test;
mod trust;
mod upstreams;
mod url;
mod waf;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser, Subcommand};
use doorman_config::{Config, SourceMap};
use doorman_net::Clock;
use doorman_proxy::Plan;

use crate::engine::{self, Origin, Refused};
use screen::{Screen, When};

/// Exit codes; the same for every command.
pub mod exit {
    /// Something failed.
    pub const FAILED: u8 = 1;
    /// The command line is wrong.
    pub const USAGE: u8 = 2;
    /// The configuration is faulty.
    pub const CONFIG: u8 = 3;
    /// No proxy answers.
    pub const UNREACHABLE: u8 = 4;
    /// The proxy answers, but not to us.
    pub const NOT_PERMITTED: u8 = 5;
}

/// The configuration where none is named.
const FILE: &str = "doorman.conf";

const EXAMPLES: &str = "\
Examples:
  doorman demo                            two origins and a proxy in front, to play with
  doorman proxy 3000                      https://localhost:8443 in front of port 3000
  doorman check                           is doorman.conf right?
  doorman run                             serve it
  doorman explain https://example.com/    who would answer this, and why
";

#[derive(Parser)]
#[command(
    name = "doorman",
    version,
    about = "A reverse proxy that explains itself",
    before_help = EXAMPLES,
    disable_help_subcommand = true
)]
struct Arguments {
    /// When to colour
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    color: When,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Demo),
    Proxy(proxy::Proxy),
    Run(run::Run),
    /// Let the running proxy read its configuration again
    Reload(reload::Reload),
    /// Show how the running proxy is doing
    Status(status::Status),
    Certs(certs::Certs),
    Upstreams(upstreams::Upstreams),
    Cache(cache::Cache),
    Limits(limits::Limits),
    Bans(limits::Bans),
    Purge(purge::Purge),
    Waf(waf::Waf),
    Diff(diff::Diff),
    Check(check::Check),
    Fmt(fmt::Fmt),
    Hash(hash::Hash),
    Explain(explain::Explain),
    Test(test::Test),
    Config(config::ConfigCommand),
    Trust(trust::Trust),
    Untrust(trust::Untrust),
    Help(help::Help),
    Completions(completions::Completions),
    Man(man::Man),
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let screen = Screen::new(arguments.color);
    match arguments.command {
        None => screen::data(&Arguments::command().render_help().to_string()),
        Some(Command::Demo(demo)) => demo.run(&screen),
        Some(Command::Proxy(proxy)) => proxy.run(&screen),
        Some(Command::Run(run)) => run.run(&screen),
        Some(Command::Reload(reload)) => reload.run(),
        Some(Command::Status(status)) => status.run(),
        Some(Command::Certs(certs)) => certs.run(&screen),
        Some(Command::Upstreams(upstreams)) => upstreams.run(&screen),
        Some(Command::Cache(cache)) => cache.run(&screen),
        Some(Command::Limits(limits)) => limits.run(&screen),
        Some(Command::Bans(bans)) => bans.run(&screen),
        Some(Command::Purge(purge)) => purge.run(),
        Some(Command::Waf(waf)) => waf.run(&screen),
        Some(Command::Diff(diff)) => diff.run(&screen),
        Some(Command::Check(check)) => check.run(&screen),
        Some(Command::Fmt(fmt)) => fmt.run(&screen),
        Some(Command::Hash(hash)) => hash.run(),
        Some(Command::Explain(explain)) => explain.run(&screen),
        Some(Command::Test(test)) => test.run(&screen),
        Some(Command::Config(config)) => config.run(&screen),
        Some(Command::Trust(trust)) => trust.run(&screen),
        Some(Command::Untrust(untrust)) => untrust.run(&screen),
        Some(Command::Help(help)) => help.run(),
        Some(Command::Completions(completions)) => completions.run(),
        Some(Command::Man(man)) => man.run(),
    }
}

/// A configuration that was read and compiled only to be looked at.
pub struct Looked {
    clock: Clock,
    config: Arc<Config>,
    plan: Arc<Plan>,
    sources: SourceMap,
}

/// Reads and compiles a configuration without doing anything; tells its warnings, or why it
/// cannot be used.
fn look(file: &std::path::Path, screen: &Screen) -> Result<Looked, ExitCode> {
    let clock = Clock::system();
    let origin = Origin::File(PathBuf::from(file));
    let prepared =
        engine::read(&origin, engine::NOBODY).and_then(|(config, diagnostics, sources)| {
            let ground = engine::looking(&config, clock)?;
            engine::compile(&config, diagnostics, sources, &ground, engine::NOBODY)
                .map(|prepared| (config, prepared))
        });
    match prepared {
        Ok((config, prepared)) => {
            screen.tell(&prepared.warnings, &prepared.sources);
            Ok(Looked { clock, config, plan: Arc::new(prepared.plan), sources: prepared.sources })
        }
        Err(refused) => Err(refuse(&refused, screen)),
    }
}

/// Says why nothing was done, and gives the exit code for it.
fn refuse(refused: &Refused, screen: &Screen) -> ExitCode {
    match refused {
        Refused::Config(diagnostics, sources) => {
            screen.tell(diagnostics, sources);
            // Rules may name files of their own, which nobody knows before they are read.
            let is_denied =
                |one: &doorman_config::Diagnostic| one.message.contains("ermission denied");
            if crate::harden::is_bounded() && diagnostics.iter().any(is_denied) {
                eprintln!("  help: {}", crate::harden::BOUNDS_HELP);
            }
            return ExitCode::from(exit::CONFIG);
        }
        Refused::Bind(errors) => errors.iter().for_each(|error| eprintln!("error: {error}")),
        Refused::System(why) => eprintln!("error: {why}"),
        Refused::Stopping => eprintln!("error: doorman is stopping"),
    }
    ExitCode::from(exit::FAILED)
}
