//! Who is signed in at an OpenID provider, and how somebody comes to be.
//!
//! Browsers keep all of it, sealed. What it costs: a request with a session has a seal opened, and nothing else waits.
//! Only signing in and renewing ask the provider, by errands.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use doorman_auth::jwt::Keys;
use doorman_auth::oidc::{
    Client, Completion, Failure, LOGIN_CHANCE_BYTES, Redirect, Renewed, SEAL_CHANCE_BYTES, Session,
    Visit,
};
use doorman_auth::seal::Secret;
use doorman_auth::{Challenge, Identity, Refusal};
use doorman_http::{FieldId, RequestHead, Scheme};
use doorman_net::{Clock, within_deadline};

use crate::errand::Errands;
use crate::exchange::Exchange;
use crate::provider::{Known, RemoteProvider, Said, SignIn, Turn};
use crate::record::End;
use crate::stage::answer;
use crate::stop::{Fault, Stop};

/// How long a request waits for the renewal of its session before it passes with what it brought, or is refused if
/// that is late.
const RENEWAL_WAIT: Duration = Duration::from_secs(3);
/// Keys that one sign-in asks for: those that are there, and others if they do not do.
const KEYS_TRIED: u32 = 2;

/// How users sign in.
pub(crate) struct PlanSignIn {
    pub(crate) client: Client,
    pub(crate) provider: Arc<RemoteProvider>,
    pub(crate) errands: Arc<Errands>,
    pub(crate) challenge: Challenge,
    /// What makes the numbers that the seam gives into ones that nobody guesses: those are for whom it does not matter.
    pub(crate) secret: Secret,
    /// Whether nobody passes, too.
    pub(crate) allows_nobody: bool,
}

/// What a request is to this gate.
pub(super) enum Asked {
    /// Somebody's.
    Known(Arc<Identity>),
    /// Nobody's, which may go on so.
    Nobody,
    /// Nobody's, who shall sign in if no other gate knows better.
    SignIn,
    /// It goes no further, unless another gate knows better.
    Refuse(Refusal),
}

impl PlanSignIn {
    /// Whether a request is for a path of ours.
    pub(super) fn is_own(&self, head: &RequestHead) -> bool {
        self.client.is_own_path(head.path())
    }

    /// Answers a request for a path of ours.
    pub(super) async fn own(
        &self,
        clock: Clock,
        dice: &mut impl FnMut() -> u64,
        exchange: &mut Exchange,
    ) -> Stop {
        let now = exchange.started();
        match as_seen(exchange, |head| self.client.visit(head, now)) {
            Visit::Callback => match self.callback(clock, dice, exchange).await {
                Ok(redirect) => redirected(redirect, exchange),
                Err(stop) => {
                    self.provider.count(SignIn::Failed);
                    stop.into()
                }
            },
            Visit::SignOut => {
                self.provider.count(SignIn::SignedOut);
                let known = self.provider.known();
                let known = known.as_ref().map(|known| &*known.provider);
                let redirect = as_seen(exchange, |head| self.client.sign_out(known, head));
                redirected(redirect, exchange)
            }
            Visit::Refuse(refusal) => Fault::Unauthorized(refusal).into(),
            // Paths of ours are nothing else.
            _ => Fault::Unauthorized(Refusal::BadState).into(),
        }
    }

    /// Says whose a request is. What is to be told to its client is left in its marks.
    pub(super) async fn ask(
        &self,
        clock: Clock,
        dice: &mut impl FnMut() -> u64,
        exchange: &mut Exchange,
    ) -> Asked {
        let now = exchange.started();
        match as_seen(exchange, |head| self.client.visit(head, now)) {
            Visit::Pass(session) => Asked::Known(session.identity),
            Visit::Renew(session) => self.renew(session, clock, dice, exchange).await,
            visit => asked(&visit),
        }
    }

    /// What it would say, for people.
    pub(crate) fn says(&self, exchange: &Exchange) -> String {
        match self.client.visit(&exchange.head, exchange.started()) {
            Visit::Pass(session) => format!("signed in as {}", session.identity.user),
            Visit::Renew(session) => {
                format!("signed in as {}, to be renewed", session.identity.user)
            }
            Visit::Anonymous => "passes as nobody's".to_owned(),
            Visit::SignIn => "sent to sign in".to_owned(),
            Visit::Callback => "answered here: a browser comes back from the provider".to_owned(),
            Visit::SignOut => "answered here: signs out".to_owned(),
            Visit::Refuse(refusal) => refusal.word().to_owned(),
        }
    }

