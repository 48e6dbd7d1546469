//! What `doorman upstreams` shows, and what it changes. The names of the fields are a public contract.

use std::collections::HashMap;

use doorman_control::discovery::SourceReport;
use doorman_control::overrides::{Change, LIFE_SECONDS, Override, Use};
use doorman_http::{Instant, Now};
use doorman_proxy::balance::{Standing, Verdict};
use doorman_proxy::metrics::{STATUSES, ServerCounters};
use doorman_proxy::plan::{PlanServer, PlanUpstream};
use serde::{Deserialize, Serialize};

use crate::engine::{Engine, Wish};

/// How it stands with all servers. Times are unix seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Upstreams {
    /// What the times in it are to be compared with.
    pub now: u64,
    /// In the order of the configuration.
    pub upstreams: Vec<Upstream>,
    /// What operators have changed, by upstream and server.
    pub overrides: Vec<Override>,
}

/// An upstream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Upstream {
    /// Its name.
    pub name: String,
    /// Its servers.
    pub servers: Vec<Server>,
    /// Where servers of it are found at run time.
    pub discovery: Vec<Source>,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Server {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub address: String,
    /// `ready`, `slow-start`, `draining`, `down`, `probed-down`, `ejected` or `resting`.
    pub state: String,
    /// Since when, where that is known.
    pub since: Option<u64>,
    /// Until when, where it ends by itself.
    pub until: Option<u64>,
    /// Whether a request that is bound to nobody may get it now.
    pub candidate: bool,
    /// Why, or why not.
    pub why: String,
    /// Its part of the load as it counts.
    pub weight: u32,
    /// What the file says of it.
    pub file_weight: u32,
    /// Its tier.
    pub tier: u32,
    /// Requests that it works on.
    pub in_flight: u32,
    /// How often it was chosen.
    pub picks: u64,
    /// Answers.
    pub requests: u64,
    /// Tries without an answer, and answers of 500 and above.
    pub errors: u64,
    /// The mean time to the head of an answer, milliseconds; none while there is none.
    pub latency_ms: Option<f64>,
}

/// Where servers are found at run time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    /// As it is written: `dns app.internal 8080`.
    pub source: String,
    /// Servers that it has given; none: none ever.
    pub servers: Option<usize>,
    /// Why the last look failed, if it did.
    pub error: Option<String>,
    /// The last look that went well.
    pub good_at: Option<u64>,
    /// Looks that failed in a row.
    pub failures: u32,
}

/// How it stands now.
#[must_use]
pub(crate) fn of(engine: &Engine) -> Upstreams {
    let plan = engine.plan();
    let now = engine.times().1;
    let (overrides, _) = engine.overrides().report();
    let sums = sums(engine);
    let found = engine.discoveries();
    let upstreams = plan.upstreams.iter().map(|upstream| Upstream {
        name: upstream.name.to_string(),
        servers: servers(upstream, &overrides, &sums, now),
        discovery: found.iter().filter_map(|report| source(report, &upstream.name)).collect(),
    });
    Upstreams { now: now.unix_seconds(), upstreams: upstreams.collect(), overrides }
}

/// The servers of an upstream as the balancer sees them.
fn servers(
    upstream: &PlanUpstream,
    overrides: &[Override],
    sums: &HashMap<(Box<str>, Box<str>), Sum>,
    now: Now,
) -> Vec<Server> {
    let verdicts = upstream.verdicts(now.instant);
    let servers = upstream.servers.iter().zip(verdicts).map(|(server, verdict)| {
        let standing = server.state.standing(now.instant);
        let (state, since, until) = shown(standing, now);
        let key = (upstream.name.clone(), server.name.clone());
        let sum = sums.get(&key).copied().unwrap_or_default();
        let by_hand = overrides.iter().find(|one| is_of(one, upstream, server));
        Server {
            name: server.name.to_string(),
            address: server.address.to_string(),
            state: state.to_owned(),
            since: since.or_else(|| Some(by_hand?.created)),
            until: until.or_else(|| by_hand?.expires),
            candidate: matches!(verdict, Verdict::Candidate { .. }),
            why: words(verdict, by_hand, &server.state.told(now).why),
            weight: server.state.weight().unwrap_or(server.weight),
            file_weight: server.weight,
            tier: server.tier,
            in_flight: server.state.in_flight(),
            picks: server.state.picks(),
            requests: sum.requests,
            errors: sum.errors,
            latency_ms: sum.latency_ms(),
        }
    });
    servers.collect()
}

