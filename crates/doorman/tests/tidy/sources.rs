//! Source files: banned calls, who may name what, unfinished work, length.
//!
//! Calls are looked for in code from which comments and literals are blanked out, so that a page
//! may speak of what the code must not do. clippy.toml bans the calls too; this net also catches
//! what no clippy run has seen, such as code under another target's `cfg`.

use std::fs;
use std::path::Path;

use super::table::{Kind, rows};
use super::{complains, none, read, root};

mod text;

use text::code_of;

/// Lines of a file, tests included.
const LINES_MAX: usize = 900;
/// Characters of a line of Rust that holds no text in quotes: rustfmt breaks code at 100 but neither
/// comments nor literals, and a table of texts reads better with a row a line.
const COLUMNS_MAX: usize = 120;

/// A word that code may hold in some places only.
struct Ban {
    word: &'static str,
    /// Starts of paths where it may stand.
    except: &'static [&'static str],
    instead: &'static str,
}

const PROGRAMS: &[&str] =
    &["crates/doorman/", "crates/doorman-testkit/", "crates/doorman-control/", "xtask/"];
const CLOCK: &[&str] = &[
    "crates/doorman-net/src/clock.rs",
    "crates/doorman/",
    "crates/doorman-testkit/",
    "crates/doorman-control/",
    "xtask/",
];
const TERMINAL: &[&str] = &["crates/doorman/", "crates/doorman-testkit/", "xtask/"];

/// Everywhere but in examples and benchmarks, which are programs of their own.
const BANS: &[Ban] = &[
    Ban { word: "Instant::now", except: CLOCK, instead: "take a Now as an argument" },
    Ban { word: "SystemTime::now", except: CLOCK, instead: "take a Now as an argument" },
    Ban { word: "thread::sleep", except: PROGRAMS, instead: "wait for an event" },
    Ban { word: "thread::spawn", except: PROGRAMS, instead: "the binary owns the threads" },
    Ban { word: "thread::Builder", except: PROGRAMS, instead: "the binary owns the threads" },
    Ban { word: "println!", except: TERMINAL, instead: "return it, or log it in the binary" },
    Ban { word: "eprintln!", except: TERMINAL, instead: "return it, or log it in the binary" },
    Ban {
        word: "doorman_config",
        except: &[
            "crates/doorman/",
            "crates/doorman-config/",
            "crates/doorman-proxy/src/plan",
            // Plans are tested from text to answer.
            "crates/doorman-proxy/tests/",
            "fuzz/",
        ],
        instead: "only the plan's compiler and the binary know the configuration (invariant 3)",
    },
    Ban { word: "todo!", except: &[], instead: "finish it, or leave it out" },
    Ban { word: "unimplemented!", except: &[], instead: "finish it, or leave it out" },
    Ban { word: "dbg!", except: &[], instead: "take it out" },
];

/// What a room's own code must not name: the outside (invariant 1).
const OUTSIDE: &[&str] = &[
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "std::os::",
    "std::io::stdin",
    "std::io::stdout",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "std::time::Instant",
    "SystemTime",
];

/// A Rust file.
struct Source {
    /// From the workspace's folder.
    path: String,
    text: String,
    /// The text without comments and literals, by line.
    code: Vec<String>,
    /// The first line that only tests see.
    tests_from: usize,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let code: Vec<String> = code_of(text).lines().map(str::to_owned).collect();
        let is_test = path.contains("/tests/") || path.ends_with("/tests.rs");
        let tests_from = if is_test { 0 } else { tests_start(&code) };
        Self { path: path.to_owned(), text: text.to_owned(), code, tests_from }
    }

    /// Examples and benchmarks are programs: they may print and measure.
    fn is_program(&self) -> bool {
        self.path.contains("/examples/") || self.path.contains("/benches/")
    }

    fn is_in(&self, starts: &[&str]) -> bool {
        starts.iter().any(|start| self.path.starts_with(start))
    }

    /// Code that isn't for tests only, with line numbers from 1.
    fn shipped(&self) -> impl Iterator<Item = (usize, &str)> {
        self.numbered().take(self.tests_from)
    }

    fn numbered(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.iter().enumerate().map(|(at, line)| (at + 1, line.as_str()))
    }
}

/// Where a test module with its own block starts; it is the last thing of a file.
fn tests_start(code: &[String]) -> usize {
    let is_start = |pair: &[String]| {
        pair[0].trim() == "#[cfg(test)]"
            && pair[1].trim_start().starts_with("mod ")
            && pair[1].contains('{')
    };
    code.windows(2).position(is_start).unwrap_or(code.len())
}

/// Whether `code` holds `word` as a whole: no name goes on before or behind it.
fn names(code: &str, word: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let behind = code[at + word.len()..].chars().next();
        let open = |edge: Option<char>, own: Option<char>| {
            edge.is_some_and(is_name) && own.is_some_and(is_name)
        };
        !open(before, word.chars().next()) && !open(behind, word.chars().next_back())
    })
}

