//! What is measured: loads, each with a name for the command line and its bars from the design. A
//! scenario is data, so that adding one is adding a line to the table.

use crate::{
    bench::{
        gates::Gate,
        waf::{Rules, Visit, Watch},
    },
    text::Kind,
    wire::{Shake, Wire},
};

/// One load that every contender gets.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) group: Group,
    pub(crate) way: Way,
    pub(crate) wire: Wire,
    pub(crate) load: Load,
    /// Length of the response's body, or of the request's for uploads.
    pub(crate) body_bytes: u64,
    pub(crate) connections: u32,
    /// HAProxy's buffer size decides its cost; where neither is better for sure, both run.
    pub(crate) haproxy: &'static [Buffers],
    pub(crate) bars: &'static [Bar],
}

/// What is measured together, and has a section of its own on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// HTTP/1.1 and HTTP/2 against Debian's peers.
    Main,
    /// HTTP/3, relays and FastCGI, whose peers are others.
    Wires,
    /// Handshakes of all kinds against nginx, with as little else as may be.
    Handshakes,
    /// Hits of a cache against nginx and Varnish.
    Cache,
    /// Answers that are compressed, against nginx and Apache.
    Compress,
    /// Requests that a firewall looks at, against nginx with the same rules.
    Waf,
    /// Requests that pass gates, against nginx with the same limit.
    Guard,
}

impl Group {
    pub(crate) const ALL: [Self; 7] = [
        Self::Main,
        Self::Wires,
        Self::Handshakes,
        Self::Cache,
        Self::Compress,
        Self::Waf,
        Self::Guard,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Wires => "wires",
            Self::Handshakes => "handshakes",
            Self::Cache => "cache",
            Self::Compress => "compress",
            Self::Waf => "waf",
            Self::Guard => "guard",
        }
    }

    pub(crate) fn scenarios(self) -> Vec<&'static Scenario> {
        ALL.iter().filter(|scenario| scenario.group == self).collect()
    }
}

/// What the proxy does with what comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It passes requests on to an origin.
    Origin,
    /// It passes bytes on.
    Relay,
    /// It passes requests on to a FastCGI application.
    FastCgi,
    /// It answers by itself.
    Own,
    /// It answers with what an origin said before the measurement.
    Cache(Tier),
    /// It compresses what an origin says, each time.
    Coded(Coded),
    /// It answers with what it compressed before the measurement.
    CodedHit(Coded),
    /// It looks for attacks, and passes on what is none.
    Watched(Watch),
    /// It lets pass what its gates let pass.
    Gated(Gate),
}

/// A text and how it is to be compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coded {
    pub(crate) kind: Kind,
    pub(crate) coding: Coding,
    pub(crate) level: u8,
}

/// A content coding that a peer has too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Brotli,
}

impl Coding {
    /// As the fields of HTTP have it.
    pub(crate) fn token(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
        }
    }
}

/// Where a cache has what it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    /// One object, in memory.
    Memory,
    /// Many more bytes than the cache may hold in memory, from files that the kernel has in its own.
    Disk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// GET on kept connections.
    Get,
    /// POST on kept connections.
    Post,
    /// A new TLS connection for each GET.
    Handshakes(Shake),
    /// HTTP/2: 32 streams at a time on each connection.
    Streams,
    /// HTTP/3: so many streams at a time on each connection.
    Http3 { streams: u32 },
    /// One GET on each connection, then silence.
    Idle,
    /// None: it starts, and is looked at.
    Start,
}

/// Size of a peer's relay buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buffers {
    /// 16 KiB, HAProxy's default.
    Small,
    /// 64 KiB, for large bodies.
    Large,
}

/// What doorman must reach in a scenario.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bar {
    /// CPU per request divided by that of the cheaper peer.
    RatioToCheaperPeer(f64),
    /// CPU per request divided by that of nginx.
    RatioToNginx(f64),
    /// CPU per request divided by that of Apache.
    RatioToApache(f64),
    /// CPU per request divided by that of the byte relay.
    RatioToRelay(f64),
    /// CPU per request divided by that of an answer of as many bytes that was never coded.
    RatioToPlain(f64),
    /// User time per request in microseconds.
    UserMicroseconds(f64),
    /// Resident memory for each idle connection.
    KibPerConnection(f64),
    /// Resident memory beside that without what the scenario is about, at rest.
    MibMore(f64),
    /// From its start to its first right answers.
    ReadySeconds(f64),
}

