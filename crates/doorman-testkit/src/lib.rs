//! Scripted origins, raw clients and an in-memory network: the rig for tests.
//!
//! One decision shaped it: nothing in the rig normalises. Clients and origins send and record
//! bytes as they are, and what is wrong is reported, not repaired. [`sim`] runs the same code in
//! virtual time from one seed.

pub mod h2;
pub mod load;
pub mod models;
pub mod origin;
pub mod process;
pub mod raw;
pub mod reply;
pub mod sim;
pub mod sums;
pub mod tls;
pub mod wire;
