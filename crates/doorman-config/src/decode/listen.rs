//! The sockets to bind, worked out from sites, `listen` lines, `bind` and the port of redirects.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::Decoder;
use crate::item::{Item, Text};
use crate::values::{self, Value};
use crate::{
    Announcer, Desync, Diagnostic, Global, Listener, Protocol, Scheme, Setting, Site,
    SocketAddress, Span, Spanned, TlsSource, Transport,
};

/// Length of the kernel's queue of new connections where nothing is written. More than nginx's 511, as a reload or a
/// pause of a core must not refuse clients; the kernel cuts it to its own bound.
const BACKLOG: u32 = 1024;

/// What sites want of a port, and the first that wants it.
type Ports = BTreeMap<u16, (Transport, Option<Span>)>;

impl Decoder<'_> {
    pub(super) fn listeners(
        &mut self,
        items: &[Item],
        global: &Global,
        sites: &mut [Site],
    ) -> Vec<Listener> {
        let ports = self.ports(sites, global);
        let mut listeners: Vec<Listener> = Vec::new();
        for item in items.iter().filter(|item| item.directive.name == "listen") {
            let Some(listener) = self.listen(item, &ports, global) else { continue };
            if item.is_off() {
                continue;
            }
            let same = listeners.iter().find(|other| other.address == listener.address);
            if let Some(first) = same.and_then(|first| first.span) {
                let message = format!("a second `listen {}`", listener.address);
                self.say(Diagnostic::error("E0208", item.span, message).also(first, "the first"));
            }
            listeners.push(listener);
        }
        for (port, (transport, span)) in &ports {
            let written = listeners.iter().any(|listener| listener.address.port() == Some(*port));
            if !written {
                listeners.extend(implied(*port, *transport, *span, global));
            }
        }
        self.check_own_ports(global, &listeners);
        listeners
    }

    /// The ports of sites. One that would be both plain and TLS is an error; a redirect gives way to whatever a site
    /// wants.
    fn ports(&mut self, sites: &mut [Site], global: &Global) -> Ports {
        let mut ports = Ports::new();
        for address in sites.iter().flat_map(|site| &site.addresses) {
            let transport = match address.value.scheme {
                Scheme::Http => Transport::Plain,
                Scheme::Https => Transport::Tls,
            };
            let port = address.value.port;
            match ports.get(&port) {
                None => {
                    ports.insert(port, (transport, Some(address.span)));
                }
                Some((other, span)) if *other != transport => {
                    let message = format!("port {port} would speak plain HTTP and TLS at once");
                    let error = Diagnostic::error("E0212", address.span, message)
                        .help("give one of them another port");
                    self.say(span.iter().fold(error, |error, span| error.also(*span, "the other")));
                }
                Some(_) => {}
            }
        }
        for address in sites.iter_mut().flat_map(|site| &mut site.addresses) {
            let Some(port) = address.value.redirect_from else { continue };
            match ports.get(&port) {
                Some((Transport::Tls, _)) => address.value.redirect_from = None,
                Some((Transport::Plain, _)) => {}
                None => {
                    ports.insert(port, (Transport::Plain, None));
                }
            }
        }
        // A certificate authority asks on the port of plain HTTP, whatever the site's own port is.
        let is_automatic =
            |site: &Site| site.tls.as_ref().is_some_and(|tls| tls.source.value == TlsSource::Auto);
        if sites.iter().any(is_automatic) {
            ports.entry(global.http_port.value).or_insert((Transport::Plain, None));
        }
        ports
    }

    fn listen(&mut self, item: &Item, ports: &Ports, global: &Global) -> Option<Listener> {
        let mut protocols = None;
        let mut backlog = Setting::default_of(BACKLOG);
        let mut desync = global.desync;
        let mut tls = None;
        let mut proxy_protocol = Vec::new();
        for child in &item.children {
            match child.directive.name {
                "protocols" => {
                    let known = [Protocol::H1, Protocol::H2, Protocol::H3, Protocol::H2c];
                    let known = known.map(|protocol| (protocol.word(), protocol));
                    let found = self.protocols(child, &known).filter(|_| !child.is_off());
                    protocols = found.map(|found| Spanned::new(found, child.span)).or(protocols);
                }
                "tls" => tls = Some(child.span).filter(|_| !child.is_off()),
                "proxy-protocol" => {
                    let found = self.announcers(child);
                    if !child.is_off() {
                        proxy_protocol.extend(found);
                    }
                }
                "desync" => self.set(child, &mut desync, self::desync),
                "backlog" => {
                    self.set(child, &mut backlog, |text| values::number(text, 1, 65_535));
                }
                _ => {}
            }
        }
        let address = self.ok(values::socket(item.value(0)?, self.sources))?;
        let wanted = address.value.port().and_then(|port| ports.get(&port));
        if let (Some(span), Some((Transport::Plain, site))) = (tls, wanted) {
            let error =
                Diagnostic::error("E0212", span, "`tls` on a port whose sites speak plain HTTP");
            self.say(
                site.iter().fold(error, |error, site| error.also(*site, "a site of this port")),
            );
        }
        if wanted.is_none() && address.value.port().is_some() && !item.is_off() && !self.damaged {
            let message = format!("no site answers on {}", address.value);
            self.say(
                Diagnostic::warning("W0303", item.span, message)
                    .help("the addresses of sites choose the ports: `site http://HOST:PORT`"),
            );
        }
        let transport = match (tls, wanted) {
            (Some(_), _) => Transport::Tls,
            (None, Some((transport, _))) => *transport,
            (None, None) => Transport::Plain,
        };
        // A balancer that forwards TCP stands in front: nobody would reach the UDP socket through it.
        let without_h3 = protocols.is_none() && !proxy_protocol.is_empty();
        let mut protocols = self.listener_protocols(protocols, transport, &address.value)?;
        protocols.retain(|protocol| !(without_h3 && *protocol == Protocol::H3));
        Some(Listener {
            address: address.value,
            transport,
            protocols,
            backlog: backlog.value,
            desync,
            proxy_protocol,
            span: Some(item.span),
        })
    }

    /// `proxy-protocol from RANGE|unix...`.
    fn announcers(&mut self, item: &Item) -> Vec<Announcer> {
        let mut values = item.values.iter();
        if let Some(from) = values.next() {
            self.ok(values::choice(from, &[("from", ())], &[]));
        }
        let mut found = Vec::new();
        for text in values {
            let announcer = if text.text == "unix" {
                Some(Announcer::Unix)
            } else {
                self.ok(values::range(text)).map(|range| Announcer::Range(range.value))
            };
            found.extend(announcer);
        }
        found
    }

    fn listener_protocols(
        &mut self,
        written: Option<Spanned<Vec<Protocol>>>,
        transport: Transport,
        address: &SocketAddress,
    ) -> Option<Vec<Protocol>> {
        let Some(written) = written else { return Some(spoken(transport, address)) };
        if written.value.contains(&Protocol::H3) {
            let message = match (transport, address) {
                (_, SocketAddress::Unix(_)) => {
                    Some("HTTP/3 needs UDP, which a Unix socket has not")
                }
                (Transport::Plain, _) => Some("HTTP/3 without TLS does not exist"),
                (Transport::Tls, _) => None,
            };
            if let Some(message) = message {
                let error = Diagnostic::error("E0223", written.span, message);
                self.say(error.help("leave `h3` out"));
                return None;
            }
        }
        let (other, message, help) = match transport {
            Transport::Plain => (
                Protocol::H2,
                "`h2` on a socket without TLS",
                "HTTP/2 without TLS is written `h2c`",
            ),
            Transport::Tls => {
                (Protocol::H2c, "`h2c` on a socket with TLS", "HTTP/2 over TLS is written `h2`")
            }
        };
        if written.value.contains(&other) {
            self.say(Diagnostic::error("E0223", written.span, message).help(help));
            return None;
        }
        Some(written.value)
    }

    /// The admin API and the metrics have sockets of their own.
    fn check_own_ports(&mut self, global: &Global, listeners: &[Listener]) {
        let admin = global.admin.as_ref().map(|admin| (&admin.value.address, admin.span, "admin"));
        let metrics = global.metrics.as_ref().map(|at| (&at.value, at.span, "metrics"));
        if let (Some(admin), Some(metrics)) = (admin, metrics)
            && clash(admin.0, metrics.0)
        {
            let error =
                Diagnostic::error("E0212", metrics.1, "`admin` and `metrics` on one address");
            self.say(error.also(admin.1, "admin"));
        }
        for (address, span, what) in [admin, metrics].into_iter().flatten() {
            let Some(other) = listeners.iter().find(|other| clash(&other.address, address)) else {
                continue;
            };
            let message = format!("`{what}` listens on {address}, which sites use");
            let error = Diagnostic::error("E0212", span, message).help("give it a port of its own");
            self.say(other.span.iter().fold(error, |error, at| error.also(*at, "used here")));
        }
    }
}

