//! A connection: frames in, frames out, and what the two directions owe each other.

mod reading;
mod writing;

use doorman_http::{Instant, RequestHead};

use crate::budget::Budget;
use crate::code::{Code, Fault};
use crate::expansion::Expansion;
use crate::frame;
use crate::hpack::{Decoder, Encoder};
use crate::inbox::Content;
use crate::request::RequestFault;
use crate::settings::id;
use crate::streams::{Cut, For, Stream, Streams};
use crate::window::{CONNECTION_MAX, CONNECTION_START, Probe, STREAM_MAX, STREAM_START, Window};
use crate::{Settings, settings};
use reading::{Block, Within};

/// Output that may wait for a client that reads slowly, bytes; beyond it nothing but control frames
/// and interim responses is added.
const OUTPUT_MAX: usize = 128 * 1024;
/// An output buffer that grew beyond this is freed once it is empty.
const OUTPUT_KEPT_MAX: usize = 64 * 1024;
/// Streams that end by the client's errors, or are refused, before the connection ends (MadeYouReset,
/// CVE-2025-8671).
const ERRORS_MAX: u32 = 100;

/// What our PINGs carry, so that their answers are told apart.
const PROBE: [u8; 8] = *b"doorman1";
const FAREWELL: [u8; 8] = *b"doorman2";

/// What reading brought.
pub enum Event {
    /// A request.
    Request(Opened),
    /// Content came, its window opened, or the stream was cut: whoever works on it should look.
    News(Stream),
    /// The client gave the stream up.
    Gone(Stream),
    /// Windows of several streams opened: see [`Connection::unblocked`].
    Room,
}

/// A stream that the client opened.
pub struct Opened {
    /// The stream.
    pub stream: Stream,
    /// The head, as far as it was read.
    pub head: Box<RequestHead>,
    /// The length that the head declares, or why it is no request.
    pub verdict: Result<Option<u64>, RequestFault>,
    /// Whether the head is all there is.
    pub is_ended: bool,
    /// What the head takes, bytes as RFC 9113 section 6.5.2 counts.
    pub size: usize,
    /// Whether the connection's account bears what compression made of the head.
    pub is_paid: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    No,
    /// GOAWAY was sent that leaves nothing out yet.
    Announced,
    /// GOAWAY was sent: streams above this one are not looked at.
    Behind(u32),
}

/// A connection with a client.
pub struct Connection {
    settings: Settings,
    within: Within,
    has_settings: bool,
    block: Option<Block>,
    block_since: Option<Instant>,
    decoder: Decoder,
    encoder: Encoder,
    expansion: Expansion,
    budget: Budget,
    errors: u32,
    streams: Streams,
    /// What the client may send.
    receive: Window,
    probe: Probe,
    /// What we may send.
    send: i64,
    /// What we may send on a new stream.
    send_start: u32,
    output: Vec<u8>,
    written: usize,
    /// Where the last frame begins, if it is DATA that more may be added to, and its stream.
    tail: Option<(usize, u32)>,
    leaving: Leaving,
    client_leaves: bool,
}

impl Connection {
    /// A connection on which the client has to speak next: our settings wait to be written.
    #[must_use]
    pub fn new(settings: Settings, now: Instant) -> Self {
        let mut output = Vec::new();
        let limits = &settings.limits;
        let list_max = u32::try_from(limits.head_bytes).unwrap_or(u32::MAX);
        let announced = [
            (id::MAX_CONCURRENT_STREAMS, limits.streams),
            (id::MAX_HEADER_LIST_SIZE, list_max),
            (id::ENABLE_CONNECT_PROTOCOL, 1),
        ];
        frame::write_settings(&announced, &mut output);
        frame::write_window_update(0, CONNECTION_START - STREAM_START, &mut output);
        Self {
            settings,
            within: Within::Preface(0),
            has_settings: false,
            block: None,
            block_since: None,
            decoder: Decoder::new(),
            encoder: Encoder::default(),
            expansion: Expansion::new(now),
            budget: Budget::new(now),
            errors: 0,
            streams: Streams::new(),
            receive: Window::new(CONNECTION_START),
            probe: Probe::new(),
            send: i64::from(STREAM_START),
            send_start: STREAM_START,
            output,
            written: 0,
            tail: None,
            leaving: Leaving::No,
            client_leaves: false,
        }
    }

    /// Whether the client has said what it has to say first (RFC 9113 section 3.4).
    #[must_use]
    pub const fn is_greeted(&self) -> bool {
        self.has_settings
    }

    /// Since when the client owes us the rest of a header block. While one is open no other frame
    /// may come (RFC 9113 section 4.3), so it stops every stream of the connection.
    #[must_use]
    pub const fn block_since(&self) -> Option<Instant> {
        self.block_since
    }

    /// Whether no request will come any more.
    #[must_use]
    pub const fn has_left(&self) -> bool {
        self.client_leaves || matches!(self.leaving, Leaving::Behind(_))
    }

    /// Spends what a frame without a request costs, for what the shell refuses.
    ///
    /// # Errors
    /// The budget is spent.
    pub fn spend(&mut self, now: Instant) -> Result<(), Fault> {
        self.budget.spend(now)
    }

    /// Gives `n` frames' worth of the budget back.
    pub fn refund(&mut self, n: u32) {
        self.budget.refund(n);
    }