fn banned_calls(source: &Source) -> Vec<String> {
    if source.is_program() {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for (number, line) in source.numbered() {
        // What tests print, the harness keeps.
        let may_print = number > source.tests_from;
        for Ban { word, except, instead } in BANS {
            let is_exempt = source.is_in(except) || (may_print && word.ends_with("println!"));
            if names(line, word) && !is_exempt {
                complaints.push(format!("{}:{number}: {word}: {instead}", source.path));
            }
        }
    }
    complaints
}

/// Invariant 1, for the shipped code of a room.
fn outside_in_room(source: &Source) -> Vec<String> {
    let complain = |(number, line): (usize, &str)| {
        let word = OUTSIDE.iter().find(|word| names(line, word))?;
        Some(format!("{}:{number}: a room knows no {word}", source.path))
    };
    source.shipped().filter_map(complain).collect()
}

/// Invariant 5: the wire is a label. It is printed, never decided by.
fn wire_as_more_than_a_label(source: &Source) -> Vec<String> {
    let free = [
        "crates/doorman-net/",
        "crates/doorman-http/src/peer.rs",
        "crates/doorman-testkit/",
        "xtask/",
    ];
    if source.is_in(&free) {
        return Vec::new();
    }
    let complain = |(number, line): (usize, &str)| {
        let decides = names(line, ".wire")
            && (names(line, "match") || line.contains(".wire ==") || line.contains(".wire !="));
        let names_one = line.contains("Wire::");
        (decides || names_one).then(|| format!("{}:{number}: decides by the wire", source.path))
    };
    source.shipped().filter_map(complain).collect()
}

fn unfinished(path: &str, text: &str) -> Vec<String> {
    const MARKS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let complain = |(at, line): (usize, &str)| {
        let mark = MARKS.iter().find(|mark| names(line, mark))?;
        Some(format!("{path}:{}: {mark}", at + 1))
    };
    text.lines().enumerate().filter_map(complain).collect()
}

fn too_long(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    let lines = source.text.lines().count();
    if lines >= LINES_MAX {
        complaints.push(format!("{} has {lines} lines: split it by noun", source.path));
    }
    for (at, line) in source.text.lines().enumerate() {
        let columns = line.chars().count();
        if columns > COLUMNS_MAX && (!line.contains('"') || is_comment(line)) {
            complaints.push(format!("{}:{}: {columns} characters", source.path, at + 1));
        }
    }
    complaints
}

/// Blocks of code in documentation that would be compiled if anybody did: nobody does.
fn examples(source: &Source) -> Vec<String> {
    let mut is_open = false;
    let complain = |(at, line): (usize, &str)| {
        let line = line.trim_start();
        let text = line.strip_prefix("//!").or_else(|| line.strip_prefix("///"))?;
        let kind = text.trim().strip_prefix("```")?;
        is_open = !is_open;
        let is_code = is_open && kind != "text";
        is_code.then(|| format!("{}:{}: say `text`, or make it a test", source.path, at + 1))
    };
    source.text.lines().enumerate().filter_map(complain).collect()
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// A file of shipped code says first what it is for.
fn without_a_first_paragraph(source: &Source) -> Option<String> {
    let is_told = source.tests_from == 0 || source.text.starts_with("//!");
    (!is_told).then(|| format!("{} does not begin with what it is for", source.path))
}

fn unsafe_is_forbidden(path: &str, text: &str) -> Option<String> {
    let is_forbidden = code_of(text).contains("#![forbid(unsafe_code)]");
    (!is_forbidden).then(|| format!("{path} lacks #![forbid(unsafe_code)]"))
}

/// Every file below `folder` with one of these endings; paths from the workspace's folder.
pub(super) fn files(folder: &str, endings: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    walk(&root().join(folder), &mut |path| {
        let is_wanted =
            path.extension().is_some_and(|end| endings.iter().any(|wanted| end == *wanted));
        if is_wanted {
            let name = path.strip_prefix(root()).expect("below the root").display().to_string();
            found.push((name, fs::read_to_string(path).expect("source files are UTF-8")));
        }
    });
    found.sort();
    found
}

/// What is built or generated is skipped.
fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            let is_made =
                ["target", "corpus", "artifacts", ".git"].iter().any(|made| name == *made);
            if !is_made {
                walk(&path, visit);
            }
        } else {
            visit(&path);
        }
    }
}

fn every_source() -> Vec<Source> {
    let folders = ["crates", "xtask", "fuzz"];
    let files = folders.iter().flat_map(|folder| files(folder, &["rs"]));
    let sources: Vec<Source> = files.map(|(path, text)| Source::new(&path, &text)).collect();
    assert!(sources.len() > 30, "the sources were not found");
    sources
}

fn rooms() -> Vec<String> {
    let rows = rows(&read("ARCHITECTURE.md"));
    let rooms = rows.into_iter().filter(|(_, row)| row.kind.is_pure());
    rooms.map(|(name, _)| format!("crates/{name}/")).collect()
}

#[test]
fn no_banned_call() {
    none(&every_source().iter().flat_map(banned_calls).collect::<Vec<_>>());
}

#[test]
fn rooms_know_no_outside() {
    let rooms = rooms();
    let is_in_room = |source: &&Source| {
        rooms.iter().any(|room| source.path.starts_with(room)) && !source.is_program()
    };
    let sources = every_source();
    none(&sources.iter().filter(is_in_room).flat_map(outside_in_room).collect::<Vec<_>>());
}

