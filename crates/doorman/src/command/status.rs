//! `doorman status`: one screen about the running proxy; the exit code tells its health.

use std::fmt::Write;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::cache::{counted, percent, size};
use super::exit;
use super::reload::{fail, print};
use crate::admin::Client;
use crate::admin::status::{RunState, ServerStatus, Status as Report, StoreStatus};
use crate::harden::Hardened;
use crate::log::timestamp;

#[derive(Args)]
pub(crate) struct Status {
    /// Where the running proxy listens: unix:PATH or IP:PORT
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// The configuration that may name the admin socket
    #[arg(short, long, default_value = "doorman.conf")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(crate) fn run(self) -> ExitCode {
        let found =
            Client::find(self.admin.as_deref(), &self.config).and_then(|client| client.status());
        let (report, body) = match found {
            Ok(found) => found,
            Err(error) => return fail(&error),
        };
        if self.json {
            print(&body);
        } else {
            let is_terminal = std::io::stdout().is_terminal();
            let colour = is_terminal && std::env::var_os("NO_COLOR").is_none();
            use std::io::Write as _;
            let _ = std::io::stdout().write_all(screen(&report, Paint(colour)).as_bytes());
        }
        ExitCode::from(if report.is_healthy() { 0 } else { exit::FAILED })
    }
}