/// Connections of the idle scenarios.
pub(crate) const IDLE_CONNECTIONS: u32 = 10_000;
/// Objects on disk: 64 MiB of bodies beside 1 MiB of memory.
pub(crate) const DISK_OBJECTS: u32 = 16_384;
/// Concurrent streams on each HTTP/2 connection.
pub(crate) const STREAMS_PER_CONNECTION: u32 = 32;

const NONE: &[Buffers] = &[];
const SMALL: &[Buffers] = &[Buffers::Small];
const LARGE: &[Buffers] = &[Buffers::Large];
const BOTH: &[Buffers] = &[Buffers::Small, Buffers::Large];

/// All scenarios, in the order in which they run.
pub(crate) const ALL: [Scenario; 45] = [
    Scenario {
        name: "h1-1k-c64",
        title: "HTTP/1.1 keep-alive, 1 KiB, 64 connections",
        group: Group::Main,
        way: Way::Origin,
        wire: Wire::Plain,
        load: Load::Get,
        body_bytes: 1024,
        connections: 64,
        haproxy: SMALL,
        bars: &[Bar::RatioToCheaperPeer(0.80), Bar::UserMicroseconds(4.0)],
    },
    Scenario {
        name: "h1-1k-c1024",
        title: "HTTP/1.1 keep-alive, 1 KiB, 1,024 connections",
        group: Group::Main,
        way: Way::Origin,
        wire: Wire::Plain,
        load: Load::Get,
        body_bytes: 1024,
        connections: 1024,
        haproxy: SMALL,
        bars: &[Bar::RatioToCheaperPeer(0.75)],
    },
    Scenario {
        name: "h1-16k-c64",
        title: "HTTP/1.1 keep-alive, 16 KiB, 64 connections",
        group: Group::Main,
        way: Way::Origin,
        wire: Wire::Plain,
        load: Load::Get,
        body_bytes: 16 * 1024,
        connections: 64,
        haproxy: BOTH,
        bars: &[],
    },
    Scenario {
        name: "h1-1m-c16",
        title: "HTTP/1.1 keep-alive, 1 MiB, 16 connections",
        group: Group::Main,
        way: Way::Origin,
        wire: Wire::Plain,
        load: Load::Get,
        body_bytes: 1024 * 1024,
        connections: 16,
        haproxy: LARGE,
        bars: &[Bar::RatioToCheaperPeer(1.0)],
    },
    Scenario {
        name: "post-16k-c64",
        title: "HTTP/1.1 POST of 16 KiB, 64 connections",
        group: Group::Main,
        way: Way::Origin,
        wire: Wire::Plain,
        load: Load::Post,
        body_bytes: 16 * 1024,
        connections: 64,
        haproxy: BOTH,
        bars: &[],
    },
    Scenario {
        name: "tls-1k-c64",
        title: "HTTP/1.1 over TLS 1.3 keep-alive, 1 KiB, 64 connections",
        group: Group::Main,
        way: Way::Origin,
        wire: Wire::Tls,
        load: Load::Get,
        body_bytes: 1024,
        connections: 64,
        haproxy: SMALL,
        bars: &[Bar::RatioToCheaperPeer(0.75)],
    },
    Scenario {
        name: "handshake",
        title: "New TLS 1.3 connection (ECDSA P-256, X25519, never resumed) and one GET of 1 KiB",
        group: Group::Main,
        way: Way::Origin,
        wire: Wire::Tls,
        load: Load::Handshakes(Shake::TLS13),
        body_bytes: crate::handshakes::BODY_BYTES,
        connections: 32,
        haproxy: SMALL,
        bars: &[Bar::RatioToCheaperPeer(0.50)],
    },
    Scenario {
        name: "h2-1k",
        title: "HTTP/2 over TLS 1.3, 1 KiB, 10 connections of 32 streams",
        group: Group::Main,
        way: Way::Origin,
        wire: Wire::Tls,
        load: Load::Streams,
        body_bytes: 1024,
        connections: 10,
        haproxy: BOTH,
        bars: &[Bar::RatioToCheaperPeer(0.80)],
    },
    Scenario {
        name: "idle-h1",
        title: "Memory for each of 10,000 idle HTTP/1.1 connections",
        group: Group::Main,
        way: Way::Origin,
        wire: Wire::Plain,
        load: Load::Idle,
        body_bytes: 1024,
        connections: IDLE_CONNECTIONS,
        haproxy: SMALL,
        bars: &[Bar::KibPerConnection(12.0)],
    },
    Scenario {
        name: "idle-tls",
        title: "Memory for each of 10,000 idle TLS 1.3 connections",
        group: Group::Main,
        way: Way::Origin,
        wire: Wire::Tls,
        load: Load::Idle,
        body_bytes: 1024,
        connections: IDLE_CONNECTIONS,
        haproxy: SMALL,
        bars: &[Bar::KibPerConnection(20.0)],
    },
    Scenario {
        name: "h3-1k",
        title: "HTTP/3, 1 KiB, 10 connections of 32 streams",
        group: Group::Wires,
        way: Way::Origin,
        wire: Wire::Tls,
        load: Load::Http3 { streams: 32 },
        body_bytes: 1024,
        connections: 10,
        haproxy: NONE,
        bars: &[Bar::RatioToCheaperPeer(0.90)],
    },
    Scenario {
        name: "h3-1m",
        title: "HTTP/3, 1 MiB, 4 connections of 2 streams",
        group: Group::Wires,
        way: Way::Origin,
        wire: Wire::Tls,
        load: Load::Http3 { streams: 2 },
        body_bytes: 1024 * 1024,
        connections: 4,
        haproxy: NONE,
        bars: &[Bar::RatioToCheaperPeer(1.35)],
    },
    Scenario {
        name: "relay-1k",
        title: "TCP relay: HTTP/1.1 keep-alive passed through as bytes, 1 KiB, 64 connections",
        group: Group::Wires,
        way: Way::Relay,
        wire: Wire::Plain,
        load: Load::Get,
        body_bytes: 1024,
        connections: 64,
        haproxy: NONE,
        bars: &[Bar::RatioToRelay(1.05)],
    },
    Scenario {
        name: "relay-1m",
        title: "TCP relay: HTTP/1.1 keep-alive passed through as bytes, 1 MiB, 16 connections",
        group: Group::Wires,
        way: Way::Relay,
        wire: Wire::Plain,
        load: Load::Get,
        body_bytes: 1024 * 1024,
        connections: 16,
        haproxy: NONE,
        bars: &[Bar::RatioToRelay(1.05)],
    },
    Scenario {
        name: "fastcgi-1k",
        title: "HTTP/1.1 keep-alive to a FastCGI application, 1 KiB, 64 connections",
        group: Group::Wires,
        way: Way::FastCgi,
        wire: Wire::Plain,
        load: Load::Get,
        body_bytes: 1024,
        connections: 64,
        haproxy: NONE,
        bars: &[],
    },
    Scenario {
        name: "tls13",
        title: "New TLS 1.3 connection (ECDSA P-256, X25519) and one GET that the proxy answers",
        group: Group::Handshakes,
        way: Way::Own,
        wire: Wire::Tls,
        load: Load::Handshakes(Shake::TLS13),
        body_bytes: crate::handshakes::BODY_BYTES,
        connections: 32,
        haproxy: NONE,
        bars: &[Bar::RatioToCheaperPeer(0.50)],
    },
    Scenario {
        name: "tls13-rsa",
        title: "The same with an RSA key of 2,048 bits",
        group: Group::Handshakes,
        way: Way::Own,
        wire: Wire::Tls,
        load: Load::Handshakes(Shake::TLS13.rsa()),
        body_bytes: crate::handshakes::BODY_BYTES,
        connections: 32,
        haproxy: NONE,
        bars: &[Bar::RatioToCheaperPeer(0.50)],
    },
    Scenario {
        name: "tls13-resumed",
        title: "TLS 1.3 connection that resumes by a ticket (X25519), and one GET",
        group: Group::Handshakes,
        way: Way::Own,
        wire: Wire::Tls,
        load: Load::Handshakes(Shake::TLS13.resumed()),
        body_bytes: crate::handshakes::BODY_BYTES,
        connections: 32,
        haproxy: NONE,
        bars: &[Bar::RatioToCheaperPeer(0.50)],
    },
    Scenario {
        name: "tls12",
        title: "New TLS 1.2 connection (ECDSA P-256, X25519) and one GET",
        group: Group::Handshakes,
        way: Way::Own,
        wire: Wire::Tls,
        load: Load::Handshakes(Shake::TLS12),
        body_bytes: crate::handshakes::BODY_BYTES,
        connections: 32,
        haproxy: NONE,
        bars: &[Bar::RatioToCheaperPeer(0.50)],
    },
    Scenario {
        name: "tls12-rsa",
        title: "The same with an RSA key of 2,048 bits",
        group: Group::Handshakes,
        way: Way::Own,
        wire: Wire::Tls,
        load: Load::Handshakes(Shake::TLS12.rsa()),
        body_bytes: crate::handshakes::BODY_BYTES,
        connections: 32,
        haproxy: NONE,
        bars: &[Bar::RatioToCheaperPeer(0.50)],
    },
    Scenario {
        name: "tls12-resumed",
        title: "TLS 1.2 connection that resumes by a ticket, and one GET",
        group: Group::Handshakes,
        way: Way::Own,
        wire: Wire::Tls,
        load: Load::Handshakes(Shake::TLS12.resumed()),
        body_bytes: crate::handshakes::BODY_BYTES,
        connections: 32,
        haproxy: NONE,
        bars: &[Bar::RatioToCheaperPeer(0.50)],
    },
    Scenario {
        name: "cache-1k",
        title: "Hit of 1 KiB in memory, HTTP/1.1 keep-alive, 64 connections",
        group: Group::Cache,
        way: Way::Cache(Tier::Memory),
        wire: Wire::Plain,
        load: Load::Get,
        body_bytes: 1024,
        connections: 64,
        haproxy: NONE,
        bars: &[Bar::RatioToCheaperPeer(0.80)],
    },
    Scenario {
        name: "cache-1m",
        title: "Hit of 1 MiB in memory, HTTP/1.1 keep-alive, 16 connections",
        group: Group::Cache,
        way: Way::Cache(Tier::Memory),
        wire: Wire::Plain,
        load: Load::Get,
        body_bytes: 1024 * 1024,
        connections: 16,
        haproxy: NONE,
        bars: &[Bar::RatioToCheaperPeer(0.90)],
    },
    Scenario {
        name: "cache-disk",
        title: "Hits of 4 KiB on disk, 16,384 objects in turn, HTTP/1.1 keep-alive, 64 connections",
        group: Group::Cache,
        way: Way::Cache(Tier::Disk),
        wire: Wire::Plain,
        load: Load::Get,
        body_bytes: 4096,
        connections: 64,
        haproxy: NONE,
        bars: &[Bar::RatioToNginx(1.10)],
    },
    coded(
        ("gzip1-16k", "gzip 1 of a page of 16 KiB, HTTP/1.1 keep-alive, 64 connections"),
        Way::Coded(Coded { kind: Kind::Html, coding: Coding::Gzip, level: 1 }),
        16 * 1024,
        64,
        &[Bar::RatioToNginx(0.70)],
    ),
    coded(
        ("gzip1-256k", "gzip 1 of a script of 256 KiB, HTTP/1.1 keep-alive, 8 connections"),
        Way::Coded(Coded { kind: Kind::Script, coding: Coding::Gzip, level: 1 }),
        256 * 1024,
        8,
        &[Bar::RatioToNginx(0.70)],
    ),
    coded(
        ("gzip1-1m", "gzip 1 of records of 1 MiB, HTTP/1.1 keep-alive, 2 connections"),
        Way::Coded(Coded { kind: Kind::Json, coding: Coding::Gzip, level: 1 }),
        1024 * 1024,
        2,
        &[Bar::RatioToNginx(0.70)],
    ),
    coded(
        ("gzip6-16k", "gzip 6 of a page of 16 KiB, HTTP/1.1 keep-alive, 64 connections"),
        Way::Coded(Coded { kind: Kind::Html, coding: Coding::Gzip, level: 6 }),
        16 * 1024,
        64,
        &[Bar::RatioToNginx(0.70)],
    ),
    coded(
        ("gzip6-256k", "gzip 6 of a script of 256 KiB, HTTP/1.1 keep-alive, 8 connections"),
        Way::Coded(Coded { kind: Kind::Script, coding: Coding::Gzip, level: 6 }),
        256 * 1024,
        8,
        &[Bar::RatioToNginx(0.70)],
    ),
    coded(
        ("gzip6-1m", "gzip 6 of records of 1 MiB, HTTP/1.1 keep-alive, 2 connections"),
        Way::Coded(Coded { kind: Kind::Json, coding: Coding::Gzip, level: 6 }),
        1024 * 1024,
        2,
        &[Bar::RatioToNginx(0.70)],
    ),
    coded(
        ("br5-16k", "brotli 5 of a page of 16 KiB, HTTP/1.1 keep-alive, 64 connections"),
        Way::Coded(Coded { kind: Kind::Html, coding: Coding::Brotli, level: 5 }),
        16 * 1024,
        64,
        &[Bar::RatioToApache(1.00)],
    ),
    coded(
        ("br5-256k", "brotli 5 of a script of 256 KiB, HTTP/1.1 keep-alive, 8 connections"),
        Way::Coded(Coded { kind: Kind::Script, coding: Coding::Brotli, level: 5 }),
        256 * 1024,
        8,
        &[Bar::RatioToApache(1.00)],
    ),
    coded(
        ("br5-1m", "brotli 5 of records of 1 MiB, HTTP/1.1 keep-alive, 2 connections"),
        Way::Coded(Coded { kind: Kind::Json, coding: Coding::Brotli, level: 5 }),
        1024 * 1024,
        2,
        &[Bar::RatioToApache(1.00)],
    ),
    coded(
        (
            "coded-hit-16k",
            "Hit of a page of 16 KiB that was compressed before, HTTP/1.1 keep-alive, 64 connections",
        ),
        Way::CodedHit(Coded { kind: Kind::Html, coding: Coding::Gzip, level: 6 }),
        16 * 1024,
        64,
        &[Bar::RatioToPlain(1.03)],
    ),
    coded(
        (
            "coded-hit-256k",
            "Hit of a script of 256 KiB that was compressed before, HTTP/1.1 keep-alive, 64 connections",
        ),
        Way::CodedHit(Coded { kind: Kind::Script, coding: Coding::Gzip, level: 6 }),
        256 * 1024,
        64,
        &[Bar::RatioToPlain(1.03)],
    ),
    watched(
        ("waf-off-get", "GET with three fields that no rule looks at, 8 connections"),
        Watch { rules: Rules::Off, visit: Visit::Bare },
        Load::Get,
        &[Bar::RatioToPlain(1.03)],
    ),
    watched(
        ("waf-starter-get", "GET of a browser and doorman's own rules, 8 connections"),
        Watch { rules: Rules::Starter, visit: Visit::Browser },
        Load::Get,
        &[],
    ),
    watched(
        ("waf-bare-get", "GET with three fields and the Core Rule Set, 8 connections"),
        Watch { rules: Rules::Core, visit: Visit::Bare },
        Load::Get,
        &[Bar::RatioToNginx(0.10)],
    ),
    watched(
        (
            "waf-browser-get",
            "GET of a browser (eight fields, three arguments, two cookies) and the Core Rule Set, 8 connections",
        ),
        Watch { rules: Rules::Core, visit: Visit::Browser },
        Load::Get,
        &[Bar::RatioToNginx(0.10)],
    ),
    watched(
        ("waf-form-2k", "POST of a form of 20 fields in 2 KB and the Core Rule Set, 8 connections"),
        Watch { rules: Rules::Core, visit: Visit::Form },
        Load::Post,
        &[Bar::RatioToNginx(0.10)],
    ),
    watched(
        (
            "waf-start",
            "Start with the Core Rule Set, to the first right answers, and memory at rest",
        ),
        Watch { rules: Rules::Core, visit: Visit::Bare },
        Load::Start,
        &[Bar::ReadySeconds(2.0), Bar::MibMore(40.0)],
    ),
    gated(
        ("guard-off", "GET of a route that has no gate, of a site that has some, 64 connections"),
        Gate::Off,
        &[Bar::RatioToPlain(1.03)],
    ),
    gated(
        ("guard-limit", "GET and a limit by address that is not told, 64 connections"),
        Gate::Limit,
        &[Bar::RatioToNginx(0.80)],
    ),
    gated(
        ("guard-told", "GET and a limit by address that each answer tells, 64 connections"),
        Gate::Told,
        &[],
    ),
    gated(
        (
            "guard-several",
            "GET and a ban, two lists, connections, a limit, csrf and careful fields, 64 connections",
        ),
        Gate::Several,
        &[],
    ),
];

