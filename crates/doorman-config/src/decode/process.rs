//! `user`, `harden`, `overload` and `desync`.

use std::time::Duration;

use super::Decoder;
use crate::item::{Item, Text};
use crate::values::{self, Value};
use crate::{Desync, Diagnostic, Harden, Overload, ProcessUser, Setting, Spanned};

/// The longest wait for a core before a client has long given up.
const DELAY_MAX: Duration = Duration::from_secs(10);

/// Shares of the memory, in hundredths of a percent: below, ordinary traffic is refused.
const MEMORY: (u32, u32) = (1_000, 10_000);

impl Decoder<'_> {
    pub(super) fn process_user(&mut self, block: &Item) -> Option<Spanned<ProcessUser>> {
        let mut group = None;
        for item in &block.children {
            self.fill(item, &mut group, |text| account(text, "a group"));
        }
        let name = self.ok(account(block.value(0)?, "a user"))?.value;
        let group = group.map(|group| group.value);
        (!block.is_off()).then(|| Spanned::new(ProcessUser { name, group }, block.span))
    }

    pub(super) fn overload(&mut self, block: &Item) -> Option<Overload> {
        let mut overload = Overload {
            delay: Setting::default_of(Some(Duration::from_millis(50))),
            memory: Setting::default_of(Some(9_000)),
            span: block.span,
        };
        if block.value(0).is_some_and(|text| text.word() != Some("off")) {
            let text = block.value(0)?;
            self.ok(values::choice(text, &[("off", ())], &[]));
        } else if block.value(0).is_some() {
            self.check_alone(block, None, "overload delay 50ms memory 90%");
            return None;
        }
        for item in &block.children {
            match item.directive.name {
                "delay" => self.set(item, &mut overload.delay, delay),
                _ => self.set(item, &mut overload.memory, memory),
            }
        }
        if overload.delay.value.is_none() && overload.memory.value.is_none() {
            let message = "`overload` that looks at nothing";
            let error = Diagnostic::error("E0256", block.span, message);
            self.say(error.help("write `overload off`"));
        }
        (!block.is_off()).then_some(overload)
    }
}

pub(super) fn harden(text: &Text) -> Value<Harden> {
    let all = [Harden::On, Harden::Off, Harden::Report];
    values::choice(text, &all.map(|one| (one.word(), one)), &[])
}

pub(super) fn desync(text: &Text) -> Value<Desync> {
    let all = [Desync::Monitor, Desync::Defensive, Desync::Strict];
    values::choice(text, &all.map(|one| (one.word(), one)), &[])
}

/// A name as the system's own tools take it, or a number.
fn account(text: &Text, what: &str) -> Value<String> {
    let name = &text.text;
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let begins =
        name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_number = values::is_number(name);
    let fits = !is_number || name.parse::<u32>().is_ok_and(|number| number < u32::MAX);
    if begins && fits && name.len() <= 32 && name.bytes().all(inner) {
        return Ok(Spanned::new(name.clone(), text.span));
    }
    let message = format!("`{}` is not the name of {what}", text.shown());
    Err(Diagnostic::error("E0256", text.span, message)
        .help("write a name such as doorman, or a number"))
}

fn delay(text: &Text) -> Value<Option<Duration>> {
    if text.word() == Some("off") {
        return Ok(Spanned::new(None, text.span));
    }
    let time = values::duration(text)?;
    if (Duration::from_millis(1)..=DELAY_MAX).contains(&time.value) {
        return Ok(time.map(Some));
    }
    let message = format!("`{}` is not within 1ms to 10s", text.shown());
    Err(Diagnostic::error("E0304", text.span, message))
}

fn memory(text: &Text) -> Value<Option<u32>> {
    if text.word() == Some("off") {
        return Ok(Spanned::new(None, text.span));
    }
    let share = values::share(text)?;
    if (MEMORY.0..=MEMORY.1).contains(&share.value) {
        return Ok(share.map(Some));
    }
    let message = format!("`{}` is not within 10% to 100%", text.shown());
    Err(Diagnostic::error("E0304", text.span, message))
}
