//! Who somebody is. All gates of a route are alternatives: who satisfies one of them passes.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use doorman_auth::basic::{Basic, Verified};
use doorman_auth::jwt::{Cache, Keys, Place, Verifier};
use doorman_auth::key::ApiKey;
use doorman_auth::{Challenge, Identity, Outcome, Refusal};
use doorman_limit::{Entered, Places, PlacesBounds};
use doorman_net::{Clock, within_deadline};

use super::Marks;
use super::sign_in::{Asked, PlanSignIn};
use crate::exchange::Exchange;
use crate::remote_keys::RemoteKeys;
use crate::stop::{Fault, Stop};

/// Who is asked who somebody is.
pub(crate) enum PlanIdentity {
    /// A name and a password.
    Basic(Arc<Basic>, Arc<PasswordDesk>),
    /// A key.
    Key(ApiKey),
    /// A token.
    Token(PlanToken),
    /// A session of somebody who signed in.
    SignIn(Box<PlanSignIn>),
}

/// A gate of identity, and what it tells the origin.
pub(crate) struct PlanGate {
    pub(crate) identity: PlanIdentity,
    /// The field that tells the user's name.
    pub(crate) name_field: Option<Box<str>>,
    /// Claims, and the fields that tell them.
    pub(crate) claim_fields: Vec<(Box<str>, Box<str>)>,
}

/// How tokens are checked.
pub(crate) struct PlanToken {
    pub(crate) verifier: Verifier,
    pub(crate) places: Vec<Place>,
    pub(crate) keys: Arc<TokenKeys>,
    pub(crate) challenge: Challenge,
    /// Whether the origin does not see the token.
    pub(crate) strip: bool,
}

/// Where keys of tokens come from.
pub(crate) enum KeysFrom {
    /// A file or a secret.
    Here(Keys),
    /// Their issuer.
    Remote(Arc<RemoteKeys>),
}

/// Keys of tokens, which all cores share.
pub(crate) struct TokenKeys {
    pub(crate) from: KeysFrom,
    /// Chance that makes what is remembered of tokens unguessable.
    pub(crate) chance: [u64; 2],
}

/// Where passwords are hashed, and what is known of them.
pub(crate) struct PasswordDesk {
    pub(crate) verified: Arc<Verified>,
    /// So many at once, and so many more that wait.
    pub(crate) places: Arc<Places>,
}

/// Passwords that are hashed at once: each takes a core and its memory for tens of milliseconds.
const HASHED_AT_ONCE: u32 = 2;
/// Those that wait for their turn.
const HASHES_QUEUED: u32 = 64;
/// How long they wait.
const HASH_WAIT: Duration = Duration::from_secs(10);
/// Tokens that a core remembers for one gate.
const TOKENS: usize = 4_096;

/// What one core remembers of tokens, by what they are checked with.
#[derive(Default)]
pub(crate) struct Tokens(RefCell<Vec<Remembered>>);

struct Remembered {
    keys: Arc<TokenKeys>,
    /// Keys of an issuer as this core saw them last.
    snapshot: Option<Keys>,
    cache: Cache,
}

impl Tokens {
    fn check(&self, gate: &PlanToken, token: &[u8], now: doorman_http::Now) -> Outcome {
        let mut all = self.0.borrow_mut();
        let at = all.iter().position(|known| Arc::ptr_eq(&known.keys, &gate.keys));
        let at = at.unwrap_or_else(|| {
            // What no plan holds any more is forgotten.
            all.retain(|known| Arc::strong_count(&known.keys) > 1);
            let (keys, cache) = (Arc::clone(&gate.keys), Cache::new(TOKENS, gate.keys.chance));
            all.push(Remembered { keys, snapshot: None, cache });
            all.len() - 1
        });
        let Remembered { snapshot, cache, .. } = &mut all[at];
        let keys = match &gate.keys.from {
            KeysFrom::Here(keys) => Some(keys),
            KeysFrom::Remote(remote) => {
                remote.refresh(snapshot, now.instant);
                snapshot.as_ref()
            }
        };
        gate.verifier.check(token, keys, cache, now)
    }
}

