//! The rules of the house that no compiler checks, as tests.
//!
//! What is allowed is read from the pages that people read: the crate table from ARCHITECTURE.md,
//! licences and bans from deny.toml. So neither page can say something that is not so. Each check
//! is a function from text to complaints, and each is shown bad text too: a check that cannot fail
//! guards nothing.

mod cases;
mod crates;
mod dependencies;
mod sources;
mod table;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The folder of the workspace.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

/// The text of a file, by its path from the workspace's folder.
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What cargo says; it never goes to the network.
fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--offline", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {}: {errors}", arguments.join(" "));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

/// Fails with every complaint at once.
fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// Shows a check bad text: the complaints must be these, by a part of each.
fn complains(complaints: &[String], parts: &[&str]) {
    let same = complaints.len() == parts.len()
        && complaints.iter().zip(parts).all(|(complaint, part)| complaint.contains(part));
    assert!(same, "expected {parts:#?}, got {complaints:#?}");
}
