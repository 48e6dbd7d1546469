//! What a request must pass before anything is done for it.
//!
//! Each gate is plain code over a room and knows nothing of the plan that built it. Their order is the house's: first
//! what costs least to refuse, and who somebody is before what he may do. What a gate has to say to the client, whether
//! it passes or not, it leaves in [`Marks`], and what a request holds while it lasts in its record.

mod access;
mod ban;
mod browsers;
mod challenge;
mod forward;
mod identity;
mod limit;
mod places;
mod sign_in;
mod throttle;

use std::sync::Arc;

use doorman_auth::cors::{Line, Policy};
use doorman_auth::csrf::Csrf;
use doorman_auth::identity::Names;
use doorman_auth::preset::{Preset, Transport};
use doorman_http::{FieldId, Fields, RequestHead, Response};
use doorman_limit::{KeyMaker, Prefixes, Secret};
use doorman_net::Clock;

use crate::exchange::Exchange;
use crate::stop::{Fault, Stop};

pub(crate) use access::PlanAccess;
pub use ban::{BanRules, BanSign};
pub(crate) use ban::{PlanBan, Signs};
pub(crate) use challenge::{ChallengeFor, PlanChallenge};
pub(crate) use forward::{Asker, PlanForward, Said};
pub(crate) use identity::{
    KeysFrom, PasswordDesk, PlanGate, PlanIdentity, PlanToken, TokenKeys, Tokens,
};
pub use limit::{LimitBooks, LimitSeen};
pub(crate) use limit::{PlanLimit, PlanLimits};
pub(crate) use places::{Crowded, PlanConcurrency, PlanConnections};
pub(crate) use sign_in::PlanSignIn;
pub(crate) use throttle::{PlanThrottle, throttle};

/// The gates of a route.
pub(crate) struct PlanGuard {
    /// Fields that tell the origin who asks: clients' own are taken off.
    pub(crate) strip: Names,
    pub(crate) bans: Arc<[PlanBan]>,
    pub(crate) access: Vec<PlanAccess>,
    pub(crate) connections: Option<PlanConnections>,
    pub(crate) limits: PlanLimits,
    pub(crate) challenge: Option<PlanChallenge>,
    pub(crate) cors: Option<Policy>,
    pub(crate) csrf: Option<Csrf>,
    pub(crate) preset: Option<Preset>,
    /// Who is asked who somebody is; none: nobody has to be known.
    pub(crate) identity: Vec<PlanGate>,
    /// Which server is asked besides.
    pub(crate) forward: Option<Box<PlanForward>>,
    /// Limits by who somebody is.
    pub(crate) own_limits: PlanLimits,
    pub(crate) concurrency: Option<PlanConcurrency>,
    pub(crate) throttle: Option<PlanThrottle>,
}

impl PlanGuard {
    /// Whether nothing is guarded.
    pub(crate) fn is_empty(&self) -> bool {
        self.strip.is_empty()
            && self.bans.is_empty()
            && self.access.is_empty()
            && self.challenge.is_none()
            && self.cors.is_none()
            && self.csrf.is_none()
            && self.preset.is_none()
            && self.identity.is_empty()
            && self.forward.is_none()
            && self.own_limits.list.is_empty()
            && self.connections.is_none()
            && self.limits.list.is_empty()
            && self.concurrency.is_none()
            && self.throttle.is_none()
    }
}

/// Part of what requests are counted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyPart {
    ClientIp(Prefixes),
    Header(Box<str>),
    Cookie(Box<str>),
    Path,
    Host,
    User,
    Claim(Box<str>),
}

