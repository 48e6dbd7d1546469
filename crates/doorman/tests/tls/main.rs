//! TLS of the built program over real sockets: certificates of clients, policies, certificates that are replaced under
//! load, and the program's own authority. Peers are rustls and OpenSSL.

#![expect(
    clippy::disallowed_methods,
    reason = "stories stand outside the proxy: they have real sockets and real time"
)]

mod alerts;
mod clients;
mod early;
mod matrix;
mod ocsp;
mod rig;
mod rotation;
mod scanners;
mod trust;
mod unfinished;
mod upstream;
