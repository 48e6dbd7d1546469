//! `doorman run`: the proxy in the foreground.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use doorman_config::render::{self, Colour};
use doorman_config::{Diagnostic, SourceMap};
use doorman_net::Clock;
use tokio::signal::unix::{SignalKind, signal};

use super::exit;
use crate::engine::{self, Engine, Origin, Refused};

#[derive(Args)]
pub struct Run {
    /// The configuration
    #[arg(short, long, default_value = "doorman.conf")]
    config: PathBuf,
}

impl Run {
    pub fn run(self) -> ExitCode {
        crate::log::error::start();
        serve(Origin::File(self.config))
    }
}

/// Starts a proxy and serves until a signal ends it.
pub fn serve(origin: Origin) -> ExitCode {
    let clock = Clock::system();
    let started = engine::read(&origin).and_then(|(config, diagnostics, sources)| {
        let ground = engine::ground(&config, clock)?;
        let prepared = engine::compile(&config, diagnostics, sources, &ground)?;
        show(&prepared.warnings, &prepared.sources);
        Engine::start(ground, prepared, origin.clone())
    });
    let engine = match started {
        Ok(engine) => engine,
        Err(refused) => return say(&refused),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return ExitCode::from(exit::FAILED) };
    runtime.block_on(heed(&engine));
    ExitCode::SUCCESS
}

/// Follows signals: HUP reloads, USR1 reopens logs, TERM drains, INT or a second TERM ends now.
async fn heed(engine: &Arc<Engine>) {
    let kinds = [
        SignalKind::hangup(),
        SignalKind::user_defined1(),
        SignalKind::terminate(),
        SignalKind::interrupt(),
    ];
    let [Ok(mut hup), Ok(mut usr1), Ok(mut term), Ok(mut int)] = kinds.map(signal) else {
        tracing::error!("cannot listen for signals");
        return;
    };
    loop {
        tokio::select! {
            biased;
            _ = int.recv() => return stop(engine, false, &mut term, &mut int).await,
            _ = term.recv() => return stop(engine, true, &mut term, &mut int).await,
            _ = hup.recv() => reload(engine),
            _ = usr1.recv() => engine.reopen_logs(),
        }
    }
}

async fn stop(
    engine: &Arc<Engine>,
    gently: bool,
    term: &mut tokio::signal::unix::Signal,
    int: &mut tokio::signal::unix::Signal,
) {
    let draining = Arc::clone(engine);
    let mut done =
        tokio::task::spawn_blocking(
            move || if gently { draining.drain() } else { draining.stop() },
        );
    loop {
        tokio::select! {
            biased;
            _ = &mut done => return,
            _ = term.recv() => engine.hurry(),
            _ = int.recv() => engine.hurry(),
        }
    }
}

fn reload(engine: &Engine) {
    match engine.reload() {
        Ok(done) => {
            show(&done.warnings, &done.sources);
            tracing::info!("configuration {} is in force", done.generation);
        }
        Err(refused) => {
            say(&refused);
            tracing::error!("the configuration was not reloaded; the old one stays in force");
        }
    }
}

fn show(diagnostics: &[Diagnostic], sources: &SourceMap) {
    if !diagnostics.is_empty() {
        let colour = if std::io::stderr().is_terminal() { Colour::Always } else { Colour::Never };
        eprintln!("{}", render::annotated(diagnostics, sources, colour));
    }
}

/// Says why nothing was done, and gives the exit code for it.
fn say(refused: &Refused) -> ExitCode {
    match refused {
        Refused::Config(diagnostics, sources) => {
            show(diagnostics, sources);
            return ExitCode::from(exit::CONFIG);
        }
        Refused::Bind(errors) => errors.iter().for_each(|error| eprintln!("error: {error}")),
        Refused::System(why) => eprintln!("error: {why}"),
        Refused::Stopping => eprintln!("error: doorman is stopping"),
    }
    ExitCode::from(exit::FAILED)
}
