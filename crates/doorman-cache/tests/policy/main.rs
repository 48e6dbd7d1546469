//! The policy, by section of RFC 9111 and by case of the catalogue of failures.

mod clocks;
mod freshening;
mod freshness;
mod invalidation;
mod kit;
mod model;
mod parsing;
mod said;
mod serving;
mod storing;
