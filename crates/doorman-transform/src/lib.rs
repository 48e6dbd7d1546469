//! Edits of heads, targets and contents: placeholders, header fields, forwarding fields, paths,
//! locations, cookies; content codings; and the few texts that the proxy writes itself.
//!
//! One decision shaped this room: whatever an edit makes is checked where it is made, against what
//! may stand there, and an edit whose result may not stand there does nothing or removes, never
//! writes. So no value, from whatever source, can end a line of a head (RFC 9110 section 5.5).

#![forbid(unsafe_code)]

mod code;
mod coded_head;
mod cookie;
mod decode;
mod edit;
mod eligible;
mod expand;
mod forwarded;
mod link;
mod location;
pub mod negotiate;
mod page;
mod request_id;
mod rewrite;

pub use code::{Coder, Coders, Level, PAD_MAX};
pub use coded_head::{
    coded_head, coded_trailers, decoded_head, other_form, varied_head, vary, weak_tag,
};
pub use cookie::{CookiePart, CookieRewrite, rewrite_cookies};
pub use decode::{Bounds, CODINGS_MAX, Codings, DecodeError, Decoder, RATIO_FLOOR, Step, Wants};
pub use edit::{EditError, HeaderEdit, HeaderEdits};
pub use eligible::{
    Asked, CodeRules, Guard, Reason, TypeError, TypeSet, Verdict, eligible, eligible_anew,
    forbids_change, promised,
};
pub use expand::{
    Context, EXPANDED_MAX, ExpandError, Facts, expand_text, expand_url, expand_value, hash_key,
};
pub use forwarded::{ForwardedMode, HOPS_MAX, Trust, client_ip, forward, trust};
pub use link::early_links;
pub use location::{Auto, LocationRewrite, LocationRule, Origin};
pub use page::{Page, error_page, reason};
pub use request_id::RequestId;
pub use rewrite::{PathFault, Rewrite, RewriteError, RewritePart, StripPrefix};
