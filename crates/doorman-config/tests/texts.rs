//! What is made from the table and what explains the codes, checked against the loader.

use std::collections::BTreeSet;
use std::path::Path;

use doorman_config::render::Colour;
use doorman_config::table::{self, Within};
use doorman_config::{
    MemorySource, completion_words, explain_code, explanations, help_directive, load, parse_text,
    reference_markdown, render, schema, to_json,
};
use serde_json::Value as Json;

fn source(text: &str) -> (MemorySource, &'static str) {
    let path = if text.starts_with("{\"") { "doorman.json" } else { "doorman.conf" };
    let source = MemorySource::new()
        .file(path, text)
        .file("sites/a.conf", "site http://included.test { respond 200 }")
        .variable("GREETING", "hello")
        .with_secret("jwt", "0123456789abcdef0123456789abcdef")
        .with_secret("oidc", "hush");
    (source, path)
}

fn codes(text: &str) -> Vec<&'static str> {
    let (source, path) = source(text);
    load(&source, path).diagnostics.iter().map(|fault| fault.code).collect()
}

#[test]
fn wrong_examples_have_their_fault_and_right_ones_none() {
    for explanation in explanations() {
        let wrong = codes(explanation.wrong);
        assert!(wrong.contains(&explanation.code), "{}: {wrong:?}", explanation.code);
        assert_eq!(codes(explanation.right), [""; 0], "{} right", explanation.code);
        let text = explain_code(&explanation.code.to_lowercase()).expect("it is in the table");
        assert!(
            text.starts_with(explanation.code)
                && text.contains("Wrong:")
                && text.contains("Right:")
        );
    }
    assert_eq!(explain_code("E9999"), None);
}

/// All texts in the sources that look like codes.
fn codes_in(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "explain") {
                codes_in(&path, found);
            }
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("readable");
        for quoted in text.split('"').skip(1) {
            let digits =
                quoted.get(1..).is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
            if quoted.len() == 5 && quoted.starts_with(['E', 'W']) && digits {
                found.insert(quoted.to_owned());
            }
        }
    }
}

#[test]
fn every_code_is_explained_and_every_explanation_is_a_code() {
    let mut used = BTreeSet::new();
    codes_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut used);
    let explained: Vec<String> = explanations().map(|known| known.code.to_owned()).collect();
    assert_eq!(explained.len(), explained.iter().collect::<BTreeSet<_>>().len(), "one twice");
    assert_eq!(used, explained.into_iter().collect());
}

