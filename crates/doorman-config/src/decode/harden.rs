//! `user` and `harden`.

use super::Decoder;
use crate::item::{Item, Text};
use crate::values::{self, Value};
use crate::{Diagnostic, Harden, ProcessUser, Spanned};

/// The longest name that the system's own tools take.
const NAME_MAX: usize = 32;

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
}

pub(super) fn harden(text: &Text) -> Value<Harden> {
    let all = [Harden::On, Harden::Off, Harden::Report];
    values::choice(text, &all.map(|one| (one.word(), one)), &[])
}

/// A name as the system's own tools take it, or a number. The last number means nobody to the kernel: "leave it".
fn account(text: &Text, what: &str) -> Value<String> {
    let name = &text.text;
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let begins =
        name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let fits =
        !values::is_number(name) || name.parse::<u32>().is_ok_and(|number| number < u32::MAX);
    if begins && fits && name.len() <= NAME_MAX && name.bytes().all(inner) {
        return Ok(Spanned::new(name.clone(), text.span));
    }
    let message = format!("`{}` is not the name of {what}", text.shown());
    Err(Diagnostic::error("E0258", text.span, message)
        .help("write a name such as doorman, or a number"))
}
