//! Servers that do worse than their peers.
//!
//! Each server's tries are counted by the cores; now and then what was added since is held against what
//! was added for the others. That it is bad is not enough, it must be worse than its peers: a database
//! that all of them share, or one client's poisonous request, makes all of them bad, and then taking
//! servers out helps nobody. And there is a ceiling on how many may be out, whatever they do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use doorman_http::Instant;

use crate::Outcome;

/// When a server is an outlier, and for how long it is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlierRules {
    /// A share of its tries that failed, of 10,000; `None`: failures do not matter.
    pub errors: Option<u32>,
    /// How many times the median of the servers its mean time to an answer is, in hundredths; `None`: it
    /// does not matter.
    pub latency: Option<u32>,
    /// How often servers are compared.
    pub every: Duration,
    /// How long one is out the first time; the second time twice as long, and so on.
    pub eject: Duration,
    /// The share of servers that may be out, of 10,000. One may be out of any two or more.
    pub at_most: u32,
    /// Tries in between without which nothing is said of a server.
    pub requests_min: u64,
}

/// A server is out because of its errors only if it has so many times the errors of its peers.
const ERRORS_TIMES: u64 = 2;
/// A median is one only of so many.
const LATENCY_SERVERS_MIN: usize = 3;
/// A server is out because of its slowness only if it is slower by at least this: between answers
/// from memory, many times the median is still nothing.
const LATENCY_MICROS_MIN: u64 = 5_000;
/// The longest time out, in first times.
const REPEATS_MAX: u32 = 10;

/// Tries of one server, counted over all cores from the start of the process.
#[derive(Debug, Default)]
pub struct Tally {
    tries: AtomicU64,
    errors: AtomicU64,
    answers: AtomicU64,
    micros: AtomicU64,
}

impl Tally {
    /// Takes note of a try. What a client brings upon itself (4xx) is an answer like any other.
    pub fn note(&self, outcome: Outcome) {
        self.tries.fetch_add(1, Ordering::Relaxed);
        match outcome {
            Outcome::Answered { status, after } if status < 500 => {
                let micros = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
                self.answers.fetch_add(1, Ordering::Relaxed);
                self.micros.fetch_add(micros, Ordering::Relaxed);
            }
            Outcome::Reached => {}
            Outcome::Answered { .. } | Outcome::Refused | Outcome::Failed | Outcome::TimedOut => {
                self.errors.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// The counts so far.
    #[must_use]
    pub fn read(&self) -> Counts {
        // The parts first: a try that is counted in between is then in the whole at least.
        let errors = self.errors.load(Ordering::Relaxed);
        let micros = self.micros.load(Ordering::Relaxed);
        let answers = self.answers.load(Ordering::Relaxed);
        Counts { tries: self.tries.load(Ordering::Relaxed), errors, answers, micros }
    }
}

/// A reading of a [`Tally`], or the difference of two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tries.
    pub tries: u64,
    /// Those that failed, or were answered with 5xx.
    pub errors: u64,
    /// Those that were answered otherwise.
    pub answers: u64,
    /// Microseconds that these took to their answers' heads.
    pub micros: u64,
}

impl Counts {
    fn since(self, before: Self) -> Self {
        Self {
            tries: self.tries.saturating_sub(before.tries),
            errors: self.errors.saturating_sub(before.errors),
            answers: self.answers.saturating_sub(before.answers),
            micros: self.micros.saturating_sub(before.micros),
        }
    }

    /// Of 10,000.
    fn error_rate(self) -> u64 {
        (self.errors.saturating_mul(10_000)).checked_div(self.tries).unwrap_or_default()
    }

    fn mean(self) -> u64 {
        self.micros.checked_div(self.answers).unwrap_or_default()
    }
}

/// What is remembered of one server from one comparison to the next.
#[derive(Clone, Copy, Debug, Default)]
pub struct Past {
    read: Counts,
    repeats: u32,
    until: Instant,
}

/// A server in a comparison.
#[derive(Debug)]
pub struct Server<'a> {
    /// What is remembered of it.
    pub past: &'a mut Past,
    /// Its counts now.
    pub counts: Counts,
}

/// An outlier, and what is to become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlier {
    /// Its place among the servers that were compared.
    pub at: usize,
    /// Why.
    pub fault: Fault,
    /// Until when it is to be out.
    pub until: Instant,
    /// The reason in words.
    pub why: String,
}

/// In what an outlier is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails more.
    Errors,
    /// It is slower.
    Latency,
}

