//! Frames to events.

use doorman_http::Instant;

use super::{Connection, Event, FAREWELL, Leaving, Opened, PROBE};
use crate::code::{Code, Fault, protocol};
use crate::frame::{self, HEAD, Head, PAYLOAD_MAX, flag, kind};
use crate::hpack::Trouble;
use crate::request::{self, RequestFault, read_request, read_trailers};
use crate::settings::{self, WINDOW_MAX};
use crate::streams::{Cut, For, Found, Stream};

/// What a client begins with (RFC 9113 section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// CONTINUATION frames behind a HEADERS frame, however short heads may be. Where they may be long there are
/// as many as four times the longest fill: no more is read of a block.
const CONTINUATIONS_MIN: usize = 8;

/// Where in the bytes the reading stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Within {
    /// So many bytes of the preface were read.
    Preface(usize),
    /// Between two frames.
    Frame,
    /// In the content of a DATA frame.
    Content { stream: Stream, left: usize, padding: usize, is_last: bool },
    /// In what is not looked at.
    Skipped(usize),
}

/// A header block whose end has not come.
#[derive(Debug)]
pub(super) struct Block {
    opening: Opening,
    bytes: Vec<u8>,
    frames: usize,
}

/// What the HEADERS frame said.
#[derive(Clone, Copy, Debug)]
struct Opening {
    id: u32,
    is_last: bool,
    /// It makes the stream depend on itself (RFC 9113 section 5.3.1).
    is_circular: bool,
}

type Outcome = Result<Option<Event>, Fault>;

/// What became of the frame at the front of the input.
enum Frame {
    /// Too little of it is there.
    Cut,
    /// It was taken, with what it brought.
    Read(Option<Event>),
}

impl Connection {
    /// Takes bytes from the front of `input` until something happened; `None` when more are needed,
    /// behind those that are left.
    ///
    /// # Errors
    /// What ends the connection.
    pub fn read(&mut self, input: &mut &[u8], now: Instant) -> Outcome {
        loop {
            match self.within {
                Within::Frame => {
                    let Some(head) = Head::read(input) else { return Ok(None) };
                    match self.frame(head, input, now)? {
                        Frame::Cut => return Ok(None),
                        Frame::Read(None) => {}
                        Frame::Read(event) => return Ok(event),
                    }
                }
                Within::Content { .. } => {
                    if let Some(event) = self.content_came(input)? {
                        return Ok(Some(event));
                    }
                    if matches!(self.within, Within::Content { .. }) {
                        return Ok(None);
                    }
                }
                Within::Skipped(left) => {
                    let n = left.min(input.len());
                    *input = input.get(n..).unwrap_or_default();
                    self.within = skipped(left - n);
                    if left > n {
                        return Ok(None);
                    }
                }
                Within::Preface(have) => {
                    let n = (PREFACE.len() - have).min(input.len());
                    let (part, rest) = input.split_at_checked(n).unwrap_or_default();
                    if PREFACE.get(have..have + n) != Some(part) {
                        return Err(protocol("no preface"));
                    }
                    *input = rest;
                    if have + n < PREFACE.len() {
                        self.within = Within::Preface(have + n);
                        return Ok(None);
                    }
                    self.within = Within::Frame;
                }
            }
        }
    }

