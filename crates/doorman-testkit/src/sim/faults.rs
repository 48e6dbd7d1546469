//! What may go wrong on the simulated network.
//!
//! A seed turns a random subset of the kinds on (swarm testing): with all kinds always on, most
//! connections would die early and the deep states would never be reached.

use std::time::Duration;

use crate::sums::Dice;

/// A kind of misbehaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Fault {
    /// Bytes take 0-200 ms to arrive.
    Delay = 1,
    /// Reads and writes move less than they could; what was written in one piece arrives in many.
    Split = 1 << 1,
    /// A direction goes silent for 1-60 s at some byte.
    Stall = 1 << 2,
    /// Both ends are reset at some byte.
    Reset = 1 << 3,
    /// The sender dies at some byte: its peer sees a clean end there.
    Cut = 1 << 4,
    /// Connections are refused.
    Refuse = 1 << 5,
    /// Connections get no answer until the system gives up.
    Silence = 1 << 6,
    /// Little room between the ends: 4-64 KiB instead of [`WINDOW_MAX`].
    Narrow = 1 << 7,
    /// A read or write is not ready although it could be, and becomes so a little later.
    Hiccup = 1 << 8,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Delay,
        Self::Split,
        Self::Stall,
        Self::Reset,
        Self::Cut,
        Self::Refuse,
        Self::Silence,
        Self::Narrow,
        Self::Hiccup,
    ];
    /// Those that lose nothing and end nothing: every exchange must still succeed.
    pub const GENTLE: [Self; 4] = [Self::Delay, Self::Split, Self::Narrow, Self::Hiccup];
}

/// Which kinds may happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults(u16);

impl Faults {
    /// A perfect network: everything arrives at once, in one piece.
    pub const NONE: Self = Self(0);

    /// These kinds.
    #[must_use]
    pub fn of(kinds: &[Fault]) -> Self {
        Self(kinds.iter().fold(0, |all, kind| all | *kind as u16))
    }

    /// A subset of all kinds, chosen by `seed`; each kind is on in half of the seeds.
    #[must_use]
    pub fn swarm(seed: u64) -> Self {
        Self::swarm_of(seed, &Fault::ALL)
    }

    /// A subset of these kinds, chosen by `seed`.
    #[must_use]
    pub fn swarm_of(seed: u64, kinds: &[Fault]) -> Self {
        let mut dice = Dice::new(seed ^ 0x5357_4152_4D00);
        Self(kinds.iter().fold(
            0,
            |all, kind| {
                if dice.one_in(2) { all | *kind as u16 } else { all }
            },
        ))
    }

    /// Whether this kind may happen.
    #[must_use]
    pub const fn has(self, kind: Fault) -> bool {
        self.0 & kind as u16 != 0
    }

    /// These and one more.
    #[must_use]
    pub const fn with(self, kind: Fault) -> Self {
        Self(self.0 | kind as u16)
    }

    /// These without one.
    #[must_use]
    pub const fn without(self, kind: Fault) -> Self {
        Self(self.0 & !(kind as u16))
    }
}

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The one that connected.
    Caller = 0,
    /// The one that accepted.
    Callee = 1,
}

impl Side {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

/// A misfortune of one connection, in one direction, once the sender has sent `after` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Whose bytes are counted.
    pub sender: Side,
    /// How many bytes pass before it happens.
    pub after: u64,
    /// What happens.
    pub kind: TroubleKind,
}

/// What happens to a connection at a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TroubleKind {
    /// What follows arrives that much later.
    Stall(Duration),
    /// Both ends are reset; the sender's peer has received all bytes before.
    Reset,
    /// The sender dies; its peer sees a clean end after the bytes before.
    Cut,
}

/// The room between the ends of a connection, in bytes per direction, unless it is narrow.
pub const WINDOW_MAX: usize = 64 * 1024;
/// The least room that a narrow connection has.
const WINDOW_MIN: usize = 4 * 1024;
/// The longest time that bytes are under way, in milliseconds: half of it for every byte of a
/// connection, half of it at random.
const DELAY_MS_MAX: u64 = 200;
/// The longest stall, in seconds.
const STALL_SECONDS_MAX: u64 = 60;
/// Troubles come within this many bytes: heads, small bodies, and several windows of a large one.
const TROUBLE_BYTES_MAX: usize = 256 * 1024;

/// What one connection will suffer, rolled when it is made.
#[derive(Clone, Debug)]
pub(super) struct Fate {
    pub(super) faults: Faults,
    pub(super) window: usize,
    pub(super) latency_ms: u64,
    pub(super) troubles: Vec<Trouble>,
    pub(super) answer: Answer,
}

/// What becomes of an attempt to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Accept,
    Refuse,
    Silence,
}

impl Fate {
    /// A connection in 8 that may be refused is, and so on: most of a run must work, or nothing
    /// but the error paths is seen.
    pub(super) fn roll(faults: Faults, dice: &mut Dice) -> Self {
        let answer = if faults.has(Fault::Refuse) && dice.one_in(8) {
            Answer::Refuse
        } else if faults.has(Fault::Silence) && dice.one_in(32) {
            Answer::Silence
        } else {
            Answer::Accept
        };
        let window =
            if faults.has(Fault::Narrow) { WINDOW_MIN << dice.below(5) } else { WINDOW_MAX };
        let latency_ms = if faults.has(Fault::Delay) { dice.below(DELAY_MS_MAX / 2) } else { 0 };
        let mut troubles = Vec::new();
        let stall = Duration::from_secs(1 + dice.below(STALL_SECONDS_MAX));
        for (fault, odds, kind) in [
            (Fault::Stall, 4, TroubleKind::Stall(stall)),
            (Fault::Reset, 8, TroubleKind::Reset),
            (Fault::Cut, 8, TroubleKind::Cut),
        ] {
            if faults.has(fault) && dice.one_in(odds) {
                let sender = if dice.one_in(2) { Side::Caller } else { Side::Callee };
                let after = dice.length(TROUBLE_BYTES_MAX) as u64 - 1;
                troubles.push(Trouble { sender, after, kind });
            }
        }
        Self { faults, window, latency_ms, troubles, answer }
    }

    /// Exactly these troubles and no other faults.
    pub(super) const fn fixed(troubles: Vec<Trouble>) -> Self {
        Self {
            faults: Faults::NONE,
            window: WINDOW_MAX,
            latency_ms: 0,
            troubles,
            answer: Answer::Accept,
        }
    }

    /// How long the next bytes are under way, in milliseconds.
    pub(super) fn delay_ms(&self, dice: &mut Dice) -> u64 {
        if !self.faults.has(Fault::Delay) {
            return 0;
        }
        // Jitter in one parcel of four: most of a burst still arrives together.
        let jitter = if dice.one_in(4) { dice.below(DELAY_MS_MAX / 2) } else { 0 };
        self.latency_ms + jitter
    }
}
