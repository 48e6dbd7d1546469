//! Guards: what of them outlives plans, and the gates of each route.
//!
//! A line of the configuration counts as one thing however many routes it stands for, and it is the same thing after a
//! reload if it says the same: levels, places and bans go on.

use std::collections::HashMap;
use std::fmt::Write;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use doorman_auth::basic::Verified;
use doorman_auth::seal::Secret as Secret32;
use doorman_auth::work::{Bind, Puzzle, Settings};
use doorman_config::{
    Ban, BanSignal, Challenge, ChallengeBind, ChallengeWhen, ClientPrefixes, ConcurrencyLimit,
    Config, ConnectionsLimit, Guard, Limit, LimitKey, LimitMode, Span, Throttle,
};
use doorman_limit::{
    BANS_MAX, BanRule, Bans, KEYS_MAX, KeyedPlaces, Places, PlacesBounds, Prefixes, Rate, Secret,
};
use doorman_net::seal::secret_words;
use doorman_route::Geo;

use super::compile::{Faults, code};
use super::{Ground, Plan, PlanSite, access, forward, identity};
use crate::gate::{
    BanRules, BanSign, ChallengeFor, Crowded, KeyPart, LimitBooks, LimitSeen, PlanBan,
    PlanChallenge, PlanConcurrency, PlanConnections, PlanGuard, PlanLimit, PlanLimits,
    PlanThrottle, Signs, TokenKeys,
};

/// How long those wait who have no scripts: much longer than the work takes, and short enough for people.
const NO_SCRIPT_WAIT: Duration = Duration::from_secs(15);
/// Clients that may be banned at once by one line.
const BANS: usize = 65_536;
/// Clients whose signs are counted at once by one line.
const SIGNS: usize = 262_144;
/// Users whose passwords are remembered as verified.
const VERIFIED: usize = 65_536;

/// What outlives plans. Weak: what no plan and no request holds any more is forgotten.
#[derive(Default)]
pub(crate) struct GuardGround {
    secret: OnceLock<Option<Secret>>,
    limits: Known<LimitBooks>,
    bans: Known<Bans>,
    places: Known<Places>,
    keyed: Known<KeyedPlaces>,
    /// Passwords that are hashed, of all gates together.
    hashing: Arc<Places>,
    /// Passwords that are known, of all gates together.
    verified: OnceLock<Option<Arc<Verified>>>,
    /// What tokens are checked with.
    tokens: Known<TokenKeys>,
}

impl GuardGround {
    /// Who may hash a password now.
    pub(super) fn hashing(&self) -> Arc<Places> {
        Arc::clone(&self.hashing)
    }

    /// Passwords that are known; `None`: the system gives no chance for them.
    pub(super) fn verified(&self) -> Option<Arc<Verified>> {
        let made = self.verified.get_or_init(|| {
            let chance = chance_words()?;
            Some(Arc::new(Verified::new(&chance, VERIFIED)))
        });
        made.clone()
    }

    /// What tokens are checked with by a line that says this: the same as before, with all that is remembered of
    /// tokens, if that said it too.
    pub(super) fn tokens(&self, label: String, make: impl FnOnce() -> TokenKeys) -> Arc<TokenKeys> {
        self.tokens.get(label, make)
    }
}

/// 32 bytes that nobody outside knows; `None`: the system gives none.
fn chance_words() -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    for half in bytes.chunks_exact_mut(16) {
        let [first, second] = secret_words().ok()?;
        half[..8].copy_from_slice(&first.to_le_bytes());
        half[8..].copy_from_slice(&second.to_le_bytes());
    }
    Some(bytes)
}

/// Things that lines of configurations stand for, by what the lines say.
struct Known<T>(Mutex<HashMap<String, Weak<T>>>);

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Known<T> {
    fn get(&self, label: String, make: impl FnOnce() -> T) -> Arc<T> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(one) = known.get(&label).and_then(Weak::upgrade) {
            return one;
        }
        known.retain(|_, one| one.strong_count() > 0);
        let one = Arc::new(make());
        known.insert(label, Arc::downgrade(&one));
        one
    }
}

/// Makes the guards of one plan.
pub(super) struct Maker<'g> {
    config: &'g Config,
    all: &'g Ground,
    ground: &'g GuardGround,
    geo: Arc<Geo>,
    /// Lines that say the same, in their order.
    lines: HashMap<(&'static str, String), Vec<Span>>,
}

impl<'g> Maker<'g> {
    pub(super) fn new(config: &'g Config, all: &'g Ground, faults: &mut Faults) -> Self {
        let geo = access::geo(config, all, faults);
        Self { config, all, ground: &all.guards, geo, lines: HashMap::new() }
    }