    /// Reads the frame at the front of `input`.
    #[inline]
    fn frame(&mut self, head: Head, input: &mut &[u8], now: Instant) -> Result<Frame, Fault> {
        self.check(head)?;
        if head.kind == kind::DATA {
            let padding = match input.get(HEAD) {
                Some(padding) if head.has(flag::PADDED) && head.length > 0 => Some(*padding),
                None if head.has(flag::PADDED) && head.length > 0 => return Ok(Frame::Cut),
                _ if head.has(flag::PADDED) => return Err(protocol("no padding in padded DATA")),
                _ => None,
            };
            let event = self.data_came(head, padding.map(usize::from), now)?;
            let from = HEAD + usize::from(padding.is_some());
            *input = input.get(from..).unwrap_or_default();
            return Ok(Frame::Read(event));
        }
        if head.kind > kind::CONTINUATION {
            // Unknown types are ignored (section 4.1).
            self.budget.spend(now)?;
            self.within = skipped(head.length);
            *input = input.get(HEAD..).unwrap_or_default();
            return Ok(Frame::Read(None));
        }
        let end = HEAD + head.length;
        let Some((whole, rest)) = input.split_at_checked(end) else {
            if matches!(head.kind, kind::HEADERS | kind::CONTINUATION) {
                self.block_since.get_or_insert(now);
            }
            return Ok(Frame::Cut);
        };
        *input = rest;
        let payload = whole.get(HEAD..).unwrap_or_default();
        let event = match head.kind {
            kind::HEADERS => self.headers(head, payload, now)?,
            kind::CONTINUATION => self.continuation(head, payload, now)?,
            kind::WINDOW_UPDATE => self.window_update(head, payload, now)?,
            kind::RST_STREAM => self.reset_came(head, payload, now)?,
            kind::SETTINGS => self.settings_came(head, payload, now)?,
            kind::PING => self.ping(head, payload, now)?,
            kind::PRIORITY => self.priority(head, payload, now)?,
            kind::GOAWAY => {
                if head.stream != 0 {
                    return Err(protocol("GOAWAY of a stream"));
                }
                if payload.len() < 8 {
                    return Err(size("GOAWAY is too short"));
                }
                self.budget.spend(now)?;
                self.client_leaves = true;
                None
            }
            _ => return Err(protocol("PUSH_PROMISE of a client")),
        };
        Ok(Frame::Read(event))
    }

    /// What holds for every frame.
    fn check(&self, head: Head) -> Result<(), Fault> {
        if head.length > PAYLOAD_MAX {
            return Err(size("frame larger than it may be"));
        }
        if !self.has_settings && (head.kind != kind::SETTINGS || head.has(flag::ACK)) {
            return Err(protocol("preface without SETTINGS"));
        }
        match &self.block {
            Some(block) if head.kind != kind::CONTINUATION || head.stream != block.opening.id => {
                Err(protocol("another frame within a header block"))
            }
            None if head.kind == kind::CONTINUATION => {
                Err(protocol("CONTINUATION without HEADERS"))
            }
            _ => Ok(()),
        }
    }

    fn data_came(&mut self, head: Head, padding: Option<usize>, now: Instant) -> Outcome {
        let overhead = padding.map_or(0, |padding| padding + 1);
        let Some(content) = head.length.checked_sub(overhead) else {
            return Err(protocol("more padding than frame"));
        };
        let behind_pad_length = head.length - usize::from(padding.is_some());
        let length = u32::try_from(head.length).unwrap_or(u32::MAX);
        if head.stream == 0 {
            return Err(protocol("DATA without a stream"));
        }
        // Whatever becomes of the stream, it counts for the connection (section 6.9).
        if !self.receive.receive(length) {
            return Err(Fault::new(Code::FlowControlError, "more than the connection's window"));
        }
        const LATE: Fault = Fault::new(Code::StreamClosed, "DATA behind the end of a stream");
        let stream = match self.streams.find(head.stream) {
            Found::Open(stream) => stream,
            Found::Idle => return Err(protocol("DATA of an idle stream")),
            Found::Closed => return Err(LATE),
            Found::Reset => {
                self.discard(head.length);
                self.within = skipped(behind_pad_length);
                return Ok(None);
            }
        };
        let is_last = head.has(flag::END_STREAM);
        if content == 0 && !is_last {
            self.budget.spend(now)?;
        }
        let Some(state) = self.streams.get(stream) else { return Err(LATE) };
        let trouble = if state.cut.is_some() {
            Some(None)
        } else if state.inbox.is_ended() {
            return Err(LATE);
        } else if !state.receive.receive(length) {
            Some(Some((Code::FlowControlError, "more than the stream's window")))
        } else if !state.inbox.expect(content) {
            Some(Some((Code::ProtocolError, "content is longer than declared")))
        } else {
            None
        };
        if let Some(error) = trouble {
            self.discard(head.length);
            self.within = skipped(behind_pad_length);
            return match error {
                Some((code, reason)) => self.stream_error(stream, code, reason),
                None => Ok(None),
            };
        }
        if overhead > 0 {
            let more = state.receive.discard(u32::try_from(overhead).unwrap_or(u32::MAX));
            if let Some(more) = more.filter(|_| !is_last) {
                frame::write_window_update(stream.id(), more, &mut self.output);
            }
            self.discard(overhead);
        }
        let padding = padding.unwrap_or(0);
        self.within = Within::Content { stream, left: content, padding, is_last };
        Ok(None)
    }

