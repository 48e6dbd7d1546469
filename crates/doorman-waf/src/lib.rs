//! SecLang parsed, compiled and run over a transaction.
//!
//! Rules are read once (`seclang`) into what they say ([`rule`]). A transaction is told of a request
//! and its response piece by piece and answers, at the end of each phase, whether they may pass. How
//! it gets there is decided by one of two: the reference does word by word what the rules say and is
//! the measure of what is right; the plan says the same for a small part of the price, and is what
//! runs.

#![forbid(unsafe_code)]

pub mod assemble;
pub mod body;
pub mod operator;
mod plan;
mod reference;
pub mod regex;
pub mod rule;
pub mod seclang;
pub mod starter;
mod transaction;
mod transform;

pub use plan::Extent;
pub use transaction::{
    Cost, EXCERPT_MAX, Engine, Facts, Fault, FaultKind, How, Match, OTHERS_MAX, OnError, Options,
    Refusal, Report, Scores, Store, TEXT_MAX, Transaction, Verdict, Way, Worker,
};
