//! `mirror`: a copy of a share of requests to another upstream.

use super::Decoder;
use crate::item::Item;
use crate::values;
use crate::{Diagnostic, Mirror, Setting, Spanned};

/// Most of a body that may be copied, for each request that is mirrored.
const BODY_MAX: u64 = 16 * 1024 * 1024;

impl Decoder<'_> {
    /// The mirror; `Some(None)`: there is to be none.
    #[expect(clippy::option_option, reason = "`mirror off` is a mirror line too")]
    pub(super) fn mirror(&mut self, block: &Item) -> Option<Option<Mirror>> {
        let target = block.value(0)?;
        let share = block.value(1).map(|share| self.ok(values::share(share)));
        if target.word() == Some("off") {
            if let Some(extra) = block.value(1) {
                self.say(Diagnostic::error("E0204", extra.span, "`mirror off` takes no share"));
            }
            return Some(None);
        }
        let upstream = self.target(target);
        let mut mirror = Mirror {
            upstream: Spanned::new(upstream?, target.span),
            share: share.map_or(Some(10_000), |share| share.map(|share| share.value))?,
            body: Setting::default_of(64 * 1024),
            concurrency: Setting::default_of(100),
            timeout: Setting::default_of(std::time::Duration::from_secs(10)),
            marker: Setting::default_of(Some("x-mirror".to_owned())),
            span: block.span,
        };
        for item in &block.children {
            match item.directive.name {
                "body" => {
                    self.set(item, &mut mirror.body, |text| values::size_within(text, 0, BODY_MAX))
                }
                "concurrency" => {
                    self.set(item, &mut mirror.concurrency, |text| values::number(text, 1, 100_000))
                }
                "timeout" => self.set(item, &mut mirror.timeout, values::duration),
                _ => self.set(item, &mut mirror.marker, |text| match text.text.as_str() {
                    "off" => Ok(Spanned::new(None, text.span)),
                    _ => marker(text),
                }),
            }
        }
        Some(Some(mirror))
    }
}

fn marker(text: &crate::item::Text) -> values::Value<Option<String>> {
    let name = values::field(text)?;
    if super::options::FRAMING.contains(&name.value.as_str()) || name.value == "host" {
        let message = format!("`{}` is no field to mark a copy by", name.value);
        return Err(Diagnostic::error("E0222", text.span, message));
    }
    Ok(name.map(Some))
}
