//! What a request owes its upstream's books: its pass through the breaker, its place among those who
//! wait, and word to the next in line when it leaves a server. It rides in the record, so it is given
//! back however the request ends.

use std::sync::Arc;

use doorman_balance::{BreakerPass, Resilience, Waiting};

/// Held while a request is at its upstream.
pub(crate) struct Guard {
    pub(crate) state: Arc<Resilience>,
    pub(crate) pass: Option<BreakerPass>,
    pub(crate) has_queue: bool,
    pub(crate) has_park: bool,
    /// Its place among those who wait for a server that is there, while it knocks for them.
    pub(crate) parked: Option<Waiting>,
}

impl Guard {
    /// A server was reached: the others who wait for one need not.
    #[inline]
    pub(crate) fn reached(&mut self) {
        if self.has_park {
            self.state.reached();
            self.parked = None;
        }
    }

    /// A place at a server has become free before the request ended.
    pub(crate) fn freed(&self) {
        if self.has_queue {
            self.state.queue.call_next();
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.state.breaker.leave(pass);
        }
        self.freed();
    }
}
