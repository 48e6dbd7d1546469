//! Inspection over real sockets: what rules refuse reaches no origin and is shown to nobody from a store,
//! and what they let pass arrives as it was sent.
//!
//! One decision shaped the stories: an origin counts what it is asked. That a client got a refusal says
//! little; that the origin never heard of the attack says all.

#![expect(
    clippy::disallowed_methods,
    reason = "stories stand outside the proxy: they have real sockets and real time"
)]

mod answers;
mod bodies;
mod commands;
mod errors;
mod requests;
mod rig;
mod seen;
