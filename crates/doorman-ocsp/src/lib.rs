//! What is said over OCSP (RFC 6960): the question whether a certificate still holds, and what an answer says.
//!
//! The one decision that shaped it: an answer is read into slices of its bytes and judged by whoever has keys and a
//! clock. Nothing here believes anything: who signed, and what for, is said and not checked.
//!
//! Only what a server that staples needs is here: one certificate to a question, and no nonce, since an answer that is
//! kept for days proves nothing by one (RFC 9654 section 1).

#![forbid(unsafe_code)]

mod answer;
mod der;
mod question;
mod time;

pub use answer::{
    ANSWERS_MAX, Answer, CERTIFICATES_MAX, Hash, Reply, Responder, Single, Status, read_reply,
};
pub use der::{Malformed, PublicKey, Signed, features, public_key, read_signed};
pub use question::{GET_BYTES_MAX, get_url, question};
pub use time::{CLOCKS_APART, Period, Untimely};
