//! How an `upstream` block finds out which of its servers are ill.

use super::Decoder;
use crate::item::{Item, Text};
use crate::values::{self, Value};
use crate::{
    Diagnostic, HealthCheck, HealthKind, InitialHealth, ServerHost, Setting, Span, Spanned,
    StatusRange, Upstream, UpstreamProtocol,
};
use std::time::Duration;

/// Checks of one upstream: each is made of each server.
const CHECKS_MAX: usize = 8;
/// The shortest interval: more often asks servers rather than tells of them.
const EVERY_MIN: Duration = Duration::from_millis(100);
/// Bytes of a path, a host, a field's value or a service's name.
const TEXT_BYTES_MAX: usize = 1024;

/// Fields that frame a request or that the check sets by itself.
const KEPT: [&str; 8] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "expect",
];

impl Decoder<'_> {
    pub(super) fn health(&mut self, block: &Item, upstream: &mut Upstream) {
        let Some(kind) = self.health_kind(block) else { return };
        let mut check = of(kind, block.span);
        for item in &block.children {
            self.health_option(item, &mut check);
        }
        self.check_health_words(&check);
        if block.is_off() {
            return;
        }
        if upstream.health.len() == CHECKS_MAX {
            let message = format!("more than {CHECKS_MAX} checks of one upstream");
            return self.say(Diagnostic::error("E0110", block.span, message));
        }
        upstream.health.push(check);
    }

    fn health_kind(&mut self, block: &Item) -> Option<HealthKind> {
        let words: Vec<&Text> = block.values.iter().collect();
        match words[..] {
            [] => None,
            [one] if one.text == "tcp" => Some(HealthKind::Tcp),
            [one] if one.text == "grpc" => Some(HealthKind::Grpc(String::new())),
            [one, service] if one.text == "grpc" => {
                self.ok(grpc_service(service)).map(|service| HealthKind::Grpc(service.value))
            }
            [one, path] if one.text != "tcp" => {
                let (method, path) = (self.ok(method(one)), self.ok(target(path)));
                Some(HealthKind::Http(method?.value, path?.value))
            }
            [one, ..] => {
                let error =
                    Diagnostic::error("E0204", one.span, "this is not what a check can ask");
                self.say(error.help(
                    "it is written `health GET /path`, `health tcp` or `health grpc [SERVICE]`",
                ));
                None
            }
        }
    }

    fn health_option(&mut self, item: &Item, check: &mut HealthCheck) {
        match item.directive.name {
            "every" => self.set(item, &mut check.every, interval),
            "while-healthy" => self.fill(item, &mut check.while_healthy, interval),
            "timeout" => self.set(item, &mut check.timeout, values::duration),
            "fall" => self.set(item, &mut check.fall, |text| values::number(text, 1, 1_000)),
            "rise" => self.set(item, &mut check.rise, |text| values::number(text, 1, 1_000)),
            "port" => self.fill(item, &mut check.port, |text| values::number(text, 1, 65_535)),
            "host" => self.fill(item, &mut check.host, host),
            "initial" => self.set(item, &mut check.initial, |text| {
                let choices = [("up", InitialHealth::Up), ("down", InitialHealth::Down)];
                values::choice(text, &choices, &[])
            }),
            "header" => {
                let (Some(name), Some(value)) = (item.value(0), item.value(1)) else { return };
                let (name, value) = (self.ok(sent_field(name)), self.ok(field_value(value)));
                let (Some(name), Some(value)) = (name, value) else { return };
                if !item.is_off() {
                    check.headers.push(Spanned::new((name.value, value.value), item.span));
                }
            }
            "expect" => self.health_expect(item, check),
            _ => {}
        }
    }

    fn health_expect(&mut self, item: &Item, check: &mut HealthCheck) {
        let Some((what, rest)) = item.values.split_first() else { return };
        let rest: Vec<&Text> = rest.iter().collect();
        match (what.text.as_str(), &rest[..]) {
            ("status", ranges) => {
                for text in ranges {
                    let range = self.ok(statuses(text));
                    check.statuses.extend(range.filter(|_| !item.is_off()));
                }
            }
            ("body", [tilde, regex]) if tilde.text == "~" => {
                let regex = self.ok(values::regex(regex));
                check.body.extend(regex.filter(|_| !item.is_off()));
            }
            ("header", [name]) => {
                let name = self.ok(values::field(name)).filter(|_| !item.is_off());
                check.fields.extend(name.map(|name| name.map(|name| (name, None))));
            }
            ("header", [name, tilde, regex]) if tilde.text == "~" => {
                let (name, regex) = (self.ok(values::field(name)), self.ok(values::regex(regex)));
                if let (Some(name), Some(regex), false) = (name, regex, item.is_off()) {
                    let both = (name.value, Some(regex.value));
                    check.fields.push(Spanned::new(both, item.span));
                }
            }
            ("body" | "header", _) => {
                let error = Diagnostic::error("E0204", item.span, "this is no expectation");
                self.say(error.help(
                    "it is written `expect status 200-299`, `expect body ~ REGEX` or `expect header NAME [~ REGEX]`",
                ));
            }
            _ => {
                let words = [("status", ()), ("body", ()), ("header", ())];
                if let Err(error) = values::choice(what, &words, &[]) {
                    self.say(error);
                }
            }
        }
    }

    /// What a check without a request can't say or expect.
    fn check_health_words(&mut self, check: &HealthCheck) {
        let says = check.headers.iter().map(|header| (header.span, "header"));
        let hears = check.statuses.iter().map(|status| status.span);
        let hears = hears.chain(check.body.iter().map(|body| body.span));
        let hears = hears.chain(check.fields.iter().map(|field| field.span));
        let hears = hears.map(|span| (span, "expect"));
        let host = check.host.iter().map(|host| (host.span, "host"));
        let (word, mut foreign): (_, Vec<_>) = match &check.kind {
            HealthKind::Http(method, _) => {
                if let Some(body) = check.body.first().filter(|_| method == "HEAD") {
                    let message = "`expect body` of an answer to HEAD, which has none";
                    let error = Diagnostic::error("E0231", body.span, message);
                    self.say(error.help("write `health GET /path`"));
                }
                return;
            }
            HealthKind::Tcp => ("tcp", says.chain(hears).chain(host).collect()),
            HealthKind::Grpc(_) => ("grpc", says.chain(hears).collect()),
        };
        foreign.sort_by_key(|(span, _)| span.start);
        if let Some((span, option)) = foreign.first() {
            let message = format!("`{option}` for a check by `{word}`");
            let help = "checks such as `health GET /path` have fields and expectations";
            self.say(Diagnostic::error("E0231", *span, message).help(help));
        }
    }

    /// What the servers of this upstream can be asked; after the whole block is known.
    pub(super) fn check_health(&mut self, upstream: &Upstream) {
        for check in &upstream.health {
            let (message, help) = match (&check.kind, upstream.protocol.value) {
                (HealthKind::Http(..) | HealthKind::Grpc(_), UpstreamProtocol::FastCgi) => (
                    "a check by request of an upstream that speaks FastCGI",
                    "write `health tcp`, or check a page through `port` in an upstream of its own",
                ),
                (HealthKind::Grpc(_), UpstreamProtocol::H1) => (
                    "a check by gRPC of an upstream that speaks HTTP/1.1",
                    "gRPC is spoken over HTTP/2: write `protocol h2c`, or `protocol h2` with https:// servers",
                ),
                _ => {
                    self.check_health_port(check, upstream);
                    continue;
                }
            };
            let error = Diagnostic::error("E0231", check.span, message);
            let places = upstream.protocol.span.into_iter();
            let error = places.fold(error, |error, at| error.also(at, "the protocol"));
            self.say(error.help(help));
        }
    }

    fn check_health_port(&mut self, check: &HealthCheck, upstream: &Upstream) {
        let Some(port) = &check.port else { return };
        let is_unix = |host: &ServerHost| matches!(host, ServerHost::Unix(_));
        let socket = upstream.servers.iter().find(|server| is_unix(&server.address.value.host));
        if let Some(server) = socket {
            let error = Diagnostic::error("E0231", port.span, "a Unix socket has no port");
            let error = error.also(server.address.span, "the socket");
            self.say(error.help("remove `port`, or give the server an address"));
        }
    }
}

