//! Limits and bans, as the admin API tells them, and what it changes. The names of the fields are a public contract.

use std::net::IpAddr;

use doorman_http::{Instant, Now};
use doorman_proxy::limit::{Ban, Heavy, Key};
use doorman_proxy::{BanRules, LimitSeen};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;

/// Keys and bans of one answer, if it is not said how many, and at most.
const SHOWN: usize = 20;
const SHOWN_MAX: usize = 10_000;

/// What is wanted.
#[derive(Deserialize)]
pub(super) struct Asked {
    /// Of this limit or rule alone.
    name: Option<String>,
    /// Of this key alone.
    key: Option<String>,
    /// Of this client alone.
    client: Option<IpAddr>,
    last: Option<usize>,
}

/// All limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// In the order of the configuration.
    pub limits: Vec<Limit>,
}

/// A limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Limit {
    /// Its name, or what it says.
    pub name: String,
    /// Requests, and the seconds that they are for.
    pub count: u32,
    pub seconds: f64,
    /// How many may come at once.
    pub burst: u32,
    /// Whether nothing is refused by it.
    pub shadow: bool,
    /// Requests that were refused, and that would have been.
    pub refused: u64,
    pub shadowed: u64,
    /// Keys of which something is taken now.
    pub keys: u64,
    /// Those that use most of it.
    pub top: Vec<Used>,
}

/// A key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Used {
    /// Its number, in hexadecimal digits: it is a hash, and tells nothing of itself.
    pub key: String,
    /// Who it is, of those that have been refused of late.
    pub name: Option<String>,
    /// Requests that would pass now.
    pub left: u32,
    /// Seconds until all may come again.
    pub reset: f64,
}

/// How somebody stands under each limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Standings {
    /// In the order of the configuration.
    pub limits: Vec<Standing>,
}

/// How somebody stands under a limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// The limit's name, or what it says.
    pub name: String,
    /// The number of his key; none: the limit counts by more than an address, so that alone is no key.
    pub key: Option<String>,
    /// How many may come at once.
    pub burst: u32,
    /// Requests that would pass now.
    pub left: Option<u32>,
    /// Seconds until all may come again.
    pub reset: Option<f64>,
}

/// All rules that ban.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bans {
    /// In the order of the configuration.
    pub rules: Vec<Rule>,
}

/// A rule that bans.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rule {
    /// What it says.
    pub name: String,
    /// Clients that are kept out now.
    pub count: u64,
    /// Those of them that are for longest.
    pub bans: Vec<Banned>,
}

/// A client that is kept out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Banned {
    /// The number of its key.
    pub key: String,
    /// Its address or network, where that is known still.
    pub client: Option<String>,
    /// Seconds until it is let in again.
    pub left: f64,
}

/// How limits stand.
pub(super) fn limits(engine: &Engine, asked: &Asked) -> Limits {
    let now = now(engine);
    let plan = engine.plan();
    let wanted = plan.limits().into_iter().filter(|limit| asked.names(limit.name()));
    Limits { limits: wanted.map(|limit| asked.limit(&limit, now)).collect() }
}

/// How one key or one client stands.
pub(super) fn standings(engine: &Engine, asked: &Asked) -> Result<Standings, String> {
    let key = asked.key()?;
    if key.is_none() && asked.client.is_none() {
        return Err(
            "who? `key` is a key as `doorman limits` shows it, `client` an address".to_owned()
        );
    }
    let now = now(engine);
    let standing = |limit: LimitSeen| {
        let key = key.or_else(|| limit.key_of(asked.client?));
        let level = key.map(|key| limit.show(key, now));
        Standing {
            name: limit.name().to_owned(),
            key: key.map(digits),
            burst: limit.rate().burst(),
            left: level.map(|level| level.left),
            reset: level.map(|level| level.reset.as_secs_f64()),
        }
    };
    let plan = engine.plan();
    let wanted = plan.limits().into_iter().filter(|limit| asked.names(limit.name()));
    Ok(Standings { limits: wanted.map(standing).collect() })
}

/// Gives keys their whole burst back; tells of how many limits.
pub(super) fn reset(engine: &Engine, asked: &Asked) -> Result<usize, String> {
    let key = asked.key()?;
    let plan = engine.plan();
    let mut count = 0;
    for limit in plan.limits().iter().filter(|limit| asked.names(limit.name())) {
        match (key, asked.client) {
            (Some(key), _) => count += usize::from(limit.reset(key)),
            (None, Some(client)) => {
                count += limit.key_of(client).map_or(0, |key| usize::from(limit.reset(key)));
            }
            (None, None) => {
                limit.reset_all();
                count += 1;
            }
        }
    }
    Ok(count)
}

/// Who is kept out.
pub(super) fn bans(engine: &Engine, asked: &Asked) -> Bans {
    let now = now(engine);
    let plan = engine.plan();
    let wanted = plan.bans().into_iter().filter(|rules| asked.names(rules.name()));
    Bans { rules: wanted.map(|rules| asked.rule(&rules, now)).collect() }
}

/// Lets clients in again; tells how many were kept out.
pub(super) fn lift(engine: &Engine, asked: &Asked) -> Result<usize, String> {
    let key = asked.key()?;
    let now = now(engine);
    let plan = engine.plan();
    let mut count = 0;
    for rules in plan.bans().iter().filter(|rules| asked.names(rules.name())) {
        let one = key.or_else(|| asked.client.map(|client| rules.key(client)));
        match one {
            Some(key) => count += usize::from(rules.lift(key)),
            None => {
                count += rules.count(now);
                rules.lift_all();
            }
        }
    }
    Ok(count)
}

fn now(engine: &Engine) -> Instant {
    let Now { instant, .. } = engine.times().1;
    instant
}

impl Asked {
    fn names(&self, name: &str) -> bool {
        self.name.as_ref().is_none_or(|wanted| wanted == name)
    }

    fn shown(&self) -> usize {
        self.last.unwrap_or(SHOWN).min(SHOWN_MAX)
    }

    fn key(&self) -> Result<Option<Key>, String> {
        let Some(text) = &self.key else { return Ok(None) };
        let number = u64::from_str_radix(text, 16).ok().and_then(Key::from_number);
        number.map(Some).ok_or_else(|| format!("`{text}` is no key: `doorman limits` shows them"))
    }

    fn limit(&self, limit: &LimitSeen, now: Instant) -> Limit {
        let rate = limit.rate();
        Limit {
            name: limit.name().to_owned(),
            count: rate.count(),
            seconds: rate.per().as_secs_f64(),
            burst: rate.burst(),
            shadow: limit.is_shadow(),
            refused: limit.books().refused(),
            shadowed: limit.books().shadowed(),
            keys: limit.keys(now) as u64,
            top: limit.top(self.shown(), now).into_iter().map(used).collect(),
        }
    }

    fn rule(&self, rules: &BanRules, now: Instant) -> Rule {
        let banned = |ban: Ban| Banned {
            key: digits(ban.key),
            client: ban.name.map(Into::into),
            left: ban.until.since(now).as_secs_f64(),
        };
        Rule {
            name: rules.name().to_owned(),
            count: rules.count(now) as u64,
            bans: rules.list(self.shown(), now).into_iter().map(banned).collect(),
        }
    }
}

fn used(heavy: Heavy) -> Used {
    Used {
        key: digits(heavy.key),
        name: heavy.name.map(Into::into),
        left: heavy.level.left,
        reset: heavy.level.reset.as_secs_f64(),
    }
}

fn digits(key: Key) -> String {
    format!("{:016x}", key.number())
}
