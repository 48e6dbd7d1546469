//! Golden files in one piece: the input, a marker, what comes of it.
//! `BLESS=1 cargo test -p doorman-config --test golden` writes the results anew; each one is then read
//! before it is committed.
//!
//! A section begins with a line such as `--- file NAME`, `--- env NAME VALUE`, `--- secret NAME VALUE` or
//! `--- expect`; what stands above the first is `doorman.conf`.

#[path = "describe/guard.rs"]
mod guard;

use std::fmt::Write as _;
use std::path::PathBuf;

use doorman_config::{
    Announcer, Cache, CacheQuery, CacheTtl, CodingLevels, Compress, Condition, Config, Delivery,
    EarlyData, Ending, FastCgi, ImagePreset, ImageQuality, Loaded, MemorySource, Ocsp, Optimize,
    OptimizeText, Outlier, Passive, QueryName, Route, RouteOptions, Setting, SourceMap, Spanned,
    StoreDisk, TlsSource, Upstream, UpstreamProtocol, Waf, WafLog, load, render,
};

/// Writing to a `String` cannot fail.
const TAKES_ALL: &str = "a String takes all";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

struct Golden {
    name: String,
    input: String,
    source: MemorySource,
    expect: String,
}

fn goldens() -> Vec<Golden> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder())
        .expect("the folder is part of the crate")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    paths.iter().map(|path| golden(path)).collect()
}

fn golden(path: &std::path::Path) -> Golden {
    let text = std::fs::read_to_string(path).expect("readable");
    let (input, expect) = match text.split_once("--- expect\n") {
        Some((input, expect)) => (input.to_owned(), expect.to_owned()),
        None => (text, String::new()),
    };
    let mut source = MemorySource::new();
    let (mut name, mut body) = ("doorman.conf".to_owned(), String::new());
    for line in input.split_inclusive('\n') {
        let Some(section) = line.strip_prefix("--- ") else {
            body.push_str(line);
            continue;
        };
        let mut words = section.trim_end().splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("file"), Some(next), None) => {
                source = source
                    .file(std::mem::replace(&mut name, next.to_owned()), std::mem::take(&mut body));
            }
            (Some("env"), Some(name), Some(value)) => source = source.variable(name, value),
            (Some("secret"), Some(name), Some(value)) => source = source.with_secret(name, value),
            _ => panic!("{}: what is `{section}`?", path.display()),
        }
    }
    source = source.file(name, body);
    let name = path.file_stem().expect("has a name").to_string_lossy().into_owned();
    Golden { name, input, source, expect }
}

fn result(loaded: &Loaded) -> String {
    let mut text = String::new();
    for diagnostic in &loaded.diagnostics {
        text.push_str(&render::short(diagnostic, &loaded.sources));
        text.push('\n');
    }
    if let Some(config) = &loaded.config {
        describe(config, &loaded.sources, &mut text);
    }
    text
}

