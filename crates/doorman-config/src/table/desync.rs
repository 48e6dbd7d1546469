//! The directive about requests that can be read in two ways.

use super::Kind::Choice;
use super::Within::{Global, Listen};
use super::{Directive, one};

pub(super) const DIRECTIVES: &[Directive] = &[Directive::new(
    "desync",
    &[Global, Listen],
    &[one("MODE", Choice(&["monitor", "defensive", "strict"], &[]))],
    "What becomes of requests that two readers could understand in different ways, beyond those that are refused in any case. monitor lets them pass and logs them. defensive also ends both connections behind those that are ambiguous. strict refuses with 400 all that is not exactly as the RFC has it.",
    "desync strict",
)
.default("defensive; in `listen`, that of `global`")];
