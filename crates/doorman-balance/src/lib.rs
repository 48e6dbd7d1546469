//! Which server takes a request, and which way of a weighted split.
//!
//! One decision shaped this room: what must be counted over all cores (requests in flight, health,
//! overrides) lies in atomics that a reload keeps, and what a core has worked out of them (who may be
//! picked, whose turn it is) lies in cells of that core. So a pick takes no lock and allocates nothing,
//! and still honours a server's bound exactly.

#![forbid(unsafe_code)]

mod anomaly;
mod balancer;
mod breaker;
mod budget;
mod dice;
mod group;
pub mod health;
mod keys;
mod line;
mod load;
mod member;
mod method;
mod outcome;
mod pace;
mod resilience;
mod server;
mod shares;
mod split;
pub mod sticky;
mod tried;
mod turn;
mod view;
mod window;

pub use balancer::{Balancer, PickRequest};
pub use breaker::{
    Breaker, BreakerPass, BreakerRefusal, BreakerRules, BreakerState, BreakerStep, TRIALS_MAX,
};
pub use budget::{BUDGET_FLOOR, BUDGET_WINDOW, Budget};
pub use group::{Group, Settings};
pub use keys::Keys;
pub use line::{Line, LineBounds, Waiting};
pub use member::{Member, Role, Verdict};
pub use method::Method;
pub use outcome::{Admin, Ejected, Outcome, Probe, Standing};
pub use resilience::{KNOCK_FIRST, KNOCK_LONGEST, Refused, Resilience};
pub use server::{Lease, REST_FIRST, REST_LONGEST, ServerId, ServerState};
pub use shares::{Share, ways};
pub use split::Split;
pub use tried::{TRIED_MAX, Tried};
