//! Automatic certificates, from a real authority: Pebble, the ACME server that Let's Encrypt tests clients with.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage has failed")]

mod addresses;
mod demand;
mod dns;
mod first;
mod front;
mod renewal;
mod revocation;
mod rig;
mod troubles;
