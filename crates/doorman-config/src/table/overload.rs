//! Directives that say what happens when there is more to do than can be done.

use super::Kind::{Any, Choice, Duration};
use super::Within::{Global, Overload};
use super::options::OPTIONS_WITHIN;
use super::{Directive, one, optional};

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "overload",
        &[Global],
        &[optional("off", Choice(&["off"], &[]))],
        "Refuse requests with 503, those of `priority low` first, while there is more to do than can be done: while requests wait for their core, or memory runs out.",
        "overload delay 50ms memory 90%",
    )
    .block(Overload)
    .default("off"),
    Directive::new("delay", &[Overload], &[one("TIME|off", Any("a time from 5ms to 10s, or off"))], "How long requests may wait for their core. Each core looks after itself.", "delay 50ms")
        .default("50ms"),
    Directive::new("interval", &[Overload], &[one("TIME", Duration)], "For how long all of them have to wait longer than that before the first is refused; 20ms to 10s.", "interval 100ms")
        .default("100ms"),
    Directive::new("memory", &[Overload], &[one("SIZE|SHARE|off", Any("a size from 16MiB, a share from 10% to 100%, or off"))], "The memory that the process may take: a size, or a share of what its control group or the machine has.", "memory 90%")
        .default("90%"),
    Directive::new(
        "priority",
        OPTIONS_WITHIN,
        &[one("PRIORITY", Choice(&["high", "normal", "low"], &[]))],
        "What goes on when there is more to do than can be done (`overload`): low is refused first, high last.",
        "priority low",
    )
    .default("normal"),
];
