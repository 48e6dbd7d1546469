//! The guards of policies, sites and routes: what each line says, how lines of several blocks come together, and what
//! is wrong once they have.

mod abuse;
mod access;
mod browsers;
mod forward;
mod identity;
mod keys;
mod limits;
mod oidc;
mod together;
mod tokens;

use super::Decoder;
use super::options::Line;
use crate::item::{Item, Text};
use crate::values::{self, Value};
use crate::{
    Access, ApiKey, Ban, BasicAuth, Challenge, ConcurrencyLimit, ConnectionsLimit, Cors, Csrf,
    ForwardAuth, Global, Guard, Jwt, Limit, Oidc, Priority, SecurityHeaders, Site, Spanned,
    Throttle,
};

/// What one line says, or all lines of a block that belong together.
#[derive(Clone, Debug)]
pub(super) enum GuardLine {
    Access(Access),
    Limit(Option<Limit>),
    Connections(Option<ConnectionsLimit>),
    Concurrency(Option<ConcurrencyLimit>),
    Throttle(Option<Throttle>),
    Priority(Spanned<Priority>),
    BasicAuth(Option<BasicAuth>),
    ApiKey(Option<ApiKey>),
    Jwt(Option<Jwt>),
    ForwardAuth(Option<ForwardAuth>),
    Oidc(Option<Oidc>),
    Cors(Option<Cors>),
    Csrf(Option<Csrf>),
    SecurityHeaders(Option<Spanned<SecurityHeaders>>),
    Challenge(Option<Challenge>),
    Ban(Option<Ban>),
}

impl GuardLine {
    /// Puts a line over those before it.
    pub(super) fn apply(self, guard: &mut Guard) {
        match self {
            GuardLine::Access(access) => guard.access.push(access),
            GuardLine::Limit(Some(limit)) => guard.limits.push(limit),
            GuardLine::Limit(None) => guard.limits.clear(),
            GuardLine::Connections(limit) => guard.connections = limit,
            GuardLine::Concurrency(limit) => guard.concurrency = limit,
            GuardLine::Throttle(throttle) => guard.throttle = throttle,
            GuardLine::Priority(priority) => guard.priority = Some(priority),
            GuardLine::BasicAuth(auth) => guard.basic_auth = auth.map(Box::new),
            GuardLine::ApiKey(auth) => guard.api_key = auth.map(Box::new),
            GuardLine::Jwt(auth) => guard.jwt = auth.map(Box::new),
            GuardLine::ForwardAuth(auth) => guard.forward_auth = auth.map(Box::new),
            GuardLine::Oidc(auth) => guard.oidc = auth.map(Box::new),
            GuardLine::Cors(cors) => guard.cors = cors.map(Box::new),
            GuardLine::Csrf(csrf) => guard.csrf = csrf,
            GuardLine::SecurityHeaders(which) => guard.security_headers = which,
            GuardLine::Challenge(challenge) => guard.challenge = challenge,
            GuardLine::Ban(Some(ban)) => guard.bans.push(ban),
            GuardLine::Ban(None) => guard.bans.clear(),
        }
    }
}

impl Decoder<'_> {
    /// One line; `None` if its word is no guard's.
    pub(super) fn guard_line(&mut self, item: &Item) -> Option<Vec<Line>> {
        let errors = self.diagnostics.errors();
        let line = match item.directive.name {
            "limit" => self.limit(item).map(GuardLine::Limit),
            "connections" => self.connections_limit(item).map(GuardLine::Connections),
            "concurrency" => self.concurrency_limit(item).map(GuardLine::Concurrency),
            "throttle" => self.throttle(item).map(GuardLine::Throttle),
            "priority" => self.priority(item).map(GuardLine::Priority),
            "basic-auth" => self.basic_auth(item).map(GuardLine::BasicAuth),
            "api-key" => self.api_key(item).map(GuardLine::ApiKey),
            "jwt" => self.jwt(item).map(GuardLine::Jwt),
            "forward-auth" => self.forward_auth(item).map(GuardLine::ForwardAuth),
            "oidc" => self.oidc(item).map(GuardLine::Oidc),
            "cors" => self.cors(item).map(GuardLine::Cors),
            "csrf" => self.csrf(item).map(GuardLine::Csrf),
            "challenge" => self.challenge(item).map(GuardLine::Challenge),
            "ban" => self.ban(item).map(GuardLine::Ban),
            "security-headers" => self.security_headers(item).map(GuardLine::SecurityHeaders),
            _ => return None,
        };
        // A guard that is lost without a word would leave a door open.
        let is_told = item.is_off() || item.damaged || self.diagnostics.errors() > errors;
        debug_assert!(line.is_some() || is_told, "`{}` is lost", item.directive.name);
        Some(line.map(|line| Line::Guard(Box::new(line))).into_iter().collect())
    }

    /// Lines that are made of several statements of a block.
    pub(super) fn guard_lines(&mut self, items: &[Item]) -> Vec<Line> {
        let access = self.access(items).map(GuardLine::Access);
        access.map(|line| Line::Guard(Box::new(line))).into_iter().collect()
    }

    /// What is wrong with guards once they have come together in routes.
    pub(super) fn check_guards(&mut self, sites: &[Site], global: &Global) {
        for site in sites {
            self.check_access(site);
            self.check_limits(site);
            self.check_keys(site);
            self.check_plain(site, global);
            self.check_asked(site);
            self.check_sign_ins(site);
            self.check_bans(site);
        }
    }

    /// Whether a line only ends what holds before it. Then nothing else stands there.
    fn says_off(&mut self, block: &Item, written: &str) -> bool {
        let is_off = block.value(0).and_then(Text::word) == Some("off");
        if is_off {
            self.check_alone(block, block.value(1).map(|extra| extra.span), written);
        }
        is_off
    }
}

/// `on`, `off`.
fn switch(text: &Text) -> Value<bool> {
    values::choice(text, &[("on", true), ("off", false)], &[])
}
