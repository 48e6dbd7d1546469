//! What holds for every text: the formatter is stable and keeps the tree, the JSON twin loses nothing, and no input
//! stops the loader.

use std::path::PathBuf;

use doorman_config::render::{self, Colour};
use doorman_config::tree::{EntryKind, Tree};
use doorman_config::{
    MemorySource, format, format_tree, from_json, load, parse_text, text_from_json, to_json,
};
use proptest::prelude::*;

fn golden_inputs() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut inputs: Vec<(String, String)> = std::fs::read_dir(folder)
        .expect("the folder is part of the crate")
        .map(|entry| entry.expect("readable").path())
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("readable");
            let input = text.split("--- ").next().unwrap_or_default().to_owned();
            (path.display().to_string(), input)
        })
        .collect();
    inputs.sort();
    inputs
}

/// Formatting changes no statement, and a second time nothing at all.
fn check_format(text: &str) {
    let Ok(tree) = parse_text("x", text) else { return };
    let once = format_tree(&tree);
    let again = parse_text("x", &once).unwrap_or_else(|(faults, _)| {
        panic!("formatted text does not parse: {faults:?}\n{text}\n--\n{once}")
    });
    assert_eq!(to_json(&tree), to_json(&again), "{text}\n--\n{once}");
    assert_eq!(once, format_tree(&again), "not stable: {text}");
    assert_eq!(comments(&tree), comments(&again), "comments lost: {text}\n--\n{once}");
}

/// The comments of a tree, in order.
fn comments(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for entry in &tree.entries {
        match &entry.kind {
            EntryKind::Comment(text) => found.push(text.clone()),
            EntryKind::Statement(statement) => {
                if let Some(block) = &statement.block {
                    found.extend(block.comment.clone());
                    found.extend(comments(&block.tree));
                }
                found.extend(statement.comment.clone());
            }
        }
    }
    found
}

/// The twin of a tree makes the same tree again.
fn check_twin(text: &str) {
    let Ok(tree) = parse_text("x", text) else { return };
    let twin = to_json(&tree);
    let back = from_json(&twin).unwrap_or_else(|error| panic!("{error}\n{text}\n{twin}"));
    assert_eq!(twin, to_json(&back), "{text}");
    let written = text_from_json(&twin.to_string()).expect("it was a twin just now");
    let read = parse_text("x", &written)
        .unwrap_or_else(|(faults, _)| panic!("{faults:?}\n{text}\n--\n{written}"));
    assert_eq!(twin, to_json(&read), "{text}\n--\n{written}");
}

/// Whatever comes of it, it comes; and it can be shown.
fn check_load(text: &str) {
    let source = MemorySource::new().file("doorman.conf", text).file("other.json", text);
    for path in ["doorman.conf", "other.json"] {
        let loaded = load(&source, path);
        let failed = loaded.diagnostics.iter().any(doorman_config::Diagnostic::is_error);
        assert_eq!(failed, loaded.config.is_none());
        if loaded.diagnostics.len() <= 4 {
            let _ = render::annotated(&loaded.diagnostics, &loaded.sources, Colour::Always);
        }
        for diagnostic in &loaded.diagnostics {
            assert!(!render::short(diagnostic, &loaded.sources).contains('\n'));
            let _ = render::json(diagnostic, &loaded.sources);
        }
    }
}

#[test]
fn golden_inputs_are_stable_under_format() {
    for (path, input) in golden_inputs() {
        println!("{path}");
        check_format(&input);
    }
}

/// What the mutated texts below found: `<<a` in front of what ends a word was a plain word until the formatter moved
/// that to the next line.
#[test]
fn a_tag_of_a_heredoc_ends_where_a_word_ends() {
    for end in
        [";b", "}", " {", "{", "{x}", "{ x", "\\\n b", "\\\r\n b", "\\b", "\u{85}b", "#c", ""]
    {
        for head in ["a <<t", "a { b <<t", "a <<t-", "a <<_1"] {
            for tail in ["", "\n t\nt\n", "\n}\n"] {
                check_format(&format!("{head}{end}{tail}"));
            }
        }
    }
}

