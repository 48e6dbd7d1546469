//! A request head becomes an identity or a challenge.
//!
//! Every gate here is a value made with the plan and asked with a head; time and secrets are arguments. What
//! takes long is handed back as work, and what has to be asked of another server is for the corridor to ask.
//!
//! Asking another server ([`forward`]) has no directive yet: nobody fetches for it.

#![forbid(unsafe_code)]

mod base64url;
pub mod basic;
pub mod cors;
pub mod csrf;
pub mod forward;
pub mod identity;
mod json;
pub mod jwt;
pub mod key;
mod lines;
pub mod oidc;
mod origin;
mod outcome;
pub mod password;
pub mod preset;
pub mod seal;
#[cfg(test)]
mod signer;
mod sip;
pub mod work;

pub use lines::{BadLine, BadLines};
pub use origin::BadOrigin;
pub use outcome::{
    Challenge, Claim, Identity, Outcome, REALM_MAX, RealmError, Refusal, Scheme, Via,
};
