//! What coding a body has cost and saved: one for a body, read when its exchange is over.

use std::cell::Cell;
use std::rc::Rc;

use doorman_http::coding::Coding;

/// What is done to a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It is coded on its way to a client.
    Code,
    /// It is coded to be kept, when that is first asked for.
    Keep,
    /// What is kept is coded anew, as small as it can be, while nobody waits.
    Improve,
    /// Its coding is taken off.
    Decode,
}

impl Direction {
    /// Every word, in the order of the docs.
    pub const ALL: [Self; 4] = [Self::Code, Self::Keep, Self::Improve, Self::Decode];

    /// The word, the same in log, metrics and docs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Keep => "keep",
            Self::Improve => "improve",
            Self::Decode => "decode",
        }
    }
}

/// Bytes and time of one body.
#[derive(Debug)]
pub struct Tally {
    /// The coding.
    pub coding: Coding,
    /// Whether it is put on or taken off.
    pub direction: Direction,
    bytes_in: Cell<u64>,
    bytes_out: Cell<u64>,
    nanos: Cell<u64>,
}

impl Tally {
    pub(crate) fn new(coding: Coding, direction: Direction) -> Rc<Self> {
        let (bytes_in, bytes_out, nanos) = Default::default();
        Rc::new(Self { coding, direction, bytes_in, bytes_out, nanos })
    }

    pub(crate) fn add(&self, bytes_in: usize, bytes_out: usize, nanos: u64) {
        self.bytes_in.set(self.bytes_in.get().saturating_add(bytes_in as u64));
        self.bytes_out.set(self.bytes_out.get().saturating_add(bytes_out as u64));
        self.nanos.set(self.nanos.get().saturating_add(nanos));
    }

    /// Bytes that were taken in.
    #[must_use]
    pub fn bytes_in(&self) -> u64 {
        self.bytes_in.get()
    }

    /// Bytes that came out.
    #[must_use]
    pub fn bytes_out(&self) -> u64 {
        self.bytes_out.get()
    }

    /// Time that it took this core, nanoseconds.
    #[must_use]
    pub fn nanos(&self) -> u64 {
        self.nanos.get()
    }
}
