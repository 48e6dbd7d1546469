//! `challenge` and `ban`.

use std::collections::HashSet;
use std::time::Duration;

use super::Decoder;
use super::identity::time_within;
use crate::item::{Item, Text};
use crate::suggest::nearest;
use crate::values::{self, Value};
use crate::{
    Ban, BanSignal, Challenge, ChallengeBind, ChallengeWhen, ClientPrefixes, Diagnostic,
    RouteOptions, Setting, Site, Spanned,
};

/// Bans of one route, and signs of one ban.
const LISTED_MAX: usize = 32;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Signs by their words, beside statuses.
const SIGNS: [(&str, BanSignal); 6] = [
    ("not-found", BanSignal::NotFound),
    ("auth-failure", BanSignal::AuthFailure),
    ("waf-block", BanSignal::WafBlock),
    ("limit", BanSignal::Limit),
    ("malformed", BanSignal::Malformed),
    ("challenge-failure", BanSignal::ChallengeFailure),
];

impl Decoder<'_> {
    #[expect(clippy::option_option, reason = "`challenge off` is such a line too")]
    pub(super) fn challenge(&mut self, block: &Item) -> Option<Option<Challenge>> {
        if self.says_off(block, "challenge always") {
            return Some(None);
        }
        let when = [
            ("always", ChallengeWhen::Always),
            ("when-busy", ChallengeWhen::WhenBusy),
            ("suspicious", ChallengeWhen::Suspicious),
        ];
        let when = self.ok(values::choice(block.value(0)?, &when, &[]));
        let mut challenge = Challenge {
            when: when.unwrap_or(Spanned::new(ChallengeWhen::Always, block.span)),
            difficulty: Setting::default_of(16),
            ttl: Setting::default_of(Duration::from_secs(3600)),
            bind: Setting::default_of(ChallengeBind::ClientIp),
            no_script: Setting::default_of(false),
            span: block.span,
        };
        for item in &block.children {
            match item.directive.name {
                "difficulty" => {
                    self.set(item, &mut challenge.difficulty, |text| values::number(text, 8, 24));
                }
                "ttl" => self.set(item, &mut challenge.ttl, |text| {
                    time_within(text, MINUTE, 30 * DAY, "1m to 30d")
                }),
                "bind" => self.set(item, &mut challenge.bind, |text| {
                    use ChallengeBind::{ClientIp, Nothing};
                    values::choice(text, &[("client-ip", ClientIp), ("none", Nothing)], &[])
                }),
                _ => self.set(item, &mut challenge.no_script, super::switch),
            }
        }
        when.map(|_| Some(challenge))
    }

    /// One `ban` line; `Some(None)`: those before it end.
    #[expect(clippy::option_option, reason = "`ban off` is such a line too")]
    pub(super) fn ban(&mut self, block: &Item) -> Option<Option<Ban>> {
        if self.says_off(block, "ban 10 within 1m for 1h on auth-failure") {
            return Some(None);
        }
        let count = self.ok(values::number(block.value(0)?, 1, 1_000_000));
        let (mut within, mut time, mut on) = (None, None, Vec::new());
        let mut per = Setting::default_of(ClientPrefixes::DEFAULT);
        for item in &block.children {
            match item.directive.name {
                "within" => {
                    self.fill(item, &mut within, |text| time_within(text, SECOND, DAY, "1s to 1d"))
                }
                "for" => self
                    .fill(item, &mut time, |text| time_within(text, SECOND, 30 * DAY, "1s to 30d")),
                "on" => {
                    for text in &item.values {
                        let sign = self.ok(signal(text));
                        on.extend(sign.filter(|_| !item.is_off()));
                    }
                }
                _ => {
                    if let Some(prefixes) = self.client(item).filter(|_| !item.is_off()) {
                        per = prefixes.into();
                    }
                }
            }
        }
        if on.len() > LISTED_MAX {
            let message = format!("more than {LISTED_MAX} signs in one `ban`");
            self.say(Diagnostic::error("E0110", block.span, message));
        }
        self.check_ban_words(block);
        if on.is_empty() {
            return None;
        }
        Some(Some(Ban { count: count?, within: within?, time: time?, on, per, span: block.span }))
    }

    /// Without a time, or without a sign, a ban says nothing.
    fn check_ban_words(&mut self, block: &Item) {
        let has = |word: &str| {
            let mut words = block.children.iter().filter(|item| block.is_off() || !item.is_off());
            words.any(|item| item.directive.name == word)
        };
        let missing: Vec<&str> =
            ["within", "for", "on"].into_iter().filter(|word| !has(word)).collect();
        if !missing.is_empty() && !block.damaged {
            let message = format!("`ban` misses `{}`", missing.join("`, `"));
            let error = Diagnostic::error("E0255", block.span, message);
            self.say(error.help("it is written `ban 10 within 1m for 1h on auth-failure`"));
        }
    }

    /// Signs that nothing in the route ever gives.
    pub(super) fn check_bans(&mut self, site: &Site) {
        let (mut said, mut seen) = (HashSet::new(), HashSet::new());
        for route in &site.routes {
            let bans = &route.options.guard.bans;
            if bans.len() > LISTED_MAX && said.insert(route.span) {
                let message = format!("more than {LISTED_MAX} bans in one route");
                self.say(Diagnostic::error("E0110", route.span, message));
            }
        }
        // A line of the site counts in all its routes: one that gives the sign is enough.
        let bans = site.routes.iter().flat_map(|route| &route.options.guard.bans);
        for ban in bans.filter(|ban| seen.insert(ban.span)) {
            let with = |sign| {
                let has = |route: &&crate::Route| {
                    route.options.guard.bans.iter().any(|other| other.span == ban.span)
                };
                site.routes.iter().filter(has).any(|route| gives(&route.options, sign))
            };
            for sign in ban.on.iter().filter(|sign| !with(sign.value)) {
                if said.insert(sign.span) {
                    let warning = Diagnostic::warning(
                        "W0327",
                        sign.span,
                        "nothing here ever gives this sign",
                    );
                    self.say(warning.help(needed(sign.value)));
                }
            }
        }
    }
}

