//! What `check --deep` asks the network: every server of every upstream, all at once, up to the point
//! where a request could be sent. It sends none.

use std::fmt;
use std::time::Duration;

use doorman_config::{Diagnostic, Span};
use doorman_http::Conn;
use doorman_net::dial::{DialTimeouts, Dialler, Need, Pool, PoolLimits, Server};
use doorman_net::os::Os;
use doorman_net::{Clock, Limits};
use doorman_proxy::Plan;
use serde_json::{Value, json};

/// How long one server may take, its handshake included; a check is for somebody who waits.
const CONNECT: Duration = Duration::from_secs(3);

/// A server that was called on.
pub(super) struct Met {
    upstream: String,
    server: String,
    handshake: Handshake,
    span: Span,
    /// Why no request could be sent.
    pub(super) fault: Option<String>,
}

/// What was tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Handshake {
    /// To connect.
    None,
    /// To connect and to shake hands.
    Tls,
}

impl Met {
    /// The warning, if there is something to warn of.
    pub(super) fn trouble(&self) -> Option<Diagnostic> {
        let fault = self.fault.as_ref()?;
        let message = format!("`{}` of `{}` cannot be used: {fault}", self.server, self.upstream);
        let help = "requests that need it get 502 until it answers";
        Some(Diagnostic::warning("E0701", self.span, message).help(help))
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "upstream": self.upstream,
            "server": self.server,
            "tls": self.handshake == Handshake::Tls,
            "ok": self.fault.is_none(),
            "why": self.fault,
        })
    }
}

impl fmt::Display for Met {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let did = match self.handshake {
            Handshake::None => "connected",
            Handshake::Tls => "connected, TLS handshake done, certificate trusted",
        };
        write!(f, "`{}` of `{}`: {did}", self.server, self.upstream)
    }
}

/// Whether an upstream is a target of a relay of datagrams: nothing accepts there.
fn takes_datagrams(plan: &Plan, name: &str) -> bool {
    let mut relays = plan.relays.iter().filter(|relay| relay.name.starts_with("udp:"));
    relays.any(|relay| relay.target.is_some_and(|at| *plan.upstreams[at].name == *name))
}

/// Calls on every server of every upstream that takes connections.
pub(super) fn meet(plan: &Plan, clock: Clock) -> Result<Vec<Met>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .map_err(|error| format!("no runtime: {error}"))?;
    // Nothing of it is secret or has to be shared out: the dice are never thrown.
    let net = Os::new(0);
    runtime.block_on(async {
        let mut calls = Vec::new();
        for upstream in &plan.config.upstreams {
            let group = plan.upstreams.iter().find(|group| *group.name == *upstream.name.value);
            let Some(group) = group else { continue };
            if takes_datagrams(plan, &group.name) {
                continue;
            }
            for (server, planned) in upstream.servers.iter().zip(&group.servers) {
                let way = Server {
                    address: planned.address.clone(),
                    tls: planned.tls.clone(),
                    tls_single: planned.tls_single.clone(),
                    protocol: planned.protocol,
                    manner: group.manner,
                    limits: Limits::default(),
                };
                let tls = way.tls.is_some();
                let handshake = if tls { Handshake::Tls } else { Handshake::None };
                let pool = Pool::new(PoolLimits::default());
                let dialler = Dialler::new(net.clone(), clock, way, pool);
                let call = tokio::task::spawn_local(async move {
                    let timeouts = DialTimeouts { connect: CONNECT, ..DialTimeouts::default() };
                    dialler
                        .connect(&timeouts, Need::Request, &Conn::nobody())
                        .await
                        .err()
                        .map(|error| error.to_string())
                });
                let met = Met {
                    upstream: upstream.name.value.to_string(),
                    server: planned.name.to_string(),
                    handshake,
                    span: server.address.span,
                    fault: None,
                };
                calls.push((met, call));
            }
        }
        let mut all = Vec::new();
        for (mut met, call) in calls {
            met.fault = call.await.unwrap_or_else(|_| Some("the call broke off".to_owned()));
            all.push(met);
        }
        Ok(all)
    })
}
