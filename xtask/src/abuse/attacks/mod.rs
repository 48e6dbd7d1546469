//! The attacks: what each does, how many do it at once or in a second, and what it may cost. They are processes of
//! their own with the lowest priority, so that what they show is what doorman makes of them and not who got
//! the processor.

use std::net::{Ipv4Addr, SocketAddr};

mod field;
mod floods;
mod guarded;
mod h2;
mod h3;
mod slow;
mod tls;

pub(crate) use field::run;

/// Where doorman listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doors {
    pub(crate) plain: SocketAddr,
    pub(crate) tls: SocketAddr,
}

impl Doors {
    pub(crate) fn new(plain: u16, tls: u16) -> Self {
        let [plain, tls] = [plain, tls].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        Self { plain, tls }
    }
}

/// What one attacker does over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    SlowHeads,
    SlowBodies,
    SlowReaders,
    Bulk,
    Silence,
    Pipelines,
    Idle,
    WebSockets,
    HugeHeads,
    Resets,
    Knocks,
    NotFound,
    Keys,
    Passwords,
    Json,
    HalfHellos,
    Hellos,
    Handshakes,
    TinyWindows,
    RapidResets,
    Pings,
    Settings,
    Continuations,
    H3Resets,
}

/// How many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// So many attackers, each of which begins anew when it is thrown out.
    Held(u32),
    /// So many attackers that begin in each second.
    PerSecond(u32),
}

impl Manner {
    /// A part of it, for a machine or a test that is small.
    #[must_use]
    pub(crate) fn divided(self, by: u32) -> Self {
        match self {
            Self::Held(count) => Self::Held((count / by).max(1)),
            Self::PerSecond(count) => Self::PerSecond((count / by).max(1)),
        }
    }

    pub(crate) fn words(self) -> [String; 2] {
        match self {
            Self::Held(count) => ["held".into(), count.to_string()],
            Self::PerSecond(count) => ["per-second".into(), count.to_string()],
        }
    }

    /// The inverse of `words`.
    pub(crate) fn from_words(word: &str, count: u32) -> Option<Self> {
        match word {
            "held" => Some(Self::Held(count)),
            "per-second" => Some(Self::PerSecond(count)),
            _ => None,
        }
    }
}

/// An attack, and what it may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Ids of the list of attacks, for the table.
    pub(crate) cases: &'static str,
    pub(crate) what: &'static str,
    pub(crate) manner: Manner,
    /// Memory that each attacker who is held may cost, beside what may be whatever happens.
    pub(crate) kib_each: u64,
    /// Open files that doorman has, where that is the point.
    pub(crate) open_files: Option<u32>,
    /// Whether the small selection for every change has it.
    pub(crate) size: Size,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Small,
    Full,
}

impl Attack {
    const fn held(name: &'static str, kind: Kind, count: u32, kib_each: u64) -> Self {
        Self {
            name,
            kind,
            cases: "",
            what: "",
            manner: Manner::Held(count),
            kib_each,
            open_files: None,
            size: Size::Full,
        }
    }

    /// Those who come and go hold nothing.
    const fn per_second(name: &'static str, kind: Kind, count: u32) -> Self {
        Self { manner: Manner::PerSecond(count), ..Self::held(name, kind, count, 0) }
    }

    const fn cases(self, cases: &'static str, what: &'static str) -> Self {
        Self { cases, what, ..self }
    }

    const fn small(self) -> Self {
        Self { size: Size::Small, ..self }
    }

    const fn open_files(self, count: u32) -> Self {
        Self { open_files: Some(count), ..self }
    }

    /// The most that all who are held may cost.
    pub(crate) fn kib_bound(&self) -> u64 {
        match self.manner {
            Manner::Held(count) => u64::from(count) * self.kib_each,
            Manner::PerSecond(_) => 0,
        }
    }

    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|attack| attack.name == name)
    }
}

