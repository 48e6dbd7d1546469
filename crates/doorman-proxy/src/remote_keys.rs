//! Keys of issuers that are fetched: one source for all cores and plans that name the same.
//!
//! What shaped it: a request never fetches. It uses the keys that are there, of which its core has a snapshot, and only
//! one that shows a key nobody knows, or comes before any are there, rings and waits a moment. When to fetch, and how
//! long keys are believed, is settled by [`KeySource`]; whoever runs errands fetches what is due.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use doorman_auth::jwt::{
    Algorithms, FETCH_MAX, JWKS_BYTES_MAX, KEEP, KeySet, KeySource, Keys, Standing,
};
use doorman_http::Instant;
use doorman_net::tls::ClientTls;
use doorman_net::{Clock, within_deadline};
use tokio::sync::Notify;

use crate::errand::{Errand, ErrandError, ErrandMethod, Errands};

/// How long one fetch may take: less than [`FETCH_MAX`], behind which another one begins.
const FETCH: Duration = Duration::from_secs(10);
const _: () = assert!(FETCH.as_nanos() < FETCH_MAX.as_nanos(), "one at a time");
/// How long a request waits for keys.
const WAIT: Duration = Duration::from_secs(3);
/// Requests that wait for the keys of one issuer: anybody can show a token with a key that nobody knows.
const WAITING_MAX: usize = 256;

/// All sources of keys, by what they are.
#[derive(Default)]
pub struct KeyRing {
    known: Mutex<HashMap<SourceName, Weak<RemoteKeys>>>,
    /// Rung when something may be due earlier than it was.
    bell: Arc<Notify>,
}

/// What makes two sources one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct SourceName {
    url: Box<str>,
    algorithms: Algorithms,
    /// Where its TLS lies: whoever believes other authorities asks for himself.
    tls: Option<usize>,
    refresh: Duration,
}

/// The keys of one issuer.
pub struct RemoteKeys {
    url: Box<str>,
    algorithms: Algorithms,
    tls: Option<Arc<ClientTls>>,
    source: Mutex<Source>,
    /// That of the keys that are there; 0: there are none. Moves when others have come.
    generation: AtomicU64,
    /// Told when a fetch has come to an end.
    ended: Notify,
    bell: Arc<Notify>,
    waiting: AtomicUsize,
    fetched: AtomicU64,
    failed: AtomicU64,
}

struct Source {
    times: KeySource,
    /// Why the last fetch failed, by kind and in words.
    trouble: Option<(&'static str, String)>,
}

/// What is to be said about a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyNews {
    /// Keys have come, for the first time or after trouble.
    Come(String),
    /// Trouble of a kind that the fetch before did not have.
    Trouble(String),
    /// It went as the one before.
    Same,
}

/// How keys are, for whoever looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysSeen {
    /// From where they are fetched, without a query, which may hold a secret.
    pub url: Box<str>,
    /// How they are.
    pub standing: Standing,
    /// How many there are.
    pub keys: usize,
    /// Time since they were fetched; `None`: there are none.
    pub age: Option<Duration>,
    /// Time until they are fetched again.
    pub due: Duration,
    /// Fetches that brought keys.
    pub fetched: u64,
    /// Fetches that did not.
    pub failed: u64,
    /// Why the last one did not.
    pub trouble: Option<String>,
}

impl KeyRing {
    /// The keys that a URL gives for these algorithms, the same for everybody who asks for the same, as long as one
    /// holds them. `tls` is whose certificates are believed; `None`: the authorities of the web.
    pub fn get(
        &self,
        url: &str,
        algorithms: Algorithms,
        refresh: Duration,
        tls: Option<&Arc<ClientTls>>,
        now: Instant,
    ) -> Arc<RemoteKeys> {
        let name = SourceName {
            url: url.into(),
            algorithms,
            // Held by whom the name stands for, so nothing else can come to lie there meanwhile.
            tls: tls.map(|tls| Arc::as_ptr(tls).addr()),
            refresh,
        };
        let mut known = lock(&self.known);
        if let Some(keys) = known.get(&name).and_then(Weak::upgrade) {
            return keys;
        }
        known.retain(|_, keys| keys.strong_count() > 0);
        // One that only the pace tells from this one has keys already.
        let sibling = known.iter().find_map(|(other, keys)| {
            let is_one = SourceName { refresh, ..other.clone() } == name;
            is_one.then(|| keys.upgrade()).flatten()
        });
        let times = sibling.map_or_else(
            || KeySource::new(refresh, KEEP, 0, now),
            |sibling| lock(&sibling.source).times.paced(refresh, KEEP, now),
        );
        let keys = Arc::new(RemoteKeys {
            url: url.into(),
            algorithms,
            tls: tls.cloned(),
            generation: AtomicU64::new(times.keys(now).map_or(0, |keys| keys.generation)),
            source: Mutex::new(Source { times, trouble: None }),
            ended: Notify::new(),
            bell: Arc::clone(&self.bell),
            waiting: AtomicUsize::new(0),
            fetched: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        });
        known.insert(name, Arc::downgrade(&keys));
        drop(known);
        self.bell.notify_one();
        keys
    }

