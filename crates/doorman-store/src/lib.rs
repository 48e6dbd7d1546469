//! Where stored responses are: in memory and on disk, with the index over both.
//!
//! The room `doorman-cache` says what may be stored and served; this crate keeps it. It knows no
//! configuration, no route, no origin and no runtime: whoever waits here waits by wakers, and the
//! threads that read and write the disk are run by the binary.
//!
//! ```text
//! look -> Hit(object) -> object.read(range)
//!      -> Miss -> lead -> Lead -> fill -> push .. finish   stored, read while it comes
//!                              -> refuse                   not stored; nobody waits for it
//!                      -> Wait -> poll                     somebody else fetches it
//! ```

#![forbid(unsafe_code)]

mod body;
mod chooser;
pub mod disk;
mod fill;
mod filling;
mod leads;
mod line;
mod making;
mod notes;
mod object;
mod policy;
mod purge;
mod reader;
mod renew;
mod seen;
mod shard;
mod sibling;
mod store;
mod tag;
mod tier;
mod view;

pub use chooser::Chooser;
pub use fill::{Cut, Room};
pub use filling::{Filling, NotKept};
pub use line::{LINE_MAX, Lead, Led, Wait, Waited};
pub use making::Making;
pub use notes::{Counts, Refusal};
pub use object::{Object, Parts, Refresh, SMALL_MAX, TAG_LEN_MAX, TAGS_MAX};
pub use purge::{How, Purge, Purged};
pub use reader::ObjectReader;
pub use shard::VARIANTS_MAX;
pub use sibling::{Form, Kin, PANICKED, SIBLINGS_MAX, Sibling, TOO_LARGE};
pub use store::{Found, OVERHEAD, Settings, Store};
pub use tier::{Load, OnDisk, WeakOwner};
pub use view::{Described, DescribedSibling, Standing, Stats};
