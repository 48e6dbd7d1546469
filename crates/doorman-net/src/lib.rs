//! Sockets, TLS, wires and pools, behind one seam.
//!
//! Everything that touches the outside on the way of a request is here: [`seam`] names what the
//! outside is, [`os`] is the operating system, [`serve`] speaks to clients, [`dial`] to origins,
//! [`tls`] decides who answers under which name. The rest of the house sees requests, bodies and
//! responses, never a wire.

mod alarm;
mod clock;
mod core;
mod descriptors;
pub mod dial;
pub mod heads;
mod http2;
mod http3;
mod link;
pub mod os;
pub mod seal;
pub mod seam;
pub mod serve;
mod socket;
pub mod tls;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

pub use alarm::Alarm;
pub use clock::Clock;
pub use core::{Cleartext, Core, ServeSettings};
pub use doorman_h1::Limits;
pub use seam::{Address, Net};

/// What `future` yields, or `None` if the alarm goes off first.
pub async fn within<F: Future>(alarm: &mut Alarm, mut future: Pin<Box<F>>) -> Option<F::Output> {
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        alarm.poll(cx).map(|()| None)
    })
    .await
}

/// What `future` yields, or `None` if `limit` passes first.
pub async fn within_deadline<F: Future>(
    clock: Clock,
    limit: Duration,
    future: F,
) -> Option<F::Output> {
    let mut alarm = Alarm::new(clock);
    alarm.set(clock.instant() + limit);
    within(&mut alarm, Box::pin(future)).await
}