    /// Begins all fetches that are due, which whoever calls runs by [`RemoteKeys::fetch`]; and when to look again, if
    /// nobody rings before.
    pub fn due(&self, now: Instant) -> (Vec<Arc<RemoteKeys>>, Option<Instant>) {
        let all: Vec<_> = lock(&self.known).values().filter_map(Weak::upgrade).collect();
        let due = |keys: &Arc<RemoteKeys>| {
            let mut source = lock(&keys.source);
            let is_due = source.times.due() <= now;
            if is_due {
                source.times.begin(now);
            }
            is_due
        };
        let (begun, _) = all.iter().cloned().partition::<Vec<_>, _>(due);
        let next = all.iter().map(|keys| lock(&keys.source).times.due()).min();
        (begun, next)
    }

    /// How all keys are that somebody holds, in the order of their URLs.
    #[must_use]
    pub fn seen(&self, now: Instant) -> Vec<KeysSeen> {
        let mut all: Vec<_> = lock(&self.known)
            .iter()
            .filter_map(|(name, keys)| Some((name.clone(), keys.upgrade()?)))
            .collect();
        all.sort_by_cached_key(|(name, _)| {
            (name.url.clone(), name.refresh, format!("{:?}", name.algorithms))
        });
        all.iter().map(|(_, keys)| keys.seen(now)).collect()
    }

    /// Comes when something may be due earlier than [`KeyRing::due`] said.
    pub async fn rings(&self) {
        self.bell.notified().await;
    }
}

impl RemoteKeys {
    /// Fetches them once; [`KeyRing::due`] has said so.
    pub async fn fetch(&self, errands: &Errands, clock: Clock) -> KeyNews {
        let errand = Errand {
            method: ErrandMethod::Get,
            url: self.url.clone(),
            fields: vec![("accept", "application/jwk-set+json, application/json".to_owned())],
            body: String::new(),
            most: JWKS_BYTES_MAX,
            within: FETCH,
            tls: self.tls.clone(),
        };
        let come = match errands.ask(errand).await {
            Ok(answer) if answer.status == 200 => KeySet::read(&answer.body, self.algorithms)
                .map(|set| (set, answer.max_age))
                .map_err(|error| ("not-a-set", error.to_string())),
            Ok(answer) if (300..400).contains(&answer.status) => {
                let text = "it redirects, which is not followed: write the URL that it leads to";
                Err(("redirect", text.to_owned()))
            }
            Ok(answer) => Err(("status", format!("it answers with status {}", answer.status))),
            Err(error @ ErrandError::TooLong) => {
                Err((error.word(), format!("the key set is longer than {JWKS_BYTES_MAX} bytes")))
            }
            Err(error) => Err((error.word(), error.to_string())),
        };
        let news = self.settle(come, clock.instant());
        self.ended.notify_waiters();
        // When the next is due is another time now.
        self.bell.notify_one();
        news
    }

    /// Takes over what a fetch brought.
    fn settle(
        &self,
        come: Result<(KeySet, Option<Duration>), (&'static str, String)>,
        now: Instant,
    ) -> KeyNews {
        let url = shown(&self.url);
        let mut source = lock(&self.source);
        match come {
            Ok((set, max_age)) => {
                self.fetched.fetch_add(1, Ordering::Relaxed);
                let count = set.len();
                let keys = source.times.fetched(set, max_age, now);
                // Behind the keys: whoever sees the number finds them.
                let before = self.generation.swap(keys.generation, Ordering::AcqRel);
                match source.trouble.take() {
                    None if before > 0 => KeyNews::Same,
                    _ => KeyNews::Come(format!(
                        "{count} key{} of {url}: fetched",
                        if count == 1 { "" } else { "s" }
                    )),
                }
            }
            Err((kind, why)) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                source.times.failed(now);
                let is_new = source.trouble.as_ref().is_none_or(|(known, _)| *known != kind);
                let meanwhile = match source.times.standing(now) {
                    Standing::None => "there are none yet, so tokens are answered by 503",
                    Standing::Over => {
                        "those that are there are too old, so tokens are answered by 503"
                    }
                    Standing::Fresh | Standing::Stale => "those that are there stay in use",
                };
                let news = format!("no keys of {url}: {why}; {meanwhile}");
                source.trouble = Some((kind, why));
                if is_new { KeyNews::Trouble(news) } else { KeyNews::Same }
            }
        }
    }