    /// The gates of a route; `None` if it has none.
    pub(super) fn compile(&mut self, guard: &Guard, faults: &mut Faults) -> Option<Box<PlanGuard>> {
        let bans = guard.bans.iter().filter_map(|ban| self.ban(ban, faults));
        let bans: Vec<_> = bans.collect();
        let limits = guard.limits.iter().filter_map(|limit| self.limit(limit, faults));
        let (own_limits, limits): (Vec<_>, Vec<_>) = limits.partition(PlanLimit::is_own);
        let access = guard.access.iter();
        let access =
            access.map(|lists| access::access(lists, &self.geo, self.all, faults)).collect();
        let (identity, mut strip) = identity::gates(guard, self.all, faults);
        let forward = guard.forward_auth.as_ref();
        let forward =
            forward.and_then(|asked| forward::forward(self.config, asked, &mut strip, faults));
        let cors = guard.cors.as_ref().and_then(|cors| identity::cors(cors, faults));
        let csrf = guard.csrf.as_ref().and_then(|csrf| identity::csrf(csrf, faults));
        let challenge = guard.challenge.as_ref().and_then(|one| self.challenge(one, faults));
        let preset = guard.security_headers.as_ref().map(|which| identity::preset(which.value));
        let connections =
            guard.connections.as_ref().and_then(|bound| self.connections(bound, faults));
        let concurrency =
            guard.concurrency.as_ref().and_then(|bound| self.concurrency(bound, faults));
        let throttle = guard.throttle.as_ref().map(throttle);
        let guard = PlanGuard {
            strip,
            bans: bans.into(),
            access,
            connections,
            limits: PlanLimits::new(limits),
            challenge,
            cors,
            csrf,
            preset,
            identity,
            forward: forward.map(Box::new),
            own_limits: PlanLimits::new(own_limits),
            concurrency,
            throttle,
        };
        (!guard.is_empty()).then(|| Box::new(guard))
    }

    /// What a line is called: what it says, and which of those it is that say the same.
    fn label(&mut self, kind: &'static str, words: &str, span: Span) -> String {
        let same = self.lines.entry((kind, words.to_owned())).or_default();
        let number = same.iter().position(|known| *known == span).unwrap_or_else(|| {
            same.push(span);
            same.len() - 1
        });
        if number == 0 { words.to_owned() } else { format!("{words} #{}", number + 1) }
    }

    /// The secret of keys: nobody outside can tell which two fall together.
    fn secret(&self, span: Span, faults: &mut Faults) -> Option<Secret> {
        let made = self
            .ground
            .secret
            .get_or_init(|| secret_words().ok().map(|[first, second]| Secret::new(first, second)));
        if made.is_none() {
            faults.error(code::SEAL_KEY, span, "the system gives no random numbers");
        }
        *made
    }

    fn limit(&mut self, limit: &Limit, faults: &mut Faults) -> Option<PlanLimit> {
        let written = limit.rate.value;
        let per: Vec<_> = limit.per.iter().map(|key| &key.value).collect();
        let mut words = rate_words(written.count, written.per);
        per.iter().for_each(|key| words.push_str(&key_words(key)));
        let words = limit.name.as_ref().map_or(words, |name| name.value.clone());
        let name = self.label("limit", &words, limit.span);
        let count = NonZeroU32::new(written.count)?;
        let burst = NonZeroU32::new(limit.burst.value)?;
        let rate = match Rate::new(count, written.per, burst) {
            Ok(rate) => rate,
            Err(error) => {
                faults.error(code::GUARD, limit.rate.span, error.to_string());
                return None;
            }
        };
        let keys = usize::try_from(limit.keys.value).unwrap_or(KEYS_MAX).min(KEYS_MAX);
        let keys = if per == [&LimitKey::All] { 1 } else { keys };
        let books = self.ground.limits.get(format!("{name} of {keys}"), || LimitBooks::new(keys));
        Some(PlanLimit {
            name: name.into(),
            rate,
            books,
            secret: self.secret(limit.span, faults)?,
            parts: parts(&per),
            status: limit.status.value,
            shadow: limit.mode == LimitMode::Shadow,
            fields: limit.fields.value,
        })
    }