#[test]
fn rooms_forbid_unsafe_code() {
    let missing = rooms().into_iter().filter_map(|room| {
        let path = format!("{room}src/lib.rs");
        unsafe_is_forbidden(&path, &read(&path))
    });
    none(&missing.collect::<Vec<_>>());
}

#[test]
fn the_wire_is_a_label() {
    none(&every_source().iter().flat_map(wire_as_more_than_a_label).collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_unfinished() {
    let endings = ["rs", "md", "toml", "conf", "sh"];
    let mut files = files("", &endings);
    files.push((".ci/run".to_owned(), read(".ci/run")));
    let marks = files.iter().flat_map(|(path, text)| unfinished(path, text));
    none(&marks.collect::<Vec<_>>());
}

#[test]
fn files_and_lines_are_short() {
    none(&every_source().iter().flat_map(too_long).collect::<Vec<_>>());
}

#[test]
fn files_say_what_they_are_for() {
    none(&every_source().iter().filter_map(without_a_first_paragraph).collect::<Vec<_>>());
}

#[test]
fn no_example_is_left_untested() {
    none(&every_source().iter().flat_map(examples).collect::<Vec<_>>());
    let bad =
        Source::new("a.rs", "/// ```text\n/// a -> b\n/// ```\n/// ```\n/// run();\n/// ```\n");
    complains(&examples(&bad), &["a.rs:4:"]);
}

#[test]
fn bad_calls_are_noticed() {
    let bad = "use std::time::Instant;\n// Instant::now is only spoken of here.\nlet t = Instant::now();\n\
               let s = \"println!\";\nprintln!(\"x\");\nstd::thread::spawn(run);\nMyInstant::nowhere();\n\
               doorman_config::load();\ntodo!()\n";
    let check = |path: &str| banned_calls(&Source::new(path, bad));
    complains(
        &check("crates/doorman-route/src/table.rs"),
        &[
            ":3: Instant::now",
            ":5: println!",
            ":6: thread::spawn",
            ":8: doorman_config",
            ":9: todo!",
        ],
    );
    complains(&check("crates/doorman/src/run.rs"), &[":9: todo!"]);
    complains(
        &check("crates/doorman-proxy/src/plan/compile.rs"),
        &[":3: Instant::now", ":5: println!", ":6: thread::spawn", ":9: todo!"],
    );
    complains(&check("crates/doorman-route/examples/speed.rs"), &[]);
}

#[test]
fn a_room_that_looks_outside_is_noticed() {
    let bad = "use std::fs;\nfn open(_: TcpStream) {}\nstruct TcpStreams;\n\
               #[cfg(test)]\nmod tests {\n    use std::env;\n}\n";
    let check = |path: &str| outside_in_room(&Source::new(path, bad));
    complains(&check("crates/doorman-h1/src/lib.rs"), &["std::fs", "TcpStream"]);
    complains(&check("crates/doorman-h1/src/reader/tests.rs"), &[]);
}

#[test]
fn deciding_by_the_wire_is_noticed() {
    let bad = "match conn.wire {\n    Wire::H2 => 1,\n}\nif conn.wire == other {}\nprint(conn.wire.as_str());\n\
               #[cfg(test)]\nmod tests {\n    conn(Wire::H1)\n}\n";
    let check = |path: &str| wire_as_more_than_a_label(&Source::new(path, bad));
    complains(&check("crates/doorman-proxy/src/handle.rs"), &[":1:", ":2:", ":4:"]);
    complains(&check("crates/doorman-net/src/serve/h1.rs"), &[]);
}

#[test]
fn length_and_leftovers_are_noticed() {
    let long = format!("//! What.\n{}\n{}", "x".repeat(COLUMNS_MAX + 1), "\n".repeat(LINES_MAX));
    complains(&too_long(&Source::new("a.rs", &long)), &["902 lines", "a.rs:2: 121"]);
    complains(&too_long(&Source::new("a.rs", &"é".repeat(COLUMNS_MAX))), &[]);
    let marked = concat!("fine\n// TO", "DO: later\nTO", "DONE\n# FIX", "ME\n");
    complains(&unfinished("a.md", marked), &["a.md:2", "a.md:4"]);
    let told = |path, text| without_a_first_paragraph(&Source::new(path, text)).is_none();
    assert!(told("src/a.rs", "//! What.\nfn a() {}\n"));
    assert!(told("src/a/tests.rs", "use super::*;\n"));
    assert!(!told("src/a.rs", "fn a() {}\n"));
    assert!(unsafe_is_forbidden("lib.rs", "//! Room.\n#![forbid(unsafe_code)]\n").is_none());
    assert!(unsafe_is_forbidden("lib.rs", "//! #![forbid(unsafe_code)]\n").is_some());
}

#[test]
fn kinds_are_told_apart() {
    assert!(Kind::Room.is_pure() && Kind::Words.is_pure() && !Kind::Net.is_pure());
    assert_eq!(rooms().len(), 16, "{:?}", rooms());
}
