//! The corridor: the life of a request, from a read head to a written response.
//!
//! [`Plan`] is what runs, compiled from a configuration; [`Proxy`] runs it on one core and is the
//! only handler that wires know in production. Stages are one call deep into a room and back; their
//! order is fixed here and never the operator's.

mod again;
mod crowd;
mod errand;
mod exchange;
pub mod explain;
mod form;
mod gate;
mod guard;
mod handle;
mod hints;
mod house;
mod inspection;
mod leash;
pub mod metrics;
pub mod plan;
mod pressure;
mod provider;
mod record;
mod relay;
mod remote_keys;
mod stage;
mod standing;
mod stop;
mod workshop;

pub use again::Again;
pub use crowd::{Admitted, Crowd, CrowdLimits};
pub use doorman_auth as auth;
pub use doorman_balance as balance;
pub use doorman_limit as limit;
pub use doorman_route::{Reason, Tried, Verdict};
pub use errand::{ERRANDS_MAX, Errand, ErrandAnswer, ErrandError, ErrandMethod, Errands, Job};
pub use form::{Direction, KINDS, Made, MadeOf, Tally, form_name};
pub use gate::{BanRules, BanSign, LimitBooks, LimitSeen};
pub use house::{Books, Journal, NoJournal, Proxy};
pub use inspection::{Event, Events, Finding, Inspected, Scores, WafAction};
pub use metrics::CoreCounters;
pub use plan::{Compiled, Ground, Plan, automatic_names, demanded_names};
pub use pressure::Squeeze;
pub use provider::{ProviderNews, ProviderRing, ProviderSeen, RemoteProvider, SignIn};
pub use record::{Cached, End, Place, Record, ServerPlace, Sticky};
pub use relay::{RelayEnd, RelayPlace, RelayRecord};
pub use remote_keys::{KeyNews, KeyRing, KeysSeen, RemoteKeys};
pub use stop::{Fault, GrpcCode, Side};
pub use workshop::{CodedCounts, Workshop, WorkshopCounts};
