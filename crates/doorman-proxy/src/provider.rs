//! OpenID providers: what each says of itself, for all cores and plans that name it, and sessions that are renewed.
//!
//! What shaped it: who is signed in needs no provider, since sessions are kept by browsers. So a provider that is down
//! keeps out those who want to sign in, and nobody else. Requests never fetch what it says of itself; whoever runs
//! errands does, and a request that comes before it is there rings and waits a moment.
//!
//! A renewal is done once, by the first request that wants it, and by a task of its own: a browser that leaves must
//! not take with it what came for a refresh token that is spent.

mod renewals;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use doorman_auth::jwt::{Algorithms, REFRESH as KEYS_REFRESH};
use doorman_auth::oidc::{
    ANSWER_BYTES_MAX, DISCOVERY_BYTES_MAX, Provider, TokenAnswer, TokenRequest, discovery_url,
};
use doorman_http::Instant;
use doorman_net::tls::ClientTls;
use doorman_net::{Clock, within_deadline};
use tokio::sync::Notify;

use crate::errand::{Errand, ErrandError, ErrandMethod, Errands};
use crate::remote_keys::{KeyRing, RemoteKeys};
pub(crate) use renewals::{Renewals, Turn};

/// How often a provider is asked what it says of itself.
const REFRESH: Duration = Duration::from_secs(3600);
/// Wait after the first time that it could not be asked; it doubles with each more, up to [`BACKOFF_MAX`].
const BACKOFF: Duration = Duration::from_secs(1);
/// Longest wait after that.
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// Least time between two fetches that requests ask for: whoever wants to sign in gets no more out of us.
const WANTED_EVERY: Duration = Duration::from_secs(2);
/// How long one question may take.
const ASK: Duration = Duration::from_secs(10);
/// Longest time that one fetch is waited for before another one may begin.
const FETCH_MAX: Duration = Duration::from_secs(30);
const _: () = assert!(ASK.as_nanos() < FETCH_MAX.as_nanos(), "one at a time");
/// How long a request waits for what a provider says of itself.
const WAIT: Duration = Duration::from_secs(5);
/// Requests that wait for one provider.
const WAITING_MAX: usize = 256;

/// All providers, by what they call themselves.
#[derive(Default)]
pub struct ProviderRing {
    known: Mutex<HashMap<ProviderName, Weak<RemoteProvider>>>,
    /// Rung when something may be due earlier than it was.
    bell: Arc<Notify>,
}

/// What makes two providers one: how they call themselves, and where the TLS lies by which they are believed.
type ProviderName = (Box<str>, Option<usize>);

/// A provider.
pub struct RemoteProvider {
    issuer: Box<str>,
    tls: Option<Arc<ClientTls>>,
    state: Mutex<State>,
    /// Told when a fetch has come to an end.
    ended: Notify,
    bell: Arc<Notify>,
    waiting: AtomicUsize,
    fetched: AtomicU64,
    failed: AtomicU64,
    pub(crate) renewals: Arc<Renewals>,
    counts: [AtomicU64; SignIn::ALL.len()],
}

#[derive(Default)]
struct State {
    known: Option<Known>,
    due: Instant,
    wanted_from: Instant,
    /// Since when a fetch is under way.
    fetching: Option<Instant>,
    failures: u32,
    /// Why the last fetch failed, by kind and in words.
    trouble: Option<(&'static str, String)>,
}

/// What a provider says of itself, and its keys.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) provider: Arc<Provider>,
    pub(crate) keys: Arc<RemoteKeys>,
}

/// What is to be said about a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderNews {
    /// It is there, for the first time or after trouble.
    Come(String),
    /// Trouble of a kind that the fetch before did not have.
    Trouble(String),
    /// It went as the one before.
    Same,
}

/// What happens to sessions: a closed set of words, the same in metrics and docs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignIn {
    /// A browser was sent to sign in.
    Sent,
    /// One came back, and somebody is signed in.
    SignedIn,
    /// One came back, and nobody is.
    Failed,
    /// A session was renewed.
    Renewed,
    /// It could not be: the provider cannot be asked.
    Postponed,
    /// The provider ended it.
    Ended,
    /// Somebody signed out.
    SignedOut,
}

impl SignIn {
    /// Every word, in the order of the docs.
    pub const ALL: [Self; 7] = [
        Self::Sent,
        Self::SignedIn,
        Self::Failed,
        Self::Renewed,
        Self::Postponed,
        Self::Ended,
        Self::SignedOut,
    ];

    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::SignedIn => "signed-in",
            Self::Failed => "failed",
            Self::Renewed => "renewed",
            Self::Postponed => "postponed",
            Self::Ended => "ended",
            Self::SignedOut => "signed-out",
        }
    }
}

