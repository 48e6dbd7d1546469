//! FastCGI as a web server speaks it: records, the meta-variables of a request, and the response's
//! head (FastCGI specification 1.0, RFC 3875), without IO.
//!
//! One decision shaped this crate: one connection carries one request at a time, under the id 1.
//! Applications that take several at once are hardly to be found, and a reader that knows only one
//! id has nothing to mix up.
//!
//! ```text
//! find_script -> write_variables -> write_begin, write_params, write_input_head
//! Reader -> output -> read_reply -> ResponseHead, content
//! ```

#![forbid(unsafe_code)]

mod pairs;
mod record;
mod reply;
mod script;
mod variables;

pub use pairs::{read_pairs, write_pair};
pub use record::{
    CONTENT_BYTES_MAX, Ended, HEAD_BYTES, KeepConnection, Kind, Protocol, Reader, RecordFault,
    Step, What, write_begin, write_head, write_params,
};
pub use reply::{Progress, ReplyFault, ReplyLimits, read_reply};
pub use script::{Script, ScriptFault, find_script};
pub use variables::{Asked, write_variables};
