//! Upstreams of several servers, over real sockets against the built program: who is picked, and what
//! becomes of requests when servers die, hang, slow down and come back.

#![expect(
    clippy::disallowed_methods,
    reason = "origins and clients stand outside the proxy: they have real sockets"
)]

mod discover;
mod dns;
mod failures;
mod flow;
mod manage;
mod methods;
mod retries;
mod rig;
mod smoke;
mod tiers;
mod waits;
