//! Directives of `store`, and of `cache` among the options.

use super::Kind::{Any, Choice, Duration, Field, Name, Number, Range, Size};
use super::Within::{Cache, Store, Top};
use super::options::OPTIONS_WITHIN;
use super::{Argument, Directive, many, one, some};

const SWITCH: &[Argument] = &[one("on|off", Choice(&["on", "off"], &[]))];

const NAMES: super::Kind = Any("names of parameters; NAME* is all that begin so");

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "store",
        &[Top],
        &[one("NAME", Name)],
        "Memory, and perhaps disk, where `cache` keeps responses; at most 64 stores.",
        "store assets { memory 512MiB; disk 20GiB /var/cache/doorman }",
    )
    .block(Store)
    .often(),
    Directive::new("memory", &[Store], &[one("SIZE", Size)], "Memory for all that is kept, 1MiB to 1TiB, with what is needed to find it.", "memory 512MiB")
        .default("256MiB"),
    Directive::new("disk", &[Store], &[one("SIZE", Size), one("DIR", Any("an absolute path of a folder that no other store has"))], "Disk for what does not fit into memory, 64MiB to 1024TiB, in a folder that doorman has to itself. What lies there is found again after a restart.", "disk 20GiB /var/cache/doorman")
        .default("memory alone"),
    Directive::new("max-object", &[Store], &[one("SIZE", Size)], "Bytes of the largest body that is kept, from 1KiB to all of the disk, or of the memory where there is no disk.", "max-object 64MiB")
        .default("an eighth of the disk; without one, of the memory, at most 1GiB"),
    Directive::new("evict", &[Store], &[one("HOW", Choice(&["s3-fifo", "lru"], &[]))], "What goes when memory is full: what is asked for once goes soon, or what was asked for least recently.", "evict s3-fifo")
        .default("s3-fifo"),
    Directive::new("default-ttl", &[Store], &[one("TIME", Duration)], "`ttl` where a `cache` block has none: how long a response is fresh that does not say so itself, in whole seconds, up to 3650d.", "default-ttl 5m")
        .default("only what the response says"),
    Directive::new("grace", &[Store], &[one("TIME", Duration)], "`stale` where a `cache` block has none, in whole seconds, up to 3650d.", "grace 1h")
        .default("only what the response says"),
    Directive::new(
        "cache",
        OPTIONS_WITHIN,
        &[one("STORE|off", Any("the name of a store, or off"))],
        "Keep responses of servers in a store, and answer from there as long as they are fresh (RFC 9111). A nearer block replaces one of the site or a policy as a whole; off ends it.",
        "cache off",
    )
    .block(Cache)
    .default("off"),
    Directive::new("ttl", &[Cache], &[one("TIME", Duration), many("force|STATUS", Any("force, or statuses from 200 to 599 but 206 and 304"))], "How long a response is fresh that does not say so itself, in whole seconds, up to 3650d: one with these statuses, or one with 200, 203, 204, 300, 301 or 308. With force, whatever it says; what must not be shared is not kept even then.", "ttl 1m 404 410")
        .often()
        .default("`default-ttl` of the store"),
    Directive::new("stale", &[Cache], &[one("TIME", Duration)], "How long after that it is still given out while it is fetched anew, where it does not say so itself (RFC 5861 section 3); in whole seconds, up to 3650d.", "stale 24h")
        .default("`grace` of the store"),
    Directive::new("stale-if-error", &[Cache], &[one("TIME", Duration)], "How long after that it is given out when servers cannot be reached or fail, where it does not say so itself (RFC 5861 section 4); in whole seconds, up to 3650d.", "stale-if-error 7d")
        .default("only what the response says"),
    Directive::new("key", &[Cache], &[one("header|cookie", Choice(&["header", "cookie"], &[])), one("NAME", Any("the name of a field or a cookie"))], "Part of a request that gets a response of its own, beside host, path and query.", "key header X-Country")
        .often(),
    Directive::new("vary", &[Cache], &[one("ignore", Choice(&["ignore"], &[])), some("NAME", Field)], "Fields that get no response of their own even if `Vary` of a response names them.", "vary ignore User-Agent Origin")
        .often(),
    Directive::new("bypass", &[Cache], &[one("when", Choice(&["when"], &[])), one("header|cookie|query", Choice(&["header", "cookie", "query"], &[])), one("NAME", Any("its name")), many("VALUE", Any("its value, or ~ and a regex"))], "Requests that are neither answered from the store nor kept: those with this field, cookie or parameter, or with this value of it.", "bypass when cookie session")
        .often(),
    Directive::new("ignore-query", &[Cache], &[some("NAME|*", NAMES)], "Parameters of the query that make no difference; with * none does.", "ignore-query utm_* fbclid")
        .often()
        .default("each makes one"),
    Directive::new("only-query", &[Cache], &[some("NAME", NAMES)], "The only parameters of the query that make a difference.", "only-query page size")
        .often()
        .default("each makes one"),
    Directive::new("sort-query", &[Cache], SWITCH, "Whether the order of the parameters makes no difference. It is by name; of one name they stay in order.", "sort-query on")
        .default("off"),
    Directive::new("min-uses", &[Cache], &[one("N", Number(1, 100))], "Keep a response when there have been so many requests for it.", "min-uses 2")
        .default("1"),
    Directive::new("max-object", &[Cache], &[one("SIZE", Size)], "Bytes of the largest body that is kept, from 1KiB up to what the store takes.", "max-object 16MiB")
        .default("`max-object` of the store"),
    Directive::new("methods", &[Cache], &[some("GET|HEAD", Choice(&["GET", "HEAD"], &[]))], "What is answered from the store: GET, or GET and HEAD.", "methods GET HEAD")
        .default("GET HEAD"),
    Directive::new("lock", &[Cache], &[one("TIME|off", Any("a time up to 60s, or off"))], "How long requests wait for one that fetches the same before one of them fetches too; none waits longer than three times that. With off nobody waits.", "lock 5s")
        .default("5s"),
    Directive::new("slice", &[Cache], &[one("SIZE|off", Any("a size from 64KiB to 64MiB, or off"))], "Fetch and keep bodies in pieces of this size, so that a part of a large one does not wait for all of it.", "slice 1MiB")
        .default("off"),
    Directive::new("tags", &[Cache], &[some("FIELD|off", Field)], "Fields in which responses name their tags, for `doorman purge --tag`; off for none.", "tags Cache-Tag")
        .default("Cache-Tag Surrogate-Key"),
    Directive::new("status-header", &[Cache], SWITCH, "Tell clients in Cache-Status what the cache did (RFC 9211).", "status-header on")
        .default("off"),
    Directive::new("etag", &[Cache], SWITCH, "Give what is kept an ETag made of its content where it has neither ETag nor Last-Modified, so that clients who have it already are told so (RFC 9110 section 8.8.3).", "etag off")
        .default("on"),
    Directive::new("client-control", &[Cache], SWITCH, "Whether clients may ask for something fresher, or for what is kept alone, by Cache-Control (RFC 9111 section 5.2.1).", "client-control off")
        .default("on"),
    Directive::new("cookies", &[Cache], &[one("careful|ignore", Choice(&["careful", "ignore"], &[]))], "Requests with cookies: a response to one is for others only if it says so, by public, s-maxage or a targeted field; or cookies are taken off before servers are asked.", "cookies careful")
        .default("careful"),
    Directive::new("set-cookie", &[Cache], &[one("refuse|strip", Choice(&["refuse", "strip"], &[]))], "Responses that set cookies: they are not kept, or they are kept without Set-Cookie.", "set-cookie refuse")
        .default("refuse"),
    Directive::new("targeted", &[Cache], &[some("FIELD|off", Field)], "Fields that say what caches such as this one may do and go before Cache-Control (RFC 9213), best first; off for none.", "targeted CDN-Cache-Control")
        .default("Doorman-Cache-Control CDN-Cache-Control"),
    Directive::new("purge", &[Cache], &[one("from", Choice(&["from"], &[])), some("RANGE", Range)], "Clients whose PURGE requests remove what is kept for their URL.", "purge from 10.0.0.0/8")
        .often()
        .default("nobody"),
];
