//! Content codings as they are written: contents in, coded bytes out.
//!
//! A coder takes whatever piece comes and appends what is ready to the caller's buffer, so that it fits
//! under any source of bytes. It cannot fail: nothing that it is given can be wrong, and what its library
//! could complain of is a mistake of this module. The large memory of a coder (a few hundred KiB up to some
//! MiB) is kept for the next one by [`Coders`], since clearing it is cheaper than asking for it.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use doorman_http::coding::Coding;

use self::brotli::Brotli;
use self::gzip::Gzip;
use self::zstd::Zstd;

mod brotli;
mod gzip;
mod zstd;

/// Bytes of padding that [`Coder::pad`] writes at most: what the extra field of gzip holds (RFC 1952
/// section 2.3.1.1), less its own heads.
pub const PAD_MAX: usize = 65_000;

/// Coders without work that are kept, and the memory they may hold together, bytes. More than that many
/// streams at once end at the same moment only in bursts, and those can pay for memory.
const IDLE_MAX: usize = 16;
const IDLE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Room that is made in the output before a library is asked for more, bytes.
const ROOM: usize = 8 * 1024;
/// With less room left than this, more is made, bytes.
const ROOM_MIN: usize = 1024;

/// How hard a coder tries: the coding's own number. Higher is smaller and slower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Level(u8);

impl Level {
    /// A level, if the coding has it.
    #[must_use]
    pub fn of(coding: Coding, level: u8) -> Option<Self> {
        Self::range(coding).contains(&level).then_some(Self(level))
    }

    /// The levels that a coding has. Those of zstd above 19 are left out: they need more memory, hundreds
    /// of MiB for one stream, than what they gain is worth.
    #[must_use]
    pub const fn range(coding: Coding) -> RangeInclusive<u8> {
        match coding {
            Coding::Gzip => 1..=9,
            Coding::Brotli => 0..=11,
            Coding::Zstd => 1..=19,
        }
    }

    /// The level for answers as they pass, while a client waits: about as fast as the content comes.
    #[must_use]
    pub const fn passing(coding: Coding) -> Self {
        match coding {
            Coding::Gzip => Self(5),
            Coding::Brotli => Self(4),
            Coding::Zstd => Self(3),
        }
    }

    /// The level for what is kept and sent many times: as small as can be.
    #[must_use]
    pub const fn kept(coding: Coding) -> Self {
        Self(*Self::range(coding).end())
    }

    /// The level's number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// Where coders come from, and where their memory goes back to. Clones share it; one for each core keeps
/// cores from waiting for each other.
#[derive(Clone, Default)]
pub struct Coders(Arc<Mutex<Idle>>);

/// What a coder works with.
enum State {
    Gzip(Box<Gzip>),
    Brotli(Box<Brotli>),
    Zstd(Box<Zstd>),
}

/// States that wait for work.
#[derive(Default)]
struct Idle {
    states: Vec<(Level, State)>,
    bytes: usize,
}

impl Coders {
    /// No coder is idle yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A coder for one stream. `size_hint` is about how long its contents will be: it makes memory fit,
    /// and need not be right. A level that the coding does not have becomes the nearest that it has.
    #[must_use]
    pub fn take(&self, coding: Coding, level: Level, size_hint: Option<u64>) -> Coder {
        let range = Level::range(coding);
        let level = Level(level.0.clamp(*range.start(), *range.end()));
        let idle = self.idle(|idle| idle.take(coding, level));
        let state = match (coding, idle) {
            (_, Some(mut state)) => {
                state.reuse(size_hint);
                state
            }
            (Coding::Gzip, None) => State::Gzip(Box::new(Gzip::new(level))),
            (Coding::Brotli, None) => State::Brotli(Box::new(Brotli::new(level, size_hint))),
            (Coding::Zstd, None) => State::Zstd(Box::new(Zstd::new(level, size_hint))),
        };
        Coder {
            coding,
            level,
            state: Some(state),
            coders: self.clone(),
            padding: None,
            has_begun: false,
            is_flushed: true,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// Coders that wait for work, and the memory that they hold, bytes.
    #[must_use]
    pub fn idle_bytes(&self) -> (usize, usize) {
        self.idle(|idle| (idle.states.len(), idle.bytes))
    }

    fn idle<T>(&self, look: impl FnOnce(&mut Idle) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Coders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, bytes) = self.idle_bytes();
        f.debug_struct("Coders").field("idle", &count).field("bytes", &bytes).finish()
    }
}

impl Idle {
    /// One that has done the same work before: the last of them, whose memory is the warmest.
    fn take(&mut self, coding: Coding, level: Level) -> Option<State> {
        let fits = |(its, state): &(Level, State)| *its == level && state.coding() == coding;
        let at = self.states.iter().rposition(fits)?;
        let (_, state) = self.states.remove(at);
        self.bytes = self.bytes.saturating_sub(state.bytes());
        Some(state)
    }

