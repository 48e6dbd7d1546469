//! `doorman upstreams`: how servers stand, and changing them while the proxy runs.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use doorman_control::overrides::{Change, Override};

use super::exit;
use super::reload::{fail, print};
use super::screen::{self, Screen};
use super::status::span;
use crate::admin::Client;
use crate::admin::upstreams::{Server, Source, Upstreams as Report};

const EXAMPLES: &str = "\
Examples:
  doorman upstreams                                   every server, and why it is or is not picked
  doorman upstreams drain web/10.0.0.11:3000 --reason 'new disk' --for 2h
  doorman upstreams drain web/10.0.0.11:3000 --within 10m    end its last WebSockets after that
  doorman upstreams ready web/10.0.0.11:3000
  doorman upstreams weight 5 web/10.0.0.12:3000 --forever
  doorman upstreams down web                          all servers of an upstream
";

/// Show servers and how they stand; drain them, take them out and weigh them
///
/// A change stands over the configuration for a day, or as long as --for says. It is kept over reloads and restarts
/// until then, or until the file says something else about the same thing: then the file counts.
#[derive(Args)]
#[command(before_help = EXAMPLES)]
pub struct Upstreams {
    #[command(subcommand)]
    what: Option<What>,
    /// Where the running proxy listens: unix:PATH or IP:PORT
    #[arg(long, value_name = "ADDRESS", global = true)]
    admin: Option<String>,
    /// The configuration that may name the admin socket
    #[arg(short, long, default_value = "doorman.conf", global = true)]
    config: PathBuf,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum What {
    /// Every server: how it stands and since when, its weight, load and record
    List,
    /// Send no new clients; those that are bound to it and open WebSockets may finish
    Drain {
        #[command(flatten)]
        about: About,
        /// End what is left after this time
        #[arg(long, value_name = "TIME", value_parser = seconds)]
        within: Option<u64>,
    },
    /// Send requests, whatever the file says
    Ready {
        #[command(flatten)]
        about: About,
    },
    /// Send no requests at all
    Down {
        #[command(flatten)]
        about: About,
    },
    /// Give another part of the load; 0 takes only clients that are bound to it
    Weight {
        /// The weight
        weight: u32,
        #[command(flatten)]
        about: About,
    },
}

#[derive(Args)]
struct About {
    /// An upstream, or a server of it: UPSTREAM or UPSTREAM/SERVER
    #[arg(value_name = "UPSTREAM[/SERVER]")]
    target: String,
    /// Why, for others who look
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// How long it holds, as 30s, 10m, 2h or 7d; a day if nothing is said
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    life: Option<u64>,
    /// Hold until it is taken back or the file changes
    #[arg(long, conflicts_with = "life")]
    forever: bool,
}

impl Upstreams {
    pub fn run(self, screen: &Screen) -> ExitCode {
        let client = match Client::find(self.admin.as_deref(), &self.config) {
            Ok(client) => client,
            Err(error) => return fail(&error),
        };
        let call = match &self.what {
            None | Some(What::List) => return list(&client, self.json, screen),
            Some(What::Drain { about, within }) => {
                let within = within.map_or(String::new(), |within| format!("&within={within}"));
                about.call(&format!("state=drain{within}"))
            }
            Some(What::Ready { about }) => about.call("state=ready"),
            Some(What::Down { about }) => about.call("state=down"),
            Some(What::Weight { weight, about }) => about.call(&format!("weight={weight}")),
        };
        let answer = match client.call("POST", &call) {
            Ok(answer) => answer,
            Err(error) => return fail(&error),
        };
        if self.json {
            print(&answer.body);
        }
        if answer.code != 200 {
            let why = answer.body["error"].as_str().unwrap_or("no reason was given");
            return if answer.code == 400 { screen::usage(why) } else { screen::failed(why) };
        }
        if self.json {
            return ExitCode::SUCCESS;
        }
        match serde_json::from_value::<Report>(answer.body["upstreams"].clone()) {
            Ok(report) => screen::data(&changed(&report, &answer.body["changed"])),
            Err(_) => screen::failed("what answers is no doorman, or an older one"),
        }
    }
}

impl About {
    fn call(&self, what: &str) -> String {
        let life = match (self.life, self.forever) {
            (_, true) => "&for=forever".to_owned(),
            (Some(seconds), false) => format!("&for={seconds}"),
            (None, false) => String::new(),
        };
        let (target, reason) = (encoded(&self.target), encoded(&self.reason));
        format!("/upstreams/set?target={target}&{what}&reason={reason}{life}")
    }
}

/// A value of a query (RFC 3986 section 2.3 names what stays).
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// `30s`, `10m`, `2h`, `7d`.
fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a time such as 30s, 10m, 2h or 7d");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).filter(|seconds| *seconds > 0).ok_or_else(wrong)
}

