//! `doorman reload`: asks the running proxy to read its configuration again.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::exit;
use crate::admin::{Client, ClientError};

#[derive(Args)]
pub(crate) struct Reload {
    /// Where the running proxy listens: unix:PATH or IP:PORT
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// The configuration that may name the admin socket; the proxy reads its own
    #[arg(short, long, default_value = "doorman.conf")]
    config: PathBuf,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

impl Reload {
    pub(crate) fn run(self) -> ExitCode {
        let answer = Client::find(self.admin.as_deref(), &self.config)
            .and_then(|client| client.call("POST", "/reload"));
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return fail(&error),
        };
        if self.json {
            print(&answer.body);
        } else {
            tell(&answer.body);
        }
        match answer.code {
            200 => ExitCode::SUCCESS,
            422 if has_errors(&answer.body) => ExitCode::from(exit::CONFIG),
            _ => ExitCode::from(exit::FAILED),
        }
    }
}

/// Whether the configuration itself is at fault, and not a socket that is taken.
fn has_errors(body: &Value) -> bool {
    body["diagnostics"].as_array().is_some_and(|found| !found.is_empty())
}

fn tell(body: &Value) {
    let text = body["text"].as_str().unwrap_or_default().trim_end();
    if !text.is_empty() {
        eprintln!("{text}");
    }
    if body["result"] != "ok" {
        if text.is_empty() {
            eprintln!("error: {}", body["error"].as_str().unwrap_or("no reason was given"));
        }
        eprintln!("not reloaded; the old configuration stays in force");
        return;
    }
    println!("reloaded: configuration {} is in force", body["generation"]);
    for notice in body["notices"].as_array().into_iter().flatten() {
        println!("  {}", notice.as_str().unwrap_or_default());
    }
    for (word, key) in [("opened", "opened"), ("closed", "closed")] {
        for address in body[key].as_array().into_iter().flatten() {
            println!("  {word} {}", address.as_str().unwrap_or_default());
        }
    }
}

/// Prints JSON; a reader that is gone is no fault.
pub(super) fn print(value: &Value) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{value:#}");
}

/// Says why there is no answer, and gives the exit code for it.
pub(super) fn fail(error: &ClientError) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(match error {
        ClientError::Unreachable(_) => exit::UNREACHABLE,
        ClientError::NotPermitted(_) => exit::NOT_PERMITTED,
        ClientError::Usage(_) => exit::USAGE,
    })
}
