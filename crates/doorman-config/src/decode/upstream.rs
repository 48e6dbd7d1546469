//! The `upstream` block, and the upstreams that bare addresses of `proxy` lines make.

use super::Decoder;
use crate::address;
use crate::item::{Item, Text};
use crate::table::{self, Within};
use crate::values;
use crate::{
    Balance, BalanceOptions, Diagnostic, FastCgi, Pool, ProxyProtocol, RouteTimeouts, Scheme,
    Server, ServerAddress, ServerHost, Setting, Span, Spanned, Upstream, UpstreamId,
    UpstreamOrigin, UpstreamProtocol, UpstreamTls, Verify,
};

/// Servers of one upstream. A pick costs the same with so many, but each has a pool of connections on every core: more
/// than this is a matter of several upstreams.
const SERVERS_MAX: usize = 10_000;

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
        if upstream.servers.is_empty() && upstream.discover.is_empty() && sound {
            self.say(
                Diagnostic::error(
                    "E0221",
                    name.span,
                    format!("upstream `{}` has no server", name.value),
                )
                .help("add a line such as `server 10.0.0.11:3000`, or `discover` some"),
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
                "resolve" => self.resolve(item, &mut upstream),
                "discover" => self.discover(item, &mut upstream),
                "balance" => self.balance(item, &mut upstream),
                "sticky" => upstream.sticky = self.sticky(item).or(upstream.sticky),
                "pool" => self.pool(item, &mut upstream.pool),
                "timeout" => upstream.timeouts = self.timeout(item).or(upstream.timeouts),
                "tls" => self.upstream_tls(item, &mut upstream.tls),
                "protocol" => self.set(item, &mut upstream.protocol, protocol),
                "proxy-protocol" => {
                    self.fill(item, &mut upstream.proxy_protocol, proxy_protocol);
                }
                "source" => self.fill(item, &mut upstream.source, values::ip),
                "health" | "passive" | "outlier" | "slow-start" | "fail-open" => {
                    self.upstream_health(item, &mut upstream);
                }
                "retry" | "breaker" | "queue" | "park" => self.resilience(item, &mut upstream),
                _ => self.fastcgi(item, &mut upstream.fastcgi),
            }
        }
        self.check_tls(&upstream);
        self.check_protocol(&upstream);
        self.check_source(&upstream);
        self.check_resolve(&upstream);
        self.check_announced(&upstream);
        self.check_fastcgi(block, &upstream);
        self.check_health(&upstream);
        self.check_queue(&upstream);
        upstream
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
                "cert" => self.fill(item, &mut tls.cert, |text| values::file(text, sources)),
                "key" => self.fill(item, &mut tls.key, |text| values::file(text, sources)),
                "pin" => {
                    for text in &item.values {
                        let pin = self.ok(pin(text));
                        tls.pins.extend(pin.filter(|_| !item.is_off()));
                    }
                }
                "verify" => self.set(item, &mut tls.verify, |text| {
                    values::choice(text, &[("on", Verify::On), ("off", Verify::Off)], &[])
                }),
                _ => {}
            }
        }
    }

    fn check_tls(&mut self, upstream: &Upstream) {
        let secure = upstream.may_have(Scheme::Https);
        let tls = &upstream.tls;
        let written = [
            tls.ca.as_ref().map(|ca| ca.span),
            tls.name.as_ref().map(|name| name.span),
            tls.verify.span,
            tls.cert.as_ref().map(|cert| cert.span),
            tls.key.as_ref().map(|key| key.span),
            tls.pins.first().map(|pin| pin.span),
        ];
        let plain = !upstream.has_none() && !secure;
        if let Some(span) = written.into_iter().flatten().next().filter(|_| plain) {
            let message = "`tls` for an upstream without an https:// server";
            let help = "write `server https://HOST:PORT`, or remove `tls`";
            self.say(Diagnostic::error("E0223", span, message).help(help));
        }
        let alone = match (&tls.cert, &tls.key) {
            (Some(cert), None) => Some((cert.span, "`cert` without the file of its `key`")),
            (None, Some(key)) => Some((key.span, "`key` without the file of its `cert`")),
            _ => None,
        };
        if let Some((span, message)) = alone {
            let help = "it is written `tls { cert FILE; key FILE }`";
            self.say(Diagnostic::error("E0223", span, message).help(help));
        }
        // A pinned key is a check, and a sharper one.
        if tls.pins.is_empty()
            && let (Verify::Off, Some(span)) = (tls.verify.value, tls.verify.span)
        {
            self.say(
                Diagnostic::warning("W0304", span, "certificates of these servers are not checked")
                    .help("`tls ca FILE` trusts a CA of your own instead, `tls pin KEY` one key"),
            );
        }
    }

    /// HTTP/2 is settled by TLS, or known beforehand where there is none; HTTP/3 has TLS in it.
    fn check_protocol(&mut self, upstream: &Upstream) {
        let Some(span) = upstream.protocol.span else { return };
        let mut schemes = upstream.schemes();
        let (message, help) = match upstream.protocol.value {
            UpstreamProtocol::H2 if schemes.any(|scheme| scheme == Scheme::Http) => (
                "`protocol h2` for a server without https://",
                "HTTP/2 without TLS is written `protocol h2c`",
            ),
            UpstreamProtocol::H3 if schemes.any(|scheme| scheme == Scheme::Http) => (
                "`protocol h3` for a server without https://",
                "HTTP/3 is always under TLS: write `server https://HOST:PORT`",
            ),
            UpstreamProtocol::H2c if schemes.any(|scheme| scheme == Scheme::Https) => (
                "`protocol h2c` for a server with https://",
                "HTTP/2 over TLS is written `protocol h2`",
            ),
            UpstreamProtocol::Auto if !upstream.may_have(Scheme::Https) => (
                "`protocol auto` for an upstream without an https:// server",
                "only TLS can choose: write `protocol h1` or `protocol h2c`",
            ),
            _ => return,
        };
        if !upstream.has_none() {
            self.say(Diagnostic::error("E0223", span, message).help(help));
        }
    }

    /// A header names one client, so what carries it carries no other's requests.
    fn check_announced(&mut self, upstream: &Upstream) {
        use UpstreamProtocol::{Auto, H2, H2c, H3};
        let shared = match upstream.protocol.value {
            H2 | H2c | Auto => "HTTP/2",
            H3 => "HTTP/3",
            _ => return,
        };
        if let Some(version) = &upstream.proxy_protocol {
            let message = format!("a connection of {shared} carries the requests of many clients");
            let error = Diagnostic::error("E0224", version.span, message);
            let error = upstream.protocol.span.iter().fold(error, |e, at| e.also(*at, shared));
            self.say(
                error.help(
                    "write `protocol h1`, or remove the line: servers can read X-Forwarded-For",
                ),
            );
        }
    }

    /// A connection has one family: a source of the other one could reach no server.
    fn check_source(&mut self, upstream: &Upstream) {
        let Some(source) = &upstream.source else { return };
        if source.value.is_unspecified() || source.value.is_multicast() {
            let error = Diagnostic::error("E0306", source.span, "not an address of one machine");
            return self.say(error.help("remove `source` to leave the choice to the system"));
        }
        for server in &upstream.servers {
            if let ServerHost::Ip { ip, .. } = server.address.value.host
                && ip.is_ipv4() != source.value.is_ipv4()
            {
                let message = format!("{ip} can't be reached from {}", source.value);
                let error = Diagnostic::error("E0224", server.address.span, message)
                    .also(source.span, "the address that connections come from");
                self.say(error.help("IPv4 servers need an IPv4 source, IPv6 servers an IPv6 one"));
            }
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
    let server = Server::plain(text.text.clone(), address);
    let mut upstream = empty(name, UpstreamOrigin::Inline, text.span);
    upstream.servers.push(server);
    upstream
}

fn empty(name: Spanned<String>, origin: UpstreamOrigin, span: Span) -> Upstream {
    Upstream {
        name,
        origin,
        servers: Vec::new(),
        discover: Vec::new(),
        resolve: None,
        balance: Setting::default_of(Balance::RoundRobin),
        balancing: BalanceOptions::default(),
        sticky: None,
        pool: Pool::default(),
        timeouts: RouteTimeouts::default(),
        retry: None,
        breaker: None,
        queue: None,
        park: None,
        tls: UpstreamTls::default(),
        protocol: Setting::default_of(UpstreamProtocol::H1),
        fastcgi: FastCgi::default(),
        health: Vec::new(),
        passive: None,
        outlier: None,
        slow_start: None,
        fail_open: None,
        proxy_protocol: None,
        source: None,
        span,
    }
}

pub(super) fn proxy_protocol(text: &Text) -> values::Value<ProxyProtocol> {
    values::choice(text, &[("v1", ProxyProtocol::V1), ("v2", ProxyProtocol::V2)], &[])
}

fn protocol(text: &Text) -> values::Value<UpstreamProtocol> {
    use UpstreamProtocol::{Auto, FastCgi, H1, H2, H2c, H3};
    let here = [H1, H2, H2c, H3, Auto, FastCgi].map(|protocol| (protocol.word(), protocol));
    values::choice(text, &here, &[])
}

/// 32 bytes in base64 (RFC 4648 section 4).
fn pin(text: &Text) -> values::Value<[u8; 32]> {
    base64_32(text.text.as_bytes()).map(|pin| Spanned::new(pin, text.span)).ok_or_else(|| {
        let message = format!("`{}` is not the SHA-256 of a key in base64", text.shown());
        Diagnostic::error("E0319", text.span, message).help(
            "openssl x509 -in F -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64",
        )
    })
}

fn base64_32(text: &[u8]) -> Option<[u8; 32]> {
    // 32 bytes are 43 digits and one sign that fills the group.
    let digits = text.strip_suffix(b"=").filter(|digits| digits.len() == 43)?;
    let mut bytes = [0; 32];
    let (mut held, mut bits, mut at) = (0u32, 0u32, 0);
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            *bytes.get_mut(at)? = u8::try_from(held >> bits & 0xFF).ok()?;
            at += 1;
        }
        held &= 0xFF;
    }
    // What is left over of the last digit is no part of the value.
    (at == 32 && held & 0x3 == 0).then_some(bytes)
}

fn server_name(text: &Text) -> values::Value<String> {
    match address::host_pattern(text)?.value {
        crate::HostPattern::Name(name) => Ok(Spanned::new(name, text.span)),
        crate::HostPattern::Ip(ip) => Ok(Spanned::new(ip.to_string(), text.span)),
        _ => Err(Diagnostic::error("E0305", text.span, "a certificate is for one host here")),
    }
}
