//! The forms that an answer may have: their names, their numbers in a store, and what they took.

mod content;
mod tally;

pub(crate) use content::{Content, Qualities, Shape, coded};
pub use content::{KINDS, Made, MadeOf, form_name};
pub use tally::{Direction, Tally};
