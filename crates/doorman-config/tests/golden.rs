//! Golden files in one piece: the input, a marker, what comes of it.
//! `BLESS=1 cargo test -p doorman-config --test golden` writes the results anew; each one is then read
//! before it is committed.
//!
//! A section begins with a line such as `--- file NAME`, `--- env NAME VALUE`, `--- secret NAME VALUE` or
//! `--- expect`; what stands above the first is `doorman.conf`.

use std::fmt::Write as _;
use std::path::PathBuf;

use doorman_config::{
    Condition, Config, Ending, Loaded, MemorySource, Route, RouteOptions, SourceMap, TlsSource,
    load, render,
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
    }
    for upstream in &config.upstreams {
        write!(text, "upstream {}", upstream.name.value).expect(TAKES_ALL);
        for server in &upstream.servers {
            write!(text, " [{} x{}]", server.address.value, server.weight.value).expect(TAKES_ALL);
        }
        writeln!(text).expect(TAKES_ALL);
    }
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
        if let Some(tls) = &site.tls {
            match &tls.source.value {
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
