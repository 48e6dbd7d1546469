//! HTTP/2 over real TLS sockets against the built program: attacks frame by frame, and good manners.
//!
//! Every case stands in a table with the id that docs/http2.md lists it by. A case passes only if
//! the program behaves, the origin saw nothing that it must not see, and the program still serves.

#![expect(clippy::type_complexity, reason = "tables of cases are read row by row")]
#![expect(
    clippy::disallowed_methods,
    reason = "origins and clients stand outside the proxy: they have real sockets"
)]

mod bodies;
mod broken;
mod browser;
mod calls;
mod choices;
mod floods;
mod grpc;
mod heads;
mod memory;
mod origin;
mod patience;
mod peers;
mod rig;
mod smoke;
mod suite;
mod tunnels;
mod upstream;
