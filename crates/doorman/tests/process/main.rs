//! Stories about the process itself: as whom it runs, what it has given up, and that it serves all the same. They
//! look at it from outside, by what the kernel tells of each of its threads.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "stories stand outside the proxy, and one that cannot set its stage has failed"
)]

mod admin;
mod bounds;
mod rig;
mod user;
