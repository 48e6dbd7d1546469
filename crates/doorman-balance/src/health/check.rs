//! A check: what is asked of a server, how often, and how many answers make a verdict.

use std::time::Duration;

use doorman_http::Instant;

use super::{Expect, Trend};

/// A check of all servers of an upstream. Two that are equal ask the same and judge alike, so that
/// a reload which leaves one as it was asks nothing anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is asked.
    pub kind: CheckKind,
    /// When it is asked, and what the answers come to.
    pub pace: Pace,
    /// The port that is asked instead of the server's own.
    pub port: Option<u16>,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// That a connection can be made, its TLS included.
    Tcp,
    /// A request.
    Http {
        /// Its method.
        method: Box<str>,
        /// Its path and query.
        path: Box<str>,
        /// What `Host` says; `None`: the server's own address.
        host: Option<Box<str>>,
        /// More fields: name and value.
        fields: Vec<(Box<str>, Box<str>)>,
        /// What the answer must be.
        expect: Expect,
    },
    /// The health service of gRPC.
    Grpc {
        /// The service that is asked for; empty: the whole server.
        service: Box<str>,
        /// What `:authority` says; `None`: the server's own address.
        host: Option<Box<str>>,
    },
}

impl Check {
    /// The check in a few words, the configuration's own.
    #[must_use]
    pub fn words(&self) -> String {
        let asked = match &self.kind {
            CheckKind::Tcp => "tcp".to_owned(),
            CheckKind::Http { method, path, .. } => format!("{method} {path}"),
            CheckKind::Grpc { service, .. } if service.is_empty() => "grpc".to_owned(),
            CheckKind::Grpc { service, .. } => format!("grpc {service}"),
        };
        match self.port {
            None => asked,
            Some(port) => format!("{asked} port {port}"),
        }
    }
}

/// What a server counts as until its first check has been answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initial {
    /// It takes requests.
    Up,
    /// It takes none.
    Down,
}

/// How often a check is made, and how many answers make a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From the beginning of one check to that of the next.
    pub every: Duration,
    /// The same while a server is up and its last check passed; `None`: no other.
    pub while_healthy: Option<Duration>,
    /// How long one may take as a whole.
    pub timeout: Duration,
    /// Failures in a row that take a server out; at least 1.
    pub fall: u32,
    /// Passes in a row that bring it back; at least 1.
    pub rise: u32,
    /// What it counts as before.
    pub initial: Initial,
}

/// By how much of itself an interval is spread, in parts of a thousand: a tenth either way, so that
/// the checks of many servers, and of many proxies, do not fall into step.
const JITTER_MILLIS: u64 = 100;
/// Within this the first checks of all servers are made after a start: soon, but not in one moment.
const FIRST_WITHIN: Duration = Duration::from_secs(1);

impl Pace {
    /// How long after `begun` the next check is to begin.
    #[must_use]
    pub fn next(&self, trend: &Trend, begun: Instant, dice: u64) -> Instant {
        let every = match self.while_healthy {
            Some(slower) if trend.is_steady() => slower,
            _ => self.every,
        };
        begun + spread(every, dice)
    }

    /// How long after `now` the first check is to begin.
    #[must_use]
    pub fn first(&self, now: Instant, dice: u64) -> Instant {
        let within = FIRST_WITHIN.min(self.every);
        let nanos = u64::try_from(within.as_nanos()).unwrap_or(u64::MAX).max(1);
        now + Duration::from_nanos(dice % nanos)
    }
}

/// An interval with its jitter: from nine to eleven tenths of it.
fn spread(every: Duration, dice: u64) -> Duration {
    let millis = 1000 - JITTER_MILLIS + dice % (2 * JITTER_MILLIS + 1);
    every.saturating_mul(u32::try_from(millis).unwrap_or(1000)) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) const PACE: Pace = Pace {
        every: Duration::from_secs(5),
        while_healthy: Some(Duration::from_secs(60)),
        timeout: Duration::from_secs(2),
        fall: 3,
        rise: 2,
        initial: Initial::Up,
    };

    #[test]
    fn intervals_are_spread_by_a_tenth() {
        let mut trend = Trend::default();
        let at = |trend: &Trend, dice| PACE.next(trend, Instant(0), dice).since(Instant(0));
        assert_eq!(at(&trend, 0), Duration::from_millis(4500));
        assert_eq!(at(&trend, 200), Duration::from_millis(5500));
        assert_eq!(at(&trend, 201), Duration::from_millis(4500));
        let _ = trend.note(true, &PACE);
        assert_eq!(at(&trend, 100), Duration::from_secs(60));
        // The first failure ends the leisure.
        let _ = trend.note(false, &PACE);
        assert_eq!(at(&trend, 100), Duration::from_secs(5));
    }

    #[test]
    fn first_checks_are_spread_over_a_second() {
        let first = |dice| PACE.first(Instant(7), dice).since(Instant(7));
        assert_eq!(first(0), Duration::ZERO);
        assert!(
            (0..1000u64)
                .map(|n| first(n.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
                .all(|at| at < FIRST_WITHIN)
        );
        let quick = Pace { every: Duration::from_millis(100), ..PACE };
        assert!((0..1000u64).all(|n| {
            quick.first(Instant(0), n.wrapping_mul(0x9E37_79B9_7F4A_7C15)).0 < 100_000_000
        }));
    }

    #[test]
    fn words_are_those_of_the_configuration() {
        let check = |kind, port| Check { kind, pace: PACE, port }.words();
        assert_eq!(check(CheckKind::Tcp, None), "tcp");
        assert_eq!(check(CheckKind::Tcp, Some(81)), "tcp port 81");
        let grpc = |service: &str| CheckKind::Grpc { service: service.into(), host: None };
        assert_eq!(check(grpc(""), None), "grpc");
        assert_eq!(check(grpc("a.B"), None), "grpc a.B");
        let http = CheckKind::Http {
            method: "GET".into(),
            path: "/ready".into(),
            host: None,
            fields: Vec::new(),
            expect: Expect::default(),
        };
        assert_eq!(check(http, None), "GET /ready");
    }
}