fn list(client: &Client, json: bool, screen: &Screen) -> ExitCode {
    let answer = match client.call("GET", "/upstreams") {
        Ok(answer) => answer,
        Err(error) => return fail(&error),
    };
    if json {
        print(&answer.body);
        return ExitCode::SUCCESS;
    }
    match serde_json::from_value::<Report>(answer.body) {
        Ok(report) => screen::data(&table(&report, screen)),
        Err(_) => {
            let _ = screen::failed("what answers is no doorman, or an older one");
            ExitCode::from(exit::FAILED)
        }
    }
}

fn changed(report: &Report, names: &serde_json::Value) -> String {
    let mut text = String::new();
    for name in names.as_array().into_iter().flatten().filter_map(|name| name.as_str()) {
        let mine: Vec<&Override> =
            report.overrides.iter().filter(|one| one.object.to_string() == name).collect();
        if mine.is_empty() {
            let _ = writeln!(text, "{name}: as the file says");
        }
        for one in mine {
            let _ = writeln!(text, "{name}: {}", line(one, report.now));
        }
    }
    text
}

/// An override in words.
pub(super) fn line(one: &Override, now: u64) -> String {
    let end = match one.expires {
        Some(at) => format!("for {}", span(at.saturating_sub(now))),
        None => "until it is taken back".to_owned(),
    };
    let was = match one.replaced {
        Change::Use(usage) => usage.word().to_owned(),
        Change::Weight(weight) => weight.to_string(),
    };
    let mut text = format!("{} instead of {was}, {end}, by {}", one.change, one.author);
    if let Some(deadline) = one.deadline {
        let _ = match deadline.checked_sub(now) {
            Some(left) if left > 0 => write!(text, ", last connections end in {}", span(left)),
            _ => write!(text, ", last connections were ended"),
        };
    }
    if !one.reason.is_empty() {
        let _ = write!(text, ": {}", one.reason);
    }
    text
}

/// A table of servers, then what was changed, and what cannot be found.
fn table(report: &Report, screen: &Screen) -> String {
    let rows: Vec<_> = report
        .upstreams
        .iter()
        .flat_map(|upstream| upstream.servers.iter().map(move |server| (&upstream.name, server)))
        .collect();
    let mut text = String::new();
    let width = |of: fn(&str, &Server) -> usize, least: usize| {
        rows.iter().map(|(name, server)| of(name, server)).chain([least]).max().unwrap_or(least)
    };
    let first = width(|name, _| name.chars().count(), 8);
    let second = width(|_, server| server.name.chars().count(), 6);
    let head = format!(
        "{:<first$}  {:<second$}  {:>6}  {:>9}  {:>10}  {:>10}  {:>8}  {:>8}  STATE",
        "UPSTREAM", "SERVER", "WEIGHT", "IN FLIGHT", "PICKED", "REQUESTS", "ERRORS", "LATENCY"
    );
    let _ = writeln!(text, "{}", screen.strong(&head));
    for (upstream, server) in &rows {
        let latency = server.latency_ms.map_or("-".to_owned(), |ms| format!("{ms:.1} ms"));
        let row = format!(
            "{upstream:<first$}  {:<second$}  {:>6}  {:>9}  {:>10}  {:>10}  {:>8}  {latency:>8}  {}",
            server.name,
            weight(server),
            server.in_flight,
            server.picks,
            server.requests,
            server.errors,
            state(server, report.now),
        );
        let _ = writeln!(text, "{}", if server.candidate { row } else { screen.strong(&row) });
    }
    for upstream in report.upstreams.iter().filter(|upstream| upstream.servers.is_empty()) {
        let _ = writeln!(text, "{:<first$}  no servers", upstream.name);
    }
    let sources = report
        .upstreams
        .iter()
        .flat_map(|upstream| upstream.discovery.iter().map(move |source| (&upstream.name, source)));
    for (at, (upstream, source)) in sources.enumerate() {
        let gap = if at == 0 { "\n" } else { "" };
        let _ = writeln!(text, "{gap}{upstream:<first$}  {}", discovery(source, report.now));
    }
    for (at, one) in report.overrides.iter().enumerate() {
        let gap = if at == 0 { "\n" } else { "" };
        let _ = writeln!(text, "{gap}{}: {}", one.object, line(one, report.now));
    }
    text
}

/// A weight, with what the file says if that is another.
fn weight(server: &Server) -> String {
    if server.weight == server.file_weight {
        server.weight.to_string()
    } else {
        format!("{}({})", server.weight, server.file_weight)
    }
}

