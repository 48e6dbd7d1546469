//! Items to the typed model. Each block has a file; this one keeps the order: what is named (upstreams, stores,
//! policies) is decoded before what names it, wherever in the files it stands.

mod acme;
mod balance;
mod cache;
mod compress;
mod delivery;
mod discover;
mod ejection;
mod ending;
mod fastcgi;
mod global;
mod guard;
mod harden;
mod health;
mod listen;
mod mirror;
mod optimize;
mod options;
mod overload;
mod reach;
mod relay;
mod resilience;
mod site;
mod sticky;
mod store;
mod tls;
mod tls_policy;
mod upstream;
mod waf;

use std::collections::HashMap;

use crate::faults::Faults;
use crate::item::{Item, Text};
use crate::load::MAIN;
use crate::values::{self, Value};
use crate::{
    Config, Diagnostic, Global, ServerAddress, Setting, SourceMap, Span, Spanned, Store, StoreId,
    Upstream, UpstreamId,
};

use options::Line;

/// The version of the language.
const LANGUAGE_VERSION: u64 = 1;

/// Decodes everything. What was wrong is in the diagnostics, and then the result is of no use.
pub(crate) fn config(items: &[Item], sources: &SourceMap, diagnostics: &mut Faults) -> Config {
    let damaged = diagnostics.any_error();
    let mut decoder = Decoder {
        sources,
        diagnostics,
        upstreams: Vec::new(),
        upstream_names: HashMap::new(),
        inline: HashMap::new(),
        switched_off: HashMap::new(),
        used_upstreams: Vec::new(),
        stores: Vec::new(),
        store_names: HashMap::new(),
        used_stores: Vec::new(),
        policies: HashMap::new(),
        policy_places: HashMap::new(),
        unkept: Vec::new(),
        has_dns: false,
        certifies_addresses: false,
        has_countries: false,
        has_networks: false,
        damaged,
    };
    let global = decoder.top(items);
    decoder.has_dns = global.acme.iter().any(|acme| acme.dns.is_some());
    decoder.certifies_addresses = global.acme.iter().any(acme::certifies_addresses);
    let mut sites = decoder.sites(items, &global);
    let listeners = decoder.listeners(items, &global, &mut sites);
    let relays = decoder.relays(items, &global, &listeners);
    for site in &sites {
        decoder.check_reach(site);
    }
    decoder.check_nameless(&sites);
    decoder.check_guards(&sites, &global);
    decoder.check_unkept();
    decoder.check_used();
    if sites.is_empty() && relays.is_empty() && !decoder.damaged && decoder.diagnostics.count() == 0
    {
        let span = items.first().map_or(Span { file: MAIN, start: 0, end: 0 }, |item| item.span);
        decoder.say(
            Diagnostic::warning("W0305", span, "there is no site, so nothing will be served")
                .help("a site is as short as `site http://:8080 { route * { proxy 3000 } }`"),
        );
    }
    let Decoder { upstreams, stores, .. } = decoder;
    Config { global, listeners, upstreams, stores, sites, relays }
}

struct Decoder<'a> {
    sources: &'a SourceMap,
    diagnostics: &'a mut Faults,
    upstreams: Vec<Upstream>,
    upstream_names: HashMap<String, UpstreamId>,
    /// Upstreams that bare addresses made.
    inline: HashMap<ServerAddress, UpstreamId>,
    /// Names of upstreams, stores and policies that stand there with `off` in front.
    switched_off: HashMap<String, Span>,
    used_upstreams: Vec<bool>,
    stores: Vec<Store>,
    store_names: HashMap<String, StoreId>,
    used_stores: Vec<bool>,
    policies: HashMap<String, Policy>,
    /// Where each policy stands, so that one that is used too early can be shown.
    policy_places: HashMap<String, Span>,
    /// Complaints about routes that keep nothing of what would be made, until it is known that nothing else is wrong.
    unkept: Vec<Diagnostic>,
    /// Whether a certificate authority can be shown records in DNS.
    has_dns: bool,
    /// Whether some authority issues for IP addresses.
    certifies_addresses: bool,
    /// Whether there is a database of countries.
    has_countries: bool,
    /// Whether there is a database of autonomous systems.
    has_networks: bool,
    /// Whether something was lost before, so that what seems to be missing may only be broken.
    damaged: bool,
}

