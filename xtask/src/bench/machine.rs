//! Where and with what a measurement was made: figures without these lines mean nothing.

use std::{fs, process::Command};

use crate::{
    bench::{
        contender::{Lineup, program},
        root,
    },
    failure::Failure,
};

/// One line for each fact; `words` are the options of this run.
pub(crate) fn facts(words: &[&str], lineup: &Lineup) -> Result<Vec<String>, Failure> {
    let mut facts = basics("bench", words)?;
    facts.extend([
        format!(
            "peers: {}, {}, {}{}{}{}",
            said("nginx", &["-v"]).trim_start_matches("nginx version: "),
            said("haproxy", &["-v"]).split(" - ").next().unwrap_or_default(),
            said("openssl", &["version"]).split(" (").next().unwrap_or_default(),
            varnish(),
            apache(),
            firewall(),
        ) + &http3_peer(lineup),
        format!("generators: {}, {}", short(&said("wrk", &["-v"])), said("h2load", &["--version"])),
    ]);
    Ok(facts)
}

/// What is so whoever is measured: the chore and its options, when, of what, and where.
pub(crate) fn basics(chore: &str, words: &[&str]) -> Result<Vec<String>, Failure> {
    let memory = field("/proc/meminfo", "MemTotal:").unwrap_or_default();
    let gib = memory.trim_end_matches(" kB").parse::<u64>().unwrap_or_default() / (1024 * 1024);
    let model = field("/proc/cpuinfo", "model name").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // This process is pinned already, so what it may use is not what there is.
    let cores = fs::read_to_string("/proc/cpuinfo")?
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let command = ["cargo xtask", chore].iter().chain(words).copied().collect::<Vec<_>>().join(" ");
    let changed = !said("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
    Ok(vec![
        format!("command: {command}"),
        format!("date: {}", said("date", &["--utc", "+%Y-%m-%d %H:%M UTC"])),
        format!(
            "commit: {}{}",
            said("git", &["rev-parse", "--short=12", "HEAD"]),
            if changed { ", with uncommitted changes" } else { "" }
        ),
        format!("machine: {model}, {cores} cores, {gib} GiB, Linux {}", kernel.trim()),
    ])
}

/// `varnishd (varnish-7.1.1 revision ...)` without all but the version, where there is one.
fn varnish() -> String {
    let line = said("varnishd", &["-V"]);
    let version = line.split(['(', ' ']).find(|word| word.starts_with("varnish-"));
    version.map_or_else(String::new, |version| format!(", {version}"))
}

/// `Server version: Apache/2.4.71 (Debian)` without the words before, where there is one.
fn apache() -> String {
    let line = said("apache2", &["-v"]);
    let version = line.strip_prefix("Server version: ");
    version.map_or_else(String::new, |version| format!(", {version}"))
}

/// Debian's packages of ModSecurity and of the rules, where they are.
fn firewall() -> String {
    let version = |package| said("dpkg-query", &["--show", "--showformat=${Version}", package]);
    let [engine, rules] = ["libmodsecurity3", "modsecurity-crs"].map(version);
    match rules.starts_with(|first: char| first.is_ascii_digit()) {
        true => format!(", libmodsecurity {engine}, Core Rule Set {rules}"),
        false => String::new(),
    }
}

/// The nginx for HTTP/3 and what it was built with.
fn http3_peer(lineup: &Lineup) -> String {
    let Some(file) = &lineup.nginx_h3 else { return String::new() };
    let output = Command::new(file).arg("-V").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
    let text = text.unwrap_or_default();
    let line = |start: &str| text.lines().find_map(|line| line.strip_prefix(start));
    format!(
        "; for HTTP/3 {} on {}",
        line("nginx version: ").unwrap_or_default(),
        line("built with ").unwrap_or_default()
    )
}

/// `wrk 4.1.0 [epoll] Copyright ...` without its second half.
fn short(version: &str) -> &str {
    version.split(" [").next().unwrap_or(version)
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim_start_matches([' ', '\t', ':']).trim_end().into())
}

/// The first line that a program prints, to either stream; empty if there is no such program.
fn said(name: &str, words: &[&str]) -> String {
    let Ok(output) = Command::new(program(name)).args(words).current_dir(root()).output() else {
        return String::new();
    };
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().into()
}