    fn ban(&mut self, ban: &Ban, faults: &mut Faults) -> Option<PlanBan> {
        let count = NonZeroU32::new(ban.count.value)?;
        let rule = match BanRule::new(count, ban.within.value, ban.time.value) {
            Ok(rule) => rule,
            Err(error) => {
                faults.error(code::GUARD, ban.within.span, error.to_string());
                return None;
            }
        };
        let prefixes = prefixes(ban.per.value);
        let mut words = format!(
            "{count} per {} for {} on",
            time_words(ban.within.value),
            time_words(ban.time.value)
        );
        for signal in &ban.on {
            words.push_str(&signal_words(&signal.value));
        }
        let name = self.label("ban", &words, ban.span);
        let bans = self
            .ground
            .bans
            .get(format!("{name} by {prefixes:?}"), || Bans::new(BANS.min(BANS_MAX), SIGNS));
        Some(PlanBan {
            name: name.into(),
            rule,
            signs: Signs(ban.on.iter().map(|signal| sign(&signal.value)).collect()),
            prefixes,
            secret: self.secret(ban.span, faults)?,
            bans,
        })
    }

    fn challenge(&self, written: &Challenge, faults: &mut Faults) -> Option<PlanChallenge> {
        let asked = match written.when.value {
            ChallengeWhen::Always => ChallengeFor::All,
            ChallengeWhen::WhenBusy => ChallengeFor::Busy,
            ChallengeWhen::Suspicious => ChallengeFor::Suspicious,
        };
        // Kept in the data folder: a restart asks nobody again.
        let seal: [u8; 32] = self.all.seal_key(written.span, faults)?.seal(&[b"challenge"]);
        let settings = Settings {
            difficulty: written.difficulty.value,
            ttl: written.ttl.value,
            bind: match written.bind.value {
                ChallengeBind::ClientIp => Bind::Client { v4: 32, v6: 64 },
                ChallengeBind::Nothing => Bind::Nobody,
            },
            no_script: written.no_script.value.then_some(NO_SCRIPT_WAIT),
            scope: Box::default(),
        };
        match Puzzle::new(Secret32::new(&seal), settings) {
            Ok(puzzle) => Some(PlanChallenge { puzzle, asked }),
            Err(error) => {
                faults.error(code::GUARD, written.span, error.to_string());
                None
            }
        }
    }

    fn connections(
        &mut self,
        bound: &ConnectionsLimit,
        faults: &mut Faults,
    ) -> Option<PlanConnections> {
        let prefixes = prefixes(bound.per.value);
        let label = self.label("connections", &format!("{prefixes:?}"), bound.span);
        Some(PlanConnections {
            most: bound.most.value,
            prefixes,
            secret: self.secret(bound.span, faults)?,
            places: self.ground.keyed.get(format!("connections {label}"), KeyedPlaces::default),
        })
    }

    fn concurrency(
        &mut self,
        bound: &ConcurrencyLimit,
        faults: &mut Faults,
    ) -> Option<PlanConcurrency> {
        let per: Vec<_> = bound.per.iter().map(|key| &key.value).collect();
        let words: String = per.iter().map(|key| key_words(key)).collect();
        let label = self.label("concurrency", &words, bound.span);
        let parts = parts(&per);
        let places = if parts.is_empty() {
            Crowded::All(self.ground.places.get(label, Places::default))
        } else {
            let places =
                self.ground.keyed.get(format!("concurrency {label}"), KeyedPlaces::default);
            Crowded::Keyed(places, self.secret(bound.span, faults)?, parts)
        };
        let bounds = PlacesBounds { places: bound.most.value, queue: bound.queue.value };
        Some(PlanConcurrency { bounds, timeout: bound.timeout.value, places })
    }
}

fn throttle(throttle: &Throttle) -> PlanThrottle {
    let rate = NonZeroU64::new(throttle.rate.value).unwrap_or(NonZeroU64::MIN);
    PlanThrottle { rate, after: throttle.after.value }
}

fn prefixes(written: ClientPrefixes) -> Prefixes {
    Prefixes { v4: written.v4, v6: written.v6 }
}

/// What requests are counted by; nothing for all of them together.
fn parts(keys: &[&LimitKey]) -> Box<[KeyPart]> {
    let part = |key: &&LimitKey| {
        Some(match key {
            LimitKey::ClientIp(bits) => KeyPart::ClientIp(prefixes(*bits)),
            LimitKey::Header(name) => KeyPart::Header(name.as_str().into()),
            LimitKey::Cookie(name) => KeyPart::Cookie(name.as_str().into()),
            LimitKey::Path => KeyPart::Path,
            LimitKey::Host => KeyPart::Host,
            LimitKey::User => KeyPart::User,
            LimitKey::Claim(name) => KeyPart::Claim(name.as_str().into()),
            LimitKey::All => return None,
        })
    };
    keys.iter().filter_map(part).collect()
}