/// A policy, by name.
struct Policy {
    name: Span,
    /// Its own lines behind those of the policies it uses.
    lines: Vec<Line>,
    used: bool,
}

impl Decoder<'_> {
    fn say(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// The value, or none after its diagnostic was noted.
    fn ok<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(diagnostic) => {
                self.say(diagnostic);
                None
            }
        }
    }

    /// Reads the first value of an item into a setting; leaves the default if it is wrong or switched off.
    fn set<T>(&mut self, item: &Item, slot: &mut Setting<T>, read: impl FnOnce(&Text) -> Value<T>) {
        let mut found = None;
        self.fill(item, &mut found, read);
        if let Some(value) = found {
            *slot = value.into();
        }
    }

    /// Reads the first value of an item into a slot; leaves it if it is wrong or switched off.
    fn fill<T>(
        &mut self,
        item: &Item,
        slot: &mut Option<Spanned<T>>,
        read: impl FnOnce(&Text) -> Value<T>,
    ) {
        let Some(text) = item.value(0) else { return };
        let value = self.ok(read(text));
        if let Some(value) = value.filter(|_| !item.is_off()) {
            *slot = Some(value);
        }
    }

    fn top(&mut self, items: &[Item]) -> Global {
        let mut global = Global::default();
        for (at, item) in items.iter().enumerate() {
            match item.directive.name {
                "doorman" => self.version(item, at),
                "global" => {
                    let decoded = self.global(item);
                    if !item.is_off() {
                        global = decoded;
                    }
                }
                "upstream" => self.upstream(item),
                "store" => self.store(item),
                _ => {}
            }
        }
        self.check_folders();
        self.has_countries = global.geo.as_ref().is_some_and(|geo| geo.country.is_some());
        self.has_networks = global.geo.as_ref().is_some_and(|geo| geo.asn.is_some());
        self.policies(items);
        global
    }

    fn version(&mut self, item: &Item, at: usize) {
        let Some(text) = item.value(0) else { return };
        let number = self.ok(values::number::<u64>(text, 1, u64::from(u32::MAX)));
        if number.is_some_and(|number| number.value != LANGUAGE_VERSION) {
            let message = format!("this doorman reads version {LANGUAGE_VERSION} of the language");
            self.say(Diagnostic::error("E0218", text.span, message));
        }
        if at > 0 || item.span.file != MAIN {
            self.say(
                Diagnostic::error(
                    "E0218",
                    item.span,
                    "`doorman` is the first statement of the main file",
                )
                .help("move it there"),
            );
        }
    }

    fn check_used(&mut self) {
        for (at, upstream) in self.upstreams.iter().enumerate() {
            if !self.used_upstreams.get(at).copied().unwrap_or(true) && !self.damaged {
                let message = format!("no route uses upstream `{}`", upstream.name.value);
                self.diagnostics.push(
                    Diagnostic::warning("W0301", upstream.name.span, message)
                        .help("name it in a `proxy` line, or put `off` in front of it"),
                );
            }
        }
        self.check_stores_used();
        let unused = self.policies.iter().filter(|(_, policy)| !policy.used && !self.damaged);
        for (name, policy) in unused {
            self.diagnostics.push(
                Diagnostic::warning("W0302", policy.name, format!("nothing uses policy `{name}`"))
                    .help("write `use` with its name in a site or a route"),
            );
        }
    }
}

/// The names of a table, sorted, for messages.
fn names_of<'n>(names: impl Iterator<Item = &'n String>) -> Vec<&'n str> {
    let mut names: Vec<&str> = names.map(String::as_str).collect();
    names.sort_unstable();
    names
}
