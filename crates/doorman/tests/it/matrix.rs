//! The page that says which story is told over which pair of wires, made from the stories' sources,
//! so that it cannot say more than is tested. `BLESS=1` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The macros that make tests of stories, and what they tell them over.
const MACROS: [(&str, &str); 5] = [
    ("all_pairs", "Over every pair"),
    ("pairs", "Over every pair whose origin speaks HTTP"),
    ("tunnel_pairs", "Over every pair that carries tunnels"),
    ("h1_pairs", "Over every pair whose client speaks HTTP/1.1"),
    ("h1_back_pairs", "Over every pair whose origin speaks HTTP/1.1"),
];
/// The wires to origins, as columns.
const BACKS: [(&str, &str); 6] = [
    ("H1", "HTTP/1.1"),
    ("H1Tls", "HTTP/1.1 + TLS"),
    ("H2", "HTTP/2 + TLS"),
    ("H2c", "HTTP/2"),
    ("H3", "HTTP/3"),
    CGI,
];
/// What origins alone speak.
const CGI: (&str, &str) = ("Cgi", "FastCGI");

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it")
}

/// What stands between the parentheses of each call of `name!` in a text.
fn calls<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let begin = format!("\n{name}!(");
    text.split(&begin).skip(1).map(|rest| rest.split(')').next().unwrap_or_default()).collect()
}

/// The stories of each macro, by file.
fn stories() -> BTreeMap<&'static str, Vec<String>> {
    let mut stories: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let mut files: Vec<_> = std::fs::read_dir(here())
        .expect("our own sources")
        .map(|entry| entry.expect("our own sources").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("our own sources");
        let place = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for (name, _) in MACROS {
            for call in calls(&text, name) {
                let names = call.split(',').map(str::trim).filter(|story| !story.is_empty());
                let names = names.map(|story| format!("{place}::{story}"));
                stories.entry(name).or_default().extend(names);
            }
        }
    }
    stories
}

/// The pairs of each macro, as the rig has them.
fn pairs() -> BTreeMap<&'static str, Vec<(String, String)>> {
    let text = std::fs::read_to_string(here().join("rig/mod.rs")).expect("our own sources");
    let pairs = MACROS.map(|(name, _)| {
        let body = text.split(&format!("macro_rules! {name} {{")).nth(1).expect("the macro");
        let list = body.split("=> [").nth(1).and_then(|rest| rest.split(']').next());
        let pairs = list.expect("its pairs").split(',').map(|pair| {
            let (_, wires) = pair.split_once(':').expect("a name");
            let (front, back) = wires.trim().split_once(' ').expect("two wires");
            (front.to_owned(), back.to_owned())
        });
        (name, pairs.collect())
    });
    pairs.into_iter().collect()
}

fn page() -> String {
    let (stories, pairs) = (stories(), pairs());
    let mut page = "# Pairs of wires\n\n\
        A request means the same whichever wire its client speaks and whichever its origin does. Stories about the \
        built program are told over\n\
        every pair that they make sense for; this page is made from them. The number is how many stories a pair \
        has.\n\n\
        | client \\ origin |"
        .to_owned();
    for (_, title) in BACKS {
        let _ = write!(page, " {title} |");
    }
    page += "\n|---|---|---|---|---|---|---|\n";
    for (front, title) in BACKS.into_iter().filter(|wire| *wire != CGI) {
        let _ = write!(page, "| {title} |");
        for (back, _) in BACKS {
            let told = MACROS.iter().filter(|(name, _)| {
                pairs[name].iter().any(|(one, other)| one == front && other == back)
            });
            let _ = write!(page, " {} |", told.map(|(name, _)| stories[name].len()).sum::<usize>());
        }
        page += "\n";
    }
    for (name, title) in MACROS {
        let _ = write!(page, "\n## {title}\n\n");
        for story in &stories[name] {
            let _ = writeln!(page, "- `{story}`");
        }
    }
    page += "\ngRPC, and what only HTTP/2 or HTTP/3 has, are told by tests of their own: see [grpc.md](grpc.md), [http2.md](http2.md#cases) and\n\
        [http3.md](http3.md#cases).\n";
    page
}

#[test]
fn the_page_of_pairs_is_current() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pairs.md");
    let page = page();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, &page).expect("our own page");
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == page, "docs/pairs.md is not current: BLESS=1 writes it anew");
}

#[test]
fn the_page_is_made_of_all_there_is() {
    let (stories, pairs) = (stories(), pairs());
    assert_eq!(MACROS.map(|(name, _)| pairs[name].len()), [30, 25, 20, 4, 10]);
    assert!(MACROS.iter().all(|(name, _)| stories[name].len() >= 4), "{stories:?}");
}
