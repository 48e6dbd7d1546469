//! A response on its way into the store, and to those who read it meanwhile.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker, ready};

use doorman_balance::Lease;
use doorman_http::{Body, Frame};
use doorman_store::{Filling, Room};

use crate::guard::Guard;
use crate::record::Record;

/// What an origin's answer holds until it has ended.
#[derive(Default)]
pub(super) struct Held {
    lease: Option<Lease>,
    guard: Option<Guard>,
}

impl Held {
    /// What a record holds goes along with the body.
    pub(super) fn of(record: &mut Record) -> Self {
        Self { lease: record.lease.take(), guard: record.guard.take() }
    }
}

/// Brings a body into the store. Nobody waits for it: a client that is slow or leaves does not stop
/// it. What has come already is in the store when this returns; if that is all, there is no task.
pub(super) fn start(filling: Filling, body: Body, held: Held) {
    let mut pump = Pump { filling: Some(filling), body, held, moved: 0 };
    let mut cx = Context::from_waker(Waker::noop());
    if pump.poll(&mut cx).is_pending() {
        tokio::task::spawn_local(async move { poll_fn(|cx| pump.poll(cx)).await });
    }
}

struct Pump {
    /// `None` once it is over.
    filling: Option<Filling>,
    body: Body,
    held: Held,
    /// Bytes that have come.
    moved: u64,
}

impl Pump {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let end = ready!(self.pump(cx));
        self.body.close(Ok(()));
        let filling = self.filling.take();
        // The server's place is free before those who read are told that this was all.
        let Held { lease, guard } = std::mem::take(&mut self.held);
        if let Some(lease) = lease {
            lease.moved(self.moved);
        }
        drop(guard);
        match (filling, end) {
            // Why something is not kept is counted by the store.
            (Some(filling), Ended::Whole) => drop(filling.finish()),
            (filling, _) => drop(filling),
        }
        Poll::Ready(())
    }

    fn pump(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let Some(filling) = &mut self.filling else { return Poll::Ready(Ended::Cut) };
        loop {
            if ready!(filling.poll_room(cx)) == Room::Abandoned {
                return Poll::Ready(Ended::Cut);
            }
            match ready!(self.body.poll_frame(cx)) {
                Some(Ok(Frame::Data(data))) => {
                    self.moved = self.moved.saturating_add(data.len() as u64);
                    filling.push(data.as_slice());
                }
                // Trailers are not stored (RFC 9111 section 3.1 leaves that to caches).
                Some(Ok(Frame::Trailers(_))) => {}
                Some(Err(_)) => return Poll::Ready(Ended::Cut),
                None => return Poll::Ready(Ended::Whole),
            }
        }
    }
}

enum Ended {
    Whole,
    Cut,
}
