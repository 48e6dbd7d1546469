//! One connection: two directions of bytes between two ends.
//!
//! It behaves as Linux's TCP does where programs can tell: a reset is reported once, by whichever
//! of read, write and peek comes first, and afterwards reads see an end and writes a broken pipe;
//! bytes that arrived before a reset can still be read; closing with unread bytes is a reset;
//! bytes that arrive at a closed end are answered by a reset.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use doorman_http::Instant;
use doorman_net::seam::Glimpse;
use tokio::io::ReadBuf;

use super::faults::{Fate, Fault, Side, TroubleKind};
use super::trace::What;
use super::world::{Deed, State, register};

/// The longest hiccup, in milliseconds.
const HICCUP_MS_MAX: u64 = 20;

pub(super) struct Line {
    fate: Fate,
    /// What each end sends.
    pipes: [Pipe; 2],
    ends: [End; 2],
}

#[derive(Default)]
struct Pipe {
    /// Bytes that may be sent before the other end reads.
    room: usize,
    sent: u64,
    finished: bool,
    /// Nothing sent from now on arrives.
    severed: bool,
    last_arrival: Instant,
    flight: VecDeque<(Instant, Parcel)>,
    inbox: VecDeque<u8>,
    ended: bool,
}

enum Parcel {
    Bytes(Vec<u8>),
    End,
    Reset,
}

