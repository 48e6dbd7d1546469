//! Scripted origins, raw clients and an in-memory network: the rig for tests.
//!
//! One decision shaped it: nothing in the rig normalises. Clients and origins send and record
//! bytes as they are, and what is wrong is reported, not repaired. [`sim`] runs the same code in
//! virtual time from one seed.

pub mod ahead;
pub mod chromium;
pub mod fastcgi;
pub mod h2;
pub mod h3;
pub mod load;
pub mod models;
pub mod node;
pub mod ocsp;
pub mod openid;
pub mod origin;
pub mod port;
pub mod process;
pub mod python;
pub mod raw;
pub mod reply;
pub mod sim;
pub mod sums;
pub mod tls;
pub mod websocket;
pub mod wire;
