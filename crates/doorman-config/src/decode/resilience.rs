//! `retry`, `breaker`, `queue` and `park` of an upstream.

use std::time::Duration;

use super::Decoder;
use crate::item::{Item, Text};
use crate::suggest::nearest;
use crate::values;
use crate::{
    Breaker, Diagnostic, Failures, Park, Queue, Retry, RetryRules, Setting, Spanned, StatusRange,
    Upstream,
};

/// Tries of one request beside its first: what is sent to more servers than that is the request's fault.
const TRIES_MAX: u64 = 15;
/// Bytes of a body that may be kept: each request that is sent again holds as many.
const KEEP_MAX: u64 = 64 << 20;
/// Trials of a breaker: more are no trials.
const TRIALS_MAX: u64 = 1_000;
/// Requests that may wait. Each holds its connection.
const WAIT_MAX: u64 = 1_000_000;
/// The longest look back of a breaker, and the longest wait of a client that still makes sense.
const LONG: Duration = Duration::from_secs(3600);

/// Conditions by their words, beside statuses.
const CONDITIONS: [&str; 4] = ["connect-error", "timeout", "reset", "malformed"];

impl Decoder<'_> {
    pub(super) fn resilience(&mut self, item: &Item, upstream: &mut Upstream) {
        let (retry, breaker, queue, park) = match item.directive.name {
            "retry" => (self.retry(item), None, None, None),
            "breaker" => (None, Some(self.breaker(item)), None, None),
            "queue" => (None, None, self.queue(item), None),
            _ => (None, None, None, self.park(item)),
        };
        if !item.is_off() {
            upstream.retry = retry.or(upstream.retry.take());
            upstream.breaker = breaker.or(upstream.breaker.take());
            upstream.queue = queue.or(upstream.queue.take());
            upstream.park = park.or(upstream.park.take());
        }
    }

    fn retry(&mut self, item: &Item) -> Option<Retry> {
        let first = item.value(0)?;
        if first.text == "off" {
            if let Some(child) = item.children.first() {
                let message = "`retry off` has nothing to say more";
                let error = Diagnostic::error("E0235", child.span, message);
                self.say(error.help("write the number of further tries, or nothing behind `off`"));
            }
            return Some(Retry::Off(item.span));
        }
        let tries = match values::number(first, 1, TRIES_MAX) {
            Ok(tries) => Some(tries),
            Err(error) => {
                self.say(error.help("no retries at all are written `retry off`"));
                None
            }
        };
        let mut on = None;
        let mut rules = RetryRules {
            tries: tries.unwrap_or_else(|| Spanned::new(1, first.span)),
            on: Failures::default(),
            budget: Setting::default_of(2_000),
            try_timeout: None,
            unsafe_too: None,
            keep: Setting::default_of(64 << 10),
            span: item.span,
        };
        for child in &item.children {
            match child.directive.name {
                "on" => on = self.failures(child),
                "budget" => self.set(child, &mut rules.budget, values::share),
                "try-timeout" => self.fill(child, &mut rules.try_timeout, values::duration),
                "unsafe" if !child.is_off() => rules.unsafe_too = Some(child.span),
                "keep" => {
                    self.set(child, &mut rules.keep, |text| values::size_within(text, 0, KEEP_MAX))
                }
                _ => {}
            }
        }
        if on.is_none()
            && !item.damaged
            && !item.children.iter().any(|child| child.directive.name == "on")
        {
            let message = "`retry` does not say on what";
            let error = Diagnostic::error("E0235", item.span, message);
            self.say(
                error.help(format!("write `retry {} on connect-error 502 503`", rules.tries.value)),
            );
        }
        rules.on = on?.value;
        tries.map(|_| Retry::On(rules))
    }

    fn failures(&mut self, item: &Item) -> Option<Spanned<Failures>> {
        let mut failures = Failures::default();
        let mut sound = true;
        for text in &item.values {
            match text.text.as_str() {
                "connect-error" => failures.connect = true,
                "timeout" => failures.timeout = true,
                "reset" => failures.reset = true,
                "malformed" => failures.malformed = true,
                _ => match condition(text) {
                    Ok(range) => failures.statuses.push(range.value),
                    Err(error) => {
                        self.say(error);
                        sound = false;
                    }
                },
            }
        }
        (sound && !item.is_off()).then(|| Spanned::new(failures, item.span))
    }

    fn breaker(&mut self, block: &Item) -> Breaker {
        let mut breaker = Breaker {
            errors: Setting::default_of(Some(5_000)),
            min: Setting::default_of(20),
            within: Setting::default_of(Duration::from_secs(10)),
            on: None,
            open: Setting::default_of(Duration::from_secs(10)),
            trials: Setting::default_of(3),
            in_flight: None,
            span: block.span,
        };
        for item in &block.children {
            match item.directive.name {
                "errors" => self.set(item, &mut breaker.errors, share_or_off),
                "min" => {
                    self.set(item, &mut breaker.min, |text| values::number(text, 1, 1_000_000))
                }
                "within" => self.set(item, &mut breaker.within, |text| within(text, 1, LONG)),
                "on" => breaker.on = self.failures(item),
                "open" => self.set(item, &mut breaker.open, |text| within(text, 0, LONG)),
                "trials" => {
                    self.set(item, &mut breaker.trials, |text| values::number(text, 1, TRIALS_MAX))
                }
                "in-flight" => self
                    .fill(item, &mut breaker.in_flight, |text| values::number(text, 1, 10_000_000)),
                _ => {}
            }
        }
        if let (None, None, Some(span)) =
            (&breaker.errors.value, &breaker.in_flight, breaker.errors.span)
        {
            let message = "a breaker that nothing opens";
            let error = Diagnostic::error("E0235", span, message);
            self.say(error.help(
                "write a share such as `errors 50%`, or bound the requests: `in-flight 500`",
            ));
        }
        breaker
    }

    fn queue(&mut self, item: &Item) -> Option<Queue> {
        let requests = self.ok(values::number(item.value(0)?, 1, WAIT_MAX))?;
        let mut timeout = Setting::default_of(Duration::from_secs(10));
        for child in &item.children {
            self.set(child, &mut timeout, |text| within(text, 0, LONG));
        }
        Some(Queue { requests, timeout })
    }

    fn park(&mut self, item: &Item) -> Option<Park> {
        let timeout = self.ok(within(item.value(0)?, 0, LONG))?;
        let mut requests = Setting::default_of(1_000);
        let mut bytes = Setting::default_of(64 << 20);
        for child in &item.children {
            match child.directive.name {
                "requests" => {
                    self.set(child, &mut requests, |text| values::number(text, 1, WAIT_MAX));
                }
                "bytes" => self.set(child, &mut bytes, values::size),
                _ => {}
            }
        }
        Some(Park { timeout, requests, bytes })
    }

    /// Requests wait in a queue only when every server is full, which one without a bound never is.
    pub(super) fn check_queue(&mut self, upstream: &Upstream) {
        let Some(queue) = &upstream.queue else { return };
        let unbounded = upstream.servers.iter().find(|server| !server.is_bounded());
        if let Some(server) = unbounded {
            let message = "`queue` for servers of which one takes any number of requests";
            let error = Diagnostic::error("E0235", queue.requests.span, message)
                .also(server.address.span, "it is never full");
            self.say(error.help("bound each server: `server ADDRESS max-connections N`"));
        }
    }
}

fn condition(text: &Text) -> values::Value<StatusRange> {
    values::statuses(text).map_err(|error| {
        if text.text.starts_with(|c: char| c.is_ascii_digit()) {
            return error;
        }
        let message =
            format!("`{}` is not one of {} or a status", text.shown(), CONDITIONS.join(", "));
        let error = Diagnostic::error("E0307", text.span, message);
        match nearest(&text.text, CONDITIONS) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error,
        }
    })
}

fn share_or_off(text: &Text) -> values::Value<Option<u32>> {
    if text.text == "off" {
        return Ok(Spanned::new(None, text.span));
    }
    values::share(text).map(|share| share.map(Some))
}

/// A time from so many seconds to a bound.
fn within(text: &Text, least_seconds: u64, most: Duration) -> values::Value<Duration> {
    let time = values::duration(text)?;
    if (Duration::from_secs(least_seconds)..=most).contains(&time.value) {
        return Ok(time);
    }
    let least = if least_seconds == 0 { String::new() } else { format!("{least_seconds}s ") };
    let message = format!("`{}` is not within {least}to {}s", text.shown(), most.as_secs());
    Err(Diagnostic::error("E0304", text.span, message.replace("within to", "at most")))
}