/// Whether two sockets could not both be bound, or would take connections from each other.
pub(super) fn clash(a: &SocketAddress, b: &SocketAddress) -> bool {
    match (a, b) {
        (SocketAddress::Any(_), _) | (_, SocketAddress::Any(_)) => {
            a.port().is_some() && a.port() == b.port()
        }
        _ => a == b,
    }
}

/// `monitor`, `defensive`, `strict`.
pub(super) fn desync(text: &Text) -> Value<Desync> {
    let modes = [Desync::Monitor, Desync::Defensive, Desync::Strict];
    values::choice(text, &modes.map(|mode| (mode.word(), mode)), &[])
}

/// What is spoken where nothing is written.
fn spoken(transport: Transport, address: &SocketAddress) -> Vec<Protocol> {
    match (transport, address) {
        (Transport::Plain, _) => vec![Protocol::H1],
        (Transport::Tls, SocketAddress::Unix(_)) => vec![Protocol::H2, Protocol::H1],
        (Transport::Tls, _) => vec![Protocol::H3, Protocol::H2, Protocol::H1],
    }
}

fn implied(
    port: u16,
    transport: Transport,
    span: Option<Span>,
    global: &Global,
) -> impl Iterator<Item = Listener> {
    let addresses: Vec<SocketAddress> = match global.bind.as_slice() {
        [] => vec![SocketAddress::Any(port)],
        bind => bind.iter().map(|ip| SocketAddress::Ip(SocketAddr::new(ip.value, port))).collect(),
    };
    let desync = global.desync;
    addresses.into_iter().map(move |address| Listener {
        protocols: spoken(transport, &address),
        address,
        transport,
        backlog: BACKLOG,
        desync,
        proxy_protocol: Vec::new(),
        span,
    })
}