fn of(kind: HealthKind, span: Span) -> HealthCheck {
    HealthCheck {
        kind,
        every: Setting::default_of(Duration::from_secs(5)),
        while_healthy: None,
        timeout: Setting::default_of(Duration::from_secs(2)),
        fall: Setting::default_of(3),
        rise: Setting::default_of(2),
        port: None,
        host: None,
        headers: Vec::new(),
        statuses: Vec::new(),
        body: Vec::new(),
        fields: Vec::new(),
        initial: Setting::default_of(InitialHealth::Up),
        span,
    }
}

fn interval(text: &Text) -> Value<Duration> {
    let every = values::duration(text)?;
    if every.value >= EVERY_MIN {
        return Ok(every);
    }
    let message = format!("checks every {}", text.shown());
    Err(Diagnostic::error("E0304", text.span, message).help("100ms is the shortest interval"))
}

fn bounded(text: &Text, what: &str) -> Result<(), Diagnostic> {
    let sound = !text.text.is_empty()
        && text.text.len() <= TEXT_BYTES_MAX
        && text.text.bytes().all(|byte| byte.is_ascii_graphic());
    if sound {
        return Ok(());
    }
    let message = format!("`{}` is not {what} of visible ASCII", text.shown());
    Err(Diagnostic::error("E0231", text.span, message))
}