/// Whether to colour.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    fn bad(self, text: &str) -> String {
        self.with("31", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn screen(report: &Report, paint: Paint) -> String {
    let mut text = String::new();
    let state = match (report.state, report.drain_seconds_left) {
        (RunState::Running, _) => paint.good("running"),
        (RunState::Draining, None) => paint.bad("draining"),
        (RunState::Draining, Some(left)) => paint.bad(&format!("draining, {left} s left")),
    };
    let _ = writeln!(
        text,
        "doorman {}  {state}  pid {}  up {}",
        report.version,
        report.pid,
        span(report.uptime_seconds)
    );
    let config = &report.config;
    let _ = writeln!(
        text,
        "config       {}  generation {}  hash {}",
        config.origin, config.generation, config.hash
    );
    if let Some(reload) = &config.last_reload {
        let result =
            if reload.result == "ok" { paint.good("ok") } else { paint.bad(&reload.result) };
        let _ = writeln!(text, "last reload  {result}");
        for line in reload.error.iter().flat_map(|error| error.lines()) {
            let _ = writeln!(text, "             {line}");
        }
    }
    for line in report.hardening.iter().flat_map(hardening) {
        let _ = writeln!(text, "{line}");
    }
    let _ = writeln!(text, "connections  {}", report.connections);
    if report.access_log_dropped > 0 {
        let lost = paint.bad(&report.access_log_dropped.to_string());
        let _ = writeln!(text, "log lines    {lost} lost");
    }
    for problem in &report.problems {
        let _ = writeln!(text, "problem      {}", paint.bad(problem));
    }
    if report.panics > 0 {
        let _ = writeln!(text, "faults       {}", paint.bad(&report.panics.to_string()));
    }
    for cert in &report.certificate_problems {
        let what = match &cert.last_error {
            Some(error) => format!("{}: {}", cert.state, error.message),
            None => format!("{}; `doorman certs inspect {}` tells more", cert.state, cert.name),
        };
        let _ = writeln!(text, "certificate  {}  {}", paint.bad(&cert.name), what);
    }
    for one in &report.overrides {
        let line = super::upstreams::line(one, report.now);
        let _ = writeln!(text, "override     {}: {line}", one.object);
    }
    for listener in &report.listeners {
        let kind = if listener.tls { "https" } else { "http" };
        let _ = writeln!(text, "listener     {kind:<5}  {}", listener.addresses.join("  "));
    }
    for relay in &report.relays {
        let _ = writeln!(text, "relay        {}  {} open", relay.addresses.join("  "), relay.open);
    }
    for store in &report.stores {
        let _ = writeln!(text, "store        {}", self::store(store));
    }
    servers(&mut text, report, paint);
    text
}

/// As whom it runs, and what it has given up.
fn hardening(hardened: &Hardened) -> Vec<String> {
    let mut lines = vec![format!("runs as      {}  harden {}", hardened.user, hardened.mode)];
    lines.extend(hardened.measures.iter().map(|measure| format!("             {measure}")));
    lines
}

/// A store in a line.
fn store(store: &StoreStatus) -> String {
    let mut text = store.name.clone();
    for tier in &store.tiers {
        let objects = counted(tier.objects, "object", "objects");
        let (bytes, limit) = (size(tier.bytes), size(tier.limit));
        let _ = write!(text, "  {}: {objects}, {bytes} of {limit}", tier.tier);
    }
    if store.requests > 0 {
        let ratio = percent(store.answered, store.requests);
        let _ = write!(text, "  {ratio} of {} requests answered from it", store.requests);
    }
    text
}

fn servers(text: &mut String, report: &Report, paint: Paint) {
    let rows: Vec<_> = report
        .upstreams
        .iter()
        .flat_map(|upstream| upstream.servers.iter().map(move |server| (upstream, server)))
        .collect();
    if rows.is_empty() {
        return;
    }
    let width = |pick: fn(&str, &str) -> usize, least: usize| {
        let widths = rows.iter().map(|(u, s)| pick(&u.name, &s.name));
        widths.chain([least]).max().unwrap_or(least)
    };
    let (first, second) = (width(|u, _| u.chars().count(), 8), width(|_, s| s.chars().count(), 6));
    let _ = writeln!(
        text,
        "\n{:<first$}  {:<second$}  {:>9}  {:>12}  STATE",
        "UPSTREAM", "SERVER", "IN FLIGHT", "PICKED"
    );
    for (upstream, server) in rows {
        let state = standing(server, paint);
        let _ = writeln!(
            text,
            "{:<first$}  {:<second$}  {:>9}  {:>12}  {state}",
            upstream.name, server.name, server.in_flight, server.picks
        );
    }
}

/// How a server stands, since when and why.
fn standing(server: &ServerStatus, paint: Paint) -> String {
    let well = matches!(server.state.as_str(), "ready" | "slow-start");
    let mut text = if well { paint.good(&server.state) } else { paint.bad(&server.state) };
    if server.why.is_empty() {
        return text;
    }
    if let Some(since) = server.since {
        let clock = timestamp(since.saturating_mul(1_000_000_000));
        let _ = write!(text, " since {}", String::from_utf8_lossy(&clock[..19]));
    }
    let _ = write!(text, ": {}", server.why);
    text
}

/// Seconds as people say them.
pub(super) fn span(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) => format!("{minutes} min {rest} s"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen() {
        let report: Report = serde_json::from_value(serde_json::json!({
            "version": "1.2.3", "pid": 7, "uptime_seconds": 3700, "state": "draining",
            "drain_seconds_left": 12,
            "config": {
                "origin": "doorman.conf", "hash": "0011223344556677", "generation": 3,
                "loaded_at": 1, "last_reload": { "result": "failed", "at": 2, "error": "no" },
            },
            "listeners": [{ "name": ":80", "addresses": ["0.0.0.0:80", "[::]:80"], "tls": false }],
            "connections": 5,
            "upstreams": [{ "name": "api", "servers": [
                { "name": "10.0.0.1:80", "in_flight": 2, "picks": 100, "resting": false, "state": "ready" },
                { "name": "b", "in_flight": 0, "picks": 9, "resting": false, "state": "down",
                  "since": 1_735_689_784, "why": "tcp failed 3 times, last: no" },
            ] }],
            "stores": [
                { "name": "web", "tiers": [
                    { "tier": "memory", "objects": 1, "bytes": 1536, "limit": 1_048_576, "evicted": 0 },
                ], "requests": 4, "answered": 3 },
                { "name": "new", "tiers": [], "requests": 0, "answered": 0 },
            ],
            "access_log_dropped": 4, "panics": 0,
            "hardening": { "mode": "on", "user": "door", "measures": [
                { "name": "capabilities", "standing": "on", "detail": "none left" },
                { "name": "files", "standing": "missing", "detail": "the kernel has no Landlock" },
            ] },
        }))
        .unwrap();
        let expect = "\
doorman 1.2.3  draining, 12 s left  pid 7  up 1 h 1 min
config       doorman.conf  generation 3  hash 0011223344556677
last reload  failed
             no
runs as      door  harden on
             capabilities (none left)
             files missing (the kernel has no Landlock)
connections  5
log lines    4 lost
listener     http   0.0.0.0:80  [::]:80
store        web  memory: 1 object, 1.5 KiB of 1.0 MiB  75.0 % of 4 requests answered from it
store        new

UPSTREAM  SERVER       IN FLIGHT        PICKED  STATE
api       10.0.0.1:80          2           100  ready
api       b                    0             9  down since 2025-01-01T00:03:04: tcp failed 3 times, last: no
";
        assert_eq!(screen(&report, Paint(false)), expect);
        assert!(screen(&report, Paint(true)).contains("\x1b[31mdown\x1b[0m"));
        assert!(!report.is_healthy());
    }

    #[test]
    fn spans() {
        for (seconds, expect) in
            [(0, "0 s"), (61, "1 min 1 s"), (7260, "2 h 1 min"), (90_000, "1 d 1 h")]
        {
            assert_eq!(span(seconds), expect);
        }
    }
}