    /// Takes content from the front of `input`.
    fn content_came(&mut self, input: &mut &[u8]) -> Outcome {
        let Within::Content { stream, left, padding, is_last } = self.within else {
            return Ok(None);
        };
        let n = left.min(input.len());
        let (content, rest) = input.split_at_checked(n).unwrap_or_default();
        *input = rest;
        let left = left - n;
        self.within = match left {
            0 => skipped(padding),
            left => Within::Content { stream, left, padding, is_last },
        };
        let Some(state) = self.streams.get(stream).filter(|state| state.cut.is_none()) else {
            self.discard(n);
            return Ok(None);
        };
        let is_ignored = state.inbox.is_ignored();
        if n > 0 && !is_ignored {
            state.inbox.append(content);
        }
        if left == 0 && is_last && !state.inbox.end(None) {
            let reason = "content is shorter than declared";
            return self.stream_error(stream, Code::ProtocolError, reason);
        }
        if is_ignored {
            self.discard(n);
        }
        let is_news = n > 0 || left == 0 && is_last;
        Ok(is_news.then_some(Event::News(stream)))
    }

    fn headers(&mut self, head: Head, payload: &[u8], now: Instant) -> Outcome {
        if head.stream == 0 {
            return Err(protocol("HEADERS without a stream"));
        }
        let mut fragment =
            frame::unpadded(head, payload).ok_or(protocol("more padding than frame"))?;
        let mut is_circular = false;
        if head.has(flag::PRIORITY) {
            let (priority, rest) =
                fragment.split_at_checked(5).ok_or(size("HEADERS is too short"))?;
            is_circular = depends_on(priority) == Some(head.stream);
            fragment = rest;
        }
        let opening = Opening { id: head.stream, is_last: head.has(flag::END_STREAM), is_circular };
        if head.has(flag::END_HEADERS) {
            self.block_since = None;
            return self.block_came(opening, fragment, now);
        }
        self.block_since.get_or_insert(now);
        self.block = Some(Block { opening, bytes: fragment.to_vec(), frames: 0 });
        Ok(None)
    }

    fn continuation(&mut self, head: Head, payload: &[u8], now: Instant) -> Outcome {
        // A full one is what a long head cannot do without; its bytes are bounded.
        if payload.len() < PAYLOAD_MAX {
            self.budget.spend(now)?;
        }
        let Some(mut block) = self.block.take() else {
            return Err(protocol("CONTINUATION without HEADERS"));
        };
        let longest = request::bounds(self.settings.limits.head_bytes).read;
        block.frames += 1;
        if block.frames > longest.div_ceil(PAYLOAD_MAX).max(CONTINUATIONS_MIN) {
            return Err(Fault::new(Code::EnhanceYourCalm, "header block of too many frames"));
        }
        block.bytes.extend_from_slice(payload);
        if head.has(flag::END_HEADERS) {
            self.block_since = None;
            return self.block_came(block.opening, &block.bytes, now);
        }
        self.block = Some(block);
        Ok(None)
    }

    /// A header block is whole.
    fn block_came(&mut self, opening: Opening, block: &[u8], now: Instant) -> Outcome {
        match self.streams.find(opening.id) {
            Found::Idle => self.open_stream(opening, block, now),
            Found::Open(stream) => self.trailers_came(stream, opening, block),
            Found::Reset => self.skip_block(block),
            Found::Closed => Err(Fault::new(Code::StreamClosed, "HEADERS of a closed stream")),
        }
    }

    /// Reads a block for what it does to the table.
    fn skip_block(&mut self, block: &[u8]) -> Outcome {
        let bounds = request::bounds(self.settings.limits.head_bytes);
        self.decoder.decode(block, bounds, |_| ()).map_err(broken)?;
        Ok(None)
    }

