//! `doorman check`: everything that `run` would complain about, without running.

use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use doorman_config::render;
use doorman_config::{Diagnostic, Severity, SourceMap};
use doorman_net::os::Os;
use doorman_net::{Address, Clock, Net, within_deadline};
use doorman_proxy::Plan;
use serde_json::json;

use super::screen::{self, Screen};
use super::{FILE, exit};
use crate::engine::{self, Origin, Refused};

const EXAMPLES: &str = "\
Examples:
  doorman check
  doorman check site.conf --deep
  doorman check --format short        one line each, for editors
";

/// Say whether a configuration is right, and everything that is wrong with it
///
/// It reads every file that the configuration names, compiles every expression and matches keys
/// with certificates. It binds nothing and writes nothing. Exit code 0, or 3 if there is an error.
#[derive(Args)]
#[command(before_help = EXAMPLES)]
pub struct Check {
    /// The configuration
    #[arg(default_value = FILE)]
    file: PathBuf,
    /// Look names up and connect to every upstream too; what fails is a warning
    #[arg(long)]
    deep: bool,
    /// How to show what was found
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// The same as `--format json`
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// With the lines that it is about
    Text,
    /// One line each
    Short,
    /// One object
    Json,
}

impl Check {
    pub fn run(self, screen: &Screen) -> ExitCode {
        let clock = Clock::system();
        let origin = Origin::File(self.file.clone());
        let prepared = engine::read(&origin).and_then(|(config, diagnostics, sources)| {
            let ground = engine::looking(&config, clock)?;
            engine::compile(&config, diagnostics, sources, &ground)
        });
        let (diagnostics, sources, summary) = match prepared {
            Ok(prepared) => {
                let mut found = prepared.warnings;
                if self.deep {
                    match deep(&prepared.plan, clock) {
                        Ok(more) => found.extend(more),
                        Err(why) => return screen::failed(&why),
                    }
                }
                let summary = summary(&prepared.plan);
                (found, prepared.sources, summary)
            }
            Err(Refused::Config(diagnostics, sources)) => (diagnostics, sources, String::new()),
            Err(other) => return super::refuse(&other, screen),
        };
        let failed = diagnostics.iter().any(Diagnostic::is_error);
        let format = if self.json { Format::Json } else { self.format };
        let shown = screen::data(&show(&diagnostics, &sources, format, screen));
        if failed {
            return ExitCode::from(exit::CONFIG);
        }
        if format == Format::Text {
            eprintln!("{} is valid: {summary}", self.file.display());
        }
        shown
    }
}

fn show(
    diagnostics: &[Diagnostic],
    sources: &SourceMap,
    format: Format,
    screen: &Screen,
) -> String {
    match format {
        Format::Text => render::annotated(diagnostics, sources, screen.out()),
        Format::Short => diagnostics.iter().map(|one| render::short(one, sources) + "\n").collect(),
        Format::Json => {
            let count = |severity| diagnostics.iter().filter(|d| d.severity == severity).count();
            let value = json!({
                "valid": count(Severity::Error) == 0,
                "errors": count(Severity::Error),
                "warnings": count(Severity::Warning),
                "diagnostics":
                    diagnostics.iter().map(|one| render::json(one, sources)).collect::<Vec<_>>(),
            });
            format!("{value:#}\n")
        }
    }
}

fn summary(plan: &Plan) -> String {
    let many = |count: usize, one: &str| match count {
        1 => format!("1 {one}"),
        n => format!("{n} {one}s"),
    };
    let routes = plan.config.sites.iter().map(|site| site.routes.len()).sum();
    [
        many(plan.config.sites.len(), "site"),
        many(routes, "route"),
        many(plan.upstreams.len(), "upstream"),
        many(plan.listeners.len(), "listener"),
    ]
    .join(", ")
}

/// How long one server may take to accept; a check is for somebody who waits.
const CONNECT: Duration = Duration::from_secs(3);

/// Connects to every server of every upstream, all at once.
fn deep(plan: &Plan, clock: Clock) -> Result<Vec<Diagnostic>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .map_err(|error| format!("no runtime: {error}"))?;
    let net = Rc::new(Os::new(0));
    runtime.block_on(async {
        let mut tries = Vec::new();
        for upstream in &plan.config.upstreams {
            let group = plan.upstreams.iter().find(|group| *group.name == *upstream.name.value);
            let Some(group) = group else { continue };
            for (server, planned) in upstream.servers.iter().zip(&group.servers) {
                let (net, address) = (Rc::clone(&net), planned.address.clone());
                let name = upstream.name.value.clone();
                let attempt = tokio::task::spawn_local(async move {
                    let connected = within_deadline(clock, CONNECT, net.connect(&address)).await;
                    trouble(&name, &address, connected)
                });
                tries.push((server.address.span, attempt));
            }
        }
        let mut found = Vec::new();
        for (span, attempt) in tries {
            if let Ok(Some(message)) = attempt.await {
                found.push(
                    Diagnostic::warning("E0701", span, message)
                        .help("requests that need it get 502 until it answers"),
                );
            }
        }
        Ok(found)
    })
}

fn trouble<T>(
    upstream: &str,
    address: &Address,
    connected: Option<std::io::Result<T>>,
) -> Option<String> {
    match connected {
        Some(Ok(_)) => None,
        Some(Err(error)) => Some(format!("cannot connect to {address} of `{upstream}`: {error}")),
        None => Some(format!(
            "{address} of `{upstream}` does not accept within {} seconds",
            CONNECT.as_secs()
        )),
    }
}
