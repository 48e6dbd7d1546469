//! What rules cost one request, by the plan and by the reference: `WAF_SETS=… cargo bench -p doorman-waf --bench cost
//! [plan|reference]`.
//!
//! `WAF_SETS` names sets of rules as for the test `sets`; each is a whole, with its setup. Times are of
//! one thread, the best of several rounds.

use std::fs;
use std::hint::black_box;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use doorman_http::{Instant, Now};
use doorman_waf::seclang::{Files, Source, load};
use doorman_waf::{Engine, Facts, Options, Transaction, Way, Worker};

struct Disk;

impl Files for Disk {
    fn read(&self, base: &str, name: &str) -> Result<(Arc<str>, Vec<u8>), String> {
        let path = Path::new(base).with_file_name(name);
        let text = fs::read(&path).map_err(|error| error.to_string())?;
        Ok((path.to_string_lossy().into(), text))
    }

    fn list(&self, _: &str, pattern: &str) -> Result<Vec<String>, String> {
        Err(format!("{pattern}: whole sets name their files"))
    }
}

fn sources(path: &Path) -> Vec<Source> {
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        let entries = fs::read_dir(path).expect("a directory");
        files = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "conf"));
        files.sort();
    }
    let source = |file: PathBuf| Source {
        name: file.to_string_lossy().into(),
        text: fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())),
    };
    files.into_iter().map(source).collect()
}

const PROLOGUE: &str = r#"
SecRuleEngine On
SecRequestBodyAccess On
SecResponseBodyAccess Off
"#;

const BROWSER: &[(&str, &str)] = &[
    ("Host", "www.example"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"),
    ("Accept-Language", "en-GB,en;q=0.5"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Referer", "https://www.example/catalogue/shoes"),
    ("Cookie", "session=6f1c2d9a0b7e4c55; theme=dark"),
    ("Connection", "keep-alive"),
];

struct Case {
    name: &'static str,
    method: &'static str,
    target: &'static str,
    fields: &'static [(&'static str, &'static str)],
    body: String,
}

/// A form of twenty fields and about two kilobytes, as a shop has it.
fn form() -> String {
    const TEXTS: [&str; 5] = [
        "Ada+Lovelace",
        "ada.lovelace%40mail.example",
        "12+St+James%27s+Square%2C+London",
        "The+engine+weaves+patterns+of+numbers+just+as+the+loom+weaves+flowers+and+leaves.+It+has+no+claim+\
         to+originate+anything%2C+but+it+can+do+whatever+we+know+how+to+order+it+to+perform.",
        "on",
    ];
    let field = |n: usize| format!("field_{n}={}", TEXTS[n % TEXTS.len()]);
    let mut fields: Vec<_> = (0..19).map(field).collect();
    fields.push(format!("message={}", [TEXTS[3], TEXTS[3], TEXTS[3]].join("%0D%0A")));
    fields.join("&")
}

fn cases() -> [Case; 3] {
    const BARE: &[(&str, &str)] =
        &[("Host", "www.example"), ("User-Agent", "curl/8.5.0"), ("Accept", "*/*")];
    let case = |name, method, target, fields, body| Case { name, method, target, fields, body };
    [
        case("bare GET", "GET", "/", BARE, String::new()),
        case("browser GET", "GET", "/search?q=red+shoes&page=2&sort=price", BROWSER, String::new()),
        case("form POST", "POST", "/order", BROWSER, form()),
    ]
}

fn once(engine: &Arc<Engine>, worker: &mut Worker, case: &Case) -> usize {
    let address = SocketAddr::from(([203, 0, 113, 9], 50_000));
    let now = Now { instant: Instant(0), unix_nanos: 1_700_000_000_000_000_000 };
    let facts = Facts { client: address, server: address, now, unique_id: "0123456789".into() };
    let mut transaction = Transaction::new(Arc::clone(engine), facts);
    transaction.request_line(case.method.as_bytes(), case.target.as_bytes(), b"HTTP/1.1");
    for (name, value) in case.fields {
        transaction.request_field(name.as_bytes(), value.as_bytes());
    }
    if !case.body.is_empty() {
        transaction.request_field(b"Content-Type", b"application/x-www-form-urlencoded");
        transaction.request_field(b"Content-Length", case.body.len().to_string().as_bytes());
    }
    let _ = black_box(transaction.request_head(worker));
    let _ = black_box(transaction.request_body(case.body.as_bytes()));
    let _ = black_box(transaction.request_end(worker));
    transaction.response_line(200, b"HTTP/1.1");
    transaction.response_field(b"Content-Type", b"text/html");
    let _ = black_box(transaction.response_head(worker));
    let _ = black_box(transaction.response_end(worker));
    transaction.finish(worker).matches.len()
}

fn measure(engine: &Arc<Engine>, case: &Case) {
    const ROUNDS: usize = 7;
    let mut worker = Worker::new(engine);
    let matches = once(engine, &mut worker, case);
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let (mut count, begin) = (0_u32, now());
        while now() - begin < 0.2 {
            for _ in 0..20 {
                black_box(once(engine, &mut worker, case));
            }
            count += 20;
        }
        best = best.min((now() - begin) / f64::from(count));
    }
    println!("  {:12} {:9.1} us, {matches} matches", case.name, best * 1e6);
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> f64 {
    use std::sync::OnceLock;
    static BEGIN: OnceLock<std::time::Instant> = OnceLock::new();
    BEGIN.get_or_init(std::time::Instant::now).elapsed().as_secs_f64()
}

fn main() {
    let Ok(sets) = std::env::var("WAF_SETS") else {
        println!("WAF_SETS is not set: nothing is measured");
        return;
    };
    for name in sets.split(':') {
        let prologue = Source { name: "prologue".into(), text: PROLOGUE.as_bytes().to_vec() };
        let set = name.split(',').flat_map(|path| sources(Path::new(path)));
        let sources: Vec<_> = std::iter::once(prologue).chain(set).collect();
        let only = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
        for way in [Way::Plan, Way::Reference] {
            if only.as_ref().is_some_and(|only| !format!("{way:?}").eq_ignore_ascii_case(only)) {
                continue;
            }
            let begin = now();
            let rules =
                load(&sources, &Disk).unwrap_or_else(|faults| panic!("{name}: {faults:#?}"));
            let options = Options { way, ..Options::default() };
            let engine =
                Engine::with(rules, options, Arc::default()).expect("rules that can be run");
            let engine = Arc::new(engine);
            println!("{name}, {way:?}: loaded in {:.0} ms", (now() - begin) * 1e3);
            if way == Way::Plan {
                println!("  {:?}", engine.extent());
            }
            cases().iter().for_each(|case| measure(&engine, case));
        }
    }
}