/// All attacks, in the order in which they are made.
pub(crate) const ALL: &[Attack] = &[
    Attack::held("slow-heads", Kind::SlowHeads, 8000, 6)
        .cases("RXC-01", "a byte of a head every 5 s")
        .small(),
    Attack::held("slow-bodies", Kind::SlowBodies, 2000, 24)
        .cases("RXC-02", "a byte of a body every 5 s")
        .small(),
    // Not so many that what their sockets hold is more than the system lets all sockets have (`net.ipv4.tcp_mem`),
    // which slows those of everybody.
    Attack::held("slow-readers", Kind::SlowReaders, 100, 288)
        .cases("RXC-03", "10 MB asked for, a byte read every 5 s"),
    Attack::held("bulk", Kind::Bulk, 8, 1024)
        .cases("RXC-03", "10 MB asked for again and again, and taken as it comes"),
    Attack::held("silence", Kind::Silence, 8000, 4).cases("RXC-06", "connections that say nothing"),
    Attack::held("half-hellos", Kind::HalfHellos, 4000, 24)
        .cases("RXC-04, 05", "a TLS handshake that stops within its first message")
        .small(),
    Attack::per_second("hellos", Kind::Hellos, 300)
        .cases("RXC-04", "a TLS handshake that leaves when it has been answered"),
    Attack::per_second("handshakes", Kind::Handshakes, 200)
        .cases("RXC-18", "full TLS handshakes and nothing behind them"),
    Attack::per_second("resets", Kind::Resets, 500)
        .cases("RXC-06", "100 KB asked for, and a reset"),
    Attack::per_second("knocks", Kind::Knocks, 2000)
        .cases("RXC-10", "connections that are closed at once"),
    Attack::held("idle", Kind::Idle, 8000, 6).cases("RXC-07", "one request, then silence"),
    Attack::held("idle-at-limit", Kind::Idle, 2000, 6)
        .cases("RXC-07, 08", "the same where doorman may open 512 files")
        .open_files(512),
    Attack::held("websockets", Kind::WebSockets, 2000, 48)
        .cases("RXC-21", "tunnels in which nothing is said"),
    Attack::per_second("huge-heads", Kind::HugeHeads, 300)
        .cases("RXC-13", "heads beyond the bound, and as many fields as there may be"),
    Attack::held("pipelines", Kind::Pipelines, 50, 192)
        .cases("RXC-03", "a thousand requests at once, and no answer is read"),
    Attack::held("not-found", Kind::NotFound, 20, 32)
        .cases("RXC-25", "paths that are not there, each another, 50 a second each"),
    Attack::held("keys", Kind::Keys, 20, 2048)
        .cases("RXC-13", "a limit by a field with another value each time, 400 a second each"),
    Attack::held("passwords", Kind::Passwords, 20, 128)
        .cases("SEA-03", "wrong passwords, 10 a second each"),
    Attack::held("json", Kind::Json, 4, 4096)
        .cases("RXC-14", "100 KB of nested JSON for rules, 10 a second each"),
    Attack::held("tiny-windows", Kind::TinyWindows, 20, 9 * 1024)
        .cases("H2D-25", "100 streams in windows that open by a byte a second"),
    Attack::held("rapid-resets", Kind::RapidResets, 20, 256)
        .cases("H2D-01", "HTTP/2 streams that are reset at once")
        .small(),
    Attack::held("pings", Kind::Pings, 20, 128).cases("H2D-20", "PING without end"),
    Attack::held("settings", Kind::Settings, 20, 128).cases("H2D-21", "SETTINGS without end"),
    Attack::held("continuations", Kind::Continuations, 20, 256)
        .cases("H2D-09", "a header block without an end"),
    Attack::held("h3-resets", Kind::H3Resets, 20, 512)
        .cases("H3Q-23", "HTTP/3 streams that are reset at once"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_there_once_and_words_read_back() {
        for attack in ALL {
            let count = ALL.iter().filter(|other| other.name == attack.name).count();
            assert_eq!(count, 1, "{}", attack.name);
            assert!(!attack.what.is_empty() && !attack.cases.is_empty(), "{}", attack.name);
            let [word, number] = attack.manner.words();
            let read = Manner::from_words(&word, number.parse().unwrap());
            assert_eq!(read, Some(attack.manner), "{}", attack.name);
        }
        assert!(ALL.iter().filter(|attack| attack.size == Size::Small).count() >= 3);
        assert_eq!(Manner::from_words("some", 3), None);
    }

    #[test]
    fn bounds_go_by_who_is_held() {
        let held = Attack::held("x", Kind::Idle, 100, 8);
        assert_eq!(held.kib_bound(), 800);
        let some = Attack { manner: held.manner.divided(10), ..held };
        assert_eq!(some.kib_bound(), 80);
        assert_eq!(Attack::per_second("x", Kind::Hellos, 100).kib_bound(), 0);
        assert_eq!(Manner::Held(3).divided(10), Manner::Held(1));
    }
}
