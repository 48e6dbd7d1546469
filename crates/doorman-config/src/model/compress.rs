//! How answers are made smaller on their way, and read for clients that cannot.
//!
//! Levels are worked out for each coding that is named, so a [`Compress`] needs no table of defaults beside it.

use doorman_http::coding::Coding;

use crate::{Setting, Span, Spanned};

/// `compress CODING... { ... }`.
#[derive(Clone, Debug)]
pub struct Compress {
    /// The codings that are offered, each once, at least one. Of those that a client likes equally the first is taken.
    pub codings: Vec<Spanned<CodingLevels>>,
    /// `min`: bytes of the smallest body that is coded, where its length is known; 512.
    pub min: Setting<u64>,
    /// `types`: media types that are coded, in lower case, each once, at least one: `text/html`, `text/*`, `*/*+json`
    /// or `*/*`. None is one whose answers are never coded.
    pub types: Setting<Vec<String>>,
    /// `breach`: what is done about secrets that the length of an answer could give away.
    pub breach: Setting<Breach>,
    /// `coded recode`: whether a body that the server has coded is coded anew; it is passed on.
    pub recode: Setting<bool>,
    /// The line.
    pub span: Span,
}

/// A coding and how hard it tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodingLevels {
    /// The coding.
    pub coding: Coding,
    /// `level`: for answers as they pass.
    pub first: u8,
    /// `kept-level`: for what a store keeps, once it is asked for again; never below `first`.
    pub kept: u8,
}

/// What is done about secrets that the length of an answer could give away: who can put text of their own into an
/// answer beside a secret, and see how long it becomes, can guess the secret letter by letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// Answers that set cookies, and answers to requests with credentials, are not coded.
    Careful,
    /// Nothing.
    Off,
    /// All are coded, with up to so many bytes of chance in each, at least one.
    Pad(u32),
}

/// `decompress { ... }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decompress {
    /// `ratio`: how many times longer than what came a body may become; 100.
    pub ratio: Setting<u32>,
    /// `max`: bytes that it may become at most; 64 MiB.
    pub max: Setting<u64>,
    /// The line.
    pub span: Span,
}

impl Decompress {
    /// How many times longer a body may become, without a word.
    pub const RATIO: u32 = 100;
    /// Bytes that it may become at most, without a word.
    pub const BYTES_MAX: u64 = 64 << 20;
}
