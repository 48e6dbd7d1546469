//! Stories about the built proxy: given an origin, given a configuration, when a client does
//! something, then this is what both ends see.
//!
//! One decision shaped them: nothing is mocked. The proxy is the binary, its peers are sockets that
//! send and keep bytes as they are, and each story that does not depend on one wire runs over every
//! pair of front and back that exists. Ids in names and comments are those of the reliability plan.

#![expect(
    clippy::type_complexity,
    clippy::async_yields_async,
    reason = "the rig is plain on purpose"
)]
#![expect(dead_code, reason = "the rig offers more than every story uses")]
#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage has failed")]
#![expect(
    clippy::disallowed_methods,
    reason = "stories stand outside the proxy: they have real sockets and real time"
)]

mod balancers;
mod bodies;
mod cached;
mod cgi;
mod clocks;
mod configured;
mod delivery;
mod early;
mod events;
mod faults;
mod lives;
mod matrix;
mod messages;
mod phases;
mod real;
mod relays;
mod reuse;
mod rig;
mod upgrades;
