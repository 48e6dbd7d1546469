//! An explanation by the running process: its configuration in force, and how its servers stand this moment.
//!
//! It is a look: no request is sent, no turn taken, no place reserved.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use doorman_proxy::explain::{Door, Outcome};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Explain, Protocol, Told, json, question, text};
use crate::admin::Client;
use crate::admin::upstreams::{Server, Upstream, of};
use crate::command::reload::fail;
use crate::command::screen::{self, Screen, When};
use crate::command::upstreams::encoded;
use crate::command::{Looked, exit};
use crate::engine::Engine;

/// How servers stand, by upstream and server.
pub struct Standings {
    servers: HashMap<(String, String), Server>,
}

impl Standings {
    pub(super) fn of(upstreams: Vec<Upstream>) -> Self {
        let servers = upstreams.into_iter().flat_map(|upstream| {
            let name = upstream.name;
            upstream
                .servers
                .into_iter()
                .map(move |server| ((name.clone(), server.name.clone()), server))
        });
        Self { servers: servers.collect() }
    }

    /// A server of an upstream.
    pub(super) fn server(&self, upstream: &str, server: &str) -> Option<&Server> {
        self.servers.get(&(upstream.to_owned(), server.to_owned()))
    }
}

/// Whom a balancer would take now, in words; and for each that may be picked whether it is among those.
pub(super) fn pick(balance: &str, servers: &[&Server]) -> (String, Vec<String>) {
    let candidates: Vec<&Server> = servers.iter().copied().filter(|one| one.candidate).collect();
    let weights: u64 = candidates.iter().map(|one| u64::from(one.weight)).sum();
    match (&candidates[..], balance) {
        ([], _) => ("nobody: the request fails".to_owned(), Vec::new()),
        ([one], _) => {
            (format!("{}, the only one that may be picked", one.name), vec![one.name.clone()])
        }
        (many, "least-requests") => {
            let load = |one: &Server| (u64::from(one.in_flight) + 1, u64::from(one.weight.max(1)));
            let is_less = |a: (u64, u64), b: (u64, u64)| a.0 * b.1 < b.0 * a.1;
            let is_least =
                |one: &&&Server| !many.iter().any(|other| is_less(load(other), load(one)));
            let least: Vec<String> =
                many.iter().filter(is_least).map(|one| one.name.clone()).collect();
            let turn = if least.len() > 1 { ", in turn" } else { "" };
            let why = "fewest requests in flight for its weight";
            (format!("{}{turn}: {why}", least.join(" or ")), least)
        }
        (many, "round-robin") => {
            let part = |one: &&Server| {
                format!("{} {}%", one.name, u64::from(one.weight) * 100 / weights.max(1))
            };
            let parts: Vec<String> = many.iter().map(part).collect();
            let all = many.iter().map(|one| one.name.clone()).collect();
            (format!("{}, in turn on each core", parts.join(", ")), all)
        }
        (many, other) => {
            let all = many.iter().map(|one| one.name.clone()).collect();
            (format!("one of {}, by {other}", many.len()), all)
        }
    }
}

/// A question as a call asks it.
#[derive(Deserialize)]
pub struct Asked {
    url: String,
    method: String,
    from: IpAddr,
    /// `Name: value`, one a line.
    #[serde(default)]
    headers: String,
    protocol: Option<String>,
    unix: Option<PathBuf>,
}

