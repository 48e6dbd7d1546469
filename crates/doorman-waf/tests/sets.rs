//! Whole sets of rules that others have written are read without a fault.
//!
//! They are not part of the repository. `WAF_SETS` names them: sets with `:` between them, each of files
//! and directories with `,` between them, in their order. Of a directory all `*.conf` are read.
//!
//! `WAF_SETS=crs-setup.conf,rules:other/modsecurity.conf,other/rules cargo test -p doorman-waf --test sets`

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use doorman_waf::rule::{Item, Notice, RuleSet, Skip};
use doorman_waf::seclang::{Files, Source, load};

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

fn show(notices: &[Notice]) -> String {
    let line = |Notice { place, id, text }: &Notice| match id {
        Some(id) => format!("  {place}: rule {id}: {text}\n"),
        None => format!("  {place}: {text}\n"),
    };
    notices.iter().map(line).collect()
}

fn check(name: &str) {
    let sources: Vec<_> = name.split(',').flat_map(|path| sources(Path::new(path))).collect();
    let set = load(&sources, &Disk)
        .unwrap_or_else(|faults| panic!("{name}: {} faults\n{}", faults.len(), show(&faults)));
    println!("{name}: {}\n{}", summary(&set), show(&set.warnings));
    let RuleSet { items, .. } = &set;
    for (index, item) in items.iter().enumerate() {
        let Item::Rule(rule) = item else { continue };
        assert!(!rule.links.is_empty(), "{}", rule.id);
        if let Some(Skip::After { marker, item }) = &rule.skip {
            assert!(*item > index, "{} skips back", rule.id);
            let is_there = |item: &Item| matches!(item, Item::Marker(name) if name == marker);
            assert!(is_there(&items[item - 1]), "{}: no marker {marker}", rule.id);
        }
    }
}

fn summary(set: &RuleSet) -> String {
    let rules = set.items.iter().filter_map(|item| match item {
        Item::Rule(rule) => Some(rule),
        Item::Marker(_) => None,
    });
    let links: usize = rules.clone().map(|rule| rule.links.len()).sum();
    let rules = rules.count();
    let markers = set.items.len() - rules;
    format!("{rules} rules, {links} links, {markers} markers, {:?}", set.signatures)
}

#[test]
fn sets_of_others_are_read_without_a_fault() {
    let Some(sets) = std::env::var_os("WAF_SETS") else {
        // Written past the harness, which would keep it to itself.
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: WAF_SETS names no sets of rules; none is read");
        return;
    };
    sets.to_str().expect("a name in UTF-8").split(':').for_each(check);
}
