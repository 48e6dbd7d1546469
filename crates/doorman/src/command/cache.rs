//! `doorman cache`: what is stored, how well it serves, and why something is not stored.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::called::Called;
use super::screen::{self, Screen};
use super::status::span;
use super::upstreams::encoded;
use crate::admin::cache::{Known, LIST, LIST_MAX, Listed, StoreReport, Stored, Stores};

const EXAMPLES: &str = "\
Examples:
  doorman cache                                           objects, bytes and hits of each store
  doorman cache ls https://shop.example.com/static/       what is stored below a URL
  doorman cache show https://shop.example.com/app.css     all variants of a URL, and what they differ by
  doorman cache why https://shop.example.com/account      is it stored, and why not?
";

/// Show what is stored, how well it serves, and why something is not stored
#[derive(Args)]
#[command(before_help = EXAMPLES)]
pub struct Cache {
    #[command(subcommand)]
    what: Option<What>,
    /// This store alone
    #[arg(long, value_name = "NAME", global = true)]
    store: Option<String>,
    /// Where the running proxy listens: unix:PATH or IP:PORT
    #[arg(long, value_name = "ADDRESS", global = true)]
    admin: Option<String>,
    /// The configuration that may name the admin socket
    #[arg(short, long, default_value = "doorman.conf", global = true)]
    config: PathBuf,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum What {
    /// Objects, bytes, hits and refusals of each store
    Stats,
    /// What is stored, in the order of URLs
    Ls {
        /// What URLs begin with; https where no scheme is written
        prefix: Option<String>,
        /// How many responses at most
        #[arg(long, value_name = "N", default_value_t = LIST, value_parser = limit)]
        limit: usize,
    },
    /// All variants of a URL, and what tells them apart
    Show {
        /// The URL; https where no scheme is written
        url: String,
    },
    /// Whether a URL is stored, or why it was not
    Why {
        /// The URL; https where no scheme is written
        url: String,
    },
}

fn limit(text: &str) -> Result<usize, String> {
    let wrong = || format!("`{text}` is no number within 1 to {LIST_MAX}");
    text.parse().ok().filter(|n| (1..=LIST_MAX).contains(n)).ok_or_else(wrong)
}

impl Cache {
    pub fn run(self, screen: &Screen) -> ExitCode {
        let called = match Called::find(self.admin.as_deref(), &self.config, self.json) {
            Ok(called) => called,
            Err(code) => return code,
        };
        let of =
            self.store.as_ref().map_or(String::new(), |name| format!("&store={}", encoded(name)));
        match &self.what {
            None | Some(What::Stats) => called.get("/cache", |report: &Stores| {
                let named = |store: &&StoreReport| {
                    self.store.as_ref().is_none_or(|name| *name == store.name)
                };
                let stores: Vec<_> = report.stores.iter().filter(named).collect();
                match &self.store {
                    Some(name) if stores.is_empty() => {
                        screen::failed(&format!("there is no store `{name}` that a route uses"))
                    }
                    _ => screen::data(&stats(&stores, screen)),
                }
            }),
            Some(What::Ls { prefix, limit }) => {
                let prefix = encoded(prefix.as_deref().unwrap_or_default());
                let path = format!("/cache/ls?prefix={prefix}&limit={limit}{of}");
                called.get(&path, |listed: &Listed| screen::data(&list(listed, screen)))
            }
            Some(What::Show { url }) => {
                let path = format!("/cache/show?url={}{of}", encoded(url));
                called.get(&path, |known: &Known| match known.objects.as_slice() {
                    [] => screen::failed(&format!(
                        "nothing is stored for {url}\n  help: `doorman cache why {url}` may tell why"
                    )),
                    objects => screen::data(&variants(objects, screen)),
                })
            }
            Some(What::Why { url }) => {
                let path = format!("/cache/why?url={}{of}", encoded(url));
                called.get(&path, |known: &Known| screen::data(&why(known)))
            }
        }
    }
}

/// Bytes as people say them.
pub(super) fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1024;
    for unit in ["KiB", "MiB", "GiB", "TiB"] {
        if tenths < 10_240 {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
        tenths /= 1024;
    }
    format!("{}.{} PiB", tenths / 10, tenths % 10)
}

/// `1 object`, `2 objects`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// What clients and servers made up, fit for a terminal: it may hold what moves the cursor.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// A part of a whole: `72.0 %`.
pub(super) fn percent(part: u64, whole: u64) -> String {
    let tenths = u128::from(part) * 1000 / u128::from(whole.max(1));
    format!("{}.{} %", tenths / 10, tenths % 10)
}

fn stats(stores: &[&StoreReport], screen: &Screen) -> String {
    let mut text = String::new();
    for store in stores {
        let gap = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{gap}{}", screen.strong(&store.name));
        for tier in &store.tiers {
            let objects = counted(tier.objects, "object", "objects");
            let (bytes, limit) = (size(tier.bytes), size(tier.limit));
            let gone = match tier.evicted {
                0 => String::new(),
                count => format!("; {count} had to go"),
            };
            line(&mut text, &tier.tier, &format!("{objects}, {bytes} of {limit}{gone}"));
        }
        if let Some(problem) = &store.problem {
            line(&mut text, "problem", &screen.strong(problem));
        }
        line(&mut text, "requests", &requests(store));
        line(&mut text, "sent", &format!("{} of content from the store", size(store.hit_bytes)));
        let fills = format!(
            "{}, updated {}, refreshed beside {}, cut {}",
            store.stored, store.updated, store.refreshes, store.cut
        );
        line(&mut text, "stored", &fills);
        if store.waits > 0 {
            let waits = counted(store.waits, "request", "requests");
            line(&mut text, "waited", &format!("{waits} for another one's fetch of the same"));
        }
        if store.purged > 0 {
            line(&mut text, "purged", &store.purged.to_string());
        }
        if !store.refused.is_empty() {
            let mut reasons: Vec<_> = store.refused.iter().collect();
            reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            let reasons: Vec<_> =
                reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
            line(&mut text, "not stored", &reasons.join(", "));
        }
        let fetches = counted(store.fetches, "fetch", "fetches");
        let marked = counted(store.marked, "URL", "URLs");
        let now = format!("{fetches} under way, {marked} known not to be cacheable");
        line(&mut text, "now", &now);
    }
    if text.is_empty() {
        text.push_str("no route uses a store\n");
    }
    text
}

fn line(text: &mut String, label: &str, words: &str) {
    let _ = writeln!(text, "  {label:<10}  {words}");
}

/// Requests by what became of them, in the order of the docs.
fn requests(store: &StoreReport) -> String {
    let all: u64 = store.requests.values().sum();
    let by = doorman_proxy::Cached::ALL.iter().filter_map(|result| {
        let count = *store.requests.get(result.as_str())?;
        (count > 0).then(|| format!("{} {count}", result.as_str()))
    });
    let by: Vec<_> = by.collect();
    let mut text = all.to_string();
    if !by.is_empty() {
        let _ = write!(text, ": {}", by.join(", "));
    }
    if let Some(ratio) = store.hit_ratio {
        let _ = write!(text, "; {:.1} % answered from it", ratio * 100.0);
    }
    text
}

/// A row for each URL of each store.
fn list(listed: &Listed, screen: &Screen) -> String {
    if listed.objects.is_empty() {
        return "nothing is stored\n".to_owned();
    }
    let same = |one: &Stored, other: &Stored| one.store == other.store && one.url == other.url;
    let rows: Vec<&[Stored]> = listed.objects.chunk_by(same).collect();
    let width = listed.objects.iter().map(|one| one.store.chars().count());
    let width = width.max().unwrap_or(0).max(5);
    let mut text = String::new();
    let head = format!(
        "{:<width$}  {:>10}  {:>16}  {:>10}  {:>8}  {:>8}  URL",
        "STORE", "AGE", "FRESH FOR", "SIZE", "HITS", "VARIANTS"
    );
    let _ = writeln!(text, "{}", screen.strong(&head));
    for row in rows {
        // The one that was stored last speaks for all.
        let Some(one) = row.iter().min_by_key(|one| one.age) else { continue };
        let bytes: u64 = row.iter().map(|one| one.length.unwrap_or(one.bytes)).sum();
        let hits: u64 = row.iter().map(|one| u64::from(one.hits)).sum();
        let _ = writeln!(
            text,
            "{:<width$}  {:>10}  {:>16}  {:>10}  {hits:>8}  {:>8}  {}",
            one.store,
            span(one.age.into()),
            fresh_for(one),
            size(bytes),
            row.len(),
            clean(&one.url),
        );
    }
    if listed.more {
        text.push_str("there are more: --limit N shows up to N, a prefix narrows it down\n");
    }
    text
}

/// For how long, in a column.
fn fresh_for(one: &Stored) -> String {
    match one.state.as_str() {
        "fresh" => span(one.ttl.unsigned_abs()),
        other => other.to_owned(),
    }
}

fn variants(objects: &[Stored], screen: &Screen) -> String {
    let mut text = String::new();
    for one in objects {
        let gap = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{gap}{}", screen.strong(&clean(&one.url)));
        line(&mut text, "store", &format!("{}, in {}", one.store, one.tier));
        line(&mut text, "status", &one.status.to_string());
        line(&mut text, "age", &format!("{}, {}", span(one.age.into()), freshness(one)));
        let length = one.length.map_or("not known yet".to_owned(), size);
        line(&mut text, "size", &format!("{length}; takes {}", size(one.bytes)));
        line(&mut text, "hits", &one.hits.to_string());
        let maker = one.made_by.as_ref().map(|maker| {
            let (site, route) = (clean(&maker.site), clean(&maker.route));
            format!("site {site}, route {route}, upstream {}", clean(&maker.upstream))
        });
        let maker = maker.unwrap_or_else(|| "a route that is there no more".to_owned());
        line(&mut text, "made by", &maker);
        let mut label = "differs by";
        for part in &one.differs {
            line(&mut text, std::mem::take(&mut label), &clean(&difference(part)));
        }
        if !one.forms.is_empty() {
            let forms: Vec<_> = one.forms.iter().map(form).collect();
            line(&mut text, "forms", &clean(&forms.join(", ")));
        }
        if !one.tags.is_empty() {
            line(&mut text, "tags", &clean(&one.tags.join(" ")));
        }
    }
    text
}

fn form(one: &crate::admin::cache::Form) -> String {
    match one.length {
        Some(length) => format!("{} ({})", one.name, size(length)),
        None => format!("{} ({})", one.name, one.state),
    }
}

fn difference(part: &crate::admin::cache::Difference) -> String {
    let name = match part.kind.as_str() {
        "vary" => format!("{} (Vary)", part.name),
        kind if part.name.is_empty() => kind.to_owned(),
        kind => format!("{kind} {}", part.name),
    };
    match &part.value {
        Some(value) => format!("{name}: {value}"),
        None => format!("{name}: none"),
    }
}

/// How fresh a response is, in words.
fn freshness(one: &Stored) -> String {
    let past = span(one.ttl.unsigned_abs());
    match one.state.as_str() {
        "fresh" => format!("fresh for {past}"),
        "purged" => "made stale by a purge".to_owned(),
        "coming" => "still coming".to_owned(),
        _ if one.ttl == 0 => "stale".to_owned(),
        _ => format!("stale for {past}"),
    }
}

/// What is known of a URL, in sentences.
fn why(known: &Known) -> String {
    let mut text = String::new();
    for group in known.objects.chunk_by(|one, other| one.store == other.store) {
        let Some(newest) = group.first() else { continue };
        let count = counted(group.len() as u64, "variant", "variants");
        let age = format!("{} old, {}", span(newest.age.into()), freshness(newest));
        let word = if group.len() == 1 { "it is" } else { "the newest is" };
        let (store, tier) = (&newest.store, &newest.tier);
        let _ = writeln!(text, "stored in {store}: {count}, {word} in {tier}, {age}");
    }
    for refusal in &known.refusals {
        let ago = span(known.now.saturating_sub(refusal.at));
        let _ = writeln!(text, "not stored in {}, {ago} ago: {}", refusal.store, refusal.text);
    }
    if text.is_empty() {
        text.push_str(
            "nothing is known of it: it is not stored, and no refusal of it is remembered\n\
             ask for it once, then again here; `doorman explain URL` tells which rules hold for it\n",
        );
    }
    text
}

#[cfg(test)]
mod tests;
