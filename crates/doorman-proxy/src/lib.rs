//! The corridor: the life of a request, from a read head to a written response.
//!
//! [`Plan`] is what runs, compiled from a configuration; [`Proxy`] runs it on one core and is the
//! only handler that wires know in production. Stages are one call deep into a room and back; their
//! order is fixed here and never the operator's.

mod crowd;
mod exchange;
pub mod explain;
mod handle;
mod house;
pub mod metrics;
pub mod plan;
mod record;
mod stage;
mod stop;

pub use crowd::{Admitted, Crowd, CrowdLimits};
pub use doorman_route::{Reason, Tried, Verdict};
pub use house::{Books, Journal, NoJournal, Proxy};
pub use metrics::CoreCounters;
pub use plan::{Compiled, Ground, Plan};
pub use record::{End, Place, Record, ServerPlace};
pub use stop::{Fault, Side};