const fn gated(
    (name, title): (&'static str, &'static str),
    gate: Gate,
    bars: &'static [Bar],
) -> Scenario {
    Scenario {
        name,
        title,
        group: Group::Guard,
        way: Way::Gated(gate),
        wire: Wire::Plain,
        load: Load::Get,
        body_bytes: 1024,
        connections: 64,
        haproxy: NONE,
        bars,
    }
}

/// Few connections: what waits for the proxy is no part of what it costs.
const fn watched(
    (name, title): (&'static str, &'static str),
    watch: Watch,
    load: Load,
    bars: &'static [Bar],
) -> Scenario {
    Scenario {
        name,
        title,
        group: Group::Waf,
        way: Way::Watched(watch),
        wire: Wire::Plain,
        load,
        body_bytes: 1024,
        connections: 8,
        haproxy: NONE,
        bars,
    }
}

/// Longer bodies on fewer connections: what is half done at the end has cost time, and counts for nothing.
const fn coded(
    (name, title): (&'static str, &'static str),
    way: Way,
    body_bytes: u64,
    connections: u32,
    bars: &'static [Bar],
) -> Scenario {
    Scenario {
        name,
        title,
        group: Group::Compress,
        way,
        wire: Wire::Plain,
        load: Load::Get,
        body_bytes,
        connections,
        haproxy: NONE,
        bars,
    }
}