/// A whole file around the example of a directive.
fn around(within: Within, example: &str) -> String {
    let site = |inner: &str| {
        format!("policy public {{ host upstream }}\nsite http://a.test {{ {inner} }}\n")
    };
    let options =
        |inner: &str| site(&format!("use public; {inner}; route /last {{ respond 200 }}"));
    let cached = |inner: &str| {
        format!("store s {{ memory 512MiB }}\n{}", options(&format!("cache s; {inner}")))
    };
    let upstream = |inner: &str| {
        format!(
            "upstream u {{ server https://10.0.0.1:443; {inner} }}\nsite http://a.test {{ proxy u }}\n"
        )
    };
    // Countries and networks need their databases.
    let guarded =
        |inner: &str| format!("global {{ geo country c.mmdb asn a.mmdb }}\n{}", options(inner));
    match within {
        Within::Top => example.to_owned(),
        Within::Global => format!("global {{ {example} }}"),
        Within::Admin => format!("global {{ admin 127.0.0.1:9 {{ {example} }} }}"),
        Within::Acme => format!("global {{ acme https://ca.test/dir {{ {example} }} }}"),
        Within::AcmeDns if example.starts_with("key") => format!(
            "global {{ acme https://ca.test/dir {{ dns rfc2136 127.0.0.1 {{ {example} }} }} }}"
        ),
        Within::AcmeDns => {
            format!("global {{ acme https://ca.test/dir {{ dns exec hook {{ {example} }} }} }}")
        }
        Within::Limits => format!("global {{ limits {{ {example} }} }}"),
        Within::Timeouts => format!("global {{ timeouts {{ {example} }} }}"),
        Within::TlsPolicy => format!("global {{ tls-policy p {{ {example} }} }}"),
        Within::User => format!("global {{ user doorman {{ {example} }} }}"),
        Within::Listen => {
            format!("listen 127.0.0.1:443 {{ {example} }}\nsite localhost {{ respond 200 }}")
        }
        Within::Relay if example.starts_with("proxy ") => format!("relay :9 {{ {example} }}"),
        Within::Relay if example.starts_with("timeout") => {
            "relay :9 { proxy 10.0.0.2:80; timeout idle 1m }".to_owned()
        }
        Within::Relay => format!("relay :9 {{ proxy 10.0.0.2:80; {example} }}"),
        Within::Upstream
            if ["root", "index", "split-path", "param"]
                .iter()
                .any(|word| example.starts_with(word)) =>
        {
            format!("upstream u {{ server 10.0.0.2:9000; protocol fastcgi; {example} }}")
        }
        Within::Upstream if example.starts_with("resolve") => {
            format!("upstream u {{ server app.internal:80; {example} }}")
        }
        Within::Upstream if example.starts_with("queue") => {
            format!("upstream u {{ server 10.0.0.2:80 max-connections 9; {example} }}")
        }
        Within::Upstream => upstream(example),
        Within::Retry if example.starts_with("on ") => {
            upstream(&format!("retry 1 {{ {example} }}"))
        }
        Within::Retry => upstream(&format!("retry 1 on 503 {{ {example} }}")),
        Within::Breaker => upstream(&format!("breaker {{ {example} }}")),
        Within::Queue => format!(
            "upstream u {{ server 10.0.0.2:80 max-connections 9; queue 100 {{ {example} }} }}"
        ),
        Within::Park => upstream(&format!("park 30s {{ {example} }}")),
        Within::Server => format!("upstream u {{ server 10.0.0.2:80 {{ {example} }} }}"),
        Within::Sticky if example.starts_with("separator") => {
            upstream(&format!("sticky app-cookie sid {{ {example} }}"))
        }
        Within::Sticky
            if ["lookup", "expire", "entries"].iter().any(|w| example.starts_with(w)) =>
        {
            upstream(&format!("sticky learn cookie sid {{ {example} }}"))
        }
        Within::Sticky => upstream(&format!("sticky cookie dm {{ {example} }}")),
        Within::Discover => upstream(&format!("discover dns app.internal 80 {{ {example} }}")),
        Within::Pool => upstream(&format!("pool {{ {example} }}")),
        Within::Passive => upstream(&format!("passive {{ {example} }}")),
        Within::Outlier => upstream(&format!("outlier {{ {example} }}")),
        Within::Health => upstream(&format!("health GET /x {{ {example} }}")),
        Within::UpstreamTls if example.starts_with("cert") => {
            upstream(&format!("tls {{ {example}; key proxy.key }}"))
        }
        Within::UpstreamTls if example.starts_with("key") => {
            upstream(&format!("tls {{ {example}; cert proxy.pem }}"))
        }
        Within::UpstreamTls => upstream(&format!("tls {{ {example} }}")),
        Within::Policy => format!("policy public {{ host upstream }}\npolicy p {{ {example} }}"),
        Within::Site if example.starts_with("tls") => {
            format!("site a.example.com {{ {example}; respond 200 }}")
        }
        Within::Site | Within::Route if example == "mtls" => {
            let site = "site localhost { tls internal { client-auth optional ca c.pem }";
            format!("{site}; route * {{ {example}; respond 200 }} }}")
        }
        Within::Site => options(example),
        Within::SiteTls if example.starts_with("key") => {
            format!("site a.example.com {{ tls cert a.pem {{ {example} }}; respond 200 }}")
        }
        Within::ClientAuth if example.starts_with("ca") => {
            format!(
                "site localhost {{ tls internal {{ client-auth require {{ {example} }} }}; respond 200 }}"
            )
        }
        Within::ClientAuth => {
            format!(
                "site localhost {{ tls internal {{ client-auth require {{ ca c.pem; {example} }} }}; respond 200 }}"
            )
        }
        Within::SiteTls if example.starts_with("on-demand") => {
            format!("site *.a.example.com {{ tls auto {{ {example} }}; respond 200 }}")
        }
        Within::SiteTls => format!("site localhost {{ tls {{ {example} }}; respond 200 }}"),
        Within::Route => {
            let ends =
                ["proxy", "redirect", "respond"].iter().any(|word| example.starts_with(word));
            let ending = if ends { "" } else { "respond 200" };
            options(&format!("route /x {{ use public; {example}; {ending} }}"))
        }
        Within::Proxy => site(&format!("proxy 127.0.0.1:1 127.0.0.1:2 {{ {example} }}")),
        Within::Body => options(&format!("body {{ {example} }}")),
        Within::Buffer => options(&format!("buffer {{ {example} }}")),
        Within::Mirror => options(&format!("mirror 127.0.0.1:3001 {{ {example} }}")),
        Within::Store => format!(
            "store s {{ disk 1GiB /var/cache/s; {} }}",
            example.replace("disk 20GiB /var/cache/doorman", "")
        ),
        Within::Cache => {
            format!("store s {{ memory 512MiB }}\n{}", options(&format!("cache s {{ {example} }}")))
        }
        Within::Compress => options(&format!("compress {{ {example} }}")),
        Within::Decompress => options(&format!("decompress {{ {example} }}")),
        Within::Optimize => {
            // Each size needs a way to ask for it, and each way a size.
            let more = match example.split(' ').next() {
                Some("resize" | "hints") => "widths 320",
                Some("widths" | "preset") => "resize w",
                _ => "",
            };
            cached(&format!("optimize images {{ {example}; {more} }}"))
        }
        Within::Preset => {
            cached(&format!("optimize images {{ resize w; preset p {{ {example} }} }}"))
        }
        Within::Waf => options(&format!("waf starter {{ {example} }}")),
        Within::WafExclude if example.starts_with("tag") => {
            options(&format!("waf starter {{ exclude {{ {example} }} }}"))
        }
        Within::WafExclude => options(&format!("waf starter {{ exclude 942100 {{ {example} }} }}")),
        Within::WafBody => options(&format!("waf starter {{ body {{ {example} }} }}")),
        Within::Geo => format!("global {{ geo {{ {example} }} }}"),
        Within::Allow => guarded(&format!("allow 10.0.0.0/8 {{ {example} }}")),
        Within::Deny => guarded(&format!("deny 10.6.6.0/24 {{ {example} }}")),
        Within::Limit => options(&format!("limit 100/s {{ {example} }}")),
        Within::Connections => options(&format!("connections 20 {{ {example} }}")),
        Within::Concurrency if example.starts_with("timeout") => {
            options(&format!("concurrency 20 {{ queue 5; {example} }}"))
        }
        Within::Concurrency => options(&format!("concurrency 20 {{ {example} }}")),
        Within::Throttle => options(&format!("throttle 1MiB/s {{ {example} }}")),
        Within::BasicAuth => options(&format!("basic-auth file users {{ {example} }}")),
        Within::ApiKey => options(&format!("api-key file keys {{ {example} }}")),
        Within::Jwt if example.starts_with("jwks") || example.starts_with("secret") => {
            options(&format!("jwt {{ {example} }}"))
        }
        Within::Jwt => options(&format!("jwt jwks https://id.test/keys {{ {example} }}")),
        Within::ForwardAuth => {
            options(&format!("forward-auth http://127.0.0.1:9091/verify {{ {example} }}"))
        }
        Within::Oidc if example.starts_with("client-id") => {
            options(&format!("oidc https://id.test {{ {example} }}"))
        }
        Within::Oidc => options(&format!("oidc https://id.test {{ client-id a; {example} }}")),
        Within::Cors => options(&format!("cors https://app.example.com {{ {example} }}")),
        Within::Csrf => options(&format!("csrf on {{ {example} }}")),
        Within::Challenge => options(&format!("challenge always {{ {example} }}")),
        Within::Ban => {
            let others = ["within 1m", "for 1h", "on not-found"];
            let word = |text: &str| text.split(' ').next().map(str::to_owned);
            let others = others.iter().filter(|other| word(other) != word(example));
            let others = others.fold(String::new(), |all, other| all + other + "; ");
            options(&format!("ban 10 {{ {others}{example} }}"))
        }
        Within::Overload => format!("global {{ overload {{ {example} }} }}"),
        Within::Timeout => options(&format!("timeout {{ {example} }}")),
    }
}