/// How a provider is, for whoever looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderSeen {
    /// What it calls itself.
    pub issuer: Box<str>,
    /// Whether it is known what it says of itself.
    pub is_known: bool,
    /// Times that it was asked for that and said it.
    pub fetched: u64,
    /// Times that it did not.
    pub failed: u64,
    /// Why the last one did not.
    pub trouble: Option<String>,
    /// How often each of [`SignIn::ALL`] happened.
    pub sign_ins: [u64; SignIn::ALL.len()],
}

impl ProviderRing {
    /// The provider that calls itself so, the same for everybody who names it, as long as one holds it. `tls` is whose
    /// certificates are believed; `None`: the authorities of the web.
    pub fn get(&self, issuer: &str, tls: Option<&Arc<ClientTls>>) -> Arc<RemoteProvider> {
        // Held by whom the name stands for, so nothing else can come to lie there meanwhile.
        let name = (issuer.into(), tls.map(|tls| Arc::as_ptr(tls).addr()));
        let mut known = lock(&self.known);
        if let Some(provider) = known.get(&name).and_then(Weak::upgrade) {
            return provider;
        }
        known.retain(|_, provider| provider.strong_count() > 0);
        let provider = Arc::new(RemoteProvider {
            issuer: issuer.into(),
            tls: tls.cloned(),
            state: Mutex::default(),
            ended: Notify::new(),
            bell: Arc::clone(&self.bell),
            waiting: AtomicUsize::new(0),
            fetched: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            renewals: Arc::default(),
            counts: [const { AtomicU64::new(0) }; SignIn::ALL.len()],
        });
        known.insert(name, Arc::downgrade(&provider));
        drop(known);
        self.bell.notify_one();
        provider
    }

    /// Begins all fetches that are due, which whoever calls runs by [`RemoteProvider::fetch`]; and when to look again,
    /// if nobody rings before.
    pub fn due(&self, now: Instant) -> (Vec<Arc<RemoteProvider>>, Option<Instant>) {
        let all: Vec<_> = lock(&self.known).values().filter_map(Weak::upgrade).collect();
        let begin = |provider: &Arc<RemoteProvider>| {
            let mut state = lock(&provider.state);
            let is_due = state.due() <= now;
            if is_due {
                state.fetching = Some(now);
                state.wanted_from = now + WANTED_EVERY;
            }
            is_due
        };
        let begun = all.iter().filter(|provider| begin(provider)).cloned().collect();
        (begun, all.iter().map(|provider| lock(&provider.state).due()).min())
    }

    /// Comes when something may be due earlier than [`ProviderRing::due`] said.
    pub async fn rings(&self) {
        self.bell.notified().await;
    }
}

impl State {
    fn due(&self) -> Instant {
        self.fetching.map_or(self.due, |since| self.due.max(since + FETCH_MAX))
    }
}

impl RemoteProvider {
    /// What it calls itself.
    #[must_use]
    pub const fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Asks it once what it says of itself; [`ProviderRing::due`] has said so.
    pub async fn fetch(&self, errands: &Errands, keys: &KeyRing, clock: Clock) -> ProviderNews {
        let come = self.ask(errands).await;
        let news = self.settle(come, keys, clock.instant());
        self.ended.notify_waiters();
        news
    }

    async fn ask(&self, errands: &Errands) -> Result<Provider, (&'static str, String)> {
        let Some(url) = discovery_url(&self.issuer) else {
            return Err(("issuer", "this is no URL of a provider".to_owned()));
        };
        let errand = Errand {
            method: ErrandMethod::Get,
            url: url.into(),
            fields: vec![("accept", "application/json".to_owned())],
            body: String::new(),
            most: DISCOVERY_BYTES_MAX,
            within: ASK,
            tls: self.tls.clone(),
        };
        match errands.ask(errand).await {
            Ok(answer) if answer.status == 200 => Provider::read(&answer.body, &self.issuer)
                .map_err(|error| ("document", error.to_string())),
            Ok(answer) if (300..400).contains(&answer.status) => {
                let text =
                    "it redirects, which is not followed: write the issuer as it is in tokens";
                Err(("redirect", text.to_owned()))
            }
            Ok(answer) => Err(("status", format!("it answers with status {}", answer.status))),
            Err(error) => Err((error.word(), error.to_string())),
        }
    }