impl Scenario {
    /// How many different answers there are.
    pub(crate) fn objects(&self) -> u32 {
        match self.way {
            Way::Cache(Tier::Disk) => DISK_OBJECTS,
            _ => 1,
        }
    }

    /// What is asked for; uploads ask for no body.
    pub(crate) fn path(&self, object: u32) -> String {
        let bytes = if self.load == Load::Post { 0 } else { self.body_bytes };
        match self.way {
            Way::Cache(_) => format!("/c/{bytes}/{object}"),
            Way::Coded(Coded { kind, .. }) => format!("/b/{bytes}/{}", kind.name()),
            Way::CodedHit(Coded { kind, .. }) => format!("/c/{bytes}/{}", kind.name()),
            Way::Watched(Watch { visit, .. }) => format!("/b/{bytes}{}", visit.query()),
            _ => format!("/b/{bytes}"),
        }
    }

    /// How its answers are compressed.
    pub(crate) fn coded(&self) -> Option<Coded> {
        match self.way {
            Way::Coded(coded) | Way::CodedHit(coded) => Some(coded),
            _ => None,
        }
    }

    /// What looks at its requests.
    pub(crate) fn watch(&self) -> Option<Watch> {
        match self.way {
            Way::Watched(watch) => Some(watch),
            _ => None,
        }
    }