/// Finds out who asks.
pub(super) async fn check(
    gates: &[PlanGate],
    tokens: &Tokens,
    clock: Clock,
    dice: &mut impl FnMut() -> u64,
    exchange: &mut Exchange,
) -> Result<(), Stop> {
    // There is one at most, and it is the last that is asked: a browser is sent to sign in if nobody knows it.
    let sign_in = gates.iter().find_map(PlanGate::sign_in);
    if let Some(sign_in) = sign_in.filter(|sign_in| sign_in.is_own(&exchange.head)) {
        let stop = sign_in.own(clock, dice, exchange).await;
        if let Stop::Fault(fault) = &stop {
            exchange.record().auth_failed = fault.is_auth_failure();
        }
        return Err(stop);
    }
    let mut refused = Refusal::NoCredentials;
    let mut nobody = None;
    for gate in gates {
        let asked = match &gate.identity {
            PlanIdentity::SignIn(sign_in) => match sign_in.ask(clock, dice, exchange).await {
                Asked::Known(identity) => {
                    exchange.marks().is_personal = true;
                    Ok(identity)
                }
                Asked::Refuse(refusal) => Err(refusal),
                other => {
                    nobody = Some(other);
                    Err(Refusal::NoCredentials)
                }
            },
            _ => gate.ask(tokens, clock, exchange).await,
        };
        match asked {
            Ok(identity) => {
                if let Some(sign_in) = sign_in {
                    sign_in.take_cookies_off(exchange);
                    exchange.is_optional = sign_in.allows_nobody;
                }
                gate.tell(&identity, exchange);
                exchange.record().user = Some(identity.user.clone());
                exchange.identity = Some(identity);
                return Ok(());
            }
            // What was shown and does not hold says more than that something was not shown.
            Err(refusal) if refused == Refusal::NoCredentials => refused = refusal,
            Err(_) => {}
        }
    }
    if let (Some(sign_in), Refusal::NoCredentials) = (sign_in, refused) {
        match nobody {
            Some(Asked::SignIn) => return Err(sign_in.send(clock, dice, exchange).await),
            Some(Asked::Nobody) => {
                sign_in.take_cookies_off(exchange);
                return Ok(());
            }
            _ => {}
        }
    }
    exchange.record().auth_failed = refused.is_auth_failure();
    let marks = exchange.marks();
    gates.iter().for_each(|gate| gate.challenge(refused, marks));
    Err(Fault::Unauthorized(refused).into())
}

impl PlanGate {
    /// The gate as one where users sign in, if it is.
    pub(crate) fn sign_in(&self) -> Option<&PlanSignIn> {
        match &self.identity {
            PlanIdentity::SignIn(sign_in) => Some(sign_in),
            _ => None,
        }
    }

    async fn ask(
        &self,
        tokens: &Tokens,
        clock: Clock,
        exchange: &mut Exchange,
    ) -> Result<Arc<Identity>, Refusal> {
        let now = exchange.started();
        let outcome = match &self.identity {
            PlanIdentity::Basic(basic, desk) => {
                match basic.check(&exchange.head.fields, &desk.verified, now.instant) {
                    Outcome::Work(job) => {
                        let done = desk.hash(job, clock).await?;
                        basic.finish(&done, &desk.verified, clock.instant())
                    }
                    known => known,
                }
            }
            PlanIdentity::Key(gate) => {
                let found = gate.check(&exchange.head.fields, exchange.head.query());
                if let Some(query) = exchange.head.query().and_then(|all| gate.without_key(all)) {
                    // A query without one of its parts is a query.
                    let _ = exchange.head.rewrite_query(Some(&query));
                }
                found
            }
            PlanIdentity::Token(gate) => gate.ask(tokens, clock, exchange).await,
            // It is asked where it may answer, too.
            PlanIdentity::SignIn(_) => Outcome::Refuse(Refusal::NoCredentials),
        };
        match outcome {
            Outcome::Pass(identity) => Ok(identity),
            Outcome::Refuse(refusal) => Err(refusal),
            Outcome::Ask(_) => Err(Refusal::UnknownKey),
            Outcome::Work(_) => Err(Refusal::Busy),
        }
    }

