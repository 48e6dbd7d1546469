//! Which server takes a request, and which way of a weighted split.
//!
//! One decision shaped this room: what must be counted over all cores (requests in flight, rests
//! after a refused connection) lies in atomics that a reload keeps, and whose turn it is lies in
//! cells of one core. So a pick takes no lock and allocates nothing, and still honours a server's
//! bound exactly.

#![forbid(unsafe_code)]

mod balancer;
mod server;
mod split;
mod tried;
mod turn;

pub use balancer::{Balancer, Member, Method, PickRequest};
pub use server::{Lease, Outcome, REST_FIRST, REST_LONGEST, ServerId, ServerState};
pub use split::Split;
pub use tried::{TRIED_MAX, Tried};