    /// Keeps a state, and lets those go that have waited longest.
    fn put(&mut self, level: Level, state: State) {
        let bytes = state.bytes();
        if matches!(state, State::Brotli(_)) || bytes > IDLE_BYTES_MAX {
            return;
        }
        self.bytes += bytes;
        self.states.push((level, state));
        while self.states.len() > IDLE_MAX || self.bytes > IDLE_BYTES_MAX {
            let (_, oldest) = self.states.remove(0);
            self.bytes = self.bytes.saturating_sub(oldest.bytes());
        }
    }
}

impl State {
    const fn coding(&self) -> Coding {
        match self {
            Self::Gzip(_) => Coding::Gzip,
            Self::Brotli(_) => Coding::Brotli,
            Self::Zstd(_) => Coding::Zstd,
        }
    }

    /// Memory that it holds, bytes.
    fn bytes(&self) -> usize {
        match self {
            Self::Gzip(_) => gzip::BYTES,
            // None is kept: the library has no way to begin another stream with it.
            Self::Brotli(_) => 0,
            Self::Zstd(zstd) => zstd.bytes(),
        }
    }

    fn reuse(&mut self, size_hint: Option<u64>) {
        match self {
            Self::Gzip(gzip) => gzip.reuse(),
            Self::Brotli(_) => {}
            Self::Zstd(zstd) => zstd.reuse(size_hint),
        }
    }

    fn begin(&mut self, padding: Option<usize>, out: &mut Vec<u8>) {
        match self {
            Self::Gzip(gzip) => gzip.begin(padding, out),
            Self::Brotli(brotli) => brotli.begin(padding, out),
            Self::Zstd(_) => zstd::begin(padding, out),
        }
    }

    fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Gzip(gzip) => gzip.push(input, out),
            Self::Brotli(brotli) => brotli.push(input, out),
            Self::Zstd(zstd) => zstd.push(input, out),
        }
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Gzip(gzip) => gzip.flush(out),
            Self::Brotli(brotli) => brotli.flush(out),
            Self::Zstd(zstd) => zstd.flush(out),
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Gzip(gzip) => gzip.finish(out),
            Self::Brotli(brotli) => brotli.finish(out),
            Self::Zstd(zstd) => zstd.finish(out),
        }
    }
}

/// One stream on its way into a coding. What comes out is appended to the caller's buffer.
pub struct Coder {
    coding: Coding,
    level: Level,
    /// Taken when the stream is finished.
    state: Option<State>,
    coders: Coders,
    padding: Option<usize>,
    has_begun: bool,
    is_flushed: bool,
    bytes_in: u64,
    bytes_out: u64,
}

impl Coder {
    /// The coding that is written.
    #[must_use]
    pub const fn coding(&self) -> Coding {
        self.coding
    }

    /// Contents taken so far, bytes.
    #[must_use]
    pub const fn bytes_in(&self) -> u64 {
        self.bytes_in
    }

    /// Coded bytes given so far.
    #[must_use]
    pub const fn bytes_out(&self) -> u64 {
        self.bytes_out
    }

    /// Whether a reader of what came out so far has all that was put in.
    #[must_use]
    pub const fn is_flushed(&self) -> bool {
        self.is_flushed
    }

    /// Begins the stream with `n` bytes that mean nothing, at most [`PAD_MAX`], and the few bytes that say
    /// so: readers skip them, and whoever measures the length of an answer learns less of what is in it.
    /// Call it before anything is put in; later it does nothing.
    pub const fn pad(&mut self, n: usize) {
        self.padding = Some(if n < PAD_MAX { n } else { PAD_MAX });
    }

    /// Takes contents in. Little or nothing may come out until enough has been put in.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        if input.is_empty() {
            return;
        }
        self.bytes_in += input.len() as u64;
        self.is_flushed = false;
        self.run(out, |state, out| state.push(input, out));
    }

    /// Gives all that is needed to read what has been put in. It makes the stream a little longer, so it
    /// is for when nothing more will come for a while; with nothing new to give it does nothing.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        if !self.is_flushed {
            self.run(out, State::flush);
            self.is_flushed = true;
        }
    }

    /// Ends the stream and gives the rest of it. What is called after it does nothing.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.run(out, State::finish);
        self.is_flushed = true;
        self.give_back();
    }

    fn run(&mut self, out: &mut Vec<u8>, work: impl FnOnce(&mut State, &mut Vec<u8>)) {
        let Some(state) = &mut self.state else { return };
        let before = out.len();
        if !std::mem::replace(&mut self.has_begun, true) {
            state.begin(self.padding, out);
        }
        work(state, out);
        self.bytes_out += (out.len() - before) as u64;
    }

    fn give_back(&mut self) {
        if let Some(state) = self.state.take() {
            self.coders.idle(|idle| idle.put(self.level, state));
        }
    }
}

impl Drop for Coder {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl fmt::Debug for Coder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coder")
            .field("coding", &self.coding)
            .field("level", &self.level)
            .field("bytes_in", &self.bytes_in)
            .field("bytes_out", &self.bytes_out)
            .finish_non_exhaustive()
    }
}

/// Makes room for what a library gives next.
fn make_room(out: &mut Vec<u8>) {
    if out.capacity() - out.len() < ROOM_MIN {
        out.reserve(ROOM);
    }
}

#[cfg(test)]
mod tests;
