//! Who is checked, and what becomes of the answers.
//!
//! Each check of each server is a task that sleeps most of its life. A server is up while all of its
//! checks say so.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use doorman_balance::health::{Change, Check, CheckReport, Initial, Trend, Turn};
use doorman_balance::{Probe, ServerState, Standing};
use doorman_http::{Instant, Now};
use doorman_net::{Alarm, Clock, Net};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use super::ask::{Found, ask, words};
use super::{CHECKS_AT_ONCE, Target, Ward};

/// All servers that are checked.
pub(super) struct Round<N: Net> {
    net: N,
    clock: Clock,
    /// By the address of the state, which is held for as long as it stands here.
    patients: HashMap<*const ServerState, Patient>,
    turns: Rc<Semaphore>,
}

/// A server that is checked. Its checks end when it is dropped.
struct Patient {
    chart: Rc<Chart>,
    checks: Vec<(Rc<Examination>, AbortHandle)>,
}

impl Drop for Patient {
    fn drop(&mut self) {
        for (_, task) in &self.checks {
            task.abort();
        }
    }
}

/// What the checks of one server share.
struct Chart {
    bed: RefCell<Bed>,
    checks: RefCell<Vec<Rc<Examination>>>,
    /// When it was found ill.
    ill_since: Cell<Option<Instant>>,
}

/// A server's place in the configuration that is in force.
#[derive(Clone)]
struct Bed {
    ward: Rc<Ward>,
    at: usize,
}

impl Bed {
    fn server(&self) -> &Target {
        // Beds are made of the list's own places.
        &self.ward.servers[self.at]
    }

    fn state(&self) -> &Arc<ServerState> {
        &self.server().state
    }
}

/// A check of one server, and what it has found.
struct Examination {
    check: Check,
    trend: Cell<Trend>,
    last: RefCell<CheckReport>,
}

impl<N: Net> Round<N> {
    pub(super) fn new(net: N, clock: Clock) -> Self {
        let turns = Rc::new(Semaphore::new(CHECKS_AT_ONCE));
        Self { net, clock, patients: HashMap::new(), turns }
    }

    /// Checks these from now on. What is checked already goes on as it was.
    pub(super) fn follow(&mut self, wards: &[Rc<Ward>]) {
        let mut before = std::mem::take(&mut self.patients);
        for ward in wards.iter().filter(|ward| !ward.checks.is_empty()) {
            for (at, server) in ward.servers.iter().enumerate() {
                let key = Arc::as_ptr(&server.state);
                let known = before.remove(&key).or_else(|| self.patients.remove(&key));
                let patient = self.admit(Bed { ward: Rc::clone(ward), at }, known);
                self.patients.insert(key, patient);
            }
        }
        for gone in before.into_values() {
            discharge(&gone.chart, self.clock.now());
        }
    }

    fn admit(&self, bed: Bed, known: Option<Patient>) -> Patient {
        let mut patient = match known {
            Some(known) => {
                *known.chart.bed.borrow_mut() = bed.clone();
                known
            }
            None => Patient { chart: Rc::new(Chart::new(bed.clone())), checks: Vec::new() },
        };
        let mut old = std::mem::take(&mut patient.checks);
        for check in &bed.ward.checks {
            let same = old.iter().position(|(known, _)| known.check == *check);
            let kept = same.map(|at| old.swap_remove(at));
            let kept = kept.unwrap_or_else(|| self.begin(&patient.chart, check));
            patient.checks.push(kept);
        }
        for (_, task) in old {
            task.abort();
        }
        let checks: Vec<_> = patient.checks.iter().map(|(check, _)| Rc::clone(check)).collect();
        let reports = checks.iter().map(|check| check.last.borrow().clone()).collect();
        bed.state().health().vitals.begin(reports);
        *patient.chart.checks.borrow_mut() = checks;
        patient.chart.settle(self.clock.now(), None);
        patient
    }

    fn begin(&self, chart: &Rc<Chart>, check: &Check) -> (Rc<Examination>, AbortHandle) {
        let check = Rc::new(Examination::new(check.clone()));
        let (net, clock, turns) = (self.net.clone(), self.clock, Rc::clone(&self.turns));
        let task = examine(net, clock, turns, Rc::clone(chart), Rc::clone(&check));
        (check, tokio::task::spawn_local(task).abort_handle())
    }
}

/// Checks a server again and again.
async fn examine<N: Net>(
    net: N,
    clock: Clock,
    turns: Rc<Semaphore>,
    chart: Rc<Chart>,
    examination: Rc<Examination>,
) {
    let pace = examination.check.pace;
    let mut next = pace.first(clock.instant(), net.dice());
    let mut alarm = Alarm::new(clock);
    loop {
        alarm.set(next);
        alarm.wait().await;
        // Never closed: the round that holds it outlives its tasks.
        let Ok(turn) = turns.acquire().await else { return };
        let begun = clock.instant();
        let bed = chart.bed.borrow().clone();
        let found = ask(&net, clock, &bed.server().way, &examination.check).await;
        drop(turn);
        let now = clock.now();
        chart.note(&examination, &found, now, now.instant.since(begun));
        let trend = examination.trend.get();
        // Not before now, however long the check took: a silent server is not asked in a row.
        next = pace.next(&trend, begun, net.dice()).max(now.instant);
    }
}