/// The answer of the running process.
///
/// # Errors
/// The question cannot be asked.
pub fn answer(engine: &Engine, asked: &Asked) -> Result<Value, String> {
    let fields = asked.headers.lines().filter_map(|line| line.split_once(':'));
    let fields = fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    let protocol = match asked.protocol.as_deref() {
        None => None,
        Some("h1") => Some(Protocol::H1),
        Some("h2") => Some(Protocol::H2),
        Some("h3") => Some(Protocol::H3),
        Some(other) => return Err(format!("`{other}` is none of h1, h2 and h3")),
    };
    let mut question = question(&asked.method, &asked.url, fields, asked.from, protocol)?;
    if let Some(path) = &asked.unix {
        question.door = Door::Unix(path.clone());
    }
    let (plan, sources) = engine.in_force();
    let looked = Looked {
        clock: engine.ground().clock,
        config: Arc::clone(&plan.config),
        plan,
        sources: sources.as_ref().clone(),
    };
    let mut told = Told::new(&looked, &question);
    if let Outcome::Malformed(why) = &told.explanation.outcome {
        return Err(why.clone());
    }
    told.standings = Some(Standings::of(of(engine).upstreams));
    let is_taken =
        !matches!(told.explanation.outcome, Outcome::NoListener | Outcome::NoCertificate);
    Ok(json!({
        "taken": is_taken,
        "text": text::render(&told, &Screen::new(When::Never)),
        "explanation": json::value(&told),
    }))
}

impl Explain {
    /// Asks the running process.
    pub(super) fn ask_running(&self) -> ExitCode {
        let client = match Client::find(self.admin.as_deref(), &self.config) {
            Ok(client) => client,
            Err(error) => return fail(&error),
        };
        let mut call = format!(
            "/explain?url={}&method={}&from={}&headers={}",
            encoded(&self.url),
            encoded(&self.method),
            encoded(&self.from.to_string()),
            encoded(&self.headers.join("\n")),
        );
        if let Some(protocol) = self.protocol {
            let word = match protocol {
                Protocol::H1 => "h1",
                Protocol::H2 => "h2",
                Protocol::H3 => "h3",
            };
            call.push_str(&format!("&protocol={word}"));
        }
        if let Some(path) = &self.unix {
            call.push_str(&format!("&unix={}", encoded(&path.to_string_lossy())));
        }
        let answer = match client.call("GET", &call) {
            Ok(answer) => answer,
            Err(error) => return fail(&error),
        };
        match answer.code {
            200 => {}
            400 => {
                return screen::usage(
                    answer.body["error"].as_str().unwrap_or("no reason was given"),
                );
            }
            _ => return screen::failed("what answers is no doorman, or an older one"),
        }
        let shown = if self.json {
            screen::json(&answer.body["explanation"])
        } else {
            screen::data(answer.body["text"].as_str().unwrap_or_default())
        };
        if answer.body["taken"] == true { shown } else { ExitCode::from(exit::FAILED) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> Server {
        let [name, weight, in_flight, candidate] = text.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{text}")
        };
        serde_json::from_value(json!({
            "name": name, "address": name, "state": "ready", "since": null, "until": null,
            "candidate": candidate == "yes", "why": "", "weight": weight.parse::<u32>().unwrap(),
            "file_weight": 1, "tier": 0, "in_flight": in_flight.parse::<u32>().unwrap(),
            "picks": 0, "requests": 0, "errors": 0, "latency_ms": null,
        }))
        .unwrap()
    }

    #[test]
    fn picks_in_words() {
        let check = |balance: &str, servers: &[&str], expect: &str| {
            let servers: Vec<Server> = servers.iter().map(|text| server(text)).collect();
            let all: Vec<&Server> = servers.iter().collect();
            assert_eq!(pick(balance, &all).0, expect);
        };
        check("round-robin", &[], "nobody: the request fails");
        check("round-robin", &["a 1 0 no"], "nobody: the request fails");
        check("round-robin", &["a 1 0 no", "b 1 9 yes"], "b, the only one that may be picked");
        check("round-robin", &["a 1 0 yes", "b 3 9 yes"], "a 25%, b 75%, in turn on each core");
        check("round-robin", &["a 0 0 yes", "b 0 9 yes"], "a 0%, b 0%, in turn on each core");
        check(
            "least-requests",
            &["a 1 2 yes", "b 1 1 yes"],
            "b: fewest requests in flight for its weight",
        );
        check(
            "least-requests",
            &["a 3 5 yes", "b 1 1 yes"],
            "a or b, in turn: fewest requests in flight for its weight",
        );
        check("p2c", &["a 3 5 yes", "b 1 1 yes"], "one of 2, by p2c");
    }
}