    fn open_stream(&mut self, opening: Opening, block: &[u8], now: Instant) -> Outcome {
        let Opening { id, is_last, is_circular } = opening;
        if id.is_multiple_of(2) {
            return Err(protocol("stream with an even number"));
        }
        if let Leaving::Behind(last) = self.leaving
            && id > last
        {
            // The client hears of it by the GOAWAY (section 6.8).
            self.streams.pass(id);
            self.streams.note_reset(id);
            return self.skip_block(block);
        }
        let limits = self.settings.limits;
        if self.streams.len() >= usize::try_from(limits.streams).unwrap_or(usize::MAX) {
            self.skip_block(block)?;
            self.budget.spend(now)?;
            let stream = self.streams.open(id, 0);
            self.fail(stream, Code::RefusedStream)?;
            self.release(stream);
            return Ok(None);
        }
        let mut head = (self.settings.head)();
        let scheme = self.settings.scheme;
        let read = read_request(&mut self.decoder, block, scheme, &limits, &mut head);
        let request::Read { mut verdict, size } = read.map_err(broken)?;
        let is_paid = self.expansion.pays(size, block.len(), now);
        if is_circular {
            verdict = Err(RequestFault::Malformed("stream that depends on itself"));
        } else if is_last && matches!(verdict, Ok(Some(length)) if length > 0) {
            verdict = Err(RequestFault::Malformed("content is shorter than declared"));
        }
        let stream = self.streams.open(id, i64::from(self.send_start));
        if let Some(state) = self.streams.get(stream) {
            state.inbox.open(verdict.unwrap_or_default(), is_last);
        }
        Ok(Some(Event::Request(Opened { stream, head, verdict, is_ended: is_last, size, is_paid })))
    }

    fn trailers_came(&mut self, stream: Stream, opening: Opening, block: &[u8]) -> Outcome {
        let Some(state) = self.streams.get(stream) else { return self.skip_block(block) };
        if state.cut.is_some() {
            return self.skip_block(block);
        }
        if state.inbox.is_ended() {
            return Err(Fault::new(Code::StreamClosed, "HEADERS behind the end of a stream"));
        }
        let Self { decoder, settings, .. } = self;
        let read = read_trailers(decoder, block, &settings.limits, settings.may_trail);
        let reason = match read.map_err(broken)? {
            // Section 8.1.
            Ok(_) if !opening.is_last => "trailers do not end the stream",
            Ok(_) if opening.is_circular => "stream that depends on itself",
            Ok(fields) => {
                let state = self.streams.get(stream);
                if state.is_some_and(|state| state.inbox.end(Some(fields))) {
                    return Ok(Some(Event::News(stream)));
                }
                "content is shorter than declared"
            }
            Err(reason) => reason,
        };
        self.stream_error(stream, Code::ProtocolError, reason)
    }

    fn stream_error(&mut self, stream: Stream, code: Code, reason: &'static str) -> Outcome {
        self.cut(stream, code, Cut::Malformed(reason));
        self.count_error()?;
        Ok(Some(Event::News(stream)))
    }

    fn window_update(&mut self, head: Head, payload: &[u8], now: Instant) -> Outcome {
        let more = exact(payload).ok_or(size("WINDOW_UPDATE of another length"))? & WINDOW_MAX;
        self.budget.update(now)?;
        if more == 0 {
            return Err(protocol("WINDOW_UPDATE of nothing"));
        }
        let more = i64::from(more);
        if head.stream == 0 {
            // Only who found it shut can be waiting for it: no update costs a look at every stream.
            let was_shut = self.send <= 0;
            self.send += more;
            if self.send > i64::from(WINDOW_MAX) {
                return Err(Fault::new(Code::FlowControlError, "the connection's window is full"));
            }
            return Ok(was_shut.then_some(Event::Room));
        }
        let stream = match self.streams.find(head.stream) {
            Found::Open(stream) => stream,
            Found::Idle => return Err(protocol("WINDOW_UPDATE of an idle stream")),
            Found::Closed | Found::Reset => return Ok(None),
        };
        let Some(state) = self.streams.get(stream).filter(|state| state.cut.is_none()) else {
            return Ok(None);
        };
        state.send += more;
        if state.send > i64::from(WINDOW_MAX) {
            let reason = "the stream's window is full";
            return self.stream_error(stream, Code::FlowControlError, reason);
        }
        if state.waits != Some(For::Content) || state.send <= 0 {
            return Ok(None);
        }
        state.waits = None;
        Ok(Some(Event::News(stream)))
    }

