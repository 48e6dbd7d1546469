//! The `relay` block.

use std::collections::HashMap;

use super::Decoder;
use super::listen::clash;
use super::upstream::proxy_protocol;
use crate::address;
use crate::item::Item;
use crate::values;
use crate::{
    Diagnostic, Global, HostPattern, Listener, NamedTarget, Protocol, Relay, RelayProtocol, Scheme,
    ServerHost, Setting, SocketAddress, Span, Spanned, UpstreamId, UpstreamProtocol,
};

/// Connections at once where nothing is written: two descriptors each, so that a relay alone does not
/// use up what a process may have.
const CONNECTIONS: u32 = 10_000;

impl Decoder<'_> {
    pub(super) fn relays(
        &mut self,
        items: &[Item],
        global: &Global,
        listeners: &[Listener],
    ) -> Vec<Relay> {
        let mut relays: Vec<Relay> = Vec::new();
        for item in items.iter().filter(|item| item.directive.name == "relay") {
            let before = self.diagnostics.count();
            let Some(relay) = self.relay(item) else { continue };
            if item.is_off() {
                continue;
            }
            if self.diagnostics.count() == before && !item.damaged {
                self.check_relay(&relay);
                self.check_relay_address(&relay, &relays, global, listeners);
            }
            relays.push(relay);
        }
        relays
    }

    fn relay(&mut self, item: &Item) -> Option<Relay> {
        let address = self.ok(values::socket(item.value(0)?, self.sources));
        let mut protocol = Setting::default_of(RelayProtocol::Tcp);
        let mut connections = Setting::default_of(CONNECTIONS);
        let (mut target, mut announce, mut connect, mut idle) = (None, None, None, None);
        let (mut names, mut allow, mut deny) = (Vec::new(), Vec::new(), Vec::new());
        for child in &item.children {
            match child.directive.name {
                "proxy" => {
                    let found = child
                        .value(0)
                        .and_then(|text| self.target(text).map(|id| Spanned::new(id, text.span)));
                    target = found.filter(|_| !child.is_off()).or(target);
                }
                "protocol" => self.set(child, &mut protocol, |text| {
                    let words = [("tcp", RelayProtocol::Tcp), ("udp", RelayProtocol::Udp)];
                    values::choice(text, &words, &[])
                }),
                "sni" => names.extend(self.sni(child).filter(|_| !child.is_off())),
                "proxy-protocol" => self.fill(child, &mut announce, proxy_protocol),
                "allow" => self.ranges(child, &mut allow),
                "deny" => self.ranges(child, &mut deny),
                "connections" => {
                    self.set(child, &mut connections, |text| values::number(text, 1, 10_000_000))
                }
                "timeout" => {
                    let times = self.timeout(child);
                    for wrong in [times.head, times.response].into_iter().flatten() {
                        let message = "a relay knows no responses: it has `connect` and `idle`";
                        self.say(Diagnostic::error("E0226", wrong.span, message));
                    }
                    (connect, idle) = (times.connect.or(connect), times.idle.or(idle));
                }
                _ => {}
            }
        }
        Some(Relay {
            address: address?,
            protocol,
            target,
            names,
            proxy_protocol: announce,
            allow,
            deny,
            connections,
            connect,
            idle,
            span: item.span,
        })
    }

    fn ranges(&mut self, item: &Item, ranges: &mut Vec<Spanned<ipnet::IpNet>>) {
        for text in &item.values {
            let range = self.ok(values::range(text));
            ranges.extend(range.filter(|_| !item.is_off()));
        }
    }

    /// `sni HOST... TARGET`.
    fn sni(&mut self, item: &Item) -> Option<Spanned<NamedTarget>> {
        let (target, hosts) = item.values.split_last()?;
        if hosts.is_empty() {
            let message = "`sni` misses its hosts or its target";
            self.say(
                Diagnostic::error("E0204", item.span, message)
                    .help("it is written `sni HOST... TARGET`"),
            );
            return None;
        }
        let mut found = Vec::new();
        for host in hosts {
            let pattern = self.ok(address::host_pattern(host))?.value;
            if !matches!(pattern, HostPattern::Name(_) | HostPattern::Wildcard(_)) {
                let message = format!("`{}` is no name that TLS asks for", host.shown());
                self.say(
                    Diagnostic::error("E0226", host.span, message)
                        .help("write names; what asks for no name goes where `proxy` says"),
                );
                return None;
            }
            found.push(pattern);
        }
        let upstream = self.target(target)?;
        Some(Spanned::new(NamedTarget { hosts: found, upstream }, item.span))
    }

    fn check_relay(&mut self, relay: &Relay) {
        if relay.target.is_none() && relay.names.is_empty() {
            let error = Diagnostic::error("E0226", relay.span, "a relay without a target");
            return self.say(error.help("add `proxy HOST:PORT`, or `sni HOST HOST:PORT`"));
        }
        let udp = relay.protocol.value == RelayProtocol::Udp;
        let announced = relay.proxy_protocol.as_ref().map(|version| version.span);
        let named = relay.names.first().map(|name| name.span);
        if udp && let Some(span) = announced.or(named) {
            let message = "datagrams carry neither names nor a PROXY header";
            self.say(Diagnostic::error("E0226", span, message).help("remove the line"));
        }
        if udp && matches!(relay.address.value, SocketAddress::Unix(_)) {
            let message = "datagrams come to an address, not to a Unix socket";
            self.say(Diagnostic::error("E0226", relay.address.span, message));
        }
        let mut seen: HashMap<String, Span> = HashMap::new();
        for name in &relay.names {
            for host in &name.value.hosts {
                if let Some(first) = seen.insert(host.to_string(), name.span) {
                    let message = format!("{host} leads to two places");
                    let error = Diagnostic::error("E0208", name.span, message);
                    self.say(error.also(first, "the first"));
                }
            }
        }
        let targets = relay.target.iter().map(|target| (target.value, target.span));
        let named = relay.names.iter().map(|name| (name.value.upstream, name.span));
        let targets: Vec<_> = targets.chain(named).collect();
        for (id, span) in targets {
            self.check_relay_target(id, span, relay.protocol.value);
        }
    }

    /// Bytes are passed on as they are: what doorman would have to speak itself is not spoken.
    fn check_relay_target(&mut self, id: UpstreamId, span: Span, protocol: RelayProtocol) {
        let Some(upstream) = self.upstreams.get(id.0 as usize) else { return };
        let mut wrong = None;
        if upstream.protocol.value != UpstreamProtocol::H1 {
            let at = upstream.protocol.span.unwrap_or(span);
            wrong = Some((at, "a relay passes bytes on and speaks no `protocol` to servers"));
        }
        for server in &upstream.servers {
            let address = &server.address;
            if address.value.scheme == Scheme::Https {
                wrong =
                    Some((address.span, "a relay passes bytes on and speaks no TLS to servers"));
            }
            if protocol == RelayProtocol::Udp && matches!(address.value.host, ServerHost::Unix(_)) {
                wrong = Some((address.span, "datagrams are not relayed to Unix sockets"));
            }
        }
        if protocol == RelayProtocol::Udp
            && let Some(version) = &upstream.proxy_protocol
        {
            wrong = Some((version.span, "datagrams carry no PROXY header"));
        }
        if let Some((at, message)) = wrong {
            self.say(
                Diagnostic::error("E0226", at, message).also(span, "the relay that goes there"),
            );
        }
    }

    fn check_relay_address(
        &mut self,
        relay: &Relay,
        others: &[Relay],
        global: &Global,
        listeners: &[Listener],
    ) {
        let same = |other: &&Relay| {
            other.protocol.value == relay.protocol.value
                && clash(&other.address.value, &relay.address.value)
        };
        if let Some(first) = others.iter().find(same) {
            let message = format!("a second relay on {}", relay.address.value);
            let error = Diagnostic::error("E0208", relay.address.span, message);
            return self.say(error.also(first.address.span, "the first"));
        }
        let udp = relay.protocol.value == RelayProtocol::Udp;
        let own = [
            global.admin.as_ref().map(|admin| (admin.value.address.clone(), Some(admin.span))),
            global.metrics.as_ref().map(|at| (at.value.clone(), Some(at.span))),
        ];
        let own = own.into_iter().flatten().filter(|_| !udp);
        // A site has UDP where it speaks HTTP/3.
        let sites = listeners
            .iter()
            .filter(|listener| !udp || listener.protocols.contains(&Protocol::H3))
            .map(|listener| (listener.address.clone(), listener.span));
        let taken = own.chain(sites);
        for (address, span) in taken {
            if clash(&address, &relay.address.value) {
                let message = format!("{} is listened on already", relay.address.value);
                let error = Diagnostic::error("E0212", relay.address.span, message)
                    .help("give the relay an address of its own");
                return self.say(span.iter().fold(error, |error, at| error.also(*at, "used here")));
            }
        }
    }
}
