//! Tokens by which a client that comes back proves its address in its first packet (NEW_TOKEN, RFC 9000 section
//! 8.1.3). They are given out where early data is taken: a request that is handled before the handshake has ended
//! must not come from an address that somebody else only wrote down.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use quinn::{TokenLog, TokenReuseError};

/// How long a token is good. Addresses pass from one client to another, in hours rather than days.
pub(super) const LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);

/// Tokens that are remembered as used; at 32 bytes each and the tree's own they take about 1 MiB. Beyond, the oldest
/// are forgotten, and with them all that were given out before.
const USED_MAX: usize = 16 * 1024;

/// The tokens that were used, on all cores: each proves an address once. Locked for a look-up, when a client
/// brings one.
#[derive(Default)]
pub(super) struct Used(Mutex<Log>);

#[derive(Default)]
struct Log {
    used: BTreeSet<(Duration, u128)>,
    /// Nothing that was given out by then is believed. Times are since the epoch.
    forgotten: Option<Duration>,
}

impl Log {
    fn take(&mut self, issued: Duration, nonce: u128) -> Result<(), TokenReuseError> {
        let is_forgotten = self.forgotten.is_some_and(|forgotten| issued <= forgotten);
        if is_forgotten || !self.used.insert((issued, nonce)) {
            return Err(TokenReuseError);
        }
        if self.used.len() > USED_MAX
            && let Some((oldest, _)) = self.used.pop_first()
        {
            self.forgotten = Some(oldest);
        }
        Ok(())
    }
}

impl TokenLog for Used {
    fn check_and_insert(
        &self,
        nonce: u128,
        issued: SystemTime,
        _: Duration,
    ) -> Result<(), TokenReuseError> {
        let issued = issued.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| TokenReuseError)?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(issued, nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_believed_once() {
        let mut log = Log::default();
        let issued = Duration::from_secs(5);
        assert!(log.take(issued, 1).is_ok());
        assert!(log.take(issued, 2).is_ok());
        assert!(log.take(issued, 1).is_err());
    }

    #[test]
    fn what_is_forgotten_is_not_believed_again() {
        let mut log = Log::default();
        let count = USED_MAX as u64 + 1;
        for second in 1..=count {
            assert!(log.take(Duration::from_secs(second), 7).is_ok());
        }
        assert_eq!(log.used.len(), USED_MAX);
        for second in 0..=count {
            assert!(log.take(Duration::from_secs(second), 7).is_err(), "{second}");
        }
        assert!(log.take(Duration::from_secs(1), 8).is_err(), "given out before");
        assert!(log.take(Duration::from_secs(2), 8).is_ok());
    }
}