    /// Takes the next of a request's content. The windows open because it was taken: that is the
    /// back-pressure.
    pub fn content(&mut self, stream: Stream, now: Instant) -> Content {
        let Some(state) = self.streams.get(stream) else { return Content::Cut(None) };
        match state.cut {
            None => {}
            Some(Cut::Malformed(reason)) => return Content::Cut(Some(reason)),
            Some(_) => return Content::Cut(None),
        }
        let content = state.inbox.take();
        if let Content::Data(bytes) = &content {
            let n = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let mut may_grow = !self.receive.is_at(CONNECTION_MAX);
            if !state.inbox.is_ended() {
                may_grow |= !state.receive.is_at(STREAM_MAX);
                if let Some(more) = state.receive.take(n) {
                    frame::write_window_update(stream.id(), more, &mut self.output);
                }
            }
            if let Some(more) = self.receive.take(n) {
                frame::write_window_update(0, more, &mut self.output);
            }
            if may_grow && self.probe.take(n, now) {
                self.receive.start();
                self.streams.each(|_, state| state.receive.start());
                frame::write_ping(0, PROBE, &mut self.output);
            }
        }
        content
    }

    /// A round trip was measured.
    fn probed(&mut self, now: Instant) {
        let mut has_grown = false;
        let output = &mut self.output;
        self.streams.each(|stream, state| {
            if !state.inbox.is_ended()
                && state.cut.is_none()
                && let Some(more) = state.receive.grow(STREAM_MAX)
            {
                has_grown = true;
                frame::write_window_update(stream.id(), more, output);
            }
        });
        if let Some(more) = self.receive.grow(CONNECTION_MAX) {
            has_grown = true;
            frame::write_window_update(0, more, output);
        }
        if !has_grown {
            self.probe.rest(now);
        }
    }

    /// Gives the connection's window what nobody will take.
    fn discard(&mut self, n: usize) {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        if let Some(more) = self.receive.discard(n) {
            frame::write_window_update(0, more, &mut self.output);
        }
    }

    /// Whether the stream was cut, by either side: nothing more of it will be read or written.
    #[must_use]
    pub fn is_cut(&mut self, stream: Stream) -> bool {
        self.streams.get(stream).is_none_or(|state| state.cut.is_some())
    }

    /// Resets a stream.
    pub fn reset(&mut self, stream: Stream, code: Code) {
        self.cut(stream, code, Cut::ByUs);
    }

    /// Resets a stream for an error of the client's.
    ///
    /// # Errors
    /// It was one too many.
    pub fn fail(&mut self, stream: Stream, code: Code) -> Result<(), Fault> {
        self.cut(stream, code, Cut::ByUs);
        self.count_error()
    }

    fn count_error(&mut self) -> Result<(), Fault> {
        self.errors += 1;
        if self.errors > ERRORS_MAX {
            return Err(Fault::new(Code::EnhanceYourCalm, "too many streams in error"));
        }
        Ok(())
    }

    fn cut(&mut self, stream: Stream, code: Code, cut: Cut) {
        let Some(state) = self.streams.get(stream) else { return };
        if state.cut.is_some() {
            return;
        }
        state.cut = Some(cut);
        let held = state.inbox.clear();
        self.streams.note_reset(stream.id());
        frame::write_reset(stream.id(), code, &mut self.output);
        self.discard(held);
    }

    /// Lets go of a stream whose work has ended. What is not whole by then is reset.
    pub fn release(&mut self, stream: Stream) {
        let Some(state) = self.streams.get(stream) else { return };
        if state.cut.is_none() && !(state.has_sent_end && state.inbox.is_ended()) {
            // The client need not send the rest (RFC 9113 section 8.1).
            let code = if state.has_sent_end { Code::NoError } else { Code::Cancel };
            self.cut(stream, code, Cut::ByUs);
        }
        let held = self.streams.close(stream).map_or(0, |state| state.inbox.clear());
        self.discard(held);
    }

    /// Streams that the shell has not let go of.
    #[must_use]
    pub fn open(&self) -> usize {
        self.streams.len()
    }

    /// Says that no more requests are taken than are under way (RFC 9113 section 6.8). The client may
    /// have sent some meanwhile, so which those are is said when it has answered a PING.
    pub fn leave(&mut self) {
        if self.leaving == Leaving::No {
            self.leaving = Leaving::Announced;
            frame::write_goaway(settings::WINDOW_MAX, Code::NoError, &mut self.output);
            frame::write_ping(0, FAREWELL, &mut self.output);
        }
    }

    /// Says that the connection ends.
    pub fn leave_now(&mut self, code: Code) {
        let last = match self.leaving {
            Leaving::Behind(last) => last,
            _ => self.streams.last(),
        };
        self.leaving = Leaving::Behind(last);
        frame::write_goaway(last, code, &mut self.output);
    }

    /// Streams that wait and may go on: each is named once, until it waits again.
    pub fn unblocked(&mut self, mut each: impl FnMut(Stream)) {
        if !self.has_room() {
            return;
        }
        let send = self.send;
        self.streams.each(|stream, state| {
            let goes_on = match state.waits {
                None => false,
                Some(For::Head) => true,
                Some(For::Content) => send > 0 && state.send > 0,
            };
            if goes_on {
                state.waits = None;
                each(stream);
            }
        });
    }

    /// Whether the request has ended and nothing of it is left to take.
    pub fn has_ended(&mut self, stream: Stream) -> bool {
        self.streams.get(stream).is_some_and(|state| state.inbox.is_empty())
    }

    /// Nobody will take more of a request's content: it is dropped as it comes.
    pub fn ignore(&mut self, stream: Stream) {
        let held = self.streams.get(stream).map_or(0, |state| state.inbox.ignore());
        self.discard(held);
    }
}
