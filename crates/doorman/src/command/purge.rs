//! `doorman purge`: takes stored responses out, or makes them stale.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::cache::{counted, size};
use super::called::Called;
use super::screen;
use super::upstreams::encoded;
use crate::admin::purge::Done;

const EXAMPLES: &str = "\
Examples:
  doorman purge https://shop.example.com/static/app.css    a URL, all variants
  doorman purge 'https://shop.example.com/static/*'        all that begin so
  doorman purge --tag product-17                           all that carry a tag
  doorman purge --site shop.example.com                    all of a host, on every port
  doorman purge --all --store assets --soft                all of a store: validated before it is used again
";

/// Take stored responses out, or make them stale
///
/// What is on its way at that moment is purged too. That nothing matches is no failure.
#[derive(Args)]
#[command(before_help = EXAMPLES)]
pub struct Purge {
    /// A URL, or what URLs begin with and a `*`; https where no scheme is written
    #[arg(value_name = "URL|PREFIX*", required_unless_present_any = ["tag", "site", "all"])]
    url: Option<String>,
    /// All responses that carry this tag
    #[arg(long, value_name = "TAG", conflicts_with_all = ["url", "site", "all"])]
    tag: Option<String>,
    /// All URLs of this host, on every port if it has none
    #[arg(long, value_name = "HOST[:PORT]", conflicts_with_all = ["url", "all"])]
    site: Option<String>,
    /// Everything
    #[arg(long, conflicts_with = "url")]
    all: bool,
    /// Make stale instead: it is validated, or given out as `stale` and `stale-if-error` allow
    #[arg(long)]
    soft: bool,
    /// In this store alone; in all without it
    #[arg(long, value_name = "NAME")]
    store: Option<String>,
    /// Where the running proxy listens: unix:PATH or IP:PORT
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// The configuration that may name the admin socket
    #[arg(short, long, default_value = "doorman.conf")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Purge {
    pub fn run(self) -> ExitCode {
        let called = match Called::find(self.admin.as_deref(), &self.config, self.json) {
            Ok(called) => called,
            Err(code) => return code,
        };
        called.call("POST", &self.call(), |done: &Done| {
            if done.settled == Some(false) {
                eprintln!(
                    "warning: a disk cannot be told of it now: after a crash it could come back; \
                     `doorman status` says what is wrong"
                );
            }
            screen::data(&told(done))
        })
    }

    fn call(&self) -> String {
        let mut call = "/cache/purge?".to_owned();
        let mut add = |name: &str, value: &str| {
            let _ = write!(call, "{name}={}&", encoded(value));
        };
        match self.url.as_deref() {
            Some(url) => match url.strip_suffix('*') {
                Some(prefix) => add("prefix", prefix),
                None => add("url", url),
            },
            None => {
                let named = [("tag", &self.tag), ("site", &self.site)];
                for (name, value) in named {
                    if let Some(value) = value {
                        add(name, value);
                    }
                }
            }
        }
        if let Some(store) = &self.store {
            add("store", store);
        }
        let _ = write!(call, "all={}&soft={}", self.all, self.soft);
        call
    }
}

fn told(done: &Done) -> String {
    if done.stores.is_empty() {
        return "no route uses a store\n".to_owned();
    }
    if done.objects == 0 {
        return "nothing that is stored matches\n".to_owned();
    }
    let how = if done.soft { "made stale" } else { "purged" };
    let figures = |objects: u64, bytes: u64| {
        format!("{}, {}", counted(objects, "object", "objects"), size(bytes))
    };
    let mut text = format!("{how} {}\n", figures(done.objects, done.bytes));
    for one in done.stores.iter().filter(|one| one.objects > 0) {
        let _ = writeln!(text, "  in {}: {}", one.store, figures(one.objects, one.bytes));
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        purge: Purge,
    }

    #[test]
    fn calls() {
        let check = |line: &str, expect: &str| {
            let words = ["x"].into_iter().chain(line.split(' '));
            let called = Line::try_parse_from(words).map(|line| line.purge.call());
            assert_eq!(called.ok().as_deref(), Some(expect), "{line}");
        };
        check("a.test/x", "/cache/purge?url=a.test%2Fx&all=false&soft=false");
        check("a.test/x* --soft", "/cache/purge?prefix=a.test%2Fx&all=false&soft=true");
        check("--tag p&q --store s", "/cache/purge?tag=p%26q&store=s&all=false&soft=false");
        check("--site a.test", "/cache/purge?site=a.test&all=false&soft=false");
        check("--all", "/cache/purge?all=true&soft=false");
        for line in ["", "--soft", "a --all", "a --tag t", "--tag t --site s", "--site s --all"] {
            let words = ["x"].into_iter().chain(line.split(' ').filter(|word| !word.is_empty()));
            assert!(Line::try_parse_from(words).is_err(), "{line}");
        }
    }

    #[test]
    fn what_was_purged() {
        let done = |soft, figures: &[(&str, u64, u64)]| {
            let of = |&(store, objects, bytes): &(&str, u64, u64)| serde_json::json!({ "store": store, "objects": objects, "bytes": bytes });
            let stores: Vec<_> = figures.iter().map(of).collect();
            let objects: u64 = figures.iter().map(|figures| figures.1).sum();
            let bytes: u64 = figures.iter().map(|figures| figures.2).sum();
            let value = serde_json::json!({
                "soft": soft, "objects": objects, "bytes": bytes, "settled": null, "stores": stores,
            });
            told(&serde_json::from_value(value).unwrap())
        };
        assert_eq!(
            done(false, &[("web", 1, 2048), ("none", 0, 0), ("assets", 2, 10)]),
            "purged 3 objects, 2.0 KiB\n  in web: 1 object, 2.0 KiB\n  in assets: 2 objects, 10 B\n"
        );
        assert_eq!(
            done(true, &[("web", 1, 0)]),
            "made stale 1 object, 0 B\n  in web: 1 object, 0 B\n"
        );
        assert_eq!(done(false, &[("web", 0, 0)]), "nothing that is stored matches\n");
        assert_eq!(done(false, &[]), "no route uses a store\n");
    }
}