/// Compares servers, and says which are to be out from now on. `servers` are all that the upstream has,
/// those that are out included.
#[must_use = "the servers are to be told"]
pub fn compare(rules: &OutlierRules, servers: &mut [Server<'_>], now: Instant) -> Vec<Outlier> {
    let windows: Vec<Counts> =
        servers.iter().map(|server| server.counts.since(server.past.read)).collect();
    for server in servers.iter_mut() {
        server.past.read = server.counts;
    }
    let is_out = |server: &Server<'_>| server.past.until > now;
    let fit: Vec<usize> = (0..servers.len())
        .filter(|&at| !is_out(&servers[at]) && windows[at].tries >= rules.requests_min.max(1))
        .collect();
    let mut found = Vec::new();
    found.extend(rules.errors.into_iter().flat_map(|least| failing(least, &windows, &fit)));
    found.extend(rules.latency.into_iter().flat_map(|times| slow(times, &windows, &fit)));
    // The worst of all first: the ceiling may leave room for no other.
    found.sort_by_key(|candidate| std::cmp::Reverse(candidate.weight));
    let out = servers.iter().filter(|server| is_out(server)).count();
    let mut room = ceiling(rules.at_most, servers.len()).saturating_sub(out);
    let mut outliers: Vec<Outlier> = Vec::new();
    for candidate in found {
        if room == 0 {
            break;
        }
        if outliers.iter().any(|outlier| outlier.at == candidate.at) {
            continue;
        }
        room -= 1;
        let past = &mut *servers[candidate.at].past;
        past.repeats = (past.repeats + 1).min(REPEATS_MAX);
        past.until = now + rules.eject.saturating_mul(past.repeats);
        let (fault, why, until) = (candidate.fault, candidate.why, past.until);
        outliers.push(Outlier { at: candidate.at, fault, until, why });
    }
    // Who did well for a whole comparison is forgiven one time.
    for &at in &fit {
        let past = &mut *servers[at].past;
        if past.until <= now {
            past.repeats = past.repeats.saturating_sub(1);
        }
    }
    outliers
}

/// How many of so many servers may be out.
fn ceiling(share: u32, servers: usize) -> usize {
    let share = usize::try_from(share).unwrap_or(usize::MAX).min(10_000);
    match servers {
        0 | 1 => 0,
        // Never all, whatever the share is.
        _ => (servers.saturating_mul(share) / 10_000).clamp(1, servers - 1),
    }
}

struct Candidate {
    at: usize,
    fault: Fault,
    /// How bad it is, in hundredths of what is bad enough.
    weight: u64,
    why: String,
}

fn failing(least: u32, windows: &[Counts], fit: &[usize]) -> Vec<Candidate> {
    let all = fit.iter().fold(Counts::default(), |sum, &at| sum.plus(windows[at]));
    let mut found = Vec::new();
    for &at in fit.iter().filter(|_| fit.len() > 1) {
        let (own, peers) = (windows[at], all.since(windows[at]));
        let (rate, others) = (own.error_rate(), peers.error_rate());
        if rate < u64::from(least.max(1)) || rate < others * ERRORS_TIMES {
            continue;
        }
        let why = format!(
            "{} of {} requests failed, {} of {} at its peers",
            own.errors, own.tries, peers.errors, peers.tries
        );
        let weight = rate * 100 / u64::from(least.max(1));
        found.push(Candidate { at, fault: Fault::Errors, weight, why });
    }
    found
}

fn slow(times: u32, windows: &[Counts], fit: &[usize]) -> Vec<Candidate> {
    let timed: Vec<usize> = fit.iter().copied().filter(|&at| windows[at].answers > 0).collect();
    if timed.len() < LATENCY_SERVERS_MIN {
        return Vec::new();
    }
    let mut means: Vec<u64> = timed.iter().map(|&at| windows[at].mean()).collect();
    means.sort_unstable();
    // Of an even number the lower one: half of the servers may be slow and are still found.
    let median = means[(means.len() - 1) / 2].max(1);
    let limit = (median.saturating_mul(u64::from(times)) / 100).max(median + LATENCY_MICROS_MIN);
    let candidate = |&at: &usize| {
        let mean = windows[at].mean();
        (mean >= limit).then(|| Candidate {
            at,
            fault: Fault::Latency,
            weight: mean.saturating_mul(100) / limit,
            why: format!(
                "{} ms to an answer, {} ms is the median of the servers",
                mean / 1000,
                median / 1000
            ),
        })
    };
    timed.iter().filter_map(candidate).collect()
}

impl Counts {
    fn plus(self, other: Self) -> Self {
        Self {
            tries: self.tries.saturating_add(other.tries),
            errors: self.errors.saturating_add(other.errors),
            answers: self.answers.saturating_add(other.answers),
            micros: self.micros.saturating_add(other.micros),
        }
    }
}

#[cfg(test)]
mod tests;