    /// The keys, if there are any that are not too old. For whoever looks seldom.
    #[must_use]
    pub fn keys(&self, now: Instant) -> Option<Keys> {
        lock(&self.source).times.keys(now).cloned()
    }

    /// The number of the keys that are there; 0: there are none.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Brings a core's snapshot up to date; it costs a look at a number unless other keys have come.
    pub(crate) fn refresh(&self, snapshot: &mut Option<Keys>, now: Instant) {
        let held = snapshot.as_ref().map_or(0, |keys| keys.generation);
        if held != self.generation() {
            *snapshot = self.keys(now);
        }
    }

    /// Waits a moment for other keys than those of this number: has them fetched if they may be now, or waits for a
    /// fetch that is under way. Whether others have come.
    pub async fn others(&self, than: u64, clock: Clock) -> bool {
        let mut ended = pin!(self.ended.notified());
        // Before anything is looked at: what ends in between is heard.
        ended.as_mut().enable();
        if self.generation() != than {
            return true;
        }
        let now = clock.instant();
        {
            let mut source = lock(&self.source);
            if !source.times.is_fetching(now) {
                if !source.times.want(now) {
                    return false;
                }
                self.bell.notify_one();
            }
        }
        let Some(_place) = Waiting::enter(&self.waiting) else { return false };
        let _ = within_deadline(clock, WAIT, ended).await;
        self.generation() != than
    }

    /// How they are.
    #[must_use]
    pub fn seen(&self, now: Instant) -> KeysSeen {
        let source = lock(&self.source);
        KeysSeen {
            url: shown(&self.url).into(),
            standing: source.times.standing(now),
            keys: source.times.keys(now).map_or(0, |keys| keys.set.len()),
            age: source.times.age(now),
            due: source.times.due().since(now),
            fetched: self.fetched.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            trouble: source.trouble.as_ref().map(|(_, why)| why.clone()),
        }
    }
}

/// A request's place among those that wait.
struct Waiting<'w>(&'w AtomicUsize);