#[test]
fn golden_inputs_survive_their_twin() {
    let mut count = 0;
    for (path, input) in golden_inputs() {
        println!("{path}");
        check_twin(&input);
        count += usize::from(parse_text("x", &input).is_ok());
    }
    assert!(count >= 60, "only {count} inputs were parsed");
}

#[test]
fn a_twin_loads_like_its_text() {
    for (path, input) in golden_inputs() {
        let Ok(tree) = parse_text("x", &input) else { continue };
        let source = MemorySource::new()
            .file("doorman.conf", input.as_str())
            .file("doorman.json", to_json(&tree).to_string());
        let (text, twin) = (load(&source, "doorman.conf"), load(&source, "doorman.json"));
        let codes = |loaded: &doorman_config::Loaded| {
            let mut codes: Vec<_> = loaded.diagnostics.iter().map(|fault| fault.code).collect();
            codes.sort_unstable();
            codes
        };
        assert_eq!(codes(&text), codes(&twin), "{path}");
    }
}

#[test]
fn the_layout_is_the_documented_one() {
    let check = |input: &str, expect: &str| {
        assert_eq!(format("x", input).expect("it parses"), expect, "{input}");
    };
    check(
        "global{admin   unix:/a;metrics :1 # m\n\n\n# c\ndrain 5s}",
        "global {\n    admin   unix:/a\n    metrics :1  # m\n\n    # c\n    drain 5s\n}\n",
    );
    check("site a {   route  * {proxy b;} }  # x", "site a { route * { proxy b } }  # x\n");
    check("a { # c\n}\n", "a {  # c\n}\n");
    check("off a \"b c\" 'd'\n", "off a \"b c\" 'd'\n");
    check("a \\\n  b \\\n  c\n", "a b c\n");
    check("a <<T\n   x\n\n     y\n   T\nb", "a <<T\n    x\n\n      y\n    T\nb\n");
    check("b 1\nresponse-header set A b\nlonger 2\n", "b 1\nresponse-header set A b\nlonger 2\n");
    check("", "");
    let long = format!("a {}\n", ["0123456789"; 12].join(" "));
    let (first, second) = (["0123456789"; 8].join(" "), ["0123456789"; 4].join(" "));
    check(&long, &format!("a {first} \\\n        {second}\n"));
}