    fn reset_came(&mut self, head: Head, payload: &[u8], now: Instant) -> Outcome {
        exact(payload).ok_or(size("RST_STREAM of another length"))?;
        self.budget.spend(now)?;
        match self.streams.find(head.stream) {
            Found::Idle => Err(protocol("RST_STREAM of an idle stream")),
            Found::Closed | Found::Reset => Ok(None),
            Found::Open(stream) => {
                let Some(state) = self.streams.get(stream) else { return Ok(None) };
                state.cut = Some(Cut::ByClient);
                let held = state.inbox.clear();
                self.discard(held);
                Ok(Some(Event::Gone(stream)))
            }
        }
    }

    fn settings_came(&mut self, head: Head, payload: &[u8], now: Instant) -> Outcome {
        if head.stream != 0 {
            return Err(protocol("SETTINGS of a stream"));
        }
        self.budget.spend(now)?;
        if head.has(flag::ACK) {
            return if payload.is_empty() { Ok(None) } else { Err(size("SETTINGS with ACK")) };
        }
        let changes = settings::read(payload)?;
        self.has_settings = true;
        if let Some((least, last)) = changes.table {
            self.encoder.resize(least);
            self.encoder.resize(last);
        }
        if let Some(window) = changes.window {
            // It moves the windows of open streams too (section 6.9.2).
            let by = i64::from(window) - i64::from(self.send_start);
            self.send_start = window;
            let mut is_full = false;
            self.streams.each(|_, state| {
                state.send += by;
                is_full |= state.send > i64::from(WINDOW_MAX);
            });
            if is_full {
                return Err(Fault::new(Code::FlowControlError, "a stream's window is full"));
            }
        }
        frame::write_settings_ack(&mut self.output);
        Ok(changes.window.map(|_| Event::Room))
    }

    fn ping(&mut self, head: Head, payload: &[u8], now: Instant) -> Outcome {
        if head.stream != 0 {
            return Err(protocol("PING of a stream"));
        }
        let payload = *payload.as_array::<8>().ok_or(size("PING of another length"))?;
        if !head.has(flag::ACK) {
            self.budget.spend(now)?;
            frame::write_ping(flag::ACK, payload, &mut self.output);
        } else if payload == PROBE && self.probe.answer() {
            self.probed(now);
        } else {
            self.budget.spend(now)?;
            if payload == FAREWELL && self.leaving == Leaving::Announced {
                self.leave_now(Code::NoError);
            }
        }
        Ok(None)
    }

    /// Priorities of this kind are not followed (section 5.3.2), but judged.
    fn priority(&mut self, head: Head, payload: &[u8], now: Instant) -> Outcome {
        if head.stream == 0 {
            return Err(protocol("PRIORITY without a stream"));
        }
        if payload.len() != 5 {
            return Err(size("PRIORITY of another length"));
        }
        self.budget.spend(now)?;
        if depends_on(payload) != Some(head.stream) {
            return Ok(None);
        }
        const CIRCULAR: &str = "stream that depends on itself";
        match self.streams.find(head.stream) {
            Found::Open(stream) if !self.is_cut(stream) => {
                self.stream_error(stream, Code::ProtocolError, CIRCULAR)
            }
            // There is no stream yet that could be reset.
            Found::Idle => Err(protocol(CIRCULAR)),
            _ => Ok(None),
        }
    }
}

const fn skipped(left: usize) -> Within {
    if left == 0 { Within::Frame } else { Within::Skipped(left) }
}

const fn size(reason: &'static str) -> Fault {
    Fault::new(Code::FrameSizeError, reason)
}

const fn broken(trouble: Trouble) -> Fault {
    match trouble {
        Trouble::Broken(reason) => Fault::new(Code::CompressionError, reason),
        Trouble::Bomb => Fault::new(Code::EnhanceYourCalm, "header block becomes too large"),
    }
}

/// The stream that a priority names, without the flag before it.
fn depends_on(priority: &[u8]) -> Option<u32> {
    frame::number(priority).map(|stream| stream & 0x7FFF_FFFF)
}

/// A payload that is one number.
fn exact(payload: &[u8]) -> Option<u32> {
    if payload.len() == 4 { frame::number(payload) } else { None }
}
