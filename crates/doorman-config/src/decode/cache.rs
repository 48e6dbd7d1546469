//! The `cache` block of a policy, a site or a route.

mod query;

use std::time::Duration;

use super::Decoder;
use super::options::FRAMING;
use super::store::{object_size, seconds};
use crate::item::{Item, Text};
use crate::values::{self, Value};
use crate::{
    Cache, CacheCookies, CacheKeyPart, CacheMethods, CacheQuery, CacheSetCookie, CacheTtl,
    Diagnostic, Ending, Setting, Spanned, Store, StoreId,
};

/// Parts of a key, fields and conditions of one block: each is looked at for every request.
const LISTED_MAX: usize = 64;

/// The longest time that requests wait for the one that fetches.
const LOCK_MAX: Duration = Duration::from_secs(60);

/// Bounds of a slice: below, a body would be more requests than bytes; above, a slice is a body.
const SLICE_BYTES: (u64, u64) = (64 << 10, 64 << 20);

impl Decoder<'_> {
    /// The cache; `Some(None)`: there is to be none.
    #[expect(clippy::option_option, reason = "`cache off` is a cache line too")]
    pub(super) fn cache(&mut self, block: &Item) -> Option<Option<Box<Cache>>> {
        let name = block.value(0)?;
        if name.word() == Some("off") {
            if let Some(extra) = block.children.first() {
                let error = Diagnostic::error("E0204", extra.span, "`cache off` takes no words");
                self.say(error.help("write `cache STORE { ... }`, or `cache off` alone"));
            }
            return Some(None);
        }
        let id = self.named_store(name);
        let store = id.and_then(|id| self.stores.get(id.0 as usize)).cloned();
        let mut cache = unsaid(Spanned::new(id.unwrap_or(StoreId(0)), name.span), block);
        for item in &block.children {
            self.cache_word(item, &mut cache);
        }
        cache.query = self.cache_query(&block.children);
        self.check_force(&cache);
        self.fall_back(&mut cache, &store?);
        Some(Some(Box::new(cache)))
    }

    /// Says so if a block has a `cache` that no answer of a server can come to.
    pub(super) fn check_cached<'e>(
        &mut self,
        block: &Item,
        mut endings: impl Iterator<Item = &'e Ending>,
    ) {
        let cached = |item: &&Item| {
            let named = item.value(0).is_some_and(|name| name.word() != Some("off"));
            item.directive.name == "cache" && named && !item.is_off()
        };
        let Some(item) = block.children.iter().find(cached).filter(|_| !block.is_off()) else {
            return;
        };
        if !endings.any(|ending| matches!(ending, Ending::Proxy(_)))
            && !self.diagnostics.any_error()
        {
            let message = "there is no `proxy` here whose answers could be kept";
            self.say(
                Diagnostic::warning("W0308", item.span, message)
                    .help("remove the line: what doorman answers itself is not kept"),
            );
        }
    }

    fn cache_word(&mut self, item: &Item, cache: &mut Cache) {
        let (on, off) = (("on", true), ("off", false));
        let switch = |text: &Text| values::choice(text, &[on, off], &[]);
        match item.directive.name {
            "ttl" => self.cache_ttl(item, cache),
            "stale" => self.fill(item, &mut cache.stale, seconds),
            "stale-if-error" => self.fill(item, &mut cache.stale_if_error, seconds),
            "key" => self.key_part(item, &mut cache.key),
            "vary" => self.vary_ignore(item, &mut cache.vary_ignore),
            "bypass" => {
                let condition = self.bypass(item).filter(|_| !item.is_off());
                self.join(&mut cache.bypass, condition, item);
            }
            "sort-query" => self.set(item, &mut cache.sort_query, switch),
            "min-uses" => {
                self.set(item, &mut cache.min_uses, |text| values::number(text, 1, 100));
            }
            "max-object" => self.set(item, &mut cache.max_object, object_size),
            "methods" => self.cache_methods(item, &mut cache.methods),
            "lock" => self.set(item, &mut cache.lock, lock),
            "slice" => self.set(item, &mut cache.slice, slice),
            "tags" => self.fields(item, &mut cache.tags),
            "status-header" => self.set(item, &mut cache.status_header, switch),
            "etag" => self.set(item, &mut cache.etag, switch),
            "client-control" => self.set(item, &mut cache.client_control, switch),
            "cookies" => self.set(item, &mut cache.cookies, |text| {
                use CacheCookies::{Careful, Ignore};
                values::choice(text, &[("careful", Careful), ("ignore", Ignore)], &[])
            }),
            "set-cookie" => self.set(item, &mut cache.set_cookie, |text| {
                use CacheSetCookie::{Refuse, Strip};
                values::choice(text, &[("refuse", Refuse), ("strip", Strip)], &[])
            }),
            "targeted" => self.targeted(item, &mut cache.targeted),
            "purge" => self.purge_from(item, cache),
            _ => {}
        }
    }

    /// `ttl T [force]`, `ttl T STATUS...`.
    fn cache_ttl(&mut self, item: &Item, cache: &mut Cache) {
        let Some((time, rest)) = item.values.split_first() else { return };
        let time = self.ok(seconds(time));
        if let [word] = rest
            && word.text == "force"
        {
            let Some(time) = time.filter(|_| !item.is_off()) else { return };
            if let Some(first) = &cache.force {
                let error = Diagnostic::error("E0208", item.span, "a second `ttl` with `force`");
                return self.say(error.also(first.span, "the first"));
            }
            cache.force = Some(Spanned::new(time.value, item.span));
            return;
        }
        let read: Vec<_> = rest.iter().map(|text| self.ok(kept_status(text))).collect();
        let read: Option<Vec<_>> = read.into_iter().collect();
        let (Some(time), Some(read)) = (time, read) else { return };
        if item.is_off() {
            return;
        }
        let plain = |ttl: &&Spanned<CacheTtl>| ttl.value.statuses.is_empty();
        if read.is_empty()
            && let Some(first) = cache.ttls.iter().find(plain)
        {
            let error = Diagnostic::error("E0208", item.span, "a second `ttl` without a status");
            let error = error.also(first.span, "the first");
            return self.say(error.help("name the statuses that it is for: `ttl 1m 404 410`"));
        }
        let mut statuses = Vec::new();
        for status in read {
            if !self.is_new_status(&status, &statuses, cache) {
                return;
            }
            statuses.push(status.value);
        }
        let ttl = CacheTtl { time: time.value, statuses };
        cache.ttls.push(Spanned::new(ttl, item.span));
    }

    fn is_new_status(&mut self, status: &Spanned<u16>, line: &[u16], cache: &Cache) -> bool {
        let before = cache.ttls.iter().find(|ttl| ttl.value.statuses.contains(&status.value));
        if before.is_none() && !line.contains(&status.value) {
            return true;
        }
        let message = format!("the status {} stands here twice", status.value);
        let error = Diagnostic::error("E0208", status.span, message);
        self.say(before.iter().fold(error, |error, first| error.also(first.span, "the first")));
        false
    }

    /// What holds whatever a response says leaves nothing to a time for those that say nothing.
    fn check_force(&mut self, cache: &Cache) {
        let plain = cache.ttls.iter().find(|ttl| ttl.value.statuses.is_empty());
        if let (Some(force), Some(plain)) = (&cache.force, plain) {
            let message = "a `ttl` beside one with `force`, which is for all responses";
            let error = Diagnostic::error("E0244", plain.span, message);
            self.say(error.also(force.span, "here").help("keep one of the two"));
        }
    }

    fn key_part(&mut self, item: &Item, key: &mut Vec<Spanned<CacheKeyPart>>) {
        let (Some(kind), Some(name)) = (item.value(0), item.value(1)) else { return };
        let kinds = [("header", true), ("cookie", false)];
        let Some(header) = self.ok(values::choice(kind, &kinds, &[])) else { return };
        let part = if header.value {
            self.ok(key_field(name)).map(|name| CacheKeyPart::Header(name.value))
        } else {
            self.ok(super::sticky::cookie_name(name)).map(|name| CacheKeyPart::Cookie(name.value))
        };
        let Some(part) = part.filter(|_| !item.is_off()) else { return };
        if let Some(first) = key.iter().find(|other| other.value == part) {
            let message = format!("`key {} {}` stands here twice", kind.shown(), name.shown());
            let error = Diagnostic::error("E0208", item.span, message);
            return self.say(error.also(first.span, "the first"));
        }
        self.join(key, Some(Spanned::new(part, item.span)), item);
    }

    /// `vary ignore NAME...`.
    fn vary_ignore(&mut self, item: &Item, fields: &mut Vec<Spanned<String>>) {
        let Some((verb, names)) = item.values.split_first() else { return };
        self.ok(values::choice(verb, &[("ignore", ())], &[]));
        for name in names {
            if name.text == "*" {
                let message = "`vary ignore` takes names of fields, not `*`";
                let error = Diagnostic::error("E0310", name.span, message);
                self.say(error.help("a response with `Vary: *` is never given out again"));
                continue;
            }
            let field = self.ok(values::field(name)).filter(|_| !item.is_off());
            self.join(fields, field, item);
        }
    }

    /// `bypass when header|cookie|query NAME [VALUE]`.
    fn bypass(&mut self, item: &Item) -> Option<Spanned<crate::Condition>> {
        let [when, kind, name, rest @ ..] = item.values.as_slice() else { return None };
        self.ok(values::choice(when, &[("when", ())], &[]))?;
        let kinds = [("header", 0), ("query", 1), ("cookie", 2)];
        let kind = self.ok(values::choice(kind, &kinds, &[]))?.value;
        let condition = self.named_condition(kind, name, rest)?;
        Some(Spanned::new(condition, item.span))
    }

    fn cache_methods(&mut self, item: &Item, slot: &mut Setting<CacheMethods>) {
        let (mut get, mut head) = (false, false);
        for text in &item.values {
            match text.text.as_str() {
                "GET" => get = true,
                "HEAD" => head = true,
                _ => {
                    let message = format!("answers to `{}` are not kept", text.shown());
                    let error = Diagnostic::error("E0307", text.span, message);
                    return self.say(error.help("write `methods GET HEAD` or `methods GET`"));
                }
            }
        }
        if !get {
            let message = "`HEAD` is answered from what `GET` has fetched";
            let error = Diagnostic::error("E0244", item.span, message);
            return self.say(error.help("write `methods GET HEAD` or `methods GET`"));
        }
        if !item.is_off() {
            let methods = if head { CacheMethods::GetAndHead } else { CacheMethods::Get };
            *slot = Setting::written(methods, item.span);
        }
    }

    /// `FIELD...`, or `off` for none.
    fn fields(&mut self, item: &Item, slot: &mut Setting<Vec<String>>) {
        let mut fields: Vec<Spanned<String>> = Vec::new();
        let none = matches!(item.values.as_slice(), [word] if word.word() == Some("off"));
        for text in item.values.iter().filter(|_| !none) {
            let Some(field) = self.ok(values::field(text)) else { return };
            if let Some(first) = fields.iter().find(|other| other.value == field.value) {
                let message = format!("`{}` stands here twice", field.value);
                let error = Diagnostic::error("E0208", field.span, message);
                return self.say(error.also(first.span, "the first"));
            }
            self.join(&mut fields, Some(field), item);
        }
        if !item.is_off() {
            let fields = fields.into_iter().map(|field| field.value).collect();
            *slot = Setting::written(fields, item.span);
        }
    }

    fn targeted(&mut self, item: &Item, slot: &mut Setting<Vec<String>>) {
        let plain = |text: &&Text| text.text.eq_ignore_ascii_case("cache-control");
        if let Some(text) = item.values.iter().find(plain) {
            let message = "`Cache-Control` is what counts where no targeted field does";
            let error = Diagnostic::error("E0244", text.span, message);
            return self.say(error.help("remove it: `targeted off` leaves it alone"));
        }
        self.fields(item, slot);
    }

    /// `purge from RANGE...`.
    fn purge_from(&mut self, item: &Item, cache: &mut Cache) {
        let Some((from, ranges)) = item.values.split_first() else { return };
        self.ok(values::choice(from, &[("from", ())], &[]));
        for text in ranges {
            let range = self.ok(values::range(text)).filter(|_| !item.is_off());
            self.join(&mut cache.purge, range, item);
        }
    }

    /// Adds to a list, unless it is full.
    fn join<T>(&mut self, list: &mut Vec<T>, one: Option<T>, item: &Item) {
        if list.len() < LISTED_MAX {
            return list.extend(one);
        }
        if one.is_some() {
            let name = item.directive.name;
            let message = format!("more than {LISTED_MAX} of `{name}` in one `cache`");
            self.say(Diagnostic::error("E0110", item.span, message));
        }
    }

    /// Fills in from the store what the block leaves out.
    fn fall_back(&mut self, cache: &mut Cache, store: &Store) {
        let plain = cache.ttls.iter().any(|ttl| ttl.value.statuses.is_empty());
        if !plain && cache.force.is_none() {
            let ttl =
                |time: Spanned<Duration>| time.map(|time| CacheTtl { time, statuses: Vec::new() });
            cache.ttls.extend(store.default_ttl.map(ttl));
        }
        cache.stale = cache.stale.or(store.grace);
        let Some(span) = cache.max_object.span else {
            cache.max_object = Setting::default_of(store.max_object.value);
            return;
        };
        if cache.max_object.value > store.max_object.value {
            let message = format!("larger than what store `{}` takes", store.name.value);
            let error = Diagnostic::error("E0244", span, message);
            let place = store.max_object.span.unwrap_or(store.name.span);
            let error = error.also(place, format!("at most {} bytes", store.max_object.value));
            self.say(error.help("raise `max-object` of the store, or write less here"));
        }
    }
}

