//! A connection as its client sees it: frames, heads, windows, and what holds for any bytes.

mod flow;
mod frames;
mod heads;
mod properties;
mod support;