#[derive(Default)]
struct End {
    error: Option<io::ErrorKind>,
    dead: bool,
    dropped: bool,
    aborts: bool,
    hiccups: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Line {
    pub(super) fn new(fate: Fate) -> Self {
        let pipe = || Pipe { room: fate.window, ..Pipe::default() };
        Self { pipes: [pipe(), pipe()], fate, ends: [End::default(), End::default()] }
    }

    /// Whether nobody will ever see this line again.
    pub(super) fn is_done(&self) -> bool {
        self.ends.iter().all(|end| end.dropped)
    }

    pub(super) const fn reset_on_close(&mut self, side: Side) {
        self.ends[side as usize].aborts = true;
    }

    pub(super) fn write(
        &mut self,
        (id, side): (usize, Side),
        slices: &[IoSlice<'_>],
        state: &mut State,
        cx: &Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let end = &mut self.ends[side as usize];
        if let Some(kind) = end.error.take() {
            return Poll::Ready(Err(kind.into()));
        }
        if end.dead || self.pipes[side as usize].finished {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        if total == 0 {
            return Poll::Ready(Ok(0));
        }
        let room = self.pipes[side as usize].room;
        if room == 0 || self.hiccup(id, side, state) {
            register(&mut self.ends[side as usize].writer, cx);
            return Poll::Pending;
        }
        let mut n = total.min(room);
        if self.fate.faults.has(Fault::Split) && state.dice.one_in(2) {
            n = state.dice.length(n);
        }
        let mut bytes = Vec::with_capacity(n);
        for slice in slices {
            bytes.extend_from_slice(&slice[..slice.len().min(n - bytes.len())]);
        }
        state.record(Some(id), side, What::Write, &bytes);
        self.pipes[side as usize].room -= n;
        self.send(id, side, &bytes, state);
        Poll::Ready(Ok(n))
    }

    pub(super) fn read(
        &mut self,
        (id, side): (usize, Side),
        buffer: &mut ReadBuf<'_>,
        state: &mut State,
        cx: &Context<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let from = side.other();
        if self.pipes[from as usize].inbox.is_empty() {
            let end = &mut self.ends[side as usize];
            if let Some(kind) = end.error.take() {
                return Poll::Ready(Err(kind.into()));
            }
            if end.dead || self.pipes[from as usize].ended {
                return Poll::Ready(Ok(()));
            }
            register(&mut end.reader, cx);
            return Poll::Pending;
        }
        if self.hiccup(id, side, state) {
            register(&mut self.ends[side as usize].reader, cx);
            return Poll::Pending;
        }
        let inbox = &mut self.pipes[from as usize].inbox;
        let mut n = inbox.len().min(buffer.remaining());
        if self.fate.faults.has(Fault::Split) && state.dice.one_in(2) {
            n = state.dice.length(n);
        }
        let start = buffer.filled().len();
        let (first, second) = inbox.as_slices();
        let head = first.len().min(n);
        buffer.put_slice(&first[..head]);
        buffer.put_slice(&second[..n - head]);
        inbox.drain(..n);
        state.record(Some(id), side, What::Read, &buffer.filled()[start..]);
        let wait = self.fate.delay_ms(&mut state.dice);
        if wait == 0 {
            self.make_room(from, n, state);
        } else {
            state.schedule(state.now + Duration::from_millis(wait), id, from, Deed::Open(n));
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn peek(
        &mut self,
        side: Side,
        buffer: &mut ReadBuf<'_>,
        cx: &Context<'_>,
    ) -> Poll<io::Result<()>> {
        let pipe = &self.pipes[side.other() as usize];
        let end = &mut self.ends[side as usize];
        if pipe.inbox.is_empty() {
            if let Some(kind) = end.error.take() {
                return Poll::Ready(Err(kind.into()));
            }
            if end.dead || pipe.ended {
                return Poll::Ready(Ok(()));
            }
            register(&mut end.reader, cx);
            return Poll::Pending;
        }
        let (first, second) = pipe.inbox.as_slices();
        for part in [first, second] {
            buffer.put_slice(&part[..part.len().min(buffer.remaining())]);
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn glimpse(&mut self, side: Side, cx: &Context<'_>) -> Poll<Glimpse> {
        let pipe = &self.pipes[side.other() as usize];
        let end = &mut self.ends[side as usize];
        if !pipe.inbox.is_empty() {
            return Poll::Ready(Glimpse::Bytes);
        }
        if end.error.take().is_some() {
            return Poll::Ready(Glimpse::Reset);
        }
        if end.dead || pipe.ended {
            return Poll::Ready(Glimpse::Finished);
        }
        register(&mut end.reader, cx);
        Poll::Pending
    }

    /// Whether this end has been reset, reported or not.
    pub(super) const fn is_dead(&self, side: Side) -> bool {
        self.ends[side as usize].dead
    }

    /// Whether a read would find bytes, an end or an error.
    pub(super) fn has_news(&self, side: Side) -> bool {
        let pipe = &self.pipes[side.other() as usize];
        !pipe.inbox.is_empty() || pipe.ended || self.is_dead(side)
    }

    /// Ends the direction in order; a second time, or on a dead line, it does nothing.
    pub(super) fn finish(&mut self, id: usize, side: Side, state: &mut State) {
        let pipe = &mut self.pipes[side as usize];
        if pipe.finished || self.ends[side as usize].dead {
            return;
        }
        pipe.finished = true;
        state.record(Some(id), side, What::Finish, &[]);
        self.post(id, side, Parcel::End, state);
    }

    /// The program lets go of this end.
    pub(super) fn close(&mut self, id: usize, side: Side, state: &mut State) {
        let unread = !self.pipes[side.other() as usize].inbox.is_empty();
        let end = &mut self.ends[side as usize];
        end.dropped = true;
        end.reader = None;
        end.writer = None;
        if end.dead {
            return;
        }
        if !end.aborts && !unread {
            self.finish(id, side, state);
            state.record(Some(id), side, What::Close, &[]);
            return;
        }
        state.record(Some(id), side, What::Abort, &[]);
        if self.pipes[side as usize].severed {
            // The machine was gone before: its last words are under way and stay so.
            return;
        }
        // What the system still held back is lost, what was on the wire arrives.
        let flight = &mut self.pipes[side as usize].flight;
        let kept = state.dice.below(flight.len() as u64 + 1);
        flight.truncate(usize::try_from(kept).unwrap_or(usize::MAX));
        self.post(id, side, Parcel::Reset, state);
    }

    /// What `side` sent and is due arrives at the other end.
    pub(super) fn arrive(&mut self, id: usize, side: Side, state: &mut State) {
        let now = state.now;
        while let Some((_, parcel)) =
            self.pipes[side as usize].flight.pop_front_if(|(at, _)| *at <= now)
        {
            self.take_in(id, side, parcel, state);
        }
    }

    /// `side` may send that many bytes more.
    pub(super) fn make_room(&mut self, side: Side, bytes: usize, state: &mut State) {
        self.pipes[side as usize].room += bytes;
        state.wake(self.ends[side as usize].writer.take());
    }

    /// `side` may try again.
    pub(super) fn nudge(&mut self, side: Side, state: &mut State) {
        let end = &mut self.ends[side as usize];
        state.wake(end.reader.take());
        state.wake(end.writer.take());
    }

    /// Brings about the troubles whose byte has been reached.
    pub(super) fn meet_troubles(&mut self, id: usize, state: &mut State) {
        for side in [Side::Caller, Side::Callee] {
            let sent = self.pipes[side as usize].sent;
            while let Some(place) = self
                .fate
                .troubles
                .iter()
                .position(|trouble| trouble.sender == side && trouble.after <= sent)
            {
                let trouble = self.fate.troubles.remove(place);
                if self.pipes[side as usize].severed {
                    continue;
                }
                state.record(Some(id), side, What::Trouble, &[]);
                match trouble.kind {
                    TroubleKind::Stall(wait) => {
                        let pipe = &mut self.pipes[side as usize];
                        pipe.last_arrival = pipe.last_arrival.max(state.now) + wait;
                    }
                    TroubleKind::Reset => self.sever(id, side, Parcel::Reset, state),
                    TroubleKind::Cut => self.sever(id, side, Parcel::End, state),
                }
            }
        }
    }

    /// The peer of `side` gets `last` after what is under way; `side` itself is reset, since its
    /// machine is as good as gone.
    fn sever(&mut self, id: usize, side: Side, last: Parcel, state: &mut State) {
        self.post(id, side, last, state);
        self.pipes[side as usize].severed = true;
        self.post(id, side.other(), Parcel::Reset, state);
    }

    /// Whether a read or write is put off, for once: the next attempt succeeds.
    fn hiccup(&mut self, id: usize, side: Side, state: &mut State) -> bool {
        if !self.fate.faults.has(Fault::Hiccup) {
            return false;
        }
        let end = &mut self.ends[side as usize];
        end.hiccups = !end.hiccups && state.dice.one_in(8);
        if end.hiccups {
            let wait = Duration::from_millis(1 + state.dice.below(HICCUP_MS_MAX));
            state.schedule(state.now + wait, id, side, Deed::Nudge);
        }
        end.hiccups
    }

    fn send(&mut self, id: usize, side: Side, mut bytes: &[u8], state: &mut State) {
        while !bytes.is_empty() {
            let pipe = &mut self.pipes[side as usize];
            let mut n = bytes.len();
            if self.fate.faults.has(Fault::Split) && state.dice.one_in(2) {
                n = state.dice.length(n);
            }
            let trouble = self.fate.troubles.iter().filter(|trouble| trouble.sender == side);
            if let Some(after) = trouble.map(|trouble| trouble.after).min() {
                // Positive, since those that were reached are gone.
                let before = after.saturating_sub(pipe.sent).max(1);
                n = n.min(usize::try_from(before).unwrap_or(usize::MAX));
            }
            let (now, rest) = bytes.split_at(n);
            pipe.sent += n as u64;
            self.post(id, side, Parcel::Bytes(now.to_vec()), state);
            self.meet_troubles(id, state);
            bytes = rest;
        }
    }

    /// Puts a parcel on its way, behind those that are under way.
    fn post(&mut self, id: usize, side: Side, parcel: Parcel, state: &mut State) {
        let wait = Duration::from_millis(self.fate.delay_ms(&mut state.dice));
        let pipe = &mut self.pipes[side as usize];
        if pipe.severed {
            return;
        }
        let at = pipe.last_arrival.max(state.now + wait);
        pipe.last_arrival = at;
        if at <= state.now && pipe.flight.is_empty() {
            self.take_in(id, side, parcel, state);
            return;
        }
        pipe.flight.push_back((at, parcel));
        state.schedule(at, id, side, Deed::Arrive);
    }

    /// A parcel from `side` is at the other end.
    fn take_in(&mut self, id: usize, side: Side, parcel: Parcel, state: &mut State) {
        let to = side.other();
        let end = &mut self.ends[to as usize];
        if end.dead {
            return;
        }
        match parcel {
            Parcel::Bytes(_) if end.dropped => {
                end.dead = true;
                self.post(id, to, Parcel::Reset, state);
                return;
            }
            Parcel::Bytes(bytes) => {
                state.record(Some(id), to, What::Arrive, &bytes);
                self.pipes[side as usize].inbox.extend(bytes);
            }
            Parcel::End => {
                state.record(Some(id), to, What::ArriveEnd, &[]);
                self.pipes[side as usize].ended = true;
            }
            Parcel::Reset => {
                state.record(Some(id), to, What::ArriveReset, &[]);
                // Linux says EPIPE when the peer had ended its direction before.
                end.error = Some(if self.pipes[side as usize].ended {
                    io::ErrorKind::BrokenPipe
                } else {
                    io::ErrorKind::ConnectionReset
                });
                end.dead = true;
                state.wake(end.writer.take());
            }
        }
        state.wake(self.ends[to as usize].reader.take());
    }
}
