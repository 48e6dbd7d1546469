//! What the store promises, seen through its public face.

#![expect(clippy::unwrap_used, reason = "tests may panic; in helpers clippy does not know")]

mod disk;
mod fill;
mod kit;
mod line;
mod look;
mod model;
mod purge;
mod sibling;
mod stress;
mod view;
