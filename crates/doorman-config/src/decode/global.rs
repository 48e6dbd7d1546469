//! The `global` block.

use super::Decoder;
use crate::item::{Item, Text};
use crate::values::{self, Value};
use crate::{
    AccessFormat, AccessLog, Admin, BackgroundThreads, Diagnostic, ErrorLog, Global, Limits,
    LogLevel, LogTarget, Setting, SocketAddress, Spanned, Timeouts, WafLog, Workers,
};

/// Bounds of a head's size: below, browsers fail; above, a head is an attack.
const HEAD_BYTES: (u64, u64) = (1024, 1024 * 1024);

impl Decoder<'_> {
    pub(super) fn global(&mut self, block: &Item) -> Global {
        let mut global = Global::default();
        let sources = self.sources;
        let mut wanted = None;
        for item in &block.children {
            match item.directive.name {
                "admin" => {
                    let admin = self.admin(item);
                    if !item.is_off() {
                        global.admin = admin;
                    }
                }
                "email" => self.fill(item, &mut global.email, super::acme::email),
                "acme" => {
                    let acme = self.acme(item);
                    global.acme.extend(acme.filter(|_| !item.is_off()));
                }
                "metrics" => {
                    self.fill(item, &mut global.metrics, |text| values::socket(text, sources));
                }
                "log" => self.log(item, &mut global),
                "zone" => self.fill(item, &mut global.zone, values::name),
                "workers" => self.set(item, &mut global.workers, workers),
                "background-threads" => {
                    self.set(item, &mut global.background_threads, background_threads);
                }
                "data" => self.fill(item, &mut global.data, |text| values::file(text, sources)),
                "trusted-proxies" => {
                    for text in &item.values {
                        let range = self.ok(values::range(text));
                        global.trusted_proxies.extend(range.filter(|_| !item.is_off()));
                    }
                }
                "resolver" => self.resolvers(item, &mut global.resolvers),
                "http-port" => self.set(item, &mut global.http_port, port),
                "https-port" => self.set(item, &mut global.https_port, port),
                "bind" => {
                    for text in &item.values {
                        let ip = self.ok(values::ip(text));
                        global.bind.extend(ip.filter(|_| !item.is_off()));
                    }
                }
                "tls-policy" => self.tls_policy(item, &mut global, &mut wanted),
                "drain" => self.set(item, &mut global.drain, values::duration_or_zero),
                "overload" => global.overload = self.overload(item).or(global.overload),
                "user" => global.user = self.process_user(item).or(global.user),
                "harden" => self.set(item, &mut global.harden, super::harden::harden),
                "desync" => self.set(item, &mut global.desync, super::listen::desync),
                "geo" => global.geo = self.geo(item).or(global.geo),
                "limits" => self.limits(item, &mut global.limits),
                "timeouts" => self.timeouts(item, &mut global.timeouts),
                _ => {}
            }
        }
        if let Some(name) = wanted
            && let Some(policy) = self.named_tls_policy(&name, &global)
        {
            global.tls_policy = Setting::written(policy, name.span);
        }
        self.check_directories(&global);
        self.check_ports(&global);
        self.check_request_line(&global.limits);
        global
    }

    /// Two lines for one authority would share one account and be asked in turn for nothing.
    fn check_directories(&mut self, global: &Global) {
        for (at, acme) in global.acme.iter().enumerate() {
            let mut before = global.acme[..at].iter();
            let same = before.find(|other| other.directory.value == acme.directory.value);
            if let Some(first) = same {
                let error = Diagnostic::error(
                    "E0208",
                    acme.directory.span,
                    "a second `acme` for this directory",
                );
                self.say(error.also(first.directory.span, "the first"));
            }
        }
    }

    fn check_ports(&mut self, global: &Global) {
        if global.http_port.value != global.https_port.value {
            return;
        }
        let span = global.https_port.span.or(global.http_port.span);
        if let Some(span) = span {
            let message = "plain HTTP and HTTPS cannot share a port";
            self.say(Diagnostic::error("E0212", span, message));
        }
    }

    fn check_request_line(&mut self, limits: &Limits) {
        let (line, head) = (limits.request_line, limits.header_bytes);
        if line.value <= head.value {
            return;
        }
        if let Some(span) = line.span.or(head.span) {
            let message = "`request-line` is larger than `header-bytes`, which holds it";
            self.say(Diagnostic::error("E0304", span, message));
        }
    }

    fn admin(&mut self, item: &Item) -> Option<Spanned<Admin>> {
        let mut token_file = None;
        let mut read_only = false;
        let sources = self.sources;
        for child in &item.children {
            match child.directive.name {
                "token-file" => {
                    self.fill(child, &mut token_file, |text| values::file(text, sources));
                }
                "read-only" => read_only = !child.is_off(),
                _ => {}
            }
        }
        let text = item.value(0)?;
        let address = self.ok(values::socket(text, sources))?;
        let local = match &address.value {
            SocketAddress::Unix(_) => true,
            SocketAddress::Ip(at) => at.ip().is_loopback(),
            SocketAddress::Any(_) => false,
        };
        if !local && token_file.is_none() {
            self.say(
                Diagnostic::error(
                    "E0220",
                    address.span,
                    "the admin API would be open to the network",
                )
                .help("add `token-file FILE`, or listen on unix:/path or 127.0.0.1"),
            );
        } else if !local {
            let message = "the token of the admin API crosses the network in the clear";
            self.say(
                Diagnostic::warning("W0328", address.span, message)
                    .help("listen on 127.0.0.1 and come by `ssh -L`, or through a site with TLS"),
            );
        }
        Some(Spanned::new(Admin { address: address.value, token_file, read_only }, item.span))
    }

    fn log(&mut self, item: &Item, global: &mut Global) {
        let Some(which) = item.value(0) else { return };
        let logs = ["access", "error", "waf"].map(|log| (log, log));
        let Some(log) = self.ok(values::choice(which, &logs, &[])) else { return };
        match log.value {
            "access" => {
                if let Some(log) = self.access_log(item).filter(|_| !item.is_off()) {
                    global.access_log = Setting::written(log, item.span);
                }
            }
            "error" => {
                if let Some(log) = self.error_log(item).filter(|_| !item.is_off()) {
                    global.error_log = Setting::written(log, item.span);
                }
            }
            _ => {
                if let Some(log) = self.waf_log(item).filter(|_| !item.is_off()) {
                    global.waf_log = Setting::written(log, item.span);
                }
            }
        }
    }

    fn waf_log(&mut self, item: &Item) -> Option<WafLog> {
        let formats = [("json", true), ("off", false)];
        let is_on = self.ok(values::choice(item.value(1)?, &formats, &[]))?.value;
        match (is_on, item.value(2)) {
            (true, _) => Some(WafLog::On(self.log_target(item, LogTarget::Stdout)?)),
            (false, None) => Some(WafLog::Off),
            (false, Some(extra)) => {
                let message = "`log waf off` takes no further value";
                self.say(Diagnostic::error("E0204", extra.span, message));
                None
            }
        }
    }

    fn access_log(&mut self, item: &Item) -> Option<AccessLog> {
        let format = item.value(1)?;
        let formats = [
            ("json", Some(AccessFormat::Json)),
            ("combined", Some(AccessFormat::Combined)),
            ("pretty", Some(AccessFormat::Pretty)),
            ("off", None),
        ];
        let Some(format) = self.ok(values::choice(format, &formats, &["ecs"]))?.value else {
            if let Some(extra) = item.value(2) {
                let message = "`log access off` takes no further value";
                self.say(Diagnostic::error("E0204", extra.span, message));
            }
            return Some(AccessLog::Off);
        };
        Some(AccessLog::On { format, to: self.log_target(item, LogTarget::Stdout)? })
    }

    fn error_log(&mut self, item: &Item) -> Option<ErrorLog> {
        let levels = [
            ("error", LogLevel::Error),
            ("warn", LogLevel::Warn),
            ("info", LogLevel::Info),
            ("debug", LogLevel::Debug),
            ("trace", LogLevel::Trace),
        ];
        let level = self.ok(values::choice(item.value(1)?, &levels, &[]))?.value;
        Some(ErrorLog { level, to: self.log_target(item, LogTarget::Stderr)? })
    }

    fn log_target(&mut self, item: &Item, unwritten: LogTarget) -> Option<LogTarget> {
        let Some(text) = item.value(2) else { return Some(unwritten) };
        match text.text.as_str() {
            "stdout" => Some(LogTarget::Stdout),
            "stderr" => Some(LogTarget::Stderr),
            _ => {
                let path = self.ok(values::file(text, self.sources))?;
                Some(LogTarget::File(path.value))
            }
        }
    }

    fn limits(&mut self, block: &Item, limits: &mut Limits) {
        let head = |text: &Text| values::size_within(text, HEAD_BYTES.0, HEAD_BYTES.1);
        for item in &block.children {
            match item.directive.name {
                "header-bytes" => self.set(item, &mut limits.header_bytes, head),
                "headers" => {
                    self.set(item, &mut limits.headers, |text| values::number(text, 1, 10_000));
                }
                "request-line" => self.set(item, &mut limits.request_line, head),
                "h2-streams" => {
                    self.set(item, &mut limits.h2_streams, |text| values::number(text, 1, 100_000));
                }
                "h3-streams" => {
                    self.set(item, &mut limits.h3_streams, |text| values::number(text, 1, 100_000));
                }
                "connections" => self.set(item, &mut limits.connections, count),
                "client-connections" => self.fill(item, &mut limits.client_connections, count),
                "requests-per-connection" => {
                    let slot = &mut limits.requests_per_connection;
                    self.fill(item, slot, |text| values::number(text, 1, u64::from(u32::MAX)));
                }
                "body" => self.fill(item, &mut limits.body, values::size),
                _ => {}
            }
        }
    }

    fn timeouts(&mut self, block: &Item, timeouts: &mut Timeouts) {
        for item in &block.children {
            let slot = match item.directive.name {
                "head" => &mut timeouts.head,
                "body-idle" => &mut timeouts.body_idle,
                "write-idle" => &mut timeouts.write_idle,
                "keep-alive" => &mut timeouts.keep_alive,
                "tls-handshake" => &mut timeouts.tls_handshake,
                "connect" => &mut timeouts.connect,
                "response-head" => &mut timeouts.response_head,
                "response-idle" => &mut timeouts.response_idle,
                "tunnel-idle" => &mut timeouts.tunnel_idle,
                _ => continue,
            };
            self.set(item, slot, values::duration);
        }
    }
}

fn count(text: &Text) -> Value<u32> {
    values::number(text, 1, 100_000_000)
}

fn port(text: &Text) -> Value<u16> {
    values::number(text, 1, 65_535)
}

fn workers(text: &Text) -> Value<Workers> {
    /// More threads than any machine has cores.
    const WORKERS_MAX: u64 = 1024;
    if text.text == "auto" {
        return Ok(Spanned::new(Workers::Auto, text.span));
    }
    let count = values::number(text, 1, WORKERS_MAX)
        .map_err(|error| error.help("write auto, or a number"))?;
    Ok(count.map(Workers::Count))
}

fn background_threads(text: &Text) -> Value<BackgroundThreads> {
    /// Each may hold an image, so more of them would be more memory than work.
    const THREADS_MAX: u64 = 256;
    if text.text == "auto" {
        return Ok(Spanned::new(BackgroundThreads::Auto, text.span));
    }
    let count = values::number(text, 1, THREADS_MAX)
        .map_err(|error| error.help("write auto, or a number"))?;
    Ok(count.map(BackgroundThreads::Count))
}
