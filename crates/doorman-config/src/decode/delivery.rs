//! What answers get on their way to browsers: `early-hints`, `server-timing`, `immutable`, `sniff-guard`.

use std::time::Duration;

use super::Decoder;
use super::store::seconds;
use crate::item::{Item, Text};
use crate::values::{self, Value};
use crate::{Delivery, Diagnostic, Ending, Spanned};

/// One of the lines.
#[derive(Clone, Debug)]
pub(super) enum Word {
    EarlyHints(Spanned<bool>),
    ServerTiming(Spanned<bool>),
    Immutable(Option<Spanned<Duration>>),
    SniffGuard(Spanned<bool>),
}

impl Word {
    /// Puts it in the place of what was said before.
    pub(super) fn apply(self, delivery: &mut Delivery) {
        match self {
            Word::EarlyHints(on) => delivery.early_hints = on.into(),
            Word::ServerTiming(on) => delivery.server_timing = on.into(),
            Word::Immutable(time) => delivery.immutable = time,
            Word::SniffGuard(on) => delivery.sniff_guard = on.into(),
        }
    }
}

impl Decoder<'_> {
    /// A line by its directive.
    pub(super) fn delivery(&mut self, item: &Item) -> Option<Word> {
        if item.directive.name == "immutable" {
            return self.ok(immutable(item.value(0)?)).map(|time| {
                Word::Immutable(time.value.map(|value| Spanned::new(value, item.span)))
            });
        }
        let on = match item.value(0) {
            None => true,
            Some(text) => {
                self.ok(values::choice(text, &[("on", true), ("off", false)], &[]))?.value
            }
        };
        let on = Spanned::new(on, item.span);
        match item.directive.name {
            "early-hints" => Some(Word::EarlyHints(on)),
            "server-timing" => Some(Word::ServerTiming(on)),
            _ => Some(Word::SniffGuard(on)),
        }
    }

    /// Says so if a block has `early-hints` that no answer of a server can teach anything.
    pub(super) fn check_hinted<'e>(
        &mut self,
        block: &Item,
        mut endings: impl Iterator<Item = &'e Ending>,
    ) {
        let hinted = |item: &&Item| {
            let is_off = item.value(0).is_some_and(|text| text.word() == Some("off"));
            item.directive.name == "early-hints" && !is_off && !item.is_off()
        };
        let Some(item) = block.children.iter().find(hinted).filter(|_| !block.is_off()) else {
            return;
        };
        if !endings.any(|ending| matches!(ending, Ending::Proxy(_)))
            && !self.diagnostics.any_error()
        {
            let message = "there is no `proxy` here whose answers could be learned from";
            self.say(
                Diagnostic::warning("W0309", item.span, message)
                    .help("remove the line: what doorman answers itself takes no time to wait for"),
            );
        }
    }
}

fn immutable(text: &Text) -> Value<Option<Duration>> {
    if text.text == "off" {
        return Ok(Spanned::new(None, text.span));
    }
    let time = seconds(text)?;
    if time.value.is_zero() {
        let message = "an answer that does not change stays so for a time";
        return Err(Diagnostic::error("E0304", text.span, message)
            .help("write the time, such as 365d, or `immutable off`"));
    }
    Ok(time.map(Some))
}
