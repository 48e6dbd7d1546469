//! What is to be done next: which name is ordered from which authority, and when.
//!
//! The one decision that shaped it: a failure belongs either to a name or to an authority. A name that cannot be
//! proved waits alone. An authority that is down, or asks for less haste, rests for all names, and is tried with a
//! single order before the others follow; meanwhile the next authority is asked.
//!
//! ```text
//!            due          next()              obtained()
//! waiting ---------> due ---------> running -------------> waiting until the renewal
//!                     ^                |
//!                     +--- rests <-----+ failed()
//! ```

use std::collections::{BTreeMap, BTreeSet};

use doorman_net::tls::CertificateName;

use super::times::back_off;

/// Orders under way at once. Authorities take many more; what counts is that a start with hundreds of names is no
/// storm.
pub const ORDERS_MAX: usize = 8;

/// First and longest wait after a failure of a name, in seconds. Four attempts in the first hour stay below the five
/// failed validations an hour that Let's Encrypt allows.
const NAME_WAIT: (u64, u64) = (60, 6 * 3600);
/// First and longest rest of an authority that fails, in seconds.
const ISSUER_REST: (u64, u64) = (2, 3600);
/// How long a limit lasts if the authority does not say, in seconds.
const LIMIT: u64 = 3600;
/// The longest that a limit of one name holds up the others, in seconds: whether it is one for all is not said.
const LIMIT_FOR_ALL: u64 = 5 * 60;
/// The longest that an authority may put a name off, in seconds.
const WAIT_MAX: u64 = 7 * 24 * 3600;

/// Why an order failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The authority cannot be reached, or what it says is not ACME.
    Issuer {
        /// The seconds that it wants to be left alone.
        retry_after: Option<u64>,
    },
    /// Too many orders (RFC 8555 section 6.7, `rateLimited`).
    Limited {
        /// The seconds that it wants to be left alone.
        retry_after: Option<u64>,
    },
    /// The name could not be proved, or is refused.
    Name {
        /// The seconds that it wants to be left alone.
        retry_after: Option<u64>,
    },
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Order a certificate for a name from the authority of this place.
    Order(CertificateName, usize),
    /// Nothing before this time, unix seconds, or before an order ends.
    Wait(Option<u64>),
}

/// All names, and how it stands with them.
#[derive(Debug, Default)]
pub struct Agenda {
    issuers: Vec<Rest>,
    entries: BTreeMap<CertificateName, Entry>,
    running: usize,
}

/// An authority, or a name at an authority.
#[derive(Clone, Copy, Debug, Default)]
struct Rest {
    failures: u32,
    until: u64,
    /// Orders under way.
    running: usize,
}

#[derive(Debug)]
struct Entry {
    /// When a certificate is wanted: at once, or when the present one is to be renewed.
    due: u64,
    /// By authority.
    rests: Vec<Rest>,
    running: Option<usize>,
}

impl Agenda {
    /// Takes these names and so many authorities over. Names that are there keep what is known of them, unless the
    /// authorities are others than before.
    pub fn follow(&mut self, names: &[CertificateName], issuers: usize, same_issuers: bool) {
        if !same_issuers || issuers != self.issuers.len() {
            let running =
                |at: usize| self.entries.values().filter(|entry| entry.running == Some(at)).count();
            self.issuers =
                (0..issuers).map(|at| Rest { running: running(at), ..Rest::default() }).collect();
            for entry in self.entries.values_mut() {
                entry.rests = vec![Rest::default(); issuers];
            }
        }
        let wanted: BTreeSet<&CertificateName> = names.iter().collect();
        // What runs is waited for even if nobody wants it any more: its end must find it.
        self.entries.retain(|name, entry| entry.running.is_some() || wanted.contains(name));
        for name in names {
            self.entries.entry(name.clone()).or_insert_with(|| Entry {
                due: 0,
                rests: vec![Rest::default(); issuers],
                running: None,
            });
        }
    }

