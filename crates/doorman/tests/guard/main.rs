//! The guard at the door over real sockets: who may come, how often, how many at once, and who they are.
//!
//! An origin counts what it is asked: that a client was refused says little, that the origin never heard of it says
//! all.

#![expect(
    clippy::disallowed_methods,
    reason = "stories stand outside the proxy: they have real sockets and real time"
)]

mod access;
mod bans;
mod browsers;
mod commands;
mod desync;
mod forward;
mod geo;
mod identity;
mod keys;
mod limits;
mod overload;
mod real_provider;
#[path = "../waf/rig.rs"]
#[expect(dead_code, reason = "the house of the firewall's stories, of which others need less")]
mod rig;
mod sign_in;