impl<'w> Waiting<'w> {
    fn enter(waiting: &'w AtomicUsize) -> Option<Self> {
        let place = Self(waiting);
        // Given back at once where there is none.
        (waiting.fetch_add(1, Ordering::Relaxed) < WAITING_MAX).then_some(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A URL for people, without its query.
fn shown(url: &str) -> &str {
    url.split_once('?').map_or(url, |(front, _)| front)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing of others runs under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::errand::{ErrandAnswer, Job};

    const URL: &str = "https://id.test/keys?tenant=1";
    const HOUR: Duration = Duration::from_secs(3600);

    fn set(id: &str) -> String {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"{id}","x":"{x}"}}]}}"#)
    }

    struct Rig {
        clock: Clock,
        ring: KeyRing,
        errands: Errands,
    }

    fn rig() -> Rig {
        Rig { clock: Clock::simulated(0), ring: KeyRing::default(), errands: Errands::default() }
    }

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    impl Rig {
        fn keys(&self) -> Arc<RemoteKeys> {
            let now = self.clock.instant();
            self.ring.get(URL, Algorithms::PUBLIC, HOUR, None, now)
        }

        async fn advance(time: Duration) {
            tokio::time::advance(time).await;
        }

        fn due(&self) -> usize {
            self.ring.due(self.clock.instant()).0.len()
        }

        /// Fetches once; `answer` does the errand.
        fn fetch(&self, keys: &RemoteKeys, answer: impl FnOnce(Job)) -> KeyNews {
            let mut fetch = pin!(keys.fetch(&self.errands, self.clock));
            assert!(poll(fetch.as_mut()).is_pending());
            let Poll::Ready(Some(job)) = poll(pin!(self.errands.next())) else { panic!("a job") };
            assert_eq!(&*job.errand.url, URL);
            answer(job);
            match poll(fetch.as_mut()) {
                Poll::Ready(news) => news,
                Poll::Pending => panic!("it is done"),
            }
        }

        fn standing(&self, keys: &RemoteKeys) -> (Standing, usize) {
            let seen = keys.seen(self.clock.instant());
            assert_eq!(&*seen.url, "https://id.test/keys");
            (seen.standing, seen.keys)
        }
    }

    fn says(status: u16, body: &str) -> impl FnOnce(Job) {
        let body = body.as_bytes().to_vec();
        move |job| job.done(Ok(ErrandAnswer { status, content_type: None, max_age: None, body }))
    }

    #[tokio::test(start_paused = true)]
    async fn one_source_for_all_who_name_the_same() {
        let rig = rig();
        let (one, same) = (rig.keys(), rig.keys());
        assert!(Arc::ptr_eq(&one, &same));
        assert_eq!((rig.due(), rig.due()), (1, 0));
        assert!(matches!(rig.fetch(&one, says(200, &set("a"))), KeyNews::Come(_)));
        // Another pace has the keys at once, and its own fetches.
        let now = rig.clock.instant();
        let paced = rig.ring.get(URL, Algorithms::PUBLIC, 2 * HOUR, None, now);
        assert!(!Arc::ptr_eq(&one, &paced));
        assert_eq!(rig.standing(&paced), (Standing::Fresh, 1));
        assert_eq!(paced.generation(), one.generation());
        assert_eq!(rig.due(), 1);
        let other = rig.ring.get("https://b.test", Algorithms::PUBLIC, HOUR, None, now);
        assert_eq!(other.seen(now).standing, Standing::None);
        drop((one, same));
        assert_eq!(rig.keys().generation(), paced.generation());
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_is_told_once_for_each_kind_and_what_is_there_stays() {
        let rig = rig();
        let keys = rig.keys();
        assert_eq!(rig.due(), 1);
        rig.fetch(&keys, says(200, &set("a")));
        let generation = keys.generation();
        type Step = (fn(Job), &'static str);
        let steps: [Step; 7] = [
            (|job| job.done(Err(ErrandError::Timeout)), "not answered in time; those"),
            (|job| job.done(Err(ErrandError::Timeout)), ""),
            (|job| says(500, "")(job), "status 500"),
            (|job| says(503, "")(job), ""),
            (|job| says(302, "")(job), "redirects"),
            (|job| says(200, "<html>")(job), "no JSON object"),
            (|job| job.done(Err(ErrandError::TooLong)), "longer than 8388608 bytes"),
        ];
        for (answer, expect) in steps {
            match rig.fetch(&keys, answer) {
                KeyNews::Trouble(text) => {
                    assert!(!expect.is_empty() && text.contains(expect), "{text}")
                }
                other => {
                    assert!(expect.is_empty() && other == KeyNews::Same, "{expect}: {other:?}")
                }
            }
        }
        assert_eq!(rig.standing(&keys), (Standing::Stale, 1));
        assert_eq!(keys.generation(), generation);
        assert!(matches!(rig.fetch(&keys, says(200, &set("b"))), KeyNews::Come(_)));
        assert_ne!(keys.generation(), generation);
        let seen = keys.seen(rig.clock.instant());
        assert_eq!((seen.fetched, seen.failed, seen.trouble), (2, 7, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_core_sees_others_when_they_have_come_and_not_for_ever() {
        let rig = rig();
        let keys = rig.keys();
        let mut snapshot = None;
        keys.refresh(&mut snapshot, rig.clock.instant());
        assert!(snapshot.is_none());
        rig.due();
        rig.fetch(&keys, says(200, &set("a")));
        keys.refresh(&mut snapshot, rig.clock.instant());
        let until = snapshot.as_ref().map(|keys| keys.until).expect("keys");
        Rig::advance(KEEP).await;
        assert!(until <= rig.clock.instant());
        assert!(keys.keys(rig.clock.instant()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_misses_a_key_has_all_fetched_and_waits_for_it() {
        let rig = rig();
        let keys = rig.keys();
        assert_eq!(rig.due(), 1);
        // One is under way, and so many wait for it.
        let mut waiting: Vec<_> =
            (0..WAITING_MAX).map(|_| Box::pin(keys.others(0, rig.clock))).collect();
        assert!(waiting.iter_mut().all(|one| poll(one.as_mut()).is_pending()));
        assert_eq!(poll(pin!(keys.others(0, rig.clock))), Poll::Ready(false), "too many");
        rig.fetch(&keys, says(200, &set("a")));
        assert!(waiting.iter_mut().all(|one| poll(one.as_mut()) == Poll::Ready(true)));
        drop(waiting);
        assert_eq!(keys.waiting.load(Ordering::Relaxed), 0);
        // The set is new: no other fetch.
        assert_eq!(poll(pin!(keys.others(1, rig.clock))), Poll::Ready(false));
        Rig::advance(Duration::from_secs(31)).await;
        let mut waits = pin!(keys.others(1, rig.clock));
        assert!(poll(waits.as_mut()).is_pending());
        assert!(poll(pin!(rig.ring.rings())).is_ready());
        assert_eq!(rig.due(), 1);
        rig.fetch(&keys, says(500, ""));
        assert_eq!(poll(waits.as_mut()), Poll::Ready(false));
        // While fetches fail nobody waits.
        assert_eq!(poll(pin!(keys.others(1, rig.clock))), Poll::Ready(false));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_long_for_an_issuer_that_hangs() {
        let rig = rig();
        let keys = rig.keys();
        rig.due();
        let before = rig.clock.instant();
        assert!(!keys.others(0, rig.clock).await);
        let waited = rig.clock.instant().since(before);
        assert!((WAIT..WAIT + Duration::from_secs(1)).contains(&waited), "{waited:?}");
    }
}
