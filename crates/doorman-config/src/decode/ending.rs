//! What a route asks of a request, and what becomes of it.

use super::Decoder;
use super::options::Line;
use crate::address;
use crate::item::{Item, Text};
use crate::values;
use crate::{
    Condition, Diagnostic, Ending, PathPattern, Protocol, Redirect, Respond, RouteTimeouts, Span,
    Spanned, StickyShare, Target, ValueMatch,
};

/// A share of everything.
const WHOLE: u32 = 10_000;

/// Targets of one `proxy`: shares between versions and places, not between servers.
const TARGETS_MAX: usize = 64;

/// Nesting of `when not not ...`.
const NOT_DEPTH_MAX: usize = 4;

/// Conditions on the method that a route takes: tokens, in upper case by custom.
pub(super) type Head = (Vec<Spanned<String>>, Spanned<PathPattern>);

impl Decoder<'_> {
    /// `[METHOD...] PATH`.
    pub(super) fn route_head(&mut self, item: &Item) -> Option<Head> {
        let is_path = |text: &Text| text.text.starts_with(['/', '*', '~']);
        let count = item.values.iter().take_while(|text| !is_path(text)).count();
        let (methods, rest) = item.values.split_at(count);
        let methods: Vec<_> = methods.iter().map(|text| self.method(text)).collect();
        let path = match rest {
            [tilde, regex] if tilde.text == "~" => {
                let regex = self.ok(values::regex(regex))?;
                let span = tilde.span.to(regex.span);
                Spanned::new(PathPattern::Regex(regex.value), span)
            }
            [path] if path.text != "~" => self.ok(address::path(path))?,
            [] | [_] => {
                let span = rest.first().map_or(item.span, |tilde| tilde.span);
                self.say(
                    Diagnostic::error("E0311", span, "a route needs a path")
                        .help("write /exact, /prefix/*, /a/*/b, * or ~ REGEX"),
                );
                return None;
            }
            [_, extra, ..] => {
                let message = format!("`{}` stands behind the path of the route", extra.shown());
                self.say(
                    Diagnostic::error("E0311", extra.span, message)
                        .help("a route has one path; write a route for each, or `~ REGEX`")
                        .help("methods stand in front of the path, conditions behind `when`"),
                );
                return None;
            }
        };
        let methods: Option<Vec<_>> = methods.into_iter().collect();
        Some((methods?, path))
    }

    fn method(&mut self, text: &Text) -> Option<Spanned<String>> {
        self.ok(method(text))
    }

    pub(super) fn condition(&mut self, item: &Item) -> Option<Spanned<Condition>> {
        let condition = self.condition_of(&item.values, item.span, 0)?;
        Some(Spanned::new(condition, item.span))
    }

    fn condition_of(&mut self, values: &[Text], span: Span, depth: usize) -> Option<Condition> {
        let (what, rest) = values.split_first()?;
        let kinds = [
            ("header", 0),
            ("query", 1),
            ("cookie", 2),
            ("method", 3),
            ("client", 4),
            ("host", 5),
            ("protocol", 6),
            ("not", 7),
        ];
        let kind = self.ok(values::choice(what, &kinds, &[]))?.value;
        let Some(first) = rest.first() else {
            let message = format!("`when {}` misses a value", what.shown());
            self.say(Diagnostic::error("E0204", span, message));
            return None;
        };
        match kind {
            0..=2 => self.named_condition(kind, first, &rest[1..]),
            3 => {
                let methods: Vec<_> = rest.iter().map(|text| self.method(text)).collect();
                let methods: Option<Vec<_>> = methods.into_iter().collect();
                Some(Condition::Method(methods?.into_iter().map(|method| method.value).collect()))
            }
            4 => {
                let ranges: Vec<_> = rest.iter().map(|text| self.ok(values::range(text))).collect();
                let ranges: Option<Vec<_>> = ranges.into_iter().collect();
                Some(Condition::Client(ranges?.into_iter().map(|range| range.value).collect()))
            }
            6 => {
                let known = [("h1", Protocol::H1), ("h2", Protocol::H2), ("h3", Protocol::H3)];
                let mut protocols = Vec::new();
                for text in rest {
                    protocols.push(self.ok(values::choice(text, &known, &[]))?.value);
                }
                Some(Condition::Protocol(protocols))
            }
            5 if rest.len() == 1 => {
                Some(Condition::Host(self.ok(address::host_pattern(first))?.value))
            }
            7 if depth < NOT_DEPTH_MAX => {
                Some(Condition::Not(Box::new(self.condition_of(rest, span, depth + 1)?)))
            }
            _ => {
                let extra = rest.get(1).map_or(span, |extra| extra.span);
                let message = format!("`when {}` takes no further value", what.shown());
                self.say(
                    Diagnostic::error("E0204", extra, message)
                        .help("write one `when` for each condition"),
                );
                None
            }
        }
    }

    pub(super) fn named_condition(
        &mut self,
        kind: u8,
        name: &Text,
        rest: &[Text],
    ) -> Option<Condition> {
        let value = match rest {
            [] => ValueMatch::Present,
            [tilde, regex] if tilde.text == "~" => {
                ValueMatch::Regex(self.ok(values::regex(regex))?.value)
            }
            [value] if value.text != "~" => ValueMatch::Exact(value.text.clone()),
            [first, ..] => {
                let span = rest.last().map_or(first.span, |last| first.span.to(last.span));
                self.say(
                    Diagnostic::error("E0204", span, "a condition has one value, or ~ and a regex")
                        .help("a value with spaces stands in quotes"),
                );
                return None;
            }
        };
        if kind == 0 {
            let name = self.ok(values::field(name))?.value;
            return Some(Condition::Header { name, value });
        }
        let cookie = kind == 2;
        if name.text.is_empty() || (cookie && !doorman_http::is_token(name.text.as_bytes())) {
            let message = format!("`{}` cannot be the name", name.shown());
            self.say(Diagnostic::error("E0310", name.span, message));
            return None;
        }
        let name = name.text.clone();
        Some(if cookie {
            Condition::Cookie { name, value }
        } else {
            Condition::Query { name, value }
        })
    }

    /// `proxy`, `redirect` or `respond`; `proxy` may bring options.
    pub(super) fn ending(&mut self, item: &Item) -> Option<(Spanned<Ending>, Vec<Line>)> {
        let mut own = Vec::new();
        let ending = match item.directive.name {
            "proxy" => {
                let targets = self.targets(item);
                for child in &item.children {
                    match child.directive.name {
                        "idle-timeout" => {
                            let mut timeouts = RouteTimeouts::default();
                            self.fill(child, &mut timeouts.idle, values::duration);
                            own.push(Line::Timeouts(timeouts));
                        }
                        _ => {
                            let share = self.sticky_share(child, targets.as_deref());
                            own.extend(share.filter(|_| !child.is_off()).map(Line::StickyShare));
                        }
                    }
                }
                Ending::Proxy(targets?)
            }
            "redirect" => self.redirect(item)?,
            _ => self.respond(item)?,
        };
        Some((Spanned::new(ending, item.span), own))
    }

    fn sticky_share(
        &mut self,
        item: &Item,
        targets: Option<&[Spanned<Target>]>,
    ) -> Option<Spanned<StickyShare>> {
        if targets.is_some_and(|targets| targets.len() == 1) {
            let message = "there is one target, so no client has a choice";
            let error = Diagnostic::error("E0230", item.span, message);
            self.say(error.help("name another one, or remove `sticky-share`"));
            return None;
        }
        let by = item.value(0)?;
        let share = match (by.text.as_str(), item.value(1)) {
            ("cookie", Some(name)) => {
                StickyShare::Cookie(self.ok(super::sticky::cookie_name(name))?.value)
            }
            ("cookie", None) => {
                let error = Diagnostic::error("E0204", item.span, "the cookie has no name");
                self.say(error.help("it is written `sticky-share cookie NAME`"));
                return None;
            }
            (_, Some(extra)) => {
                let message = format!("`{}` stands behind the key", extra.shown());
                let error = Diagnostic::error("E0204", extra.span, message);
                self.say(error.help("a key with spaces stands in quotes"));
                return None;
            }
            ("client-ip", None) => StickyShare::ClientIp,
            _ => StickyShare::Key(self.ok(key(by))?.value),
        };
        Some(Spanned::new(share, item.span))
    }

    fn targets(&mut self, item: &Item) -> Option<Vec<Spanned<Target>>> {
        let mut found: Vec<(Spanned<crate::UpstreamId>, Option<Spanned<u32>>)> = Vec::new();
        let mut lost = false;
        for text in &item.values {
            let percent = text.text.ends_with('%');
            match found.last_mut() {
                Some((_, share @ None)) if percent => match values::share(text) {
                    Ok(written) => *share = Some(written),
                    Err(error) => {
                        self.say(error);
                        lost = true;
                    }
                },
                _ if percent && !lost => {
                    let message =
                        format!("the share {} has no upstream in front of it", text.shown());
                    self.say(Diagnostic::error("E0316", text.span, message));
                    lost = true;
                }
                _ => match self.target(text) {
                    Some(id) => found.push((Spanned::new(id, text.span), None)),
                    None => lost = true,
                },
            }
        }
        if found.len() > TARGETS_MAX {
            let message = format!("more than {TARGETS_MAX} targets in one `proxy`");
            self.say(
                Diagnostic::error("E0110", item.span, message).help("put them into one upstream"),
            );
            return None;
        }
        if lost {
            return None;
        }
        self.shares(item, &found)
    }

    fn shares(
        &mut self,
        item: &Item,
        found: &[(Spanned<crate::UpstreamId>, Option<Spanned<u32>>)],
    ) -> Option<Vec<Spanned<Target>>> {
        for (at, (target, _)) in found.iter().enumerate() {
            if let Some((first, _)) =
                found[..at].iter().find(|(first, _)| first.value == target.value)
            {
                let error =
                    Diagnostic::error("E0208", target.span, "the same target twice in one `proxy`");
                self.say(error.also(first.span, "the first"));
                return None;
            }
        }
        let written: Vec<u32> =
            found.iter().filter_map(|(_, share)| Some((*share)?.value)).collect();
        let target = |id: &Spanned<crate::UpstreamId>, share| {
            Spanned::new(Target { upstream: id.value, share }, id.span)
        };
        if written.is_empty() {
            let count = u32::try_from(found.len()).unwrap_or(u32::MAX).max(1);
            // What does not divide goes to the first ones, so that the sum is always the whole.
            let even = |at: usize| {
                let at = u32::try_from(at).unwrap_or(u32::MAX);
                WHOLE / count + u32::from(at < WHOLE % count)
            };
            return Some(
                found.iter().enumerate().map(|(at, (id, _))| target(id, even(at))).collect(),
            );
        }
        let sum: u64 = written.iter().map(|share| u64::from(*share)).sum();
        if written.len() < found.len() {
            let missing = found.iter().find(|(_, share)| share.is_none());
            let span = missing.map_or(item.span, |(id, _)| id.span);
            let error =
                Diagnostic::error("E0213", span, "some targets have a share and this has none");
            self.say(error.help("give every target its share, or none"));
            return None;
        }
        if sum != u64::from(WHOLE) {
            let (whole, part) = (sum / 100, sum % 100);
            let shown = if part == 0 { format!("{whole}%") } else { format!("{whole}.{part:02}%") };
            let message = format!("the shares add up to {shown}, not to 100%");
            self.say(Diagnostic::error("E0213", item.span, message));
            return None;
        }
        let all = found.iter().zip(written);
        Some(all.map(|((id, _), share)| target(id, share)).collect())
    }

    fn redirect(&mut self, item: &Item) -> Option<Ending> {
        const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];
        let text = item.value(0)?;
        let to = self.ok(values::head_value(text));
        let start = text.text.as_str();
        let good = ["http://", "https://", "/", "{"].iter().any(|sign| start.starts_with(sign))
            && !start.contains(' ');
        if !good {
            let message = format!("`{}` is not where a redirect can lead", text.shown());
            self.say(
                Diagnostic::error("E0315", text.span, message)
                    .help("write a URL such as https://example.com{uri}, or a path such as /new"),
            );
            return None;
        }
        let status = match item.value(1) {
            None => 302,
            Some(text) => {
                let status = self.ok(values::status(text, 300, 399))?.value;
                if !REDIRECTS.contains(&status) {
                    let message = format!("{status} is no status of a redirect");
                    let help = "write 301, 302, 303, 307 or 308";
                    self.say(Diagnostic::error("E0312", text.span, message).help(help));
                    return None;
                }
                status
            }
        };
        Some(Ending::Redirect(Redirect { to: to?, status }))
    }

    fn respond(&mut self, item: &Item) -> Option<Ending> {
        let status = self.ok(values::status(item.value(0)?, 200, 599));
        let body = match item.value(1) {
            None => None,
            Some(text) => Some(self.ok(values::template(text))?),
        };
        let status = status?.value;
        // RFC 9110 sections 15.3.5 and 15.4.5: these have no content.
        if let (204 | 304, Some(body)) = (status, &body) {
            let message = format!("a response with status {status} has no body");
            self.say(Diagnostic::error("E0312", body.span, message));
            return None;
        }
        Some(Ending::Respond(Respond { status, body }))
    }
}

/// A method, in upper case by custom.
pub(super) fn method(text: &Text) -> values::Value<String> {
    let token = doorman_http::is_token(text.text.as_bytes());
    if token && !text.text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Ok(Spanned::new(text.text.clone(), text.span));
    }
    let message = format!("`{}` is neither a method nor a path", text.shown());
    let error = Diagnostic::error("E0311", text.span, message);
    Err(if token {
        error
            .help(format!("methods are in upper case: {}", text.shown().to_uppercase()))
            .help("a path begins with /")
    } else {
        error.help("a path begins with /")
    })
}

/// What of a request is its key: text with at least one placeholder.
pub(super) fn key(text: &Text) -> values::Value<crate::Template> {
    let template = values::template(text)?;
    if template.value.as_text().is_none() {
        return Ok(template);
    }
    let message = format!("`{}` is the same for every request", text.shown());
    Err(Diagnostic::error("E0230", text.span, message)
        .help("write a placeholder, such as {cookie.sid}, {header.x-user} or {path}"))
}
