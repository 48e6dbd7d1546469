//! Lines, words, quotes, escapes.

use super::super::action;
use super::super::lexer::{Line, Lines, lines};
use super::{link, read, rule, show, show_template};
use crate::rule::{Operator, Pattern};

fn only(text: &[u8]) -> Line<'_> {
    let mut all: Lines<'_> = lines(text);
    let line = all.next().expect("a line");
    assert!(all.next().is_none(), "more than one line");
    line
}

#[track_caller]
fn check_words(text: &str, expected: &[&str]) {
    let line = only(text.as_bytes());
    let words = line.words().unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
    let words: Vec<_> = words.iter().map(|word| word.name()).collect();
    assert_eq!(words, expected, "{text}");
}

#[test]
fn words_end_at_white_space_or_quotes() {
    check_words("A b  c\td", &["A", "b", "c", "d"]);
    check_words("  A  ", &["A"]);
    check_words("A \"b c\" \"\"", &["A", "b c", ""]);
    check_words("A 'b c'", &["A", "b c"]);
    check_words("A TX:'/x/'", &["A", "TX:'/x/'"]);
}

#[test]
fn only_a_backslash_before_the_quote_that_ends_a_word_is_taken_away() {
    check_words(r#"A "b\"c""#, &["A", r#"b"c"#]);
    check_words(r#"A "b\'c\d""#, &["A", r"b\'c\d"]);
    check_words(r"A 'b\'c\d'", &["A", r"b'c\d"]);
    check_words(r#"A "b\\" c"#, &["A", r"b\\", "c"]);
    check_words(r#"A "b\\\"c""#, &["A", r#"b\\"c"#]);
    check_words(r"A b\'c", &["A", r"b\'c"]);
}

#[test]
fn a_backslash_at_its_end_joins_a_line_to_the_next() {
    check_words("A \\\n  b \\\r\n c", &["A", "b", "c"]);
    check_words("A \"b \\\n  c\"", &["A", "b   c"]);
    check_words("A b\\\nc", &["A", "bc"]);
    check_words("A \\\n", &["A"]);
    check_words("A \\", &["A"]);
}

#[test]
fn places_are_lines_of_the_file() {
    let mut all = lines(b"\n# x \\\n still\nA \"b \\\n c\" \\\n d\nE");
    let idle: Vec<_> = all.by_ref().take(2).map(|line| (line.first(), line.is_idle())).collect();
    assert_eq!(idle, [(1, true), (2, true)]);
    let line = all.next().expect("a line");
    let words = line.words().expect("words");
    let places: Vec<_> = words.iter().map(|word| line.number_at(word.at)).collect();
    assert_eq!(places, [4, 4, 6]);
    assert_eq!(all.next().map(|line| line.first()), Some(7));
}

#[test]
fn a_byte_order_mark_is_no_word() {
    check_words("\u{feff}A b", &["A", "b"]);
}

#[track_caller]
fn check_actions(text: &str, expected: &[(&str, Option<&str>)]) {
    let whole = format!("A \"{text}\"");
    let line = only(whole.as_bytes());
    let words = line.words().expect("words");
    let split = action::split(&"a".into(), &line, &words[1])
        .unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
    let split: Vec<_> = split
        .iter()
        .map(|one| {
            let value =
                one.value.as_deref().map(|value| std::str::from_utf8(value).expect("UTF-8"));
            (one.name.as_str(), value)
        })
        .collect();
    assert_eq!(split, expected, "{text}");
}

#[test]
fn actions_end_at_commas_outside_of_quotes() {
    check_actions("", &[]);
    check_actions("a", &[("a", None)]);
    check_actions("a,b:c , d: e f ,", &[("a", None), ("b", Some("c")), ("d", Some("e f"))]);
    check_actions("a:'b,c:d' , e", &[("a", Some("b,c:d")), ("e", None)]);
    check_actions("a:b:c=d", &[("a", Some("b:c=d"))]);
    check_actions("a:", &[("a", Some(""))]);
    check_actions("a:'',b", &[("a", Some("")), ("b", None)]);
    check_actions(r"a:'it\'s'", &[("a", Some("it's"))]);
    check_actions(r"a:it's", &[("a", Some("it's"))]);
    check_actions(r#"a:'\"b\"',c:\"d"#, &[("a", Some("\"b\"")), ("c", Some("\"d"))]);
    check_actions(r"a:'b\\',c", &[("a", Some(r"b\\")), ("c", None)]);
    check_actions("a:'b \\\n   c'", &[("a", Some("b    c"))]);
}

#[test]
fn actions_within_single_quotes_escape_theirs() {
    let rule = rule(r"SecAction 'id:1,msg:\'a, b\',nolog'");
    assert_eq!(show_template(&rule.msg.expect("a message")), "a, b");
    assert!(!rule.log);
}

#[track_caller]
fn check_fault(text: &str, expected: &str) {
    let faults = read(text).err().unwrap_or_default();
    assert_eq!(faults.iter().map(show).collect::<String>(), expected, "{text}");
}

#[test]
fn faults_of_quotes_are_told_where_they_open() {
    check_fault("SecAction \\\n \"id:1", "2: a quote that does not end\n");
    check_fault(
        "SecAction \"id:1, \\ \n nolog\"",
        "1: a quote that does not end; a backslash joins lines only if nothing follows it, not even a space\n\
         2: unknown directive `nolog\"`\n",
    );
    check_fault(
        "SecRule ARGS \"a\"b\" \"id:1\"",
        "1: a quote that ends within a word, before 'b'; write \\\" for a quote that is meant\n",
    );
    check_fault("SecAction \"id:1,\\\nmsg:'a\"", "2: msg: a quote ' that does not end\n");
    check_fault(
        "SecAction \"id:1,msg:'it's'\"",
        "1: msg: text after the end of a quoted value, near `…1,msg:'it's'`; write \\' for a quote that is \
         meant\n",
    );
    check_fault("SecAction \"id:1,,nolog\"", "1: an action expected between commas\n");
}

#[test]
fn patterns_keep_their_backslashes() {
    let link = link(r#"SecRule ARGS "@rx ^[\\/\"\x5c\.]$" "id:1""#);
    let Operator::Rx(Pattern::Fixed(regex)) = link.operator else { panic!("no pattern") };
    assert_eq!(regex.pattern(), br#"^[\\/"\x5c\.]$"#);
}

#[test]
fn lines_have_a_bound() {
    for joined in ["a \\\n", "\\\n"] {
        let long = format!("SecMarker {}x\nSecNope\n", joined.repeat(300_000));
        let faults =
            "1: a directive of more than 262144 bytes\n300002: unknown directive `SecNope`\n";
        assert_eq!(read(long).expect_err("faults").iter().map(show).collect::<String>(), faults);
    }
}