    /// Sends a browser to sign in.
    pub(super) async fn send(
        &self,
        clock: Clock,
        dice: &mut impl FnMut() -> u64,
        exchange: &mut Exchange,
    ) -> Stop {
        let Some(known) = self.provider.known_soon(clock).await else {
            return self.unknown().into();
        };
        let chance = self.chance::<LOGIN_CHANCE_BYTES>(dice);
        let now = clock.now();
        let sent =
            as_seen(exchange, |head| self.client.sign_in(&known.provider, head, &chance, now));
        match sent {
            Ok(redirect) => {
                self.provider.count(SignIn::Sent);
                redirected(redirect, exchange)
            }
            Err(refusal) => Fault::Unauthorized(refusal).into(),
        }
    }

    /// Takes cookies that are ours off: no origin has to do with them.
    pub(super) fn take_cookies_off(&self, exchange: &mut Exchange) {
        let scheme = as_seen(exchange, |head| head.scheme);
        let is_own = |pair: &[u8]| {
            let name = pair.split(|&byte| byte == b'=').next().unwrap_or_default();
            self.client.is_own_cookie(name.trim_ascii(), scheme)
        };
        let fields = &mut exchange.head.fields;
        let pairs =
            || fields.all(FieldId::Cookie).flat_map(|line| line.split(|&byte| byte == b';'));
        if !pairs().any(is_own) {
            return;
        }
        let rest: Vec<&[u8]> =
            pairs().filter(|pair| !is_own(pair)).map(<[u8]>::trim_ascii).collect();
        let rest = rest.join(&b"; "[..]);
        fields.remove_id(FieldId::Cookie);
        if !rest.is_empty() {
            fields.push_id(FieldId::Cookie, &rest);
        }
    }

    /// Changes a code for tokens, and those for a session.
    async fn callback(
        &self,
        clock: Clock,
        dice: &mut impl FnMut() -> u64,
        exchange: &mut Exchange,
    ) -> Result<Redirect, Fault> {
        let known = self.provider.known_soon(clock).await.ok_or_else(|| self.unknown())?;
        let now = exchange.started();
        let begun = as_seen(exchange, |head| self.client.callback(&known.provider, head, now));
        let (request, mut pending) = begun.map_err(|failure| fault(failure, None))?;
        let said = self.provider.tokens(&self.errands, request).await;
        let mut keys = keys_of(&known, None, clock).await;
        for _ in 0..KEYS_TRIED {
            let chance = self.chance::<SEAL_CHANCE_BYTES>(dice);
            let now = clock.now();
            let completion = as_seen(exchange, |head| {
                self.client.complete(pending, said.answer(), keys.as_ref(), head, &chance, now)
            });
            match completion {
                Completion::SignedIn(session, redirect) => {
                    self.provider.count(SignIn::SignedIn);
                    exchange.record().user = Some(session.identity.user.clone());
                    return Ok(redirect);
                }
                Completion::Ask(_, again) => pending = again,
                Completion::Fail(failure) => return Err(fault(failure, said.trouble())),
            }
            keys = keys_of(&known, keys.as_ref(), clock).await;
        }
        Err(Fault::Unauthorized(Refusal::UnknownKey))
    }

    /// Renews a session, once for all requests that bring it.
    async fn renew(
        &self,
        session: Session,
        clock: Clock,
        dice: &mut impl FnMut() -> u64,
        exchange: &mut Exchange,
    ) -> Asked {
        let (Some(known), Some(id)) = (self.provider.known(), session.renewal_id()) else {
            return self.meanwhile(&session, clock);
        };
        let Some(said) = self.renewal(&known, &session, id, clock).await else {
            return self.meanwhile(&session, clock);
        };
        let keys = known.keys.keys(clock.instant());
        let chance = self.chance::<SEAL_CHANCE_BYTES>(dice);
        let now = clock.now();
        let renewed = as_seen(exchange, |head| {
            self.client.renewed(&session, said.answer(), keys.as_ref(), head, &chance, now)
        });
        match renewed {
            Renewed::Session(session, cookies) => {
                let marks = exchange.marks();
                marks.is_private = true;
                cookies.into_iter().for_each(|line| marks.field(b"set-cookie", line));
                Asked::Known(session.identity)
            }
            Renewed::Later => Asked::Refuse(Refusal::Unavailable),
            Renewed::Over => {
                let cookies = as_seen(exchange, |head| self.client.forget(head));
                let marks = exchange.marks();
                marks.is_private = true;
                cookies.into_iter().for_each(|line| marks.field(b"set-cookie", line));
                asked(&as_seen(exchange, |head| self.client.nobody(head)))
            }
        }
    }

