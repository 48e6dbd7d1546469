//! HTTP/3 over real sockets: the built program in front of a scripted origin, and two clients, one by
//! the book and one that writes whatever it is told.
//!
//! Every case stands in a table with the id that docs/http3.md lists it by. A case passes only if the
//! program behaves, the origin saw nothing that it must not see, and the program still serves.

mod bodies;
mod early;
mod floods;
mod frames;
mod heads;
mod lives;
mod losses;
mod memory;
mod origins;
mod packets;
mod patience;
mod quic;
mod real;
mod rig;
mod smoke;
mod tunnels;
