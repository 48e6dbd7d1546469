//! Renewals of sessions: each once, and what came of it for all who still come with the session before it.
//!
//! A browser sends several requests at once, and all of them bring the session that is to be renewed. The first has it
//! renewed. The others pass with what they brought, or wait if it is late. What the provider said is kept until no
//! request can bring that session any more: a refresh token that is shown twice looks stolen, and ends the session.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorman_auth::oidc::{RENEW_EVERY_SECONDS, RENEW_GRACE_SECONDS};
use doorman_http::Instant;
use tokio::sync::Notify;

use super::Said;

/// Renewals that are kept.
const RENEWALS_MAX: usize = 16_384;
/// Bytes of answers that they hold; a usual one has 3 KiB.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long tokens that came are kept.
const KEPT: Duration = Duration::from_secs(RENEW_GRACE_SECONDS);
/// How long it is kept that none came: it is tried again as often as a session is.
const FAILURE_KEPT: Duration = Duration::from_secs(RENEW_EVERY_SECONDS);
/// After that a renewal that has said nothing is given up: its core is gone.
const GIVEN_UP: Duration = Duration::from_secs(30);

/// All renewals at one provider.
#[derive(Default)]
pub(crate) struct Renewals {
    state: Mutex<State>,
    /// Told when one has come to an end.
    pub(crate) ended: Notify,
}

#[derive(Default)]
struct State {
    known: HashMap<[u8; 32], Renewal>,
    bytes: usize,
}

struct Renewal {
    /// `None`: it is under way.
    said: Option<Arc<Said>>,
    until: Instant,
}

/// Whose turn a renewal is.
#[derive(Debug)]
pub(crate) enum Turn {
    /// It is ours, from now on.
    Ours,
    /// Somebody else is at it.
    Others,
    /// It is done, and this came of it.
    Done(Arc<Said>),
    /// There is no room for it.
    Full,
}

impl Renewals {
    /// Whose turn it is to renew a session.
    pub(crate) fn turn(&self, id: [u8; 32], now: Instant) -> Turn {
        let mut state = self.hold();
        if state.known.len() >= RENEWALS_MAX || state.bytes >= BYTES_MAX {
            state.forget(now);
        }
        let is_full = state.known.len() >= RENEWALS_MAX || state.bytes >= BYTES_MAX;
        match state.known.entry(id) {
            Entry::Occupied(known) if now < known.get().until => {
                known.get().said.clone().map_or(Turn::Others, Turn::Done)
            }
            Entry::Vacant(_) if is_full => Turn::Full,
            entry => {
                let renewal = Renewal { said: None, until: now + GIVEN_UP };
                let before = match entry {
                    Entry::Occupied(mut known) => known.insert(renewal).bytes(),
                    Entry::Vacant(place) => {
                        place.insert(renewal);
                        0
                    }
                };
                state.bytes -= before;
                Turn::Ours
            }
        }
    }

    /// What came of one that was ours.
    pub(crate) fn done(&self, id: [u8; 32], said: Arc<Said>, now: Instant) {
        let kept = if said.status == 200 { KEPT } else { FAILURE_KEPT };
        {
            let mut state = self.hold();
            state.bytes += said.bytes();
            let renewal = Renewal { said: Some(said), until: now + kept };
            let before = state.known.insert(id, renewal);
            state.bytes -= before.map_or(0, |renewal| renewal.bytes());
        }
        self.ended.notify_waiters();
    }

    fn hold(&self) -> MutexGuard<'_, State> {
        // Nothing of others runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Renewal {
    fn bytes(&self) -> usize {
        self.said.as_ref().map_or(0, |said| said.bytes())
    }
}

impl State {
    /// Forgets what is over.
    fn forget(&mut self, now: Instant) {
        self.known.retain(|_, renewal| now < renewal.until);
        self.bytes = self.known.values().map(Renewal::bytes).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant(seconds * 1_000_000_000)
    }

    fn said(status: u16, bytes: usize) -> Arc<Said> {
        Arc::new(Said { status, body: vec![b'x'; bytes], trouble: None })
    }

    #[test]
    fn each_is_done_once_and_known_for_as_long_as_it_is_asked_for() {
        let renewals = Renewals::default();
        let turn = |seconds| renewals.turn([1; 32], at(seconds));
        assert!(matches!(turn(0), Turn::Ours));
        assert!(matches!(turn(1), Turn::Others));
        assert!(matches!(renewals.turn([2; 32], at(1)), Turn::Ours));
        renewals.done([1; 32], said(200, 3), at(2));
        assert!(matches!(turn(3), Turn::Done(said) if said.status == 200));
        assert!(matches!(turn(301), Turn::Done(_)));
        assert!(matches!(turn(302), Turn::Ours));
        renewals.done([1; 32], said(503, 0), at(303));
        assert!(matches!(turn(332), Turn::Done(said) if said.status == 503));
        assert!(matches!(turn(333), Turn::Ours));
        // Its core is gone.
        assert!(matches!(turn(362), Turn::Others));
        assert!(matches!(turn(363), Turn::Ours));
        assert_eq!(renewals.hold().bytes, 0);
    }

    #[test]
    fn they_are_bounded_by_number_and_by_bytes() {
        let renewals = Renewals::default();
        let id = |n: usize| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&n.to_le_bytes());
            id
        };
        for n in 0..RENEWALS_MAX {
            assert!(matches!(renewals.turn(id(n), at(0)), Turn::Ours));
            renewals.done(id(n), said(200, 0), at(0));
        }
        assert!(matches!(renewals.turn([9; 32], at(1)), Turn::Full));
        assert!(matches!(renewals.turn(id(5), at(1)), Turn::Done(_)));
        assert!(matches!(renewals.turn([9; 32], at(300)), Turn::Ours));
        assert_eq!(renewals.hold().known.len(), 1);

        renewals.done([9; 32], said(200, BYTES_MAX), at(301));
        assert!(matches!(renewals.turn([8; 32], at(302)), Turn::Full));
        assert!(matches!(renewals.turn([8; 32], at(700)), Turn::Ours));
        assert_eq!(renewals.hold().bytes, 0);
    }
}