/// What answers carry because of the gates that their requests came through.
#[derive(Default)]
pub(crate) struct Marks {
    fields: Vec<(&'static [u8], String)>,
    /// Those that the plan has made.
    shared: Vec<(&'static [u8], Arc<str>)>,
    cors: Option<Vec<Line>>,
    /// Whether nobody may keep the answer.
    is_private: bool,
    /// Whether it is somebody's own, which only his browser may keep unless its origin says otherwise.
    is_personal: bool,
    preset: Option<(Preset, Transport)>,
}

impl Marks {
    /// A field that every answer carries.
    pub(crate) fn field(&mut self, name: &'static [u8], value: String) {
        self.fields.push((name, value));
    }

    /// A field that the plan has made.
    pub(crate) fn shared(&mut self, name: &'static [u8], value: Arc<str>) {
        self.shared.push((name, value));
    }

    /// Writes them.
    pub(crate) fn write(self, response: &mut Response) {
        let fields = &mut response.head.fields;
        if self.is_private {
            fields.remove(b"cache-control");
            fields.push_id(FieldId::CacheControl, b"no-store");
        } else if self.is_personal && !says_who_keeps_it(fields) {
            fields.push_id(FieldId::CacheControl, b"private");
        }
        if let Some(lines) = self.cors {
            browsers::write_cors(lines, fields);
        }
        if let Some((preset, transport)) = self.preset {
            browsers::write_preset(preset, transport, fields);
        }
        for (name, value) in self.shared {
            let _ = fields.append(name, value.as_bytes());
        }
        for (name, value) in self.fields {
            // Made by us of checked parts: a value that cannot be sent is left out.
            let _ = fields.append(name, value.as_bytes());
        }
    }
}

/// Whether an answer says by itself whether caches that many share may keep it. Without a word of that they may
/// (RFC 9111 section 3), since a session in a cookie is none of their business as `Authorization` is.
fn says_who_keeps_it(fields: &Fields) -> bool {
    let words = ["public", "private", "no-store", "s-maxage"];
    fields.all(FieldId::CacheControl).any(|line| {
        line.split(|&byte| byte == b',').any(|directive| {
            let name = directive.split(|&byte| byte == b'=').next().unwrap_or_default();
            words.iter().any(|word| name.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
        })
    })
}

/// Lets a request pass, or says why not.
pub(crate) async fn check(
    guard: &PlanGuard,
    tokens: &Tokens,
    clock: Clock,
    mut dice: impl FnMut() -> u64,
    asker: &impl Asker,
    is_busy: bool,
    exchange: &mut Exchange,
) -> Result<(), Stop> {
    if let Some(preset) = guard.preset {
        let transport = browsers::transport(exchange);
        exchange.marks().careful(preset, transport);
    }
    if !guard.strip.is_empty() {
        guard.strip.strip(&mut exchange.head.fields);
    }
    for ban in &*guard.bans {
        ban.check(exchange)?;
    }
    for access in &guard.access {
        access.check(exchange)?;
    }
    if let Some(connections) = &guard.connections {
        connections.check(exchange)?;
    }
    limit::check(&guard.limits, exchange)?;
    if let Some(challenge) = &guard.challenge {
        challenge.check(exchange, is_busy, &mut dice)?;
    }
    if let Some(policy) = &guard.cors {
        browsers::cors(policy, exchange)?;
    }
    if let Some(csrf) = &guard.csrf {
        csrf.check(&exchange.head).map_err(Fault::CrossSite)?;
    }
    if !guard.identity.is_empty() {
        identity::check(&guard.identity, tokens, clock, &mut dice, exchange).await?;
    }
    if let Some(forward) = &guard.forward {
        // In a box: what asks nobody must not be larger for it.
        Box::pin(forward::check(forward, asker, clock, exchange)).await?;
    }
    // Where nobody is asked who he is, all are nobody, and count together.
    limit::check(&guard.own_limits, exchange)?;
    if let Some(concurrency) = &guard.concurrency {
        concurrency.enter(clock, exchange).await?;
    }
    Ok(())
}

/// Puts what a request has of a part of a key into it.
fn part(maker: &mut KeyMaker, part: &KeyPart, exchange: &Exchange) {
    let head: &RequestHead = &exchange.head;
    match part {
        KeyPart::ClientIp(prefixes) => match exchange.client() {
            Some(client) => maker.client(client, *prefixes),
            None => maker.absent(),
        },
        KeyPart::Header(name) => {
            let mut any = false;
            for value in head.fields.all_named(name.as_bytes()) {
                maker.part(value);
                any = true;
            }
            if !any {
                maker.absent();
            }
        }
        KeyPart::Cookie(name) => match head.cookie(name.as_bytes()) {
            Some(value) => maker.part(value),
            None => maker.absent(),
        },
        KeyPart::Path => maker.part(head.path()),
        KeyPart::Host => maker.part(head.host()),
        KeyPart::User => match exchange.user() {
            Some(user) => maker.part(user.as_bytes()),
            None => maker.absent(),
        },
        KeyPart::Claim(name) => match exchange.identity().and_then(|who| who.claim(name)) {
            Some(value) => maker.part(value.as_bytes()),
            None => maker.absent(),
        },
    }
}

/// The key of a request by these parts; all requests have the same where there are none.
pub(crate) fn key(secret: Secret, parts: &[KeyPart], exchange: &Exchange) -> doorman_limit::Key {
    if parts.is_empty() {
        return doorman_limit::Key::ALL;
    }
    let mut maker = KeyMaker::new(secret);
    parts.iter().for_each(|each| part(&mut maker, each, exchange));
    maker.key()
}

/// Who a key is, for people.
pub(crate) fn name(parts: &[KeyPart], exchange: &Exchange) -> String {
    let head: &RequestHead = &exchange.head;
    let text = |bytes: Option<&[u8]>| {
        bytes.map_or_else(|| "-".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
    };
    let part = |part: &KeyPart| match part {
        KeyPart::ClientIp(prefixes) => {
            exchange.client().map_or_else(|| "-".to_owned(), |client| network(client, *prefixes))
        }
        KeyPart::Header(name) => text(head.fields.all_named(name.as_bytes()).next()),
        KeyPart::Cookie(name) => text(head.cookie(name.as_bytes())),
        KeyPart::Path => text(Some(head.path())),
        KeyPart::Host => text(Some(head.host())),
        KeyPart::User => text(exchange.user().map(str::as_bytes)),
        KeyPart::Claim(name) => {
            text(exchange.identity().and_then(|who| who.claim(name)).map(str::as_bytes))
        }
    };
    let parts: Vec<_> = parts.iter().map(part).collect();
    if parts.is_empty() { "all".to_owned() } else { parts.join(" ") }
}

/// A client's network as text; an address where it is one.
pub(crate) fn network(client: std::net::IpAddr, prefixes: Prefixes) -> String {
    let network = prefixes.network(client);
    match network {
        std::net::IpAddr::V4(_) if prefixes.v4 >= 32 => network.to_string(),
        std::net::IpAddr::V4(_) => format!("{network}/{}", prefixes.v4),
        std::net::IpAddr::V6(_) if prefixes.v6 >= 128 => network.to_string(),
        std::net::IpAddr::V6(_) => format!("{network}/{}", prefixes.v6),
    }
}
