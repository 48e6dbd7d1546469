//! Edits of heads and targets: placeholders, header fields, forwarding fields, paths, locations,
//! cookies; and the few texts that the proxy writes itself.
//!
//! One decision shaped this room: whatever an edit makes is checked where it is made, against what
//! may stand there, and an edit whose result may not stand there does nothing or removes, never
//! writes. So no value, from whatever source, can end a line of a head (RFC 9110 section 5.5).

#![forbid(unsafe_code)]

mod cookie;
mod edit;
mod expand;
mod forwarded;
mod location;
mod page;
mod request_id;
mod rewrite;

pub use cookie::{CookiePart, CookieRewrite, rewrite_cookies};
pub use edit::{EditError, HeaderEdit, HeaderEdits};
pub use expand::{
    Context, EXPANDED_MAX, ExpandError, Facts, expand_text, expand_url, expand_value, hash_key,
};
pub use forwarded::{ForwardedMode, HOPS_MAX, Trust, client_ip, forward, trust};
pub use location::{Auto, LocationRewrite, LocationRule, Origin};
pub use page::{Page, error_page, reason};
pub use request_id::RequestId;
pub use rewrite::{PathFault, Rewrite, RewriteError, RewritePart, StripPrefix};