impl Examination {
    fn new(check: Check) -> Self {
        let last = CheckReport {
            check: check.words(),
            up: None,
            against: 0,
            made: None,
            took: Duration::ZERO,
            fault: None,
        };
        Self { check, trend: Cell::new(Trend::default()), last: RefCell::new(last) }
    }

    /// Takes note of an answer; says whether it was the first, and what has changed.
    fn note(&self, fault: Option<&String>, now: Now, took: Duration) -> (bool, Turn) {
        let mut trend = self.trend.get();
        let first = trend.is_up().is_none();
        let turn = trend.note(fault.is_none(), &self.check.pace);
        self.trend.set(trend);
        let mut last = self.last.borrow_mut();
        (last.up, last.against) = (trend.is_up(), trend.against());
        (last.made, last.took, last.fault) = (Some(now), took, fault.cloned());
        (first, turn)
    }

    /// What it comes to.
    fn verdict(&self) -> Probe {
        match (self.trend.get().is_up(), self.check.pace.initial) {
            (Some(true), _) => Probe::Up,
            (Some(false), _) | (None, Initial::Down) => Probe::Down,
            (None, Initial::Up) => Probe::Unknown,
        }
    }
}

impl Chart {
    fn new(bed: Bed) -> Self {
        Self { bed: RefCell::new(bed), checks: RefCell::default(), ill_since: Cell::new(None) }
    }

    /// Takes note of an answer.
    fn note(&self, examination: &Rc<Examination>, found: &Found, now: Now, took: Duration) {
        let bed = self.bed.borrow().clone();
        let fault = match found {
            Found::Well => None,
            Found::Ill(why) => Some(why),
            Found::Unasked(why) => {
                let (server, upstream) = (&bed.server().server, &bed.ward.upstream);
                tracing::debug!("server {server} of upstream {upstream} was not checked: {why}");
                return;
            }
        };
        let (first, turn) = examination.note(fault, now, took);
        // A check that is made no more was aborted in the middle of its last word.
        let at = self.checks.borrow().iter().position(|known| Rc::ptr_eq(known, examination));
        let Some(at) = at else { return };
        bed.state().health().vitals.note(at, examination.last.borrow().clone());
        if turn == Turn::None {
            return;
        }
        let asked = examination.check.words();
        let why = match (fault, first) {
            (None, _) => format!("{asked} passes"),
            (Some(fault), true) => format!("{asked} fails: {fault}"),
            (Some(fault), false) => {
                let fall = times(examination.check.pace.fall);
                format!("{asked} failed {fall}, last: {fault}")
            }
        };
        self.settle(now, Some(why));
    }

    /// Tells the server's state what its checks come to together.
    fn settle(&self, now: Now, why: Option<String>) {
        let bed = self.bed.borrow().clone();
        let state = bed.state();
        let verdict = together(self.checks.borrow().iter().map(|check| check.verdict()));
        let before = state.probe();
        if verdict == before {
            return;
        }
        let why = why.unwrap_or_else(|| "not checked yet".to_owned());
        let up = verdict != Probe::Down;
        if before == Probe::Down {
            ease_in(&bed.ward, state, now.instant);
        }
        state.health().vitals.change(Change { at: now, up, why: why.clone() });
        state.set_probe(verdict, now.instant);
        // Last: who reads of it finds it so.
        let (server, upstream) = (&bed.server().server, &bed.ward.upstream);
        match (before, verdict) {
            (_, Probe::Down) => {
                self.ill_since.set(Some(now.instant));
                tracing::warn!("server {server} of upstream {upstream} is down: {why}");
            }
            (Probe::Down, _) => {
                let ill = self.ill_since.take().map(|since| now.instant.since(since));
                let after =
                    ill.map_or_else(String::new, |time| format!(" after {}", rounded(time)));
                tracing::info!("server {server} of upstream {upstream} is up again{after}: {why}");
            }
            // The first word of a server that took requests all along.
            _ => tracing::debug!("server {server} of upstream {upstream} is up: {why}"),
        }
    }
}

/// Lets a server that comes back at `when` begin with less than its part, if another takes all of its
/// own meanwhile: who is alone is needed at once.
pub(super) fn ease_in(ward: &Ward, state: &Arc<ServerState>, when: Instant) {
    let mut others = ward.servers.iter().filter(|peer| !Arc::ptr_eq(&peer.state, state));
    if others.any(|peer| matches!(peer.state.standing(when), Standing::Ready)) {
        state.begin_slow_start(when);
    }
}

/// One that fails is enough.
fn together(verdicts: impl Iterator<Item = Probe>) -> Probe {
    verdicts.fold(Probe::Up, |sum, verdict| match (sum, verdict) {
        (Probe::Down, _) | (_, Probe::Down) => Probe::Down,
        (Probe::Unknown, _) | (_, Probe::Unknown) => Probe::Unknown,
        (Probe::Up, Probe::Up) => Probe::Up,
    })
}

/// A server that is checked no more is not ill, as far as anybody knows.
fn discharge(chart: &Chart, now: Now) {
    let bed = chart.bed.borrow();
    let (state, vitals) = (bed.state(), &bed.state().health().vitals);
    vitals.begin(Vec::new());
    if state.probe() == Probe::Down {
        let why = "it is checked no more".to_owned();
        vitals.change(Change { at: now, up: true, why });
    }
    state.set_probe(Probe::Unknown, now.instant);
}

fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

/// A time to the second, or to the millisecond where it is short.
pub(super) fn rounded(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        words(Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
    } else {
        words(Duration::from_secs(time.as_secs()))
    }
}
