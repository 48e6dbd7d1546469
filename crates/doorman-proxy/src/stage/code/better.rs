//! A form that is kept is made once more, as small as it can be, by threads that no request waits for.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use doorman_http::Instant;
use doorman_store::{Making, Room, Sibling};
use doorman_transform::{Coder, Coders};

use super::Desk;
use super::sibling::{LARGER, Original, Wanted};

/// Bytes that are coded before it is looked whether the result is still wanted.
const STEP: usize = 256 * 1024;

/// Has a form made anew at the level for what is kept, if it is asked for often enough and that has not
/// been done.
pub(super) fn ask_for(desk: &Desk<'_>, wanted: &Wanted<'_>, sibling: &Arc<Sibling>) {
    let Wanted { compress, coding, store, object, .. } = *wanted;
    let original = wanted.original();
    let levels = compress.levels(coding);
    if levels.kept <= levels.first || !sibling.wants_better() {
        return;
    }
    let (Some(length), Some(first)) = (original.length(), sibling.length()) else { return };
    if !desk.workshop.has_room(length) {
        return desk.workshop.drop_one();
    }
    let Some(making) = store.improve(object, wanted.form()) else { return };
    let coder = Coders::new().take(coding, levels.kept, Some(length));
    let workshop = Arc::clone(desk.workshop);
    let job = move |clock: &dyn Fn() -> Instant| {
        let began = clock();
        let better = Better { making, original, coder, first };
        let bytes = better.make();
        workshop.coded(coding, bytes, clock().0.saturating_sub(began.0));
    };
    desk.workshop.offer(length, &|| desk.clock.instant(), Box::new(job));
}

struct Better {
    making: Making,
    original: Original,
    coder: Coder,
    /// Bytes of what is there.
    first: u64,
}

impl Better {
    /// Makes it, and says how many bytes went in and came out.
    fn make(self) -> (u64, u64) {
        let Self { mut making, original, mut coder, first } = self;
        let mut cx = Context::from_waker(Waker::noop());
        let mut out = Vec::new();
        let Some(mut body) = original.read() else { return (0, 0) };
        loop {
            match body.poll_next(&mut cx) {
                Poll::Ready(Some(Ok(piece))) => {
                    for step in piece.chunks(STEP) {
                        coder.push(step, &mut out);
                        making.push(&out);
                        out.clear();
                        // One for which there is no room has no readers either.
                        if making.poll_room(&cx) != Poll::Ready(Room::Free) {
                            return (coder.bytes_in(), coder.bytes_out());
                        }
                    }
                }
                Poll::Ready(None) => break,
                // It is not in memory: it is not made again and again for that.
                Poll::Ready(Some(Err(_))) | Poll::Pending => {
                    making.refuse(LARGER);
                    return (coder.bytes_in(), coder.bytes_out());
                }
            }
        }
        coder.finish(&mut out);
        making.push(&out);
        if making.len() < first {
            drop(making.finish(0));
        } else {
            making.finish_unkept(LARGER);
        }
        (coder.bytes_in(), coder.bytes_out())
    }
}