/// Whether a route may give a sign.
fn gives(options: &RouteOptions, sign: BanSignal) -> bool {
    let guard = &options.guard;
    match sign {
        BanSignal::NotFound | BanSignal::Malformed | BanSignal::Statuses(_) => true,
        BanSignal::AuthFailure => {
            guard.basic_auth.is_some()
                || guard.api_key.is_some()
                || guard.jwt.is_some()
                || guard.forward_auth.is_some()
                || guard.oidc.is_some()
        }
        BanSignal::WafBlock => options.waf.is_some(),
        BanSignal::Limit => {
            !guard.limits.is_empty() || guard.connections.is_some() || guard.concurrency.is_some()
        }
        BanSignal::ChallengeFailure => guard.challenge.is_some(),
    }
}

fn needed(sign: BanSignal) -> &'static str {
    match sign {
        BanSignal::AuthFailure => {
            "it needs basic-auth, api-key, jwt, oidc or forward-auth; an upstream's own refusals are statuses: `on 401 403`"
        }
        BanSignal::WafBlock => "it needs a `waf` line",
        BanSignal::Limit => "it needs a `limit`, `connections` or `concurrency` line",
        _ => "it needs a `challenge` line",
    }
}

fn signal(text: &Text) -> Value<BanSignal> {
    if text.text.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(values::statuses(text)?.map(BanSignal::Statuses));
    }
    let found = SIGNS.iter().find(|(word, _)| *word == text.text);
    if let Some((_, sign)) = found {
        return Ok(Spanned::new(*sign, text.span));
    }
    let message = format!("`{}` is no sign of abuse", text.shown());
    let error = Diagnostic::error("E0255", text.span, message);
    let words = SIGNS.map(|(word, _)| word);
    Err(match nearest(&text.text, words) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help(format!("signs are {}, and statuses such as 401", words.join(", "))),
    })
}
