//! What the store promises, seen through its public face.

mod fill;
mod kit;
mod line;
mod look;
mod purge;
mod view;
