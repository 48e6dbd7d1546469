//! `doorman config`: a configuration as it was read, its JSON twin, and the schema of that.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use doorman_config::{Diagnostic, FileId};
use serde_json::json;

use super::fmt::{read, read_stdin};
use super::screen::{self, Screen};
use super::{FILE, exit};
use crate::files::Files;

const EXAMPLES: &str = "\
Examples:
  doorman config show                     every file that belongs to doorman.conf
  doorman config json > doorman.json      for programs; `run -c doorman.json` takes it
  doorman config text doorman.json        and back
";

/// Show a configuration, or convert it between text and JSON
#[derive(Args)]
#[command(before_help = EXAMPLES)]
pub struct ConfigCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Print every file that is read, included ones too, each under its name
    Show {
        /// The configuration
        #[arg(default_value = FILE)]
        file: PathBuf,
        /// As a list of files with their texts
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON twin of a file; `-` reads standard input
    Json {
        /// The configuration as text
        #[arg(default_value = FILE)]
        file: PathBuf,
    },
    /// Print the text that a JSON twin stands for; `-` reads standard input
    Text {
        /// The configuration as JSON
        file: PathBuf,
    },
    /// Print the JSON Schema of the JSON twin
    Schema,
}

impl ConfigCommand {
    pub fn run(self, screen: &Screen) -> ExitCode {
        match self.what {
            What::Show { file, json } => show(&file, json, screen),
            What::Json { file } => to_json(&file, screen),
            What::Text { file } => to_text(&file),
            What::Schema => screen::json(&doorman_config::schema()),
        }
    }
}

/// Sources are shown as written: a secret that was loaded is never in them.
fn show(file: &Path, as_json: bool, screen: &Screen) -> ExitCode {
    let loaded = doorman_config::load(&Files::default(), &file.to_string_lossy());
    let sources = &loaded.sources;
    let files = (0_u32..).zip(sources.paths());
    let files = files.map(|(at, path)| (path, sources.text(FileId(at))));
    let shown = if as_json {
        let files = files.map(|(path, text)| json!({ "path": path, "text": text }));
        screen::json(&json!({ "files": files.collect::<Vec<_>>() }))
    } else {
        let mut all = String::new();
        for (path, text) in files {
            all.push_str(&format!("# file: {path}\n{text}"));
            if !text.ends_with('\n') {
                all.push('\n');
            }
        }
        screen::data(&all)
    };
    screen.tell(&loaded.diagnostics, sources);
    if loaded.diagnostics.iter().any(Diagnostic::is_error) {
        return ExitCode::from(exit::CONFIG);
    }
    shown
}

fn text_of(file: &Path) -> Result<String, ExitCode> {
    let text = if file == Path::new("-") { read_stdin() } else { read(file) };
    text.map_err(|why| screen::failed(&format!("cannot read {}: {why}", file.display())))
}

fn to_json(file: &Path, screen: &Screen) -> ExitCode {
    let text = match text_of(file) {
        Ok(text) => text,
        Err(code) => return code,
    };
    match doorman_config::parse_text(&file.to_string_lossy(), &text) {
        Ok(tree) => screen::json(&doorman_config::to_json(&tree)),
        Err((diagnostics, sources)) => {
            screen.tell(&diagnostics, &sources);
            ExitCode::from(exit::CONFIG)
        }
    }
}

fn to_text(file: &Path) -> ExitCode {
    let text = match text_of(file) {
        Ok(text) => text,
        Err(code) => return code,
    };
    match doorman_config::text_from_json(&text) {
        Ok(text) => screen::data(&text),
        Err(error) => {
            eprintln!("error: {} is not the JSON form of a configuration: {error}", file.display());
            ExitCode::from(exit::CONFIG)
        }
    }
}
