//! `discover`, `resolve` and `resolver`.

use std::net::SocketAddr;
use std::time::Duration;

use super::Decoder;
use crate::item::{Item, Text};
use crate::values::{self, Value};
use crate::{
    Diagnostic, Discover, DiscoverSource, Family, HostPattern, Scheme, ServerHost, Setting,
    Spanned, Upstream, address,
};

/// Times between two looks: below, a look is not over when the next one begins; above, nobody waits for it.
const LOOK: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(24 * 3600));
/// DNS servers; a resolver asks two or three.
const RESOLVERS_MAX: usize = 8;

impl Decoder<'_> {
    pub(super) fn resolvers(&mut self, item: &Item, found: &mut Vec<Spanned<SocketAddr>>) {
        for text in &item.values {
            let server = self.ok(resolver(text));
            found.extend(server.filter(|_| !item.is_off()));
        }
        if found.len() > RESOLVERS_MAX {
            let message = format!("more than {RESOLVERS_MAX} DNS servers");
            self.say(Diagnostic::error("E0110", item.span, message));
        }
    }

    pub(super) fn resolve(&mut self, item: &Item, upstream: &mut Upstream) {
        let every =
            item.value(0).and_then(|word| self.ok(values::choice(word, &[("every", ())], &[])));
        let Some(text) = item.value(1).filter(|_| every.is_some()) else { return };
        let time = self.ok(look_time(text));
        if let Some(time) = time.filter(|_| !item.is_off()) {
            upstream.resolve = Some(time);
        }
    }

    pub(super) fn discover(&mut self, item: &Item, upstream: &mut Upstream) {
        let Some(source) = self.source(item) else { return };
        let mut found = Discover {
            source,
            scheme: Setting::default_of(Scheme::Http),
            family: Setting::default_of(Family::Any),
            ttl_least: Setting::default_of(Duration::from_secs(1)),
            ttl_most: Setting::default_of(Duration::from_secs(300)),
            keep: Setting::default_of(Duration::from_secs(24 * 3600)),
            most: Setting::default_of(1024),
            span: item.span,
        };
        for child in &item.children {
            match child.directive.name {
                "scheme" => self.set(child, &mut found.scheme, |text| {
                    values::choice(text, &[("http", Scheme::Http), ("https", Scheme::Https)], &[])
                }),
                "family" => self.set(child, &mut found.family, |text| {
                    let words =
                        [("any", Family::Any), ("ipv4", Family::Ipv4), ("ipv6", Family::Ipv6)];
                    values::choice(text, &words, &[])
                }),
                "ttl" => self.ttl(child, &mut found),
                "keep" => self.set(child, &mut found.keep, values::duration),
                "most" => self.set(child, &mut found.most, |text| values::number(text, 1, 2_048)),
                _ => {}
            }
            let of_dns = matches!(child.directive.name, "scheme" | "family" | "ttl");
            if of_dns && matches!(found.source.value, DiscoverSource::File(_)) {
                let word = child.directive.name;
                let message = format!("`{word}` is for what DNS finds");
                self.say(Diagnostic::error("E0236", child.span, message).help(
                    "a file says of each server what there is to say, as in https://10.0.0.1:8443",
                ));
            }
        }
        if item.is_off() {
            return;
        }
        let same = upstream.discover.iter().find(|one| one.source.value == found.source.value);
        if let Some(first) = same {
            let error = Diagnostic::error("E0208", item.span, "the same source twice")
                .also(first.span, "the first");
            return self.say(error);
        }
        upstream.discover.push(found);
    }

    fn source(&mut self, item: &Item) -> Option<Spanned<DiscoverSource>> {
        #[derive(Clone, Copy, PartialEq)]
        enum Kind {
            Dns,
            Srv,
            File,
        }
        let kinds = [("dns", Kind::Dns), ("srv", Kind::Srv), ("file", Kind::File)];
        let later = ["docker", "consul", "kubernetes"];
        let kind = self.ok(values::choice(item.value(0)?, &kinds, &later))?;
        let text = item.value(1)?;
        let port = item.value(2);
        let source = match kind.value {
            Kind::Dns => {
                let name = self.ok(dns_name(text))?;
                let Some(port) = port else {
                    let message = "`discover dns` needs the port of the servers";
                    let help = format!("write `discover dns {} 8080`", text.shown());
                    self.say(Diagnostic::error("E0204", item.span, message).help(help));
                    return None;
                };
                let port = self.ok(values::number(port, 1, 65_535))?.value;
                DiscoverSource::Dns { name, port }
            }
            Kind::Srv => DiscoverSource::Srv { name: self.ok(dns_name(text))? },
            Kind::File => {
                let sources = self.sources;
                DiscoverSource::File(self.ok(values::file(text, sources))?.value)
            }
        };
        if let Some(port) = port.filter(|_| kind.value != Kind::Dns) {
            let message = "only `discover dns` takes a port";
            let help = "SRV records and files say the port of each server themselves";
            self.say(Diagnostic::error("E0236", port.span, message).help(help));
            return None;
        }
        Some(Spanned::new(source, item.span))
    }

    fn ttl(&mut self, item: &Item, found: &mut Discover) {
        let (Some(least), Some(most)) = (item.value(0), item.value(1)) else { return };
        let (least, most) = (self.ok(look_time(least)), self.ok(look_time(most)));
        let (Some(least), Some(most)) = (least, most) else { return };
        if least.value > most.value {
            let message = "the least time is longer than the longest";
            let error = Diagnostic::error("E0236", item.span, message);
            return self.say(error.help("write the shorter one first: `ttl 5s 1m`"));
        }
        if !item.is_off() {
            (found.ttl_least, found.ttl_most) = (least.into(), most.into());
        }
    }

    /// A name is needed for `resolve` to have anything to do.
    pub(super) fn check_resolve(&mut self, upstream: &Upstream) {
        let Some(every) = &upstream.resolve else { return };
        let is_named =
            |server: &crate::Server| matches!(server.address.value.host, ServerHost::Name { .. });
        if !upstream.servers.is_empty() && !upstream.servers.iter().any(is_named) {
            let message = "no `server` of this upstream has a name that could be looked up";
            let help = "remove `resolve`, or write `server NAME:PORT`";
            self.say(Diagnostic::error("E0236", every.span, message).help(help));
        }
    }
}

