//! `doorman check`: everything that `run` would complain about, without running.

mod deep;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use doorman_config::render;
use doorman_config::{Diagnostic, Severity, SourceMap};
use doorman_net::Clock;
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
    /// Look names up and connect to every server too, and shake hands with those that speak TLS;
    /// what fails is a warning
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
        let prepared =
            engine::read(&origin, engine::NOBODY).and_then(|(config, diagnostics, sources)| {
                let ground = engine::looking(&config, clock)?;
                engine::compile(&config, diagnostics, sources, &ground, engine::NOBODY)
            });
        let mut met = Vec::new();
        let (diagnostics, sources, summary) = match prepared {
            Ok(prepared) => {
                let mut found = prepared.warnings;
                if self.deep {
                    match deep::meet(&prepared.plan, clock) {
                        Ok(all) => met = all,
                        Err(why) => return screen::failed(&why),
                    }
                    found.extend(met.iter().filter_map(deep::Met::trouble));
                }
                let summary = summary(&prepared.plan);
                (found, prepared.sources, summary)
            }
            Err(Refused::Config(diagnostics, sources)) => (diagnostics, sources, String::new()),
            Err(other) => return super::refuse(&other, screen),
        };
        let failed = diagnostics.iter().any(Diagnostic::is_error);
        let format = if self.json { Format::Json } else { self.format };
        let servers = self.deep.then_some(met.as_slice());
        let shown = screen::data(&show(&diagnostics, &sources, servers, format, screen));
        if failed {
            return ExitCode::from(exit::CONFIG);
        }
        if format == Format::Text {
            for one in met.iter().filter(|one| one.fault.is_none()) {
                eprintln!("{one}");
            }
            eprintln!("{} is valid: {summary}", self.file.display());
        }
        shown
    }
}

fn show(
    diagnostics: &[Diagnostic],
    sources: &SourceMap,
    servers: Option<&[deep::Met]>,
    format: Format,
    screen: &Screen,
) -> String {
    match format {
        Format::Text => render::annotated(diagnostics, sources, screen.out()),
        Format::Short => diagnostics.iter().map(|one| render::short(one, sources) + "\n").collect(),
        Format::Json => {
            let count = |severity| diagnostics.iter().filter(|d| d.severity == severity).count();
            let mut value = json!({
                "valid": count(Severity::Error) == 0,
                "errors": count(Severity::Error),
                "warnings": count(Severity::Warning),
                "diagnostics":
                    diagnostics.iter().map(|one| render::json(one, sources)).collect::<Vec<_>>(),
            });
            if let Some(servers) = servers {
                value["servers"] = servers.iter().map(deep::Met::json).collect();
            }
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
    let mut parts = vec![
        many(plan.config.sites.len(), "site"),
        many(routes, "route"),
        many(plan.upstreams.len(), "upstream"),
        many(plan.listeners.len(), "listener"),
    ];
    if !plan.relays.is_empty() {
        parts.push(many(plan.relays.len(), "relay"));
    }
    parts.join(", ")
}
