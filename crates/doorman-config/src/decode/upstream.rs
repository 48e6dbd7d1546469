//! The `upstream` block, and the upstreams that bare addresses of `proxy` lines make.

use super::Decoder;
use crate::address;
use crate::item::{Item, Text};
use crate::table::{self, Within};
use crate::values;
use crate::{
    Balance, Diagnostic, Pool, RouteTimeouts, Scheme, Server, ServerAddress, Setting, Span,
    Spanned, Upstream, UpstreamId, UpstreamOrigin, UpstreamProtocol, UpstreamTls, Verify,
};

/// Servers of one upstream. A pool of connections to each on every core makes more than this a matter of several
/// upstreams.
const SERVERS_MAX: usize = 2_048;

/// After so many diagnostics no names are compared any more: the work is the product of names and faults.
pub(super) const SUGGESTED_MAX: usize = 100;

impl Decoder<'_> {
    pub(super) fn upstream(&mut self, block: &Item) {
        let Some(text) = block.value(0) else { return };
        let Some(name) = self.ok(values::name(text)) else { return };
        let before = self.diagnostics.count();
        let upstream = self.upstream_block(block, name.clone());
        let sound = !block.damaged && self.diagnostics.count() == before;
        if block.is_off() {
            self.switched_off.insert(name.value, name.span);
            return;
        }
        if upstream.servers.is_empty() && sound {
            self.say(
                Diagnostic::error(
                    "E0221",
                    name.span,
                    format!("upstream `{}` has no server", name.value),
                )
                .help("add a line such as `server 10.0.0.11:3000`"),
            );
        }
        if let Some(first) = self.upstream_names.get(&name.value) {
            let first = self.upstreams.get(first.0 as usize).map(|first| first.name.span);
            let error = Diagnostic::error(
                "E0208",
                name.span,
                format!("a second upstream `{}`", name.value),
            );
            let error =
                first.into_iter().fold(error, |error, first| error.also(first, "the first"));
            return self.say(error);
        }
        self.add_upstream(upstream);
    }

    fn add_upstream(&mut self, upstream: Upstream) -> UpstreamId {
        let id = UpstreamId(u32::try_from(self.upstreams.len()).unwrap_or(u32::MAX));
        if upstream.origin == UpstreamOrigin::Named {
            self.upstream_names.insert(upstream.name.value.clone(), id);
        }
        self.used_upstreams.push(upstream.origin == UpstreamOrigin::Inline);
        self.upstreams.push(upstream);
        id
    }

    fn upstream_block(&mut self, block: &Item, name: Spanned<String>) -> Upstream {
        let mut upstream = empty(name, UpstreamOrigin::Named, block.span);
        for item in &block.children {
            match item.directive.name {
                "server" => {
                    let server = self.server(item);
                    if upstream.servers.len() == SERVERS_MAX {
                        let message = format!("more than {SERVERS_MAX} servers in one upstream");
                        self.say(Diagnostic::error("E0110", item.span, message));
                        break;
                    }
                    if let Some(server) = server.filter(|_| !item.is_off()) {
                        self.check_server(&upstream.servers, &server, item.span);
                        upstream.servers.push(server);
                    }
                }
                "balance" => self.set(item, &mut upstream.balance, balance),
                "pool" => self.pool(item, &mut upstream.pool),
                "timeout" => upstream.timeouts = self.timeout(item).or(upstream.timeouts),
                "tls" => self.upstream_tls(item, &mut upstream.tls),
                "protocol" => self.set(item, &mut upstream.protocol, |text| {
                    let later = ["h2", "h2c", "h3", "fastcgi", "auto"];
                    values::choice(text, &[("h1", UpstreamProtocol::H1)], &later)
                }),
                _ => {}
            }
        }
        self.check_tls(&upstream);
        upstream
    }

    fn server(&mut self, item: &Item) -> Option<Server> {
        let mut weight = Setting::default_of(1);
        let mut name = None;
        let mut max_connections = None;
        for child in &item.children {
            match child.directive.name {
                "weight" => self.set(child, &mut weight, |text| values::number(text, 1, 65_535)),
                "name" => self.fill(child, &mut name, values::name),
                "max-connections" => self
                    .fill(child, &mut max_connections, |text| values::number(text, 1, 10_000_000)),
                _ => {}
            }
        }
        let text = item.value(0)?;
        let address = self.ok(address::server(text, self.sources))?;
        let name = name.map_or_else(|| text.text.clone(), |name| name.value);
        Some(Server { address, name, weight, max_connections })
    }

    fn check_server(&mut self, servers: &[Server], server: &Server, span: Span) {
        let same = servers
            .iter()
            .find(|other| other.name == server.name || other.address.value == server.address.value);
        if let Some(first) = same {
            let message = if first.name == server.name {
                format!("a second server `{}` in this upstream", server.name)
            } else {
                "the same server twice in this upstream".to_owned()
            };
            self.say(
                Diagnostic::error("E0208", span, message)
                    .also(first.address.span, "the first")
                    .help("a larger part of the load is written `weight 2`"),
            );
        }
    }

    fn pool(&mut self, block: &Item, pool: &mut Pool) {
        for item in &block.children {
            match item.directive.name {
                "idle" => self.set(item, &mut pool.idle, |text| values::number(text, 0, 100_000)),
                "idle-timeout" => self.set(item, &mut pool.idle_timeout, values::duration),
                "max-age" => self.set(item, &mut pool.max_age, values::duration),
                "max-requests" => self.fill(item, &mut pool.max_requests, |text| {
                    values::number(text, 1, u64::from(u32::MAX))
                }),
                _ => {}
            }
        }
    }

    pub(super) fn timeout(&mut self, block: &Item) -> RouteTimeouts {
        let mut timeouts = RouteTimeouts::default();
        if block.children.is_empty() && !block.damaged {
            self.say(
                Diagnostic::error("E0204", block.span, "`timeout` misses a value")
                    .help("it is written `timeout connect|head|response|idle TIME`"),
            );
        }
        for item in &block.children {
            let slot = match item.directive.name {
                "connect" => &mut timeouts.connect,
                "head" => &mut timeouts.head,
                "response" => &mut timeouts.response,
                "idle" => &mut timeouts.idle,
                _ => continue,
            };
            self.fill(item, slot, values::duration);
        }
        timeouts
    }

    fn upstream_tls(&mut self, block: &Item, tls: &mut UpstreamTls) {
        let sources = self.sources;
        for item in &block.children {
            match item.directive.name {
                "ca" => self.fill(item, &mut tls.ca, |text| values::file(text, sources)),
                "name" => self.fill(item, &mut tls.name, server_name),
                "verify" => self.set(item, &mut tls.verify, |text| {
                    values::choice(text, &[("on", Verify::On), ("off", Verify::Off)], &[])
                }),
                _ => {}
            }
        }
    }

    fn check_tls(&mut self, upstream: &Upstream) {
        let secure = |server: &Server| server.address.value.scheme == Scheme::Https;
        let tls = &upstream.tls;
        let written = [
            tls.ca.as_ref().map(|ca| ca.span),
            tls.name.as_ref().map(|name| name.span),
            tls.verify.span,
        ];
        let plain = !upstream.servers.is_empty() && !upstream.servers.iter().any(secure);
        if let Some(span) = written.into_iter().flatten().next().filter(|_| plain) {
            let message = "`tls` for an upstream without an https:// server";
            let help = "write `server https://HOST:PORT`, or remove `tls`";
            self.say(Diagnostic::error("E0223", span, message).help(help));
        }
        if let (Verify::Off, Some(span)) = (tls.verify.value, tls.verify.span) {
            self.say(
                Diagnostic::warning("W0304", span, "certificates of these servers are not checked")
                    .help("`tls ca FILE` trusts a CA of your own instead"),
            );
        }
    }

    /// The upstream of a target: a name, or an address of its own.
    pub(super) fn target(&mut self, text: &Text) -> Option<UpstreamId> {
        if let Some(id) = self.upstream_names.get(&text.text) {
            if let Some(used) = self.used_upstreams.get_mut(id.0 as usize) {
                *used = true;
            }
            return Some(*id);
        }
        let number = text.text.bytes().all(|byte| byte.is_ascii_digit());
        if !number && !text.text.contains([':', '/', '[']) {
            self.unknown_upstream(text);
            return None;
        }
        let address = self.ok(address::server(text, self.sources))?;
        if let Some(id) = self.inline.get(&address.value) {
            return Some(*id);
        }
        let key = address.value.clone();
        let id = self.add_upstream(inline(text, address));
        self.inline.insert(key, id);
        Some(id)
    }

    fn unknown_upstream(&mut self, text: &Text) {
        let error = Diagnostic::error(
            "E0209",
            text.span,
            format!("there is no upstream `{}`", text.shown()),
        );
        if let Some(off) = self.switched_off.get(&text.text) {
            let error = error
                .also(*off, "it is switched off here")
                .help("take the `off` in front of it away");
            return self.say(error);
        }
        if self.diagnostics.count() > SUGGESTED_MAX {
            return self.say(error);
        }
        let mut names = super::names_of(self.upstream_names.keys());
        names.extend(table::allowed(Within::Proxy).map(|directive| directive.name));
        self.say(match crate::suggest::nearest(&text.text, names) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help(format!(
                "write `upstream {} {{ server HOST:PORT }}`, or an address with its port here",
                text.shown()
            )),
        });
    }
}

