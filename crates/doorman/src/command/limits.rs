//! `doorman limits` and `doorman bans`: who uses limits up, and who is kept out.

use std::fmt::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::FILE;
use super::cache::counted;
use super::called::Called;
use super::screen::{self, Screen};
use super::upstreams::encoded;
use crate::admin::limits::{Bans as BansReport, Limits as LimitsReport, Standings};

const LIMITS_EXAMPLES: &str = "\
Examples:
  doorman limits                        all limits, and who uses them up
  doorman limits top --limit 5          the five that use most of each
  doorman limits show 192.0.2.7         how this client stands under each
  doorman limits reset 192.0.2.7        gives him his whole burst back
  doorman limits reset --name api       gives everybody under this limit his burst back
";

const BANS_EXAMPLES: &str = "\
Examples:
  doorman bans                          who is kept out, and for how long
  doorman bans lift 192.0.2.7           lets a client in again
  doorman bans lift --all               lets everybody in again
";

/// Show who uses limits up, and give levels back
#[derive(Args)]
#[command(before_help = LIMITS_EXAMPLES)]
pub struct Limits {
    #[command(subcommand)]
    what: Option<LimitsWhat>,
    #[command(flatten)]
    place: Place,
}

#[derive(Subcommand)]
enum LimitsWhat {
    /// Those that use most of each limit
    Top {
        /// How many of each at most
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
        limit: u16,
        /// Of this limit alone
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// How a client or a key stands under each limit
    Show {
        /// Its address
        #[arg(value_name = "ADDRESS", required_unless_present = "key")]
        client: Option<IpAddr>,
        /// Its key, as `doorman limits` shows it
        #[arg(long, value_name = "KEY", conflicts_with = "client")]
        key: Option<String>,
        /// Under this limit alone
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Give a client, a key, or all keys of a limit, the whole burst back
    Reset {
        /// Its address
        #[arg(value_name = "ADDRESS", required_unless_present_any = ["key", "name", "all"])]
        client: Option<IpAddr>,
        /// The key, as `doorman limits` shows it
        #[arg(long, value_name = "KEY", conflicts_with = "client")]
        key: Option<String>,
        /// Of this limit alone
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// All keys of all limits
        #[arg(long, conflicts_with_all = ["client", "key", "name"])]
        all: bool,
    },
}

/// Show who is kept out, and let clients in again
#[derive(Args)]
#[command(before_help = BANS_EXAMPLES)]
pub struct Bans {
    #[command(subcommand)]
    what: Option<BansWhat>,
    #[command(flatten)]
    place: Place,
}

#[derive(Subcommand)]
enum BansWhat {
    /// Let a client in again
    Lift {
        /// Its address
        #[arg(value_name = "ADDRESS", required_unless_present_any = ["key", "all"])]
        client: Option<IpAddr>,
        /// Its key, as `doorman bans` shows it
        #[arg(long, value_name = "KEY", conflicts_with = "client")]
        key: Option<String>,
        /// Everybody
        #[arg(long, conflicts_with_all = ["client", "key"])]
        all: bool,
    },
}

/// Where the running proxy is, and for whom its answers are shown.
#[derive(Args)]
struct Place {
    /// Where the running proxy listens: unix:PATH or IP:PORT
    #[arg(long, value_name = "ADDRESS", global = true)]
    admin: Option<String>,
    /// The configuration that may name the admin socket
    #[arg(short, long, default_value = FILE, global = true)]
    config: PathBuf,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

impl Place {
    fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        show: impl FnOnce(&T) -> String,
    ) -> ExitCode {
        match Called::find(self.admin.as_deref(), &self.config, self.json) {
            Ok(called) => called.call(method, path, |report: &T| screen::data(&show(report))),
            Err(code) => code,
        }
    }
}

impl Limits {
    pub fn run(self, screen: &Screen) -> ExitCode {
        let show = |report: &LimitsReport| limits(report, screen);
        match self.what {
            None => self.place.call("GET", "/limits", show),
            Some(LimitsWhat::Top { limit, name }) => {
                let path = path(
                    "/limits",
                    &[("last", Some(&limit.to_string())), ("name", name.as_deref())],
                );
                self.place.call("GET", &path, show)
            }
            Some(LimitsWhat::Show { client, key, name }) => {
                let client = client.map(|client| client.to_string());
                let asked = [
                    ("client", client.as_deref()),
                    ("key", key.as_deref()),
                    ("name", name.as_deref()),
                ];
                let show = |report: &Standings| standings(report, screen);
                self.place.call("GET", &path("/limits/show", &asked), show)
            }
            Some(LimitsWhat::Reset { client, key, name, .. }) => {
                let client = client.map(|client| client.to_string());
                let asked = [
                    ("client", client.as_deref()),
                    ("key", key.as_deref()),
                    ("name", name.as_deref()),
                ];
                let done = |value: &Value| match value["reset"].as_u64().unwrap_or_default() {
                    0 => "nothing was taken there\n".to_owned(),
                    count => format!("given back in {}\n", counted(count, "limit", "limits")),
                };
                self.place.call("POST", &path("/limits/reset", &asked), done)
            }
        }
    }
}

impl Bans {
    pub fn run(self, screen: &Screen) -> ExitCode {
        match self.what {
            None => self.place.call("GET", "/bans", |report: &BansReport| bans(report, screen)),
            Some(BansWhat::Lift { client, key, .. }) => {
                let client = client.map(|client| client.to_string());
                let asked = [("client", client.as_deref()), ("key", key.as_deref())];
                let done = |value: &Value| match value["lifted"].as_u64().unwrap_or_default() {
                    0 => "nobody was kept out there\n".to_owned(),
                    count => format!("let in again: {}\n", counted(count, "client", "clients")),
                };
                self.place.call("POST", &path("/bans/lift", &asked), done)
            }
        }
    }
}

/// A call with what it asks for.
fn path(call: &str, asked: &[(&str, Option<&str>)]) -> String {
    let mut text = call.to_owned();
    let mut gap = '?';
    for (name, value) in asked {
        if let Some(value) = value {
            let _ = write!(text, "{gap}{name}={}", encoded(value));
            gap = '&';
        }
    }
    text
}

fn limits(report: &LimitsReport, screen: &Screen) -> String {
    if report.limits.is_empty() {
        return "nothing is limited: no route has a `limit` line\n".to_owned();
    }
    let mut text = String::new();
    for limit in &report.limits {
        let how = if limit.shadow { " (a shadow)" } else { "" };
        let _ = writeln!(
            text,
            "{}{how}: {} in {} s, {} at once; {} refused, {} shadowed, {} in use",
            screen.strong(&shown(&limit.name)),
            limit.count,
            limit.seconds,
            limit.burst,
            limit.refused,
            limit.shadowed,
            counted(limit.keys, "key", "keys"),
        );
        for used in &limit.top {
            let name = used.name.as_deref().map_or_else(|| "-".to_owned(), shown);
            let _ = writeln!(
                text,
                "  {}  {} left, all again in {:.1} s  {name}",
                used.key, used.left, used.reset
            );
        }
    }
    text
}

fn standings(report: &Standings, screen: &Screen) -> String {
    if report.limits.is_empty() {
        return "nothing is limited so: no route has such a `limit` line\n".to_owned();
    }
    let mut text = String::new();
    for limit in &report.limits {
        let name = screen.strong(&shown(&limit.name));
        let _ = match (&limit.key, limit.left, limit.reset) {
            (Some(key), Some(left), Some(reset)) => writeln!(
                text,
                "{name}: {left} of {} left, all again in {reset:.1} s  {key}",
                limit.burst
            ),
            _ => writeln!(text, "{name}: counts by more than an address; ask by --key"),
        };
    }
    text
}

fn bans(report: &BansReport, screen: &Screen) -> String {
    if report.rules.is_empty() {
        return "nobody can be banned: no route has a `ban` line\n".to_owned();
    }
    let mut text = String::new();
    for rule in &report.rules {
        let _ = writeln!(
            text,
            "{}: {}",
            screen.strong(&shown(&rule.name)),
            counted(rule.count, "client is kept out", "clients are kept out"),
        );
        for ban in &rule.bans {
            let client = ban.client.as_deref().map_or_else(|| "-".to_owned(), shown);
            let _ = writeln!(text, "  {}  {client}  for {:.0} s more", ban.key, ban.left);
        }
    }
    text
}

/// What may be of the network, fit for a terminal.
fn shown(text: &str) -> String {
    crate::log::printable(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::limits::{Banned, Limit, Rule, Used};
    use crate::command::screen::When;

    #[test]
    fn calls_name_what_they_ask_for() {
        assert_eq!(path("/limits", &[("name", None)]), "/limits");
        assert_eq!(path("/x", &[("a", Some("1/s b")), ("c", Some("2"))]), "/x?a=1%2Fs%20b&c=2");
    }

    #[test]
    fn limits_are_told_with_who_uses_them() {
        let screen = Screen::new(When::Never);
        let none = LimitsReport { limits: Vec::new() };
        assert!(limits(&none, &screen).starts_with("nothing is limited"));
        let used = Used {
            key: "00000000000000ff".to_owned(),
            name: Some("192.0.2.1\u{1b}[2J".to_owned()),
            left: 3,
            reset: 1.25,
        };
        let limit = Limit {
            name: "api".to_owned(),
            count: 10,
            seconds: 1.0,
            burst: 20,
            shadow: true,
            refused: 1,
            shadowed: 2,
            keys: 1,
            top: vec![used],
        };
        let text = limits(&LimitsReport { limits: vec![limit] }, &screen);
        assert!(
            text.starts_with(
                "api (a shadow): 10 in 1 s, 20 at once; 1 refused, 2 shadowed, 1 key in use\n"
            ),
            "{text}"
        );
        assert!(text.contains("  00000000000000ff  3 left") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn bans_are_told_with_their_time() {
        let screen = Screen::new(When::Never);
        let bans_of =
            |bans| BansReport { rules: vec![Rule { name: "3 per 1m".to_owned(), count: 1, bans }] };
        let one = Banned { key: "0a".to_owned(), client: None, left: 59.6 };
        let text = bans(&bans_of(vec![one]), &screen);
        assert_eq!(text, "3 per 1m: 1 client is kept out\n  0a  -  for 60 s more\n");
    }
}
