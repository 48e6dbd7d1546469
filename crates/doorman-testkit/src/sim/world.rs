//! The state of the simulated network: connections, what is under way, what is due when.
//!
//! All of it is one value, changed by one function at a time, with one sequence of dice: that is
//! what makes a seed replay exactly. Wakers are called only after the value is released, because
//! a waker may drop a stream, whose end must be recorded here.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use doorman_http::{Instant, Peer};
use doorman_net::{Address, Alarm, Clock};

use super::faults::{Fate, Faults, Side, Trouble};
use super::line::Line;
use super::trace::{Event, Trace, What};
use crate::sums::{Dice, Sum};

/// Connections that a listener holds before they are accepted, as the production's backlog.
pub(super) const BACKLOG_MAX: usize = 4096;

pub(super) struct World {
    pub(super) clock: Clock,
    state: RefCell<State>,
}

pub(super) struct State {
    pub(super) now: Instant,
    pub(super) dice: Dice,
    pub(super) faults: Faults,
    pub(super) faults_at: BTreeMap<Address, Faults>,
    pub(super) plans: BTreeMap<Address, VecDeque<Vec<Trouble>>>,
    pub(super) names: BTreeMap<(Box<str>, u16), SocketAddr>,
    pub(super) doors: BTreeMap<Address, Door>,
    pub(super) lines: Vec<Option<Line>>,
    pub(super) callers: u16,
    /// Set when the story has ended: what is torn down after it is no part of it.
    pub(super) over: bool,
    trace: Trace,
    due: BinaryHeap<Reverse<Due>>,
    turn: u64,
    driver: Option<(Waker, Instant)>,
    woken: Vec<Waker>,
}

/// A listener's queue.
#[derive(Default)]
pub(super) struct Door {
    pub(super) queue: VecDeque<(usize, Peer)>,
    pub(super) waker: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Instant,
    turn: u64,
    line: usize,
    side: Side,
    deed: Deed,
}

/// What is due for a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deed {
    /// What `side` sent arrives.
    Arrive,
    /// `side` learns of room for this many more bytes.
    Open(usize),
    /// A hiccup of `side` is over.
    Nudge,
}

impl World {
    pub(super) fn new(clock: Clock, seed: u64, faults: Faults) -> Rc<Self> {
        Rc::new(Self {
            clock,
            state: RefCell::new(State {
                now: clock.instant(),
                dice: Dice::new(seed),
                faults,
                faults_at: BTreeMap::new(),
                plans: BTreeMap::new(),
                names: BTreeMap::new(),
                doors: BTreeMap::new(),
                lines: Vec::new(),
                callers: 0,
                over: false,
                trace: Trace::default(),
                due: BinaryHeap::new(),
                turn: 0,
                driver: None,
                woken: Vec::new(),
            }),
        })
    }

    /// Changes the state, then wakes whom the change concerns.
    pub(super) fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let (output, woken) = {
            let mut state = self.state.borrow_mut();
            state.now = self.clock.instant();
            let output = act(&mut state);
            (output, std::mem::take(&mut state.woken))
        };
        for waker in woken {
            waker.wake();
        }
        output
    }

    /// Brings about what is due, for ever.
    pub(super) async fn drive(self: Rc<Self>) {
        let mut alarm = Alarm::new(self.clock);
        poll_fn(|cx| {
            loop {
                let Some(next) = self.change(|state| state.settle(cx.waker())) else {
                    alarm.clear();
                    return Poll::Pending;
                };
                alarm.set(next);
                if alarm.poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Waits in virtual time.
    pub(super) async fn wait(&self, duration: Duration) {
        let mut alarm = Alarm::new(self.clock);
        alarm.set(self.clock.instant() + duration);
        poll_fn(|cx| alarm.poll(cx)).await;
    }
}

impl State {
    pub(super) fn record(&mut self, line: Option<usize>, side: Side, what: What, bytes: &[u8]) {
        if self.over {
            return;
        }
        let event = Event { at: self.now, connection: line, side, what, bytes: bytes.len() };
        self.trace.record(event, bytes);
    }

    pub(super) const fn trace(&self) -> &Trace {
        &self.trace
    }

    pub(super) fn wake(&mut self, waker: Option<Waker>) {
        self.woken.extend(waker);
    }

    /// What the next connection to `to` will suffer.
    pub(super) fn fate(&mut self, to: &Address) -> Fate {
        if let Some(troubles) = self.plans.get_mut(to).and_then(VecDeque::pop_front) {
            return Fate::fixed(troubles);
        }
        let faults = self.faults_at.get(to).copied().unwrap_or(self.faults);
        Fate::roll(faults, &mut self.dice)
    }

    /// Makes the connection and queues it at the listener.
    pub(super) fn open(&mut self, from: Peer, to: &Address, fate: Fate) -> io::Result<usize> {
        let id = self.lines.len();
        let room = self.doors.get(to).is_some_and(|door| door.queue.len() < BACKLOG_MAX);
        if !room {
            self.record(None, Side::Caller, What::Refused, &[]);
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        self.lines.push(Some(Line::new(fate)));
        self.record(Some(id), Side::Caller, What::Open, &[]);
        self.with_line(id, |line, state| line.meet_troubles(id, state));
        let waker = self.doors.get_mut(to).and_then(|door| {
            door.queue.push_back((id, from));
            door.waker.take()
        });
        self.wake(waker);
        Ok(id)
    }

    /// Lends a line together with the rest of the state.
    pub(super) fn with_line<T>(
        &mut self,
        id: usize,
        act: impl FnOnce(&mut Line, &mut Self) -> T,
    ) -> Option<T> {
        let mut line = self.lines.get_mut(id)?.take()?;
        let output = act(&mut line, self);
        if !line.is_done() {
            self.lines[id] = Some(line);
        }
        Some(output)
    }

    pub(super) fn schedule(&mut self, at: Instant, line: usize, side: Side, deed: Deed) {
        self.turn += 1;
        self.due.push(Reverse(Due { at, turn: self.turn, line, side, deed }));
        if self.driver.as_ref().is_some_and(|(_, armed)| at < *armed) {
            let driver = self.driver.take();
            self.wake(driver.map(|(waker, _)| waker));
        }
    }

    /// Does what is due; the time of what is due next.
    fn settle(&mut self, driver: &Waker) -> Option<Instant> {
        while let Some(Reverse(due)) = self.due.peek().copied() {
            if due.at > self.now {
                self.driver = Some((driver.clone(), due.at));
                return Some(due.at);
            }
            self.due.pop();
            self.with_line(due.line, |line, state| match due.deed {
                Deed::Arrive => line.arrive(due.line, due.side, state),
                Deed::Open(bytes) => line.make_room(due.side, bytes, state),
                Deed::Nudge => line.nudge(due.side, state),
            });
        }
        self.driver = Some((driver.clone(), Instant(u64::MAX)));
        None
    }
}

/// Remembers whom to wake: the one who asked last, as the system's sockets do. Dropping the old
/// waker here is safe: a task's future is gone before its last waker is.
pub(super) fn register(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(known) => known.clone_from(cx.waker()),
        None => *place = Some(cx.waker().clone()),
    }
}

/// The dice that an application on this network rolls: apart from those of the network, so that
/// one more roll of the application does not change what the network does.
pub(super) fn application_dice(seed: u64) -> Dice {
    Dice::new(Sum::of(&seed.to_le_bytes()))
}
