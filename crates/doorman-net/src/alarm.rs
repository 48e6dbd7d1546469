//! One lazy timer for a chain of waits.
//!
//! Every request waits several times, and nearly no wait lasts until its deadline. Arming and
//! disarming a timer for each would cost more than the wait itself, so an alarm leaves its timer
//! armed for the earliest deadline it has seen and looks at the real one only when it goes off:
//! a busy connection touches the timer wheel about once in 30 seconds.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use doorman_http::Instant;
use tokio::time::Sleep;

use crate::Clock;

/// A deadline that can be moved and cleared at no cost.
pub struct Alarm {
    clock: Clock,
    timer: Option<Pin<Box<Sleep>>>,
    armed: Instant,
    /// Whom the armed timer wakes.
    waker: Option<Waker>,
    deadline: Option<Instant>,
}

impl Alarm {
    /// An alarm without a deadline.
    #[must_use]
    pub const fn new(clock: Clock) -> Self {
        Self { clock, timer: None, armed: Instant(0), waker: None, deadline: None }
    }

    /// The deadline from now on.
    pub const fn set(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// The deadline from now on, unless an earlier one stands.
    pub fn set_earlier(&mut self, deadline: Instant) {
        self.deadline = Some(self.deadline.map_or(deadline, |old| old.min(deadline)));
    }

    /// A deadline `wait` from now, unless one stands already: what wakes the task in between does not
    /// prolong it. Now is the last reading of the clock.
    pub fn set_if_clear(&mut self, wait: Duration) {
        if self.deadline.is_none() {
            self.deadline = Some(self.clock.recent() + wait);
        }
    }

    /// No deadline from now on.
    pub const fn clear(&mut self) {
        self.deadline = None;
    }

    /// Frees the timer's memory; for connections that turn idle for long.
    pub fn forget(&mut self) {
        self.timer = None;
        self.waker = None;
        self.deadline = None;
    }

    /// Waits for the deadline; for ever if there is none.
    pub async fn wait(&mut self) {
        std::future::poll_fn(|cx| self.poll(cx)).await;
    }

    /// Ready when the deadline has passed; it is then cleared.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else { return Poll::Pending };
        // A timer that has not gone off and will wake this task when it does needs no more.
        let waits = self.armed <= deadline
            && self.timer.as_ref().is_some_and(|timer| !timer.is_elapsed())
            && self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if waits { Poll::Pending } else { self.poll_timer(cx, deadline) }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let timer = match &mut self.timer {
            Some(timer) => {
                if self.armed > deadline {
                    timer.as_mut().reset(self.clock.timer(deadline));
                    self.armed = deadline;
                }
                timer
            }
            None => {
                self.armed = deadline;
                let timer = tokio::time::sleep_until(self.clock.timer(deadline));
                self.timer.insert(Box::pin(timer))
            }
        };
        loop {
            if timer.as_mut().poll(cx).is_pending() {
                self.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            self.waker = None;
            if self.armed >= deadline {
                self.deadline = None;
                self.timer = None;
                return Poll::Ready(());
            }
            self.armed = deadline;
            timer.as_mut().reset(self.clock.timer(deadline));
        }
    }
}