fn inline(text: &Text, address: Spanned<ServerAddress>) -> Upstream {
    let name = Spanned::new(text.text.clone(), text.span);
    let server = Server {
        name: text.text.clone(),
        address,
        weight: Setting::default_of(1),
        max_connections: None,
    };
    let mut upstream = empty(name, UpstreamOrigin::Inline, text.span);
    upstream.servers.push(server);
    upstream
}

fn empty(name: Spanned<String>, origin: UpstreamOrigin, span: Span) -> Upstream {
    Upstream {
        name,
        origin,
        servers: Vec::new(),
        balance: Setting::default_of(Balance::RoundRobin),
        pool: Pool::default(),
        timeouts: RouteTimeouts::default(),
        tls: UpstreamTls::default(),
        protocol: Setting::default_of(UpstreamProtocol::H1),
        span,
    }
}

fn balance(text: &Text) -> values::Value<Balance> {
    let here = [("round-robin", Balance::RoundRobin), ("least-requests", Balance::LeastRequests)];
    let later = [
        "least-connections",
        "least-bytes",
        "least-time",
        "random",
        "p2c",
        "peak-ewma",
        "hash",
        "maglev",
        "client-ip",
    ];
    values::choice(text, &here, &later)
}

fn server_name(text: &Text) -> values::Value<String> {
    match address::host_pattern(text)?.value {
        crate::HostPattern::Name(name) => Ok(Spanned::new(name, text.span)),
        crate::HostPattern::Ip(ip) => Ok(Spanned::new(ip.to_string(), text.span)),
        _ => Err(Diagnostic::error("E0305", text.span, "a certificate is for one host here")),
    }
}