    /// What its requests have to pass.
    pub(crate) fn gate(&self) -> Option<Gate> {
        match self.way {
            Way::Gated(gate) => Some(gate),
            _ => None,
        }
    }

    /// Whether the origin must not be asked while it is measured.
    pub(crate) fn is_cached(&self) -> bool {
        matches!(self.way, Way::Cache(_) | Way::CodedHit(_))
    }

    pub(crate) fn is_http3(&self) -> bool {
        matches!(self.load, Load::Http3 { .. })
    }
}

/// The scenario of that name.
pub(crate) fn named(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for() {
        for (name, objects, path) in [
            ("h1-1k-c64", 1, "/b/1024"),
            ("post-16k-c64", 1, "/b/0"),
            ("cache-1k", 1, "/c/1024/7"),
            ("cache-disk", DISK_OBJECTS, "/c/4096/7"),
            ("gzip6-256k", 1, "/b/262144/js"),
            ("coded-hit-16k", 1, "/c/16384/html"),
            ("waf-bare-get", 1, "/b/1024"),
            ("waf-browser-get", 1, "/b/1024?page=2&sort=price&q=watering+can+green"),
            ("waf-form-2k", 1, "/b/0"),
        ] {
            let scenario = named(name).unwrap();
            assert_eq!((scenario.objects(), scenario.path(7).as_str()), (objects, path), "{name}");
        }
    }

    #[test]
    fn names_are_different_and_groups_hold_all() {
        for scenario in &ALL {
            assert_eq!(named(scenario.name).unwrap().title, scenario.title, "{}", scenario.name);
        }
        let grouped: usize = Group::ALL.iter().map(|group| group.scenarios().len()).sum();
        assert_eq!(grouped, ALL.len());
    }
}
