//! The cache over real sockets: what two clients of one address get, how often the origin was asked for
//! it, and what became of it when somebody lied, left, was slow or died.
//!
//! One decision shaped the stories: the origin counts. Whether an answer came from the store is never
//! taken from what doorman says, only from how often the origin was asked. Ids in names are those of
//! the reliability plan.

#![expect(
    clippy::disallowed_methods,
    reason = "stories stand outside the proxy: they have real sockets and real time"
)]

mod ask;
mod coded;
mod collapse;
mod deceive;
mod disk;
mod formed;
mod fresh;
mod integrity;
mod keys;
mod poison;
mod purge;
mod ranges;
mod review;
mod rig;
mod seen;
mod tags;
mod together;
mod variants;
