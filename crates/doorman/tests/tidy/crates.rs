//! Crates: what each uses, against the table of ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::table::{Row, rows};
use super::{cargo, complains, none, read};

/// Libraries that bring a runtime, a socket, a clock, a logger or dice. A room that needs one is
/// not a room.
const OUTSIDE: &[&str] = &[
    "async-channel",
    "chrono",
    "crossbeam",
    "fastrand",
    "futures",
    "futures-util",
    "getrandom",
    "h2",
    "hyper",
    "jiff",
    "libc",
    "log",
    "mio",
    "nix",
    "notify",
    "quinn",
    "rand",
    "rustix",
    "rustls",
    "smol",
    "socket2",
    "time",
    "tokio",
    "tokio-rustls",
    "tokio-util",
    "tracing",
];

/// The packages of `cargo metadata --no-deps`.
fn packages(metadata: &str) -> Vec<Value> {
    let metadata: Value = serde_json::from_str(metadata).expect("cargo writes JSON");
    metadata["packages"].as_array().cloned().unwrap_or_default()
}

fn check(rows: &BTreeMap<String, Row>, packages: &[Value]) -> Vec<String> {
    let mut complaints = Vec::new();
    let names: BTreeSet<&str> =
        packages.iter().filter_map(|package| package["name"].as_str()).collect();
    for gone in rows.keys().filter(|name| !names.contains(name.as_str())) {
        complaints.push(format!("{gone} has a row but no crate"));
    }
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(row) = rows.get(name) else {
            complaints.push(format!("{name} has no row in ARCHITECTURE.md"));
            continue;
        };
        if package["description"].as_str().is_none_or(str::is_empty) {
            complaints.push(format!("{name} has no description"));
        }
        if package["features"].as_object().is_some_and(|features| !features.is_empty()) {
            complaints.push(format!("{name} has cargo features: invariant 9"));
        }
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            complaints.extend(arrow(name, row, dependency, &names));
        }
    }
    complaints
}

/// What is wrong with one dependency.
fn arrow(name: &str, row: &Row, dependency: &Value, house: &BTreeSet<&str>) -> Option<String> {
    let used = dependency["name"].as_str().unwrap_or_default();
    let used_owned = used.to_owned();
    let in_tests = dependency["kind"].as_str() == Some("dev");
    if house.contains(used) {
        let allowed =
            row.uses.contains(&used_owned) || in_tests && row.uses_in_tests.contains(&used_owned);
        let when = if in_tests { " in its tests" } else { "" };
        return (!allowed).then(|| format!("{name} uses {used}{when}: no such arrow in the table"));
    }
    if row.kind.is_pure() && !in_tests && OUTSIDE.contains(&used) {
        return Some(format!("{name} is a room and uses {used}"));
    }
    None
}

#[test]
fn crates_use_what_the_table_says() {
    let packages = packages(&cargo(&["metadata", "--format-version", "1", "--no-deps"]));
    none(&check(&rows(&read("ARCHITECTURE.md")), &packages));
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let packages = packages(&cargo(&["metadata", "--format-version", "1", "--no-deps"]));
    let without: Vec<String> = packages
        .iter()
        .filter_map(|package| package["manifest_path"].as_str())
        .filter(|path| {
            let manifest = std::fs::read_to_string(path).expect("a manifest");
            !manifest.contains("[lints]\nworkspace = true")
        })
        .map(|path| format!("{path} does not take the lints of the workspace"))
        .collect();
    none(&without);
}

#[test]
fn a_wrong_crate_is_noticed() {
    let table = "
| `words` | words | - | - | - |
| `room` | room | `words` | - | - |
| `net` | net | `words` | `kit` | - |
| `kit` | kit | `net` | - | - |
| `gone` | room | - | - | - |
";
    let metadata = r#"{ "packages": [
        { "name": "words", "description": "w", "features": {}, "dependencies": [{ "name": "bytes" }] },
        { "name": "room", "description": "", "features": { "fast": [] }, "dependencies": [
            { "name": "words" }, { "name": "net", "kind": "dev" },
            { "name": "tokio" }, { "name": "tokio", "kind": "dev" }] },
        { "name": "net", "description": "n", "features": {}, "dependencies": [
            { "name": "tokio" }, { "name": "kit", "kind": "dev" }, { "name": "room" }] },
        { "name": "kit", "description": "k", "features": {}, "dependencies": [{ "name": "net" }] },
        { "name": "new", "description": "x", "features": {}, "dependencies": [] }
    ] }"#;
    complains(
        &check(&rows(table), &packages(metadata)),
        &[
            "gone has a row but no crate",
            "room has no description",
            "room has cargo features",
            "room uses net in its tests",
            "room is a room and uses tokio",
            "net uses room",
            "new has no row",
        ],
    );
}