    /// The name has a certificate, and is to get its next one then.
    pub fn set_due(&mut self, name: &CertificateName, due: u64) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.due = due;
        }
    }

    /// Somebody wants a certificate for the name now, whatever failed before.
    pub fn hasten(&mut self, name: &CertificateName) -> bool {
        let Some(entry) = self.entries.get_mut(name) else { return false };
        entry.due = 0;
        entry.rests.fill(Rest::default());
        for issuer in &mut self.issuers {
            issuer.until = 0;
        }
        true
    }

    /// What to do at `now`. What it says to order counts as under way from then on.
    #[must_use]
    pub fn next(&mut self, now: u64) -> Next {
        if self.running >= ORDERS_MAX {
            return Next::Wait(None);
        }
        let mut best: Option<(u64, &CertificateName, usize)> = None;
        for (name, entry) in self.entries.iter().filter(|(_, entry)| entry.running.is_none()) {
            let Some((at, issuer)) = self.earliest(entry) else { continue };
            // Whoever has been due for longest goes first.
            if best.is_none_or(|(other, ..)| at < other) {
                best = Some((at, name, issuer));
            }
        }
        match best {
            Some((at, name, issuer)) if at <= now => {
                let name = name.clone();
                if let Some(entry) = self.entries.get_mut(&name) {
                    entry.running = Some(issuer);
                }
                if let Some(issuer) = self.issuers.get_mut(issuer) {
                    issuer.running += 1;
                }
                self.running += 1;
                Next::Order(name, issuer)
            }
            best => Next::Wait(best.map(|(at, ..)| at)),
        }
    }

    /// When a name could be ordered, and where: the first authority that could be asked soonest.
    fn earliest(&self, entry: &Entry) -> Option<(u64, usize)> {
        let issuers = self.issuers.iter().zip(&entry.rests).enumerate();
        issuers
            // One that failed last is tried by one order alone.
            .filter(|(_, (issuer, _))| issuer.failures == 0 || issuer.running == 0)
            .map(|(at, (issuer, own))| (entry.due.max(issuer.until).max(own.until), at))
            .min()
    }

    /// When the next attempt for a name is to come, if it is not under way.
    #[must_use]
    pub fn next_attempt(&self, name: &CertificateName) -> Option<u64> {
        let entry = self.entries.get(name).filter(|entry| entry.running.is_none())?;
        let issuers = self.issuers.iter().zip(&entry.rests);
        issuers.map(|(issuer, own)| entry.due.max(issuer.until).max(own.until)).min()
    }

    /// How often in a row a name has failed, over all authorities.
    #[must_use]
    pub fn failures(&self, name: &CertificateName) -> u32 {
        let rests = self.entries.get(name).map(|entry| entry.rests.iter());
        rests.into_iter().flatten().fold(0, |sum, rest| sum.saturating_add(rest.failures))
    }

    /// An order has brought a certificate, whose next one is due then.
    pub fn obtained(&mut self, name: &CertificateName, due: u64) {
        let Some(issuer) = self.end(name) else { return };
        if let Some(issuer) = self.issuers.get_mut(issuer) {
            issuer.failures = 0;
            issuer.until = 0;
        }
        if let Some(entry) = self.entries.get_mut(name) {
            entry.due = due;
            entry.rests.fill(Rest::default());
        }
    }

    /// An order has failed. `left` is how long the name's present certificate still lives.
    pub fn failed(
        &mut self,
        name: &CertificateName,
        failure: Failure,
        left: Option<u64>,
        now: u64,
        dice: u64,
    ) {
        let Some(at) = self.end(name) else { return };
        let Some(issuer) = self.issuers.get_mut(at) else { return };
        let own = self.entries.get_mut(name).and_then(|entry| entry.rests.get_mut(at));
        let bounded = |asked: Option<u64>, least: u64| asked.unwrap_or(0).max(least).min(WAIT_MAX);
        match failure {
            Failure::Issuer { retry_after } => {
                // Orders that were under way together fail together: that is one failure.
                let wait = if issuer.until > now {
                    0
                } else {
                    issuer.failures = issuer.failures.saturating_add(1);
                    back_off(issuer.failures, ISSUER_REST.0, ISSUER_REST.1, dice)
                };
                issuer.until = issuer.until.max(now + bounded(retry_after, wait));
            }
            Failure::Limited { retry_after } => {
                let wait = retry_after.unwrap_or(LIMIT).clamp(1, WAIT_MAX);
                issuer.failures = issuer.failures.saturating_add(1);
                issuer.until = issuer.until.max(now + wait.min(LIMIT_FOR_ALL));
                if let Some(own) = own {
                    own.failures = own.failures.saturating_add(1);
                    own.until = now + wait + dice % (wait / 8 + 1);
                }
            }
            Failure::Name { retry_after } => {
                // The authority works.
                issuer.failures = 0;
                if let Some(own) = own {
                    own.failures = own.failures.saturating_add(1);
                    // A certificate that is about to end is tried for more often.
                    let most = left.map_or(NAME_WAIT.1, |left| NAME_WAIT.1.min(left / 8));
                    let most = most.max(NAME_WAIT.0);
                    let wait = back_off(own.failures, NAME_WAIT.0, most, dice);
                    own.until = now + bounded(retry_after, wait);
                }
            }
        }
    }

    /// An order has ended without saying anything about its name or authority.
    pub fn given_up(&mut self, name: &CertificateName) {
        self.end(name);
    }

    fn end(&mut self, name: &CertificateName) -> Option<usize> {
        let at = self.entries.get_mut(name)?.running.take()?;
        self.running = self.running.saturating_sub(1);
        if let Some(issuer) = self.issuers.get_mut(at) {
            issuer.running = issuer.running.saturating_sub(1);
        }
        Some(at)
    }
}

#[cfg(test)]
mod tests;
