//! Settings of the whole process: the `global` block with its defaults.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use doorman_http::desync::Desync;
use ipnet::IpNet;

use super::{Acme, Geo, Harden, Overload, ProcessUser, SocketAddress, TlsPolicy};
use crate::{Setting, Spanned};

/// The `global` block.
#[derive(Clone, Debug)]
pub struct Global {
    /// Whom certificate authorities may write to.
    pub email: Option<Spanned<String>>,
    /// Certificate authorities, best first; empty: the binary's default.
    pub acme: Vec<Acme>,
    /// Where the admin API listens; `None`: the binary's default Unix socket.
    pub admin: Option<Spanned<Admin>>,
    /// Where `/metrics` is served; `None`: nowhere.
    pub metrics: Option<Spanned<SocketAddress>>,
    /// The access log.
    pub access_log: Setting<AccessLog>,
    /// The error log.
    pub error_log: Setting<ErrorLog>,
    /// The log of what rules matched.
    pub waf_log: Setting<WafLog>,
    /// How many runtimes.
    pub workers: Setting<Workers>,
    /// How many threads work in the background.
    pub background_threads: Setting<BackgroundThreads>,
    /// Where this proxy stands, by the operator's name.
    pub zone: Option<Spanned<String>>,
    /// DNS servers that discovery asks; empty: those of the system.
    pub resolvers: Vec<Spanned<SocketAddr>>,
    /// Folder for what doorman itself keeps (its local CA); `None`: the binary's default.
    pub data: Option<Spanned<PathBuf>>,
    /// Peers whose `Forwarded` and `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<Spanned<IpNet>>,
    /// Port of plain HTTP, 80.
    pub http_port: Setting<u16>,
    /// Port of HTTPS, 443.
    pub https_port: Setting<u16>,
    /// Addresses that site ports are bound on; empty: every address of the machine.
    pub bind: Vec<Spanned<IpAddr>>,
    /// When requests are refused so that others go on; `None`: never.
    pub overload: Option<Overload>,
    /// What becomes of requests that can be read in two ways.
    pub desync: Setting<Desync>,
    /// `geo`: where addresses are; `None`: nobody knows.
    pub geo: Option<Geo>,
    /// As whom a process that root starts goes on; `None`: as root.
    pub user: Option<Spanned<ProcessUser>>,
    /// Whether the process gives up what it does not need.
    pub harden: Setting<Harden>,
    /// How long TERM waits for requests to end, 30 s.
    pub drain: Setting<Duration>,
    /// What handshakes of sites may use that say nothing themselves; intermediate.
    pub tls_policy: Setting<TlsPolicy>,
    /// Policies of the operator.
    pub tls_policies: Vec<Spanned<TlsPolicy>>,
    /// Bounds on what clients may use.
    pub limits: Limits,
    /// How long clients may take, and the defaults towards upstreams.
    pub timeouts: Timeouts,
}

/// Where and how the admin API listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// A Unix socket or an address. An address that isn't loopback always has a `token_file`.
    pub address: SocketAddress,
    /// File that holds the token which changing calls must bring.
    pub token_file: Option<Spanned<PathBuf>>,
    /// Whether calls that change something are refused.
    pub read_only: bool,
}

/// The access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// None is written.
    Off,
    /// One record a request.
    On {
        /// Shape of a record.
        format: AccessFormat,
        /// Where it goes.
        to: LogTarget,
    },
}

/// Shape of an access record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessFormat {
    /// One JSON object a line.
    Json,
    /// The combined format that log analysers read.
    Combined,
    /// For people at a terminal.
    Pretty,
}

/// The log of the process itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorLog {
    /// Least level that is written.
    pub level: LogLevel,
    /// Where it goes.
    pub to: LogTarget,
}

/// The log of what rules matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WafLog {
    /// None is written.
    Off,
    /// One JSON object a line, for each rule that matched.
    On(LogTarget),
}

/// Severity of a line of the error log, most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Our own faults.
    Error,
    /// What the operator should look at.
    Warn,
    /// Starts, stops, reloads.
    Info,
    /// Faults of peers.
    Debug,
    /// Everything.
    Trace,
}

/// Where a log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file that is appended to and reopened on USR1.
    File(PathBuf),
}