fn method(text: &Text) -> Value<String> {
    let found = doorman_http::Method::from_bytes(text.text.as_bytes());
    let lower = text.text.bytes().any(|byte| byte.is_ascii_lowercase());
    match found {
        Some(doorman_http::Method::Connect) | None => {
            let message = format!("`{}` is no method of a check", text.shown());
            Err(Diagnostic::error("E0231", text.span, message)
                .help("it is written `health GET /path`, `health tcp` or `health grpc [SERVICE]`"))
        }
        Some(_) if lower => {
            let message = format!("`{}` is no method: they are in upper case", text.shown());
            Err(Diagnostic::error("E0231", text.span, message)
                .help(format!("write `{}`", text.text.to_ascii_uppercase())))
        }
        Some(_) => Ok(Spanned::new(text.text.clone(), text.span)),
    }
}

fn target(text: &Text) -> Value<String> {
    bounded(text, "a path")?;
    let mut head = doorman_http::RequestHead::default();
    let sound = text.text.starts_with('/')
        && !text.text.contains('#')
        && head.set_path_and_query(text.text.as_bytes()).is_ok();
    if sound {
        return Ok(Spanned::new(text.text.clone(), text.span));
    }
    let message = format!("`{}` is not a path", text.shown());
    Err(Diagnostic::error("E0231", text.span, message).help("a path begins with `/`"))
}

fn grpc_service(text: &Text) -> Value<String> {
    bounded(text, "the name of a service")?;
    Ok(Spanned::new(text.text.clone(), text.span))
}

fn host(text: &Text) -> Value<String> {
    match doorman_http::target::authority(text.text.as_bytes()) {
        Ok(_) if text.text.len() <= TEXT_BYTES_MAX => {
            Ok(Spanned::new(text.text.clone(), text.span))
        }
        _ => {
            let message = format!("`{}` is not a host", text.shown());
            Err(Diagnostic::error("E0231", text.span, message)
                .help("write app.internal or app.internal:8080"))
        }
    }
}

fn sent_field(text: &Text) -> Value<String> {
    let name = values::field(text)?;
    if !KEPT.contains(&name.value.as_str()) {
        return Ok(name);
    }
    let message = format!("`{}` is not for a check to set", name.value);
    let error = Diagnostic::error("E0231", text.span, message);
    Err(if name.value == "host" { error.help("write `host NAME`") } else { error })
}

fn field_value(text: &Text) -> Value<String> {
    let sound =
        text.text.len() <= TEXT_BYTES_MAX && doorman_http::is_field_value(text.text.as_bytes());
    if sound {
        return Ok(Spanned::new(text.text.clone(), text.span));
    }
    Err(Diagnostic::error("E0310", text.span, "not the value of a field"))
}

/// `200`, `200-399`.
fn statuses(text: &Text) -> Value<StatusRange> {
    let bounds = text.text.split_once('-').unwrap_or((&text.text, &text.text));
    let read = |word: &str| word.parse::<u16>().ok().filter(|_| word.len() == 3);
    match (read(bounds.0), read(bounds.1)) {
        (Some(first), Some(last)) if first <= last && first >= 200 && last <= 599 => {
            Ok(Spanned::new(StatusRange { first, last }, text.span))
        }
        _ => {
            let message = format!("`{}` is not a status", text.shown());
            Err(Diagnostic::error("E0312", text.span, message)
                .help("write statuses from 200 to 599, or a range such as 200-299"))
        }
    }
}
