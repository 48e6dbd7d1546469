//! Sessions of sites that take early data: those of TLS 1.3 are resumed once each, by whichever core the client comes
//! to.
//!
//! A stateless ticket can be shown again and again, and with it the early data that somebody recorded (RFC 8446
//! section 8). So here the ticket is only a name, and taking a session removes it: the first message of a client is
//! taken up once, and a copy of it begins from nothing (section 8.1). That holds for this process. After a restart
//! nothing is known, so that nothing is replayed either.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::server::StoresServerSessions;
use rustls::time_provider::TimeProvider;

use super::ticket::{REALM_BYTES, TICKET_SECONDS};

/// Sessions that are kept, taken ones included; then the oldest go. At about 500 bytes each they take 8 MiB, and only
/// where a site takes early data.
const SESSIONS_MAX: usize = 16 * 1024;

/// The most bytes of a session. Those of clients with certificates are larger, and they send no early data.
const SESSION_BYTES_MAX: usize = 1024;

type Name = Box<[u8]>;

/// All sessions of the process, kept over reloads.
pub(super) struct Sessions {
    clock: Arc<dyn TimeProvider>,
    /// Taken once or twice in a handshake, and held for a look-up.
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    sessions: HashMap<Name, Session>,
    /// Oldest first. Names of sessions that were taken stay until they come to the front.
    names: VecDeque<Name>,
}

struct Session {
    made: u64,
    value: Vec<u8>,
}

impl Session {
    fn is_good(&self, now: u64) -> bool {
        now.saturating_sub(self.made) < u64::from(TICKET_SECONDS)
    }
}

impl Sessions {
    pub(super) fn new(clock: Arc<dyn TimeProvider>) -> Arc<Self> {
        Arc::new(Self { clock, kept: Mutex::default() })
    }

    /// The sessions of one realm: no other finds them.
    pub(super) fn realm(
        self: &Arc<Self>,
        identity: [u8; REALM_BYTES],
    ) -> Arc<dyn StoresServerSessions> {
        Arc::new(Realm { sessions: Arc::clone(self), identity })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Option<u64> {
        Some(self.clock.current_time()?.as_secs())
    }
}

impl Kept {
    fn put(&mut self, name: Name, session: Session) {
        while self.names.len() >= SESSIONS_MAX
            && let Some(oldest) = self.names.pop_front()
        {
            self.sessions.remove(&oldest);
        }
        self.names.push_back(name.clone());
        self.sessions.insert(name, session);
    }
}

/// The sessions of one listener's settings.
struct Realm {
    sessions: Arc<Sessions>,
    identity: [u8; REALM_BYTES],
}

impl Realm {
    fn name(&self, key: &[u8]) -> Name {
        [&self.identity, key].concat().into()
    }
}

impl fmt::Debug for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Realm").finish_non_exhaustive()
    }
}

impl StoresServerSessions for Realm {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let Some(made) = self.sessions.now().filter(|_| value.len() <= SESSION_BYTES_MAX) else {
            return false;
        };
        self.sessions.kept().put(self.name(&key), Session { made, value });
        true
    }

    /// TLS 1.2 looks a session up and leaves it there: it has no early data that could come again. rustls passes over a
    /// session of TLS 1.3 that is named so, as its cipher suite is none of TLS 1.2.
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let now = self.sessions.now()?;
        let kept = self.sessions.kept();
        let session = kept.sessions.get(&self.name(key))?;
        session.is_good(now).then(|| session.value.clone())
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let now = self.sessions.now()?;
        let session = self.sessions.kept().sessions.remove(&self.name(key))?;
        session.is_good(now).then_some(session.value)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use rustls_pki_types::UnixTime;

    use super::*;

    #[derive(Debug, Default)]
    struct Hand(AtomicU64);

    impl TimeProvider for Hand {
        fn current_time(&self) -> Option<UnixTime> {
            Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed))))
        }
    }

    #[test]
    fn a_session_is_taken_once_and_in_its_realm_only() {
        let sessions = Sessions::new(Arc::new(Hand::default()));
        let (one, other) = (sessions.realm([1; REALM_BYTES]), sessions.realm([2; REALM_BYTES]));
        assert!(one.put(vec![7], vec![70]));
        assert_eq!(other.take(&[7]), None, "another realm");
        assert_eq!(sessions.realm([1; REALM_BYTES]).take(&[7]), Some(vec![70]), "after a reload");
        assert_eq!(one.take(&[7]), None, "a second time");
    }

    #[test]
    fn old_sessions_are_not_resumed() {
        let hand = Arc::new(Hand::default());
        let realm = Sessions::new(Arc::clone(&hand) as Arc<dyn TimeProvider>).realm([1; 32]);
        realm.put(vec![1], vec![10]);
        realm.put(vec![2], vec![20]);
        assert_eq!(realm.get(&[1]), Some(vec![10]), "TLS 1.2 leaves it there");
        hand.0.store(u64::from(TICKET_SECONDS) - 1, Ordering::Relaxed);
        assert_eq!(realm.take(&[1]), Some(vec![10]));
        hand.0.store(u64::from(TICKET_SECONDS), Ordering::Relaxed);
        assert_eq!(realm.get(&[2]), None);
        assert_eq!(realm.take(&[2]), None);
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let sessions = Sessions::new(Arc::new(Hand::default()));
        let realm = sessions.realm([1; REALM_BYTES]);
        let key = |n: usize| n.to_be_bytes().to_vec();
        for n in 0..=SESSIONS_MAX {
            realm.put(key(n), vec![1]);
            // Taken ones must not pile up either.
            if n % 2 == 1 {
                assert!(realm.take(&key(n)).is_some());
            }
        }
        assert_eq!(realm.take(&key(0)), None, "the oldest");
        assert!(realm.take(&key(2)).is_some(), "the next");
        assert_eq!(sessions.kept().names.len(), SESSIONS_MAX);
        assert!(!realm.put(key(1), vec![0; SESSION_BYTES_MAX + 1]), "too large");
    }
}
