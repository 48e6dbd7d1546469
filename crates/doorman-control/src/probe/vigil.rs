//! The eye on servers that requests take out: it finds the outliers, and puts into the log and into words
//! who went out and who came back. What a core decides in the middle of a request it only writes into the
//! server's state; here is who has the time to tell of it.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use doorman_balance::health::Change;
use doorman_balance::health::outlier::{self, Fault, Past, Server};
use doorman_balance::{Ejected, ServerState, Standing};
use doorman_http::{Instant, Now};
use doorman_net::{Alarm, Clock};

use super::Ward;
use super::round::{ease_in, rounded};

/// How often states are looked at: what an operator would call at once.
const LOOK: Duration = Duration::from_secs(1);

/// All upstreams whose servers can be taken out by requests.
pub(super) struct Vigil {
    clock: Clock,
    alarm: Alarm,
    wards: Vec<Watched>,
}

struct Watched {
    ward: Rc<Ward>,
    /// When its servers are compared next.
    compare: Instant,
    known: HashMap<*const ServerState, Known>,
}

/// What is remembered of a server, which the ward holds.
#[derive(Default)]
struct Known {
    past: Past,
    /// When it went out and when it is to come back; what was told of it.
    out: Option<(Instant, Instant)>,
    why: Option<String>,
}

impl Vigil {
    pub(super) const fn new(clock: Clock) -> Self {
        Self { clock, alarm: Alarm::new(clock), wards: Vec::new() }
    }

    /// Looks after these from now on. What is known of a server goes on.
    pub(super) fn follow(&mut self, wards: &[Rc<Ward>]) {
        let now = self.clock.instant();
        let mut before = std::mem::take(&mut self.wards);
        let watched = wards.iter().filter(|ward| ward.passive.is_some() || ward.outlier.is_some());
        for ward in watched {
            let old = before.iter().position(|old| old.ward.upstream == ward.upstream);
            let old = old.map(|at| before.swap_remove(at));
            let same = old.as_ref().filter(|old| old.ward.outlier == ward.outlier);
            let every = ward.outlier.as_ref().map_or(Duration::MAX, |rules| rules.every);
            let compare = same.map_or(now + every, |old| old.compare);
            let mut known = old.map(|old| old.known).unwrap_or_default();
            let is_there = |key: &*const ServerState| {
                ward.servers.iter().any(|server| Arc::as_ptr(&server.state) == *key)
            };
            known.retain(|key, _| is_there(key));
            self.wards.push(Watched { ward: Rc::clone(ward), compare, known });
        }
    }

    /// Waits for the next look; for ever while there is nothing to look at.
    pub(super) async fn due(&mut self) {
        if !self.wards.is_empty() {
            self.alarm.set_if_clear(LOOK);
        }
        self.alarm.wait().await;
    }

    /// Looks at all of them.
    pub(super) fn look(&mut self) {
        let now = self.clock.now();
        for watched in &mut self.wards {
            if watched.compare <= now.instant {
                watched.compare(now);
            }
            watched.tell(now);
        }
    }
}

impl Watched {
    /// Takes outliers out.
    fn compare(&mut self, now: Now) {
        let Some(rules) = &self.ward.outlier else { return };
        self.compare = now.instant + rules.every;
        let states: Vec<_> = self.ward.servers.iter().map(|server| &server.state).collect();
        let mut pasts: Vec<Past> = states.iter().map(|s| self.past(s)).collect();
        let mut servers: Vec<Server<'_>> = pasts
            .iter_mut()
            .zip(&states)
            .map(|(past, state)| Server { past, counts: state.health().tally.read() })
            .collect();
        let outliers = outlier::compare(rules, &mut servers, now.instant);
        for (past, state) in pasts.into_iter().zip(&states) {
            self.known.entry(Arc::as_ptr(state)).or_default().past = past;
        }
        for outlier in outliers {
            let state = states[outlier.at];
            let fault = match outlier.fault {
                Fault::Errors => Ejected::Errors,
                Fault::Latency => Ejected::Latency,
            };
            self.known.entry(Arc::as_ptr(state)).or_default().why = Some(outlier.why);
            state.eject(outlier.until, fault, now.instant);
        }
    }

    fn past(&self, state: &Arc<ServerState>) -> Past {
        self.known.get(&Arc::as_ptr(state)).map(|known| known.past).unwrap_or_default()
    }

    /// Tells who went out and who came back since the last look.
    fn tell(&mut self, now: Now) {
        let ward = &self.ward;
        for target in &ward.servers {
            let state = &target.state;
            let known = self.known.entry(Arc::as_ptr(state)).or_default();
            let out = match state.standing(now.instant) {
                Standing::Ejected { since, until, why } => Some((since, until, why)),
                _ => None,
            };
            let (server, upstream) = (&target.server, &ward.upstream);
            match (known.out, out) {
                (before, Some((since, until, kind))) if before != Some((since, until)) => {
                    let why = known.why.take().unwrap_or_else(|| ward.words(kind));
                    let time = rounded(until.since(since));
                    tracing::warn!(
                        "server {server} of upstream {upstream} is out for {time}: {why}"
                    );
                    known.out = Some((since, until));
                    ease_in(ward, state, until);
                    let why = format!("out for {time}: {why}");
                    state.health().vitals.eject(Change { at: now, up: false, why });
                }
                (Some((since, _)), None) => {
                    let time = rounded(now.instant.since(since));
                    known.out = None;
                    let why = "its time out has passed".to_owned();
                    state.health().vitals.change(Change { at: now, up: true, why });
                    tracing::info!("server {server} of upstream {upstream} is back after {time}");
                }
                _ => {}
            }
        }
    }
}

impl Ward {
    /// Why a server is out, as far as the rules tell.
    fn words(&self, kind: Ejected) -> String {
        match (kind, &self.passive) {
            (Ejected::Failures, Some(rules)) if rules.fails > 1 => {
                let (fails, within) = (rules.fails, rounded(rules.within));
                format!("{fails} requests failed within {within}, or one while it was on probation")
            }
            (Ejected::Failures, _) => "a request failed".to_owned(),
            (Ejected::Errors, _) => "it failed more than the others".to_owned(),
            (Ejected::Latency, _) => "it was slower than the others".to_owned(),
        }
    }
}