fn look_time(text: &Text) -> Value<Duration> {
    let time = values::duration(text)?;
    if time.value < LOOK.0 || time.value > LOOK.1 {
        let message = format!("`{}` is not within 1s and 24h", text.shown());
        return Err(Diagnostic::error("E0304", text.span, message));
    }
    Ok(time)
}

/// A name in DNS. Labels may begin with `_`, as those of services do (RFC 2782).
fn dns_name(text: &Text) -> Result<String, Diagnostic> {
    match address::host_pattern(text)?.value {
        HostPattern::Name(name) => Ok(name),
        HostPattern::Ip(_) => {
            let error = Diagnostic::error("E0305", text.span, "an address needs no looking up");
            Err(error.help("write `server ADDRESS:PORT`"))
        }
        _ => Err(Diagnostic::error("E0305", text.span, "one name is looked up, without `*`")),
    }
}

fn resolver(text: &Text) -> Value<SocketAddr> {
    /// RFC 1035 section 4.2.
    const PORT: u16 = 53;
    let word = text.text.as_str();
    let server = word.parse::<SocketAddr>().ok().filter(|server| server.port() > 0);
    let server = server.or_else(|| word.parse().ok().map(|ip| SocketAddr::new(ip, PORT)));
    server.map(|server| Spanned::new(server, text.span)).ok_or_else(|| {
        let message = format!("`{}` is not the address of a DNS server", text.shown());
        Diagnostic::error("E0317", text.span, message).help("such as 10.0.0.2 or 10.0.0.2:5353")
    })
}
