//! Each spelling with inputs that show what it means.

use super::*;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Engine {
    Linear,
    Backtracking,
}

use Engine::{Backtracking, Linear};

/// A pattern, the engine it needs, inputs with what is found in them, inputs without a match.
type Case<'a> = (&'a [u8], Engine, &'a [(&'a [u8], &'a [u8])], &'a [&'a [u8]]);

fn check(cases: &[Case<'_>]) {
    for (pattern, engine, matches, others) in cases {
        let regex = compile(pattern);
        let name = pattern.escape_ascii();
        assert_eq!(regex.backtracks(), *engine == Backtracking, "engine of {name}");
        for (hay, whole) in *matches {
            let groups = found(&regex, hay);
            let got = groups.as_ref().and_then(|groups| groups[0].as_deref());
            assert_eq!(got, Some(*whole), "{name} on {}", hay.escape_ascii());
            assert!(regex.facts().allow(hay), "facts of {name} on {}", hay.escape_ascii());
        }
        for hay in *others {
            assert_eq!(found(&regex, hay), None, "{name} on {}", hay.escape_ascii());
        }
    }
}

#[test]
fn bytes() {
    check(&[
        // A number is a byte, never the two of a code point.
        (br"\x{bc}", Linear, &[(b"a\xbc", b"\xbc")], &[b"\xc2", "\u{83}".as_bytes()]),
        (br"\xbc", Linear, &[(b"\xc2\xbc", b"\xbc")], &[b"\xc2"]),
        (br"[\x{c2}\x{b4}]+", Linear, &[(b"\xb4\xc2", b"\xb4\xc2")], &["\u{e4}".as_bytes()]),
        (br"\x{0041}\x4\x", Linear, &[(b"A\x04\0", b"A\x04\0")], &[b"A4"]),
        // Bytes that are no ASCII stand for themselves, in a class each by itself.
        ("[´’]".as_bytes(), Linear, &[(b"\xb4", b"\xb4"), (b"\xe2", b"\xe2")], &[b"\xe3", b"a"]),
        ("é+".as_bytes(), Linear, &[(b"\xc3\xa9\xa9", b"\xc3\xa9\xa9")], &[b"\xe9"]),
        ("(?i)É".as_bytes(), Linear, &[("É".as_bytes(), "É".as_bytes())], &["é".as_bytes()]),
        (br"\101\60\0\18", Linear, &[(b"A0\0\x018", b"A0\0\x018")], &[b"A0"]),
        (br"\o{101}[\101]", Linear, &[(b"AA", b"AA")], &[b"A"]),
        (
            br"\a\e\f\n\r\t\cA\c[",
            Linear,
            &[(b"\x07\x1b\x0c\n\r\t\x01\x1b", b"\x07\x1b\x0c\n\r\t\x01\x1b")],
            &[],
        ),
        (b"a\0b", Linear, &[(b"a\0b", b"a\0b")], &[b"ab"]),
        (br"\'\x22\/\!\~\-\_\<\>", Linear, &[(b"'\"/!~-_<>", b"'\"/!~-_<>")], &[]),
        (br"\<a\>", Linear, &[(b"<a>", b"<a>")], &[b"a"]),
    ]);
}

#[test]
fn places_and_newlines() {
    check(&[
        // The end is the very end, and a dot is any byte.
        (b"a$", Linear, &[(b"ba", b"a")], &[b"a\n", b"a\nb"]),
        (b"^b", Linear, &[(b"b", b"b")], &[b"a\nb"]),
        (b"a.b", Linear, &[(b"a\nb", b"a\nb"), (b"a\xffb", b"a\xffb")], &[b"ab"]),
        (b"(?-s)a.b", Linear, &[(b"a\rb", b"a\rb")], &[b"a\nb"]),
        (b"(?m)^b$", Linear, &[(b"a\nb\nc", b"b")], &[b"a\nbc"]),
        // A line does not begin behind the last line feed.
        (b"\\n(?m)^", Backtracking, &[(b"\na", b"\n")], &[b"\n"]),
        (br"a\z", Linear, &[(b"a", b"a")], &[b"a\n"]),
        (br"a\Z", Linear, &[(b"a\n", b"a"), (b"a", b"a")], &[b"a\n\n", b"ab"]),
        (br"(?:a\Z|b)", Backtracking, &[(b"a\n", b"a")], &[b"ac"]),
        (br"\Aa|\Gb", Linear, &[(b"a", b"a"), (b"b", b"b")], &[b"cab"]),
        (br"\ba\b", Linear, &[(b"-a-", b"a"), (b"\xe9a", b"a")], &[b"_a", b"a1"]),
        (br"\Ba", Linear, &[(b"ba", b"a")], &[b"-a"]),
        (
            br"a\vb",
            Linear,
            &[(b"a\x85b", b"a\x85b"), (b"a\nb", b"a\nb"), (b"a\x0bb", b"a\x0bb")],
            &[b"a b"],
        ),
        (br"a\hb", Linear, &[(b"a\xa0b", b"a\xa0b"), (b"a\tb", b"a\tb")], &[b"a\nb"]),
        (br"a\sb", Linear, &[(b"a\x0bb", b"a\x0bb")], &[b"a\xa0b", b"a\x85b"]),
        (br"a\Nb", Linear, &[(b"a\rb", b"a\rb")], &[b"a\nb"]),
        (br"a\R", Linear, &[(b"a\r\n", b"a\r\n"), (b"a\x85", b"a\x85")], &[b"a"]),
        // A carriage return keeps its line feed.
        (br"\R\n", Backtracking, &[(b"\n\n", b"\n\n")], &[b"\r\n"]),
    ]);
}

#[test]
fn braces_and_repetition() {
    check(&[
        (b"{", Linear, &[(b"{", b"{")], &[b"}"]),
        (b"{.*}", Linear, &[(b"a{b}c", b"{b}")], &[b"{"]),
        (br"${a,b}", Linear, &[], &[b"${a,b}"]),
        (br"\${a}", Linear, &[(b"${a}", b"${a}")], &[b"$a"]),
        (b"a{,2}{x}", Linear, &[(b"a{,2}{x}", b"a{,2}{x}")], &[b"aa"]),
        (b"a{2}", Linear, &[(b"aaa", b"aa")], &[b"a"]),
        (b"ba{2,}?", Linear, &[(b"baaa", b"baa")], &[b"ba"]),
        (b"ba{0,2}?c", Linear, &[(b"baac", b"baac")], &[b"baaac"]),
        (b"(?U)a+b+?", Linear, &[(b"aabb", b"aabb")], &[b"a"]),
        (b"a|ab", Linear, &[(b"ab", b"a")], &[b"b"]),
        (b"x*", Linear, &[(b"axx", b""), (b"", b"")], &[]),
        (b"(?:a|){2}b", Linear, &[(b"aab", b"aab"), (b"b", b"b")], &[b"a"]),
        (b"", Linear, &[(b"a", b""), (b"", b"")], &[]),
        (b"a{0}b", Linear, &[(b"ab", b"b")], &[b"a"]),
        // Possessive, where it is greedy.
        (br"a*+b", Linear, &[(b"aab", b"aab")], &[b"aa"]),
        (br#"[^\w\s]++\s*[("@]*?\s*?\w"#, Linear, &[(b"@\"a", b"@\"a"), (b"( a", b"( a")], &[b"@"]),
        (br"(?:ab)++c", Linear, &[(b"ababc", b"ababc")], &[b"abab"]),
        (br"ba++", Linear, &[(b"baa", b"baa")], &[b"b"]),
        (br"(?>ab|cd)e", Linear, &[(b"cde", b"cde")], &[b"abc"]),
        // And where it is not.
        (br"a*+a", Backtracking, &[], &[b"aaa"]),
        (br"(?>a|ab)c", Backtracking, &[(b"ac", b"ac")], &[b"abc"]),
        (br"(?:a|ab)++c", Backtracking, &[(b"aac", b"aac")], &[b"abc"]),
        (br#"[a"]++["]*\b"#, Backtracking, &[(b"\"a", b"\"a")], &[b"\"", b"a\""]),
    ]);
}

#[test]
fn classes() {
    check(&[
        (b"[[a]+", Linear, &[(b"a[", b"a[")], &[b"]"]),
        (b"[a&&b]+", Linear, &[(b"a&b", b"a&b")], &[b"-"]),
        (b"[a~~&&b-]+", Linear, &[(b"~&-", b"~&-")], &[b"c"]),
        (b"[+--]+", Linear, &[(b"+,-", b"+,-")], &[b"."]),
        (b"[]a]+", Linear, &[(b"a]", b"a]")], &[b"["]),
        (b"[^]a]", Linear, &[(b"]b", b"b")], &[b"]a"]),
        (br"[\]\[\\]+", Linear, &[(b"a[\\]", b"[\\]")], &[b"a"]),
        (br"[\w-.]+", Linear, &[(b"a-.", b"a-.")], &[b"/"]),
        (br"[a-\d]+", Linear, &[(b"-a1", b"-a1")], &[b"b"]),
        (b"[a-]+", Linear, &[(b"-a", b"-a")], &[b"b"]),
        (br"[\b]", Linear, &[(b"\x08", b"\x08")], &[b"b"]),
        (br"[\x41-\x43\cA]+", Linear, &[(b"AC\x01", b"AC\x01")], &[b"D"]),
        (br"[\s\x0b]", Linear, &[(b"a\x0b", b"\x0b")], &[b"a"]),
        (br"[\h\V]", Linear, &[(b"a", b"a")], &[b"\n"]),
        (b"[[:alpha:][:digit:]_]+", Linear, &[(b"-a1_", b"a1_")], &[b"-"]),
        (b"[[:^alpha:]]", Linear, &[(b"a1", b"1")], &[b"a"]),
        (b"[^[:space:]a]", Linear, &[(b" ab", b"b")], &[b" a"]),
        (b"[[:ascii:]]+", Linear, &[(b"a\xff", b"a")], &[b"\xff"]),
        (b"(?i)[[:upper:]]", Linear, &[(b"a", b"a")], &[b"1"]),
        (b"[[:x]]", Linear, &[(b"x]", b"x]")], &[b"x"]),
        (br"[\Qa-c\E-e]+", Linear, &[(b"d", b"d"), (b"-a", b"-a")], &[b"b"]),
        (br"[^\x00-\xff]", Linear, &[], &[b"a", b""]),
    ]);
}

#[test]
fn options_and_quotes() {
    check(&[
        (b"(?i)aB", Linear, &[(b"Ab", b"Ab")], &[b"a"]),
        (b"a(?i)b|c", Linear, &[(b"aB", b"aB"), (b"C", b"C")], &[b"A"]),
        (b"(?:a(?i)b)c", Linear, &[(b"aBc", b"aBc")], &[b"aBC"]),
        (b"(?i:a)b", Linear, &[(b"Ab", b"Ab")], &[b"AB"]),
        (b"(?i)a(?-i)b", Linear, &[(b"Ab", b"Ab")], &[b"AB"]),
        (b"(?i)[^a]", Linear, &[(b"b", b"b")], &[b"aA"]),
        (b"(?i)[^_-b]", Linear, &[(b"c", b"c")], &[b"aAbB"]),
        (b"(?i-s:A.)", Linear, &[(b"ab", b"ab")], &[b"a\n"]),
        (b"(?U)(?^)ba+", Linear, &[(b"baa", b"ba")], &[b"b"]),
        (b"(?^:a.)", Linear, &[(b"ab", b"ab")], &[b"a\n"]),
        (b"(?x) a b # note\n c [ ]", Linear, &[(b"abc ", b"abc ")], &[b"abc"]),
        (b"(?xx)[a b]+", Linear, &[(b"ab", b"ab")], &[b" "]),
        (b"(?x)a +", Linear, &[(b"aa", b"aa")], &[b"b"]),
        (b"a(?#note)+b", Linear, &[(b"aab", b"aab")], &[b"a"]),
        (br"\Qa.b*\E+", Linear, &[(b"a.b**", b"a.b**")], &[b"axb"]),
        (br"\Q(a\E|b\Q|", Linear, &[(b"(a", b"(a"), (b"b|", b"b|")], &[b"a"]),
        (b"(?n)(a)(?<n>b)", Linear, &[(b"ab", b"ab")], &[b"a"]),
    ]);
}

#[test]
fn looking_around_and_back() {
    check(&[
        // A look-ahead at the end is a tail that is no part of the match.
        (
            br"<\?(?!xml)",
            Linear,
            &[(b"<?php", b"<?"), (b"<?", b"<?"), (b"<?xm", b"<?")],
            &[b"<?xml"],
        ),
        (br"a(?!b|cd)", Linear, &[(b"ac", b"a"), (b"abac", b"a")], &[b"ab", b"acd"]),
        (br"a(?![b-d]{2,3})", Linear, &[(b"ab", b"a")], &[b"abc"]),
        (br"a(?!)", Linear, &[], &[b"a"]),
        (br"a+(?=b)", Linear, &[(b"aaab", b"aaa")], &[b"aac"]),
        (br"a(?=b|$)", Linear, &[(b"ab", b"a"), (b"ca", b"a")], &[b"ac"]),
        (br"a(?!b*c)", Backtracking, &[(b"abb", b"a")], &[b"abbc"]),
        (br"(?=.b)a", Backtracking, &[(b"ab", b"a")], &[b"ac"]),
        (br"(?!ab)a.", Backtracking, &[(b"abac", b"ac")], &[b"ab"]),
        (br"(?<!a|bc);", Backtracking, &[(b";", b";"), (b"c;", b";")], &[b"a;", b"bc;"]),
        (br"(?<=ab)c", Backtracking, &[(b"abc", b"c")], &[b"bc"]),
        (br"(?<=^|,)c", Backtracking, &[(b"a,c", b"c"), (b"c", b"c")], &[b"bc"]),
        (br"(a+)-\1$", Backtracking, &[(b"aa-aa", b"aa-aa"), (b"aa-a", b"a-a")], &[b"a-b"]),
        (br"(?i)(a)\1", Backtracking, &[(b"aA", b"aA")], &[b"ab"]),
        (br"(a)|\1b", Backtracking, &[(b"a", b"a")], &[b"b"]),
        (br"(?:(a)|b\1)+", Backtracking, &[(b"aba", b"aba")], &[b"b"]),
        (
            br"(?<q>['x]).\k<q>(?P=q)\g{q}\g{-1}\g1",
            Backtracking,
            &[(b"'a'''''", b"'a'''''")],
            &[b"'ax"],
        ),
        (br"(a\1?){3}", Backtracking, &[(b"aaaaaa", b"aaaaaa")], &[b"aa"]),
        (
            br"\b(\w+)=(?!\b\1\b)\w+",
            Backtracking,
            &[(b"1=2", b"1=2"), (b"1=11", b"1=11")],
            &[b"1=1"],
        ),
    ]);
}

#[test]
fn groups_of_a_match() {
    let check = |pattern: &str, hay: &str, groups: &[Option<&str>]| {
        let mut found = found(&compile(pattern.as_bytes()), hay.as_bytes()).unwrap();
        while found.last().is_some_and(Option::is_none) {
            found.pop();
        }
        let want: Vec<_> =
            groups.iter().map(|group| group.map(|text| text.as_bytes().to_vec())).collect();
        assert_eq!(found, want, "{pattern} on {hay}");
    };
    check("(a)(b)?(c)", "xacy", &[Some("ac"), Some("a"), None, Some("c")]);
    check("(?:(a)|b)*", "ab", &[Some("ab"), Some("a")]);
    check("(a+?)(a*)", "aaa", &[Some("aaa"), Some("a"), Some("aa")]);
    check("(a|ab)(c|bcd)", "abcd", &[Some("abcd"), Some("a"), Some("bcd")]);
    check("(a+)(?=b(c))", "aabc", &[Some("aa"), Some("aa"), Some("c")]);
    check("(a)(?!b)", "abac", &[Some("a"), Some("a")]);
    check("(?=(a+))a(b)?", "aab", &[Some("a"), Some("aa")]);
    check("(?!(a)b)a", "ac", &[Some("a")]);
    check("(?:(a)(b)*)+", "aba", &[Some("aba"), Some("a"), Some("b")]);
    check("(?:(x)\\1|.)(b)", "axxb", &[Some("xxb"), Some("x"), Some("b")]);
    // There are nine.
    check("(a)(a)(a)(a)(a)(a)(a)(a)(a)(b)c", "aaaaaaaaabc", &{
        let mut groups = [Some("a"); 10];
        groups[0] = Some("aaaaaaaaabc");
        groups
    });
    check("(a)(a)(a)(a)(a)(a)(a)(a)(a)(b)\\10", "aaaaaaaaabb", &{
        let mut groups = [Some("a"); 10];
        groups[0] = Some("aaaaaaaaabb");
        groups
    });
}

#[test]
fn groups_of_long_inputs() {
    // Past the table of the quick way: the beginning is found backwards.
    let hay = |n: usize| [vec![b'-'; n], b"id=42;".to_vec(), vec![b'a'; n]].concat();
    let check = |pattern: &[u8], from: usize, to: usize| {
        for n in [10, 300_000] {
            let regex = compile(pattern);
            let mut cache = regex.cache();
            for _ in 0..2 {
                let groups = regex.groups(&mut cache, &hay(n)).unwrap().unwrap();
                assert_eq!(groups[0], Some(n + from..n + to), "{}", pattern.escape_ascii());
            }
            assert!(cache.memory() < 64 << 10);
        }
    };
    check(br"id=\d+", 0, 5);
    check(br"(\w+)=(\d+)", 0, 5);
    check(br"d=(?:\d+)(?=;)", 1, 5);
}

#[test]
fn steps_are_bounded() {
    let check = |pattern: &[u8], hay: &[u8]| {
        let regex = compile(pattern);
        let mut cache = regex.cache();
        assert_eq!(regex.is_match(&mut cache, hay), Err(OverBudget), "{}", pattern.escape_ascii());
        assert_eq!(regex.groups(&mut cache, hay), Err(OverBudget));
    };
    let long = vec![b'a'; 300_000];
    check(br"(?:(a+)+)+b\1?|a{40}(?<!a)", &long[..60]);
    check(br"(a+)*(?<!a)", &long[..40]);
    check(br"(?:a|b)*(?<!a)", &long);
    check(br"(a*)*\1{1000}(?<!.)", &long[..1000]);
    check(br"(?:(?:(?:){60000}){60000}){60000}(?<!a)ac", b"ac");
    // One byte too many for a search is one step.
    let regex = Regex::new(b"(?<=a)b", 3).unwrap();
    assert_eq!(regex.is_match(&mut regex.cache(), b"ab"), Err(OverBudget));
    // What the linear engine rules out takes no step.
    assert_eq!(regex.is_match(&mut regex.cache(), b"aa"), Ok(false));
}
