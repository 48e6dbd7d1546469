//! Where a relay would pass a connection on: `tcp://HOST:PORT`, `tls://HOST:PORT` for one that asks for
//! that host, `udp://HOST:PORT`. The plan's own functions decide, as they do for a connection.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use doorman_config::{Relay, RelayProtocol, Span};
use doorman_http::Peer;
use doorman_proxy::plan::PlanRelay;
use serde_json::{Value, json};

use super::text::span;
use crate::command::Looked;

/// A connection that nobody made.
pub(super) struct Call {
    scheme: String,
    host: String,
    port: u16,
    from: IpAddr,
}

/// What would become of it.
pub(super) struct Passed<'a> {
    looked: &'a Looked,
    call: &'a Call,
    relay: Option<(&'a PlanRelay, &'a Relay)>,
    outcome: Outcome,
}

enum Outcome {
    NoListener,
    Denied,
    NoName,
    Forward(usize),
}

impl Outcome {
    const fn kind(&self) -> &'static str {
        match self {
            Self::NoListener => "no-listener",
            Self::Denied => "denied",
            Self::NoName => "no-name",
            Self::Forward(_) => "forward",
        }
    }
}

impl Call {
    /// Takes a URL of a relay apart; `None`: it is one of a request.
    pub(super) fn parse(url: &str, from: IpAddr) -> Option<Result<Self, String>> {
        let (scheme, rest) = url.split_once("://")?;
        if !matches!(scheme, "tcp" | "tls" | "udp") {
            return None;
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let port = rest.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        Some(match port {
            Some((host, port)) if !host.is_empty() => Ok(Self {
                scheme: scheme.to_owned(),
                host: host.trim_end_matches('.').to_ascii_lowercase(),
                port,
                from,
            }),
            _ => Err(format!("`{url}` is not written {scheme}://HOST:PORT")),
        })
    }
}

impl<'a> Passed<'a> {
    /// Asks.
    pub(super) fn new(looked: &'a Looked, call: &'a Call) -> Self {
        let protocol = if call.scheme == "udp" { RelayProtocol::Udp } else { RelayProtocol::Tcp };
        let mut relays = looked.plan.relays.iter().zip(&looked.config.relays);
        let relay = relays.find(|(relay, _)| relay.listens_on(call.port, protocol));
        let outcome = match relay {
            None => Outcome::NoListener,
            Some((relay, _)) => outcome(relay, call),
        };
        Self { looked, call, relay, outcome }
    }

    /// Whether anybody takes it.
    pub(super) const fn is_taken(&self) -> bool {
        matches!(self.outcome, Outcome::Forward(_))
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |label: &str, value: &str| {
            let _ = writeln!(text, "{label:<10}{value}");
        };
        let Call { scheme, host, port, from } = self.call;
        line("request", &format!("{scheme}://{host}:{port}  from {from}"));
        let Some((relay, written)) = self.relay else {
            line("relay", &format!("no relay listens on port {port} for {scheme}"));
            return text;
        };
        line("relay", &format!("{}  {}", relay.name, self.place(written.span)));
        match self.outcome {
            Outcome::NoListener => {}
            Outcome::Denied => line("client", "not to come here: it is closed"),
            Outcome::NoName => line("sni", "nothing answers to this name: it is closed"),
            Outcome::Forward(upstream) => {
                if let Some(sni) = self.sni() {
                    line("sni", &sni);
                }
                let planned = &self.looked.plan.upstreams[upstream];
                let place = self.place(self.looked.config.upstreams[upstream].span);
                line("proxy", &format!("{}  {place}", planned.name));
                for server in &planned.servers {
                    line("", &server.address.to_string());
                }
                if let Some(version) = relay.announces(planned) {
                    line("PROXY", version.as_str());
                }
                let connect = span(relay.connect_within(planned));
                line("timeouts", &format!("connect {connect}, idle {}", span(relay.idle)));
            }
        }
        text
    }

    fn place(&self, span: Span) -> String {
        let place = self.looked.sources.place(span);
        format!("{}:{}", place.path, place.line)
    }

    /// Which line of the relay its name chose.
    fn sni(&self) -> Option<String> {
        let (relay, written) = self.relay?;
        if self.call.scheme != "tls" || relay.names.is_empty() {
            return None;
        }
        let named = relay.named(&self.call.host);
        let mut lines = written.names.iter();
        let line = lines.find(|line| Some(line.value.upstream.0 as usize) == named);
        Some(match line {
            Some(line) => format!("{}  {}", self.call.host, self.place(line.span)),
            None => format!("no line names {}", self.call.host),
        })
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let Call { scheme, host, port, from } = self.call;
        let upstream = match self.outcome {
            Outcome::Forward(at) => Some(&self.looked.plan.upstreams[at]),
            _ => None,
        };
        let servers = upstream.map(|upstream| {
            let servers = upstream.servers.iter().map(|server| server.address.to_string());
            servers.collect::<Vec<_>>()
        });
        let millis =
            |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let relay = self.relay.map(|(relay, _)| relay);
        json!({
            "request": { "scheme": scheme, "host": host, "port": port, "from": from.to_string() },
            "relay": relay.map(|relay| relay.name.to_string()),
            "outcome": self.outcome.kind(),
            "upstream": upstream.map(|upstream| upstream.name.to_string()),
            "servers": servers,
            "proxy_protocol": relay.zip(upstream)
                .and_then(|(relay, upstream)| relay.announces(upstream))
                .map(|version| version.as_str()),
            "timeouts_ms": relay.zip(upstream).map(|(relay, upstream)| json!({
                "connect": millis(relay.connect_within(upstream)),
                "idle": millis(relay.idle),
            })),
        })
    }
}

fn outcome(relay: &PlanRelay, call: &Call) -> Outcome {
    if !relay.lets_in(&Peer::Inet(SocketAddr::new(call.from, 0))) {
        return Outcome::Denied;
    }
    let named = if call.scheme == "tls" { relay.named(&call.host) } else { None };
    named.or(relay.target).map_or(Outcome::NoName, Outcome::Forward)
}
