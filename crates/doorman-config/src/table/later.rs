//! Directives that are settled but come with a later version. Using one is an error that says so; the decoder does
//! not know them.

use super::Within::{
    self, Global, Listen, Policy, Route, Server, Site, SiteTls, Top, Upstream, UpstreamTls,
};

/// A directive to come.
#[derive(Clone, Copy, Debug)]
pub struct Later {
    /// Its name.
    pub name: &'static str,
    /// Where it will stand.
    pub within: &'static [Within],
    /// What it will do.
    pub what: &'static str,
}

const fn later(name: &'static str, within: &'static [Within], what: &'static str) -> Later {
    Later { name, within, what }
}

const OPTIONS: &[Within] = &[Policy, Site, Route];

/// All that is planned.
pub const LATER: &[Later] = &[
    later("store", &[Top], "hold the memory and disk of the cache"),
    later("relay", &[Top], "forward TCP and UDP"),
    later("email", &[Global], "name the ACME account for automatic certificates"),
    later("acme", &[Global], "set up automatic certificates"),
    later("tls-policy", &[Global], "set versions and ciphers of TLS"),
    later("fleet", &[Global], "share state between several machines"),
    later("trace", &[Global], "send traces over OTLP"),
    later("resolver", &[Global], "choose the DNS servers"),
    later("proxy-protocol", &[Listen], "read the PROXY protocol of a balancer in front"),
    later("client-auth", &[SiteTls], "ask clients for a certificate"),
    later("policy", &[SiteTls], "set versions and ciphers of TLS"),
    later("ocsp", &[SiteTls], "staple OCSP answers"),
    later("early-data", &[SiteTls], "accept TLS 1.3 early data"),
    later("on-demand", &[SiteTls], "get certificates at the first handshake"),
    later("tier", &[Server], "order servers by preference"),
    later("standby", &[Server], "keep a server for when the others are down"),
    later("spare", &[Server], "keep a server for when another is down"),
    later("max-requests", &[Server], "bound the requests at once on a server"),
    later("drain", &[Server], "send a server no new sessions"),
    later("zone", &[Server], "prefer servers nearby"),
    later("sticky", &[Upstream], "keep a client on its server"),
    later("health", &[Upstream], "probe servers"),
    later("passive", &[Upstream], "take servers out that fail requests"),
    later("outlier", &[Upstream], "take servers out that do worse than the others"),
    later("slow-start", &[Upstream], "bring new servers in slowly"),
    later("retry", &[Upstream], "try another server when one fails"),
    later("breaker", &[Upstream], "stop asking an upstream that is overloaded"),
    later("queue", &[Upstream], "let requests wait for a free server"),
    later("park", &[Upstream], "hold requests while an upstream wakes up"),
    later("fail-open", &[Upstream], "use ill servers when none is well"),
    later("source", &[Upstream], "choose the address that connections come from"),
    later("proxy-protocol", &[Upstream], "send the PROXY protocol to servers"),
    later("resolve", &[Upstream], "look names up again on a schedule"),
    later("discover", &[Upstream], "find servers in DNS, Docker, Consul or Kubernetes"),
    later("cert", &[UpstreamTls], "show a client certificate to servers"),
    later("key", &[UpstreamTls], "show a client certificate to servers"),
    later("throttle", OPTIONS, "slow a response down"),
    later("mirror", OPTIONS, "send a copy of requests elsewhere"),
    later("cache", OPTIONS, "keep responses and serve them again"),
    later("compress", OPTIONS, "compress responses"),
    later("decompress", OPTIONS, "decompress responses for clients that can't"),
    later("optimize", OPTIONS, "make images, HTML, CSS and scripts smaller"),
    later("early-hints", OPTIONS, "send 103 before the response"),
    later("allow", OPTIONS, "let only some addresses in"),
    later("deny", OPTIONS, "keep some addresses out"),
    later("limit", OPTIONS, "bound the rate of requests"),
    later("connections", OPTIONS, "bound connections for each client"),
    later("concurrency", OPTIONS, "bound the requests at once"),
    later("basic-auth", OPTIONS, "ask for a name and a password"),
    later("api-key", OPTIONS, "ask for an API key"),
    later("jwt", OPTIONS, "check tokens"),
    later("oidc", OPTIONS, "sign users in by OpenID Connect"),
    later("forward-auth", OPTIONS, "ask another server whether a request may pass"),
    later("mtls", OPTIONS, "check client certificates"),
    later("cors", OPTIONS, "answer CORS requests"),
    later("challenge", OPTIONS, "make bots work"),
    later("geo", OPTIONS, "decide by country or network"),
    later("waf", OPTIONS, "inspect requests for attacks"),
];
