//! Several files, and files that include others.

use super::{Shelf, rules, show, source};
use crate::seclang::{DEPTH_MAX, Source, load};

#[track_caller]
fn check(files: &[(&str, &str)], text: &str, expected: Result<&[u32], &str>) {
    let read = load(&[source(text)], &Shelf::of(files));
    let ids = read.as_ref().map(|set| rules(set).iter().map(|rule| rule.id).collect::<Vec<_>>());
    let faults = read.as_ref().err().map(|faults| {
        faults
            .iter()
            .map(|fault| format!("{}:{}", fault.place.file, show(fault)))
            .collect::<String>()
    });
    match expected {
        Ok(expected) => assert_eq!(ids.as_deref(), Ok(expected), "{text}"),
        Err(expected) => assert_eq!(faults.as_deref(), Some(expected), "{text}"),
    }
}

#[test]
fn files_are_included_in_place() {
    let files =
        [("a/1.conf", "SecAction id:2"), ("a/2.conf", "SecAction id:3"), ("b", "SecAction id:4")];
    check(
        &files,
        "SecAction id:1\nInclude a/*.conf\nInclude \"b\"\nSecAction id:5",
        Ok(&[1, 2, 3, 4, 5]),
    );
    check(&files, "IncludeOptional x/*.conf\nIncludeOptional y\nIncludeOptional b", Ok(&[4]));
    check(
        &files,
        "Include x/*.conf\nInclude y",
        Err("rules.conf:1: no file is called x/*.conf; IncludeOptional allows for that\n\
             rules.conf:2: y cannot be read: no such file\n"),
    );
}

#[test]
fn files_that_include_one_another_come_to_an_end() {
    let files = [("a", "Include a")];
    let text = format!("a:1: a: files include one another more than {DEPTH_MAX} deep\n");
    check(&files, "Include a", Err(&text));
    // Twice itself would be more files than anyone waits for.
    let files = [("a", "Include a\nInclude a")];
    let read = load(&[source("Include a")], &Shelf::of(&files));
    assert!(read.is_err());
}

#[test]
fn faults_are_in_the_order_of_files_whatever_finds_them() {
    let one =
        Source { name: "z.conf".into(), text: b"SecRule ARGS @nope id:1\nSecNope\n".to_vec() };
    let two = Source { name: "a.conf".into(), text: b"SecAction pass\nSecAction id:1\n".to_vec() };
    let faults = load(&[one, two], &Shelf::default()).expect_err("faults");
    let shown: String =
        faults.iter().map(|fault| format!("{}:{}", fault.place.file, show(fault))).collect();
    assert_eq!(
        shown,
        "z.conf:1 [1]: unknown operator `nope` (a pattern that begins with @ is written @rx @…)\n\
         z.conf:2: unknown directive `SecNope`\n\
         a.conf:1: a rule without an id: each rule needs its own, as in \"id:1000001\"\n\
         a.conf:2 [1]: the id 1 is that of the rule at z.conf:1 already\n"
    );
}

#[test]
fn faults_of_an_update_are_told_where_it_stands() {
    let one = Source { name: "a.conf".into(), text: b"SecAction id:1\n".to_vec() };
    let two =
        Source { name: "b.conf".into(), text: b"\nSecRuleUpdateActionById 1 dney\n".to_vec() };
    let faults = load(&[one, two], &Shelf::default()).expect_err("faults");
    assert_eq!(faults[0].place.to_string(), "b.conf:2");
    assert_eq!(faults[0].id, Some(1));
}