    /// Tells the origin who asks. What the client said of that itself is gone already.
    fn tell(&self, identity: &Identity, exchange: &mut Exchange) {
        let fields = &mut exchange.head.fields;
        if let Some(name) = &self.name_field {
            let _ = fields.set(name.as_bytes(), identity.user.as_bytes());
        }
        for (claim, field) in &self.claim_fields {
            if let Some(value) = identity.claim(claim) {
                let _ = fields.set(field.as_bytes(), value.as_bytes());
            }
        }
    }

    /// What a refused client is asked for.
    fn challenge(&self, refusal: Refusal, marks: &mut Marks) {
        let challenge = match &self.identity {
            PlanIdentity::Basic(basic, _) => basic.challenge(),
            PlanIdentity::Key(gate) => gate.challenge(),
            PlanIdentity::Token(gate) => &gate.challenge,
            PlanIdentity::SignIn(gate) => &gate.challenge,
        };
        if let Some(value) = refusal.challenge(challenge) {
            marks.field(b"www-authenticate", value);
        }
    }
}

impl PlanToken {
    async fn ask(&self, tokens: &Tokens, clock: Clock, exchange: &mut Exchange) -> Outcome {
        let mut refused = Refusal::NoCredentials;
        for place in &self.places {
            match place.token(&exchange.head) {
                Ok(token) => {
                    let seen = self.keys.generation();
                    let mut outcome = tokens.check(self, token, exchange.started());
                    if let Some(remote) = self.keys.lacks(&outcome)
                        // Seldom, so that it makes no other request larger.
                        && Box::pin(remote.others(seen, clock)).await
                    {
                        outcome = tokens.check(self, token, clock.now());
                    }
                    if self.strip
                        && let Place::Field { name, .. } = place
                    {
                        exchange.head.fields.remove(name);
                    }
                    return outcome;
                }
                Err(refusal) if refused == Refusal::NoCredentials => refused = refusal,
                Err(_) => {}
            }
        }
        Outcome::Refuse(refused)
    }
}

impl TokenKeys {
    /// The number of keys that are fetched; 0: there are none.
    fn generation(&self) -> u64 {
        match &self.from {
            KeysFrom::Here(_) => 0,
            KeysFrom::Remote(remote) => remote.generation(),
        }
    }

    /// Where others could be had, if what there is says nothing of a token.
    fn lacks(&self, outcome: &Outcome) -> Option<&RemoteKeys> {
        let is_lacking = matches!(outcome, Outcome::Ask(_) | Outcome::Refuse(Refusal::Unavailable));
        match &self.from {
            KeysFrom::Remote(remote) if is_lacking => Some(remote),
            _ => None,
        }
    }
}

impl PasswordDesk {
    /// Hashes a password where no request waits for it. So many at once are hashed and so many more wait: guessing
    /// passwords takes no more of the machine than that.
    async fn hash(
        &self,
        job: doorman_auth::basic::Job,
        clock: Clock,
    ) -> Result<doorman_auth::basic::Done, Refusal> {
        let bounds = PlacesBounds { places: HASHED_AT_ONCE, queue: HASHES_QUEUED };
        let place = match self.places.enter(bounds) {
            Entered::Place(place) => place,
            Entered::Full => return Err(Refusal::Busy),
            Entered::Wait(mut waiting) => {
                let called = std::future::poll_fn(|cx| waiting.poll_place(cx));
                within_deadline(clock, HASH_WAIT, called).await.ok_or(Refusal::Busy)?
            }
        };
        let hashed = tokio::task::spawn_blocking(move || {
            let done = job.run();
            // Held until it is hashed, even if nobody waits for it any more.
            drop(place);
            done
        });
        hashed.await.map_err(|_| Refusal::Busy)
    }
}