/// A block that says nothing.
fn unsaid(store: Spanned<StoreId>, block: &Item) -> Cache {
    let names = |names: [&str; 2]| Setting::default_of(names.map(str::to_owned).to_vec());
    Cache {
        store,
        ttls: Vec::new(),
        force: None,
        stale: None,
        stale_if_error: None,
        key: Vec::new(),
        vary_ignore: Vec::new(),
        bypass: Vec::new(),
        query: CacheQuery::Whole,
        sort_query: Setting::default_of(false),
        min_uses: Setting::default_of(1),
        max_object: Setting::default_of(0),
        methods: Setting::default_of(CacheMethods::GetAndHead),
        lock: Setting::default_of(Some(Duration::from_secs(5))),
        slice: Setting::default_of(None),
        tags: names(["cache-tag", "surrogate-key"]),
        status_header: Setting::default_of(false),
        etag: Setting::default_of(true),
        client_control: Setting::default_of(true),
        cookies: Setting::default_of(CacheCookies::Careful),
        set_cookie: Setting::default_of(CacheSetCookie::Refuse),
        targeted: names(["doorman-cache-control", "cdn-cache-control"]),
        purge: Vec::new(),
        span: block.span,
    }
}

/// A status whose responses can be kept by a rule.
fn kept_status(text: &Text) -> Value<u16> {
    let status = values::status(text, 200, 599)
        .map_err(|error| error.help("write statuses such as 404 or 301, or `force` alone"))?;
    let why = match status.value {
        206 => "parts are kept as their whole is: by the rule for 200",
        304 => "it makes what is kept fresh again, and is nothing to keep itself",
        _ => return Ok(status),
    };
    let message = format!("a response with status {} is not kept by itself", status.value);
    Err(Diagnostic::error("E0312", text.span, message).help(why))
}

