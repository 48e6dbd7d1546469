//! What happened on the simulated network, as two hashes and the last events.
//!
//! The course hash covers who, what, how many bytes and when; the content hash covers the bytes.
//! They are apart because TLS draws its own randomness: under TLS only the course can repeat.

use std::collections::VecDeque;
use std::fmt;

use doorman_http::Instant;

use super::faults::Side;
use crate::sums::Sum;

/// How many of the last events are kept for a failure's message.
const EVENTS_KEPT: usize = 512;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, in virtual time.
    pub at: Instant,
    /// On which connection, numbered in the order they were made; or none.
    pub connection: Option<usize>,
    /// At which end.
    pub side: Side,
    /// What.
    pub what: What,
    /// How many bytes, if bytes moved.
    pub bytes: usize,
}

/// What happened at an end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It tried to connect.
    Dial,
    /// The attempt was refused.
    Refused,
    /// The attempt got no answer in time.
    TimedOut,
    /// The connection stands.
    Open,
    /// The listener took the connection.
    Accept,
    /// It wrote.
    Write,
    /// Bytes arrived for it.
    Arrive,
    /// It read.
    Read,
    /// The end of its peer's bytes arrived.
    ArriveEnd,
    /// A reset arrived.
    ArriveReset,
    /// It ended its direction.
    Finish,
    /// It closed the connection in order.
    Close,
    /// It closed the connection by a reset.
    Abort,
    /// The bytes that it sends meet with a trouble.
    Trouble,
    /// The test's own words.
    Note(String),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.at.0 / 1_000_000;
        write!(f, "{:>6}.{:03} s", millis / 1000, millis % 1000)?;
        if let Some(connection) = self.connection {
            write!(f, "  #{connection} {:?}", self.side)?;
        }
        match &self.what {
            What::Note(words) => write!(f, "  {words}"),
            What::Write | What::Arrive | What::Read => {
                write!(f, "  {:?} {}", self.what, self.bytes)
            }
            what => write!(f, "  {what:?}"),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Trace {
    course: Sum,
    content: Sum,
    events: u64,
    last: VecDeque<Event>,
}

impl Trace {
    pub(super) fn record(&mut self, event: Event, content: &[u8]) {
        self.course.add_number(event.at.0);
        self.course.add_number(event.connection.map_or(u64::MAX, |id| id as u64));
        self.course.add_number(((event.side as u64) << 32) | event.what.code());
        self.course.add_number(event.bytes as u64);
        if let What::Note(words) = &event.what {
            self.course.add(words.as_bytes());
        }
        self.content.add(content);
        self.events += 1;
        if self.last.len() == EVENTS_KEPT {
            self.last.pop_front();
        }
        self.last.push_back(event);
    }

    pub(super) const fn course(&self) -> u64 {
        self.course.value()
    }

    pub(super) const fn content(&self) -> u64 {
        self.content.value()
    }

    pub(super) const fn events(&self) -> u64 {
        self.events
    }

    pub(super) fn last(&self) -> Vec<Event> {
        self.last.iter().cloned().collect()
    }
}

impl What {
    const fn code(&self) -> u64 {
        match self {
            Self::Dial => 1,
            Self::Refused => 2,
            Self::TimedOut => 3,
            Self::Open => 4,
            Self::Accept => 5,
            Self::Write => 6,
            Self::Arrive => 7,
            Self::Read => 8,
            Self::ArriveEnd => 9,
            Self::ArriveReset => 10,
            Self::Finish => 11,
            Self::Close => 12,
            Self::Abort => 13,
            Self::Trouble => 14,
            Self::Note(_) => 15,
        }
    }
}
