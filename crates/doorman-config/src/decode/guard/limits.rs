//! `limit`, `connections`, `concurrency` and `throttle`.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::Decoder;
use crate::item::{Item, Text};
use crate::values::{self, Value};
use crate::{
    ClientPrefixes, ConcurrencyLimit, ConnectionsLimit, Diagnostic, Limit, LimitKey, LimitMode,
    RequestRate, Setting, Site, Span, Spanned, Throttle,
};

/// Requests of a rate: above, no clock tells them apart.
const RATE_MAX: u64 = 100_000_000;

/// Requests that may come at once.
const BURST_MAX: u64 = 10_000_000;

/// Requests and connections that are counted at once.
const AT_ONCE_MAX: u64 = 1_000_000;

/// Limits of one route: each is looked up for every request.
const LIMITS_MAX: usize = 32;

/// The longest wait of a client that still makes sense.
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// Bytes of a second: below, a page takes minutes and holds its connection; above, nothing is held back.
const THROTTLE_BYTES: (u64, u64) = (1 << 10, 64 << 30);

impl Decoder<'_> {
    /// One `limit` line; `Some(None)`: those before it end.
    #[expect(clippy::option_option, reason = "`limit off` is a limit line too")]
    pub(super) fn limit(&mut self, block: &Item) -> Option<Option<Limit>> {
        if self.says_off(block, "limit 100/s") {
            return Some(None);
        }
        let rate = self.ok(request_rate(block.value(0)?));
        let mut limit = Limit {
            name: None,
            rate: rate.unwrap_or(Spanned::new(
                RequestRate { count: 1, per: Duration::from_secs(1) },
                block.span,
            )),
            burst: Setting::default_of(1),
            per: vec![Spanned::new(LimitKey::ClientIp(ClientPrefixes::DEFAULT), block.span)],
            mode: LimitMode::Enforce,
            status: Setting::default_of(429),
            fields: Setting::default_of(true),
            keys: Setting::default_of(Limit::KEYS),
            span: block.span,
        };
        limit.burst.value = burst_of(limit.rate.value);
        for item in &block.children {
            match item.directive.name {
                "name" => self.fill(item, &mut limit.name, values::name),
                "burst" => self.set(item, &mut limit.burst, burst),
                "per" => {
                    let keys = self.keys(item).filter(|_| !item.is_off());
                    limit.per = keys.unwrap_or(limit.per);
                }
                "shadow" if !item.is_off() => limit.mode = LimitMode::Shadow,
                "status" => self.set(item, &mut limit.status, |text| {
                    values::choice(text, &[("429", 429), ("503", 503)], &[])
                }),
                "rate-header" => self.set(item, &mut limit.fields, super::switch),
                "keys" => {
                    self.set(item, &mut limit.keys, |text| values::number(text, 1_000, 16_777_216))
                }
                _ => {}
            }
        }
        rate.map(|_| Some(limit))
    }

    #[expect(clippy::option_option, reason = "`connections off` is such a line too")]
    pub(super) fn connections_limit(&mut self, block: &Item) -> Option<Option<ConnectionsLimit>> {
        if self.says_off(block, "connections 20") {
            return Some(None);
        }
        let most = self.ok(at_once(block.value(0)?));
        let mut per = Setting::default_of(ClientPrefixes::DEFAULT);
        for item in &block.children {
            if let Some(prefixes) = self.client(item).filter(|_| !item.is_off()) {
                per = prefixes.into();
            }
        }
        Some(Some(ConnectionsLimit { most: most?, per, span: block.span }))
    }

    #[expect(clippy::option_option, reason = "`concurrency off` is such a line too")]
    pub(super) fn concurrency_limit(&mut self, block: &Item) -> Option<Option<ConcurrencyLimit>> {
        if self.says_off(block, "concurrency 100") {
            return Some(None);
        }
        let most = self.ok(at_once(block.value(0)?));
        let mut limit = ConcurrencyLimit {
            most: most.unwrap_or(Spanned::new(1, block.span)),
            queue: Setting::default_of(0),
            timeout: Setting::default_of(Duration::from_secs(10)),
            per: vec![Spanned::new(LimitKey::All, block.span)],
            span: block.span,
        };
        for item in &block.children {
            match item.directive.name {
                "queue" => {
                    self.set(item, &mut limit.queue, |text| values::number(text, 1, AT_ONCE_MAX));
                }
                "timeout" => self.set(item, &mut limit.timeout, wait),
                _ => {
                    let keys = self.keys(item).filter(|_| !item.is_off());
                    limit.per = keys.unwrap_or(limit.per);
                }
            }
        }
        let has_queue = block.children.iter().any(|item| item.directive.name == "queue");
        if let Some(span) = limit.timeout.span.filter(|_| !has_queue && !block.damaged) {
            let message = "`timeout` without a `queue`: nobody waits";
            let error = Diagnostic::error("E0252", span, message);
            self.say(error.help("write `queue N` with it"));
        }
        most.map(|_| Some(limit))
    }

    #[expect(clippy::option_option, reason = "`throttle off` is such a line too")]
    pub(super) fn throttle(&mut self, block: &Item) -> Option<Option<Throttle>> {
        if self.says_off(block, "throttle 1MiB/s") {
            return Some(None);
        }
        let rate = self.ok(byte_rate(block.value(0)?));
        let mut after = Setting::default_of(0);
        for item in &block.children {
            self.set(item, &mut after, values::size);
        }
        Some(Some(Throttle { rate: rate?, after, span: block.span }))
    }

    /// Names that two limits of a site have, and routes with more limits than are looked up.
    pub(super) fn check_limits(&mut self, site: &Site) {
        let mut names: HashMap<&str, Span> = HashMap::new();
        let mut said: HashSet<Span> = HashSet::new();
        for route in &site.routes {
            let limits = &route.options.guard.limits;
            for name in limits.iter().filter_map(|limit| limit.name.as_ref()) {
                let first = *names.entry(&name.value).or_insert(name.span);
                if first != name.span && said.insert(name.span) {
                    let message = format!("a second limit `{}` in this site", name.value);
                    let error = Diagnostic::error("E0208", name.span, message);
                    self.say(error.also(first, "the first").help(
                        "give each its own name; one line in the site counts for all its routes",
                    ));
                }
            }
            if limits.len() > LIMITS_MAX && said.insert(route.span) {
                let message = format!("more than {LIMITS_MAX} limits in one route");
                self.say(Diagnostic::error("E0110", route.span, message));
            }
        }
    }
}