/// How a server stands in plain words.
fn state(server: &Server, now: u64) -> String {
    let mut text = server.state.clone();
    if server.state != "ready" {
        if let Some(since) = server.since {
            let _ = write!(text, " for {}", span(now.saturating_sub(since)));
        }
        if let Some(left) = server.until.and_then(|until| until.checked_sub(now)) {
            let _ = write!(text, ", {} left", span(left));
        }
    }
    if !server.candidate {
        // Its first word is often the one that stands there already.
        let rest = server.why.strip_prefix(&*server.state).and_then(|rest| rest.strip_prefix(": "));
        let _ = write!(text, ": {}", rest.unwrap_or(&server.why));
    }
    text
}

fn discovery(source: &Source, now: u64) -> String {
    let count = match source.servers {
        None => "no servers yet".to_owned(),
        Some(1) => "1 server".to_owned(),
        Some(count) => format!("{count} servers"),
    };
    let good = match source.good_at {
        None => String::new(),
        Some(at) => format!(", looked up {} ago", span(now.saturating_sub(at))),
    };
    match &source.error {
        None => format!("{}: {count}{good}", source.source),
        Some(why) => format!("{}: {count}{good}; fails: {why}", source.source),
    }
}

#[cfg(test)]
mod tests {
    use super::super::screen::When;
    use super::*;

    fn report() -> Report {
        let server = |name: &str, state: &str, candidate: bool, why: &str| {
            serde_json::json!({
                "name": name, "address": name, "state": state, "since": 40, "until": null,
                "candidate": candidate, "why": why, "weight": 1, "file_weight": 1, "tier": 0,
                "in_flight": 2, "picks": 10, "requests": 9, "errors": 1, "latency_ms": 1.25,
            })
        };
        let mut heavy = server("b", "ready", true, "may be picked");
        heavy["weight"] = 5.into();
        heavy["latency_ms"] = serde_json::Value::Null;
        serde_json::from_value(serde_json::json!({
            "now": 100,
            "upstreams": [
                { "name": "web", "servers": [server("10.0.0.1:80", "draining", false, "draining: by hand"), heavy],
                  "discovery": [] },
                { "name": "api", "servers": [], "discovery": [
                    { "source": "dns api.test 80", "servers": null, "error": "no such name", "good_at": null, "failures": 3 },
                ] },
            ],
            "overrides": [
                { "upstream": "web", "server": "10.0.0.1:80", "field": "use", "value": "drain",
                  "replaced": { "field": "use", "value": "ready" }, "author": "ops", "reason": "disk",
                  "created": 40, "expires": 160, "deadline": 130 },
                { "upstream": "web", "server": "b", "field": "weight", "value": 5,
                  "replaced": { "field": "weight", "value": 1 }, "author": "ops", "created": 40, "expires": null },
            ],
        }))
        .unwrap()
    }

    #[test]
    fn a_table() {
        let expect = "\
UPSTREAM  SERVER       WEIGHT  IN FLIGHT      PICKED    REQUESTS    ERRORS   LATENCY  STATE
web       10.0.0.1:80       1          2          10           9         1    1.2 ms  draining for 1 min 0 s: by hand
web       b              5(1)          2          10           9         1         -  ready
api       no servers

api       dns api.test 80: no servers yet; fails: no such name

web/10.0.0.1:80: drain instead of ready, for 1 min 0 s, by ops, last connections end in 30 s: disk
web/b: weight 5 instead of 1, until it is taken back, by ops
";
        assert_eq!(table(&report(), &Screen::new(When::Never)), expect);
    }

    #[test]
    fn what_was_changed() {
        let names = serde_json::json!(["web/b", "web/c"]);
        let expect = "web/b: weight 5 instead of 1, until it is taken back, by ops\nweb/c: as the file says\n";
        assert_eq!(changed(&report(), &names), expect);
    }

    #[test]
    fn times() {
        for (text, expect) in [
            ("30s", Some(30)),
            ("10m", Some(600)),
            ("2h", Some(7200)),
            ("7d", Some(604_800)),
            ("0s", None),
            ("10", None),
            ("", None),
            ("m", None),
            ("99999999999999999999d", None),
            ("9999999999999999d", None),
            ("1\u{b5}", None),
        ] {
            assert_eq!(seconds(text).ok(), expect, "{text}");
        }
    }

    #[test]
    fn values_of_a_query() {
        assert_eq!(encoded("web/[::1]:80 \u{e4}&"), "web%2F%5B%3A%3A1%5D%3A80%20%C3%A4%26");
    }
}