/// The override that decides whether a server may be picked.
fn is_of(one: &Override, upstream: &PlanUpstream, server: &PlanServer) -> bool {
    matches!(one.change, Change::Use(_))
        && *one.object.upstream == *upstream.name
        && *one.object.server == *server.name
}

/// A verdict, with the reason of whoever, or of what, took the server out.
fn words(verdict: Verdict, by_hand: Option<&Override>, known: &str) -> String {
    let told = verdict.to_string();
    match (verdict, by_hand) {
        (Verdict::Out { standing: Standing::Draining | Standing::Down }, Some(one)) => {
            let why =
                if one.reason.is_empty() { String::new() } else { format!(", {}", one.reason) };
            format!("{told} (by {}{why})", one.author)
        }
        (Verdict::Out { standing: Standing::Draining | Standing::Down }, None) => {
            format!("{told} (the file says so)")
        }
        (Verdict::Out { standing } | Verdict::Candidate { standing }, _)
            if matches!(standing, Standing::ProbedDown { .. } | Standing::Ejected { .. }) =>
        {
            format!("{told}: {known}")
        }
        _ => told,
    }
}

/// The word for how a server stands, since when and until when.
pub(super) fn shown(standing: Standing, now: Now) -> (&'static str, Option<u64>, Option<u64>) {
    let past =
        |at: Instant| Some(now.unix_seconds().saturating_sub(now.instant.since(at).as_secs()));
    let future =
        |at: Instant| Some(now.unix_seconds().saturating_add(at.since(now.instant).as_secs()));
    let (since, until) = match standing {
        Standing::Ready | Standing::Draining | Standing::Down => (None, None),
        Standing::SlowStart { since, until } | Standing::Ejected { since, until, .. } => {
            (past(since), future(until))
        }
        Standing::ProbedDown { since } => (past(since), None),
        Standing::Resting { until } => (None, future(until)),
    };
    (standing.word(), since, until)
}

fn source(report: &SourceReport, upstream: &str) -> Option<Source> {
    let source = report.key.strip_prefix(upstream)?.strip_prefix(' ')?;
    Some(Source {
        source: source.to_owned(),
        servers: report.count,
        error: report.trouble.clone(),
        good_at: report.good_at,
        failures: report.failures,
    })
}

/// What all cores have counted of a server.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    requests: u64,
    errors: u64,
    timed: u64,
    micros: u64,
}

impl Sum {
    fn add(&mut self, counters: &ServerCounters) {
        let by_status = &counters.requests.0;
        self.requests += by_status.iter().map(|counter| counter.read()).sum::<u64>();
        let failed = STATUSES.iter().zip(by_status).filter(|(status, _)| **status >= 500);
        self.errors += failed.map(|(_, counter)| counter.read()).sum::<u64>();
        self.errors += counters.failures.read();
        let buckets = &counters.duration.buckets;
        self.timed += buckets.iter().map(|counter| counter.read()).sum::<u64>();
        self.micros += counters.duration.sum_micros.read();
    }

    #[expect(clippy::cast_precision_loss, reason = "a mean for people")]
    fn latency_ms(self) -> Option<f64> {
        let mean = self.micros as f64 / self.timed as f64 / 1000.0;
        (self.timed > 0).then(|| (mean * 1000.0).round() / 1000.0)
    }
}