/// What the rate gives in a second, rounded up.
fn burst_of(rate: RequestRate) -> u32 {
    let seconds = u32::try_from(rate.per.as_secs()).unwrap_or(u32::MAX).max(1);
    rate.count.div_ceil(seconds).max(1)
}

fn burst(text: &Text) -> Value<u32> {
    values::number(text, 1, BURST_MAX).map_err(|error| match text.text.as_str() {
        "0" => error.help("with `burst 1`, requests pass one by one"),
        _ => error,
    })
}

fn at_once(text: &Text) -> Value<u32> {
    values::number(text, 1, AT_ONCE_MAX).map_err(|error| match text.text.as_str() {
        "0" => error.help("to let nobody in, answer with `respond 403`; for no bound, write off"),
        _ => error.help("write a number, or off"),
    })
}

fn wait(text: &Text) -> Value<Duration> {
    let time = values::duration(text)?;
    if time.value <= WAIT_MAX {
        return Ok(time);
    }
    Err(Diagnostic::error("E0304", text.span, "a wait of more than 1h")
        .help("no client waits so long"))
}

/// `100/s`, `600/m`, `1000/h`, `5000/d`.
fn request_rate(text: &Text) -> Value<RequestRate> {
    let written = text.text.as_str();
    if values::is_number(written) {
        return Err(values::unit_missing(text, "rate", &["/s", "/m", "/h"]));
    }
    let digits = written.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = written.split_at(digits);
    let seconds = match unit {
        "/s" => 1,
        "/m" => 60,
        "/h" => 3600,
        "/d" => 86_400,
        _ => return Err(no_rate(text, number, unit)),
    };
    let count = number.parse::<u64>().ok().filter(|count| *count <= RATE_MAX);
    match count.and_then(|count| u32::try_from(count).ok()) {
        _ if digits == 0 => Err(no_rate(text, number, unit)),
        Some(0) => Err(Diagnostic::error("E0252", text.span, "a rate of zero lets nobody in")
            .help("to close a route, answer with `respond 403`; for no bound, write `limit off`")),
        Some(count) => {
            let rate = RequestRate { count, per: Duration::from_secs(seconds) };
            Ok(Spanned::new(rate, text.span))
        }
        None => {
            let message = format!("a rate of more than {RATE_MAX} requests");
            Err(Diagnostic::error("E0304", text.span, message))
        }
    }
}

fn no_rate(text: &Text, number: &str, unit: &str) -> Diagnostic {
    let message = format!("`{}` is not a rate", text.shown());
    let error = Diagnostic::error("E0252", text.span, message);
    let meant = match unit {
        "r/s" | "rps" | "/sec" | "/second" | "ps" => "s",
        "r/m" | "rpm" | "/min" | "/minute" => "m",
        "/hour" | "rph" => "h",
        "/day" => "d",
        _ => "",
    };
    if number.is_empty() || meant.is_empty() {
        error.help("rates are written 100/s, 600/m, 1000/h or 5000/d")
    } else {
        error.help(format!("did you mean `{number}/{meant}`?"))
    }
}

/// `1MiB/s`.
fn byte_rate(text: &Text) -> Value<u64> {
    let Some(size) = text.text.strip_suffix("/s") else {
        let message = format!("`{}` is not a rate of bytes", text.shown());
        let error = Diagnostic::error("E0252", text.span, message);
        let is_size = values::size(text).is_ok();
        return Err(if is_size {
            error.help(format!("write {}/s", text.shown()))
        } else {
            error.help("rates are written 512KiB/s or 1MiB/s; for no bound, write off")
        });
    };
    let size = Text { text: size.to_owned(), span: text.span, form: text.form.clone() };
    values::size_within(&size, THROTTLE_BYTES.0, THROTTLE_BYTES.1)
        .map_err(|error| error.help("write a rate from 1KiB/s to 64GiB/s, or off"))
}
