//! Error pages of a route.

use std::path::Path;

use bytes::Bytes;
use doorman_config::{ErrorAction, RouteOptions};
use doorman_http::template::Template;

use super::compile::{self, Faults, code};

/// Bytes of an error page that is kept in memory. A page with pictures in it still fits.
const PAGE_BYTES_MAX: u64 = 1024 * 1024;

/// Pages by status; for one status the last that names it wins.
#[derive(Default)]
pub(crate) struct ErrorPages {
    rules: Vec<Rule>,
}

struct Rule {
    ranges: Vec<(u16, u16)>,
    page: ErrorContent,
}

/// What is sent instead of an error.
pub(crate) enum ErrorContent {
    /// A file's content and its type, with the original status.
    File(Bytes, &'static str),
    /// A text, and perhaps another status.
    Text(Option<u16>, Template),
}

impl ErrorPages {
    pub(super) fn compile(options: &RouteOptions, faults: &mut Faults) -> Self {
        let rules = options.error_pages.iter().filter_map(|page| {
            let content = match &page.value.action {
                ErrorAction::File(path) => match compile::read(&path.value, PAGE_BYTES_MAX) {
                    Ok(content) => ErrorContent::File(content.into(), kind(&path.value)),
                    Err(why) => {
                        let text = format!("cannot read {}: {why}", path.value.display());
                        faults.error(code::FILE, path.span, text);
                        return None;
                    }
                },
                ErrorAction::Respond { status, body } => {
                    ErrorContent::Text(*status, body.value.clone())
                }
            };
            let ranges = page.value.statuses.iter().map(|range| (range.first, range.last));
            Some(Rule { ranges: ranges.collect(), page: content })
        });
        Self { rules: rules.collect() }
    }

    /// Whether there is none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The page for a status.
    pub(crate) fn of(&self, status: u16) -> Option<&ErrorContent> {
        let covers = |rule: &&Rule| rule.ranges.iter().any(|(a, b)| (*a..=*b).contains(&status));
        self.rules.iter().rev().find(covers).map(|rule| &rule.page)
    }
}

fn kind(path: &Path) -> &'static str {
    match path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("html" | "htm") => "text/html; charset=utf-8",
        Some("json") => "application/json",
        Some("xml") => "application/xml",
        _ => "text/plain; charset=utf-8",
    }
}