    /// Takes over what a fetch brought.
    fn settle(
        &self,
        come: Result<Provider, (&'static str, String)>,
        keys: &KeyRing,
        now: Instant,
    ) -> ProviderNews {
        let (issuer, tls) = (&self.issuer, self.tls.as_ref());
        let mut state = lock(&self.state);
        state.fetching = None;
        match come {
            Ok(provider) => {
                self.fetched.fetch_add(1, Ordering::Relaxed);
                let keys = keys.get(&provider.jwks_uri, Algorithms::PUBLIC, KEYS_REFRESH, tls, now);
                let is_first = state.known.is_none();
                state.known = Some(Known { provider: Arc::new(provider), keys });
                (state.failures, state.due) = (0, now + REFRESH);
                match state.trouble.take() {
                    None if !is_first => ProviderNews::Same,
                    _ => ProviderNews::Come(format!("users can sign in at {issuer}")),
                }
            }
            Err((kind, why)) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                let wait = BACKOFF.saturating_mul(1 << state.failures.min(16)).min(BACKOFF_MAX);
                state.failures = state.failures.saturating_add(1);
                state.due = now + wait;
                let is_new = state.trouble.as_ref().is_none_or(|(known, _)| *known != kind);
                let meanwhile = if state.known.is_some() {
                    "what it said before stays in use"
                } else {
                    "nobody can sign in there; sessions go on"
                };
                let news = format!("OpenID provider {issuer}: {why}; {meanwhile}");
                state.trouble = Some((kind, why));
                if is_new { ProviderNews::Trouble(news) } else { ProviderNews::Same }
            }
        }
    }

    /// What it said of itself, if it did.
    pub(crate) fn known(&self) -> Option<Known> {
        lock(&self.state).known.clone()
    }

    /// The same; where it did not, this has it asked and waits a moment.
    pub(crate) async fn known_soon(&self, clock: Clock) -> Option<Known> {
        let mut ended = pin!(self.ended.notified());
        // Before anything is looked at: what ends in between is heard.
        ended.as_mut().enable();
        let now = clock.instant();
        {
            let mut state = lock(&self.state);
            if state.known.is_some() {
                return state.known.clone();
            }
            if state.due() > now && state.fetching.is_none() {
                if now < state.wanted_from {
                    return None;
                }
                state.due = now;
                self.bell.notify_one();
            }
        }
        let _place = Waiting::enter(&self.waiting)?;
        let _ = within_deadline(clock, WAIT, ended).await;
        self.known()
    }

    /// Puts a question to its token endpoint.
    pub(crate) async fn tokens(&self, errands: &Errands, request: TokenRequest) -> Said {
        let TokenRequest { url, authorization, body } = request;
        let mut fields = vec![("accept", "application/json".to_owned())];
        fields.extend(authorization.map(|value| ("authorization", value)));
        let errand = Errand {
            method: ErrandMethod::PostForm,
            url,
            fields,
            body,
            most: ANSWER_BYTES_MAX,
            within: ASK,
            tls: self.tls.clone(),
        };
        match errands.ask(errand).await {
            Ok(answer) => Said { status: answer.status, body: answer.body, trouble: None },
            Err(error) => Said { status: 0, body: Vec::new(), trouble: Some(error) },
        }
    }

    /// Counts what happened.
    pub(crate) fn count(&self, what: SignIn) {
        self.counts[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How it is.
    #[must_use]
    pub fn seen(&self) -> ProviderSeen {
        let state = lock(&self.state);
        ProviderSeen {
            issuer: self.issuer.clone(),
            is_known: state.known.is_some(),
            fetched: self.fetched.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            trouble: state.trouble.as_ref().map(|(_, why)| why.clone()),
            sign_ins: std::array::from_fn(|at| self.counts[at].load(Ordering::Relaxed)),
        }
    }
}

/// What a token endpoint said.
#[derive(Debug)]
pub(crate) struct Said {
    /// 0: nothing.
    status: u16,
    body: Vec<u8>,
    /// Why it said nothing.
    trouble: Option<ErrandError>,
}

impl Said {
    pub(crate) fn answer(&self) -> TokenAnswer<'_> {
        TokenAnswer { status: self.status, body: &self.body }
    }

    /// What is wrong with it as far as people who run the house are concerned.
    pub(crate) fn trouble(&self) -> Option<String> {
        match (&self.trouble, self.status) {
            (Some(error), _) => Some(format!("the provider's token endpoint: {error}")),
            (None, 200 | 400) => None,
            (None, 401) => Some(
                "the provider does not know this client: look at client-id and client-secret"
                    .to_owned(),
            ),
            (None, status) => {
                Some(format!("the provider's token endpoint answers with status {status}"))
            }
        }
    }

    /// Bytes that it holds.
    const fn bytes(&self) -> usize {
        self.body.len()
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing of others runs under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
