//! `overload` and `priority`.

use std::time::Duration;

use super::Decoder;
use crate::item::{Item, Text};
use crate::values::{self, Value};
use crate::{Diagnostic, MemoryBound, Overload, Priority, Setting, Spanned};

/// Waits for a core. Below, the system's own timers are no better; above, a client has long given up.
const DELAY: [Duration; 2] = [Duration::from_millis(5), Duration::from_secs(10)];

/// Times in which a burst has to be gone.
const INTERVAL: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(10)];

/// Shares of the memory, in hundredths of a percent: below, ordinary traffic is refused.
const SHARE: [u32; 2] = [1_000, 10_000];

/// Bytes of memory: less than this no process takes that serves.
const BYTES: [u64; 2] = [16 << 20, 1 << 50];

impl Decoder<'_> {
    pub(super) fn overload(&mut self, block: &Item) -> Option<Overload> {
        let mut overload = Overload {
            delay: Setting::default_of(Some(Duration::from_millis(50))),
            interval: Setting::default_of(Duration::from_millis(100)),
            memory: Setting::default_of(Some(MemoryBound::Share(9_000))),
            span: block.span,
        };
        if let Some(text) = block.value(0) {
            if text.word() == Some("off") {
                self.check_alone(block, None, "overload delay 50ms memory 90%");
            } else {
                self.ok(values::choice(text, &[("off", ())], &[]));
            }
            return None;
        }
        for item in &block.children {
            match item.directive.name {
                "delay" => self.set(item, &mut overload.delay, |text| {
                    off_or(text, |text| time_within(text, DELAY, "5ms to 10s"))
                }),
                "interval" => self.set(item, &mut overload.interval, |text| {
                    time_within(text, INTERVAL, "20ms to 10s")
                }),
                _ => self.set(item, &mut overload.memory, |text| off_or(text, memory)),
            }
        }
        if overload.delay.value.is_none() && overload.memory.value.is_none() {
            let message = "`overload` that looks at nothing";
            let error = Diagnostic::error("E0257", block.span, message);
            self.say(error.help("write `overload off`"));
        }
        (!block.is_off()).then_some(overload)
    }

    pub(super) fn priority(&mut self, item: &Item) -> Option<Spanned<Priority>> {
        let all = [Priority::High, Priority::Normal, Priority::Low];
        self.ok(values::choice(item.value(0)?, &all.map(|one| (one.word(), one)), &[]))
    }
}

/// A value, or `off`.
fn off_or<T>(text: &Text, read: impl Fn(&Text) -> Value<T>) -> Value<Option<T>> {
    if text.word() == Some("off") {
        return Ok(Spanned::new(None, text.span));
    }
    read(text).map(|value| value.map(Some))
}

fn time_within(text: &Text, bounds: [Duration; 2], written: &str) -> Value<Duration> {
    let time = values::duration(text)?;
    if (bounds[0]..=bounds[1]).contains(&time.value) {
        return Ok(time);
    }
    let message = format!("`{}` is not within {written}", text.shown());
    Err(Diagnostic::error("E0304", text.span, message))
}

/// A share or a size.
fn memory(text: &Text) -> Value<MemoryBound> {
    if text.text.ends_with('%') {
        let share = values::share(text)?;
        if (SHARE[0]..=SHARE[1]).contains(&share.value) {
            return Ok(share.map(MemoryBound::Share));
        }
        let message = format!("`{}` is not within 10% to 100%", text.shown());
        return Err(Diagnostic::error("E0304", text.span, message));
    }
    values::size_within(text, BYTES[0], BYTES[1]).map(|bytes| bytes.map(MemoryBound::Bytes))
}
