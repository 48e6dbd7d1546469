//! Rules as people write them; the same text beside it as what a directive excludes. No panic, whatever the text;
//! faults have a place in it and are one line each; what loads runs on a small transaction, by the plan and by the
//! reference alike; nothing that is excluded gets out of its place.
#![no_main]

mod waf;

use std::sync::{Arc, LazyLock};

use doorman_waf::assemble::{Base, Excluded, Exclusion, Name, Path, Rules, Wanted, assemble};
use doorman_waf::rule::{IdRange, Item, Notice, Place, RuleSet};
use doorman_waf::seclang::{Source, load};
use libfuzzer_sys::fuzz_target;

use waf::{Pace, Shelf, Story, agree, engines, workers};

const STORY: &[u8] = b"POST /a/../b?q=attack&id=%27or+1%3D1&x=%3Cscript%3E HTTP/1.1\n\
    Host: www.example\nCookie: a=1; b=two\nContent-Type: application/x-www-form-urlencoded\n\n\
    q=attack&p=SELECT+1&a=%00\n\0\n200\nContent-Type: text/html\n\n<b>answer</b>";

fn check(notices: &[Notice], lines: usize) {
    for notice in notices {
        let place = &notice.place;
        assert!(place.line >= 1 && (*place.file != *"fuzz.conf" || place.line as usize <= lines), "{notice:?}");
        assert!(!notice.text.chars().any(char::is_control), "{notice:?}");
    }
}

fn rules(set: &RuleSet) -> usize {
    set.items.iter().filter(|item| matches!(item, Item::Rule(_))).count()
}

/// A text of a configuration, as a name, a pattern, a path, a method or a tag: its length says which.
fn exclusion(text: &str) -> Exclusion {
    let by_id = || Rules::Ids(vec![IdRange { first: 1, last: 9 }]);
    let own = || text.to_owned();
    let (rules, target, path, methods) = match text.len() % 6 {
        0 => (by_id(), Some(Excluded::Argument(Name::Exact(own()))), Some(Path::Below(own())), vec![]),
        1 => (by_id(), Some(Excluded::Cookie(Name::Regex(own()))), None, vec!["GET".to_owned()]),
        2 => (by_id(), Some(Excluded::Header(Name::Regex(own()))), Some(Path::Exact(own())), vec![]),
        3 => (by_id(), Some(Excluded::Argument(Name::Exact(own()))), None, vec![]),
        4 => (by_id(), None, None, vec![own()]),
        _ => (Rules::Tag(own()), None, None, vec![]),
    };
    Exclusion { place: place(), rules, target, path, methods }
}

fn place() -> Place {
    Place { file: "doorman.conf".into(), line: 3 }
}

/// A rule, and what is excluded from it.
fn assembled(exclusions: Vec<Exclusion>) -> Option<RuleSet> {
    let rule = br#"SecRule ARGS "@rx a" "id:1,phase:2,deny,tag:t""#;
    let mut wanted = Wanted::new(place(), Base::Own);
    wanted.own.push(Source { name: "own.conf".into(), text: rule.to_vec() });
    wanted.exclusions = exclusions;
    assemble(&wanted, &Shelf(&[])).ok()
}

fn excluded(text: &str) {
    static PLAIN: LazyLock<RuleSet> = LazyLock::new(|| assembled(Vec::new()).expect("a set that loads"));
    if let Some(set) = assembled(vec![exclusion(text)]) {
        assert!(rules(&set) <= rules(&PLAIN) + 1, "{text:?} adds rules");
        assert_eq!(set.settings, PLAIN.settings, "{text:?}");
    }
}

fuzz_target!(|input: &[u8]| {
    let (phrases, addresses) = (&b"attack\nselect\n"[..], &b"192.0.2.0/24\n"[..]);
    let shelf = [("phrases", phrases), ("addresses", addresses), ("self", input)];
    let shelf = Shelf(&shelf);
    if let Ok(text) = std::str::from_utf8(input)
        && input.len() < 600
    {
        excluded(text);
    }
    let lines = input.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let source = Source { name: Arc::from("fuzz.conf"), text: input.to_vec() };
    let set = match load(&[source], &shelf) {
        Ok(set) => set,
        Err(faults) => {
            assert!(!faults.is_empty());
            return check(&faults, lines);
        }
    };
    check(&set.warnings, lines);
    let engines = engines(&set);
    agree(&engines, &mut workers(&engines), &Story::both(STORY), Pace(2));
});