    /// What the provider said to the renewal of a session; `None`: nothing yet.
    async fn renewal(
        &self,
        known: &Known,
        session: &Session,
        id: [u8; 32],
        clock: Clock,
    ) -> Option<Arc<Said>> {
        let renewals = &self.provider.renewals;
        let mut ended = pin!(renewals.ended.notified());
        let mut end = clock.instant() + RENEWAL_WAIT;
        loop {
            // Before anything is looked at: what ends in between is heard.
            ended.as_mut().enable();
            match renewals.turn(id, clock.instant()) {
                Turn::Done(said) => return Some(said),
                Turn::Full => return None,
                // All others go on with what they brought, while that is good.
                Turn::Others if !session.is_late(clock.now()) => return None,
                Turn::Others => {}
                Turn::Ours => {
                    let request = self.client.renewal(&known.provider, session)?;
                    let (provider, errands) =
                        (Arc::clone(&self.provider), Arc::clone(&self.errands));
                    // A task of its own: whoever asked may leave, and the refresh token is spent.
                    tokio::task::spawn_local(async move {
                        let said = Arc::new(provider.tokens(&errands, request).await);
                        provider.count(match said.answer().status {
                            200 => SignIn::Renewed,
                            400 => SignIn::Ended,
                            _ => SignIn::Postponed,
                        });
                        provider.renewals.done(id, said, clock.instant());
                    });
                    end = clock.instant() + RENEWAL_WAIT;
                }
            }
            let left = end.since(clock.instant());
            if left.is_zero() || within_deadline(clock, left, ended.as_mut()).await.is_none() {
                return None;
            }
            ended.set(renewals.ended.notified());
        }
    }

    /// Whether a request passes with a session that should have been renewed.
    fn meanwhile(&self, session: &Session, clock: Clock) -> Asked {
        if session.is_late(clock.now()) {
            return Asked::Refuse(Refusal::Unavailable);
        }
        Asked::Known(Arc::clone(&session.identity))
    }

    fn unknown(&self) -> Fault {
        let trouble = self.provider.seen().trouble;
        let why = trouble.unwrap_or_else(|| "it has not answered yet".to_owned());
        Fault::SignIn(Refusal::Unavailable, format!("the provider is not known: {why}").into())
    }

    /// Bytes that nobody guesses.
    fn chance<const N: usize>(&self, dice: &mut impl FnMut() -> u64) -> [u8; N] {
        let (first, second) = (dice(), dice());
        let mut bytes = [0; N];
        for (number, block) in (0_u64..).zip(bytes.chunks_mut(doorman_auth::seal::SEAL)) {
            let parts = [first, second, number].map(u64::to_le_bytes);
            let made = self.secret.seal("sign-in", &[&parts[0], &parts[1], &parts[2]]);
            block.copy_from_slice(&made[..block.len()]);
        }
        bytes
    }
}

/// What is left of a visit once it is known that it is nobody's.
fn asked(visit: &Visit) -> Asked {
    match visit {
        Visit::Anonymous => Asked::Nobody,
        Visit::SignIn => Asked::SignIn,
        Visit::Refuse(refusal) => Asked::Refuse(*refusal),
        _ => Asked::Refuse(Refusal::BadState),
    }
}

/// Keys of a provider: those that are there; others than `before` if they can be had.
async fn keys_of(known: &Known, before: Option<&Keys>, clock: Clock) -> Option<Keys> {
    let there = known.keys.keys(clock.instant());
    if before.is_none() && there.is_some() {
        return there;
    }
    let generation = before.map_or(0, |keys| keys.generation);
    let _ = known.keys.others(generation, clock).await;
    known.keys.keys(clock.instant())
}

/// A failure, with what people who run the house want to know of it.
fn fault(failure: Failure, trouble: Option<String>) -> Fault {
    let Failure { refusal, said } = failure;
    let said = said.map(|said| format!("the provider says {said}"));
    match said.or(trouble) {
        Some(why) => Fault::SignIn(refusal, why.into()),
        None => Fault::Unauthorized(refusal),
    }
}

/// Sends a browser elsewhere.
fn redirected(redirect: Redirect, exchange: &mut Exchange) -> Stop {
    let Redirect { location, cookies } = redirect;
    exchange.record().end = End::SignIn;
    let marks = exchange.marks();
    marks.is_private = true;
    cookies.into_iter().for_each(|line| marks.field(b"set-cookie", line));
    let mut response = answer::plain(303, Bytes::new());
    if !response.head.fields.append(b"location", location.as_bytes()) {
        return Fault::BadEdit("a provider's URL cannot be sent").into();
    }
    Stop::Answer(Box::new(response))
}

/// Looks at a head as browsers see it: what came to a proxy that is trusted over TLS came over TLS.
fn as_seen<T>(exchange: &mut Exchange, look: impl FnOnce(&RequestHead) -> T) -> T {
    let own = exchange.head.scheme;
    let told = exchange.head.fields.sole(FieldId::XForwardedProto);
    if exchange.is_trusted() && told.is_some_and(|told| told.eq_ignore_ascii_case(b"https")) {
        exchange.head.scheme = Scheme::Https;
    }
    let seen = look(&exchange.head);
    exchange.head.scheme = own;
    seen
}
