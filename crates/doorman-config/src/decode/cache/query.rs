//! What of the query belongs to the key: `ignore-query` and `only-query`.

use super::LISTED_MAX;
use crate::decode::Decoder;
use crate::item::{Item, Text};
use crate::values::Value;
use crate::{CacheQuery, Diagnostic, QueryName, Span, Spanned};

impl Decoder<'_> {
    pub(super) fn cache_query(&mut self, items: &[Item]) -> CacheQuery {
        let (mut ignored, mut only) = (Names::default(), Names::default());
        for item in items {
            match item.directive.name {
                "ignore-query" => self.query_names(item, &mut ignored),
                "only-query" => self.query_names(item, &mut only),
                _ => {}
            }
        }
        if let (Some(ignore), Some(only)) = (ignored.first, only.first) {
            let message = "`ignore-query` beside `only-query`, which names all that counts";
            let error = Diagnostic::error("E0244", ignore, message);
            self.say(error.also(only, "here").help("keep one of the two"));
        }
        match (ignored.all, ignored.first, only.first) {
            (Some(_), _, _) => CacheQuery::Nothing,
            (None, Some(_), _) => CacheQuery::Ignore(ignored.names),
            (None, None, Some(_)) => CacheQuery::Only(only.names),
            (None, None, None) => CacheQuery::Whole,
        }
    }

    fn query_names(&mut self, item: &Item, found: &mut Names) {
        let ignores = item.directive.name == "ignore-query";
        for text in &item.values {
            let all = text.text == "*";
            if all && !ignores {
                let error =
                    Diagnostic::error("E0310", text.span, "`only-query *` is the whole query");
                self.say(error.help("remove the line, or name the parameters that count"));
                continue;
            }
            let name = if all { None } else { self.ok(query_name(text)) };
            if item.is_off() {
                continue;
            }
            if found.names.len() >= LISTED_MAX {
                let name = item.directive.name;
                let message = format!("more than {LISTED_MAX} names of `{name}` in one `cache`");
                return self.say(Diagnostic::error("E0110", item.span, message));
            }
            found.first = found.first.or(Some(item.span));
            found.all = found.all.or(all.then_some(text.span));
            found.names.extend(name);
        }
        if let (Some(all), Some(name)) = (found.all, found.names.first()) {
            let error = Diagnostic::error("E0244", name.span, "a name beside `*`, which is all");
            self.say(error.also(all, "here").help("keep one of the two"));
            found.names.clear();
        }
    }
}

/// What lines of one kind come to.
#[derive(Default)]
struct Names {
    /// The first line.
    first: Option<Span>,
    /// A `*`.
    all: Option<Span>,
    names: Vec<Spanned<QueryName>>,
}

/// `utm_source`, or `utm_*` for all that begin so.
fn query_name(text: &Text) -> Value<QueryName> {
    const NAME_BYTES_MAX: usize = 64;
    let (name, prefix) =
        text.text.strip_suffix('*').map_or((text.text.as_str(), false), |name| (name, true));
    let fits =
        |byte: u8| (0x21..0x7F).contains(&byte) && !matches!(byte, b'&' | b'=' | b'#' | b'*');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(fits) {
        let message = format!("`{}` is not the name of a parameter", text.shown());
        let error = Diagnostic::error("E0310", text.span, message);
        return Err(error.help("write a name such as page, or utm_* for all that begin so"));
    }
    let name = name.to_owned();
    let name = if prefix { QueryName::Prefix(name) } else { QueryName::Exact(name) };
    Ok(Spanned::new(name, text.span))
}