/// How many runtimes to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// One for each core that the process may use.
    Auto,
    /// This many, 1 to 1,024.
    Count(u16),
}

/// How many threads make what nobody waits for: smaller forms of answers that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackgroundThreads {
    /// Half as many as the cores that the process may use, at least one.
    Auto,
    /// This many, 1 to 256.
    Count(u16),
}

/// Bounds on what one client, or all of them, may use.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request's head with its request line; 32 KiB.
    pub header_bytes: Setting<u64>,
    /// Fields of a request's head; 100.
    pub headers: Setting<u32>,
    /// Bytes of a request line (method, target, version); 16 KiB.
    pub request_line: Setting<u64>,
    /// Streams that one HTTP/2 connection may have open; 100.
    pub h2_streams: Setting<u32>,
    /// The same of one HTTP/3 connection.
    pub h3_streams: Setting<u32>,
    /// Client connections of the whole process; 100,000.
    pub connections: Setting<u32>,
    /// Connections from one client address; `None`: no bound of its own.
    pub client_connections: Option<Spanned<u32>>,
    /// Requests on one connection before it is closed; `None`: no bound.
    pub requests_per_connection: Option<Spanned<u32>>,
    /// Bytes of a request body where the route says nothing; `None`: no bound, bodies are streamed.
    pub body: Option<Spanned<u64>>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            // Room for large cookies; more than nginx's 4 x 8 KiB would only help an attacker fill memory.
            header_bytes: Setting::default_of(32 * 1024),
            headers: Setting::default_of(100),
            request_line: Setting::default_of(16 * 1024),
            // The floor that RFC 9113 section 6.5.2 recommends.
            h2_streams: Setting::default_of(100),
            h3_streams: Setting::default_of(100),
            connections: Setting::default_of(100_000),
            client_connections: None,
            requests_per_connection: None,
            body: None,
        }
    }
}

/// How long each step may take.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// From the first byte of a request to the end of its head; 10 s.
    pub head: Setting<Duration>,
    /// Between two reads of a request body; 30 s.
    pub body_idle: Setting<Duration>,
    /// Without progress of a write to the client; 30 s.
    pub write_idle: Setting<Duration>,
    /// An idle connection between two requests; 75 s.
    pub keep_alive: Setting<Duration>,
    /// The whole TLS handshake; 10 s.
    pub tls_handshake: Setting<Duration>,
    /// Upstream: address look-up, connect and TLS; 5 s.
    pub connect: Setting<Duration>,
    /// Upstream: from the request sent to the head of the response; 60 s.
    pub response_head: Setting<Duration>,
    /// Upstream: between two reads of a response body; 60 s.
    pub response_idle: Setting<Duration>,
    /// A tunnel (WebSocket or other upgrade) that is silent both ways; 5 min.
    pub tunnel_idle: Setting<Duration>,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        let seconds = |count| Setting::default_of(Duration::from_secs(count));
        Timeouts {
            head: seconds(10),
            body_idle: seconds(30),
            write_idle: seconds(30),
            keep_alive: seconds(75),
            tls_handshake: seconds(10),
            connect: seconds(5),
            response_head: seconds(60),
            response_idle: seconds(60),
            tunnel_idle: seconds(300),
        }
    }
}

impl Default for Global {
    fn default() -> Global {
        Global {
            email: None,
            acme: Vec::new(),
            admin: None,
            metrics: None,
            access_log: Setting::default_of(AccessLog::Off),
            error_log: Setting::default_of(ErrorLog {
                level: LogLevel::Info,
                to: LogTarget::Stderr,
            }),
            waf_log: Setting::default_of(WafLog::Off),
            workers: Setting::default_of(Workers::Auto),
            background_threads: Setting::default_of(BackgroundThreads::Auto),
            zone: None,
            data: None,
            resolvers: Vec::new(),
            trusted_proxies: Vec::new(),
            http_port: Setting::default_of(80),
            https_port: Setting::default_of(443),
            bind: Vec::new(),
            overload: None,
            desync: Setting::default_of(Desync::Defensive),
            geo: None,
            user: None,
            harden: Setting::default_of(Harden::On),
            drain: Setting::default_of(Duration::from_secs(30)),
            tls_policy: Setting::default_of(TlsPolicy::intermediate()),
            tls_policies: Vec::new(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }
}
