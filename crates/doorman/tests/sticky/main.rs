//! Clients that stay on their servers, in front of several real origins: cookies, sessions, shares, mirrors.

mod cookie;
mod keys;
mod mirror;
mod rig;
mod sessions;
mod share;