#[test]
fn every_golden_file_gives_what_it_says() {
    let bless = std::env::var_os("BLESS").is_some();
    let goldens = goldens();
    assert!(goldens.len() >= 60, "{} golden files", goldens.len());
    let mut wrong = Vec::new();
    for golden in &goldens {
        let found = result(&load(&golden.source, "doorman.conf"));
        if bless {
            let path = folder().join(format!("{}.txt", golden.name));
            std::fs::write(path, format!("{}--- expect\n{found}", golden.input)).expect("writable");
        } else if found != golden.expect {
            wrong.push(format!(
                "== {}\n-- expected\n{}-- found\n{found}",
                golden.name, golden.expect
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn describe_balance(upstream: &Upstream, text: &mut String) {
    for server in &upstream.servers {
        let max = (&server.max_requests, &server.max_connections);
        let max = (max.0.as_ref().map(|n| n.value), max.1.as_ref().map(|n| n.value));
        let zone = server.zone.as_ref().map(|zone| zone.value.as_str());
        let part = (server.tier.value, server.role, server.drain, zone, max);
        if part != (0, doorman_config::ServerRole::Regular, false, None, (None, None)) {
            write!(text, " {part:?}").expect(TAKES_ALL);
        }
    }
    if upstream.balance.span.is_some() {
        let key = upstream.balancing.key.as_ref().map(|key| key.value.to_string());
        let (word, mitigate) = (upstream.balance.value.word(), upstream.balancing.mitigate);
        write!(text, " balance {word} {key:?} {mitigate}").expect(TAKES_ALL);
    }
}

fn describe_resilience(upstream: &Upstream, text: &mut String) {
    use doorman_config::{Breaker, Park, Retry, RetryRules};

    match &upstream.retry {
        None => {}
        Some(Retry::Off(_)) => text.push_str(" retry off"),
        Some(Retry::On(rules)) => {
            let RetryRules { tries, on, budget, try_timeout, unsafe_too, keep, .. } = rules;
            let try_timeout = try_timeout.as_ref().map(|time| time.value);
            let (budget, keep) = (budget.value, keep.value);
            write!(text, " retry {} {}", tries.value, failures(on)).expect(TAKES_ALL);
            let unsafe_too = if unsafe_too.is_some() { " unsafe" } else { "" };
            write!(text, " budget {budget} {try_timeout:?} keep {keep}{unsafe_too}")
                .expect(TAKES_ALL);
        }
    }
    if let Some(breaker) = &upstream.breaker {
        let Breaker { errors, min, within, on, open, trials, in_flight, .. } = breaker;
        let on = on.as_ref().map(|on| failures(&on.value));
        let in_flight = in_flight.as_ref().map(|most| most.value);
        let (errors, min, within) = (errors.value, min.value, within.value);
        let (open, trials) = (open.value, trials.value);
        write!(text, " breaker {errors:?} {min} {within:?} {on:?} {open:?} {trials} {in_flight:?}")
            .expect(TAKES_ALL);
    }
    if let Some(queue) = &upstream.queue {
        write!(text, " queue {} {:?}", queue.requests.value, queue.timeout.value).expect(TAKES_ALL);
    }
    if let Some(park) = &upstream.park {
        let Park { timeout, requests, bytes } = park;
        let (timeout, requests, bytes) = (timeout.value, requests.value, bytes.value);
        write!(text, " park {timeout:?} {requests} {bytes}").expect(TAKES_ALL);
    }
}

fn failures(on: &doorman_config::Failures) -> String {
    let words = [
        (on.connect, "connect-error"),
        (on.timeout, "timeout"),
        (on.reset, "reset"),
        (on.malformed, "malformed"),
    ];
    let words = words.into_iter().filter(|(is_on, _)| *is_on).map(|(_, word)| word.to_owned());
    let statuses = on.statuses.iter().map(|range| format!("{}-{}", range.first, range.last));
    words.chain(statuses).collect::<Vec<_>>().join(",")
}

/// What a configuration comes to, in few words: only what was written or worked out, no defaults.
fn describe(config: &Config, sources: &SourceMap, text: &mut String) {
    let global = &config.global;
    if let Some(admin) = &global.admin {
        writeln!(
            text,
            "admin {}{}",
            admin.value.address,
            if admin.value.read_only { " read-only" } else { "" }
        )
        .expect(TAKES_ALL);
    }
    if let Some(metrics) = &global.metrics {
        writeln!(text, "metrics {}", metrics.value).expect(TAKES_ALL);
    }
    if global.access_log.span.is_some() {
        writeln!(text, "access log {:?}", global.access_log.value).expect(TAKES_ALL);
    }
    if global.error_log.span.is_some() {
        writeln!(text, "error log {:?}", global.error_log.value).expect(TAKES_ALL);
    }
    if global.waf_log.span.is_some() {
        let log: &WafLog = &global.waf_log.value;
        writeln!(text, "waf log {log:?}").expect(TAKES_ALL);
    }
    if global.background_threads.span.is_some() {
        let threads = global.background_threads.value;
        writeln!(text, "background threads {threads:?}").expect(TAKES_ALL);
    }
    if let Some(email) = &global.email {
        writeln!(text, "email {}", email.value).expect(TAKES_ALL);
    }
    for acme in &global.acme {
        writeln!(
            text,
            "{:?}",
            (
                &acme.directory.value,
                &acme.challenges.value,
                acme.key.value,
                acme.ca.as_ref().map(|ca| &ca.value),
                acme.profile.as_ref().map(|p| &p.value),
                acme.eab.as_ref().map(|eab| &eab.value),
                acme.dns.as_ref().map(|dns| &dns.value)
            )
        )
        .expect(TAKES_ALL);
    }
    guard::describe_overload(global, text);
    if let Some(user) = &global.user {
        writeln!(text, "user {:?}", user.value).expect(TAKES_ALL);
    }
    if global.harden.span.is_some() {
        writeln!(text, "harden {}", global.harden.value.word()).expect(TAKES_ALL);
    }
    if let Some(geo) = &global.geo {
        writeln!(text, "geo {}", guard::plain(&format!("{geo:?}"))).expect(TAKES_ALL);
    }
    for listener in &config.listeners {
        let protocols: Vec<&str> =
            listener.protocols.iter().map(|protocol| protocol.word()).collect();
        writeln!(
            text,
            "listen {} {:?} {}",
            listener.address,
            listener.transport,
            protocols.join(" ")
        )
        .expect(TAKES_ALL);
        if listener.desync.span.is_some() {
            writeln!(text, "  desync {}", listener.desync.value.word()).expect(TAKES_ALL);
        }
        for announcer in &listener.proxy_protocol {
            match announcer {
                Announcer::Range(range) => writeln!(text, "  proxy-protocol from {range}"),
                Announcer::Unix => writeln!(text, "  proxy-protocol from unix"),
            }
            .expect(TAKES_ALL);
        }
    }
    for upstream in &config.upstreams {
        write!(text, "upstream {}", upstream.name.value).expect(TAKES_ALL);
        for server in &upstream.servers {
            write!(text, " [{} x{}]", server.address.value, server.weight.value).expect(TAKES_ALL);
        }
        describe_balance(upstream, text);
        if upstream.protocol.span.is_some() {
            write!(text, " {}", upstream.protocol.value.word()).expect(TAKES_ALL);
        }
        if upstream.protocol.value == UpstreamProtocol::FastCgi {
            let FastCgi { root, index, split_path, params } = &upstream.fastcgi;
            for (name, value) in [("root", root), ("index", index), ("split", split_path)] {
                if let Some(value) = value {
                    write!(text, " {name} {}", value.value).expect(TAKES_ALL);
                }
            }
            for param in params {
                write!(text, " {}={}", param.value.0, param.value.1).expect(TAKES_ALL);
            }
        }
        if let Some(sticky) = &upstream.sticky {
            write!(text, " sticky {:?} for {:?}", sticky.by, sticky.ttl.value).expect(TAKES_ALL);
            write!(text, ", down {:?}", sticky.when_down.value).expect(TAKES_ALL);
        }
        if let Some(version) = &upstream.proxy_protocol {
            write!(text, " proxy-protocol {:?}", version.value).expect(TAKES_ALL);
        }
        if let Some(source) = &upstream.source {
            write!(text, " source {}", source.value).expect(TAKES_ALL);
        }
        describe_resilience(upstream, text);
        writeln!(text).expect(TAKES_ALL);
        describe_health(upstream, text);
    }
    describe_stores(config, text);
    describe_relays(config, text);
    for site in &config.sites {
        for address in &site.addresses {
            let address = &address.value;
            write!(text, "site {:?} {} {}", address.scheme, address.host, address.port)
                .expect(TAKES_ALL);
            match address.redirect_from {
                Some(port) => writeln!(text, " redirect from {port}").expect(TAKES_ALL),
                None => writeln!(text).expect(TAKES_ALL),
            }
        }
        if let Some(policy) = site.tls.as_ref().map(|tls| &tls.options.policy.value)
            && policy.name != "intermediate"
        {
            writeln!(text, "  policy {policy:?}").expect(TAKES_ALL);
        }
        if let Some(tls) = &site.tls
            && tls.options.ocsp.value != Ocsp::On
        {
            writeln!(text, "  ocsp {:?}", tls.options.ocsp.value).expect(TAKES_ALL);
        }
        if let Some(tls) = &site.tls
            && tls.options.early_data.value != EarlyData::Off
        {
            writeln!(text, "  early data {:?}", tls.options.early_data.value).expect(TAKES_ALL);
        }
        if let Some(asked) = site.tls.as_ref().and_then(|tls| tls.options.client_auth.as_ref()) {
            let asked = &asked.value;
            let (ca, crl) = (&asked.ca.value, asked.crl.as_ref().map(|crl| &crl.value));
            writeln!(text, "  clients {:?} {ca:?} {crl:?}", asked.mode).expect(TAKES_ALL);
        }
        if let Some(tls) = &site.tls {
            match &tls.source.value {
                TlsSource::Auto => match &tls.options.on_demand {
                    Some(ask) => writeln!(text, "  tls auto, asking {}", ask.value),
                    None => writeln!(text, "  tls auto"),
                }
                .expect(TAKES_ALL),
                TlsSource::Internal => {
                    writeln!(text, "  tls internal, {:?}", tls.options.min.value).expect(TAKES_ALL)
                }
                TlsSource::Files(files) => {
                    for file in files {
                        let file = &file.value;
                        let (certificate, key) = (&file.certificate.value, &file.key.value);
                        writeln!(text, "  tls {} {}", certificate.display(), key.display())
                            .expect(TAKES_ALL);
                    }
                }
            }
        }
        for route in &site.routes {
            describe_route(config, route, sources, text);
        }
    }
}

fn describe_stores(config: &Config, text: &mut String) {
    for store in &config.stores {
        let (memory, max) = (store.memory.value, store.max_object.value);
        write!(text, "store {} {memory} objects {max}", store.name.value).expect(TAKES_ALL);
        if let Some(disk) = &store.disk {
            let StoreDisk { bytes, dir } = &disk.value;
            write!(text, " disk {bytes} {}", dir.display()).expect(TAKES_ALL);
        }
        writeln!(text, " {:?}", store.evict.value).expect(TAKES_ALL);
    }
}

fn describe_cache(config: &Config, cache: &Cache, text: &mut String) {
    let store = config.store(cache.store.value).expect("its own id");
    let max = cache.max_object.value;
    write!(text, "    cache {} objects {max}", store.name.value).expect(TAKES_ALL);
    for ttl in &cache.ttls {
        let CacheTtl { time, statuses } = &ttl.value;
        write!(text, " ttl {time:?} {statuses:?}").expect(TAKES_ALL);
    }
    let times = [("force", cache.force), ("stale", cache.stale), ("error", cache.stale_if_error)];
    for (word, time) in times {
        if let Some(time) = time {
            write!(text, " {word} {:?}", time.value).expect(TAKES_ALL);
        }
    }
    writeln!(text).expect(TAKES_ALL);
    for part in &cache.key {
        writeln!(text, "      key {:?}", part.value).expect(TAKES_ALL);
    }
    for field in &cache.vary_ignore {
        writeln!(text, "      vary ignore {}", field.value).expect(TAKES_ALL);
    }
    for condition in &cache.bypass {
        writeln!(text, "      bypass {:?}", condition.value).expect(TAKES_ALL);
    }
    let names = |names: &[Spanned<QueryName>]| {
        names.iter().map(|name| format!("{:?}", name.value)).collect::<Vec<_>>().join(" ")
    };
    match &cache.query {
        CacheQuery::Whole => {}
        CacheQuery::Nothing => text.push_str("      query nothing\n"),
        CacheQuery::Ignore(all) => {
            writeln!(text, "      query ignore {}", names(all)).expect(TAKES_ALL)
        }
        CacheQuery::Only(all) => {
            writeln!(text, "      query only {}", names(all)).expect(TAKES_ALL)
        }
    }
    let written = [
        ("sort", written(&cache.sort_query)),
        ("uses", written(&cache.min_uses)),
        ("methods", written(&cache.methods)),
        ("lock", written(&cache.lock)),
        ("slice", written(&cache.slice)),
        ("tags", written(&cache.tags)),
        ("status", written(&cache.status_header)),
        ("etag", written(&cache.etag)),
        ("client", written(&cache.client_control)),
        ("cookies", written(&cache.cookies)),
        ("set-cookie", written(&cache.set_cookie)),
        ("targeted", written(&cache.targeted)),
    ];
    for (word, value) in written {
        if let Some(value) = value {
            writeln!(text, "      {word} {value}").expect(TAKES_ALL);
        }
    }
    for range in &cache.purge {
        writeln!(text, "      purge from {}", range.value).expect(TAKES_ALL);
    }
}

fn describe_compress(compress: &Compress, text: &mut String) {
    write!(text, "    compress").expect(TAKES_ALL);
    for levels in &compress.codings {
        let CodingLevels { coding, first, kept } = levels.value;
        write!(text, " {coding:?} {first}/{kept}").expect(TAKES_ALL);
    }
    writeln!(text, " min {}", compress.min.value).expect(TAKES_ALL);
    let written = [
        ("types", written(&compress.types)),
        ("breach", written(&compress.breach)),
        ("recode", written(&compress.recode)),
    ];
    for (word, value) in written {
        if let Some(value) = value {
            writeln!(text, "      {word} {value}").expect(TAKES_ALL);
        }
    }
}

fn describe_waf(waf: &Waf, text: &mut String) {
    let level = (waf.level.value, waf.detect_level.map(|level| level.value));
    let mode = (waf.mode.value, waf.on_error());
    writeln!(text, "    waf {:?} {level:?} {mode:?}", waf.base.value).expect(TAKES_ALL);
    let scores = [waf.threshold, waf.outbound_threshold].map(|score| score.map(|n| n.value));
    if scores != [None; 2] {
        writeln!(text, "      thresholds {scores:?}").expect(TAKES_ALL);
    }
    let written = [
        ("early-blocking", written(&waf.early_blocking)),
        ("response", written(&waf.response)),
        ("body", written(&waf.body_max)),
        ("over-limit", written(&waf.over_limit)),
    ];
    for (word, value) in written {
        if let Some(value) = value {
            writeln!(text, "      {word} {value}").expect(TAKES_ALL);
        }
    }
    for file in &waf.rules {
        writeln!(text, "      rules {}", file.value.display()).expect(TAKES_ALL);
    }
    if !waf.methods.is_empty() {
        let methods: Vec<&str> = waf.methods.iter().map(|method| method.value.as_str()).collect();
        writeln!(text, "      methods {}", methods.join(" ")).expect(TAKES_ALL);
    }
    for one in &waf.exclusions {
        let target = one.target.as_ref().map(|target| &target.value);
        let path = one.path.as_ref().map(|path| path.value.to_string());
        let methods: Vec<&str> = one.methods.iter().map(|method| method.value.as_str()).collect();
        let what = (&one.rules, target, path, methods);
        writeln!(text, "      exclude {what:?} ({})", one.written).expect(TAKES_ALL);
    }
}

fn describe_optimize(optimize: &Optimize, text: &mut String) {
    if let Some(images) = &optimize.images {
        let quality = |quality: &ImageQuality| {
            let ImageQuality { avif, webp, jpeg } = quality;
            format!("quality {avif}/{webp}/{jpeg}")
        };
        let formats = images.formats.value.iter().map(|format| format.word());
        write!(text, "    optimize images {}", formats.collect::<Vec<_>>().join(" "))
            .expect(TAKES_ALL);
        let bounds = (images.max_pixels.value, images.max_size.value);
        writeln!(text, " {} {bounds:?}", quality(&images.quality)).expect(TAKES_ALL);
        let widths: Vec<u32> = images.widths.iter().map(|width| width.value).collect();
        if images.resize.is_some() || images.hints.value || !widths.is_empty() {
            let resize = images.resize.as_ref().map(|name| name.value.as_str());
            writeln!(text, "      resize {resize:?} hints {} {widths:?}", images.hints.value)
                .expect(TAKES_ALL);
        }
        for preset in &images.presets {
            let ImagePreset { name, width, height, quality: own } = &preset.value;
            writeln!(text, "      preset {name} {width:?} {height:?} {}", quality(own))
                .expect(TAKES_ALL);
        }
    }
    for kind in &optimize.texts {
        let OptimizeText { kind, max_size } = kind.value;
        writeln!(text, "    optimize {} max {max_size}", kind.word()).expect(TAKES_ALL);
    }
}

/// The value of a setting that was written.
fn written<T: std::fmt::Debug>(setting: &Setting<T>) -> Option<String> {
    setting.span.map(|_| format!("{:?}", setting.value))
}

fn describe_relays(config: &Config, text: &mut String) {
    let name = |id| config.upstream(id).expect("its own id").name.value.as_str();
    for relay in &config.relays {
        write!(text, "relay {} {}", relay.protocol.value.word(), relay.address.value)
            .expect(TAKES_ALL);
        if let Some(target) = &relay.target {
            write!(text, " -> {}", name(target.value)).expect(TAKES_ALL);
        }
        writeln!(text, " connections {}", relay.connections.value).expect(TAKES_ALL);
        for named in &relay.names {
            let hosts: Vec<String> = named.value.hosts.iter().map(ToString::to_string).collect();
            writeln!(text, "  sni {} -> {}", hosts.join(" "), name(named.value.upstream))
                .expect(TAKES_ALL);
        }
        if let Some(version) = &relay.proxy_protocol {
            writeln!(text, "  proxy-protocol {:?}", version.value).expect(TAKES_ALL);
        }
        for (word, ranges) in [("allow", &relay.allow), ("deny", &relay.deny)] {
            for range in ranges {
                writeln!(text, "  {word} {}", range.value).expect(TAKES_ALL);
            }
        }
        for (word, time) in [("connect", &relay.connect), ("idle", &relay.idle)] {
            if let Some(time) = time {
                writeln!(text, "  timeout {word} {:?}", time.value).expect(TAKES_ALL);
            }
        }
    }
}

fn describe_route(config: &Config, route: &Route, sources: &SourceMap, text: &mut String) {
    write!(text, "  route").expect(TAKES_ALL);
    for method in &route.methods {
        write!(text, " {}", method.value).expect(TAKES_ALL);
    }
    write!(text, " {}", route.path.value).expect(TAKES_ALL);
    for condition in &route.conditions {
        match &condition.value {
            Condition::Client(ranges) => {
                let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
                write!(text, " when client {}", ranges.join(" ")).expect(TAKES_ALL);
            }
            other => write!(text, " when {other:?}").expect(TAKES_ALL),
        }
    }
    match &route.ending.value {
        Ending::Proxy(targets) => {
            write!(text, " -> proxy").expect(TAKES_ALL);
            for target in targets {
                let upstream = config.upstream(target.value.upstream).expect("its own id");
                write!(text, " {} {}", upstream.name.value, target.value.share).expect(TAKES_ALL);
            }
        }
        Ending::Redirect(redirect) => {
            write!(text, " -> redirect {} {}", redirect.to.value, redirect.status)
                .expect(TAKES_ALL);
        }
        Ending::Respond(respond) => {
            write!(text, " -> respond {}", respond.status).expect(TAKES_ALL);
            if let Some(body) = &respond.body {
                write!(text, " {:?}", body.value.to_string()).expect(TAKES_ALL);
            }
        }
    }
    writeln!(text, " ({})", sources.place(route.span)).expect(TAKES_ALL);
    describe_options(&route.options, text);
    if let Some(cache) = &route.options.cache {
        describe_cache(config, cache, text);
    }
    if let Some(compress) = &route.options.compress {
        describe_compress(compress, text);
    }
    if let Some(decompress) = &route.options.decompress {
        let (ratio, max) = (decompress.ratio.value, decompress.max.value);
        writeln!(text, "    decompress ratio {ratio} max {max}").expect(TAKES_ALL);
    }
    describe_optimize(&route.options.optimize, text);
    if let Some(waf) = &route.options.waf {
        describe_waf(waf, text);
    }
    guard::describe(&route.options.guard, text);
}

fn describe_options(options: &RouteOptions, text: &mut String) {
    if let Some(prefix) = &options.strip_prefix {
        writeln!(text, "    strip-prefix {}", prefix.value).expect(TAKES_ALL);
    }
    for rewrite in &options.rewrites {
        let rewrite = &rewrite.value;
        writeln!(
            text,
            "    rewrite {:?} {} {}",
            rewrite.part, rewrite.from.value, rewrite.to.value
        )
        .expect(TAKES_ALL);
    }
    if options.host.span.is_some() {
        writeln!(text, "    host {:?}", options.host.value).expect(TAKES_ALL);
    }
    for (side, edits) in
        [("request", &options.request_headers), ("response", &options.response_headers)]
    {
        for edit in edits {
            writeln!(text, "    {side} {:?}", edit.value).expect(TAKES_ALL);
        }
    }
    if options.forwarded.span.is_some() {
        writeln!(text, "    forwarded {:?}", options.forwarded.value).expect(TAKES_ALL);
    }
    if options.rewrite_location.span.is_some() {
        writeln!(text, "    location {:?}", options.rewrite_location.value).expect(TAKES_ALL);
    }
    for cookie in &options.rewrite_cookies {
        writeln!(text, "    cookie {:?}", cookie.value).expect(TAKES_ALL);
    }
    for page in &options.error_pages {
        writeln!(text, "    error page {:?}", page.value.statuses).expect(TAKES_ALL);
    }
    if let Some(max) = options.body_max {
        writeln!(text, "    body max {}", max.value).expect(TAKES_ALL);
    }
    for (side, buffering) in
        [("request", options.buffer_request), ("response", options.buffer_response)]
    {
        if buffering.span.is_some() {
            writeln!(text, "    buffer {side} {:?}", buffering.value).expect(TAKES_ALL);
        }
    }
    if let Some(share) = &options.sticky_share {
        writeln!(text, "    sticky-share {:?}", share.value).expect(TAKES_ALL);
    }
    if let Some(mirror) = &options.mirror {
        let upstream = mirror.upstream.value.0;
        let (body, most, time) =
            (mirror.body.value, mirror.concurrency.value, mirror.timeout.value);
        let marker = &mirror.marker.value;
        writeln!(text, "    mirror #{upstream} {} {body} {most} {time:?} {marker:?}", mirror.share)
            .expect(TAKES_ALL);
    }
    describe_delivery(&options.delivery, text);
    let timeouts = &options.timeouts;
    let named = [
        ("connect", timeouts.connect),
        ("head", timeouts.head),
        ("response", timeouts.response),
        ("idle", timeouts.idle),
    ];
    for (name, timeout) in named {
        if let Some(timeout) = timeout {
            writeln!(text, "    timeout {name} {:?}", timeout.value).expect(TAKES_ALL);
        }
    }
}

fn describe_delivery(delivery: &Delivery, text: &mut String) {
    let switches = [
        ("early-hints", &delivery.early_hints),
        ("server-timing", &delivery.server_timing),
        ("sniff-guard", &delivery.sniff_guard),
    ];
    for (name, switch) in switches {
        if switch.span.is_some() {
            writeln!(text, "    {name} {}", switch.value).expect(TAKES_ALL);
        }
    }
    if let Some(time) = &delivery.immutable {
        writeln!(text, "    immutable {:?}", time.value).expect(TAKES_ALL);
    }
}

fn describe_health(upstream: &Upstream, text: &mut String) {
    if let Some(passive) = &upstream.passive {
        let Passive { fails, eject, on } = &passive.value;
        let on: Vec<_> = on.iter().map(|sign| sign.value).collect();
        writeln!(text, "  passive {:?} {:?} {on:?}", fails.value, eject.value).expect(TAKES_ALL);
    }
    if let Some(outlier) = &upstream.outlier {
        let Outlier { errors, latency, every, eject, at_most, requests_min } = &outlier.value;
        let (what, times) = ((errors.value, latency.value), (every.value, eject.value));
        let bounds = (at_most.value, requests_min.value);
        writeln!(text, "  outlier {what:?} {times:?} {bounds:?}").expect(TAKES_ALL);
    }
    if let Some(time) = &upstream.slow_start {
        writeln!(text, "  slow-start {:?}", time.value).expect(TAKES_ALL);
    }
    if upstream.fail_open.is_some() {
        writeln!(text, "  fail-open").expect(TAKES_ALL);
    }
    for check in &upstream.health {
        let times = (check.every.value, check.while_healthy.map(|t| t.value), check.timeout.value);
        let counts = (check.fall.value, check.rise.value, check.initial.value);
        let port = check.port.map(|port| port.value);
        let host = check.host.as_ref().map(|host| &host.value);
        writeln!(text, "  health {:?} {times:?} {counts:?} {port:?} {host:?}", check.kind)
            .expect(TAKES_ALL);
        let headers: Vec<_> = check.headers.iter().map(|header| &header.value).collect();
        let fields: Vec<_> = check.fields.iter().map(|field| &field.value).collect();
        let statuses: Vec<_> =
            check.statuses.iter().map(|s| (s.value.first, s.value.last)).collect();
        let body: Vec<_> = check.body.iter().map(|body| &body.value).collect();
        let sides = (headers, statuses, body, fields);
        writeln!(text, "    {sides:?}").expect(TAKES_ALL);
    }
}