fn key_words(key: &LimitKey) -> String {
    match key {
        LimitKey::ClientIp(bits) if *bits == ClientPrefixes::DEFAULT => " client-ip".to_owned(),
        LimitKey::ClientIp(bits) => format!(" client-ip /{} /{}", bits.v4, bits.v6),
        LimitKey::Header(name) => format!(" header {name}"),
        LimitKey::Cookie(name) => format!(" cookie {name}"),
        LimitKey::Path => " path".to_owned(),
        LimitKey::Host => " host".to_owned(),
        LimitKey::User => " user".to_owned(),
        LimitKey::Claim(name) => format!(" claim {name}"),
        LimitKey::All => " all".to_owned(),
    }
}

fn rate_words(count: u32, per: Duration) -> String {
    let unit = match per.as_secs() {
        1 => "s",
        60 => "m",
        3_600 => "h",
        86_400 => "d",
        _ => return format!("{count} in {}", time_words(per)),
    };
    format!("{count}/{unit}")
}

/// A time in the largest unit that it is a whole number of.
fn time_words(time: Duration) -> String {
    let seconds = time.as_secs();
    if time.subsec_nanos() > 0 {
        return format!("{}ms", time.as_millis());
    }
    for (unit, of) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds > 0 && seconds.is_multiple_of(of) {
            return format!("{}{unit}", seconds / of);
        }
    }
    format!("{seconds}s")
}

fn sign(signal: &BanSignal) -> BanSign {
    match signal {
        BanSignal::NotFound => BanSign::NotFound,
        BanSignal::AuthFailure => BanSign::AuthFailure,
        BanSignal::WafBlock => BanSign::WafBlock,
        BanSignal::Limit => BanSign::Limit,
        BanSignal::Malformed => BanSign::Malformed,
        BanSignal::ChallengeFailure => BanSign::ChallengeFailure,
        BanSignal::Statuses(range) => BanSign::Status(range.first, range.last),
    }
}

fn signal_words(signal: &BanSignal) -> String {
    let mut words = " ".to_owned();
    match signal {
        BanSignal::NotFound => words.push_str("not-found"),
        BanSignal::AuthFailure => words.push_str("auth-failure"),
        BanSignal::WafBlock => words.push_str("waf-block"),
        BanSignal::Limit => words.push_str("limit"),
        BanSignal::Malformed => words.push_str("malformed"),
        BanSignal::ChallengeFailure => words.push_str("challenge-failure"),
        BanSignal::Statuses(range) => {
            let _ = write!(words, "status {}-{}", range.first, range.last);
        }
    }
    words
}

impl Plan {
    /// Its limits, each once, in the order of the file.
    #[must_use]
    pub fn limits(&self) -> Vec<LimitSeen> {
        let mut seen: Vec<LimitSeen> = Vec::new();
        let both = |guard: &PlanGuard| {
            guard.limits.list.iter().chain(&guard.own_limits.list).cloned().collect::<Vec<_>>()
        };
        for limit in self.guards().flat_map(both) {
            if !seen.iter().any(|known| Arc::ptr_eq(&known.0.books, &limit.books)) {
                seen.push(LimitSeen(limit));
            }
        }
        seen
    }

    /// Its rules that ban, each once, in the order of the file.
    #[must_use]
    pub fn bans(&self) -> Vec<BanRules> {
        let mut seen: Vec<BanRules> = Vec::new();
        for ban in self.guards().flat_map(|guard| &*guard.bans) {
            if !seen.iter().any(|known| Arc::ptr_eq(&known.0.bans, &ban.bans)) {
                seen.push(BanRules(ban.clone()));
            }
        }
        seen
    }

    /// Rules that count what is no request, and so belongs to no route.
    pub(crate) fn bans_of_malformed(&self) -> Vec<PlanBan> {
        let all = self.bans().into_iter().map(|rules| rules.0);
        all.filter(|ban| ban.signs.has_malformed()).collect()
    }

    /// Rules of a site that count what no route of it takes: whoever looks for what is not there looks there, too.
    pub(crate) fn bans_of_nowhere(&self, site: &PlanSite) -> Vec<PlanBan> {
        let mut bans = self.bans_of_malformed();
        let guards = site.routes.iter().filter_map(|route| route.guard.as_deref());
        for ban in guards.flat_map(|guard| &*guard.bans).filter(|ban| ban.signs.has_not_found()) {
            if !bans.iter().any(|known| Arc::ptr_eq(&known.bans, &ban.bans)) {
                bans.push(ban.clone());
            }
        }
        bans
    }

    pub(super) fn guards(&self) -> impl Iterator<Item = &PlanGuard> {
        self.sites.iter().flat_map(|site| &site.routes).filter_map(|route| route.guard.as_deref())
    }
}
