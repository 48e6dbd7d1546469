use proptest::prelude::*;

use crate::text::{Bounds, Refusal, css, js, json, svg};

/// Pieces that matter to a reader, in any order: mostly broken, and sometimes not.
fn text(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(pieces), 0..40)
        .prop_map(|pieces| pieces.concat())
}

const SIGNS: &[&str] = &[
    "a", "b", "1", ".5", "\"c d\"", "'e'", "`f ${", "`", "${", "}", "{", "(", ")", "[", "]", ";",
    ",", ".", ":", "?", "?.", "=", "==", "=>", "+", "++", "-", "--", "*", "/", "/*g*/", "/*!h*/",
    "//i\n", "/j/", "<", "<!--", "-->", ">", "!", "&", "&&", "@", "@media ", "#", "\\", "\\9 ",
    "url(", "--x:", " ", "  ", "\n", "\t", "\r\n", "if", "while", "return", "true", "null",
    "\u{e9}", "\u{a0}", "\u{2028}", "\u{feff}", "%",
];

fn holds(minify: super::Minify, text: &[u8]) -> Result<(), TestCaseError> {
    let bounds = Bounds { size: 1 << 16, depth: 16 };
    if let Ok(made) = minify(text, &bounds) {
        prop_assert!(made.len() < text.len());
        // Nothing but white space and comments went, and nothing came but what separates.
        let mut rest = text.iter();
        for byte in made.iter().filter(|byte| !b" \n/*;".contains(byte)) {
            prop_assert!(rest.any(|one| one == byte), "{:?}", String::from_utf8_lossy(&made));
        }
        let again = minify(&made, &bounds);
        prop_assert_eq!(again, Err(Refusal::NotSmaller), "{:?}", String::from_utf8_lossy(&made));
    }
    Ok(())
}

proptest! {
    #[test]
    fn what_is_made_is_final(text in text(SIGNS)) {
        for minify in [css, js, json, svg] {
            holds(minify, text.as_bytes())?;
        }
    }

    #[test]
    fn any_bytes_are_refused_or_made_smaller(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for minify in [css, js, json, svg] {
            holds(minify, &bytes)?;
        }
    }

    #[test]
    fn json_says_what_it_said(value in value()) {
        let spaced = spaced(&value, 0);
        let bounds = Bounds::default();
        let made = json(spaced.as_bytes(), &bounds);
        prop_assert_eq!(made, Ok(value.into_bytes()));
    }
}

/// JSON without white space.
fn value() -> impl Strategy<Value = String> {
    let leaf = proptest::sample::select(vec!["1", "-2.5e3", "\" a:{ [,\\\" \"", "true", "null"])
        .prop_map(str::to_owned);
    leaf.prop_recursive(4, 32, 4, |inner| {
        let list = proptest::collection::vec(inner, 0..4);
        (list, any::<bool>()).prop_map(|(list, is_object)| {
            if is_object {
                let members: Vec<String> =
                    list.iter().map(|value| format!("\"k\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            } else {
                format!("[{}]", list.join(","))
            }
        })
    })
}

/// The same with white space around its tokens.
fn spaced(value: &str, seed: usize) -> String {
    let mut made = String::from(" ");
    let (mut is_string, mut is_escaped) = (false, false);
    for (at, sign) in value.chars().enumerate() {
        if is_string {
            made.push(sign);
            is_string = sign != '"' || is_escaped;
            is_escaped = sign == '\\' && !is_escaped;
            continue;
        }
        let is_mark = "{}[],:\"".contains(sign);
        if is_mark && sign != '"' {
            made.push_str(["", " ", "\n", "\t\r"][(at + seed) % 4]);
        }
        made.push(sign);
        if is_mark && sign != '"' {
            made.push_str(["\n ", "", "\t"][(at + seed) % 3]);
        }
        is_string = sign == '"';
    }
    made
}
