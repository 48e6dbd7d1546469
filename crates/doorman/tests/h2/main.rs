//! HTTP/2 over real TLS sockets against the built program: attacks frame by frame, and good manners.
//!
//! Every case stands in a table with the id that docs/http2.md lists it by. A case passes only if
//! the program behaves, the origin saw nothing that it must not see, and the program still serves.

#![expect(clippy::type_complexity, reason = "tables of cases are read row by row")]

mod bodies;
mod floods;
mod heads;
mod memory;
mod patience;
mod rig;
mod smoke;
