//! What is measured: ten loads, each with a name for the command line and its bars from the design. A
//! scenario is data, so that adding one is adding a line to the table.

use crate::wire::Wire;

/// One load that every contender gets.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) wire: Wire,
    pub(crate) load: Load,
    /// Length of the response's body, or of the request's for uploads.
    pub(crate) body_bytes: u64,
    pub(crate) connections: u32,
    /// HAProxy's buffer size decides its cost; where neither is better for sure, both run.
    pub(crate) haproxy: &'static [Buffers],
    pub(crate) bars: &'static [Bar],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// GET on kept connections.
    Get,
    /// POST on kept connections.
    Post,
    /// A new TLS connection for each GET.
    Handshakes,
    /// HTTP/2: 32 streams at a time on each connection.
    Streams,
    /// One GET on each connection, then silence.
    Idle,
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
    /// User time per request in microseconds.
    UserMicroseconds(f64),
    /// Resident memory for each idle connection.
    KibPerConnection(f64),
}

/// Connections of the idle scenarios.
pub(crate) const IDLE_CONNECTIONS: u32 = 10_000;
/// Concurrent streams on each HTTP/2 connection.
pub(crate) const STREAMS_PER_CONNECTION: u32 = 32;

const SMALL: &[Buffers] = &[Buffers::Small];
const LARGE: &[Buffers] = &[Buffers::Large];
const BOTH: &[Buffers] = &[Buffers::Small, Buffers::Large];

/// All scenarios, in the order in which they run.
pub(crate) const ALL: [Scenario; 10] = [
    Scenario {
        name: "h1-1k-c64",
        title: "HTTP/1.1 keep-alive, 1 KiB, 64 connections",
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
        wire: Wire::Tls,
        load: Load::Handshakes,
        body_bytes: crate::handshakes::BODY_BYTES,
        connections: 32,
        haproxy: SMALL,
        bars: &[Bar::RatioToCheaperPeer(0.50)],
    },
    Scenario {
        name: "h2-1k",
        title: "HTTP/2 over TLS 1.3, 1 KiB, 10 connections of 32 streams",
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
        wire: Wire::Tls,
        load: Load::Idle,
        body_bytes: 1024,
        connections: IDLE_CONNECTIONS,
        haproxy: SMALL,
        bars: &[Bar::KibPerConnection(20.0)],
    },
];

/// The scenario of that name.
pub(crate) fn named(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}