#[test]
fn the_example_of_every_directive_loads_wherever_it_may_stand() {
    let mut count = 0;
    for directive in table::directives() {
        for within in directive.within {
            // The included file of the example holds a site, which only fits the top level.
            let inner = *within != Within::Top;
            let example =
                directive.example.replace("sites/", if inner { "none/" } else { "sites/" });
            let text = around(*within, &example);
            let (source, path) = source(&text);
            let loaded = load(&source, path);
            let errors: Vec<_> =
                loaded.diagnostics.iter().filter(|fault| fault.is_error()).collect();
            assert!(
                errors.is_empty(),
                "{} {}\n{text}\n{errors:?}",
                directive.name,
                within.phrase()
            );
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn the_table_is_sound() {
    for directive in table::directives() {
        let name = directive.name;
        assert!(directive.example.starts_with(name), "{name}");
        assert!(directive.help.ends_with('.') && !directive.help.contains('\n'), "{name}");
        for within in directive.within {
            let same = table::allowed(*within).filter(|other| other.name == name).count();
            assert_eq!(same, 1, "{name} twice {}", within.phrase());
            assert!(table::later(name, *within).is_none(), "{name} is here and comes later");
        }
    }
    for within in Within::ALL.iter().filter(|within| **within != Within::Top) {
        let opens = table::directives().any(|directive| directive.block == Some(*within));
        assert!(opens && table::allowed(*within).count() > 0, "{}", within.phrase());
    }
}

#[test]
fn help_says_where_and_how() {
    let help = help_directive("weight").expect("a directive");
    assert!(help.contains("weight N (in `server`)") && help.contains("Default: 1"), "{help}");
    let help = help_directive("timeout").expect("a directive");
    assert!(help.contains("connect TIME") && help.contains("in `upstream`"), "{help}");
    let help = help_directive("fleet").expect("planned");
    assert!(help.contains("comes with a later version"), "{help}");
    let help = help_directive("waf").expect("a directive");
    assert!(help.contains("waf [crs|starter|DIR|off] { ... }"), "{help}");
    assert!(help.contains("on-error open|closed  What becomes"), "{help}");
    let help = help_directive("compress").expect("a directive");
    let levels = "level zstd|br|gzip N  How hard a coding tries with answers as they pass";
    assert!(help.contains("compress [zstd|br|gzip|off...] { ... }"), "{help}");
    assert!(help.contains(levels), "{help}");
    let help = help_directive("max-object").expect("a directive of two blocks");
    assert!(help.contains("in `store`") && help.contains("in `cache`"), "{help}");
    let help = help_directive("lock").expect("a directive");
    assert!(help.contains("up to 60s") && help.contains("Default: 5s"), "{help}");
    let both = help_directive("max-requests").expect("a directive of two blocks");
    assert!(both.contains("in `pool`") && both.contains("in `server`"), "{both}");
    assert_eq!(help_directive("nonsense"), None);
    for word in completion_words() {
        assert!(help_directive(word).is_some(), "{word}");
    }
}

#[test]
fn the_reference_names_every_directive() {
    let page = reference_markdown();
    for directive in table::directives() {
        let cell = directive.syntax().replace('|', "\\|");
        assert!(page.contains(&cell), "{cell}");
    }
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        assert_eq!(line.replace("\\|", "").matches('|').count(), 5, "{line}");
    }
}

/// The few words of JSON Schema that ours is made of.
fn fits(value: &Json, schema: &Json, root: &Json) -> bool {
    if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
        let name = reference.trim_start_matches("#/$defs/");
        return fits(value, &root["$defs"][name], root);
    }
    let any = schema.get("anyOf").and_then(Json::as_array);
    let is_type = |name: &str| match name {
        "array" => value.is_array(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64(),
        "number" => value.is_number(),
        other => panic!("type {other}"),
    };
    let types = match schema.get("type") {
        None => true,
        Some(Json::String(name)) => is_type(name),
        Some(names) => names
            .as_array()
            .expect("a list")
            .iter()
            .any(|name| is_type(name.as_str().expect("a word"))),
    };
    let choice =
        schema.get("enum").is_none_or(|words| words.as_array().expect("a list").contains(value));
    let number = |key: &str| schema.get(key).and_then(Json::as_u64);
    let count = value.as_array().map(|list| list.len() as u64);
    let counts = number("minItems").is_none_or(|least| count.is_none_or(|count| count >= least))
        && number("maxItems").is_none_or(|most| count.is_none_or(|count| count <= most));
    let pattern = match (schema.get("pattern").and_then(Json::as_str), value.as_str()) {
        (Some(pattern), Some(text)) => {
            regex_automata::meta::Regex::new(pattern).expect("a regex").is_match(text)
        }
        _ => true,
    };
    types
        && choice
        && counts
        && pattern
        && any.is_none_or(|any| any.iter().any(|schema| fits(value, schema, root)))
        && items_fit(value, schema, root)
        && properties_fit(value, schema, root)
}

fn items_fit(value: &Json, schema: &Json, root: &Json) -> bool {
    let Some(list) = value.as_array() else { return true };
    let prefix = schema.get("prefixItems").and_then(Json::as_array);
    list.iter().enumerate().all(|(at, item)| {
        match (prefix.and_then(|prefix| prefix.get(at)), schema.get("items")) {
            (Some(schema), _) => fits(item, schema, root),
            (None, Some(Json::Bool(allowed))) => *allowed,
            (None, Some(schema)) => fits(item, schema, root),
            (None, None) => true,
        }
    })
}

fn properties_fit(value: &Json, schema: &Json, root: &Json) -> bool {
    let (Some(object), Some(properties)) = (value.as_object(), schema.get("properties")) else {
        return true;
    };
    let required = schema["required"].as_array().expect("a list");
    required.iter().all(|key| object.contains_key(key.as_str().expect("a word")))
        && object
            .iter()
            .all(|(key, value)| properties.get(key).is_some_and(|schema| fits(value, schema, root)))
}

#[test]
fn the_schema_fits_what_loads_and_refuses_unknown_words() {
    let schema = schema();
    let check = |text: &str, expect: bool| {
        let tree = parse_text("x", text).unwrap_or_else(|faults| panic!("{text}: {faults:?}"));
        assert_eq!(fits(&to_json(&tree), &schema, &schema), expect, "{text}");
    };
    for explanation in explanations().filter(|known| !known.right.starts_with("{\"")) {
        check(explanation.right, true);
    }
    for directive in table::directives() {
        for within in directive.within {
            check(&around(*within, directive.example), true);
        }
    }
    let store = |size: &str, line: &str| {
        format!("store s {{ memory {size} }}\nsite http://a.test {{ {line}; proxy 3000 }}")
    };
    check(&store("1GiB", "cache s ttl 1h ttl 1m 404 410 key header X-A lock off"), true);
    check(&store("1GiB", "cache off"), true);
    check(&store("1", "cache s"), false);
    check(&store("1GiB", "cache s { stale 24 }"), false);
    check(&store("1GiB", "cache s { key host }"), false);
    check(&store("1GiB", "cache s { methods POST }"), false);
    check(&store("1GiB", "compress br gzip level br 5 breach pad 64B types text/*"), true);
    check(&store("1GiB", "compress off; decompress off"), true);
    check(&store("1GiB", "compress brotli"), false);
    let images = "images formats webp quality 80 quality avif 60 resize w widths 320 640";
    let preset = "preset thumb width 160 quality 70";
    check(&store("1GiB", &format!("optimize {images} {preset}; optimize html css")), true);
    check(&store("1GiB", "optimize off"), true);
    check(&store("1GiB", "optimize"), false);
    check(&store("1GiB", "optimize image"), false);
    check(&store("1GiB", "optimize images { widths 20000x }"), false);
    check(&store("1GiB", "optimize images { preset thumb { width 1 2 } }"), false);
    check(&store("1GiB", "compress { level brotli 5 }"), false);
    check(&store("1GiB", "compress { min 512 }"), false);
    check(&store("1GiB", "decompress on"), false);
    check("site http://a.test { reverse_proxy x }", false);
    check("weight 2", false);
    check("global { drain 5 }", false);
    check("global { drain 5s 6s }", false);
    check("global { http-port 80x }", false);
    check("upstream u { server 1.2.3.4:80; balance fastest }", false);
    check("site http://a.test { body max 10 }", false);
}

#[test]
fn diagnostics_are_shown_in_three_ways() {
    let text = "site http://a.test {\n    route /api/* { respond 200 }\n    route /api/v2/* { respond 201 }\n}\n";
    let loaded = load(&MemorySource::new().file("doorman.conf", text), "doorman.conf");
    let annotated = render::annotated(&loaded.diagnostics, &loaded.sources, Colour::Never);
    let expect = [
        "error[E0207]: route can never match",
        "doorman.conf:3:5",
        "every request that would reach line 3 is taken here",
        "^^^^^^^^^^^^^^^ unreachable",
        "= help: move line 3 above line 2",
    ];
    for line in expect {
        assert!(annotated.contains(line), "{line}\n{annotated}");
    }
    assert!(!annotated.contains('\u{1b}'));
    let coloured = render::annotated(&loaded.diagnostics, &loaded.sources, Colour::Always);
    assert!(coloured.contains('\u{1b}'));
    let fault = loaded.diagnostics.first().expect("one");
    let short = render::short(fault, &loaded.sources);
    assert_eq!(
        short,
        "doorman.conf:3:5: error[E0207]: route can never match; move line 3 above line 2"
    );
    let json = render::json(fault, &loaded.sources);
    assert_eq!(json["code"], "E0207");
    assert_eq!(json["severity"], "error");
    assert_eq!(json["primary"]["line"], 3);
    assert_eq!(json["labels"][0]["line"], 2);
}

#[test]
fn what_does_not_fit_together_is_shown_with_both_places() {
    let stores = "store a { memory 1GiB; disk 1GiB /a; max-object 1MiB }\n";
    let site =
        |inner: &str| format!("{stores}site http://a.test {{ cache a; {inner}; proxy 3000 }}");
    for (code, text, places) in [
        ("E0242", format!("{stores}store b {{ disk 1GiB /a }}"), ["2:11", "1:24"]),
        ("E0242", format!("{stores}store b {{ disk 1GiB /a/b }}"), ["2:11", "1:24"]),
        ("E0242", format!("{stores}store b {{ max-object 2GiB; memory 1GiB }}"), ["2:22", "2:35"]),
        ("E0208", format!("{stores}store a {{ memory 1GiB }}"), ["2:7", "1:7"]),
        (
            "E0243",
            "off store a\nsite http://a.test { cache a; proxy 3000 }".to_owned(),
            ["2:28", "1:11"],
        ),
        ("E0244", site("route /x { cache a { ttl 1m; ttl 1h force }; proxy 1 }"), ["2:52", "2:60"]),
        (
            "E0208",
            site("route /x { cache a { ttl 1m 404; ttl 1h 404 }; proxy 1 }"),
            ["2:71", "2:52"],
        ),
        (
            "E0244",
            site("route /x { cache a { ignore-query a; only-query b }; proxy 1 }"),
            ["2:52", "2:68"],
        ),
        ("E0244", site("route /x { cache a { ignore-query * a }; proxy 1 }"), ["2:67", "2:65"]),
        ("E0244", site("route /x { cache a { max-object 1GiB }; proxy 1 }"), ["2:63", "1:49"]),
        ("E0246", site("optimize images { resize w; widths 640 320 }"), ["2:70", "2:66"]),
        ("E0246", site("optimize css; optimize off"), ["2:45", "2:40"]),
        ("E0208", site("optimize css; optimize js css"), ["2:57", "2:40"]),
        ("E0245", site("compress gzip { level gzip 6; kept-level gzip 5 }"), ["2:61", "2:47"]),
        ("E0208", site("compress gzip br gzip"), ["2:48", "2:40"]),
    ] {
        let loaded = load(&MemorySource::new().file("doorman.conf", text.as_str()), "doorman.conf");
        let fault = loaded.diagnostics.iter().find(|fault| fault.code == code);
        let json = render::json(fault.unwrap_or_else(|| panic!("{code} {text}")), &loaded.sources);
        let place = |json: &Json| format!("{}:{}", json["line"], json["column"]);
        assert_eq!([place(&json["primary"]), place(&json["labels"][0])], places, "{text}");
    }
}

#[test]
fn a_loaded_secret_is_in_no_rendering() {
    let text =
        "site http://a.test { body max ${secret:key}; proxy ${secret:key}; host ${secret:key} }";
    let source = MemorySource::new().file("doorman.conf", text).with_secret("key", "hunter2{");
    let loaded = load(&source, "doorman.conf");
    assert!(loaded.diagnostics.len() >= 3, "{:?}", loaded.diagnostics);
    let all = format!(
        "{:?} {}",
        loaded.diagnostics,
        render::annotated(&loaded.diagnostics, &loaded.sources, Colour::Never)
    );
    assert!(!all.contains("hunter2"), "{all}");
}