#[test]
fn documents_that_are_no_twin_are_refused() {
    let check = |json: &str, expect: &str| {
        let error = text_from_json(json).expect_err(json).to_string();
        assert!(error.contains(expect), "{json}: {error}");
    };
    check("[]", "an object was expected");
    check("{", "EOF");
    check("{}", "`statements` is missing");
    check(r#"{"statements": [], "x": 1}"#, "`x` is neither");
    check(r#"{"statements": {}}"#, "list of statements");
    check(r#"{"statements": [1]}"#, "is an object (at /statements/0)");
    check(r#"{"statements": [{}]}"#, "one name");
    check(r#"{"statements": [{"a": [], "b": []}]}"#, "one name");
    check(r#"{"statements": [{"a b": []}]}"#, "cannot be a name");
    check(r#"{"statements": [{"a": [null]}]}"#, "string or a number");
    check(r#"{"statements": [{"a": ["${nope:x}"]}]}"#, "names nothing");
    check(r#"{"statements": [{"a": [], "off": 1}]}"#, "`off` is true or false");
    let deep = format!(
        "{{\"statements\": {}[]{}}}",
        r#"[{"a": [], "block": "#.repeat(40),
        "}]".repeat(40)
    );
    check(&deep, "too deep");
}

/// Pieces that configurations are made of, right and wrong.
fn piece() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "site",
        "route",
        "proxy",
        "upstream",
        "server",
        "global",
        "policy",
        "use",
        "respond",
        "when",
        "header",
        "timeout",
        "idle",
        "off",
        "{",
        "}",
        "{ ",
        " }",
        ";",
        "\n",
        "\n",
        "\n\n",
        " ",
        "# note\n",
        "\\\n",
        "\"quoted {host}\"",
        "'raw'",
        "<<T\n  text\n  T\n",
        "${env:A}",
        "$${",
        "{host}",
        "127.0.0.1:80",
        "*",
        "/a/*",
        "~",
        "5s",
        "10MiB",
        "95%",
        "http://a.test",
        "\"",
        "'",
        "\\",
        "\u{feff}",
        "\t",
        "\r\n",
        "include",
        "*.conf",
        "tls",
        "limits",
        "log",
        "access",
        "json",
    ]);
    prop_oneof![8 => fixed.prop_map(str::to_owned), 1 => "[a-z]{1,9}", 1 => "\\PC{1,5}"]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec((piece(), any::<bool>()), 0..60).prop_map(|pieces| {
        pieces.into_iter().map(|(piece, space)| if space { piece + " " } else { piece }).collect()
    })
}

/// Texts that parse: blocks are closed and each statement has its line.
fn sound_text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-z][a-z-]{0,14}",
        prop::sample::select(vec!["route", "site", "proxy", "timeout", "server", "weight", "when"])
            .prop_map(str::to_owned),
    ];
    let value = prop_oneof![
        "[a-z0-9./:*%-]{1,12}",
        "\"[ a-z{}$#;]{0,12}\"".prop_filter("no load", |text| !text.contains("${")),
        "'[ -&(-~]{0,12}'",
        Just("{host}".to_owned()),
        Just("a${env:B}c".to_owned()),
        Just("weight".to_owned()),
        "[0-9]{60}",
    ];
    let comment = prop_oneof![3 => Just(String::new()), 1 => "  # [a-z ]{0,10}"];
    let line = (word, prop::collection::vec(value, 0..5), comment)
        .prop_map(|(name, values, comment)| (format!("{name} {}", values.join(" ")), comment));
    let leaf = prop_oneof![
        4 => line.clone().prop_map(|(line, comment)| format!("{line}{comment}\n")),
        1 => Just("\n".to_owned()),
        1 => Just("# alone\n".to_owned()),
        1 => Just("text <<END\n   a\n\n     b {x} ${env:A}\n   END\n".to_owned()),
        1 => line.clone().prop_map(|(line, comment)| format!("{line} {{ a b; c }}{comment}\n")),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        (line.clone(), prop::collection::vec(inner, 0..6), any::<bool>()).prop_map(
            |((line, comment), inner, off)| {
                let off = if off { "off " } else { "" };
                format!("{off}{line} {{{comment}\n{}}}{comment}\n", inner.concat())
            },
        )
    })
}

proptest! {
    // A failure shows its input; regressions are kept as golden files.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sound_texts_are_stable_under_format(text in prop::collection::vec(sound_text(), 0..5)) {
        let text = text.concat();
        prop_assert!(parse_text("x", &text).is_ok(), "{}", text);
        check_format(&text);
        check_twin(&text);
    }

    #[test]
    fn any_text_is_stable_under_format(text in text()) {
        check_format(&text);
    }

    #[test]
    fn no_text_stops_the_loader(text in text()) {
        check_load(&text);
    }

    #[test]
    fn no_bytes_stop_the_loader(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check_load(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_mutated_golden_stops_the_loader(
        which in any::<prop::sample::Index>(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..6, piece()), 1..6),
    ) {
        let inputs = golden_inputs();
        let mut text: Vec<char> = which.get(&inputs).1.chars().collect();
        for (at, length, piece) in cuts {
            let at = at.index(text.len() + 1);
            let end = (at + length).min(text.len());
            text.splice(at..end, piece.chars());
        }
        let text: String = text.into_iter().collect();
        check_load(&text);
        check_format(&text);
    }
}
