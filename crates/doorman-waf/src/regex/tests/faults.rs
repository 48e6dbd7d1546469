//! What is refused, where and why; and facts.

use super::*;

#[test]
fn faults_name_place_and_reason() {
    let check = |pattern: &[u8], at: usize, text: &str| match Regex::new(pattern, STEPS_MAX) {
        Ok(_) => panic!("{} is taken", pattern.escape_ascii()),
        Err(error) => {
            assert_eq!(error.at, at, "{}: {error}", pattern.escape_ascii());
            assert!(error.text.contains(text), "{}: {error}", pattern.escape_ascii());
        }
    };
    check(b"ab)", 2, "closes nothing");
    check(b"a(b", 1, "without its `)`");
    check(b"a(?i", 3, "without `)` or `:`");
    check(b"(?z)", 2, "`z` is no option");
    check(b"(?i-i-i)", 5, "`-` is no option");
    check(b"(?#a", 0, "comment");
    check(b"a|*b", 2, "nothing before it to repeat");
    check(b"a**", 2, "nothing before it to repeat");
    check(b"^+", 1, "nothing before it to repeat");
    check(b"{2}", 0, "nothing before it to repeat");
    check(b"a{3,2}", 1, "out of order");
    check(b"a{65536}", 2, "more than 65535");
    check(b"a[b", 1, "without its `]`");
    check(b"[]", 0, "without its `]`");
    check(b"[ab-a]", 2, "out of order");
    check(b"[[:foo:]]", 1, "`foo`");
    check(b"[[.a.]]", 1, "collating");
    check(b"[:alpha:]", 0, "within brackets");
    check(br"[\R]", 1, "within a class");
    check(br"a\", 1, "at the end");
    check(br"a\y", 1, "`\\y`");
    check(br"\x{100}", 0, "0xff");
    check(br"\x{g}", 0, "digits");
    check(br"\x{41", 0, "`}`");
    check(br"\400", 0, "octal");
    check(br"\c", 0, "printable");
    check(br"\pL", 0, "Unicode");
    check(br"\X", 0, "bytes");
    check(br"a\K", 1, "`\\K`");
    check(br"(a)\2", 3, "group 2");
    check(br"(a)\g{-2}", 3, "does not exist");
    check(br"\k<a>", 3, "has not begun");
    check(br"(?<a>b)(?<a>c)", 7, "one name");
    check(br"(?<1>b)", 3, "no digit first");
    check(br"(?<a", 3, "does not end");
    check(br"(?R)", 0, "recursion");
    check(br"(a)(?1)", 3, "recursion");
    check(br"(a)(?(1)b)", 3, "conditions");
    check(br"(?|a)", 0, "share numbers");
    check(br"(*FAIL)", 0, "verbs");
    check(br"x(?<=a*)", 1, "look-behind");
    check(br"(?<!a{256})", 0, "look-behind");
    check(&b"(".repeat(200), 128, "within groups");
    check(&[&b"(?:".repeat(200)[..], &b")*".repeat(200)].concat(), 384, "within groups");
    check(&vec![b'a'; 70_000], 65_536, "longer");
    check(b"(?:(?:.{1000}){1000}){1000}", 0, "8 MiB");
}

#[test]
fn facts_are_of_use() {
    let check = |pattern: &[u8], length_min: usize, literals: Option<&[&str]>, anchored: bool| {
        let regex = compile(pattern);
        let facts = regex.facts();
        let name = pattern.escape_ascii();
        assert_eq!(facts.length_min, length_min, "{name}");
        assert_eq!(facts.anchored, anchored, "{name}");
        let got = facts.literals.as_ref().map(|literals| {
            literals.iter().map(|l| String::from_utf8(l.as_bytes().to_vec()).unwrap()).collect()
        });
        let want: Option<Vec<String>> =
            literals.map(|literals| literals.iter().map(ToString::to_string).collect());
        assert_eq!(got, want, "{name}");
    };
    check(b"select", 6, Some(&["select"]), false);
    check(b"(?i)^UNION select", 12, Some(&["union select"]), true);
    check(b"(?i)a(?:b|c)d|xyz", 3, Some(&["abd", "acd", "xyz"]), false);
    check(br"\w+eval\(.*\)", 7, Some(&["eval("]), false);
    check(br"a.*longer.*b", 8, Some(&["longer"]), false);
    check(b"(?:foobar)+x?", 6, Some(&["foobar"]), false);
    check(b"foo|foobar", 3, Some(&["foo"]), false);
    check(b"a?b*", 0, None, false);
    check(b"abc|", 0, None, false);
    check(br"\w{3}", 3, None, false);
    check(br"ab(?!c)", 2, Some(&["ab"]), false);
    check(br"(?<!x)ab\Z", 2, Some(&["ab"]), false);
    check(br"(ab+)\1", 2, Some(&["ab"]), false);
    check(b"^(?:a|b)$", 1, Some(&["a", "b"]), true);
    check(b"0123456789abcdefghijklmnopqrstuvwxyz", 36, Some(&["0123456789abcdefghijklmn"]), false);
    check(br"[^\x00-\xff]", 0, Some(&[]), false);
}

#[test]
fn facts_of_bytes_and_whole_values() {
    let facts = |pattern: &[u8]| compile(pattern).facts().clone();
    assert_eq!(facts(b"^a{2,5}$").length_max, Some(5));
    assert_eq!(facts(b"^a{2,5}").length_max, None);
    assert_eq!(facts(b"(?:^a|b)$").length_max, None);
    let quotes = facts(br#"["'`][^\d]*?\d.*;"#);
    assert!(!quotes.allow(b"a1;") && !quotes.allow(b"'a;") && !quotes.allow(b"'a1"));
    assert!(quotes.allow(b"'a1;"));
    let either = facts(br"(?:'\w|`\w+)=");
    assert!(!either.allow(b"a=") && either.allow(b"`a="));
}
