//! `doorman diff`: the configuration on disk against what runs.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::exit;
use super::reload::{fail, print};
use super::screen::{self, Screen};
use super::upstreams::line;
use crate::admin::Client;
use crate::admin::diff::Diff as Report;

/// Show how the configuration on disk differs from what runs, and what was changed over it
///
/// Lines with `-` run and lines with `+` are on disk: what `doorman reload` would bring. Then come the changes by
/// `doorman upstreams`. The exit code is 1 if there is any of it.
#[derive(Args)]
pub struct Diff {
    /// Where the running proxy listens: unix:PATH or IP:PORT
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// The configuration that may name the admin socket; the proxy reads its own
    #[arg(short, long, default_value = "doorman.conf")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Diff {
    pub fn run(self, screen: &Screen) -> ExitCode {
        let answer = Client::find(self.admin.as_deref(), &self.config)
            .and_then(|client| client.call("GET", "/diff"));
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return fail(&error),
        };
        let Ok(report) = serde_json::from_value::<Report>(answer.body.clone()) else {
            return screen::failed("what answers is no doorman, or an older one");
        };
        if self.json {
            print(&answer.body);
        } else {
            if !report.refused.is_empty() {
                eprintln!("{}\nthe files on disk would be refused", report.refused.trim_end());
            }
            let _ = screen::data(&text(&report, screen));
        }
        let is_same = report.files.is_empty() && report.overrides.is_empty();
        ExitCode::from(if is_same { 0 } else { exit::FAILED })
    }
}

fn text(report: &Report, screen: &Screen) -> String {
    let mut text = String::new();
    for file in &report.files {
        let _ = writeln!(text, "{}  {}", screen.strong(&file.path), file.kind);
        for one in &file.lines {
            let _ = writeln!(text, "{:>6} {} {}", one.line, one.sign, one.text);
        }
    }
    for one in &report.overrides {
        let _ = writeln!(text, "override {}: {}", one.object, line(one, report.now));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::screen::When;
    use super::*;

    #[test]
    fn a_page() {
        let report: Report = serde_json::from_value(serde_json::json!({
            "files": [{ "path": "doorman.conf", "kind": "changed", "lines": [
                { "sign": "-", "line": 3, "text": "server 10.0.0.1:80" },
                { "sign": "+", "line": 3, "text": "server 10.0.0.1:80 weight 2" },
            ] }],
            "refused": "", "now": 40,
            "overrides": [{ "upstream": "web", "server": "a", "field": "use", "value": "down",
                "replaced": { "field": "use", "value": "ready" }, "author": "ops", "created": 1, "expires": 100 }],
        }))
        .unwrap();
        let expect = "\
doorman.conf  changed
     3 - server 10.0.0.1:80
     3 + server 10.0.0.1:80 weight 2
override web/a: down instead of ready, for 1 min 0 s, by ops
";
        assert_eq!(text(&report, &Screen::new(When::Never)), expect);
    }
}
