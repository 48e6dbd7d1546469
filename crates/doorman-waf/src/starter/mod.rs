//! Rules that come with the program, for sites that have no others.
//!
//! They are SecLang like any other set, so that what runs the Core Rule Set runs them, exclusions and
//! scores included. What shaped them is that nobody tunes them: a site that turns them on and looks
//! away must not lose a customer, so a rule asks for what an attack needs and what people do not
//! write, and leaves the rest to a set that is tuned.

/// What they are called in places.
pub const NAME: &str = "(starter)";

/// Their text.
pub const TEXT: &[u8] = include_bytes!("../../rules/starter.conf");

#[cfg(test)]
mod ask;
#[cfg(test)]
mod code;
#[cfg(test)]
mod ordinary;
#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;
