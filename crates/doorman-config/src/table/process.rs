//! Directives of the top level, of `global` and of `listen`.

use super::Kind::{Any, Choice, Duration, File, Ip, Name, Number, Range, Site, Size, Socket};
use super::Within::{
    Acme, AcmeDns, Admin, Global, Limits, Listen, Policy, Route, Site as InSite, Timeouts,
    TlsPolicy, Top, Upstream, User,
};
use super::{Directive, many, one, optional, some};

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "doorman",
        &[Top],
        &[one("VERSION", Number(1, u32::MAX as u64))],
        "The version of the configuration language; the first line of the main file.",
        "doorman 1",
    ),
    Directive::new("global", &[Top], &[], "Settings of the whole process.", "global { drain 1m }")
        .block(Global),
    Directive::new(
        "listen",
        &[Top],
        &[one("ADDRESS", Socket)],
        "A socket to bind instead of the one that sites imply for its port, or a Unix socket on which all sites answer.",
        "listen 127.0.0.1:80 backlog 4096",
    )
    .block(Listen)
    .often(),
    Directive::new(
        "upstream",
        &[Top],
        &[one("NAME", Name)],
        "A group of servers that answer for routes.",
        "upstream web { server 10.0.0.11:3000; server 10.0.0.12:3000 weight 2 }",
    )
    .block(Upstream)
    .often(),
    Directive::new(
        "policy",
        &[Top],
        &[one("NAME", Name)],
        "Options under a name, for `use` in sites, routes and other policies.",
        "policy public { response-header remove Server }",
    )
    .block(Policy)
    .often(),
    Directive::new(
        "site",
        &[Top],
        &[some("ADDRESS", Site)],
        "The names that a group of routes answers to. A name means HTTPS; http:// or :PORT means plain HTTP.",
        "site http://app.localhost:8080 { route * { respond 200 hello } }",
    )
    .block(InSite)
    .often(),
    Directive::new(
        "include",
        &[Top, InSite, Policy, Route, Upstream],
        &[some("PATTERN", File)],
        "The statements of other files stand here; `*` and `?` are wild, the order is by name.",
        "include sites/*.conf",
    )
    .often(),
    // global
    Directive::new(
        "email",
        &[Global],
        &[one("ADDRESS", Any("an e-mail address"))],
        "Whom the certificate authority of automatic certificates may write to.",
        "email ops@example.com",
    )
    .default("nobody"),
    Directive::new(
        "acme",
        &[Global],
        &[one("URL", Any("the https:// URL of an ACME directory"))],
        "A certificate authority for automatic certificates. Of several, the next is asked when one fails.",
        "acme https://acme-staging-v02.api.letsencrypt.org/directory",
    )
    .block(Acme)
    .often()
    .default("https://acme-v02.api.letsencrypt.org/directory"),
    Directive::new("ca", &[Acme], &[one("FILE", File)], "CA certificates (PEM) that the authority's own server is trusted by, instead of the public ones.", "ca /etc/doorman/step-ca.pem"),
    Directive::new("challenge", &[Acme], &[some("http|tls-alpn|dns", Choice(&["http", "tls-alpn", "dns"], &[]))], "How names are proved, best first: by a file on the port of plain HTTP, by a TLS handshake, or by a record in DNS. The authority asks on ports 80 and 443. Wildcards are always proved by DNS.", "challenge tls-alpn http")
        .default("http tls-alpn"),
    Directive::new("dns", &[Acme], &[one("exec|rfc2136", Choice(&["exec", "rfc2136"], &[])), one("FILE|SERVER", Any("a program, or the address of a DNS server"))], "How records are put into DNS: by a program, called with add or remove, name and value; or by signed updates to the zone's server.", "dns rfc2136 10.0.0.2 key update-key c2VjcmV0")
        .block(AcmeDns),
    Directive::new("key", &[AcmeDns], &[one("NAME", Name), one("SECRET", Any("base64")), optional("ALGORITHM", Choice(&["hmac-sha256", "hmac-sha512"], &[]))], "The key that updates are signed with (TSIG).", "key update-key c2VjcmV0 hmac-sha256"),
    Directive::new("wait", &[AcmeDns], &[one("TIME", Duration)], "How long all servers of the zone take to learn of a change.", "wait 10s")
        .default("not at all"),
    Directive::new("profile", &[Acme], &[one("NAME", Name)], "The profile of certificates to ask for, if the authority has several.", "profile shortlived"),
    Directive::new("eab", &[Acme], &[one("ID", Any("the id that the authority gave out")), one("KEY", Any("the key that the authority gave out, base64url"))], "Bind the ACME account to an account at the authority, for those that ask for it.", "eab kid-1 bWFkZS11cA"),
    Directive::new("key", &[Acme], &[one("KIND", Choice(&["p256", "p384", "rsa2048", "rsa4096"], &[]))], "The kind of key that certificates get.", "key rsa2048")
        .default("p256"),
    Directive::new(
        "admin",
        &[Global],
        &[one("ADDRESS", Socket)],
        "Where the admin API listens.",
        "admin unix:/run/doorman/admin.sock",
    )
    .block(Admin)
    .default("a Unix socket of this run"),
    Directive::new(
        "token-file",
        &[Admin],
        &[one("FILE", File)],
        "A file with the token that calls must bring; needed for an address that isn't loopback.",
        "token-file /etc/doorman/admin.token",
    ),
    Directive::new(
        "read-only",
        &[Admin],
        &[],
        "Refuse calls that change something.",
        "read-only",
    ),
    Directive::new(
        "metrics",
        &[Global],
        &[one("ADDRESS", Socket)],
        "Where /metrics is served for Prometheus.",
        "metrics 127.0.0.1:9180",
    )
    .default("off"),
    Directive::new(
        "log",
        &[Global],
        &[
            one("LOG", Choice(&["access", "error", "waf"], &[])),
            one("FORMAT|LEVEL|off", Any("access: json, combined, pretty or off; error: error, warn, info, debug or trace; waf: json or off")),
            optional("stdout|stderr|FILE", File),
        ],
        "The access log (json, combined or pretty), the error log (error, warn, info, debug or trace) and the log of what `waf` rules matched (json; one line for each, in every mode), and where they go.",
        "log access json stdout",
    )
    .often()
    .default("access off; error info stderr; waf off"),
    Directive::new(
        "tls-policy",
        &[Global],
        &[one("NAME", Name)],
        "What TLS handshakes of sites may use where a site says nothing: intermediate (TLS 1.2 and 1.3), modern (1.3), or one of your own. With a block: such a one.",
        "tls-policy modern",
    )
    .block(TlsPolicy)
    .often()
    .default("intermediate"),
    Directive::new("min", &[TlsPolicy], &[one("VERSION", Choice(&["1.2", "1.3"], &[]))], "Least version of TLS.", "min 1.3")
        .default("1.2"),
    Directive::new("suites", &[TlsPolicy], &[some("SUITE", Choice(super::SUITES, &[]))], "Cipher suites by their names at IANA; at least one of TLS 1.3.", "suites TLS_AES_256_GCM_SHA384 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")
        .default("all that there are"),
    Directive::new("groups", &[TlsPolicy], &[some("GROUP", Choice(super::GROUPS, &[]))], "Groups of the key exchange, best first.", "groups X25519MLKEM768 X25519")
        .default("X25519MLKEM768 X25519 secp256r1 secp384r1"),
    Directive::new("user", &[Global], &[one("NAME", Any("the name or the number of a user"))], "As whom a process that root starts goes on once it has read its configuration; everything after that, reloads too, is done with this user's rights. Of root's rights it keeps that to bind ports below 1024, and only if there is one in the configuration. Takes effect when the process starts.", "user doorman group doorman")
        .block(User)
        .default("as whom it began"),
    Directive::new("group", &[User], &[one("NAME", Any("the name or the number of a group"))], "The group, instead of the user's own. Other groups of the user stay his.", "group doorman")
        .default("the user's own"),
    Directive::new("harden", &[Global], &[one("on|off|report", Choice(&["on", "off", "report"], &[]))], "Give up what the process does not need, as far as the kernel can do it: capabilities, new privileges, dumps of memory, system calls (seccomp) and files (Landlock). With report nothing is given up, and the kernel logs system calls that would be refused. Takes effect when the process starts.", "harden report")
        .default("on"),
    Directive::new(
        "workers",
        &[Global],
        &[one("auto|N", Any("auto, or a number from 1 to 1024"))],
        "Runtimes to start, one thread each.",
        "workers auto",
    )
    .default("auto: one for each core"),
    Directive::new(
        "background-threads",
        &[Global],
        &[one("auto|N", Any("auto, or a number from 1 to 256"))],
        "Threads of the lowest priority for what nobody waits for: the smaller forms of kept answers, by `compress` and `optimize`.",
        "background-threads 2",
    )
    .default("auto: one for two cores"),
    Directive::new("zone", &[Global], &[one("ZONE", Name)], "Where this proxy stands: servers of its zone go first.", "zone berlin-1")
        .default("none: zones do not matter"),
    Directive::new(
        "data",
        &[Global],
        &[one("DIR", File)],
        "Folder for what doorman keeps itself, such as its local CA.",
        "data /var/lib/doorman",
    ),
    Directive::new(
        "trusted-proxies",
        &[Global],
        &[some("RANGE", Range)],
        "Peers whose Forwarded and X-Forwarded-* fields are believed.",
        "trusted-proxies 10.0.0.0/8 fd00::/8",
    )
    .often()
    .default("none"),
    Directive::new(
        "http-port",
        &[Global],
        &[one("PORT", Number(1, 65_535))],
        "Port of plain HTTP.",
        "http-port 8080",
    )
    .default("80"),
    Directive::new(
        "https-port",
        &[Global],
        &[one("PORT", Number(1, 65_535))],
        "Port of HTTPS.",
        "https-port 8443",
    )
    .default("443"),
    Directive::new(
        "bind",
        &[Global],
        &[some("IP", Ip)],
        "Addresses on which the ports of sites are bound.",
        "bind 192.0.2.1 2001:db8::1",
    )
    .default("every address"),
    Directive::new(
        "drain",
        &[Global],
        &[one("TIME", Duration)],
        "How long TERM waits for requests to end.",
        "drain 1m",
    )
    .default("30s"),
    Directive::new(
        "limits",
        &[Global],
        &[],
        "Bounds on what clients may use.",
        "limits { header-bytes 32KiB; client-connections 200 }",
    )
    .block(Limits)
    .often(),
    Directive::new(
        "timeouts",
        &[Global],
        &[],
        "How long clients may take, and defaults towards upstreams.",
        "timeouts { head 10s; keep-alive 75s }",
    )
    .block(Timeouts)
    .often(),
    // limits
    Directive::new("header-bytes", &[Limits], &[one("SIZE", Size)], "Bytes of a request head; 1KiB to 1MiB.", "header-bytes 32KiB")
        .default("32KiB"),
    Directive::new("headers", &[Limits], &[one("N", Number(1, 10_000))], "Fields of a request head.", "headers 100")
        .default("100"),
    Directive::new("request-line", &[Limits], &[one("SIZE", Size)], "Bytes of a request line; 1KiB to 1MiB, at most header-bytes.", "request-line 16KiB")
        .default("16KiB"),
    Directive::new("h2-streams", &[Limits], &[one("N", Number(1, 100_000))], "Streams that one HTTP/2 connection may have open.", "h2-streams 100")
        .default("100"),
    Directive::new("h3-streams", &[Limits], &[one("N", Number(1, 100_000))], "Streams that one HTTP/3 connection may have open.", "h3-streams 100")
        .default("100"),
    Directive::new("connections", &[Limits], &[one("N", Number(1, 100_000_000))], "Client connections of the whole process.", "connections 100000")
        .default("100000"),
    Directive::new("client-connections", &[Limits], &[one("N", Number(1, 100_000_000))], "Connections of one client: of an IPv4 address, or of a network of 64 bits of IPv6.", "client-connections 200")
        .default("no bound of its own"),
    Directive::new("requests-per-connection", &[Limits], &[one("N", Number(1, u32::MAX as u64))], "Requests on one connection before it is closed.", "requests-per-connection 10000")
        .default("no bound"),
    Directive::new("body", &[Limits], &[one("SIZE", Size)], "Bytes of a request body where neither route nor site says `body max`.", "body 1GiB")
        .default("no bound; bodies are streamed"),
    // timeouts
    Directive::new("head", &[Timeouts], &[one("TIME", Duration)], "From the first byte of a request to the end of its head.", "head 10s")
        .default("10s"),
    Directive::new("body-idle", &[Timeouts], &[one("TIME", Duration)], "Between two reads of a request body; of one whose length is declared, the time in which each 16 KiB of it, or its rest, have to come while they are waited for.", "body-idle 30s")
        .default("30s"),
    Directive::new("write-idle", &[Timeouts], &[one("TIME", Duration)], "A write to a client that makes no progress.", "write-idle 30s")
        .default("30s"),
    Directive::new("keep-alive", &[Timeouts], &[one("TIME", Duration)], "A client connection between two requests.", "keep-alive 75s")
        .default("75s"),
    Directive::new("tls-handshake", &[Timeouts], &[one("TIME", Duration)], "The whole TLS handshake with a client.", "tls-handshake 10s")
        .default("10s"),
    Directive::new("connect", &[Timeouts], &[one("TIME", Duration)], "Look up, connect and TLS towards an upstream.", "connect 5s")
        .default("5s"),
    Directive::new("response-head", &[Timeouts], &[one("TIME", Duration)], "From a request sent to the head of its response.", "response-head 60s")
        .default("60s"),
    Directive::new("response-idle", &[Timeouts], &[one("TIME", Duration)], "Between two reads of a response body.", "response-idle 60s")
        .default("60s"),
    Directive::new("tunnel-idle", &[Timeouts], &[one("TIME", Duration)], "A tunnel (WebSocket or another upgrade) that is silent both ways.", "tunnel-idle 1h")
        .default("5m"),
    // listen
    Directive::new(
        "protocols",
        &[Listen],
        &[some("h1|h2|h3|h2c", Choice(&["h1", "h2", "h3", "h2c"], &[]))],
        "What may be spoken; h3 over UDP on the same port, which responses over TCP announce; h2c is HTTP/2 without TLS, from clients that know.",
        "protocols h2 h1",
    )
    .default("h3 h2 h1 over TLS, h1 without"),
    Directive::new(
        "proxy-protocol",
        &[Listen],
        &[
            one("FROM", Choice(&["from"], &[])),
            some("RANGE|unix", Any("address ranges, or unix for the peers of a Unix socket")),
        ],
        "Peers whose connections must begin with a header of the PROXY protocol, version 1 or 2, that names the client. Others are served as they are.",
        "proxy-protocol from 10.0.0.0/8",
    )
    .often(),
    Directive::new("tls", &[Listen], &[], "Speak TLS; only needed where no site's address says so.", "tls"),
    Directive::new("backlog", &[Listen], &[one("N", Number(1, 65_535))], "Length of the kernel's queue of new connections.", "backlog 4096")
        .default("1024"),
    Directive::new(
        "use",
        &[Policy, InSite, Route],
        &[some("POLICY", Name)],
        "Take the options of a policy; what stands in the block itself goes before them.",
        "use public",
    )
    .often(),
    Directive::new(
        "route",
        &[InSite],
        &[many("[METHOD...] PATH", Any("methods in upper case, then /exact, /prefix/*, /a/*/b, * or ~ REGEX"))],
        "Requests of these methods and paths; routes are tried from top to bottom, the first that fits wins.",
        "route GET HEAD /static/* when header Accept ~ image { proxy 127.0.0.1:9000 }",
    )
    .block(Route)
    .often(),
];
