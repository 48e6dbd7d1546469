//! What a shared cache may store and serve (RFC 9111).
//!
//! The room answers questions and keeps nothing: responses, clocks and connections are its callers'.
//! Everything that a decision on a hit needs is worked out when the response is stored and lies in
//! [`Meta`], so that a hit reads no field of the stored head.
//!
//! - [`admit`]: may this response be stored, and how fresh is it (sections 3 and 4.2)?
//! - [`Asked`], [`decide`], [`may_serve_on_error`]: may it answer this request now (sections 4.2, 5.2.1)?
//! - [`condition`], [`freshened`]: ask the origin, and take in what it says (section 4.3).
//! - [`storable_head`]: what of a head is stored (section 3.1).
//! - [`invalidates`]: what a change makes out of date (section 4.4).
//! - [`CacheStatus`]: what became of a request, for people (RFC 9211).

#![forbid(unsafe_code)]

mod admit;
mod asked;
mod cache_status;
mod condition;
mod control;
mod decide;
pub mod evict;
mod freshen;
mod freshness;
mod head;
mod invalidate;
mod key;
mod meta;
mod packed;
mod precondition;
pub mod range;
mod refusal;
mod rules;
mod selector;
mod structured;
mod targeted;
mod validator;
mod vary;

pub use admit::{Admission, admit};
pub use asked::Asked;
pub use cache_status::{CacheStatus, Forward, Handled};
pub use condition::{condition, strip_for_fill};
pub use control::{Control, SECONDS_MAX};
pub use decide::{Use, Why, decide, may_serve_on_error};
pub use freshen::{Mismatch, freshened, freshened_by_head};
pub use head::storable_head;
pub use invalidate::{Target, invalidates};
pub use key::{KeyRules, KeySeed, UrlKey, prefix, site, url_of};
pub use meta::Meta;
pub use packed::{Damaged, PackedHead};
pub use precondition::{Precondition, evaluate, is_for_origin, not_modified};
pub use refusal::{NotStored, Text};
pub use rules::{CacheRules, Cookies, SetCookie, TtlRule};
pub use selector::{
    Chosen, Part, PartKind, Told, coding_is_acceptable, is_selected, normal_accept_encoding,
    selector, tell, vary_of,
};
pub use vary::{Star, VARY_BYTES_MAX, VARY_MAX, Vary, VaryNames};
