//! Key, cost and now become pass or wait.
//!
//! One decision shaped this room: a level is one moment, the *theoretical arrival time* of the GCRA, in
//! nanoseconds. What lies in the past says nothing, so whatever is kept of a key may be thrown away the moment it
//! has passed, and forgetting it loses nothing. That is why [`Table`] can be of a fixed size, shared by all cores
//! without a lock, and exact for every key that it has a place for.
//!
//! | What | Bounds | Kept |
//! |---|---|---|
//! | [`Rate`], [`Table`] | requests in a time, by key | over all cores, over reloads |
//! | [`Places`], [`KeyedPlaces`] | requests at once, and how many wait | over all cores |
//! | [`Bans`] | clients that did wrong too often | over all cores, over reloads |
//! | [`Shed`] | work that a core cannot get done in time | by each core |
//! | [`Pace`] | bytes of one response in a time | by each response |
//!
//! Nothing here knows which directive asked for it, who the client is, or what a refusal looks like.

#![forbid(unsafe_code)]

mod bans;
mod fields;
mod key;
mod names;
mod pace;
mod places;
mod rate;
mod shed;
mod table;

pub use bans::{BANS_MAX, Ban, BanRule, BanRuleError, Bans, Signalled};
pub use fields::{rate_limit, rate_limit_policy, retry_after};
pub use key::{Key, KeyMaker, Prefixes, Secret};
pub use names::{NAME_BYTES_MAX, NAMES_MAX};
pub use pace::{Due, Pace};
pub use places::{Entered, KeyedPlaces, Place, Places, PlacesBounds, Waiting};
pub use rate::{DEPTH_MAX, Debt, INTERVAL_MIN, Level, Rate, RateError, Taken};
pub use shed::{Priority, Shed, ShedRules, admits};
pub use table::{Heavy, KEYS_MAX, Table};
