//! Whatever the text is, it is read or refused.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::lexer::unescape;
use super::{Shelf, source};
use crate::seclang::load;

/// What rules are made of, so that texts of them get far.
const WORDS: &[&str] = &[
    "SecRule",
    "SecAction",
    "SecMarker",
    "SecDefaultAction",
    "SecRuleUpdateTargetById",
    "SecRuleUpdateActionById",
    "SecRuleRemoveById",
    "SecRuleRemoveByTag",
    "Include",
    "SecRuleEngine",
    "ARGS",
    "!ARGS:",
    "&TX:",
    "XML:/*",
    "REQUEST_COOKIES:/^a/",
    "|",
    ",",
    ":",
    ";",
    "=",
    "=+",
    "\"",
    "'",
    "\\",
    "\\\"",
    "\\'",
    "\n",
    "\\\n",
    "\r\n",
    " ",
    "\t",
    "#",
    "@rx ",
    "@pm ",
    "@eq ",
    "@within ",
    "@validateByteRange ",
    "@ipMatch ",
    "@pmFromFile a",
    "!@",
    "%{",
    "%{tx.a}",
    "}",
    "id:1",
    "id:2,",
    "phase:1",
    "chain",
    "deny",
    "block",
    "t:none",
    "t:lowercase",
    "msg:'",
    "setvar:'tx.a=",
    "ctl:ruleRemoveTargetById=1;",
    "skipAfter:A",
    "severity:",
    "1",
    "2",
    "-",
    "(",
    ")",
    "[",
    "]",
    "a",
    "\u{feff}",
    "é",
];

fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        12 => prop::sample::select(WORDS).prop_map(|word| word.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..4),
    ]
}

/// Lines that are nearly right.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let argument = || vec(piece(), 0..6).prop_map(|pieces| pieces.concat());
    let directive = prop::sample::select(
        &["SecRule", "SecAction", "SecMarker", "SecDefaultAction", "SecRuleUpdateTargetById"][..],
    );
    (directive, vec((argument(), any::<bool>()), 0..4)).prop_map(|(directive, arguments)| {
        let mut line = directive.as_bytes().to_vec();
        for (argument, quoted) in arguments {
            let quote = if quoted { &b"\""[..] } else { b"" };
            line.extend_from_slice(&[b" ", quote, argument.as_slice(), quote].concat());
        }
        line.push(b'\n');
        line
    })
}

fn check(text: Vec<u8>) {
    let lines = u32::try_from(text.iter().filter(|&&b| b == b'\n').count()).unwrap() + 1;
    let files = Shelf::of(&[("a", "one\ntwo")]);
    let notices = match load(&[source(text)], &files) {
        Ok(set) => set.warnings,
        Err(faults) => {
            assert!(!faults.is_empty());
            faults
        }
    };
    for notice in notices {
        assert!((1..=lines).contains(&notice.place.line), "{notice:?}");
        assert!(!notice.text.chars().any(char::is_control), "{notice:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(text in vec(any::<u8>(), 0..300)) {
        check(text);
    }

    #[test]
    fn any_pieces_are_read_or_refused(pieces in vec(piece(), 0..60)) {
        check(pieces.concat());
    }

    #[test]
    fn any_lines_are_read_or_refused(lines in vec(line(), 0..8)) {
        check(lines.concat());
    }

    #[test]
    fn a_message_is_what_was_quoted(text in "[a-z ,:'\"#@!|=]{1,30}") {
        let quoted = text.replace('\'', "\\'").replace('"', "\\\"");
        let rule = super::rule(format!("SecAction \"id:1,msg:'{quoted}',log\""));
        let msg = rule.msg.expect("a message");
        prop_assert_eq!(msg.constant(), Some(text.as_bytes()));
    }

    #[test]
    fn what_is_unescaped_is_no_longer(text in vec(any::<u8>(), 0..40)) {
        let out = unescape(&text, b"\"");
        prop_assert!(out.len() <= text.len());
        let escapes = text.windows(2).filter(|pair| pair == b"\\\"").count();
        prop_assert!(text.len() - out.len() <= escapes);
    }
}