fn sums(engine: &Engine) -> HashMap<(Box<str>, Box<str>), Sum> {
    let mut sums: HashMap<_, Sum> = HashMap::new();
    for (key, counters) in engine.counters().flat_map(|core| core.servers()) {
        sums.entry(key).or_default().add(&counters);
    }
    sums
}

/// A change as a call asks for it.
#[derive(Deserialize)]
pub(super) struct Asked {
    /// `UPSTREAM` or `UPSTREAM/SERVER`.
    pub(super) target: String,
    /// `ready`, `drain` or `down`.
    state: Option<String>,
    /// The weight.
    weight: Option<u32>,
    /// Why.
    #[serde(default)]
    reason: String,
    /// For how many seconds, or `forever`.
    #[serde(rename = "for")]
    life: Option<String>,
    /// After how many seconds the last connections of a drained server are ended.
    within: Option<u64>,
}

/// Largest weight, as in the configuration; 0 takes only requests that are bound to the server.
const WEIGHT_MAX: u32 = 65_535;

impl Asked {
    /// What is wished, and by whom.
    pub(super) fn wish(&self, author: &str) -> Result<Wish, String> {
        let usage = match self.state.as_deref() {
            None => None,
            Some("ready") => Some(Use::Ready),
            Some("drain") => Some(Use::Drain),
            Some("down") => Some(Use::Down),
            Some(other) => return Err(format!("`{other}` is none of ready, drain and down")),
        };
        let change = match (usage, self.weight) {
            (Some(usage), None) => Change::Use(usage),
            (None, Some(weight)) if weight <= WEIGHT_MAX => Change::Weight(weight),
            (None, Some(_)) => return Err(format!("a weight is within 0 to {WEIGHT_MAX}")),
            _ => return Err("say either `state` or `weight`".to_owned()),
        };
        if self.within.is_some() && usage != Some(Use::Drain) {
            return Err("only a drain has an end of its last connections".to_owned());
        }
        let life = match self.life.as_deref() {
            None => Some(LIFE_SECONDS),
            Some("forever") => None,
            Some(seconds) => match seconds.parse() {
                Ok(0) | Err(_) => return Err("`for` is a number of seconds, or forever".to_owned()),
                Ok(seconds) => Some(seconds),
            },
        };
        if let (Some(life), Some(within)) = (life, self.within)
            && within >= life
        {
            return Err("the drain ends before its last connections would".to_owned());
        }
        Ok(Wish {
            change,
            author: author.to_owned(),
            reason: self.reason.clone(),
            life,
            within: self.within,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(text: &str) -> Result<Wish, String> {
        let fields = text.split(' ').filter_map(|field| field.split_once('='));
        let mut value = serde_json::json!({ "target": "web" });
        for (name, text) in fields {
            value[name] = match text.parse::<u64>() {
                Ok(number) if name != "for" => number.into(),
                _ => text.into(),
            };
        }
        serde_json::from_value::<Asked>(value).unwrap().wish("ops")
    }

    #[test]
    fn wishes() {
        let check = |text: &str, change: Change, life: Option<u64>, within: Option<u64>| {
            let wish = wish(text).unwrap();
            assert_eq!((wish.change, wish.life, wish.within), (change, life, within), "{text}");
        };
        check("state=drain", Change::Use(Use::Drain), Some(86_400), None);
        check("state=ready for=60", Change::Use(Use::Ready), Some(60), None);
        check("state=drain within=600 for=forever", Change::Use(Use::Drain), None, Some(600));
        check("weight=0", Change::Weight(0), Some(86_400), None);
        for text in [
            "",
            "state=gone",
            "state=drain weight=1",
            "weight=65536",
            "weight=1 within=5",
            "state=down within=5",
            "state=down for=0",
            "state=down for=soon",
            "state=drain within=60 for=60",
        ] {
            assert!(wish(text).is_err(), "{text}");
        }
    }
}