/// A field that may tell variants apart.
fn key_field(text: &Text) -> Value<String> {
    let name = values::field(text)?;
    let field = name.value.as_str();
    let help = match field {
        "host" => "the host is in every key already".to_owned(),
        "cookie" => "write `key cookie NAME` for each cookie that matters".to_owned(),
        "range" | "if-range" => "parts are cut out of what is kept".to_owned(),
        "if-match" | "if-none-match" | "if-modified-since" | "if-unmodified-since" => {
            "conditions are answered from what is kept".to_owned()
        }
        _ if FRAMING.contains(&field) => {
            "this field is about one connection or one message, not about what is asked for"
                .to_owned()
        }
        _ => return Ok(name),
    };
    let message = format!("`{field}` cannot be part of a key");
    Err(Diagnostic::error("E0244", text.span, message).help(help))
}

fn lock(text: &Text) -> Value<Option<Duration>> {
    if text.word() == Some("off") {
        return Ok(Spanned::new(None, text.span));
    }
    let time = values::duration(text)?;
    if time.value <= LOCK_MAX {
        return Ok(time.map(Some));
    }
    let message = format!("`{}` is longer than 60s", text.shown());
    Err(Diagnostic::error("E0304", text.span, message).help("write a time up to 60s, or off"))
}

fn slice(text: &Text) -> Value<Option<u64>> {
    if text.word() == Some("off") {
        return Ok(Spanned::new(None, text.span));
    }
    values::size_within(text, SLICE_BYTES.0, SLICE_BYTES.1)
        .map(|size| size.map(Some))
        .map_err(|error| error.help("write a size from 64KiB to 64MiB, or off"))
}
